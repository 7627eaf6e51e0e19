/* The support desk without HTTP and HTML: what a user may see of his own
 * mailbox, what staff may see of all, and what staff may do. Views are JSON trees
 * of plain facts (json.h), the same for pages, API and command line; the
 * shapes are below each function. Knows no HTTP and no HTML.
 *
 * Every function answers 1 with *view_r (to be put); 0 with *problem (status
 * 400 wrong input, 403 the role may not, 404 no such thing, 409 it cannot be
 * done now); -1: the store did not answer. `now_ms` is the caller's. Any thread.
 *
 * Common shapes; "moment" is RFC 3339 in UTC:
 *   SUSPENSION null, or {"id":3,"cause":"volume","since":moment,"until":moment|null,
 *     "attempts":2,"retries_before_restart":10,"attempts_left":8,"offence":1,
 *     "rule":"messages_per_day"|null,        (rule: when the guard set it)
 *     "own_lock":bool}                       (set by the mailbox's own user)
 *     for staff also "by":…,"note":…; for the user "sentence":"The message was…"|null (the
 *     provider's own, English; null: own_lock)
 *   WINDOW {"rule":…,"channel":"webmail","limit":600|null,"used":412,"left":188|null,"percent":68,
 *     "full":false,"window_s":86400,"messages":bool (else recipients are counted),
 *     "refill":[{"at":moment,"count":120},…]}      (limit null: off; percent 0..100)
 *   REASON {"rule":…,"field":"to"|absent,"domain":…|absent,"count":57,"limit":50,"excess":7,
 *     "never_fits":bool}
 *   ACTION {"number":7,"at":moment,"by":"ada","action":"lift","subject":…,"note":…,"detail":{…}}
 *   BLOCK null, or, of mail that failed too often: {"subject":"@example.test" (the name of a group of
 *     own domains) or a mailbox,"since":moment,"until":moment,"bad":12,"all":20,"messages":9,
 *     "hint":"list" (old addresses)|"form" (a web form that strangers use)|"password" (stolen)|null}
 *   APPEAL {"number":1,"about":"suspension-3"|"block-5","cause":"volume"…|"domain_failures","at":moment,
 *     "text":…,"answer":null (it waits)|{"at":moment,"text":…, for staff "by":…}}
 *   NEXT, what the next message to one off-domain recipient would meet:
 *     {"verdict":"admit"|"refuse","state":…,"retry_at":moment|null,"blocked_until":moment (absent:
 *     no block for mail that failed),"reasons":[REASON…]} */
#ifndef SENDGUARD_DESK_H
#define SENDGUARD_DESK_H

#include "base/problem.h"
#include "guard/guard.h"
#include "staff/staff.h"
#include "store/audit.h"
#include "store/observations.h"
#include "store/store.h"

struct json_object;
struct zone;

struct desk {
    struct store *store;
    struct guard *guard;
    const struct token_key *key; /* of web.secret_file; NULL: what asks for recipients is a 409 */
};

/* ---- for the user -------------------------------------------------------------------- */

/* How it stands with a mailbox (key form), with the refusal that led here (0: none; one of
 * another mailbox is passed over), read from `reader_ip` (NULL: not known):
 * {"now":moment,"mailbox":…,
 *  "state":"ok"|"full"|"blocked"|"paused"|"stopped",
 *                                            full: a window over time has no room for one more;
 *                                            blocked: for mail that failed;
 *                                            paused: suspended until a moment; stopped: until staff lifts it
 *  "can_send":"all"|"own"|"none",            own: only inside its own domains
 *  "headline": sending_state of all this: "paused"|"stopped"|"blocked"|"sender_blocked"|"own"|"full" as things stand now, else
 *     "too_big"|"over_time"|"split"|"unusual": the decision was a refusal for its message's own size | for a limit
 *     over time | for more than a whole limit over time | for an unusual rate; else "admitted" after all, or "ok". In mode
 *     observe never "blocked", "own" nor "full", since nothing is refused,
 *  "retry_at":moment|null,                   when state is full or can_send own: first room for one more
 *  "to_split":bool,                          the decision's message is more than a whole limit
 *  "sender_sentence":…|null,                  staff blocked who writes from there: what they wrote
 *  "suspension":SUSPENSION, "complaints":OWN_COMPLAINTS or null,
 *  "block":null, or BLOCK with "of":"domain"|"mailbox","domain":…,
 *     "window_s":3600,"by_class","left_out","missed" of FAILURES (a destination is null unless several
 *     mailboxes use it),"yours":3,"others":7 of "bad": of this mailbox, and of others without a name,
 *     "sentence":"Domain example.test has…" (the provider's own),
 *  "windows":[WINDOW of the webmail endpoint, limits in force, off ones left
 *     out; last, with "by_network":true, that of the network whose limit the decision met, of its
 *     channel, else that of the reader's at the webmail endpoint],
 *  "exempt":bool,"plan":name|null (none, or one that the settings do not have),
 *  "message":null|{"decision":…,"at":moment,"verdict":"admitted"|"message"|"over_time"|"suspended"|
 *     "blocked","recipients":102,"off_domain":98,"channel":…|null,"reasons":[REASON…]},
 *  "messages":[{"at":moment,"off_domain":10,"recipients":12|null,"channel":…|null,
 *     "network":"203.0.113.0/24"|null,"decision":…|null,
 *     "network_first_at":moment|null (less than 24 h ago),
 *     "connection":"here" (the reader's own network)|"new" (one with that moment)|"other"|null,
 *     "id":…|null (as the webmail named it)}],    what fills the windows, newest first, ≤ 50
 *  "messages_total":600, "more_messages":550,
 *  "contact":…, "contact_is_mail":bool, "can_lock":bool, "can_lock_signins":bool, "can_unpause":bool, "unpause_messages":20,
 *  "lock":{"scope":"login" (nobody signs in)|"sending","closed":bool}, or null: for another cause,
 *  "appeals":[APPEAL that waits, or was answered within 30 days], newest first,
 *  "can_appeal":[{"about":…,"cause":…}…],    what holds and has no appeal that waits; not a lock of its own
 *  "parked":[PARKED…],                       as desk_parked_act
 *  "held":{"count":41,"since":moment}|null,  messages that wait for the postmaster
 *  "rejected":{"count":41,"at":moment}|null} messages that were deleted then, for 12 days
 * A mailbox never seen looks like one that sent nothing. */
int desk_status(const struct desk *desk, const char *mailbox, uint64_t decision,
                const char *reader_ip, int64_t now_ms, struct json_object **view_r) must_check;

/* support.contact as "contact" (null when it is empty) and "contact_is_mail" (it can be linked to). */
void desk_add_contact(struct json_object *view, const char *contact);

/* What the reference in a refusal tells to everybody who has it. It stands in logs and bounces, so the view
 * names no mailbox, network or number of messages:
 * {"now":moment,"decision":…,"at":moment,"verdict":"message"|"over_time"|"suspended"|"blocked",
 *  "state":"refused" (for itself)|"over" (a limit over time)|"paused"|"stopped"|"blocked" (its mail
 *     fails)|"ended" (the suspension or the block that it met),
 *  "until":moment|null,        paused, blocked: its end
 *  "retry_at":moment|null,     over: when this very message would fit; null now, or never
 *  "never_fits":bool,          over: it is more than a whole limit
 *  "deferred":bool,            over: the mail server was told that it may try again
 *  "rules":[{"rule":…}…], "sentence":…|null}
 * 0 (404): no refusal of that id is kept; also for an id that is none, and for an admitted message. */
int desk_reference(const struct desk *desk, const char *decision, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem) must_check;

/* "That wasn't me": suspends at once for cause compromised, by "user"; a suspension until
 * lifted stays as it is (with a note in the audit log). The view is desk_status. */
