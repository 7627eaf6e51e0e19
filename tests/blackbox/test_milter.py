"""sendguard-milter: To, Cc and Bcc by name, for what mail programs hand in."""


import random
import signal
import struct
import threading

import pytest

from endpoint import NOT_SENT, people
from milter import ACCEPT, CONTINUE, TEMPFAIL, Closed, Milter, Session, through  # noqa: F401 (fixture)
from mta import DUNNO
from programs import PATIENCE, SANITIZED, eventually
from test_cli import Shell

pytestmark = [pytest.mark.sanitized, pytest.mark.either_store]

SMTP = {"limits.smtp": {"recipients_per_field": 100, "header_chars_per_domain": 2000}}
FIELD = {"limits.smtp": {"recipients_per_field": 3}}
HOST = "127.0.0.1"


def spread(count, prefix="p"):
    """Far from the limit of characters."""
    return [f"{prefix}{number}@d{number}.test" for number in range(count)]


def refusal(answer, reason):
    """The reference of a refusal for that reason alone."""
    assert isinstance(answer, list) and len(answer) == 2, answer
    text, place = answer
    assert text == f"{NOT_SENT} {reason}", text
    place, _, reference = place.rpartition("/")
    assert place == "Details: http://127.0.0.1:8080/sending/r", answer
    return reference


# ---- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["To", "Cc", "Bcc"])
def test_100_recipients_of_a_field_and_not_101(through, field):
    writer, webmail = through(SMTP)()
    for count in (100, 101):
        crowd, others = spread(count), spread(100, "q")
        named = {"To": ", ".join(others), "Cc": ", ".join(spread(100, "r"))}
        if field != "Bcc":
            named[field] = ", ".join(crowd)
        envelope = [*others, *spread(100, "r"), *crowd]
        answer = writer.write(envelope, **named)
        if count == 100:
            assert answer == ACCEPT
        else:
            refusal(answer, f"101 recipients in {field}; the limit for one field is 100. Remove 1.")
    assert webmail.used() == 1, "a refused message counts nowhere"


def test_several_fields_of_a_name_are_one(through):
    writer, _ = through(FIELD)()
    fields = [("To", "a@x.test, b@x.test"), ("CC", "z@x.test"), ("to", "c@x.test,\r\n\td@x.test")]
    writer.write(["a@x.test"])
    answer = writer.header(["a@x.test"], fields)
    refusal(answer, "4 recipients in To; the limit for one field is 3. Remove 1.")


def test_an_address_counts_once_in_a_field_however_it_is_written(through):
    writer, _ = through(FIELD)()
    same = "Bob <bob@x.test>, BOB@X.TEST, \"bob\"@x.test (Bob), =?utf-8?q?B=C3=B6b?= <bob@x.test>"
    assert writer.write(["bob@x.test"], To=same, Cc="bob@x.test, a@x.test, b@x.test") == ACCEPT
    assert writer.write(["bob@x.test"], bcc=["A@y.test", "a@y.test", "b@y.test", "c@y.test"],
                        To=same) == ACCEPT


def test_groups_folding_and_names(through):
    writer, _ = through(FIELD)()
    three = "Team: \"Doe, John\" <a@x.test>,\r\n <b@x.test>,\n\tc@x.test;"
    assert writer.write(["a@x.test", "b@x.test", "c@x.test"], To=three) == ACCEPT
    assert writer.write(["a@x.test"], To="undisclosed-recipients:;") == ACCEPT
    answer = writer.write(["a@x.test", "d@x.test"], To=three[:-1] + ", d@x.test;")
    refusal(answer, "4 recipients in To; the limit for one field is 3. Remove 1.")


