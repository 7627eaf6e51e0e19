#include "rules/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/packed.h"

enum {
    HASH_BYTES = PROFILE_HASH_BITS / 8, TIME_BYTES = 6,
    DAY_BYTES = 2,
    DAYS_KEPT = PROFILE_BUSY_DAYS + 1, /* with today */
    HISTORY_DAYS_MAX = 255,
};

struct profile_network {
    uint64_t hash;
    int64_t first_ms, day;
};
struct profile_day {
    int64_t day;
    uint32_t busiest;
};
struct profile_entry {
    int64_t time_ms;
    uint32_t recipients, domains, total;
};

/* All but the recipients, which stay packed. */
struct profile_head {
    struct profile_network networks[PROFILE_NETWORKS_MAX];
    size_t network_count;
    int64_t begin_ms, unusual_ms;
    int64_t held_ms; /* since when messages wait; 0: they do not */
    int64_t usual_until_ms;
    uint32_t usual;
    struct profile_day days[DAYS_KEPT + PROFILE_ENTRIES_MAX];
    size_t day_count;
    struct profile_entry entries[PROFILE_ENTRIES_MAX];
    size_t entry_count;
};

static int64_t day_of(int64_t time_ms) { return time_ms / DAY_MS; }

static int64_t at_latest(int64_t time, int64_t most) { return time < most ? time : most; }

static uint32_t at_most(uint64_t number, uint32_t most)
{
    return number < most ? (uint32_t)number : most;
}

/* ---- packed ---------------------------------------------------------------------------------- */

static void read_networks(struct packed_rest *rest, struct profile_head *head)
{
    head->network_count = packed_fixed(rest, 1);
    if (head->network_count > PROFILE_NETWORKS_MAX)
        rest->next = NULL;
    for (size_t i = 0; i < head->network_count && rest->next != NULL; i++) {
        head->networks[i].hash = packed_fixed(rest, HASH_BYTES);
        head->networks[i].first_ms = (int64_t)packed_fixed(rest, TIME_BYTES);
        head->networks[i].day = (int64_t)packed_fixed(rest, DAY_BYTES);
    }
}

static void read_days(struct packed_rest *rest, struct profile_head *head)
{
    head->day_count = packed_fixed(rest, 1);
    if (head->day_count > DAYS_KEPT)
        rest->next = NULL;
    for (size_t i = 0; i < head->day_count && rest->next != NULL; i++) {
        head->days[i].day = (int64_t)packed_fixed(rest, DAY_BYTES);
        head->days[i].busiest = (uint32_t)packed_fixed(rest, 2);
    }
}

static void read_entries(struct packed_rest *rest, struct profile_head *head)
{
    head->entry_count = packed_fixed(rest, 1);
    if (head->entry_count > PROFILE_ENTRIES_MAX)
        rest->next = NULL;
    for (size_t i = 0; i < head->entry_count && rest->next != NULL; i++) {
        head->entries[i].time_ms = (int64_t)packed_fixed(rest, TIME_BYTES);
        head->entries[i].recipients = (uint32_t)packed_fixed(rest, 2);
        head->entries[i].domains = (uint32_t)packed_fixed(rest, 2);
        head->entries[i].total = (uint32_t)packed_fixed(rest, 2);
    }
}

/* The head, and the recipients alone in `profile`; of one that cannot be read, none of both. */
static void read_head(struct text *profile, struct profile_head *head_r)
{
    const uint8_t *bytes = (const uint8_t *)profile->data;
    size_t length = profile->length, head_bytes = 0;
    *head_r = (struct profile_head){0};
    if (length >= PROFILE_TAIL_BYTES && bytes[length - 1] == PROFILE_FORMAT)
        head_bytes = (size_t)(bytes[length - 3] << 8 | bytes[length - 2]);
    struct packed_rest rest = {NULL, NULL};
    if (head_bytes >= PROFILE_TAIL_BYTES && head_bytes <= length &&
        (length - head_bytes) % PROFILE_RECIPIENT_BYTES == 0)
        rest = (struct packed_rest){bytes + length - head_bytes,
                                    bytes + length - PROFILE_TAIL_BYTES};
    read_networks(&rest, head_r);
    head_r->begin_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    head_r->unusual_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    head_r->held_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    head_r->usual_until_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    head_r->usual = (uint32_t)packed_fixed(&rest, 2);
    read_days(&rest, head_r);
    read_entries(&rest, head_r);
    bool whole = rest.next != NULL && rest.next == rest.end;
    if (!whole)
        *head_r = (struct profile_head){0};
    profile->length = whole ? length - head_bytes : 0;
}

