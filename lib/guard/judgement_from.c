/* Whether the mailbox may write as the address in From, and what a foreign one brings. */
#include <string.h>

#include "base/clock.h"
#include "guard/judgement.h"
#include "guard/permissions.h"
#include "rules/identity.h"
#include "store/observations.h"
#include "store/records.h"

enum {
    MAY_USE_MAX = 5,          /* addresses that are named */
    MAY_USE_SMTP_BYTES = 120, /* of them, where an answer has little room */
    UNREAD_MAX_BYTES = 100,   /* of a sender that is no address */
    TRIES = 8,
};

/* ---- whose address it is --------------------------------------------------------------------- */

struct from_asking {
    const struct judgement *judgement;
    struct owners *owners;
    struct store *store;
    int64_t now_ms;
    struct permissions *permissions; /* NULL: not read yet */
    bool fails;                      /* the store did not answer */
};

static const struct permissions *permissions_of(struct from_asking *asking)
{
    struct arena *arena = asking->judgement->arena;
    if (asking->permissions == NULL) {
        asking->permissions = arena_alloc(arena, sizeof *asking->permissions);
        asking->fails = permissions_read(asking->store, arena,
                                         asking->judgement->submission->mailbox, asking->now_ms,
                                         asking->permissions) < 0;
    }
    return asking->permissions;
}

static int may(void *context, const char *key)
{
    struct from_asking *asking = context;
    int owned = owners_ask(asking->owners, key, asking->judgement->submission->mailbox,
                           clock_monotonic_ms());
    return owned <= 0 && permissions_hold(permissions_of(asking), key) ? 1 : owned;
}

/* Whether somebody of that domain has sent here within a day. Who does not know says yes: nobody is
 * suspended from ignorance. */
static bool sends(const struct from_asking *asking, const char *domain)
{
    struct sender sender;
    struct store_page page = {.max = 1};
    return store_senders(asking->store, SENDERS_OF_DOMAIN, domain, "", asking->now_ms, &sender,
                         &page) < 0 ||
           page.count > 0;
}

static bool is_hosted(void *context, const char *domain)
{
    struct from_asking *asking = context;
    const struct settings *settings = asking->judgement->settings;
    return strcmp(domain, asking->judgement->submission->domain) == 0 ||
           settings_hosted_domain(settings, domain) ||
           (settings->hosted_domains.count == 0 &&
            (owners_know_domain(asking->owners, domain) || sends(asking, domain)));
}

static bool is_unroutable(void *context, const char *domain)
{
    const struct from_asking *asking = context;
    return settings_unroutable(asking->judgement->settings,
                               asking->judgement->submission->domain, domain);
}

/* ---- what is told ---------------------------------------------------------------------------- */

struct listing {
    const char **addresses; /* MAY_USE_MAX */
    size_t count, bytes, max_bytes;
};

static void list(struct listing *listing, const char *address)
{
    size_t bytes = strlen(address) + strlen(", ");
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->addresses[i], address) == 0)
            return;
    if (listing->count == MAY_USE_MAX ||
        (listing->count > 0 && listing->bytes + bytes > listing->max_bytes))
        return;
    listing->addresses[listing->count++] = address;
    listing->bytes += bytes;
}

/* Its own addresses, and never whose another one is. */
static struct listing may_use(struct from_asking *asking)
{
    const struct judgement *judgement = asking->judgement;
    const struct permissions *permissions = permissions_of(asking);
    bool has_room = judgement->submission->channel == CHANNEL_WEBMAIL;
    struct listing listing = {
        .addresses = arena_alloc(judgement->arena, MAY_USE_MAX * sizeof *listing.addresses),
        .max_bytes = has_room ? SIZE_MAX : MAY_USE_SMTP_BYTES};
    const char *owned[MAY_USE_MAX];
    list(&listing, judgement->submission->mailbox);
    for (size_t i = 0; i < permissions->count; i++)
        if (permissions->of[i].address[0] != '@')
            list(&listing, permissions->of[i].address);
    size_t count = owners_addresses(asking->owners, judgement->arena,
                                    judgement->submission->mailbox, MAY_USE_MAX, owned);
    for (size_t i = 0; i < count; i++)
        list(&listing, owned[i]);
    return listing;
}

/* First, since who reads one reason reads this one. */
static void object(struct judgement *judgement, struct from_asking *asking, enum rule rule,
                   const char *from)
{
    const char *at = strrchr(from, '@');
    size_t count = judgement->objection_count;
    struct objection *all = arena_alloc(judgement->arena, (count + 1) * sizeof *all);
    const struct listing listing = may_use(asking);
    struct objection_from *of_from = arena_alloc(judgement->arena, sizeof *of_from);
    if (count > 0)
        memcpy(all + 1, judgement->objections, count * sizeof *all);
    *of_from = (struct objection_from){
        .address = from, .mailbox = judgement->submission->mailbox, .may_use = listing.addresses,
        .may_use_count = listing.count,
        .is_observed = judgement->settings->identity_mode == IDENTITY_MODE_OBSERVE};
    all[0] = (struct objection){.rule = rule, .field = -1, .count = 1,
                                .domain = at != NULL ? at + 1 : NULL, .from = of_from};
    judgement->objections = all;
    judgement->objection_count = count + 1;
}

/* A sender that is no address, as it can be shown. */
static const char *shown(const struct judgement *judgement)
{
    freed_by(text_free) struct text plain = {0};
    const char *text = judgement->submission->from_unread;
    text_add_plain(&plain, arena_strndup(judgement->arena, text, strnlen(text, UNREAD_MAX_BYTES)));
    return arena_strdup(judgement->arena, text_string(&plain));
}