def test_2000_characters_at_a_domain_and_not_2001(through):
    writer, webmail = through(SMTP)()
    names = [f"p{number:02}@x.test" for number in range(50)]
    entries = [f"{'ä' * 25} <{one}>" for one in names]
    for more, fits in ((2000, True), (2001, False)):
        missing = more - len(", ".join(entries))
        written = [f"{'ä' * (25 + missing)} <{names[0]}>", *entries[1:]]
        encoded = ",\r\n ".join(written[:25]), ",\r\n ".join(written[25:])
        assert len(", ".join(written)) == more
        answer = writer.write(names, To=encoded[0], Cc=encoded[1])
        if fits:
            assert answer == ACCEPT
        else:
            refusal(answer, "The recipients at x.test take 2001 characters, names included; the "
                            "limit is 2000. Remove recipients or shorten names by 1.")
    assert webmail.used() == 1


def test_all_that_is_broken_is_told(through, folder, store):
    settings = {"limits.smtp": {"recipients_per_field": 1, "header_chars_per_domain": 20}}
    writer, _ = through(settings)()
    text, place = writer.write(["one@x.test", "two@x.test"], bcc=["three@x.test", "four@x.test"])
    assert "2 recipients in To;" in text and "2 recipients in Bcc;" in text
    decision = Shell(folder, store).json("explain", place.rpartition("/")[2])
    chars, = [one for one in decision["rules"] if one["rule"] == "header_chars_per_domain"]
    assert (chars["count"], chars["broken"]) == (len("one@x.test, two@x.test, three@x.test, four@x.test"), True)


def test_the_other_rules_of_one_message_are_the_policy_services(through):
    """The header may name recipients that this copy of the message does not go to."""
    settings = {"limits.smtp": {"recipients_per_message": 2, "recipients_per_domain": 2,
                                "recipients_per_field": 5}}
    writer, _ = through(settings)()
    assert writer.write(["a@x.test"], To=", ".join(people(5, "x.test"))) == ACCEPT
    refusal(writer.write(["a@x.test"], To=", ".join(people(6, "x.test"))),
            "6 recipients in To; the limit for one field is 5. Remove 1.")


def test_the_policy_service_leaves_fields_to_the_milter(through, start_mta_alone):
    writer, _ = through(FIELD)()
    crowd = spread(6)
    assert writer.write(crowd, To=", ".join(crowd[:3]), Cc=", ".join(crowd[3:])) == ACCEPT
    alone = start_mta_alone(FIELD)
    assert alone.end(4).startswith("REJECT 5.7.1 "), "without a milter all are taken for one field"


@pytest.fixture
def start_mta_alone(new_folder, sqlite_store):
    from mta import Mta, User
    started = []

    def start(settings):
        mta = Mta(new_folder(), sqlite_store, settings).start()
        user = User(mta)
        started.extend((user.close, mta.stop))
        return user

    yield start
    for end in started:
        end()


# ---- a refusal counts nowhere -----------------------------------------------------------------------


def test_what_was_counted_is_taken_back_once(through):
    writer, webmail = through(FIELD)()
    assert writer.write(spread(3)) == ACCEPT
    reason = "4 recipients in To; the limit for one field is 3. Remove 1."
    refusal(writer.write(spread(4)), reason)
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 3)
    for _ in range(2):  # the same header again, which Postfix does not ask about
        refusal(writer.header(spread(4), [("To", ", ".join(spread(4)))]), reason)
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 3)
    assert writer.write(spread(2)) == ACCEPT
    assert webmail.used("off_domain_per_day") == 5


def test_a_message_of_another_mailbox_is_not_taken_back(through):
    new_writer = through(FIELD)
    (writer, _), (other, others_webmail) = new_writer(), new_writer()
    assert other.write(spread(3)) == ACCEPT
    refusal(writer.header(spread(4), [("To", ", ".join(spread(4)))], other.queue_id),
            "4 recipients in To; the limit for one field is 3. Remove 1.")
    assert others_webmail.used() == 1


def test_a_refused_message_suspends_nobody(through):
    writer, webmail = through({**FIELD, "limits.webmail": {"messages_per_day": 2},
                               "limits.smtp": {"recipients_per_field": 3, "messages_per_day": 2}})()
    for _ in range(5):
        refusal(writer.write(spread(4)), "4 recipients in To; the limit for one field is 3. Remove 1.")
    assert writer.write(spread(1)) == ACCEPT
    assert webmail.used() == 1


