"""Connections of Postfix: many, idle, slow, broken or hostile. None may cost the others anything."""

import statistics
import time

import pytest

from mta import DUNNO, Connection, User, encode, question, start_mta  # noqa: F401 (fixture)
from programs import PATIENCE, SANITIZED, eventually

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]

CROWD = 200 if SANITIZED else 1000
AMPLE = {"limits.smtp": {"messages_per_day": 1000000, "off_domain_per_day": 1000000}}


@pytest.fixture
def mta(sqlite_store, start_mta):
    """Which store is behind it makes no difference to connections."""
    return start_mta(sqlite_store, AMPLE)


@pytest.fixture
def user(mta):
    user = User(mta)
    yield user
    user.close()


def message(user, count=1):
    return question("END-OF-MESSAGE",
                    **user.members(recipient_count=count, **user.transaction()))


def half(user):
    data = message(user)
    return data[:len(data) // 2]


def typical_ms(user, rounds=100):
    times = []
    for _ in range(rounds):
        began = time.monotonic()
        assert user.end(1) == DUNNO
        times.append(1000 * (time.monotonic() - began))
    return statistics.median(times)


def expect_judged(mta, count):
    mta.log.wait("msg=decision", count=count)
    assert len(mta.log.matching("msg=decision")) == count


def test_a_crowd_of_idle_and_slow_ones(mta, user):
    """Half of them say nothing, half are in the middle of a request and go on byte by byte."""
    typical_ms(user)
    alone = typical_ms(user)
    crowd = [Connection(mta) for _ in range(CROWD)]
    slow = [(connection, iter(message(user))) for connection in crowd[::2]]
    for connection, data in slow:
        for _ in range(300):
            next(data)
        connection.send(half(user))
    times = []
    for turn in range(10):
        for connection, data in slow[turn::10]:
            connection.send(b"x")
        times.append(typical_ms(user, 20))
    # The same, but for the noise of a machine on which other tests run.
    assert statistics.median(times) < 10 * alone + 50
    expect_judged(mta, 400)
    for connection in crowd:
        connection.close()
    mta.log.wait("it ended in the middle of a request", count=len(slow))
    assert user.end(1) == DUNNO


def test_many_that_ask_at_once(mta, user):
    crowd = [Connection(mta) for _ in range(CROWD)]
    for connection in crowd:
        connection.send(message(user))
    for connection in crowd:
        assert connection.answer() == DUNNO
        connection.close()
    expect_judged(mta, CROWD)


def test_in_pieces_of_one_byte(mta, user):
    with Connection(mta) as connection:
        for byte in message(user):
            connection.send(bytes([byte]))
        assert connection.answer() == DUNNO


def test_many_on_one_connection_without_waiting(mta, user):
    with Connection(mta) as connection:
        connection.send(b"".join(message(user) for _ in range(500)))
        for _ in range(500):
            assert connection.answer() == DUNNO
    expect_judged(mta, 500)


def test_answers_in_order(mta, user):
    """Those that are judged and those that are not."""
    requests = [message(user, 901 if number % 3 == 0 else 1) if number % 2 == 0
                else question("RCPT", **user.members(recipient="p@x.test", instance="9.9"))
                for number in range(300)]
    with Connection(mta) as connection:
        connection.send(b"".join(requests))
        for number in range(300):
            refused = number % 6 == 0
            assert connection.answer().startswith("REJECT 5.7.1 " if refused else DUNNO)


def test_who_takes_no_answers(mta, user):
    """Nothing more is read of him, others go on, and he gets all of them in the end."""
    with Connection(mta) as connection:
        connection.link.setblocking(False)
        request = question("RCPT", **user.members(recipient="p@x.test", instance="8.8"))
        data, sent, idle_since = request * 200, 0, time.monotonic()
        while time.monotonic() - idle_since < 1:
            try:
                sent += connection.link.send(data[sent % len(request):])
                idle_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            assert sent < 1 << 28, "everything is read, whoever takes it"
        assert user.end(1) == DUNNO
        connection.link.settimeout(PATIENCE)
        for _ in range(sent // len(request)):
            assert connection.answer() == DUNNO


def test_an_answer_for_who_has_nothing_more_to_say(mta, user):
    with Connection(mta) as connection:
        connection.send(message(user))
        connection.link.shutdown(1)
        assert connection.answer() == DUNNO
        assert connection.closed()


BROKEN = {
    "no protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no equals sign": b"request=smtpd_access_policy\nprotocol_state\n\n",
    "no name": b"request=smtpd_access_policy\n=END-OF-MESSAGE\n\n",
    "a NUL": b"request=smtpd_access_policy\nsender=a\0b\n\n",
    "another request": encode(request="junk", protocol_state="END-OF-MESSAGE",
                              sasl_username="a@example.test"),
    "no request": encode(protocol_state="END-OF-MESSAGE", sasl_username="a@example.test"),
    "an attribute twice": b"request=smtpd_access_policy\nsender=a@x.test\nsender=a@x.test\n\n",
    "no number": encode(request="smtpd_access_policy", protocol_state="END-OF-MESSAGE",
                        sasl_username="a@example.test", recipient_count="1x"),
    "a long line": b"request=smtpd_access_policy\nsender=" + b"x" * 5000,
    "a long request": b"request=smtpd_access_policy\n" + b"helo_name=mail\n" * 4400,
    "noise": bytes(range(1, 256)) * 20,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_request_closes_the_connection(mta, user, name):
    with Connection(mta) as connection:
        connection.send(BROKEN[name])
        assert connection.closed()
    lines = mta.log.wait("msg=\"connection closed\"")
    assert len(lines) == 1
    assert "level=warning" in lines[0] and "client=unix" in lines[0]
    assert 'why="a wrong request"' in lines[0] and "bytes=" in lines[0]
    assert user.end(1) == DUNNO
    expect_judged(mta, 1)


def test_what_came_before_a_broken_request_is_answered(mta, user):
    with Connection(mta) as connection:
        connection.send(message(user) + BROKEN["no equals sign"])
        assert connection.answer() == DUNNO
        assert connection.closed()


def test_who_goes_in_the_middle(mta, user):
    with Connection(mta) as connection:
        connection.send(half(user))
    mta.log.wait("client=unix why=\"it ended in the middle of a request\" bytes=[1-9]")
    assert user.end(1) == DUNNO
    expect_judged(mta, 1)


def test_who_goes_before_the_answer(mta, user):
    """The message is counted, as the mail server may have gone on with it."""
    for _ in range(20):
        with Connection(mta) as connection:
            connection.send(message(user))
    mta.log.wait("msg=decision", count=20)
    assert user.end(1) == DUNNO


@pytest.mark.skipif(SANITIZED, reason="needs a process with few descriptors of its own")
def test_no_more_descriptors(sqlite_store, start_mta):
    """New connections wait until others go; those that are there go on."""
    mta = start_mta(sqlite_store, wrapper=["prlimit", "--nofile=60:60"])
    user = User(mta)
    crowd = [Connection(mta) for _ in range(80)]
    mta.log.wait("cannot accept connections for now")
    assert user.end(1) == DUNNO
    for connection in crowd[:50]:
        connection.close()
    crowd[-1].send(message(user))
    assert crowd[-1].answer() == DUNNO
    assert len(mta.log.matching("cannot accept")) <= 3
    for connection in crowd[50:]:
        connection.close()
    user.close()


def test_memory_of_the_idle(mta, user):
    """Half a request each, and then nothing, for all of the crowd."""
    crowd = [Connection(mta) for _ in range(CROWD)]
    for connection in crowd:
        connection.send(half(user))
    eventually(lambda: user.end(1) == DUNNO, "answers")
    if not SANITIZED:
        assert mta.memory_peak_kb() < 64 * 1024
    for connection in crowd:
        connection.close()
