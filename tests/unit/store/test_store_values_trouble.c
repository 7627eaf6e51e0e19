/* Versioned values where things go wrong: random steps beside a model, programs that change the
 * same ones, programs that are killed, a database that is away, locked or full. SENDGUARD_SEED
 * repeats a run. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

#define ALICE "alice@example.test"
enum { SHORT_TIMEOUT_MS = 400 };

static struct values_done done;

/* ---- a model ------------------------------------------------------------------------------- */

enum { KEYS = 30, MODEL_STEPS = 1500, LENGTH_MAX = 3000, MODEL_MESSAGES = 12 };

/* What a value is, as the model has it, whether it is past or not. */
static struct known {
    uint32_t version;
    int64_t until_ms;
    size_t length;
    unsigned char byte; /* all of its bytes */
} model[VALUE_KIND_COUNT][KEYS];
static bool counted[MODEL_MESSAGES]; /* messages that were judged and not refunded */

static const char *key_of(int number) { return arena_printf(arena, "%03d key", number); }

static bool holds(const struct known *known, int64_t now_ms)
{
    return known->version != 0 && known->until_ms > now_ms;
}

static void check_value(const struct value *value, const struct known *known, int64_t now_ms)
{
    ck_assert_uint_eq(value->version, holds(known, now_ms) ? known->version : 0);
    if (!holds(known, now_ms))
        return;
    ck_assert_int_eq(value->until_ms, known->until_ms);
    ck_assert_uint_eq(value->length, known->length);
    for (size_t i = 0; i < value->length; i++)
        ck_assert_uint_eq(((const unsigned char *)value->bytes)[i], known->byte);
}

static void check_model(int64_t now_ms)
{
    struct value values[VALUE_KIND_COUNT * KEYS];
    for (int i = 0; i < (int)countof(values); i++)
        values[i] = (struct value){.kind = (enum value_kind)(i / KEYS), .key = key_of(i % KEYS)};
    ck_assert_int_eq(store_values_get(store, arena, values, countof(values), now_ms), 1);
    for (int i = 0; i < (int)countof(values); i++)
        check_value(&values[i], &model[i / KEYS][i % KEYS], now_ms);
    for (int kind = VALUE_CURSOR; kind <= VALUE_OPEN; kind++) {
        struct store_page page = {.max = 1 + (size_t)below(KEYS), .more = true};
        const char *after = "";
        int number = -1;
        while (page.more) {
            ck_assert_int_eq(store_values(store, arena, (enum value_kind)kind, after, now_ms,
                                          values, &page), 1);
            for (size_t i = 0; i < page.count; i++) {
                while (++number < KEYS && !holds(&model[kind][number], now_ms))
                    ;
                ck_assert_int_lt(number, KEYS);
                ck_assert_str_eq(values[i].key, key_of(number));
                check_value(&values[i], &model[kind][number], now_ms);
                after = values[i].key;
            }
        }
        while (++number < KEYS)
            ck_assert(!holds(&model[kind][number], now_ms));
    }
}

/* A change of a random value, as a rule one that finds the version that it replaces. */
static struct value_change random_change(int place, int64_t now_ms)
{
    const struct known *known = &model[place / KEYS][place % KEYS];
    uint32_t there = holds(known, now_ms) ? known->version : 0;
    size_t length = percent(20) ? 0 : 1 + (size_t)below(percent(10) ? LENGTH_MAX : 20);
    return (struct value_change){
        .value = {.kind = (enum value_kind)(place / KEYS),
                  .key = key_of(place % KEYS),
                  .bytes = memset(arena_alloc(arena, LENGTH_MAX), below(256), LENGTH_MAX),
                  .length = length,
                  .until_ms = percent(40) ? UNTIL_LIFTED : now_ms + below(50) - 3},
        .replaces = percent(90) ? there : percent(40) ? VALUE_ANY : (uint32_t)below(2)};
}

