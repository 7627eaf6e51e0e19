"""Mail at an unusual rate: both services note it, staff reads why, and nobody is refused; on both
stores."""

import re

from endpoint import people
from mta import DUNNO, both, start_mta  # noqa: F401 (fixtures)
from programs import eventually
from test_cli import Shell
from test_monitoring import Metrics, web_of  # noqa: F401 (fixture)


def strangers(count, word):
    """At a domain each."""
    return [f"{word}{number}@{word}{number}.test" for number in range(count)]


def decision_of(mta, user):
    lines = mta.log.wait(rf"msg=decision channel=smtp .* mailbox={re.escape(user.mailbox)} .* "
                         r"unusual=43")
    return re.search(r" decision=(\S+)", str(lines[0])).group(1)


def test_noted_by_both_services(both, folder, store, web_of):  # noqa: F811
    new_user = both()
    smtp, webmail = new_user()
    shell, metrics = Shell(folder, store), web_of(store)
    assert smtp.send(strangers(40, "a")) == DUNNO
    answer = webmail.send(people(1, "b.test"))
    assert answer.status == 200 and "unusual" not in answer.json, answer
    explained = shell.json("explain", answer.json["decision"])
    assert explained["outcome"] == "admitted"
    assert explained["unusual"] == {
        "new_recipients": 41, "new_domains": 41, "busiest_hour": 0, "history_days": 0,
        "new_network": True, "many_domains": True, "no_history": True, "limit": 40, "factor": 3,
        "domains_limit": 20, "action": "note"}
    assert smtp.send(strangers(40, "a") + people(1, "b.test")) == DUNNO  # nobody is new
    assert smtp.send(strangers(2, "c")) == DUNNO
    decision = decision_of(smtp.mta, smtp)
    said = shell.ok("explain", decision)
    assert ("  unusual: in the hour up to this message the mailbox wrote to 43 people that it had not "
            "written to in 90 days, at 43 new domains; its busiest hour on the 28 days before had 0\n"
            "  it came from a network first seen less than 24 hours ago\n") in said
    listed = shell.json("show", smtp.mailbox)["timeline"]
    assert sorted(entry.get("unusual", False) for entry in listed) == [False, False, True, True]
    for channel in ("smtp", "webmail"):  # each service tells of its own
        eventually(lambda: Metrics(metrics).of("unusual_total", channel=channel) == 1, "it is counted")


def test_one_warning_an_hour(both):  # noqa: F811
    smtp, _ = both()()
    assert smtp.send(strangers(41, "a")) == DUNNO
    assert smtp.send(strangers(1, "b")) == DUNNO
    smtp.mta.log.wait("level=info msg=decision .* unusual=42")
    smtp.mta.log.wait("level=warning msg=decision .* unusual=41")


def test_off(both, folder, store):  # noqa: F811
    smtp, webmail = both({"unusual": {"mode": "off"}})()
    assert smtp.send(strangers(60, "a")) == DUNNO
    decision = webmail.send(people(5, "b.test")).json["decision"]
    assert Shell(folder, store).json("explain", decision)["unusual"] is None
