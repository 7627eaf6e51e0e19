"""Many at once: exactly one gets the last place, and what was admitted is what was counted."""

import collections
import json
import threading

import pytest

import fastcgi
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people, post_params, unique_id
from programs import PATIENCE, SANITIZED, Guard

OWN = "colleague@example.test"
CLIENTS = 16
ROUNDS = 10 if SANITIZED else 100


class Starters:
    """Clients that stand ready with all of a request sent but its last record."""

    def __init__(self, guard, count):
        self.connections = [fastcgi.Connection.to(guard.socket_path) for _ in range(count)]

    def close(self):
        for connection in self.connections:
            connection.close()

    def race(self, bodies):
        end = fastcgi.record(fastcgi.STDIN)
        for connection, body in zip(self.connections, bodies, strict=True):
            body = json.dumps(body).encode()
            connection.send(fastcgi.begin() + fastcgi.params(post_params(body))
                            + fastcgi.stream(fastcgi.STDIN, body))
        for connection in self.connections:
            connection.send(end)
        return [connection.receive() for connection in self.connections]


@pytest.fixture
def race(store, start):
    """race(bodies) sends them all at the same moment; one connection each, kept."""
    guard = start(store, {"limits.webmail": {"messages_per_day": 3, "off_domain_per_day": 10,
                                             "off_domain_per_hour_per_ip": 20}})
    starters = Starters(guard, CLIENTS)
    with Endpoint(guard) as endpoint:
        yield starters.race, endpoint
    starters.close()


def statuses(answers):
    return collections.Counter(answer.status for answer in answers)


@pytest.mark.sanitized
@pytest.mark.threads
def test_the_last_message_of_the_day(race):
    race, endpoint = race
    for _ in range(ROUNDS):
        sender = Sender(endpoint, new_mailbox(), new_ip())
        sender.admitted([OWN])
        sender.admitted([OWN])
        answers = race([sender.body([OWN]) for _ in range(CLIENTS)])
        assert statuses(answers) == {200: 1, 403: CLIENTS - 1}
        assert sender.used() == 3


@pytest.mark.sanitized
@pytest.mark.threads
def test_the_last_recipient_of_an_ip(race):
    """Different mailboxes, one IP: the refused ones leave no trace with their mailbox."""
    race, endpoint = race
    for _ in range(ROUNDS):
        ip = new_ip()
        senders = [Sender(endpoint, new_mailbox(), ip) for _ in range(CLIENTS)]
        for first in senders[:2]:
            first.admitted(people(9, "x.test"))
        answers = race([sender.body(["bob@x.test", "eve@x.test"]) for sender in senders[2:]]
                       + [sender.body(["bob@x.test", OWN]) for sender in senders[:2]])
        # Two places: one message with two recipients, or two of the others with one each.
        got = [2 if number < CLIENTS - 2 else 1
               for number, answer in enumerate(answers) if answer.status == 200]
        assert sum(got) == 2, statuses(answers)
        assert statuses(answers).keys() == {200, 429}
        counted = sum(sender.used("off_domain_per_day") for sender in senders)
        assert counted == 18 + 2
        assert senders[0].used("off_domain_per_hour_per_ip") == 20


@pytest.mark.sanitized
@pytest.mark.threads
def test_the_last_message_of_a_domain(store, start):
    """Of different mailboxes, each from an IP of its own; the refused ones count nowhere."""
    guard = start(store, {"limits.webmail": {"messages_per_hour_per_domain": 3}})
    starters = Starters(guard, CLIENTS)
    with Endpoint(guard) as endpoint:
        for number in range(ROUNDS):
            senders = [Sender(endpoint, f"sender{n}@round{number}.test", new_ip())
                       for n in range(CLIENTS)]
            senders[0].admitted(["bob@x.test"])
            answers = starters.race([sender.body(["bob@x.test"]) for sender in senders])
            assert statuses(answers) == {200: 2, 429: CLIENTS - 2}
            assert [sender.used() for sender in senders] == [
                (answer.status == 200) + (sender is senders[0])
                for sender, answer in zip(senders, answers)]
            again = senders[1].send(["bob@x.test"])
            assert again.status == 429 and again.json["reasons"][0]["count"] == 4
    starters.close()


@pytest.mark.sanitized
@pytest.mark.threads
def test_the_same_submission_at_once_counts_once(race):
    race, endpoint = race
    for _ in range(ROUNDS):
        sender = Sender(endpoint, new_mailbox(), new_ip())
        body = sender.body(["bob@x.test"])
        assert statuses(race([body] * CLIENTS)) == {200: CLIENTS}
        assert sender.used() == 1


