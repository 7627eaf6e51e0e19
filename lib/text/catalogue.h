/* What people read: pages and texts, in several languages. Pages are Mustache templates
 * (templates/NAME.mustache), the same for all languages; texts are single sentences, templates
 * too but of plain text (templates/LANGUAGE/NAME.json: objects, "state.paused": "Sending is
 * paused until {{until_text}}."). A page takes a text in as a partial: {{> state.paused}};
 * names of texts have a dot, names of pages have none. A text of pages may take in a small
 * page, for markup within a sentence. The built-in ones are part of the program; an operator's
 * folder (setting web.templates) puts its own in the place of single pages and texts, and may
 * bring further languages. A text that a language lacks is English. Everything is read and
 * checked at the start, nothing while serving. Never changes afterwards: any thread. */
#ifndef SENDGUARD_CATALOGUE_H
#define SENDGUARD_CATALOGUE_H

#include "base/arena.h"
#include "base/problem.h"
#include "base/text.h"

struct json_object;
struct catalogue;

/* folder: absolute path, or NULL or "" for the built-in ones alone. Its files are named
 * [a-z0-9_]+.mustache and LANGUAGE/[a-z0-9_]+.json, LANGUAGE a BCP 47 tag; what is named
 * otherwise, a symbolic link or over 256 KiB is refused, but for dotfiles and what ends with ~.
 * So are a key that is there twice, and a partial that is nowhere.
 * 1; or 0 with *problem: where = "FILE:LINE" or "FILE". */
int catalogue_load(const char *folder, struct catalogue **catalogue_r, struct problem *problem)
    must_check;
/* The same catalogue for one more owner; each of them frees it. Any thread. */
struct catalogue *catalogue_share(struct catalogue *catalogue);
void catalogue_free(struct catalogue **catalogue);

/* The language there is that an Accept-Language header (RFC 9110 section 12.5.4) or a
 * single BCP 47 tag likes best; "en" when none, or NULL. Lives as long as the catalogue. */
const char *catalogue_language(const struct catalogue *catalogue, const char *accept);
/* All of them, by name, "en" among them. Returns how many; at most `max` are set. */
size_t catalogue_languages(const struct catalogue *catalogue, const char **languages_r, size_t max);

/* Adds the page, values escaped for HTML. 1; 0: there is no such page, or it grew too large. */
int catalogue_page(const struct catalogue *catalogue, const char *language, const char *page,
                   struct json_object *view, struct text *out) must_check;
/* One text as plain text, in `arena`; NULL when there is none of that key in English either.
 * values may be NULL. */
const char *catalogue_text(const struct catalogue *catalogue, struct arena *arena,
                           const char *language, const char *key, struct json_object *values);
/* Whether that very language has the text: for tests. */
int catalogue_has_own(const struct catalogue *catalogue, const char *language, const char *key);

#endif
