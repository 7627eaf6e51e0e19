"""A domain whose mail fails, as staff, programs and its users see it, and the lift of its block: on
both stores, from lines of the mail server's log that the program itself follows."""

import datetime
import itertools
import json
import os
import re
import subprocess

import pytest

from clock import _LIBRARIES as FAKETIME
from mta import DUNNO, User, both, start_mta  # noqa: F401 (fixtures)
from programs import BUILD, PATIENCE, SANITIZED
from test_cli import Shell
from test_delivery import Log
from web import Client, Program, Web

pytestmark = [pytest.mark.sanitized, pytest.mark.either_store]
_queue = itertools.count(0x4F0B00)
FAILS, OTHER = "sad@sad.test", "bob@sad.test"


class LaterLog(Log):
    """Its lines are stamped ahead of the clock of this machine, and followed by a program whose clock
    is as far ahead."""

    ahead_s = 0

    @property
    def environment(self):
        return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": f"+{self.ahead_s}s",
                "DONT_FAKE_MONOTONIC": "1"}

    def write(self, program, body):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)
        with self.path.open("a") as log:
            log.write(f"{now.isoformat(timespec='microseconds')} mx1 postfix/{program}[77]: {body}\n")

    def follow(self):
        subprocess.run([BUILD / "sendguard-feedback", "-c", self.service.config_path, "--once",
                        "-o", f"feedback.source=file:{self.path}"], check=True, timeout=PATIENCE,
                       capture_output=True, env={**os.environ, **self.environment})


class House:
    """Mail of two mailboxes of a domain, what became of it, and who looks at it."""

    def __init__(self, user, folder, store):
        self.mta, self.log = user.mta, Log(user.mta.folder, user.mta)
        self.shell = Shell(folder, store)
        self.shell.options += ["-c", str(user.mta.config_path)]

    def send(self, mailbox, *recipients):
        """By SMTP, admitted; the queue id."""
        queue_id = f"{next(_queue):X}"
        user = User(self.mta, mailbox)
        self.log.begin(queue_id, mailbox)
        assert user.end(len(recipients), queue_id=queue_id) == DUNNO
        user.close()
        self.log.queued(queue_id, f"<{queue_id}@sad.test>", len(recipients))
        return queue_id

    def fail(self, mailbox, count, where="x.test"):
        recipients = [f"nobody{number}@{where}" for number in range(count)]
        queue_id = self.send(mailbox, *recipients)
        for recipient in recipients:
            self.log.refused(queue_id, recipient)

    def arrive(self, mailbox, count):
        recipients = [f"good{number}@x.test" for number in range(count)]
        queue_id = self.send(mailbox, *recipients)
        for recipient in recipients:
            self.log.outcome(queue_id, recipient, "sent", "2.0.0", "250 2.0.0 OK")

    def block(self):
        """Of 13 recipients 10 fail, 7 of these of FAILS; the last line blocks the domain."""
        self.arrive(OTHER, 3)
        self.fail(OTHER, 3)
        self.fail(FAILS, 4)
        self.fail(FAILS, 3)
        self.log.follow()
        return self

    def failures(self):
        return self.shell.json("show", "@sad.test")["failures"]


@pytest.fixture
def house(both, folder, store):  # noqa: F811
    user, _ = both()()
    return House(user, folder, store)


@pytest.fixture
def blocked(house):
    return house.block()


@pytest.fixture
def web(house, store):
    web = Web(house.mta.folder, store).start()
    yield web
    web.stop()


def test_the_numbers_of_a_domain(house):
    house.arrive(OTHER, 3)
    house.fail(FAILS, 9)
    house.log.follow()
    failures = house.failures()
    assert (failures["bad"], failures["all"], failures["messages"]) == (9, 12, 1)
    assert failures["blocked_until"] is None and failures["breaks_at"] is None
    assert (failures["window_s"], failures["percent"], failures["at_least"]) == (3600, 50, 10)
    assert failures["by_class"] == {"address_unknown": 9}
    assert failures["by_mailbox"] == [{"mailbox": FAILS, "bad": 9}]
    assert failures["left_out"] == [] and failures["blocks"] == []


def test_a_blocked_domain(blocked):
    failures = blocked.failures()
    assert (failures["bad"], failures["all"]) == (10, 13)
    assert failures["by_mailbox"] == [{"mailbox": FAILS, "bad": 7}, {"mailbox": OTHER, "bad": 3}]
    assert failures["block"]["subject"] == "@sad.test" and failures["block"]["hint"] == "list"
    assert failures["blocked_until"] == failures["block"]["until"]
    assert [one["ended"] for one in failures["blocks"]] == [None]
    feedback = blocked.shell.json("feedback")
    assert feedback["blocked"] == [failures["block"]] and feedback["outages"] == []
    shown = blocked.shell.json("show", OTHER)
    assert shown["state"] == "blocked" and shown["block"] == failures["block"]
    assert shown["next"]["blocked_until"] == shown["next"]["retry_at"] == failures["blocked_until"]


