/* The store: whether it answers and loses nothing, and the clocks by which it counts. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/store_url.h"
#include "cli/doctor.h"
#include "store/records.h"
#include "store/server.h"

enum { STORE_MS = 3000 };

/* ---- opening ------------------------------------------------------------------------------ */

static void cannot(struct doctor *doctor, bool tells, enum doctor_state state, const char *advice,
                   const char *why)
{
    if (tells)
        doctor_says(doctor, state, advice, "%s", why);
    else
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store cannot be read");
}

static const char *user_name(struct arena *arena, uid_t user)
{
    const struct passwd *account = getpwuid(user);
    return account != NULL ? arena_strdup(arena, account->pw_name)
                           : arena_printf(arena, "user %u", (unsigned)user);
}

/* A file of root's in the services' folder is one that root left there. To open it as root would
 * leave more of them. */
static bool has_other_owner(struct doctor *doctor, bool tells, const char *path)
{
    struct stat file, above;
    freed_by(free_string) char *folder = path_folder(path);
    if (stat(path, &file) != 0 || stat(folder, &above) != 0 || file.st_uid != 0 ||
        above.st_uid == 0)
        return false;
    const char *owner = user_name(doctor->arena, above.st_uid);
    cannot(doctor, tells, DOCTOR_BAD, arena_printf(doctor->arena, "chown %s: %s*", owner, path),
           arena_printf(doctor->arena, "%s belongs to root, its folder to %s", path, owner));
    return true;
}

/* Whether `path`, which lets us into the store, is another user's. */
static bool is_not_ours(const char *path)
{
    return path != NULL && path[0] != '\0' &&
           faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0 && errno == EACCES;
}

static bool may_open(struct doctor *doctor, bool tells, const char *database)
{
    const struct settings *settings = doctor->settings;
    const char *const paths[] = {database, settings->store_password_file,
                                 settings->store_tls_key_file};
    if ((database != NULL ? cli_become_owner(doctor->cli, database, NULL)
                          : cli_become_let_in(doctor->cli, settings, settings->store_url)) >= 0) {
        cannot(doctor, tells, DOCTOR_SKIP, "run it as root or as the owner of the store",
               "cannot become the owner of the store");
        return false;
    }
    for (size_t i = 0; i < countof(paths); i++)
        if (is_not_ours(paths[i])) {
            cannot(doctor, tells, DOCTOR_SKIP, "run it as root",
                   arena_printf(doctor->arena, "%s: %s", paths[i], strerror(EACCES)));
            return false;
        }
    return true;
}

int doctor_store_open(struct doctor *doctor, bool tells, struct store **store_r)
{
    struct problem problem;
    const char *url = doctor->settings->store_url;
    struct store_options options = program_store_options(doctor->settings);
    if (options.timeout_ms > STORE_MS) /* or the check itself would not be done in time */
        options.timeout_ms = STORE_MS;
    freed_by(free_string) char *database = store_url_sqlite_path(url);
    if ((database != NULL && has_other_owner(doctor, tells, database)) ||
        !may_open(doctor, tells, database))
        return 0;
    if (database != NULL && access(database, F_OK) != 0) {
        cannot(doctor, tells, DOCTOR_BAD, "start the services: they make it",
               arena_printf(doctor->arena, "there is no database at %s", database));
        return 0;
    }
    int answer = store_check(url, &options, &problem);
    bool earlier = answer == 1 && database != NULL && problem.text[0] != '\0';
    if (earlier) { /* to open it would bring its tables up to date */
        cannot(doctor, tells, DOCTOR_WARN, "restart the services", problem.text);
        return 0;
    }
    if (answer == 1 && store_open_existing(url, &options, store_r, &problem) == 1)
        return 1;
    cannot(doctor, tells, DOCTOR_BAD,
           answer == 0 ? "sendguard-fcgi --check" : "start the database, or look into its log",
           arena_printf(doctor->arena, "%s: %s", problem.where, problem.text));
    return 0;
}

/* ---- a file ------------------------------------------------------------------------------- */

enum {
    MEGABYTE = 1024 * 1024,
    DISK_LITTLE_MB = 256,
    DISK_FULL_MB = 32,
    LOG_GREAT_MB = 128, /* twice of what a busy service lets it become */
};

static void check_disk(struct doctor *doctor, const char *folder)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) != 0)
        return;
    long long free_mb = (long long)disk.f_bavail * (long long)disk.f_frsize / MEGABYTE;
    if (free_mb < DISK_LITTLE_MB)
        doctor_says(doctor, free_mb < DISK_FULL_MB ? DOCTOR_BAD : DOCTOR_WARN,
                    arena_printf(doctor->arena, "make room in %s", folder),
                    "%lld MB are free on the disk of the store", free_mb);
}

static void check_log(struct doctor *doctor, const char *path)
{
    struct stat log;
    const char *name = arena_printf(doctor->arena, "%s-wal", path);
    if (stat(name, &log) == 0 && log.st_size / MEGABYTE >= LOG_GREAT_MB)
        doctor_says(doctor, DOCTOR_WARN,
                    arena_printf(doctor->arena, "end what reads the database for long: fuser %s",
                                 path),
                    "%s has %lld MB: it is not copied back into the database", name,
                    (long long)log.st_size / MEGABYTE);
}

static void check_file(struct doctor *doctor, const char *path)
{
    freed_by(free_string) char *folder = path_folder(path);
    check_disk(doctor, folder);
    check_log(doctor, path);
}

/* ---- a server ------------------------------------------------------------------------------ */

