"""sendguard-postqueue behind its socket, as `make install` leaves it, with a real Postfix.

Runs as root inside the namespaces that tests/systemd/run makes, with a systemd of its own.
"""

import json
import pathlib
import re

import pytest

from test_units import as_user, configure, eventually, fresh, installed, log, may_connect, refused, run, start, stop  # noqa: F401

SOCKET, UNIT = "/run/sendguard/postqueue.sock", "sendguard-postqueue.socket"
POSTFIX = pathlib.Path("/etc/postfix")
ASK = """
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
link.sendall((" ".join(sys.argv[2:]) + "\\n").encode())
print(link.makefile().read(), end="")
"""


def ask(*words):
    done = as_user("sendguard", "/usr/bin/python3", "-c", ASK, SOCKET, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def queued(*queues):
    """The ids of messages there; without queues those of all."""
    listed = map(json.loads, run("postqueue", "-j").stdout.splitlines())
    return sorted(one["queue_id"] for one in listed if not queues or one["queue_name"] in queues)


@pytest.fixture(scope="module")
def postfix():
    """It holds what the sendmail command hands in, and delivers to nowhere."""
    (POSTFIX / "held").write_text("/^Subject:/ HOLD\n")
    (POSTFIX / "main.cf").write_text("""compatibility_level = 3.6
inet_interfaces = loopback-only
myhostname = mx.example.test
mydestination =
alias_maps =
default_transport = discard
header_checks = regexp:/etc/postfix/held
""")
    (POSTFIX / "master.cf").write_text("".join(f"{line}\n" for line in (
        "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
        "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
        "trace unix - - n - 0 bounce", "proxymap unix - - n - - proxymap", "showq unix n - n - - showq",
        "flush unix n - n 1000? 0 flush", "discard unix - - n - - discard")))
    run("postfix", "start")
    yield
    run("postfix", "stop")


@pytest.fixture
def held(postfix, fresh):  # noqa: F811
    """Two messages; the socket listens."""
    start(UNIT)
    for _ in range(2):
        run("sh", "-c", "printf 'Subject: hello\\n\\nHello\\n' | sendmail -f alice@example.test friend@outside.test")
    eventually(lambda: len(queued("hold")) == 2, "two messages wait")
    yield queued("hold")
    run("postsuper", "-d", "ALL")
    stop(UNIT)


def test_the_services_release_delete_and_list(held):
    first, second = held
    assert {line.split(" ")[0] for line in ask("list")} == {first, second, "end"}, log()
    assert ask("delete", first) == [f"{first} deleted", "end"]
    assert ask("release", second, first) == [f"{second} released", f"{first} no_such", "end"]
    eventually(lambda: not queued(), "it is delivered")
    assert "level=error" not in log() and "warning" not in log(), log()


def test_nobody_else_may_ask(held):
    for user in ("www-data", "postfix", "nobody"):
        assert not may_connect(user, SOCKET)
        refused(user, "rm", "-f", SOCKET)
    start("sendguard-fcgi")  # there is a store to look into
    found = json.loads(run("sendguard", "doctor", "held", "--json", check=False).stdout)[0]
    assert found["state"] == "ok" and "holds 2 messages" in found["found"], found


def test_wrong_settings_are_said(held):
    configure(postqueue={"command_directory": "/tmp"})
    as_user("sendguard", "/usr/bin/python3", "-c", ASK, SOCKET, "list")
    eventually(lambda: re.search("postqueue.command_directory: /tmp: expected", log()), "the log says why")
