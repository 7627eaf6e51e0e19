/* Parked messages: refused by something that ends by itself, they wait as drafts in their user's
 * own mailbox, and the webmail sends them at a visit after their moment. Here is when, and who has
 * one in hand: it is claimed in one step before it is sent, so one claim alone sends it, and who
 * dies with a claim leaves one that is not sent again. Those of a mailbox are one value, a JSON
 * object {"parked":[…]} in the order in which they were parked; moments in it are milliseconds. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/zone.h"
#include "desk/context.h"
#include "desk/desk_parked.h"
#include "guard/counters.h"
#include "guard/verdict.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/values.h"

enum { ATTEMPTS = 5, REFUSED_MAX = 3, ID_LENGTH = 32, DIGEST_LENGTH = 64, FOLDER_MAX = 255 };
#define CLAIM_MS (5 * MINUTE_MS) /* who has claimed it is dead by then */
#define LATE_MS (7 * DAY_MS)     /* nobody expects it any longer */
#define KEPT_MS (PARKED_AHEAD_MS + LATE_MS) /* since it was parked; within OFFENCES_REMEMBERED_MS */

enum state { WAITING, DUE, CLAIMED, UNKNOWN, REFUSED, LATE, STATE_COUNT };
static const char *const state_names[STATE_COUNT] = {"waiting", "due",     "claimed",
                                                     "unknown", "refused", "late"};

/* ---- what is kept ------------------------------------------------------------------------ */

struct parked {
    struct json_object *tree; /* to be put */
    uint32_t version;         /* 0: there are none yet */
};

static void put_parked(struct parked *parked) { json_put(&parked->tree); }

static struct json_object *list_of(const struct parked *parked)
{
    return json_member(parked->tree, "parked");
}

/* Whether it was locked since then: each lock is a suspension, and kept as an offence. 1, 0, -1. */
static int was_locked(const struct context *context, const char *mailbox, int64_t since_ms)
{
    static const enum cause causes[] = {CAUSE_COMPROMISED, CAUSE_BREACHED};
    for (size_t i = 0; i < countof(causes); i++) {
        uint32_t count;
        if (store_offences(context->desk->store, mailbox, causes[i],
                           since_ms - 1 + OFFENCES_REMEMBERED_MS, &count) < 0)
            return -1;
        if (count > 0)
            return 1;
    }
    return 0;
}

/* Takes out what has waited too long, and what was parked before a lock. 1 or -1. */
static int drop_ended(const struct context *context, const char *mailbox,
                      struct json_object *list)
{
    while (json_object_array_length(list) > 0) {
        int64_t made_ms = json_int(json_object_array_get_idx(list, 0), "made_ms", 0);
        int ended = !window_holds(made_ms, KEPT_MS, context->now_ms)
                        ? 1
                        : was_locked(context, mailbox, made_ms);
        if (ended < 1)
            return ended < 0 ? -1 : 1; /* those behind it are younger */
        json_object_array_del_idx(list, 0, 1);
    }
    return 1;
}

/* 1 or -1. */
static int read_parked(const struct context *context, const char *mailbox, struct parked *parked_r)
{
    struct value value = {.kind = VALUE_PARKED, .key = mailbox};
    if (store_values_get(context->desk->store, context->arena, &value, 1, context->now_ms) < 0)
        return -1;
    struct parked parked = {value.length > 0 ? json_read(value.bytes) : NULL, value.version};
    if (!json_object_is_type(list_of(&parked), json_type_array)) { /* none, or damaged */
        json_put(&parked.tree);
        parked.tree = json_object_new_object();
        json_add_list(parked.tree, "parked");
    }
    *parked_r = parked;
    return drop_ended(context, mailbox, list_of(parked_r));
}

/* 1; 0: somebody else has changed them; -1. */
static int keep_parked(const struct context *context, const char *mailbox,
                       const struct parked *parked)
{
    bool none = json_object_array_length(list_of(parked)) == 0;
    const char *text = json_object_to_json_string_ext(parked->tree, JSON_C_TO_STRING_PLAIN);
    const struct value_change change = {
        .value = {.kind = VALUE_PARKED, .key = mailbox, .bytes = text,
                  .length = none ? 0 : strlen(text), .until_ms = context->now_ms + KEPT_MS},
        .replaces = parked->version};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = context->now_ms};
    return none && parked->version == 0
               ? 1
               : store_values_change(context->desk->store, &step, NULL);
}

