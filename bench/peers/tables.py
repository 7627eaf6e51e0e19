"""From results to the two tables, and whether the targets hold."""

import statistics

import promise
import report
import subjects

MEASURES = ("per_second", "cpu_us", "p50_us", "p99_us")
OURS = tuple(kind.name for kind in subjects.OURS)
TARGETS = {"times the rate": 10, "of the CPU": 0.1, "p99_us": 5000, "memory_mb": 32}


def packages():
    names = ("policyd-rate-limit", "postfwd", "mtpolicyd", "rspamd", "redis-server", "memcached")
    return ", ".join(report.output("dpkg-query", "-W", "-f", "${Package} ${Version}", name)
                     for name in names)


def add_ratios(results):
    """Each measurement divided by each of ours of the same round and number of connections."""
    groups = {(r["round"], r["clients"], r["subject"]): r for r in results}
    for result in results:
        for measure in MEASURES:
            result[f"{measure}_ratios"] = [
                result[measure] / max(groups[result["round"], result["clients"], name][measure],
                                      1e-9) for name in OURS]


def ratios_text(group, measure):
    """Medians over the rounds: to SQLite, to Redis."""
    pairs = zip(*(result[f"{measure}_ratios"] for result in group))
    return " / ".join(ratio_text(statistics.median(ratios)) for ratios in pairs)


def ratio_text(ratio):
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def megabytes(size):
    return f"{size / 1e6:.1f}"


SPEED_HEAD = ("connections", "server", "decisions/s", "to ours", "CPU µs", "to ours",
              "CPU µs by process", "p50 µs", "to ours", "p99 µs", "to ours", "memory MB",
              "to ours")


def speed_table(results, facts):
    size = {fact["subject"]: fact["bytes"] for fact in facts}
    rows = []
    for (clients, subject), group in report.grouped(results, "clients", "subject").items():
        cells = [str(clients), subject]
        for measure in MEASURES:
            cells += [report.column(group, measure, 1 if measure == "cpu_us" else 0),
                      ratios_text(group, measure)]
            if measure == "cpu_us":
                cells.append(report.split_text(group))
        rows.append((*cells, megabytes(size[subject]),
                     " / ".join(ratio_text(size[subject] / size[name]) for name in OURS)))
    return report.table(SPEED_HEAD, rows)


def task_table(facts):
    """What each was given, and that it does it."""
    rows = [(fact["subject"], fact["store"], str(fact["fires"]), f"{fact['seen']:,}",
             megabytes(fact["idle_bytes"]), megabytes(fact["bytes"])) for fact in facts]
    return report.table(("server", "keeps its counts in", "of 620 messages of one user admitted",
                         "users seen before", "memory MB, started", "with these users"), rows)


def promise_table(rows):
    head = ("server", "in a row", "with one message of 500 on 990", "most in any 24 hours",
            "16 at once on the last place", "a day later, again", "600, `kill -9`, then")
    cells = []
    for row in rows:
        crowd, days = row["crowd"], row["in_a_day"]
        how, most = max(days.items(), key=lambda item: item[1])
        cells.append((row["subject"], f"{row['in_a_row']:,}", f"{row['one_big']:,}",
                      f"{most:,}" + (f" ({how})" if most > promise.LIMIT else ""),
                      f"{crowd['most']:,} at most; too many {crowd['broken']} times of "
                      f"{crowd['repetitions']}",
                      f"{row['again']:,}", f"{row['after_kill']:,} in all"))
    return report.table(head, cells)


# ---- what makes it void, and targets ---------------------------------------------


def void(results):
    """Sentences. A server that refuses here or does not answer has not done the work."""
    return [f"{'VOID: ' if result['subject'] in OURS else ''}{result['subject']}, "
            f"{result['clients']} connections, round {result['round'] + 1}: of "
            f"{result['answers']:,} answers {result['answers'] - result['admitted']:,} did not "
            f"admit, and {result['unanswered']} questions had none in 30 s"
            for result in results
            if result["answers"] != result["admitted"] or result["unanswered"]]


def speed_targets(results):
    groups = report.grouped(results, "subject", "clients")
    peers = [kind.name for kind in subjects.PEERS if (kind.name, 32) in groups]
    rate = {name: report.median(group, "per_second") for (name, clients), group in groups.items()
            if clients == 32}
    cpu = {name: report.median(group, "cpu_us") for (name, clients), group in groups.items()
           if clients == 32}
    fastest, cheapest = max(peers, key=rate.get), min(peers, key=cpu.get)
    rows = []
    for name in OURS:
        times, share = rate[name] / rate[fastest], cpu[name] / cpu[cheapest]
        p99 = report.median(groups[name, 8], "p99_us")
        rows += [
            report.row(f"{name}: decisions/s at 32, times those of {fastest}",
                       f"≥ {TARGETS['times the rate']}", [f"{times:.1f}"],
                       times >= TARGETS["times the rate"]),
            report.row(f"{name}: CPU a decision at 32, of {cheapest}'s",
                       f"≤ {TARGETS['of the CPU']}", [f"{share:.3f}"],
                       share <= TARGETS["of the CPU"]),
            report.row(f"{name}: p99 µs at 8", f"≤ {TARGETS['p99_us']}", [f"{p99:.0f}"],
                       p99 <= TARGETS["p99_us"])]
    return rows


def memory_targets(grown):
    return [report.row(f"{row['subject']}: memory MB of sendguard-mta, {row['mailboxes']:,} "
                       "mailboxes seen", f"≤ {TARGETS['memory_mb']}",
                       [megabytes(row["server_bytes"])],
                       row["seen"] == row["mailboxes"] and row["server_bytes"] / 1e6 <= TARGETS["memory_mb"])
            for row in grown]


def promise_targets(rows):
    targets = []
    for row in rows:
        if row["subject"] in OURS:
            most = max(row["in_a_row"], row["one_big"], row["crowd"]["most"], row["after_kill"],
                       *row["in_a_day"].values())
            targets.append(report.row(f"{row['subject']}: most admitted, however it was tried",
                                      f"{promise.LIMIT:,}", [f"{most:,}"],
                                      most == promise.LIMIT and row["again"] == promise.LIMIT))
    return targets


def speed_part(results, facts):
    add_ratios(results)
    return "\n\n".join((
        "### The task", task_table(facts),
        "### Speed", "To ours: divided by Sendguard with SQLite / with "
        "Redis, in the same round.", speed_table(results, facts), *void(results)))
