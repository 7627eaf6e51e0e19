#include "mta/policy_message.h"

#include <stdlib.h>
#include <string.h>

#include "guard/guard.h"
#include "rules/rules.h"

#define SERVICE "smtpd_access_policy"

int policy_message_stage(const struct policy_request *request, enum policy_message_stage *stage_r,
                         struct problem *problem)
{
    static const struct {
        const char *name;
        enum policy_message_stage stage;
    } stages[] = {{"RCPT", STAGE_RCPT}, {"DATA", STAGE_DATA}, {"END-OF-MESSAGE", STAGE_END}};
    const char *state = policy_request_value(request, POLICY_PROTOCOL_STATE);
    if (strcmp(policy_request_value(request, POLICY_REQUEST), SERVICE) != 0)
        return problem_set(problem, 0, "request", "expected " SERVICE);
    if (state[0] == '\0')
        return problem_set(problem, 0, "protocol_state", "is missing");
    *stage_r = STAGE_OTHER;
    for (size_t i = 0; i < countof(stages); i++)
        if (strcmp(state, stages[i].name) == 0)
            *stage_r = stages[i].stage;
    return 1;
}

bool policy_message_forwards(const struct policy_request *request, const struct settings *settings)
{
    const char *context = policy_request_value(request, POLICY_CONTEXT);
    return settings->mta_forwarding_networks.count > 0 &&
           policy_request_length(request, POLICY_SASL_USERNAME) == 0 &&
           (context[0] == '\0' || strcmp(context, channel_names[CHANNEL_FORWARDING]) == 0) &&
           settings_network_holds(&settings->mta_forwarding_networks,
                                  policy_request_value(request, POLICY_CLIENT_ADDRESS));
}

const char *policy_message_passes(const struct policy_request *request,
                                  const struct settings *settings)
{
    const char *client = policy_request_value(request, POLICY_CLIENT_ADDRESS);
    if (policy_message_forwards(request, settings))
        return NULL;
    if (policy_request_length(request, POLICY_SASL_USERNAME) == 0)
        return "nobody signed in";
    if (settings->mta_exempt_networks.count > 0 &&
        settings_network_holds(&settings->mta_exempt_networks, client))
        return "exempt network";
    if (settings->mta_null_sender == NULL_SENDER_PASS &&
        policy_request_length(request, POLICY_SENDER) == 0)
        return "null sender";
    return NULL;
}

const char *policy_message_recipient(const struct policy_request *request, struct arena *arena)
{
    struct problem problem;
    const char *key = NULL;
    const char *text = policy_request_value(request, POLICY_RECIPIENT);
    return address_key_unquoted(arena, text, strlen(text), &key, &problem) ? key : NULL;
}

int policy_message_count(const struct policy_request *request, const struct collected *collected,
                         uint32_t *count_r, struct problem *problem)
{
    const char *text = policy_request_value(request, POLICY_RECIPIENT_COUNT);
    size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0' || digits > 9)
        return problem_set(problem, 0, "recipient_count", "expected a number");
    size_t count = digits > 0 ? strtoul(text, NULL, 10) : collected->asked + collected->unread;
    *count_r = count > 0 ? (uint32_t)count : 1;
    return 1;
}

/* queue_id and instance, so that a message that is asked about again counts once; without both
 * every question is another message. */
static int set_id(const struct policy_request *request, struct submission *submission,
                  struct problem *problem)
{
    const char *queue_id = policy_request_value(request, POLICY_QUEUE_ID);
    const char *instance = policy_request_value(request, POLICY_INSTANCE);
    if (queue_id[0] == '\0' && instance[0] == '\0') {
        submission_make_id(submission);
        return 1;
    }
    const char *id = arena_printf(submission->arena, "%s/%s", queue_id, instance);
    return submission_set_id(submission, id, strlen(id), problem);
}

/* A stranger chooses what stands behind the '+' of the address he writes to, and a vacation's answer
 * is sent from there: it is the same mailbox. And by default a redirected message has the stranger's
 * own address, which is no mailbox here. */