/* What the model says of a step: the number of the change that is refused, `count` for none. */
static size_t refused_by_model(const struct value_change *changes, const int *places, size_t count,
                               int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        const struct known *known = &model[places[i] / KEYS][places[i] % KEYS];
        uint32_t there = holds(known, now_ms) ? known->version : 0;
        if (changes[i].replaces != VALUE_ANY && changes[i].replaces != there)
            return i;
    }
    return count;
}

static void change_model(const struct value_change *change, struct known *known, uint32_t version,
                         int64_t now_ms)
{
    const struct value *value = &change->value;
    bool stays = value->length > 0 && value->until_ms > now_ms;
    ck_assert_int_eq(version != 0, stays);
    if (stays && holds(known, now_ms))
        ck_assert_uint_ne(version, known->version);
    *known = (struct known){version, value->until_ms, value->length,
                            stays ? *(const unsigned char *)value->bytes : 0};
}

static void random_step(int64_t now_ms)
{
    enum { MOST = 12 };
    struct value_change changes[MOST];
    struct value_refund refunds[3];
    int places[MOST], messages[3];
    size_t count = (size_t)below(MOST), refund_count = percent(30) ? (size_t)below(4) : 0;
    int place = below(VALUE_KIND_COUNT * KEYS);
    for (size_t i = 0; i < count; i++) {
        places[i] = place = (place + 1 + below(10)) % (VALUE_KIND_COUNT * KEYS);
        changes[i] = random_change(place, now_ms);
    }
    for (size_t i = 0; i < refund_count; i++) {
        messages[i] = below(MODEL_MESSAGES);
        refunds[i] = (struct value_refund){ALICE, arena_printf(arena, "m-%d", messages[i]), 0};
    }
    const struct values_step step = {.changes = changes, .count = count, .refunds = refunds,
                                     .refund_count = refund_count, .now_ms = now_ms};
    size_t refused = refused_by_model(changes, places, count, now_ms);
    int answer = store_values_change(store, &step, &done);
    ck_assert_msg(answer == (refused == count), "%d: %s", answer, store_error(store));
    if (answer == 0)
        ck_assert_uint_eq(done.refused, refused);
    for (size_t i = 0; i < count && answer > 0; i++)
        change_model(&changes[i], &model[places[i] / KEYS][places[i] % KEYS], done.versions[i],
                     now_ms);
    for (size_t i = 0; i < refund_count && answer > 0; i++) {
        ck_assert_int_eq(done.refunded[i], counted[messages[i]]);
        counted[messages[i]] = false;
    }
}

START_TEST(random_steps_beside_a_model)
{
    backend_begin(_i);
    chance_begin();
    memset(model, 0, sizeof model);
    send_messages(ALICE, "m", MODEL_MESSAGES, NOW, 0);
    for (int i = 0; i < MODEL_MESSAGES; i++)
        counted[i] = true;
    int64_t now_ms = NOW;
    for (int i = 0; i < times(MODEL_STEPS); i++) {
        now_ms += percent(1) ? MINUTE_MS : below(4);
        random_step(now_ms);
        if (i % 10 == 0)
            check_model(now_ms);
        if (percent(1))
            ck_assert_int_eq(store_sweep(store, now_ms), 1);
        if (percent(2)) {
            uint64_t left = 0;
            for (int k = 0; k < MODEL_MESSAGES; k++)
                left += counted[k];
            ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, now_ms), left);
            arena_reset(arena);
        }
    }
}
END_TEST

/* ---- programs that follow ------------------------------------------------------------------- */

/* A follower reads its cursor and a counter, and moves the cursor on with effects: the message of
 * that number is refunded, the counter of its kind of line is one more, a value opens or goes. */
enum { COUNTERS = 5, LINES_MAX = 600 };

struct follower {
    struct value cursor, counter;
    long line;
};

static long number_of(const struct value *value)
{
    return value->version != 0 ? strtol(value->bytes, NULL, 10) : 0;
}

