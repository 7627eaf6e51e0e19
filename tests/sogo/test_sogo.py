"""A real SOGo behind gate mode, with contrib/webmail/sogo-nginx.conf. `make test-long` runs it: SOGo and PostgreSQL
are much to install."""

import base64
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "blackbox"))

from postfix import REFERENCE, Stack  # noqa: E402
from programs import PATIENCE, TREE, eventually  # noqa: E402
from sogo import Sogo, User  # noqa: E402

MAILBOXES = [f"user{number}@example.test" for number in range(20)]


@pytest.fixture(scope="module")
def stack():
    # SOGo hands messages in from here, and nobody else does.
    stack = Stack("mta.webmail_hosts=127.0.0.1", "web.time_zone=Europe/Berlin")
    yield stack
    stack.down()


@pytest.fixture(scope="module")
def sogo(stack):
    sogo = Sogo(stack, [*MAILBOXES, "bob@example.test"])
    yield sogo
    sogo.stop()


@pytest.fixture
def user(stack, sogo):
    return User(sogo, stack.new_mailbox())


def handed_in(stack):
    """The messages that Postfix took: how many recipients each has."""
    return [int(one) for one in re.findall(r"nrcpt=(\d+) \(queue active\)", stack.log("mailer.postfix"))]


def bypassed(stack):
    return sum(int(value) for name, value in stack.metrics().items() if name.startswith("sendguard_bypassed_total"))


def test_a_message_is_judged_and_counted_once(stack, sogo, user):
    before = bypassed(stack)
    assert user.send(['"Müller, Zoë; Rat" <bob@example.test>'], cc=["carol@x.test"], bcc=["Ярослав <hidden@y.test>"],
                     subject="in SOGo") == (200, "")
    stack.delivered("bob@example.test", "in SOGo")
    assert stack.used(user.mailbox) == 1 and stack.used(user.mailbox, "off_domain_per_day") == 2
    assert handed_in(stack)[-1] == 3 and bypassed(stack) == before


def test_a_refusal_is_shown_in_the_users_language(stack, sogo):
    """That of SOGo's page, which is in the message."""
    user = User(sogo, stack.new_mailbox())
    taken = handed_in(stack)
    status, shown = user.send([f"reader{number}@x.test" for number in range(60)], locale="de")
    assert status == 422 and "60 Empfänger bei x.test" in shown and REFERENCE.search(shown), shown
    stack.told("suspend", user.mailbox, "--for", "3h", "--note", "tried")
    status, shown = user.send(["bob@example.test"], locale="de")
    assert status == 403 and "pausiert" in shown and REFERENCE.search(shown), shown
    assert handed_in(stack) == taken and stack.used(user.mailbox) == 0


def test_each_spelling_is_judged(stack, sogo, user):
    before, sent = bypassed(stack), 0
    for change in (lambda path: path + "/", lambda path: path.replace("/Mail", "//Mail"), lambda path: path + "?x=1",
                   lambda path: path.replace("send", "%73end"), lambda path: path.replace("/so/", "/"),
                   lambda path: path.replace("user", "USER"), lambda path: path.replace("@", "%40"),
                   lambda path: path.replace("/0/", "/%30/"), lambda path: path.replace("/folderDrafts", "/folderDrafts/")):
        assert user.send(["bob@example.test"], change(user.draft() + "/send"))[0] == 200, change(user.draft())
        sent += 1
    for change in (lambda path: path.replace("SOGo", "sogo", 1), lambda path: path.replace("SOGo", "SOGo.woa", 1),
                   lambda path: path.replace("SOGo", "other", 1), lambda path: path.replace("/send", "/./send/x/.."),
                   lambda path: path.replace("/Mail", "/x/../Mail"), lambda path: path.replace("send", "SEND"),
                   lambda path: path.replace("send", "%2573end"), lambda path: path.replace("/send", "%2Fsend")):
        sent += user.send(["bob@example.test"], change(user.draft() + "/send"))[0] == 200
    assert stack.used(user.mailbox) >= sent and bypassed(stack) == before


