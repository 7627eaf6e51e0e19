#include "desk/stored_match.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/packed.h"
#include "guard/keyed_hash.h"
#include "guard/packing.h"
#include "rules/history.h"
#include "store/packed_record.h"

/* ---- what is looked for ------------------------------------------------------------------ */

static void put_hash(struct stored_match *match, size_t place, uint64_t hash)
{
    packed_put(match->hashes[place].bytes, hash, STORED_HASH_BYTES);
    snprintf(match->hashes[place].digits, STORED_DIGITS_SIZE, "%016" PRIx64, hash);
}

int stored_match_begin(const struct context *context, const char *mailbox,
                       struct stored_match *match_r, struct problem *problem)
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    if (keys.key == NULL)
        return problem_set(problem, 409, "", "what is kept under hashes cannot be found: the secret "
                                             "(web.secret_file) cannot be read");
    *match_r = (struct stored_match){
        .context = context, .mailbox = mailbox, .length = strlen(mailbox)};
    put_hash(match_r, 0, keyed_hash_login(&keys, mailbox));
    put_hash(match_r, 1, keyed_hash_recipient(&keys, mailbox, context->now_ms));
    put_hash(match_r, 2, keyed_hash_recipient(&keys, mailbox,
                                              context->now_ms - KEYED_HASH_LOOKS_BACK_MS));
    return 1;
}

/* ---- in texts and bytes ------------------------------------------------------------------ */

static bool goes_on(unsigned char byte) { return isalnum(byte) || byte == '-' || byte == '_'; }

/* The mailbox stands there by itself: it is no part of a longer address, and no other text of that
 * length is around it. */
static bool is_whole(const struct stored_match *match, const unsigned char *bytes, size_t length,
                     size_t at)
{
    size_t behind = at + match->length;
    if (at > 0 && bytes[at - 1] == match->length)
        return true; /* packed, with its length before it */
    if (at > 0 && (goes_on(bytes[at - 1]) || bytes[at - 1] == '.' || bytes[at - 1] == '+'))
        return false;
    if (behind == length || !(goes_on(bytes[behind]) || bytes[behind] == '.'))
        return true;
    return bytes[behind] == '.' && (behind + 1 == length || !goes_on(bytes[behind + 1]));
}

static bool has_name(const struct stored_match *match, const unsigned char *bytes, size_t length)
{
    size_t at = 0;
    for (const unsigned char *found;
         (found = memmem(bytes + at, length - at, match->mailbox, match->length)) != NULL;
         at = (size_t)(found - bytes) + 1)
        if (is_whole(match, bytes, length, (size_t)(found - bytes)))
            return true;
    return false;
}

bool stored_match_text(const struct stored_match *match, const char *text)
{
    for (size_t i = 0; i < STORED_HASHES; i++)
        if (strstr(text, match->hashes[i].digits) != NULL)
            return true;
    return has_name(match, (const unsigned char *)text, strlen(text));
}

bool stored_match_bytes(const struct stored_match *match, const void *bytes, size_t length)
{
    for (size_t i = 0; i < STORED_HASHES; i++)
        if (memmem(bytes, length, match->hashes[i].bytes, STORED_HASH_BYTES) != NULL)
            return true;
    return has_name(match, bytes, length);
}

/* ---- in items ---------------------------------------------------------------------------- */

static bool is_it(const struct stored_match *match, const char *name)
{
    return strcmp(match->mailbox, name) == 0;
}

/* Those that passed say so in their facts alone. */
static bool match_record(const struct stored_match *match, struct arena *arena,
                         const struct transfer_item *item)
{
    struct record record = {0};
    struct packed_identity identity;
    int64_t until_ms;
    const char *names;
    if (item->of.record.mailbox != NULL && is_it(match, item->of.record.mailbox))
        return true;
    if (!packed_record_get(arena, item->of.record.bytes, item->of.record.length, &record,
                           &until_ms, &names))
        return false;
    return packing_identity(arena, &record, &identity) && is_it(match, identity.mailbox);
}

/* A history, or a window near its limit: of the mailbox itself, or of one of its channels. */
static bool match_history(const struct stored_match *match, enum subject subject, const char *name)
{
    char key[HISTORY_NAME_SIZE];
    if (subject != SUBJECT_MAILBOX && subject != SUBJECT_RECIPIENT)
        return false;
    if (is_it(match, name))
        return true;
    history_channel(subject, name, key);
    return is_it(match, key);
}

static bool match_audit(const struct stored_match *match, const struct audit *audit)
{
    freed_by(json_put) struct json_object *detail = json_read(audit->detail), *of_it = NULL;
    of_it = stored_match_tree(match, detail);
    return is_it(match, audit->subject) || stored_match_text(match, audit->note) || of_it != NULL;
}

/* What somebody looked at is under the name of who looked. */
static bool match_kept(const struct stored_match *match, enum kept_kind kind,
                       const struct kept *kept)
{
    freed_by(json_put) struct json_object *tree = json_read(kept->value), *of_it = NULL;
    of_it = stored_match_tree(match, tree);
    return (kind != KEPT_LOOKED && stored_match_text(match, kept->key)) || of_it != NULL ||
           (tree == NULL && stored_match_text(match, kept->value));
}

