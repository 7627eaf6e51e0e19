"""What is stored about a person, told by the real command line beside a guard, from both stores."""

import json
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
    assert shell.ok("export", "nobody@example.test") == "Of nobody@example.test there is nothing.\n"
    assert shell.run("export", "@example.test").returncode == 64
    assert "web.secret_file" in shell.run("export", sender.mailbox, "-o",
                                          "web.secret_file=/nowhere/secret").stderr
