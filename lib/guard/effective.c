#define entry search_h_entry /* <search.h> takes the name for its hash table */
#include <search.h>
#undef entry

#include "guard/effective.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* All adjustments of one mailbox or domain. */
struct adjusted {
    char *subject;
    char plan[PLAN_NAME_SIZE]; /* of ADJUST_PLAN */
    struct {
        bool set;
        int32_t value;
        int64_t until_ms;
    } by[RULE_COUNT][ADJUST_KIND_COUNT];
};

const char *const limit_source_names[LIMIT_SOURCE_COUNT] = {"settings", "plan", "domain",
                                                             "mailbox"};

struct effective {
    pthread_rwlock_t lock; /* guards the tree */
    void *tree;            /* of struct adjusted, by subject (tsearch) */
    pthread_mutex_t refreshing; /* guards what follows; held while the store is asked */
    bool loaded;
    _Atomic unsigned failures;  /* times that the store did not answer; why, the last time */
    char why[256];
    int64_t newest_change;
    _Atomic int64_t fresh_until_ms; /* monotonic */
    int64_t whole_until_ms; /* the store tells of removals for a day; after that, read anew */
};

static int compare_subjects(const void *left, const void *right)
{
    const struct adjusted *a = left, *b = right;
    return strcmp(a->subject, b->subject);
}

static void free_adjusted(void *node)
{
    struct adjusted *adjusted = node;
    free(adjusted->subject);
    free(adjusted);
}

struct effective *effective_new(void)
{
    struct effective *effective = xcalloc(1, sizeof *effective);
    pthread_rwlock_init(&effective->lock, NULL);
    pthread_mutex_init(&effective->refreshing, NULL);
    effective->fresh_until_ms = INT64_MIN;
    return effective;
}

void effective_free(struct effective **effective)
{
    if (*effective == NULL)
        return;
    tdestroy((*effective)->tree, free_adjusted);
    pthread_rwlock_destroy(&(*effective)->lock);
    pthread_mutex_destroy(&(*effective)->refreshing);
    free(*effective);
    *effective = NULL;
}

/* ---- bringing up to date --------------------------------------------------- */

static void set(struct adjusted *adjusted, const struct adjustment *adjustment)
{
    typeof(&adjusted->by[0][0]) place = &adjusted->by[adjustment->rule][adjustment->kind];
    place->set = !adjustment->removed;
    place->value = adjustment->value;
    place->until_ms = adjustment->until_ms;
    if (adjustment->kind == ADJUST_PLAN)
        snprintf(adjusted->plan, sizeof adjusted->plan, "%s", adjustment->plan);
}

static void apply(void **tree, const struct adjustment *adjustment)
{
    struct adjusted *fresh = xcalloc(1, sizeof *fresh);
    fresh->subject = xstrdup(adjustment->subject);
    struct adjusted *adjusted = *(struct adjusted **)tsearch(fresh, tree, compare_subjects);
    if (adjusted != fresh)
        free_adjusted(fresh);
    set(adjusted, adjustment);
    for (int rule = 0; rule < RULE_COUNT; rule++)
        for (int kind = 0; kind < ADJUST_KIND_COUNT; kind++)
            if (adjusted->by[rule][kind].set)
                return;
    tdelete(adjusted, tree, compare_subjects);
    free_adjusted(adjusted);
}

enum { PAGE = 64 };

/* All of them, into a tree of their own, so that nobody sees half of it. */
static int read_all(struct effective *effective, struct store *store, struct adjustment *changes)
{
    void *tree = NULL;
    int64_t newest = 0;
    struct store_page page = {.max = PAGE, .more = true};
    int result = 1;
    while (page.more && (result = store_adjustments(store, newest, changes, &page)) > 0) {
        for (size_t i = 0; i < page.count; i++)
            if (changes[i].rule < RULE_COUNT) /* else of a newer sendguard */
                apply(&tree, &changes[i]);
        if (page.count > 0)
            newest = changes[page.count - 1].change;
    }
    if (result > 0) {
        pthread_rwlock_wrlock(&effective->lock);
        void *old = effective->tree;
        effective->tree = tree;
        tree = old;
        pthread_rwlock_unlock(&effective->lock);
        effective->newest_change = newest;
    }
    tdestroy(tree, free_adjusted);
    return result;
}

