#include "store/whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/backend.h"
#include "store/transfer_items.h"

/* So long at most behind a page: one that took longer waited for others itself. */
enum { REST_MAX_US = 50 * 1000 };

struct whole_store {
    struct store_url where;
    struct backend *backend;
};

int whole_open(const char *url, const struct store_options *options, struct whole_store **whole_r,
               struct problem *problem)
{
    freed_by(whole_free) struct whole_store *whole = xcalloc(1, sizeof *whole);
    if (!backend_read_url(url, &whole->where, problem))
        return 0;
    if (whole->where.kind == STORE_SQLITE && access(whole->where.path, F_OK) != 0)
        return problem_set(problem, 0, "", "%s: %s", whole->where.path, strerror(errno));
    whole->backend = backend_new(&whole->where, options, false);
    *whole_r = take(whole);
    return 1;
}

void whole_free(struct whole_store **whole)
{
    if (*whole == NULL)
        return;
    if ((*whole)->backend != NULL)
        (*whole)->backend->operations->free((*whole)->backend);
    store_url_free(&(*whole)->where);
    free(*whole);
    *whole = NULL;
}

const char *whole_error(const struct whole_store *whole) { return whole->backend->error; }

static void rest(int64_t us)
{
    us = us < REST_MAX_US ? us : REST_MAX_US;
    const struct timespec time = {.tv_nsec = (long)us * 1000};
    nanosleep(&time, NULL);
}

int whole_read(struct whole_store *whole, struct arena *arena, enum transfer_kind kind,
               int64_t now_ms, struct transfer_cursor *cursor, struct transfer_item *items_r,
               size_t *count_r)
{
    int64_t began_us = clock_monotonic_us();
    int answer = transfer_items_read(whole->backend, arena, kind, now_ms, cursor, items_r,
                                     count_r);
    if (answer > 0 && !cursor->end)
        rest(clock_monotonic_us() - began_us);
    return answer;
}

int whole_remove_records(struct whole_store *whole, const struct transfer_item *items,
                         size_t count)
{
    return whole->backend->operations->transfer->remove_records(whole->backend, items, count);
}

int whole_cut_log(struct whole_store *whole)
{
    const struct transfer_operations *operations = whole->backend->operations->transfer;
    return operations->cut_log != NULL ? operations->cut_log(whole->backend) : 1;
}
