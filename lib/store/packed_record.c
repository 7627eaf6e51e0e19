#include "store/packed_record.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/packed.h"

static uint64_t at_most(uint64_t number, int count)
{
    uint64_t most = (UINT64_C(1) << 8 * count) - 1;
    return number < most ? number : most;
}

uint32_t packed_record_keep(int64_t keep_ms)
{
    int64_t keep_s = keep_ms / SECOND_MS + (keep_ms % SECOND_MS > 0);
    return keep_s < 0 ? 0 : keep_s < RECORD_KEEP_MAX_S ? (uint32_t)keep_s : RECORD_KEEP_MAX_S;
}

size_t packed_record_spans_before(enum subject subject)
{
    size_t before = 0;
    for (int other = 0; other < (int)subject; other++)
        before += rule_spans((enum subject)other).count;
    return before;
}

const char *packed_record_names(const char *ip_name, const char *domain_name,
                                char names_r[RECORD_NAMES_SIZE])
{
    if (domain_name == NULL)
        return ip_name;
    snprintf(names_r, RECORD_NAMES_SIZE, "%s\n%s", ip_name != NULL ? ip_name : "", domain_name);
    return names_r;
}

const char *packed_record_cut_names(char *names)
{
    char *end = strchr(names, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    return end + 1;
}

size_t packed_record_count(enum rule rule)
{
    const struct rule_info *info = &rule_table[rule];
    size_t at = 0, before = packed_record_spans_before(info->subject);
    if (info->subject == SUBJECT_RECIPIENT)
        return 2 * before;
    struct rule_spans spans = rule_spans(info->subject);
    while (at + 1 < spans.count && spans.length_ms[at] != info->window_ms)
        at++;
    return 2 * (before + at) + (info->measure == MEASURE_OFF_DOMAIN);
}

void packed_record_tail(struct text *out, const struct judge_request *request, const char *ip_name,
                        bool passes)
{
    size_t ip_length = ip_name != NULL ? strlen(ip_name) : 0;
    text_add_char(out, (char)request->window_count);
    for (size_t i = 0; i < request->window_count; i++) {
        text_add_char(out, (char)(request->windows[i].rule - RULE_FIRST_OVER_TIME));
        text_add_char(out, (char)packed_record_count(request->windows[i].rule));
    }
    text_add_char(out, (char)ip_length);
    text_add_bytes(out, ip_name, ip_length);
    text_add_bytes(out, request->facts.bytes,
                   passes ? request->facts.admitted_length : request->facts.length);
}

void packed_record_link(uint32_t id_hash, char link_r[RECORD_LINK_SIZE])
{
    snprintf(link_r, RECORD_LINK_SIZE, "#%08x", (unsigned)id_hash);
}

void packed_record_block(const struct failure_in_force *block, char link_r[RECORD_LINK_SIZE])
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, block);
    link_r[0] = RECORD_BLOCK_MARKS[block->of_mailbox];
    sodium_bin2hex(link_r + 1, RECORD_LINK_SIZE - 1, bytes, sizeof bytes);
}

void packed_record_put(struct text *out, const struct judge_request *request,
                       enum outcome outcome, int64_t at_ms,
                       const struct record_totals totals[RECORD_SUBJECTS], const char *ip_name,
                       const struct unusual *unusual)
{
    bool passes = outcome_passes(outcome), noted = unusual != NULL && unusual_is_told(unusual);
    packed_add_fixed(out, RECORD_FORMAT, 1);
    packed_add_fixed(out, outcome | (noted ? RECORD_UNUSUAL : 0u), 1);
    packed_add_fixed(out, (uint64_t)at_ms, 6);
    packed_add_fixed(
        out, packed_record_keep(passes ? request->keep_admitted_ms : request->keep_refused_ms), 4);
    packed_add_fixed(out, totals[SUBJECT_MAILBOX].count << 4 |
                 (totals[SUBJECT_IP].count + totals[SUBJECT_DOMAIN].count +
                  totals[SUBJECT_RECIPIENT].count), 1);
    for (int subject = 0; subject < RECORD_SUBJECTS; subject++)
        for (size_t i = 0; i < totals[subject].count; i++) {
            packed_add_fixed(out,
                             at_most(totals[subject].of[i].messages, RECORD_MESSAGES_BYTES),
                             RECORD_MESSAGES_BYTES);
            packed_add_fixed(out,
                             at_most(totals[subject].of[i].off_domain, RECORD_OFF_DOMAIN_BYTES),
                             RECORD_OFF_DOMAIN_BYTES);
        }
    packed_record_tail(out, request, ip_name, passes);
    if (noted) {
        uint8_t bytes[UNUSUAL_BYTES];
        unusual_put(bytes, unusual);
        text_add_bytes(out, (const char *)bytes, sizeof bytes);
    }
}

/* ---- reading ------------------------------------------------------------------------------ */

