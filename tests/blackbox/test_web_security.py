"""What nobody may do at the web interface: forge links and forms, act beyond a role, go on
after the end of a session, and put words of theirs into other people's pages."""

import html
import re
import urllib.parse

import pytest

from clock import DAY, HOUR, Clock
from endpoint import Endpoint, Sender, crowd, new_ip, new_mailbox
from programs import Guard
from stores import KINDS
from web import BASE, FORM, Browser, Client, Program, Web, csrf_of, status_link, status_path

pytestmark = pytest.mark.sanitized


@pytest.fixture
def user(web_guard, sender_at):
    return sender_at(web_guard)


@pytest.fixture(scope="module")
def robot(web):
    """May read all, for a look at what a try has changed."""
    return Program(web, web.token("robot", "viewer"))


def state_of(robot, mailbox):
    answer = robot.get("/api/v1/mailboxes/" + urllib.parse.quote(mailbox))
    assert answer.status == 200, answer
    return answer.json["state"]


# ---- status links ------------------------------------------------------------------------

def same_refusal(client, path, reference):
    answer = client.get(path)
    assert (answer.status, answer.body) == (reference.status, reference.body), path
    return answer


def test_a_link_opens_its_mailbox(web, user):
    link = status_link(user)
    answer = Client(web).get(link)
    assert answer.status == 200
    assert user.mailbox in answer.text
    facts = Client(web).get(link, headers={"Accept": "application/json"})
    assert facts.json["mailbox"] == user.mailbox


def test_forged_links_are_all_answered_alike(web, user):
    link = status_link(user)
    token = urllib.parse.parse_qs(link.split("?")[1])["t"][0]
    client = Client(web)
    nothing = client.get("/status")
    assert nothing.status == 403
    other = {"A": "B"}
    changed = [token[:at] + other.get(token[at], "A") + token[at + 1:]
               for at in range(0, len(token), 7)]
    forged = ["", "A", "A" * len(token), token[:-1], token[1:], token + "A", token.lower(),
              token[::-1], token + "=", "%20" + token, token + "%0A", "../" + token, *changed]
    for text in forged:
        if text != token:
            same_refusal(client, "/status?t=" + text, nothing)
    in_json = client.get("/status", headers={"Accept": "application/json"})
    assert (in_json.status, in_json.json["status"]) == (403, 403)
    assert user.mailbox not in in_json.text + nothing.text


def test_a_link_shows_no_other_mailbox(web, web_guard, sender_at):
    mine, theirs = sender_at(web_guard), sender_at(web_guard)
    decision = theirs.send(crowd(101), ip="192.0.2.77").json["decision"]
    token = urllib.parse.parse_qs(status_link(mine).split("?")[1])["t"][0]
    for more in (f"&d={decision}", f"&mailbox={theirs.mailbox}", f"&d={decision}x", "&d=%3Cscript"):
        for accept in ("text/html", "application/json"):
            answer = Client(web).get(f"/status?t={token}{more}", headers={"Accept": accept})
            assert answer.status == 200
            assert theirs.mailbox not in answer.text
            assert "192.0.2." not in answer.text
            if accept == "application/json":
                assert answer.json["message"] is None


def test_a_link_made_with_another_key(web, new_folder, sender_at):
    folder = new_folder()
    store = KINDS["sqlite"](folder)
    guard = Guard(folder, store).start()
    try:
        link = status_link(sender_at(guard))
        same_refusal(Client(web), link, Client(web).get("/status"))
    finally:
        guard.stop()


def test_a_link_ends(store, folder, start, sender_at):
    clock = Clock(folder)
    sender = sender_at(start(store, {"status": {"link_lifetime": "24h"}},
                             environment=clock.environment))
    web = Web(folder, store, environment=clock.environment).start()
    try:
        link = status_link(sender)
        client = Client(web)
        clock.advance(DAY - HOUR)
        assert client.get(link).status == 200
        clock.advance(2 * HOUR)
        same_refusal(client, link, client.get("/status"))
    finally:
        web.stop()


def test_only_the_link_locks_its_mailbox(web, user, robot):
    link = status_link(user)
    token = urllib.parse.parse_qs(link.split("?")[1])["t"][0]
    for forged in ("", token[:-2], "A" * len(token)):
        answer = Client(web).post_form("/status", {"t": forged, "action": "lock", "confirm": "1"})
        assert answer.status == 403
    assert Client(web).get(link + "&action=lock&confirm=1").status == 200
    assert state_of(robot, user.mailbox) == "ok"


# ---- forms ----------------------------------------------------------------------------------

def try_to_suspend(browser, mailbox, headers=None, **fields):
    return browser.post_form("/desk/actions", {"action": "suspend", "subject": mailbox, "note": "forged",
                                            "for": "1h", "confirm": "1", **fields}, headers)


