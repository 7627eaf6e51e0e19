"""What becomes of mail, through a real Postfix and a mail server that answers by name: what that server
said is what sendguard-feedback keeps, message by message, whatever dies meanwhile."""

import base64
import collections
import concurrent.futures
import contextlib
import gzip
import hashlib
import itertools
import json
import os
import pathlib
import quopri
import random
import re
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import pytest

from clock import Clock
from deliveries import ENDED, Deliveries, siphash
from postfix import MailProgram, Refused, Stack
from programs import PATIENCE, eventually, free_port
from stores import KINDS, RedisServer, RedisStore, SqliteStore

pytestmark = pytest.mark.either_store

LONG = "SENDGUARD_LONG" in os.environ
KILLS = 200 if LONG else 24
MESSAGES = 900 if LONG else 200
WEBMAIL_MESSAGES = 60 if LONG else 16
SENDERS = 4
AWAY_S = 10
LAG_S = 2  # so long before a stop an answer may be that postlogd, which lags, has not written
# How often a recipient is one of the kind.
MIX = {"ok": 40, "nobody": 12, "full": 8, "spam": 8, "grey": 12, "late": 4, "busy": 4, "drop": 3,
       "slow": 1}
CODES = {"nobody": "5.1.1", "full": "5.2.2", "spam": "5.7.1", "busy": "4.4.2", "drop": "4.4.2",
         "slow": "4.4.2"}
# An attempt that ended there: the sink has not heard of the recipient.
BEFORE_RCPT = re.compile(rb"\((connect to |.* while (receiving the initial server greeting|"
                         rb"performing the (EHLO|HELO) handshake|sending MAIL FROM)\)$)")
CONFIGURED = {"queue_run_delay": "1s", "minimal_backoff_time": "1s", "maximal_backoff_time": "4s",
              "smtp_rcpt_timeout": "2s", "service_throttle_time": "1s"}


