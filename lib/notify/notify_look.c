#include "notify/notify_look.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/zone.h"
#include "guard/held.h"
#include "guard/packing.h"
#include "notify/notify_numbers.h"
#include "notify/notify_send.h"
#include "rules/complaints.h"
#include "store/audit.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "store/values.h"

enum {
    PAGE = 64,
    AUDIT_PAGES = 16, /* in a round */
    NEAR_MAX = 256,   /* those seen last */
    NEAR_KNOWN_MAX = 512,
    SUSPENSIONS_KNOWN_MAX = 5000,
    DECISIONS_LOOKED_AT = 64, /* for the language of a user */
};
/* A window that stays near is not written with each message. */
#define NEAR_NOTED_MS (5 * MINUTE_MS)
/* All suspended mailboxes, and those whose mail waits, are read when one was added, and at least so
 * often: ends come by themselves. */
#define ALL_SUSPENDED_MS MINUTE_MS

/* In the state: whose suspensions were put back, since all that are suspended were read. */
#define PUT_BACK "put_back"

struct notify_looking {
    struct notify_look *look;
    struct notify_state *state;
    bool begins; /* nothing is told: how far everything is, is noted */
};

static bool is_wanted(const struct notify_looking *looking, enum notify_condition condition)
{
    const struct settings *settings = looking->look->settings;
    const struct text_list *left_out = &settings->notify_leave_out;
    for (size_t i = 0; i < left_out->count; i++)
        if (strcmp(left_out->items[i], notify_state_condition(condition)) == 0)
            return false;
    return settings->notify_mail_to.count > 0 || settings->notify_webhook[0] != '\0';
}

/* Takes `item`. */
static void tell(const struct notify_looking *looking, enum notify_condition condition,
                 struct json_object *item)
{
    if (looking->begins || !is_wanted(looking, condition))
        json_object_put(item);
    else
        notify_state_add(looking->state, condition, item, looking->look->now_ms);
}

static struct json_object *item_about(const char *subject)
{
    struct json_object *item = json_object_new_object();
    json_add_string(item, "subject", subject);
    return item;
}

/* ---- suspensions ----------------------------------------------------------------------------- */

static void tell_suspension(const struct notify_looking *looking, const char *mailbox,
                            const struct suspension *suspension)
{
    bool own = suspension_is_own_lock(suspension->cause, suspension->by);
    bool by_guard = strcmp(suspension->by, SUSPENSION_BY_GUARD) == 0;
    struct json_object *item = item_about(mailbox);
    json_add_string(item, "mailbox", mailbox);
    json_add_string(item, "cause", cause_names[suspension->cause]);
    json_add_moment(item, "since", suspension->since_ms);
    json_add_moment(item, "until", suspension->until_ms);
    json_add_string(item, "by", suspension->by);
    if (by_guard && suspension->note[0] != '\0')
        json_add_string(item, "note", suspension->note);
    tell(looking, own ? NOTIFY_OWN_LOCK : NOTIFY_SUSPENSION, item);
}

/* Whether its user is to get mail. In observe mode nobody is stopped. */
static bool tells_users(const struct notify_looking *looking)
{
    const struct settings *settings = looking->look->settings;
    return settings->notify_user_languages[0] != '\0' && settings->guard_mode == MODE_ENFORCE;
}

/* The language that the webmail told with the last of its messages; NULL: it told none, the last
 * messages were others, or the store does not answer. */
static const char *language_of(const struct notify_looking *looking, const char *mailbox)
{
    struct notify_look *look = looking->look;
    struct record *records = arena_alloc(look->arena, DECISIONS_LOOKED_AT * sizeof *records);
    struct store_page paging = {.max = DECISIONS_LOOKED_AT};
    const char *language = NULL;
    if (store_decisions(look->store, look->arena, mailbox, UINT64_MAX, look->now_ms, records,
                        &paging) < 0)
        return NULL;
    for (size_t i = 0; i < paging.count && language == NULL; i++) {
        freed_by(json_put) struct json_object *facts = packing_read(&records[i], NULL);
        const char *told = json_string(facts, "lang", NULL);
        language = told != NULL ? arena_strdup(look->arena, told) : NULL;
    }
    return language;
}

