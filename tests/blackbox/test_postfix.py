"""A real Postfix asks: mail programs that sign in to it, and Roundcube that hands its mail to it."""

import base64
import concurrent.futures
import datetime
import json
import re
import sqlite3
import subprocess
import urllib.error
import urllib.request

import pytest

from postfix import PROVIDERS_SENTENCE, REFERENCE, MailProgram, Stack
from programs import eventually

SETTINGS = ("domains.own_domains=example.test own.test",)
WEBMAIL_SESSIONS = 4  # as many as the stack's PHP serves at once


@pytest.fixture(scope="module")
def stack():
    stack = Stack(*SETTINGS)
    yield stack
    stack.down()


@pytest.fixture
def other_settings(stack):
    """other_settings(section.key=value, …) for the rest of the test."""
    yield lambda *settings: stack.settings(*SETTINGS, *settings)
    stack.settings()


@pytest.fixture
def without_plugin(stack):
    stack.roundcube_plugins("filesystem_attachments", "jqueryui")
    yield
    stack.roundcube_plugins("filesystem_attachments", "jqueryui", "sendguard")


@pytest.fixture
def mailbox(stack):
    return stack.new_mailbox()


def people(first, last, per_domain=50):
    return [f"p{n}@d{n // per_domain}.outside.test" for n in range(first, last)]


def readable(refusal, code, stack):
    """What any refusal has to be for a mail program to show it; returns the reference."""
    line = f"{refusal.code} {refusal.text}"
    assert refusal.code == code, line
    assert len(line) <= 510, f"{len(line)} bytes: {line}"
    assert line.isascii() and line.isprintable(), line
    assert ("will not be sent later by itself" in line) == (code == 554), line
    assert "/status" not in line and "?t=" not in line, line
    return REFERENCE.fullmatch(refusal.text.rpartition(f" Details: {stack.base_url}/r/")[2]).group(0)


def broken(stack, reference):
    """The rules over time that a decision broke: its limit, and what it would have come to."""
    rules = stack.sendguard("explain", reference)["rules"]
    return {rule["rule"]: (rule["limit"], rule["used_before"] + rule["cost"])
            for rule in rules if rule["broken"] and rule["over_time"]}


def send_in_parallel(stack, mailbox, address, messages):
    """Each of `messages` (arguments of Roundcube.send) once, from several browsers; how they went."""
    def run(webmail, part):
        with webmail:
            return [webmail.send(**message) for message in part]

    # One after the other: Roundcube makes a user at the first sign-in.
    browsers = [stack.roundcube(mailbox, address) for _ in range(WEBMAIL_SESSIONS)]
    parts = [messages[n::WEBMAIL_SESSIONS] for n in range(WEBMAIL_SESSIONS)]
    with concurrent.futures.ThreadPoolExecutor(WEBMAIL_SESSIONS) as pool:
        return [outcome for part in pool.map(run, browsers, parts) for outcome in part]


def suspended(stack, mailbox):
    return stack.sendguard("show", mailbox)["suspension"] is not None


# ---- the smtp column of the limits, at each number and one beyond


def test_900_recipients_of_one_message_and_not_901(stack, mailbox):
    crowd = [f"p{n}@own.test" for n in range(901)]
    with MailProgram(stack, mailbox) as program:
        program.send(crowd[:900])
        refusal = program.refused(crowd)
        assert "901 recipients in all; the limit for one message is 900. Remove 1." in refusal.text
        assert refusal.text.startswith("5.7.1 <END-OF-MESSAGE>: End-of-data rejected: ")
        readable(refusal, 554, stack)
        assert stack.used(mailbox) == 1, "a refused message counts nowhere"
        program.send()
    assert stack.used(mailbox) == 2


