#include "settings/ini.h"

#include <string.h>

#include "message/address.h"

static const char space[] = " \t", equals[] = "=:";

/* Takes the next line and puts a NUL in the place of its end. */
static char *take_line(struct ini *ini, size_t *length_r)
{
    char *line = ini->next;
    char *feed = memchr(line, '\n', (size_t)(ini->end - line));
    char *end = feed != NULL ? feed : ini->end;
    ini->next = feed != NULL ? feed + 1 : ini->end;
    ini->line++;
    if (end > line && end[-1] == '\r')
        end--;
    *end = '\0';
    *length_r = (size_t)(end - line);
    return line;
}

/* Cuts off the comment behind white space, and the white space on both sides. */
static char *trim(char *text)
{
    char *end = text;
    for (char *at = text; *at != '\0' && (*at != ';' || at == text || !strchr(space, at[-1])); at++)
        if (strchr(space, *at) == NULL)
            end = at + 1;
    *end = '\0';
    return text + strspn(text, space);
}

static void read_section(struct ini *ini, char *text)
{
    char *close = strchr(text, ']');
    const char *behind = close != NULL ? close + 1 + strspn(close + 1, space) : "";
    ini->kind = INI_SECTION;
    if (close == NULL) {
        ini->fault = "a section without its ']'";
    } else if (strchr(";#", *behind) == NULL) { /* which finds the NUL, too */
        ini->fault = "something stands behind the section's ']'";
    } else {
        *close = '\0';
        ini->name = text + 1;
    }
}

static void read_setting(struct ini *ini, char *text)
{
    char *end = strpbrk(text, equals);
    if (end == NULL) {
        ini->fault = "is no setting; expected key = value";
        return;
    }
    *end = '\0';
    ini->name = trim(text);
    ini->value = end + 1 + strspn(end + 1, space);
}

void ini_begin(struct ini *ini, char *bytes, size_t length)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    *ini = (struct ini){.next = bytes, .end = bytes + length};
    if (length >= 3 && memcmp(bytes, byte_order_mark, 3) == 0)
        ini->next += 3;
}

int ini_next(struct ini *ini)
{
    char *line, *text;
    do {
        size_t length;
        if (ini->next == ini->end)
            return 0;
        line = take_line(ini, &length);
        ini->fault = address_text_fault(line, length);
        text = trim(line);
    } while (ini->fault == NULL && strchr("#;", *text) != NULL); /* which finds the NUL, too */
    ini->kind = INI_SETTING;
    ini->name = ini->value = "";
    if (ini->fault == NULL && strlen(text) > INI_LINE_MAX_BYTES)
        ini->fault = "the line is longer than 65536 bytes";
    if (ini->fault != NULL)
        return 1;
    if (*text == '[') {
        read_section(ini, text);
    } else if (text > line && ini->continues && strpbrk(text, equals) == NULL) {
        ini->kind = INI_MORE;
        ini->value = text;
    } else {
        read_setting(ini, text);
    }
    return 1;
}
