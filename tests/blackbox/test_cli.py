"""The command line, on both stores: every command with nothing else running, and beside a guard."""

import contextlib
import csv
import datetime
import io
import itertools
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from endpoint import crowd, people
from programs import BUILD, PATIENCE, SANITIZER_REPORT, TREE, Lines, eventually

pytestmark = pytest.mark.either_store

CLI = BUILD / "sendguard"
ALICE = "alice@example.test"
WHY = ("--note", "asked by telephone")
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d"


class Shell:
    """Somebody at a shell."""

    def __init__(self, folder, store):
        self.folder, self.store = pathlib.Path(folder), store
        self.options = ["-o", f"store.url={store.url}", "-o", "store.timeout=10s"]
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC", SUDO_USER="ada")
        # makes the database, as a service would: who only looks does not
        self.fails(1, "staff", "remove", "nobody", "--note", "x")

    def command(self, *words):
        return [str(CLI), *self.options, *map(str, words)]

    def run(self, *words, text="", **environment):
        done = subprocess.run(self.command(*words), input=text.encode(), capture_output=True,
                              env=dict(self.environment, **environment), timeout=PATIENCE)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        assert not SANITIZER_REPORT.search(done.err), done.err
        return done

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.err}"
        return done.out

    def json(self, *words, **more):
        return json.loads(self.ok(*words, "--json", **more))

    def fails(self, status, *words, **more):
        """The one sentence that says what is wrong."""
        done = self.run(*words, **more)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.out}{done.err}"
        assert done.out == ""
        return done.err


@pytest.fixture
def shell(folder, store):
    return Shell(folder, store)


@pytest.fixture
def guarded(shell, store, start):
    """The shell, and a guard over the same store."""
    shell.guard = start(store, {"plan.nothing": {"recipients_per_message": 0}})
    shell.options += ["-o", "plan.nothing.recipients_per_message=0"]
    return shell


# ---- looking ------------------------------------------------------------------------------


@pytest.mark.sanitized
def test_a_mailbox_never_seen(shell):
    text = shell.ok("show", "Alice@Example.test")
    assert text.startswith("alice@example.test can send.\n")
    assert re.search(r"messages_per_day +webmail +0 +600 +600", text)
    view = shell.json("show", ALICE)
    assert (view["mailbox"], view["state"], view["suspension"]) == (ALICE, "ok", None)
    assert {window["rule"]: window["limit"] for window in view["windows"]
            if window["channel"] == "webmail"}["off_domain_per_day"] == 1000
    assert shell.ok("suspended") == "Nobody is suspended.\n"
    assert shell.json("suspended") == {"suspended": [], "next": None}
    assert shell.ok("near").startswith("Nobody is above")
    assert shell.json("near") == {"near": [], "ips": [], "domains": []}
    assert shell.ok("log") == "" and shell.json("log") == {"decisions": []}
    assert shell.ok("audit") == "" and shell.json("audit") == {"actions": []}
    assert shell.ok("staff", "list").startswith("There are no accounts")
    assert shell.ok("token", "list") == "There are no tokens.\n"


@pytest.mark.sanitized
def test_what_users_did(guarded, sender_at):
    sender = sender_at(guarded.guard)
    refused = sender.send(people(51, "x.test")).json["decision"]
    admitted = sender.admitted(crowd(90)).json["decision"]
    view = guarded.json("show", sender.mailbox)
    assert [entry["decision"] for entry in view["timeline"]] == [admitted, refused]
    text = guarded.ok("show", sender.mailbox)
    assert re.search(rf"off_domain_per_day +webmail +90 +1000 +910 +90 at {MOMENT} \(in 24 h\)",
                     text)
    assert re.search(rf"rejected +{sender.ip} +51 recipients +recipients_per_domain +{refused}\n", text)

    text = guarded.ok("explain", refused.lower().replace("-", ""))
    assert text.startswith(f"{refused}: rejected, ")
    assert re.search(r"over +recipients_per_domain +51 +50 +x\.test +limits\.webmail\.recip", text)
    assert re.search(r"ok +messages_per_day +0 \+ 1 +600", text)
    view = guarded.json("explain", admitted)
    assert (view["verdict"], view["recipients"], view["off_domain"]) == ("admitted", 90, 90)
    assert not any(rule["broken"] for rule in view["rules"])

    lines = guarded.ok("log").splitlines()
    assert [line.split("  ")[-1] for line in lines] == [refused, "unusual"]
    assert admitted in lines[1]
    assert [line.split()[2] for line in lines] == ["rejected", "admitted"]
    assert guarded.ok("log", "--max", "1").splitlines() == lines[1:]
    assert [line.split("  ")[-1] for line in guarded.ok("log", sender.mailbox).splitlines()] == \
        [refused, "unusual"]
    assert guarded.ok("log", "nobody@example.test") == ""
    found = guarded.json("log", sender.mailbox)["decisions"]
    assert [entry["decision"] for entry in found] == [admitted, refused]


@pytest.mark.sanitized
def test_who_sent_from_there(guarded, sender_at):
    sender = sender_at(guarded.guard)
    other = sender_at(guarded.guard, ip=sender.ip)
    sender.admitted(crowd(12))
    other.admitted()
    names = sorted([sender.mailbox, other.mailbox])

    def both():
        view = guarded.json("senders", sender.ip)
        return view if len(view["mailboxes"]) == 2 else None

    view = eventually(both, "the guard has told who sent")
    assert [entry["mailbox"] for entry in view["mailboxes"]] == names
    assert view["windows"][0]["used"] == 13
    text = guarded.ok("senders", sender.ip)
    assert text.startswith(f"2 mailboxes sent from {sender.ip} in the last 24 hours.\n")
    assert re.search(rf"{sender.mailbox} .* 1 +12 *\n", text)
    view = guarded.json("senders", "@example.test")
    assert [entry["mailbox"] for entry in view["mailboxes"]] == names


