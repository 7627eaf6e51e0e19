/* What a power cut leaves of a SQLite store to which two programs write at full load: with full
 * durability all that was answered; else all but the newest, of the time since the system wrote to
 * the disk by itself. Without syncs the same checks find that the database is damaged. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/records.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/disk.h"

enum {
    THREADS = 4,
    MAILBOXES = 25,       /* of each thread */
    SUSPENDS_EACH = 20,   /* one act of so many is a suspension */
    CUTS = 40,
    CUTS_MAX = 200, /* until one finds what has to be found */
    ANY_MAX = 3000,       /* writes and syncs to a cut */
    RARE_MAX = 400,
    WRITE_BACK_EACH = 10, /* cuts */
    SUSPENDED_MAX = 200,  /* a page */
    LOOKED_AT = 20,       /* acts before and behind the last that is left */
};

/* A thread does one act after the other: it judges a message, or suspends a mailbox of its own. */
static struct sender {
    pthread_t thread;
    int number;
    struct store *to;
    _Atomic int answered;   /* so many acts */
    int answered_before_cut; /* at the moment of the cut */
    int on_disk;             /* that the system has written by itself */
} senders[THREADS];
static struct store *other; /* as another program has it: every second sender's */
static _Atomic bool ends;

/* ---- load --------------------------------------------------------------------- */

static bool suspends(int act) { return act % SUSPENDS_EACH == SUSPENDS_EACH - 1; }

static const char *mailbox_of(struct arena *own, int sender, int act)
{
    return suspends(act)
               ? arena_printf(own, "held-%d-%d@example.test", sender, act)
               : arena_printf(own, "user-%d-%d@example.test", sender, act % MAILBOXES);
}

static struct message message_of_act(struct arena *own, int sender, int act)
{
    struct message message = message_of(mailbox_of(own, sender, act),
                                        arena_printf(own, "%d", act), NOW + act);
    message.request.arena = own;
    message.request.ip = NULL;
    for (size_t i = 0; i < message.request.window_count; i++)
        message.request.windows[i].limit = LIMIT_OFF;
    return message;
}

static void suspend(struct store *to, const char *mailbox, int64_t now_ms)
{
    struct suspension suspension;
    const struct durations durations = {.count = 1, .ms = {DAY_MS}};
    const struct action action = action_at(now_ms);
    ck_assert_msg(store_suspend(to, mailbox, CAUSE_STAFF, &durations, &action,
                                &suspension) == 1, "%s", store_error(to));
}

static void *act(void *context)
{
    struct sender *self = context;
    struct arena *own = arena_new();
    for (int act = 0; !ends; act++) {
        if (suspends(act)) {
            suspend(self->to, mailbox_of(own, self->number, act), NOW + act);
        } else {
            struct message message = message_of_act(own, self->number, act);
            ck_assert_msg(store_judge(self->to, &message.request, &message.result) == 1, "%s",
                          store_error(self->to));
            ck_assert_int_eq(message.result.outcome, OUTCOME_ADMITTED);
        }
        self->answered = act + 1;
        arena_reset(own);
    }
    arena_free(&own);
    return NULL;
}

static void begin(bool full_durability)
{
    static char url[FOLDER_SIZE + 32];
    const struct store_options options = {.timeout_ms = 60000,
                                          .full_durability = full_durability};
    struct problem problem;
    snprintf(url, sizeof url, "sqlite://%s/store.db", folder);
    disk_watch(url + strlen("sqlite://"));
    arena = arena_new();
    ck_assert_msg(store_open(url, &options, &store, &problem) == 1, "%s", problem.text);
    ck_assert_msg(store_open(url, &options, &other, &problem) == 1, "%s", problem.text);
    for (int i = 0; i < THREADS; i++) {
        senders[i].number = i;
        senders[i].to = i % 2 == 0 ? store : other;
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, act, &senders[i]), 0);
    }
}

static void end(void)
{
    ends = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i].thread, NULL);
    ck_assert(disk_is_complete());
    store_free(&other);
    store_free(&store);
    arena_free(&arena);
}

/* ---- what is left --------------------------------------------------------------- */

struct findings {
    int cuts;
    int damaged;  /* databases that are none, have a message or suspension without one before, or
                     do not know messages that they count */
    int lost;     /* that lack something answered */
    int lost_old; /* that lack something the system had written by itself */
};

static void remember(void *context)
{
    (void)context;
    for (int i = 0; i < THREADS; i++)
        senders[i].answered_before_cut = senders[i].answered;
}

static bool is_whole(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *check = NULL;
    bool whole = sqlite3_open(path, &db) == SQLITE_OK &&
                 sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL) == SQLITE_OK &&
                 sqlite3_step(check) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;
    sqlite3_finalize(check);
    sqlite3_close(db);
    return whole;
}

/* Of each sender the suspensions; false where the store does not say. */
static bool count_suspended(struct store *left, int counts_r[THREADS])
{
    static struct suspended suspended[SUSPENDED_MAX];
    struct store_page page = {.max = SUSPENDED_MAX, .more = true};
    char after[sizeof suspended->mailbox] = "";
    memset(counts_r, 0, THREADS * sizeof *counts_r);
    while (page.more) {
        page.count = 0;
        if (store_suspended(left, after, NOW, suspended, &page) != 1)
            return false;
        for (size_t i = 0; i < page.count; i++)
            counts_r[suspended[i].mailbox[strlen("held-")] - '0']++;
        if (page.count > 0)
            memcpy(after, suspended[page.count - 1].mailbox, sizeof after);
    }
    return true;
}

