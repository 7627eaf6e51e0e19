"""Through a real nginx, with the example configuration: the trusted location, and gate mode."""

import base64
import hashlib
import http.client
import http.server
import json
import os
import threading
import urllib.parse

import pytest

from endpoint import PATH, new_mailbox, people
from programs import GATE_PASSWORD, SANITIZED, Nginx, free_port, nginx_example

pytestmark = pytest.mark.either_store

BOUNDARY = "----boundary"


class Upstream:
    """The webmail behind the gate: remembers what it was handed."""

    def __init__(self):
        self.requests = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                digest, length = hashlib.sha256(), int(self.headers["Content-Length"])
                left = length
                while left > 0:
                    piece = self.rfile.read(min(left, 65536))
                    if not piece:
                        break
                    digest.update(piece)
                    left -= len(piece)
                upstream.requests.append((self.path, length - left, digest.hexdigest(),
                                          self.headers.get("Content-Type")))
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"sent")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Stage:
    """A guard behind nginx, with a webmail behind the gate."""

    def __init__(self, folder, guard):
        self.guard, self.upstream = guard, Upstream()
        self.users = [new_mailbox() for _ in range(20)]
        self.free_users = list(self.users)
        ports = {example: free_port() for example in (8080, 8081, 8082)}
        self.trusted, self.gate = ports[8081], ports[8082]
        self.nginx = Nginx(folder, nginx_example(folder, guard, ports, self.upstream.port, self.users))
        self.nginx.start(ports.values())

    def stop(self):
        self.nginx.stop()
        self.upstream.stop()

    def request(self, port, method, path, body=b"", headers=None):
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            link.request(method, path, body, headers or {})
            response = link.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            link.close()

    def send(self, user, body, content_type):
        sign_in = base64.b64encode(f"{user}:{GATE_PASSWORD}".encode()).decode()
        return self.request(self.gate, "POST", "/send", body,
                            {"Content-Type": content_type, "Authorization": f"Basic {sign_in}"})


@pytest.fixture
def stage(store, start, folder):
    guard = start(store, {"limits.webmail": {"messages_per_day": 3}})
    stage = Stage(folder, guard)
    yield stage
    stage.stop()


def form(user, to="bob@x.test", **more):
    return urllib.parse.urlencode({"_from": user, "_to": to, "_message": "Hello", **more}).encode()


URLENCODED = "application/x-www-form-urlencoded"
JSON = {"Content-Type": "application/json"}


def test_submissions_by_http(stage):
    user = new_mailbox()
    body = {"id": "<a/b@x.test>", "mailbox": user, "ip": "192.0.2.9", "to": ["bob@x.test"]}
    status, headers, answer = stage.request(stage.trusted, "POST", PATH, json.dumps(body), JSON)
    assert status == 200, answer
    assert json.loads(answer)["mailbox"] == user
    assert headers["Cache-Control"] == "no-store"
    assert '"messages_per_day";q=3;w=86400' in headers["RateLimit-Policy"]
    status, _, answer = stage.request(stage.trusted, "POST", PATH + "?dry_run=1",
                                      json.dumps(body | {"id": "<c@x.test>"}), JSON)
    assert (status, json.loads(answer)["windows"][0]["used"]) == (200, 1)
    query = "?mailbox=" + urllib.parse.quote(user, safe="")
    path = PATH + "/" + urllib.parse.quote(body["id"], safe="") + query
    assert stage.request(stage.trusted, "DELETE", path)[0] in (200, 204)
    assert stage.request(stage.trusted, "DELETE", path)[0] == 404
    body["to"] = people(51, "x.test")
    status, headers, _ = stage.request(stage.trusted, "POST", PATH, json.dumps(body), JSON)
    assert (status, headers["Content-Type"].split(";")[0]) == (422, "application/problem+json")
    assert stage.request(stage.trusted, "GET", PATH)[0] == 405


def test_admitted_mail_is_handed_on_as_it_came(stage):
    user = stage.users[0]
    body = form(user)
    for number in range(3):
        status, _, answer = stage.send(user, body, URLENCODED)
        assert (status, answer) == (200, b"sent")
        path, length, digest, content_type = stage.upstream.requests[number]
        assert (path, length, content_type) == ("/send", len(body), URLENCODED)
        assert digest == hashlib.sha256(body).hexdigest()
    status, headers, answer = stage.send(user, body, URLENCODED)
    assert status == 403
    assert "Retry-After" in headers
    assert b"has been suspended" in answer
    assert len(stage.upstream.requests) == 3


def test_the_gate_believes_nginx_not_the_form(stage):
    user, other = stage.users[:2]
    assert stage.send(user, form(user, mailbox=other, ip="192.0.2.77"), URLENCODED)[0] == 200
    body = json.dumps({"mailbox": user, "ip": "127.0.0.1", "to": ["bob@x.test"]})
    _, _, answer = stage.request(stage.trusted, "POST", PATH + "?dry_run=1", body, JSON)
    used = {one["rule"]: one["used"] for one in json.loads(answer)["windows"]}
    assert (used["messages_per_day"], used["off_domain_per_hour_per_ip"]) == (1, 1)


def test_refused_mail_is_not_handed_on(stage):
    user = stage.users[0]
    assert stage.send(user, form(user, ", ".join(people(51, "x.test"))), URLENCODED)[0] == 422
    assert stage.send(user, form(user, "a@@x.test"), URLENCODED)[0] == 400
    assert stage.send("stranger@example.test", form(user), URLENCODED)[0] == 401
    assert stage.upstream.requests == []


