"""One measurement: the load client against one server, and what the server's
processes used meanwhile. And the matrix of them: guard beside floor."""

import contextlib
import json
import subprocess
import sys

import servers
from servers import BenchError

CLIENTS = (1, 8, 32)
ROUTES = ("socket", "nginx")
# The guard, and the floor that it is held against, next to each other in every round.
SUBJECTS = ("floor-none", "sqlite", "floor-incr", "redis")
FLOOR_OF = {"sqlite": "floor-none", "redis": "floor-incr"}
FASTCGI_FRAME_BYTES = 32  # heads of the answer's three records, and the end's body
FILL_SECONDS = 600


def load(target, *options, seconds, warmup=0.2):
    """Runs the client; its numbers. `unexpected` counts answers other than 200: with any,
    the measurement is void."""
    done = subprocess.run([servers.built("bench/bench_load"), *target, *map(str, options),
                           "--duration", str(seconds), "--warmup", str(warmup)],
                          capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode not in (0, 2):
        raise BenchError(done.stderr.strip()[-1500:])
    if done.returncode == 2:
        print(done.stderr.strip()[-1500:], file=sys.stderr)
    return json.loads(done.stdout)


def target_of(route, server, nginx, name):
    if route == "socket":
        return "--fastcgi", server.socket
    return "--http", f"127.0.0.1:{nginx.ports[name]}"


def measure(target, processes, *, clients, mailboxes, seconds, keep=None, options=()):
    """`processes`: name → server; `options`: further ones of the client. Adds CPU microseconds a
    decision, in all and by process."""
    pids = {name: server.pids() for name, server in processes.items()}
    before = {name: servers.cpu_ns(pids[name]) for name in pids}
    options = [*options, "--clients", clients, "--mailboxes", mailboxes]
    if keep is not None:
        options += ["--keep", keep]
    result = load(target, *options, seconds=seconds)
    if result["unexpected"] > 0:
        print("\n".join(server.complaints() for server in processes.values()), file=sys.stderr)
    split = {name: (servers.cpu_ns(pids[name]) - before[name]) / 1000 / result["answers"]
             for name in pids}
    return {**result, "cpu_us": sum(split.values()), "cpu_split": split}


def fill(url, mailboxes, messages, staff=False):
    done = subprocess.run([servers.built("bench/bench_fill"), "--store", url, "--mailboxes",
                           str(mailboxes), "--messages", str(messages),
                           *(["--staff"] if staff else [])],
                          capture_output=True, text=True, timeout=FILL_SECONDS, check=False)
    if done.returncode != 0:
        raise BenchError(f"bench_fill: {done.stderr.strip()[-500:]}")


def reply_bytes(guard):
    """How long the guard's answer is, so that the floor's is as long."""
    answer = load(("--fastcgi", guard.socket), "--clients", 1, seconds=0.1)
    return int(answer["answer_bytes"]) - FASTCGI_FRAME_BYTES


class Bench:
    """All four servers, fresh, with their mailboxes in the store, and nginx in front."""

    def __init__(self, folder, stack, mailboxes):
        folder.mkdir()
        start = stack.enter_context
        self.redis = start(servers.Redis(folder / "redis-of-guard"))
        self.redis_of_floor = start(servers.Redis(folder / "redis-of-floor"))
        database = folder / "sqlite" / "sendguard.db"
        database.parent.mkdir()
        urls = {"sqlite": f"sqlite://{database}", "redis": self.redis.url}
        self.servers = {}
        for name, url in urls.items():
            fill(url, mailboxes, 1)
            self.servers[name] = start(servers.Guard(folder / name, url))
        reply = reply_bytes(self.servers["sqlite"])
        self.servers["floor-none"] = start(servers.Floor(folder / "floor-none", reply))
        self.servers["floor-incr"] = start(
            servers.Floor(folder / "floor-incr", reply, self.redis_of_floor))
        self.nginx = start(servers.Nginx(
            folder / "nginx", {name: server.socket for name, server in self.servers.items()}))
        self.mailboxes = mailboxes

    def measure(self, subject, route, clients, seconds, keep=None):
        server = self.servers[subject]
        processes = {"server": server}
        if route == "nginx":
            processes["nginx"] = self.nginx
        if subject == "redis":
            processes["redis"] = self.redis
        elif subject == "floor-incr":
            processes["redis"] = self.redis_of_floor
        if keep is None and route == "socket":
            keep = 2 * servers.kept_of(subject)  # no more than nginx would keep
        result = measure(target_of(route, server, self.nginx, subject), processes,
                         clients=clients, mailboxes=self.mailboxes, seconds=seconds, keep=keep)
        return {"subject": subject, "route": route, "clients": clients, **result}


def add_ratios(results):
    """Against the floor of the same round, route and clients."""
    floors = {(r["round"], r["route"], r["clients"], r["subject"]): r for r in results}
    for result in results:
        floor = FLOOR_OF.get(result["subject"])
        if floor is None:
            continue
        beside = floors[result["round"], result["route"], result["clients"], floor]
        result["rate_ratio"] = result["per_second"] / beside["per_second"]
        result["cpu_ratio"] = result["cpu_us"] / beside["cpu_us"]


def matrix(folder, rounds, seconds, mailboxes, say):
    """Every subject, route and number of clients; rounds begin with fresh servers."""
    results = []
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            bench = Bench(folder / f"round-{number}", stack, mailboxes)
            for route in ROUTES:
                for clients in CLIENTS:
                    for subject in SUBJECTS:
                        result = bench.measure(subject, route, clients, seconds)
                        results.append({"round": number, **result})
        say(f"round {number + 1} of {rounds} done")
    add_ratios(results)
    return results


def webmail_send(folder, rounds, seconds, say):
    """What judging adds to one send: one client, a new HTTP connection each time, as PHP has it."""
    results = []
    with contextlib.ExitStack() as stack:
        bench = Bench(folder / "webmail-send", stack, 10000)
        for number in range(rounds):
            for subject in SUBJECTS:
                result = bench.measure(subject, "nginx", 1, seconds, keep=0)
                results.append({"round": number, **result})
    add_ratios(results)
    say("webmail-send done")
    return results
