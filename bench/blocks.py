"""What the block lists cost when they are long: judging beside a store whose lists are empty, reading
a file, the copy in memory, how soon a program knows of an entry, and the pages of the desk."""

import contextlib
import http.client
import json
import re
import socket
import statistics
import subprocess
import time

import desk
import measure
import servers
from servers import BenchError

STORES = ("sqlite", "redis")
ENTRIES, QUICK_ENTRIES = 100_000, 4_000  # half of them staff's, half by hash
MAILBOXES, CLIENTS, DOMAINS, TIMES = 10_000, 8, 1_000, 10
# What is judged: options of the load client, and the status that is right with long lists.
CASES = {
    "1 recipient": (("--recipients", 1), 200),
    "300 recipients": (("--recipients", 300), 200),
    "1 blocked recipient": (("--recipients", 1, "--blocked"), 422),
}
LIMITS = "".join(f"{name} = {servers.EVERYTHING}\n" for name in (
    "recipients_per_message", "recipients_per_field", "recipients_per_domain",
    "header_chars_per_domain"))
WHY = ("--note", "bench")
TOKEN = re.compile(r"\bsg\.[a-z0-9._-]+\.[A-Za-z0-9_-]+")


def lines(name, count):
    """A file of entries: domains that the load client writes to, then recipients elsewhere."""
    yield "subject,reason"
    for number in range(DOMAINS):
        yield f"blocked{number:03}.test,They want no mail."
    for number in range(count - DOMAINS):
        yield f"{name}{number:06}@elsewhere{number % 997:03}.test,They want no mail."


class Mta(servers.Server):
    """sendguard-mta, asked at RCPT."""

    def __init__(self, folder, store_url):
        folder.mkdir()
        path = str(folder / "policy.sock")
        config = folder / "sendguard.conf"
        config.write_text(f"[store]\nurl = {store_url}\ntimeout = 5s\n[mta]\nlisten = {path}\n"
                          f"[web]\nsecret_file = {folder / 'secret'}\n")
        super().__init__([servers.built("sendguard-mta"), "-c", str(config)], folder, path)
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(path)

    def stop(self):
        self.link.close()
        super().stop()

    def refuses(self, recipient):
        self.link.sendall(
            "request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1.2.3\nqueue_id=\n"
            "sasl_username=user0000001@bench.test\nsender=user0000001@bench.test\n"
            f"client_address=10.100.100.101\nrecipient={recipient}\nrecipient_count=0\n\n".encode())
        return self.link.recv(4096).startswith(b"action=REJECT")


