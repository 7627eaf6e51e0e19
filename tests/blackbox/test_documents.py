"""The commands that the documents tell people to type are run as they stand there."""

import re
import subprocess

import pytest

from programs import BUILD, PATIENCE, SANITIZER_REPORT, TREE, eventually

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
    guard = start(store, {"blocks": {"reasons": documented_reason()}})
    sender = sender_at(guard, ALICE)
    reader = Reader(guard, folder, sender.admitted().json["decision"])
    lines = [line for _, line in documented() if elsewhere(line) is None]
    assert len(lines) > 30
    for line in lines:
        reader.follows(line)


# ---- backup and restore ------------------------------------------------------------------------


def blocks_below(heading):
    """The shell blocks of docs/operate.md from that heading to the next one."""
    part = re.search(rf"^### {heading}$(.*?)^##", (TREE / "docs/operate.md").read_text(), re.M | re.S)
    return BLOCK.findall(part.group(1))


def own_paths(block, store, folder):
    """Where this machine has the files; our user owns them."""
    return (block.replace("/var/lib/sendguard/sendguard.db", str(store.path))
            .replace("/root/sendguard-copy.db", f"{folder}/copy.db")
            .replace("-o sendguard -g sendguard ", ""))


def test_sqlite_backup(sqlite_store, start, sender_at, folder):
    """Backed up while the guard counts, restored as if the machine were another one."""
    backup, restore = blocks_below("SQLite")
    guard = start(sqlite_store)
    reader, sender = Reader(guard, folder, ""), sender_at(guard)
    sender.admitted()
    reader.types(own_paths(backup, sqlite_store, folder))
    sender.admitted()
    assert sender.used() == 2
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600
    commands = own_paths(restore, sqlite_store, folder).splitlines()
    assert [line.split()[2] for line in commands if "systemctl" in line] == ["stop", "start"]
    for line in commands:
        if "systemctl stop" in line:
            guard.stop()
        elif "systemctl start" in line:
            guard.start()
        else:
            reader.types(line)
    assert sqlite_store.path.stat().st_mode & 0o777 == 0o600
    assert sender.used() == 1
    sender.admitted()


class OwnRedis:
    """A redis-server as Debian sets one up: a file of settings, a folder, a socket."""

    kind = "redis"

    def __init__(self, folder):
        self.folder = folder / "redis"
        self.folder.mkdir()
        self.settings, self.socket = self.folder / "redis.conf", self.folder / "redis.sock"
        self.url = f"redis+unix://{self.socket}?db=0"
        self.settings.write_text(f"port 0\ndir {self.folder}\nunixsocket {self.socket}\n"
                                 "appendonly yes\nlogfile redis.log\n")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["redis-server", str(self.settings)])
        eventually(lambda: subprocess.run(["redis-cli", "-s", str(self.socket), "PING"], text=True,
                                          capture_output=True).stdout == "PONG\n", "it answers")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self.process = None


@pytest.fixture
def own_redis(folder):
    redis = OwnRedis(folder)
    redis.start()
    yield redis
    redis.stop()


def test_redis_backup(own_redis, start, sender_at, folder):
    """The same with a server that keeps a log of all changes, which it does again afterwards."""
    backup, *restore = blocks_below("Redis")
    guard = start(own_redis)
    reader, sender = Reader(guard, folder, ""), sender_at(guard)

    def own(block):
        return (block.replace("/run/redis/redis-server.sock", str(own_redis.socket))
                .replace("/root/sendguard-copy.rdb", f"{folder}/copy.rdb")
                .replace("/var/lib/redis", str(own_redis.folder))
                .replace("/etc/redis/redis.conf", str(own_redis.settings))
                .replace("-o redis -g redis ", ""))

    def services(action, names):
        if action == "stop":
            guard.stop()
            own_redis.stop()
        elif "redis-server" in names:
            own_redis.start()
        else:
            guard.start()

    sender.admitted()
    reader.types(own(backup))
    sender.admitted()
    assert sender.used() == 2
    done = []
    for block in restore:
        steps = re.findall(r"^sudo systemctl (stop|start) (.*)\n|((?:(?!sudo systemctl).*\n)+)",
                           own(block), re.M)
        for action, names, typed in steps:
            done.append(action)
            services(action, names) if action else reader.types(typed)
    assert [action for action in done if action] == ["stop", "start", "start"]
    assert sender.used() == 1
    sender.admitted()
    guard.stop()
    own_redis.stop()  # and the log of changes has it all again
    own_redis.start()
    guard.start()
    assert sender.used() == 2
