/* What a catalogue holds, between its loader and those who read it. */
#ifndef SENDGUARD_CATALOGUE_TABLE_H
#define SENDGUARD_CATALOGUE_TABLE_H

#include <stdbool.h>

#include "text/catalogue.h"
#include "text/mustache.h"

enum { LANGUAGE_MAX_BYTES = 35, LANGUAGES_MAX = 64 };

struct catalogue_entry {
    char *key; /* of a page: its name */
    struct mustache *template;
    char *file; /* where it stands, for complaints */
    int line;   /* of a text; 0 for a page */
    bool built_in;
};

struct catalogue_table {
    struct catalogue_entry *entries; /* by key */
    size_t count, room;
};

struct language {
    char name[LANGUAGE_MAX_BYTES + 1];
    struct catalogue_table texts;
};

struct catalogue {
    _Atomic int owners;
    struct catalogue_table pages;
    struct language languages[LANGUAGES_MAX]; /* by name */
    size_t count;
};

/* The entry of that key, or NULL; *at_r (may be NULL): where it is, or belongs. */
struct catalogue_entry *catalogue_table_find(const struct catalogue_table *table, const char *key,
                                             size_t *at_r);
const struct language *catalogue_find_language(const struct catalogue *catalogue,
                                               const char *name);

/* The template that {{> name}} is for a reader of that language, English where the language
 * lacks it; NULL: there is none. */
const struct mustache *catalogue_find(const struct catalogue *catalogue,
                                      const struct language *language, const char *name);

#endif
