"""The web interface behind a real nginx, with the example configuration."""

import base64
import http.client
import itertools
import re
import threading
import urllib.parse

import pytest

from programs import (PATIENCE, TREE, Guard, Nginx, eventually, free_port, nginx_example,
                      replaced)
from stores import SqliteStore
from web import BASE, FORM, PASSWORD, Browser, Client, Web

PORTS = (8080, 8081, 8082)


class Front:
    """What a browser reaches: nginx, and sendguard-web behind it."""

    def __init__(self, folder, more="", web=None, changed=lambda text: text):
        """`more`: nginx' settings for all servers; `web`: settings; `changed`: its configuration before
        the ports are put in."""
        self.folder, store = folder, SqliteStore(folder)
        self.guard = Guard(folder, store)
        ports = {example: free_port() for example in PORTS}
        self.port = ports[8080]
        self.web = Web(folder, store, {"web": {
            "base_url": f"http://127.0.0.1:{self.port}/sending", **(web or {})}}).hire().start()
        text = changed(nginx_example(folder, self.guard, ports, free_port()))
        text = replaced(text, r"127\.0\.0\.1:9401", f"127.0.0.1:{self.web.port}")
        text = replaced(text, r"server_tokens off;", f"server_tokens off; {more}")
        self.nginx = Nginx(folder, text).start(ports.values())

    def logs(self):
        return "".join((self.folder / name).read_text() for name in ("access.log", "error.log"))

    def stop(self):
        self.nginx.stop()
        if self.web.process is not None:
            self.web.stop()


@pytest.fixture
def front(folder):
    front = Front(folder)
    yield front
    front.stop()


def test_staff_and_users_come_through(front):
    ada = Browser(front)
    assert ada.sign_in("ada", headers={"Origin": f"http://127.0.0.1:{front.port}"}).status == 303
    assert ada.get("/desk/").status == 200
    assert Client(front).get("/status?t=x").status == 403
    assert Client(front).get("/assets/style.css").status == 200


# In the place of oauth2-proxy: whom nginx knows by a password of its own.
PROVIDER = """
    server {
        listen 127.0.0.1:4180;
        location = /oauth2/auth {
            auth_basic "provider";
            auth_basic_user_file FOLDER/provider;
            add_header X-Auth-Request-Preferred-Username $remote_user;
            root FOLDER;
            try_files /provider =404;
        }
        location /oauth2/ { return 200 "sign in at the provider"; }
    }
"""


