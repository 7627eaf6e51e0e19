#include "owners/owners_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "message/address.h"

/* Texts of the table, by their place in it. */
struct pair {
    uint32_t key, login; /* the login 0: somebody who never signs in */
};

struct owners_table {
    struct text texts; /* each with its NUL; the first is empty */
    struct pair *pairs; /* sorted by key, then login; each once */
    uint32_t *by_login; /* places in pairs, sorted by login, then key */
    uint32_t *domains;  /* texts, sorted, each once */
    size_t count, domain_count;
};

void owners_table_free(struct owners_table **table)
{
    if (*table == NULL)
        return;
    text_free(&(*table)->texts);
    free((*table)->pairs);
    free((*table)->by_login);
    free((*table)->domains);
    free(*table);
    *table = NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct owners_reading {
    struct owners_table *table;
    const char *path;
    struct problem *problem;
    size_t line, key_line; /* where the key stands; 0: there is none yet */
    bool passes_over;      /* it is none that is looked up */
    size_t logins;         /* that it has */
    uint32_t key;
};

static int fails_at(struct owners_reading *reading, size_t line, const char *what)
{
    freed_by(free_string) char *where = xasprintf("%s:%zu", reading->path, line);
    return problem_set(reading->problem, 0, where, "%s", what);
}

static int fails(struct owners_reading *reading, const char *what)
{
    return fails_at(reading, reading->line, what);
}

/* No more logins of a key come. */
static int end_key(struct owners_reading *reading)
{
    return reading->key_line == 0 || reading->logins > 0 ||
           fails_at(reading, reading->key_line, "expected an address and who may write as it");
}

static const char *text_at(const struct owners_table *table, uint32_t place)
{
    return table->texts.data + place;
}

static uint32_t add_text(struct owners_table *table, const char *text)
{
    size_t place = table->texts.length;
    text_add_bytes(&table->texts, text, strlen(text) + 1);
    return (uint32_t)place;
}

/* What stands at the beginning of a line. */
static int read_key(struct owners_reading *reading, const char *word, size_t length)
{
    struct address address = {.text = "@"};
    size_t domain_length;
    const char *fault;
    if (!end_key(reading))
        return 0;
    reading->key_line = reading->line;
    reading->logins = 0;
    reading->passes_over = memchr(word, '@', length) == NULL;
    if (reading->passes_over)
        return 1;
    fault = word[0] == '@'
                ? address_domain_normalise(word + 1, length - 1, address.text + 1, &domain_length)
                : address_normalise(word, length, &address);
    if (fault != NULL) {
        char quoted[ADDRESS_QUOTE_SIZE];
        freed_by(free_string) char *what = xasprintf(
            "%s: %s", address_quote(quoted, (struct address_entry){word, length}), fault);
        return fails(reading, what);
    }
    reading->key = add_text(reading->table, address.text);
    return 1;
}

static int add_login(struct owners_reading *reading, const char *word, size_t length)
{
    struct owners_table *table = reading->table;
    struct address login;
    reading->logins++;
    if (reading->passes_over)
        return 1;
    if (table->count == OWNERS_FILE_MAX_PAIRS)
        return fails(reading, "it has more than 500000 owners of addresses");
    if ((table->count & (table->count - 1)) == 0)
        table->pairs = xrealloc(table->pairs, (table->count > 0 ? table->count * 2 : 1) *
                                                  sizeof *table->pairs);
    bool is_address = address_normalise(word, length, &login) == NULL;
    table->pairs[table->count++] =
        (struct pair){reading->key, is_address ? add_text(table, login.text) : 0};
    return 1;
}

static int read_line(struct owners_reading *reading, const char *line, const char *end)
{
    const char *rest = line, *word;
    size_t length = owners_word(&rest, end, &word);
    bool goes_on = line < end && (line[0] == ' ' || line[0] == '\t');
    if (length == 0 || word[0] == '#')
        return 1;
    if (goes_on && reading->key_line == 0)
        return fails(reading, "it goes on with a line before, and there is none");
    if (goes_on)
        rest = line;
    else if (!read_key(reading, word, length))
        return 0;
    while ((length = owners_word(&rest, end, &word)) > 0)
        if (!add_login(reading, word, length))
            return 0;
    return 1;
}

static int read_lines(struct owners_reading *reading, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    for (const char *line = bytes; line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = feed != NULL ? feed : end;
        reading->line++;
        if (address_text_fault(line, (size_t)(line_end - line) -
                                         (line_end > line && line_end[-1] == '\r')) != NULL)
            return fails(reading, "expected text in UTF-8");
        if (!read_line(reading, line, line_end))
            return 0;
        line = line_end + 1;
    }
    return end_key(reading);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b, void *table)
{
    const struct pair *one = a, *other = b;
    int order = strcmp(text_at(table, one->key), text_at(table, other->key));
    return order != 0 ? order : strcmp(text_at(table, one->login), text_at(table, other->login));
}

static int compare_logins(const void *a, const void *b, void *context)
{
    const struct owners_table *table = context;
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    int order = strcmp(text_at(table, table->pairs[one].login),
                       text_at(table, table->pairs[other].login));
    return order != 0 ? order : (one > other) - (one < other);
}

static int compare_texts(const void *a, const void *b, void *table)
{
    return strcmp(text_at(table, *(const uint32_t *)a), text_at(table, *(const uint32_t *)b));
}

static void sort_pairs(struct owners_table *table)
{
    size_t kept = 0;
    qsort_r(table->pairs, table->count, sizeof table->pairs[0], compare_pairs, table);
    for (size_t i = 0; i < table->count; i++)
        if (kept == 0 || compare_pairs(&table->pairs[kept - 1], &table->pairs[i], table) != 0)
            table->pairs[kept++] = table->pairs[i];
    table->count = kept;
}

static void sort_domains(struct owners_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        table->domains[i] = (uint32_t)(strrchr(text_at(table, table->pairs[i].key), '@') + 1 -
                                       table->texts.data);
    qsort_r(table->domains, table->count, sizeof table->domains[0], compare_texts, table);
    for (size_t i = 0; i < table->count; i++)
        if (i == 0 || compare_texts(&table->domains[table->domain_count - 1], &table->domains[i],
                                    table) != 0)
            table->domains[table->domain_count++] = table->domains[i];
}

static void sort(struct owners_table *table)
{
    if (table->count == 0)
        return;
    sort_pairs(table);
    table->by_login = xcalloc(table->count, sizeof table->by_login[0]);
    table->domains = xcalloc(table->count, sizeof table->domains[0]);
    for (size_t i = 0; i < table->count; i++)
        table->by_login[i] = (uint32_t)i;
    qsort_r(table->by_login, table->count, sizeof table->by_login[0], compare_logins, table);
    sort_domains(table);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int read_bytes(int fd, const char *path, struct text *bytes, struct problem *problem)
{
    enum { PIECE = 256 * 1024 };
    freed_by(free_string) char *piece = xmalloc(PIECE);
    ssize_t count;
    while ((count = read(fd, piece, PIECE)) > 0) {
        text_add_bytes(bytes, piece, (size_t)count);
        if (bytes->length > OWNERS_FILE_MAX_BYTES)
            return problem_set(problem, 0, path, "it has more than 16 MiB");
    }
    return count == 0 || problem_set(problem, 0, path, "%s", strerror(errno));
}

int owners_table_read(const char *path, struct owners_table **table_r, struct problem *problem)
{
    freed_by(text_free) struct text bytes = {0};
    freed_by(owners_table_free) struct owners_table *table = xcalloc(1, sizeof *table);
    struct owners_reading reading = {.table = table, .path = path, .problem = problem};
    freed_by(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return problem_set(problem, 0, path, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return problem_set(problem, 0, path, "it is no file");
    text_add_char(&table->texts, '\0');
    if (!read_bytes(fd, path, &bytes, problem) ||
        !read_lines(&reading, text_string(&bytes), bytes.length))
        return 0;
    sort(table);
    *table_r = take(table);
    return 1;
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* The first pair whose key is not before. */
static size_t find_key(const struct owners_table *table, const char *key)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(text_at(table, table->pairs[middle].key), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same by login, in by_login. */
static size_t find_login(const struct owners_table *table, const char *login)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(text_at(table, table->pairs[table->by_login[middle]].login), login) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void look(const struct owners_table *table, const char *key, const char *mailbox,
                 struct owners_answer *answer)
{
    for (size_t i = find_key(table, key);
         i < table->count && strcmp(text_at(table, table->pairs[i].key), key) == 0; i++) {
        bool mine = strcmp(text_at(table, table->pairs[i].login), mailbox) == 0;
        answer->found = true;
        answer->mine = answer->mine || mine;
        answer->others = answer->others || !mine;
    }
}

static size_t list(const struct owners_table *table, struct arena *arena, const char *mailbox,
                   bool sole, size_t max, const char **addresses_r)
{
    size_t count = 0;
    for (size_t i = find_login(table, mailbox); i < table->count && count < max; i++) {
        const struct pair *pair = &table->pairs[table->by_login[i]];
        const char *key = text_at(table, pair->key);
        struct owners_answer answer = {0};
        if (strcmp(text_at(table, pair->login), mailbox) != 0)
            break;
        look(table, key, mailbox, &answer);
        if (key[0] != '@' && !(sole && answer.others))
            addresses_r[count++] = arena_strdup(arena, key);
    }
    return count;
}

/* ---- a file that may change ------------------------------------------------------------------ */

struct owners_file {
    char *path;
    pthread_rwlock_t lock; /* guards the table */
    struct owners_table *table;
    pthread_mutex_t refreshing; /* guards what follows */
    int64_t fresh_until_ms;
    struct stat read; /* of the file as it was when it was read; all 0: never */
    int error;        /* why it could not be opened, told; 0: nothing */
};

struct owners_file *owners_file_new(const char *path)
{
    struct owners_file *file = xcalloc(1, sizeof *file);
    file->path = xstrdup(path);
    file->fresh_until_ms = INT64_MIN;
    pthread_rwlock_init(&file->lock, NULL);
    pthread_mutex_init(&file->refreshing, NULL);
    return file;
}

void owners_file_free(struct owners_file **file)
{
    if (*file == NULL)
        return;
    owners_table_free(&(*file)->table);
    pthread_rwlock_destroy(&(*file)->lock);
    pthread_mutex_destroy(&(*file)->refreshing);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

static bool is_as_read(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
           one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static void log_fault(const struct owners_file *file, const char *where, const char *error)
{
    log_line(LOG_ERROR_LEVEL, "owners of addresses cannot be read", "where", where, "error", error,
             "until_then", file->table != NULL ? "as they were" : "every From passes", NULL);
}

static void read_again(struct owners_file *file)
{
    freed_by(owners_table_free) struct owners_table *table = NULL;
    struct problem problem;
    if (!owners_table_read(file->path, &table, &problem)) {
        log_fault(file, problem.where, problem.text);
        return;
    }
    pthread_rwlock_wrlock(&file->lock);
    struct owners_table *old = file->table;
    file->table = table;
    table = old;
    pthread_rwlock_unlock(&file->lock);
}

static void refresh(struct owners_file *file, int64_t monotonic_ms)
{
    struct stat status;
    pthread_mutex_lock(&file->refreshing);
    if (monotonic_ms >= file->fresh_until_ms) {
        int error = stat(file->path, &status) < 0 ? errno : 0;
        if (error != 0 && error != file->error)
            log_fault(file, file->path, strerror(error));
        if (error == 0 && !is_as_read(&status, &file->read)) {
            file->read = status;
            read_again(file);
        }
        file->error = error;
        file->fresh_until_ms = monotonic_ms + OWNERS_FILE_FRESH_MS;
    }
    pthread_mutex_unlock(&file->refreshing);
}

int owners_file_ask(struct owners_file *file, const char *key, const char *mailbox,
                    int64_t monotonic_ms, struct owners_answer *answer)
{
    refresh(file, monotonic_ms);
    pthread_rwlock_rdlock(&file->lock);
    bool known = file->table != NULL;
    if (known)
        look(file->table, key, mailbox, answer);
    pthread_rwlock_unlock(&file->lock);
    return known ? 1 : -1;
}

bool owners_file_knows_domain(struct owners_file *file, const char *domain)
{
    bool known = false;
    pthread_rwlock_rdlock(&file->lock);
    const struct owners_table *table = file->table;
    size_t low = 0, high = table != NULL ? table->domain_count : 0;
    while (low < high && !known) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(text_at(table, table->domains[middle]), domain);
        known = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    pthread_rwlock_unlock(&file->lock);
    return known;
}

size_t owners_file_addresses(struct owners_file *file, struct arena *arena, const char *mailbox,
                             bool sole, size_t max, const char **addresses_r)
{
    pthread_rwlock_rdlock(&file->lock);
    size_t count =
        file->table != NULL ? list(file->table, arena, mailbox, sole, max, addresses_r) : 0;
    pthread_rwlock_unlock(&file->lock);
    return count;
}