def test_text_for_people(blocked):
    text = blocked.shell.ok("show", "@sad.test")
    assert "Failures of @sad.test in 60 minutes\n  10 of 13 recipients failed or were" in text
    assert re.search(r"@sad\.test is blocked until .* \(in .*\)\n    mail to 10 of 13", text)
    assert all(len(line) < 80 for line in text.splitlines()), text
    assert re.search(rf"7  {FAILS}", text) and "Blocks of the last 7 days" in text
    named = re.search(r"is blocked until (\S+) (\S+) \(", text)
    assert "{}T{}:00Z".format(*named.groups()) >= blocked.failures()["blocked_until"]
    assert "cannot send now: too much of its mail" in blocked.shell.ok("show", FAILS)
    assert "@sad.test is blocked until" in blocked.shell.ok("feedback")
    for words in (["show", FAILS], ["show", "@sad.test"]):
        assert "nobody" not in blocked.shell.ok(*words)


def test_the_lift_of_a_domain(blocked):
    shell = blocked.shell
    assert "neither it nor" in shell.fails(1, "lift", "@other.test", "--note", "x")
    assert "--note is missing" in shell.fails(64, "lift", "@sad.test")
    for command in (["lift", FAILS], ["lift", FAILS, "--preview"]):
        assert "but @sad.test is blocked: expected @sad.test" in shell.fails(1, *command, "--note", "x")
    assert "or a domain such as @example.org" in shell.fails(64, "lift", "sad.test", "--note", "x")
    assert "does not take it" in shell.fails(64, "lift", "@sad.test", "--cause", "terms", "--note", "x")
    told = shell.ok("lift", "@sad.test", "--preview")
    assert "before: the next message would be refused, too much mail failed" in told
    assert "after:  the next message would be admitted." in told
    assert "would end the block of @sad.test" in told
    assert shell.json("show", FAILS)["state"] == "blocked"
    assert "ended the block of @sad.test" in shell.ok("lift", "@sad.test", "--note", "list is clean")
    assert shell.json("show", FAILS)["state"] == "ok"
    assert re.search(r"lift.*@sad\.test.*list is clean", shell.ok("audit", "@sad.test"))
    assert [one["ended"] for one in blocked.failures()["blocks"]] == ["lifted"]
    assert "neither it nor" in shell.fails(1, "lift", "@sad.test", "--note", "again")


def test_after_a_lift_old_mail_blocks_nobody(house):
    """What was sent before and fails afterwards enters no window; new mail does."""
    recipients = [f"late{number}@x.test" for number in range(6)]
    late = [house.send(FAILS, *recipients), house.send(FAILS, *recipients)]
    house.block()
    house.shell.ok("lift", "@sad.test", "--note", "list is clean")
    for queue_id in late:
        for recipient in recipients:
            house.log.refused(queue_id, recipient)
    house.log.follow()
    failures = house.failures()
    assert failures["bad"] == 0 and failures["blocked_until"] is None
    house.fail(FAILS, 5)
    house.fail(FAILS, 5)
    house.log.follow()
    failures = house.failures()
    assert failures["bad"] == 10 and failures["blocked_until"] is not None
    assert [one["ended"] for one in failures["blocks"]] == [None, "lifted"]


@pytest.mark.skipif(SANITIZED or not FAKETIME, reason="libfaketime is needed, and excludes sanitizers")
def test_an_outage(house):
    """A destination that worked, and two hours later fails for six domains, is named; nobody is
    blocked for it."""
    log = house.log = LaterLog(house.mta.folder, house.mta)
    house.arrive(OTHER, 20)
    recipients = [f"good{one}@x.test" for one in range(4)]
    waiting = [house.send(f"u@d{number}.test", *recipients) for number in range(6)]
    log.follow()
    log.ahead_s = 2 * 3600
    for queue_id in waiting:
        for recipient in recipients:
            log.outcome(queue_id, recipient, "deferred", "4.3.1",
                        "host mx.site.test[192.0.2.25] said: 452 4.3.1 insufficient system storage")
    log.follow()
    then = log.environment
    outage, = house.shell.json("feedback", **then)["outages"]
    assert (outage["destination"], outage["domains"]) == ("site.test", 6)
    assert re.search(r"site\.test has an outage since .*\n  mail of 6 domains fails there",
                     house.shell.ok("feedback", **then))
    failures = house.shell.json("show", "@d0.test", **then)["failures"]
    assert (failures["bad"], failures["all"], failures["blocked_until"]) == (0, 0, None)
    assert failures["left_out"] == [{"reason": "outage", "destination": "site.test", "count": 4}]
    assert "not counted: 4 at site.test, which had an outage" in house.shell.ok(
        "show", "@d0.test", **then)
    log.ahead_s += 61 * 60
    assert house.shell.json("feedback", **log.environment)["outages"] == []