class Lab:
    """A stack over one of the stores, with what the sink said and what is kept."""

    FAILURES = "off"  # half of the mail of these tests fails, all of one domain

    def __init__(self, kind, folder):
        settings = ["domains.own_domains=example.test", "store.timeout=2s", f"failures.percent={self.FAILURES}"]
        if kind == "redis":
            self.store = RedisStore(folder)
            self.store.server = RedisServer(folder, "--unixsocketperm", "777")
            self.store.start()
            settings.append(f"store.url={self.store.url}")
        try:
            self.stack = Stack(*settings)
        except BaseException:
            self.stop_store(kind)
            raise
        if kind == "sqlite":
            self.store = SqliteStore(self.stack.folder / "guard")
        self.kind, self.numbers = kind, iter(range(1_000_000))
        self.kept = Deliveries(self.stack, self.store)
        self.conf = self.stack.folder / "postfix/conf"
        self.mail_log = self.stack.folder / "log/mailer.postfix.log"
        self.lines_removed = 0
        self.configure(**CONFIGURED)

    def stop_store(self, kind):
        if kind == "redis":
            self.store.stop()

    def down(self):
        self.stack.down()
        self.stop_store(self.kind)

    # ---- the mail server

    def postfix(self, command):
        done = subprocess.run(["postfix", "-c", self.conf, command], capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)

    def configure(self, **settings):
        subprocess.run(["postconf", "-c", self.conf, "-e",
                        *(f"{name}={value}" for name, value in settings.items())], check=True)
        self.postfix("reload")

    def postsuper(self, *words):
        subprocess.run(["postsuper", "-c", self.conf, *words], check=True, capture_output=True)

    def queue(self):
        listed = subprocess.run(["postqueue", "-c", self.conf, "-j"], check=True,
                                capture_output=True, text=True)
        return list(map(json.loads, listed.stdout.splitlines()))

    def queue_id(self, recipient):
        """Of the message that waits for the recipient."""
        return eventually(lambda: next(
            (one["queue_id"] for one in self.queue()
             if one["queue_name"] == "deferred" and
             recipient in [to["address"] for to in one["recipients"]]), None), "it is deferred")

    def postlogd(self):
        master = (self.stack.folder / "postfix/queue/pid/master.pid").read_text().strip()
        found = subprocess.run(["pgrep", "-P", master, "-x", "postlogd"], capture_output=True, text=True)
        return list(map(int, found.stdout.split()))

    def kill_postlogd(self):
        """While little is logged: its socket holds ten lines, and a master that waits for room in it
        (Postfix 3.7) does not see that postlogd has died, and starts no other one."""
        eventually(lambda: sum(one["queue_name"] == "active" for one in self.queue()) <= 2,
                   "a calm moment")
        before = self.postlogd()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.postlogd() and self.postlogd() != before, "another postlogd")

    def logged_lines(self):
        """Of the log and all its rotated files."""
        lines = []
        for path in self.mail_log.parent.glob(self.mail_log.name + "*"):
            data = path.read_bytes()
            lines += (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
        return lines

    # ---- what was said and what is kept

    def said(self):
        """What the sink said, by recipient."""
        answers = collections.defaultdict(list)
        for line in (self.stack.folder / "log/sink.log").read_text().splitlines():
            one = json.loads(line)
            answers[one["recipient"]].append(one)
        return answers

    def caught_up(self):
        """The follower has read every line that there is."""
        eventually(lambda: self.kept.cursor()["lines"] + self.lines_removed == len(self.logged_lines()),
                   f"{self.kept.cursor()}, and {len(self.logged_lines())} lines are logged")

    def recipient(self, kind):
        return f"{kind}-{next(self.numbers)}@{random.choice(['', 'a.', 'b.'])}sink.test"

    def becomes(self, recipients, *outcomes):
        """Waits until what is known of the message's recipients is that."""
        def known():
            message = self.kept.of(*recipients)
            return message and [one and (one[0], one[1]) for one in message["recipients"].values()]
        try:
            eventually(lambda: known() == list(outcomes), "the outcomes")
        except AssertionError:
            assert known() == list(outcomes)
        return self.kept.of(*recipients)


@pytest.fixture(scope="module", params=list(KINDS))
def lab(request, new_folder):
    lab = Lab(request.param, new_folder())
    yield lab
    lab.down()


@pytest.fixture
def mailbox(lab):
    return lab.stack.new_mailbox()


# ---- traffic, and what happens meanwhile --------------------------------------------------------


class Traffic:
    """Several mailboxes send messages, each recipient once. `taken`: those that were taken, or may
    have been, with their recipients."""

    def __init__(self, lab):
        self.lab, self.sent, self.refused, self.lock = lab, 0, 0, threading.Lock()
        self.taken, self.unclear = [], []
        self.is_over = False
        self.going_on = threading.Event()
        self.going_on.set()

    def recipients(self):
        kinds = random.choices(list(MIX), MIX.values(), k=random.randint(1, 7))
        return [self.lab.recipient(kind) for kind in kinds]

    def note(self, recipients, was_taken):
        with self.lock:
            (self.taken if was_taken else self.unclear).append(recipients)
            self.sent += was_taken

    def by_smtp(self, count):
        program = mailbox = None
        while count > 0 and not self.is_over:
            self.going_on.wait()
            recipients = self.recipients()
            try:
                if program is None:
                    mailbox = mailbox or self.lab.stack.new_mailbox()
                    program = MailProgram(self.lab.stack, mailbox)
                number = next(self.lab.numbers)
                program.send(recipients, subject=f"{number}\r\nMessage-ID: <{number}@client.test>")
                self.note(recipients, True)
                count -= 1
                if count % 100 == 0:  # before it has sent all that a mailbox may on a day
                    program = mailbox = None
            except Refused:
                with self.lock:
                    self.refused += 1
            except (OSError, smtplib.SMTPException):
                self.note(recipients, False)
                program = None

    def by_webmail(self, count):
        mailbox = self.lab.stack.new_mailbox()
        while count > 0 and not self.is_over:
            done = True
            with self.lab.stack.roundcube(mailbox, "127.0.0.41") as webmail:
                while done and count > 0 and not self.is_over:
                    self.going_on.wait()
                    recipients = self.recipients()
                    done = webmail.send(to=recipients) is True
                    self.note(recipients, done)
                    count -= done

    def until(self, share):
        """Waits until so much of all is sent."""
        wanted = share * (MESSAGES + WEBMAIL_MESSAGES)
        eventually(lambda: self.sent >= wanted, f"{wanted} messages, {self.sent} are sent", 300)


def log_reader(lab, *more, environment=()):
    """The command of the stack's sendguard-feedback, which runs. The environment is the program's own:
    setpriv is root, and what libfaketime makes for it nobody else may use."""
    pid = (lab.stack.folder / "pids/feedback").read_text().split()[0]
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    only = "-all,+dac_read_search"
    return ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups", "--no-new-privs",
            f"--inh-caps={only}", f"--ambient-caps={only}", "env",
            *environment, *map(bytes.decode, words), *more]