/* What changed since. The newest change that we know is asked for again: when
 * it is not there any more, this is another store (or removals are forgotten
 * by now). 1 up to date, 0 all has to be read anew, -1. */
static int read_changes(struct effective *effective, struct store *store,
                        struct adjustment *changes)
{
    struct store_page page = {.max = PAGE};
    bool known = effective->newest_change == 0;
    int result = store_adjustments(store, effective->newest_change - !known, changes, &page);
    if (result < 0)
        return -1;
    known = known || (page.count > 0 && changes[0].change == effective->newest_change);
    if (!known || page.more)
        return 0;
    if (page.count > 0 && changes[page.count - 1].change > effective->newest_change) {
        pthread_rwlock_wrlock(&effective->lock);
        for (size_t i = 0; i < page.count; i++)
            if (changes[i].rule < RULE_COUNT)
                apply(&effective->tree, &changes[i]);
        pthread_rwlock_unlock(&effective->lock);
        effective->newest_change = changes[page.count - 1].change;
    }
    return 1;
}

static int ask(struct effective *effective, struct store *store, int64_t now_ms)
{
    struct adjustment *changes = xcalloc(PAGE, sizeof *changes);
    int result = 0;
    if (effective->loaded && now_ms < effective->whole_until_ms)
        result = read_changes(effective, store, changes);
    if (result == 0) {
        result = read_all(effective, store, changes);
        effective->whole_until_ms = now_ms + DAY_MS / 2;
    }
    free(changes);
    if (result > 0) {
        effective->loaded = true;
        effective->fresh_until_ms = now_ms + EFFECTIVE_FRESH_MS;
    } else {
        effective->failures++;
        snprintf(effective->why, sizeof effective->why, "%s", store_error(store));
    }
    return result;
}

int effective_refresh(struct effective *effective, struct store *store, int64_t monotonic_ms)
{
    if (monotonic_ms < effective->fresh_until_ms)
        return 1;
    unsigned failures = effective->failures;
    pthread_mutex_lock(&effective->refreshing);
    int result = 1;
    if (failures != effective->failures) /* asked while we waited, in vain: no need to wait again */
        result = store_fail(store, effective->why);
    else if (monotonic_ms >= effective->fresh_until_ms) /* not asked while we waited */
        result = ask(effective, store, monotonic_ms);
    pthread_mutex_unlock(&effective->refreshing);
    return result;
}

int effective_renew(struct effective *effective, struct store *store, int64_t monotonic_ms,
                    int64_t *newest_r)
{
    pthread_mutex_lock(&effective->refreshing);
    int result = ask(effective, store, monotonic_ms);
    if (result > 0)
        *newest_r = effective->newest_change;
    pthread_mutex_unlock(&effective->refreshing);
    return result;
}

int effective_adjustment(struct effective *effective, const char *subject, enum rule rule,
                      enum adjust_kind kind, int64_t now_ms, struct adjustment *adjustment_r)
{
    char name[ADDRESS_MAX_BYTES + 2];
    snprintf(name, sizeof name, "%s", subject);
    struct adjusted adjusted = {.subject = name};
    int found = 0;
    pthread_rwlock_rdlock(&effective->lock);
    struct adjusted *const *node =
        tfind(&adjusted, (void *const *)&effective->tree, compare_subjects);
    if (node != NULL) {
        const typeof((*node)->by[0][0]) *place = &(*node)->by[rule][kind];
        found = place->set && now_ms < place->until_ms;
        if (found) {
            *adjustment_r = (struct adjustment){
                .rule = rule, .kind = kind, .value = place->value, .until_ms = place->until_ms};
            snprintf(adjustment_r->subject, sizeof adjustment_r->subject, "%s", subject);
            if (kind == ADJUST_PLAN)
                snprintf(adjustment_r->plan, sizeof adjustment_r->plan, "%s", (*node)->plan);
        }
    }
    pthread_rwlock_unlock(&effective->lock);
    return found;
}

