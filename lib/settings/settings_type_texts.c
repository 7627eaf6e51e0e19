/* Types of settings that are one text: paths, hosts, URLs, names. */
#include <stdlib.h>
#include <string.h>

#include "base/store_url.h"
#include "base/zone.h"
#include "message/address.h"
#include "settings/settings_type.h"

enum {
    PATH_MAX_BYTES = 4095,
    SOCKET_PATH_MAX_BYTES = 107, /* sun_path of unix(7) */
};

static int set_text(struct settings_value *value)
{
    char **member = value->member;
    free(*member);
    *member = xasprintf("%.*s", (int)value->length, value->text);
    return 1;
}

static void print_text(const struct setting *setting, const struct settings *settings,
                       struct text *text)
{
    text_add(text, *(char *const *)setting_member(setting, settings));
}

static void clear_text(void *member) { free_string(member); }

#define TEXT .print = print_text, .clear = clear_text

/* ---- any text ------------------------------------------------------------------------ */

static int parse_text(struct settings_value *value)
{
    if ((int64_t)value->length > value->setting->max)
        return settings_value_fails(value, "is too long");
    return set_text(value);
}

static void describe_text(const struct setting *setting, struct text *text)
{
    text_addf(text, "at most %lld bytes of text", (long long)setting->max);
}

const struct setting_type settings_type_text = {
    TEXT, .parse = parse_text, .describe = describe_text, .may_be_empty = true};

/* ---- the mail server's log ------------------------------------------------------------ */

static int parse_log_source(struct settings_value *value)
{
    static const char *const prefixes[] = {"file:/", "journal:/"};
    bool known = value->length == strlen("journal") &&
                 memcmp(value->text, "journal", value->length) == 0;
    for (size_t i = 0; i < countof(prefixes); i++)
        known = known || (value->length > strlen(prefixes[i]) &&
                          memcmp(value->text, prefixes[i], strlen(prefixes[i])) == 0);
    if (!known)
        return settings_value_fails(value, "is no log");
    if (value->length > PATH_MAX_BYTES || value->text[value->length - 1] == '/')
        return settings_value_fails(value, "is no path of a file");
    return set_text(value);
}

static void describe_log_source(const struct setting *setting, struct text *text)
{
    (void)setting;
    text_add(text, "`journal`, `file:/PATH` or `journal:/FOLDER`");
}

const struct setting_type settings_type_log_source = {
    TEXT, .parse = parse_log_source, .describe = describe_log_source};

/* ---- paths and sockets ------------------------------------------------------------------ */

static int check_path(struct settings_value *value, size_t max_bytes)
{
    if (value->text[0] != '/' || value->text[value->length - 1] == '/')
        return settings_value_fails(value, "is no absolute path of a file");
    return value->length <= max_bytes || settings_value_fails(value, "is too long");
}

static int parse_path(struct settings_value *value)
{
    return check_path(value, PATH_MAX_BYTES) && set_text(value);
}

const struct setting_type settings_type_path = {TEXT, .parse = parse_path,
                                                .values = "an absolute path"};

static int parse_file(struct settings_value *value)
{
    return value->length == 0 ? set_text(value) : parse_path(value);
}

const struct setting_type settings_type_file = {
    TEXT, .parse = parse_file, .values = "an absolute path or nothing", .may_be_empty = true};

static int parse_folder(struct settings_value *value)
{
    while (value->length > 1 && value->text[value->length - 1] == '/')
        value->length--;
    if (value->length > 0 && (value->text[0] != '/' || value->length == 1))
        return settings_value_fails(value, "is no absolute path of a folder");
    if (value->length > PATH_MAX_BYTES)
        return settings_value_fails(value, "is too long");
    return set_text(value);
}

const struct setting_type settings_type_folder = {
    TEXT, .parse = parse_folder, .values = "an absolute path or nothing", .may_be_empty = true};

static int check_host_port(struct settings_value *value)
{
    static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789.-";
    const char *colon = strrchr(value->text, ':');
    int64_t port;
    if (colon == NULL)
        return settings_value_fails(value, "is no HOST:PORT and no absolute path");
    const char *host = value->text;
    size_t length = (size_t)(colon - host);
    size_t allowed = strspn(host, host_characters);
    if (length > 2 && host[0] == '[' && colon[-1] == ']')
        allowed = strspn(host + 1, "0123456789abcdefABCDEF:.") + 2;
    if (length == 0 || length > 255 || allowed != length)
        return settings_value_fails(value, "has no host before the port");
    if (!settings_value_digits(colon + 1, strlen(colon + 1), 10, &port) || port < 1 || port > 65535)
        return settings_value_fails(value, "has no port from 1 to 65535");
    return 1;
}

