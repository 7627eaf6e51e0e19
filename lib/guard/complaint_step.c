#include "guard/complaint_step.h"

#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "store/audit.h"

/* A step that another program was faster than is made again, so often. */
enum { TRIES = 8, ENTRIES_AT_ONCE = 50 };

struct complaint_making {
    struct store *store;
    struct arena *arena;
    const struct settings *settings;
    const struct complaint_step *step;
    int64_t now_ms;
    struct value of_mailbox, waiting;
    struct complaints *complaints;
    struct waiting_reports reports;
    bool suspends;
    uint32_t number; /* of complaints that count in the window, before they are used up */
};

uint64_t complaint_step_message(const char *queue_id)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *queue_id != '\0'; queue_id++)
        hash = (hash ^ (unsigned char)*queue_id) * UINT64_C(1099511628211);
    return hash;
}

/* ---- reading --------------------------------------------------------------------------------- */

int complaint_step_read(struct store *store, struct arena *arena, const char *mailbox,
                        int64_t now_ms, struct complaints *complaints_r)
{
    struct value value;
    int found = store_value(store, arena, VALUE_COMPLAINTS, mailbox, now_ms, &value);
    if (found < 1 || !complaints_read(value.bytes, value.length, complaints_r))
        *complaints_r = (struct complaints){0};
    complaints_forget(complaints_r, now_ms);
    return found < 0 ? -1 : 1;
}

int complaint_step_waiting(struct store *store, struct arena *arena, int64_t now_ms,
                           struct waiting_reports *reports_r)
{
    struct value value = {.length = 0};
    int found = store_value(store, arena, VALUE_REPORT, COMPLAINT_STEP_WAITING, now_ms, &value);
    if (waiting_reports_read(arena, value.bytes, found > 0 ? value.length : 0, reports_r))
        waiting_reports_forget(reports_r, now_ms);
    return found < 0 ? -1 : 1;
}

static int read_values(struct complaint_making *making)
{
    struct value values[2] = {
        {.kind = VALUE_REPORT, .key = COMPLAINT_STEP_WAITING},
        {.kind = VALUE_COMPLAINTS, .key = making->step->mailbox}};
    size_t count = making->step->mailbox != NULL ? 2 : 1;
    if (store_values_get(making->store, making->arena, values, count, making->now_ms) < 0)
        return -1;
    making->waiting = values[0];
    making->of_mailbox = values[1];
    if (waiting_reports_read(making->arena, values[0].bytes, values[0].length, &making->reports))
        waiting_reports_forget(&making->reports, making->now_ms);
    making->complaints = arena_alloc(making->arena, sizeof *making->complaints);
    if (count > 1 && values[1].length > 0 &&
        complaints_read(values[1].bytes, values[1].length, making->complaints))
        complaints_forget(making->complaints, making->now_ms);
    return 1;
}

/* ---- suspensions that were before ------------------------------------------------------------ */

/* When the suspension for complaints that an entry of the audit log tells of ended, as far as that
 * entry says: now, where it holds; 0: it tells of none. */
static int64_t ended_by(const struct audit *entry, int64_t now_ms)
{
    bool lifted = strcmp(entry->action, "lift") == 0;
    if (!lifted && strcmp(entry->action, "suspend") != 0 && strcmp(entry->action, "undo") != 0)
        return 0;
    freed_by(json_put) struct json_object *detail = json_read(entry->detail);
    struct json_object *suspension = json_member(detail, lifted ? "before" : "after");
    if (strcmp(json_string(suspension, "cause", ""), cause_names[CAUSE_COMPLAINTS]) != 0)
        return 0;
    int64_t until_ms = entry->at_ms;
    if (!lifted && !zone_moment_read(json_string(suspension, "until", ""), &until_ms))
        until_ms = now_ms; /* until lifted */
    return until_ms < now_ms ? until_ms : now_ms;
}

