/* Sorts the lists, and looks up names and networks in them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings_table.h"

static int compare_own(const void *a, const void *b)
{
    const struct own_domain *left = a, *right = b;
    int by_name = strcmp(left->domain, right->domain);
    return by_name != 0 ? by_name : (left->group > right->group) - (left->group < right->group);
}

void settings_free_index(struct settings *settings)
{
    for (size_t i = 0; i < settings->own_index_count; i++)
        free(settings->own_index[i].domain);
    free(settings->own_index);
    settings->own_index = NULL;
    settings->own_index_count = 0;
}

static void add_own(struct settings *settings, const char *domain, size_t length, size_t group)
{
    size_t count = settings->own_index_count;
    if ((count & (count - 1)) == 0)
        settings->own_index = xrealloc(settings->own_index, (count > 0 ? count * 2 : 1) *
                                                                sizeof *settings->own_index);
    settings->own_index[settings->own_index_count++] =
        (struct own_domain){.domain = xasprintf("%.*s", (int)length, domain), .group = group};
}

/* Keeps the first of equal names. */
static void drop_repeated(struct settings *settings,
                          void (*clashes)(void *context, const struct own_domain pair[2]),
                          void *context)
{
    struct own_domain *index = settings->own_index;
    size_t kept = 0;
    for (size_t i = 0; i < settings->own_index_count; i++) {
        bool same = kept > 0 && strcmp(index[i].domain, index[kept - 1].domain) == 0;
        if (same && index[i].group != index[kept - 1].group)
            clashes(context, (const struct own_domain[2]){index[kept - 1], index[i]});
        struct own_domain moved = {take(index[i].domain), index[i].group, NULL};
        if (same)
            free(moved.domain);
        else
            index[kept++] = moved;
    }
    settings->own_index_count = kept;
}

static void name_first(struct settings *settings)
{
    const char **first = xcalloc(settings->own_domains.count + 1, sizeof *first);
    for (size_t i = 0; i < settings->own_index_count; i++) {
        struct own_domain *own = &settings->own_index[i];
        if (first[own->group] == NULL)
            first[own->group] = own->domain;
        own->first = first[own->group];
    }
    free(first);
}

void settings_index_domains(struct settings *settings,
                            void (*clashes)(void *context, const struct own_domain pair[2]),
                            void *context)
{
    for (size_t group = 0; group < settings->own_domains.count; group++) {
        const char *domain = settings->own_domains.items[group];
        for (size_t length; *domain != '\0'; domain += length + (domain[length] == ' ')) {
            length = strcspn(domain, " ");
            add_own(settings, domain, length, group);
        }
    }
    if (settings->own_index_count > 0)
        qsort(settings->own_index, settings->own_index_count, sizeof *settings->own_index,
              compare_own);
    drop_repeated(settings, clashes, context);
    name_first(settings);
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_list(struct text_list *list)
{
    size_t kept = 0;
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_items);
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && strcmp(list->items[kept - 1], list->items[i]) == 0)
            free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

void settings_sort_lists(struct settings *settings)
{
    sort_list(&settings->hosted_domains);
    sort_list(&settings->exempt_mailboxes);
    sort_list(&settings->exempt_recipients);
}

/* ---- looking up -------------------------------------------------------------------------- */

static int compare_name(const void *name, const void *own)
{
    return strcmp(name, ((const struct own_domain *)own)->domain);
}

static const struct own_domain *find_own(const struct settings *settings, const char *domain)
{
    return settings->own_index_count == 0
               ? NULL
               : bsearch(domain, settings->own_index, settings->own_index_count,
                         sizeof *settings->own_index, compare_name);
}

bool settings_own_domain(const struct settings *settings, const char *mailbox_domain,
                         const char *domain)
{
    if (strcmp(mailbox_domain, domain) == 0)
        return true;
    const struct own_domain *mine = find_own(settings, mailbox_domain);
    const struct own_domain *other = mine != NULL ? find_own(settings, domain) : NULL;
    return other != NULL && other->group == mine->group;
}

const char *settings_sender_domain(const struct settings *settings, const char *domain)
{
    const struct own_domain *mine = find_own(settings, domain);
    return mine != NULL ? mine->first : domain;
}

static int compare_item(const void *name, const void *item)
{
    return strcmp(name, *(char *const *)item);
}

static bool list_has(const struct text_list *list, const char *name)
{
    return list->count > 0 &&
           bsearch(name, list->items, list->count, sizeof *list->items, compare_item) != NULL;
}

bool settings_hosted_domain(const struct settings *settings, const char *domain)
{
    return list_has(&settings->hosted_domains, domain) || find_own(settings, domain) != NULL;
}

bool settings_enforces_logins(const struct settings *settings)
{
    return settings->logins_mode == MODE_ENFORCE && settings->guard_mode == MODE_ENFORCE;
}

bool settings_exempt_mailbox(const struct settings *settings, const char *mailbox)
{
    return list_has(&settings->exempt_mailboxes, mailbox);
}

