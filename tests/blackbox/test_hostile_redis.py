"""Servers and Sentinels that want to do harm. None may hold a program longer than `store.timeout`
plus what a machine needs, take its memory, or have it show what nobody may see."""

import contextlib
import os
import re
import socket
import threading

import pytest

from programs import PATIENCE
from redis_access import Authority
from redis_sentinel import MASTER
from test_redis_access import CONFIGURATION, PASSWORD, Place, check, refused

pytestmark = pytest.mark.sanitized


@contextlib.contextmanager
def server(talk):
    """The port of one that talks so with each client."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=speak, args=(client,), daemon=True).start()

    def speak(client):
        with client, contextlib.suppress(OSError):
            talk(client)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says(begin, block=b""):
    """Answers with `begin`, and `block` for ever."""
    def talk(client):
        client.recv(65536)
        client.sendall(begin)
        while block:
            client.sendall(block)
        while client.recv(65536):
            pass
    return talk


@pytest.mark.parametrize("form", ["redis://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/" + MASTER])
@pytest.mark.parametrize("begin, block, settings", [
    (b"+", b"a" * 65536, {"timeout": "250ms"}),
    (b"$2000000000\r\n", b"a" * 65536, {}),
    (b"*2147483647\r\n", b"", {}),
    (b"*2147483647\r\n" * 7, b"", {}),
    (b"*2147483647\r\n", b":1\r\n" * 16384, {}),
    (b"*4000000\r\n" * 2, b"", {}),
    (b"*1\r\n" * 100000, b"", {}),
], ids=["line", "string", "array", "arrays", "numbers", "room", "depth"])
def test_an_answer_that_does_not_end(folder, form, begin, block, settings):
    with server(says(begin, block)) as port:
        status, said = check(folder, form.format(port), settings)
    assert status == 0 and re.search("too long|no answer within|depth", said), said


def repeats(client):
    """As a redis-server does without AUTH: of the arguments, what is in the first 128 bytes."""
    while request := client.recv(65536):
        words = request.split(b"\r\n")[2::2]
        rest = b" ".join(b"'%s'" % word for word in words[1:])[:128]
        client.sendall(b"-ERR unknown command '%s', with args beginning with: %s\r\n" % (words[0], rest))


@pytest.mark.parametrize("password", [PASSWORD, PASSWORD * 20], ids=["short", "long"])
@pytest.mark.parametrize("user", [{}, {"user": "sendguard"}])
def test_a_server_that_repeats_the_password(folder, password, user):
    (folder / "password").write_text(password + "\n")
    (folder / "password").chmod(0o600)
    with server(repeats) as port:
        refused(folder, f"redis://127.0.0.1:{port}", {**user, "password_file": folder / "password"},
                "it does not take AUTH")


def names(host, port):
    def talk(client):
        while client.recv(65536):
            client.sendall(b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(host), host, len(port), port))
    return talk


@pytest.mark.parametrize("host, port", [
    (b"127.0.0.1", b"0"), (b"127.0.0.1", b"-5"), (b"127.0.0.1", b"65536"), (b"127.0.0.1", b"x"),
    (b"127.0.0.1", b"1 "), (b"127.0.0.1", b"9" * 30), (b"", b"1"), (b"h" * 10000, b"1"),
    (b"127.0.0.1\x00x", b"1"), (b"\x1b[31m\nlevel=error", b"1"),
], ids=["port 0", "negative", "port 65536", "no number", "blank", "digits", "no host", "long", "NUL",
        "control"])
def test_a_sentinel_that_names_no_address(folder, host, port):
    with server(names(host, port)) as sentinel:
        status, said = check(folder, f"redis+sentinel://127.0.0.1:{sentinel}/{MASTER}")
    assert status == CONFIGURATION, said
    assert "no sentinel names it: " in said and "it names no address" in said


def says_the_time(seconds, more):
    def talk(client):
        while request := client.recv(65536):
            time = b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(seconds), seconds, len(more), more)
            client.sendall(time if b"TIME" in request else b"+OK\r\n")
    return talk


@pytest.mark.parametrize("seconds, more", [(b"9" * 18, b"0"), (b"-1", b"0"), (b"1", b"9" * 18)])
def test_a_server_whose_time_is_none(folder, seconds, more):
    with server(says_the_time(seconds, more)) as port:
        status, said = check(folder, f"redis://127.0.0.1:{port}")
    assert status == 0 and "unexpected reply to TIME" in said, said


def held(program):
    """Its descriptors and threads."""
    return [len(os.listdir(f"/proc/{program.process.pid}/{what}")) for what in ("fd", "task")]


@pytest.mark.threads
@pytest.mark.parametrize("form", ["redis://localhost:{}", "rediss://localhost:{}",
                                  "redis+sentinel://localhost:{}/" + MASTER])
def test_nothing_is_left_of_connections_that_fail(folder, start, sender_at, form):
    """Nor of look-ups of names."""
    made = []

    def end(client):
        made.append(client.recv(65536))

    with server(end) as port:
        guard = start(Place(form.format(port)), {"store": {
            "timeout": "2s", "tls_ca_file": Authority(folder).file}})
        sender = sender_at(guard)
        while len(made) < 50:
            sender.send()
        before = held(guard)
        while len(made) < 500:
            assert sender.send().status == 503
        assert max(after - at for after, at in zip(held(guard), before)) <= 1, (before, held(guard))


@pytest.mark.threads
@pytest.mark.parametrize("form", ["redis://127.0.0.1:{}", "rediss://127.0.0.1:{}",
                                  "rediss+sentinel://127.0.0.1:{}/" + MASTER])
def test_a_reload_and_an_end_while_connecting(start, sender_at, form):
    """To a server that takes connections and says nothing."""
    called, ended = threading.Event(), threading.Event()

    def stall(client):
        called.set()
        ended.wait(PATIENCE)

    with server(stall) as port:
        guard = start(Place(form.format(port)), {"store": {"timeout": "1s"}})
        called.clear()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(sender_at(guard).send().status))
        asking.start()
        assert called.wait(PATIENCE)
        guard.reload()
        guard.stop()
        asking.join()
        ended.set()
    assert answers == [503]
