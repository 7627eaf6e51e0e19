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

#define NO_FILES                                                                              \
    "there is none that this user can read: expected a member of the group systemd-journal"

struct journal_source {
    struct log_source base;
    sd_journal *journal;
    bool of_folder;
    uid_t postfix;
    struct text cursor; /* behind what was read; of an earlier reader: to be found again */
    bool resumes;       /* the next entry shows whether `cursor` is still there */
    bool cursor_is_old; /* more was read since */
    struct text text, identifier;
};

/* What of an entry is looked at. */
struct journal_entry {
    struct text *text, *identifier;
    bool of_postfix, dropped_of_postfix;
    int64_t uid, pid, at_us, dropped;
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

enum journal_field {
    FIELD_MESSAGE,
    FIELD_IDENTIFIER,
    FIELD_UID,
    FIELD_PID,
    FIELD_TIME,
    FIELD_UNIT,
    FIELD_DROPPED,
    FIELD_DROPPED_UNIT,
    FIELD_OTHER
};

/* Which field it is, and its value. */
static enum journal_field field_of(const char *data, size_t length, const char **value_r,
                                   size_t *length_r)
{
#define NAME(text) {text, sizeof text - 1}
    static const struct {
        const char *text;
        size_t length;
    } names[FIELD_OTHER] = {
        [FIELD_MESSAGE] = NAME("MESSAGE="),
        [FIELD_IDENTIFIER] = NAME("SYSLOG_IDENTIFIER="),
        [FIELD_UID] = NAME("_UID="),
        [FIELD_PID] = NAME("_PID="),
        [FIELD_TIME] = NAME("_SOURCE_REALTIME_TIMESTAMP="),
        [FIELD_UNIT] = NAME("_SYSTEMD_UNIT="),
        [FIELD_DROPPED] = NAME("N_DROPPED="),
        [FIELD_DROPPED_UNIT] = NAME("OBJECT_SYSTEMD_UNIT="),
    };
#undef NAME
    const char *equals = memchr(data, '=', length);
    size_t name = equals == NULL ? 0 : (size_t)(equals - data) + 1;
    enum journal_field field = FIELD_MESSAGE;
    while (field < FIELD_OTHER &&
           (names[field].length != name || memcmp(names[field].text, data, name) != 0))
        field++;
    *value_r = data + name;
    *length_r = length - name;
    return field;
}

static int64_t number_of(const char *value, size_t length)
{
    int64_t number = 0;
    for (size_t i = 0; i < length && i < 18; i++)
        number = number * 10 + (value[i] - '0');
    return number;
}

static void take_text(struct text *text, const char *value, size_t length)
{
    text_clear(text);
    text_add_bytes(text, value, length);
}

static void take_field(struct journal_entry *entry, const char *data, size_t length)
{
    const char *value;
    size_t count;
    switch (field_of(data, length, &value, &count)) {
    case FIELD_MESSAGE: take_text(entry->text, value, count); break;
    case FIELD_IDENTIFIER: take_text(entry->identifier, value, count); break;
    case FIELD_UID: entry->uid = number_of(value, count); break;
    case FIELD_PID: entry->pid = number_of(value, count); break;
    case FIELD_TIME: entry->at_us = number_of(value, count); break;
    case FIELD_UNIT: entry->of_postfix = is_unit_of_postfix(value, count); break;
    case FIELD_DROPPED: entry->dropped = number_of(value, count); break;
    case FIELD_DROPPED_UNIT: entry->dropped_of_postfix = is_unit_of_postfix(value, count); break;
    case FIELD_OTHER: break;
    }
}

/* The entry that the journal is at. 1 a line, 0 none, or -errno. */
static int read_entry(struct journal_source *source, struct log_source_line *line_r)
{
    struct journal_entry entry = {
        .text = &source->text, .identifier = &source->identifier, .uid = -1};
    const void *data;
    size_t length;
    int got;
    text_clear(&source->text);
    text_clear(&source->identifier);
    sd_journal_restart_data(source->journal);
    while ((got = sd_journal_enumerate_available_data(source->journal, &data, &length)) > 0)
        take_field(&entry, data, length);
    if (got < 0)
        return got;
    if (entry.dropped_of_postfix)
        source->base.noticed[LOG_SOURCE_SUPPRESSED] += entry.dropped;
    if (!entry.of_postfix || (entry.uid != 0 && entry.uid != source->postfix) ||
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

static bool has_files(sd_journal *journal)
{
    return sd_journal_has_runtime_files(journal) > 0 ||
           sd_journal_has_persistent_files(journal) > 0;
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
    if (got != 0 || source->of_folder || has_files(source->journal))
        return got;
    problem_set(problem, 0, "journal", "%s", NO_FILES);
    return -1;
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
    source->of_folder = folder != NULL;
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

const char *log_source_journal_fault(void)
{
    sd_journal *journal = NULL;
    int opened = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
    const char *fault = opened < 0            ? strerror(-opened)
                        : !has_files(journal) ? NO_FILES
                                              : NULL;
    sd_journal_close(journal);
    return fault;
}

#else

#define NOT_BUILT "this program was built without libsystemd: expected \"file:/PATH\""

const char *log_source_journal_fault(void) { return NOT_BUILT; }

int log_source_journal_open(const char *folder, const char *cursor, struct log_source **source_r,
                            struct problem *problem)
{
    (void)folder;
    (void)cursor;
    (void)source_r;
    return problem_set(problem, 0, "journal", "%s", NOT_BUILT);
}

#endif
