/* Many entries of the block lists at once, and the file that they are read from and written to. */
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "desk/block_file.h"
#include "desk/desk_senders.h"
#include "guard/spf_block.h"

enum { COMPARED_AT_ONCE = 1000, MAILBOXES_SHOWN = 20, SENDERS_LOOKED_UP = 20 };

const char desk_blocks_csv_header[] = "kind,subject,scope,reason,text,since,until,by,note\r\n";

/* What Sendguard itself has blocked: a recipient is known by its hash, without an address, and a
 * domain is blocked as long as its SPF record is as it is. */
static bool is_own(struct json_object *entry)
{
    const char *kind = json_string(entry, "kind", "");
    bool recipient = strcmp(kind, block_kind_names[BLOCK_RECIPIENT]) == 0 ||
                     strcmp(kind, block_kind_names[BLOCK_PAIR]) == 0;
    return (recipient && strchr(json_string(entry, "subject", ""), '@') == NULL) ||
           (strcmp(json_string(entry, "reason", ""), SPF_BLOCK_REASON) == 0 &&
            strcmp(json_string(entry, "by", ""), SUSPENSION_BY_GUARD) == 0);
}

void desk_blocks_add_csv(struct text *out, struct json_object *entry)
{
    if (is_own(entry))
        return;
    static const char *const columns[] = {"kind",  "subject", "scope", "reason", "text",
                                          "since", "until",   "by",    "note"};
    for (size_t i = 0; i < countof(columns); i++) {
        text_add_csv(out, json_string(entry, columns[i], ""));
        text_add(out, i < countof(columns) - 1 ? "," : "\r\n");
    }
}

/* ---- what there is --------------------------------------------------------------------------- */

struct sums {
    size_t same, replaced, fresh, kinds[BLOCK_KIND_COUNT];
    bool all_mailboxes;
    uint64_t seen; /* a hash of all keys and versions: FNV-1a */
};

static void see(struct sums *sums, const struct value *value)
{
    for (const char *at = value->key; *at != '\0'; at++)
        sums->seen = (sums->seen ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    for (int i = 0; i < 4; i++)
        sums->seen = (sums->seen ^ (value->version >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
}

static int64_t whole_seconds(int64_t time_ms)
{
    return time_ms == UNTIL_LIFTED ? time_ms : (time_ms + SECOND_MS - 1) / SECOND_MS;
}

/* A file has whole seconds. */
static bool is_same(const struct block_entry *one, const struct block_entry *other)
{
    return strcmp(one->reason, other->reason) == 0 &&
           whole_seconds(one->until_ms) == whole_seconds(other->until_ms);
}

static void add_up(struct sums *sums, const struct block_entry *entry)
{
    sums->kinds[entry->kind]++;
    sums->all_mailboxes = sums->all_mailboxes || blocked_for_all(entry);
}

/* Compares with the store, and keeps of the file what is to be written. 1 or -1. */
static int compare(const struct context *context, struct block_file *file, struct sums *sums)
{
    size_t kept = 0;
    for (size_t from = 0; from < file->count; from += COMPARED_AT_ONCE) {
        freed_by(arena_free) struct arena *arena = arena_new();
        size_t count = file->count - from < COMPARED_AT_ONCE ? file->count - from
                                                             : COMPARED_AT_ONCE;
        struct value *values = arena_alloc(arena, count * sizeof *values);
        for (size_t i = 0; i < count; i++)
            values[i] = (struct value){.kind = VALUE_BLOCKED, .key = file->keys[from + i]};
        if (store_values_get(context->desk->store, arena, values, count, context->now_ms) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            const struct block_entry *entry = &file->entries[from + i];
            struct block_entry before;
            bool there = values[i].version != 0 && block_list_read(arena, &values[i], &before) > 0;
            bool same = there && is_same(&before, entry);
            add_up(sums, entry);
            see(sums, &values[i]);
            sums->same += same;
            sums->replaced += there && !same;
            sums->fresh += !there;
            if (!same)
                file->entries[kept++] = *entry;
        }
    }
    file->count = kept;
    return 1;
}

/* ---- who is concerned ------------------------------------------------------------------------ */

struct concerned {
    const char *keys[SENDERS_LOOKED_UP];
    int key_count;
    struct json_object *mailboxes;
    bool more;
};

static bool has_mailbox(struct json_object *list, const char *mailbox)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_string(json_object_array_get_idx(list, i), "mailbox", ""), mailbox) == 0)
            return true;
    return false;
}

/* Those of one list who are not there yet. 1 or -1. */
static int add_senders(const struct context *context, enum sender_of of, const char *key,
                       struct concerned *concerned)
{
    freed_by(json_put) struct json_object *list = json_object_new_array();
    const char *more = NULL;
    if (desk_add_senders(context, of, key, NULL, MAILBOXES_SHOWN, list, &more) < 0)
        return -1;
    concerned->more = concerned->more || more != NULL;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *sender = json_object_array_get_idx(list, i);
        if (has_mailbox(concerned->mailboxes, json_string(sender, "mailbox", "")))
            continue;
        if (json_object_array_length(concerned->mailboxes) == MAILBOXES_SHOWN) {
            concerned->more = true;
            break;
        }
        json_object_array_add(concerned->mailboxes, json_object_get(sender));
    }
    return 1;
}