class Killer:
    """Runs sendguard-feedback in the place of the stack's, and kills it: at one of its writes, as
    strace counts them, or at any moment. Another one goes on."""

    def __init__(self, lab):
        self.command = log_reader(lab)
        self.lab, self.kills, self.enough = lab, 0, threading.Event()
        lab.stack.stop("feedback")
        self.log = open(lab.stack.folder / "log/killed.log", "ab")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def one(self, wrapper):
        return subprocess.Popen([*wrapper, *self.command], stdin=subprocess.DEVNULL, stdout=self.log,
                                stderr=self.log, start_new_session=True)

    def run(self):
        while not self.enough.is_set():
            wrapper, wait = [], random.uniform(0.05, 1)
            if random.random() < 0.75:
                inject = f"inject=pwrite64,sendto,write:signal=KILL:when={random.randint(1, 25)}"
                wrapper, wait = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject], 5
            process = self.one(wrapper)
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self.kills += 1

    def until(self, kills):
        eventually(lambda: self.kills >= kills, f"{kills} kills, {self.kills} are done", 600)

    def stop(self):
        self.enough.set()
        self.thread.join()
        self.log.close()
        self.lab.stack.start("feedback")


def disturb(lab, traffic):
    """Everything once or twice while the mail goes on. Returns when the mail server was stopped and
    when it had started."""
    for share in (0.1, 0.2):
        traffic.until(share)
        traffic.going_on.clear()
        try:
            lab.kill_postlogd()
        finally:
            traffic.going_on.set()
    traffic.until(0.3)
    lab.postfix("logrotate")
    traffic.until(0.4)
    lab.store.silence()
    try:
        time.sleep(AWAY_S)  # nothing tells of it but that nothing is lost
    finally:
        lab.store.speak()
    traffic.until(0.5)
    os.rename(lab.mail_log, f"{lab.mail_log}.1")
    lab.postfix("reload")
    traffic.until(0.65)
    lab.postfix("logrotate")
    traffic.until(0.8)
    stopped = time.time()
    lab.postfix("stop")
    lab.stack.start("mailer")
    started = time.time()
    return stopped, started


def outcome_of(recipient, answers):
    """Outcome and code after those answers."""
    codes = [one["code"] for one in answers]
    kind = recipient.partition("-")[0]
    if 250 in codes:
        return "delivered", "2.0.0"
    if any(code >= 500 for code in codes):
        return "failed", CODES.get(kind, "5.7.1")
    return ("deferred", CODES.get(kind, "4.2.0")) if codes else ("pending", None)