def test_killed_behind_its_refusal_nothing_counts(through):
    writer, webmail = through(FIELD)()
    refusal(writer.write(spread(4)), "4 recipients in To; the limit for one field is 3. Remove 1.")
    writer.milter.kill()
    assert webmail.used() == 0
    writer.milter.start()
    writer.session = Session(writer.milter)
    refusal(writer.write(spread(4)), "4 recipients in To; the limit for one field is 3. Remove 1.")
    assert webmail.used() == 0


def test_what_staff_reads(through, folder, store):
    writer, _ = through(FIELD)()
    reference = refusal(writer.write(spread(4)),
                        "4 recipients in To; the limit for one field is 3. Remove 1.")
    shell = Shell(folder, store)
    told = shell.ok("explain", reference)
    assert "by the milter, from its header" in told, told
    decision = shell.json("explain", reference)
    assert decision["by_header"] is True and decision["outcome"] == "rejected"
    rule, = [one for one in decision["rules"] if one["broken"]]
    assert (rule["rule"], rule["limit"], rule["count"]) == ("recipients_per_field", 3, 4)
    off = [one["rule"] for one in decision["rules"] if not one["over_time"] and not one["checked"]]
    assert {"recipients_per_message", "recipients_per_domain"} <= set(off)


# ---- who is not judged ------------------------------------------------------------------------------


def test_nobody_signed_in(through):
    writer, _ = through(FIELD)()
    with Session(writer.milter) as session:
        assert session.steps & 0x80 and session.steps & 0x8000, "fields and recipients are silent"
        assert session.steps & 0x10, "no body"
        for _ in range(3):
            assert session.mail("", "192.0.2.1", "stranger@elsewhere.test") == ACCEPT


def test_where_no_rule_asks_nothing_is_read(through):
    writer, _ = through()()
    assert writer.session.mail(writer.mailbox, writer.ip, writer.mailbox) == ACCEPT


def test_exempt_ones(through):
    writer, _ = through({**FIELD, "exempt": {"mailbox": "boss@example.test"},
                         "mta": {"exempt_networks": "198.51.100.0/24", "null_sender": "pass"}})()
    crowd = [("To", ", ".join(spread(9)))]
    session = writer.session
    assert session.mail("boss@example.test", "192.0.2.1", "boss@example.test") == ACCEPT
    assert session.mail(writer.mailbox, "198.51.100.9", writer.mailbox) == ACCEPT
    assert session.mail(writer.mailbox, "192.0.2.1", "") == ACCEPT
    assert isinstance(writer.header(spread(9), crowd, "4jXnone"), list)


def test_what_the_webmail_endpoint_admitted(through):
    """It has judged the fields that its user filled in, by the limits of the webmail."""
    settings = {"limits.webmail": {"recipients_per_field": 5, "header_chars_per_domain": "off"},
                "mta": {"webmail_hosts": HOST}}
    writer, webmail = through(settings)(ip=HOST)
    crowd = spread(6)
    webmail.admitted(cc=crowd[5:], to=crowd[:5])
    assert writer.write(crowd, To=", ".join(crowd)) == ACCEPT
    assert webmail.used() == 1
    refusal(writer.write(crowd, To=", ".join(crowd)),
            "6 recipients in To; the limit for one field is 5. Remove 1.")
    assert webmail.used() == 1, "this one had no ticket, and is taken back"
    webmail.admitted(crowd[:2])
    assert writer.write(crowd[:2], To="a@x.test, no address") == ACCEPT
    assert webmail.used() == 2


def test_mode_observe(through):
    writer, webmail = through({**FIELD, "guard": {"mode": "observe"}})()
    assert writer.write(spread(4)) == ACCEPT
    writer.milter.log.wait("verdict=observed .*rule=recipients_per_field")
    assert writer.write(spread(1), To="no address") == ACCEPT
    writer.milter.log.wait("a header cannot be read.* observed=1")
    assert webmail.used() == 2


