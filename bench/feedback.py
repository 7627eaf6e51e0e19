#!/usr/bin/python3
"""feedback.py [--quick] [--folder FOLDER]: the speed of delivery feedback, beside others that read
the log of a mail server. Needs what `make deps-bench` installs and `make programs benches` builds;
starts private servers and stops them. Prints Markdown; docs/performance.md says what it measures."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True

import servers  # noqa: E402

MAILBOXES, MESSAGES, OPEN = 10_000, 40_000, 1_000_000
CLIENTS = 64
TRACE = 2  # VALUE_TRACE of store/values.h
DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
ENDS = ("dsn=2.0.0, status=sent (250 2.0.0 OK 1732816411 a640c23a62f3a-aa54c2d5b1c - gsmtp)",) * 8 + (
    "dsn=5.1.1, status=bounced (host mx.remote.test[192.0.2.7] said: 550-5.1.1 The email account "
    "that you tried to reach does not exist. 550 5.1.1 Please try again (in reply to RCPT TO "
    "command))",
    "dsn=4.7.1, status=deferred (host mx.remote.test[192.0.2.7] said: 450 4.7.1 greylisted (in "
    "reply to RCPT TO command))")
TARGETS = {"parse": 1_000_000, "sqlite": 100_000, "times": 5, "open_mb": 150, "message": 48,
           "recipient": 24}


def queue_id(at, number):
    """A long one, of that moment."""
    def digits(value, width, base):
        text = ""
        for _ in range(width):
            value, digit = divmod(value, base)
            text = DIGITS[digit] + text
        return text
    return digits(int(at), 6, 52) + digits(int(at % 1 * 1e6), 4, 52) + "z" + digits(number + 51 ** 4, 5, 51)


def mailbox(number):
    return f"user{number % MAILBOXES:07}@bench.test"


def stamp(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="microseconds")


def lines_of(number, at, name):
    """The seven lines that a message leaves."""
    begin = f"{stamp(at)} mx postfix/"
    user = mailbox(number)
    return (f"{begin}submission/smtpd[694]: connect from client.example.test[198.51.100.7]\n"
            f"{begin}submission/smtpd[694]: {name}: client=client.example.test[198.51.100.7], "
            f"sasl_method=PLAIN, sasl_username={user}\n"
            f"{begin}cleanup[695]: {name}: message-id=<{number}.1234567890@example.test>\n"
            f"{begin}qmgr[12]: {name}: from=<{user}>, size={1000 + number}, nrcpt=1 (queue active)\n"
            f"{begin}submission/smtpd[694]: disconnect from client.example.test[198.51.100.7] "
            "ehlo=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6\n"
            f"{begin}smtp[697]: {name}: to=<recipient{number}@remote.test>, "
            "relay=mx.remote.test[192.0.2.7]:25, delay=0.66, delays=0.01/0.02/0.3/0.33, "
            f"{ENDS[number % 10]}\n"
            f"{begin}qmgr[12]: {name}: removed\n")


class Store:
    """An empty store of that kind, and the settings of all services on it."""

    def __init__(self, folder, stack, kind):
        folder.mkdir()
        self.kind, self.folder = kind, folder
        self.redis = stack.enter_context(servers.Redis(folder / "redis")) if kind == "redis" else None
        self.database = folder / "sendguard.db"
        self.log, self.listen = folder / "mail.log", str(folder / "policy.sock")
        self.conf = folder / "sendguard.conf"
        self.conf.write_text(
            f"[store]\nurl = {self.redis.url if self.redis else f'sqlite://{self.database}'}\n"
            f"timeout = 5s\n[web]\nsecret_file = {folder / 'secret'}\n[mta]\nlisten = {self.listen}\n"
            f"[feedback]\nsource = file:{self.log}\n[limits.smtp]\n"
            f"messages_per_day = {servers.EVERYTHING}\noff_domain_per_day = {servers.EVERYTHING}\n")

    def values(self):
        """Bytes of the traces, and of all values that the follower keeps, as they are packed; asked of
        SQLite, since both stores have the same."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute(
                "SELECT kind, sum(length(bytes)) FROM value GROUP BY kind").fetchall()
        return dict(rows)[TRACE], sum(size for _, size in rows)

    def bytes_used(self):
        if self.redis:
            return next(int(line.partition(":")[2]) for line in self.redis.ask("INFO memory")
                        if line.startswith("used_memory:"))
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name <> 'head_log'").fetchone()[0]


