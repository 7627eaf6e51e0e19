"""Does it keep its number? With a limit of 1,000 recipients in 24 hours: what a sender gets
through who knows how the limit counts, on a clock that is set by hand."""

import dataclasses
import pathlib
import time

import servers
import subjects
from ask import ask

LIMIT = subjects.PROMISE.recipients_per_day
EACH = 10  # recipients of a message
DAY, HOUR, MINUTE = subjects.DAY, subjects.HOUR, 60
NOON = 12 * HOUR
CROWD = 16
KILLED_AFTER = 600
BIG = 500


class FakeClock:
    """libfaketime, standing still at a moment in seconds since 1970 until it is set anew."""

    window = DAY

    def __init__(self, file):
        libraries = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise servers.BenchError("libfaketime is not installed (make deps-peers)")
        self.file = file
        self.set(int(time.time()))
        self.environment = {"LD_PRELOAD": str(libraries[0]), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_TIMESTAMP_FILE": str(file), "DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(time.strftime("%Y-%m-%d %H:%M:%S\n", time.gmtime(seconds)))
        new.chmod(0o644)
        new.rename(self.file)
        self.now = seconds


class FastClock:
    """The real clock, on which a day takes `window` seconds: for whom libfaketime does not suit
    and who can be given a shorter window."""

    window = 24
    environment = {}
    offset = None

    def set(self, seconds):
        if self.offset is None:
            self.offset = seconds - time.monotonic() * DAY / self.window
        time.sleep(max(0, seconds - self.now) * self.window / DAY)

    @property
    def now(self):
        return time.monotonic() * DAY / self.window + self.offset


def send(subject, user, recipients, each=EACH, clients=1):
    """Tries so many recipients of one user; how many were admitted. Asked at RCPT, a server is
    asked about each."""
    if subject.state == "RCPT":
        each = 1
    got = ask(subject, "--count", recipients // each, "--recipients", each, "--clients", clients,
              user=user)
    if got["other"] or got["unanswered"]:
        raise servers.BenchError(f"{subject.name}: {got['other']} answers without a meaning, "
                                 f"{got['unanswered']} questions unanswered")
    return got["admitted"] * each


# Who sends when, in seconds from a midnight, and tries how many recipients.
SENDERS = {
    "around midnight": [(-MINUTE, LIMIT), (MINUTE, LIMIT)],
    "at the end of a window that one message began": [
        (NOON, EACH), (NOON + DAY - MINUTE, LIMIT), (NOON + DAY + MINUTE, LIMIT)],
    "as soon as there is room": [
        (NOON, LIMIT), *((NOON + hour * HOUR, 10 * EACH) for hour in range(1, 25))],
}
AGAIN = [(NOON, LIMIT), (NOON + DAY + MINUTE, LIMIT)]


def most_in_a_day(events):
    """The highest sum of what was admitted in any 24 hours; `events`: (second, count)."""
    return max(sum(count for at, count in events if begin <= at < begin + DAY)
               for begin, _ in events)


def play(subject, clock):
    """All senders on one time line, each a user of its own: the most of each in 24 hours, and
    how much of a full day's number is there again a day later."""
    midnight = (int(time.time()) // DAY + 2) * DAY
    names = [*SENDERS, "again"]
    plan = sorted((at, number, tries) for number, steps in enumerate([*SENDERS.values(), AGAIN])
                  for at, tries in steps)
    events = {name: [] for name in names}
    for at, number, tries in plan:
        clock.set(midnight + at)
        now = clock.now
        events[names[number]].append((now, send(subject, number, tries)))
    return {name: most_in_a_day(events[name]) for name in SENDERS}, events["again"][-1][1]


def crowd(subject, repetitions):
    """16 at once on the last place, so often: the counts that were admitted."""
    counts = []
    for number in range(repetitions):
        user = 1000 + number
        before = send(subject, user, LIMIT - 1, each=LIMIT - 1, clients=CROWD)
        if before != LIMIT - 1:
            raise servers.BenchError(f"{subject.name}: {before} of {LIMIT - 1} admitted")
        counts.append(send(subject, user, CROWD, each=1, clients=CROWD))
    return counts


def promise(kind, folder, repetitions, say):
    """One row of the second table."""
    clock = FakeClock(folder / f"{kind.__name__}.clock") if kind.fakes_time else None
    with kind(folder / kind.__name__, subjects.PROMISE, clock) as subject:
        row = {"subject": subject.name,
               "in_a_row": send(subject, 100, LIMIT + 100),
               "one_big": send(subject, 101, LIMIT - EACH) + send(subject, 101, BIG, each=BIG)}
        counts = crowd(subject, repetitions)
        row["crowd"] = {"repetitions": repetitions, "broken": sum(n > 1 for n in counts),
                        "most": LIMIT - 1 + max(counts), "none": counts.count(0)}
        if kind.fakes_time:
            row["in_a_day"], row["again"] = play(subject, clock)
        before = send(subject, 102, KILLED_AFTER)
        subject.kill()
        subject.start()
        row["after_kill"] = before + send(subject, 102, LIMIT)
    if not kind.fakes_time:
        clock = FastClock()
        rules = dataclasses.replace(subjects.PROMISE, window=clock.window)
        with kind(folder / f"{kind.__name__}-fast", rules, clock) as subject:
            row["in_a_day"], row["again"] = play(subject, clock)
    say(f"{row['subject']}: asked whether it keeps its number")
    return row
