#include "mailqueue/mailqueue.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* One request: what is asked, and what has come of the answer. */
struct queue_question {
    int fd;
    int64_t until_ms; /* clock_monotonic_ms */
    struct text bytes;
    size_t read; /* of them, as lines */
    struct problem *problem;
};

/* What its lines are for: the last one is none of them. */
typedef bool take_line(void *context, const char *line);

static enum mailqueue_answer fail(struct queue_question *question, const char *why)
{
    problem_set(question->problem, 0, "sendguard-postqueue", "%s", why);
    return MAILQUEUE_BROKEN;
}

static bool wait_for(const struct queue_question *question, short events)
{
    struct pollfd wait = {.fd = question->fd, .events = events};
    for (;;) {
        int64_t left_ms = question->until_ms - clock_monotonic_ms();
        int ready = left_ms > 0 ? poll(&wait, 1, (int)left_ms) : 0;
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

static enum mailqueue_answer connect_to(struct queue_question *question, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(question, "the path of its socket is too long");
    strcpy(address.sun_path, path);
    question->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (question->fd < 0)
        return fail(question, strerror(errno));
    if (connect(question->fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return MAILQUEUE_DONE;
    int error = errno;
    problem_set(question->problem, 0, "sendguard-postqueue", "%s: %s", path, strerror(error));
    return error == ENOENT || error == ECONNREFUSED ? MAILQUEUE_ABSENT
           : error == EACCES || error == EPERM      ? MAILQUEUE_FORBIDDEN
                                                    : MAILQUEUE_BROKEN;
}

static enum mailqueue_answer put(struct queue_question *question, const struct text *request)
{
    for (size_t sent = 0; sent < request->length;) {
        ssize_t count = send(question->fd, request->data + sent, request->length - sent,
                             MSG_NOSIGNAL);
        if (count > 0)
            sent += (size_t)count;
        else if (errno != EINTR && (errno != EAGAIN || !wait_for(question, POLLOUT)))
            return fail(question, "it does not take the request");
    }
    return MAILQUEUE_DONE;
}

/* The next line, with a NUL in the place of its end; NULL: none came whole. */
static const char *get_line(struct queue_question *question)
{
    for (;;) {
        size_t had = question->bytes.length - question->read;
        char *line = question->bytes.data + question->read;
        char *end = had > 0 ? memchr(line, '\n', had) : NULL;
        if (end != NULL) {
            *end = '\0';
            question->read += (size_t)(end + 1 - line);
            return line;
        }
        char piece[4096];
        if (had > 0)
            memmove(question->bytes.data, line, had);
        question->bytes.length = had;
        question->read = 0;
        if (had > MAILQUEUE_LINE_MAX || !wait_for(question, POLLIN))
            return NULL;
        ssize_t count = recv(question->fd, piece, sizeof piece, 0);
        if (count <= 0 && !(count < 0 && (errno == EINTR || errno == EAGAIN)))
            return NULL;
        text_add_bytes(&question->bytes, piece, count > 0 ? (size_t)count : 0);
    }
}

static enum mailqueue_answer get_all(struct queue_question *question, take_line *take_it,
                                     void *context, bool *more_r)
{
    for (;;) {
        const char *line = get_line(question);
        if (line == NULL)
            return fail(question, "it did not answer to the end; its log says why");
        *more_r = strcmp(line, "more") == 0;
        if (*more_r || strcmp(line, "end") == 0)
            return MAILQUEUE_DONE;
        if (strcmp(line, "error") == 0)
            return fail(question, "Postfix's commands fail; its log says how");
        if (strcmp(line, "forbidden") == 0) {
            fail(question, "only the group of its socket and root may ask");
            return MAILQUEUE_FORBIDDEN;
        }
        if (!take_it(context, line))
            return fail(question, "it answers otherwise than expected");
    }
}

static enum mailqueue_answer ask(const char *path, const struct text *request, take_line *take_it,
                                 void *context, bool *more_r, struct problem *problem)
{
    struct queue_question question = {.fd = -1, .problem = problem,
                                .until_ms = clock_monotonic_ms() + MAILQUEUE_TIMEOUT_MS};
    enum mailqueue_answer answer = connect_to(&question, path);
    if (answer == MAILQUEUE_DONE)
        answer = put(&question, request);
    if (answer == MAILQUEUE_DONE)
        answer = get_all(&question, take_it, context, more_r);
    if (question.fd >= 0)
        close(question.fd);
    text_free(&question.bytes);
    return answer;
}

/* ---- release and delete -------------------------------------------------------------------- */

struct acted {
    const char *const *ids;
    size_t count;
    enum mailqueue_result *results;
};

static bool take_result(void *context, const char *line)
{
    struct acted *acted = context;
    char id[QUEUE_ID_MAX + 1];
    enum mailqueue_result result;
    if (mailqueue_protocol_result(line, id, &result) < 1)
        return false;
    for (size_t i = 0; i < acted->count; i++)
        if (strcmp(acted->ids[i], id) == 0 && acted->results[i] == MAILQUEUE_NOT_KNOWN) {
            acted->results[i] = result; /* of one that is asked for twice: each gets its own */
            return true;
        }
    return false;
}

enum mailqueue_answer mailqueue_act(const char *path, enum mailqueue_verb verb,
                                    const char *const *ids, size_t count,
                                    enum mailqueue_result *results_r, struct problem *problem)
{
    enum mailqueue_answer answer = MAILQUEUE_DONE;
    for (size_t i = 0; i < count; i++)
        results_r[i] = MAILQUEUE_NOT_KNOWN;
    for (size_t done = 0; done < count && answer == MAILQUEUE_DONE; done += MAILQUEUE_IDS_MAX) {
        freed_by(text_free) struct text request = {0};
        size_t left = count - done;
        struct acted acted = {ids + done, left < MAILQUEUE_IDS_MAX ? left : MAILQUEUE_IDS_MAX,
                              results_r + done};
        bool more;
        text_add(&request, mailqueue_verb_names[verb]);
        for (size_t i = 0; i < acted.count; i++)
            text_addf(&request, " %s", acted.ids[i]);
        text_add_char(&request, '\n');
        answer = ask(path, &request, take_result, &acted, &more, problem);
    }
    return answer;
}

/* ---- list -------------------------------------------------------------------------------- */

static bool take_message(void *context, const char *line)
{
    struct mailqueue_list *list = context;
    if (list->count == MAILQUEUE_LISTED_MAX)
        return false;
    if ((list->count & (list->count - 1)) == 0) /* room for the next power of two */
        list->messages = xrealloc(list->messages, (list->count == 0 ? 1 : 2 * list->count) *
                                                      sizeof *list->messages);
    return mailqueue_protocol_listed(line, &list->messages[list->count]) > 0 && ++list->count > 0;
}

enum mailqueue_answer mailqueue_held(const char *path, struct mailqueue_list *list_r,
                                     struct problem *problem)
{
    freed_by(text_free) struct text request = {0};
    *list_r = (struct mailqueue_list){0};
    text_addf(&request, "%s\n", mailqueue_verb_names[MAILQUEUE_LIST]);
    enum mailqueue_answer answer =
        ask(path, &request, take_message, list_r, &list_r->more, problem);
    if (answer != MAILQUEUE_DONE)
        mailqueue_list_free(list_r);
    return answer;
}

void mailqueue_list_free(struct mailqueue_list *list)
{
    free(list->messages);
    *list = (struct mailqueue_list){0};
}
