#include "notify/notify_send.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret_file.h"
#include "message/address.h"
#include "remote/remote.h"

#define KEY_IS "a key that signs what is posted"
#define ADVICE "openssl rand -hex 32 makes one"
#define UNIX_SOCKET "unix:"

enum { ANSWER_MAX = 64 * 1024, CONNECT_MS = 5000, ENCODED_WORD_BYTES = 45 };

/* ---- what is wanted -------------------------------------------------------------------------- */

/* It stands in a command and a header as it is. */
bool notify_send_may_reach(const char *address)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-/=?^_`{|}~.@";
    return address[0] != '\0' && address[strspn(address, plain)] == '\0';
}

static bool sends_mail(const struct settings *settings)
{
    return settings->notify_mail_to.count > 0 || settings->notify_user_languages[0] != '\0';
}

int notify_send_requires(const struct settings *settings, struct problem *problem)
{
    bool mails = sends_mail(settings);
    if (mails && settings->notify_mail_from[0] == '\0')
        return problem_set(problem, 0, "notify.mail_from",
                           "is not set: expected the address that mail comes from");
    if (mails && !notify_send_may_reach(settings->notify_mail_from))
        return problem_set(problem, 0, "notify.mail_from",
                           "expected an address of ASCII letters without quotation marks");
    for (size_t i = 0; i < settings->notify_mail_to.count; i++)
        if (!notify_send_may_reach(settings->notify_mail_to.items[i]))
            return problem_set(problem, 0, "notify.mail_to",
                               "%.200s: expected an address of ASCII letters without quotation "
                               "marks",
                               settings->notify_mail_to.items[i]);
    return 1;
}

int notify_send_examine_key(const char *key_file, struct problem *problem)
{
    char key[SECRET_LINE_MAX + 1];
    int good = secret_file_line(key_file, KEY_IS, ADVICE, key, problem);
    sodium_memzero(key, sizeof key);
    return good;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

bool notify_send_is_forwarded(const struct settings *settings)
{
    const struct text_list *networks = &settings->mta_forwarding_networks;
    const char *smtp = settings->notify_smtp;
    bool by_name = begins_with(smtp, "localhost:");
    return sends_mail(settings) &&
           (((by_name || begins_with(smtp, "127.")) &&
             settings_network_holds(networks, "127.0.0.1")) ||
            ((by_name || begins_with(smtp, "[::1]:")) && settings_network_holds(networks, "::1")));
}

/* ---- either ---------------------------------------------------------------------------------- */

/* What the other side says is of no interest, but too much of it is an error. */
static void begin_remote(struct remote *remote, const char *protocols,
                         const struct settings *settings, const _Atomic bool *ending)
{
    remote_begin(remote, protocols, NOTIFY_SEND_MS);
    remote->ending = ending;
    remote->answer_max = ANSWER_MAX;
    curl_easy_setopt(remote->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (settings->notify_tls_ca_file[0] != '\0') {
        curl_easy_setopt(remote->curl, CURLOPT_CAINFO, settings->notify_tls_ca_file);
        curl_easy_setopt(remote->curl, CURLOPT_CAPATH, NULL);
    }
}

static int fail(const struct remote *remote, CURLcode code, const char *where,
                struct problem *problem)
{
    return problem_set(problem, 0, where, "%.200s", remote_error(remote, code));
}

/* ---- mail ------------------------------------------------------------------------------------ */

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80)
        text++;
    return *text == '\0';
}

/* Encoded words (RFC 2047), each of whole characters; ASCII as it is, cut into lines by nobody: it
 * is shorter than RFC 5322 allows. */
static void add_subject(const char *subject, struct text *out)
{
    bool encodes = !is_ascii(subject);
    text_add(out, "Subject:");
    while (*subject != '\0') {
        char base64[2 * ENCODED_WORD_BYTES];
        size_t length = strlen(subject);
        if (!encodes) {
            text_addf(out, " %s", subject);
            break;
        }
        if (length > ENCODED_WORD_BYTES)
            for (length = ENCODED_WORD_BYTES;
                 length > ENCODED_WORD_BYTES - 4 && ((unsigned char)subject[length] & 0xC0) == 0x80;)
                length--;
        sodium_bin2base64(base64, sizeof base64, (const unsigned char *)subject, length,
                          sodium_base64_VARIANT_ORIGINAL);
        subject += length;
        text_addf(out, " =?utf-8?B?%s?=%s", base64, *subject != '\0' ? "\r\n" : "");
    }
    text_add(out, "\r\n");
}

/* Lines of at most LINE characters, cut at blanks; a line that begins with blanks stays as it
 * is. */
static void add_body(const char *body, struct text *out)
{
    enum { LINE = 76 };
    while (*body != '\0') {
        size_t length = strcspn(body, "\n"), at = 0;
        size_t columns = 0, cut = 0;
        for (; at < length && *body != ' ' && (columns <= LINE || cut == 0); at++) {
            columns += ((unsigned char)body[at] & 0xC0) != 0x80;
            if (body[at] == ' ' && columns <= LINE)
                cut = at;
        }
        if (columns <= LINE || cut == 0)
            cut = length;
        text_add_bytes(out, body, cut);
        text_add(out, "\r\n");
        body += cut;
        body += *body != '\0';
    }
}

void notify_send_write_mail(const struct settings *settings, const struct notify_mail *mail,
                            struct text *out)
{
    text_add(out, "Date: ");
    text_add_mail_date(out, mail->at_ms);
    text_addf(out, "\r\nFrom: Sendguard <%s>\r\nTo: ", settings->notify_mail_from);
    for (size_t i = 0; i < mail->to_count; i++)
        text_addf(out, "%s%s", i > 0 ? ",\r\n " : "", mail->to[i]);
    text_add(out, "\r\n");
    add_subject(mail->subject, out);
    text_addf(out, "Message-ID: <%s@%s>\r\n", mail->id, address_domain(settings->notify_mail_from));
    text_add(out, "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"
                  "Content-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: 8bit\r\n\r\n");
    add_body(mail->body, out);
}

int notify_send_mail(const struct settings *settings, const struct notify_mail *mail,
                     const _Atomic bool *ending, struct problem *problem)
{
    freed_by(text_free) struct text message = {0};
    freed_by(remote_end_list) struct curl_slist *recipients = NULL;
    char host[256] = "localhost";
    if (!notify_send_requires(settings, problem))
        return 0;
    for (size_t i = 0; i < mail->to_count; i++) {
        if (!notify_send_may_reach(mail->to[i]))
            return problem_set(problem, 0, "notify", "mail to an address that is not ASCII");
        freed_by(free_string) char *recipient = xasprintf("<%s>", mail->to[i]);
        recipients = curl_slist_append(recipients, recipient);
    }
    notify_send_write_mail(settings, mail, &message);
    gethostname(host, sizeof host - 1);
    freed_by(free_string) char *url = xasprintf("smtp://%s/%s", settings->notify_smtp, host);
    freed_by(remote_end) struct remote remote = {.given = message.data, .left = message.length};
    begin_remote(&remote, "smtp", settings, ending);
    CURL *curl = remote.curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_USE_SSL,
                     settings->notify_smtp_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, "");
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    CURLcode code = remote_perform(&remote);
    if (code == CURLE_OK)
        return 1;
    fail(&remote, code, "notify.smtp", problem);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    problem->status = (int)status;
    return 0;
}

/* ---- the webhook ----------------------------------------------------------------------------- */

void notify_send_sign(const char *key, int64_t now_ms, const char *body,
                      char signature_r[NOTIFY_SIGNATURE_SIZE])
{
    crypto_auth_hmacsha256_state state;
    unsigned char hash[crypto_auth_hmacsha256_BYTES];
    char seconds[32], hex[2 * sizeof hash + 1];
    snprintf(seconds, sizeof seconds, "%lld.", (long long)(now_ms / SECOND_MS));
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, strlen(key));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)seconds, strlen(seconds));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, strlen(body));
    crypto_auth_hmacsha256_final(&state, hash);
    sodium_memzero(&state, sizeof state);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(signature_r, NOTIFY_SIGNATURE_SIZE, "t=%lld,v1=%s", (long long)(now_ms / SECOND_MS),
             hex);
}

static struct curl_slist *headers_of(const char *signature, const char *id)
{
    freed_by(free_string) char *signed_by = xasprintf("Sendguard-Signature: %s", signature);
    freed_by(free_string) char *named = xasprintf("Sendguard-Id: %s", id);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, signed_by);
    headers = curl_slist_append(headers, named);
    return curl_slist_append(headers, "Expect:");
}

int notify_send_webhook(const struct settings *settings, const char *body, const char *id,
                        int64_t now_ms, const _Atomic bool *ending, struct problem *problem)
{
    static const char where[] = "notify.webhook";
    const char *url = settings->notify_webhook;
    bool is_socket = strncmp(url, UNIX_SOCKET, strlen(UNIX_SOCKET)) == 0;
    char key[SECRET_LINE_MAX + 1], signature[NOTIFY_SIGNATURE_SIZE];
    long status = 0;
    if (secret_file_line(settings->notify_webhook_key_file, KEY_IS, ADVICE, key, problem) < 1)
        return 0;
    notify_send_sign(key, now_ms, body, signature);
    sodium_memzero(key, sizeof key);
    freed_by(remote_end_list) struct curl_slist *headers = headers_of(signature, id);
    freed_by(remote_end) struct remote remote = {0};
    begin_remote(&remote, is_socket ? "http" : "https", settings, ending);
    CURL *curl = remote.curl;
    curl_easy_setopt(curl, CURLOPT_URL, is_socket ? "http://localhost/" : url);
    if (is_socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, url + strlen(UNIX_SOCKET));
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "Sendguard/" SENDGUARD_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = remote_perform(&remote);
    if (code != CURLE_OK && code != CURLE_WRITE_ERROR) /* its status has come, and it does not end */
        return fail(&remote, code, where, problem);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return (status >= 200 && status <= 299) ||
           problem_set(problem, 0, where, "answers with HTTP status %ld", status);
}