int desk_parked_forget(const struct context *context, const char *mailbox)
{
    const struct value_change change = {.value = {.kind = VALUE_PARKED, .key = mailbox},
                                        .replaces = VALUE_ANY};
    return store_values_change(
        context->desk->store,
        &(struct values_step){.changes = &change, .count = 1, .now_ms = context->now_ms}, NULL);
}

/* ---- one of them ------------------------------------------------------------------------- */

static size_t place_of(struct json_object *list, const char *id)
{
    size_t place = 0, count = json_object_array_length(list);
    while (place < count &&
           strcmp(json_string(json_object_array_get_idx(list, place), "id", ""), id) != 0)
        place++;
    return place;
}

static enum state state_of(struct json_object *one, int64_t now_ms)
{
    int64_t at_ms = json_int(one, "at_ms", 0), claimed_ms = json_int(one, "claimed_ms", 0);
    if (claimed_ms != 0)
        return window_holds(claimed_ms, CLAIM_MS, now_ms) ? CLAIMED : UNKNOWN;
    if (json_member(one, "refused") != NULL)
        return REFUSED;
    return now_ms < at_ms ? WAITING : window_holds(at_ms, LATE_MS, now_ms) ? DUE : LATE;
}

/* Each parking and each try has another: what was sent under one does not count again. */
static const char *submission_id(struct arena *arena, struct json_object *one)
{
    return arena_printf(arena, "parked.%s.%lld.%d", json_string(one, "id", ""),
                        (long long)json_int(one, "made_ms", 0), (int)json_int(one, "tries", 0));
}

static struct json_object *view_of(const struct context *context, struct json_object *one)
{
    enum state state = state_of(one, context->now_ms);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "id", json_string(one, "id", ""));
    json_add_string(view, "state", state_names[state]);
    json_add_bool(view, "may_go", state == WAITING || state == DUE);
    json_add_moment(view, "at", json_int(one, "at_ms", 0));
    json_add_moment(view, "parked_at", json_int(one, "made_ms", 0));
    json_add_int(view, "recipients", json_int(one, "recipients", 0));
    json_add_int(view, "tries", json_int(one, "tries", 0));
    json_add_string(view, "submission_id", submission_id(context->arena, one));
    json_add_string(view, "decision", json_string(one, "refused", NULL));
    return view;
}

static void add_views(const struct context *context, const struct parked *parked,
                      struct json_object *view)
{
    struct json_object *list = list_of(parked), *shown = json_add_list(view, "parked");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        json_object_array_add(shown, view_of(context, json_object_array_get_idx(list, i)));
}

int desk_parked_add(const struct context *context, const char *mailbox, struct json_object *view)
{
    freed_by(put_parked) struct parked parked = {0};
    if (read_parked(context, mailbox, &parked) < 0)
        return -1;
    add_views(context, &parked, view);
    return 1;
}

int desk_parked_add_sums(const struct context *context, const char *mailbox,
                         struct json_object *view)
{
    freed_by(put_parked) struct parked parked = {0};
    int64_t count = 0, first_ms = INT64_MAX;
    if (read_parked(context, mailbox, &parked) < 0)
        return -1;
    for (size_t i = 0; i < json_object_array_length(list_of(&parked)); i++) {
        struct json_object *one = json_object_array_get_idx(list_of(&parked), i);
        enum state state = state_of(one, context->now_ms);
        int64_t at_ms = json_int(one, "at_ms", 0);
        if (state != WAITING && state != DUE)
            continue;
        count++;
        first_ms = at_ms < first_ms ? at_ms : first_ms;
    }
    json_add_null(view, "parked");
    if (count == 0)
        return 1;
    struct json_object *sums = json_add_object(view, "parked");
    json_add_int(sums, "count", count);
    json_add_moment(sums, "at", first_ms);
    return 1;
}

/* ---- acting ------------------------------------------------------------------------------ */

struct parked_asked {
    const char *mailbox, *id, *claim;
    int64_t at_ms;       /* 0: none */
    int64_t recipients;
    const char *decision; /* "": none */
    const char *digest, *drafts, *sent; /* "": none */
};

