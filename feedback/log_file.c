#include "feedback/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "feedback/log_source.h"

enum { READ_AT_ONCE = 64 * 1024 };

struct log_file {
    int fd;
    gzFile packed; /* NULL: plain. Owns fd */
    uint64_t inode;
    int64_t mtime_ns;
    enum log_file_state state;
    bool finished, inside_line;
    /* What of `bytes` was not returned: `start` to `end`. At least LOG_PLACE_MARK bytes of the file
     * stand before it, or all that the file has there. */
    size_t start, searched, end;
    int64_t offset; /* of `start` */
    size_t head_length;
    char head[LOG_PLACE_MARK]; /* how the file begins, as far as it was read */
    char bytes[LOG_PLACE_MARK + LOG_SOURCE_LINE_MAX + READ_AT_ONCE];
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int trouble(const char *name, const char *what, struct problem *problem)
{
    problem_set(problem, 0, name, "%s: %s", what, strerror(errno));
    return -1;
}

/* All of `length` bytes at `offset`: 1, or 0 they are not there, also not readable. */
static int read_at(struct log_file *file, int64_t offset, char *bytes_r, size_t length)
{
    if (file->packed != NULL)
        return gzseek(file->packed, offset, SEEK_SET) == offset &&
               gzread(file->packed, bytes_r, (unsigned)length) == (int)length;
    for (size_t have = 0; have < length;) {
        ssize_t got = pread(file->fd, bytes_r + have, length - have, offset + (off_t)have);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return 0;
        have += got > 0 ? (size_t)got : 0;
    }
    return 1;
}

static bool hash_is(const char *bytes, size_t length, const uint8_t hash[16])
{
    uint8_t found[16];
    log_place_hash(bytes, length, found);
    return memcmp(found, hash, sizeof found) == 0;
}

/* 1 the file is behind the place, 0 it has no such place. */
static int go_to(struct log_file *file, const struct log_place *place)
{
    size_t length = smaller((size_t)place->offset, LOG_PLACE_MARK);
    if (!read_at(file, 0, file->head, length) || !hash_is(file->head, length, place->head) ||
        !read_at(file, place->offset - (int64_t)length, file->bytes, length) ||
        !hash_is(file->bytes, length, place->tail))
        return 0;
    file->head_length = file->start = file->end = length;
    file->offset = place->offset;
    file->inside_line = place->inside_line;
    return 1;
}

/* Takes what it knows of the file from the descriptor: 1, -1. */
static int examine(struct log_file *file, const char *name, struct problem *problem)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return trouble(name, "cannot be examined", problem);
    file->inode = status.st_ino;
    file->mtime_ns = status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
    if (S_ISREG(status.st_mode))
        return 1;
    problem_set(problem, 0, name, "is no regular file");
    return -1;
}

void log_file_free(struct log_file **file)
{
    if (*file == NULL)
        return;
    if ((*file)->packed != NULL)
        gzclose((*file)->packed);
    else
        close((*file)->fd);
    free(take(*file));
}

/* Leaves `length` bytes behind. */
static void pass(struct log_file *file, size_t length)
{
    file->start += length;
    file->offset += (int64_t)length;
    file->searched = 0;
}

static int fill_packed(struct log_file *file)
{
    int got = gzread(file->packed, file->bytes + file->end,
                     (unsigned)(sizeof file->bytes - file->end));
    int error = Z_OK;
    (void)gzerror(file->packed, &error);
    if (got > 0)
        file->end += (size_t)got;
    else if (error != Z_OK && error != Z_STREAM_END)
        file->state = LOG_FILE_DAMAGED;
    return got > 0;
}

/* The first bytes of the file are still what they were. */
static bool has_head(struct log_file *file)
{
    char head[LOG_PLACE_MARK];
    return read_at(file, 0, head, file->head_length) &&
           memcmp(head, file->head, file->head_length) == 0;
}

/* `bytes` has more of the file: as much as belongs to its head. */
static void keep_head(struct log_file *file)
{
    int64_t first = file->offset - (int64_t)file->start; /* the place of bytes[0] in the file */
    if (first > 0 || file->head_length == LOG_PLACE_MARK)
        return;
    file->head_length = smaller(file->end, LOG_PLACE_MARK);
    memcpy(file->head, file->bytes, file->head_length);
}

/* One call reads what is new and, before it, what was read already: that this or the beginning has
 * changed shows a truncation, even if the file has grown again since beyond the place. */
