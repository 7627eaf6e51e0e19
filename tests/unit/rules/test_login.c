/* Wrong passwords: each rule at its number and one below, blocks to the millisecond, and random
 * tries against a model that keeps all that ever came. SENDGUARD_SEED repeats a run. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/packed.h"
#include "rules/login.h"
#include "rules/rule.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

enum { MAILBOXES = 120, NETWORKS = 12, WEBMAIL = NETWORKS - 1 };

static struct login_mailbox mailboxes[MAILBOXES];
static struct login_network networks[NETWORKS];
static struct login_limits limits;
static unsigned begun;
static enum login_protocol protocol;
static enum login_rests rests;

static void begin(void)
{
    for (int i = 0; i < MAILBOXES; i++)
        login_mailbox_free(&mailboxes[i]);
    for (int i = 0; i < NETWORKS; i++)
        login_network_free(&networks[i]);
    limits = (struct login_limits)LOGIN_DEFAULT_LIMITS;
    rests = LOGIN_RESTS_NOT;
    protocol = LOGIN_PROTOCOL_UNKNOWN;
}

static struct login_from from(int mailbox, int network)
{
    return (struct login_from){.mailbox = (uint64_t)mailbox, .network = (uint64_t)network,
                               .webmail_host = network == WEBMAIL, .protocol = protocol};
}

static enum login_taken wrong(int mailbox, int network, int password, int64_t at_ms)
{
    const struct login_from who = from(mailbox, network);
    return login_take_wrong(&mailboxes[mailbox], &networks[network], &limits, &who,
                            (uint16_t)password, rests, at_ms, &begun);
}

static void right(int mailbox, int network, int password, int64_t at_ms)
{
    const struct login_from who = from(mailbox, network);
    login_take_right(&mailboxes[mailbox], &networks[network], &who, (uint16_t)password, at_ms);
}

static const struct login_block *blocked(int mailbox, int network, int64_t at_ms)
{
    const struct login_from who = from(mailbox, network);
    return login_blocked(&mailboxes[mailbox], &networks[network], &who, at_ms);
}

static void assert_block(int mailbox, int network, enum login_rule rule, int64_t from_ms)
{
    ck_assert(blocked(mailbox, network, from_ms - 1) == NULL);
    for (int64_t at_ms = from_ms; at_ms <= from_ms + HOUR_MS - 1; at_ms += HOUR_MS - 1) {
        const struct login_block *block = blocked(mailbox, network, at_ms);
        ck_assert(block != NULL);
        ck_assert_int_eq(block->rule, rule);
        ck_assert_int_eq(block->until_ms, from_ms + HOUR_MS);
    }
    ck_assert(blocked(mailbox, network, from_ms + HOUR_MS) == NULL);
}

static bool is_news(int mailbox, int network, int password, int64_t at_ms)
{
    const struct login_from who = from(mailbox, network);
    return login_right_is_news(&mailboxes[mailbox], &networks[network], &who, (uint16_t)password,
                               at_ms);
}

/* ---- each rule ------------------------------------------------------------------------------- */

/* At 0..9 s: closed from 9.000 s to 3,609.000 s. */
START_TEST(test_mailbox_from_network)
{
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(wrong(1, 1, i, NOON + i * SECOND_MS), LOGIN_COUNTED);
    ck_assert(blocked(1, 1, NOON + 9 * SECOND_MS) == NULL);
    ck_assert_int_eq(wrong(1, 1, 9, NOON + 9 * SECOND_MS), LOGIN_COUNTED);
    ck_assert_uint_eq(begun, 1U << LOGIN_WRONG_PER_MAILBOX_AND_IP);
    assert_block(1, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON + 9 * SECOND_MS);
    ck_assert(blocked(1, 2, NOON + 10 * SECOND_MS) == NULL);
    ck_assert(blocked(2, 1, NOON + 10 * SECOND_MS) == NULL);
}
END_TEST

/* Trying on does not prolong it, and it begins again at zero. */
START_TEST(test_trying_on)
{
    for (int i = 0; i < 10; i++)
        wrong(1, 1, i, NOON);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wrong(1, 1, 100 + i, NOON + i * 36 * SECOND_MS), LOGIN_KEPT_OUT);
    assert_block(1, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(wrong(1, 1, i, NOON + HOUR_MS), LOGIN_COUNTED);
    ck_assert(blocked(1, 1, NOON + HOUR_MS) == NULL);
    wrong(1, 1, 9, NOON + HOUR_MS);
    assert_block(1, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON + HOUR_MS);
}
END_TEST

/* The first try leaves the window after an hour, to the millisecond. */
START_TEST(test_window)
{
    wrong(1, 1, 0, NOON);
    for (int i = 1; i < 9; i++)
        wrong(1, 1, i, NOON + MINUTE_MS);
    wrong(1, 1, 9, NOON + HOUR_MS);
    ck_assert(blocked(1, 1, NOON + HOUR_MS) == NULL);
    begin();
    wrong(1, 1, 0, NOON);
    for (int i = 1; i < 9; i++)
        wrong(1, 1, i, NOON + MINUTE_MS);
    wrong(1, 1, 9, NOON + HOUR_MS - 1);
    assert_block(1, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON + HOUR_MS - 1);
}
END_TEST

