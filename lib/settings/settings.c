/* Reads the defaults, then the file, then the overrides, each value by its row of the table; last
 * it checks settings against each other. It keeps each fault and goes on, to report all at once. */
#include "settings/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/store_url.h"
#include "message/address.h"
#include "settings/ini.h"
#include "settings/settings_table.h"

enum { FILE_MAX_BYTES = 1024 * 1024, NAME_MAX_BYTES = 128 };

/* The state of one call of settings_read_all. */
struct reading {
    struct settings *settings;
    struct faults *faults;
    struct problem *problem; /* the current fault, which failed() keeps */
    const char *path;
    const char *override; /* the current one; NULL before the overrides */
    int line;             /* the current line of the file; 0 outside of it */
    int *set_at;          /* by row: the line that set it, 0 for none, INT_MAX for an override */
    int *group_lines;     /* by item of own_domains */
    size_t group_room;
    const char *section;          /* the current one; NULL: it is unknown, skip its lines */
    const struct setting *latest; /* what indented lines continue; NULL: skip them */
};

/* ---- faults ------------------------------------------------------------------ */

/* Sets where to "FILE:LINE". Shortens a long path at its beginning, which says less. */
static void set_place(struct reading *reading, int line)
{
    struct problem *problem = reading->problem;
    freed_by(free_string) char *place =
        line > 0 ? xasprintf("%s:%d", reading->path, line) : xstrdup(reading->path);
    size_t length = strlen(place), room = sizeof problem->where - 1;
    if (length <= room) {
        snprintf(problem->where, sizeof problem->where, "%s", place);
    } else {
        const char *tail = place + length - (room - strlen("…"));
        while (((unsigned char)*tail & 0xC0) == 0x80)
            tail++;
        snprintf(problem->where, sizeof problem->where, "…%s", tail);
    }
}

static void set_override_place(struct reading *reading)
{
    const char *override = reading->override;
    const char *equals = strchr(override, '=');
    bool unreadable = address_text_fault(override, strlen(override)) != NULL;
    size_t name_length = equals != NULL ? (size_t)(equals - override) : strlen(override);
    bool hidden = store_url_may_hold_password(equals != NULL ? equals + 1 : override) ||
                  settings_value_is_secret(override, name_length);
    int shown = unreadable || (hidden && equals == NULL) ? 0
                : hidden                                 ? (int)(equals - override)
                                                         : INT_MAX;
    struct problem copy = *reading->problem;
    freed_by(free_string) char *place =
        xasprintf("-o%s%.*s", shown > 0 ? " " : "", shown, override);
    problem_set(reading->problem, 0, place, "%s", copy.text);
}

/* Keeps *problem as a fault of the current line or override. Returns 0. */
static int failed(struct reading *reading)
{
    struct faults *faults = reading->faults;
    if (reading->override != NULL)
        set_override_place(reading);
    else if (reading->path != NULL && reading->line > 0)
        set_place(reading, reading->line);
    if (faults->count < FAULTS_MAX)
        faults->first[faults->count] = *reading->problem;
    faults->count++;
    return 0;
}

static int refuse_line(struct reading *reading, const char *text)
{
    problem_set(reading->problem, 0, "", "%s", text);
    return failed(reading);
}

/* A name for a message, which has no room for a long one. */
static const char *short_name(const char *name)
{
    return strlen(name) <= NAME_MAX_BYTES ? name : "…";
}

static int refuse_unknown(struct reading *reading, const char *section, const char *key)
{
    const struct setting *nearest = settings_table_nearest(section, key);
    const char *removed = settings_table_removed(section, key);
    section = short_name(section);
    key = short_name(key);
    if (section[0] == '\0')
        problem_set(reading->problem, 0, "", "%s: stands before the first [section]", key);
    else if (removed != NULL)
        problem_set(reading->problem, 0, "", "%s.%s: no such setting any more; %s", section, key,
                    removed);
    else if (nearest != NULL)
        problem_set(reading->problem, 0, "", "%s.%s: no such setting; did you mean %s?",
                    section, key, nearest->name);
    else
        problem_set(reading->problem, 0, "", "%s.%s: no such setting", section, key);
    return failed(reading);
}

