"""Signing in to the desk: the cookie, and what guessing brings."""

import re
import subprocess
import threading
import urllib.parse

import pytest

from endpoint import new_ip
from programs import PATIENCE
from stores import SqliteStore
from web import BASE, PASSWORD, SHELL, Browser, Client, Web

pytestmark = pytest.mark.sanitized

WRONG = "wrong horse battery"
WAIT_S = 30


def from_address(address):
    return {"X-Forwarded-For": address}


def guess(web, name, address, times=1, password=WRONG):
    """Statuses of so many tries."""
    return [Browser(web).sign_in(name, password, from_address(address)).status
            for _ in range(times)]


@pytest.fixture
def account(web):
    """A name that nobody else tries."""
    name = "p" + new_ip().replace(".", "-")
    web.hire({name: "viewer"})
    return name


def test_the_cookie_is_for_the_desk_alone(web):
    browser = Browser(web)
    cookie = browser.sign_in("vic").header("Set-Cookie")
    parts = cookie.split("; ")
    assert parts[0].startswith("sendguard_session=")
    assert len(parts[0].split("=")[1]) >= 43
    assert set(parts[1:]) == {f"Path={BASE}/desk", "Max-Age=28800", "HttpOnly", "SameSite=Strict"}
    again = Browser(web)
    again.sign_in("vic")
    assert again.cookie != browser.cookie


def test_signing_in_ends_the_session_before(web):
    """Who brought that cookie into the browser cannot go on with it."""
    planted = web.desk("vic").cookie
    browser = Browser(web)
    browser.cookie = planted
    assert browser.sign_in("ada").status == 303
    assert browser.cookie != planted
    assert browser.get("/desk/").status == 200
    assert Client(web, {"Cookie": planted}).get("/desk/").status == 303


def test_the_cookie_is_secure_behind_https(folder):
    web = Web(folder, SqliteStore(folder), {"web": {"base_url": "https://mail.test/s"}})
    web.hire({"ada": "admin"}).start()
    try:
        answer = Client(web).post_form("/desk/sign-in", {"name": "ada", "password": PASSWORD},
                                       {"Origin": "https://mail.test"}, base="/s")
        assert answer.status == 303, answer
        assert answer.header("Location") == "/s/desk/"
        assert answer.header("Set-Cookie").endswith("; SameSite=Strict; Secure")
        assert "; Path=/s/desk; " in answer.header("Set-Cookie")
        answer = Client(web).post_form("/desk/sign-in", {"name": "ada", "password": PASSWORD},
                                       {"Origin": "http://mail.test", "Host": "mail.test"},
                                       base="/s")
        assert answer.status == 403, answer
    finally:
        web.stop()


def test_who_is_not_signed_in_comes_back_to_where_he_was(web):
    browser = Browser(web)
    answer = browser.get("/desk/mailboxes/a%2Fb@example.test")
    assert answer.status == 303
    location = answer.header("Location")
    assert location.startswith(f"{BASE}/desk/sign-in?next=")
    next_path = urllib.parse.parse_qs(location.split("?")[1])["next"][0]
    assert urllib.parse.unquote(next_path) == "/desk/mailboxes/a/b@example.test"
    page = browser.get(location.removeprefix(BASE))
    assert page.status == 200 and 'name="next"' in page.text
    answer = browser.sign_in("vic", next=next_path)
    assert answer.header("Location") == BASE + next_path
    assert browser.get(next_path).status == 200


def test_wrong_names_and_wrong_passwords_are_answered_alike(web, account):
    address = new_ip()
    answers = [Browser(web).sign_in(name, password, from_address(address))
               for name, password in ((account, WRONG), ("nobody-here", WRONG), (account, ""),
                                      ("", ""), ("x" * 5000, WRONG), (account.upper(), WRONG))]
    assert {answer.status for answer in answers} == {403}
    assert len({answer.body for answer in answers}) == 1
    assert all(answer.header("Set-Cookie") is None for answer in answers)
    assert Client(web).post_form("/desk/sign-in", {}, from_address(address)).status == 403