static int fill_plain(struct log_file *file, struct problem *problem)
{
    char known[LOG_PLACE_MARK];
    size_t overlap = smaller(file->end, sizeof known);
    struct iovec parts[] = {{known, overlap},
                            {file->bytes + file->end, sizeof file->bytes - file->end}};
    int64_t at = file->offset + (int64_t)(file->end - file->start) - (int64_t)overlap;
    ssize_t got = preadv(file->fd, parts, countof(parts), at);
    if (got < 0 && errno == EINTR)
        return fill_plain(file, problem);
    if (got < 0)
        return trouble("log file", "cannot be read", problem);
    if ((size_t)got < overlap ||
        memcmp(known, file->bytes + file->end - overlap, overlap) != 0 || !has_head(file)) {
        file->state = LOG_FILE_CHANGED;
        return 0;
    }
    file->end += (size_t)got - overlap;
    return (size_t)got > overlap ? examine(file, "log file", problem) : 0;
}

/* Reads more: 1, 0 there is nothing more now, -1. */
static int fill(struct log_file *file, struct problem *problem)
{
    size_t before = smaller(file->start, LOG_PLACE_MARK), left_out = file->start - before;
    memmove(file->bytes, file->bytes + left_out, file->end - left_out);
    file->start = before;
    file->end -= left_out;
    int got = file->packed != NULL ? fill_packed(file) : fill_plain(file, problem);
    keep_head(file);
    return got;
}

int log_file_open(int folder_fd, const char *name, const struct log_place *place,
                  struct log_file **file_r, struct problem *problem)
{
    size_t length = strlen(name);
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : trouble(name, "cannot be opened", problem);
    freed_by(log_file_free) struct log_file *file = xmalloc(sizeof *file);
    memset(file, 0, offsetof(struct log_file, head));
    file->fd = fd;
    if (examine(file, name, problem) < 0)
        return -1;
    if (length > 3 && strcmp(name + length - 3, ".gz") == 0) {
        file->packed = gzdopen(fd, "r");
        if (file->packed == NULL)
            return trouble(name, "cannot be decompressed", problem);
    }
    /* What it holds now is known from here on, so that a truncation is seen. */
    int found = place != NULL ? go_to(file, place) : fill(file, problem);
    if (found == 0 && file->state == LOG_FILE_AT_END)
        return 0;
    if (found >= 0)
        *file_r = take(file);
    return found < 0 ? -1 : 1;
}

/* The line that begins at `start`, or the rest of one that was cut there, has `length` bytes, and
 * `behind` bytes end it. 1 it is one to return; 0 it was the rest of one. */
static int end_line(struct log_file *file, size_t length, size_t behind, const char **text_r,
                    size_t *length_r)
{
    bool rest = file->inside_line;
    *text_r = file->bytes + file->start;
    *length_r = length;
    file->inside_line = false;
    pass(file, length + behind);
    return !rest;
}

/* The same as log_file_line, of what is in memory already. 0: more is needed. */
static int buffered_line(struct log_file *file, const char **text_r, size_t *length_r, bool *cut_r)
{
    *cut_r = false;
    for (;;) {
        const char *from = file->bytes + file->start;
        size_t seen = smaller(file->end - file->start, LOG_SOURCE_LINE_MAX + 1);
        const char *feed = memchr(from + file->searched, '\n', seen - file->searched);
        file->searched = seen;
        if (feed != NULL) {
            if (end_line(file, (size_t)(feed - from), 1, text_r, length_r))
                return 1;
        } else if (file->inside_line && seen > 0) {
            pass(file, seen);
        } else if (seen > LOG_SOURCE_LINE_MAX) {
            *cut_r = end_line(file, LOG_SOURCE_LINE_MAX, 0, text_r, length_r) != 0;
            file->inside_line = true;
            return 1;
        } else {
            return 0;
        }
    }
}

int log_file_line(struct log_file *file, const char **text_r, size_t *length_r, bool *cut_r,
                  struct problem *problem)
{
    for (;;) {
        if (buffered_line(file, text_r, length_r, cut_r))
            return 1;
        int more = file->state == LOG_FILE_AT_END ? fill(file, problem) : 0;
        if (more < 0)
            return -1;
        if (more == 0 && file->finished && file->state != LOG_FILE_CHANGED &&
            file->end > file->start)
            return end_line(file, file->end - file->start, 0, text_r, length_r);
        if (more == 0)
            return 0;
    }
}

enum log_file_state log_file_state(const struct log_file *file)
{
    return file->state;
}

void log_file_finish(struct log_file *file)
{
    file->finished = true;
}

bool log_file_finished(const struct log_file *file)
{
    return file->finished;
}

uint64_t log_file_inode(const struct log_file *file)
{
    return file->inode;
}

struct log_place log_file_place(const struct log_file *file)
{
    struct log_place place = {.offset = file->offset,
                              .inode = file->inode,
                              .mtime_ns = file->mtime_ns,
                              .inside_line = file->inside_line};
    size_t length = smaller((size_t)file->offset, LOG_PLACE_MARK);
    log_place_hash(file->head, length, place.head);
    log_place_hash(file->bytes + file->start - length, length, place.tail);
    return place;
}