/* ---- one setting --------------------------------------------------------------- */

static void note_group_line(struct reading *reading, bool continues)
{
    size_t count = reading->settings->own_domains.count;
    if (count > reading->group_room) {
        reading->group_room = count * 2;
        reading->group_lines =
            xrealloc(reading->group_lines, reading->group_room * sizeof *reading->group_lines);
    }
    if (!continues)
        reading->group_lines[count - 1] = reading->line;
}

static int set_value(struct reading *reading, const struct setting *setting, const char *value,
                     bool continues)
{
    if (!settings_value_parse(setting, value, continues, reading->settings, reading->problem))
        return failed(reading);
    if (setting->offset == offsetof(struct settings, own_domains))
        note_group_line(reading, continues);
    return 1;
}

/* ---- the lines of the file ------------------------------------------------------- */

static int set_from_line(struct reading *reading, const struct setting *setting,
                         const char *value)
{
    int *set_at = &reading->set_at[setting - settings_table];
    if (*set_at > 0 && !setting->type->is_list) {
        problem_set(reading->problem, 0, "", "%s: is set a second time; first at line %d",
                    setting->name, *set_at);
        return failed(reading);
    }
    if (*set_at == 0) {
        *set_at = reading->line;
        if (setting->type->is_list) /* the default's items */
            settings_value_clear(setting, reading->settings);
    }
    return set_value(reading, setting, value, false);
}

static void enter_section(struct reading *reading, const struct ini *ini)
{
    reading->section = NULL;
    if (ini->fault != NULL) {
        refuse_line(reading, ini->fault);
        return;
    }
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].section, ini->name) == 0)
            reading->section = ini->name;
    if (reading->section == NULL) {
        problem_set(reading->problem, 0, "", "[%s]: no such section", short_name(ini->name));
        failed(reading);
    }
}

/* Sets what the line says, and whether indented lines continue it. They continue a list of domains;
 * they also count as continuing an unknown setting, so that they are no faults of their own. */
static void read_line(struct reading *reading, struct ini *ini)
{
    const struct setting *setting = reading->latest;
    int good = 0;
    if (ini->kind == INI_SECTION) {
        ini->continues = false;
        enter_section(reading, ini);
    } else if (reading->section == NULL) {
        return;
    } else if (ini->fault != NULL) {
        refuse_line(reading, ini->fault);
    } else if (ini->kind == INI_MORE) {
        good = setting != NULL && set_value(reading, setting, ini->value, true);
    } else {
        setting = settings_table_find(reading->section, ini->name);
        ini->continues = setting == NULL || setting->type->continues;
        good = setting != NULL ? set_from_line(reading, setting, ini->value)
                               : refuse_unknown(reading, reading->section, ini->name);
    }
    reading->latest = good ? setting : NULL;
}

