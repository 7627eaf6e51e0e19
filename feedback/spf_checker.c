/* Whether the DNS answers is asked for itself, at a fresh resolver without a cache: checks may be
 * hours apart, and a domain whose own servers are away says nothing about ours. */
#include "feedback/spf_checker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "dns/dns.h"
#include "feedback/spf_watch.h"
#include "guard/guard.h"
#include "guard/spf_block.h"

enum { CHECK_MS = 5000, ROUND_MS = 200, PROBE_MS = 30000, PROBE_AWAY_MS = 5000, TELL_MS = 30000 };
enum { EACH_MS = 50 }; /* domains are looked at 20 times a second at most, however many there are */
/* A resolver is used so long: then a change of /etc/resolv.conf takes effect. */
#define RESOLVER_MS HOUR_MS

struct spf_checker {
    struct guard *guard;
    struct store *store;
    struct spf_watch *watch;
    char host[256];
    struct dns *dns;  /* NULL: to be made anew */
    struct dns *fresh; /* of one look, without the answers that `dns` keeps */
    bool answers;
    bool untold; /* domains were looked at since the last word to others */
    /* By the monotonic clock: */
    int64_t made_ms;  /* when `dns` was made */
    int64_t probe_ms; /* of the next probe */
    int64_t probed_ms; /* of the last one */
    int64_t tell_ms;
    struct log_once dns_away, store_away, dns_wrong;
    atomic_bool ending, ended;
    pthread_t thread;
};

void spf_checker_saw(void *self, const char *mailbox)
{
    struct spf_checker *checker = self;
    spf_watch_saw(checker->watch, mailbox, clock_wall_ms());
}

/* ---- the DNS --------------------------------------------------------------------------------- */

/* "1.2.0.192.in-addr.arpa" of 192.0.2.1. */
static const char *reverse_name(struct arena *arena, const char *ip)
{
    struct spf_ip read;
    const char *name = "";
    if (!spf_ip_read(ip, &read))
        return "arpa";
    if (!read.is_v6)
        return arena_printf(arena, "%u.%u.%u.%u.in-addr.arpa", read.bytes[3], read.bytes[2],
                            read.bytes[1], read.bytes[0]);
    for (int i = 15; i >= 0; i--)
        name = arena_printf(arena, "%s%x.%x.", name, read.bytes[i] & 15, read.bytes[i] >> 4);
    return arena_printf(arena, "%sip6.arpa", name);
}

/* A resolver as the settings say; NULL: they name none that can be asked, which is logged. */
static struct dns *open_dns(struct spf_checker *checker, const struct settings *settings)
{
    struct dns *dns = NULL;
    struct problem problem;
    int made = dns_new(settings->spf_resolver.items, settings->spf_resolver.count, &dns, &problem);
    if (log_changed(&checker->dns_wrong, made < 1) && made < 1)
        log_line(LOG_ERROR_LEVEL, "SPF records cannot be looked up", "where", problem.where,
                 "error", problem.text, NULL);
    return dns;
}

/* Whether there is an answer about the first of our addresses, whatever it is. */
static bool is_answered(struct spf_checker *checker, const struct settings *settings)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(dns_free) struct dns *dns = open_dns(checker, settings);
    struct spf_found found;
    if (dns == NULL)
        return false;
    dns_begin(dns, CHECK_MS);
    return dns_look_up(dns, arena, reverse_name(arena, settings->spf_outgoing.items[0]),
                       SPF_TYPE_PTR, &found) != SPF_LOOKUP_FAILED;
}

/* After an outage the resolver is made anew: it has learnt to avoid those that did not answer. */
static void probe(struct spf_checker *checker, const struct settings *settings)
{
    if (clock_monotonic_ms() < checker->probe_ms)
        return;
    checker->probed_ms = clock_monotonic_ms();
    bool answers = is_answered(checker, settings);
    if (log_changed(&checker->dns_away, !answers))
        log_line(answers ? LOG_INFO_LEVEL : LOG_ERROR_LEVEL,
                 answers ? "the DNS answers again" : "the DNS does not answer: SPF records wait",
                 NULL);
    if (answers != checker->answers) {
        checker->tell_ms = 0;
        dns_free(&checker->dns);
    }
    checker->answers = answers;
    checker->probe_ms = clock_monotonic_ms() + (answers ? PROBE_MS : PROBE_AWAY_MS);
}

/* ---- names of a look ------------------------------------------------------------------------- */

/* A look under way. */
struct looking_up {
    struct spf_checker *checker;
    const struct settings *settings;
    struct dns *dns; /* NULL: none can be asked */
    bool failed;     /* a look-up did */
};

static void begin(void *self, bool fresh)
{
    struct looking_up *looking = self;
    struct spf_checker *checker = looking->checker;
    if (fresh)
        checker->fresh = open_dns(checker, looking->settings);
    looking->dns = fresh ? checker->fresh : checker->dns;
    if (looking->dns != NULL)
        dns_begin(looking->dns, CHECK_MS);
}

