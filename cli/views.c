#include "cli/views.h"

#include <string.h>

size_t views_list_length(struct json_object *object, const char *member)
{
    struct json_object *list = json_member(object, member);
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

void views_join(struct json_object *first, struct json_object *page, const char *member,
                const char *mark)
{
    struct json_object *list = json_member(first, member), *element;
    each_of(element, page, member)
        json_object_array_add(list, json_object_get(element));
    json_object_object_add(first, mark, json_object_get(json_member(page, mark)));
}

int views_show(struct cli *cli, struct json_object *view,
               void (*print)(struct cli *cli, struct json_object *view))
{
    if (cli->given[OPTION_JSON] != NULL)
        print_json(view, stdout);
    else
        print(cli, view);
    return cli_end_output(cli);
}

/* ---- how it stands ----------------------------------------------------------------- */

static void print_suspension(struct cli *cli, const char *margin, struct json_object *suspension)
{
    if (suspension == NULL)
        return;
    const char *rule = print_member(cli->arena, suspension, "rule", NULL);
    const char *note = print_member(cli->arena, suspension, "note", "");
    printf("%s  cause %s, set by %s, %s%s%s\n",
           margin, print_member(cli->arena, suspension, "cause", "unknown"),
           print_member(cli->arena, suspension, "by", "unknown"),
           print_moment(cli->arena, suspension, "since", cli->now_ms, ""),
           rule != NULL || *note != '\0' ? ": " : "", rule != NULL ? rule : note);
    printf("%s  attempts since: %s", margin, print_number(cli->arena, suspension, "attempts", "0"));
    if (strcmp(json_string(suspension, "cause", ""), cause_names[CAUSE_VOLUME]) == 0)
        printf("; from attempt %s on each moves the end",
               print_number(cli->arena, suspension, "retries_before_restart", "?"));
    putchar('\n');
}

const char *views_lock_end(bool closed)
{
    return closed ? "an administrator opens it" : "the password was changed";
}

/* A lock, where it keeps people out or is all that holds. */
static bool print_locked(const char *subject, struct json_object *view)
{
    struct json_object *lock = json_member(view, "lock");
    const char *scope = json_string(lock, "scope", "");
    bool is_told = strcmp(scope, "login") == 0 ||
                   (*scope != '\0' && views_list_length(view, "suspensions") == 1);
    bool closed = strcmp(json_string(lock, "phase", ""), "closed") == 0;
    if (is_told)
        printf("%s: locked until %s.\n", subject, views_lock_end(closed));
    return is_told;
}

/* Those beside the one that is told, which is the first. */
static void print_others(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    each_of(one, view, "suspensions") {
        if (i_ == 0)
            continue;
        const char *until = print_moment(cli->arena, one, "until", cli->now_ms, NULL);
        printf("  Besides this, sending is %s until %s (%s).\n", until != NULL ? "paused" : "stopped",
               until != NULL ? until : "staff lifts it",
               print_member(cli->arena, one, "cause", "unknown"));
        print_suspension(cli, "  ", one);
    }
}

void views_print_state(struct cli *cli, const char *subject, struct json_object *view)
{
    const char *state = json_string(view, "state", "");
    struct json_object *suspension = json_member(view, "suspension");
    subject = print_plain(cli->arena, subject);
    if (strcmp(state, "ok") == 0)
        printf("%s can send.\n", subject);
    else if (strcmp(state, "full") == 0)
        printf("%s cannot send now: a limit over time is reached. First room: %s.\n", subject,
               print_moment(cli->arena, view, "retry_at", cli->now_ms, "never"));
    else if (strcmp(state, "blocked") == 0)
        printf("%s cannot send now: too much of its mail, or of its domain's, failed.\n", subject);
    else if (strcmp(state, "paused") == 0)
        printf("%s: sending is paused until %s.\n", subject,
               print_moment(cli->arena, suspension, "until", cli->now_ms, "a moment to come"));
    else if (strcmp(state, "stopped") != 0)
        printf("%s: %s\n", subject, print_plain(cli->arena, state));
    else if (!print_locked(subject, view))
        printf("%s: sending is stopped until staff lifts it.\n", subject);
    print_suspension(cli, "", suspension);
    print_others(cli, view);
}

static void print_reasons(struct cli *cli, struct json_object *view)
{
    struct json_object *reason;
    each_of(reason, view, "reasons") {
        const char *place = print_member(cli->arena, reason, "domain",
                                         print_member(cli->arena, reason, "field", NULL));
        printf("%s%s%s%s, %s of %s%s", i_ == 0 ? ": " : "; ",
               print_member(cli->arena, reason, "rule", "?"), place != NULL ? " at " : "",
               place != NULL ? place : "", print_number(cli->arena, reason, "count", "?"),
               print_number(cli->arena, reason, "limit", "?"),
               json_is_true(reason, "never_fits") ? " (never fits)" : "");
    }
}

void views_print_next(struct cli *cli, const char *before, struct json_object *next)
{
    const char *state = json_string(next, "state", "");
    const char *retry = print_moment(cli->arena, next, "retry_at", cli->now_ms, NULL);
    if (next == NULL)
        return;
    if (strcmp(json_string(next, "verdict", ""), "admit") == 0) {
        printf("%sthe next message would be admitted.\n", before);
        return;
    }
    bool suspended = strcmp(state, "paused") == 0 || strcmp(state, "stopped") == 0;
    bool blocked = json_member(next, "blocked_until") != NULL;
    printf("%sthe next message would be refused%s%s", before,
           suspended ? ", sending is suspended" : "",
           blocked ? ", too much mail failed" : "");
    print_reasons(cli, next);
    printf("%s%s.\n", retry != NULL ? "; it would pass at " : "", retry != NULL ? retry : "");
}

/* ---- windows and limits ------------------------------------------------------------- */

/* "120 at 14:05, 300 at 16:20 …": the first and the last step. */
static const char *refill_text(struct cli *cli, struct json_object *window)
{
    size_t count = views_list_length(window, "refill");
    if (count == 0)
        return "";
    struct json_object *list = json_member(window, "refill");
    struct json_object *first = json_object_array_get_idx(list, 0);
    struct json_object *last = json_object_array_get_idx(list, count - 1);
    const char *begin = arena_printf(cli->arena, "%s at %s",
                                     print_number(cli->arena, first, "count", "?"),
                                     print_moment(cli->arena, first, "at", cli->now_ms, "?"));
    return count == 1 ? begin
                      : arena_printf(cli->arena, "%s, all by %s", begin,
                                     print_moment(cli->arena, last, "at", cli->now_ms, "?"));
}

/* What a limited window has left; an answer to a message says only how much is used. */
static const char *left_text(struct cli *cli, struct json_object *window)
{
    int64_t limit = json_int(window, "limit", -1), used = json_int(window, "used", limit);
    return limit < 0 ? "-"
                     : arena_printf(cli->arena, "%lld",
                                    (long long)(used < limit ? limit - used : 0));
}

/* The rules that are only tried out. */
static void print_shadows(struct cli *cli, struct json_object *view)
{
    struct json_object *window;
    each_of(window, view, "windows") {
        struct json_object *shadow = json_member(window, "shadow");
        if (shadow != NULL)
            printf("  shadow.%s = %s: %s\n", print_member(cli->arena, window, "rule", ""),
                   print_number(cli->arena, shadow, "limit", ""),
                   json_is_true(shadow, "full") ? "would refuse the next message"
                                                : "would not refuse the next message");
    }
}

void views_print_windows(struct cli *cli, struct json_object *view)
{
    struct json_object *window;
    struct print_table table;
    if (views_list_length(view, "windows") == 0)
        return;
    puts("\nWindows");
    print_table_begin(&table, 6, 1u << 2 | 1u << 3 | 1u << 4);
    print_table_row(&table, "RULE", "CHANNEL", "USED", "LIMIT", "LEFT", "COMES BACK");
    each_of(window, view, "windows")
        print_table_row(&table, print_member(cli->arena, window, "rule", ""),
                        print_member(cli->arena, window, "channel", ""),
                        print_number(cli->arena, window, "used", "0"),
                        print_number(cli->arena, window, "limit", "off"),
                        left_text(cli, window), refill_text(cli, window));
    print_table_end(&table, stdout);
    print_shadows(cli, view);
}

/* An adjustment's end; of a setting there is none. */
static const char *limit_end(struct cli *cli, struct json_object *limit)
{
    const char *until = print_moment(cli->arena, limit, "until", cli->now_ms, "");
    const char *extra_until = print_moment(cli->arena, limit, "extra_until", cli->now_ms, NULL);
    return extra_until == NULL ? until
                               : arena_printf(cli->arena, "%s%sextra %s", until,
                                              *until != '\0' ? "; " : "", extra_until);
}

void views_print_plan(struct cli *cli, struct json_object *plan)
{
    const char *until = print_moment(cli->arena, plan, "until", cli->now_ms, NULL);
    if (plan == NULL)
        return;
    printf("  plan %s, given to the %s%s%s%s\n", print_member(cli->arena, plan, "name", "?"),
           print_member(cli->arena, plan, "of", "?"), until != NULL ? " until " : "",
           until != NULL ? until : "",
           json_is_true(plan, "lost")
               ? "; the settings have no such plan, so it gives no limits" : "");
}

/* "plan school" where it comes from a plan. */
static const char *source_of(struct cli *cli, struct json_object *limit)
{
    const char *source = print_member(cli->arena, limit, "source", "");
    const char *plan = print_member(cli->arena, limit, "plan", NULL);
    return plan != NULL ? arena_printf(cli->arena, "%s %s", source, plan) : source;
}

void views_print_limits(struct cli *cli, struct json_object *view)
{
    struct json_object *limit;
    struct print_table table;
    if (views_list_length(view, "limits") == 0)
        return;
    puts("\nLimits");
    print_table_begin(&table, 7, 1u << 2 | 1u << 3 | 1u << 4);
    print_table_row(&table, "RULE", "CHANNEL", "LIMIT", "EXTRA", "DEFAULT", "FROM", "UNTIL");
    each_of(limit, view, "limits") {
        bool off = json_member(limit, "limit") == NULL &&
                   strcmp(json_string(limit, "source", ""), "settings") == 0;
        if (off)
            continue;
        print_table_row(&table, print_member(cli->arena, limit, "rule", ""),
                        print_member(cli->arena, limit, "channel", ""),
                        print_number(cli->arena, limit, "limit", "off"),
                        print_number(cli->arena, limit, "extra", "0"),
                        print_number(cli->arena, limit, "default", "off"),
                        source_of(cli, limit), limit_end(cli, limit));
    }
    print_table_end(&table, stdout);
}

void views_print_mailboxes(struct cli *cli, struct json_object *view)
{
    struct json_object *sender;
    struct print_table table;
    if (views_list_length(view, "mailboxes") == 0)
        return;
    print_table_begin(&table, 5, 1u << 2 | 1u << 3);
    print_table_row(&table, "MAILBOX", "LAST SEEN", "MESSAGES", "OFF-DOMAIN", "");
    each_of(sender, view, "mailboxes")
        print_table_row(&table, print_member(cli->arena, sender, "mailbox", ""),
                        print_moment(cli->arena, sender, "last_at", cli->now_ms, ""),
                        print_number(cli->arena, sender, "messages", "0"),
                        print_number(cli->arena, sender, "off_domain", "0"),
                        json_is_true(sender, "suspended") ? "suspended" : "");
    print_table_end(&table, stdout);
}

/* ---- lines of a log -------------------------------------------------------------------- */

static const char *rules_text(struct cli *cli, struct json_object *entry)
{
    const char *text = "";
    struct json_object *rule;
    each_of(rule, entry, "rules")
        text = arena_printf(cli->arena, "%s%s%s", text, i_ > 0 ? "," : "",
                            print_member(cli->arena, rule, "rule", "?"));
    return *text != '\0' ? text : "-";
}

void views_print_decision(struct cli *cli, const char *mailbox, struct json_object *entry)
{
    printf("%s  %-9s  ", print_moment(cli->arena, entry, "at", 0, "?"),
           print_member(cli->arena, entry, "outcome", "?"));
    if (mailbox != NULL)
        printf("%s  ", print_member(cli->arena, entry, "mailbox",
                                    print_plain(cli->arena, mailbox)));
    printf("%s  %s recipient%s  %s  %s%s%s\n", print_member(cli->arena, entry, "ip", "-"),
           print_number(cli->arena, entry, "recipients", "?"),
           json_int(entry, "recipients", 0) == 1 ? "" : "s", rules_text(cli, entry),
           print_member(cli->arena, entry, "decision", "?"),
           json_is_true(entry, "bypassed")    ? "  bypassed"
           : json_is_true(entry, "by_header") ? "  by its header"
                                              : "",
           json_is_true(entry, "was_held")  ? "  held, unusual"
           : json_is_true(entry, "unusual") ? "  unusual"
                                            : "");
}

static void add_flat(struct text *text, const char *name, struct json_object *tree)
{
    struct json_object_iterator at, end;
    if (json_object_is_type(tree, json_type_object)) {
        at = json_object_iter_begin(tree);
        end = json_object_iter_end(tree);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
            const char *member = json_object_iter_peek_name(&at);
            freed_by(free_string) char *path =
                *name != '\0' ? xasprintf("%s.%s", name, member) : xstrdup(member);
            add_flat(text, path, json_object_iter_peek_value(&at));
        }
        return;
    }
    text_addf(text, "%s%s=%s", text->length > 0 ? " " : "", name,
              tree == NULL ? "none" : json_object_get_string(tree));
}

