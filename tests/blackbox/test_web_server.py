"""sendguard-web as an HTTP server: methods, sizes, headers, its log, its end."""

import http.client
import json
import re
import signal
import socket
import subprocess
import threading

import pytest

from programs import PATIENCE, Guard
from stores import SqliteStore
from web import BASE, FORM, PROGRAM, Answer, Browser, Client, Web

pytestmark = [pytest.mark.sanitized, pytest.mark.threads]

POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
          "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")


@pytest.fixture
def client(web):
    return Client(web)


def raw(web, data, patience=PATIENCE):
    """What comes back for these bytes until the server closes."""
    with web.connect(patience) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has closed already
        received = b""
        while True:
            try:
                piece = link.recv(65536)
            except ConnectionResetError:
                return received
            if not piece:
                return received
            received += piece


# ---- every answer --------------------------------------------------------------------

ANSWERS = [
    ("GET", "/status", 403), ("GET", "/status?t=forged", 403), ("GET", "/desk/", 303),
    ("GET", "/desk/sign-in", 200), ("POST", "/desk/actions", 303), ("GET", "/api/v1/overview", 401),
    ("GET", "/api/v1/openapi.json", 200), ("GET", "/nowhere", 404), ("GET", "/", 404),
    ("PUT", "/status", 405), ("DELETE", "/desk/sign-in", 405), ("GET", "/healthz", 200),
    ("GET", "/readyz", 200), ("GET", "/metrics", 200), ("GET", "/assets/none.css", 404),
    ("GET", "/desk/%00", 400), ("GET", "/status?a=1&a=2", 400),
    ("GET", "/" + "a" * 2100, 414), ("POST", "/desk/sign-in?x=%", 400),
]


def referrer_policy(path):
    """The desk's and the status page's forms say where they come from; the latter not its address."""
    if path.startswith("/desk") and "%00" not in path:
        return "same-origin"
    return "strict-origin" if path.split("?")[0] == "/status" else "no-referrer"


@pytest.mark.parametrize("method, path, status", ANSWERS)
def test_security_headers_are_on_every_answer(client, method, path, status):
    for accept in ("text/html", "application/json"):
        answer = client.request(method, path, headers={"Accept": accept})
        assert answer.status == status, answer
        assert answer.header("Content-Security-Policy") == POLICY
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Referrer-Policy") == referrer_policy(path)
        assert answer.header("Cache-Control") == "no-store"
        cookie = answer.header("Set-Cookie")
        if path == "/desk/sign-in" and status == 200:  # by which the browser is known once it signed in
            assert re.fullmatch(r"sendguard_browser=[\w-]{43}; Path=\S+/desk/sign-in; Max-Age=2592000; "
                                "HttpOnly; SameSite=Lax", cookie)
        else:
            assert cookie is None
        if status >= 400 and accept == "application/json":
            assert answer.header("Content-Type") == "application/problem+json"
            problem = answer.json
            assert problem["status"] == status
            assert problem["title"] and problem["detail"] and problem["type"] == "about:blank"


def test_errors_are_pages_for_people(client):
    for path, status in (("/nowhere", 404), ("/desk/%00", 400), ("/status", 403)):
        answer = client.get(path)
        assert answer.status == status
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert re.search(r'<html lang="en">.*<h1>[^<]+</h1>', answer.text, re.S), answer.text
    german = client.get("/nowhere", headers={"Accept-Language": "de-AT,de;q=0.9"})
    assert '<html lang="de">' in german.text
    assert german.text != client.get("/nowhere").text


def test_no_page_has_inline_style_or_script(web):
    ada = web.desk("ada")
    for path in ("/desk/", "/desk/sign-in", "/desk/audit", "/desk/mailboxes/a@example.test",
                 "/status", "/nowhere", "/desk/simulate"):
        page = ada.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page), path
        for script in re.findall(r"<script[^>]*>", page):
            assert f'src="{BASE}/assets/' in script, path
        for link in re.findall(r'(?:src|href|action)="([^"]*)"', page):
            assert link.startswith((f"{BASE}/", "#", "mailto:", "?")), (path, link)


# ---- methods ------------------------------------------------------------------------------