/* Each changes the list. 1; 0 with *problem; -1. */
typedef int act_fn(const struct context *context, const struct parked_asked *asked,
                   struct json_object *list, struct problem *problem);

/* The one that is asked about; NULL with *problem. */
static struct json_object *find(const struct parked_asked *asked, struct json_object *list,
                                struct problem *problem)
{
    size_t place = place_of(list, asked->id);
    if (place < json_object_array_length(list))
        return json_object_array_get_idx(list, place);
    problem_set(problem, 404, "id", "no message of this mailbox is parked under it");
    return NULL;
}

static int is_in_state(struct problem *problem, enum state state)
{
    return problem_set(problem, 409, "id", "its state is %s", state_names[state]);
}

static bool is_claimed_by(struct json_object *one, const struct parked_asked *asked)
{
    return asked->claim[0] != '\0' && strcmp(json_string(one, "claim", ""), asked->claim) == 0;
}

static int park(const struct context *context, const struct parked_asked *asked,
                struct json_object *list, struct problem *problem)
{
    size_t count = json_object_array_length(list);
    int64_t most = context->settings->parked_per_mailbox;
    struct account account;
    if (asked->at_ms == 0 || asked->at_ms > context->now_ms + PARKED_AHEAD_MS)
        return problem_set(problem, 400, "at", "expected a moment of the next %d days",
                           (int)(PARKED_AHEAD_MS / DAY_MS));
    if (place_of(list, asked->id) < count)
        return problem_set(problem, 409, "id", "it is parked already");
    if (count >= (size_t)most)
        return problem_set(problem, 429, "", "%d messages are parked", (int)count);
    if (store_account(context->desk->store, context->arena, asked->mailbox, context->now_ms,
                      &account) < 0)
        return -1;
    if (suspension_has_lock(&account.suspensions))
        return problem_set(problem, 409, "mailbox", "it is locked");
    struct json_object *one = json_object_new_object();
    json_add_string(one, "id", asked->id);
    json_add_int(one, "at_ms", asked->at_ms);
    json_add_int(one, "made_ms", context->now_ms);
    json_add_int(one, "recipients", asked->recipients);
    if (asked->digest[0] != '\0') {
        json_add_string(one, "digest", asked->digest);
        json_add_string(one, "drafts", asked->drafts);
        json_add_string(one, "sent", asked->sent);
    }
    json_object_array_add(list, one);
    return 1;
}

static int claim(const struct context *context, const struct parked_asked *asked,
                 struct json_object *list, struct problem *problem)
{
    if (asked->claim[0] == '\0')
        return problem_set(problem, 400, "claim", "expected %d hexadecimal digits", ID_LENGTH);
    struct json_object *one = find(asked, list, problem);
    if (one == NULL)
        return 0;
    enum state state = state_of(one, context->now_ms);
    if (state != DUE && state != CLAIMED && state != UNKNOWN) /* nobody sends it now */
        return problem_set(problem, 404, "id", "no message is due under it");
    if (state != DUE)
        return is_in_state(problem, state);
    json_add_int(one, "claimed_ms", context->now_ms);
    json_add_string(one, "claim", asked->claim);
    return 1;
}

/* It was refused again, or certainly not sent: another moment, a few times. */
static int defer(const struct context *context, const struct parked_asked *asked,
                 struct json_object *list, struct problem *problem)
{
    struct json_object *one = find(asked, list, problem);
    if (one == NULL)
        return 0;
    enum state state = state_of(one, context->now_ms);
    if (state != DUE && !((state == CLAIMED || state == UNKNOWN) && is_claimed_by(one, asked)))
        return is_in_state(problem, state);
    int64_t tries = json_int(one, "tries", 0) + 1;
    int64_t last_ms = json_int(one, "made_ms", 0) + PARKED_AHEAD_MS;
    json_object_object_del(one, "claimed_ms");
    json_object_object_del(one, "claim");
    json_add_int(one, "tries", tries);
    if (tries < REFUSED_MAX && asked->at_ms != 0 && asked->at_ms <= last_ms)
        json_add_int(one, "at_ms", asked->at_ms);
    else
        json_add_string(one, "refused", asked->decision);
    return 1;
}

static int take_out(struct json_object *list, const char *id)
{
    json_object_array_del_idx(list, place_of(list, id), 1);
    return 1;
}

