"""How the cost of a decision grows with mailboxes and with history, and what
a counted message takes in the store."""

import concurrent.futures
import contextlib
import sqlite3

import measure
import servers
from servers import BenchError

STORES = ("sqlite", "redis")
# (mailboxes, messages each has behind it); the first is what the others are held against
SHAPES = ((1000, 1), (100_000, 1), (1_000_000, 1), (1000, 100), (1000, 599))
QUICK_SHAPES = ((1000, 1), (20_000, 1), (200, 599))
CLIENTS = 8
REDIS_HISTORY_KEYS = ("sg:mailbox:*", "sg:network:*")
MEMORY_MAILBOXES = 1000  # beyond, asking for each key takes longer than the benchmark


class Database:
    """A filled store of one shape, with a guard on it."""

    def __init__(self, folder, stack, store, shape):
        folder.mkdir()
        self.store, self.shape = store, shape
        self.redis = None
        if store == "redis":
            self.redis = stack.enter_context(servers.Redis(folder / "redis", appendonly=False))
            url = self.redis.url
        else:
            self.database = folder / "sendguard.db"
            url = f"sqlite://{self.database}"
        measure.fill(url, *shape)
        if self.redis:
            self.redis.begin_appendonly()
        self.bytes_per_message = self.memory() if shape[0] <= MEMORY_MAILBOXES else None
        self.guard = stack.enter_context(servers.Guard(folder / "guard", url))

    def memory(self):
        """Bytes of the histories alone, of mailboxes and of IPs, for each counted message."""
        used = redis_history_bytes(self.redis) if self.redis else history_bytes(self.database)
        return used / (self.shape[0] * self.shape[1])

    def measure(self, seconds):
        processes = {"server": self.guard}
        if self.redis:
            processes["redis"] = self.redis
        result = measure.measure(("--fastcgi", self.guard.socket), processes, clients=CLIENTS,
                                 mailboxes=self.shape[0], seconds=seconds)
        return {"store": self.store, "mailboxes": self.shape[0], "history": self.shape[1],
                "bytes_per_message": self.bytes_per_message, **result}


def history_bytes(database):
    """All pages of these tables, half empty ones too."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN"
            " ('history_head', 'head_log', 'chunk', 'chunk_ids')").fetchone()[0]


def redis_history_bytes(redis):
    """MEMORY USAGE: key, value and what Redis needs to keep them."""
    keys = [key for pattern in REDIS_HISTORY_KEYS for key in redis.ask(f"KEYS {pattern}") if key]
    if not keys:
        raise BenchError(f"redis: no key like {' '.join(REDIS_HISTORY_KEYS)}")
    answers = redis.ask(*(f'MEMORY USAGE "{key}" SAMPLES 0' for key in keys))
    return sum(int(answer) for answer in answers if answer)


def fill_all(folder, stack, shapes, say):
    """One chain of fills for each store, side by side."""
    def chain(store):
        filled = {}
        for mailboxes, messages in shapes:
            filled[mailboxes, messages] = Database(folder / f"{store}-{mailboxes}-{messages}", stack,
                                                 store, (mailboxes, messages))
            say(f"filled {store}: {mailboxes} mailboxes with {messages} messages")
        return filled
    with concurrent.futures.ThreadPoolExecutor() as pool:
        chains = {store: pool.submit(chain, store) for store in STORES}
        return {store: chains[store].result() for store in STORES}


def growth(folder, rounds, seconds, quick, say):
    shapes = QUICK_SHAPES if quick else SHAPES
    results = []
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        databases = fill_all(folder, stack, shapes, say)
        for number in range(rounds):
            for store in STORES:
                base = None
                for shape in shapes:
                    result = {"round": number, **databases[store][shape].measure(seconds)}
                    base = base or result
                    result["cpu_ratio"] = result["cpu_us"] / base["cpu_us"]
                    result["time_ratio"] = base["per_second"] / result["per_second"]
                    results.append(result)
            say(f"growth: round {number + 1} of {rounds} done")
    return results