/* Kept for the mailbox in its key alone: what is in it is that mailbox's, also names
 * of others. */
static bool is_of_one(enum value_kind kind)
{
    switch (kind) {
    case VALUE_TRACE:
    case VALUE_KNOWN:
    case VALUE_COMPLAINTS:
    case VALUE_APPEAL:
    case VALUE_LOGINS:
    case VALUE_IDENTITY:
    case VALUE_PROFILE:
    case VALUE_HELD:
    case VALUE_PARKED:
    case VALUE_REJECTED: return true;
    default: return false;
    }
}

static bool match_value(const struct stored_match *match, const struct value *value)
{
    const char *bytes = value->bytes;
    if (stored_match_text(match, value->key))
        return true;
    if (is_of_one(value->kind))
        return false;
    if (bytes[0] != '{' && bytes[0] != '[')
        return stored_match_bytes(match, bytes, value->length);
    freed_by(json_put) struct json_object *tree = json_read(bytes), *of_it = NULL;
    of_it = stored_match_tree(match, tree);
    return of_it != NULL || (tree == NULL && stored_match_bytes(match, bytes, value->length));
}

bool stored_match_item(const struct stored_match *match, struct arena *arena,
                       const struct transfer_item *item)
{
    switch (item->kind) {
    case TRANSFER_HISTORY:
        return match_history(match, item->of.history.subject, item->of.history.name);
    case TRANSFER_RECORD: return match_record(match, arena, item);
    case TRANSFER_TICKET: return is_it(match, item->of.ticket.mailbox);
    case TRANSFER_PAIR: return is_it(match, item->of.pair.mailbox);
    case TRANSFER_SUSPENSION: return is_it(match, item->of.suspension.mailbox);
    case TRANSFER_OFFENCE: return is_it(match, item->of.offence.mailbox);
    case TRANSFER_ADJUSTMENT: return is_it(match, item->of.adjustment.subject);
    case TRANSFER_AUDIT: return match_audit(match, &item->of.audit);
    case TRANSFER_KEPT: return match_kept(match, item->of.kept.kind, &item->of.kept.kept);
    case TRANSFER_VALUE: return match_value(match, &item->of.value);
    case TRANSFER_SENDER: return is_it(match, item->of.sender.mailbox);
    case TRANSFER_NEAR:
        return match_history(match, rule_table[item->of.near.rule].subject, item->of.near.key);
    case TRANSFER_HASH_KEY:
    case TRANSFER_NUMBER:
    case TRANSFER_COUNTER:
    case TRANSFER_KIND_COUNT: break;
    }
    return false;
}

/* ---- in trees ---------------------------------------------------------------------------- */

static bool is_by(const char *name) { return strcmp(name, "by") == 0; }

static bool is_scalar(struct json_object *tree)
{
    return !json_object_is_type(tree, json_type_object) &&
           !json_object_is_type(tree, json_type_array);
}

static struct json_object *of_list(const struct stored_match *match, struct json_object *list)
{
    freed_by(json_put) struct json_object *found = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = stored_match_tree(match, json_object_array_get_idx(list, i));
        if (one != NULL)
            json_object_array_add(found, one);
    }
    return json_object_array_length(found) > 0 ? take(found) : NULL;
}

static bool names_it(const struct stored_match *match, struct json_object *object)
{
    json_object_object_foreach(object, name, member)
        if (!is_by(name) && json_object_is_type(member, json_type_string) &&
            stored_match_text(match, json_object_get_string(member)))
            return true;
    return false;
}

static struct json_object *of_object(const struct stored_match *match, struct json_object *object)
{
    bool all = names_it(match, object);
    freed_by(json_put) struct json_object *found = json_object_new_object();
    json_object_object_foreach(object, name, member) {
        struct json_object *one = NULL;
        if (is_by(name))
            continue;
        if (stored_match_text(match, name))
            one = stored_own_tree(member);
        else if (!is_scalar(member))
            one = stored_match_tree(match, member);
        else if (all)
            one = json_object_get(member);
        if (one != NULL)
            json_object_object_add(found, name, one);
    }
    return json_object_object_length(found) > 0 ? take(found) : NULL;
}

struct json_object *stored_match_tree(const struct stored_match *match, struct json_object *tree)
{
    if (json_object_is_type(tree, json_type_object))
        return of_object(match, tree);
    if (json_object_is_type(tree, json_type_array))
        return of_list(match, tree);
    return json_object_is_type(tree, json_type_string) &&
                   stored_match_text(match, json_object_get_string(tree))
               ? json_object_get(tree)
               : NULL;
}

struct json_object *stored_own_tree(struct json_object *tree)
{
    if (json_object_is_type(tree, json_type_array)) {
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(tree); i++)
            json_object_array_add(list, stored_own_tree(json_object_array_get_idx(tree, i)));
        return list;
    }
    if (!json_object_is_type(tree, json_type_object))
        return json_object_get(tree);
    struct json_object *object = json_object_new_object();
    json_object_object_foreach(tree, name, member)
        if (!is_by(name))
            json_object_object_add(object, name, stored_own_tree(member));
    return object;
}
