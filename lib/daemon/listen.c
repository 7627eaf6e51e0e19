#include "daemon/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int listen_is_path(const char *where) { return where[0] == '/'; }

int listen_is_on_loopback(const char *where)
{
    static const char *const hosts[] = {"127.", "[::1]:", "localhost:"};
    for (size_t i = 0; i < countof(hosts); i++)
        if (strncmp(where, hosts[i], strlen(hosts[i])) == 0)
            return 1;
    return 0;
}

/* A socket that nobody listens on any more is left from a program that was
 * killed; one that answers is another's. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return errno == ENOENT ? 1 : 0;
    if (!S_ISSOCK(file.st_mode)) {
        errno = EEXIST;
        return 0;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0)
        close(fd);
    if (answers) {
        errno = EADDRINUSE;
        return 0;
    }
    return unlink(address->sun_path) == 0;
}

/* -1, with errno as it was. */
static int give_up(int fd)
{
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return -1;
}

static int listen_unix(const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (!remove_stale(&address))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0777 & ~mode); /* no moment at which others could connect */
    int failed = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
                 listen(fd, backlog) != 0;
    umask(before);
    return failed ? give_up(fd) : fd;
}

static int listen_tcp(const char *where, int backlog)
{
    freed_by(free_string) char *host = xstrdup(where);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (colon == NULL) {
        errno = EINVAL;
        return -1;
    }
    *colon = '\0';
    char *name = host;
    if (*name == '[' && colon > name && colon[-1] == ']') {
        colon[-1] = '\0';
        name++;
    }
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
                    bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, backlog) != 0))
        fd = give_up(fd);
    freeaddrinfo(found);
    return fd;
}

int listen_on(const char *where, mode_t mode, int backlog)
{
    return listen_is_path(where) ? listen_unix(where, mode, backlog)
                                 : listen_tcp(where, backlog);
}