int judgement_find_from(struct judgement *judgement, struct judgement_lists *lists, int64_t now_ms)
{
    static const enum rule rules[IDENTITY_COUNT] = {
        [IDENTITY_NOT_YOURS] = RULE_FROM_NOT_YOURS, [IDENTITY_FOREIGN] = RULE_FROM_FOREIGN,
        [IDENTITY_UNROUTABLE] = RULE_FROM_UNROUTABLE};
    const struct submission *submission = judgement->submission;
    struct from_asking asking = {.judgement = judgement, .owners = lists->owners,
                                 .store = lists->store, .now_ms = now_ms};
    const struct identity_world world = {may, is_hosted, is_unroutable, &asking};
    if (judgement->settings->identity_mode == IDENTITY_MODE_OFF || judgement->limits.exempt ||
        !channel_is_its_users(submission->channel))
        return 1;
    const char *from = submission->from;
    enum identity identity = submission->from_unread != NULL ? IDENTITY_UNROUTABLE : IDENTITY_OK;
    for (size_t i = 0; identity <= IDENTITY_UNKNOWN && i <= submission->further_from_count; i++) {
        from = i == 0 ? submission->from : submission->further_from[i - 1];
        if (from != NULL)
            identity = identity_judge(judgement->arena, submission->mailbox, from, &world);
        judgement->from_unknown = judgement->from_unknown || identity == IDENTITY_UNKNOWN;
    }
    if (identity > IDENTITY_UNKNOWN && !asking.fails)
        object(judgement, &asking, rules[identity],
               submission->from_unread != NULL ? shown(judgement) : from);
    return asking.fails ? -1 : 1;
}

bool judgement_refuses_from(const struct judgement *judgement)
{
    const struct objection *first = judgement->objections;
    return judgement->objection_count > 0 && first->from != NULL && objection_refuses(first) &&
           judgement->settings->guard_mode != MODE_OBSERVE;
}

/* ---- what a foreign one brings --------------------------------------------------------------- */

static bool is_refused_as_foreign(const struct judgement *judgement)
{
    const struct objection *first = judgement->objections;
    bool refused = judgement->result.outcome == OUTCOME_REJECTED ||
                   (judgement->result.outcome == OUTCOME_ADMITTED && judgement->request.observe);
    return refused && !judgement->request.dry_run &&
           judgement->settings->on_from_foreign == ON_LIMIT_SUSPEND &&
           judgement->objection_count > 0 && first->rule == RULE_FROM_FOREIGN &&
           objection_refuses(first);
}

/* Notes the message, and suspends in the same step. *taken_r: what it led to. 1; 0 another program
 * was faster; -1. */
static int note_once(const struct judgement *judgement, struct store *store,
                     enum identity_taken *taken_r)
{
    freed_by(text_free) struct text packed = {0};
    const char *mailbox = judgement->submission->mailbox;
    const struct action action = {
        judgement->result.at_ms, SUSPENSION_BY_GUARD,
        arena_printf(judgement->arena, "%d messages with a foreign From within 24h",
                     IDENTITY_MESSAGES)};
    const struct audited observed = {rule_table[RULE_FROM_FOREIGN].name, mailbox, "{}", &action};
    const struct value_suspension suspension = {
        mailbox, CAUSE_IDENTITY, &judgement->settings->durations[CAUSE_IDENTITY], &action};
    struct identity_messages messages = {0};
    struct value value;
    int found = store_value(store, judgement->arena, VALUE_IDENTITY, mailbox, action.now_ms,
                            &value);
    if (found < 0)
        return -1;
    if (found > 0 && !identity_read(value.bytes, value.length, &messages))
        messages = (struct identity_messages){0}; /* damaged: it begins anew */
    *taken_r = identity_take(&messages, judgement->request.attempt, action.now_ms);
    if (*taken_r == IDENTITY_KNOWN)
        return 1;
    bool suspends = *taken_r == IDENTITY_SUSPENDS, observes = judgement->request.observe;
    identity_add(&packed, &messages);
    const struct value_change change = {
        .value = {.kind = VALUE_IDENTITY, .key = mailbox, .bytes = packed.data,
                  .length = messages.count > 0 ? packed.length : 0,
                  .until_ms = action.now_ms + IDENTITY_MS},
        .replaces = found > 0 ? value.version : 0};
    return store_values_change(store,
                               &(struct values_step){.changes = &change, .count = 1,
                                                     .suspensions = &suspension,
                                                     .suspension_count = suspends && !observes,
                                                     .audited = &observed,
                                                     .audited_count = suspends && observes,
                                                     .now_ms = action.now_ms},
                               NULL);
}

/* It is refused already: where the store does not answer now, it is refused without being noted. */
void judgement_note_from(struct judgement *judgement, struct store *store)
{
    enum identity_taken taken = IDENTITY_KNOWN;
    struct account account;
    int result = 0;
    if (!is_refused_as_foreign(judgement))
        return;
    for (int attempt = 0; attempt < TRIES && result == 0; attempt++)
        result = note_once(judgement, store, &taken);
    if (result < 1 || taken != IDENTITY_SUSPENDS || judgement->request.observe ||
        store_account(store, judgement->arena, judgement->submission->mailbox,
                      judgement->result.at_ms, &account) < 1 ||
        account.suspensions.count == 0)
        return;
    judgement->result.suspensions = account.suspensions;
    judgement->result.outcome = OUTCOME_SUSPENDED;
    judgement->result.brought = true;
}