int desk_lock(const struct desk *desk, const char *mailbox, int64_t now_ms,
              struct json_object **view_r) must_check;
/* The second step, where that holds: nobody signs in until the password was changed. No offence until
 * staff lock it; the audit log has it as "lock" by "user". 1; 0 with *problem (409); -1. */
int desk_lock_signins(const struct desk *desk, const char *mailbox, int64_t now_ms,
                      struct problem *problem) must_check;

/* The user ends a first suspension for volume, once in 30 days, and gets suspension.unpause_messages
 * more messages and recipients for a day. 1; 0 with *problem (409); -1: not known. What a kill has
 * left half done is taken up a minute later. */
int desk_unpause(const struct desk *desk, const char *mailbox, int64_t now_ms,
                 struct problem *problem) must_check;

/* The user writes why what holds is wrong: `about` is of can_appeal, `text` 1 to DESK_APPEAL_MAX
 * characters. One that waits for each; some a day. 1; 0 with *problem (400; 409: it holds no longer, or
 * has one that waits; 429: that day's are written, or too many wait); -1. */
enum { DESK_APPEAL_MAX = 1000 };
int desk_appeal(const struct desk *desk, const char *mailbox, const char *about, const char *text,
                int64_t now_ms, struct problem *problem) must_check;

/* Messages that wait in the webmail (parked), by the webmail of their user; docs/webmail-endpoint.md says what
 * each action is for. Words: {"action":"list"}, {"action":"park","id":…,"at":moment,"recipients":12,
 * "digest":…,"drafts":…,"sent":…} (the last three or none: struct desk_parked_draft),
 * {"action":"claim","id":…,"claim":…}, {"action":"defer","id":…,"claim":…,"at":moment or none,
 * "decision":… or none}, {"action":"sent","id":…,"claim":…}, {"action":"cancel","id":…}. An id and a
 * claim are 32 hexadecimal digits of the caller's own. The view, after it:
 * {"now":moment,"at_most":20,"parked":[PARKED…]}, PARKED being {"id":…,"state":…,"may_go":bool
 * (it is waiting or due),"at":moment (from when it may be sent),"parked_at":moment,"recipients":12,"tries":0 (refusals at its moment),
 * "submission_id":… (under which it is judged, so it counts once however often that is tried),
 * "decision":reference or ""|null}; state: "waiting"; "due", which alone can be claimed; "claimed"; "unknown",
 * claimed too long ago, so it may not have been sent and is not sent again; "refused" too often; "late",
 * nobody came for it in a week. 0: 400; 404: there is none of that id, or to claim none that is
 * due, so nobody sends it now; 409: its state is another (to claim: somebody has it in hand), the
 * mailbox is locked, others write; 429: as many as may be. */
int desk_parked_act(const struct desk *desk, const char *mailbox, struct json_object *words,
                    int64_t now_ms, struct json_object **view_r,
                    struct problem *problem) must_check;

/* One that is due, and was parked with what is needed to find it without its user's session. */
struct desk_parked_draft {
    const char *mailbox, *id;
    const char *digest; /* SHA-256 of the draft as it lies in the mailbox, in hexadecimal digits */
    const char *drafts; /* the folder in which it lies, as IMAP names it */
    const char *sent;   /* that in which it is kept when it is sent; "": it is not kept */
    const char *submission_id; /* under which it is judged, here or at a visit */
};
struct desk_parked_due {
    struct desk_parked_draft *drafts;
    size_t count;
    const char *after; /* the mailbox; NULL: there is no further one */
};
/* Those of the mailbox behind `after` ("": of the first), in the order of parking. All of it in
 * `arena`. Of the desk the store is needed alone. 1 or -1. */
int desk_parked_due(const struct desk *desk, struct arena *arena, const char *after,
                    int64_t now_ms, struct desk_parked_due *due_r) must_check;

/* ---- for staff: views ------------------------------------------------------------------- */

enum { DESK_PAGE = 50 };

/* What a search box's text is: {"query":…,
 *  "found":"mailbox"|"domain"|"ip"|"network"|"decision"|"nothing","key":…, also where the one thing of
 *     its kind stands in a longer text, or in a link of ours,
 *  "seen":bool, of a mailbox or domain whether anything is known of it (it may exist all the same); else
 *     null,
 *  "matches":[{"found":…,"key":…} ≤ 10]}: where nothing is found, or nothing known of it, the several
 *     things that a text names, or what is alike among the suspended, the last 500 decisions and actions,
 *     and who sent within a day from the text's domain or the first ones that are configured; of a network
 *     the IPs of the last 500 decisions.
 * 400 for no text, and more than 4000 bytes. */
int desk_search(const struct desk *desk, const char *query, int64_t now_ms,
                struct json_object **view_r, struct problem *problem) must_check;

/* The ten mailboxes, domains, IPs and decisions that a member of staff looked at last, within 30 days:
 * [{"found":as desk_search,"key":…,"at":moment}…], the last first. Others do not see it. 1 or -1. */
int desk_looked(const struct desk *desk, const struct person *person, int64_t now_ms,
                struct json_object **list_r) must_check;
int desk_looked_add(const struct desk *desk, const struct person *person, const char *found,
                    const char *key, int64_t now_ms) must_check;

/* {"now":…, "appeals" and "appeals_waiting" as desk_appeals, "bypassed_today":3 (messages that bypassed the webmail endpoint; today and
 *  yesterday, UTC), "locked_by_users":[SUSPENDED…], "suspended":[SUSPENDED ≤ 20], "more_suspended":bool,
 *  "near":[NEAR ≤ 20, fullest first; mailboxes], "ips":[NEAR ≤ 20; IPs],
 *  "logins":desk_logins_closed,
 *  "domains":[NEAR ≤ 20; sender domains], "actions":[ACTION ≤ 10; of those that were done together
 *  the newest alone, with "batch": the name that joins them|null],
 *  "blocked" and "outages" as desk_feedback has them}
 * SUSPENDED = SUSPENSION with "mailbox" and "lock":{"scope":"login"|"sending","closed":bool}|null (it
 * belongs to no lock), the newest first; NEAR {"key":…,"rule":…,"channel": of those
 * that count in that history the one of the lowest limit,"limit":600,"used":590,"percent":98,
 * "full":bool,"retry_at":moment|null} */
