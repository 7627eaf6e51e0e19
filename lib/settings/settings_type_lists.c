/* Types of settings that are lists: they may stand in the file again, and their lines add up. The
 * size of the file limits them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner_source.h"
#include "message/address.h"
#include "settings/settings_type.h"

enum {
    NETWORKS_MAX = 1000, /* each request is compared with all of them */
    GROUP_MAX_BYTES = 64 * 1024,
    RESOLVERS_MAX = 16,
    OWNERS_MAX = 16,
    LINKS_MAX = 20,
    LABEL_MAX_BYTES = 100,
    REASONS_MAX = 50,
    REASON_NAME_MAX_BYTES = 30,
    SENTENCE_MAX_BYTES = 200,
    KEY_SIZE = ADDRESS_MAX_BYTES + 1,
};

static void add_item(struct text_list *list, const char *string)
{
    /* room for 1, 2, 4, 8 … items */
    if ((list->count & (list->count - 1)) == 0)
        list->items = xrealloc(list->items, (list->count > 0 ? list->count * 2 : 1) *
                                                sizeof *list->items);
    list->items[list->count++] = xstrdup(string);
}

static void print_list(const struct setting *setting, const struct settings *settings,
                       struct text *text)
{
    const struct text_list *list = setting_member(setting, settings);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            text_add_char(text, '\n');
        text_add(text, list->items[i]);
    }
}