def test_what_sogo_reads_as_another_address_is_refused(stack, sogo, user):
    """It takes what is in the first < > for the address, wherever that stands."""
    taken = handed_in(stack)
    for entry in ('"a <eve@y.test>" <bob@example.test>', "bob@example.test (c <eve@y.test>)",
                  "a <eve@y.test> <bob@example.test>", "<eve@y.test> bob@example.test"):
        status, shown = user.send([entry])
        assert status == 400 and "To, 1st recipient" in shown, (entry, status, shown)
    assert user.request("POST", user.draft() + "/send", '{"to": ["bob@example.test"], "to": ["eve@y.test"]}')[0] == 400
    for kind in ("text/json", "application/json; charset=utf-7"):
        assert user.request("POST", user.draft() + "/send", user.message(["eve@y.test"]), **{"Content-Type": kind})[0] == 415
    assert handed_in(stack) == taken and stack.used(user.mailbox) == 0


def test_nobody_charges_another_mailbox(stack, sogo, user):
    """Neither by a session of one's own, nor without one."""
    other, path = User(sogo, stack.new_mailbox()), user.draft() + "/send"
    assert other.send(["bob@example.test"], path)[0] == 403
    assert User(sogo, None).send(["bob@example.test"], path)[0] == 401
    assert other.request("POST", path, other.message(["bob@example.test"]), **{"x-webobjects-remote-user": user.mailbox})[0] == 403
    assert stack.used(user.mailbox) == 0 and stack.used(other.mailbox) == 0


def test_a_text_with_pictures_passes(stack, sogo, user):
    """It is part of the JSON."""
    picture = base64.b64encode(os.urandom(6_000_000)).decode()
    assert user.send(["bob@example.test"], text=f'<img src="data:image/png;base64,{picture}">', isHTML=1)[0] == 200
    assert stack.used(user.mailbox) == 1


def test_without_the_guard_nothing_is_sent_and_drafts_are_saved(stack, sogo, user):
    path, taken = user.draft(), handed_in(stack)
    stack.stop("guard")
    try:
        assert user.send(["bob@example.test"], path + "/send") == (
            503, "The message was not sent, because sending limits cannot be checked now. Please try again in a few minutes.")
        assert user.request("POST", path + "/save", user.message(["bob@example.test"]))[0] == 200
    finally:
        stack.start("guard")
    assert handed_in(stack) == taken
    assert user.send(["bob@example.test"], path + "/send")[0] == 200


def test_what_goes_around_the_gate_is_judged_by_the_policy_service(stack, sogo, user):
    """An invitation, which SOGo sends by itself."""
    before = bypassed(stack)
    invitation = "\r\n".join((
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:1@example.test",
        "DTSTAMP:20261101T100000Z", "DTSTART:20361101T100000Z", "DTEND:20361101T110000Z", "SUMMARY:A meeting",
        f"ORGANIZER:mailto:{user.mailbox}", "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:guest@x.test",
        "END:VEVENT", "END:VCALENDAR", ""))
    sign_in = base64.b64encode(f"{user.mailbox}:secret".encode()).decode()
    status, answer = user.request("PUT", f"/SOGo/dav/{user.mailbox}/Calendar/personal/1.ics", invitation,
                                  **{"Content-Type": "text/calendar", "Authorization": f"Basic {sign_in}"})
    assert status in (201, 204), answer
    eventually(lambda: stack.used(user.mailbox) == 1, "the invitation counts")
    eventually(lambda: bypassed(stack) == before + 1, "it is told to monitoring")


def test_a_browser_shows_the_refusal(stack, sogo):
    mailbox = stack.new_mailbox()
    stack.told("suspend", mailbox, "--for", "3h", "--note", "tried")
    if not (TREE / "tests/browser/node_modules").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=TREE / "tests/browser",
                       stdin=subprocess.DEVNULL, check=True)
    done = subprocess.run(["node", TREE / "tests/sogo/page.mjs", f"http://127.0.0.1:{sogo.web}/SOGo/", mailbox],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5 * PATIENCE, check=False)
    assert done.returncode == 0 and "El envío" in done.stdout and REFERENCE.search(done.stdout), done.stdout + done.stderr
