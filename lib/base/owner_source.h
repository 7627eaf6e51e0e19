/* A source of owners of addresses, as `identity.owners` names it. Settings and the one who asks
 * read it with this one parser, so what --check accepts is what a program asks. */
#ifndef SENDGUARD_OWNER_SOURCE_H
#define SENDGUARD_OWNER_SOURCE_H

#include "base/base.h"

#define OWNER_SOURCE_FORMS                                                                    \
    "file:PATH, socketmap:unix:PATH:NAME, socketmap:inet:HOST:PORT:NAME or postmap:TYPE:TABLE"

enum owner_source_kind { OWNERS_FILE, OWNERS_SOCKETMAP, OWNERS_POSTMAP };

enum { OWNER_SOURCE_MAX_BYTES = 512 };

struct owner_source {
    enum owner_source_kind kind;
    char path[OWNER_SOURCE_MAX_BYTES]; /* absolute; of a file and a UNIX socket; else "" */
    char host[OWNER_SOURCE_MAX_BYTES]; /* of a socketmap by TCP, without brackets; else "" */
    int port;
    char name[OWNER_SOURCE_MAX_BYTES]; /* of the map of a socketmap, or TYPE:TABLE; else "" */
};

/* NULL and *source_r filled; or what is wrong, as the rest of a sentence that began with the text.
 * White space has no place in it. */
const char *owner_source_read(const char *text, size_t length, struct owner_source *source_r)
    must_check;

#endif
