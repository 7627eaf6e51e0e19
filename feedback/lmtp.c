#include "feedback/lmtp.h"

#include <string.h>
#include <strings.h>

static void reply(struct lmtp *session, const char *text)
{
    text_add(&session->out, text);
    text_add(&session->out, "\r\n");
}

/* The same for each recipient. */
static void reply_all(struct lmtp *session, const char *text)
{
    for (int i = 0; i < session->recipients; i++)
        reply(session, text);
}

static void forget_message(struct lmtp *session)
{
    text_free(&session->message);
    session->has_sender = false;
    session->recipients = 0;
}

/* ---- commands -------------------------------------------------------------------------------- */

static void mistake(struct lmtp *session, const char *text)
{
    reply(session, text);
    if (++session->mistakes < LMTP_MISTAKES_MAX)
        return;
    reply(session, "421 4.7.0 Too many mistakes");
    session->state = LMTP_ENDED;
}

/* "FROM:<…> …" behind MAIL, "TO:<…>" behind RCPT: what is in the brackets is nobody's matter. */
static bool names_path(const char *words, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(words, name, length) != 0)
        return false;
    const char *path = words + length + strspn(words + length, " ");
    return path[0] == '<' && strchr(path, '>') != NULL;
}

static void lhlo(struct lmtp *session, const char *words)
{
    if (words[0] == '\0') {
        mistake(session, "501 5.5.4 LHLO: expected a name");
        return;
    }
    forget_message(session);
    session->greeted = true;
    text_add(&session->out, "250-sendguard-feedback\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                            "250-SIZE\r\n250 ENHANCEDSTATUSCODES\r\n");
}

static void mail(struct lmtp *session, const char *words)
{
    if (!session->greeted || session->has_sender) {
        mistake(session, session->greeted ? "503 5.5.1 MAIL: there is a sender already"
                                          : "503 5.5.1 MAIL: expected LHLO first");
    } else if (!names_path(words, "FROM:")) {
        mistake(session, "501 5.5.4 MAIL: expected FROM:<address>");
    } else {
        session->has_sender = true;
        reply(session, "250 2.1.0 Ok");
    }
}

static void rcpt(struct lmtp *session, const char *words)
{
    if (!session->has_sender) {
        mistake(session, "503 5.5.1 RCPT: expected MAIL first");
    } else if (!names_path(words, "TO:")) {
        mistake(session, "501 5.5.4 RCPT: expected TO:<address>");
    } else if (session->recipients == LMTP_RECIPIENTS_MAX) {
        reply(session, "452 4.5.3 Too many recipients");
    } else {
        session->recipients++;
        reply(session, "250 2.1.5 Ok");
    }
}

static void data(struct lmtp *session, const char *words)
{
    (void)words;
    if (session->recipients == 0) {
        mistake(session, "503 5.5.1 DATA: expected RCPT first");
        return;
    }
    session->state = LMTP_DATA;
    session->place = LMTP_AT_BEGIN;
    reply(session, "354 End with <CR><LF>.<CR><LF>");
}

static void rset(struct lmtp *session, const char *words)
{
    (void)words;
    forget_message(session);
    reply(session, "250 2.0.0 Ok");
}

static void noop(struct lmtp *session, const char *words)
{
    (void)words;
    reply(session, "250 2.0.0 Ok");
}

static void quit(struct lmtp *session, const char *words)
{
    (void)words;
    reply(session, "221 2.0.0 Bye");
    session->state = LMTP_ENDED;
}

static void do_command(struct lmtp *session, const char *line)
{
    static const struct {
        const char *name;
        void (*does)(struct lmtp *session, const char *words);
    } commands[] = {{"LHLO", lhlo}, {"MAIL", mail}, {"RCPT", rcpt}, {"DATA", data},
                    {"RSET", rset}, {"NOOP", noop}, {"QUIT", quit}};
    size_t length = strcspn(line, " ");
    session->done++;
    for (size_t i = 0; i < countof(commands); i++) {
        if (strlen(commands[i].name) != length ||
            strncasecmp(line, commands[i].name, length) != 0)
            continue;
        commands[i].does(session, line + length + strspn(line + length, " "));
        return;
    }
    mistake(session, "500 5.5.1 Expected LHLO, MAIL, RCPT, DATA, RSET, NOOP or QUIT");
}

static void end_line(struct lmtp *session)
{
    struct text *line = &session->line;
    if (line->length > 0 && line->data[line->length - 1] == '\r')
        line->data[--line->length] = '\0';
    if (session->overlong || memchr(text_string(line), '\0', line->length) != NULL) {
        session->done++;
        mistake(session, "500 5.5.2 Expected a line of at most 1024 bytes");
    } else {
        do_command(session, text_string(line));
    }
    session->overlong = false;
    text_clear(line);
}

/* Returns how many bytes were used. */
static size_t take_command(struct lmtp *session, const char *bytes, size_t length)
{
    const char *feed = memchr(bytes, '\n', length);
    size_t used = feed != NULL ? (size_t)(feed - bytes) + 1 : length;
    size_t added = feed != NULL ? used - 1 : used;
    if (session->line.length + added >= LMTP_LINE_MAX)
        session->overlong = true;
    else
        text_add_bytes(&session->line, bytes, added);
    if (feed != NULL)
        end_line(session);
    return used;
}

/* ---- the message ----------------------------------------------------------------------------- */

static void add(struct lmtp *session, const char *bytes, size_t length)
{
    size_t room = LMTP_MESSAGE_MAX - session->message.length;
    if (length > 0)
        text_add_bytes(&session->message, bytes, length < room ? length : room);
}

static void end_message(struct lmtp *session)
{
    int kept = session->keep(session->context, text_string(&session->message),
                             session->message.length);
    reply_all(session, kept > 0 ? "250 2.0.0 Ok: kept" : "451 4.3.0 The store does not answer");
    session->done++;
    session->state = LMTP_COMMANDS;
    forget_message(session);
}

static enum lmtp_place behind(char byte)
{
    return byte == '\r' ? LMTP_BEHIND_CR : LMTP_WITHIN;
}

/* One byte that may belong to an end. */
static void take_byte(struct lmtp *session, char byte)
{
    enum lmtp_place place = session->place;
    if (place == LMTP_BEHIND_DOT_CR && byte == '\n') {
        end_message(session);
        return;
    }
    if (place == LMTP_AT_BEGIN && byte == '.') {
        session->place = LMTP_BEHIND_DOT;
        return;
    }
    if (place == LMTP_BEHIND_DOT && byte == '\r') {
        session->place = LMTP_BEHIND_DOT_CR;
        return;
    }
    if (place == LMTP_BEHIND_DOT_CR)
        add(session, "\r", 1);
    add(session, &byte, 1);
    session->place = place == LMTP_BEHIND_CR && byte == '\n' ? LMTP_AT_BEGIN : behind(byte);
}

/* Returns how many bytes were used. */
static size_t take_data(struct lmtp *session, const char *bytes, size_t length)
{
    if (session->place != LMTP_WITHIN) {
        take_byte(session, bytes[0]);
        return 1;
    }
    const char *end = memchr(bytes, '\r', length);
    size_t used = end != NULL ? (size_t)(end - bytes) + 1 : length;
    add(session, bytes, used);
    session->place = end != NULL ? LMTP_BEHIND_CR : LMTP_WITHIN;
    return used;
}

/* ---- the session ----------------------------------------------------------------------------- */

void lmtp_begin(struct lmtp *session, lmtp_keep *keep, void *context)
{
    *session = (struct lmtp){.keep = keep, .context = context};
    reply(session, "220 sendguard-feedback LMTP");
}

void lmtp_refuse(struct lmtp *session)
{
    *session = (struct lmtp){.state = LMTP_ENDED};
    reply(session, "421 4.3.2 Too many connections");
}

void lmtp_end(struct lmtp *session)
{
    text_free(&session->out);
    text_free(&session->line);
    text_free(&session->message);
}

void lmtp_take(struct lmtp *session, const char *bytes, size_t length)
{
    while (length > 0 && session->state != LMTP_ENDED) {
        size_t used = session->state == LMTP_DATA ? take_data(session, bytes, length)
                                                  : take_command(session, bytes, length);
        bytes += used;
        length -= used;
    }
}
