/* What the follower makes of each line. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "feedback/follower_inside.h"
#include "guard/delivery.h"
#include "guard/guard.h"
#include "guard/keyed_hash.h"
#include "mail/reply.h"
#include "message/submission.h"

/* A stamp of the log may have whole seconds, and the database another machine's clock. */
#define CLOCKS_APART_MS (5 * SECOND_MS)
#define STAMP_MS SECOND_MS

struct kept_line {
    int64_t at_ms;
    char *program, *body;
};

static void free_line(void *pointer)
{
    struct kept_line *line = pointer;
    free(line->program);
    free(line->body);
    free(line);
}

static void free_lines(void *lines) { g_ptr_array_free(lines, TRUE); }

GHashTable *follower_new_strangers(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_lines);
}

/* ---- which message ---------------------------------------------------------------------------------- */

static struct delivery_place place_of(const struct open_message *open)
{
    return (struct delivery_place){open->decision, open->mailbox, open->part};
}

static bool may_be_refunded(const struct open_message *open)
{
    return open->id != NULL || open->redeemed != 0;
}

/* Refused by the mail server after it was counted: taken out again. What the webmail endpoint had
 * counted too: of what the policy service has seen as a whole it refunds nothing, since only the log
 * tells that the mail server has not taken it. */
static int refund(struct follower *follower, struct open_message *open, int64_t now_ms)
{
    struct trace_message *message;
    const struct delivery_place place = place_of(open);
    int kept = deliveries_message(follower->deliveries, &place, now_ms, &message);
    if (kept < 1)
        return kept < 0 ? -1 : 1;
    message->ended = true;
    if (message->refunded || !may_be_refunded(open))
        return 1;
    message->refunded = true;
    follower->counts.refunds++;
    struct value_refund *refund = &follower->refunds[follower->refund_count++];
    *refund = (struct value_refund){.mailbox = xstrdup(open->mailbox), .redeemed = open->redeemed};
    if (open->id != NULL)
        refund->id = xstrdup(guard_counted_id(follower->arena, CHANNEL_SMTP, open->id));
    return 1;
}

/* An open message is that admitted one. */
int follower_link(struct follower *follower, struct open_message *open,
                        const struct admitted_message *admitted, int64_t now_ms)
{
    struct delivery_place place;
    struct trace_message message = {.decision = admitted->decision,
                                    .message_id = open->message_id, .silent = open->silent};
    g_strlcpy(message.queue_id, open->queue_id, sizeof message.queue_id);
    open_messages_set_mailbox(follower->open, open, admitted->mailbox);
    int begun = deliveries_begin(follower->deliveries, &message, open->mailbox, now_ms, &place);
    if (begun < 0)
        return -1;
    if (follower->saw != NULL)
        follower->saw(follower->saw_self, admitted->mailbox);
    open->decision = admitted->decision;
    open->part = place.part;
    open->id = admitted->counted ? xstrdup(admitted->id) : NULL;
    open->redeemed = admitted->redeemed;
    follower->counts.messages += (uint64_t)begun;
    open_messages_changed(follower->open, open);
    return open->refused ? refund(follower, open, now_ms) : 1;
}

struct finding {
    struct follower *follower;
    int64_t now_ms;
};

/* A record that is read anew after a start may be of a message that is settled long ago. */
static int is_traced(struct follower *follower, const struct admitted_message *admitted,
                     int64_t now_ms)
{
    struct delivery_place place;
    if (admitted->decision > follower->newest_before)
        return 0;
    return deliveries_find(follower->deliveries, admitted->decision, admitted->mailbox, now_ms,
                           &place);
}

static bool may_be(const struct open_message *open, const struct admitted_message *admitted)
{
    return open->decision == 0 &&
           decision_time(admitted->decision) > open->seen_ms - CLOCKS_APART_MS &&
           (open->mailbox == NULL || strcmp(open->mailbox, admitted->mailbox) == 0);
}

