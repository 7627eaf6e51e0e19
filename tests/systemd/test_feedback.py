"""sendguard-feedback as `make install` leaves it: whose log it reads, what it may do beside that.

Runs as root inside the namespaces that tests/systemd/run makes, with a systemd and a journald of
its own.
"""

import datetime
import json
import pathlib
import re
import shutil
import socket

import pytest

from test_journal import fresh as journal  # noqa: F401 (a fixture)
from test_journal import mail_server_logs
from test_units import (CONF, DATABASE, MTA, STATE, as_user, configure, eventually,
                        fresh, installed, log, may_connect, run, show, start, stop, systemctl)  # noqa: F401

UNIT = "sendguard-feedback"
DROP_IN = pathlib.Path(f"/etc/systemd/system/{UNIT}.service.d/test.conf")
LOG_FILE = pathlib.Path("/var/log/mailer/mail.log")


@pytest.fixture(autouse=True)
def no_drop_in(journal, fresh):  # noqa: F811
    yield
    stop()
    shutil.rmtree(DROP_IN.parent, ignore_errors=True)
    shutil.rmtree(LOG_FILE.parent, ignore_errors=True)
    systemctl("daemon-reload")


def drop_in(*lines):
    DROP_IN.parent.mkdir(exist_ok=True)
    DROP_IN.write_text("[Service]\n" + "".join(f"{line}\n" for line in lines))
    systemctl("daemon-reload")


# ---- a mail server --------------------------------------------------------------------------


def admit(queue_id, mailbox="alice@example.test"):
    """A message that the policy service lets pass, as Postfix asks."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(MTA)
        link.sendall(f"request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\n"
                     f"sasl_username={mailbox}\nsender={mailbox}\ninstance={queue_id}\n"
                     f"queue_id={queue_id}\nclient_address=192.0.2.1\nrecipient_count=1\n\n".encode())
        assert link.recv(4096).startswith(b"action=DUNNO")


def lines_of(queue_id):
    return [("postfix/submission/smtpd",
             f"{queue_id}: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=alice@example.test"),
            ("postfix/cleanup", f"{queue_id}: message-id=<{queue_id}@example.test>"),
            ("postfix/qmgr", f"{queue_id}: from=<alice@example.test>, size=363, nrcpt=1 (queue active)"),
            ("postfix/smtp", f"{queue_id}: to=<bob@remote.test>, relay=mx.remote.test[192.0.2.7]:25, "
             "delay=0.1, delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 OK)"),
            ("postfix/qmgr", f"{queue_id}: removed")]


def deliver(queue_id):
    """Postfix names the client first, then asks."""
    client, *rest = [("root", name, text, 1) for name, text in lines_of(queue_id)]
    mail_server_logs(client)
    admit(queue_id)
    mail_server_logs(*rest)


def log_to_file(lines):
    LOG_FILE.parent.mkdir(exist_ok=True)
    LOG_FILE.touch()
    LOG_FILE.chmod(0o600)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
    with LOG_FILE.open("a") as out:
        out.writelines(f"{now} mail {name}[7]: {text}\n" for name, text in lines)


def deliver_to_file(queue_id):
    client, *rest = lines_of(queue_id)
    log_to_file([client])
    admit(queue_id)
    log_to_file(rest)


def followed():
    """The counts beside the cursor; empty: there is none yet."""
    done = as_user("sendguard", "sqlite3", "-readonly", DATABASE,
                   "SELECT CAST(bytes AS TEXT) FROM value WHERE kind = 0")
    return json.loads(done.stdout) if done.stdout.strip() else {}


def outcomes(count):
    eventually(lambda: followed().get("outcomes") == count, f"{count} outcomes: {followed()}")


# ---- the journal ----------------------------------------------------------------------------


def test_it_reads_the_journal_of_the_mail_server_as_its_user():
    start("sendguard-mta", UNIT)
    deliver("4jbqC64kngz1bf1c")
    eventually(lambda: followed().get("lines") == 5, f"5 lines: {followed()}")
    counts = followed()
    assert (counts["messages"], counts["outcomes"], counts["gaps"]) == (1, 1, 0)
    pid = show(UNIT, "MainPID")[0]
    assert run("ps", "-o", "user=", "-p", pid).stdout.strip() == "sendguard"
    assert not re.search(r"level=(error|warn).*journal", log()), log()


def test_a_restart_goes_on_behind_the_last_line():
    start("sendguard-mta", UNIT)
    for turn, how in enumerate((("restart", UNIT), ("kill", "-s", "KILL", UNIT)), 1):
        deliver(f"4jbqC64kngz1bf{turn}c")
        outcomes(turn)
        systemctl(*how)
    stop(UNIT)
    deliver("4jbqC64kngz1bf3c")
    start(UNIT)
    outcomes(3)
    counts = followed()
    assert (counts["messages"], counts["lines"], counts["gaps"]) == (3, 15, 0)


def test_without_its_groups_it_says_what_is_missing():
    drop_in("SupplementaryGroups=")
    start(UNIT)
    eventually(lambda: "the mail server's log cannot be read" in log(), "an error")
    assert "expected a member of the group systemd-journal" in log()


# ---- a file ---------------------------------------------------------------------------------


def test_a_file_of_root_wants_the_drop_in():
    configure(feedback={"source": f"file:{LOG_FILE}"}, mta={"listen": MTA})
    start("sendguard-mta")
    deliver_to_file("4jbqC64kngz1bf1c")
    start(UNIT)
    eventually(lambda: "the mail server's log cannot be read" in log(), "an error")
    [advice] = set(re.findall(r"AmbientCapabilities=CAP_DAC_READ_SEARCH", log()))
    stop(UNIT)
    drop_in(advice)
    start(UNIT)
    outcomes(1)
    LOG_FILE.rename(f"{LOG_FILE}.1")
    deliver_to_file("4jbqC64kngz1bf2c")
    outcomes(2)


# ---- rights ---------------------------------------------------------------------------------


def status(pid, name):
    return re.search(rf"^{name}:\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]


# What it tries, in the place of the program.
TRIES = """
import os, socket, sys
def may(what):
    try:
        what()
        return True
    except OSError:
        return False
