"""The commands that the documents tell people to type are run as they stand there."""

import re
import subprocess

import pytest

from programs import BUILD, PATIENCE, SANITIZER_REPORT, TREE
from web import Web

ALICE = "alice@example.org"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.M | re.S)
# What needs more than a webmail and a store is run by another test: of each such beginning which one.
ELSEWHERE = {
    "complaints --drop": "test_complaints.py: def test_what_a_stranger_writes_about_himself",
    "complaints alice@example.test --count":
        "test_complaints.py: def test_what_a_stranger_writes_about_himself",
    "doctor": "test_doctor.py: def test_some_checks_alone",
    "feedback --forget": "test_delivery.py: def test_a_log_that_is_forgotten",
    "lift @": "test_domain_block.py: def test_a_refusal_is_explained_when_it_is_over",
    "log -f": "test_cli.py: def test_follow",
    "notify --test": "test_notify.py: def test_tls",
    "store migrate": "test_migrate.py: def test_everything_goes_on",
    "trace": "test_delivery.py: def test_trace_by_all_its_names",
}
# The shell of a reader: root already, the command in its path with the settings of the stack.
READER = """
sudo() { "$@"; }
sendguard() { "$SENDGUARD" -c "$SETTINGS" "$@"; }
"""


def documented():
    """(document, line) of each command of ours, in the order in which a reader meets them."""
    for path in [TREE / "README.md", *sorted((TREE / "docs").glob("*.md"))]:
        for block in BLOCK.findall(path.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r" *(sudo )?sendguard ", line):
                    yield path.name, line.strip()


def elsewhere(line):
    words = re.sub(r"^(sudo )?sendguard ", "", line)
    return next((test for begins, test in ELSEWHERE.items() if words.startswith(begins)), None)


def test_what_others_run():
    lines = [line for _, line in documented()]
    for begins, test in ELSEWHERE.items():
        file, name = test.split(": ")
        assert name in (TREE / "tests/blackbox" / file).read_text(), test
        assert any(elsewhere(line) == test for line in lines), f"no document has {begins}"


class Reader:
    """Somebody who types what a document says, in a folder of his own."""

    def __init__(self, guard, folder, decision):
        self.guard, self.folder, self.decision = guard, folder, decision
        (folder / "stolen.txt").write_text(f"{ALICE}\n")

    def types(self, line, text=""):
        done = subprocess.run(["bash", "-c", READER + line], input=text, text=True,
                              capture_output=True, timeout=PATIENCE, cwd=self.folder,
                              env={"SENDGUARD": str(BUILD / "sendguard"), "PATH": "/usr/bin:/bin",
                                   "SETTINGS": str(self.guard.config_path), "LC_ALL": "C.UTF-8"})
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def follows(self, line):
        """What a line takes for granted comes first: a lift needs a suspension."""
        if re.search(r"sendguard lift", line):
            self.types(f"sendguard suspend {ALICE} --cause terms --for 1h --note 'for a test'")
        self.types(line.replace("7K3M-Q2XD-9F4A", self.decision),
                   "correct horse battery\n" if "staff add" in line else "")


def documented_reason():
    return re.search(r"`reasons = (.*?)`", (TREE / "docs/support.md").read_text()).group(1)


@pytest.mark.either_store
def test_every_command(store, start, sender_at, folder):
    guard = start(store, {"blocks": {"reasons": documented_reason()},
                          "plan.school": {"messages_per_day": 1000}})
    sender = sender_at(guard, ALICE)
    reader = Reader(guard, folder, sender.admitted().json["decision"])
    lines = [line for _, line in documented() if elsewhere(line) is None]
    assert len(lines) > 30
    for line in lines:
        reader.follows(line)


# ---- the API ------------------------------------------------------------------------------------

# curl as the reader has it, which also says how each call was answered.
CURL = r"""
set -e
curl() { command curl -sS -o answer -w "%{http_code} %{url_effective}\n" "$@"; }
"""
# Nobody has objected, no domain is blocked, and no sign-ins: what is said then, in the order of the calls.
NOT_HERE = [("404", "appeals"), ("409", "actions"), ("409", "logins")]


def test_every_call_of_the_api(sqlite_store, folder, start, sender_at):
    """docs/api.md, from its first line to its last: no path, member or value that is none."""
    guard = start(sqlite_store)
    decision = sender_at(guard, "alice@example.test").admitted().json["decision"]
    web = Web(folder, sqlite_store).start()
    try:
        for mailbox in ("alice@example.test", "bob@example.test"):
            web.shell("suspend", mailbox, "--cause", "volume", "--for", "1h", "--note", "for a test")
        block = next(block for block in BLOCK.findall((TREE / "docs/api.md").read_text())
                     if block.startswith("api="))
        (folder / "list.csv").write_text("subject,reason,scope\nt@x.test,No mail.,*\n")
        typed = (CURL + block.replace("https://mail.example.test", f"http://127.0.0.1:{web.port}")
                 .replace("7K3M-Q2XD-9F4A", decision).replace(" -O ", " ")
                 .replace("&seen=$SEEN", "&seen=$(sed 's/.*\"seen\":\"\\([^\"]*\\)\".*/\\1/' answer)"))
        done = subprocess.run(["bash", "-c", typed], text=True, capture_output=True,
                              timeout=PATIENCE, cwd=folder,
                              env={"PATH": "/usr/bin:/bin", "TOKEN": web.token("panel", "admin")})
        assert done.returncode == 0, done.stderr
        answers = [line.split(" ", 1) for line in done.stdout.splitlines()]
        assert len(answers) == len(re.findall(r"^curl ", block, re.M)) > 20
        assert [(status, url.rpartition("/")[2]) for status, url in answers
                if status != "200"] == NOT_HERE
    finally:
        web.stop()