def test_a_form_needs_the_token_of_its_session(web, robot):
    ada, sam, mailbox = web.desk("ada"), web.desk("sam"), new_mailbox()
    mine, foreign = ada.csrf, sam.csrf
    old = web.desk("ada").csrf
    assert len({mine, foreign, old}) == 3
    wrong = [{}, {"csrf": ""}, {"csrf": foreign}, {"csrf": old}, {"csrf": mine[:-1]},
             {"csrf": mine + "A"}, {"csrf": mine.swapcase()}, {"csrf": ada.cookie.split("=")[1]}]
    for fields in wrong:
        assert try_to_suspend(ada, mailbox, **fields).status == 403, fields
    in_url = ada.post_form(f"/desk/actions?csrf={mine}&csrf={mine}", {"action": "lift"})
    assert in_url.status == 400
    assert state_of(robot, mailbox) == "ok"
    assert try_to_suspend(ada, mailbox, csrf=mine).status == 303
    assert state_of(robot, mailbox) == "paused"


@pytest.mark.parametrize("origin", [
    "http://evil.test", "null", "https://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:1",
    "http://127.0.0.1:{port}.evil.test", "http://evil.test/http://127.0.0.1:{port}", "{port}", "",
    "http://sub.127.0.0.1:{port}",
])
def test_a_form_of_another_site_is_refused(web, robot, origin):
    ada, mailbox = web.desk("ada"), new_mailbox()
    headers = {"Origin": origin.format(port=web.port)}
    assert try_to_suspend(ada, mailbox, headers, csrf=ada.csrf).status == 403
    assert state_of(robot, mailbox) == "ok"
    stranger = Browser(web)
    assert stranger.sign_in("ada", headers=headers).status == 403
    assert stranger.cookie is None


def test_a_form_of_ours_names_our_origin(web):
    ada = web.desk("ada")
    for headers in ({"Origin": f"http://127.0.0.1:{web.port}"},
                    {"Origin": "https://mail.test", "Host": "mail.test"}):
        assert try_to_suspend(ada, new_mailbox(), headers, csrf=ada.csrf).status == 303


def test_a_get_changes_nothing(web, robot):
    ada, mailbox = web.desk("ada"), new_mailbox()
    query = urllib.parse.urlencode({"csrf": ada.csrf, "action": "suspend", "subject": mailbox,
                                    "note": "x", "confirm": "1"})
    ada.get("/desk/actions?" + query)
    ada.get("/desk/sign-out?" + query)
    assert state_of(robot, mailbox) == "ok"
    assert ada.get("/desk/").status == 200


def test_json_is_no_form(web, robot):
    """What a script of another site could send without being asked is no JSON for the API."""
    admin = Program(web, web.token("admin-robot", "admin"))
    mailbox = new_mailbox()
    for kind in ("text/plain", FORM, "multipart/form-data; boundary=x", None):
        headers = {} if kind is None else {"Content-Type": kind}
        body = f'{{"action":"suspend","subject":"{mailbox}","note":"x"}}'
        assert admin.request("POST", "/api/v1/actions", body, headers).status == 415, kind
    assert state_of(robot, mailbox) == "ok"


# ---- roles ------------------------------------------------------------------------------------

ACTIONS = [("suspend", {"for": "1h"}), ("lift", {}), ("reset", {}), ("extra", {"messages": "1"}),
        ("limit", {"rule": "messages_per_day", "value": "5"}), ("exempt", {}), ("note", {})]


@pytest.mark.parametrize("action, fields", ACTIONS)
def test_a_viewer_sees_and_does_nothing(web, robot, action, fields):
    vic, mailbox = web.desk("vic"), new_mailbox()
    assert vic.get("/desk/mailboxes/" + mailbox).status == 200
    assert vic.action(action, mailbox, **fields).status == 403
    assert robot.action(action, mailbox, **fields).status == 403
    audit = robot.get("/api/v1/audit?subject=" + mailbox).json
    assert audit["actions"] == []


@pytest.mark.parametrize("action, fields", [
    ("exempt", {}), ("limit", {"rule": "messages_per_day", "value": "off"}),
    ("limit", {"rule": "messages_per_day", "value": "100000"}), ("extra", {"messages": "100000"}),
])
def test_support_stays_within_its_caps(web, robot, action, fields):
    sam, mailbox = web.desk("sam"), new_mailbox()
    assert sam.action(action, mailbox, **fields).status in (200, 403)
    support = Program(web, web.token(f"helper-{action}-{len(str(fields))}", "support"))
    assert support.action(action, mailbox, **fields).status == 403
    assert robot.get("/api/v1/audit?subject=" + mailbox).json["actions"] == []


