/* Options and the help, both from the tables of options and commands. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "message/address.h"

static const struct option_row {
    const char *name;
    char letter; /* '\0': none */
    const char *value; /* as the help shows it; NULL: a flag */
    const char *sentence;
} option_rows[OPTION_COUNT] = {
    [OPTION_JSON] = {"json", '\0', NULL, "print JSON"},
    [OPTION_NOTE] = {"note", '\0', "TEXT", "why; goes to the audit log"},
    [OPTION_PREVIEW] = {"preview", '\0', NULL, "do nothing, show what the next message would meet"},
    [OPTION_FROM] = {"from", '\0', "FILE", "further names, one a line; - is standard input"},
    [OPTION_FORGET] = {"forget", '\0', "SOURCE", "leave out a log that nobody follows any more"},
    [OPTION_FOR] = {"for", '\0', "DURATION", "how long, such as 90m, 24h, 7d, permanent"},
    [OPTION_CAUSE] = {"cause", '\0', "CAUSE",
                      "volume, complaints, failures, compromised, breached, terms, identity, staff"},
    [OPTION_MESSAGES] = {"messages", '\0', "N", "so many messages more"},
    [OPTION_OFF_DOMAIN] = {"off-domain", '\0', "N", "so many off-domain recipients more"},
    [OPTION_END] = {"end", '\0', NULL, "end the exemption"},
    [OPTION_ROLE] = {"role", '\0', "ROLE", "viewer, support or admin; of a token also panel"},
    [OPTION_IP] = {"ip", '\0', "ADDRESS", "an IP address, for what is said above"},
    [OPTION_EXPIRES] = {"expires", '\0', "DURATION", "how long it holds, such as 90d, permanent"},
    [OPTION_CSV] = {"csv", '\0', NULL, "print CSV"},
    [OPTION_MAX] = {"max", '\0', "N", "so many lines at most"},
    [OPTION_FOLLOW] = {"follow", 'f', NULL, "go on with what is decided from now on"},
    [OPTION_CHANGED] = {"changed", 'n', NULL, "only what differs from the defaults"},
    [OPTION_DEFAULTS] = {"defaults", '\0', NULL, "a commented file of all defaults"},
    [OPTION_POSTFIX] = {"postfix", '\0', "DIR", "the folder of Postfix' main.cf (its default)"},
    [OPTION_RECORDS] = {"records", '\0', "FILE", "records in zone-file form in place of the DNS"},
    [OPTION_COUNT_REPORT] = {"count", '\0', "REPORT", "the report counts, as one of MAILBOX"},
    [OPTION_DROP] = {"drop", '\0', "REPORT", "the report counts for nobody"},
    [OPTION_MESSAGE] = {"message", '\0', "DECISION", "which message it is about; a queue id will do"},
    [OPTION_REASON] = {"reason", '\0', "TEXT",
                       "a name of [blocks] reasons, or the sentence that the sender reads"},
    [OPTION_SCOPE] = {"scope", '\0', "DOMAIN|MAILBOX", "only mail of these senders"},
    [OPTION_SENDER] = {"sender", '\0', NULL, "the mail that it sends, not the mail to it"},
    [OPTION_IMPORT] = {"import", '\0', "FILE",
                       "CSV as blocks --csv prints it; - is standard input"},
    [OPTION_TEST] = {"test", '\0', NULL, "send one of each, marked as a test"},
    [OPTION_SINCE] = {"since", '\0', "TIME", "such as 24h (without it), or yesterday 14:00"},
    [OPTION_AT] = {"at", '\0', "MOMENT", "how it stood then, such as \"yesterday 14:00\""},
    [OPTION_BY_HAND] = {"by-hand", '\0', "N", "done in Postfix by hand, to N messages"},
    [OPTION_ALL] = {"all", '\0', NULL, "with it all that was done under one batch name"},
    [OPTION_NETWORK] = {"network", '\0', "NETWORK", "whose last message came from there"},
    [OPTION_BY] = {"by", '\0', "WHO", "guard, user, or a name of the staff"},
    [OPTION_OWNER] = {"owner", '\0', "NAME", "the account of who uses it (else: who makes it)"},
    [OPTION_DOVECOT] = {"dovecot", '\0', "FILE", "Dovecot's dovecot.conf (its default)"},
};

