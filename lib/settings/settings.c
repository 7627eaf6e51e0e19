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

static const char plan_prefix[] = "plan.";

/* Where a setting was set. line: 0 nowhere, INT_MAX by an override. */
struct origin {
    const char *path;
    int line;
};

/* The state of one call of settings_read_all. */
struct reading {
    struct settings *settings;
    struct faults *faults;
    struct problem *problem; /* the current fault, which failed() keeps */
    const char *own_path;    /* of the file that may include others */
    struct {
        char *path;
        int line; /* of own_path */
    } includes[SETTINGS_INCLUDES_MAX];
    size_t include_count;
    const char *path;     /* of the current file */
    const char *override; /* the current one; NULL before the overrides */
    int line;             /* the current line of the file; 0 outside of it */
    struct origin *set_at; /* by row; behind them those of each plan, by rule */
    struct setting plan_row; /* the last that was looked for */
    char plan_row_name[NAME_MAX_BYTES];
    int *group_lines;     /* by item of own_domains, which are all of one file */
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
    else if (strncmp(section, plan_prefix, strlen(plan_prefix)) == 0)
        problem_set(reading->problem, 0, "", "%s.%s: no limit has this name; expected one such as "
                                             "messages_per_day", section, key);
    else if (strcmp(key, "include") == 0)
        problem_set(reading->problem, 0, "", "include: stands behind [%s]; expected before the "
                                             "first [section]", section);
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

/* ---- plans ------------------------------------------------------------------------- */

/* The number of the plan that "plan.NAME" names, which is made if it is new; or -1 with a fault. */
static int plan_number(struct reading *reading, const char *section)
{
    struct settings *settings = reading->settings;
    const char *name = section + strlen(plan_prefix);
    const struct plan *known = settings_plan(settings, name);
    if (known != NULL)
        return (int)(known - settings->plans);
    bool fits = rule_plan_name_fits(name);
    if (fits && settings->plan_count < PLANS_MAX) {
        struct plan *plan = &settings->plans[settings->plan_count];
        snprintf(plan->name, sizeof plan->name, "%s", name);
        for (int rule = 0; rule < RULE_COUNT; rule++)
            plan->limits.of[rule] = PLAN_LIMIT_NONE;
        return (int)settings->plan_count++;
    }
    if (fits)
        problem_set(reading->problem, 0, "", "[%s]: more than %d plans", section, PLANS_MAX);
    else
        problem_set(reading->problem, 0, "", "[%s]: expected plan. and 1 to %d small letters, "
                    "digits and \"-\", a letter first, and not default", short_name(section),
                    PLAN_NAME_SIZE - 1);
    failed(reading);
    return -1;
}

/* The row of that name, also of a plan, as which it holds until the next call. 1; or 0 with a
 * fault. */
static int find_setting(struct reading *reading, const char *section, const char *key,
                        const struct setting **setting_r)
{
    bool of_plan = strncmp(section, plan_prefix, strlen(plan_prefix)) == 0;
    int number = of_plan ? plan_number(reading, section) : -1;
    int rule = of_plan ? rule_by_name(key) : -1;
    *setting_r = of_plan ? NULL : settings_table_find(section, key);
    if (of_plan && number < 0)
        return 0;
    if (rule >= 0) {
        snprintf(reading->plan_row_name, sizeof reading->plan_row_name, "%s.%s", section, key);
        reading->plan_row = (struct setting){
            .section = section, .key = rule_table[rule].name, .name = reading->plan_row_name,
            .type = &settings_type_limit, .max = LIMIT_MAX,
            .offset = offsetof(struct settings, plans) + (size_t)number * sizeof(struct plan) +
                      offsetof(struct plan, limits) + (size_t)rule * sizeof(int32_t)};
        *setting_r = &reading->plan_row;
    }
    return *setting_r != NULL || refuse_unknown(reading, section, key);
}

static struct origin *origin_of(struct reading *reading, const struct setting *setting)
{
    if (setting != &reading->plan_row)
        return &reading->set_at[setting - settings_table];
    size_t place = setting->offset - offsetof(struct settings, plans);
    size_t rule = (place % sizeof(struct plan) - offsetof(struct plan, limits)) / sizeof(int32_t);
    return &reading->set_at[settings_count + place / sizeof(struct plan) * RULE_COUNT + rule];
}

/* ---- the lines of a file --------------------------------------------------------- */

static bool is_included(const struct reading *reading)
{
    return reading->path != reading->own_path;
}

static int refuse_repeated(struct reading *reading, const char *name, const struct origin *first)
{
    if (first->path == reading->path)
        problem_set(reading->problem, 0, "", "%s: is set a second time; first at line %d", name,
                    first->line);
    else
        problem_set(reading->problem, 0, "", "%s: is set a second time; first at %.200s:%d", name,
                    first->path, first->line);
    return failed(reading);
}

/* What the own file sets goes before what it includes, also a list. 0 also for that. */
static int set_from_line(struct reading *reading, const struct setting *setting,
                         const char *value)
{
    struct origin *set_at = origin_of(reading, setting);
    if (set_at->line > 0 && set_at->path == reading->own_path && is_included(reading))
        return 0;
    if (set_at->line > 0 && (!setting->type->is_list || set_at->path != reading->path))
        return refuse_repeated(reading, setting->name, set_at);
    if (set_at->line == 0) {
        *set_at = (struct origin){reading->path, reading->line};
        if (setting->type->is_list) /* the default's items */
            settings_value_clear(setting, reading->settings);
    }
    return set_value(reading, setting, value, false);
}

/* A path that is not absolute begins where the file stands that includes it. */
static int add_include(struct reading *reading, const char *path)
{
    const char *slash = strrchr(reading->own_path, '/');
    int folder = path[0] != '/' && slash != NULL ? (int)(slash - reading->own_path) + 1 : 0;
    if (is_included(reading))
        return refuse_line(reading, "include: a file that is included includes no other");
    if (path[0] == '\0')
        return refuse_line(reading, "include: is empty; expected the path of a file");
    if (reading->include_count == SETTINGS_INCLUDES_MAX) {
        problem_set(reading->problem, 0, "", "include: more than %d files", SETTINGS_INCLUDES_MAX);
        return failed(reading);
    }
    reading->includes[reading->include_count].line = reading->line;
    reading->includes[reading->include_count++].path =
        xasprintf("%.*s%s", folder, reading->own_path, path);
    return 1;
}

static void enter_section(struct reading *reading, const struct ini *ini)
{
    reading->section = NULL;
    if (ini->fault != NULL) {
        refuse_line(reading, ini->fault);
        return;
    }
    if (strncmp(ini->name, plan_prefix, strlen(plan_prefix)) == 0) {
        if (plan_number(reading, ini->name) >= 0)
            reading->section = ini->name;
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
    } else if (reading->section[0] == '\0' && strcmp(ini->name, "include") == 0) {
        ini->continues = false;
        (void)!add_include(reading, ini->value);
    } else if (ini->kind == INI_MORE) {
        good = setting != NULL && set_value(reading, setting, ini->value, true);
    } else {
        good = find_setting(reading, reading->section, ini->name, &setting);
        ini->continues = setting == NULL || setting->type->continues;
        good = good && set_from_line(reading, setting, ini->value);
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

/* Of a file that is included `line` is where; one that cannot be read is a fault of that line. */
static void read_file(struct reading *reading, int line)
{
    freed_by(text_free) struct text content = {0};
    char piece[16 * 1024];
    ssize_t got = 0;
    freed_by(close_fd) int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && content.length <= FILE_MAX_BYTES &&
           ((got = read(fd, piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR)))
        text_add_bytes(&content, piece, got > 0 ? (size_t)got : 0);
    if (fd >= 0 && got >= 0 && content.length <= FILE_MAX_BYTES) {
        text_add(&content, ""); /* a NUL also in an empty file */
        parse_file(reading, content.data, content.length);
        return;
    }
    freed_by(free_string) char *name =
        line > 0 ? xasprintf("include: %s ", reading->path) : xstrdup("");
    if (fd < 0 || got < 0)
        problem_set(reading->problem, 0, "", "%.200scannot be read: %s", name, strerror(errno));
    else
        problem_set(reading->problem, 0, "", "%.200sis larger than %d bytes", name,
                    FILE_MAX_BYTES);
    reading->path = reading->own_path;
    set_place(reading, line);
    failed(reading);
}

static void read_files(struct reading *reading)
{
    read_file(reading, 0);
    for (size_t i = 0; i < reading->include_count; i++) {
        reading->path = reading->includes[i].path;
        read_file(reading, reading->includes[i].line);
    }
    reading->path = reading->own_path;
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
    const struct setting *setting;
    if (!find_setting(reading, name, dot, &setting))
        return 0;
    value += strspn(value, " \t");
    for (size_t end = strlen(value); end > 0 && strchr(" \t", value[end - 1]) != NULL; end--)
        value[end - 1] = '\0';
    struct origin *set_at = origin_of(reading, setting);
    if (setting->type->is_list && set_at->line != INT_MAX)
        settings_value_clear(setting, reading->settings);
    set_at->line = INT_MAX;
    return set_value(reading, setting, value, false);
}

/* ---- settings against each other ---------------------------------------------------- */

/* A domain in two groups would join them. */
static void refuse_two_groups(void *context, const struct own_domain clash[2])
{
    struct reading *reading = context;
    int first_line = reading->group_lines[clash[0].group];
    reading->path = reading->set_at[settings_table_find("domains", "own_domains") -
                                    settings_table].path;
    reading->line = reading->group_lines[clash[1].group];
    problem_set(reading->problem, 0, "-o domains.own_domains",
                "domains.own_domains: %.200s stands in two groups", clash[0].domain);
    if (reading->line > 0)
        problem_set(reading->problem, 0, "",
                    "domains.own_domains: %.200s stands in two groups, at lines %d and %d",
                    clash[0].domain, first_line, reading->line);
    failed(reading);
    reading->path = reading->own_path;
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
                              .own_path = path, .path = path,
                              .set_at = xcalloc(settings_count + PLANS_MAX * RULE_COUNT,
                                                sizeof *reading.set_at)};
    faults_r->count = 0;
    (void)!set_defaults(&reading);
    if (path != NULL)
        read_files(&reading);
    for (size_t i = 0; i < override_count; i++) {
        reading.override = overrides[i];
        (void)!set_override(&reading, overrides[i]);
    }
    reading.override = NULL;
    finish(&reading);
    for (size_t i = 0; i < reading.include_count; i++)
        free(reading.includes[i].path);
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
