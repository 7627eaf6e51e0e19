"""What monitoring reads of the running programs, and what we give to be read by it."""

import json
import re
import subprocess

import pytest
import yaml

from dns import dns_server
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people
from programs import BUILD, TREE, eventually
from web import Client, Web, status_path

pytestmark = pytest.mark.sanitized

SAMPLE = re.compile(r'(sendguard_[a-z_]+)(?:\{(.*)\})? (\S+)')
PATHS = ("/metrics", "/healthz", "/readyz")


@pytest.fixture
def web_of(folder):
    """web_of(store, settings): sendguard-web until the end of the test."""
    programs = []

    def start_web(store, settings=None):
        programs.append(Web(folder, store, settings).start())
        return programs[-1]

    yield start_web
    for program in programs:
        program.stop()


class Metrics:
    def __init__(self, web):
        answer = Client(web).get("/metrics")
        assert answer.status == 200, answer
        self.values, self.types = {}, {}
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif not line.startswith("# HELP "):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                key = (name, frozenset(re.findall(r'([a-z_]+)="([^"]*)"', labels or "")))
                assert key not in self.values, line
                self.values[key] = float(value)

    def of(self, name, **labels):
        return self.values["sendguard_" + name, frozenset(labels.items())]

    @property
    def names(self):
        return {name for name, _ in self.values}

    def label_values(self, label):
        return {value for _, labels in self.values for name, value in labels if name == label}


# ---- from a message to a number ----------------------------------------------------------------

def test_messages_become_numbers(store, start, web_of, sender_at):
    limits = {"limits.webmail": {"messages_per_day": 5}}
    guard, web = start(store, limits), web_of(store, limits)
    sender = sender_at(guard)
    assert Metrics(web).of("decisions_total", channel="webmail", verdict="admit") == 0
    for _ in range(5):
        sender.admitted()
    repeated = sender.body()
    sender_at(guard).admitted(id=repeated["id"])
    sender.send(people(51, "x.test"))
    for _ in range(3):
        refusal = sender.send()
    sender.send(dry_run=True)
    eventually(lambda: Metrics(web).of("decisions_total", channel="webmail",
                                       verdict="suspended") == 3, "all is told to the store")
    seen = Metrics(web)
    for verdict, count in {"admit": 6, "message": 1, "suspended": 3, "over_time": 0,
                           "repeated": 0, "redeemed": 0, "no_store": 0, "observed": 0,
                           "unjudged": 0}.items():
        assert seen.of("decisions_total", channel="webmail", verdict=verdict) == count, verdict
        assert seen.of("decisions_total", channel="smtp", verdict=verdict) == 0
    assert seen.of("refusals_total", channel="webmail", rule="recipients_per_domain") == 1
    assert seen.of("refusals_total", channel="webmail", rule="messages_per_day") >= 1
    assert seen.of("suspensions_total", cause="volume") == 1
    assert seen.of("judge_seconds_count", channel="webmail") == 10
    assert seen.of("judge_seconds_bucket", channel="webmail", le="+Inf") == 10
    assert 0 < seen.of("judge_seconds_sum", channel="webmail") < 100
    eventually(lambda: Metrics(web).of("suspended_mailboxes", cause="volume") == 1, "a second")
    assert Metrics(web).of("busiest_window_ratio", rule="messages_per_day") == 1
    assert sender.mailbox not in Client(web).get("/metrics").text

    browser = Client(web)
    path = status_path(refusal)
    token = re.search(r"t=([^&]+)", path).group(1)
    answer = browser.post_form("/status", {"t": token, "action": "lock", "confirm": "1"})
    assert answer.status in (200, 303), answer
    eventually(lambda: Metrics(web).of("user_locks_total") == 1, "the lock is counted")
    eventually(lambda: Metrics(web).of("suspended_mailboxes", cause="compromised") == 1, "a second")


def test_what_is_left_is_told_at_the_end(store, start, sender_at):
    guard = start(store)
    sender = sender_at(guard)
    for _ in range(3):
        sender.admitted()
    guard.stop()
    assert store.counters()["decisions channel=webmail verdict=admit"] == 3


