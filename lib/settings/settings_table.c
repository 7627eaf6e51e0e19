#include "settings/settings_table.h"

#include <string.h>

#include "rules/unusual.h"

static const char *const web_urls[] = {"http://", "https://", NULL};
static const char *const imap_urls[] = {"imap://", "imaps://", NULL};
static const char *const smtp_urls[] = {"smtp://", "smtps://", NULL};
static const char *const webhook_urls[] = {"https://", "unix:/", NULL};
const char *const settings_notify_conditions[NOTIFY_LEFT_OUT_COUNT + 1] = {
    [NOTIFY_SUSPENSION] = "suspension",         [NOTIFY_OWN_LOCK] = "own_lock",
    [NOTIFY_NEAR_LIMIT] = "near_limit",         [NOTIFY_BYPASSED] = "bypassed",
    [NOTIFY_COMPLAINT] = "complaint",           [NOTIFY_DOMAIN_BLOCKED] = "domain_blocked",
    [NOTIFY_LOGINS_BLOCKED] = "logins_blocked", [NOTIFY_HELD] = "held",
    [NOTIFY_APPEAL] = "appeal",                 [NOTIFY_LOG_GAP] = "log_gap", NULL};
static const char *const on_failure_names[] = {
    [ON_FAILURE_REFUSE] = "refuse", [ON_FAILURE_ALLOW] = "allow", NULL};
static const char *const durability_names[] = {
    [DURABILITY_NORMAL] = "normal", [DURABILITY_FULL] = "full", NULL};
static const char *const mode_names[] = {
    [MODE_ENFORCE] = "enforce", [MODE_OBSERVE] = "observe", NULL};
static const char *const null_sender_names[] = {
    [NULL_SENDER_JUDGE] = "judge", [NULL_SENDER_PASS] = "pass", NULL};
static const char *const on_limit_names[] = {
    [ON_LIMIT_REFUSE] = "refuse", [ON_LIMIT_SUSPEND] = "suspend", NULL};

static const char *const on_domain_limit_names[] = {[ON_LIMIT_REFUSE] = "refuse", NULL};

static const char *const no_yes_names[] = {"no", "yes", NULL};
static const char *const off_on_names[] = {"off", "on", NULL};
static const char *const unusual_mode_names[] = {
    [UNUSUAL_MODE_OFF] = "off", [UNUSUAL_MODE_NOTE] = "note", [UNUSUAL_MODE_HOLD] = "hold",
    [UNUSUAL_MODE_DEFER] = "defer", NULL};
static const char *const spf_mode_names[] = {
    [SPF_MODE_OFF] = "off", [SPF_MODE_OBSERVE] = "observe", [SPF_MODE_WARN] = "warn",
    [SPF_MODE_BLOCK] = "block", NULL};
static const char *const identity_mode_names[] = {
    [IDENTITY_MODE_OFF] = "off", [IDENTITY_MODE_OBSERVE] = "observe",
    [IDENTITY_MODE_ENFORCE] = "enforce", NULL};
static const char *const identity_owner_names[] = {
    [IDENTITY_OWNER_ANY] = "any", [IDENTITY_OWNER_SOLE] = "sole", NULL};
static const char *const failure_blocks_names[] = {
    [FAILURE_BLOCKS_DOMAIN] = "domain", [FAILURE_BLOCKS_MAILBOX] = "mailbox", NULL};

#define NAMED(section_name, key_name) \
    .section = section_name, .key = key_name, .name = section_name "." key_name
#define MEMBER(name) .offset = offsetof(struct settings, name)

#define LIMIT(channel, section_name, rule, key_name, standard_value, counted, text)    \
    {NAMED(section_name, key_name), .type = &settings_type_limit,                      \
     .offset = offsetof(struct settings, limits) + (channel) * sizeof(struct limits) + \
               offsetof(struct limits, of) + (rule) * sizeof(int32_t),                 \
     .min = 0, .max = LIMIT_MAX, .standard = standard_value, .unit = counted, .sentence = text}

#define LOGIN_LIMIT(rule, key_name, standard_value, text)                              \
    {NAMED("logins", key_name), .type = &settings_type_limit,                          \
     .offset = offsetof(struct settings, login_limits) +                               \
               offsetof(struct login_limits, of) + (rule) * sizeof(int32_t),           \
     .min = 1, .max = LOGIN_TRIES_MAX, .standard = standard_value, .unit = "in an hour", \
     .sentence = text}

/* The limits of one message, by a channel's defaults. */
#define MESSAGE_LIMITS(channel, section, which, message, field, domain, chars)                 \
    LIMIT(channel, section, RULE_RECIPIENTS_PER_MESSAGE, "recipients_per_message", message,    \
          "recipients", "Recipients of one message" which "."),                                \
    LIMIT(channel, section, RULE_RECIPIENTS_PER_FIELD, "recipients_per_field", field,          \
          "recipients", "Recipients in To, in Cc and in Bcc of one message, each."),           \
    LIMIT(channel, section, RULE_RECIPIENTS_PER_DOMAIN, "recipients_per_domain", domain,       \
          "recipients",                                                                        \
          "Recipients of one message at one domain that is not an own domain."),               \
    LIMIT(channel, section, RULE_HEADER_CHARS_PER_DOMAIN, "header_chars_per_domain", chars,    \
          "characters", "Characters that the recipients of one message at one domain that is " \
          "not an own domain take as written, names included.")

