#include "mail/mail_log.h"

#include "mail/queue_id.h"

/* msg_syslog of Postfix 3.7 cuts what it logs. */
enum { CUT_AT_BYTES = 2000 };

const char *const mail_event_kind_names[MAIL_EVENT_KINDS] = {
    "client",  "pickup",    "message-id", "queued", "outcome", "expired",
    "refused", "discarded", "held",       "notice", "removed", "deleted",
};

static bool is_digit(char character) { return character >= '0' && character <= '9'; }

/* ---- what a line is made of ------------------------------------------------------------- */

/* All of these read from the front of `rest` and leave it at what follows. false: not there. */

static bool skip(struct mail_view *rest, const char *string)
{
    if (!mail_view_begins(*rest, string))
        return false;
    *rest = mail_view_from(*rest, strlen(string));
    return true;
}

static struct mail_view cut(struct mail_view *rest, size_t length)
{
    struct mail_view piece = {rest->text, length};
    *rest = mail_view_from(*rest, length);
    return piece;
}

static bool read_number(struct mail_view *rest, int64_t *number_r)
{
    int64_t number = 0;
    size_t length = 0;
    for (; length < rest->length && is_digit(rest->text[length]); length++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, rest->text[length] - '0', &number))
            return false;
    cut(rest, length);
    *number_r = number;
    return length > 0;
}

/* Seconds with a fraction or without. */
static bool read_seconds(struct mail_view *rest, int64_t *ms_r)
{
    int64_t seconds, unit = 100;
    if (!read_number(rest, &seconds) || __builtin_mul_overflow(seconds, SECOND_MS, ms_r))
        return false;
    if (!skip(rest, "."))
        return true;
    size_t digits = 0;
    for (; digits < rest->length && is_digit(rest->text[digits]); digits++, unit /= 10)
        if (__builtin_add_overflow(*ms_r, (rest->text[digits] - '0') * unit, ms_r))
            return false;
    cut(rest, digits);
    return digits > 0;
}

/* How long the quoted local part at the front is, with its marks; 0: it is not closed. */
static size_t quoted_length(struct mail_view rest)
{
    for (size_t i = 1; i < rest.length; i++) {
        if (rest.text[i] == '\\')
            i++;
        else if (rest.text[i] == '"')
            return i + 1;
    }
    return 0;
}

/* "<address>". Quotation marks stand around a whole local part or nowhere. */
static bool read_path(struct mail_view *rest, struct mail_view *path_r)
{
    if (!skip(rest, "<"))
        return false;
    size_t quoted = mail_view_begins(*rest, "\"") ? quoted_length(*rest) : 0;
    const char *end = memchr(rest->text + quoted, '>', rest->length - quoted);
    if (end == NULL)
        return false;
    *path_r = cut(rest, (size_t)(end - rest->text));
    return skip(rest, ">");
}

static bool read_id(struct mail_view *rest, struct mail_view *id_r)
{
    size_t length = 0;
    while (length < rest->length && length <= QUEUE_ID_MAX && rest->text[length] != ':' &&
           rest->text[length] != ')' && rest->text[length] != ' ' && rest->text[length] != ',')
        length++;
    if (!queue_id_is(rest->text, length))
        return false;
    *id_r = cut(rest, length);
    return true;
}

/* ---- smtpd, pickup, cleanup ------------------------------------------------------------- */

/* Each of the following reads what stands behind the queue id. */
enum reading { NO_EVENT, EVENT, MALFORMED };

static enum reading event_when(bool is_right) { return is_right ? EVENT : MALFORMED; }

/* What is left in front of the first of the fields that may follow, each with its ", ". */
static struct mail_view up_to_field(struct mail_view rest, const char *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = mail_view_find(rest, fields[i]);
        if (found != NULL)
            rest.length = (size_t)(found - rest.text);
    }
    return rest;
}

/* sasl_sender is any text of the client, which may look like orig_queue_id: where it is, nothing
 * behind it is believed. A content filter, which may say XFORWARD, has no need of it. */
static enum reading read_client(struct mail_view rest, struct mail_event *event)
{
    static const char user[] = ", sasl_username=", id[] = ", orig_queue_id=";
    static const char *const strangers[] = {", sasl_sender="};
    static const char *const behind_user[] = {id, ", orig_client="};
    event->kind = MAIL_CLIENT;
    rest = up_to_field(rest, strangers, countof(strangers));
    const char *found = mail_view_find(rest, user);
    if (found != NULL) {
        rest = mail_view_from(rest, (size_t)(found - rest.text) + sizeof user - 1);
        event->user = up_to_field(rest, behind_user, countof(behind_user));
        rest = mail_view_from(rest, event->user.length);
        if (event->user.length == 0)
            return MALFORMED;
    }
    found = mail_view_find(rest, id);
    if (found == NULL)
        return EVENT;
    rest = mail_view_from(rest, (size_t)(found - rest.text) + sizeof id - 1);
    return event_when(read_id(&rest, &event->other_id));
}

