/* A text that grows: answers, log lines and decision records are built in one.
 * Always has a NUL behind its last byte. Reuse one per worker: text_clear
 * keeps the memory. */
#ifndef SENDGUARD_TEXT_H
#define SENDGUARD_TEXT_H

#include "base/base.h"

struct text {
    char *data; /* NULL while nothing was added */
    size_t length, capacity;
};

void text_free(struct text *text);
void text_clear(struct text *text);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_char(struct text *text, char character);
void text_add_int(struct text *text, int64_t number);
void text_addf(struct text *text, const char *format, ...) printf_like(2, 3);

/* The digits of a number, with a NUL behind them: they end where digits_r ends. */
enum { TEXT_DIGITS_SIZE = 24 };
const char *text_digits(char digits_r[TEXT_DIGITS_SIZE], int64_t number);

/* Text that a terminal may show: U+FFFD for each control character, line or direction mark, and byte
 * that is no UTF-8. NULL adds nothing. */
void text_add_plain(struct text *text, const char *string);

/* A JSON string with its quotation marks; NULL becomes null. Bytes that are no
 * UTF-8 become U+FFFD, so that the whole stays valid JSON (RFC 8259). */
void text_add_json(struct text *text, const char *string);

/* One segment of a URL's path, or a value of its query: all but the unreserved characters of
 * RFC 3986 section 2.3 percent-encoded. */
void text_add_url(struct text *text, const char *string);

/* A cell of CSV (RFC 4180) in quotation marks. Where a spreadsheet would find a formula, an
 * apostrophe stands before it: at the beginning, and behind semicolons, at which those of many
 * countries cut the lines, whatever the quotation marks say. */
void text_add_csv(struct text *text, const char *string);
/* Takes these apostrophes out of what a cell holds: what text_add_csv was given comes back, and what
 * has none stays. */
void text_plain_of_csv(char *cell);

/* A moment as RFC 3339 in UTC, whole seconds rounded up ("2026-11-22T14:05:00Z"):
 * who waits until the moment that was named is never too early. */
void text_add_time(struct text *text, int64_t time_ms);
/* The same with its milliseconds, not rounded ("2026-11-22T14:05:00.250Z"). */
void text_add_time_ms(struct text *text, int64_t time_ms);

/* A moment as in the header of mail, in UTC ("Sat, 22 Nov 2025 05:40:00 +0000"). */
void text_add_mail_date(struct text *text, int64_t time_ms);
/* The content, "" while nothing was added; valid until the next change. */
const char *text_string(const struct text *text);

#endif
