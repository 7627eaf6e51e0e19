"""Edges of the rolling windows, to the millisecond, with a clock that the test sets."""

import pytest

from clock import DAY, HOUR, SECOND, Clock
from endpoint import crowd, people, rules, spread, window

OWN = "colleague@example.test"
REFUSE = {"on_limit": {"messages_per_day": "refuse", "off_domain_per_day": "refuse"}}


@pytest.fixture
def clock(folder):
    return Clock(folder)


@pytest.fixture
def sender(store, start, sender_at, clock):
    settings = dict(REFUSE, **{"limits.webmail": {"messages_per_hour": 400}})
    return sender_at(start(store, settings, environment=clock.environment))


def test_the_601st_waits_for_the_first_to_leave(sender, clock):
    began = clock.now_ms
    for number in range(600):
        if number in (300, 599):
            clock.advance(HOUR)
        sender.admitted([OWN])
    answer = sender.send([OWN])
    assert (answer.status, rules(answer)) == (429, ["messages_per_day"])
    assert int(answer.headers["retry-after"]) == 22 * 3600
    clock.set(began + DAY - 1)
    assert sender.send([OWN]).status == 429
    assert sender.used() == 600
    clock.set(began + DAY)
    assert sender.used() == 300
    sender.admitted([OWN])
    assert sender.used() == 301


@pytest.mark.parametrize("first, second, length, rule", [
    ([OWN], [OWN], HOUR, "messages_per_hour"),
    (crowd(250), ["bob@x.test"], HOUR, "off_domain_per_hour_per_ip"),
    (crowd(250), ["bob@x.test"], DAY, "off_domain_per_day"),
])
def test_each_window_lets_go_at_its_length(store, start, sender_at, clock, first, second, length,
                                           rule):
    limit = 1 if len(first) == 1 else len(first)
    settings = dict(REFUSE, **{"limits.webmail": {rule: limit}})
    sender = sender_at(start(store, settings, environment=clock.environment))
    clock.advance(777)
    began = clock.now_ms
    sender.admitted(**spread(first))
    clock.set(began + length - 1)
    answer = sender.send(second)
    assert (answer.status, rules(answer)) == (429, [rule])
    assert window(answer, rule)["used"] == limit
    clock.set(began + length)
    assert window(sender.admitted(second), rule)["used"] == 1


def test_retry_after_is_the_first_moment_that_fits(store, start, sender_at, clock):
    settings = dict(REFUSE, **{"limits.webmail": {"off_domain_per_day": 10}})
    sender = sender_at(start(store, settings, environment=clock.environment))
    for count in (4, 3, 3):
        sender.admitted(people(count, "x.test"))
        clock.advance(2 * HOUR)
    # Five need the first four and one of the three sent two hours later.
    answer = sender.send(people(5, "x.test"))
    assert answer.status == 429
    wait = int(answer.headers["retry-after"]) * 1000
    assert wait == DAY - 4 * HOUR
    clock.advance(wait - 1)
    assert sender.send(people(5, "x.test")).status == 429
    clock.advance(1)
    sender.admitted(people(5, "x.test"))


@pytest.mark.parametrize("back", [300 * SECOND, 10 * HOUR])
def test_a_clock_that_steps_back_forgets_nothing(sender, clock, back):
    for _ in range(3):
        sender.admitted(["bob@x.test"])
    clock.advance(-back)
    assert sender.used() == 3
    sender.admitted(["bob@x.test"])
    assert sender.used() == 4
    # Up to five minutes it is counted at the time of the newest before it, and leaves no earlier
    # than that one; beyond that the newest was stamped by a wrong clock, and all count from now.
    clock.advance((back if back <= 300 * SECOND else 0) + DAY - 1)
    assert sender.used() == 4
    clock.advance(1)
    assert sender.used() == 0


def test_a_charge_cannot_be_given_back_when_its_window_has_passed(sender, clock):
    sender.admitted(id="<old@x.test>")
    clock.advance(DAY)
    assert sender.refund("<old@x.test>").status == 404


def test_no_burst_at_midnight(sender, clock):
    """A calendar day would let twice the limit pass within minutes."""
    midnight = (clock.now_ms // DAY + 1) * DAY
    clock.set(midnight - 1)
    for _ in range(300):
        sender.admitted([OWN])
    clock.set(midnight + HOUR)
    for _ in range(300):
        sender.admitted([OWN])
    clock.set(midnight + 12 * HOUR)
    assert sender.send([OWN]).status == 429