/* The one that is told of those that hold. A mailbox that was told of one hears when it is over. */
static void tell_user_begin(const struct notify_looking *looking, const char *mailbox,
                            const struct suspension *suspension)
{
    struct json_object *told = notify_state_object(looking->state, "users_told");
    if (looking->begins || !tells_users(looking) || json_member(told, mailbox) != NULL)
        return;
    struct json_object *mail = json_object_new_object();
    json_add_string(mail, "mailbox", mailbox);
    json_add_string(mail, "lang", language_of(looking, mailbox));
    json_add_bool(mail, "begins", true);
    json_add_string(mail, "cause", cause_names[suspension->cause]);
    json_add_string(mail, "by", suspension->by);
    json_add_int(mail, "since_ms", suspension->since_ms);
    json_add_int(mail, "until_ms", suspension->until_ms);
    bool may = notify_send_may_reach(mailbox) &&
               json_object_object_length(told) < NOTIFY_USERS_TOLD_MAX;
    if (may && notify_state_add_user_mail(looking->state, mail, looking->look->now_ms))
        json_add_int(told, mailbox, suspension->since_ms);
    else
        looking->look->users_left_out++;
    if (!may)
        json_object_put(mail);
}

static void tell_user_end(const struct notify_looking *looking, const char *mailbox)
{
    struct json_object *mail = json_object_new_object();
    json_add_string(mail, "mailbox", mailbox);
    json_add_string(mail, "lang", language_of(looking, mailbox));
    json_add_bool(mail, "begins", false);
    if (!notify_state_add_user_mail(looking->state, mail, looking->look->now_ms))
        looking->look->users_left_out++;
}

/* Those who were told, and are not suspended any more: not in `seen`. */
static void tell_user_ends(const struct notify_looking *looking, struct json_object *seen)
{
    struct json_object *told = notify_state_object(looking->state, "users_told");
    json_object_object_foreach(told, mailbox, since)
    {
        (void)since;
        if (json_member(seen, mailbox) != NULL)
            continue;
        if (tells_users(looking))
            tell_user_end(looking, mailbox);
        looking->state->changed = true;
        json_object_object_del(told, mailbox);
    }
}

/* Ids rise, but who reads page by page may see one and miss a lower one on a page before: what is
 * above the newest of the reading before is known by its id. */
struct reading_suspended {
    int64_t floor, newest;
    struct json_object *known;  /* ids above floor that were told */
    struct json_object *told;   /* users, by mailbox, who know that they are suspended */
    struct json_object *seen;   /* those of them who are */
    struct json_object *put_back; /* mailboxes */
    int64_t count;
};

static bool is_new(struct reading_suspended *reading, int64_t id)
{
    char digits[TEXT_DIGITS_SIZE];
    const char *name = text_digits(digits, id);
    reading->newest = id > reading->newest ? id : reading->newest;
    if (id <= reading->floor || json_member(reading->known, name) != NULL)
        return false;
    if (json_object_object_length(reading->known) < SUSPENSIONS_KNOWN_MAX)
        json_add_bool(reading->known, name, true);
    return true;
}

static void look_at_mailbox(const struct notify_looking *looking, const struct suspended *suspended,
                            struct reading_suspended *reading)
{
    const struct suspensions *all = &suspended->suspensions;
    bool any_new = json_member(reading->put_back, suspended->mailbox) != NULL;
    for (size_t i = 0; i < all->count; i++) {
        if (!is_new(reading, all->of[i].id))
            continue;
        any_new = true;
        tell_suspension(looking, suspended->mailbox, &all->of[i]);
    }
    if (any_new)
        tell_user_begin(looking, suspended->mailbox, &all->of[0]);
    if (json_member(reading->told, suspended->mailbox) != NULL)
        json_add_bool(reading->seen, suspended->mailbox, true);
    reading->count++;
}

static void end_reading(const struct notify_looking *looking, struct reading_suspended *reading)
{
    struct notify_state *state = looking->state;
    int64_t floor = looking->begins ? reading->newest
                                    : notify_state_int(state, "suspension_newest");
    json_object_object_foreach(reading->known, id, value)
    {
        (void)value;
        if (strtoll(id, NULL, 10) <= floor)
            json_object_object_del(reading->known, id);
    }
    tell_user_ends(looking, reading->seen);
    json_object_object_del(state->tree, PUT_BACK);
    notify_state_set(state, "suspension_floor", floor);
    notify_state_set(state, "suspension_newest", reading->newest);
    notify_state_set(state, "suspended", reading->count);
}

