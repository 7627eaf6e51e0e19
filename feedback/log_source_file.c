/* A log that consists of files. One is open; at its end the next one of the rotation follows, if
 * there is one. Where the program left off is found again by what stands before that place, in
 * whatever file it is now. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "feedback/log_file.h"
#include "feedback/log_rotation.h"
#include "feedback/log_source_inside.h"

enum { TRIES = 100 }; /* while files are being renamed */
enum { WATCHED = IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR };

struct file_source {
    struct log_source base;
    char *folder, *name;
    int folder_fd;         /* while files are looked for */
    int inotify, watch;    /* -1: none */
    struct log_file *file; /* NULL: to be found, by `left` */
    struct log_place left; /* while nothing was returned of `file`: behind the last line before */
};

static struct log_place place_of(const struct file_source *source)
{
    struct log_place place = {0};
    if (source->file != NULL)
        place = log_file_place(source->file);
    return place.offset > 0 ? place : source->left;
}

static void leave_file(struct file_source *source)
{
    source->left = place_of(source);
    if (source->file != NULL && log_file_state(source->file) == LOG_FILE_DAMAGED)
        source->base.noticed[LOG_SOURCE_FILE_DAMAGED]++;
    log_file_free(&source->file);
}

/* Goes on in `file`. */
static void enter(struct file_source *source, struct log_file *file)
{
    leave_file(source);
    source->file = file;
}

/* Looks for the file that has `place`, the one with its inode first, then from the newest on.
 * 1 with *file_r and its number; 0 none has it; -1. */
static int find_place(const struct file_source *source, const struct log_rotation *rotation,
                      const struct log_place *place, struct log_file **file_r, size_t *at_r,
                      struct problem *problem)
{
    int result = 0;
    for (int with_inode = 1; with_inode >= 0 && result == 0; with_inode--)
        for (size_t i = rotation->count; i-- > 0 && result == 0;) {
            if ((rotation->files[i].inode == place->inode) != with_inode)
                continue;
            result = log_file_open(source->folder_fd, rotation->files[i].name, place, file_r,
                                   problem);
            *at_r = i;
        }
    return result;
}

/* The oldest file that was written to after `place`; the log itself always was. `count`: none. */
static size_t oldest_since(const struct log_rotation *rotation, const struct log_place *place)
{
    size_t at = 0;
    while (at < rotation->count && rotation->files[at].mtime_ns <= place->mtime_ns &&
           !(rotation->live && at == rotation->count - 1))
        at++;
    return at;
}

/* How to go on, found out from a list of the files that may be out of date by then. */
struct step {
    struct log_file *next; /* the file to read; NULL: none */
    bool finish;           /* nothing more will be written to the open one */
    bool lost;             /* what was read last is not there any more */
};

/* No file is open. 1, 0 there is none to read, -1. */
static int find(const struct file_source *source, const struct log_rotation *rotation,
                struct step *step, struct problem *problem)
{
    const struct log_place *left = &source->left;
    size_t at = 0;
    int found = 0;
    if (left->offset > 0)
        found = find_place(source, rotation, left, &step->next, &at, problem);
    if (found != 0)
        return found;
    at = oldest_since(rotation, left);
    if (at == rotation->count)
        return 0;
    step->lost = left->offset > 0;
    return log_file_open(source->folder_fd, rotation->files[at].name, NULL, &step->next, problem);
}

/* Where the open file is in the list: 1 with *at_r; 0 it is not there; -1. Its name may have gone
 * to a compressed copy of it. */
static int find_open_file(const struct file_source *source, const struct log_rotation *rotation,
                          size_t *at_r, struct problem *problem)
{
    for (size_t i = 0; i < rotation->count; i++)
        if (rotation->files[i].inode == log_file_inode(source->file)) {
            *at_r = i;
            return 1;
        }
    struct log_place place = log_file_place(source->file);
    freed_by(log_file_free) struct log_file *copy = NULL;
    return place.offset > 0 ? find_place(source, rotation, &place, &copy, at_r, problem) : 0;
}

/* The open file is at its end for now, and is not the log itself. 1, 0 nothing follows yet, -1. */
static int advance(const struct file_source *source, const struct log_rotation *rotation,
                   struct step *step, struct problem *problem)
{
    size_t at = 0;
    int listed = find_open_file(source, rotation, &at, problem);
    if (listed < 0)
        return -1;
    struct log_place place = log_file_place(source->file);
    at = listed ? at + 1 : oldest_since(rotation, &place);
    if (at >= rotation->count)
        return 0;
    const char *name = rotation->files[at].name;
    int opened = 0;
    /* What follows may be what this is a copy of, and not truncated yet. */
    if (place.offset > 0)
        opened = log_file_open(source->folder_fd, name, &place, &step->next, problem);
    if (opened != 0)
        return opened;
    /* The log's one writer has begun the next, so what is in this one now is all. */
    if (!log_file_finished(source->file)) {
        step->finish = true;
        return 1;
    }
    step->lost = !listed;
    return log_file_open(source->folder_fd, name, NULL, &step->next, problem);
}

static void take_step(struct file_source *source, struct step *step)
{
    if (step->lost)
        source->base.noticed[log_file_inode(step->next) == place_of(source).inode
                                 ? LOG_SOURCE_FILE_SHRANK
                                 : LOG_SOURCE_FILE_MISSING]++;
    if (step->finish)
        log_file_finish(source->file);
    else
        enter(source, take(step->next));
}

