"""spf.mode = block: from the notice to the refusal at both channels, and open again, with a DNS of the test's own and a clock
that it moves."""

import datetime
import html
import json
import re

import pytest

from clock import DAY, HOUR, SECOND, RunningClock
from dns import dns_server
from endpoint import Endpoint, Sender
from mta import DUNNO, User, start_mta  # noqa: F401 (a fixture)
from programs import eventually
from test_spf import Watched
from web import Client, Web, csrf_of, status_link, status_path

MINUTE = 60 * SECOND
BAD = 'bad.test 3600 TXT "v=spf1 mx -all"'
MENDED = 'bad.test 3600 TXT "v=spf1 mx ip4:192.0.2.1 -all"'
ADVICE = "Write ip4:192.0.2.1 into the SPF record of bad.test, before the term -all."
WHY = ("--note", "ticket 12")


def ms_of(moment):
    return round(datetime.datetime.fromisoformat(moment).timestamp()) * 1000


class Blocking(Watched):
    """All programs with the clock of the test, and a user at a domain whose record fails."""

    def __init__(self, guard, web, mta, clock, store, dns, folder):
        self.clock, self.web = clock, web
        super().__init__(mta, store, dns, folder, ["spf.mode=block"], clock.environment)
        self.user = User(mta, "alice@bad.test")
        self.sender = Sender(Endpoint(guard), self.user.mailbox, self.user.ip)
        self.send(1, self.user.mailbox)
        eventually(lambda: self.known() and self.known()["refused_at"], "the notice begins")

    def known(self):
        domains = self.shell.json("spf")["domains"]
        return next((one for one in domains if one["domain"] == "bad.test"), None)

    @property
    def refused_ms(self):
        return ms_of(self.known()["refused_at"])

    def checker(self):
        """{}: it was not told since the clock was moved."""
        return next(iter(self.shell.json("spf")["checkers"]), {})

    def is_away(self):
        return self.checker().get("dns") is False

    def is_refused(self):
        return self.sender.send(dry_run=True).status == 403

    def looked(self):
        """Once the record was looked at from now on."""
        now_ms = self.clock.now_ms
        eventually(lambda: ms_of(self.known()["checked_at"]) >= now_ms, "it is looked at")

    def becomes(self, refused, why):
        eventually(lambda: self.is_refused() == refused, why)

    def block(self):
        self.clock.set(self.refused_ms)
        self.becomes(True, "the notice is over")


@pytest.fixture
def blocking(folder, store, start, start_mta):  # noqa: F811
    clock = RunningClock(folder)
    clock.set(0)
    moved = {"environment": clock.environment}
    web = Web(folder, store, {"spf": {"outgoing": "192.0.2.1", "mode": "block"}}, **moved).start()
    with dns_server(folder) as dns:
        dns.says(BAD)
        blocking = Blocking(start(store, **moved), web, start_mta(store, **moved), clock, store, dns, folder)
        yield blocking
        blocking.user.close()
        blocking.sender.endpoint.close()
        blocking.stop()
    web.stop()


