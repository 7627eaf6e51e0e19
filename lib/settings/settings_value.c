/* Reads one value by its row's type. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/store_url.h"
#include "base/zone.h"
#include "message/address.h"
#include "settings/settings_table.h"

enum {
    PATH_MAX_BYTES = 4095,
    SOCKET_PATH_MAX_BYTES = 107, /* sun_path of unix(7) */
    LIST_MAX_ITEMS = 100000,
    NETWORKS_MAX = 1000, /* each request is compared with all of them */
    GROUP_MAX_BYTES = 64 * 1024,
    QUOTE_MAX_BYTES = 80,
    LINKS_MAX = 20,
    LABEL_MAX_BYTES = 100,
};

static const char separators[] = " \t,";

/* A value under way. `fault` completes the sentence `key: "value" …`, or with a colon before it
 * `key: "word": …`. */
struct value {
    const char *text;
    size_t length;
    const char *fault;
    const char *word; /* of a list, which is at fault; else NULL */
    size_t word_length;
};

static int fails(struct value *value, const char *fault)
{
    value->fault = fault;
    return 0;
}

static int fails_word(struct value *value, const char *word, size_t length, const char *fault)
{
    value->word = word;
    value->word_length = length;
    return fails(value, fault);
}

bool setting_is_list(const struct setting *setting)
{
    return setting->type == SETTING_DOMAINS || setting->type == SETTING_ADDRESSES ||
           setting->type == SETTING_RECIPIENTS || setting->type == SETTING_NETWORKS ||
           setting->type == SETTING_LINKS;
}

/* The next word of a list; moves *rest_r behind it. 0 when there is none left. */
static size_t next_word(const char **rest_r, const char **word_r)
{
    *word_r = *rest_r + strspn(*rest_r, separators);
    size_t length = strcspn(*word_r, separators);
    *rest_r = *word_r + length;
    return length;
}

/* ---- numbers --------------------------------------------------------------- */

/* Digits alone in `base`, at most 18 of them: what fits in an int64_t. */
static int parse_digits(const char *text, size_t length, int base, int64_t *number_r)
{
    int64_t number = 0;
    if (length == 0 || length > 18)
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] >= '0' + base)
            return 0;
        number = number * base + (text[i] - '0');
    }
    *number_r = number;
    return 1;
}

static int in_range(const struct setting *setting, int64_t number)
{
    return number >= setting->min && number <= setting->max;
}

static int parse_integer(const struct setting *setting, struct value *value, int64_t *member_r)
{
    int64_t number;
    if (!parse_digits(value->text, value->length, setting->type == SETTING_OCTAL ? 8 : 10, &number))
        return fails(value, setting->type == SETTING_OCTAL ? "is no octal number" : "is no number");
    if (!in_range(setting, number))
        return fails(value, "is out of range");
    if (setting->type == SETTING_OCTAL && (number & ~INT64_C(0666)) != 0)
        return fails(value, "gives the right to execute");
    *member_r = number;
    return 1;
}

static int parse_limit(const struct setting *setting, struct value *value, int32_t *member_r)
{
    int64_t number = LIMIT_OFF;
    if (strcmp(value->text, "off") != 0) {
        if (!parse_digits(value->text, value->length, 10, &number))
            return fails(value, "is no number");
        if (!in_range(setting, number))
            return fails(value, "is out of range");
    }
    *member_r = (int32_t)number;
    return 1;
}

const struct duration_unit duration_units[DURATION_UNITS] = {
    {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}, {"ms", 1}};

static int parse_duration(const struct setting *setting, struct value *value, const char *text,
                          size_t length, int64_t *ms_r)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number, unit_ms = 0;
    for (size_t i = 0; i < countof(duration_units); i++)
        if (digits < length && strlen(duration_units[i].name) == length - digits &&
            strncmp(duration_units[i].name, text + digits, length - digits) == 0)
            unit_ms = duration_units[i].ms;
    if (unit_ms == 0 || !parse_digits(text, digits, 10, &number))
        return fails(value, "is no duration");
    if (number > INT64_MAX / unit_ms || !in_range(setting, number * unit_ms))
        return fails(value, "is out of range");
    *ms_r = number * unit_ms;
    return 1;
}

int duration_read(const char *text, int64_t *ms_r)
{
    static const struct setting any = {.min = SECOND_MS, .max = DURATION_MAX_MS};
    struct value value = {.text = text};
    if (strcmp(text, "permanent") == 0) {
        *ms_r = UNTIL_LIFTED;
        return 1;
    }
    return parse_duration(&any, &value, text, strlen(text), ms_r);
}

