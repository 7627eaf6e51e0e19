/* multipart/form-data. A boundary is looked for as line feed, two hyphens,
 * boundary, whatever stands before the line feed, as PHP does; a carriage
 * return before it belongs to it. Since no boundary holds a line feed, a match
 * that fails can begin anew only at the byte that broke it. */
#include "fcgi/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum state {
    BEFORE,  /* the first boundary opens the body */
    MARK,    /* right behind a boundary: line end, or -- at the last one */
    HEADERS, /* of a part, up to an empty line */
    CONTENT,
    CLOSED, /* behind the last boundary */
};

struct multipart {
    struct form_listener listener;
    enum state state;
    char delimiter[3 + FORM_MAX_BOUNDARY_BYTES];
    size_t delimiter_length;
    size_t matched; /* bytes of the delimiter that were just seen */
    bool at_start;  /* the line feed of the match is not there: the text begins */
    bool carriage;  /* a carriage return is held back, it may belong to a delimiter */
    char mark[2];   /* behind a boundary */
    size_t mark_length;
    char header[FORM_MAX_HEADER_BYTES];
    size_t header_length, line_start;
    size_t parts;
    bool wanted;
};

/* What the headers of a part say. */
struct part {
    char name[FORM_MAX_NAME_BYTES];
    size_t name_length; /* may be more than fits into name */
    bool has_disposition, has_name, has_file, has_encoding, binary_safe;
};

struct multipart *multipart_new(const struct form_listener *listener, const char *boundary,
                                size_t length)
{
    struct multipart *form = xcalloc(1, sizeof *form);
    form->listener = *listener;
    memcpy(form->delimiter, "\n--", 3);
    memcpy(form->delimiter + 3, boundary, length);
    form->delimiter_length = 3 + length;
    form->matched = 1;
    form->at_start = true;
    return form;
}

void multipart_free(struct multipart **form)
{
    free(*form);
    *form = NULL;
}

static int refuse(struct problem *problem, const char *text)
{
    return problem_set(problem, 400, "body", "%s", text);
}

static bool is_token(char character)
{
    return character > ' ' && character < 0x7F && strchr("()<>@,;:\\\"/[]?=", character) == NULL;
}

static size_t token_length(const char *text, size_t length)
{
    size_t used = 0;
    while (used < length && is_token(text[used]))
        used++;
    return used;
}

static bool same_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

/* A piece of a header line that is read from its front. */
struct rest {
    const char *text;
    size_t length;
};

static void skip(struct rest *rest, size_t count)
{
    rest->text += count;
    rest->length -= count;
}

static void skip_blank(struct rest *rest)
{
    while (rest->length > 0 && (rest->text[0] == ' ' || rest->text[0] == '\t'))
        skip(rest, 1);
}

/* Single quotes are nothing special in the standards, but PHP goes by them. */
static bool is_quoting(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\'';
    return count % 2 != 0 || text[0] == '\'';
}

/* A parameter's value, a token or in quotation marks; what one program would
 * read as an escape and another would not is refused. */
static int read_value(struct rest *rest, struct rest *value_r, struct problem *problem)
{
    if (rest->length > 0 && rest->text[0] == '"') {
        const char *end = memchr(rest->text + 1, '"', rest->length - 1);
        if (end == NULL)
            return refuse(problem, "a part's header does not close a quotation mark");
        *value_r = (struct rest){rest->text + 1, (size_t)(end - rest->text) - 1};
        skip(rest, value_r->length + 2);
        if (memmem(value_r->text, value_r->length, "\\\\", 2) != NULL ||
            (value_r->length > 0 && end[-1] == '\\'))
            return refuse(problem, "a part's header escapes a quotation mark or a backslash; "
                                   "%22 and %5C stand for them");
        return 1;
    }
    size_t length = token_length(rest->text, rest->length);
    *value_r = (struct rest){rest->text, length};
    if (length == 0 || is_quoting(rest->text, length))
        return refuse(problem, "a parameter of a part's header has no readable value");
    skip(rest, length);
    return 1;
}

static int take_parameter(struct part *part, struct rest key, struct rest value,
                          struct problem *problem)
{
    if (same_word(key.text, key.length, "name*"))
        return refuse(problem, "a part's name is encoded with name*, which forms do not use");
    if (same_word(key.text, key.length, "filename")) {
        if (part->has_file)
            return refuse(problem, "a part has two filenames");
        part->has_file = true;
    } else if (same_word(key.text, key.length, "name")) {
        if (part->has_name)
            return refuse(problem, "a part has two names");
        if (memchr(value.text, '\\', value.length) != NULL)
            return refuse(problem, "a part's name holds a backslash");
        part->has_name = true;
        part->name_length = value.length;
        memcpy(part->name, value.text,
               value.length < sizeof part->name ? value.length : sizeof part->name);
    }
    return 1;
}