int packed_record_until(const uint8_t *bytes, size_t length, int64_t *until_ms_r)
{
    const uint8_t *next = bytes + 2;
    if (length < RECORD_HEAD_BYTES || bytes[0] != RECORD_FORMAT)
        return 0;
    int64_t at_ms = (int64_t)packed_get(&next, 6);
    *until_ms_r = at_ms + (int64_t)packed_get(&next, 4) * SECOND_MS;
    return 1;
}

enum { COUNTS_MAX = 2 * 2 * RECORD_SPANS_MAX }; /* as the shape has room for */

/* The counts by number; returns how many, with *bytes behind them. */
static size_t read_counts(const uint8_t **bytes, size_t spans, uint64_t counts_r[COUNTS_MAX])
{
    for (size_t i = 0; i < spans; i++) {
        counts_r[2 * i] = packed_get(bytes, RECORD_MESSAGES_BYTES);
        counts_r[2 * i + 1] = packed_get(bytes, RECORD_OFF_DOMAIN_BYTES);
    }
    return 2 * spans;
}

/* Of a record with totals for the lengths that there are now. */
static void read_mailbox(const uint64_t *counts, size_t spans, struct record *record_r)
{
    record_r->counted = spans == rule_spans(SUBJECT_MAILBOX).count;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT && record_r->counted; rule++)
        if (rule_table[rule].subject == SUBJECT_MAILBOX)
            record_r->of_mailbox[rule - RULE_FIRST_OVER_TIME] =
                counts[packed_record_count((enum rule)rule)];
}

/* One window of the record; a row or a count that is not there is passed over. */
static void read_window(const uint8_t **bytes, const uint64_t *counts, size_t count,
                        struct record *record_r)
{
    uint64_t row = packed_get(bytes, 1), at = packed_get(bytes, 1);
    if (row >= OVER_TIME_COUNT || at >= count || record_r->window_count == OVER_TIME_COUNT)
        return;
    record_r->windows[record_r->window_count].rule = (enum rule)(RULE_FIRST_OVER_TIME + row);
    record_r->windows[record_r->window_count++].used_before = counts[at];
}

/* Whether something else stands in the place of an IP. */
static bool read_link(const char *name, struct record *record_r)
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    size_t length;
    const char *mark = name[0] != '\0' ? strchr("#" RECORD_BLOCK_MARKS, name[0]) : NULL;
    if (mark == NULL)
        return false;
    if (name[0] == '#')
        record_r->redeemed = (uint32_t)strtoul(name + 1, NULL, 16);
    else if (sodium_hex2bin(bytes, sizeof bytes, name + 1, strlen(name + 1), NULL, &length,
                            NULL) == 0 &&
             failure_in_force_read(bytes, length, &record_r->block))
        record_r->block.of_mailbox = name[0] == RECORD_BLOCK_MARKS[1];
    return true;
}

int packed_record_get(struct arena *arena, const uint8_t *bytes, size_t length,
                      struct record *record_r, int64_t *until_ms_r, const char **ip_name_r)
{
    const uint8_t *end = bytes + length, *next = bytes + 1;
    uint64_t counts[COUNTS_MAX];
    if (!packed_record_until(bytes, length, until_ms_r))
        return 0;
    uint64_t outcome = packed_get(&next, 1);
    bool noted = (outcome & RECORD_UNUSUAL) != 0;
    outcome &= ~(uint64_t)RECORD_UNUSUAL;
    int64_t at_ms = (int64_t)packed_get(&next, 6);
    next += 4;
    uint64_t shape = packed_get(&next, 1);
    size_t spans = (shape >> 4) + (shape & 15);
    size_t totals = spans * (RECORD_MESSAGES_BYTES + RECORD_OFF_DOMAIN_BYTES);
    if (outcome >= OUTCOME_COUNT || (size_t)(end - next) < totals + 1)
        return 0;
    size_t count = read_counts(&next, spans, counts);
    *record_r = (struct record){.at_ms = at_ms, .outcome = (enum outcome)outcome};
    read_mailbox(counts, shape >> 4, record_r);
    uint64_t windows = packed_get(&next, 1);
    if ((size_t)(end - next) < 2 * windows + 1)
        return 0;
    for (; windows > 0; windows--)
        read_window(&next, counts, count, record_r);
    size_t ip_length = packed_get(&next, 1);
    if ((size_t)(end - next) < ip_length)
        return 0;
    *ip_name_r = arena_strndup(arena, (const char *)next, ip_length);
    next += ip_length;
    if (read_link(*ip_name_r, record_r))
        *ip_name_r = "";
    if (noted && end - next < UNUSUAL_BYTES)
        return 0;
    if (noted) {
        end -= UNUSUAL_BYTES;
        unusual_get(end, &record_r->unusual);
    }
    record_r->facts_length = (size_t)(end - next);
    record_r->facts = arena_strndup(arena, (const char *)next, record_r->facts_length);
    return 1;
}
