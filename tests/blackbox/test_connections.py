"""Web servers that are slow, broken or many. Few threads serve them all, so none of these may hold
one for long."""

import json
import os
import time

import pytest

import fastcgi
from endpoint import Endpoint, post_params, server_params, unique_id
from programs import PATIENCE, SANITIZED, eventually

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]

SEVERAL = 12  # more than there are threads
SOON, END = 8, 20  # seconds; who waits for a client that stalls waits for ten, for a silent one longer


@pytest.fixture
def guard(sqlite_store, start):
    """Which store is behind it makes no difference to connections."""
    return start(sqlite_store)


def connect(guard):
    return fastcgi.Connection.to(guard.socket_path, PATIENCE)


def parts(sender, keep=True, claimed=None, **members):
    """The head of a request, and its body, as bytes to be sent in any way."""
    body = json.dumps(sender.body(**members)).encode()
    pairs = post_params(body)
    if claimed is not None:
        pairs["CONTENT_LENGTH"] = claimed
    return fastcgi.begin(keep) + fastcgi.params(pairs), body


def whole(sender, **members):
    head, body = parts(sender, **members)
    return head + fastcgi.stream(fastcgi.STDIN, body) + fastcgi.record(fastcgi.STDIN)


def test_many_kept_connections(guard, sender_at):
    began = time.monotonic()
    sender = sender_at(guard)
    endpoints = [Endpoint(guard, PATIENCE) for _ in range(32)]
    for _ in range(3):
        for endpoint in endpoints:
            assert endpoint.post(sender.body()).status == 200
            assert time.monotonic() - began < PATIENCE
    for endpoint in endpoints:
        endpoint.close()
    assert sender.used() == 96


def test_all_at_once_on_kept_connections(guard, sender_at):
    began = time.monotonic()
    sender = sender_at(guard)
    connections = [connect(guard) for _ in range(32)]
    for connection in connections:
        connection.send(whole(sender))
    for connection in connections:
        assert connection.receive().status == 200
        assert time.monotonic() - began < PATIENCE
    for connection in connections:
        connection.close()


def test_a_kept_connection_is_kept(guard, sender_at):
    sender = sender_at(guard)
    with connect(guard) as connection:
        for _ in range(200):
            connection.send(whole(sender))
            assert connection.receive().status == 200
    assert sender.used() == 200


def test_without_keep_conn_the_guard_closes(guard, sender_at):
    with connect(guard) as connection:
        connection.send(whole(sender_at(guard), keep=False))
        assert connection.receive().status == 200
        assert connection.closed_by_peer()


def answered_soon(guard, sender_at):
    began = time.monotonic()
    sender_at(guard).admitted()
    assert time.monotonic() - began < SOON


def test_silent_connections(guard, sender_at):
    silent = [connect(guard) for _ in range(300)]
    answered_soon(guard, sender_at)
    for connection in silent:
        connection.close()


def test_stalled_requests_do_not_hold_the_guard(guard, sender_at):
    head, _ = parts(sender_at(guard), claimed=1000)
    beginnings = [fastcgi.begin(), head[:-20], head,
                  head + fastcgi.stream(fastcgi.STDIN, b'{"to"')]
    stalled = [connect(guard) for _ in beginnings * SEVERAL]
    for connection, beginning in zip(stalled, beginnings * SEVERAL):
        connection.send(beginning)
    for _ in range(5):
        answered_soon(guard, sender_at)
    for connection in stalled:
        connection.close()


def test_large_requests_beside_small_ones(guard, sender_at):
    """Threads aside read the large ones; the connection serves both."""
    sender = sender_at(guard)
    with connect(guard) as one, connect(guard) as another:
        for size in (10, 30_000, 40_000, 500_000, 10, 3_000_000, 10):
            one.send(whole(sender, subject="x" * size))
            another.send(whole(sender))
            assert another.receive().status == 200
            assert one.receive().status == 200
    assert sender.used() == 14


def test_answers_larger_than_a_buffer(sqlite_store, start, sender_at):
    """A small request can break thousands of rules: its answer waits for its reader, others do not
    wait for it, and the connection is kept."""
    guard = start(sqlite_store, {"limits.webmail": {"recipients_per_domain": 0}})
    sender = sender_at(guard)
    with connect(guard) as one, connect(guard) as unread:
        for connection in (unread, one):
            connection.send(whole(sender, to=[f"a@{number:x}.test" for number in range(1500)]))
        time_began = time.monotonic()
        sender_at(guard).admitted(["friend@example.test"])
        assert time.monotonic() - time_began < SOON
        answer = one.receive()
        assert answer.status == 422 and len(answer.body) > 262144
        assert len(answer.json["reasons"]) >= 1500
        one.send(whole(sender, to=["friend@example.test"]))
        assert one.receive().status == 200
    assert sender.used() == 1


