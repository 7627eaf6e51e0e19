#include "base/secret_file.h"

#include <errno.h>
#include <fcntl.h>
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
