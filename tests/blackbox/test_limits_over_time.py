"""The limits over time with their default numbers: the last message that fits, and the next."""

import ipaddress
import uuid

import pytest

from endpoint import crowd, people, rules, spread, window

OWN = "colleague@example.test"


def send_off_domain(senders, total):
    """Counts that many off-domain recipients, by as few messages as the limits of one allow."""
    senders = iter(senders)
    for start in range(0, total, 250):
        next(senders).admitted(**spread(crowd(min(250, total - start))))


def test_messages_per_day(sender):
    for number in range(600):
        answer = sender.admitted([OWN])
        assert window(answer, "messages_per_day")["used"] == number + 1
    answer = sender.send([OWN])
    assert answer.status == 403
    assert rules(answer) == ["messages_per_day"]
    assert (answer.json["reasons"][0]["limit"], answer.json["reasons"][0]["count"]) == (600, 601)
    assert sender.used() == 600


def test_off_domain_per_day(guard, sender_at):
    mailbox = sender_at(guard).mailbox
    # From three networks, so that the hourly limit of one IP stays out of it.
    senders = [sender_at(guard, mailbox) for _ in range(4)]
    send_off_domain(senders, 999)
    last = sender_at(guard, mailbox)
    answer = last.admitted(["bob@x.test", OWN])
    assert window(answer, "off_domain_per_day")["used"] == 1000
    answer = last.send(["bob@x.test"])
    assert answer.status == 403
    assert rules(answer) == ["off_domain_per_day"]


def test_off_domain_per_day_is_all_or_nothing(guard, sender_at):
    mailbox = sender_at(guard).mailbox
    send_off_domain([sender_at(guard, mailbox) for _ in range(4)], 999)
    sender = sender_at(guard, mailbox)
    assert sender.send(people(2, "x.test"), dry_run=True).status in (403, 429)
    assert sender.used("off_domain_per_day") == 999
    assert sender.used("messages_per_day") == 4
    sender.admitted(["bob@x.test"])


def test_own_domain_mail_does_not_count_as_off_domain(sender):
    sender.admitted([OWN, "other@example.net", "p@x.test", "P@X.TEST"], cc=["p@x.test"])
    assert sender.used("off_domain_per_day") == 1
    assert sender.used("off_domain_per_hour_per_ip") == 1
    assert sender.used("messages_per_day") == 1


def test_off_domain_per_hour_per_ip(guard, sender_at):
    ip = sender_at(guard).ip
    send_off_domain([sender_at(guard, ip=ip) for _ in range(2)], 499)
    sender = sender_at(guard, ip=ip)
    answer = sender.admitted(["bob@x.test"])
    assert window(answer, "off_domain_per_hour_per_ip")["used"] == 500
    answer = sender.send(["bob@x.test"])
    assert answer.status == 429
    assert rules(answer) == ["off_domain_per_hour_per_ip"]
    assert 3000 < int(answer.headers["retry-after"]) <= 3600
    assert answer.json["suspension"] is None
    sender.admitted([OWN])
    sender_at(guard, sender.mailbox).admitted(["bob@x.test"])


def test_an_ip_is_a_64_in_ipv6_and_itself_in_ipv4(guard, sender_at):
    network = ipaddress.ip_network("2001:db8:1:2::/64")
    hosts = [str(network[number]) for number in (1, 2**63, 2**64 - 1)]
    sender_at(guard, ip=hosts[0]).admitted(people(3, "x.test"))
    for host in hosts:
        assert sender_at(guard, ip=host).used("off_domain_per_hour_per_ip") == 3
    beside = str(network.network_address + 2**64)
    assert sender_at(guard, ip=beside).used("off_domain_per_hour_per_ip") == 0

    sender = sender_at(guard)
    sender.admitted(people(2, "x.test"))
    assert sender_at(guard, ip="::ffff:" + sender.ip).used("off_domain_per_hour_per_ip") == 2
    neighbour = str(ipaddress.ip_address(sender.ip) + 2**23)
    assert sender_at(guard, ip=neighbour).used("off_domain_per_hour_per_ip") == 0