def test_head_is_get_without_a_body(client):
    for path in ("/desk/sign-in", "/assets/style.css", "/nowhere", "/healthz"):
        head, get = client.request("HEAD", path), client.get(path)
        assert (head.status, head.body) == (get.status, b"")
        for name in ("Content-Length", "Content-Type", "Cache-Control", "ETag"):
            assert head.header(name) == get.header(name)


@pytest.mark.parametrize("path, allow", [
    ("/status", "GET, HEAD, POST"), ("/desk/sign-in", "GET, HEAD, POST"),
    ("/desk/sign-out", "POST"), ("/assets/style.css", "GET, HEAD"),
])
def test_other_methods_are_told_what_is_allowed(client, path, allow):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = client.request(method, path)
        assert (answer.status, answer.header("Allow")) == (405, allow)
    if "POST" not in allow:
        assert client.post_form(path, {}).status == 405
    if "GET" not in allow:
        assert client.get(path).status == 405


def test_methods_of_the_desk_and_the_api(web):
    ada = web.desk("ada")
    answer = ada.post_form("/desk/audit", {"csrf": ada.csrf})
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")
    answer = ada.request("PUT", "/desk/actions")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD, POST")


# ---- paths -----------------------------------------------------------------------------------

def test_the_base_may_have_been_taken_away(client):
    for path in ("/desk/sign-in", "/assets/style.css", "/healthz"):
        with_base, without = client.get(path), client.get(path, base="")
        assert with_base.status == without.status == 200
        assert with_base.body == without.body


@pytest.mark.parametrize("name", [
    "../style.css", "..%2fstyle.css", "..%2f..%2fweb.c", "%2e%2e/style.css", "./style.css",
    "%2fetc%2fpasswd", "/etc/passwd", "..\\style.css", "style.css/", "style.css%00.js", "STYLE.CSS",
    "", ".", "..", "openapi.json", "style.css%20", "....//style.css",
])
def test_no_path_leads_out_of_the_assets(client, name):
    answer = client.get("/assets/" + name)
    assert answer.status in (400, 404), answer
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", [
    "/desk/../metrics", "/status/../desk/", "//desk/", "/desk//", "/desk/./", "/./desk/",
    "/..%2f..%2fetc/passwd", "/desk/mailboxes", "/desk/mailboxes/", "/api/v1", "/api/v2/overview",
    "/metrics/", "/statusx", "/desks/",
])
def test_paths_are_taken_by_the_letter(web, path):
    answer = web.desk("vic").get(path)
    assert answer.status == 404, answer


def test_assets_are_kept_by_browsers(client):
    for name, kind in (("style.css", "text/css; charset=utf-8"),
                       ("page.js", "text/javascript; charset=utf-8"),
                       ("icon.svg", "image/svg+xml")):
        answer = client.get("/assets/" + name)
        assert answer.status == 200
        assert answer.header("Content-Type") == kind
        assert answer.header("Cache-Control").startswith("public, max-age=")
        tag = answer.header("ETag")
        assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
        again = client.get("/assets/" + name, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status, again.body) == (304, b"")
        assert client.get("/assets/" + name, headers={"If-None-Match": '"x"'}).status == 200


# ---- sizes --------------------------------------------------------------------------------------

def test_a_body_may_have_a_mebibyte(client):
    limit = 1024 * 1024
    answer = client.post_form("/desk/sign-in", {"name": "x" * (limit - 5)})
    assert answer.status == 403, answer
    answer = client.post_form("/desk/sign-in", {"name": "x" * (limit - 4)})
    assert answer.status == 413, answer
    assert answer.header("Content-Security-Policy") == POLICY


def test_a_body_without_a_length_has_the_same_limit(web):
    def chunked(size):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"name=".ljust(size, b"x"))
        return raw(web, f"POST {BASE}/desk/sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   f"Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)

    assert chunked(1024 * 1024).startswith(b"HTTP/1.1 403 ")
    assert chunked(1024 * 1024 + 1).startswith(b"HTTP/1.1 413 ")
    assert not chunked(8 * 1024 * 1024).startswith(b"HTTP/1.1 2")
    assert Client(web).get("/healthz").status == 200


