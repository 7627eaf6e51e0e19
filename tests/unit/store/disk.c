#include "tests/unit/store/disk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/unit/store/chance.h"

enum { SECTOR = 512, WATCHED = 2, PATH_SIZE = 256 };

/* Bytes written at a place; NULL: the file ends there. */
struct write {
    int64_t at;
    int64_t length;
    uint8_t *bytes;
};

struct content {
    uint8_t *bytes;
    int64_t length, room;
};

struct watched {
    char path[PATH_SIZE];
    struct content synced;
    struct write *writes; /* since */
    size_t count, room;
    const sqlite3_io_methods *below; /* SQLite's */
    sqlite3_io_methods methods;      /* the layer's; set once, since open files use them */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct watched files[WATCHED]; /* the database, its log */
static bool deaf;                     /* to syncs */
static struct disk_cut next_cut;
static enum { NO_CUT, AWAITED, CUT } state;

static sqlite3_vfs layer, *real;
static sqlite3_io_methods methods_of_database, methods_of_others; /* that are not watched */

/* ---- content ------------------------------------------------------------------- */

static void set_length(struct content *content, int64_t length)
{
    if (length > content->room) {
        content->room = length * 2;
        content->bytes = xrealloc(content->bytes, (size_t)content->room);
    }
    if (length > content->length)
        memset(content->bytes + content->length, 0, (size_t)(length - content->length));
    content->length = length;
}

static void apply(struct content *content, const struct write *write)
{
    int64_t end = write->at + write->length;
    if (write->bytes == NULL || end > content->length)
        set_length(content, end);
    if (write->bytes != NULL)
        memcpy(content->bytes + write->at, write->bytes, (size_t)write->length);
}

/* What is within one sector. */
static void apply_sector(struct content *content, const struct write *write, int64_t sector)
{
    int64_t from = sector * SECTOR, to = from + SECTOR;
    if (write->bytes == NULL) {
        from = from > write->at ? from : write->at;
        if (from < to && from < content->length)
            memset(content->bytes + from, 0,
                   (size_t)((to < content->length ? to : content->length) - from));
        return;
    }
    from = from > write->at ? from : write->at;
    to = to < write->at + write->length ? to : write->at + write->length;
    if (to > content->length)
        set_length(content, to);
    memcpy(content->bytes + from, write->bytes + (from - write->at), (size_t)(to - from));
}

static void sync_file(struct watched *file)
{
    for (size_t i = 0; i < file->count; i++) {
        apply(&file->synced, &file->writes[i]);
        free(file->writes[i].bytes);
    }
    file->count = 0;
}

static void keep(struct watched *file, int64_t at, const void *bytes, int64_t length)
{
    if (file->count == file->room) {
        file->room = file->room * 2 + 64;
        file->writes = xrealloc(file->writes, file->room * sizeof *file->writes);
    }
    struct write *write = &file->writes[file->count++];
    *write = (struct write){.at = at, .length = length};
    if (bytes != NULL) {
        write->bytes = xrealloc(NULL, (size_t)length + 1);
        memcpy(write->bytes, bytes, (size_t)length);
    }
}

/* ---- a power cut ---------------------------------------------------------------- */

static struct content copy_of(const struct content *content)
{
    struct content copy = {0};
    set_length(&copy, content->length);
    if (content->length > 0)
        memcpy(copy.bytes, content->bytes, (size_t)content->length);
    return copy;
}

/* How many of the writes reached a sector; the same for each of them that asks. */
static size_t reached(const struct watched *file, uint64_t seed, int64_t sector, int share)
{
    uint64_t before = chance_state;
    chance_state = seed ^ ((uint64_t)sector << 20);
    bool whole = percent(share);
    size_t count = whole ? file->count : (size_t)(chance() % (file->count + 1));
    chance_state = before;
    return count;
}

static struct content left_of(const struct watched *file, int share)
{
    struct content left = copy_of(&file->synced);
    uint64_t seed = chance();
    size_t lengths = reached(file, seed, -1, share);
    int64_t length = left.length;
    for (size_t i = 0; i < file->count && share > 0; i++) {
        const struct write *write = &file->writes[i];
        int64_t end = write->at + write->length;
        if (i < lengths && (write->bytes == NULL || end > length))
            length = end;
        int64_t last = write->bytes != NULL ? end - 1 : left.length;
        for (int64_t sector = write->at / SECTOR; sector <= last / SECTOR; sector++)
            if (i < reached(file, seed, sector, share))
                apply_sector(&left, write, sector);
    }
    set_length(&left, length);
    return left;
}

static void save(const struct content *content, const char *path, const char *ending)
{
    freed_by(free_string) char *name = xasprintf("%s%s", path, ending);
    FILE *out = fopen(name, "w");
    size_t length = (size_t)content->length;
    if (out == NULL || (length > 0 && fwrite(content->bytes, 1, length, out) != length) ||
        fclose(out) != 0) {
        perror(name);
        abort();
    }
}

static void cut(void)
{
    static const char *const endings[WATCHED] = {"", "-wal"};
    next_cut.remember(next_cut.context);
    for (int i = 0; i < WATCHED; i++) {
        struct content left = left_of(&files[i], next_cut.share);
        save(&left, next_cut.to, endings[i]);
        free(left.bytes);
    }
    state = CUT;
    pthread_cond_broadcast(&changed);
    while (state == CUT)
        pthread_cond_wait(&changed, &lock);
}

/* With the lock held, before something takes place. */
static void come_to(bool rare)
{
    if (state == AWAITED && (rare || !next_cut.rare) && --next_cut.after <= 0)
        cut();
}

void disk_cut_at(const struct disk_cut *wanted)
{
    pthread_mutex_lock(&lock);
    next_cut = *wanted;
    state = AWAITED;
    pthread_mutex_unlock(&lock);
}

void disk_wait_for_cut(void)
{
    pthread_mutex_lock(&lock);
    while (state != CUT)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void disk_go_on(void)
{
    pthread_mutex_lock(&lock);
    state = NO_CUT;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void sync_all(void)
{
    for (int i = 0; i < WATCHED; i++)
        sync_file(&files[i]);
}

void disk_write_back(void)
{
    pthread_mutex_lock(&lock);
    sync_all();
    pthread_mutex_unlock(&lock);
}

void disk_obey_syncs(bool obey)
{
    pthread_mutex_lock(&lock);
    deaf = !obey;
    pthread_mutex_unlock(&lock);
}

/* ---- the layer ------------------------------------------------------------------- */

/* An open file of SQLite's is its own, with our methods in the place of three of them. */
static struct watched *watched_of(const sqlite3_file *open)
{
    return open->pMethods == &files[0].methods ? &files[0] : &files[1];
}

static int write_file(sqlite3_file *open, const void *bytes, int length, sqlite3_int64 at)
{
    struct watched *file = watched_of(open);
    pthread_mutex_lock(&lock);
    come_to(file == &files[0] || at == 0);
    int answer = file->below->xWrite(open, bytes, length, at);
    if (answer == SQLITE_OK)
        keep(file, at, bytes, length);
    pthread_mutex_unlock(&lock);
    return answer;
}

static int truncate_file(sqlite3_file *open, sqlite3_int64 length)
{
    struct watched *file = watched_of(open);
    pthread_mutex_lock(&lock);
    come_to(true);
    int answer = file->below->xTruncate(open, length);
    if (answer == SQLITE_OK)
        keep(file, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Asks no disk: what is synced is what the layer says. */
static int sync_open_file(sqlite3_file *open, int flags)
{
    struct watched *file = watched_of(open);
    (void)flags;
    pthread_mutex_lock(&lock);
    come_to(file == &files[0]);
    if (!deaf)
        sync_file(file);
    pthread_mutex_unlock(&lock);
    return SQLITE_OK;
}

static int sync_unwatched(sqlite3_file *open, int flags)
{
    (void)open;
    (void)flags;
    return SQLITE_OK;
}

static void watch(sqlite3_file *open, struct watched *file)
{
    if (file->below == NULL) {
        file->below = open->pMethods;
        file->methods = *open->pMethods;
        file->methods.xWrite = write_file;
        file->methods.xTruncate = truncate_file;
        file->methods.xSync = sync_open_file;
    }
    open->pMethods = &file->methods;
}

static void put_layer(sqlite3_file *open, const char *name, int flags)
{
    for (int i = 0; i < WATCHED; i++)
        if (name != NULL && strcmp(name, files[i].path) == 0) {
            watch(open, &files[i]);
            return;
        }
    sqlite3_io_methods *methods =
        flags & SQLITE_OPEN_MAIN_DB ? &methods_of_database : &methods_of_others;
    if (methods->xSync == NULL) {
        *methods = *open->pMethods;
        methods->xSync = sync_unwatched;
    }
    open->pMethods = methods;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *open, int flags,
                     int *flags_r)
{
    (void)vfs;
    int answer = real->xOpen(real, name, open, flags, flags_r);
    if (answer == SQLITE_OK) {
        pthread_mutex_lock(&lock);
        put_layer(open, name, flags);
        pthread_mutex_unlock(&lock);
    }
    return answer;
}

void disk_watch(const char *path)
{
    real = sqlite3_vfs_find(NULL);
    layer = *real;
    layer.zName = "disk";
    layer.xOpen = open_file;
    snprintf(files[0].path, PATH_SIZE, "%s", path);
    snprintf(files[1].path, PATH_SIZE, "%s-wal", path);
    if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK)
        abort();
}

bool disk_is_complete(void)
{
    bool same = true;
    pthread_mutex_lock(&lock);
    sync_all();
    for (int i = 0; i < WATCHED; i++) {
        struct content *content = &files[i].synced;
        FILE *in = fopen(files[i].path, "r");
        uint8_t *bytes = xrealloc(NULL, (size_t)content->length + 1);
        same = same && in != NULL &&
               fread(bytes, 1, (size_t)content->length + 1, in) == (size_t)content->length &&
               memcmp(bytes, content->bytes, (size_t)content->length) == 0;
        free(bytes);
        if (in != NULL)
            fclose(in);
    }
    pthread_mutex_unlock(&lock);
    return same;
}
