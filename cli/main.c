/* sendguard: the store by hand, for operators and support staff. Works on the
 * store itself, so it works when no service runs. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

static const char subject_help[] = "A mailbox, or a whole domain as @DOMAIN.\n";
#define ACTION_OPTIONS (TAKES(OPTION_NOTE) | TAKES(OPTION_PREVIEW) | TAKES(OPTION_JSON))
#define SEVERAL (ACTION_OPTIONS | TAKES(OPTION_FROM))

const struct command cli_commands[] = {
    {"show", "MAILBOX|@DOMAIN", 1, 1, TAKES(OPTION_JSON) | TAKES(OPTION_AT), NEEDS_DESK,
     cli_run_show, "state, windows, limits and what happened",
     "Of a domain: who sent, its limits, how much of its mail fails, and what became of its mail\n"
     "of ten days.\n"
     "--at, of a mailbox: windows, limits and suspensions as they were at a moment, in the time zone\n"
     "of this machine (14:00, \"yesterday 14:00\", \"2026-11-22 14:00\") or RFC 3339. It goes back as\n"
     "far as log.keep_admitted less 24 hours.\n"},
    {"search", "TEXT", 1, 1, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_search,
     "what a mailbox, domain, IP or decision id is", NULL},
    {"suspended", "", 0, 0,
     TAKES(OPTION_JSON) | TAKES(OPTION_CAUSE) | TAKES(OPTION_NETWORK) | TAKES(OPTION_SINCE) |
         TAKES(OPTION_BY),
     NEEDS_DESK, cli_run_suspended, "the mailboxes that are suspended now",
     "With --cause, --network, --since or --by those that fit all of them, the newest 500 at most.\n"},
    {"appeals", "", 0, 0, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_appeals,
     "what users object to, and nobody has answered", NULL},
    {"answer", "MAILBOX NUMBER", 2, 2, TAKES(OPTION_NOTE) | TAKES(OPTION_JSON), NEEDS_DESK,
     cli_run_answer, "answer an appeal",
     "The --note is what the user reads, on the status page. It changes nothing else: what the\n"
     "appeal is about ends with lift.\n"},
    {"near", "", 0, 0, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_near,
     "mailboxes and IPs above four fifths of a limit", NULL},
    {"senders", "IP|@DOMAIN", 1, 1, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_senders,
     "who sent from there in the last 24 hours", NULL},
    {"explain", "DECISION", 1, 1, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_explain,
     "why a message was admitted or refused, rule by rule", NULL},
    {"trace", "MAILBOX|DECISION|QUEUE-ID|REFERENCE", 1, 1, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_trace,
     "what became of a message, or of a mailbox's mail of ten days",
     "As the mail server's log tells it. A queue id finds a message that is in the\n"
     "queue; a long one also as long as the record of its decision is kept.\n"
     "REFERENCE: what stands behind X-Sendguard-Ref: in the message.\n"
     "Of a mailbox the newest 50 messages; with --json all.\n"},
    {"feedback", "", 0, 0, TAKES(OPTION_JSON) | TAKES(OPTION_FORGET) | TAKES(OPTION_NOTE),
     NEEDS_DESK, cli_run_feedback, "how far the mail servers' logs were followed",
     "Below: destinations that have an outage, and what is blocked for mail that failed.\n"
     "--forget, with a --note why, leaves out the log of a mail server that is no more,\n"
     "as it is named here. Not one that was followed within the last 10 minutes.\n"},
    {"complaints", "[MAILBOX]", 0, 1,
     TAKES(OPTION_JSON) | TAKES(OPTION_COUNT_REPORT) | TAKES(OPTION_DROP) | TAKES(OPTION_MESSAGE) |
         TAKES(OPTION_NOTE),
     NEEDS_DESK, cli_run_complaints, "complaints of recipients, and reports that wait",
     "Of a mailbox those of 30 days, and why one does not count; else the reports that wait for\n"
     "staff. --count REPORT, with a --note why, makes one count: as one of MAILBOX where it does\n"
     "not say whose, about --message or as sent when it came. --drop REPORT lets it go.\n"},
    {"logins", "MAILBOX|IP", 1, 1, ACTION_OPTIONS | TAKES(OPTION_END), NEEDS_DESK,
     cli_run_logins, "wrong passwords, and whom they keep from signing in",
     "Of a mailbox also where it signed in, and where an old password is still used.\n"
     "--end, with a --note why, opens it again: ends all blocks of the mailbox, or of the network;\n"
     "with --preview it says which.\n"},
    {"lock", "MAILBOX...", 1, CLI_SUBJECTS_MAX, SEVERAL | TAKES(OPTION_SCOPE) | TAKES(OPTION_CAUSE),
     NEEDS_DESK, cli_run_lock, "keep everybody out of a mailbox whose password a stranger has",
     "Nobody signs in, and nothing is sent; with --scope sending only that. It holds until the\n"
     "password was changed (password-changed, reopen). A second time within 365 days closes the\n"
     "mailbox. A lock that was a mistake ends with lift, and is no offence. Nor is one with --cause\n"
     "breached: the password is in a list of stolen ones.\n"},
    {"reopen", "MAILBOX", 1, 1, ACTION_OPTIONS, NEEDS_DESK, cli_run_lock,
     "end a lock, since the password was changed",
     "If the old password works within 30 days the mailbox is locked again, where Sendguard knows\n"
     "which it was.\n"},
    {"password-changed", "MAILBOX", 1, 1, ACTION_OPTIONS, NEEDS_DESK, cli_run_lock,
     "the password of a mailbox was changed: as reopen, for scripts",
     "No error where the mailbox is not locked. One that is closed stays so.\n"},
    {"close", "MAILBOX", 1, 1, ACTION_OPTIONS, NEEDS_DESK, cli_run_lock,
     "lock a mailbox so that only an administrator opens it", NULL},
    {"open", "MAILBOX", 1, 1, ACTION_OPTIONS, NEEDS_DESK, cli_run_lock,
     "open a mailbox that is closed", NULL},
    {"held", "", 0, 0, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_held,
     "mail that waits since it came at an unusual rate", NULL},
    {"release", "MAILBOX", 1, 1, ACTION_OPTIONS | TAKES(OPTION_BY_HAND), NEEDS_DESK,
     cli_run_release, "it was its user: release what waits, in order",
     "What was seen is usual of the mailbox for a week. Where sendguard-postqueue cannot be asked\n"
     "--preview shows what to type.\n"},
    {"reject", "MAILBOX", 1, 1, ACTION_OPTIONS | TAKES(OPTION_BY_HAND), NEEDS_DESK,
     cli_run_release, "it was a stranger: lock the mailbox, delete what waits",
     "The messages are given back. Where sendguard-postqueue cannot be asked --preview shows what\n"
     "to type.\n"},
    {"allow-from", "MAILBOX [ADDRESS|@DOMAIN]", 1, 2,
     TAKES(OPTION_NOTE) | TAKES(OPTION_FOR) | TAKES(OPTION_END) | TAKES(OPTION_JSON), NEEDS_DESK,
     cli_run_allow_from, "let a mailbox write as another address, or --end that",
     "Without ADDRESS the addresses that it may write as beside its own. Without --for a permission\n"
     "holds until somebody takes it back. What owners' tables say needs none: identity.owners.\n"},
    {"log", "[MAILBOX]", 0, 1,
     TAKES(OPTION_JSON) | TAKES(OPTION_MAX) | TAKES(OPTION_FOLLOW) | WAITS, NEEDS_DESK, cli_run_log,
     "decisions, the newest last (50)",
     "With -f it goes on until it is interrupted; --json then prints one object a line.\n"},
    {"simulate", "", 0, 0, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_simulate,
     "what a message would meet; nothing is counted",
     "Reads a submission from standard input, as the webmail sends it:\n"
     "  {\"mailbox\": \"alice@example.test\", \"to\": \"bob@x.test, carol@x.test\"}\n"},
    {"what-if", "RULE=VALUE", 1, 1,
     TAKES(OPTION_JSON) | TAKES(OPTION_SINCE) | TAKES(OPTION_SCOPE), NEEDS_DESK, cli_run_what_if,
     "whom another limit would have stopped",
     "RULE: messages_per_day, off_domain_per_day or messages_per_hour. It looks at all messages that\n"
     "passed, as far back as log.keep_admitted, and changes nothing; judging goes on meanwhile.\n"
     "A moment is in the time zone of this machine, or RFC 3339.\n"
     "  sendguard what-if messages_per_day=400 --since \"yesterday 14:00\"\n"},
    {"suspend", "MAILBOX...", 1, CLI_SUBJECTS_MAX, SEVERAL | TAKES(OPTION_CAUSE) | TAKES(OPTION_FOR),
     NEEDS_DESK, cli_run_action, "refuse all mail of a mailbox",
     "Without --for as long as the settings say for the cause (default staff).\n"},
    {"lift", "MAILBOX|@DOMAIN...", 1, CLI_SUBJECTS_MAX, SEVERAL | TAKES(OPTION_CAUSE), NEEDS_DESK,
     cli_run_action,
     "end a suspension or a domain's block, keep the counts",
     "Of a mailbox: without --cause the only one; where it has several it names them.\n"
     "Of a domain: its block for mail that failed, and those of its mailboxes. What was sent before\n"
     "makes no other.\n"},
    {"undo", "ENTRY", 1, 1, ACTION_OPTIONS | TAKES(OPTION_ALL), NEEDS_DESK, cli_run_undo,
     "put back what an action changed within 10 minutes",
     "ENTRY: the number that audit shows, of a lift, limit, extra, exempt, plan or unblock.\n"
     "What has changed since is left alone, and named. Messages that were sent in the meantime\n"
     "stay sent.\n"},
    {"reset", "MAILBOX|@DOMAIN...", 1, CLI_SUBJECTS_MAX, SEVERAL, NEEDS_DESK, cli_run_action,
     "forget the counts, keep a suspension",
     "Of a domain: what messages_per_hour_per_domain has counted, and nothing of its mailboxes.\n"},
    {"extra", "MAILBOX|@DOMAIN...", 1, CLI_SUBJECTS_MAX,
     SEVERAL | TAKES(OPTION_MESSAGES) | TAKES(OPTION_OFF_DOMAIN) | TAKES(OPTION_FOR),
     NEEDS_DESK, cli_run_action, "add to the limits of a day (for 24h)", subject_help},
    {"limit", "MAILBOX|@DOMAIN RULE=VALUE", 2, 2, ACTION_OPTIONS | TAKES(OPTION_FOR), NEEDS_DESK,
     cli_run_action, "another limit: a number, off or default",
     "Example: sendguard limit @example.test messages_per_day=2000 --note \"agreed\"\n"
     "\"default\": the settings' limit holds again. Without --for it has no end.\n"},
    {"exempt", "MAILBOX|@DOMAIN...", 1, CLI_SUBJECTS_MAX,
     SEVERAL | TAKES(OPTION_FOR) | TAKES(OPTION_END), NEEDS_DESK,
     cli_run_action, "take away all limits, or --end that", subject_help},
    {"plan", "MAILBOX|@DOMAIN NAME", 2, 2, ACTION_OPTIONS | TAKES(OPTION_FOR), NEEDS_DESK,
     cli_run_action, "give it a plan of the settings, or take it away: default",
     "Example: sendguard plan @school.example school --note \"contract 7\"\n"
     "NAME: of a section [plan.NAME]. A mailbox's plan goes before its domain's, and a limit that\n"
     "was set for either before both. Without --for it has no end.\n"},
    {"note", "MAILBOX...", 1, CLI_SUBJECTS_MAX, SEVERAL, NEEDS_DESK, cli_run_action,
     "write something down about a mailbox", NULL},
    {"blocks", "[TEXT]", 0, 1, TAKES(OPTION_JSON) | TAKES(OPTION_CSV), NEEDS_DESK, cli_run_blocks,
     "the blocked recipients and senders, those that begin with TEXT", NULL},
    {"block", "ADDRESS|DOMAIN|NETWORK", 1, 1,
     ACTION_OPTIONS | TAKES(OPTION_REASON) | TAKES(OPTION_SCOPE) | TAKES(OPTION_SENDER) |
         TAKES(OPTION_FOR) | TAKES(OPTION_IMPORT), NEEDS_DESK, cli_run_block,
     "refuse mail to an address or a domain, or with --sender all mail of a sender",
     "An address or a domain is a recipient's; with --scope only for the mail of a sender domain,\n"
     "or of one mailbox. With --sender it is a mailbox, @DOMAIN, or the network that mail comes\n"
     "from: 203.0.113.7, 203.0.113.0/24, 2001:db8::/64. Without --for it has no end.\n"
     "--import FILE takes the place of ADDRESS and adds all lines of a CSV file, or none where one\n"
     "is wrong. After a failure of the store do it again: what is there already stays.\n"},
    {"unblock", "ADDRESS|DOMAIN|NETWORK", 1, 1,
     ACTION_OPTIONS | TAKES(OPTION_SCOPE) | TAKES(OPTION_SENDER), NEEDS_DESK, cli_run_block,
     "end what block began, named in the same way",
     "A domain that is blocked since its mail failed is not on the lists: lift @DOMAIN ends that.\n"},
    {"audit", "[SUBJECT]", 0, 1, TAKES(OPTION_JSON) | TAKES(OPTION_CSV) | TAKES(OPTION_MAX),
     NEEDS_DESK, cli_run_audit, "who did what, when and why",
     "The newest 50 as text; as CSV and JSON all of them.\n"},
    {"export", "MAILBOX", 1, 1, TAKES(OPTION_JSON), NEEDS_DESK, cli_run_export,
     "what is stored about a mailbox, for a person who asks",
     "How much of each kind, how long it is kept and why; with --json all of it, as one document. It\n"
     "reads the whole database, while the services run; with --json in little memory. Who of staff\n"
     "did what is left out. What stands under a hash cannot be read back.\n"},
    {"forget", "MAILBOX", 1, 1, ACTION_OPTIONS, NEEDS_DESK, cli_run_forget,
     "remove what is stored about a mailbox, as far as it may go",
     "With --preview it says what would go, what stays, until when and why: nobody gets round a\n"
     "limit, a lock or a suspension by it, and what staff has set stays until staff takes it back.\n"
     "It cannot be undone. The audit log has one entry, without the address: the --note, which may\n"
     "not name it either, says why. Decisions on messages of the last 24 hours stay: run it again\n"
     "a day later.\n"},
    {"config", "", 0, 0, TAKES(OPTION_CHANGED) | TAKES(OPTION_DEFAULTS), NEEDS_NOTHING,
     cli_run_config,
     "the settings in force", NULL},
    {"doctor", "[CHECK]...", 0, 32,
     TAKES(OPTION_JSON) | TAKES(OPTION_POSTFIX) | TAKES(OPTION_DOVECOT), NEEDS_SETTINGS,
     cli_run_doctor, "what is wrong with this installation, and what to do",
     "Looks and changes nothing; within 10 seconds. Without CHECK all of them. Run it as root:\n"
     "another user may not look at everything. States: ok; bad, mail passes unjudged or is lost,\n"
     "or will be; warn, probably not intended; skip, it could not be looked at.\n"
     "Exit status: 0, or 1 when one is bad.\n"},
    {"spf", "[DOMAIN]", 0, 1,
     TAKES(OPTION_JSON) | TAKES(OPTION_IP) | TAKES(OPTION_RECORDS) | LISTS, NEEDS_SETTINGS,
     cli_run_spf, "whether a domain's SPF record lets our mail servers send",
     "Asks the DNS as a server does that gets mail of the domain, for each address of\n"
     "spf.outgoing, or for --ip alone, and says which term to write into the record.\n"
     "Exit status: 0 each address passes; 1 not, or the DNS does not answer.\n"
     "Without DOMAIN the domains that send and whose record does not let all of spf.outgoing\n"
     "send, as sendguard-feedback found it.\n"},
    {"notify", "", 0, 0, TAKES(OPTION_JSON) | TAKES(OPTION_TEST), NEEDS_DESK, cli_run_notify,
     "who sends notifications to support and users, and what waits",
     "--test sends one of each the ways of [notify], whether sendguard-notify runs or not; what a\n"
     "user gets goes to the first of notify.mail_to. Exit status: 1 when one was not taken.\n"},
    {"store migrate", "FROM-URL TO-URL", 2, 2, TAKES(OPTION_JSON), NEEDS_SETTINGS, cli_run_migrate,
     "move everything to another database, and compare",
     "Stop the services first. TO-URL is a file that is not there yet, or a Redis database\n"
     "without a store; FROM-URL stays as it is. Both as store.url, such as\n"
     "  sqlite:///var/lib/sendguard/sendguard.db redis+unix:///run/redis/redis-server.sock?db=0\n"
     "Afterwards set store.url to TO-URL and start the services. After a failure or an\n"
     "interruption the same command begins anew.\n"},
    {"staff add", "NAME", 1, 1, TAKES(OPTION_ROLE) | TAKES(OPTION_NOTE) | WAITS, NEEDS_STORE,
     cli_run_staff_add, "an account for the support desk",
     "Asks for the password, or reads it as one line from standard input.\n"},
    {"staff remove", "NAME", 1, 1, TAKES(OPTION_NOTE), NEEDS_STORE, cli_run_staff_remove,
     "end an account and its sessions", NULL},
    {"staff list", "", 0, 0, TAKES(OPTION_JSON), NEEDS_STORE, cli_run_staff_list, "the accounts",
     NULL},
    {"staff password", "NAME", 1, 1, TAKES(OPTION_NOTE) | WAITS, NEEDS_STORE,
     cli_run_staff_password,
     "a new password; ends the account's sessions",
     "Asks for the password, or reads it as one line from standard input.\n"},
    {"staff role", "NAME", 1, 1, TAKES(OPTION_ROLE) | TAKES(OPTION_NOTE), NEEDS_STORE,
     cli_run_staff_role, "another role", NULL},
    {"staff nocodes", "NAME", 1, 1, TAKES(OPTION_NOTE), NEEDS_STORE, cli_run_staff_nocodes,
     "sign in by password alone again, without codes of an app",
     "For who has lost the phone and the recovery codes.\n"},
    {"staff unlock", "NAME", 1, 1, TAKES(OPTION_NOTE) | TAKES(OPTION_IP), NEEDS_STORE,
     cli_run_staff_unlock, "end what failed sign-ins have slowed down",
     "After too many failed sign-ins there is one try each 30 seconds, for an hour. A new\n"
     "password ends that too. While somebody goes on guessing, name the address from which\n"
     "the owner signs in with --ip: guesses from other networks do not count there.\n"},
    {"token add", "NAME", 1, 1,
     TAKES(OPTION_ROLE) | TAKES(OPTION_EXPIRES) | TAKES(OPTION_OWNER) | TAKES(OPTION_NOTE) |
         TAKES(OPTION_JSON),
     NEEDS_STORE, cli_run_token_add, "a token for the API, shown once",
     "With desk.second_approval its --owner does not approve what was asked for by it.\n"},
    {"token remove", "NAME", 1, 1, TAKES(OPTION_NOTE), NEEDS_STORE, cli_run_token_remove,
     "end a token", NULL},
    {"token list", "", 0, 0, TAKES(OPTION_JSON), NEEDS_STORE, cli_run_token_list,
     "the tokens", NULL},
    {"help", "[COMMAND]", 0, 2, 0, NEEDS_NOTHING, cli_run_help, "this, or more about a command",
     NULL},
};
const size_t cli_command_count = countof(cli_commands);

const struct command *cli_command_find(const char *first, const char *second, int *name_words_r)
{
    size_t length = strlen(first);
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;
        bool begins = strncmp(name, first, length) == 0;
        bool alone = begins && name[length] == '\0';
        if (alone || (begins && name[length] == ' ' && second != NULL &&
                      strcmp(name + length + 1, second) == 0)) {
            *name_words_r = alone ? 1 : 2;
            return &cli_commands[i];
        }
    }
    return NULL;
}

/* Says what `first` could go on with. */
static int refuse_command(const char *first)
{
    size_t length = strlen(first);
    bool group = false;
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strncmp(cli_commands[i].name, first,
                    length) == 0 && cli_commands[i].name[length] == ' ') {
            fprintf(stderr, "%s%s", group ? ", " : "sendguard: expected ", cli_commands[i].name);
            group = true;
        }
    }
    if (group)
        fputc('\n', stderr);
    else
        fprintf(stderr, "sendguard: there is no command \"%s\"\n", first);
    fputs("Try 'sendguard help'.\n", stderr);
    return PROGRAM_USAGE;
}

