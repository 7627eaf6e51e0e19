"""A socketmap server of the test's own (tests/socketmap_server.py), and what it says."""

import contextlib
import subprocess
import sys

from programs import TREE


class Socketmap:
    def __init__(self, folder):
        self.socket, self.table = folder / "map.sock", folder / "map"
        self.questions = folder / "questions"
        self.source = f"socketmap:unix:{self.socket}:senders"

    def says(self, **owners):
        """`owners`: DATA by key; of all others it says that it finds nothing."""
        new = self.table.with_suffix(".new")
        new.write_text("".join(f"senders {key} {data}\n" for key, data in owners.items()))
        new.rename(self.table)


@contextlib.contextmanager
def socketmap_server(folder):
    served = Socketmap(folder)
    served.says()
    with subprocess.Popen(
            [sys.executable, TREE / "tests/socketmap_server.py", served.socket, served.table,
             served.questions], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        server.stdout.readline()
        yield served
        server.stdin.close()
