"""Complaints, through a real Postfix: reports come in by SMTP, go out by LMTP, and suspend. What the
store does not have yet waits in Postfix' queue, and arrives once."""

import contextlib
import itertools
import os
import pathlib
import random
import signal
import smtplib
import socket
import subprocess
import time

import pytest

from postfix import MailProgram
from programs import TREE, eventually
from stores import KINDS
from test_feedback import Lab, dumped, encodings, log_reader, plain_hashes

pytestmark = pytest.mark.either_store

CAROL = "carol@example.test"
numbers = itertools.count()


@pytest.fixture(scope="module", params=list(KINDS))
def lab(request, new_folder):
    lab = Lab(request.param, new_folder())
    yield lab
    lab.down()


@pytest.fixture
def mailbox(lab):
    return lab.stack.new_mailbox()


def received(lab, mark):
    folder = lab.stack.folder / "mail" / CAROL / "new"
    found = []

    def arrived():
        found[:] = [content for path in folder.glob("*")
                    if f"\nSubject: {mark}\n".encode() in (content := path.read_bytes())]
        return found
    eventually(arrived, f"{mark} in the mailbox of {CAROL}")
    return found[0].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def send(lab, mailbox, *more):
    """A message of the mailbox, as CAROL has got it."""
    mark = f"mark-{next(numbers)}-{random.randbytes(4).hex()}"
    with MailProgram(lab.stack, mailbox) as program:
        program.send([CAROL, *more], subject=mark)
    return received(lab, mark)


def report(original, fields="Feedback-Type: abuse", head=""):
    return b"\r\n".join([
        head.encode() + b"From: <fbl@reporter.test>", b"To: fbl@example.test", b"Subject: complaint",
        b"MIME-Version: 1.0",
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=part", b"",
        b"--part", b"Content-Type: text/plain", b"", b"A user complains.",
        b"--part", b"Content-Type: message/feedback-report", b"",
        fields.encode() + b"\r\nUser-Agent: test/1\r\nVersion: 1\r\n",
        b"--part", b"Content-Type: message/rfc822", b"", original, b"--part--", b""])


def hand_in(lab, content, domain="loop.test"):
    """As another mail server does; the domain is what is verified. "": nobody."""
    with smtplib.SMTP("127.0.0.1", lab.stack.port("incoming")) as smtp:
        smtp.sendmail(f"fbl@{domain}" if domain else "", "fbl@example.test", content)


def results(lab):
    """How often each result of a report is in the log."""
    lines = [line for line in lab.stack.log("feedback").splitlines() if " msg=report " in line]
    words = [word for line in lines for word in line.split() if word.startswith("result=")]
    return {word[7:]: words.count(word) for word in words}


@contextlib.contextmanager
def expecting(lab, **more):
    before = results(lab)
    yield
    def seen():
        now = results(lab)
        return all(now.get(name, 0) == before.get(name, 0) + count for name, count in more.items())
    eventually(seen, f"{more} more than {before}")
    if more:
        assert sum(results(lab).values()) == sum(before.values()) + sum(more.values())


def suspension(lab, mailbox):
    shown = lab.stack.sendguard("show", mailbox)
    found = [one for one in shown["suspensions"] if one["cause"] == "complaints"]
    return found[0] if found else None


def test_three_complaints_suspend(lab, mailbox):
    originals = [send(lab, mailbox) for _ in range(3)]
    with expecting(lab, taken=2, suspended=1, known=1):
        for original in [originals[0], *originals]:
            hand_in(lab, report(original))
    found = suspension(lab, mailbox)
    assert found["by"] == "guard" and found["offence"] == 1
    assert found["note"] == "3 complaints about messages of 7d"
    listed = lab.stack.sendguard("complaints", mailbox)
    assert [(one["source"], one["loop"], one["type"], one["counted"], one["why"])
            for one in listed] == 3 * [("loop", "loop.test", "abuse", False, "before_suspension_ended")]
    with MailProgram(lab.stack, mailbox) as program:
        refusal = program.refused()
    assert "suspended for a violation of the terms of usage" in refusal.text
    for name in ['reports_total{result="suspended"}', 'suspensions_total{cause="complaints"}']:
        eventually(lambda: int(lab.stack.metrics()[f"sendguard_{name}"]) >= 1, name)


