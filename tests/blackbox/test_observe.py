"""Observe mode: judge, log and count, refuse nobody."""

import pytest

from endpoint import people, rules

pytestmark = pytest.mark.sanitized

OWN = "colleague@example.test"
OBSERVE = {"guard": {"mode": "observe"},
           "limits.webmail": {"messages_per_day": 2, "off_domain_per_hour_per_ip": 20}}


@pytest.fixture
def sender(store, start, sender_at):
    return sender_at(start(store, OBSERVE))


def observed(answer, rule):
    assert answer.status == 200, answer
    assert answer.json["observed"] is True
    assert answer.json["verdict"] == "admit"
    assert rule in rules(answer)


def test_a_message_over_its_limits_passes(sender):
    observed(sender.send(people(51, "example.org")), "recipients_per_domain")


def test_limits_over_time_pass_and_count(sender):
    for _ in range(2):
        assert not sender.admitted([OWN]).json.get("observed")
    for _ in range(3):
        answer = sender.send([OWN])
        observed(answer, "messages_per_day")
        assert answer.json["suspension"] is None
    assert sender.used() == 5
    observed(sender.send(people(21, "x.test")), "off_domain_per_hour_per_ip")
    assert sender.used("off_domain_per_hour_per_ip") == 21


def test_errors_of_the_request_are_errors(sender):
    assert sender.send(["nobody"]).status == 400
    assert sender.send(mailbox=None).status == 401


def test_nobody_is_suspended_when_enforcement_begins(store, start, sender_at):
    guard = start(store, OBSERVE)
    sender = sender_at(guard)
    for _ in range(5):
        assert sender.send([OWN]).status == 200
    guard.reload({"guard": {"mode": "enforce"}, "limits.webmail": {"messages_per_day": 6}})
    sender.admitted([OWN])
    assert sender.send([OWN]).status == 403


def test_a_suspension_from_before_does_not_hold(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 1}})
    sender = sender_at(guard)
    sender.admitted([OWN])
    assert sender.send([OWN]).status == 403
    guard.reload({"guard": {"mode": "observe"}})
    answer = sender.send([OWN])
    assert (answer.status, answer.json["observed"]) == (200, True)
    assert answer.json["suspension"]["cause"] == "volume"
