"""The units as `make install` leaves them: who may do what, in which order they start.

Runs as root inside the namespaces that tests/systemd/run makes, with a systemd of its own.
"""

import grp
import itertools
import json
import os
import pathlib
import pwd
import re
import shutil
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest

TREE = pathlib.Path(os.environ["SENDGUARD_TREE"])
UNITS = ("sendguard-fcgi", "sendguard-web", "sendguard-mta")
SERVICES = (*UNITS, "sendguard-milter", "sendguard-feedback", "sendguard-auth", "sendguard-notify",
            "sendguard-parked")
CONF = pathlib.Path("/etc/sendguard/sendguard.conf")
STATE = pathlib.Path("/var/lib/sendguard")
DATABASE = STATE / "sendguard.db"
SECRET = STATE / "secret"
FCGI = "/run/sendguard/fcgi/fcgi.sock"
WEB = "/run/sendguard/web/web.sock"
MTA = "/run/sendguard/mta/mta.sock"
SOCKETS = dict(zip(UNITS, (FCGI, WEB, MTA)))
LOG = pathlib.Path("/run/units.log")
SAMPLE = "/usr/local/share/sample.conf"
PATIENCE = 60

EVERYBODY = ("www-data", "postfix", "nobody", "sendguard")

CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
LEAVE_SOCKET = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
ASK_MTA = """
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
link.sendall(b"request=smtpd_access_policy\\nprotocol_state=END-OF-MESSAGE\\n"
             b"sasl_username=alice@example.test\\nsender=alice@example.test\\ninstance=%d\\n"
             b"client_address=192.0.2.1\\nrecipient_count=1\\n\\n" % id(link))
answer = link.recv(4096).decode()
sys.exit(0 if answer.startswith("action=DUNNO") else answer)
"""


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", **more)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def as_user(user, *command):
    return run("runuser", "-u", user, "--", *command, check=False)


def may(user, *command):
    return as_user(user, *command).returncode == 0


def refused(user, *command):
    done = as_user(user, *command)
    assert done.returncode != 0 and "Permission denied" in done.stderr, (user, command, done)


def may_connect(user, path):
    return may(user, "/usr/bin/python3", "-c", CONNECT, path)


def eventually(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}\n{log()}"
        time.sleep(0.01)


def log():
    return LOG.read_text() if LOG.exists() else ""


def systemctl(*words, check=True):
    return run("systemctl", *words, check=check)


def start(*units):
    systemctl("reset-failed")  # many starts in ten seconds are one test after another
    done = systemctl("start", *units, check=False)
    assert done.returncode == 0, done.stderr + log() + systemctl("status", *units, check=False).stdout


def show(unit, *properties):
    return [systemctl("show", "-P", name, unit).stdout.strip() for name in properties]


def stop(*units):
    systemctl("stop", *(units or SERVICES))


def submit():
    """A message, through nginx as it is in front of the webmail endpoint: the status."""
    body = json.dumps({"mailbox": "alice@example.test", "ip": "192.0.2.1", "to": ["bob@x.test"]})
    request = urllib.request.Request("http://127.0.0.1:8081/sendguard/submissions", body.encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def web_answers():
    return "<html" in as_user("www-data", "curl", "-s", "--unix-socket", WEB,
                              "http://x/sending/status?t=x").stdout


def mta_answers():
    return may("postfix", "/usr/bin/python3", "-c", ASK_MTA, MTA)


WORKS = {
    "sendguard-fcgi": lambda: submit() == 200,
    "sendguard-web": web_answers,
    "sendguard-mta": mta_answers,
}


def all_work(units=UNITS):
    for unit in units:
        eventually(WORKS[unit], f"{unit} answers")


def configure(**sections):
    """The sample as it was installed, with these settings behind it."""
    shutil.copyfile(SAMPLE, CONF)
    with CONF.open("a") as out:
        for section, settings in sections.items():
            out.write(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))


