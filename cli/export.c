/* sendguard export: what is stored about a mailbox. */
#include <string.h>

#include "base/json.h"
#include "cli/views.h"
#include "desk/stored.h"

enum { FORM = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

/* How many of each kind there are; in the order of `all`. */
struct of_each {
    const struct stored_kind *all[STORED_KINDS];
    uint64_t of[STORED_KINDS];
    size_t count;
    uint64_t entries;
    const struct cli *cli;
};

static void add_kinds(struct of_each *found, const struct stored_kind *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (kinds[i].what != NULL)
            found->all[found->count++] = &kinds[i];
}

static struct of_each all_kinds(void)
{
    struct of_each found = {0};
    add_kinds(&found, stored_items, TRANSFER_KIND_COUNT);
    add_kinds(&found, stored_kept, KEPT_KIND_COUNT);
    add_kinds(&found, stored_values, VALUE_KIND_COUNT);
    return found;
}

static bool count_entry(void *context, const struct stored_kind *kind, struct json_object *entry)
{
    struct of_each *found = context;
    (void)entry;
    for (size_t i = 0; i < found->count; i++)
        found->of[i] += found->all[i] == kind;
    found->entries++;
    return true;
}

static void print_text(const struct cli *cli, const struct of_each *found)
{
    printf("%s is stored about %s%s\n", found->entries > 0 ? "This" : "Nothing",
           print_plain(cli->arena, cli->words[0]), found->entries > 0 ? ":" : ".");
    for (size_t i = 0; i < found->count; i++) {
        const struct stored_kind *kind = found->all[i];
        if (found->of[i] == 0)
            continue;
        printf("\n%6llu  %s\n        Kept: %s.\n        Why: %s.\n",
               (unsigned long long)found->of[i], kind->what, kind->until, kind->why);
    }
    if (found->entries > 0)
        puts("\nAll of it, as a document: the same command with --json.");
}

/* ---- JSON: entry by entry, since there may be many --------------------------------------- */

static void begin_json(const struct of_each *found)
{
    const struct cli *cli = found->cli;
    freed_by(json_put) struct json_object *head = json_object_new_object();
    json_add_string(head, "mailbox", cli->words[0]);
    json_add_moment(head, "at", cli->now_ms);
    struct json_object *list = json_add_list(head, "kinds");
    for (size_t i = 0; i < found->count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "kind", found->all[i]->name);
        json_add_string(one, "what", found->all[i]->what);
        json_add_string(one, "kept", found->all[i]->until);
        json_add_string(one, "why", found->all[i]->why);
        json_object_array_add(list, one);
    }
    const char *text = json_object_to_json_string_ext(head, FORM);
    printf("%.*s,\"entries\":[", (int)strlen(text) - 1, text); /* without its last bracket */
}

static bool print_entry(void *context, const struct stored_kind *kind, struct json_object *entry)
{
    struct of_each *found = context;
    if (found->entries == 0)
        begin_json(found);
    puts(found->entries > 0 ? "," : "");
    fputs(json_object_to_json_string_ext(entry, FORM), stdout);
    return count_entry(found, kind, entry) && !ferror(stdout);
}

/* ---- the command ------------------------------------------------------------------------- */

static int run_with_key(struct cli *cli)
{
    bool as_json = cli->given[OPTION_JSON] != NULL;
    struct of_each found = all_kinds();
    struct problem problem = {0};
    struct stored_source source = {cli->settings->store_url,
                                   program_store_options(cli->settings)};
    source.options.timeout_ms = CLI_WHOLE_STORE_MS;
    found.cli = cli;
    int status = cli_answer(cli, desk_stored(&cli->desk, &source, cli->words[0], cli->now_ms,
                                             as_json ? print_entry : count_entry, &found,
                                             &problem),
                            &problem);
    if (status >= 0)
        return status;
    if (as_json && found.entries == 0)
        begin_json(&found);
    if (as_json)
        printf("\n],\"count\":%llu}\n", (unsigned long long)found.entries);
    else
        print_text(cli, &found);
    return cli_end_output(cli);
}

int cli_run_export(struct cli *cli) { return cli_with_key(cli, run_with_key); }
