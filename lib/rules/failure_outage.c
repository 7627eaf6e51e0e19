#include "rules/failure_outage.h"

#include <string.h>

enum { FORMAT = 1, OUTCOMES_MIN = 20, SENDERS_MIN = 5, FAILS_PERCENT = 80,
       FAILED_BEFORE_PERCENT = 20, KNOWN_PERCENT = 80,
       MINUTES = FAILURE_OUTAGE_MINUTES + FAILURE_OUTAGE_MINUTES_BEFORE };

void failure_outage_free(struct failure_outage *outage)
{
    failure_names_free(&outage->domains);
    *outage = (struct failure_outage){0};
}

/* ---- taking over ----------------------------------------------------------------------------- */

static void forget_senders(struct failure_outage *outage)
{
    size_t kept = 0;
    for (size_t i = 0; i < outage->sender_count; i++)
        if (outage->senders[i].minute > outage->minute - FAILURE_OUTAGE_MINUTES)
            outage->senders[kept++] = outage->senders[i];
    outage->sender_count = kept;
}

static void move_on(struct failure_outage *outage, int64_t minute)
{
    if (minute <= outage->minute)
        return;
    for (int64_t i = outage->minute + 1; i <= minute && i <= outage->minute + MINUTES; i++)
        outage->totals[i % MINUTES] = (struct failure_outage_total){0};
    if (minute - outage->minute >= MINUTES)
        memset(outage->totals, 0, sizeof outage->totals);
    outage->minute = minute;
    forget_senders(outage);
}

static void forget_names(struct failure_outage *outage)
{
    struct failure_names_kept kept = failure_names_begin(&outage->domains);
    for (size_t i = 0; i < outage->sender_count; i++)
        failure_names_keep(&kept, &outage->senders[i].domain);
    failure_names_end(&kept);
}

/* That of this minute; NULL: there are too many others. */
static struct failure_outage_sender *sender_of(struct failure_outage *outage,
                                               const struct failure_outage_outcome *outcome)
{
    uint32_t domain = failure_names_put(&outage->domains, outcome->domain,
                                        FAILURE_OUTAGE_NAMES_MAX_BYTES);
    if (domain == FAILURE_NOBODY) {
        forget_names(outage);
        domain = failure_names_put(&outage->domains, outcome->domain,
                                   FAILURE_OUTAGE_NAMES_MAX_BYTES);
    }
    size_t i = outage->sender_count, of_minute = 0;
    for (; i > 0 && outage->senders[i - 1].minute == outage->minute; i--, of_minute++)
        if (outage->senders[i - 1].domain == domain &&
            outage->senders[i - 1].mailbox == outcome->mailbox)
            return &outage->senders[i - 1];
    if (domain == FAILURE_NOBODY || of_minute == FAILURE_OUTAGE_SENDERS_MAX ||
        outage->sender_count == countof(outage->senders))
        return NULL;
    outage->senders[outage->sender_count] = (struct failure_outage_sender){
        .minute = outage->minute, .domain = domain, .mailbox = outcome->mailbox};
    return &outage->senders[outage->sender_count++];
}

