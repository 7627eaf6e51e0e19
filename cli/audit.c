/* sendguard audit: the newest actions as text, or all of them as CSV or JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/views.h"

enum { AUDIT_MAX = 100000000, AUDIT_SHOWN = 50 };

/* How actions are told, the newest first. */
struct audit_format {
    void (*begin)(void);
    void (*tell)(struct cli *cli, struct json_object *action, bool first);
    void (*end)(void);
};

/* Pages of actions, each told and forgotten: the audit log is long. -1: go on; else the exit status. */
static int tell_all(struct cli *cli, size_t most, const struct audit_format *telling)
{
    freed_by(free_string) char *before = NULL;
    const char *subject = cli->word_count > 0 ? cli->words[0] : NULL;
    size_t told = 0;
    do {
        freed_by(json_put) struct json_object *view = NULL;
        struct json_object *action;
        struct problem problem = {0};
        int status = cli_answer(cli, desk_audit(&cli->desk, subject, before, &view, &problem),
                                &problem);
        if (status >= 0)
            return status;
        if (before == NULL && telling->begin != NULL)
            telling->begin();
        each_of(action, view, "actions") {
            if (told == most)
                break;
            telling->tell(cli, action, told++ == 0);
        }
        free_string(&before);
        const char *next = json_string(view, "next", NULL);
        before = next != NULL && told < most && !ferror(stdout) ? xstrdup(next) : NULL;
    } while (before != NULL);
    if (telling->end != NULL)
        telling->end();
    return -1;
}

/* ---- CSV: RFC 4180 -------------------------------------------------------------------- */

static void print_cell(const char *value, const char *end)
{
    freed_by(text_free) struct text cell = {0};
    text_add_csv(&cell, value);
    printf("%s%s", text_string(&cell), end);
}

static void begin_csv(void) { fputs("number,at,by,action,subject,note,detail\r\n", stdout); }

static void tell_csv(struct cli *cli, struct json_object *action, bool first)
{
    struct json_object *detail = json_member(action, "detail");
    (void)first;
    arena_reset(cli->arena);
    printf("%lld,%s,", (long long)json_int(action, "number", 0),
           print_member(cli->arena, action, "at", ""));
    print_cell(print_member(cli->arena, action, "by", ""), ",");
    print_cell(print_member(cli->arena, action, "action", ""), ",");
    print_cell(print_member(cli->arena, action, "subject", ""), ",");
    print_cell(print_member(cli->arena, action, "note", ""), ",");
    print_cell(print_plain(cli->arena, detail != NULL ? json_object_to_json_string_ext(
                                                      detail, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE)
                                                : "{}"),
               "\r\n");
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void begin_json(void) { fputs("{\"actions\":[\n", stdout); }

static void tell_json(struct cli *cli, struct json_object *action, bool first)
{
    (void)cli;
    if (!first)
        fputc(',', stdout);
    print_json_line(action, stdout);
}

static void end_json(void) { fputs("]}\n", stdout); }

/* ---- text ------------------------------------------------------------------------------------ */

static void tell_text(struct cli *cli, struct json_object *action, bool first)
{
    (void)first;
    arena_reset(cli->arena);
    printf("%s  #%lld  %s\n", print_moment(cli->arena, action, "at", 0, "?"),
           (long long)json_int(action, "number", 0), views_action_text(cli, action));
}

int cli_run_audit(struct cli *cli)
{
    static const struct audit_format text = {.tell = tell_text},
                                csv = {.begin = begin_csv, .tell = tell_csv},
                                json = {begin_json, tell_json, end_json};
    bool as_csv = cli->given[OPTION_CSV] != NULL, as_json = cli->given[OPTION_JSON] != NULL;
    size_t most = as_csv || as_json ? AUDIT_MAX : AUDIT_SHOWN;
    if (as_csv && as_json)
        return cli_usage_error(cli, "--csv and --json do not go together");
    int status = cli_read_max(cli, AUDIT_MAX, &most);
    if (status < 0)
        status = tell_all(cli, most, as_csv ? &csv : as_json ? &json : &text);
    return status >= 0 ? status : cli_end_output(cli);
}