def test_from_the_notice_to_the_mended_record(blocking):
    moment = blocking.known()["refused_at"]
    assert blocking.refused_ms - blocking.clock.now_ms <= 14 * DAY + SECOND
    path = status_link(blocking.sender)
    notice = Client(blocking.web, {"Accept": "application/json"}).get(path).json["spf"]
    assert (notice["refused_at"], notice["refuses"], notice["blocked"]) == (moment, True, False)
    minute = datetime.datetime.fromtimestamp(-(-blocking.refused_ms // MINUTE) * 60, datetime.timezone.utc)
    shown = f"{minute:%Y-%m-%d %H:%M}"  # nobody is refused before it
    for text in (blocking.shell.ok("spf"), blocking.shell.run("doctor", "spf").out):
        assert shown in text, (moment, text)
    page = html.unescape(Client(blocking.web).get(path).text)
    assert ADVICE in page and moment in page and "mail of bad.test is refused here as long as" in page
    blocking.clock.set(blocking.refused_ms - 4 * MINUTE)
    blocking.looked()
    assert not blocking.is_refused() and blocking.user.send(["bob@x.test"]) == DUNNO
    blocking.block()
    refused = blocking.sender.send()
    [reason] = refused.json["reasons"]
    assert (refused.status, reason["rule"], reason["reason"]) == (403, "sender_blocked", "no_spf")
    assert ADVICE in refused.json["message"] and "The person who manages the DNS of bad.test" in refused.json["message"]
    german = blocking.sender.send(lang="de").json["message"]
    assert "Schreiben Sie ip4:192.0.2.1 in den SPF-Eintrag von bad.test" in german
    eventually(lambda: blocking.user.send(["bob@x.test"]) != DUNNO, "the policy service knows it, too")
    answer = blocking.user.send(["bob@x.test"])
    assert answer.startswith("REJECT 5.7.1") and "the SPF record of bad.test" in answer and "has to add ip4:192.0.2.1." in answer
    [entry] = blocking.shell.json("blocks")
    assert (entry["subject"], entry["reason"], entry["by"], entry["until"]) == ("@bad.test", "no_spf", "guard", None)
    assert ADVICE in entry["text"] and blocking.shell.ok("blocks", "--csv").count("\n") == 1
    page = html.unescape(Client(blocking.web).get(status_path(refused)).text)
    assert "Until then mail of bad.test is refused here" in page and ADVICE in page
    eventually(lambda: "mail of 1 is refused" in blocking.shell.run("doctor", "spf").out, "it is told", 60)
    assert re.search(r'^sendguard_spf_blocked_domains\{host="[^"]+"\} 1$', Client(blocking.web).get("/metrics").text, re.M)
    blocking.dns.says(MENDED)
    blocking.clock.advance(5 * MINUTE)
    blocking.becomes(False, "a mended record opens within five minutes")
    assert blocking.shell.json("blocks") == [] and blocking.known() is None
    actions = [(one["action"], one["by"]) for one in blocking.shell.json("audit", "@bad.test")["actions"]]
    assert actions == [("unblock", "guard"), ("block", "guard")]


def test_a_dns_that_is_away(blocking):
    """At the end of the notice, and while mail is refused: nobody is refused for it, and nobody let through."""
    blocking.dns.fails()
    blocking.clock.set(blocking.refused_ms + HOUR)
    eventually(blocking.is_away, "it is told")
    assert not blocking.is_refused()
    blocking.dns.says(BAD)
    blocking.clock.advance(5 * MINUTE)
    blocking.becomes(True, "it answers again, and the record is as before")
    blocking.dns.fails()
    blocking.clock.advance(HOUR)
    eventually(blocking.is_away, "it is told")
    assert blocking.is_refused()
    blocking.dns.says(MENDED)
    blocking.clock.advance(5 * MINUTE)
    blocking.becomes(False, "it answers again, and the record is mended")


def test_staff_opens_it_for_a_week(blocking):
    blocking.block()
    preview = blocking.shell.ok("unblock", "--sender", "@bad.test", "--preview")
    assert "its mail is accepted until" in preview and blocking.is_refused()
    desk = blocking.web.hire().desk("sam")
    form = {"csrf": csrf_of(desk.get("/desk/")), "action": "unblock", "kind": "sender", "subject": "@bad.test", "note": "x"}
    assert "Its mail is then accepted until" in desk.post_form("/desk/blocks", form).text
    blocking.shell.ok("unblock", "--sender", "@bad.test", *WHY)
    blocking.becomes(False, "it is open")
    opened_ms = blocking.refused_ms
    assert opened_ms - blocking.clock.now_ms <= 7 * DAY + SECOND
    blocking.clock.set(opened_ms - 4 * MINUTE)
    blocking.looked()
    assert not blocking.is_refused()
    blocking.clock.set(opened_ms)
    blocking.becomes(True, "the week is over")


def test_an_exempt_mailbox(blocking):
    blocking.block()
    blocking.shell.ok("exempt", blocking.user.mailbox, *WHY)
    blocking.becomes(False, "it is exempt")
    assert blocking.user.send(["bob@x.test"]) == DUNNO and blocking.known()["blocked"]


def test_another_mode(blocking):
    blocking.block()
    blocking.stop()
    blocking.start("-o", "spf.mode=warn")
    blocking.becomes(False, "another mode refuses nothing")
    assert json.loads(blocking.shell.ok("spf", "--json", "-o", "spf.mode=warn"))["domains"][0]["refused_at"]
    blocking.stop()
    blocking.start()
    blocking.clock.advance(5 * MINUTE)
    blocking.becomes(True, "users have read of it for 14 days")
    blocking.stop()
    blocking.start("-o", "guard.mode=observe")
    blocking.becomes(False, "an installation that observes blocks nobody")
    blocking.stop()
    blocking.start()
    blocking.clock.advance(5 * MINUTE)
    blocking.looked()
    assert not blocking.is_refused() and blocking.refused_ms - blocking.clock.now_ms > 13 * DAY
