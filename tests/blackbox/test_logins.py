"""Wrong passwords, and whom they keep out: sendguard-auth behind a real Dovecot, asked by IMAP, and by
Postfix for SMTP. Networks are addresses of the loopback interface."""

import json
import os
import re
import subprocess

import pytest

from clock import HOUR, SECOND, Clock
from logins import KEY, PROGRAM, RIGHT, VERSION_23, Auth, Dovecot, Postfix
from programs import BUILD, PATIENCE, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot runs as several users")

CLI = BUILD / "sendguard"
HERE, ELSEWHERE = "127.0.0.5", "127.0.0.6"
BROKEN = "[UNAVAILABLE]"
WRONG = "[AUTHENTICATIONFAILED] Authentication failed."


@pytest.fixture
def logins(folder, store):
    """A program whose clock stands, and a Dovecot that asks it."""
    servers = []

    def make(*names, settings=None, clock=True):
        clock = Clock(folder) if clock else None
        auth = Auth(folder, store, settings,
                    environment=clock.environment if clock is not None else None).start()
        servers.append(auth)
        dovecot = Dovecot(folder, auth.port)
        servers.append(dovecot)
        dovecot.add(*names)
        dovecot.start()
        return auth, dovecot, clock

    yield make
    for server in reversed(servers):
        server.stop()


def wrong_ones(count, name, address):
    return [(name, f"wrong{number}", address) for number in range(count)]


