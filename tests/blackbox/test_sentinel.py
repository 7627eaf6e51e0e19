"""A Redis that Sentinel watches over: the master is found, and found again after a failover."""

import re
import subprocess
import threading
import time

import pytest

from endpoint import Endpoint, Sender, new_ip, new_mailbox
from mta import User, start_mta  # noqa: F401, a fixture
from programs import BUILD, PATIENCE, SANITIZED, TREE, eventually
from redis_access import Authority
from redis_sentinel import DOWN_AFTER, MASTER, Cluster
from test_redis_access import PASSWORD, check, refused

pytestmark = pytest.mark.sanitized
CLIENTS = 4
LIMIT = 1500
TIMEOUT = 2 if SANITIZED else 1  # seconds; a call to a server that hangs takes so long
SETTINGS = {"store": {"timeout": f"{TIMEOUT * 1000:.0f}ms"},
            "limits.webmail": {"messages_per_day": LIMIT, "off_domain_per_day": "off",
                               "off_domain_per_hour_per_ip": "off"},
            "on_limit": {"messages_per_day": "refuse"}}


@pytest.fixture
def cluster(folder):
    cluster = Cluster(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


class Crowd:
    """Clients that send for one mailbox until they are stopped, each after a pause."""

    def __init__(self, guard, mailbox, pause):
        self.guard, self.mailbox, self.pause = guard, mailbox, pause
        self.answers, self.ending = [], threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        with Endpoint(self.guard) as endpoint:
            sender = Sender(endpoint, self.mailbox, new_ip())
            while not self.ending.wait(self.pause):
                began = time.monotonic()
                status = sender.send().status
                self.answers.append((began, time.monotonic(), status))

    def admitted(self, before=float("inf"), after=0):
        """How many were answered before a moment, and asked for after one."""
        return sum(status == 200 and ended < before and began > after
                   for began, ended, status in list(self.answers))

    def refused(self):
        return sum(status == 429 for *_, status in list(self.answers))

    def first_admitted(self, after):
        return min((ended for began, ended, status in list(self.answers)
                    if status == 200 and began > after), default=None)

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def crowd():
    crowds = []

    def make(guard, mailbox, pause=0.005):
        crowds.append(Crowd(guard, mailbox, pause))
        return crowds[-1]

    yield make
    for one in crowds:
        one.stop()


def replicated(server, mailbox):
    """How many messages of a mailbox a server has: 19 bytes each, and 47 of totals."""
    text = server.command("GET", f"sg:mailbox:{mailbox}", database=1) or bytes(47)
    return (len(text) - 47) // 19


# ---- what is found ------------------------------------------------------------------------------


def test_the_master_is_found(folder, cluster, start, start_mta, sender_at):
    status, said = check(folder, cluster.url)
    assert status == 0
    assert said == (f"sendguard-mta: store.url: the sentinel at 127.0.0.1:{cluster.sentinels[0].port} "
                    f"names 127.0.0.1:{cluster.first.port}, master {MASTER}")
    sender_at(start(cluster, SETTINGS)).admitted()
    user = User(start_mta(cluster, SETTINGS))
    user.send(["bob@example.com"])
    user.close()
    keys = [key for key in cluster.first.command("KEYS", "*", database=1) if b"sg:mailbox:" in key]
    assert len(keys) == 2
    shown = subprocess.run([BUILD / "sendguard", "-o", f"store.url={cluster.url}", "-o",
                            "store.timeout=10s", "show", keys[0].decode()[len("sg:mailbox:"):]],
                           capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "1 of" in shown.stdout or " 1 " in shown.stdout


def test_some_sentinels_may_be_away(folder, cluster):
    for sentinel in cluster.sentinels[:2]:
        sentinel.stop()
    status, said = check(folder, cluster.url)
    assert status == 0 and f"sentinel at 127.0.0.1:{cluster.sentinels[2].port} names" in said
    cluster.sentinels[2].stop()
    status, said = check(folder, cluster.url)
    assert status == 0 and (f"does not answer now: redis at master {MASTER}: no sentinel names it: "
                            f"127.0.0.1:{cluster.sentinels[0].port}: Connection refused") in said


def test_a_sentinel_that_hangs_leaves_time_for_the_others(folder, cluster):
    cluster.sentinels[0].freeze()
    try:
        status, said = check(folder, cluster.url, {"timeout": "4s"})
        assert status == 0 and f"sentinel at 127.0.0.1:{cluster.sentinels[1].port} names" in said
    finally:
        cluster.sentinels[0].thaw()


def test_what_can_be_wrong(folder, cluster):
    sentinel = f"127.0.0.1:{cluster.sentinels[0].port}"
    refused(folder, f"redis+sentinel://{sentinel}/other", {},
            f"redis at master other: no sentinel names it: {sentinel}: it knows no master of that name")
    refused(folder, f"redis+sentinel://127.0.0.1:{cluster.first.port}/{MASTER}", {},
            f"{cluster.first.port}: it is no sentinel: ERR unknown command")
    for database in ("", "/1"):
        refused(folder, f"redis://{sentinel}{database}", {}, "perhaps a sentinel")
    status, said = check(folder, f"redis://127.0.0.1:{cluster.second.port}")
    assert status == 0 and "does not answer now" in said and "it is a replica" in said
    # a sentinel that does not know yet
    eventually(lambda: cluster.second.is_synced, "the replica follows")
    cluster.second.command("REPLICAOF", "NO", "ONE")
    cluster.first.command("REPLICAOF", "127.0.0.1", cluster.second.port)
    status, said = check(folder, cluster.url)
    assert status == 0 and (
        f"redis at 127.0.0.1:{cluster.first.port}, master {MASTER}: it is a replica, and the sentinel "
        f"at {sentinel} names it as the master") in said


@pytest.mark.parametrize("hosts", ["localhost", "127.0.0.1"])
def test_by_tls_with_passwords(folder, hosts, start, sender_at):
    """Sentinels that ask for a password know our user, by the line of docs/store.md."""
    authority = Authority(folder)
    certificate, key = authority.sign("server")
    tls = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file",
           authority.file, "--tls-auth-clients", "no"]
    line = sentinel_line().replace(">PASSWORD", f">{PASSWORD}")
    cluster = Cluster(folder, lines=["user default off", line], tls=tls, host=hosts)
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "password").chmod(0o600)
    try:
        cluster.start()
        for server in (cluster.first, cluster.second):
            server.command("ACL", "SETUSER", "sendguard", "on", f">{PASSWORD}", "~*", "+@all")
        settings = {"user": "sendguard", "password_file": folder / "password"}
        refused(folder, cluster.url, settings, "certificate is not accepted")
        settings["tls_ca_file"] = authority.file
        status, said = check(folder, cluster.url, settings)
        assert status == 0 and "names 127.0.0.1" in said, said
        refused(folder, cluster.url, {**settings, "user": "nobody"}, "WRONGPASS")
        refused(folder, cluster.url, {"tls_ca_file": authority.file}, "NOAUTH")
        sender_at(start(cluster, {"store": settings})).admitted()
    finally:
        cluster.stop()