@pytest.fixture(scope="module", autouse=True)
def installed():
    run("make", "-s", "-C", TREE, "install")
    if not os.path.exists(SAMPLE):  # another file of tests has changed the settings since
        run("cp", CONF, SAMPLE)
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        os.makedirs(f"/var/lib/nginx/{name}", exist_ok=True)
    systemctl("daemon-reload")
    nginx = subprocess.Popen(["nginx", "-c", "/usr/local/share/doc/sendguard/nginx.conf.example",
                              "-g", "daemon off;"])
    yield
    nginx.terminate()
    nginx.wait(PATIENCE)


@pytest.fixture(autouse=True)
def fresh():
    """All stopped, as after a boot before the first start."""
    stop()
    shutil.rmtree("/run/sendguard", ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)
    LOG.write_text("")
    configure(web={"listen": WEB}, mta={"listen": MTA})
    yield
    stop()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def owner(path):
    found = os.stat(path)
    return f"{pwd.getpwuid(found.st_uid).pw_name}:{grp.getgrgid(found.st_gid).gr_name}"


# ---- orders ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(UNITS)), ids="-".join)
def test_any_order_of_starts(order):
    for count, unit in enumerate(order, 1):
        start(unit)
        all_work(order[:count])


@pytest.mark.parametrize("unit", UNITS)
def test_one_restarts_and_stops_while_the_others_run(unit):
    others = [other for other in UNITS if other != unit]
    start(*UNITS)
    all_work()
    systemctl("restart", unit)
    all_work()
    stop(unit)
    all_work(others)
    start(unit)
    all_work()


def test_the_target_acts_on_those_that_run_or_are_enabled():
    def states():
        return [show(unit, "ActiveState")[0] for unit in UNITS]

    fcgi, web, mta = UNITS
    start(fcgi, mta)
    before = {unit: show(unit, "MainPID") for unit in (fcgi, mta)}
    systemctl("restart", "sendguard.target")
    eventually(lambda: states() == ["active", "inactive", "active"], "those that ran run again")
    for unit in (fcgi, mta):
        assert show(unit, "MainPID") != before[unit]
    all_work((fcgi, mta))
    systemctl("stop", "sendguard.target")
    eventually(lambda: states() == ["inactive"] * 3, "all stop")
    systemctl("enable", web)
    systemctl("start", "sendguard.target")
    eventually(lambda: states() == ["inactive", "active", "inactive"], "those that are enabled start")
    systemctl("disable", web)


def test_all_start_together_again_after_all_were_stopped():
    for _ in range(2):
        start(*UNITS)
        all_work()
        stop()


def test_a_killed_one_comes_back_at_its_socket():
    start(*UNITS)
    all_work()
    systemctl("kill", "-s", "KILL", "sendguard-fcgi")
    all_work()


def test_the_units_work_with_the_sample_as_it_is_installed():
    configure()
    start(*UNITS)
    eventually(lambda: submit() == 200, "sendguard-fcgi answers")
    for port in (9401, 9402):
        eventually(lambda at=port: f"127.0.0.1:{at}" in log(), f"port {port}")
    assert not re.search(r"level=(error|warn).*(cannot|denied)", log()), log()


def test_the_policy_service_starts_where_postfix_has_no_group():
    configure()
    with open("/etc/group") as file:
        before = file.read()
    try:
        with open("/etc/group", "w") as file:
            file.write(re.sub(r"^postfix:.*\n", "", before, flags=re.M))
        start(*UNITS)
        eventually(lambda: submit() == 200, "sendguard-fcgi answers")
        eventually(lambda: 'listen=127.0.0.1:9402' in log(), "sendguard-mta listens")
    finally:
        with open("/etc/group", "w") as file:
            file.write(before)


def test_a_socket_in_the_chroot_of_postfix():
    folder = pathlib.Path("/var/spool/postfix/sendguard")
    run("install", "-d", "-m", "2750", "-o", "sendguard", "-g", "postfix", folder)
    try:
        configure(mta={"listen": folder / "mta.sock"})
        start("sendguard-mta")
        eventually(lambda: may_connect("postfix", folder / "mta.sock"), "postfix may connect")
        assert not may_connect("www-data", folder / "mta.sock")
        assert not may_connect("nobody", folder / "mta.sock")
    finally:
        stop()
        shutil.rmtree(folder)


# ---- rights ------------------------------------------------------------------------------


