#include "feedback/log_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "feedback/follower.h"
#include "feedback/log_source.h"
#include "guard/guard.h"

/* Lines that come one by one are written together, so often. */
#define WRITE_MS 200
/* A look at whether to end, at least so often. */
#define WAIT_MS 200
#define RETRY_MS 1000

struct log_reader {
    struct store *store;
    const struct token_key *key;
    struct guard *guard;
    struct spf_checker *checker; /* NULL: nobody looks at SPF records */
    struct snapshot *snapshot;   /* the settings of this round */
    char *spec, *source;
    struct zone *zone; /* of the stamps in a file */
    struct mail_log_clock clock;
    struct log_source *log;
    struct follower *follower; /* NULL: to be made anew */
    struct log_once store_away, log_unreadable, other_follower;
    int64_t written_ms; /* by the monotonic clock */
    uint64_t lines;     /* since then */
    atomic_bool ending, ended;
    pthread_t thread;
};

/* A machine has one log of a kind: machines that share a store are told apart by their names. */
static struct log_reader *log_reader_new(const struct daemon *daemon)
{
    char host[256] = "";
    struct log_reader *reader = xcalloc(1, sizeof *reader);
    gethostname(host, sizeof host - 1);
    reader->store = daemon->store;
    reader->key = daemon->key;
    reader->guard = daemon->guard;
    reader->spec = xstrdup(daemon->settings->feedback_source);
    reader->zone = zone_open_local();
    reader->source = xasprintf("%s %s", host, reader->spec);
    return reader;
}

static void log_reader_free(struct log_reader **reader)
{
    follower_free(&(*reader)->follower);
    log_source_free(&(*reader)->log);
    snapshot_release(&(*reader)->snapshot);
    zone_free(&(*reader)->zone);
    free((*reader)->spec);
    free((*reader)->source);
    free(*reader);
    *reader = NULL;
}

/* ---- making anew ------------------------------------------------------------------------------- */

static void forget(struct log_reader *reader)
{
    follower_free(&reader->follower);
    log_source_free(&reader->log);
}

static int store_failed(struct log_reader *reader)
{
    if (log_changed(&reader->store_away, 1))
        log_line(LOG_ERROR_LEVEL, "store does not answer: the log waits", "error",
                 store_error(reader->store), NULL);
    forget(reader);
    return -1;
}

static int log_failed(struct log_reader *reader, const struct problem *problem)
{
    if (log_changed(&reader->log_unreadable, 1))
        log_line(LOG_ERROR_LEVEL, "the mail server's log cannot be read", "where", problem->where,
                 "error", problem->text, NULL);
    return -1;
}

/* From the place that the store has. 1 or -1. */
static int begin(struct log_reader *reader)
{
    struct problem problem;
    if (follower_new(reader->store, reader->key, reader->source, clock_wall_ms(),
                     &reader->follower) < 0)
        return store_failed(reader);
    if (reader->checker != NULL)
        follower_tell(reader->follower, spf_checker_saw, reader->checker);
    if (log_changed(&reader->store_away, 0))
        log_line(LOG_INFO_LEVEL, "store answers again", NULL);
    if (log_source_open(reader->spec, follower_place(reader->follower), &reader->log,
                        &problem) < 1) {
        forget(reader);
        return log_failed(reader, &problem);
    }
    reader->lines = 0;
    reader->clock = (struct mail_log_clock){.zone = reader->zone};
    return 1;
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void tell_notices(struct log_reader *reader)
{
    struct log_source_notice notice;
    while (log_source_notice(reader->log, &notice) > 0) {
        char count[24];
        snprintf(count, sizeof count, "%lld", (long long)notice.count);
        log_line(LOG_WARNING_LEVEL, log_source_notice_text(notice.what), "source", reader->source,
                 "count", count, NULL);
    }
}

/* 1; 0 another follower was faster; -1. */
static int write_down(struct log_reader *reader)
{
    freed_by(text_free) struct text place = {0};
    tell_notices(reader);
    log_source_cursor(reader->log, &place);
    int answer = follower_write(reader->follower, text_string(&place), clock_wall_ms());
    reader->written_ms = clock_monotonic_ms();
    reader->lines = 0;
    if (answer < 0)
        return store_failed(reader);
    if (log_changed(&reader->other_follower, answer == 0))
        log_line(answer == 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 answer == 0 ? "another program follows the same log; nothing counts twice"
                             : "no other program follows the log any more",
                 "source", reader->source, NULL);
    if (answer == 0)
        forget(reader);
    return answer;
}

/* What the journal keeps apart, or what stands in a line of a file. 1; 0: it is none of interest. */
static int split(struct log_reader *reader, const struct log_source_line *from,
                 struct mail_log_line *line_r)
{
    if (from->identifier == NULL)
        return mail_log_split(from->text, from->length, &reader->clock, line_r);
    *line_r = (struct mail_log_line){
        .stamp_us = from->at_us, .pid = from->pid, .count = 1,
        .program = mail_log_program(from->identifier, strlen(from->identifier)),
        .body = {from->text, from->length}};
    return 1;
}

static void pause_ms(int ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL); }

