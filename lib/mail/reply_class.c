#include "mail/reply.h"

#include <ctype.h>

const char *const reply_class_names[REPLY_CLASS_COUNT] = {
    "address_unknown", "domain_unroutable", "mailbox_full",    "mailbox_off", "not_authenticated",
    "our_reputation",  "content_refused",   "too_big",         "rate",        "greylisted",
    "unreachable",     "expired",           "other",
};

/* ---- words ------------------------------------------------------------------------------- */

/* In lower case; each begins at the beginning of a word and may end within one. */
static const char *const of_authentication[] = {
    "spf", "dkim", "dmarc", "sender policy", "unauthenticated", "authentication-results",
    "sender id", "reverse dns", "reverse hostname", "reverse host name", "rdns", "ptr record",
    "no ptr", NULL};
static const char *const of_reputation[] = {
    "spamhaus", "spamcop", "sorbs", "barracuda", "senderscore", "block list", "blocklist",
    "blocked-list", "blacklist", "black list", "denylist", "dnsbl", "rbl", "reputation",
    "blocked using", "listed at", "listed in", "listed on", "your ip", "your network",
    "sending ip", "client host", "bad ip", NULL};
static const char *const of_greylisting[] = {"greylist", "graylist", "grey-list", "gray-list",
                                             "grey list", "gray list", "postgrey", NULL};
static const char *const of_rate[] = {
    "rate limit", "rate-limit", "ratelimit", "at a rate", "sending rate", "rate exceed", "throttl",
    "too many", "too fast", "too much mail", "unexpected volume", "unusual volume",
    "limit exceeded", "limit reached", "exceeded the limit", "slow down", "temporarily deferred",
    "concurren", "too busy", "server busy", "overload", NULL};
static const char *const of_full[] = {
    "over quota", "overquota", "over its quota", "quota exceeded", "exceeded quota",
    "exceeds quota", "exceeded its quota", "out of quota", "quota full", "mailbox full",
    "mailbox is full", "inbox is full", "inbox full", "mailbox size limit", "storage allocation",
    "out of storage", "exceeded storage", "insufficient storage", NULL};
static const char *const of_off[] = {
    "disabled", "inactive", "deactivated", "is suspended", "been suspended", "account suspended",
    "mailbox suspended", "user suspended", "not active", "no longer active", "account closed",
    "account is closed", "account locked", NULL};
static const char *const of_unknown[] = {
    "no such", "unknown user", "user unknown", "unknown recipient", "recipient unknown",
    "unknown address", "address unknown", "unknown mailbox", "mailbox unknown",
    "unknown local", "user not found", "recipient not found", "mailbox not found",
    "address not found", "not our customer", "does not exist", "doesn't exist", "not exist",
    "invalid recipient", "invalid mailbox", "invalid address", "invalid user", "no mailbox",
    "not a valid", "mailbox unavailable", "unrouteable address", "unroutable address",
    "no longer available", "bad destination mailbox", "verification failed for <", NULL};
static const char *const of_domain[] = {
    "relaying denied", "relay access denied", "relay not permitted", "relaying not allowed",
    "unable to relay", "domain not found", "host not found", "host or domain name not found",
    "unable to look up host", "no mx", "null mx", "does not accept mail", "loops back", NULL};
static const char *const of_size[] = {
    "too large", "too big", "size limit", "size exceeds", "exceeds size", "exceeds the size",
    "exceeds maximum", "exceeds the maximum", "maximum message size", "maximum size", NULL};
static const char *const of_content[] = {
    "spam", "unsolicited", "virus", "malware", "infected", "phish", "content", "message rejected",
    "message refused", "message blocked", "bulk", NULL};
static const char *const of_refused_recipient[] = {"recipient address rejected", NULL};

static bool has_word(const char *words, const char *const *group)
{
    for (; *group != NULL; group++)
        for (const char *at = words; (at = strstr(at, *group)) != NULL; at++)
            if (at == words || !isalnum((unsigned char)at[-1]))
                return true;
    return false;
}

