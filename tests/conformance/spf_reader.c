/* What lib/mail/spf makes of other people's records, for tests/conformance/run. Reads lines, with
 * each field but the first in hexadecimal digits:
 *   record<TAB>NAME<TAB>TYPE<TAB>BYTES        a record of the DNS, as mail/spf.h has them
 *   alias<TAB>NAME<TAB>NAME                   a CNAME
 *   silent<TAB>NAME                           nobody answers what is asked of it besides
 *   check<TAB>IP<TAB>DOMAIN<TAB>SENDER<TAB>HELO   prints the result
 *   forget                                    the DNS is empty again */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mail/spf_names.h"

enum { FIELDS_MAX = 4 };

static struct spf_names names;

static struct mail_view bytes_of(struct arena *arena, const char *digits)
{
    size_t length = strlen(digits) / 2;
    char *bytes = arena_alloc(arena, length + 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(g_ascii_xdigit_value(digits[2 * i]) << 4 |
                          g_ascii_xdigit_value(digits[2 * i + 1]));
    return (struct mail_view){bytes, length};
}

static enum spf_type type_of(const char *name)
{
    static const char *const types[] = {"A", "AAAA", "MX", "PTR", "TXT"};
    for (size_t i = 0; i < countof(types); i++)
        if (strcmp(types[i], name) == 0)
            return (enum spf_type)i;
    fprintf(stderr, "%s: no type\n", name);
    exit(2);
}

static void check(struct arena *arena, const struct mail_view field[FIELDS_MAX])
{
    struct spf_request request = {.domain = field[1].text, .sender = field[2].text,
                                  .helo = field[3].text};
    const struct spf_resolver resolver = {spf_names_look_up, &names};
    struct spf_verdict verdict;
    if (!spf_ip_read(field[0].text, &request.ip)) {
        puts("no address");
        return;
    }
    spf_check(arena, &request, &resolver, &verdict);
    puts(spf_result_names[verdict.result]);
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    struct arena *arena = arena_new();
    for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
        line[length - 1] = '\0';
        char *rest = line, *what = strsep(&rest, "\t");
        struct mail_view field[FIELDS_MAX] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};
        for (size_t i = 0; i < FIELDS_MAX && rest != NULL; i++)
            field[i] = bytes_of(arena, strsep(&rest, "\t"));
        struct spf_name one = {.name = field[0].text};
        if (strcmp(what, "check") == 0) {
            check(arena, field);
            continue;
        } else if (strcmp(what, "forget") == 0) {
            names.count = 0;
            continue;
        } else if (strcmp(what, "record") == 0) {
            one.type = type_of(field[1].text);
            one.record = field[2];
        } else if (strcmp(what, "alias") == 0) {
            one.alias = field[1].text;
        } else {
            one.silent = true;
        }
        if (names.count < SPF_NAMES_MAX)
            names.of[names.count++] = one;
    }
    free(line);
    arena_free(&arena);
    return 0;
}
