/* What receivers look up of the addresses that mail leaves from: the name of an address, whether
 * the name leads back, whether the name that Postfix says at HELO does, and whether the domains that
 * send let them send. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/doctor.h"
#include "cli/doctor_postfix.h"
#include "cli/print.h"
#include "guard/spf_block.h"
#include "guard/spf_view.h"
#include "store/values.h"

/* The address of a text that settings have read as an IP; its family. */
static int read_ip(const char *ip, unsigned char address_r[sizeof(struct in6_addr)])
{
    int family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
    inet_pton(family, ip, address_r);
    return family;
}

/* Asks for the name of an address: as getnameinfo. */
static int name_of(const char *ip, char name_r[NI_MAXHOST])
{
    unsigned char address[sizeof(struct in6_addr)];
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (read_ip(ip, address) == AF_INET) {
        memcpy(&four.sin_addr, address, sizeof four.sin_addr);
        return getnameinfo((const struct sockaddr *)&four, sizeof four, name_r, NI_MAXHOST, NULL, 0,
                           NI_NAMEREQD);
    }
    memcpy(&six.sin6_addr, address, sizeof six.sin6_addr);
    return getnameinfo((const struct sockaddr *)&six, sizeof six, name_r, NI_MAXHOST, NULL, 0,
                       NI_NAMEREQD);
}

static bool is_address(const struct addrinfo *one, int family, const unsigned char *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)one->ai_addr;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)one->ai_addr;
    if (one->ai_family != family)
        return false;
    return family == AF_INET ? memcmp(&four->sin_addr, address, sizeof four->sin_addr) == 0
                             : memcmp(&six->sin6_addr, address, sizeof six->sin6_addr) == 0;
}

/* Whether a name leads to the address: 1, 0, or -1 the DNS does not answer. */
static int leads_to(const char *name, const char *ip)
{
    unsigned char address[sizeof(struct in6_addr)];
    int family = read_ip(ip, address);
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(name, NULL, &hints, &found);
    if (error != 0)
        return error == EAI_NONAME || error == EAI_NODATA ? 0 : -1;
    int leads = 0;
    for (const struct addrinfo *one = found; one != NULL && !leads; one = one->ai_next)
        leads = is_address(one, family, address);
    freeaddrinfo(found);
    return leads;
}

static void no_answer(struct doctor *doctor, const char *what)
{
    doctor_says(doctor, DOCTOR_SKIP, "run it again, or look at /etc/resolv.conf",
                "the DNS does not answer about %s", what);
}

/* "IP. IN PTR": where the owner of the address has to write it. */
static const char *ptr_to_write(struct doctor *doctor, const char *ip)
{
    return arena_printf(doctor->arena, "ask the owner of the address for a PTR of %s to the name "
                                       "of the mail server", ip);
}

static void check_ptr(struct doctor *doctor, const char *ip)
{
    char name[NI_MAXHOST];
    int error = name_of(ip, name);
    if (error != 0 && error != EAI_NONAME) {
        no_answer(doctor, ip);
        return;
    }
    if (error != 0) {
        doctor_says(doctor, DOCTOR_BAD, ptr_to_write(doctor, ip),
                    "%s has no name (PTR): receivers refuse its mail, or trust it less", ip);
        return;
    }
    int leads = leads_to(name, ip);
    if (leads < 0)
        no_answer(doctor, name);
    else if (leads == 0)
        doctor_says(doctor, DOCTOR_BAD,
                    arena_printf(doctor->arena, "%s. IN %s %s", name,
                                 strchr(ip, ':') != NULL ? "AAAA" : "A", ip),
                    "%s is named %s (PTR), and that name does not lead back to it", ip, name);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "%s is %s", ip, name);
}

/* Whether there is something to look at. */
static bool has_outgoing(struct doctor *doctor)
{
    if (doctor->settings->spf_outgoing.count == 0)
        doctor_says(doctor, DOCTOR_SKIP,
                    "write below [spf]: outgoing = ADDRESS THAT MAIL LEAVES FROM",
                    "spf.outgoing is not set");
    return doctor->settings->spf_outgoing.count > 0;
}

void doctor_ptr(struct doctor *doctor)
{
    const struct text_list *outgoing = &doctor->settings->spf_outgoing;
    if (has_outgoing(doctor))
        for (size_t i = 0; i < outgoing->count; i++)
            check_ptr(doctor, outgoing->items[i]);
}

