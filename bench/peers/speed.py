"""What a decision costs: every server in turn with the same questions, in each round."""

import servers
import subjects
from ask import ask

CLIENTS = (1, 8, 32)
USERS = 10_000
MANY = 100_000
FILL_SECONDS = 45


def fire_check(subject):
    """The limits are there: how many messages of one user pass, to one recipient each."""
    return ask(subject, "--count", 620, "--recipients", 1, "--clients", 1,
               user=USERS)["admitted"]


def memory(subject):
    return {name: servers.pss_bytes(server.pids())
            for name, server in subject.processes().items()}


def everybody_once(subject, users):
    """One message of each; how many were admitted in the time there is for that."""
    return ask(subject, "--in-turn", "--users", users, "--count", users, "--clients", 8,
               "--duration", FILL_SECONDS)["admitted"]


class Contest:
    """All servers, started once and shown every user, so that tables and caches are filled."""

    def __init__(self, folder, stack, kinds, users, say):
        self.subjects, self.users = [], users
        self.facts = []
        for kind in kinds:
            subject = stack.enter_context(kind(folder / kind.__name__, subjects.SPEED))
            idle = memory(subject)
            fires = fire_check(subject)
            seen = everybody_once(subject, users)
            self.facts.append({"subject": subject.name, "store": subject.store, "fires": fires,
                               "seen": seen, "idle_bytes": sum(idle.values()),
                               "bytes": sum(memory(subject).values())})
            self.subjects.append(subject)
            say(f"{subject.name}: started, {seen:,} users seen")

    def measure(self, subject, clients, seconds):
        processes = subject.processes()
        before = {name: servers.cpu_ns(server.pids()) for name, server in processes.items()}
        got = ask(subject, "--clients", clients, "--users", self.users, "--duration", seconds)
        used = {name: servers.cpu_ns(server.pids()) - before[name]
                for name, server in processes.items()}
        split = {name: ns / 1000 / max(got["answers"], 1) for name, ns in used.items()}
        return {"subject": subject.name, "clients": clients, **got,
                "cpu_us": sum(split.values()), "cpu_split": split}

    def round(self, number, seconds):
        return [{"round": number, **self.measure(subject, clients, seconds)}
                for clients in CLIENTS for subject in self.subjects]


def grown(subject, say):
    """Memory of a server of ours when it has seen many more mailboxes."""
    seen = everybody_once(subject, MANY)
    say(f"{subject.name}: {seen:,} users seen")
    return {"subject": subject.name, "mailboxes": MANY, "seen": seen,
            **{f"{name}_bytes": size for name, size in memory(subject).items()}}
