/* Recipient lists and their entries. The list is cut here, not by GMime, so
 * that each entry's text as the user wrote it stays known. */
#include "message/address.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char quote_open[] = "a quotation mark in it is not closed";
static const char group_open[] =
    "a group (a name with a colon) in it does not end with a semicolon";

static const char quote_name[] =
    "a name with @, brackets or backslashes in it or a dot first must be in quotation marks";

static bool is_blank(char character) { return character == ' ' || character == '\t'; }

static struct address_entry trim(const char *text, size_t length)
{
    while (length > 0 && is_blank(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    return (struct address_entry){text, length};
}

/* The three below begin at the opening character, set *end_r behind the
 * closing one and return NULL, or say what is wrong. */
static const char *skip_quoted(const char *text, size_t length, size_t *end_r)
{
    for (size_t i = 1; i < length; i++) {
        if (text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            /* Simpler readers, Roundcube's among them, take \\" for an escaped mark. */
            if (text[i - 1] == '\\')
                return "a text in quotation marks must not end in a backslash";
            *end_r = i + 1;
            return NULL;
        }
    }
    return quote_open;
}

static const char *skip_comment(const char *text, size_t length, size_t *end_r)
{
    size_t depth = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '@') /* readers without comments would see a recipient */
            return "a comment in it holds an @";
        else if (text[i] == '(')
            depth++;
        else if (text[i] == ')' && --depth == 0) {
            *end_r = i + 1;
            return NULL;
        }
    }
    return "a parenthesis in it is not closed";
}

static const char *skip_literal(const char *text, size_t length, size_t *end_r)
{
    const char *end = memchr(text, ']', length);
    if (end == NULL)
        return "a square bracket in it is not closed";
    *end_r = (size_t)(end - text) + 1;
    return NULL;
}

/* Steps over the character or the whole quoted text, comment or literal at *at. */
static const char *step(const char *text, size_t length, size_t *at)
{
    size_t used = 1;
    const char *fault = NULL;
    switch (text[*at]) {
    case '"': fault = skip_quoted(text + *at, length - *at, &used); break;
    case '(': fault = skip_comment(text + *at, length - *at, &used); break;
    case '[': fault = skip_literal(text + *at, length - *at, &used); break;
    default: break;
    }
    *at += used;
    return fault;
}

/* A group's name, a phrase; its text goes no further. */
static const char *group_name_fault(const char *text, size_t length)
{
    const char *fault = NULL;
    if (trim(text, length).length == 0)
        return "a group has no name before its colon";
    for (size_t at = 0; at < length && fault == NULL;) {
        if (strchr("@<>[])\\", text[at]) != NULL)
            return "what stands before its colon is no name of a group";
        fault = step(text, length, &at);
    }
    return fault;
}

/* Where the piece at list->at ends: at a separator, a group's colon or the end. */
static const char *find_end(const struct address_list *list, size_t *end_r)
{
    bool angle = false;
    const char *fault = NULL;
    size_t at = list->at;
    while (at < list->length && fault == NULL) {
        char character = list->text[at];
        if (!angle && (character == ',' || character == ';' || character == ':'))
            break;
        if (character == '<')
            angle = true;
        else if (character == '>')
            angle = false;
        fault = step(list->text, list->length, &at);
    }
    *end_r = at;
    return fault;
}

static const char *open_group(struct address_list *list, size_t end)
{
    if (list->in_group)
        return "a group must not be inside another group";
    if (memchr(list->text + end, ';', list->length - end) == NULL)
        return group_open;
    const char *fault = group_name_fault(list->text + list->at, end - list->at);
    list->in_group = true;
    list->at = end + 1;
    return fault;
}

/* Only comments, which are well formed: find_end has passed over them. */
static bool is_comment(struct address_entry entry)
{
    size_t at = 0;
    while (at < entry.length && (entry.text[at] == '(' || is_blank(entry.text[at])))
        if (step(entry.text, entry.length, &at) != NULL)
            return false;
    return entry.length > 0 && at == entry.length;
}

