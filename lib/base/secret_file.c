#include "base/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who else can read it knows the secret, who can change the file can choose it. */
static int check(int fd, const char *path, const char *advice, struct problem *problem)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return problem_set(problem, 0, path, "cannot be examined: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return problem_set(problem, 0, path, "is no regular file");
    if ((status.st_mode & 077) != 0)
        return problem_set(problem, 0, path, "is open to others (mode %04o); expected 0600: %s",
                           (unsigned)(status.st_mode & 07777), advice);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return problem_set(problem, 0, path, "belongs to user id %u; expected %u, who runs this",
                           (unsigned)status.st_uid, (unsigned)geteuid());
    return 1;
}

int secret_file_open(const char *path, const char *advice, struct problem *problem)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        int error = errno;
        problem_set(problem, 0, path, "cannot be opened: %s",
                    error == ELOOP ? "is a symbolic link" : strerror(error));
        errno = error;
        return -1;
    }
    if (check(fd, path, advice, problem))
        return fd;
    close(fd);
    errno = 0;
    return -1;
}

ssize_t secret_file_read(int fd, char *bytes_r, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, bytes_r + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static bool is_key(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    return length >= SECRET_LINE_MIN && length <= SECRET_LINE_MAX;
}

int secret_file_line(const char *path, const char *what, const char *advice,
                     char key_r[SECRET_LINE_MAX + 1], struct problem *problem)
{
    char bytes[SECRET_LINE_MAX + 2]; /* a line feed, and one too many */
    int fd = secret_file_open(path, advice, problem);
    if (fd < 0)
        return errno == ENOENT ? problem_set(problem, 0, path, "there is no such file: expected "
                                             "%s; %s", what, advice)
                               : 0;
    ssize_t got = secret_file_read(fd, bytes, sizeof bytes);
    int error = errno;
    close(fd);
    if (got < 0)
        return problem_set(problem, 0, path, "cannot be read: %s", strerror(error));
    size_t length = (size_t)got;
    length -= length > 0 && bytes[length - 1] == '\n';
    bool good = is_key(bytes, length);
    if (good) {
        memcpy(key_r, bytes, length);
        key_r[length] = '\0';
    }
    sodium_memzero(bytes, sizeof bytes);
    return good ? 1
                : problem_set(problem, 0, path, "holds no key: expected one line of %d to %d "
                              "printable characters without a blank; %s", SECRET_LINE_MIN,
                              SECRET_LINE_MAX, advice);
}
