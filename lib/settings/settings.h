/* The settings of all programs. One table (settings_table.c) has name, type, range, default, unit
 * and a sentence for each setting; the parser, `sendguard config`, the commented default file and
 * the reference in docs/ use it. A struct settings never changes after it was read; a reload makes
 * a new one. */
#ifndef SENDGUARD_SETTINGS_H
#define SENDGUARD_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/problem.h"
#include "rules/failure_window.h"
#include "rules/login.h"
#include "rules/rules.h"
#include "rules/suspension.h"

enum on_failure { ON_FAILURE_REFUSE, ON_FAILURE_ALLOW };
enum mode { MODE_ENFORCE, MODE_OBSERVE };
enum null_sender { NULL_SENDER_JUDGE, NULL_SENDER_PASS };
enum durability { DURABILITY_NORMAL, DURABILITY_FULL };
enum unusual_mode { UNUSUAL_MODE_OFF, UNUSUAL_MODE_NOTE, UNUSUAL_MODE_HOLD, UNUSUAL_MODE_DEFER };
enum spf_mode { SPF_MODE_OFF, SPF_MODE_OBSERVE, SPF_MODE_WARN, SPF_MODE_BLOCK };
enum identity_mode { IDENTITY_MODE_OFF, IDENTITY_MODE_OBSERVE, IDENTITY_MODE_ENFORCE };
enum identity_owner { IDENTITY_OWNER_ANY, IDENTITY_OWNER_SOLE };
enum on_limit { ON_LIMIT_REFUSE, ON_LIMIT_SUSPEND };

/* What staff is told of ([notify]). */
enum notify_condition {
    NOTIFY_SUSPENSION,
    NOTIFY_OWN_LOCK,
    NOTIFY_NEAR_LIMIT,
    NOTIFY_BYPASSED,
    NOTIFY_COMPLAINT,
    NOTIFY_DOMAIN_BLOCKED,
    NOTIFY_LOGINS_BLOCKED,
    NOTIFY_HELD,
    NOTIFY_APPEAL,
    NOTIFY_LOG_GAP,
    NOTIFY_LEFT_OUT_COUNT,
    NOTIFY_DIGEST = NOTIFY_LEFT_OUT_COUNT,
    NOTIFY_CONDITION_COUNT
};
/* Their names, NULL-ended; that of a digest is none of them, since it has a setting of its own. */
extern const char *const settings_notify_conditions[NOTIFY_LEFT_OUT_COUNT + 1];

#define DURATION_OFF 0 /* of a duration that may be off */

struct text;

/* A setting that is a list, such as own_domains (an item is a group) or the exemptions. */
struct text_list {
    char **items;
    size_t count;
};

/* A domain of own_domains, the index of its group, and the first one of that by name. */
struct own_domain {
    char *domain;
    size_t group;
    const char *first;
};

enum { PLANS_MAX = 64 };

struct settings {
    /* [store] */
    char *store_url;
    int64_t store_timeout_ms;
    char *store_user, *store_password_file; /* of Redis; "" for none, as the files below */
    char *store_tls_ca_file, *store_tls_cert_file, *store_tls_key_file;
    int store_on_failure; /* enum on_failure */
    int64_t store_emergency;
    int store_durability; /* enum durability */
    int64_t store_replicas;
    /* [fcgi] */
    char *fcgi_listen;
    int64_t fcgi_threads;
    int64_t fcgi_socket_mode; /* octal */
    /* [web] */
    char *web_listen;
    char *web_base_url; /* without a '/' at its end */
    char *web_secret_file;
    char *web_templates; /* "" for the built-in ones alone */
    char *web_time_zone; /* IANA name; for readers whose own is not known */
    struct text_list web_sign_in_proxies; /* networks in key form; their X-Remote-User is signed in */
    struct text_list web_trusted_proxies; /* networks in key form; their X-Forwarded-For counts */
    struct text_list web_monitoring;      /* networks that may read metrics and health */
    /* [mta] */
    char *mta_listen;
    int64_t mta_threads;                 /* event loops */
    int64_t mta_socket_mode;             /* octal; when mta_listen is a path */
    struct text_list mta_webmail_hosts;  /* networks; empty: no tickets are left or redeemed */
    struct text_list mta_exempt_networks; /* clients there are not judged */
    struct text_list mta_forwarding_networks; /* clients there hand in what filters send on */
    int mta_null_sender;                 /* enum null_sender */
    /* [feedback] */
    char *feedback_source;               /* of log_source_open */
    char *feedback_listen;               /* "" for nowhere */
    int64_t feedback_socket_mode;        /* octal; when feedback_listen is a path */
    /* [milter] */
    char *milter_listen;        /* "": there is none */
    int64_t milter_socket_mode; /* octal; when milter_listen is a path */