static void parse_file(struct reading *reading, char *bytes, size_t length)
{
    struct ini ini;
    reading->section = "";
    ini_begin(&ini, bytes, length);
    while (ini_next(&ini)) {
        reading->line = ini.line;
        read_line(reading, &ini);
    }
    reading->line = 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void read_file(struct reading *reading)
{
    freed_by(text_free) struct text content = {0};
    char piece[16 * 1024];
    ssize_t got = 0;
    freed_by(close_fd) int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && content.length <= FILE_MAX_BYTES &&
           ((got = read(fd, piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR)))
        text_add_bytes(&content, piece, got > 0 ? (size_t)got : 0);
    if (fd < 0 || got < 0)
        problem_set(reading->problem, 0, "", "cannot be read: %s", strerror(errno));
    else if (content.length > FILE_MAX_BYTES)
        problem_set(reading->problem, 0, "", "is larger than %d bytes", FILE_MAX_BYTES);
    else {
        text_add(&content, ""); /* a NUL also in an empty file */
        parse_file(reading, content.data, content.length);
        return;
    }
    set_place(reading, 0);
    failed(reading);
}

/* ---- overrides --------------------------------------------------------------------- */

static int set_override(struct reading *reading, const char *override)
{
    const char *fault = address_text_fault(override, strlen(override));
    if (fault != NULL)
        return refuse_line(reading, fault);
    freed_by(free_string) char *name = xstrdup(override);
    char *value = strchr(name, '='), *dot = NULL;
    if (value != NULL) {
        *value++ = '\0';
        dot = strrchr(name, '.');
    }
    if (dot == NULL)
        return refuse_line(reading, "is no setting; expected section.key=value");
    *dot++ = '\0';
    const struct setting *setting = settings_table_find(name, dot);
    if (setting == NULL)
        return refuse_unknown(reading, name, dot);
    value += strspn(value, " \t");
    for (size_t end = strlen(value); end > 0 && strchr(" \t", value[end - 1]) != NULL; end--)
        value[end - 1] = '\0';
    int *set_at = &reading->set_at[setting - settings_table];
    if (setting->type->is_list && *set_at != INT_MAX)
        settings_value_clear(setting, reading->settings);
    *set_at = INT_MAX;
    return set_value(reading, setting, value, false);
}

/* ---- settings against each other ---------------------------------------------------- */

/* A domain in two groups would join them. */
static void refuse_two_groups(void *context, const struct own_domain clash[2])
{
    struct reading *reading = context;
    int first_line = reading->group_lines[clash[0].group];
    reading->line = reading->group_lines[clash[1].group];
    problem_set(reading->problem, 0, "-o domains.own_domains",
                "domains.own_domains: %.200s stands in two groups", clash[0].domain);
    if (reading->line > 0)
        problem_set(reading->problem, 0, "",
                    "domains.own_domains: %.200s stands in two groups, at lines %d and %d",
                    clash[0].domain, first_line, reading->line);
    failed(reading);
    reading->line = 0;
}

static void finish(struct reading *reading)
{
    settings_sort_lists(reading->settings);
    settings_index_domains(reading->settings, refuse_two_groups, reading);
}

static int set_defaults(struct reading *reading)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            reading->settings->limits[channel].of[rule] = LIMIT_OFF;
    for (int rule = 0; rule < RULE_COUNT; rule++)
        reading->settings->shadow.of[rule] = LIMIT_OFF;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool none = setting->type->is_list && setting->standard[0] == '\0';
        if (!none && !set_value(reading, setting, setting->standard, false))
            return 0;
    }
    return 1;
}

int settings_read_all(const char *path, const char *const *overrides, size_t override_count,
                      struct settings **settings_r, struct faults *faults_r)
{
    freed_by(settings_free) struct settings *settings = xcalloc(1, sizeof *settings);
    struct problem problem;
    struct reading reading = {.settings = settings, .faults = faults_r, .problem = &problem,
                              .path = path,
                              .set_at = xcalloc(settings_count, sizeof *reading.set_at)};
    faults_r->count = 0;
    (void)!set_defaults(&reading);
    if (path != NULL)
        read_file(&reading);
    for (size_t i = 0; i < override_count; i++) {
        reading.override = overrides[i];
        (void)!set_override(&reading, overrides[i]);
    }
    reading.override = NULL;
    finish(&reading);
    free(reading.set_at);
    free(reading.group_lines);
    if (faults_r->count == 0)
        *settings_r = take(settings);
    return faults_r->count == 0;
}

int settings_read(const char *path, const char *const *overrides, size_t override_count,
                  struct settings **settings_r, struct problem *problem)
{
    struct faults faults;
    int good = settings_read_all(path, overrides, override_count, settings_r, &faults);
    if (!good)
        *problem = faults.first[0];
    return good;
}

void settings_free(struct settings **settings)
{
    if (*settings == NULL)
        return;
    for (size_t i = 0; i < settings_count; i++)
        settings_value_clear(&settings_table[i], *settings);
    settings_free_index(*settings);
    free(*settings);
    *settings = NULL;
}