class Comparison:
    """What is kept beside what the sink said and what Postfix logged. Who stops Postfix ends its
    programs: of answers at that time it may know nothing, and lines may be lost. `stops`: when it was
    stopped, and when it had started."""

    def __init__(self, lab, stops):
        self.lab, self.stops, self.said = lab, stops, lab.said()
        self.codes = {}
        self.attempts, self.unheard = collections.Counter(), collections.Counter()
        for line in lab.logged_lines():
            words = line.split()
            if b" status=" in line and b"/error[" not in words[4]:
                recipient = words[6][4:-2].decode()
                self.attempts[recipient] += 1
                self.unheard[recipient] += BEFORE_RCPT.search(line) is not None

    def is_sure(self, answer):
        return not any(stopped - LAG_S <= answer["at"] <= started for stopped, started in self.stops)

    def code(self, reply):
        if reply not in self.codes:
            self.codes[reply] = self.lab.kept.code_of(reply)
        return self.codes[reply]

    def difference(self, recipient, known):
        """None: what is kept of the recipient is what was said."""
        answers = self.said[recipient]
        sure = list(filter(self.is_sure, answers))
        if known is None:
            return f"nothing is kept; {answers}" if sure else None
        outcome, attempts, reply = known
        unsure = [one for one in answers if one not in sure]
        heard = attempts - self.unheard[recipient]
        possible = [outcome_of(recipient, [*sure, *some])
                    for some in itertools.combinations(unsure, max(heard - len(sure), 0))]
        if (outcome, self.code(reply)) in possible and \
                attempts == self.attempts[recipient] and heard >= len(sure):
            return None
        logged = [line for line in self.lab.logged_lines() if f"to=<{recipient}>".encode() in line]
        return f"{known}, {self.code(reply)}, {logged}; {answers}"

    def differences(self, traffic):
        faults = []
        messages = collections.defaultdict(list)
        for one in self.lab.kept.messages():
            for number in one["recipients"]:
                messages[number].append(one)
        perhaps = [one for one in traffic.unclear if any(to in self.said for to in one)]
        untold = 0
        for recipients in traffic.taken + perhaps:
            if not any(self.attempts[one] for one in recipients):
                untold += 1
                continue
            numbers = {one: self.lab.kept.hash_of(one) for one in recipients}
            found = list({one["decision"]: one for number in numbers.values()
                          for one in messages[number]}.values())
            if len(found) != 1 or found[0]["expected"] != len(recipients):
                faults.append(f"{recipients} are kept as {found}")
                continue
            known = {one: found[0]["recipients"].get(number) for one, number in numbers.items()}
            faults += [f"{one}: {fault}" for one in recipients
                       if (fault := self.difference(one, known[one]))]
        kept = sum(not one["recipients"] for one in self.lab.kept.messages())
        return faults if kept >= untold else [*faults, f"{untold} without an outcome, {kept} are kept"]


def settle(lab):
    """Until only what never arrives waits. What a restart of qmgr has left it looks at in 300 s, or
    when it is asked to."""
    def is_settled():
        return all(to["address"].startswith(("busy", "drop", "slow"))
                   for one in lab.queue() for to in one["recipients"])
    for _ in range(20):
        lab.stack.flush()
        try:
            return eventually(is_settled, "the rest is settled", 3)
        except AssertionError:
            pass
    raise AssertionError(lab.queue())


def outcomes_logged(lab):
    """Lines of outcomes of messages that somebody signed in for, by recipient."""
    ids, outcomes = set(), collections.defaultdict(list)
    lines = lab.logged_lines()
    for line in lines:
        if b"sasl_username=" in line:
            ids.add(line.split()[5])
    for line in lines:
        words = line.split()
        if b" status=" in line and b" to=<" in line and words[5] in ids:
            outcomes[words[6][4:-2].decode()].append(line)
    return outcomes


def unlike(lab, logged):
    """The lines of recipients of whom as many attempts are not kept."""
    kept = {number: one[1] for message in lab.kept.messages()
            for number, one in message["recipients"].items()}
    return [line for recipient, lines in logged.items() for line in lines
            if kept.get(lab.kept.hash_of(recipient)) != sum(b"/error[" not in one for one in lines)]