static int parse_durations(const struct setting *setting, struct value *value,
                           struct durations *member_r)
{
    struct durations durations = {0};
    const char *rest = value->text, *word;
    size_t length;
    while ((length = next_word(&rest, &word)) > 0) {
        if (durations.count == DURATIONS_MAX)
            return fails(value, "has too many durations");
        int64_t *ms = &durations.ms[durations.count++];
        if (length == strlen("permanent") && strncmp(word, "permanent", length) == 0)
            *ms = UNTIL_LIFTED;
        else if (!parse_duration(setting, value, word, length, ms))
            return 0;
    }
    if (durations.count == 0)
        return fails(value, "names no duration");
    *member_r = durations;
    return 1;
}

static int parse_choice(const struct setting *setting, struct value *value, int *member_r)
{
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], value->text) == 0) {
            *member_r = i;
            return 1;
        }
    }
    return fails(value, "is no choice");
}

/* ---- texts ----------------------------------------------------------------- */

static int set_string(char **member_r, const char *bytes, size_t length)
{
    char *copy = xmalloc(length + 1);
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    free(*member_r);
    *member_r = copy;
    return 1;
}

static int check_path(struct value *value, size_t max_bytes)
{
    if (value->text[0] != '/' || value->text[value->length - 1] == '/')
        return fails(value, "is no absolute path of a file");
    return value->length <= max_bytes || fails(value, "is too long");
}

static int check_host_port(struct value *value)
{
    static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789.-";
    const char *colon = strrchr(value->text, ':');
    int64_t port;
    if (colon == NULL)
        return fails(value, "is no HOST:PORT and no absolute path");
    const char *host = value->text;
    size_t length = (size_t)(colon - host);
    size_t allowed = strspn(host, host_characters);
    if (length > 2 && host[0] == '[' && colon[-1] == ']')
        allowed = strspn(host + 1, "0123456789abcdefABCDEF:.") + 2;
    if (length == 0 || length > 255 || allowed != length)
        return fails(value, "has no host before the port");
    if (!parse_digits(colon + 1, strlen(colon + 1), 10, &port) || port < 1 || port > 65535)
        return fails(value, "has no port from 1 to 65535");
    return 1;
}

static int check_url_characters(const struct setting *setting, struct value *value)
{
    while (value->length > 0 && value->text[value->length - 1] == '/')
        value->length--;
    if ((int64_t)value->length > setting->max)
        return fails(value, "is too long");
    for (size_t i = 0; i < value->length; i++)
        if ((unsigned char)value->text[i] <= ' ' || strchr("\"<>\\", value->text[i]) != NULL)
            return fails(value, "holds a character that no URL has");
    return 1;
}

static int check_store(const struct setting *setting, struct value *value)
{
    freed_by(store_url_free) struct store_url url = {0};
    if (!check_url_characters(setting, value))
        return 0;
    freed_by(free_string) char *text = xasprintf("%.*s", (int)value->length, value->text);
    const char *fault = store_url_read(text, &url);
    return fault == NULL || fails(value, fault);
}

static int check_url(const struct setting *setting, struct value *value)
{
    if (!check_url_characters(setting, value))
        return 0;
    for (size_t i = 0; setting->choices[i] != NULL; i++) {
        size_t scheme = strlen(setting->choices[i]);
        if (value->length > scheme && strncmp(value->text, setting->choices[i], scheme) == 0)
            return 1;
    }
    return fails(value, "is no such URL");
}

static int check_folder(struct value *value)
{
    while (value->length > 1 && value->text[value->length - 1] == '/')
        value->length--;
    if (value->length > 0 && (value->text[0] != '/' || value->length == 1))
        return fails(value, "is no absolute path of a folder");
    return value->length <= PATH_MAX_BYTES || fails(value, "is too long");
}

static int check_zone(struct value *value)
{
    return strcmp(value->text, "UTC") == 0 || /* also where no zones are installed */
           zone_exists(value->text) || fails(value, "is no time zone of this machine");
}

static int parse_string(const struct setting *setting, struct value *value, char **member_r)
{
    int good = 1;
    if (setting->type == SETTING_PATH)
        good = check_path(value, PATH_MAX_BYTES);
    else if (setting->type == SETTING_FOLDER)
        good = check_folder(value);
    else if (setting->type == SETTING_ZONE)
        good = check_zone(value);
    else if (setting->type == SETTING_LISTEN)
        good = value->text[0] == '/' ? check_path(value, SOCKET_PATH_MAX_BYTES)
                                     : check_host_port(value);
    else if (setting->type == SETTING_URL)
        good = check_url(setting, value);
    else if (setting->type == SETTING_STORE)
        good = check_store(setting, value);
    else if (!in_range(setting, (int64_t)value->length))
        good = fails(value, "is too long");
    return good && set_string(member_r, value->text, value->length);
}