@pytest.fixture
def running(fresh):
    start(*UNITS)
    all_work()


@pytest.mark.parametrize("path, whose", [(FCGI, "www-data"), (WEB, "www-data"), (MTA, "postfix")])
def test_a_socket_is_open_to_its_server_alone(running, path, whose):
    for user in EVERYBODY:
        assert may_connect(user, path) == (user in (whose, "sendguard")), f"{user} at {path}"
    assert owner(path) == f"sendguard:{whose}"
    assert mode(path) == 0o660


@pytest.mark.parametrize("user", ["www-data", "postfix", "nobody"])
def test_nobody_else_reads_or_writes_the_store_and_the_secret(running, user):
    files = [DATABASE, STATE / "sendguard.db-wal", STATE / "sendguard.db-shm", SECRET]
    for path in files:
        assert path.exists()
        refused(user, "rm", "-f", path)
    refused(user, "ls", STATE)
    refused(user, "touch", STATE / "new")
    for path in (*files, CONF):
        refused(user, "cat", path)
        refused(user, "dd", "if=/dev/null", f"of={path}", "conv=notrunc")
        assert may("sendguard", "cat", path), path


@pytest.mark.parametrize("user", ["www-data", "postfix", "nobody"])
def test_nobody_else_puts_a_socket_where_one_is_expected(running, user):
    for folder in ("/run/sendguard", "/run/sendguard/fcgi", "/run/sendguard/web",
                   "/run/sendguard/mta", "/run/sendguard/milter", "/run/sendguard/feedback"):
        refused(user, "touch", f"{folder}/new")
    for path in (FCGI, WEB, MTA):
        refused(user, "rm", "-f", path)
    assert all(os.path.exists(path) for path in (FCGI, WEB, MTA))


def test_modes_and_owners(running):
    assert (mode(STATE), owner(STATE)) == (0o700, "sendguard:sendguard")
    for name in ("sendguard.db", "sendguard.db-wal", "sendguard.db-shm", "secret"):
        assert (mode(STATE / name), owner(STATE / name)) == (0o600, "sendguard:sendguard"), name
    assert (mode(CONF), owner(CONF)) == (0o640, "root:sendguard")
    assert (mode("/run/sendguard"), owner("/run/sendguard")) == (0o755, "root:root")


# Of systemd's points, of which 10 is a program that may do everything. One that asks other people's
# servers has the network; the log's reader sees whose files these are, and has their group; Postfix'
# own commands want root.
EXPOSED = {**dict.fromkeys(SERVICES, 1.0), "sendguard-notify": 1.1, "sendguard-feedback": 1.5,
           "sendguard-postqueue@1": 1.6}


@pytest.mark.parametrize("unit", EXPOSED)
def test_how_exposed_a_unit_is(unit):
    shown = run("systemd-analyze", "security", "--no-pager", f"{unit}.service").stdout
    [level] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert float(level) <= EXPOSED[unit], shown


def test_a_store_at_a_public_address_wants_a_drop_in():
    """Only local and private addresses are reached without one, which the units say."""
    run("ip", "address", "add", "203.0.113.5/32", "dev", "lo")
    server = subprocess.Popen(["redis-server", "--bind", "203.0.113.5", "--port", "6390", "--save", "",
                               "--protected-mode", "no"], stdout=subprocess.DEVNULL)
    try:
        configure(web={"listen": WEB}, store={"url": "redis://203.0.113.5:6390/0", "timeout": "1s"})
        start("sendguard-fcgi")
        eventually(lambda: re.search(r"203.0.113.5:6390: .*IPAddressAllow=", log()), "it is said what to set")
        stop("sendguard-fcgi")
        os.makedirs("/run/systemd/system/sendguard-fcgi.service.d", exist_ok=True)
        pathlib.Path("/run/systemd/system/sendguard-fcgi.service.d/store.conf").write_text(
            "[Service]\nIPAddressAllow=203.0.113.5\n")
        systemctl("daemon-reload")
        LOG.write_text("")
        start("sendguard-fcgi")
        assert submit() == 200, log()
    finally:
        stop("sendguard-fcgi")
        shutil.rmtree("/run/systemd/system/sendguard-fcgi.service.d", ignore_errors=True)
        systemctl("daemon-reload")
        server.terminate()
        server.wait(PATIENCE)