def test_adjustments_hold_within_a_second(through, folder, store):
    writer, _ = through(FIELD)()
    shell = Shell(folder, store)
    assert isinstance(writer.write(spread(4)), list)
    shell.ok("limit", writer.mailbox, "recipients_per_field=4", "--note", "test")
    eventually(lambda: writer.write(spread(4)) == ACCEPT, "the new limit holds")


# ---- headers that cannot be read -----------------------------------------------------------------


UNREADABLE = {
    "no domain": "bob", "no comma": "a@x.test b@y.test", "open quotation": "a@x.test, \"b@y.test",
    "two in one": "<a@x.test> <b@y.test>", "a bare CR": "a@x.test,\rb@y.test",
    "no fold": "a@x.test\nb@y.test", "open group": "Team: a@x.test", "two at": "a@@x.test",
    "open comment": "a@x.test (", "no UTF-8": "\udcff <a@x.test>", "long": "a" * 9000 + "@x.test"}


def test_two_programs_could_read_it_differently(through):
    writer, webmail = through(FIELD)()
    for name, value in UNREADABLE.items():
        answer = writer.write(["a@x.test"], To=value)
        assert isinstance(answer, list), name
        assert answer[0].startswith(
            f"{NOT_SENT} Its header cannot be read: to"), answer
    assert webmail.used() == 0
    told = writer.milter.log.wait("a header cannot be read", count=len(UNREADABLE))
    assert len(told) == len(UNREADABLE)
    assert "@x.test" not in writer.milter.log.text(), "no recipient in the log"


def test_more_than_is_kept(through):
    writer, webmail = through(SMTP)()
    fields = [("To", f"p{number}@d{number}.test") for number in range(101)]
    answer = writer.header(["a@x.test"], fields, "4jXnone")
    assert "expected at most 100 fields" in answer[0], answer
    half = ", ".join(f"{'n' * 5000} <p{number}@own.test>" for number in range(110))
    answer = writer.header(["a@x.test"], [("To", half), ("Cc", half)], "4jXnone")
    assert "and 1048576 bytes" in answer[0], answer
    assert writer.write(spread(100)) == ACCEPT
    assert webmail.used() == 1


def test_a_header_of_100_kilobytes(through):
    """libmilter by itself ends the connection at 64."""
    writer, _ = through({"limits.smtp": {"recipients_per_field": 2000}})()
    crowd = [f"someone.{number}@a-rather-long-domain-{number}.test" for number in range(1999)]
    assert len(", ".join(crowd)) > 80_000
    answer = writer.header(crowd[:10], [("To", ", ".join(crowd))], "4jXnone")
    assert answer == ACCEPT


# ---- From ---------------------------------------------------------------------------------------


ENFORCE = {"identity": {"mode": "enforce"}}


def from_refused(answer, address, mailbox):
    text, place = answer
    assert f"You are signed in as {mailbox} and may not write as {address}." in text, text
    assert mailbox in text.split("You may write as: ")[1], text
    assert "/sending/r/" in place
    return place.rpartition("/")[2]


def test_every_address_in_from_must_be_the_accounts(through, folder):
    owners = folder / "owners"
    new_writer = through({"identity": {"mode": "enforce", "owners": f"file:{owners}"}})
    writer, webmail = new_writer()
    mailbox = writer.mailbox
    owners.write_text(f"sales@example.test {mailbox}\nboard@example.test bob@example.test\n")
    eventually(lambda: writer.write(["a@x.test"], From="sales@example.test") == ACCEPT,
               "the file has been read")
    used = webmail.used()
    good = [mailbox, f"Me <{mailbox.upper()}>", f"{mailbox}, \"Sales\" <sales+x@example.test>",
            f"=?utf-8?q?b=C3=B6ss?= <{mailbox}>", f"\"boss@else.test\" <{mailbox}>", f"Us: {mailbox};"]
    for value in good:
        assert writer.write(["a@x.test"], From=value) == ACCEPT, value
    assert writer.write(["a@x.test"], To="a@x.test") == ACCEPT, "without From"
    used += len(good) + 1
    assert webmail.used() == used
    for value in ("board@example.test", f"{mailbox}, board@example.test",
                  f"board@example.test, {mailbox}", f"\"{mailbox}\" <board@example.test>",
                  f"Us: {mailbox}, board@example.test;"):
        from_refused(writer.write(["a@x.test"], From=value), "board@example.test", mailbox)
    fields = [("From", mailbox), ("from", "board@example.test"), ("Sender", mailbox)]
    writer.write(["a@x.test"], From=mailbox)
    from_refused(writer.header(["a@x.test"], fields), "board@example.test", mailbox)
    assert webmail.used() == used, "refused messages count nowhere"


