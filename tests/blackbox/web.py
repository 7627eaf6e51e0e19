"""The web interface as browsers and scripts use it, its program, and its staff."""

import html
import http.client
import json
import re
import subprocess
import urllib.parse

from endpoint import crowd
from programs import BUILD, PATIENCE, PortProgram

PROGRAM = BUILD / "sendguard-web"
SHELL = BUILD / "sendguard"
PASSWORD = "correct horse battery"
BASE = "/sending"
STAFF = {"ada": "admin", "sam": "support", "vic": "viewer"}
FORM = "application/x-www-form-urlencoded"


class Web(PortProgram):
    """sendguard-web on a port of its own. Shares folder, store and secret with a Guard there."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, **more):
        super().__init__(folder, store, **more)
        self.config_path = self.folder / "web.conf"
        self.configure({"web": {"listen": f"127.0.0.1:{self.port}",
                                "base_url": f"http://127.0.0.1:{self.port}{BASE}"}})
        self.configure(settings or {})

    def shell(self, *words, text=""):
        """The command line over the same store; its output."""
        done = subprocess.run([str(SHELL), "-c", str(self.config_path), *words], input=text,
                              text=True, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def hire(self, staff=None):
        """Accounts for the desk, all with PASSWORD."""
        for name, role in (staff or STAFF).items():
            self.shell("staff", "add", name, "--role", role, "--note", "for a test",
                       text=PASSWORD + "\n")
        return self

    def token(self, name, role):
        shown = self.shell("token", "add", name, "--role", role, "--expires", "90d", "--note",
                           "for a test")
        return re.search(r"\bsg\.[a-z0-9._-]+\.[A-Za-z0-9_-]+", shown).group(0)

    def desk(self, name, password=PASSWORD):
        """A browser that has signed in."""
        browser = Browser(self)
        answer = browser.sign_in(name, password)
        assert answer.status == 303, answer
        return browser


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.getheaders()
        self.body = response.read()

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:600]!r}"

    def header(self, name):
        """Its value; None when it is not there. No header of ours comes twice."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} comes {len(values)} times"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        assert re.fullmatch(r"application/(problem\+)?json", self.header("Content-Type")), self
        return json.loads(self.body)


class Client:
    """One request a connection; paths are sent as they are, below the base."""

    def __init__(self, web, headers=None):
        self.web, self.headers = web, dict(headers or {})

    def request(self, method, path, body=None, headers=None, base=BASE):
        link = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=PATIENCE)
        try:
            link.request(method, base + path, body, {**self.headers, **(headers or {})})
            return Answer(link.getresponse())
        finally:
            link.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post_form(self, path, fields, headers=None, **more):
        return self.request("POST", path, urllib.parse.urlencode(fields),
                            {"Content-Type": FORM, **(headers or {})}, **more)

    def post_json(self, path, tree, headers=None, **more):
        return self.request("POST", path, json.dumps(tree),
                            {"Content-Type": "application/json", **(headers or {})}, **more)


    def post_csv(self, path, text, **more):
        return self.request("POST", path, text.encode(), {"Content-Type": "text/csv"}, **more)


class Browser(Client):
    """Keeps the session's cookie and sends the tokens of its forms."""

    cookie = None

    def request(self, method, path, body=None, headers=None, base=BASE):
        mine = {} if self.cookie is None else {"Cookie": self.cookie}
        answer = super().request(method, path, body, {**mine, **(headers or {})}, base)
        set_cookie = answer.header("Set-Cookie")
        if set_cookie is not None:
            self.cookie = set_cookie.split(";")[0]
        return answer

    def sign_in(self, name, password=PASSWORD, headers=None, **more):
        return self.post_form("/desk/sign-in", {"name": name, "password": password, **more},
                              headers)

    @property
    def csrf(self):
        return csrf_of(self.get("/desk/"))

    def action(self, action, subject, **fields):
        """One action, confirmed, with the token of the page."""
        return self.post_form("/desk/actions", {"csrf": self.csrf, "action": action, "subject": subject,
                                             "note": "for a test", "confirm": "1", **fields})


class Program(Client):
    """A script with an API token."""

    def __init__(self, web, token):
        super().__init__(web, {"Authorization": f"Bearer {token}"})

    def action(self, action, subject, **members):
        return self.post_json("/api/v1/actions", {"action": action, "subject": subject,
                                               "note": "for a test", **members})


def csrf_of(answer):
    found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
    assert found, answer
    return html.unescape(found.group(1))


def status_link(sender):
    """A link as a user gets it, with a refusal for the message's own size."""
    answer = sender.send(crowd(101))
    assert answer.status == 422, answer
    return status_path(answer)


def status_path(answer):
    """The path below the base of the link that a refusal names."""
    url = urllib.parse.urlsplit(answer.json["status_url"])
    assert url.path == f"{BASE}/status", url
    return f"/status?{url.query}"
