/* Settings: the defaults, values by type, overrides, and the questions asked of lists. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/settings/settings_fixture.h"

/* ---- defaults -------------------------------------------------------------------- */

START_TEST(test_defaults)
{
    static const int32_t webmail[RULE_COUNT] = {300, 100, 50, 2000, 600, 1000, 500, LIMIT_OFF,
                                                LIMIT_OFF, LIMIT_OFF};
    static const int32_t smtp[RULE_COUNT] = {900, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF,
                                             600, 900,       LIMIT_OFF, LIMIT_OFF, LIMIT_OFF,
                                             LIMIT_OFF};
    static const int on_limit[OVER_TIME_COUNT] = {ON_LIMIT_SUSPEND, ON_LIMIT_SUSPEND,
                                                  ON_LIMIT_REFUSE, ON_LIMIT_REFUSE, ON_LIMIT_REFUSE,
                                                  ON_LIMIT_REFUSE};
    ck_assert_int_eq(settings_read(NULL, NULL, 0, &settings, &problem), 1);
    ck_assert_mem_eq(settings->limits[CHANNEL_WEBMAIL].of, webmail, sizeof webmail);
    ck_assert_mem_eq(settings->limits[CHANNEL_SMTP].of, smtp, sizeof smtp);
    ck_assert_mem_eq(settings->on_limit, on_limit, sizeof on_limit);
    for (int rule = 0; rule < RULE_COUNT; rule++)
        ck_assert_int_eq(settings->shadow.of[rule], LIMIT_OFF);
    ck_assert_str_eq(settings->store_url, "sqlite:///var/lib/sendguard/sendguard.db");
    ck_assert_int_eq(settings->store_timeout_ms, 250);
    ck_assert_int_eq(settings->store_on_failure, ON_FAILURE_REFUSE);
    ck_assert_int_eq(settings->store_durability, DURABILITY_NORMAL);
    ck_assert_int_eq(settings->store_emergency, 50);
    ck_assert_int_eq(settings->store_replicas, 0);
    ck_assert_str_eq(settings->fcgi_listen, "/run/sendguard/fcgi/fcgi.sock");
    ck_assert_int_eq(settings->fcgi_threads, 2);
    ck_assert_int_eq(settings->fcgi_socket_mode, 0660);
    ck_assert_str_eq(settings->mta_listen, "127.0.0.1:9402");
    ck_assert_int_eq(settings->mta_threads, 2);
    ck_assert_int_eq(settings->mta_socket_mode, 0660);
    ck_assert_uint_eq(settings->mta_webmail_hosts.count, 0);
    ck_assert_uint_eq(settings->mta_exempt_networks.count, 0);
    ck_assert_int_eq(settings->mta_null_sender, NULL_SENDER_JUDGE);
    ck_assert_str_eq(settings->web_listen, "127.0.0.1:9401");
    ck_assert_str_eq(settings->web_base_url, "http://127.0.0.1:8080/sending");
    ck_assert_str_eq(settings->web_secret_file, "/var/lib/sendguard/secret");
    ck_assert_str_eq(settings->web_templates, "");
    ck_assert_str_eq(settings->web_time_zone, "UTC");
    ck_assert_uint_eq(settings->web_trusted_proxies.count, 2);
    ck_assert_uint_eq(settings->web_monitoring.count, 2);
    static const struct login_limits logins = LOGIN_DEFAULT_LIMITS;
    ck_assert_mem_eq(&settings->login_limits, &logins, sizeof logins);
    ck_assert_int_eq(settings->logins_mode, MODE_OBSERVE);
    ck_assert_str_eq(settings->auth_listen, "127.0.0.1:9404");
    ck_assert_int_eq(settings->auth_socket_mode, 0660);
    ck_assert_str_eq(settings->auth_key_file, "/var/lib/sendguard/auth-key");
    ck_assert_str_eq(settings->auth_range_dir, "");
    ck_assert_int_eq(settings->lock_reopen_by_webmail, 0);
    ck_assert_int_eq(settings->lock_password_max_age_ms, DURATION_OFF);
    ck_assert_str_eq(settings->dovecot_doveadm_url, "");
    ck_assert_str_eq(settings->postqueue_socket, "/run/sendguard/postqueue.sock");
    ck_assert_str_eq(settings->postqueue_command_directory, "/usr/sbin");
    ck_assert_str_eq(settings->postqueue_config_directory, "/etc/postfix");
    ck_assert_str_eq(settings->dovecot_doveadm_key_file, "/var/lib/sendguard/doveadm-key");
    ck_assert_int_eq(settings->desk_max_extra, 500);
    ck_assert_int_eq(settings->desk_max_extra_for_ms, 7 * DAY_MS);
    ck_assert_int_eq(settings->desk_max_resets_per_day, 20);
    ck_assert_int_eq(settings->desk_second_approval, 0);
    ck_assert_uint_eq(settings->web_sign_in_proxies.count, 0);
    ck_assert_int_eq(settings->status_link_lifetime_ms, DAY_MS);
    ck_assert_int_eq(settings->parked_per_mailbox, 20);
    ck_assert_int_eq(settings->retries_before_restart, 10);
    ck_assert_int_eq(settings->keep_refused_ms, 30 * DAY_MS);
    ck_assert_int_eq(settings->keep_admitted_ms, 2 * DAY_MS);
    ck_assert_str_eq(settings->support_contact, "");
    ck_assert_str_eq(settings->support_password_url, "");
    ck_assert_int_eq(settings->unpause_messages, LIMIT_OFF);
    ck_assert_int_eq(settings->guard_mode, MODE_ENFORCE);
    ck_assert_uint_eq(settings->own_domains.count, 0);
    static const struct failure_settings failures = FAILURE_DEFAULTS;
    ck_assert_int_eq(settings->failures.percent, failures.percent);
    ck_assert_int_eq(settings->failures.at_least, failures.at_least);
    ck_assert_int_eq(settings->failures.min_messages, failures.min_messages);
    ck_assert_int_eq(settings->failures.window_ms, failures.window_ms);
    ck_assert_int_eq(settings->failures.block_ms, failures.block_ms);
    ck_assert_int_eq(settings->failures.grace_ms, failures.grace_ms);
    ck_assert_int_eq(settings->failures.outage, failures.outage);
    ck_assert_int_eq(settings->failures.blocks, failures.blocks);
    ck_assert_str_eq(settings->feedback_listen, "");
    ck_assert_int_eq(settings->feedback_socket_mode, 0660);
    ck_assert_str_eq(settings->complaints_authserv_id, "");
    ck_assert_uint_eq(settings->complaints_loops.count, 0);
    ck_assert_int_eq(settings->complaints_count, 3);
    ck_assert_int_eq(settings->complaints_window_ms, 7 * DAY_MS);
    ck_assert_int_eq(settings->spf_mode, SPF_MODE_OBSERVE);
    ck_assert_int_eq(settings->identity_mode, IDENTITY_MODE_OFF);
    ck_assert_uint_eq(settings->identity_owners.count, 0);
    ck_assert_int_eq(settings->identity_owner, IDENTITY_OWNER_ANY);
    ck_assert_int_eq(settings->on_from_foreign, ON_LIMIT_SUSPEND);
    ck_assert_int_eq(settings->unusual_mode, UNUSUAL_MODE_NOTE);
    ck_assert_int_eq(settings->unusual_new_recipients, 40);
    ck_assert_int_eq(settings->unusual_factor, 3);
    ck_assert_int_eq(settings->unusual_new_domains, 20);
    ck_assert_uint_eq(settings->notify_mail_to.count, 0);
    ck_assert_str_eq(settings->notify_mail_from, "");
    ck_assert_str_eq(settings->notify_smtp, "127.0.0.1:25");
    ck_assert_str_eq(settings->parked_imap, "");
    ck_assert_str_eq(settings->parked_smtp, "");
    ck_assert_str_eq(settings->parked_master_user, "");
    ck_assert_str_eq(settings->parked_password_file, "/var/lib/sendguard/parked-password");
    ck_assert_str_eq(settings->notify_webhook, "");
    ck_assert_str_eq(settings->notify_webhook_key_file, "/var/lib/sendguard/notify-key");
    ck_assert_uint_eq(settings->notify_leave_out.count, 0);
    ck_assert_int_eq(settings->notify_interval_ms, 5 * MINUTE_MS);
    ck_assert_int_eq(settings->notify_per_hour, 30);
    ck_assert_int_eq(settings->notify_digest, LIMIT_OFF);
    ck_assert_str_eq(settings->notify_user_languages, "");
    ck_assert_int_eq(settings->notify_user_held, 0);
    ck_assert_uint_eq(settings->spf_outgoing.count, 0);
    ck_assert_uint_eq(settings->spf_resolver.count, 0);
    ck_assert_uint_eq(settings->blocks_unroutable.count, 4);
    ck_assert_uint_eq(settings->blocks_reasons.count, 0);
    ck_assert_uint_eq(settings->exempt_mailboxes.count, 0);
    ck_assert_uint_eq(settings->exempt_recipients.count, 0);
}
END_TEST

