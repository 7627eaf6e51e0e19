"""sendguard-parked: a real Dovecot, a real Postfix, and between them and the program relays that hold what
is said at a step, where it is killed. Nothing is sent twice, and nothing is lost."""

import contextlib
import email
import email.policy
import hashlib
import http.client
import imaplib
import json
import os
import re
import secrets
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from postfix import Stack
from programs import PATIENCE, RedisServer, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="each program runs as a user of its own")
DOVECOT = subprocess.run(["dovecot", "--version"], check=True, capture_output=True, text=True).stdout
AS_GUARD = ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups", "--no-new-privs"]


class Relay:
    """Passes on what both sides say until the program said `hold`. That is kept from the server, or (`lose`)
    the server's answer from the program; then `held` is set, and nothing is passed on any more."""

    def __init__(self, port, source):
        self.target, self.source = ("127.0.0.1", port), (source, 0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self, hold=None, lose=False, go_on=None):
        """With `go_on`, an event, all goes on after that."""
        self.hold, self.lose, self.said, self.held, self.go_on = hold, lose, b"", threading.Event(), go_on

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(self.target, 20, self.source) as server:
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is server:
                        client.sendall(data)
                        continue
                    self.said += data
                    stop = self.hold is not None and re.search(self.hold, self.said)
                    if stop and self.go_on is not None:
                        self.held.set()
                        self.go_on.wait()
                        self.hold = stop = None
                    if not stop or self.lose:
                        server.sendall(data)
                    if stop:
                        if self.lose:
                            server.recv(65536)
                        self.held.set()
                        client.recv(1) # it is killed
                        return