def test_single_sign_on(folder):
    """The example of docs/operate.md: who is signed in elsewhere is so at the desk, and nobody else."""
    (folder / "provider").write_text("".join(f"{name}:{{PLAIN}}{PASSWORD}\n" for name in ("ada", "eve")))
    example = re.search(r"```nginx\n(.*?)```", (TREE / "docs/operate.md").read_text(), re.S).group(1)
    port = free_port()

    def changed(text):
        text = replaced(text, r"        location /sending/ \{", example + "        location /sending/ {")
        text = replaced(text, r"\n}\s*$", PROVIDER.replace("FOLDER", str(folder)) + "}\n")
        return text.replace("127.0.0.1:4180", f"127.0.0.1:{port}")

    front = Front(folder, web={"sign_in_proxies": "127.0.0.1"}, changed=changed)
    try:
        def basic(name):
            return {"Authorization": "Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()}

        assert "sign in at the provider" in Client(front).get("/desk/").text
        forged = {"X-Remote-User": "ada"}
        for path in ("/desk", "/desk/", "/desk/audit", "//desk/", "/%64esk/", "/./desk/", "/x/../desk",
                     "/desk/sign-in", "/api/v1/overview"):
            answer = Client(front, forged).get(path)
            assert "sendguard_session" not in str(answer.headers), f"{path}: {answer}"
            assert answer.status != 200 or "sign in at the provider" in answer.text, f"{path}: {answer}"
        ada = Browser(front, {**basic("ada"), "X-Remote-User": "sam"})
        assert ">ada</a>" in ada.get("/desk/").text
        assert ada.action("note", "someone@example.test").status == 303
        assert Client(front, basic("eve")).get("/desk/").status == 403
    finally:
        front.stop()


def test_links_stay_out_of_the_logs(front):
    """A link is a key: also when nobody answers behind nginx, or a request is refused there."""
    link = "/status?t=KeyOfAMailbox4711"
    assert Client(front).get(link).status == 403
    assert Client(front).request("POST", link, b"x" * 2_000_000).status == 413
    front.web.stop()
    assert Client(front).get(link).status == 503
    front.nginx.stop()
    assert "/sending/status" in front.logs()
    assert "KeyOfAMailbox" not in front.logs()


@pytest.mark.parametrize("path", [
    "/metrics", "/healthz", "/readyz", "/%6detrics", "//metrics", "/./metrics", "/x/../metrics",
    "/sending/metrics", "/sending/readyz", "//sending//healthz", "/sending/sending/metrics",
])
def test_monitoring_is_not_for_the_world(front, path):
    assert Client(front).get(path).status == 404


@pytest.mark.parametrize("path", ["/sending/desk/sign-in", "/sending/status", "/sending",
                                  "/%73ending/desk/", "//sending//desk/sign-in"])
def test_there_is_one_way_to_each_page(front, path):
    """Who closes /sending/desk/ to the world has closed it."""
    assert Client(front).get(path).status == 404


KNOWN, AT_ONCE = "127.77.0.1", 40


def sign_in_from(front, source, name, password=PASSWORD, headers=None):
    """The status, from a loopback address of this machine, which nginx tells as the browser's."""
    link = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE,
                                      source_address=(source, 0))
    try:
        link.request("POST", f"{BASE}/desk/sign-in",
                     urllib.parse.urlencode({"name": name, "password": password}),
                     {"Content-Type": FORM, **(headers or {})})
        return link.getresponse().status
    finally:
        link.close()


def test_a_flood_of_unknown_names_leaves_places(front):
    """From changing addresses, each of which also says that it comes from the known one."""
    assert sign_in_from(front, KNOWN, "ada") == 303
    numbers, statuses, enough = itertools.count(), [], threading.Event()

    def flood():
        while not enough.is_set():
            number = next(numbers)
            statuses.append(sign_in_from(
                front, f"127.78.{number // 250 % 256}.{number % 250 + 1}", f"nobody{number}",
                headers={"X-Forwarded-For": KNOWN, "X-Real-IP": KNOWN}))

    threads = [threading.Thread(target=flood) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: {403, 503} <= set(statuses), "more of them than places")
        for _ in range(3):
            assert sign_in_from(front, KNOWN, "ada") == 303  # within PATIENCE
    finally:
        enough.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert set(statuses) == {403, 503}
    assert sign_in_from(front, KNOWN, "ada") == 303


def test_behind_nginx_a_network_is_the_browsers(front):
    statuses = [sign_in_from(front, "127.79.0.1", "ada", "wrong horse battery",
                             {"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(11)]
    assert statuses == [403] * 10 + [429]
    assert sign_in_from(front, "127.79.0.2", "ada") == 303


def test_addresses_of_one_network_share_the_limit_of_references(folder):
    """An IPv6 /64 is one client, as it is to a sign-in; a mapped IPv4 address is one of its own."""
    front = Front(folder, "set_real_ip_from 127.0.0.1; real_ip_header X-Test-Address;")

    def asks(addresses):
        return [Client(front, {"X-Test-Address": address}).get("/r/7K3M-Q2XD-9F4A").status
                for address in addresses]

    try:
        assert 429 in asks([f"2001:db8:5:0a0a:{number:x}::1" for number in range(60)])
        assert asks(["2001:db8:5:b::1", "192.0.2.1"]) == [404] * 2
        assert asks([f"::ffff:198.51.100.{number}" for number in range(60)]) == [404] * 60
        assert asks([f"198.51.100.{number}" for number in range(100, 160)]) == [404] * 60
        assert 429 in asks(["198.51.100.7"] * 60)
    finally:
        front.stop()
