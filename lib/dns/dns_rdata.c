#include "dns/dns_rdata.h"

enum { LABEL_MAX_BYTES = 63, NAME_MAX_BYTES = 255, PREFERENCE_BYTES = 2 };

/* Letters that would be read as others, or end a text, are in no name of a host. */
static bool is_label(struct mail_view label)
{
    for (size_t i = 0; i < label.length; i++)
        if (label.text[i] <= ' ' || label.text[i] > '~' || label.text[i] == '.' ||
            label.text[i] == '\\')
            return false;
    return true;
}

/* Without the root's dot; the root itself is "". */
static int read_name(struct arena *arena, struct mail_view rdata, struct mail_view *record_r)
{
    if (rdata.length > NAME_MAX_BYTES)
        return 0;
    char *name = arena_alloc(arena, rdata.length + 1);
    size_t length = 0;
    while (rdata.length > 0 && rdata.text[0] != '\0') {
        const struct mail_view label = {rdata.text + 1, (unsigned char)rdata.text[0]};
        if (label.length > LABEL_MAX_BYTES || label.length >= rdata.length || !is_label(label))
            return 0;
        if (length > 0)
            name[length++] = '.';
        memcpy(name + length, label.text, label.length);
        length += label.length;
        rdata = mail_view_from(rdata, 1 + label.length);
    }
    *record_r = (struct mail_view){name, length};
    return rdata.length == 1;
}

static int read_strings(struct arena *arena, struct mail_view rdata, struct mail_view *record_r)
{
    char *text = arena_alloc(arena, rdata.length + 1);
    size_t length = 0;
    while (rdata.length > 0) {
        size_t of_string = (unsigned char)rdata.text[0];
        if (of_string >= rdata.length)
            return 0;
        memcpy(text + length, rdata.text + 1, of_string);
        length += of_string;
        rdata = mail_view_from(rdata, 1 + of_string);
    }
    *record_r = (struct mail_view){text, length};
    return 1;
}

int dns_rdata_read(struct arena *arena, enum spf_type type, struct mail_view rdata,
                   struct mail_view *record_r)
{
    switch (type) {
    case SPF_TYPE_A:
    case SPF_TYPE_AAAA:
        *record_r = (struct mail_view){arena_strndup(arena, rdata.text, rdata.length),
                                       rdata.length};
        return rdata.length == (type == SPF_TYPE_A ? 4 : 16);
    case SPF_TYPE_MX:
        return rdata.length > PREFERENCE_BYTES &&
               read_name(arena, mail_view_from(rdata, PREFERENCE_BYTES), record_r);
    case SPF_TYPE_PTR: return read_name(arena, rdata, record_r);
    default: return read_strings(arena, rdata, record_r);
    }
}