class Parked:
    """The program of a stack, and what its users and Dovecot know."""

    def __init__(self, stack):
        self.stack, self.settings = stack, ()
        self.imap = Relay(stack.port("imap"), "127.0.0.1")
        self.smtp = Relay(stack.port("smtp"), stack.env["webmail_host"])

    def command(self, *more, **ports):
        guard = self.stack.folder / "guard"
        settings = [*(guard / "overrides").read_text().split("\n"),
                    f"parked.imap=imap://127.0.0.1:{ports.get('imap', self.imap.port)}",
                    f"parked.smtp=smtp://127.0.0.1:{ports.get('smtp', self.smtp.port)}", *self.settings]
        options = [word for one in settings if one for word in ("-o", one)]
        return [*AS_GUARD, str(guard / "sendguard-parked"), "-c", str(guard / "sendguard.conf"), *options, *more]

    def once(self, status=0, **ports):
        done = subprocess.run(self.command("--once", **ports), capture_output=True, text=True, timeout=PATIENCE * 3,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stderr
        return done.stderr

    def killed(self, relay, hold, lose=False):
        """It runs until it says that there, and is killed then."""
        relay.reset(hold, lose)
        process = subprocess.Popen(self.command("--once"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert relay.held.wait(PATIENCE * 3), relay.said
        process.kill()
        process.wait()
        self.imap.reset()
        self.smtp.reset()

    def judge(self, mailbox, to, query="", **more):
        """What the endpoint answers about a message."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.stack.port('submissions')}/sendguard/submissions{query}",
            json.dumps({"mailbox": mailbox, "ip": "192.0.2.1", "from": mailbox, "to": [to], **more}).encode(),
            {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            return json.load(refusal)

    def tell(self, mailbox, status=200, **words):
        """As the plugin does it: a link that was just made, and an action."""
        link = self.judge(mailbox, mailbox, "?dry_run=1")["status_url"]
        query = urllib.parse.urlsplit(link).query
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port("webmail"), timeout=PATIENCE)
        connection.request("POST", f"/sending/status/parked?{query}", json.dumps(words),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == status, answer.read()
        return json.load(answer)

    def listed(self, mailbox):
        return [(one["state"], one["tries"]) for one in self.tell(mailbox, action="list")["parked"]]

    @contextlib.contextmanager
    def signed_in(self, mailbox):
        imap = imaplib.IMAP4("127.0.0.1", self.stack.port("imap"))
        imap.login(mailbox, "secret")
        yield imap
        imap.logout()

    def messages(self, mailbox, folder):
        with self.signed_in(mailbox) as imap:
            imap.select(folder)
            numbers = imap.search(None, "ALL")[1][0].split()
            return [imap.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]

    def park(self, mailbox, subject, to="bob@example.test", changed=False, drafts="Drafts", sent="Sent", **more):
        """A draft that is due: as the plugin writes and parks it, and in which folder it says that it lies."""
        number = secrets.token_hex(16)
        more = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        raw = (f"X-Sendguard-Parked: {number}\r\nMIME-Version: 1.0\r\nDate: Fri, 01 Jan 2021 10:00:00 +0100\r\n"
               f"From: Someone\r\n <{mailbox}>\r\nTo: {to}\r\n{more}Subject: {subject}\r\n"
               f"Message-ID: <{number}@example.test>\r\nX-Draft-Info: type=reply; uid=7\r\n"
               "Content-Type: text/plain; charset=UTF-8\r\n\r\nHello.\r\n.\r\n..two\r\n").encode()
        with self.signed_in(mailbox) as imap:
            assert imap.append("Drafts", r"\Seen \Draft", None, raw + (b"More.\r\n" if changed else b""))[0] == "OK"
        self.tell(mailbox, action="park", id=number, at=moment(), recipients=1,
                  digest=hashlib.sha256(raw).hexdigest(), drafts=drafts, sent=sent)
        return number

    def arrived(self, subject, mailbox="bob@example.test"):
        folder = self.stack.folder / "mail" / mailbox / "new"
        mails = [email.message_from_bytes(one.read_bytes(), policy=email.policy.default)
                 for one in (folder.iterdir() if folder.exists() else ())]
        return [mail for mail in mails if mail["Subject"] == subject]

    def hurry(self, mailbox, member, minutes):
        """That moment of what is parked was so many minutes ago: nobody waits for it."""
        with contextlib.closing(sqlite3.connect(self.stack.folder / "guard/sendguard.db", timeout=PATIENCE)) as base, base:
            number, text = base.execute("SELECT id, bytes FROM value WHERE key = ? AND CAST(bytes AS TEXT)"
                                        " LIKE '{\"parked\":%'", [mailbox]).fetchone()
            tree = json.loads(text)
            for one in tree["parked"]:
                assert one[member]
                one[member] = int(time.time() * 1000) - minutes * 60000
            base.execute("UPDATE value SET bytes = ?, version = version + 1 WHERE id = ?",
                         [json.dumps(tree, separators=(",", ":")).encode(), number])


def moment():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.fixture(scope="module")
def stack():
    stack = Stack()
    yield stack
    stack.down()


@pytest.fixture(scope="module")
def the_parked(stack):
    return Parked(stack)


@pytest.fixture
def parked(the_parked):
    the_parked.imap.reset()
    the_parked.smtp.reset()
    return the_parked


@pytest.fixture
def mailbox(stack):
    return stack.new_mailbox()


def check_sent(parked, mailbox):
    subject = f"waited {secrets.token_hex(4)}"
    parked.park(mailbox, subject, to='"Bob, a friend" <bob@example.test>, Bob@example.test',
                Cc="alice@example.test, bob@example.test", Bcc="carol@example.test")
    said = parked.once()
    assert "a parked message is sent" in said and "level=error" not in said
    parked.stack.delivered("carol@example.test", subject)
    eventually(lambda: parked.arrived(subject), "it arrives")
    mail = parked.arrived(subject)[0]
    hidden = ("Bcc", "X-Sendguard-Parked", "X-Sendguard-Sent", "X-Draft-Info")
    assert [name for name in hidden if mail[name] is not None] == []
    assert mail.get_all("Date") and "2021" not in mail["Date"] and mail["Return-Path"] == f"<{mailbox}>"
    assert mail.get_content() == "Hello.\n.\n..two\n"
    assert parked.smtp.said.count(b"RCPT TO:") == 4
    assert parked.listed(mailbox) == [] and parked.messages(mailbox, "Drafts") == []
    kept = email.message_from_bytes(parked.messages(mailbox, "Sent")[0])
    assert kept["Bcc"] == "carol@example.test" and kept["X-Sendguard-Parked"] is None
    assert re.fullmatch(r"parked\.[0-9a-f]{32}\.\d+\.0", kept["X-Sendguard-Sent"]), "by that the webmail finds it"
    assert parked.stack.used(mailbox) == 1, "it counts once"
    parked.smtp.reset()
    parked.once()
    assert parked.smtp.said == b""


def test_sent(parked, mailbox):
    """As the user, to all recipients, and it counts once."""
    check_sent(parked, mailbox)


STEPS = [ # where it is killed, and then: whether it was sent, is in Sent, is still among the drafts
    ("imap", rb"UID SEARCH", False, None),
    ("imap", rb"UID FETCH", False, None),
    ("smtp", rb"NOOP", False, None),
    ("smtp", rb"MAIL FROM", False, (0, 0, 1)),
    ("smtp", rb"DATA", False, (0, 0, 1)),
    ("smtp", rb"\r\n\.\r\n", False, (0, 0, 1)),
    ("smtp", rb"\r\n\.\r\n", True, (1, 0, 1)),
    ("imap", rb"APPEND", False, (1, 0, 1)),
    ("imap", rb"UID STORE", False, (1, 1, 1)),
    ("imap", rb"UID EXPUNGE", True, (1, 1, 0)),
]


@pytest.mark.parametrize("server, hold, lose, then", STEPS)
def test_killed(parked, mailbox, server, hold, lose, then):
    """At every step. Before the claim it is sent by the next run; behind it by nobody, and its user reads so."""
    subject = f"killed {secrets.token_hex(4)}"
    parked.park(mailbox, subject)
    parked.killed(getattr(parked, server), hold, lose)
    if then is None:
        assert parked.listed(mailbox) == [("due", 0)]
        parked.once()
        eventually(lambda: parked.arrived(subject), "it arrives")
        assert parked.smtp.said.count(b"MAIL FROM") == 1 and parked.stack.used(mailbox) == 1
        assert parked.listed(mailbox) == []
        return
    sent, kept, drafts = then
    assert parked.listed(mailbox) == [("claimed", 0)]
    parked.once()
    parked.hurry(mailbox, "claimed_ms", 6)
    parked.once()
    assert parked.smtp.said == b"" and parked.listed(mailbox) == [("unknown", 0)]
    eventually(lambda: len(parked.arrived(subject)) == sent, "what was sent arrives")
    assert (len(parked.messages(mailbox, "Sent")), len(parked.messages(mailbox, "Drafts"))) == (kept, drafts)


def test_judged_by_a_visit_that_died(parked, mailbox):
    """The charge of that is this one's: it counts once."""
    parked.park(mailbox, "judged")
    number = parked.tell(mailbox, action="list")["parked"][0]["submission_id"]
    assert parked.judge(mailbox, "bob@example.test", id=number)["verdict"] == "admit"
    parked.once()
    eventually(lambda: parked.arrived("judged"), "it arrives")
    assert parked.stack.used(mailbox) == 1


def test_refused_again(parked, mailbox):
    """It waits for the next moment, as a draft."""
    parked.park(mailbox, "refused")
    parked.stack.sendguard("suspend", mailbox, "--cause", "volume", "--for", "1h", "--note", "a test")
    assert "refused again" in parked.once()
    assert parked.listed(mailbox) == [("waiting", 1)] and len(parked.messages(mailbox, "Drafts")) == 1
    assert b"MAIL FROM" not in parked.smtp.said


def test_locked(parked, mailbox):
    """A lock drops what waits, also while it is on its way."""
    parked.park(mailbox, "locked")
    parked.smtp.reset(rb"NOOP")
    process = subprocess.Popen(parked.command("--once"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert parked.smtp.held.wait(PATIENCE * 3)
    parked.stack.sendguard("suspend", mailbox, "--cause", "compromised", "--note", "a test")
    process.send_signal(signal.SIGKILL)
    process.wait()
    parked.smtp.reset()
    parked.once()
    assert parked.listed(mailbox) == [] and parked.smtp.said == b""
    assert len(parked.messages(mailbox, "Drafts")) == 1, "the draft stays"


def test_the_store_goes_away(parked, stack, mailbox):
    """Between the look and the judgement: what the program admits without the store it does not send, so it counts nowhere."""
    go_on = threading.Event()
    parked.park(mailbox, "no store")
    parked.smtp.reset(rb"NOOP", go_on=go_on)
    parked.settings = ("store.on_failure=allow",)
    process = subprocess.Popen(parked.command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    parked.settings = ()
    assert parked.smtp.held.wait(PATIENCE * 3)
    with contextlib.closing(sqlite3.connect(stack.folder / "guard/sendguard.db", timeout=PATIENCE)) as base:
        base.execute("BEGIN IMMEDIATE")
        go_on.set()
        assert any(f"mailbox={mailbox}" in line and "the store does not answer" in line for line in process.stderr)
        base.rollback()
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert parked.listed(mailbox) == [("due", 0)] and stack.used(mailbox) == 0
    parked.once()
    assert parked.listed(mailbox) == [] and stack.used(mailbox) == 1


def test_changed(parked, mailbox):
    """What is not byte for byte what was parked waits for its user."""
    parked.park(mailbox, "changed", changed=True)
    assert "is not what was parked" in parked.once()
    assert parked.listed(mailbox) == [("due", 0)] and parked.smtp.said == b""


def test_not_taken(parked, mailbox):
    """The mail server refuses it for good: it is a draft, and does not count."""
    parked.park(mailbox, "not taken", to="nobody-here@example.test")
    assert "is not taken by the mail server" in parked.once()
    assert parked.listed(mailbox) == [("refused", 1)] and parked.stack.used(mailbox) == 0
    assert len(parked.messages(mailbox, "Drafts")) == 1


def test_what_cannot_be_read_keeps_nobody_waiting(parked, stack):
    """Drafts that are said to be where there is no folder. The store has the mailboxes in the order of their names."""
    first, second = sorted([stack.new_mailbox(), stack.new_mailbox()])
    for number in range(4):
        parked.park(first, f"nowhere {number}", drafts="Nowhere")
    parked.park(second, "somewhere")
    said = parked.once()
    assert said.count("cannot be read") == 4
    eventually(lambda: parked.arrived("somewhere"), "it arrives")
    for one in parked.tell(first, action="list")["parked"]:
        assert (one["state"], one["tries"]) == ("due", 0)
        parked.tell(first, action="cancel", id=one["id"])


def test_sent_is_made(parked, mailbox):
    """Where the user has none yet, as the webmail makes it."""
    folder = 'Once &APw-ber "100%41"'
    parked.park(mailbox, "kept", sent=folder)
    parked.once()
    assert parked.listed(mailbox) == []
    assert len(parked.messages(mailbox, '"' + folder.replace('"', '\\"') + '"')) == 1


@pytest.mark.skipif(not DOVECOT.startswith("2.3."), reason="the lines of another version")
def test_over_quota(parked, stack):
    """No copy fits into the mailbox: the draft itself is moved, and nobody reads that it may not have been sent."""
    with open(stack.folder / "dovecot/dovecot.conf", "a", encoding="ascii") as settings:
        settings.write("mail_plugins = $mail_plugins quota\nplugin {\n  quota = maildir:User\n}\n")
    with open(stack.folder / "dovecot/passwd", "a", encoding="ascii") as passwords:
        passwords.write("full@example.test:{PLAIN}secret::::::userdb_quota_rule=*:bytes=500\n")
    subprocess.run(["doveadm", "-c", stack.folder / "dovecot/dovecot.conf", "reload"], check=True, capture_output=True)

    def is_full():
        with contextlib.suppress(imaplib.IMAP4.error), parked.signed_in("full@example.test") as imap:
            if imap.append("Sent", None, None, b"x" * 501)[0] == "NO":
                return True
            imap.select("Sent")
            imap.store("1:*", "+FLAGS", r"\Deleted")
            imap.expunge()
        return False
    eventually(is_full, "Dovecot knows the quota")
    parked.park("full@example.test", "over quota")
    parked.once()
    eventually(lambda: parked.arrived("over quota"), "it arrives")
    assert parked.listed("full@example.test") == [] and parked.messages("full@example.test", "Drafts") == []
    assert len(parked.messages("full@example.test", "Sent")) == 1


@pytest.mark.parametrize("away", ["imap", "smtp"])
def test_away(parked, mailbox, away):
    """No server there: nothing is claimed, and the next run sends it."""
    subject = f"away {away}"
    parked.park(mailbox, subject)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    parked.once(1, **{away: port})
    assert parked.listed(mailbox) == [("due", 0)]
    parked.once()
    eventually(lambda: parked.arrived(subject), "it arrives")


def test_parked_by_roundcube(parked, mailbox):
    """What the plugin tells of the draft is what is found there."""
    parked.stack.sendguard("suspend", mailbox, "--cause", "volume", "--for", "1h", "--note", "a test")
    with parked.stack.roundcube(mailbox, "127.0.0.1") as user:
        assert user.send("bob@example.test", subject="by Roundcube", _sendguard="park") is True
    parked.stack.sendguard("lift", mailbox, "--note", "a test")
    assert parked.listed(mailbox) == [("waiting", 0)]
    parked.once()
    assert parked.smtp.said == b""
    parked.hurry(mailbox, "at_ms", 1)
    parked.once()
    eventually(lambda: parked.arrived("by Roundcube"), "it arrives")
    assert parked.listed(mailbox) == [] and len(parked.messages(mailbox, "Sent")) == 1


def test_by_itself(parked, mailbox):
    """The program that runs all the time sends it at its moment, and ends when it is told to."""
    process = subprocess.Popen(parked.command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    parked.park(mailbox, "by itself")
    eventually(lambda: parked.arrived("by itself"), "it arrives")
    eventually(lambda: parked.listed(mailbox) == [], "it is off the list")
    process.terminate()
    assert process.wait(PATIENCE) == 0, process.stderr.read()


@pytest.mark.parametrize("setting, words", [
    ("parked.imap=imap://192.0.2.1:143", "expected imaps:// or smtps:// to another machine"),
    ("parked.smtp=", "is not set"),
    ("parked.master_user=", "is not set"),
    ("parked.password_file=/nowhere/password", "/nowhere/password"),
])
def test_wrong_settings(parked, setting, words):
    parked.settings = (setting,)
    try:
        done = subprocess.run(parked.command("--check"), capture_output=True, text=True, timeout=PATIENCE * 3)
    finally:
        parked.settings = ()
    assert done.returncode == 78 and words in done.stderr, done.stderr


def test_sent_over_redis(parked, stack, mailbox):
    """The last one: other settings for all that runs."""
    folder = stack.folder / "redis"
    folder.mkdir(mode=0o755)
    server = RedisServer(folder)
    server.start()
    server.socket_path.chmod(0o777)
    try:
        stack.settings(f"store.url=redis+unix://{server.socket_path}")
        check_sent(parked, mailbox)
    finally:
        stack.settings()
        server.stop()
