#include "base/zone.h"

#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define ZONES "/usr/share/zoneinfo"

struct zone {
    GTimeZone *zone;
};

static bool name_fits(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= ZONE_NAME_MAX && name[0] != '/' && strstr(name, "..") == NULL &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
               length;
}

/* Tables of other kinds lie in the same folder. */
static bool begins_as_zone(const char *path)
{
    char magic[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, magic, sizeof magic);
    close(fd);
    return got == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

static void free_path(char **path) { free(*path); }

/* Aliases are symbolic links there, and one of them leads to /etc: a name is looked at only where
 * it really lies. */
int zone_exists(const char *name)
{
    if (name == NULL || !name_fits(name))
        return 0;
    freed_by(free_string) char *path = xasprintf(ZONES "/%s", name);
    freed_by(free_path) char *root = realpath(ZONES, NULL);
    freed_by(free_path) char *place = realpath(path, NULL);
    if (root == NULL || place == NULL)
        return 0;
    size_t length = strlen(root);
    return strncmp(place, root, length) == 0 && place[length] == '/' && begins_as_zone(place);
}

/* GLib keeps zones for all threads behind a lock and counts of its own, which the thread sanitizer
 * cannot see: it is shown another lock. */
#ifdef __SANITIZE_THREAD__
static pthread_mutex_t shown = PTHREAD_MUTEX_INITIALIZER;
static void lock_zones(void) { pthread_mutex_lock(&shown); }
static void unlock_zones(void) { pthread_mutex_unlock(&shown); }
#else
static void lock_zones(void) {}
static void unlock_zones(void) {}
#endif

struct zone *zone_open(const char *name)
{
    struct zone *zone = xcalloc(1, sizeof *zone);
    lock_zones();
    if (zone_exists(name))
        zone->zone = g_time_zone_new_identifier(name);
    if (zone->zone == NULL)
        zone->zone = g_time_zone_new_utc();
    unlock_zones();
    return zone;
}

struct zone *zone_open_local(void)
{
    struct zone *zone = xcalloc(1, sizeof *zone);
    lock_zones();
    zone->zone = g_time_zone_new_local();
    unlock_zones();
    return zone;
}

void zone_free(struct zone **zone)
{
    if (*zone == NULL)
        return;
    lock_zones();
    g_time_zone_unref((*zone)->zone);
    unlock_zones();
    free(*zone);
    *zone = NULL;
}

int zone_wall_time(const struct zone *zone, int64_t time_ms, struct wall_time *time_r)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(time_ms / SECOND_MS);
    g_autoptr(GDateTime) there = utc != NULL ? g_date_time_to_timezone(utc, zone->zone) : NULL;
    if (there == NULL)
        return 0;
    int64_t offset_ms = g_date_time_get_utc_offset(there) / 1000;
    *time_r = (struct wall_time){
        .year = g_date_time_get_year(there),
        .month = g_date_time_get_month(there),
        .day = g_date_time_get_day_of_month(there),
        .weekday = g_date_time_get_day_of_week(there),
        .hour = g_date_time_get_hour(there),
        .minute = g_date_time_get_minute(there),
        .day_number = (time_ms + offset_ms) / DAY_MS,
    };
    return 1;
}

int zone_moment_read(const char *text, int64_t *time_ms_r)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_iso8601(text, NULL);
    if (moment == NULL)
        return 0;
    *time_ms_r = g_date_time_to_unix(moment) * SECOND_MS +
                 g_date_time_get_microsecond(moment) / 1000;
    return 1;
}

int zone_local_read(const struct zone *zone, const char *text, int64_t *time_ms_r)
{
    enum { WITH_MINUTES = 16, WITH_SECONDS = 19 };
    size_t length = strlen(text);
    if ((length != WITH_MINUTES && length != WITH_SECONDS) || text[10] != 'T')
        return 0;
    freed_by(free_string) char *whole = xasprintf("%s%s", text, length == WITH_MINUTES ? ":00" : "");
    lock_zones();
    g_autoptr(GDateTime) moment = g_date_time_new_from_iso8601(whole, zone->zone);
    unlock_zones();
    if (moment == NULL)
        return 0;
    g_autoptr(GDateTime) hour_before = g_date_time_add_hours(moment, -1);
    bool twice = hour_before != NULL &&
                 g_date_time_get_hour(hour_before) == g_date_time_get_hour(moment);
    *time_ms_r = g_date_time_to_unix(moment) * SECOND_MS - (twice ? HOUR_MS : 0);
    return 1;
}