def test_a_silent_store(store, start, web_of):
    """Monitoring says so, and what happened meanwhile is counted when the store is back."""
    guard, web = start(store), web_of(store)
    anyone = Client(web, {"Accept": "application/json"})
    assert anyone.get("/readyz").json == {"ready": True, "store": "answers"}
    with Endpoint(guard) as endpoint:
        sender = Sender(endpoint, new_mailbox(), new_ip())
        sender.admitted()
        store.take_away()
        try:
            for _ in range(4):
                assert sender.send().status == 503
            assert anyone.get("/healthz").status == 200
            answer = anyone.get("/readyz")
            assert (answer.status, answer.json["ready"]) == (503, False)
            away = Metrics(web)
            assert away.of("store_up") == 0
            assert away.names == {"sendguard_store_up", "sendguard_build_info"}
        finally:
            store.bring_back()
    eventually(lambda: anyone.get("/readyz").status == 200, "the store is back")
    eventually(lambda: store.counters().get("store_failures channel=webmail") == 4, "all is told")
    back = Metrics(web)
    assert back.of("store_up") == 1
    assert back.of("decisions_total", channel="webmail", verdict="no_store") == 4
    assert back.of("decisions_total", channel="webmail", verdict="admit") == 1


def test_for_whom(sqlite_store, web_of):
    """Behind a proxy of ours the browser's address counts; nobody else can claim one."""
    web = web_of(sqlite_store)
    client = Client(web)
    for path in PATHS:
        assert client.get(path).status == 200
        answer = client.get(path, headers={"X-Forwarded-For": "203.0.113.9"})
        assert answer.status == 404 and "sendguard_" not in answer.text
        assert client.get(path, headers={"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}).status == 404
        answer = client.request("POST", path, "")
        assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")
    assert client.get("/metrics/").status == client.get("/metricsx").status == 404


def test_other_networks(sqlite_store, web_of):
    web = web_of(sqlite_store, {"web": {"monitoring": "203.0.113.0/24", "trusted_proxies": "::1"}})
    for path in PATHS:
        answer = Client(web).get(path, headers={"X-Forwarded-For": "203.0.113.9"})
        assert answer.status == 404, answer


# ---- what operators get from us ------------------------------------------------------------------

@pytest.fixture
def served(sqlite_store, web_of, tmp_path):
    """With a mail server's log followed, and SPF records looked at, which have series of their own."""
    web, log = web_of(sqlite_store), tmp_path / "mail.log"
    log.write_text("2026-11-28T10:00:00.000000+00:00 mx1 postfix/qmgr[7]: 4F0A11: removed\n")
    with dns_server(tmp_path) as dns, subprocess.Popen(
            [BUILD / "sendguard-feedback", "-c", web.config_path, "-o", f"feedback.source=file:{log}",
             "-o", "spf.outgoing=192.0.2.1", "-o", f"spf.resolver={dns.resolver}"]) as program:
        dns.says("1.2.0.192.in-addr.arpa 300 PTR mx1.example.test")
        eventually(lambda: {"sendguard_feedback_lines_total", "sendguard_spf_dns_up"} <= Metrics(web).names,
                   "both are told")
        program.terminate()
    return Metrics(web)


def rules():
    groups = yaml.safe_load((TREE / "docs/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return json.loads((TREE / "docs/grafana-dashboard.json").read_text())["panels"]


def expressions():
    return ([rule["expr"] for rule in rules()]
            + [target["expr"] for panel in panels() for target in panel["targets"]])


def test_every_metric_named_is_served(served):
    """Names, labels that are grouped by, and values that are asked for."""
    labels = {name for _, labels in served.values for name, _ in labels}
    named = set()
    for expression in expressions():
        found = set(re.findall(r"sendguard_[a-z_]+", expression))
        assert found or "up{" in expression, expression
        assert found <= served.names, expression
        named |= found
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert set(group.split(", ")) <= labels, expression
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', expression):
            assert label == "job" or set(values.split("|")) <= served.label_values(label), expression
        assert expression.count("(") == expression.count(")")
    unused = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served.names - named}
    assert unused <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in named}


def test_the_reference_names_what_is_served(served):
    text = (TREE / "docs/monitoring.md").read_text()
    assert set(re.findall(r"^\| `(sendguard_\w+)`", text, re.M)) == set(served.types)


def test_alert_rules():
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 5
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))


def test_dashboard():
    assert len({panel["id"] for panel in panels()}) == len(panels()) > 8
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