def test_ten_wrong_passwords(logins, store):
    """They close the mailbox to where they came from, right passwords too, for an hour to the
    millisecond, with a text that says until when; trying on prolongs nothing."""
    auth, dovecot, clock = logins("alice@example.test", "bob@example.test")
    first_ms = clock.now_ms
    for one in wrong_ones(9, "alice@example.test", HERE):
        assert dovecot.sign_in(*one) == WRONG
        clock.advance(SECOND)
    assert dovecot.sign_in("alice@example.test", RIGHT, ELSEWHERE) == ""
    assert dovecot.sign_in("alice@example.test", "wrong9", HERE) == WRONG
    line = auth.log.wait('msg="sign-ins are blocked"')[0]
    assert "rule=wrong_passwords_per_mailbox_and_ip mailbox=alice@example.test" in line
    assert f"network={HERE}" in line
    minute = -(-(first_ms + 9 * SECOND + HOUR) // (60 * SECOND)) % (24 * 60)
    told = f"[ALERT] Too many wrong passwords; try again after {minute // 60:02}:{minute % 60:02} UTC"
    for password in (RIGHT, "wrong10", "wrong1"):
        assert dovecot.sign_in("alice@example.test", password, HERE) == told
    eventually(lambda: dovecot.checked("alice@example.test") == 10, "ten are in its log")
    eventually(lambda: store.counters().get("login_refusals") == 3, "what was kept out is counted")
    assert store.counters()["login_blocks rule=wrong_passwords_per_mailbox_and_ip"] == 1
    assert dovecot.sign_in("alice@example.test", RIGHT, ELSEWHERE) == ""
    assert dovecot.sign_in("bob@example.test", RIGHT, HERE) == ""
    clock.set(first_ms + 9 * SECOND + HOUR - 1)
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == told
    clock.advance(1)
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == ""


def test_names_that_are_tried(logins):
    """A wrong password for ten mailboxes, whether there are such or not, closes all to that network, but
    not to who has signed in there before."""
    auth, dovecot, clock = logins("alice@example.test", "bob@example.test")
    signs_in(auth, dovecot, "alice@example.test", HERE)
    clock.advance(SECOND)
    for number in range(10):
        assert dovecot.sign_in(f"nobody{number}@example.test", "guess", HERE) == WRONG
    assert "rule=mailboxes_per_ip" in auth.log.wait('msg="sign-ins are blocked"')[0]
    assert "try again after" in dovecot.sign_in("bob@example.test", RIGHT, HERE)
    assert "try again after" in dovecot.sign_in("nobody@example.test", "guess", HERE)
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == ""
    assert dovecot.sign_in("bob@example.test", RIGHT, ELSEWHERE) == ""


def test_many_at_once(logins):
    """Of 200 at the same moment those are looked at that are under way when the tenth is known."""
    auth, dovecot, _ = logins("alice@example.test")
    answers = dovecot.sign_in_all(wrong_ones(200, "alice@example.test", HERE))
    refused = sum("try again after" in answer for answer in answers)
    checked = answers.count(WRONG)
    assert refused + checked == 200
    eventually(lambda: dovecot.checked("alice@example.test") == checked, "they are in its log")
    # Dovecot has no more than 100 connections to us, and so that many questions under way
    assert 10 <= checked <= 110, checked
    print(f"{checked} of 200 reached the password database")
    assert "try again after" in dovecot.sign_in("alice@example.test", RIGHT, HERE)
    assert len(auth.log.wait('msg="sign-ins are blocked"')) == 1


@pytest.mark.parametrize("known", [True, False], ids=["known", "empty"])
def test_the_password_database_is_broken(logins, store, known):
    """Everybody's right password fails for five minutes: nobody is kept out, and the log says so. Dovecot
    2.4 says that these are no wrong passwords, so that nothing is counted."""
    names = [f"user{number}@example.test" for number in range(25)]
    auth, dovecot, clock = logins(*names)
    everybody = [(name, RIGHT, HERE) for name in names]
    if known:
        assert dovecot.sign_in_all(everybody) == [""] * len(names)
        clock.advance(HOUR)
    good = dovecot.passwords.read_text()
    dovecot.passwords.write_text(good + "\n")
    dovecot.passwords.chmod(0)
    eventually(lambda: BROKEN in dovecot.sign_in(*everybody[0]), "Dovecot reads the file again")
    clock.advance(61 * SECOND)  # from who signed in while it had not
    for _ in range(5):
        answers = dovecot.sign_in_all(everybody)
        assert all(BROKEN in answer for answer in answers), answers
        if VERSION_23:
            auth.log.wait('level=error msg="many mailboxes have wrong passwords at once')
        clock.advance(60 * SECOND)
    if VERSION_23:
        eventually(lambda: store.counters().get("login_alarm_seconds"), "the alarm is counted")
    else:
        assert shell(auth, "logins", names[0])["wrong"] == []
    dovecot.passwords.write_text(good)
    dovecot.passwords.chmod(0o644)
    eventually(lambda: dovecot.sign_in(*everybody[0]) == "", "Dovecot reads the file again")
    assert dovecot.sign_in_all(everybody) == [""] * len(names)
    assert not auth.log.matching("sign-ins are blocked")


def test_observe(logins):
    """By default nobody is kept out, and the log says who would have been."""
    auth, dovecot, _ = logins("alice@example.test", settings={"logins": {"mode": "observe"}})
    for one in wrong_ones(12, "alice@example.test", HERE):
        assert dovecot.sign_in(*one) == WRONG
    auth.log.wait('msg="sign-ins would be blocked" rule=wrong_passwords_per_mailbox_and_ip')
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == ""
    auth.reload({"logins": {"mode": "enforce"}})
    for one in wrong_ones(10, "alice@example.test", ELSEWHERE):
        dovecot.sign_in(*one)
    assert "try again after" in dovecot.sign_in("alice@example.test", RIGHT, ELSEWHERE)


def test_mail_programs(logins):
    """Postfix asks Dovecot, and Dovecot us: one count for both."""
    auth, dovecot, _ = logins("alice@example.test")
    postfix = Postfix(dovecot).start()
    try:
        signs_in(auth, dovecot, "alice@example.test", HERE)
        assert postfix.sign_in("alice@example.test", RIGHT, HERE) == ""
        known, = shell(auth, "logins", "alice@example.test",
                       until=lambda view: view["known"][0]["protocol"] == "smtp")["known"]
        assert known["protocols"] == ["imap", "smtp"]
        for one in wrong_ones(5, "alice@example.test", ELSEWHERE):
            assert postfix.sign_in(*one).startswith("535 5.7.8 Error: authentication failed")
        for number in range(5, 10):
            assert dovecot.sign_in("alice@example.test", f"wrong{number}", ELSEWHERE) == WRONG
        answer = postfix.sign_in("alice@example.test", RIGHT, ELSEWHERE)
        assert re.fullmatch(r"535 5\.7\.8 Error: authentication failed: Too many wrong passwords; try "
                            r"again after \d\d:\d\d UTC", answer), answer
        assert postfix.sign_in("alice@example.test", RIGHT, HERE) == ""
    finally:
        postfix.stop()


def test_two_machines(logins):
    """What one counts, the other knows within a second; and they add up."""
    _, one_dovecot, _ = logins("alice@example.test")
    _, other_dovecot, _ = logins("alice@example.test")
    for attempt in wrong_ones(5, "alice@example.test", HERE):
        assert one_dovecot.sign_in(*attempt) == WRONG
    for number in range(5, 10):
        assert other_dovecot.sign_in("alice@example.test", f"wrong{number}", HERE) == WRONG
    for dovecot in (one_dovecot, other_dovecot):
        eventually(lambda: "try again" in dovecot.sign_in("alice@example.test", "wrong1", HERE),
                   "the block is known", 10)


def test_after_a_crash(logins, store):
    """A block is there again after kill -9 of the program, and ends when it would have."""
    auth, dovecot, clock = logins("alice@example.test")
    for one in wrong_ones(10, "alice@example.test", HERE):
        dovecot.sign_in(*one)
    told = dovecot.sign_in("alice@example.test", RIGHT, HERE)
    assert "try again after" in told
    other = Auth(auth.folder, store, environment=clock.environment)
    other.start()
    try:
        eventually(lambda: other.refuses("alice@example.test", HERE), "another one knows of it")
    finally:
        other.stop()
    auth.kill()
    auth.start()
    clock.advance(HOUR - 1)
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == told
    clock.advance(1)
    assert dovecot.sign_in("alice@example.test", RIGHT, HERE) == ""


def test_the_store_is_away(logins, store):
    """Sign-ins are judged by what is in memory, the log says so once, and nothing is lost."""
    auth, dovecot, clock = logins("alice@example.test", settings={"store": {"timeout": "1s"}})
    store.silence()
    for one in wrong_ones(10, "alice@example.test", HERE):
        assert dovecot.sign_in(*one) == WRONG
    assert "try again after" in dovecot.sign_in("alice@example.test", RIGHT, HERE)
    auth.log.wait('level=error msg="store does not answer: sign-ins are judged by memory alone"')
    store.speak()
    auth.log.wait('msg="store answers again"')
    assert len(auth.log.matching("store does not answer: sign-ins")) == 1
    other = Auth(auth.folder, store, environment=clock.environment).start()
    try:
        eventually(lambda: other.refuses("alice@example.test", HERE), "what was counted is written")
    finally:
        other.stop()


def test_a_webmail_that_names_no_browser(logins):
    """Where it could, the log says so once; by SMTP no webmail can."""
    auth, dovecot, _ = logins("alice@example.test", settings={"mta": {"webmail_hosts": "127.0.0.99"}})
    question = {"login": "alice@example.test", "remote": "127.0.0.99", "pwhash": "001"}
    assert auth.post(json.dumps({**question, "protocol": "smtp"}))[0] == 200
    assert not auth.log.matching("webmail host")
    for _ in range(3):
        assert dovecot.sign_in("alice@example.test", RIGHT, "127.0.0.99") == ""
    auth.stop()
    assert len(auth.log.matching("sign-ins come from a webmail host.*ip=127.0.0.99")) == 1


def test_who_has_no_key(logins):
    auth, _, _ = logins()
    for key in (None, KEY[:-1], KEY + "x"):
        assert auth.post('{"login":"a"}', key)[0] == 401
    assert auth.post('{"login":"a"}') == (200, '{"status":0,"msg":""}')
    auth.stop()
    assert len(auth.log.matching("a request without the key is refused")) == 1


def test_what_stops_the_start(folder, store):
    """--check and the start say the same of the file of the key."""
    auth = Auth(folder, store)
    key = auth.settings["auth"]["key_file"]
    for change, fault in ((lambda: key.chmod(0o644), "is open to others"),
                          (lambda: key.write_text("short"), "holds no key"),
                          (key.unlink, "openssl rand -hex 32")):
        key.chmod(0o600)
        change()
        for more in (["--check"], []):
            done = subprocess.run(auth.command(*more), capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
            assert done.returncode == 78, done.stderr
            assert str(key) in done.stderr and fault in done.stderr
    key.write_text(KEY)
    key.chmod(0o600)
    for listen, warns in (("0.0.0.0:9404", True), ("[::1]:9404", False), ("/run/x", False)):
        done = subprocess.run(auth.command("-o", f"auth.listen={listen}", "--check"), capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        assert ("auth.listen: is on an address that others may reach" in done.stderr) == warns
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert "Dovecot" in done.stdout


def test_staff_looks_and_opens(logins):
    """What the command line shows of a mailbox and a network, and the end of a block by it, which the
    running program knows of within a second."""
    auth, dovecot, clock = logins("alice@example.test", "bob@example.test")
    signs_in(auth, dovecot, "alice@example.test", ELSEWHERE)
    for one in wrong_ones(10, "alice@example.test", HERE):
        assert dovecot.sign_in(*one) == WRONG
    shown = shell(auth, "logins", "alice@example.test", until=lambda view: view["blocks"])
    block, = shown["blocks"]
    assert block["rule"] == "wrong_passwords_per_mailbox_and_ip"
    assert (block["mailbox"], block["network"]) == ("alice@example.test", HERE)
    assert [one["network"] for one in shown["known"]] == [ELSEWHERE]
    assert [(one["network"], one["count"]) for one in shown["wrong"]] == [(HERE, 10)]
    assert shown["counts"] == [{"rule": "wrong_passwords_per_mailbox", "limit": 100, "count": 10}]
    network = shell(auth, "logins", HERE)
    assert network["network"] == HERE and network["blocks"] == []
    assert {one["rule"]: one["count"] for one in network["counts"]} == {
        "mailboxes_per_ip": 1, "wrong_passwords_per_ip": 10}
    assert shell(auth, "logins", ELSEWHERE)["known_mailboxes"] == 1
    preview = shell(auth, "logins", "alice@example.test", "--end", "--preview", "--note", "by telephone")
    assert (preview["done"], preview["ended"], preview["blocks"]) == (False, [block], [])
    assert "try again after" in dovecot.sign_in("alice@example.test", RIGHT, HERE)
    opened = shell(auth, "logins", "alice@example.test", "--end", "--note", "by telephone")
    assert (opened["done"], opened["ended"], opened["blocks"]) == (True, [block], [])
    eventually(lambda: dovecot.sign_in("alice@example.test", RIGHT, HERE) == "", "it is open", 10)
    entry = shell(auth, "audit", "alice@example.test")["actions"][0]
    assert (entry["action"], entry["note"]) == ("logins_end", "by telephone")
    again = subprocess.run([CLI, "-c", auth.config_path, "logins", "alice@example.test", "--end", "--note",
                            "x"], env=environment(clock), capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "no block of sign-ins holds" in again.stderr
    text = told(auth, "alice@example.test")
    assert "Nothing is closed." in text
    assert re.search(rf"NETWORK +LAST +BY\n(.*\n)? +{re.escape(ELSEWHERE)} .* imap\n", text), text


def test_a_network_is_opened(logins):
    auth, dovecot, _ = logins("alice@example.test")
    signs_in(auth, dovecot, "alice@example.test", ELSEWHERE)
    for number in range(10):
        dovecot.sign_in(f"nobody{number}@example.test", "guess", HERE)
    assert "try again after" in dovecot.sign_in("alice@example.test", RIGHT, HERE)
    shown = shell(auth, "logins", HERE, until=lambda view: view["blocks"])
    assert shown["blocks"][0]["rule"] == "mailboxes_per_ip"
    assert shown["mode"] == "enforce" and shown["seen_since"] < shown["ready_at"]
    assert re.search(rf"^{re.escape(HERE)} is closed until .* \(in .*\) to mailboxes that have not signed in "
                     r"there within 30 days \(mailboxes_per_ip\)$", told(auth, HERE), re.M)
    assert shell(auth, "logins", HERE, "--end", "--note", "an office")["blocks"] == []
    assert "This network is not closed as a whole" in told(auth, HERE)
    eventually(lambda: dovecot.sign_in("alice@example.test", RIGHT, HERE) == "", "it is open", 10)


def told(auth, subject):
    """What the command line prints as text, by the clock of the program."""
    return subprocess.run([CLI, "-c", auth.config_path, "logins", subject], capture_output=True, text=True,
                          check=True, env={**os.environ, **auth.environment, "LC_ALL": "C.UTF-8"}).stdout


def signs_in(auth, dovecot, name, address):
    """Until it is known: Dovecot does not wait for what it reports."""
    assert dovecot.sign_in(name, RIGHT, address) == ""
    shell(auth, "logins", name, until=lambda view: view["known"])


def environment(clock):
    return {**os.environ, **clock.environment, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def shell(auth, *words, until=lambda view: True):
    """What the command line prints as JSON, by the clock of the program, once it is so."""
    def ask():
        done = subprocess.run([CLI, "-c", auth.config_path, *words, "--json"], capture_output=True,
                              text=True, check=False, timeout=PATIENCE,
                              env={**os.environ, **auth.environment, "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, done.stderr
        view = json.loads(done.stdout)
        return (view,) if until(view) else None

    return eventually(ask, f"{words}")[0]