START_TEST(test_names_from_network)
{
    right(50, 1, 7, NOON - DAY_MS);
    for (int i = 0; i < 9; i++)
        wrong(i, 1, 1, NOON);
    wrong(8, 1, 2, NOON); /* another password of a name that was tried */
    ck_assert(blocked(60, 1, NOON) == NULL);
    wrong(9, 1, 1, NOON);
    ck_assert_uint_eq(begun, 1U << LOGIN_MAILBOXES_PER_IP);
    assert_block(60, 1, LOGIN_MAILBOXES_PER_IP, NOON);
    ck_assert(blocked(50, 1, NOON) == NULL); /* a known pair */
    ck_assert(blocked(50, 2, NOON) == NULL);
}
END_TEST

/* Where many work, a tenth of them may mistype. */
START_TEST(test_names_of_a_large_network)
{
    for (int i = 0; i < 110; i++)
        right(i, 1, 7, NOON - DAY_MS);
    for (int i = 0; i < 10; i++)
        wrong(i, 1, 1, NOON);
    ck_assert(blocked(115, 1, NOON) == NULL);
    wrong(10, 1, 1, NOON);
    ck_assert(blocked(115, 1, NOON) != NULL);
    ck_assert(blocked(20, 1, NOON) == NULL);
}
END_TEST

START_TEST(test_passwords_from_network)
{
    for (int i = 0; i < 49; i++)
        wrong(i % 6, 1, i, NOON);
    ck_assert(blocked(60, 1, NOON) == NULL);
    wrong(1, 1, 49, NOON);
    ck_assert_uint_eq(begun, 1U << LOGIN_WRONG_PER_IP);
    assert_block(60, 1, LOGIN_WRONG_PER_IP, NOON);
}
END_TEST

START_TEST(test_mailbox_from_everywhere)
{
    limits.of[LOGIN_WRONG_PER_MAILBOX_AND_IP] = 12;
    right(1, 0, 4000, NOON - DAY_MS);
    for (int i = 0; i < 99; i++)
        ck_assert_int_eq(wrong(1, i % 10 == 0 ? WEBMAIL : i % 10, i, NOON - 1), LOGIN_COUNTED);
    ck_assert(blocked(1, WEBMAIL, NOON) == NULL);
    wrong(1, WEBMAIL, 99, NOON);
    ck_assert_uint_eq(begun, 1U << LOGIN_WRONG_PER_MAILBOX);
    assert_block(1, WEBMAIL, LOGIN_WRONG_PER_MAILBOX, NOON);
    ck_assert(blocked(1, 0, NOON) == NULL); /* nobody who is known is shut out */
    ck_assert(blocked(2, WEBMAIL, NOON) == NULL);
}
END_TEST

START_TEST(test_off)
{
    for (int i = 0; i < LOGIN_RULE_COUNT; i++)
        limits.of[i] = LIMIT_OFF;
    for (int i = 0; i < 500; i++)
        wrong(i % 20, 1, i, NOON);
    for (int i = 0; i < 20; i++)
        ck_assert(blocked(i, 1, NOON) == NULL);
}
END_TEST

/* ---- what counts ----------------------------------------------------------------------------- */

START_TEST(test_repeated)
{
    ck_assert_int_eq(wrong(1, 1, 5, NOON), LOGIN_COUNTED);
    ck_assert_int_eq(wrong(1, 1, 5, NOON + HOUR_MS - 1), LOGIN_REPEATED);
    ck_assert_int_eq(wrong(1, 2, 5, NOON + HOUR_MS - 1), LOGIN_REPEATED);
    ck_assert_int_eq(wrong(1, 1, 5, NOON + HOUR_MS), LOGIN_COUNTED);
}
END_TEST

START_TEST(test_old_passwords)
{
    for (int i = 0; i < 5; i++)
        right(1, 1, i, NOON + i);
    ck_assert_int_eq(wrong(1, 2, 0, NOON + HOUR_MS), LOGIN_COUNTED); /* the fifth last */
    for (int i = 1; i < 5; i++)
        ck_assert_int_eq(wrong(1, 2, i, NOON + HOUR_MS), LOGIN_OLD_PASSWORD);
    ck_assert_uint_eq(mailboxes[1].passwords[3].tries, 1);
    ck_assert_uint_eq(mailboxes[1].passwords[3].tried_network, 2);
    ck_assert_int_eq(wrong(1, 2, 4, NOON + 4 + LOGIN_OLD_MS - 1), LOGIN_OLD_PASSWORD);
    ck_assert_int_eq(wrong(1, 2, 4, NOON + 4 + LOGIN_OLD_MS), LOGIN_COUNTED);
}
END_TEST

START_TEST(test_known_pair)
{
    right(1, 1, 7, NOON);
    const struct login_from who = from(1, 1), webmail = from(1, WEBMAIL);
    ck_assert(login_is_known_pair(&mailboxes[1], &who, NOON + LOGIN_KNOWN_MS - 1));
    ck_assert(!login_is_known_pair(&mailboxes[1], &who, NOON + LOGIN_KNOWN_MS));
    right(1, WEBMAIL, 7, NOON);
    ck_assert(!login_is_known_pair(&mailboxes[1], &webmail, NOON));
}
END_TEST

/* A known pair passes the block of its network; its wrong tries count for its mailbox alone. */
START_TEST(test_through_a_block)
{
    right(50, 1, 4000, NOON - DAY_MS);
    for (int i = 0; i < 10; i++)
        wrong(i, 1, 1, NOON);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(wrong(50, 1, i, NOON + 1), LOGIN_COUNTED);
    ck_assert_uint_eq(login_network_count(&networks[1], LOGIN_WRONG_PER_IP, NOON + 1), 10);
    ck_assert(blocked(50, 1, NOON + 1) == NULL);
    wrong(50, 1, 9, NOON + 1);
    assert_block(50, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON + 1);
}
END_TEST

