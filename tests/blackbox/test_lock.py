"""Mailboxes that are locked since a stranger has their password: what a real Dovecot answers by IMAP and,
behind Postfix, by SMTP; and how they are opened again."""

import os
import re
import subprocess

import pytest

from clock import DAY, Clock
from logins import RIGHT, VERSION_23, Auth, Dovecot, Postfix
from programs import BUILD, PATIENCE, Guard, eventually
from web import Client, Web

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot runs as several users")

CLI = BUILD / "sendguard"
ALICE, BOB = "alice@example.test", "bob@example.test"
WRONG = "[AUTHENTICATIONFAILED] Authentication failed."
TEXT = "This mailbox is locked, since others may know its password; "
BREACHED = ("[ALERT] This mailbox is locked, since its password is in a list of stolen passwords; to set a new "
            "one, ask help@example.test")
LOCKED = f"[ALERT] {TEXT}to set a new one, ask help@example.test"
CLOSED = f"[ALERT] {TEXT}ask help@example.test"
TOO_OLD = ("[ALERT] The password of this mailbox is older than 30 days; to set a new one, "
           "ask help@example.test")


class Place:
    """A program whose clock stands, its Dovecot, and the command line by the same clock."""

    def __init__(self, folder, store):
        self.clock = Clock(folder)
        self.auth = Auth(folder, store, {"support": {"contact": "help@example.test"}},
                         environment=self.clock.environment)
        self.dovecot = Dovecot(folder, self.auth.port)
        self.servers = [self.dovecot, self.auth]

    def start(self, settings=None):
        self.auth.configure(settings or {})
        self.auth.start()
        self.dovecot.add(ALICE, BOB)
        self.dovecot.start()
        return self

    def postfix(self):
        postfix = Postfix(self.dovecot)
        self.servers.insert(0, postfix)
        return postfix.start()

    def stop(self):
        for server in self.servers:
            server.stop()

    def run(self, *words):
        return subprocess.run([CLI, "-c", self.auth.config_path, *words], capture_output=True, text=True,
                              check=False, timeout=PATIENCE,
                              env={**os.environ, **self.clock.environment, "LC_ALL": "C.UTF-8"})

    def shell(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def signs_in(self):
        """Alice does, and the store knows of it."""
        assert self.dovecot.sign_in(ALICE) == ""
        eventually(lambda: "127.0.0.1" in self.shell("logins", ALICE), "it is in the store")

    def is_answered(self, expected, name=ALICE):
        """A moment later, as every machine knows of a lock and of its end."""
        eventually(lambda: self.dovecot.sign_in(name) == expected, expected)


@pytest.fixture
def place(folder, store):
    place = Place(folder, store)
    yield place.start()
    place.stop()


def test_locked_and_opened(place):
    """The right password reads what to do, by IMAP and SMTP; a wrong one, and a neighbour, see nothing."""
    postfix = place.postfix()
    place.signs_in()
    assert postfix.sign_in(ALICE) == ""
    assert "nobody signs in" in place.shell("lock", ALICE, "--note", "spam from abroad")
    place.is_answered(LOCKED)
    assert postfix.sign_in(ALICE) == f"535 5.7.8 Error: authentication failed: {LOCKED[8:]}"
    assert place.dovecot.sign_in(ALICE, "guess") == WRONG
    assert place.dovecot.sign_in("nobody@example.test", RIGHT) == WRONG
    assert place.dovecot.sign_in(BOB) == ""
    assert "locked until the password was changed." in place.shell("show", ALICE)
    assert re.search(rf"Locked since .*: sendguard show {ALICE}\n", place.shell("logins", ALICE))
    assert "the password was changed (signing in and sending)" in place.shell("suspended")
    assert re.search(r"compromised[^$]*locked since .*: nobody signs in, nothing is sent", place.shell("show", ALICE))
    assert "done." in place.shell("password-changed", ALICE, "--note", "by telephone")
    assert "compromised" not in place.shell("suspended")
    # the old password works: it is locked again at once, and everything is as it was
    eventually(lambda: place.dovecot.sign_in(ALICE) == LOCKED and
               place.auth.log.matching("is locked again, since the old password is right"), "it is seen")
    eventually(lambda: "compromised" in place.shell("suspended"), "sending is suspended again")


@pytest.mark.skipif(not VERSION_23, reason="it is written in the language of Dovecot 2.3")
def test_a_passdb_that_was_forgotten(place):
    """Who signs in by a passdb without sendguard=1 is let in, and the log says why; once, and not of those that
    have it."""
    place.signs_in()
    assert not place.auth.log.matching("lacks sendguard=1")
    place.dovecot.stop()
    passwords = place.dovecot.folder / "app-passwords"
    passwords.write_text(f"{ALICE}:{{PLAIN}}of-an-app::::::\n")
    with (place.dovecot.folder / "dovecot.conf").open("a") as file:
        file.write(f"passdb {{\n  driver = passwd-file\n  args = scheme=PLAIN username_format=%u {passwords}\n}}\n")
    place.dovecot.start()
    place.shell("lock", ALICE, "--note", "stolen")
    place.is_answered(LOCKED)
    for _ in range(2):
        assert place.dovecot.sign_in(ALICE, "of-an-app") == ""
    assert f"mailbox={ALICE}" in place.auth.log.wait("a passdb of Dovecot lacks sendguard=1")[0]
    assert len(place.auth.log.matching("lacks sendguard=1")) == 1


def test_the_password_is_changed(place):
    assert "Dovecot never asked" in place.shell("lock", ALICE, "--preview")
    place.signs_in()
    eventually(lambda: "Dovecot never asked" not in place.shell("lock", ALICE, "--preview"), "it is counted")
    place.shell("lock", ALICE, "--note", "spam from abroad")
    place.is_answered(LOCKED)
    place.dovecot.passwords.write_text(f"{ALICE}:{{PLAIN}}something-new::::::\n")
    eventually(lambda: place.dovecot.sign_in(ALICE, RIGHT) == WRONG, "Dovecot has the new password")
    assert place.dovecot.sign_in(ALICE, "something-new") == LOCKED
    eventually(lambda: "the password of the offence is refused since" in place.shell(
        "reopen", ALICE, "--preview"), "it is told")
    assert "another password was right" in place.shell("reopen", ALICE, "--preview")
    place.shell("reopen", ALICE, "--note", "changed")
    eventually(lambda: place.dovecot.sign_in(ALICE, "something-new") == "", "it is open")
    assert place.dovecot.sign_in(ALICE, RIGHT) == WRONG


def test_a_second_offence(place):
    """Closed: a changed password does not open it, an administrator does."""
    place.shell("lock", ALICE, "--note", "spam")
    place.shell("reopen", ALICE, "--note", "changed")
    place.clock.advance(364 * DAY)
    assert "closed since" in place.shell("lock", ALICE, "--preview")
    place.shell("lock", ALICE, "--note", "again")
    place.is_answered(CLOSED)
    assert "nothing to do" in place.shell("password-changed", ALICE, "--note", "x")
    refused = place.run("reopen", ALICE, "--note", "x")
    assert refused.returncode == 1 and "an administrator opens it" in refused.stderr
    place.shell("open", ALICE, "--note", "talked to her")
    place.is_answered("")


def test_in_a_list_of_stolen_passwords(place):
    """Locked with words of its own, until the password was changed, and no offence."""
    place.signs_in()
    assert "in a list of stolen ones" in place.shell("lock", ALICE, "--cause", "breached", "--note", "a list")
    place.is_answered(BREACHED)
    assert place.dovecot.sign_in(ALICE, "guess") == WRONG
    assert "breached" in place.shell("suspended")
    place.shell("password-changed", ALICE, "--note", "by the panel")
    assert "breached" not in place.shell("suspended")
    # it was not: locked again, for the same cause
    eventually(lambda: place.dovecot.sign_in(ALICE) == BREACHED and
               place.auth.log.matching("is locked again, since the old password is right"), "it is seen")
    eventually(lambda: "breached" in place.shell("suspended"), "sending is suspended again")
    assert "locked since" in place.shell("lock", ALICE, "--note", "a stranger uses it", "--preview")
    assert "done." in place.shell("lift", ALICE, "--note", "another mailbox")
    place.is_answered("")
    wrong = place.run("lock", ALICE, "--cause", "terms", "--note", "x")
    assert wrong.returncode == 64 and "expected compromised or breached" in wrong.stderr


def test_a_password_that_is_too_old(folder, store):
    """Warned of, then refused by IMAP and SMTP, until there is another or somebody says that it was changed."""
    place = Place(folder, store)
    try:
        postfix = place.start({"lock": {"password_max_age": "30d"}}).postfix()
        place.signs_in()
        begun_ms = place.clock.now_ms
        assert "in use for" not in place.shell("logins", ALICE)
        place.clock.set(begun_ms + 30 * DAY - 1000)
        assert "in use for 29 days at least; from " in place.shell("logins", ALICE)
        assert place.dovecot.sign_in(ALICE) == ""
        place.clock.set(begun_ms + 30 * DAY)
        assert place.dovecot.sign_in(ALICE) == TOO_OLD
        assert postfix.sign_in(ALICE) == f"535 5.7.8 Error: authentication failed: {TOO_OLD[8:]}"
        assert place.dovecot.sign_in(ALICE, "guess") == WRONG
        assert place.dovecot.sign_in(BOB) == ""
        assert "in use for 30 days at least; since " in place.shell("logins", ALICE)
        assert "suspended" not in place.shell("show", ALICE)
        place.shell("password-changed", ALICE, "--note", "it is said to be new")
        place.is_answered("")
        place.clock.advance(31 * DAY)
        assert place.dovecot.sign_in(ALICE) == TOO_OLD
        place.dovecot.passwords.write_text(f"{ALICE}:{{PLAIN}}something-new::::::\n")
        eventually(lambda: place.dovecot.sign_in(ALICE, "something-new") == "", "another passes by itself")
    finally:
        place.stop()


def test_a_list_of_mailboxes(place, folder):
    """All of a file, each with its entry in the audit log, or none where a name is none."""
    place.signs_in()
    names = folder / "names"
    names.write_text(f"# from the domain search\n{BOB}\n\n{ALICE}\nnobody@example.test\n")
    told = place.shell("lock", "--from", names, "--cause", "breached", "--preview")
    assert "would lock 3, and 0 locked already; 2 of them not seen here lately" in told
    place.is_answered("")
    wrong = place.run("lock", "no-domain", "--from", names, "--cause", "breached", "--note", "x")
    assert wrong.returncode == 64 and '"no-domain": ' in wrong.stderr and "(1 of 4 are wrong)" in wrong.stderr
    assert "breached" not in place.shell("suspended")
    place.shell("lock", BOB, "--note", "spam")
    told = place.shell("lock", "--from", names, "--cause", "breached", "--note", "a list")
    assert f"{BOB}, locked already" in told and "locked 2, and 1 locked already" in told
    place.is_answered(BREACHED)
    place.is_answered(LOCKED, BOB)
    assert "a list" in place.shell("audit", ALICE) and "a list" not in place.shell("audit", BOB)


def test_sending_alone(place):
    place.shell("lock", ALICE, "--scope", "sending", "--note", "may read on")
    assert "compromised" in place.shell("suspended")
    place.shell("lock", BOB, "--note", "all of it")
    place.is_answered(LOCKED, BOB)
    assert place.dovecot.sign_in(ALICE) == ""
    place.shell("lift", BOB, "--note", "the wrong mailbox")
    place.is_answered("", BOB)


def test_what_a_lift_leaves(place, folder):
    """Of another cause it leaves the lock, as one does that cannot read the key; and it says so."""
    place.shell("lock", ALICE, "--note", "spam")
    place.is_answered(LOCKED)
    place.shell("suspend", ALICE, "--cause", "terms", "--note", "x")
    assert "The lock stays: 'reopen' ends it" in place.shell("lift", ALICE, "--cause", "terms", "--note", "x")
    told = place.shell("lift", ALICE, "--preview")
    assert "The lock ends as our mistake, and is no offence; signing in is possible again." in told
    assert place.dovecot.sign_in(ALICE) == LOCKED
    secret = folder / "secret"
    secret.rename(folder / "elsewhere")
    lifted = place.run("lift", ALICE, "--note", "x")
    assert lifted.returncode == 1 and "if it is locked, the lock stays" in lifted.stderr
    (folder / "elsewhere").rename(secret)
    lifted = place.run("lift", ALICE, "--note", "x")
    assert lifted.returncode == 1 and "it is not suspended, but locked: reopen ends that" in lifted.stderr
    assert place.dovecot.sign_in(ALICE) == LOCKED
    place.shell("reopen", ALICE, "--note", "x")


def test_its_user_asks_for_it(place, folder, sender_at):
    """"That wasn't me" stops sending alone; its second step keeps the right password out too."""
    guard = Guard(folder, place.auth.store, environment=place.clock.environment)
    web = Web(folder, place.auth.store, environment=place.clock.environment)
    for program in (guard, web):
        place.servers.insert(0, program.start())
    link = sender_at(guard, ALICE).send(dry_run=True).json["status_url"]
    token = link.partition("?t=")[2].partition("&")[0]
    place.signs_in()
    for action, answer in (("lock", ""), ("lock_signins", LOCKED)):
        pressed = Client(web).post_form("/status", {"t": token, "action": action})
        assert pressed.status == 303, pressed
        place.is_answered(answer)
    assert "asked since" in place.shell("show", ALICE)
    assert "done." in place.shell("password-changed", ALICE, "--note", "by telephone")
    # the password is as it was
    eventually(lambda: place.dovecot.sign_in(ALICE) == LOCKED and "compromised" in place.shell("suspended"),
               "it is locked again")
    place.shell("lift", ALICE, "--note", "tried enough")
    place.shell("lock", ALICE, "--note", "by telephone")
    place.is_answered(LOCKED)
    counted = {"login_locks by=guard": 1, "login_locks by=user": 1, "login_locks by=staff": 1}
    eventually(lambda: counted.items() <= place.auth.store.counters().items(), f"counted: {counted}")
    eventually(lambda: place.auth.store.counters().get("login_lock_refusals", 0) >= 3, "refusals are counted")


def test_a_restart_and_another_store(place, folder):
    """A lock is there from the first question on, and moves with the store."""
    place.shell("lock", ALICE, "--note", "spam")
    place.auth.stop()
    place.auth.start()
    assert place.dovecot.sign_in(ALICE) == LOCKED
    place.auth.stop()
    url = f"sqlite://{folder}/moved.db"
    place.shell("store", "migrate", place.auth.store.url, url)
    place.auth.configure({"store": {"url": url}})
    place.auth.start()
    place.is_answered(LOCKED)


# ---- open sessions ---------------------------------------------------------------------------------

ENDED = "sessions of a locked mailbox are ended"


def goes_on(session):
    return session.noop()[0] == "OK"


def is_ended(session):
    """The server says goodbye by itself."""
    session.sock.settimeout(PATIENCE)
    return session.sock.recv(100).startswith(b"* BYE")


@pytest.fixture
def ending(folder, store):
    """A place whose sessions are ended when a lock begins."""
    place = Place(folder, store)
    place.auth.configure(place.dovecot.doveadm())
    yield place.start()
    place.stop()


def ends(place, result):
    return place.auth.store.counters().get(f"session_ends result={result}", 0)


def test_open_sessions_end(ending):
    alice, bob = ending.dovecot.open_session(ALICE), ending.dovecot.open_session(BOB)
    ending.shell("lock", BOB, "--scope", "sending", "--note", "may read on")
    ending.shell("lock", ALICE, "--note", "spam from abroad")
    assert is_ended(alice) and goes_on(bob)
    assert f'mailbox={ALICE}' in ending.auth.log.wait(ENDED)[0]
    # asked again a moment later, for who was signing in just then
    eventually(lambda: ends(ending, "none"), "it is asked twice")
    assert ends(ending, "ended") == 1 and len(ending.auth.log.matching("locked mailbox")) == 1
    ending.shell("lock", BOB, "--note", "may not, after all")
    assert is_ended(bob)


def test_sessions_end_when_the_old_password_is_right_again(ending):
    """By the guard itself: who signed in after the mailbox was opened is out again."""
    ending.signs_in()
    ending.shell("lock", ALICE, "--note", "spam from abroad")
    ending.is_answered(LOCKED)
    ending.dovecot.passwords.write_text(f"{ALICE}:{{PLAIN}}something-new::::::\n")
    eventually(lambda: ending.dovecot.sign_in(ALICE, "something-new") == LOCKED, "Dovecot has the new password")
    ending.shell("reopen", ALICE, "--note", "changed")
    eventually(lambda: ending.dovecot.sign_in(ALICE, "something-new") == "", "it is open")
    session = ending.dovecot.connect("127.0.0.1")
    session.login(ALICE, "something-new")
    ending.dovecot.add()
    eventually(lambda: ending.dovecot.sign_in(ALICE) == LOCKED, "the old one is right")
    assert is_ended(session)


def test_sessions_end_at_a_start(ending):
    """Who got in while the guard was away, and who is locked while it observes."""
    ending.auth.stop()
    ending.shell("lock", ALICE, "--note", "spam from abroad")
    session = ending.dovecot.open_session(ALICE)
    ending.auth.configure({"guard": {"mode": "observe"}})
    ending.auth.start()
    ending.auth.reload({"guard": {"mode": "enforce"}})
    assert is_ended(session)
    ending.auth.log.wait(ENDED)


def test_dovecot_does_not_end_them(ending):
    """A wrong key is told once, and in the metrics; it is tried again, and nobody who signs in waits."""
    assert not ending.auth.log.matching("level=error")
    ending.auth.stop()
    key = ending.auth.folder / "doveadm-key"
    right = key.read_text()
    key.write_text("a-key-that-is-wrong\n")
    ending.auth.start()
    session = ending.dovecot.open_session(ALICE)
    ending.shell("lock", ALICE, "--note", "spam from abroad")
    assert "does not know the key" in ending.auth.log.wait("sessions cannot be ended")[0]
    eventually(lambda: ends(ending, "failed") > 1, "it is tried again")
    assert len(ending.auth.log.matching("sessions cannot be ended")) == 1
    assert goes_on(session) and ending.dovecot.sign_in(BOB) == ""
    key.write_text(right)
    ending.auth.stop()
    ending.auth.start()
    assert is_ended(session)


def test_no_key(ending):
    """Neither the check nor the start is content without it."""
    ending.auth.stop()
    (ending.auth.folder / "doveadm-key").unlink()
    for words in (["--check"], []):
        done = subprocess.run(ending.auth.command(*words), capture_output=True, text=True, check=False,
                              timeout=PATIENCE)
        assert done.returncode == 78 and "expected the value of doveadm_api_key" in done.stderr
