"""The JSON API against its own description, and what it does beyond that."""

import csv
import io
import itertools
import json
import re
import subprocess
import urllib.parse

import jsonschema
import pytest

import logins
from conftest import _running_store
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people
from programs import BUILD, TREE, Guard, eventually
from reports import Reports
from stores import KINDS
from web import Client, Program, Web, status_path

pytestmark = pytest.mark.sanitized

LIMITS = {"limits.webmail": {"messages_per_day": 5, "off_domain_per_hour_per_ip": 10},
          "plan.school": {"messages_per_day": 4},
          "mta": {"forwarding_networks": "127.0.0.1"}, "domains": {"hosted": "example.test"}}
ROOT = "/api/v1"


class Provider:
    """Both endpoints over one store, a token of each role, and mailboxes in every state."""

    def __init__(self, folder, store):
        self.store = store
        self.guard = Guard(folder, store, LIMITS).start()
        self.web = Web(folder, store, LIMITS).start()
        self.reports = Reports(folder, store, LIMITS).start()
        self.auth = logins.Auth(folder, store, LIMITS).start()
        self.anyone = Client(self.web)
        self.viewer, self.support, self.admin = (
            Program(self.web, self.web.token(role, role))
            for role in ("viewer", "support", "admin"))
        self.endpoint = Endpoint(self.guard)
        self.busy, self.stopped = self.sender(), self.sender()
        self.complained = new_mailbox()
        for _ in range(4):
            self.busy.admitted(people(2, "x.test"))
        self.too_big = self.busy.send(people(51, "y.test")).json["decision"]
        for _ in range(6):
            refused = self.stopped.send(["bob@outside.test"])
            self.over = refused.json["decision"]
        self.link = status_path(refused)
        eventually(lambda: self.busy.mailbox in self.viewer.get(ROOT + "/near").text,
                   "the endpoint's observations are in the store")

    def sender(self):
        return Sender(self.endpoint, new_mailbox(), new_ip())

    def guessed(self, count=10):
        """A mailbox and an address that is kept from signing in to it."""
        mailbox, ip = new_mailbox(), new_ip()
        self.auth.report(mailbox, ip, 4000, True)
        self.auth.report(mailbox, ip, 4000, False)
        for number in range(count):
            self.auth.report(mailbox, ip, number, False)
        eventually(lambda: self.viewer.get(f"{ROOT}/logins?mailbox={mailbox}").json["blocks"],
                   "the block is in the store")
        return mailbox, ip

    def waiting_report(self):
        self.reports.about_nobody()
        return self.viewer.get(ROOT + "/complaints").json["reports"][0]["report"]

    def stop(self):
        self.auth.stop()
        self.reports.stop()
        self.endpoint.close()
        self.web.stop()
        self.guard.stop()


@pytest.fixture(scope="module", params=list(KINDS))
def provider(request, new_folder):
    folder = new_folder()
    for store in _running_store(request.param, folder):
        provider = Provider(folder, store)
        yield provider
        provider.stop()


@pytest.fixture
def document(provider):
    return provider.anyone.get(ROOT + "/openapi.json").json


# ---- the description -----------------------------------------------------------------------

FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time")
def _is_moment(value):
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", value))