def test_messages_per_hour_when_configured(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_hour": 300}})
    sender = sender_at(guard)
    for _ in range(300):
        sender.admitted([OWN])
    answer = sender.send([OWN])
    assert answer.status == 429
    assert rules(answer) == ["messages_per_hour"]
    assert answer.json["reasons"][0]["limit"] == 300
    assert 3000 < int(answer.headers["retry-after"]) <= 3600
    assert sender.used("messages_per_hour") == 300


def test_messages_per_hour_is_off_by_default(sender):
    answer = sender.admitted([OWN])
    assert "messages_per_hour" not in answer.headers["ratelimit-policy"]


def test_messages_per_hour_per_domain(store, start, sender_at):
    """A campaign that is spread over the mailboxes of a domain."""
    guard = start(store, {"limits.webmail": {"messages_per_hour_per_domain": 3}})
    domain = f"campaign{uuid.uuid4().hex}.test"
    for number in range(3):
        sender_at(guard, f"sender{number}@{domain}").admitted([OWN])
    last = sender_at(guard, f"sender3@{domain}")
    answer = last.send([OWN])
    assert answer.status == 429
    assert rules(answer) == ["messages_per_hour_per_domain"]
    reason = answer.json["reasons"][0]
    assert (reason["limit"], reason["count"]) == (3, 4)
    assert "from all mailboxes of your domain together" in reason["text"]
    assert 3000 < int(answer.headers["retry-after"]) <= 3600
    assert answer.json["suspension"] is None
    assert last.used("messages_per_day") == 0
    sender_at(guard, "bob@elsewhere.test").admitted(["bob@x.test"])


def test_messages_per_day_per_recipient(store, start, sender_at):
    """A program that reports the same thing again and again to somebody who does not read it."""
    guard = start(store, {"limits.webmail": {"messages_per_day_per_recipient": 3}})
    sender = sender_at(guard)
    for _ in range(3):
        sender.admitted(["bob@x.test"], cc=["Bob <BOB@x.test>", OWN])
    answer = sender.send(["eve@x.test"], cc=[OWN], bcc=["bob@x.test"], lang="de")
    assert answer.status == 429
    assert rules(answer) == ["messages_per_day_per_recipient"] * 2
    named = [(reason["recipient"], reason.get("field"), reason["limit"], reason["count"])
             for reason in answer.json["reasons"]]
    assert named == [(OWN, "cc", 3, 4), ("bob@x.test", "bcc", 3, 4)]
    assert "Nachricht 4 an bob@x.test (Bcc)" in answer.json["reasons"][1]["text"]
    assert "bob@x.test" in answer.json["message"]
    assert 85000 < int(answer.headers["retry-after"]) <= 86400
    assert answer.json["suspension"] is None and answer.json["can_send"] == "all"
    assert sender.used("messages_per_day") == 3
    admitted = sender.admitted(["eve@x.test"])
    assert window(admitted, "messages_per_day_per_recipient")["used"] == 1
    sender_at(guard).admitted(["bob@x.test"])


def test_no_recipient_is_in_the_store_or_the_log(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day_per_recipient": 1}})
    sender = sender_at(guard)
    sender.admitted(["unseen.reader@x.test"])
    answer = sender.send(["unseen.reader@x.test"])
    assert answer.status == 429 and "unseen.reader@x.test" in answer.json["message"]
    kept = repr(store.traces())
    assert sender.mailbox in kept
    assert "unseen" not in kept.lower()
    guard.log.wait("messages_per_day_per_recipient")
    assert "unseen" not in guard.log.text().lower()


def test_messages_per_day_per_recipient_are_given_back(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day_per_recipient": 1}})
    sender = sender_at(guard)
    first = sender.admitted(["bob@x.test"])
    assert sender.send(["bob@x.test"], dry_run=True).status == 429
    assert sender.refund(first.json["id"]).status == 200
    sender.admitted(["bob@x.test"])
    assert sender.send(["bob@x.test"]).status == 429


OVER_TIME = ["messages_per_day", "off_domain_per_day", "off_domain_per_hour_per_ip",
             "messages_per_hour", "messages_per_hour_per_domain", "messages_per_day_per_recipient"]


@pytest.mark.sanitized
@pytest.mark.parametrize("rule", OVER_TIME)
def test_limit_zero_forbids_and_does_not_suspend(store, start, sender_at, rule):
    guard = start(store, {"limits.webmail": {rule: 0}})
    sender = sender_at(guard)
    answer = sender.send(["bob@x.test"])
    assert answer.status == 429
    assert rules(answer) == [rule]
    assert answer.json["suspension"] is None
    assert answer.json["retry_at"] is None
    assert "retry-after" not in answer.headers
    if rule.startswith("off_domain"):
        sender.admitted([OWN])


@pytest.mark.sanitized
def test_limits_off_are_not_checked(store, start, sender_at):
    guard = start(store, {"limits.webmail": {rule: "off" for rule in OVER_TIME}})
    sender = sender_at(guard)
    for _ in range(5):
        sender.admitted(**spread(crowd(300)))
    assert "ratelimit" not in sender.admitted().headers


@pytest.mark.sanitized
@pytest.mark.parametrize("rule", ["off_domain_per_day", "off_domain_per_hour_per_ip"])
def test_a_message_that_never_fits_is_refused_and_does_not_suspend(store, start, sender_at, rule):
    guard = start(store, {"limits.webmail": {rule: 20}})
    sender = sender_at(guard)
    answer = sender.send(people(21, "x.test"))
    assert answer.status == 429
    assert rules(answer) == [rule]
    assert (answer.json["reasons"][0]["limit"], answer.json["reasons"][0]["count"]) == (20, 21)
    assert "split" in answer.json["message"].lower()
    assert answer.json["suspension"] is None
    assert answer.json["retry_at"] is None
    sender.admitted(people(20, "x.test"))


@pytest.mark.sanitized
def test_a_suspending_rule_can_be_told_to_refuse(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 2},
                          "on_limit": {"messages_per_day": "refuse"}})
    sender = sender_at(guard)
    sender.admitted([OWN])
    sender.admitted([OWN])
    answer = sender.send([OWN])
    assert answer.status == 429
    assert answer.json["suspension"] is None
    assert 80000 < int(answer.headers["retry-after"]) <= 86400


@pytest.mark.sanitized
def test_a_refusing_rule_can_be_told_to_suspend(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"off_domain_per_hour_per_ip": 2},
                          "on_limit": {"off_domain_per_hour_per_ip": "suspend"}})
    sender = sender_at(guard)
    sender.admitted(people(2, "x.test"))
    assert sender.send(["bob@x.test"]).status == 403
    assert sender.send([OWN]).status == 403


def test_two_windows_over_give_two_reasons(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_hour": 1,
                                             "off_domain_per_hour_per_ip": 1}})
    sender = sender_at(guard)
    sender.admitted(["bob@x.test"])
    answer = sender.send(["bob@x.test"])
    assert answer.status == 429
    assert sorted(rules(answer)) == ["messages_per_hour", "off_domain_per_hour_per_ip"]


@pytest.mark.sanitized
def test_exemptions_take_away_what_they_name_and_no_more(store, start, sender_at):
    guard = start(store, {
        "limits.webmail": {"recipients_per_domain": 2, "messages_per_day": 2},
        "exempt": {"recipient": ["archive@x.test", "@free.test"],
                   "mailbox": "newsletter@example.test"}})
    sender = sender_at(guard)
    answer = sender.admitted(["archive@x.test", *people(2, "x.test"), *people(10, "free.test")])
    assert window(answer, "off_domain_per_day")["used"] == 2
    assert sender.send(["archive@x.test", *people(3, "x.test")]).status == 422
    newsletter = sender_at(guard, "newsletter@example.test")
    for _ in range(4):
        newsletter.admitted([OWN])
