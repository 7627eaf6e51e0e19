"""The load client, asking one server."""

import json
import subprocess
import sys

import servers

SECONDS_AT_MOST = 180


def ask(subject, *options, user=None):
    """The client's numbers. With `user`, that one sends everything."""
    who = [] if user is None else ["--first-user", user, "--users", 1]
    command = [servers.built("bench/bench_policy"), *subject.target, *map(str, (*who, *options))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=SECONDS_AT_MOST)
    except subprocess.TimeoutExpired:
        raise servers.BenchError(f"{subject.name}: no end after {SECONDS_AT_MOST} s") from None
    if done.returncode != 0:
        raise servers.BenchError(f"{subject.name}: {done.stderr.strip()[-600:]}")
    if done.stderr:
        print(f"{subject.name}: {done.stderr.strip()[-600:]}", file=sys.stderr)
    return json.loads(done.stdout)
