/* How much mail of a domain on one day (of its decisions) came to what: recipients by outcome, by
 * class, and by destination. Pure. Each recipient counts once, as what it is known now.
 *
 * Packed: 1 format; varints: messages; how many outcomes, and of each its recipients; how many
 * classes, and of each; how many destinations (the last one is "": all others), and of each its
 * length and name and its recipients by outcome. */
#ifndef SENDGUARD_DELIVERY_COUNTS_H
#define SENDGUARD_DELIVERY_COUNTS_H

#include "base/text.h"
#include "mail/reply.h"
#include "mail/trace.h"

enum { COUNTED_SITES_MAX = 64, COUNTED_SITE_SIZE = 64 };

struct site_counts {
    char site[COUNTED_SITE_SIZE]; /* "": those that were too many, or too long */
    uint64_t recipients[DELIVERY_COUNT];
};

struct delivery_counts {
    uint64_t messages;
    uint64_t recipients[DELIVERY_COUNT];
    uint64_t classes[REPLY_CLASS_COUNT]; /* of those that are deferred, failed, expired */
    struct site_counts sites[COUNTED_SITES_MAX + 1]; /* [site_count]: all others */
    size_t site_count;
};

/* What a recipient was or is counted as. */
struct counted_as {
    enum delivery delivery; /* PENDING: not at all */
    enum reply_class class;
    const char *site;
};
/* A recipient is known as `after` instead of `before`. */
void delivery_counts_move(struct delivery_counts *counts, const struct counted_as *before,
                          const struct counted_as *after);
/* Adds the counts of another day or part. */
void delivery_counts_sum(struct delivery_counts *sum, const struct delivery_counts *more);

void delivery_counts_add(struct text *out, const struct delivery_counts *counts);
/* 1; 0: damaged. */
int delivery_counts_read(const void *bytes, size_t length,
                         struct delivery_counts *counts_r) must_check;

#endif