def test_answers_that_nobody_takes_hold_up_no_end(sqlite_store, start, sender_at):
    guard = start(sqlite_store, {"limits.webmail": {"recipients_per_domain": 0}})
    sender = sender_at(guard)
    unread = [connect(guard) for _ in range(SEVERAL)]
    for connection in unread:
        connection.send(whole(sender, to=[f"a@{number:x}.test" for number in range(1500)]))
    guard.log.wait("msg=decision", count=SEVERAL)
    guard.stop()
    for connection in unread:
        connection.close()


@pytest.mark.skipif(SANITIZED, reason="needs a process with few descriptors of its own")
def test_no_more_descriptors(sqlite_store, start, sender_at):
    """New connections wait until there are some again; the others go on."""
    guard = start(sqlite_store, wrapper=["prlimit", "--nofile=60:60"])
    sender = sender_at(guard)
    with connect(guard) as first:
        first.send(whole(sender))
        assert first.receive().status == 200
        crowd = [connect(guard) for _ in range(100)]
        guard.log.wait("cannot accept connections for now")
        next_request_works(first, sender)
        crowd[-1].send(whole(sender))
        for connection in crowd[:-1]:
            connection.close()
        assert crowd[-1].receive().status == 200
        crowd[-1].close()
    assert sender.used() == 3


def test_bytes_that_trickle_in(guard, sender_at):
    sender = sender_at(guard)
    data = whole(sender)
    with connect(guard) as connection:
        for at in range(len(data)):
            connection.send(data[at:at + 1])
        assert connection.receive().status == 200
    assert sender.used() == 1


def test_body_in_many_records(guard, sender_at):
    sender = sender_at(guard)
    head, body = parts(sender)
    with connect(guard) as connection:
        connection.send(head)
        for at in range(len(body)):
            connection.send(fastcgi.record(fastcgi.STDIN, body[at:at + 1]))
        connection.send(fastcgi.record(fastcgi.STDIN))
        assert connection.receive().status == 200
    assert sender.used() == 1


def not_admitted(connection):
    """Whether a request that broke off got an error, or no answer at all."""
    try:
        return connection.receive().status >= 400
    except (fastcgi.ConnectionClosed, fastcgi.NoAnswer):
        return True


@pytest.mark.parametrize("end_of_stream", [False, True])
def test_a_short_body_never_counts(guard, sender_at, end_of_stream):
    """The web server promised more: the client, or the server, has gone in between. A body that
    is complete by its own syntax would pass for a message nobody finished."""
    sender = sender_at(guard)
    for _ in range(5):
        head, body = parts(sender, claimed=10000)
        with connect(guard) as connection:
            connection.send(head + fastcgi.stream(fastcgi.STDIN, body))
            if end_of_stream:
                connection.send(fastcgi.record(fastcgi.STDIN))
                assert not_admitted(connection)
    form = f"mailbox={sender.mailbox}&to=a%40x.test".encode()
    with connect(guard) as connection:
        pairs = post_params(form, "application/x-www-form-urlencoded")
        pairs["CONTENT_LENGTH"] = len(form) + 1
        connection.send(fastcgi.encode(pairs, form))
        assert not_admitted(connection)
    assert sender.used() == 0


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999", "0x10", "1 2"])
def test_a_content_length_that_is_none(guard, sender_at, length):
    sender = sender_at(guard)
    with connect(guard) as connection:
        connection.send(whole(sender, claimed=length))
        assert connection.receive().status in (400, 413)
    assert sender.used() == 0


def next_request_works(connection, sender):
    connection.send(whole(sender))
    assert connection.receive().status == 200


@pytest.mark.parametrize("content_type, start_of_body, size, status", [
    ("application/json", b"x", 9_000, 400), ("application/json", b"x", 6_000_000, 400),
    ("application/json", b'{"x": "', 6_000_000, 413), ("text/plain", b"", 9_000, 415),
    ("text/plain", b"", 6_000_000, 415), ("multipart/form-data", b"", 100_000, 400),
    ("application/x-www-form-urlencoded", b"to=%zz&x=", 3_000_000, 400),
])
def test_a_body_nobody_wants_leaves_the_connection_in_step(guard, sender_at, content_type,
                                                           start_of_body, size, status):
    sender = sender_at(guard)
    body = start_of_body + b"y" * size
    with connect(guard) as connection:
        for _ in range(3):
            answer = connection.request(post_params(body, content_type), body)
            assert answer.status == status, answer
            next_request_works(connection, sender)


def test_other_methods_with_a_body(guard, sender_at):
    sender = sender_at(guard)
    body = b"x" * 200_000
    with connect(guard) as connection:
        for method in ("GET", "PUT", "DELETE"):
            pairs = server_params(method, CONTENT_TYPE="text/plain", CONTENT_LENGTH=len(body))
            assert connection.request(pairs, body).status in (404, 405)
            next_request_works(connection, sender)


