"""From results to tables: medians over the rounds, lowest and highest beside them."""

import os
import pathlib
import platform
import statistics
import subprocess

import servers

TARGETS = {
    "sqlite rate": 0.7,
    "redis rate": 0.8,
    "redis cpu": 1.5,
    "p99_us": 5000,
    "growth": 1.3,
    "sqlite bytes": 48,
    "redis bytes": 48,
    "sqlite message": 200,
    "redis message": 260,
    "minute_ms": 50,
    "webmail-send_ms": 1.0,
    "desk_ms": 50,
    "blocks 1 recipient": 1.10,
    "blocks 300 recipients": 1.5,
    "known_s": 1,
    "blocks_page_ms": 1000,
    "logins_p99_us": 1000,
    "logins_cpu_us": 25,
    "logins_ratio": 0.9,
}


def spread(values, digits):
    """"12 (11-14)": the median, and the range when there are several."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def grouped(results, *keys):
    """Results by the given members, in order of first appearance."""
    groups = {}
    for result in results:
        groups.setdefault(tuple(result[key] for key in keys), []).append(result)
    return groups


def column(group, name, digits):
    return spread([r[name] for r in group], digits) if name in group[0] else ""


def median(group, name):
    return statistics.median(r[name] for r in group)


def split_text(group):
    parts = group[0]["cpu_split"]
    return " + ".join(f"{statistics.median(r['cpu_split'][name] for r in group):.0f} {name}"
                      for name in parts)


def void(results):
    """A sentence for each measurement with wrong answers; a benchmark with refusals is none."""
    return [f"VOID: {member(result)}, round {result['round'] + 1}: "
            f"{result['unexpected']} of {result['answers']} answers were not 200"
            for result in results if result.get("unexpected", 0) > 0]


def member(result):
    names = ("subject", "store", "case", "survives", "route", "clients", "mailboxes", "history")
    return ", ".join(f"{name} {result[name]}" for name in names if name in result)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


MATRIX_HEAD = ("server", "route", "clients", "decisions/s", "of floor", "CPU µs", "of floor",
               "CPU µs by process", "p50 µs", "p99 µs", "max µs")


def matrix_table(results):
    rows = []
    order = sorted(grouped(results, "route", "clients", "subject").items(),
                   key=lambda item: (item[0][0] != "socket", item[0][1]))
    for (route, clients, subject), group in order:
        rows.append((subject, route, str(clients), column(group, "per_second", 0),
                     column(group, "rate_ratio", 2), column(group, "cpu_us", 1),
                     column(group, "cpu_ratio", 2), split_text(group),
                     column(group, "p50_us", 0), column(group, "p99_us", 0),
                     f"{max(r['max_us'] for r in group):.0f}"))
    return table(MATRIX_HEAD, rows)


def durability_table(results):
    rows = []
    for (store, survives, clients), group in grouped(results, "store", "survives",
                                                     "clients").items():
        rows.append((store, survives, str(clients), column(group, "per_second", 0),
                     column(group, "rate_ratio", 2), column(group, "cpu_us", 1),
                     column(group, "p50_us", 0), column(group, "p99_us", 0),
                     f"{max(r['max_us'] for r in group):.0f}"))
    return table(("store", "survives", "clients", "decisions/s", "of the first", "CPU µs",
                  "p50 µs", "p99 µs", "max µs"), rows)


def bytes_text(group):
    size = group[0]["bytes_per_message"]
    return "" if size is None else f"{size:.1f}"


def growth_table(results):
    rows = []
    for (store, mailboxes, history), group in grouped(results, "store", "mailboxes",
                                                      "history").items():
        rows.append((store, f"{mailboxes:,}", str(history), column(group, "per_second", 0),
                     column(group, "time_ratio", 2), column(group, "cpu_us", 1),
                     column(group, "cpu_ratio", 2), column(group, "p99_us", 0),
                     bytes_text(group)))
    return table(("store", "mailboxes", "messages each", "decisions/s", "time of first", "CPU µs",
                  "of first", "p99 µs", "history bytes a message"), rows)


def size_table(results):
    return table(("store", "messages each", "bytes a message"),
                 [(r["store"], str(r["history"]), f"{r['bytes']:.0f}") for r in results])


def minute_table(results):
    return table(("store", "decisions/s", "p50 ms", "p99 ms", "slowest ms"),
                 [(r["store"], f"{r['per_second']:.0f}",
                   *(f"{r[name] / 1000:.1f}" for name in ("p50_us", "p99_us", "max_us")))
                  for r in results])


def webmail_send_table(results):
    rows = [(subject, f"{median(group, 'p50_us') / 1000:.3f}",
             f"{median(group, 'p99_us') / 1000:.3f}")
            for (subject,), group in grouped(results, "subject").items()]
    return table(("server", "median ms", "p99 ms"), rows)


def desk_table(results):
    rows = [(store, page, column(group, "median_ms", 1),
             f"{max(r['worst_ms'] for r in group):.1f}")
            for (store, page), group in grouped(results, "store", "page").items()]
    return table(("store", "page", "median ms", "slowest ms"), rows)


def blocks_split(results):
    """Of judging, and one a store."""
    return [r for r in results if "case" in r], [r for r in results if "case" not in r]


def blocks_table(results):
    judged, _ = blocks_split(results)
    rows = [(store, case, column(group, "none_cpu_us", 1), column(group, "cpu_us", 1),
             column(group, "cpu_ratio", 2), column(group, "p50_ratio", 2))
            for (store, case), group in grouped(judged, "store", "case").items()]
    return table(("store", "message", "CPU µs, empty lists", "CPU µs, long lists", "CPU, long of empty",
                  "p50, long of empty"), rows)


BLOCKS_FACTS = {
    "known by another program after, s (median)": ("known_s", 2),
    "the same, longest of ten, s": ("known_worst_s", 2),
    "of that, the command `sendguard block`, s": ("block_s", 2),
    "first answer after a start, ms": ("first_ms", 0),
    "the same with empty lists, ms": ("first_none_ms", 1),
    "reading all, ms": ("read_ms", 0),
    "looking for news where there is none, µs": ("nothing_us", 0),
    "looking for news, one entry, µs": ("news_us", 0),
    "bytes of the copy in memory": ("bytes", 0),
    "`block --import` of as many new lines, s": ("import_s", 2),
    "the same file again, s": ("again_s", 2),
    "`sendguard blocks --csv`, s": ("csv_s", 2),
}


def blocks_facts_table(results):
    _, facts = blocks_split(results)
    rows = [(what, *(f"{one[name]:,.{digits}f}" for one in facts))
            for what, (name, digits) in BLOCKS_FACTS.items()]
    rows += [(f"{page}, ms", *(f"{one['pages'][page]:.1f}" for one in facts))
             for page in facts[0]["pages"]]
    return table(("", *(one["store"] for one in facts)), rows)


def logins_split(results):
    return ([r for r in results if r["part"] == "questions"],
            [r for r in results if r["part"] == "sign-ins"])


def logins_questions_table(results):
    asked, _ = logins_split(results)
    rows = [(name, column(group, "p50_us", 0), column(group, "p99_us", 0), column(group, "max_us", 0),
             column(group, "rate_cpu_us", 1), column(group, "full_per_second", 0), column(group, "full_cpu_us", 1))
            for (name,), group in grouped(asked, "subject").items()]
    return table(("server", "p50 µs at 5,000/s", "p99 µs", "max µs", "CPU µs at 5,000/s",
                  "questions/s, 32 connections", "CPU µs"), rows)


def logins_table(results):
    _, signed = logins_split(results)
    rows = [(name, str(clients), column(group, "logins_per_second", 0), column(group, "logins_ratio", 2),
             column(group, "logins_p50_us", 0))
            for (name, clients), group in grouped(signed, "subject", "clients").items()]
    return table(("Dovecot asks", "at once", "sign-ins/s", "of floor", "p50 µs"), rows)


# ---- targets ---------------------------------------------------------------------


def row(name, target, values, holds):
    """One target: holds only when it holds everywhere it was measured."""
    return name, target, ", ".join(values), "yes" if holds else "NO"


def matrix_targets(results):
    rows = []
    groups = grouped(results, "subject", "route", "clients")

    every = tuple(sorted({r["clients"] for r in results}))

    def add(name, subject, member, limit, at_least, clients=every, digits=2):
        for route in ("socket", "nginx"):
            values = {c: median(groups[subject, route, c], member) for c in clients}
            texts = [f"{v:.{digits}f} at {c}" for c, v in values.items()]
            if limit is None:
                rows.append((f"{name}, {route}", "none", ", ".join(texts), ""))
                continue
            good = all(v >= limit if at_least else v <= limit for v in values.values())
            rows.append(row(f"{name}, {route}", f"{'≥' if at_least else '≤'} {limit}", texts, good))

    add("SQLite decisions/s of floor-none", "sqlite", "rate_ratio", TARGETS["sqlite rate"], True)
    add("Redis decisions/s of floor-incr", "redis", "rate_ratio", TARGETS["redis rate"], True)
    add("SQLite CPU of floor-none", "sqlite", "cpu_ratio", None, False)
    add("Redis CPU of floor-incr", "redis", "cpu_ratio", TARGETS["redis cpu"], False)
    for subject in ("sqlite", "redis"):
        add(f"{subject} p99 µs at 8 clients", subject, "p99_us", TARGETS["p99_us"], False, (8,), 0)
    return rows


def growth_targets(results):
    rows = []
    for store in ("sqlite", "redis"):
        own = [r for r in results if r["store"] == store]
        groups = grouped(own, "mailboxes", "history")
        first = next(iter(groups))
        base = f"of {first[0]:,} mailboxes with {first[1]} message"
        for name, member in (("CPU", "cpu_ratio"), ("time", "time_ratio")):
            ratios = {shape: median(group, member) for shape, group in groups.items()
                      if shape != first}
            rows.append(row(f"{store} {name} a decision, {base}", f"≤ {TARGETS['growth']}",
                            [f"{ratio:.2f} at {m:,} × {h}" for (m, h), ratio in ratios.items()],
                            all(ratio <= TARGETS["growth"] for ratio in ratios.values())))
        longest = max(groups, key=lambda shape: shape[1])
        size, limit = groups[longest][0]["bytes_per_message"], TARGETS[f"{store} bytes"]
        rows.append(row(f"{store} history bytes a message at {longest[1]}", f"≤ {limit}",
                        [f"{size:.1f}"], size <= limit))
    return rows


def size_targets(results):
    return [row(f"{r['store']} bytes a message, all in", f"≤ {TARGETS[r['store'] + ' message']}",
                [f"{r['bytes']:.0f}"], r["bytes"] <= TARGETS[r["store"] + " message"])
            for r in results]


def minute_targets(results):
    limit = TARGETS["minute_ms"]
    return [row(f"{r['store']} slowest answer of a minute at full load, ms", f"≤ {limit}",
                [f"{r['max_us'] / 1000:.1f}"], r["max_us"] <= limit * 1000) for r in results]


def webmail_send_targets(results):
    groups = grouped(results, "subject")
    times = {name: median(groups[name,], "p50_us") / 1000 for name in ("sqlite", "redis")}
    limit = TARGETS["webmail-send_ms"]
    return [row("time added to one send, ms", f"≤ {limit}",
                [f"{ms:.3f} with {name}" for name, ms in times.items()],
                all(ms <= limit for ms in times.values()))]


def desk_targets(results):
    slowest = {}
    for (store, page), group in grouped(results, "store", "page").items():
        slowest[store] = max(slowest.get(store, (0, "")), (median(group, "median_ms"), page))
    limit = TARGETS["desk_ms"]
    return [row("median of a page of the desk, ms", f"≤ {limit}",
                [f"{ms:.1f} with {store} ({page})" for store, (ms, page) in slowest.items()],
                all(ms <= limit for ms, _ in slowest.values()))]


def blocks_targets(results):
    judged, facts = blocks_split(results)
    groups, rows = grouped(judged, "case", "store"), []
    for case in ("1 recipient", "300 recipients"):
        limit = TARGETS[f"blocks {case}"]
        ratios = {r["store"]: median(groups[case, r["store"]], "cpu_ratio") for r in facts}
        rows.append(row(f"CPU of {case} with long block lists, of empty ones", f"≤ {limit}",
                        [f"{ratio:.2f} with {store}" for store, ratio in ratios.items()],
                        all(ratio <= limit for ratio in ratios.values())))
    limit = TARGETS["known_s"]
    rows.append(row("a new entry is known by another program after, s", f"≤ {limit}",
                    [f"{r['known_worst_s']:.2f} with {r['store']}" for r in facts],
                    all(r["known_worst_s"] <= limit for r in facts)))
    limit = TARGETS["blocks_page_ms"]
    slowest = {r["store"]: max((ms, page) for page, ms in r["pages"].items()) for r in facts}
    rows.append(row("median of a page of the block lists, ms", f"< {limit}",
                    [f"{ms:.1f} with {store} ({page})" for store, (ms, page) in slowest.items()],
                    all(ms < limit for ms, _ in slowest.values())))
    return rows


def logins_targets(results):
    asked, signed = logins_split(results)
    groups, by_clients = grouped(asked, "subject"), grouped(signed, "subject", "clients")
    stores = ("sqlite", "redis")
    rows = []
    for what, member, digits in (("p99 µs of a question to sendguard-auth, 5,000/s", "p99_us", 0),
                                 ("CPU µs of a question, 32 connections", "full_cpu_us", 1),
                                 ("CPU µs of a question, 5,000/s", "rate_cpu_us", 1)):
        limit = TARGETS["logins_p99_us" if member == "p99_us" else "logins_cpu_us"]
        values = {name: median(groups[name,], member) for name in stores}
        rows.append(row(what, f"≤ {limit}", [f"{v:.{digits}f} with {name}" for name, v in values.items()],
                        all(v <= limit for v in values.values())))
    limit = TARGETS["logins_ratio"]
    ratios = {key: median(group, "logins_ratio") for key, group in by_clients.items() if key[0] in stores}
    rows.append(row("sign-ins/s of Dovecot, of floor", f"≥ {limit}",
                    [f"{v:.2f} with {name} at {clients}" for (name, clients), v in ratios.items()],
                    all(v >= limit for v in ratios.values())))
    return rows


def targets_table(rows):
    return table(("target", "wanted", "measured", "holds"), rows)


# ---- the machine -----------------------------------------------------------------


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return f"{command[0]}: unknown"


def hardware():
    processor = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
            "load client on the same cores")


def machine():
    redis_version = output(servers.program("redis-server"), "--version").split()[2]
    return "\n".join((
        hardware(),
        f"{output(servers.program('nginx'), '-v')}, redis {redis_version}, "
        f"{output('dpkg-query', '-W', '-f', 'libfcgi ${Version}', 'libfcgi0ldbl')}"))