static int found_admitted(void *context, const struct admitted_message *admitted)
{
    const struct finding *finding = context;
    struct follower *follower = finding->follower;
    struct open_message *open = open_messages_find(follower->open, admitted->queue_id);
    if (open != NULL && open->decision == admitted->decision)
        return 1;
    int traced = is_traced(follower, admitted, finding->now_ms);
    if (traced != 0 || open == NULL || !may_be(open, admitted))
        return traced;
    return follower_link(follower, open, admitted, finding->now_ms);
}

/* An hour that comes twice has decisions of both times: those of the first are known already. */
static void see_clock(struct follower *follower, int64_t now_ms)
{
    if (now_ms < follower->clock_ms - CLOCKS_APART_MS) {
        admitted_rewind(follower->admitted, now_ms);
        follower->newest_before = admitted_newest(follower->admitted);
        follower->read_again_ms = follower->told_ms = 0;
        follower->clock_ms = now_ms;
    }
    if (now_ms > follower->clock_ms)
        follower->clock_ms = now_ms;
}

static int read_admitted(struct follower *follower, int64_t until_ms, bool again, int64_t now_ms)
{
    struct finding finding = {follower, now_ms};
    see_clock(follower, now_ms);
    return admitted_read(follower->admitted, until_ms, again, now_ms, found_admitted, &finding);
}

int follower_read_again(struct follower *follower, int64_t until_ms, int64_t now_ms)
{
    follower->read_again_ms = now_ms;
    return read_admitted(follower, until_ms, true, now_ms);
}

bool follower_read_before(const struct follower *follower, int64_t ms, int64_t now_ms)
{
    return now_ms < follower->read_again_ms || now_ms >= follower->read_again_ms + ms;
}

/* What is known to be admitted under its queue id; NULL: nothing. */
static const struct admitted_message *candidate(const struct follower *follower,
                                                const struct open_message *open)
{
    const struct admitted_message *admitted = admitted_find(follower->admitted, open->queue_id);
    return admitted != NULL && may_be(open, admitted) ? admitted : NULL;
}

/* What the store has of the message and of those behind it is read at once. */
static void expect(struct follower *follower, const struct admitted_message *admitted)
{
    while (admitted != NULL &&
           deliveries_expect(follower->deliveries, admitted->decision, admitted->mailbox))
        admitted = admitted_next(admitted);
}

/* Which message an open one is, if that can be known by now: records are read a little ahead.
 * 1 (open->decision may still be 0), -1. */
static int find_decision(struct follower *follower, struct open_message *open, int64_t at_ms,
                         int64_t now_ms)
{
    if (open->decision != 0)
        return 1;
    const struct admitted_message *admitted = candidate(follower, open);
    if (admitted == NULL) {
        if (read_admitted(follower, at_ms + 2 * SECOND_MS, false, now_ms) < 0)
            return -1;
        admitted = candidate(follower, open);
    }
    if (open->decision != 0 || admitted == NULL)
        return 1;
    expect(follower, admitted);
    if (follower_link(follower, open, admitted, now_ms) < 0)
        return -1;
    admitted_remove(follower->admitted, open->queue_id);
    return 1;
}

/* Before a message in the queue has its outcomes: its record is there, since the mail server had the
 * answer, and was written late if it is not among the newest. 1 (open->decision is 0: nobody judged it),
 * 0 not now, -1. */
static int settle(struct follower *follower, const struct mail_event *event, int64_t at_ms,
                  int64_t now_ms)
{
    struct open_message *open = open_messages_find(
        follower->open,
        arena_strndup(follower->arena, event->queue_id.text, event->queue_id.length));
    if (open == NULL || open->decision != 0 || open->is_unknown)
        return 1;
    if (find_decision(follower, open, at_ms, now_ms) < 0)
        return -1;
    if (open->decision != 0 ||
        at_ms + STAMP_MS + CLOCKS_APART_MS < follower->read_again_ms)
        return 1;
    if (!follower_read_before(follower, FOLLOWER_AGAIN_MS, now_ms))
        return 0;
    if (follower_read_again(follower, at_ms + 2 * SECOND_MS, now_ms) < 0)
        return -1;
    open->is_unknown = open->decision == 0;
    return 1;
}

