#include "store_watch.h"

#include <stdio.h>

void store_watch_saw(struct store_watch *watch, const struct store *store, int answer)
{
    if (answer < 0) {
        watch->unanswered++;
        if (log_changed(&watch->away, 1))
            log_line(LOG_ERROR_LEVEL, "store does not answer", "error", store_error(store), NULL);
    } else if (log_changed(&watch->away, 0)) {
        char count[24];
        snprintf(count, sizeof count, "%llu", (unsigned long long)watch->unanswered);
        watch->unanswered = 0;
        log_line(LOG_INFO_LEVEL, "store answers again", "unanswered", count, NULL);
    }
}
