"""A store that is gone, silent, slow or full: the configured answer in time, one line in the
log, and work that goes on by itself."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import fastcgi
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people, post_params
from programs import PATIENCE, RedisServer, eventually, free_port

OWN = "colleague@example.test"
# Seconds. A machine that is busy with other tests may let us wait for the processor, and a store that
# answers may need some of the timeout.
TIMEOUT, MARGIN = 1, 10
SHORT = {"store": {"timeout": f"{TIMEOUT}s"}}
ALLOW = {"store": {"timeout": f"{TIMEOUT}s", "on_failure": "allow", "emergency": "3"}}
COMPLAINT = r'level=(warning|error) msg="?store '


def timed(action):
    began = time.monotonic()
    answer = action()
    assert time.monotonic() - began < TIMEOUT + MARGIN
    return answer


def refused(answer):
    assert answer.status == 503, answer
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert 1 <= int(answer.headers["retry-after"]) <= 600
    members = answer.json
    assert members["status"] == 503
    assert members["detail"]
    assert "sqlite" not in answer.body.decode().lower()
    assert "redis" not in answer.body.decode().lower()


def works_again(sender):
    eventually(lambda: sender.send([OWN]).status == 200, "the guard works again")


class Trouble:
    """Watches the log for complaints about the store."""

    def __init__(self, guard):
        self.log, self.start = guard.log, len(guard.log.all)

    def expect(self, count):
        if count > 0:
            self.log.wait(COMPLAINT, self.start, count)
        assert len(self.log.matching(COMPLAINT, self.start)) == count


@contextlib.contextmanager
def broken(break_it, mend_it):
    break_it()
    try:
        yield
    finally:
        mend_it()


def outage(guard, sender, break_it, mend_it, requests=3):
    """The course of every failure, for any way to fail."""
    for _ in range(3):
        sender.admitted([OWN])
    trouble = Trouble(guard)
    lost = [sender.body(["lost@x.test"]) for _ in range(requests)]
    with broken(break_it, mend_it):
        for body in lost:
            refused(timed(lambda: sender.endpoint.post(body)))
        trouble.expect(1)
    works_again(sender)
    # Nothing that was answered with 503 has counted, and nothing was forgotten.
    assert (sender.used(), sender.used("off_domain_per_day")) == (4, 0)
    for body in lost:
        assert sender.endpoint.post(body).status == 200
    assert sender.used("off_domain_per_day") == requests
    trouble.expect(1)
    with broken(break_it, mend_it):
        refused(timed(lambda: sender.send([OWN])))
        trouble.expect(2)
    works_again(sender)
    assert sender.used() == 5 + requests
    trouble.expect(2)


@pytest.mark.sanitized
def test_gone(store, start, sender_at):
    guard = start(store, SHORT)
    outage(guard, sender_at(guard), store.take_away, store.bring_back)


@pytest.mark.sanitized
def test_silent(store, start, sender_at):
    """SQLite locked by another process; Redis stopped in the middle."""
    guard = start(store, SHORT)
    outage(guard, sender_at(guard), store.silence, store.speak)


def test_redis_does_not_count_late(redis_store, start, sender_at):
    """What waited in a stopped server's socket must not be counted when it wakes."""
    guard = start(redis_store, SHORT)
    with Endpoint(guard) as endpoint:
        senders = [Sender(endpoint, new_mailbox(), new_ip()) for _ in range(4)]
        for sender in senders:
            sender.admitted([OWN])
        with broken(redis_store.silence, redis_store.speak):
            for sender in senders:
                refused(timed(lambda: sender.send(["late@x.test"])))
        works_again(Sender(endpoint, new_mailbox(), new_ip()))
        for sender in senders:
            assert (sender.used(), sender.used("off_domain_per_day")) == (1, 0)


def test_redis_slow(redis_store, start, sender_at):
    """Every answer later than the timeout."""
    guard = start(redis_store, SHORT)
    sender = sender_at(guard)
    sender.admitted([OWN])
    redis_store.server.command("CLIENT", "PAUSE", "5000", "ALL")
    refused(timed(lambda: sender.send(["late@x.test"])))
    refused(timed(lambda: sender.send(["late@x.test"])))
    works_again(sender)
    assert sender.used("off_domain_per_day") == 0


