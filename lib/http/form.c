/* application/x-www-form-urlencoded, in one pass over pieces of any size. */
#include "http/form.h"

#include <stdlib.h>
#include <string.h>

#include "base/percent.h"

struct urlencoded {
    struct form_listener listener;
    char name[FORM_MAX_NAME_BYTES];
    size_t name_length;
    size_t ended;  /* fields, the empty ones too: PHP counts them */
    bool any;      /* a byte of the field was seen */
    bool in_value; /* behind its = */
    bool wanted;
    char escape[2]; /* the bytes of a % that is not complete yet */
    size_t escape_length;
};

struct urlencoded *form_urlencoded_new(const struct form_listener *listener)
{
    struct urlencoded *form = xcalloc(1, sizeof *form);
    form->listener = *listener;
    return form;
}

void form_urlencoded_free(struct urlencoded **form)
{
    free(*form);
    *form = NULL;
}

/* Decoded bytes of the name or the value under way. */
static int put(struct urlencoded *form, const char *bytes, size_t length, struct problem *problem)
{
    if (form->in_value)
        return !form->wanted ||
               form->listener.value(form->listener.context, bytes, length, problem);
    for (size_t i = 0; i < length; i++, form->name_length++)
        if (form->name_length < sizeof form->name)
            form->name[form->name_length] = bytes[i];
    return 1;
}

static int begin_value(struct urlencoded *form, struct problem *problem)
{
    bool whole = form->name_length <= sizeof form->name;
    form->in_value = true;
    form->wanted = false;
    return form->listener.begin(form->listener.context, form->name,
                                whole ? form->name_length : sizeof form->name, whole, &form->wanted,
                                problem);
}

/* The % turns out to be none: its bytes stand for themselves. */
static int give_up_escape(struct urlencoded *form, struct problem *problem)
{
    size_t length = form->escape_length;
    form->escape_length = 0;
    if (length == 0)
        return 1;
    if (form->in_value && form->wanted)
        return form->listener.fault(form->listener.context,
                                    "it holds a % without two hexadecimal digits behind it",
                                    problem);
    return put(form, form->escape, length, problem);
}

static int end_field(struct urlencoded *form, struct problem *problem)
{
    if (++form->ended > form->listener.max_fields)
        return problem_set(problem, 413, "body", "a form has at most %zu fields",
                           form->listener.max_fields);
    if (!give_up_escape(form, problem))
        return 0;
    if (form->any && !form->in_value && !begin_value(form, problem))
        return 0;
    if (form->in_value && form->wanted && !form->listener.end(form->listener.context, problem))
        return 0;
    form->any = form->in_value = form->wanted = false;
    form->name_length = 0;
    return 1;
}

/* A byte behind a %. */
static int take_escaped(struct urlencoded *form, char byte, struct problem *problem)
{
    if (form->escape_length == 1) {
        form->escape[form->escape_length++] = byte;
        return 1;
    }
    char decoded = (char)(percent_digit(form->escape[1]) << 4 | percent_digit(byte));
    form->escape_length = 0;
    return put(form, &decoded, 1, problem);
}

static int take_special(struct urlencoded *form, char byte, struct problem *problem)
{
    if (form->escape_length > 0 && percent_digit(byte) >= 0)
        return take_escaped(form, byte, problem);
    if (byte == '&')
        return end_field(form, problem);
    form->any = true;
    if (!give_up_escape(form, problem))
        return 0;
    if (byte == '=' && !form->in_value)
        return begin_value(form, problem);
    if (byte == '%') {
        form->escape[form->escape_length++] = byte;
        return 1;
    }
    return put(form, byte == '+' ? " " : &byte, 1, problem);
}

/* How many bytes stand for themselves; a value that nobody wants ends only at &. */
static size_t plain_run(const struct urlencoded *form, const char *bytes, size_t length)
{
    if (form->escape_length > 0)
        return 0;
    if (form->in_value && !form->wanted) {
        const char *end = memchr(bytes, '&', length);
        return end != NULL ? (size_t)(end - bytes) : length;
    }
    size_t run = 0;
    while (run < length && strchr("&=%+", bytes[run]) == NULL)
        run++;
    return run;
}

int form_urlencoded_add(struct urlencoded *form, const char *bytes, size_t length,
                   struct problem *problem)
{
    for (size_t at = 0; at < length;) {
        size_t run = plain_run(form, bytes + at, length - at);
        if (run > 0) {
            form->any = true;
            if (!put(form, bytes + at, run, problem))
                return 0;
            at += run;
        } else if (!take_special(form, bytes[at++], problem)) {
            return 0;
        }
    }
    return 1;
}

int form_urlencoded_end(struct urlencoded *form, struct problem *problem)
{
    return end_field(form, problem);
}
