"""Mail at an unusual rate that waits, and what the postmaster answers, with a real Postfix: released in
order, or deleted; and what is interrupted, changed by hand, or done without sendguard-postqueue."""

import json
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from clock import SECOND, RunningClock
from postfix import MailProgram, Refused, Stack
from programs import TREE, eventually
from test_api import check_answer
from web import Answer

STRANGERS = 42


@pytest.fixture(scope="module")
def stack():
    stack = Stack("unusual.mode=hold")
    yield stack
    stack.down()


class Held:
    """A mailbox with eight days of history, of which the last three of 43 messages wait."""

    def __init__(self, stack):
        self.stack, self.conf = stack, stack.folder / "postfix/conf"
        self.mailbox = stack.new_mailbox()
        self.program = MailProgram(stack, self.mailbox)
        self.program.send(["ok@sink.test"])
        subprocess.run([TREE / "tools/stack/known", stack.folder, self.mailbox, "8"], check=True)
        for number in range(STRANGERS):
            self.send(number)
        messages = self.row()["messages"]
        self.ids, self.decisions = [one["queue_id"] for one in messages], [one["decision"] for one in messages]
        assert len(self.ids) == 3 and set(self.ids) <= set(self.in_postfix("hold"))

    def send(self, number):
        self.program.send([f"ok{number}@s{number}.sink.test"])

    def in_postfix(self, *queues):
        out = subprocess.run(["postqueue", "-c", self.conf, "-j"], check=True, capture_output=True, text=True)
        listed = map(json.loads, out.stdout.splitlines())
        return [one["queue_id"] for one in listed if not queues or one["queue_name"] in queues]

    def postsuper(self, *words):
        subprocess.run(["postsuper", "-c", self.conf, *words], check=True, capture_output=True)

    def row(self):
        """As `held` lists it; None."""
        return next((one for one in self.stack.sendguard("held") if one["mailbox"] == self.mailbox), None)

    def answer(self, action, *words):
        return self.stack.sendguard(action, self.mailbox, "--note", "by telephone", *words)

    def shell(self, *words, before=()):
        """A command for others to run, not through the stack's script."""
        options = (self.stack.folder / "guard/overrides").read_text().split()
        return ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups", *before,
                self.stack.folder / "guard/sendguard", "-c", self.stack.folder / "guard/sendguard.conf",
                *(word for one in options for word in ("-o", one)), *words]

    def command(self, action, *words, before=()):
        return self.shell(action, self.mailbox, "--note", "by telephone", *words, before=before)

    def later(self, action, *words):
        """The same two minutes ahead, when no message came a moment ago."""
        clock = RunningClock(self.stack.folder)
        clock.set((time.time() + 120) * SECOND)
        clock.file.chmod(0o644)
        ahead = ["env", *(f"{name}={value}" for name, value in clock.environment.items())]
        return self.command(action, *words, before=ahead)

    def refused(self, action, *words):
        done = subprocess.run(self.command(action, *words), capture_output=True, text=True)
        assert done.returncode == 1, done
        return done.stderr

    def audited(self, action):
        return [one["detail"] for one in self.stack.sendguard("audit", self.mailbox)["actions"]
                if one["action"] == action]

    def traces(self):
        return [self.stack.sendguard("trace", one) for one in self.decisions]

    def holds(self):
        return [one.get("hold") for one in self.traces()]

    def outcomes(self):
        return [one["outcome"] for trace in self.traces() for one in trace["recipients"]]

    def used(self):
        return self.stack.used(self.mailbox)


@pytest.fixture
def held(stack):
    held = Held(stack)
    yield held
    held.program.smtp.close()


def test_what_waits_is_told(held, stack):
    row = held.row()
    assert row["count"] == 3 and row["unlisted"] == 0 and row["recipients"] == 3
    assert [one["recipients"] for one in row["messages"]] == [1, 1, 1]
    assert "wrote to 41 people that it had not written to in 90 days" in row["sentence"]
    told = stack.told("held")
    assert f"{held.mailbox}: 3 messages have been waiting since" in told and row["sentence"] in told
    metrics = stack.metrics()
    assert int(metrics["sendguard_held_messages"]) >= 3 and int(metrics["sendguard_held_mailboxes"]) >= 1
    assert "sendguard_held_seconds" in metrics
    assert stack.sendguard("show", held.mailbox)["held"]["count"] == 3
    changed = held.shell("-o", "unusual.mode=note", "doctor", "held", "--json")
    check, = json.loads(subprocess.run(changed, capture_output=True, check=False).stdout)
    assert check["state"] == "warn" and "still wait for the postmaster" in check["found"], check
    held.answer("release")


def test_it_was_them(held, stack):
    before, log = held.used(), stack.log("mailer.postfix")
    eventually(lambda: held.holds() == ["waits"] * 3, "the traces say that they wait")
    preview = held.answer("release", "--preview")
    assert preview["helper"] == "ready" and preview["gone"] == 0 and preview["held"]["count"] == 3
    assert held.row() is not None
    done = held.answer("release")
    assert done["results"] == [{"queue_id": one, "result": "released"} for one in held.ids]
    lines = stack.log_since(log, "mailer.postfix").splitlines()
    assert [line.split(": ")[1] for line in lines if line.endswith("released from hold")] == held.ids
    eventually(lambda: all(f"{one}: to=" in stack.log_since(log, "mailer.postfix") for one in held.ids),
               "they are delivered at once")
    eventually(lambda: held.holds() == [None] * 3 and held.outcomes() == ["delivered"] * 3, "the traces say so")
    assert held.row() is None and held.used() == before
    assert held.audited("held_release") == [
        {"was": "hold", "messages": 3, "released": 3, "gone": 0, "refunded": 0, "by_hand": False}]
    held.send(1000)  # usual for a week
    assert held.row() is None
    assert "no message of it waits" in held.refused("release")
    assert "no message of it waits" in held.refused("reject")  # of somebody who looks at an older page
    assert stack.sendguard("show", held.mailbox)["lock"]["phase"] == "none"


