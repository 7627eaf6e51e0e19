/* The rules of one message: what is counted, then what is objected to. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/outcome.h"
#include "rules/rules.h"

static struct arena *arena;
static struct submission submission;

static void setup(void)
{
    struct problem problem;
    arena = arena_new();
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    ck_assert_int_eq(submission_set_mailbox(&submission, "alice@example.test", 18, &problem), 1);
}

static void teardown(void) { arena_free(&arena); }

static void add(enum field field, const char *list)
{
    struct problem problem;
    ck_assert_msg(
        submission_add_recipients(&submission, field, list, strlen(list), &problem) == 1,
        "%s: %s", problem.where, problem.text);
}

static void add_many(enum field field, int count, const char *prefix, const char *domain)
{
    for (int i = 0; i < count; i++)
        add(field, arena_printf(arena, "%s%d@%s", prefix, i, domain));
}

/* ---- a provider: two domains are equals, an address and a domain are exempt ---- */

static bool is_own(const void *equal, const char *mailbox_domain, const char *domain)
{
    return strcmp(mailbox_domain, domain) == 0 || strcmp(equal, domain) == 0;
}

static bool is_exempt(const void *equal, const char *address)
{
    (void)equal;
    return strcmp(address, "postmaster@x.test") == 0 || strstr(address, "@exempt.test") != NULL;
}

static const struct recipient_classes provider = {is_own, is_exempt, "example.net"};

static struct facts count(void) { return facts_count(arena, &submission, &provider); }

/* ---- counting ------------------------------------------------------------------ */

