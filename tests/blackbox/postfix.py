"""The stack of tools/stack around tests: Roundcube, Dovecot, Postfix and the guard's programs."""

import json
import os
import pathlib
import re
import smtplib
import subprocess
import tempfile
import urllib.request

from programs import TREE, eventually
from roundcube import Roundcube

STACK = TREE / "tools/stack/stack"
PROVIDERS_SENTENCE = (
    "The message was rejected for the following reason: Permanent Failure: Your ability to send "
    "new mail has been suspended as a high volume of suspicious mail has been sent from your "
    "account recently. Please contact your IT administrator")
REFERENCE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")


class Stack:
    def __init__(self, *settings):
        assert os.geteuid() == 0, "each program runs as a user of its own: these tests want root"
        self.first_settings = settings
        # Not below /dev/shm, where Postfix rotates no log.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sendguard.", dir="/tmp"))
        try:
            self._run("up", *settings)
            lines = (self.folder / "stack.env").read_text().split()
            self.env = dict(line.split("=", 1) for line in lines)
            self.mailboxes = self._make_mailboxes(50)
        except BaseException:
            self.down()
            raise
        self.base_url = f"http://127.0.0.1:{self.env['webmail_port']}/sending"

    def port(self, name):
        return int(self.env[name + "_port"])

    def _run(self, command, *arguments, **more):
        return subprocess.run([STACK, command, self.folder, *arguments], check=True,
                              stdin=subprocess.DEVNULL, **more)

    def down(self):
        self._run("down")

    def start(self, *services):
        self._run("start", *services)

    def stop(self, *services):
        self._run("stop", *services)

    def settings(self, *settings):
        """Others for the guard's programs, which are started anew; none: the first ones again."""
        self._run("settings", *(settings or self.first_settings))

    def sendguard(self, *arguments):
        """What the command line prints as JSON."""
        answer = self._run("sendguard", *arguments, "--json", stdout=subprocess.PIPE)
        return json.loads(answer.stdout)

    def told(self, *arguments):
        """What the command line prints for people."""
        return self._run("sendguard", *arguments, stdout=subprocess.PIPE, text=True).stdout

    def _make_mailboxes(self, count):
        """All at once: Dovecot looks no more than once a second whether the file has changed."""
        names = [f"user{number}@example.test" for number in range(count)]
        with open(self.folder / "dovecot/passwd", "a", encoding="ascii") as passwords:
            passwords.writelines(f"{name}:{{PLAIN}}secret::::::\n" for name in names)
        return iter(names)

    def new_mailbox(self):
        """One that nobody else uses; it can sign in, and gets no mail."""
        return next(self.mailboxes)

    def used(self, mailbox, rule="messages_per_day"):
        """One number for webmail and SMTP, which compare it with their own limits."""
        windows = self.sendguard("show", mailbox)["windows"]
        numbers = {one["used"] for one in windows
                   if one["rule"] == rule and one["channel"] != "forwarding"}
        assert len(numbers) == 1, windows
        return numbers.pop()

    def forwarded(self, mailbox, rule="messages_per_day"):
        """What the mailbox's filter sent on."""
        windows = self.sendguard("show", mailbox)["windows"]
        return next(one["used"] for one in windows
                    if one["rule"] == rule and one["channel"] == "forwarding")

    def filter(self, mailbox, script):
        """Makes it the mailbox's Sieve script."""
        home = self.folder / "mail" / mailbox
        home.mkdir(exist_ok=True)
        (home / ".dovecot.sieve").write_text(script)
        subprocess.run(["chown", "-R", "mail:mail", home], check=True)

    def waiting(self):
        """The messages that wait in the mail server's queue: sender and recipients."""
        listed = subprocess.run(["postqueue", "-c", self.folder / "postfix/conf", "-j"],
                                check=True, capture_output=True, text=True)
        return [(one["sender"], [to["address"] for to in one["recipients"]])
                for one in map(json.loads, listed.stdout.splitlines())]

    def flush(self):
        subprocess.run(["postqueue", "-c", self.folder / "postfix/conf", "-f"], check=True)

    def log(self, service="mta"):
        return (self.folder / "log" / f"{service}.log").read_text()

    def log_since(self, before, service="mta"):
        return self.log(service)[len(before):]

    def roundcube(self, mailbox, address):
        return Roundcube(self.port("webmail"), mailbox, address)

    def roundcube_plugins(self, *names):
        path = self.folder / "rc/config/config.inc.php"
        listed = ", ".join(f"'{name}'" for name in names)
        text, count = re.subn(r"'plugins' => \[.*?\]", f"'plugins' => [{listed}]", path.read_text())
        assert count == 1
        path.write_text(text)

    def metrics(self):
        url = f"http://127.0.0.1:{self.env['status_port']}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))

    def delivered(self, mailbox, subject):
        """Waits for a message in one of the stack's mailboxes."""
        folder = self.folder / "mail" / mailbox / "new"
        eventually(lambda: folder.exists() and any(
            f"\nSubject: {subject}\n" in one.read_text() for one in folder.iterdir()),
            f"{subject!r} in the mailbox of {mailbox}")


class Refused(Exception):
    """What the mail server answered in the place of 250."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text.decode("ascii")


class MailProgram:
    """What Outlook or Thunderbird do: sign in, hand in messages, one connection for many."""

    def __init__(self, stack, mailbox=None, port="smtp", address="127.0.0.1"):
        self.mailbox = mailbox
        self.smtp = smtplib.SMTP("127.0.0.1", stack.port(port), local_hostname="client.test",
                                 timeout=60, source_address=(address, 0))
        self.smtp.ehlo()
        if mailbox is not None:
            self.smtp.login(mailbox, "secret")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.smtp.close()

    def send(self, recipients=("friend@outside.test",), sender=None, subject="hello"):
        """One message; Refused when it is not taken."""
        self._expect(250, self.smtp.mail(self.mailbox if sender is None else sender))
        for recipient in recipients:
            self._expect(250, self.smtp.rcpt(recipient))
        self._expect(250, self.smtp.data(f"Subject: {subject}\r\n\r\nHello.\r\n"))

    def refused(self, *arguments, **more):
        """The refusal of a message that must be refused."""
        try:
            self.send(*arguments, **more)
        except Refused as refusal:
            self.smtp.rset()
            return refusal
        raise AssertionError("the mail server took the message")

    def _expect(self, code, answer):
        if answer[0] != code:
            self.smtp.rset()
            raise Refused(*answer)