def test_it_was_not_them(held, stack):
    before = held.used()
    assert held.answer("reject", "--preview")["lock"] == "none" and held.used() == before
    done = held.answer("reject")
    assert (done["deleted"], done["refunded"], done["gone"]) == (3, 3, 0)
    assert not set(held.ids) & set(held.in_postfix())
    eventually(lambda: held.holds() == ["deleted"] * 3, "the traces say so")
    assert "since the postmaster said that somebody else had sent it" in stack.told("trace", held.decisions[0])
    assert held.row() is None and held.used() == before - 3
    shown = stack.sendguard("show", held.mailbox)
    assert shown["lock"]["phase"] == "locked" and shown["suspension"]["cause"] == "compromised"
    with pytest.raises(Refused):
        held.send(1000)
    assert held.audited("held_reject") == [
        {"was": "hold", "messages": 3, "deleted": 3, "gone": 0, "refunded": 3, "by_hand": False}]


def test_what_was_done_by_hand_before_is_told_and_left_alone(held):
    """Of a message that came a moment ago it may be that it is not there yet."""
    before = held.used()
    held.postsuper("-d", held.ids[1], "hold")
    assert f"message {held.ids[1]} came a moment ago" in held.refused("reject")
    assert held.row()["count"] == 3
    done = subprocess.run(held.later("reject", "--json"), capture_output=True, text=True)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["gone"] == 3  # of which we have deleted two before
    assert not set(held.ids) & set(held.in_postfix())
    assert held.row() is None and held.used() == before - 2


def test_without_the_helper_somebody_types(held, stack):
    stack.stop("postqueue")
    (stack.folder / "guard/postqueue.sock").unlink(missing_ok=True)
    try:
        assert "by hand" in held.refused("release")
        assert set(held.ids) <= set(held.in_postfix("hold"))
        preview = held.answer("release", "--preview")
        assert preview["helper"] == "absent" and preview["seen"] == 3
        for command in preview["commands"]:
            subprocess.run(["bash", "-c", command], check=True, capture_output=True)
        assert not set(held.ids) & set(held.in_postfix("hold"))
        held.send(1000)  # meanwhile
        assert "more messages came since" in held.refused("release", "--by-hand", "3")
        assert held.row()["count"] == 4
    finally:
        stack.start("postqueue")
    late = held.row()["messages"][-1]["queue_id"]
    held.postsuper("-H", late)
    assert held.answer("release", "--by-hand", "4")["done"]
    assert held.row() is None and held.audited("held_release")[0]["by_hand"]


def test_the_api_answers_as_described(held, stack):
    document = json.loads((TREE / "web/assets/openapi.json").read_text())
    token = stack.sendguard("token", "add", "held", "--role", "support", "--note", "a test")["token"]
    root = f"http://127.0.0.1:{stack.port('status')}/sending/api/v1"

    def call(path, variables, body=None):
        request = urllib.request.Request(root + path.format(mailbox=variables),
                                         json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return check_answer(document, path, "post" if body else "get", Answer(answer)).json

    page = call("/held", "")
    assert held.mailbox in [one["mailbox"] for one in page["held"]] and page["messages"] >= 3
    assert call("/mailboxes/{mailbox}", held.mailbox)["timeline"][0]["was_held"]
    words = {"action": "reject", "note": "asked by telephone"}
    with pytest.raises(urllib.error.HTTPError) as more:  # than were shown
        call("/mailboxes/{mailbox}/held", held.mailbox, {**words, "action": "release", "seen": "2"})
    assert more.value.code == 409 and held.row()["count"] == 3
    assert set(held.ids) <= set(held.in_postfix("hold"))
    assert not call("/mailboxes/{mailbox}/held", held.mailbox, {**words, "preview": True})["done"]
    assert call("/mailboxes/{mailbox}/held", held.mailbox, words)["deleted"] == 3


def test_killed_at_any_step_it_goes_on(held, stack):
    """Each time a little later: nothing is lost, and nothing is done twice."""
    before, step, killed = held.used(), 1, 0
    calls = "pwrite64,connect,sendto,recvfrom"
    while True:
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}",
                               "-e", f"inject={calls}:signal=SIGKILL:when={step}",
                               *held.later("reject")], capture_output=True, text=True)
        if held.row() is None:
            break
        assert done.returncode == -9 and held.row()["count"] == 3, done
        killed, step = killed + 1, step + 1 + step // 4
    assert killed > 5
    assert not set(held.ids) & set(held.in_postfix())
    assert held.used() == before - 3
    assert stack.sendguard("show", held.mailbox)["lock"]["phase"] == "locked"
    assert len(held.audited("held_reject")) == 1