static int look_at_suspended(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct notify_state *state = looking->state;
    struct suspended *page = arena_alloc(look->arena, PAGE * sizeof *page);
    struct store_page paging = {.max = PAGE, .more = true};
    freed_by(json_put) struct json_object *seen = json_object_new_object();
    struct reading_suspended reading = {
        .floor = notify_state_int(state, "suspension_floor"),
        .newest = notify_state_int(state, "suspension_newest"),
        .known = notify_state_object(state, "suspensions_known"),
        .told = notify_state_object(state, "users_told"), .seen = seen,
        .put_back = notify_state_object(state, PUT_BACK)};
    const char *after = "";
    while (paging.more) {
        if (store_suspended(look->store, after, look->now_ms, page, &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            look_at_mailbox(looking, &page[i], &reading);
        if (paging.count > 0)
            after = arena_strdup(look->arena, page[paging.count - 1].mailbox);
    }
    end_reading(looking, &reading);
    return 1;
}

/* ---- the audit log --------------------------------------------------------------------------- */

/* Of a domain or a mailbox whose mail fails; block lists have entries of the same name. */
static void look_at_block(const struct notify_looking *looking, const struct audit *entry)
{
    freed_by(json_put) struct json_object *detail = json_read(entry->detail);
    struct json_object *after = json_member(detail, "after");
    if (strcmp(entry->by, SUSPENSION_BY_GUARD) != 0 ||
        strcmp(json_string(after, "cause", ""), cause_names[CAUSE_FAILURES]) != 0)
        return;
    bool is_domain = entry->subject[0] == '@';
    struct json_object *item = item_about(entry->subject);
    json_add_string(item, is_domain ? "domain" : "mailbox", entry->subject + is_domain);
    json_add_string(item, "until", json_string(after, "until", NULL));
    json_add_int(item, "bad", json_int(after, "bad", 0));
    json_add_int(item, "all", json_int(after, "all", 0));
    tell(looking, NOTIFY_DOMAIN_BLOCKED, item);
}

/* Of a lift: the same suspension holds again, of which its user was told that it is over. */
static void look_at_undo(const struct notify_looking *looking, const struct audit *entry)
{
    freed_by(json_put) struct json_object *detail = json_read(entry->detail);
    if (strcmp(json_string(detail, "action", ""), "lift") == 0)
        json_add_bool(notify_state_object(looking->state, PUT_BACK), entry->subject, true);
}

static void look_at_entry(const struct notify_looking *looking, const struct audit *entry)
{
    if (strcmp(entry->action, "undo") == 0)
        look_at_undo(looking, entry);
    if (strcmp(entry->action, "block") == 0)
        look_at_block(looking, entry);
    if (strcmp(entry->action, "appeal") == 0) {
        struct json_object *item = item_about(entry->subject);
        json_add_string(item, "mailbox", entry->subject);
        tell(looking, NOTIFY_APPEAL, item);
    }
}

static int begin_audit(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct audit *newest = arena_alloc(look->arena, sizeof *newest);
    struct store_page paging = {.max = 1};
    if (store_audit_newest(look->store, NULL, INT64_MAX, newest, &paging) < 0)
        return -1;
    notify_state_set(looking->state, "audit_after", paging.count > 0 ? newest->number : 0);
    return 1;
}

static int look_at_audit(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct audit *page = arena_alloc(look->arena, PAGE * sizeof *page);
    struct store_page paging = {.max = PAGE, .more = true};
    if (looking->begins)
        return begin_audit(looking);
    for (int pages = 0; paging.more && pages < AUDIT_PAGES; pages++) {
        int64_t after = notify_state_int(looking->state, "audit_after");
        if (store_audit(look->store, after, page, &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            look_at_entry(looking, &page[i]);
        if (paging.count > 0)
            notify_state_set(looking->state, "audit_after", page[paging.count - 1].number);
    }
    return 1;
}

/* ---- windows near their limit ---------------------------------------------------------------- */

static void forget_near(struct notify_state *state, struct json_object *known, int64_t now_ms)
{
    json_object_object_foreach(known, name, until)
    {
        bool too_many = json_object_object_length(known) > NEAR_KNOWN_MAX;
        if (json_object_get_int64(until) <= now_ms || too_many) {
            json_object_object_del(known, name);
            state->changed = true;
        }
    }
}

/* One that was told is told again when it has been below for as long as its window. */
static void look_at_window(const struct notify_looking *looking, const struct near_limit *near,
                           struct json_object *known)
{
    static const char *const kinds[SUBJECT_COUNT] = {
        [SUBJECT_MAILBOX] = "mailbox", [SUBJECT_IP] = "ip", [SUBJECT_DOMAIN] = "domain"};
    const struct rule_info *rule = &rule_table[near->rule];
    char key[HISTORY_NAME_SIZE];
    history_channel(rule->subject, near->key, key);
    const char *name = arena_printf(looking->look->arena, "%s %s", rule->name, near->key);
    bool was_told = json_member(known, name) != NULL;
    int64_t until_ms = near->at_ms + rule->window_ms;
    if (until_ms - json_int(known, name, 0) >= NEAR_NOTED_MS) {
        json_add_int(known, name, until_ms);
        looking->state->changed = true;
    }
    if (was_told)
        return;
    struct json_object *item = item_about(key);
    json_add_string(item, kinds[rule->subject], key + (rule->subject == SUBJECT_DOMAIN));
    json_add_string(item, "rule", rule->name);
    tell(looking, NOTIFY_NEAR_LIMIT, item);
}

static int look_at_near(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct near_limit *seen = arena_alloc(look->arena, NEAR_MAX * sizeof *seen);
    struct store_page paging = {.max = NEAR_MAX};
    struct json_object *known = notify_state_object(looking->state, "near");
    if (!is_wanted(looking, NOTIFY_NEAR_LIMIT))
        return 1;
    if (store_near(look->store, look->now_ms, seen, &paging) < 0)
        return -1;
    for (size_t i = 0; i < paging.count; i++)
        if (rule_table[seen[i].rule].subject < SUBJECT_COUNT)
            look_at_window(looking, &seen[i], known);
    forget_near(looking->state, known, look->now_ms);
    return 1;
}

/* ---- counters -------------------------------------------------------------------------------- */

/* By how much the number has risen; one that fell has begun anew. */
static int64_t risen(const struct notify_looking *looking, const char *group, const char *name,
                     int64_t value)
{
    struct json_object *kept = notify_state_object(looking->state, group);
    bool is_first = json_member(kept, name) == NULL;
    int64_t before = json_int(kept, name, 0);
    if (value != before || is_first) {
        json_add_int(kept, name, value);
        looking->state->changed = true;
    }
    return looking->begins || value < before ? 0 : value - before;
}

static void look_at_bypassed(const struct notify_looking *looking,
                             const struct notify_numbers *numbers)
{
    int64_t count = risen(looking, "counts", "bypassed", numbers->of[NUMBER_BYPASSED]);
    if (count == 0)
        return;
    struct json_object *item = item_about("");
    json_add_int(item, "count", count);
    tell(looking, NOTIFY_BYPASSED, item);
}

static void look_at_login_blocks(const struct notify_looking *looking,
                                 const struct notify_numbers *numbers)
{
    for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++) {
        const char *name = login_rule_names[rule];
        int64_t count = risen(looking, "login_blocks", name, numbers->login_blocks[rule]);
        if (count == 0)
            continue;
        struct json_object *item = item_about(name);
        json_add_string(item, "rule", name);
        json_add_int(item, "count", count);
        tell(looking, NOTIFY_LOGINS_BLOCKED, item);
    }
}

/* ---- complaints ------------------------------------------------------------------------------ */

static void look_at_complaints_of(const struct notify_looking *looking, const struct value *value,
                                  int64_t after_ms, int64_t *newest_ms)
{
    struct complaints complaints;
    int64_t count = 0;
    if (complaints_read(value->bytes, value->length, &complaints) < 1)
        return;
    for (size_t i = 0; i < complaints.count; i++) {
        const struct complaint *complaint = &complaints.of[i];
        if (complaint->at_ms <= after_ms || complaint->withdrawn)
            continue;
        count++;
        *newest_ms = complaint->at_ms > *newest_ms ? complaint->at_ms : *newest_ms;
    }
    if (count == 0)
        return;
    struct json_object *item = item_about(value->key);
    json_add_string(item, "mailbox", value->key);
    json_add_int(item, "count", count);
    tell(looking, NOTIFY_COMPLAINT, item);
}

/* Only when there are new ones are all looked at. */
static int look_at_complaints(const struct notify_looking *looking,
                              const struct notify_numbers *numbers)
{
    struct notify_look *look = looking->look;
    struct value *page = arena_alloc(look->arena, PAGE * sizeof *page);
    struct store_page paging = {.max = PAGE, .more = true};
    int64_t after_ms = notify_state_int(looking->state, "complaints_ms"), newest_ms = after_ms;
    const char *after = "";
    if (looking->begins)
        notify_state_set(looking->state, "complaints_ms", look->now_ms);
    if (looking->begins || numbers->of[NUMBER_COMPLAINTS] ==
                               json_int(notify_state_object(looking->state, "counts"),
                                        "complaints", -1))
        paging.more = false;
    while (paging.more) {
        if (store_values(look->store, look->arena, VALUE_COMPLAINTS, after, look->now_ms, page,
                         &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            look_at_complaints_of(looking, &page[i], after_ms, &newest_ms);
        if (paging.count > 0)
            after = page[paging.count - 1].key;
    }
    if (!looking->begins)
        notify_state_set(looking->state, "complaints_ms", newest_ms);
    (void)risen(looking, "counts", "complaints", numbers->of[NUMBER_COMPLAINTS]);
    return 1;
}

/* ---- mail that waits -------------------------------------------------------------------------- */

/* Its user reads mail even where nobody opens the status page. */
static void tell_user_held(const struct notify_looking *looking, const struct held_mailbox *held)
{
    if (looking->begins || !tells_users(looking) || !looking->look->settings->notify_user_held)
        return;
    struct json_object *mail = json_object_new_object();
    json_add_string(mail, "mailbox", held->mailbox);
    json_add_string(mail, "lang", language_of(looking, held->mailbox));
    json_add_bool(mail, "held", true);
    json_add_int(mail, "since_ms", held->held.since_ms);
    bool may = notify_send_may_reach(held->mailbox);
    if (!may || !notify_state_add_user_mail(looking->state, mail, looking->look->now_ms))
        looking->look->users_left_out++;
    if (!may)
        json_object_put(mail);
}

/* `before` and `now`: since when mail of each mailbox waits. */
static void look_at_held_mailbox(const struct notify_looking *looking,
                                 const struct held_mailbox *held, struct json_object *before,
                                 struct json_object *now)
{
    if (held->held.action != UNUSUAL_HOLD || json_object_object_length(now) >= NOTIFY_HELD_MAX)
        return;
    json_add_int(now, held->mailbox, held->held.since_ms);
    if (json_int(before, held->mailbox, -1) == held->held.since_ms)
        return;
    struct json_object *item = item_about(held->mailbox);
    json_add_string(item, "mailbox", held->mailbox);
    json_add_moment(item, "since", held->held.since_ms);
    json_add_int(item, "new_recipients", held->held.most);
    tell(looking, NOTIFY_HELD, item);
    tell_user_held(looking, held);
}

static int look_at_held(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct held_mailbox *page = arena_alloc(look->arena, PAGE * sizeof *page);
    struct store_page paging = {.max = PAGE, .more = true};
    struct json_object *before = notify_state_object(looking->state, "held");
    freed_by(json_put) struct json_object *now = json_object_new_object();
    const char *after = "";
    while (paging.more) {
        if (held_list(look->store, look->arena, after, look->now_ms, page, &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            look_at_held_mailbox(looking, &page[i], before, now);
        if (paging.count > 0)
            after = page[paging.count - 1].mailbox;
    }
    if (!json_object_equal(before, now)) {
        json_add(looking->state->tree, "held", take(now));
        looking->state->changed = true;
    }
    return 1;
}

/* ---- mail servers' logs ---------------------------------------------------------------------- */

static int look_at_gaps(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct value *page = arena_alloc(look->arena, PAGE * sizeof *page);
    struct store_page paging = {.max = PAGE};
    if (store_values(look->store, look->arena, VALUE_CURSOR, "", look->now_ms, page, &paging) < 0)
        return -1;
    for (size_t i = 0; i < paging.count; i++) {
        freed_by(json_put) struct json_object *cursor = json_read(page[i].bytes);
        int64_t count = risen(looking, "gaps", page[i].key, json_int(cursor, "gaps", 0));
        if (count == 0)
            continue;
        struct json_object *item = item_about(page[i].key);
        json_add_string(item, "source", page[i].key);
        json_add_int(item, "count", count);
        tell(looking, NOTIFY_LOG_GAP, item);
    }
    return 1;
}

/* ---- once a day ------------------------------------------------------------------------------ */

/* By how much each number has risen since the last one, and since when that was. */
static struct json_object *numbers_of_day(const struct notify_looking *looking,
                                          const struct notify_numbers *numbers)
{
    struct notify_state *state = looking->state;
    struct json_object *item = item_about("");
    json_add_moment(item, "since", notify_state_int(state, "digest_ms"));
    for (int number = 0; number < NUMBER_COUNT; number++)
        json_add_int(item, notify_number_names[number],
                     risen(looking, "day", notify_number_names[number], numbers->of[number]));
    json_add_int(item, "suspended_now", notify_state_int(state, "suspended"));
    notify_state_set(state, "digest_ms", looking->look->now_ms);
    return item;
}

static void look_at_day(const struct notify_looking *looking, const struct notify_numbers *numbers)
{
    struct notify_look *look = looking->look;
    const struct settings *settings = look->settings;
    struct wall_time wall;
    freed_by(zone_free) struct zone *zone = zone_open(settings->web_time_zone);
    int64_t last = notify_state_int(looking->state, "digest_day");
    bool is_on = settings->notify_digest != LIMIT_OFF &&
                 (settings->notify_mail_to.count > 0 || settings->notify_webhook[0] != '\0');
    if (!is_on || zone_wall_time(zone, look->now_ms, &wall) < 1) {
        notify_state_set(looking->state, "digest_day", 0);
        return;
    }
    bool is_first = looking->begins || last == 0;
    if (!is_first && (wall.day_number <= last || wall.hour < settings->notify_digest))
        return;
    struct json_object *item = numbers_of_day(looking, numbers);
    notify_state_set(looking->state, "digest_day", wall.day_number);
    if (is_first)
        json_object_put(item);
    else
        notify_state_add(looking->state, NOTIFY_DIGEST, item, look->now_ms);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Whether there may be one more suspension or mailbox whose mail waits, or one less by staff. */
static bool suspensions_moved(const struct notify_looking *looking,
                              const struct notify_numbers *numbers, int64_t audit_before)
{
    const struct notify_state *state = looking->state;
    int64_t all_ms = notify_state_int(state, "suspended_ms"), now_ms = looking->look->now_ms;
    bool counted = risen(looking, "counts", "suspensions", numbers->of[NUMBER_SUSPENSIONS]) +
                       risen(looking, "counts", "unusual", numbers->of[NUMBER_UNUSUAL]) > 0;
    return counted || looking->begins || notify_state_int(state, "audit_after") != audit_before ||
           all_ms > now_ms || now_ms - all_ms >= ALL_SUSPENDED_MS;
}

static int look_at_all(const struct notify_looking *looking)
{
    struct notify_look *look = looking->look;
    struct notify_state *state = looking->state;
    struct notify_numbers numbers;
    int64_t audit_before = notify_state_int(state, "audit_after");
    if (notify_numbers_read(look->store, &numbers) < 0 || look_at_audit(looking) < 0)
        return -1;
    if (suspensions_moved(looking, &numbers, audit_before)) {
        if (look_at_suspended(looking) < 0 || look_at_held(looking) < 0)
            return -1;
        notify_state_set(state, "suspended_ms", look->now_ms);
    }
    if (look_at_near(looking) < 0 || look_at_complaints(looking, &numbers) < 0 ||
        look_at_gaps(looking) < 0)
        return -1;
    look_at_bypassed(looking, &numbers);
    look_at_login_blocks(looking, &numbers);
    look_at_day(looking, &numbers);
    return 1;
}

int notify_look(struct notify_look *look, struct notify_state *state)
{
    int64_t looked_ms = notify_state_int(state, "looked_ms");
    struct notify_looking looking = {.look = look, .state = state};
    looking.begins = looked_ms <= 0 || look->now_ms - looked_ms >= NOTIFY_STALE_MS;
    if (look_at_all(&looking) < 0)
        return -1;
    /* with the sign of who leads, which is written now and then */
    if (looking.begins || look->now_ms - looked_ms >= NOTIFY_LEAD_MS / 2 || state->changed)
        notify_state_set(state, "looked_ms", look->now_ms);
    return 1;
}
