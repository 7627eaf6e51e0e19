/* What lib/mail makes of other people's bounces and log lines, for tests/conformance/run. Reads lines,
 * writes one for each:
 *   reply<TAB>STATUS<TAB>RECIPIENT<TAB>WORDS   the answer of a server, as a bounce quotes it;
 *                                              prints CLASS<TAB>the words as they are kept
 *   report<TAB>FILE                            a message that may be a complaint; prints what it was read
 *                                              as<TAB>its type and the Message-ID it is about
 *   line<TAB>LINE                              a line of a log; prints KIND, "none", "malformed" or
 *                                              "unreadable", and of an outcome its class */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "mail/reply.h"
#include "mail/report.h"

static void read_reply(char *rest)
{
    char *status = strsep(&rest, "\t"), *recipient = strsep(&rest, "\t"), *words = rest;
    if (words == NULL) {
        puts("malformed\t");
        return;
    }
    freed_by(free_string) char *body =
        xasprintf("E1AAAAAAAA: to=<%s>, relay=mx.test[192.0.2.1]:25, delay=1, delays=1/0/0/0, dsn=%s, "
                  "status=bounced (host mx.test[192.0.2.1] said: %s)", recipient, status, words);
    struct mail_event event;
    bool malformed;
    if (mail_log_event((struct mail_view){"smtp", 4}, (struct mail_view){body, strlen(body)}, &event,
                       &malformed) < 1) {
        puts("malformed\t");
        return;
    }
    char kept[REPLY_WORDS_MAX + 1];
    reply_redact(event.text, &event.to, 1, kept);
    printf("%s\t%s\n", reply_class_names[reply_class(&event)], kept);
}

static void read_report(const char *path)
{
    static const char *const words[] = {
        [REPORT_READ] = "read", [REPORT_NONE] = "none", [REPORT_NO_MESSAGE] = "no message",
        [REPORT_TOO_MUCH] = "too much"};
    struct arena *arena = arena_new();
    struct report report;
    gchar *bytes;
    gsize length;
    if (!g_file_get_contents(path, &bytes, &length, NULL)) {
        puts("unreadable\t");
        return;
    }
    enum report_read read =
        report_read(arena, bytes, length, NULL, "X-Sendguard-Ref", &report);
    printf("%s\t", words[read]);
    if (read == REPORT_READ)
        printf("%s %s", report_type_names[report.type],
               report.original.message_id != NULL ? report.original.message_id : "");
    puts("");
    g_free(bytes);
    arena_free(&arena);
}

static void read_line(const char *line)
{
    static struct mail_log_clock clock; /* any zone and year will do */
    struct mail_log_line read;
    struct mail_event event;
    bool malformed = false;
    if (clock.zone == NULL)
        clock = (struct mail_log_clock){.zone = zone_open("UTC"),
                                        .reference_us = INT64_C(1700000000000000)};
    if (mail_log_split(line, strlen(line), &clock, &read) < 1)
        puts("unreadable\t");
    else if (mail_log_event(read.program, read.body, &event, &malformed) < 1)
        printf("%s\t\n", malformed ? "malformed" : "none");
    else
        printf("%s\t%s\n", mail_event_kind_names[event.kind],
               event.kind == MAIL_OUTCOME && event.status != MAIL_SENT
                   ? reply_class_names[reply_class(&event)] : "");
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
        line[length - 1] = '\0';
        if (strncmp(line, "reply\t", 6) == 0)
            read_reply(line + 6);
        else if (strncmp(line, "line\t", 5) == 0)
            read_line(line + 5);
        else if (strncmp(line, "report\t", 7) == 0)
            read_report(line + 7);
        else
            puts("malformed\t");
    }
    free(line);
    return 0;
}