def test_a_started_program_gives_up_what_it_may_under_its_unit(running):
    """tests/blackbox/test_sandbox.py tries what that is."""
    assert "given up" not in log()
    for unit in UNITS:
        for thread in pathlib.Path(f"/proc/{show(unit, 'MainPID')[0]}/task").iterdir():
            status = (thread / "status").read_text()
            assert re.search(r"^Seccomp:\s+2$", status, re.M), status
            assert re.search(r"^CapEff:\s+0+$", status, re.M), status


def test_the_programs_belong_to_no_group_but_their_own(running):
    own = grp.getgrnam("sendguard").gr_gid
    for unit in UNITS:
        pid = systemctl("show", "-P", "MainPID", unit).stdout.strip()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Groups:(.*)$", status, re.M).group(1).split() in ([], [str(own)])
        assert set(re.search(r"^Gid:(.*)$", status, re.M).group(1).split()) == {str(own)}


# ---- the command line ----------------------------------------------------------------------

EVIL = ("sendguard", "staff", "add", "evil", "--role", "admin", "--note", "x")
AUDIT = "SELECT count(*) FROM audit"


def staff_add(user, name):
    return subprocess.run(["runuser", "-u", user, "--", "sendguard", "staff", "add", name,
                           "--role", "admin", "--note", "x"], input="correct horse battery\n",
                          capture_output=True, text=True)


def entries():
    return int(as_user("sendguard", "sqlite3", "-readonly", DATABASE, AUDIT).stdout)


@pytest.mark.parametrize("user", ["www-data", "postfix", "nobody"])
def test_the_command_line_is_of_no_use_to_others(running, user):
    assert staff_add("sendguard", "ada").returncode == 0
    before = entries()
    assert before > 0
    for settings in ((), ("-c", "/dev/null")):
        done = as_user(user, "sendguard", *settings, *EVIL[1:])
        assert done.returncode != 0
        assert "Permission denied" in done.stderr, done.stderr
        assert re.search(r"run it as root or as sendguard", done.stderr), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert not may(user, "sqlite3", DATABASE, "DROP TRIGGER audit_stays; DELETE FROM audit")
    assert entries() == before
    assert "evil" not in as_user("sendguard", "sendguard", "staff", "list").stdout


def test_root_works_on_the_store_and_leaves_it_to_the_programs(running):
    assert staff_add("root", "ada").returncode == 0
    assert "ada" in run("sendguard", "staff", "list").stdout
    for name in ("sendguard.db", "sendguard.db-wal", "sendguard.db-shm"):
        assert (mode(STATE / name), owner(STATE / name)) == (0o600, "sendguard:sendguard"), name
    all_work()


# ---- earlier installations -------------------------------------------------------------------


def test_an_earlier_installation_is_tightened_at_the_first_start():
    start(*UNITS)
    all_work()
    assert staff_add("sendguard", "ada").returncode == 0
    stop()
    # as earlier versions left it, on a machine that has not been started anew since
    run("chown", "-R", "sendguard:www-data", STATE)
    STATE.chmod(0o750)
    for path in STATE.glob("sendguard.db*"):
        path.chmod(0o660)
    shutil.rmtree("/run/sendguard")
    run("install", "-d", "-m", "750", "-o", "sendguard", "-g", "www-data", "/run/sendguard")
    # whose program could not take its socket away any more when the directory became root's
    run("/usr/bin/python3", "-c", LEAVE_SOCKET, "/run/sendguard/fcgi.sock")
    start(*UNITS)
    all_work()
    assert may_connect("www-data", "/run/sendguard/fcgi.sock")
    test_modes_and_owners(None)
    refused("www-data", "cat", DATABASE)
    assert "ada" in run("sendguard", "staff", "list").stdout


def test_an_earlier_nginx_configuration_still_finds_the_socket(running):
    assert may_connect("www-data", "/run/sendguard/fcgi.sock")
    assert not may_connect("nobody", "/run/sendguard/fcgi.sock")
    assert not may_connect("postfix", "/run/sendguard/fcgi.sock")


