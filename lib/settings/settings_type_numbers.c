/* Types of settings that are numbers: counts, file modes, limits, durations, choices. */
#include <string.h>

#include "settings/settings_type.h"

static int in_range(const struct setting *setting, int64_t number)
{
    return number >= setting->min && number <= setting->max;
}

static int parse_number(struct settings_value *value, int base, int64_t *number_r)
{
    int64_t number;
    if (!settings_value_digits(value->text, value->length, base, &number))
        return settings_value_fails(value, base == 8 ? "is no octal number" : "is no number");
    if (!in_range(value->setting, number))
        return settings_value_fails(value, "is out of range");
    *number_r = number;
    return 1;
}

static int parse_integer(struct settings_value *value)
{
    return parse_number(value, 10, value->member);
}

static void print_integer(const struct setting *setting, const struct settings *settings,
                          struct text *text)
{
    text_add_int(text, *(const int64_t *)setting_member(setting, settings));
}

static void describe_integer(const struct setting *setting, struct text *text)
{
    text_addf(text, "%lld to %lld", (long long)setting->min, (long long)setting->max);
}

const struct setting_type settings_type_integer = {
    .parse = parse_integer, .print = print_integer, .describe = describe_integer};

static int parse_octal(struct settings_value *value)
{
    int64_t number = 0; /* gcc 14 does not see that parse_number set it */
    if (!parse_number(value, 8, &number))
        return 0;
    if ((number & ~INT64_C(0666)) != 0)
        return settings_value_fails(value, "gives the right to execute");
    *(int64_t *)value->member = number;
    return 1;
}

static void print_octal(const struct setting *setting, const struct settings *settings,
                        struct text *text)
{
    text_addf(text, "%04o", (unsigned)*(const int64_t *)setting_member(setting, settings));
}

static void describe_octal(const struct setting *setting, struct text *text)
{
    text_addf(text, "%04o to %04o", (unsigned)setting->min, (unsigned)setting->max);
}

const struct setting_type settings_type_octal = {
    .parse = parse_octal, .print = print_octal, .describe = describe_octal};

static int parse_limit(struct settings_value *value)
{
    int64_t number = LIMIT_OFF;
    if (strcmp(value->text, "off") != 0 && !parse_number(value, 10, &number))
        return 0;
    *(int32_t *)value->member = (int32_t)number;
    return 1;
}

static void print_limit(const struct setting *setting, const struct settings *settings,
                        struct text *text)
{
    int32_t limit = *(const int32_t *)setting_member(setting, settings);
    if (limit == LIMIT_OFF)
        text_add(text, "off");
    else
        text_add_int(text, limit);
}

static void describe_limit(const struct setting *setting, struct text *text)
{
    describe_integer(setting, text);
    text_add(text, " or off");
}

const struct setting_type settings_type_limit = {
    .parse = parse_limit, .print = print_limit, .describe = describe_limit};

static const struct {
    const char *name;
    int64_t ms;
} duration_units[] = {/* the longest first */
                      {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}, {"ms", 1}};

/* NULL, or what is wrong with it. */
static const char *read_duration(const struct setting *setting, const char *text, size_t length,
                                 int64_t *ms_r)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number, unit_ms = 0;
    for (size_t i = 0; i < countof(duration_units); i++)
        if (digits < length && strlen(duration_units[i].name) == length - digits &&
            strncmp(duration_units[i].name, text + digits, length - digits) == 0)
            unit_ms = duration_units[i].ms;
    if (unit_ms == 0 || !settings_value_digits(text, digits, 10, &number))
        return "is no duration";
    if (number > INT64_MAX / unit_ms || !in_range(setting, number * unit_ms))
        return "is out of range";
    *ms_r = number * unit_ms;
    return NULL;
}

int settings_duration_read(const char *text, int64_t *ms_r)
{
    static const struct setting any = {.min = SECOND_MS, .max = DURATION_MAX_MS};
    if (strcmp(text, "permanent") != 0)
        return read_duration(&any, text, strlen(text), ms_r) == NULL;
    *ms_r = UNTIL_LIFTED;
    return 1;
}

