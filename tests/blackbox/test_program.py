"""The program itself: options, configuration, signals."""

import os
import pathlib
import re
import signal
import socket
import stat
import subprocess

import pytest

import fastcgi
from endpoint import post_params, window
from programs import BUILD, PATIENCE, PROGRAM, Guard, eventually, free_port
from stores import SqliteStore

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]

USAGE, CONFIGURATION = 64, 78


def run(*arguments):
    return subprocess.run([str(PROGRAM), *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=PATIENCE)


@pytest.fixture
def guard(folder):
    """Configured, not started; the kind of store makes no difference here. Tests end it
    themselves, as they look at how it ends."""
    guard = Guard(folder, SqliteStore(folder))
    yield guard
    if guard.running:
        guard.kill()


def test_help_and_version():
    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for option in ("-c", "-o", "--check", "--version", "--help"):
        assert option in shown.stdout
    shown = run("--version")
    assert shown.returncode == 0
    assert shown.stdout.startswith("sendguard-fcgi ")


@pytest.mark.parametrize("arguments", [["--bogus"], ["-c"], ["-o"], ["stray"]])
def test_wrong_usage(arguments):
    shown = run(*arguments)
    assert shown.returncode == USAGE
    assert shown.stdout == ""
    assert arguments[0].lstrip("-") in shown.stderr


def test_check(guard):
    shown = run("-c", guard.config_path, "--check")
    assert shown.returncode == 0, shown.stderr
    guard.configure({"limits.webmail": {"messages_per_day": "many"}})
    assert run("-c", guard.config_path, "--check").returncode == CONFIGURATION


def test_check_starts_nothing_and_makes_nothing(guard):
    before = sorted(guard.folder.iterdir())
    assert run("-c", guard.config_path, "--check").returncode == 0
    assert sorted(guard.folder.iterdir()) == before


BAD_FILES = {
    "unknown key": ("[limits.webmail]\n\nmesages_per_day = 600\n", 3, "mesages_per_day"),
    "unknown section": ("[limits.web]\nmessages_per_day = 600\n", 1, "limits.web"),
    "no section": ("messages_per_day = 600\n", 1, "messages_per_day"),
    "repeated key": ("[fcgi]\nthreads = 3\nthreads = 4\n", 3, "threads"),
    "no number": ("# \n[limits.webmail]\nmessages_per_day = 6oo\n", 3, "6oo"),
    "negative": ("[limits.webmail]\nmessages_per_day = -1\n", 2, "messages_per_day"),
    "too large": ("[limits.webmail]\nmessages_per_day = 99999999999\n", 2, "messages_per_day"),
    "empty": ("[limits.webmail]\nmessages_per_day =\n", 2, "messages_per_day"),
    "out of range": ("[fcgi]\nthreads = 0\n", 2, "threads"),
    "no duration": ("[store]\ntimeout = 250\n", 2, "timeout"),
    "no choice": ("[store]\non_failure = maybe\n", 2, "maybe"),
    "no url": ("[store]\nurl = mysql://x\n", 2, "mysql"),
    "no syntax": ("[store]\ntimeout 250ms\n", 2, ""),
    "domain twice": ("[domains]\nown_domains = a.test b.test\nown_domains = c.test a.test\n", 3,
                     "a.test"),
    "no domain": ("[domains]\nown_domains = a..test\n", 2, "a..test"),
    "long line": ("[support]\ncontact = " + "x" * 100000 + "\n", 2, ""),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_stops_the_start(folder, name):
    text, line, word = BAD_FILES[name]
    path = folder / "bad.conf"
    path.write_text(text)
    for more in ([], ["--check"]):
        shown = run("-c", str(path), *more)
        assert shown.returncode == CONFIGURATION, shown.stderr
        assert f"{path}:{line}" in shown.stderr
        assert word in shown.stderr


PROGRAMS = ("sendguard-fcgi", "sendguard-web", "sendguard-mta", "sendguard")


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_faults_are_told_at_once(folder, program):
    path = folder / "bad.conf"
    path.touch(0o640)  # else --check has something to say of the password
    path.write_text("[store]\nurl = redis://:hunter2@localhost/0\n[fcgi]\nthreads = 0\nthread = 2\n")
    starts = [["show", "a@example.test"], ["config"]] if program == "sendguard" else [[]]
    for more in [["--check"], *starts]:
        shown = subprocess.run([BUILD / program, "-c", path, *more], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL)
        assert shown.returncode == CONFIGURATION, shown.stderr
        lines = shown.stderr.splitlines()
        assert len(lines) == 3, shown.stderr
        for line, where, word in zip(lines, (2, 4, 5), ("store.url", "fcgi.threads", "fcgi.thread:")):
            assert f"bad.conf:{where}: {word}" in line
        assert "hunter2" not in shown.stderr + shown.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fault_writes_on_a_terminal_only_as_text(folder, program):
    path = folder / "bad.conf"
    path.write_text("[fcgi]\nthr\x1b[31mead = \x1b[2J\n\x1b[1m = 1\n[we\u202eb]\nx = 1\n")
    starts = [["show", "a@example.test"], ["config"]] if program == "sendguard" else [[]]
    for more in (["--check"], *starts, ["-o", "a\x1b[31m.b=1", *(starts[0])]):
        shown = subprocess.run([BUILD / program, "-c", path, *more], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL)
        assert shown.returncode == CONFIGURATION, shown.stderr
        assert "\ufffd" in shown.stderr
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown.stderr), ascii(shown.stderr)


@pytest.mark.parametrize("faults, last", [(40, "bad.conf:41: "), (41, "and 1 more fault"),
                                          (42, "and 2 more faults")])
def test_how_many_more_faults(folder, faults, last):
    path = folder / "bad.conf"
    path.write_text("[fcgi]\n" + "".join(f"x{i} = 1\n" for i in range(faults)))
    lines = run("-c", str(path)).stderr.splitlines()
    assert len(lines) == min(faults, 41)
    assert last in lines[-1] and (faults < 41 or lines[-1].endswith(f": {last}"))


@pytest.mark.parametrize("url", ["redis://localhost/zero", "redis://:hunter2@localhost/0",
                                 "redis://:hunter2@localhost", "redis://u:hunter2@localhost/0",
                                 "redis://localhost/0?auth=hunter2",
                                 "redis+unix:///run/r.sock?db=0&password=hunter2"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_check_and_start_take_the_same_store_urls(folder, program, url):
    path = folder / "bad.conf"
    path.touch(0o640)
    path.write_text(f"[store]\nurl = {url}\n")
    start = ["show", "alice@example.test"] if program == "sendguard" else []
    said = [subprocess.run([BUILD / program, "-c", path, *more], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL) for more in (["--check"], start)]
    for shown in said:
        assert shown.returncode == CONFIGURATION
        assert "expected sqlite:///PATH, redis://HOST:PORT/DB, redis+unix:///PATH?db=DB or " in shown.stderr
        assert "hunter2" not in shown.stderr + shown.stdout
    assert said[0].stderr == said[1].stderr


def test_a_missing_file_stops_the_start(folder):
    shown = run("-c", str(folder / "none.conf"))
    assert shown.returncode == CONFIGURATION
    assert "none.conf" in shown.stderr


@pytest.mark.parametrize("override, word", [
    ("limits.webmail.messages_per_day=x", "messages_per_day"), ("nonsense", "nonsense"),
    ("fcgi.bogus=1", "bogus"), ("fcgi.threads", "threads"),
])
def test_a_bad_override_stops_the_start(guard, override, word):
    shown = run("-c", guard.config_path, "-o", override)
    assert shown.returncode == CONFIGURATION
    assert "-o" in shown.stderr and word in shown.stderr


def test_overrides_win_over_the_file(guard, sender_at):
    guard.configure({"limits.webmail": {"messages_per_day": 600}})
    guard.start("-o", "limits.webmail.messages_per_day=7",
                "-o", "limits.webmail.messages_per_hour=5")
    answer = sender_at(guard).admitted()
    assert window(answer, "messages_per_day")["limit"] == 7
    assert window(answer, "messages_per_hour")["limit"] == 5
    guard.reload()
    assert window(sender_at(guard).admitted(), "messages_per_day")["limit"] == 7
    guard.stop()


def test_comments_and_spaces(guard, sender_at):
    text = guard.config_path.read_text()
    guard.config_path.write_text("\ufeff# comment\r\n" + text
                                 + "[limits.webmail]\n  messages_per_day=7   ; a comment\n")
    guard.start()
    assert window(sender_at(guard).admitted(), "messages_per_day")["limit"] == 7
    guard.stop()


def test_what_cannot_be_listened_on_is_a_runtime_failure(guard):
    guard.configure({"fcgi": {"listen": guard.folder / "none" / "fcgi.sock"}})
    guard.spawn()
    assert guard.wait() == 1
    assert "fcgi.sock" in guard.log.text()


def test_the_socket_is_not_for_everybody(guard):
    old = os.umask(0)
    try:
        guard.start()
    finally:
        os.umask(old)
    status = guard.socket_path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660
    guard.stop()


def test_the_socket_mode_can_be_narrower(guard):
    guard.configure({"fcgi": {"socket_mode": "0600"}})
    guard.start()
    assert stat.S_IMODE(guard.socket_path.stat().st_mode) == 0o600
    guard.stop()


def test_secrets_are_readable_by_the_owner_alone(guard, sender_at):
    guard.start()
    sender_at(guard).admitted()
    assert stat.S_IMODE((guard.folder / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(guard.store.path.stat().st_mode) & 0o007 == 0
    guard.stop()


def test_a_left_over_socket_is_no_obstacle(guard, sender_at):
    guard.start()
    guard.kill()
    assert guard.socket_path.exists()
    guard.start()
    sender_at(guard).admitted()
    guard.stop()


def test_a_second_guard_does_not_take_the_socket_away(guard, sender_at):
    guard.start()
    second = Guard(guard.folder, guard.store)
    second.spawn()
    assert second.wait() == 1
    assert "fcgi.sock" in second.log.text()
    sender_at(guard).admitted()
    guard.stop()


def test_log_lines_are_logfmt(guard, sender_at):
    guard.start()
    sender_at(guard).admitted()
    guard.stop()
    assert guard.log.all
    for line in guard.log.all:
        assert line.startswith("time="), line
        assert " level=" in line and " msg=" in line, line


def test_sighup_reads_the_configuration_again(guard, sender_at):
    guard.start()
    sender = sender_at(guard)
    for _ in range(3):
        sender.admitted()
    lines = guard.reload({"limits.webmail": {"messages_per_day": 4}})
    assert "messages_per_day" in "\n".join(lines)
    answer = sender.admitted()
    assert (window(answer, "messages_per_day")["limit"], sender.used()) == (4, 4)
    assert sender.send().status == 403
    guard.stop()


def test_a_bad_new_file_is_refused_and_the_old_one_stays(guard, sender_at):
    guard.configure({"limits.webmail": {"messages_per_day": 5}})
    guard.start()
    sender = sender_at(guard)
    sender.admitted()
    text = guard.config_path.read_text()
    lines = text.count("\n")
    guard.config_path.write_text(text + "no_such_key = 3\n")
    assert f"sendguard.conf:{lines + 1}" in "\n".join(guard.reload())
    assert window(sender.admitted(), "messages_per_day")["limit"] == 5
    guard.config_path.unlink()
    assert "sendguard.conf" in "\n".join(guard.reload())
    assert window(sender.admitted(), "messages_per_day")["limit"] == 5
    guard.configure({"limits.webmail": {"messages_per_day": 6}})
    guard.reload()
    assert window(sender.admitted(), "messages_per_day")["limit"] == 6
    guard.stop()


def test_many_reloads(guard, sender_at):
    guard.start()
    sender = sender_at(guard)
    for limit in range(100, 130):
        guard.reload({"limits.webmail": {"messages_per_day": limit}})
        assert window(sender.admitted(), "messages_per_day")["limit"] == limit
    assert sender.used() == 30
    guard.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(guard, number):
    guard.start()
    guard.process.send_signal(number)
    assert guard.wait() == 0


def test_the_socket_goes_with_the_program(guard):
    guard.start()
    guard.stop()
    assert not guard.socket_path.exists()


def test_it_serves_a_tcp_port_too(guard):
    port = free_port()
    guard.configure({"fcgi": {"listen": f"127.0.0.1:{port}"}})
    guard.spawn()

    def connect():
        assert guard.running, guard.finished_log()
        try:
            return socket.create_connection(("127.0.0.1", port), 1)
        except OSError:
            return None

    link = eventually(connect, "the guard listens")
    body = b'{"mailbox": "a@example.test", "to": ["b@x.test"]}'
    link.settimeout(PATIENCE)
    with fastcgi.Connection(link) as connection:
        assert connection.request(post_params(body), body).status == 200
    guard.stop()


def test_the_environment_of_a_service_is_enough(folder):
    """No HOME, no PATH, a closed standard input."""
    guard = Guard(folder, SqliteStore(folder))
    process = subprocess.Popen(guard.command("--check"), env={}, stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors


def test_a_url_at_the_wrong_setting_shows_no_password(folder):
    path = folder / "bad.conf"
    path.touch(0o640)
    path.write_text("[support]\nlinks = Store redis://:hunter2@localhost/0\n[web]\n"
                    "listen = redis://:hunter2@localhost/0\n[store]\nredis://:hunter2@localhost/0\n")
    shown = run("-c", path, "--check")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (CONFIGURATION, 3), shown.stderr
    assert "hunter2" not in shown.stderr


def test_the_default_file_is_found_or_not_needed(folder):
    default = pathlib.Path("/etc/sendguard/sendguard.conf")
    if default.exists():
        pytest.skip(f"{default} exists here")
    assert run("-o", f"store.url=sqlite://{folder}/s.db", "-o", f"web.secret_file={folder}/secret",
               "--check").returncode == 0


SAMPLE = pathlib.Path(__file__).parents[2] / "sendguard.conf.example"
DAEMONS = PROGRAMS[:3]


def check(program, folder, text, **environment):
    """Exit status and warnings; the store and the secret are in order."""
    path = folder / "checked.conf"
    if not path.exists():
        path.touch(0o640)
    path.write_text(text)
    done = subprocess.run([BUILD / program, "-c", path, "-o", f"store.url=sqlite://{folder}/s.db",
                           "-o", f"web.secret_file={folder}/secret", "--check"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE,
                          env={**os.environ, **environment})
    begin = f"{program}: warning: "
    return done, [line.removeprefix(begin) for line in done.stderr.splitlines()
                  if line.startswith(begin)]


@pytest.mark.parametrize("program", DAEMONS)
def test_check_warns_of_the_untouched_sample(folder, program):
    done, warnings = check(program, folder, SAMPLE.read_text())
    assert done.returncode == 0, done.stderr
    own = ["mta.webmail_hosts"] if program == "sendguard-mta" else []
    assert [line.split(":")[0] for line in warnings] == ["web.base_url", "support.contact",
                                                         "domains.own_domains", *own]


@pytest.mark.parametrize("program, settings, where", [
    ("sendguard-fcgi", "[fcgi]\nlisten = 127.0.0.1:9000\n", "fcgi.listen: is on TCP"),
    ("sendguard-fcgi", "[fcgi]\nthreads = 4\n", None),
    ("sendguard-mta", "[mta]\nlisten = 0.0.0.0:9402\nwebmail_hosts = 192.0.2.1\n",
     "mta.listen: is on an address that others may reach"),
    ("sendguard-mta", "[mta]\nlisten = [::1]:9402\nwebmail_hosts = 192.0.2.1\n", None),
    ("sendguard-mta", "[mta]\nlisten = /run/x\nwebmail_hosts = 192.0.2.1\n", None),
    ("sendguard-web", "[fcgi]\nlisten = 127.0.0.1:9000\n", None),
    ("sendguard-feedback", "[feedback]\nsource = file:/nowhere.log\n",
     "feedback.source: /nowhere.log cannot be examined: No such file"),
    ("sendguard-feedback", "[feedback]\nsource = file:/usr/bin/env\n",
     "feedback.source: Postfix' maillog_file is not /usr/bin/env"),
])
def test_check_warns_of_what_the_program_would_warn_of(folder, program, settings, where):
    done, warnings = check(program, folder, MEANT + settings)
    assert done.returncode == 0, done.stderr
    assert len(warnings) == (where is not None)
    assert where is None or warnings[0].startswith(where)


def test_the_follower_asks_the_postfix_that_is_named(folder):
    """By the variable that Postfix itself goes by."""
    log = folder / "mail.log"
    log.write_text("")
    (folder / "main.cf").write_text(f"maillog_file = {log}\n")
    settings = MEANT + f"[feedback]\nsource = file:{log}\n"
    assert "maillog_file is not" in check("sendguard-feedback", folder, settings)[0].stderr
    done, _ = check("sendguard-feedback", folder, settings, MAIL_CONFIG=str(folder))
    assert "maillog_file" not in done.stderr, done.stderr


MEANT = ("[web]\nbase_url = https://mail.example.test:8443/sending\n"
         "[support]\ncontact = desk@example.test\n[domains]\nown_domains = example.test\n")
MEANT_BY = {"sendguard-mta": MEANT + "[mta]\nwebmail_hosts = 192.0.2.1\n"}


@pytest.mark.parametrize("program", DAEMONS)
def test_check_has_nothing_to_say_of_good_settings(folder, program):
    done, _ = check(program, folder, MEANT_BY.get(program, MEANT))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_check_reads_each_profile(folder):
    profiles = sorted((SAMPLE.parent / "contrib/profiles").iterdir())
    assert len(profiles) == 4
    text = "".join(f"include = {path}\n" for path in profiles)
    done, _ = check("sendguard-web", folder, text.replace("relay.conf", "none.conf") + MEANT)
    assert done.returncode == CONFIGURATION and "none.conf cannot be read" in done.stderr
    for path in profiles:
        done, _ = check("sendguard-web", folder, f"include = {path}\n" + MEANT)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.parametrize("domains, warns", [("", True), ("hosted = example.test", False),
                                            ("own_domains = example.test", False)])
def test_check_warns_of_forwarding_for_no_domain(folder, domains, warns):
    done, warnings = check("sendguard-mta", folder, "[mta]\nforwarding_networks = 127.0.0.1\n"
                                                    f"[domains]\n{domains}\n")
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("mta.forwarding_networks: ") for line in warnings) == warns


@pytest.mark.parametrize("program", DAEMONS)
def test_check_warns_of_rights_of_the_settings(folder, program):
    path = folder / "checked.conf"
    links = "[support]\nlinks = Help https://user:hunter2@help.example.test/\n"
    good = MEANT_BY.get(program, MEANT)
    for mode, text, said in [
        (0o640, good + links, None), (0o644, good, None), (0o644, good + "# " + links[10:], None),
        (0o644, good + "[support]\nlinks = Help https://help.example.test/@us\n", None),
        (0o644, good + links, "everybody can read it (mode 0644), and it holds a password"),
        (0o642, good, "everybody can write it (mode 0642)"),
    ]:
        path.touch()
        path.chmod(mode)
        done, warnings = check(program, folder, text)
        assert done.returncode == 0, done.stderr
        assert [line.split(": expected 0640")[0] for line in warnings] == \
               ([f"{path}: {said}"] if said else [])
        assert "hunter2" not in done.stderr


def test_check_tells_of_rights_of_a_file_that_is_refused_too(folder):
    (folder / "checked.conf").touch()
    (folder / "checked.conf").chmod(0o644)
    done, warnings = check("sendguard-fcgi", folder, "[store]\nurl = redis://:hunter2@localhost/0\n")
    assert done.returncode == CONFIGURATION
    assert "it holds a password" in warnings[0] and "hunter2" not in done.stderr