def test_a_stranger_keeps_nobody_out(web, account):
    """Failures elsewhere, of this name and of others, do not concern where its owner signed in."""
    mine, foreign = from_address(new_ip()), new_ip()
    assert Browser(web).sign_in(account, headers=mine).status == 303
    assert guess(web, account, foreign, times=10) == [403] * 10
    answer = Browser(web).sign_in(account, headers=from_address(foreign))
    assert answer.status == 429
    assert 0 < int(answer.header("Retry-After")) <= WAIT_S
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "<time datetime=" in answer.text
    assert [guess(web, f"name{number}", mine["X-Forwarded-For"])[0] for number in range(10)] \
        == [403] * 10
    assert Browser(web).sign_in(account, headers=mine).status == 303
    assert Browser(web).sign_in(account, headers=from_address(new_ip())).status == 303


def test_a_browser_that_signed_in_is_known_everywhere(web, account):
    """Who guesses in the very same network, and from many others, does not keep it out."""
    mine = new_ip()
    form = Client(web).get("/desk/sign-in")
    parts = form.header("Set-Cookie").split("; ")
    assert set(parts[1:]) == {f"Path={BASE}/desk/sign-in", "Max-Age=2592000", "HttpOnly",
                              "SameSite=Lax"}
    cookie = {"Cookie": parts[0]}
    assert Client(web).get("/desk/sign-in").header("Set-Cookie") != form.header("Set-Cookie")
    assert Client(web, cookie).get("/desk/sign-in").header("Set-Cookie").startswith(parts[0])
    for bad in ("x", "x" * 44):
        other = Client(web, {"Cookie": f"sendguard_browser={bad}"}).get("/desk/sign-in")
        assert len(other.header("Set-Cookie").split(";")[0]) == len(parts[0])

    def sign_in(address, headers):
        return Client(web, headers).post_form("/desk/sign-in", {
            "name": account, "password": PASSWORD}, from_address(address)).status

    assert sign_in(mine, cookie) == 303
    assert guess(web, account, mine, times=10) == [403] * 10
    assert sign_in(mine, {}) == 429
    assert sign_in(mine, cookie) == 303
    elsewhere = [guess(web, account, new_ip())[0] for _ in range(101)]
    assert elsewhere == [403] * 99 + [429] * 2  # the first sign-in was a try from a new network too
    assert sign_in(new_ip(), {}) == 429
    assert sign_in(new_ip(), cookie) == 303


def test_ten_failures_from_a_network_slow_down_every_name(web, account):
    address = new_ip()
    assert [guess(web, f"name{number}", address)[0] for number in range(10)] == [403] * 10
    assert Browser(web).sign_in(account, headers=from_address(address)).status == 429
    assert Browser(web).sign_in(account, headers=from_address(new_ip())).status == 303


def test_the_log_says_whose_name_is_slowed_down(web, account):
    address, spraying = new_ip(), new_ip()
    guess(web, account, address, times=11)
    for number in range(11):
        guess(web, f"secret{number}\n<x>", spraying)
    slowed = "too many failed sign-ins: slowed down for an hour"
    for own in address, spraying:  # other tests have lines like these
        web.log.wait(f"^(?=.*{slowed}).*{re.escape(own)}")
    assert len([line for line in web.log.matching(slowed)
                if f"name={account}" in line and address in line]) == 1
    assert len([line for line in web.log.matching(slowed)
                if spraying in line and "name=" not in line]) == 1
    assert not web.log.matching("secret")


@pytest.mark.parametrize("words,text", [(("staff", "unlock"), ""),
                                        (("staff", "password"), PASSWORD + "\n")])
