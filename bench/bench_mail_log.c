/* How many lines of a mail server's log are read in a second: split, and what they tell. A log of
 * 280,000 lines from 40,000 messages is made in memory, or a file is read; then one thread reads it
 * for a while. Prints lines/s of its own processor time, and how many lines told what. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "mail/mail_log.h"

enum { MESSAGES = 40000 };

static const char usage[] =
    "usage: bench_mail_log [--rfc3339] [--seconds N] [FILE]\n"
    "Reads a mail log again and again, and prints lines/s.\n"
    "  --rfc3339     the stamps of the log that is made (default: without year and zone)\n"
    "  --seconds N   for so long (default 3)\n"
    "  FILE          a log of Postfix in the place of one that is made\n";

struct counts {
    uint64_t lines, kinds[MAIL_EVENT_KINDS], no_line, malformed, nothing;
};

static _Noreturn void misuse(void)
{
    fputs(usage, stderr);
    exit(64);
}

static void begin_line(struct text *log, bool rfc3339, int second, const char *tag)
{
    int hour = second / 3600, minute = second / 60 % 60;
    if (rfc3339)
        text_addf(log, "2026-11-28T%02d:%02d:%02d.123456+01:00 mx postfix/%s[28694]: ", hour,
                  minute, second % 60, tag);
    else
        text_addf(log, "Nov 28 %02d:%02d:%02d mx postfix/%s[28694]: ", hour, minute, second % 60,
                  tag);
}

/* Seven lines: what a message of a mailbox leaves that is delivered, deferred or bounced. */
static void add_message(struct text *log, bool rfc3339, int number)
{
    static const char *const ends[] = {
        "dsn=2.0.0, status=sent (250 2.0.0 OK 1732816411 a640c23a62f3a-aa54c2d5b1c - gsmtp)",
        ("dsn=5.1.1, status=bounced (host mx.remote.test[192.0.2.7] said: 550-5.1.1 The email "
         "account that you tried to reach does not exist. 550 5.1.1 Please try again (in reply to "
         "RCPT TO command))"),
        ("dsn=4.7.1, status=deferred (host mx.remote.test[192.0.2.7] said: 450 4.7.1 greylisted "
         "(in reply to RCPT TO command))"),
    };
    int second = number * 2 % 86400;
    char id[] = "4jcK00000kz1bcT2";
    for (int i = 5, rest = number; i >= 1; i--, rest /= 10)
        id[i] = (char)('0' + rest % 10);
    begin_line(log, rfc3339, second, "submission/smtpd");
    text_addf(log, "connect from client%d.example.test[198.51.100.7]\n", number % 100);
    begin_line(log, rfc3339, second, "submission/smtpd");
    text_addf(log, "%s: client=client.example.test[198.51.100.7], sasl_method=PLAIN, "
                   "sasl_username=user%d@example.test\n", id, number % 1000);
    begin_line(log, rfc3339, second, "cleanup");
    text_addf(log, "%s: message-id=<%d.1234567890@example.test>\n", id, number);
    begin_line(log, rfc3339, second, "qmgr");
    text_addf(log, "%s: from=<user%d@example.test>, size=%d, nrcpt=1 (queue active)\n", id,
              number % 1000, 1000 + number);
    begin_line(log, rfc3339, second, "submission/smtpd");
    text_add(log, "disconnect from client.example.test[198.51.100.7] ehlo=1 auth=1 mail=1 rcpt=1 "
                  "data=1 quit=1 commands=6\n");
    begin_line(log, rfc3339, second, "smtp");
    text_addf(log, "%s: to=<recipient%d@remote.test>, relay=mx.remote.test[192.0.2.7]:25, "
                   "delay=0.66, delays=0.01/0.02/0.3/0.33, %s\n",
              id, number, ends[number % 10 < 8 ? 0 : number % 10 - 7]);
    begin_line(log, rfc3339, second, "qmgr");
    text_addf(log, "%s: removed\n", id);
}

static void read_file(struct text *log, const char *path)
{
    char bytes[65536];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "bench_mail_log: %s: expected a file to read\n", path);
        exit(1);
    }
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        text_add_bytes(log, bytes, got);
    fclose(file);
}

static void read_all(const struct text *log, struct mail_log_clock *clock, struct counts *counts)
{
    const char *next = log->data, *end = log->data + log->length;
    for (const char *line; next < end && (line = memchr(next, '\n', (size_t)(end - next))) != NULL;
         next = line + 1) {
        struct mail_log_line split;
        struct mail_event event;
        bool malformed = false;
        counts->lines++;
        if (!mail_log_split(next, (size_t)(line - next), clock, &split))
            counts->no_line++;
        else if (mail_log_event(split.program, split.body, &event, &malformed))
            counts->kinds[event.kind]++;
        else
            malformed ? counts->malformed++ : counts->nothing++;
    }
}

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print(const struct counts *counts, uint64_t rounds, double seconds)
{
    printf("lines %lu, rounds %lu, lines/s %.0f\n", (unsigned long)(counts->lines / rounds),
           (unsigned long)rounds, (double)counts->lines / seconds);
    for (int kind = 0; kind < MAIL_EVENT_KINDS; kind++)
        printf("  %-10s %lu\n", mail_event_kind_names[kind],
               (unsigned long)(counts->kinds[kind] / rounds));
    printf("  no line    %lu\n  malformed  %lu\n  nothing    %lu\n",
           (unsigned long)(counts->no_line / rounds), (unsigned long)(counts->malformed / rounds),
           (unsigned long)(counts->nothing / rounds));
}

int main(int count, char **values)
{
    static const struct option options[] = {{"rfc3339", 0, NULL, 'r'},
                                            {"seconds", 1, NULL, 's'},
                                            {"help", 0, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    bool rfc3339 = false;
    double seconds = 3;
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        switch (found) {
        case 'r': rfc3339 = true; break;
        case 's': seconds = strtod(optarg, NULL); break;
        case 'h': fputs(usage, stdout); return 0;
        default: misuse();
        }
    struct text log = {0};
    if (optind < count)
        read_file(&log, values[optind]);
    else
        for (int number = 0; number < MESSAGES; number++)
            add_message(&log, rfc3339, number);
    struct zone *zone = zone_open("Europe/Berlin");
    struct mail_log_clock clock = {.zone = zone, .reference_us = INT64_C(1795885775000000)};
    struct counts counts = {0};
    uint64_t rounds = 0;
    double began = processor_s(), took;
    do {
        read_all(&log, &clock, &counts);
        rounds++;
    } while ((took = processor_s() - began) < seconds);
    print(&counts, rounds, took);
    zone_free(&zone);
    text_free(&log);
    return 0;
}