/* ---- lines ------------------------------------------------------------------------------------------- */

/* What a line is taken over with. */
struct taking {
    struct follower *follower;
    const struct mail_event *event;
    struct mail_view program;
    const char *queue_id;
    int64_t at_ms, now_ms;
};

static char *copy(const struct taking *taking, struct mail_view view)
{
    return arena_strndup(taking->follower->arena, view.text != NULL ? view.text : "",
                         view.length);
}

/* In key form, "" where it is no address. Postfix writes addresses as mail has them, with quotation
 * marks where they need some; earlier versions wrote them bare. */
static const char *address_of(const struct taking *taking, struct mail_view view)
{
    struct problem unimportant;
    const char *key;
    struct arena *arena = taking->follower->arena;
    if (address_key(arena, view.text, view.length, &key, &unimportant) ||
        address_key_unquoted(arena, view.text, view.length, &key, &unimportant))
        return key;
    return "";
}

/* The same message under another queue id: put back into the queue, or handed back by a filter. */
static void follow_on(const struct taking *taking, const struct open_message *before,
                      const char *queue_id)
{
    struct follower *follower = taking->follower;
    struct open_message *open = open_messages_put(follower->open, queue_id, taking->at_ms);
    open->mailbox = before->mailbox;
    open->decision = before->decision;
    open->part = before->part;
    open->message_id = before->message_id;
}

static int take_client(const struct taking *taking)
{
    struct follower *follower = taking->follower;
    const struct mail_event *event = taking->event;
    if (event->user.text == NULL && event->other_id.length > 0) {
        const struct open_message *before =
            open_messages_find(follower->open, copy(taking, event->other_id));
        if (before != NULL && before->decision != 0) {
            follow_on(taking, before, taking->queue_id);
            return 1;
        }
    }
    if (event->user.text == NULL)
        return 1;
    struct open_message *open =
        open_messages_put(follower->open, taking->queue_id, taking->at_ms);
    const char *mailbox = address_of(taking, event->user);
    if (mailbox[0] != '\0')
        open_messages_set_mailbox(follower->open, open, mailbox);
    return 1;
}

/* `postsuper -r`: the old id is no more. */
static int take_pickup(const struct taking *taking)
{
    struct follower *follower = taking->follower;
    if (taking->event->other_id.length == 0)
        return 1;
    struct open_message *before =
        open_messages_find(follower->open, copy(taking, taking->event->other_id));
    if (before == NULL)
        return 1;
    follow_on(taking, before, taking->queue_id);
    open_messages_remove(follower->open, before);
    return 1;
}

static int take_message_id(const struct taking *taking, struct open_message *open)
{
    struct trace_message *message;
    open->message_id = keyed_hash_message_id(&taking->follower->hash_keys,
                                             taking->event->message_id.text,
                                             taking->event->message_id.length);
    open_messages_changed(taking->follower->open, open);
    if (open->decision == 0)
        return 1;
    const struct delivery_place place = place_of(open);
    int kept = deliveries_message(taking->follower->deliveries, &place, taking->now_ms, &message);
    if (kept > 0 && message->message_id == 0)
        message->message_id = open->message_id;
    return kept < 0 ? -1 : 1;
}

