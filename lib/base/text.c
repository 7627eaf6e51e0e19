#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->data != NULL)
        text->data[0] = '\0';
}

const char *text_string(const struct text *text) { return text->data != NULL ? text->data : ""; }

static void grow(struct text *text, size_t more)
{
    size_t capacity = text->capacity > 0 ? text->capacity : 256;
    while (capacity - text->length < more + 1)
        capacity *= 2;
    text->data = xrealloc(text->data, capacity);
    text->capacity = capacity;
}

/* Room for `more` bytes and the NUL; returns where they go. */
static inline char *room(struct text *text, size_t more)
{
    if (text->capacity - text->length < more + 1)
        grow(text, more);
    return text->data + text->length;
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    char *end = room(text, length);
    if (length > 0)
        memcpy(end, bytes, length);
    end[length] = '\0';
    text->length += length;
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char character)
{
    char *end = room(text, 1);
    end[0] = character;
    end[1] = '\0';
    text->length++;
}

const char *text_digits(char digits_r[TEXT_DIGITS_SIZE], int64_t number)
{
    char *first = digits_r + TEXT_DIGITS_SIZE - 1;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *first = '\0';
    do
        *--first = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        *--first = '-';
    return first;
}

void text_add_int(struct text *text, int64_t number)
{
    char digits[TEXT_DIGITS_SIZE];
    const char *first = text_digits(digits, number);
    text_add_bytes(text, first, (size_t)(digits + TEXT_DIGITS_SIZE - 1 - first));
}

/* Formatted once where it fits, and a second time when it did not. */
void text_addf(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    char *end = room(text, 0);
    size_t left = text->capacity - text->length;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(end, left, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length >= left)
        vsnprintf(room(text, (size_t)length), (size_t)length + 1, format, again);
    va_end(again);
    text->length += length > 0 ? (size_t)length : 0;
    text->data[text->length] = '\0';
}

/* Length of the well-formed UTF-8 character at `bytes` (RFC 3629), 0 when there is none.
 * The NUL behind a string ends every check in time. */
