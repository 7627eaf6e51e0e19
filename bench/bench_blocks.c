/* The block lists with very many entries: fills a store with those that Sendguard makes of itself,
 * recipients known by a hash, or measures the copy in memory of what a store has
 * (guard/block_filter.h): how long it takes to read, its memory, and what it costs to look for news.
 * Prints one JSON object. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "guard/block_filter.h"
#include "guard/block_list.h"
#include "population.h"

enum { STORE_TIMEOUT_MS = 10000, FILL_MAX = 10000000, REFRESHES = 200 };

static const char usage[] =
    "usage: bench_blocks --store URL [--fill N]\n"
    "  --store URL   as store.url of sendguard.conf\n"
    "  --fill N      adds N entries with a hash, 1..10000000; without it the filter is measured,\n"
    "                and a few entries are added for it\n";

struct blocks {
    const char *url;
    uint64_t fill, random;
    struct store *store;
    int64_t now_ms;
};

static void fail(const struct blocks *blocks, const char *what)
{
    fprintf(stderr, "bench_blocks: %s: %s\n", what, store_error(blocks->store));
    exit(1);
}

/* Adds up to BLOCK_STEP_MAX entries in one step. */
static void add(struct blocks *blocks, uint64_t count)
{
    static char subjects[BLOCK_STEP_MAX][BLOCK_SUBJECT_HASH_SIZE];
    static struct block_entry entries[BLOCK_STEP_MAX];
    const struct action action = {blocks->now_ms, "guard", "bench"};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t hash = (uint64_t)random_below(&blocks->random, UINT32_MAX) << 32 |
                        random_below(&blocks->random, UINT32_MAX);
        block_list_hashed(hash, subjects[i]);
        entries[i] = (struct block_entry){.kind = BLOCK_RECIPIENT, .subject = subjects[i],
                                          .scope = "bench.test", .reason = "address_unknown",
                                          .by = "guard", .note = "", .site = "mx.outside.test",
                                          .since_ms = blocks->now_ms,
                                          .until_ms = blocks->now_ms + 30 * DAY_MS};
    }
    if (block_list_add(blocks->store, entries, count, &action) < 1)
        fail(blocks, "adding");
}

static void fill(struct blocks *blocks)
{
    int64_t began_us = clock_monotonic_us();
    for (uint64_t left = blocks->fill; left > 0;) {
        uint64_t count = left < BLOCK_STEP_MAX ? left : BLOCK_STEP_MAX;
        add(blocks, count);
        left -= count;
    }
    printf("{\"entries\": %" PRIu64 ", \"seconds\": %.2f}\n", blocks->fill,
           (double)(clock_monotonic_us() - began_us) / 1e6);
}

/* Microseconds of one refresh. */
static int64_t refresh(struct blocks *blocks, struct block_filter *filter)
{
    int64_t began_us = clock_monotonic_us();
    block_filter_outdate(filter);
    if (block_filter_refresh(filter, blocks->store, blocks->now_ms, began_us / 1000) < 1)
        fail(blocks, "reading");
    return clock_monotonic_us() - began_us;
}

static int by_size(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* The median of many; `news`: of as many additions as there are refreshes. */
static int64_t refreshes(struct blocks *blocks, struct block_filter *filter, bool news)
{
    int64_t took_us[REFRESHES];
    for (int i = 0; i < REFRESHES; i++) {
        if (news)
            add(blocks, 1);
        took_us[i] = refresh(blocks, filter);
    }
    qsort(took_us, REFRESHES, sizeof *took_us, by_size);
    return took_us[REFRESHES / 2];
}

static void measure(struct blocks *blocks)
{
    freed_by(block_filter_free) struct block_filter *filter = block_filter_new();
    int64_t read_us = refresh(blocks, filter);
    size_t entries = block_filter_count(filter), bytes = block_filter_bytes(filter);
    int64_t nothing_us = refreshes(blocks, filter, false);
    int64_t news_us = refreshes(blocks, filter, true);
    if (block_filter_count(filter) != entries + REFRESHES)
        fail(blocks, "an entry that was added is missing");
    printf("{\"entries\": %zu, \"bytes\": %zu, \"read_ms\": %.1f, \"nothing_us\": %" PRId64
           ", \"news_us\": %" PRId64 "}\n", entries, bytes, (double)read_us / 1000, nothing_us,
           news_us);
}

static _Noreturn void misuse(void)
{
    fputs(usage, stderr);
    exit(64);
}

static void read_options(struct blocks *blocks, int count, char **values)
{
    static const struct option options[] = {{"store", 1, NULL, 's'}, {"fill", 1, NULL, 'f'},
                                            {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0}};
    char *end = NULL;
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        switch (found) {
        case 's': blocks->url = optarg; break;
        case 'f':
            blocks->fill = strtoull(optarg, &end, 10);
            if (*end != '\0' || blocks->fill < 1 || blocks->fill > FILL_MAX)
                misuse();
            break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misuse();
        }
    if (blocks->url == NULL || optind < count)
        misuse();
}

int main(int count, char **values)
{
    static struct blocks blocks;
    struct problem problem;
    read_options(&blocks, count, values);
    blocks.now_ms = (int64_t)time(NULL) * SECOND_MS;
    if (getrandom(&blocks.random, sizeof blocks.random, 0) != sizeof blocks.random)
        return 1;
    blocks.random |= 1;
    if (!store_open(blocks.url, &(struct store_options){.timeout_ms = STORE_TIMEOUT_MS},
                    &blocks.store, &problem)) {
        fprintf(stderr, "bench_blocks: %s: %s\n", problem.where, problem.text);
        return 1;
    }
    if (blocks.fill > 0)
        fill(&blocks);
    else
        measure(&blocks);
    store_free(&blocks.store);
    return 0;
}
