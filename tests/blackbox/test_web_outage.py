"""The web interface while the store hangs: it says so soon, and never claims what it cannot know."""

import concurrent.futures
import time
import urllib.parse

import pytest

from endpoint import new_mailbox
from programs import Guard
from web import Browser, Client, Program, Web, status_link

AT_ONCE = 48
PATIENCE_S = 40  # what is asked below would take two minutes, one after the other

pytestmark = pytest.mark.sanitized


@pytest.fixture
def open_web(folder, sender_at):
    """open_web(store): the web interface that waits a second for it, and a user's status link."""
    running = []

    def open_it(store):
        guard = Guard(folder, store).start()
        running.append(guard)
        web = Web(folder, store, {"store": {"timeout": "1s"}}).hire().start()
        running.append(web)
        return web, status_link(sender_at(guard))

    yield open_it
    for program in reversed(running):
        program.stop()


def timed(ask):
    began = time.monotonic()
    status = ask().status
    return time.monotonic() - began, status


def test_a_hanging_store_holds_nobody_up(redis_store, open_web):
    web, link = open_web(redis_store)
    ada, stranger = web.desk("ada"), Client(web)
    asks = [lambda: stranger.get(link), lambda: ada.get("/desk/"),
            lambda: stranger.get("/assets/style.css"), lambda: Browser(web).sign_in("ada")]
    redis_store.silence()
    try:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as people:
            answers = list(people.map(timed, asks * AT_ONCE))
    finally:
        redis_store.speak()
    assert {status for _, status in answers[2::4]} == {200}
    assert {status for number, (_, status) in enumerate(answers) if number % 4 != 2} == {503}
    assert max(seconds for seconds, _ in answers) < PATIENCE_S, sorted(answers)[-5:]
    assert stranger.get(link).status == 200
    assert ada.get("/desk/").status == 200
    web.log.wait("store answers again")


def test_what_may_have_been_done_is_said(sqlite_store, open_web):
    """The store can be read, but for a while nothing is written."""
    web, link = open_web(sqlite_store)
    ada, robot = web.desk("ada"), Program(web, web.token("robot", "admin"))
    csrf, mailbox = ada.csrf, new_mailbox()
    token = urllib.parse.parse_qs(link.split("?")[1])["t"][0]
    action = {"csrf": csrf, "action": "note", "subject": mailbox, "note": "x"}
    sqlite_store.silence()
    try:
        unknown = [Client(web).post_form("/status", {"t": token, "action": "lock"}),
                   ada.post_form("/desk/actions", {**action, "confirm": "1"}),
                   ada.post_form("/desk/sign-out", {"csrf": csrf}),
                   robot.action("note", mailbox)]
        preview = ada.post_form("/desk/actions", action)
        signing_in = Browser(web).sign_in("ada")
    finally:
        sqlite_store.speak()
    for answer in unknown:
        assert (answer.status, answer.header("Retry-After")) == (503, "10"), answer
        assert "It is not known whether this was done" in answer.text, answer
    assert unknown[2].header("Set-Cookie") is None  # the session may be there still
    assert preview.status == 200
    assert signing_in.status == 503
    assert "nothing was changed" in signing_in.text