static int sent(const struct context *context, const struct parked_asked *asked,
                struct json_object *list, struct problem *problem)
{
    struct json_object *one = find(asked, list, problem);
    if (one == NULL)
        return 0;
    return is_claimed_by(one, asked) ? take_out(list, asked->id)
                                     : is_in_state(problem, state_of(one, context->now_ms));
}

static int cancel(const struct context *context, const struct parked_asked *asked,
                  struct json_object *list, struct problem *problem)
{
    struct json_object *one = find(asked, list, problem);
    if (one == NULL)
        return 0;
    return state_of(one, context->now_ms) != CLAIMED ? take_out(list, asked->id)
                                                     : is_in_state(problem, CLAIMED);
}

static int look(const struct context *context, const struct parked_asked *asked,
                struct json_object *list, struct problem *problem)
{
    (void)context, (void)asked, (void)list, (void)problem;
    return 1;
}

static const struct {
    const char *name;
    act_fn *act;
    bool of_one;
} acts[] = {{"list", look, false},  {"park", park, true}, {"claim", claim, true},
            {"defer", defer, true}, {"sent", sent, true}, {"cancel", cancel, true}};

/* ---- words ------------------------------------------------------------------------------- */

static bool is_hexadecimal(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static bool is_id(const char *text) { return is_hexadecimal(text, ID_LENGTH); }

/* As IMAP has it (modified UTF-7). */
static bool is_folder(const char *text)
{
    size_t length = 0;
    while (text[length] >= ' ' && text[length] <= '~')
        length++;
    return text[length] == '\0' && length <= FOLDER_MAX;
}

/* By what another than the webmail knows the draft. */
static int read_draft(struct json_object *words, struct parked_asked *asked,
                      struct problem *problem)
{
    asked->digest = json_string(words, "digest", "");
    asked->drafts = json_string(words, "drafts", "");
    asked->sent = json_string(words, "sent", "");
    if (asked->digest[0] != '\0' && !is_hexadecimal(asked->digest, DIGEST_LENGTH))
        return problem_set(problem, 400, "digest", "expected %d hexadecimal digits",
                           DIGEST_LENGTH);
    if (!is_folder(asked->drafts) || (asked->digest[0] != '\0' && asked->drafts[0] == '\0'))
        return problem_set(problem, 400, "drafts", "expected the name of a folder");
    if (!is_folder(asked->sent))
        return problem_set(problem, 400, "sent", "expected the name of a folder, or nothing");
    return 1;
}

static int read_words(struct json_object *words, bool of_one, struct parked_asked *asked,
                      struct problem *problem)
{
    const char *at = json_string(words, "at", NULL);
    asked->id = json_string(words, "id", "");
    asked->claim = json_string(words, "claim", "");
    asked->decision = json_string(words, "decision", "");
    asked->recipients = json_int(words, "recipients", 0);
    if (of_one && !is_id(asked->id))
        return problem_set(problem, 400, "id", "expected %d hexadecimal digits", ID_LENGTH);
    if (asked->claim[0] != '\0' && !is_id(asked->claim))
        return problem_set(problem, 400, "claim", "expected %d hexadecimal digits", ID_LENGTH);
    if (at != NULL && zone_moment_read(at, &asked->at_ms) != 1)
        return problem_set(problem, 400, "at", "expected a moment, such as 2026-11-22T14:05:00Z");
    uint64_t decision;
    if (asked->decision[0] != '\0' && decision_parse(asked->decision, &decision) != 1)
        return problem_set(problem, 400, "decision", "expected a reference");
    if (asked->recipients < 0 || asked->recipients > SUBMISSION_MAX_RECIPIENTS)
        return problem_set(problem, 400, "recipients", "expected 0 to %d",
                           SUBMISSION_MAX_RECIPIENTS);
    return read_draft(words, asked, problem);
}

/* The state that the asked one has; STATE_COUNT: there is none. */
static enum state state_in(const struct context *context, const struct parked_asked *asked,
                           struct json_object *list)
{
    size_t place = place_of(list, asked->id);
    return place < json_object_array_length(list)
               ? state_of(json_object_array_get_idx(list, place), context->now_ms)
               : STATE_COUNT;
}

/* What an action that is done counts as; PARKED_RESULTS: as nothing. */
static enum parked_result counts_as(act_fn *act, enum state before, enum state after)
{
    if (act == park)
        return PARKED_PARKED;
    if (act == sent)
        return PARKED_SENT;
    if (act == cancel && (before == WAITING || before == DUE)) /* else it is taken off the list */
        return PARKED_CANCELLED;
    return act == defer && after == REFUSED ? PARKED_REFUSED : PARKED_RESULTS;
}

/* For monitoring: whether that is written does not matter to the message. */
static void count(const struct context *context, enum parked_result result)
{
    struct counter counter = {.value = 1};
    if (result == PARKED_RESULTS)
        return;
    counters_parked_name(result, counter.name);
    int written = store_observe(context->desk->store,
                                &(struct observations){.counters = &counter, .counter_count = 1},
                                context->now_ms);
    (void)written;
}

/* 1 with *view_r; 0 with *problem, or (without) somebody else was first; -1. */
static int try_to_act(const struct context *context, act_fn *act, const struct parked_asked *asked,
                      struct json_object **view_r, struct problem *problem)
{
    freed_by(put_parked) struct parked parked = {0};
    if (read_parked(context, asked->mailbox, &parked) < 0)
        return -1;
    enum state before = state_in(context, asked, list_of(&parked));
    int done = act(context, asked, list_of(&parked), problem);
    if (done > 0 && act != look)
        done = keep_parked(context, asked->mailbox, &parked);
    if (done > 0)
        count(context,
              counts_as(act, before, state_in(context, asked, list_of(&parked))));
    if (done > 0) {
        *view_r = json_object_new_object();
        json_add_moment(*view_r, "now", context->now_ms);
        json_add_int(*view_r, "at_most", context->settings->parked_per_mailbox);
        add_views(context, &parked, *view_r);
    }
    return done;
}

int desk_parked_act(const struct desk *desk, const char *mailbox, struct json_object *words,
                    int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct parked_asked asked = {.mailbox = mailbox};
    const char *action = json_string(words, "action", "");
    size_t which = 0;
    while (which < countof(acts) && strcmp(acts[which].name, action) != 0)
        which++;
    if (which == countof(acts))
        return problem_set(problem, 400, "action",
                           "expected list, park, claim, defer, sent or cancel");
    if (!read_words(words, acts[which].of_one, &asked, problem))
        return 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int done = try_to_act(&context, acts[which].act, &asked, view_r, problem);
        if (done != 0 || problem->status != 0)
            return done;
    }
    return problem_set(problem, 409, "", "others write at the same moment");
}