def judge(store, messages):
    """Asks the policy service about each message, and writes the log that it would leave."""
    with servers.Server([servers.built("sendguard-mta"), "-c", str(store.conf)], store.folder,
                        store.listen), contextlib.ExitStack() as stack, store.log.open("w") as log:
        links = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(CLIENTS)]
        for link in links:
            link.connect(store.listen)
        for first in range(0, messages, CLIENTS):
            asked = []
            for number, link in zip(range(first, min(first + CLIENTS, messages)), links):
                at = time.time()
                name = queue_id(at, number)
                log.write(lines_of(number, at, name))
                link.sendall(
                    f"request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nqueue_id={name}\n"
                    f"instance={number:x}.6b02636e.0\nsasl_username={mailbox(number)}\n"
                    f"sender={mailbox(number)}\nclient_address=198.51.100.7\nrecipient_count=1\n"
                    f"recipient=recipient{number}@remote.test\n\n".encode())
                asked.append(link)
            for link in asked:
                answer = link.recv(4096)
                if not answer.startswith(b"action=DUNNO") and not answer.startswith(b"action=PREPEND"):
                    raise servers.BenchError(f"sendguard-mta answers {answer}")


def memory_of(pid):
    """The most it has had, in KB; 0: it is ending."""
    found = re.search(r"^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) if found else 0


def run(command, redis=None):
    """Seconds, processor seconds of the command and of Redis beside it, its memory in MB."""
    of_redis = servers.cpu_ns(redis.pids()) if redis else 0
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=said)
        peak = pid = 0
        while pid == 0:  # not ru_maxrss: it has the memory of this program, which started the other
            peak = max(peak, memory_of(child.pid))
            time.sleep(0.01)
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if status != 0:
            said.seek(0)
            raise servers.BenchError(f"{command[0]}: {said.read()[-600:].decode()}")
    seconds = time.monotonic() - began
    of_redis = (servers.cpu_ns(redis.pids()) - of_redis) / 1e9 if redis else 0
    return {"s": seconds, "cpu": used.ru_utime + used.ru_stime, "redis": of_redis,
            "mb": peak / 1024}


def follow(store):
    return run([servers.built("sendguard-feedback"), "-c", str(store.conf), "--once"], store.redis)


def check(store, messages):
    """All messages and their outcomes were found, or the measurement is void."""
    shown = subprocess.run([servers.built("sendguard"), "-c", store.conf, "feedback", "--json"],
                           capture_output=True, text=True, check=True).stdout
    found = json.loads(shown)
    found = found[0] if isinstance(found, list) else found
    for what in ("messages", "outcomes"):
        if found[what] != messages:
            raise servers.BenchError(f"{found[what]} {what} of {messages} messages: {shown}")