START_TEST(test_default_durations)
{
    static const struct durations expected[CAUSE_COUNT] = {
        [CAUSE_VOLUME] = {1, {DAY_MS}},
        [CAUSE_COMPLAINTS] = {3, {DAY_MS, 3 * DAY_MS, UNTIL_LIFTED}},
        [CAUSE_FAILURES] = {3, {DAY_MS, 3 * DAY_MS, UNTIL_LIFTED}},
        [CAUSE_COMPROMISED] = {1, {UNTIL_LIFTED}},
        [CAUSE_BREACHED] = {1, {UNTIL_LIFTED}},
        [CAUSE_IDENTITY] = {3, {DAY_MS, 3 * DAY_MS, UNTIL_LIFTED}},
        [CAUSE_TERMS] = {1, {UNTIL_LIFTED}},
        [CAUSE_STAFF] = {1, {DAY_MS}},
    };
    ck_assert_int_eq(settings_read(NULL, NULL, 0, &settings, &problem), 1);
    for (size_t cause = 0; cause < CAUSE_COUNT; cause++) {
        ck_assert_uint_eq(settings->durations[cause].count, expected[cause].count);
        for (size_t i = 0; i < expected[cause].count; i++)
            ck_assert_int_eq(settings->durations[cause].ms[i], expected[cause].ms[i]);
    }
}
END_TEST

START_TEST(test_every_row_is_whole)
{
    ck_assert_int_eq(settings_read(NULL, NULL, 0, &settings, &problem), 1);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        ck_assert_ptr_eq(settings_table_find(row->section, row->key), row); /* no name twice */
        size_t length = strlen(row->sentence);
        ck_assert_msg(length > 10 && row->sentence[length - 1] == '.', "%s", row->name);
        ck_assert_ptr_nonnull(row->type->parse);
        ck_assert_int_ne(row->type->values != NULL, row->type->describe != NULL);
        freed_by(free_string) char *value = xstrdup(value_of(row->section, row->key));
        if (row->type == &settings_type_networks) /* an item a line */
            for (char *feed = value; (feed = strchr(feed, '\n')) != NULL;)
                *feed = ' ';
        ck_assert_str_eq(value, row->standard);
        for (size_t k = i + 1; k < settings_count; k++) {
            ck_assert_msg(settings_table[k].offset != row->offset, "%s", row->name);
            if (strcmp(settings_table[k].section, row->section) == 0) /* a section is one piece */
                ck_assert_str_eq(settings_table[k - 1].section, row->section);
        }
    }
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        ck_assert_ptr_nonnull(settings_table_find("limits.webmail", rule_table[rule].name));
        ck_assert_ptr_nonnull(settings_table_find("limits.smtp", rule_table[rule].name));
        ck_assert_int_eq(settings_table_find("on_limit", rule_table[rule].name) != NULL,
                         rule_table[rule].over_time);
    }
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        ck_assert_ptr_nonnull(settings_table_find("suspension", cause_names[cause]));
}
END_TEST

START_TEST(test_hosted_domains)
{
    ck_assert_int_eq(read_override("domains.hosted=b.test A.test b.test"), 1);
    ck_assert(settings_hosted_domain(settings, "a.test"));
    ck_assert(settings_hosted_domain(settings, "b.test"));
    ck_assert(!settings_hosted_domain(settings, "x.b.test"));
    ck_assert(!settings_own_domain(settings, "a.test", "b.test")); /* both, and no equals */
    ck_assert_int_eq(read_override("domains.own_domains=c.test d.test"), 1);
    ck_assert(settings_hosted_domain(settings, "d.test"));
    ck_assert(!settings_hosted_domain(settings, "a.test"));
}
END_TEST

/* Each limit's row fills its own rule's place. */
START_TEST(test_limits_go_where_they_belong)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        for (int rule = 0; rule < RULE_COUNT; rule++) {
            char line[100], section[40];
            snprintf(line, sizeof line, "limits.%s.%s=%d", channel_names[channel],
                     rule_table[rule].name,
                     4242);
            snprintf(section, sizeof section, "limits.%s", channel_names[channel]);
            bool without = rule_table[rule].over_time &&
                           history_marks[rule_table[rule].subject][channel] == NULL;
            ck_assert(without == (settings_table_find(section, rule_table[rule].name) == NULL));
            if (without) { /* the channel counts for none: there is no such limit */
                ck_assert_int_eq(read_override("guard.mode=observe"), 1);
                ck_assert_int_eq(settings->limits[channel].of[rule], LIMIT_OFF);
                continue;
            }
            ck_assert_int_eq(read_override(line), 1);
            for (int other = 0; other < (int)CHANNEL_COUNT * (int)RULE_COUNT; other++)
                ck_assert_int_eq(
                    settings->limits[other / RULE_COUNT].of[other % RULE_COUNT] == 4242,
                    other == channel * RULE_COUNT + rule);
        }
    }
    ck_assert_int_eq(read_override("on_limit.messages_per_hour=suspend"), 1);
    ck_assert_int_eq(settings->on_limit[RULE_MESSAGES_PER_HOUR - RULE_FIRST_OVER_TIME],
                     ON_LIMIT_SUSPEND);
    ck_assert_int_eq(read_override("suspension.terms=2h"), 1);
    ck_assert_int_eq(settings->durations[CAUSE_TERMS].ms[0], 2 * HOUR_MS);
}
END_TEST

/* ---- values ------------------------------------------------------------------------ */

