/* Words of other servers without addresses. The text is cleaned first, so that nothing that is
 * taken out later joins two halves of an address; then each byte gets a mark, and marked runs are
 * replaced. */
#include "mail/reply.h"

#include <glib.h>

#include "base/percent.h"

enum {
    READ_MAX = 2048,  /* so much of a text is looked at; Postfix cuts a line at 2,000 bytes */
    SHOWN_MAX = 1024, /* so much is shown: what begins there has its end in what is looked at */
    LOCAL_MAX = 1024,
    WORD_LENGTH = 8, /* letters: fewer are only a word */
    PART_LENGTH = 3,
    ID_LENGTH = 10,
};

enum mark { PLAIN, ADDRESS, RECIPIENT, ID };

struct redaction {
    size_t length;
    char text[READ_MAX];
    uint8_t marks[READ_MAX];
};

/* ---- characters ------------------------------------------------------------------------- */

/* Control characters, marks of direction and what has no width. */
static bool is_hidden(gunichar character)
{
    return character < 0x20 || (character >= 0x7F && character < 0xA0) || character == 0xAD ||
           (character >= 0x200B && character <= 0x200F) ||
           (character >= 0x2028 && character <= 0x202E) ||
           (character >= 0x2060 && character <= 0x206F) || character == 0xFEFF ||
           (character >= 0xFFF9 && character <= 0xFFFB);
}

/* Copies valid UTF-8; a space for what is hidden, "?" for each other byte. Returns the length. */
static size_t clean(struct mail_view from, char *to, size_t room)
{
    size_t at = 0, length = 0;
    while (at < from.length) {
        if (from.text[at] >= 0x20 && from.text[at] < 0x7F && length < room) { /* as nearly all are */
            to[length++] = from.text[at++];
            continue;
        }
        gunichar character = g_utf8_get_char_validated(from.text + at, (gssize)(from.length - at));
        bool valid = character < 0x110000 && character != 0;
        size_t bytes = valid ? (size_t)g_unichar_to_utf8(character, NULL) : 1;
        bool hidden = valid ? is_hidden(character) : from.text[at] == '\0';
        if (length + bytes > room)
            break;
        if (valid && !hidden)
            memcpy(to + length, from.text + at, bytes);
        else
            to[length] = hidden ? ' ' : '?';
        length += valid && !hidden ? bytes : 1;
        at += bytes;
    }
    return length;
}