static void clear_list(void *member)
{
    struct text_list *list = member;
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

#define LIST .is_list = true, .print = print_list, .clear = clear_list

/* ---- an item a word ------------------------------------------------------------------------ */

/* The word in key form, with room for KEY_SIZE. NULL, or what is wrong with it. */
typedef const char *key_reader(const char *word, size_t length, char *key_r);

static int parse_words(struct settings_value *value, key_reader *read_key, const char *none)
{
    const char *rest = value->text, *word;
    size_t length, count = 0;
    for (; (length = settings_value_word(&rest, &word)) > 0; count++) {
        char key[KEY_SIZE];
        const char *fault = read_key(word, length, key);
        if (fault != NULL)
            return settings_value_fails_word(value, word, length, fault);
        add_item(value->member, key);
    }
    return count > 0 || settings_value_fails(value, none);
}

static const char *read_domain(const char *word, size_t length, char *key_r)
{
    size_t key_length;
    return address_domain_normalise(word, length, key_r, &key_length);
}

static int parse_domains(struct settings_value *value)
{
    return parse_words(value, read_domain, "names no domain");
}

const struct setting_type settings_type_domains = {
    LIST, .parse = parse_domains, .values = "domains", .continues = true};

static const char *read_mailbox(const char *word, size_t length, char *key_r)
{
    struct address address;
    const char *fault = address_normalise(word, length, &address);
    if (fault == NULL)
        memcpy(key_r, address.text, address.length + 1);
    return fault;
}

static int parse_addresses(struct settings_value *value)
{
    return parse_words(value, read_mailbox, "names no address");
}

const struct setting_type settings_type_addresses = {LIST,
                                                     .parse = parse_addresses, .values = "addresses"};

/* "@example.test" is a whole domain. */
static const char *read_recipient(const char *word, size_t length, char *key_r)
{
    if (word[0] != '@')
        return read_mailbox(word, length, key_r);
    key_r[0] = '@';
    return read_domain(word + 1, length - 1, key_r + 1);
}

static int parse_recipients(struct settings_value *value)
{
    return parse_words(value, read_recipient, "names no address");
}

const struct setting_type settings_type_recipients = {
    LIST, .parse = parse_recipients, .values = "addresses or @domains"};

static const char *read_sender(const char *word, size_t length, char *key_r)
{
    return memchr(word, '@', length) != NULL ? read_mailbox(word, length, key_r)
                                             : read_domain(word, length, key_r);
}

static int parse_senders(struct settings_value *value)
{
    return parse_words(value, read_sender, "names no domain and no address");
}

const struct setting_type settings_type_senders = {
    LIST, .parse = parse_senders, .values = "domains or addresses", .continues = true};

static int parse_networks(struct settings_value *value)
{
    const struct text_list *list = value->member;
    if (strcmp(value->text, "none") == 0)
        return list->count == 0 || settings_value_fails(value, "cannot be combined with networks");
    if (!parse_words(value, settings_network_normalise, "names no network"))
        return 0;
    return list->count <= NETWORKS_MAX || settings_value_fails(value, "is one network too many");
}

/* "*.invalid" is all below it. */
static const char *read_pattern(const char *word, size_t length, char *key_r)
{
    bool below = length > 2 && word[0] == '*' && word[1] == '.';
    memcpy(key_r, "*.", 2);
    return below ? read_domain(word + 2, length - 2, key_r + 2) : read_domain(word, length, key_r);
}

static int parse_patterns(struct settings_value *value)
{
    const struct text_list *list = value->member;
    if (strcmp(value->text, "none") == 0)
        return list->count == 0 || settings_value_fails(value, "cannot be combined with domains");
    return parse_words(value, read_pattern, "names no domain");
}

static const char *read_ip(const char *word, size_t length, char *key_r)
{
    return memchr(word, '/', length) == NULL ? settings_network_normalise(word, length, key_r)
                                             : "is a network, not an address";
}

static int parse_ips(struct settings_value *value)
{
    const struct text_list *list = value->member;
    if (strcmp(value->text, "none") == 0)
        return list->count == 0 || settings_value_fails(value, "cannot be combined with addresses");
    if (!parse_words(value, read_ip, "names no address"))
        return 0;
    return list->count <= NETWORKS_MAX || settings_value_fails(value, "is one address too many");
}

/* In one line. */
static void print_words(const struct setting *setting, const struct settings *settings,
                        struct text *text)
{
    const struct text_list *list = setting_member(setting, settings);
    for (size_t i = 0; i < list->count; i++) {
        text_add(text, i > 0 ? " " : "");
        text_add(text, list->items[i]);
    }
    if (list->count == 0)
        text_add(text, "none");
}

static void print_or_none(const struct setting *setting, const struct settings *settings,
                           struct text *text)
{
    print_list(setting, settings, text);
    if (((const struct text_list *)setting_member(setting, settings))->count == 0)
        text_add(text, "none");
}

const struct setting_type settings_type_networks = {
    .parse = parse_networks, .print = print_or_none, .clear = clear_list, .is_list = true,
    .values = "networks as ADDRESS or ADDRESS/BITS, or none"};
const struct setting_type settings_type_patterns = {
    .parse = parse_patterns, .print = print_words, .clear = clear_list, .is_list = true,
    .values = "domains or *.DOMAIN, or none"};
const struct setting_type settings_type_ips = {
    .parse = parse_ips, .print = print_or_none, .clear = clear_list, .is_list = true,
    .values = "IP addresses, or none"};

/* "192.0.2.53" or "192.0.2.53@5353". */
static const char *read_resolver(const char *word, size_t length, char *key_r)
{
    enum { PORT_MAX = 65535, PORT_DIGITS = 5 };
    const char *at = memchr(word, '@', length);
    size_t of_ip = at != NULL ? (size_t)(at - word) : length;
    const char *fault = read_ip(word, of_ip, key_r);
    if (fault != NULL || at == NULL)
        return fault;
    size_t of_port = length - of_ip - 1, digits = strspn(at + 1, "0123456789");
    long port = strtol(at + 1, NULL, 10);
    if (of_port == 0 || of_port > PORT_DIGITS || digits < of_port || port < 1 || port > PORT_MAX)
        return "has no port behind @";
    sprintf(key_r + strlen(key_r), "@%ld", port);
    return NULL;
}

static int parse_resolvers(struct settings_value *value)
{
    const struct text_list *list = value->member;
    if (strcmp(value->text, "system") == 0)
        return list->count == 0 || settings_value_fails(value, "cannot be combined with addresses");
    if (!parse_words(value, read_resolver, "names no address"))
        return 0;
    return list->count <= RESOLVERS_MAX || settings_value_fails(value, "is one address too many");
}

static void print_resolvers(const struct setting *setting, const struct settings *settings,
                            struct text *text)
{
    print_list(setting, settings, text);
    if (((const struct text_list *)setting_member(setting, settings))->count == 0)
        text_add(text, "system");
}

const struct setting_type settings_type_resolvers = {
    .parse = parse_resolvers, .print = print_resolvers, .clear = clear_list, .is_list = true,
    .values = "IP addresses as ADDRESS or ADDRESS@PORT, or system"};

static int parse_owners(struct settings_value *value)
{
    const struct text_list *list = value->member;
    const char *rest = value->text, *word;
    size_t length, count = 0;
    struct owner_source source;
    if (strcmp(value->text, "none") == 0)
        return list->count == 0 || settings_value_fails(value, "cannot be combined with sources");
    for (; (length = settings_value_word(&rest, &word)) > 0; count++) {
        const char *fault = owner_source_read(word, length, &source);
        if (fault != NULL)
            return settings_value_fails_word(value, word, length, fault);
        freed_by(free_string) char *item = xasprintf("%.*s", (int)length, word);
        add_item(value->member, item);
    }
    if (count == 0)
        return settings_value_fails(value, "names no source");
    return list->count <= OWNERS_MAX || settings_value_fails(value, "is one source too many");
}

const struct setting_type settings_type_owners = {
    .parse = parse_owners, .print = print_or_none, .clear = clear_list, .is_list = true,
    .values = OWNER_SOURCE_FORMS ", or none"};

/* ---- an item a line ------------------------------------------------------------------------ */

static int parse_groups(struct settings_value *value)
{
    struct text_list *list = value->member;
    freed_by(text_free) struct text group = {0};
    const char *rest = value->text, *word;
    size_t length;
    bool continues = value->continues && list->count > 0;
    if (continues)
        text_add(&group, list->items[list->count - 1]);
    while ((length = settings_value_word(&rest, &word)) > 0) {
        char domain[KEY_SIZE];
        const char *fault = read_domain(word, length, domain);
        if (fault != NULL)
            return settings_value_fails_word(value, word, length, fault);
        if (group.length > 0)
            text_add_char(&group, ' ');
        text_add(&group, domain);
    }
    if (group.length == 0)
        return settings_value_fails(value, "names no domain");
    if (group.length > GROUP_MAX_BYTES)
        return settings_value_fails(value, "makes a group over 64 KiB");
    if (continues)
        free(list->items[--list->count]);
    add_item(list, group.data);
    return 1;
}

const struct setting_type settings_type_groups = {
    LIST, .parse = parse_groups, .values = "domains", .continues = true};

/* Of `choices`. */
static int parse_choices(struct settings_value *value)
{
    const char *rest = value->text, *word;
    size_t length;
    while ((length = settings_value_word(&rest, &word)) > 0) {
        const char *const *choice = value->setting->choices;
        while (*choice != NULL && (strlen(*choice) != length || memcmp(word, *choice, length) != 0))
            choice++;
        if (*choice == NULL)
            return settings_value_fails_word(value, word, length, "is no choice");
        add_item(value->member, *choice);
    }
    return 1;
}

static void describe_choices(const struct setting *setting, struct text *text)
{
    settings_value_choices(setting->choices, text);
    text_add(text, ", several with blanks between, or nothing");
}

const struct setting_type settings_type_words = {
    LIST, .parse = parse_choices, .describe = describe_choices, .may_be_empty = true};

/* "Change your password https://panel.example.test/password": the last word is the URL. */
static int parse_links(struct settings_value *value)
{
    struct text_list *list = value->member;
    if (value->length == 0)
        return 1;
    size_t end = value->length;
    while (end > 0 && value->text[end - 1] != ' ' && value->text[end - 1] != '\t')
        end--;
    struct settings_value url = {.setting = value->setting, .text = value->text + end,
                                 .length = value->length - end};
    while (end > 0 && (value->text[end - 1] == ' ' || value->text[end - 1] == '\t'))
        end--;
    if (settings_type_url_check(&url) && strchr("/?#:@", strstr(url.text, "://")[3]) != NULL)
        url.fault = "names no host";
    if (url.fault != NULL)
        return settings_value_fails_word(value, url.text, strlen(url.text), url.fault);
    if (end == 0)
        return settings_value_fails(value, "has no label before the URL");
    if (end > LABEL_MAX_BYTES)
        return settings_value_fails(value, "has a label over 100 bytes");
    if (list->count >= LINKS_MAX)
        return settings_value_fails(value, "is one link too many (20 at most)");
    freed_by(free_string) char *item = xasprintf("%.*s %s", (int)end, value->text, url.text);
    add_item(list, item);
    return 1;
}

static void describe_links(const struct setting *setting, struct text *text)
{
    text_add(text, "a label, a space and ");
    settings_type_url.describe(setting, text);
}

const struct setting_type settings_type_links = {
    LIST, .parse = parse_links, .describe = describe_links, .may_be_empty = true};

/* "marketing Advertising is not allowed here." */
static int parse_reasons(struct settings_value *value)
{
    struct text_list *list = value->member;
    if (value->length == 0)
        return 1;
    size_t name = strspn(value->text, SETTINGS_REASON_NAME);
    size_t begin = name + strspn(value->text + name, " \t");
    if (name == 0 || begin == name || value->text[begin] == '\0')
        return settings_value_fails(value, "is no name of small letters, digits and _, and a "
                                           "sentence behind it");
    if (name > REASON_NAME_MAX_BYTES)
        return settings_value_fails(value, "has a name over 30 bytes");
    if (value->length - begin > SENTENCE_MAX_BYTES)
        return settings_value_fails(value, "has a sentence over 200 bytes");
    if (list->count >= REASONS_MAX)
        return settings_value_fails(value, "is one reason too many (50 at most)");
    freed_by(free_string) char *item =
        xasprintf("%.*s %s", (int)name, value->text, value->text + begin);
    add_item(list, item);
    return 1;
}

const struct setting_type settings_type_reasons = {
    LIST, .parse = parse_reasons, .values = "a name, a space and a sentence", .may_be_empty = true};
