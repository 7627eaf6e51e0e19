/* Signing in, and how fast passwords can be guessed. Three counts of failures:
 *
 *   pair     a name from a network     10 in an hour
 *   network  whatever name from there  10 in an hour
 *   name     from whatever network    100 in an hour
 *
 * A full count slows down and closes nothing: for an hour there is one try each 30
 * seconds, then it begins again at zero. A network from which a name signed in within
 * 30 days is known to it: there the pair alone counts, so nobody elsewhere, and
 * nobody with other names, slows the name's owner down. A browser with which it
 * signed in, told by a cookie, is known too, wherever it comes from, and is the pair's
 * network then: nobody else's tries count there, not even those of the same network.
 * Names that nobody has are counted as others are. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "staff/staff_inside.h"
#include "staff/staff_secret.h"

enum count { COUNT_PAIR, COUNT_NETWORK, COUNT_NAME, COUNT_COUNT };

static const uint32_t count_max[COUNT_COUNT] = {
    [COUNT_PAIR] = SIGN_IN_TRIES, [COUNT_NETWORK] = SIGN_IN_TRIES,
    [COUNT_NAME] = SIGN_IN_TRIES_OF_NAME};

enum {
    COUNT_KEY_SIZE = 200,
    NETWORK_MAX_CHARS = 100,
    KEPT_PAGE = 50,
    BROWSER_SIZE = sizeof "browser:" + SECRET_HASH_SIZE,
};
_Static_assert(BROWSER_SIZE <= NETWORK_MAX_CHARS, "a browser can stand where a network does");

struct failures_counted {
    char key[COUNT_KEY_SIZE]; /* "": it does not count here */
    bool slow;                /* it was full, less than an hour ago */
    uint32_t failures;        /* with this try, while it is not slow */
};

struct try {
    enum familiarity known;
    /* What is kept of a known network and a known browser; "": of a name that nobody can have,
     * or without a cookie. */
    char known_network[COUNT_KEY_SIZE], known_browser[COUNT_KEY_SIZE];
    struct failures_counted counts[COUNT_COUNT];
};

/* A slow count's tries stand under a key of their own. */
struct slow_key {
    char text[COUNT_KEY_SIZE + 8];
};

static struct slow_key slow_key_of(const char *key)
{
    struct slow_key slow;
    snprintf(slow.text, sizeof slow.text, "%s slow", key);
    return slow;
}

static void pair_key(char key_r[COUNT_KEY_SIZE], const char *name, const char *network)
{
    snprintf(key_r, COUNT_KEY_SIZE, "sign-in:pair:%s:%.*s", name, NETWORK_MAX_CHARS, network);
}

static void network_key(char key_r[COUNT_KEY_SIZE], const char *network)
{
    snprintf(key_r, COUNT_KEY_SIZE, "sign-in:address:%.*s", NETWORK_MAX_CHARS, network);
}

static void name_key(char key_r[COUNT_KEY_SIZE], const char *name)
{
    snprintf(key_r, COUNT_KEY_SIZE, "sign-in:name:%s", name);
}

static void known_key(char key_r[COUNT_KEY_SIZE], const char *name, const char *place)
{
    snprintf(key_r, COUNT_KEY_SIZE, "%s %.*s", name, NETWORK_MAX_CHARS, place);
}

/* Only a hash of the cookie is kept, as of a session's. */
static bool name_browser(const char *cookie, char browser_r[BROWSER_SIZE])
{
    char hash[SECRET_HASH_SIZE];
    if (cookie == NULL || !staff_secret_well_formed(cookie))
        return false;
    staff_secret_hash(cookie, hash);
    snprintf(browser_r, BROWSER_SIZE, "browser:%s", hash);
    return true;
}

/* 1, 0, -1. */
static int is_known(struct store *store, const char *key, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct kept kept;
    return key[0] == '\0' ? 0 : store_kept(store, arena, KEPT_KNOWN, key, now_ms, &kept);
}

