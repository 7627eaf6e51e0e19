"""A private SOGo beside a stack of tools/stack: PostgreSQL, memcached, sogod, and nginx with
contrib/webmail/sogo-nginx.conf in front."""

import glob
import http.client
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess

from programs import TREE, Nginx, eventually, free_port, replaced

NGINX = """user www-data;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/temporary-body;
    proxy_temp_path {folder}/temporary-proxy;
    fastcgi_temp_path {folder}/temporary-fastcgi;
    uwsgi_temp_path {folder}/temporary-uwsgi;
    scgi_temp_path {folder}/temporary-scgi;
    include {folder}/sogo.conf;
}}
"""


class Sogo:
    """Runs until stop(). Its users are those of the stack."""

    def __init__(self, stack, mailboxes):
        self.stack, self.folder, self.processes, self.nginx = stack, stack.folder / "sogo", [], None
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.database, self.memory, self.port, self.web = (free_port() for _ in range(4))
        try:
            self._start_database(mailboxes)
            self._start("memcache", ["memcached", "-l", "127.0.0.1", "-p", str(self.memory), "-U", "0"])
            self._start_sogo()
            self._start_nginx()
        except BaseException:
            self.stop()
            raise

    def _start(self, user, command, home=None):
        home = home or self.folder
        log = open(self.folder / f"{pathlib.Path(command[0]).name}.log", "wb")
        with log:
            self.processes.append(subprocess.Popen(
                ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *map(str, command)], cwd=home,
                env=dict(os.environ, HOME=str(home)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True))

    def _folder_of(self, user):
        folder = self.folder / user
        folder.mkdir(mode=0o700)
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        return folder

    def _start_database(self, mailboxes):
        programs, folder = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1], self._folder_of("postgres")
        subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", f"{programs}/initdb",
                        "-D", folder / "data", "-A", "trust", "-U", "sogo", "-N"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        self._start("postgres", [f"{programs}/postgres", "-D", folder / "data", "-k", folder, "-c",
                                 "listen_addresses=127.0.0.1", "-p", self.database, "-c", "fsync=off"], folder)
        query = ["psql", "-q", "-h", "127.0.0.1", "-p", str(self.database), "-U", "sogo", "-d", "postgres"]
        eventually(lambda: subprocess.run([*query, "-c", "SELECT 1"], capture_output=True, check=False).returncode == 0,
                   "PostgreSQL answers")
        rows = ", ".join(f"('{name}', '{name}', 'secret', '{name}', '{name}')" for name in mailboxes)
        subprocess.run([*query, "-c", "CREATE TABLE users (c_uid text PRIMARY KEY, c_name text, c_password text, "
                                      "c_cn text, mail text)", "-c", f"INSERT INTO users VALUES {rows}"], check=True)

    def _start_sogo(self):
        """Its settings are on the command line, before those of /etc/sogo."""
        home, database = self._folder_of("sogo"), f"postgresql://sogo:none@127.0.0.1:{self.database}/postgres"
        settings = {
            "WOWorkersCount": "2", "WONoDetach": "YES", "WOPort": f"127.0.0.1:{self.port}", "WOLogFile": "-",
            "WOPidFile": home / "sogo.pid", "SOGoMailSpoolPath": home, "SOGoMemcachedHost": f"127.0.0.1:{self.memory}",
            "SOGoProfileURL": f"{database}/sogo_user_profile", "OCSFolderInfoURL": f"{database}/sogo_folder_info",
            "OCSSessionsFolderURL": f"{database}/sogo_sessions_folder",
            "OCSEMailAlarmsFolderURL": f"{database}/sogo_alarms_folder",
            "SOGoUserSources": f'({{ type = sql; id = users; viewURL = "{database}/users"; canAuthenticate = YES; '
                               'isAddressBook = NO; userPasswordAlgorithm = plain; })',
            "SOGoIMAPServer": f"imap://127.0.0.1:{self.stack.port('imap')}", "SOGoMailingMechanism": "smtp",
            "SOGoSMTPServer": f"smtp://127.0.0.1:{self.stack.port('smtp')}", "SOGoSMTPAuthenticationType": "PLAIN",
            "SOGoAppointmentSendEMailNotifications": "YES",
        }
        self._start("sogo", ["/usr/sbin/sogod", *(str(word) for name, value in settings.items()
                                                 for word in (f"-{name}", value))], home)
        eventually(self._answers, "SOGo answers")

    def _answers(self):
        assert self.processes[-1].poll() is None, (self.folder / "sogod.log").read_text()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request("GET", "/SOGo/")
            return link.getresponse().status == 200
        except OSError:
            return False
        finally:
            link.close()

    def _start_nginx(self):
        text = (TREE / "contrib/webmail/sogo-nginx.conf").read_text()
        text = replaced(text, r"unix:/run/sendguard/fcgi/fcgi\.sock", f"unix:{self.stack.folder}/guard/fcgi.sock")
        text = replaced(text, r"127\.0\.0\.1:20000", f"127.0.0.1:{self.port}")
        text = replaced(text, r"127\.0\.0\.1:8443", f"127.0.0.1:{self.web}")
        (self.folder / "sogo.conf").write_text(text)
        self.nginx = Nginx(self.folder, NGINX.format(folder=self.folder)).start([self.web])

    def stop(self):
        if self.nginx is not None:
            self.nginx.stop()
        for process in reversed(self.processes): # with those that it started; nothing of theirs is wanted any more
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class User:
    """Signed in to SOGo, as its page does it; `mailbox` None: not signed in."""

    def __init__(self, sogo, mailbox, languages="en"):
        self.sogo, self.mailbox, self.languages, self.cookies = sogo, mailbox, languages, {}
        if mailbox is not None:
            status, answer = self.request("POST", "/SOGo/connect", {"userName": mailbox, "password": "secret"})
            assert status == 200, answer

    def request(self, method, path, body=None, **headers):
        """Status and text."""
        link = http.client.HTTPConnection("127.0.0.1", self.sogo.web, timeout=60)
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
                   "Content-Type": "application/json;charset=UTF-8", "Accept": "application/json, text/plain, */*",
                   "Accept-Language": self.languages, "X-XSRF-TOKEN": self.cookies.get("XSRF-TOKEN", ""), **headers}
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            for line in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            link.close()

    def draft(self):
        """The path of a new one."""
        status, answer = self.request("GET", f"/SOGo/so/{self.mailbox}/Mail/0/compose")
        assert status == 201, answer
        return f"/SOGo/so/{self.mailbox}/Mail/0/folderDrafts/{json.loads(answer)['draftId']}"

    def message(self, to, **more):
        return {"from": f"A User <{self.mailbox}>", "to": to, "cc": [], "bcc": [], "subject": "hello", "text": "Hello.",
                "isHTML": 0, "locale": "en", **more}

    def send(self, to, path=None, **more):
        """Status, and what SOGo's page shows."""
        status, answer = self.request("POST", path or self.draft() + "/send", self.message(to, **more))
        return status, (json.loads(answer).get("message", "") if answer.startswith("{") else answer)
