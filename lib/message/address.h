/* Addresses as people write them: a recipient list is cut into entries, an
 * entry is read into one address in key form. Internal to lib/; programs use
 * submission.h. All functions: any thread.
 *
 * Two readers must agree before an unusual entry passes: ours, which is
 * stricter than RFC 5322 asks, and GMime in strict mode. Where two programs
 * could read different recipients out of one text, the text is refused. */
#ifndef SENDGUARD_ADDRESS_H
#define SENDGUARD_ADDRESS_H

#include <stdbool.h>

#include "message/submission.h"

enum {
    ADDRESS_MAX_WRITTEN_BYTES = 512,    /* of an address before it is in key form */
    ADDRESS_MAX_DOMAIN_BYTES = 253,     /* as text, of 255 on the wire; RFC 1035 section 2.3.4 */
    ADDRESS_MAX_ENTRY_BYTES = 8 * 1024, /* name, comments and address of one entry */
    ADDRESS_QUOTE_SIZE = 72,
};

/* An address in key form. */
struct address {
    char text[ADDRESS_MAX_BYTES + 1];
    size_t length, domain_at; /* text + domain_at is behind the last '@' */
    uint32_t form;            /* a hash of the address as it was written */
};

extern const char address_too_long[];

/* One address, nothing around it, in key form. NULL, or what is wrong with it
 * as the rest of a sentence that began with the address. */
const char *address_normalise(const char *text, size_t length, struct address *address_r);

/* What stands behind the last '@' of an address in key form; all of it where there is none. */
const char *address_domain(const char *address);
/* A domain alone; room for ADDRESS_MAX_DOMAIN_BYTES + 1. Results as above. */
const char *address_domain_normalise(const char *text, size_t length, char *domain_r,
                                     size_t *length_r);

/* What is wrong with text from outside (NUL, line breaks, other control
 * characters but the tab, bytes that are no UTF-8), or NULL. */
const char *address_text_fault(const char *text, size_t length);

/* A recipient list under way; begin with {.text = …, .length = …, .form = …}. The text has
 * passed address_text_fault. */
struct address_list {
    const char *text;
    size_t length, at;
    bool form; /* the webmail will read it too: address_form_fault for every piece */
    bool in_group, behind_group;
};

/* A piece of the list's text without white space around it. */
struct address_entry {
    const char *text;
    size_t length;
};

/* The next entry that is not empty; members of groups are entries like others, comments in a
 * group and behind it none (RFC 5322 section 3.4).
 * 1; 0 at the end; -1 when the list cannot be cut any further: *fault_r says
 * why and *entry_r is the text it stopped at. Never allocates. */
int address_list_next(struct address_list *list, struct address_entry *entry_r,
                      const char **fault_r) must_check;

/* What a webmail could read otherwise than we do in a piece of a form's list (an entry, a group's
 * name, a comment), or NULL. For pieces that address_list_next found; never allocates. */
const char *address_form_fault(struct address_entry entry);

/* Reads one entry: `addr` or `Name <addr>` in every form of RFC 5322 and RFC
 * 6532. *written_chars_r: its Unicode characters, encoded words (RFC 2047)
 * decoded. NULL, or what is wrong as in address_normalise. Plain ASCII entries
 * never allocate. */
const char *address_entry_read(struct address_entry entry, struct address *address_r,
                               uint32_t *written_chars_r);

/* The text in quotation marks, fit for a sentence: cut to about 60 bytes at a character. */
const char *address_quote(char quoted[ADDRESS_QUOTE_SIZE], struct address_entry entry);

#endif