/* What is to be written concerns them. A file may name very many: only a few are looked at. */
static int add_concerned(const struct context *context, const struct block_file *file,
                         struct json_object *view)
{
    struct concerned concerned = {.mailboxes = json_add_list(view, "mailboxes")};
    for (size_t i = 0; i < file->count && !concerned.more; i++) {
        enum sender_of of;
        const char *key = blocked_senders_of(&file->entries[i], &of);
        if (key == NULL || names_find(concerned.keys, concerned.key_count, key) >= 0)
            continue;
        concerned.more = concerned.key_count == SENDERS_LOOKED_UP;
        if (concerned.more)
            break;
        concerned.keys[concerned.key_count++] = key;
        if (add_senders(context, of, key, &concerned) < 0)
            return -1;
    }
    json_add_bool(view, "more_mailboxes", concerned.more);
    return 1;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* 1; 0 with *problem: what was written before stays; -1, the same. */
static int write_steps(const struct context *context, const struct block_file *file,
                       const struct action *action, struct problem *problem)
{
    int done = 1;
    for (size_t from = 0; from < file->count && done > 0; from += BLOCK_STEP_MAX) {
        size_t count = file->count - from < BLOCK_STEP_MAX ? file->count - from : BLOCK_STEP_MAX;
        done = block_list_add(context->desk->store, file->entries + from, count, action);
    }
    guard_outdate_blocks(context->desk->guard);
    return done != 0 ? done
                     : problem_set(problem, 409, "", "others change the lists at the same moment; "
                                                     "a part is written: do it again");
}

static void add_sums(struct json_object *view, const struct block_file *file,
                     const struct sums *sums)
{
    json_add_int(view, "new", (int64_t)sums->fresh);
    json_add_int(view, "replaced", (int64_t)sums->replaced);
    json_add_int(view, "same", (int64_t)sums->same);
    json_add_int(view, "over", (int64_t)file->over);
    struct json_object *kinds = json_add_object(view, "kinds");
    for (int i = 0; i < BLOCK_KIND_COUNT; i++)
        json_object_object_add(kinds, block_kind_names[i],
                               json_object_new_int64((int64_t)sums->kinds[i]));
    json_add_bool(view, "all_mailboxes", sums->all_mailboxes);
    json_add_int(view, "wrong", (int64_t)file->faults);
    json_add(view, "faults", json_object_get(file->told));
}

static int read_file(const struct context *context, const struct person *person,
                     const struct blocks_import *import, struct block_file *file,
                     struct problem *problem)
{
    const char *note = import->note;
    if (import->length > DESK_IMPORT_MAX_BYTES)
        return problem_set(problem, 413, "csv", "a file has at most %d bytes",
                           DESK_IMPORT_MAX_BYTES);
    if (note == NULL || note[0] == '\0')
        return problem_set(problem, 400, "note", "expected why this is done, for the audit log");
    if (strlen(note) > BLOCKED_NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "it has at most %d bytes",
                           BLOCKED_NOTE_MAX_BYTES);
    block_file_read(context, import->csv, import->length, person->name, note, file);
    return 1;
}

/* Writes what differs. 1; 0 with *problem; -1. */
static int carry_out(const struct context *context, const struct person *person,
                     const struct blocks_import *import, const struct block_file *file,
                     const char *seen, struct problem *problem)
{
    const struct action action = {context->now_ms, person->name, import->note};
    if (file->count > 0 && import->seen != NULL && strcmp(import->seen, seen) != 0)
        return problem_set(problem, 409, "seen", "others have changed these entries since the "
                                                 "preview: look at them again");
    return write_steps(context, file, &action, problem);
}

int desk_blocks_import(const struct desk *desk, const struct person *person,
                       const struct blocks_import *import, int64_t now_ms,
                       struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    freed_by(block_file_free) struct block_file file = {0};
    struct sums sums = {.seen = UINT64_C(0xcbf29ce484222325)};
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (!read_file(&context, person, import, &file, problem))
        return 0;
    bool good = file.faults == 0;
    if (good && (compare(&context, &file, &sums) < 0 || add_concerned(&context, &file, view) < 0))
        return -1;
    const char *seen = arena_printf(context.arena, "%016llx", (unsigned long long)sums.seen);
    bool writes = !import->preview && good;
    int done = writes ? carry_out(&context, person, import, &file, seen, problem) : 1;
    if (done < 1)
        return done;
    json_add_bool(view, "done", writes);
    json_add_string(view, "seen", seen);
    add_sums(view, &file, &sums);
    *view_r = take(view);
    return 1;
}
