"""How Sendguard is let into Redis: TLS, users and their rights, passwords, names of hosts."""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from endpoint import Endpoint, Sender, new_ip, new_mailbox, people
from mta import Mta
from programs import BUILD, PATIENCE, TREE, Guard, RedisServer, documented_rights, free_port
from redis_access import HOST, Authority, TlsStore
from web import Program, Web

CONFIGURATION = 78
pytestmark = [pytest.mark.sanitized]
PASSWORD = "hunter2hunter2"


class Place:
    """A store by its URL, which somebody else starts."""

    kind = "redis"

    def __init__(self, url):
        self.url = url


def check(folder, url, settings=None, program="sendguard-mta"):
    """What --check finds: exit status, text."""
    words = [f"store.{key}={value}" for key, value in {"timeout": "10s", **(settings or {})}.items()]
    done = subprocess.run(
        [BUILD / program, "-o", f"store.url={url}", "-o", f"web.secret_file={folder}/secret",
         "-o", f"mta.listen={folder}/m.sock", *(word for pair in words for word in ("-o", pair)),
         "--check"], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, "\n".join(
        line for line in done.stderr.splitlines() if "store" in line)


def refused(folder, url, settings, *words):
    status, said = check(folder, url, settings)
    assert status == CONFIGURATION, said
    for word in words:
        assert word in said, said
    return said


def unwanted(folder, url, settings):
    """The server does not accept our certificate, or that there is none: it says so, or it is gone
    before that is read."""
    status, said = check(folder, url, settings)
    assert status == (CONFIGURATION if "TLS: " in said else 0), said
    assert re.search(r"TLS: .*alert|after TLS began: it may want another certificate", said), said


def answers(folder, url, settings):
    assert check(folder, url, settings) == (0, "")


@pytest.fixture(scope="module")
def authority(new_folder):
    return Authority(new_folder())


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.sign("server")


@pytest.fixture
def tls_store(folder, authority, certificate):
    """Asks no client for a certificate."""
    store = TlsStore(folder, authority, *certificate, "--tls-auth-clients", "no")
    store.start()
    yield store
    store.stop()


# ---- TLS ------------------------------------------------------------------------------------


@pytest.mark.threads
def test_sending_by_tls(folder, authority, tls_store, start, sender_at):
    guard = start(tls_store, {"store": {"tls_ca_file": authority.file},
                              "limits.webmail": {"messages_per_day": 3}})
    sender = sender_at(guard)
    for _ in range(3):
        sender.admitted()
    assert sender.send(["b@example.test"]).status == 403
    tls_store.stop()  # and a connection that is lost is made again
    tls_store.start()
    sender_at(guard).admitted()


def test_the_certificate_has_to_be_of_the_authority_and_of_the_host(folder, new_folder, authority,
                                                                    certificate, tls_store):
    trusted = {"tls_ca_file": authority.file}
    answers(folder, tls_store.url, trusted)
    answers(folder, f"rediss://127.0.0.1:{tls_store.port}/3", trusted)
    refused(folder, tls_store.url, {}, "certificate is not accepted: self-signed certificate in")
    other = Authority(new_folder())
    refused(folder, tls_store.url, {"tls_ca_file": other.file}, "certificate is not accepted")
    refused(folder, tls_store.url, {"tls_ca_file": folder / "none.crt"},
            f"store.tls_ca_file: {folder}/none.crt: No such file")
    status, said = check(folder, f"redis://127.0.0.1:{tls_store.port}", {"timeout": "250ms"})
    assert status == 0 and "does not answer now" in said
    assert "before an answer: it may want TLS (rediss)" in said


@pytest.mark.parametrize("name, host", [("DNS:other.example", "localhost"),
                                        ("DNS:localhost", "127.0.0.1"),
                                        ("IP:127.0.0.2", "127.0.0.1"),
                                        ("DNS:localhost.example", "localhost")])
def test_a_certificate_of_another_name_is_refused(folder, authority, name, host):
    store = TlsStore(folder, authority, *authority.sign("stranger", name), "--tls-auth-clients", "no")
    store.start()
    try:
        refused(folder, f"rediss://{host}:{store.port}", {"tls_ca_file": authority.file},
                "certificate is not accepted: ", "mismatch")
    finally:
        store.stop()


def test_a_server_that_wants_a_certificate(folder, new_folder, authority, certificate, start,
                                           sender_at):
    store = TlsStore(folder, authority, *certificate)
    store.start()
    try:
        mine, key = authority.sign("guard", "DNS:guard.test")
        trusted = {"tls_ca_file": authority.file}
        both = {**trusted, "tls_cert_file": mine, "tls_key_file": key}
        unwanted(folder, store.url, trusted)
        refused(folder, store.url, {**trusted, "tls_cert_file": mine},
                "store.tls_key_file is not set")
        refused(folder, store.url, {**trusted, "tls_key_file": key},
                "store.tls_cert_file is not set")
        strangers, strangers_key = Authority(new_folder()).sign("guard", "DNS:guard.test")
        unwanted(folder, store.url, {**trusted, "tls_cert_file": strangers,
                                     "tls_key_file": strangers_key})
        refused(folder, store.url, {**both, "tls_key_file": strangers_key}, "store.tls_key_file")
        key.chmod(0o640)
        refused(folder, store.url, both, f"store.tls_key_file: {key}: is open to others (mode 0640)")
        key.chmod(0o600)
        answers(folder, store.url, both)
        sender_at(start(store, {"store": both})).admitted()
    finally:
        store.stop()


def test_a_server_without_tls(folder, authority):
    port = free_port()
    server = RedisServer(folder, "--port", port)
    server.start()
    try:
        answers(folder, f"redis://{HOST}:{port}", {})
        status, said = check(folder, f"rediss://{HOST}:{port}",
                             {"tls_ca_file": authority.file, "timeout": "250ms"})
        assert status == 0 and "no answer by TLS within 250 ms: it may speak none (redis)" in said
    finally:
        server.stop()


# ---- user and password ----------------------------------------------------------------------


@pytest.fixture
def password(folder):
    path = folder / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def line_of(user):
    """The line of docs/store.md, with our password."""
    return f"user {user} on >{PASSWORD} {documented_rights(user)}\n"


@pytest.fixture
def users(folder):
    """A server that lets in whom docs/store.md names, by the lines that stand there, and nobody who
    does not sign in."""
    (folder / "users.acl").write_text(
        "user default off\nuser tester on >tester ~* +@all\n"
        + line_of("sendguard") + line_of("sendguard-guard"))
    server = RedisServer(folder, "--aclfile", folder / "users.acl", rights=None)
    server.start()
    yield server
    server.stop()


def denied(server):
    return [dict(zip(entry[::2], entry[1::2]))[b"object"] for entry in server.command("ACL", "LOG")]


def use_all(folder, store, settings, desk):
    """Everything that the programs do. desk: with the accounts of staff."""
    mailbox = new_mailbox()
    guard = Guard(folder, store, {"limits.webmail": {"messages_per_day": 3},
                                  "identity": {"mode": "enforce"}, "store": settings}).start()
    mta = Mta(folder, store, {"store": settings}).start()
    with Endpoint(guard) as endpoint:
        sender = Sender(endpoint, mailbox, new_ip())
        for _ in range(3):
            sender.admitted()
        for _ in range(3):
            assert sender.send(people(1, "example.com")).status in (403, 429)
        foreign = Sender(endpoint, new_mailbox(), new_ip())
        for number in range(3):
            refused = foreign.send([f"r{number}@x.test"], **{"from": "boss@else.test"})
        assert refused.json["suspension"]["cause"] == "identity"
        assert endpoint.refund("<none@test>", mailbox).status in (200, 204, 404)
    if desk:
        web = Web(folder, store, {"store": settings}).hire().start()
        for words in (["lift", mailbox], ["reset", mailbox], ["suspend", mailbox], ["lift", mailbox],
                      ["extra", mailbox, "--messages", "5"]):
            web.shell(*words, "--note", "for a test")
        for words in (["show", mailbox], ["log"], ["audit"], ["near"], ["suspended"],
                      ["senders", "@example.test"], ["staff", "list"]):
            web.shell(*words)
        assert web.desk("ada").get("/desk/").status == 200
        assert Program(web, web.token("script", "viewer")).get("/api/v1/suspended").status == 200
        web.stop()
    guard.stop()
    mta.stop()


@pytest.mark.parametrize("user, desk", [("sendguard", True), ("sendguard-guard", False)])
def test_the_documented_rights_are_enough(folder, users, password, user, desk):
    store = Place(f"redis+unix://{users.socket_path}")
    use_all(folder, store, {"user": user, "password_file": password}, desk)
    assert denied(users) == []


def commands(server):
    """Name, arity, flags and subcommands of all that the server knows."""
    def read(entry):
        return entry[0].decode(), entry[1], entry[2], [read(one) for one in entry[9]]

    return [read(entry) for entry in server.command("COMMAND")]


def may(server, user, name, arity, *words):
    words = [*name.split("|"), *words]
    words += ["sg:numbers"] * (abs(arity) - len(words))
    return server.command("ACL", "DRYRUN", user, *words).decode()


@pytest.mark.parametrize("user", ["sendguard", "sendguard-guard"])
def test_the_documented_rights_are_all(users, user):
    listed = set(re.findall(r"\+(\S+?)(?= |$)", documented_rights(user).split(" (")[0]))
    known = set()
    for name, arity, flags, parts in commands(users):
        for name, arity, flags, _ in parts or [(name, arity, flags, [])]:
            known.add(name)
            if b"no_auth" in flags or name in listed:
                continue
            said = may(users, user, name, arity)
            assert "has no permissions to run" in said, f"{name}: {said}"
    assert listed <= known
    assert may(users, user, "get", 2, "sg:mailbox:a@b.test") == "OK"
    for key in ("other", "sg", "SG:mailbox:a@b.test"):
        assert "has no permissions to access" in may(users, user, "get", 2, key)


def test_a_guard_cannot_make_accounts(users):
    for kind in ("staff", "token", "session"):
        key = f"sg:kept:{kind}:mallory"
        assert may(users, "sendguard", "set", 3, key, "x") == "OK"
        for words in (("set", 3, key, "x"), ("get", 2, key)):
            assert "no permissions" in may(users, "sendguard-guard", *words)
        assert may(users, "sendguard-guard", "del", 2, key) == "OK"


def test_every_documented_right_is_used(users):
    """By a script, or by name in the sources. What `sendguard doctor` alone asks (redis_server.c) it does
    without."""
    names = {name.upper() for name, *_ in commands(users)}
    used = set()
    for path in (TREE / "lib/store/redis").iterdir():
        if path.suffix == ".lua":
            used |= set(re.findall(r"call\('([A-Z]+)'", path.read_text()))
        elif path.name not in ("redis_script.c", "redis_server.c"):
            used |= set(re.findall(r'"([A-Z]+)"', path.read_text())) & names
    listed = {word.split("|")[0].upper()
              for word in re.findall(r"\+(\S+)", documented_rights("sendguard"))}
    assert listed == used - {"AUTH", "READONLY"}  # needs no right; an error


def test_passwords(folder, users, password):
    url = f"redis+unix://{users.socket_path}"
    mine = {"user": "sendguard", "password_file": password}
    answers(folder, url, mine)
    refused(folder, url, {}, "NOAUTH", "store.password_file")
    refused(folder, url, {"password_file": password}, "WRONGPASS", "(store.user, store.password_file)")
    refused(folder, url, {"user": "nobody", "password_file": password}, "WRONGPASS")
    refused(folder, url, {"user": "sendguard"}, "WRONGPASS")
    users.command("ACL", "SETUSER", "sendguard", "-evalsha")
    status, said = check(folder, url, mine)
    assert status in (0, CONFIGURATION)
    password.write_text("wrong\n")
    refused(folder, url, mine, "WRONGPASS")


def test_a_new_password_needs_no_restart(folder, users, password, start, sender_at):
    store = Place(f"redis+unix://{users.socket_path}")
    guard = start(store, {"store": {"user": "sendguard", "password_file": password}})
    sender_at(guard).admitted()
    users.command("ACL", "SETUSER", "sendguard", ">other")
    password.write_text("other\n")
    users.command("ACL", "SETUSER", "sendguard", f"<{PASSWORD}")
    users.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    sender_at(guard).admitted()


def test_requirepass(folder, password, start, sender_at):
    server = RedisServer(folder, "--requirepass", PASSWORD, rights=None)
    server.start()
    try:
        url = f"redis+unix://{server.socket_path}"
        refused(folder, url, {}, "NOAUTH")
        answers(folder, url, {"password_file": password})
    finally:
        server.stop()


@pytest.mark.parametrize("text, mode, said", [
    (PASSWORD + "\n", 0o640, "is open to others (mode 0640); expected 0600: chmod 600"),
    (None, 0o600, "cannot be opened: No such file"),
    ("", 0o600, "expected the password, one line"),
    (PASSWORD + "\n" + PASSWORD + "\n", 0o600, "expected the password, one line"),
    ("x" * 2000, 0o600, "expected the password, one line"),
])
def test_the_password_file(folder, users, password, text, mode, said):
    if text is None:
        password.unlink()
    else:
        password.write_text(text)
        password.chmod(mode)
    refused(folder, f"redis+unix://{users.socket_path}",
            {"user": "sendguard", "password_file": password}, f"store.password_file: {password}: {said}")


def test_the_password_is_shown_nowhere(folder, users, password, start, sender_at):
    store = Place(f"redis+unix://{users.socket_path}")
    guard = start(store, {"store": {"user": "sendguard", "password_file": password}})
    sender_at(guard).admitted()
    pid = guard.process.pid
    assert PASSWORD not in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    assert PASSWORD not in pathlib.Path(f"/proc/{pid}/environ").read_text()
    shown = subprocess.run([BUILD / "sendguard", "-c", guard.config_path, "config"], text=True,
                           capture_output=True, check=True).stdout
    assert f"password_file = {password}" in shown and PASSWORD not in shown
    users.command("ACL", "SETUSER", "sendguard", ">other", f"<{PASSWORD}")
    users.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert sender_at(guard).send(["b@example.test"]).status == 503
    guard.log.wait("WRONGPASS")
    assert PASSWORD not in guard.log.text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("owner", [0, 65534])
def test_root_looks_as_the_owner_of_the_password(folder, password, owner):
    """As the owner of a SQLite file: the services' user has the password, and root has no other."""
    port = free_port()
    server = RedisServer(folder, "--port", port, "--requirepass", PASSWORD, rights=None)
    server.start()
    try:
        os.chown(password, owner, owner)
        done = subprocess.run(
            [BUILD / "sendguard", "-o", f"store.url=redis://127.0.0.1:{port}", "-o", "store.timeout=10s",
             "-o", f"store.password_file={password}", "note", "alice@example.test", "--note", "x"],
            capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
    finally:
        server.stop()


@pytest.mark.parametrize("url", ["redis://:hunter2hunter2@localhost", "rediss://u:hunter2hunter2@h/1"])
def test_a_password_in_a_url_is_refused(folder, url):
    refused(folder, url, {}, "holds a user name or a password; set store.user and "
                             "store.password_file instead")


def test_tls_that_is_not_used_is_said(folder, authority):
    """Who sets its files means to be protected; the password would go out readable."""
    _, said = check(folder, "redis://127.0.0.1:1", {"tls_ca_file": authority.file})
    assert "store.tls_ca_file: is not used, because store.url is without TLS" in said


# ---- names of hosts -------------------------------------------------------------------------


# The program that it becomes never reads that socket.
SILENT_NAME_SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
server.set_inheritable(True)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.threads
def test_a_name_server_that_is_silent(folder, start, sender_at):
    """A look-up takes no longer than `store.timeout`, and an end waits for none; the resolver itself
    would wait for ten seconds."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    alone = ["unshare", "--mount", "--net", "sh", "-ec",
             f"ip link set lo up; mount --bind {folder}/resolv.conf /etc/resolv.conf; exec \"$@\"",
             "sh", sys.executable, "-c", SILENT_NAME_SERVER]
    if os.geteuid() != 0 or subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs root, and namespaces")
    guard = start(Place("redis://store.example.test:6379"), {"store": {"timeout": "200ms"}},
                  wrapper=alone)
    for _ in range(3):
        began = time.monotonic()
        assert sender_at(guard).send(["b@example.test"]).status == 503
        assert time.monotonic() - began < 5
    guard.log.wait("no answer of the name server")


def test_a_name_that_is_none(folder):
    status, said = check(folder, "redis://no-such-host.invalid:6379", {"timeout": "5s"})
    assert status == 0 and "does not answer now: redis at no-such-host.invalid:6379: " in said
