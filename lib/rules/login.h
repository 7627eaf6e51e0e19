/* Wrong passwords, and whom they keep from signing in. Pure: time is a parameter.
 *
 * A *network* is an IPv4 address or an IPv6 /64. A *known pair* is a mailbox and a network from
 * which it signed in within LOGIN_KNOWN_MS. An *old password* is one of the last
 * LOGIN_OLD_PASSWORDS fingerprints that were right, within LOGIN_OLD_MS. A fingerprint is a number
 * of 12 bits that says nearly nothing about a password, but tells most wrong ones apart.
 *
 * What is known of a mailbox and of a network stands in a struct for each; a try changes both. Each
 * of the four rules has a limit; the try that reaches it begins a block that holds for
 * LOGIN_BLOCK_MS from its time, at t and before t + LOGIN_BLOCK_MS. What comes while a block keeps
 * it out counts nowhere, so a block is not prolonged, and when it is over all that made it has left
 * the window. Source: S1. */
#ifndef SENDGUARD_LOGIN_H
#define SENDGUARD_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "base/text.h"
#include "rules/login_lock.h"
#include "rules/login_protocol.h"

/* Databases keep the numbers: new ones go to the end. */
enum login_rule {
    LOGIN_WRONG_PER_MAILBOX_AND_IP, /* blocks the mailbox from that network */
    LOGIN_MAILBOXES_PER_IP,         /* this and the next block the network, but for known pairs */
    LOGIN_WRONG_PER_IP,
    LOGIN_WRONG_PER_MAILBOX, /* blocks the mailbox, but for known pairs */
    LOGIN_RULE_COUNT
};
extern const char *const login_rule_names[LOGIN_RULE_COUNT];

enum {
    LOGIN_OLD_PASSWORDS = 4,
    LOGIN_FINGERPRINTS = 4096, /* and so as many counted tries of a mailbox at most */
    LOGIN_KNOWN_NETWORKS_MAX = 64, /* of a mailbox, the last */
    LOGIN_BLOCKS_MAX = 256,        /* of a mailbox; one more takes the place of the first to end */
    LOGIN_TRIES_MAX = 4096,        /* of a network, the last */
    LOGIN_MAILBOXES_MAX = 8192,    /* that a network is known for, the last */
};
#define LOGIN_WINDOW_MS HOUR_MS
#define LOGIN_BLOCK_MS HOUR_MS
#define LOGIN_KNOWN_MS (30 * DAY_MS)
#define LOGIN_OLD_MS (90 * DAY_MS)
#define LOGIN_OPEN_MS DAY_MS
#define LOGIN_NEWS_MS HOUR_MS

struct login_limits {
    int32_t of[LOGIN_RULE_COUNT]; /* 1..; LIMIT_OFF (rules/rule.h): the rule is not checked */
};
#define LOGIN_DEFAULT_LIMITS {{10, 10, 50, 100}}

/* A counted try. */
struct login_try {
    int64_t at_ms;
    uint64_t other; /* of a mailbox: the network; of a network: the mailbox */
    uint16_t fingerprint;
    bool for_pair, for_mailbox; /* which rules of the mailbox count it */
};
/* In order of time, all within LOGIN_WINDOW_MS; 14 bytes each (login_tries.c). */
struct login_tries {
    struct login_try_kept *of;
    uint32_t count, room;
    int64_t last_ms; /* the last one is not later */
};
struct login_try login_tries_at(const struct login_tries *tries, size_t place);

/* A network that a mailbox signed in from, or a mailbox that signed in from a network; of the latter
 * the protocols are not kept. */
struct login_known {
    uint64_t other;
    int64_t last_ms;
    uint8_t protocol;  /* enum login_protocol, of the last time */
    uint8_t protocols; /* all since it is known: 1 << enum login_protocol */
};
struct login_known_list {
    struct login_known *of; /* the last one first */
    size_t count, room;
};

struct login_block {
    enum login_rule rule;
    uint64_t network; /* of LOGIN_WRONG_PER_MAILBOX_AND_IP; else 0 */
    int64_t from_ms, until_ms;
};

struct login_password {
    uint16_t fingerprint;
    uint8_t tried_protocol; /* enum login_protocol, of its last try */
    int64_t since_ms; /* when it was right first, or login_password_changed */
    int64_t right_ms; /* when it was right last */
    uint32_t tries;   /* as an old password, since then; and the last of them: */
    int64_t tried_ms;
    uint64_t tried_network;
};

/* Zeroed: nothing is known. The time of each is the latest moment that it was told; an earlier
 * moment counts as that one. */
struct login_mailbox {
    int64_t time_ms;
    struct login_tries tries;
    struct login_known_list known;
    struct login_block *blocks;
    size_t block_count, block_room;
    struct login_password passwords[LOGIN_OLD_PASSWORDS]; /* the last right one first */
    size_t password_count;
    int64_t open_until_ms; /* until then LOGIN_WRONG_PER_MAILBOX begins no block */
    struct login_lock lock;
};
struct login_network {
    int64_t time_ms;
    struct login_tries tries;
    struct login_known_list known;
    struct login_block block; /* until_ms 0: none yet */
};
void login_mailbox_free(struct login_mailbox *mailbox);
void login_network_free(struct login_network *network);

/* Whose try it is. */
struct login_from {
    uint64_t mailbox, network; /* a hash of the name; login_network_of */
    bool webmail_host;         /* the browser's address is missing: never a known pair, and of the
                                  rules LOGIN_WRONG_PER_MAILBOX alone counts */
    enum login_protocol protocol;
};
/* A network as a number: an IPv4 address, or the first half of an IPv6 address. 1; 0: `ip` is no
 * address. */
