"""sendguard-postqueue with a real Postfix: three verbs, and nothing but what is in the hold queue."""

import json
import subprocess

import pytest

from postfix import MailProgram, Stack
from postqueue import ask, result
from programs import BUILD, eventually

ALICE = "alice@example.test"
NEVER = "4jcsXN0jwwz1bY6m"  # the form of a queue id


@pytest.fixture(scope="module")
def stack():
    stack = Stack("guard.mode=observe")
    yield stack
    stack.down()


class Queue:
    def __init__(self, stack):
        self.conf, self.socket = stack.folder / "postfix/conf", stack.folder / "guard/postqueue.sock"
        self.program = MailProgram(stack, ALICE)

    def listed(self):
        """What Postfix itself says: {queue id: queue}."""
        out = subprocess.run(["postqueue", "-c", self.conf, "-j"], check=True, capture_output=True, text=True)
        return {one["queue_id"]: one["queue_name"] for one in map(json.loads, out.stdout.splitlines())}

    def waiting(self, recipient="busy@sink.test", subject="hello"):
        """A message that could not be delivered yet: its queue id."""
        before = self.listed()
        self.program.send([recipient], subject=subject)
        eventually(lambda: "deferred" in {queue for one, queue in self.listed().items() if one not in before},
                   "the message waits")
        return next(one for one in self.listed() if one not in before)

    def hold(self, *ids):
        words = [word for one in ids for word in ("-h", one)]
        subprocess.run(["postsuper", "-c", self.conf, *words], check=True, capture_output=True)

    def ask(self, *words):
        return ask(self.socket, " ".join(words).encode() + b"\n")


@pytest.fixture(scope="module")
def queue(stack):
    return Queue(stack)


def test_each_message_of_the_hold_queue_is_listed_without_names(queue):
    held, waiting = queue.waiting(), queue.waiting()
    queue.hold(held)
    answer = queue.ask("list")
    assert answer[-1] == "end"
    ids = {line.split(" ")[0] for line in answer[:-1]}
    assert held in ids and waiting not in ids
    queue_id, arrived, size = next(line for line in answer if line.startswith(held)).split(" ")
    assert int(arrived) > 1_700_000_000 and 100 < int(size) < 10_000
    assert "@" not in "".join(answer)


def test_delete_takes_what_is_held_alone(queue):
    held, waiting = queue.waiting(), queue.waiting()
    queue.hold(held)
    done = result(queue.ask("delete", held, waiting, NEVER))
    assert done == {held: "deleted", waiting: "not_held", NEVER: "no_such"}
    assert held not in queue.listed() and queue.listed()[waiting] == "deferred"
    assert result(queue.ask("delete", held)) == {held: "no_such"}


def test_released_in_the_order_that_was_asked_for(queue, stack):
    ids = [queue.waiting() for _ in range(3)]
    queue.hold(*ids)
    order = [ids[2], ids[0], ids[1]]
    before = stack.log("mailer.postfix")
    assert queue.ask("release", *order) == [*(f"{one} released" for one in order), "end"]
    lines = stack.log_since(before, "mailer.postfix").splitlines()
    assert [line.split(": ")[1] for line in lines if line.endswith("released from hold")] == order
    eventually(lambda: all(f"{one}: to=<busy@sink.test>" in stack.log_since(before, "mailer.postfix") for one in ids),
               "each was tried at once")
    assert set(result(queue.ask("release", *ids)).values()) == {"not_held"}


@pytest.mark.parametrize("request_", [
    b"hold 4jcsXN0jwwz1bY6m\n", b"list all\n", b"release\n", b"release ALL\n", b"delete ALL\n", b"delete -\n",
    b"delete 4jcsXN0jwwz1bY6m deferred\n", b"release ../../etc\n", b"release  4jcsXN0jwwz1bY6m\n",
    b"delete 4jcsXN0jwwz1bY6m;id\n", b"release 4jcsXN0jwwz1bY6m\nlist\n", b"LIST\n", b"\0list\n", b"\n",
    b"release" + b" 4jcsXN0jwwz1bY6m" * 65 + b"\n", b"list" + b" " * 1548])
def test_any_other_request_is_refused(queue, request_):
    before = queue.listed()
    assert "hold" in before.values()
    assert ask(queue.socket, request_) == ["error"]
    assert queue.listed() == before


def test_only_the_group_of_the_socket_may_ask(queue):
    """Also where the file's mode lets others connect."""
    connect = ("import socket; link = socket.socket(socket.AF_UNIX); link.settimeout(60); "
               f"link.connect('{queue.socket}'); link.sendall(b'list\\n'); print(link.makefile().read().split()[-1])")

    def asked_by(group):
        done = subprocess.run(["setpriv", "--reuid=games", f"--regid={group}", "--clear-groups", "/usr/bin/python3",
                               "-c", connect], capture_output=True, text=True, cwd="/")
        return done.stdout + done.stderr

    assert asked_by("www-data") == "end\n"
    assert "PermissionError" in asked_by("games")
    queue.socket.chmod(0o666)
    folder = queue.socket.parent
    folder.chmod(0o2755)
    assert asked_by("games") == "forbidden\n"
    folder.chmod(0o2750)
    queue.socket.chmod(0o660)


def test_commands_that_others_may_change_are_not_run(tmp_path):
    (tmp_path / "postsuper").touch()
    (tmp_path / "postqueue").touch()
    words = [BUILD / "sendguard-postqueue", "-o", f"postqueue.command_directory={tmp_path}", "--check"]
    tmp_path.chmod(0o777)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 78 and "root alone may change it" in done.stderr
    tmp_path.chmod(0o755)
    assert subprocess.run(words, capture_output=True).returncode == 0