static const struct {
    const char *section, *key, *value, *prints;
} good_values[] = {
    {"limits.smtp", "messages_per_day", "0", "0"},
    {"limits.smtp", "messages_per_day", "1000000000", "1000000000"},
    {"limits.smtp", "messages_per_day", "off", "off"},
    {"limits.smtp", "messages_per_day", "007", "7"},
    {"store", "timeout", "1ms", "1ms"},
    {"store", "timeout", "60s", "1m"},
    {"store", "timeout", "60000ms", "1m"},
    {"log", "keep_admitted", "24h", "24h"},
    {"log", "keep_admitted", "1440m", "24h"},
    {"log", "keep_admitted", "72h", "72h"},
    {"log", "keep_admitted", "96h", "4d"},
    {"log", "keep_refused", "3650d", "3650d"},
    {"log", "keep_refused", "90m", "90m"},
    {"support", "links", "", ""},
    {"support", "links", "Change your password  \thttps://panel.test/password?a=1#b",
     "Change your password https://panel.test/password?a=1#b"},
    {"support", "links", "Hilfe & <b>Fragen</b> \xC3\xBC, \"neu\" http://[::1]:8/",
     "Hilfe & <b>Fragen</b> \xC3\xBC, \"neu\" http://[::1]:8/"},
    {"store", "url", "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"},
    {"store", "url", "redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock?db=2"},
    {"store", "url", "rediss://redis.example:6380/1/", "rediss://redis.example:6380/1"},
    {"store", "url", "redis+sentinel://a:1,[::1]:2/mail/3", "redis+sentinel://a:1,[::1]:2/mail/3"},
    {"store", "user", "sendguard", "sendguard"},
    {"store", "password_file", "/etc/sendguard/password", "/etc/sendguard/password"},
    {"store", "password_file", "", ""},
    {"store", "tls_ca_file", "/etc/ssl/ca.crt", "/etc/ssl/ca.crt"},
    {"store", "tls_cert_file", "/etc/ssl/own.crt", "/etc/ssl/own.crt"},
    {"store", "tls_key_file", "/etc/ssl/own.key", "/etc/ssl/own.key"},
    {"web", "base_url", "https://x.test/sending//", "https://x.test/sending"},
    {"auth", "range_dir", "/srv/ranges/", "/srv/ranges"},
    {"fcgi", "listen", "127.0.0.1:9000", "127.0.0.1:9000"},
    {"fcgi", "listen", "[::1]:65535", "[::1]:65535"},
    {"fcgi", "listen", "localhost:1", "localhost:1"},
    {"fcgi", "threads", "64", "64"},
    {"fcgi", "socket_mode", "0600", "0600"},
    {"fcgi", "socket_mode", "666", "0666"},
    {"suspension", "volume", "1s", "1s"},
    {"suspension", "volume", "permanent", "permanent"},
    {"suspension", "volume", " 24h ,72h  permanent", "24h, 72h, permanent"},
    {"suspension", "volume", "1s,2s,3s,4s,5s,6s,7s,8s", "1s, 2s, 3s, 4s, 5s, 6s, 7s, 8s"},
    {"support", "contact", "", ""},
    {"support", "contact", "\xC3\x84nne, 030/123;456", "\xC3\x84nne, 030/123;456"},
    {"guard", "mode", "observe", "observe"},
    {"store", "on_failure", "allow", "allow"},
    {"store", "emergency", "0", "0"},
    {"exempt", "mailbox", "Anna@B\xC3\x9C" "cher.test", "anna@xn--bcher-kva.test"},
    {"exempt", "mailbox", "b@x.test, a@x.test b@X.test", "a@x.test\nb@x.test"},
    {"exempt", "recipient", "@X.test a=b@y.test", "@x.test\na=b@y.test"},
    {"domains", "own_domains", "B.test,a.test  b.test", "b.test a.test b.test"},
    {"web", "templates", "", ""},
    {"web", "templates", "/etc/sendguard/pages//", "/etc/sendguard/pages"},
    {"web", "time_zone", "Europe/Berlin", "Europe/Berlin"},
    {"web", "time_zone", "Etc/GMT+3", "Etc/GMT+3"},
    {"failures", "percent", "off", "off"},
    {"failures", "percent", "100", "100"},
    {"failures", "at_least", "1", "1"},
    {"failures", "min_messages", "8192", "8192"},
    {"failures", "window", "30m", "30m"},
    {"failures", "block", "24h", "24h"},
    {"failures", "grace", "0s", "0h"},
    {"failures", "outage", "off", "off"},
    {"failures", "blocks", "mailbox", "mailbox"},
    {"feedback", "listen", "", ""},
    {"feedback", "listen", "127.0.0.1:9403", "127.0.0.1:9403"},
    {"feedback", "listen", "/run/sendguard/feedback/lmtp.sock",
     "/run/sendguard/feedback/lmtp.sock"},
    {"feedback", "socket_mode", "0600", "0600"},
    {"auth", "listen", "/run/sendguard/auth/auth.sock", "/run/sendguard/auth/auth.sock"},
    {"auth", "socket_mode", "0600", "0600"},
    {"auth", "key_file", "/etc/sendguard/auth-key", "/etc/sendguard/auth-key"},
    {"dovecot", "doveadm_url", "http://[::1]:9405/", "http://[::1]:9405"},
    {"dovecot", "doveadm_url", "", ""},
    {"lock", "reopen_by_webmail", "yes", "yes"},
    {"notify", "mail_to", "Desk@Example.TEST eve@example.test",
     "desk@example.test\neve@example.test"},
    {"notify", "mail_from", "Guard@Example.TEST", "guard@example.test"},
    {"notify", "mail_from", "", ""},
    {"notify", "smtp", "[::1]:10025", "[::1]:10025"},
    {"notify", "webhook", "unix:/run/hook.sock", "unix:/run/hook.sock"},
    {"notify", "webhook", "https://chat.example.test/hooks/1", "https://chat.example.test/hooks/1"},
    {"notify", "webhook_key_file", "/etc/sendguard/key", "/etc/sendguard/key"},
    {"notify", "leave_out", "near_limit bypassed", "near_limit\nbypassed"},
    {"notify", "leave_out", "", ""},
    {"notify", "interval", "1h", "1h"},
    {"notify", "per_hour", "1", "1"},
    {"notify", "digest", "0", "0"},
    {"notify", "digest", "off", "off"},
    {"notify", "user_languages", "de en", "de en"},
    {"notify", "user_held", "yes", "yes"},
    {"lock", "password_max_age", "365d", "365d"},
    {"lock", "password_max_age", "off", "off"},
    {"dovecot", "doveadm_key_file", "/etc/sendguard/key", "/etc/sendguard/key"},
    {"parked", "imap", "imaps://mail.example.test/", "imaps://mail.example.test"},
    {"parked", "smtp", "smtp://127.0.0.1:587", "smtp://127.0.0.1:587"},
    {"parked", "master_user", "sendguard", "sendguard"},
    {"logins", "mode", "enforce", "enforce"},
    {"logins", "wrong_passwords_per_mailbox_and_ip", "1", "1"},
    {"logins", "mailboxes_per_ip", "off", "off"},
    {"logins", "wrong_passwords_per_ip", "4096", "4096"},
    {"logins", "wrong_passwords_per_mailbox", "20", "20"},
    {"complaints", "authserv_id", "mx.example.test", "mx.example.test"},
    {"complaints", "loops", "Yahoo.test, Staff@Hotmail.test", "yahoo.test\nstaff@hotmail.test"},
    {"complaints", "count", "10", "10"},
    {"complaints", "window", "24h", "24h"},
    {"spf", "mode", "warn", "warn"},
    {"spf", "mode", "off", "off"},
    {"spf", "mode", "block", "block"},
    {"blocks", "unroutable", "none", "none"},
    {"blocks", "unroutable", "*.LOCAL, lan", "*.local lan"},
    {"blocks", "reasons", "", ""},
    {"blocks", "reasons", "no_ads  \tNo advertising.", "no_ads No advertising."},
    {"spf", "outgoing", "none", "none"},
    {"identity", "owners", "none", "none"},
    {"identity", "owners", "file:/etc/owners, postmap:proxy:mysql:/x socketmap:inet:[::1]:9:s",
     "file:/etc/owners\npostmap:proxy:mysql:/x\nsocketmap:inet:[::1]:9:s"},
    {"identity", "owner", "sole", "sole"},
    {"on_limit", "from_foreign", "refuse", "refuse"},
    {"shadow", "messages_per_day", "0", "0"},
    {"shadow", "messages_per_hour", "off", "off"},
    {"spf", "resolver", "system", "system"},
    {"spf", "resolver", "127.0.0.1 2001:DB8::53@5353", "127.0.0.1\n2001:db8::53@5353"},
    {"spf", "outgoing", "192.0.2.7, 2001:DB8::0:7", "192.0.2.7\n2001:db8::7"},
    {"web", "trusted_proxies", "none", "none"},
    {"web", "trusted_proxies", "192.0.2.7", "192.0.2.7"},
    {"web", "trusted_proxies", "192.0.2.7/32", "192.0.2.7"},
    {"web", "trusted_proxies", "0.0.0.0/0, ::/0", "0.0.0.0/0\n::/0"},
    {"web", "monitoring", "10.0.0.0/8 2001:DB8:0::/32", "10.0.0.0/8\n2001:db8::/32"},
    {"web", "monitoring", "2001:db8::5/128", "2001:db8::5"},
    {"web", "monitoring", "::ffff:10.1.0.0/112", "10.1.0.0/16"},
    {"web", "monitoring", "::ffff:0:0/96", "0.0.0.0/0"},
    {"desk", "max_extra", "0", "0"},
    {"desk", "max_extra_for", "1s", "1s"},
    {"desk", "max_resets_per_day", "1000", "1000"},
};

