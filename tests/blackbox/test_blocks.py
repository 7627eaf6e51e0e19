"""Blocked recipients and senders: from the command line to the refusal at both channels, and at the
API, on both stores."""

import csv
import io
import json

import pytest

import hashed
from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from test_cli import Shell
from web import Program, Web

pytestmark = pytest.mark.either_store

WHY = ("--note", "ticket 12")


@pytest.fixture
def shell(folder, store):
    return Shell(folder, store)


def test_from_the_command_line_to_the_refusal(shell, both):
    reasons = "no_ads Advertising is not allowed here."
    user, sender = both({"blocks": {"reasons": reasons}})()
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
    no_ads = ("-o", f"blocks.reasons={reasons}", "--reason", "no_ads")
    eventually(lambda: sender.mailbox in shell.ok("block", "--sender", network, *no_ads,
                                                  "--preview"), "who is concerned")
    assert "until staff ends it\n    the sender reads: Advertising" in shell.ok(
        "block", "--sender", network, *no_ads, *WHY)
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
    shell.ok("block", "x.test", "--scope", "Example.org", "--reason", "No.", "--for", "1h", *WHY)
    shell.ok("block", "p@x.test", "--scope", "alice@example.org", "--reason", "No.", *WHY)
    shell.ok("block", "--sender", "@bad.test", "--reason", "No.", *WHY)
    entries = shell.json("blocks")
    assert len(entries) == 123
    assert {entry["kind"] for entry in entries} == {"recipient", "pair", "domain", "sender"}
    assert all(set(entry) == {"kind", "subject", "hash", "scope", "reason", "text", "since", "until",
                              "by", "note"} for entry in entries)
    [domain] = [entry for entry in entries if entry["kind"] == "domain"]
    assert (domain["subject"], domain["scope"]) == ("x.test", "example.org") and domain["until"]
    assert [entry["subject"] for entry in shell.json("blocks", "R01")] == [
        f"r01{digit}@x.test" for digit in range(10)]
    assert [entry["kind"] for entry in shell.json("blocks", "@bad")] == ["sender"]
    rows = list(csv.DictReader(io.StringIO(shell.ok("blocks", "--csv"))))
    assert len(rows) == 123 and rows[-2]["text"] == "'=trap"
    assert "with the scope example.org" in shell.fails(1, "unblock", "x.test", *WHY)
    shell.ok("unblock", "x.test", "--scope", "example.org", *WHY)
    assert shell.json("audit", "x.test")["actions"][0]["action"] == "unblock"
    assert "has no such name" in shell.fails(64, "block", "a@x.test", "--reason", "no_adz", *WHY)
    for words in (("nobody@", "--reason", "X."), ("a@x.test",), ("--sender", "10.0.0.0/9", "--reason", "X."),
                  ("--sender", "a@x.test", "--scope", "x.test", "--reason", "X."),
                  ("a@x.test", "--reason", "x" * 201), ("a@x.test", "--reason", "X.", "--for", "long")):
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


def test_a_file_at_the_api(folder, store):
    web = Web(folder, store).start()
    try:
        viewer, support = (Program(web, web.token(role, role)) for role in ("viewer", "support"))
        path, export = "/api/v1/blocks/import?note=a+list", "/api/v1/blocks/export.csv"
        lines = [f"r{number:03}@x.test,=trap" for number in range(120)]
        file = "\ufeffsubject,reason\r\n" + "\r\n".join(lines)
        assert viewer.post_csv(path, file).status == 403
        preview = support.post_csv(path + "&preview=true", file).json
        assert (preview["done"], preview["new"], preview["all_mailboxes"]) == (False, 120, True)
        assert viewer.get(export).text.count("\n") == 1
        support.post_json("/api/v1/blocks", {"action": "block", "subject": "r007@x.test",
                                             "reason": "Another.", "note": "meanwhile"})
        late = support.post_csv(f"{path}&seen={preview['seen']}", file)
        assert (late.status, late.json["where"]) == (409, "seen")
        assert viewer.get(export).text.count("\n") == 2
        preview = support.post_csv(path + "&preview=true", file).json
        assert (preview["new"], preview["replaced"]) == (119, 1)
        for told in (119, 1, 0), (0, 0, 120):  # as after a double click
            done = support.post_csv(f"{path}&seen={preview['seen']}", file).json
            assert (done["done"], done["new"], done["replaced"], done["same"]) == (True, *told)
        rows = list(csv.DictReader(io.StringIO(viewer.get(export).text, newline="")))
        assert [row["subject"] for row in rows] == [f"r{number:03}@x.test" for number in range(120)]
        assert {(row["text"], row["by"], row["note"]) for row in rows} == {
            ("'=trap", "token:support", "a list")}
        assert viewer.get(export + "?q=r01").text.count("\n") == 11
        assert support.post_csv(path, viewer.get(export).text).json["same"] == 120
        actions = viewer.get("/api/v1/audit?subject=r001@x.test").json["actions"]
        assert [(one["action"], one["by"], one["note"]) for one in actions] == [
            ("block", "token:support", "a list")]
        wrong = support.post_csv(path, "subject,reason\n" + "nobody@,No.\n" * 30 + "a@x.test,No.\n")
        assert (wrong.status, wrong.json["wrong"], len(wrong.json["faults"])) == (422, 30, 20)
        assert {name: wrong.json["faults"][0][name] for name in ("line", "column")} == {
            "line": 2, "column": "subject"}
        assert viewer.get(export + "?q=a@").text.count("\n") == 1
    finally:
        web.stop()


