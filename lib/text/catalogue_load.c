/* The catalogue's files: built-in ones first, then those of the operator's folder,
 * whose pages and texts take the place of built-in ones of the same name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_strict.h"
#include "text/catalogue_table.h"
#include "text/embedded.h"

enum { FILES_MAX = 500, FILE_NAME_MAX = 48, KEY_MAX = 64, JSON_DEPTH = 4 };

#define SMALL_LETTERS "abcdefghijklmnopqrstuvwxyz"
#define LETTERS SMALL_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_CHARACTERS SMALL_LETTERS DIGITS "_"

struct loading {
    struct catalogue *catalogue;
    bool built_in;
    struct problem *problem;
};

/* One file of texts while it is read. */
struct texts_file {
    const char *path, *bytes;
    size_t length;
    struct catalogue_table *texts; /* of its language */
};

/* ---- names ----------------------------------------------------------------------------- */

static bool file_name_fits(const char *name, const char *ending)
{
    size_t stem = strspn(name, NAME_CHARACTERS);
    return stem > 0 && stem <= FILE_NAME_MAX && strcmp(name + stem, ending) == 0;
}

/* BCP 47: two to eight letters, then parts of one to eight letters and digits. */
static bool language_fits(const char *name)
{
    size_t part = strspn(name, LETTERS), length = strlen(name);
    if (part < 2 || part > 8 || length > LANGUAGE_MAX_BYTES)
        return false;
    for (name += part; *name == '-'; name += part) {
        part = strspn(++name, LETTERS DIGITS);
        if (part < 1 || part > 8)
            return false;
    }
    return *name == '\0';
}

static bool key_fits(const char *key)
{
    size_t parts = 0, length = strlen(key);
    for (const char *part = key; length <= KEY_MAX; parts++) {
        size_t end = strspn(part, NAME_CHARACTERS);
        if (end == 0 || (part[end] != '.' && part[end] != '\0'))
            return false;
        if (part[end] == '\0')
            return parts > 0;
        part += end + 1;
    }
    return false;
}

/* ---- putting in -------------------------------------------------------------------------- */

static void table_put(struct catalogue_table *table, const struct catalogue_entry *entry)
{
    size_t at;
    struct catalogue_entry *found = catalogue_table_find(table, entry->key, &at);
    if (found != NULL) {
        free(found->key);
        free(found->file);
        mustache_free(&found->template);
        *found = *entry;
        return;
    }
    if (table->count == table->room) {
        table->room = table->room > 0 ? table->room * 2 : 64;
        table->entries = xrealloc(table->entries, table->room * sizeof table->entries[0]);
    }
    memmove(&table->entries[at + 1], &table->entries[at],
            (table->count - at) * sizeof table->entries[0]);
    table->entries[at] = *entry;
    table->count++;
}

/* The language, made when there is none; NULL: there are too many. */
static struct language *put_language(struct catalogue *catalogue, const char *name)
{
    size_t at = 0;
    while (at < catalogue->count && strcasecmp(catalogue->languages[at].name, name) < 0)
        at++;
    struct language *language = &catalogue->languages[at];
    if (at < catalogue->count && strcasecmp(language->name, name) == 0)
        return language;
    if (catalogue->count == LANGUAGES_MAX)
        return NULL;
    memmove(language + 1, language, (catalogue->count - at) * sizeof *language);
    *language = (struct language){0};
    snprintf(language->name, sizeof language->name, "%s", name);
    catalogue->count++;
    return language;
}

/* ---- pages --------------------------------------------------------------------------------- */

static int add_page(struct loading *loading, const char *path, const char *bytes, size_t length)
{
    struct mustache *template = NULL;
    if (!file_name_fits(path, ".mustache"))
        return problem_set(loading->problem, 0, path,
                           "expected a name of a-z, 0-9 and _ with .mustache behind it");
    if (!mustache_parse(path, bytes, length, MUSTACHE_MARKUP, &template, loading->problem))
        return 0;
    table_put(&loading->catalogue->pages, &(struct catalogue_entry){
                                              .key = xasprintf("%.*s", (int)strcspn(path, "."), path),
                                              .template = template,
                                              .file = xstrdup(path),
                                              .built_in = loading->built_in,
                                          });
    return 1;
}

