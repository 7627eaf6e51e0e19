/* The kinds of what the store keeps, in words. A new kind of the store has no row: then the test of
 * this table fails. */
#include "desk/stored.h"

#define LIMITS "limits count messages over a time; who asks to be forgotten gets no more"

const struct stored_kind stored_items[TRANSFER_KIND_COUNT] = {
    [TRANSFER_HASH_KEY] = {.name = "hash_key"},
    [TRANSFER_NUMBER] = {.name = "number"},
    [TRANSFER_HISTORY] = {
        "history", "lists of the messages of a day, with their times and numbers of recipients",
        "24 hours after the newest message", LIMITS, STORED_STAYS},
    [TRANSFER_RECORD] = {
        "decision",
        "decisions on messages: when, from which IP, to how many recipients, and what "
        "was decided; of a refused one also the domains of its recipients",
        "as long as the settings say (log.keep_admitted, log.keep_refused)",
        "so that a decision can be explained. One on a message that passed stays for 24 "
        "hours: by it the message counts once, and can be given back",
        STORED_GOES},
    [TRANSFER_TICKET] = {
        "ticket", "messages that the webmail has asked about, and the mail server has not",
        "10 minutes", "so that the mail server does not count them again", STORED_STAYS},
    [TRANSFER_PAIR] = {
        "pair", "recipients, as hashes, with the messages of a day to each",
        "24 hours after the newest message to it", LIMITS, STORED_STAYS},
    [TRANSFER_SUSPENSION] = {
        "suspension", "suspensions that hold", "until they end or staff lifts them",
        "nobody gets round a suspension by asking to be forgotten", STORED_STAYS},
    [TRANSFER_OFFENCE] = {
        "offence", "notes that the mailbox was suspended, and when", "30 days",
        "the next suspension is longer", STORED_STAYS},
    [TRANSFER_ADJUSTMENT] = {
        "adjustment", "limits that staff has changed for the mailbox",
        "until their end, or until staff takes them back",
        "they are what was agreed; staff takes them back with limit, extra or exempt",
        STORED_STAYS},
    [TRANSFER_AUDIT] = {
        "audit", "entries of the audit log about the mailbox", "for ever",
        "so that it can be shown what staff did; nobody may change this log", STORED_STAYS},
    [TRANSFER_KEPT] = {.name = "kept"},   /* by its own kinds, below */
    [TRANSFER_VALUE] = {.name = "value"}, /* the same */
    [TRANSFER_SENDER] = {
        "sender", "notes that the mailbox sent from an address, or for its domain", "24 hours",
        "so that staff sees who sends from an address; it is over within a day", STORED_STAYS},
    [TRANSFER_NEAR] = {
        "near", "notes that the mailbox was near a limit", "24 hours",
        "so that staff sees it in time; it is over within a day", STORED_STAYS},
    [TRANSFER_COUNTER] = {.name = "counter"},
};

#define OF_STAFF "staff accounts are ended by: sendguard staff remove"

const struct stored_kind stored_kept[KEPT_KIND_COUNT] = {
    [KEPT_STAFF] = {
        "staff_account", "staff accounts of that name", "until they are removed", OF_STAFF,
        STORED_STAYS},
    [KEPT_TOKEN] = {
        "api_token", "tokens for the API of that name", "until they are removed",
        "tokens are ended by: sendguard token remove", STORED_STAYS},
    [KEPT_SESSION] = {
        "staff_session", "sessions of a staff account of that name", "8 hours at most",
        OF_STAFF, STORED_STAYS},
    [KEPT_BLOCK] = {
        "staff_block", "what slows down a guesser of a staff password", "one hour", OF_STAFF,
        STORED_STAYS},
    [KEPT_TRIES] = {
        "staff_tries", "tries to sign in as staff of that name", "one hour", OF_STAFF,
        STORED_STAYS},
    [KEPT_KNOWN] = {
        "staff_network", "networks and browsers from which staff of that name signed in",
        "30 days", OF_STAFF, STORED_STAYS},
    [KEPT_TERMS] = {.name = "terms"},
    [KEPT_LOOKED] = {
        "looked_at", "notes that staff has looked at the mailbox",
        "30 days, among the last ten of each", "the way back to it when a caller calls again",
        STORED_GOES},
    [KEPT_APPROVAL] = {
        "approval", "actions on the mailbox that wait for a second person of staff", "one day",
        "it is over within a day", STORED_STAYS},
};

