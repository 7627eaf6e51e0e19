/* Each look-up is given to a thread of libunbound and awaited as long as there is time: its
 * blocking call would wait for minutes where nobody answers. */
#include "dns/dns.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unbound.h>

#include "base/clock.h"
#include "dns/dns_rdata.h"

enum { CLASS_IN = 1 };
static const int type_numbers[] = {[SPF_TYPE_A] = 1, [SPF_TYPE_AAAA] = 28, [SPF_TYPE_MX] = 15,
                                   [SPF_TYPE_PTR] = 12, [SPF_TYPE_TXT] = 16};

struct dns {
    struct ub_ctx *context;
    int64_t until_ms; /* by the monotonic clock */
    int64_t ttl_ms;
};

/* A look-up on its way. */
struct answer {
    bool came;
    struct ub_result *result; /* NULL: it has none */
};

/* ---- making ------------------------------------------------------------------------------ */

/* 1; 0 an option or a resolver is not taken. */
static int set_up(struct ub_ctx *context, char *const *resolvers, size_t count,
                  struct problem *problem)
{
    static const char *const options[][2] = {
        {"do-not-query-localhost:", "no"}, /* a resolver of this machine is a usual one */
        {"unblock-lan-zones:", "yes"}, /* what they say is for the resolvers to know */
        {"module-config:", "iterator"},
        {"cache-max-ttl:", "86400"},
    };
    int error = 0;
    for (size_t i = 0; i < countof(options) && error == 0; i++)
        error = ub_ctx_set_option(context, options[i][0], options[i][1]);
    if (error == 0)
        error = ub_ctx_async(context, 1);
    if (error != 0)
        return problem_set(problem, 0, "libunbound", "%s", ub_strerror(error));
    for (size_t i = 0; i < count; i++)
        if (ub_ctx_set_fwd(context, resolvers[i]) != 0)
            return problem_set(problem, 0, resolvers[i],
                               "expected the address of a resolver, or ADDRESS@PORT");
    if (count == 0 && (error = ub_ctx_resolvconf(context, NULL)) != 0)
        return problem_set(problem, 0, "/etc/resolv.conf", "%s", ub_strerror(error));
    error = ub_ctx_zone_remove(context, "test."); /* as above; from here on nothing can be set */
    return error == 0 || problem_set(problem, 0, "libunbound", "%s", ub_strerror(error));
}

int dns_new(char *const *resolvers, size_t count, struct dns **dns_r, struct problem *problem)
{
    freed_by(dns_free) struct dns *dns = xcalloc(1, sizeof *dns);
    dns->context = ub_ctx_create();
    if (dns->context == NULL)
        return problem_set(problem, 0, "libunbound", "%s", strerror(errno));
    if (!set_up(dns->context, resolvers, count, problem))
        return 0;
    dns_begin(dns, 0);
    *dns_r = take(dns);
    return 1;
}

void dns_free(struct dns **dns)
{
    if (*dns == NULL)
        return;
    if ((*dns)->context != NULL)
        ub_ctx_delete((*dns)->context);
    free(*dns);
    *dns = NULL;
}

void dns_begin(struct dns *dns, int timeout_ms)
{
    dns->until_ms = clock_monotonic_ms() + timeout_ms;
    dns->ttl_ms = INT64_MAX;
}

int64_t dns_ttl_ms(const struct dns *dns) { return dns->ttl_ms; }

/* ---- looking up -------------------------------------------------------------------------- */

static void take_answer(void *context, int error, struct ub_result *result)
{
    struct answer *answer = context;
    answer->came = true;
    answer->result = error == 0 ? result : NULL;
}

static void free_result(struct ub_result **result)
{
    if (*result != NULL)
        ub_resolve_free(*result);
}

/* A name as libunbound reads it: what is not of a usual name as "\DDD", so that it means itself. */
static const char *written(struct arena *arena, const char *name)
{
    static const char digits[] = "0123456789";
    char *out = arena_alloc(arena, 4 * strlen(name) + 1), *next = out;
    for (; *name != '\0'; name++) {
        unsigned char sign = (unsigned char)*name;
        if (isalnum(sign) || strchr("-_.", sign) != NULL) {
            *next++ = (char)sign;
            continue;
        }
        *next++ = '\\';
        *next++ = digits[sign / 100];
        *next++ = digits[sign / 10 % 10];
        *next++ = digits[sign % 10];
    }
    return out;
}

/* Until the answer came or there is no time left. */
static void await(const struct dns *dns, const struct answer *answer)
{
    struct pollfd wait = {.fd = ub_fd(dns->context), .events = POLLIN};
    while (!answer->came) {
        int64_t left_ms = dns->until_ms - clock_monotonic_ms();
        if (left_ms <= 0 || (poll(&wait, 1, (int)left_ms) < 0 && errno != EINTR))
            return;
        if (ub_process(dns->context) != 0)
            return;
    }
}

/* NULL: nobody knows. */
static struct ub_result *ask(const struct dns *dns, const char *name, enum spf_type type)
{
    struct answer answer = {0};
    int id;
    if (ub_resolve_async(dns->context, name, type_numbers[type], CLASS_IN, &answer, take_answer,
                         &id) != 0)
        return NULL;
    await(dns, &answer);
    if (!answer.came)
        ub_cancel(dns->context, id);
    return answer.result;
}

static void read_records(struct arena *arena, const struct ub_result *result, enum spf_type type,
                         struct spf_found *found_r)
{
    size_t count = 0;
    while (result->data[count] != NULL)
        count++;
    *found_r = (struct spf_found){.of = arena_alloc(arena, (count + 1) * sizeof *found_r->of)};
    for (size_t i = 0; i < count; i++) {
        const struct mail_view rdata = {result->data[i], (size_t)result->len[i]};
        found_r->count += dns_rdata_read(arena, type, rdata, &found_r->of[found_r->count]) == 1;
    }
}

enum spf_lookup dns_look_up(void *self, struct arena *arena, const char *name, enum spf_type type,
                            struct spf_found *found_r)
{
    enum { NO_ERROR = 0, NO_SUCH_NAME = 3 };
    struct dns *dns = self;
    freed_by(free_result) struct ub_result *result = ask(dns, written(arena, name), type);
    if (result == NULL || (result->rcode != NO_ERROR && result->rcode != NO_SUCH_NAME))
        return SPF_LOOKUP_FAILED;
    int64_t ttl_ms = result->ttl * SECOND_MS;
    if (ttl_ms < dns->ttl_ms)
        dns->ttl_ms = ttl_ms;
    if (!result->havedata)
        return SPF_LOOKUP_VOID;
    read_records(arena, result, type, found_r);
    return found_r->count > 0 ? SPF_LOOKUP_FOUND : SPF_LOOKUP_VOID;
}
