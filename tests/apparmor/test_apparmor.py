"""The services of the package under their AppArmor profiles, which this machine's kernel enforces.

Runs as root in the virtual machine that tests/apparmor/run makes.
"""

import json
import pathlib
import re
import smtplib
import socket
import subprocess
import urllib.request

import pytest

SERVICES = tuple(f"sendguard-{name}" for name in ("fcgi", "web", "mta", "milter", "feedback", "auth", "notify",
                                                  "parked"))
CONF = pathlib.Path("/etc/sendguard/sendguard.conf")
STATE = pathlib.Path("/var/lib/sendguard")
PATIENCE = 300  # an emulated processor
LOG = pathlib.Path("/var/log/mail.log")
STORES = {"sqlite": {"url": f"sqlite://{STATE}/sendguard.db", "log": f"file:{LOG}"},
          "redis": {"url": "redis+unix:///run/redis/redis-server.sock?db=0", "log": "journal"}}
SETTINGS = """[store]
url = {url}
timeout = 10s
[domains]
own_domains = example.test
[identity]
mode = observe
owners = postmap:hash:/etc/postfix/owners
[mta]
listen = /var/spool/postfix/sendguard/mta.sock
[milter]
listen = /run/sendguard/milter/milter.sock
[feedback]
source = {log}
listen = /run/sendguard/feedback/lmtp.sock
[notify]
mail_to = support@example.test
mail_from = sendguard@example.test
smtp = 127.0.0.1:25
[parked]
imap = imap://127.0.0.1:143
smtp = smtp://127.0.0.1:25
master_user = sendguard
"""
MAIN_CF = """compatibility_level = 3.6
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
alias_maps =
default_transport = discard
smtpd_milters = unix:/run/sendguard/milter/milter.sock
smtpd_end_of_data_restrictions = check_policy_service unix:sendguard/mta.sock
maillog_file = /var/log/mail.log
"""
MASTER_CF = "".join(f"{line}\n" for line in (
    "smtp inet n - n - - smtpd", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
    "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce", "proxymap unix - - n - - proxymap", "showq unix n - n - - showq",
    "discard unix - - n - - discard", "postlog unix-dgram n - n - 1 postlogd"))


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **{"stdout": subprocess.PIPE, **more})
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def denied():
    """What the kernel has refused a service of ours."""
    return [line for line in run("dmesg").splitlines()
            if 'apparmor="DENIED"' in line and 'profile="sendguard-' in line]


def secret(name):
    path = STATE / name
    run("install", "-m", "600", "-o", "sendguard", "-g", "sendguard", "/dev/null", path)
    path.write_text("0123456789abcdef0123456789abcdef\n")


@pytest.fixture(scope="module")
def machine():
    run("ip", "link", "set", "lo", "up")
    pathlib.Path("/etc/postfix/main.cf").write_text(MAIN_CF)
    pathlib.Path("/etc/postfix/owners").write_text("alice@example.test alice@example.test\n")
    run("postmap", "hash:/etc/postfix/owners")
    run("install", "-d", "-m", "2750", "-o", "sendguard", "-g", "postfix", "/var/spool/postfix/sendguard")
    with open("/etc/redis/redis.conf", "a") as conf:
        conf.write("\nport 0\nunixsocket /run/redis/redis-server.sock\nunixsocketperm 770\n")
    run("gpasswd", "-a", "sendguard", "redis")
    for name in ("auth-key", "parked-password"):
        secret(name)
    run("systemctl", "restart", "redis-server")
    pathlib.Path("/etc/postfix/master.cf").write_text(MASTER_CF)
    run("postfix", "stop", check=False)
    run("postfix", "start", stdout=None)
    LOG.touch()
    LOG.chmod(0o644)


@pytest.fixture(scope="module", params=STORES)
def running(machine, request):
    run("systemctl", "stop", *SERVICES)
    run("dmesg", "--clear")
    CONF.write_text(SETTINGS.format(**STORES[request.param]))
    for service in SERVICES:
        run(f"/usr/sbin/{service}", "--check")
    run("systemctl", "start", *SERVICES, "sendguard-postqueue.socket")


def pid(service):
    return run("systemctl", "show", "-P", "MainPID", service).strip()


def test_every_service_is_confined(running):
    for service in SERVICES:
        assert pathlib.Path(f"/proc/{pid(service)}/attr/current").read_text().strip() == f"{service} (enforce)"


def judged_by_webmail():
    body = json.dumps({"mailbox": "alice@example.test", "ip": "192.0.2.1", "to": ["bob@outside.test"],
                       "from": "alice@example.test"})
    request = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "DOCUMENT_URI": "/submissions", "REQUEST_URI": "/submissions",
               "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "SENDGUARD_TRUSTED": "1"}
    process = subprocess.run(["cgi-fcgi", "-bind", "-connect", "/run/sendguard/fcgi/fcgi.sock"], input=body,
                             env=request | {"PATH": "/usr/bin"}, capture_output=True, text=True)
    return process.stdout


def asked(socket_path, words):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(socket_path)
        link.sendall(words.encode())
        return link.recv(4096).decode()


def test_every_service_works_and_is_denied_nothing(running):
    assert '"decision"' in judged_by_webmail(), judged_by_webmail()
    with smtplib.SMTP("127.0.0.1", 25, timeout=PATIENCE) as smtp:  # policy service and milter
        smtp.sendmail("alice@example.test", "bob@outside.test", "From: alice@example.test\n\nHello\n")
    for path in ("/sending/status?t=x", "/metrics", "/sending/desk/"):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:9401{path}", timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            assert error.code < 500
    assert "220" in asked("/run/sendguard/feedback/lmtp.sock", "")
    assert re.search(r"^end$", asked("/run/sendguard/postqueue.sock", "list\n"), re.M)
    for service in SERVICES:
        run("systemctl", "reload", service)
    run("systemctl", "restart", *SERVICES)
    assert all(run("systemctl", "is-active", service).strip() == "active" for service in SERVICES)
    assert not denied(), "\n".join(denied())


TRY = """
import json, os, sys

def tried(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"

with open("/proc/self/attr/current", "w") as own:
    own.write("changeprofile " + sys.argv[1])
found = {path: tried(os.open, path, os.O_RDONLY) for path in sys.argv[2:]}
found["write"] = tried(os.open, sys.argv[2], os.O_WRONLY)
print(json.dumps(found), flush=True)
os.execv("/bin/sh", ["sh", "-c", "echo executed"])
"""


@pytest.mark.parametrize("service", (*SERVICES, "sendguard-postqueue"))
def test_what_no_service_may(service):
    """Tried as root, who may all of it without a profile."""
    run("touch", "/root/private")
    closed = ("/etc/shadow", "/root/private", "/home", "/var/lib/dpkg/status")
    said = run("/usr/bin/python3", "-c", TRY, service, CONF, *closed, check=False)
    assert json.loads(said.splitlines()[0]) == {
        str(CONF): "done", "write": "PermissionError", **dict.fromkeys(closed, "PermissionError")}
    assert re.search(r"^PermissionError", said, re.M) and "executed" not in said
    assert denied()
