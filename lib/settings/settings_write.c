/* Settings as text: one value, the file in force, the file of defaults, the
 * reference. */
#include <string.h>

#include "base/store_url.h"
#include "settings/settings_table.h"

/* ---- one value ----------------------------------------------------------------- */

void duration_print(int64_t ms, struct text *text)
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

static void print_durations(const struct durations *durations, struct text *text)
{
    for (size_t i = 0; i < durations->count; i++) {
        if (i > 0)
            text_add(text, ", ");
        duration_print(durations->ms[i], text);
    }
}

static void print_limit(int32_t limit, struct text *text)
{
    if (limit == LIMIT_OFF)
        text_add(text, "off");
    else
        text_add_int(text, limit);
}

static void print_list(const struct text_list *list, struct text *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            text_add_char(text, '\n');
        text_add(text, list->items[i]);
    }
}

void setting_print(const struct setting *setting, const struct settings *settings,
                   struct text *text)
{
    const void *value = (const unsigned char *)settings + setting->offset;
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_FOLDER:
    case SETTING_ZONE:
    case SETTING_LISTEN:
    case SETTING_URL:
    case SETTING_STORE:
        text_add(text, *(char *const *)value);
        break;
    case SETTING_INTEGER:
        text_add_int(text, *(const int64_t *)value);
        break;
    case SETTING_OCTAL:
        text_addf(text, "%04o", (unsigned)*(const int64_t *)value);
        break;
    case SETTING_DURATION:
        duration_print(*(const int64_t *)value, text);
        break;
    case SETTING_DURATIONS:
        print_durations(value, text);
        break;
    case SETTING_CHOICE:
        text_add(text, setting->choices[*(const int *)value]);
        break;
    case SETTING_LIMIT:
        print_limit(*(const int32_t *)value, text);
        break;
    case SETTING_DOMAINS:
    case SETTING_ADDRESSES:
    case SETTING_RECIPIENTS:
    case SETTING_LINKS:
        print_list(value, text);
        break;
    case SETTING_NETWORKS:
        print_list(value, text);
        if (((const struct text_list *)value)->count == 0)
            text_add(text, "none");
        break;
    }
}

static void print_choices(const char *const *choices, struct text *text)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (i > 0)
            text_add(text, choices[i + 1] == NULL ? " or " : ", ");
        text_add(text, choices[i]);
    }
}

static void print_durations_between(const struct setting *setting, struct text *text)
{
    duration_print(setting->min, text);
    text_add(text, " to ");
    duration_print(setting->max, text);
}

/* What a value may be, of types that have neither numbers nor choices. */
static const char *const fixed_ranges[] = {
    [SETTING_PATH] = "an absolute path",
    [SETTING_FOLDER] = "an absolute path or nothing",
    [SETTING_ZONE] = "a name of the time zone database",
    [SETTING_LISTEN] = "HOST:PORT or an absolute path",
    [SETTING_STORE] = STORE_URL_FORMS,
    [SETTING_DOMAINS] = "domains",
    [SETTING_ADDRESSES] = "addresses",
    [SETTING_RECIPIENTS] = "addresses or @domains",
    [SETTING_NETWORKS] = "networks as ADDRESS or ADDRESS/BITS, or none",
};

void setting_print_range(const struct setting *setting, struct text *text)
{
    long long min = setting->min, max = setting->max;
    switch (setting->type) {
    case SETTING_TEXT:
        text_addf(text, "%s%lld bytes of text", min == 0 ? "at most " : "1 to ", max);
        break;
    case SETTING_URL:
        text_add(text, "a URL that begins with ");
        print_choices(setting->choices, text);
        break;
    case SETTING_INTEGER:
        text_addf(text, "%lld to %lld", min, max);
        break;
    case SETTING_OCTAL:
        text_addf(text, "%04o to %04o", (unsigned)min, (unsigned)max);
        break;
    case SETTING_DURATION:
        print_durations_between(setting, text);
        break;
    case SETTING_DURATIONS:
        text_addf(text, "1 to %d durations of ", DURATIONS_MAX);
        print_durations_between(setting, text);
        text_add(text, ", or permanent");
        break;
    case SETTING_CHOICE:
        print_choices(setting->choices, text);
        break;
    case SETTING_LIMIT:
        text_addf(text, "%lld to %lld or off", min, max);
        break;
    case SETTING_LINKS:
        text_add(text, "a label, a space and a URL that begins with ");
        print_choices(setting->choices, text);
        break;
    default:
        text_add(text, fixed_ranges[setting->type]);
    }
}

/* ---- all settings ---------------------------------------------------------------- */

enum { LINE_WIDTH = 96 };

static int same_value(const struct setting *setting, const struct settings *a,
                      const struct settings *b)
{
    freed_by(text_free) struct text of_a = {0}, of_b = {0};
    setting_print(setting, a, &of_a);
    setting_print(setting, b, &of_b);
    return strcmp(text_string(&of_a), text_string(&of_b)) == 0;
}

size_t settings_differences(const struct settings *a, const struct settings *b,
                            const char **names_r, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < settings_count && count < max; i++)
        if (!same_value(&settings_table[i], a, b))
            names_r[count++] = settings_table[i].name;
    return count;
}

