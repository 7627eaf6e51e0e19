/* The lists in the order that makes them quick to ask, and the questions. */
#include <stdlib.h>
#include <string.h>

#include "settings_table.h"

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

/* Drops the second and further of equal names of one group; 0 with the two of different groups. */
static int drop_repeated(struct settings *settings, struct own_domain clash_r[2])
{
    struct own_domain *index = settings->own_index;
    size_t kept = 0;
    for (size_t i = 0; i < settings->own_index_count; i++) {
        bool same = kept > 0 && strcmp(index[i].domain, index[kept - 1].domain) == 0;
        if (same && index[i].group != index[kept - 1].group) {
            clash_r[0] = index[kept - 1];
            clash_r[1] = index[i];
            return 0;
        }
        struct own_domain moved = {take(index[i].domain), index[i].group};
        if (same)
            free(moved.domain);
        else
            index[kept++] = moved;
    }
    settings->own_index_count = kept;
    return 1;
}

int settings_index_domains(struct settings *settings, struct own_domain clash_r[2])
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
    return drop_repeated(settings, clash_r);
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

void settings_sort_exempt(struct settings *settings)
{
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

static int compare_item(const void *name, const void *item)
{
    return strcmp(name, *(char *const *)item);
}

static bool list_has(const struct text_list *list, const char *name)
{
    return list->count > 0 &&
           bsearch(name, list->items, list->count, sizeof *list->items, compare_item) != NULL;
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