START_TEST(test_good_value)
{
    char text[300];
    snprintf(text, sizeof text, "%s.%s=%s", good_values[_i].section, good_values[_i].key,
             good_values[_i].value);
    ck_assert_msg(read_override(text) == 1, "%s: %s", text, problem.text);
    ck_assert_str_eq(value_of(good_values[_i].section, good_values[_i].key),
                     good_values[_i].prints);
    /* the same from the file */
    snprintf(text, sizeof text, "[%s]\n%s = %s\n", good_values[_i].section, good_values[_i].key,
             good_values[_i].value);
    must_read(text);
    ck_assert_str_eq(value_of(good_values[_i].section, good_values[_i].key),
                     good_values[_i].prints);
}
END_TEST

static const struct {
    const char *override, *expected;
} bad_values[] = {
    {"logins.mode=on", "expected enforce or observe"},
    {"logins.mailboxes_per_ip=0", "is out of range"},
    {"logins.wrong_passwords_per_ip=4097", "is out of range"},
    {"auth.key_file=key", "absolute path"},
    {"auth.range_dir=ranges", "absolute path"},
    {"dovecot.doveadm_url=127.0.0.1:9405", "a URL that begins with http:// or https://, or nothing"},
    {"dovecot.doveadm_key_file=", "absolute path"},
    {"parked.imap=127.0.0.1:143", "a URL that begins with imap:// or imaps://, or nothing"},
    {"parked.smtp=http://127.0.0.1", "a URL that begins with smtp:// or smtps://, or nothing"},
    {"lock.reopen_by_webmail=on", "no or yes"},
    {"notify.mail_from=guard", "notify.mail_from: \"guard\""},
    {"notify.smtp=/run/smtp.sock", "HOST:PORT"},
    {"notify.webhook=http://chat.example.test/",
     "a URL that begins with https:// or unix:/, or nothing"},
    {"notify.leave_out=suspension all", "\"all\": is no choice"},
    {"notify.interval=0s", "is out of range"},
    {"notify.per_hour=0", "is out of range"},
    {"notify.digest=24", "is out of range"},
    {"lock.password_max_age=29d", "is out of range; expected 30d to 3650d or off"},
    {"lock.password_max_age=365", "is no duration"},
    {"auth.listen=", "auth.listen"},
    {"limits.webmail.messages_per_day=6oo",
     "limits.webmail.messages_per_day: \"6oo\" is no number; expected 0 to 1000000000 or off"},
    {"limits.smtp.messages_per_day=1000000001", "\"1000000001\" is out of range"},
    {"limits.smtp.messages_per_day=99999999999999999999", "is no number"},
    {"limits.smtp.messages_per_day=9999999999999999999", "is no number"},
    {"limits.smtp.messages_per_day=999999999999999999", "is out of range"},
    {"limits.smtp.messages_per_day=-1", "\"-1\" is no number"},
    {"limits.smtp.messages_per_day=Off", "\"Off\" is no number"},
    {"limits.smtp.messages_per_day=+5", "\"+5\" is no number"},
    {"limits.smtp.messages_per_day=5.0", "\"5.0\" is no number"},
    {"limits.smtp.messages_per_day=0x10", "\"0x10\" is no number"},
    {"limits.smtp.messages_per_day=", "\"\" is empty; expected 0 to"},
    {"store.timeout=0ms", "\"0ms\" is out of range; expected 1ms to 1m"},
    {"store.timeout=61s", "\"61s\" is out of range"},
    {"store.timeout=250", "\"250\" is no duration"},
    {"store.timeout=ms", "\"ms\" is no duration"},
    {"store.timeout=1.5s", "\"1.5s\" is no duration"},
    {"store.timeout=1 s", "\"1 s\" is no duration"},
    {"store.timeout=5w", "\"5w\" is no duration"},
    {"store.timeout=permanent", "\"permanent\" is no duration"},
    {"support.links=https://panel.test/", "has no label before the URL; expected a label, a space "
                                          "and a URL that begins with http:// or https://"},
    {"support.links=Help", "\"Help\": is no such URL"},
    {"support.links=Help javascript:alert(1)", "\"javascript:alert(1)\": is no such URL"},
    {"support.links=Help ftp://help.test/", "is no such URL"},
    {"support.links=Help https:///password", "names no host"},
    {"support.links=Help https://a.test/\"x", "holds a character that no URL has"},
    {"log.keep_refused=999999999999999999d", "is out of range"},
    {"log.keep_refused=213503982335d", "is out of range"}, /* a few hours more than 2^64 ms */
    {"log.keep_admitted=23h", "\"23h\" is out of range; expected 24h to 3650d"},
    {"suspension.volume=24h,,permanently", "is no duration"},
    {"suspension.volume=,", "\",\" names no duration"},
    {"suspension.volume=500ms", "is out of range"},
    {"suspension.volume=1s 1s 1s 1s 1s 1s 1s 1s 1s", "has too many durations; expected 1 to 8"},
    {"suspension.unpause_messages=0", "is out of range; expected 1 to 1000 or off"},
    {"suspension.retries_before_restart=0", "is out of range; expected 1 to 1000000"},
    {"fcgi.threads=65", "is out of range; expected 1 to 64"},
    {"fcgi.socket_mode=0677", "\"0677\" is out of range"},
    {"fcgi.socket_mode=0611", "\"0611\" gives the right to execute"},
    {"fcgi.socket_mode=0680", "\"0680\" is no octal number"},
    {"fcgi.listen=9000", "\"9000\" is no HOST:PORT and no absolute path"},
    {"fcgi.listen=:9000", "\":9000\" has no host"},
    {"fcgi.listen=x:0", "\"x:0\" has no port"},
    {"fcgi.listen=x:65536", "has no port from 1 to 65535"},
    {"fcgi.listen=x:", "has no port"},
    {"fcgi.listen=a b:80", "has no host"},
    {"fcgi.listen=::1:80", "has no host"},
    {"fcgi.listen=[::1:80", "has no host"},
    {"fcgi.listen=/run/", "is no absolute path of a file"},
    {"fcgi.listen=", "\"\" is empty"},
    {"feedback.listen=nowhere",
     "\"nowhere\" is no HOST:PORT and no absolute path; expected HOST:PORT, an absolute path or "
     "nothing"},
    {"feedback.socket_mode=0677", "\"0677\" is out of range"},
    {"complaints.loops=yahoo..test", "complaints.loops: \"yahoo..test\""},
    {"complaints.loops=@yahoo.test", "complaints.loops: \"@yahoo.test\""},
    {"complaints.count=0", "\"0\" is out of range; expected 1 to 10000"},
    {"complaints.window=31d", "\"31d\" is out of range"},
    {"web.secret_file=secret", "\"secret\" is no absolute path"},
    {"web.base_url=ftp://x.test", "\"ftp://x.test\" is no such URL; expected a URL that begins "
                                  "with http:// or https://"},
    {"web.base_url=https://", "is no such URL"},
    {"web.base_url=https://x.test/a b", "holds a character that no URL has"},
    {"web.base_url=https://x.test/\"><", "holds a character that no URL has"},
    {"store.url=sqlite:///", "is no such URL"},
    {"store.url=/var/lib/x.db", "is no such URL"},
    {"store.url=redis://localhost/zero",
     "store.url: \"redis://localhost/zero\" has no number of a database behind its host; expected "
     "sqlite:///PATH, redis://HOST:PORT/DB, redis+unix:///PATH?db=DB or "
     "redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB; rediss for TLS"},
    {"store.url=redis://localhost/-1", "has no number of a database"},
    {"store.url=redis://localhost/0/0", "has no number of a database"},
    {"store.url=redis://localhost/0?x", "has no number of a database"},
    {"store.url=redis://:pw@host/0", "\"redis://…\" holds a user name or a password"},
    {"store.url=redis://localhost:0/0", "has no port from 1 to 65535"},
    {"store.url=redis://localhost:70000", "has no port from 1 to 65535"},
    {"store.url=redis://[::1/0", "has no host"},
    {"store.url=redis://[::1]x/0", "has no host"},
    {"store.url=redis://a,b/0", "has no host"},
    {"store.url=redis://:6379/0", "has no host"},
    {"store.url=redis+unix://redis.sock", "has no absolute path"},
    {"store.url=redis+unix:///run/redis.sock?db=x", "has something other than db=NUMBER"},
    {"store.url=redis+unix:///run/redis.sock?0", "has something other than db=NUMBER"},
    {"store.url=sqlite:///var/lib/x.db?mode=ro", "has a '?' in its path"},
    {"store.url=sqlite://x.db", "has no absolute path"},
    {"store.url=rediss+unix:///run/redis.sock", "is no such URL"},
    {"store.url=redis+sentinel://localhost", "has no name of a master behind its sentinels"},
    {"store.url=redis+sentinel://localhost//0", "has no name of a master"},
    {"store.url=redis+sentinel://localhost/my master", "holds a character that no URL has"},
    {"store.url=redis+sentinel://localhost/m+m", "has no name of a master"},
    {"store.url=redis+sentinel://localhost/m/x", "has no number of a database behind its master"},
    {"store.url=redis+sentinel://a,,b/m", "has no host"},
    {"store.url=redis+sentinel://a:0,b/m", "has no port from 1 to 65535"},
    {"store.url=redis+sentinel:///m", "has no host"},
    {"store.url=redis+sentinel://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/m", "has more than 16 sentinels"},
    {"store.url=redis+sentinel://u:pw@a/m", "\"redis+sentinel://…\" holds a user name or a password"},
    {"store.url=rediss://localhost/zero", "has no number of a database"},
    {"store.url=rediss://u:pw@host/0", "\"rediss://…\" holds a user name or a password; set "
                                       "store.user and store.password_file instead"},
    {"store.password_file=secret", "is no absolute path of a file; expected an absolute path or "
                                   "nothing"},
    {"store.tls_key_file=/etc/ssl/", "is no absolute path of a file"},
    {"store.on_failure=Allow", "\"Allow\" is no choice; expected refuse or allow"},
    {"on_limit.messages_per_hour_per_domain=suspend",
     "would suspend the mailbox that sends next; a domain is not suspended; expected refuse"},
    {"support.contact=a ;b", "holds a ';' that begins a comment"},
    {"support.contact=;b", "holds a ';' that begins a comment"},
    {"domains.own_domains=a.test b..test", "domains.own_domains: \"b..test\": "},
    {"domains.own_domains=a@b.test", "\"a@b.test\": "},
    {"domains.own_domains=,", "names no domain"},
    {"exempt.mailbox=@a.test", "exempt.mailbox: \"@a.test\": "},
    {"exempt.mailbox=anna", "exempt.mailbox: \"anna\": "},
    {"exempt.recipient=@", "exempt.recipient: \"@\": "},
    {"exempt.recipient=*@a.test b@", "exempt.recipient: \"b@\": "},
    {"web.templates=pages", "\"pages\" is no absolute path of a folder; expected an absolute path "
                            "or nothing"},
    {"web.templates=/", "\"/\" is no absolute path of a folder"},
    {"web.time_zone=", "\"\" is empty; expected a name of the time zone database"},
    {"web.time_zone=../../etc/passwd", "\"../../etc/passwd\" is no "},
    {"web.time_zone=/etc/localtime", "\"/etc/localtime\" is no "},
    {"web.time_zone=:UTC", "\":UTC\" is no "},
    {"web.time_zone=Europe/Berlim", "\"Europe/Berlim\" is no time zone of this machine"},
    {"failures.percent=0", "\"0\" is out of range; expected 1 to 100 or off"},
    {"failures.percent=101", "is out of range"},
    {"failures.at_least=0", "is out of range; expected 1 to 8192"},
    {"failures.min_messages=0", "is out of range"},
    {"failures.window=25h", "is out of range; expected 1s to 24h"},
    {"failures.block=0s", "is out of range"},
    {"failures.grace=25h", "is out of range; expected 0h to 24h"},
    {"failures.outage=yes", "\"yes\" is no choice; expected off or on"},
    {"failures.blocks=account", "is no choice; expected domain or mailbox"},
    {"blocks.unroutable=", "\"\" is empty; expected domains or *.DOMAIN, or none"},
    {"blocks.unroutable=*", "\"*\": "},
    {"blocks.reasons=marketing", "is no name of small letters, digits and _, and a sentence behind it"},
    {"blocks.reasons=No ads", "is no name of small letters"},
    {"blocks.reasons=a123456789b123456789c123456789d x", "has a name over 30 bytes"},
    {"spf.outgoing=", "\"\" is empty; expected IP addresses, or none"},
    {"spf.outgoing=,", "\",\" names no address"},
    {"spf.outgoing=192.0.2.0/24", "\"192.0.2.0/24\": is a network, not an address"},
    {"spf.outgoing=192.0.2.7/32", "is a network, not an address"},
    {"spf.outgoing=mx.example.test", "\"mx.example.test\": is no IP address"},
    {"identity.mode=on", "expected off, observe or enforce"},
    {"identity.owner=all", "expected any or sole"},
    {"identity.owners=", "is empty; expected file:PATH, socketmap:unix:PATH:NAME, "
                         "socketmap:inet:HOST:PORT:NAME or postmap:TYPE:TABLE, or none"},
    {"identity.owners=/etc/owners", "is none of file:PATH"},
    {"identity.owners=file:/etc/owners, postmap:/x", "\"postmap:/x\": is no postmap:TYPE:TABLE"},
    {"identity.owners=file:/etc/owners none", "\"none\": is none of"},
    {"on_limit.from_foreign=3", "expected refuse or suspend"},
    {"unusual.mode=on", "\"on\" is no choice; expected off, note, hold or defer"},
    {"unusual.new_recipients=0", "\"0\" is out of range; expected 1 to 65535"},
    {"unusual.factor=0", "\"0\" is out of range; expected 1 to 255"},
    {"unusual.new_domains=65536", "\"65536\" is out of range; expected 0 to 65535"},
    {"spf.mode=refuse", "\"refuse\" is no choice; expected off, observe, warn or block"},
    {"spf.resolver=", "is empty; expected IP addresses as ADDRESS or ADDRESS@PORT, or system"},
    {"spf.resolver=192.0.2.53@", "has no port behind @"},
    {"spf.resolver=192.0.2.53@65536", "has no port behind @"},
    {"spf.resolver=192.0.2.53@53x", "has no port behind @"},
    {"spf.resolver=ns.example.test", "is no IP address"},
    {"spf.resolver=192.0.2.53 system", "is no IP address"},
    {"spf.outgoing=192.0.2.7 none", "\"none\": is no IP address"},
    {"web.trusted_proxies=", "\"\" is empty; expected networks as ADDRESS or ADDRESS/BITS"},
    {"web.trusted_proxies=,", "\",\" names no network"},
    {"web.trusted_proxies=localhost", "\"localhost\": is no IP address"},
    {"web.trusted_proxies=10.0.0.0/8 none", "\"none\": is no IP address"},
    {"web.trusted_proxies=10.0.0/8", "\"10.0.0/8\": is no IP address"},
    {"web.trusted_proxies=10.0.0.1/8", "\"10.0.0.1/8\": has an address with bits set behind its"},
    {"web.trusted_proxies=2001:db8::1/64", "\"2001:db8::1/64\": has an address with bits set"},
    {"web.trusted_proxies=10.0.0.0/33", "has no number of bits behind its \"/\" that fits"},
    {"web.trusted_proxies=10.0.0.0/08", "has no number of bits"},
    {"web.trusted_proxies=10.0.0.0/-1", "has no number of bits"},
    {"web.trusted_proxies=10.0.0.0/", "has no number of bits"},
    {"web.trusted_proxies=::/129", "has no number of bits"},
    {"web.trusted_proxies=::/8/8", "has no number of bits"},
    {"web.trusted_proxies=fe80::1%lo", "is no IP address"},
    {"web.monitoring=[::1]", "is no IP address"},
    {"desk.max_extra=-1", "is no number"},
    {"desk.max_resets_per_day=1001", "is out of range; expected 0 to 1000"},
};