/* The limits over time of a channel that users send by. */
#define USER_LIMITS(channel, section, by, day, off_domain, per_ip, hour)                    \
    LIMIT(channel, section, RULE_MESSAGES_PER_DAY, "messages_per_day", day, "messages",     \
          "Messages of a mailbox in any 24 hours, webmail and SMTP together."),             \
    LIMIT(channel, section, RULE_OFF_DOMAIN_PER_DAY, "off_domain_per_day", off_domain,      \
          "recipients", "Recipients outside the own domains of a mailbox in any 24 hours, " \
          "webmail and SMTP together."),                                                    \
    LIMIT(channel, section, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "off_domain_per_hour_per_ip",  \
          per_ip, "recipients", "Recipients outside the own domains by " by                 \
          " from one IPv4 address or IPv6 /64 in any hour."),                               \
    LIMIT(channel, section, RULE_MESSAGES_PER_HOUR, "messages_per_hour", hour, "messages",  \
          "Messages of a mailbox in any hour, webmail and SMTP together."),                 \
    LIMIT(channel, section, RULE_MESSAGES_PER_HOUR_PER_DOMAIN,                              \
          "messages_per_hour_per_domain", "off", "messages",                                \
          "Messages of all mailboxes of a sender domain in any hour, webmail and SMTP "     \
          "together. A group of own_domains is one sender domain."),                        \
    LIMIT(channel, section, RULE_MESSAGES_PER_DAY_PER_RECIPIENT,                            \
          "messages_per_day_per_recipient", "off", "messages",                              \
          "Messages of a mailbox to one recipient, inside its own domains too, in any 24 "  \
          "hours, webmail and SMTP together. More than 10000 holds as 10000.")

#define ON_LIMIT(rule, key_name, standard_value)                 \
    {NAMED("on_limit", key_name), .type = &settings_type_choice, \
     .offset = offsetof(struct settings, on_limit) +             \
               ((rule) - RULE_FIRST_OVER_TIME) * sizeof(int),    \
     .standard = standard_value, .choices = on_limit_names,      \
     .sentence = "Whether a message over this limit also suspends the mailbox, cause volume."}

#define SHADOW(rule, key_name, counted)                                                \
    {NAMED("shadow", key_name), .type = &settings_type_limit,                          \
     .offset = offsetof(struct settings, shadow) + offsetof(struct limits, of) +       \
               (rule) * sizeof(int32_t),                                               \
     .min = 0, .max = LIMIT_MAX, .standard = "off", .unit = counted,                   \
     .sentence = "A limit to try out: messages that " key_name " would refuse if it "  \
                 "were this, webmail and SMTP together, are counted and not refused."}

#define SUSPENSION(cause, key_name, standard_value, reason)                                       \
    {NAMED("suspension", key_name), .type = &settings_type_durations,                             \
     .offset = offsetof(struct settings, durations) + (cause) * sizeof(struct durations),         \
     .min = SECOND_MS, .max = DURATION_MAX_MS, .standard = standard_value,                        \
     .sentence = "How long a suspension for " reason " lasts: the first in 30 days, the second, " \
                 "and so on; the last one named holds for all further ones."}