const char *views_flat_json(struct arena *arena, struct json_object *tree)
{
    freed_by(text_free) struct text text = {0};
    if (tree != NULL)
        add_flat(&text, "", tree);
    return print_plain(arena, text_string(&text));
}

const char *views_action_text(struct cli *cli, struct json_object *action)
{
    const char *detail = views_flat_json(cli->arena, json_member(action, "detail"));
    return arena_printf(cli->arena, "%s  %s  by %s: %s%s%s%s",
                        print_member(cli->arena, action, "action", "?"),
                        print_member(cli->arena, action, "subject", ""),
                        print_member(cli->arena, action, "by", "?"),
                        print_member(cli->arena, action, "note", ""), *detail != '\0' ? "  [" : "",
                        detail, *detail != '\0' ? "]" : "");
}

static void print_password_of_lock(struct cli *cli, struct json_object *lock)
{
    const char *refused =
        print_moment(cli->arena, lock, "old_password_refused_since", cli->now_ms, NULL);
    const char *changed = print_moment(cli->arena, lock, "new_password_at", cli->now_ms, NULL);
    if (!json_is_true(lock, "old_password_known"))
        puts("  which password the stranger had is not known: make sure that it was changed");
    else if (strcmp(json_string(lock, "phase", ""), "reopened") == 0)
        puts("  if the old password works within 30 days it is locked again");
    if (refused != NULL)
        printf("  the password of the offence is refused since %s\n", refused);
    if (changed != NULL)
        printf("  another password was right at %s, from %s\n", changed,
               print_member(cli->arena, lock, "new_password_network", "an unknown network"));
}

