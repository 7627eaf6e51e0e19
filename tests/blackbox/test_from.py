"""From must match the account: at the webmail endpoint and the policy service, on both stores."""

import itertools
import json
import subprocess

from endpoint import rules
from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from socketmap import socketmap_server
from test_cli import Shell

ENFORCE = {"identity": {"mode": "enforce"}, "support": {"contact": "support@example.test"}}
_hosts = itertools.count(1)


def with_owners(source, **more):
    return {**ENFORCE, "identity": {"mode": "enforce", "owners": source}, **more}


def host():
    """A new recipient: three messages to one are tries of one message."""
    return f"r{next(_hosts)}@x.test"


def test_webmail_is_refused_with_what_may_be_used(both, folder):
    owners = folder / "owners"
    user, sender = both(with_owners(f"file:{owners}"))("alice@example.test")
    owners.write_text("sales@example.test alice@example.test\nboard@example.test bob@example.test\n")
    assert sender.admitted(**{"from": "sales@example.test"})
    assert sender.admitted(**{"from": "Alice <ALICE+x@example.test>"})
    assert sender.admitted(**{"from": None})
    for dry_run in (True, False):
        refused = sender.send(dry_run=dry_run, **{"from": "Board <board@example.test>"})
        assert (refused.status, rules(refused)) == (403, ["from_not_yours"])
        assert refused.json["type"] == "urn:sendguard:from-not-allowed"
        [reason] = refused.json["reasons"]
        assert reason["from"] == "board@example.test"
        assert reason["may_use"] == ["alice@example.test", "sales@example.test"]
        assert "You are signed in as alice@example.test and may not write as " \
               "board@example.test. You may write as: alice@example.test, sales@example.test." \
               in refused.json["message"]
        assert "bob" not in json.dumps(refused.json)
    for lang, words in (("de", "Sie dürfen schreiben als"), ("fr", "Vous pouvez écrire en tant que"),
                        ("es", "Puede escribir como")):
        assert words in sender.send(dry_run=True, lang=lang,
                                    **{"from": "board@example.test"}).json["message"]
    assert sender.used() == 3
    shell = Shell(folder, user.mta.store)
    explained = json.loads(shell.ok("explain", refused.json["decision"], "--json"))
    assert explained["verdict"] == "identity"


def test_smtp_is_refused_before_anything_is_counted(both, folder):
    owners = folder / "owners"
    owners.write_text("@alias.test alice@example.test\n")
    user, sender = both(with_owners(f"file:{owners}"))("alice@example.test")
    assert user.send([host()], sender="any@alias.test") == DUNNO
    assert user.send([host()], sender="") == DUNNO
    answer = user.send([host()], sender="boss@else.test")
    assert answer.startswith("553 5.7.1 The message was not sent")
    assert "You are signed in as alice@example.test and may not write as boss@else.test: else.test " \
           "is not one of our domains. You may write as: alice@example.test." in answer
    assert "support@example.test" in answer
    for machine in ("root@localhost", "root", "root@host"):
        answer = user.send([host()], sender=machine)
        assert answer.startswith("553 5.7.1") and f"may not write as {machine}," in answer
        assert "smtp_generic_maps" in answer
    assert user.send([host()], sender="bob@example.test").startswith("553 5.7.1")
    assert sender.used() == 2


def test_three_foreign_messages_suspend(both, folder):
    user, sender = both(ENFORCE)()
    recipient = host()
    for _ in range(4):  # an outbox
        assert user.send([recipient], sender="boss@else.test").startswith("553 ")
    assert sender.send([host()], **{"from": "boss@else.test"}).status == 403
    assert sender.admitted()
    refused = user.send([host()], sender="boss@else.test")
    assert refused.startswith("REJECT 5.7.1 The message was rejected for the following reason: "
                              "Permanent Failure: Your account has been suspended")
    assert "boss@else.test" in refused
    suspended = sender.send()
    assert suspended.status == 403 and suspended.json["suspension"]["cause"] == "identity"
    assert suspended.json["suspension"]["attempts"] == 1
    Shell(folder, user.mta.store).ok("lift", user.mailbox, "--cause", "identity", "--note", "it was the newsletter")
    assert sender.admitted()
    assert sender.send([host()], **{"from": "boss@else.test"}).json["suspension"] is None


def test_staff_permits_an_address(both, folder):
    user, sender = both({**ENFORCE, "on_limit": {"from_foreign": "refuse"}})("alice@example.test")
    shell = Shell(folder, user.mta.store)
    assert user.send([host()], sender="press@else.test").startswith("553 ")
    assert "nothing more is permitted" in shell.ok("allow-from", user.mailbox)
    out = shell.ok("allow-from", user.mailbox, "Press@ELSE.test", "--for", "1h", "--note", "agency")
    assert "may also write as:\n  press@else.test, until " in out
    assert user.send([host()], sender="press@else.test") == DUNNO
    refused = user.send([host()], sender="boss@else.test")
    assert "You may write as: alice@example.test, press@else.test." in refused
    shell.ok("allow-from", user.mailbox, "@else.test", "--note", "all of it")
    assert sender.admitted(**{"from": "boss@else.test"})
    for address in ("@else.test", "press@else.test"):
        shell.ok("allow-from", user.mailbox, address, "--end", "--note", "over")
    assert user.send([host()], sender="press@else.test").startswith("553 ")
    shell.fails(1, "allow-from", user.mailbox, "@else.test", "--end", "--note", "x")
    shell.fails(64, "allow-from", user.mailbox, "@else.test")
    shell.fails(64, "allow-from", user.mailbox, "--note", "x")
    audit = shell.ok("audit", user.mailbox)
    assert audit.count(" allow_from ") == audit.count(" disallow_from ") == 2


def test_observe_tells_and_refuses_nothing(both, folder):
    user, sender = both({"identity": {"mode": "observe"}})()
    for _ in range(4):
        answer = sender.admitted([host()], **{"from": "boss@else.test"})
        assert answer.json["observed"] is True and rules(answer) == ["from_foreign"]
        assert user.send([host()], sender="boss@else.test") == DUNNO
    user.mta.log.wait("verdict=observed .*rule=from_foreign")
    assert sender.used() == 8
    explained = json.loads(Shell(folder, user.mta.store).ok(
        "explain", answer.json["decision"], "--json"))
    assert explained["verdict"] == "admitted"


def test_a_source_that_is_silent_lets_pass(both, folder):
    with socketmap_server(folder) as socketmap:
        socketmap.says(**{"sales@example.test": "alice@example.test",
                          "board@example.test": "!temp"})
        user, _ = both(with_owners(socketmap.source))("alice@example.test")
        assert user.send([host()], sender="sales@example.test") == DUNNO
        # a question has 250 ms, also on a machine that has much else to do
        eventually(lambda: user.send([host()], sender="bob@example.test").startswith("553 "),
                   "the source answers in time")
        assert user.send([host()], sender="board@example.test") == DUNNO
        assert user.send([host()], sender="boss@else.test") == DUNNO
        eventually(lambda: user.send([host()], sender="board@example.test") == DUNNO and
                   user.mta.log.matching("owners of addresses cannot be asked.*the database is away"),
                   "the log says why")


def test_a_file_that_is_damaged_is_told_by_check(start_mta, store, folder):
    owners = folder / "owners"
    owners.write_text("# list\nsales@@example.test alice@example.test\n")
    mta = start_mta(store, with_owners(f"file:{owners}"))
    checked = subprocess.run([*mta.command(), "--check"], capture_output=True, text=True)
    assert checked.returncode == 0
    assert '/owners:2: "sales@@example.test"' in checked.stderr