/* What the help says of an option where a command means something else by it. */
static const struct own_words {
    int (*run)(struct cli *cli); /* the command's */
    enum cli_option option;
    const char *value, *sentence;
} own_words[] = {
    {cli_run_lock, OPTION_PREVIEW, NULL, "do nothing, show how the mailbox would stand"},
    {cli_run_lock, OPTION_CAUSE, "CAUSE", "compromised (without --cause) or breached"},
    {cli_run_lock, OPTION_SCOPE, "WHAT", "login (without --scope) or sending"},
    {cli_run_release, OPTION_PREVIEW, NULL, "do nothing, show what would be done"},
    {cli_run_logins, OPTION_PREVIEW, NULL, "do nothing, show which blocks would end"},
    {cli_run_logins, OPTION_END, NULL, "end the blocks"},
    {cli_run_suspended, OPTION_SINCE, "DURATION", "suspended within that time, such as 2h"},
    {cli_run_undo, OPTION_PREVIEW, NULL, "do nothing, show what would be put back"},
    {cli_run_what_if, OPTION_SCOPE, "MAILBOX|@DOMAIN", "a limit for it, not for all"},
    {cli_run_allow_from, OPTION_END, NULL, "end the permission"},
};

enum { LONG_BASE = 256, COMMON_OPTIONS = 4 };

/* ---- help ---------------------------------------------------------------------------- */

static const char common_help[] =
    "  -c FILE               settings (default " PROGRAM_DEFAULT_FILE ";\n"
    "                        without that file the built-in defaults)\n"
    "  -o section.key=value  one setting, overrides the file; may be repeated\n";

void cli_print_usage(FILE *out)
{
    fputs("usage: sendguard [-c FILE] [-o section.key=value]... COMMAND [WORDS] [OPTIONS]\n"
          "       sendguard --check | --version | --help | help COMMAND\n"
          "\n"
          "Looks at the store of sent mail and changes it; needs no running service.\n"
          "\n",
          out);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct command *command = &cli_commands[i];
        int width = fprintf(out, "  %s %s", command->name, command->words);
        fprintf(out, "%*s%s\n", width < 29 ? 30 - width : 2, "", command->summary);
    }
    fprintf(out,
            "\n%s"
            "  --check               read the settings, say what is wrong with them, and end\n"
            "\n"
            "Every action needs --note TEXT and is told in the audit log with who did it.\n"
            "Exit status: 0 done, 1 failed or not found, 64 usage, 78 settings.\n",
            common_help);
}

static void print_option(const struct command *command, int option, FILE *out)
{
    const struct option_row *row = &option_rows[option];
    const char *value = row->value, *sentence = row->sentence;
    char shown[40];
    for (size_t i = 0; i < countof(own_words); i++) {
        if (own_words[i].run != command->run || (int)own_words[i].option != option)
            continue;
        value = own_words[i].value;
        sentence = own_words[i].sentence;
    }
    if (row->letter != '\0')
        snprintf(shown, sizeof shown, "-%c, --%s", row->letter, row->name);
    else
        snprintf(shown, sizeof shown, "--%s %s", row->name, value != NULL ? value : "");
    fprintf(out, "  %-20s  %s\n", shown, sentence);
}

void cli_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "usage: sendguard %s%s%s [OPTIONS]\n\n%s.\n\n", command->name,
            command->words[0] != '\0' ? " " : "", command->words, command->summary);
    if (command->more != NULL)
        fprintf(out, "%s\n", command->more);
    if ((command->takes & TAKES(OPTION_FROM)) != 0)
        fprintf(out, "At most %d names: it is done to all of them, or to none where one is\n"
                     "wrong or it cannot be done to one.\n\n", CLI_SUBJECTS_MAX);
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((command->takes & TAKES(i)) != 0)
            print_option(command, i, out);
    fputs(common_help, out);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* What getopt_long wants, of the options that the command takes. */