def resolved(document, node):
    while "$ref" in node:
        target = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def check_answer(document, path, method, answer):
    """The status and the body are among those that the description names."""
    responses = document["paths"][path][method]["responses"]
    assert str(answer.status) in responses, f"{method} {path}: {answer}"
    content = resolved(document, responses[str(answer.status)])["content"]
    kind = answer.header("Content-Type").split(";")[0]
    assert kind in content, f"{method} {path}: {answer}"
    if kind.endswith("json"):
        schema = {**content[kind]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(answer.json)
    return answer


def call(document, client, method, path, query=None, body=None, csv=None, **variables):
    """One operation of the description, its answer checked."""
    url = ROOT + path.format(**{name: urllib.parse.quote(value, safe="")
                                for name, value in variables.items()})
    if query:
        url += "?" + urllib.parse.urlencode(query)
    if csv is not None:
        answer = client.post_csv(url, csv)
    else:
        answer = client.get(url) if method == "get" else client.post_json(url, body)
    return check_answer(document, path, method, answer)


def good_calls(provider):
    """Every operation at least once, so that each shape is seen with something in it."""
    mailbox, ip = provider.busy.mailbox, provider.busy.ip
    action = {"subject": mailbox, "note": "asked by telephone", "preview": True}
    guessed, network = provider.guessed()
    return [
        ("get", "/overview", {}),
        ("get", "/search", {"query": {"q": mailbox}}),
        ("get", "/search", {"query": {"q": "example.test"}}),
        ("get", "/search", {"query": {"q": ip}}),
        ("get", "/search", {"query": {"q": provider.over.lower()}}),
        ("get", "/search", {"query": {"q": "what is this?"}}),
        ("get", "/search", {"query": {"q": f"Call of {ip}, {mailbox} and {guessed}"}}),
        ("get", "/search", {"query": {"q": ip.rsplit(".", 1)[0] + "."}}),
        ("get", "/suspended", {}),
        ("get", "/suspended", {"query": {"after": provider.stopped.mailbox}}),
        ("get", "/campaigns", {}),
        ("get", "/campaigns", {"query": {"cause": "volume", "by": "guard", "last": "1h", "name": "test",
                                         "network": provider.stopped.ip, "began": "2020-01-01T00:00:00Z"}}),
        ("post", "/lifts", {"body": {"suspensions": [f"{provider.stopped.mailbox} volume", mailbox],
                                     "note": "they called", "preview": True}}),
        ("get", "/appeals", {}),
        ("get", "/approvals", {}),
        ("post", "/appeals", {"body": {"mailbox": provider.stopped.mailbox, "number": 1,
                                       "text": "You wrote to a list."}}),
        ("get", "/near", {}),
        ("get", "/mailboxes/{mailbox}", {"mailbox": mailbox}),
        ("get", "/mailboxes/{mailbox}", {"mailbox": provider.stopped.mailbox}),
        ("get", "/mailboxes/{mailbox}", {"mailbox": "never/seen@example.test"}),
        ("get", "/mailboxes/{mailbox}/past", {"mailbox": provider.stopped.mailbox,
                                              "query": {"at": "today 00:00"}}),
        ("get", "/mailboxes/{mailbox}/call", {"mailbox": provider.stopped.mailbox}),
        ("get", "/mailboxes/{mailbox}/call", {"mailbox": guessed}),
        ("get", "/decisions", {}),
        ("get", "/decisions", {"query": {"mailbox": mailbox}}),
        ("get", "/decisions", {"query": {"outcome": "suspended", "channel": "webmail", "rule": "messages_per_day",
                                         "network": "0.0.0.0/0", "from": "2020-01-01T00:00:00Z"}}),
        ("get", "/decisions/export.csv", {"query": {"outcome": "suspended", "until": "2090-01-01T00:00:00Z"}}),
        ("get", "/decisions/{decision}", {"decision": provider.over}),
        ("get", "/decisions/{decision}", {"decision": provider.too_big}),
        ("get", "/decisions/{decision}/trace", {"decision": provider.over}),
        ("get", "/mailboxes/{mailbox}/delivery", {"mailbox": mailbox}),
        ("post", "/mailboxes/{mailbox}/delivery/addresses",
         {"mailbox": mailbox, "body": {"recipients": ["a@x.test", "none"]}}),
        ("get", "/domains/{domain}/delivery", {"domain": "example.test"}),
        ("post", "/blocks", {"body": {"action": "block", "subject": "trap@x.test", "reason": "A trap.",
                                      "note": "seen", "preview": True}}),
        ("post", "/blocks", {"body": {"action": "block", "kind": "sender", "subject": "@example.test",
                                      "reason": "No.", "note": "seen", "preview": True}}),
        ("get", "/blocks", {}),
        ("get", "/blocks", {"query": {"q": "trap", "after": "recipient\nsome"}}),
        ("post", "/blocks/import", {"query": {"note": "a list", "preview": "true"},
                                    "csv": "subject,reason,kind\n@example.test,No.,sender\n"}),
        ("post", "/blocks/import", {"query": {"note": "a list"},
                                    "csv": "subject,reason,scope\nt@x.test,No.,example.test\n"}),
        ("get", "/blocks/export.csv", {}),
        ("get", "/blocks/export.csv", {"query": {"q": "t@"}}),
        ("get", "/logins", {"query": {"mailbox": guessed}}),
        ("get", "/logins", {"query": {"ip": network}}),
        ("get", "/logins", {"query": {"ip": "2001:db8::7"}}),
        ("post", "/logins", {"body": {"mailbox": guessed, "note": "by telephone"}}),
        ("post", "/mailboxes/{mailbox}/permissions", {"mailbox": guessed, "body": {
            "action": "allow_from", "address": "@Press.test", "for": "7d", "note": "their agency"}}),
        ("get", "/mailboxes/{mailbox}/permissions", {"mailbox": guessed}),
        ("get", "/mailboxes/{mailbox}", {"mailbox": guessed}),
        ("post", "/mailboxes/{mailbox}/permissions", {"mailbox": guessed, "body": {
            "action": "disallow_from", "address": "@press.test", "note": "over"}}),
        ("post", "/mailboxes/{mailbox}/lock", {"mailbox": guessed, "body": {
            "action": "lock", "note": "spam from abroad"}}),
        ("get", "/mailboxes/{mailbox}/lock", {"mailbox": guessed}),
        ("get", "/mailboxes/{mailbox}", {"mailbox": guessed}),
        ("post", "/mailboxes/{mailbox}/lock", {"mailbox": guessed, "body": {
            "action": "reopen", "note": "x", "preview": True}}),
        ("post", "/locks", {"body": {"mailboxes": [guessed], "cause": "breached", "scope": "sending",
                                     "note": "a list", "preview": True}}),
        ("post", "/mailboxes/{mailbox}/password-changed", {"mailbox": guessed, "body": {
            "note": "by telephone"}}),
        ("get", "/held", {}),
        ("get", "/feedback", {}),
        ("get", "/spf", {}),
        ("get", "/spf", {"query": {"after": "example.test"}}),
        ("get", "/complaints", {}),
        ("post", "/complaints/{report}", {"report": provider.waiting_report(), "body": {
            "action": "count", "note": "seen", "mailbox": provider.complained}}),
        ("post", "/complaints/{report}", {"report": provider.waiting_report(), "body": {
            "action": "drop", "note": "spam"}}),
        ("get", "/mailboxes/{mailbox}/complaints", {"mailbox": provider.complained}),
        ("get", "/ips/{ip}", {"ip": ip}),
        ("get", "/ips/{ip}", {"ip": "2001:db8::1"}),
        ("get", "/domains/{domain}", {"domain": "example.test"}),
        ("get", "/audit", {}),
        ("get", "/audit", {"query": {"subject": mailbox}}),
        ("get", "/audit", {"query": {"by": "ada", "action": "lift", "text": "x", "from": "2020-01-01T00:00:00Z",
                                     "until": "2020-01-01T00:00:01+01:00"}}),
        ("get", "/audit/export.csv", {}),
        ("get", "/audit/export.json", {}),
        ("get", "/what-if", {"query": {"rule": "messages_per_day", "value": "0"}}),
        ("get", "/what-if", {"query": {"rule": "messages_per_hour", "value": "9", "since": "2h",
                                       "subject": "@example.test"}}),
        ("post", "/simulate", {"body": {"mailbox": mailbox, "ip": ip, "to": "Bob <bob@x.test>"}}),
        ("post", "/simulate", {"body": {"mailbox": mailbox, "channel": "smtp",
                                        "to": people(51, "z.test"), "cc": "", "bcc": []}}),
        ("post", "/simulate", {"body": {"mailbox": mailbox, "to": people(51, "z.test")}}),
        ("post", "/simulate", {"body": {"mailbox": mailbox, "to": people(51, "z.test"),
                                        "tz": "Europe/Berlin", "lang": "de"}}),
        ("post", "/simulate", {"body": {"mailbox": provider.stopped.mailbox, "to": "b@x.test",
                                        "tz": "Europe/Berlin"}}),
        ("post", "/simulate", {"body": {"mailbox": mailbox, "channel": "forwarding", "to": "b@x.test"}}),
        ("post", "/simulate", {"body": {"mailbox": provider.stopped.mailbox, "to": "b@x.test"}}),
        ("post", "/actions", {"body": {**action, "action": "suspend", "cause": "terms", "for": "permanent"}}),
        ("post", "/actions", {"body": {**action, "action": "lift", "subject": provider.stopped.mailbox}}),
        ("post", "/actions", {"body": {**action, "action": "reset"}}),
        ("post", "/actions", {"body": {**action, "action": "extra", "messages": 5, "for": "2h"}}),
        ("post", "/actions", {"body": {**action, "action": "limit", "subject": "@example.test",
                                    "rule": "messages_per_day", "value": 4}}),
        ("post", "/actions", {"body": {**action, "action": "exempt"}}),
        ("post", "/actions", {"body": {**action, "action": "plan", "value": "school"}}),
        ("post", "/actions", {"body": {**action, "action": "note"}}),
        ("get", "/openapi.json", {}),
    ]


def object_to_it(provider):
    """The user of the suspended mailbox writes on the status page."""
    token = urllib.parse.parse_qs(urllib.parse.urlsplit(provider.link).query)["t"][0]
    status = provider.anyone.get(provider.link, headers={"Accept": "application/json"}).json
    answer = provider.anyone.post_form("/status", {
        "t": token, "action": "appeal", "about": status["can_appeal"][0]["about"],
        "text": "It was one list."}, headers={"Accept": "application/json"})
    assert answer.status == 200 and answer.json["appeals"][0]["answer"] is None, answer


def operations(document):
    return {(method, path) for path, methods in document["paths"].items() for method in methods}


def test_every_operation_answers_as_described(provider, document):
    provider.admin.action("note", provider.busy.mailbox)
    provider.admin.action("extra", "@example.test", messages=1)
    object_to_it(provider)
    called = set()
    undone = provider.admin.get(f"{ROOT}/audit?action=extra").json["actions"][0]
    undo = {"number": str(undone["number"])}
    undoing = [("post", "/audit/{number}/undo", {**undo, "body": {"preview": True}}),
               ("post", "/audit/{number}/undo", {**undo, "body": {"note": "the wrong domain"}})]
    for method, path, more in undoing + good_calls(provider):
        answer = call(document, provider.admin, method, path, **more)
        assert answer.status == 200, f"{method} {path} {more}: {answer}"
        assert answer.header("Cache-Control") == "no-store"
        called.add((method, path))
    of_postfix = {("post", "/mailboxes/{mailbox}/held")}  # tests/blackbox/test_held.py
    assert called == operations(document) - of_postfix


def test_the_description_is_complete():
    """Every route of the table that the server works by is described, and no other."""
    table = (TREE / "web/desk_routes.c").read_text()
    routes = {(method.lower(), path) for method, path in
              re.findall(r'\{METHOD_(GET|POST), "(/[^"]*)"', table)}
    described = json.loads((TREE / "web/assets/openapi.json").read_text())
    assert len(routes) > 10
    assert operations(described) == routes | {("get", "/openapi.json")}


def test_undescribed_paths(provider):
    for path in ("/", "/no-such", "/mailboxes", "/mailboxes/", "/actions/1", "/audit/export.xml",
                 "/openapi.yaml", "/../../metrics"):
        answer = provider.admin.get(ROOT + path)
        assert answer.status == 404, f"{path}: {answer}"
        assert answer.json["status"] == 404


def _schemas(node, name="document"):
    if isinstance(node, dict):
        if "properties" in node and "type" in node:
            yield name, node
        for key, child in node.items():
            yield from _schemas(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from _schemas(child, name)


def test_the_shapes_are_strict(document):
    """A member more, or one less, in an answer is found."""
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    open_ones = {name for name, schema in _schemas(document["components"]["schemas"])
                 if schema.get("additionalProperties") is not False}
    assert open_ones == {"Submission"}


# ---- errors ----------------------------------------------------------------------------------

WRONG = [
    ("get", "/search", {}, 400, None),
    ("post", "/appeals", {"body": {"mailbox": "nobody", "number": 1, "text": "no"}}, 400, "mailbox"),
    ("post", "/appeals", {"body": {"mailbox": "a@b.test", "number": "x", "text": "no"}}, 400, "number"),
    ("post", "/appeals", {"body": {"mailbox": "a@b.test", "number": 1}}, 400, "text"),
    ("post", "/appeals", {"body": {"mailbox": "a@b.test", "number": 1, "text": "no", "by": "me"}}, 400, "by"),
    ("post", "/appeals", {"body": {"mailbox": "a@b.test", "number": 1, "text": "no"}}, 404, "number"),
    ("get", "/search", {"query": {"q": ""}}, 400, None),
    ("get", "/campaigns", {"query": {"cause": "fate"}}, 400, "cause"),
    ("get", "/campaigns", {"query": {"network": "300.1.1.1"}}, 400, "network"),
    ("get", "/campaigns", {"query": {"last": "permanent"}}, 400, "last"),
    ("get", "/campaigns", {"query": {"began": "today"}}, 400, "began"),
    ("post", "/lifts", {"body": {"suspensions": [], "note": "x"}}, 400, "suspensions"),
    ("post", "/lifts", {"body": {"suspensions": ["a@b.test", "a@b.test fate"], "note": "x"}}, 400, "suspensions"),
    ("post", "/lifts", {"body": {"suspensions": ["a@b.test"]}}, 400, "note"),
    ("post", "/lifts", {"body": {"suspensions": ["a@b.test"], "note": "x" * 235}}, 400, "note"),
    ("post", "/lifts", {"body": {"suspensions": ["a@b.test"], "note": "x", "cause": "volume"}}, 400, "cause"),
    ("get", "/mailboxes/{mailbox}", {"mailbox": "nobody"}, 400, "mailbox"),
    ("get", "/mailboxes/{mailbox}", {"mailbox": "a@b.test", "query": {"before": "?"}}, 400,
     "before"),
    ("get", "/decisions", {"query": {"mailbox": "nobody"}}, 400, "mailbox"),
    ("get", "/decisions", {"query": {"outcome": "fate"}}, 400, "outcome"),
    ("get", "/decisions", {"query": {"channel": "fate"}}, 400, "channel"),
    ("get", "/decisions", {"query": {"rule": "fate"}}, 400, "rule"),
    ("get", "/decisions", {"query": {"network": "fate"}}, 400, "network"),
    ("get", "/decisions", {"query": {"from": "now"}}, 400, "from"),
    ("get", "/decisions/export.csv", {"query": {"until": "now"}}, 400, "until"),
    ("get", "/audit", {"query": {"until": "now"}}, 400, "until"),
    ("get", "/audit/export.csv", {"query": {"from": "now"}}, 400, "from"),
    ("get", "/audit/export.json", {"query": {"action": "x" * 24}}, 400, "action"),
    ("get", "/decisions/{decision}", {"decision": "nothing"}, 400, "decision"),
    ("get", "/decisions/{decision}", {"decision": "0000-0000-0001"}, 404, "decision"),
    ("get", "/decisions/{decision}/trace", {"decision": "nothing"}, 400, "message"),
    ("get", "/decisions/{decision}/trace", {"decision": "0000-0000-0001"}, 404, "message"),
    ("get", "/mailboxes/{mailbox}/delivery", {"mailbox": "nobody"}, 400, "mailbox"),
    ("get", "/mailboxes/{mailbox}/delivery", {"mailbox": "a@b.test", "query": {"before": "?"}}, 400,
     "before"),
    ("post", "/mailboxes/{mailbox}/delivery/addresses",
     {"mailbox": "a@b.test", "body": {"recipients": ["a@x.test"] * 1001}}, 400, "recipients"),
    ("post", "/mailboxes/{mailbox}/delivery/addresses",
     {"mailbox": "a@b.test", "body": {"message_id": 7}}, 400, "message_id"),
    ("get", "/domains/{domain}/delivery", {"domain": "a b"}, 400, "domain"),
    ("get", "/logins", {}, 400, "mailbox"),
    ("get", "/logins", {"query": {"mailbox": "a@b.test", "ip": "192.0.2.1"}}, 400, "mailbox"),
    ("get", "/logins", {"query": {"mailbox": "nobody"}}, 400, "mailbox"),
    ("get", "/logins", {"query": {"ip": "300.1.1.1"}}, 400, "ip"),
    ("post", "/logins", {"body": {"mailbox": "a@b.test"}}, 400, "note"),
    ("post", "/logins", {"body": {"mailbox": "a@b.test", "note": "x" * 256}}, 400, "note"),
    ("post", "/logins", {"body": {"mailbox": "a@b.test", "note": "x", "by": "me"}}, 400, "by"),
    ("post", "/logins", {"body": {"note": "x"}}, 400, "mailbox"),
    ("post", "/logins", {"body": {"mailbox": "a@b.test", "note": "x"}}, 409, "mailbox"),
    ("post", "/logins", {"body": {"ip": "192.0.2.1", "note": "x"}}, 409, "ip"),
    ("post", "/mailboxes/{mailbox}/held", {"mailbox": "a@b.test", "body": {"action": "release", "note": "x"}},
     409, "mailbox"),
    ("post", "/mailboxes/{mailbox}/held", {"mailbox": "a@b.test", "body": {"action": "keep", "note": "x"}}, 400,
     "action"),
    ("post", "/mailboxes/{mailbox}/held", {"mailbox": "a@b.test", "body": {"action": "reject"}}, 400, "note"),
    ("post", "/mailboxes/{mailbox}/held", {"mailbox": "a@b.test", "body": {
        "action": "reject", "note": "x", "by_hand": 1}}, 400, "by_hand"),
    ("post", "/mailboxes/{mailbox}/held", {"mailbox": "a@b.test", "body": {
        "action": "reject", "note": "x", "seen": "many"}}, 400, "seen"),
    ("get", "/ips/{ip}", {"ip": "300.1.1.1"}, 400, None),
    ("get", "/domains/{domain}", {"domain": "a b"}, 400, None),
    ("get", "/audit", {"query": {"before": "x"}}, 400, "before"),
    ("get", "/mailboxes/{mailbox}/complaints", {"mailbox": "nobody"}, 400, "mailbox"),
    ("post", "/complaints/{report}", {"report": "1", "body": {"action": "drop", "note": "x"}}, 404,
     "report"),
    ("post", "/complaints/{report}", {"report": "1", "body": {"action": "drop"}}, 400, "note"),
    ("post", "/complaints/{report}", {"report": "1", "body": {"note": "x"}}, 400, "action"),
    ("get", "/mailboxes/{mailbox}/past", {"mailbox": "a@b.test"}, 400, "at"),
    ("get", "/mailboxes/{mailbox}/past", {"mailbox": "a@b.test", "query": {"at": "soon"}}, 400, "at"),
    ("get", "/what-if", {}, 400, "rule"),
    ("get", "/what-if", {"query": {"rule": "messages_per_day", "value": "off"}}, 400, "value"),
    ("post", "/simulate", {"body": {"to": "a@x.test"}}, 400, "mailbox"),
    ("post", "/simulate", {"body": {"mailbox": "a@b.test"}}, 400, "to"),
    ("post", "/simulate", {"body": {"mailbox": "a@b.test", "to": ["a@x.test", "what?"]}}, 400,
     "to[1]"),
    ("post", "/simulate", {"body": {"mailbox": "a@b.test", "to": "a@x.test", "channel": "back"}}, 400,
     "channel"),
    ("post", "/simulate", {"body": {"mailbox": "a@b.test", "to": "a@x.test", "channel": 7}}, 400,
     "channel"),
    ("post", "/simulate", {"body": {"mailbox": "a@b.test", "to": people(10001, "x.test")}}, 413,
     None),
    ("post", "/blocks/import", {"csv": "subject,reason\n"}, 400, "note"),
    ("post", "/blocks/import", {"csv": "", "query": {"note": "x" * 256}}, 400, "note"),
    ("post", "/blocks/import", {"csv": "", "query": {"note": "x", "preview": "1"}}, 400, "preview"),
    ("post", "/blocks/import", {"csv": "", "query": {"note": "x", "prevew": "true"}}, 400, "prevew"),
    ("post", "/blocks/import", {"csv": "", "query": {"note": "x"}}, 422, "body"),
    ("post", "/blocks/import", {"csv": "x" * (1024 * 1024 + 1), "query": {"note": "x"}}, 413, "body"),
    ("post", "/blocks/import", {"csv": "subject,reason\na@x.test,No.\n",
                                "query": {"note": "x", "seen": "0000000000000000"}}, 409, "seen"),
    ("post", "/blocks/import", {"body": {"csv": "x"}, "query": {"note": "x"}}, 415, None),
    ("post", "/actions", {"body": {}}, 400, "action"),
    ("post", "/actions", {"body": {"action": "lift", "subject": "a@b.test"}}, 400, "note"),
    ("post", "/actions", {"body": {"action": "lift", "note": "x"}}, 400, "subject"),
    ("post", "/actions", {"body": {"action": "note", "subject": "a@b.test", "note": "x", "prevew": 1}},
     400, "prevew"),
    ("post", "/actions", {"body": {"action": "note", "subject": "a@b.test", "note": "x",
                                "preview": "yes"}}, 400, "preview"),
    ("post", "/actions", {"body": {"action": "lift", "subject": "a@b.test", "note": "x"}}, 409,
     "subject"),
]


@pytest.mark.parametrize("method, path, more, status, where", WRONG,
                         ids=[f"{number}-{row[1]}" for number, row in enumerate(WRONG)])
def test_wrong_input(provider, document, method, path, more, status, where):
    answer = call(document, provider.admin, method, path, **more)
    assert answer.status == status, answer
    assert answer.header("Content-Type") == "application/problem+json"
    if where is not None:
        assert answer.json["where"] == where, answer
    assert answer.json["detail"]


def every_call(provider):
    """One call of each operation that needs a token."""
    seen = {}
    for method, path, more in good_calls(provider):
        seen.setdefault((method, path), more)
    del seen["get", "/openapi.json"]
    return seen


def test_no_token(provider, document):
    for headers in ({}, {"Authorization": "Bearer sg.admin.wrong"}, {"Authorization": "Basic eDp5"}):
        client = Client(provider.web, headers)
        for (method, path), more in every_call(provider).items():
            answer = call(document, client, method, path, **more)
            assert answer.status == 401, answer
            challenge = answer.header("WWW-Authenticate")
            assert challenge.startswith('Bearer realm="sendguard"')
            assert ("invalid_token" in challenge) == bool(headers)


def test_methods(provider):
    for path, allowed in (("/overview", "GET, HEAD"), ("/actions", "POST"), ("/simulate", "POST")):
        for method in ("GET", "POST", "PUT", "DELETE"):
            if method in allowed:
                continue
            answer = provider.admin.request(method, ROOT + path, "{}",
                                         {"Content-Type": "application/json"})
            assert (answer.status, answer.header("Allow")) == (405, allowed), answer


def test_only_json(provider, document):
    fields = {"action": "note", "subject": provider.busy.mailbox, "note": "from a form"}
    for path in ("/actions", "/simulate"):
        answer = provider.admin.post_form(ROOT + path, fields)
        check_answer(document, path, "post", answer)
        assert answer.status == 415
    assert provider.admin.post_csv(ROOT + "/actions", "subject,reason\n").status == 415
    assert provider.anyone.post_csv("/status", "subject,reason\n").status == 415


def test_silent_store(store, folder):
    """Every operation says so, and the description says that it may."""
    web = Web(folder, store).start()
    client = Program(web, web.token("monitor", "admin"))
    document = client.get(ROOT + "/openapi.json").json
    for path in operations(document):
        assert path[1] == "/openapi.json" or "503" in document["paths"][path[1]][path[0]]["responses"]
    assert client.get(ROOT + "/overview").status == 200
    store.take_away()
    try:
        answer = check_answer(document, "/overview", "get", client.get(ROOT + "/overview"))
        assert answer.status == 503 and answer.header("Retry-After")
        assert client.get(ROOT + "/openapi.json").status == 200
    finally:
        store.bring_back()
    eventually(lambda: client.get(ROOT + "/overview").status == 200, "the store is back")
    web.stop()


# ---- what it does ---------------------------------------------------------------------------------

def test_preview_then_lift(provider, document):
    sender = provider.sender()
    for _ in range(6):
        sender.send()
    assert sender.send().status == 403
    request = {"action": "lift", "subject": sender.mailbox, "note": "called back"}
    seen = call(document, provider.support, "post", "/actions", body={**request, "preview": True}).json
    assert (seen["done"], seen["allowed"], seen["reset_as_well"]) == (False, True, True)
    assert sender.send().status == 403
    done = call(document, provider.support, "post", "/actions", body=request).json
    assert done["done"] is True and done["after"] == seen["after"]
    call(document, provider.support, "post", "/actions", body={**request, "action": "reset"})
    sender.admitted()
    actions = provider.viewer.get(f"{ROOT}/audit?subject={sender.mailbox}").json["actions"]
    assert [(action["action"], action["by"], action["note"]) for action in actions] == [
        ("reset", "token:support", "called back"), ("lift", "token:support", "called back")]


def test_roles(provider, document):
    mailbox = new_mailbox()
    request = {"action": "exempt", "subject": mailbox, "note": "a newsletter"}
    assert call(document, provider.viewer, "post", "/actions", body=request).status == 403
    assert call(document, provider.support, "post", "/actions", body=request).status == 403
    seen = call(document, provider.support, "post", "/actions", body={**request, "preview": True})
    assert seen.json["allowed"] is False and seen.json["why_not"]
    assert provider.viewer.get(f"{ROOT}/mailboxes/{mailbox}").json["exempt"] is None
    assert call(document, provider.admin, "post", "/actions", body=request).json["done"] is True
    assert provider.viewer.get(f"{ROOT}/mailboxes/{mailbox}").json["exempt"] == "staff"


def test_a_panel_says_that_a_password_was_changed(provider, document):
    """Its token may do that and nothing else, and no viewer may."""
    mailbox, told = new_mailbox(), {"note": "changed in the panel"}
    panel = Program(provider.web, provider.web.token("panel", "panel"))
    changed = "/mailboxes/{mailbox}/password-changed"
    lock = call(document, provider.support, "post", "/mailboxes/{mailbox}/lock", mailbox=mailbox,
                body={"action": "lock", "note": "spam"}).json
    assert (lock["phase"], lock["scope"], lock["done"]) == ("locked", "login", True)
    assert call(document, provider.viewer, "post", changed, mailbox=mailbox, body=told).status == 403
    for method, path in sorted(operations(document) - {("post", changed), ("get", "/openapi.json")}):
        answer = call(document, panel, method, path, mailbox=mailbox, ip="192.0.2.1", report="x",
                      domain="example.test", number="1", decision=provider.over, body={})
        assert answer.status == 403, f"{method} {path}: {answer}"
    assert call(document, panel, "post", changed, mailbox=mailbox, body={"note": ""}).status == 400
    for done in (True, False):
        answer = call(document, panel, "post", changed, mailbox=mailbox, body=told)
        assert (answer.status, answer.json["done"], answer.json["phase"]) == (200, done, "reopened")
    actions = provider.viewer.get(f"{ROOT}/audit?subject={mailbox}").json["actions"]
    assert [(action["action"], action["by"]) for action in actions] == [
        ("lift", "token:panel"), ("password_changed", "token:panel"), ("lock", "token:support"),
        ("suspend", "token:support")]


def test_simulation_counts_nothing(provider):
    sender = provider.sender()
    for _ in range(8):
        answer = provider.viewer.post_json(ROOT + "/simulate", sender.body())
        assert answer.json["verdict"] == "admit"
    assert sender.used() == 0


def test_simulation_gives_no_link_to_the_users_page(provider):
    answer = provider.viewer.post_json(ROOT + "/simulate", provider.stopped.body())
    assert answer.json["verdict"] == "refuse"
    assert answer.json["status_url"] is None
    assert "/status?" not in answer.text


def pages(client, path, name, mark, query):
    """All elements of a list that comes in pages."""
    found, after = [], None
    for _ in range(100):
        more = {query: after} if after else {}
        page = client.get(f"{ROOT}{path}?{urllib.parse.urlencode(more)}").json
        found += page[name]
        after = page[mark]
        if after is None:
            return found
    raise AssertionError("the list does not end")


def test_pages(provider):
    mailbox = new_mailbox()
    for number in range(61):
        assert provider.support.action("note", mailbox, note=f"note {number}").status == 200
    actions = pages(provider.viewer, "/audit", "actions", "next", "before")
    numbers = [action["number"] for action in actions]
    assert numbers == sorted(set(numbers), reverse=True) and len(numbers) > 61
    decisions = pages(provider.viewer, "/decisions", "decisions", "older", "before")
    assert len({one["decision"] for one in decisions}) == len(decisions) >= 11


def test_exports(provider):
    """The whole audit log, more than one piece of it; no cell is a formula."""
    mailbox = new_mailbox()
    notes = ['=HYPERLINK("http://x.test")', "+1", "-1", "@SUM(A1)", 'said "no", then yes', "grün"]
    for number, note in enumerate(itertools.islice(itertools.cycle(notes), 110)):
        assert provider.support.action("note", mailbox, note=note).status == 200, number
    answer = provider.viewer.get(ROOT + "/audit/export.json")
    assert "attachment" in answer.header("Content-Disposition")
    exported = answer.json
    listed = pages(provider.viewer, "/audit", "actions", "next", "before")
    without = [{name: value for name, value in action.items() if name != "at"} for action in exported]
    assert without == [{name: value for name, value in action.items() if name != "at"}
                       for action in reversed(listed)]

    answer = provider.viewer.get(ROOT + "/audit/export.csv")
    assert answer.header("Content-Type").startswith("text/csv")
    assert "attachment" in answer.header("Content-Disposition")
    assert answer.body.count(b"\n") == answer.body.count(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len(exported)
    for row, action in zip(rows, exported):
        assert (int(row["number"]), row["at"], row["by"]) == (action["number"], action["at"], action["by"])
        guarded = "'" + action["note"] if action["note"][0] in "=+-@" else action["note"]
        assert row["note"] == guarded
        assert json.loads(row["detail"]) == action["detail"]
        assert all(value[:1] not in "=+-@" for value in row.values() if value)


def test_filters(provider):
    """The lists, and the files with the same filter."""
    note = f"only once {new_mailbox()}"
    first, second = new_mailbox(), new_mailbox()
    for mailbox in first, second:
        assert provider.support.action("note", mailbox, note=note).status == 200
    query = urllib.parse.urlencode({"text": note.upper(), "by": "token:support"})
    listed = provider.viewer.get(f"{ROOT}/audit?{query}").json
    assert [one["subject"] for one in listed["actions"]] == [second, first] and not listed["partial"]
    assert [one["subject"] for one in provider.viewer.get(f"{ROOT}/audit/export.json?{query}").json] == [first, second]
    rows = csv.DictReader(io.StringIO(provider.viewer.get(f"{ROOT}/audit/export.csv?{query}").text, newline=""))
    assert [row["subject"] for row in rows] == [first, second]
    assert provider.viewer.get(f"{ROOT}/audit?{query}&action=lift").json["actions"] == []

    query = urllib.parse.urlencode({"outcome": "suspended", "network": provider.stopped.ip, "rule": "messages_per_day"})
    decisions = provider.viewer.get(f"{ROOT}/decisions?{query}").json["decisions"]
    assert [one["mailbox"] for one in decisions] == [provider.stopped.mailbox]
    answer = provider.viewer.get(f"{ROOT}/decisions/export.csv?{query}")
    assert "attachment" in answer.header("Content-Disposition")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row == {"decision": decisions[0]["decision"], "at": decisions[0]["at"], "mailbox": provider.stopped.mailbox,
                   "outcome": "suspended", "channel": "webmail", "ip": provider.stopped.ip, "recipients": "1",
                   "off_domain": "1", "rules": "messages_per_day"}
    exported = list(csv.DictReader(io.StringIO(provider.viewer.get(ROOT + "/decisions/export.csv").text, newline="")))
    listed = pages(provider.viewer, "/decisions", "decisions", "older", "before")
    assert [row["decision"] for row in exported] == [one["decision"] for one in listed]


# ---- one list of actions ---------------------------------------------------------------------

PARTS = {"for": "1h", "cause": "terms", "rule": "messages_per_day", "value": "default",
         "messages": 1, "off_domain": 1}
OPTIONS = {"for": "--for", "cause": "--cause", "messages": "--messages",
           "off_domain": "--off-domain"}
COMPLETION = TREE / "contrib/bash-completion/sendguard"


def offered(function, *words):
    """What the shell's completion offers."""
    text = subprocess.run(["bash", "-c", f'source "$0" && {function} "$@"', str(COMPLETION), *words],
                          check=True, capture_output=True, text=True).stdout
    return text.split()


def options_of(command):
    """The options that the command's help names, without those of every command."""
    text = subprocess.run([BUILD / "sendguard", *command.split(), "--help"], check=True,
                          capture_output=True, text=True).stdout
    return set(re.findall(r"^  (?:-\w, )?(--?[a-z][a-z-]*)", text, re.M)) - {"-c", "-o"}


def test_desk_api_command_line_and_completion_know_the_same_actions(provider, document):
    request = document["components"]["schemas"]["Request"]["properties"]
    assert set(request) == {"action", "subject", "note", "preview", *PARTS}
    wrong = provider.admin.post_json(ROOT + "/actions", {"action": "x", "subject": provider.busy.mailbox,
                                                      "note": "x"}).json
    names = re.findall(r"\b[a-z]+\b", wrong["detail"].split("expected ")[1].replace(" or ", ", "))
    assert names == request["action"]["enum"]
    for name in names:
        takes = set()
        for part, value in PARTS.items():
            answer = provider.admin.post_json(ROOT + "/actions", {
                "action": name, "subject": provider.busy.mailbox, "note": "x", "preview": True,
                part: value})
            if "does not take it" not in answer.text:
                takes.add(part)
        form = (TREE / f"templates/desk_form_{name}.mustache").read_text()
        fields = set(re.findall(r'name="(\w+)"', form)) - {"csrf", "action", "note", "subject"}
        assert fields == takes, name
        options = {OPTIONS[part] for part in takes if part in OPTIONS}
        if name == "exempt":
            options.add("--end")  # value=default
        if name not in ("limit", "plan"):
            options.add("--from")  # several subjects
        assert options_of(name) == options | {"--json", "--note", "--preview"}, name


def test_the_completion_offers_what_the_help_names(provider):
    text = subprocess.run([BUILD / "sendguard", "help"], check=True, capture_output=True,
                          text=True).stdout
    commands = re.findall(r"^  ((?:staff |store |token )?[a-z][a-z-]*)\b.*  ", text, re.M)
    assert {command.split()[0] for command in commands} | {"help"} == \
        set(offered("echo $_sendguard_commands"))
    for command in commands:
        assert options_of(command) == {one for one in offered("_sendguard_options_of", command)
                                       if one.startswith("--")}, command


def test_every_rule_is_in_pages_and_documents(document):
    """What no compiler misses when a rule is added."""
    form = (TREE / "templates/desk_form_limit.mustache").read_text()
    reason = (TREE / "templates/status_reason.mustache").read_text()
    limits = (TREE / "docs/limits.md").read_text()
    for rule in document["components"]["schemas"]["Rule"]["enum"]:
        assert f'value="{rule}"' in form, rule
        assert f"{{{{> status.reason.{rule}}}}}" in reason, rule
        assert f"`{rule}`" in limits, rule
    listed = offered('echo "$_sendguard_rules"')
    assert listed == document["components"]["schemas"]["Rule"]["enum"]
