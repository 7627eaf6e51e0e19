"""How long a page of the support desk takes, straight on the server, over a
store with many mailboxes and decisions."""

import http.client
import re
import statistics
import subprocess
import time
import urllib.parse

import measure
import servers
from servers import BenchError

STORES = ("sqlite", "redis")
SHAPE = (100_000, 10)  # mailboxes, messages of each: a million decisions
QUICK_SHAPE = (2_000, 10)
NAME, PASSWORD = "bench", "only-for-the-benchmark"
MAILBOX = "user0050000@bench.test"
QUICK_MAILBOX = "user0001500@bench.test"


class Web(servers.Server):
    """sendguard-web with all else default."""

    def __init__(self, folder, store_url):
        folder.mkdir()
        self.port = servers.free_port()
        self.config = folder / "sendguard.conf"
        self.config.write_text(
            f"[store]\nurl = {store_url}\ntimeout = 5s\n"
            f"[web]\nlisten = 127.0.0.1:{self.port}\nsecret_file = {folder / 'secret'}\n"
            f"base_url = http://127.0.0.1:{self.port}\n")
        super().__init__([servers.built("sendguard-web"), "-c", str(self.config)], folder,
                         ("127.0.0.1", self.port))

    def command_line(self, *arguments, given=None):
        done = subprocess.run([servers.built("sendguard"), "-c", str(self.config), *arguments],
                              input=given, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise BenchError(f"sendguard {arguments[0]}: {done.stderr.strip()}")
        return done.stdout


class Browser:
    """One connection, signed in."""

    def __init__(self, web):
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        web.command_line("staff", "add", NAME, "--role", "viewer", "--note", "bench",
                         given=PASSWORD + "\n")
        page = self.ask("GET", "/desk/sign-in")[1].decode()
        fields = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page))
        form = urllib.parse.urlencode({**fields, "name": NAME, "password": PASSWORD})
        status, _ = self.ask("POST", "/desk/sign-in", form)
        if status != 303 or self.cookie is None:
            raise BenchError(f"signing in at the desk: status {status}")

    cookie = None

    def ask(self, method, path, form=None):
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, form, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = cookie.partition(";")[0]
        return answer.status, body

    def time(self, path, times):
        """Milliseconds of each of so many answers."""
        took = []
        for _ in range(times):
            began = time.perf_counter()
            status, _ = self.ask("GET", path)
            took.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise BenchError(f"{path}: status {status}")
        return took


def pages(browser, mailbox):
    _, body = browser.ask("GET", "/desk/mailboxes/" + mailbox)
    decision = re.search(rb"/desk/decisions/([0-9A-Z-]{14})", body)
    ip = re.search(rb"10\.1\d\d\.1\d\d\.1\d\d", body)
    if decision is None or ip is None:
        raise BenchError(f"the page of {mailbox} names no decision or no address")
    return {
        "first screen": "/desk/",
        "mailbox": "/desk/mailboxes/" + mailbox,
        "decision": "/desk/decisions/" + decision[1].decode(),
        "all decisions": "/desk/decisions",
        "suspended": "/desk/suspended",
        "near a limit": "/desk/near",
        "senders of an IP": "/desk/ips/" + ip[0].decode(),
        "senders of a domain": "/desk/domains/bench.test",
        "audit log": "/desk/audit",
    }


def desk(folder, rounds, quick, say):
    """A result for each page, store and round."""
    folder.mkdir()
    results = []
    shape, mailbox = (QUICK_SHAPE, QUICK_MAILBOX) if quick else (SHAPE, MAILBOX)
    for store in STORES:
        redis = None
        (folder / store).mkdir()
        if store == "redis":
            redis = servers.Redis(folder / store / "redis", appendonly=False)
        url = redis.url if redis else f"sqlite://{folder / store / 'sendguard.db'}"
        try:
            say(f"desk on {store}: {shape[0]:,} mailboxes, {shape[0] * shape[1]:,} decisions")
            measure.fill(url, *shape, staff=True)
            with Web(folder / store / "web", url) as web:
                browser = Browser(web)
                for name, path in pages(browser, mailbox).items():
                    browser.time(path, 3)
                    for number in range(rounds):
                        took = browser.time(path, 5 if quick else 30)
                        results.append({"store": store, "page": name, "round": number,
                                        "mailboxes": shape[0],
                                        "decisions": shape[0] * shape[1],
                                        "median_ms": statistics.median(took),
                                        "worst_ms": max(took)})
        finally:
            if redis:
                redis.stop()
    return results