void views_print_lock(struct cli *cli, struct json_object *lock)
{
    const char *phase = json_string(lock, "phase", "");
    const char *scope = json_string(lock, "scope", "");
    const char *keeps_out = json_string(lock, "keeps_out", "yes");
    bool suspended = json_is_true(lock, "suspended");
    bool breached = strcmp(json_string(lock, "cause", ""), "breached") == 0;
    if (*scope != '\0')
        printf("  %s since %s%s: %s\n", phase,
               print_moment(cli->arena, lock, "since", cli->now_ms, "?"),
               breached ? ", as its password is in a list of stolen ones" : "",
               strcmp(scope, "login") == 0 ? "nobody signs in, nothing is sent"
                                           : "nothing is sent, signing in goes on");
    else
        printf("  not locked%s\n", suspended ? ", but suspended" : "");
    if (strcmp(scope, "login") == 0 && strcmp(keeps_out, "yes") != 0)
        printf("  but who has the right password still signs in: %s\n",
               strcmp(keeps_out, "observed") == 0
                   ? "guard.mode is observe"
                   : "Dovecot never asked when a password was right (sendguard doctor logins)");
    if (strcmp(phase, "asked") == 0)
        puts("  no offence until you lock it: its user asked for it on the status page");
    if (strcmp(phase, "closed") == 0)
        puts("  only an administrator opens it: sendguard open");
    if (strcmp(phase, "reopened") == 0)
        printf("  opened again %s\n", print_moment(cli->arena, lock, "since", cli->now_ms, "?"));
    if (strcmp(phase, "none") != 0)
        print_password_of_lock(cli, lock);
}

