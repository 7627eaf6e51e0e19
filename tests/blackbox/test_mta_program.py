"""sendguard-mta itself: options, settings, signals, and what becomes of messages under way."""

import signal
import socket
import stat
import subprocess
import threading

import pytest

from mta import DUNNO, PROGRAM, Closed, Connection, Mta, User, question
from programs import PATIENCE, eventually, free_port
from stores import SqliteStore

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]


def run(*arguments):
    return subprocess.run([str(PROGRAM), *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=PATIENCE)


@pytest.fixture
def mta(folder):
    """Configured, not started. Tests end it themselves, as they look at how it ends."""
    mta = Mta(folder, SqliteStore(folder))
    yield mta
    if mta.running:
        mta.kill()


def ends_well(mta):
    mta.stop()
    assert not mta.listen.exists()


def test_help_and_version():
    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Postfix" in shown.stdout
    assert run("--version").stdout.startswith("sendguard-mta ")


@pytest.mark.parametrize("override, word", [
    ("mta.threads=0", "1 to 64"), ("mta.listen=nowhere", "HOST:PORT"),
    ("mta.null_sender=maybe", "judge or pass"), ("mta.webmail_hosts=10.0.0.1/8", "bits"),
    ("mta.exempt_networks=example.test", "no IP address"),
])
def test_wrong_settings(override, word):
    shown = run("--check", "-o", override)
    assert shown.returncode == 78
    assert word in shown.stderr


def test_socket_file(mta):
    mta.start()
    assert stat.S_IMODE(mta.listen.stat().st_mode) == 0o660
    ends_well(mta)
    mta.configure({"mta": {"socket_mode": "0600"}})
    mta.start()
    assert stat.S_IMODE(mta.listen.stat().st_mode) == 0o600
    ends_well(mta)


def test_a_warning_where_the_webmail_would_count_twice(mta):
    mta.start()
    mta.log.wait("level=warning.*webmail_hosts is not set")
    ends_well(mta)
    mta.configure({"mta": {"webmail_hosts": "192.0.2.1"}})
    mta.start()
    ends_well(mta)
    assert not mta.log.matching("webmail_hosts is not set")


def test_tcp(mta):
    mta.configure({"mta": {"listen": f"127.0.0.1:{free_port()}"}})
    mta.start()
    user = User(mta)
    assert user.end(1) == DUNNO
    with Connection(mta) as connection:
        connection.send(b"nonsense\n\n")
        assert connection.closed()
    assert "client=127.0.0.1:" in mta.log.wait("connection closed")[0]
    user.close()
    mta.stop()


def test_tcp_on_ipv6(mta):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    port = free_port()
    mta.configure({"mta": {"listen": f"[::1]:{port}"}})
    mta.connect = lambda timeout=PATIENCE: socket.create_connection(("::1", port), timeout)
    mta.start()
    user = User(mta)
    assert user.end(1) == DUNNO
    user.close()
    mta.stop()


@pytest.mark.parametrize("threads", [1, 4])
def test_loops(mta, threads):
    mta.configure({"mta": {"threads": threads}})
    mta.start()
    users = [User(mta) for _ in range(9)]
    for _ in range(3):
        for user in users:
            assert user.end(1) == DUNNO
    for user in users:
        user.close()
    ends_well(mta)


def test_new_settings_for_kept_connections(mta):
    mta.start()
    user = User(mta)
    assert user.end(5) == DUNNO
    mta.reload({"limits.smtp": {"recipients_per_message": 4}})
    assert user.end(5).startswith("REJECT 5.7.1 ")
    mta.reload({"mta": {"exempt_networks": user.ip}})
    assert user.end(5) == DUNNO
    mta.log.wait('why="exempt network"')
    lines = mta.reload({"mta": {"threads": 3}})
    assert any("needs a restart" in line and "mta.threads" in line for line in lines)
    lines = mta.reload({"mta": {"null_sender": "what"}})
    assert any("are refused" in line for line in lines)
    assert user.end(5) == DUNNO
    user.close()
    mta.configure({"mta": {"null_sender": "judge"}})
    ends_well(mta)


class Stream:
    """One mailbox that sends without a pause until the service is gone; counts what was admitted."""

    def __init__(self, mta):
        self.user, self.admitted, self.asked = User(mta), 0, 0
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        try:
            while True:
                self.asked += 1
                assert self.user.end(1) == DUNNO
                self.admitted += 1
        except (Closed, OSError):
            self.user.close()


AMPLE = {"limits.smtp": {"messages_per_day": 1000000, "off_domain_per_day": 1000000}}


def counted(mta, mailbox):
    with User(mta, mailbox).connection as connection:
        answer = connection.ask("END-OF-MESSAGE", sasl_username=mailbox, recipient_count=1,
                                instance="last", sender=mailbox)
    assert answer.startswith("DEFER_IF_PERMIT") and "This would be message " in answer, answer
    return int(answer.split("This would be message ")[1].split()[0]) - 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_under_load(mta, number):
    """What was admitted is counted, and at most the one message that was under way more."""
    mta.configure({**AMPLE, "on_limit": {"messages_per_day": "refuse"}})
    mta.start()
    streams = [Stream(mta) for _ in range(4)]
    eventually(lambda: all(stream.admitted > 20 for stream in streams), "messages pass")
    if number == signal.SIGTERM:
        ends_well(mta)
    else:
        mta.kill()
    for stream in streams:
        stream.thread.join(PATIENCE)
    mta.configure({"limits.smtp": {"messages_per_day": 1}})
    mta.start()
    for stream in streams:
        assert stream.admitted <= counted(mta, stream.user.mailbox) <= stream.admitted + 1
    ends_well(mta)


def test_sigterm_answers_what_has_arrived(mta):
    """Asked before the signal, answered before the end; who says nothing is no obstacle."""
    mta.start()
    idle = [Connection(mta) for _ in range(20)]
    user = User(mta)
    assert user.end(1) == DUNNO
    for connection in idle[:10]:
        connection.send(question("END-OF-MESSAGE", **user.members(
            recipient_count=1, **user.transaction())))
    mta.process.send_signal(signal.SIGTERM)
    for connection in idle[:10]:
        assert connection.answer() == DUNNO
    for connection in idle:
        assert connection.closed()
        connection.close()
    user.close()
    assert mta.wait() == 0


def test_a_second_one_does_not_take_the_socket_away(mta):
    mta.start()
    second = Mta(mta.folder, mta.store)
    second.spawn()
    assert second.wait() == 1
    user = User(mta)
    assert user.end(1) == DUNNO
    user.close()
    ends_well(mta)
