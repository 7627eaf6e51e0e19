#include "desk/block_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/json.h"
#include "base/names.h"
#include "base/zone.h"
#include "desk/input.h"

enum column { COLUMN_KIND, COLUMN_SUBJECT, COLUMN_SCOPE, COLUMN_REASON, COLUMN_TEXT, COLUMN_SINCE,
              COLUMN_UNTIL, COLUMN_BY, COLUMN_NOTE, COLUMN_COUNT };
static const char *const column_names[COLUMN_COUNT] = {
    "kind", "subject", "scope", "reason", "text", "since", "until", "by", "note"};

/* A line's entry, before all are in order. */
struct file_entry {
    struct block_entry entry;
    const char *key;
    size_t number;
};

struct file_reading {
    const struct context *context;
    struct block_file *file;
    const char *by, *note;
    struct file_entry *lines;
    size_t number;                      /* of the line that is read, from 1 */
    size_t columns;                     /* that the header names; 0: it was not read */
    enum column column_at[COLUMN_COUNT];
};

void block_file_free(struct block_file *file) { json_put(&file->told); }

static void tell(struct file_reading *reading, size_t line, const struct problem *problem)
{
    if (reading->file->faults++ >= BLOCK_FILE_FAULTS_SHOWN)
        return;
    struct json_object *fault = json_object_new_object();
    json_add_int(fault, "line", (int64_t)line);
    json_add_string(fault, "column", problem->where[0] != '\0' ? problem->where : NULL);
    json_add_string(fault, "text", problem->text);
    json_object_array_add(reading->file->told, fault);
}

/* ---- a line ---------------------------------------------------------------------------------- */

static int read_header(struct file_reading *reading, char *const *cells, size_t count,
                       struct problem *problem)
{
    bool has[COLUMN_COUNT] = {false};
    for (size_t i = 0; i < count; i++) {
        int column = names_find(column_names, COLUMN_COUNT, cells[i]);
        if (column < 0 || has[column])
            return problem_set(problem, 400, "", "expected a header with names of kind, subject, "
                                                 "scope, reason, text, since, until, by and note, "
                                                 "each once, and commas between them");
        has[column] = true;
        reading->column_at[i] = (enum column)column;
    }
    if (!has[COLUMN_SUBJECT] || (!has[COLUMN_REASON] && !has[COLUMN_TEXT]))
        return problem_set(problem, 400, "", "the header needs the columns subject and reason");
    reading->columns = count;
    return 1;
}

static int read_words(const struct file_reading *reading, char *const *cells, size_t count,
                      const char *words_r[COLUMN_COUNT], struct problem *problem)
{
    if (count != reading->columns)
        return problem_set(problem, 400, "", "expected %zu cells, as in the header, found %zu",
                           reading->columns, count);
    for (size_t i = 0; i < count; i++) {
        enum column column = reading->column_at[i];
        freed_by(json_put) struct json_object *value = json_object_new_string(cells[i]);
        if (!input_word(reading->context, value, column_names[column], &words_r[column], problem))
            return 0;
    }
    return 1;
}

/* 1; 0 with *problem; -1: it has ended. */
static int read_until(const struct file_reading *reading, const char *text,
                      struct block_entry *entry, struct problem *problem)
{
    entry->until_ms = UNTIL_LIFTED;
    if (text == NULL)
        return 1;
    if (!zone_moment_read(text, &entry->until_ms) || entry->until_ms >= UNTIL_LIFTED)
        return problem_set(problem, 400, "until",
                           "expected nothing, or a moment such as 2027-01-31T12:00:00Z");
    return entry->until_ms > reading->context->now_ms ? 1 : -1;
}

/* A sentence stands in "text", where an export has it, with the reason "staff". */
static const char *reason_of(const char *const words[COLUMN_COUNT])
{
    const char *reason = words[COLUMN_REASON], *text = words[COLUMN_TEXT];
    return text != NULL && (reason == NULL || strcmp(reason, BLOCK_BY_STAFF) == 0) ? text : reason;
}

/* 1; 0 with *problem; -1: it has ended. */
static int read_entry(const struct file_reading *reading, char *const *cells, size_t count,
                      struct block_entry *entry, struct problem *problem)
{
    const char *words[COLUMN_COUNT] = {NULL};
    if (!read_words(reading, cells, count, words, problem) ||
        !blocked_subject_read(reading->context, words[COLUMN_KIND], words[COLUMN_SUBJECT],
                              words[COLUMN_SCOPE], entry, problem) ||
        !blocked_reason_read(reading->context, reason_of(words),
                             reason_of(words) == words[COLUMN_TEXT], entry, problem))
        return 0;
    entry->by = reading->by;
    entry->since_ms = reading->context->now_ms;
    entry->note = words[COLUMN_NOTE] != NULL ? words[COLUMN_NOTE] : reading->note;
    if (strlen(entry->note) > BLOCKED_NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "it has at most %d bytes",
                           BLOCKED_NOTE_MAX_BYTES);
    return read_until(reading, words[COLUMN_UNTIL], entry, problem);
}

