#include "remote/remote.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static size_t give_bytes(char *buffer, size_t one, size_t count, void *context)
{
    struct remote *remote = context;
    size_t length = one * count < remote->left ? one * count : remote->left;
    memcpy(buffer, remote->given, length);
    remote->given += length;
    remote->left -= length;
    return length;
}

static size_t take_bytes(char *bytes, size_t one, size_t count, void *context)
{
    struct remote *remote = context;
    size_t length = one * count;
    if (length > remote->answer_max - remote->answered)
        return 0; /* an error of libcurl */
    remote->answered += length;
    if (remote->answer != NULL)
        text_add_bytes(remote->answer, bytes, length);
    return length;
}

static int is_given_up(void *context, curl_off_t all_down, curl_off_t down, curl_off_t all_up,
                       curl_off_t up)
{
    const struct remote *remote = context;
    (void)all_down, (void)down, (void)all_up, (void)up;
    return remote->ending != NULL && *remote->ending;
}

static void begin_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

void remote_begin(struct remote *remote, const char *protocols, long within_ms)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_curl);
    remote->curl = curl_easy_init();
    if (remote->curl == NULL)
        abort(); /* as xmalloc */
    curl_easy_setopt(remote->curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(remote->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(remote->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_TIMEOUT_MS, within_ms);
    curl_easy_setopt(remote->curl, CURLOPT_ERRORBUFFER, remote->error);
    curl_easy_setopt(remote->curl, CURLOPT_READFUNCTION, give_bytes);
    curl_easy_setopt(remote->curl, CURLOPT_READDATA, remote);
    curl_easy_setopt(remote->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(remote->curl, CURLOPT_WRITEDATA, remote);
    curl_easy_setopt(remote->curl, CURLOPT_XFERINFOFUNCTION, is_given_up);
    curl_easy_setopt(remote->curl, CURLOPT_XFERINFODATA, remote);
    curl_easy_setopt(remote->curl, CURLOPT_NOPROGRESS, 0L);
}

void remote_end(struct remote *remote)
{
    curl_easy_cleanup(remote->curl);
    remote->curl = NULL;
}

CURLcode remote_perform(struct remote *remote)
{
    remote->error[0] = '\0';
    remote->answered = 0;
    return curl_easy_perform(remote->curl);
}

const char *remote_error(const struct remote *remote, CURLcode code)
{
    return remote->error[0] != '\0' ? remote->error : curl_easy_strerror(code);
}

void remote_end_list(struct curl_slist **list) { curl_slist_free_all(*list); }