int cli_run_help(struct cli *cli)
{
    if (cli->word_count == 0) {
        cli_print_usage(stdout);
        return cli_end_output(cli);
    }
    int name_words;
    bool found = false;
    const char *second = cli->word_count > 1 ? cli->words[1] : NULL;
    const struct command *command = cli_command_find(cli->words[0], second, &name_words);
    if (command != NULL && name_words == cli->word_count) {
        cli_print_help(command, stdout);
        return cli_end_output(cli);
    }
    size_t length = strlen(cli->words[0]);
    for (size_t i = 0; i < cli_command_count && second == NULL; i++) {
        const char *name = cli_commands[i].name;
        if (strncmp(name, cli->words[0], length) == 0 && name[length] == ' ') {
            cli_print_help(&cli_commands[i], stdout);
            found = true;
        }
    }
    return found ? cli_end_output(cli) : refuse_command(cli->words[0]);
}

/* --check: the settings and the texts they name. */
static int check_settings(const struct program_options *options)
{
    freed_by(settings_free) struct settings *settings = NULL;
    freed_by(catalogue_free) struct catalogue *catalogue = NULL;
    struct faults faults;
    return program_load(options, &settings, &catalogue, &faults) == 1
               ? PROGRAM_OK
               : program_tell_faults("sendguard", &faults);
}

