"""The programs under measurement, each private and in a folder of its own, and
what they use of the processors."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"
THREADS = 16  # of the floor: a connection that is kept holds one
KEPT_OF_FLOOR = 6  # times 2 workers of nginx: fewer than those
KEPT_OF_GUARD = 32  # as in nginx.conf.example: a connection costs a loop nothing
EVERYTHING = 1_000_000_000  # a limit that nothing here reaches
READY_SECONDS = 60
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """What went wrong, as a sentence for whoever started the benchmark."""


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise BenchError(f"{name} is not installed (make deps-bench)")
    return found


def built(name):
    path = BUILD / name
    if not path.exists():
        raise BenchError(f"{path} is missing (make programs benches)")
    return str(path)


def connect(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.connect(address)


def answers(address):
    try:
        connect(address)
    except OSError:
        return False
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A child process that is ready once `address` accepts connections. `spawn`: further
    arguments of Popen, as user and environment."""

    def __init__(self, command, folder, address, **spawn):
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **spawn)
        deadline = time.monotonic() + READY_SECONDS
        while self.gone() or not self.ready(address):
            if self.gone() or time.monotonic() > deadline:
                self.stop()
                raise BenchError(f"{command[0]} does not start: {self.tail()}")
            time.sleep(0.01)

    def gone(self):
        return self.process.poll() is not None

    def ready(self, address):
        return answers(address)

    def tail(self):
        return self.log.read_text(errors="replace")[-1500:].strip()

    def complaints(self):
        """The last warnings and errors of the guard's log."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines()
                 if "level=warning" in line or "level=error" in line]
        return "\n".join(lines[-3:])

    def pids(self):
        """The process and all that descend from it."""
        found = [self.process.pid]
        for pid in found:
            try:
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # ended meanwhile
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Orphan:
    """A process that is nobody's child here, looked at as Popen lets one look."""

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        try:
            state = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return 0 if state[0] == "Z" else None

    def wait(self, timeout=10):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Daemon(Server):
    """A server that puts itself in the background and says in `pid_file` who it is now."""

    def __init__(self, command, folder, address, pid_file, **spawn):
        self.pid_file = pid_file
        super().__init__(command, folder, address, **spawn)

    def gone(self):
        status = self.process.poll()
        if status != 0 or isinstance(self.process, Orphan):
            return status is not None
        with contextlib.suppress(OSError, ValueError):  # not written yet
            self.process = Orphan(int(self.pid_file.read_text()))
        return False

    def ready(self, address):
        return isinstance(self.process, Orphan) and answers(address)


def cpu_ns(pids):
    """Processor time of all threads, in nanoseconds, and of children that have ended."""
    total = 0
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
            after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(after_name[13]) + int(after_name[14])) * TICK_NS  # cutime, cstime
        except OSError:
            continue  # ended meanwhile; its parent has its time
    return total


def pss_bytes(pids):
    """Memory of these processes; what several share, each has its part of."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Redis(Server):
    def __init__(self, folder, appendonly=True, port=0):
        folder.mkdir(exist_ok=True)
        self.socket = str(folder / "redis.sock")
        super().__init__(
            [program("redis-server"), "--port", str(port), "--unixsocket", self.socket, "--dir",
             str(folder), "--save", "", "--appendonly", "yes" if appendonly else "no",
             "--appendfsync", "everysec", "--loglevel", "warning"], folder, self.socket)
        self.url = f"redis+unix://{self.socket}"

    def ask(self, *commands):
        """Lines of answers; one command an argument."""
        answer = subprocess.run([program("redis-cli"), "-s", self.socket],
                                input="\n".join(commands), capture_output=True, text=True,
                                check=True, timeout=120)
        return answer.stdout.splitlines()

    def follow(self, port):
        """Becomes a replica of the server at that port, and has all of it on return."""
        self.ask(f"REPLICAOF 127.0.0.1 {port}")
        deadline = time.monotonic() + 120
        while "master_link_status:up" not in self.ask("INFO replication"):
            if time.monotonic() > deadline:
                raise BenchError("redis-server: a replica has not all in 120 s")
            time.sleep(0.05)

    def begin_appendonly(self):
        """After a fill without: writes what is there, then appends. Waits until that is done."""
        self.ask("CONFIG SET appendonly yes")
        deadline = time.monotonic() + 120
        while not {"aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"} <= set(
                self.ask("INFO persistence")):
            if time.monotonic() > deadline:
                raise BenchError("redis-server: the append-only file is not written in 120 s")
            time.sleep(0.05)


class Guard(Server):
    """sendguard-fcgi with limits that admit everything, all else default but for `store` and `limits`,
    further lines of these sections."""

    def __init__(self, folder, store_url, store="", limits=""):
        folder.mkdir(exist_ok=True)
        self.socket = str(folder / "fcgi.sock")
        config = folder / "sendguard.conf"
        config.write_text(
            # a stall of a shared disk shows as the slowest answer, not as a refusal
            f"[store]\nurl = {store_url}\ntimeout = 5s\n{store}"
            f"[fcgi]\nlisten = {self.socket}\n"
            f"[web]\nsecret_file = {folder / 'secret'}\n"
            f"[limits.webmail]\nmessages_per_day = {EVERYTHING}\n"
            f"off_domain_per_day = {EVERYTHING}\noff_domain_per_hour_per_ip = {EVERYTHING}\n"
            f"{limits}")
        super().__init__([built("sendguard-fcgi"), "-c", str(config)], folder, self.socket)


class Floor(Server):
    """bench_floor with as long an answer as the guard."""

    def __init__(self, folder, reply_bytes, redis=None):
        folder.mkdir()
        self.socket = str(folder / "fcgi.sock")
        command = [built("bench/bench_floor"), "--listen", self.socket, "--threads",
                   str(THREADS), "--reply-bytes", str(reply_bytes)]
        super().__init__(command + (["--redis", redis.socket] if redis else []), folder,
                         self.socket)


NGINX = """daemon off;
{user}
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {sites}
}}
"""

# As in nginx.conf.example, but for `keepalive`, for each server under measurement.
SITE = """
    upstream {name} {{
        server unix:{socket};
        keepalive {kept};
        keepalive_timeout 60s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location /sendguard/submissions {{
            fastcgi_pass_request_headers off;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param SENDGUARD_TRUSTED 1;
            fastcgi_pass {name};
            fastcgi_keep_conn on;
            fastcgi_request_buffering on;
            client_body_buffer_size 64k;
            fastcgi_connect_timeout 1s;
            fastcgi_send_timeout 2s;
            fastcgi_read_timeout 5s;
            fastcgi_next_upstream error non_idempotent;
            fastcgi_next_upstream_timeout 3s;
        }}
    }}
"""


def kept_of(subject):
    """How many connections each worker of nginx keeps to it."""
    return KEPT_OF_FLOOR if subject.startswith("floor") else KEPT_OF_GUARD


class Nginx(Server):
    """One nginx in front of all; `ports` says where each is found."""

    def __init__(self, folder, sockets):
        folder.mkdir()
        self.ports = {name: free_port() for name in sockets}
        sites = "".join(SITE.format(name=name, socket=path, kept=kept_of(name),
                                    port=self.ports[name]) for name, path in sockets.items())
        user = "" if os.geteuid() else f"user {pwd.getpwuid(0).pw_name};"
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, user=user, sites=sites))
        super().__init__([program("nginx"), "-c", str(config)], folder,
                         ("127.0.0.1", next(iter(self.ports.values()))))