void effective_outdate(struct effective *effective)
{
    /* who asks just now may have asked before the change: his answer shall not count as fresh */
    pthread_mutex_lock(&effective->refreshing);
    effective->fresh_until_ms = INT64_MIN;
    pthread_mutex_unlock(&effective->refreshing);
}

/* ---- asking ------------------------------------------------------------------ */

static void adjust(struct effective_limits *limits, const struct adjusted *adjusted,
                   enum limit_source source, int64_t now_ms)
{
    const typeof(adjusted->by[0][0]) *exempt = &adjusted->by[0][ADJUST_EXEMPT];
    if (exempt->set && now_ms < exempt->until_ms)
        limits->exempt = true;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        const typeof(adjusted->by[0][0]) *limit = &adjusted->by[rule][ADJUST_LIMIT];
        const typeof(adjusted->by[0][0]) *extra = &adjusted->by[rule][ADJUST_EXTRA];
        if (limit->set && now_ms < limit->until_ms) {
            limits->limits.of[rule] = limit->value;
            limits->source[rule] = source;
            limits->until_ms[rule] = limit->until_ms;
        }
        if (extra->set && now_ms < extra->until_ms) {
            limits->extra[rule] += extra->value;
            if (extra->until_ms < limits->extra_until_ms[rule])
                limits->extra_until_ms[rule] = extra->until_ms;
        }
    }
}

/* Changes that are only imagined, beside what is known. */
struct imagined {
    const struct adjustment *changes;
    size_t count;
};

/* All that the subject is adjusted by, with what is imagined; the name is in the caller's room. */
static bool look_up(const struct effective *effective, char name[ADDRESS_MAX_BYTES + 2],
                    const struct imagined *imagined, struct adjusted *adjusted_r)
{
    *adjusted_r = (struct adjusted){.subject = name};
    struct adjusted *const *found =
        tfind(adjusted_r, (void *const *)&effective->tree, compare_subjects);
    if (found == NULL && imagined->count == 0)
        return false;
    if (found != NULL) {
        memcpy(adjusted_r->by, (*found)->by, sizeof adjusted_r->by);
        memcpy(adjusted_r->plan, (*found)->plan, sizeof adjusted_r->plan);
    }
    for (size_t i = 0; i < imagined->count; i++)
        if (strcmp(imagined->changes[i].subject, name) == 0)
            set(adjusted_r, &imagined->changes[i]);
    return true;
}

static bool has_plan(const struct adjusted *adjusted, int64_t now_ms)
{
    return adjusted->by[0][ADJUST_PLAN].set && now_ms < adjusted->by[0][ADJUST_PLAN].until_ms;
}

static void begin_with_plan(struct effective_limits *limits, const struct settings *settings,
                            const struct adjusted *adjusted, bool of_mailbox)
{
    const struct plan *plan = settings_plan(settings, adjusted->plan);
    struct effective_plan *given = &limits->plan;
    *given = (struct effective_plan){.of_mailbox = of_mailbox, .is_lost = plan == NULL,
                                     .until_ms = adjusted->by[0][ADJUST_PLAN].until_ms};
    snprintf(given->name, sizeof given->name, "%s", adjusted->plan);
    for (int rule = 0; rule < RULE_COUNT && plan != NULL; rule++) {
        if (plan->limits.of[rule] == PLAN_LIMIT_NONE)
            continue;
        limits->limits.of[rule] = plan->limits.of[rule];
        limits->source[rule] = LIMIT_OF_PLAN;
        limits->until_ms[rule] = given->until_ms;
    }
}