def test_who_is_concerned_by_a_file(shell, both):
    _, sender = both()()
    sender.admitted(["bob@x.test"])
    domain = sender.mailbox.split("@")[1]
    file = shell.folder / "concerned.csv"
    file.write_text(f"subject,reason,scope\nb@x.test,No.,{domain}\nc@x.test,No.,{domain}\n")
    eventually(lambda: sender.mailbox in shell.ok("block", "--import", str(file), "--preview"),
               "who is concerned")
    preview = shell.json("block", "--import", str(file), "--preview")
    assert [one["mailbox"] for one in preview["mailboxes"]] == [sender.mailbox]
    assert (preview["all_mailboxes"], preview["more_mailboxes"]) == (False, False)
    names = "\n".join(f"b@x.test,No.,d{number:02}.test" for number in range(21))
    file.write_text("subject,reason,scope\n" + names)
    assert shell.json("block", "--import", str(file), "--preview")["more_mailboxes"] is True


def read_rows(shell):
    return list(csv.DictReader(io.StringIO(shell.ok("blocks", "--csv"))))


def test_a_file_there_and_back(shell, folder):
    file = folder / "blocks.csv"
    shell.ok("block", "bob@x.test", "--reason", "=No; -1", *WHY)
    shell.ok("block", "x.test", "--scope", "example.org", "--reason", "No.", "--for", "1h", *WHY)
    shell.ok("block", "p@x.test", "--scope", "alice@example.org", "--reason", '"no", he says', *WHY)
    shell.ok("block", "--sender", "@bad.test", "--reason", "No.", *WHY)
    before = read_rows(shell)
    file.write_bytes(shell.ok("blocks", "--csv").encode())
    assert "0 new, 0 replaced, 4 the same" in shell.ok("block", "--import", str(file), "--preview")
    shell.ok("unblock", "bob@x.test", *WHY)
    shell.ok("unblock", "--sender", "@bad.test", *WHY)
    shell.ok("block", "x.test", "--scope", "example.org", "--reason", "Another.", *WHY)
    preview = shell.json("block", "--import", str(file), "--preview")
    assert (preview["done"], preview["new"], preview["replaced"], preview["same"]) == (False, 2, 1, 1)
    assert preview["all_mailboxes"] is True
    assert preview["kinds"] == {"recipient": 1, "pair": 1, "domain": 1, "sender": 1}
    assert len(read_rows(shell)) == 2
    out = shell.ok("block", "--import", str(file), "--note", "again")
    assert "Done: 2 new, 1 replaced, 1 the same" in out
    told = ("kind", "subject", "scope", "reason", "text", "until", "note")
    assert [[row[name] for name in told] for row in read_rows(shell)] == [
        [row[name] for name in told] for row in before]
    [action] = shell.json("audit", "@bad.test")["actions"][:1]
    assert (action["action"], action["note"]) == ("block", "again")
    assert "0 new, 0 replaced, 4 the same" in shell.ok("block", "--import", str(file), *WHY)


def test_a_file_of_a_list(shell, folder):
    """Several steps; a program's mark before the text, and lines that have ended."""
    file = folder / "list.csv"
    lines = [f"r{number}@x.test,A trap." for number in range(450)]
    file.write_text("\ufeffsubject,reason\r\n" + "\r\n".join(lines), encoding="utf-8")
    assert "Done: 450 new" in shell.ok("block", "--import", str(file), *WHY)
    rows = read_rows(shell)
    assert len(rows) == 450 and {row["note"] for row in rows} == {"ticket 12"}
    file.write_text("subject,reason,until\nold@x.test,No.,2020-01-01T00:00:00Z\n"
                    "new@x.test,No.,2099-01-01T00:00:00Z\n")
    assert "Done: 1 new, 0 replaced, 0 the same as before, 1 left out" in shell.ok(
        "block", "--import", str(file), *WHY)
    assert "old@x.test" not in shell.ok("blocks") and "new@x.test" in shell.ok("blocks")


