/* What the load client sends: submissions as a webmail makes them, rendered
 * once, complete with their FastCGI records or HTTP head. All that varies has a
 * fixed width, so the next request is the last one with other digits in it. */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "population.h"

enum protocol { PROTOCOL_FASTCGI, PROTOCOL_HTTP };

enum { RECIPIENTS_MAX = 300, FCGI_HEAD_BYTES = 8 };
enum fcgi_type { FCGI_BEGIN = 1, FCGI_END = 3, FCGI_PARAMS = 4, FCGI_STDIN = 5, FCGI_STDOUT = 6 };

#define REQUEST_PATH "/sendguard/submissions"
#define REQUEST_ID "<0000000000000000.00000000@webmail.bench.test>"
#define REQUEST_RECIPIENT "Pat Example 000000 <pat000000@outside000.test>"
#define REQUEST_BLOCKED "Pat Example 000000 <pat000000@blocked000.test>"
enum { ID_RUN_AT = 1, ID_RUN_DIGITS = 16, ID_COUNT_AT = 18, ID_COUNT_DIGITS = 8 };

struct request {
    struct text bytes;
    size_t id_at, mailbox_at, from_at, ip_at;
    size_t recipient_count, recipients_at[RECIPIENTS_MAX];
};

/* The next submission: of mailbox `mailbox`, number `count` of run `run`. */
static inline void request_make(struct request *request, uint32_t mailbox, uint64_t run,
                                uint64_t count, uint64_t *random)
{
    char *bytes = request->bytes.data;
    hex_put(bytes + request->id_at + ID_RUN_AT, ID_RUN_DIGITS, run);
    hex_put(bytes + request->id_at + ID_COUNT_AT, ID_COUNT_DIGITS, count);
    mailbox_put(bytes + request->mailbox_at, mailbox);
    mailbox_put(bytes + request->from_at, mailbox);
    ip_put(bytes + request->ip_at, mailbox);
    for (size_t i = 0; i < request->recipient_count; i++) {
        char *recipient = bytes + request->recipients_at[i];
        uint32_t number = random_below(random, 1000000), domain = random_below(random, 1000);
        digits_put(recipient + strlen("Pat Example "), 6, number);
        digits_put(recipient + strlen("Pat Example 000000 <pat"), 6, number);
        digits_put(recipient + strlen("Pat Example 000000 <pat000000@outside"), 3, domain);
    }
}

/* ---- rendering ----------------------------------------------------------- */

/* Adds `value` and tells where it begins. */
static inline size_t add_at(struct text *text, const char *value)
{
    size_t at = text->length;
    text_add(text, value);
    return at;
}

static inline void render_body(struct request *request, const char *recipient, struct text *body)
{
    text_add(body, "{\"id\":\"");
    request->id_at = add_at(body, REQUEST_ID);
    text_add(body, "\",\"mailbox\":\"");
    request->mailbox_at = add_at(body, POPULATION_MAILBOX);
    text_add(body, "\",\"ip\":\"");
    request->ip_at = add_at(body, POPULATION_IP);
    text_add(body, "\",\"from\":\"");
    request->from_at = add_at(body, POPULATION_MAILBOX);
    text_add(body, "\",\"lang\":\"en\",\"to\":[");
    for (size_t i = 0; i < request->recipient_count; i++) {
        text_add(body, i > 0 ? ",\"" : "\"");
        request->recipients_at[i] = add_at(body, recipient);
        text_add(body, "\"");
    }
    text_add(body, "]}");
}

static inline void add_record(struct text *text, enum fcgi_type type, const char *content,
                              size_t length)
{
    unsigned char head[FCGI_HEAD_BYTES] = {1, (unsigned char)type, 0, 1,
                                           (unsigned char)(length >> 8), (unsigned char)length};
    text_add_bytes(text, (const char *)head, sizeof head);
    text_add_bytes(text, content, length);
}

/* Names and values are shorter than 128 bytes: one byte of length each. */
static inline void add_param(struct text *params, const char *name, const char *value)
{
    text_add_char(params, (char)strlen(name));
    text_add_char(params, (char)strlen(value));
    text_add(params, name);
    text_add(params, value);
}

/* The parameters that nginx's fastcgi_params would bring, and the trust. */
static inline void add_params(struct text *params, size_t body_bytes)
{
    static const char *const fixed[][2] = {
        {"QUERY_STRING", ""},
        {"REQUEST_METHOD", "POST"},
        {"CONTENT_TYPE", "application/json"},
        {"SCRIPT_NAME", REQUEST_PATH},
        {"REQUEST_URI", REQUEST_PATH},
        {"DOCUMENT_URI", REQUEST_PATH},
        {"DOCUMENT_ROOT", "/nonexistent"},
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"REQUEST_SCHEME", "http"},
        {"GATEWAY_INTERFACE", "CGI/1.1"},
        {"SERVER_SOFTWARE", "bench"},
        {"REMOTE_ADDR", "127.0.0.1"},
        {"REMOTE_PORT", "50000"},
        {"SERVER_ADDR", "127.0.0.1"},
        {"SERVER_PORT", "8081"},
        {"SERVER_NAME", "localhost"},
        {"HTTP_HOST", "localhost"},
        {"HTTP_CONTENT_TYPE", "application/json"},
        {"SENDGUARD_TRUSTED", "1"},
        {"SENDGUARD_FORWARD", ""},
    };
    char length[24];
    snprintf(length, sizeof length, "%zu", body_bytes);
    for (size_t i = 0; i < countof(fixed); i++)
        add_param(params, fixed[i][0], fixed[i][1]);
    add_param(params, "CONTENT_LENGTH", length);
    add_param(params, "HTTP_CONTENT_LENGTH", length);
}

/* Everything in front of the body; what follows it is request_render's. */
static inline void add_fastcgi_head(struct text *bytes, size_t body_bytes, bool keep)
{
    const char begin[] = {0, 1 /* responder */, keep ? 1 : 0, 0, 0, 0, 0, 0};
    struct text params = {0};
    add_params(&params, body_bytes);
    add_record(bytes, FCGI_BEGIN, begin, sizeof begin);
    add_record(bytes, FCGI_PARAMS, params.data, params.length);
    add_record(bytes, FCGI_PARAMS, "", 0);
    text_free(&params);
}

/* A request for `recipient_count` (1..RECIPIENTS_MAX) recipients, each like `recipient`. `keep`:
 * the server is asked to keep the connection. */
static inline void request_render(struct request *request, enum protocol protocol,
                                  const char *recipient, size_t recipient_count, bool keep)
{
    struct text body = {0};
    *request = (struct request){.recipient_count = recipient_count};
    render_body(request, recipient, &body);
    if (protocol == PROTOCOL_FASTCGI) {
        add_fastcgi_head(&request->bytes, body.length, keep);
        add_record(&request->bytes, FCGI_STDIN, body.data, body.length);
        add_record(&request->bytes, FCGI_STDIN, "", 0);
    } else {
        text_addf(&request->bytes,
                  "POST " REQUEST_PATH " HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
                  body.length, keep ? "" : "Connection: close\r\n");
        text_add_bytes(&request->bytes, body.data, body.length);
    }
    size_t tail = protocol == PROTOCOL_FASTCGI ? FCGI_HEAD_BYTES : 0;
    size_t shift = request->bytes.length - tail - body.length;
    request->id_at += shift;
    request->mailbox_at += shift;
    request->from_at += shift;
    request->ip_at += shift;
    for (size_t i = 0; i < recipient_count; i++)
        request->recipients_at[i] += shift;
    text_free(&body);
}

#endif
