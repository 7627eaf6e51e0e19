/* A line of a file: stamp, host, tag, body. A stamp without a year is looked up once a minute. */
#include "mail/mail_log.h"

enum { YEARS_AROUND = 8 }; /* between two 29ths of February */

static const int64_t second_us = 1000000;

/* ---- days ------------------------------------------------------------------------------- */

static bool is_digit(char character) { return character >= '0' && character <= '9'; }

static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970 in the Gregorian calendar; the year begins with March here. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t years = month > 2 ? year : year - 1;
    int64_t leap_days = years / 4 - years / 100 + years / 400;
    return years * 365 + leap_days + (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day -
           719469;
}

/* Two digits within bounds; -1: they are not there. */
static int two_digits(const char *text, int highest)
{
    unsigned tens = (unsigned)text[0] - '0', ones = (unsigned)text[1] - '0';
    int value = (int)(tens * 10 + ones);
    return tens <= 9 && ones <= 9 && value <= highest ? value : -1;
}

/* ---- stamps without a year -------------------------------------------------------------- */

/* What the zone's clock is before UTC at that moment. */
static int64_t offset_ms(const struct zone *zone, int64_t time_ms)
{
    struct wall_time wall;
    if (!zone_wall_time(zone, time_ms, &wall))
        return 0;
    int64_t minutes = wall.day_number * (DAY_MS / MINUTE_MS) + wall.hour * 60 + wall.minute;
    return (minutes - time_ms / MINUTE_MS) * MINUTE_MS;
}

static int64_t apart(int64_t one, int64_t other) { return one < other ? other - one : one - other; }

/* The first and the last moment that the zone's clock shows so; they differ in an hour that comes
 * twice. One that it leaves out is read with the offset from before. */
static void look_up(const struct zone *zone, int64_t shown_ms, int64_t *first_us_r,
                    int64_t *second_us_r)
{
    int64_t before = offset_ms(zone, shown_ms - DAY_MS);
    int64_t behind = offset_ms(zone, shown_ms + DAY_MS);
    bool is_before = offset_ms(zone, shown_ms - before) == before;
    bool is_behind = offset_ms(zone, shown_ms - behind) == behind;
    *first_us_r = (shown_ms - (is_before || !is_behind ? before : behind)) * 1000;
    *second_us_r = (shown_ms - (is_behind ? behind : before)) * 1000;
}

/* That moment of the year in which the clock on the wall is nearest to `near_ms`. */
static int64_t in_nearest_year(int month, int day, int64_t near_ms)
{
    int64_t nearest_ms = INT64_MAX;
    int around = (int)(near_ms / (365 * DAY_MS)) + 1970;
    for (int year = around - YEARS_AROUND; year <= around + YEARS_AROUND; year++) {
        int64_t time_ms = days_since_1970(year, month, day) * DAY_MS;
        if (year >= 1970 && day <= days_of_month(year, month) &&
            (nearest_ms == INT64_MAX || apart(time_ms, near_ms) < apart(nearest_ms, near_ms)))
            nearest_ms = time_ms;
    }
    return nearest_ms;
}

static int month_of(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 1; month <= 12; month++)
        if (memcmp(text, months + 3 * (month - 1), 3) == 0)
            return month;
    return 0;
}

/* "Nov 28 18:09" */
static bool find_minute(struct mail_log_clock *clock, const char *text)
{
    char day_text[2] = {text[4] == ' ' ? '0' : text[4], text[5]};
    int month = month_of(text), day = two_digits(day_text, 31);
    int hour = two_digits(text + 7, 23), minute = two_digits(text + 10, 59);
    if (month == 0 || day < 1 || day > days_of_month(2000, month) || hour < 0 || minute < 0 ||
        text[3] != ' ' || text[6] != ' ' || text[9] != ':')
        return false;
    int64_t of_day_ms = (hour * 60 + minute) * MINUTE_MS, near_ms = clock->reference_us / 1000;
    near_ms += offset_ms(clock->zone, near_ms) - of_day_ms;
    look_up(clock->zone, in_nearest_year(month, day, near_ms) + of_day_ms,
            &clock->minute.first_us, &clock->minute.second_us);
    return true;
}

/* "Nov 28 18:09:35"; returns where it ends. */
static const char *read_traditional(const char *text, size_t length, struct mail_log_clock *clock,
                                    int64_t *stamp_us)
{
    enum { MINUTE_LENGTH = sizeof clock->minute.text, LENGTH = MINUTE_LENGTH + 3 };
    int seconds = length > LENGTH && text[MINUTE_LENGTH] == ':'
                      ? two_digits(text + MINUTE_LENGTH + 1, 60)
                      : -1;
    if (seconds < 0)
        return NULL;
    if (memcmp(text, clock->minute.text, MINUTE_LENGTH) != 0 ||
        clock->minute.reference_us != clock->reference_us) {
        clock->minute.text[0] = '\0';
        if (!find_minute(clock, text))
            return NULL;
        memcpy(clock->minute.text, text, MINUTE_LENGTH);
        clock->minute.reference_us = clock->reference_us;
    }
    int64_t first = clock->minute.first_us + seconds * second_us;
    int64_t second = clock->minute.second_us + seconds * second_us;
    int64_t near = clock->before_us != 0 ? clock->before_us : clock->reference_us;
    *stamp_us = apart(second, near) < apart(first, near) ? second : first;
    return text + LENGTH;
}

/* ---- RFC 3339 --------------------------------------------------------------------------- */