static struct value_change change_to(const struct value *from, const char *text)
{
    struct value value = *from;
    value.bytes = text;
    value.length = strlen(text);
    value.until_ms = NOW + DAY_MS;
    return (struct value_change){value, from->version};
}

static void read_place(struct follower *follower, struct arena *own)
{
    struct value *cursor = &follower->cursor, *counter = &follower->counter;
    *cursor = (struct value){.kind = VALUE_CURSOR, .key = "log"};
    ck_assert_msg(store_values_get(store, own, cursor, 1, NOW) == 1, "%s", store_error(store));
    follower->line = number_of(cursor);
    *counter = (struct value){
        .kind = VALUE_TRACE, .key = arena_printf(own, "counter %ld", follower->line % COUNTERS)};
    ck_assert_msg(store_values_get(store, own, counter, 1, NOW) == 1, "%s", store_error(store));
}

/* 1 done, 0 another one was there before. */
static int take_line(struct follower *follower, struct arena *own)
{
    const struct value open = {.kind = VALUE_OPEN,
                               .key = arena_printf(own, "q%ld", follower->line / 2)};
    const struct value_change changes[] = {
        change_to(&follower->cursor, arena_printf(own, "%ld", follower->line + 1)),
        change_to(&follower->counter,
                  arena_printf(own, "%ld", number_of(&follower->counter) + 1)),
        {.value = change_to(&open, follower->line % 2 == 0 ? "waits" : "").value,
         .replaces = VALUE_ANY}};
    const struct value_refund refund = {ALICE, arena_printf(own, "m-%ld", follower->line), 0};
    struct values_step step = {.changes = changes, .count = countof(changes), .refunds = &refund,
                               .refund_count = 1, .now_ms = NOW};
    return store_values_change(store, &step, &done);
}

/* All that the lines before the cursor do is done, and nothing of those behind: how far it is. */
static long check_followed(int messages)
{
    struct follower follower;
    struct value opens[4];
    struct store_page page = {.max = countof(opens)};
    long sum = 0;
    read_place(&follower, arena);
    for (long i = 0; i < COUNTERS; i++) {
        struct value counter = {.kind = VALUE_TRACE,
                                .key = arena_printf(arena, "counter %ld", i)};
        ck_assert_int_eq(store_values_get(store, arena, &counter, 1, NOW), 1);
        long expected = follower.line / COUNTERS + (i < follower.line % COUNTERS);
        ck_assert_msg(number_of(&counter) == expected, "counter %ld is %ld at line %ld", i,
                      number_of(&counter), follower.line);
        sum += number_of(&counter);
    }
    ck_assert_int_eq(sum, follower.line);
    ck_assert_int_eq(store_values(store, arena, VALUE_OPEN, "", NOW, opens, &page), 1);
    ck_assert_uint_eq(page.count, (size_t)(follower.line % 2));
    uint64_t left = (uint64_t)(messages > follower.line ? messages - follower.line : 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), left);
    return follower.line;
}

