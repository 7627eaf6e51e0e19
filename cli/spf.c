/* sendguard spf: whether other servers accept our hosts for a domain, and for which not. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/views.h"
#include "dns/dns.h"
#include "dns/dns_records.h"
#include "guard/spf_view.h"
#include "message/address.h"

enum { FILE_MAX_BYTES = 1024 * 1024, CHECK_MS = 20 * 1000 };

static void print_spf(struct cli *cli, struct json_object *view)
{
    struct arena *arena = cli->arena;
    struct json_object *result, *names_us = json_member(view, "names_us");
    const char *domain = print_member(arena, view, "domain", "?");
    printf("%s: %s.\n", domain,
           json_object_get_boolean(names_us) ? "all addresses pass"
           : names_us != NULL                ? "not all addresses pass"
                                             : "not known, since the DNS does not answer");
    each_of(result, view, "results") {
        const char *term = print_member(arena, result, "term", NULL);
        const char *record = print_member(arena, result, "record", domain);
        const char *problem = print_member(arena, result, "problem_text", NULL);
        printf("  %s: %s", print_member(arena, result, "ip", "?"),
               print_member(arena, result, "result", "?"));
        if (term != NULL)
            printf(", %s %s", problem != NULL ? "at" : "by", term);
        if (strcmp(record, domain) != 0)
            printf(" in the record of %s", record);
        printf("%s%s\n", problem != NULL ? ": " : "", problem != NULL ? problem : "");
    }
    const char *advice = print_member(arena, view, "advice", NULL);
    if (advice != NULL)
        printf("%s\n", advice);
}

/* The file's text in cli->arena. -1: go on; else the exit status. */
static int read_file(const struct cli *cli, const char *path, struct mail_view *text_r)
{
    char *text = arena_alloc(cli->arena, FILE_MAX_BYTES + 1);
    size_t length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && length <= FILE_MAX_BYTES) {
        got = read(fd, text + length, FILE_MAX_BYTES + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return cli_failed(cli, "--records: %s: %s", path, strerror(error));
    if (length > FILE_MAX_BYTES)
        return cli_failed(cli, "--records: %s: expected at most 1 MiB", path);
    *text_r = (struct mail_view){text, length};
    return -1;
}

/* Records of a file in place of the DNS, else the resolvers. -1: go on; else the exit status. */
static int open_resolver(const struct cli *cli, struct dns **dns_r, struct spf_resolver *resolver_r)
{
    struct problem problem;
    struct mail_view text;
    struct dns_records *records;
    const char *path = cli->given[OPTION_RECORDS];
    const struct text_list *resolvers = &cli->settings->spf_resolver;
    if (path == NULL) {
        if (!dns_new(resolvers->items, resolvers->count, dns_r, &problem))
            return cli_failed(cli, "%s: %s", problem.where, problem.text);
        *resolver_r = (struct spf_resolver){dns_look_up, *dns_r};
        dns_begin(*dns_r, CHECK_MS);
        return -1;
    }
    int status = read_file(cli, path, &text);
    if (status >= 0)
        return status;
    if (!dns_records_read(cli->arena, path, text, &records, &problem))
        return cli_failed(cli, "--records: %s: %s", problem.where, problem.text);
    *resolver_r = (struct spf_resolver){dns_records_look_up, records};
    return -1;
}

/* Those of the settings, or --ip. -1: go on; else the exit status. */
static int read_addresses(const struct cli *cli, char *given[1], struct text_list *ips_r)
{
    const char *ip = cli->given[OPTION_IP];
    struct spf_ip read;
    *ips_r = cli->settings->spf_outgoing;
    if (ip != NULL && !spf_ip_read(ip, &read))
        return cli_usage_error(cli, "--ip: expected an IP address, found \"%s\"", ip);
    if (ip != NULL) {
        given[0] = arena_strdup(cli->arena, ip);
        *ips_r = (struct text_list){.items = given, .count = 1};
    }
    if (ips_r->count == 0)
        return cli_usage_error(cli, "expected --ip ADDRESS, or the addresses that mail leaves from "
                                    "in spf.outgoing");
    return -1;
}

/* ---- the domains that send ---------------------------------------------------------------- */

static void print_domain(struct cli *cli, struct json_object *view)
{
    const char *refused_at = print_moment(cli->arena, view, "refused_at", cli->now_ms, NULL);
    printf("%s, since %s\n", print_member(cli->arena, view, "domain", "?"),
           print_moment(cli->arena, view, "since", cli->now_ms, "?"));
    if (json_is_true(view, "blocked"))
        puts("  Its mail is refused.");
    else if (refused_at != NULL)
        printf("  Its mail %s refused from %s.\n",
               json_is_true(view, "refuses") ? "is" : "would with spf.mode = block be", refused_at);
    printf("  %s\n", print_member(cli->arena, view, "advice", ""));
}

static void print_domains(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    if (strcmp(json_string(view, "mode", ""), "off") == 0)
        puts("SPF records are not looked at: spf.mode is off.");
    else if (views_list_length(view, "outgoing") == 0)
        puts("SPF records are not looked at: spf.outgoing is not set.");
    else if (views_list_length(view, "checkers") == 0)
        puts("No machine has looked at SPF records for 10 minutes: does sendguard-feedback run?");
    else if (views_list_length(view, "domains") == 0)
        puts("No domain that sends is known not to let all of spf.outgoing send.");
    each_of(one, view, "checkers")
        if (!json_is_true(one, "dns"))
            printf("The DNS does not answer on %s: what is known of records stays.\n",
                   print_member(cli->arena, one, "host", "?"));
    each_of(one, view, "domains")
        print_domain(cli, one);
}

static int list_domains(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    freed_by(snapshot_release) struct snapshot *snapshot = NULL;
    const char *next;
    if (cli->given[OPTION_IP] != NULL || cli->given[OPTION_RECORDS] != NULL)
        return cli_usage_error(cli, "--ip and --records are about one domain: name it");
    if (desk_spf(&cli->desk, "", cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    while ((next = json_string(view, "next", NULL)) != NULL) {
        freed_by(json_put) struct json_object *page = NULL;
        if (desk_spf(&cli->desk, next, cli->now_ms, &page) < 1)
            return cli_no_store(cli);
        views_join(view, page, "domains", "next");
    }
    snapshot = guard_snapshot(cli->desk.guard);
    desk_spf_add_words(view, snapshot_catalogue(snapshot), cli->arena, "en");
    return views_show(cli, view, print_domains);
}

/* ---- one domain --------------------------------------------------------------------------- */

static int ask_domain(struct cli *cli)
{
    char domain[ADDRESS_MAX_DOMAIN_BYTES + 1], *given[1];
    size_t length;
    struct text_list ips;
    struct spf_resolver resolver;
    struct spf_hosts hosts;
    struct problem problem;
    freed_by(dns_free) struct dns *dns = NULL;
    freed_by(json_put) struct json_object *view = NULL;
    freed_by(catalogue_free) struct catalogue *catalogue = NULL;
    const char *fault = address_domain_normalise(cli->words[0], strlen(cli->words[0]), domain,
                                                 &length);
    if (fault != NULL)
        return cli_usage_error(cli, "%s: %s", cli->words[0], fault);
    int status = read_addresses(cli, given, &ips);
    if (status < 0)
        status = open_resolver(cli, &dns, &resolver);
    if (status < 0 && !catalogue_load(NULL, &catalogue, &problem))
        status = cli_failed(cli, "%s: %s", problem.where, problem.text);
    if (status >= 0)
        return status;
    spf_hosts_check(cli->arena, domain, ips.items, ips.count, &resolver, &hosts);
    view = spf_view(&hosts);
    spf_view_add_words(view, catalogue, cli->arena, "en");
    status = views_show(cli, view, print_spf);
    return status == PROGRAM_OK && hosts.names_us != 1 ? PROGRAM_FAILED : status;
}

int cli_run_spf(struct cli *cli)
{
    return cli->word_count == 0 ? list_domains(cli) : ask_domain(cli);
}
