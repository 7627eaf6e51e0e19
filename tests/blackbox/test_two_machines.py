"""docs/operate.md, "Redis on two machines": its files and commands, with three addresses of the loopback
interface in the place of three machines."""

import random
import re
import shlex
import socket
import subprocess

import pytest

from programs import BUILD, PATIENCE, TREE, documented_rights, eventually

SERVERS, SENTINELS = (1, 2), (1, 2, 3)
CLI = BUILD / "sendguard"


def blocks():
    """The fenced blocks of the section, in their order."""
    text = (TREE / "docs/operate.md").read_text()
    section = re.search(r"^## Redis on two machines$(.*?)^## ", text, re.M | re.S).group(1)
    return [block for _, block in re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S)]


def free_network():
    """The first three bytes of addresses on which nobody listens."""
    while True:
        network = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}."
        with socket.socket() as probe:
            if probe.connect_ex((network + "1", 6379)) != 0:
                return network


class Machines:
    """Each with folders in the place of /etc/redis and /var/lib/redis."""

    def __init__(self, folder):
        self.folder, self.network, self.processes = folder, free_network(), {}
        (users, server, self.replica, sentinel, self.quorum, settings, self.move,
         self.failover) = blocks()
        for number in SENTINELS:
            machine = folder / str(number)
            for kind in ("server", "sentinel"):
                (machine / kind).mkdir(parents=True)
            (machine / "users.acl").write_text(
                self.here(users, number)
                + f"user sendguard on >SENDGUARD_PASSWORD {documented_rights('sendguard')}\n")
            self.write(number, "server", server + (self.replica if number == 2 else ""))
            self.write(number, "sentinel", sentinel)
        (folder / "password").write_text("SENDGUARD_PASSWORD\n")
        (folder / "password").chmod(0o600)
        self.settings = folder / "sendguard.conf"
        self.settings.write_text(self.here(settings) + f"timeout = 5s\n[web]\nsecret_file = {folder}/secret\n"
                                 f"[fcgi]\nlisten = {folder}/fcgi.sock\n")
        self.settings.chmod(0o640)

    def here(self, text, number=None):
        """What a document says, on this machine. number: of whose file it is."""
        if number is not None:
            text = re.sub(r"^(bind|.*announce-ip) 10\.0\.0\.1$", rf"\1 10.0.0.{number}", text, flags=re.M)
        return (text.replace("10.0.0.", self.network).replace("/etc/redis/", f"{self.folder}/{number}/")
                .replace("/etc/sendguard/redis-password", f"{self.folder}/password")
                .replace("/var/lib/sendguard/sendguard.db", f"{self.folder}/s.db"))

    def write(self, number, kind, text):
        text = self.here(text, number).replace("/var/lib/redis", f"{self.folder}/{number}/{kind}")
        text += "" if "dir " in text else f"dir {self.folder}/{number}/{kind}\n"
        (self.folder / str(number) / f"{kind}.conf").write_text(text)

    def start(self, number, kind):
        self.processes[number, kind] = subprocess.Popen(
            ["redis-server", self.folder / str(number) / f"{kind}.conf",
             *(["--sentinel"] if kind == "sentinel" else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, number, kind):
        process = self.processes.pop((number, kind))
        process.kill()
        process.wait()

    def run(self, line):
        """A command of the document, with the settings of the test."""
        words = shlex.split(self.here(line))
        words = words[1:] if words[0] == "sudo" else words
        if words[0].startswith("sendguard"):
            words = [str(BUILD / words[0]), "-c", str(self.settings), *words[1:]]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    def ok(self, line):
        status, said = self.run(line)
        assert status == 0, f"{line}: {said}"
        return said


def is_level(said):
    """Whether the replica has what the master has, by INFO replication."""
    replica = re.search(r"state=online,offset=(\d+)", said)
    return replica and replica.group(1) == re.search(r"master_repl_offset:(\d+)", said).group(1)


@pytest.fixture
def machines(folder):
    machines = Machines(folder)
    yield machines
    for place in list(machines.processes):
        machines.kill(*place)


def test_from_one_machine_to_two(machines):
    first, second = (f"{machines.network}{number}:6379" for number in SERVERS)
    subprocess.run([CLI, "-o", f"store.url=sqlite://{machines.folder}/s.db", "note", "alice@example.test",
                    "--note", "before"], check=True, capture_output=True)
    for number in SERVERS:
        machines.start(number, "server")
    for number in SENTINELS:
        machines.start(number, "sentinel")
    quorum, synced = machines.quorum.replace("--askpass", "--pass ADMIN_PASSWORD").splitlines()
    eventually(lambda: machines.run(quorum)[1].startswith("OK 3 usable"), "a quorum", 60)
    eventually(lambda: "state=online" in machines.run(synced)[1], "the replica has everything", 60)
    move, check = machines.move.splitlines()
    assert "Both stores hold the same" in machines.ok(move)
    assert f"names {first}, master sendguard" in machines.ok(check)
    assert "before" in machines.ok("sudo sendguard audit")
    eventually(lambda: is_level(machines.run(synced)[1]), "the replica has what was moved", 60)
    failover, check = machines.failover.splitlines()
    eventually(lambda: machines.run(failover)[1].strip() == "OK", "a replica to fail over to", 60)
    eventually(lambda: f"names {second}, master sendguard" in machines.ok(check), "the failover")
    assert "before" in machines.ok("sudo sendguard audit")
    # and without being told: once the first one follows, the second one dies
    synced = synced.replace("10.0.0.1", "10.0.0.2")
    eventually(lambda: "state=online" in machines.run(synced)[1], "the replica has everything", 60)
    machines.ok("sudo sendguard note alice@example.test --note between")
    eventually(lambda: is_level(machines.run(synced)[1]), "the replica has it")
    machines.kill(2, "server")
    eventually(lambda: f"names {first}, master sendguard" in machines.run(check)[1], "the failover", 60)
    assert "between" in machines.ok("sudo sendguard audit")
