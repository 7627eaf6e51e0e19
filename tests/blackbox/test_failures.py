"""When the mail of a domain fails, through a real Postfix and destinations that answer, refuse or are down:
who is blocked, what is an outage, who is suspended; whatever dies meanwhile.

The policy service and the follower have a clock that the test moves ahead. What Postfix logs is handed to
the follower with its stamps moved as far."""

import json
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

from clock import _LIBRARIES as FAKETIME
from postfix import MailProgram, Refused
from programs import SANITIZED, TREE, eventually, free_port
from stores import KINDS
from test_feedback import Lab, dumped, encodings, log_reader, plain_hashes

pytestmark = [pytest.mark.either_store,
              pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed"),
              pytest.mark.skipif(SANITIZED, reason="libfaketime and the sanitizers exclude each other")]

HOUR, DAY = 3600, 86400
BLOCK = ("block", 9)  # VALUE_BLOCK: its name and its number
DOMAINS = 14  # a house in which many send; the first ones fail
KILLS = 12


def listens(address, port):
    found = subprocess.run(["ss", "-Hltn", f"src {address} and sport = {port}"], capture_output=True,
                           text=True)
    return found.stdout.strip() != ""


class Site:
    """A destination with an address of its own: a mail server that answers by name."""

    def __init__(self, house, number):
        self.name, self.address, self.port = f"site{number}.test", f"127.0.0.{number}", free_port()
        self.log = house.stack.folder / f"log/{self.name}.log"
        self.process = None
        transport = house.conf / "transport"
        transport.write_text(f"/@{self.name}$/ smtp:[{self.address}]:{self.port}\n" +
                             transport.read_text())
        house.postfix("reload")
        self.start()

    def start(self, change=("", "")):
        """`change`: of a piece of its program into another."""
        source = (TREE / "tools/stack/sink").read_text().replace('"127.0.0.1"', f'"{self.address}"')
        assert change[0] in source
        source = source.replace(*change) if change[0] else source
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", source, str(self.port)], stdout=log,
                                            stdin=subprocess.DEVNULL, stderr=log)
        eventually(lambda: listens(self.address, self.port), "the destination listens")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class House(Lab):
    FAILURES = "50"

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.sites, self.ahead, self.read, self.place = [], 0, 0, 0
        # Each attempt is one, also while a destination is down.
        self.configure(default_destination_concurrency_failed_cohort_limit="0",
                       minimal_backoff_time="1h", maximal_backoff_time="1h", queue_run_delay="1h")
        self.clock = self.stack.folder / "guard/ahead"
        self.shifted = self.stack.folder / "log/shifted.log"
        self.shifted.touch()
        self.environment = [f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME_TIMESTAMP_FILE={self.clock}",
                            "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1",
                            f"MAIL_CONFIG={self.conf}"]
        self.follower = log_reader(self, "--once", "-o", f"feedback.source=file:{self.shifted}",
                                   environment=self.environment)
        self.shell = [word.replace("/sendguard-feedback", "/sendguard")
                      for word in log_reader(self, environment=self.environment)]
        self.start_policy_service()
        self.stack.stop("feedback")
        names = [f"{box}@{domain}" for domain in [*self.domains(), "alone.test", "thrice.test"]
                 for box in self.boxes()]
        with open(self.stack.folder / "dovecot/passwd", "a", encoding="ascii") as passwords:
            passwords.writelines(f"{name}:{{PLAIN}}secret::::::\n" for name in names)
        time.sleep(1.1)  # Dovecot looks no more than once a second

    def start_policy_service(self):
        pid = (self.stack.folder / "pids/mta").read_text().split()[0]
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        self.stack.stop("mta")
        self.move(0)
        self.policy_log = open(self.stack.folder / "log/mta-ahead.log", "ab")
        self.policy_service = subprocess.Popen(
            ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups", "--no-new-privs", "env",
             *self.environment, *map(bytes.decode, words)],
            stdin=subprocess.DEVNULL, stdout=self.policy_log, stderr=self.policy_log)
        eventually(lambda: listens("127.0.0.1", self.stack.port("mta")),
                   f"the policy service starts: {self.policy_log.name}")

    def down(self):
        for site in self.sites:
            site.stop()
        self.policy_service.terminate()
        self.policy_service.wait()
        self.policy_log.close()
        super().down()

    def domains(self):
        return [f"d{number}.test" for number in range(DOMAINS)]

    @staticmethod
    def boxes():
        return [f"box{number}" for number in range(6)]

    def new_site(self):
        self.sites.append(Site(self, 11 + len(self.sites)))
        return self.sites[-1]

    # ---- time

    def move(self, seconds):
        self.ahead += seconds
        new = self.clock.with_suffix(".new")
        new.write_text(f"+{self.ahead}\n")
        new.rename(self.clock)

    def now(self):
        return time.time() + self.ahead

    def hand_on(self):
        """The new lines of the log, moved."""
        data = self.mail_log.read_bytes()[self.place:]
        data = data[:data.rfind(b"\n") + 1]
        self.place += len(data)
        year = time.strftime("%Y")
        with open(self.shifted, "ab") as shifted:
            for line in data.decode("utf-8", "replace").splitlines(keepends=True):
                at = time.mktime(time.strptime(f"{year} {line[:15]}", "%Y %b %d %H:%M:%S"))
                moved = time.localtime(at + self.ahead)
                shifted.write((time.strftime("%b ", moved) + f"{moved.tm_mday:2d}" +
                               time.strftime(" %H:%M:%S", moved) + line[15:]).encode())

    def follow(self, wrapper=()):
        """The follower reads what there is, and ends; what it said."""
        done = subprocess.run([*wrapper, *self.follower], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)
        assert wrapper or done.returncode == 0, done.stderr
        return done.stderr

    def wait_for_log(self):
        """postlogd lags: all that was logged before a line of ours stands in the log when that does."""
        line = f"waited-for-{next(self.numbers)}"
        subprocess.run(["postlog", "-c", self.conf, "-t", "postfix/test", line], check=True)
        eventually(lambda: line in self.mail_log.read_text("utf-8", "replace"), "postlogd wrote a line")

    def settle(self):
        """All that was sent is tried, read, and a few seconds old."""
        eventually(lambda: all(one["queue_name"] == "deferred" for one in self.queue()), "all is tried")
        self.wait_for_log()
        self.hand_on()
        said = self.follow()
        self.move(3)
        return said + self.follow()

    # ---- mail

    def send(self, mailbox, kind, site, count):
        """So many messages to one recipient each, whom the site answers as that kind."""
        with MailProgram(self.stack, mailbox) as program:
            for _ in range(count):
                self.hand_in(program, f"{kind}-{next(self.numbers)}@{site.name}")

    @staticmethod
    def hand_in(program, recipient):
        """As a mail program does it: again, when the machine was too busy for a moment."""
        for last in (False, False, True):
            try:
                return program.send([recipient])
            except Refused as refusal:
                if refusal.code != 451 or last:
                    raise

    def has_worked(self, site, mailboxes):
        """Mail arrived there, two hours ago."""
        for mailbox in mailboxes:
            self.send(mailbox, "ok", site, 24 // len(mailboxes) + 1)
        self.settle()
        self.move(2 * HOUR)

    # ---- what is kept

    def blocked(self):
        """From the start of a block on, by its key: until the end, as it is kept."""
        found = {}
        for key, data in self.kept.values(BLOCK).items():
            since, until = int.from_bytes(data[1:7], "big"), int.from_bytes(data[7:13], "big")
            if since / 1000 <= self.now() < until / 1000:
                found[key] = until / 1000 - since / 1000
        return found

    def entries(self, action, subject):
        actions = self.stack.sendguard("audit", "--max", "1000")["actions"]
        return [one for one in actions if (one["action"], one["subject"]) == (action, subject)]

    def listed(self, recipient):
        """The entries of the block lists that are found by that address, by its hash now."""
        done = subprocess.run([*self.shell, "blocks", recipient, "--json"], check=True,
                              stdin=subprocess.DEVNULL, capture_output=True)
        return json.loads(done.stdout)

    def counts(self):
        """Of the log that is followed with the clock ahead."""
        return next(json.loads(data) for key, data in self.kept.values(("cursor", 0)).items()
                    if "shifted" in key)


@pytest.fixture(scope="module", params=list(KINDS))
def house(request, new_folder):
    house = House(request.param, new_folder())
    yield house
    house.down()


@pytest.fixture
def site(house):
    """Of a test alone, on a day of its own."""
    house.move(3 * DAY)
    site = house.new_site()
    yield site
    site.stop()
    house.postsuper("-d", "ALL")


def first_boxes(house, count=DOMAINS):
    return [f"box0@{domain}" for domain in house.domains()[:count]]


# ---- blocks -----------------------------------------------------------------------------------------


def test_a_domain_is_blocked(house, site):
    mailbox = "box0@d12.test"
    house.has_worked(site, first_boxes(house))
    before = house.counts()["blocks"]
    house.send(mailbox, "ok", site, 9)
    house.send(mailbox, "nobody", site, 9)
    house.settle()
    assert house.blocked() == {}
    house.send(mailbox, "nobody", site, 1)
    said = house.settle()
    assert house.blocked() == {"d12.test": HOUR}
    entry, = house.entries("block", "@d12.test")
    assert entry["by"] == "guard" and entry["note"] == "10 of 19 recipients failed or were deferred"
    assert house.counts()["blocks"] == before + 1
    assert "its mail fails too often" in said and "@d12.test" in said
    with MailProgram(house.stack, "box1@d12.test") as program:
        refusal = program.refused([f"ok-1@{site.name}"])
    assert "Domain d12.test has exceeded the max defers and failures per hour allowed" in refusal.text
    house.move(HOUR)
    assert house.blocked() == {}
    house.send("box1@d12.test", "ok", site, 1)


@pytest.mark.each_store
def test_once_whatever_dies(house, site):
    """The follower is killed at each of its writes in turn."""
    house.has_worked(site, first_boxes(house))
    before = house.counts()
    house.send("box0@d13.test", "nobody", site, 12)
    eventually(lambda: not house.queue(), "all is tried")
    house.wait_for_log()
    house.hand_on()
    for moment in range(2):  # with the lines, and when the block has begun
        for number in range(1, KILLS):
            inject = f"inject=pwrite64,sendto,write:signal=KILL:when={number}"
            house.follow(["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject])
        house.follow()
        house.move(3)
    assert house.blocked() == {"d13.test": HOUR}
    assert len(house.entries("block", "@d13.test")) == 1
    after = house.counts()
    assert (after["blocks"], after["outcomes"]) == (before["blocks"] + 1, before["outcomes"] + 12)


def test_the_third_block_suspends_its_culprit(house, site):
    mailbox = "box3@thrice.test"
    for _ in range(3):
        house.move(DAY + HOUR)
        assert house.entries("suspend", mailbox) == []
        house.send(mailbox, "nobody", site, 12)
        house.settle()
        assert house.blocked() == {"thrice.test": HOUR}
    assert len(house.entries("block", "@thrice.test")) == 3
    entry, = house.entries("suspend", mailbox)
    assert entry["by"] == "guard" and entry["detail"]["after"]["cause"] == "failures"
    house.move(2 * HOUR)
    with MailProgram(house.stack, mailbox) as program:
        refusal = program.refused([f"ok-1@{site.name}"])
    assert "Your account has been suspended for a violation of the terms of usage" in refusal.text
    house.send("box4@thrice.test", "ok", site, 1)


# ---- outages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["down", "busy"])
def test_an_outage_blocks_nobody(house, site, how):
    """Six domains at which ten messages each are deferred: the destination does not answer, or says
    that it has trouble."""
    house.has_worked(site, first_boxes(house))
    before = house.counts()["outages"]
    if how == "down":
        site.stop()
    for mailbox in first_boxes(house, 6):
        house.send(mailbox, "ok" if how == "down" else "busy", site, 10)
    said = house.settle()
    assert house.blocked() == {}
    assert house.counts()["outages"] == before + 1
    assert re.search(rf'msg="a destination has an outage" subject={site.address} ', said), said
    for domain in house.domains()[:6]:
        begun, ended = (house.entries(action, f"@{domain}") for action in ("block", "unblock"))
        assert len(begun) == len(ended), (begun, ended)


def test_addresses_that_are_unknown_of_a_sudden_are_an_outage(house, site):
    """As at Gmail in December 2020, for recipients that mail had arrived for."""
    house.has_worked(site, first_boxes(house))
    recipients = [f"ok-known{number}@{site.name}" for number in range(60)]
    for number, mailbox in enumerate(first_boxes(house, 6)):
        with MailProgram(house.stack, mailbox) as program:
            for recipient in recipients[10 * number:10 * number + 10]:
                house.hand_in(program, recipient)
    house.settle()
    house.move(4 * HOUR)
    site.stop()
    site.start(("return next((piece", "return 'nobody' if 'known' in recipient else next((piece"))
    for number, mailbox in enumerate(first_boxes(house, 6)):
        with MailProgram(house.stack, mailbox) as program:
            for recipient in recipients[10 * number:10 * number + 10]:
                house.hand_in(program, recipient)
    house.settle()
    assert house.blocked() == {}


def test_mail_that_looks_like_spam_is_no_outage(house, site):
    """Six stolen mailboxes of as many domains."""
    house.has_worked(site, first_boxes(house))
    before = house.counts()["outages"]
    for domain in house.domains()[6:12]:
        house.send(f"box0@{domain}", "spam", site, 10)
    house.settle()
    assert house.blocked() == dict.fromkeys(house.domains()[6:12], HOUR)
    assert house.counts()["outages"] == before


def test_a_house_with_one_domain_sees_an_outage_too(house, site):
    """By its mailboxes; and that six stolen ones are refused is none."""
    boxes = [f"{box}@alone.test" for box in house.boxes()]
    house.has_worked(site, boxes)
    for mailbox in boxes:
        house.send(mailbox, "busy", site, 10)
    house.settle()
    assert house.blocked() == {}
    house.postsuper("-d", "ALL")
    house.move(3 * DAY)
    house.has_worked(site, boxes)
    for mailbox in boxes:
        house.send(mailbox, "spam", site, 10)
    house.settle()
    assert house.blocked() == {"alone.test": HOUR}


# ---- recipients that keep failing --------------------------------------------------------------------


def refusal_of(house, mailbox, recipient):
    """At RCPT, without a message; once the policy service knows, half a second later at most."""
    def refused():
        with MailProgram(house.stack, mailbox) as program:
            program.smtp.mail(mailbox)
            answer = program.smtp.rcpt(recipient)
            return answer[0] != 250 and Refused(*answer)

    return eventually(refused, "it is refused")


def fails_again(house, mailbox, recipient, later):
    """A message is tried so much later."""
    house.move(later)
    with MailProgram(house.stack, mailbox) as program:
        house.hand_in(program, recipient)
    house.settle()


def test_an_unknown_address_is_blocked_until_it_works(house, site):
    """A day after the first bounce; again by what is let through behind the end; open when it works."""
    mailbox, recipient = "box1@d11.test", f"nobody-{next(house.numbers)}@{site.name}"
    fails_again(house, mailbox, recipient, 0)
    fails_again(house, mailbox, recipient, HOUR)
    assert house.listed(recipient) == []
    fails_again(house, "box2@d11.test", recipient, DAY)
    entry, = house.listed(recipient)
    assert entry["subject"] == f"(recipient) at {site.address}" and entry["scope"] == "d11.test"
    assert (entry["reason"], entry["by"]) == ("address_unknown", "guard")
    assert entry["note"] == "3 messages failed, the first and the last 25 hours apart"
    told, = house.entries("block", entry["subject"])
    assert told["by"] == "guard" and told["note"] == entry["note"]
    refusal = refusal_of(house, mailbox, recipient)
    assert "5.1.1" in refusal.text and recipient in refusal.text
    fails_again(house, "box1@d10.test", recipient, 0)  # of another domain

    fails_again(house, mailbox, recipient, 30 * DAY)
    again, = house.listed(recipient)
    assert again["note"] == "failed again after the end" and again["since"] > entry["since"]
    assert "5.1.1" in refusal_of(house, mailbox, recipient).text

    site.stop()
    site.start(("kind_of(recipient):\n", 'kind_of(recipient):\n    return "ok"\n'))
    fails_again(house, mailbox, recipient, 30 * DAY)
    assert house.listed(recipient) == []
    assert house.entries("unblock", entry["subject"])[0]["note"] == "delivered"
    fails_again(house, mailbox, recipient, 0)


@pytest.mark.each_store
def test_a_recipient_is_blocked_once_whatever_dies(house, site):
    recipient = f"nobody-{next(house.numbers)}@{site.name}"
    before = house.counts()["recipients_blocked"]
    fails_again(house, "box1@d9.test", recipient, 0)
    house.move(DAY)
    with MailProgram(house.stack, "box1@d9.test") as program:
        house.hand_in(program, recipient)
    eventually(lambda: not house.queue(), "all is tried")
    house.wait_for_log()
    house.hand_on()
    for number in range(1, KILLS):
        inject = f"inject=pwrite64,sendto,write:signal=KILL:when={number}"
        house.follow(["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject])
    house.follow()
    assert len(house.listed(recipient)) == 1
    assert len(house.entries("block", f"(recipient) at {site.address}")) == 1
    assert house.counts()["recipients_blocked"] == before + 1


# ---- what nobody may read -----------------------------------------------------------------------------


def test_no_recipient_can_be_read(house, site):
    """In the store, nor in what the follower says, of all that was sent here."""
    name = random.randbytes(8).hex()
    with MailProgram(house.stack, "box5@d13.test") as program:
        program.send([f"nobody-{name}@{site.name}"])
    said = house.settle()
    tried = {json.loads(line)["recipient"] for one in house.sites
             for line in one.log.read_text().splitlines() if line.startswith("{")}
    store = dumped(house)
    assert len(tried) > 100 and b"box5@d13.test" in store
    for recipient in [f"nobody-{name}@{site.name}", *random.sample(sorted(tried), 30)]:
        for form in encodings(recipient) | plain_hashes(recipient):
            assert form not in store and form not in said.encode(), (recipient, form)
