"""Sendguard and its peers, each with the nearest it has to the same rules, its own store, and
private places. Where a peer refuses to run as root, and for fairness all of them, they run as
nobody when the benchmark runs as root."""

import contextlib
import dataclasses
import grp
import os
import pathlib
import pwd

import servers
from servers import Server, free_port

HERE = pathlib.Path(__file__).resolve().parent
DAY, HOUR = 86400, 3600


@dataclasses.dataclass
class Rules:
    """What is to be enforced, None for not at all; `window` in seconds instead of a day."""

    messages_per_day: int = None  # of a SASL user
    recipients_per_day: int = None  # of a SASL user
    recipients_per_hour: int = None  # of a client address
    window: int = DAY


SPEED = Rules(messages_per_day=600, recipients_per_hour=500)
PROMISE = Rules(recipients_per_day=1000)


def account():
    """Name and group of whom servers run as."""
    if os.geteuid() == 0:
        return "nobody", "nogroup"
    return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def spawn_options(clock):
    environment = {**os.environ, "TZ": "UTC", **(clock.environment if clock else {})}
    if os.geteuid():
        return {"env": environment}
    user, group = account()
    return {"env": environment, "user": user, "group": group, "extra_groups": []}


def fill_in(name, **values):
    """The configuration of that name in this folder, with the places of `values` filled."""
    user, group = account()
    return (HERE / name).read_text().format(user=user, group=group, **values)


class Subject:
    """A server with what it keeps its counts in. `start` may be repeated after `kill`."""

    name = store = ""
    state = "END-OF-MESSAGE"
    fakes_time = True  # runs under libfaketime

    def __init__(self, folder, rules, clock=None):
        self.folder, self.rules = folder, rules
        folder.mkdir(parents=True)
        self.server, self.stores = None, {}
        self.spawn = spawn_options(clock)
        self.own(folder)
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.stop()
            raise

    def own(self, path):
        if os.geteuid() == 0:
            os.chown(path, pwd.getpwnam(account()[0]).pw_uid, grp.getgrnam(account()[1]).gr_gid)

    def prepare(self):
        """Configuration, and the store when it is a process of its own."""

    def launch(self, command, address):
        self.server = Server([str(word) for word in command], self.folder, address, **self.spawn)

    def start_store(self, name, store):
        self.stores[name] = store
        return store

    def processes(self):
        return {"server": self.server, **self.stores}

    def stop(self):
        for server in (self.server, *self.stores.values()):
            if server is not None:
                server.stop()

    def kill(self):
        """Every process of the server, not its store, as a power switch would."""
        everybody = [servers.Orphan(pid) for pid in self.server.pids()]
        for process in everybody:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in everybody:
            process.wait()
            for name in ("faketime_shm_", "sem.faketime_sem_"):  # what libfaketime cannot tidy now
                pathlib.Path(f"/dev/shm/{name}{process.pid}").unlink(missing_ok=True)
        self.server.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Sendguard(Subject):
    scheme = None

    def prepare(self):
        limits = {"messages_per_day": self.rules.messages_per_day,
                  "off_domain_per_day": self.rules.recipients_per_day,
                  "off_domain_per_hour_per_ip": self.rules.recipients_per_hour,
                  "messages_per_hour": None, "recipients_per_message": 1000}
        (self.folder / "sendguard.conf").write_text(
            f"[store]\nurl = {self.store_url()}\ntimeout = 5s\n"
            f"[mta]\nlisten = {self.folder / 'policy.sock'}\n"
            f"[web]\nsecret_file = {self.folder / 'secret'}\n[limits.smtp]\n" +
            "".join(f"{rule} = {'off' if limit is None else limit}\n"
                    for rule, limit in limits.items()) +
            "[on_limit]\nmessages_per_day = refuse\noff_domain_per_day = refuse\n")

    def start(self):
        self.launch([servers.built("sendguard-mta"), "-c", self.folder / "sendguard.conf"],
                    str(self.folder / "policy.sock"))
        self.target = ["--policy", str(self.folder / "policy.sock")]


class SendguardSqlite(Sendguard):
    name, store = "sendguard (SQLite)", "SQLite, write-ahead log"

    def store_url(self):
        return f"sqlite://{self.folder / 'sendguard.db'}"


class SendguardRedis(Sendguard):
    name, store = "sendguard (Redis)", "Redis, append-only file"

    def store_url(self):
        redis = self.start_store("redis", servers.Redis(self.folder / "redis"))
        os.chmod(redis.socket, 0o666)
        return redis.url


class PolicydRateLimit(Subject):
    """One limit an identity, of requests at RCPT: a recipient each. So no address beside the user,
    and messages cannot be told from recipients."""

    name, store, state = "policyd-rate-limit", "SQLite, a row a recipient", "RCPT"

    def prepare(self):
        count = self.rules.messages_per_day or self.rules.recipients_per_day
        (self.folder / "config.yaml").write_text(fill_in(
            "policyd-rate-limit.yaml", folder=self.folder, count=count,
            seconds=self.rules.window))

    def start(self):
        self.launch([servers.program("policyd-rate-limit"), "-f", self.folder / "config.yaml"],
                    str(self.folder / "socket"))
        self.target = ["--policy", str(self.folder / "socket"), "--state", "RCPT"]