/* When the newest of them ended; 0: none did in the time that counts. 1 or -1. */
static int find_ended(const struct complaint_making *making, int64_t *ended_ms_r)
{
    struct store_page page = {.max = ENTRIES_AT_ONCE, .more = true};
    struct audit *entries = arena_alloc(making->arena, ENTRIES_AT_ONCE * sizeof *entries);
    int64_t before = INT64_MAX, since_ms = making->now_ms - OFFENCES_REMEMBERED_MS;
    *ended_ms_r = 0;
    while (page.more && *ended_ms_r == 0) {
        if (store_audit_newest(making->store, making->step->mailbox, before, entries, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count && *ended_ms_r == 0; i++)
            *ended_ms_r = ended_by(&entries[i], making->now_ms);
        if (page.count == 0 || entries[page.count - 1].at_ms < since_ms)
            break;
        before = entries[page.count - 1].number;
    }
    return 1;
}

/* ---- one step -------------------------------------------------------------------------------- */

/* 1 something changed, 0 nothing, -1. */
static int change_mailbox(struct complaint_making *making)
{
    const struct complaint_step *step = making->step;
    struct complaint_rule rule = {.count = (uint32_t)making->settings->complaints_count,
                                  .window_ms = making->settings->complaints_window_ms};
    int64_t ended_ms;
    making->suspends = false;
    if (step->mailbox == NULL)
        return 0;
    if (step->withdraws)
        return complaints_withdraw(making->complaints, step->complaint->message,
                                   step->complaint->reporter);
    if (!complaints_take(making->complaints, step->complaint))
        return 0;
    if (find_ended(making, &ended_ms) < 0)
        return -1;
    if (making->complaints->settled_ms > making->now_ms) /* by a clock that was ahead */
        making->complaints->settled_ms = making->now_ms;
    complaints_settle(making->complaints, ended_ms);
    making->suspends = !step->exempt && complaints_break(making->complaints, &rule);
    making->number = complaints_number(making->complaints, &rule);
    if (making->suspends) /* all that it holds was sent before */
        complaints_settle(making->complaints, making->now_ms);
    return 1;
}

static bool change_waiting(struct complaint_making *making)
{
    const struct complaint_step *step = making->step;
    if (step->answers != 0)
        waiting_reports_drop(&making->reports, step->answers);
    return (step->waits != NULL && waiting_reports_take(&making->reports, step->waits)) ||
           step->answers != 0;
}

static struct value_change change_of(const struct value *before, const struct text *packed,
                                     int64_t until_ms)
{
    return (struct value_change){
        .value = {.kind = before->kind, .key = before->key, .bytes = packed->data,
                  .length = packed->length, .until_ms = until_ms},
        .replaces = before->version};
}

/* Why it is suspended: "3 complaints about messages of 7d". */
static const char *note_of(const struct complaint_making *making)
{
    freed_by(text_free) struct text window = {0};
    settings_duration_print(making->settings->complaints_window_ms, &window);
    return arena_printf(making->arena, "%u complaints about messages of %s", making->number,
                        window.data);
}

/* 1, 0 another program was faster, -1. */
static int write_step(struct complaint_making *making, bool mailbox_changed, bool waiting_changed)
{
    freed_by(text_free) struct text complaints = {0}, reports = {0};
    const struct action action = {making->now_ms, SUSPENSION_BY_GUARD, note_of(making)};
    const struct audited observed = {"complaints", making->step->mailbox, "{}", &action};
    bool enforces = making->settings->guard_mode == MODE_ENFORCE;
    struct value_suspension suspension = {
        .mailbox = making->step->mailbox, .cause = CAUSE_COMPLAINTS,
        .durations = &making->settings->durations[CAUSE_COMPLAINTS], .action = &action};
    struct value_change changes[2];
    struct audited audited[2];
    struct values_step step = {.changes = changes, .suspensions = &suspension, .audited = audited,
                               .now_ms = making->now_ms};
    if (mailbox_changed) {
        complaints_add(&complaints, making->complaints);
        changes[step.count++] = change_of(&making->of_mailbox, &complaints,
                                          making->now_ms + COMPLAINTS_KEPT_MS);
    }
    if (waiting_changed) {
        waiting_reports_add(&reports, &making->reports);
        changes[step.count++] =
            change_of(&making->waiting, &reports, making->now_ms + WAITING_REPORTS_KEPT_MS);
    }
    step.suspension_count = making->suspends && enforces;
    if (making->suspends && !enforces)
        audited[step.audited_count++] = observed;
    if (making->step->audited != NULL)
        audited[step.audited_count++] = *making->step->audited;
    return store_values_change(making->store, &step, NULL);
}

/* Returns as complaint_step_make, or 2: again. */
static int make_once(struct complaint_making *making, enum complaint_made *made_r)
{
    if (read_values(making) < 0)
        return -1;
    if (making->step->answers != 0 &&
        waiting_reports_find(&making->reports, making->step->answers) == NULL)
        return 0;
    int mailbox_changed = change_mailbox(making);
    if (mailbox_changed < 0)
        return -1;
    bool waiting_changed = change_waiting(making);
    *made_r = COMPLAINT_MADE_NOTHING;
    if (!mailbox_changed && !waiting_changed)
        return 1;
    int written = write_step(making, mailbox_changed > 0, waiting_changed);
    *made_r = making->suspends && making->settings->guard_mode == MODE_ENFORCE
                  ? COMPLAINT_MADE_SUSPENSION
                  : COMPLAINT_MADE_CHANGE;
    return written == 0 ? 2 : written;
}

int complaint_step_make(struct store *store, const struct settings *settings,
                        const struct complaint_step *step, int64_t now_ms,
                        enum complaint_made *made_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct complaint_making making = {.store = store, .arena = arena, .settings = settings,
                                      .step = step, .now_ms = now_ms};
    int made = 2;
    for (int tries = 0; tries < TRIES && made == 2; tries++) {
        arena_reset(arena);
        made = make_once(&making, made_r);
    }
    return made == 2 ? store_fail(store, "other programs change the same complaints") : made;
}