/* ".123456789", cut to microseconds. */
static const char *read_fraction(const char *at, const char *end, int64_t *stamp_us)
{
    int64_t unit = second_us / 10;
    if (at == end || *at != '.')
        return at;
    const char *first = ++at;
    for (; at < end && is_digit(*at); at++, unit /= 10)
        *stamp_us += (*at - '0') * unit;
    return at > first ? at : NULL;
}

/* "Z", "+01:00" or "+0100". */
static const char *read_offset(const char *at, const char *end, int64_t *stamp_us)
{
    if (at == NULL || at == end)
        return NULL;
    if (*at == 'Z' || *at == 'z')
        return at + 1;
    bool colon = end - at >= 6 && at[3] == ':';
    if ((*at != '+' && *at != '-') || end - at < 5)
        return NULL;
    int hours = two_digits(at + 1, 23), minutes = two_digits(at + (colon ? 4 : 3), 59);
    if (hours < 0 || minutes < 0)
        return NULL;
    int64_t offset_us = (hours * 60 + minutes) * 60 * second_us;
    *stamp_us += *at == '-' ? offset_us : -offset_us;
    return at + (colon ? 6 : 5);
}

static const char *read_rfc3339(const char *text, size_t length, int64_t *stamp_us)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    if (length < sizeof form - 1 || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
        text[16] != ':' || (text[10] != 'T' && text[10] != 't'))
        return NULL;
    int century = two_digits(text, 99), year = two_digits(text + 2, 99);
    int month = two_digits(text + 5, 12), day = two_digits(text + 8, 31);
    int hour = two_digits(text + 11, 23), minute = two_digits(text + 14, 59);
    int second = two_digits(text + 17, 60);
    if (century < 0 || year < 0 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0)
        return NULL;
    year += century * 100;
    if (year < 1970 || day > days_of_month(year, month))
        return NULL;
    *stamp_us = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 * second_us +
                second * second_us;
    const char *end = text + length;
    return read_offset(read_fraction(text + sizeof form - 1, end, stamp_us), end, stamp_us);
}

/* ---- the rest --------------------------------------------------------------------------- */

struct mail_view mail_log_program(const char *tag, size_t length)
{
    const char *slash = length > 0 ? memrchr(tag, '/', length) : NULL;
    size_t skipped = slash != NULL ? (size_t)(slash + 1 - tag) : 0;
    return (struct mail_view){tag + skipped, length - skipped};
}

/* rsyslog's "message repeated N times: [ BODY]". false: it begins so and goes on otherwise. */
static bool unfold(struct mail_log_line *line)
{
    struct mail_view body = line->body;
    static const char before[] = "message repeated ", behind[] = " times: [";
    if (!mail_view_begins(body, before))
        return true;
    body = mail_view_from(body, sizeof before - 1);
    uint32_t count = 0;
    size_t digits = 0;
    for (; digits < body.length && is_digit(body.text[digits]); digits++)
        if (__builtin_mul_overflow(count, 10u, &count) ||
            __builtin_add_overflow(count, (uint32_t)(body.text[digits] - '0'), &count))
            return false;
    body = mail_view_from(body, digits);
    if (count == 0 || !mail_view_begins(body, behind) || body.text[body.length - 1] != ']')
        return false;
    body = mail_view_from(body, sizeof behind - 1);
    if (body.length == 0)
        return false;
    body.length--;
    if (mail_view_begins(body, " "))
        body = mail_view_from(body, 1);
    line->body = body;
    line->count = count;
    return true;
}

/* "TAG[PID]: BODY" or "TAG: BODY". */
static bool read_tag(struct mail_view rest, struct mail_log_line *line)
{
    size_t length = 0;
    while (length < rest.length && rest.text[length] != '[' && rest.text[length] != ':' &&
           rest.text[length] != ' ')
        length++;
    line->program = mail_log_program(rest.text, length);
    if (line->program.length < length)
        line->syslog_name = (struct mail_view){rest.text, length - line->program.length - 1};
    rest = mail_view_from(rest, length);
    if (length == 0 || rest.length == 0)
        return false;
    if (*rest.text == '[') {
        size_t at = 1;
        for (; at < rest.length && at < 12 && is_digit(rest.text[at]); at++)
            line->pid = line->pid * 10 + (rest.text[at] - '0');
        if (at == 1 || at == rest.length || rest.text[at] != ']')
            return false;
        rest = mail_view_from(rest, at + 1);
    }
    if (!mail_view_begins(rest, ": "))
        return false;
    line->body = mail_view_from(rest, 2);
    return unfold(line);
}

int mail_log_split(const char *text, size_t length, struct mail_log_clock *clock,
                   struct mail_log_line *line_r)
{
    struct mail_log_line line = {.count = 1};
    bool has_year = length > 0 && text[0] >= '0' && text[0] <= '9';
    const char *behind = has_year ? read_rfc3339(text, length, &line.stamp_us)
                                  : read_traditional(text, length, clock, &line.stamp_us);
    if (behind == NULL || behind == text + length || *behind != ' ')
        return 0;
    struct mail_view rest = {behind + 1, length - (size_t)(behind + 1 - text)};
    const char *space = rest.length > 0 ? memchr(rest.text, ' ', rest.length) : NULL;
    if (space == NULL || space == rest.text ||
        !read_tag(mail_view_from(rest, (size_t)(space + 1 - rest.text)), &line))
        return 0;
    clock->before_us = line.stamp_us;
    *line_r = line;
    return 1;
}