const struct stored_kind stored_values[VALUE_KIND_COUNT] = {
    [VALUE_CURSOR] = {.name = "log_place"},
    [VALUE_OPEN] = {
        "queued", "messages that the mail server still has", "until it has let go of them",
        "by it the log of the mail server is understood", STORED_STAYS},
    [VALUE_TRACE] = {
        "delivery",
        "days with what became of messages: queue ids, and for each recipient, as a hash, "
        "the outcome",
        "10 days after the day of the message", "so that the user and staff see what arrived",
        STORED_GOES},
    [VALUE_KNOWN] = {
        "known_recipients", "lists of recipients that mail went to, as hashes, with the day",
        "90 days after the last mail to them",
        "so that a recipient who is known is told from a new one", STORED_GOES},
    [VALUE_DOMAIN] = {.name = "domain_deliveries"},
    [VALUE_REPLY] = {.name = "reply"},
    [VALUE_FAILURES] = {
        "failures", "counts of what failed of the mail of its domain in which it is named",
        "until an hour after the last failure",
        "too many failures block the domain or the mailbox for an hour", STORED_STAYS},
    [VALUE_OUTAGE] = {.name = "outage"},
    [VALUE_DAY] = {.name = "day"},
    [VALUE_BLOCK] = {
        "block", "blocks of the mailbox since its mail failed", "one hour after they began",
        "nobody gets round a block by asking to be forgotten", STORED_STAYS},
    [VALUE_REACHED] = {.name = "reached"},
    [VALUE_COMPLAINTS] = {
        "complaints", "lists of complaints about messages of the mailbox",
        "30 days after the complaint", "so many of them within a time suspend the mailbox",
        STORED_STAYS},
    [VALUE_REPORT] = {
        "report", "reports of complaints that staff has to look at, and that name the mailbox",
        "30 days, or until staff has answered", "it is not known yet whether they count",
        STORED_STAYS},
    [VALUE_APPEAL] = {
        "appeals",
        "lists of what its user has written against a suspension or a block, and what staff "
        "answered",
        "90 days, answered ones less", "so that staff answers", STORED_GOES},
    [VALUE_SPF] = {.name = "spf"},
    [VALUE_BLOCKED] = {
        "blocked", "entries of the block lists that name the address",
        "until their end, or until staff removes them",
        "staff or a failing recipient made them; they end with: sendguard unblock", STORED_STAYS},
    [VALUE_ADDED] = {
        "blocked_news", "notes which entries of the block lists are new", "some minutes",
        "by it the programs know of them; it is over within a day", STORED_STAYS},
    [VALUE_LOGINS] = {
        "sign_ins",
        "records of sign-ins, under a hash of the name: networks, numbers of 12 bits of "
        "passwords that were right, wrong tries, blocks and locks",
        "networks 30 days, passwords 90 days, wrong tries and blocks one hour, locks until "
        "they end, their offences 365 days",
        "so that who guesses at passwords is kept out, and its user is not. What keeps "
        "somebody out stays, and where there is a lock the numbers of passwords",
        STORED_GOES},
    [VALUE_LOGIN_NETWORK] = {
        "sign_in_network",
        "networks from which it was tried to sign in to the mailbox, which is a hash there",
        "30 days", "who guesses at passwords is kept out by it", STORED_STAYS},
    [VALUE_LOGIN_NEWS] = {
        "sign_in_news", "notes that something of its sign-ins changed", "5 minutes",
        "by it the programs know of it", STORED_STAYS},
    [VALUE_RECIPIENT] = {
        "failing_recipient", "records of what failed of mail to the address, under a hash of it",
        "30 days", "mail to an address that does not exist does its senders harm", STORED_STAYS},
    [VALUE_SITE] = {
        "site", "notes which recipients at a mail server failed, which the address is among",
        "30 days", "mail to an address that does not exist does its senders harm", STORED_STAYS},
    [VALUE_PERMISSIONS] = {
        "permissions", "lists of addresses that staff lets the mailbox write as",
        "until their end, or until staff takes them back",
        "they are what was agreed; staff takes them back with: allow-from --end", STORED_STAYS},
    [VALUE_IDENTITY] = {
        "foreign_from", "lists of tries to write as somebody else, as hashes", "24 hours",
        LIMITS, STORED_STAYS},
    [VALUE_PROFILE] = {
        "profile",
        "profiles of what is usual: recipients and networks as hashes, the busiest hours",
        "97 days after the last message",
        "so that mail of a stranger with the password is seen. It stays while messages wait "
        "for the postmaster",
        STORED_GOES},
    [VALUE_HELD] = {
        "held", "lists of messages that were sent at an unusual rate",
        "until the postmaster's answer, or 7 days",
        "nobody gets round the postmaster by asking to be forgotten", STORED_STAYS},
    [VALUE_NOTIFY] = {
        "notifications",
        "notes of sendguard-notify that name the mailbox: what was told of it, or is to be "
        "told",
        "while it holds, or one day", "so that nothing is told twice", STORED_STAYS},
    [VALUE_PARKED] = {
        "parked", "lists of drafts that the user has asked to be sent later",
        "until they are sent or dropped",
        "they are an order of the user, who takes it back in the webmail", STORED_STAYS},
    [VALUE_UNDO] = {
        "undo", "entries of the block lists that were removed a moment ago", "10 minutes",
        "so that staff can put them back", STORED_STAYS},
    [VALUE_REJECTED] = {
        "rejected", "lists of messages that waited and were deleted",
        "12 days after the last answer", "so that their sender reads it", STORED_GOES},
};
