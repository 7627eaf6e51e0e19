/* The block lists: how many entries, and how long a service reads them at its start. */
#include "base/clock.h"
#include "cli/doctor.h"
#include "guard/block_list.h"

enum { PAGE = 500, LONG_MS = 3000 };

struct block_counts {
    long long staff, hashed, unread;
    long long nameless; /* their reason was a name of [blocks] reasons */
};

static void add(struct block_counts *counted, const struct settings *settings, struct arena *arena,
                const struct value *value)
{
    struct block_entry entry = {.reason = NULL};
    if (block_list_read(arena, value, &entry) == 0)
        counted->unread++;
    else if (block_list_is_hashed(&entry))
        counted->hashed++;
    else
        counted->staff++;
    counted->nameless += entry.reason != NULL && entry.advice == NULL &&
                         !block_list_is_hashed(&entry) &&
                         settings_lacks_block_reason(settings, entry.reason);
}

/* As the services do it (guard/block_filter.h). 1 or -1. */
static int count_all(struct store *store, const struct settings *settings, int64_t now_ms,
                     struct block_counts *counted_r)
{
    char after[VALUE_KEY_MAX + 1] = "";
    struct store_page page = {.max = PAGE, .more = true};
    *counted_r = (struct block_counts){0};
    while (page.more) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct value *values = arena_alloc(arena, PAGE * sizeof *values);
        if (store_values(store, arena, VALUE_BLOCKED, after, now_ms, values, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            add(counted_r, settings, arena, &values[i]);
        if (page.more)
            snprintf(after, sizeof after, "%s", values[page.count - 1].key);
    }
    return 1;
}

void doctor_blocks(struct doctor *doctor)
{
    struct block_counts counted;
    freed_by(store_free) struct store *store = NULL;
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    int64_t began_ms = clock_monotonic_ms();
    if (count_all(store, doctor->settings, clock_wall_ms(), &counted) < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "they cannot be read: %s",
                    store_error(store));
        return;
    }
    long long took_ms = clock_monotonic_ms() - began_ms;
    if (counted.unread > 0)
        doctor_says(doctor, DOCTOR_WARN, "exchange all programs together",
                    "entries that this version cannot read block nobody: %lld", counted.unread);
    if (counted.nameless > 0)
        doctor_says(doctor, DOCTOR_WARN, "[blocks] reasons, or block them anew with a sentence",
                    "entries whose reason is no name of [blocks] reasons any more, so that senders "
                    "read the bare word: %lld", counted.nameless);
    if (took_ms > LONG_MS)
        doctor_says(doctor, DOCTOR_WARN, "sendguard blocks --csv, and unblock what is old",
                    "after a start the first message waits until all entries are read: %lld ms",
                    took_ms);
    doctor_says(doctor, DOCTOR_OK, NULL,
                "%lld entries of staff, %lld recipients that Sendguard blocked; a service reads them "
                "in %lld ms at its start", counted.staff, counted.hashed, took_ms);
}