@pytest.mark.parametrize("cut", ["in the params", "in the body", "at the end"])
def test_abort_never_counts(guard, sender_at, cut):
    sender = sender_at(guard)
    abort = fastcgi.record(fastcgi.ABORT_REQUEST)
    for _ in range(SEVERAL):
        head, body = parts(sender)
        with connect(guard) as connection:
            if cut == "in the params":
                connection.send(head[:len(fastcgi.begin())] + abort)
            elif cut == "in the body":
                connection.send(head + fastcgi.stream(fastcgi.STDIN, body[:10]) + abort)
            else:
                connection.send(head + fastcgi.stream(fastcgi.STDIN, body) + abort)
    sender_at(guard).admitted()
    assert sender.used() == 0


def test_client_gone_before_the_answer(guard, sender_at):
    """Complete, so it counts; and asking again with the same id counts nothing more."""
    sender = sender_at(guard)
    for _ in range(20):
        identifier = unique_id()
        connection = connect(guard)
        connection.send(whole(sender, id=identifier))
        connection.close()
        sender.admitted(id=identifier)
    assert sender.used() == 20


MALFORMED = {
    "zeros": bytes(64),
    "text": b"POST /sendguard/submissions HTTP/1.1\r\nHost: x\r\n\r\n",
    "random": os.urandom(4096),
    "version 9": b"\x09" + fastcgi.begin()[1:],
    "unknown type": fastcgi.record(77, b"?" * 20),
    "stdin first": fastcgi.record(fastcgi.STDIN, b"x" * 50),
    "end first": fastcgi.record(fastcgi.END_REQUEST, bytes(8)),
    "unknown role": fastcgi.begin(role=9) + fastcgi.params({}),
    "get values": fastcgi.record(fastcgi.GET_VALUES, b"\x0e\x00FCGI_MAX_CONNS", 0),
    "short begin": fastcgi.record(fastcgi.BEGIN_REQUEST, b"\x00\x01"),
    "begin twice": fastcgi.begin() + fastcgi.begin(),
    "params of nothing": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\x05\x05abc")
                         + fastcgi.record(fastcgi.PARAMS),
    "no params": fastcgi.begin() + fastcgi.record(fastcgi.PARAMS) + fastcgi.record(fastcgi.STDIN),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_records(guard, sender_at, name):
    for _ in range(SEVERAL):
        with connect(guard) as connection:
            try:
                connection.send(MALFORMED[name])
            except (BrokenPipeError, ConnectionResetError):
                pass
    sender_at(guard).admitted()
    assert guard.running


@pytest.mark.parametrize("name, value", [
    ("REQUEST_URI", "x" * 60_000), ("QUERY_STRING", "dry_run=" + "1" * 60_000),
    ("CONTENT_TYPE", "multipart/form-data; boundary=" + "b" * 60_000),
    ("REMOTE_USER", "u" * 60_000), ("HTTP_X", "y" * 60_000), ("REQUEST_METHOD", "M" * 60_000),
], ids=lambda text: text[:20])
def test_long_parameters(guard, sender_at, name, value):
    pairs = post_params(b"{}", trusted=False, REMOTE_USER="a@example.test") | {name: value}
    with connect(guard) as connection:
        assert 200 <= connection.request(pairs, b"{}").status < 500
        next_request_works(connection, sender_at(guard))


@pytest.mark.parametrize("missing", ["REQUEST_METHOD", "REQUEST_URI", "CONTENT_TYPE",
                                     "CONTENT_LENGTH", "REMOTE_ADDR", "QUERY_STRING"])
def test_missing_parameters(guard, sender_at, missing):
    pairs = post_params(b"{}", trusted=False, REMOTE_USER="a@example.test")
    del pairs[missing]
    with connect(guard) as connection:
        assert 200 <= connection.request(pairs, b"{}").status < 500
        next_request_works(connection, sender_at(guard))


def test_sigterm_finishes_what_is_in_flight(store, start, sender_at):
    """In flight: the store keeps the message waiting while the signal comes."""
    guard = start(store)
    sender = sender_at(guard)
    sender.admitted()
    idle = [connect(guard) for _ in range(3)]
    connection = connect(guard)
    store.silence()
    try:
        connection.send(whole(sender))
        eventually(lambda: connection.unread() == 0, "the guard has read the request")
        guard.process.terminate()
    finally:
        store.speak()
    began = time.monotonic()
    assert connection.receive().status == 200
    assert guard.wait() == 0
    assert time.monotonic() - began < END
    for one in [*idle, connection]:
        one.close()
    guard.process = None
    guard.start()
    assert sender.used() == 2


def test_sigterm_with_connections_that_stall(guard, sender_at):
    head, _ = parts(sender_at(guard))
    stalled = [connect(guard) for _ in range(SEVERAL)]
    for connection in stalled[::2]:
        connection.send(head)
    began = time.monotonic()
    guard.stop()
    assert time.monotonic() - began < END
    for connection in stalled:
        connection.close()
