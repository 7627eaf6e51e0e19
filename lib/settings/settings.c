/* Reading: every default, then the file through libinih, then the overrides,
 * each by its row of the table; at the end what lies across rows. A fault is
 * noted and reading goes on behind it, so that all faults are told at once. */
#include "settings/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/store_url.h"
#include "message/address.h"
#include "settings/settings_table.h"

enum { FILE_MAX_BYTES = 1024 * 1024, NAME_MAX_BYTES = 128 };

/* A struct settings under way. */
struct reading {
    struct settings *settings;
    struct faults *faults;
    struct problem *problem; /* of the fault under way, before it is noted */
    const char *path;
    const char *override; /* that is being read; NULL before the overrides */
    int line;          /* of the file; 0 outside of it */
    int *set_at;       /* by row: the line that set it, INT_MAX for an override; 0 by default */
    int *group_lines;  /* by item of own_domains */
    size_t group_room;

    const char *next, *end;            /* of the file's bytes */
    const struct setting *latest;      /* the setting that a continuing line belongs to */
    bool continues;                    /* the line in libinih's hands is such a line */
    bool skips_section;                /* an unknown one: its settings are no faults of their own */
    bool skips_continued;              /* lines that continue one with a fault */
};

static const char space[] = " \t";

/* ---- complaints -------------------------------------------------------------- */

/* "FILE:LINE"; of a path that is too long its end, which says more than its beginning. */
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
    bool hidden = store_url_may_hold_password(equals != NULL ? equals + 1 : override);
    int shown = unreadable || (hidden && equals == NULL) ? 0
                : hidden                                 ? (int)(equals - override)
                                                         : INT_MAX;
    struct problem copy = *reading->problem;
    freed_by(free_string) char *place =
        xasprintf("-o%s%.*s", shown > 0 ? " " : "", shown, override);
    problem_set(reading->problem, 0, place, "%s", copy.text);
}

/* Notes *problem, at the line or the override that is being read. Returns 0. */
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
    reading->skips_continued = true;
    return 0;
}

static int refuse_line(struct reading *reading, const char *text)
{
    problem_set(reading->problem, 0, "", "%s", text);
    return failed(reading);
}

static int refuse_unknown(struct reading *reading, const char *section, const char *key)
{
    const struct setting *nearest = setting_nearest(section, key);
    if (section[0] == '\0')
        problem_set(reading->problem, 0, "", "%s: stands before the first [section]", key);
    else if (nearest != NULL)
        problem_set(reading->problem, 0, "", "%s.%s: no such setting; did you mean %s?",
                    section, key, nearest->name);
    else
        problem_set(reading->problem, 0, "", "%s.%s: no such setting", section, key);
    return failed(reading);
}

/* ---- one setting --------------------------------------------------------------- */

static int note_group_line(struct reading *reading)
{
    size_t count = reading->settings->own_domains.count;
    if (count > reading->group_room) {
        reading->group_room = count * 2;
        reading->group_lines =
            xrealloc(reading->group_lines, reading->group_room * sizeof *reading->group_lines);
    }
    if (!reading->continues)
        reading->group_lines[count - 1] = reading->line;
    return 1;
}

static int set_value(struct reading *reading, const struct setting *setting, const char *value)
{
    if (!setting_parse(setting, value, reading->continues, reading->settings, reading->problem))
        return failed(reading);
    bool group = setting->offset == offsetof(struct settings, own_domains);
    return !group || note_group_line(reading);
}

static int set_line(struct reading *reading, const char *section, const char *key,
                    const char *value)
{
    const struct setting *setting = reading->continues ? reading->latest
                                                       : setting_find(section, key);
    if (setting == NULL)
        return refuse_unknown(reading, section, key);
    int *set_at = &reading->set_at[setting - settings_table];
    if (*set_at > 0 && !setting->type->is_list) {
        problem_set(reading->problem, 0, "", "%s: is set a second time; first at line %d",
                    setting->name, *set_at);
        return failed(reading);
    }
    if (*set_at == 0) {
        *set_at = reading->line;
        if (setting->type->is_list) /* the default's items */
            setting_clear(setting, reading->settings);
    }
    reading->latest = setting;
    return set_value(reading, setting, value);
}

/* What libinih calls for each line of the file. Its own notion of an error is not used. */
static int on_line(void *context, const char *section, const char *key, const char *value)
{
    struct reading *reading = context;
    reading->skips_continued = reading->skips_continued && reading->continues;
    (void)!set_line(reading, section, key, value);
    return 1;
}

/* ---- the lines of the file ------------------------------------------------------- */

static bool section_known(const char *name, size_t length)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strlen(settings_table[i].section) == length &&
            strncmp(settings_table[i].section, name, length) == 0)
            return true;
    return false;
}

/* libinih passes over what is behind the ']' and sections without settings. */
static int check_section(struct reading *reading, const char *line, size_t length)
{
    reading->latest = NULL;
    reading->skips_section = true;
    const char *close = memchr(line, ']', length);
    if (close == NULL)
        return refuse_line(reading, "a section without its ']'");
    const char *behind = close + 1;
    while (behind < line + length && strchr(" \t\r", *behind) != NULL)
        behind++;
    if (behind < line + length && *behind != ';' && *behind != '#')
        return refuse_line(reading, "something stands behind the section's ']'");
    if (!section_known(line + 1, (size_t)(close - line - 1))) {
        size_t name_length = (size_t)(close - line - 1);
        problem_set(reading->problem, 0, "", "[%.*s]: no such section",
                    (int)(name_length <= NAME_MAX_BYTES ? name_length : 0), line + 1);
        return failed(reading);
    }
    reading->skips_section = false;
    return 1;
}

