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
    return folder / "missing" / "s.db", "cannot be made: its directory does not exist"


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


def state(folder):
    """All that a look must not change, but for what the time of access says."""
    return {path: (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_mtime_ns, content(path))
            for path in [folder, *folder.rglob("*")]}


def told(done):
    """Without the warnings."""
    return [line for line in done.stderr.splitlines() if ": warning: " not in line]


def warnings(done):
    return [line.split(": warning: ", 1)[1] for line in done.stderr.splitlines()
            if ": warning: " in line]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("program", DAEMONS)
def test_check_says_it_as_the_start_does(folder, program, fault):
    path, what = fault(folder)
    (folder / "secret").write_text("0" * 64 + "\n")
    (folder / "secret").chmod(0o600)
    before = state(folder)
    done = run(program, folder, f"sqlite://{path}", "--check")
    assert done.returncode == CONFIGURATION, done.stderr
    [line] = told(done)
    assert f"store.url: {path}" in line and what in line
    assert state(folder) == before
    assert line.split(": ", 2)[2] in run(program, folder, f"sqlite://{path}").stderr


@pytest.mark.parametrize("more", ([], ["--check"]), ids=("start", "check"))
@pytest.mark.parametrize("program", DAEMONS)
def test_a_database_that_may_only_be_read(folder, program, more):
    path = folder / "s.db"
    path.touch(0o444)
    folder.chmod(0o777)
    done = run_as(NOBODY, program, folder, f"sqlite://{path}", *more)
    assert done.returncode == CONFIGURATION, done.stderr
    assert "s.db: cannot be written: Permission denied" in done.stderr


NOBODY = 65534
OWNER = 1
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run_as(user, program, folder, url, *words):
    """By a user who may reach the program, which lies where the tests' own user only may."""
    if os.geteuid() != 0:
        return run(program, folder, url, *words)
    folder.parent.chmod(0o755)
    place = folder.parent / f"{folder.name}.bin"
    place.mkdir(exist_ok=True)
    own = shutil.copy(BUILD / program, place)
    return subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", own,
                           *command(program, folder, url, *words)[1:]],
                          capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("program", DAEMONS)
def test_check_before_the_first_start(folder, program):
    before = state(folder)
    done = run(program, folder, f"sqlite://{folder}/s.db", "--check")
    assert (done.returncode, told(done)) == (0, []), done.stderr
    assert state(folder) == before


@pytest.mark.parametrize("program", DAEMONS)
def test_check_leaves_a_database_of_an_earlier_version(folder, program):
    """The services of that version may be at work on it."""
    path = folder / "s%20#1.db"  # a name that a URI would take apart
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE hash_key (value BLOB)")
        database.execute("PRAGMA user_version = 1")
    path.chmod(0o644)
    for connected in (True, False):
        before = state(folder)
        assert any("-wal" in name.name for name in before) == connected
        done = run(program, folder, f"sqlite://{path}", "--check")
        earlier = "store.url: has tables of an earlier version, which the next start brings up to date"
        assert (done.returncode, told(done)) == (0, [f"{program}: {earlier}"]), done.stderr
        assert f"{path}: it is open to others (mode 0644): expected 0600, as the next start makes " \
               "it" in warnings(done)
        assert state(folder) == before
        database.close()


@pytest.mark.parametrize("program", DAEMONS)
def test_check_of_an_unreachable_redis_warns(folder, program):
    done = run(program, folder, f"redis+unix://{folder}/none.sock", "--check")
    assert (done.returncode, told(done)) == (0, []), done.stderr
    assert any("store.url: does not answer now: " in line and "none.sock" in line
               for line in warnings(done))


@pytest.mark.parametrize("more", ([], ["--check"]), ids=("start", "check"))
@pytest.mark.parametrize("program", DAEMONS)
def test_full_durability_is_for_sqlite(folder, program, more):
    done = run(program, folder, f"redis+unix://{folder}/none.sock", "-o", "store.durability=full",
               *more)
    assert done.returncode == CONFIGURATION
    [line] = told(done)
    assert "store.durability" in line and "expected normal with Redis, found full" in line


@pytest.mark.parametrize("more", ([], ["--check"]), ids=("start", "check"))
@pytest.mark.parametrize("program", DAEMONS)
def test_replicas_are_for_redis(folder, program, more):
    done = run(program, folder, f"sqlite://{folder}/s.db", "-o", "store.replicas=2", *more)
    assert done.returncode == CONFIGURATION
    [line] = told(done)
    assert "store.replicas" in line and "expected 0 with SQLite, found 2" in line
    assert not (folder / "s.db").exists()


@pytest.mark.parametrize("program", DAEMONS)
def test_check_of_missing_replicas_warns(folder, redis_store, program):
    done = run(program, folder, redis_store.url, "-o", "store.replicas=1", "-o", "store.timeout=5s",
               "--check")
    assert (done.returncode, told(done)) == (0, []), done.stderr
    assert any("store.url: does not answer now: " in line and "0 of 1 replicas" in line
               for line in warnings(done))


