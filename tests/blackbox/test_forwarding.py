"""What a mailbox's filter sends on, through a real Dovecot with Pigeonhole and a real Postfix."""

import smtplib

import pytest

from postfix import MailProgram, Stack
from programs import eventually

LIMIT = 3
LIMITED = f"limits.forwarding.messages_per_day={LIMIT}"
REDIRECT = 'redirect "away@outside.test";'
VACATION = 'require ["vacation"];\nvacation "I am away.";'


@pytest.fixture(scope="module")
def stack():
    stack = Stack(LIMITED)
    yield stack
    stack.down()


def write_to(stack, mailbox, count, sender="stranger{}@outside.test", subject="news"):
    """Strangers write to a mailbox here."""
    with smtplib.SMTP("127.0.0.1", stack.port("incoming"), timeout=60) as smtp:
        for number in range(count):
            smtp.sendmail(sender.format(number), mailbox,
                          f"From: stranger{number}@outside.test\r\nTo: {mailbox}\r\n"
                          f"Subject: {subject}\r\nMessage-ID: <{subject}{number}@outside.test>\r\n"
                          "\r\nHello.\r\n")


def kept(stack, mailbox, subject):
    """How many messages of that subject lie in the mailbox."""
    folder = stack.folder / "mail" / mailbox / "new"
    texts = [one.read_text() for one in folder.iterdir()] if folder.exists() else []
    return sum(f"\nSubject: {subject}\n" in text for text in texts)


def decisions(stack, mailbox):
    """The actions with which the forwarded messages of a mailbox were answered."""
    return [line.partition("action=")[2].split()[0] for line in stack.log().splitlines()
            if "channel=forwarding" in line and f"mailbox={mailbox}" in line]


def still_sends(stack, mailbox):
    assert stack.sendguard("show", mailbox)["suspension"] is None
    before = stack.used(mailbox)
    with MailProgram(stack, mailbox) as program:
        program.send()
    with stack.roundcube(mailbox, "127.0.0.9") as webmail:
        assert webmail.send(to="friend@outside.test") is True
    assert stack.used(mailbox) == before + 2


def test_redirected_messages_are_deferred_and_nobody_is_suspended(stack):
    mailbox = "alice@example.test"
    stack.filter(mailbox, REDIRECT)
    write_to(stack, mailbox, LIMIT + 2)
    eventually(lambda: len(decisions(stack, mailbox)) == LIMIT + 2, "five decisions")
    assert sorted(decisions(stack, mailbox)) == ["DEFER_IF_PERMIT"] * 2 + ["DUNNO"] * LIMIT
    assert stack.forwarded(mailbox) == stack.forwarded(mailbox, "off_domain_per_day") == LIMIT
    eventually(lambda: [to for _, to in stack.waiting()] == [[mailbox]] * 2, "two that wait")
    still_sends(stack, mailbox)
    stack.settings("limits.forwarding.messages_per_day=10")
    stack.flush()
    eventually(lambda: not stack.waiting(), "nothing that waits")
    assert stack.forwarded(mailbox) == LIMIT + 2
    assert kept(stack, mailbox, "news") == 0
    stack.settings()


def test_answers_of_a_vacation_are_counted(stack):
    mailbox = "bob@example.test"
    stack.filter(mailbox, VACATION)
    write_to(stack, mailbox, LIMIT + 2, subject="hello")
    eventually(lambda: kept(stack, mailbox, "hello") == LIMIT + 2, "all of them in the mailbox")
    eventually(lambda: len(decisions(stack, mailbox)) == LIMIT + 2, "five decisions")
    assert sorted(decisions(stack, mailbox)) == ["DEFER_IF_PERMIT"] * 2 + ["DUNNO"] * LIMIT
    assert stack.forwarded(mailbox) == LIMIT
    still_sends(stack, mailbox)


def test_whose_message_it_is_cannot_be_told(stack):
    """A bounce has no sender, and so has what is made of it: it stays in the mailbox."""
    mailbox = "carol@example.test"
    stack.filter(mailbox, REDIRECT)
    before = stack.log()
    write_to(stack, mailbox, 1, sender="", subject="bounce")
    eventually(lambda: kept(stack, mailbox, "bounce") == 1, "it in the mailbox")
    assert "cannot tell whose message is forwarded" in stack.log_since(before)
    assert stack.forwarded(mailbox) == 0


def test_a_suspended_mailbox_forwards_nothing_and_goes_on_receiving(stack):
    mailbox = "carol@example.test"
    stack.filter(mailbox, REDIRECT)
    stack.sendguard("suspend", mailbox, "--for", "24h", "--cause", "terms", "--note", "test")
    write_to(stack, mailbox, 12, subject="to-carol")
    eventually(lambda: kept(stack, mailbox, "to-carol") == 12, "all of them in the mailbox")
    suspension = stack.sendguard("show", mailbox)["suspension"]
    assert suspension["attempts"] == 0
    assert stack.forwarded(mailbox) == 0
    stack.sendguard("lift", mailbox, "--note", "test")
