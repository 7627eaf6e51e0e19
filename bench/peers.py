#!/usr/bin/python3
"""peers.py [--quick] [options] [PART …]: the policy service beside other policy services.

Parts: speed, promise; both without one. Needs what `make deps-peers` installs and `make
programs benches` builds; starts private instances and stops them. Prints Markdown; what
docs/peers.md says of the numbers holds here too."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent / "peers"))

import promise  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import speed  # noqa: E402
import subjects  # noqa: E402
import tables  # noqa: E402

PARTS = ("speed", "promise")
QUICK_USERS = 300


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", metavar="PART", help=", ".join(PARTS) + "; default both")
    parser.add_argument("--quick", action="store_true",
                        help="one short round, few users: whether it works, not how fast")
    parser.add_argument("--rounds", type=int, help="default 3, quick 1")
    parser.add_argument("--seconds", type=float, help="of one measurement; default 2, quick 0.3")
    parser.add_argument("--repetitions", type=int,
                        help="of 16 at once on the last place; default 40, quick 3")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME",
                        help="these peers alone, and Sendguard")
    parser.add_argument("--json", type=pathlib.Path, help="all single results go there")
    parser.add_argument("--folder", default="/var/tmp",
                        help="where stores are, on a disk (default %(default)s)")
    given = parser.parse_args()
    for part in given.part:
        if part not in PARTS:
            parser.error(f"no part is called {part}")
    given.part = given.part or list(PARTS)
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (0.3 if given.quick else 2)
    given.repetitions = given.repetitions or (3 if given.quick else 40)
    known = {kind.name: kind for kind in subjects.PEERS}
    for name in given.only:
        if name not in known:
            parser.error(f"no peer is called {name}; known: {', '.join(known)}")
    peers = [known[name] for name in given.only] or subjects.PEERS
    given.kinds = [*subjects.OURS, *peers]
    return given


def measure_speed(given, folder, say):
    users = QUICK_USERS if given.quick else speed.USERS
    with contextlib.ExitStack() as stack:
        contest = speed.Contest(folder, stack, given.kinds, users, say)
        results = []
        for number in range(given.rounds):
            results += contest.round(number, given.seconds)
            say(f"round {number + 1} of {given.rounds} done")
    grown = []
    for kind in subjects.OURS:  # anew: their tables are as large as those of one message each
        with kind(folder / f"{kind.__name__}-grown", subjects.SPEED) as subject:
            grown.append(speed.grown(subject, say))
    return {"speed": results, "facts": contest.facts, "grown": grown}


def measure_promise(given, say):
    """In memory where that can be: it is about numbers, not time."""
    shm = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="sendguard-peers-",
                                     dir=shm if os.access(shm, os.W_OK) else given.folder) as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o711)
        return [promise.promise(kind, folder, given.repetitions, say) for kind in given.kinds]


def print_report(results, given):
    print(report.hardware())
    print(tables.packages())
    targets = []
    if "speed" in results:
        print(f"{given.rounds} rounds of {given.seconds} s a measurement; median "
              "(lowest-highest).\n")
        print(tables.speed_part(results["speed"], results["facts"]))
        targets += tables.speed_targets(results["speed"]) + tables.memory_targets(results["grown"])
    if "promise" in results:
        print(f"\n### A limit of {promise.LIMIT:,} recipients in 24 hours: how many are "
              "admitted\n\n" + tables.promise_table(results["promise"]))
        targets += tables.promise_targets(results["promise"])
    print("\n### Targets\n\n" + report.targets_table(targets))


def main():
    given = arguments()
    began = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped then too
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sendguard-peers-", dir=given.folder))
    os.chmod(folder, 0o711)  # servers run as nobody
    results = {}
    try:
        if "speed" in given.part:
            results.update(measure_speed(given, folder / "speed", say))
        if "promise" in given.part:
            results["promise"] = measure_promise(given, say)
    except servers.BenchError as error:
        print(f"bench-peers: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    print_report(results, given)
    return 1 if any(text.startswith("VOID") for text in tables.void(results.get("speed", []))) else 0


if __name__ == "__main__":
    sys.exit(main())
