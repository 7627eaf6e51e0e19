/* Settings as text: the file in force, the file of defaults, the reference. */
#include <string.h>

#include "settings/settings_table.h"

enum { LINE_WIDTH = 96 };

static int same_value(const struct setting *setting, const struct settings *a,
                      const struct settings *b)
{
    freed_by(text_free) struct text of_a = {0}, of_b = {0};
    setting->type->print(setting, a, &of_a);
    setting->type->print(setting, b, &of_b);
    return strcmp(text_string(&of_a), text_string(&of_b)) == 0;
}

size_t settings_differences(const struct settings *a, const struct settings *b,
                            const char **names_r, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < settings_count && count < max; i++)
        if (!same_value(&settings_table[i], a, b))
            names_r[count++] = settings_table[i].name;
    if (count < max && memcmp(a->plans, b->plans, sizeof a->plans) != 0)
        names_r[count++] = "plan";
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
        else if (setting->type->continues && column + word >= LINE_WIDTH)
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

static void write_plans(const struct settings *settings, bool begun, FILE *out)
{
    for (size_t i = 0; i < settings->plan_count; i++) {
        const struct plan *plan = &settings->plans[i];
        fprintf(out, "%s[plan.%s]\n", begun || i > 0 ? "\n" : "", plan->name);
        for (int rule = 0; rule < RULE_COUNT; rule++)
            if (plan->limits.of[rule] == LIMIT_OFF)
                fprintf(out, "%s = off\n", rule_table[rule].name);
            else if (plan->limits.of[rule] != PLAN_LIMIT_NONE)
                fprintf(out, "%s = %d\n", rule_table[rule].name, plan->limits.of[rule]);
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
        setting->type->print(setting, settings, &value);
        if (only_changed ? same_value(setting, settings, standard)
                         : setting->type->is_list && value.length == 0)
            continue;
        if (strcmp(section, setting->section) != 0)
            fprintf(out, "%s[%s]\n", *section != '\0' ? "\n" : "", setting->section);
        section = setting->section;
        if (setting->type->is_list)
            write_items(setting, text_string(&value), out);
        else
            fprintf(out, "%s = %s\n", setting->key, text_string(&value));
    }
    write_plans(settings, *section != '\0', out);
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
    settings_value_describe(setting, text);
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
        text_add_char(&values, '(');
        print_values(setting, &values);
        text_add_char(&values, ')');
        write_comment(setting->sentence, out);
        write_comment(values.data, out);
        fprintf(out, "#%s =%s%s\n", setting->key, setting->standard[0] != '\0' ? " " : "",
                setting->standard);
    }
    fputs("\n# A plan: limits by a name, which staff gives to a mailbox or a domain: "
          "sendguard plan.\n# [plan.school]\n# messages_per_day = 1000\n", out);
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
    "  the default. A long list of domains goes on in indented lines without `=` or `:`. Of\n"
    "  several `-o` of one setting the last one counts; those of a list add up and take the\n"
    "  place of the file's.\n"
    "- Before the first section, `include = PATH` reads another file, such as one of the\n"
    "  [profiles](install.md#profiles); at most 8 of them. A path that is not absolute begins in the folder\n"
    "  of your file. What your file sets goes before what it includes, also a list. A file that is\n"
    "  included includes no other, and two of them do not set the same.\n"
    "- Durations are whole numbers of `ms`, `s`, `m`, `h` or `d`: `250ms`, `24h`. Items of a list\n"
    "  stand apart by spaces or commas.\n"
    "- A limit of 0 forbids, `off` does not check.\n"
    "- A line holds at most 64 KiB, a file 1 MiB.\n"
    "- Every user of the machine can read a command line (`ps`): no secret belongs behind `-o`.\n"
    "- Unknown and repeated settings and values out of range stop the start; the service reports\n"
    "  all faults at once, with file and line. A running service keeps its old settings when a\n"
    "  new file is wrong.\n";

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
    fprintf(out,
            "\n## [plan.NAME]\n\n| key | values | default | meaning |\n|---|---|---|---|\n"
            "| `LIMIT` | 0 to %d or off | none | Any limit of `[limits.webmail]`: for a mailbox or "
            "domain that staff has given the plan it takes the place of the channels'. A limit that "
            "the plan does not name stays theirs. NAME is up to %d small letters, digits and `-`, a "
            "letter first, and not `default`; there are at most %d plans. |\n",
            LIMIT_MAX, PLAN_NAME_SIZE - 1, PLANS_MAX);
}