const struct setting settings_table[] = {
    {NAMED("store", "url"), .type = &settings_type_store, MEMBER(store_url), .max = 1024,
     .standard = "sqlite:///var/lib/sendguard/sendguard.db",
     .sentence = "The database: an SQLite file for one machine, or a Redis server for several "
                 "(`redis://HOST:PORT/DB`, `redis+unix:///PATH`, "
                 "`redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB`; `rediss` is by TLS)."},
    {NAMED("store", "user"), .type = &settings_type_text, MEMBER(store_user), .max = 128,
     .standard = "",
     .sentence = "The user of Redis (ACL) as whom to sign in; none signs in with the password "
                 "alone, as `requirepass` wants it."},
    {NAMED("store", "password_file"), .type = &settings_type_file, MEMBER(store_password_file),
     .standard = "",
     .sentence = "A file with the password for Redis, one line; mode 0600, and belongs to the user "
                 "of the services."},
    {NAMED("store", "tls_ca_file"), .type = &settings_type_file, MEMBER(store_tls_ca_file),
     .standard = "",
     .sentence = "For `rediss`: certificates (PEM) of the authorities that may have signed the "
                 "server's; none takes those that the system trusts."},
    {NAMED("store", "tls_cert_file"), .type = &settings_type_file, MEMBER(store_tls_cert_file),
     .standard = "",
     .sentence = "For `rediss`: the certificate (PEM) to show to a server that asks for one."},
    {NAMED("store", "tls_key_file"), .type = &settings_type_file, MEMBER(store_tls_key_file),
     .standard = "",
     .sentence = "The key (PEM, no passphrase) of that certificate; mode 0600, and belongs to the "
                 "user of the services."},
    {NAMED("store", "timeout"), .type = &settings_type_duration, MEMBER(store_timeout_ms),
     .min = 1, .max = MINUTE_MS, .standard = "250ms",
     .sentence = "How long a submission waits for the store before `on_failure` decides."},
    {NAMED("store", "on_failure"), .type = &settings_type_choice, MEMBER(store_on_failure),
     .standard = "refuse", .choices = on_failure_names,
     .sentence = "What a submission gets when the store does not answer; with `allow` as many pass as "
                 "`emergency` says."},
    {NAMED("store", "emergency"), .type = &settings_type_integer, MEMBER(store_emergency),
     .min = 0, .max = 10000, .standard = "50", .unit = "messages",
     .sentence = "With `on_failure = allow`: so many messages of a mailbox a program admits that the "
                 "store has not counted. It counts them when it answers again; more are refused."},
    {NAMED("store", "durability"), .type = &settings_type_choice, MEMBER(store_durability),
     .standard = "normal", .choices = durability_names,
     .sentence = "Of an SQLite file: what a power cut may take of what was answered: about the last "
                 "half minute, or nothing, for which each answer waits for the disk."},
    {NAMED("store", "replicas"), .type = &settings_type_integer, MEMBER(store_replicas),
     .min = 0, .max = 4, .standard = "0", .unit = "replicas",
     .sentence = "Of Redis: so many replicas must have what an answer rests on. Where they do not "
                 "within `timeout`, the store does not answer."},

    {NAMED("fcgi", "listen"), .type = &settings_type_listen, MEMBER(fcgi_listen),
     .standard = "/run/sendguard/fcgi/fcgi.sock",
     .sentence = "Where the webmail endpoint waits for the web server."},
    {NAMED("fcgi", "threads"), .type = &settings_type_integer, MEMBER(fcgi_threads),
     .min = 1, .max = 64, .standard = "2", .unit = "threads",
     .sentence = "Event loops. One serves any number of connections; what arrives at the same "
                 "moment is judged together."},
    {NAMED("fcgi", "socket_mode"), .type = &settings_type_octal, MEMBER(fcgi_socket_mode),
     .min = 0600, .max = 0666, .standard = "0660",
     .sentence = "File mode of the socket when `listen` is a path."},

    {NAMED("web", "listen"), .type = &settings_type_listen, MEMBER(web_listen),
     .standard = "127.0.0.1:9401",
     .sentence = "Where the web interface (status page, desk, API, metrics) waits for the web "
                 "server."},
    {NAMED("web", "base_url"), .type = &settings_type_url, MEMBER(web_base_url), .max = 1024,
     .standard = "http://127.0.0.1:8080/sending", .choices = web_urls,
     .sentence = "What the links in messages begin with: the status page as a browser reaches it."},
    {NAMED("web", "secret_file"), .type = &settings_type_path, MEMBER(web_secret_file),
     .standard = "/var/lib/sendguard/secret",
     .sentence = "The key that seals status links; made at the first start, mode 0600. Machines "
                 "that share a store share this file."},
    {NAMED("web",
           "templates"), .type = &settings_type_folder, MEMBER(web_templates), .standard = "",
     .sentence = "A folder whose pages and texts stand in the place of the built-in ones."},
    {NAMED("web",
           "time_zone"), .type = &settings_type_zone, MEMBER(web_time_zone), .standard = "UTC",
     .sentence = "The time zone of moments in pages and messages for readers whose own is not "
                 "known, such as `Europe/Berlin`."},
    {NAMED("web", "trusted_proxies"), .type = &settings_type_networks, MEMBER(web_trusted_proxies),
     .standard = "127.0.0.1 ::1",
     .sentence = "Networks of the web servers in front: what they say in `X-Forwarded-For` is "
                 "taken for the browser's address."},
    {NAMED("web", "sign_in_proxies"), .type = &settings_type_networks, MEMBER(web_sign_in_proxies),
     .standard = "none",
     .sentence = "Networks of the web servers in front that sign staff in: the account that they "
                 "name in `X-Remote-User` uses the desk without a password. Who can connect from "
                 "there can be anybody. Where `listen` is a socket file, any network here "
                 "stands for those who may open it."},
    {NAMED("web", "monitoring"), .type = &settings_type_networks, MEMBER(web_monitoring),
     .standard = "127.0.0.1 ::1",
     .sentence = "Networks that may read `/metrics`, `/healthz` and `/readyz`."},

    {NAMED("mta", "listen"), .type = &settings_type_listen, MEMBER(mta_listen),
     .standard = "127.0.0.1:9402",
     .sentence = "Where the policy service waits for Postfix. Every program that can connect "
                 "can say that a mailbox has sent: use a socket file, or the loopback interface."},
    {NAMED("mta", "threads"), .type = &settings_type_integer, MEMBER(mta_threads),
     .min = 1, .max = 64, .standard = "2", .unit = "threads",
     .sentence = "Event loops. One serves any number of connections; what arrives at the same "
                 "moment is judged together."},
    {NAMED("mta", "socket_mode"), .type = &settings_type_octal, MEMBER(mta_socket_mode),
     .min = 0600, .max = 0666, .standard = "0660",
     .sentence = "File mode of the socket when `listen` is a path."},
    {NAMED("mta", "webmail_hosts"), .type = &settings_type_networks, MEMBER(mta_webmail_hosts),
     .standard = "none",
     .sentence = "Networks that the webmail hands its messages in from. What the webmail endpoint "
                 "admitted is not counted again when it comes from there; what it never saw is "
                 "judged by the limits of the webmail. The webmail endpoint has to know it too."},
    {NAMED("mta", "exempt_networks"), .type = &settings_type_networks, MEMBER(mta_exempt_networks),
     .standard = "none",
     .sentence = "Networks of clients whose messages the policy service lets pass unjudged."},
    {NAMED("mta", "forwarding_networks"), .type = &settings_type_networks,
     MEMBER(mta_forwarding_networks), .standard = "none",
     .sentence = "Networks of the services that hand in what the filters of mailboxes send on "
                 "(redirect, vacation): a message from there that nobody signed in for is counted "
                 "as forwarding, for the mailbox that its sender address names."},
    {NAMED("mta", "null_sender"), .type = &settings_type_choice, MEMBER(mta_null_sender),
     .standard = "judge", .choices = null_sender_names,
     .sentence = "What happens to a message with an empty sender address that a signed-in user "
                 "hands in, such as a read receipt."},

    {NAMED("feedback", "source"), .type = &settings_type_log_source, MEMBER(feedback_source),
     .standard = "journal",
     .sentence = "Where the mail server logs: `journal`, or `file:` with the path of a file, of which "
                 "the rotated copies beside it are read too."},
    {NAMED("feedback", "listen"), .type = &settings_type_may_listen, MEMBER(feedback_listen),
     .standard = "",
     .sentence = "Where reports of complaints are taken by LMTP. Empty: nowhere. Every program that "
                 "can connect can say who sent a report: use a socket file, or the loopback "
                 "interface."},
    {NAMED("feedback", "socket_mode"), .type = &settings_type_octal, MEMBER(feedback_socket_mode),
     .min = 0600, .max = 0666, .standard = "0660",
     .sentence = "File mode of the socket when `listen` is a path."},

    {NAMED("milter", "listen"), .type = &settings_type_may_listen, MEMBER(milter_listen),
     .standard = "",
     .sentence = "Where `sendguard-milter` waits for Postfix. Empty: there is none. With it, "
                 "`recipients_per_field` and `header_chars_per_domain` of a message by SMTP are "
                 "judged by its header; without it all its recipients are taken for one field, as "
                 "bare addresses. The policy service has to know it too."},
    {NAMED("milter", "socket_mode"), .type = &settings_type_octal, MEMBER(milter_socket_mode),
     .min = 0600, .max = 0666, .standard = "0660",
     .sentence = "File mode of the socket when `listen` is a path."},

    {NAMED("auth", "listen"), .type = &settings_type_listen, MEMBER(auth_listen),
     .standard = "127.0.0.1:9404",
     .sentence = "Where Dovecot asks whether somebody may sign in (auth policy, HTTP)."},
    {NAMED("auth", "socket_mode"), .type = &settings_type_octal, MEMBER(auth_socket_mode),
     .min = 0600, .max = 0666, .standard = "0660",
     .sentence = "File mode of the socket when `listen` is a path."},
    {NAMED("auth", "key_file"), .type = &settings_type_path, MEMBER(auth_key_file),
     .standard = "/var/lib/sendguard/auth-key",
     .sentence = "A file with the key that Dovecot shows, one line; mode 0600, and belongs to the "
                 "user of the services."},
    {NAMED("auth", "range_dir"), .type = &settings_type_folder, MEMBER(auth_range_dir),
     .standard = "",
     .sentence = "A folder with the files of stolen passwords that Have I Been Pwned gives out, one "
                 "for each range (`ABCDE.txt`, or `ABCDE`): `GET /range/ABCDE` answers with them. "
                 "Empty: it answers 404."},

    {NAMED("logins", "mode"), .type = &settings_type_choice, MEMBER(logins_mode),
     .standard = "observe", .choices = mode_names,
     .sentence = "`observe` counts wrong passwords and logs what would be blocked, and keeps nobody "
                 "out. So does `enforce` while `guard.mode` is `observe`."},
    LOGIN_LIMIT(LOGIN_WRONG_PER_MAILBOX_AND_IP, "wrong_passwords_per_mailbox_and_ip", "10",
                "So many different wrong passwords for a mailbox from one IPv4 address or IPv6 /64 "
                "keep the mailbox closed to it for an hour."),
    LOGIN_LIMIT(LOGIN_MAILBOXES_PER_IP, "mailboxes_per_ip", "10",
                "So many mailboxes that somebody at one IPv4 address or IPv6 /64 has a wrong password "
                "for, or a tenth of those that sign in there if that is more, keep all mailboxes "
                "closed to it for an hour, but for those that have signed in there within 30 days."),
    LOGIN_LIMIT(LOGIN_WRONG_PER_IP, "wrong_passwords_per_ip", "50",
                "So many different wrong passwords from one IPv4 address or IPv6 /64, whatever the "
                "mailboxes, do the same."),
    LOGIN_LIMIT(LOGIN_WRONG_PER_MAILBOX, "wrong_passwords_per_mailbox", "100",
                "So many different wrong passwords for a mailbox, from everywhere, close it for an "
                "hour, but not to where it has signed in within 30 days."),

    {NAMED("lock", "reopen_by_webmail"), .type = &settings_type_choice,
     MEMBER(lock_reopen_by_webmail), .standard = "no", .choices = no_yes_names,
     .sentence = "Whether a password that was changed in the webmail, or in a panel by who knew the "
                 "old one, opens a mailbox that may only not send. A stranger who knows the password "
                 "can change it there too."},
    {NAMED("lock", "password_max_age"), .type = &settings_type_may_duration,
     MEMBER(lock_password_max_age_ms), .min = 30 * DAY_MS, .max = DURATION_MAX_MS,
     .standard = "off",
     .sentence = "Who has the right password is refused, and reads why, when `sendguard-auth` knows "
                 "it to be right for so long; its user is warned 14 days before."},
    {NAMED("dovecot", "doveadm_url"), .type = &settings_type_may_url, MEMBER(dovecot_doveadm_url),
     .max = 1024, .standard = "", .choices = web_urls,
     .sentence = "Where Dovecot's `service doveadm` listens by HTTP, such as "
                 "`http://127.0.0.1:9405`: `sendguard-auth` ends there the sessions of a locked "
                 "mailbox. Empty: they go on until they end."},
    {NAMED("dovecot", "doveadm_key_file"), .type = &settings_type_path,
     MEMBER(dovecot_doveadm_key_file), .standard = "/var/lib/sendguard/doveadm-key",
     .sentence = "A file with the value of Dovecot's `doveadm_api_key`, one line; mode 0600, and "
                 "belongs to the user of the services."},

    {NAMED("postqueue", "socket"), .type = &settings_type_file, MEMBER(postqueue_socket),
     .standard = "/run/sendguard/postqueue.sock",
     .sentence = "Where `sendguard-postqueue`, which releases and deletes messages that Postfix holds, "
                 "is asked: the path in `sendguard-postqueue.socket`. Empty: there is none."},
    {NAMED("postqueue", "command_directory"), .type = &settings_type_path,
     MEMBER(postqueue_command_directory), .standard = "/usr/sbin",
     .sentence = "Where Postfix's commands `postsuper` and `postqueue` are."},
    {NAMED("postqueue", "config_directory"), .type = &settings_type_path,
     MEMBER(postqueue_config_directory), .standard = "/etc/postfix",
     .sentence = "The configuration of the Postfix that users send by."},

    {NAMED("desk", "max_extra"), .type = &settings_type_integer, MEMBER(desk_max_extra),
     .min = 0, .max = LIMIT_MAX, .standard = "500", .unit = "messages or recipients",
     .sentence = "What role support may add to a limit at most."},
    {NAMED("desk", "max_extra_for"), .type = &settings_type_duration, MEMBER(desk_max_extra_for_ms),
     .min = SECOND_MS, .max = DURATION_MAX_MS, .standard = "7d",
     .sentence = "How long an extra or a limit that role support gives may last. What lasts "
                 "longer is for administrators to change."},
    {NAMED("desk", "max_resets_per_day"), .type = &settings_type_integer,
     MEMBER(desk_max_resets_per_day), .min = 0, .max = TRIES_MAX, .standard = "20",
     .unit = "resets",
     .sentence = "How many mailboxes' counts one person of role support may reset in any 24 "
                 "hours."},
    {NAMED("desk", "second_approval"), .type = &settings_type_choice,
     MEMBER(desk_second_approval), .standard = "no", .choices = no_yes_names,
     .sentence = "Whether a second person has to agree at the desk, within a day, when somebody "
                 "exempts a domain, or makes a limit come above ten times the one of the settings."},

    {NAMED("status", "link_lifetime"), .type = &settings_type_duration,
     MEMBER(status_link_lifetime_ms), .min = MINUTE_MS, .max = 30 * DAY_MS, .standard = "24h",
     .sentence = "How long the link to the status page works after the webmail got it; where it is "
                 "longer, as long as a suspension holds and a day."},

    {NAMED("parked", "per_mailbox"), .type = &settings_type_integer, MEMBER(parked_per_mailbox),
     .min = 0, .max = 100, .standard = "20", .unit = "messages",
     .sentence = "How many refused messages of a mailbox may wait in the webmail to be sent when "
                 "they may go. 0: it does not offer that."},
    {NAMED("parked", "imap"), .type = &settings_type_may_url, MEMBER(parked_imap), .max = 255,
     .standard = "", .choices = imap_urls,
     .sentence = "Where `sendguard-parked` reads such messages from Dovecot, to send them without "
                 "a visit of their user, such as `imap://127.0.0.1:143`; `imap://` on this machine "
                 "alone. Empty: it does not start, and they are sent at a visit."},
    {NAMED("parked", "smtp"), .type = &settings_type_may_url, MEMBER(parked_smtp), .max = 255,
     .standard = "", .choices = smtp_urls,
     .sentence = "Where it hands them to Postfix, such as `smtp://127.0.0.1:587`; `smtp://` on "
                 "this machine alone. From there it has to come by an address of `mta.webmail_hosts`."},
    {NAMED("parked", "master_user"), .type = &settings_type_text, MEMBER(parked_master_user),
     .max = 64, .standard = "",
     .sentence = "The master user of Dovecot as which it signs in at both, for the user of the "
                 "message."},
    {NAMED("parked", "password_file"), .type = &settings_type_path, MEMBER(parked_password_file),
     .standard = "/var/lib/sendguard/parked-password",
     .sentence = "A file with the password of that master user, one line; mode 0600, and belongs "
                 "to the user of the services."},

    /* Defaults: recipients of a message, of a field, of a domain, header characters of a domain;
     * a day's messages and off-domain recipients, an hour's off-domain recipients of an IP and
     * messages. */
    MESSAGE_LIMITS(CHANNEL_WEBMAIL, "limits.webmail", ": To, Cc and Bcc added up",
                   "300", "100", "50", "2000"),
    USER_LIMITS(CHANNEL_WEBMAIL, "limits.webmail", "webmail", "600", "1000", "500", "off"),

    MESSAGE_LIMITS(CHANNEL_SMTP, "limits.smtp", "", "900", "off", "off", "off"),
    USER_LIMITS(CHANNEL_SMTP, "limits.smtp", "SMTP", "600", "900", "off", "off"),

    MESSAGE_LIMITS(CHANNEL_FORWARDING, "limits.forwarding", "", "off", "off", "off", "off"),
    LIMIT(CHANNEL_FORWARDING, "limits.forwarding", RULE_MESSAGES_PER_DAY, "messages_per_day",
          "600", "messages",
          "Messages that the filter of a mailbox sends on (redirect, vacation) in any 24 hours. "
          "What is over it is deferred and suspends nobody."),
    LIMIT(CHANNEL_FORWARDING, "limits.forwarding", RULE_OFF_DOMAIN_PER_DAY, "off_domain_per_day",
          "900", "recipients",
          "Recipients outside the own domains of what the filter of a mailbox sends on in any 24 "
          "hours. What is over it is deferred and suspends nobody."),
    LIMIT(CHANNEL_FORWARDING, "limits.forwarding", RULE_MESSAGES_PER_HOUR, "messages_per_hour",
          "off", "messages", "Messages that the filter of a mailbox sends on in any hour."),

    ON_LIMIT(RULE_MESSAGES_PER_DAY, "messages_per_day", "suspend"),
    ON_LIMIT(RULE_OFF_DOMAIN_PER_DAY, "off_domain_per_day", "suspend"),
    ON_LIMIT(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "off_domain_per_hour_per_ip", "refuse"),
    ON_LIMIT(RULE_MESSAGES_PER_HOUR, "messages_per_hour", "refuse"),
    {NAMED("on_limit", "messages_per_hour_per_domain"), .type = &settings_type_domain_limit,
     .offset = offsetof(struct settings, on_limit) +
               (RULE_MESSAGES_PER_HOUR_PER_DOMAIN - RULE_FIRST_OVER_TIME) * sizeof(int),
     .standard = "refuse", .choices = on_domain_limit_names,
     .sentence = "A message over this limit suspends nobody: all mailboxes of the domain fill it, "
                 "and the one that sends next would pay for the others."},
    ON_LIMIT(RULE_MESSAGES_PER_DAY_PER_RECIPIENT, "messages_per_day_per_recipient", "refuse"),
    {NAMED("on_limit", "from_foreign"), .type = &settings_type_choice, MEMBER(on_from_foreign),
     .standard = "suspend", .choices = on_limit_names,
     .sentence = "Whether three different messages within 24 hours with a sender address at a domain "
                 "that is not hosted here also suspend the mailbox, cause identity."},

    SHADOW(RULE_MESSAGES_PER_DAY, "messages_per_day", "messages"),
    SHADOW(RULE_OFF_DOMAIN_PER_DAY, "off_domain_per_day", "recipients"),
    SHADOW(RULE_MESSAGES_PER_HOUR, "messages_per_hour", "messages"),

    {NAMED("domains", "own_domains"), .type = &settings_type_groups, MEMBER(own_domains),
     .standard = "",
     .sentence = "One group of domains that belong together: for a mailbox of one of them "
                 "recipients at the others are no off-domain recipients. Repeat the setting for "
                 "another group. A domain belongs to one group; a subdomain is another domain."},

    {NAMED("domains", "hosted"), .type = &settings_type_domains, MEMBER(hosted_domains),
     .standard = "",
     .sentence = "Domains whose addresses are mailboxes here; those of `own_domains` are, too. "
                 "What is forwarded is counted for the mailbox that its sender address names, and "
                 "refused when that is at no such domain. A sender address at any other domain is a "
                 "foreign one; while this setting is empty, domains that send here and those that "
                 "`identity.owners` know are hosted too. May be repeated."},

    {NAMED("failures", "percent"), .type = &settings_type_limit, MEMBER(failures.percent),
     .min = 1, .max = 100, .standard = "50", .unit = "percent",
     .sentence = "A domain is blocked when at least so much of the mail that it sends to others "
                 "fails or is deferred. `off` blocks no domain; the numbers are shown all the "
                 "same."},
    {NAMED("failures", "at_least"), .type = &settings_type_integer, MEMBER(failures.at_least),
     .min = 1, .max = FAILURE_BAD_MAX, .standard = "10", .unit = "recipients",
     .sentence = "Fewer failed or deferred recipients block no domain."},
    {NAMED("failures", "min_messages"), .type = &settings_type_integer,
     MEMBER(failures.min_messages), .min = 1, .max = FAILURE_BAD_MAX, .standard = "2",
     .unit = "messages",
     .sentence = "Failed or deferred recipients of fewer messages block no domain."},
    {NAMED("failures", "window"), .type = &settings_type_duration, MEMBER(failures.window_ms),
     .min = SECOND_MS, .max = DAY_MS, .standard = "1h",
     .sentence = "How long what became of a recipient counts."},
    {NAMED("failures", "block"), .type = &settings_type_duration, MEMBER(failures.block_ms),
     .min = SECOND_MS, .max = DAY_MS, .standard = "1h",
     .sentence = "How long a domain is blocked."},
    {NAMED("failures", "grace"), .type = &settings_type_duration, MEMBER(failures.grace_ms),
     .min = 0, .max = DAY_MS, .standard = "15m",
     .sentence = "How long a recipient whose server asked to try again later, as servers do with "
                 "strangers (greylisting), counts as neither delivered nor deferred."},
    {NAMED("failures", "outage"), .type = &settings_type_choice, MEMBER(failures.outage),
     .standard = "on", .choices = off_on_names,
     .sentence = "Whether recipients at a site that has an outage are left out."},
    {NAMED("failures", "blocks"), .type = &settings_type_choice, MEMBER(failures.blocks),
     .standard = "domain", .choices = failure_blocks_names,
     .sentence = "What is blocked. `mailbox` blocks the mailbox that four fifths of the failed or "
                 "deferred recipients are of, if there is one, instead of its domain."},

    {NAMED("complaints", "authserv_id"), .type = &settings_type_text,
     MEMBER(complaints_authserv_id), .max = 255, .standard = "",
     .sentence = "Whose `Authentication-Results` say who sent a report: the name that your own mail "
                 "server gives itself in that field, and that it removes from fields that come from "
                 "outside. Empty: of no report is it known, and none counts by itself."},
    {NAMED("complaints", "loops"), .type = &settings_type_senders, MEMBER(complaints_loops),
     .standard = "",
     .sentence = "The feedback loops that you are enrolled in: the domain that authenticates their "
                 "reports (its subdomains too), or the address that they come from where users of "
                 "that domain can write too."},
    {NAMED("complaints", "count"), .type = &settings_type_integer, MEMBER(complaints_count),
     .min = 1, .max = 10000, .standard = "3", .unit = "complaints",
     .sentence = "So many complaints about messages of a mailbox within `window` suspend it."},
    {NAMED("complaints", "window"), .type = &settings_type_duration, MEMBER(complaints_window_ms),
     .min = MINUTE_MS, .max = 30 * DAY_MS, .standard = "7d",
     .sentence = "Within how long those messages were sent."},

    {NAMED("blocks", "unroutable"), .type = &settings_type_patterns, MEMBER(blocks_unroutable),
     .standard = "localhost *.localhost *.invalid *.onion",
     .sentence = "Domains to which no mail leads, such as `*.onion` for all below `onion`: recipients "
                 "there are refused at once, and those at a name of one label, which is mistyped. "
                 "Not at domains of `[domains]`, nor recipients of `[exempt]`. `none` refuses none of "
                 "all these. May be repeated."},
    {NAMED("blocks", "reasons"), .type = &settings_type_reasons, MEMBER(blocks_reasons),
     .standard = "",
     .sentence = "A reason for which staff blocks recipients and senders: a name, a space, and the "
                 "sentence that who is refused reads, in the language of your users; a line each. A "
                 "changed sentence holds for what is blocked already."},

    {NAMED("spf", "mode"), .type = &settings_type_choice, MEMBER(spf_mode),
     .standard = "observe", .choices = spf_mode_names,
     .sentence = "What is done about sender domains whose SPF record does not let `outgoing` send. "
                 "`observe` tells staff; `warn` tells their users on the status page too, with the "
                 "moment 14 days later from which `block` refuses their mail; `off` looks at none."},
    {NAMED("spf", "outgoing"), .type = &settings_type_ips, MEMBER(spf_outgoing),
     .standard = "none",
     .sentence = "The addresses that mail leaves this installation from. `sendguard-feedback` looks "
                 "whether the SPF records of sender domains let them send, and `sendguard doctor` "
                 "whether the DNS leads from each to its name and back, as receivers do. With "
                 "`none` nothing is looked at."},
    {NAMED("spf", "resolver"), .type = &settings_type_resolvers, MEMBER(spf_resolver),
     .standard = "system",
     .sentence = "Which DNS resolvers are asked for SPF records: `system`, those of "
                 "`/etc/resolv.conf`. Name another where those answer otherwise for your own "
                 "domains than they are answered in the Internet."},

    {NAMED("identity", "mode"), .type = &settings_type_choice, MEMBER(identity_mode),
     .standard = "off", .choices = identity_mode_names,
     .sentence = "Whether a mailbox may write only as itself and as addresses that are its own. "
                 "`observe` tells in logs and decisions what `enforce` would refuse."},
    {NAMED("identity", "owners"), .type = &settings_type_owners, MEMBER(identity_owners),
     .standard = "none",
     .sentence = "Where it stands whose an address is: `file:PATH` with lines `address login login`, "
                 "`socketmap:unix:PATH:NAME`, `socketmap:inet:HOST:PORT:NAME`, or `postmap:TYPE:TABLE` "
                 "for any table that Postfix reads. All of them are asked. May be repeated."},
    {NAMED("identity", "owner"), .type = &settings_type_choice, MEMBER(identity_owner),
     .standard = "any", .choices = identity_owner_names,
     .sentence = "Who may write as an address that several mailboxes have, such as `team@`: each of "
                 "them, or, with `sole`, nobody but its only owner."},

    {NAMED("unusual", "mode"), .type = &settings_type_choice, MEMBER(unusual_mode),
     .standard = "note", .choices = unusual_mode_names,
     .sentence = "What is done about a message that brings its mailbox over the numbers below while "
                 "it comes from a network first seen less than 24 hours ago, goes to many new "
                 "domains, or the mailbox is known for less than 7 days. `note` passes it, and staff "
                 "reads why it is unusual. `hold` lets it wait in the mail server, and all that follows "
                 "to new recipients, until the postmaster has looked; `defer` refuses it for the time "
                 "being. Where the mailbox is known for less than 7 days both only note. `off` keeps "
                 "nothing of what is usual."},
    {NAMED("unusual", "new_recipients"), .type = &settings_type_integer,
     MEMBER(unusual_new_recipients), .min = 1, .max = UNUSUAL_NUMBER_MAX, .standard = "40",
     .unit = "recipients",
     .sentence = "It writes to more recipients than these, outside the own domains and not written "
                 "to in 90 days, in any 60 minutes."},
    {NAMED("unusual", "factor"), .type = &settings_type_integer, MEMBER(unusual_factor),
     .min = 1, .max = UNUSUAL_FACTOR_MAX, .standard = "3", .unit = "times",
     .sentence = "And to more than so many times as many as in its busiest hour on the 28 days "
                 "before."},
    {NAMED("unusual", "new_domains"), .type = &settings_type_integer, MEMBER(unusual_new_domains),
     .min = 0, .max = UNUSUAL_NUMBER_MAX, .standard = "20", .unit = "domains",
     .sentence = "Many new domains are more than these, in the same 60 minutes and not written to in "
                 "90 days."},

    {NAMED("notify", "mail_to"), .type = &settings_type_addresses, MEMBER(notify_mail_to),
     .standard = "",
     .sentence = "Who of support gets mail when a mailbox is suspended, a user objects, and the "
                 "like (`leave_out` has all). Empty: nobody. `sendguard-notify` sends it."},
    {NAMED("notify", "mail_from"), .type = &settings_type_may_address, MEMBER(notify_mail_from),
     .standard = "",
     .sentence = "The address in From of all mail of `sendguard-notify`, which sends none "
                 "without."},
    {NAMED("notify", "smtp"), .type = &settings_type_host_port, MEMBER(notify_smtp),
     .standard = "127.0.0.1:25",
     .sentence = "The mail server that takes it, on this machine or in a network that you trust; or "
                 "any, with `smtp_tls`."},
    {NAMED("notify", "smtp_tls"), .type = &settings_type_choice, MEMBER(notify_smtp_tls),
     .standard = "no", .choices = no_yes_names,
     .sentence = "`yes`: mail is handed in by TLS alone (STARTTLS), to a server whose certificate "
                 "names HOST."},
    {NAMED("notify", "tls_ca_file"), .type = &settings_type_file, MEMBER(notify_tls_ca_file),
     .standard = "",
     .sentence = "Certificates (PEM) of the authorities that may have signed those of the mail "
                 "server and the webhook; none takes those that the system trusts."},
    {NAMED("notify", "webhook"), .type = &settings_type_may_url, MEMBER(notify_webhook),
     .max = 1024, .standard = "", .choices = webhook_urls,
     .sentence = "Where the same is posted as signed JSON, for a chat or a ticket system: a URL, "
                 "or the path of a socket on which a program of yours speaks HTTP (`unix:/PATH`). "
                 "Empty: nowhere."},
    {NAMED("notify", "webhook_key_file"), .type = &settings_type_path,
     MEMBER(notify_webhook_key_file), .standard = "/var/lib/sendguard/notify-key",
     .sentence = "A file with the key that signs them, one line; mode 0600, and belongs to the "
                 "user of the services."},
    {NAMED("notify", "leave_out"), .type = &settings_type_words, MEMBER(notify_leave_out),
     .standard = "", .choices = settings_notify_conditions,
     .sentence = "What nobody is told of, where it happens too often to be of use. May be "
                 "repeated."},
    {NAMED("notify", "interval"), .type = &settings_type_duration, MEMBER(notify_interval_ms),
     .min = SECOND_MS, .max = DAY_MS, .standard = "5m",
     .sentence = "What happens first is told at once; what follows of the same kind within this "
                 "time is told together at its end."},
    {NAMED("notify", "per_hour"), .type = &settings_type_integer, MEMBER(notify_per_hour),
     .min = 1, .max = 1000, .standard = "30", .unit = "notifications",
     .sentence = "So many notifications in an hour at most; what is over waits, and is told "
                 "together in the next hour."},
    {NAMED("notify", "digest"), .type = &settings_type_limit, MEMBER(notify_digest),
     .min = 0, .max = 23, .standard = "off", .unit = "o'clock",
     .sentence = "The hour, in `web.time_zone`, in which a notification tells the numbers of the "
                 "last 24 hours."},
    {NAMED("notify", "user_languages"), .type = &settings_type_text, MEMBER(notify_user_languages),
     .max = 100, .standard = "",
     .sentence = "A user gets a mail when a suspension of the mailbox begins and when it ends, in "
                 "the language of the webmail where that is known, else in these: `de`, or `de en` "
                 "for both below each other. Empty: users get none."},
    {NAMED("notify", "user_held"), .type = &settings_type_choice, MEMBER(notify_user_held),
     .standard = "no", .choices = no_yes_names,
     .sentence = "With `user_languages`, whether a user gets a mail too when messages of the mailbox begin "
                 "to wait for the postmaster (`unusual.mode`)."},

    {NAMED("exempt", "mailbox"), .type = &settings_type_addresses, MEMBER(exempt_mailboxes),
     .standard = "", .sentence = "Mailboxes to which no limit applies."},
    {NAMED("exempt", "recipient"), .type = &settings_type_recipients,
     MEMBER(exempt_recipients), .standard = "",
     .sentence = "Recipients that no rule counts, whole domains as `@example.test`; the rest of "
                 "the message is judged without them."},

    SUSPENSION(CAUSE_VOLUME, "volume", "24h", "too much mail (Sendguard itself sets it)"),
    SUSPENSION(CAUSE_COMPLAINTS, "complaints", "24h, 72h, permanent",
               "complaints of recipients"),
    SUSPENSION(CAUSE_FAILURES, "failures", "24h, 72h, permanent",
               "mail that could not be delivered"),
    SUSPENSION(CAUSE_COMPROMISED, "compromised", "permanent",
               "use of the mailbox by a stranger"),
    SUSPENSION(CAUSE_BREACHED, "breached", "permanent",
               "a password that stands in a list of stolen ones"),
    SUSPENSION(CAUSE_TERMS, "terms", "permanent", "a violation of the terms of usage"),
    SUSPENSION(CAUSE_IDENTITY, "identity", "24h, 72h, permanent",
               "sender addresses that are not the mailbox's"),
    SUSPENSION(CAUSE_STAFF, "staff", "24h", "another reason that staff has"),
    {NAMED("suspension", "retries_before_restart"), .type = &settings_type_integer,
     MEMBER(retries_before_restart), .min = 1, .max = 1000000, .standard = "10",
     .unit = "attempts",
     .sentence = "From this attempt on, each attempt begins a suspension for volume anew, in its "
                 "first length. An attempt is another message, not the same one tried again."},
    {NAMED("suspension", "unpause_messages"), .type = &settings_type_limit,
     MEMBER(unpause_messages), .min = 1, .max = 1000, .standard = "off",
     .sentence = "Whether users may end their first suspension for volume in 30 days on the status "
                 "page, and how many messages and external recipients they then have for a day."},

    {NAMED("log", "keep_refused"), .type = &settings_type_duration, MEMBER(keep_refused_ms),
     .min = HOUR_MS, .max = DURATION_MAX_MS, .standard = "30d",
     .sentence = "How long the decision on a refused message can be explained."},
    {NAMED("log", "keep_admitted"), .type = &settings_type_duration, MEMBER(keep_admitted_ms),
     .min = DAY_MS, .max = DURATION_MAX_MS, .standard = "48h",
     .sentence = "How long the decision on an admitted message can be explained. The past of a "
                 "mailbox is known for 24 hours less (sendguard show --at): 8d shows a week, for "
                 "about 200 bytes a message."},

    {NAMED("support", "contact"), .type = &settings_type_text, MEMBER(support_contact),
     .max = 160, .standard = "",
     .sentence = "Whom a user may ask: an address, a telephone number or a link, shown as it is. "
                 "Empty: nobody is named."},
    {NAMED("support", "password_url"), .type = &settings_type_may_url,
     MEMBER(support_password_url), .max = 1024, .standard = "", .choices = web_urls,
     .sentence = "Where users change their password: linked to in the receipt of \"That wasn't "
                 "me\" on the status page. Empty: it only says to do so."},
    {NAMED("support", "links"), .type = &settings_type_links, MEMBER(support_links), .standard = "",
     .choices = web_urls, .max = 1024,
     .sentence = "A link on the status page: what it says, a space, and its URL; a line each, in "
                 "the order in which they are shown. Where users change the password, the "
                 "newsletter service, help pages."},

    {NAMED("guard", "mode"), .type = &settings_type_choice, MEMBER(guard_mode),
     .standard = "enforce", .choices = mode_names,
     .sentence = "`observe` judges, logs and counts, and refuses nobody."},
};
const size_t settings_count = countof(settings_table);

