"""The policy service while its store is gone, silent or locked."""

import threading
import time

import pytest

from mta import DUNNO, Connection, User, both, question, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from test_store_failure import ALLOW, COMPLAINT, MARGIN, SHORT, TIMEOUT, broken, timed

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]

LATER = "451 4.7.1 Sending is not possible for a moment"


def outage(both, break_it, mend_it, settings=None):
    user, webmail = both(settings or SHORT)()
    assert user.end(1) == DUNNO
    before = len(user.mta.log.all)
    lost = [user.transaction() for _ in range(3)]
    with broken(break_it, mend_it):
        for transaction in lost:
            assert timed(lambda: user.end(2, **transaction)).startswith(LATER)
        # what needs no store goes on
        assert timed(lambda: user.end(901)).startswith("REJECT 5.7.1 The message was not sent ")
        assert timed(lambda: user.end(1, sasl_username="")) == DUNNO
        assert DUNNO == timed(lambda: user.connection.ask("RCPT", **user.members(
            recipient="p@x.test", instance="1.1")))
    eventually(lambda: user.end(1) == DUNNO, "the service works again")
    user.mta.log.wait('msg="store answers again"', before)
    assert len(user.mta.log.matching(COMPLAINT, before)) == 1
    # Nothing that was refused has counted; the same message counts when it comes again.
    assert eventually(lambda: webmail.used("off_domain_per_day"), "the webmail endpoint too") == 2
    for transaction in lost:
        assert user.end(2, **transaction) == DUNNO
    assert webmail.used("off_domain_per_day") == 2 + 2 * len(lost)


def test_gone(store, both):
    outage(both, store.take_away, store.bring_back)


def test_silent(store, both):
    """SQLite locked by another process; Redis stopped in the middle."""
    outage(both, store.silence, store.speak)


def test_allow(store, both):
    user, webmail = both(ALLOW)()
    assert user.end(1) == DUNNO
    with broken(store.silence, store.speak):
        for _ in range(3):
            assert timed(lambda: user.end(2)) == DUNNO
        assert timed(lambda: user.end(1)).startswith(LATER)
        assert timed(lambda: user.end(901)).startswith("REJECT 5.7.1 ")
    eventually(lambda: user.end(1) == DUNNO, "the service works again")
    eventually(lambda: webmail.used("off_domain_per_day") == 1 + 3 * 2 + 1, "all is counted")


def test_many_wait_no_longer_than_one(store, both):
    """Those who wait for a silent store wait at the same time, not one after another."""
    user, _ = both(SHORT)()
    assert user.end(1) == DUNNO
    connections = [Connection(user.mta) for _ in range(32)]
    with broken(store.silence, store.speak):
        began = time.monotonic()
        for connection in connections:
            connection.send(question("END-OF-MESSAGE", **user.members(
                recipient_count=1, **user.transaction())))
        for connection in connections:
            assert connection.answer().startswith(LATER)
            connection.close()
        assert time.monotonic() - began < 4 * TIMEOUT + MARGIN
    eventually(lambda: user.end(1) == DUNNO, "the service works again")


def test_redis_killed_under_load(redis_store, both):
    user, _ = both(SHORT)()
    users = [User(user.mta) for _ in range(8)]
    wrong = []

    def send(one):
        for _ in range(60):
            answer = one.end(1)
            if answer != DUNNO and not answer.startswith(LATER):
                wrong.append(answer)
        one.close()

    threads = [threading.Thread(target=send, args=(one,)) for one in users]
    for thread in threads:
        thread.start()
    redis_store.take_away()
    redis_store.bring_back()
    for thread in threads:
        thread.join()
    assert not wrong
    eventually(lambda: user.end(1) == DUNNO, "the service works again")
