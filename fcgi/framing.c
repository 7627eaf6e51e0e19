#include "fcgi/framing.h"

#include <fastcgi.h>
#include <string.h>

struct frame {
    int type, id;
    size_t content, whole; /* bytes: the content's, and the record's */
};

/* False: it is of another version. */
static int read_head(const char *bytes, struct frame *frame_r)
{
    FCGI_Header head;
    memcpy(&head, bytes, sizeof head);
    *frame_r = (struct frame){
        .type = head.type,
        .id = head.requestIdB1 << 8 | head.requestIdB0,
        .content = (size_t)(head.contentLengthB1 << 8 | head.contentLengthB0),
    };
    frame_r->whole = sizeof head + frame_r->content + head.paddingLength;
    return head.version == FCGI_VERSION_1;
}

int framing_whole(const char *bytes, size_t length, size_t *used_r)
{
    int id = 0, expected = FCGI_BEGIN_REQUEST;
    size_t at = 0;
    while (length - at >= FCGI_HEADER_LEN) {
        struct frame frame;
        if (!read_head(bytes + at, &frame) || frame.type != expected)
            return -1;
        if (expected == FCGI_BEGIN_REQUEST)
            id = frame.id;
        if (frame.id != id || id == FCGI_NULL_REQUEST_ID)
            return -1;
        if (length - at < frame.whole)
            return 0;
        at += frame.whole;
        if (expected == FCGI_BEGIN_REQUEST) {
            expected = FCGI_PARAMS;
        } else if (frame.content == 0 && expected == FCGI_PARAMS) {
            expected = FCGI_STDIN;
        } else if (frame.content == 0) {
            *used_r = at;
            return 1;
        }
    }
    return 0;
}
