/* The journal of systemd: entries of Postfix' units alone. The fields with an underscore before
 * them are journald's own, so a line that another service or user sends to /dev/log is none.
 *
 * A command that Postfix runs for a user (a line of ~/.forward, say) runs inside the unit, and may
 * log under any name too: entries count if root or the user `postfix` sent them, as Postfix' own
 * programs do. */
#include "feedback/log_source_inside.h"

#ifdef SENDGUARD_JOURNAL

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

/* SD_MESSAGE_JOURNAL_DROPPED of sd-messages.h, as a match. */
#define DROPPED "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e"

struct journal_source {
    struct log_source base;
    sd_journal *journal;
    uid_t postfix;
    struct text cursor; /* behind what was read; of an earlier reader: to be found again */
    bool resumes;       /* the next entry shows whether `cursor` is still there */
    bool cursor_is_old; /* more was read since */
    struct text text, identifier;
};

/* What of an entry is looked at. */
struct entry {
    struct text *text, *identifier;
    bool of_postfix, has_identifier;
    int64_t uid, pid, at_us, dropped;
    bool dropped_of_postfix;
};

static int trouble(const char *what, int error, struct problem *problem)
{
    problem_set(problem, 0, "journal", "%s: %s", what, strerror(-error));
    return -1;
}

/* "postfix.service", "postfix@-.service" */
static bool is_unit_of_postfix(const char *unit, size_t length)
{
    static const char name[] = "postfix";
    return length > strlen(name) && memcmp(unit, name, strlen(name)) == 0 &&
           (unit[strlen(name)] == '.' || unit[strlen(name)] == '@');
}

/* A field's value, when `data` is that field. */
static const char *value_of(const char *data, size_t length, const char *field, size_t *length_r)
{
    size_t name = strlen(field);
    if (length <= name || memcmp(data, field, name) != 0 || data[name] != '=')
        return NULL;
    *length_r = length - name - 1;
    return data + name + 1;
}

static bool take_number(const char *data, size_t length, const char *field, int64_t *number_r)
{
    char digits[24] = "";
    size_t count;
    const char *value = value_of(data, length, field, &count);
    if (value == NULL || count >= sizeof digits)
        return false;
    memcpy(digits, value, count);
    *number_r = strtoll(digits, NULL, 10);
    return true;
}

static bool take_text(const char *data, size_t length, const char *field, struct text *text)
{
    size_t count;
    const char *value = value_of(data, length, field, &count);
    if (value == NULL)
        return false;
    text_clear(text);
    text_add_bytes(text, value, count);
    return true;
}

static void take_field(struct entry *entry, const char *data, size_t length)
{
    size_t count;
    const char *unit;
    if (take_text(data, length, "MESSAGE", entry->text) ||
        take_number(data, length, "_UID", &entry->uid) ||
        take_number(data, length, "_PID", &entry->pid) ||
        take_number(data, length, "_SOURCE_REALTIME_TIMESTAMP", &entry->at_us) ||
        take_number(data, length, "N_DROPPED", &entry->dropped))
        return;
    if (take_text(data, length, "SYSLOG_IDENTIFIER", entry->identifier))
        entry->has_identifier = true;
    else if ((unit = value_of(data, length, "_SYSTEMD_UNIT", &count)) != NULL)
        entry->of_postfix = is_unit_of_postfix(unit, count);
    else if ((unit = value_of(data, length, "OBJECT_SYSTEMD_UNIT", &count)) != NULL)
        entry->dropped_of_postfix = is_unit_of_postfix(unit, count);
}

/* The entry that the journal is at. 1 a line, 0 none, or -errno. */
static int read_entry(struct journal_source *source, struct log_source_line *line_r)
{
    struct entry entry = {.text = &source->text, .identifier = &source->identifier, .uid = -1};
    const void *data;
    size_t length;
    int got;
    text_clear(&source->text);
    sd_journal_restart_data(source->journal);
    while ((got = sd_journal_enumerate_available_data(source->journal, &data, &length)) > 0)
        take_field(&entry, data, length);
    if (got < 0)
        return got;
    if (entry.dropped_of_postfix)
        source->base.noticed[LOG_SOURCE_SUPPRESSED] += entry.dropped;
    if (!entry.of_postfix || !entry.has_identifier ||
        (entry.uid != 0 && entry.uid != source->postfix) ||
        strncmp(text_string(&source->identifier), "postfix", strlen("postfix")) != 0)
        return 0;
    uint64_t received_us = 0;
    if (entry.at_us == 0 && sd_journal_get_realtime_usec(source->journal, &received_us) >= 0)
        entry.at_us = (int64_t)received_us;
    bool cut = source->text.length > LOG_SOURCE_LINE_MAX;
    source->base.noticed[LOG_SOURCE_LINES_CUT] += cut;
    *line_r = (struct log_source_line){
        .text = text_string(&source->text),
        .length = cut ? LOG_SOURCE_LINE_MAX : source->text.length,
        .identifier = text_string(&source->identifier),
        .at_us = entry.at_us,
        .pid = (pid_t)entry.pid,
    };
    return 1;
}

/* Keeps the place as text: the journal forgets it when the file of its entry is removed. */
static void keep_cursor(struct journal_source *source)
{
    char *cursor = NULL;
    if (source->cursor_is_old && sd_journal_get_cursor(source->journal, &cursor) >= 0) {
        text_clear(&source->cursor);
        text_add(&source->cursor, cursor);
        source->cursor_is_old = false;
    }
    free(cursor);
}

