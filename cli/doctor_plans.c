/* Plans: whether the settings have all that were given. */
#include "base/clock.h"
#include "cli/doctor.h"
#include "store/adjustments.h"

enum { PAGE = 64 };

struct plan_counts {
    long long given, lost;
    struct adjustment one; /* of those that are lost */
};

/* 1 or -1. */
static int count_all(struct store *store, const struct settings *settings, int64_t now_ms,
                     struct plan_counts *counted_r)
{
    struct adjustment list[PAGE];
    struct store_page page = {.max = PAGE, .more = true};
    int64_t after = 0;
    *counted_r = (struct plan_counts){0};
    while (page.more) {
        if (store_adjustments(store, after, list, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            after = list[i].change;
            if (list[i].kind != ADJUST_PLAN || list[i].removed || list[i].until_ms <= now_ms)
                continue;
            counted_r->given++;
            if (settings_plan(settings, list[i].plan) != NULL)
                continue;
            counted_r->lost++;
            counted_r->one = list[i];
        }
    }
    return 1;
}

void doctor_plans(struct doctor *doctor)
{
    struct plan_counts counted;
    freed_by(store_free) struct store *store = NULL;
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    if (count_all(store, doctor->settings, clock_wall_ms(), &counted) < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "they cannot be read: %s",
                    store_error(store));
        return;
    }
    if (counted.lost > 0)
        doctor_says(doctor, DOCTOR_WARN, "a section [plan.NAME], or sendguard plan … default",
                    "plans that were given and that the settings do not have, so that the settings' "
                    "limits hold: %lld, such as %s of %s", counted.lost, counted.one.plan,
                    counted.one.subject);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "the settings have %zu; given %lld times",
                    doctor->settings->plan_count, counted.given);
}
