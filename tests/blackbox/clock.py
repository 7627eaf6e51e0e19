"""A clock for a guard that a test sets: libfaketime, frozen at a moment that can be moved while
the program runs. The monotonic clock, by which timeouts are measured, stays real."""

import pathlib
import time

import pytest

from programs import SANITIZED

SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_LIBRARIES = [*pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
              *pathlib.Path("/usr/lib64").glob("faketime/libfaketimeMT.so.1")]


class Clock:
    def __init__(self, folder):
        if not _LIBRARIES:
            pytest.skip("libfaketime is not installed")
        if SANITIZED:
            pytest.skip("libfaketime and the sanitizers' libraries exclude each other")
        self.file = pathlib.Path(folder) / "clock"
        # A little ahead of the real time, so that what a server keeps until a moment is there.
        self.set((int(time.time()) + 60) * SECOND)
        self.environment = {
            "LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
            # Otherwise each wait for a condition that has an end, by the monotonic clock, ends at once.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0"}

    def set(self, now_ms):
        self.now_ms = int(now_ms)
        seconds, rest = divmod(self.now_ms, SECOND)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
        new = self.file.with_suffix(".new")
        # libfaketime reads the fraction as a double; half a tenth keeps it on our side.
        new.write_text(f"{stamp}.{rest:03d}05\n")
        new.rename(self.file)

    def advance(self, step_ms):
        self.set(self.now_ms + step_ms)


class RunningClock(Clock):
    """It goes on, as far ahead of the real time as the test says: what measures short times by it, as
    resolvers do, needs that."""

    def set(self, now_ms):
        self.ahead_ms = max(0, int(now_ms) - int(time.time() * SECOND))
        new = self.file.with_suffix(".new")
        new.write_text(f"+{self.ahead_ms / SECOND:.3f}\n")
        new.rename(self.file)

    @property
    def now_ms(self):
        return int(time.time() * SECOND) + self.ahead_ms
