#include "guard/store_watch.h"

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

void store_watch_ahead(struct store_watch *watch, int64_t ahead_ms, int64_t now_ms)
{
    if (ahead_ms <= 0 || !log_is_due(&watch->told_ahead_ms, now_ms))
        return;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(ahead_ms / SECOND_MS));
    log_line(LOG_ERROR_LEVEL, "a clock was wrong: the store held messages of the future, which "
             "count from now on", "ahead_s", seconds, NULL);
}

void store_watch_damaged(struct store_watch *watch, const char *mailbox, int64_t now_ms)
{
    if (log_is_due(&watch->told_damaged_ms, now_ms))
        log_line(LOG_ERROR_LEVEL, "what is kept of a block for failed mail is damaged, and blocks "
                 "nobody", "mailbox", mailbox, NULL);
}

void store_watch_used_up(struct store_watch *watch, const char *mailbox, int64_t now_ms)
{
    if (log_is_due(&watch->told_used_up_ms, now_ms))
        log_line(LOG_WARNING_LEVEL, "refused while the store is away: as many messages as "
                 "store.emergency admits wait to be counted", "mailbox", mailbox, NULL);
}