static int take_queued(const struct taking *taking, struct open_message *open)
{
    struct trace_message *message;
    if (open->decision == 0)
        return 1;
    const struct delivery_place place = place_of(open);
    int kept = deliveries_message(taking->follower->deliveries, &place, taking->now_ms, &message);
    if (kept > 0 && message->expected == 0)
        message->expected = (uint32_t)taking->event->recipients;
    if (may_be_refunded(open)) { /* it is in the queue: nothing will be refunded */
        free(open->id);
        open->id = NULL;
        open->redeemed = 0;
        open_messages_changed(taking->follower->open, open);
    }
    return kept < 0 ? -1 : 1;
}

static enum delivery delivery_of(enum mail_status status)
{
    return status == MAIL_SENT       ? DELIVERY_DELIVERED
           : status == MAIL_DEFERRED ? DELIVERY_DEFERRED
                                     : DELIVERY_FAILED;
}

static bool is_probe(const struct mail_event *event)
{
    return event->status == MAIL_DELIVERABLE || event->status == MAIL_UNDELIVERABLE;
}

static int replay_strangers(const struct taking *taking, const char *queue_id);

/* Who answered; the recipient's domain where nobody did. */
static const char *site_of(const struct taking *taking, const char *recipient)
{
    const struct mail_event *event = taking->event;
    const char *domain = strrchr(recipient, '@');
    char *site = arena_alloc(taking->follower->arena, REPLY_SITE_SIZE);
    if (reply_site(event->relay_host, event->relay_address, site) == 0 && domain != NULL)
        reply_site((struct mail_view){domain + 1, strlen(domain + 1)}, (struct mail_view){0}, site);
    return site;
}

/* What is kept of what the server said. Of a success, only who it was. */
static struct kept_reply reply_of(const struct taking *taking, const char *recipient)
{
    const struct mail_event *event = taking->event;
    struct kept_reply reply = {.class = REPLY_OTHER, .code = copy(taking, event->dsn),
                               .site = site_of(taking, recipient), .words = ""};
    if (event->status == MAIL_SENT)
        return reply;
    const struct mail_view recipients[] = {event->to, event->orig_to};
    char *words = arena_alloc(taking->follower->arena, REPLY_WORDS_MAX + 1);
    reply_redact(event->text, recipients, event->orig_to.text != NULL ? 2 : 1, words);
    reply.words = words;
    reply.class = reply_class(event);
    return reply;
}

/* Loopback, link-local and private addresses: RFC 1122, 1918, 3927, 4193, 4291. */
static bool is_near(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1) {
        uint32_t bits = ntohl(four.s_addr);
        return bits >> 24 == 127 || bits >> 24 == 10 || bits >> 20 == 0xAC1 ||
               bits >> 16 == 0xC0A8 || bits >> 16 == 0xA9FE;
    }
    return inet_pton(AF_INET6, address, &six) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_LINKLOCAL(&six) ||
            (six.s6_addr[0] & 0xFE) == 0xFC);
}

/* Somebody else's server: it knows queue ids of this one, of mail that it got or sent here. */
static bool is_of_strangers(const struct taking *taking)
{
    enum { SMTP_PORT = 25 };
    return taking->event->relay_port == SMTP_PORT &&
           !is_near(copy(taking, taking->event->relay_address));
}

/* Handed to a content filter, which handed it back under another queue id of this server: no outcome
 * yet. local(8) has done with a message that it forwards. */
static bool is_hop(const struct taking *taking, const char *queue_id)
{
    return queue_id[0] != '\0' && !mail_view_is(taking->program, "local") &&
           !is_of_strangers(taking) &&
           (g_hash_table_contains(taking->follower->strangers, queue_id) ||
            g_hash_table_contains(taking->follower->older_strangers, queue_id) ||
            open_messages_find(taking->follower->open, queue_id) != NULL);
}

static int take_hop(const struct taking *taking, const struct open_message *open,
                    const char *queue_id)
{
    if (open_messages_find(taking->follower->open, queue_id) != NULL)
        return 1;
    follow_on(taking, open, queue_id);
    return replay_strangers(taking, queue_id);
}