/* The first days: of a known pair without a fingerprint nothing counts for the network. */
START_TEST(test_no_fingerprint)
{
    for (int i = 0; i < 20; i++)
        right(i, 1, 7, NOON);
    for (int i = 0; i < 20; i++)
        mailboxes[i].password_count = 0;
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(wrong(i, 1, 1, NOON), LOGIN_COUNTED);
    ck_assert(blocked(60, 1, NOON) == NULL);
}
END_TEST

START_TEST(test_right_forgets_its_own)
{
    for (int i = 0; i < 9; i++)
        wrong(1, 1, i, NOON);
    wrong(1, 2, 20, NOON);
    wrong(2, 1, 21, NOON);
    right(1, 1, 4000, NOON);
    ck_assert_uint_eq(
        login_mailbox_count(&mailboxes[1], LOGIN_WRONG_PER_MAILBOX_AND_IP, 1, NOON), 0);
    ck_assert_uint_eq(login_mailbox_count(&mailboxes[1], LOGIN_WRONG_PER_MAILBOX, 0, NOON), 1);
    ck_assert_uint_eq(login_network_count(&networks[1], LOGIN_WRONG_PER_IP, NOON), 1);
    ck_assert_int_eq(wrong(1, 1, 0, NOON), LOGIN_COUNTED);
}
END_TEST

START_TEST(test_webmail_host)
{
    for (int i = 0; i < 99; i++)
        wrong(1, WEBMAIL, i, NOON);
    ck_assert(blocked(1, WEBMAIL, NOON) == NULL);
    for (int i = 2; i < 60; i++)
        wrong(i, WEBMAIL, 1, NOON);
    ck_assert(blocked(70, WEBMAIL, NOON) == NULL);
    ck_assert_uint_eq(networks[WEBMAIL].tries.count, 0);
    right(3, WEBMAIL, 9, NOON);
    ck_assert_uint_eq(networks[WEBMAIL].known.count + mailboxes[3].known.count, 0);
}
END_TEST

START_TEST(test_rests)
{
    rests = LOGIN_RESTS;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wrong(1 + i % 50, 1, i, NOON), LOGIN_RESTED);
    ck_assert_uint_eq(networks[1].tries.count, 0);
    rests = LOGIN_RESTS_NETWORKS;
    for (int i = 1; i < 60; i++)
        ck_assert_int_eq(wrong(i, 1, 1, NOON), LOGIN_COUNTED);
    ck_assert(blocked(1, 1, NOON) == NULL);
    for (int i = 2; i < 11; i++)
        wrong(1, 1, i, NOON);
    assert_block(1, 1, LOGIN_WRONG_PER_MAILBOX_AND_IP, NOON);
}
END_TEST

/* ---- ended by somebody ----------------------------------------------------------------------- */

START_TEST(test_unblocked)
{
    for (int i = 0; i < 10; i++)
        wrong(1, 1, i, NOON);
    ck_assert_int_eq(login_unblock_mailbox(&mailboxes[1], LOGIN_WRONG_PER_MAILBOX_AND_IP, 2,
                                           NOON + 1), 0);
    ck_assert_int_eq(login_unblock_mailbox(&mailboxes[1], LOGIN_WRONG_PER_MAILBOX_AND_IP, 1,
                                           NOON + 1), 1);
    ck_assert(blocked(1, 1, NOON) != NULL && blocked(1, 1, NOON + 1) == NULL);
    for (int i = 20; i < 29; i++)
        wrong(1, 1, i, NOON + 1);
    ck_assert(blocked(1, 1, NOON + 1) == NULL);
    wrong(1, 1, 29, NOON + 1);
    ck_assert(blocked(1, 1, NOON + 1) != NULL);

    for (int i = 10; i < 20; i++)
        wrong(i, 3, 1, NOON);
    ck_assert_int_eq(login_unblock_network(&networks[2], NOON + 1), 0);
    ck_assert_int_eq(login_unblock_network(&networks[3], NOON + 1), 1);
    ck_assert(blocked(60, 3, NOON + 1) == NULL);
}
END_TEST

START_TEST(test_opened)
{
    limits.of[LOGIN_WRONG_PER_MAILBOX_AND_IP] = LIMIT_OFF;
    limits.of[LOGIN_WRONG_PER_IP] = LIMIT_OFF;
    for (int i = 0; i < 100; i++)
        wrong(1, 1, i, NOON);
    ck_assert(blocked(1, 2, NOON + 1) != NULL);
    login_open(&mailboxes[1], NOON + 1);
    ck_assert(blocked(1, 2, NOON + 1) == NULL);
    for (int i = 100; i < 300; i++)
        wrong(1, 1, i, NOON + LOGIN_OPEN_MS);
    ck_assert(blocked(1, 2, NOON + LOGIN_OPEN_MS) == NULL);
    wrong(1, 1, 300, NOON + 1 + LOGIN_OPEN_MS);
    ck_assert(blocked(1, 2, NOON + 1 + LOGIN_OPEN_MS) != NULL);
}
END_TEST

/* ---- bounds, time and bytes ------------------------------------------------------------------ */