print(dict(
    store=may(lambda: open("/var/lib/sendguard/own", "w")),
    journal=may(lambda: [open(os.path.join(folder, name), "rb")
                         for folder, _, names in os.walk("/var/log/journal") for name in names]),
    log=may(lambda: open("/var/log/mailer/mail.log", "a")),
    root=may(lambda: open("/var/log/mailer/mail.log")),
    shadow=may(lambda: open("/etc/shadow")),
    settings=may(lambda: open("/etc/sendguard/sendguard.conf", "a")),
    etc=may(lambda: open("/etc/new", "w")), run=may(lambda: open("/run/sendguard/new", "w")),
    spool=may(lambda: open("/var/spool/postfix/new", "w")),
    home=may(lambda: os.listdir("/root")), device=may(lambda: open("/dev/tty", "w")),
    packet=may(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    namespace=may(lambda: os.unshare(os.CLONE_NEWUSER) if hasattr(os, "unshare") else
                  (_ for _ in ()).throw(OSError())),
    user=may(lambda: os.setuid(0)), owner=may(lambda: os.chown("/var/lib/sendguard/own", 0, 0)),
))
"""


def test_what_it_may_do():
    log_to_file(lines_of("4jbqC64kngz1bf1c"))
    pathlib.Path("/run/tries.py").write_text(TRIES)
    drop_in("Type=oneshot", "ExecStartPre=", "ExecStart=",
            "ExecStart=/usr/bin/python3 -B /run/tries.py")
    start(UNIT)
    did = eval(re.findall(r"^\{.*\}$", log(), re.M)[-1])
    assert {name for name, done in did.items() if done} == {"store", "journal"}, did


def test_its_groups_and_capabilities():
    start(UNIT)
    pid = show(UNIT, "MainPID")[0]
    names = {run("getent", "group", number).stdout.split(":")[0]
             for number in status(pid, "Groups").split()}
    assert names - {"sendguard"} == {"systemd-journal", "adm"}
    assert {status(pid, name).strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {""}
    assert status(pid, "NoNewPrivs") == "1" and status(pid, "Seccomp") == "2"
    assert not run("ss", "-Hltnup").stdout.count("sendguard-feedb")


def test_reports_come_in_where_postfix_alone_may_connect():
    path = "/run/sendguard/feedback/lmtp.sock"
    configure(feedback={"listen": path})
    start(UNIT)
    assert may_connect("postfix", path)
    assert not may_connect("www-data", path) and not may_connect("nobody", path)
    stop(UNIT)
    configure(feedback={"listen": "127.0.0.1:9403"})
    start(UNIT)
    assert run("ss", "-Hltn").stdout.count("127.0.0.1:9403")


# ---- wrong settings -------------------------------------------------------------------------


@pytest.mark.parametrize("source, said", [("journald", "feedback.source"), ("file:mail.log", "feedback.source")])
def test_a_wrong_source_fails_the_start(source, said):
    configure(feedback={"source": source})
    assert systemctl("start", UNIT, check=False).returncode != 0
    assert show(UNIT, "ActiveState", "ExecMainStatus", "NRestarts") == ["failed", "78", "0"], log()
    assert said in log() and "sendguard.conf:" in log()
    assert not DATABASE.exists()


def test_check_by_root_looks_with_the_rights_of_the_unit():
    run("install", "-d", "-m", "700", "-o", "sendguard", "-g", "sendguard", STATE)
    mail_server_logs(("root", "postfix/master", "daemon started", 1))
    done = run(f"/usr/local/sbin/{UNIT}", "--check", check=False)
    assert done.returncode == 0 and "feedback.source" not in done.stderr, done.stderr
    configure(feedback={"source": f"file:{LOG_FILE}"})
    log_to_file(lines_of("4jbqC64kngz1bf1c"))
    done = run(f"/usr/local/sbin/{UNIT}", "--check", check=False)
    assert done.returncode == 0, done.stderr
    assert f"feedback.source: {LOG_FILE} cannot be read (root:root, mode 0600)" in done.stderr
    shutil.chown(LOG_FILE, "root", "adm")
    LOG_FILE.chmod(0o640)
    done = run(f"/usr/local/sbin/{UNIT}", "--check", check=False)
    assert done.returncode == 0 and "cannot be read" not in done.stderr, done.stderr
    LOG_FILE.chmod(0o646)
    done = run(f"/usr/local/sbin/{UNIT}", "--check", check=False)
    assert "users of this machine can change" in done.stderr
    assert CONF.exists() and list(STATE.iterdir()) == []