/* ---- texts --------------------------------------------------------------------------------- */

static int fail_at(const struct loading *loading, const char *path, int line, const char *format,
                   ...) printf_like(4, 5);
static int fail_at(const struct loading *loading, const char *path, int line, const char *format,
                   ...)
{
    char where[sizeof loading->problem->where], text[sizeof loading->problem->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(where, sizeof where, "%s:%d", path, line);
    return problem_set(loading->problem, 0, where, "%s", text);
}

static int line_at(const struct texts_file *file, size_t place)
{
    int line = 1;
    const char *next = file->bytes;
    const char *end = next + (place < file->length ? place : file->length);
    while ((next = memchr(next, '\n', (size_t)(end - next))) != NULL) {
        line++;
        next++;
    }
    return line;
}

/* Where the reader of a file's keys is. */
struct key_reader {
    const struct texts_file *file; /* well-formed JSON, an object of strings as far as it is read */
    size_t at;
    int line; /* of `at` */
};

static bool is_space(char byte) { return memchr(" \t\r\n", byte, 4) != NULL; }

/* Behind the string that begins at `at` with a quotation mark. */
static size_t end_of_string(const struct texts_file *file, size_t at)
{
    for (at++; at < file->length && file->bytes[at] != '"'; at++)
        at += file->bytes[at] == '\\';
    return at + 1;
}

/* The next key as it stands in the file: a string with a colon behind. 1, or 0 at the end. */
static int next_key(struct key_reader *reader, const char **key_r, size_t *length_r)
{
    const struct texts_file *file = reader->file;
    while (reader->at < file->length) {
        size_t begin = reader->at, end;
        if (file->bytes[begin] != '"') {
            reader->line += file->bytes[begin] == '\n';
            reader->at++;
            continue;
        }
        reader->at = end = end_of_string(file, begin);
        while (end < file->length && is_space(file->bytes[end]))
            end++;
        if (end < file->length && file->bytes[end] == ':') {
            *key_r = file->bytes + begin + 1;
            *length_r = reader->at - begin - 2;
            return 1;
        }
    }
    return 0;
}

static int check_key(struct loading *loading, const struct texts_file *file, const char *key,
                     int line)
{
    if (!key_fits(key))
        return fail_at(loading, file->path, line,
                       "%.60s: expected a key of at most %d letters: parts of a-z, 0-9 and _ "
                       "with dots between them",
                       key, KEY_MAX);
    const struct catalogue_entry *same = catalogue_table_find(file->texts, key, NULL);
    if (same == NULL || same->built_in != loading->built_in)
        return 1; /* the operator's own text takes the place of the built-in one */
    if (strcmp(same->file, file->path) == 0)
        return fail_at(loading, file->path, line, "%s is there twice", key);
    return fail_at(loading, file->path, line, "%s is in %s too", key, same->file);
}

static int add_text(struct loading *loading, const struct texts_file *file, const char *key,
                    int line, struct json_object *value)
{
    if (!check_key(loading, file, key, line))
        return 0;
    if (!json_object_is_type(value, json_type_string))
        return fail_at(loading, file->path, line, "%s: expected a string", key);
    struct mustache *template = NULL;
    struct problem inner;
    if (!mustache_parse(key, json_object_get_string(value),
                        (size_t)json_object_get_string_len(value), MUSTACHE_PLAIN, &template,
                        &inner))
        return fail_at(loading, file->path, line, "%s: %s", key, inner.text);
    table_put(file->texts, &(struct catalogue_entry){
                               .key = xstrdup(key),
                               .template = template,
                               .file = xstrdup(file->path),
                               .line = line,
                               .built_in = loading->built_in,
                           });
    return 1;
}

static int add_all_texts(struct loading *loading, const struct texts_file *file,
                         struct json_object *tree)
{
    struct key_reader reader = {.file = file, .line = 1};
    const char *found;
    size_t length;
    int count = 0;
    while (next_key(&reader, &found, &length)) {
        freed_by(free_string) char *key = strndup(found, length);
        struct json_object *value = NULL;
        if (key == NULL)
            abort();
        json_object_object_get_ex(tree, key, &value);
        if (!add_text(loading, file, key, reader.line, value))
            return 0;
        count++;
    }
    if (count != json_object_object_length(tree)) /* json-c takes 'key' too */
        return fail_at(loading, file->path, 1, "a key stands in double quotation marks");
    return 1;
}

static void put_tree(struct json_object **tree) { json_object_put(*tree); }

static int read_texts(struct loading *loading, const struct texts_file *file)
{
    enum json_tokener_error error;
    size_t end;
    freed_by(put_tree) struct json_object *tree =
        json_strict_parse(file->bytes, file->length, JSON_DEPTH, &error, &end);
    if (error == json_tokener_continue)
        return fail_at(loading, file->path, line_at(file, file->length),
                       "it is no JSON: it ends too early");
    if (error != json_tokener_success)
        return fail_at(loading, file->path, line_at(file, end), "it is no JSON: %s",
                       json_tokener_error_desc(error));
    while (end < file->length && is_space(file->bytes[end]))
        end++;
    if (end < file->length)
        return fail_at(loading, file->path, line_at(file, end),
                       "it is no JSON: something is behind its end");
    if (!json_object_is_type(tree, json_type_object))
        return fail_at(loading, file->path, 1, "expected an object of texts");
    return add_all_texts(loading, file, tree);
}

static int add_texts(struct loading *loading, const char *path, const char *bytes, size_t length)
{
    char name[LANGUAGE_MAX_BYTES + 1];
    const char *slash = strchr(path, '/');
    snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
    if (!file_name_fits(slash + 1, ".json"))
        return problem_set(loading->problem, 0, path,
                           "expected a name of a-z, 0-9 and _ with .json behind it");
    struct language *language = put_language(loading->catalogue, name);
    if (language == NULL)
        return problem_set(loading->problem, 0, path, "these are more than %d languages",
                           LANGUAGES_MAX);
    return read_texts(loading, &(struct texts_file){path, bytes, length, &language->texts});
}

static int add_file(struct loading *loading, const char *path, const char *bytes, size_t length)
{
    if (length > MUSTACHE_MAX_BYTES)
        return problem_set(loading->problem, 0, path, "it has more than %d bytes",
                           MUSTACHE_MAX_BYTES);
    return strchr(path, '/') != NULL ? add_texts(loading, path, bytes, length)
                                     : add_page(loading, path, bytes, length);
}

static int add_built_in(struct loading *loading)
{
    for (const struct embedded *file = embedded_templates; file->name != NULL; file++)
        if (!add_file(loading, file->name, (const char *)file->bytes, file->length))
            return 0;
    return 1;
}

/* ---- the operator's folder --------------------------------------------------------------- */

/* The entries of a folder, by name; freed by free_names. */
struct names {
    struct dirent **of;
    int count;
};

static void free_names(struct names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->of[i]);
    free(names->of);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Dotfiles and what editors leave behind are passed over. */
static int is_ours(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && entry->d_name[length - 1] != '~';
}

static int add_folder(struct loading *loading, int folder, const char *language) must_check;

static int read_file(struct loading *loading, const char *path, int fd)
{
    freed_by(free_string) char *bytes = xmalloc(MUSTACHE_MAX_BYTES + 1);
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, bytes + length, MUSTACHE_MAX_BYTES + 1 - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        return problem_set(loading->problem, 0, path, "it cannot be read: %s", strerror(errno));
    return add_file(loading, path, bytes, length);
}

static int add_entry(struct loading *loading, int folder, const char *language, const char *name)
{
    struct stat status;
    freed_by(free_string) char *path =
        language != NULL ? xasprintf("%s/%s", language, name) : xstrdup(name);
    /* not waiting for the other end, should it be a pipe */
    freed_by(close_fd) int fd =
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return problem_set(loading->problem, 0, path, "it cannot be opened: %s",
                           errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    if (fstat(fd, &status) != 0)
        return problem_set(loading->problem, 0, path, "it cannot be read: %s", strerror(errno));
    if (S_ISREG(status.st_mode))
        return read_file(loading, path, fd);
    if (!S_ISDIR(status.st_mode))
        return problem_set(loading->problem, 0, path, "it is no file and no folder");
    if (language != NULL)
        return problem_set(loading->problem, 0, path, "a language's folder has no folders");
    if (!language_fits(name))
        return problem_set(loading->problem, 0, path,
                           "expected a folder named by a language, such as de or pt-BR");
    return add_folder(loading, fd, name);
}

static int add_folder(struct loading *loading, int folder, const char *language)
{
    freed_by(free_names) struct names names = {0};
    names.count = scandirat(folder, ".", &names.of, is_ours, alphasort);
    if (names.count < 0 || names.count > FILES_MAX)
        return problem_set(loading->problem, 0, language != NULL ? language : "its folder",
                           "%s", names.count < 0 ? strerror(errno) : "it has too many files");
    for (int i = 0; i < names.count; i++)
        if (!add_entry(loading, folder, language, names.of[i]->d_name))
            return 0;
    return 1;
}

static int add_operators(struct loading *loading, const char *folder)
{
    freed_by(close_fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return problem_set(loading->problem, 0, folder, "it cannot be opened: %s",
                           strerror(errno));
    return add_folder(loading, fd, NULL);
}

/* ---- is all there? --------------------------------------------------------------------------- */

struct check {
    struct loading *loading;
    const struct catalogue_entry *entry;
    const struct language *language;
    bool failed;
};

static void check_partial(void *context, const char *name, int line)
{
    struct check *check = context;
    const struct catalogue_entry *entry = check->entry;
    if (!check->failed &&
        catalogue_find(check->loading->catalogue, check->language, name) == NULL)
        check->failed = !fail_at(check->loading, entry->file, entry->line > 0 ? entry->line : line,
                                 "there is no %s %s", strchr(name, '.') != NULL ? "text" : "page",
                                 name);
}

static int check_table(struct loading *loading, const struct catalogue_table *table,
                       const struct language *language)
{
    for (size_t i = 0; i < table->count; i++) {
        struct check check = {loading, &table->entries[i], language, false};
        mustache_each_partial(table->entries[i].template, check_partial, &check);
        if (check.failed)
            return 0;
    }
    return 1;
}

static int check_all(struct loading *loading)
{
    const struct catalogue *catalogue = loading->catalogue;
    if (!check_table(loading, &catalogue->pages, NULL))
        return 0;
    for (size_t i = 0; i < catalogue->count; i++)
        if (!check_table(loading, &catalogue->languages[i].texts, &catalogue->languages[i]))
            return 0;
    return 1;
}

int catalogue_load(const char *folder, struct catalogue **catalogue_r, struct problem *problem)
{
    freed_by(catalogue_free) struct catalogue *catalogue = xcalloc(1, sizeof *catalogue);
    catalogue->owners = 1;
    struct loading loading = {catalogue, true, problem};
    if (!add_built_in(&loading))
        return 0;
    loading.built_in = false;
    if (folder != NULL && folder[0] != '\0' && !add_operators(&loading, folder))
        return 0;
    if (!check_all(&loading))
        return 0;
    *catalogue_r = take(catalogue);
    return 1;
}
