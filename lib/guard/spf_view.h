/* Whether a domain's SPF record names the hosts that mail leaves from, as a JSON tree: what the
 * store keeps, and what people and programs read. */
#ifndef SENDGUARD_SPF_VIEW_H
#define SENDGUARD_SPF_VIEW_H

#include "base/json.h"
#include "mail/spf_hosts.h"
#include "text/catalogue.h"

/* The store keeps one in VALUE_SPF for each domain that sends, by its name, with "since", when the
 * record was first seen not to let a host send; "checked" and "again", when it was and will be
 * looked at; "seen", when the domain last sent: ms. The state of a machine's checker is kept under
 * this and the machine's name: {"dns": whether the DNS answers, "dns_since", "told", and domains:
 * "named", "not_named", "unknown"}. */
#define SPF_VIEW_STATE "." /* no domain begins so */

/* {"domain", "results": [{"ip", "result", "term", "record", "problem"}], "names_us" (null: nobody
 * knows), and where it is false, of enum spf_advice: "advice_kind", "terms", "advice_term",
 * "advice_record", "problem" of the first host that is not named}. `term` (null: none) stands in
 * the record of domain `record`. To be put. */
struct json_object *spf_view(const struct spf_hosts *hosts);

/* Adds what is said of it in a language: "advice" (null: none is needed), and "problem_text" where
 * there is a problem. */
void spf_view_add_words(struct json_object *view, const struct catalogue *catalogue,
                        struct arena *arena, const char *language);

#endif