def test_a_huge_body_is_refused_before_it_comes(web):
    with web.connect() as link:
        link.sendall(f"POST {BASE}/desk/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
                     "Content-Length: 1000000000000\r\n\r\n".encode())
        assert link.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("headers", [
    {"X-Long": "x" * 40000}, {f"X-{number}": "y" * 100 for number in range(90)},
    {"Cookie": "sendguard_session=" + "x" * 5000}, {"Accept": "application/json," * 500},
    {"Accept-Language": "de;q=0.1," * 1000}, {"Authorization": "Bearer " + "x" * 9000},
    {"X-Forwarded-For": "192.0.2.1," * 800},
])
def test_large_headers_break_nothing(client, headers):
    try:
        answer = client.get("/desk/", headers=headers)
        assert answer.status in (303, 400, 413, 414, 431), answer
    except (http.client.HTTPException, ConnectionError):
        pass
    assert client.get("/healthz").status == 200


@pytest.mark.parametrize("data", [
    b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100, b"\xff" * 5000,
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /desk/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /desk/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /desk/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET http://evil.test/desk/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
])
def test_nonsense_is_answered_or_dropped(web, data):
    received = raw(web, data)
    assert not received.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 500")), received
    assert Client(web).get("/healthz").status == 200


@pytest.mark.parametrize("headers", [
    "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 50", "Content-Length: 5\r\nContent-Length: 5",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: identity, chunked", "Transfer-Encoding:",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding : chunked",
    "Content-Length : 5",
])
def test_no_second_request_hides_in_a_body(web, headers):
    """What a server in front could take for a body is not answered as a request."""
    hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = raw(web, f"POST /desk/sign-in HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n"
                        f"0\r\n\r\n{hidden}".encode())
    assert received.startswith(b"HTTP/1.1 400 "), received
    assert received.count(b"HTTP/1.1 ") == 1, received


def test_an_old_client_cannot_send_chunks(web):
    received = raw(web, b"POST /desk/sign-in HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400 "), received


# ---- one person's address ---------------------------------------------------------------------------

def test_monitoring_is_for_its_addresses(client):
    assert client.get("/metrics").status == 200
    for address in ("203.0.113.9", "127.0.0.1, 203.0.113.9", "2001:db8::1", "nonsense", ""):
        answer = client.get("/metrics", headers={"X-Forwarded-For": address})
        assert answer.status == 404, (address, answer)


# ---- the log -----------------------------------------------------------------------------------------

def test_the_log_tells_no_secrets(folder):
    store = SqliteStore(folder)
    web = Web(folder, store).hire({"ada": "admin"}).start()
    ada = web.desk("ada")
    token = web.token("robot", "viewer")
    csrf = ada.csrf
    Client(web).get("/api/v1/overview", headers={"Authorization": f"Bearer {token}"})
    Client(web).get("/api/v1/overview", headers={"Authorization": "Bearer sg.robot.Forged4711"})
    Browser(web).sign_in("ada", "WrongPassword4711")
    Browser(web).sign_in("NameTypedPassword4711", "x")
    Client(web).get("/status?t=ForgedToken4711")
    Client(web).get("/desk/?q=SearchedFor4711")
    ada.action("suspend", "victim@example.test", note="Note4711", **{"for": "1h"})
    web.stop()
    text = web.log.text()
    assert "signed in" in text and "sign-in failed" in text
    for secret in ("4711", "correct horse", token.split(".")[2], ada.cookie.split("=")[1], csrf,
                   "victim@"):
        assert secret not in text, secret


# ---- signals ---------------------------------------------------------------------------------------------

@pytest.fixture
def own(folder):
    web = Web(folder, SqliteStore(folder)).start()
    yield web
    if web.running:
        web.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(own, number):
    idle = [own.connect() for _ in range(20)]
    own.process.send_signal(number)
    assert own.wait() == 0
    for link in idle:
        link.close()