def test_sender_does_not_help(through):
    writer, _ = through(ENFORCE)()
    from_refused(writer.write(["a@x.test"], Sender=writer.mailbox, From="bob@example.test"),
                 "bob@example.test", writer.mailbox)


def test_an_empty_envelope_sender_does_not_either(through):
    writer, _ = through({**ENFORCE, "mta": {"null_sender": "pass"}})()
    answer = writer.header(["a@x.test"], [("From", "bob@example.test")], "4jXnone", sender="")
    from_refused(answer, "bob@example.test", writer.mailbox)


def test_a_from_that_cannot_be_read(through):
    writer, webmail = through(ENFORCE)()
    for value in ("root", f"{writer.mailbox} bob@example.test", f"<{writer.mailbox}", ">"):
        text, *_ = writer.write(["a@x.test"], From=value)
        assert text.startswith(f"{NOT_SENT} Its header cannot be read: from: "), text
    assert webmail.used() == 0
    assert writer.write(["a@x.test"], From=writer.mailbox, To="nobody reads To: here") == ACCEPT


def test_from_is_observed(through, folder, store):
    writer, webmail = through({"identity": {"mode": "observe"}})()
    assert writer.write(["a@x.test"], From="bob@example.test") == ACCEPT
    writer.milter.log.wait("verdict=observed .*rule=from_not_yours")
    assert writer.write(["a@x.test"], From="no address") == ACCEPT
    writer.milter.log.wait("a header cannot be read.* where=from observed=1")
    assert webmail.used() == 2


def test_three_foreign_ones_suspend(through, folder, store):
    writer, webmail = through({**ENFORCE, "domains": {"hosted": "example.test"}})()
    for number in range(3):
        text, place = writer.write([f"r{number}@x.test"], From="boss@else.test")
        assert ("has been suspended" in text) == (number == 2), text
    decision = Shell(folder, store).json("explain", place.rpartition("/")[2])
    assert decision["by_header"] is True
    assert Shell(folder, store).json("show", writer.mailbox)["suspension"]["cause"] == "identity"


def test_from_and_fields_are_judged_together(through, folder, store):
    writer, _ = through({**ENFORCE, **FIELD})()
    answer = writer.write(spread(4), To=", ".join(spread(4)), From="bob@example.test")
    reference = from_refused(answer, "bob@example.test", writer.mailbox)
    rules = Shell(folder, store).json("explain", reference)["rules"]
    assert {one["rule"] for one in rules if one["broken"]} == {"from_not_yours", "recipients_per_field"}


def test_a_ticket_of_the_webmail_excuses_no_from(through):
    """In gate mode the endpoint sees the number of an identity. Its count is taken back, once."""
    settings = {"mta": {"webmail_hosts": HOST}, "limits.webmail": {"recipients_per_field": 5}}
    writer, webmail = through({**ENFORCE, **settings})(ip=HOST)
    for to, value in (("no address", writer.mailbox), ("a@x.test", "bob@example.test"),
                      ("no address", "bob@example.test"), ("a@x.test", "no address")):
        webmail.admitted(["a@x.test"])
        answer = writer.write(["a@x.test"], To=to, From=value)
        assert (answer == ACCEPT) == (value == writer.mailbox), answer
        assert webmail.used() == 1
    writer.header(["a@x.test"], [("From", "bob@example.test")])
    assert webmail.used() == 1
    from_refused(writer.write(["a@x.test"], From="bob@example.test"), "bob@example.test",
                 writer.mailbox)
    assert webmail.used() == 1