def test_a_changed_role_holds_at_once(web):
    web.hire({"max": "admin"})
    browser, mailbox = web.desk("max"), new_mailbox()
    assert browser.action("note", mailbox).status == 303
    web.shell("staff", "role", "max", "--role", "viewer", "--note", "x")
    assert browser.action("note", mailbox).status == 403
    web.shell("staff", "remove", "max", "--note", "x")
    assert browser.get("/desk/").status == 303


# ---- tokens and sessions ---------------------------------------------------------------------------

def test_a_revoked_token(web):
    program = Program(web, web.token("short", "viewer"))
    assert program.get("/api/v1/overview").status == 200
    web.shell("token", "remove", "short", "--note", "x")
    answer = program.get("/api/v1/overview")
    assert answer.status == 401
    assert answer.header("WWW-Authenticate").startswith("Bearer")


def test_a_token_is_taken_whole_or_not_at_all(web):
    token = web.token("exact", "viewer")
    prefix, name, secret = token.split(".")
    for wrong in (token[:-1], token + "A", secret, f"{prefix}.{name}.", f"{prefix}.robot.{secret}",
                  f"{prefix}..{secret}", token.swapcase(), "", " ", "A" * 5000):
        assert Program(web, wrong).get("/api/v1/overview").status == 401, wrong
    for scheme in ("Basic ", "", "Token ", "Bearer\t"):
        answer = Client(web, {"Authorization": scheme + token}).get("/api/v1/overview")
        assert answer.status == 401, scheme
    assert Client(web, {"Authorization": "bearer " + token}).get("/api/v1/overview").status == 200
    assert Client(web).get("/api/v1/overview?access_token=" + token).status == 401


def test_sessions_and_tokens_are_not_each_others(web):
    ada, token = web.desk("ada"), web.token("apart", "admin")
    assert ada.get("/api/v1/overview").status == 401
    assert Program(web, token).get("/desk/").status == 303
    as_cookie = Client(web, {"Cookie": "sendguard_session=" + token})
    assert as_cookie.get("/desk/").status == 303


def test_sign_out_ends_the_session(web):
    ada = web.desk("ada")
    other = web.desk("ada")
    cookie, csrf = ada.cookie, ada.csrf
    assert ada.post_form("/desk/sign-out", {"csrf": "wrong"}).status == 403
    assert ada.get("/desk/").status == 200
    answer = ada.post_form("/desk/sign-out", {"csrf": csrf})
    assert (answer.status, answer.header("Location")) == (303, f"{BASE}/desk/sign-in")
    assert "Max-Age=0" in answer.header("Set-Cookie")
    for thief in (Client(web, {"Cookie": cookie}), ada):
        assert thief.get("/desk/").status == 303
        assert thief.post_form("/desk/actions", {"csrf": csrf}).status == 303
        assert thief.post_form("/desk/actions", {"csrf": csrf, "action": "lift"}).status == 403
    assert other.get("/desk/").status == 200


def test_sessions_and_tokens_end_by_themselves(store, folder):
    clock = Clock(folder)
    web = Web(folder, store, environment=clock.environment).hire().start()
    try:
        ada = web.desk("ada")
        program = Program(web, web.token("quarter", "viewer"))  # of 90 days
        clock.advance(8 * HOUR - 120_000)
        assert ada.get("/desk/").status == 200
        clock.advance(240_000)
        assert ada.get("/desk/").status == 303
        assert program.get("/api/v1/overview").status == 200
        clock.advance(90 * DAY)
        assert program.get("/api/v1/overview").status == 401
    finally:
        web.stop()


# ---- words of other people ---------------------------------------------------------------------------

SCRIPT = '<script>alert("4711")</script>\'"><img src=x onerror=alert(4711)>{{{csrf}}}{{base}}'


def must_be_escaped(answer, shown=True):
    assert answer.status < 400, answer
    text = answer.text
    assert "<script>alert" not in text and "<img src=x" not in text
    assert not re.search(r"<[^>]*\sonerror=", text)
    if shown:
        assert SCRIPT in html.unescape(text), text


def test_scripts_in_notes_and_names(web):
    ada, mailbox = web.desk("ada"), new_mailbox()
    for action, fields in (("note", {}), ("suspend", {"for": "1h", "cause": "terms"}),
                        ("limit", {"rule": "messages_per_day", "value": "5"})):
        answer = ada.action(action, mailbox, **{**fields, "note": SCRIPT})
        assert answer.status == 303, answer
    for path in (f"/desk/mailboxes/{mailbox}", "/desk/audit", f"/desk/audit?subject={mailbox}"):
        must_be_escaped(ada.get(path))
    must_be_escaped(ada.get("/desk/suspended"), shown=False)
    must_be_escaped(ada.get("/desk/"), shown=False)


