"""Suspension for volume: how it begins, what it holds, how it ends."""

import datetime

import pytest

from clock import DAY, HOUR, SECOND, Clock
from endpoint import people, rules

OWN = "colleague@example.test"


def until(answer):
    return datetime.datetime.fromisoformat(answer.json["suspension"]["until"]).timestamp() * SECOND


def suspended(sender, limit=2):
    """A user who has just sent one message too many; returns the answer to it."""
    for _ in range(limit):
        sender.admitted([OWN])
    answer = sender.send([OWN])
    assert answer.status == 403, answer
    return answer


LIMITS = {"limits.webmail": {"messages_per_day": 2, "off_domain_per_day": 5}}


@pytest.mark.sanitized
@pytest.mark.parametrize("rule", ["messages_per_day", "off_domain_per_day"])
def test_the_message_that_is_too_many_brings_it(store, start, sender_at, rule):
    sender = sender_at(start(store, LIMITS))
    if rule == "messages_per_day":
        answer = suspended(sender)
    else:
        sender.admitted(people(5, "x.test"))
        answer = sender.send(people(1, "x.test"))
    assert answer.status == 403
    assert rules(answer) == [rule]
    suspension = answer.json["suspension"]
    assert suspension["cause"] == "volume"
    assert suspension["until"] > suspension["since"]


@pytest.mark.sanitized
def test_it_holds_for_every_message(store, start, sender_at):
    guard = start(store, LIMITS)
    sender = sender_at(guard)
    suspended(sender)
    assert sender.send([OWN]).status == 403
    assert sender.send(["bob@x.test"]).status == 403
    assert sender.send(people(51, "x.test")).status == 403
    assert sender_at(guard, sender.mailbox).send([OWN]).status == 403
    sender_at(guard).admitted([OWN])


@pytest.mark.sanitized
def test_refused_attempts_are_counted(store, start, sender_at):
    sender = sender_at(start(store, LIMITS))
    suspended(sender)
    counts = [sender.send(people(number, "x.test")).json["suspension"]["attempts"]
              for number in range(1, 6)]
    assert counts == [1, 2, 3, 4, 5]
    dry = sender.send([OWN], dry_run=True).json["suspension"]
    assert dry["attempts"] == counts[-1]


@pytest.mark.sanitized
def test_it_survives_a_restart_and_a_crash(store, start, sender_at):
    guard = start(store, LIMITS)
    sender = sender_at(guard)
    end = until(suspended(sender))
    guard.stop()
    guard.start()
    answer = sender.send([OWN])
    assert (answer.status, until(answer)) == (403, end)
    guard.kill()
    guard.start()
    answer = sender.send([OWN])
    assert (answer.status, until(answer)) == (403, end)


@pytest.mark.sanitized
def test_raising_the_limit_does_not_lift_it(store, start, sender_at):
    guard = start(store, LIMITS)
    sender = sender_at(guard)
    suspended(sender)
    guard.reload({"limits.webmail": {"messages_per_day": 100}})
    assert sender.send([OWN]).status == 403


def test_the_tenth_attempt_moves_the_end(store, start, sender_at, folder):
    clock = Clock(folder)
    sender = sender_at(start(store, LIMITS, environment=clock.environment))
    first = suspended(sender)
    end = until(first)
    clock.advance(HOUR)
    for number in range(1, 11):
        answer = sender.send(people(number, "x.test"))
        assert answer.json["suspension"]["attempts"] == number
        assert until(answer) == (end if number < 10 else end + HOUR), number
    clock.advance(HOUR)
    assert until(sender.send(people(11, "x.test"))) == end + 2 * HOUR
    clock.set(end)
    assert sender.send([OWN], dry_run=True).status == 403
    clock.set(end + 2 * HOUR)
    sender.admitted([OWN])


@pytest.mark.sanitized
def test_what_is_tried_again_is_one_attempt(store, start, sender_at, folder):
    """By hand with the same recipients, or by itself with the same id."""
    clock = Clock(folder)
    sender = sender_at(start(store, LIMITS, environment=clock.environment))
    end = until(suspended(sender))
    clock.advance(HOUR)
    for again in range(20):
        answer = sender.send([OWN])
        assert (answer.json["suspension"]["attempts"], until(answer)) == (min(again, 1), end)
        answer = sender.send(["one@x.test", "two@x.test"])
        assert (answer.json["suspension"]["attempts"], until(answer)) == (1, end)
        answer = sender.send(["two@x.test", "one@x.test"])
        assert (answer.json["suspension"]["attempts"], until(answer)) == (1, end)
    for number in range(3, 23):
        answer = sender.send(people(number, "x.test"), id="the same draft")
        assert (answer.json["suspension"]["attempts"], until(answer)) == (2, end)


@pytest.mark.sanitized
def test_a_clock_that_ran_ahead(store, start, sender_at, folder):
    """400 days ahead, and back: suspended for a day, not until then, and one line of the log."""
    clock = Clock(folder)
    guard = start(store, LIMITS, environment=clock.environment)
    sender = sender_at(guard)
    clock.advance(400 * DAY)
    suspended(sender)
    clock.advance(-400 * DAY)
    for _ in range(3):
        answer = sender.send([OWN])
        assert answer.status == 403
    clock.advance(DAY + HOUR)
    sender.admitted([OWN])
    assert len(guard.log.wait("level=error.*a clock was wrong.*ahead_s=")) == 1


def test_it_ends_at_its_instant(store, start, sender_at, folder):
    clock = Clock(folder)
    sender = sender_at(start(store, LIMITS, environment=clock.environment))
    began = clock.now_ms
    suspended(sender)
    clock.set(began + DAY - 1)
    assert sender.send([OWN], dry_run=True).status == 403
    clock.set(began + DAY)
    sender.admitted([OWN])


def test_offences_take_longer_each_time(store, start, sender_at, folder):
    clock = Clock(folder)
    settings = dict(LIMITS, suspension={"volume": "1h, 24h, permanent"})
    sender = sender_at(start(store, settings, environment=clock.environment))
    end = until(suspended(sender))
    assert end == pytest.approx(clock.now_ms + HOUR, abs=SECOND)
    clock.advance(DAY)
    assert until(suspended(sender)) == pytest.approx(clock.now_ms + DAY, abs=SECOND)
    clock.advance(2 * DAY)
    answer = suspended(sender)
    assert answer.json["suspension"]["until"] is None
    assert "retry-after" not in answer.headers
    assert answer.json["retry_at"] is None
    clock.advance(300 * DAY)
    assert sender.send([OWN]).status == 403
