/* A table of rules with windows of other lengths: a week and a quarter of an hour of a mailbox, and
 * of an IP. test_store_windows is built with it, and so are the layers that it links. */
#define MORE_RULES_OVER_TIME(ROW)                                                                 \
    ROW(OTHER_PER_WEEK, "other_per_week", MAILBOX, MESSAGES, 7 * DAY_MS)                          \
    ROW(OTHER_PER_QUARTER, "other_per_quarter", MAILBOX, OFF_DOMAIN, 15 * MINUTE_MS)              \
    ROW(OTHER_PER_DAY_PER_IP, "other_per_day_per_ip", IP, MESSAGES, DAY_MS)
