/* What bench_policy asks: one message, as smtpd describes it to a policy service
 * (all attributes of Postfix 3.7), or the same message over HTTP as rspamd's
 * /checkv2 takes it. Rendered once; who sends and the message's identity have a
 * fixed width, so the next message is the last one with other digits in it. */
#ifndef BENCH_POLICY_REQUESTS_H
#define BENCH_POLICY_REQUESTS_H

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "population.h"

enum state { STATE_RCPT, STATE_END_OF_MESSAGE, STATE_HTTP };
enum place { PLACE_USER, PLACE_IP, PLACE_SERIAL };
enum { PLACES_MAX = 16, SERIAL_DIGITS = 16 };

#define SERIAL "0000000000000000"

struct message {
    struct text bytes;
    size_t place_count;
    struct {
        enum place kind;
        size_t at;
    } places[PLACES_MAX];
};

static inline void add_place(struct message *message, enum place kind)
{
    static const char *const texts[] = {POPULATION_MAILBOX, POPULATION_IP, SERIAL};
    message->places[message->place_count].kind = kind;
    message->places[message->place_count++].at = message->bytes.length;
    text_add(&message->bytes, texts[kind]);
}

static inline void add_attribute(struct message *message, const char *name, enum place kind,
                                 const char *tail)
{
    text_addf(&message->bytes, "%s=", name);
    add_place(message, kind);
    text_addf(&message->bytes, "%s\n", tail);
}

/* Makes it message `serial` of user number `user`. */
static inline void message_make(struct message *message, uint32_t user, uint64_t serial)
{
    for (size_t i = 0; i < message->place_count; i++) {
        char *at = message->bytes.data + message->places[i].at;
        switch (message->places[i].kind) {
        case PLACE_USER:
            mailbox_put(at, user);
            break;
        case PLACE_IP:
            ip_put(at, user);
            break;
        case PLACE_SERIAL:
            hex_put(at, SERIAL_DIGITS, serial);
            break;
        }
    }
}

/* At RCPT the recipients are not counted yet; later one recipient alone is named. */
static inline void render_policy(struct message *message, enum state state,
                                 unsigned recipient_count)
{
    bool rcpt = state == STATE_RCPT;
    struct text *bytes = &message->bytes;
    text_addf(bytes, "request=smtpd_access_policy\nprotocol_state=%s\nprotocol_name=ESMTP\n",
              rcpt ? "RCPT" : "END-OF-MESSAGE");
    add_attribute(message, "client_address", PLACE_IP, "");
    text_add(bytes, "client_name=a10.pool.customers.example\nclient_port=50044\n"
                    "reverse_client_name=a10.pool.customers.example\n"
                    "server_address=192.0.2.25\nserver_port=587\nhelo_name=[192.168.178.21]\n");
    add_attribute(message, "sender", PLACE_USER, "");
    text_addf(bytes, "recipient=%s\nrecipient_count=%u\n",
              rcpt || recipient_count == 1 ? "pat.example@outside.test" : "",
              rcpt ? 0 : recipient_count);
    add_attribute(message, "queue_id", PLACE_SERIAL, "");
    add_attribute(message, "instance", PLACE_SERIAL, ".6b02636e.0");
    text_add(bytes, "size=4242\netrn_domain=\nstress=\nsasl_method=PLAIN\n");
    add_attribute(message, "sasl_username", PLACE_USER, "");
    text_add(bytes, "sasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
                    "ccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
                    "encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n"
                    "policy_context=submission\n\n");
}

static inline void add_mail(struct message *message)
{
    text_add(&message->bytes, "From: <");
    add_place(message, PLACE_USER);
    text_add(&message->bytes, ">\r\nTo: <pat0@outside.test>\r\nSubject: Minutes of the meeting\r\n"
                              "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <");
    add_place(message, PLACE_SERIAL);
    text_add(&message->bytes, "@bench.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
                              "\r\nHere are the minutes of our meeting.\r\n");
}

static inline void render_http(struct message *message, unsigned recipient_count)
{
    struct message mail = {0};
    add_mail(&mail);
    text_addf(&message->bytes,
              "POST /checkv2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\nIP: ",
              mail.bytes.length);
    add_place(message, PLACE_IP);
    text_add(&message->bytes, "\r\nHelo: [192.168.178.21]\r\nFrom: ");
    add_place(message, PLACE_USER);
    text_add(&message->bytes, "\r\nUser: ");
    add_place(message, PLACE_USER);
    text_add(&message->bytes, "\r\nQueue-Id: ");
    add_place(message, PLACE_SERIAL);
    for (unsigned i = 0; i < recipient_count; i++)
        text_addf(&message->bytes, "\r\nRcpt: pat%u@outside.test", i);
    text_add(&message->bytes, "\r\n\r\n");
    add_mail(message);
    text_free(&mail.bytes);
}

/* A message to so many recipients (at least 1). */
static inline void message_render(struct message *message, enum state state,
                                  unsigned recipient_count)
{
    *message = (struct message){0};
    if (state == STATE_HTTP)
        render_http(message, recipient_count);
    else
        render_policy(message, state, recipient_count);
}

#endif
