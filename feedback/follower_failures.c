/* Which outcomes enter the window of a sender domain, and as what. */
#include <string.h>
#include <strings.h>

#include "base/decision.h"
#include "feedback/follower_inside.h"
#include "guard/guard.h"
#include "message/address.h"

/* Off-domain, and of nobody who is exempt. */
static bool counts(struct follower *follower, const char *mailbox, const char *recipient)
{
    const struct settings *settings = follower->settings;
    const struct recipient_classes classes = guard_recipient_classes(settings);
    const char *domain = address_domain(mailbox);
    const char *target = recipient_target(follower->arena, recipient, domain, &classes);
    return !settings_exempt_mailbox(settings, mailbox) &&
           !settings_exempt_recipient(settings, target) &&
           !settings_own_domain(settings, domain, address_domain(target));
}

/* Our own trouble: our reputation, what never left this machine, no network at all. */
static enum failure_left_out left_out(const struct follower_outcome *outcome)
{
    bool by_network = mail_view_is(outcome->program, "smtp") ||
                      mail_view_is(outcome->program, "lmtp");
    bool no_network = outcome->event->relay_host.length == 0 &&
                      mail_view_find(outcome->event->text, "Network is unreachable") != NULL;
    return outcome->outcome->reply.class == REPLY_OUR_REPUTATION || !by_network || no_network
               ? FAILURE_OURS
               : FAILURE_COUNTS;
}

/* What was tried where nobody answered: "connect to HOST[ADDRESS]:PORT: …". Mail that had arrived was
 * for the same host, so an outage that ends all connections is one of that site; the trace names the
 * recipient's domain. */
static const char *site_of(struct follower *follower, const struct follower_outcome *outcome)
{
    static const char connect[] = "connect to ";
    struct mail_view text = outcome->event->text;
    char *site = arena_alloc(follower->arena, REPLY_SITE_SIZE);
    if (outcome->event->relay_host.length > 0 || !mail_view_begins(text, connect))
        return outcome->outcome->reply.site;
    text = mail_view_from(text, strlen(connect));
    const char *open = mail_view_find(text, "["), *close = mail_view_find(text, "]");
    if (open == NULL || close == NULL || close < open)
        return outcome->outcome->reply.site;
    const struct mail_view host = {text.text, (size_t)(open - text.text)};
    const struct mail_view address = {open + 1, (size_t)(close - open - 1)};
    return reply_site(host, address, site) > 0 ? site : outcome->outcome->reply.site;
}

static uint64_t unit_of(const struct follower_outcome *outcome)
{
    return outcome->unit.recipient ^ outcome->place->decision * UINT64_C(0x9E3779B97F4A7C15);
}

static enum failure_came came_of(enum delivery delivery)
{
    return delivery == DELIVERY_DELIVERED  ? FAILURE_DELIVERED
           : delivery == DELIVERY_DEFERRED ? FAILURE_DEFERRED
                                           : FAILURE_FAILED;
}

/* Postfix' own words of a domain with a null MX. Other servers say such things of addresses too. */
static bool has_null_mx(const struct mail_event *event, const char *domain)
{
    static const char begin[] = "Domain ", end[] = " does not accept mail (nullMX)";
    struct mail_view text = event->text;
    if (event->status != MAIL_BOUNCED || event->relay_host.length > 0 ||
        event->said.text != NULL || !mail_view_begins(text, begin))
        return false;
    text = mail_view_from(text, strlen(begin));
    return text.length >= strlen(domain) && strncasecmp(text.text, domain, strlen(domain)) == 0 &&
           mail_view_begins(mail_view_from(text, strlen(domain)), end);
}

/* Of a unit that counts. */
static void add_to_recipient(struct follower *follower, const struct follower_outcome *outcome,
                             const struct failures_outcome *added)
{
    const struct delivery_outcome *what = outcome->outcome;
    const struct recipient_classes classes = guard_recipient_classes(follower->settings);
    const char *mailbox = outcome->place->mailbox;
    const char *target = recipient_target(follower->arena, what->recipient,
                                          address_domain(mailbox), &classes);
    const struct failure_outcome *taken = &added->outcome;
    recipient_failures_add(
        follower->recipients,
        &(struct recipient_failures_outcome){
            .domain = added->domain,
            .mailbox = mailbox,
            .site = taken->site,
            .recipient = keyed_hash_recipient(&follower->hash_keys, target, what->at_ms),
            .recipient_before = keyed_hash_recipient(&follower->hash_keys, target,
                                                     what->at_ms - KEYED_HASH_LOOKS_BACK_MS),
            .message = taken->message,
            .delivered = taken->came == FAILURE_DELIVERED,
            .first = taken->first,
            .greylisted = taken->greylisted,
            .left_out = taken->left_out != FAILURE_COUNTS || failure_window_is_late(taken),
            .why = recipient_failures_why(what->reply.class, taken->came == FAILURE_FAILED),
            .null_mx = has_null_mx(outcome->event, address_domain(target)) ? address_domain(target)
                                                                          : NULL,
            .at_ms = taken->at_ms,
            .admitted_ms = taken->admitted_ms});
}

void follower_add_failure(struct follower *follower, const struct follower_outcome *outcome,
                          int64_t now_ms)
{
    const struct delivery_outcome *what = outcome->outcome;
    const char *mailbox = outcome->place->mailbox;
    if (follower->settings == NULL || what->recipient[0] == '\0' ||
        !counts(follower, mailbox, what->recipient))
        return;
    const struct failures_outcome added = {
        .domain = settings_sender_domain(follower->settings, address_domain(mailbox)),
        .recipient = keyed_hash_recipient(&follower->hash_keys, what->recipient, what->at_ms),
        .recipient_before = keyed_hash_recipient(&follower->hash_keys, what->recipient,
                                                 what->at_ms - 30 * DAY_MS),
        .outcome = {.unit = unit_of(outcome),
                    .message = outcome->place->decision,
                    .mailbox = mailbox,
                    .site = site_of(follower, outcome),
                    .first = outcome->unit.first,
                    .greylisted = what->reply.class == REPLY_GREYLISTED,
                    .came = came_of(what->delivery),
                    .kind = failures_kind(what->reply.class, what->reply.code),
                    .class = (uint8_t)what->reply.class,
                    .left_out = left_out(outcome),
                    .admitted_ms = decision_time(outcome->place->decision),
                    .at_ms = what->at_ms,
                    .read_ms = now_ms}};
    failures_add(follower->failures, &added);
    add_to_recipient(follower, outcome, &added);
}
