"""sendguard-auth is killed while sign-ins come, hangs, and loses its store: no block that the store has is
forgotten or lasts longer, and nothing counts that was not told."""

import datetime
import http.client
import json
import os
import random
import subprocess
import threading
import time

import pytest

from clock import HOUR, SECOND, Clock
from logins import RIGHT, Auth, Dovecot
from programs import BUILD, PATIENCE, eventually, freeze, thaw

KILLS = 100 if os.environ.get("SENDGUARD_LONG") else 20
GUESSED, MISTYPED = range(40), range(40, 80)
MISTAKES = 9  # one less than begins a block
TIMEOUT_S = 0.5
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot runs as several users")


@pytest.fixture
def programs(folder, store):
    """A clock that stands, and programs by it on the same store."""
    clock, started = Clock(folder), []

    def start(settings=None):
        started.append(Auth(folder, store, settings, environment=clock.environment))
        return started[-1].start()

    yield clock, start
    for auth in started:
        auth.stop()


def name_of(number):
    return f"m{number}@example.test", f"127.0.1.{number}"


class Load(threading.Thread):
    """Wrong passwords: another one each time for those who are guessed at, for the others the same few.
    What was told while the program was killed may have come there or not."""

    def __init__(self, auth, seed):
        super().__init__()
        self.auth, self.chance, self.ended, self.answered = auth, random.Random(seed), False, 0
        self.next = dict.fromkeys(GUESSED, 0)

    def run(self):
        while not self.ended:
            number = self.chance.randrange(MISTYPED.stop)
            password = self.chance.randrange(MISTAKES)
            if number in GUESSED:
                password = self.next[number] = (self.next[number] + 1) % 4096
            try:
                self.auth.report(*name_of(number), password, False)
                self.answered += 1
            except (OSError, http.client.HTTPException):
                pass

    def more(self, count):
        """Waits for so many more answers."""
        wanted = self.answered + count
        eventually(lambda: self.answered >= wanted, "reports are answered")


def ends_of(auth, number):
    """When the blocks end that the store has of it."""
    blocks = shown(auth, number)["blocks"]
    assert all(ms_of(one["until"]) - ms_of(one["since"]) == HOUR for one in blocks)
    return [one["until"] for one in blocks]


def shown(auth, number):
    """What the command line reads in the store."""
    done = subprocess.run([BUILD / "sendguard", "-c", auth.config_path, "logins", name_of(number)[0], "--json"],
                          env={**os.environ, **auth.environment, "TZ": "UTC"}, capture_output=True, text=True,
                          check=True, timeout=PATIENCE)
    return json.loads(done.stdout)


def learn(reader, ends):
    """Blocks that the store has by now, as another program reads them."""
    for number in GUESSED:
        if number not in ends and reader.refuses(*name_of(number)):
            ends[number] = ends_of(reader, number)


def test_killed_under_load(programs):
    (clock, start), ends, seed = programs, {}, random.randrange(1 << 32)
    print(f"seed {seed}")
    auth, reader = start(), start()
    load, chance = Load(auth, seed), random.Random(seed + 1)
    load.start()
    try:
        for _ in range(KILLS):
            load.more(chance.randrange(1, 60))
            learn(reader, ends)
            auth.kill()
            auth.start()
            assert all(auth.refuses(*name_of(number)) for number in ends)
            clock.advance(SECOND)
        eventually(lambda: learn(reader, ends) or len(ends) == len(GUESSED), "all are blocked")
    finally:
        load.ended = True
        load.join()
    assert not any(program.refuses(*name_of(number)) for program in (auth, reader) for number in MISTYPED)
    assert {number: ends_of(reader, number) for number in GUESSED} == ends
    assert all(len(of_one) == 1 for of_one in ends.values())
    for number in MISTYPED:
        for password in range(MISTAKES):
            auth.report(*name_of(number), password, False)
    eventually(lambda: all([one["count"] for one in shown(reader, number)["wrong"]] == [MISTAKES]
                           for number in MISTYPED), "each password counts once")
    check_ends(clock, (auth, reader), ends)


def check_ends(clock, both, ends):
    """To the millisecond."""
    by_time = sorted((ms_of(end), number) for number, (end,) in ends.items())
    for end_ms, number in by_time[:3] + by_time[-3:]:
        clock.set(end_ms - 1)
        assert all(program.refuses(*name_of(number)) for program in both)
        clock.advance(1)
        assert not any(program.refuses(*name_of(number)) for program in both)


def ms_of(moment):
    """The clock of the tests goes by whole seconds."""
    return round(datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()) * SECOND


@needs_root
def test_it_hangs(folder, programs):
    """Dovecot waits for its timeout and lets people try; afterwards the block holds as long as it would have."""
    clock, start = programs
    auth = start()
    dovecot = Dovecot(folder, auth.port)
    path = dovecot.folder / "dovecot.conf"
    path.write_text(path.read_text().replace(str(PATIENCE * 1000), str(int(TIMEOUT_S * 1000))))
    dovecot.add("alice@example.test")
    dovecot.start()
    try:
        for number in range(10):
            assert "Authentication failed" in dovecot.sign_in("alice@example.test", f"wrong{number}")
        assert "try again after" in dovecot.sign_in("alice@example.test")
        freeze(auth.process.pid)
        began = time.monotonic()
        assert dovecot.sign_in("alice@example.test") == ""
        assert time.monotonic() - began >= TIMEOUT_S
        assert "Authentication failed" in dovecot.sign_in("alice@example.test", "wrong10")
        thaw(auth.process.pid)
        eventually(lambda: "try again after" in dovecot.sign_in("alice@example.test"), "it answers again")
        clock.advance(HOUR - 1)
        assert "try again after" in dovecot.sign_in("alice@example.test")
        clock.advance(1)
        assert dovecot.sign_in("alice@example.test", RIGHT) == ""
    finally:
        thaw(auth.process.pid)
        dovecot.stop()


def test_the_store_goes_and_comes(store, programs):
    """What was known holds, what comes counts, and all of it is in the store afterwards."""
    clock, start = programs
    auth = start()
    for password in range(10):
        auth.report(*name_of(1), password, False)
        auth.report(*name_of(2), password // 2, False)
    eventually(lambda: ends_of(auth, 1), "the block is in the store")
    store.take_away()
    auth.log.wait("store does not answer: sign-ins are judged by memory alone")
    assert auth.refuses(*name_of(1)) and not auth.refuses(*name_of(2))
    for password in range(5, 10):
        auth.report(*name_of(2), password, False)
    assert auth.refuses(*name_of(2))
    store.bring_back()
    auth.log.wait('msg="store answers again"')
    reader = start()
    eventually(lambda: reader.refuses(*name_of(2)), "what was counted is written")
    for program in (auth, reader):
        assert program.refuses(*name_of(1))
    clock.advance(HOUR)
    for program in (auth, reader):
        assert not program.refuses(*name_of(1)) and not program.refuses(*name_of(2))
