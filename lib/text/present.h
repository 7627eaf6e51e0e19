/* From facts to words: a view is a JSON tree of plain facts, the same for
 * scripts and for pages. For a page, present() adds beside each fact what a
 * person reads, in the reader's language and time zone:
 *
 *   "at", "since", "until", "*_at", "*_until"   (a moment, RFC 3339)
 *        KEY_text  "14:05", "Monday 14:05", "3 December 14:05", "3 December 2024 14:05", by
 *                  distance; minutes of what is to come are rounded up
 *        KEY_in    "in 3 h 20 min", "12 min ago", "in 2 days", "now"; up to a
 *                  second ahead is now, as json_add_moment rounds up
 *   "rule", "cause", "channel", "state", "verdict", "outcome", "action", "role", "source",
 *   "kind", "headline", "field", "mode", "of", "value", "where", "by", "hint",
 *   "ended", "why", "type", "done", "appeal_problem", "protocol", "connection"   (a word of ours)
 *        KEY_text  the text "KEY.WORD" of the catalogue, with the object around as
 *                  its values (in the order of the object's members: what a text uses
 *                  has to stand before); absent when there is none
 *        KEY_is    {WORD: true}, to choose by
 *   "wrong", "why", "why_not", "reset_why_not"   (what a problem says, in English)
 *        KEY_text  the same in that language (problem_text.h); absent where it has no words for it
 *   "mailbox", "domain", "ip", "key", "subject", "decision", "older", "next", "query"
 *        KEY_url   percent-encoded, for a part of a link
 *   "mailbox", "subject"
 *        KEY_local, KEY_site   "alice" and "@example.org": a line breaks between them best
 *   an integer  KEY_one    true when its word takes the singular in that language
 *               KEY_some   true when it is above 0
 *   a list      KEY_any    true when it is not empty; KEY_count its length, KEY_count_one;
 *        its elements that are objects: "first" and "last", true where they are, else false
 *
 * Members that exist already stay as they are. */
#ifndef SENDGUARD_PRESENT_H
#define SENDGUARD_PRESENT_H

#include "text/catalogue.h"

struct reader {
    const struct catalogue *catalogue;
    const char *language; /* one of the catalogue's */
    const char *zone;     /* IANA name, "Europe/Berlin"; NULL or unknown: UTC */
    int64_t now_ms;
};

void present(struct json_object *view, const struct reader *reader);

/* A moment in words, as KEY_text above; in `arena`. */
const char *present_moment(struct arena *arena, const struct reader *reader, int64_t time_ms);
/* With its day, its second and the zone, "3 December 2024 14:05:09 (Europe/Berlin)"; in `arena`. */
const char *present_moment_exact(struct arena *arena, const struct reader *reader, int64_t time_ms);
/* The name of the reader's zone, "UTC" where there is none. */
const char *present_zone(const struct reader *reader);

#endif
