"""sendguard-notify with a real Postfix, whose mailboxes are looked into, and a web server on a socket file."""

import contextlib
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import shutil
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

from clock import SECOND, RunningClock
from programs import BUILD, PATIENCE, Guard, eventually, free_port
from redis_access import Authority

KEY = "a-key-of-the-tests-that-nobody-else-has"
LONG = bytes(1 << 24)
SHELL = BUILD / "sendguard"
CONDITIONS = ("suspension", "own_lock", "near_limit", "bypassed", "complaint", "domain_blocked",
              "logins_blocked", "held", "appeal", "log_gap", "digest")

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtpd_peername_lookup = no
virtual_mailbox_domains = example.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ desk@example.test=desk/, alice@example.test=alice/ }}
virtual_minimum_uid = 8
virtual_uid_maps = static:8
virtual_gid_maps = static:8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit
multi_instance_enable = yes
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
"""
MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{plain_port} inet n - n - - smtpd
    -o smtpd_tls_security_level=none
tlsmgr unix - - n 1000? 1 tlsmgr
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """It delivers to desk@ and alice@example.test; by TLS too, but for `plain_port`."""

    def __init__(self, authority):
        assert os.geteuid() == 0, "Postfix runs as several users: this test wants root"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sendguard.", dir="/tmp"))
        self.folder.chmod(0o755)
        self.port, self.plain_port = free_port(), free_port()
        certificate, key = authority.sign("mx", "IP:127.0.0.1")
        for name in ("conf", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "mail", "mail")
        (self.folder / "conf/main.cf").write_text(MAIN_CF.format(folder=self.folder, certificate=certificate, key=key))
        (self.folder / "conf/master.cf").write_text(MASTER_CF.format(port=self.port, plain_port=self.plain_port))
        self.run("start")

    def run(self, command):
        subprocess.run(["postfix", "-c", self.folder / "conf", command], check=True, timeout=PATIENCE,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.run("stop")
        shutil.rmtree(self.folder)

    def empty(self):
        for path in (self.folder / "mail").glob("*/new/*"):
            path.unlink()

    def mail(self, name):
        """What that mailbox has got, the oldest first."""
        paths = sorted((self.folder / "mail" / name).glob("new/*"), key=lambda path: path.stat().st_mtime_ns)
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


class Hook(socketserver.ThreadingMixIn):
    """Where notifications are posted to. `answer`: a status, an event that it waits for, or LONG."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address):
        self.got, self.answer = [], 204
        super().__init__(address, Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()

    def told(self, condition=None):
        bodies = [json.loads(body) for _, _, body in self.got]
        return [one for one in bodies if condition in (None, one["condition"])]


class SocketHook(Hook, socketserver.UnixStreamServer):
    pass


class TlsHook(Hook, socketserver.TCPServer):
    def __init__(self, certificate, key):
        super().__init__(("127.0.0.1", 0))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_address[1]}/hook"

    def handle_error(self, *_):
        """A client that does not believe the certificate goes away."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        hook = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook.got.append((self.path, self.headers, body))
        if isinstance(hook.answer, threading.Event):
            hook.answer.wait(PATIENCE)
            return
        self.send_response(200 if hook.answer is LONG else hook.answer)
        if hook.answer == 302:
            self.send_header("Location", "http://localhost/elsewhere")
        self.send_header("Content-Length", str(len(LONG) if hook.answer is LONG else 0))
        self.end_headers()
        if hook.answer is LONG:
            with contextlib.suppress(OSError): # nobody reads to its end
                self.wfile.write(LONG)

    def address_string(self):
        return "the client"

    def log_message(self, *_):
        pass


class Notify(Guard):
    """sendguard-notify; it listens nowhere."""

    program = BUILD / "sendguard-notify"

    def start(self, *more):
        self.spawn(*more)
        self.log.wait('msg=(started|"cannot start")')
        assert self.running, self.finished_log()
        return self

    def leads(self):
        self.log.wait('msg="notifications are sent here"')
        return self

    def shell(self, *words, status=0):
        done = subprocess.run([str(SHELL), "-c", str(self.config_path), *words], text=True, capture_output=True,
                              timeout=PATIENCE * 3, stdin=subprocess.DEVNULL, env=dict(os.environ, **self.environment))
        assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def suspend(self, mailbox):
        self.shell("suspend", mailbox, "--cause", "terms", "--for", "24h", "--note", "a test")
        self.reload() # it looks at once

    def lift(self, mailbox):
        self.shell("lift", mailbox, "--note", "a test")
        self.reload()


@pytest.fixture(scope="module")
def authority(new_folder):
    return Authority(new_folder())


@pytest.fixture(scope="module")
def postfix(authority):
    postfix = Postfix(authority)
    yield postfix
    postfix.stop()


@pytest.fixture
def hook(folder):
    hook = SocketHook(str(folder / "hook.sock"))
    yield hook
    hook.stop()


@pytest.fixture
def notify(folder, store, postfix, hook):
    """Not started yet."""
    key = folder / "notify-key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    postfix.empty()
    notify = Notify(folder, store, {"notify": {
        "mail_to": "desk@example.test", "mail_from": "guard@example.test", "smtp": f"127.0.0.1:{postfix.port}",
        "webhook": f"unix:{folder}/hook.sock", "webhook_key_file": key, "interval": "1s"}})
    yield notify
    notify.stop()


def check_signature(headers, body):
    moment, signature = (part.split("=", 1)[1] for part in headers["Sendguard-Signature"].split(","))
    wanted = hmac.new(KEY.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signature == wanted and abs(int(moment) - time.time()) < 600


def counted(notify, by, result):
    return notify.store.counters().get(f"notifications by={by} result={result}", 0)


def test_suspension(notify, hook, postfix):
    """Support is told, and the user of the mailbox when it begins and ends."""
    notify.configure({"notify": {"user_languages": "de"}})
    notify.start().leads()
    notify.suspend("alice@example.test")
    eventually(lambda: hook.got, "it is posted")
    path, headers, body = hook.got[0]
    told = json.loads(body)
    check_signature(headers, body)
    assert path == "/" and headers["Content-Type"] == "application/json"
    assert headers["Sendguard-Id"] == told["id"] and told["condition"] == "suspension"
    assert told["items"][0]["mailbox"] == "alice@example.test" and told["items"][0]["cause"] == "terms"
    eventually(lambda: postfix.mail("desk"), "support gets mail")
    mail = postfix.mail("desk")[0]
    assert mail["Subject"] == "[Sendguard] alice@example.test is suspended" == told["subject"]
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Return-Path"] == "<>"
    assert mail["Message-ID"] == f"<{told['id']}@example.test>"
    assert "against the terms of use" in mail.get_content()
    eventually(lambda: postfix.mail("alice"), "the user gets mail")
    mail = postfix.mail("alice")[0]
    assert mail["Subject"].startswith("Das Senden aus alice@example.test ist bis")
    assert "Was aus diesem Postfach gesendet wurde" in " ".join(mail.get_content().split())
    notify.lift("alice@example.test")
    eventually(lambda: len(postfix.mail("alice")) == 2, "the user gets mail when it ends")
    assert postfix.mail("alice")[1]["Subject"] == "alice@example.test kann wieder senden"
    assert len(hook.got) == 1 and len(postfix.mail("desk")) == 1
    eventually(lambda: counted(notify, "user", "sent") == 2, "it is counted")
    eventually(lambda: counted(notify, "mail", "sent") == counted(notify, "webhook", "sent") == 1, "it is counted")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_user_who_is_refused(notify, postfix):
    """For good: it is not tried again. Where the mail server is away it is."""
    notify.configure({"notify": {"user_languages": "en"}})
    notify.start().leads()
    notify.suspend("nobody@example.test")
    notify.log.wait('msg="a notification is given up" by=user')
    assert "0 by user wait" in notify.shell("notify")
    notify.reload({"notify": {"smtp": f"127.0.0.1:{free_port()}"}}) # a change is taken over
    notify.suspend("alice@example.test")
    eventually(lambda: "1 by user wait, of which 1 were tried in vain" in notify.shell("notify"), "it waits")
    eventually(lambda: counted(notify, "user", "given_up") == 1, "it is counted")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_fails_is_sent_again(notify, hook, postfix, folder):
    """Also after a kill: once more, with the same id. Redirects are not followed."""
    clock = RunningClock(folder)
    notify.environment = clock.environment
    hook.answer = 302
    notify.start().leads()
    notify.suspend("bob@example.test")
    eventually(lambda: hook.got, "it is posted")
    notify.log.wait('level=error msg="a notification cannot be sent" by=webhook .*HTTP status 302')
    assert [path for path, _, _ in hook.got] == ["/"]
    eventually(lambda: postfix.mail("desk"), "mail comes all the same")
    hook.answer = 500
    clock.advance(5 * SECOND)
    notify.reload()
    eventually(lambda: len(hook.got) == 2, "it is posted again")
    eventually(lambda: counted(notify, "webhook", "failed") == 2, "it has failed")
    hook.answer = threading.Event()
    clock.advance(10 * SECOND)
    notify.reload()
    eventually(lambda: len(hook.got) == 3, "it is posted again")
    assert "1 by webhook wait, of which 1 were tried in vain" in notify.shell("notify")
    assert "1 notification by webhook cannot be sent" in " ".join(notify.shell("doctor", "notify").split())
    notify.kill()
    hook.answer = LONG
    clock.advance(30 * SECOND) # the one that was killed leads no more
    notify.start().leads()
    eventually(lambda: len(hook.got) == 4, "it is posted once more")
    assert len({json.loads(body)["id"] for _, _, body in hook.got}) == 1
    eventually(lambda: "0 by webhook wait" in notify.shell("notify"), "nothing waits")
    assert len(hook.got) == 4


@pytest.mark.parametrize("store", ["redis"], indirect=True)
def test_store_is_away(notify, hook, postfix):
    """What happened meanwhile is told afterwards."""
    notify.configure({"store": {"timeout": "2s"}})
    notify.start().leads()
    notify.suspend("dan@example.test")
    eventually(lambda: postfix.mail("desk"), "mail comes")
    eventually(lambda: hook.told(), "it is posted")
    notify.store.silence()
    notify.reload()
    notify.log.wait('msg="store does not answer: nobody is told of anything"')
    notify.store.speak()
    notify.suspend("erin@example.test")
    eventually(lambda: {one["items"][0]["mailbox"] for one in hook.told()} >=
               {"dan@example.test", "erin@example.test"}, "both are told", PATIENCE * 2)
    eventually(lambda: len(postfix.mail("desk")) == 2, "mail comes")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_tls(notify, postfix, authority, folder):
    """Mail and webhook by TLS, with certificates of an authority that is named; no others, and no
    mail without TLS."""
    hook = TlsHook(*authority.sign("hook", "IP:127.0.0.1"))
    try:
        notify.configure({"notify": {"smtp_tls": "yes", "webhook": hook.url, "tls_ca_file": authority.file}})
        notify.start()
        tried = notify.shell("notify", "--test")
        assert "fail" not in tried and [one["condition"] for one in hook.told()] == list(CONDITIONS)
        eventually(lambda: len(postfix.mail("desk")) == len(CONDITIONS), "mail comes")
        assert "with ESMTPS id" in str(postfix.mail("desk")[0]["Received"])

        stranger = Authority(folder, "stranger")
        notify.configure({"notify": {"tls_ca_file": stranger.file}})
        tried = json.loads(notify.shell("notify", "--test", "--json", status=1))["tried"]
        assert tried and not any(one["sent"] for one in tried)
        assert all("certificate" in one["error"] for one in tried), tried
    finally:
        hook.stop()
    other = TlsHook(*authority.sign("other", "DNS:other.test"))
    try:
        notify.configure({"notify": {"tls_ca_file": authority.file, "webhook": other.url,
                                     "smtp": f"127.0.0.1:{postfix.plain_port}"}})
        tried = json.loads(notify.shell("notify", "--test", "--json", status=1))["tried"]
        assert not any(one["sent"] for one in tried), "another name; no STARTTLS"
    finally:
        other.stop()
    assert hook.told() and not other.told() and len(postfix.mail("desk")) == len(CONDITIONS)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_test(notify, hook, postfix):
    """One of each, also where the program does not run."""
    notify.configure({"notify": {"user_languages": "de en"}})
    notify.start().leads()
    notify.stop()
    lines = notify.shell("notify", "--test").splitlines()
    assert len(lines) == 1 + 2 * len(CONDITIONS) + 2 and all(line.endswith("sent") for line in lines[1:])
    assert [one["condition"] for one in hook.told()] == list(CONDITIONS)
    assert all(one["test"] for one in hook.told())
    eventually(lambda: len(postfix.mail("desk")) == len(CONDITIONS) + 2, "mail comes")
    hook.answer = 500
    tried = json.loads(notify.shell("notify", "--test", "--json", status=1))["tried"]
    assert {(one["by"], one["sent"]) for one in tried} == {("mail", True), ("webhook", False), ("user", True)}
    assert all(one["error"] == "notify.webhook: answers with HTTP status 500" for one in tried
               if one["by"] == "webhook")


@pytest.mark.parametrize("store", ["redis"], indirect=True)
def test_two_programs(notify, hook, folder):
    """One of them sends."""
    other = Notify(folder, notify.store, notify.settings)
    notify.start().leads()
    other.start()
    other.log.wait('msg="another program sends notifications"')
    notify.suspend("carol@example.test")
    eventually(lambda: hook.got, "it is posted")
    other.stop()
    assert len(hook.got) == 1


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault, words", [
    ({"mail_from": ""}, "notify.mail_from is not set"),
    ({"webhook_key_file": "/nowhere/key"}, "/nowhere/key"),
])
def test_wrong_settings(notify, fault, words):
    notify.configure({"notify": fault})
    notify.spawn()
    assert notify.wait() == 78
    assert words in notify.finished_log().replace('"', " ").replace("where=", "").replace(" error= ", " ")
    notify.process = None


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_its_own_mail_would_be_refused(notify):
    notify.configure({"notify": {"smtp": "127.0.0.1:25"}, "mta": {"forwarding_networks": "127.0.0.0/8"}})
    done = subprocess.run(notify.command("--check"), text=True, capture_output=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "notify.smtp" in done.stdout + done.stderr
    told = " ".join(notify.shell("doctor", "notify").split())
    assert "mta.forwarding_networks holds its address" in told
