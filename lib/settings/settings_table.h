/* The table of settings: one row each, from which come the parser, the
 * printed configuration and the reference. Internal to the settings_*.c files;
 * everybody else reads struct settings. */
#ifndef SENDGUARD_SETTINGS_TABLE_H
#define SENDGUARD_SETTINGS_TABLE_H

#include "base/problem.h"
#include "base/text.h"
#include "settings/settings.h"

/* What a row's member of struct settings is, and how its value is written. */
enum setting_type {
    SETTING_TEXT,       /* char *: min to max bytes of UTF-8 */
    SETTING_PATH,       /* char *: absolute */
    SETTING_FOLDER,     /* char *: absolute, or empty; no '/' at its end */
    SETTING_ZONE,       /* char *: name of a time zone, "Europe/Berlin" */
    SETTING_LISTEN,     /* char *: absolute path of a socket, or HOST:PORT */
    SETTING_URL,        /* char *: begins with one of `choices`; no '/' at its end */
    SETTING_STORE,      /* char *: a URL as store_url.h has it; no '/' at its end */
    SETTING_INTEGER,    /* int64_t: min to max */
    SETTING_OCTAL,      /* int64_t: min to max, read and write bits of a file mode */
    SETTING_DURATION,   /* int64_t: min to max milliseconds, written as 250ms, 30s, 5m, 24h, 30d */
    SETTING_DURATIONS,  /* struct durations: such durations or "permanent", the repeats in order */
    SETTING_CHOICE,     /* int: index in `choices` */
    SETTING_LIMIT,      /* int32_t: min to max, or "off" (LIMIT_OFF) */
    SETTING_DOMAINS,    /* struct text_list: a group of domains an item */
    SETTING_ADDRESSES,  /* struct text_list: an address an item */
    SETTING_RECIPIENTS, /* struct text_list: an address or "@domain" an item */
    SETTING_NETWORKS,   /* struct text_list: ADDRESS or ADDRESS/BITS an item, as inet_ntop writes
                           it; a network of one address without its bits; "none" is no item */
    SETTING_LINKS,      /* struct text_list: "LABEL URL" an item, one a line; the URL begins with one
                           of `choices`; "" is no item */
};

struct setting {
    const char *section, *key, *name; /* "limits.smtp", "messages_per_day", both with a dot */
    enum setting_type type;
    size_t offset; /* of the member of struct settings */
    int64_t min, max;
    const char *standard; /* the default, as one would write it; "" is none */
    const char *const *choices; /* ended by NULL */
    const char *unit;           /* of an integer or a limit: what is counted, else NULL */
    const char *sentence;
};

extern const struct setting settings_table[]; /* rows of one section stand together */
extern const size_t settings_count;

enum { DURATION_UNITS = 5 };
struct duration_unit {
    const char *name;
    int64_t ms;
};
extern const struct duration_unit duration_units[DURATION_UNITS]; /* the longest first */
#define DURATION_MAX_MS (3650 * DAY_MS)

/* The row of that name, NULL when there is none. */
const struct setting *setting_find(const char *section, const char *key);
/* The row whose name is nearest to an unknown one, NULL when none is near. */
const struct setting *setting_nearest(const char *section, const char *key);

/* Whether the setting may stand in the file again, its lines adding up. */
bool setting_is_list(const struct setting *setting);

/* Reads `value` into the setting's member; a list gets more items, or with `continues` its last
 * group more domains. 1; or 0 with the problem's text filled and the member as it was or with a
 * part of the value's items added. */
int setting_parse(const struct setting *setting, const char *value, bool continues,
                  struct settings *settings, struct problem *problem) must_check;
/* Frees the value and leaves none. */
void setting_clear(const struct setting *setting, struct settings *settings);

/* Adds the value as setting_parse takes it; items of a list with line feeds between. */
void setting_print(const struct setting *setting, const struct settings *settings,
                   struct text *text);
/* Adds what a value may be: "1 to 512", "refuse or allow". */
void setting_print_range(const struct setting *setting, struct text *text);

/* Fills own_index. `clashes` is called for each domain that stands in two groups, with the earlier
 * group first. */
void settings_index_domains(struct settings *settings,
                            void (*clashes)(void *context, const struct own_domain pair[2]),
                            void *context);
void settings_free_index(struct settings *settings);
/* Sorts the lists of exemptions and hosted domains, each entry once. */
void settings_sort_lists(struct settings *settings);

/* Room for "ADDRESS/BITS" and its NUL. */
enum { NETWORK_SIZE = 56 };
/* The canonical form of a network of IPv4 or IPv6; one of IPv4-mapped addresses is one of IPv4.
 * NULL, or what is wrong with it as the rest of a sentence that began with it. */
const char *network_normalise(const char *text, size_t length, char network_r[NETWORK_SIZE]);

#endif
