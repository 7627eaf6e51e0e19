"""A user of Roundcube changes the password there, by its plugin password: what the guard makes of it."""

import json
import urllib.error
import urllib.request

import pytest

from postfix import Stack

REOPENS = "lock.reopen_by_webmail=yes"
NEW = "another-secret-7"


@pytest.fixture(scope="module")
def stack():
    stack = Stack()
    yield stack
    stack.down()


@pytest.fixture
def mailbox(stack):
    return stack.new_mailbox()


def change(stack, mailbox):
    """Signs in, and changes the password."""
    with stack.roundcube(mailbox, "127.0.0.1") as user:
        answer = user.post("/?_task=settings&_action=plugin.password-save", _token=user.token,
                           _curpasswd="secret", _newpasswd=NEW, _confpasswd=NEW)
        assert f"{mailbox}:{{PLAIN}}{NEW}:" in (stack.folder / "dovecot/passwd").read_text(), answer.text
    errors = stack.folder / "rc/logs/errors.log"
    assert not errors.exists() or "changed password" not in errors.read_text()


def lock(stack, mailbox, scope="sending"):
    stack.told("lock", mailbox, "--scope", scope, "--note", "spam from abroad")


def is_suspended(stack, mailbox):
    return any(one["mailbox"] == mailbox for one in stack.sendguard("suspended")["suspended"])


def notices(stack, mailbox):
    """What staff read of changes in the webmail."""
    return [(one["by"], one["note"], one["detail"]["phase"]) for one in stack.sendguard("audit", mailbox)["actions"]
            if one["action"] == "password_changed"]


def notice(phase):
    return [("user", "The user changed the password in the webmail.", phase)]


def test_staff_see_it_and_the_lock_stays(stack, mailbox):
    lock(stack, mailbox)
    change(stack, mailbox)
    assert is_suspended(stack, mailbox) and notices(stack, mailbox) == notice("locked")


def test_nothing_is_locked(stack, mailbox):
    change(stack, mailbox)
    assert notices(stack, mailbox) == []


def exchange(request):
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ask(stack, query, mailbox):
    """A trusted caller's question: the status link in its answer."""
    body = json.dumps({"mailbox": mailbox, "from": mailbox, "to": [mailbox]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port('submissions')}/sendguard/submissions?{query}", body,
        {"Content-Type": "application/json"})
    return json.loads(exchange(request)[1])["status_url"]


def tell(stack, link):
    """The status at which the web interface takes a change over by this link."""
    url = f"http://127.0.0.1:{stack.port('status')}/status?{link.split('?')[1]}"
    request = urllib.request.Request(url, b'{"action": "password_changed"}',
                                     {"Content-Type": "application/json", "Accept": "application/json"})
    return exchange(request)[0]


def test_a_user_cannot_say_so(stack, mailbox):
    """By the link that the webmail shows to its user."""
    lock(stack, mailbox)
    assert tell(stack, ask(stack, "dry_run=1", mailbox)) == 400
    assert notices(stack, mailbox) == []
    assert tell(stack, ask(stack, "dry_run=1&password_changed=1", mailbox)) == 200
    assert notices(stack, mailbox) == notice("locked")


def test_it_opens_where_the_operator_says_so(stack):
    """But no mailbox that nobody may sign in to, or that is closed, though the webmail says so."""
    stack.settings(REOPENS)
    try:
        sending, login, closed = (stack.new_mailbox() for _ in range(3))
        lock(stack, sending)
        change(stack, sending)
        assert not is_suspended(stack, sending) and notices(stack, sending) == notice("reopened")
        lock(stack, login, "login")
        stack.told("close", closed, "--note", "twice")
        for mailbox, phase in ((login, "locked"), (closed, "closed")):
            assert tell(stack, ask(stack, "dry_run=1&password_changed=1", mailbox)) == 200
            assert is_suspended(stack, mailbox) and notices(stack, mailbox) == notice(phase)
    finally:
        stack.settings()
