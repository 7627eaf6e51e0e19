"""The real programs around a test, each private to a folder and stopped by its pid."""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

import fastcgi

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = TREE / os.environ.get("SENDGUARD_BUILD", "build")
PROGRAM = BUILD / "sendguard-fcgi"
SANITIZED = BUILD.name != "build"
PATIENCE = 60  # seconds until something that must happen counts as missing

SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|DEADLYSIGNAL")


def eventually(condition, what, patience=PATIENCE):
    """The first true value of condition(); for states of other programs that announce nothing."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.005)


def freeze(pid):
    """As on a machine that hangs. The signal alone is not enough: on a busy machine threads go on for a while."""
    os.kill(pid, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{pid}/task")
    def stopped(task):
        try:
            return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            return True
    eventually(lambda: all(map(stopped, tasks.iterdir())), "all threads have stopped")


def thaw(pid):
    os.kill(pid, signal.SIGCONT)


class Lines:
    """Collects the lines of a program's output while it runs."""

    def __init__(self, pipe):
        self.all = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                with self.changed:
                    self.all.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self.changed.notify_all()

    def matching(self, pattern, after=0):
        return [line for line in self.all[after:] if re.search(pattern, line)]

    def wait(self, pattern, after=0, count=1):
        """Until `count` lines from number `after` on match the pattern; returns them."""
        with self.changed:
            done = self.changed.wait_for(lambda: len(self.matching(pattern, after)) >= count,
                                         PATIENCE)
            assert done, f"{count} x {pattern!r} not in the log:\n" + "\n".join(self.all[-20:])
            return self.matching(pattern, after)

    def text(self):
        return "\n".join(self.all)


def ini(settings):
    lines = []
    for section, keys in settings.items():
        lines.append(f"[{section}]")
        for key, value in keys.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                lines.append(f"{key} = {one}")
    return "\n".join(lines) + "\n"


class Guard:
    """sendguard-fcgi with a configuration of its own; other programs by their `program` and how to
    connect to them."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, environment=None, wrapper=()):
        self.folder = pathlib.Path(folder)
        self.store = store
        self.socket_path = self.folder / "fcgi.sock"
        self.config_path = self.folder / "sendguard.conf"
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.settings = {
            # Ample: a busy test machine is no silent store. Tests of failure say less.
            "store": {"url": store.url, "timeout": "10s"},
            "fcgi": {"listen": self.socket_path},
            "web": {"secret_file": self.folder / "secret"},
            "domains": {"own_domains": "example.test example.net"},
        }
        self.process = self.log = None
        self.configure(settings or {})

    def configure(self, changes):
        """Writes the configuration file; settings given before stay unless they are changed."""
        for section, keys in changes.items():
            self.settings.setdefault(section, {}).update(keys)
        self.config_path.write_text(ini(self.settings))

    def command(self, *more):
        return [*self.wrapper, str(self.program), "-c", str(self.config_path), *more]

    def connect(self, timeout=PATIENCE):
        return fastcgi.Connection.to(self.socket_path, timeout)

    def spawn(self, *more):
        """The program as it is, without waiting for it to be ready."""
        environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC", **self.environment)
        self.process = subprocess.Popen(self.command(*more), env=environment,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.log = Lines(self.process.stderr)

    def start(self, *more):
        self.spawn(*more)
        eventually(self._ready, "the guard accepts connections")
        return self

    def _ready(self):
        assert self.process.poll() is None, f"exit {self.process.returncode}: {self.finished_log()}"
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def finished_log(self):
        self.log.thread.join(PATIENCE)
        return self.log.text()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def reload(self, changes=None):
        """New settings and SIGHUP; returns the lines that say what came of it."""
        if changes is not None:
            self.configure(changes)
        before = len(self.log.all)
        self.process.send_signal(signal.SIGHUP)
        self.log.wait(r'msg="settings (read again|are refused)', before)
        return self.log.all[before:]

    def wait(self, patience=PATIENCE):
        status = self.process.wait(patience)
        report = SANITIZER_REPORT.search(self.finished_log())
        assert not report, self.log.text()[report.start():][:8000]
        return status

    def stop(self):
        """SIGTERM; a guard ends cleanly or the test fails."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("still there after SIGTERM:\n" + self.finished_log()) from None
        assert status == 0, f"exit {status}:\n{self.log.text()}"
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.finished_log()
        self.process = None

    def memory_peak_kb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))


def documented_rights(user):
    """What docs/store.md has a user of Redis be let do, without its password."""
    line = re.search(rf"^user {user} on >PASSWORD (.*)$", (TREE / "docs/store.md").read_text(), re.M)
    return line.group(1)


