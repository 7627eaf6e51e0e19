#include "milter/filter.h"

#include <libmilter/mfapi.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/listen.h"

enum {
    BACKLOG = 1024,
    MAX_PACKET_BYTES = 1024 * 1024, /* libmilter ends connections at 64 KB otherwise, and Postfix
                                       hands on a header of 100 KB in one piece */
};

/* Of a connection; what libmilter keeps for us. */
struct session {
    struct header_message *message; /* NULL: none, or nothing of it is judged */
    bool in_header;                 /* counted in gate.inside */
};

/* Who uses the service, and whether it may still be used. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t left;
    struct header_service *service;
    size_t inside;
    bool ending;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool enter(void)
{
    pthread_mutex_lock(&gate.lock);
    bool open = !gate.ending;
    gate.inside += open;
    pthread_mutex_unlock(&gate.lock);
    return open;
}

static void leave(void)
{
    pthread_mutex_lock(&gate.lock);
    if (--gate.inside == 0)
        pthread_cond_signal(&gate.left);
    pthread_mutex_unlock(&gate.lock);
}

/* ---- what libmilter calls -------------------------------------------------------------------- */

/* What is wanted, which Postfix has all since 2.6: no body, and no answers to what is only kept. */
enum {
    STEPS_LEFT_OUT = SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOBODY,
    STEPS_SILENT = SMFIP_NR_RCPT | SMFIP_NR_HDR,
};

static sfsistat negotiated(SMFICTX *context, unsigned long actions, unsigned long steps,
                           unsigned long unused2, unsigned long unused3,
                           unsigned long *actions_r, unsigned long *steps_r,
                           unsigned long *unused2_r, unsigned long *unused3_r)
{
    static char of_mail[] = "{auth_authen} {client_addr}", of_header[] = "i";
    (void)unused2;
    (void)unused3;
    if ((steps & STEPS_SILENT) != STEPS_SILENT || (steps & SMFIP_NOBODY) == 0 ||
        (actions & SMFIF_SETSYMLIST) == 0) {
        log_line(LOG_ERROR_LEVEL, "a mail server lacks what is needed of the milter protocol: "
                 "expected Postfix 2.6 or newer", NULL);
        return SMFIS_REJECT;
    }
    *actions_r = SMFIF_SETSYMLIST;
    *steps_r = (steps & STEPS_LEFT_OUT) | STEPS_SILENT;
    *unused2_r = *unused3_r = 0;
    if (smfi_setsymlist(context, SMFIM_ENVFROM, of_mail) != MI_SUCCESS ||
        smfi_setsymlist(context, SMFIM_EOH, of_header) != MI_SUCCESS)
        return SMFIS_REJECT;
    return SMFIS_CONTINUE;
}

static const char *macro(SMFICTX *context, char *name)
{
    const char *value = smfi_getsymval(context, name);
    return value != NULL ? value : "";
}

static void forget_message(struct session *session)
{
    if (session == NULL)
        return;
    header_message_free(&session->message);
    if (session->in_header)
        leave();
    session->in_header = false;
}

static struct session *session_of(SMFICTX *context)
{
    struct session *session = smfi_getpriv(context);
    if (session == NULL) {
        session = xcalloc(1, sizeof *session);
        if (smfi_setpriv(context, session) != MI_SUCCESS) {
            free(session);
            session = NULL;
        }
    }
    return session;
}

/* MAIL: of what nobody signed in for nothing more is asked. */
static sfsistat mail(SMFICTX *context, char **words)
{
    static char user[] = "{auth_authen}", client[] = "{client_addr}";
    const struct header_sender sender = {.user = macro(context, user),
                                         .client = macro(context, client),
                                         .address = words[0] != NULL ? words[0] : ""};
    if (sender.user[0] == '\0')
        return SMFIS_ACCEPT;
    struct session *session = session_of(context);
    if (session == NULL || !enter())
        return SMFIS_TEMPFAIL;
    forget_message(session);
    int judged = header_message_begin(gate.service, &sender, clock_wall_ms(), &session->message);
    leave();
    return judged > 0 ? SMFIS_CONTINUE : SMFIS_ACCEPT;
}

static sfsistat recipient(SMFICTX *context, char **words)
{
    struct session *session = smfi_getpriv(context);
    if (session != NULL && session->message != NULL && words[0] != NULL)
        header_message_add_recipient(session->message, words[0]);
    return SMFIS_NOREPLY;
}

static sfsistat field(SMFICTX *context, char *name, char *value)
{
    struct session *session = smfi_getpriv(context);
    if (session == NULL || session->message == NULL)
        return SMFIS_NOREPLY;
    if (!session->in_header)
        session->in_header = enter();
    header_message_add_field(session->message, name, value);
    return SMFIS_NOREPLY;
}

