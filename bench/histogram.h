/* Durations in nanoseconds, counted in buckets that grow with them: 128 to
 * each doubling, so that a quantile is right to within 1 % whatever its size. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_STEPS_LOG2 = 7, HISTOGRAM_STEPS = 1 << HISTOGRAM_STEPS_LOG2 };
enum { HISTOGRAM_BUCKETS = (64 - HISTOGRAM_STEPS_LOG2 + 1) * HISTOGRAM_STEPS };

struct histogram {
    uint64_t total, max_ns;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned shift = ns < HISTOGRAM_STEPS
                         ? 0
                         : 63 - HISTOGRAM_STEPS_LOG2 - (unsigned)__builtin_clzll(ns);
    /* From the second doubling on, the leading bit is worth one row of steps. */
    histogram->counts[(size_t)shift * HISTOGRAM_STEPS + (size_t)(ns >> shift)]++;
    histogram->total++;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

/* The duration that `share` (0..1) of all are within: the upper edge of its
 * bucket, so never flattering, but no more than the longest. 0 while empty. */
static inline uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] == 0 || (double)seen < wanted)
            continue;
        size_t shift = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;
        uint64_t step = i - shift * HISTOGRAM_STEPS;
        uint64_t edge = ((step + 1) << shift) - 1;
        return edge < histogram->max_ns ? edge : histogram->max_ns;
    }
    return histogram->max_ns;
}

#endif