START_TEST(test_bad_value)
{
    ck_assert_msg(read_override(bad_values[_i].override) == 0, "%s", bad_values[_i].override);
    ck_assert_msg(strstr(problem.text, bad_values[_i].expected) != NULL, "%s", problem.text);
    ck_assert_ptr_null(settings);
    ck_assert_int_eq(strncmp(problem.where, "-o ", 3), 0);
    ck_assert_int_eq(
        strncmp(problem.where + 3, bad_values[_i].override, strlen(problem.where) - 3), 0);
}
END_TEST

START_TEST(test_lengths_of_values)
{
    static const struct {
        const char *name, *begin;
        size_t longest;
    } cases[] = {
        {"support.contact", "x", 160},
        {"web.secret_file", "/", 4095},
        {"fcgi.listen", "/", 107},
        {"web.base_url", "http://", 1024},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        freed_by(text_free) struct text text = {0};
        text_addf(&text, "%s=%s", cases[i].name, cases[i].begin);
        while (text.length < strlen(cases[i].name) + 1 + cases[i].longest)
            text_add_char(&text, 'x');
        ck_assert_msg(read_override(text.data) == 1, "%s", problem.text);
        text_add_char(&text, 'x');
        ck_assert_int_eq(read_override(text.data), 0);
        ck_assert_msg(strstr(problem.text, "x…\" is too long; expected ") != NULL, "%s",
                      problem.text);
    }
}
END_TEST

