#include "cli/print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "base/zone.h"

/* ---- characters ----------------------------------------------------------------- */

const char *print_plain(struct arena *arena, const char *text)
{
    freed_by(text_free) struct text out = {0};
    text_add_plain(&out, text);
    return arena_strdup(arena, text_string(&out));
}

const char *print_member(struct arena *arena, struct json_object *object, const char *name,
                         const char *otherwise)
{
    const char *text = json_string(object, name, NULL);
    return text != NULL ? print_plain(arena, text) : otherwise;
}

const char *print_number(struct arena *arena, struct json_object *object, const char *name,
                         const char *otherwise)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_int)
               ? arena_printf(arena, "%lld", (long long)json_object_get_int64(member))
               : otherwise;
}

/* ---- moments ------------------------------------------------------------------------ */

/* "3 h 20 min", the two largest units that are not zero. */
static void add_span(struct text *text, int64_t ms)
{
    int64_t minutes = (ms + MINUTE_MS / 2) / MINUTE_MS;
    if (ms < MINUTE_MS)
        text_addf(text, "%lld s", (long long)((ms + SECOND_MS / 2) / SECOND_MS));
    else if (minutes < 60)
        text_addf(text, "%lld min", (long long)minutes);
    else if (minutes < 48 * 60 && minutes % 60 == 0)
        text_addf(text, "%lld h", (long long)(minutes / 60));
    else if (minutes < 48 * 60)
        text_addf(text, "%lld h %lld min", (long long)(minutes / 60), (long long)(minutes % 60));
    else
        text_addf(text, "%lld days", (long long)((minutes + 12 * 60) / (24 * 60)));
}

static void add_distance(struct text *text, int64_t time_ms, int64_t now_ms)
{
    text_add(text, " (");
    if (time_ms >= now_ms - SECOND_MS && time_ms <= now_ms + SECOND_MS) { /* it is rounded up */
        text_add(text, "now");
    } else if (time_ms >= now_ms) {
        text_add(text, "in ");
        add_span(text, time_ms - now_ms);
    } else {
        add_span(text, now_ms - time_ms);
        text_add(text, " ago");
    }
    text_add_char(text, ')');
}

const char *print_moment(struct arena *arena, struct json_object *object, const char *name,
                         int64_t now_ms, const char *otherwise)
{
    int64_t time_ms;
    struct tm local;
    char written[32];
    if (!zone_moment_read(json_string(object, name, ""), &time_ms))
        return otherwise;
    bool exact = now_ms <= 0; /* beside a distance the minute is enough */
    time_t seconds = (time_t)(time_ms / SECOND_MS);
    if (!exact && time_ms > now_ms + SECOND_MS) /* rounded up, as on pages: who waits for it is not too early */
        seconds += (time_t)(MINUTE_MS / SECOND_MS - 1);
    localtime_r(&seconds, &local);
    strftime(written, sizeof written, exact ? "%F %T" : "%F %R", &local);
    freed_by(text_free) struct text text = {0};
    text_add(&text, written);
    if (!exact)
        add_distance(&text, time_ms, now_ms);
    return arena_strdup(arena, text.data);
}

/* ---- columns ---------------------------------------------------------------------------- */

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

void print_table_begin(struct print_table *table, size_t columns, unsigned right)
{
    *table = (struct print_table){.columns = columns, .right = right};
}

void print_table_row(struct print_table *table, ...)
{
    va_list texts;
    if ((table->count & (table->count - 1)) == 0)
        table->rows = xrealloc(table->rows,
                               (table->count > 0 ? 2 * table->count : 1) * sizeof *table->rows);
    va_start(texts, table);
    for (size_t i = 0; i < table->columns; i++)
        table->rows[table->count][i] = va_arg(texts, const char *);
    va_end(texts);
    table->count++;
}

static void print_cell(const struct print_table *table, size_t column, const char *text,
                       size_t width,
                       FILE *out)
{
    int padding = (int)(width - width_of(text));
    bool last = column + 1 == table->columns;
    if ((table->right >> column & 1) != 0)
        fprintf(out, "%*s%s%s", padding, "", text, last ? "" : "  ");
    else
        fprintf(out, "%s%*s", text, last ? 0 : padding + 2, "");
}

void print_table_end(struct print_table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS] = {0};
    for (size_t row = 0; row < table->count; row++)
        for (size_t i = 0; i < table->columns; i++)
            if (width_of(table->rows[row][i]) > widths[i])
                widths[i] = width_of(table->rows[row][i]);
    for (size_t row = 0; row < table->count; row++) {
        fputs("  ", out);
        for (size_t i = 0; i < table->columns; i++)
            print_cell(table, i, table->rows[row][i], widths[i], out);
        fputc('\n', out);
    }
    free(table->rows);
    *table = (struct print_table){0};
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* json-c leaves DEL and U+0080 to U+009F as they are; some terminals obey them. They stand
 * in strings only, where an escape means the same. */
static void print_escaped(const char *json, FILE *out)
{
    for (const unsigned char *byte = (const unsigned char *)json; *byte != '\0'; byte++) {
        if (*byte == 0x7F)
            fputs("\\u007f", out);
        else if (byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] < 0xA0)
            fprintf(out, "\\u%04x", *++byte);
        else
            fputc(*byte, out);
    }
    fputc('\n', out);
}

void print_json(struct json_object *tree, FILE *out)
{
    print_escaped(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PRETTY |
                                                           JSON_C_TO_STRING_SPACED |
                                                           JSON_C_TO_STRING_NOSLASHESCAPE),
                  out);
}

void print_json_line(struct json_object *tree, FILE *out)
{
    print_escaped(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN |
                                                           JSON_C_TO_STRING_NOSLASHESCAPE),
                  out);
}
