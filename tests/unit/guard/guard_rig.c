#include "tests/unit/guard/guard_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_strict.h"
#include "store/records.h"
#include "store/store.h"
#include "store/values.h"

struct guard *guard;
struct token_key *token_key;
struct keyed_hash_keys hash_keys;
static struct catalogue *built_in; /* loaded once for all tests */

struct settings *rig_settings(const char *const *overrides)
{
    struct settings *read = NULL;
    struct problem problem = {0};
    size_t count = 0;
    while (overrides[count] != NULL)
        count++;
    ck_assert_msg(settings_read(NULL, overrides, count, &read, &problem) == 1, "%s: %s",
                  problem.where, problem.text);
    return read;
}

static struct catalogue *load_catalogue(void)
{
    struct catalogue *loaded = NULL;
    struct problem problem = {0};
    ck_assert_msg(catalogue_load(NULL, &loaded, &problem) == 1, "%s: %s", problem.where,
                  problem.text);
    return loaded;
}

struct catalogue *rig_catalogue(void)
{
    if (built_in == NULL)
        built_in = load_catalogue();
    return catalogue_share(built_in);
}

/* Before the first test, whose process the others do not come from. */
static void load_built_in(void)
{
    struct catalogue *loaded = rig_catalogue();
    catalogue_free(&loaded);
}

static void free_built_in(void) { catalogue_free(&built_in); }

TCase *rig_case(Suite *suite, const char *name)
{
    TCase *cases = backends_case(suite, name);
    tcase_add_unchecked_fixture(cases, load_built_in, free_built_in);
    tcase_add_checked_fixture(cases, NULL, rig_end);
    return cases;
}

void rig_end(void)
{
    guard_free(&guard);
    token_key_free(&token_key);
}

void rig_begin(int backend, const char *const *overrides)
{
    struct problem problem = {0};
    rig_end(); /* of one that began in this test before */
    backend_begin(backend);
    const char *path = arena_printf(arena, "%s/secret", folder);
    ck_assert_msg(token_key_load(path, &token_key, &problem) == 1, "%s: %s", problem.where,
                  problem.text);
    hash_keys = (struct keyed_hash_keys){.key = token_key};
    guard = guard_new(store, token_key, rig_settings(overrides), rig_catalogue());
}

void rig_reload(const char *const *overrides)
{
    guard_reload(guard, rig_settings(overrides), load_catalogue()); /* one that ends with it */
}

/* ---- submissions ------------------------------------------------------------- */

struct submission rig_submission(const char *id)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    ck_assert_int_eq(submission_set_ip(&submission, "192.0.2.1", 9, &problem), 1);
    rig_mailbox(&submission, ALICE);
    return submission;
}

void rig_mailbox(struct submission *submission, const char *mailbox)
{
    struct problem problem;
    ck_assert_int_eq(submission_set_mailbox(submission, mailbox, strlen(mailbox), &problem), 1);
}

void rig_add(struct submission *submission, enum field field, const char *list)
{
    struct problem problem;
    ck_assert_msg(submission_add_recipients(submission, field, list, strlen(list), &problem) == 1,
                  "%s: %s", problem.where, problem.text);
}

void rig_add_many(struct submission *submission, int count, const char *prefix,
                  const char *domain)
{
    for (int i = 0; i < count; i++)
        rig_add(submission, (enum field)(i % FIELD_COUNT),
                arena_printf(arena, "%s%d@%s", prefix, i, domain));
}

struct submission rig_message(const char *id, int count)
{
    struct submission submission = rig_submission(id);
    rig_add_many(&submission, count, "r", "x.test");
    return submission;
}

/* ---- judging ------------------------------------------------------------------- */

static struct verdict judge_or_ask(const struct submission *submission, bool dry_run,
                                   int64_t now_ms)
{
    struct verdict verdict;
    ck_assert_msg(guard_judge(guard, submission, dry_run, now_ms, &verdict) == 1, "%s",
                  store_error(store));
    return verdict;
}

struct verdict rig_judge(const struct submission *submission, int64_t now_ms)
{
    return judge_or_ask(submission, false, now_ms);
}

struct verdict rig_ask(const struct submission *submission, int64_t now_ms)
{
    return judge_or_ask(submission, true, now_ms);
}