def test_requests_in_flight_are_finished(own):
    """They wait for the store, which another process has locked, when the signal comes."""
    own.hire({"ada": "admin"})
    links = [http.client.HTTPConnection("127.0.0.1", own.port, timeout=PATIENCE)
             for _ in range(3)]
    for link in links:
        link.request("GET", f"{BASE}/desk/sign-in")
        assert Answer(link.getresponse()).status == 200
    own.store.silence()
    try:
        for link in links:
            link.request("POST", f"{BASE}/desk/sign-in", "name=ada&password=wrong-password",
                         {"Content-Type": FORM})
        own.process.send_signal(signal.SIGTERM)
        own.log.wait("msg=ending")
    finally:
        own.store.speak()
    for link in links:
        answer = Answer(link.getresponse())
        assert (answer.status, answer.header("Connection")) == (403, "close")
        link.close()
    assert own.wait() == 0


def test_reload_takes_new_settings_and_texts(own, folder):
    texts = folder / "texts"
    (texts / "en").mkdir(parents=True)
    (texts / "en" / "own.json").write_text(json.dumps({"error.404": "Nothing here at all"}))
    client = Client(own)
    assert "Nothing here at all" not in client.get("/nowhere").text
    own.reload({"web": {"templates": texts}})
    assert "Nothing here at all" in client.get("/nowhere").text
    (texts / "en" / "own.json").write_text('{"error.404": "unclosed {{#a}}"}')
    assert "refused" in "\n".join(own.reload())
    assert "Nothing here at all" in client.get("/nowhere").text
    own.stop()


def test_reload_while_pages_are_shown(own, folder):
    """Each answer is of one set of texts, the old or the new."""
    texts, ada = folder / "texts", own.hire({"ada": "admin"}).desk("ada")
    (texts / "en").mkdir(parents=True)
    (texts / "en" / "own.json").write_text(json.dumps({"error.404": "Nothing here at all"}))
    end, answers = threading.Event(), []

    def ask():
        while not end.is_set():
            answers.append((404, Client(own).get("/nowhere")))
            answers.append((200, ada.get("/desk/")))

    people = [threading.Thread(target=ask) for _ in range(6)]
    for person in people:
        person.start()
    try:
        for number in range(8):
            own.reload({"web": {"templates": "" if number % 2 else texts}})
    finally:
        end.set()
        for person in people:
            person.join(PATIENCE)
    assert len(answers) > 20
    for status, answer in answers:
        assert answer.status == status, answer
    titles = {"Nothing here at all" in answer.text for status, answer in answers if status == 404}
    assert titles == {True, False}
    own.stop()


def test_bad_texts_stop_the_start(folder):
    texts = folder / "texts"
    texts.mkdir()
    (texts / "status.mustache").write_text("fine\n{{#open}}\n")
    for guard, program in ((Web(folder, SqliteStore(folder)), PROGRAM),
                           (Guard(folder, SqliteStore(folder)), None)):
        guard.configure({"web": {"templates": texts}})
        shown = subprocess.run(guard.command("--check"), capture_output=True, text=True,
                               timeout=PATIENCE)
        assert shown.returncode == 78, (program, shown)
        assert "status.mustache:2" in shown.stderr


def test_it_serves_a_socket_file_too(folder):
    path = folder / "web.sock"
    web = Web(folder, SqliteStore(folder), {"web": {"listen": path}})
    web.spawn()
    web.log.wait("msg=listening")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(str(path))
        link.sendall(b"GET /desk/sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 200 ")
    assert path.stat().st_mode & 0o777 == 0o660
    web.stop()
    assert not path.exists()


def test_help_version_and_usage():
    def run(*words):
        return subprocess.run([str(PROGRAM), *words], capture_output=True, text=True,
                              timeout=PATIENCE)

    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: sendguard-web ")
    assert run("--version").stdout.startswith("sendguard-web ")
    for words in (["--bogus"], ["stray"], ["-c"]):
        assert run(*words).returncode == 64
    shown = run("-o", "web.listen=nowhere", "--check")
    assert shown.returncode == 78
    assert "web.listen" in shown.stderr


def test_a_place_that_is_taken(own):
    second = subprocess.run(own.command(), capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 1
    assert f"listen=127.0.0.1:{own.port}" in second.stderr
    assert Client(own).get("/healthz").status == 200