    /* [auth] */
    char *auth_listen;
    int64_t auth_socket_mode; /* octal; when auth_listen is a path */
    char *auth_key_file;
    char *auth_range_dir; /* "": none */

    /* [lock] */
    int lock_reopen_by_webmail; /* 0 no, 1 yes */
    int64_t lock_password_max_age_ms; /* or DURATION_OFF */

    /* [dovecot] */
    char *dovecot_doveadm_url; /* "": none */
    char *dovecot_doveadm_key_file;
    /* [postqueue] */
    char *postqueue_socket; /* "": there is no sendguard-postqueue */
    char *postqueue_command_directory, *postqueue_config_directory; /* of Postfix */
    /* [logins] */
    int logins_mode; /* enum mode; observe also where guard_mode is */
    struct login_limits login_limits;
    /* [desk]: what role support may do at most */
    int64_t desk_max_extra;          /* recipients or messages that an extra adds */
    int64_t desk_max_extra_for_ms;   /* how long an extra or a limit may last */
    int64_t desk_max_resets_per_day; /* resets by one person in 24 hours */
    int desk_second_approval;        /* 1: exempting a domain and very high limits want two people */
    /* [status] */
    int64_t status_link_lifetime_ms;
    /* [parked] */
    int64_t parked_per_mailbox; /* 0: none is */
    char *parked_imap, *parked_smtp; /* "": not set */
    char *parked_master_user;        /* "": not set */
    char *parked_password_file;
    /* [limits.webmail], [limits.smtp], [limits.forwarding]; a rule without a setting is off */
    struct limits limits[CHANNEL_COUNT];
    /* [on_limit] for the rules over time, by rule - RULE_FIRST_OVER_TIME */
    int on_limit[OVER_TIME_COUNT]; /* enum on_limit */
    int on_from_foreign;           /* enum on_limit */
    /* [shadow]: limits that are only counted; off but for some rules over time of a mailbox */
    struct limits shadow;
    /* [domains] */
    struct text_list own_domains; /* each item: domains in key form, one space between */
    struct own_domain *own_index; /* the same, sorted by name, each domain once */
    size_t own_index_count;
    struct text_list hosted_domains; /* key form; sorted, each once */
    /* [failures] */
    struct failure_settings failures;
    /* [complaints] */
    char *complaints_authserv_id;      /* "" for nobody's */
    struct text_list complaints_loops; /* domains and addresses, key form */
    int64_t complaints_count, complaints_window_ms;
    /* [blocks] */
    struct text_list blocks_unroutable; /* domains in key form, or "*.DOMAIN" */
    struct text_list blocks_reasons;    /* "NAME SENTENCE"; the name has no space */
    /* [spf] */
    int spf_mode;                  /* enum spf_mode */
    struct text_list spf_outgoing; /* IPs as inet_ntop has them */
    struct text_list spf_resolver; /* "IP" or "IP@PORT"; none: those of the system */
    /* [identity] */
    int identity_mode;                /* enum identity_mode */
    struct text_list identity_owners; /* as owner_source_read takes them */
    int identity_owner;               /* enum identity_owner */
    /* [unusual] */
    int unusual_mode; /* enum unusual_mode */
    int64_t unusual_new_recipients, unusual_factor, unusual_new_domains;
    /* [notify] */
    struct text_list notify_mail_to; /* addresses in key form */
    char *notify_mail_from;          /* the same; "": none */
    char *notify_smtp;               /* HOST:PORT */
    int notify_smtp_tls;             /* 1: by STARTTLS alone */
    char *notify_tls_ca_file;        /* "": what the system trusts */
    char *notify_webhook;            /* "": none */
    char *notify_webhook_key_file;
    struct text_list notify_leave_out; /* of settings_notify_conditions */
    int64_t notify_interval_ms, notify_per_hour;
    int32_t notify_digest;           /* the hour in web.time_zone, or LIMIT_OFF */
    char *notify_user_languages;     /* BCP 47 tags with blanks between; "": users get no mail */
    int notify_user_held;            /* 1: they get one too when their mail begins to wait */
    /* [exempt] */
    struct text_list exempt_mailboxes;  /* key form; sorted, each once */
    struct text_list exempt_recipients; /* key form, or "@domain"; sorted, each once */
    /* [suspension] */
    struct durations durations[CAUSE_COUNT];
    int64_t retries_before_restart;
    int32_t unpause_messages; /* or LIMIT_OFF */
    /* [log] */
    int64_t keep_refused_ms, keep_admitted_ms;
    /* [support] */
    char *support_contact; /* "" for none */
    char *support_password_url; /* "" for none */
    struct text_list support_links; /* "LABEL URL"; the URL has no space */
    /* [guard] */
    int guard_mode; /* enum mode */
    /* [plan.NAME], in the order in which they are named */
    struct plan plans[PLANS_MAX];
    size_t plan_count;
};

