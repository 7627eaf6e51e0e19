#include "http/json_body.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_strict.h"
#include "base/text.h"

/* What the scan knows of the text so far. */
struct scan {
    size_t depth, values;
    size_t names, all_names; /* in the outermost object, and in all: the colons there */
    bool begun, in_string, escaped;
    unsigned char unicode;   /* 0, or how much of \u0000 was just seen, from the u on */
    bool nul;                /* the string that ended last holds U+0000, which ends json-c's names */
    unsigned char word;      /* where in a number or a literal: an enum word */
    const char *literal;     /* what of true, false or null has to come */
    unsigned char follow;    /* bytes of a UTF-8 character still to come */
    unsigned char low, high; /* what the next of them may be */
};

/* json-c reads pieces too, but not always as it reads the whole ("1-" cut
 * behind the 1), so it gets the whole. */
struct json_body {
    struct scan scan;
    struct text text;
    size_t max_bytes;
    struct json_object *object;
    bool (*is_wanted)(const char *name, size_t length); /* NULL: all is */
    size_t name_at, name_end; /* in the text: the last string that began in the outermost object */
    bool unwanted;            /* what comes is of a member that is not wanted */
};

struct json_body *json_body_new(size_t max_bytes)
{
    struct json_body *body = xcalloc(1, sizeof *body);
    body->max_bytes = max_bytes;
    return body;
}

void json_body_free(struct json_body **body)
{
    if (*body == NULL)
        return;
    json_object_put((*body)->object);
    text_free(&(*body)->text);
    free(*body);
    *body = NULL;
}

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool take_utf8(struct scan *scan, unsigned char byte)
{
    if (scan->follow > 0) {
        bool fits = byte >= scan->low && byte <= scan->high;
        scan->low = 0x80;
        scan->high = 0xBF;
        scan->follow--;
        return fits;
    }
    scan->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    scan->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    scan->follow = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    return byte >= 0xC2 && byte <= 0xF4;
}

static const char *take_in_string(struct scan *scan, unsigned char byte)
{
    if (scan->escaped && byte >= 0x80)
        return "a string in it holds an escape that JSON does not have";
    if (scan->follow > 0 || byte >= 0x80)
        return take_utf8(scan, byte) ? NULL : "it is no valid UTF-8";
    if (byte < 0x20)
        return "a string in it holds a control character";
    if (scan->escaped) {
        scan->escaped = false;
        scan->unicode = byte == 'u';
        return NULL;
    }
    scan->unicode = scan->unicode > 0 && byte == '0' ? scan->unicode + 1 : 0;
    if (scan->unicode == sizeof "u0000" - 1)
        scan->nul = true;
    if (byte == '\\')
        scan->escaped = true;
    else if (byte == '"')
        scan->in_string = false;
    return NULL;
}

/* Numbers as RFC 8259 section 6 has them, and the three literals. json-c takes -012, 1. and 2.e3. */
enum word {
    WORD_NONE,
    WORD_LITERAL,
    WORD_MINUS,     /* a digit has to come */
    WORD_ZERO,      /* no digit may come */
    WORD_INTEGER,
    WORD_POINT,     /* a digit has to come */
    WORD_FRACTION,
    WORD_E,         /* a sign or a digit has to come */
    WORD_SIGN,      /* a digit has to come */
    WORD_EXPONENT,
};

static bool word_may_end(const struct scan *scan)
{
    switch (scan->word) {
    case WORD_LITERAL: return scan->literal[0] == '\0';
    case WORD_MINUS:
    case WORD_POINT:
    case WORD_E:
    case WORD_SIGN: return false;
    default: return true;
    }
}

static bool begin_word(struct scan *scan, unsigned char byte)
{
    static const char *const literals[] = {"true", "false", "null"};
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        scan->word = byte == '-' ? WORD_MINUS : byte == '0' ? WORD_ZERO : WORD_INTEGER;
        return true;
    }
    for (size_t i = 0; i < countof(literals); i++)
        if (literals[i][0] == (char)byte) {
            scan->word = WORD_LITERAL;
            scan->literal = literals[i] + 1;
            return true;
        }
    return false;
}

static bool take_digit(struct scan *scan, unsigned char byte)
{
    switch (scan->word) {
    case WORD_MINUS: scan->word = byte == '0' ? WORD_ZERO : WORD_INTEGER; return true;
    case WORD_INTEGER:
    case WORD_FRACTION:
    case WORD_EXPONENT: return true;
    case WORD_POINT: scan->word = WORD_FRACTION; return true;
    case WORD_E:
    case WORD_SIGN: scan->word = WORD_EXPONENT; return true;
    default: return false;
    }
}

static bool take_word(struct scan *scan, unsigned char byte)
{
    enum word word = scan->word;
    bool has_integer = word == WORD_ZERO || word == WORD_INTEGER;
    if (word == WORD_NONE)
        return begin_word(scan, byte);
    if (word == WORD_LITERAL)
        return scan->literal[0] == (char)byte && *scan->literal++ != '\0';
    if (byte >= '0' && byte <= '9')
        return take_digit(scan, byte);
    if (byte == '.' && has_integer)
        scan->word = WORD_POINT;
    else if ((byte == 'e' || byte == 'E') && (has_integer || word == WORD_FRACTION))
        scan->word = WORD_E;
    else if ((byte == '+' || byte == '-') && word == WORD_E)
        scan->word = WORD_SIGN;
    else
        return false;
    return true;
}

