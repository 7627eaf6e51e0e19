"""Who sends, and which submission it is."""

import pytest

from endpoint import Endpoint, people
from programs import eventually

pytestmark = pytest.mark.sanitized


def given_back(answer):
    return answer.status in (200, 204)


def untrusted(sender, body=None, user="", address="192.0.2.1", **more):
    return sender.endpoint.post(sender.body() if body is None else body, trusted=False,
                            REMOTE_USER=user, REMOTE_ADDR=address, **more)


def test_an_untrusted_body_is_not_believed(guard, sender_at):
    body_says, signed_in = sender_at(guard), sender_at(guard)
    answer = untrusted(body_says, user=signed_in.mailbox, address=signed_in.ip)
    assert answer.status == 200
    assert answer.json["mailbox"] == signed_in.mailbox
    assert signed_in.used() == 1
    assert signed_in.used("off_domain_per_hour_per_ip") == 1
    assert body_says.used() == 0
    assert body_says.used("off_domain_per_hour_per_ip") == 0


@pytest.mark.parametrize("flag", ["", "0", "yes", "11", " 1"])
def test_only_1_is_trusted(guard, sender_at, flag):
    body_says, signed_in = sender_at(guard), sender_at(guard)
    answer = untrusted(body_says, user=signed_in.mailbox, SENDGUARD_TRUSTED=flag)
    assert answer.json["mailbox"] == signed_in.mailbox


def test_trust_is_no_http_header(sender):
    answer = untrusted(sender, HTTP_SENDGUARD_TRUSTED="1", HTTP_REMOTE_USER=sender.mailbox)
    assert answer.status == 401


def test_401_without_a_mailbox(sender):
    answer = untrusted(sender)
    assert answer.status == 401
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    assert sender.send(mailbox=None).status == 401
    assert sender.send(mailbox="").status in (400, 401)


def test_mailboxes_are_one_in_key_form(guard, sender_at):
    sender = sender_at(guard)
    local, domain = sender.mailbox.split("@")
    answer = sender_at(guard, f"{local.upper()}@{domain.title()}").admitted()
    assert answer.json["mailbox"] == sender.mailbox
    assert sender.used() == 1


def test_a_missing_ip_is_counted_for_none(sender):
    sender.admitted(people(3, "x.test"), ip=None)
    assert sender.used("off_domain_per_day") == 3
    assert sender.used("off_domain_per_hour_per_ip") == 0


def test_dry_run_leaves_no_trace(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 1}})
    sender, fresh = sender_at(guard), sender_at(guard)
    sender.admitted()
    eventually(store.counters, "what was admitted is counted too")
    before = store.traces()
    for _ in range(3):
        assert sender.send(dry_run=True).status in (403, 429)
        assert fresh.send(dry_run=True).status == 200
        assert fresh.send(people(51, "x.test"), dry_run=True).status == 422
    assert store.traces() == before
    fresh.admitted()


def test_give_back_once(sender):
    answer = sender.admitted(people(3, "x.test"), id="<sent@x.test>")
    sender.admitted(id="<other@x.test>")
    assert sender.used("off_domain_per_day") == 4
    assert given_back(sender.refund("<sent@x.test>"))
    assert (sender.used(), sender.used("off_domain_per_day")) == (1, 1)
    assert sender.used("off_domain_per_hour_per_ip") == 1
    assert sender.refund("<sent@x.test>").status == 404
    assert sender.used() == 1
    assert answer.status == 200


def test_give_back_of_the_unknown(sender):
    answer = sender.refund("<never@x.test>")
    assert answer.status == 404
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"


def test_what_was_given_back_can_be_sent_again(sender):
    for _ in range(3):
        sender.admitted(id="<again@x.test>")
        assert sender.used() == 1
        assert given_back(sender.refund("<again@x.test>"))
        assert sender.used() == 0


def test_a_refused_message_cannot_be_given_back(sender):
    assert sender.send(people(51, "x.test"), id="<refused@x.test>").status == 422
    assert sender.refund("<refused@x.test>").status == 404


@pytest.mark.parametrize("identifier", [
    "<a/b@x.test>", "a b", "<ü@x.test>", "100%", "a?b=c&d", "+", "..", "i" * 900,
])
def test_ids_travel_in_the_path(sender, identifier):
    sender.admitted(id=identifier)
    assert given_back(sender.refund(identifier))
    assert sender.used() == 0


def test_an_id_belongs_to_a_mailbox(guard, sender_at):
    alice, mallory = sender_at(guard), sender_at(guard)
    alice.admitted(id="<same@x.test>")
    assert mallory.refund("<same@x.test>").status == 404
    mallory.admitted(id="<same@x.test>")
    assert (alice.used(), mallory.used()) == (1, 1)


def test_an_untrusted_caller_refunds_only_its_own(guard, sender_at):
    alice, mallory = sender_at(guard), sender_at(guard)
    alice.admitted(id="<a@x.test>")
    answer = alice.endpoint.refund("<a@x.test>", alice.mailbox, trusted=False,
                                  REMOTE_USER=mallory.mailbox)
    assert answer.status == 404
    answer = alice.endpoint.refund("<a@x.test>", alice.mailbox, trusted=False)
    assert answer.status == 401
    assert alice.used() == 1
    answer = alice.endpoint.refund("<a@x.test>", None, trusted=False, REMOTE_USER=alice.mailbox)
    assert given_back(answer)


def test_a_trusted_caller_names_the_mailbox(sender):
    sender.admitted(id="<a@x.test>")
    assert sender.endpoint.refund("<a@x.test>", None).status == 401
    assert sender.used() == 1


def test_the_same_id_counts_once(sender):
    first = sender.admitted(people(3, "x.test"), id="<once@x.test>")
    for _ in range(4):
        answer = sender.admitted(people(3, "x.test"), id="<once@x.test>")
        assert answer.json["verdict"] == "admit"
    assert first.json["decision"]
    assert (sender.used(), sender.used("off_domain_per_day")) == (1, 3)


def test_the_same_id_counts_once_over_connections_and_restarts(store, start, sender_at):
    guard = start(store)
    sender = sender_at(guard)
    sender.admitted(id="<once@x.test>")
    with Endpoint(guard) as other:
        sender.endpoint = other
        sender.admitted(id="<once@x.test>")
    guard.stop()
    guard.start()
    sender.admitted(id="<once@x.test>")
    assert sender.used() == 1


def test_a_repeated_id_is_admitted_even_when_nothing_more_fits(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 1}})
    sender = sender_at(guard)
    sender.admitted(id="<once@x.test>")
    sender.admitted(id="<once@x.test>")
    assert sender.send(id="<twice@x.test>").status == 403


def test_the_same_id_with_other_recipients_counts_anew(sender):
    sender.admitted(people(3, "x.test"), id="<once@x.test>")
    sender.admitted(people(4, "x.test"), id="<once@x.test>")
    assert (sender.used(), sender.used("off_domain_per_day")) == (2, 7)
