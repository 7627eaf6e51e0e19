"""What it costs that more survives: an answer that waits for the disk, beside one that does not."""

import contextlib

import measure
import servers

# Next to each other in every round; the first of a store is what the others are held against.
SUBJECTS = ({"store": "sqlite", "survives": "normal", "settings": ""},
            {"store": "sqlite", "survives": "full", "settings": "durability = full\n"})


def start_guard(folder, subject, stack, mailboxes):
    """The guard, and what its processor time is with."""
    folder.mkdir(parents=True)
    url = f"sqlite://{folder}/sendguard.db"
    measure.fill(url, mailboxes, 1)
    guard = stack.enter_context(servers.Guard(folder / "guard", url, subject["settings"]))
    return guard, {"server": guard}


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
