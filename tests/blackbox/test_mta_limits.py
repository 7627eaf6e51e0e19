"""The policy service with its default numbers: the last message that fits, and the next. And
one store with the webmail."""

import re
import threading

import pytest

from clock import HOUR, Clock
from endpoint import NOT_SENT, crowd, people, rules
from mta import DUNNO, Connection, User, both, question, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from test_cli import Shell

REFUSE = {"on_limit": {"off_domain_per_day": "refuse", "messages_per_day": "refuse"}}
VOLUME = "REJECT 5.7.1 The message was rejected for the following reason: Permanent Failure: " \
         "Your ability to send new mail has been suspended as a high volume"


@pytest.mark.sanitized
def test_recipients_per_message(both):
    user, webmail = both()()
    assert user.end(900) == DUNNO
    answer = user.end(901)
    assert answer.startswith(f"REJECT 5.7.1 {NOT_SENT} 901 recipients in all; the limit for one message is 900."), answer
    assert "Details: http://" in answer and "(reference " in answer
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 900)


def test_messages_per_day(both):
    user, webmail = both()()
    for _ in range(600):
        assert user.end(1, recipient="colleague@example.test") == DUNNO
    assert webmail.used("off_domain_per_day") == 0
    answer = user.end(1, recipient="colleague@example.test")
    assert answer.startswith(VOLUME), answer
    assert " UTC. Messages in 24 hours: 601, limit 600. " in answer
    assert " Not sent, and will not be sent later by itself. Details: " \
           "http://127.0.0.1:8080/sending/r/" in answer
    assert "/status" not in answer and "?t=" not in answer
    assert webmail.used() == 600


def test_off_domain_per_day(both):
    user, webmail = both()()
    assert user.end(899) == DUNNO
    assert user.send(["colleague@example.test", "p@x.test"]) == DUNNO
    assert webmail.used("off_domain_per_day") == 900
    assert user.send(["colleague@example.test"]) == DUNNO
    assert user.send(["colleague@example.test", "p@x.test"]).startswith(VOLUME)
    assert user.send(["colleague@example.test"]).startswith(VOLUME)
    assert webmail.used("off_domain_per_day") == 900


def test_limits_of_the_webmail_do_not_hold(both):
    """Neither those of a field and a domain, nor that of an address."""
    new_user = both()
    first, _ = new_user()
    assert first.send(people(120, "x.test")) == DUNNO
    assert first.end(600) == DUNNO
    second, webmail = new_user()
    second.ip = first.ip
    assert second.end(600) == DUNNO
    assert webmail.used("off_domain_per_hour_per_ip") == 0


@pytest.mark.sanitized
def test_mail_programs_leave_the_webmails_window_of_a_network(both):
    """A phone in an office sends 500 by SMTP, and the office's webmail has its 500 still; and the
    other way round where SMTP has such a limit too."""
    limits = {name: {"off_domain_per_hour_per_ip": 500} for name in ("limits.webmail", "limits.smtp")}
    new_user = both(limits)
    phone, _ = new_user()
    _, colleague = new_user()
    colleague.ip = phone.ip
    assert phone.end(500) == DUNNO
    assert phone.end(1).startswith("DEFER_IF_PERMIT 4.7.1 ")
    assert colleague.used("off_domain_per_hour_per_ip") == 0
    for field in range(5):
        colleague.admitted(crowd(100, prefix=f"f{field}"))
    assert rules(colleague.send()) == ["off_domain_per_hour_per_ip"]
    tablet, _ = new_user()
    tablet.ip = phone.ip
    assert tablet.end(1).startswith("DEFER_IF_PERMIT 4.7.1 ")
    other, webmail = new_user()
    for field in range(5):
        webmail.admitted(crowd(100, prefix=f"g{field}"))
    assert other.end(400) == DUNNO


@pytest.mark.sanitized
def test_forwarding(both):
    """A stranger writes 1,000 messages to a mailbox whose filter sends them on: 600 go, the others
    are deferred, and its owner sends as before."""
    user, webmail = both({"mta": {"forwarding_networks": "127.0.0.3"},
                          "domains": {"hosted": "example.test"}})()
    answers = [user.end(1, client_address="127.0.0.3", sasl_username="", sasl_method="",
                        recipient="away@x.test", policy_context="forwarding")
               for _ in range(1000)]
    assert answers[:600] == [DUNNO] * 600
    for answer in answers[600:]:
        assert answer.startswith("DEFER_IF_PERMIT 4.7.1 This message was not forwarded now; it is "
                                 "tried again by itself."), answer
    assert webmail.used() == 0
    webmail.admitted()
    assert user.end(1) == DUNNO
    assert webmail.used() == 2