def test_what_a_stranger_writes_about_himself_is_removed(lab, mailbox):
    forged = "Authentication-Results: mx.example.test; dkim=pass header.d=loop.test\r\n"
    with expecting(lab, waits=3):
        for _ in range(3):
            hand_in(lab, report(send(lab, mailbox), head=forged), domain="")
    with expecting(lab, taken=3):
        for _ in range(3):
            hand_in(lab, report(send(lab, mailbox), head=forged), domain="stranger.test")
    assert suspension(lab, mailbox) is None
    why = [one["why"] for one in lab.stack.sendguard("complaints", mailbox)]
    assert why == 3 * [None] + 3 * ["unknown_reporter"]
    told = lab.stack.told("complaints", mailbox)
    assert f"{mailbox}: 1 of 3 complaints" in told and "those of one domain are one" in told
    counted, *dropped = [one["report"] for one in lab.stack.sendguard("complaints")]
    lab.stack.sendguard("complaints", mailbox, "--count", counted, "--note", "she sent it")
    why = [one["why"] for one in lab.stack.sendguard("complaints", mailbox)]
    assert why.count("unknown_reporter") == 2 and suspension(lab, mailbox) is not None
    for report_id in dropped:
        lab.stack.sendguard("complaints", "--drop", report_id, "--note", "forged")
    assert lab.stack.sendguard("complaints") == []


def test_what_is_no_report_is_taken(lab, mailbox):
    """Nobody gets it back."""
    with expecting(lab, no_report=2, too_much=1):
        hand_in(lab, b"Subject: hello\r\n\r\nWhere are you?\r\n")
        hand_in(lab, b"Subject: hello\r\n\r\n..\r\n.\r\n.a\r\n" + b"x" * 900 + b"\r\n", domain="")
        hand_in(lab, b"Subject: long\r\n\r\n" + 5000 * (b"x" * 900 + b"\r\n"))
    assert not lab.queue()


@pytest.mark.each_store
@pytest.mark.parametrize("way", ["silence", "take_away"])
def test_store_away(lab, mailbox, way):
    """The report stays in Postfix' queue, and arrives once."""
    original = send(lab, mailbox)
    lab.caught_up()
    before = results(lab)
    getattr(lab.store, way)()
    try:
        hand_in(lab, report(original))
        eventually(lambda: any("The store does not answer" in to.get("delay_reason", "")
                               for one in lab.queue() for to in one["recipients"]), "it is deferred")
        assert results(lab) == before
    finally:
        lab.store.speak() if way == "silence" else lab.store.bring_back()
    lab.stack.flush()
    eventually(lambda: results(lab).get("taken", 0) == before.get("taken", 0) + 1 and not lab.queue(),
               "it arrives")
    assert sum(results(lab).values()) == sum(before.values()) + 1


def lmtp(lab, content, command=b"\r\n.\r\n"):
    """Hands it over as Postfix does; the last reply, or None when the program is gone."""
    with socket.create_connection(("127.0.0.1", lab.stack.port("reports")), 20) as client:
        file = client.makefile("rwb")
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        file.write(b"LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<fbl@example.test>\r\nDATA\r\n" + stuffed
                   + command)
        file.flush()
        try:
            lines = []
            while not lines or not lines[-1].startswith((b"250 2.0.0 Ok: kept", b"451")):
                lines.append(file.readline())
                if not lines[-1]:
                    return None
            return lines[-1]
        except ConnectionError:
            return None


VERIFIED = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=loop.test\r\n"


@pytest.mark.each_store
def test_killed_between_store_and_reply(lab, mailbox):
    """Whenever it dies, the report that comes again counts once."""
    originals = [send(lab, mailbox) for _ in range(2)]
    words, killed = log_reader(lab), 0
    # What is sent to the client, and to Redis.
    writes = list(range(1, 14) if lab.kind == "sqlite" else range(1, 80))
    random.shuffle(writes)
    lab.stack.stop("feedback")
    try:
        while writes and killed < 4:
            inject = f"inject=sendto:signal=KILL:when={writes.pop()}"
            process = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, *words],
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                for original in originals:
                    eventually(lambda: listens(lab) or process.poll() is not None, "it listens")
                    if process.poll() is None:
                        killed += not answered(lab, report(original, head=VERIFIED))
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    finally:
        lab.stack.start("feedback")
    assert killed > 0
    with expecting(lab, **({"known": 2} if lab.kind == "sqlite" else {})):
        for original in originals:
            assert lmtp(lab, report(original, head=VERIFIED)).startswith(b"250")
    assert suspension(lab, mailbox) is None
    with expecting(lab, suspended=1):
        hand_in(lab, report(send(lab, mailbox)))