static void check_server(struct doctor *doctor, const struct store_server *server)
{
    if (server->eviction[0] == '\0')
        doctor_says(doctor, DOCTOR_SKIP, "ACL SETUSER USER +info +config|get",
                    "the server does not say what it forgets or writes to disk");
    else if (strcmp(server->eviction, "noeviction") != 0)
        doctor_says(doctor, DOCTOR_BAD, "redis.conf: maxmemory-policy noeviction",
                    "maxmemory-policy is %s: limits and suspensions are forgotten when memory is "
                    "short", server->eviction);
    if (server->appends == 0 && server->saves < 1)
        doctor_says(doctor, server->saves == 0 ? DOCTOR_BAD : DOCTOR_WARN,
                    "redis.conf: appendonly yes",
                    server->saves == 0
                        ? "the server keeps nothing on disk: a restart forgets all"
                        : "the server writes no append-only file: a crash costs what came since "
                          "the last snapshot, if it saves any");
    else if (server->appends == 0)
        doctor_says(doctor, DOCTOR_WARN, "redis.conf: appendonly yes",
                    "the server saves snapshots alone: a crash costs what came since the last");
    if (server->last_written == 0)
        doctor_says(doctor, DOCTOR_BAD, "read the log of redis-server; INFO persistence",
                    "the server could not write to its disk the last time");
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* How long a read takes, the first of which connects too: 1 or -1. */
static int time_read(struct doctor *doctor, struct store *store, long long *took_us_r)
{
    struct record newest;
    for (int times = 0; times < 2; times++) {
        struct store_page page = {.max = 1};
        int64_t before_us = clock_monotonic_us();
        if (store_decisions(store, doctor->arena, NULL, UINT64_MAX, clock_wall_ms(), &newest,
                            &page) < 0)
            return -1;
        *took_us_r = clock_monotonic_us() - before_us;
    }
    return 1;
}

/* What becomes of mail while it is away. */
static const char *without(const struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    return settings->guard_mode == MODE_OBSERVE ? "all mail passes"
           : settings->store_on_failure == ON_FAILURE_REFUSE
               ? "no mail passes"
               : arena_printf(doctor->arena, "%lld messages of a mailbox pass",
                              (long long)settings->store_emergency);
}

void doctor_store(struct doctor *doctor)
{
    struct store_server server;
    long long took_us;
    freed_by(store_free) struct store *store = NULL;
    freed_by(free_string) char *database = store_url_sqlite_path(doctor->settings->store_url);
    if (database != NULL) /* also where it cannot be opened */
        check_file(doctor, database);
    if (doctor_store_open(doctor, true, &store) < 1)
        return;
    if (time_read(doctor, store, &took_us) < 0) {
        doctor_says(doctor, DOCTOR_BAD, "sendguard-fcgi --check", "a read fails: %s",
                    store_error(store));
        return;
    }
    if (took_us > doctor->settings->store_timeout_ms * 500)
        doctor_says(doctor, DOCTOR_WARN, "look what keeps the database or its disk busy",
                    "a read takes %lld ms; store.timeout is %lld ms", took_us / 1000,
                    (long long)doctor->settings->store_timeout_ms);
    if (store_server(store, &server) == 1)
        check_server(doctor, &server);
    doctor_says(doctor, DOCTOR_OK, NULL, "it answers; a read takes %lld.%lld ms; without it %s",
                took_us / 1000, took_us / 100 % 10, without(doctor));
}

/* ---- clock ---------------------------------------------------------------------------------- */

enum { LITTLE_MS = 2000, FAR_MS = 30000 };
#define SET_CLOCK "timedatectl set-ntp true, on every machine of the store"

static void compare(struct doctor *doctor, int64_t ahead_ms, const char *whose)
{
    int64_t distance_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (distance_ms > LITTLE_MS)
        doctor_says(doctor, distance_ms > FAR_MS ? DOCTOR_BAD : DOCTOR_WARN, SET_CLOCK,
                    "%s is %lld s %s this machine's clock", whose,
                    (long long)distance_ms / SECOND_MS, ahead_ms > 0 ? "ahead of" : "behind");
}

/* Whether something keeps the clock right. */
static void check_ntp(struct doctor *doctor)
{
    static const char *const words[] = {"timedatectl", "show", "-p", "NTPSynchronized", "--value",
                                        NULL};
    const char *said = "";
    if (access("/run/systemd/timesync/synchronized", F_OK) == 0)
        return;
    int status = doctor_program(doctor->arena, words, &said, NULL);
    if (status == 0 && strncmp(said, "no", 2) == 0)
        doctor_says(doctor, DOCTOR_WARN, SET_CLOCK, "the clock is not synchronised by NTP");
    else if (status != 0 || strncmp(said, "yes", 3) != 0)
        doctor_says(doctor, DOCTOR_SKIP, "timedatectl show, or chronyc tracking",
                    "whether NTP keeps the clock right is not known (no answer of timedatectl)");
}

void doctor_clock(struct doctor *doctor)
{
    struct record newest;
    struct store_page page = {.max = 1};
    struct store_server server;
    freed_by(store_free) struct store *store = NULL;
    check_ntp(doctor);
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    if (store_server(store, &server) == 1)
        compare(doctor, server.now_ms - clock_wall_ms(), "the clock of the store's server");
    int64_t now_ms = clock_wall_ms();
    if (store_decisions(store, doctor->arena, NULL, UINT64_MAX, now_ms, &newest, &page) == 1 &&
        page.count == 1 && newest.at_ms > now_ms)
        compare(doctor, newest.at_ms - now_ms, "the newest decision");
    doctor_says(doctor, DOCTOR_OK, NULL, "it agrees with the store, and NTP keeps it right");
}
