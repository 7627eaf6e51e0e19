#include "feedback/log_rotation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_packed(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && strcmp(name + length - 3, ".gz") == 0;
}

bool log_rotation_has_name(const char *log, const char *name)
{
    size_t length = strlen(log);
    if (strncmp(name, log, length) != 0)
        return false;
    const char *suffix = name + length;
    if (*suffix == '\0')
        return true;
    if (strchr(".-", suffix[0]) == NULL || strchr("0123456789", suffix[1]) == NULL ||
        suffix[1] == '\0')
        return false;
    suffix += 1 + strspn(suffix + 1, "0123456789-_.T");
    /* the dot of ".gz" is one of these */
    return *suffix == '\0' || (suffix[-1] == '.' && strcmp(suffix, "gz") == 0);
}

static int trouble(const char *name, struct problem *problem)
{
    problem_set(problem, 0, name, "cannot be examined: %s", strerror(errno));
    return -1;
}

/* gzip of nothing has a header with the name, and ends in a length of zero (RFC 1952). */
static bool packed_is_empty(int folder_fd, const char *name, int64_t size)
{
    static const char zero[4];
    char length[4];
    if (size > 32 + NAME_MAX)
        return false;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool empty = fd >= 0 && size >= (int64_t)sizeof length &&
                 pread(fd, length, sizeof length, size - 4) == (ssize_t)sizeof length &&
                 memcmp(length, zero, sizeof length) == 0;
    if (fd >= 0)
        close(fd);
    return empty;
}

/* Adds a file that is not empty. 1, also when it is gone again; -1. */
static int add(struct log_rotation *rotation, int folder_fd, const char *name,
               struct problem *problem)
{
    struct stat status;
    if (fstatat(folder_fd, name, &status, 0) != 0)
        return errno == ENOENT ? 1 : trouble(name, problem);
    if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
        (is_packed(name) && packed_is_empty(folder_fd, name, status.st_size)))
        return 1;
    rotation->files =
        xrealloc(rotation->files, (rotation->count + 1) * sizeof *rotation->files);
    struct log_rotation_file *file = &rotation->files[rotation->count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    file->inode = status.st_ino;
    file->mtime_ns = status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
    return 1;
}

/* For files that were written to in the same tick of the clock: of two numbers the higher is older,
 * of two dates the lower. A date has more digits than a number. */
static int compare_names(const char *a, const char *b)
{
    size_t common = 0;
    while (a[common] != '\0' && a[common] == b[common])
        common++;
    while (common > 0 && strchr("0123456789", a[common - 1]) != NULL)
        common--;
    unsigned long long of_a = strtoull(a + common, NULL, 10), of_b = strtoull(b + common, NULL, 10);
    if (of_a == of_b)
        return strcmp(a, b);
    return (of_a < of_b ? -1 : 1) * (of_a < 10000 && of_b < 10000 ? -1 : 1);
}

static int compare(const void *a, const void *b)
{
    const struct log_rotation_file *one = a, *other = b;
    if (one->mtime_ns != other->mtime_ns)
        return one->mtime_ns < other->mtime_ns ? -1 : 1;
    return compare_names(one->name, other->name);
}

/* Drops compressed copies of files that are there, sorts, and puts the log itself last. */
static void arrange(struct log_rotation *rotation, const char *log)
{
    struct log_rotation_file *files = rotation->files, live;
    size_t kept = 0;
    for (size_t i = 0; i < rotation->count; i++) {
        size_t length = strlen(files[i].name) - (is_packed(files[i].name) ? 3 : 0);
        bool twice = false;
        for (size_t j = 0; j < rotation->count && files[i].name[length] != '\0'; j++)
            twice = twice || (strlen(files[j].name) == length &&
                              memcmp(files[i].name, files[j].name, length) == 0);
        if (strcmp(files[i].name, log) == 0) {
            live = files[i];
            rotation->live = true;
        } else if (!twice) {
            files[kept++] = files[i];
        }
    }
    if (kept > 0)
        qsort(files, kept, sizeof *files, compare);
    if (rotation->live)
        files[kept++] = live;
    rotation->count = kept;
}

int log_rotation_list(int folder_fd, const char *name, struct log_rotation *rotation_r,
                      struct problem *problem)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        trouble(name, problem);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    int result = 1;
    for (const struct dirent *entry; result == 1 && (entry = readdir(folder)) != NULL;)
        if (log_rotation_has_name(name, entry->d_name))
            result = add(rotation_r, folder_fd, entry->d_name, problem);
    closedir(folder);
    arrange(rotation_r, name);
    return result;
}

bool log_rotation_same(const struct log_rotation *a, const struct log_rotation *b)
{
    bool equal = a->count == b->count && a->live == b->live;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = a->files[i].inode == b->files[i].inode &&
                strcmp(a->files[i].name, b->files[i].name) == 0;
    return equal;
}

void log_rotation_free(struct log_rotation *rotation)
{
    free(rotation->files);
    *rotation = (struct log_rotation){0};
}
