#include "feedback/spf_keep.h"

#include <string.h>

#include "base/log.h"
#include "guard/spf_view.h"

int spf_keep_read(struct store *store, struct arena *arena, const char *domain, int64_t now_ms,
                  struct spf_kept *kept_r)
{
    const struct block_entry entry = spf_block_of(arena, domain);
    struct value values[] = {{.kind = VALUE_SPF, .key = domain},
                             {.kind = VALUE_BLOCKED, .key = block_list_key(arena, &entry)}};
    *kept_r = (struct spf_kept){0};
    if (store_values_get(store, arena, values, countof(values), now_ms) < 0)
        return -1;
    kept_r->version = values[0].version;
    kept_r->entry_version = values[1].version;
    if (values[0].version != 0)
        kept_r->view = json_read(values[0].bytes);
    if (values[1].version != 0 && block_list_read(arena, &values[1], &kept_r->entry) < 1)
        kept_r->entry = (struct block_entry){.by = ""}; /* of a later version: not ours */
    return 1;
}

void spf_keep_forget(struct spf_kept *kept) { json_put(&kept->view); }

/* ---- what is to be kept ---------------------------------------------------------------------- */

static void carry(struct json_object *from, struct json_object *to, const char *member)
{
    int64_t time_ms = json_int(from, member, 0);
    if (time_ms != 0)
        json_add_int(to, member, time_ms);
}

static void begin_at(struct json_object *view, const char *member, int64_t now_ms)
{
    if (json_int(view, member, 0) == 0)
        json_add_int(view, member, now_ms);
}

static bool is_known(const struct spf_looked *looked)
{
    return looked->hosts != NULL && looked->hosts->names_us >= 0;
}

/* Of other addresses users have not read yet, so what ran before begins anew. */
static struct json_object *found_view(const struct spf_kept *kept, const struct spf_looked *looked)
{
    struct json_object *view = spf_view(looked->hosts);
    if (looked->hosts->names_us == 0) {
        struct json_object *before = looked->same_hosts ? kept->view : NULL;
        carry(before, view, "since");
        carry(before, view, "notice");
        carry(before, view, "open");
        begin_at(view, "since", looked->now_ms);
        begin_at(view, "notice", looked->now_ms);
    }
    carry(kept->view, view, "blocked");
    json_add_int(view, "checked", looked->now_ms);
    return view;
}

static int64_t later(int64_t one, int64_t other) { return one > other ? one : other; }

/* All of it but whether mail is refused. To be put. */
static struct json_object *next_view(const struct spf_kept *kept, const struct spf_looked *looked)
{
    bool stays = !is_known(looked) && (looked->hosts == NULL || looked->same_hosts);
    struct json_object *view = stays && kept->view != NULL ? json_object_get(kept->view)
                                                           : found_view(kept, looked);
    if (looked->mode < SPF_MODE_WARN) {
        json_object_object_del(view, "notice");
        json_object_object_del(view, "open");
    }
    json_add_int(view, "seen", later(json_int(kept->view, "seen", 0), looked->seen_ms));
    if (looked->hosts == NULL)
        return view;
    int64_t refused_ms = spf_view_refused_ms(view), again_ms = looked->now_ms + looked->wait_ms;
    bool before = looked->mode == SPF_MODE_BLOCK && refused_ms > looked->now_ms &&
                  refused_ms < again_ms;
    json_add_int(view, "again", before ? refused_ms : again_ms);
    return view;
}

/* ---- whether mail is refused ----------------------------------------------------------------- */

/* A change under way. */
struct keeping {
    struct arena *arena;
    const struct spf_kept *kept;
    const struct spf_looked *looked;
    struct json_object *view;
    struct block_entry entry;
    bool blocks, opens, refreshes; /* the entry */
    const char *why;               /* it opens */
};

static const char *text_of(struct json_object *view)
{
    return json_object_to_json_string_ext(view, JSON_C_TO_STRING_PLAIN);
}

/* The record still fails, and the notice is over. */
static void refuse_mail(struct keeping *keeping)
{
    const struct spf_kept *kept = keeping->kept;
    int64_t now_ms = keeping->looked->now_ms;
    keeping->entry = spf_block_entry(keeping->arena, keeping->view, now_ms);
    if (kept->entry_version == 0 && json_int(kept->view, "blocked", 0) == 0) {
        keeping->blocks = true;
        json_add_int(keeping->view, "blocked", now_ms);
    } else if (kept->entry_version == 0) { /* somebody has taken it off the list */
        json_object_object_del(keeping->view, "blocked");
        json_add_int(keeping->view, "open", now_ms + SPF_VIEW_OPEN_MS);
    } else if (spf_block_is(&kept->entry)) {
        keeping->entry.since_ms = kept->entry.since_ms;
        keeping->refreshes = strcmp(keeping->entry.advice, kept->entry.advice) != 0;
        begin_at(keeping->view, "blocked", kept->entry.since_ms);
    } else {
        json_object_object_del(keeping->view, "blocked");
    }
}