static int take_outcome(const struct taking *taking, const struct open_message *open)
{
    struct follower *follower = taking->follower;
    const struct mail_event *event = taking->event;
    bool expanded = event->orig_to.text != NULL;
    const char *queue_id = copy(taking, event->other_id);
    if (open->decision == 0 || is_probe(event))
        return 1;
    if (is_hop(taking, queue_id))
        return take_hop(taking, open, queue_id);
    const char *recipient = address_of(taking, expanded ? event->orig_to : event->to);
    const struct delivery_outcome outcome = {
        .recipient = recipient, .delivery = delivery_of(event->status),
        .attempted = event->attempted, .expanded = expanded, .at_ms = taking->at_ms,
        .reply = reply_of(taking, recipient)};
    const struct delivery_place place = place_of(open);
    struct follower_outcome taken = {event, taking->program, &place, &outcome, {0}};
    follower->counts.outcomes++;
    int known = deliveries_outcome(follower->deliveries, &place, &outcome, taking->now_ms,
                                   &taken.unit);
    if (known > 0 && outcome.attempted)
        follower_add_failure(follower, &taken, taking->now_ms);
    return known < 0 ? -1 : 1;
}

/* Given up after days: one line for all that were last deferred. */
static int end_message(const struct taking *taking, struct open_message *open,
                       enum delivery given_up)
{
    if (open->decision == 0)
        return 1;
    const struct delivery_place place = place_of(open);
    return deliveries_end(taking->follower->deliveries, &place, given_up, taking->at_ms,
                          taking->now_ms) < 0 ? -1 : 1;
}

static int take_removed(const struct taking *taking, struct open_message *open)
{
    enum delivery given_up =
        taking->event->kind == MAIL_DELETED ? DELIVERY_DISCARDED : DELIVERY_DELIVERED;
    if (end_message(taking, open, given_up) < 0)
        return -1;
    open_messages_remove(taking->follower->open, open);
    return 1;
}

/* What cleanup refuses was counted a moment before, or is counted in a moment. */
static int take_refused(const struct taking *taking, struct open_message *open)
{
    open->refused = true;
    open_messages_changed(taking->follower->open, open);
    if (open->decision != 0)
        return refund(taking->follower, open, taking->now_ms);
    return find_decision(taking->follower, open, taking->at_ms, taking->now_ms);
}

static int take_open(const struct taking *taking, struct open_message *open)
{
    switch (taking->event->kind) {
    case MAIL_MESSAGE_ID:
        return take_message_id(taking, open);
    case MAIL_QUEUED:
        return take_queued(taking, open);
    case MAIL_OUTCOME:
        return take_outcome(taking, open);
    case MAIL_EXPIRED:
        return end_message(taking, open, DELIVERY_EXPIRED);
    case MAIL_REMOVED:
    case MAIL_DELETED:
        return take_removed(taking, open);
    case MAIL_REFUSED:
        return take_refused(taking, open);
    case MAIL_DISCARDED: /* it has been taken: nobody sends it again, so it stays counted */
        return end_message(taking, open, DELIVERY_DISCARDED);
    default:
        return 1;
    }
}

/* ---- strangers ---------------------------------------------------------------------------------------- */

/* The lines of a queue id, NULL when there are none. */
static GPtrArray *lines_of(struct follower *follower, const char *queue_id)
{
    GPtrArray *lines = g_hash_table_lookup(follower->strangers, queue_id);
    return lines != NULL ? lines : g_hash_table_lookup(follower->older_strangers, queue_id);
}

static GPtrArray *add_stranger(struct follower *follower, const char *queue_id)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(free_line);
    if (g_hash_table_size(follower->strangers) == FOLLOWER_STRANGERS_MAX) {
        g_hash_table_destroy(follower->older_strangers);
        follower->older_strangers = follower->strangers;
        follower->strangers = follower_new_strangers();
    }
    g_hash_table_insert(follower->strangers, g_strdup(queue_id), lines);
    return lines;
}