/* Where the mailbox has something of its own, or its domain. */
static void adjust_all(struct effective_limits *limits, const struct effective *effective,
                       const struct settings *settings, const char *mailbox, const char *domain,
                       const struct imagined *imagined, int64_t now_ms)
{
    char domain_name[ADDRESS_MAX_BYTES + 2] = "@", mailbox_name[ADDRESS_MAX_BYTES + 2] = "";
    strncat(domain_name, domain, ADDRESS_MAX_BYTES);
    strncat(mailbox_name, mailbox, ADDRESS_MAX_BYTES);
    struct adjusted of_domain, of_mailbox;
    bool domain_has = look_up(effective, domain_name, imagined, &of_domain);
    bool mailbox_has = look_up(effective, mailbox_name, imagined, &of_mailbox);
    if (mailbox_has && has_plan(&of_mailbox, now_ms))
        begin_with_plan(limits, settings, &of_mailbox, true);
    else if (domain_has && has_plan(&of_domain, now_ms))
        begin_with_plan(limits, settings, &of_domain, false);
    if (domain_has)
        adjust(limits, &of_domain, LIMIT_OF_DOMAIN, now_ms);
    if (mailbox_has)
        adjust(limits, &of_mailbox, LIMIT_OF_MAILBOX, now_ms);
}

struct effective_limits effective_limits_if(struct effective *effective,
                                            const struct settings *settings,
                                            enum channel channel,
                                            const char *mailbox, const char *domain,
                                            const struct adjustment *changes, size_t count,
                                            int64_t now_ms)
{
    const struct imagined imagined = {changes, count};
    struct effective_limits limits = {.limits = settings->limits[channel]};
    for (int rule = 0; rule < RULE_COUNT; rule++)
        limits.until_ms[rule] = limits.extra_until_ms[rule] = UNTIL_LIFTED;
    pthread_rwlock_rdlock(&effective->lock);
    if (effective->tree != NULL || count > 0)
        adjust_all(&limits, effective, settings, mailbox, domain, &imagined, now_ms);
    pthread_rwlock_unlock(&effective->lock);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        int64_t sum = (int64_t)limits.limits.of[rule] + limits.extra[rule];
        limits.without_extra[rule] = limits.limits.of[rule];
        if (limits.limits.of[rule] != LIMIT_OFF)
            limits.limits.of[rule] = sum > LIMIT_MAX ? LIMIT_MAX : sum < 0 ? 0 : (int32_t)sum;
    }
    return limits;
}

struct effective_limits effective_limits(struct effective *effective,
                                         const struct settings *settings, enum channel channel,
                                         const char *mailbox, const char *domain, int64_t now_ms)
{
    return effective_limits_if(effective, settings, channel, mailbox, domain, NULL, 0, now_ms);
}

/* Of one domain, while the tree is walked. */
struct collecting {
    struct arena *arena;
    const char *domain;
    const char **names; /* NULL: they are only counted */
    size_t count;
};

static void collect(const void *node, VISIT visit, void *closure)
{
    const struct adjusted *adjusted = *(struct adjusted *const *)node;
    struct collecting *collecting = closure;
    const char *at = strrchr(adjusted->subject, '@');
    if ((visit != postorder && visit != leaf) || at == NULL || at == adjusted->subject ||
        strcmp(at + 1, collecting->domain) != 0)
        return;
    if (collecting->names != NULL)
        collecting->names[collecting->count] =
            arena_strdup(collecting->arena, adjusted->subject);
    collecting->count++;
}

size_t effective_adjusted(struct effective *effective, struct arena *arena, const char *domain,
                       const char ***mailboxes_r)
{
    struct collecting counting = {.domain = domain};
    pthread_rwlock_rdlock(&effective->lock);
    twalk_r(effective->tree, collect, &counting);
    struct collecting found = {arena, domain,
                               arena_alloc(arena, (counting.count + 1) * sizeof(char *)), 0};
    twalk_r(effective->tree, collect, &found);
    pthread_rwlock_unlock(&effective->lock);
    *mailboxes_r = found.names;
    return found.count;
}