@pytest.mark.sanitized
def test_near_a_limit(store, shell, start, sender_at):
    sender = sender_at(start(store, {"limits.webmail": {"messages_per_day": 5}}))
    for _ in range(4):
        sender.admitted()
    options = ("-o", "limits.webmail.messages_per_day=5")

    def seen():
        return shell.json("near", *options)["near"]

    entry, = eventually(seen, "the guard has told of a full window")
    assert (entry["key"], entry["used"], entry["percent"]) == (sender.mailbox, 4, 80)
    assert re.search(rf"{sender.mailbox} +80 +4 +5 +messages_per_day", shell.ok("near", *options))


@pytest.mark.sanitized
def test_a_domain_near_its_limit(store, shell, start, sender_at):
    """Which none of its mailboxes is."""
    limit = {"messages_per_hour_per_domain": 5}
    guard = start(store, {"limits.webmail": limit, "limits.smtp": limit})
    for number in range(4):
        sender_at(guard, f"sender{number}@campaign.test").admitted()
    options = [word for channel in ("webmail", "smtp") for word in
               ("-o", f"limits.{channel}.messages_per_hour_per_domain=5")]
    entry, = eventually(lambda: shell.json("near", *options)["domains"],
                        "the guard has told of a full window")
    assert (entry["key"], entry["used"], entry["percent"]) == ("campaign.test", 4, 80)
    told = shell.ok("near", *options)
    assert re.search(r"campaign\.test +80 +4 +5 +messages_per_hour_per_domain", told), told
    assert "MAILBOX" not in told and shell.json("near", *options)["near"] == []


def test_search(shell):
    assert shell.ok("search", "Alice@Example.test") == \
        f"mailbox {ALICE}: sendguard show {ALICE}\n"
    assert shell.json("search", "192.0.2.7")["found"] == "ip"
    assert "no mailbox" in shell.run("search", "?!").err
    assert shell.run("search", "?!").returncode == 1


@pytest.mark.sanitized
def test_simulate(guarded, sender_at):
    before = guarded.store.traces()
    text = json.dumps({"mailbox": ALICE, "to": people(51, "x.test")})
    answer = guarded.ok("simulate", text=text)
    assert answer.startswith(f"{ALICE}: this message would meet: refuse.")
    assert "recipients_per_domain: 51 recipients at x.test" in answer
    view = guarded.json("simulate", text=text)
    assert (view["verdict"], view["reasons"][0]["count"]) == ("refuse", 51)
    assert guarded.json("simulate", text=json.dumps({"mailbox": ALICE, "to": "a@x.test"}))[
        "verdict"] == "admit"
    assert guarded.ok("log") == ""
    if guarded.store.kind == "sqlite":  # Redis keeps its keys' ages beside them
        assert guarded.store.traces() == before


@pytest.mark.sanitized
def test_show_at(guarded, sender_at):
    sender_at(guarded.guard, mailbox=ALICE).admitted()
    now = datetime.datetime.now(datetime.timezone.utc)
    text = guarded.ok("show", ALICE, "--at", now.isoformat(timespec="seconds").replace("+00:00", "Z"))
    assert "  not suspended\n" in text and "Not known: changes of the settings" in text
    assert re.search(r"messages_per_day +webmail +[01] +600", text)
    before = guarded.json("show", ALICE, "--at", "today 00:00")
    assert (before["windows"][0]["used"], before["suspensions"], before["whole"]) == (0, [], True)
    assert "expected a moment" in guarded.fails(64, "show", ALICE, "--at", "soon")
    assert "is not known" in guarded.fails(64, "show", ALICE, "--at", "2020-01-01 00:00")
    assert "of a mailbox" in guarded.fails(64, "show", "@example.test", "--at", "today 00:00")


@pytest.mark.sanitized
def test_what_if(guarded, sender_at):
    sender = sender_at(guarded.guard, mailbox=ALICE)
    for _ in range(3):
        sender.admitted()
    text = guarded.ok("what-if", "messages_per_day=2")
    assert re.search(r"^1 of 3 messages would have been refused, of 1 mailbox\.$", text, re.M)
    assert re.search(rf"^  {re.escape(ALICE)} +1 +2 ", text, re.M)
    assert "[on_limit] says so" in text
    view = guarded.json("what-if", "messages_per_hour=0", "--since", "1h", "--scope", "@x.test")
    assert (view["messages"], view["stopped"], view["whole"]) == (3, 0, True)
    assert "expected RULE=VALUE" in guarded.fails(64, "what-if", "messages_per_day")
    assert "since" in guarded.fails(64, "what-if", "messages_per_day=1", "--since", "soon")


@pytest.mark.parametrize("text, expected", [
    ("", "is no JSON object"), ("[]", "is no JSON object"), ("{", "is no JSON object"),
    ('{"to": "a@x.test"}', "mailbox: is missing"),
    ('{"mailbox": "alice", "to": "a@x.test"}', "mailbox: "),
    ('{"mailbox": "a@x.test", "to": ["a@x.test", "no one"]}', "to[1]: "),
    (" " * 5_000_000 + "{}", "is larger than"),
], ids=itertools.count())
@pytest.mark.sanitized
def test_simulate_what_is_none(sqlite_store, folder, text, expected):
    err = Shell(folder, sqlite_store).fails(1, "simulate", text=text)
    assert err.startswith("sendguard simulate: standard input: ") and expected in err