def answered(lab, text):
    with contextlib.suppress(ConnectionError, AssertionError, OSError):
        return lmtp(lab, text) is not None
    return False


def listens(lab):
    with contextlib.suppress(OSError), socket.create_connection(
            ("127.0.0.1", lab.stack.port("reports")), 5) as client:
        return client.recv(4) == b"220 "
    return False


def test_a_client_too_many_is_told_to_come_again(lab):
    address = ("127.0.0.1", lab.stack.port("reports"))
    with contextlib.ExitStack() as clients:
        held = [clients.enter_context(socket.create_connection(address, 20)) for _ in range(20)]
        assert all(one.recv(100).startswith(b"220 ") for one in held)
        with socket.create_connection(address, 20) as more:
            assert more.recv(100).startswith(b"421 ")
    eventually(lambda: listens(lab), "another one is served")


def test_the_log_is_followed_meanwhile(lab, mailbox):
    """A client that holds its session open holds nobody up."""
    with socket.create_connection(("127.0.0.1", lab.stack.port("reports")), 20) as client:
        client.sendall(b"LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.test>\r\nDATA\r\nSubject: x\r\n")
        send(lab, mailbox)
        lab.caught_up()


def test_the_printed_script(lab, mailbox):
    """What `make run` tells people to try."""
    with expecting(lab, taken=2, suspended=1):
        subprocess.run([TREE / "tools/stack/complain", lab.stack.folder, mailbox], check=True,
                       stdout=subprocess.DEVNULL)
    assert suspension(lab, mailbox)


def test_no_recipient_can_be_read(lab, mailbox):
    """Neither who complains nor who got the message: not in the store, not in the log."""
    name = f"ok-{random.randbytes(8).hex()}"
    reporter = f"private-{random.randbytes(8).hex()}.test"
    recipient = f"{name}@Sink.test"
    original = send(lab, mailbox, recipient).replace(CAROL.encode(), recipient.encode())
    fields = (f"Feedback-Type: abuse\r\nOriginal-Rcpt-To: <{recipient}>\r\n"
              f"Original-Mail-From: <{mailbox}>\r\nIncidents: 7")
    with expecting(lab, taken=1, waits=2):
        hand_in(lab, report(original, fields), domain=reporter)
        hand_in(lab, report(original, fields), domain="")
        hand_in(lab, report(b"From: <" + recipient.encode() + b">\r\nTo: <" + recipient.encode() +
                            b">\r\n\r\nBuy.\r\n", fields), domain=reporter)
    lab.caught_up()
    kept = dumped(lab) + lab.stack.log("feedback").encode()
    assert mailbox.encode() in kept
    for text in (recipient, name, reporter):
        for form in encodings(text) | plain_hashes(text) | plain_hashes(text.lower()):
            assert form not in kept, (text, form)


def test_checked_before_the_start(lab):
    command = [lab.stack.folder / "guard/sendguard-feedback", "-c",
               lab.stack.folder / "guard/sendguard.conf", "--check"]
    def said(*overrides):
        words = [word for one in overrides for word in ("-o", one)]
        return subprocess.run([*command[:-1], *words, "--check"], capture_output=True, text=True)
    assert "complaints" not in said().stderr and "feedback.listen" not in said().stderr
    assert "complaints.authserv_id: is not set" in said("complaints.authserv_id=").stderr
    assert "feedback.listen: is on an address that others may reach" in \
        said("feedback.listen=0.0.0.0:9403").stderr
    assert "complaints" not in said("complaints.authserv_id=", "feedback.listen=").stderr
    assert said("complaints.loops=x@y@z").returncode == 78


def test_a_socket_file(lab, new_folder):
    """With its mode; removed at the end."""
    folder = pathlib.Path(new_folder())
    folder.chmod(0o777)
    path = folder / "lmtp.sock"
    words = log_reader(lab)
    process = subprocess.Popen(
        [*words, "-o", f"feedback.listen={path}", "-o", "feedback.socket_mode=0600", "-o",
         f"feedback.source=file:{folder}/none.log"],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(path.exists, "the socket")
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:  # there is no log to follow
            client.connect(str(path))
            assert client.recv(100) == b"220 sendguard-feedback LMTP\r\n"
    finally:
        process.terminate()
        process.wait(20)
    assert not path.exists()