/* "reject: END-OF-MESSAGE from …", "milter-hold: …", "discard: RCPT from …". What is done for a
 * recipient is done to the whole message, but for a refusal. */
static enum reading read_action(struct mail_view rest, bool of_smtpd, struct mail_event *event)
{
    skip(&rest, "milter-");
    if (skip(&rest, "reject: ")) {
        if (of_smtpd && !mail_view_begins(rest, "END-OF-MESSAGE "))
            return NO_EVENT;
        event->kind = MAIL_REFUSED;
    } else if (skip(&rest, "discard: ")) {
        event->kind = MAIL_DISCARDED;
    } else if (skip(&rest, "hold: ")) {
        event->kind = MAIL_HELD;
    } else {
        return NO_EVENT;
    }
    event->text = rest;
    return EVENT;
}

static enum reading read_smtpd(struct mail_view rest, struct mail_event *event)
{
    return skip(&rest, "client=") ? read_client(rest, event) : read_action(rest, true, event);
}

static enum reading read_cleanup(struct mail_view rest, struct mail_event *event)
{
    if (!skip(&rest, "message-id="))
        return read_action(rest, false, event);
    event->kind = MAIL_MESSAGE_ID;
    event->message_id = rest;
    return EVENT;
}

static enum reading read_pickup(struct mail_view rest, struct mail_event *event)
{
    if (!skip(&rest, "uid="))
        return NO_EVENT;
    event->kind = MAIL_PICKUP;
    if (!read_number(&rest, &event->uid) || !skip(&rest, " from=") ||
        !read_path(&rest, &event->from))
        return MALFORMED;
    if (rest.length > 0 && (!skip(&rest, " orig_id=") || !read_id(&rest, &event->other_id)))
        return MALFORMED;
    return event_when(rest.length == 0);
}

/* ---- qmgr, postsuper, bounce ------------------------------------------------------------ */

static enum reading read_qmgr(struct mail_view rest, struct mail_event *event)
{
    if (mail_view_is(rest, "removed")) {
        event->kind = MAIL_REMOVED;
        return EVENT;
    }
    if (!skip(&rest, "from="))
        return NO_EVENT;
    if (!read_path(&rest, &event->from))
        return MALFORMED;
    if (skip(&rest, ", status=")) {
        event->kind = MAIL_EXPIRED;
        event->forced = skip(&rest, "force-");
        return event_when(mail_view_is(rest, "expired, returned to sender"));
    }
    event->kind = MAIL_QUEUED;
    return event_when(skip(&rest, ", size=") && read_number(&rest, &event->size) &&
                      skip(&rest, ", nrcpt=") && read_number(&rest, &event->recipients) &&
                      mail_view_is(rest, " (queue active)"));
}

static enum reading read_postsuper(struct mail_view rest, struct mail_event *event)
{
    if (mail_view_is(rest, "removed"))
        event->kind = MAIL_DELETED;
    else if (mail_view_is(rest, "placed on hold"))
        event->kind = MAIL_HELD;
    else
        return NO_EVENT;
    return EVENT;
}

static enum reading read_bounce(struct mail_view rest, struct mail_event *event)
{
    event->kind = MAIL_NOTICE;
    event->to_postmaster = skip(&rest, "postmaster ");
    if (!event->to_postmaster && !skip(&rest, "sender "))
        return NO_EVENT;
    if (skip(&rest, "non-delivery notification: "))
        event->notice = MAIL_NOTICE_NON_DELIVERY;
    else if (skip(&rest, "delay notification: "))
        event->notice = MAIL_NOTICE_DELAY;
    else if (skip(&rest, "delivery status notification: "))
        event->notice = MAIL_NOTICE_STATUS;
    else
        return NO_EVENT;
    return event_when(read_id(&rest, &event->other_id) && rest.length == 0);
}

/* ---- outcomes --------------------------------------------------------------------------- */

