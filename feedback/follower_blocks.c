/* Blocks that begin and end: what the audit log, the log and suspensions have of them; and those that
 * begin without a line. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "feedback/follower_inside.h"
#include "message/address.h"
#include "rules/failure_in_force.h"

/* So often the values of blocks are looked at, and as many at once. */
enum { LOOK_MS = 500, LOOK_AT = 256 };
/* So many windows of them are looked at in a step. */
enum { DUE_MAX = 64 };

/* ---- what a step says of blocks ----------------------------------------------------------------- */

/* Of one step. */
struct follower_effects {
    struct action actions[VALUES_AUDITED_MAX];
    struct audited audited[VALUES_AUDITED_MAX];
    struct action suspending;
    struct value_suspension suspensions[VALUES_SUSPENSIONS_MAX];
};

struct follower_effects *follower_new_effects(void)
{
    return xcalloc(1, sizeof(struct follower_effects));
}

void follower_free_effects(struct follower_effects **effects)
{
    free(*effects);
    *effects = NULL;
}

/* Who is exempt now, or an installation that observes, is not suspended for what came before. */
static void add_suspension(struct follower *follower, const char *mailbox,
                           struct values_step *step)
{
    const struct settings *settings = follower->settings;
    struct follower_effects *effects = follower->effects;
    if (mailbox == NULL || settings == NULL || settings->guard_mode == MODE_OBSERVE ||
        settings_exempt_mailbox(settings, mailbox) ||
        step->suspension_count == VALUES_SUSPENSIONS_MAX)
        return;
    effects->suspending = (struct action){step->now_ms, SUSPENSION_BY_GUARD, "domain_failures"};
    effects->suspensions[step->suspension_count++] = (struct value_suspension){
        mailbox, CAUSE_FAILURES, &settings->durations[CAUSE_FAILURES], &effects->suspending};
}

static void add_entry(struct follower *follower, const struct failures_event *event,
                      struct values_step *step)
{
    struct follower_effects *effects = follower->effects;
    if (event->what == FAILURES_OUTAGE_SEEN || step->audited_count == VALUES_AUDITED_MAX)
        return;
    struct action *action = &effects->actions[step->audited_count];
    *action = (struct action){step->now_ms, SUSPENSION_BY_GUARD, event->note};
    effects->audited[step->audited_count++] =
        (struct audited){event->what == FAILURES_BLOCKED ? "block" : "unblock", event->subject,
                         event->detail, action};
}

void follower_add_effects(struct follower *follower, const struct follower_counts *before,
                          struct values_step *step)
{
    size_t count;
    const struct failures_event *events = failures_events(follower->failures, &count);
    struct follower_counts *counts = &follower->counts;
    step->audited = follower->effects->audited;
    step->suspensions = follower->effects->suspensions;
    step->audited_count = step->suspension_count = 0;
    counts->blocks = before->blocks;
    counts->blocks_ended = before->blocks_ended;
    counts->outages = before->outages;
    for (size_t i = 0; i < count; i++) {
        counts->blocks += events[i].what == FAILURES_BLOCKED;
        counts->blocks_ended += events[i].what == FAILURES_UNBLOCKED;
        counts->outages += events[i].what == FAILURES_OUTAGE_SEEN;
        add_entry(follower, &events[i], step);
        add_suspension(follower, events[i].suspends, step);
    }
    counts->suspensions = before->suspensions + step->suspension_count;
}

int follower_add_recipients(struct follower *follower, const struct follower_counts *before,
                            struct values_step *step)
{
    const struct settings *settings = follower->settings;
    struct recipient_failures_effects effects = {
        .audited = follower->effects->audited + step->audited_count,
        .audited_room = VALUES_AUDITED_MAX - step->audited_count};
    bool blocks = settings != NULL && settings->guard_mode != MODE_OBSERVE;
    size_t count;
    if (recipient_failures_changes(follower->recipients, follower->failures, blocks, step->now_ms,
                                   follower->changes + step->count, &count, &effects) < 0)
        return -1;
    step->count += count;
    step->audited_count += effects.audited_count;
    follower->counts.recipients_blocked = before->recipients_blocked + effects.blocked;
    follower->counts.recipients_opened = before->recipients_opened + effects.opened;
    return 1;
}