/* "%2B", "=2B", "+2B" at that place: the byte, or -1. */
static int coded_at(const struct redaction *words, size_t at)
{
    char sign = words->text[at];
    if (at + 2 >= words->length || (sign != '%' && sign != '=' && sign != '+'))
        return -1;
    int high = percent_digit(words->text[at + 1]), low = percent_digit(words->text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void mark(struct redaction *words, size_t from, size_t to, enum mark as)
{
    memset(words->marks + from, (int)as, to - from);
}

/* ---- the recipients --------------------------------------------------------------------- */

/* Without a call, since each byte is looked at many times. */
static int lower(char byte) { return byte >= 'A' && byte <= 'Z' ? byte + 'a' - 'A' : byte; }

static bool same_byte(int one, char other) { return lower((char)one) == lower(other); }

/* Where `wanted` ends that begins at `at`, as it is, in any case; 0: it does not. */
static size_t match_plain(const struct redaction *words, size_t at, struct mail_view wanted)
{
    if (words->length - at < wanted.length)
        return 0;
    for (size_t i = 0; i < wanted.length; i++)
        if (!same_byte((unsigned char)words->text[at + i], wanted.text[i]))
            return 0;
    return at + wanted.length;
}

/* The same with bytes coded or behind a backslash. */
static size_t match_coded(const struct redaction *words, size_t at, struct mail_view wanted)
{
    for (size_t i = 0; i < wanted.length; i++) {
        if (at >= words->length)
            return 0;
        bool escaped = words->text[at] == '\\' && at + 1 < words->length &&
                       same_byte((unsigned char)words->text[at + 1], wanted.text[i]);
        if (coded_at(words, at) >= 0 && same_byte(coded_at(words, at), wanted.text[i]))
            at += 3;
        else if (escaped)
            at += 2;
        else if (same_byte((unsigned char)words->text[at], wanted.text[i]))
            at++;
        else
            return 0;
    }
    return at;
}

static size_t match(const struct redaction *words, size_t at, struct mail_view wanted)
{
    if (at == words->length || (!same_byte(words->text[at], wanted.text[0]) &&
                                memchr("\\%=+", words->text[at], 4) == NULL))
        return 0;
    size_t end = match_plain(words, at, wanted);
    return end != 0 ? end : match_coded(words, at, wanted);
}

/* Whether a word of letters begins or ends there: no other letter that stays is beside it. */
static bool is_edge(const struct redaction *words, size_t first, size_t end)
{
    const char *text = words->text;
    const uint8_t *marks = words->marks;
    bool before = first == 0 || !g_ascii_isalpha(text[first - 1]) ||
                  (marks[first - 1] != PLAIN && marks[first] == PLAIN) ||
                  (first >= 3 && coded_at(words, first - 3) >= 0);
    bool behind = end == words->length || !g_ascii_isalpha(text[end]) ||
                  (marks[end] != PLAIN && marks[end - 1] == PLAIN);
    return before && behind;
}

static bool is_only_letters(struct mail_view text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!g_ascii_isalpha(text.text[i]))
            return false;
    return true;
}

/* The domain behind a local part: joined by @, or by = and their like in VERP. */
static size_t with_domain(const struct redaction *words, size_t end, struct mail_view domain)
{
    size_t at = end < words->length && strchr("@=%#", words->text[end]) != NULL ? end + 1 : end;
    if (coded_at(words, end) == '@')
        at = end + 3;
    size_t behind = at > end && domain.length > 0 ? match(words, at, domain) : 0;
    return behind != 0 ? behind : end;
}

/* Marks each place of `wanted`. Whether there was a new one. */
static bool mark_wanted(struct redaction *words, struct mail_view wanted, struct mail_view domain)
{
    bool anywhere = wanted.length >= WORD_LENGTH || !is_only_letters(wanted), found = false;
    for (size_t at = 0; wanted.length > 0 && at < words->length; at++) {
        size_t end = match(words, at, wanted);
        if (end == 0 || (!anywhere && !is_edge(words, at, end)))
            continue;
        end = with_domain(words, end, domain);
        for (size_t i = at; i < end; i++)
            found = found || words->marks[i] != RECIPIENT;
        mark(words, at, end, RECIPIENT);
    }
    return found;
}

/* What the quotation marks around a local part stand for. */
static size_t unquote(char *local, size_t length)
{
    size_t kept = 0;
    if (length < 2 || local[0] != '"' || local[length - 1] != '"')
        return length;
    for (size_t i = 1; i + 1 < length; i++) {
        if (local[i] == '\\' && i + 2 < length)
            i++;
        local[kept++] = local[i];
    }
    return kept;
}

static bool mark_recipient(struct redaction *words, struct mail_view recipient)
{
    char cleaned[LOCAL_MAX];
    size_t length = clean(recipient, cleaned, sizeof cleaned);
    const char *sign = memrchr(cleaned, '@', length);
    struct mail_view domain = {0};
    if (sign != NULL) {
        domain = (struct mail_view){sign + 1, length - (size_t)(sign + 1 - cleaned)};
        length = (size_t)(sign - cleaned);
    }
    struct mail_view local = {cleaned, unquote(cleaned, length)};
    bool found = mark_wanted(words, local, domain);
    for (size_t first = 0, at = 0; at <= local.length; at++) {
        if (at < local.length && memchr("+%!=", local.text[at], 4) == NULL)
            continue;
        if (at - first >= PART_LENGTH && at - first < local.length &&
            mark_wanted(words, (struct mail_view){local.text + first, at - first}, domain))
            found = true;
        first = at + 1;
    }
    return found;
}

/* ---- everybody's addresses -------------------------------------------------------------- */

static bool is_separator(char byte)
{
    return byte == ' ' || byte == '<' || byte == '>' || byte == '(' || byte == ')' ||
           byte == ',' || byte == ';';
}

/* Where the quoted text ends that begins at `at`; the end of all where it has none. */
static size_t behind_quotes(const struct redaction *words, size_t at)
{
    for (at++; at < words->length; at++) {
        if (words->text[at] == '\\')
            at++;
        else if (words->text[at] == '"')
            return at + 1;
    }
    return words->length;
}

/* "<…>", or "<…" up to a blank, but for URLs. */
static void mark_brackets(struct redaction *words)
{
    for (size_t at = 0; at < words->length; at++) {
        if (words->text[at] != '<')
            continue;
        size_t first = at + 1;
        bool quoted = first < words->length && words->text[first] == '"';
        size_t from = quoted ? behind_quotes(words, first) : first;
        const char *close = memchr(words->text + from, '>', words->length - from);
        size_t end = close != NULL ? (size_t)(close - words->text) : from;
        while (close == NULL && end < words->length && words->text[end] != ' ')
            end++;
        if (memmem(words->text + first, end - first, "://", 3) == NULL)
            mark(words, first, end, ADDRESS);
        at = end > at ? end - 1 : at;
    }
}

/* Where the local part begins that ends before `end`. */
static size_t local_at(const struct redaction *words, size_t end)
{
    size_t at = end;
    if (at > 0 && words->text[at - 1] == '"') {
        for (at--; at > 0; at--) {
            size_t slashes = 0;
            while (slashes < at - 1 && words->text[at - 2 - slashes] == '\\')
                slashes++;
            if (words->text[at - 1] == '"' && slashes % 2 == 0)
                return at - 1;
        }
        return 0;
    }
    while (at > 0 && (!(is_separator(words->text[at - 1]) || words->text[at - 1] == ':' ||
                        words->text[at - 1] == '"') ||
                      (at > 1 && words->text[at - 2] == '\\')))
        at--;
    return at;
}

static size_t domain_end(const struct redaction *words, size_t at)
{
    size_t first = at;
    while (at < words->length && !is_separator(words->text[at]) && words->text[at] != '"' &&
           words->text[at] != '\'')
        at++;
    while (at > first && strchr(".:", words->text[at - 1]) != NULL)
        at--;
    return at;
}

/* How long the @ there is: 1, or 3 where it is coded; 0: it is none. "=40" may be a number. */
static size_t sign_length(const struct redaction *words, size_t at)
{
    if (words->text[at] == '@')
        return 1;
    if (coded_at(words, at) != '@')
        return 0;
    size_t end = domain_end(words, at + 3);
    bool named = at + 3 < words->length && g_ascii_isalnum(words->text[at + 3]) &&
                 memchr(words->text + at + 3, '.', end - at - 3) != NULL;
    return words->text[at] == '%' || named ? 3 : 0;
}

static void mark_addresses(struct redaction *words)
{
    for (size_t at = 0; at < words->length; at++) {
        size_t sign = sign_length(words, at);
        if (sign == 0)
            continue;
        size_t first = local_at(words, at), end = domain_end(words, at + sign);
        if (end < at + sign)
            end = at + sign;
        if (first < at || end > at + sign)
            mark(words, first, end, ADDRESS);
    }
}

/* A text that may have been cut within an address: its last word. */
static void mark_cut_end(struct redaction *words)
{
    size_t first = words->length;
    if (words->length < SHOWN_MAX)
        return;
    while (first > 0 && words->text[first - 1] != ' ')
        first--;
    mark(words, first, words->length, ADDRESS);
}

/* ---- ids -------------------------------------------------------------------------------- */

static bool is_token(char byte)
{
    return g_ascii_isalnum(byte) || byte == '.' || byte == '_' || byte == '=' || byte == '+' ||
           byte == '-';
}

/* Labels with a dot between them, of which the last has letters alone. */
static bool is_host(const char *token, size_t length)
{
    while (length > 0 && token[length - 1] == '.')
        length--;
    const char *dot = length > 0 ? memrchr(token, '.', length) : NULL;
    if (dot == NULL || dot == token || (size_t)(token + length - dot) < 3)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool label = g_ascii_isalnum(token[i]) || memchr("-_", token[i], 2) != NULL ||
                     (token[i] == '.' && i > 0 && token[i - 1] != '.');
        if (token + i > dot ? !g_ascii_isalpha(token[i]) : !label)
            return false;
    }
    return true;
}