/* ---- for who sends them without a visit -------------------------------------------------- */

static size_t add_due(const struct context *context, struct arena *arena, const char *mailbox,
                      struct json_object *list, struct desk_parked_draft *drafts_r)
{
    size_t count = 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *digest = json_string(one, "digest", "");
        if (digest[0] != '\0' && state_of(one, context->now_ms) == DUE)
            drafts_r[count++] = (struct desk_parked_draft){
                .mailbox = mailbox,
                .id = arena_strdup(arena, json_string(one, "id", "")),
                .digest = arena_strdup(arena, digest),
                .drafts = arena_strdup(arena, json_string(one, "drafts", "")),
                .sent = arena_strdup(arena, json_string(one, "sent", "")),
                .submission_id = submission_id(arena, one)};
    }
    return count;
}

int desk_parked_due(const struct desk *desk, struct arena *arena, const char *after,
                    int64_t now_ms, struct desk_parked_due *due_r)
{
    const struct context context = {.desk = desk, .arena = arena, .now_ms = now_ms};
    struct value value;
    struct store_page page = {.max = 1};
    *due_r = (struct desk_parked_due){0};
    if (store_values(desk->store, arena, VALUE_PARKED, after, now_ms, &value, &page) < 0)
        return -1;
    if (page.count == 0)
        return 1;
    freed_by(put_parked) struct parked parked = {0};
    if (read_parked(&context, value.key, &parked) < 0)
        return -1;
    struct json_object *list = list_of(&parked);
    due_r->after = value.key;
    due_r->drafts = arena_alloc(arena, (json_object_array_length(list) + 1) *
                                           sizeof due_r->drafts[0]);
    due_r->count = add_due(&context, arena, value.key, list, due_r->drafts);
    return 1;
}
