"""One message on both channels: counted once, and logged when it bypassed the webmail endpoint."""

import json
import os
import subprocess

import pytest

from endpoint import people
from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import BUILD, eventually

HOST = "127.0.0.1"
HOSTS = {"mta": {"webmail_hosts": HOST}}

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]


@pytest.fixture
def sent(both):
    """The policy service as the webmail's host reaches it, and the webmail endpoint."""
    user, webmail = both(HOSTS)()
    user.ip = HOST
    return user, webmail


def shell(store, *words):
    done = subprocess.run([BUILD / "sendguard", "-o", f"store.url={store.url}", *words], check=True,
                          capture_output=True, env=dict(os.environ, TZ="UTC"), timeout=60)
    return done.stdout.decode()


def test_counted_once(sent):
    user, webmail = sent
    for count in (1, 3, 40):
        webmail.admitted(people(count, "x.test"))
    for count in (40, 1, 3):
        assert user.end(count) == DUNNO
    user.mta.log.wait("verdict=redeemed")
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (3, 44)
    assert "bypassed" not in user.mta.log.text()
    assert user.end(3) == DUNNO  # a copy of the last, with no ticket of its own
    user.mta.log.wait("level=warning .*verdict=admit .*bypassed=1")
    assert webmail.used() == 4


def test_recipients_named(sent):
    """Whose letters are large or small is one to us and two to Postfix, which tells us each."""
    user, webmail = sent
    webmail.admitted(["Bob@x.test", "bob@x.test", "carol@example.test"])
    assert user.send(["Bob@x.test", "bob@x.test", "carol@example.test"]) == DUNNO
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 1)


def test_given_back(sent):
    user, webmail = sent
    first = webmail.body(people(1, "x.test"))
    webmail.admitted(first["to"], id=first["id"])
    assert webmail.refund(first["id"]).status in (200, 204)
    assert user.end(1) == DUNNO
    user.mta.log.wait("bypassed=1")
    assert webmail.used() == 1


def test_what_staff_reads(sent, store):
    user, webmail = sent
    webmail.admitted(people(1, "x.test"))
    user.end(1)
    user.end(2)
    listed = json.loads(shell(store, "log", "--json"))["decisions"]  # of one moment: in any order
    decisions = {(entry["outcome"], entry.get("bypassed")): entry["decision"] for entry in listed}
    assert set(decisions) == {("admitted", True), ("redeemed", None), ("admitted", None)}
    bypassed, redeemed = decisions["admitted", True], decisions["redeemed", None]
    for line in shell(store, "log").splitlines():
        assert line.endswith("  bypassed") == (bypassed in line), line
        assert (" redeemed " in line) == (redeemed in line), line
    assert "bypassed: it came from the webmail's host" in shell(store, "explain", bypassed)
    told = shell(store, "explain", redeemed)
    assert "counted it: not counted again" in told and "bypassed" not in told
    shown = shell(store, "show", user.mailbox)
    assert "  bypassed" in shown and " redeemed " not in shown
    eventually(lambda: store.counters().get("bypassed channel=smtp") == 1, "it is counted")
    assert store.counters()["decisions channel=smtp verdict=redeemed"] == 1