def test_600_messages_a_day_and_not_601(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        for _ in range(600):
            program.send()
        assert stack.used(mailbox) == 600
        assert not suspended(stack, mailbox)
        refusal = program.refused()
    assert PROVIDERS_SENTENCE in refusal.text
    assert broken(stack, readable(refusal, 554, stack)) == {"messages_per_day": (600, 601)}
    assert stack.used(mailbox) == 600
    assert suspended(stack, mailbox)


def test_a_sender_address_that_is_not_the_mailboxs(stack, mailbox, other_settings):
    other_settings("identity.mode=enforce", "on_limit.from_foreign=refuse")
    with MailProgram(stack, mailbox) as program:
        program.send(sender=mailbox.replace("@", "+shop@"))
        program.send(sender="")  # a read receipt
        for sender, why in (("boss@bank.test", "bank.test is not one of our domains."),
                            ("root@localhost", "Set the sender address"),
                            ("bob@example.test", "To write as another address, ask")):
            refusal = program.refused(sender=sender)
            line = f"{refusal.code} {refusal.text}"
            assert line.startswith("553 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: "), line
            assert len(line) <= 510 and line.isascii() and line.isprintable(), line
            assert f"You are signed in as {mailbox} and may not write as {sender}" in line
            assert f"You may write as: {mailbox}." in line and why in line
        assert stack.used(mailbox) == 2, "a refused message counts nowhere"


def test_nothing_that_postfix_logs_is_a_key(stack, mailbox):
    """Who reads mail.log reads state, end and rule; no names behind the link, no numbers, no lock."""
    before = stack.log("mailer.postfix")
    with MailProgram(stack, mailbox) as program:
        program.send([f"p{n}@one.outside.test" for n in range(900)])
        refusal = program.refused(["one@outside.test"])
    assert re.search(r"Paused until \S+ \S+ UTC\. External recipients in 24 hours: 901, limit 900\. ",
                     refusal.text), refusal.text
    reference = readable(refusal, 554, stack)
    url = f"{stack.base_url}/r/{reference}"
    eventually(lambda: url in stack.log_since(before, "mailer.postfix"), "the refusal in the log")
    logged = stack.log_since(before, "mailer.postfix") + stack.log("mta")
    assert "/status" not in logged and "?t=" not in logged
    with urllib.request.urlopen(url, timeout=60) as answer:
        page = answer.read().decode()
    assert "Sending is paused until" in page and reference in page
    for secret in (mailbox, mailbox.partition("@")[0], "900", "901", "<button", "<form", "127.0.0."):
        assert secret not in page, secret
    for method, data in (("POST", b"action=lock"), ("DELETE", None)):
        request = urllib.request.Request(url, data, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 405


def test_900_recipients_outside_a_day_and_not_901(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        program.send([f"p{n}@one.outside.test" for n in range(450)])
        program.send([f"p{n}@one.outside.test" for n in range(450)])
        assert stack.used(mailbox, "off_domain_per_day") == 900, "counted in each message anew"
        program.send(["colleague@own.test"])
        assert stack.used(mailbox, "off_domain_per_day") == 900, "own domains do not count"
        refusal = program.refused(["colleague@own.test", "one@outside.test"])
    assert PROVIDERS_SENTENCE in refusal.text
    assert broken(stack, readable(refusal, 554, stack)) == {"off_domain_per_day": (900, 901)}
    assert stack.used(mailbox, "off_domain_per_day") == 900
    assert suspended(stack, mailbox)


def with_copies(program, recipient, count):
    """Postfix delivers each that asks for another report: it is a recipient of its own."""
    program.smtp.rset()
    program.smtp.mail(program.mailbox)
    for number in range(count):
        code, text = program.smtp.rcpt(recipient, [f"ORCPT=rfc822;n{number}@q.test"])
        assert code == 250, text
    return program.smtp.data("Subject: x\r\n\r\nx\r\n")


def test_each_recipient_that_postfix_accepts_counts_and_no_other(stack, mailbox):
    with MailProgram(stack, mailbox) as program:
        program.smtp.mail(mailbox)
        for recipient, code in (("a@outside.test", 250), ("A@Outside.test", 250), ("a@outside.test", 250),
                                ("nobody@example.test", 550), ("b@outside.test", 250)):
            assert program.smtp.rcpt(recipient)[0] == code
        assert program.smtp.data("Subject: x\r\n\r\nx\r\n")[0] == 250
        assert stack.used(mailbox, "off_domain_per_day") == 4
        assert with_copies(program, "v@outside.test", 300)[0] == 250
    assert stack.used(mailbox, "off_domain_per_day") == 304
    assert stack.used(mailbox) == 2


def test_copies_of_one_address_meet_the_limits_of_one_message(stack, mailbox, other_settings):
    other_settings("limits.smtp.recipients_per_domain=50", "limits.smtp.recipients_per_message=60")
    with MailProgram(stack, mailbox) as program:
        code, text = with_copies(program, "v@outside.test", 51)
        assert code == 554 and b"51 recipients at outside.test; the limit is 50. Remove 1." in text, text
        code, text = with_copies(program, "v@own.test", 61)
        assert code == 554 and b"61 recipients in all; the limit for one message is 60" in text, text
        assert with_copies(program, "v@outside.test", 50)[0] == 250
    assert stack.used(mailbox, "off_domain_per_day") == 50


STATUS = {"address_unknown": (554, b"5.1.1"), "mailbox_off": (554, b"5.2.1"),
          "mailbox_full": (554, b"5.2.2"), "probe": (450, b"4.2.0"), "trap": (554, b"5.7.1")}


def test_a_blocked_recipient_is_refused_alone_with_the_status_of_its_reason(stack, mailbox,
                                                                            other_settings):
    other_settings(*(f"blocks.reasons={reason} We know it." for reason in STATUS))
    for reason in STATUS:
        stack.sendguard("block", f"{reason}@blocked.test", "--reason", reason, "--note", "test")
    with MailProgram(stack, mailbox) as program:
        def rcpt(recipient):
            code, text = program.smtp.rcpt(recipient)
            return code, text.split()[0]

        program.smtp.mail(mailbox)
        eventually(lambda: rcpt("trap@blocked.test") == STATUS["trap"], "the lists are known")
        assert {reason: rcpt(f"{reason}@blocked.test") for reason in STATUS} == STATUS
        assert rcpt("v@nowhere.invalid") == (554, b"5.1.2")
        assert rcpt("v@outside.test")[0] == 250
        assert program.smtp.data("Subject: x\r\n\r\nx\r\n")[0] == 250
    assert stack.used(mailbox, "off_domain_per_day") == 1


REFERENCE_HEADER = re.compile(r"^X-Sendguard-Ref: ([\w-]+)$", re.MULTILINE)


def test_each_message_gets_one_reference_that_names_nobody(stack, mailbox):
    """Also a message to several; a user's own header of that name stays below it."""
    with MailProgram(stack, mailbox) as user:
        user.send(["bob@example.test", "alice@example.test"], subject="reference one")
        user.send(["bob@example.test"], subject="reference two\r\nX-Sendguard-Ref: forged")
    stack.delivered("bob@example.test", "reference one")
    stack.delivered("alice@example.test", "reference one")
    stack.delivered("bob@example.test", "reference two")
    folder = stack.folder / "mail/bob@example.test/new"
    first, second = [REFERENCE_HEADER.findall(text) for text in sorted(
        (one.read_text() for one in folder.iterdir() if "Subject: reference " in one.read_text()),
        key=lambda text: "reference two" in text)]
    assert len(first) == 1 and len(second) == 2 and second[1] == "forged"
    assert first[0] != second[0] and len(first[0]) >= 96
    sealed = base64.urlsafe_b64decode(first[0] + "==")
    assert mailbox.encode() not in sealed and stack.used(mailbox) == 2


def test_a_quoted_local_part_is_at_its_domain(stack, mailbox):
    """Postfix names it without quotation marks."""
    with MailProgram(stack, mailbox) as program:
        program.send(['"john doe"@own.test', '"a\\"b"@own.test', '"dot."@own.test'])
        assert stack.used(mailbox, "off_domain_per_day") == 0
        program.send(['"john doe"@outside.test'])
    assert stack.used(mailbox, "off_domain_per_day") == 1


# What is written to, and where a Postfix that is own.test's mail server delivers it.
ROUTES = {
    "v%x.test@own.test": "v@x.test",
    "x.test!v@own.test": "v@x.test",
    '"v@x.test"@own.test': "v@x.test",
    "v%x.test%own.test@own.test": "v@x.test",
    "own.test!x.test!v@own.test": "v@x.test",
    "v%y.test%x.test@own.test": "v%y.test@x.test",
    "y.test!v%x.test@own.test": "v%x.test@y.test",
    '"v%x.test@"@own.test': "v@x.test",
    '"v@\\"x.test\\""@own.test': "v@x.test",
    '"v%\\"x\\".test"@own.test': "v@x.test",
    '"\\"x.test\\"!v"@own.test': "v@x.test",
    "v%x_y.test@own.test": "v@x_y.test",
    "x_y.test!v@own.test": "v@x_y.test",
    '"@y.test:v%x.test"@own.test': "v@x.test",
    # what is written in quotation marks leads nowhere when something else does
    '"\\"y.test!\\"v%x.test"@own.test': '"\\"y.test!\\"v"@x.test',
    '"v\\"%y.test\\"%x.test"@own.test': '"v\\"%y.test\\""@x.test',
    '"y.test\\\\!v%x.test"@own.test': '"y.test\\\\!v"@x.test',
    '"v%x.test\\\\%y.test"@own.test': '"v%x.test\\\\"@y.test',
    "a%d1.test@big.test": "a%d1.test@big.test",
    "bob@own.test": "bob@own.test",
    "bob%own.test@own.test": "bob@own.test",
}


@pytest.fixture
def serves_own_test(stack):
    with_domain(stack, "own.test")
    yield
    with_domain(stack, "")


def with_domain(stack, domain):
    folder = stack.folder / "postfix/conf"
    subprocess.run(["postconf", "-c", folder, "-e", f"mydestination={domain}",
                    "local_transport=discard", "transport_maps="], check=True)
    subprocess.run(["postfix", "-c", folder, "reload"], check=True)


def test_addresses_are_where_postfix_delivers_them(stack, mailbox, other_settings, serves_own_test):
    before = stack.log("mailer.postfix")
    with MailProgram(stack, mailbox) as program:
        for address in ROUTES:
            program.send([address])
    outside = [target for target in ROUTES.values() if not target.endswith("@own.test")]
    assert stack.used(mailbox, "off_domain_per_day") == len(outside)
    eventually(lambda: stack.log_since(before, "mailer.postfix").count("status=sent") == len(ROUTES),
               "all are delivered")
    delivered = re.findall(r" to=<([^>]*)>.* status=sent", stack.log_since(before, "mailer.postfix"))
    assert sorted(delivered) == sorted(ROUTES.values())

    other_settings("limits.smtp.recipients_per_domain=0")
    for address, target in ROUTES.items():
        domain = target.rpartition("@")[2]
        with MailProgram(stack, mailbox) as program:  # Postfix lets one that is refused often wait
            if domain != "own.test":
                assert f"1 recipient at {domain}; the limit is 0" in program.refused([address]).text
            else:
                program.send([address])


def test_a_limit_that_does_not_suspend_says_when_the_message_fits(stack, mailbox, other_settings):
    other_settings("on_limit.messages_per_day=refuse", "limits.smtp.messages_per_day=2")
    with MailProgram(stack, mailbox) as program:
        program.send()
        program.send()
        refusal = program.refused()
        readable(refusal, 450, stack)
        assert refusal.text.startswith("4.7.1 ")
        named = refusal.text.partition("It can be sent from ")[2][:20]
        moment = datetime.datetime.strptime(named.replace("UTC", "+0000"), "%Y-%m-%d %H:%M %z")
        wait = moment - datetime.datetime.now(datetime.timezone.utc)
        hours = wait / datetime.timedelta(hours=1)
        assert 23.9 < hours <= 24.02
    assert not suspended(stack, mailbox)
    assert stack.used(mailbox) == 2


# ---- one store


def with_900_outside(stack, address):
    """A mailbox with 300 recipients by the webmail and 600 by SMTP."""
    mailbox = stack.new_mailbox()
    webmail = stack.roundcube(mailbox, address)
    crowd = people(0, 300)
    assert webmail.send(to=crowd[:100], cc=crowd[100:200], bcc=crowd[200:]) is True
    assert stack.used(mailbox, "off_domain_per_day") == 300
    assert stack.used(mailbox) == 1
    program = MailProgram(stack, mailbox)
    program.send(people(300, 900))
    assert stack.used(mailbox, "off_domain_per_day") == 900
    return mailbox, webmail, program


def test_900_recipients_by_both_channels_are_the_smtp_limit_and_suspend_nobody(stack):
    mailbox, webmail, program = with_900_outside(stack, "127.0.0.21")
    with webmail, program:
        refusal = program.refused()
        assert broken(stack, readable(refusal, 450, stack)) == {"off_domain_per_day": (900, 901)}
        assert "It can be sent from " in refusal.text
        assert not suspended(stack, mailbox)
        assert webmail.send() is True
    assert stack.used(mailbox, "off_domain_per_day") == 901


def test_1000_recipients_by_both_channels_are_the_webmails_limit_and_suspend_nobody(stack):
    mailbox, webmail, program = with_900_outside(stack, "127.0.0.22")
    with webmail, program:
        assert webmail.send(to=people(900, 1000)) is True
        assert stack.used(mailbox, "off_domain_per_day") == 1000
        said = webmail.send()
        assert "plugin.sendguard_refused" in said and "suspended" not in said, said
        reference = REFERENCE.search(said).group(0)
        assert broken(stack, reference) == {"off_domain_per_day": (1000, 1001)}
        assert not suspended(stack, mailbox)
    assert stack.used(mailbox, "off_domain_per_day") == 1000


def test_a_suspension_by_staff_holds_at_both_channels_until_it_is_lifted(stack, mailbox):
    with stack.roundcube(mailbox, "127.0.0.23") as webmail, MailProgram(stack, mailbox) as program:
        stack.sendguard("suspend", mailbox, "--for", "24h", "--cause", "terms", "--note", "a test")
        refusal = program.refused()
        readable(refusal, 554, stack)
        assert "suspended for a violation of the terms of usage" in refusal.text
        assert "plugin.sendguard_refused" in webmail.send()
        stack.sendguard("lift", mailbox, "--note", "a test")
        program.send()
        assert webmail.send() is True
    assert stack.used(mailbox) == 2


# ---- who is not judged, and what when nobody can judge


def test_mail_without_a_login_passes(stack):
    before = stack.log()
    with MailProgram(stack, port="incoming") as program:
        program.send(["bob@example.test"], sender="someone@elsewhere.test", subject="from outside")
        program.send(["bob@example.test"], sender="", subject="a bounce")
    stack.delivered("bob@example.test", "from outside")
    stack.delivered("bob@example.test", "a bounce")
    assert "msg=decision" not in stack.log_since(before)


def test_451_while_the_store_is_locked_and_nothing_is_counted(stack, mailbox):
    lock = sqlite3.connect(stack.folder / "guard/sendguard.db", isolation_level=None, timeout=60)
    with MailProgram(stack, mailbox) as program:
        program.send()
        lock.execute("BEGIN IMMEDIATE")
        try:
            refusal = program.refused()
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert (refusal.code, refusal.text[:5]) == (451, "4.7.1"), refusal
        assert "try again" in refusal.text
        program.send()
    assert stack.used(mailbox) == 2


def test_on_failure_allow_lets_mail_pass_while_the_store_is_locked(stack, mailbox, other_settings):
    other_settings("store.on_failure=allow")
    lock = sqlite3.connect(stack.folder / "guard/sendguard.db", isolation_level=None, timeout=60)
    with MailProgram(stack, mailbox) as program:
        lock.execute("BEGIN IMMEDIATE")
        try:
            program.send()
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        eventually(lambda: program.send() or stack.used(mailbox) > 0, "it is judged again")


def test_451_while_the_service_is_closed(stack, mailbox):
    stack.stop("mta")
    try:
        with MailProgram(stack, mailbox) as program:
            refusal = program.refused()
    finally:
        stack.start("mta")
    assert (refusal.code, refusal.text[:5]) == (451, "4.3.5"), refusal
    with MailProgram(stack, mailbox) as program:
        program.send()
    assert stack.used(mailbox) == 1


# ---- Dovecot's submission service in front


def test_behind_dovecots_submission_service(stack, mailbox, other_settings):
    other_settings("limits.smtp.recipients_per_message=2")
    with MailProgram(stack, mailbox, port="dovecot_submission") as program:
        program.send(["a@outside.test", "colleague@own.test"])
        refusal = program.refused(["a@outside.test", "b@outside.test", "c@outside.test"])
        readable(refusal, 554, stack)
        assert "3 recipients in all; the limit for one message is 2. Remove 1." in refusal.text
    assert stack.used(mailbox) == 1
    assert stack.used(mailbox, "off_domain_per_day") == 1


# ---- an unusual rate

def began_before(stack, mailbox, days):
    """As if the first message of the mailbox had been so long ago (lib/rules/profile.h)."""
    with sqlite3.connect(stack.folder / "guard/sendguard.db", timeout=60) as database:
        [[row, profile]] = database.execute("SELECT id, bytes FROM value WHERE kind = 24 AND key = ?",
                                            [mailbox])
        head = len(profile) - int.from_bytes(profile[-3:-1], "big")
        place = head + 1 + 14 * profile[head]
        began = int.from_bytes(profile[place:place + 6], "big") - days * 86_400_000
        changed = profile[:place] + began.to_bytes(6, "big") + profile[place + 6:]
        database.execute("UPDATE value SET bytes = ? WHERE id = ?", [changed, row])


def on_hold(stack, mailbox):
    listed = subprocess.run(["postqueue", "-c", stack.folder / "postfix/conf", "-j"], check=True,
                            capture_output=True, text=True).stdout
    return {one["queue_id"]: len(one["recipients"]) for one in map(json.loads, listed.splitlines())
            if one["queue_name"] == "hold" and one["sender"] == mailbox}


def test_mail_at_an_unusual_rate_waits_in_both_channels(stack, mailbox, other_settings):
    other_settings("unusual.mode=hold", "unusual.new_recipients=3", "unusual.factor=1")
    with MailProgram(stack, mailbox) as program:
        program.send()
        began_before(stack, mailbox, 8)
        program.send(people(0, 4))
        program.send(["bob@example.test"], subject="a colleague")
        program.send(subject="known")
    stack.delivered("bob@example.test", "a colleague")
    assert list(on_hold(stack, mailbox).values()) == [4]
    before = stack.log()
    with stack.roundcube(mailbox, "127.0.0.35") as webmail:
        assert webmail.send(to="stranger@outside.test", bcc="stranger2@outside.test") is True
        page = webmail.get("/?_task=mail").text
        assert "waits until the postmaster has looked at it" in page
        assert "waits until the postmaster" not in webmail.get("/?_task=mail").text, "told once"
    told = stack.log_since(before)
    assert re.search(r"verdict=held action=HOLD mailbox=" + re.escape(mailbox), told), told
    held = on_hold(stack, mailbox)
    assert sorted(held.values()) == [2, 4]
    assert stack.used(mailbox) == 5, "what waits is counted, once"
    before = stack.log("mailer.postfix")
    subprocess.run(["postsuper", "-c", stack.folder / "postfix/conf", *[
        word for one in held for word in ("-H", one)]], check=True, capture_output=True)
    stack.flush()
    eventually(lambda: len(re.findall(r"status=sent", stack.log_since(before, "mailer.postfix"))) >= 6,
               "all of it is delivered")
    assert not on_hold(stack, mailbox)


def test_mail_at_an_unusual_rate_is_deferred(stack, mailbox, other_settings):
    other_settings("unusual.mode=defer", "unusual.new_recipients=3", "unusual.factor=1")
    with MailProgram(stack, mailbox) as program:
        program.send()
        began_before(stack, mailbox, 8)
        refusal = program.refused(people(0, 4))
        assert refusal.code == 451 and refusal.text.startswith("4.7.1 "), refusal
        assert "Far more mail than usual" in refusal.text and "5 in an hour" in refusal.text
        program.send(people(0, 2))
    assert stack.used(mailbox) == 2


# ---- tickets


def test_200_webmail_messages_count_200(stack, mailbox):
    before = stack.log()
    messages = [{"to": people(0, 1 + n % 3), "bcc": ["colleague@own.test"]} for n in range(200)]
    outcomes = send_in_parallel(stack, mailbox, "127.0.0.31", messages)
    assert outcomes == [True] * 200
    assert stack.used(mailbox) == 200
    assert stack.used(mailbox, "off_domain_per_day") == sum(1 + n % 3 for n in range(200))
    decisions = [line for line in stack.log_since(before).splitlines() if mailbox in line]
    assert len([line for line in decisions if "verdict=redeemed" in line]) == 200
    assert not [line for line in decisions if "bypassed" in line]


@pytest.mark.parametrize("message", [
    {"to": "a@outside.test", "cc": "a@outside.test", "bcc": "a@outside.test"},
    {"to": "a@outside.test, A@Outside.test"},
    {"to": "Ann <a@outside.test>, a@outside.test", "cc": '"B, b" <b@outside.test>'},
    {"to": "a@b\u00fccher.test", "cc": "a@xn--bcher-kva.test"},
    {"to": "", "bcc": "a@outside.test; b@outside.test"},
    {"to": "", "cc": "a@outside.test"},
    {"to": "bob@example.test", "cc": "Bob <bob@EXAMPLE.test>"},
])
def test_the_ticket_fits_however_recipients_are_written(stack, mailbox, message):
    before = stack.log()
    with stack.roundcube(mailbox, "127.0.0.34") as webmail:
        assert webmail.send(**message) is True
    decisions = [line for line in stack.log_since(before).splitlines() if mailbox in line]
    assert len(decisions) == 1 and "verdict=redeemed" in decisions[0], decisions
    assert stack.used(mailbox) == 1


def test_without_the_plugin_601_messages_count_are_noticed_and_stop_at_600(
        stack, mailbox, without_plugin):
    before, counted = stack.log(), bypassed_total(stack)
    outcomes = send_in_parallel(stack, mailbox, "127.0.0.32", [{}] * 601)
    refused = [said for said in outcomes if said is not True]
    assert len(refused) == 1, refused[:3]
    assert PROVIDERS_SENTENCE in refused[0]
    assert stack.used(mailbox) == 600
    assert suspended(stack, mailbox)
    decisions = [line for line in stack.log_since(before).splitlines() if mailbox in line]
    assert len([line for line in decisions if "bypassed=" in line]) == 601
    eventually(lambda: bypassed_total(stack) >= counted + 601, "the metric")
    assert overview(stack)["bypassed_today"] >= 601


def test_without_the_plugin_the_webmails_limits_hold(stack, mailbox, without_plugin):
    crowd = people(0, 301)
    with stack.roundcube(mailbox, "127.0.0.33") as webmail:
        assert "301 recipients in all; the limit for one message is 300" in webmail.send(to=crowd)
        assert "300 recipients in To; the limit for one field is 100" in webmail.send(to=crowd[:300])
        assert webmail.send(to=crowd[:100], cc=crowd[100:200], bcc=crowd[200:300]) is True
    assert stack.used(mailbox, "off_domain_per_day") == 300
    with MailProgram(stack, mailbox) as program:
        program.send(crowd)
    assert stack.used(mailbox, "off_domain_per_day") == 601


def test_a_ticket_holds_once_for_its_client_and_its_number_of_recipients(stack, mailbox):
    one, two = ["a@outside.test"], ["a@outside.test", "b@outside.test"]
    admit_only(stack, mailbox, one)
    with MailProgram(stack, mailbox) as program:
        program.send(one)
        assert stack.used(mailbox) == 2, "a mail program has no ticket"
    with MailProgram(stack, mailbox, address=stack.env["webmail_host"]) as webmail:
        before = stack.log()
        webmail.send(two)
        assert stack.used(mailbox) == 3, "not for two recipients"
        webmail.send(one)
        assert stack.used(mailbox) == 3, "this one it is for"
        webmail.send(one)
        assert stack.used(mailbox) == 4, "and only once"
    decisions = [line for line in stack.log_since(before).splitlines() if mailbox in line]
    assert ["bypassed=" in line for line in decisions] == [True, False, True]


def admit_only(stack, mailbox, recipients):
    """Asks the webmail endpoint, as a webmail does that then sends nothing."""
    body = {"id": "<1@test>", "mailbox": mailbox, "ip": "192.0.2.1", "to": recipients}
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port('submissions')}/sendguard/submissions",
        json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["verdict"] == "admit"


def bypassed_total(stack):
    return int(float(stack.metrics().get('sendguard_bypassed_total{channel="smtp"}', 0)))


def overview(stack):
    token = stack.sendguard("token", "add", "test", "--role", "viewer", "--expires", "1d",
                            "--note", "a test")["token"]
    request = urllib.request.Request(f"{stack.base_url}/api/v1/overview",
                                     headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