class Postfwd(Subject):
    """The arguments of Debian's /etc/default/postfwd, its counts saved at the end. Logs nothing
    (--perfmon), for no syslog runs here."""

    store = "memory, a file at a clean end"
    extra = ()

    def prepare(self):
        user, window = "sasl_username", self.rules.window
        rules = []
        if self.rules.messages_per_day:
            rules.append(f"rate({user}/{self.rules.messages_per_day}/{window}")
        if self.rules.recipients_per_day:
            rules.append(f"rcpt({user}/{self.rules.recipients_per_day}/{window}")
        if self.rules.recipients_per_hour:
            rules.append(f"rcpt(client_address/{self.rules.recipients_per_hour}/{HOUR}")
        (self.folder / "rules.cf").write_text("".join(
            f"id=R{number}; protocol_state==END-OF-MESSAGE; "
            f"action={rule}/DEFER_IF_PERMIT limit reached, retry later)\n"
            for number, rule in enumerate(rules)))
        self.port = free_port()

    def start(self):
        user, group = account()
        pid_file = self.folder / "pid"
        pid_file.unlink(missing_ok=True)
        command = [servers.program(self.name), "--daemon", "--perfmon", "--summary=600",
                   "--cache=600", "--cache-rdomain-only", "--cache-no-size",
                   f"--save_rates={self.folder / 'rates'}", "--file",
                   str(self.folder / "rules.cf"), "--interface", "127.0.0.1", "--port",
                   str(self.port), "--user", user, "--group", group, "--pidfile", str(pid_file),
                   *(word.format(folder=self.folder) for word in self.extra)]
        self.server = servers.Daemon(command, self.folder, ("127.0.0.1", self.port), pid_file,
                                     **self.spawn)
        self.target = ["--policy", f"127.0.0.1:{self.port}"]


class Postfwd1(Postfwd):
    name = "postfwd1"


class Postfwd2(Postfwd):
    name = "postfwd2"
    extra = ("--cache_socket=unix::{folder}/cache.sock",)


class Memcached(Server):
    def __init__(self, folder, spawn):
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        super().__init__([servers.program("memcached"), "-l", "127.0.0.1", "-p", str(self.port),
                          "-m", "256"], folder, ("127.0.0.1", self.port), **spawn)


class Mtpolicyd(Subject):
    """Accounting and Quota; the tables are made by mtpolicyd, with the indexes it gives them."""

    name, store = "mtpolicyd", "SQLite, and a lock in memcached"

    def plugins(self, name, field, metric, threshold, pattern):
        values = (f'    field = "{field}"\n    metric = "{metric}"\n    threshold = {threshold}\n'
                  '    action = "defer_if_permit limit reached, retry later"\n')
        where = f'    table_prefix = "{name}_"\n    time_pattern = "{pattern}"\n'
        return (f'  <Plugin quota_{name}>\n    module = "Quota"\n{where}{values}  </Plugin>\n',
                f'  <Plugin acct_{name}>\n    module = "Accounting"\n    fields = "{field}"\n'
                f'{where}  </Plugin>\n')

    def prepare(self):
        user, rules = "sasl_username", []
        if self.rules.messages_per_day:
            rules.append(self.plugins("day", user, "count", self.rules.messages_per_day,
                                      "%Y-%m-%d"))
        if self.rules.recipients_per_day:
            rules.append(self.plugins("rcpt", user, "count_rcpt", self.rules.recipients_per_day,
                                      "%Y-%m-%d"))
        if self.rules.recipients_per_hour:
            rules.append(self.plugins("hour", "client_address", "count_rcpt",
                                      self.rules.recipients_per_hour, "%Y-%m-%d %H"))
        memcached = self.start_store("memcached", Memcached(self.folder / "memcached",
                                                            self.spawn))
        self.port = free_port()
        every = [quota for quota, _ in rules] + [accounting for _, accounting in rules]
        (self.folder / "mtpolicyd.conf").write_text(fill_in(
            "mtpolicyd.conf", folder=self.folder, port=self.port, memcached=memcached.port,
            rules="".join(every)))

    def start(self):
        self.launch([servers.program("mtpolicyd"), "-f", "-c", self.folder / "mtpolicyd.conf"],
                    ("127.0.0.1", self.port))
        self.target = ["--policy", f"127.0.0.1:{self.port}"]


class Rspamd(Subject):
    name, store, state = "rspamd", "Redis, append-only file", "/checkv2"
    fakes_time = False  # does not start under libfaketime

    def rate(self, name, burst, seconds, skip):
        return (f'    {name} = {{ bucket = {{ burst = {burst}; rate = "{burst} / {seconds}s"; '
                f"skip_recipients = {'true' if skip else 'false'}; }} }}\n")

    def prepare(self):
        rates = []
        if self.rules.messages_per_day:
            rates.append(self.rate("user", self.rules.messages_per_day, self.rules.window, True))
        if self.rules.recipients_per_day:
            rates.append(self.rate("user", self.rules.recipients_per_day, self.rules.window,
                                   False))
        if self.rules.recipients_per_hour:
            rates.append(self.rate("ip", self.rules.recipients_per_hour, HOUR, False))
        redis = self.start_store("redis", servers.Redis(self.folder / "redis"))
        os.chmod(redis.socket, 0o666)
        self.port = free_port()
        # The whole list would be compiled for 10 seconds, and no mail here has a link.
        (self.folder / "tlds").write_text("test\nexample\n")
        (self.folder / "rspamd.conf").write_text(fill_in(
            "rspamd.conf", folder=self.folder, port=self.port, redis=redis.socket,
            rates="".join(rates)))

    def start(self):
        self.launch([servers.program("rspamd"), "-f", "-c", self.folder / "rspamd.conf"],
                    ("127.0.0.1", self.port))
        self.target = ["--http", f"127.0.0.1:{self.port}"]


PEERS = (PolicydRateLimit, Postfwd1, Postfwd2, Mtpolicyd, Rspamd)
OURS = (SendguardSqlite, SendguardRedis)
