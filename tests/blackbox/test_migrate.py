"""Moving the store to another database with real programs: what every page shows, and what goes on."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess

import pytest

from endpoint import crowd, people
from programs import BUILD, PATIENCE, SANITIZER_REPORT, Guard, eventually
from stores import KINDS
from web import Client, Web

CLI = BUILD / "sendguard"
WHY = ("--note", "asked by telephone")
OWNER, GROUP = 1, 7  # of the file; of the server's socket
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Shell:
    """Somebody at a shell, with the settings of a store."""

    def __init__(self, store):
        self.store = store

    def run(self, *words, text=""):
        done = subprocess.run([str(CLI), "-o", f"store.url={self.store.url}", *map(str, words)],
                              input=text, text=True, capture_output=True, timeout=PATIENCE,
                              env=dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC", SUDO_USER="ada"))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def migrate(self, target, *options):
        return self.run("store", "migrate", self.store.url, target.url, *options)


@pytest.fixture(params=list(KINDS))
def stores(request, new_folder):
    """A store of each kind, each in a folder of its own: from, to."""
    other = next(kind for kind in KINDS if kind != request.param)
    both = [KINDS[request.param](new_folder()), KINDS[other](new_folder())]
    for one in both:
        one.start()
    yield both
    for one in both:
        one.stop()


def use(sender, shell):
    """A little of everything. What is asked for afterwards, with what has to be answered again."""
    suspended = "carol@example.test"
    messages = [sender.admitted(crowd(90)), sender.send(people(51, "x.test")),
                sender.admitted(id="known"), sender.admitted(id="to-refund")]
    shell.ok("suspend", suspended, "--cause", "compromised", "--for", "24h", *WHY)
    shell.ok("limit", sender.mailbox, "messages_per_hour=4", *WHY)
    shell.ok("exempt", "@example.net", "--for", "7d", *WHY)
    shell.ok("note", sender.mailbox, "--note", "a \"note\", äöü")
    shell.ok("staff", "add", "agnes", "--role", "support", *WHY, text="correct horse battery\n")
    token = re.search(r"\bsg\.[a-z0-9._-]+\.[A-Za-z0-9_-]+",
                      shell.ok("token", "add", "panel", "--role", "viewer", "--expires", "90d", *WHY))
    sender.admitted()
    eventually(lambda: sender.send(dry_run=True).status == 429, "the limit holds")
    assert sender.send().status == 429
    return token.group(0), [("show", sender.mailbox), ("show", suspended), ("log",), ("audit",),
                            ("suspended",), ("staff", "list"), ("token", "list"),
                            ("senders", sender.ip), ("near",),
                            *(("explain", message.json["decision"]) for message in messages)]


def steady(view):
    """Without the moment at which it was made."""
    return {name: value for name, value in view.items() if name not in ("now", "at")}


def test_everything_goes_on(stores, new_folder, sender_at):
    source, target = stores
    folder = new_folder()
    before, after = Shell(source), Shell(target)
    guard, web = Guard(folder, source).start(), Web(folder, source).start()
    sender = sender_at(guard)
    token, asked = use(sender, before)

    refused = before.migrate(target)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "stop the services first: " in refused.stderr
    if source.kind == "sqlite":
        assert "sendguard-" in refused.stderr  # the program's name
        assert not target.traces()
    guard.stop()
    assert "stop the services first: " in before.migrate(target).stderr, "the web interface runs"
    web.stop()

    views = [steady(before.json(*words)) for words in asked]
    moved = json.loads(before.ok("store", "migrate", source.url, target.url, "--json"))
    assert moved["equal"] is True
    assert moved["items"]["decisions"] >= 6 and moved["items"]["suspensions"] == 1
    assert [steady(after.json(*words)) for words in asked] == views
    assert [steady(before.json(*words)) for words in asked] == views, "the old one changed"

    guard, web = Guard(folder, target).start(), Web(folder, target).start()
    again = sender_at(guard, sender.mailbox, sender.ip)
    assert again.admitted(id="known")
    assert (again.used(), again.send().status) == (4, 429), "known again, and not counted"
    assert again.refund("to-refund").status == 200
    assert again.used() == 3 and again.admitted()
    answer = Client(web, {"Authorization": f"Bearer {token}"}).get(
        f"/api/v1/mailboxes/{sender.mailbox}")
    assert answer.status == 200, answer
    assert web.desk("agnes", "correct horse battery")
    newest = before.json("audit")["actions"][0]["number"]
    after.ok("note", sender.mailbox, *WHY)
    assert after.json("audit")["actions"][0]["number"] == newest + 1
    guard.stop()
    web.stop()


def test_text_tells_the_next_step(stores):
    source, target = stores
    Shell(source).ok("note", "alice@example.test", *WHY)
    done = Shell(source).migrate(target)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ +1  entries of the audit log$", done.stdout, re.M)
    assert f"set store.url = {target.url} and start the services" in done.stdout
    done = Shell(source).migrate(target)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search("is there already; expected no file|already: expected an empty database",
                     done.stderr)


def test_a_part_is_not_used_and_begun_anew(new_folder):
    source, target = KINDS["sqlite"](new_folder()), KINDS["redis"](new_folder())
    target.start()
    for number in range(30):
        Shell(source).ok("note", f"m{number}@example.test", *WHY)
    target.server.command("SET", "another", "program's")
    # of what is to come no stream can be made
    target.server.command("ACL", "SETUSER", "default", "-XADD")
    done = Shell(source).migrate(target)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(" is as it was.* has a part of it, .* the same command ", done.stderr)
    target.server.command("ACL", "SETUSER", "default", "+XADD")
    refuse_part(target)
    assert Shell(source).migrate(target).returncode == 0
    assert len(Shell(target).json("audit")["actions"]) == 30
    assert target.server.command("GET", "another") == b"program's"
    target.stop()


def refuse_part(target):
    """No program uses it: those at a shell, the services."""
    for words in [("suspended",), ("note", "alice@example.test", *WHY)]:
        done = Shell(target).run(*words)
        assert done.returncode != 0 and "only a part of a store" in done.stderr
    for name in ("fcgi", "mta", "web"):
        done = subprocess.run([str(BUILD / f"sendguard-{name}"), "--check", "-o",
                               f"store.url={target.url}"],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 78 and "only a part of a store" in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interruption_is_begun_anew(new_folder, number):
    source, target = KINDS["sqlite"](new_folder()), KINDS["redis"](new_folder())
    target.start()
    Shell(source).ok("note", "alice@example.test", *WHY)
    # the mark of a part is there; of what follows nothing is answered
    target.server.command("ACL", "SETUSER", "default", "-XADD")
    assert Shell(source).migrate(target).returncode == 1
    target.server.command("ACL", "SETUSER", "default", "+XADD")
    target.server.command("CLIENT", "PAUSE", 1000 * PATIENCE, "WRITE")
    moving = subprocess.Popen([str(CLI), "store", "migrate", source.url, target.url],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: re.search(rb"name=sendguard .* flags=\w*b",
                                 target.server.command("CLIENT", "LIST")), "it waits to write")
    moving.send_signal(number)
    target.server.command("CLIENT", "UNPAUSE")
    out, err = moving.communicate(timeout=PATIENCE)
    assert out == ""
    if number == signal.SIGTERM:
        assert moving.returncode == 1
        assert re.match("sendguard store migrate: interrupted\n.* is as it was", err)
        refuse_part(target)
    assert Shell(source).migrate(target).returncode == 0
    target.stop()


@needs_root
@pytest.mark.parametrize("user", ["root", "owner"])
def test_the_file_is_its_owners(new_folder, user):
    """As root and as the services' user; the server's socket is open to a group alone."""
    redis, sqlite = KINDS["redis"](new_folder()), KINDS["sqlite"](new_folder())
    redis.start()
    Shell(redis).ok("note", "alice@example.test", *WHY)
    socket, folder = redis.server.socket_path, sqlite.path.parent
    os.chown(folder, OWNER, OWNER)
    os.chown(socket, 0, GROUP)
    socket.chmod(0o770)
    program = shutil.copy(CLI, new_folder())  # where the owner may run it
    become = dict(user=OWNER, group=OWNER, extra_groups=[GROUP]) if user == "owner" else {}
    done = subprocess.run([program, "store", "migrate", redis.url, sqlite.url],
                          capture_output=True, text=True, timeout=PATIENCE, check=False, **become)
    assert done.returncode == 0, done.stderr
    made = list(folder.glob("sendguard.db*"))
    assert [path.name for path in made] == ["sendguard.db"]
    assert (made[0].stat().st_uid, stat.S_IMODE(made[0].stat().st_mode)) == (OWNER, 0o600)
    redis.server.command("FLUSHALL")
    done = subprocess.run([program, "store", "migrate", sqlite.url, redis.url],
                          capture_output=True, text=True, timeout=PATIENCE, check=False, **become)
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in folder.iterdir()} == {OWNER}
    assert len(Shell(redis).json("audit")["actions"]) == 1
    redis.stop()
