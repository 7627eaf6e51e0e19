"""Blocked recipients and senders: from the command line to the refusal at both channels, and at the
API, on both stores."""

import csv
import io

import pytest

from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from test_cli import Shell
from web import Program, Web

WHY = ("--note", "ticket 12")


@pytest.fixture
def shell(folder, store):
    return Shell(folder, store)


def test_from_the_command_line_to_the_refusal(shell, both):
    user, sender = both({"blocks": {"reasons": "no_ads Advertising is not allowed here."}})()
    sender.admitted(["bob@x.test"])
    out = shell.ok("block", "BOB@x.test", "--reason", "It is a trap", *WHY)
    assert "block bob@x.test: done." in out and "concerns mail of all mailboxes" in out
    eventually(lambda: sender.send(["bob@x.test"], dry_run=True).status == 422,
               "an entry takes effect")
    answer = sender.send(["carol@x.test", "bob@x.test"])
    assert answer.status == 422
    [reason] = answer.json["reasons"]
    assert {name: reason[name] for name in ("rule", "field", "recipient", "reason")} == {
        "rule": "recipient_blocked", "field": "to", "recipient": "bob@x.test", "reason": "staff"}
    assert "Mail to bob@x.test (To) is blocked: It is a trap." in answer.json["message"]
    transaction = user.transaction()

    def rcpt(recipient):
        return user.connection.ask("RCPT", **user.members(
            recipient=recipient, instance=transaction["instance"]))

    eventually(lambda: rcpt("bob@x.test") != DUNNO, "the policy service knows it")
    assert rcpt("bob@x.test").startswith("REJECT 5.7.1 Mail to bob@x.test is blocked: It is a trap.")
    assert rcpt("carol@x.test") == DUNNO
    assert user.connection.ask("END-OF-MESSAGE", **user.members(
        recipient_count=1, **transaction)) == DUNNO
    shell.ok("unblock", "bob@x.test", *WHY)
    assert rcpt("bob@x.test") == DUNNO and sender.send(["bob@x.test"]).status == 200
    network = f"{sender.ip}/32"
    eventually(lambda: sender.mailbox in shell.ok("block", "--sender", network, "--reason",
                                                  "no_ads", "--preview"), "who is concerned")
    shell.ok("block", "--sender", network, "--reason", "no_ads", *WHY)
    eventually(lambda: sender.send(["bob@x.test"], dry_run=True).status == 403,
               "a blocked sender")
    refused = sender.send(["bob@x.test"])
    assert (refused.status, refused.json["reasons"][0]["rule"]) == (403, "sender_blocked")
    assert refused.json["type"] == "urn:sendguard:sender-blocked"
    assert "is not accepted: Advertising is not allowed here." in refused.json["message"]
    explained = shell.json("explain", refused.json["decision"])
    assert explained["verdict"] == "sender_blocked"
    assert explained["rules"][-1]["rule"] == "sender_blocked" and explained["rules"][-1]["broken"]


def test_the_lists(shell):
    assert "No such recipient or sender is on the lists" in shell.ok("blocks")
    assert shell.json("blocks") == [] and shell.ok("blocks", "--csv").count("\n") == 1
    for number in range(120):
        shell.ok("block", f"r{number:03}@x.test", "--reason", "=trap", *WHY)
    shell.ok("block", "x.test", "--scope", "Example.org", "--reason", "no", "--for", "1h", *WHY)
    shell.ok("block", "p@x.test", "--scope", "alice@example.org", "--reason", "no", *WHY)
    shell.ok("block", "--sender", "@bad.test", "--reason", "no", *WHY)
    entries = shell.json("blocks")
    assert len(entries) == 123
    assert {entry["kind"] for entry in entries} == {"recipient", "pair", "domain", "sender"}
    assert all(set(entry) == {"kind", "subject", "scope", "reason", "text", "since", "until", "by",
                              "note"} for entry in entries)
    [domain] = [entry for entry in entries if entry["kind"] == "domain"]
    assert (domain["subject"], domain["scope"]) == ("x.test", "example.org") and domain["until"]
    assert [entry["subject"] for entry in shell.json("blocks", "R01")] == [
        f"r01{digit}@x.test" for digit in range(10)]
    assert [entry["kind"] for entry in shell.json("blocks", "@bad")] == ["sender"]
    rows = list(csv.DictReader(io.StringIO(shell.ok("blocks", "--csv"))))
    assert len(rows) == 123 and rows[-2]["text"] == "'=trap"
    assert "ends with a lift" in shell.fails(1, "unblock", "x.test", *WHY)  # without its scope it is another one
    shell.ok("unblock", "x.test", "--scope", "example.org", *WHY)
    assert shell.json("audit", "x.test")["actions"][0]["action"] == "unblock"
    for words in (("nobody@", "--reason", "x"), ("a@x.test",), ("--sender", "10.0.0.0/9", "--reason", "x"),
                  ("--sender", "a@x.test", "--scope", "x.test", "--reason", "x"),
                  ("a@x.test", "--reason", "x" * 201), ("a@x.test", "--reason", "x", "--for", "long")):
        shell.fails(64, "block", *words, *WHY)


def test_at_the_api(folder, store):
    web = Web(folder, store).start()
    try:
        viewer, support = (Program(web, web.token(role, role)) for role in ("viewer", "support"))
        request = {"action": "block", "subject": "bob@x.test", "reason": "No.", "note": "x"}
        assert viewer.post_json("/api/v1/blocks", request).status == 403
        assert support.post_json("/api/v1/blocks", {**request, "preview": True}).json["done"] is False
        assert support.get("/api/v1/blocks").json["blocks"] == []
        assert support.post_json("/api/v1/blocks", request).json["done"] is True
        [entry] = viewer.get("/api/v1/blocks?q=bob").json["blocks"]
        assert (entry["subject"], entry["text"], entry["by"]) == ("bob@x.test", "No.", "token:support")
        gone = {"action": "unblock", "subject": "bob@x.test", "note": "x"}
        assert support.post_json("/api/v1/blocks", gone).json["after"] is None
        assert support.post_json("/api/v1/blocks", gone).status == 409
        assert support.post_json("/api/v1/blocks", {**request, "limit": "x"}).status == 400
    finally:
        web.stop()