/* How many acts of the sender the store has, when they are its first ones; else -1. */
static int count_acts(struct store *left, int sender, int suspended)
{
    size_t counts[MAILBOXES], acts = (size_t)suspended;
    for (int i = 0; i < MAILBOXES; i++) {
        struct account account;
        const char *mailbox = arena_printf(arena, "user-%d-%d@example.test", sender, i);
        if (store_account(left, arena, mailbox, NOW, &account) != 1)
            return -1;
        acts += counts[i] = account.history.count;
    }
    for (size_t act = 0; act < acts; act++) {
        if (suspends((int)act))
            suspended--;
        else if (counts[act % MAILBOXES]-- == 0)
            return -1;
    }
    return suspended == 0 ? (int)acts : -1;
}

/* Whether the messages about the last act that is left are known, or are not, as they should be. */
static bool knows_ids(struct store *left, int sender, int acts)
{
    for (int act = acts < LOOKED_AT ? 0 : acts - LOOKED_AT; act < acts + LOOKED_AT; act++) {
        struct message message = message_of_act(arena, sender, act);
        message.request.dry_run = true;
        if (!suspends(act) &&
            (store_judge(left, &message.request, &message.result) != 1 ||
             (message.result.outcome == OUTCOME_REPEATED) != (act < acts)))
            return false;
    }
    return true;
}

static void look_at(const char *path, struct findings *findings)
{
    bool damaged = !is_whole(path), lost = false, lost_old = false;
    int suspended[THREADS];
    struct store *left = backend_open(arena_printf(arena, "sqlite://%s", path), 60000);
    damaged = damaged || !count_suspended(left, suspended);
    for (int i = 0; i < THREADS && !damaged; i++) {
        int acts = count_acts(left, i, suspended[i]);
        damaged = acts < 0 || !knows_ids(left, i, acts);
        lost = lost || acts < senders[i].answered_before_cut;
        lost_old = lost_old || acts < senders[i].on_disk;
    }
    store_free(&left);
    findings->cuts++;
    findings->damaged += damaged;
    findings->lost += !damaged && lost;
    findings->lost_old += !damaged && lost_old;
}

/* Half a minute passes: the acts that were answered before are on the disk. */
static void write_back(void)
{
    for (int i = 0; i < THREADS; i++)
        senders[i].on_disk = senders[i].answered;
    disk_write_back();
}

static void cut_once(struct findings *findings)
{
    static const int shares[] = {0, 0, 50, 95, 100};
    const char *path = arena_printf(arena, "%s/left.db", folder);
    bool rare = percent(50);
    const struct disk_cut cut = {.after = 1 + below(rare ? RARE_MAX : ANY_MAX), .rare = rare,
                                 .share = shares[below(countof(shares))], .to = path,
                                 .remember = remember};
    disk_cut_at(&cut);
    disk_wait_for_cut();
    look_at(path, findings);
    if (findings->cuts % WRITE_BACK_EACH == 0)
        write_back();
    disk_go_on();
    arena_reset(arena);
}

static void tell(const struct findings *findings)
{
    printf("about %d messages, %d power cuts: %d databases damaged, %d without something answered, "
           "%d without something old\n", senders[0].answered * THREADS, findings->cuts,
           findings->damaged, findings->lost, findings->lost_old);
    fflush(stdout);
}

/* ---- tests ------------------------------------------------------------------------ */

START_TEST(test_full)
{
    struct findings findings = {0};
    begin(true);
    for (int i = 0; i < times(CUTS); i++)
        cut_once(&findings);
    tell(&findings);
    end();
    ck_assert_int_eq(findings.damaged, 0);
    ck_assert_int_eq(findings.lost, 0);
}
END_TEST

START_TEST(test_normal)
{
    struct findings findings = {0};
    begin(false);
    for (int i = 0; i < times(CUTS) || (findings.lost == 0 && i < CUTS_MAX); i++)
        cut_once(&findings);
    tell(&findings);
    end();
    ck_assert_int_eq(findings.damaged, 0);
    ck_assert_int_eq(findings.lost_old, 0);
    ck_assert_int_gt(findings.lost, 0);
}
END_TEST

/* What the other tests look for is found where it is. */
START_TEST(test_without_syncs)
{
    struct findings findings = {0};
    disk_obey_syncs(false);
    begin(true);
    while ((findings.damaged == 0 || findings.lost == 0) && findings.cuts < CUTS_MAX)
        cut_once(&findings);
    tell(&findings);
    end();
    ck_assert_int_gt(findings.damaged, 0);
    ck_assert_int_gt(findings.lost, 0);
}
END_TEST

static void make_folder(void) { folder_make(folder); }
static void remove_folder(void) { folder_remove(folder); }

static Suite *suite(void)
{
    Suite *suite = suite_create("store power");
    TCase *cases = tcase_create("power");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, test_full);
    tcase_add_test(cases, test_normal);
    tcase_add_test(cases, test_without_syncs);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void) { return backends_run_apart(suite()); }