bool settings_exempt_recipient(const struct settings *settings, const char *address)
{
    const char *at = strrchr(address, '@');
    return list_has(&settings->exempt_recipients, address) ||
           (at != NULL && list_has(&settings->exempt_recipients, at));
}

const struct plan *settings_plan(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->plan_count; i++)
        if (strcmp(settings->plans[i].name, name) == 0)
            return &settings->plans[i];
    return NULL;
}

static bool fits_pattern(const char *pattern, const char *domain)
{
    size_t length = strlen(domain);
    if (pattern[0] != '*')
        return strcmp(pattern, domain) == 0;
    size_t end = strlen(pattern + 1);
    return length > end && strcmp(domain + length - end, pattern + 1) == 0;
}

bool settings_unroutable(const struct settings *settings, const char *mailbox_domain,
                         const char *domain)
{
    const struct text_list *patterns = &settings->blocks_unroutable;
    bool fits = patterns->count > 0 && strchr(domain, '.') == NULL && domain[0] != '[';
    for (size_t i = 0; i < patterns->count && !fits; i++)
        fits = fits_pattern(patterns->items[i], domain);
    return fits && !settings_own_domain(settings, mailbox_domain, domain) &&
           !settings_hosted_domain(settings, domain);
}

const char *settings_block_reason(const struct settings *settings, const char *reason)
{
    size_t length = strlen(reason);
    for (size_t i = 0; i < settings->blocks_reasons.count; i++) {
        const char *item = settings->blocks_reasons.items[i];
        if (strncmp(item, reason, length) == 0 && item[length] == ' ')
            return item + length + 1;
    }
    return reason;
}

bool settings_lacks_block_reason(const struct settings *settings, const char *reason)
{
    return reason[strspn(reason, SETTINGS_REASON_NAME)] == '\0' &&
           settings_block_reason(settings, reason) == reason;
}

/* ---- networks ------------------------------------------------------------------------------ */

struct network {
    int family; /* AF_INET, AF_INET6 */
    int bits;   /* of the address that count */
    unsigned char address[16];
};

enum { MAPPED_BITS = 96 }; /* before the IPv4 address in an IPv4-mapped one, RFC 4291 2.5.5.2 */

/* The number after the '/': 0 to `most`, without a sign or a leading zero. -1: there is none. */
static int read_bits(const char *text, int most)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
        return -1;
    int bits = atoi(text);
    return bits <= most ? bits : -1;
}

static const char *read_network(const char *text, size_t length, struct network *network_r)
{
    char copy[NETWORK_SIZE] = "";
    struct network network = {.family = AF_INET};
    if (length >= sizeof copy || memchr(text, '\0', length) != NULL)
        return "is no IP address";
    memcpy(copy, text, length);
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash++ = '\0';
    if (inet_pton(AF_INET, copy, network.address) != 1) {
        network.family = AF_INET6;
        if (inet_pton(AF_INET6, copy, network.address) != 1)
            return "is no IP address";
    }
    int most = network.family == AF_INET ? 32 : 128;
    network.bits = slash == NULL ? most : read_bits(slash, most);
    if (network.bits < 0)
        return "has no number of bits behind its \"/\" that fits";
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (network.family == AF_INET6 && network.bits >= MAPPED_BITS &&
        memcmp(network.address, mapped, sizeof mapped) == 0) {
        memmove(network.address, network.address + sizeof mapped, 4);
        network.family = AF_INET;
        network.bits -= MAPPED_BITS;
    }
    *network_r = network;
    return NULL;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, int bits)
{
    unsigned mask = 0xFF00u >> (bits % 8) & 0xFFu;
    return memcmp(a, b, (size_t)bits / 8) == 0 &&
           (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

const char *settings_network_normalise(const char *text, size_t length,
                                       char network_r[NETWORK_SIZE])
{
    struct network network;
    const char *fault = read_network(text, length, &network);
    if (fault != NULL)
        return fault;
    int most = network.family == AF_INET ? 32 : 128;
    for (int bit = network.bits; bit < most; bit++)
        if ((network.address[bit / 8] >> (7 - bit % 8) & 1) != 0)
            return "has an address with bits set behind its prefix";
    char address[INET6_ADDRSTRLEN];
    inet_ntop(network.family, network.address, address, sizeof address);
    if (network.bits < most)
        snprintf(network_r, NETWORK_SIZE, "%s/%hhu", address, (unsigned char)network.bits);
    else
        snprintf(network_r, NETWORK_SIZE, "%s", address);
    return NULL;
}

bool settings_network_holds(const struct text_list *networks, const char *ip)
{
    struct network of_ip, network;
    if (read_network(ip, strlen(ip), &of_ip) != NULL)
        return false;
    for (size_t i = 0; i < networks->count; i++)
        if (read_network(networks->items[i], strlen(networks->items[i]), &network) == NULL &&
            network.family == of_ip.family && network.bits <= of_ip.bits &&
            same_bits(network.address, of_ip.address, network.bits))
            return true;
    return false;
}
