"""sendguard doctor on the stack: all is well, then one thing after the other is broken, and seen."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest

from clock import Clock
from dns import dns_server
from logins import VERSION_23
from postfix import STACK, MailProgram, Stack
from programs import eventually, freeze, thaw
from stores import RedisServer

OWN = "domains.own_domains=example.test example.net"
# The stack's pages are on the loopback, of which --check warns rightly.
URL = "web.base_url=https://webmail.example.test/sending"
ALL = ["settings", "store", "clock", "blocks", "plans", "sockets", "postfix_end_of_data",
       "postfix_recipients", "postfix_data", "milter", "held", "owners", "tickets",
       "log_source", "feedback", "gaps", "complaints", "logins", "notify", "parked",
       "ptr", "helo",
       "spf", "port_25", "sendmail", "sieve"]
OUTGOING = "spf.outgoing=127.0.0.1"
LIMIT = 60  # seconds


def in_a_world_of_names(folder):
    """The words before a command, for which FOLDER/hosts is all that there is of the DNS."""
    of_system = pathlib.Path("/etc/nsswitch.conf").read_text()
    (folder / "nsswitch.conf").write_text(re.sub(r"^hosts:.*", "hosts: files", of_system, flags=re.M))
    return ["unshare", "--mount", "sh", "-c",
            f"mount --bind {folder}/hosts /etc/hosts && "
            f"mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf && exec \"$@\"", "sh"]


class Doctor:
    """The command on a stack, as root."""

    def __init__(self, stack):
        self.stack, self.folder = stack, stack.folder
        self.program = self.folder / "guard/sendguard"
        self.names = in_a_world_of_names(self.folder)
        self.hosts("127.0.0.1 mx.example.test")

    def hosts(self, *lines):
        """What is known of names and addresses; nobody else is asked."""
        (self.folder / "hosts").write_text("".join(f"{line}\n" for line in lines))

    def command(self, *words, settings=()):
        if not any(setting.startswith("spf.outgoing=") for setting in settings):
            settings = [OUTGOING, *settings]
        options = [f"-o{setting}" for setting in (OWN, URL, *settings)]
        return [*self.names, self.program, "-c", self.folder / "guard/sendguard.conf", *options, "doctor",
                "--postfix", self.folder / "postfix/conf",
                "--dovecot", self.folder / "dovecot/dovecot.conf", *words]

    def run(self, *words, settings=(), **environment):
        began = time.monotonic()
        done = subprocess.run(self.command(*words, settings=settings),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=dict(os.environ, **environment))
        assert time.monotonic() - began < LIMIT
        assert done.stderr == "", done.stderr
        return done

    def checks(self, *words, **more):
        """What each found, by its name; the exit status says whether one is bad."""
        done = self.run("--json", *words, **more)
        found = {one["name"]: one for one in json.loads(done.stdout)}
        for one in found.values():
            assert set(one) == {"name", "looks_at", "state", "found", "advice"}
            assert one["state"] in ("ok", "warn", "bad", "skip") and one["found"], one
            assert (one["advice"] is None) == (one["state"] == "ok"), one
        assert done.returncode == (1 if red(found) else 0), done
        return found


def red(found):
    return {name for name, one in found.items() if one["state"] == "bad"}


def yellow(found):
    return {name for name, one in found.items() if one["state"] == "warn"}


@pytest.fixture(scope="module")
def stack():
    with tempfile.TemporaryDirectory() as folder, dns_server(pathlib.Path(folder)) as dns:
        dns.says('example.test 3600 TXT "v=spf1 ip4:127.0.0.1 -all"')
        stack = Stack(OWN, OUTGOING, f"spf.resolver={dns.resolver}")
        with MailProgram(stack, "alice@example.test") as program:
            program.send()
        doctor = Doctor(stack)
        for check in ("feedback", "spf"):
            eventually(lambda: doctor.checks(check)[check]["state"] == "ok", check)
        yield stack
        stack.down()


@pytest.fixture(scope="module")
def doctor(stack):
    return Doctor(stack)


@contextlib.contextmanager
def changed(path, *changes):
    """The file with each (old, new) replaced, until the end."""
    before = text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def main_cf(doctor, *changes):
    return changed(doctor.folder / "postfix/conf/main.cf", *changes)


@contextlib.contextmanager
def mode(path, bits):
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before & 0o7777)


# ---- all is well ----------------------------------------------------------------------------


def test_all_is_well(doctor):
    found = doctor.checks()
    assert list(found) == ALL
    for name, one in found.items():
        assert one["state"] == "ok" or (name == "clock" and one["state"] == "skip" and
                                        "NTP" in one["found"]), one


def test_text_for_people(doctor):
    with mode(doctor.folder / "guard/secret", 0o644):
        done = doctor.run()
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.split()[1] for line in lines[:-2] if not line.startswith(" ")] == ALL
    assert lines[0].startswith("BAD   settings             ")
    assert any(line.strip().startswith("-> ") for line in lines[1:4])
    assert lines[1].startswith(" " * 27) and re.match("2[34] ok, 1 bad, ", lines[-1])
    assert all(len(line) <= 80 or " " not in line.strip() for line in lines)


def test_the_stack_has_a_command_for_it(doctor):
    done = subprocess.run([STACK, "doctor", doctor.folder, "tickets", "sieve"], capture_output=True,
                          text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and [line.split()[:2] for line in lines[:2]] == \
        [["ok", "tickets"], ["ok", "sieve"]]


def test_some_checks_alone(doctor):
    assert list(doctor.checks("tickets", "store")) == ["store", "tickets"]
    done = subprocess.run(doctor.command("tikets"), capture_output=True, text=True)
    assert done.returncode == 64 and done.stdout == ""
    assert 'there is no check "tikets": expected settings, store, ' in done.stderr
    done = subprocess.run(doctor.command(settings=["mta.threads=many"]), capture_output=True, text=True)
    assert done.returncode == 78 and "mta.threads" in done.stderr and done.stdout == ""


def test_it_changes_nothing(doctor):
    def stored():
        with contextlib.closing(sqlite3.connect(doctor.folder / "guard/sendguard.db")) as database:
            return list(database.iterdump())
    doctor.stack.stop("guard", "web", "mta", "feedback")  # they write by themselves
    try:
        before = stored()
        files = sorted(path.name for path in (doctor.folder / "guard").iterdir())
        assert red(doctor.checks()) == {"sockets", "complaints"}
        assert stored() == before
        assert files == sorted(path.name for path in (doctor.folder / "guard").iterdir())
    finally:
        doctor.stack.start("guard", "web", "mta", "feedback")
    before = {name: value for name, value in doctor.stack.metrics().items() if "decisions" in name}
    assert red(doctor.checks()) == set()
    after = {name: value for name, value in doctor.stack.metrics().items() if "decisions" in name}
    assert before == after and doctor.stack.used("alice@example.test") == 1


def test_another_user(doctor, folder):
    for path in (doctor.program, doctor.folder / "guard/sendguard.conf"):
        shutil.copy(path, folder)
    done = subprocess.run(
        ["setpriv", "--reuid=mail", "--regid=mail", "--clear-groups", folder / "sendguard",
         "-c", folder / "sendguard.conf", "doctor", "--json", "--postfix", doctor.folder / "postfix/conf"],
        capture_output=True, text=True)
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0 and done.stderr == ""
    assert {found[name]["state"] for name in ("store", "sockets")} == {"skip"}
    assert "root" in found["store"]["advice"] and "Permission denied" in found["sockets"]["found"]
    assert found["postfix_end_of_data"]["state"] == "ok"


def test_a_check_that_hangs_is_ended(doctor, folder):
    for name in ("main.cf", "master.cf"):
        os.mkfifo(folder / name)
    command = doctor.command("--json", "port_25", "tickets")
    command[command.index("--postfix") + 1] = folder
    began = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert time.monotonic() - began < LIMIT
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["port_25"]["state"] == "skip" and "8 s" in found["port_25"]["found"]
    assert found["tickets"]["state"] == "ok"
    left = [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
            if str(folder).encode() in read(path)]
    assert left == []


def read(path):
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


# ---- one thing is broken --------------------------------------------------------------------


def test_settings(doctor):
    with mode(doctor.folder / "guard/secret", 0o644):
        found = doctor.checks()
    assert red(found) == {"settings"}
    assert "guard/secret" in found["settings"]["found"]
    found = doctor.checks(settings=["web.base_url=http://127.0.0.1/sending"])
    assert red(found) == set() and yellow(found) == {"settings"}
    assert "web.base_url" in found["settings"]["found"]


def test_the_settings_of_a_redis_server(doctor, folder):
    folder.chmod(0o755)
    server = RedisServer(folder, "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes",
                         rights=None)
    server.start()
    try:
        def checks():
            return doctor.checks(settings=[f"store.url=redis+unix://{server.socket_path}",
                                           "store.timeout=4s"])
        found = checks()
        assert red(found) == {"store"}
        assert "allkeys-lru" in found["store"]["found"]
        assert found["store"]["advice"] == "redis.conf: maxmemory-policy noeviction"
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert checks()["store"]["state"] == "ok"
        server.command("CONFIG", "SET", "appendonly", "no")
        server.command("CONFIG", "SET", "save", "")
        found = checks()
        assert red(found) == {"store"} and "appendonly yes" in found["store"]["advice"]
        server.freeze()
        found = doctor.checks("store", settings=[f"store.url=redis+unix://{server.socket_path}",
                                                 "store.timeout=30s"])
        server.thaw()
        assert red(found) == {"store"} and "no answer" in found["store"]["found"]
    finally:
        server.stop()
    found = doctor.checks("store", "clock", settings=[f"store.url=redis+unix://{server.socket_path}"])
    assert red(found) == {"store"} and found["clock"]["state"] == "skip"


def test_the_owner_of_a_file(doctor):
    database = doctor.folder / "guard/sendguard.db"
    before = database.stat()
    os.chown(database, 0, 0)
    try:
        found = doctor.checks()
    finally:
        os.chown(database, before.st_uid, before.st_gid)
    assert {"store"} <= red(found) <= {"store", "settings"}
    assert f"chown nobody: {database}*" in found["store"]["advice"]
    assert {path.owner() for path in database.parent.glob("sendguard.db*")} == {"nobody"}


def test_the_block_lists(doctor):
    def stored(statement):
        with contextlib.closing(sqlite3.connect(doctor.folder / "guard/sendguard.db")) as database:
            database.execute(statement)
            database.commit()

    blocked = "key LIKE '%count.test%' AND kind = 15"  # VALUE_BLOCKED of lib/store/values.h
    for subject in ("trap@count.test", "count.test"):
        doctor.stack.sendguard("block", subject, "--reason", "It is a trap.", "--note", "test")
    try:
        found = doctor.checks("blocks")["blocks"]
        assert found["state"] == "ok"
        assert re.match(r"2 entries of staff, 0 recipients that Sendguard blocked; a service reads them "
                        r"in \d+ ms", found["found"])
        doctor.stack.sendguard("-o", "blocks.reasons=gone It is gone.", "block", "b@count.test",
                               "--reason", "gone", "--note", "test")
        found = doctor.checks("blocks")["blocks"]
        assert (found["state"], found["found"]) == (
            "warn", "entries whose reason is no name of [blocks] reasons any more, so that senders "
            "read the bare word: 1")
        doctor.stack.sendguard("unblock", "b@count.test", "--note", "test")
        stored(f"UPDATE value SET bytes = x'7f' WHERE {blocked} AND key LIKE 'domain%'")
        found = doctor.checks("blocks")["blocks"]
        assert (found["state"], found["found"]) == (
            "warn", "entries that this version cannot read block nobody: 1")
    finally:
        stored(f"DELETE FROM value WHERE {blocked}")


def test_a_plan_that_the_settings_do_not_have(doctor):
    give = ("-o", "plan.gone.messages_per_day=5", "plan", "@count.test")
    doctor.stack.sendguard(*give, "gone", "--note", "test")
    found = doctor.checks("plans")["plans"]
    assert found["state"] == "warn" and found["found"].endswith(": 1, such as gone of @count.test")
    doctor.stack.sendguard(*give, "default", "--note", "test")
    assert doctor.checks("plans")["plans"]["found"] == "the settings have 0; given 0 times"


def test_a_wrong_clock(doctor, folder):
    clock = Clock(folder)
    clock.set((time.time() - 3600) * 1000)
    found = doctor.checks(**clock.environment)
    assert red(found) == {"clock"}
    assert "ahead of this machine's clock" in found["clock"]["found"]
    assert "set-ntp" in found["clock"]["advice"]


def test_the_clock_of_a_redis_server(doctor, folder):
    folder.chmod(0o755)
    clock = Clock(folder)
    clock.set((time.time() + 3600) * 1000)
    server = RedisServer(folder)
    server.start()
    try:
        url = f"store.url=redis+unix://{server.socket_path}"
        found = doctor.checks("clock", "store", settings=[url, "store.timeout=4s"], **clock.environment)
    finally:
        server.stop()
    assert red(found) == {"clock"}
    assert re.search("server is 3[56].* s behind", found["clock"]["found"])
    assert found["store"]["state"] == "skip" and "+info" in found["store"]["advice"]


@pytest.fixture
def copied(doctor, folder):
    """The database once more, of which nothing is open."""
    path = folder / "sendguard.db"
    with contextlib.closing(sqlite3.connect(doctor.folder / "guard/sendguard.db")) as database, \
            contextlib.closing(sqlite3.connect(path)) as copy:
        database.backup(copy)
    return path


def test_a_database_of_an_earlier_version(doctor, copied):
    def version(change=None):
        with contextlib.closing(sqlite3.connect(copied)) as database:
            if change is not None:
                database.execute(f"PRAGMA user_version = {change}")
            return database.execute("PRAGMA user_version").fetchone()[0]
    version(version() - 1)
    before = version()
    found = doctor.checks("store", "gaps", settings=[f"store.url=sqlite://{copied}"])
    assert found["store"]["state"] == "warn" and "earlier version" in found["store"]["found"]
    assert found["gaps"]["state"] == "skip" and version() == before


def test_a_log_that_is_not_copied_back(doctor, copied):
    settings = [f"store.url=sqlite://{copied}"]
    allow = ["store.on_failure=allow", "store.emergency=7"]
    for said, more in (("no mail passes", []), ("7 messages of a mailbox pass", allow)):
        found = doctor.checks("store", settings=settings + more)
        assert found["store"]["state"] == "ok" and said in found["store"]["found"]
    with open(f"{copied}-wal", "wb") as log:
        log.truncate(200 * 1024 * 1024)
    found = doctor.checks("store", settings=settings)
    assert found["store"]["state"] == "warn" and "200 MB" in found["store"]["found"]


def test_a_full_disk_and_no_database(doctor, folder, copied):
    disk = folder / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=16m none {disk} && "
         f"cp {copied} {disk} && exec \"$@\"", "sh", *doctor.command(
             "--json", "store", settings=[f"store.url=sqlite://{disk}/sendguard.db"])],
        capture_output=True, text=True)
    found = json.loads(done.stdout)[0]
    assert done.returncode == 1 and found["state"] == "bad"
    assert "MB are free" in found["found"] and found["advice"] == f"make room in {disk}"
    found = doctor.checks("store", settings=[f"store.url=sqlite://{disk}/sendguard.db"])
    assert red(found) == {"store"} and "there is no database" in found["store"]["found"]


@pytest.mark.parametrize("service, unit", [("guard", "fcgi"), ("web", "web"), ("mta", "mta")])
def test_a_service_that_is_stopped(doctor, service, unit):
    doctor.stack.stop(service)
    try:
        found = doctor.checks()
    finally:
        doctor.stack.start(service)
    assert red(found) == {"sockets"}
    assert found["sockets"]["advice"] == f"systemctl start sendguard-{unit}"


def test_a_service_that_hangs(doctor):
    pid = int((doctor.folder / "pids/mta").read_text().split()[0])
    freeze(pid)
    try:
        found = doctor.checks()
    finally:
        thaw(pid)
    assert red(found) == {"sockets"}
    assert "does not answer as sendguard-mta" in found["sockets"]["found"]


def test_reports_that_nobody_takes(doctor):
    doctor.stack.stop("feedback")
    try:
        found = doctor.checks("complaints", "sockets")
    finally:
        doctor.stack.start("feedback")
    assert red(found) == {"complaints"}
    assert found["complaints"]["advice"] == "systemctl start sendguard-feedback"


def test_reports_that_cannot_count(doctor):
    found = doctor.checks("complaints", settings=["complaints.authserv_id="])
    assert yellow(found) == {"complaints"} and "wait for staff" in found["complaints"]["found"]
    port = doctor.stack.port("mta")
    found = doctor.checks("complaints", settings=[f"feedback.listen=127.0.0.1:{port}"])
    assert red(found) == {"complaints"}, "the policy service is no LMTP server"
    found = doctor.checks("complaints", settings=["feedback.listen="])
    assert found["complaints"]["state"] == "ok"


def test_a_socket_that_is_open_to_all(doctor):
    socket = doctor.folder / "guard/fcgi.sock"
    with mode(socket, 0o666):
        assert red(doctor.checks()) == set(), "its folder lets nobody pass"
        with mode(socket.parent, 0o2755):
            found = doctor.checks()
    assert red(found) == {"sockets"}
    assert found["sockets"]["advice"].startswith(f"chmod 0660 {socket}")


END = "submission_end = $sendguard"
DATA = "submission_data = $sendguard"


def test_nobody_is_asked_at_the_end(doctor):
    with main_cf(doctor, (END, "submission_end ="), (DATA, "submission_data =")):
        found = doctor.checks()
    assert red(found) == {"postfix_end_of_data"} and yellow(found) == {"postfix_data"}
    line = ("-o { smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:"
            f"{doctor.stack.port('mta')} }}")
    assert line in found["postfix_end_of_data"]["advice"]
    with main_cf(doctor, (END, "submission_end ="), (DATA, "submission_data =")), \
            changed(doctor.folder / "postfix/conf/master.cf",
                    ("  -o syslog_name=postfix/submission", f"  {line}"),
                    ("  -o syslog_name=postfix/relay", f"  {line}")):
        text = (doctor.folder / "postfix/conf/master.cf").read_text()
        own = "  -o smtpd_end_of_data_restrictions=$submission_end\n"
        (doctor.folder / "postfix/conf/master.cf").write_text(text.replace(own, ""))
        assert red(doctor.checks()) == set(), "the line that it says to write"


def test_asked_at_data_and_not_at_the_end(doctor):
    with main_cf(doctor, (END, "submission_end =")):
        found = doctor.checks()
    assert red(found) == {"postfix_end_of_data", "postfix_data"}
    assert "nothing is judged" in found["postfix_data"]["found"]


def test_what_ends_the_list_before(doctor):
    with main_cf(doctor, (END, "submission_end = permit_sasl_authenticated, $sendguard"),
                 (DATA, "submission_data =")):
        found = doctor.checks()
    assert red(found) == {"postfix_end_of_data"}
    assert "permit_sasl_authenticated ends" in found["postfix_end_of_data"]["found"]


def test_a_permit_for_this_network(doctor):
    lines = ((END, "submission_end = permit_mynetworks, $sendguard"), (DATA, "submission_data ="))
    with main_cf(doctor, *lines):
        assert red(doctor.checks()) == set(), "mynetworks is empty"
    with main_cf(doctor, *lines, ("mynetworks =\n", "mynetworks = 127.0.0.0/8\n")):
        found = doctor.checks()
    assert red(found) == {"postfix_end_of_data"}
    assert "permit_mynetworks ends" in found["postfix_end_of_data"]["found"]


def test_another_policy_service_is_asked(doctor):
    with main_cf(doctor, (END, "submission_end = check_policy_service inet:127.0.0.1:1"),
                 (DATA, "submission_data =")):
        assert red(doctor.checks()) == {"postfix_end_of_data"}


def test_a_class_of_restrictions_is_followed(doctor):
    with main_cf(doctor, (END, "smtpd_restriction_classes = ours\nours = $sendguard\n"
                               "submission_end = ours")):
        assert red(doctor.checks()) == set()


def test_a_socket_file_in_the_queue_directory(doctor):
    """As a chroot sees it; nobody listens there, which another check says."""
    path = doctor.folder / "postfix/queue/sendguard/mta.sock"
    with main_cf(doctor, ("sendguard = check_policy_service { inet:127.0.0.1:"
                          f"{doctor.stack.port('mta')}, timeout=10s }}",
                          "sendguard = check_policy_service unix:sendguard/mta.sock")):
        found = doctor.checks(settings=[f"mta.listen={path}"])
    assert red(found) == {"sockets"}


def test_recipients_are_not_named(doctor):
    with main_cf(doctor, ("reject_unlisted_recipient, $sendguard,\n    permit_sasl",
                          "reject_unlisted_recipient,\n    permit_sasl")):
        found = doctor.checks()
    assert red(found) == {"postfix_recipients"}
    assert "permit_sasl_authenticated ends" in found["postfix_recipients"]["found"]


def test_no_reference_header(doctor):
    with main_cf(doctor, (DATA, "submission_data =")):
        found = doctor.checks()
    assert red(found) == set() and yellow(found) == {"postfix_data"}


def test_a_webmail_without_tickets(doctor):
    found = doctor.checks(settings=["mta.webmail_hosts=none"])
    assert red(found) == set() and "tickets" in yellow(found)
    assert "webmail_hosts = " in found["tickets"]["advice"]


@contextlib.contextmanager
def followed(doctor, **changes):
    """The follower stands still, and these members of its cursor are others."""
    doctor.stack.stop("feedback")
    try:
        with contextlib.closing(sqlite3.connect(doctor.folder / "guard/sendguard.db")) as database:
            (before,) = database.execute("SELECT bytes FROM value WHERE kind = 0").fetchone()
            cursor = {**json.loads(before), **changes}
            update = "UPDATE value SET bytes = ? WHERE kind = 0"
            database.execute(update, (json.dumps(cursor).encode(),))
            database.commit()
            try:
                yield
            finally:
                database.execute(update, (before,))
                database.commit()
    finally:
        doctor.stack.start("feedback")


def test_the_log_that_is_followed(doctor):
    file = doctor.folder / "log/mailer.postfix.log"
    end_ms = int(file.stat().st_mtime) * 1000
    with followed(doctor, log_ms=end_ms - 301_000), mode(file, 0o644):
        found = doctor.checks()
        assert red(found) == {"feedback", "complaints"} and "301 s" in found["feedback"]["found"]
        with mode(file, 0o600):
            found = doctor.checks()
        assert red(found) == {"feedback", "complaints", "log_source"}
        assert "cannot be read by nobody" in found["log_source"]["found"]
        assert "CAP_DAC_READ_SEARCH" in found["log_source"]["advice"]
    with followed(doctor, log_ms=end_ms - 61_000):
        found = doctor.checks("feedback")
        assert red(found) == set() and yellow(found) == {"feedback"}
    for seconds, state in ((100, "ok"), (130, "warn"), (310, "bad")):  # it stands still, and no mail passes
        with followed(doctor, log_ms=end_ms, read_ms=int(time.time() * 1000) - seconds * 1000):
            found = doctor.checks("feedback")["feedback"]
        assert found["state"] == state
        assert state == "ok" or "no sign" in found["found"] and "restart sendguard-feedback" in found["advice"]
    with followed(doctor, messages=300, gaps=3):
        found = doctor.checks()
        assert red(found) == {"gaps", "complaints"} and "3 messages" in found["gaps"]["found"]
    with followed(doctor, messages=300, gaps=2):
        assert yellow(doctor.checks()) == {"gaps"}


def test_another_log_than_postfix_has(doctor):
    file = doctor.folder / "log/mailer.postfix.log"
    for source in ("journal", "file:/var/log/mail.log"):
        found = doctor.checks(settings=[f"feedback.source={source}"])
        assert red(found) == {"log_source"}
        assert found["log_source"]["advice"] == f"below [feedback]: source = file:{file}"
        assert found["feedback"]["state"] == "skip" and "start sendguard-feedback" in found["gaps"]["advice"]
    with main_cf(doctor, (f"maillog_file = {file}\n", "")):
        found = doctor.checks()
        assert red(found) == set() and yellow(found) == {"log_source"}
        found = doctor.checks("log_source", settings=[f"feedback.source=file:{file}.not"])
    assert red(found) == {"log_source"} and "is not there" in found["log_source"]["found"]


def test_names_and_addresses(doctor):
    doctor.hosts("192.0.2.1 other.example.test")
    try:
        found = doctor.checks()
        assert red(found) == {"ptr", "helo"}, "no name at all"
        assert "PTR of 127.0.0.1" in found["ptr"]["advice"]
        assert "mx.example.test. IN A 127.0.0.1" in found["helo"]["advice"]
        doctor.hosts("127.0.0.1 other.example.test", "127.0.0.1 mx.example.test")
        assert red(doctor.checks()) == set()
        doctor.hosts("127.0.0.1 other.example.test", "192.0.2.1 mx.example.test")
        found = doctor.checks()
        assert red(found) == {"helo"}
        assert found["helo"]["advice"].startswith("mx.example.test. IN A 127.0.0.1")
        found = doctor.checks(settings=["spf.outgoing=192.0.2.1", "spf.outgoing=192.0.2.2"])
        assert red(found) == {"ptr", "helo"} and "192.0.2.2 has no name" in found["ptr"]["found"]
    finally:
        doctor.hosts("127.0.0.1 mx.example.test")
    found = doctor.checks("ptr", "helo", "spf", settings=["spf.outgoing=none"])
    assert {one["state"] for one in found.values()} == {"skip"}
    assert "outgoing = " in found["ptr"]["advice"]


@pytest.mark.parametrize("service", ["smtp inet", "127.0.0.1:25 inet", "smtpd pass"])
def test_logins_on_port_25(doctor, service):
    incoming = "# Mail from other servers: nobody is signed in, so the guard lets it pass.\n"
    with changed(doctor.folder / "postfix/conf/master.cf",
                 (incoming, f"{service} n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n")):
        found = doctor.checks()
    assert red(found) == {"port_25", "milter"}
    assert "smtpd_sasl_auth_enable=no" in found["port_25"]["advice"]


def test_everybody_may_use_sendmail(doctor):
    with main_cf(doctor, ("authorized_submit_users = root\n", "")):
        found = doctor.checks()
    assert red(found) == {"sendmail"}
    assert found["sendmail"]["advice"] == "postconf -e authorized_submit_users=root"


def test_filters_that_nobody_judges(doctor):
    path = doctor.folder / "dovecot/forwarding.conf"
    port = doctor.stack.port("forwarding")
    with changed(path, (f"submission_host = 127.0.0.1:{port}\n", "")):
        found = doctor.checks()
    assert red(found) == {"sieve"} and "submission_host = " in found["sieve"]["advice"]
    found = doctor.checks(settings=["mta.forwarding_networks=none"])
    assert red(found) == {"sieve"} and "forwarding_networks = " in found["sieve"]["advice"]


def test_milter(doctor):
    port = doctor.stack.port("milter")

    def found(**more):
        return doctor.checks("milter", **more)["milter"]

    assert found()["state"] == "ok" and found()["found"].startswith("sendguard-milter answers at")
    unused = found(settings=["milter.listen="])
    assert unused["state"] == "ok" and "is not used" in unused["found"]
    with main_cf(doctor, (f"submission_milters = inet:127.0.0.1:{port}",
                          f"submission_milters = {{ inet:localhost:{port}, default_action=accept }}")):
        assert found()["state"] == "ok"
    with main_cf(doctor, (f"submission_milters = inet:127.0.0.1:{port}", "submission_milters = inet:127.0.0.1:1")):
        missing = found()
        assert missing["state"] == "bad" and "has no headers judged" in missing["found"]
        assert f"-o smtpd_milters=inet:127.0.0.1:{port}" in missing["advice"]
    doctor.stack.stop("milter")
    try:
        assert found()["state"] == "bad" and found()["advice"] == "systemctl start sendguard-milter"
    finally:
        doctor.stack.start("milter")


def test_notify(doctor):
    def found(*settings):
        return doctor.checks("notify", settings=[f"notify.{one}" for one in settings])["notify"]

    assert found()["state"] == "ok" and "is not used" in found()["found"]
    nobody = found("mail_to=desk@example.test")
    assert nobody["state"] == "bad" and "notify.mail_from is not set" in nobody["found"]
    idle = found("mail_to=desk@example.test", "mail_from=guard@example.test")
    assert idle["state"] == "bad" and idle["advice"] == "systemctl enable --now sendguard-notify"


def test_parked(doctor):
    def found(*settings):
        return doctor.checks("parked", settings=settings)["parked"]

    assert found()["state"] == "ok" and "is not used" in found()["found"]
    used = found("parked.imap=imap://127.0.0.1:143")
    assert used["state"] == "ok" and "no parked message waits" in used["found"]


def test_held(doctor):
    def found(**more):
        return doctor.checks("held", **more)["held"]

    assert found()["state"] == "ok" and "answers; Postfix holds 0 messages" in found()["found"]
    unused = found(settings=["postqueue.socket="])
    assert unused["state"] == "ok" and "is not used" in unused["found"]
    absent = found(settings=["postqueue.socket=/nonexistent/socket"])
    assert absent["state"] == "ok" and "is not set up" in absent["found"]
    needed = found(settings=["postqueue.socket=/nonexistent/socket", "unusual.mode=hold"])
    assert needed["state"] == "warn" and "systemctl enable" in needed["advice"]
    with mode(doctor.folder / "guard/postqueue.sock", 0o600):
        assert found()["state"] == "bad" and "SocketGroup=" in found()["advice"]
    doctor.stack.stop("mailer")
    try:  # postqueue looks itself when Postfix is down
        assert found()["state"] == "ok"
    finally:
        doctor.stack.start("mailer")
    broken = found(settings=["postqueue.socket=" + str(doctor.folder / "dovecot/run/lmtp")])
    assert broken["state"] == "bad" and "journalctl" in broken["advice"]


def test_owners(doctor):
    def found(*sources):
        settings = ["identity.mode=observe", "identity.owners=" + " ".join(map(str, sources))]
        return doctor.checks("owners", settings=settings)["owners"]

    owners = doctor.folder / "guard/owners"
    owners.write_text("team@example.test alice@example.test\n")
    assert doctor.checks("owners")["owners"]["found"].startswith("no source is asked")
    one = found(f"file:{owners}")
    assert one["state"] == "ok" and one["found"].startswith("1 source answers, the slowest after ")
    absent = f"socketmap:unix:{doctor.folder}/absent:aliases"
    silent = found(f"file:{owners}", absent)
    assert silent["state"] == "bad" and silent["found"].startswith(f"{absent} does not answer")
    with mode(owners, 0):
        unread = found(f"file:{owners}")
    assert unread["state"] == "bad" and f"{owners}: " in unread["found"]


def test_sign_ins(doctor):
    """Who is asked, knows the key, and the rest of what logins.md says."""
    policy, port = doctor.folder / "dovecot/policy.conf", doctor.stack.port("auth")
    asks = f"auth_policy_server_url = http://127.0.0.1:{port}/\n"

    def found(**more):
        return doctor.checks("logins", **more)["logins"]

    assert found()["state"] == "ok" and found()["found"].startswith("sendguard-auth answers at")
    assert "without the key" not in doctor.stack.log("auth"), "no intruder"
    with changed(policy, ("Authorization: Bearer ", "Authorization: Bearer x")):
        all_of_them = doctor.checks()
        assert red(all_of_them) == {"logins"}
        assert "does not know the key" in all_of_them["logins"]["found"]
        assert "without the key" in doctor.stack.log("auth")
    long = ("timeout_msecs = 500", "timeout_msecs = 2000") if VERSION_23 else ("timeout = 500ms", "timeout = 2s")
    with changed(policy, long):
        assert found()["state"] == "warn" and "waits 4 s" in found()["found"]
    with changed(policy, (" stage", " other")):
        assert found()["state"] == "warn" and "stage=%{passdb:sendguard}" in found()["advice"]
    with changed(policy, (f":{port}/", ":1/")):
        assert found()["state"] == "skip"
    with changed(policy, (asks, "")):
        assert found()["state"] == "warn" and f"http://127.0.0.1:{port}/" in found()["advice"]
        unused = found(settings=["auth.key_file=/nowhere/auth-key"])
        assert (unused["state"], unused["found"]) == ("ok", "sendguard-auth is not used")
    says = "  override_fields = sendguard=1\n" if VERSION_23 else "    sendguard = 1\n"
    with changed(doctor.folder / "dovecot/dovecot.conf", (says, "")):
        assert found()["state"] == "warn" and "in each passdb: " in found()["advice"]
    for before, after in (("login_trusted_networks = 127.0.0.2\n", ""),
                          ("networks = 127.0.0.2", "networks = 10.0.0.0/8 webmail.example.test")):
        with changed(doctor.folder / "dovecot/dovecot.conf", (before, after)):
            assert found()["state"] == "warn"
            assert found()["advice"] == "dovecot.conf: login_trusted_networks = 127.0.0.2"
    with changed(doctor.folder / "dovecot/dovecot.conf", ("networks = 127.0.0.2", "networks = 10.0.0.1 127.0.0.0/24")):
        assert found()["state"] == "ok"
    with changed(doctor.folder / "dovecot/dovecot.conf", ("listener anvil-auth-penalty", "listener other")):
        assert found()["state"] == "warn" and "slow down everybody" in found()["found"]
    doveadm = doctor.stack.port("doveadm")
    closed = found(settings=["dovecot.doveadm_url=http://127.0.0.1:1"])
    assert closed["state"] == "bad" and "does not answer" in closed["found"]
    missing = found(settings=["dovecot.doveadm_key_file=/nowhere/key"])
    assert missing["state"] == "bad" and "there is no such file" in missing["found"]
    wrong = found(settings=[f"dovecot.doveadm_key_file={doctor.folder}/guard/auth-key"])
    assert wrong["state"] == "bad" and "does not know the key" in wrong["found"]
    assert f"http://127.0.0.1:{doveadm} " in wrong["found"]
    assert found(settings=["dovecot.doveadm_url="])["state"] == "ok"
    doctor.stack.stop("auth")
    try:
        assert found()["state"] == "bad" and found()["advice"] == "systemctl start sendguard-auth"
    finally:
        doctor.stack.start("auth")


def test_no_mail_server(doctor, folder):
    command = doctor.command("--json", "sendmail", "sieve")
    command[command.index("--postfix") + 1] = folder
    command[command.index("--dovecot") + 1] = folder / "dovecot.conf"
    done = subprocess.run(command, capture_output=True, text=True)
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {one["state"] for one in found.values()} == {"skip"}
    assert "--postfix" in found["sendmail"]["advice"] and "--dovecot" in found["sieve"]["advice"]