/* Whether the name is known there, and what counts as the pair's network. 1 or -1. */
static int begin_name(struct store *store, const struct sign_in *sign_in, struct try *try)
{
    char browser[BROWSER_SIZE];
    known_key(try->known_network, sign_in->name, sign_in->network);
    if (name_browser(sign_in->browser, browser))
        known_key(try->known_browser, sign_in->name, browser);
    int by_network = is_known(store, try->known_network, sign_in->now_ms);
    int by_browser = is_known(store, try->known_browser, sign_in->now_ms);
    if (by_network < 0 || by_browser < 0)
        return -1;
    try->known = by_browser == 1   ? FAMILIARITY_BROWSER
                 : by_network == 1 ? FAMILIARITY_NETWORK
                                   : FAMILIARITY_NONE;
    pair_key(try->counts[COUNT_PAIR].key, sign_in->name,
             by_browser == 1 ? browser : sign_in->network);
    return 1;
}

/* Which counts concern the try. 1 or -1. */
static int begin_try(struct store *store, const struct sign_in *sign_in, struct try *try)
{
    *try = (struct try){0};
    bool has_name = staff_name_well_formed(sign_in->name);
    if (has_name && begin_name(store, sign_in, try) < 1)
        return -1;
    if (!try->known)
        network_key(try->counts[COUNT_NETWORK].key, sign_in->network);
    if (has_name && !try->known)
        name_key(try->counts[COUNT_NAME].key, sign_in->name);
    return 1;
}

/* ---- before the password is looked at ------------------------------------------------------ */

/* What is kept under the key, unless it ends so late that a wrong clock began it: nothing lasts longer
 * than `longest_ms`. 1, 0, -1. */
static int kept_in_time(struct store *store, struct arena *arena, enum kept_kind kind,
                        const char *key, int64_t longest_ms, int64_t now_ms, struct kept *kept_r)
{
    int found = store_kept(store, arena, kind, key, now_ms, kept_r);
    if (found < 1 || kept_r->until_ms <= now_ms + longest_ms + CLOCK_AHEAD_MS)
        return found;
    return store_forget(store, kind, key, now_ms, NULL) < 0 ? -1 : 0;
}

/* Whether the count leaves no try at this moment; nothing is counted. 1 with *free_at_r, 0, -1. */
static int has_to_wait(struct store *store, struct failures_counted *counted, int64_t now_ms,
                       int64_t *free_at_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct slow_key slow = slow_key_of(counted->key);
    struct kept kept;
    int found = kept_in_time(store, arena, KEPT_BLOCK, counted->key, SIGN_IN_SPAN_MS, now_ms,
                             &kept);
    counted->slow = found == 1;
    if (found < 1)
        return found;
    found = kept_in_time(store, arena, KEPT_TRIES, slow.text, SIGN_IN_SLOW_MS, now_ms, &kept);
    if (found == 1)
        *free_at_r = kept.until_ms;
    return found;
}

static int any_has_to_wait(struct store *store, struct try *try, int64_t now_ms,
                           int64_t *free_at_r)
{
    int64_t latest = 0;
    for (int i = 0; i < COUNT_COUNT; i++) {
        int64_t free_at = 0;
        int waits = try->counts[i].key[0] == '\0'
                        ? 0
                        : has_to_wait(store, &try->counts[i], now_ms, &free_at);
        if (waits < 0)
            return -1;
        if (waits == 1 && free_at > latest)
            latest = free_at;
    }
    *free_at_r = latest;
    return latest > 0;
}

/* 1; 0 another try came first: *free_at_r; -1. */
static int take_slow_try(struct store *store, const char *key, int64_t now_ms, int64_t *free_at_r)
{
    uint32_t one;
    return store_try(store, slow_key_of(key).text, now_ms, SIGN_IN_SLOW_MS, 1, &one, free_at_r);
}

static int count_one(struct store *store, struct failures_counted *counted, uint32_t max,
                     int64_t now_ms,
                     int64_t *free_at_r)
{
    if (counted->slow)
        return take_slow_try(store, counted->key, now_ms, free_at_r);
    int taken = store_try(store, counted->key, now_ms, SIGN_IN_SPAN_MS, max, &counted->failures,
                          free_at_r);
    if (taken == 0) /* others are looked at in this moment, the last ones before it is slow */
        *free_at_r = now_ms + SIGN_IN_SLOW_MS;
    return taken;
}

/* Counts the try before anybody knows how it ends, so that parallel tries gain nothing. The
 * network's own come first: what they refuse takes nothing from the name's. 1, 0, -1. */
static int count_try(struct store *store, struct try *try, int64_t now_ms, int64_t *free_at_r)
{
    for (int i = 0; i < COUNT_COUNT; i++) {
        int taken = try->counts[i].key[0] == '\0'
                        ? 1
                        : count_one(store, &try->counts[i], count_max[i], now_ms, free_at_r);
        if (taken < 1)
            return taken;
    }
    return 1;
}