int login_network_of(const char *ip, uint64_t *network_r) must_check;
enum { LOGIN_NETWORK_SIZE = 56 };
/* And back: "198.51.100.7" or "2001:db8::/64". */
void login_network_text(uint64_t network, char text_r[LOGIN_NETWORK_SIZE]);

/* The block that keeps this one out at that moment, of several the one that ends last; NULL: it may
 * try. */
const struct login_block *login_blocked(const struct login_mailbox *mailbox,
                                        const struct login_network *network,
                                        const struct login_from *from, int64_t at_ms);
bool login_is_known_pair(const struct login_mailbox *mailbox, const struct login_from *from,
                         int64_t at_ms);

/* When the last of its blocks ends; 0: it has ended by that moment. */
int64_t login_mailbox_closed(const struct login_mailbox *mailbox, int64_t at_ms);
int64_t login_network_closed(const struct login_network *network, int64_t at_ms);

enum login_taken {
    LOGIN_COUNTED,
    LOGIN_REPEATED,     /* a fingerprint that is counted in the window */
    LOGIN_OLD_PASSWORD, /* counted beside it */
    LOGIN_KEPT_OUT,     /* it was under way when the block began that keeps it out */
    LOGIN_RESTED        /* LOGIN_RESTS */
};
/* Which rules count: wrong passwords may say more of the password database than of who tries
 * (rules/login_outage.h). */
enum login_rests { LOGIN_RESTS_NOT, LOGIN_RESTS_NETWORKS, LOGIN_RESTS };
/* Takes over a wrong password that nothing kept out. Blocks that begin stand in the structs:
 * *begun_r has a bit, 1 << enum login_rule, for each. */
enum login_taken login_take_wrong(struct login_mailbox *mailbox, struct login_network *network,
                                  const struct login_limits *limits, const struct login_from *from,
                                  uint16_t fingerprint, enum login_rests rests, int64_t at_ms,
                                  unsigned *begun_r);
/* Takes over a right one: the wrong ones of this mailbox from this network are forgotten, nothing
 * else. */
void login_take_right(struct login_mailbox *mailbox, struct login_network *network,
                      const struct login_from *from, uint16_t fingerprint, int64_t at_ms);
/* Takes over a right one that the lock keeps out, which changes what the lock knows alone. */
void login_take_locked(struct login_mailbox *mailbox, const struct login_from *from,
                       uint16_t fingerprint, int64_t at_ms);
/* Since when that one is known to be right; 0: it is not kept. It may be older: one that was not
 * right for LOGIN_OLD_MS, or is behind LOGIN_OLD_PASSWORDS others, is new when it is right again. */
int64_t login_password_since(const struct login_mailbox *mailbox, uint16_t fingerprint);
/* Takes over a right one that is too old, and so kept out: it stays kept, and nothing else. */
void login_take_too_old(struct login_mailbox *mailbox, uint16_t fingerprint, int64_t at_ms);
/* Somebody says that the password was changed: those that are kept are new, since the changed one
 * may look like one of them. False: none is kept. */
bool login_password_changed(struct login_mailbox *mailbox, int64_t at_ms);
/* The fingerprint that was right last; LOGIN_NO_FINGERPRINT: none was within LOGIN_OLD_MS. */
uint16_t login_last_right(const struct login_mailbox *mailbox);
/* Whether a right one says more than one within the last LOGIN_NEWS_MS did. What is passed over
 * makes a known pair and an old password end so much earlier at most. */
bool login_right_is_news(const struct login_mailbox *mailbox, const struct login_network *network,
                         const struct login_from *from, uint16_t fingerprint, int64_t at_ms);
/* Opens the mailbox for LOGIN_OPEN_MS: ends a block of LOGIN_WRONG_PER_MAILBOX. */
void login_open(struct login_mailbox *mailbox, int64_t at_ms);
/* Ends the block of that rule (and network); 1, 0 there is none. What made it counts no more. */
int login_unblock_mailbox(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network,
                          int64_t at_ms) must_check;
int login_unblock_network(struct login_network *network, int64_t at_ms) must_check;

/* Counted tries in the window at that moment, as the rule counts; LOGIN_WRONG_PER_MAILBOX_AND_IP
 * those from `from_network`. */
uint32_t login_mailbox_count(const struct login_mailbox *mailbox, enum login_rule rule,
                             uint64_t from_network, int64_t at_ms);
uint32_t login_network_count(const struct login_network *network, enum login_rule rule,
                             int64_t at_ms);
/* LOGIN_MAILBOXES_PER_IP: the limit, or a tenth of the mailboxes known there if that is more. */
uint32_t login_network_limit(const struct login_network *network,
                             const struct login_limits *limits, enum login_rule rule,
                             int64_t at_ms);

/* Forgets what can change nothing any more. True: nothing is left. */
bool login_mailbox_forget(struct login_mailbox *mailbox, int64_t at_ms);
bool login_network_forget(struct login_network *network, int64_t at_ms);

/* Forgets from where it signed in, and its old passwords where no lock rests on them; what keeps
 * somebody out stays. Whether there was anything. */
bool login_mailbox_unlearn(struct login_mailbox *mailbox);

/* From when on nothing is left, if nothing comes. */
int64_t login_mailbox_ends(const struct login_mailbox *mailbox);
int64_t login_network_ends(const struct login_network *network);

/* The packed forms. Reading: 1; 0: damaged, and it is zeroed. */
void login_mailbox_add(struct text *out, const struct login_mailbox *mailbox);
int login_mailbox_read(const void *bytes, size_t length,
                       struct login_mailbox *mailbox_r) must_check;
void login_network_add(struct text *out, const struct login_network *network);
int login_network_read(const void *bytes, size_t length,
                       struct login_network *network_r) must_check;

#endif