/* Adds the head to the recipients. */
static void add_head(struct text *profile, const struct profile_head *head)
{
    size_t before = profile->length;
    packed_add_fixed(profile, head->network_count, 1);
    for (size_t i = 0; i < head->network_count; i++) {
        packed_add_fixed(profile, head->networks[i].hash, HASH_BYTES);
        packed_add_fixed(profile, (uint64_t)head->networks[i].first_ms, TIME_BYTES);
        packed_add_fixed(profile, (uint64_t)head->networks[i].day, DAY_BYTES);
    }
    packed_add_fixed(profile, (uint64_t)head->begin_ms, TIME_BYTES);
    packed_add_fixed(profile, (uint64_t)head->unusual_ms, TIME_BYTES);
    packed_add_fixed(profile, (uint64_t)head->held_ms, TIME_BYTES);
    packed_add_fixed(profile, (uint64_t)head->usual_until_ms, TIME_BYTES);
    packed_add_fixed(profile, head->usual, 2);
    packed_add_fixed(profile, head->day_count, 1);
    for (size_t i = 0; i < head->day_count; i++) {
        packed_add_fixed(profile, (uint64_t)head->days[i].day, DAY_BYTES);
        packed_add_fixed(profile, head->days[i].busiest, 2);
    }
    packed_add_fixed(profile, head->entry_count, 1);
    for (size_t i = 0; i < head->entry_count; i++) {
        packed_add_fixed(profile, (uint64_t)head->entries[i].time_ms, TIME_BYTES);
        packed_add_fixed(profile, head->entries[i].recipients, 2);
        packed_add_fixed(profile, head->entries[i].domains, 2);
        packed_add_fixed(profile, head->entries[i].total, 2);
    }
    packed_add_fixed(profile, profile->length - before + PROFILE_TAIL_BYTES, 2);
    packed_add_fixed(profile, PROFILE_FORMAT, 1);
}

/* ---- recipients ------------------------------------------------------------------------------ */

static int64_t day_at(const uint8_t *recipient)
{
    const uint8_t *next = recipient + HASH_BYTES;
    return (int64_t)packed_get(&next, DAY_BYTES);
}

static bool is_past(int64_t day, int64_t days, int64_t today) { return day <= today - days; }

/* Also when a clock that was ahead wrote it. */
static bool is_stale(int64_t day, int64_t today)
{
    return is_past(day, PROFILE_RENEW_DAYS, today) || day > today + 1;
}

/* As numbers of the machine, so that a search is one comparison for each recipient. */
static uint64_t machine_number(uint64_t hash)
{
    uint64_t number;
    uint8_t bytes[PROFILE_RECIPIENT_BYTES] = {0};
    packed_put(bytes, hash, HASH_BYTES);
    memcpy(&number, bytes, sizeof number);
    return number;
}

#define WHOLE_HASH ((UINT64_C(1) << PROFILE_HASH_BITS) - 1)
#define DOMAIN_OF_HASH (WHOLE_HASH & ~((UINT64_C(1) << PROFILE_HASH_BITS / 2) - 1))

/* The next recipient from `from` on whose hash is that in the bits of `which`; NULL: none. */
static uint8_t *find_recipient(const struct text *profile, size_t from, uint64_t hash,
                               uint64_t which)
{
    uint64_t wanted = machine_number(hash & which), mask = machine_number(which), number;
    for (; from < profile->length; from += PROFILE_RECIPIENT_BYTES) {
        memcpy(&number, profile->data + from, sizeof number);
        if ((number & mask) == wanted)
            return (uint8_t *)profile->data + from;
    }
    return NULL;
}

