/* Macros of SPF: %{ir}.%{v}._spf.%{d2}. Source: RFC 7208, 7. */
#include <ctype.h>
#include <stdlib.h>

#include "base/text.h"
#include "mail/spf_record.h"

enum { PARTS_MAX = 128 };
#define DELIMITERS ".-+,/_="
#define LETTERS "sldipvhoSLDIPVHO" /* c, r and t are for explanations */

/* "{d2r-}" and what stands for it. */
struct macro {
    char letter;
    bool reversed;
    long kept; /* so many of its parts, from the right; 0: all */
    char delimiters[sizeof DELIMITERS];
    const char *end; /* behind it */
};

/* `at` is behind "%{". */
static bool read_macro(const char *at, struct macro *macro_r)
{
    size_t count = 0;
    *macro_r = (struct macro){.letter = *at};
    if (*at == '\0' || strchr(LETTERS, *at++) == NULL)
        return false;
    if (isdigit((unsigned char)*at)) {
        char *end;
        macro_r->kept = strtol(at, &end, 10);
        if (macro_r->kept < 1)
            return false;
        at = end;
    }
    if (*at == 'r' || *at == 'R') {
        macro_r->reversed = true;
        at++;
    }
    for (; *at != '\0' && strchr(DELIMITERS, *at) != NULL; at++)
        if (strchr(macro_r->delimiters, *at) == NULL)
            macro_r->delimiters[count++] = *at;
    if (count == 0)
        macro_r->delimiters[0] = '.';
    macro_r->end = at + 1;
    return *at == '}';
}

bool spf_macro_is_right(const char *text)
{
    struct macro macro;
    while (*text != '\0') {
        if (*text <= ' ' || *text > '~')
            return false;
        if (*text != '%') {
            text++;
        } else if (text[1] == '{') {
            if (!read_macro(text + 2, &macro))
                return false;
            text = macro.end;
        } else if (text[1] == '%' || text[1] == '_' || text[1] == '-') {
            text += 2;
        } else {
            return false;
        }
    }
    return true;
}

/* The IP as names have it: 192.0.2.1, or all nibbles with dots between them. */
static const char *ip_text(struct arena *arena, const struct spf_ip *ip)
{
    const uint8_t *bytes = ip->bytes;
    struct text text = {0};
    if (!ip->is_v6)
        return arena_printf(arena, "%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
    for (size_t i = 0; i < sizeof ip->bytes; i++)
        text_addf(&text, "%s%x.%x", i > 0 ? "." : "", bytes[i] >> 4, bytes[i] & 15);
    const char *kept = arena_strdup(arena, text_string(&text));
    text_free(&text);
    return kept;
}

static const char *value_of(struct arena *arena, char letter, const struct spf_macros *macros)
{
    const struct spf_request *request = macros->request;
    const char *at = strrchr(request->sender, '@');
    const char *local = at == NULL || at == request->sender
                            ? "postmaster"
                            : arena_strndup(arena, request->sender, (size_t)(at - request->sender));
    const char *domain = at != NULL ? at + 1 : request->sender;
    switch (tolower((unsigned char)letter)) {
    case 's':
        return arena_printf(arena, "%s@%s", local, domain);
    case 'l':
        return local;
    case 'o':
        return domain;
    case 'd':
        return macros->domain;
    case 'i':
        return ip_text(arena, &request->ip);
    case 'p':
        return macros->validated(macros->self);
    case 'v':
        return request->ip.is_v6 ? "ip6" : "in-addr";
    default:
        return request->helo;
    }
}

static void add_value(struct text *out, const char *value, const struct macro *macro)
{
    struct mail_view parts[PARTS_MAX];
    size_t count = 0;
    for (;; value++) {
        size_t length = strcspn(value, macro->delimiters);
        parts[count++] = (struct mail_view){value, length};
        value += length;
        if (*value == '\0' || count == PARTS_MAX)
            break;
    }
    size_t kept = macro->kept > 0 && (size_t)macro->kept < count ? (size_t)macro->kept : count;
    for (size_t i = count - kept; i < count; i++) {
        /* reversed, the parts on the right are the first ones */
        const struct mail_view *part = &parts[macro->reversed ? count - 1 - i : i];
        if (i > count - kept)
            text_add_char(out, '.');
        freed_by(free_string) char *copy = xasprintf("%.*s", (int)part->length, part->text);
        if (isupper((unsigned char)macro->letter))
            text_add_url(out, copy);
        else
            text_add(out, copy);
    }
}

const char *spf_macro_expand(struct arena *arena, const char *text,
                             const struct spf_macros *macros)
{
    struct text out = {0};
    struct macro macro;
    while (*text != '\0') {
        if (*text != '%') {
            text_add_char(&out, *text++);
        } else if (text[1] == '{' && read_macro(text + 2, &macro)) {
            add_value(&out, value_of(arena, macro.letter, macros), &macro);
            text = macro.end;
        } else {
            text_add(&out, text[1] == '_' ? " " : text[1] == '-' ? "%20" : "%");
            text += 2;
        }
    }
    const char *kept = arena_strdup(arena, text_string(&out));
    text_free(&out);
    return kept;
}