START_TEST(test_bounds)
{
    struct login_mailbox *mailbox = &mailboxes[1];
    for (int i = 0; i < LOGIN_KNOWN_NETWORKS_MAX + 5; i++) {
        const struct login_from who = {.mailbox = 1, .network = 100 + (uint64_t)i};
        login_take_right(mailbox, &networks[1], &who, 1, NOON + i);
    }
    ck_assert_uint_eq(mailbox->known.count, LOGIN_KNOWN_NETWORKS_MAX);
    ck_assert_uint_eq(mailbox->known.of[0].other, 100 + LOGIN_KNOWN_NETWORKS_MAX + 4);
    limits = (struct login_limits){{1, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF}};
    for (int i = 0; i < LOGIN_BLOCKS_MAX + 5; i++) {
        const struct login_from who = {.mailbox = 1, .network = 1000 + (uint64_t)i};
        login_take_wrong(mailbox, &networks[2], &limits, &who, (uint16_t)(2 + i), LOGIN_RESTS_NOT,
                         NOON + HOUR_MS + i, &begun);
    }
    ck_assert_uint_eq(mailbox->block_count, LOGIN_BLOCKS_MAX);
    ck_assert(blocked(1, 2, NOON + HOUR_MS) == NULL);
}
END_TEST

START_TEST(test_clock)
{
    for (int i = 0; i < 10; i++)
        wrong(1, 1, i, NOON + 10 * HOUR_MS); /* the clock was wrong */
    right(2, 1, 7, NOON + 10 * HOUR_MS);
    ck_assert_int_eq(wrong(1, 1, 0, NOON), LOGIN_COUNTED);
    ck_assert(blocked(1, 1, NOON + 10 * HOUR_MS) == NULL);
    wrong(3, 2, 1, NOON + 30 * SECOND_MS);
    ck_assert_int_eq(wrong(3, 2, 2, NOON), LOGIN_COUNTED); /* a little behind: the same moment */
    ck_assert_int_eq(login_tries_at(&mailboxes[3].tries, 1).at_ms, NOON + 30 * SECOND_MS);
}
END_TEST

START_TEST(test_forgotten)
{
    right(1, 1, 7, NOON);
    wrong(1, 1, 1, NOON);
    ck_assert(!login_mailbox_forget(&mailboxes[1], NOON + LOGIN_OLD_MS - 1));
    ck_assert(login_mailbox_forget(&mailboxes[1], NOON + LOGIN_OLD_MS));
    ck_assert(!login_network_forget(&networks[1], NOON + LOGIN_KNOWN_MS - 1));
    ck_assert(login_network_forget(&networks[1], NOON + LOGIN_KNOWN_MS));
}
END_TEST

/* Once an hour, with another password or network, and whatever a right one forgets. */
START_TEST(test_news)
{
    ck_assert(is_news(1, 1, 7, NOON));
    right(1, 1, 7, NOON);
    ck_assert(!is_news(1, 1, 7, NOON + 1));
    ck_assert(!is_news(1, 1, 7, NOON + HOUR_MS - 1));
    ck_assert(is_news(1, 1, 7, NOON + HOUR_MS));
    ck_assert(is_news(1, 1, 8, NOON + 1));
    ck_assert(is_news(1, 2, 7, NOON + 1));
    wrong(1, 2, 9, NOON + 1);
    ck_assert(!is_news(1, 1, 7, NOON + 2));
    wrong(1, 1, 10, NOON + 2);
    ck_assert(is_news(1, 1, 7, NOON + 3));
    right(1, 1, 7, NOON + 4);
    ck_assert(!is_news(1, 1, 7, NOON + 5));
    wrong(1, 1, 7, NOON + 6); /* an old password that is tried again */
    ck_assert(is_news(1, 1, 7, NOON + 7));
    right(2, WEBMAIL, 7, NOON);
    ck_assert(!is_news(2, WEBMAIL, 7, NOON + 1));
}
END_TEST

/* Nothing is left from the moment on that is told, and something is before it. */
START_TEST(test_ends)
{
    ck_assert_int_eq(login_mailbox_ends(&mailboxes[1]), 0);
    ck_assert_int_eq(login_network_ends(&networks[1]), 0);
    wrong(1, 1, 1, NOON);
    ck_assert_int_eq(login_mailbox_ends(&mailboxes[1]), NOON + HOUR_MS);
    ck_assert_int_eq(login_network_ends(&networks[1]), NOON + HOUR_MS);
    for (int i = 0; i < 10; i++)
        wrong(1 + i, 1, 2, NOON + 1);
    ck_assert_int_eq(login_network_ends(&networks[1]), NOON + 1 + HOUR_MS);
    right(1, 2, 3, NOON + 2);
    ck_assert_int_eq(login_mailbox_ends(&mailboxes[1]), NOON + 2 + 90 * DAY_MS);
    ck_assert_int_eq(login_network_ends(&networks[2]), NOON + 2 + 30 * DAY_MS);
    ck_assert(!login_mailbox_forget(&mailboxes[1], NOON + 1 + 90 * DAY_MS));
    ck_assert(login_mailbox_forget(&mailboxes[1], NOON + 2 + 90 * DAY_MS));
    login_open(&mailboxes[2], NOON + DAY_MS);
    ck_assert_int_eq(login_mailbox_ends(&mailboxes[2]), NOON + 2 * DAY_MS);
}
END_TEST

