#include "fcgi/answer.h"

#include <stdio.h>

enum { RETRY_STORE_SECS = 30, PLACE_MAX_BYTES = 100 };

static const char *title_of(int status)
{
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    default: return "Service Unavailable";
    }
}

static void begin(struct text *out, int status)
{
    text_clear(out);
    text_add(out, "Status: ");
    text_add_int(out, status);
    text_add_char(out, ' ');
    text_add(out, title_of(status));
    text_add(out, status < 300 ? "\r\nContent-Type: application/json\r\n"
                                : "\r\nContent-Type: application/problem+json\r\n");
    text_add(out, "Cache-Control: no-store\r\n");
}

#define URN "urn:sendguard:"

/* The members that RFC 9457 asks for; the rest follows. */
static void write_problem(struct json_writer *writer, const char *type, const char *title,
                          int status, const char *detail)
{
    json_write_string(writer, "type", type);
    json_write_string(writer, "title", title);
    json_write_int(writer, "status", status);
    json_write_string(writer, "detail", detail);
}

static struct json_writer begin_body(struct text *out)
{
    text_add(out, "\r\n");
    return json_write_text(out);
}

static void end_body(struct text *out, struct json_writer *writer)
{
    json_write_end(writer);
    text_add_char(out, '\n');
}

static int64_t seconds_until(int64_t then_ms, int64_t now_ms)
{
    return then_ms > now_ms ? (then_ms - now_ms + SECOND_MS - 1) / SECOND_MS : 0;
}

static void add_rate_limits(struct text *out, const struct verdict *verdict)
{
    if (verdict->window_count == 0)
        return;
    for (int values = 0; values < 2; values++) {
        text_add(out, values ? "RateLimit: " : "RateLimit-Policy: ");
        for (size_t i = 0; i < verdict->window_count; i++) {
            const struct verdict_window *window = &verdict->windows[i];
            uint64_t limit = (uint64_t)window->limit;
            text_add(out, i > 0 ? ", \"" : "\"");
            text_add(out, rule_table[window->rule].name);
            text_add(out, values ? "\";r=" : "\";q=");
            if (!values) {
                text_add_int(out, window->limit);
                text_add(out, ";w=");
                text_add_int(out, rule_table[window->rule].window_ms / SECOND_MS);
                continue;
            }
            text_add_int(out, window->used < limit ? (int64_t)(limit - window->used) : 0);
            if (window->refill_count > 0) {
                text_add(out, ";t=");
                text_add_int(out, seconds_until(window->refill[0].at_ms, verdict->now_ms));
            }
        }
        text_add(out, "\r\n");
    }
}

struct kind {
    int status;
    const char *type, *title;
};

static struct kind kind_of(enum verdict_kind kind)
{
    switch (kind) {
    case VERDICT_MESSAGE:
        return (struct kind){422, URN "limits-of-one-message",
                             "The message has too many recipients"};
    case VERDICT_OVER_TIME:
        return (struct kind){429, URN "limit-over-time", "A sending limit is reached"};
    case VERDICT_SUSPENDED:
        return (struct kind){403, URN "suspended", "Sending is suspended"};
    case VERDICT_BLOCKED:
        return (struct kind){403, URN "blocked", "Too much mail could not be delivered"};
    case VERDICT_IDENTITY:
        return (struct kind){403, URN "from-not-allowed", "You may not write as this address"};
    case VERDICT_SENDER_BLOCKED:
        return (struct kind){403, URN "sender-blocked", "Mail from this sender is not accepted"};
    case VERDICT_UNUSUAL:
        return (struct kind){429, URN "unusual-rate", "Far more mail than usual"};
    case VERDICT_NO_STORE:
        return (struct kind){503, URN "store-unavailable",
                             "Sending limits cannot be checked now"};
    default:
        return (struct kind){200, NULL, NULL};
    }
}

int answer_verdict(struct text *out, const struct verdict *verdict)
{
    struct kind kind = kind_of(verdict->kind);
    if (verdict_waits(verdict))
        kind.status = 202;
    begin(out, kind.status);
    int64_t wait_secs = verdict->kind == VERDICT_NO_STORE
                            ? RETRY_STORE_SECS
                            : seconds_until(verdict->retry_at_ms, verdict->now_ms);
    if (kind.type != NULL && wait_secs > 0) {
        text_add(out, "Retry-After: ");
        text_add_int(out, wait_secs);
        text_add(out, "\r\n");
    }
    add_rate_limits(out, verdict);
    struct json_writer writer = begin_body(out);
    if (kind.type != NULL)
        write_problem(&writer, kind.type, kind.title, kind.status, verdict->message);
    verdict_write(&writer, verdict);
    end_body(out, &writer);
    return kind.status;
}

int answer_forward(struct text *out, const char *location)
{
    text_clear(out);
    text_add(out, "X-Accel-Redirect: ");
    text_add(out, location);
    text_add(out, "\r\n\r\n");
    return 200;
}

int answer_refunded(struct text *out)
{
    begin(out, 200);
    struct json_writer writer = begin_body(out);
    json_write_bool(&writer, "refunded", true);
    end_body(out, &writer);
    return 200;
}

int answer_problem(struct text *out, const struct problem *problem,
                   const struct answer_place *place,
                   const char *allow)
{
    begin(out, problem->status);
    if (allow != NULL) {
        text_add(out, "Allow: ");
        text_add(out, allow);
        text_add(out, "\r\n");
    }
    if (problem->status == 503)
        text_addf(out, "Retry-After: %d\r\n", RETRY_STORE_SECS);
    bool placed = place != NULL && place->english != NULL;
    char detail[sizeof problem->where + sizeof problem->text + PLACE_MAX_BYTES + 8];
    if (placed)
        snprintf(detail, sizeof detail, "%.*s (%s): %s", PLACE_MAX_BYTES, place->english,
                 problem->where, problem->text);
    else
        snprintf(detail, sizeof detail, "%s: %s", problem->where, problem->text);
    struct json_writer writer = begin_body(out);
    write_problem(&writer, problem->status == 503 ? URN "store-unavailable" : URN "bad-request",
                  title_of(problem->status), problem->status, detail);
    json_write_string(&writer, "where", problem->where);
    if (placed && place->told != NULL) {
        snprintf(detail, sizeof detail, "%.*s: %s", PLACE_MAX_BYTES, place->told, problem->text);
        json_write_string(&writer, "message", detail);
    } else if (place != NULL && place->shown) {
        json_write_string(&writer, "message", detail);
    }
    end_body(out, &writer);
    return problem->status;
}