static void mark_ids(struct redaction *words)
{
    for (size_t at = 0, end; at < words->length; at = end) {
        bool letter = false, digit = false, plain = true;
        for (end = at; end < words->length && is_token(words->text[end]); end++) {
            letter = letter || g_ascii_isalpha(words->text[end]);
            digit = digit || g_ascii_isdigit(words->text[end]);
            plain = plain && words->marks[end] == PLAIN;
        }
        if (letter && digit && plain && end - at >= ID_LENGTH &&
            !is_host(words->text + at, end - at))
            mark(words, at, end, ID);
        end += end == at;
    }
}

/* ---- what is left ----------------------------------------------------------------------- */

/* Where the run ends that begins at `at`: of an id, of an address, or a single character. */
static size_t piece_end(const struct redaction *words, size_t at, const char **instead_r)
{
    static const char *const names[] = {NULL, "(address)", "(recipient)", "…"};
    enum mark as = words->marks[at];
    *instead_r = names[as];
    if (as == PLAIN)
        return at + (size_t)g_utf8_skip[(unsigned char)words->text[at]];
    while (at < words->length && words->marks[at] != PLAIN &&
           (words->marks[at] == ID) == (as == ID))
        if (words->marks[at++] == RECIPIENT)
            *instead_r = names[RECIPIENT];
    return at;
}

static size_t write_words(const struct redaction *words, char words_r[REPLY_WORDS_MAX + 1])
{
    static const char more[] = "…";
    size_t written = 0, before_more = 0, end;
    for (size_t at = 0; at < words->length; at = end) {
        const char *instead;
        end = piece_end(words, at, &instead);
        size_t length = instead != NULL ? strlen(instead) : end - at;
        if (written + length > REPLY_WORDS_MAX || at >= SHOWN_MAX) {
            memcpy(words_r + before_more, more, sizeof more - 1);
            written = before_more + sizeof more - 1;
            break;
        }
        memcpy(words_r + written, instead != NULL ? instead : words->text + at, length);
        written += length;
        if (written + sizeof more - 1 <= REPLY_WORDS_MAX)
            before_more = written;
    }
    words_r[written] = '\0';
    return written;
}

size_t reply_redact(struct mail_view text, const struct mail_view *recipients, size_t count,
                    char words_r[REPLY_WORDS_MAX + 1])
{
    struct redaction words;
    words.length = clean(text, words.text, sizeof words.text);
    memset(words.marks, PLAIN, words.length);
    mark_brackets(&words);
    mark_addresses(&words);
    mark_cut_end(&words);
    mark_ids(&words);
    bool found;
    do { /* what is marked is an edge for what is beside it */
        found = false;
        for (size_t i = 0; i < count; i++)
            found = mark_recipient(&words, recipients[i]) || found;
    } while (found);
    return write_words(&words, words_r);
}