def test_what_ends_the_wait(web, account, words, text):
    """At once in the running program; and it stands in the audit log."""
    address = new_ip()
    assert guess(web, account, address, times=11) == [403] * 10 + [429]
    web.shell(*words, account, "--note", "called by phone", text=text)
    assert Browser(web).sign_in(account, headers=from_address(address)).status == 303
    assert "called by phone" in web.shell("audit", account)


def test_an_unlocked_network_stays_open(web, account):
    """Who guesses on takes the wait-free tries of everybody else."""
    guess(web, account, new_ip(), times=1)
    web.shell("staff", "unlock", account, "--ip", "2001:db8:99:1::7", "--note", "new at home")
    assert '"network":"2001:db8:99:1::' in web.shell("audit", account, "--json").replace(" ", "")
    address = "2001:db8:99:1::8"
    assert guess(web, "nobody-here", address, times=11) == [403] * 10 + [429]
    assert Browser(web).sign_in(account, headers=from_address(address)).status == 303


def test_unlock_says_what_is_wrong(web):
    for name, status, said in (("nobody-here", 1, "there is no account nobody-here"),
                               ("N x", 64, "name: expected 1 to")):
        done = subprocess.run([str(SHELL), "-c", str(web.config_path), "staff", "unlock", name,
                               "--note", "x"], text=True, capture_output=True, timeout=PATIENCE)
        assert done.returncode == status and said in done.stderr, done


def test_behind_the_proxy_only_its_own_word_counts(web, account):
    """A guesser who sends X-Forwarded-For himself changes what stands before the last entry."""
    address = new_ip()
    statuses = [guess(web, f"other{number}", f"{new_ip()}, {address}")[0] for number in range(10)]
    assert statuses == [403] * 10
    assert guess(web, "one-more", f"{new_ip()}, {address}") == [429]
    assert Browser(web).sign_in(account, headers=from_address(f"{address}, {new_ip()}")).status == 303


def test_addresses_of_one_network_are_one(web):
    statuses = [guess(web, f"six{number}", f"2001:db8:77:1::{number:x}")[0]
                for number in range(1, 11)]
    assert statuses == [403] * 10
    assert guess(web, "six", "2001:db8:77:1:ffff::1") == [429]
    assert guess(web, "six", "2001:db8:77:2::1") == [403]


def test_without_a_trusted_proxy_the_header_is_nobodys_word(folder):
    web = Web(folder, SqliteStore(folder), {"web": {"trusted_proxies": "192.0.2.1"}})
    web.hire({"ada": "admin"}).start()
    try:
        assert [guess(web, f"n{number}", new_ip())[0] for number in range(10)] == [403] * 10
        assert Browser(web).sign_in("ada", headers=from_address(new_ip())).status == 429
    finally:
        web.stop()


def test_parallel_guesses_gain_nothing(web, account):
    statuses, address = [], new_ip()

    def try_many():
        for _ in range(5):
            statuses.extend(guess(web, account, address))

    threads = [threading.Thread(target=try_many) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(statuses) == 60
    assert set(statuses) <= {403, 429, 503}  # 503: too many at the same moment
    assert statuses.count(403) <= 10
    guess(web, account, address, times=10)
    assert Browser(web).sign_in(account, headers=from_address(address)).status == 429


def test_the_store_away_is_no_wrong_password(store, folder):
    own = Web(folder, store).hire({"ada": "admin"}).start()
    try:
        ada = own.desk("ada")
        store.take_away()
        try:
            answer = Browser(own).sign_in("ada")
            assert answer.status == 503, answer
            assert answer.header("Retry-After")
            assert ada.get("/desk/").status == 503
            assert Client(own).get("/readyz").status == 503
            assert Client(own).get("/healthz").status == 200
            assert Client(own).get("/desk/sign-in").status == 200
        finally:
            store.bring_back()
        assert ada.get("/desk/").status == 200
        own.log.wait("store answers again")
        assert len(own.log.matching("store does not answer")) == 1
    finally:
        own.stop()