void rig_send(const char *prefix, int count, int64_t from_ms, int64_t step_ms)
{
    for (int i = 0; i < count; i++) {
        struct submission one = rig_message(arena_printf(arena, "%s-%d", prefix, i), 1);
        struct verdict verdict = rig_judge(&one, from_ms + i * step_ms);
        ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
        ck_assert(!verdict.repeated);
    }
}

void rig_send_from(const char *mailbox, const char *ip, int count, int64_t at_ms)
{
    static int number;
    struct problem problem;
    struct submission submission = rig_message(arena_printf(arena, "<%d@x>", number++), count);
    rig_mailbox(&submission, mailbox);
    ck_assert_int_eq(submission_set_ip(&submission, ip, strlen(ip), &problem), 1);
    rig_judge(&submission, at_ms);
}

void rig_block(const char *key, enum failure_hint hint)
{
    struct values_done *done = arena_alloc(arena, sizeof *done);
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, &(struct failure_in_force){
                                    .from_ms = NOW, .until_ms = NOW + HOUR_MS, .block = 1,
                                    .bad = 12, .all = 20, .messages = 9, .hint = hint});
    const struct value_change change = {
        .value = {.kind = VALUE_BLOCK, .key = key, .bytes = bytes, .length = sizeof bytes,
                  .until_ms = NOW + HOUR_MS},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, done), 1);
}

const struct verdict_window *rig_window(const struct verdict *verdict, enum rule rule)
{
    for (size_t i = 0; i < verdict->window_count; i++)
        if (verdict->windows[i].rule == rule)
            return &verdict->windows[i];
    return NULL;
}

uint64_t rig_used(enum rule rule, int64_t now_ms)
{
    return used_of(ALICE, rule, now_ms);
}

const char *rig_reasons(const struct verdict *verdict)
{
    const char *list = "";
    for (size_t i = 0; i < verdict->reason_count; i++)
        list = arena_printf(arena, "%s%s%s", list, i > 0 ? " " : "",
                            rule_table[verdict->reasons[i].objection.rule].name);
    return list;
}

/* ---- what was said -------------------------------------------------------------- */

void rig_check_begins(const char *text, const char *beginning)
{
    ck_assert_msg(strncmp(text, beginning, strlen(beginning)) == 0, "%s", text);
}

void rig_check_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

void rig_check_has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" in: %s", part, text);
}

enum outcome rig_outcome(const struct verdict *verdict, int64_t now_ms)
{
    struct record record;
    ck_assert_uint_ne(verdict->decision, 0);
    ck_assert_int_eq(store_record(store, arena, verdict->decision, now_ms, &record), 1);
    return record.outcome;
}

/* ---- JSON ------------------------------------------------------------------------ */

struct json_object *rig_json(const char *text, size_t length)
{
    enum json_tokener_error error;
    size_t end;
    /* with the NUL behind it: only so is a bare number known to be complete */
    struct json_object *object =
        json_strict_parse(text, length + 1, JSON_TOKENER_DEFAULT_DEPTH, &error, &end);
    ck_assert_msg(error == json_tokener_success && end >= length, "%s at %zu in %s",
                  json_tokener_error_desc(error), end, text);
    return object;
}

bool rig_has(struct json_object *object, const char *name)
{
    return json_object_object_get_ex(object, name, NULL);
}

struct json_object *rig_member(struct json_object *object, const char *path)
{
    char name[64];
    for (const char *next = path; *next != '\0';) {
        size_t length = strcspn(next, ".");
        ck_assert_uint_lt(length, sizeof name);
        memcpy(name, next, length);
        name[length] = '\0';
        bool found = json_object_is_type(object, json_type_array)
                         ? (object = json_object_array_get_idx(object, (size_t)atoi(name))) != NULL
                         : json_object_object_get_ex(object, name, &object);
        ck_assert_msg(found, "no member %s", path);
        next += length + (next[length] == '.');
    }
    return object;
}

const char *rig_text(struct json_object *object, const char *path)
{
    struct json_object *member = rig_member(object, path);
    return json_object_is_type(member, json_type_string)
               ? json_object_get_string(member)
               : json_object_to_json_string_ext(member, JSON_C_TO_STRING_PLAIN);
}

struct json_object *rig_facts(uint64_t decision, int64_t now_ms)
{
    struct record record;
    ck_assert_int_eq(store_record(store, arena, decision, now_ms, &record), 1);
    return guard_read_record(guard, arena, &record, now_ms);
}
