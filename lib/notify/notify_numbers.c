#include "notify/notify_numbers.h"

#include <stdio.h>
#include <string.h>

#include "guard/counters.h"

const char *const notify_number_names[NUMBER_COUNT] = {
    [NUMBER_WEBMAIL] = "webmail",         [NUMBER_SMTP] = "smtp",
    [NUMBER_FORWARDED] = "forwarded",     [NUMBER_REFUSED] = "refused",
    [NUMBER_SUSPENSIONS] = "suspensions", [NUMBER_OWN_LOCKS] = "own_locks",
    [NUMBER_COMPLAINTS] = "complaints",   [NUMBER_BYPASSED] = "bypassed",
    [NUMBER_UNUSUAL] = "unusual",
    [NUMBER_LOGINS_REFUSED] = "logins_refused", [NUMBER_LOGIN_BLOCKS] = "login_blocks"};

/* Counters by what their names (guard/counters.h) begin and end with. */
static const struct {
    enum notify_number number;
    const char *begin, *end;
} sums[] = {
    {NUMBER_WEBMAIL, "decisions channel=webmail ", ""},
    {NUMBER_SMTP, "decisions channel=smtp ", ""},
    {NUMBER_FORWARDED, "decisions channel=forwarding ", ""},
    {NUMBER_REFUSED, "decisions ", " verdict=message"},
    {NUMBER_REFUSED, "decisions ", " verdict=over_time"},
    {NUMBER_REFUSED, "decisions ", " verdict=suspended"},
    {NUMBER_REFUSED, "decisions ", " verdict=blocked"},
    {NUMBER_REFUSED, "decisions ", " verdict=sender_blocked"},
    {NUMBER_REFUSED, "decisions ", " verdict=identity"},
    {NUMBER_REFUSED, "decisions ", " verdict=no_store"},
    {NUMBER_REFUSED, "decisions ", " verdict=unusual"}, /* deferred */
    {NUMBER_SUSPENSIONS, "suspensions ", ""},
    {NUMBER_OWN_LOCKS, "user_locks", ""},
    {NUMBER_COMPLAINTS, "reports result=", "=taken"},
    {NUMBER_COMPLAINTS, "reports result=", "=suspended"},
    {NUMBER_BYPASSED, "bypassed channel=", ""},
    {NUMBER_UNUSUAL, "unusual ", ""},
    {NUMBER_UNUSUAL, "decisions ", " verdict=held"},
    {NUMBER_UNUSUAL, "decisions ", " verdict=unusual"},
    {NUMBER_LOGINS_REFUSED, "login_refusals", ""},
    {NUMBER_LOGIN_BLOCKS, "login_blocks ", ""},
};

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static void add(const struct counter *counter, struct notify_numbers *numbers)
{
    static const char login_blocks[] = "login_blocks rule=";
    int64_t value = (int64_t)counter->value;
    for (size_t i = 0; i < countof(sums); i++)
        if (strncmp(counter->name, sums[i].begin, strlen(sums[i].begin)) == 0 &&
            ends_with(counter->name, sums[i].end))
            numbers->of[sums[i].number] += value;
    for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++)
        if (strncmp(counter->name, login_blocks, strlen(login_blocks)) == 0 &&
            strcmp(counter->name + strlen(login_blocks), login_rule_names[rule]) == 0)
            numbers->login_blocks[rule] += value;
}

int notify_numbers_read(struct store *store, struct notify_numbers *numbers_r)
{
    struct counter page[OBSERVATIONS_MAX];
    struct store_page paging = {.max = OBSERVATIONS_MAX, .more = true};
    char after[COUNTER_NAME_SIZE] = "";
    *numbers_r = (struct notify_numbers){0};
    while (paging.more) {
        if (store_counters(store, after, page, &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            add(&page[i], numbers_r);
        if (paging.count > 0)
            memcpy(after, page[paging.count - 1].name, sizeof after);
    }
    return 1;
}