static int read_disposition(struct part *part, struct rest rest, struct problem *problem)
{
    size_t length = token_length(rest.text, rest.length);
    if (part->has_disposition)
        return refuse(problem, "a part has two Content-Disposition headers");
    part->has_disposition = true;
    if (!same_word(rest.text, length, "form-data"))
        return refuse(problem, "a part's Content-Disposition is not form-data");
    skip(&rest, length);
    skip_blank(&rest);
    while (rest.length > 0) {
        struct rest key, value = {0};
        if (rest.text[0] != ';')
            return refuse(problem, "a part's Content-Disposition is malformed");
        skip(&rest, 1);
        skip_blank(&rest);
        key = (struct rest){rest.text, token_length(rest.text, rest.length)};
        skip(&rest, key.length);
        if (key.length == 0 || memchr(key.text, '\'', key.length) != NULL || rest.length == 0 ||
            rest.text[0] != '=')
            return refuse(problem, "a part's Content-Disposition is malformed");
        skip(&rest, 1);
        if (!read_value(&rest, &value, problem) || !take_parameter(part, key, value, problem))
            return 0;
        skip_blank(&rest);
    }
    return 1;
}

static int read_encoding(struct part *part, struct rest rest, struct problem *problem)
{
    if (part->has_encoding)
        return refuse(problem, "a part has two Content-Transfer-Encoding headers");
    part->has_encoding = true;
    while (rest.length > 0 &&
           (rest.text[rest.length - 1] == ' ' || rest.text[rest.length - 1] == '\t'))
        rest.length--;
    part->binary_safe = same_word(rest.text, rest.length, "7bit") ||
                        same_word(rest.text, rest.length, "8bit") ||
                        same_word(rest.text, rest.length, "binary");
    return 1;
}

static int read_line(struct part *part, struct rest line, struct problem *problem)
{
    struct rest name = {line.text, token_length(line.text, line.length)};
    for (size_t i = 0; i < line.length; i++)
        if (((unsigned char)line.text[i] < ' ' && line.text[i] != '\t') || line.text[i] == 0x7F)
            return refuse(problem, "a part's header holds a control character");
    if (name.length == 0 || name.length == line.length || line.text[name.length] != ':')
        return refuse(problem, "a part's header is malformed or folded");
    skip(&line, name.length + 1);
    skip_blank(&line);
    if (same_word(name.text, name.length, "Content-Disposition"))
        return read_disposition(part, line, problem);
    if (same_word(name.text, name.length, "Content-Transfer-Encoding"))
        return read_encoding(part, line, problem);
    return 1;
}

/* The headers are complete: tells of a field, passes over a file. */
static int begin_part(struct multipart *form, const struct part *part, struct problem *problem)
{
    bool whole = part->name_length <= sizeof part->name;
    const struct form_listener *listener = &form->listener;
    form->wanted = false;
    if (!part->has_name)
        return refuse(problem, "a part has no name in a Content-Disposition header");
    if (part->has_file)
        return 1;
    if (!listener->begin(listener->context, part->name,
                         whole ? part->name_length : sizeof part->name, whole, &form->wanted,
                         problem))
        return 0;
    if (form->wanted && part->has_encoding && !part->binary_safe)
        return listener->fault(listener->context,
                               "its Content-Transfer-Encoding is none of 7bit, 8bit, binary",
                               problem);
    return 1;
}

static int end_headers(struct multipart *form, struct problem *problem)
{
    struct part part = {0};
    struct rest rest = {form->header, form->header_length};
    while (rest.length > 0) {
        size_t length = (size_t)((const char *)memchr(rest.text, '\n', rest.length) - rest.text);
        struct rest line = {rest.text, length};
        if (length > 0 && line.text[length - 1] == '\r')
            line.length--;
        if (!read_line(&part, line, problem))
            return 0;
        skip(&rest, length + 1);
    }
    form->state = CONTENT;
    form->matched = 1; /* a boundary right here would be one to some readers */
    form->at_start = true;
    form->carriage = false;
    return begin_part(form, &part, problem);
}

static bool is_empty_line(const struct multipart *form)
{
    size_t length = form->header_length - form->line_start;
    const char *line = form->header + form->line_start;
    return length == 1 || (length == 2 && line[0] == '\r');
}

/* Each step takes some of the piece and returns how much, or 0 with *problem. */
static size_t step_headers(struct multipart *form, const char *bytes, size_t length,
                           struct problem *problem)
{
    const char *end = memchr(bytes, '\n', length);
    size_t used = end != NULL ? (size_t)(end - bytes) + 1 : length;
    if (used > sizeof form->header - form->header_length ||
        form->header_length + used - form->line_start > FORM_MAX_LINE_BYTES) {
        problem_set(problem, 400, "body",
                    "the headers of a part have at most %d bytes, a line of them %d",
                    FORM_MAX_HEADER_BYTES, FORM_MAX_LINE_BYTES);
        return 0;
    }
    memcpy(form->header + form->header_length, bytes, used);
    form->header_length += used;
    if (end == NULL)
        return used;
    if (is_empty_line(form)) {
        form->header_length = form->line_start;
        return end_headers(form, problem) ? used : 0;
    }
    form->line_start = form->header_length;
    return used;
}