static int take_line(struct log_reader *reader, const struct log_source_line *from)
{
    struct mail_log_line line;
    int answer;
    reader->lines++;
    if (!split(reader, from, &line))
        return 1;
    while ((answer = follower_line(reader->follower, &line, clock_wall_ms())) == 0)
        pause_ms(FOLLOWER_AGAIN_MS);
    return answer < 0 ? store_failed(reader) : 1;
}

static bool is_time_to_write(const struct log_reader *reader)
{
    return reader->lines >= FOLLOWER_LINES_MAX || follower_is_full(reader->follower);
}

/* The log was read to its end. */
static int rest(struct log_reader *reader)
{
    int64_t now_ms = clock_wall_ms();
    tell_notices(reader);
    if (follower_read_until(reader->follower, now_ms, now_ms) < 0)
        return store_failed(reader);
    if (!follower_has_changes(reader->follower))
        return 1;
    if (!is_time_to_write(reader) && clock_monotonic_ms() < reader->written_ms + WRITE_MS)
        return 1;
    return write_down(reader);
}

/* Reads what is there, at most until the next writing. 1 there is more; 0 this was the end; -1 or
 * the store, the log or another follower is in the way. */
static int read_lines(struct log_reader *reader)
{
    struct log_source_line line;
    struct problem problem;
    int answer;
    while ((answer = log_source_next(reader->log, &line, &problem)) > 0) {
        if (take_line(reader, &line) < 0)
            return -1;
        if (is_time_to_write(reader))
            return write_down(reader) < 1 ? -1 : 1;
    }
    if (answer < 0)
        return log_failed(reader, &problem);
    if (log_changed(&reader->log_unreadable, 0))
        log_line(LOG_INFO_LEVEL, "the mail server's log can be read again", NULL);
    return 0;
}

/* One round. Returns as read_lines. */
static int go_on(struct log_reader *reader)
{
    if (reader->follower == NULL && begin(reader) < 0)
        return -1;
    reader->clock.reference_us = clock_wall_ms() * 1000;
    snapshot_release(&reader->snapshot);
    reader->snapshot = guard_snapshot(reader->guard);
    follower_set_settings(reader->follower, snapshot_settings(reader->snapshot));
    int answer = read_lines(reader);
    if (answer == 0 && rest(reader) < 1)
        return -1;
    return answer;
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static void *run(void *context)
{
    struct log_reader *reader = context;
    while (!reader->ending) {
        int answer = go_on(reader);
        if (answer == 0)
            log_source_wait(reader->log, WAIT_MS);
        for (int waited = 0; answer < 0 && waited < RETRY_MS && !reader->ending;
             waited += WAIT_MS)
            pause_ms(WAIT_MS);
    }
    if (reader->follower != NULL && follower_has_changes(reader->follower))
        write_down(reader);
    reader->ended = true;
    return NULL;
}

struct log_reader *log_reader_start(const struct daemon *daemon, struct spf_checker *checker)
{
    struct log_reader *reader = log_reader_new(daemon);
    reader->checker = checker;
    if (pthread_create(&reader->thread, NULL, run, reader) != 0) {
        log_reader_free(&reader);
        return NULL;
    }
    return reader;
}

int log_reader_stop(struct log_reader **reader, int timeout_ms)
{
    (*reader)->ending = true;
    for (int waited = 0; !(*reader)->ended && waited < timeout_ms; waited += 10)
        pause_ms(10);
    if (!(*reader)->ended)
        return -1;
    pthread_join((*reader)->thread, NULL);
    log_reader_free(reader);
    return 1;
}

int log_reader_once(const struct daemon *daemon)
{
    struct log_reader *reader = log_reader_new(daemon);
    int answer;
    while ((answer = go_on(reader)) > 0)
        ;
    if (answer == 0 && follower_has_changes(reader->follower))
        answer = write_down(reader) > 0 ? 0 : -1;
    log_reader_free(&reader);
    return answer == 0 ? PROGRAM_OK : PROGRAM_FAILED;
}