static enum spf_lookup look_up(void *self, struct arena *arena, const char *name,
                               enum spf_type type, struct spf_found *found_r)
{
    struct looking_up *looking = self;
    enum spf_lookup looked = looking->dns == NULL
                                 ? SPF_LOOKUP_FAILED
                                 : dns_look_up(looking->dns, arena, name, type, found_r);
    looking->failed = looking->failed || looked == SPF_LOOKUP_FAILED;
    return looked;
}

static int64_t ttl_ms(void *self)
{
    const struct looking_up *looking = self;
    return looking->dns != NULL ? dns_ttl_ms(looking->dns) : INT64_MAX;
}

/* ---- a round --------------------------------------------------------------------------------- */

static int store_failed(struct spf_checker *checker, int answer)
{
    if (log_changed(&checker->store_away, answer < 0))
        log_line(answer < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 answer < 0 ? "store does not answer: SPF records wait" : "store answers again",
                 "error", answer < 0 ? store_error(checker->store) : "", NULL);
    return answer;
}

/* A look-up that failed may be the first of all: whether any is answered is asked soon. */
static void probe_soon(struct spf_checker *checker)
{
    int64_t soon_ms = checker->probed_ms + PROBE_AWAY_MS;
    checker->probe_ms = soon_ms < checker->probe_ms ? soon_ms : checker->probe_ms;
}

/* Looks at one domain: as spf_watch_check. */
static int check(struct spf_checker *checker, const struct settings *settings)
{
    int64_t now_ms = clock_monotonic_ms();
    if (checker->dns != NULL && now_ms >= checker->made_ms + RESOLVER_MS)
        dns_free(&checker->dns);
    if (checker->dns == NULL) {
        checker->dns = open_dns(checker, settings);
        checker->made_ms = now_ms;
    }
    if (checker->dns == NULL)
        return 0;
    struct looking_up looking = {.checker = checker, .settings = settings};
    const struct spf_watch_names names = {{look_up, &looking}, begin, ttl_ms};
    int answer = spf_watch_check(checker->watch, &settings->spf_outgoing, &names, clock_wall_ms());
    dns_free(&checker->fresh);
    if (looking.failed)
        probe_soon(checker);
    return answer;
}

/* 1 there may be more to do; 0 not now. */
static int go_on(struct spf_checker *checker, const struct settings *settings, enum spf_mode mode)
{
    int settled;
    do
        settled = spf_watch_settle(checker->watch, mode, clock_wall_ms());
    while (settled > 0 && !checker->ending);
    if (settled != 0 || mode == SPF_MODE_OFF)
        return store_failed(checker, settled) > 0;
    probe(checker, settings);
    int answer = checker->answers ? check(checker, settings) : 0;
    int64_t now_ms = clock_monotonic_ms();
    checker->untold = checker->untold || answer > 0;
    if ((answer == 0 && checker->untold) || (answer >= 0 && now_ms >= checker->tell_ms)) {
        checker->untold = false;
        if (spf_watch_tell(checker->watch, checker->answers, clock_wall_ms()) < 0)
            answer = -1;
        checker->tell_ms = now_ms + TELL_MS;
    }
    return store_failed(checker, answer) > 0;
}

static void *run(void *context)
{
    struct spf_checker *checker = context;
    while (!checker->ending) {
        freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(checker->guard);
        const struct settings *settings = snapshot_settings(snapshot);
        bool off = settings->spf_outgoing.count == 0;
        bool more = go_on(checker, settings, off ? SPF_MODE_OFF : spf_block_mode(settings));
        nanosleep(&(struct timespec){.tv_nsec = (more ? EACH_MS : ROUND_MS) * 1000000L}, NULL);
    }
    checker->ended = true;
    return NULL;
}

struct spf_checker *spf_checker_start(const struct daemon *daemon)
{
    struct spf_checker *checker = xcalloc(1, sizeof *checker);
    checker->guard = daemon->guard;
    checker->store = daemon->store;
    gethostname(checker->host, sizeof checker->host - 1);
    checker->watch = spf_watch_new(checker->store, checker->host);
    if (pthread_create(&checker->thread, NULL, run, checker) == 0)
        return checker;
    log_line(LOG_ERROR_LEVEL, "no thread for SPF records", NULL);
    spf_watch_free(&checker->watch);
    free(checker);
    return NULL;
}

int spf_checker_stop(struct spf_checker **checker, int timeout_ms)
{
    (*checker)->ending = true;
    for (int waited = 0; !(*checker)->ended && waited < timeout_ms; waited += 10)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
    if (!(*checker)->ended)
        return -1;
    pthread_join((*checker)->thread, NULL);
    spf_watch_free(&(*checker)->watch);
    dns_free(&(*checker)->dns);
    free(*checker);
    *checker = NULL;
    return 1;
}
