/* Decision records as the version before kept them: redis_format.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/packed.h"
#include "store/redis/redis.h"

/* How many spans the totals of each subject have. */
struct earlier_spans {
    size_t of[SUBJECT_IP + 1]; /* together EARLIER_SPANS_MAX at most */
};

struct seen {
    int64_t at_ms;
    uint64_t counts[EARLIER_COUNTS_MAX]; /* by number, from 1 */
};

static size_t seen_bytes(const struct earlier_spans *spans)
{
    size_t bytes = EARLIER_ENTRY_BYTES;
    for (int subject = 0; subject <= SUBJECT_IP; subject++)
        bytes += EARLIER_HEAD_BYTES + spans->of[subject] * EARLIER_SPAN_BYTES;
    return bytes;
}

static struct seen read_seen(const char *text, const struct earlier_spans *spans)
{
    const uint8_t *bytes = (const uint8_t *)text;
    struct seen seen = {.at_ms = (int64_t)packed_get(&bytes, TIME_BYTES)};
    size_t count = 1;
    bytes += WEIGHT_BYTES;
    for (int subject = 0; subject <= SUBJECT_IP; subject++) {
        bytes += EARLIER_HEAD_BYTES;
        for (size_t i = 0; i < spans->of[subject]; i++) {
            bytes += TIME_BYTES;
            seen.counts[count++] = packed_get(&bytes, EARLIER_COUNT_BYTES);
            seen.counts[count++] = packed_get(&bytes, EARLIER_SUM_BYTES);
        }
    }
    return seen;
}

/* The windows of a record, "messages_per_day=1 …": which count each one looked at. */
static void read_windows(char *text, const struct seen *seen, struct record *record_r)
{
    char *rest, *word = strtok_r(text, " ", &rest);
    for (; word != NULL && record_r->window_count < OVER_TIME_COUNT;
         word = strtok_r(NULL, " ", &rest)) {
        char *count_text = strchr(word, '=');
        if (count_text == NULL)
            continue;
        *count_text++ = '\0';
        int rule = rule_by_name(word);
        unsigned long count = strtoul(count_text, NULL, 10);
        if (rule < 0 || count >= EARLIER_COUNTS_MAX)
            continue;
        record_r->windows[record_r->window_count].rule = (enum rule)rule;
        record_r->windows[record_r->window_count++].used_before = seen->counts[count];
    }
}

/* The shape of its totals, behind the outcome's name: 1, or 0 when it has another form. */
static int read_shape(const char *text, struct earlier_spans *spans_r)
{
    unsigned of_mailbox = EARLIER_MAILBOX_SPANS, of_ip = EARLIER_IP_SPANS;
    if (*text != '\0' && sscanf(text, " %2u %2u", &of_mailbox, &of_ip) != 2)
        return 0;
    *spans_r = (struct earlier_spans){{[SUBJECT_MAILBOX] = of_mailbox, [SUBJECT_IP] = of_ip}};
    return of_mailbox + of_ip <= EARLIER_SPANS_MAX;
}

/* "admitted\n", the counts as bytes, "KEEP_ADMITTED KEEP_REFUSED messages_per_day=1 …\n",
 * facts. 1, or 0 when it is no record of ours. */
int redis_read_earlier_record(char *text, size_t length, struct record *record_r,
                              int64_t *until_ms_r)
{
    struct earlier_spans spans;
    char *counts = memchr(text, '\n', length);
    if (counts == NULL)
        return 0;
    *counts++ = '\0';
    char *shape = text + strcspn(text, " ");
    if (!read_shape(shape, &spans) ||
        length - (size_t)(counts - text) < seen_bytes(&spans))
        return 0;
    *shape = '\0';
    char *keep = counts + seen_bytes(&spans), *facts = strchr(keep, '\n'), *windows;
    int outcome = outcome_by_name(text);
    if (facts == NULL || outcome < 0)
        return 0;
    *facts++ = '\0';
    struct seen seen = read_seen(counts, &spans);
    int64_t keep_admitted_ms = strtoll(keep, &windows, 10);
    int64_t keep_refused_ms = strtoll(windows, &windows, 10);
    bool passes = outcome_passes((enum outcome)outcome);
    read_windows(windows, &seen, record_r);
    *until_ms_r = seen.at_ms + (passes ? keep_admitted_ms : keep_refused_ms);
    record_r->at_ms = seen.at_ms;
    record_r->outcome = (enum outcome)outcome;
    record_r->facts = facts;
    record_r->facts_length = length - (size_t)(facts - text);
    return 1;
}
