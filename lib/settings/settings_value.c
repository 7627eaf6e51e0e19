/* Reads one value by its row's type. */
#include "settings/settings_type.h"

#include <string.h>

#include "base/store_url.h"
#include "message/address.h"

enum { QUOTE_MAX_BYTES = 80 };

/* ---- what the types share -------------------------------------------------------- */

int settings_value_fails(struct settings_value *value, const char *fault)
{
    value->fault = fault;
    return 0;
}

int settings_value_fails_word(struct settings_value *value, const char *word, size_t length,
                              const char *fault)
{
    value->word = word;
    value->word_length = length;
    return settings_value_fails(value, fault);
}

int settings_value_digits(const char *text, size_t length, int base, int64_t *number_r)
{
    int64_t number = 0;
    if (length == 0 || length > 18) /* what fits in an int64_t */
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] >= '0' + base)
            return 0;
        number = number * base + (text[i] - '0');
    }
    *number_r = number;
    return 1;
}

size_t settings_value_word(const char **rest_r, const char **word_r)
{
    static const char separators[] = " \t,";
    *word_r = *rest_r + strspn(*rest_r, separators);
    size_t length = strcspn(*word_r, separators);
    *rest_r = *word_r + length;
    return length;
}

void settings_value_choices(const char *const *choices, struct text *text)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (i > 0)
            text_add(text, choices[i + 1] == NULL ? " or " : ", ");
        text_add(text, choices[i]);
    }
}

/* ---- any value ------------------------------------------------------------------- */

void settings_value_describe(const struct setting *setting, struct text *text)
{
    if (setting->type->values != NULL)
        text_add(text, setting->type->values);
    else
        setting->type->describe(setting, text);
}

void settings_value_clear(const struct setting *setting, struct settings *settings)
{
    if (setting->type->clear != NULL)
        setting->type->clear((unsigned char *)settings + setting->offset);
}

/* An override may hold nothing that the file would take for a comment. */
static const char *comment_fault(const char *text)
{
    for (const char *mark = strchr(text, ';'); mark != NULL; mark = strchr(mark + 1, ';'))
        if (mark == text || mark[-1] == ' ' || mark[-1] == '\t')
            return "holds a ';' that begins a comment";
    return NULL;
}

bool settings_value_is_secret(const char *name, size_t length)
{
    static const char word[] = "password";
    return memmem(name, length, word, strlen(word)) != NULL;
}

/* Fills *problem. Quotes at most QUOTE_MAX_BYTES, whole characters, and no password. */
static int refuse(const struct settings_value *value, struct problem *problem)
{
    const char *quote = value->word != NULL ? value->word : value->text;
    size_t length = value->word != NULL ? value->word_length : value->length;
    const char *cut = length > QUOTE_MAX_BYTES ? "…" : "";
    if (length > QUOTE_MAX_BYTES)
        for (length = QUOTE_MAX_BYTES; length > 0 && ((unsigned char)quote[length] & 0xC0) == 0x80;)
            length--;
    size_t scheme = store_url_scheme_length(value->text);
    freed_by(free_string) char *quoted = xasprintf("%.*s", (int)length, quote);
    if ((value->setting->type->is_url || scheme > 0) && store_url_may_hold_password(value->text)) {
        quote = value->text;
        length = scheme;
        cut = "…";
    } else if (store_url_scheme_length(quoted) > 0 && store_url_may_hold_password(quoted)) {
        length = store_url_scheme_length(quoted);
        cut = "…";
    }
    if (settings_value_is_secret(value->setting->name, strlen(value->setting->name))) {
        length = 0; /* the password may stand where its file should */
        cut = "…";
    }
    freed_by(text_free) struct text values = {0};
    settings_value_describe(value->setting, &values);
    return problem_set(problem, 0, "", "%s: \"%.*s%s\"%s %s; expected %s", value->setting->name,
                       (int)length, quote, cut, value->word != NULL ? ":" : "", value->fault,
                       values.data);
}

int settings_value_parse(const struct setting *setting, const char *text, bool continues,
                         struct settings *settings, struct problem *problem)
{
    struct settings_value value = {.setting = setting,
                                   .member = (unsigned char *)settings + setting->offset,
                                   .text = text,
                                   .length = strlen(text),
                                   .continues = continues};
    const char *fault = address_text_fault(text, value.length);
    if (fault != NULL)
        return problem_set(problem, 0, "", "%s: %s", setting->name, fault);
    value.fault = value.length == 0 && !setting->type->may_be_empty ? "is empty"
                                                                    : comment_fault(text);
    return (value.fault == NULL && setting->type->parse(&value)) || refuse(&value, problem);
}