static bool is_structure(unsigned char byte)
{
    return byte != '\0' && strchr(" \t\n\r\"{}[]:,", byte) != NULL;
}

static void begin_string(struct scan *scan)
{
    scan->in_string = true;
    scan->nul = false;
    scan->unicode = 0;
}

static const char *take_structure(struct scan *scan, unsigned char byte)
{
    if (!word_may_end(scan))
        return "a number or a word in it is not as JSON writes it";
    scan->word = WORD_NONE;
    if (byte == '"')
        begin_string(scan);
    else if (byte == '{' || byte == '[')
        scan->depth++;
    else if (byte == '}' || byte == ']')
        scan->depth--;
    else if (byte == ':') {
        if (scan->nul)
            return "a member's name in it holds U+0000";
        scan->names += scan->depth == 1;
        scan->all_names++;
    }
    scan->values += byte == ',' || byte == '{' || byte == '[';
    return scan->depth > JSON_BODY_MAX_DEPTH ? "it is nested too deeply" : NULL;
}

static const char *take_outside(struct scan *scan, unsigned char byte)
{
    bool blank = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
    if (blank && scan->word == WORD_NONE)
        return NULL;
    if (!scan->begun && byte != '{')
        return "it is no object";
    if (scan->begun && scan->depth == 0)
        return "something stands behind its end";
    scan->begun = true;
    if (is_structure(byte))
        return take_structure(scan, byte);
    if (byte == '\0' || strchr("-+.0123456789eEtrufalsn", byte) == NULL)
        return "it holds a character that JSON does not have there";
    return take_word(scan, byte) ? NULL : "a number or a word in it is not as JSON writes it";
}

/* Looks at a piece before json-c does. */
static int scan_piece(struct scan *scan, const char *bytes, size_t length, struct problem *problem)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        const char *fault = scan->in_string ? take_in_string(scan, byte) : take_outside(scan, byte);
        if (fault != NULL)
            return problem_set(problem, 400, "body", "expected a JSON object, but %s", fault);
    }
    if (scan->values > JSON_BODY_MAX_VALUES)
        return problem_set(problem, 413, "body", "a JSON body holds at most %d values",
                           JSON_BODY_MAX_VALUES);
    if (scan->all_names > JSON_BODY_MAX_NAMES)
        return problem_set(problem, 413, "body", "a JSON body holds at most %d members",
                           JSON_BODY_MAX_NAMES);
    return 1;
}

void json_body_keep_only(struct json_body *body,
                         bool (*is_wanted)(const char *name, size_t length))
{
    body->is_wanted = is_wanted;
}

static int too_large(const struct json_body *body, struct problem *problem)
{
    return problem_set(problem, 413, "body", "a JSON body has at most %zu bytes", body->max_bytes);
}

/* A byte of the outermost object has been kept, outside of its strings or at an edge of one. */
static void follow_members(struct json_body *body, char byte)
{
    if (byte == '"' && body->scan.in_string)
        body->name_at = body->text.length;
    else if (byte == '"')
        body->name_end = body->text.length - 1;
    else if (byte == ',')
        body->unwanted = false;
    else if (byte == ':') {
        const char *name = body->text.data + body->name_at;
        size_t length = body->name_end - body->name_at;
        body->unwanted = memchr(name, '\\', length) == NULL && !body->is_wanted(name, length);
    }
}

static int add_wanted(struct json_body *body, const char *bytes, size_t length,
                      struct problem *problem)
{
    for (size_t i = 0; i < length; i++) {
        bool was_in_string = body->scan.in_string;
        if (!scan_piece(&body->scan, bytes + i, 1, problem))
            return 0;
        bool inside = was_in_string && body->scan.in_string;
        if (inside && body->unwanted)
            continue;
        if (body->text.length == body->max_bytes)
            return too_large(body, problem);
        text_add_char(&body->text, bytes[i]);
        if (!inside && body->scan.depth == 1)
            follow_members(body, bytes[i]);
    }
    return 1;
}

int json_body_add(struct json_body *body, const char *bytes, size_t length, struct problem *problem)
{
    if (body->is_wanted != NULL)
        return add_wanted(body, bytes, length, problem);
    if (length > body->max_bytes - body->text.length)
        return too_large(body, problem);
    if (!scan_piece(&body->scan, bytes, length, problem))
        return 0;
    text_add_bytes(&body->text, bytes, length);
    return 1;
}

static int parse(struct json_body *body, struct problem *problem)
{
    /* One level more than the scan lets through, whose message is clearer. */
    enum json_tokener_error error;
    size_t end;
    body->object = json_strict_parse(text_string(&body->text), body->text.length,
                                     JSON_BODY_MAX_DEPTH + 2, &error, &end);
    return body->object != NULL ||
           problem_set(problem, 400, "body", "expected a JSON object, but it is malformed: %s",
                       json_tokener_error_desc(error));
}

int json_body_end(struct json_body *body, struct json_object **object_r, struct problem *problem)
{
    if (!body->scan.begun || body->scan.depth > 0)
        return problem_set(problem, 400, "body", "expected a JSON object, but it is %s",
                           body->scan.begun ? "cut off" : "empty");
    if (!parse(body, problem))
        return 0;
    /* json-c keeps the last of two members with one name; other readers keep the first. */
    if (body->scan.names != (size_t)json_object_object_length(body->object))
        return problem_set(problem, 400, "body", "a member is given twice");
    *object_r = body->object;
    return 1;
}
