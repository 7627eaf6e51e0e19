"""sendguard-auth as `make install` leaves it, with a real Dovecot that asks it.

Runs as root inside the namespaces that tests/systemd/run makes, with a systemd of its own.
"""

import os
import pathlib
import pwd
import signal
import sys
import tempfile

import pytest

from test_units import STATE, TREE, configure, eventually, fresh, installed, log, run, show, start, systemctl  # noqa: F401

sys.path.append(str(TREE / "tests/blackbox"))
from logins import KEY, RIGHT, Dovecot  # noqa: E402

UNIT, PORT = "sendguard-auth", 9404
ALICE = "alice@example.test"


@pytest.fixture
def dovecot(fresh):  # noqa: F811
    """The key lies where docs/logins.md has it; the unit runs."""
    key = STATE / "auth-key"
    run("install", "-d", "-m", "700", "-o", "sendguard", "-g", "sendguard", STATE)
    run("install", "-m", "600", "-o", "sendguard", "-g", "sendguard", "/dev/null", key)
    key.write_text(KEY + "\n")
    configure(logins={"mode": "enforce"})
    start(UNIT)
    with tempfile.TemporaryDirectory(prefix="sendguard-") as folder:
        os.chmod(folder, 0o755)
        dovecot = Dovecot(pathlib.Path(folder), PORT)
        dovecot.add(ALICE)
        dovecot.start()
        yield dovecot
        dovecot.stop()


def process():
    return int(show(UNIT, "MainPID")[0])


def refuses(dovecot):
    return "try again after" in dovecot.sign_in(ALICE, RIGHT, "127.0.0.5")


def block(dovecot):
    for number in range(10):
        assert "Authentication failed" in dovecot.sign_in(ALICE, f"wrong{number}", "127.0.0.5")
    assert refuses(dovecot)


def test_who_it_is(dovecot):
    """Its user, without rights, who keeps the database to itself; nobody is on the network but Dovecot."""
    block(dovecot)
    status = pathlib.Path(f"/proc/{process()}/status").read_text()
    uid = pwd.getpwnam("sendguard").pw_uid
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status and "Seccomp:\t2" in status
    database = STATE / "sendguard.db"
    assert database.stat().st_uid == uid and database.stat().st_mode & 0o077 == 0
    assert "level=error" not in log()


def test_killed_and_restarted(dovecot):
    """A block that is in the store holds after each."""
    block(dovecot)
    systemctl("restart", UNIT)
    assert refuses(dovecot)
    before = process()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: process() not in (0, before) and refuses(dovecot), "it is there again")


def test_settings_are_read_again(dovecot):
    block(dovecot)
    configure(logins={"mode": "observe"})
    systemctl("reload", UNIT)
    eventually(lambda: not refuses(dovecot), "nobody is kept out")