static void accept_mail(struct keeping *keeping, const char *why)
{
    const struct spf_kept *kept = keeping->kept;
    keeping->opens = kept->entry_version != 0 && spf_block_is(&kept->entry);
    keeping->entry = kept->entry;
    keeping->why = why;
    json_object_object_del(keeping->view, "blocked");
}

static void decide(struct keeping *keeping)
{
    const struct spf_looked *looked = keeping->looked;
    if (looked->mode != SPF_MODE_BLOCK)
        accept_mail(keeping, "spf.mode is not block any more");
    else if (!is_known(looked))
        return;
    else if (looked->hosts->names_us == 1)
        accept_mail(keeping, "its SPF record lets our mail servers send");
    else if (spf_view_refused_ms(keeping->view) <= looked->now_ms)
        refuse_mail(keeping);
    else
        accept_mail(keeping, "its notice has begun anew");
}

/* ---- writing --------------------------------------------------------------------------------- */

/* 1, 0 it was changed meanwhile, -1. */
static int write_all(struct store *store, const char *domain, const struct keeping *keeping)
{
    const struct spf_kept *kept = keeping->kept;
    int64_t now_ms = keeping->looked->now_ms;
    bool blocked = json_int(keeping->view, "blocked", 0) != 0;
    const char *text = text_of(keeping->view);
    const struct block_update update = {.entry = keeping->entry, .removed = keeping->opens};
    const struct action action = {now_ms, SUSPENSION_BY_GUARD,
                                  keeping->opens ? keeping->why : keeping->entry.note};
    struct value_change changes[4];
    struct audited audited;
    size_t count = 0;
    struct values_step step = {.changes = changes, .audited = &audited, .now_ms = now_ms};
    changes[0] = (struct value_change){
        .value = {.kind = VALUE_SPF, .key = domain, .bytes = text, .length = strlen(text),
                  .until_ms = blocked ? UNTIL_LIFTED
                                      : json_int(keeping->view, "seen", 0) + SPF_VIEW_KEPT_MS},
        .replaces = kept->version};
    if (keeping->blocks || keeping->opens) {
        if (block_list_step(store, keeping->arena, &update, 1, &action, changes + 1, &count,
                            &audited, &step.audited_count) < 0)
            return -1;
    } else if (keeping->refreshes) {
        changes[1].value = block_list_value(keeping->arena, &keeping->entry);
        count = 1;
    }
    if (count > 0)
        changes[1].replaces = kept->entry_version;
    step.count = 1 + count;
    return store_values_change(store, &step, NULL);
}

static void tell(const struct keeping *keeping, const char *domain, bool fails_now)
{
    const char *missing = json_string(keeping->view, "terms", "");
    if (fails_now)
        log_line(LOG_WARNING_LEVEL, "an SPF record does not let our mail servers send", "domain",
                 domain, "missing", missing, NULL);
    if (keeping->blocks)
        log_line(LOG_WARNING_LEVEL, "mail is refused: an SPF record does not let our mail servers "
                 "send", "domain", domain, "missing", missing, NULL);
    if (keeping->opens)
        log_line(LOG_INFO_LEVEL, "mail is accepted again that was refused for an SPF record",
                 "domain", domain, "why", keeping->why, NULL);
}

int spf_keep_change(struct store *store, struct arena *arena, const char *domain,
                    const struct spf_kept *kept, const struct spf_looked *looked,
                    struct json_object **view_r)
{
    int64_t since_ms = looked->same_hosts ? json_int(kept->view, "since", 0) : 0;
    freed_by(json_put) struct json_object *view = next_view(kept, looked);
    struct keeping keeping = {.arena = arena, .kept = kept, .looked = looked, .view = view};
    decide(&keeping);
    int done = write_all(store, domain, &keeping);
    if (done < 1)
        return done;
    tell(&keeping, domain,
         is_known(looked) && looked->hosts->names_us == 0 && since_ms == 0);
    *view_r = take(view);
    return 1;
}
