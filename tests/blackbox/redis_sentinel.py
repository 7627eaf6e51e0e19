"""A master, replicas and three sentinels, as docs/operate.md sets them up, all on this machine."""

import subprocess

from programs import RedisServer, eventually, free_port

MASTER = "mail"
DOWN_AFTER = 1  # seconds


class TcpServer(RedisServer):
    """A master, without `of`. `wrapper`: of its command, where `host` is an address."""

    def __init__(self, folder, *options, of=None, tls=(), host="127.0.0.1", wrapper=()):
        folder.mkdir()
        self.host = host
        self.port = free_port()
        ports = ["--tls-port", self.port, "--tls-replication", "yes", *tls] if tls \
            else ["--port", self.port]
        replica = ["--replicaof", f"{of.host} {of.port}"] if of else []
        super().__init__(folder, *ports, "--bind", host, "--protected-mode", "no", "--repl-diskless-sync-delay", "0",
                         "--masteruser", "tester",
                         "--masterauth", "tester", *replica, *options, wrapper=wrapper)

    def is_master(self):
        return self._role()[0] == b"master"

    @property
    def is_synced(self):
        role = self._role()
        return role[0] == b"slave" and role[3] == b"connected"

    def _role(self):
        try:
            return self.command("ROLE")
        except OSError:  # a sentinel that changes it ends all connections
            return [b""]


class Sentinel(RedisServer):
    """Knows the master by its name; its own users as `lines` say."""

    def __init__(self, folder, master, lines=(), tls=(), host="127.0.0.1", wrapper=(),
                 down_after=DOWN_AFTER):
        folder.mkdir()
        super().__init__(folder, rights=None, wrapper=wrapper)
        self.port = free_port()
        ports = [f"tls-port {self.port}", "port 0", "tls-replication yes",
                 *(f"{name[2:]} {value}" for name, value in zip(tls[::2], tls[1::2]))] if tls \
            else [f"port {self.port}"]
        self.file = folder / "sentinel.conf"
        self.file.write_text("\n".join([
            *ports, f"bind {host}", "protected-mode no", f"dir {folder}", f"unixsocket {self.socket_path}",
            "user tester on >tester ~* &* +@all",
            f"sentinel monitor {MASTER} {master.host} {master.port} 2",
            f"sentinel down-after-milliseconds {MASTER} {down_after * 1000}",
            f"sentinel failover-timeout {MASTER} 5000", f"sentinel auth-user {MASTER} tester",
            f"sentinel auth-pass {MASTER} tester",
            *(["sentinel sentinel-user tester", "sentinel sentinel-pass tester"] if lines else []),
            *lines]) + "\n")

    def start(self):
        self.process = subprocess.Popen(
            [*self.wrapper, "redis-server", str(self.file), "--sentinel"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._ready, "the sentinel answers")
        self.command("SENTINEL", "DEBUG", "info-period", 1000, "publish-period", 500)

    def state(self):
        words = [word.decode() for word in self.command("SENTINEL", "MASTER", MASTER)]
        return dict(zip(words[::2], words[1::2]))

    def knows(self, others, replicas):
        state = self.state()
        return (state["num-other-sentinels"], state["num-slaves"]) == (str(others), str(replicas))


class Cluster:
    """`away`: where the master alone is, and `near`, where all else is: `host` and `wrapper`."""

    kind = "redis"

    def __init__(self, folder, replicas=1, sentinels=3, lines=(), tls=(), host="127.0.0.1",
                 options=(), away=None, near=None, down_after=DOWN_AFTER):
        away, near = away or {}, near or {}
        self.first = TcpServer(folder / "first", *options, tls=tls, **away)
        self.replicas = [TcpServer(folder / f"replica{number}", *options, of=self.first, tls=tls,
                                   **near) for number in range(replicas)]
        self.second = self.replicas[0]
        self.servers = [self.first, *self.replicas]
        self.sentinels = [Sentinel(folder / f"sentinel{number}", self.first, lines, tls, **near,
                                   down_after=down_after)
                          for number in range(sentinels)]
        self.hosts = ",".join(f"{near.get('host', host)}:{one.port}" for one in self.sentinels)
        self.url = f"redis{'s' if tls else ''}+sentinel://{self.hosts}/{MASTER}/1"

    def start(self):
        for server in self.servers:
            server.start()
        eventually(lambda: all(one.is_synced for one in self.replicas), "the replicas follow")
        for sentinel in self.sentinels:
            sentinel.start()
        others = len(self.sentinels) - 1
        eventually(lambda: all(one.knows(others, len(self.replicas)) for one in self.sentinels),
                   "the sentinels know each other and the replicas")
        return self

    def master(self):
        """Whom the first sentinel names, which is whom Sendguard asks first."""
        port = int(self.sentinels[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])
        return next(one for one in self.servers if one.port == port)

    def failovers(self):
        """How many there have been."""
        return int(self.sentinels[0].state()["config-epoch"])

    def stop(self):
        for server in [*self.sentinels, *self.servers]:
            server.stop()