void follower_tell_effects(const struct follower *follower, const struct values_step *step)
{
    static const char *const texts[] = {
        [FAILURES_BLOCKED] = "blocked: its mail fails too often",
        [FAILURES_UNBLOCKED] = "not blocked any more: a destination has an outage",
        [FAILURES_OUTAGE_SEEN] = "a destination has an outage",
    };
    size_t count;
    const struct failures_event *events = failures_events(follower->failures, &count);
    for (size_t i = 0; i < count; i++)
        log_line(LOG_WARNING_LEVEL, texts[events[i].what], "subject", events[i].subject, "note",
                 events[i].note, NULL);
    for (size_t i = 0; i < step->suspension_count; i++)
        log_line(LOG_WARNING_LEVEL, "suspended: it made the third block of its domain in 7 days",
                 "mailbox", step->suspensions[i].mailbox, NULL);
    if (count > VALUES_AUDITED_MAX)
        log_line(LOG_ERROR_LEVEL, "too much at once for the audit log: the last is in this log alone",
                 NULL);
}

/* ---- blocks that begin by themselves ----------------------------------------------------------- */

/* What began and ended while nobody followed a log is noted when mail of that domain comes again. */

/* When it began; 0: it is to come; -1: it is damaged. */
static int64_t began(const struct value *value, int64_t now_ms)
{
    struct failure_in_force in_force;
    if (!failure_in_force_read(value->bytes, value->length, &in_force))
        return -1;
    return in_force.from_ms < now_ms - FAILURES_LOOK_BACK_MS ? in_force.from_ms : 0;
}

/* Its window is looked at once it has begun; and at first, since others may have left what the window
 * does not say. */
static void look_at(struct follower *follower, const struct value *value, size_t *due,
                    GHashTable *looked_at, int64_t now_ms)
{
    const int64_t *looked = g_hash_table_lookup(follower->looked_at, value->key);
    int64_t from_ms = began(value, now_ms);
    bool is_due = looked == NULL ? from_ms != 0 || !follower->has_looked
                                 : from_ms != 0 && from_ms != *looked;
    if (is_due && *due == DUE_MAX)
        return;
    if (is_due) {
        ++*due;
        failures_look_at(follower->failures,
                         settings_sender_domain(follower->settings, address_domain(value->key)), value);
    }
    if (is_due || looked != NULL)
        g_hash_table_replace(looked_at, g_strdup(value->key),
                             g_memdup2(is_due ? &from_ms : looked, sizeof from_ms));
}

GHashTable *follower_new_looked_at(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

int follower_look_at_blocks(struct follower *follower, int64_t now_ms)
{
    struct value values[LOOK_AT];
    struct store_page page = {.max = LOOK_AT, .more = true};
    const char *after = "";
    size_t due = 0;
    int answer = 1;
    if (follower->settings == NULL ||
        (now_ms >= follower->blocks_ms && now_ms < follower->blocks_ms + LOOK_MS))
        return 1;
    GHashTable *looked_at = follower_new_looked_at();
    while (answer > 0 && page.more) {
        answer = store_values(follower->store, follower->arena, VALUE_BLOCK, after, now_ms, values,
                              &page);
        for (size_t i = 0; i < page.count && answer > 0; i++)
            look_at(follower, &values[i], &due, looked_at, now_ms);
        if (answer > 0 && page.more)
            after = values[page.count - 1].key;
    }
    arena_reset(follower->arena);
    g_hash_table_destroy(follower->looked_at);
    follower->looked_at = looked_at;
    follower->has_looked = answer > 0 && due < DUE_MAX;
    follower->blocks_ms = now_ms;
    return answer;
}