/* "none", "NAME", "HOST[ADDRESS]:PORT" or "HOST[SOCKET]". */
static bool read_relay(struct mail_view *rest, struct mail_event *event)
{
    const char *comma = rest->length > 0 ? memchr(rest->text, ',', rest->length) : NULL;
    if (comma == NULL || comma == rest->text)
        return false;
    struct mail_view relay = cut(rest, (size_t)(comma - rest->text));
    if (mail_view_is(relay, "none"))
        return true;
    const char *open = memchr(relay.text, '[', relay.length);
    event->relay_host = relay;
    if (open == NULL)
        return true;
    event->relay_host = cut(&relay, (size_t)(open - relay.text));
    relay = mail_view_from(relay, 1);
    const char *close = relay.length > 0 ? memchr(relay.text, ']', relay.length) : NULL;
    if (close == NULL || event->relay_host.length == 0)
        return false;
    struct mail_view address = cut(&relay, (size_t)(close - relay.text));
    if (memchr(address.text, '/', address.length) == NULL)
        event->relay_address = address;
    relay = mail_view_from(relay, 1);
    return relay.length == 0 ||
           (skip(&relay, ":") && read_number(&relay, &event->relay_port) && relay.length == 0);
}

/* "5.1.1" */
static bool read_dsn(struct mail_view *rest, struct mail_view *dsn_r)
{
    struct mail_view all = *rest;
    int64_t class, subject, detail;
    if (!read_number(rest, &class) || !skip(rest, ".") || !read_number(rest, &subject) ||
        !skip(rest, ".") || !read_number(rest, &detail) || subject > 999 || detail > 999 ||
        (class != 2 && class != 4 && class != 5))
        return false;
    *dsn_r = (struct mail_view){all.text, all.length - rest->length};
    return true;
}

static bool read_status(struct mail_view *rest, enum mail_status *status_r)
{
    static const struct {
        const char *name;
        enum mail_status status;
    } names[] = {
        {"sent (", MAIL_SENT},
        {"deferred (", MAIL_DEFERRED},
        {"bounced (", MAIL_BOUNCED},
        {"SOFTBOUNCE (", MAIL_DEFERRED}, /* soft_bounce = yes */
        {"deliverable (", MAIL_DELIVERABLE},
        {"undeliverable (", MAIL_UNDELIVERABLE},
    };
    for (size_t i = 0; i < countof(names); i++)
        if (skip(rest, names[i].name)) {
            *status_r = names[i].status;
            return true;
        }
    return false;
}

static bool read_fields(struct mail_view *rest, struct mail_event *event)
{
    int64_t number;
    if (!read_path(rest, &event->to) ||
        (skip(rest, ", orig_to=") && !read_path(rest, &event->orig_to)))
        return false;
    if (!skip(rest, ", relay=") || !read_relay(rest, event) ||
        (skip(rest, ", conn_use=") && !read_number(rest, &number)))
        return false;
    if (!skip(rest, ", delay=") || !read_seconds(rest, &event->delay_ms) ||
        !skip(rest, ", delays="))
        return false;
    for (int i = 0; i < 4; i++)
        if ((i > 0 && !skip(rest, "/")) || !read_seconds(rest, &number))
            return false;
    return skip(rest, ", dsn=") && read_dsn(rest, &event->dsn) && skip(rest, ", status=") &&
           read_status(rest, &event->status);
}

static int code_of(struct mail_view said)
{
    if (said.length < 3 || said.text[0] < '2' || said.text[0] > '5' || !is_digit(said.text[1]) ||
        !is_digit(said.text[2]) || (said.length > 3 && is_digit(said.text[3])))
        return 0;
    return (said.text[0] - '0') * 100 + (said.text[1] - '0') * 10 + said.text[2] - '0';
}

static enum mail_phase phase_of(struct mail_view tail)
{
    static const struct {
        const char *words;
        enum mail_phase phase;
    } names[] = {
        {" (in reply to MAIL FROM ", MAIL_PHASE_MAIL},
        {" (in reply to RCPT TO ", MAIL_PHASE_RCPT},
        {" (in reply to DATA ", MAIL_PHASE_DATA},
        {" (in reply to end of DATA ", MAIL_PHASE_END_OF_DATA},
        {" while sending MAIL FROM", MAIL_PHASE_MAIL},
        {" while sending RCPT TO", MAIL_PHASE_RCPT},
        {" while sending DATA command", MAIL_PHASE_DATA},
        {" while sending message body", MAIL_PHASE_END_OF_DATA},
        {" while sending end of data", MAIL_PHASE_END_OF_DATA},
    };
    for (size_t i = 0; i < countof(names); i++)
        if (mail_view_begins(tail, names[i].words))
            return names[i].phase;
    return MAIL_PHASE_CONNECT; /* greeting, EHLO, STARTTLS, AUTH and their like */
}

