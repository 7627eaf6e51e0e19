#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum {
    VALUE_MAX_BYTES = 1024,
    LINE_MAX_BYTES = 4096, /* what a pipe takes in one piece: PIPE_BUF on Linux */
};
static const char cut_mark[] = " cut=true\n";

static _Atomic int lowest_level = LOG_INFO_LEVEL;
static _Atomic int descriptor = STDERR_FILENO;

void log_set_level(enum log_level level) { atomic_store(&lowest_level, (int)level); }

int log_set_fd(int fd) { return atomic_exchange(&descriptor, fd); }

static void add_now(struct text *line)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    text_add(line, "time=");
    text_add_time_ms(line, (int64_t)now.tv_sec * SECOND_MS + now.tv_nsec / 1000000);
}

/* Bytes of a value that needs neither quotation marks nor a cut; 0 of any other. */
static size_t plain_length(const char *value)
{
    static const bool special[256] = {
        [0 ... ' '] = true, ['"'] = true, ['='] = true, ['\\'] = true, [0x7F ... 0xFF] = true};
    size_t length = 0;
    while (!special[(unsigned char)value[length]])
        length++;
    return value[length] == '\0' && length <= VALUE_MAX_BYTES ? length : 0;
}

/* A copy of at most VALUE_MAX_BYTES, cut between characters. Some terminals obey the control
 * characters U+0080 to U+009F, which JSON lets pass: they become U+00BF. */
static void copy_value(char copy[VALUE_MAX_BYTES + 4], const char *value)
{
    size_t length = strnlen(value, VALUE_MAX_BYTES + 1);
    int too_long = length > VALUE_MAX_BYTES;
    if (too_long)
        for (length = VALUE_MAX_BYTES; length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80;)
            length--;
    memcpy(copy, value, length);
    strcpy(copy + length, too_long ? "\xE2\x80\xA6" : "");
    for (size_t i = 0; i + 1 < length; i++)
        if ((unsigned char)copy[i] == 0xC2 && (unsigned char)copy[i + 1] >= 0x80 &&
            (unsigned char)copy[i + 1] < 0xA0)
            copy[i + 1] = (char)0xBF;
}

static void add_pair(struct text *line, const char *key, const char *value)
{
    char copy[VALUE_MAX_BYTES + 4];
    size_t plain = plain_length(value);
    text_add_char(line, ' ');
    text_add(line, key);
    text_add_char(line, '=');
    if (plain > 0) {
        text_add_bytes(line, value, plain);
    } else {
        copy_value(copy, value);
        text_add_json(line, copy);
    }
}

/* There is nowhere to complain to when the log cannot be written. */
static void write_line(const char *bytes, size_t length)
{
    int fd = atomic_load(&descriptor);
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

/* Lines that wait for each other. */
static _Thread_local struct {
    bool gathers;
    size_t length;
    char bytes[LINE_MAX_BYTES];
} gathered;

static void write_gathered(void)
{
    write_line(gathered.bytes, gathered.length);
    gathered.length = 0;
}

void log_gather(void) { gathered.gathers = true; }

void log_release(void)
{
    write_gathered();
    gathered.gathers = false;
}

static void put_line(const char *bytes, size_t length)
{
    if (gathered.length + length > sizeof gathered.bytes)
        write_gathered();
    if (!gathered.gathers || length > sizeof gathered.bytes) {
        write_line(bytes, length);
        return;
    }
    memcpy(gathered.bytes + gathered.length, bytes, length);
    gathered.length += length;
}

void log_line(enum log_level level, const char *message, ...)
{
    static const char *const level_names[] = {"debug", "info", "warning", "error"};
    if ((int)level < atomic_load(&lowest_level))
        return;
    int saved_errno = errno;
    freed_by(text_free) struct text line = {0};
    add_now(&line);
    add_pair(&line, "level", level_names[level]);
    add_pair(&line, "msg", message);
    const char *ending = "\n", *key;
    va_list pairs;
    va_start(pairs, message);
    while ((key = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        size_t length_before = line.length;
        if (value == NULL)
            continue;
        add_pair(&line, key, value);
        if (line.length > LINE_MAX_BYTES - strlen(cut_mark)) {
            line.length = length_before;
            ending = cut_mark;
            break;
        }
    }
    va_end(pairs);
    text_add(&line, ending);
    put_line(line.data, line.length);
    errno = saved_errno;
}

int log_changed(struct log_once *once, int state)
{
    return atomic_exchange(&once->state, state) != state;
}

int log_is_due(_Atomic int64_t *told_ms, int64_t now_ms)
{
    int64_t last_ms = *told_ms;
    bool lately = last_ms != 0 && now_ms >= last_ms && now_ms - last_ms < HOUR_MS;
    return !lately && atomic_compare_exchange_strong(told_ms, &last_ms, now_ms);
}