static size_t character_length(const unsigned char *bytes)
{
    static const struct {
        unsigned char first, last, second_from, second_to, length;
    } forms[] = {
        {0x01, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < countof(forms); i++) {
        if (bytes[0] < forms[i].first || bytes[0] > forms[i].last)
            continue;
        if (forms[i].length > 1 &&
            (bytes[1] < forms[i].second_from || bytes[1] > forms[i].second_to))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((bytes[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static void add_escaped(struct text *text, unsigned char character)
{
    static const char letters[] = "btn?fr"; /* from U+0008 to U+000D */
    if (character == '"' || character == '\\')
        text_addf(text, "\\%c", character);
    else if (character >= 8 && character <= 13 && character != 11)
        text_addf(text, "\\%c", letters[character - 8]);
    else
        text_addf(text, "\\u%04x", character);
}

void text_add_json(struct text *text, const char *string)
{
    if (string == NULL) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    const unsigned char *next = (const unsigned char *)string;
    while (*next != '\0') {
        const unsigned char *plain = next;
        while (*next >= 0x20 && *next < 0x7F && *next != '"' && *next != '\\')
            next++;
        text_add_bytes(text, (const char *)plain, (size_t)(next - plain));
        if (*next == '\0')
            break;
        size_t length = *next >= 0x80 ? character_length(next) : 0;
        if (length > 0) {
            text_add_bytes(text, (const char *)next, length);
        } else if (*next >= 0x80) {
            text_add(text, "\xEF\xBF\xBD");
            length = 1;
        } else {
            add_escaped(text, *next);
            length = 1;
        }
        next += length;
    }
    text_add_char(text, '"');
}

/* `width` digits and a character behind them. strftime would cost more than
 * the rest of a log line. */
static char *put_digits(char *at, int width, int64_t number, char behind)
{
    for (int i = width; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    at[width] = behind;
    return at + width + 1;
}

static void add_utc(struct text *text, int64_t seconds, int milliseconds)
{
    time_t time = (time_t)seconds;
    struct tm utc;
    char stamp[40], *next = stamp;
    if (gmtime_r(&time, &utc) == NULL || utc.tm_year > 9999 - 1900)
        return;
    next = put_digits(next, 4, utc.tm_year + 1900, '-');
    next = put_digits(next, 2, utc.tm_mon + 1, '-');
    next = put_digits(next, 2, utc.tm_mday, 'T');
    next = put_digits(next, 2, utc.tm_hour, ':');
    next = put_digits(next, 2, utc.tm_min, ':');
    next = put_digits(next, 2, utc.tm_sec, milliseconds < 0 ? 'Z' : '.');
    if (milliseconds >= 0)
        next = put_digits(next, 3, milliseconds, 'Z');
    text_add_bytes(text, stamp, (size_t)(next - stamp));
}

void text_add_time(struct text *text, int64_t time_ms)
{
    add_utc(text, time_ms / SECOND_MS + (time_ms % SECOND_MS > 0), -1);
}

void text_add_time_ms(struct text *text, int64_t time_ms)
{
    add_utc(text, time_ms / SECOND_MS, (int)(time_ms % SECOND_MS));
}

void text_add_mail_date(struct text *text, int64_t time_ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(time_ms / SECOND_MS);
    struct tm when = {0};
    gmtime_r(&seconds, &when);
    text_addf(text, "%s, %d %s %d %02d:%02d:%02d +0000", days[when.tm_wday], when.tm_mday,
              months[when.tm_mon], when.tm_year + 1900, when.tm_hour, when.tm_min, when.tm_sec);
}

void text_add_url(struct text *text, const char *string)
{
    for (const unsigned char *at = (const unsigned char *)string; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL;
        if (plain)
            text_add_char(text, (char)*at);
        else
            text_addf(text, "%%%02X", *at);
    }
}

/* Whether an apostrophe has to stand before it; so also before one that stood there already. */
static bool is_formula(const char *string, const char *skipped)
{
    string += strspn(string, "'");
    string += strspn(string, skipped);
    return *string != '\0' && strchr("=+-@\t\r\n", *string) != NULL;
}

void text_add_csv(struct text *text, const char *string)
{
    text_add(text, is_formula(string, "") ? "\"'" : "\"");
    for (const char *at = string; *at != '\0'; at++) {
        if (*at == '"')
            text_add_char(text, '"');
        text_add_char(text, *at);
        if (*at == ';' && is_formula(at + 1, " \""))
            text_add_char(text, '\'');
    }
    text_add_char(text, '"');
}

void text_plain_of_csv(char *cell)
{
    const char *from = cell;
    char *to = cell;
    if (*from == '\'' && is_formula(from + 1, ""))
        from++;
    while (*from != '\0') {
        *to++ = *from++;
        if (to[-1] == ';' && *from == '\'' && is_formula(from + 1, " \""))
            from++;
    }
    *to = '\0';
}

/* The length of the UTF-8 character at `text` and its number; 0: none begins there. */
static size_t read_character(const char *text, uint32_t *character_r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >> 5 == 6 ? 2 : bytes[0] >> 4 == 14 ? 3
                    : bytes[0] >> 3 == 30 ? 4 : 0;
    uint32_t character = length == 1 ? bytes[0] : bytes[0] & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
        character = character << 6 | (bytes[i] & 0x3F);
    }
    if (length == 0 || character < least[length] || character > 0x10FFFF ||
        (character >= 0xD800 && character <= 0xDFFF))
        return 0;
    *character_r = character;
    return length;
}

/* Controls, and marks that break a line or turn its direction. */
static bool is_harmful(uint32_t character)
{
    return character < 0x20 || (character >= 0x7F && character < 0xA0) ||
           (character >= 0x200E && character <= 0x200F) ||
           (character >= 0x2028 && character <= 0x202E) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0xFEFF ||
           character == 0x061C;
}

void text_add_plain(struct text *text, const char *string)
{
    uint32_t character;
    while (string != NULL && *string != '\0') {
        size_t length = read_character(string, &character);
        if (length == 0 || is_harmful(character))
            text_add(text, "\xEF\xBF\xBD");
        else
            text_add_bytes(text, string, length);
        string += length > 0 ? length : 1;
    }
}