static bool knows_domain(const struct text *profile, uint64_t hash, int64_t today)
{
    const uint8_t *found = NULL;
    size_t from = 0;
    do {
        found = find_recipient(profile, from, hash, DOMAIN_OF_HASH);
        if (found == NULL)
            return false;
        from = (size_t)((const char *)found - profile->data) + PROFILE_RECIPIENT_BYTES;
    } while (is_past(day_at(found), PROFILE_RECIPIENT_DAYS, today));
    return true;
}

/* What a message has of new ones. */
struct profile_fresh {
    uint32_t recipients, domains;
};

/* Finds what is new; the days of those that are to be kept anew stay until renew_days. `stale` has
 * their places, `added` those that are not there. *oldest is at most the day of each other one. */
static void look_at_recipients(const struct text *profile, const struct profile_message *message,
                               struct text *stale, struct text *added, int64_t *oldest,
                               struct profile_fresh *fresh_r)
{
    int64_t today = day_of(message->at_ms);
    uint64_t domain = 0; /* of the last one that was new */
    bool has_domain = false;
    *fresh_r = (struct profile_fresh){0};
    for (size_t i = 0; i < message->count; i++) {
        uint64_t hash = message->recipients[i];
        uint8_t *found = find_recipient(profile, 0, hash, WHOLE_HASH);
        if (found == NULL) {
            packed_add_fixed(added, hash, HASH_BYTES);
            packed_add_fixed(added, (uint64_t)today, DAY_BYTES);
        } else if (is_stale(day_at(found), today)) {
            text_add_bytes(stale, (const char *)&found, sizeof found);
        } else {
            *oldest = at_latest(*oldest, day_at(found));
        }
        if (found != NULL && !is_past(day_at(found), PROFILE_RECIPIENT_DAYS, today))
            continue;
        fresh_r->recipients++;
        if (!has_domain || domain != (hash & DOMAIN_OF_HASH))
            fresh_r->domains += !knows_domain(profile, hash, today);
        has_domain = true;
        domain = hash & DOMAIN_OF_HASH;
    }
}

static void renew_days(const struct text *stale, int64_t today)
{
    for (size_t at = 0; at < stale->length; at += sizeof(uint8_t *)) {
        uint8_t *recipient;
        memcpy(&recipient, stale->data + at, sizeof recipient);
        packed_put(recipient + HASH_BYTES, (uint64_t)today, DAY_BYTES);
    }
}

