#include "store/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/store_url.h"
#include "store/backend.h"
#include "store/transfer_items.h"

/* A database under way. */
struct side {
    const char *url;
    struct store_url where; /* of TO in a file: under the name it has until all is there */
    char *path;             /* of TO in a file: the name that it gets; else NULL */
    struct backend *backend;
    bool written;
};

struct moving {
    const struct transfer_order *order;
    struct side from, to;
    int64_t began_ms; /* by the monotonic clock */
    struct problem *problem;
};

static int fail(struct moving *moving, int answer, const char *error)
{
    problem_set(moving->problem, 0, "", "%s", error);
    return answer;
}

/* ---- opening and closing ------------------------------------------------------------------ */

/* What SQLite may have of a file. */
static const char *const endings[] = {"", "-wal", "-shm", "-journal"};

static void remove_files(const char *path)
{
    for (size_t i = 0; i < countof(endings); i++) {
        freed_by(free_string) char *file = xasprintf("%s%s", path, endings[i]);
        unlink(file);
    }
}

/* SQLite would take the log of an older file for the new one's. */
static int check_absent(struct moving *moving, const char *path)
{
    for (size_t i = 0; i < countof(endings); i++) {
        struct stat status;
        freed_by(free_string) char *file = xasprintf("%s%s", path, endings[i]);
        bool is_there = lstat(file, &status) == 0;
        if (is_there || errno != ENOENT)
            return problem_set(moving->problem, 0, "",
                               "%s: %s; expected no file: move it away first", file,
                               is_there ? "is there already" : strerror(errno));
    }
    return 1;
}

static void close_side(struct side *side)
{
    if (side->backend != NULL)
        side->backend->operations->free(side->backend);
    side->backend = NULL;
}

static void end_side(struct side *side)
{
    close_side(side);
    if (side->path != NULL && side->written)
        remove_files(side->where.path);
    free(side->path);
    store_url_free(&side->where);
}

static bool is_same_text(const char *one, const char *other)
{
    return one == NULL || other == NULL || strcmp(one, other) == 0;
}

static bool share_sentinel(const struct store_url *one, const struct store_url *other)
{
    for (size_t i = 0; i < one->sentinel_count; i++)
        for (size_t k = 0; k < other->sentinel_count; k++)
            if (one->sentinels[i].port == other->sentinels[k].port &&
                strcmp(one->sentinels[i].host, other->sentinels[k].host) == 0)
                return true;
    return one->sentinel_count == 0;
}

static bool is_same(const struct store_url *one, const struct store_url *other)
{
    return one->kind == other->kind && one->port == other->port &&
           one->database == other->database && is_same_text(one->host, other->host) &&
           is_same_text(one->path, other->path) && is_same_text(one->master, other->master) &&
           share_sentinel(one, other);
}

static int read_url(struct moving *moving, struct side *side, const char *name)
{
    if (backend_read_url(side->url, &side->where, moving->problem))
        return 1;
    snprintf(moving->problem->where, sizeof moving->problem->where, "%s", name);
    return 0;
}

static int read_urls(struct moving *moving)
{
    if (!read_url(moving, &moving->from, "FROM-URL") || !read_url(moving, &moving->to, "TO-URL"))
        return 0;
    if (is_same(&moving->from.where, &moving->to.where))
        return problem_set(moving->problem, 0, "", "%s: expected two databases, found one twice",
                           moving->to.url);
    return 1;
}

/* A file is made under another name, so that none is there that has only a part. What an earlier
 * attempt left under that name goes. */
static int name_file(struct moving *moving)
{
    struct side *to = &moving->to;
    if (to->where.kind != STORE_SQLITE)
        return 1;
    if (!check_absent(moving, to->where.path))
        return 0;
    to->path = to->where.path;
    to->where.path = xasprintf("%s.moving", to->path);
    return 1;
}

/* Redis must hold nothing of ours but a part that an earlier attempt left. */
static int begin_part(struct moving *moving, struct side *to)
{
    int answer = to->backend->operations->transfer->begin(to->backend);
    to->written = answer > 0;
    if (answer == 0)
        return problem_set(moving->problem, 0, "",
                           "%s has a store of Sendguard already: expected an empty database",
                           to->url);
    return answer < 0 ? fail(moving, -1, to->backend->error) : 1;
}

static int open_side(struct moving *moving, struct side *side, bool may_make)
{
    bool made;
    if (side->where.kind == STORE_SQLITE && !may_make && access(side->where.path, F_OK) != 0)
        return problem_set(moving->problem, 0, "", "%s: %s", side->where.path, strerror(errno));
    char error[BACKEND_ERROR_SIZE];
    const struct store_options *options = &moving->order->options;
    int answer = backend_alone(&side->where, options, error);
    if (answer < 1)
        return fail(moving, answer, error);
    if (side->path != NULL)
        remove_files(side->where.path);
    side->written = side->path != NULL;
    side->backend = backend_new(&side->where, options, may_make);
    if (may_make && side->backend->operations->transfer->begin != NULL)
        return begin_part(moving, side);
    answer = side->backend->operations->examine(side->backend, &made);
    return answer < 1 ? fail(moving, answer, side->backend->error) : 1;
}

static int check_content(struct moving *moving, const struct side *from)
{
    const struct transfer_operations *operations = from->backend->operations->transfer;
    int empty = operations->is_empty != NULL ? operations->is_empty(from->backend) : 0;
    if (empty < 0)
        return fail(moving, -1, from->backend->error);
    return empty == 0 ? 1
                      : problem_set(moving->problem, 0, "", "%s: there is no store of Sendguard",
                                    from->url);
}