def test_scripts_in_what_was_typed(web):
    ada = web.desk("ada")
    csrf = ada.csrf
    quoted = urllib.parse.quote(SCRIPT)
    must_be_escaped(ada.get("/desk/search?q=" + quoted))
    for fields in ({"subject": SCRIPT, "note": "x"},
                   {"subject": "a@example.test", "note": SCRIPT},
                   {"subject": "a@example.test", "note": "x", "for": SCRIPT},
                   {"subject": "a@example.test", "note": "x", "cause": SCRIPT}):
        answer = ada.post_form("/desk/actions", {"csrf": csrf, "action": "suspend", **fields})
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    answer = ada.post_form("/desk/simulate", {"csrf": csrf, "mailbox": SCRIPT, "to": SCRIPT,
                                              "channel": "webmail"})
    assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    for path in ("/desk/mailboxes/", "/desk/domains/", "/desk/ips/", "/desk/decisions/",
                 "/desk/audit?subject=", "/desk/mailboxes/a@example.test?done=",
                 "/desk/sign-in?next=/desk/", "/status?t=", "/", "/status?a=1&",
                 "/desk/mailboxes/a@example.test?before=", "/desk/suspended?after="):
        answer = ada.get(path + quoted)
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text, path


def test_scripts_in_addresses(web, web_guard):
    """A quoted local part may hold nearly anything."""
    ada = web.desk("ada")
    mailbox = '"<script>alert(4711)</script>"@example.test'
    with Endpoint(web_guard) as endpoint:
        sender = Sender(endpoint, mailbox, new_ip())
        answer = sender.send(['"<img src=x onerror=alert(1)>" <"<script>alert(1)</script>"@x.test>',
                              *crowd(100)])
        assert answer.status == 422, answer
        page = Client(web).get(status_path(answer))
        decision = answer.json["decision"]
    assert page.status == 200
    must_be_escaped(page, shown=False)
    assert mailbox in html.unescape(page.text)
    for path in ("/desk/mailboxes/" + urllib.parse.quote(mailbox, safe=""),
                 "/desk/decisions", "/desk/decisions/" + decision):
        must_be_escaped(ada.get(path), shown=False)


# ---- words that would be headers -----------------------------------------------------------------------

@pytest.mark.parametrize("text", [
    "a\r\nSet-Cookie: evil=1", "a\nX-Evil: 1", "\r\n\r\n<html>", "a\x00b", "a\x1bb", "\u2028", "a\x7f",
])
def test_nothing_typed_becomes_a_header(web, text):
    ada = web.desk("ada")
    quoted = urllib.parse.quote(text)
    paths = ["/desk/search?q=" + quoted, "/desk/sign-in?next=/desk/" + quoted, "/" + quoted,
             "/desk/mailboxes/" + quoted, "/status?tz=" + quoted, "/desk/" + quoted]
    answers = [ada.get(path) for path in paths]
    answers += [Client(web).get(path) for path in paths]
    answers.append(Browser(web).sign_in("ada", next="/desk/" + text))
    for answer in answers:
        names = [name.lower() for name, _ in answer.headers]
        assert "x-evil" not in names
        assert not any("evil" in value for name, value in answer.headers
                       if name.lower() == "set-cookie")
        assert not any("\n" in value or "\r" in value for _, value in answer.headers)


@pytest.mark.parametrize("next_path", [
    "https://evil.test/", "//evil.test/", "/\\evil.test", "evil.test", "javascript:alert(1)",
    "/desk", "/status", "/desk/sign-out", "/desk/sign-in", "\\\\evil.test", "/desk/../../evil",
    "/desk//evil.test", "/desk/\\evil.test", "/desk/@evil.test", "/desk/?u=//evil.test",
    "/desk/" + "a" * 3000, "",
    "/desk/x/%2e%2e/%2E./?_task=logout", "/desk/.%2e/x", "/desk/x/..\\..\\..", "/desk/./../..", "/desk/mailboxes/a%40b.test?before=x",
])
def test_signing_in_leads_to_the_desk_and_nowhere_else(web, next_path):
    browser = Browser(web)
    location = browser.sign_in("ada", next=next_path).header("Location")
    base = f"http://127.0.0.1:{web.port}"
    target = urllib.parse.urlsplit(urllib.parse.urljoin(f"{base}{BASE}/desk/sign-in", location))
    assert f"{target.scheme}://{target.netloc}" == base
    assert target.path.startswith(f"{BASE}/desk/")
    assert not re.search(r"/(\.|%2e)", location, re.I)
    if next_path.endswith("before=x"):
        assert location == BASE + next_path


def test_an_answer_is_never_another_persons(web):
    """Nothing of a session stays behind in the server: strangers in between see no trace."""
    ada = web.desk("ada")
    stranger = Client(web)
    for _ in range(20):
        token = csrf_of(ada.get("/desk/audit"))
        for path in ("/desk/sign-in", "/nowhere", "/status"):
            page = stranger.get(path).text
            assert token not in page and "ada" not in page
