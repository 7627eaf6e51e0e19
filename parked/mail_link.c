#include "parked/mail_link.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret_file.h"
#include "parked/draft.h"
#include "remote/remote.h"

#define PASSWORD_IS "the password of Dovecot's master user"
#define ADVICE "openssl rand -hex 32 makes one"

/* Of one step. Those behind a claim, the handing over and three of IMAP, are over before it is
 * (desk/desk_parked.c). */
enum { IMAP_MS = 45 * 1000, SMTP_MS = 120 * 1000, CONNECT_MS = 10 * 1000 };
enum { ANSWER_MAX = 64 * 1024, REFUSALS = 400 };

struct mail_link {
    struct remote imap, smtp;
    const struct settings *settings;
    bool signed_in;
};

/* ---- what is wanted --------------------------------------------------------------------- */

static bool is_here(const char *url)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct in_addr four;
    const char *begin = strstr(url, "://") + strlen("://");
    size_t length = strcspn(begin, begin[0] == '[' ? "" : ":");
    if (begin[0] == '[')
        return strncmp(begin, "[::1]", 5) == 0 && (begin[5] == '\0' || begin[5] == ':');
    if (length >= sizeof host)
        return false;
    memcpy(host, begin, length);
    return strcmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET);
}

/* Without TLS others on the way would read the password. */
static bool is_protected(const char *url)
{
    return url[strlen("imap")] == 's' || is_here(url); /* smtp is as long */
}

void mail_link_warnings(const struct settings *settings, struct faults *warnings)
{
    const struct text_list *hosts = &settings->mta_webmail_hosts;
    if (hosts->count == 0)
        settings_warn(warnings, "mta.webmail_hosts",
                      "is empty: what this program sends counts a second time at the mail server");
    else if (settings->parked_smtp[0] != '\0' && is_here(settings->parked_smtp) &&
             !settings_network_holds(hosts, "127.0.0.1") && !settings_network_holds(hosts, "::1"))
        settings_warn(warnings, "mta.webmail_hosts",
                      "does not have 127.0.0.1, from where this program comes to parked.smtp on "
                      "this machine: what it sends counts a second time there");
}

int mail_link_requires(const struct settings *settings, struct problem *problem)
{
    const struct {
        const char *name, *value;
        bool is_url;
    } wanted[] = {{"parked.imap", settings->parked_imap, true},
                  {"parked.smtp", settings->parked_smtp, true},
                  {"parked.master_user", settings->parked_master_user, false}};
    for (size_t i = 0; i < countof(wanted); i++) {
        if (wanted[i].value[0] == '\0')
            return problem_set(problem, 0, wanted[i].name, "is not set");
        if (wanted[i].is_url && !is_protected(wanted[i].value))
            return problem_set(problem, 0, wanted[i].name,
                               "expected imaps:// or smtps:// to another machine: without TLS "
                               "the password goes to this one alone");
    }
    return 1;
}

int mail_link_examine(const char *password_file, struct problem *problem)
{
    char password[SECRET_LINE_MAX + 1];
    int good = secret_file_line(password_file, PASSWORD_IS, ADVICE, password, problem);
    sodium_memzero(password, sizeof password);
    return good;
}

/* ---- beginning -------------------------------------------------------------------------- */