static int open_both(struct moving *moving)
{
    int answer = read_urls(moving);
    if (answer > 0)
        answer = name_file(moving);
    if (answer > 0)
        answer = open_side(moving, &moving->from, false);
    if (answer > 0)
        answer = check_content(moving, &moving->from);
    return answer > 0 ? open_side(moving, &moving->to, true) : answer;
}

/* Takes the mark of a part away; gives the file its name, when closing it has copied its log
 * back. */
static int end_part(struct moving *moving)
{
    struct side *to = &moving->to;
    const struct transfer_operations *operations = to->backend->operations->transfer;
    if (operations->end != NULL && operations->end(to->backend) < 0)
        return fail(moving, -1, to->backend->error);
    close_side(to);
    if (to->path == NULL)
        return 1;
    freed_by(free_string) char *log = xasprintf("%s-wal", to->where.path);
    if (access(log, F_OK) == 0)
        return problem_set(moving->problem, 0, "", "%s: could not be copied back; is the disk full?",
                           log);
    if (renameat2(AT_FDCWD, to->where.path, AT_FDCWD, to->path, RENAME_NOREPLACE) != 0)
        return problem_set(moving->problem, 0, "", "%s: cannot be made: %s", to->path,
                           strerror(errno));
    return 1;
}

/* ---- moving ------------------------------------------------------------------------------- */

/* Goes through all items of a kind; `to` NULL: only to see what is there. */
static int go_through(struct moving *moving, const struct side *from, struct side *to,
                      enum transfer_kind kind, int64_t now_ms, struct transfer_report *report)
{
    const struct transfer_order *order = moving->order;
    freed_by(arena_free) struct arena *arena = arena_new(), *lasting = NULL;
    lasting = arena_new();
    struct transfer_cursor cursor = {.arena = lasting};
    while (!cursor.end) {
        size_t count;
        arena_reset(arena);
        struct transfer_item *items = arena_alloc(arena, TRANSFER_PAGE * sizeof *items);
        if (transfer_items_read(from->backend, arena, kind, now_ms, &cursor, items, &count) < 0)
            return fail(moving, -1, from->backend->error);
        if (to != NULL && count > 0 &&
            transfer_items_write(to->backend, items, count, now_ms) < 0)
            return fail(moving, -1, to->backend->error);
        for (size_t i = 0; i < count; i++)
            transfer_items_add(report, &items[i]);
        if (order->progress != NULL &&
            !order->progress(order->context, kind, report->of[kind].items))
            return fail(moving, 0, "interrupted");
    }
    return 1;
}

static int go_through_all(struct moving *moving, const struct side *from, struct side *to,
                          int64_t now_ms, struct transfer_report *report_r)
{
    int answer = 1;
    *report_r = (struct transfer_report){0};
    for (int kind = 0; kind < TRANSFER_KIND_COUNT && answer > 0; kind++)
        answer = go_through(moving, from, to, (enum transfer_kind)kind, now_ms, report_r);
    return answer;
}

/* The first kind of which both do not hold the same, or TRANSFER_KIND_COUNT. */
static int find_difference(const struct transfer_report *one, const struct transfer_report *other)
{
    int kind = 0;
    while (kind < TRANSFER_KIND_COUNT &&
           memcmp(&one->of[kind], &other->of[kind], sizeof one->of[kind]) == 0)
        kind++;
    return kind;
}

/* Both are read as of now: what ended while they were moved, Redis has forgotten. */
static int compare(struct moving *moving, const struct transfer_report *moved,
                   struct transfer_report *report_r)
{
    struct transfer_report from, to;
    int64_t now_ms = moving->order->now_ms + (clock_monotonic_ms() - moving->began_ms);
    int answer = go_through_all(moving, &moving->from, NULL, now_ms, &from);
    if (answer > 0)
        answer = go_through_all(moving, &moving->to, NULL, now_ms, &to);
    if (answer < 1)
        return answer;
    int kind = find_difference(&from, &to);
    if (kind < TRANSFER_KIND_COUNT && find_difference(&from, moved) < TRANSFER_KIND_COUNT)
        return problem_set(moving->problem, 0, "",
                           "another program changed the %s of %s meanwhile: stop the services "
                           "first", transfer_kind_names[find_difference(&from, moved)],
                           moving->from.url);
    if (kind < TRANSFER_KIND_COUNT)
        return problem_set(moving->problem, 0, "",
                           "the %s differ afterwards: there are %llu and %llu",
                           transfer_kind_names[kind], (unsigned long long)from.of[kind].items,
                           (unsigned long long)to.of[kind].items);
    *report_r = to;
    return 1;
}

int transfer_all(const struct transfer_order *order, struct transfer_report *report_r,
                 bool *part_left_r, struct problem *problem)
{
    struct transfer_report moved;
    struct moving moving = {.order = order, .from.url = order->from_url, .to.url = order->to_url,
                            .began_ms = clock_monotonic_ms(), .problem = problem};
    int answer = open_both(&moving);
    if (answer > 0)
        answer = go_through_all(&moving, &moving.from, &moving.to, order->now_ms, &moved);
    if (answer > 0)
        answer = compare(&moving, &moved, report_r);
    if (answer > 0)
        answer = end_part(&moving);
    *part_left_r = answer < 1 && moving.to.written && moving.to.path == NULL;
    end_side(&moving.from);
    end_side(&moving.to);
    return answer;
}