static int run(struct cli *cli)
{
    freed_by(cli_close) struct open_command *opened = NULL;
    sigset_t ending;
    cli_ending_signals(&ending);
    if ((cli->command->takes & WAITS) != 0) /* threads of the store inherit it */
        sigprocmask(SIG_BLOCK, &ending, NULL);
    int status = cli_open(cli, &opened);
    return status >= 0 ? status : cli->command->run(cli);
}

/* The usage is made from the table; to be freed. */
static char *usage_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return xstrdup("");
    cli_print_usage(out);
    fclose(out);
    return text;
}

/* The command's name, then what belongs to it. */
static int run_words(struct cli *cli, int count, char **words)
{
    int name_words;
    cli->command = cli_command_find(words[0], count > 1 ? words[1] : NULL, &name_words);
    if (cli->command == NULL)
        return refuse_command(words[0]);
    int status = cli_read_options(cli, count - name_words + 1, words + name_words - 1);
    return status >= 0 ? status : run(cli);
}

int main(int argc, char **argv)
{
    freed_by(free_string) char *usage = usage_text();
    freed_by(arena_free) struct arena *arena = arena_new();
    struct program program = {.name = "sendguard", .usage = usage, .takes_words = true};
    struct cli cli = {.arena = arena, .now_ms = clock_wall_ms()};
    int status = program_options(&program, argc, argv, &cli.options);
    if (status >= 0)
        return status;
    if (cli.options.check)
        return check_settings(&cli.options);
    if (cli.options.first_word == argc) {
        fputs(usage, stderr);
        return PROGRAM_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a write that fails says so */
    status = run_words(&cli, argc - cli.options.first_word, argv + cli.options.first_word);
    text_free(&cli.imported);
    return status;
}
