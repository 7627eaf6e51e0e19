"""What is stored about a person, told and forgotten by the real command line beside a guard, in both
stores."""

import json
import re
import subprocess

import pytest

from endpoint import crowd, people
from programs import BUILD, PATIENCE, SANITIZER_REPORT, eventually

CLI = BUILD / "sendguard"
WHY = ("--note", "asked by telephone")


class Shell:
    """Somebody at a shell, with the settings of a guard."""

    def __init__(self, guard):
        self.guard = guard

    def run(self, *words):
        done = subprocess.run([str(CLI), "-c", str(self.guard.config_path), *map(str, words)],
                              text=True, capture_output=True, timeout=PATIENCE)
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done

    def ok(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def exported(self, mailbox):
        return json.loads(self.ok("export", mailbox, "--json"))


@pytest.fixture
def shell(guard):
    return Shell(guard)


def use(sender, shell):
    """A little of everything that a webmail and staff can do."""
    sender.admitted(crowd(3))
    sender.admitted(id="known")
    assert sender.send(people(51, "x.test")).status == 422
    shell.ok("limit", sender.mailbox, "messages_per_hour=40", *WHY)
    shell.ok("note", sender.mailbox, "--note", "likes a \"quoted\" word, äöü")
    shell.ok("allow-from", sender.mailbox, "sales@example.test", *WHY)
    shell.ok("block", sender.mailbox, "--sender", "--reason", "Please call us.", *WHY)
    shell.ok("suspend", sender.mailbox, "--cause", "terms", "--for", "24h", *WHY)
    eventually(lambda: sender.mailbox in shell.ok("senders", sender.ip), "the sender was seen")


def kinds_of(document):
    return {entry["kind"] for entry in document["entries"]}


@pytest.mark.sanitized
def test_export(guard, shell, sender_at):
    sender, other = sender_at(guard), sender_at(guard)
    use(sender, shell)
    use(other, shell)
    document = shell.exported(sender.mailbox)
    assert document["mailbox"] == sender.mailbox
    assert document["count"] == len(document["entries"])
    assert kinds_of(document) == {"history", "decision", "suspension", "offence", "adjustment",
                                  "audit", "sender", "profile", "permissions", "blocked",
                                  "blocked_news"}
    told = {kind["kind"]: kind for kind in document["kinds"]}
    assert kinds_of(document) <= set(told)
    assert all(kind["what"] and kind["kept"] and kind["why"] for kind in told.values())
    assert other.mailbox not in json.dumps(document)

    decisions = [entry for entry in document["entries"] if entry["kind"] == "decision"]
    assert sorted(entry["verdict"] for entry in decisions) == ["admitted", "admitted", "message"]
    assert all(entry["message"]["ip"] == sender.ip for entry in decisions)
    audit = [entry["action"] for entry in document["entries"] if entry["kind"] == "audit"]
    assert sorted(audit) == ["allow_from", "block", "limit", "note", "suspend"]

    text = shell.ok("export", sender.mailbox)
    assert "     3  decisions on messages" in text and "Kept: " in text and "Why: " in text
    assert shell.exported("nobody@example.test")["entries"] == []
    assert shell.ok("export", "nobody@example.test") == \
        "Nothing is stored about nobody@example.test.\n"
    assert shell.run("export", "@example.test").returncode == 64
    assert "web.secret_file" in shell.run("export", sender.mailbox, "-o",
                                          "web.secret_file=/nowhere/secret").stderr


def readable(store):
    """All that can be read of the database, by table or key. Streams of Redis have deleted entries
    in a dump until others around have ended."""
    traces = store.traces()
    if store.kind == "sqlite":
        return {table: repr(rows) for table, rows in traces.items()}
    ask = store.server.command
    ask("CONFIG", "SET", "rdbcompression", "no")
    is_stream = {key: ask("TYPE", key) in (b"stream", "stream") for key in traces}
    assert is_stream[b"sg:refused"]
    return {key.decode("latin-1"): repr([key, ask("XRANGE", key, "-", "+") if is_stream[key] else
                                         ask("DUMP", key)]) for key in traces}


def stored_bytes(store):
    """All that the database has, as bytes: of a file also what is deleted and not overwritten."""
    if store.kind == "redis":
        return repr(readable(store)).encode()
    return b"".join(path.read_bytes() for path in (
        store.path, store.path.with_name(store.path.name + "-wal")))


# Where a mailbox of which a limit was changed, and that has sent today, may still be named.
STAYS = {"sqlite": {"history_head", "head_log", "admitted", "adjustment", "audit", "sender"},
         "redis": {"mailbox", "admitted", "adjustments", "audit", "from", "of"}}


def places(store, mailbox):
    """The tables that name it, or the kinds of keys."""
    named = [place for place, text in readable(store).items() if mailbox in text]
    return {key.split(":")[1] for key in named} if store.kind == "redis" else set(named)


@pytest.mark.sanitized
def test_forget(guard, shell, sender_at):
    sender, other = sender_at(guard), sender_at(guard)
    sender.admitted(crowd(3))
    assert sender.send(people(51, "goes-with-it.test")).status == 422
    assert other.send(people(51, "stays.test")).status == 422
    shell.ok("limit", sender.mailbox, "messages_per_hour=2", *WHY)
    for one in (sender, other):
        eventually(lambda: one.mailbox in shell.ok("senders", one.ip), "the sender was seen")
    assert b"goes-with-it.test" in stored_bytes(guard.store)
    before = shell.exported(other.mailbox)["entries"]

    preview = json.loads(shell.ok("forget", sender.mailbox, "--preview", "--json"))
    goes = {one["kind"]: one["count"] for one in preview["goes"]}
    stays = {one["kind"]: one["count"] for one in preview["stays"]}
    assert goes == {"decision": 1, "profile": 1}
    assert {"history": 1, "decision": 1, "adjustment": 1, "audit": 1}.items() <= stays.items()
    assert shell.run("forget", sender.mailbox).returncode == 64
    assert "note" in shell.run("forget", sender.mailbox, "--note", f"{sender.mailbox}!").stderr
    assert b"goes-with-it.test" in stored_bytes(guard.store)

    text = shell.ok("forget", sender.mailbox, "--note", "asked by letter")
    assert text.startswith(f"Removed of {sender.mailbox}:\n     1  decisions on messages")
    subject = re.search(r"audit log, where no address is: (forgotten:[0-9a-f]{16})\n", text).group(1)
    assert b"goes-with-it.test" not in stored_bytes(guard.store)
    assert b"stays.test" in stored_bytes(guard.store)
    assert {"admitted", "audit"} <= places(guard.store, sender.mailbox) <= STAYS[guard.store.kind]
    assert not places(guard.store, other.mailbox) <= STAYS[guard.store.kind]
    assert shell.exported(other.mailbox)["entries"] == before
    left = [entry["kind"] for entry in shell.exported(sender.mailbox)["entries"]]
    assert {kind: left.count(kind) for kind in left} == stays
    entry = shell.ok("audit", subject)
    assert "forget" in entry and "asked by letter" in entry and sender.mailbox not in entry
    assert "forgotten before: " in shell.ok("forget", sender.mailbox, "--preview")

    # the guard that ran all the time counts on, and knows the mailbox again
    eventually(lambda: sender.send(dry_run=True).status == 200, "one is left of two")
    sender.admitted()
    assert sender.send().status == 429
    assert "profile" in kinds_of(shell.exported(sender.mailbox))
