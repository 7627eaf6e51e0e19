#include "base/when.h"

#include <stdio.h>
#include <string.h>

enum { FORM_MAX = 40 };

/* Whether a text has that form: 9 stands for a digit, all else for itself. */
static bool has_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++)
        if (*form == '9' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    return *text == '\0';
}

/* The text without blanks around it. */
static bool trim(const char *text, char trimmed_r[FORM_MAX])
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
        length--;
    if (length >= FORM_MAX)
        return false;
    memcpy(trimmed_r, text, length);
    trimmed_r[length] = '\0';
    return true;
}

/* A minute there; not one that a change to summer time leaves out. */
static int minute_of(const struct zone *zone, const char *date, const char *time,
                     int64_t *time_ms_r)
{
    char text[FORM_MAX], there[FORM_MAX];
    struct wall_time wall;
    snprintf(text, sizeof text, "%.10sT%.5s", date, time);
    if (!zone_local_read(zone, text, time_ms_r) || !zone_wall_time(zone, *time_ms_r, &wall))
        return 0;
    snprintf(there, sizeof there, "%04d-%02d-%02dT%02d:%02d", wall.year, wall.month, wall.day,
             wall.hour, wall.minute);
    return strcmp(there, text) == 0;
}

/* The date of now, or of the day before: that of noon, which no change of clocks moves to another day. */
static bool date_of(const struct zone *zone, int64_t now_ms, int days_before,
                    char date_r[FORM_MAX])
{
    static const char form[] = "%04d-%02d-%02d";
    struct wall_time wall;
    int64_t noon_ms;
    if (!zone_wall_time(zone, now_ms, &wall))
        return false;
    snprintf(date_r, FORM_MAX, form, wall.year, wall.month, wall.day);
    if (!minute_of(zone, date_r, "12:00", &noon_ms) ||
        !zone_wall_time(zone, noon_ms - days_before * DAY_MS, &wall))
        return false;
    snprintf(date_r, FORM_MAX, form, wall.year, wall.month, wall.day);
    return true;
}

int when_read(const char *text, const struct zone *zone, int64_t now_ms, int64_t *time_ms_r)
{
    static const struct {
        const char *word;
        int days_before;
    } days[] = {{"", 0}, {"today ", 0}, {"yesterday ", 1}};
    char given[FORM_MAX], date[FORM_MAX];
    if (!trim(text, given))
        return 0;
    for (size_t i = 0; i < countof(days); i++) {
        size_t length = strlen(days[i].word);
        if (strncmp(given, days[i].word, length) != 0 || !has_form(given + length, "99:99"))
            continue;
        return date_of(zone, now_ms, days[i].days_before, date) &&
               minute_of(zone, date, given + length, time_ms_r);
    }
    if (has_form(given, "9999-99-99 99:99") || has_form(given, "9999-99-99T99:99"))
        return minute_of(zone, given, given + strlen("9999-99-99T"), time_ms_r);
    return has_form(given, "9999-99-99T99:99:99Z") || strlen(given) > strlen("9999-99-99T99:99:99")
               ? zone_moment_read(given, time_ms_r)
               : 0;
}