/* ---- overrides ------------------------------------------------------------------------- */

static int read_with(const char *content, const char *const *overrides, size_t count)
{
    must_read(content);
    settings_free(&settings);
    return settings_read(path, overrides, count, &settings, &problem);
}

START_TEST(test_overrides_come_last)
{
    static const char *const overrides[] = {"fcgi.threads = 7", "fcgi.threads=9",
                                            "store.url=sqlite:///tmp/a=b.db"};
    ck_assert_int_eq(read_with("[fcgi]\nthreads = 5\nlisten = /x\n", overrides, 3), 0);
    ck_assert_str_eq(problem.where, "-o fcgi.threads = 7"); /* a name has no space in it */
    ck_assert_int_eq(read_with("[fcgi]\nthreads = 5\nlisten = /x\n", overrides + 1, 2), 1);
    ck_assert_int_eq(settings->fcgi_threads, 9);
    ck_assert_str_eq(settings->fcgi_listen, "/x");
    ck_assert_str_eq(settings->store_url, "sqlite:///tmp/a=b.db");
}
END_TEST

START_TEST(test_override_of_a_list)
{
    static const char *const overrides[] = {
        "exempt.mailbox=b@x.test", "domains.own_domains=c.test d.test", "exempt.mailbox=c@x.test",
        "domains.own_domains=a.test e.test"};
    static const char content[] = "[domains]\nown_domains = a.test b.test\n"
                                  "[exempt]\nmailbox = a@x.test\nrecipient = r@x.test\n";
    ck_assert_msg(read_with(content, overrides, 4) == 1, "%s", problem.text);
    ck_assert_str_eq(value_of("domains", "own_domains"), "c.test d.test\na.test e.test");
    ck_assert_str_eq(value_of("exempt", "mailbox"), "b@x.test\nc@x.test");
    ck_assert_str_eq(value_of("exempt", "recipient"), "r@x.test");
    ck_assert(!settings_own_domain(settings, "a.test", "b.test"));
    ck_assert(settings_own_domain(settings, "a.test", "e.test"));

    static const char *const clash[] = {"domains.own_domains=a.test b.test",
                                        "domains.own_domains=b.test c.test"};
    ck_assert_int_eq(read_with("", clash, 2), 0);
    ck_assert_str_eq(problem.where, "-o domains.own_domains");
    ck_assert_str_eq(problem.text, "domains.own_domains: b.test stands in two groups");
}
END_TEST