class RedisServer:
    """A private redis-server on a UNIX socket, with an append-only file. Who does not sign in has the
    rights that docs/store.md gives to Sendguard; the test itself is somebody else."""

    def __init__(self, folder, *options, rights="sendguard", wrapper=()):
        self.folder = pathlib.Path(folder)
        self.wrapper = list(wrapper)
        self.socket_path = self.folder / "redis.sock"
        self.process = None
        self.options = list(map(str, options))
        if "--aclfile" not in self.options:
            self.options += ["--user", "tester", "on", ">tester", "~*", "&*", "+@all"]
        if rights is not None:
            self.options += ["--user", "default", "on", "nopass", *documented_rights(rights).split()]

    def start(self):
        self.process = subprocess.Popen(
            [*self.wrapper, "redis-server", "--port", "0", "--unixsocket", str(self.socket_path),
             "--dir", str(self.folder), "--save", "", "--appendonly", "yes",
             "--appendfsync", "no", "--maxmemory-policy", "noeviction",
             *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._ready, "redis-server answers")

    def _ready(self):
        assert self.process.poll() is None, f"redis-server: exit {self.process.returncode}"
        try:
            return self.command("PING") == b"PONG"
        except (OSError, RuntimeError):
            return False

    def command(self, *words, database=0):
        """One command in the Redis protocol; nested replies as lists, errors as RuntimeError."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE)
            link.connect(str(self.socket_path))
            select = b"SELECT %d\r\n" % database if database else b"PING\r\n"
            link.sendall(b"AUTH tester tester\r\n%s*%d\r\n" % (select, len(parts))
                         + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with link.makefile("rb") as reader:
                assert self._reply(reader) == b"OK"
                assert self._reply(reader) in (b"OK", b"PONG")
                return self._reply(reader)

    def _reply(self, reader):
        line = reader.readline()
        kind, rest = line[:1], line[1:].rstrip(b"\r\n")
        if not line:
            raise ConnectionError("the server closed the connection")
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply(reader) for _ in range(int(rest))]
        raise RuntimeError(f"no Redis reply: {line!r}")

    def freeze(self):
        freeze(self.process.pid)

    def thaw(self):
        thaw(self.process.pid)

    def stop(self):
        """At once: what is in the append-only file is all that survives."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


GATE_PASSWORD = "correct horse"


def replaced(text, pattern, replacement):
    """Every difference from the example has to find its place in it."""
    text, count = re.subn(pattern, lambda _: replacement, text)
    assert count > 0, f"nginx.conf.example has no {pattern}"
    return text


def nginx_example(folder, guard, ports, upstream=8090, users=()):
    """nginx.conf.example with other paths and ports ({8081: …}), and `users` of its gate."""
    (folder / "htpasswd").write_text("".join(f"{user}:{{PLAIN}}{GATE_PASSWORD}\n" for user in users))
    text = (TREE / "nginx.conf.example").read_text()
    text = replaced(text, r"user www-data;", "user root;" if os.geteuid() == 0 else "")
    text = replaced(text, r"pid [^;]+;", f"pid {folder}/nginx.pid;")
    text = replaced(text, r"error_log /[^ ;]+", f"error_log {folder}/error.log")
    text = replaced(text, r"access_log /[^ ;]+", f"access_log {folder}/access.log")
    text = replaced(text, r"/var/lib/nginx/", f"{folder}/temporary-")
    text = replaced(text, r"unix:/run/sendguard/fcgi/fcgi\.sock", f"unix:{guard.socket_path}")
    text = replaced(text, r"/etc/nginx/sendguard\.htpasswd", f"{folder}/htpasswd")
    text = replaced(text, r"127\.0\.0\.1:8090", f"127.0.0.1:{upstream}")
    for example, port in ports.items():
        text = replaced(text, rf"listen 127\.0\.0\.1:{example};", f"listen 127.0.0.1:{port};")
    return text


class Nginx:
    """A private nginx in the foreground."""

    def __init__(self, folder, configuration):
        self.folder = pathlib.Path(folder)
        self.config_path = self.folder / "nginx.conf"
        self.config_path.write_text(configuration)
        self.process = None

    def start(self, ports):
        log = open(self.folder / "nginx.log", "wb")
        with log:
            self.process = subprocess.Popen(
                ["nginx", "-p", str(self.folder), "-c", str(self.config_path),
                 "-e", str(self.folder / "error.log"), "-g", "daemon off;"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for port in ports:
            eventually(lambda: self._listens(port), f"nginx listens on {port}")
        return self

    def _listens(self, port):
        assert self.process.poll() is None, (self.folder / "nginx.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class PortProgram(Guard):
    """On a port of its own."""

    def __init__(self, folder, store, **more):
        self.port = free_port()
        super().__init__(folder, store, **more)

    def connect(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout)


def connect_to_file(path, timeout=PATIENCE):
    """A connection to a socket file."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout)
    try:
        link.connect(str(path))
    except OSError:
        link.close()
        raise
    return link


_claims = []  # until this process ends


def free_port():
    """A port that is nobody else's until this process ends. Tests run beside each other, and between
    finding a port free and listening there another run could take it: who is handed it claims a name
    of its own for it first. It lies below those that the kernel gives to connections."""
    while True:
        port = random.randrange(12000, 20000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0sendguard-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