@pytest.mark.parametrize("field, text, place", [
    ("_bcc", "\"\u00e9\\\\\\\" <b@x.test>, x\" <d@own.test>", "bcc[0]"),
    ("_to", '"\\"x a@y.test b@z.test "@own.test,"\\"y k"@own.test', "to[0]"),
])
def test_what_the_webmail_could_read_otherwise_is_refused_by_name(stage, field, text, place):
    user = stage.users[0]
    before = len(stage.upstream.requests)
    status, _, answer = stage.send(user, urllib.parse.urlencode({field: text}).encode(), URLENCODED)
    assert status == 400
    problem = json.loads(answer)
    assert problem["where"] == place and "backslash in quotation marks" in problem["detail"], problem
    assert len(stage.upstream.requests) == before


def test_drafts_are_passed_on_and_not_counted(stage):
    """Also those of a suspended mailbox."""
    user = stage.users[0]
    draft = form(user, _action="send", _draft="1")
    for _ in range(5):
        status, _, answer = stage.send(user, draft, URLENCODED)
        assert (status, answer) == (200, b"sent")
    for _ in range(3):
        assert stage.send(user, form(user, _action="send", _draft=""), URLENCODED)[0] == 200
    assert stage.send(user, form(user), URLENCODED)[0] == 403
    assert stage.send(user, draft, URLENCODED)[0] == 200
    assert len(stage.upstream.requests) == 9


@pytest.mark.parametrize("more", [{"_draft": "1"}, {"_saveonly": "1"}, {"_draft": "0"},
                                  {"_draft": "1", "_action": "bounce"}])
def test_what_only_looks_like_a_draft_counts(stage, more):
    """The webmail behind would send it."""
    user = stage.users[0]
    for _ in range(3):
        assert stage.send(user, form(user, **more), URLENCODED)[0] == 200
    assert stage.send(user, form(user, **more), URLENCODED)[0] == 403


def test_other_requests_of_the_webmail_pass(stage):
    """Sign-ins, and forms whose _to is no recipient; also of a suspended mailbox."""
    user = stage.users[0]
    for body in (b"_user=a&_pass=b", b"_action=move&_to=Archive", b""):
        for _ in range(4):
            assert stage.send(user, body, URLENCODED)[0] == 200
    assert len(stage.upstream.requests) == 12


def field(name, value):
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            ).encode()


def test_attachments_pass_in_constant_memory(stage):
    guard, content_type = stage.guard, f"multipart/form-data; boundary={BOUNDARY}"

    def message(user, size):
        file = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="_attachments[]"; '
                'filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n').encode()
        return (field("_to", "bob@x.test") + file + os.urandom(size) + b"\r\n"
                + field("_cc", "eve@y.test") + f"--{BOUNDARY}--\r\n".encode())

    users = iter(stage.users)
    for _ in range(3):
        user = next(users)
        assert stage.send(user, message(user, 100_000), content_type)[0] == 200
    before = guard.memory_peak_kb()
    for _ in range(6):
        user = next(users)
        body = message(user, 25 * 1000 * 1000)
        status, _, answer = stage.send(user, body, content_type)
        assert (status, answer) == (200, b"sent")
        assert stage.upstream.requests[-1][2] == hashlib.sha256(body).hexdigest()
    if not SANITIZED:
        assert guard.memory_peak_kb() - before < 4096
    body = json.dumps({"mailbox": user, "to": ["bob@x.test"]})
    _, _, answer = stage.request(stage.trusted, "POST", PATH + "?dry_run=1", body, JSON)
    used = {one["rule"]: one["used"] for one in json.loads(answer)["windows"]}
    assert used["off_domain_per_day"] == 2


def test_php_reads_field_names_its_own_way(stage):
    """What PHP takes for _to must be judged as _to, however the name was written."""
    user = stage.users[0]
    many = ", ".join(people(51, "x.test"))
    for name in ("_to", " _to", "_to[]", "_to[x]", "%5fto"):
        body = (name.replace(" ", "+").replace("[", "%5B").replace("]", "%5D") + "="
                + urllib.parse.quote(many)).encode()
        assert stage.send(user, body, URLENCODED)[0] == 422, name
    assert stage.upstream.requests == []


def test_many_browsers(stage):
    """More clients than nginx keeps connections: nobody gets a 502 or a 504."""
    stage.guard.reload({"limits.webmail": {"messages_per_day": 100000,
                                           "off_domain_per_hour_per_ip": "off",
                                           "off_domain_per_day": "off"}})
    failed = []

    def browse(user):
        link = http.client.HTTPConnection("127.0.0.1", stage.trusted, timeout=60)
        for _ in range(40):
            body = {"mailbox": user, "to": ["bob@x.test"]}
            link.request("POST", PATH, json.dumps(body), JSON)
            response = link.getresponse()
            response.read()
            if response.status != 200:
                failed.append(response.status)
        link.close()

    threads = [threading.Thread(target=browse, args=(user,)) for user in stage.users * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for user in stage.users:
        body = json.dumps({"mailbox": user, "to": ["bob@x.test"]})
        _, _, answer = stage.request(stage.trusted, "POST", PATH + "?dry_run=1", body, JSON)
        assert json.loads(answer)["windows"][0]["used"] == 80


def test_a_restart_is_not_noticed(stage):
    """nginx asks again when a kept connection was closed by the restart."""
    user = new_mailbox()
    for number in range(3):
        body = {"id": f"<{number}@x.test>", "mailbox": user, "to": ["bob@x.test"]}
        assert stage.request(stage.trusted, "POST", PATH, json.dumps(body), JSON)[0] == 200
        stage.guard.stop()
        stage.guard.start()
    body["id"] = "<again@x.test>"
    assert stage.request(stage.trusted, "POST", PATH, json.dumps(body), JSON)[0] == 403
