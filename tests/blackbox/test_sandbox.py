"""What a running program has given up, tried from inside of it."""

import pathlib
import re
import signal
import subprocess

import pytest

from logins import Auth
from milter import Milter
from mta import Mta
from programs import BUILD, TREE, Guard, eventually
from reports import Reports
from stores import SqliteStore
from test_notify import Notify
from web import Web



class Parked(Notify):
    """sendguard-parked, whose mail servers are away."""

    program = BUILD / "sendguard-parked"

    def __init__(self, folder, store):
        super().__init__(folder, store)
        password = folder / "password"
        password.write_text("0123456789abcdef\n")
        password.chmod(0o600)
        self.configure({"parked": {"imap": "imap://127.0.0.1:1", "smtp": "smtp://127.0.0.1:1", "master_user": "parked",
                                   "password_file": password}})


PROGRAMS = [Guard, Web, Mta, Milter, Reports, Auth, Notify, Parked]
RUNS = {"fork": "EPERM", "clone": "EPERM", "execve": "EPERM"}
ALWAYS = {"ptrace": "EPERM", "process_vm_readv": "EPERM", "unshare": "EPERM", "mount": "EPERM", "bpf": "EPERM",
          "io_uring_setup": "EPERM", "packets": "EAFNOSUPPORT", "vsock": "EAFNOSUPPORT", "setuid": "EPERM",
          "ip": "done", "end": "done"}


@pytest.fixture(scope="module")
def library(new_folder):
    path = new_folder() / "forbidden.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", path,
                    TREE / "tests/blackbox/forbidden.c"], check=True)
    return path


def tried(program, library, settings=None):
    """What came of each try in that program."""
    folder = program.folder
    log = folder / "forbidden.log"
    program.environment = {"LD_PRELOAD": str(library), "FORBIDDEN_LOG": str(log)}
    program.configure(settings or {})
    program.start()
    program.log.wait('msg=(listening|started)')  # a socket is there before that
    program.process.send_signal(signal.SIGUSR1)
    eventually(lambda: log.exists() and log.read_text().endswith("end done\n"), "all of it was tried")
    return dict(line.split() for line in log.read_text().splitlines())


def threads(pid):
    return {re.search(r"^Seccomp:\s+(\d)$", (path / "status").read_text(), re.M).group(1)
            for path in pathlib.Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.parametrize("kind", PROGRAMS, ids=[kind.__name__.lower() for kind in PROGRAMS])
def test_what_is_given_up(folder, library, kind):
    program = kind(folder, SqliteStore(folder))
    try:
        assert tried(program, library) == RUNS | ALWAYS
        assert threads(program.process.pid) == {"2"}
        assert program.running and not program.log.matching("no system calls are given up")
    finally:
        program.stop()


def test_a_map_that_postmap_reads(folder, library):
    """It needs other programs, so it is for a start alone."""
    owners = {"identity": {"owners": "postmap:hash:/etc/aliases"}}
    program = Guard(folder, SqliteStore(folder))
    try:
        program.start()
        told = "".join(program.reload(owners))
        assert "settings are refused" in told and "identity.owners" in told and "restart" in told
        program.stop()
        assert tried(program, library) == {"fork": "done", "clone": "done", "execve": "ENOENT"} | ALWAYS
        assert "settings read again" in "".join(program.reload({"identity": {"owners": "none"}}))
    finally:
        program.stop()
