/* What the types of settings share. A type is one struct setting_type below its functions in a
 * type_*.c file; settings_table.h declares it. Internal to those files and settings_value.c. */
#ifndef SENDGUARD_SETTINGS_TYPE_H
#define SENDGUARD_SETTINGS_TYPE_H

#include "settings/settings_table.h"

/* What a type's `parse` reads. */
struct settings_value {
    const struct setting *setting;
    void *member;     /* of struct settings, which parse fills */
    const char *text; /* has passed address_text_fault; "" only where the type may be empty */
    size_t length;
    bool continues;   /* the text goes on with the value that is there; for lists of domains */
    /* Of a value that is refused: */
    const char *fault; /* completes `key: "value" …`, with a word `key: "word": …` */
    const char *word;  /* NULL: the whole value is at fault */
    size_t word_length;
};

/* Both return 0. */
int settings_value_fails(struct settings_value *value, const char *fault);
int settings_value_fails_word(struct settings_value *value, const char *word, size_t length,
                              const char *fault);

/* Reads decimal digits, or octal ones where base is 8: 1 to 18 of them and nothing else. 1, or 0
 * when it is no such number. */
int settings_value_digits(const char *text, size_t length, int base, int64_t *number_r) must_check;

/* The next word of a list; moves *rest_r behind it. Its length, 0 when there is none left. */
size_t settings_value_word(const char **rest_r, const char **word_r);

/* A URL that begins with one of the setting's `choices`; drops the '/' at its end. 1; or 0 with a
 * fault. */
int settings_type_url_check(struct settings_value *value) must_check;

/* Adds "refuse, allow or ask". */
void settings_value_choices(const char *const *choices, struct text *text);

#endif