def removed(port):
    """How many messages the exporter saw leave the queue."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        found = re.search(r"^postfix_qmgr_messages_removed_total (\S+)", answer.read().decode(), re.M)
    return int(float(found[1])) if found else 0


def exporter(log, folder, messages):
    """Processor seconds for the lines of the log: it begins at the end of a file, and follows it."""
    port, copy = servers.free_port(), folder / "mail.log"
    copy.touch()
    with servers.Server([servers.program("prometheus-postfix-exporter"), "--postfix.logfile_path",
                         str(copy), "--postfix.showq_path", str(folder / "showq"),
                         "--web.listen-address", f"127.0.0.1:{port}"], folder, ("127.0.0.1", port)) as it:
        removed(port)
        began, deadline = servers.cpu_ns(it.pids()), time.monotonic() + 120
        with copy.open("ab") as out:
            out.write(log.read_bytes())
        while removed(port) < messages:
            if time.monotonic() > deadline:
                raise servers.BenchError("prometheus-postfix-exporter has not read all in 120 s")
            time.sleep(0.2)
        return (servers.cpu_ns(it.pids()) - began) / 1e9


def open_ids(folder, stack, count):
    """Memory of a program that starts with so many messages in the queue, and that one followed."""
    store = Store(folder, stack, "sqlite")
    at = time.time()
    with store.log.open("w") as log:
        for number in range(count):
            log.write(f"{stamp(at)} mx postfix/submission/smtpd[694]: {queue_id(at, number)}: "
                      "client=client.example.test[198.51.100.7], sasl_method=PLAIN, "
                      f"sasl_username={mailbox(number)}\n")
    first, again = follow(store), follow(store)
    return max(first["mb"], again["mb"])


def parse():
    said = subprocess.run([servers.built("bench/bench_mail_log"), "--rfc3339"], capture_output=True,
                          text=True, check=True).stdout
    return int(re.search(r"lines/s (\d+)", said)[1])


def measure(folder, messages, open_count, say):
    results = {"parse": parse()}
    lines = 7 * messages
    with contextlib.ExitStack() as stack:
        for kind in ("sqlite", "redis"):
            say(kind)
            store = Store(folder / kind, stack, kind)
            judge(store, messages)
            before = store.bytes_used()
            used = follow(store)
            check(store, messages)
            results[kind] = {**used, "lines_s": lines / used["s"],
                             "cpu_us": (used["cpu"] + used["redis"]) / lines * 1e6,
                             "server_us": used["redis"] / lines * 1e6,
                             "bytes": (store.bytes_used() - before) / messages}
            if kind == "sqlite":
                results["trace"], results["values"] = (size / messages for size in store.values())
        say("others")
        log = folder / "sqlite" / "mail.log"
        results["pflogsumm"] = run([servers.program("pflogsumm"), str(log)])["cpu"] / lines * 1e6
        (folder / "exporter").mkdir()
        results["exporter"] = exporter(log, folder / "exporter", messages) / lines * 1e6
        say("open")
        results["open_mb"] = open_ids(folder / "open", stack, open_count)
    return results


def row(what, target, measured, good):
    return f"| {what} | {target} | {measured} | {'yes' if good else 'no'} |"


def table(results):
    sqlite, redis = results["sqlite"], results["redis"]
    times = results["pflogsumm"] / sqlite["cpu_us"]
    return "\n".join([
        "| | target | measured | met |", "|---|---|---|---|",
        row("lines/s parsed, one core", "≥ 1,000,000", f"{results['parse']:,}",
            results["parse"] >= TARGETS["parse"]),
        row("lines/s into SQLite", "≥ 100,000", f"{sqlite['lines_s']:,.0f}",
            sqlite["lines_s"] >= TARGETS["sqlite"]),
        f"| lines/s into Redis | | {redis['lines_s']:,.0f} | |",
        f"| µs of processor a line, SQLite | | {sqlite['cpu_us']:.2f} | |",
        f"| µs of processor a line, Redis (of which the server) | | {redis['cpu_us']:.2f} "
        f"({redis['server_us']:.2f}) | |",
        f"| µs of processor a line, pflogsumm | | {results['pflogsumm']:.2f} | |",
        f"| µs of processor a line, prometheus-postfix-exporter | | {results['exporter']:.2f} | |",
        row("lines a second of processor, times pflogsumm's (SQLite)", "≥ 5", f"{times:.1f}",
            times >= TARGETS["times"]),
        row("MB, a million messages in the queue", "< 150", f"{results['open_mb']:.0f}",
            results["open_mb"] < TARGETS["open_mb"]),
        row("bytes of trace, a message with a recipient", "≤ 72", f"{results['trace']:.0f}",
            results["trace"] <= TARGETS["message"] + TARGETS["recipient"]),
        f"| bytes of all values of a message | | {results['values']:.0f} | |",
        f"| bytes in SQLite, a message | | {sqlite['bytes']:.0f} | |",
        f"| bytes in Redis, a message | | {redis['bytes']:.0f} | |"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth: whether it works")
    parser.add_argument("--folder", default="/var/tmp", help="where stores are made (default %(default)s)")
    given = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sendguard-bench.", dir=given.folder))
    part = 10 if given.quick else 1
    try:
        results = measure(folder, MESSAGES // part, OPEN // part,
                          lambda what: print(f"feedback: {what} …", file=sys.stderr))
    except servers.BenchError as error:
        sys.exit(f"feedback.py: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(results))


if __name__ == "__main__":
    main()