@pytest.mark.each_store
def test_what_the_sink_says_is_kept_whatever_dies(lab):
    traffic = Traffic(lab)
    killer = Killer(lab)
    try:
        with concurrent.futures.ThreadPoolExecutor(SENDERS + 1) as pool:
            jobs = [pool.submit(traffic.by_smtp, MESSAGES // SENDERS) for _ in range(SENDERS)]
            jobs.append(pool.submit(traffic.by_webmail, WEBMAIL_MESSAGES))
            try:
                stop = disturb(lab, traffic)
                for job in jobs:
                    job.result()
            finally:
                traffic.is_over = True
        settle(lab)
        killer.until(KILLS)
    finally:
        killer.stop()
    ended = time.time()
    lab.stack.stop("mailer")
    lab.caught_up()
    faults = Comparison(lab, [stop, (ended, time.time())]).differences(traffic)
    cursor, logged = lab.kept.cursor(), outcomes_logged(lab)
    lab.stack.start("mailer")
    print(f"{lab.kind}: {traffic.sent} messages, {len(lab.said())} recipients, {killer.kills} kills, "
          f"{cursor['lines']} lines")
    assert not faults, f"{len(faults)}: " + "\n".join(faults[:10])
    assert cursor["outcomes"] == sum(map(len, logged.values())), unlike(lab, logged)
    assert cursor["gaps"] == 0 and cursor["malformed"] == 0, cursor
    # Counted, though the answer came too late or the stop of the mail server came in between.
    assert cursor["refunds"] <= traffic.refused + len(traffic.unclear), cursor


# ---- what a message goes through ------------------------------------------------------------------


def send(lab, mailbox, recipients, subject="hello"):
    with MailProgram(lab.stack, mailbox) as program:
        program.send(recipients, subject=subject)


def test_the_follower_knows_that_postfix_writes_its_log(lab):
    assert "maillog_file" not in lab.stack.log("feedback")


def test_the_command_tells_what_is_kept(lab, mailbox):
    recipients = [lab.recipient(kind) for kind in ("ok", "nobody", "full")]
    send(lab, mailbox, recipients)
    lab.becomes(recipients, ("delivered", 1), ("failed", 1), ("failed", 1))
    message, = lab.stack.sendguard("trace", mailbox)["messages"]
    assert sorted((one["outcome"], one["code"], one["attempts"], one.get("class", ""))
                  for one in message["recipients"]) == [
        ("delivered", "2.0.0", 1, ""), ("failed", "5.1.1", 1, "address_unknown"),
        ("failed", "5.2.2", 1, "mailbox_full")]


def test_what_is_requeued_is_the_same_message(lab, mailbox):
    recipients = [lab.recipient("ok"), lab.recipient("busy")]
    send(lab, mailbox, recipients)
    lab.postsuper("-r", lab.queue_id(recipients[1]))
    before = len(lab.said()[recipients[1]])
    subprocess.run(["postkick", "-c", lab.conf, "public", "pickup", "W"], check=True)
    eventually(lambda: len(lab.said()[recipients[1]]) > before, "it is tried again")
    lab.postsuper("-d", lab.queue_id(recipients[1]))
    tried = len(lab.said()[recipients[1]])
    message = lab.becomes(recipients, ("delivered", 1), ("discarded", tried))
    assert message["flags"] & ENDED and message["mailbox"] == mailbox
    assert lab.stack.used(mailbox) == 1


def test_an_alias_is_one_recipient(lab, mailbox):
    """Of what its two targets come to, the best counts."""
    alias = lab.recipient("ok").replace("ok-", "alias-")
    targets = [lab.recipient("ok"), lab.recipient("nobody")]
    (lab.conf / "aliases").write_text(f"{alias} {' '.join(targets)}\n")
    lab.configure(virtual_alias_maps=f"texthash:{lab.conf}/aliases")
    try:
        send(lab, mailbox, [alias])
        lab.becomes([alias], ("delivered", 2))
        lab.caught_up()
        assert all(lab.kept.of(one) is None for one in targets)
    finally:
        lab.configure(virtual_alias_maps="")


@contextlib.contextmanager
def cleanup_refuses(lab):
    (lab.conf / "header_checks").write_text("/^Subject: refuse me/ REJECT not this one\n")
    lab.configure(header_checks=f"regexp:{lab.conf}/header_checks")
    try:
        yield
    finally:
        lab.configure(header_checks="")


def test_what_cleanup_refuses_is_refunded_once(lab, mailbox):
    refunds = lab.kept.cursor()["refunds"]
    with cleanup_refuses(lab):
        send(lab, mailbox, [lab.recipient("ok")])
        assert lab.stack.used(mailbox) == 1
        with MailProgram(lab.stack, mailbox) as program:
            refusal = program.refused([lab.recipient("ok")], subject="refuse me")
        assert (refusal.code, refusal.text) == (550, "5.7.1 not this one")
        eventually(lambda: lab.kept.cursor()["refunds"] == refunds + 1, "it is refunded")
        assert lab.stack.used(mailbox) == 1
        lab.stack.stop("feedback")
        lab.stack.start("feedback")
        send(lab, mailbox, [lab.recipient("ok")])
        lab.caught_up()
        assert lab.kept.cursor()["refunds"] == refunds + 1
        assert lab.stack.used(mailbox) == 2


def test_what_cleanup_refuses_of_the_webmail_is_refunded_once(lab, mailbox):
    """The plugin asks for it at once, when the policy service has seen the message already, and gets
    nothing then: only the log tells that the mail server has not taken it. Another message for as
    many recipients stays counted."""
    refunds = lab.kept.cursor()["refunds"]
    with cleanup_refuses(lab), lab.stack.roundcube(mailbox, "127.0.0.43") as webmail:
        assert webmail.send(to=[lab.recipient("ok")]) is True
        before = lab.stack.log("guard")
        assert "not this one" in webmail.send(to=[lab.recipient("ok")], subject="refuse me")
        eventually(lambda: lab.kept.cursor()["refunds"] == refunds + 1, "it is refunded")
        assert "msg=refunded" not in lab.stack.log_since(before, "guard")
        assert lab.stack.used(mailbox) == 1
        settings = webmail.get("/?_task=settings&_action=plugin.sendguard").text
        assert "<strong>Refused by our own mail server, no longer counted.</strong>" in settings
        assert webmail.send(to=[lab.recipient("ok")]) is True
        lab.caught_up()
    assert lab.kept.cursor()["refunds"] == refunds + 1
    assert lab.stack.used(mailbox) == 2


def test_a_content_filter_is_a_hop(lab, mailbox):
    port = free_port()
    master = (lab.conf / "master.cf").read_text()
    (lab.conf / "master.cf").write_text(f"""{master}
127.0.0.1:{port} inet n - n - - smtpd
  -o syslog_name=postfix/filtered
  -o myhostname=filter.test
  -o content_filter=
  -o mynetworks=127.0.0.0/8
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
""")
    lab.configure(content_filter=f"smtp:[127.0.0.1]:{port}")
    recipients = [lab.recipient("ok"), lab.recipient("nobody")]
    try:
        send(lab, mailbox, recipients)
        message = lab.becomes(recipients, ("delivered", 1), ("failed", 1))
    finally:
        (lab.conf / "master.cf").write_text(master)
        lab.configure(content_filter="")
    assert message["mailbox"] == mailbox and message["expected"] == 2
    assert lab.stack.used(mailbox) == 1


# ---- privacy ------------------------------------------------------------------------------------


def dumped(lab):
    """All bytes of the store."""
    if lab.kind == "sqlite":
        with sqlite3.connect(lab.store.path, timeout=PATIENCE) as database:
            database.text_factory = bytes
            tables = [name for (name,) in database.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return b"\0".join(cell if isinstance(cell, bytes) else str(cell).encode()
                              for name in tables
                              for row in database.execute(f'SELECT * FROM "{name.decode()}"')
                              for cell in row)
    command = lab.store.server.command
    readers = {b"string": ["GET"], b"hash": ["HGETALL"], b"set": ["SMEMBERS"],
               b"list": ["LRANGE", 0, -1], b"zset": ["ZRANGE", 0, -1], b"stream": ["XRANGE", "-", "+"]}
    parts = []
    for key in command("KEYS", "*"):
        name, *more = readers[command("TYPE", key)]
        parts += flat([key, command(name, key, *more)])
    return b"\0".join(parts)


def flat(reply):
    if isinstance(reply, list):
        return [part for one in reply for part in flat(one)]
    return [reply] if isinstance(reply, bytes) else [str(reply).encode()]


def encodings(text):
    """The text as it could be written down."""
    forms = {text, text.lower(), text.upper(), text[::-1], text.lower()[::-1]}
    plain = {one.encode() for one in forms}
    for one in list(plain):
        words = one.decode()
        plain |= {words.encode("utf-16-le"), words.encode("utf-16-be"), one.hex().encode(),
                  one.hex().upper().encode(), quopri.encodestring(one, quotetabs=True),
                  urllib.parse.quote(words, safe="").encode(), words.replace("@", "=40").encode(),
                  "".join(f"%{byte:02X}" for byte in one).encode(),
                  "".join(f"={byte:02X}" for byte in one).encode()}
        for shift in range(3):  # wherever it begins; the ends belong to what is beside it
            whole = base64.b64encode(b"\0" * shift + one)
            middle = whole[(0, 2, 3)[shift]:len(whole) - 4]
            plain |= {middle, middle.translate(bytes.maketrans(b"+/", b"-_"))}
    return plain


def plain_hashes(text):
    one = text.encode()
    raw = [hashlib.md5(one).digest(), hashlib.sha1(one).digest(), hashlib.sha256(one).digest(),
           hashlib.blake2b(one, digest_size=16).digest(), hashlib.blake2b(one, digest_size=32).digest(),
           siphash(bytes(16), one), siphash(bytes(16), one)[::-1]]
    return {form for digest in raw for form in (
        digest, digest.hex().encode(), digest.hex().upper().encode(),
        base64.b64encode(digest).rstrip(b"="), base64.urlsafe_b64encode(digest).rstrip(b"="))}


def test_no_recipient_can_be_read_in_the_store(lab, mailbox):
    """Of all the mail until here, and of some whose local parts are nobody else's words."""
    names = {kind: f"{kind}-{random.randbytes(8).hex()}" for kind in MIX}
    own = [f"{name}@Sink.test" for name in names.values()]
    send(lab, mailbox, own)
    with lab.stack.roundcube(lab.stack.new_mailbox(), "127.0.0.42") as webmail:
        assert webmail.send(to=own) is True
    eventually(lambda: all(any(one in known for known in map(str.lower, lab.said()))
                           for one in map(str.lower, own)), "all are tried")
    lab.caught_up()
    store = dumped(lab)
    assert mailbox.encode() in store
    assert lab.kept.hash_of(own[0]).to_bytes(8, "big") in store, "what is kept is seen"
    earlier = [one for one in lab.said() if one not in own]
    for recipient in [*own, *random.sample(earlier, min(len(earlier), 100))]:
        for form in encodings(recipient) | plain_hashes(recipient) | plain_hashes(recipient.lower()):
            assert form not in store, (recipient, form)
    for name in names.values():
        for form in encodings(name) | plain_hashes(name):
            assert form not in store, (name, form)


# ---- a log that is lost -------------------------------------------------------------------------


def test_a_message_without_a_line_is_a_gap_after_a_minute(lab, mailbox, folder):
    """Somebody has removed the log. What comes later is read on."""
    clock = Clock(folder)
    lab.caught_up()
    command = log_reader(lab, "--once", environment=[f"{name}={value}" for name, value
                                                      in clock.environment.items()])
    lab.stack.stop("feedback")
    gaps = lab.kept.cursor()["gaps"]
    try:
        recipients = [lab.recipient("ok")]
        send(lab, mailbox, recipients)
        eventually(lambda: recipients[0] in lab.said(), "it is delivered")
        lab.stack.stop("mailer")
        decided = time.time()
        lab.mail_log.unlink()
        lab.stack.start("mailer")

        def once(seconds):
            clock.set((decided + seconds) * 1000)
            done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True)
            return done.stderr
        assert "no line of an admitted message" not in once(30)
        assert lab.kept.cursor()["gaps"] == gaps
        assert "no line of an admitted message" in once(62)
        assert lab.kept.cursor()["gaps"] == gaps + 1
        assert "no line of an admitted message" not in once(70)
        assert lab.kept.cursor()["gaps"] == gaps + 1
    finally:
        lab.stack.start("feedback")
    recipients = [lab.recipient("ok")]
    send(lab, mailbox, recipients)
    lab.becomes(recipients, ("delivered", 1))