class Subject:
    """A store with its lists, and the programs on it."""

    def __init__(self, folder, stack, kind, entries):
        folder.mkdir()
        self.folder, self.stack, self.kind, self.entries = folder, stack, kind, entries
        self.redis = stack.enter_context(servers.Redis(folder / "redis")) if kind == "redis" else None
        self.url = self.redis.url if self.redis else f"sqlite://{folder / 'sendguard.db'}"
        measure.fill(self.url, MAILBOXES, 1)
        if entries > 0:
            tool("--store", self.url, "--fill", entries // 2)
            self.web = stack.enter_context(desk.Web(folder / "web", self.url))
            self.imported("pat", entries // 2)
        self.guard = stack.enter_context(servers.Guard(folder / "guard", self.url, limits=LIMITS))

    def imported(self, name, count):
        """Seconds that `sendguard block --import` takes for so many lines."""
        path = self.folder / f"{name}.csv"
        path.write_text("".join(f"{line}\n" for line in lines(name, count)))
        began = time.monotonic()
        self.web.command_line("block", "--import", str(path), *WHY)
        return time.monotonic() - began

    def judge(self, case, seconds, blocked):
        options, status = CASES[case]
        processes = {"server": self.guard, **({"redis": self.redis} if self.redis else {})}
        expected = status if blocked else 200
        return measure.measure(("--fastcgi", self.guard.socket), processes, clients=CLIENTS,
                               mailboxes=MAILBOXES, seconds=seconds,
                               options=(*options, "--expect", expected))

    def mta(self, name):
        return Mta(self.folder / name, self.url)


def tool(*arguments):
    done = subprocess.run([servers.built("bench/bench_blocks"), *map(str, arguments)],
                          capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip()[-500:])
    return json.loads(done.stdout)


def judging(none, full, rounds, seconds, say):
    """Each case with empty and with long lists, next to each other; the order changes."""
    results = []
    for subject in (none, full):  # each has read its lists
        subject.judge("1 recipient", 0.1, False)
    for number in range(rounds):
        for case in CASES:
            pair = {}
            for subject in (none, full) if number % 2 == 0 else (full, none):
                pair[subject] = subject.judge(case, seconds, subject is full)
            without = pair[none]
            results.append({"store": full.kind, "case": case, "round": number, **pair[full],
                            "unexpected": without["unexpected"] + pair[full]["unexpected"],
                            "none_cpu_us": without["cpu_us"], "none_p50_us": without["p50_us"],
                            "cpu_ratio": pair[full]["cpu_us"] / without["cpu_us"],
                            "p50_ratio": pair[full]["p50_us"] / without["p50_us"]})
        say(f"blocks on {full.kind}: round {number + 1} of {rounds}")
    return results


def known_after(full):
    """Seconds from the start of `sendguard block` until another program refuses, and the command's
    own, of several."""
    took, command = [], []
    with full.mta("knows") as mta:
        if mta.refuses("new-0@outside.test"):
            raise BenchError("an entry is known before it is there")
        for number in range(TIMES):
            recipient = f"new-{number}@outside.test"
            began = time.monotonic()
            full.web.command_line("block", recipient, "--reason", "They want no mail.", *WHY)
            command.append(time.monotonic() - began)
            while not mta.refuses(recipient):
                if time.monotonic() - began > 60:
                    raise BenchError(f"{recipient} is not known in a minute")
            took.append(time.monotonic() - began)
    return {"known_s": statistics.median(took), "known_worst_s": max(took),
            "block_s": statistics.median(command)}


def first_answer(subject, name):
    """Milliseconds of the first answer after a start: the copy is read for it."""
    with subject.mta(name) as mta:
        began = time.monotonic()
        mta.refuses("bob@outside.test")
        return (time.monotonic() - began) * 1000


class Script(desk.Browser):
    """Asks the API."""

    def __init__(self, web):
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        told = web.command_line("token", "add", "bench", "--role", "viewer", "--expires", "1d", *WHY)
        self.headers = {"Authorization": "Bearer " + TOKEN.search(told)[0]}

    def ask(self, method, path, form=None):
        self.connection.request(method, path, form, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def pages(full):
    """Milliseconds of each page: the median of several."""
    browser, script = desk.Browser(full.web), Script(full.web)
    behind = f"after=recipient%0Apat{full.entries // 4:06}"
    asked = {"first page": "", "far behind": f"?{behind}", "search": "?q=pat0012",
             "search, far behind": f"?q=pat00&{behind}", "search for nothing": "?q=zzz"}
    took = {}
    for name, query in asked.items():
        took["desk, " + name] = statistics.median(browser.time("/desk/blocks" + query, TIMES))
        took["API, " + name] = statistics.median(script.time("/api/v1/blocks" + query, TIMES))
    return took


def listed(full):
    """Seconds that `sendguard blocks --csv` takes."""
    began = time.monotonic()
    said = full.web.command_line("blocks", "--csv")
    if said.count("\n") <= full.entries // 2:
        raise BenchError(f"sendguard blocks --csv has {said.count(chr(10))} lines")
    return time.monotonic() - began


def blocks(folder, rounds, seconds, quick, say):
    """A result for each case, store and round, and one a store for all else."""
    folder.mkdir()
    entries = QUICK_ENTRIES if quick else ENTRIES
    results = []
    for kind in STORES:
        with contextlib.ExitStack() as stack:
            none = Subject(folder / f"{kind}-none", stack, kind, 0)
            full = Subject(folder / f"{kind}-full", stack, kind, entries)
            say(f"blocks on {kind}: {entries:,} entries")
            results += judging(none, full, rounds, seconds, say)
            facts = {"store": kind, "entries": entries, **known_after(full),
                     "first_ms": first_answer(full, "first"),
                     "first_none_ms": first_answer(none, "first"), "pages": pages(full),
                     "csv_s": listed(full), **tool("--store", full.url),
                     "import_s": full.imported("eve", entries),
                     "again_s": full.imported("eve", entries)}
            results.append(facts)
            say(f"blocks on {kind} done")
    return results