# ---- actions ----------------------------------------------------------------------------------


@pytest.mark.sanitized
def test_suspend_and_lift(shell):
    text = shell.ok("suspend", ALICE, "--for", "24h", "--cause", "terms", "--preview")
    assert text.startswith(f"suspend {ALICE}: nothing is done yet.\n")
    assert "before: the next message would be admitted" in text
    assert re.search(rf"after: +the next message would be refused, .*{MOMENT} \(in 24 h\)", text)
    assert shell.json("suspended")["suspended"] == [] and shell.ok("audit") == ""

    view = shell.json("suspend", ALICE, "--for", "24h", "--cause", "terms", *WHY)
    assert view["done"] and view["after"]["state"] == "paused"
    assert re.match(rf"{ALICE}: sending is paused until {MOMENT} \(in 24 h\)\.\n"
                    r"  cause terms, set by ada \(shell\), .*: asked by telephone\n",
                    shell.ok("show", ALICE))
    entry, = shell.json("suspended")["suspended"]
    assert (entry["mailbox"], entry["cause"], entry["by"]) == (ALICE, "terms", "ada (shell)")
    assert re.search(rf"{ALICE} +terms ", shell.ok("suspended"))
    shell.ok("suspend", ALICE, "--for", "permanent", *WHY)
    assert "sending is stopped until staff lifts it." in shell.ok("show", ALICE)

    assert "Besides this, sending is paused until" in shell.ok("show", ALICE)
    assert shell.fails(1, "lift", ALICE, *WHY).endswith(
        "it is suspended more than once: expected staff or terms\n")
    assert [entry["cause"] for entry in shell.json("suspended")["suspended"]] == ["staff", "terms"]
    assert re.search(rf"still suspended until {MOMENT} .*because of terms",
                     shell.ok("lift", ALICE, "--cause", "staff", *WHY))
    assert "not suspended for staff" in shell.fails(1, "lift", ALICE, "--cause", "staff", *WHY)
    assert "after:  the next message would be admitted" in shell.ok("lift", ALICE, *WHY)
    assert shell.json("suspended")["suspended"] == []
    assert "it is not suspended" in shell.fails(1, "lift", ALICE, *WHY)


@pytest.mark.sanitized
def test_several_at_once(shell, tmp_path):
    """All of them, or none: whatever is wrong is told before anything is done, with its line."""
    names = [f"user{number}@example.test" for number in range(5)]
    path = tmp_path / "names.txt"
    path.write_text(f"# of Friday\n\n  {names[1]} \r\n{names[2].upper()}\n{names[1]}\n{names[3]}")
    views = shell.json("suspend", names[0], "--from", path, *WHY, "--preview")
    assert [(view["subject"], view["done"]) for view in views] == [(name, False) for name in names[:4]]
    assert shell.json("suspended")["suspended"] == []
    text = shell.ok("suspend", names[0], "--from", path, *WHY)
    assert text.count(": done.\n") == 4 + 1 and "\n4 in all: done.\n" in text
    batch = re.search(r"\nIn the audit log the notes end with (\[batch [0-9A-Z-]{14}\])\.\n$", text)[1]
    assert [one["note"] for one in shell.json("audit")["actions"]] == [f"{WHY[1]} {batch}"] * 4
    assert [one["mailbox"] for one in shell.json("suspended")["suspended"]] == names[:4]

    path.write_text(f"{names[0]}\nnobody\n{names[4]}\n")
    err = shell.fails(64, "lift", "--from", path, *WHY)
    assert re.search(rf"^sendguard lift: {path}:2: nobody: .+\nsendguard lift: {path}:3: "
                     rf"{names[4]}: it is not suspended.*\nsendguard lift: nothing is done\n$", err), err
    err = shell.fails(1, "lift", *names, *WHY)
    assert err.startswith(f"sendguard lift: {names[4]}: it is not suspended"), err
    assert len(shell.json("suspended")["suspended"]) == 4
    text = shell.ok("lift", *names[:4], *WHY, "--preview")
    assert text.endswith("\n4 in all: nothing is done yet.\n4 can send.\n"), text
    views = shell.json("lift", "--from", "-", *WHY, text="\n".join(names[:4]))
    assert [view["done"] for view in views] == [True] * 4
    assert shell.json("suspended")["suspended"] == []
    actions = [(one["action"], one["subject"]) for one in shell.json("audit")["actions"]]
    assert sorted(actions) == sorted((action, name) for action in ("suspend", "lift")
                                     for name in names[:4])
    number = shell.json("audit")["actions"][0]["number"]
    assert shell.ok("undo", f"#{number}", "--preview").startswith(f"would undo: #{number} lift user")
    view = shell.json("undo", str(number), "--all", "--note", "the wrong file")
    assert (view["count"], view["not_undone"]) == (4, 0)
    assert [one["mailbox"] for one in shell.json("suspended")["suspended"]] == names[:4]
    assert shell.json("audit")["actions"][0]["note"] == "the wrong file"
    assert "ada (shell) has undone it already" in shell.fails(1, "undo", str(number))
    assert shell.run("undo", str(number), "--all").out.count("not undone: ") == 4
    shell.ok("block", "t@x.test", "--reason", "No.", *WHY)
    shell.ok("unblock", "t@x.test", *WHY)
    number = shell.json("audit")["actions"][0]["number"]
    assert shell.ok("undo", str(number)).startswith(f"undone: #{number} unblock t@x.test\n")
    assert [one["subject"] for one in shell.json("blocks")] == ["t@x.test"]
    assert "there is no such entry" in shell.fails(1, "undo", "1000")
    assert "entry" in shell.fails(64, "undo", "x")