static int compare_days(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Of too many the past ones go, and then the oldest, of a day the first ones. Whether any do. */
static bool drop_recipients(struct text *profile, int64_t today)
{
    size_t count = profile->length / PROFILE_RECIPIENT_BYTES, left = 0, past = 0;
    if (count <= PROFILE_RECIPIENTS_MAX)
        return false;
    int64_t *days = xmalloc(count * sizeof days[0]);
    for (size_t i = 0; i < count; i++) {
        days[i] = day_at((const uint8_t *)profile->data + i * PROFILE_RECIPIENT_BYTES);
        past += is_past(days[i], PROFILE_RECIPIENT_DAYS, today);
    }
    qsort(days, count, sizeof days[0], compare_days);
    size_t drop = count - past > PROFILE_RECIPIENTS_MAX ? count - PROFILE_RECIPIENTS_LEFT : past;
    int64_t last = drop > 0 ? days[drop - 1] : -1;
    size_t of_last = 0;
    while (of_last < drop && days[drop - 1 - of_last] == last)
        of_last++;
    free(days);
    for (size_t i = 0; i < count; i++) {
        char *from = profile->data + i * PROFILE_RECIPIENT_BYTES;
        int64_t day = day_at((const uint8_t *)from);
        if (day < last || (day == last && of_last > 0)) {
            of_last -= day == last;
            continue;
        }
        memmove(profile->data + left, from, PROFILE_RECIPIENT_BYTES);
        left += PROFILE_RECIPIENT_BYTES;
    }
    profile->length = left;
    return true;
}

/* ---- networks, hours ------------------------------------------------------------------------- */

static struct profile_network *place_for_network(struct profile_head *head)
{
    size_t oldest = 0;
    if (head->network_count < PROFILE_NETWORKS_MAX)
        return &head->networks[head->network_count++];
    for (size_t i = 1; i < PROFILE_NETWORKS_MAX; i++)
        if (head->networks[i].day < head->networks[oldest].day)
            oldest = i;
    return &head->networks[oldest];
}

static struct profile_network *find_network(struct profile_head *head, uint64_t hash)
{
    for (size_t i = 0; i < head->network_count; i++)
        if (head->networks[i].hash == hash)
            return &head->networks[i];
    return NULL;
}

/* The network of a message: whether what is kept of it changes, to *network_r, else *oldest is at most
 * its day; *new_r: it was first seen less than 24 h ago. */
static bool look_at_network(struct profile_head *head, const struct profile_message *message,
                            int64_t *oldest, struct profile_network *network_r, bool *new_r)
{
    int64_t today = day_of(message->at_ms);
    *new_r = false;
    if (message->network == 0)
        return false;
    const struct profile_network *network = find_network(head, message->network);
    bool known = network != NULL && !is_past(network->day, PROFILE_NETWORK_DAYS, today);
    *new_r = !known || message->at_ms - network->first_ms < DAY_MS;
    if (known && !is_stale(network->day, today)) {
        *oldest = at_latest(*oldest, network->day);
        return false;
    }
    int64_t first_ms = known && network->first_ms < message->at_ms ? network->first_ms
                                                                   : message->at_ms;
    *network_r = (struct profile_network){message->network, first_ms, today};
    return true;
}

static void enter_network(struct profile_head *head, const struct profile_network *network)
{
    struct profile_network *place = find_network(head, network->hash);
    if (place == NULL)
        place = place_for_network(head);
    *place = *network;
}

/* An hour that is over enters its day. */
static void end_hour(struct profile_head *head, const struct profile_entry *entry)
{
    int64_t day = day_of(entry->time_ms);
    struct profile_day *last = &head->days[head->day_count - (head->day_count > 0)];
    if (head->day_count == 0 || last->day < day)
        head->days[head->day_count++] = (struct profile_day){day, entry->total};
    else if (entry->total > last->busiest)
        last->busiest = entry->total;
}

/* What is ahead of at_ms becomes of at_ms; hours that are over enter their days; days that nobody
 * asks for go, and so does what the postmaster said to be usual. */
static void move_on(struct profile_head *head, int64_t at_ms)
{
    int64_t today = day_of(at_ms);
    size_t over = 0, kept = 0;
    if (head->begin_ms == 0 || head->begin_ms > at_ms)
        head->begin_ms = at_ms;
    head->unusual_ms = at_latest(head->unusual_ms, at_ms);
    head->held_ms = at_latest(head->held_ms, at_ms);
    head->usual_until_ms = at_latest(head->usual_until_ms, at_ms + PROFILE_USUAL_MS);
    if (head->usual_until_ms <= at_ms) {
        head->usual_until_ms = 0;
        head->usual = 0;
    }
    for (size_t i = 0; i < head->day_count; i++)
        if (head->days[i].day > today)
            head->days[i].day = today;
    for (size_t i = 0; i < head->entry_count; i++)
        if (head->entries[i].time_ms > at_ms)
            head->entries[i].time_ms = at_ms;
    while (over < head->entry_count && head->entries[over].time_ms <= at_ms - HOUR_MS)
        end_hour(head, &head->entries[over++]);
    head->entry_count -= over;
    memmove(head->entries, head->entries + over, head->entry_count * sizeof head->entries[0]);
    for (size_t i = 0; i < head->day_count; i++)
        if (head->days[i].day >= today - PROFILE_BUSY_DAYS)
            head->days[kept++] = head->days[i];
    head->day_count = kept;
}

/* On the days before today, or what the postmaster said. */
static uint32_t busiest(const struct profile_head *head, int64_t today)
{
    uint32_t busiest = head->usual;
    for (size_t i = 0; i < head->day_count; i++)
        if (head->days[i].day < today && head->days[i].busiest > busiest)
            busiest = head->days[i].busiest;
    return busiest;
}

/* Two neighbours become one. */
static void join_entries(struct profile_head *head)
{
    size_t left = 0;
    for (size_t i = 0; i + 1 < head->entry_count; i += 2) {
        const struct profile_entry one = head->entries[i], other = head->entries[i + 1];
        head->entries[left++] = (struct profile_entry){
            other.time_ms, at_most(one.recipients + other.recipients, PROFILE_NUMBER_MAX),
            at_most(one.domains + other.domains, PROFILE_NUMBER_MAX),
            one.total > other.total ? one.total : other.total};
    }
    head->entry_count = left;
}

/* What the hour has with it. */
static struct profile_fresh hour_with(const struct profile_head *head,
                                      const struct profile_fresh *fresh)
{
    struct profile_fresh hour = *fresh;
    for (size_t i = 0; i < head->entry_count; i++) {
        hour.recipients += head->entries[i].recipients;
        hour.domains += head->entries[i].domains;
    }
    hour.recipients = at_most(hour.recipients, PROFILE_NUMBER_MAX);
    hour.domains = at_most(hour.domains, PROFILE_NUMBER_MAX);
    return hour;
}

static void add_to_hour(struct profile_head *head, int64_t at_ms,
                        const struct profile_fresh *fresh, uint32_t total)
{
    if (head->entry_count == PROFILE_ENTRIES_MAX)
        join_entries(head);
    head->entries[head->entry_count++] =
        (struct profile_entry){at_ms, fresh->recipients, fresh->domains, total};
}

/* ---- a message ------------------------------------------------------------------------------- */

/* What is seen of a message with new recipients. */
static struct unusual look(const struct profile_head *head, int64_t at_ms,
                           const struct profile_fresh *hour, bool network_new,
                           const struct unusual_limits *limits)
{
    int64_t history_days = (at_ms - head->begin_ms) / DAY_MS;
    return (struct unusual){
        .new_recipients = hour->recipients,
        .new_domains = hour->domains,
        .busiest = busiest(head, day_of(at_ms)),
        .history_days = at_most((uint64_t)history_days, HISTORY_DAYS_MAX),
        .network_new = network_new,
        .first = head->unusual_ms == 0 || head->unusual_ms <= at_ms - HOUR_MS,
        .limits = *limits,
    };
}

/* Of a message with new recipients. */
static void decide(struct profile_head *head, const struct profile_message *message,
                   const struct unusual *seen, struct unusual *unusual_r)
{
    bool is = unusual_decide(seen);
    bool follows = head->held_ms != 0 && message->action != UNUSUAL_NOTE;
    if (!is && !follows)
        return;
    *unusual_r = *seen;
    if (follows || !unusual_has_no_history(seen))
        unusual_r->action = message->action;
    if (is)
        head->unusual_ms = message->at_ms;
    else
        unusual_r->first = false;
    if (unusual_r->action == UNUSUAL_HOLD && head->held_ms == 0)
        head->held_ms = message->at_ms;
}

/* Enters a message with new recipients into the hour; what becomes of it. */
static void enter(struct profile_head *head, const struct profile_message *message,
                  const struct profile_fresh *fresh, bool network_new,
                  const struct unusual_limits *limits, struct unusual *unusual_r)
{
    struct profile_fresh hour = hour_with(head, fresh);
    const struct unusual seen = look(head, message->at_ms, &hour, network_new, limits);
    decide(head, message, &seen, unusual_r);
    if (unusual_r->action != UNUSUAL_DEFER)
        add_to_hour(head, message->at_ms, fresh,
                    unusual_r->action == UNUSUAL_HOLD ? 0 : hour.recipients);
}

struct profile_change profile_add(struct text *profile, const struct profile_message *message,
                                  const struct unusual_limits *limits, struct unusual *unusual_r)
{
    struct profile_head head;
    struct profile_fresh fresh;
    struct profile_network network;
    freed_by(text_free) struct text added = {0}, stale = {0};
    size_t before = profile->length;
    int64_t today = day_of(message->at_ms), oldest = today;
    bool network_new;
    *unusual_r = (struct unusual){0};
    read_head(profile, &head);
    size_t networks = head.network_count;
    look_at_recipients(profile, message, &stale, &added, &oldest, &fresh);
    bool network_changes = look_at_network(&head, message, &oldest, &network, &network_new);
    if (!network_changes && stale.length == 0 && added.length == 0 && head.begin_ms != 0) {
        profile->length = before;
        return (struct profile_change){false, oldest + PROFILE_RENEW_DAYS};
    }
    bool forgets = network_changes && networks == PROFILE_NETWORKS_MAX;
    move_on(&head, message->at_ms);
    if (fresh.recipients > 0)
        enter(&head, message, &fresh, network_new, limits, unusual_r);
    if (network_changes && unusual_r->action != UNUSUAL_DEFER)
        enter_network(&head, &network);
    if (unusual_r->action == UNUSUAL_NOTE) {
        renew_days(&stale, today);
        text_add_bytes(profile, text_string(&added), added.length);
        forgets = drop_recipients(profile, today) || forgets;
    }
    add_head(profile, &head);
    bool all_known = unusual_r->action == UNUSUAL_NOTE && !forgets;
    return (struct profile_change){true, all_known ? oldest + PROFILE_RENEW_DAYS : 0};
}

bool profile_holds(const struct text *profile, const struct profile_message *message, bool waited)
{
    struct profile_head head;
    struct profile_fresh fresh;
    freed_by(text_free) struct text copy = {0}, added = {0}, stale = {0};
    int64_t oldest = day_of(message->at_ms);
    if (!waited && message->action != UNUSUAL_HOLD)
        return false;
    text_add_bytes(&copy, profile->data, profile->length);
    read_head(&copy, &head);
    if (head.held_ms == 0)
        return false;
    look_at_recipients(&copy, message, &stale, &added, &oldest, &fresh);
    return waited || fresh.recipients > 0;
}

/* ---- the postmaster's answers ---------------------------------------------------------------- */

bool profile_was_user(struct text *profile, uint32_t new_recipients, int64_t at_ms)
{
    struct profile_head head;
    size_t before = profile->length;
    read_head(profile, &head);
    if (head.begin_ms == 0) {
        profile->length = before;
        return false;
    }
    head.held_ms = 0;
    head.usual = at_most(new_recipients, PROFILE_NUMBER_MAX);
    head.usual_until_ms = at_ms + PROFILE_USUAL_MS;
    for (size_t i = 0; i < head.network_count; i++)
        head.networks[i].first_ms = at_latest(head.networks[i].first_ms, at_ms - DAY_MS);
    add_head(profile, &head);
    return true;
}

static void forget_networks(struct profile_head *head)
{
    size_t kept = 0;
    for (size_t i = 0; i < head->network_count; i++)
        if (head->networks[i].first_ms <= head->held_ms - DAY_MS)
            head->networks[kept++] = head->networks[i];
    head->network_count = kept;
}

bool profile_was_other(struct text *profile)
{
    struct profile_head head;
    size_t before = profile->length, kept = 0;
    read_head(profile, &head);
    if (head.held_ms == 0) {
        profile->length = before;
        return false;
    }
    forget_networks(&head);
    for (size_t i = 0; i < head.entry_count; i++)
        if (head.entries[i].time_ms < head.held_ms)
            head.entries[kept++] = head.entries[i];
    head.entry_count = kept;
    head.held_ms = 0;
    add_head(profile, &head);
    return true;
}

int64_t profile_network_first_ms(const void *profile, size_t length, uint64_t network)
{
    freed_by(text_free) struct text copy = {0};
    struct profile_head head;
    text_add_bytes(&copy, profile, length);
    read_head(&copy, &head);
    const struct profile_network *found = find_network(&head, network);
    return found != NULL ? found->first_ms : 0;
}

void profile_usual(const void *bytes, size_t length, int64_t now_ms, struct profile_usual *usual_r)
{
    struct profile_head head;
    freed_by(text_free) struct text profile = {0};
    if (length > 0)
        text_add_bytes(&profile, bytes, length);
    read_head(&profile, &head);
    *usual_r = (struct profile_usual){.begin_ms = head.begin_ms,
                                      .busiest = busiest(&head, day_of(now_ms)),
                                      .network_count = head.network_count};
    for (size_t i = 0; i < head.network_count; i++) {
        usual_r->networks[i].hash = head.networks[i].hash;
        usual_r->networks[i].first_ms = head.networks[i].first_ms;
    }
}