/* ---- after it --------------------------------------------------------------------------------- */

/* The last failure that a count holds makes it slow. All of them are too old to count when that
 * ends. 1 it is from now on, 0, -1. */
static int slow_down(struct store *store, const struct failures_counted *counted, uint32_t max,
                     int64_t now_ms)
{
    struct kept block = {.key = counted->key, .value = "", .until_ms = now_ms + SIGN_IN_SPAN_MS};
    int64_t free_at;
    if (counted->key[0] == '\0' || counted->slow || counted->failures < max)
        return 0;
    /* taken first: who sees that it is slow must not find a try that nobody has taken */
    if (take_slow_try(store, counted->key, now_ms, &free_at) < 0)
        return -1;
    return store_keep_new(store, KEPT_BLOCK, &block, now_ms, NULL);
}

static int note_failure(struct store *store, struct sign_in *sign_in, const struct try *try)
{
    bool *const slowed[COUNT_COUNT] = {[COUNT_PAIR] = &sign_in->pair_slowed,
                                       [COUNT_NETWORK] = &sign_in->network_slowed,
                                       [COUNT_NAME] = &sign_in->name_slowed};
    for (int i = 0; i < COUNT_COUNT; i++) {
        int begun = slow_down(store, &try->counts[i], count_max[i], sign_in->now_ms);
        if (begun < 0)
            return -1;
        *slowed[i] = begun == 1;
    }
    return SIGN_IN_WRONG;
}

/* The count is as if nothing had been. 1 or -1. */
static int forget_count(struct store *store, const char *key, int64_t now_ms)
{
    return store_forget(store, KEPT_TRIES, key, now_ms, NULL) < 0 ||
                   store_forget(store, KEPT_BLOCK, key, now_ms, NULL) < 0 ||
                   store_forget(store, KEPT_TRIES, slow_key_of(key).text, now_ms, NULL) < 0
               ? -1
               : 1;
}

/* 1 or -1. */
static int keep_known(struct store *store, const char *key, int64_t now_ms)
{
    struct kept known = {.key = key, .value = "", .until_ms = now_ms + SIGN_IN_KNOWN_MS};
    return key[0] == '\0' ? 1 : store_keep(store, KEPT_KNOWN, &known, now_ms, NULL);
}

/* Who is in has made no failures. The network's are forgotten for the first sign-in from there
 * alone (an office of many people has one), lest an account of one's own buys guesses at others.
 * The name's stay: they are others'. */