static void begin_remote(struct remote *remote, const struct settings *settings,
                         const char *mailbox, const char *password, long step_ms)
{
    remote_begin(remote, "imap,imaps,smtp,smtps", step_ms);
    remote->answer_max = SIZE_MAX; /* of what nobody reads */
    curl_easy_setopt(remote->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    /* no other has this identity */
    curl_easy_setopt(remote->curl, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN");
    curl_easy_setopt(remote->curl, CURLOPT_SASL_AUTHZID, mailbox);
    curl_easy_setopt(remote->curl, CURLOPT_USERNAME, settings->parked_master_user);
    curl_easy_setopt(remote->curl, CURLOPT_PASSWORD, password);
}

struct mail_link *mail_link_new(const struct settings *settings, const char *mailbox,
                                const _Atomic bool *ending, struct problem *problem)
{
    char password[SECRET_LINE_MAX + 1];
    if (secret_file_line(settings->parked_password_file, PASSWORD_IS, ADVICE, password, problem) <
        1)
        return NULL;
    struct mail_link *link = xcalloc(1, sizeof *link);
    link->settings = settings;
    begin_remote(&link->imap, settings, mailbox, password, IMAP_MS);
    begin_remote(&link->smtp, settings, mailbox, password, SMTP_MS);
    link->imap.ending = link->smtp.ending = ending;
    sodium_memzero(password, sizeof password);
    return link;
}

void mail_link_free(struct mail_link **link)
{
    if (*link == NULL)
        return;
    remote_end(&(*link)->imap);
    remote_end(&(*link)->smtp);
    free(*link);
    *link = NULL;
}

static int fail(const struct remote *remote, const char *where, CURLcode code, long status,
                struct problem *problem)
{
    problem_set(problem, (int)status, where, "%.200s%s", remote_error(remote, code),
                code == CURLE_LOGIN_DENIED
                    ? ": expected parked.master_user as a master user (master = yes), with the "
                      "password of parked.password_file, and the mailbox"
                    : "");
    return -1;
}

/* ---- IMAP ------------------------------------------------------------------------------- */

/* One command for a folder; `more` goes on behind it in the URL. `command` NULL: what the URL and
 * the options of the handle say. With *problem, unless CURLE_OK. */
static CURLcode ask(struct mail_link *link, const char *folder, const char *more,
                    const char *command, struct text *answer, size_t answer_max,
                    struct problem *problem)
{
    freed_by(text_free) struct text url = {0};
    struct remote *imap = &link->imap;
    text_addf(&url, "%s/", link->settings->parked_imap);
    text_add_url(&url, folder);
    text_add(&url, more);
    imap->answer = answer;
    imap->answer_max = answer_max;
    curl_easy_setopt(imap->curl, CURLOPT_URL, text_string(&url));
    curl_easy_setopt(imap->curl, CURLOPT_CUSTOMREQUEST, command);
    CURLcode code = remote_perform(imap);
    imap->answer = NULL;
    if (code == CURLE_LOGIN_DENIED && link->signed_in)
        code = CURLE_REMOTE_ACCESS_DENIED; /* libcurl says that of a folder, too */
    if (code != CURLE_OK)
        fail(imap, "parked.imap", code, 0, problem);
    return code;
}

/* The lowest of the numbers of "* SEARCH 7 12"; 0: there is none. */
static uint32_t first_found(const char *answer)
{
    static const char begins[] = "* SEARCH";
    uint32_t first = 0;
    const char *at = strstr(answer, begins);
    for (at = at != NULL ? at + strlen(begins) : ""; *at == ' ';) {
        char *end;
        unsigned long number = strtoul(at + 1, &end, 10);
        if (end == at + 1 || number == 0 || number > UINT32_MAX)
            break;
        first = first == 0 || number < first ? (uint32_t)number : first;
        at = end;
    }
    return first;
}

/* What Dovecot refuses of a folder or a message, or this of its answer (CURLE_WRITE_ERROR), says
 * nothing of others: 0. */
static int reading_failed(CURLcode code)
{
    static const CURLcode refused[] = {CURLE_REMOTE_ACCESS_DENIED, CURLE_QUOTE_ERROR,
                                       CURLE_REMOTE_FILE_NOT_FOUND, CURLE_WRITE_ERROR};
    for (size_t i = 0; i < countof(refused); i++)
        if (code == refused[i])
            return 0;
    return -1;
}

int mail_link_sign_in(struct mail_link *link, struct problem *problem)
{
    link->signed_in = ask(link, "", "", "NOOP", NULL, SIZE_MAX, problem) == CURLE_OK;
    return link->signed_in ? 1 : -1;
}

int mail_link_find(struct mail_link *link, const char *folder, const char *id, uint32_t *uid_r,
                   struct problem *problem)
{
    freed_by(text_free) struct text answer = {0};
    freed_by(free_string) char *command =
        xasprintf("UID SEARCH UNDELETED HEADER X-Sendguard-Parked %s", id);
    CURLcode code = ask(link, folder, "", command, &answer, ANSWER_MAX, problem);
    if (code != CURLE_OK)
        return reading_failed(code);
    *uid_r = first_found(text_string(&answer));
    return *uid_r != 0;
}

int mail_link_read(struct mail_link *link, const char *folder, uint32_t uid,
                   struct text *message_r, struct problem *problem)
{
    freed_by(free_string) char *more = xasprintf("/;UID=%lu", (unsigned long)uid);
    CURLcode code = ask(link, folder, more, NULL, message_r, MAIL_LINK_MESSAGE_MAX, problem);
    return code == CURLE_OK ? 1 : reading_failed(code);
}

/* Of a command, which libcurl takes as a part of a URL. */
static void add_quoted(struct text *line, const char *folder)
{
    text_add(line, " \"");
    for (const char *at = folder; *at != '\0'; at++)
        text_addf(line, *at == '%' ? "%%25" : *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    text_add(line, "\"");
}

/* A command about a folder. */
static CURLcode ask_about(struct mail_link *link, const char *command, const char *folder,
                          struct text *answer, struct problem *problem)
{
    freed_by(text_free) struct text line = {0};
    text_add(&line, command);
    add_quoted(&line, folder);
    return ask(link, "", "", text_string(&line), answer, ANSWER_MAX, problem);
}

int mail_link_make_folder(struct mail_link *link, const char *folder, struct problem *problem)
{
    freed_by(text_free) struct text found = {0};
    CURLcode code = ask_about(link, "LIST \"\"", folder, &found, problem);
    if (code == CURLE_OK && strstr(text_string(&found), "* LIST ") == NULL) {
        code = ask_about(link, "CREATE", folder, NULL, problem);
        if (code == CURLE_OK)
            code = ask_about(link, "SUBSCRIBE", folder, NULL, problem);
    }
    return code == CURLE_OK ? 1 : reading_failed(code);
}

int mail_link_keep(struct mail_link *link, const char *folder, const struct text *message,
                   struct problem *problem)
{
    link->imap.given = message->data;
    link->imap.left = message->length;
    curl_easy_setopt(link->imap.curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(link->imap.curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)message->length);
    CURLcode code = ask(link, folder, "", NULL, NULL, SIZE_MAX, problem);
    curl_easy_setopt(link->imap.curl, CURLOPT_UPLOAD, 0L);
    return code == CURLE_OK ? 1 : -1;
}

int mail_link_move(struct mail_link *link, const char *folder, uint32_t uid, const char *to,
                   struct problem *problem)
{
    freed_by(text_free) struct text line = {0};
    text_addf(&line, "UID MOVE %lu", (unsigned long)uid);
    add_quoted(&line, to);
    return ask(link, folder, "", text_string(&line), NULL, SIZE_MAX, problem) == CURLE_OK ? 1 : -1;
}

int mail_link_remove(struct mail_link *link, const char *folder, uint32_t uid,
                     struct problem *problem)
{
    freed_by(free_string) char *mark =
        xasprintf("UID STORE %lu +FLAGS.SILENT (\\Deleted)", (unsigned long)uid);
    freed_by(free_string) char *remove = xasprintf("UID EXPUNGE %lu", (unsigned long)uid);
    return ask(link, folder, "", mark, NULL, SIZE_MAX, problem) == CURLE_OK &&
                   ask(link, folder, "", remove, NULL, SIZE_MAX, problem) == CURLE_OK
               ? 1
               : -1;
}

/* ---- SMTP ------------------------------------------------------------------------------- */

static CURLcode perform_smtp(struct mail_link *link, const char *command)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    freed_by(free_string) char *url = xasprintf("%s/%s", link->settings->parked_smtp, host);
    curl_easy_setopt(link->smtp.curl, CURLOPT_URL, url);
    curl_easy_setopt(link->smtp.curl, CURLOPT_CUSTOMREQUEST, command);
    curl_easy_setopt(link->smtp.curl, CURLOPT_UPLOAD, command == NULL ? 1L : 0L);
    return remote_perform(&link->smtp);
}

int mail_link_open(struct mail_link *link, struct problem *problem)
{
    CURLcode code = perform_smtp(link, "NOOP");
    return code == CURLE_OK ? 1 : fail(&link->smtp, "parked.smtp", code, 0, problem);
}

int mail_link_hand_over(struct mail_link *link, const struct draft *draft,
                        struct problem *problem)
{
    freed_by(remote_end_list) struct curl_slist *to = NULL;
    freed_by(free_string) char *from = xasprintf("<%s>", draft->from);
    long status = 0;
    for (size_t i = 0; i < draft->to_count; i++) {
        freed_by(free_string) char *one = xasprintf("<%s>", draft->to[i]);
        to = curl_slist_append(to, one);
    }
    link->imap.ending = link->smtp.ending = NULL;
    link->smtp.given = draft->handed.data;
    link->smtp.left = draft->handed.length;
    curl_easy_setopt(link->smtp.curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(link->smtp.curl, CURLOPT_MAIL_RCPT, to);
    CURLcode code = perform_smtp(link, NULL);
    curl_easy_setopt(link->smtp.curl, CURLOPT_MAIL_RCPT, NULL);
    if (code == CURLE_OK)
        return 1;
    curl_easy_getinfo(link->smtp.curl, CURLINFO_RESPONSE_CODE, &status);
    status = status >= REFUSALS ? status : 0;
    fail(&link->smtp, "parked.smtp", code, status, problem);
    /* the end of the message is behind its last byte */
    return link->smtp.left > 0 || status > 0 ? 0 : -1;
}
