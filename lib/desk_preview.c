/* What would be so: a submission that is only asked about, an act that is only wished for. */
#include <stdio.h>
#include <string.h>

#include "decision.h"
#include "desk_wish.h"

enum { MAILBOXES_SHOWN = 20, OFFENCES_PAGE = 50, OFFENCES_PAGES = 20 };

int desk_simulate(const struct desk *desk, const struct submission *submission, int64_t now_ms,
                  struct json_object **view_r)
{
    struct submission asked = *submission;
    struct verdict verdict;
    freed_by(text_free) struct text text = {0};
    if (asked.id == NULL) /* one that no message has had, so that none is taken for repeated */
        asked.id = arena_printf(asked.arena, "simulated-%llx@sendguard.invalid",
                                (unsigned long long)decision_new(now_ms));
    if (guard_judge(desk->guard, &asked, true, now_ms, &verdict) < 0)
        return -1;
    text_add_char(&text, '{');
    verdict_add_json(&text, &verdict);
    text_add_char(&text, '}');
    struct json_object *view = json_read(text_string(&text));
    if (view == NULL)
        return store_fail(desk->store, "a verdict cannot be read as JSON");
    *view_r = view;
    return 1;
}

/* ---- an act imagined -------------------------------------------------------------------- */

/* The suspensions of that cause that the audit trail tells of within 30 days. 1 or -1. */
static int count_offences(const struct look *look, const struct wish *wish, uint32_t *count_r)
{
    struct audit *acts = arena_alloc(look->arena, OFFENCES_PAGE * sizeof *acts);
    int64_t before = INT64_MAX, since_ms = look->now_ms - OFFENCES_REMEMBERED_MS;
    size_t count = OFFENCES_PAGE;
    *count_r = 0;
    for (int page = 0; page < OFFENCES_PAGES && count == OFFENCES_PAGE; page++) {
        if (store_audit_newest(look->desk->store, wish->mailbox, before, acts, OFFENCES_PAGE,
                               &count) < 0)
            return -1;
        for (size_t i = 0; i < count && acts[i].at_ms > since_ms; i++) {
            freed_by(json_put) struct json_object *detail = json_read(acts[i].detail);
            *count_r += strcmp(acts[i].act, act_names[ACT_SUSPEND]) == 0 &&
                        strcmp(json_string(json_member(detail, "after"), "cause", ""),
                               cause_names[wish->cause]) == 0;
        }
        if (count == 0 || acts[count - 1].at_ms <= since_ms)
            break;
        before = acts[count - 1].number;
    }
    return 1;
}

/* What staff set is in the audit trail; of those for volume, which messages bring, only the one
 * in force is known here. */
static int imagine_suspension(const struct look *look, const struct wish *wish,
                              struct suspension *suspension)
{
    uint32_t offences;
    if (count_offences(look, wish, &offences) < 0)
        return -1;
    if (wish->cause == CAUSE_VOLUME && suspension->id != 0 && suspension->cause == CAUSE_VOLUME &&
        suspension->offence > offences)
        offences = suspension->offence;
    size_t step = offences < wish->durations.count ? offences : wish->durations.count - 1;
    int64_t for_ms = wish->durations.ms[step];
    *suspension = (struct suspension){
        .id = suspension->id + 1,
        .cause = wish->cause,
        .since_ms = look->now_ms,
        .until_ms = for_ms == UNTIL_LIFTED ? UNTIL_LIFTED : look->now_ms + for_ms,
        .offence = offences + 1,
    };
    return 1;
}

int wish_imagine(const struct look *look, const struct wish *wish, const struct standing *before,
                 struct standing *after_r)
{
    struct standing after = *before;
    if (wish->act == ACT_SUSPEND &&
        imagine_suspension(look, wish, &after.account.suspension) < 0)
        return -1;
    if (wish->act == ACT_LIFT)
        after.account.suspension = (struct suspension){0};
    if (wish->act == ACT_RESET)
        after.account.history = (struct history){0};
    for (int door = 0; door < DOOR_COUNT && wish->change_count > 0; door++)
        if (guard_limits_if(look->desk->guard, (enum door)door, wish->mailbox, wish->domain,
                            wish->changes, wish->change_count, look->now_ms,
                            &after.limits[door]) < 0)
            return -1;
    standing_settle(look, &after);
    *after_r = after;
    return 1;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void add_side(struct json_object *view, const char *name, const struct next *next)
{
    struct json_object *side = json_add_object(view, name);
    json_add_string(side, "state", state_names[next->state]);
    json_add(side, "next", json_of_next(next));
}

/* Whether the counts alone stand in the way of the next message. */
static bool reset_helps(const struct look *look, const struct standing *standing)
{
    struct standing emptied = *standing;
    emptied.account.history = (struct history){0};
    standing_settle(look, &emptied);
    return next_of(look, standing).refused && !next_of(look, &emptied).refused;
}

int wish_concerns(const struct look *look, const struct wish *wish, struct json_object *view)
{
    const char *more = NULL;
    struct json_object *mailboxes = json_add_list(view, "mailboxes");
    if (wish->mailbox[0] == '\0' &&
        add_senders(look, SENDERS_OF_DOMAIN, wish->domain, NULL, MAILBOXES_SHOWN, mailboxes,
                    &more) < 0)
        return -1;
    json_add_bool(view, "more_mailboxes", more != NULL);
    return 1;
}

void wish_tell(const struct look *look, const struct wish *wish, const struct standing *before,
               const struct standing *after, struct json_object *view)
{
    struct next next_before = next_of(look, before), next_after = next_of(look, after);
    json_add_string(view, "act", act_names[wish->act]);
    json_add_string(view, "subject", wish->subject);
    add_side(view, "before", &next_before);
    add_side(view, "after", &next_after);
    json_add_bool(view, "reset_as_well", wish->act == ACT_LIFT && reset_helps(look, after));
}