@pytest.mark.parametrize("program", DAEMONS[:2])
def test_check_of_the_secret(folder, program):
    secret, url = folder / "secret", f"sqlite://{folder}/s.db"
    secret.write_text("0" * 64 + "\n")
    secret.chmod(0o644)
    done = run(program, folder, url, "--check")
    assert done.returncode == CONFIGURATION
    assert [line for line in told(done) if "secret: is open to others (mode 0644)" in line] == told(done)
    secret.chmod(0o600)
    assert run(program, folder, url, "--check").returncode == 0
    secret.write_text("short\n")
    done = run(program, folder, url, "--check")
    assert done.returncode == CONFIGURATION and "secret: holds no key" in done.stderr
    done = run(program, folder, url, "-o", f"web.secret_file={folder}/none/secret", "--check")
    assert done.returncode == CONFIGURATION
    assert "secret: cannot be made: its directory does not exist" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["secret"]


@needs_root
@pytest.mark.parametrize("program", DAEMONS)
def test_root_checks_as_the_owner_and_leaves_nothing(folder, program):
    url, path = f"sqlite://{folder}/s.db", folder / "s.db"
    os.chown(folder, OWNER, OWNER)
    folder.chmod(0o700)
    folder.parent.chmod(0o755)
    before = state(folder)
    assert run(program, folder, url, "--check").returncode == 0
    assert state(folder) == before
    for name in ("s.db-wal", "s.db"):  # that root left
        path.touch(0o600)
        os.chown(path, OWNER, OWNER)
        (folder / name).touch()
        os.chown(folder / name, 0, 0)
        (folder / name).chmod(0o600)
        before = state(folder)
        done = run(program, folder, url, "--check")
        assert done.returncode == CONFIGURATION, done.stderr
        [line] = told(done)
        assert f"{folder / name}: cannot be written: Permission denied" in line
        assert state(folder) == before
        (folder / name).unlink()


@needs_root
def test_root_is_told_of_settings_that_the_owner_may_not_read(folder):
    os.chown(folder, OWNER, OWNER)
    folder.parent.chmod(0o755)
    settings = folder / "s.conf"
    settings.write_text("[support]\ncontact = desk@example.test\n")
    words = ("-c", settings, "--check")
    for mode, status in ((0o600, CONFIGURATION), (0o644, 0)):
        settings.chmod(mode)
        done = run("sendguard-fcgi", folder, f"sqlite://{folder}/s.db", *words)
        assert done.returncode == status, done.stderr
        assert ("s.conf: cannot be read: Permission denied" in done.stderr) == (status != 0)


@needs_root
@pytest.mark.parametrize("program", DAEMONS)
def test_who_may_not_look_is_told_that_nothing_was_checked(folder, program):
    path = folder / "s.db"
    path.touch(0o600)
    for each in (path, folder):
        os.chown(each, OWNER, OWNER)
    for mode in (0o700, 0o755):
        folder.chmod(mode)
        done = run_as(NOBODY, program, folder, f"sqlite://{path}", "--check")
        assert (done.returncode, told(done)) == (0, []), done.stderr
        unchecked = [line for line in warnings(done) if "could not be checked: " in line]
        assert [line.split(": ")[0] for line in unchecked] == [f"{folder}/secret", str(path)]


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
    folder.chmod(0o777)
    done = run_as(NOBODY, program, folder, f"sqlite://{path}", "--check")
    said = told(done)
    assert done.returncode == CONFIGURATION
    assert what in said.pop()
    assert [f"{folder}/secret: is open to others" in line for line in said] == [True]


def test_a_shell_leaves_the_tables_that_an_earlier_version_uses(folder):
    """Its services would judge nothing from then on."""
    path = folder / "s.db"
    note = ("sendguard", folder, f"sqlite://{path}", "note", "a@example.test", "--note", "x")
    assert run(*note).returncode == 0
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        [newest] = database.execute("PRAGMA user_version").fetchone()
        database.executescript("DROP TABLE pair; DROP TABLE value;"
                               "DROP TABLE head_log; ALTER TABLE history_head RENAME TO history;"
                               "PRAGMA user_version = 5;")

        def version():
            return database.execute("PRAGMA user_version").fetchone()[0]

        for words in [note, (*note[:3], "suspended"), (*note[:3], "staff", "list")]:
            done = run(*words)
            assert done.returncode != 0 and done.stdout == ""
            assert "has tables of an earlier version: stop the services first: " in done.stderr
            assert f"process {os.getpid()}" in done.stderr
            assert version() == 5
    database.close()
    assert run(*note).returncode == 0
    with sqlite3.connect(path) as database:
        assert version() == newest
        assert run(*note).returncode == 0, "of this version it may be in use"
    database.close()
