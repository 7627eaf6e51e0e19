"""A domain whose mail fails is refused, from the mail server's log to the answers of both channels, on both
stores."""

import sqlite3
import subprocess
import time

import pytest

from endpoint import Sender, rules
from mta import DUNNO, User, both, start_mta  # noqa: F401 (fixtures)
from programs import BUILD, PATIENCE, eventually
from test_domain_failures import FAILS, OTHER, House

SENTENCE = "Domain sad.test has exceeded the max defers and failures per hour allowed"


@pytest.fixture
def ready(both, folder, store):  # noqa: F811
    """ready(settings): the services, and a user of the webmail at any mailbox."""
    links = []

    def begin(settings=None):
        user, webmail = both(settings)()
        house = House(user, folder, store)
        house.guard = webmail.endpoint

        def at(mailbox):
            smtp = User(house.mta, mailbox)
            links.append(smtp)
            return smtp, Sender(house.guard, mailbox, smtp.ip)

        house.at = at
        return house

    yield begin
    for link in links:
        link.close()


def test_both_channels_refuse(ready):
    house = ready().block()
    for mailbox in (FAILS, OTHER):
        smtp, webmail = house.at(mailbox)
        answer = smtp.end(1)
        assert answer.startswith(f"REJECT 5.7.1 {SENTENCE}. Paused until "), answer
        assert " UTC. Failed or delayed: 10 of 13 recipients. " in answer
        assert answer.isascii() and len(answer) < 512
        for dry_run in (False, True):
            answer = webmail.send(["friend@sad.test"], dry_run=dry_run)
            assert (answer.status, answer.json["type"]) == (403, "urn:sendguard:blocked")
            assert 3500 < int(answer.headers["retry-after"]) <= 3600
            reason = answer.json["reasons"][0]
            assert (reason["rule"], reason["of"], reason["domain"]) == (
                "domain_failures", "domain", "sad.test")
            assert (reason["count"], reason["all"], reason["percent"]) == (10, 13, 50)
            assert answer.json["retry_at"] == answer.json["can_send_at"] == reason["until"]
            assert answer.json["suspension"] is None and answer.json["can_send"] == "none"
    for elsewhere in ("a@sub.sad.test", "a@glad.test"):
        smtp, webmail = house.at(elsewhere)
        assert smtp.end(1) == DUNNO
        webmail.admitted()


def test_a_refusal_is_explained_when_it_is_over(ready):
    house = ready().block()
    smtp, webmail = house.at(FAILS)
    decision = webmail.send().json["decision"]
    smtp.end(1)
    house.mta.log.wait(r"msg=decision channel=smtp .* verdict=blocked .* rule=domain_failures")
    house.shell.ok("lift", "@sad.test", "--note", "a list that was cleaned")
    assert smtp.end(1) == DUNNO
    explained = house.shell.json("explain", decision)
    assert explained["outcome"] == "blocked"
    assert (explained["block"]["subject"], explained["block"]["bad"]) == ("@sad.test", 10)
    assert "@sad.test was blocked until" in house.shell.ok("explain", decision)


def test_observe(ready):
    house = ready({"guard": {"mode": "observe"}}).block()
    smtp, webmail = house.at(FAILS)
    assert smtp.end(1) == DUNNO
    answer = webmail.send()
    assert (answer.status, answer.json["observed"], rules(answer)) == (200, True, ["domain_failures"])


@pytest.mark.parametrize("settings", [{"exempt": {"mailbox": FAILS}}, {"failures": {"percent": "off"}}])
def test_whom_it_does_not_concern(ready, settings):
    house = ready(settings)
    house.block()
    smtp, webmail = house.at(FAILS)
    assert smtp.end(1) == DUNNO
    webmail.admitted()


def test_one_mailbox(ready):
    house = ready({"failures": {"blocks": "mailbox"}})
    house.arrive(OTHER, 3)
    house.fail(FAILS, 5)
    house.fail(FAILS, 5)
    house.log.follow()
    assert house.at(FAILS)[0].end(1).startswith(f"REJECT 5.7.1 {SENTENCE}. Paused until ")
    assert house.at(OTHER)[0].end(1) == DUNNO


def test_a_damaged_block(ready, store):
    """It stops no mail, and the log says so, once an hour."""
    house = ready().block()
    if store.kind == "sqlite":
        with sqlite3.connect(store.path, timeout=PATIENCE) as connection:
            changed = connection.execute("UPDATE value SET bytes = x'00' WHERE kind = 9").rowcount
            assert changed == 1
    else:
        store.server.command("SETRANGE", "sg:value:block:sad.test", 10, b"\xff")
    smtp, webmail = house.at(FAILS)
    for _ in range(2):
        assert smtp.end(1) == DUNNO
        webmail.admitted()
    said = "level=error msg=.what is kept of a block for failed mail is damaged.* mailbox=" + FAILS
    house.mta.log.wait("msg=decision .*" + FAILS, count=4)
    assert len(house.mta.log.matching(said)) == 1


def test_within_half_a_second(ready):
    """From the line of the log to the refusal, by a follower that waits for lines. Other programs share the
    machine: of ten times one must be free of them."""
    house, took = ready(), []
    with subprocess.Popen([BUILD / "sendguard-feedback", "-c", house.mta.config_path, "-o",
                           f"feedback.source=file:{house.log.path}"], stderr=subprocess.DEVNULL) as follower:
        try:
            for number in range(10):
                mailbox = f"sad@sad{number}.test"
                house.fail(mailbox, 5)
                house.fail(mailbox, 4)
                eventually(lambda: house.shell.json("show", f"@sad{number}.test")["failures"]["bad"] == 9,
                           "nine failures are counted")
                smtp, queue_id = house.at(mailbox)[0], house.send(mailbox, "nobody@x.test")
                began = time.monotonic()
                house.log.refused(queue_id, "nobody@x.test")
                eventually(lambda: smtp.end(1) != DUNNO, "the domain is blocked")
                took.append(time.monotonic() - began)
                if took[-1] < 0.5:
                    break
        finally:
            follower.terminate()
    assert min(took) < 0.5, took
