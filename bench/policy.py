"""The policy service alone: what an admitted message takes in the store, and the slowest answer
while everything runs at full load."""

import contextlib
import json
import sqlite3
import subprocess

import servers

STORES = ("sqlite", "redis")
MAILBOXES, MESSAGES = 10_000, 10
CLIENTS = 32


class Policy(servers.Server):
    """sendguard-mta with limits that admit everything, all else default."""

    def __init__(self, folder, store_url):
        folder.mkdir()
        self.socket = str(folder / "policy.sock")
        config = folder / "sendguard.conf"
        config.write_text(f"[store]\nurl = {store_url}\ntimeout = 5s\n"
                          f"[mta]\nlisten = {self.socket}\n[limits.smtp]\n"
                          f"messages_per_day = {servers.EVERYTHING}\n"
                          f"off_domain_per_day = {servers.EVERYTHING}\n")
        super().__init__([servers.built("sendguard-mta"), "-c", str(config)], folder, self.socket)

    def ask(self, *options):
        done = subprocess.run(
            [servers.built("bench/bench_policy"), "--policy", self.socket, "--clients",
             str(CLIENTS), "--users", str(MAILBOXES), *map(str, options)],
            capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            raise servers.BenchError(f"bench_policy: {done.stderr.strip()[-600:]}")
        return json.loads(done.stdout)


class Store:
    """An empty store of that kind, and the policy service on it."""

    def __init__(self, folder, stack, store):
        folder.mkdir()
        self.redis = self.database = None
        if store == "redis":
            self.redis = stack.enter_context(servers.Redis(folder / "redis"))
        else:
            self.database = folder / "sendguard.db"
        url = self.redis.url if self.redis else f"sqlite://{self.database}"
        self.policy = stack.enter_context(Policy(folder / "policy", url))

    def bytes_used(self):
        """Redis: all memory that holds data. SQLite: all pages in use, but for the log of heads, which
        is as long whatever is counted."""
        if self.redis:
            return next(int(line.partition(":")[2]) for line in self.redis.ask("INFO memory")
                        if line.startswith("used_memory:"))
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name <> 'head_log'").fetchone()[0]


def size(folder, quick, say):
    """All that the store keeps of a message, ten of each of 10,000 mailboxes, user after user so
    that each has the same number."""
    rounds = 2 if quick else MESSAGES
    results = []
    folder.mkdir()
    for store in STORES:
        with contextlib.ExitStack() as stack:
            subject = Store(folder / store, stack, store)
            subject.policy.ask("--count", 100)  # what is made once
            before = subject.bytes_used()
            for _ in range(rounds):
                answers = subject.policy.ask("--in-turn", "--count", MAILBOXES)
                if answers["admitted"] != MAILBOXES:
                    raise servers.BenchError(f"{store}: not everything was admitted: {answers}")
            used = subject.bytes_used() - before
            results.append({"store": store, "mailboxes": MAILBOXES, "history": rounds,
                            "bytes": used / (MAILBOXES * rounds)})
    say("size done")
    return results


def minute(folder, quick, say):
    """The slowest answer of a minute at full load, while logs are copied and rewritten."""
    results = []
    folder.mkdir()
    for store in STORES:
        with contextlib.ExitStack() as stack:
            subject = Store(folder / store, stack, store)
            answers = subject.policy.ask("--duration", 3 if quick else 60)
            results.append({"store": store, "clients": CLIENTS, **answers})
            say(f"minute: {store} done")
    return results
