#include "doveadm/doveadm.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "remote/remote.h"

#define PATH "/doveadm/v1"
#define WHERE "dovecot.doveadm_url"
#define KEY_IS "the value of doveadm_api_key"
#define ADVICE "openssl rand -hex 32 makes a new one"

enum {
    ANSWER_MAX = 64 * 1024,
    KEY_HEADER_SIZE = 64 + SECRET_LINE_MAX * 2,
    HTTP_OK = 200,
    HTTP_UNAUTHORIZED = 401,
    NO_SESSIONS = 68, /* exit code of doveadm kick: EX_NOHOST */
};

struct doveadm {
    struct remote remote;
    struct curl_slist *headers;
    struct text answer;
};

/* ---- beginning ------------------------------------------------------------------------------- */

int doveadm_examine_key(const char *key_file, struct problem *problem)
{
    char key[SECRET_LINE_MAX + 1];
    int good = secret_file_line(key_file, KEY_IS, ADVICE, key, problem);
    sodium_memzero(key, sizeof key);
    return good;
}

static void begin_remote(struct doveadm *doveadm, const char *url, const _Atomic bool *ending)
{
    freed_by(free_string) char *whole = xasprintf("%s" PATH, url);
    struct remote *remote = &doveadm->remote;
    remote_begin(remote, "http,https", DOVEADM_TIMEOUT_MS);
    remote->ending = ending;
    remote->answer = &doveadm->answer;
    remote->answer_max = ANSWER_MAX;
    curl_easy_setopt(remote->curl, CURLOPT_URL, whole);
    curl_easy_setopt(remote->curl, CURLOPT_HTTPHEADER, doveadm->headers);
}

int doveadm_new(const char *url, const char *key_file, const _Atomic bool *ending,
                struct doveadm **doveadm_r, struct problem *problem)
{
    char key[SECRET_LINE_MAX + 1], header[KEY_HEADER_SIZE] = "Authorization: X-Dovecot-API ";
    size_t begun = strlen(header);
    if (secret_file_line(key_file, KEY_IS, ADVICE, key, problem) < 1)
        return 0;
    sodium_bin2base64(header + begun, sizeof header - begun, (const unsigned char *)key,
                      strlen(key), sodium_base64_VARIANT_ORIGINAL);
    struct doveadm *doveadm = xcalloc(1, sizeof *doveadm);
    doveadm->headers = curl_slist_append(curl_slist_append(NULL, header),
                                         "Content-Type: application/json");
    sodium_memzero(key, sizeof key);
    sodium_memzero(header, sizeof header);
    if (doveadm->headers == NULL)
        abort(); /* as xmalloc */
    begin_remote(doveadm, url, ending);
    *doveadm_r = doveadm;
    return 1;
}

void doveadm_free(struct doveadm **doveadm)
{
    if (*doveadm == NULL)
        return;
    remote_end(&(*doveadm)->remote);
    remote_end_list(&(*doveadm)->headers);
    text_free(&(*doveadm)->answer);
    free(*doveadm);
    *doveadm = NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool doveadm_may_name(const char *mailbox) { return strpbrk(mailbox, "*?") == NULL; }

/* What it does not understand is cut short: names may stand in it. */
static int is_unexpected(struct problem *problem)
{
    problem_set(problem, 0, WHERE, "answers otherwise than doveadm does");
    return -1;
}

/* Dovecot 2.4 says how many were ended, 2.3 that it is no error. */
static bool has_ended(struct json_object *results)
{
    struct json_object *first = json_object_is_type(results, json_type_array)
                                    ? json_object_array_get_idx(results, 0)
                                    : NULL;
    return strcmp(json_string(first, "count", ""), "0") != 0;
}

/* ["doveadmResponse", [{"result": NAME}, …], TAG], in 2.4 with [{"count": "1"}], or
 * ["error", {"exitCode": N, …}, TAG] */
static int read_one(struct json_object *one, size_t number, bool *ended_r,
                    struct problem *problem)
{
    if (!json_object_is_type(one, json_type_array) || json_object_array_length(one) < 2)
        return is_unexpected(problem);
    const char *kind = json_object_get_string(json_object_array_get_idx(one, 0));
    struct json_object *said = json_object_array_get_idx(one, 1);
    if (kind != NULL && strcmp(kind, "doveadmResponse") == 0) {
        *ended_r = has_ended(said);
        return 1;
    }
    if (kind == NULL || strcmp(kind, "error") != 0 || !json_object_is_type(said, json_type_object))
        return is_unexpected(problem);
    int64_t code = json_int(said, "exitCode", 0);
    if (code == NO_SESSIONS)
        return 1;
    problem_set(problem, 0, WHERE, "command %zu fails: %.40s, exit code %lld", number + 1,
                json_string(said, "type", "error"), (long long)code);
    return -1;
}

int doveadm_read_answer(const char *answer, size_t count, bool *ended_r, struct problem *problem)
{
    freed_by(json_put) struct json_object *all = json_read(answer);
    if (!json_object_is_type(all, json_type_array) || json_object_array_length(all) != count)
        return is_unexpected(problem);
    for (size_t i = 0; i < count; i++) {
        ended_r[i] = false;
        if (read_one(json_object_array_get_idx(all, i), i, &ended_r[i], problem) < 0)
            return -1;
    }
    return 1;
}

static int ask(struct doveadm *doveadm, const char *body, struct problem *problem)
{
    struct remote *remote = &doveadm->remote;
    long status = 0;
    text_clear(&doveadm->answer);
    curl_easy_setopt(remote->curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = remote_perform(remote);
    curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        problem_set(problem, 0, WHERE, "does not answer: %.200s", remote_error(remote, code));
    else if (status == HTTP_UNAUTHORIZED)
        problem_set(problem, 0, WHERE, "does not know the key: expected " KEY_IS);
    else if (status != HTTP_OK)
        problem_set(problem, 0, WHERE, "answers with HTTP status %ld", status);
    else
        return 1;
    return -1;
}

int doveadm_kick(struct doveadm *doveadm, const char *const *mailboxes, size_t count,
                 bool *ended_r, struct problem *problem)
{
    freed_by(text_free) struct text body = {0};
    text_add_char(&body, '[');
    for (size_t i = 0; i < count; i++) {
        text_add(&body, i > 0 ? ",[\"kick\",{\"mask\":[" : "[\"kick\",{\"mask\":[");
        text_add_json(&body, mailboxes[i]);
        text_addf(&body, "]},\"%zu\"]", i);
    }
    text_add_char(&body, ']');
    int answer = ask(doveadm, text_string(&body), problem);
    return answer < 1 ? answer : doveadm_read_answer(text_string(&doveadm->answer), count, ended_r,
                                                      problem);
}
