#include "store/redis/redis_access.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lookup.h"
#include "base/secret_file.h"
#include "store/redis/redis_wire.h"

static char *copy(const char *text)
{
    return xstrdup(text != NULL ? text : "");
}

struct redis_place redis_place_of(const struct store_url *where)
{
    return (struct redis_place){.host = where->host != NULL ? xstrdup(where->host) : NULL,
                                .path = where->path != NULL ? xstrdup(where->path) : NULL,
                                .port = where->port};
}

void redis_place_free(struct redis_place *place)
{
    lookup_free(&place->lookup);
    free_string(&place->host);
    free_string(&place->path);
}

struct redis_access redis_access_of(const struct store_url *where,
                                    const struct store_options *options)
{
    return (struct redis_access){.by_tls = where->tls,
                                 .user = copy(options->user),
                                 .password_file = copy(options->password_file),
                                 .tls_ca_file = copy(options->tls_ca_file),
                                 .tls_cert_file = copy(options->tls_cert_file),
                                 .tls_key_file = copy(options->tls_key_file)};
}

void redis_access_free(struct redis_access *access)
{
    free_string(&access->user);
    free_string(&access->password_file);
    free_string(&access->tls_ca_file);
    free_string(&access->tls_cert_file);
    free_string(&access->tls_key_file);
}

/* ---- signing in ------------------------------------------------------------------ */

enum { PASSWORD_SIZE = 1024 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The file's first line, which is all of it. "" where no file is set. */
static int read_password(struct redis_wire *wire, const char *path, char password_r[PASSWORD_SIZE])
{
    struct problem problem;
    char why[REDIS_WHY_SIZE];
    password_r[0] = '\0';
    if (path[0] == '\0')
        return 1;
    freed_by(close_fd) int fd = secret_file_open(path, "chmod 600", &problem);
    ssize_t length = fd < 0 ? -1 : secret_file_read(fd, password_r, PASSWORD_SIZE);
    if (fd >= 0 && length < 0)
        problem_set(&problem, 0, path, "cannot be read: %s", strerror(errno));
    if (length < 0) {
        snprintf(why, sizeof why, "store.password_file: %.75s: %.95s", path, problem.text);
        return redis_wire_fail_for_good(wire, why);
    }
    while (length > 0 && strchr("\r\n", password_r[length - 1]) != NULL)
        length--;
    if (length > 0 && length < PASSWORD_SIZE && memchr(password_r, '\n', (size_t)length) == NULL &&
        memchr(password_r, '\0', (size_t)length) == NULL) {
        password_r[length] = '\0';
        return 1;
    }
    snprintf(why, sizeof why, "store.password_file: %.100s: expected the password, one line", path);
    return redis_wire_fail_for_good(wire, why);
}

/* A server that knows no AUTH repeats what came with it, as much as fits. */
static bool repeats(const char *error, const char *password)
{
    char begin[9];
    snprintf(begin, sizeof begin, "%.8s", password);
    return begin[0] != '\0' && strstr(error, begin) != NULL;
}

int redis_access_sign_in(struct redis_wire *wire, const struct redis_access *access,
                         int64_t give_up_us)
{
    char password[PASSWORD_SIZE];
    freed_by(redis_free_reply) redisReply *reply = NULL;
    bool named = access->user[0] != '\0';
    if (!named && access->password_file[0] == '\0')
        return 1;
    if (read_password(wire, access->password_file, password) < 0)
        return -1;
    const char *const words[] = {"AUTH", named ? access->user : password, password};
    int answer = redis_wire_ask(wire, give_up_us, words, named ? 3 : 2, &reply);
    bool refused = answer > 0 && reply->type == REDIS_REPLY_ERROR;
    bool hidden = refused && repeats(reply->str, password);
    sodium_memzero(password, sizeof password);
    if (hidden)
        return redis_wire_fail_for_good(wire, "it does not take AUTH");
    if (refused) {
        char why[REDIS_WHY_SIZE];
        snprintf(why, sizeof why, "%.140s (store.user, store.password_file)", reply->str);
        return redis_wire_fail_for_good(wire, why);
    }
    return answer;
}