int address_list_next(struct address_list *list, struct address_entry *entry_r,
                      const char **fault_r)
{
    while (list->at < list->length) {
        size_t end = 0;
        const char *fault = find_end(list, &end);
        char stop = fault == NULL && end < list->length ? list->text[end] : '\0';
        *entry_r =
            trim(list->text + list->at, (end < list->length ? end : list->length) - list->at);
        if (fault == NULL && list->form && (*fault_r = address_form_fault(*entry_r)) != NULL)
            return -1;
        if (fault == NULL && stop == ':')
            fault = open_group(list, end);
        else
            list->at = end + 1;
        if (fault != NULL) {
            *entry_r = trim(entry_r->text, (size_t)(list->text + list->length - entry_r->text));
            *fault_r = fault;
            return -1;
        }
        bool of_group = list->in_group || list->behind_group;
        list->behind_group = list->in_group && stop == ';';
        if (stop == ';')
            list->in_group = false;
        if (stop != ':' && entry_r->length > 0 && !(of_group && is_comment(*entry_r)))
            return 1;
    }
    if (!list->in_group)
        return 0;
    *entry_r = trim(list->text, list->length);
    *fault_r = group_open;
    return -1;
}

/* Plain: ASCII without quotes, comments, encoded words or other syntax than
 * one <…> at the end. Then our reading of it is the only one. */
static bool is_plain(struct address_entry entry, const char **open_r)
{
    static const bool special[128] = {
        ['"'] = true, ['('] = true, [')'] = true, ['\\'] = true, ['['] = true, [']'] = true,
        ['<'] = true, ['>'] = true, [','] = true, [';'] = true,  [':'] = true, ['\t'] = true,
    };
    size_t length = entry.length;
    *open_r = NULL;
    if (length > 0 && entry.text[length - 1] == '>') {
        *open_r = memchr(entry.text, '<', length);
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)entry.text[i];
        if (byte >= 0x80 || (special[byte] && entry.text + i != *open_r) ||
            (byte == '=' && i + 1 < length && entry.text[i + 1] == '?'))
            return false;
    }
    return length == entry.length || *open_r != NULL;
}

static const char *read_plain(struct address_entry entry, const char *open,
                              struct address *address_r)
{
    if (open == NULL)
        return address_normalise(entry.text, entry.length, address_r);
    size_t name_length = (size_t)(open - entry.text);
    if (memchr(entry.text, '@', name_length) != NULL || entry.text[0] == '.')
        return quote_name;
    return address_normalise(open + 1, entry.length - name_length - 2, address_r);
}

/* Stands for a comment; no text from outside holds it. */
static const char comment_mark = '\x01';

/* What stands in the place of a comment at the beginning or the end is no part of the address. */
static struct address_entry trim_comments(const char *text, size_t length)
{
    while (length > 0 && (is_blank(text[0]) || text[0] == comment_mark)) {
        text++;
        length--;
    }
    while (length > 0 && (is_blank(text[length - 1]) || text[length - 1] == comment_mark))
        length--;
    return (struct address_entry){text, length};
}

/* Copies the bare address out of an entry, each comment as its mark: what is inside
 * of <…>, or all of it. *length_r is more than ADDRESS_MAX_WRITTEN_BYTES when it is too long. */
static const char *strip(struct address_entry entry, char *bare_r, size_t *length_r)
{
    enum { BEFORE, INSIDE, BEHIND } where = BEFORE;
    bool first = true;  /* no word was seen yet */
    bool phrase = true; /* what was before could be a name */
    size_t used = 0;
    for (size_t at = 0, start; at < entry.length;) {
        start = at;
        const char *fault = step(entry.text, entry.length, &at);
        char character = entry.text[start];
        bool comment = character == '(';
        if (fault != NULL)
            return fault;
        bool blank = comment || is_blank(character);
        if (where == BEFORE &&
            (strchr("@>)[]\\", character) != NULL || (first && character == '.')))
            phrase = false;
        first = first && blank;
        if (character == '<' && where == BEFORE) {
            if (!phrase)
                return quote_name;
            where = INSIDE;
            used = 0;
        } else if (character == '>' && where == INSIDE) {
            where = BEHIND;
        } else if (where == BEHIND) {
            if (!blank)
                return "something stands behind its closing >";
        } else if (where == INSIDE && strchr("<,;:", character) != NULL) {
            return "what stands in its < > is no address";
        } else {
            size_t piece = comment ? 1 : at - start;
            if (used + piece <= ADDRESS_MAX_WRITTEN_BYTES)
                memcpy(bare_r + used, comment ? &comment_mark : entry.text + start, piece);
            used += piece;
        }
    }
    *length_r = used;
    return where == INSIDE ? "its < is not closed" : NULL;
}

static void init_once(void) { g_mime_init(); }

void address_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