def test_suspended_by(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    shell.ok("suspend", ALICE, "--cause", "terms", *WHY)
    shell.ok("suspend", "bob@example.test", *WHY)
    found = lambda *options: [one["mailbox"] for one in shell.json("suspended", *options)["suspended"]]
    assert found("--cause", "terms") == [ALICE]
    assert sorted(found("--by", "ada (shell)", "--since", "1h")) == [ALICE, "bob@example.test"]
    assert found("--by", "guard") == []
    assert found("--network", "203.0.113.0/24") == []
    assert shell.ok("suspended", "--cause", "staff").startswith("1 suspended.\n")
    assert shell.ok("suspended", "--by", "guard") == "None that fits is suspended.\n"
    assert "cause" in shell.fails(64, "suspended", "--cause", "fate")


def test_errors_of_several(sqlite_store, folder, tmp_path):
    shell, path = Shell(folder, sqlite_store), tmp_path / "names"
    path.write_text("# nobody\n")
    assert "expected a name a line" in shell.fails(64, "lift", "--from", path, *WHY)
    path.write_bytes(b"a@x.test\nb@x\0.test\n")
    assert f"{path}:2: expected text" in shell.fails(64, "lift", "--from", path, *WHY)
    assert "No such file" in shell.fails(1, "lift", "--from", f"{path}.", *WHY)
    many = "".join(f"u{number}@example.test\n" for number in range(1001))
    assert "at most 1000" in shell.fails(64, "note", "--from", "-", *WHY, text=many)
    assert "at most 1000" in shell.fails(64, "note", ALICE, "--from", "-", *WHY,
                                         text=many.split("\n", 1)[1])
    assert shell.fails(64, "note", ALICE, "b@x.test").count("--note is missing") == 1
    assert shell.fails(64, "suspend", ALICE, "b@x.test", "--for", "x", *WHY).count("--for: ") == 1
    assert "unexpected" in shell.fails(64, "limit", ALICE, "messages_per_day=1", "b@x.test", *WHY)
    assert shell.ok("audit") == ""
    shell.ok("note", "--from", "-", *WHY, text=many.split("\n", 1)[1])
    assert len(shell.json("audit")["actions"]) == 1000


@pytest.mark.sanitized
def test_a_guard_obeys_within_a_second(guarded, sender_at):
    sender = sender_at(guarded.guard)
    sender.admitted()

    def obeys(status, *words):
        guarded.ok(*words, *WHY)
        eventually(lambda: sender.send(dry_run=True).status == status, words, 10)  # on a busy machine

    mailbox = sender.mailbox
    obeys(403, "suspend", mailbox)
    obeys(200, "lift", mailbox)
    obeys(422, "limit", mailbox, "recipients_per_message=0")
    obeys(200, "limit", mailbox, "recipients_per_message=default")
    obeys(403, "limit", "@example.test", "messages_per_day=1", "--for", "1h")
    obeys(200, "exempt", mailbox)
    obeys(403, "exempt", mailbox, "--end")
    obeys(422, "plan", "@example.test", "nothing")
    assert "plan nothing, given to the domain" in guarded.ok("show", mailbox)
    obeys(403, "plan", "@example.test", "default")
    obeys(200, "extra", mailbox, "--messages", "1")
    sender.admitted()
    obeys(403, "note", mailbox)
    obeys(200, "reset", mailbox)


@pytest.mark.sanitized
def test_reset_and_what_a_lift_leaves(store, shell, start, sender_at):
    sender = sender_at(start(store, {"limits.webmail": {"messages_per_day": 2}}))
    options = ("-o", "limits.webmail.messages_per_day=2")
    sender.admitted(), sender.admitted()
    assert sender.send().status == 403
    text = shell.ok("lift", sender.mailbox, "--preview", *options)
    assert re.search(rf"after: +the next message would be refused: messages_per_day, 3 of 2; "
                     rf"it would pass at {MOMENT} \(in (24 h|23 h 59 min)\)\.\n", text)
    assert f"'sendguard reset {sender.mailbox}' forgets them" in text
    assert shell.json("lift", sender.mailbox, *WHY, *options)["reset_as_well"] is True
    assert "cannot send now: a limit over time" in shell.ok("show", sender.mailbox, *options)
    assert "before: the next message would be refused" in \
        shell.ok("reset", sender.mailbox, *WHY, *options)
    sender.admitted()


@pytest.mark.sanitized
def test_reset_of_a_domain(store, shell, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_hour_per_domain": 2}})
    one, other = (sender_at(guard, f"{name}@campaign.test") for name in ("one", "other"))
    option = ("-o", "limits.webmail.messages_per_hour_per_domain=2")
    one.admitted(), other.admitted()
    assert one.send().status == 429
    shell.ok("reset", one.mailbox, *WHY, *option)
    assert one.send().status == 429
    assert "reset @campaign.test: done." in shell.ok("reset", "@campaign.test", *WHY, *option)
    one.admitted()
    assert "no limit counts what this domain sends" in shell.fails(1, "reset", "@campaign.test", *WHY)
    assert [entry["subject"] for entry in shell.json("audit", "@campaign.test")["actions"]
            if entry["action"] == "reset"] == ["@campaign.test"]


@pytest.mark.sanitized
def test_limits_and_extras_are_shown(shell):
    shell.ok("extra", ALICE, "--messages", 10, "--off-domain", "20", "--for", "2h", *WHY)
    shell.ok("limit", "@example.test", "messages_per_hour=300", *WHY)
    text = shell.ok("show", ALICE)
    assert re.search(rf"messages_per_day +webmail +610 +10 +600 +settings +extra {MOMENT} "
                     r"\(in 2 h\)", text)
    assert re.search(r"messages_per_hour +webmail +300 +0 +off +domain", text)
    assert re.search(r"messages_per_hour +webmail +300 +0 +off +domain",
                     shell.ok("senders", "@example.test"))
    shell.ok("limit", ALICE, "messages_per_hour=off", *WHY)
    assert re.search(r"messages_per_hour +webmail +off +0 +off +mailbox", shell.ok("show", ALICE))
    shell.ok("exempt", ALICE, "--for", "1h", *WHY)
    assert "exempt from all limits (staff)" in shell.ok("show", ALICE)


@pytest.mark.sanitized
def test_the_audit_log(shell):
    shell.ok("suspend", ALICE, *WHY)
    shell.ok("lift", ALICE, *WHY)
    shell.ok("limit", "@example.test", "messages_per_day=5", "--note", '=1+1, "so"')
    shell.ok("note", ALICE, "--note", "calls back on Monday")
    shell.ok("staff", "add", "bo", "--role", "viewer", *WHY, text="long enough\n")
    lines = shell.ok("audit").splitlines()
    assert [line.split()[3] for line in lines] == ["staff_add", "note", "limit", "lift", "suspend"]
    assert all("by ada (shell): " in line for line in lines)
    assert [line.split()[3] for line in shell.ok("audit", "--max", "2").splitlines()] == \
        ["staff_add", "note"]
    rows = list(csv.DictReader(io.StringIO(shell.ok("audit", "--csv"), newline="")))
    assert [row["number"] for row in rows] == ["5", "4", "3", "2", "1"]
    assert rows[2]["subject"] == "'@example.test" and rows[2]["note"] == "'=1+1, \"so\""
    actions = shell.json("audit")["actions"]
    assert [action["action"] for action in actions] == ["staff_add", "note", "limit", "lift", "suspend"]
    assert {action["by"] for action in actions} == {"ada (shell)"}
    assert actions[2]["note"] == '=1+1, "so"' and actions[2]["detail"]["rule"] == "messages_per_day"
    assert [action["action"] for action in shell.json("audit", ALICE)["actions"]] == ["note", "lift", "suspend"]
    assert "calls back on Monday" in shell.ok("show", ALICE).split("\nNotes\n")[1]


def test_a_long_audit_log(shell):
    for number in range(53):
        shell.ok("note", ALICE, "--note", f"number {number}")
    assert len(shell.ok("audit").splitlines()) == 50
    assert [action["note"] for action in shell.json("audit")["actions"]] == \
        [f"number {number}" for number in reversed(range(53))]
    assert len(shell.ok("audit", "--csv").splitlines()) == 54


def test_who_does_it(shell):
    shell.ok("note", ALICE, "--note", "a")
    shell.ok("note", ALICE, "--note", "b", SUDO_USER="")
    shell.ok("note", ALICE, "--note", "c", SUDO_USER="x" * 80)
    shell.ok("note", ALICE, "--note", "d", SUDO_USER="e\x1b[31m\nve")
    by = [action["by"] for action in reversed(shell.json("audit")["actions"])]
    assert by[:3] == ["ada (shell)", f"{shell_user()} (shell)", "x" * 50 + " (shell)"]
    assert not re.search(r"[\x00-\x1f]", by[3]) and by[3].endswith("(shell)")


def shell_user():
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


# ---- what is not possible -------------------------------------------------------------------


@pytest.mark.sanitized
@pytest.mark.parametrize("status, words, expected", [
    (64, [], "usage: sendguard"),
    (64, ["frobnicate"], 'there is no command "frobnicate"'),
    (64, ["staff"], "expected staff add, staff remove"),
    (64, ["token", "steal"], "expected token add"),
    (64, ["--frobnicate"], "usage: sendguard"),
    (64, ["show"], "sendguard show: expected MAILBOX"),
    (64, ["show", ALICE, "more"], 'unexpected "more"'),
    (64, ["show", "alice"], "mailbox: "),
    (64, ["show", ALICE, "--note", "x"], "sendguard help show"),
    (64, ["lift", ALICE], "sendguard lift: --note is missing"),
    (64, ["lift", ALICE, "--note", ""], "--note: "),
    (64, ["lift", ALICE, "--note", "x" * 256], "--note: "),
    (64, ["lift", ALICE, "--note", "a\x1b[31m"], "--note: "),
    (64, ["lift", ALICE, "--note", "a", "--note", "b"], "--note is given twice"),
    (64, ["suspend", "@example.test", *WHY], "subject: "),
    (64, ["suspend", ALICE, "--for", "soon", *WHY], "--for: "),
    (64, ["suspend", ALICE, "--cause", "spam", *WHY], "--cause: "),
    (64, ["extra", ALICE, *WHY], "messages"),
    (64, ["extra", ALICE, "--messages", "-1", *WHY], "--messages: "),
    (64, ["extra", ALICE, "--off-domain", "x", *WHY], "--off-domain: "),
    (64, ["limit", ALICE, *WHY], "expected MAILBOX|@DOMAIN RULE=VALUE"),
    (64, ["limit", ALICE, "messages_per_day", *WHY], "expected RULE=VALUE"),
    (64, ["limit", ALICE, "messages=5", *WHY], "rule: "),
    (64, ["limit", ALICE, "messages_per_day=many", *WHY], "value: "),
    (64, ["explain", "nonsense"], "decision: "),
    (1, ["explain", "7K3M-Q2XD-9F4A"], "decision: "),
    (64, ["senders", "x.test"], "sendguard senders: "),
    (64, ["log", "--max", "many"], "--max: expected a number"),
    (64, ["audit", "--csv", "--json"], "do not go together"),
    (64, ["config", "-n", "--defaults"], "do not go together"),
    (64, ["staff", "add", "ada", *WHY], "--role: expected viewer, support or admin"),
    (64, ["staff", "add", "ada", "--role", "root", *WHY], "--role: expected"),
    (64, ["staff", "add", "ada", "--role", "admin"], "--note is missing"),
    (1, ["staff", "remove", "nobody", *WHY], "there is no account nobody"),
    (1, ["staff", "role", "nobody", "--role", "admin", *WHY], "there is no account nobody"),
    (1, ["token", "remove", "nothing", *WHY], "there is no token nothing"),
    (64, ["token", "add", "m", "--role", "viewer", "--expires", "1x", *WHY], "--expires: "),
    (64, ["token", "add", "A B", "--role", "viewer", *WHY], "name: "),
    (64, ["help", "frobnicate"], "there is no command"),
    (78, ["-o", "store.url=nowhere", "show", ALICE], "store.url"),
    (78, ["show", ALICE, "-o", "store.ulr=x"], "did you mean store.url?"),
    (78, ["-c", "/nonexistent", "suspended"], "/nonexistent: cannot be read"),
    (78, ["config", "-o", "fcgi.threads=none"], "fcgi.threads"),
    (78, ["--check", "-o", "web.templates=/nonexistent"], "/nonexistent"),
])
def test_errors(sqlite_store, folder, status, words, expected):
    err = Shell(folder, sqlite_store).fails(status, *words)
    assert expected in err, err
    assert Shell(folder, sqlite_store).ok("audit") == ""


@pytest.mark.sanitized
@pytest.mark.parametrize("words", [
    ["show", ALICE], ["suspended"], ["near"], ["senders", "@x.test"], ["log"], ["audit"],
    ["explain", "7K3M-Q2XD-9F4A"], ["lift", ALICE, *WHY], ["note", ALICE, *WHY],
    ["trace", ALICE], ["trace", "7K3M-Q2XD-9F4A"], ["show", "@x.test"], ["feedback"],
    ["staff", "list"], ["token", "add", "m", "--role", "viewer", *WHY]], ids=lambda words: words[0])
def test_a_store_that_is_away(redis_store, folder, words):
    shell = Shell(folder, redis_store)
    redis_store.take_away()
    try:
        err = shell.fails(1, *words)
        assert "the store does not answer: " in err
    finally:
        redis_store.bring_back()


@pytest.mark.sanitized
def test_nothing_from_outside_steers_the_terminal(shell):
    for note in ("reverse \u202e order", "c1 \u009b31m red"):
        done = shell.run("note", ALICE, "--note", note)
        if done.returncode == 0:
            for words in (["show", ALICE], ["audit"], ["audit", "--csv"],
                          ["show", ALICE, "--json"], ["audit", "--json"]):
                assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", shell.ok(*words))
            assert "\u202e" not in shell.ok("audit")
            assert shell.json("audit")["actions"][0]["note"] == note
    err = shell.run("show", "a\x1b[31m@x.test").err
    assert "\x1b" not in err


# ---- staff and tokens -----------------------------------------------------------------------


@pytest.mark.sanitized
def test_accounts(shell):
    assert shell.ok("staff", "add", "ada", "--role", "admin", *WHY, text="long enough\n") == \
        "ada may sign in now.\n"
    assert "there is an account ada" in shell.fails(1, "staff", "add", "ada", "--role", "viewer",
                                                    *WHY, text="long enough\n")
    for text in ("", "\n", "short\n", "x" * 1025 + "\n"):
        assert "password" in shell.run("staff", "add", "bo", "--role", "viewer", *WHY,
                                       text=text).err
    shell.ok("staff", "add", "bo", "--role", "viewer", *WHY, text="x" * 1024)  # no line feed
    shell.ok("staff", "role", "bo", "--role", "support", *WHY)
    shell.ok("staff", "password", "bo", *WHY, text="another one\n")
    assert [(one["name"], one["role"], one["by"])
            for one in shell.json("staff", "list")["staff"]] == \
        [("ada", "admin", "ada (shell)"), ("bo", "support", "ada (shell)")]
    assert re.search(rf"bo +support +{MOMENT} \(now\) +ada \(shell\) +no\n"
                     rf"|bo +support +{MOMENT} \(\d+ s ago\) +ada \(shell\) +no\n",
                     shell.ok("staff", "list"))
    shell.ok("staff", "remove", "bo", *WHY)
    assert [one["name"] for one in shell.json("staff", "list")["staff"]] == ["ada"]
    everything = shell.ok("audit", "--json") + shell.ok("staff", "list", "--json")
    assert "argon2" not in everything and "long enough" not in everything


@pytest.mark.sanitized
def test_tokens(shell):
    done = shell.run("token", "add", "monitor", "--role", "viewer", "--expires", "90d", *WHY)
    token = done.out.strip()
    assert re.fullmatch(r"sg\.monitor\.[\w-]{43}", token) and "only time" in done.err
    view = shell.json("token", "add", "deploy.1", "--role", "admin", "--expires", "permanent", *WHY)
    assert view["token"].startswith("sg.deploy.1.") and view["expires_at"] is None
    listed = shell.json("token", "list")["tokens"]
    assert [(one["name"], one["role"], one["expires_at"] is None) for one in listed] == \
        [("deploy.1", "admin", True), ("monitor", "viewer", False)]
    assert re.search(r"deploy\.1 +admin .* never\n.*monitor +viewer .*in 90 days",
                     shell.ok("token", "list"))
    shell.ok("token", "remove", "monitor", *WHY)
    assert len(shell.json("token", "list")["tokens"]) == 1
    secret = token.rsplit(".", 1)[1]
    assert secret not in shell.ok("audit", "--json") and secret not in repr(shell.store.traces())


class Terminal:
    """A command at a terminal of its own; what it shows, and what is typed."""

    def __init__(self, shell, *words):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(shell.command(*words), env=shell.environment, stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        self.slave, self.shown = slave, ""

    def wait_for(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], self.shown
            self.shown += os.read(self.master, 4096).decode()

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        import termios
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(sqlite_store, folder):
    terminal = Terminal(Shell(folder, sqlite_store), "staff", "add", "ada", "--role", "admin", *WHY)
    yield terminal
    terminal.close()


@pytest.mark.sanitized
def test_a_password_is_asked_for_twice_and_not_shown(terminal, sqlite_store, folder):
    terminal.wait_for("Password for ada: ")
    assert not terminal.echoes()
    terminal.type("long enough\n")
    terminal.wait_for("again: ")
    terminal.type("long enough\n")
    terminal.wait_for("may sign in now")
    assert terminal.process.wait(PATIENCE) == 0
    assert "long enough" not in terminal.shown and terminal.echoes()
    assert Shell(folder, sqlite_store).json("staff", "list")["staff"][0]["name"] == "ada"


def test_two_passwords_that_differ(terminal):
    terminal.wait_for("Password for ada: ")
    terminal.type("long enough\n")
    terminal.wait_for("again: ")
    terminal.type("long enougn\n")
    terminal.wait_for("not the same")
    assert terminal.process.wait(PATIENCE) == 1


def test_the_echo_comes_back_after_a_signal(terminal):
    terminal.wait_for("Password for ada: ")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(PATIENCE) == -signal.SIGINT
    assert terminal.echoes()


def test_an_ignored_signal_ends_no_question(sqlite_store, folder):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what is in the background
    try:
        started = Terminal(Shell(folder, sqlite_store), "staff", "add", "ada", "--role", "admin", *WHY)
    finally:
        signal.signal(signal.SIGINT, before)
    with contextlib.closing(started) as terminal:
        terminal.wait_for("Password for ada: ")
        terminal.process.send_signal(signal.SIGINT)
        terminal.type("long enough\n")
        terminal.wait_for("again: ")
        terminal.type("long enough\n")
        assert terminal.process.wait(PATIENCE) == 0


# ---- following -------------------------------------------------------------------------------


@pytest.fixture
def follow():
    """follow(shell, words…): `sendguard log -f` with the lines it shows."""
    started = []

    def start(shell, *words, before=()):
        process = subprocess.Popen([*before, *shell.command("log", "-f", *words)],
                                   env=shell.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.lines, process.errors = Lines(process.stdout), Lines(process.stderr)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.sanitized
def test_follow(guarded, sender_at, follow):
    sender, other = sender_at(guarded.guard), sender_at(guarded.guard)
    before = sender.admitted().json["decision"]
    everybody, alone = follow(guarded), follow(guarded, other.mailbox)
    everybody.lines.wait(before)
    decisions = [before]
    for number in range(60):
        decisions.append((other if number % 3 == 0 else sender).admitted().json["decision"])
        time.sleep(0.02)  # so that several looks share them
    everybody.lines.wait(decisions[-1])
    alone.lines.wait(decisions[58])
    refused = other.send(people(51, "x.test")).json["decision"]
    everybody.lines.wait(rf"rejected .*{other.mailbox} .*recipients_per_domain +{refused}$")
    alone.lines.wait(refused)
    decisions.append(refused)
    for process, expected in ((everybody, decisions), (alone, decisions[1:-1:3] + [refused])):
        process.send_signal(signal.SIGTERM if process is alone else signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        process.lines.thread.join(PATIENCE)
        assert [line.split()[-1] for line in process.lines.all] == expected  # each once, in order
        assert process.errors.text() == ""


def test_follow_outlives_its_terminal_with_nohup(guarded, sender_at, follow):
    sender = sender_at(guarded.guard)
    process = follow(guarded, before=["nohup"])
    process.lines.wait(sender.admitted().json["decision"])
    process.send_signal(signal.SIGHUP)
    process.lines.wait(sender.admitted().json["decision"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


@pytest.mark.sanitized
def test_follow_as_json_until_nobody_reads(guarded, sender_at):
    sender = sender_at(guarded.guard)
    sender.admitted()
    process = subprocess.Popen(guarded.command("log", "-f", "--json"), env=guarded.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["mailbox"] == sender.mailbox
    decision = sender.admitted().json["decision"]
    assert json.loads(process.stdout.readline())["decision"] == decision
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.sanitized
def test_follow_through_a_silence_of_the_store(redis_store, folder, start, sender_at, follow):
    shell = Shell(folder, redis_store)
    shell.options += ["-o", "store.timeout=2s"]
    sender = sender_at(start(redis_store))
    first = sender.admitted().json["decision"]
    process = follow(shell)
    process.lines.wait(first)
    redis_store.silence()
    try:
        process.errors.wait("the store does not answer")
    finally:
        redis_store.speak()
    second = sender.admitted().json["decision"]
    process.lines.wait(second)
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert len(process.errors.all) == 1


# ---- settings, help, completion ---------------------------------------------------------------


def test_config(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    assert shell.ok("config", "-n") == f"[store]\nurl = {sqlite_store.url}\ntimeout = 10s\n"
    everything = shell.ok("config")
    assert f"url = {sqlite_store.url}\n" in everything and "messages_per_day = 600\n" in everything
    file = folder / "all.conf"
    file.write_text(everything)
    assert subprocess.run([CLI, "-c", file, "config"], capture_output=True,
                          text=True).stdout == everything
    assert shell.ok("config", "--defaults") == (TREE / "sendguard.conf.example").read_text()
    assert shell.ok("--check") == ""


def test_help_and_version(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    assert re.fullmatch(r"sendguard \d+\.\d+\n", shell.ok("--version"))
    usage = shell.ok("--help")
    assert usage == shell.ok("help") and usage.startswith("usage: sendguard ")
    for command in commands(shell):
        text = shell.ok("help", *command.split())
        assert text.startswith(f"usage: sendguard {command}"), text
        assert text == shell.ok(*command.split(), "--help")
        assert max(map(len, text.splitlines())) <= 100
    assert shell.ok("help", "staff").count("usage: ") == 7
    for command, words in (("lock", ["compromised (", "login (", "how the mailbox would stand"]),
                           ("logins", ["which blocks would end", "end the blocks"]),
                           ("suspend", ["--cause CAUSE         volume,", "the next message"]),
                           ("block", ["--scope DOMAIN|MAILBOX  only", "the next message"])):
        text = shell.ok("help", command)
        assert all(word in text for word in words), text
        assert not (command.startswith("lo") and ("volume" in text or "next message" in text)), text


def commands(shell):
    """As the usage lists them."""
    part = shell.ok("help").split("\n\n")[2]
    return [re.match(r"  ([a-z][a-z-]*(?: [a-z]+)?)", line).group(1) for line in part.splitlines()]


def completions(*words):
    """What bash offers for the last word."""
    script = (f". '{TREE}/contrib/bash-completion/sendguard'\n"
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sendguard\n'
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-euc", script, "bash", *words], capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_knows_every_command_and_option(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    listed = commands(shell)
    assert sorted(completions("sendguard", "")) == sorted({name.split()[0] for name in listed})
    for group in ("store", "staff", "token"):
        assert sorted(completions("sendguard", group, "")) == \
            sorted(name.split()[1] for name in listed if name.startswith(group))
    for command in listed:
        help_text = shell.ok("help", *command.split())
        options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", help_text, re.M))
        offered = completions("sendguard", *command.split(), "-")
        assert {word for word in offered if word.startswith("--")} == options | {"--help"}, command
    assert completions("sendguard", "su") == ["suspended", "suspend"]


def test_completion_knows_the_words(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    rules = re.findall(r"^(\w+) =", shell.ok("config").split("[limits.webmail]")[1]
                       .split("[limits.smtp]")[0], re.M)
    assert completions("sendguard", "limit", ALICE, "") == [rule + "=" for rule in rules]
    assert completions("sendguard", "limit", ALICE, "messages_per_d") == \
        ["messages_per_day=", "messages_per_day_per_recipient="]
    assert completions("sendguard", "limit", "--note", "so it is", ALICE, "header") == \
        ["header_chars_per_domain="]
    causes = re.findall(r"^(\w+) =", shell.ok("config").split("[suspension]")[1]
                        .split("retries_before_restart")[0], re.M)
    assert completions("sendguard", "suspend", ALICE, "--cause", "") == causes
    assert completions("sendguard", "staff", "add", "x", "--role", "") == \
        ["panel", "viewer", "support", "admin"]
    assert completions("sendguard", "store", "migrate", "sq") == ["sqlite://"]
    assert completions("sendguard", "-o", "a.b=c", "li") == ["lift", "limit"]
    assert completions("sendguard", "show", "") == []
    done = shell.run("doctor", "no_check")
    assert done.returncode == 64
    assert completions("sendguard", "doctor", "store", "") == \
        re.search(r"expected (.*)", done.err).group(1).split(", ")


def test_output_that_cannot_be_written(sqlite_store, folder):
    shell = Shell(folder, sqlite_store)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(shell.command("show", ALICE), stdout=full, stderr=subprocess.PIPE,
                              env=shell.environment)
    assert done.returncode == 1 and b"cannot write" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_root_leaves_the_store_to_its_owner(sqlite_store, folder):
    owner = 65534
    os.chown(folder, owner, owner)
    Shell(folder, sqlite_store).ok("note", ALICE, *WHY)
    made = list(folder.glob("sendguard.db*"))
    assert made and {path.stat().st_uid for path in made} == {owner}
    assert Shell(folder, sqlite_store).json("audit")["actions"][0]["by"] == "ada (shell)"