class Load:
    """Clients that send as fast as they can until the guard is gone or they are told to stop."""

    def __init__(self, guard, mailboxes, clients=8):
        self.guard, self.mailboxes = guard, mailboxes
        self.lock = threading.Lock()
        self.admitted, self.unknown, self.others = [], [], []
        self.enough = threading.Event()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,))
                        for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        with Endpoint(self.guard) as endpoint:
            while not self.stopping.is_set():
                mailbox = self.mailboxes[number % len(self.mailboxes)]
                number += 1
                too_many = number % 5 == 0
                body = {"id": unique_id(), "mailbox": mailbox, "ip": None,
                        "to": people(51 if too_many else 2, "x.test")}
                try:
                    answer = endpoint.post(body)
                except (OSError, fastcgi.ConnectionClosed):
                    with self.lock:
                        if not too_many:
                            self.unknown.append(body)
                    return
                with self.lock:
                    if answer.status == 200:
                        self.admitted.append(body)
                    elif answer.status != 422:
                        self.others.append(answer)
                    if len(self.admitted) >= 400:
                        self.enough.set()

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.others, self.others[:3]

    def counted(self, guard):
        with Endpoint(guard) as endpoint:
            return {mailbox: Sender(endpoint, mailbox, new_ip()).used() for mailbox in self.mailboxes}

    def count_of(self, bodies):
        return {mailbox: sum(body["mailbox"] == mailbox for body in bodies)
                for mailbox in self.mailboxes}


UNLIMITED = {"limits.webmail": {"messages_per_day": 1000000, "off_domain_per_day": 1000000}}


def test_a_crash_under_load_loses_nothing(store, start):
    guard = start(store, UNLIMITED)
    for _ in range(3):
        load = Load(guard, [new_mailbox() for _ in range(5)])
        assert load.enough.wait(2 * PATIENCE)
        guard.kill()
        load.finish()
        guard.start()
        counted = load.counted(guard)
        certain, possible = load.count_of(load.admitted), load.count_of(load.unknown)
        for mailbox, used in counted.items():
            assert certain[mailbox] <= used <= certain[mailbox] + possible[mailbox]
        # Who got no answer asks again with the same id, and everything has counted once.
        with Endpoint(guard) as endpoint:
            for body in load.unknown:
                assert endpoint.post(body).status == 200
        assert load.counted(guard) == load.count_of(load.admitted + load.unknown)


def test_a_clean_end_under_load_answers_what_it_took(store, start):
    guard = start(store, UNLIMITED)
    load = Load(guard, [new_mailbox() for _ in range(5)])
    assert load.enough.wait(2 * PATIENCE)
    guard.stop()
    load.finish()
    guard.start()
    counted = load.counted(guard)
    certain, possible = load.count_of(load.admitted), load.count_of(load.unknown)
    for mailbox, used in counted.items():
        assert certain[mailbox] <= used <= certain[mailbox] + possible[mailbox]


@pytest.mark.sanitized
@pytest.mark.threads
def test_limits_change_under_load_and_keep_the_history(store, start):
    guard = start(store, UNLIMITED)
    load = Load(guard, [new_mailbox() for _ in range(5)], clients=4)
    for limit in (900000, 800000, 700000, 600000):
        guard.reload({"limits.webmail": {"messages_per_day": limit, "off_domain_per_day": limit}})
    assert load.enough.wait(2 * PATIENCE)
    load.finish()
    assert not load.unknown
    counted = load.counted(guard)
    assert counted == load.count_of(load.admitted)
    mailbox, used = max(counted.items(), key=lambda one: one[1])
    guard.reload({"limits.webmail": {"messages_per_day": used}})
    with Endpoint(guard) as endpoint:
        assert Sender(endpoint, mailbox, new_ip()).send([OWN]).status == 403
    guard.reload({"limits.webmail": {"messages_per_day": used + 1}})
    other = next(one for one in counted if one != mailbox)
    with Endpoint(guard) as endpoint:
        Sender(endpoint, other, new_ip()).admitted([OWN])


@pytest.mark.sanitized
@pytest.mark.threads
def test_two_guards_share_a_store(store, start, new_folder, sender_at):
    """Two processes on one store: a mailbox has one history."""
    first = start(store, {"limits.webmail": {"messages_per_day": 4}})
    second = Guard(new_folder(), store,
                   {"limits.webmail": {"messages_per_day": 4}}).start()
    try:
        here = sender_at(first)
        there = sender_at(second, here.mailbox)
        for sender in (here, there, here, there):
            sender.admitted([OWN])
        assert here.send([OWN]).status == 403
        assert there.send([OWN]).status == 403
    finally:
        second.stop()
