/* SPF records of strangers: one line for each record, all that is asked for is among them. */
#include <stdlib.h>
#include <string.h>

#include "mail/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 32, LOOKUPS_EXPECTED = 1 + SPF_LOOKUPS_MAX * (2 + 2 * SPF_HOSTS_MAX) * 9 };

struct lines {
    struct mail_view of[RECORDS_MAX];
    size_t count, next;
    unsigned asked;
};

/* The next line, whatever is asked for; "-" nobody answers, nothing: there is none. */
static enum spf_lookup look_up(void *self, struct arena *arena, const char *name,
                               enum spf_type type, struct spf_found *found_r)
{
    struct lines *lines = self;
    (void)type;
    if (strlen(name) > 254 || ++lines->asked > LOOKUPS_EXPECTED)
        abort();
    found_r->of = arena_alloc(arena, sizeof *found_r->of);
    *found_r->of = lines->of[lines->next++ % lines->count];
    found_r->count = 1;
    return found_r->of->length == 0                                       ? SPF_LOOKUP_VOID
           : found_r->of->length == 1 && found_r->of->text[0] == '-' ? SPF_LOOKUP_FAILED
                                                                          : SPF_LOOKUP_FOUND;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct lines lines = {.count = 0};
    const char *next = (const char *)data, *end = next + size;
    while (lines.count < RECORDS_MAX) {
        const char *line_end = next < end ? memchr(next, '\n', (size_t)(end - next)) : NULL;
        size_t length = (size_t)((line_end != NULL ? line_end : end) - next);
        lines.of[lines.count++] =
            (struct mail_view){arena_strndup(arena, size > 0 ? next : "", length), length};
        if (line_end == NULL)
            break;
        next = line_end + 1;
    }
    const struct spf_resolver resolver = {look_up, &lines};
    struct spf_request request = {.domain = "example.test", .sender = "a.b-c@example.test",
                                  .helo = "mail.example.test"};
    struct spf_verdict verdict;
    if (!spf_ip_read(size % 2 ? "192.0.2.1" : "2001:db8::1", &request.ip))
        abort();
    spf_check(arena, &request, &resolver, &verdict);
    if (verdict.result >= SPF_RESULT_COUNT ||
        (verdict.problem != SPF_NO_PROBLEM) != (verdict.result == SPF_PERMERROR))
        abort();
    arena_free(&arena);
    return 0;
}
