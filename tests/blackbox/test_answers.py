"""What an answer looks like: statuses, members, headers."""

import datetime
import re

import pytest

from endpoint import NOT_SENT, crowd, people, spread, window

pytestmark = pytest.mark.sanitized

OWN = "colleague@example.test"
DECISION = r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}"
MEMBERS = {"verdict", "decision", "id", "mailbox", "reasons", "windows", "suspension", "can_send",
           "can_send_at", "retry_at", "message", "status_url"}


def moment(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text), text
    return datetime.datetime.fromisoformat(text)


def seconds_from_now(text):
    return (moment(text) - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_an_admitted_message(sender):
    answer = sender.admitted(id="<one@webmail.test>")
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    verdict = answer.json
    assert MEMBERS <= verdict.keys()
    assert verdict["verdict"] == "admit"
    assert re.fullmatch(DECISION, verdict["decision"])
    assert verdict["id"] == "<one@webmail.test>"
    assert verdict["mailbox"] == sender.mailbox
    assert verdict["reasons"] == []
    assert verdict["suspension"] is None
    assert verdict["retry_at"] is None
    assert not verdict.get("observed")


def test_windows_say_what_is_used_and_what_comes_back(sender):
    sender.admitted(people(3, "x.test"))
    answer = sender.admitted(people(2, "x.test"))
    day, off_domain = window(answer, "messages_per_day"), window(answer, "off_domain_per_day")
    assert (day["limit"], day["used"], day["window_s"]) == (600, 2, 86400)
    assert (off_domain["limit"], off_domain["used"], off_domain["window_s"]) == (1000, 5, 86400)
    hour = window(answer, "off_domain_per_hour_per_ip")
    assert (hour["limit"], hour["used"], hour["window_s"]) == (500, 5, 3600)


def test_a_dry_run_forecasts_what_comes_back(sender):
    sender.admitted(people(3, "x.test"))
    sender.admitted(people(2, "x.test"))
    answer = sender.send(["bob@x.test"], dry_run=True)
    day = window(answer, "off_domain_per_day")
    assert day["used"] == 5
    assert sum(step["count"] for step in day["refill"]) == 5
    for step in day["refill"]:
        assert 86000 < seconds_from_now(step["at"]) <= 86402


def policies(answer):
    return dict(re.findall(r'"([a-z_]+)";q=(\d+;w=\d+)', answer.headers["ratelimit-policy"]))


def remaining(answer):
    found = re.findall(r'"([a-z_]+)";r=(\d+)(?:;t=(\d+))?', answer.headers["ratelimit"])
    return {name: (int(rest), int(until or 0)) for name, rest, until in found}


ITEM = r'"[a-z_]+"(;[a-z]=\d+)+'


def test_rate_limit_headers(sender):
    answer = sender.admitted(people(3, "x.test"))
    for name in ("ratelimit", "ratelimit-policy"):
        assert re.fullmatch(f"{ITEM}(, ?{ITEM})*", answer.headers[name]), answer.headers[name]
    assert policies(answer) == {"messages_per_day": "600;w=86400",
                                "off_domain_per_day": "1000;w=86400",
                                "off_domain_per_hour_per_ip": "500;w=3600"}
    rest = remaining(answer)
    assert {name: left for name, (left, _) in rest.items()} == {
        "messages_per_day": 599, "off_domain_per_day": 997, "off_domain_per_hour_per_ip": 497}
    for name, length in (("messages_per_day", 86400), ("off_domain_per_hour_per_ip", 3600)):
        assert 0 < rest[name][1] <= length


def test_rate_limit_headers_of_a_refusal(guard, sender_at):
    ip = sender_at(guard).ip
    for _ in range(2):
        sender_at(guard, ip=ip).admitted(**spread(crowd(250)))
    answer = sender_at(guard, ip=ip).send(["bob@x.test"])
    assert answer.status == 429
    left, until = remaining(answer)["off_domain_per_hour_per_ip"]
    assert left == 0
    assert 3000 < until <= 3600


def problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    members = answer.json
    assert members["status"] == status
    for name in ("type", "title", "detail"):
        assert isinstance(members[name], str) and members[name], name
    return members


def test_a_message_over_its_limits(sender):
    answer = sender.send(people(57, "x.test"))
    members = problem(answer, 422)
    assert MEMBERS <= members.keys()
    assert members["verdict"] == "refuse"
    assert re.fullmatch(DECISION, members["decision"])
    reason, = members["reasons"]
    assert reason["rule"] == "recipients_per_domain"
    assert (reason["domain"], reason["limit"], reason["count"]) == ("x.test", 50, 57)
    assert re.search(r"57.*50.*7", reason["text"])
    assert reason["text"] in members["message"]
    assert members["decision"] in members["message"]
    assert members["status_url"] in members["message"]
    assert members["retry_at"] is None
    assert "retry-after" not in answer.headers
    assert "ratelimit" in answer.headers


def test_a_limit_over_time(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_hour": 1}})
    sender = sender_at(guard)
    sender.admitted([OWN])
    answer = sender.send([OWN])
    members = problem(answer, 429)
    assert MEMBERS <= members.keys()
    assert members["verdict"] == "refuse"
    assert members["suspension"] is None
    assert 3000 < int(answer.headers["retry-after"]) <= 3600
    assert abs(seconds_from_now(members["retry_at"]) - int(answer.headers["retry-after"])) < 30
    hour = window(answer, "messages_per_hour")
    assert (hour["used"], hour["limit"]) == (1, 1)
    assert [step["count"] for step in hour["refill"]] == [1]


def test_a_suspension(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 1},
                          "support": {"contact": "help@provider.test"}})
    sender = sender_at(guard)
    sender.admitted([OWN])
    for _ in range(2):
        answer = sender.send([OWN])
        members = problem(answer, 403)
        assert MEMBERS <= members.keys()
        assert members["verdict"] == "refuse"
        assert members["suspension"]["cause"] == "volume"
        assert abs(seconds_from_now(members["suspension"]["until"]) - 86400) < 60
        assert 86000 < int(answer.headers["retry-after"]) <= 86401
        assert members["message"].startswith("Sending is paused until ")
        assert NOT_SENT in members["message"]
        sentence = ("The message was rejected for the following reason: Permanent Failure: Your "
                    "ability to send new mail has been suspended as a high volume of suspicious "
                    "mail has been sent from your account recently. Please contact your IT "
                    "administrator.")
        assert members["message"].endswith(f"“{sentence}”")
        assert members["suspension"]["sentence"] == sentence
        assert members["suspension"]["own_lock"] is False
        assert (members["can_send"], members["can_send_at"]) == ("none", members["retry_at"])
        assert members["status_url"] in members["message"]
        assert members["decision"] in members["message"]
        assert "password" not in members["message"].lower()