void settings_duration_print(int64_t ms, struct text *text)
{
    if (ms == UNTIL_LIFTED) {
        text_add(text, "permanent");
        return;
    }
    for (size_t i = 0; i < countof(duration_units); i++) {
        int64_t unit_ms = duration_units[i].ms;
        /* hours for what people call 48 or 72 hours */
        if (ms % unit_ms == 0 && (unit_ms != DAY_MS || ms > 3 * DAY_MS)) {
            text_add_int(text, ms / unit_ms);
            text_add(text, duration_units[i].name);
            return;
        }
    }
}

static int parse_duration(struct settings_value *value)
{
    const char *fault = read_duration(value->setting, value->text, value->length, value->member);
    return fault == NULL || settings_value_fails(value, fault);
}

static void print_duration(const struct setting *setting, const struct settings *settings,
                           struct text *text)
{
    settings_duration_print(*(const int64_t *)setting_member(setting, settings), text);
}

static void describe_duration(const struct setting *setting, struct text *text)
{
    settings_duration_print(setting->min, text);
    text_add(text, " to ");
    settings_duration_print(setting->max, text);
}

const struct setting_type settings_type_duration = {
    .parse = parse_duration, .print = print_duration, .describe = describe_duration};

static int parse_may_duration(struct settings_value *value)
{
    if (strcmp(value->text, "off") != 0)
        return parse_duration(value);
    *(int64_t *)value->member = DURATION_OFF;
    return 1;
}

static void print_may_duration(const struct setting *setting, const struct settings *settings,
                               struct text *text)
{
    if (*(const int64_t *)setting_member(setting, settings) == DURATION_OFF)
        text_add(text, "off");
    else
        print_duration(setting, settings, text);
}

static void describe_may_duration(const struct setting *setting, struct text *text)
{
    describe_duration(setting, text);
    text_add(text, " or off");
}

const struct setting_type settings_type_may_duration = {
    .parse = parse_may_duration, .print = print_may_duration, .describe = describe_may_duration};

static int parse_durations(struct settings_value *value)
{
    struct durations durations = {0};
    const char *rest = value->text, *word, *fault = NULL;
    size_t length;
    while (fault == NULL && (length = settings_value_word(&rest, &word)) > 0) {
        if (durations.count == DURATIONS_MAX)
            return settings_value_fails(value, "has too many durations");
        int64_t *ms = &durations.ms[durations.count++];
        if (length == strlen("permanent") && strncmp(word, "permanent", length) == 0)
            *ms = UNTIL_LIFTED;
        else
            fault = read_duration(value->setting, word, length, ms);
    }
    if (fault != NULL || durations.count == 0)
        return settings_value_fails(value, fault != NULL ? fault : "names no duration");
    *(struct durations *)value->member = durations;
    return 1;
}

static void print_durations(const struct setting *setting, const struct settings *settings,
                            struct text *text)
{
    const struct durations *durations = setting_member(setting, settings);
    for (size_t i = 0; i < durations->count; i++) {
        if (i > 0)
            text_add(text, ", ");
        settings_duration_print(durations->ms[i], text);
    }
}

static void describe_durations(const struct setting *setting, struct text *text)
{
    text_addf(text, "1 to %d durations of ", DURATIONS_MAX);
    describe_duration(setting, text);
    text_add(text, ", or permanent");
}

const struct setting_type settings_type_durations = {
    .parse = parse_durations, .print = print_durations, .describe = describe_durations};

static int parse_choice(struct settings_value *value)
{
    const char *const *choices = value->setting->choices;
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], value->text) == 0) {
            *(int *)value->member = i;
            return 1;
        }
    }
    return settings_value_fails(value, "is no choice");
}

static void print_choice(const struct setting *setting, const struct settings *settings,
                         struct text *text)
{
    text_add(text, setting->choices[*(const int *)setting_member(setting, settings)]);
}

static void describe_choice(const struct setting *setting, struct text *text)
{
    settings_value_choices(setting->choices, text);
}

const struct setting_type settings_type_choice = {
    .parse = parse_choice, .print = print_choice, .describe = describe_choice};

static int parse_domain_limit(struct settings_value *value)
{
    return strcmp(value->text, "suspend") == 0
               ? settings_value_fails(value, "would suspend the mailbox that sends next; a domain "
                                             "is not suspended")
               : parse_choice(value);
}

/* What happens at a limit that all mailboxes of a domain share. */
const struct setting_type settings_type_domain_limit = {
    .parse = parse_domain_limit, .print = print_choice, .describe = describe_choice};