# ---- --check ---------------------------------------------------------------------------------


def test_check_by_root_before_the_first_start_leaves_nothing():
    run("install", "-d", "-m", "700", "-o", "sendguard", "-g", "sendguard", STATE)  # make install
    for unit in UNITS:
        done = run(f"/usr/local/sbin/{unit}", "--check", check=False)
        assert done.returncode == 0, done.stderr
        assert "web.base_url" in done.stderr
        assert list(STATE.iterdir()) == []
    CONF.chmod(0o600)  # root may read it, the services may not
    done = run("/usr/local/sbin/sendguard-fcgi", "--check", check=False)
    CONF.chmod(0o640)
    assert done.returncode == 78 and "sendguard.conf: cannot be read" in done.stderr
    start(*UNITS)
    all_work()


def test_check_while_the_services_run(running):
    for user in ("root", "sendguard"):
        for unit in UNITS:
            done = as_user(user, f"/usr/local/sbin/{unit}", "--check")
            assert done.returncode == 0, done.stderr
            assert "could not be checked" not in done.stderr
    done = as_user("nobody", "/usr/local/sbin/sendguard-web", "-c", "/dev/null", "--check")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("could not be checked: Permission denied") == 2
    test_modes_and_owners(None)
    all_work()


# ---- wrong settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_wrong_settings_fail_the_start_and_say_why(unit):
    configure(store={"url": "redis://:hunter2@localhost/0"})
    systemctl("reset-failed")
    assert systemctl("start", unit, check=False).returncode != 0
    assert show(unit, "ActiveState", "ExecMainStatus", "NRestarts") == ["failed", "78", "0"], log()
    assert "store.url" in log() and "sendguard.conf:" in log()
    assert "hunter2" not in log()
    assert not os.path.exists(SOCKETS[unit])


@pytest.mark.parametrize("unit", UNITS)
def test_a_start_ends_when_the_program_listens(unit):
    start(unit)
    assert may_connect("sendguard", SOCKETS[unit])


# ---- upgrades --------------------------------------------------------------------------------


