#include "rules/history.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* No key has a space behind its last '@', and none of a network has one. */
const char *const history_marks[SUBJECT_RECIPIENT + 1][CHANNEL_COUNT] = {
    [SUBJECT_MAILBOX] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = "",
                         [CHANNEL_FORWARDING] = " forwarding"},
    /* what forwards is a service of the provider's, at no user's address */
    [SUBJECT_IP] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = " smtp", [CHANNEL_FORWARDING] = NULL},
    [SUBJECT_DOMAIN] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = "",
                        [CHANNEL_FORWARDING] = NULL},
    [SUBJECT_RECIPIENT] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = "",
                           [CHANNEL_FORWARDING] = NULL},
};

void history_domain_key(const char *domain, char key_r[DOMAIN_KEY_SIZE])
{
    unsigned char hash[crypto_generichash_BYTES];
    size_t length = strlen(domain);
    key_r[0] = '@';
    if (length <= DOMAIN_KEPT) {
        memcpy(key_r + 1, domain, length + 1);
        return;
    }
    crypto_generichash(hash, sizeof hash, (const unsigned char *)domain, length, NULL, 0);
    key_r[1] = '#';
    sodium_bin2hex(key_r + 2, DOMAIN_KEY_SIZE - 2, hash, sizeof hash);
}

const char *history_key_named(const char *name, char key_r[DOMAIN_KEY_SIZE])
{
    if (name[0] != '@')
        return name;
    history_domain_key(name + 1, key_r);
    return key_r;
}

enum subject history_subject(const char *name, size_t length)
{
    return length > 0 && name[0] == '@'          ? SUBJECT_DOMAIN
           : memchr(name, '@', length) != NULL ? SUBJECT_MAILBOX
                                               : SUBJECT_IP;
}

const char *history_name(enum subject subject, enum channel channel, const char *key,
                         char name_r[HISTORY_NAME_SIZE])
{
    const char *mark = history_marks[subject][channel];
    if (key == NULL || mark == NULL)
        return NULL;
    if (mark[0] == '\0')
        return key;
    snprintf(name_r, HISTORY_NAME_SIZE, "%s%s", key, mark);
    return name_r;
}

bool history_is_shared(enum subject subject, enum channel one, enum channel other)
{
    const char *mark = history_marks[subject][one], *other_mark = history_marks[subject][other];
    return mark != NULL && other_mark != NULL && strcmp(mark, other_mark) == 0;
}

/* The marks do not change: asked for with each message, found once. */
static size_t share_of[SUBJECT_COUNT][CHANNEL_COUNT], shares_of[SUBJECT_COUNT];
static pthread_once_t shares_once = PTHREAD_ONCE_INIT;

static void find_shares(void)
{
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            size_t *share = &share_of[subject][channel];
            for (int before = 0; before < channel; before++)
                *share += history_is_shared((enum subject)subject, (enum channel)before,
                                            (enum channel)channel);
            shares_of[subject] = *share >= shares_of[subject] ? *share + 1 : shares_of[subject];
        }
}

size_t history_share(enum subject subject, enum channel channel)
{
    pthread_once(&shares_once, find_shares);
    return share_of[subject][channel];
}

size_t history_shares(enum subject subject)
{
    pthread_once(&shares_once, find_shares);
    return shares_of[subject];
}

bool history_is_first(enum subject subject, enum channel channel)
{
    for (int before = 0; before < (int)channel; before++)
        if (history_is_shared(subject, (enum channel)before, channel))
            return false;
    return history_marks[subject][channel] != NULL;
}

enum channel history_channel(enum subject subject, const char *name, char key_r[HISTORY_NAME_SIZE])
{
    size_t length = strlen(name);
    enum channel found = CHANNEL_WEBMAIL;
    size_t marked = 0;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const char *mark = history_marks[subject][channel];
        size_t mark_length = mark != NULL ? strlen(mark) : 0;
        if (mark_length > marked && mark_length < length &&
            strcmp(name + length - mark_length, mark) == 0) {
            found = (enum channel)channel;
            marked = mark_length;
        }
    }
    snprintf(key_r, HISTORY_NAME_SIZE, "%.*s", (int)(length - marked), name);
    return found;
}
