"""The people's door behind a real nginx, with the example configuration."""

import pytest

from programs import Guard, Nginx, free_port
from stores import SqliteStore
from test_gate import configuration, replaced
from web import Browser, Client, Web

PORTS = (8080, 8081, 8082)


class Front:
    """What a browser reaches: nginx, and sendguard-web behind it."""

    def __init__(self, folder):
        self.folder, store = folder, SqliteStore(folder)
        self.guard = Guard(folder, store)
        ports = {example: free_port() for example in PORTS}
        self.port = ports[8080]
        self.web = Web(folder, store, {"web": {
            "base_url": f"http://127.0.0.1:{self.port}/sending"}}).hire().start()
        text = configuration(folder, self.guard, ports, free_port(), [])
        text = replaced(text, r"127\.0\.0\.1:9401", f"127.0.0.1:{self.web.port}")
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