/* ---- lists ------------------------------------------------------------------- */

static char *add_item(struct text_list *list, const char *string)
{
    /* room for 1, 2, 4, 8 … items */
    if ((list->count & (list->count - 1)) == 0)
        list->items = xrealloc(list->items, (list->count > 0 ? list->count * 2 : 1) *
                                                sizeof *list->items);
    return list->items[list->count++] = xstrdup(string);
}

static int parse_domains(struct value *value, bool continues, struct text_list *list)
{
    freed_by(text_free) struct text group = {0};
    const char *rest = value->text, *word;
    size_t length;
    continues = continues && list->count > 0;
    if (continues)
        text_add(&group, list->items[list->count - 1]);
    while ((length = next_word(&rest, &word)) > 0) {
        char domain[ADDRESS_MAX_DOMAIN_BYTES + 1];
        size_t domain_length;
        const char *fault = address_domain_normalise(word, length, domain, &domain_length);
        if (fault != NULL)
            return fails_word(value, word, length, fault);
        if (group.length > 0)
            text_add_char(&group, ' ');
        text_add_bytes(&group, domain, domain_length);
    }
    if (group.length == 0)
        return fails(value, "names no domain");
    if (group.length > GROUP_MAX_BYTES)
        return fails(value, "makes a group over 64 KiB");
    if (continues)
        set_string(&list->items[list->count - 1], group.data, group.length);
    else if (list->count < LIST_MAX_ITEMS)
        add_item(list, group.data);
    else
        return fails(value, "is one group too many");
    return 1;
}

/* "@example.test" for a whole domain; key as ADDRESS_MAX_BYTES and a NUL. */
static const char *parse_entry(const struct setting *setting, const char *word, size_t length,
                               char *key)
{
    struct address address;
    size_t domain_length;
    if (setting->type == SETTING_RECIPIENTS && word[0] == '@') {
        key[0] = '@';
        return address_domain_normalise(word + 1, length - 1, key + 1, &domain_length);
    }
    const char *fault = address_normalise(word, length, &address);
    if (fault == NULL)
        memcpy(key, address.text, address.length + 1);
    return fault;
}

static int parse_addresses(const struct setting *setting, struct value *value,
                           struct text_list *list)
{
    const char *rest = value->text, *word;
    size_t length, count = 0;
    for (; (length = next_word(&rest, &word)) > 0; count++) {
        char key[ADDRESS_MAX_BYTES + 1];
        const char *fault = parse_entry(setting, word, length, key);
        if (fault != NULL)
            return fails_word(value, word, length, fault);
        if (list->count >= LIST_MAX_ITEMS)
            return fails(value, "is one entry too many");
        add_item(list, key);
    }
    return count > 0 || fails(value, "names no address");
}

static int parse_networks(struct value *value, struct text_list *list)
{
    const char *rest = value->text, *word;
    size_t length, count = 0;
    if (strcmp(value->text, "none") == 0)
        return list->count == 0 || fails(value, "stands beside networks");
    for (; (length = next_word(&rest, &word)) > 0; count++) {
        char network[NETWORK_SIZE];
        const char *fault = network_normalise(word, length, network);
        if (fault != NULL)
            return fails_word(value, word, length, fault);
        if (list->count >= NETWORKS_MAX)
            return fails(value, "is one network too many");
        add_item(list, network);
    }
    return count > 0 || fails(value, "names no network");
}

static const char *url_fault(const struct setting *setting, const char *url)
{
    struct value value = {.text = url, .length = strlen(url)};
    if (!check_url(setting, &value))
        return value.fault;
    const char *host = strstr(url, "://") + 3;
    return *host == '\0' || strchr("/?#:@", *host) != NULL ? "names no host" : NULL;
}

/* "Change your password https://panel.example.test/password": the last word is the URL. */
static int parse_link(const struct setting *setting, struct value *value, struct text_list *list)
{
    if (value->length == 0)
        return 1;
    size_t end = value->length;
    while (end > 0 && value->text[end - 1] != ' ' && value->text[end - 1] != '\t')
        end--;
    const char *url = value->text + end;
    while (end > 0 && (value->text[end - 1] == ' ' || value->text[end - 1] == '\t'))
        end--;
    const char *fault = url_fault(setting, url);
    if (fault != NULL)
        return fails_word(value, url, strlen(url), fault);
    if (end == 0)
        return fails(value, "has no label before the URL");
    if (end > LABEL_MAX_BYTES)
        return fails(value, "has a label over 100 bytes");
    if (list->count >= LINKS_MAX)
        return fails(value, "is one link too many (20 at most)");
    freed_by(free_string) char *item = xasprintf("%.*s %s", (int)end, value->text, url);
    add_item(list, item);
    return 1;
}