int desk_home(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;

/* {"appeals":[APPEAL that waits, with "mailbox"; who waits longest first ≤ DESK_APPEALS_MAX],
 *  "appeals_waiting":300 (all)} */
enum { DESK_APPEALS_MAX = 200 };
int desk_appeals(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;

/* {"suspended":[SUSPENDED…],"next":"last mailbox"|null}: pass next as `after`. */
int desk_suspended(const struct desk *desk, const char *after, int64_t now_ms,
                   struct json_object **view_r) must_check;
/* The suspended, the newest first, and what they have in common. All that is given has to fit; NULL
 * and "" are all. */
struct suspended_filter {
    const char *cause;   /* its name */
    const char *by;      /* "guard", "user", or who of the staff */
    const char *network; /* an IP or a network */
    const char *name;    /* a part of the mailbox; with '#': the name but for its numbers */
    const char *last;    /* "24h": began so lately */
    const char *began;   /* a moment: began in the hour from then on */
};
/* {"now":…,"suspended":[SUSPENDED with "network":… (where the mailbox's last message up to the suspension
 *     came from)|null],
 *  "more":bool (of 10,000 suspended mailboxes, in order of name, those that fit are told, the newest
 *     500 suspensions; there may be more),
 *  and of these, the most frequent first, 10 of each at most; networks, names and hours that two share:
 *  "networks":[{"network":…,"count":17}…],"names":[{"name":"user#@example.test","count":9}…],
 *  "times":[{"since":moment, the hour (UTC) in which they began,"count":20}…],
 *  "causes":[{"cause":…,"count":…}…],"bys":[{"by":…,"count":…}…]}
 * 400 where a filter is none. */
int desk_campaigns(const struct desk *desk, const struct suspended_filter *filter, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem) must_check;

/* {"near":[NEAR…],"ips":[NEAR…],"domains":[NEAR…]}, at most 200 together. */
int desk_near(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;

/* {"now":…,"mailbox":…,"domain":…,"seen":bool as in desk_search,"state":…,"retry_at":…,
 *  "suspension":SUSPENSION,
 *  "block":BLOCK,"exempt":null|"settings"|"staff",
 *  "plan":null|{"name":"school","of":"mailbox"|"domain" that it was given to,"lost":bool (the settings have
 *     no such plan, and their limits hold),"until":moment|null},
 *  "windows":[WINDOW of webmail and SMTP where they differ, else one;
 *  and of forwarding, with its own count, where something forwards],
 *  "limits":[{"rule":…,"channel":…,"limit":600|null,"default":600|null,"source":"settings"|"plan"|"domain"|"mailbox",
 *     "plan":its name where it is the source|null,
 *     "extra":0,"until":moment|null,"extra_until":moment|null,"setting":"limits.webmail.messages_per_day"}],
 *  "next":NEXT,
 *  "timeline":[{"kind":"decision","at":…,"decision":…,"outcome":"admitted"|"repeated"|"redeemed"|
 *       "rejected"|"over"|"suspended"|"blocked","bypassed":true|absent,"by_header":true|absent,
 *       "unusual":true|absent,"channel":…,"ip":…,"recipients":12,
 *       "off_domain":10,"rules":[{"rule":…}…]}
 *     | {"kind":"action",…ACTION…} (notes too) …], newest first, ≤ DESK_PAGE,
 *  "older": "CURSOR"|null,                      pass as `before` for the next page
 *  "notes":[ACTION of action "note" ≤ 20], "appeals":[APPEAL kept, newest first], "can_appeal":as in desk_status,
 *  "lock":LOCK (below), or null where the key is missing,
 *  "parked":null, or {"count":2,"at":moment of the first}: messages that wait in the webmail}
 * before: NULL or "" for the newest. 400 for no mailbox or an unknown cursor. */
int desk_mailbox(const struct desk *desk, const char *mailbox, const char *before, int64_t now_ms,
                 struct json_object **view_r, struct problem *problem) must_check;

/* How it stood with a mailbox at a moment of the past, when_read's in `zone` (NULL: UTC), by the settings of
 * now:
 * {"now":moment,"at":moment,"mailbox":…,"domain":…,
 *  "whole":bool (else there was more than is looked at here, or no time for it),
 *  "suspension":SUSPENSION,"suspensions":[SUSPENSION…],    "attempts": messages that were refused
 *     since, each as if it was another one; so is the end that the tenth of them moves,
 *  "exempt":…,"plan":…,"windows":[WINDOW of the mailbox itself],"limits":…}  as in desk_mailbox
 * Messages whose charge was given back since count. 400: no moment, or one that is further back than
 * log.keep_admitted less 24 hours; 409. budget_ms as in desk_what_if. */
int desk_past(const struct desk *desk, const char *mailbox, const char *at,
              const struct zone *zone, int64_t budget_ms, int64_t now_ms,
              struct json_object **view_r, struct problem *problem) must_check;

/* For the telephone: {"now":…,"mailbox":…,
 *  "before":[{"cause":…,"count":2}…], suspensions that began within 30 days, with those that hold,
 *  "lifted":{"at":moment,"by":…,"note":…,"reset":bool (the counts were forgotten after it)}|null, the last
 *     lift within 30 days,
 *  "back":{"since":moment,"cause":…}|null, a suspension that holds and began after it,
 *  "usual":{"known_since":moment,"days":200,"busiest_hour":12 (new recipients in the busiest hour of the 28
 *     days before today),"networks":2}|null (not known: rules/profile.h),
 *  "from":[{"ip":…,"messages":12,"last_at":moment,"first_at":moment|null (not known),"usual":bool (first
 *     seen more than a day ago),"signed_in":bool (within 30 days)}…]}: where the last 100 messages that are
 *     kept came from, refused ones too; 5 addresses at most, the one used last first */
int desk_call(const struct desk *desk, const char *mailbox, int64_t now_ms,
              struct json_object **view_r, struct problem *problem) must_check;

/* Why: {"decision":…,"at":…,"outcome":…,"verdict":"admitted"|"message"|"over_time"|"suspended",
 *  "bypassed":true|absent (of the webmail's host, not judged by the webmail endpoint),
 *  "by_header":true|absent (refused by sendguard-milter, after the policy service had let it pass),
 *  "mailbox":…,"ip":…,"channel":…,"id":…,"from":…,"to":3,"cc":0,"bcc":99,"recipients":102,"off_domain":98,
 *  "domains":[{"domain":…,"recipients":57,"header_chars":900,"own":bool}…],"more_domains":0,
 *  "mode":"enforce","exempt":bool,
 *  "unusual":{"new_recipients":140,"new_domains":90,"busiest_hour":12,"history_days":200,"new_network":bool,
 *     "many_domains":bool,"no_history":bool,"limit":40,"factor":3,"domains_limit":20,
 *     "action":"note"|"defer"|"hold"}|null (rules/unusual.h),
 *  "rules":[{"rule":…,"over_time":bool,"limit":50|null,"source":…,"plan":…,"extra":0,"setting":…,
 *     "count":57|null,"field":…|absent,"domain":…|absent,      of one message: the worst field or domain
 *     "used_before":412|null,"cost":98|null,"used_after":510|null,   over time; after = before when refused
 *     "checked":bool,"broken":bool}…] in the order of the table of rules}
 * 400 when the text is no decision id; 404 when none is kept. */
int desk_decision(const struct desk *desk, const char *decision, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem) must_check;

/* Which decisions, or entries of the audit log, are told: all that is given has to fit; NULL and "" are
 * all. `from` and `until` are moments; what is at `until` is not told. */
struct decision_words {
    const char *mailbox, *outcome, *channel;
    const char *rule;    /* that refused it */
    const char *network; /* an IP or a network */
    const char *from, *until;
};
struct audit_words {
    const char *subject, *by, *action;
    const char *text; /* a part of the note or the subject */
    const char *from, *until;
};
/* INT64_MIN and INT64_MAX where there is none. 1; 0 with *problem. */
int desk_read_span(const char *from, const char *until, int64_t *from_ms_r, int64_t *until_ms_r,
                   struct problem *problem) must_check;

/* {"decisions":[timeline entries of kind "decision" with "mailbox" ≤ DESK_PAGE],"older":cursor|null,
 *  "partial":bool (5,000 were looked at, and not all: older ones may fit)}; newest first. */
int desk_decisions_found(const struct desk *desk, const struct decision_words *words,
                         const char *before, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem) must_check;
/* The same of one mailbox; "" or NULL: of all. */
int desk_decisions(const struct desk *desk, const char *mailbox, const char *before,
                   int64_t now_ms, struct json_object **view_r, struct problem *problem)
    must_check;

/* Who sent from an IP or of a domain within a day: {"of":"ip"|"domain","key":…,
 *  "windows":[WINDOW] (of the IP, one of each channel with a limit; [] for a domain), "limits":[as above, of the domain, adjusted ones only],
 *  "exempt":bool, "plan":as of a mailbox, "failures":FAILURES, "campaign":CAMPAIGN|null (all four only of a domain; null:
 *     it is not near its limit of messages an hour),
 *  "mailboxes":[{"mailbox":…,"last_at":moment,"messages":12,"off_domain":80,"suspended":bool}…],
 *  "next":…|null}
 * CAMPAIGN, of the last hour, of the group of own domains:
 * {"mailboxes":[{"mailbox":…,"messages":12,"suspended":bool}…] most messages first, ≤ 20,
 *  "more_mailboxes":bool, "numbered":[{"name":"sender#@example.test","mailboxes":9,"messages":200}…]
 *     names that differ by numbers alone, of 3 mailboxes and more, most messages first, ≤ 5,
 *  "same_recipients":{"recipients":40,"mailboxes":8}|null (those that 3 and more of these mailboxes
 *     wrote to, as far as the mail server's log was followed)}
 * FAILURES, of its sender domain:
 * {"sender_domain":…,"window_s":3600,"percent":50|null (off),"at_least":10,"min_messages":2,
 *  "enforced":bool (not in mode observe),
 *  "bad":12,"all":20,"messages":9 (of which the bad ones are), of the block that holds, else of now:
 *  "by_class":{"address_unknown":10,…},"by_mailbox":[{"mailbox":…,"bad":9}…] most first,
 *  "left_out":[{"reason":"outage"|"ours","destination":…|null,"count":3}…] most first,
 *  "missed":0 (outcomes that found no room and count nowhere),
 *  "blocked_until":moment|null,"block":BLOCK of the domain,"breaks_at":moment|null (when it will be
 *     blocked if no more mail comes),"mailbox_blocks":[BLOCK…],
 *  "blocks":[{"since":moment,"until":moment,"ended":null (it holds)|"time"|"lifted"|"outage",
 *     "mailbox":…|null (that was blocked alone),"culprit":…|null (four fifths of it were its unknown
 *     addresses),"suspends":bool (it is the culprit's third, who is suspended)}…] of 7 days, newest
 *     first, ≤ 20} */
int desk_senders(const struct desk *desk, enum sender_of of, const char *key, const char *after,
                 int64_t now_ms, struct json_object **view_r, struct problem *problem) must_check;

/* As struct audit has them; "": all. */
struct audit_filter {
    char subject[ADDRESS_MAX_BYTES + 1], by[64], action[24], text[256];
    int64_t from_ms, until_ms;
};
int desk_audit_filter_read(const struct desk *desk, const struct audit_words *words,
                           struct audit_filter *filter_r, struct problem *problem) must_check;
bool desk_audit_fits(const struct audit_filter *filter, const struct audit *audit);
/* {"actions":[ACTION ≤ DESK_PAGE],"next":"7"|null,"partial":bool as in desk_decisions_found}; newest
 * first, below `before`. */
int desk_audit_found(const struct desk *desk, const struct audit_filter *filter,
                     const char *before, struct json_object **view_r, struct problem *problem)
    must_check;
/* The same of one subject; NULL: of all. */
int desk_audit(const struct desk *desk, const char *subject, const char *before,
               struct json_object **view_r, struct problem *problem) must_check;

/* Whom another limit would have stopped, as if going over it refused the message alone (rules/what_if.h),
 * by the records of the messages that passed and the adjustments of now. Words, each may be NULL:
 * rule messages_per_day, off_domain_per_day or messages_per_hour; value the limit; subject a mailbox or
 * @domain that would have it, else it takes the place of the settings'; since a duration before now or
 * when_read's moment in `zone` (UTC), else 24 hours ago.
 * {"now":moment,"rule":…,"value":400,"subject":…|null,"since":moment,"until":moment (so far was read),
 *  "whole":bool (all was read; else there was no time for more, or no room),
 *  "suspends":bool (by [on_limit] the first of them would also suspend its mailbox),
 *  "messages":12345 (that were looked at),"stopped":70,
 *  "mailboxes":[{"mailbox":…,"limit":400 (with its extras),"stopped":12,"first_at":moment,
 *     "last_at":moment,"decision":… (of the first)}…] most messages first, ≤ 200,
 *  "mailboxes_total":12,"mailboxes_beyond":0 (of them, that are not in the list)}
 * budget_ms: it takes about so long at most; 0: as long as it takes. 400; 409: another one is asked. */
struct desk_what_if {
    const char *rule, *value, *subject, *since;
    const struct zone *zone;
};
int desk_what_if(const struct desk *desk, const struct desk_what_if *words, int64_t budget_ms,
                 int64_t now_ms, struct json_object **view_r, struct problem *problem) must_check;

/* What a submission would meet; nothing is counted. The view is what the webmail
 * endpoint would answer (verdict_write), and "unusual" as desk_decision has it|null. */
int desk_simulate(const struct desk *desk, const struct submission *submission, int64_t now_ms,
                  struct json_object **view_r) must_check;

/* Answers an appeal: words {"mailbox":…,"number":1,"text": 1 to DESK_APPEAL_MAX characters that the user
 * reads}. What it is about stays as it is: a lift is an action. Role support. The view is APPEAL with
 * "mailbox". 0: 400; 403; 404 there is none; 409 it is answered. */
int desk_appeal_answer(const struct desk *desk, const struct person *person,
                       struct json_object *words, int64_t now_ms, struct json_object **view_r,
                       struct problem *problem) must_check;

/* ---- what became of mail -----------------------------------------------------------------------
 * Recipients are known by keyed hashes alone, so none is named but those that are asked for.
 *   OUTCOME, members of an object:
 *     "outcome":"pending"|"delivered"|"deferred"|"failed"|"expired"|"discarded",
 *     "class":"address_unknown"… (reply.h) when it is deferred, failed or expired,
 *     "code":"5.1.1", "site":who answered, "text":the server's words; each absent when not known,
 *     "attempts":2, "first_at":moment, "last_at":moment
 *   TRACE {"state":"traced","decision":…,"queue_id":…,"mailbox":…,"at":moment,"refunded":bool,
 *     "ended":bool (it has left the queue),"silent":bool (the log had no line of it for a minute),
 *     "hold":"waits" (for the postmaster)|"deleted" (he has said that it was somebody else's)|null,
 *     "recipients":[{OUTCOME}…, {"outcome":"pending"|"discarded" when ended,"count":3}: those of
 *     which the log has told nothing]}
 *   SUMS {"messages":12,"outcomes":{"delivered":9,…},"classes":[{"class":…,"recipients":3}…],
 *     "destinations":[{"site":…|null (all others),"recipients":9,"delivered":9,…}…]}, the most
 *     frequent first; recipients count as what they are known as now, and not while they are pending */

/* A message, by its decision, its queue id (an open one, or a long one whose record is kept) or its
 * reference (the value of X-Sendguard-Ref; a changed one is a 400).
 * mailbox: whose it is, NULL or "" when not known; with it a decision is found without its record.
 * TRACE, for one of the webmail also "webmail_decision"; or without trace, recipients and "ended" as
 * far as known, with "state":
 *   "waiting"       nothing is known yet
 *   "unseen"        the log was read far enough and has no line of it: another way out, or before
 *                   the log was followed
 *   "not_followed"  no log is followed
 *   "refused"       it was not admitted
 *   "forwarding"    mail that is forwarded is not followed
 * 404: there is none, or it is not kept any longer; the text says which. 409: see struct desk. */
int desk_trace(const struct desk *desk, const char *message, const char *mailbox, int64_t now_ms,
               struct json_object **view_r, struct problem *problem) must_check;

/* {"now":…,"mailbox":…,"followed":bool (some log),"days":10,"sums":SUMS of all,
 *  "messages":[TRACE ≤ DESK_PAGE], newest first, "older":cursor|null} */
int desk_delivery(const struct desk *desk, const char *mailbox, const char *before, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem) must_check;

/* {"now":…,"domain":…,"followed":bool,"days":10,"sums":SUMS,
 *  "by_day":[{"day":"2026-11-22" (UTC),"messages":12,"delivered":9,…}…]}, newest first */
int desk_delivery_domain(const struct desk *desk, const char *domain, int64_t now_ms,
                         struct json_object **view_r, struct problem *problem) must_check;

enum { DESK_ADDRESSES_MAX = 1000 };
/* What became of the mailbox's mail to some addresses. request: {"recipients":["a@x.test",…] (at
 * most DESK_ADDRESSES_MAX), "message_id":"<…>" or absent: of that message alone}. Answers
 * {"followed":bool,"messages":[TRACE ≤ DESK_PAGE] with that Message-ID, newest first, [] without one,
 *  "recipients":[{"address":as asked,OUTCOME of the newest attempt}…]}; "outcome" is null, and
 * nothing besides, where no mail of the mailbox is known to have gone; "no_address":true where the
 * text is none. Nothing is told of other mailboxes. */
int desk_delivery_addresses(const struct desk *desk, const char *mailbox,
                            struct json_object *request, int64_t now_ms,
                            struct json_object **view_r, struct problem *problem) must_check;

/* LOG of the one that is furthest behind, absent when none is followed, and "sources":[LOG…] of all; "outages":[{"destination":…,
 * "since":moment,"domains":5 (sender domains whose mail failed there within the hour)}…], most domains
 * first; "blocked":[BLOCK…], all that hold.
 * LOG, members of an object: {"source":"mx1 journal","cursor_at":moment up to which its log was read,
 *  "line_at":moment of its newest line,"lag_s":2,"gaps":0,"last_gap_at":moment,
 *  "lines":…,"messages":…,"outcomes":…,
 *  "refunds":…,"refunds_failed":…,"malformed":…, all since it was first followed,
 *  "open":messages in the queue} */
int desk_feedback(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;

/* ---- SPF of the sender domains ------------------------------------------------------------- */

/* What is known of domains whose SPF record does not let all of spf.outgoing send, in order of name,
 * those after `after` ("": from the first):
 * {"now":moment,"mode":"off"|"observe"|"warn"|"block","outgoing":["192.0.2.1"…],"checkers":[CHECKER…],
 *  "domains":[SPF ≤ DESK_PAGE],"next":"last domain"|null}; of mode off there are no domains.
 * SPF is what spf_view makes (guard/spf_view.h), with "since":moment|null, "checked_at":moment|null,
 *  "sent_at":moment, "refused_at":moment|null from which mail is refused while the record stays as it
 *  is (null: users are not told of it), "refuses":bool mode is block (else it would be refused then),
 *  "blocked":bool it is refused.
 * CHECKER: {"host":"mx1","told_at":moment,"dns":bool whether the DNS answers,"dns_since":moment,
 *  "named":…,"not_named":…,"unknown":… domains, and of "not_named" "blocked":… whose mail is refused
 *  and "noticed":… whose users are told that it will be,"next_refused_at":moment|null of the first
 *  of these}, each that gave a sign within 10 minutes. */
int desk_spf(const struct desk *desk, const char *after, int64_t now_ms,
             struct json_object **view_r) must_check;
/* The checkers alone: {"checkers":[CHECKER…]}. */
int desk_spf_checkers(const struct desk *desk, int64_t now_ms,
                      struct json_object **view_r) must_check;
/* SPF of one domain (key form), whether its record lets all send or not. 1 (*view_r NULL: nothing is
 * known, or mode is off), -1. */
int desk_spf_domain(const struct desk *desk, const char *domain, int64_t now_ms,
                    struct json_object **view_r) must_check;
/* SPF of a mailbox's domain that its user is to be warned of: the record does not let all send, and
 * mode is warn or block. 1 (*view_r NULL: nothing to warn of), -1. */
int desk_spf_warning(const struct desk *desk, const char *mailbox, int64_t now_ms,
                     struct json_object **view_r) must_check;
/* The same text in a language, to SPF or to what has "domains": spf_view_add_words. */
void desk_spf_add_words(struct json_object *view, const struct catalogue *catalogue,
                        struct arena *arena, const char *language);

/* A log that will not be followed again, of a mail server that is no more, is left out from now on:
 * its lag is nobody's. What is known of its mail stays as long as else; a follower that comes all the
 * same goes on where it was. In the audit log. 1; 0 with *problem: 404 there is none, 409 it was seen
 * within DESK_FORGET_MS; -1. */
#define DESK_FORGET_MS (10 * MINUTE_MS)
int desk_feedback_forget(const struct desk *desk, const char *source, const struct action *action,
                         struct problem *problem) must_check;

/* ---- complaints --------------------------------------------------------------------------------
 *   COMPLAINT {"at":moment it came, "sent_at":moment its message was admitted, "decision":…|null,
 *     "source":"loop"|"authenticated" (somebody else whose domain is known)|"staff"|"unknown",
 *     "loop":as complaints.loops names it, absent where it is none of them,
 *     "type":"abuse"|"fraud"|"virus"|"opt_out"|"other", "incidents":1, "counted":bool,
 *     "why":null when it counts, else "withdrawn"|"same_message" (another domain was first)|
 *       "before_suspension_ended"|"exempt"|"unknown_reporter"|"unknown_message"}
 *   REPORT, one that waits for staff: COMPLAINT without "incidents", with "report":its id,
 *     "mailbox":…|null, and of the message "queue_id":…|null, "from_domain":…|null (own ones alone);
 *     "sent_at" is absent when not known
 *   OWN_COMPLAINTS {"count":3, "days":7, "messages":[{"sent_at":moment, "decision":…|null,
 *     "by_loops":2, "by_others":1}…]}, of 30 days; withdrawn ones are left out */

/* {"now":…,"mailbox":…,"number":2 (the most that count within a window),"count":3 that suspend,
 *  "window_s":604800,"exempt":bool,"complaints":[COMPLAINT or REPORT…]}, the newest first */
int desk_complaints(const struct desk *desk, const char *mailbox, int64_t now_ms,
                    struct json_object **view_r, struct problem *problem) must_check;
/* {"now":…,"reports":[REPORT…]}, the newest first. 1 or -1. */
int desk_complaints_waiting(const struct desk *desk, int64_t now_ms,
                            struct json_object **view_r) must_check;
/* Deals with a report that waits, as `by` (1..63 bytes) asks: {"action":"count" or "drop","note":…
 * required,"mailbox": whose message it is about, where the report does not say,"message": a
 * decision, queue id or reference, or absent: it then counts as sent when the report came}. In the
 * audit log. {"report":…,"action":…,"mailbox":…,"suspended":bool}; 400, or 404 it does not wait. */
int desk_complaints_answer(const struct desk *desk, const char *by, const char *report,
                           struct json_object *request, int64_t now_ms,
                           struct json_object **view_r, struct problem *problem) must_check;

/* Adds to each object of the view that has a "class": "title", a few words of what happened, and
 * "advice", whose fault it is and what to do. */
void desk_delivery_add_words(struct json_object *view, const struct catalogue *catalogue,
                             struct arena *arena, const char *language);

/* ---- sign-ins (guard/login_values.h) ---------------------------------------------------------- */

#define DESK_PASSWORD_WARNED_MS (14 * DAY_MS)
/* Wrong passwords and blocks of a mailbox, or of the network of an IP; one of both is not NULL:
 * {"now":…,"mailbox":…|null,"network":…|null (of the IP that was asked for),"mode":"enforce"|"observe",
 *  "seen_since":moment|null (guard/login_values.h),"ready_at":moment|null (LOGIN_READY_MS later:
 *     most mailboxes have a known pair, and blocks can be enforced),
 *  "blocks":[LOGIN_BLOCK {"rule":…,"mailbox":…|null,"network":…|null,"since":moment,"until":moment}…],
 *  "counts":[{"rule":…,"limit":100|null,"count":12}…] in the last hour; of an IP also
 *  "known_mailboxes":7 (that signed in there within 30 days); of a mailbox also
 *  "network_blocks":[LOGIN_BLOCK…] of networks where its last wrong passwords came from, which keep it
 *     out too; they are ended there,
 *  "open_until":moment|null,
 *  "locked_since":moment|null (a lock keeps everybody out; desk_lock_view has it),
 *  "wrong":[{"network":…|null (not known),"count":9,"last_at":moment}…], the last first, 50 at most,
 *  "known":[KNOWN…], where it signed in,
 *  "old_passwords":[OLD_PASSWORD…],
 *  "password":PASSWORD|null}
 *   KNOWN {"network":…,"protocol":"imap"|"pop3"|"sieve"|"smtp"|"submission"|"other"|null (not known),
 *     "protocols":[…] (all by which it signed in there since it is known),"last_at":moment}
 *   OLD_PASSWORD {"network":…|null,"protocol":as above, of the last try,"tries":312,
 *     "since":moment (when it was right last),"last_at":moment}
 *   PASSWORD, the one that was right last, from DESK_PASSWORD_WARNED_MS before it is too old on
 *     ([lock] password_max_age): {"since":moment (known to be right),"days":357,
 *     "until":moment (then it is too old),"ended":bool} */
int desk_logins(const struct desk *desk, const char *mailbox, const char *ip, int64_t now_ms,
                struct json_object **view_r, struct problem *problem) must_check;
/* How many mailboxes and networks are closed now, LOGIN_VALUES_CLOSED_MAX (guard/login_values.h) at most:
 * {"mode":…,"seen_since":…,"ready_at":…,"closed_mailboxes":3,"closed_networks":2,
 *  "networks":[{"network":…,"until":moment}…], those that were closed last first, 50 at most}. 1 or -1. */
int desk_logins_closed(const struct desk *desk, int64_t now_ms,
                       struct json_object **view_r) must_check;
/* The same as its user may see it, who reads at reader_ip (NULL: not known). Networks are those of
 * his messages (/24, /48), and only those that are his: that he signed in from, or reads at.
 * {"closed":[{"everywhere":bool (but to networks that are known),"network":…|null,"until":moment}…],
 *  "closed_to_others":{"count":2 (other networks),"until":moment (of the last)}|null,
 *  "can_open":bool (desk_logins_open would),
 *  "known":[KNOWN…], the last first, 10 at most,
 *  "old_passwords":[OLD_PASSWORD…],
 *  "password":PASSWORD|null}
 * 1 (*view_r NULL: nothing can be known here), -1. */
int desk_logins_own(const struct desk *desk, const char *mailbox, const char *reader_ip,
                    int64_t now_ms, struct json_object **view_r) must_check;
/* Its user, who reads at reader_ip, a network that is known, opens for a day what is closed to all
 * others; the audit log has it as "logins_end" by "user". 1; 0 with *problem (409); -1. */
int desk_logins_open(const struct desk *desk, const char *mailbox, const char *reader_ip,
                     int64_t now_ms, struct problem *problem) must_check;
/* Ends all its blocks: {"mailbox":…} or {"ip":…}, with "note":… why, which goes to the audit log as
 * "logins_end". One of the mailbox as a whole does not come again for a day. preview: nothing is done.
 * The view as it is afterwards, with "done":bool and "ended":[LOGIN_BLOCK…]; 409: none holds. */
int desk_logins_end(const struct desk *desk, const struct person *person,
                    struct json_object *words, bool preview, int64_t now_ms,
                    struct json_object **view_r, struct problem *problem) must_check;

/* A lock of a mailbox whose password a stranger has, or is in a list of stolen ones
 * (rules/login_lock.h):
 * LOCK {"phase":"none"|"locked"|"closed"|"reopened" (and watched)|"asked" (for by its user: it holds),
 *   "cause":"compromised"|"breached"|null (there is no lock),
 *   "scope":"login"|"sending"|null (it does not hold),"since":moment|null,
 *   "offence_at":moment|null, "offences":0 to 2 within 365 days,
 *   "next":"locked"|"closed": what lock makes of it,
 *   "suspended":bool (for one of these causes, also without a lock),
 *   "keeps_out":"yes"|"observed" (guard.mode)|"not_asked" (Dovecot never asked when a password was
 *   right): whether a lock of scope login keeps anybody out here,
 *   "old_password_known":bool (there is a lock, and a password was right within 90 days before it:
 *   only then one can show a change, or lock the mailbox again),
 *   "old_password_refused_since":moment|null,"new_password_at":moment|null (when another than that
 *   of the offence was right last),"new_password_network":…|null}
 * desk_lock_view: LOCK with "now" and "mailbox". 409: the key is missing. */
int desk_lock_view(const struct desk *desk, const char *mailbox, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem) must_check;
/* Words "action" and "note", which goes to the audit log under the name of the action:
 *   lock: with "scope" login (left out: login) or sending, and "cause" compromised (left out) or
 *   breached, which changes nothing of a lock for the other cause; it suspends for that cause too
 *   reopen, and password_changed, which where nothing can be opened is no error: end both
 *   password_changed: with "by" owner it was changed by who knew the old one, and so perhaps by a
 *   stranger (left out: staff): it ends a lock of cause breached, any other only where settings
 *   lock_reopen_by_webmail says so, and none of those that keep people from signing in; it goes to the audit log in any case
 *   close: as a second offence does; open: ends that, by an administrator
 *   reopen and open: with "checked" true, the points of the desk's list were confirmed; it goes to
 *   the audit log too
 * preview: nothing is done. The view as it is afterwards, with "action", "was":its phase before,
 * "suspended_besides":bool (for other causes), "blocks":[LOGIN_BLOCK…] (for wrong passwords, which
 * keep somebody out), "seen":bool (it signed in within 30 days, or sent within a day) and "done", false also where there
 * was nothing to do. 409: it is not locked, or closed. Role panel: password_changed alone. */
int desk_lock_act(const struct desk *desk, const struct person *person, const char *mailbox,
                  struct json_object *words, bool preview, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem) must_check;

/* The webmail tells of its user: password_changed by owner. The view has nothing but "done". */
int desk_lock_tell_by_webmail(const struct desk *desk, const char *mailbox, int64_t now_ms,
                              struct json_object **view_r, struct problem *problem) must_check;

/* Locks several: words as for lock, without "action", and "mailboxes":["alice@example.test"…], of
 * which one that comes twice counts once. {"now":…,"mailboxes":[{"mailbox":…,"was":…,"seen":…,
 * "done":…}…] in order,"locked":9 (that were not locked),"already":2 (that were: what desk_lock_act
 * makes of them),"unseen":1 of all,"done":false of a preview}. 400: nothing is done where a name is
 * none, too. After -1, or 409, some may be locked: the same again locks the rest. */
enum { DESK_LOCKS_MAX = 1000 };
int desk_lock_many(const struct desk *desk, const struct person *person, struct json_object *words,
                   bool preview, int64_t now_ms, struct json_object **view_r,
                   struct problem *problem) must_check;

/* Lifts many suspensions: {"suspensions":["alice@example.test" (its only one),
 * "bob@example.test volume"…],"note":…}. The counts stay. Locks, which have an end of their own, stay too.
 * Each lift has its entry in the audit log, with the note and " [batch ID]", which joins them.
 * {"now":…,"done":bool,"batch":ID|null (preview),"lifted":20 mailboxes, or that would be; of these, by what
 *  the next message meets then, "ok":17,"full":3,"blocked":0 (its domain),"still_suspended":0 (for another
 *  cause); "not_lifted":1,
 *  "mailboxes":[{"mailbox":…,"causes":[{"cause":…}…],"state":…|null (not lifted),
 *     "why":null|"gone" (no such suspension, or no more)|"several" (name the cause)|"locked"}…]}, by name.
 * 400: nothing is done where a name is none, too. After -1 some may be lifted: the same again lifts
 * the rest. */
enum { DESK_LIFTS_MAX = 1000 };
int desk_lift_many(const struct desk *desk, const struct person *person, struct json_object *words,
                   bool preview, int64_t now_ms, struct json_object **view_r,
                   struct problem *problem) must_check;
/* A name that joins actions in the audit log, "7K3M-Q2XD-9F4A"; and a note with it. NULL with *problem
 * (400): the note is too long then. In `arena`. */
const char *desk_batch_new(struct arena *arena, int64_t now_ms);
const char *desk_batch_note(struct arena *arena, const char *note, const char *batch,
                            struct problem *problem);
/* The name that joins an entry of that note with others, in `arena`; NULL: it was done alone. */
const char *desk_batch_of(struct arena *arena, const char *note);

/* ---- addresses that a mailbox may write as beside its own ----------------------------------------
 *   PERMISSION {"address":… ("@domain": all of it),"since":moment,"until":moment|null (staff takes
 *     it back),"by":…,"note":…}
 * {"now":moment,"mailbox":…,"permissions":[PERMISSION]}, those that hold, in order of address. */
int desk_permissions(const struct desk *desk, const char *mailbox, int64_t now_ms,
                     struct json_object **view_r, struct problem *problem) must_check;
/* Words "action" allow_from or disallow_from, "address", "note", and of the former "for" (left out:
 * until staff takes it back). The view as it is afterwards. 404: there is no such permission; 409:
 * there is no room for more. */
int desk_permissions_act(const struct desk *desk, const struct person *person, const char *mailbox,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem) must_check;

/* ---- messages that Postfix holds since their mailbox sends at an unusual rate ---------------------
 *   HELD {"mailbox":…,"action":"hold" (messages wait)|"defer"|"note" (what was done in the last week),
 *     "since":moment,"last_at":moment (of the first and the last message),"sentence":… (English),
 *     "unusual":{…} of the first one (desk_decision)|null (damaged),"most":140 new recipients of an hour
 *     since,"count":41 messages,"recipients":57 of those that are listed,
 *     "unlisted":0 of count, beyond those of which queue ids are kept,
 *     "messages":[{"queue_id":…,"decision":…,"at":moment,"recipients":1}…] in the order in which they
 *     came, 100 at most}
 * {"now":moment,"mailboxes":2,"messages":42 that wait,"oldest_since":moment|null,"held":[HELD…],
 *  "lately":[HELD…]}, DESK_HELD_MAX of each: those that wait, the oldest first; of the others,
 * those that came last, the newest first. 1 or -1. */
enum { DESK_HELD_MAX = 100 };
int desk_held(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;
/* "mailboxes", "messages" and "oldest_since" alone. */
int desk_held_sums(const struct desk *desk, int64_t now_ms, struct json_object **view_r) must_check;
/* The postmaster's answer: words "action" release (it was its user: the messages are released in their
 * order, and what was seen is usual for a week) or reject (it was not: the mailbox is locked as
 * compromised, the messages are given back and deleted), "note", which goes to the audit log as
 * held_release or held_reject; "seen", the count that was shown: no more are released; and where
 * sendguard-postqueue cannot be asked, "by_hand" true: somebody has done it in Postfix, to as many messages.
 * {"now":…,"mailbox":…,"action":…,"was":HELD's action,"done":bool, and of a preview
 *  "held":HELD,"seen":its count,"gone":0 that Postfix does not hold any more,
 *  "helper":"ready"|"absent"|"forbidden"|"broken","commands":[…] to type (absent: it is ready),
 *  "lock":the lock's phase now|null (release); else
 *  "released":41,"deleted":0,"gone":0,"refunded":0,"unlisted":0 that stay on hold,
 *  "results":[{"queue_id":…,"result":"released"|"deleted"|"not_held"|"no_such"}…]}
 * A mailbox whose messages were deferred or noted is answered in the same way; nothing is released, nor
 * deleted, and Postfix is not asked. 409: it is not among
 * them; or one message is not settled, and is another time: what was done is not done again. */
int desk_held_act(const struct desk *desk, const struct person *person, const char *mailbox,
                  struct json_object *words, bool preview, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem) must_check;

/* ---- the block lists ---------------------------------------------------------------------------
 *   BLOCKED {"kind":"recipient"|"pair"|"domain" (of recipients)|"sender","subject":…,
 *     "hash":…|null (of a recipient that Sendguard blocked, whose subject is "(recipient) at SITE";
 *     unblock takes it as the subject),
 *     "scope":…|null (whose mail it is about: a sender domain, or the mailbox of a pair; null: all),
 *     "reason":a name of settings blocks_reasons, "staff", or one of Sendguard's,
 *     "text":what the sender reads,
 *     "since":moment,"until":moment|null (staff ends it),"by":…,"note":…} */

/* To what desk_blocks or desk_block made: in a language what senders read of entries that an SPF record
 * brought. Without it their "text" is null, and BLOCKED has "advice" (guard/spf_view.h). */
void desk_blocks_add_words(struct json_object *view, const struct catalogue *catalogue,
                           struct arena *arena, const char *language);
/* {"now":…,"blocks":[BLOCKED ≤ DESK_PAGE],"next":…|null: pass as `after`}, in order of kind and
 * subject. query: those whose subject begins with it; NULL or "" all. */
int desk_blocks(const struct desk *desk, const char *query, const char *after, int64_t now_ms,
                struct json_object **view_r) must_check;

/* Adds an entry, or removes one: {"action":"block"|"unblock","kind":… (absent: of an address
 * "recipient", else "domain"),"subject":…,"scope":… (absent: all),"note":…}, to block also
 * {"reason":name or sentence,"for":… (default: no end)}. Values are strings; others, unknown members,
 * missing and wrong ones: 400, where = the member. 403 for role viewer, 409 when there is no such
 * entry.
 * {"action":…,"subject":…,"done":bool,"allowed":bool,"why_not":…|null,"before":BLOCKED|null,
 *  "after":BLOCKED|null,"open_until":moment|null (unblock, of an entry that an SPF record brought:
 *  when there will be one again if the record is as it is now),"mailboxes":[as desk_senders ≤ 20],"more_mailboxes":bool,
 *  "all_mailboxes":bool}   (who is concerned) */
int desk_block(const struct desk *desk, const struct person *person, struct json_object *words,
               bool preview, int64_t now_ms, struct json_object **view_r, struct problem *problem)
    must_check;

/* The lists as CSV (RFC 4180): the header line, and the line of a BLOCKED; none of what Sendguard
 * itself has blocked. */
extern const char desk_blocks_csv_header[];
void desk_blocks_add_csv(struct text *out, struct json_object *entry);
/* Adds all entries of such a file; a column may be missing but for "subject" and "reason" (or
 * "text"), and "since" and "by" are not read. Nothing is added where a line is wrong, or an entry
 * stands in it twice. note: 1 to 255 bytes, for the audit log, and of entries without one.
 * Entries that are there with this reason and end stay as they are. The others are written in steps,
 * each whole or not at all: after -1 some may be written, and the same file again adds the rest.
 * {"done":bool,"new":3,"replaced":0,"same":1,"over":0 (that have ended, left out),
 *  "kinds":{"recipient":4,…},"mailboxes":[as desk_senders ≤ 20],"more_mailboxes":bool (there may be
 *  more, in what was not looked at),"all_mailboxes":bool,
 *  "seen":what the lists have of these entries now, for `seen`,"wrong":0 (lines),
 *  "faults":[{"line":2,"column":"subject"|"cell 2"|null,"text":…} ≤ 20]}
 * 0: 400, 403, 409 as after -1 or, where = "seen", since the lists have changed, 413. */
enum { DESK_IMPORT_MAX_BYTES = 32 * 1024 * 1024, DESK_IMPORT_LINES_MAX = 100 * 1000 };
struct blocks_import {
    const char *csv;
    size_t length;
    const char *note;
    const char *seen; /* of the preview: nothing is written where another one changed these entries
                         since, unless all are there as the file has them; NULL: whatever is there */
    bool preview;
};
int desk_blocks_import(const struct desk *desk, const struct person *person,
                       const struct blocks_import *import, int64_t now_ms,
                       struct json_object **view_r, struct problem *problem) must_check;

/* ---- for staff: actions ---------------------------------------------------------------------- */

/* One action, asked for in words, as forms, API and command line bring them:
 *   "action"      suspend lift reset extra limit exempt note
 *   "subject"  a mailbox; for limit, extra, exempt and lift also "@domain": a lift of a domain ends
 *              its block for mail that failed, and those of its mailboxes
 *   "note"     why, 1 to 255 bytes; required
 *   suspend: "cause" (default staff), "for" ("24h", "permanent"; default: as the settings say)
 *   extra:   "messages", "off_domain" (0 or more, one of them > 0), "for" (default 24h)
 *   limit:   "rule", "value" (number, "off", or "default": the settings' hold again), "for" (default: no end)
 *   exempt:  "for" (default: no end), "value" "default" ends it
 * Values are JSON strings or whole numbers; "" and null are left out. Unknown members, missing and
 * wrong values: 400, where = the member. Roles: viewer none; support all but exempt, limits of a domain, limit
 * "off", one where there is none, one below what holds without it (at webmail or SMTP, and at forwarding where
 * something forwards), what lasts longer than desk.max_extra_for, what takes the place of an adjustment that
 * lasts longer or adds more than support may, what raises or removes a limit that an administrator lowered for
 * a mailbox or adds an extra to it, and what makes a limit
 * come, in all, above the settings' (which have none: the domain's) plus desk.max_extra (extras of mailbox and domain and a limit of its own
 * added up; what an administrator put higher may get an extra of that size), also when others act at the same
 * moment; resets up to desk.max_resets_per_day.
 * {"action":…,"subject":…,"done":bool,"allowed":bool,"why_not":null|text of the problem,
 *  "before":{"state":…,"next":NEXT},"after":{"state":…,"next":NEXT},
 *  "held":bool mail of the mailbox waits (to new recipients the next message would, too),
 *  "reset_as_well":bool   (a lift after which the next message is refused all the same, but
 *                           would not be with the counts forgotten),
 *  "mailboxes":[as desk_senders ≤ 20],"more_mailboxes":bool   (a domain: who is concerned),
 *  "asked":{"cause":of a suspend, or of a lift of a mailbox|null,"suspends":bool,"until":its end|null,
 *           "changes":[{"kind":"extra"|"limit"|"exempt"|"plan","rule":…|null,"removed":bool,
 *                       "value":number|null (off),"plan":name|null,"until":moment|null,
 *                       "limits":[{"rule":… (only of a plan),"channel":…,"before":number|null (off),
 *                                  "after":…}…]}…]},
 *  "needs_approval":bool,"waits":id|null   (a second person has to agree, and (not a preview) nothing is
 *     done: it waits under that id),
 *  "doubtful":bool   (a limit comes, in all, above ten times the settings', or is switched off),
 *  "seen":number of the newest entry of the audit log about the subject before this,
 *  "cause":…,"lock":LOCK as it was before|null: the key is missing   (a lift of a mailbox. One of cause
 *     compromised ends the lock, as a mistake; others leave it),
 *  "lifted":[BLOCK…],"breaks_at":moment|null (a lift of a domain: when it would be blocked again),
 *  "suspension":SUSPENSION that holds now}
 * before and after of a domain: those of a mailbox of it that sent nothing yet.
 * preview: nothing is done; what the role may not is told as allowed:false, not as 403. */
int desk_action(const struct desk *desk, const struct person *person, struct json_object *request,
                bool preview, int64_t now_ms, struct json_object **view_r, struct problem *problem)
    must_check;

/* ---- for staff: undo --------------------------------------------------------------------------- */

/* Undoes what an entry of the audit log did UNDO_MS before at most: a lift of a suspension (of those
 * that belong to locks none), a limit, an extra, an exemption, or an entry taken off the block lists.
 * What was there is put back as it was, in one step, unless something has changed it since; what
 * would have ended meanwhile stays away. Who did it may, and administrators. Messages that passed
 * meanwhile stay sent.
 * words: "note" (may be left out), "all" true: all that was done with the entry under one batch name, each
 * in a step of its own.
 * {"now":…,"entry":ACTION,"until":moment up to which it can be undone,"batch":name|null,
 *  "action":"undo","subject":…,"done":bool,
 *  "undone":[{"number":17,"subject":…,"action":"lift"|…,"rule":…|null,"before":as "after" in the detail of
 *     the entry,"after":as "before" in it; null: nothing,"why":null|why it is not undone}…],
 *  "count":2 entries that are undone,"not_undone":0,
 *  not of all, and not of the block lists: "before" and "after" as of desk_action}
 * 0: 400; 403; 404 there is no such entry; 409 with who has changed it, or why it cannot be. */
int desk_undo(const struct desk *desk, const struct person *person, const char *number,
              struct json_object *words, bool preview, int64_t now_ms,
              struct json_object **view_r, struct problem *problem) must_check;
/* For pages: adds "undo":"17", its number, to each ACTION of a list that the person may undo now, as far as the list
 * tells. */
void desk_undo_mark(const struct person *person, struct json_object *list, int64_t now_ms);

/* ---- for staff: what waits for a second person ------------------------------------------------- */

/* With desk.second_approval exempting a domain, and a limit above ten times the settings', waits until
 * another person with the right role agrees, APPROVAL_MS at most.
 * APPROVAL: {"id":…,"at":moment,"until":its end,"by":who asked,"subject":…,"action":…,"note":…,
 *            "request":{the action's words},"own":bool: the person who looks asked for it}
 * {"approvals":[APPROVAL…]}, who waits longest first. 1 or -1. */
enum { APPROVALS_MAX = 100 };
#define APPROVAL_MS DAY_MS
int desk_approvals(const struct desk *desk, const struct person *person, int64_t now_ms,
                   struct json_object **view_r) must_check;
/* One, with the preview of its action for that person (as desk_action; where it is not possible
 * "allowed" and "why_not" alone): {…,"approval":APPROVAL}. 1; 0 with *problem (404); -1. */
int desk_approval(const struct desk *desk, const struct person *person, const char *id,
                  int64_t now_ms, struct json_object **view_r, struct problem *problem) must_check;
/* words: "answer" approve or refuse, "note" why (of a refusal it may be left out). Approved, the
 * action is done, as by the person who answers; where it cannot be, the request waits on. Nobody
 * approves what the same person asked for, in a shell or by an own API token. 1: as desk_action, of a refusal "subject" alone;
 * 0: 400, 403, 404, 409 (somebody else has answered it, or what desk_action says); -1. */
int desk_approval_answer(const struct desk *desk, const struct person *person, const char *id,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem) must_check;

/* The newest entry of the audit log about the subject (a mailbox or "@domain", as typed) that somebody
 * else made: of the last 24 hours behind number `seen`, or (seen < 0) of the last hour; NULL: none.
 * 1 with *entry_r, to be put; -1. */
int desk_done_since(const struct desk *desk, const struct person *person, const char *subject,
                    int64_t seen, int64_t now_ms, struct json_object **entry_r) must_check;

#endif
