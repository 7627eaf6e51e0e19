"""What it costs that more survives: an answer that waits for the disk or for replicas, beside one that
does not."""

import contextlib

import measure
import servers

# Next to each other in every round; the first of a store is what the others are held against.
SUBJECTS = ({"store": "sqlite", "survives": "durability = normal"},
            {"store": "sqlite", "survives": "durability = full"},
            {"store": "redis", "survives": "replicas = 0", "replicas": 2},
            {"store": "redis", "survives": "replicas = 1", "replicas": 2},
            {"store": "redis", "survives": "replicas = 2", "replicas": 2})


def start_store(folder, subject, stack):
    """Its URL, and the processes that it is."""
    if subject["store"] == "sqlite":
        return f"sqlite://{folder}/sendguard.db", {}
    port = servers.free_port()
    server = stack.enter_context(servers.Redis(folder / "redis", port=port))
    server.ask("CONFIG SET repl-diskless-sync-delay 0")
    processes = {"redis": server}
    for number in range(subject["replicas"]):
        replica = stack.enter_context(servers.Redis(folder / f"replica-{number}"))
        replica.follow(port)
        processes[f"replica {number + 1}"] = replica
    return server.url, processes


def start_guard(folder, subject, stack, mailboxes):
    """The guard, and whose processor time is measured with it."""
    folder.mkdir(parents=True)
    url, processes = start_store(folder, subject, stack)
    measure.fill(url, mailboxes, 1)
    guard = stack.enter_context(servers.Guard(folder / "guard", url, subject["survives"] + "\n"))
    return guard, {"server": guard, **processes}


def durability(folder, rounds, seconds, mailboxes, say):
    results = []
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            started = [(subject, *start_guard(folder / f"{number}-{place}", subject, stack,
                                              mailboxes))
                       for place, subject in enumerate(SUBJECTS)]
            for clients in measure.CLIENTS:
                first = {}
                for subject, guard, processes in started:
                    result = measure.measure(("--fastcgi", guard.socket), processes,
                                             clients=clients, mailboxes=mailboxes,
                                             seconds=seconds, keep=2 * servers.KEPT_OF_GUARD)
                    beside = first.setdefault(subject["store"], result)
                    results.append({"round": number, "store": subject["store"],
                                    "survives": subject["survives"], "clients": clients,
                                    "rate_ratio": result["per_second"] / beside["per_second"],
                                    **result})
        say(f"durability: round {number + 1} of {rounds} done")
    return results