void doctor_helo(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    const struct text_list *outgoing = &doctor->settings->spf_outgoing;
    if (!has_outgoing(doctor) || !doctor_postfix_read(doctor, &postfix))
        return;
    const char *name = doctor_postfix_value(doctor, &postfix, NULL, "smtp_helo_name");
    for (size_t i = 0; i < outgoing->count; i++) {
        int leads = leads_to(name, outgoing->items[i]);
        if (leads < 0)
            no_answer(doctor, name);
        else if (leads == 0)
            doctor_says(doctor, DOCTOR_BAD,
                        arena_printf(doctor->arena, "%s. IN %s %s, or another smtp_helo_name in "
                                                    "main.cf", name,
                                     strchr(outgoing->items[i], ':') != NULL ? "AAAA" : "A",
                                     outgoing->items[i]),
                        "Postfix says HELO %s, which does not lead to %s", name,
                        outgoing->items[i]);
        else
            doctor_says(doctor, DOCTOR_OK, NULL, "HELO %s leads to %s", name, outgoing->items[i]);
    }
}

/* ---- SPF ------------------------------------------------------------------------------------- */

/* How the checker of this machine does, to be put; NULL: the check says why not. */
static struct json_object *read_state(struct doctor *doctor)
{
    char host[256] = "";
    struct value value;
    freed_by(store_free) struct store *store = NULL;
    if (doctor_store_open(doctor, false, &store) < 1)
        return NULL;
    gethostname(host, sizeof host - 1);
    const char *key = arena_printf(doctor->arena, SPF_VIEW_STATE "%s", host);
    int found = store_value(store, doctor->arena, VALUE_SPF, key, clock_wall_ms(), &value);
    if (found > 0)
        return json_read(value.bytes);
    if (found < 0)
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store does not answer: %s",
                    store_error(store));
    else
        doctor_says(doctor, DOCTOR_SKIP, "systemctl restart sendguard-feedback, on the mail server",
                    "nothing has looked at SPF records of this machine for 10 minutes");
    return NULL;
}

/* Of how many of them mail is and will be refused, and when. */
static const char *refusals(struct doctor *doctor, struct json_object *state)
{
    long long blocked = json_int(state, "blocked", 0), noticed = json_int(state, "noticed", 0);
    const char *text = "";
    if (blocked > 0)
        text = arena_printf(doctor->arena, "; mail of %lld is refused", blocked);
    if (noticed == 0)
        return text;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_moment(view, "at", json_int(state, "next_block", 0));
    bool refuses = spf_block_mode(doctor->settings) == SPF_MODE_BLOCK;
    return arena_printf(doctor->arena, "%s; mail of %lld%s %s be refused, from %s on", text,
                        noticed, blocked > 0 ? " more" : "",
                        refuses ? "will" : "would with spf.mode = block",
                        print_moment(doctor->arena, view, "at", clock_wall_ms(), "?"));
}

void doctor_spf(struct doctor *doctor)
{
    if (!has_outgoing(doctor))
        return;
    if (doctor->settings->spf_mode == SPF_MODE_OFF) {
        doctor_says(doctor, DOCTOR_SKIP, "below [spf]: mode = observe", "spf.mode is off");
        return;
    }
    freed_by(json_put) struct json_object *state = read_state(doctor);
    if (state == NULL)
        return;
    long long named = json_int(state, "named", 0), not_named = json_int(state, "not_named", 0);
    if (!json_is_true(state, "dns"))
        doctor_says(doctor, DOCTOR_BAD, "look at /etc/resolv.conf and spf.resolver",
                    "the DNS has not answered sendguard-feedback for %lld s",
                    (long long)(clock_wall_ms() - json_int(state, "dns_since", 0)) / SECOND_MS);
    else if (not_named > 0)
        doctor_says(doctor, DOCTOR_WARN,
                    "see the desk, or sendguard spf: what the owner of each has to write",
                    "%lld of %lld domains do not let all of spf.outgoing send%s", not_named,
                    named + not_named, refusals(doctor, state));
    else if (named == 0)
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "the DNS answers; no record is known of a domain that sends");
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "all %lld domains let spf.outgoing send", named);
}
