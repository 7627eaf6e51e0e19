"""From the mail server's log to what staff, programs and the webmail read of it: on both stores, the
log as Postfix writes it, followed by the program itself."""

import datetime
import json
import os
import re
import subprocess
import time

import pytest

from clock import DAY, Clock
from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import BUILD, PATIENCE, TREE, eventually
from test_cli import Shell
from web import Client, Program, Web

pytestmark = [pytest.mark.sanitized, pytest.mark.either_store]
HOST = "127.0.0.1"
MOVED = "mx.site.test[192.0.2.25]:25"
SETTINGS = {"mta": {"webmail_hosts": HOST}}


class Log:
    """The mail server's log, and the program that follows it."""

    def __init__(self, folder, service):
        self.path, self.service = folder / "mail.log", service
        self.path.touch(mode=0o600)

    def write(self, program, body):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        with self.path.open("a") as log:
            log.write(f"{now} mx1 postfix/{program}[77]: {body}\n")

    def begin(self, queue_id, mailbox):
        self.write("smtpd", f"{queue_id}: client=unknown[192.0.2.7], sasl_method=PLAIN, "
                            f"sasl_username={mailbox}")

    def queued(self, queue_id, message_id, count):
        self.write("cleanup", f"{queue_id}: message-id={message_id}")
        self.write("qmgr", f"{queue_id}: from=<a@example.test>, size=363, nrcpt={count} (queue active)")

    def outcome(self, queue_id, to, status, dsn, said):
        self.write("smtp", f"{queue_id}: to=<{to}>, relay={MOVED}, delay=0.1, "
                           f"delays=0.01/0.01/0.04/0.05, dsn={dsn}, status={status} ({said})")

    def refused(self, queue_id, to):
        self.outcome(queue_id, to, "bounced", "5.1.1",
                     f"host mx.site.test[192.0.2.25] said: 550 5.1.1 <{to}> no such user "
                     "(in reply to RCPT TO command)")

    def follow(self):
        done = subprocess.run([BUILD / "sendguard-feedback", "-c", self.service.config_path,
                               "-o", f"feedback.source=file:{self.path}", "--once"],
                              capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def sent(both, folder, store):  # noqa: F811
    """One message of the webmail to three, with its log followed; and one in the queue."""
    user, webmail = both(SETTINGS)()
    user.ip = HOST
    log = Log(user.mta.folder, user.mta)
    log.begin("4F0A11", user.mailbox)
    message_id = "<one.two@example.test>"
    admitted = webmail.admitted(["good@x.test", "nobody@x.test", "slow@y.test"],
                                id=message_id + ".0123abcd")
    assert user.end(3, queue_id="4F0A11") == DUNNO
    log.queued("4F0A11", message_id, 3)
    log.outcome("4F0A11", "good@x.test", "sent", "2.0.0", "250 2.0.0 OK")
    log.refused("4F0A11", "nobody@x.test")
    log.follow()
    user.log, user.webmail, user.message_id = log, webmail, message_id
    user.webmail_decision = admitted.json["decision"]
    user.shell = Shell(folder, store)
    user.shell.options += ["-c", str(user.mta.config_path)]
    return user


def test_trace_by_all_its_names(sent):
    by_webmail = sent.shell.json("trace", sent.webmail_decision)
    assert by_webmail["webmail_decision"] == sent.webmail_decision
    trace = sent.shell.json("trace", by_webmail["decision"])
    assert sent.shell.json("trace", "4F0A11") == trace
    assert sent.shell.json("trace", sent.mailbox)["messages"] == [trace]
    assert {**trace, "webmail_decision": sent.webmail_decision} == by_webmail
    assert (trace["queue_id"], trace["mailbox"], trace["refunded"], trace["ended"]) == (
        "4F0A11", sent.mailbox, False, False)
    outcomes = {entry["outcome"]: entry for entry in trace["recipients"]}
    assert outcomes["pending"] == {"outcome": "pending", "count": 1}
    assert "class" not in outcomes["delivered"] and outcomes["delivered"]["code"] == "2.0.0"
    failed = outcomes["failed"]
    assert (failed["class"], failed["code"], failed["attempts"], failed["site"]) == (
        "address_unknown", "5.1.1", 1, "site.test")
    assert failed["title"] == "This address does not exist" and failed["advice"]
    assert "no such user" in failed["text"] and "nobody" not in failed["text"]
    assert "nobody@" not in json.dumps(trace)


def test_text_for_people(sent):
    decision = sent.shell.json("trace", "4F0A11")["decision"]
    for words in (["trace", decision], ["trace", sent.mailbox], ["show", "@example.test"],
                  ["feedback"]):
        text = sent.shell.ok(*words)
        short = re.sub(r" \(\d+ \w+ ago\)", "", re.sub(r"file:\S+", "file:mail.log", text))
        assert all(len(line) < 80 for line in short.splitlines()), text
    text = sent.shell.ok("trace", decision)
    assert "recipients: 1 pending, 1 delivered, 1 failed" in text
    assert "1 failed, site.test, code 5.1.1, 1 attempt, last" in text
    assert "This address does not exist." in text and "The server said: " in text
    text = sent.shell.ok("trace", sent.mailbox)
    assert f"{sent.mailbox}: 1 message in the last 10 days." in text
    assert re.search(rf"{decision}  1 pending, 1 delivered, 1 failed", text)
    assert re.search(r"site\.test +1 +0 +1 +0 +0", text)
    text = sent.shell.ok("show", "@example.test")
    assert "sent from example.test in the last 24 hours." in text
    assert "Delivery of @example.test: 1 message in the last 10 days." in text
    assert re.search(r"1  address_unknown  This address does not exist", text)
    text = sent.shell.ok("feedback")
    assert "5 lines, 1 messages, 2 outcomes, 0 refunds; 1 in the queue" in text


def test_a_log_that_is_forgotten(sent, folder):
    source = sent.shell.json("feedback")["source"]
    forget = ("feedback", "--forget", source)
    assert "--note is missing" in sent.shell.fails(64, *forget)
    assert "no log of that name is followed: expected one that sendguard feedback names" in \
        sent.shell.fails(1, "feedback", "--forget", "mx9", "--note", "x")
    assert "within the last 10 minutes" in sent.shell.fails(1, *forget, "--note", "gone")
    assert sent.shell.json("feedback")["source"] == source and sent.shell.ok("audit") == ""
    clock = Clock(folder)
    clock.set((time.time() + 700) * 1000)
    told = sent.shell.ok(*forget, "--note", "gone", **clock.environment)
    assert told == f"{source}: left out from now on.\n"
    assert sent.shell.json("feedback") == {"sources": [], "outages": [], "blocked": []}
    assert re.search(r"feedback_forget.*gone", sent.shell.ok("audit"))
    assert sent.shell.json("trace", "4F0A11")["state"] == "traced"
    sent.log.refused("4F0A11", "slow@y.test")
    sent.log.follow()
    assert sent.shell.json("feedback")["source"] == source


def test_why_there_is_no_trace(sent):
    sent.end(1, queue_id="4F0A12")
    listed = sent.shell.json("log", sent.mailbox)["decisions"]
    newest = max(entry["decision"] for entry in listed)
    assert sent.shell.json("trace", newest)["state"] == "waiting"
    assert "Nothing is known yet" in sent.shell.ok("trace", newest)
    assert "there is no message" in sent.shell.fails(1, "trace", "ZK3M-Q2XD-9F4A")
    assert "not kept any longer" in sent.shell.fails(1, "trace", "0K3M-Q2XD-9F4A")
    assert "does not lead to it" in sent.shell.fails(1, "trace", "4F0A13")
    assert "a queue id, or the value of X-Sendguard-Ref" in sent.shell.fails(64, "trace", "what")
    assert "expected an address" in sent.shell.fails(64, "trace", "@example.test")


def test_a_mailbox_that_is_forgotten(sent):
    """While a message of it is in the queue: what comes of it later is no fault, and new mail is
    followed as any other."""
    kinds = {entry["kind"] for entry in sent.shell.json("export", sent.mailbox)["entries"]}
    assert {"queued", "delivery", "known_recipients"} <= kinds
    sent.shell.ok("forget", sent.mailbox, "--note", "asked by letter")
    kinds = {entry["kind"] for entry in sent.shell.json("export", sent.mailbox)["entries"]}
    assert "queued" in kinds and kinds.isdisjoint({"delivery", "known_recipients"})
    sent.log.refused("4F0A11", "slow@y.test")
    sent.log.begin("4F0A15", sent.mailbox)
    assert sent.end(1, queue_id="4F0A15") == DUNNO
    sent.log.queued("4F0A15", "<later@example.test>", 1)
    sent.log.outcome("4F0A15", "good@x.test", "sent", "2.0.0", "250 2.0.0 OK")
    sent.log.follow()
    [message] = sent.shell.json("trace", sent.mailbox)["messages"]
    assert message["queue_id"] == "4F0A15"
    assert message["recipients"][0]["outcome"] == "delivered"


def test_nothing_is_followed(both, folder, store):  # noqa: F811
    user, _ = both()()
    shell = Shell(folder, store)
    assert user.end(1) == DUNNO
    decision = shell.json("log")["decisions"][0]["decision"]
    assert shell.json("trace", decision)["state"] == "not_followed"
    assert "is not followed" in shell.ok("trace", decision)
    assert "is not followed" in shell.ok("trace", user.mailbox)
    assert "is not followed" in shell.ok("show", "@example.test")
    assert "No mail server's log is followed" in shell.ok("feedback")
    assert shell.json("feedback") == {"sources": [], "outages": [], "blocked": []}


@pytest.fixture
def web(sent, store):
    web = Web(sent.mta.folder, store).start()
    yield web
    web.stop()


def test_the_api_tells_the_same(sent, web):
    program = Program(web, web.token("m", "viewer"))
    for path, words in ((f"/decisions/{sent.webmail_decision}/trace", ["trace", sent.webmail_decision]),
                        (f"/mailboxes/{sent.mailbox}/delivery", ["trace", sent.mailbox])):
        answer = program.get("/api/v1" + path).json
        told = sent.shell.json(*words)
        answer.pop("now", None), told.pop("now", None)
        assert answer == told
    domain = program.get("/api/v1/domains/example.test/delivery").json
    assert domain["by_day"][0]["failed"] == domain["sums"]["outcomes"]["failed"] == 1
    asked = program.post_json(f"/api/v1/mailboxes/{sent.mailbox}/delivery/addresses",
                              {"recipients": ["NOBODY@x.test", "else@x.test"]}).json
    assert [one["outcome"] for one in asked["recipients"]] == ["failed", None]
    feedback = program.get("/api/v1/feedback").json
    source, = feedback.pop("sources")
    assert feedback == {**source, "outages": [], "blocked": []}
    assert source["outcomes"] == 2 and source["lag_s"] < 60
    assert source["source"].endswith(f"file:{sent.log.path}")


def token_of(sender):
    url = sender.send(dry_run=True).json["status_url"]
    return url.partition("?t=")[2].partition("&")[0]


def test_the_webmail_asks_for_its_user(sent, web):
    client = Client(web, {"Accept-Language": "de"})
    path = "/status/delivery?t=" + token_of(sent.webmail)
    body = {"message_id": sent.message_id,
            "recipients": ["good@x.test", "nobody@x.test", "slow@y.test"]}
    answer = client.post_json(path, body)
    assert answer.status == 200, answer
    assert [one["outcome"] for one in answer.json["recipients"]] == ["delivered", "failed", "pending"]
    failed = answer.json["recipients"][1]
    assert failed["address"] == "nobody@x.test" and failed["title"] == "Diese Adresse gibt es nicht"
    assert [trace["queue_id"] for trace in answer.json["messages"]] == ["4F0A11"]
    assert client.post_json(path, {"recipients": ["nobody@x.test"]}).json["messages"] == []


def test_nobody_asks_for_others(sent, web):
    """Another's link, no link, a forged one, another way to ask."""
    client = Client(web)
    body = {"message_id": sent.message_id, "recipients": ["nobody@x.test"]}
    other = type(sent.webmail)(sent.webmail.endpoint, "other@example.test", sent.webmail.ip)
    answer = client.post_json("/status/delivery?t=" + token_of(other), body)
    assert answer.status == 200 and answer.json["messages"] == []
    assert answer.json["recipients"] == [{"address": "nobody@x.test", "outcome": None}]
    token = token_of(sent.webmail)
    for query in ("", "?t=", "?t=" + token[:-1], "?t=" + token + "x"):
        answer = client.post_json("/status/delivery" + query, body)
        assert answer.status == 403, answer
        assert answer.header("Content-Type") == "application/problem+json"
    path = "/status/delivery?t=" + token
    assert client.get(path).status == 405
    assert client.post_form(path, {"recipients": "nobody@x.test"}).status == 415
    assert client.post_json(path, {"recipients": ["a@x.test"] * 1001}).status == 400
    assert client.post_json(path, {"recipients": ["a" * 70 + "@x.test"] * 900}).status == 413


def test_a_stamp_without_a_year_after_months(folder, store):
    """The year is the one of the moment at which the line is read, not of the program's start."""
    clock, shell, log = Clock(folder), Shell(folder, store), folder / "mail.log"
    today_ms = int(time.time()) * 1000

    def line_at(moment_ms):
        clock.set(moment_ms)
        moment = datetime.datetime.fromtimestamp(moment_ms // 1000, datetime.timezone.utc)
        with log.open("a") as lines:
            lines.write(f"{moment:%b %e %H:%M:%S} mx1 postfix/qmgr[77]: 4F0A11: removed\n")
        return f"{moment:%Y-%m-%dT%H:%M:%S}"

    def is_told(moment):
        return any(one["line_at"].startswith(moment) for one in shell.json("feedback")["sources"])
    begun = line_at(today_ms - 280 * DAY)
    with subprocess.Popen([BUILD / "sendguard-feedback", *shell.options,
                           "-o", f"web.secret_file={folder}/secret",
                           "-o", f"feedback.source=file:{log}"], stdin=subprocess.DEVNULL,
                          env=dict(os.environ, TZ="UTC", **clock.environment)) as program:
        try:
            eventually(lambda: is_told(begun), "the first line is read")
            now = line_at(today_ms)
            eventually(lambda: is_told(now), "the line of today is of today")
        finally:
            program.terminate()


def test_the_status_page_as_json_is_as_it_is_described(sent, web):
    """What the page adds to the API's view is in the document, member by member, and nothing else."""
    client = Client(web, {"Accept": "application/json"})
    view = client.get("/status?t=" + token_of(sent.webmail)).json["delivery"]
    rows = re.findall(r"^\| `(\w+)`(?: of a message)? \| (.*) \|$",
                      (TREE / "docs/delivery.md").read_text().split("## For a webmail")[1], re.M)
    described = {name: set(re.findall(r"`(\w+)`", text)) for name, text in rows}
    plain = {"now", "mailbox", "followed", "days", "sums", "messages", "older"}
    assert set(view) - plain == {"tally", "cut"}
    assert described["tally"] == set(view["tally"])
    message, = view["messages"]
    trace = sent.shell.json("trace", message["decision"])
    assert set(message) - set(trace) == {"sum", "more_recipients"} and "recipients" not in message
    assert set(message["sum"]) == described["sum"] - {"outcome", "ok", "note", "warn", "bad"}
    assert set(described) == {"sum", "tally", "cut", "more_recipients"}


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_the_webmail_has_the_words_of_the_status_page(language):
    """Of a message that our own mail server refused, holds or deleted; and every text in every language."""
    folder = TREE / "webmail/roundcube/sendguard/localization"
    path, = folder.glob(f"{language}_*.inc")
    text = path.read_text()
    pages = json.loads((TREE / f"templates/{language}/delivery_pages.json").read_text())
    for name, key in (("deliveryrefused", "delivery.line.refunded"), ("deliverywaits", "hold.waits"),
                      ("deliverydeleted", "hold.deleted")):
        said, = re.findall(rf"\$messages\['{name}'\] = '(.*)\.';", text)
        assert said[0].lower() + said[1:] == pages[key]
    names = re.findall(r"^\$(\w+\['\w+'\])", text, re.M)
    assert names == re.findall(r"^\$(\w+\['\w+'\])", (folder / "en_US.inc").read_text(), re.M)