/* A sign-in by a protocol that was not known there is news, once. */
START_TEST(test_protocols)
{
    protocol = LOGIN_IMAP;
    right(1, 1, 7, NOON);
    ck_assert(!is_news(1, 1, 7, NOON + 1));
    protocol = LOGIN_SMTP;
    ck_assert(is_news(1, 1, 7, NOON + 1));
    right(1, 1, 7, NOON + 1);
    protocol = LOGIN_IMAP;
    ck_assert(!is_news(1, 1, 7, NOON + 2));
    right(1, 2, 7, NOON + 2);
    right(1, 1, 8, NOON + 3);
    protocol = LOGIN_POP3;
    wrong(1, 2, 7, NOON + 4);
    const struct login_known *known = mailboxes[1].known.of;
    ck_assert_uint_eq(known[0].other, 1);
    ck_assert_uint_eq(known[0].protocol, LOGIN_IMAP);
    ck_assert_uint_eq(known[0].protocols, 1U << LOGIN_IMAP | 1U << LOGIN_SMTP);
    ck_assert_uint_eq(known[1].protocols, 1U << LOGIN_IMAP);
    ck_assert_uint_eq(mailboxes[1].passwords[1].tried_protocol, LOGIN_POP3);
    ck_assert_int_eq(login_protocol_of("IMAP"), LOGIN_IMAP);
    ck_assert_int_eq(login_protocol_of("doveadm"), LOGIN_PROTOCOL_OTHER);
    ck_assert_int_eq(login_protocol_of("other"), LOGIN_PROTOCOL_OTHER);
    ck_assert_int_eq(login_protocol_of(""), LOGIN_PROTOCOL_UNKNOWN);
}
END_TEST

/* As it was before protocols were kept: a network, and a password that is tried as an old one. */
START_TEST(test_packed_before_protocols)
{
    freed_by(text_free) struct text bytes = {0};
    struct login_mailbox mailbox;
    text_add_char(&bytes, 1);
    packed_add_number(&bytes, NOON);
    packed_add_number(&bytes, 0); /* not open */
    packed_add_number(&bytes, 0); /* no tries */
    packed_add_number(&bytes, 1);
    packed_add_fixed(&bytes, 17, 8);
    packed_add_number(&bytes, NOON - 1);
    packed_add_number(&bytes, 0); /* no blocks */
    packed_add_number(&bytes, 1);
    packed_add_number(&bytes, 99);
    packed_add_number(&bytes, NOON - 2);
    packed_add_number(&bytes, 3);
    packed_add_number(&bytes, NOON);
    packed_add_fixed(&bytes, 18, 8);
    ck_assert_int_eq(login_mailbox_read(bytes.data, bytes.length, &mailbox), 1);
    ck_assert_uint_eq(mailbox.known.of[0].other, 17);
    ck_assert_uint_eq(mailbox.known.of[0].protocol, LOGIN_PROTOCOL_UNKNOWN);
    ck_assert_uint_eq(mailbox.known.of[0].protocols, 0);
    ck_assert_uint_eq(mailbox.passwords[0].tries, 3);
    ck_assert_int_eq(mailbox.passwords[0].since_ms, NOON - 2);
    ck_assert_uint_eq(mailbox.passwords[0].tried_network, 18);
    ck_assert_uint_eq(mailbox.passwords[0].tried_protocol, LOGIN_PROTOCOL_UNKNOWN);
    login_mailbox_free(&mailbox);
}
END_TEST

/* As it was before it was kept since when a password is right. */
START_TEST(test_packed_before_since)
{
    freed_by(text_free) struct text bytes = {0};
    struct login_mailbox mailbox;
    text_add_char(&bytes, 3);
    packed_add_number(&bytes, NOON);
    packed_add_number(&bytes, 0); /* not open */
    packed_add_number(&bytes, 0); /* no tries */
    packed_add_number(&bytes, 0); /* no networks */
    packed_add_number(&bytes, 0); /* no blocks */
    packed_add_number(&bytes, 1);
    packed_add_number(&bytes, 99);
    packed_add_number(&bytes, NOON - 2);
    packed_add_number(&bytes, 0);
    packed_add_number(&bytes, 0);
    packed_add_fixed(&bytes, 0, 8);
    packed_add_number(&bytes, LOGIN_POP3);
    ck_assert_int_eq(login_mailbox_read(bytes.data, bytes.length, &mailbox), 1);
    ck_assert_int_eq(login_password_since(&mailbox, 99), NOON - 2);
    ck_assert_uint_eq(mailbox.passwords[0].tried_protocol, LOGIN_POP3);
    login_mailbox_free(&mailbox);
}
END_TEST

/* Since it was right first, while it is kept; a change makes all of them new. */
START_TEST(test_password_since)
{
    struct login_mailbox *mailbox = &mailboxes[1], read;
    freed_by(text_free) struct text bytes = {0};
    ck_assert(!login_password_changed(mailbox, NOON - 1));
    right(1, 1, 7, NOON);
    right(1, 1, 8, NOON + 1);
    right(1, 2, 7, NOON + DAY_MS);
    ck_assert_int_eq(login_password_since(mailbox, 7), NOON);
    ck_assert_int_eq(login_password_since(mailbox, 8), NOON + 1);
    ck_assert_int_eq(login_password_since(mailbox, 9), 0);
    ck_assert_int_eq(login_password_since(mailbox, login_last_right(&mailboxes[2])), 0);
    login_mailbox_add(&bytes, mailbox);
    ck_assert_int_eq(login_mailbox_read(bytes.data, bytes.length, &read), 1);
    ck_assert_int_eq(login_password_since(&read, 7), NOON);
    login_mailbox_free(&read);

    login_take_too_old(mailbox, 8, NOON + 80 * DAY_MS); /* it is kept for 90 days more */
    login_take_too_old(mailbox, 9, NOON + 80 * DAY_MS);
    ck_assert_int_eq(login_last_right(mailbox), 8);
    ck_assert(!login_mailbox_forget(mailbox, NOON + 80 * DAY_MS + LOGIN_OLD_MS - 1));
    ck_assert_uint_eq(mailbox->password_count, 1);
    ck_assert_int_eq(login_password_since(mailbox, 8), NOON + 1);
    ck_assert(login_password_changed(mailbox, NOON + 100 * DAY_MS));
    ck_assert_int_eq(login_password_since(mailbox, 8), NOON + 100 * DAY_MS);
    ck_assert(login_mailbox_forget(mailbox, NOON + 80 * DAY_MS + LOGIN_OLD_MS));
    right(1, 1, 8, NOON + 171 * DAY_MS);
    ck_assert_int_eq(login_password_since(mailbox, 8), NOON + 171 * DAY_MS);
}
END_TEST