static int set_forwarder(const struct policy_request *request, const struct settings *settings,
                         struct submission *submission, struct problem *problem)
{
    const char *sender = policy_request_value(request, POLICY_SENDER);
    const char *at = strrchr(sender, '@'), *plus = strchr(sender, '+');
    if (sender[0] == '\0')
        return problem_set(problem, 0, "sender", "expected the mailbox, it is empty");
    if (at != NULL && plus != NULL && plus > sender && plus < at)
        sender = arena_printf(submission->arena, "%.*s%s", (int)(plus - sender), sender, at);
    if (submission_set_mailbox(submission, sender, strlen(sender), problem) < 1)
        return 0;
    if (settings_hosted_domain(settings, submission->domain))
        return 1;
    return problem_set(problem, 0, "sender",
                       "%.200s: expected a mailbox at a domain of domains.hosted or "
                       "domains.own_domains", submission->domain);
}

int policy_message_sender(const struct policy_request *request, const struct settings *settings,
                          struct submission *submission, struct problem *problem)
{
    struct problem unimportant;
    const char *user = policy_request_value(request, POLICY_SASL_USERNAME);
    const char *client = policy_request_value(request, POLICY_CLIENT_ADDRESS);
    const char *sender = policy_request_value(request, POLICY_SENDER);
    bool forwards = submission->channel == CHANNEL_FORWARDING;
    if ((forwards ? set_forwarder(request, settings, submission, problem)
                  : submission_set_mailbox(submission, user, strlen(user), problem)) < 1 ||
        set_id(request, submission, problem) < 1)
        return 0;
    if (!forwards && settings->mta_webmail_hosts.count > 0 &&
        settings_network_holds(&settings->mta_webmail_hosts, client))
        submission->webmail_host = true; /* its address is everybody's who uses the webmail */
    else if (submission_set_ip(submission, client, strlen(client), &unimportant) < 1)
        submission->ip = NULL; /* "unknown", or a client on a UNIX socket */
    if (sender[0] != '\0' && address_key_unquoted(submission->arena, sender, strlen(sender),
                                                  &submission->from, &unimportant) < 1)
        submission->from_unread = arena_strdup(submission->arena, sender);
    return 1;
}

void policy_message_size(const struct policy_request *request, struct submission *submission)
{
    const char *text = policy_request_value(request, POLICY_SIZE);
    size_t digits = strspn(text, "0123456789");
    if (text[digits] == '\0' && digits <= 18)
        submission->size = strtoull(text, NULL, 10);
}

static void add(struct submission *submission, const char *recipient)
{
    struct problem problem;
    if (submission_add_key(submission, FIELD_TO, recipient, &problem) < 1)
        submission->unnamed++;
}

/* Whether it is outside the own domains, and no exempt one. */
static bool counts_most(const struct settings *settings, const struct submission *submission,
                        const char *recipient)
{
    const struct recipient_classes policy = guard_recipient_classes(settings);
    const char *target =
        recipient_target(submission->arena, recipient, submission->domain, &policy);
    return !settings_own_domain(settings, submission->domain, strrchr(target, '@') + 1) &&
           !settings_exempt_recipient(settings, target);
}

void policy_message_recipients(const struct policy_request *request,
                               const struct settings *settings,
                               const struct collected *collected, uint32_t count,
                               struct submission *submission)
{
    submission->accepted = count;
    /* of a single recipient Postfix says the name at the end too */
    const char *single = count == 1 && collected->asked + collected->unread == 0
                             ? policy_message_recipient(request, submission->arena)
                             : NULL;
    if (single != NULL) {
        add(submission, single);
        return;
    }
    uint32_t unnamed = collected->unread < count ? (uint32_t)collected->unread : count;
    if (count - unnamed > collected->asked)
        unnamed = count - (uint32_t)collected->asked;
    submission->unnamed = unnamed;
    size_t left = count - unnamed;
    bool *most = arena_alloc(submission->arena, collected->count * sizeof *most + 1);
    for (size_t i = 0; i < collected->count; i++)
        most[i] = counts_most(settings, submission, collected->recipients[i]);
    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < collected->count && left > 0; i++)
            if (most[i] == !own)
                for (uint32_t copy = 0; copy < collected->times[i] && left > 0; copy++, left--)
                    add(submission, collected->recipients[i]);
}