/* libinih wants a '=' or ':' before a comment. */
static bool names_a_setting(const char *line, size_t length)
{
    for (size_t i = 0; i < length && !(line[i] == ';' && i > 0 && strchr(space, line[i - 1]));
         i++)
        if (line[i] == '=' || line[i] == ':')
            return true;
    return false;
}

/* Takes the next line without its line feed; 0 at the end. */
static int take_line(struct reading *reading, const char **line_r, size_t *length_r)
{
    if (reading->next >= reading->end)
        return 0;
    const char *feed = memchr(reading->next, '\n', (size_t)(reading->end - reading->next));
    *line_r = reading->next;
    *length_r = (size_t)((feed != NULL ? feed : reading->end) - reading->next);
    reading->next = feed != NULL ? feed + 1 : reading->end;
    reading->line++;
    if (*length_r > 0 && (*line_r)[*length_r - 1] == '\r')
        --*length_r;
    return 1;
}

/* White space at a line's beginning: libinih takes the line for more of the value before. That is
 * so for a group of domains only; elsewhere it is the taste of who wrote the file. */
static bool line_continues(const struct reading *reading, const char *line, size_t indent,
                           size_t length)
{
    return indent > 0 && indent < length && line[indent] != '[' && reading->latest != NULL &&
           reading->latest->type->continues && memchr(line, '=', length) == NULL;
}

/* libinih keeps a comment that ends a continuing line. */
static size_t without_comment(const char *line, size_t length)
{
    for (size_t i = 1; i < length; i++)
        if (line[i] == ';' && strchr(space, line[i - 1]) != NULL)
            return i;
    return length;
}

/* Cuts a line to what libinih is to see of it, nothing of a comment or a line with a fault. */
static void cut_line(struct reading *reading, const char **line, size_t *length)
{
    size_t indent = 0;
    const char *fault = address_text_fault(*line, *length);
    while (indent < *length && strchr(space, (*line)[indent]) != NULL)
        indent++;
    bool comment = indent < *length && ((*line)[indent] == '#' || (*line)[indent] == ';');
    reading->continues =
        fault == NULL && !comment && line_continues(reading, *line, indent, *length);
    if (reading->continues && !reading->skips_continued) {
        *length = without_comment(*line, *length);
        return;
    }
    bool seen = fault != NULL || (indent < *length && !comment && !reading->continues);
    *line += indent;
    *length -= indent;
    if (fault != NULL)
        seen = refuse_line(reading, fault);
    else if (seen && (*line)[0] == '[')
        seen = check_section(reading, *line, *length);
    else if (seen && reading->skips_section)
        seen = false;
    else if (seen && !names_a_setting(*line, *length))
        seen = refuse_line(reading, "is no setting; expected key = value");
    if (!seen)
        *length = 0;
}

/* The ini_reader: like fgets, but never hands on a line in pieces. */
static char *next_line(char *buffer, int size, void *context)
{
    struct reading *reading = context;
    const char *line;
    size_t length = 0;
    if (!take_line(reading, &line, &length))
        return NULL;
    cut_line(reading, &line, &length);
    if (length + 3 > (size_t)size) {
        problem_set(reading->problem, 0, "", "the line is longer than %d bytes", size - 3);
        failed(reading);
        length = 0;
    }
    memcpy(buffer, line, length);
    memcpy(buffer + length, "\n", 2);
    return buffer;
}

static void parse_file(struct reading *reading, const char *bytes, size_t length)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    reading->next = bytes;
    reading->end = bytes + length;
    if (length >= 3 && memcmp(bytes, byte_order_mark, 3) == 0)
        reading->next += 3;
    int result = ini_parse_stream(next_line, reading, on_line, reading);
    if (result > 0) /* not reached as far as we know libinih */
        reading->line = result;
    if (result < 0)
        refuse_line(reading, "no memory to read it");
    else if (result > 0)
        refuse_line(reading, "is no setting; expected key = value");
    reading->line = 0;
    reading->continues = false;
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
        parse_file(reading, text_string(&content), content.length);
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
    size_t name_length = strcspn(override, "=");
    freed_by(free_string) char *name =
        xasprintf("%.*s", (int)(name_length <= NAME_MAX_BYTES ? name_length : 0), override);
    char *dot = strrchr(name, '.');
    if (override[name_length] == '\0' || dot == NULL)
        return refuse_line(reading, "is no setting; expected section.key=value");
    *dot++ = '\0';
    const struct setting *setting = setting_find(name, dot);
    if (setting == NULL)
        return refuse_unknown(reading, name, dot);
    const char *value = override + name_length + 1;
    value += strspn(value, space);
    size_t length = strlen(value);
    while (length > 0 && strchr(space, value[length - 1]) != NULL)
        length--;
    freed_by(free_string) char *trimmed = xstrdup(value);
    trimmed[length] = '\0';
    int *set_at = &reading->set_at[setting - settings_table];
    if (setting->type->is_list && *set_at != INT_MAX)
        setting_clear(setting, reading->settings);
    *set_at = INT_MAX;
    return set_value(reading, setting, trimmed);
}

/* ---- across rows --------------------------------------------------------------------- */

/* A domain of two groups would make strangers equals. */
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
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool none = setting->type->is_list && setting->standard[0] == '\0';
        if (!none && !set_value(reading, setting, setting->standard))
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
        setting_clear(&settings_table[i], *settings);
    settings_free_index(*settings);
    free(*settings);
    *settings = NULL;
}
