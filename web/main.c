/* sendguard-web: the web interface as a program. */
#include <stdlib.h>

#include "daemon/daemon.h"
#include "http_server/server.h"
#include "web/web.h"

enum { SOCKET_MODE = 0660, THREADS = 16, HEADER_BYTES = 16 * 1024 };

struct web_program {
    struct web web;
    struct server *server;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = SOCKET_MODE;
    return settings->web_listen;
}

static void *start(const struct daemon *daemon)
{
    struct web_program *serving = xcalloc(1, sizeof *serving);
    serving->web = (struct web){.desk = {.store = daemon->store, .guard = daemon->guard,
                                         .key = daemon->key},
                                .key = daemon->key,
                                .recorder = daemon->recorder};
    pthread_mutex_init(&serving->web.metrics.lock, NULL);
    serving->server = server_start(web_answer, &serving->web, daemon->listen_fd, THREADS,
                                   HEADER_BYTES);
    if (serving->server == NULL) {
        free(serving);
        return NULL;
    }
    return serving;
}

static int stop(void *context, int timeout_ms)
{
    struct web_program *serving = context;
    int all = server_stop(&serving->server, timeout_ms);
    pthread_mutex_destroy(&serving->web.metrics.lock);
    free(serving);
    return all;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"web.listen", "web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-web",
                    .purpose = "Shows the state of sending to users, and to support staff "
                               "(HTTP).",
                    .seals_links = true,
                    .of_start = of_start},
        .backlog = 4096,
        .listen = listens_on,
        .start = start,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
