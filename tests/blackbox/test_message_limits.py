"""The limits of one message, each at its limit and one above."""

import pytest

from endpoint import people, rules, spread

pytestmark = pytest.mark.sanitized

OWN = "example.test"


def reasons_of(answer, rule):
    return [reason for reason in answer.json["reasons"] if reason["rule"] == rule]


def refused(answer, rule):
    """The one reason for which a message was refused."""
    assert answer.status == 422, answer
    assert rules(answer) == [rule]
    return answer.json["reasons"][0]


def mixed(count):
    """Recipients that break no limit but the one of their number."""
    return [f"p{number}@d{number // 50}.test" for number in range(count)]


def test_recipients_per_message(guard, sender_at):
    # 300 off-domain recipients at a time are too many for one IP's hour: a user each.
    sender_at(guard).admitted(**spread(mixed(300)))
    fields = {"to": mixed(100), "cc": people(100, OWN, "c"), "bcc": people(100, OWN, "b")}
    sender_at(guard).admitted(**fields)
    fields["cc"] = fields["cc"] + ["one@more.test"]
    answer = sender_at(guard).send(**fields)
    assert answer.status == 422
    reason, = reasons_of(answer, "recipients_per_message")
    assert (reason["limit"], reason["count"]) == (300, 301)


def test_recipients_per_message_sums_the_fields(sender):
    """One address in two fields counts in both; twice in one field once."""
    same = people(100, OWN)
    sender.admitted(same + same, cc=same, bcc=same)
    answer = sender.send(people(101, OWN), cc=same, bcc=same)
    assert answer.status == 422
    assert reasons_of(answer, "recipients_per_message")[0]["count"] == 301


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_recipients_per_field(sender, field):
    fields = {"to": ["bob@outside.test"], field: people(100, OWN)}
    sender.admitted(**fields)
    fields[field] = people(101, OWN)
    reason = refused(sender.send(**fields), "recipients_per_field")
    assert (reason["field"], reason["limit"], reason["count"]) == (field, 100, 101)


def test_recipients_per_domain(sender):
    sender.admitted(people(50, "x.test"))
    reason = refused(sender.send(people(51, "x.test")), "recipients_per_domain")
    assert (reason["domain"], reason["limit"], reason["count"]) == ("x.test", 50, 51)
    for number in ("51", "50", "1"):
        assert number in reason["text"].replace("x.test", "")


def test_recipients_per_domain_over_all_fields(sender):
    thirty = people(30, "x.test")
    twenty = people(20, "x.test", "q")
    sender.admitted(thirty, cc=twenty, bcc=thirty)
    answer = sender.send(thirty, cc=twenty, bcc=["r@x.test"])
    assert refused(answer, "recipients_per_domain")["count"] == 51


def test_recipients_per_domain_compares_key_forms(sender):
    spellings = [f"P{number}@X.Test" for number in range(50)]
    sender.admitted(spellings, cc=people(50, "x.test"))
    german = [f"p{number}@bücher.test" for number in range(26)]
    ascii_form = [f"q{number}@XN--BCHER-KVA.test" for number in range(25)]
    reason = refused(sender.send(german + ascii_form), "recipients_per_domain")
    assert reason["count"] == 51


@pytest.mark.parametrize("domain", ["example.test", "example.net", "EXAMPLE.NET"])
def test_own_domains_and_equals_have_no_limit_per_domain(sender, domain):
    sender.admitted(people(100, domain, "a-rather-long-local-part-"))
    assert sender.used("off_domain_per_day") == 0


@pytest.mark.parametrize("domain", ["sub.example.test", "example.test.outside.test"])
def test_a_subdomain_is_another_domain(sender, domain):
    reason = refused(sender.send(people(51, domain)), "recipients_per_domain")
    assert reason["domain"] == domain


def header_chars(entries):
    """The recipients of one domain as the limit counts them."""
    return len(", ".join(entries))


def entries_of(total, written):
    """Recipients of x.test whose joined text has exactly `total` characters; written(n, text)
    writes number n with a name of that text."""
    entries = [written(number, "n" * 40) for number in range(20)]
    entries.append(written(20, "n" * (total - header_chars(entries + [written(20, "")]))))
    assert header_chars(entries) == total
    return entries


@pytest.mark.parametrize("name", ["N{}", "Ü{}ß", "𝒩{}漢", '"N, {}"'])
def test_header_chars_per_domain(sender, name):
    def written(number, text):
        return f"{name.format(text)} <p{number}@x.test>"

    sender.admitted(entries_of(2000, written))
    reason = refused(sender.send(entries_of(2001, written)), "header_chars_per_domain")
    assert (reason["domain"], reason["limit"], reason["count"]) == ("x.test", 2000, 2001)


def test_header_chars_count_what_encoded_words_say(sender):
    """=?utf-8?Q?=C3=A4?= is one character, not seventeen."""
    def plain(number, text):
        return f"ä{text} <p{number}@x.test>"

    def encoded(number, text):
        return f"=?utf-8?Q?=C3=A4{text}?= <p{number}@x.test>"

    for total, status in ((2000, 200), (2001, 422)):
        entries = entries_of(total, plain)
        as_sent = [encoded(number, entry.partition(" ")[0][1:])
                   for number, entry in enumerate(entries)]
        answer = sender.send(as_sent)
        assert answer.status == status, answer
    assert answer.json["reasons"][0]["count"] == 2001


def test_header_chars_join_the_fields(sender):
    entries = entries_of(2000, lambda number, text: f"N{text} <p{number}@x.test>")
    sender.admitted(entries[:7], cc=entries[7:14], bcc=entries[14:])
    answer = sender.send(entries[:7], cc=entries[7:14], bcc=entries[14:] + ["p20@x.test"])
    assert refused(answer, "header_chars_per_domain")["count"] == 2012


def test_all_broken_rules_at_once(sender):
    long_names = [f"{'N' * 60} <p{number}@y.test>" for number in range(30)]
    answer = sender.send(people(101, OWN), cc=people(51, "x.test") + people(52, "z.test"),
                         bcc=long_names + people(20, "w.test"))
    assert answer.status == 422
    named = {(reason["rule"], reason.get("field") or reason.get("domain"))
             for reason in answer.json["reasons"]}
    assert named == {("recipients_per_field", "to"), ("recipients_per_field", "cc"),
                     ("recipients_per_domain", "x.test"), ("recipients_per_domain", "z.test"),
                     ("header_chars_per_domain", "y.test")}


def test_a_refused_message_counts_nowhere(sender):
    for _ in range(3):
        assert sender.send(people(51, "x.test")).status == 422
    assert sender.used("messages_per_day") == 0
    assert sender.used("off_domain_per_day") == 0
    assert sender.used("off_domain_per_hour_per_ip") == 0


MESSAGE_RULES = {
    "recipients_per_message": {"to": ["bob@x.test"]},
    "recipients_per_field": {"to": ["bob@x.test"]},
    "recipients_per_domain": {"to": ["bob@x.test"]},
    "header_chars_per_domain": {"to": ["bob@x.test"]},
}


@pytest.mark.parametrize("rule", MESSAGE_RULES)
def test_limit_zero_forbids(store, start, sender_at, rule):
    guard = start(store, {"limits.webmail": {rule: 0}})
    refused(sender_at(guard).send(["bob@x.test"]), rule)


def test_limits_off_are_not_checked(store, start, sender_at):
    guard = start(store, {"limits.webmail": {rule: "off" for rule in MESSAGE_RULES}})
    sender = sender_at(guard)
    sender.admitted([f"{'N' * 60} <p{number}@x.test>" for number in range(400)])