static int parse_listen(struct settings_value *value)
{
    int good = value->text[0] == '/' ? check_path(value, SOCKET_PATH_MAX_BYTES)
                                     : check_host_port(value);
    return good && set_text(value);
}

const struct setting_type settings_type_listen = {
    TEXT, .parse = parse_listen, .values = "HOST:PORT or an absolute path"};

static int parse_host_port(struct settings_value *value)
{
    return check_host_port(value) && set_text(value);
}

const struct setting_type settings_type_host_port = {
    TEXT, .parse = parse_host_port, .values = "HOST:PORT"};

static int parse_may_listen(struct settings_value *value)
{
    return value->length == 0 ? set_text(value) : parse_listen(value);
}

const struct setting_type settings_type_may_listen = {
    TEXT, .parse = parse_may_listen, .values = "HOST:PORT, an absolute path or nothing",
    .may_be_empty = true};

/* ---- URLs ------------------------------------------------------------------------------- */

static int check_url_characters(struct settings_value *value)
{
    while (value->length > 0 && value->text[value->length - 1] == '/')
        value->length--;
    if ((int64_t)value->length > value->setting->max)
        return settings_value_fails(value, "is too long");
    for (size_t i = 0; i < value->length; i++)
        if ((unsigned char)value->text[i] <= ' ' || strchr("\"<>\\", value->text[i]) != NULL)
            return settings_value_fails(value, "holds a character that no URL has");
    return 1;
}

int settings_type_url_check(struct settings_value *value)
{
    if (!check_url_characters(value))
        return 0;
    const char *const *choices = value->setting->choices;
    for (size_t i = 0; choices[i] != NULL; i++) {
        size_t scheme = strlen(choices[i]);
        if (value->length > scheme && strncmp(value->text, choices[i], scheme) == 0)
            return 1;
    }
    return settings_value_fails(value, "is no such URL");
}

static int parse_url(struct settings_value *value)
{
    return settings_type_url_check(value) && set_text(value);
}

static void describe_url(const struct setting *setting, struct text *text)
{
    text_add(text, "a URL that begins with ");
    settings_value_choices(setting->choices, text);
}

const struct setting_type settings_type_url = {
    TEXT, .parse = parse_url, .describe = describe_url, .is_url = true};

static int parse_may_url(struct settings_value *value)
{
    return value->length == 0 ? set_text(value) : parse_url(value);
}

static void describe_may_url(const struct setting *setting, struct text *text)
{
    describe_url(setting, text);
    text_add(text, ", or nothing");
}

const struct setting_type settings_type_may_url = {
    TEXT, .parse = parse_may_url, .describe = describe_may_url, .may_be_empty = true, .is_url = true};

static int parse_store(struct settings_value *value)
{
    freed_by(store_url_free) struct store_url url = {0};
    if (!check_url_characters(value))
        return 0;
    freed_by(free_string) char *text = xasprintf("%.*s", (int)value->length, value->text);
    const char *fault = store_url_read(text, &url);
    return fault == NULL ? set_text(value) : settings_value_fails(value, fault);
}

const struct setting_type settings_type_store = {
    TEXT, .parse = parse_store, .values = STORE_URL_FORMS, .is_url = true};

/* ---- mail ------------------------------------------------------------------------------ */

static int parse_may_address(struct settings_value *value)
{
    struct address address;
    if (value->length == 0)
        return set_text(value);
    const char *fault = address_normalise(value->text, value->length, &address);
    if (fault != NULL)
        return settings_value_fails(value, fault);
    char **member = value->member;
    free(*member);
    *member = xstrdup(address.text);
    return 1;
}

const struct setting_type settings_type_may_address = {
    TEXT, .parse = parse_may_address, .values = "an address, or nothing", .may_be_empty = true};

/* ---- names ------------------------------------------------------------------------------ */

static int parse_zone(struct settings_value *value)
{
    /* UTC also where no zones are installed */
    if (strcmp(value->text, "UTC") != 0 && !zone_exists(value->text))
        return settings_value_fails(value, "is no time zone of this machine");
    return set_text(value);
}

const struct setting_type settings_type_zone = {
    TEXT, .parse = parse_zone, .values = "a name of the time zone database"};