START_TEST(test_packed)
{
    protocol = LOGIN_SIEVE;
    right(50, 1, 9, NOON - 2);
    protocol = LOGIN_IMAP;
    right(50, 1, 7, NOON - 1);
    for (int i = 0; i < 12; i++)
        wrong(50 + i % 11, 1, i, NOON + i);
    wrong(50, 2, 9, NOON + 12);
    struct login_mailbox mailbox;
    struct login_network network;
    freed_by(text_free) struct text bytes = {0}, again = {0}, of_network = {0};
    login_mailbox_add(&bytes, &mailboxes[50]);
    login_network_add(&of_network, &networks[1]);
    ck_assert_int_eq(login_mailbox_read(bytes.data, bytes.length, &mailbox), 1);
    ck_assert_uint_eq(mailbox.known.of[0].protocol, LOGIN_IMAP);
    ck_assert_uint_eq(mailbox.known.of[0].protocols, 1U << LOGIN_IMAP | 1U << LOGIN_SIEVE);
    ck_assert_uint_eq(mailbox.passwords[1].tried_protocol, LOGIN_IMAP);
    login_mailbox_add(&again, &mailbox);
    ck_assert_uint_eq(bytes.length, again.length);
    ck_assert_mem_eq(bytes.data, again.data, again.length);
    again.length = 0;
    ck_assert_int_eq(login_network_read(of_network.data, of_network.length, &network), 1);
    login_network_add(&again, &network);
    ck_assert_uint_eq(of_network.length, again.length);
    ck_assert_mem_eq(of_network.data, again.data, again.length);
    login_mailbox_free(&mailbox);
    login_network_free(&network);
    for (size_t length = 0; length < bytes.length; length++)
        ck_assert_int_eq(login_mailbox_read(bytes.data, length, &mailbox), 0);
    for (size_t length = 0; length < of_network.length; length++)
        ck_assert_int_eq(login_network_read(of_network.data, length, &network), 0);
    for (int i = 0; i < 20000; i++) { /* damaged: 1 or 0, and in its bounds */
        bytes.data[below((int)bytes.length)] ^= (char)(1 << below(8));
        if (login_mailbox_read(bytes.data, bytes.length, &mailbox) > 0)
            login_mailbox_free(&mailbox);
        of_network.data[below((int)of_network.length)] ^= (char)(1 << below(8));
        if (login_network_read(of_network.data, of_network.length, &network) > 0)
            login_network_free(&network);
    }
}
END_TEST

START_TEST(test_networks)
{
    uint64_t one, other;
    char text[LOGIN_NETWORK_SIZE];
    ck_assert_int_eq(login_network_of("198.51.100.7", &one), 1);
    login_network_text(one, text);
    ck_assert_str_eq(text, "198.51.100.7");
    ck_assert_int_eq(login_network_of("::ffff:198.51.100.7", &other), 1);
    ck_assert(one == other);
    ck_assert_int_eq(login_network_of("2001:db8:1:2:3::4", &one), 1);
    ck_assert_int_eq(login_network_of("2001:db8:1:2::", &other), 1);
    ck_assert(one == other);
    login_network_text(one, text);
    ck_assert_str_eq(text, "2001:db8:1:2::/64");
    ck_assert_int_eq(login_network_of("", &one), 0);
    ck_assert_int_eq(login_network_of("198.51.100.7/24", &one), 0);
}
END_TEST

/* ---- a million tries ------------------------------------------------------------------------- */

enum { MANY_MAILBOXES = 10000, MANY_NETWORKS = 20000, MANY = 1000 * 1000 };
static struct login_mailbox many_mailboxes[MANY_MAILBOXES];
static struct login_network many_networks[MANY_NETWORKS];

/* What the allocator took for a list, its own head included. */
static size_t bytes_of(const struct login_tries *tries)
{
    return tries->of != NULL ? malloc_usable_size(tries->of) + sizeof(size_t) : 0;
}

static size_t bytes_of_all(void)
{
    size_t bytes = 0;
    for (int i = 0; i < MANY_MAILBOXES; i++)
        bytes += bytes_of(&many_mailboxes[i].tries);
    for (int i = 0; i < MANY_NETWORKS; i++)
        bytes += bytes_of(&many_networks[i].tries);
    return bytes;
}

/* 100 of each mailbox, 50 of each network: as many as the default rules count. A try stands in the
 * list of each. */
