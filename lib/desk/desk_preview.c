/* What would be so: a submission that is only asked about, an act that is only wished for. */
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "desk/desk_wish.h"

enum { MAILBOXES_SHOWN = 20 };

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

static int imagine_suspension(const struct look *look, const struct wish *wish,
                              struct suspension *suspension)
{
    uint32_t offences;
    if (store_offences(look->desk->store, wish->mailbox, wish->cause, look->now_ms, &offences) < 0)
        return -1;
    *suspension = (struct suspension){
        .id = suspension->id + 1,
        .cause = wish->cause,
        .since_ms = look->now_ms,
        .until_ms = suspension_until(&wish->durations, offences + 1, look->now_ms),
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
    for (int channel = 0; channel < CHANNEL_COUNT && wish->change_count > 0; channel++)
        if (guard_limits_if(look->desk->guard, (enum channel)channel, wish->mailbox, wish->domain,
                            wish->changes, wish->change_count, look->now_ms,
                            &after.limits[channel]) < 0)
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