static void begin_following(int backend, int messages)
{
    backend_begin(backend);
    for (int i = 0; i < messages; i++) {
        struct message message = message_of(ALICE, arena_printf(arena, "m-%d", i), NOW);
        for (size_t k = 0; k < message.request.window_count; k++)
            message.request.windows[k].limit = LIMIT_OFF;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
}

/* Follows up to that line; returns how many lines were its own. Exits with 0, or as check does. */
static void follow(long last, int tell)
{
    struct arena *own = arena_new();
    struct follower follower;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
    for (read_place(&follower, own); follower.line < last; read_place(&follower, own)) {
        int answer = take_line(&follower, own);
        if (answer < 0)
            _exit(1);
        if (answer > 0 && write(tell, "", 1) != 1)
            _exit(2);
        arena_reset(own);
    }
    _exit(0);
}

static pid_t start_follower(long last, int tell[2])
{
    ck_assert_int_eq(pipe2(tell, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        follow(last, tell[1]);
    close(tell[1]);
    return child;
}

/* Two at once: of each line's two tries one wins, and no line is done twice or left out. */
START_TEST(two_programs_change_the_same_values)
{
    enum { PROGRAMS = 2 };
    pid_t children[PROGRAMS];
    int tell[PROGRAMS][2], status;
    int lines = times(LINES_MAX);
    long won[PROGRAMS] = {0};
    begin_following(_i, lines / 2);
    store_free(&store);
    for (int i = 0; i < PROGRAMS; i++)
        children[i] = start_follower(lines, tell[i]);
    for (int i = 0; i < PROGRAMS; i++) {
        char bytes[LINES_MAX];
        for (ssize_t count; (count = read(tell[i][0], bytes, sizeof bytes)) > 0;)
            won[i] += count;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
        close(tell[i][0]);
    }
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
    ck_assert_int_eq(check_followed(lines / 2), lines);
    ck_assert_int_eq(won[0] + won[1], lines);
}
END_TEST

/* Waits until some lines were told, at most `count`, then a moment, and kills it. */
static void kill_behind(pid_t child, int told, int count)
{
    char byte;
    int status;
    while (count-- > 0)
        if (read(told, &byte, 1) != 1)
            break;
    for (int64_t until_us = clock_monotonic_us() + below(6000); clock_monotonic_us() < until_us;)
        ;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "a follower failed");
}

/* kill -9 at any moment: the cursor and the effects are never apart, and the next one goes on. */
START_TEST(killed_programs_leave_whole_steps)
{
    enum { KILLS = 200 };
    int messages = 500;
    long line = 0;
    begin_following(_i, messages);
    chance_begin();
    store_free(&store);
    for (int i = 0; i < times(KILLS); i++) {
        int tell[2];
        pid_t child = start_follower(1000000, tell);
        kill_behind(child, tell[0], 1 + below(4));
        close(tell[0]);
        store = backend_open(backend_url(), TEST_TIMEOUT_MS);
        long now = check_followed(messages);
        ck_assert_int_gt(now, line);
        line = now;
        store_free(&store);
        arena_reset(arena);
    }
}
END_TEST

/* ---- a database that is away, locked or full ------------------------------------------------ */

/* A line that finds no answer; or more than one. 1 when there was one. */
static int try_lines(int count)
{
    struct arena *own = arena_new();
    struct follower follower;
    int answer = 1;
    for (int i = 0; i < count && answer == 1; i++) {
        struct value cursor = {.kind = VALUE_CURSOR, .key = "log"};
        answer = store_values_get(store, own, &cursor, 1, NOW);
        if (answer == 1) {
            read_place(&follower, own);
            answer = take_line(&follower, own);
        }
        arena_reset(own);
    }
    arena_free(&own);
    return answer;
}

START_TEST(away_and_back)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    struct value value;
    struct store_page page = {.max = 1};
    begin_following(BACKEND_REDIS, 0);
    folder_make(own_folder);
    redis_server_start(&server, own_folder, NULL, NULL);
    store_free(&store);
    store = backend_open(server.url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(try_lines(7), 1);
    store_free(&store);
    store = backend_open(server.url, SHORT_TIMEOUT_MS);
    while (store_values(store, arena, VALUE_OPEN, "", NOW, &value, &page) < 0)
        ; /* now it has a connection; what waits there is read too late for a change */
    redis_server_freeze(&server);
    struct value_change change = {.value = {.kind = VALUE_CURSOR, .key = "log", .bytes = "99",
                                            .length = 2, .until_ms = UNTIL_LIFTED},
                                  .replaces = VALUE_ANY};
    struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, &done), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "no answer within"));
    redis_server_thaw(&server);
    store_free(&store);
    store = backend_open(server.url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(check_followed(0), 7);
    redis_server_stop(&server);
    ck_assert_int_eq(store_values_change(store, &step, &done), -1);
    ck_assert_int_eq(store_value(store, arena, VALUE_CURSOR, "log", NOW, &value), -1);
    ck_assert_int_eq(store_values(store, arena, VALUE_OPEN, "", NOW, &value, &page), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "redis at"));
    redis_server_start(&server, own_folder, NULL, NULL);
    ck_assert_int_eq(try_lines(3), 1);
    ck_assert_int_eq(check_followed(0), 3); /* it kept nothing on disk */
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

