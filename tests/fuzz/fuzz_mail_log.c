/* A line of a mail log, whoever wrote which part of it: it is cut, read, classed, and what a server
 * said is redacted, in which nothing of a recipient may remain. The first byte: the program that a
 * body without a line around it is from. */
#include <glib.h>
#include <stdlib.h>

#include "mail/queue_id.h"
#include "tests/unit/mail/redacted.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_within(struct mail_view view, struct mail_view body)
{
    require(view.text == NULL || (view.text >= body.text && view.length <= body.length &&
                                  view.text + view.length <= body.text + body.length));
}

/* The local part without quotation marks. false: it is not of plain ASCII, or empty. */
static bool local_of(struct mail_view address, char local_r[4096])
{
    const char *sign = address.length > 0 ? memrchr(address.text, '@', address.length) : NULL;
    size_t length = sign != NULL ? (size_t)(sign - address.text) : address.length, kept = 0;
    bool quoted = length >= 2 && address.text[0] == '"' && address.text[length - 1] == '"';
    if (length == 0 || length >= 1000)
        return false;
    for (size_t i = quoted; i < length - quoted; i++) {
        if (quoted && address.text[i] == '\\' && i + 1 < length - quoted)
            i++;
        if (address.text[i] < ' ' || address.text[i] > '~')
            return false;
        local_r[kept++] = address.text[i];
    }
    local_r[kept] = '\0';
    return kept > 0;
}

static void require_redacted(const struct mail_event *event, struct mail_view text)
{
    const struct mail_view recipients[] = {event->to, event->orig_to};
    char words[REPLY_WORDS_MAX + 1], local[4096];
    size_t length = reply_redact(text, recipients, countof(recipients), words);
    require(length <= REPLY_WORDS_MAX && length == strlen(words));
    require(g_utf8_validate(words, (gssize)length, NULL));
    for (size_t i = 0; i < length; i++) {
        require((unsigned char)words[i] >= ' ' && words[i] != 0x7F);
        if (words[i] == '@' && i > 0)
            require(!g_ascii_isalnum(words[i - 1]) || !g_ascii_isalnum(words[i + 1]));
    }
    for (size_t i = 0; i < countof(recipients); i++)
        if (local_of(recipients[i], local))
            require(!redacted_leaks(words, local));
}

static void try_outcome(const struct mail_event *event)
{
    char site[REPLY_SITE_SIZE];
    require(event->to.text != NULL && event->text.text != NULL && event->dsn.length >= 5);
    require(event->delay_ms >= 0 && event->status < MAIL_STATUSES && event->phase < MAIL_PHASES);
    require(reply_class(event) < REPLY_CLASS_COUNT);
    require(reply_site(event->relay_host, event->relay_address, site) == strlen(site));
    require_redacted(event, event->text);
    require_redacted(event, event->said);
}

static void try_id(struct mail_view id)
{
    int64_t time_us;
    uint8_t packed[QUEUE_ID_PACKED_MAX];
    char again[QUEUE_ID_MAX + 1];
    require(queue_id_is(id.text, id.length));
    if (!queue_id_time(id.text, id.length, &time_us))
        return;
    size_t length = queue_id_pack(id.text, id.length, time_us / 1000, packed);
    if (length > 0) {
        require(queue_id_unpack(packed, length, time_us / 1000, again) == id.length);
        require(memcmp(again, id.text, id.length) == 0);
    }
}

static void try_body(struct mail_view program, struct mail_view body)
{
    struct mail_event event;
    bool malformed = true;
    if (!mail_log_event(program, body, &event, &malformed))
        return;
    require(!malformed && event.kind < MAIL_EVENT_KINDS);
    const struct mail_view views[] = {event.queue_id,   event.other_id,      event.user,
                                      event.message_id, event.from,          event.text,
                                      event.to,         event.orig_to,       event.relay_host,
                                      event.said,       event.relay_address, event.dsn};
    for (size_t i = 0; i < countof(views); i++)
        require_within(views[i], body);
    try_id(event.queue_id);
    if (event.other_id.text != NULL)
        try_id(event.other_id);
    if (event.kind == MAIL_OUTCOME)
        try_outcome(&event);
}

static void try_line(const struct zone *zone, const char *text, size_t length)
{
    struct mail_log_clock clock = {.zone = zone, .reference_us = INT64_C(1795885775000000)};
    struct mail_log_line line, again;
    if (!mail_log_split(text, length, &clock, &line))
        return;
    require(line.count > 0 && line.pid >= 0 && line.body.text + line.body.length <= text + length);
    require(mail_log_split(text, length, &clock, &again) && again.stamp_us == line.stamp_us);
    try_body(line.program, line.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const programs[] = {"smtp",    "smtpd",  "cleanup", "qmgr",
                                           "bounce",  "pickup", "error",   "postsuper"};
    static struct zone *zone;
    if (zone == NULL)
        zone = zone_open("Europe/Berlin");
    if (size == 0)
        return 0;
    const char *program = programs[data[0] % countof(programs)];
    char *copy = xmalloc(size);
    memcpy(copy, data + 1, size - 1);
    copy = xrealloc(copy, size > 1 ? size - 1 : 1);
    try_line(zone, copy, size - 1);
    try_body((struct mail_view){program, strlen(program)}, (struct mail_view){copy, size - 1});
    free(copy);
    return 0;
}