const struct setting *settings_table_find(const char *section, const char *key)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].key, key) == 0 &&
            strcmp(settings_table[i].section, section) == 0)
            return &settings_table[i];
    return NULL;
}

enum { NAME_MAX_BYTES = 64 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions and replacements that make one name of the other (Levenshtein). Both are
 * shorter than NAME_MAX_BYTES. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES];
    size_t length = strlen(b);
    for (size_t k = 0; k <= length; k++)
        row[k] = k;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0]; /* the row before, one column to the left */
        row[0] = i + 1;
        for (size_t k = 1; k <= length; k++) {
            size_t above = row[k];
            row[k] = smaller(smaller(above, row[k - 1]) + 1, diagonal + (a[i] != b[k - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

const char *settings_table_removed(const char *section, const char *key)
{
    static const struct {
        const char *section, *key, *instead;
    } removed[] = {
        {"fcgi", "keepalive",
         "every connection that the web server asks to keep is kept; remove the line"},
    };
    for (size_t i = 0; i < countof(removed); i++)
        if (strcmp(removed[i].section, section) == 0 && strcmp(removed[i].key, key) == 0)
            return removed[i].instead;
    return NULL;
}

const struct setting *settings_table_nearest(const char *section, const char *key)
{
    char unknown[NAME_MAX_BYTES];
    if (snprintf(unknown, sizeof unknown, "%s.%s", section, key) >= (int)sizeof unknown)
        return NULL;
    const struct setting *nearest = NULL;
    size_t least = smaller(4, strlen(unknown) / 3 + 1);
    for (size_t i = 0; i < settings_count; i++) {
        size_t steps = distance(unknown, settings_table[i].name);
        if (steps < least) {
            least = steps;
            nearest = &settings_table[i];
        }
    }
    for (size_t i = 0; i < settings_count && nearest == NULL; i++)
        if (strcmp(settings_table[i].key, key) == 0)
            nearest = &settings_table[i];
    return nearest;
}
