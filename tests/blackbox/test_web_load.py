"""Many idle connections, slow clients and slow readers: others do not notice."""

import resource
import socket
import statistics
import threading
import time

import pytest

from programs import PATIENCE, SANITIZED, eventually
from stores import SqliteStore
from web import BASE, FORM, Browser, Client, Web

IDLE = 1000 if SANITIZED else 10000
SLOW = 200
# A quiet machine answers in about two milliseconds; these leave room for a busy one.
MEDIAN_S, WORST_S = (2, 20) if SANITIZED else (0.5, 10)

pytestmark = pytest.mark.sanitized


@pytest.fixture
def files():
    """Enough open files for the clients."""
    wanted = IDLE + SLOW + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def web(folder, files):
    web = Web(folder, SqliteStore(folder)).hire({"ada": "admin"}).start()
    yield web
    web.stop()


@pytest.fixture
def links():
    opened = []
    yield opened
    for link in opened:
        link.close()


def answer_times(web, path="/status", status=403, count=60):
    """Seconds of requests on new connections, one after the other."""
    client, times = Client(web), []
    for _ in range(count):
        began = time.monotonic()
        assert client.get(path).status == status
        times.append(time.monotonic() - began)
    return times


def must_be_quick(times):
    assert statistics.median(times) < MEDIAN_S, sorted(times)[-10:]
    assert max(times) < WORST_S, sorted(times)[-10:]


class Drip(threading.Thread):
    """Connections that send one byte each, in turn, until told to stop."""

    def __init__(self, web, count, data):
        super().__init__(daemon=True)
        self.links = [web.connect() for _ in range(count)]
        self.data, self.sent, self.end = data, 0, threading.Event()

    def run(self):
        while not self.end.is_set() and self.sent < len(self.data):
            for link in self.links:
                try:
                    link.send(self.data[self.sent:self.sent + 1])
                except OSError:
                    pass  # the server has had enough of it
            self.sent += 1
            self.end.wait(0.02)

    def stop(self):
        self.end.set()
        self.join(PATIENCE)
        for link in self.links:
            link.close()


def test_idle_and_slow_connections_leave_it_responsive(web, links):
    memory_before = web.memory_peak_kb()
    for _ in range(IDLE):
        links.append(web.connect())
    headers = (f"GET {BASE}/status HTTP/1.1\r\nHost: x\r\n" + "X-Slow: " + "z" * 4000).encode()
    body = (f"POST {BASE}/desk/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
            "Content-Length: 100000\r\n\r\n" + "name=" + "y" * 4000).encode()
    drips = [Drip(web, SLOW // 2, data) for data in (headers, body)]
    for drip in drips:
        drip.start()
    try:
        # all of them have been taken in, and the slow ones are in the middle of it
        eventually(lambda: all(drip.sent > 20 for drip in drips), "slow clients are under way")
        must_be_quick(answer_times(web))
        must_be_quick(answer_times(web, "/assets/style.css", 200))
        browser = Browser(web)
        assert browser.sign_in("ada").status == 303
        assert all(drip.is_alive() for drip in drips)
    finally:
        for drip in drips:
            drip.stop()
    if not SANITIZED:
        assert web.memory_peak_kb() - memory_before < 400 * 1024


def test_slow_readers_hold_nobody_up(web, links):
    """Requests whose answers nobody fetches."""
    request = f"GET {BASE}/assets/style.css HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 200
    for _ in range(SLOW):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(PATIENCE)
        link.connect(("127.0.0.1", web.port))
        link.setblocking(False)
        try:
            link.send(request)
        except BlockingIOError:
            pass
        links.append(link)
    must_be_quick(answer_times(web))


def test_password_checks_hold_nobody_up(web):
    """Guessing from many addresses keeps the machine busy, not the others waiting."""
    end, statuses = threading.Event(), []

    def guess(number):
        for attempt in range(100):
            if end.is_set():
                return
            address = f"198.51.{number}.{attempt}"
            statuses.append(Browser(web).sign_in(f"nobody{number}-{attempt}", "wrong-password",
                                                 {"X-Forwarded-For": address}).status)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(24)]
    for guesser in guessers:
        guesser.start()
    try:
        eventually(lambda: len(statuses) > 10, "guessing is under way")
        must_be_quick(answer_times(web, count=30))
    finally:
        end.set()
        for guesser in guessers:
            guesser.join(PATIENCE)
    assert set(statuses) <= {403, 503}
    assert 403 in statuses


def test_more_connections_than_there_is_room_for_go_again(folder, links):
    """With few files allowed it takes fewer connections, says so, and recovers."""
    web = Web(folder, SqliteStore(folder), wrapper=["prlimit", "--nofile=600:600"])
    web.start()
    try:
        web.log.wait("few open files are allowed")
        for _ in range(700):
            links.append(web.connect())
        for link in links:
            link.close()
        links.clear()
        eventually(lambda: Client(web).get("/healthz").status == 200, "it answers again")
    finally:
        web.stop()