@pytest.mark.sanitized
def test_redis_full(redis_store, start, sender_at):
    guard = start(redis_store, SHORT)
    sender = sender_at(guard)
    sender.admitted([OWN])
    trouble = Trouble(guard)
    redis_store.server.command("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):
        refused(timed(lambda: sender.send(["lost@x.test"])))
    trouble.expect(1)
    redis_store.server.command("CONFIG", "SET", "maxmemory", "0")
    works_again(sender)
    assert (sender.used(), sender.used("off_domain_per_day")) == (2, 0)


@pytest.mark.sanitized
def test_redis_forgets_scripts_and_connections(redis_store, start, sender_at):
    sender = sender_at(start(redis_store))
    sender.admitted([OWN])
    redis_store.server.command("SCRIPT", "FLUSH")
    sender.admitted([OWN])
    redis_store.server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    sender.admitted([OWN])
    assert sender.used() == 3


def test_redis_killed_and_started_again_has_counted_all(redis_store, start, sender_at):
    guard = start(redis_store, SHORT)
    sender = sender_at(guard)
    for round_number in range(1, 4):
        for _ in range(5):
            sender.admitted([OWN])
        redis_store.server.command("CONFIG", "SET", "appendfsync", "always")
        redis_store.take_away()
        refused(timed(lambda: sender.send([OWN])))
        redis_store.bring_back()
        eventually(lambda: sender.send([OWN], dry_run=True).status == 200, "Redis is back")
        assert sender.used() == 5 * round_number


@pytest.fixture
def replica(redis_store, new_folder):
    """A replica of that store, which has all that is there."""
    port, master, replica = free_port(), redis_store.server, RedisServer(new_folder())
    master.command("CONFIG", "SET", "port", port, "repl-diskless-sync-delay", 0)
    replica.start()
    replica.command("CONFIG", "SET", "masteruser", "tester", "masterauth", "tester")
    replica.command("REPLICAOF", "127.0.0.1", port)
    # The master calls it online a moment before it has acknowledged anything; until then it is sent
    # nothing, and WAIT of a client that wrote nothing does not wait.
    def acknowledges():
        master.command("PUBLISH", "nobody", "hears this")
        return re.search(rb"slave0:.*,offset=[1-9]", master.command("INFO", "replication"))
    eventually(acknowledges, "the replica has all")
    yield replica
    replica.thaw()
    replica.stop()


def test_a_replica_that_does_not_acknowledge(redis_store, replica, start, sender_at):
    """What it may not have was not admitted; it counts once all the same, also when it comes again."""
    guard = start(redis_store, {"store": {"timeout": f"{TIMEOUT}s", "replicas": "1"}})
    sender = sender_at(guard)
    sender.admitted([OWN])
    trouble = Trouble(guard)
    replica.freeze()
    lost = [sender.body(["late@x.test"]) for _ in range(3)]
    for body in lost:
        refused(timed(lambda: sender.endpoint.post(body)))
    trouble.expect(1)
    assert sender.used() == 1 + len(lost)
    replica.thaw()
    for body in lost:
        eventually(lambda: sender.endpoint.post(body).status == 200, "the replica acknowledges")
    assert sender.used() == 1 + len(lost)


@pytest.mark.sanitized
def test_away_at_the_start(store, start, sender_at):
    """The guard starts while its store does not answer and takes it up when it does."""
    away, back = ((store.take_away, store.bring_back) if store.kind == "redis" else
                  (store.silence, store.speak))
    away()
    guard = start(store, SHORT)
    assert len(guard.log.wait("store does not answer at the start")) == 1
    sender = sender_at(guard)
    refused(timed(lambda: sender.send([OWN])))
    back()
    works_again(sender)
    assert sender.used() == 1


@pytest.mark.sanitized
def test_allow_admits_what_nobody_could_judge(store, start, sender_at):
    guard = start(store, ALLOW)
    sender = sender_at(guard)
    sender.admitted([OWN])
    trouble = Trouble(guard)
    with broken(store.silence, store.speak):
        for _ in range(3):
            answer = timed(lambda: sender.send(["lost@x.test"]))
            assert answer.status == 200, answer
            assert answer.json["verdict"] == "admit" and answer.json["unjudged"]
        refused(timed(lambda: sender.send(["more@x.test"])))
        # The limits of one message need no store.
        assert timed(lambda: sender.send(people(51, "x.test"))).status == 422
        trouble.expect(1)
    works_again(sender)
    guard.log.wait('msg="what was admitted without the store is counted" messages=3')
    assert (sender.used(), sender.used("off_domain_per_day")) == (5, 3)


@pytest.mark.sanitized
def test_other_requests_say_so_too(store, start, sender_at):
    sender = sender_at(start(store, SHORT))
    sender.admitted(id="<sent@x.test>")
    with broken(store.silence, store.speak):
        refused(timed(lambda: sender.refund("<sent@x.test>")))
        refused(timed(lambda: sender.send(dry_run=True)))
        assert timed(lambda: sender.send(["nobody"])).status == 400
    eventually(lambda: sender.refund("<sent@x.test>").status in (200, 204), "refunded")
    assert sender.used() == 0


@pytest.mark.sanitized
def test_many_wait_no_longer_than_one(store, start, sender_at):
    """Those who wait for a silent store wait at the same time, not one after another."""
    guard = start(store, SHORT)
    sender = sender_at(guard)
    sender.admitted([OWN])
    connections = [fastcgi.Connection.to(guard.socket_path) for _ in range(16)]
    with broken(store.silence, store.speak):
        began = time.monotonic()
        for connection in connections:
            body = json.dumps(sender.body(["lost@x.test"])).encode()
            connection.send(fastcgi.encode(post_params(body), body))
        for connection in connections:
            assert connection.receive().status == 503
            connection.close()
        assert time.monotonic() - began < 2 * TIMEOUT + MARGIN
    works_again(sender)
    assert sender.used("off_domain_per_day") == 0


def private_tmpfs(folder):
    """A wrapper that runs a program with a small file system of its own at `folder`."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a small file system")
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", str(folder)],
                           capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    return ["unshare", "-m", "sh", "-c",
            f'mount -t tmpfs -o size=2m,mode=0755 none {folder} && exec "$0" "$@"']


def test_full_file_system(sqlite_store, start, sender_at):
    disk = sqlite_store.path.parent / "disk"
    disk.mkdir()
    wrapper = private_tmpfs(disk)
    sqlite_store.path = disk / "sendguard.db"
    sqlite_store.url = f"sqlite://{sqlite_store.path}"
    guard = start(sqlite_store, {"limits.webmail": {"messages_per_day": 1000000}}, wrapper=wrapper)
    sender = sender_at(guard)
    for _ in range(20):
        sender.admitted([OWN])
    trouble = Trouble(guard)
    # The guard's own view of its disk, from outside its mount namespace.
    filler = pathlib.Path(f"/proc/{guard.process.pid}/root{disk}/filler")
    with open(filler, "wb", buffering=0) as out:
        with pytest.raises(OSError):
            while True:
                out.write(bytes(4096))
    admitted = 20
    # What lies ready in the journal may be used up first; then every message is refused.
    for _ in range(5000):
        answer = timed(lambda: sender.send([OWN]))
        if answer.status == 503:
            break
        assert answer.status == 200
        admitted += 1
    refused(answer)
    refused(timed(lambda: sender.send([OWN])))
    trouble.expect(1)
    filler.unlink()
    works_again(sender)
    assert sender.used() == admitted + 1
    guard.stop()


@pytest.mark.sanitized
def test_no_new_database_beside_a_lost_one(sqlite_store, start, sender_at):
    """A database that is gone is missed; an empty one in its place would forget everything."""
    sender = sender_at(start(sqlite_store, SHORT))
    sender.admitted([OWN])
    sqlite_store.take_away()
    for _ in range(3):
        refused(timed(lambda: sender.send([OWN])))
    assert not sqlite_store.path.exists()
    sqlite_store.bring_back()
    works_again(sender)
    assert sender.used() == 2


def test_damaged_database(sqlite_store, start):
    guard = start(sqlite_store, SHORT)
    guard.stop()
    sqlite_store.path.write_bytes(b"This is no database at all.\n" * 1000)
    again = subprocess.run(guard.command(), stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=PATIENCE)
    assert again.returncode == 78
    assert "is no SQLite database" in again.stderr
    assert sqlite_store.path.read_bytes().startswith(b"This is no database")