@pytest.mark.parametrize("text, told", [
    (b"", ":1: expected a header"),
    (b"subject;reason\nb@x.test;No.\n", ":1: expected a header"),
    (b"subject,subject,reason\n", ":1: expected a header"),
    (b"subject,note\nb@x.test,No.\n", ":1: the header needs"),
    (b'subject,reason\ngood@x.test,No.\nb@x.test,"No.\n', ":3: cell 2: a quotation mark is missing"),
    (b'subject,reason\nb@x.test,N"o"\n', ":2: cell 2: a quotation mark stands within"),
    (b"subject,reason\nb@x.test,N\0o\n", ":2: cell 2: it holds a NUL"),
    (b"subject,reason\nb@x.test,N\xffo\n", ":2: reason: "),
    (b"subject,reason\nb@x.test\n", ":2: expected 2 cells"),
    (b"subject,reason\nb@x.test,a,b\n", ":2: expected 2 cells"),
    (b"subject,reason\nb@x.test,No.\nB@X.test,No.\n", ":3: subject: line 2 has the same"),
    (b"subject,reason\nb@,No.\n", ":2: subject: "),
    (b"subject,reason\nb@x.test,\n", ":2: reason: "),
    (b"subject,reason,until\nb@x.test,No.,soon\n", ":2: until: "),
    (b"subject,reason\nb@x.test," + b"x" * 201 + b"\n", ":2: reason: "),
    (b"subject,reason\nb@x.test," + b"x" * 5000 + b"\n", ":2: a line has at most"),
])
def test_a_wrong_file_does_nothing(shell, folder, text, told):
    file = folder / "wrong.csv"
    file.write_bytes(text + (b"last@x.test,No.\n" if text.startswith(b"subject,reason\n") else b""))
    said = shell.fails(1, "block", "--import", str(file), *WHY)
    assert f"{file}{told}" in said and "nothing is imported" in said
    assert shell.json("blocks") == []


def test_faults_of_a_file_are_told_up_to_twenty(shell, folder):
    file = folder / "wrong.csv"
    file.write_text("subject,reason,text\na@x.test,staff,no\nb@x.test,no_adz,\n")
    assert ":3: reason: [blocks] reasons has no such name" in shell.fails(1, "block", "--import", str(file), *WHY)
    file.write_text("subject,reason\n" + "nobody@,No.\n" * 30)
    assert "and 10 lines more" in shell.fails(1, "block", "--import", str(file), *WHY)
    shell.fails(1, "block", "--import", str(folder / "none.csv"), *WHY)
    shell.fails(64, "block", "--import", str(file))
    shell.fails(64, "block", "bob@x.test", "--import", str(file), *WHY)
    shell.fails(64, "block", "--import", str(file), "--reason", "X.", *WHY)


def test_what_sendguard_blocks_itself(redis_store, folder, start, sender_at):
    """Also the command line finds it by the whole address, wherever it can read the secret."""
    guard = start(redis_store)
    sender = sender_at(guard, mailbox="ann@alone.test")
    shell = Shell(folder, redis_store)
    hashed.put(redis_store, folder / "secret", "bob@x.test", "alone.test", "address_unknown")
    eventually(lambda: sender.send(["bob@x.test"], dry_run=True).status == 422,
               "an entry takes effect")
    answer = sender.send(["carol@x.test", "bob@x.test"])
    assert answer.status == 422
    assert [(one["recipient"], one["reason"]) for one in answer.json["reasons"]] == [
        ("bob@x.test", "address_unknown")]
    text = json.dumps({"mailbox": sender.mailbox, "to": ["carol@x.test", "bob@x.test"]})
    assert shell.json("simulate", text=text)["verdict"] == "admit"
    shell.options += ["-o", f"web.secret_file={folder / 'secret'}"]
    told = shell.ok("simulate", text=text)
    assert "this message would meet: refuse." in told
    assert "recipient_blocked: Mail to bob@x.test (To) came back twice" in told
    [entry] = shell.json("blocks", "bob@x.test")
    assert (entry["subject"], entry["reason"]) == ("(recipient) at mx.x.test", "address_unknown")