static int bring(const struct multipart *form, const char *bytes, size_t length,
                 struct problem *problem)
{
    return !form->wanted || length == 0 ||
           form->listener.value(form->listener.context, bytes, length, problem);
}

static int bring_carriage(struct multipart *form, struct problem *problem)
{
    bool held = form->carriage;
    form->carriage = false;
    return !held || bring(form, "\r", 1, problem);
}

/* The match broke: what was held back is content. */
static int release(struct multipart *form, struct problem *problem)
{
    size_t skipped = form->at_start ? 1 : 0, matched = form->matched;
    form->matched = 0;
    form->at_start = false;
    return bring_carriage(form, problem) &&
           bring(form, form->delimiter + skipped, matched - skipped, problem);
}

static int end_content(struct multipart *form, struct problem *problem)
{
    if (form->state == CONTENT && form->at_start)
        return refuse(problem, "a boundary stands right behind a part's headers");
    if (form->state == CONTENT && form->wanted &&
        !form->listener.end(form->listener.context, problem))
        return 0;
    form->state = MARK;
    form->mark_length = form->matched = 0;
    form->at_start = form->carriage = form->wanted = false;
    return 1;
}

static size_t step_match(struct multipart *form, const char *bytes, size_t length,
                         struct problem *problem)
{
    size_t used = 0;
    while (used < length && form->matched < form->delimiter_length &&
           bytes[used] == form->delimiter[form->matched]) {
        used++;
        form->matched++;
    }
    if (form->matched == form->delimiter_length)
        return end_content(form, problem) ? used : 0;
    if (used == length)
        return used;
    if (form->state == BEFORE) {
        refuse(problem, "the body does not begin with its boundary");
        return 0;
    }
    if (!release(form, problem))
        return 0;
    if (used > 0)
        return used;
    /* The byte that broke the match is content, or begins the next match. */
    if (bytes[0] == '\n')
        form->matched = 1;
    else if (bytes[0] == '\r')
        form->carriage = true;
    else if (!bring(form, bytes, 1, problem))
        return 0;
    return 1;
}

static size_t step_content(struct multipart *form, const char *bytes, size_t length,
                           struct problem *problem)
{
    if (form->matched > 0)
        return step_match(form, bytes, length, problem);
    const char *feed = memchr(bytes, '\n', length);
    size_t run = feed != NULL ? (size_t)(feed - bytes) : length;
    if (run > 0) {
        bool carriage = bytes[run - 1] == '\r';
        if (!bring_carriage(form, problem) || !bring(form, bytes, run - carriage, problem))
            return 0;
        form->carriage = carriage;
    }
    if (feed == NULL)
        return run;
    form->matched = 1;
    return run + 1;
}

static size_t step_mark(struct multipart *form, char byte, struct problem *problem)
{
    form->mark[form->mark_length++] = byte;
    bool feed = byte == '\n' && (form->mark_length == 1 || form->mark[0] == '\r');
    if (feed && ++form->parts > form->listener.max_fields) {
        problem_set(problem, 413, "body", "a form has at most %zu parts",
                    form->listener.max_fields);
        return 0;
    }
    if (feed) {
        form->state = HEADERS;
        form->header_length = form->line_start = 0;
        return 1;
    }
    if (form->mark_length == 1 && (byte == '\r' || byte == '-'))
        return 1;
    if (form->mark_length == 2 && byte == '-' && form->mark[0] == '-') {
        form->state = CLOSED;
        return 1;
    }
    refuse(problem, "a boundary is followed by something else than a line end or --");
    return 0;
}

static size_t step_closed(const char *bytes, size_t length, struct problem *problem)
{
    size_t used = 0;
    while (used < length && (bytes[used] == '\r' || bytes[used] == '\n'))
        used++;
    if (used < length) {
        refuse(problem, "something stands behind the last boundary");
        return 0;
    }
    return used;
}

int multipart_add(struct multipart *form, const char *bytes, size_t length, struct problem *problem)
{
    for (size_t at = 0, used; at < length; at += used) {
        switch (form->state) {
        case BEFORE: used = step_match(form, bytes + at, length - at, problem); break;
        case MARK: used = step_mark(form, bytes[at], problem); break;
        case HEADERS: used = step_headers(form, bytes + at, length - at, problem); break;
        case CONTENT: used = step_content(form, bytes + at, length - at, problem); break;
        default: used = step_closed(bytes + at, length - at, problem); break;
        }
        if (used == 0)
            return 0;
    }
    return 1;
}

int multipart_end(struct multipart *form, struct problem *problem)
{
    return form->state == CLOSED || refuse(problem, "the body ends before its last boundary");
}