def test_the_api(blocked, web):
    assert "\nsendguard_blocked_domains 1\n" in Client(web).get("/metrics").text
    viewer, support = (Program(web, web.token(role, role)) for role in ("viewer", "support"))
    domain = viewer.get("/api/v1/domains/sad.test").json
    told = blocked.failures()
    assert domain["failures"] == told
    assert viewer.get("/api/v1/overview").json["blocked"] == [told["block"]]
    assert viewer.action("lift", "@sad.test").status == 403
    preview = support.action("lift", "@sad.test", preview=True).json
    assert preview["lifted"] == [told["block"]] and preview["breaks_at"] is None
    assert (preview["before"]["state"], preview["after"]["state"]) == ("blocked", "ok")
    assert support.action("lift", "@sad.test").json["done"] is True
    assert support.action("lift", "@sad.test").status == 409
    assert viewer.get("/api/v1/overview").json["blocked"] == []


def status_page(web, webmail, mailbox):
    sender = type(webmail)(webmail.endpoint, mailbox, webmail.ip)
    url = sender.send(dry_run=True).json["status_url"]
    return Client(web, {"Accept-Language": "en"}).get("/status?t=" + url.partition("?t=")[2]).text


def test_a_user_reads_of_himself_alone(both, folder, store):  # noqa: F811
    user, webmail = both()()
    house = House(user, folder, store).block()
    sender = type(webmail)(webmail.endpoint, OTHER, webmail.ip)
    token = sender.send(dry_run=True).json["status_url"].partition("?t=")[2].partition("&")[0]
    web = Web(house.mta.folder, store).start()
    try:
        view = Client(web, {"Accept": "application/json"}).get("/status?t=" + token).json
        block = view["block"]
        assert view["headline"] == "blocked" and view["state"] == "blocked"
        assert (block["bad"], block["all"], block["yours"], block["others"]) == (10, 13, 3, 7)
        assert block["until"] == house.failures()["blocked_until"]
        assert FAILS not in json.dumps(view)
        for language, words in (("en", "Sending is paused until"), ("de", "Senden ist pausiert bis"),
                                ("fr", "L’envoi est en pause"), ("es", "El envío está en pausa")):
            page = Client(web, {"Accept-Language": language}).get("/status?t=" + token).text
            assert words in page and FAILS not in page, language
            assert "has exceeded the max defers and failures per hour allowed" in page
        waits = "its user objects and waits for an answer"
        assert waits not in house.shell.ok("show", OTHER)
        Client(web, {"Accept": "application/json"}).post_form("/status", {
            "t": token, "action": "appeal", "about": view["can_appeal"][0]["about"], "text": "not me"})
        assert waits in house.shell.ok("show", OTHER)
        house.shell.ok("answer", OTHER, "1", "--note", "you are right")
        assert waits not in house.shell.ok("show", OTHER)
        page = status_page(web, webmail, OTHER)
        assert "remove the addresses" in page and "take it off your lists" in page
        page = status_page(web, webmail, "carol@sad.test")
        assert "Nothing of it came from your mailbox" in page and "This address does not exist" in page
        for advice in ("remove the addresses", "take it off your lists", "is only delayed"):
            assert advice not in page, advice
    finally:
        web.stop()


def test_the_desk(blocked, web):
    web.hire()
    desk = web.desk("sam")
    assert "@sad.test" in desk.get("/desk/").text
    page = desk.get("/desk/domains/sad.test").text.replace("<wbr>", "")
    for words in ("Blocked until", FAILS, OTHER, "Lift the block", "Blocks of the last 7 days"):
        assert words in page, words
    assert "Blocked until" in desk.get(f"/desk/mailboxes/{OTHER}").text
    preview = desk.post_form("/desk/actions", {"csrf": desk.csrf, "action": "lift",
                                               "subject": "@sad.test", "note": "clean"})
    assert preview.status == 200 and "otherwise blocked until" in preview.text
    assert desk.action("lift", "@sad.test").status == 303
    page = desk.get("/desk/domains/sad.test?done=lift").text
    assert "The block is lifted." in page and "lifted by staff" in page
    assert "Lift the block" not in page
    home = desk.get("/desk/").text
    assert "<strong>block lifted</strong>" in home and "suspension lifted" not in home
