#include "daemon/daemon.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/listen.h"
#include "daemon/sandbox.h"
#include "guard/emergency.h"

enum { FINISH_MS = 10 * 1000 };

static int stop(const struct daemon_program *daemon_program, void *serving)
{
    int finished = daemon_program->stop(serving, FINISH_MS);
    if (finished > 0)
        return PROGRAM_OK;
    log_line(finished == 0 ? LOG_WARNING_LEVEL : LOG_ERROR_LEVEL,
             "requests in flight did not finish in time", NULL);
    if (finished < 0)
        _exit(PROGRAM_FAILED); /* its threads use what would be freed */
    return PROGRAM_OK;
}

static void log_warnings(const struct program *program, const struct settings *settings)
{
    struct faults warnings = {.count = 0};
    if (program->warnings == NULL)
        return;
    program->warnings(settings, &warnings);
    for (size_t i = 0; i < warnings.count; i++) {
        char text[sizeof warnings.first[i].where + sizeof warnings.first[i].text + 1];
        snprintf(text, sizeof text, "%s %s", warnings.first[i].where, warnings.first[i].text);
        log_line(LOG_WARNING_LEVEL, text, NULL);
    }
}

static const char *mode_of(const struct daemon_program *daemon_program,
                           const struct settings *settings)
{
    bool observes = daemon_program->observes != NULL ? daemon_program->observes(settings)
                                                     : settings->guard_mode == MODE_OBSERVE;
    return observes ? "observe" : "enforce";
}

static void give_up(const struct settings *settings)
{
    struct problem problem;
    if (sandbox_enter(settings, &problem) < 1)
        log_line(LOG_WARNING_LEVEL, "no system calls are given up", "where", problem.where, "error",
                 problem.text, NULL);
}

/* What each second of a service has. */
struct second {
    const struct daemon_program *program;
    const struct daemon *daemon;
    void *serving;
    struct emergency_told told; /* since all was that waited */
};

static void log_told(const struct emergency_told *told)
{
    char counted[TEXT_DIGITS_SIZE], past[TEXT_DIGITS_SIZE];
    log_line(LOG_INFO_LEVEL, "what was admitted without the store is counted", "messages",
             text_digits(counted, (int64_t)told->counted), "too_old",
             told->past > 0 ? text_digits(past, (int64_t)told->past) : NULL, NULL);
}

/* As guard_tell. */
static int tell(struct second *second)
{
    struct emergency_told told;
    int answer = guard_tell(second->daemon->guard, clock_wall_ms(), &told);
    second->told.counted += told.counted;
    second->told.past += told.past;
    if (told.counted > 0)
        recorder_told(second->daemon->recorder, told.counted);
    if (answer > 0 && second->told.counted + second->told.past > 0) {
        log_told(&second->told);
        second->told = (struct emergency_told){0};
    }
    return answer;
}

static void each_second(void *context)
{
    struct second *second = context;
    int unimportant = tell(second); /* what waits is told later */
    (void)unimportant;
    if (second->program->each_second != NULL)
        second->program->each_second(second->serving);
}

/* At the end: what was admitted without the store, if it answers now. */
static void tell_last(struct second *second)
{
    char text[TEXT_DIGITS_SIZE];
    size_t before, untold = guard_untold(second->daemon->guard);
    int answer;
    do {
        before = untold;
        answer = tell(second);
        untold = guard_untold(second->daemon->guard);
    } while (answer == 0 && untold < before);
    if (untold > 0)
        log_line(LOG_ERROR_LEVEL, "what was admitted without the store is not counted", "messages",
                 text_digits(text, (int64_t)untold), NULL);
}

static int serve(const struct daemon_program *daemon_program,
                 const struct program_options *options, const struct daemon *daemon,
                 const char *where)
{
    void *serving = daemon_program->start(daemon);
    if (serving == NULL)
        return PROGRAM_FAILED;
    log_line(LOG_INFO_LEVEL, where != NULL ? "listening" : "started", "listen", where, "mode",
             mode_of(daemon_program, daemon->settings), "version", SENDGUARD_VERSION, NULL);
    struct second second = {.program = daemon_program, .daemon = daemon, .serving = serving};
    program_wait(&daemon_program->program, options, daemon->guard, each_second, &second);
    log_line(LOG_INFO_LEVEL, "ending", NULL);
    /* while the name is still ours: who starts next may bind it before we have ended */
    if (where != NULL && listen_is_path(where))
        unlink(where);
    int status = stop(daemon_program, serving);
    tell_last(&second);
    return status;
}

/* *where_r: NULL where it listens nowhere. */
static bool open_socket(const struct daemon_program *daemon_program, struct daemon *daemon,
                        const char **where_r)
{
    mode_t mode = 0;
    *where_r = daemon_program->listen != NULL ? daemon_program->listen(daemon->settings, &mode)
                                              : NULL;
    if (*where_r == NULL)
        return true;
    int fd = listen_on(*where_r, mode, daemon_program->backlog);
    if (fd >= 0 && daemon_program->opens_socket)
        close(fd); /* nobody else listens there, and we may */
    else
        daemon->listen_fd = fd;
    if (fd < 0)
        log_line(LOG_ERROR_LEVEL, "cannot listen", "listen", *where_r, "error", strerror(errno),
                 NULL);
    return fd >= 0;
}

/* Settings and catalogue are taken. */
static int run(const struct daemon_program *daemon_program, const struct program_options *options,
               struct settings *settings, struct catalogue *catalogue)
{
    freed_by(token_key_free) struct token_key *key = NULL;
    freed_by(store_free) struct store *store = NULL;
    int opened = program_open(&daemon_program->program, settings, &key, &store);
    if (opened >= 0) {
        settings_free(&settings);
        catalogue_free(&catalogue);
        return opened;
    }
    freed_by(guard_free) struct guard *guard =
        guard_new(store, daemon_program->guard_links ? key : NULL, settings, catalogue);
    guard_hash_by(guard, key);
    freed_by(snapshot_release) struct snapshot *at_start = guard_snapshot(guard);
    struct daemon daemon = {.settings = snapshot_settings(at_start), .store = store,
                            .guard = guard, .key = key};
    log_warnings(&daemon_program->program, daemon.settings);
    if (options->once)
        return daemon_program->once(&daemon);
    const char *where = NULL;
    daemon.listen_fd = -1;
    if (!open_socket(daemon_program, &daemon, &where))
        return PROGRAM_FAILED;
    give_up(daemon.settings);
    freed_by(recorder_stop) struct recorder *recorder = recorder_start(store);
    daemon.recorder = recorder;
    int status = serve(daemon_program, options, &daemon, where);
    if (daemon.listen_fd >= 0)
        close(daemon.listen_fd);
    return status;
}

int daemon_run(const struct daemon_program *daemon_program, int argc, char **argv)
{
    struct program_options options;
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    int status = program_begin(&daemon_program->program, argc, argv, &options, &settings,
                               &catalogue);
    return status >= 0 ? status : run(daemon_program, &options, settings, catalogue);
}
