/* A message of somebody else's server that may be a complaint. The first byte: whether anybody's
 * Authentication-Results are believed. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mail/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct report *report)
{
    const struct report_original *original = &report->original;
    require(report->type < REPORT_TYPES);
    require(report->incidents >= 1 && report->incidents <= REPORT_INCIDENTS_MAX);
    require(report->domain_count <= REPORT_DOMAINS_MAX);
    require(original->reference_count <= REPORT_REFERENCES_MAX);
    require(original->trace_count <= REPORT_TRACES_MAX);
    for (size_t i = 0; i < report->domain_count; i++)
        require(strchr(report->domains[i], '.') != NULL && strlen(report->domains[i]) <= 253);
    for (size_t i = 0; i < original->trace_count; i++)
        require(original->traces[i].id[strcspn(original->traces[i].id, " \r\n")] == '\0');
    require(original->from == NULL || strchr(original->from, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report report;
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    char *copy = xmalloc(size);
    memcpy(copy, data + 1, size - 1);
    if (report_read(arena, copy, size - 1, data[0] % 2 ? "mx.host.test" : NULL, "X-Sendguard-Ref",
                    &report) == REPORT_READ)
        check(&report);
    free(copy);
    arena_free(&arena);
    return 0;
}