static int note_success(struct store *store, const struct sign_in *sign_in, const struct try *try)
{
    if (keep_known(store, try->known_network, sign_in->now_ms) < 1 ||
        keep_known(store, try->known_browser, sign_in->now_ms) < 1 ||
        forget_count(store, try->counts[COUNT_PAIR].key, sign_in->now_ms) < 1)
        return -1;
    return try->known ? 1
                      : forget_count(store, try->counts[COUNT_NETWORK].key, sign_in->now_ms);
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* With a place, so that the password can be looked at. */
static int look_at_password(struct store *store, struct sign_in *sign_in, struct try *try)
{
    freed_by(json_put) struct json_object *account = NULL;
    int counted = count_try(store, try, sign_in->now_ms, &sign_in->free_at_ms);
    if (counted < 1)
        return counted < 0 ? -1 : SIGN_IN_BLOCKED;
    if (staff_name_well_formed(sign_in->name) &&
        staff_read_account(store, sign_in->name, sign_in->now_ms, &account) < 0)
        return -1;
    const char *hash = account != NULL ? json_string(account, "password", NULL) : NULL;
    if (!staff_password_fits(sign_in->password, hash, try->known))
        return note_failure(store, sign_in, try);
    if (staff_codes_in(account))
        return staff_begin_waiting(store, sign_in->name, account, sign_in->now_ms,
                                   sign_in->cookie) < 1
                   ? -1
                   : SIGN_IN_CODE;
    if (note_success(store, sign_in, try) < 1 ||
        staff_begin_session(store, sign_in->name, account, sign_in->now_ms, sign_in->cookie) < 1)
        return -1;
    return SIGNED_IN;
}

void staff_new_browser(char cookie_r[SECRET_TEXT_SIZE])
{
    staff_secret_make(cookie_r);
}

bool staff_browser_well_formed(const char *cookie)
{
    return staff_secret_well_formed(cookie);
}

int staff_sign_in(struct store *store, struct sign_in *sign_in)
{
    struct try try;
    sign_in->pair_slowed = sign_in->network_slowed = sign_in->name_slowed = false;
    if (begin_try(store, sign_in, &try) < 1)
        return -1;
    int waits = any_has_to_wait(store, &try, sign_in->now_ms, &sign_in->free_at_ms);
    if (waits != 0)
        return waits < 0 ? -1 : SIGN_IN_BLOCKED;
    if (!staff_password_take(try.known))
        return SIGN_IN_BUSY;
    int result = look_at_password(store, sign_in, &try);
    staff_password_leave(try.known);
    return result;
}

/* ---- the second step ------------------------------------------------------------------------------ */

/* Of a known browser by itself, so that nobody who has the password keeps its owner out. */
static void code_key(char key_r[COUNT_KEY_SIZE], const char *name, const char *browser)
{
    snprintf(key_r, COUNT_KEY_SIZE, "sign-in:code:%s:%.*s", name, NETWORK_MAX_CHARS, browser);
}

/* 1 with name and stamp; 0 it is none, or no longer; -1. */
static int read_waiting(struct store *store, const char *waiting, int64_t now_ms,
                        char name_r[STAFF_NAME_MAX + 1], char stamp_r[SECRET_TEXT_SIZE])
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(json_put) struct json_object *session = NULL;
    char key[SECRET_HASH_SIZE];
    struct kept kept;
    if (!staff_secret_well_formed(waiting))
        return 0;
    staff_secret_hash(waiting, key);
    int found = store_kept(store, arena, KEPT_SESSION, key, now_ms, &kept);
    if (found < 1)
        return found;
    session = json_read(kept.value);
    snprintf(name_r, STAFF_NAME_MAX + 1, "%s", json_string(session, "name", ""));
    snprintf(stamp_r, SECRET_TEXT_SIZE, "%s", json_string(session, "stamp", ""));
    return json_is_true(session, "waits") && staff_name_well_formed(name_r);
}

/* Whether the password is the same as when it was asked for. 1, 0, -1. */
static int still_holds(struct store *store, const char *name, const char *stamp, int64_t now_ms)
{
    freed_by(json_put) struct json_object *account = NULL;
    int found = staff_read_account(store, name, now_ms, &account);
    return found < 1 ? found : staff_secret_same(stamp, json_string(account, "stamp", ""));
}

/* Signed in, with all that this begins and ends. 1 or -1. */
static int let_in(struct store *store, struct sign_in *sign_in, const struct try *try,
                  const char *waiting, const char *tries)
{
    freed_by(json_put) struct json_object *account = NULL;
    if (note_success(store, sign_in, try) < 1 ||
        store_forget(store, KEPT_TRIES, tries, sign_in->now_ms, NULL) < 0 ||
        staff_sign_out(store, waiting, sign_in->now_ms) < 1 ||
        staff_read_account(store, sign_in->name, sign_in->now_ms, &account) < 1)
        return -1;
    return staff_begin_session(store, sign_in->name, account, sign_in->now_ms, sign_in->cookie);
}

int staff_sign_in_code(struct store *store, struct sign_in *sign_in, struct sign_in_code *code)
{
    char stamp[SECRET_TEXT_SIZE], tries[COUNT_KEY_SIZE], browser[BROWSER_SIZE] = "";
    struct try try;
    uint32_t count;
    int found = read_waiting(store, code->waiting, sign_in->now_ms, code->name, stamp);
    if (found > 0)
        found = still_holds(store, code->name, stamp, sign_in->now_ms);
    if (found < 1)
        return found < 0 ? -1 : SIGN_IN_LATE;
    sign_in->name = code->name;
    if (begin_try(store, sign_in, &try) < 1)
        return -1;
    if (try.known == FAMILIARITY_BROWSER)
        name_browser(sign_in->browser, browser);
    code_key(tries, code->name, browser);
    int taken = store_try(store, tries, sign_in->now_ms, SIGN_IN_SPAN_MS, SIGN_IN_TRIES, &count,
                          &sign_in->free_at_ms);
    if (taken < 1)
        return taken < 0 ? -1 : SIGN_IN_BLOCKED;
    struct code_given given = {.key = code->key, .stamp = stamp, .code = code->code,
                               .recovery = strspn(code->code, "0123456789 ") != strlen(code->code),
                               .now_ms = sign_in->now_ms};
    int used = staff_code_use(store, code->name, &given);
    if (used < 1)
        return used < 0 ? -1 : SIGN_IN_WRONG;
    return let_in(store, sign_in, &try, code->waiting, tries) < 1 ? -1 : SIGNED_IN;
}