/* The file that is open, if one is, has no more lines. 1 there is more to read; 0 not now, and
 * *changed_r says that files were renamed meanwhile, so that it may be wrong; -1. */
static int look_further(struct file_source *source, bool *changed_r, struct problem *problem)
{
    struct log_rotation before = {0}, after = {0};
    struct step step = {0};
    int result = log_rotation_list(source->folder_fd, source->name, &before, problem);
    if (result == 1)
        result = source->file == NULL ? find(source, &before, &step, problem)
                                      : advance(source, &before, &step, problem);
    int listed = log_rotation_list(source->folder_fd, source->name, &after, problem);
    *changed_r = listed == 1 && !log_rotation_same(&before, &after);
    if (listed < 0)
        result = -1;
    else if (*changed_r)
        result = 0;
    if (result == 1)
        take_step(source, &step);
    log_file_free(&step.next);
    log_rotation_free(&before);
    log_rotation_free(&after);
    return result;
}

/* The open file is the log itself. */
static bool is_live(const struct file_source *source)
{
    struct stat status;
    return source->file != NULL && fstatat(source->folder_fd, source->name, &status, 0) == 0 &&
           status.st_ino == log_file_inode(source->file);
}

/* After the end of what is open: 1 there is more to read, 0 not now, -1. */
static int go_on(struct file_source *source, struct problem *problem)
{
    source->folder_fd = open(source->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (source->folder_fd < 0 && errno == ENOENT)
        return 0;
    if (source->folder_fd < 0) {
        problem_set(problem, 0, source->folder, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    if (source->file != NULL && log_file_state(source->file) == LOG_FILE_CHANGED)
        leave_file(source);
    int result = 0;
    bool changed = !is_live(source);
    for (int tries = 0; changed && tries < TRIES; tries++)
        result = look_further(source, &changed, problem);
    close(source->folder_fd);
    return result;
}

static int file_next(struct log_source *base, struct log_source_line *line_r,
                     struct problem *problem)
{
    struct file_source *source = (struct file_source *)base;
    for (;;) {
        struct log_source_line line = {0};
        bool cut = false;
        int got = source->file == NULL ? 0
                                       : log_file_line(source->file, &line.text, &line.length, &cut,
                                                       problem);
        if (got == 1) {
            base->noticed[LOG_SOURCE_LINES_CUT] += cut;
            *line_r = line;
            return 1;
        }
        if (got == 0)
            got = go_on(source, problem);
        if (got != 1)
            return got;
    }
}

static void file_cursor(struct log_source *base, struct text *cursor)
{
    struct log_place place = place_of((struct file_source *)base);
    if (place.offset > 0)
        log_place_write(&place, cursor);
}

/* Begins to watch the directory: true if what happened before is not known. */
static bool watch(struct file_source *source)
{
    if (source->inotify < 0)
        source->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (source->inotify < 0 || source->watch >= 0)
        return false;
    source->watch = inotify_add_watch(source->inotify, source->folder, WATCHED);
    return source->watch >= 0;
}

/* 1 one of the log's files changed, 0 another, -1 no more is known. */
static int read_events(struct file_source *source)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t length = read(source->inotify, events, sizeof events);
    if (length <= 0)
        return -1;
    bool of_log = false;
    for (const char *at = events; at < events + length;) {
        const struct inotify_event *event = (const void *)at;
        if ((event->mask & IN_IGNORED) != 0)
            source->watch = -1;
        of_log = of_log || event->len == 0 || log_rotation_has_name(source->name, event->name);
        at += sizeof *event + event->len;
    }
    return of_log;
}

static void file_wait(struct log_source *base, int wait_ms)
{
    struct file_source *source = (struct file_source *)base;
    int64_t end_ms = clock_monotonic_ms() + wait_ms, left_ms = wait_ms;
    if (watch(source))
        return;
    /* poll leaves out a descriptor of -1 */
    struct pollfd events = {.fd = source->inotify, .events = POLLIN};
    while (left_ms > 0 && poll(&events, 1, (int)left_ms) > 0 && read_events(source) == 0)
        left_ms = end_ms - clock_monotonic_ms();
}

static void file_free(struct log_source *base)
{
    struct file_source *source = (struct file_source *)base;
    log_file_free(&source->file);
    if (source->inotify >= 0)
        close(source->inotify);
    free(source->folder);
    free(source->name);
    free(source);
}

int log_source_file_open(const char *path, const char *cursor, struct log_source **source_r,
                         struct problem *problem)
{
    static const struct log_source_kind kind = {file_next, file_cursor, file_wait, file_free};
    const char *name = strrchr(path, '/') + 1;
    if (strlen(name) > NAME_MAX)
        return problem_set(problem, 0, path, "expected a shorter name of a file");
    struct file_source *source = xcalloc(1, sizeof *source);
    source->base.kind = &kind;
    if (cursor != NULL && *cursor != '\0' && !log_place_read(cursor, &source->left))
        source->base.noticed[LOG_SOURCE_CURSOR_LOST] = 1;
    source->folder = path_folder(path);
    source->name = xstrdup(name);
    source->inotify = source->watch = -1;
    *source_r = &source->base;
    return 1;
}