def sentinel_line():
    return re.search(r"^user sendguard on >PASSWORD resetchannels -@all .*$",
                     (TREE / "docs/store.md").read_text(), re.M).group(0)


# ---- failover -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_the_master_fails(cluster, start, crowd, sender_at, how):
    mailbox = new_mailbox()
    guard = start(cluster, SETTINGS)
    clients = crowd(guard, mailbox)
    eventually(lambda: clients.admitted() >= 300, "300 messages")
    cluster.first.stop() if how == "killed" else cluster.first.freeze()
    killed = time.monotonic()
    there = replicated(cluster.second, mailbox)
    eventually(cluster.second.is_master, "the replica is promoted")
    promoted = time.monotonic()
    eventually(lambda: clients.first_admitted(after=killed), "sending goes on")
    first, before = clients.first_admitted(after=killed), clients.admitted(before=promoted)
    # a busy machine's sentinels may take longer to agree, which is not for us to hasten: the one that
    # promotes looks each second whether that is done, and each of the others may name the old one once
    allowed = 1.5 + (len(cluster.sentinels) * TIMEOUT if how == "hangs" else 0)
    assert first - killed < DOWN_AFTER + 2 or first - promoted < allowed, (
        first - killed, first - promoted)
    eventually(lambda: clients.refused() >= CLIENTS, "the limit is reached")
    clients.stop()
    # what the dead master had not replicated is all that may come on top
    assert clients.admitted() - before <= LIMIT - there
    assert sender_at(guard, mailbox).used() == LIMIT
    # the old master comes back, says that it is one, and is none
    cluster.first.start() if how == "killed" else cluster.first.thaw()
    others = crowd(guard, new_mailbox(), pause=0.05)
    eventually(lambda: cluster.first.is_synced, "the old master follows the new one")
    count = others.admitted()
    eventually(lambda: others.admitted() > count + 50, "sending goes on")
    others.stop()
    assert {status for *_, status in others.answers} == {200}
    assert sender_at(guard, others.mailbox).used() == len(others.answers)
    eventually(lambda: replicated(cluster.first, others.mailbox) == len(others.answers),
               "the old master has it all")