static void fill_options(const struct command *command, struct option *longs, char *shorts)
{
    *shorts++ = 'c', *shorts++ = ':', *shorts++ = 'o', *shorts++ = ':';
    *longs++ = (struct option){"help", no_argument, NULL, LONG_BASE + OPTION_COUNT};
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((command->takes & TAKES(i)) == 0)
            continue;
        *longs++ = (struct option){option_rows[i].name,
                                   option_rows[i].value != NULL ? required_argument : no_argument,
                                   NULL, LONG_BASE + i};
        if (option_rows[i].letter != '\0')
            *shorts++ = option_rows[i].letter;
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

static int by_letter(int letter)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].letter == letter)
            return i;
    return -1;
}

static int take_option(struct cli *cli, int got)
{
    int option = got >= LONG_BASE ? got - LONG_BASE : by_letter(got);
    if (got == 'c') {
        cli->options.file = optarg;
    } else if (got == 'o') {
        if (cli->options.override_count == PROGRAM_MAX_OVERRIDES)
            return cli_usage_error(cli, "more than %d times -o", PROGRAM_MAX_OVERRIDES);
        cli->options.overrides[cli->options.override_count++] = optarg;
    } else if (option == OPTION_COUNT) {
        cli_print_help(cli->command, stdout);
        return PROGRAM_OK;
    } else if (option < 0) { /* getopt has said what is wrong */
        fprintf(stderr, "Try 'sendguard help %s'.\n", cli->command->name);
        return PROGRAM_USAGE;
    } else if (cli->given[option] != NULL) {
        return cli_usage_error(cli, "--%s is given twice", option_rows[option].name);
    } else {
        cli->given[option] = optarg != NULL ? optarg : "";
    }
    return -1;
}

static int check_words(const struct cli *cli)
{
    const struct command *command = cli->command;
    if (cli->given[OPTION_IMPORT] != NULL && cli->word_count > 0)
        return cli_usage_error(cli, "unexpected \"%s\"", cli->words[0]);
    if (cli->word_count < command->min_words && cli->given[OPTION_FROM] == NULL &&
        cli->given[OPTION_IMPORT] == NULL)
        return cli_usage_error(cli, "expected %s", command->words);
    if (cli->word_count > command->max_words)
        return cli_usage_error(cli, "unexpected \"%s\"", cli->words[command->max_words]);
    return -1;
}

int cli_read_options(struct cli *cli, int argc, char **argv)
{
    struct option longs[OPTION_COUNT + COMMON_OPTIONS];
    char shorts[OPTION_COUNT + 2 * COMMON_OPTIONS];
    fill_options(cli->command, longs, shorts);
    optind = 0; /* a new run of glibc's getopt */
    for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        int status = take_option(cli, got);
        if (status >= 0)
            return status;
    }
    cli->words = argv + optind;
    cli->word_count = argc - optind;
    int status = check_words(cli);
    if (status < 0 && cli->given[OPTION_IMPORT] != NULL)
        return cli_read_imported(cli);
    return status < 0 && (cli->command->takes & TAKES(OPTION_FROM)) != 0 ? cli_read_subjects(cli)
                                                                         : status;
}

int cli_read_max(const struct cli *cli, size_t max, size_t *most_r)
{
    const char *text = cli->given[OPTION_MAX];
    if (text == NULL)
        return -1;
    size_t digits = strspn(text, "0123456789");
    size_t number = digits > 0 && digits < 10 ? strtoul(text, NULL, 10) : max + 1;
    if (text[digits] != '\0' || number > max)
        return cli_usage_error(cli, "--max: expected a number from 0 to %zu", max);
    *most_r = number;
    return -1;
}

int cli_read_note(const struct cli *cli, struct action *action_r)
{
    const char *note = cli->given[OPTION_NOTE];
    if (note == NULL || *note == '\0')
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    if (strlen(note) > sizeof((struct audit *)NULL)->note - 1)
        return cli_usage_error(cli, "--note: has more than 255 bytes");
    if (address_text_fault(note, strlen(note)) != NULL)
        return cli_usage_error(cli, "--note: %s", address_text_fault(note, strlen(note)));
    *action_r = (struct action){.now_ms = cli->now_ms, .by = cli->person.name, .note = note};
    return -1;
}