/* 1; 0 with *problem; -1: it has ended. */
static int read_line(struct file_reading *reading, const char *bytes, size_t length,
                     struct file_entry *line, struct problem *problem)
{
    char *cells[COLUMN_COUNT];
    size_t count;
    if (length > BLOCK_FILE_LINE_MAX_BYTES)
        return problem_set(problem, 400, "", "a line has at most %d bytes",
                           BLOCK_FILE_LINE_MAX_BYTES);
    if (!csv_line_read(reading->context->arena, bytes, length, cells, COLUMN_COUNT, &count,
                       problem))
        return 0;
    if (reading->columns == 0)
        return read_header(reading, cells, count, problem);
    int good = read_entry(reading, cells, count, &line->entry, problem);
    if (good > 0)
        line->key = block_list_key(reading->context->arena, &line->entry);
    line->number = reading->number;
    return good;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* The next line, without its end. */
static size_t cut(const char **next, const char *end, const char **line_r)
{
    const char *feed = memchr(*next, '\n', (size_t)(end - *next));
    *line_r = *next;
    size_t length = (size_t)((feed != NULL ? feed : end) - *next);
    *next = feed != NULL ? feed + 1 : end;
    return length > 0 && (*line_r)[length - 1] == '\r' ? length - 1 : length;
}

static size_t read_lines(struct file_reading *reading, const char *bytes, const char *end)
{
    size_t count = 0;
    while (bytes < end) {
        const char *line;
        struct problem problem = {0};
        size_t length = cut(&bytes, end, &line);
        bool header = reading->columns == 0;
        reading->number++;
        if (length == 0)
            continue;
        if (count == DESK_IMPORT_LINES_MAX)
            (void)problem_set(&problem, 400, "", "a file has at most %d entries",
                              DESK_IMPORT_LINES_MAX);
        int good = count == DESK_IMPORT_LINES_MAX
                       ? 0
                       : read_line(reading, line, length, &reading->lines[count], &problem);
        if (good == 0)
            tell(reading, reading->number, &problem);
        if (good == 0 && (header || count == DESK_IMPORT_LINES_MAX))
            break;
        count += good > 0 && !header;
        reading->file->over += good < 0;
    }
    return count;
}

static int by_key(const void *one, const void *other)
{
    const struct file_entry *a = one, *b = other;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

/* What stands twice is read in two ways. */
static void take_over(struct file_reading *reading, size_t count)
{
    struct block_file *file = reading->file;
    struct arena *arena = reading->context->arena;
    file->entries = arena_alloc(arena, (count + 1) * sizeof *file->entries);
    file->keys = arena_alloc(arena, (count + 1) * sizeof *file->keys);
    qsort(reading->lines, count, sizeof *reading->lines, by_key);
    for (size_t i = 0; i < count; i++) {
        struct problem problem = {0};
        if (i > 0 && strcmp(reading->lines[i].key, reading->lines[i - 1].key) == 0) {
            (void)problem_set(&problem, 400, "subject", "line %zu has the same one",
                              reading->lines[i - 1].number);
            tell(reading, reading->lines[i].number, &problem);
            continue;
        }
        file->keys[file->count] = reading->lines[i].key;
        file->entries[file->count++] = reading->lines[i].entry;
    }
}

void block_file_read(const struct context *context, const char *bytes, size_t length,
                     const char *by, const char *note, struct block_file *file_r)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* that programs put before UTF-8 */
    const char *end = bytes + length;
    *file_r = (struct block_file){.told = json_object_new_array()};
    struct file_reading reading = {.context = context, .file = file_r, .by = by, .note = note};
    if (length >= strlen(mark) && memcmp(bytes, mark, strlen(mark)) == 0)
        bytes += strlen(mark);
    size_t most = 1;
    for (const char *at = bytes; at < end && most <= DESK_IMPORT_LINES_MAX; at++)
        most += *at == '\n';
    reading.lines = xcalloc(most, sizeof *reading.lines);
    size_t count = read_lines(&reading, bytes, end);
    if (reading.columns == 0 && file_r->faults == 0)
        tell(&reading, 1,
             &(struct problem){.text = "expected a header and entries, found nothing"});
    take_over(&reading, count);
    free(reading.lines);
}