void failure_outage_take(struct failure_outage *outage,
                         const struct failure_outage_outcome *outcome)
{
    int64_t minute = outcome->at_ms / MINUTE_MS;
    if (outage->minute - minute > FAILURE_OUTAGE_MINUTES)
        failure_outage_free(outage);
    move_on(outage, minute);
    struct failure_outage_total *total = &outage->totals[outage->minute % MINUTES];
    total->all++;
    total->bad += !outcome->good;
    struct failure_outage_sender *sender = sender_of(outage, outcome);
    if (sender == NULL)
        return;
    sender->all++;
    if (outcome->good)
        return;
    bool address = outcome->kind == FAILURE_ADDRESS_UNKNOWN || outcome->kind == FAILURE_MAILBOX;
    sender->site += outcome->kind == FAILURE_SITE;
    sender->address += address;
    sender->known += address && outcome->known;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* That the site worked in the 24 hours before the 60 minutes that end with `minute`. */
static bool worked_before(const struct failure_outage *outage, int64_t minute)
{
    uint64_t all = 0, bad = 0;
    int64_t last = minute - FAILURE_OUTAGE_MINUTES;
    for (int64_t i = last - FAILURE_OUTAGE_MINUTES_BEFORE + 1; i <= last; i++)
        if (i >= 0 && i <= outage->minute) {
            all += outage->totals[i % MINUTES].all;
            bad += outage->totals[i % MINUTES].bad;
        }
    return all >= OUTCOMES_MIN && bad * 100 < FAILED_BEFORE_PERCENT * all;
}

/* What the others had, those of another domain, or (by_mailbox) of another mailbox. */
struct others {
    uint64_t all, site, address, known;
    size_t senders; /* that differ, at most SENDERS_MIN */
};

static struct others count_others(const struct failure_outage *outage, uint32_t domain,
                                  uint32_t mailbox, bool by_mailbox, int64_t minute)
{
    struct others others = {0};
    const struct failure_outage_sender *seen[SENDERS_MIN];
    for (size_t i = 0; i < outage->sender_count; i++) {
        const struct failure_outage_sender *sender = &outage->senders[i];
        if (sender->minute <= minute - FAILURE_OUTAGE_MINUTES ||
            (sender->domain == domain && (!by_mailbox || sender->mailbox == mailbox)))
            continue;
        others.all += sender->all;
        others.site += sender->site;
        others.address += sender->address;
        others.known += sender->known;
        size_t at = 0;
        while (at < others.senders && (seen[at]->domain != sender->domain ||
                                       (by_mailbox && seen[at]->mailbox != sender->mailbox)))
            at++;
        if (at == others.senders && at < SENDERS_MIN)
            seen[others.senders++] = sender;
    }
    return others;
}

uint32_t failure_outage_explains(const struct failure_outage *outage, const char *domain,
                                 uint32_t mailbox, uint32_t domains_of_day, int64_t now_ms)
{
    int64_t minute = now_ms / MINUTE_MS > outage->minute ? now_ms / MINUTE_MS : outage->minute;
    const struct others others =
        count_others(outage, failure_names_find(&outage->domains, domain), mailbox,
                     domains_of_day < FAILURE_OUTAGE_DOMAINS_FEW, minute);
    bool known = others.address > 0 && others.known * 100 >= KNOWN_PERCENT * others.address;
    uint64_t failed = others.site + (known ? others.address : 0);
    if (others.all < OUTCOMES_MIN || others.senders < SENDERS_MIN ||
        failed * 100 < FAILS_PERCENT * others.all || !worked_before(outage, minute))
        return 0;
    return (others.site > 0 ? 1U << FAILURE_SITE : 0) |
           (known ? 1U << FAILURE_ADDRESS_UNKNOWN | 1U << FAILURE_MAILBOX : 0);
}

uint32_t failure_outage_domains_of_day(const void *bytes, size_t length)
{
    const char *packed = bytes;
    const size_t most = 1 + FAILURE_OUTAGE_DOMAINS_FEW * FAILURE_OUTAGE_DAY_HASH_BYTES;
    bool good = length > 0 && length <= most && packed[0] == FAILURE_OUTAGE_DAY_FORMAT;
    return good ? (uint32_t)(length - 1) / FAILURE_OUTAGE_DAY_HASH_BYTES : 0;
}

/* The beginning of the minutes until the newest that speak most for it: one that failed for it, one
 * that came for it not four times as much, as FAILS_PERCENT has it. */
static int64_t since(const struct failure_outage *outage)
{
    int64_t sum = 0, most = 0, minute = 0;
    for (int64_t i = outage->minute; i >= 0 && i > outage->minute - MINUTES; i--) {
        const struct failure_outage_total *total = &outage->totals[i % MINUTES];
        int64_t good = (int64_t)total->all - total->bad;
        sum += total->bad - good * FAILS_PERCENT / (100 - FAILS_PERCENT);
        if (sum > most) {
            most = sum;
            minute = i;
        }
    }
    return minute * MINUTE_MS;
}

static bool is_recent(const struct failure_outage_sender *sender, int64_t minute)
{
    return sender->minute > minute - FAILURE_OUTAGE_MINUTES;
}

static bool has_failed(const struct failure_outage_sender *sender)
{
    return sender->site + sender->address > 0;
}

/* What that sender adds, whom senders before it may have told already. */
static void count_sender(const struct failure_outage *outage, size_t place, int64_t minute,
                         struct failure_outage_numbers *numbers)
{
    const struct failure_outage_sender *sender = &outage->senders[place];
    bool domain = has_failed(sender), mailbox = true;
    for (size_t i = 0; i < place && (domain || mailbox); i++) {
        const struct failure_outage_sender *before = &outage->senders[i];
        if (!is_recent(before, minute) || before->domain != sender->domain)
            continue;
        domain = domain && !has_failed(before);
        mailbox = mailbox && before->mailbox != sender->mailbox;
    }
    numbers->domains += domain;
    numbers->senders += mailbox;
}

struct failure_outage_numbers failure_outage_numbers(const struct failure_outage *outage,
                                                     int64_t now_ms)
{
    struct failure_outage_numbers numbers = {.since_ms = since(outage)};
    for (size_t i = 0; i < outage->sender_count; i++)
        if (is_recent(&outage->senders[i], now_ms / MINUTE_MS))
            count_sender(outage, i, now_ms / MINUTE_MS, &numbers);
    return numbers;
}

const char *failure_outage_domain(const struct failure_outage *outage, size_t *place)
{
    for (; *place < outage->domains.bytes.length;
         *place += strlen(outage->domains.bytes.data + *place) + 1)
        for (size_t i = 0; i < outage->sender_count; i++)
            if (outage->senders[i].domain == *place) {
                const char *name = outage->domains.bytes.data + *place;
                *place += strlen(name) + 1;
                return name;
            }
    return NULL;
}

/* ---- the packed form ------------------------------------------------------------------------- */

static void add_totals(struct text *out, const struct failure_outage *outage)
{
    size_t count = 0;
    for (size_t i = 0; i < MINUTES; i++)
        count += outage->totals[i].all > 0;
    packed_add_number(out, count);
    for (int64_t ago = 0; ago < MINUTES && ago <= outage->minute; ago++) {
        const struct failure_outage_total *total =
            &outage->totals[(outage->minute - ago) % MINUTES];
        if (total->all == 0)
            continue;
        packed_add_number(out, (uint64_t)ago);
        packed_add_number(out, total->all);
        packed_add_number(out, total->bad);
    }
}

void failure_outage_add(struct text *out, struct failure_outage *outage)
{
    forget_names(outage);
    text_add_char(out, FORMAT);
    packed_add_fixed(out, (uint64_t)outage->minute, 6);
    failure_names_add(out, &outage->domains);
    add_totals(out, outage);
    packed_add_number(out, outage->sender_count);
    for (size_t i = 0; i < outage->sender_count; i++) {
        const struct failure_outage_sender *sender = &outage->senders[i];
        packed_add_number(out, (uint64_t)(outage->minute - sender->minute));
        failure_names_add_place(out, sender->domain);
        packed_add_fixed(out, sender->mailbox, 4);
        const uint32_t counts[] = {sender->all, sender->site, sender->address, sender->known};
        for (size_t j = 0; j < countof(counts); j++)
            packed_add_number(out, counts[j]);
    }
}

static void read_totals(struct packed_rest *rest, struct failure_outage *outage)
{
    uint64_t count = packed_number(rest);
    for (uint64_t i = 0; i < count && rest->next != NULL; i++) {
        uint64_t ago = packed_number(rest), all = packed_number(rest), bad = packed_number(rest);
        if (ago >= MINUTES || ago > (uint64_t)outage->minute || all > UINT32_MAX || bad > all)
            rest->next = NULL;
        else
            outage->totals[(outage->minute - (int64_t)ago) % MINUTES] =
                (struct failure_outage_total){(uint32_t)all, (uint32_t)bad};
    }
}

static void read_sender(struct packed_rest *rest, struct failure_outage *outage)
{
    uint64_t ago = packed_number(rest), counts[4];
    struct failure_outage_sender sender = {0};
    sender.domain = failure_names_read_place(rest, &outage->domains);
    sender.mailbox = (uint32_t)packed_fixed(rest, 4);
    for (size_t i = 0; i < countof(counts); i++)
        counts[i] = packed_number(rest);
    if (ago >= FAILURE_OUTAGE_MINUTES || ago > (uint64_t)outage->minute ||
        sender.domain == FAILURE_NOBODY || counts[0] > UINT32_MAX || counts[1] > counts[0] ||
        counts[2] > counts[0] || counts[3] > counts[2])
        rest->next = NULL;
    sender.minute = outage->minute - (int64_t)ago;
    sender.all = (uint32_t)counts[0];
    sender.site = (uint32_t)counts[1];
    sender.address = (uint32_t)counts[2];
    sender.known = (uint32_t)counts[3];
    if (rest->next != NULL)
        outage->senders[outage->sender_count++] = sender;
}

int64_t failure_outage_newest(const void *bytes, size_t length)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    int64_t minute = (int64_t)packed_fixed(&rest, 6);
    return rest.next != NULL ? minute : 0;
}

int failure_outage_read(const void *bytes, size_t length, struct failure_outage *outage_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *outage_r = (struct failure_outage){0};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    outage_r->minute = (int64_t)packed_fixed(&rest, 6);
    failure_names_read(&rest, &outage_r->domains);
    read_totals(&rest, outage_r);
    uint64_t senders = packed_number(&rest);
    if (senders > countof(outage_r->senders))
        rest.next = NULL;
    for (uint64_t i = 0; i < senders && rest.next != NULL; i++)
        read_sender(&rest, outage_r);
    if (rest.next == rest.end)
        return 1;
    failure_outage_free(outage_r);
    return 0;
}
