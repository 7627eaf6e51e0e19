/* sendguard-web: the people's door as a program. Reads its settings and texts,
 * opens the socket and the store, serves, and waits for signals: SIGTERM and
 * SIGINT end it cleanly, SIGHUP reads settings and texts again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen.h"
#include "daemon/program.h"
#include "http_server/server.h"
#include "web/web.h"

enum {
    BACKLOG = 4096,
    FINISH_MS = 10 * 1000,
    SOCKET_MODE = 0660,
};

static const char *const of_start[] = {"web.listen", "web.secret_file", "store.url",
                                       "store.timeout", NULL};
static const struct program program = {
    .name = "sendguard-web",
    .purpose = "Shows users how their sending stands, and support staff everybody's (HTTP).",
    .seals_links = true,
    .of_start = of_start,
};

static int serve(const struct program_options *options, const char *where, struct web *web,
                 int listen_fd)
{
    struct server *server = server_start(web_answer, web, listen_fd);
    if (server == NULL)
        return PROGRAM_FAILED;
    log_line(LOG_INFO_LEVEL, "listening", "listen", where, "version", SENDGUARD_VERSION, NULL);
    program_wait(&program, options, web->desk.guard, NULL, NULL);
    log_line(LOG_INFO_LEVEL, "ending", NULL);
    /* while the name is still ours: who starts next may bind it before we have ended */
    if (listen_is_path(where))
        unlink(where);
    if (!server_stop(&server, FINISH_MS))
        log_line(LOG_WARNING_LEVEL, "some answers were not fetched in time", NULL);
    return PROGRAM_OK;
}

/* Settings and catalogue are taken. */
static int run(const struct program_options *options, struct settings *settings,
               struct catalogue *catalogue)
{
    freed_by(token_key_free) struct token_key *key = NULL;
    freed_by(store_free) struct store *store = NULL;
    int opened = program_open(settings, &key, &store);
    if (opened >= 0) {
        settings_free(&settings);
        catalogue_free(&catalogue);
        return opened;
    }
    /* Without the key: what staff simulates carries no link to the user's own page. */
    freed_by(guard_free) struct guard *guard = guard_new(store, NULL, settings, catalogue);
    freed_by(guard_let_go) struct held_settings *at_start = guard_hold(guard);
    const char *where = held_settings(at_start)->web_listen;
    int listen_fd = listen_on(where, SOCKET_MODE, BACKLOG);
    if (listen_fd < 0) {
        log_line(LOG_ERROR_LEVEL, "cannot listen", "listen", where, "error", strerror(errno), NULL);
        return PROGRAM_FAILED;
    }
    freed_by(observer_stop) struct observer *observer = observer_start(store);
    struct web web = {
        .desk = {.store = store, .guard = guard}, .key = key, .observer = observer};
    return serve(options, where, &web, listen_fd);
}

int main(int argc, char **argv)
{
    struct program_options options;
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    int status = program_begin(&program, argc, argv, &options, &settings, &catalogue);
    return status >= 0 ? status : run(&options, settings, catalogue);
}
