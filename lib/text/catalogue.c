#include "text/catalogue.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "text/catalogue_table.h"

/* ---- finding ------------------------------------------------------------------------- */

struct catalogue_entry *catalogue_table_find(const struct catalogue_table *table, const char *key,
                                             size_t *at_r)
{
    size_t from = 0, to = table->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(table->entries[middle].key, key);
        if (order == 0) {
            from = middle;
            break;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    if (at_r != NULL)
        *at_r = from;
    return from < to ? &table->entries[from] : NULL;
}

const struct language *catalogue_find_language(const struct catalogue *catalogue,
                                               const char *name)
{
    for (size_t i = 0; i < catalogue->count; i++)
        if (strcasecmp(catalogue->languages[i].name, name) == 0)
            return &catalogue->languages[i];
    return NULL;
}

const struct mustache *catalogue_find(const struct catalogue *catalogue,
                                      const struct language *language, const char *name)
{
    const struct catalogue_entry *found;
    if (strchr(name, '.') == NULL) {
        found = catalogue_table_find(&catalogue->pages, name, NULL);
    } else {
        found = language != NULL ? catalogue_table_find(&language->texts, name, NULL) : NULL;
        if (found == NULL && (language = catalogue_find_language(catalogue, "en")) != NULL)
            found = catalogue_table_find(&language->texts, name, NULL);
    }
    return found != NULL ? found->template : NULL;
}

/* ---- rendering ------------------------------------------------------------------------- */

struct template_reading {
    const struct catalogue *catalogue;
    const struct language *language;
};

static const struct mustache *find_partial(const void *context, const char *name)
{
    const struct template_reading *reading = context;
    return catalogue_find(reading->catalogue, reading->language, name);
}

static int render(const struct catalogue *catalogue, const char *language, const char *name,
                  struct json_object *view, enum mustache_escape escape, struct text *out)
{
    const struct template_reading reading = {catalogue, catalogue_find_language(catalogue,
                                                                                language)};
    const struct partials partials = {find_partial, &reading};
    const struct mustache *template = find_partial(&reading, name);
    return template != NULL && mustache_render(template, view, &partials, escape, out);
}

int catalogue_page(const struct catalogue *catalogue, const char *language, const char *page,
                   struct json_object *view, struct text *out)
{
    return strchr(page, '.') == NULL && render(catalogue, language, page, view, ESCAPE_HTML, out);
}

const char *catalogue_text(const struct catalogue *catalogue, struct arena *arena,
                           const char *language, const char *key, struct json_object *values)
{
    freed_by(text_free) struct text text = {0};
    if (strchr(key, '.') == NULL || !render(catalogue, language, key, values, ESCAPE_NONE, &text))
        return NULL;
    return arena_strndup(arena, text_string(&text), text.length);
}

int catalogue_has_own(const struct catalogue *catalogue, const char *language, const char *key)
{
    const struct language *found = catalogue_find_language(catalogue, language);
    return found != NULL && catalogue_table_find(&found->texts, key, NULL) != NULL;
}

/* ---- languages ------------------------------------------------------------------------- */

size_t catalogue_languages(const struct catalogue *catalogue, const char **languages_r, size_t max)
{
    for (size_t i = 0; i < catalogue->count && i < max; i++)
        languages_r[i] = catalogue->languages[i].name;
    return catalogue->count;
}

/* The language that a range such as "de-CH" means: itself, else without its last parts
 * ("lookup" of RFC 4647 section 3.4). */
static const char *language_of_range(const struct catalogue *catalogue, const char *range,
                                     size_t length)
{
    char name[LANGUAGE_MAX_BYTES + 1];
    if (length == 1 && range[0] == '*')
        return "en";
    if (length > LANGUAGE_MAX_BYTES)
        return NULL;
    memcpy(name, range, length);
    name[length] = '\0';
    for (char *end; name[0] != '\0'; *end = '\0') {
        const struct language *found = catalogue_find_language(catalogue, name);
        if (found != NULL)
            return found->name;
        end = strrchr(name, '-');
        if (end == NULL)
            return NULL;
        if (end - name >= 2 && end[-2] == '-') /* a single letter belongs to what is behind it */
            end -= 2;
    }
    return NULL;
}

/* The weight behind a range, in thousandths: ";q=0.8" is 800. Without one: 1000; a wrong one: 0. */
static int weight_of(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    if (*text != ';')
        return *text == '\0' || *text == ',' ? 1000 : 0;
    text += 1 + strspn(text + 1, " \t");
    if ((*text != 'q' && *text != 'Q') || text[1] != '=' || (text[2] != '0' && text[2] != '1'))
        return 0;
    int weight = text[2] == '1' ? 1000 : 0;
    if (text[3] == '.' && weight == 0)
        for (int i = 4, place = 100; place > 0 && isdigit((unsigned char)text[i]); i++, place /= 10)
            weight += (text[i] - '0') * place;
    return weight;
}

const char *catalogue_language(const struct catalogue *catalogue, const char *accept)
{
    const char *best = "en";
    int best_weight = 0;
    for (const char *next = accept != NULL ? accept : ""; *next != '\0';) {
        next += strspn(next, " \t,");
        size_t length = strcspn(next, " \t,;");
        const char *language = language_of_range(catalogue, next, length);
        int weight = language != NULL ? weight_of(next + length) : 0;
        if (weight > best_weight) {
            best = language;
            best_weight = weight;
        }
        next += strcspn(next, ",");
    }
    return best;
}

/* ---- the end ---------------------------------------------------------------------------- */

static void table_clear(struct catalogue_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->entries[i].key);
        free(table->entries[i].file);
        mustache_free(&table->entries[i].template);
    }
    free(table->entries);
}

struct catalogue *catalogue_share(struct catalogue *catalogue)
{
    atomic_fetch_add(&catalogue->owners, 1);
    return catalogue;
}

void catalogue_free(struct catalogue **catalogue)
{
    struct catalogue *freed = *catalogue;
    *catalogue = NULL;
    if (freed == NULL || atomic_fetch_sub(&freed->owners, 1) > 1)
        return;
    table_clear(&freed->pages);
    for (size_t i = 0; i < freed->count; i++)
        table_clear(&freed->languages[i].texts);
    free(freed);
}