/* libmilter takes a format. */
static char *escaped(struct text *text, const char *line)
{
    for (; *line != '\0'; line++) {
        text_add_char(text, *line);
        if (*line == '%')
            text_add_char(text, '%');
    }
    return text->data;
}

static sfsistat refuse(SMFICTX *context, const struct smtp_reply_lines *lines)
{
    static char code[] = "550", status[] = "5.7.1";
    freed_by(text_free) struct text first = {0};
    freed_by(text_free) struct text second = {0};
    if (smfi_setmlreply(context, code, status, escaped(&first, lines->text),
                        lines->place[0] != '\0' ? escaped(&second, lines->place) : NULL,
                        NULL) != MI_SUCCESS)
        log_line(LOG_ERROR_LEVEL, "a refusal is told without its reason", NULL);
    return SMFIS_REJECT;
}

/* Nothing more is asked of the message: no body, and no question at its end. */
static sfsistat header_ended(SMFICTX *context)
{
    static char queue_id[] = "i";
    struct session *session = smfi_getpriv(context);
    struct smtp_reply_lines lines;
    sfsistat answer = SMFIS_ACCEPT;
    if (session == NULL || session->message == NULL)
        return SMFIS_ACCEPT;
    if (!session->in_header)
        session->in_header = enter(); /* a message without a header */
    if (!session->in_header)
        answer = SMFIS_TEMPFAIL;
    else if (header_message_judge(gate.service, session->message, macro(context, queue_id),
                                  clock_wall_ms(), &lines) == HEADER_REFUSE)
        answer = refuse(context, &lines);
    forget_message(session);
    return answer;
}

static sfsistat aborted(SMFICTX *context)
{
    forget_message(smfi_getpriv(context));
    return SMFIS_CONTINUE;
}

static sfsistat closed(SMFICTX *context)
{
    struct session *session = smfi_getpriv(context);
    forget_message(session);
    free(session);
    smfi_setpriv(context, NULL);
    return SMFIS_CONTINUE;
}

/* ---- the process ----------------------------------------------------------------------------- */

static int listen_at(const char *where, mode_t mode)
{
    freed_by(free_string) char *host = xstrdup(where);
    freed_by(free_string) char *name = NULL;
    char *colon = strrchr(host, ':');
    if (listen_is_path(where)) {
        name = xasprintf("unix:%s", where);
    } else {
        bool is_six = host[0] == '[';
        *colon = '\0';
        if (is_six)
            colon[-1] = '\0';
        name = xasprintf("%s:%s@%s", is_six ? "inet6" : "inet", colon + 1, host + is_six);
    }
    if (smfi_setconn(name) != MI_SUCCESS || smfi_setbacklog(BACKLOG) != MI_SUCCESS)
        return 0;
    mode_t before = umask(0777 & ~mode); /* no moment at which others could connect */
    int opened = smfi_opensocket(true);
    umask(before);
    return opened == MI_SUCCESS;
}

static void *serve(void *unused)
{
    (void)unused;
    if (smfi_main() != MI_SUCCESS) {
        log_line(LOG_ERROR_LEVEL, "libmilter has ended, and says why to syslog", NULL);
        _exit(EXIT_FAILURE);
    }
    return NULL;
}

int filter_start(struct header_service *service, const char *where, mode_t mode)
{
    static char name[] = "sendguard";
    const struct smfiDesc filter = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_envfrom = mail,
        .xxfi_envrcpt = recipient,
        .xxfi_header = field,
        .xxfi_eoh = header_ended,
        .xxfi_abort = aborted,
        .xxfi_close = closed,
        .xxfi_negotiate = negotiated,
    };
    pthread_t thread;
    clock_condition_init(&gate.left);
    gate.service = service;
    smfi_setmaxdatasize(MAX_PACKET_BYTES);
    if (smfi_register(filter) != MI_SUCCESS || !listen_at(where, mode) ||
        pthread_create(&thread, NULL, serve, NULL) != 0) {
        log_line(LOG_ERROR_LEVEL, "cannot serve by libmilter", "listen", where, NULL);
        return 0;
    }
    pthread_detach(thread);
    return 1;
}

/* smfi_stop would wait for up to 5 s: the threads of libmilter end with the process. */
int filter_stop(int timeout_ms)
{
    int64_t until_us = clock_monotonic_us() + timeout_ms * INT64_C(1000);
    pthread_mutex_lock(&gate.lock);
    gate.ending = true;
    while (gate.inside > 0 && clock_condition_wait(&gate.left, &gate.lock, until_us))
        ;
    bool all_left = gate.inside == 0;
    pthread_mutex_unlock(&gate.lock);
    return all_left;
}
