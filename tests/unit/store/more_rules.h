/* A table of rules with windows of other lengths: a week and a quarter of an hour of a mailbox, and
 * of an IP. test_store_windows is built with it, and so are the layers that it links. */
#define MORE_RULES_OVER_TIME(ROW)                                                                 \
    ROW(MESSAGES_PER_WEEK, "messages_per_week", MAILBOX, MESSAGES, 7 * DAY_MS)                    \
    ROW(OFF_DOMAIN_PER_QUARTER, "off_domain_per_quarter", MAILBOX, OFF_DOMAIN, 15 * MINUTE_MS)    \
    ROW(MESSAGES_PER_DAY_PER_IP, "messages_per_day_per_ip", IP, MESSAGES, DAY_MS)