def test_decisions_have_ids_of_their_own(sender):
    ids = {sender.send(people(count, "x.test")).json["decision"]
           for count in (1, 51, 2, 52)}
    assert len(ids) == 4


def test_the_status_link_begins_with_the_base_url(store, start, sender_at):
    guard = start(store, {"web": {"base_url": "https://mail.example.test/sending"}})
    sender = sender_at(guard)
    link = r"https://mail\.example\.test/sending/status\?t=[A-Za-z0-9_-]+"
    refused = sender.send(people(51, "x.test"))
    assert re.fullmatch(link + "&d=" + refused.json["decision"], refused.json["status_url"])
    assert re.fullmatch(link, sender.send(dry_run=True).json["status_url"])


def test_a_missing_id_is_made(sender):
    first, second = sender.admitted(id=None).json["id"], sender.admitted(id=None).json["id"]
    assert first and second and first != second
    assert sender.refund(first).status in (200, 204)
    assert sender.used() == 1


def test_answers_are_utf8_whatever_was_sent(sender):
    answer = sender.admitted(["Jürgen <j@x.test>"], id="<ü-漢@x.test>")
    assert answer.json["id"] == "<ü-漢@x.test>"
    answer = sender.send(["Jürgen <j@@x.test>"])
    assert answer.status == 400
    assert "Jürgen" in problem(answer, 400)["detail"]


def test_english_for_who_speaks_what_the_guard_does_not(sender):
    english = sender.send(people(51, "x.test")).json["reasons"][0]["text"]
    assert sender.send(people(51, "x.test"), lang="tlh").json["reasons"][0]["text"] == english


def test_the_log_names_no_recipient_and_no_link(store, start, sender_at):
    guard = start(store, {"limits.webmail": {"messages_per_day": 2}})
    sender = sender_at(guard)
    secret = [f"hidden-recipient-{number}@hidden-domain.test" for number in range(51)]
    sender.send(secret[:1])
    sender.send(secret)
    sender.send(["hidden-recipient@hidden-domain.test@"])
    sender.endpoint.post(b'{"to": ["hidden-recipient@hidden-domain.test"')
    answer = sender.send(secret[1:2])
    answer = sender.send(secret[2:3])
    assert answer.status == 403
    token = answer.json["status_url"].partition("?t=")[2].partition("&")[0]
    guard.stop()
    assert "hidden-" not in guard.log.text()
    assert token not in guard.log.text()
