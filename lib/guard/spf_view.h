/* Whether a domain's SPF record names the hosts that mail leaves from, as a JSON tree: what the
 * store keeps, and what people and programs read. */
#ifndef SENDGUARD_SPF_VIEW_H
#define SENDGUARD_SPF_VIEW_H

#include "base/json.h"
#include "mail/spf_hosts.h"
#include "text/catalogue.h"

/* The store keeps one in VALUE_SPF for each domain that sends, by its name, with "since", when the
 * record was first seen not to let a host send; "checked" and "again", when it was and will be
 * looked at; "seen", when the domain last sent; "notice", since when its users can read what has to
 * be changed; "open", until when staff has its mail accepted all the same; "blocked", since when an
 * entry of the block lists refuses it (guard/spf_block.h): ms. The state of a machine's checker is
 * kept under this and the machine's name: {"dns": whether the DNS answers, "dns_since", "told", and
 * domains: "named", "not_named", "unknown"; of "not_named" those that are "blocked", and those that
 * are "noticed" and will be, the first of them at "next_block" (0: none)}. */
#define SPF_VIEW_STATE "." /* no domain begins so */

/* So long users can read what has to be changed before mail is refused; staff ends a block for so
 * long. */
#define SPF_VIEW_NOTICE_MS (14 * DAY_MS)
#define SPF_VIEW_OPEN_MS (7 * DAY_MS)
/* So long after a domain last sent what is known of it is kept; while it is blocked, always. */
#define SPF_VIEW_KEPT_MS (30 * DAY_MS)
/* From when on mail of a domain is refused while its record stays as it is, in mode block; 0: it has
 * no notice. `view`: as it is kept, or NULL. */
int64_t spf_view_refused_ms(struct json_object *view);

/* {"domain", "results": [{"ip", "result", "term", "record", "problem"}], "names_us" (null: nobody
 * knows), and where it is false, of enum spf_advice: "advice_kind", "terms", "advice_term",
 * "advice_record", "problem" of the first host that is not named}. `term` (null: none) stands in
 * the record of domain `record`. To be put. */
struct json_object *spf_view(const struct spf_hosts *hosts);

/* What of it the entry of the block lists keeps, so that a refusal can say what has to be changed:
 * "domain" and the members of an advice. To be put. */
struct json_object *spf_view_advice(struct json_object *view);

/* Adds what is said of it in a language: "advice" (null: none is needed), and "problem_text" where
 * there is a problem. */
void spf_view_add_words(struct json_object *view, const struct catalogue *catalogue,
                        struct arena *arena, const char *language);

#endif