static void note_warning(gint64 offset, GMimeParserWarning warning, const gchar *item,
                         gpointer refused)
{
    (void)offset;
    (void)item;
    /* Characters outside ASCII are welcome, and a faulty encoded word is just a name. */
    if (warning != GMIME_WARN_UNENCODED_8BIT_HEADER &&
        warning != GMIME_WARN_INVALID_RFC2047_HEADER_VALUE)
        *(bool *)refused = true;
}

static GMimeParserOptions *strict_options(bool *refused)
{
    GMimeParserOptions *options = g_mime_parser_options_new();
    g_mime_parser_options_set_address_compliance_mode(options, GMIME_RFC_COMPLIANCE_STRICT);
    g_mime_parser_options_set_rfc2047_compliance_mode(options, GMIME_RFC_COMPLIANCE_STRICT);
    g_mime_parser_options_set_allow_addresses_without_domain(options, FALSE);
#if GMIME_CHECK_VERSION(3, 2, 15)
    g_mime_parser_options_set_warning_callback(options, note_warning, refused, NULL);
#else
    g_mime_parser_options_set_warning_callback(options, note_warning, refused);
#endif
    return options;
}

/* GMime's reading of an entry in key form; false when it does not see exactly one mailbox. */
static bool read_by_gmime(GMimeParserOptions *options, const char *text, struct address *address_r)
{
    InternetAddressList *list = internet_address_list_parse(options, text);
    if (list == NULL)
        return false;
    bool read = false;
    InternetAddress *only =
        internet_address_list_length(list) == 1 ? internet_address_list_get_address(list, 0) : NULL;
    if (only != NULL && INTERNET_ADDRESS_IS_MAILBOX(only)) {
        const char *found = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(only));
        read = found != NULL && address_normalise(found, strlen(found), address_r) == NULL;
    }
    g_object_unref(list);
    return read;
}

static uint32_t count_characters(const char *text, size_t length)
{
    uint32_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += (text[i] & 0xC0) != 0x80;
    return count;
}

static uint32_t count_decoded(GMimeParserOptions *options, const char *text, size_t length)
{
    if (strstr(text, "=?") == NULL)
        return count_characters(text, length);
    g_autofree char *decoded = g_mime_utils_header_decode_text(options, text);
    return count_characters(decoded, strlen(decoded));
}

/* An entry that is not plain: GMime has to see the same address as we do. */
static const char *read_unusual(struct address_entry entry, struct address *address_r,
                                uint32_t *written_chars_r)
{
    char bare[ADDRESS_MAX_WRITTEN_BYTES];
    size_t bare_length = 0;
    const char *fault = strip(entry, bare, &bare_length);
    if (fault != NULL)
        return fault;
    if (bare_length > sizeof bare)
        return address_too_long;
    struct address_entry address = trim_comments(bare, bare_length);
    if (memchr(address.text, comment_mark, address.length) != NULL)
        return "a comment stands in the middle of its address";
    fault = address_normalise(address.text, address.length, address_r);
    if (fault != NULL)
        return fault;
    address_init();
    bool refused = false;
    struct address second;
    g_autofree char *text = g_strndup(entry.text, entry.length);
    GMimeParserOptions *options = strict_options(&refused);
    bool read = read_by_gmime(options, text, &second) && !refused;
    *written_chars_r = count_decoded(options, text, entry.length);
    g_mime_parser_options_free(options);
    return read && strcmp(second.text, address_r->text) == 0
               ? NULL
               : "its name is not as RFC 5322 writes names; put it in quotation marks";
}

const char *address_entry_read(struct address_entry entry, struct address *address_r,
                               uint32_t *written_chars_r)
{
    const char *open = NULL;
    if (entry.length > ADDRESS_MAX_ENTRY_BYTES)
        return "it is longer than 8192 bytes";
    if (!is_plain(entry, &open))
        return read_unusual(entry, address_r, written_chars_r);
    *written_chars_r = (uint32_t)entry.length;
    return read_plain(entry, open, address_r);
}

const char *address_quote(char quoted[ADDRESS_QUOTE_SIZE], struct address_entry entry)
{
    size_t length = entry.length;
    const char *more = "";
    if (length > 60) {
        more = "…";
        for (length = 57; length > 0 && (entry.text[length] & 0xC0) == 0x80;)
            length--;
    }
    snprintf(quoted, ADDRESS_QUOTE_SIZE, "\"%.*s%s\"", (int)length, entry.text, more);
    return quoted;
}