START_TEST(test_memory)
{
    limits = (struct login_limits){{LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF}};
    for (int i = 0; i < MANY; i++) {
        const struct login_from who = {.mailbox = (uint64_t)(i % MANY_MAILBOXES),
                                       .network = (uint64_t)(i % MANY_NETWORKS)};
        ck_assert_int_eq(login_take_wrong(&many_mailboxes[who.mailbox],
                                          &many_networks[who.network], &limits, &who,
                                          (uint16_t)(i / MANY_MAILBOXES), LOGIN_RESTS_NOT,
                                          NOON + i, &begun),
                         LOGIN_COUNTED);
    }
    ck_assert_uint_eq(many_mailboxes[7].tries.count, 100);
    ck_assert_uint_eq(many_networks[7].tries.count, 50);
    ck_assert_msg(bytes_of_all() <= (size_t)32 * MANY, "%.1f bytes a try",
                  (double)bytes_of_all() / MANY);
    for (int i = 0; i < MANY_MAILBOXES; i++)
        ck_assert(login_mailbox_forget(&many_mailboxes[i], NOON + MANY + HOUR_MS));
    for (int i = 0; i < MANY_NETWORKS; i++)
        ck_assert(login_network_forget(&many_networks[i], NOON + MANY + HOUR_MS));
    ck_assert_uint_eq(bytes_of_all(), 0);
}
END_TEST

/* ---- the model ------------------------------------------------------------------------------- */

enum { SCHEDULES = SANITIZED ? 300 : 6000, STEPS = 80, SOME = 5, PASSWORDS = 9, SPACE = 3 };

struct event {
    int mailbox, network, password;
    int64_t at_ms;
    bool is_right, counted, for_network, for_mailbox, forgotten;
};
struct model_block {
    enum login_rule rule;
    int mailbox, network; /* -1: any */
    int64_t from_ms;
};
static struct model {
    struct event events[STEPS];
    struct model_block blocks[4 * STEPS];
    int count, blocks_count;
} model;

static bool model_known(int mailbox, int network, int64_t at_ms)
{
    for (int i = 0; i < model.count; i++) {
        const struct event *event = &model.events[i];
        if (event->is_right && event->mailbox == mailbox && event->network == network &&
            network != WEBMAIL && at_ms < event->at_ms + 30 * DAY_MS)
            return true;
    }
    return false;
}

static bool model_keeps_out(const struct model_block *block, int mailbox, int network,
                            int64_t at_ms)
{
    bool concerns = (block->mailbox < 0 || block->mailbox == mailbox) &&
                    (block->network < 0 || block->network == network);
    bool passes = block->rule != LOGIN_WRONG_PER_MAILBOX_AND_IP &&
                  model_known(mailbox, network, at_ms);
    return concerns && !passes && at_ms >= block->from_ms && at_ms < block->from_ms + HOUR_MS;
}

/* When the last of the blocks ends that keep it out; 0: none does. */
static int64_t model_until(int mailbox, int network, int64_t at_ms)
{
    int64_t until_ms = 0;
    for (int i = 0; i < model.blocks_count; i++)
        if (model_keeps_out(&model.blocks[i], mailbox, network, at_ms) &&
            model.blocks[i].from_ms + HOUR_MS > until_ms)
            until_ms = model.blocks[i].from_ms + HOUR_MS;
    return until_ms;
}

static bool model_holds(enum login_rule rule, int mailbox, int network, int64_t at_ms)
{
    for (int i = 0; i < model.blocks_count; i++) {
        const struct model_block *block = &model.blocks[i];
        if (block->rule == rule && block->mailbox == mailbox && block->network == network &&
            at_ms < block->from_ms + HOUR_MS)
            return true;
    }
    return false;
}

/* Of the last four passwords that were right, within 90 days; or at all, password -1. */
static bool model_old(int mailbox, int password, int64_t at_ms)
{
    int different = 0;
    bool seen[PASSWORDS] = {false};
    for (int i = model.count; i-- > 0 && different < 4;) {
        const struct event *event = &model.events[i];
        if (!event->is_right || event->mailbox != mailbox || seen[event->password])
            continue;
        seen[event->password] = true;
        different++;
        if (at_ms < event->at_ms + 90 * DAY_MS && (password < 0 || event->password == password))
            return true;
    }
    return false;
}

static bool in_hour(const struct event *event, int64_t at_ms)
{
    return event->counted && !event->forgotten && at_ms < event->at_ms + HOUR_MS;
}

static int model_count(enum login_rule rule, int mailbox, int network, int64_t at_ms)
{
    int count = 0;
    bool names[SOME] = {false};
    for (int i = 0; i < model.count; i++) {
        const struct event *event = &model.events[i];
        if (!in_hour(event, at_ms))
            continue;
        bool here = event->network == network, his = event->mailbox == mailbox;
        count += rule == LOGIN_WRONG_PER_MAILBOX_AND_IP ? here && his
                 : rule == LOGIN_WRONG_PER_MAILBOX      ? his && event->for_mailbox
                 : rule == LOGIN_WRONG_PER_IP           ? here && event->for_network
                                                        : here && event->for_network &&
                                                     !names[event->mailbox];
        names[event->mailbox] |= here && event->for_network;
    }
    return count;
}

static void model_block(enum login_rule rule, int mailbox, int network, const struct event *last)
{
    if (model_count(rule, last->mailbox, last->network, last->at_ms) >= limits.of[rule])
        model.blocks[model.blocks_count++] =
            (struct model_block){rule, mailbox, network, last->at_ms};
}

