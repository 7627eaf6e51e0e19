/* Settings: one table (settings_table.c) says name, type, range, default, unit
 * and one sentence of each; the parser, `sendguard config`, the commented
 * default file and the reference in docs/ come from it. Read into one struct
 * that never changes afterwards; a reload builds a new one. */
#ifndef SENDGUARD_SETTINGS_H
#define SENDGUARD_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/problem.h"
#include "rules/rules.h"
#include "rules/suspension.h"

enum on_failure { ON_FAILURE_REFUSE, ON_FAILURE_ALLOW };
enum mode { MODE_ENFORCE, MODE_OBSERVE };
enum null_sender { NULL_SENDER_JUDGE, NULL_SENDER_PASS };
enum on_limit { ON_LIMIT_REFUSE, ON_LIMIT_SUSPEND };

struct text;

/* A list of texts: own_domains (one group of equals a line), exemptions. */
struct text_list {
    char **items;
    size_t count;
};

/* A domain of own_domains and the index of its group. */
struct own_domain {
    char *domain;
    size_t group;
};

struct settings {
    /* [store] */
    char *store_url;
    int64_t store_timeout_ms;
    int store_on_failure; /* enum on_failure */
    /* [fcgi] */
    char *fcgi_listen;
    int64_t fcgi_threads;
    int64_t fcgi_keepalive; /* connections kept open for nginx, at most; fewer than threads */
    int64_t fcgi_socket_mode; /* octal */
    /* [web] */
    char *web_listen;
    char *web_base_url; /* without a '/' at its end */
    char *web_secret_file;
    char *web_templates; /* "" for the built-in ones alone */
    char *web_time_zone; /* IANA name; for readers whose own is not known */
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
    /* [desk]: what role support may do at most */
    int64_t desk_max_extra;          /* recipients or messages that an extra adds */
    int64_t desk_max_extra_for_ms;   /* how long an extra or a limit may last */
    int64_t desk_max_resets_per_day; /* resets by one person in 24 hours */
    /* [status] */
    int64_t status_link_lifetime_ms;
    /* [limits.webmail], [limits.smtp], [limits.forwarding]; a rule without a setting is off */
    struct limits limits[CHANNEL_COUNT];
    /* [on_limit] for the rules over time, by rule - RULE_FIRST_OVER_TIME */
    int on_limit[OVER_TIME_COUNT]; /* enum on_limit */
    /* [domains] */
    struct text_list own_domains; /* each item: domains in key form, one space between */
    struct own_domain *own_index; /* the same by name, each domain once */
    size_t own_index_count;
    struct text_list hosted_domains; /* key form; by name, each once */
    /* [exempt] */
    struct text_list exempt_mailboxes;  /* key form; by name, each once */
    struct text_list exempt_recipients; /* key form, or "@domain"; by name, each once */
    /* [suspension] */
    struct durations durations[CAUSE_COUNT];
    int64_t retries_before_restart;
    /* [log] */
    int64_t keep_refused_ms, keep_admitted_ms;
    /* [support] */
    char *support_contact; /* "" for none */
    struct text_list support_links; /* "LABEL URL"; the URL has no space */
    /* [guard] */
    int guard_mode; /* enum mode */
};

/* Reads the defaults, then the file (NULL: none), then `overrides`, each "section.key=value": of
 * several of one name the last one counts, those of a list add up and replace what the file says.
 * 1; or 0 with *problem filled: where is "FILE:LINE", "FILE" or "-o section.key=value", text names
 * the key and what was expected. Refused are unknown and repeated keys, values out of range, lines
 * that ini.h does not read, and files over 1 MiB.
 * The file's form is that of ini.h. A list may stand in it again; a list of domains also goes on in
 * indented lines. */
int settings_read(const char *path, const char *const *overrides, size_t override_count,
                  struct settings **settings_r, struct problem *problem) must_check;
/* The same, with all faults: of the file in its order, of the overrides, of what lies across
 * lines. 1; or 0 with at least one fault. */
enum { FAULTS_MAX = 40 };
struct faults {
    size_t count; /* of all; the first FAULTS_MAX are kept */
    struct problem first[FAULTS_MAX];
};
int settings_read_all(const char *path, const char *const *overrides, size_t override_count,
                      struct settings **settings_r, struct faults *faults_r) must_check;
void settings_free(struct settings **settings);
/* What a good file says that hardly anybody wants, such as the untouched sample: where is
 * "section.key". At most FAULTS_MAX. */
void settings_warnings(const struct settings *settings, struct faults *warnings_r);

/* Names in key form; these do not allocate. */
/* Whether `domain` counts as own for a mailbox of `mailbox_domain`. */
bool settings_own_domain(const struct settings *settings, const char *mailbox_domain,
                         const char *domain);
/* Whether addresses of that domain are mailboxes here: hosted, or one of own_domains. */
bool settings_hosted_domain(const struct settings *settings, const char *domain);
bool settings_exempt_mailbox(const struct settings *settings, const char *mailbox);
bool settings_exempt_recipient(const struct settings *settings, const char *address);

/* Whether an IP address (text) lies in one of the networks ("ADDRESS" or "ADDRESS/BITS"). */
bool settings_network_holds(const struct text_list *networks, const char *ip);

/* A duration as settings have it ("90m", "24h", "30d"), or UNTIL_LIFTED for "permanent":
 * SECOND_MS to ten years. 1, or 0 when it is none. */
int duration_read(const char *text, int64_t *ms_r) must_check;
/* The same as text, added to it. */
void duration_print(int64_t ms, struct text *text);

/* The names ("section.key", static) of settings that differ between two structs, for
 * the log line of a reload; at most `max`. Returns the count. */
size_t settings_differences(const struct settings *a, const struct settings *b,
                            const char **names_r, size_t max);

/* The values in force as a file that settings_read takes; with `only_changed`
 * only those that differ from the defaults. */
void settings_write(const struct settings *settings, bool only_changed, FILE *out);
/* The commented file of defaults, and the reference as Markdown. */
void settings_write_defaults(FILE *out);
void settings_write_reference(FILE *out);

#endif