START_TEST(test_overrides_that_are_none)
{
    static const struct {
        const char *override, *expected;
    } cases[] = {
        {"", "is no setting; expected section.key=value"},
        {"=", "is no setting"},
        {"threads=5", "is no setting"},
        {"fcgi.threads", "is no setting"},
        {"fcgi.=5", "fcgi.: no such setting"},
        {".threads=5", "stands before the first [section]"},
        {"fcgi.treads=5", "fcgi.treads: no such setting; did you mean fcgi.threads?"},
        {"fcgi.keepalive=12", "fcgi.keepalive: no such setting any more; every connection that the "
                              "web server asks to keep is kept; remove the line"},
        {"limits.webmial.messages_per_day=5", "did you mean limits.webmail.messages_per_day?"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        ck_assert_int_eq(read_override(cases[i].override), 0);
        ck_assert_msg(strstr(problem.text, cases[i].expected) != NULL, "%s", problem.text);
        ck_assert_int_eq(strncmp(problem.where, "-o ", 3), 0);
    }
    static const struct {
        const char *override, *expected;
    } unprintable[] = {
        {"support.contact=a\nb", "it holds a line break"},
        {"support.contact=\x1B[31m", "it holds a control character"},
        {"support.contact=\xFF", "it is no valid UTF-8"},
    };
    for (size_t i = 0; i < countof(unprintable); i++) {
        ck_assert_int_eq(read_override(unprintable[i].override), 0);
        ck_assert_str_eq(problem.where, "-o");
        ck_assert_str_eq(problem.text, unprintable[i].expected);
    }
    char *endless = malloc(100001);
    memset(endless, '.', 100000);
    endless[100000] = '\0';
    ck_assert_int_eq(read_override(endless), 0);
    endless[50000] = '=';
    ck_assert_int_eq(read_override(endless), 0);
    free(endless);
}
END_TEST

/* ---- domains and exemptions --------------------------------------------------------------- */

START_TEST(test_own_domains)
{
    must_read("[domains]\n"
              "own_domains = Example.test example.net, b\xC3\xBC" "cher.test  ; one\n"
              "    long.example        ; and more of it\n"
              "\n"
              "\tlonger.example\n"
              "own_domains = other.test another.test\n");
    static const struct {
        const char *mailbox_domain, *domain;
        bool own;
    } cases[] = {
        {"example.test", "example.test", true},      {"example.test", "example.net", true},
        {"example.net", "example.test", true},       {"example.net", "xn--bcher-kva.test", true},
        {"long.example", "longer.example", true},    {"example.test", "longer.example", true},
        {"example.test", "other.test", false},       {"other.test", "another.test", true},
        {"another.test", "example.net", false},      {"example.test", "sub.example.test", false},
        {"sub.example.test", "example.test", false}, {"example.test", "x.test", false},
        {"x.test", "example.test", false},           {"x.test", "x.test", true},
        {"x.test", "y.test", false},                 {"", "example.test", false},
    };
    for (size_t i = 0; i < countof(cases); i++)
        ck_assert_msg(settings_own_domain(settings, cases[i].mailbox_domain, cases[i].domain) ==
                          cases[i].own,
                      "%s, %s", cases[i].mailbox_domain, cases[i].domain);
    must_read("");
    ck_assert(settings_own_domain(settings, "a.test", "a.test"));
    ck_assert(!settings_own_domain(settings, "a.test", "b.test"));
}
END_TEST

START_TEST(test_many_own_domains)
{
    freed_by(text_free) struct text content = {0};
    text_add(&content, "[domains]\n");
    for (int group = 0; group < 500; group++)
        text_addf(&content, "own_domains = d%d.test e%d.test\n  f%d.test\n", group, group, group);
    must_read(content.data);
    ck_assert_uint_eq(settings->own_index_count, 1500);
    for (int group = 0; group < 500; group++) {
        char own[32], equal[32], other[32];
        snprintf(own, sizeof own, "d%d.test", group);
        snprintf(equal, sizeof equal, "f%d.test", group);
        snprintf(other, sizeof other, "f%d.test", (group + 1) % 500);
        ck_assert(settings_own_domain(settings, own, equal));
        ck_assert(!settings_own_domain(settings, own, other));
        ck_assert_str_eq(settings_sender_domain(settings, own), own); /* the first by name */
        ck_assert_str_eq(settings_sender_domain(settings, equal), own);
    }
    ck_assert_str_eq(settings_sender_domain(settings, "alone.test"), "alone.test");
}
END_TEST

START_TEST(test_exemptions)
{
    must_read("[exempt]\n"
              "mailbox = News@Example.test\n"
              "recipient = @lists.test a@x.test\n"
              "mailbox = z@example.test a@example.test\n"
              "recipient = B@x.test\n");
    ck_assert(settings_exempt_mailbox(settings, "news@example.test"));
    ck_assert(settings_exempt_mailbox(settings, "a@example.test"));
    ck_assert(settings_exempt_mailbox(settings, "z@example.test"));
    ck_assert(!settings_exempt_mailbox(settings, "b@example.test"));
    ck_assert(!settings_exempt_mailbox(settings, "a@x.test"));
    ck_assert(settings_exempt_recipient(settings, "a@x.test"));
    ck_assert(settings_exempt_recipient(settings, "b@x.test"));
    ck_assert(!settings_exempt_recipient(settings, "c@x.test"));
    ck_assert(settings_exempt_recipient(settings, "anyone@lists.test"));
    ck_assert(settings_exempt_recipient(settings, "\"odd@one\"@lists.test"));
    ck_assert(!settings_exempt_recipient(settings, "\"x@lists.test\"@x.test"));
    ck_assert(!settings_exempt_recipient(settings, "anyone@sub.lists.test"));
    ck_assert(!settings_exempt_recipient(settings, "no address"));
    must_read("");
    ck_assert(!settings_exempt_mailbox(settings, "news@example.test"));
    ck_assert(!settings_exempt_recipient(settings, "a@x.test"));
}
END_TEST

/* ---- durations of other things ------------------------------------------------------------- */

/* As people call it, and always as settings_duration_read takes it. */
START_TEST(test_duration_print)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{SECOND_MS, "1s"},        {90 * SECOND_MS, "90s"},  {MINUTE_MS, "1m"},
                 {36 * HOUR_MS, "36h"},    {2 * DAY_MS, "48h"},      {3 * DAY_MS, "72h"},
                 {7 * DAY_MS, "7d"},       {UNTIL_LIFTED, "permanent"}};
    for (size_t i = 0; i < countof(cases); i++) {
        freed_by(text_free) struct text text = {0};
        int64_t ms = 0;
        settings_duration_print(cases[i].ms, &text);
        ck_assert_str_eq(text_string(&text), cases[i].text);
        ck_assert_int_eq(settings_duration_read(text_string(&text), &ms), 1);
        ck_assert_int_eq(ms, cases[i].ms);
    }
}
END_TEST

START_TEST(test_duration_read)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: none */
    } cases[] = {
        {"24h", DAY_MS},          {"90d", 90 * DAY_MS},   {"1s", SECOND_MS},
        {"1500ms", 1500},         {"3650d", 3650 * DAY_MS}, {"permanent", UNTIL_LIFTED},
        {"3651d", 0},             {"999ms", 0},           {"0h", 0},
        {"", 0},                  {"24", 0},              {"h", 0},
        {"-1h", 0},               {"24h ", 0},            {"24 h", 0},
        {"1h30m", 0},             {"Permanent", 0},       {"99999999999999999999d", 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t ms = 7;
        ck_assert_msg(settings_duration_read(cases[i].text, &ms) == (cases[i].ms != 0), "%s",
                      cases[i].text);
        ck_assert_int_eq(ms, cases[i].ms != 0 ? cases[i].ms : 7);
    }
}
END_TEST

/* ---- networks ------------------------------------------------------------------------------ */

