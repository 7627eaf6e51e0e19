"""A DNS server of the test's own (tests/dns_server.py), and what it says."""

import contextlib
import subprocess
import sys

from programs import TREE


class Dns:
    def __init__(self, file, port):
        self.file, self.resolver = file, f"127.0.0.1@{port}"

    def says(self, *records):
        new = self.file.with_suffix(".new")
        new.write_text("".join(record + "\n" for record in records))
        new.rename(self.file)

    def is_away(self):
        """Nobody answers, so who asks waits."""
        self.file.unlink()

    def fails(self):
        """It says at once that it has no answer."""
        self.says("* 0 SERVFAIL")


@contextlib.contextmanager
def dns_server(folder):
    file = folder / "dns.zone"
    with subprocess.Popen([sys.executable, TREE / "tests/dns_server.py", file], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server:
        yield Dns(file, int(server.stdout.readline()))
        server.stdin.close()
