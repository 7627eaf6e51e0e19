"""A master, a replica and three sentinels, as docs/operate.md sets them up, all on this machine."""

import subprocess

from programs import RedisServer, eventually, free_port

MASTER = "mail"
DOWN_AFTER = 1  # seconds


class TcpServer(RedisServer):
    """Whom nobody is the replica of, without `of`."""

    def __init__(self, folder, *options, of=None, tls=()):
        folder.mkdir()
        self.port = free_port()
        ports = ["--tls-port", self.port, "--tls-replication", "yes", *tls] if tls \
            else ["--port", self.port]
        replica = ["--replicaof", f"127.0.0.1 {of.port}"] if of else []
        super().__init__(folder, *ports, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0",
                         "--masteruser", "tester",
                         "--masterauth", "tester", *replica, *options)

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

    def __init__(self, folder, master, lines=(), tls=()):
        folder.mkdir()
        super().__init__(folder, rights=None)
        self.port = free_port()
        ports = [f"tls-port {self.port}", "port 0", "tls-replication yes",
                 *(f"{name[2:]} {value}" for name, value in zip(tls[::2], tls[1::2]))] if tls \
            else [f"port {self.port}"]
        self.file = folder / "sentinel.conf"
        self.file.write_text("\n".join([
            *ports, "bind 127.0.0.1", f"dir {folder}", f"unixsocket {self.socket_path}",
            "user tester on >tester ~* &* +@all",
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER * 1000}",
            f"sentinel failover-timeout {MASTER} 5000", f"sentinel auth-user {MASTER} tester",
            f"sentinel auth-pass {MASTER} tester",
            *(["sentinel sentinel-user tester", "sentinel sentinel-pass tester"] if lines else []),
            *lines]) + "\n")

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", str(self.file), "--sentinel"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._ready, "the sentinel answers")
        self.command("SENTINEL", "DEBUG", "info-period", 1000, "publish-period", 500)

    def state(self):
        words = [word.decode() for word in self.command("SENTINEL", "MASTER", MASTER)]
        return dict(zip(words[::2], words[1::2]))

    def knows(self, others):
        state = self.state()
        return state["num-other-sentinels"] == str(others) and state["num-slaves"] == "1"


class Cluster:
    kind = "redis"

    def __init__(self, folder, sentinels=3, lines=(), tls=(), host="127.0.0.1"):
        self.first = TcpServer(folder / "first", tls=tls)
        self.second = TcpServer(folder / "second", of=self.first, tls=tls)
        self.sentinels = [Sentinel(folder / f"sentinel{number}", self.first, lines, tls)
                          for number in range(sentinels)]
        self.hosts = ",".join(f"{host}:{one.port}" for one in self.sentinels)
        self.url = f"redis{'s' if tls else ''}+sentinel://{self.hosts}/{MASTER}/1"

    def start(self):
        self.first.start()
        self.second.start()
        eventually(lambda: self.second.is_synced, "the replica follows")
        for sentinel in self.sentinels:
            sentinel.start()
        others = len(self.sentinels) - 1
        eventually(lambda: all(one.knows(others) for one in self.sentinels),
                   "the sentinels know each other and the replica")
        return self

    def stop(self):
        for server in [*self.sentinels, self.second, self.first]:
            server.stop()
