"""A real Postfix with policy service and milter: mail programs that sign in to it, and Roundcube."""

import smtplib
import subprocess

import pytest

from endpoint import NOT_SENT
from postfix import MailProgram, Stack
from programs import eventually, freeze, thaw
from stores import RedisServer

FIELD = ("limits.smtp.recipients_per_field=3",)


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def stack(request, new_folder):
    server, settings = None, FIELD
    if request.param == "redis":
        server = RedisServer(new_folder(), "--unixsocketperm", "777")
        server.start()
        settings = (f"store.url=redis+unix://{server.socket_path}", *FIELD)
    stack = Stack(*settings)
    yield stack
    stack.down()
    if server is not None:
        server.stop()


@pytest.fixture
def mailbox(stack):
    return stack.new_mailbox()


def people(count, prefix="p"):
    return [f"{prefix}{number}@d{number}.outside.test" for number in range(count)]


def hand_in(program, recipients, header):
    """The answer to the whole message."""
    program.smtp.rset()
    assert program.smtp.mail(program.mailbox)[0] == 250
    for one in recipients:
        assert program.smtp.rcpt(one)[0] == 250
    code, text = program.smtp.data(f"{header}\r\nSubject: x\r\n\r\nHello.\r\n")
    return code, text.decode("ascii")


def to(recipients):
    return "To: " + ",\r\n ".join(recipients)


def refused(answer, reason, stack):
    code, text = answer
    first, second = text.split("\n")
    assert (code, first) == (550, f"5.7.1 {NOT_SENT} {reason} Questions: support@example.test"), answer
    place = f"5.7.1 Details: {stack.base_url}/r/"
    assert second.startswith(place), answer
    return second[len(place):]


FOUR = "4 recipients in To; the limit for one field is 3. Remove 1."


def test_a_field_that_is_too_long_is_refused_and_counts_nowhere(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        assert hand_in(program, people(3), to(people(3)))[0] == 250
        reference = refused(hand_in(program, people(4), to(people(4))), FOUR, stack)
        assert stack.used(mailbox) == 1, "the policy service had counted it, which is taken back"
        assert stack.used(mailbox, "off_domain_per_day") == 3
        both = f"{to(people(3))}\r\nCc: {', '.join(people(3, 'q'))}"
        assert hand_in(program, people(3) + people(3, "q"), both)[0] == 250
    assert stack.used(mailbox) == 2
    decision = stack.sendguard("explain", reference)
    assert decision["by_header"] is True and decision["mailbox"] == mailbox
    assert decision["id"].endswith("/header")
    assert [one["rule"] for one in decision["rules"] if one["broken"]] == ["recipients_per_field"]
    eventually(lambda: f"{decision['id'].split('/')[0]}: milter-reject: END-OF-MESSAGE" in
               stack.log("mailer.postfix"), "Postfix' own log has it under the same queue id")


def is_traced_as_refunded(stack, queue_id):
    try:
        return stack.sendguard("trace", queue_id)["refunded"]
    except subprocess.CalledProcessError:
        return False


def test_what_the_log_tells_of_it_too_takes_nothing_back_twice(stack, mailbox):
    """The follower of the log reads that Postfix refused a message that was counted."""
    with MailProgram(stack, mailbox) as program:
        for _ in range(2):
            assert hand_in(program, people(2), to(people(2)))[0] == 250
            reference = refused(hand_in(program, people(4), to(people(4))), FOUR, stack)
    queue_id = stack.sendguard("explain", reference)["id"].split("/")[0]
    eventually(lambda: is_traced_as_refunded(stack, queue_id), "the log is read")
    assert (stack.used(mailbox), stack.used(mailbox, "off_domain_per_day")) == (2, 4)


def test_two_readers(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        code, text = hand_in(program, people(1), "To: a@x.test b@y.test")
        assert code == 550 and "cannot be read: to[0]" in text, text
        code, _ = hand_in(program, people(1), "To: undisclosed-recipients:;")
        assert code == 250
    assert stack.used(mailbox) == 1


def test_a_foreign_from_behind_an_own_envelope(stack, mailbox):
    stack.settings(*stack.first_settings, "identity.mode=enforce")
    try:
        with MailProgram(stack, mailbox) as program:
            code, text = hand_in(program, people(1), f"From: {mailbox}, Boss <boss@else.test>")
            assert code == 550 and "may not write as boss@else.test: " in text, text
            assert f"You may write as: {mailbox}." in text
            assert hand_in(program, people(1), f"From: Me <{mailbox}>")[0] == 250
            assert hand_in(program, people(1), "Sender: boss@else.test")[0] == 250, "Postfix adds From"
    finally:
        stack.settings()
    assert stack.used(mailbox) == 2


def test_a_header_of_80_kilobytes(stack, mailbox):
    """Postfix hands it on in one piece."""
    crowd = people(3) * 1300
    assert len(to(crowd)) > 80_000
    with MailProgram(stack, mailbox) as program:
        assert hand_in(program, people(3), to(crowd))[0] == 250


def test_roundcube_is_judged_by_its_own_limits(stack, mailbox):
    """Its ticket is redeemed, and what the endpoint admitted the milter does not refuse."""
    with stack.roundcube(mailbox, "127.0.0.1") as webmail:
        webmail.send(people(20))
    eventually(lambda: stack.used(mailbox) == 1, "it counts once")
    eventually(lambda: "verdict=redeemed" in stack.log("mta"), "by its ticket")


def test_mail_from_elsewhere_is_none_of_its_business(stack):
    with MailProgram(stack, port="incoming") as program:
        program.mailbox = "stranger@elsewhere.test"
        code, _ = hand_in(program, ["alice@example.test"], to(people(9)))
    assert code == 250


def test_dovecots_submission_service(stack, mailbox):
    with MailProgram(stack, mailbox, port="dovecot_submission") as program:
        code, text = hand_in(program, people(4), to(people(4)))
    assert code == 550 and FOUR in text, text
    assert stack.used(mailbox) == 0


# ---- trouble ----------------------------------------------------------------------------------------


def pid_of(stack, name):
    return int((stack.folder / "pids" / name).read_text().split()[0])


def test_a_milter_that_is_away(stack, mailbox):
    """milter_default_action = tempfail, the default: a mail program tries again."""
    stack.stop("milter")
    try:
        with pytest.raises((smtplib.SMTPException, AssertionError)), \
                MailProgram(stack, mailbox) as program:
            hand_in(program, people(1), to(people(1)))
    finally:
        stack.start("milter")
    with MailProgram(stack, mailbox) as program:
        assert hand_in(program, people(1), to(people(1)))[0] == 250
    assert stack.used(mailbox) == 1


def test_a_milter_that_is_killed_or_hangs_between(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        assert hand_in(program, people(3), to(people(3)))[0] == 250
        stack.stop("milter")
        stack.start("milter")
    with MailProgram(stack, mailbox) as program:
        assert hand_in(program, people(3), to(people(3)))[0] == 250
        pid = pid_of(stack, "milter")
        freeze(pid)
        try:
            program.smtp.rset()
            assert program.smtp.mail(program.mailbox)[0] == 451, "milter_command_timeout is over"
        finally:
            thaw(pid)
    with MailProgram(stack, mailbox) as program:
        refused(hand_in(program, people(4), to(people(4))), FOUR, stack)
    assert stack.used(mailbox) == 2
