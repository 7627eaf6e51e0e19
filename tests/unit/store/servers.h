/* Servers for tests: private, in a folder of their own, gone with the test. */
#ifndef SENDGUARD_TESTS_SERVERS_H
#define SENDGUARD_TESTS_SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether a sanitizer makes the tests five to twenty times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* How often a test repeats what it shows by chance: all of it when SENDGUARD_LONG is set (make
 * test-long), else a half, with a sanitizer a fifth. At least once. */
int times(int all);
/* Whether a test takes a sample of its combinations: with a sanitizer, unless SENDGUARD_LONG is set. */
bool takes_sample(void);

/* An empty folder in $TMPDIR, else in /tmp, and its end with all that is in it. Both abort on
 * failure. Short, since a UNIX socket's path holds 107 bytes. */
enum { FOLDER_SIZE = 64 };
void folder_make(char folder_r[FOLDER_SIZE]);
void folder_remove(const char *folder);

/* A redis-server on the socket FOLDER/redis.sock, nothing on disk. */
struct redis_server {
    pid_t pid; /* 0: not running */
    char socket[FOLDER_SIZE + 16];
    char url[FOLDER_SIZE + 32]; /* for store_open, as a user with the rights that docs/store.md names */
};

/* Returns when it accepts connections. `option` and `value` (NULL: none) are
 * one setting more, as on redis-server's command line. Dies with this process. */
void redis_server_start(struct redis_server *server, const char *folder, const char *option,
                        const char *value);
/* Kills it and waits for its end; nothing when it does not run. */
void redis_server_stop(struct redis_server *server);
/* As on a machine that hangs, and its end. A signal alone is not enough: on a busy machine a thread
 * goes on for a while; this returns when all have stopped. */
void redis_server_freeze(const struct redis_server *server);
void redis_server_thaw(const struct redis_server *server);
/* A port on loopback that is no other test's until this process ends. */
int free_port(void);
/* Makes `replica`, the `number`th (1 …), one of `server`, which listens at `port` too. Returns when
 * it has all that the server has. */
void redis_server_follow(const struct redis_server *replica, int number,
                         const struct redis_server *server, const char *port);
/* A command of its own connection, answered with a number or a text in digits: that
 * number; anything else aborts. For looking behind the store. */
long long redis_server_ask(const struct redis_server *server, const char *const *words,
                           size_t count);

#endif