/* Goes to the next entry that was not read: 1, 0 there is none now, -1. */
static int next_entry(struct journal_source *source, struct problem *problem)
{
    for (int tries = 0;;) {
        int got = sd_journal_next(source->journal);
        if (got < 0)
            return trouble("cannot be read", got, problem);
        if (got == 0) {
            keep_cursor(source);
            /* journald may have begun another file */
            if (tries++ > 0 || sd_journal_process(source->journal) == SD_JOURNAL_NOP)
                return 0;
            continue;
        }
        bool was_read = source->resumes &&
                        sd_journal_test_cursor(source->journal, text_string(&source->cursor)) > 0;
        if (source->resumes && !was_read)
            source->base.noticed[LOG_SOURCE_CURSOR_LOST]++;
        source->resumes = false;
        if (!was_read)
            return 1;
    }
}

static int journal_next(struct log_source *base, struct log_source_line *line_r,
                        struct problem *problem)
{
    struct journal_source *source = (struct journal_source *)base;
    int got;
    while ((got = next_entry(source, problem)) == 1) {
        source->cursor_is_old = true;
        int line = read_entry(source, line_r);
        if (line == 1)
            return 1;
        /* -EBADMSG: the entry is damaged, and the next one need not be */
        if (line < 0 && line != -EBADMSG)
            return trouble("cannot be read", line, problem);
    }
    if (got == 0 && sd_journal_has_runtime_files(source->journal) <= 0 &&
        sd_journal_has_persistent_files(source->journal) <= 0) {
        problem_set(problem, 0, "journal", "there is none that this user can read: expected a "
                                           "member of the group systemd-journal");
        return -1;
    }
    return got;
}

static void journal_cursor(struct log_source *base, struct text *cursor)
{
    struct journal_source *source = (struct journal_source *)base;
    keep_cursor(source);
    text_add(cursor, text_string(&source->cursor));
}

static void journal_wait(struct log_source *base, int wait_ms)
{
    struct journal_source *source = (struct journal_source *)base;
    (void)sd_journal_wait(source->journal, (uint64_t)wait_ms * 1000);
}

static void journal_free(struct log_source *base)
{
    struct journal_source *source = (struct journal_source *)base;
    sd_journal_close(source->journal);
    text_free(&source->cursor);
    text_free(&source->text);
    text_free(&source->identifier);
    free(source);
}

/* All instances of postfix@.service lie in one slice, unless their units say otherwise. 0 or
 * -errno. */
static int add_matches(sd_journal *journal)
{
    static const char *const matches[] = {
        "_SYSTEMD_SLICE=system-postfix.slice", NULL,
        "_SYSTEMD_UNIT=postfix.service", "_SYSTEMD_UNIT=postfix@-.service", NULL,
        "_TRANSPORT=driver", DROPPED,
    };
    int result = 0;
    for (size_t i = 0; i < countof(matches) && result >= 0; i++)
        result = matches[i] == NULL ? sd_journal_add_disjunction(journal)
                                    : sd_journal_add_match(journal, matches[i], 0);
    return result;
}

/* Behind the cursor, or at the oldest entry. 0 or -errno. */
static int go_to(struct journal_source *source, const char *cursor)
{
    if (cursor == NULL || *cursor == '\0')
        return sd_journal_seek_head(source->journal);
    source->resumes = sd_journal_seek_cursor(source->journal, cursor) >= 0;
    if (source->resumes) {
        text_add(&source->cursor, cursor);
        return 0;
    }
    source->base.noticed[LOG_SOURCE_CURSOR_LOST]++;
    return sd_journal_seek_head(source->journal);
}

int log_source_journal_open(const char *folder, const char *cursor, struct log_source **source_r,
                            struct problem *problem)
{
    static const struct log_source_kind kind = {journal_next, journal_cursor, journal_wait,
                                                journal_free};
    sd_journal *journal = NULL;
    int opened = folder == NULL
                     ? sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM)
                     : sd_journal_open_directory(&journal, folder, 0);
    if (opened < 0)
        return trouble("cannot be opened", opened, problem) + 1;
    struct journal_source *source = xcalloc(1, sizeof *source);
    source->base.kind = &kind;
    source->journal = journal;
    const struct passwd *postfix = getpwnam("postfix");
    source->postfix = postfix == NULL ? 0 : postfix->pw_uid;
    int result = sd_journal_set_data_threshold(
        journal, strlen("MESSAGE=") + LOG_SOURCE_LINE_MAX + 1);
    if (result >= 0)
        result = sd_journal_get_fd(journal); /* from now on it watches its files */
    if (result >= 0)
        result = add_matches(journal);
    if (result >= 0)
        result = go_to(source, cursor);
    if (result < 0) {
        journal_free(&source->base);
        return trouble("cannot be opened", result, problem) + 1;
    }
    *source_r = &source->base;
    return 1;
}

#else

int log_source_journal_open(const char *folder, const char *cursor, struct log_source **source_r,
                            struct problem *problem)
{
    (void)folder;
    (void)cursor;
    (void)source_r;
    return problem_set(problem, 0, "journal",
                       "this program was built without libsystemd: expected \"file:/PATH\"");
}

#endif