def test_rules_of_a_domain_are_exact_when_they_are_set(both):
    user, _ = both({"limits.smtp": {"recipients_per_domain": 3}})()
    assert user.send(["a@x.test", "b@x.test", "c@X.test", "d@y.test"]) == DUNNO
    answer = user.send(people(4, "x.test"))
    assert "4 recipients at x.test; the limit is 3. Remove 1." in answer


@pytest.mark.sanitized
def test_an_hour_is_waited_for(both):
    user, webmail = both({"limits.smtp": {"messages_per_hour": 3}})()
    for _ in range(3):
        assert user.end(1) == DUNNO
    answer = user.end(1)
    assert answer.startswith("DEFER_IF_PERMIT 4.7.1 The message was not sent now. It can be sent "
                             "from 20"), answer
    assert "by itself" not in answer
    assert webmail.used() == 3


@pytest.mark.sanitized
def test_an_hour_of_a_domain_is_counted_by_both_channels(both):
    user, webmail = both({"limits.smtp": {"messages_per_hour_per_domain": 3},
                          "limits.webmail": {"messages_per_hour_per_domain": 4}})()
    webmail.admitted(["colleague@example.test"])
    assert user.end(1) == DUNNO
    assert user.end(1) == DUNNO
    answer = user.end(1)
    assert answer.startswith("DEFER_IF_PERMIT 4.7.1 The message was not sent now."), answer
    assert "message 4 of the last hour from all mailboxes of your domain" in answer
    webmail.admitted(["colleague@example.test"])
    assert webmail.send(["colleague@example.test"]).status == 429


def test_who_is_behind_a_domain_at_its_limit(both, folder, store):
    """In the shell, as the desk shows it."""
    rule = "messages_per_hour_per_domain"
    new_user, shell = both({"limits.smtp": {rule: 5}}), Shell(folder, store)
    for _ in range(4):
        user, _webmail = new_user()
        assert user.end(1) == DUNNO
    words = ["-o", f"limits.smtp.{rule}=5", "-o", "domains.own_domains=example.test example.net",
             "senders", "@example.test"]
    out = eventually(lambda: (shown := shell.ok(*words)).count(user.mailbox) == 2 and shown,
                     "all that sent are known")
    head, tail = out.split("In the last hour")
    assert re.search(rf"^ *{rule} +smtp +4 +5 ", head, re.M), out
    assert re.search(rf"^ *{user.mailbox} +1", tail, re.M), out
    name = re.sub(r"[0-9]+", "#", user.mailbox.split("@")[0])
    assert f"{name}@example.test: 4 mailboxes whose names differ by a number sent 4 messages." in tail


@pytest.mark.sanitized
def test_a_recipient_is_counted_by_both_channels(both):
    user, webmail = both({"limits.smtp": {"messages_per_day_per_recipient": 3},
                          "limits.webmail": {"messages_per_day_per_recipient": 4}})()
    webmail.admitted(["pager@x.test"])
    assert user.send(["pager@x.test", "boss@example.test"]) == DUNNO
    assert user.end(1, recipient="Pager@X.test") == DUNNO
    answer = user.send(["other@x.test", "pager@x.test"])
    assert answer.startswith("DEFER_IF_PERMIT 4.7.1 The message was not sent now. It can be sent "
                             "from 20"), answer
    assert " UTC on. This would be message 4 to pager@x.test within 24 hours; the limit for one " \
           "recipient is 3. (reference " in answer
    assert user.send(["other@x.test"]) == DUNNO
    webmail.admitted(["pager@x.test"])
    assert webmail.send(["pager@x.test"]).status == 429


@pytest.mark.sanitized
def test_one_store(both):
    """300 by webmail and 600 by SMTP are 900; what fits then is each channel's own affair."""
    user, webmail = both({**REFUSE, "limits.webmail": {"off_domain_per_hour_per_ip": "off"}})()
    webmail.admitted(**{name: crowd(100, prefix=name) for name in ("to", "cc", "bcc")})
    assert user.end(600) == DUNNO
    assert webmail.used("off_domain_per_day") == 900
    assert user.end(1).startswith("DEFER_IF_PERMIT 4.7.1 ")
    webmail.admitted(crowd(100, prefix="e"))
    answer = webmail.send(["one@more.test"])
    assert answer.status == 429 and rules(answer) == ["off_domain_per_day"]
    assert user.end(1).startswith("DEFER_IF_PERMIT 4.7.1 ")
    assert webmail.used("off_domain_per_day") == 1000


