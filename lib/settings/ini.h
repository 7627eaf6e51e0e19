/* Reads an INI file line by line. Pure: it knows no setting, opens nothing and allocates nothing;
 * it cuts names and values in place. A line, with or without white space around it, is one of
 *
 *   [section]         nothing but a comment follows the first ']'
 *   name = value      or "name: value": the first '=' or ':' ends the name
 *   more              of the value before: indented, no '=' or ':', where the caller allows it
 *   # comment         or "; comment", or nothing
 *
 * A ';' behind white space begins a comment in any line, behind a section's ']' also ';' or '#'. A
 * line ends with LF or CRLF; a byte order mark before the first line is skipped. There are no
 * quotation marks and no escapes. */
#ifndef SENDGUARD_INI_H
#define SENDGUARD_INI_H

#include <stdbool.h>

#include "base/base.h"

enum { INI_LINE_MAX_BYTES = 64 * 1024 }; /* without white space around the line and its comment */

enum ini_kind { INI_SECTION, INI_SETTING, INI_MORE };

struct ini {
    char *next, *end; /* what is left to read */
    bool continues;   /* the caller sets it: the next indented line may be INI_MORE */
    /* The current line: */
    int line; /* number, from 1 */
    enum ini_kind kind;
    const char *fault; /* what is wrong with it, or NULL; then name and value are "" */
    const char *name;  /* of the section or the setting; "" of INI_MORE */
    const char *value; /* without white space around it; "" of a section */
};

/* Begins before the first line. ini_next writes to `bytes`, which outlive *ini; bytes[length] is a
 * NUL. */
void ini_begin(struct ini *ini, char *bytes, size_t length);
/* Goes to the next line that is neither empty nor a comment; 1, or 0 at the end. A line has a fault
 * when it has no form of the above, is too long or holds what address_text_fault refuses, be it in
 * a comment; the next call goes on behind it. */
int ini_next(struct ini *ini) must_check;

#endif
