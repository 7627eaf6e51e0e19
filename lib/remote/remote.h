/* An exchange with another server by libcurl, as all our clients have it: straight to the server that
 * the settings name (no proxy of the environment), within a time, given up when the program ends, and
 * an answer of limited size. */
#ifndef SENDGUARD_REMOTE_H
#define SENDGUARD_REMOTE_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/text.h"

struct remote {
    CURL *curl; /* for the options of the exchange itself: URL, headers, who signs in … */
    const _Atomic bool *ending; /* gives an exchange up once it is true; NULL: nothing does */
    struct text *answer;        /* takes what is answered; NULL: nobody reads it */
    size_t answer_max;          /* bytes; more is an error (CURLE_WRITE_ERROR) */
    size_t answered;            /* bytes of the last exchange, also without `answer` */
    const char *given;          /* of what CURLOPT_UPLOAD sends: the rest. Borrowed */
    size_t left;                /* bytes of it */
    char error[CURL_ERROR_SIZE];
};

/* Begins with an empty *remote; it must not move afterwards. `protocols` as CURLOPT_PROTOCOLS_STR has
 * them; one exchange takes at most `within_ms`. One thread each. The caller calls remote_end. */
void remote_begin(struct remote *remote, const char *protocols, long within_ms);
void remote_end(struct remote *remote);

/* Does what the options say. Not CURLE_OK: remote_error says what went wrong. */
CURLcode remote_perform(struct remote *remote) must_check;
/* In libcurl's words; valid until the next exchange. */
const char *remote_error(const struct remote *remote, CURLcode code);

void remote_end_list(struct curl_slist **list);

#endif