@pytest.mark.sanitized
def test_a_suspension_holds_at_both_channels(both):
    new_user = both({"limits.smtp": {"messages_per_day": 2},
                     "limits.webmail": {"messages_per_day": 2}})
    user, webmail = new_user()
    for _ in range(2):
        assert user.end(1) == DUNNO
    assert user.end(1).startswith(VOLUME)
    assert webmail.send().status == 403
    user, webmail = new_user()
    for _ in range(2):
        webmail.admitted()
    assert webmail.send().status == 403
    assert user.end(1).startswith(VOLUME)


@pytest.mark.sanitized
def test_an_outbox_that_tries_again_moves_nothing(both, folder):
    """A mail program offers what was refused again by itself, and the mail server gives it a new
    name each time; ten other messages do move the end."""
    clock = Clock(folder)
    settings = {"limits.smtp": {"messages_per_day": 2}}
    user, webmail = both(settings, environment=clock.environment)()

    def suspension():
        return webmail.send(dry_run=True).json["suspension"]

    for _ in range(2):
        assert user.send(["a@x.test"]) == DUNNO
    assert user.send(["b@x.test", "c@x.test"], size=4711).startswith(VOLUME)
    first = suspension()
    clock.advance(HOUR)
    for number in range(50):
        recipients = ["b@x.test", "c@x.test"] if number % 2 else ["c@x.test", "b@x.test"]
        assert user.send(recipients, size=4711).startswith(VOLUME)
    assert suspension() == first and first["attempts"] == 0
    for number in range(1, 10):
        for _ in range(2):
            assert user.send(["b@x.test", "c@x.test"], size=4711 + number).startswith(VOLUME)
        assert suspension() == {**first, "attempts": number}
    assert user.send(["d@x.test"], size=4711).startswith(VOLUME)
    assert suspension()["attempts"] == 10 and suspension()["until"] > first["until"]


def test_the_same_question_counts_once(both):
    user, webmail = both()()
    same = user.transaction()
    for _ in range(5):
        assert user.end(3, **same) == DUNNO
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 3)


def test_data_and_end_count_once(both):
    user, webmail = both()()
    assert user.send(people(3, "x.test"), ("DATA", "END-OF-MESSAGE")) == DUNNO
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 3)


def test_recipients_from_another_connection(both):
    """One process of Postfix may ask on several, and on a new one after a restart of ours."""
    user, webmail = both()()
    transaction = user.transaction()
    for name in ("bob", "eve"):
        with Connection(user.mta) as other:
            assert DUNNO == other.ask("RCPT", **user.members(
                recipient=f"{name}@example.net", instance=transaction["instance"]))
    assert user.end(2, **transaction) == DUNNO
    assert (webmail.used(), webmail.used("off_domain_per_day")) == (1, 0)


@pytest.mark.sanitized
def test_the_last_place(both):
    """Of 16 that ask at the same moment exactly one gets it."""
    user, webmail = both(REFUSE)()
    assert user.end(899) == DUNNO
    users = [User(user.mta, user.mailbox) for _ in range(16)]
    questions = [question("END-OF-MESSAGE", **one.members(recipient_count=1, **one.transaction()))
                 for one in users]
    answers, start = [], threading.Barrier(16)

    def race(one, data):
        start.wait()
        one.connection.send(data)
        answers.append(one.connection.answer())
        one.close()

    threads = [threading.Thread(target=race, args=pair) for pair in zip(users, questions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.split()[0] for answer in answers) == ["DEFER_IF_PERMIT"] * 15 + [DUNNO]
    assert webmail.used("off_domain_per_day") == 900


def test_what_is_logged(both):
    user, _ = both()()
    user.send(["hidden@secret.test", "other@secret.test"])
    user.end(901)
    log = user.mta.log
    log.wait(f"msg=decision channel=smtp .*verdict=admit action=DUNNO mailbox={user.mailbox} ip=.* "
             "recipients=2")
    log.wait("level=warning .*verdict=message action=REJECT .*unnamed=901 "
             "rule=recipients_per_message")
    assert "secret.test" not in log.text()
    assert "/status" not in log.text() and "/r/" not in log.text()


def test_counters(both, store):
    user, webmail = both()()
    user.end(1)
    user.end(901)
    webmail.admitted()
    user.mta.stop()
    counters = store.counters()
    assert counters["decisions channel=smtp verdict=admit"] == 1
    assert counters["decisions channel=smtp verdict=message"] == 1
    assert counters["refusals channel=smtp rule=recipients_per_message"] == 1