START_TEST(locked_and_free_again)
{
    sqlite3 *db;
    begin_following(BACKEND_SQLITE, 0);
    ck_assert_int_eq(try_lines(5), 1);
    store_free(&store);
    store = backend_open(backend_url(), SHORT_TIMEOUT_MS);
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t began_us = clock_monotonic_us();
    ck_assert_int_eq(try_lines(1), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "locked"));
    ck_assert_int_lt(clock_monotonic_us() - began_us, 10000 * SHORT_TIMEOUT_MS);
    ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    store_free(&store);
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
    ck_assert_int_eq(check_followed(0), 5);
    ck_assert_int_eq(try_lines(1), 1);
    ck_assert_int_eq(check_followed(0), 6);
}
END_TEST

/* Fills the store with values until there is no room; steps then do nothing, and go on when there
 * is. */
static void fill_up(void)
{
    enum { MOST = 2000 };
    char *bytes = memset(arena_alloc(arena, 60000), 'x', 60000);
    int answer = 1;
    for (int i = 0; i < MOST && answer == 1; i++) {
        const struct value_change change = {
            .value = {.kind = VALUE_REPLY, .key = arena_printf(arena, "filler %d", i),
                      .bytes = bytes, .length = 60000, .until_ms = UNTIL_LIFTED},
            .replaces = 0};
        struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
        answer = store_values_change(store, &step, &done);
    }
    ck_assert_int_eq(answer, -1);
}

static int lines_until_refused(void)
{
    int lines = 0;
    while (lines < 2000 && try_lines(1) == 1)
        lines++;
    ck_assert_int_lt(lines, 2000);
    return lines;
}

START_TEST(full_disk)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=6m") != 0) {
        printf("skipped: no mounts of one's own here\n");
        return;
    }
    begin_following(BACKEND_SQLITE, 0);
    ck_assert_int_eq(try_lines(5), 1);
    fill_up();
    ck_assert_ptr_nonnull(strstr(store_error(store), "full"));
    int more = lines_until_refused();
    ck_assert_ptr_nonnull(strstr(store_error(store), "full"));
    ck_assert_int_eq(check_followed(0), 5 + more);
    ck_assert_int_eq(mount("none", folder, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    ck_assert_int_eq(try_lines(10), 1);
    ck_assert_int_eq(check_followed(0), 15 + more);
}
END_TEST

START_TEST(full_memory)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    begin_following(BACKEND_REDIS, 0);
    folder_make(own_folder);
    redis_server_start(&server, own_folder, NULL, NULL);
    store_free(&store);
    store = backend_open(server.url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(try_lines(5), 1);
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "maxmemory", "16mb"}, 4);
    fill_up();
    ck_assert_msg(strstr(store_error(store), "OOM") != NULL, "%s", store_error(store));
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "maxmemory", "1mb"}, 4);
    ck_assert_int_eq(try_lines(1), -1);
    ck_assert_msg(strstr(store_error(store), "OOM") != NULL, "%s", store_error(store));
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "maxmemory", "0"}, 4);
    ck_assert_int_eq(check_followed(0), 5);
    ck_assert_int_eq(try_lines(10), 1);
    ck_assert_int_eq(check_followed(0), 15);
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

#define BOB "bob@example.test"
#define CAROL "carol@example.test"
static const struct {
    const char *key, *row; /* in Redis; in SQLite */
} damaged[] = {{"sg:mailbox:" BOB, BOB},
               {"sg:network:192.0.2.9", "192.0.2.9"},
               {"sg:domain:@bob.test", "@bob.test"}};