/* ---- codes ------------------------------------------------------------------------------- */

enum { ANY = -1, OPEN = -2 }; /* of a subject; OPEN: the enhanced code leaves it open */
enum { CONNECT = 1 << MAIL_PHASE_CONNECT, MAIL = 1 << MAIL_PHASE_MAIL, RCPT = 1 << MAIL_PHASE_RCPT,
       DATA = 1 << MAIL_PHASE_DATA | 1 << MAIL_PHASE_END_OF_DATA };

/* A row fits where all fits that it names; the first one that fits is taken. */
struct row {
    int subject, detail; /* of the enhanced code */
    int code;            /* 550, or 5 for all of that kind; 0: any, ANY: no server answered */
    int phases;          /* 0: any */
    const char *const *words;
    enum reply_class class;
};
static const struct row rows[] = {
    /* codes that are used for more than they mean */
    {2, 1, 0, 0, of_rate, REPLY_RATE},
    {4, 1, 550, RCPT, of_refused_recipient, REPLY_ADDRESS_UNKNOWN}, /* as Exchange Online says */
    {1, 1, 4, RCPT, of_greylisting, REPLY_GREYLISTED},
    /* addresses */
    {1, 1, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {1, 2, 0, 0, NULL, REPLY_DOMAIN_UNROUTABLE},
    {1, 3, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {1, 4, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {1, 6, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {1, 8, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {1, 10, 0, 0, NULL, REPLY_DOMAIN_UNROUTABLE},
    /* mailboxes */
    {2, 1, 0, 0, NULL, REPLY_MAILBOX_OFF},
    {2, 2, 0, 0, NULL, REPLY_MAILBOX_FULL},
    {2, 3, 0, 0, NULL, REPLY_TOO_BIG},
    /* their systems */
    {3, 1, 0, 0, NULL, REPLY_UNREACHABLE},
    {3, 2, 0, 0, NULL, REPLY_RATE},
    {3, 3, 0, 0, NULL, REPLY_UNREACHABLE},
    {3, 4, 0, 0, NULL, REPLY_TOO_BIG},
    {3, 5, 0, 0, NULL, REPLY_UNREACHABLE},
    /* the way to them */
    {4, 4, 5, 0, NULL, REPLY_DOMAIN_UNROUTABLE},
    {4, 5, 0, 0, NULL, REPLY_RATE},
    {4, 6, 0, 0, NULL, REPLY_DOMAIN_UNROUTABLE},
    {4, 7, 0, 0, NULL, REPLY_EXPIRED},
    {4, ANY, 0, 0, NULL, REPLY_UNREACHABLE},
    /* the message */
    {5, 3, 0, 0, NULL, REPLY_RATE},
    {6, 7, 0, 0, NULL, REPLY_OTHER},
    {6, 9, 0, 0, NULL, REPLY_OTHER},
    {6, 10, 0, 0, NULL, REPLY_OTHER},
    /* policy */
    {7, 4, 0, 0, NULL, REPLY_UNREACHABLE}, /* TLS, as the next */
    {7, 5, 0, 0, NULL, REPLY_UNREACHABLE},
    {7, 13, 0, 0, NULL, REPLY_MAILBOX_OFF},
    {7, 16, 0, 0, NULL, REPLY_TOO_BIG},
    {7, 17, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {7, 18, 0, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {7, 20, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 21, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 22, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 23, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 24, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 25, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 26, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 27, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    {7, 28, 0, 0, NULL, REPLY_RATE},
    {7, 29, 0, 0, NULL, REPLY_NOT_AUTHENTICATED},
    /* left open: words */
    {OPEN, 0, 0, 0, of_authentication, REPLY_NOT_AUTHENTICATED},
    {OPEN, 0, 0, CONNECT | MAIL | RCPT, of_reputation, REPLY_OUR_REPUTATION},
    {OPEN, 0, 4, 0, of_greylisting, REPLY_GREYLISTED},
    {OPEN, 0, 0, 0, of_rate, REPLY_RATE},
    {OPEN, 0, 0, 0, of_full, REPLY_MAILBOX_FULL},
    {OPEN, 0, 0, 0, of_size, REPLY_TOO_BIG},
    {OPEN, 0, 0, DATA, of_content, REPLY_CONTENT_REFUSED},
    {OPEN, 0, 0, 0, of_off, REPLY_MAILBOX_OFF},
    {OPEN, 0, 0, 0, of_unknown, REPLY_ADDRESS_UNKNOWN},
    {OPEN, 0, 0, 0, of_domain, REPLY_DOMAIN_UNROUTABLE},
    {OPEN, 0, 0, 0, of_content, REPLY_CONTENT_REFUSED},
    /* left open by words too */
    {OPEN, 0, 421, 0, NULL, REPLY_RATE},
    {OPEN, 0, 450, RCPT, NULL, REPLY_GREYLISTED},
    {2, 0, 4, RCPT, NULL, REPLY_GREYLISTED},
    {7, 1, 4, RCPT, NULL, REPLY_GREYLISTED},
    {OPEN, 0, 551, 0, NULL, REPLY_ADDRESS_UNKNOWN},
    {OPEN, 0, 552, RCPT, NULL, REPLY_MAILBOX_FULL},
    {OPEN, 0, 552, 0, NULL, REPLY_TOO_BIG},
    {OPEN, 0, 5, CONNECT, NULL, REPLY_OUR_REPUTATION},
    {OPEN, 0, 550, DATA, NULL, REPLY_CONTENT_REFUSED},
    {OPEN, 0, 554, DATA, NULL, REPLY_CONTENT_REFUSED},
    {7, 1, 0, DATA, NULL, REPLY_CONTENT_REFUSED},
    {6, ANY, 0, 0, NULL, REPLY_CONTENT_REFUSED},
    {ANY, 0, 4, CONNECT, NULL, REPLY_UNREACHABLE},
    {ANY, 0, 451, 0, NULL, REPLY_UNREACHABLE},
    {ANY, 0, 452, 0, NULL, REPLY_UNREACHABLE},
    {ANY, 0, ANY, CONNECT | MAIL | RCPT | DATA, NULL, REPLY_UNREACHABLE},
};

struct codes {
    int kind; /* 4 or 5: of the basic code, or of the enhanced one where no server answered */
    int subject, detail, code, phase;
};

/* Subject and detail of "5.1.1"; false: it begins otherwise. */
static bool read_enhanced(struct mail_view text, struct codes *codes)
{
    int numbers[3] = {0};
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (at >= text.length || text.text[at++] != '.'))
            return false;
        size_t first = at;
        for (; at < text.length && at < first + 3 && isdigit((unsigned char)text.text[at]); at++)
            numbers[i] = numbers[i] * 10 + text.text[at] - '0';
        if (at == first)
            return false;
    }
    bool ended = at == text.length || !isalnum((unsigned char)text.text[at]);
    if ((numbers[0] != 4 && numbers[0] != 5) || !ended)
        return false;
    codes->kind = numbers[0];
    codes->subject = numbers[1];
    codes->detail = numbers[2];
    return true;
}

/* Postfix logs 5.0.0 for "550 4.4.4 …", whose class does not fit. */
static struct codes codes_of(const struct mail_event *event)
{
    struct codes codes = {.code = event->code, .phase = (int)event->phase};
    bool given = event->code != 0 && event->said.length > 4 &&
                 read_enhanced(mail_view_from(event->said, 4), &codes);
    if (!given && !read_enhanced(event->dsn, &codes))
        codes.subject = codes.detail = 0;
    if (codes.code != 0)
        codes.kind = codes.code / 100;
    return codes;
}

/* Codes for "other", and those that servers give for anything. */
static bool is_open(const struct codes *codes)
{
    return codes->subject == 0 || codes->detail == 0 || codes->subject == 5 ||
           (codes->subject == 7 && codes->detail == 1);
}

static bool fits(const struct row *row, const struct codes *codes, const char *words)
{
    bool enhanced = row->subject == codes->subject &&
                    (row->detail == ANY || row->detail == codes->detail);
    if (row->subject < 0)
        enhanced = row->subject == ANY || is_open(codes);
    int wanted = row->code == ANY ? 0 : row->code;
    bool of_kind = row->code > 0 && row->code < 10;
    bool code = row->code == 0 || (of_kind ? codes->kind : codes->code) == wanted;
    return enhanced && code && (row->phases == 0 || (row->phases & 1 << codes->phase) != 0) &&
           (row->words == NULL || has_word(words, row->words));
}

enum reply_class reply_class(const struct mail_event *event)
{
    if (event->kind == MAIL_EXPIRED)
        return REPLY_EXPIRED;
    const struct mail_view recipients[] = {event->to, event->orig_to};
    struct codes codes = codes_of(event);
    char words[REPLY_WORDS_MAX + 1];
    reply_redact(event->said.text != NULL ? event->said : event->text, recipients,
                 countof(recipients), words);
    for (char *at = words; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    for (size_t i = 0; i < countof(rows); i++)
        if (fits(&rows[i], &codes, words))
            return rows[i].class;
    return REPLY_OTHER;
}

/* ---- sites ------------------------------------------------------------------------------- */

/* Second levels under which a country's registry gives names to others. Not by their length: wp.pl
 * and gmx.de are names. Source: conventions of the country-code registries. */
static bool is_kind(struct mail_view label)
{
    static const char *const kinds[] = {
        "ac", "ad", "asn", "co", "com", "ed", "edu", "firm", "gen", "go", "gob", "gouv", "gov",
        "govt", "gr", "gub", "id", "ind", "info", "lg", "ltd", "me", "mil", "ne", "net", "nhs",
        "nic", "nom", "or", "org", "plc", "sch", "school"};
    for (size_t i = 0; i < countof(kinds); i++)
        if (mail_view_is(label, kinds[i]))
            return true;
    return false;
}

static bool is_name(struct mail_view host)
{
    if (host.length == 0 || mail_view_is(host, "unknown") ||
        memchr(host.text, ':', host.length) != NULL)
        return false;
    for (size_t i = 0; i < host.length; i++)
        if (!isdigit((unsigned char)host.text[i]) && host.text[i] != '.')
            return true;
    return false;
}

/* Where the label that ends before `end` begins. */
static size_t label_at(struct mail_view name, size_t end)
{
    while (end > 0 && name.text[end - 1] != '.')
        end--;
    return end;
}

static size_t registered_at(struct mail_view name)
{
    size_t top = label_at(name, name.length);
    if (top == 0)
        return 0;
    size_t second = label_at(name, top - 1);
    struct mail_view label = {name.text + second, top - 1 - second};
    bool country = name.length - top == 2;
    return second > 0 && country && is_kind(label) ? label_at(name, second - 1) : second;
}

size_t reply_site(struct mail_view host, struct mail_view address, char site_r[REPLY_SITE_SIZE])
{
    char lower[256];
    struct mail_view site = is_name(host) ? host : address.length > 0 ? address : host;
    site_r[0] = '\0';
    while (site.length > 0 && site.text[0] == '.')
        site = mail_view_from(site, 1);
    while (site.length > 0 && site.text[site.length - 1] == '.')
        site.length--;
    if (site.length == 0 || site.length > sizeof lower)
        return 0;
    for (size_t i = 0; i < site.length; i++) {
        lower[i] = (char)tolower((unsigned char)site.text[i]);
        if (!isalnum((unsigned char)lower[i]) && memchr(".-_:", lower[i], 4) == NULL)
            return 0;
    }
    site.text = lower;
    if (is_name(site))
        site = mail_view_from(site, registered_at(site));
    if (site.length >= REPLY_SITE_SIZE)
        return 0;
    memcpy(site_r, site.text, site.length);
    site_r[site.length] = '\0';
    return site.length;
}
