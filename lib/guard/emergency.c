#include "guard/emergency.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "rules/history.h"
#include "store/identity.h"
#include "store/lifetimes.h"
#include "store/observations.h"

/* Where all are of different mailboxes, a set has places for four times as many as fall on it. */
enum { SETS = 1 << 13, PLACES = 16, TELL_ROUNDS = 32 };
/* After an answer that was lost, so that one is not sent again each second. */
#define AGAIN_MS (10 * SECOND_MS)

/* What waits of a mailbox. */
struct budget {
    int64_t mailbox; /* a keyed hash */
    uint32_t messages, off_domain; /* messages 0: the place is free */
};

/* A message that waits. What the request points to is behind it. */
struct untold {
    struct untold *next;
    struct budget *budget;
    size_t bytes; /* all of it */
    struct judge_request request;
    char data[];
};

struct emergency {
    pthread_mutex_t lock; /* of all but the last two */
    uint8_t key[IDENTITY_KEY_SIZE];
    struct untold *first, **last; /* the oldest first */
    size_t count, bytes;
    size_t in_telling; /* so many of the first are not to be freed */
    struct budget budgets[SETS][PLACES];
    int64_t answers_since_ms; /* the store; 0: it was silent */
    int64_t again_ms;         /* not told before */
};

struct emergency *emergency_new(void)
{
    struct emergency *emergency = xcalloc(1, sizeof *emergency);
    pthread_mutex_init(&emergency->lock, NULL);
    randombytes_buf(emergency->key, sizeof emergency->key);
    emergency->last = &emergency->first;
    return emergency;
}

/* Takes the one at *at out of those that wait. */
static void forget(struct emergency *emergency, struct untold **at)
{
    struct untold *gone = *at;
    *at = gone->next;
    if (emergency->last == &gone->next)
        emergency->last = at;
    gone->budget->messages--;
    gone->budget->off_domain -= gone->request.off_domain;
    emergency->count--;
    emergency->bytes -= gone->bytes;
    free(gone);
}

void emergency_free(struct emergency **emergency)
{
    if (*emergency == NULL)
        return;
    while ((*emergency)->first != NULL)
        forget(*emergency, &(*emergency)->first);
    pthread_mutex_destroy(&(*emergency)->lock);
    free(*emergency);
    *emergency = NULL;
}

/* ---- admitting: with the lock held --------------------------------------------------------- */

/* Its place, or a free one; NULL: there is none. */
static struct budget *budget_of(struct emergency *emergency, const struct judge_request *request)
{
    char text[HISTORY_NAME_SIZE];
    const char *name = history_name(SUBJECT_MAILBOX, request->channel, request->mailbox, text);
    int64_t mailbox = identity_hash(emergency->key, name, strlen(name));
    struct budget *set = emergency->budgets[mailbox & (SETS - 1)], *unused = NULL;
    for (int i = 0; i < PLACES; i++) {
        if (set[i].messages == 0)
            unused = &set[i];
        else if (set[i].mailbox == mailbox)
            return &set[i];
    }
    if (unused != NULL)
        *unused = (struct budget){.mailbox = mailbox};
    return unused;
}

static bool has_room(const struct budget *budget, const struct judge_request *request,
                     uint32_t each)
{
    if (budget->messages >= each)
        return false;
    for (size_t i = 0; i < request->window_count; i++) {
        const struct rule_info *rule = &rule_table[request->windows[i].rule];
        struct outcome_window window = {
            .rule = request->windows[i].rule, .limit = request->windows[i].limit,
            .used_before = rule->measure == MEASURE_MESSAGES ? budget->messages
                                                             : budget->off_domain};
        if (rule->subject == SUBJECT_MAILBOX && window.limit != LIMIT_OFF &&
            outcome_window_over(&window, request->off_domain))
            return false;
    }
    return true;
}

/* A copy of `length` bytes at *at, which moves on; NULL of NULL. */
static const void *put(char **at, const void *bytes, size_t length)
{
    if (bytes == NULL)
        return NULL;
    void *copy = memcpy(*at, bytes, length);
    *at += length;
    return copy;
}

static size_t size_of(const char *string) { return string != NULL ? strlen(string) + 1 : 0; }

/* As it is told. Its own profile does not learn of it: what the mailbox wrote to stays new. */
static struct untold *untold_of(const struct judge_request *request)
{
    size_t hashes = request->recipient_count * sizeof request->recipients[0];
    size_t data = hashes + size_of(request->mailbox) + size_of(request->ip) +
                  size_of(request->group) + size_of(request->id) + request->facts.admitted_length;
    struct untold *untold = xcalloc(1, sizeof *untold + data);
    struct judge_request *kept = &untold->request;
    char *at = untold->data;
    untold->bytes = sizeof *untold + data;
    *kept = (struct judge_request){
        .now_ms = request->now_ms,
        .channel = request->channel,
        .fingerprint = request->fingerprint,
        .recipient_count = request->recipient_count,
        .recipients_in_all = request->recipients_in_all,
        .off_domain = request->off_domain,
        .ticket = request->ticket,
        .redeem = request->redeem,
        .observe = true,
        .keep_refused_ms = request->keep_refused_ms,
        .keep_admitted_ms = request->keep_admitted_ms,
    };
    kept->recipients = put(&at, request->recipients, hashes); /* first: they are aligned there */
    kept->mailbox = put(&at, request->mailbox, size_of(request->mailbox));
    kept->ip = put(&at, request->ip, size_of(request->ip));
    kept->group = put(&at, request->group, size_of(request->group));
    kept->id = put(&at, request->id, size_of(request->id));
    size_t facts = request->facts.admitted_length;
    kept->facts = (struct record_facts){put(&at, request->facts.bytes, facts), facts, facts};
    return untold;
}