/* Bytes that are no history, under its key. */
static void damage(int backend, size_t which)
{
    if (backend == BACKEND_REDIS) {
        redis_server_ask(&redis, (const char *const[]){"DEL", damaged[which].key}, 2);
        redis_server_ask(&redis, (const char *const[]){"SETRANGE", damaged[which].key, "0", "x"},
                         4);
        return;
    }
    sqlite3 *db;
    ck_assert_int_eq(store_sweep(store, NOW), 1); /* the rows are written behind */
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, arena_printf(arena, "UPDATE history_head SET data = x'ff' "
                                                   "WHERE key = '%s'", damaged[which].row),
                                  NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static void check_refunds(int of_alice, int of_bob, int of_carol)
{
    static const struct value_refund refunds[] = {
        {ALICE, "m", 0}, {BOB, "m", 0}, {CAROL, "m", 0}};
    const struct value_change cursor = {.value = {.kind = VALUE_CURSOR, .key = "log", .bytes = "1",
                                                  .length = 1, .until_ms = UNTIL_LIFTED},
                                        .replaces = VALUE_ANY};
    struct values_step step = {.changes = &cursor, .count = 1, .refunds = refunds,
                               .refund_count = countof(refunds), .now_ms = NOW + 1};
    ck_assert_msg(store_values_change(store, &step, &done) == 1, "%s", store_error(store));
    ck_assert_int_eq(done.refunded[0], of_alice);
    ck_assert_int_eq(done.refunded[1], of_bob);
    ck_assert_int_eq(done.refunded[2], of_carol);
}

/* A damaged history costs its own refund, and nothing else of the step; that refund changes neither
 * history. */
START_TEST(damaged_histories)
{
    static const char *const mailboxes[] = {ALICE, BOB, CAROL};
    size_t which = (size_t)(_i / BACKEND_KINDS);
    struct value cursor;
    backend_begin(_i % BACKEND_KINDS);
    for (size_t i = 0; i < countof(mailboxes); i++) {
        struct message message = message_of(mailboxes[i], "m", NOW);
        message.request.ip = i == 1 ? "192.0.2.9" : "192.0.2.1";
        message.request.group = i == 1 ? "@bob.test" : "@others.test";
        message.request.windows[message.request.window_count++] =
            (struct judge_window){.rule = RULE_MESSAGES_PER_HOUR_PER_DOMAIN, .limit = LIMIT_OFF};
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
    damage(_i % BACKEND_KINDS, which);
    check_refunds(1, -1, 1);
    ck_assert_int_eq(store_value(store, arena, VALUE_CURSOR, "log", NOW, &cursor), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 1), 0);
    ck_assert_uint_eq(used_of(CAROL, RULE_MESSAGES_PER_DAY, NOW + 1), 0);
    if (which > 0)
        ck_assert_uint_eq(used_of(BOB, RULE_MESSAGES_PER_DAY, NOW + 1), 1);
    check_refunds(0, -1, 0);
    ck_assert_int_eq(store_refund(store, BOB, "m", NOW + 1), -1);
    ck_assert_msg(strstr(store_error(store), "damaged") != NULL, "%s", store_error(store));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store values in trouble");
    TCase *cases = backends_case(suite, "trouble");
    tcase_add_loop_test(cases, random_steps_beside_a_model, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, two_programs_change_the_same_values, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, killed_programs_leave_whole_steps, 0, BACKEND_KINDS);
    tcase_add_test(cases, away_and_back);
    tcase_add_test(cases, locked_and_free_again);
    tcase_add_test(cases, full_disk);
    tcase_add_test(cases, full_memory);
    tcase_add_loop_test(cases, damaged_histories, 0, countof(damaged) * BACKEND_KINDS);
    return backends_run(suite);
}