/* Reads the defaults, then the file (NULL: none), then `overrides`, each "section.key=value": of
 * several of one name the last one counts, those of a list add up and replace what the file says.
 * 1; or 0 with *problem filled: where is "FILE:LINE", "FILE" or "-o section.key=value", text names
 * the key and what was expected. Refused are unknown and repeated keys, values out of range, lines
 * that ini.h does not read, and files over 1 MiB.
 * Before its first section the file may include others, "include = PATH", at most
 * SETTINGS_INCLUDES_MAX; a path that is not absolute begins in the folder of the file. What the file
 * itself sets goes before what they set, also a list; none of them includes others, and two of them
 * do not set the same.
 * The file's form is that of ini.h. A list may stand in it again; a list of domains also goes on in
 * indented lines. */
enum { SETTINGS_INCLUDES_MAX = 8 };
int settings_read(const char *path, const char *const *overrides, size_t override_count,
                  struct settings **settings_r, struct problem *problem) must_check;
/* Reads them as settings_read and reports all faults: those of the file's lines in their order, of
 * the overrides, of several lines together. 1; or 0 with at least one. */
enum { FAULTS_MAX = 40 };
struct faults {
    size_t count; /* number of all faults; `first` has the first FAULTS_MAX of them */
    struct problem first[FAULTS_MAX];
};
int settings_read_all(const char *path, const char *const *overrides, size_t override_count,
                      struct settings **settings_r, struct faults *faults_r) must_check;
void settings_free(struct settings **settings);
/* Finds settings that are valid but probably not intended, such as those of an unchanged sample
 * file; where is "section.key". At most FAULTS_MAX. */
void settings_warnings(const struct settings *settings, struct faults *warnings_r);
/* One more of them. */
void settings_warn(struct faults *warnings, const char *where, const char *text);

/* Whether blocks of sign-ins keep people out: neither logins.mode nor guard.mode is observe. */
bool settings_enforces_logins(const struct settings *settings);

/* The next six take names in key form and do not allocate. */
/* Whether `domain` counts as own for a mailbox of `mailbox_domain`. */
bool settings_own_domain(const struct settings *settings, const char *mailbox_domain,
                         const char *domain);
/* The name of its group, which is one sender: of its equals the first one by name. A pointer into
 * settings, or `domain`. */
const char *settings_sender_domain(const struct settings *settings, const char *domain);
/* Whether addresses of that domain are mailboxes here: hosted, or one of own_domains. */
bool settings_hosted_domain(const struct settings *settings, const char *domain);
bool settings_exempt_mailbox(const struct settings *settings, const char *mailbox);
bool settings_exempt_recipient(const struct settings *settings, const char *address);

/* Whether no mail leads to `domain`, for a mailbox of `mailbox_domain`: it has one label or is of
 * [blocks] unroutable, and is hosted nowhere here. */
bool settings_unroutable(const struct settings *settings, const char *mailbox_domain,
                         const char *domain);
/* What the sender reads of that reason for a block: the sentence of a name of [blocks] reasons; else
 * `reason` itself. */
const char *settings_block_reason(const struct settings *settings, const char *reason);
/* What the names in [blocks] reasons are made of. */
#define SETTINGS_REASON_NAME "abcdefghijklmnopqrstuvwxyz0123456789_"
/* Whether the reason looks like such a name, but no reason has it. */
bool settings_lacks_block_reason(const struct settings *settings, const char *reason);

/* The plan of that name; NULL: there is none. */
const struct plan *settings_plan(const struct settings *settings, const char *name);

/* Whether an IP address (text) lies in one of the networks ("ADDRESS" or "ADDRESS/BITS"). */
bool settings_network_holds(const struct text_list *networks, const char *ip);

/* Reads a duration in the form of the settings ("90m", "24h", "30d"), SECOND_MS to 3650 days, or
 * "permanent" as UNTIL_LIFTED. 1; or 0 for other text. */
int settings_duration_read(const char *text, int64_t *ms_r) must_check;
/* Adds the duration in that form. */
void settings_duration_print(int64_t ms, struct text *text);

/* Fills in the names ("section.key", static) of the settings that differ, at most `max`; a reload
 * logs them. Returns their number. */
size_t settings_differences(const struct settings *a, const struct settings *b,
                            const char **names_r, size_t max);

/* Writes the values as a file for settings_read; with `only_changed` only those that differ from
 * the defaults. */
void settings_write(const struct settings *settings, bool only_changed, FILE *out);
/* Write the commented file of defaults, and the reference in Markdown. */
void settings_write_defaults(FILE *out);
void settings_write_reference(FILE *out);

#endif