# ---- trouble --------------------------------------------------------------------------------------------


def test_without_a_store(through, store):
    """What breaks a rule is refused, and stays counted: nobody knows."""
    writer, webmail = through({**FIELD, "store": {"timeout": "1s"}})()
    assert writer.write(spread(3)) == ACCEPT
    transaction = writer.transaction()
    assert writer.connection.ask("END-OF-MESSAGE", **writer.members(
        recipient_count=4, **transaction)) == DUNNO
    store.silence()
    text, *_ = writer.header(spread(4), [("To", ", ".join(spread(4)))], transaction["queue_id"])
    assert text.startswith(f"{NOT_SENT} 4 recipients in To;"), text
    assert writer.header(spread(3), [("To", ", ".join(spread(3)))], "4jXnone") == ACCEPT
    writer.milter.log.wait("store does not answer")
    store.speak()
    assert webmail.used() == 2


def test_no_header_passes_at_the_end(through):
    """Postfix answers 451 to who sends where the connection ends, too."""
    writer, _ = through(FIELD)()
    session = writer.session
    assert session.mail(writer.mailbox, writer.ip, writer.mailbox) == CONTINUE
    session.begin(spread(4), [("To", ", ".join(spread(4)))])
    writer.milter.process.send_signal(signal.SIGTERM)
    try:
        answer = session.end("4jXnone")
        assert answer == TEMPFAIL or isinstance(answer, list), "its header, or its end, came in before"
    except (Closed, BrokenPipeError):
        pass  # it ended before its answer was on its way
    assert writer.milter.wait() == 0
    writer.milter.process = None


def test_settings_are_read_again(through):
    writer, _ = through(FIELD)()
    assert isinstance(writer.write(spread(4)), list)
    writer.milter.reload({"limits.smtp": {"recipients_per_field": 4}})
    assert writer.write(spread(4)) == ACCEPT
    writer.milter.reload({"limits.smtp": {"recipients_per_field": "of"}})
    assert writer.write(spread(4)) == ACCEPT


def test_without_a_place_to_listen_it_does_not_start(folder, sqlite_store):
    milter = Milter(folder, sqlite_store, {"milter": {"listen": ""}})
    milter.spawn()
    assert milter.wait() == 78
    assert 'where=milter.listen error="expected HOST:PORT' in milter.log.text()
    milter.spawn("--check")
    assert milter.wait() == 78
    assert "milter.listen: expected HOST:PORT" in milter.log.text()


def test_garbage_ends_its_own_connection(through):
    writer, _ = through(FIELD)()
    chance = random.Random(7)
    for _ in range(40 if SANITIZED else 200):
        link = writer.milter.connect()
        kind = chance.choice(b"OCHMRLNBEDAQT\0")
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(40)))
        link.sendall(struct.pack(">I", chance.choice((1 + len(data), 0, 1 << 31, 3 << 20))))
        link.sendall(bytes([kind]) + data)
        link.close()
    with Session(writer.milter) as session, pytest.raises((Closed, BrokenPipeError)):
        session.put(b"L", b"To\0" + b"x" * (2 << 20) + b"\0")
        session.answer()
    assert writer.write(spread(3)) == ACCEPT
    assert writer.milter.running


def test_a_hundred_connections_at_once(through):
    writer, webmail = through(FIELD)()
    sessions = [Session(writer.milter) for _ in range(20 if SANITIZED else 100)]
    wrong = []

    def work(session, number):
        with session:
            for turn in range(5):
                session.mail(writer.mailbox, writer.ip, writer.mailbox)
                count = 3 + (number + turn) % 2
                session.begin(spread(count), [("To", ", ".join(spread(count)))])
                if isinstance(session.end(f"4jX{number}t{turn}"), list) != (count == 4):
                    wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(sessions, range(len(sessions)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wrong and webmail.used() == 0