/* Cuts off our words behind a stranger's. They are the last ones, if the line has its end. */
static void cut_tail(struct mail_view *words, const char *begin, struct mail_event *event)
{
    const char *tail = mail_view_find_last(*words, begin);
    if (tail == NULL)
        return;
    struct mail_view rest = mail_view_from(*words, (size_t)(tail - words->text));
    words->length -= rest.length;
    event->phase = phase_of(rest);
}

/* The other server's words, and how far the delivery came. */
static void read_failure(struct mail_view text, bool is_cut, struct mail_event *event)
{
    skip(&text, "delivery temporarily suspended: ");
    if (mail_view_begins(text, "connect to ")) {
        event->phase = MAIL_PHASE_CONNECT;
    } else if (mail_view_begins(text, "conversation with ") ||
               mail_view_begins(text, "lost connection with ")) {
        cut_tail(&text, " while ", event);
    } else if (skip(&text, "host ")) {
        while (text.length > 0 && *text.text != ' ')
            text = mail_view_from(text, 1);
        if (skip(&text, " refused to talk to me: ")) {
            event->phase = MAIL_PHASE_CONNECT;
            event->said = text;
        } else if (skip(&text, " said: ")) {
            if (!is_cut)
                cut_tail(&text, " (in reply to ", event);
            event->said = text;
        }
    }
}

/* The last "queued as ID" or "forwarded as ID". */
static void find_next_id(struct mail_view text, struct mail_event *event)
{
    static const char *const names[] = {"queued as ", "forwarded as "};
    for (size_t i = 0; i < countof(names); i++) {
        const char *found = mail_view_find_last(text, names[i]);
        if (found == NULL)
            continue;
        struct mail_view rest = mail_view_from(text, (size_t)(found - text.text));
        if (skip(&rest, names[i]) && read_id(&rest, &event->other_id))
            return;
    }
}

/* The address of SMTP cannot look like fields; that of the sendmail command can, with a domain in
 * which there are blanks. All of it ends at error(8), which never delivers. */
static enum reading read_outcome(struct mail_view rest, bool of_error, bool is_cut,
                                 struct mail_event *event)
{
    if (!skip(&rest, "to="))
        return NO_EVENT;
    event->kind = MAIL_OUTCOME;
    if (!read_fields(&rest, event))
        return MALFORMED;
    bool ended = rest.length > 0 && rest.text[rest.length - 1] == ')';
    if ((!ended && !is_cut) || (of_error && event->status == MAIL_SENT))
        return MALFORMED;
    event->text = rest;
    event->text.length -= ended;
    event->attempted = !(of_error && event->status == MAIL_DEFERRED);
    if (event->status == MAIL_SENT) {
        event->said = code_of(event->text) != 0 ? event->text : (struct mail_view){0};
        find_next_id(event->text, event);
    } else {
        read_failure(event->text, is_cut, event);
    }
    event->code = code_of(event->said);
    return EVENT;
}

/* ---- by program ------------------------------------------------------------------------- */

static enum reading read_by_program(struct mail_view program, struct mail_view rest, bool is_cut,
                                    struct mail_event *event)
{
    static const struct {
        const char *program;
        enum reading (*read)(struct mail_view rest, struct mail_event *event);
    } readers[] = {
        {"smtpd", read_smtpd},   {"cleanup", read_cleanup}, {"qmgr", read_qmgr},
        {"pickup", read_pickup}, {"bounce", read_bounce},   {"postsuper", read_postsuper},
    };
    static const char *const agents[] = {"smtp", "lmtp", "local", "virtual", "pipe", "discard"};
    for (size_t i = 0; i < countof(readers); i++)
        if (mail_view_is(program, readers[i].program))
            return readers[i].read(rest, event);
    for (size_t i = 0; i < countof(agents); i++)
        if (mail_view_is(program, agents[i]))
            return read_outcome(rest, false, is_cut, event);
    return mail_view_is(program, "error") ? read_outcome(rest, true, is_cut, event) : NO_EVENT;
}

int mail_log_event(struct mail_view program, struct mail_view body, struct mail_event *event_r,
                   bool *malformed_r)
{
    struct mail_event event = {0};
    struct mail_view rest = body;
    *malformed_r = false;
    if (!read_id(&rest, &event.queue_id) || !skip(&rest, ": "))
        return 0;
    bool is_cut = body.length >= CUT_AT_BYTES;
    enum reading reading = read_by_program(program, rest, is_cut, &event);
    if (is_cut && reading == EVENT && event.kind == MAIL_PICKUP)
        reading = MALFORMED; /* what looks like an older id may be the sender's */
    *malformed_r = reading == MALFORMED;
    if (reading == EVENT)
        *event_r = event;
    return reading == EVENT;
}