static void keep_stranger(const struct taking *taking, const struct mail_log_line *line)
{
    struct follower *follower = taking->follower;
    GPtrArray *lines = lines_of(follower, taking->queue_id);
    if (taking->event->kind == MAIL_REMOVED && lines == NULL)
        return;
    if (lines == NULL)
        lines = add_stranger(follower, taking->queue_id);
    if (lines->len == FOLLOWER_STRANGER_LINES_MAX)
        return;
    struct kept_line *kept = xcalloc(1, sizeof *kept);
    kept->at_ms = taking->at_ms;
    kept->program = g_strndup(line->program.text, line->program.length);
    kept->body = g_strndup(line->body.text, line->body.length);
    g_ptr_array_add(lines, kept);
}

/* Takes over what an event says. */
static int take_event(struct follower *follower, const struct mail_event *event,
                      const struct mail_log_line *line, int64_t now_ms)
{
    struct taking taking = {.follower = follower, .event = event, .now_ms = now_ms,
                            .program = line->program, .at_ms = line->stamp_us / 1000};
    taking.queue_id = copy(&taking, event->queue_id);
    if (event->kind == MAIL_CLIENT)
        return take_client(&taking);
    if (event->kind == MAIL_PICKUP)
        return take_pickup(&taking);
    struct open_message *open = open_messages_find(follower->open, taking.queue_id);
    const struct admitted_message *admitted =
        open == NULL ? admitted_find(follower->admitted, taking.queue_id) : NULL;
    if (admitted != NULL) /* its first lines are lost */
        open = open_messages_put(follower->open, taking.queue_id,
                                 decision_time(admitted->decision));
    if (admitted != NULL && find_decision(follower, open, taking.at_ms, now_ms) < 0)
        return -1;
    if (open != NULL)
        return take_open(&taking, open);
    keep_stranger(&taking, line);
    return 1;
}

static int replay_strangers(const struct taking *taking, const char *queue_id)
{
    struct follower *follower = taking->follower;
    gpointer id = NULL, lines = NULL;
    int answer = 1;
    if (!g_hash_table_steal_extended(follower->strangers, queue_id, &id, &lines) &&
        !g_hash_table_steal_extended(follower->older_strangers, queue_id, &id, &lines))
        return 1;
    g_autoptr(GPtrArray) kept = lines;
    for (guint i = 0; i < kept->len && answer > 0; i++) {
        const struct kept_line *one = g_ptr_array_index(kept, i);
        const struct mail_log_line line = {
            .stamp_us = one->at_ms * 1000,
            .program = {one->program, strlen(one->program)},
            .body = {one->body, strlen(one->body)}};
        struct mail_event event;
        bool malformed;
        if (mail_log_event(line.program, line.body, &event, &malformed) > 0)
            answer = take_event(follower, &event, &line, taking->now_ms);
    }
    g_free(id);
    return answer;
}

int follower_line(struct follower *follower, const struct mail_log_line *line, int64_t now_ms)
{
    struct mail_event event;
    int64_t at_ms = line->stamp_us / 1000;
    if (follower->place == NULL && follower->counts.lines == 0)
        admitted_begin(follower->admitted, at_ms);
    bool malformed = false;
    int answer = 1, is_event = mail_log_event(line->program, line->body, &event, &malformed);
    if (is_event && event.kind == MAIL_QUEUED &&
        (answer = settle(follower, &event, at_ms, now_ms)) < 1)
        return answer;
    follower->counts.lines++;
    follower->step_lines++;
    follower->new_lines = true;
    if (at_ms > follower->counts.log_ms)
        follower->counts.log_ms = at_ms;
    follower->counts.malformed += malformed;
    if (is_event)
        answer = take_event(follower, &event, line, now_ms);
    arena_reset(follower->arena);
    return answer;
}