/* ---- ending it ----------------------------------------------------------------------------------- */

/* Forgets what is kept under a key; `rest`: what stands behind its beginning. 1 or -1. */
typedef int forget_key(struct store *store, const char *key, const char *rest, int64_t now_ms);

/* All that is kept as that kind under keys that begin so. 1 or -1. */
static int forget_all(struct store *store, enum kept_kind kind, const char *beginning,
                      forget_key *forget, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct kept found[KEPT_PAGE];
    struct store_page page = {.max = KEPT_PAGE, .more = true};
    char after[KEPT_KEY_MAX + 1];
    snprintf(after, sizeof after, "%s", beginning);
    while (page.more) {
        arena_reset(arena);
        if (store_kept_list(store, arena, kind, after, now_ms, found, &page) < 1)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            if (strncmp(found[i].key, beginning, strlen(beginning)) != 0)
                return 1;
            if (forget(store, found[i].key, found[i].key + strlen(beginning), now_ms) < 1)
                return -1;
        }
        if (page.more)
            snprintf(after, sizeof after, "%s", found[page.count - 1].key);
    }
    return 1;
}

/* The count of a pair, and of the network in it: what somebody failed with this name from there must
 * not hold its owner up. */
static int forget_pair(struct store *store, const char *key, const char *rest, int64_t now_ms)
{
    char of_network[COUNT_KEY_SIZE], pair[COUNT_KEY_SIZE], network[NETWORK_MAX_CHARS + 1];
    int length = (int)strcspn(rest, " "); /* a slow count's key ends with " slow" */
    snprintf(network, sizeof network, "%.*s", length, rest);
    snprintf(pair, sizeof pair, "%.*s", (int)(rest - key) + length, key);
    network_key(of_network, network);
    return forget_count(store, pair, now_ms) < 1 || forget_count(store, of_network, now_ms) < 1
               ? -1
               : 1;
}

static int forget_tries(struct store *store, const char *key, const char *rest, int64_t now_ms)
{
    (void)rest;
    return store_forget(store, KEPT_TRIES, key, now_ms, NULL) < 0 ? -1 : 1;
}

int staff_forget_failures(struct store *store, const char *name, int64_t now_ms)
{
    char key[COUNT_KEY_SIZE], pairs[COUNT_KEY_SIZE], codes[COUNT_KEY_SIZE];
    name_key(key, name);
    pair_key(pairs, name, "");
    code_key(codes, name, "");
    return forget_count(store, key, now_ms) < 1 ||
                   staff_own_forget_tries(store, name, now_ms) < 1 ||
                   forget_tries(store, codes, "", now_ms) < 1 ||
                   forget_all(store, KEPT_TRIES, codes, forget_tries, now_ms) < 1 ||
                   forget_all(store, KEPT_TRIES, pairs, forget_pair, now_ms) < 1 ||
                   forget_all(store, KEPT_BLOCK, pairs, forget_pair, now_ms) < 1
               ? -1
               : 1;
}

int staff_unlock(struct store *store, const char *name, const char *network,
                 const struct action *action, struct problem *problem)
{
    char known[COUNT_KEY_SIZE] = "", detail[COUNT_KEY_SIZE] = "{}";
    freed_by(json_put) struct json_object *account = NULL;
    if (!staff_check_name(name, problem))
        return 0;
    int found = staff_read_account(store, name, action->now_ms, &account);
    if (found < 1)
        return found < 0 ? -1 : staff_no_account(name, problem);
    if (network != NULL) { /* in key form there is nothing in it that JSON escapes */
        known_key(known, name, network);
        snprintf(detail, sizeof detail, "{\"network\":\"%.*s\"}", NETWORK_MAX_CHARS, network);
    }
    struct audited audited = {"staff_unlock", name, detail, action};
    return staff_forget_failures(store, name, action->now_ms) < 1 ||
                   keep_known(store, known, action->now_ms) < 1 ||
                   store_write_audit(store, &audited) < 1
               ? -1
               : 1;
}