/* ---- any value ---------------------------------------------------------------- */

static int parse_by_type(const struct setting *setting, struct value *value, bool continues,
                         void *target)
{
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_FOLDER:
    case SETTING_ZONE:
    case SETTING_LISTEN:
    case SETTING_URL:
    case SETTING_STORE:
        return parse_string(setting, value, target);
    case SETTING_INTEGER:
    case SETTING_OCTAL:
        return parse_integer(setting, value, target);
    case SETTING_DURATION:
        return parse_duration(setting, value, value->text, value->length, target);
    case SETTING_DURATIONS:
        return parse_durations(setting, value, target);
    case SETTING_CHOICE:
        return parse_choice(setting, value, target);
    case SETTING_LIMIT:
        return parse_limit(setting, value, target);
    case SETTING_DOMAINS:
        return parse_domains(value, continues, target);
    case SETTING_ADDRESSES:
    case SETTING_RECIPIENTS:
        return parse_addresses(setting, value, target);
    case SETTING_NETWORKS:
        return parse_networks(value, target);
    case SETTING_LINKS:
        return parse_link(setting, value, target);
    }
    return fails(value, "has no type");
}

/* What would read differently in the file. */
static const char *comment_fault(const char *text)
{
    for (const char *mark = strchr(text, ';'); mark != NULL; mark = strchr(mark + 1, ';'))
        if (mark == text || isspace((unsigned char)mark[-1]))
            return "holds a ';' that begins a comment";
    return NULL;
}

/* The problem of a value; its quotation ends at a character's end. */
static int refuse(const struct setting *setting, const struct value *value,
                  struct problem *problem)
{
    const char *quote = value->word != NULL ? value->word : value->text;
    size_t length = value->word != NULL ? value->word_length : value->length;
    const char *cut = length > QUOTE_MAX_BYTES ? "…" : "";
    if (length > QUOTE_MAX_BYTES)
        for (length = QUOTE_MAX_BYTES; length > 0 && ((unsigned char)quote[length] & 0xC0) == 0x80;)
            length--;
    size_t scheme = store_url_scheme_length(value->text);
    bool of_url = setting->type == SETTING_URL || setting->type == SETTING_STORE;
    freed_by(free_string) char *quoted = xasprintf("%.*s", (int)length, quote);
    if ((of_url || scheme > 0) && store_url_may_hold_password(value->text)) {
        quote = value->text;
        length = scheme;
        cut = "…";
    } else if (store_url_scheme_length(quoted) > 0 && store_url_may_hold_password(quoted)) {
        length = store_url_scheme_length(quoted);
        cut = "…";
    }
    freed_by(text_free) struct text range = {0};
    setting_print_range(setting, &range);
    return problem_set(problem, 0, "", "%s: \"%.*s%s\"%s %s; expected %s", setting->name,
                       (int)length, quote, cut, value->word != NULL ? ":" : "",
                       value->fault, range.data);
}

static bool may_be_empty(const struct setting *setting)
{
    return setting->type == SETTING_FOLDER || setting->type == SETTING_LINKS ||
           (setting->type == SETTING_TEXT && setting->min == 0);
}

int setting_parse(const struct setting *setting, const char *text, bool continues,
                  struct settings *settings, struct problem *problem)
{
    struct value value = {.text = text, .length = strlen(text)};
    const char *fault = address_text_fault(text, value.length);
    if (fault != NULL)
        return problem_set(problem, 0, "", "%s: %s", setting->name, fault);
    if (value.length == 0 && !may_be_empty(setting))
        value.fault = "is empty";
    else
        value.fault = comment_fault(text);
    if (value.fault == NULL &&
        parse_by_type(setting, &value, continues, (unsigned char *)settings + setting->offset))
        return 1;
    return refuse(setting, &value, problem);
}

static bool setting_is_string(const struct setting *setting)
{
    return setting->type == SETTING_TEXT || setting->type == SETTING_PATH ||
           setting->type == SETTING_FOLDER || setting->type == SETTING_ZONE ||
           setting->type == SETTING_LISTEN || setting->type == SETTING_URL ||
           setting->type == SETTING_STORE;
}

void setting_clear(const struct setting *setting, struct settings *settings)
{
    void *target = (unsigned char *)settings + setting->offset;
    if (setting_is_list(setting)) {
        struct text_list *list = target;
        for (size_t i = 0; i < list->count; i++)
            free(list->items[i]);
        free(list->items);
        *list = (struct text_list){0};
    } else if (setting_is_string(setting)) {
        free_string(target);
    }
}
