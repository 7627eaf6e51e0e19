#include "auth/stolen_range.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret_file.h"

enum { PREFIX = 5, SUFFIX = 35, COUNT_MAX = 12 };

static const char digits[] = "0123456789ABCDEF";

/* Nothing else of the path gets into the name of a file. */
static int read_prefix(const char *path, char prefix_r[PREFIX + 1], struct problem *problem)
{
    const char *asked = path + strlen(STOLEN_RANGE_PATH);
    for (size_t i = 0; i <= PREFIX; i++) {
        char letter = asked[i] >= 'a' && asked[i] <= 'f' ? (char)(asked[i] - 0x20) : asked[i];
        if ((letter == '\0') != (i == PREFIX) || strchr(digits, letter) == NULL)
            return problem_set(problem, 400, "range", "expected five hexadecimal digits");
        prefix_r[i] = letter;
    }
    return 1;
}

/* An open file, or -1 with errno. */
static int open_range(const char *folder, const char *prefix)
{
    static const char *const ends[] = {".txt", ""};
    int fd = -1;
    for (size_t i = 0; i < countof(ends) && fd < 0; i++) {
        char *path = xasprintf("%s/%s%s", folder, prefix, ends[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        int error = errno;
        free(path);
        errno = error;
        if (fd < 0 && error != ENOENT)
            break;
    }
    return fd;
}

/* 1, or 0 with errno. */
static int read_whole(int fd, struct text *body)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return 0;
    errno = S_ISREG(status.st_mode) ? EFBIG : EINVAL;
    if (!S_ISREG(status.st_mode) || status.st_size > STOLEN_RANGE_MAX_BYTES)
        return 0;
    size_t size = (size_t)status.st_size;
    char *bytes = xmalloc(size + 1);
    ssize_t got = secret_file_read(fd, bytes, size);
    if (got >= 0)
        text_add_bytes(body, bytes, (size_t)got);
    int error = errno;
    free(bytes);
    errno = error;
    return got >= 0;
}

static bool is_line(const char *line, size_t length)
{
    size_t count = length - SUFFIX - 1;
    return length > SUFFIX + 1 && strspn(line, digits) == SUFFIX && line[SUFFIX] == ':' &&
           count <= COUNT_MAX && strspn(line + SUFFIX + 1, "0123456789") == count;
}

/* Of what a broken download or another list of passwords holds nobody must read: not stolen. */
static bool is_range(const char *bytes)
{
    bool any = false;
    while (*bytes != '\0') {
        size_t length = strcspn(bytes, "\r\n");
        if (!is_line(bytes, length))
            return false;
        any = true;
        bytes += length;
        bytes += *bytes == '\r';
        bytes += *bytes == '\n';
    }
    return any;
}

static int fail(const char *prefix, struct problem *problem)
{
    return errno == ENOENT
               ? problem_set(problem, 404, "range", "there is no file of this range here")
               : problem_set(problem, 500, "auth.range_dir", "%s: %s", prefix, strerror(errno));
}

int stolen_range_read(const char *folder, const char *path, struct text *body,
                      struct problem *problem)
{
    char prefix[PREFIX + 1];
    if (!read_prefix(path, prefix, problem))
        return 0;
    if (folder[0] == '\0')
        return problem_set(problem, 404, "range", "auth.range_dir is not set");
    int fd = open_range(folder, prefix);
    if (fd < 0)
        return fail(prefix, problem);
    size_t before = body->length;
    int whole = read_whole(fd, body);
    int error = errno;
    close(fd);
    errno = error;
    if (!whole)
        return fail(prefix, problem);
    const char *bytes = text_string(body) + before;
    if (strlen(bytes) == body->length - before && is_range(bytes))
        return 1;
    body->length = before;
    return problem_set(problem, 500, "auth.range_dir",
                       "%s: expected lines of 35 hexadecimal digits, a colon and a count", prefix);
}