/* "to+cc+bcc=sum off=n" and for each domain "name:recipients/header_chars", "!" for an own one. */
static const char *told(const struct facts *facts)
{
    struct text text = {0};
    text_addf(&text, "%u+%u+%u=%u off=%u", facts->in_field[FIELD_TO], facts->in_field[FIELD_CC],
              facts->in_field[FIELD_BCC], facts->recipients, facts->off_domain);
    for (size_t i = 0; i < facts->domain_count; i++)
        text_addf(&text, " %s%s:%u/%u", facts->domains[i].own ? "!" : "",
                  facts->domains[i].domain, facts->domains[i].recipients,
                  facts->domains[i].header_chars);
    const char *copy = arena_strdup(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static const struct {
    const char *name, *to, *cc, *bcc, *facts;
} countings[] = {
    {"nobody", "", "", "", "0+0+0=0 off=0"},
    {"one", "b@x.test", "", "", "1+0+0=1 off=1 x.test:1/8"},
    {"name and angle count", "Bob <b@x.test>", "", "", "1+0+0=1 off=1 x.test:1/14"},
    {"joint of two", "b@x.test,c@x.test", "", "", "2+0+0=2 off=2 x.test:2/18"},
    {"joints over fields", "b@x.test", "c@x.test", "d@x.test",
     "1+1+1=3 off=3 x.test:3/28"},
    {"written without space, joined with one", "b@x.test;c@x.test,d@x.test", "", "",
     "3+0+0=3 off=3 x.test:3/28"},
    {"other domains are not between", "b@x.test, a@y.test, c@x.test", "", "",
     "3+0+0=3 off=3 x.test:2/18 y.test:1/8"},
    {"same twice in a field", "b@x.test, B@X.test", "", "", "1+0+0=1 off=1 x.test:1/18"},
    {"same in two fields", "b@x.test", "", "B <b@x.test>", "1+0+1=2 off=1 x.test:1/22"},
    {"same in all fields, twice each", "b@x.test,b@x.test", "b@x.test,b@x.test",
     "b@x.test,b@x.test", "1+1+1=3 off=1 x.test:1/58"},
    {"same written as IDN and A-label",
     "b@b\xC3\xBC"
     "cher.test, b@xn--bcher-kva.test",
     "", "", "1+0+0=1 off=1 xn--bcher-kva.test:1/35"},
    {"characters, not bytes", "J\xC3\xBCrgen \xE2\x82\xAC <j@x.test>", "", "",
     "1+0+0=1 off=1 x.test:1/19"},
    {"characters after decoding", "=?utf-8?q?J=C3=BCrgen?= <j@x.test>", "", "",
     "1+0+0=1 off=1 x.test:1/17"},
    {"an emoji is one", "\xF0\x9F\x98\x80 <j@x.test>, b@x.test", "", "",
     "2+0+0=2 off=2 x.test:2/22"},
    {"own domain", "b@example.test, C@EXAMPLE.test", "", "",
     "2+0+0=2 off=0 !example.test:2/30"},
    {"equal of the own domain", "b@example.net", "b@example.test", "",
     "1+1+0=2 off=0 !example.net:1/13 !example.test:1/14"},
    {"subdomain and parent are others", "b@mail.example.test, b@test, b@notexample.test", "", "",
     "3+0+0=3 off=3 mail.example.test:1/19 notexample.test:1/17 test:1/6"},
    {"own beside others", "b@example.test, b@x.test", "", "",
     "2+0+0=2 off=1 !example.test:1/14 x.test:1/8"},
    {"the mailbox itself", "alice@example.test", "", "", "1+0+0=1 off=0 !example.test:1/18"},
    {"exempt alone", "postmaster@x.test", "", "", "0+0+0=0 off=0"},
    {"exempt leaves no joint", "b@x.test, postmaster@x.test, c@x.test", "", "",
     "2+0+0=2 off=2 x.test:2/18"},
    {"exempt domain", "b@exempt.test, c@x.test", "d@exempt.test", "",
     "1+0+0=1 off=1 x.test:1/8"},
    {"most recipients first, then by name", "a@z.test, b@z.test, c@y.test, d@x.test", "", "",
     "4+0+0=4 off=4 z.test:2/18 x.test:1/8 y.test:1/8"},
    {"members of a group", "Team: b@x.test, c@x.test;", "", "", "2+0+0=2 off=2 x.test:2/18"},
};

/* Under an own domain a local part can lead elsewhere. */
static const struct {
    const char *address, *facts;
} routes[] = {
    {"v%x.test@example.test", "1+0+0=1 off=1 x.test:1/21"},
    {"x.test!v@example.test", "1+0+0=1 off=1 x.test:1/21"},
    {"\"v@x.test\"@example.test", "1+0+0=1 off=1 x.test:1/23"},
    {"\"V%X.Test.\"@example.net", "1+0+0=1 off=1 x.test:1/23"},
    {"v%b\xC3\xBC.test@example.test", "1+0+0=1 off=1 xn--b-eha.test:1/22"},
    {"\"v@[192.0.2.1]\"@example.test", "1+0+0=1 off=1 [192.0.2.1]:1/28"},
    /* the same recipient at one place, and another one at another */
    {"v%x.test@example.test, v@x.test, V%x.test@Example.TEST", "2+0+0=2 off=2 x.test:2/54"},
    /* repeated: through own domains, and names that the mail server may take for its own */
    {"v%x.test%example.test@example.test", "1+0+0=1 off=1 x.test:1/34"},
    {"example.net!x.test!v@example.test", "1+0+0=1 off=1 x.test:1/33"},
    {"\"\\\"v@x.test\\\"@example.net\"@example.test", "1+0+0=1 off=1 x.test:1/39"},
    {"v%x.test%localhost@example.test", "1+0+0=1 off=1 x.test:1/31"},
    {"\"v%x.test@\"@example.test", "1+0+0=1 off=1 x.test:1/24"},
    /* the last @, else the first !, else the last % */
    {"y.test!v%x.test@example.test", "1+0+0=1 off=1 y.test:1/28"},
    {"v%y.test%x.test@example.test", "1+0+0=1 off=1 x.test:1/28"},
    {"\"y.test!v@x.test\"@example.test", "1+0+0=1 off=1 x.test:1/30"},
    /* read again: without the route before it, comments and spaces */
    {"\"@h.test:v%x.test\"@example.test", "1+0+0=1 off=1 x.test:1/31"},
    {"\"@h.test,@i.test:x.test!v\"@example.test", "1+0+0=1 off=1 x.test:1/39"},
    {"\"v@x.test(c)\"@example.test", "1+0+0=1 off=1 x.test:1/26"},
    {"\"v@ x.test \"@example.test", "1+0+0=1 off=1 x.test:1/25"},
    {"\"v%x.test (c)\"@example.test", "1+0+0=1 off=1 x.test:1/27"},
    {"\"\\\\(v@x.test\"@example.test", "1+0+0=1 off=1 x.test:1/26"},
    {"\"\\\"(\\\"v@x.test\"@example.test", "1+0+0=1 off=1 x.test:1/28"},
    /* in quotation marks a domain is one too, but a sign only where there is no other */
    {"\"v@\\\"x.test\\\"\"@example.test", "1+0+0=1 off=1 x.test:1/27"},
    {"\"v%\\\"x\\\".test\"@example.test", "1+0+0=1 off=1 x.test:1/27"},
    {"\"\\\"x.test\\\"!v\"@example.test", "1+0+0=1 off=1 x.test:1/27"},
    {"\"\\\"y.test!\\\"v%x.test\"@example.test", "1+0+0=1 off=1 x.test:1/34"},
    {"\"v\\\"%y.test\\\"%x.test\"@example.test", "1+0+0=1 off=1 x.test:1/34"},
    {"\"y.test\\\\!v%x.test\"@example.test", "1+0+0=1 off=1 x.test:1/32"},
    {"\"v%x.test\\\\%y.test\"@example.test", "1+0+0=1 off=1 y.test:1/32"},
    /* hosts that have no key form */
    {"v%X_y.test@example.test", "1+0+0=1 off=1 x_y.test:1/23"},
    {"x_y.test!v@example.test", "1+0+0=1 off=1 x_y.test:1/23"},
    {"v%\xE2\x9D\xA4.test@example.test", "1+0+0=1 off=1 \xE2\x9D\xA4.test:1/21"},
    /* no mail server follows one without an end: 16 times, and then it leads outside */
    {"b%%%%%%%%%%%%%%%%@example.test", "1+0+0=1 off=0 !example.test:1/30"},
    {"b%%%%%%%%%%%%%%%%%@example.test", "1+0+0=1 off=1 invalid:1/31"},
    {"!!!!!!!!!!!!!!!!!b@example.test", "1+0+0=1 off=1 invalid:1/31"},
    /* own in the end */
    {"b%example.net@example.test", "1+0+0=1 off=0 !example.net:1/26"},
    {"b@example.test, example.test!b@example.test", "2+0+0=2 off=0 !example.test:2/43"},
    /* no domain with a dot */
    {"50%off@example.test", "1+0+0=1 off=0 !example.test:1/19"},
    {"wow!@example.test, 100%@example.test", "2+0+0=2 off=0 !example.test:2/36"},
    {"\"a@b\"@example.test", "1+0+0=1 off=0 !example.test:1/18"},
    {"\"v%x..test\"@example.test", "1+0+0=1 off=0 !example.test:1/24"},
    {"v%-x.test@example.test", "1+0+0=1 off=0 !example.test:1/22"},
    /* not under an own domain */
    {"a%d1.test@big.test, a%d2.test@big.test", "2+0+0=2 off=2 big.test:2/38"},
    {"d1.test!a@mail.example.test", "1+0+0=1 off=1 mail.example.test:1/27"},
    /* exempt is who is at the place that it leads to */
    {"postmaster%x.test@example.test", "0+0+0=0 off=0"},
    {"v%exempt.test@example.test", "0+0+0=0 off=0"},
    {"v%x.test@exempt.test", "0+0+0=0 off=0"},
};

START_TEST(test_where_an_address_leads)
{
    add(FIELD_TO, routes[_i].address);
    struct facts facts = count();
    ck_assert_msg(strcmp(told(&facts), routes[_i].facts) == 0, "%s: %s", routes[_i].address,
                  told(&facts));
}
END_TEST

/* By SMTP each accepted recipient counts, copies of one address too. */
START_TEST(test_copies_by_smtp)
{
    submission.channel = CHANNEL_SMTP;
    add(FIELD_TO, "v@x.test, V@x.test, v@X.test, b@example.test, b@example.test, postmaster@x.test");
    struct facts facts = count();
    ck_assert_str_eq(told(&facts), "5+0+0=5 off=3 x.test:3/28 !example.test:2/30");
}
END_TEST

START_TEST(test_counting)
{
    add(FIELD_TO, countings[_i].to);
    add(FIELD_CC, countings[_i].cc);
    add(FIELD_BCC, countings[_i].bcc);
    struct facts facts = count();
    ck_assert_msg(strcmp(told(&facts), countings[_i].facts) == 0, "%s: %s", countings[_i].name,
                  told(&facts));
}
END_TEST

/* ---- counting, against the definition ---------------------------------------------- */

static uint64_t chance_state;

static unsigned below(unsigned bound)
{
    chance_state = chance_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(chance_state >> 33) % bound;
}

/* Whether an earlier recipient is the same; in the same field, or (-1) in any. */
static bool seen_before(size_t index, int field)
{
    const struct recipient *all = submission.recipients;
    for (size_t i = 0; i < index; i++)
        if (strcmp(all[i].address, all[index].address) == 0 &&
            (field < 0 || (int)all[i].field == field))
            return true;
    return false;
}

static void check_domain(const struct domain_facts *domain)
{
    uint32_t recipients = 0, chars = 0, written = 0;
    for (size_t i = 0; i < submission.recipient_count; i++) {
        const struct recipient *one = &submission.recipients[i];
        if (is_exempt(NULL, one->address) || strcmp(one->domain, domain->domain) != 0)
            continue;
        recipients += !seen_before(i, -1);
        chars += one->written_chars + (written++ > 0 ? 2 : 0);
    }
    ck_assert_uint_eq(domain->recipients, recipients);
    ck_assert_uint_eq(domain->header_chars, chars);
    ck_assert_int_eq(domain->own, is_own("example.net", "example.test", domain->domain));
}

static void check_facts(const struct facts *facts)
{
    uint32_t in_field[FIELD_COUNT] = {0}, off_domain = 0, at_domains = 0;
    for (size_t i = 0; i < submission.recipient_count; i++) {
        const struct recipient *one = &submission.recipients[i];
        if (is_exempt(NULL, one->address))
            continue;
        in_field[one->field] += !seen_before(i, (int)one->field);
        if (!seen_before(i, -1)) {
            at_domains++;
            off_domain += !is_own("example.net", "example.test", one->domain);
        }
    }
    for (int field = 0; field < FIELD_COUNT; field++)
        ck_assert_uint_eq(facts->in_field[field], in_field[field]);
    ck_assert_uint_eq(facts->recipients, in_field[0] + in_field[1] + in_field[2]);
    ck_assert_uint_eq(facts->off_domain, off_domain);
    for (size_t i = 0; i < facts->domain_count; i++) {
        check_domain(&facts->domains[i]);
        at_domains -= facts->domains[i].recipients;
    }
    ck_assert_uint_eq(at_domains, 0); /* no domain is missing, none is twice */
}

START_TEST(test_counting_is_the_definition)
{
    static const char *const domains[] = {"x.test", "y.test", "example.test", "example.net",
                                          "exempt.test", "mail.example.test"};
    static const char *const names[] = {"", "B ", "J\xC3\xBC "};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        teardown();
        setup();
        chance_state = seed;
        for (unsigned rest = below(40); rest > 0; rest--)
            add((enum field)below(FIELD_COUNT),
                arena_printf(arena, "%s<%c@%s>", names[below(countof(names))],
                             (char)('a' + below(4)), domains[below(countof(domains))]));
        struct facts facts = count();
        check_facts(&facts);
    }
}
END_TEST

/* ---- objections ------------------------------------------------------------------- */

static const struct limits all_off = {
    {LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF, LIMIT_OFF}};

/* "rule field-or-domain count/limit; …" */
static const char *objections(const struct limits *limits)
{
    const struct objection *list;
    struct facts facts = count();
    size_t number = rules_check(arena, limits, &facts, &list);
    struct text text = {0};
    ck_assert_int_eq(number == 0, list == NULL);
    for (size_t i = 0; i < number; i++) {
        text_addf(&text, "%s%s", i > 0 ? "; " : "", rule_table[list[i].rule].name);
        if (list[i].field >= 0)
            text_addf(&text, " %s", field_names[list[i].field]);
        if (list[i].domain != NULL)
            text_addf(&text, " %s", list[i].domain);
        text_addf(&text, " %u/%u", list[i].count, list[i].limit);
        ck_assert(!list[i].never_fits);
    }
    const char *copy = arena_strdup(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static void add_to_message(int count)
{
    for (int i = 0; i < count; i++)
        add((enum field)(i % FIELD_COUNT), arena_printf(arena, "b%d@d%d.test", i, i));
}
static void add_to_cc(int count) { add_many(FIELD_CC, count, "b", "x.test"); }
static void add_to_domain(int count)
{
    for (int i = 0; i < count; i++)
        add((enum field)(i % FIELD_COUNT), arena_printf(arena, "b%d@x.test", i));
}
static void add_chars(int count) /* two recipients, "A… <b@x.test>" and "c@x.test", joined */
{
    char *name = arena_alloc(arena, (size_t)count);
    memset(name, 'A', (size_t)count - 2 - 8 - 11);
    add(FIELD_BCC, "c@x.test");
    add(FIELD_TO, arena_printf(arena, "%s <b@x.test>", name));
}

static const struct {
    enum rule rule;
    void (*fill)(int count); /* the message so that it counts so much under the rule */
    int32_t limit;
    const char *where;
} limits_of_message[] = {
    {RULE_RECIPIENTS_PER_MESSAGE, add_to_message, 300, ""},
    {RULE_RECIPIENTS_PER_MESSAGE, add_to_message, 1, ""},
    {RULE_RECIPIENTS_PER_FIELD, add_to_cc, 100, " cc"},
    {RULE_RECIPIENTS_PER_DOMAIN, add_to_domain, 50, " x.test"},
    {RULE_HEADER_CHARS_PER_DOMAIN, add_chars, 2000, " x.test"},
};

START_TEST(test_limit_and_one_more)
{
    enum rule rule = limits_of_message[_i].rule;
    struct limits limits = all_off;
    limits.of[rule] = limits_of_message[_i].limit;
    limits_of_message[_i].fill(limits.of[rule]);
    ck_assert_str_eq(objections(&limits), "");
    limits.of[rule]--;
    ck_assert_str_eq(objections(&limits),
                     arena_printf(arena, "%s%s %d/%d", rule_table[rule].name,
                                  limits_of_message[_i].where, limits.of[rule] + 1,
                                  limits.of[rule]));
    teardown();
    setup();
    limits.of[rule]++;
    limits_of_message[_i].fill(limits.of[rule] + 1);
    ck_assert_str_eq(objections(&limits),
                     arena_printf(arena, "%s%s %d/%d", rule_table[rule].name,
                                  limits_of_message[_i].where, limits.of[rule] + 1,
                                  limits.of[rule]));
}
END_TEST

START_TEST(test_all_at_once)
{
    struct limits limits = {{[RULE_RECIPIENTS_PER_MESSAGE] = 8,
                             [RULE_RECIPIENTS_PER_FIELD] = 3,
                             [RULE_RECIPIENTS_PER_DOMAIN] = 2,
                             [RULE_HEADER_CHARS_PER_DOMAIN] = 27}};
    add_many(FIELD_TO, 4, "b", "x.test");       /* 4 × 9 characters and 3 joints */
    add_many(FIELD_CC, 3, "b", "y.test");       /* 3 × 9 and 2 joints */
    add_many(FIELD_BCC, 4, "b", "example.test"); /* own: in the fields alone */
    ck_assert_str_eq(objections(&limits),
                     "recipients_per_message 11/8; recipients_per_field to 4/3; "
                     "recipients_per_field bcc 4/3; recipients_per_domain x.test 4/2; "
                     "header_chars_per_domain x.test 42/27; recipients_per_domain y.test 3/2; "
                     "header_chars_per_domain y.test 31/27");
}
END_TEST

START_TEST(test_own_domains_have_no_domain_limits)
{
    struct limits limits = all_off;
    limits.of[RULE_RECIPIENTS_PER_DOMAIN] = limits.of[RULE_HEADER_CHARS_PER_DOMAIN] = 0;
    add_many(FIELD_TO, 60, "b", "example.test");
    add_many(FIELD_TO, 60, "b", "example.net");
    ck_assert_str_eq(objections(&limits), "");
    add(FIELD_TO, "b@mail.example.test");
    ck_assert_str_eq(objections(&limits), "recipients_per_domain mail.example.test 1/0; "
                                          "header_chars_per_domain mail.example.test 19/0");
}
END_TEST

START_TEST(test_exemption_leaves_the_rest)
{
    struct limits limits = all_off;
    limits.of[RULE_RECIPIENTS_PER_FIELD] = 3;
    add_many(FIELD_TO, 3, "b", "x.test");
    add_many(FIELD_TO, 9, "b", "exempt.test");
    add(FIELD_TO, "postmaster@x.test");
    ck_assert_str_eq(objections(&limits), "");
    add(FIELD_TO, "c@x.test");
    ck_assert_str_eq(objections(&limits), "recipients_per_field to 4/3");
}
END_TEST

START_TEST(test_zero_forbids_and_off_checks_nothing)
{
    struct limits zero = {{0}};
    ck_assert_str_eq(objections(&zero), "");
    add(FIELD_BCC, "b@x.test");
    ck_assert_str_eq(objections(&zero),
                     "recipients_per_message 1/0; recipients_per_field bcc 1/0; "
                     "recipients_per_domain x.test 1/0; header_chars_per_domain x.test 8/0");
    add_many(FIELD_TO, 999, "b", "x.test");
    ck_assert_str_eq(objections(&all_off), "");
}
END_TEST

/* The ceiling of a submission: counted exactly, and one objection for each domain. */
START_TEST(test_many_domains)
{
    struct limits limits = all_off;
    const struct objection *list;
    limits.of[RULE_RECIPIENTS_PER_DOMAIN] = 1;
    for (int i = 0; i < SUBMISSION_MAX_RECIPIENTS; i++)
        add((enum field)(i % FIELD_COUNT), arena_printf(arena, "b%d@d%d.test", i, i % 4000));
    struct facts facts = count();
    ck_assert_uint_eq(facts.recipients, SUBMISSION_MAX_RECIPIENTS);
    ck_assert_uint_eq(facts.off_domain, SUBMISSION_MAX_RECIPIENTS);
    ck_assert_uint_eq(facts.domain_count, 4000);
    ck_assert_uint_eq(rules_check(arena, &limits, &facts, &list), 4000);
    for (size_t i = 0; i < 4000; i++)
        ck_assert_uint_eq(list[i].count, i < 2000 ? 3 : 2);
}
END_TEST

/* ---- the table -------------------------------------------------------------------- */

START_TEST(test_names)
{
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        ck_assert_int_eq(rule_by_name(rule_table[rule].name), rule);
        ck_assert_int_eq(rule_table[rule].over_time, rule >= RULE_FIRST_OVER_TIME);
    }
    ck_assert_int_eq(rule_by_name("messages_per_da"), -1);
    ck_assert_int_eq(rule_by_name("Messages_per_day"), -1);
    ck_assert_int_eq(rule_by_name(""), -1);
}
END_TEST

START_TEST(test_histories)
{
    char name[HISTORY_NAME_SIZE], key[HISTORY_NAME_SIZE];
    ck_assert_str_eq(history_name(SUBJECT_IP, CHANNEL_WEBMAIL, "192.0.2.1", name), "192.0.2.1");
    ck_assert_str_eq(history_name(SUBJECT_IP, CHANNEL_SMTP, "192.0.2.1", name), "192.0.2.1 smtp");
    ck_assert(!history_is_shared(SUBJECT_IP, CHANNEL_WEBMAIL, CHANNEL_SMTP));
    ck_assert(history_is_shared(SUBJECT_MAILBOX, CHANNEL_WEBMAIL, CHANNEL_SMTP));
    static const char *const keys[SUBJECT_COUNT] = {
        [SUBJECT_MAILBOX] = "john smtp@smtp.example.test", [SUBJECT_IP] = "2001:db8::/64"};
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            const char *made = history_name((enum subject)subject, (enum channel)channel,
                                            keys[subject], name);
            ck_assert_ptr_null(
                history_name((enum subject)subject, (enum channel)channel, NULL, name));
            if (made == NULL) /* it counts in none */
                continue;
            enum channel found = history_channel((enum subject)subject, made, key);
            ck_assert_str_eq(key, keys[subject]);
            ck_assert(history_is_shared((enum subject)subject, (enum channel)channel, found));
        }
}
END_TEST

START_TEST(test_names_of_outcomes)
{
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        ck_assert_int_eq(outcome_by_name(outcome_names[outcome]), outcome);
    ck_assert_int_eq(outcome_by_name("held"), OUTCOME_REJECTED); /* as versions before 0.2 wrote it */
    ck_assert_int_eq(outcome_by_name("other"), -1);
    ck_assert_int_eq(outcome_by_name(""), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rules");
    TCase *cases = tcase_create("rules");
    tcase_add_loop_test(cases, test_where_an_address_leads, 0, countof(routes));
    tcase_add_test(cases, test_names_of_outcomes);
    tcase_add_test(cases, test_copies_by_smtp);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, test_counting, 0, countof(countings));
    tcase_add_test(cases, test_counting_is_the_definition);
    tcase_add_loop_test(cases, test_limit_and_one_more, 0, countof(limits_of_message));
    tcase_add_test(cases, test_all_at_once);
    tcase_add_test(cases, test_own_domains_have_no_domain_limits);
    tcase_add_test(cases, test_exemption_leaves_the_rest);
    tcase_add_test(cases, test_zero_forbids_and_off_checks_nothing);
    tcase_add_test(cases, test_many_domains);
    tcase_add_test(cases, test_names);
    tcase_add_test(cases, test_histories);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