/* A list as lines of the file; a long group of domains goes on in indented lines. */
static void write_items(const struct setting *setting, const char *items, FILE *out)
{
    size_t column = 0;
    while (*items != '\0') {
        size_t word = strcspn(items, " \n");
        if (column == 0)
            column = (size_t)fprintf(out, "%s =", setting->key);
        else if (setting->type == SETTING_DOMAINS && column + word >= LINE_WIDTH)
            column = (size_t)fprintf(out, "\n   ") - 1;
        column += (size_t)fprintf(out, " %.*s", (int)word, items);
        items += word;
        if (*items == '\0' || *items == '\n') {
            fputc('\n', out);
            column = 0;
        }
        if (*items != '\0')
            items++;
    }
}

void settings_write(const struct settings *settings, bool only_changed, FILE *out)
{
    freed_by(settings_free) struct settings *standard = NULL;
    freed_by(text_free) struct text value = {0};
    struct problem problem;
    const char *section = "";
    if (!settings_read(NULL, NULL, 0, &standard, &problem))
        return; /* not reached: the defaults are in range */
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        text_clear(&value);
        setting_print(setting, settings, &value);
        if (only_changed ? same_value(setting, settings, standard)
                         : setting_is_list(setting) && value.length == 0)
            continue;
        if (strcmp(section, setting->section) != 0)
            fprintf(out, "%s[%s]\n", *section != '\0' ? "\n" : "", setting->section);
        section = setting->section;
        if (setting_is_list(setting))
            write_items(setting, text_string(&value), out);
        else
            fprintf(out, "%s = %s\n", setting->key, text_string(&value));
    }
}

/* A sentence as comment lines, without the backquotes that mark names in Markdown. */
static void write_comment(const char *sentence, FILE *out)
{
    size_t column = 0;
    while (*sentence != '\0') {
        size_t word = strcspn(sentence, " ");
        if (column == 0 || column + 1 + word > LINE_WIDTH) {
            fputs(column == 0 ? "#" : "\n#", out);
            column = 1;
        }
        fputc(' ', out);
        for (size_t i = 0; i < word; i++)
            if (sentence[i] != '`')
                fputc(sentence[i], out);
        column += 1 + word;
        sentence += word + (sentence[word] == ' ');
    }
    fputc('\n', out);
}

/* "0 to 1000000000 or off; recipients" */
static void print_values(const struct setting *setting, struct text *text)
{
    setting_print_range(setting, text);
    if (setting->unit != NULL)
        text_addf(text, "; %s", setting->unit);
}

void settings_write_defaults(FILE *out)
{
    const char *section = "";
    fputs("# All settings of Sendguard. A setting that is commented out has the value it shows.\n",
          out);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        freed_by(text_free) struct text values = {0};
        if (strcmp(section, setting->section) != 0)
            fprintf(out, "\n[%s]\n", setting->section);
        section = setting->section;
        print_values(setting, &values);
        write_comment(setting->sentence, out);
        fprintf(out, "# (%s)\n#%s =%s%s\n", values.data, setting->key,
                setting->standard[0] != '\0' ? " " : "", setting->standard);
    }
}

static const char reference_head[] =
    "# Settings\n"
    "\n"
    "The file is `/etc/sendguard/sendguard.conf`, or what `-c FILE` names; `-o section.key=value`\n"
    "on the command line comes after it. Without a file every setting has its default.\n"
    "\n"
    "- `key = value` stands below its `[section]`. A comment begins with `#` or `;` at the start\n"
    "  of a line, or with a `;` after white space.\n"
    "- A setting stands in the file once. Only lists (those of `domains` and `exempt`,\n"
    "  networks, `support.links`) may be repeated; their lines add up and take the place of\n"
    "  the default, and a long `own_domains` goes on in indented lines. Of several `-o` of one\n"
    "  setting the last one counts; those of a list add up and take the place of the file's.\n"
    "- Durations are whole numbers of `ms`, `s`, `m`, `h` or `d`: `250ms`, `24h`. Items of a list\n"
    "  stand apart by spaces or commas.\n"
    "- A limit of 0 forbids, `off` does not check.\n"
    "- A line holds at most 197 bytes, a file 1 MiB.\n"
    "- Every user of the machine can read a command line (`ps`): no secret belongs behind `-o`.\n"
    "- Unknown and repeated settings and values out of range stop the start, with file and line; all\n"
    "  faults are told at once.\n"
    "  A running service keeps its old settings when a new file is wrong.\n";

void settings_write_reference(FILE *out)
{
    const char *section = "";
    fputs(reference_head, out);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        freed_by(text_free) struct text values = {0};
        if (strcmp(section, setting->section) != 0)
            fprintf(out, "\n## [%s]\n\n| key | values | default | meaning |\n|---|---|---|---|\n",
                    setting->section);
        section = setting->section;
        print_values(setting, &values);
        fprintf(out, "| `%s` | %s | ", setting->key, values.data);
        fprintf(out, setting->standard[0] != '\0' ? "`%s`" : "none%s", setting->standard);
        fprintf(out, " | %s |\n", setting->sentence);
    }
}