static enum login_taken model_wrong(struct event event)
{
    int mailbox = event.mailbox, network = event.network;
    if (model_until(mailbox, network, event.at_ms) > 0)
        return LOGIN_KEPT_OUT;
    if (model_old(mailbox, event.password, event.at_ms))
        return LOGIN_OLD_PASSWORD;
    for (int i = 0; i < model.count; i++)
        if (in_hour(&model.events[i], event.at_ms) && model.events[i].mailbox == mailbox &&
            model.events[i].password == event.password)
            return LOGIN_REPEATED;
    event.counted = true;
    event.for_mailbox = !model_holds(LOGIN_WRONG_PER_MAILBOX, mailbox, -1, event.at_ms);
    event.for_network =
        network != WEBMAIL && !model_holds(LOGIN_MAILBOXES_PER_IP, -1, network, event.at_ms) &&
        !model_holds(LOGIN_WRONG_PER_IP, -1, network, event.at_ms) &&
        !(model_known(mailbox, network, event.at_ms) && !model_old(mailbox, -1, event.at_ms));
    model.events[model.count++] = event;
    if (network != WEBMAIL)
        model_block(LOGIN_WRONG_PER_MAILBOX_AND_IP, mailbox, network, &event);
    if (event.for_mailbox)
        model_block(LOGIN_WRONG_PER_MAILBOX, mailbox, -1, &event);
    int before = model.blocks_count;
    if (event.for_network)
        model_block(LOGIN_MAILBOXES_PER_IP, -1, network, &event);
    if (event.for_network && model.blocks_count == before)
        model_block(LOGIN_WRONG_PER_IP, -1, network, &event);
    return LOGIN_COUNTED;
}

static void model_right(struct event event)
{
    for (int i = 0; i < model.count; i++)
        if (model.events[i].mailbox == event.mailbox && model.events[i].network == event.network)
            model.events[i].forgotten = true;
    event.is_right = true;
    model.events[model.count++] = event;
}

static int64_t some_time(int64_t at_ms)
{
    static const int64_t steps[] = {0, 0, 1, 1000, 20 * MINUTE_MS, HOUR_MS - 1, HOUR_MS,
                                    29 * DAY_MS, 61 * DAY_MS};
    int what = below(40);
    if (what < 3 && model.blocks_count > 0) { /* about the end of a block */
        int64_t end_ms = model.blocks[below(model.blocks_count)].from_ms + HOUR_MS - 1 + below(2);
        return end_ms > at_ms ? end_ms : at_ms;
    }
    return at_ms + steps[what < 36 ? below(5) : below(9)];
}

static int some_network(void)
{
    int network = below(SPACE + 1);
    return network == SPACE ? WEBMAIL : network;
}

static void one_step(int64_t at_ms)
{
    const struct event event = {.mailbox = below(SOME), .network = some_network(),
                                .password = below(PASSWORDS), .at_ms = at_ms};
    if (percent(15) && model_until(event.mailbox, event.network, at_ms) == 0) {
        right(event.mailbox, event.network, event.password, at_ms);
        model_right(event);
    } else {
        enum login_taken expected = model_wrong(event);
        ck_assert_int_eq(wrong(event.mailbox, event.network, event.password, at_ms), expected);
    }
    for (int mailbox = 0; mailbox < SOME; mailbox++)
        for (int i = 0; i <= SPACE; i++) {
            int network = i == SPACE ? WEBMAIL : i;
            const struct login_block *block = blocked(mailbox, network, at_ms);
            ck_assert_int_eq(block != NULL ? block->until_ms : 0,
                             model_until(mailbox, network, at_ms));
        }
}

START_TEST(test_model)
{
    for (int schedule = 0; schedule < SCHEDULES; schedule++) {
        int64_t at_ms = NOON;
        begin();
        model.count = model.blocks_count = 0;
        for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++)
            limits.of[rule] = 1 + below(6);
        for (int step = 0; step < STEPS; step++)
            one_step(at_ms = some_time(at_ms));
    }
}
END_TEST

int main(void)
{
    chance_begin();
    TCase *tcase = tcase_create("login");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, begin);
    tcase_add_test(tcase, test_mailbox_from_network);
    tcase_add_test(tcase, test_trying_on);
    tcase_add_test(tcase, test_window);
    tcase_add_test(tcase, test_names_from_network);
    tcase_add_test(tcase, test_names_of_a_large_network);
    tcase_add_test(tcase, test_passwords_from_network);
    tcase_add_test(tcase, test_mailbox_from_everywhere);
    tcase_add_test(tcase, test_off);
    tcase_add_test(tcase, test_repeated);
    tcase_add_test(tcase, test_old_passwords);
    tcase_add_test(tcase, test_known_pair);
    tcase_add_test(tcase, test_through_a_block);
    tcase_add_test(tcase, test_no_fingerprint);
    tcase_add_test(tcase, test_right_forgets_its_own);
    tcase_add_test(tcase, test_webmail_host);
    tcase_add_test(tcase, test_rests);
    tcase_add_test(tcase, test_unblocked);
    tcase_add_test(tcase, test_opened);
    tcase_add_test(tcase, test_bounds);
    tcase_add_test(tcase, test_clock);
    tcase_add_test(tcase, test_forgotten);
    tcase_add_test(tcase, test_news);
    tcase_add_test(tcase, test_ends);
    tcase_add_test(tcase, test_protocols);
    tcase_add_test(tcase, test_packed_before_protocols);
    tcase_add_test(tcase, test_packed_before_since);
    tcase_add_test(tcase, test_password_since);
    tcase_add_test(tcase, test_packed);
    tcase_add_test(tcase, test_networks);
    tcase_add_test(tcase, test_memory);
    tcase_add_test(tcase, test_model);
    Suite *suite = suite_create("login");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
