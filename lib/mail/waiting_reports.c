#include "mail/waiting_reports.h"

#include <string.h>

#include "base/packed.h"

enum {
    FORMAT = 1,
    MOMENT_BYTES = 6,
    FIXED_BYTES = 8 + 2 * MOMENT_BYTES + 1 + 1 + 2 * 8,
    OF_LOOP = 1,
};

/* A reporter who is not known may send the same again in other words. */
static bool is_same(const struct waiting_report *one, const struct waiting_report *other)
{
    return one->id == other->id ||
           (one->queue_id[0] != '\0' && strcmp(one->queue_id, other->queue_id) == 0 &&
            strcmp(one->mailbox, other->mailbox) == 0 && one->reporter == other->reporter &&
            one->type == other->type);
}

static void drop_place(struct waiting_reports *reports, size_t place)
{
    reports->count--;
    memmove(&reports->of[place], &reports->of[place + 1],
            (reports->count - place) * sizeof reports->of[0]);
}

/* How far its sender is known: anybody can invent reports of nobody, who is known by a domain has to
 * have one. */
static int known(const struct waiting_report *report)
{
    return report->of_loop ? 2 : report->reporter != 0;
}

/* The oldest of those whose sender is known least goes. False: that one would be the new one. */
static bool make_room(struct waiting_reports *reports, const struct waiting_report *report)
{
    size_t place = 0;
    for (size_t i = 1; i < reports->count; i++)
        if (known(&reports->of[i]) < known(&reports->of[place]))
            place = i;
    if (known(report) < known(&reports->of[place]))
        return false;
    drop_place(reports, place);
    return true;
}

bool waiting_reports_take(struct waiting_reports *reports, const struct waiting_report *report)
{
    for (size_t i = 0; i < reports->count; i++)
        if (is_same(&reports->of[i], report))
            return false;
    if (reports->count == WAITING_REPORTS_MAX && !make_room(reports, report))
        return false;
    reports->of[reports->count++] = *report;
    return true;
}

const struct waiting_report *waiting_reports_find(const struct waiting_reports *reports,
                                                  uint64_t id)
{
    for (size_t i = 0; i < reports->count; i++)
        if (reports->of[i].id == id)
            return &reports->of[i];
    return NULL;
}

void waiting_reports_drop(struct waiting_reports *reports, uint64_t id)
{
    const struct waiting_report *found = waiting_reports_find(reports, id);
    if (found != NULL)
        drop_place(reports, (size_t)(found - reports->of));
}

void waiting_reports_forget(struct waiting_reports *reports, int64_t now_ms)
{
    for (size_t i = reports->count; i-- > 0;)
        if (reports->of[i].at_ms <= now_ms - WAITING_REPORTS_KEPT_MS)
            drop_place(reports, i);
}

/* ---- the packed form ------------------------------------------------------------------------- */

void waiting_reports_add(struct text *out, const struct waiting_reports *reports)
{
    uint8_t bytes[FIXED_BYTES];
    text_add_char(out, FORMAT);
    for (size_t i = 0; i < reports->count; i++) {
        const struct waiting_report *report = &reports->of[i];
        uint8_t *next = packed_put(bytes, report->id, 8);
        next = packed_put(next, (uint64_t)report->at_ms, MOMENT_BYTES);
        next = packed_put(next, report->type, 1);
        next = packed_put(next, report->of_loop ? OF_LOOP : 0, 1);
        next = packed_put(next, report->reporter, 8);
        next = packed_put(next, (uint64_t)report->admitted_ms, MOMENT_BYTES);
        packed_put(next, report->decision, 8);
        text_add_bytes(out, (const char *)bytes, sizeof bytes);
        packed_add_string(out, report->mailbox);
        packed_add_string(out, report->queue_id);
        packed_add_string(out, report->domain);
    }
}

static bool read_one(struct arena *arena, struct packed_rest *rest, struct waiting_report *report_r)
{
    const uint8_t *next = packed_bytes(rest, FIXED_BYTES);
    if (next == NULL)
        return false;
    report_r->id = packed_get(&next, 8);
    report_r->at_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    report_r->type = (enum report_type)packed_get(&next, 1);
    report_r->of_loop = packed_get(&next, 1) == OF_LOOP;
    report_r->reporter = packed_get(&next, 8);
    report_r->admitted_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    report_r->decision = packed_get(&next, 8);
    report_r->mailbox = packed_string(rest, arena);
    report_r->queue_id = packed_string(rest, arena);
    report_r->domain = packed_string(rest, arena);
    return report_r->type < REPORT_TYPES && report_r->domain != NULL;
}

int waiting_reports_read(struct arena *arena, const void *bytes, size_t length,
                         struct waiting_reports *reports_r)
{
    const uint8_t *begin = bytes;
    *reports_r = (struct waiting_reports){
        .of = arena_alloc(arena, WAITING_REPORTS_MAX * sizeof *reports_r->of)};
    if (length == 0)
        return 1;
    struct packed_rest rest = {begin + 1, begin + length};
    bool good = begin[0] == FORMAT;
    while (good && rest.next != rest.end) {
        good = reports_r->count < WAITING_REPORTS_MAX &&
               read_one(arena, &rest, &reports_r->of[reports_r->count]);
        reports_r->count += good;
    }
    if (!good)
        reports_r->count = 0;
    return good;
}
