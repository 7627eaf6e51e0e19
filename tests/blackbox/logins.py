"""sendguard-auth, a private Dovecot that asks it, and people who sign in there."""

import concurrent.futures
import http.client
import imaplib
import json
import re
import shutil
import smtplib
import socket
import subprocess

from programs import BUILD, PATIENCE, PortProgram, eventually, free_port

PROGRAM = BUILD / "sendguard-auth"
KEY = "a-key-of-the-tests-that-nobody-else-has"
DOVEADM_KEY = "another-key-of-the-tests"
RIGHT = "correct-horse"

# Dovecot 2.4 has another configuration language; docs/logins.md names the settings of both.
VERSION_23 = subprocess.run(["dovecot", "--version"], capture_output=True, text=True,
                            check=False).stdout.startswith("2.3")
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = sendguard-logins
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
login_trusted_networks = 127.0.0.99
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
  {process_for_many}
  client_limit = 1000
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0666
  }}
}}
doveadm_api_key = {doveadm_key}
service doveadm {{
  inet_listener http {{
    {listens_on} = 127.0.0.1
    port = {doveadm_port}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
auth_policy_server_url = http://127.0.0.1:{policy_port}/
auth_policy_server_api_header = Authorization: Bearer {key}
auth_policy_hash_nonce = tests
"""
OF_23 = """
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/passwd
  override_fields = sendguard=1
  {stolen}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
auth_policy_server_timeout_msecs = {timeout}
auth_policy_request_attributes = login=%{{requested_username}} pwhash=%{{hashed_password}} \
remote=%{{rip}} protocol=%s session_id=%{{session}} stage=%{{passdb:sendguard}}
"""
FIRST_OF_24 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
OF_24 = """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/passwd
  default_password_scheme = PLAIN
  auth_username_format = %{{user}}
  fields {{
    sendguard = 1
  }}
  {stolen}
}}
userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = {folder}/mail/%{{user}}
  }}
}}
auth_policy {{
  http_client_request_absolute_timeout = {timeout} ms
}}
auth_policy_request_attributes {{
  stage = %{{passdb:sendguard}}
}}
"""
# A second password database, behind the first: docs/logins.md.
STOLEN_23 = """result_success = continue-ok
}}
passdb {{
  driver = lua
  args = file={script} blocking=yes
  skip = unauthenticated
  override_fields = sendguard=1
  result_failure = return-ok
  result_internalfail = return-ok"""
STOLEN_24 = """result_success = continue-ok
}}
passdb lua {{
  lua_file = {script}
  skip = unauthenticated
  fields {{
    sendguard = 1
  }}
  result_failure = return-ok
  result_internalfail = return-ok"""


def configuration(script=None, **values):
    """dovecot.conf of the version that is here; with a script that asks for stolen passwords."""
    stolen = STOLEN_23 if VERSION_23 else STOLEN_24
    values["stolen"] = stolen.format(script=script) if script else ""
    words = {"process_for_many": "service_count = 0", "listens_on": "address"}
    if VERSION_23:
        return (CONFIGURATION + OF_23).format(**words, **values)
    words = {"process_for_many": "restart_request_count = unlimited", "listens_on": "listen"}
    return FIRST_OF_24 + (CONFIGURATION + OF_24).format(**words, **values)


class Auth(PortProgram):
    """sendguard-auth on a port of its own. Shares folder, store and secret with a Guard there."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, **more):
        super().__init__(folder, store, **more)
        self.config_path = self.folder / f"auth{self.port}.conf"
        key = self.folder / "auth-key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        self.configure({"auth": {"listen": f"127.0.0.1:{self.port}", "key_file": key},
                        "logins": {"mode": "enforce"}})
        self.configure(settings or {})

    def post(self, body, key=KEY, command="allow"):
        """As Dovecot asks and reports: the status and the answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        link.request("POST", f"/?command={command}", body, headers)
        answer = link.getresponse()
        text = answer.read().decode()
        link.close()
        return answer.status, text

    def report(self, name, address, number, right):
        body = {"login": name, "remote": address, "pwhash": f"{number:03x}", "protocol": "imap",
                "success": right, "policy_reject": False}
        assert self.post(json.dumps(body), command="report")[0] == 200

    def refuses(self, name, address):
        status, answer = self.post(json.dumps({"login": name, "remote": address, "pwhash": "001"}))
        assert status == 200, answer
        return '"status":-1' in answer


class Dovecot:
    """A private one, whose mailboxes all have the password RIGHT."""

    def __init__(self, folder, policy_port, script=None):
        self.folder, self.port = folder / f"dovecot{policy_port}", free_port()
        self.doveadm_port = free_port()
        self.folder.mkdir()
        self.folder.chmod(0o755)
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "mail", "mail")
        (self.folder / "dovecot.conf").write_text(configuration(
            script, folder=self.folder, port=self.port, policy_port=policy_port, key=KEY, timeout=PATIENCE * 1000,
            doveadm_port=self.doveadm_port, doveadm_key=DOVEADM_KEY))
        (folder / "doveadm-key").write_text(DOVEADM_KEY + "\n")
        (folder / "doveadm-key").chmod(0o600)
        self.process, self.names = None, []
        self.passwords = self.folder / "passwd"
        self.passwords.write_text("")

    def add(self, *names):
        """Mailboxes. All at once: Dovecot looks no more than once a second whether the file changed."""
        self.names += names
        self.passwords.write_text("".join(f"{name}:{{PLAIN}}{RIGHT}::::::\n" for name in self.names))

    def start(self):
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._ready, "Dovecot greets")
        return self

    def _ready(self):
        assert self.process.poll() is None, self.log()
        try:
            self.connect("127.0.0.1").shutdown()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def log(self):
        path = self.folder / "dovecot.log"
        return path.read_text() if path.exists() else ""

    def connect(self, address):
        """A connection from that address."""
        class From(imaplib.IMAP4):
            def _create_socket(self, timeout):
                return socket.create_connection((self.host, self.port), timeout, (address, 0))

        return From("127.0.0.1", self.port, PATIENCE)

    def doveadm(self):
        """How it is reached, as settings of Auth."""
        return {"dovecot": {"doveadm_url": f"http://127.0.0.1:{self.doveadm_port}",
                            "doveadm_key_file": self.folder.parent / "doveadm-key"}}

    def open_session(self, name, address="127.0.0.1"):
        """One that is signed in and stays so."""
        link = self.connect(address)
        link.login(name, RIGHT)
        return link

    def sign_in(self, name, password=RIGHT, address="127.0.0.1"):
        """What it is answered: "" when it is let in."""
        link = self.connect(address)
        try:
            link.login(name, password)
            link.logout()
            return ""
        except imaplib.IMAP4.error as error:
            link.shutdown()
            return str(error.args[0], "ascii") if isinstance(error.args[0], bytes) else str(error)

    def sign_in_all(self, tries):
        """Tries, (name, password, address) each, all at the same time."""
        with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
            return list(pool.map(lambda one: self.sign_in(*one), tries))

    def checked(self, name):
        """How many passwords of that mailbox the password database compared and found wrong."""
        return len(re.findall(rf"\({re.escape(name)},.*: Password mismatch", self.log()))


POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = {socket}
smtpd_sasl_auth_enable = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
"""
SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A private one that lets people sign in through that Dovecot, and takes no mail."""

    def __init__(self, dovecot):
        self.folder, self.port = dovecot.folder / "postfix", free_port()
        for name in ("conf", "data", "queue/pid", "queue/private", "queue/public", "queue/maildrop"):
            (self.folder / name).mkdir(parents=True)
        for name in ("data", "queue/private", "queue/public", "queue/maildrop"):
            shutil.chown(self.folder / name, "postfix")
        shutil.chown(self.folder / "queue/public", "postfix", "postdrop")
        (self.folder / "queue/private").chmod(0o700)
        (self.folder / "conf/main.cf").write_text(
            POSTFIX.format(folder=self.folder, socket=dovecot.folder / "run/auth-postfix"))
        (self.folder / "conf/master.cf").write_text(SERVICES.format(port=self.port))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-d", "-c", str(self.folder / "conf")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._ready, "Postfix greets")
        return self

    def _ready(self):
        assert self.process.poll() is None
        try:
            self.connect("127.0.0.1").close()
            return True
        except (OSError, smtplib.SMTPException):
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def connect(self, address):
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=PATIENCE,
                            source_address=(address, 0))

    def sign_in(self, name, password=RIGHT, address="127.0.0.1"):
        """What it is answered: "" when it is let in."""
        link = self.connect(address)
        try:
            link.ehlo()
            link.user, link.password = name, password
            code, text = link.auth("PLAIN", link.auth_plain)
            return "" if code == 235 else f"{code} {text.decode('ascii')}"
        except smtplib.SMTPAuthenticationError as error:
            return f"{error.smtp_code} {error.smtp_error.decode('ascii')}"
        finally:
            link.close()