bool emergency_admit(struct emergency *emergency, const struct judge_request *request,
                     uint32_t each)
{
    struct untold *untold = untold_of(request);
    pthread_mutex_lock(&emergency->lock);
    struct budget *budget = budget_of(emergency, request);
    bool admitted = budget != NULL && has_room(budget, request, each) &&
                    emergency->count < EMERGENCY_MESSAGES &&
                    emergency->bytes + untold->bytes <= EMERGENCY_BYTES;
    if (admitted) {
        untold->budget = budget;
        budget->messages++;
        budget->off_domain += request->off_domain;
        *emergency->last = untold;
        emergency->last = &untold->next;
        emergency->count++;
        emergency->bytes += untold->bytes;
    }
    pthread_mutex_unlock(&emergency->lock);
    if (!admitted)
        free(untold);
    return admitted;
}

bool emergency_refund(struct emergency *emergency, const char *mailbox, const char *id)
{
    size_t number = 0;
    bool found = false;
    pthread_mutex_lock(&emergency->lock);
    for (struct untold **at = &emergency->first; *at != NULL && !found; number++) {
        const struct judge_request *request = &(*at)->request;
        found = number >= emergency->in_telling && strcmp(request->id, id) == 0 &&
                strcmp(request->mailbox, mailbox) == 0;
        if (found)
            forget(emergency, at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&emergency->lock);
    return found;
}

size_t emergency_waiting(struct emergency *emergency)
{
    pthread_mutex_lock(&emergency->lock);
    size_t count = emergency->count;
    pthread_mutex_unlock(&emergency->lock);
    return count;
}

/* ---- telling --------------------------------------------------------------------------------- */

static int store_answers(struct store *store)
{
    struct counter counter;
    struct store_page page = {.max = 1};
    return store_counters(store, "", &counter, &page);
}

/* With the lock held: what has left all windows. How many. */
static size_t forget_past(struct emergency *emergency, int64_t now_ms)
{
    size_t past = 0;
    for (; emergency->first != NULL &&
           !window_holds(emergency->first->request.now_ms, COUNTED_KNOWN_MS, now_ms); past++)
        forget(emergency, &emergency->first);
    return past;
}

/* The first that wait, as tasks in `arena`. What redeems a ticket, and what is behind it, only if
 * `redeems`. How many. */
static size_t begin_telling(struct emergency *emergency, struct arena *arena, bool redeems,
                            int64_t now_ms, struct judge_task tasks_r[JUDGE_MAX],
                            struct emergency_told *told)
{
    size_t count = 0;
    pthread_mutex_lock(&emergency->lock);
    told->past += forget_past(emergency, now_ms);
    for (struct untold *untold = emergency->first;
         untold != NULL && count < JUDGE_MAX && (redeems || untold->request.redeem == 0);
         untold = untold->next) {
        struct judge_request *request = arena_alloc(arena, sizeof *request);
        *request = untold->request;
        request->sent_ms = request->now_ms < now_ms ? request->now_ms : 0;
        request->now_ms = now_ms;
        request->decision = decision_new(judge_moment(request));
        request->arena = arena;
        struct judge_result *result = arena_alloc(arena, sizeof *result);
        tasks_r[count++] = (struct judge_task){request, result, -1};
    }
    emergency->in_telling = count;
    pthread_mutex_unlock(&emergency->lock);
    return count;
}

/* What was counted goes. 1; or -1 some could not be counted. */
static int end_telling(struct emergency *emergency, const struct judge_task *tasks, size_t count,
                       struct emergency_told *told)
{
    int answer = 1;
    pthread_mutex_lock(&emergency->lock);
    struct untold **at = &emergency->first;
    for (size_t i = 0; i < count; i++) {
        if (tasks[i].answer > 0) {
            told->counted++;
            forget(emergency, at);
        } else {
            answer = -1;
            at = &(*at)->next;
        }
    }
    emergency->in_telling = 0;
    pthread_mutex_unlock(&emergency->lock);
    return answer;
}

/* 1 some were told; 0 there are none that may be; -1. */
static int tell_some(struct emergency *emergency, struct store *store, int64_t now_ms,
                     struct emergency_told *told)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct judge_task tasks[JUDGE_MAX];
    bool redeems = now_ms - emergency->answers_since_ms >= EMERGENCY_REDEEM_MS;
    size_t count = begin_telling(emergency, arena, redeems, now_ms, tasks, told);
    if (count == 0)
        return 0;
    store_judge_all(store, tasks, count);
    return end_telling(emergency, tasks, count, told);
}

int emergency_tell(struct emergency *emergency, struct store *store, int64_t now_ms,
                   struct emergency_told *told_r)
{
    *told_r = (struct emergency_told){0};
    if (emergency_waiting(emergency) == 0)
        return 1;
    if (now_ms < emergency->again_ms && now_ms > emergency->again_ms - AGAIN_MS)
        return 0;
    if (store_answers(store) < 0) {
        emergency->answers_since_ms = 0;
        return -1;
    }
    if (emergency->answers_since_ms == 0 || emergency->answers_since_ms > now_ms)
        emergency->answers_since_ms = now_ms;
    int answer = 1;
    for (int round = 0; round < TELL_ROUNDS && answer > 0; round++)
        answer = tell_some(emergency, store, now_ms, told_r);
    if (answer < 0)
        emergency->again_ms = now_ms + AGAIN_MS;
    return answer < 0 ? -1 : emergency_waiting(emergency) == 0;
}