def as_documented(document, first):
    """Runs the block of commands in a document that begins with `first`, as root, with programs
    that are built already."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (TREE / document).read_text(), re.M | re.S)
    [commands] = [block for block in blocks if block.startswith(first)]
    return run("bash", "-ec", 'sudo() { "$@"; }; make() { [ $# = 0 ] || command make -s "$@"; }\n'
               + commands, check=False, cwd=TREE)


def upgrade():
    return as_documented("docs/install.md", "make && sudo make install")


def test_an_upgrade_restarts_nothing_before_all_can_start():
    start(*UNITS)
    before = [show(unit, "MainPID") for unit in UNITS]
    configure(store={"url": "redis://:hunter2@localhost/0"})
    assert upgrade().returncode == 78
    assert [show(unit, "MainPID") for unit in UNITS] == before
    all_work()
    configure(web={"listen": WEB}, mta={"listen": MTA})
    done = upgrade()
    assert done.returncode == 0, done.stderr
    assert not any(show(unit, "MainPID") in before for unit in UNITS)
    all_work()


# ---- backups -----------------------------------------------------------------------------


def sendguard(*words):
    return run("sendguard", *words).stdout


def used_today():
    shown = json.loads(sendguard("show", "alice@example.test", "--json"))
    [used] = [window["used"] for window in shown["windows"]
              if (window["rule"], window["channel"]) == ("messages_per_day", "webmail")]
    return used


def done_as_documented(first):
    done = as_documented("docs/operate.md", first)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def enabled():
    systemctl("enable", *UNITS)
    yield
    systemctl("disable", *UNITS)


@pytest.mark.usefixtures("enabled")
def test_a_backup_of_sqlite_is_restored():
    pathlib.Path("/root/sendguard-copy.db").unlink(missing_ok=True)
    start(*UNITS)
    assert submit() == 200
    done_as_documented("sudo sh -c 'umask 077; sqlite3")
    assert mode("/root/sendguard-copy.db") == 0o600
    sendguard("suspend", "alice@example.test", "--note", "after the backup")
    assert submit() == 403
    done_as_documented("sudo systemctl stop 'sendguard*'\n"
                       "sudo rm -f /var/lib/sendguard/sendguard.db")
    assert owner(DATABASE) == "sendguard:sendguard" and mode(DATABASE) == 0o600
    assert used_today() == 1
    all_work()


@pytest.fixture
def redis():
    """redis-server's own unit, new, set up as documented."""
    conf = pathlib.Path("/etc/redis/redis.conf")
    before = conf.read_text()
    for folder in ("/var/lib/redis", "/var/log/redis"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        shutil.chown(folder, "redis", "redis")
    done_as_documented("printf")
    yield conf
    stop(*SERVICES, "redis-server")
    run("gpasswd", "-d", "sendguard", "redis")
    conf.write_text(before)


def redis_keys():
    return run("redis-cli", "-s", "/run/redis/redis-server.sock", "DBSIZE").stdout.strip()


@pytest.mark.usefixtures("enabled")
def test_a_move_to_redis_and_back(redis):
    places = {"web": {"listen": WEB}, "mta": {"listen": MTA}}
    url = "redis+unix:///run/redis/redis-server.sock?db=0"
    configure(**places)
    start(*UNITS)
    assert submit() == 200
    sendguard("suspend", "bob@example.test", "--note", "before the move")
    done_as_documented("sudo systemctl stop 'sendguard*'\n"
                       "sudo sendguard store migrate")
    configure(store={"url": url}, **places)
    checked = as_documented("docs/operate.md", "sudo sendguard-fcgi --check\nsudo systemctl start")
    assert checked.returncode == 0 and "store.url" not in checked.stderr, checked.stderr
    assert used_today() == 1
    all_work()
    assert "bob@example.test" in sendguard("suspended")
    done_as_documented("sudo rm /var/lib/sendguard/sendguard.db")
    assert not list(STATE.glob("sendguard.db*"))
    stop()
    used = used_today()
    sendguard("store", "migrate", url, f"sqlite://{DATABASE}")
    assert owner(DATABASE) == "sendguard:sendguard" and mode(DATABASE) == 0o600
    configure(**places)
    start(*UNITS)
    assert used_today() == used
    all_work()
    done_as_documented("sudo redis-cli -s /run/redis/redis-server.sock -n 0 FLUSHDB")
    assert redis_keys() == "0"


@pytest.mark.usefixtures("enabled")
def test_a_backup_of_redis_is_restored(redis):
    configure(store={"url": "redis+unix:///run/redis/redis-server.sock"}, web={"listen": WEB},
              mta={"listen": MTA})
    start(*UNITS)
    assert submit() == 200
    done_as_documented("sudo sh -c 'umask 077; redis-cli")
    assert mode("/root/sendguard-copy.rdb") == 0o600
    sendguard("suspend", "alice@example.test", "--note", "after the backup")
    assert submit() == 403
    done_as_documented("sudo systemctl stop 'sendguard*' redis-server")
    done_as_documented("sudo redis-cli -s /run/redis/redis-server.sock CONFIG SET appendonly yes")
    assert re.search(r"^appendonly yes$", redis.read_text(), re.M)
    done_as_documented("sudo systemctl start sendguard.target\n")
    assert used_today() == 1
    all_work()
    stop()
    systemctl("restart", "redis-server")  # what it reads now is its append-only file
    start(*UNITS)
    assert used_today() == 3  # all_work sent one by each channel


# ---- the end of it -------------------------------------------------------------------------


def test_an_uninstall_leaves_settings_and_data():
    start(*UNITS)
    running = run("make", "-s", "-C", TREE, "uninstall", check=False)
    assert running.returncode != 0 and "expected stopped services" in running.stderr
    all_work()
    done = as_documented("docs/install.md", "sudo systemctl disable --now")
    assert done.returncode == 0, done.stderr
    assert "left: /etc/sendguard" in done.stdout and "left: /var/lib/sendguard" in done.stdout
    assert DATABASE.exists() and CONF.exists()
    assert not shutil.which("sendguard")
    assert all(show(unit, "LoadState") == ["not-found"] for unit in SERVICES)
    run("make", "-s", "-C", TREE, "install")
    systemctl("daemon-reload")