START_TEST(test_networks)
{
    must_read("[web]\n"
              "trusted_proxies = 192.0.2.7 10.0.0.0/8, 198.51.100.128/25\n"
              "trusted_proxies = 2001:db8:1::/48 ::1 2001:db8:ffff:ffe0::/59\n");
    ck_assert_uint_eq(settings->web_trusted_proxies.count, 6); /* without the default's */
    static const struct {
        const char *ip;
        bool holds;
    } cases[] = {
        {"192.0.2.7", true},         {"192.0.2.6", false},
        {"10.0.0.0", true},          {"10.255.255.255", true},
        {"11.0.0.0", false},         {"9.255.255.255", false},
        {"198.51.100.128", true},    {"198.51.100.255", true},
        {"198.51.100.127", false},   {"198.51.101.128", false},
        {"::ffff:10.9.8.7", true},   {"::ffff:11.9.8.7", false},
        {"2001:db8:1::", true},      {"2001:db8:1:ffff:ffff:ffff:ffff:ffff", true},
        {"2001:db8:2::", false},     {"2001:db8:0:ffff::1", false},
        {"::1", true},               {"::2", false},
        {"::", false},               {"2001:db8:ffff:ffff::1", true},
        {"2001:db8:ffff:ffdf::", false},
        {"2001:db8:1:2::/64", true}, {"2001:db8::/32", false}, /* a part, and a whole */
        {"127.0.0.1", false},        {"", false},
        {"10.0.0.1 ", false},        {"10.0.0", false},
        {"none", false},             {"10.0.0.1, 192.0.2.1", false},
    };
    for (size_t i = 0; i < countof(cases); i++)
        ck_assert_msg(settings_network_holds(&settings->web_trusted_proxies, cases[i].ip) ==
                          cases[i].holds,
                      "%s", cases[i].ip);
    ck_assert(settings_network_holds(&settings->web_monitoring, "127.0.0.1"));
    ck_assert(settings_network_holds(&settings->web_monitoring, "::1"));
    ck_assert(!settings_network_holds(&settings->web_monitoring, "10.0.0.1"));
}
END_TEST

START_TEST(test_networks_everything_and_nothing)
{
    must_read("[web]\ntrusted_proxies = none\nmonitoring = 0.0.0.0/0\n");
    ck_assert_uint_eq(settings->web_trusted_proxies.count, 0);
    ck_assert(!settings_network_holds(&settings->web_trusted_proxies, "127.0.0.1"));
    ck_assert(settings_network_holds(&settings->web_monitoring, "255.1.2.3"));
    ck_assert(!settings_network_holds(&settings->web_monitoring, "::1"));
    ck_assert_int_eq(read_text("[web]\nmonitoring = ::1\nmonitoring = none\n"), 0);
    ck_assert_msg(strstr(problem.text, "cannot be combined with networks") != NULL, "%s", problem.text);

    freed_by(text_free) struct text many = {0};
    text_add(&many, "[web]\n");
    for (int i = 0; i < 1000; i++)
        text_addf(&many, "monitoring = 10.0.%d.%d\n", i / 250, i % 250);
    must_read(many.data);
    ck_assert(settings_network_holds(&settings->web_monitoring, "10.0.3.249"));
    text_add(&many, "monitoring = 10.1.0.0\n");
    ck_assert_int_eq(read_text(many.data), 0);
    ck_assert_msg(strstr(problem.text, "is one network too many") != NULL, "%s", problem.text);
}
END_TEST

static void add_value_tests(TCase *cases)
{
    tcase_add_test(cases, test_defaults);
    tcase_add_test(cases, test_default_durations);
    tcase_add_test(cases, test_every_row_is_whole);
    tcase_add_test(cases, test_limits_go_where_they_belong);
    tcase_add_test(cases, test_hosted_domains);
    tcase_add_loop_test(cases, test_good_value, 0, (int)countof(good_values));
    tcase_add_loop_test(cases, test_bad_value, 0, (int)countof(bad_values));
    tcase_add_test(cases, test_lengths_of_values);
}

static void assert_warnings(const char *text, const char *names)
{
    struct faults warnings;
    char told[400] = "";
    must_read(text);
    settings_warnings(settings, &warnings);
    for (size_t i = 0; i < warnings.count; i++) {
        ck_assert_ptr_nonnull(strstr(warnings.first[i].text, ": expected "));
        strcat(strcat(told, warnings.first[i].where), " ");
    }
    ck_assert_str_eq(told, names);
}

START_TEST(test_warnings)
{
#define CONTACT "[support]\ncontact = desk@example.test\n"
#define URL(url) "[web]\nbase_url = " url "\n" CONTACT
#define OWN "[domains]\nown_domains = example.test\n"
#define FORWARDING "[mta]\nforwarding_networks = 192.0.2.1\n"
    assert_warnings("", "web.base_url support.contact domains.own_domains ");
    assert_warnings(URL("https://mail.example.test/sending") OWN FORWARDING, "");
    assert_warnings(URL("https://localhost.example.test") OWN, "");
    assert_warnings(URL("https://localhost") OWN, "web.base_url ");
    assert_warnings(URL("https://localhost:8443/x") OWN, "web.base_url ");
    assert_warnings(URL("http://127.0.1.1/x") OWN, "web.base_url ");
    assert_warnings(URL("http://[::1]:80/x") OWN, "web.base_url ");
    assert_warnings(URL("https://x.test") FORWARDING,
                    "domains.own_domains mta.forwarding_networks ");
#define STORE(url) URL("https://x.test") OWN "[store]\nurl = " url "\n"
#define CA "tls_ca_file = /x/ca.crt\n"
    assert_warnings(STORE("redis://h/0") CA, "store.tls_ca_file ");
    assert_warnings(STORE("redis+sentinel://h/m") "tls_cert_file = /x/c\ntls_key_file = /x/k\n",
                    "store.tls_cert_file ");
    assert_warnings(STORE("redis://h/0"), "");
    assert_warnings(STORE("rediss://h/0") CA, "");
    assert_warnings(STORE("rediss+sentinel://h/m") CA, "");
    assert_warnings(STORE("sqlite:///x/y") CA, ""); /* the store may be about to move */
    assert_warnings(URL("https://x.test") FORWARDING "[domains]\nhosted = example.test\n",
                    "domains.own_domains ");
    assert_warnings(URL("https://x.test") OWN "[unusual]\nmode = hold\n", "unusual.mode ");
    assert_warnings(URL("https://x.test") OWN "[unusual]\nmode = hold\n[mta]\n"
                    "webmail_hosts = 192.0.2.1\n", "");
}
END_TEST

static void add_other_tests(TCase *overrides, TCase *lists)
{
    tcase_add_test(overrides, test_overrides_come_last);
    tcase_add_test(overrides, test_override_of_a_list);
    tcase_add_test(overrides, test_overrides_that_are_none);
    tcase_add_test(lists, test_own_domains);
    tcase_add_test(lists, test_many_own_domains);
    tcase_add_test(lists, test_exemptions);
    tcase_add_test(overrides, test_duration_read);
    tcase_add_test(overrides, test_duration_print);
    tcase_add_test(lists, test_networks);
    tcase_add_test(lists, test_warnings);
    tcase_add_test(lists, test_networks_everything_and_nothing);
}

int main(void)
{
    Suite *suite = suite_create("settings");
    add_value_tests(add_settings_cases(suite, "values"));
    TCase *overrides = add_settings_cases(suite, "overrides");
    add_other_tests(overrides, add_settings_cases(suite, "lists"));
    return run_suite(suite);
}