def test_nothing_is_lost_where_a_replica_must_have_it(cluster, start, crowd, sender_at):
    """With store.replicas = 1. No message passes until the old master is back as a replica."""
    mailbox = new_mailbox()
    guard = start(cluster, {**SETTINGS, "store": {"timeout": "2s", "replicas": 1}})
    clients = crowd(guard, mailbox)
    eventually(lambda: clients.admitted() >= 300, "300 messages")
    cluster.first.stop()
    before = clients.admitted()
    assert replicated(cluster.second, mailbox) >= before
    eventually(lambda: cluster.second.is_master(), "the replica is promoted")
    cluster.first.start()
    eventually(lambda: clients.admitted() > before, "sending goes on")
    eventually(lambda: clients.refused() >= CLIENTS, "the limit is reached")
    clients.stop()
    assert clients.admitted() <= LIMIT
    assert sender_at(guard, mailbox).used() == LIMIT


def test_an_orderly_failover(cluster, start, crowd, sender_at):
    """The old master runs on, as a replica that answers READONLY."""
    guard = start(cluster, SETTINGS)
    clients = crowd(guard, new_mailbox(), pause=0.05)
    eventually(lambda: clients.admitted() >= 100, "100 messages")
    cluster.sentinels[0].command("SENTINEL", "FAILOVER", MASTER)
    eventually(lambda: cluster.second.is_master(), "the replica is promoted")
    promoted = time.monotonic()
    eventually(lambda: clients.first_admitted(after=promoted), "sending goes on")
    eventually(lambda: cluster.first.is_synced, "the old master follows the new one")
    moved = time.monotonic()
    eventually(lambda: clients.admitted(after=moved) >= 100, "100 more messages")
    clients.stop()
    assert sender_at(guard, clients.mailbox).used() <= clients.admitted()


def test_a_replica_is_left_at_once(cluster, start, sender_at):
    """Demoted without a word to whom is connected: the next message is refused, the one after it
    asks the sentinels again."""
    guard = start(cluster, SETTINGS)
    sender = sender_at(guard)
    sender.admitted()
    cluster.first.command("REPLICAOF", "127.0.0.1", cluster.second.port)
    assert sender.send().status == 503
    guard.log.wait("READONLY")
    assert sender.send().status == 503
    assert b" name=sendguard " not in cluster.first.command("CLIENT", "LIST")
    cluster.first.command("REPLICAOF", "NO", "ONE")
    eventually(lambda: sender.send().status == 200, "the master is found again")
