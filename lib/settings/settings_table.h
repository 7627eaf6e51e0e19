/* The table of settings, a row for each, and the types of their values. Internal to lib/settings/;
 * other code reads struct settings. */
#ifndef SENDGUARD_SETTINGS_TABLE_H
#define SENDGUARD_SETTINGS_TABLE_H

#include "base/problem.h"
#include "base/text.h"
#include "settings/settings.h"

struct setting;
struct settings_value;

/* How a value is read, written and described. The types and their members of struct settings stand
 * below. */
struct setting_type {
    /* Fills value->member from value->text; a list gets more items. 1; or 0 with value->fault set
     * and the member as it was, or of a list with a part of the items added. */
    int (*parse)(struct settings_value *value);
    /* Adds the value as parse takes it; items of a list with line feeds between. */
    void (*print)(const struct setting *setting, const struct settings *settings,
                  struct text *text);
    /* Adds which values are allowed: "1 to 512". NULL: `values` says it. */
    void (*describe)(const struct setting *setting, struct text *text);
    const char *values;
    /* Frees the member's value and leaves none. NULL: there is nothing to free. */
    void (*clear)(void *member);
    bool is_list;      /* the file may repeat the setting, and its lines add up */
    bool continues;    /* a list that goes on in indented lines */
    bool may_be_empty; /* parse takes "" */
    bool is_url;       /* an error quotes only the scheme of a value with a possible password */
};

extern const struct setting_type
    /* settings_type_numbers.c */
    settings_type_integer,   /* int64_t: min to max */
    settings_type_octal,     /* int64_t: min to max, read and write bits of a file mode */
    settings_type_limit,     /* int32_t: min to max, or "off" (LIMIT_OFF) */
    settings_type_duration,  /* int64_t: min to max milliseconds, written as 250ms, 30s, 5m, 24h, 30d */
    settings_type_may_duration, /* the same, or "off": DURATION_OFF */
    settings_type_durations, /* struct durations: such durations or "permanent", the repeats in order */
    settings_type_choice,    /* int: index in `choices` */
    settings_type_domain_limit, /* the same, of a limit that the mailboxes of a domain share */
    /* settings_type_texts.c, char * */
    settings_type_text,   /* at most max bytes of UTF-8 */
    settings_type_path,   /* absolute path of a file */
    settings_type_log_source, /* where a mail server logs */
    settings_type_file,   /* absolute path of a file, or empty */
    settings_type_folder, /* absolute path, or empty; no '/' at its end */
    settings_type_listen, /* absolute path of a socket, or HOST:PORT */
    settings_type_may_listen, /* the same, or empty */
    settings_type_url,    /* begins with one of `choices`, at most max bytes; no '/' at its end */
    settings_type_may_url, /* the same, or empty */
    settings_type_store,  /* a URL as store_url.h has it, at most max bytes; no '/' at its end */
    settings_type_host_port,   /* HOST:PORT */
    settings_type_may_address, /* an address, or empty */
    settings_type_zone,   /* name of a time zone, "Europe/Berlin" */
    /* settings_type_lists.c, struct text_list */
    settings_type_domains,    /* a domain an item */
    settings_type_groups,     /* a group of domains an item, one space between */
    settings_type_addresses,  /* an address an item */
    settings_type_recipients, /* an address or "@domain" an item */
    settings_type_senders,    /* an address or a domain an item */
    settings_type_networks,   /* an item as settings_network_normalise has it; "none" is no item */
    settings_type_ips,        /* the same, of single addresses */
    settings_type_owners,     /* a source of owners an item, as owner_source.h has it; "none" is no item */
    settings_type_resolvers,  /* single addresses, each with "@PORT" or not; "system" is no item */
    settings_type_patterns,   /* a domain or "*.DOMAIN" an item; "none" is no item */
    settings_type_reasons,    /* "NAME SENTENCE" an item, one a line */
    settings_type_words,      /* of `choices`, an item each */
    settings_type_links;      /* "LABEL URL" an item, one a line; the URL as of settings_type_url */

struct setting {
    const char *section, *key, *name; /* "limits.smtp", "messages_per_day", both with a dot */
    const struct setting_type *type;
    size_t offset; /* of the member of struct settings */
    int64_t min, max;
    const char *standard; /* the default, as in a file; "" is none */
    const char *const *choices; /* ends with NULL */
    const char *unit;           /* what an integer or a limit counts, else NULL */
    const char *sentence;
};

extern const struct setting settings_table[]; /* rows of one section stand together */
extern const size_t settings_count;

#define DURATION_MAX_MS (3650 * DAY_MS)

/* Finds the row of that name; NULL: there is none. */
const struct setting *settings_table_find(const char *section, const char *key);
/* Why a setting of an earlier version is none any more, and what to do: the rest of a sentence that
 * begins with "no such setting"; NULL: no version had it. */
const char *settings_table_removed(const char *section, const char *key);
/* Finds the row with the name most like an unknown one; NULL: none is similar. */
const struct setting *settings_table_nearest(const char *section, const char *key);

/* The row's member. */
static inline const void *setting_member(const struct setting *setting,
                                         const struct settings *settings)
{
    return (const unsigned char *)settings + setting->offset;
}

/* Whether what is given to a name, known or not, may be a password, which no message shows. */
bool settings_value_is_secret(const char *name, size_t length);

/* Reads `value` into the setting's member; a list gets more items, or with `continues` its last
 * group more domains. 1; or 0 with the problem's text filled and the member as setting_type.parse
 * leaves it. */
int settings_value_parse(const struct setting *setting, const char *value, bool continues,
                         struct settings *settings, struct problem *problem) must_check;
/* Frees the value and leaves none. */
void settings_value_clear(const struct setting *setting, struct settings *settings);
/* Adds which values are allowed: "1 to 512", "refuse or allow". */
void settings_value_describe(const struct setting *setting, struct text *text);

/* Fills own_index. Calls `clashes` for each domain in two groups, with the earlier group first. */
void settings_index_domains(struct settings *settings,
                            void (*clashes)(void *context, const struct own_domain pair[2]),
                            void *context);
void settings_free_index(struct settings *settings);
/* Sorts the lists of exemptions and hosted domains and drops repeated entries. */
void settings_sort_lists(struct settings *settings);

/* Size of "ADDRESS/BITS" with its NUL. */
enum { NETWORK_SIZE = 56 };
/* Writes the network as inet_ntop has it: ADDRESS/BITS, or ADDRESS where all bits count;
 * IPv4-mapped addresses (RFC 4291 section 2.5.5.2) as IPv4. NULL; or the fault, as the rest of a
 * sentence that begins with the network. */
const char *settings_network_normalise(const char *text, size_t length,
                                       char network_r[NETWORK_SIZE]);

#endif