void views_print_unusual(struct cli *cli, struct json_object *unusual, bool done)
{
    struct arena *arena = cli->arena;
    if (unusual == NULL)
        return;
    printf("  unusual: in the hour up to this message the mailbox wrote to %s people that it had not "
           "written to in 90 days, at %s new domain%s; its busiest hour on the 28 days before had "
           "%s\n",
           print_number(arena, unusual, "new_recipients", "?"),
           print_number(arena, unusual, "new_domains", "?"),
           json_int(unusual, "new_domains", 0) == 1 ? "" : "s",
           print_number(arena, unusual, "busiest_hour", "?"));
    const char *action = json_string(unusual, "action", "");
    if (strcmp(action, "hold") == 0)
        puts(done ? "  it was put on hold until the postmaster had looked"
                  : "  it would be put on hold until the postmaster has looked");
    else if (strcmp(action, "defer") == 0)
        puts(done ? "  it was refused for the time being"
                  : "  it would be refused for the time being");
    if (json_is_true(unusual, "new_network"))
        printf("  %s from a network first seen less than 24 hours ago\n",
               done ? "it came" : "it would come");
    if (json_is_true(unusual, "many_domains"))
        printf("  more than %s new domains in an hour are many\n",
               print_number(arena, unusual, "domains_limit", "?"));
    if (json_is_true(unusual, "no_history"))
        printf("  the mailbox is known for %s whole days, too few to say what is usual\n",
               print_number(arena, unusual, "history_days", "?"));
}
