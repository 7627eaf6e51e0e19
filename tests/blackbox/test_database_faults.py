"""Databases with which nothing can work: the start says so in one line, and who looks makes none."""

import hashlib
import os
import shutil
import sqlite3
import subprocess

import pytest

from programs import BUILD, PATIENCE, Lines

DAEMONS = ("sendguard-fcgi", "sendguard-web", "sendguard-mta")
CONFIGURATION = 78

pytestmark = pytest.mark.sanitized


def missing_folder(folder):
    return folder / "missing" / "s.db", "cannot be made: No such file or directory"


def no_database(folder):
    path = folder / "s.db"
    path.write_text("This is a letter and no database, and it should stay as it is.\n" * 100)
    return path, "is no SQLite database"


def of_another_program(folder):
    path = folder / "s.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE contacts (name TEXT)")
    database.close()
    return path, "is a database of another program"


def of_a_newer_version(folder):
    path = folder / "s.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE hash_key (value BLOB)")
        database.execute("PRAGMA user_version = 99")
    database.close()
    return path, "was made by a newer sendguard"


def a_folder(folder):
    path = folder / "s.db"
    path.mkdir()
    return path, "is no file"


FAULTS = (missing_folder, no_database, of_another_program, of_a_newer_version, a_folder)


def command(program, folder, url, *words):
    return [BUILD / program, "-o", f"store.url={url}", "-o", f"web.secret_file={folder}/secret",
            "-o", f"fcgi.listen={folder}/f.sock", "-o", f"web.listen={folder}/w.sock",
            "-o", f"mta.listen={folder}/m.sock", *words]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)


def content(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("program", DAEMONS)
def test_the_start_says_what_is_wrong_with_a_database(folder, program, fault):
    path, what = fault(folder)
    before = content(path)
    done = run(program, folder, f"sqlite://{path}")
    assert done.returncode == CONFIGURATION, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(path) in done.stderr and what in done.stderr
    assert content(path) == before


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("program", DAEMONS)
def test_check_says_it_too_and_changes_nothing(folder, program, fault):
    path, what = fault(folder)
    before, files = content(path), list(folder.iterdir())
    done = run(program, folder, f"sqlite://{path}", "--check")
    said = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    if fault is missing_folder:  # systemd may make it at the start
        assert (done.returncode, said) == (0, [])
    else:
        assert done.returncode == CONFIGURATION
        assert len(said) == 1 and f"{program}: store.url: {path}" in said[0] and what in said[0]
    assert content(path) == before
    assert list(folder.iterdir()) == files


@pytest.mark.parametrize("program", DAEMONS)
def test_a_database_that_may_only_be_read(folder, program):
    path = folder / "s.db"
    path.touch(0o444)
    own = shutil.copy(BUILD / program, folder)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() == 0:
        for each in (folder, *folder.parents[:1]):
            each.chmod(0o777)
    done = subprocess.run([*(as_nobody if os.geteuid() == 0 else []), own,
                           *command(program, folder, f"sqlite://{path}")[1:]],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == CONFIGURATION, done.stderr
    assert "s.db: cannot be written: Permission denied" in done.stderr


@pytest.mark.parametrize("program", DAEMONS)
def test_an_unreachable_redis_is_told_once_at_the_start(folder, program):
    process = subprocess.Popen(command(program, folder, f"redis+unix://{folder}/none.sock"),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = Lines(process.stderr)
    try:
        log.wait("msg=listening")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert len(log.matching("store does not answer at the start.*none.sock")) == 1


LOOKING = (("show", "alice@example.test"), ("suspended",), ("near",), ("log",), ("audit",),
           ("explain", "7K3M-Q2XD-9F4A"), ("search", "alice"), ("senders", "@example.test"),
           ("staff", "list"), ("token", "list"), ("simulate",), ("config",), ("--check",),
           ("suspend", "alice@example.test", "--preview"))


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_who_looks_makes_no_database(folder, words):
    path = folder / "s.db"
    done = run("sendguard", folder, f"sqlite://{path}", *words)
    assert list(folder.iterdir()) == []
    if words[0] not in ("config", "--check"):
        assert done.returncode == 1, done.stderr
        assert f"there is no database at {path}" in done.stderr


@pytest.mark.parametrize("fault", FAULTS[1:], ids=lambda fault: fault.__name__)
def test_the_command_line_says_what_is_wrong_with_a_database(folder, fault):
    path, what = fault(folder)
    before = content(path)
    for words in (("show", "alice@example.test"), ("lift", "alice@example.test", "--note", "x")):
        done = run("sendguard", folder, f"sqlite://{path}", *words)
        assert done.returncode == 1
        assert what in done.stderr and len(done.stderr.splitlines()) == 1
    assert content(path) == before


@pytest.mark.parametrize("program", DAEMONS)
def test_check_examines_the_secret_of_who_runs_it(folder, program):
    """What is wrong with the database stands beside it. Root reads anybody's."""
    path, what = no_database(folder)
    path.chmod(0o666)
    (folder / "secret").write_text("no key")
    (folder / "secret").chmod(0o644)
    own = shutil.copy(BUILD / program, folder)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() == 0:
        for each in (folder, *folder.parents[:1]):
            each.chmod(0o777)
    done = subprocess.run([*(as_nobody if os.geteuid() == 0 else []), own,
                           *command(program, folder, f"sqlite://{path}", "--check")[1:]],
                          capture_output=True, text=True, timeout=PATIENCE)
    said = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    assert done.returncode == CONFIGURATION
    assert what in said.pop()
    assert [f"{folder}/secret: is open to others" in line for line in said] == (
        [] if program == "sendguard-mta" else [True])
