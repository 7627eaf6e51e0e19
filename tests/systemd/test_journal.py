"""The mail server's log in a journal: what a real journald keeps, drops, rotates and removes.

Runs as root inside the namespaces that tests/systemd/run makes. The lines are those of a service
that has the name of Postfix' own.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

TREE = pathlib.Path(os.environ["SENDGUARD_TREE"])
READER = TREE / os.environ.get("SENDGUARD_BUILD", "build") / "tests/systemd/log_reader"
CURSOR = pathlib.Path("/run/log-cursor")
UNIT = pathlib.Path("/etc/systemd/system/postfix@.service")
CONF = pathlib.Path("/etc/systemd/journald.conf.d/tests.conf")
JOURNAL = pathlib.Path("/var/log/journal")
PATIENCE = 60

CURSOR_LOST, SUPPRESSED, LINES_CUT = "0", "4", "5"

# A user's lines, in a process that ends when journald has looked at it.
LINES = """
import sys, syslog
name, text, count = sys.argv[1:]
syslog.openlog(name, syslog.LOG_PID, syslog.LOG_MAIL)
for number in range(int(count)):
    syslog.syslog(text.replace("#", str(number)))
print("done", flush=True)
sys.stdin.read()
"""

# What the service does: [user, name, text, count] of a file, one after the other.
SERVICE = f"""
import json, subprocess
writers = []
for user, *words in json.load(open("/run/lines.json")):
    writers.append(subprocess.Popen(
        ["runuser", "-u", user, "--", "python3", "-c", {LINES!r}] + [str(word) for word in words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    writers[-1].stdout.readline()
subprocess.run(["journalctl", "--sync"], check=True)
for writer in writers:
    writer.stdin.close()
    writer.wait()
"""


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **more)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(autouse=True)
def fresh():
    """An empty journal, and a mail server without a limit of lines."""
    pathlib.Path("/run/service.py").write_text(SERVICE)
    limits()
    run("systemctl", "stop", "systemd-journald.service", "systemd-journald.socket",
        "systemd-journald-dev-log.socket", check=False)
    for folder in (JOURNAL, "/run/log/journal"):
        shutil.rmtree(folder, ignore_errors=True)
    JOURNAL.mkdir()
    shutil.chown(JOURNAL, "root", "systemd-journal")
    JOURNAL.chmod(0o2755)  # as systemd's tmpfiles make it
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text("[Journal]\nStorage=persistent\n")
    run("systemctl", "start", "systemd-journald.socket", "systemd-journald-dev-log.socket",
        "systemd-journald.service")
    run("journalctl", "--flush")
    CURSOR.unlink(missing_ok=True)
    yield
    UNIT.unlink()


def limits(interval=0, burst=0):
    UNIT.write_text("[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\n"
                    "ExecStart=/usr/bin/python3 /run/service.py\n"
                    f"LogRateLimitIntervalSec={interval}\nLogRateLimitBurst={burst}\n")
    run("systemctl", "daemon-reload")


def mail_server_logs(*lines, unit="postfix@-.service"):
    pathlib.Path("/run/lines.json").write_text(json.dumps(lines))
    run("systemctl", "reset-failed", check=False)
    run("systemctl", "start", unit)


def smtp(text, count=1):
    mail_server_logs(("root", "postfix/smtp", text, count))


def parsed(output):
    lines = [line.split(" ", 4)[1:] for line in output.splitlines() if line.startswith("line ")]
    noticed = dict(line.split()[1:] for line in output.splitlines() if line.startswith("noticed "))
    return lines, noticed


def read():
    """(identifier, pid, time, text) of each line since the last call, and what was noticed."""
    return parsed(run(READER, "journal", CURSOR).stdout)


def texts():
    lines, noticed = read()
    assert not noticed
    return [line[3] for line in lines]


def test_lines_of_the_mail_server():
    before = time.time()
    mail_server_logs(("root", "postfix/master", "daemon started", 1),
                     ("postfix", "postfix/submission/smtpd", "connect from x[192.0.2.1]", 1))
    [master, smtpd], noticed = read()
    assert master[0] == "postfix/master" and master[3] == "daemon started"
    assert smtpd[0] == "postfix/submission/smtpd" and smtpd[3] == "connect from x[192.0.2.1]"
    assert int(master[1]) > 0 and master[1] != smtpd[1]
    assert before <= int(master[2]) / 1e6 <= int(smtpd[2]) / 1e6 <= time.time()
    assert not noticed


def test_each_line_once_over_restarts():
    assert texts() == []
    expected = []
    for turn in range(5):
        smtp(f"{turn} #", 20)
        expected += [f"{turn} {number}" for number in range(20)]
    found = texts()
    for turn in range(3):
        smtp(f"later {turn}")
        found += texts()
        assert texts() == []
    assert found == expected + [f"later {turn}" for turn in range(3)]


def test_a_reader_follows_while_files_are_rotated():
    follower = subprocess.Popen([READER, "journal", CURSOR, "--until", "last"],
                                stdout=subprocess.PIPE, text=True)
    for turn in range(4):
        smtp(f"{turn} #", 10)
        run("journalctl", "--rotate")
    run("systemctl", "restart", "systemd-journald")
    smtp("last")
    output, _ = follower.communicate(timeout=PATIENCE)
    lines, noticed = parsed(output)
    assert [line[3] for line in lines] == \
        [f"{turn} {number}" for turn in range(4) for number in range(10)] + ["last"]
    assert not noticed
    assert texts() == []


# ---- whose lines ----------------------------------------------------------------------------


def forge(user):
    """As any local user may, with a process that journald can look at."""
    writer = subprocess.Popen(["runuser", "-u", user, "--", "python3", "-c", LINES,
                               "postfix/smtp", f"forged by {user}", "1"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer.stdout.readline()
    run("journalctl", "--sync")
    writer.stdin.close()
    writer.wait(PATIENCE)
    run("runuser", "-u", user, "--", "logger", "-t", "postfix/smtp", f"forged by {user}")
    run("journalctl", "--sync")


@pytest.mark.parametrize("user", ["nobody", "www-data", "postfix", "root"])
def test_a_line_from_outside_the_unit_is_not_read(user):
    smtp("before")
    forge(user)
    smtp("behind")
    assert texts() == ["before", "behind"]
    assert f"forged by {user}" in run("journalctl", "-t", "postfix/smtp", "-o", "cat").stdout


def test_a_line_of_a_command_that_the_mail_server_runs_for_a_user_is_not_read():
    mail_server_logs(("nobody", "postfix/smtp", "forged in ~/.forward", 1),
                     ("root", "postfix/smtp", "of the mail server", 1),
                     ("root", "backup", "another program's", 1))
    assert texts() == ["of the mail server"]


def test_instances():
    mail_server_logs(("root", "postfix-out/smtp", "of another instance", 1),
                     unit="postfix@out.service")
    assert texts() == ["of another instance"]


# ---- what is lost ---------------------------------------------------------------------------


def test_suppressed_lines_are_noticed_once():
    limits(interval=2, burst=5)
    smtp("burst #", 1000)
    lines, noticed = read()
    end = time.monotonic() + PATIENCE
    while not noticed:  # journald says it with the first line behind the interval
        assert time.monotonic() < end
        smtp("later")
        more, noticed = read()
        lines += more
    kept = sum(line[3].startswith("burst") for line in lines)
    assert 0 < kept < 1000
    assert list(noticed) == [SUPPRESSED]
    assert int(noticed[SUPPRESSED]) >= 1000 - kept
    assert texts() == []


def test_suppressed_lines_of_others_are_not():
    conf = pathlib.Path("/etc/systemd/system/other.service")
    conf.write_text(UNIT.read_text().replace("Sec=0", "Sec=1").replace("Burst=0", "Burst=5"))
    run("systemctl", "daemon-reload")
    smtp("first")
    end = time.monotonic() + PATIENCE
    while "Suppressed" not in run("journalctl", "-o", "cat", "_TRANSPORT=driver").stdout:
        assert time.monotonic() < end
        mail_server_logs(("root", "postfix/smtp", "no mail server's #", 100), unit="other.service")
    conf.unlink()
    smtp("second")
    assert texts() == ["first", "second"]


def test_a_cursor_that_was_vacuumed_is_noticed():
    smtp("read")
    assert texts() == ["read"]
    smtp("lost")
    run("journalctl", "--rotate", "--vacuum-size=1")
    smtp("kept #", 2)
    lines, noticed = read()
    assert [line[3] for line in lines] == ["kept 0", "kept 1"]
    assert noticed == {CURSOR_LOST: "1"}
    assert texts() == []


def test_a_vacuum_behind_the_reader_loses_nothing():
    smtp("old #", 5)
    run("journalctl", "--rotate")
    smtp("read #", 5)
    assert len(texts()) == 10
    run("journalctl", "--vacuum-files=1")
    smtp("new")
    assert texts() == ["new"]


def test_a_cursor_of_a_file_is_noticed():
    smtp("line")
    CURSOR.write_text("file:5:1:1:0:" + "0" * 32 + ":" + "0" * 32)
    lines, noticed = read()
    assert [line[3] for line in lines] == ["line"] and noticed == {CURSOR_LOST: "1"}


def test_long_lines_are_cut():
    smtp("x" * 70000)
    [line], noticed = read()
    assert line[3] == "x" * 65536 and noticed == {LINES_CUT: "1"}
    smtp("y" * 65536)
    assert texts() == ["y" * 65536]


# ---- rights, speed --------------------------------------------------------------------------


def test_who_may_read_it():
    smtp("line")
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup"]
    done = run(*as_nobody, "--clear-groups", READER, "journal", "/tmp/cursor", check=False)
    assert done.returncode == 1
    assert "expected a member of the group systemd-journal" in done.stderr
    done = run(*as_nobody, "--groups=systemd-journal", READER, "journal", "/tmp/cursor")
    assert [line[3] for line in parsed(done.stdout)[0]] == ["line"]


def test_speed():
    smtp("A1B2C3D4E5: to=<someone@remote.test>, relay=mx.remote.test[192.0.2.7]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 OK #)", 20000)
    shown = run(READER, "journal", CURSOR, "--time").stdout
    print(shown)
    lines, speed = re.match(r"(\d+) lines, (\d+) a second", shown).groups()
    assert int(lines) == 20000 and int(speed) > 10000
