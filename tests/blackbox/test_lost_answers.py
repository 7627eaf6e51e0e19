"""What became of a message, when the webmail and the mail server lose each other: a real
Roundcube, a real Postfix, and between them a proxy that loses answers."""

import contextlib
import re
import select
import socket
import threading

import pytest

from postfix import MailProgram, Stack
from programs import RedisServer
from test_postfix import admit_only

SETTINGS = ("domains.own_domains=example.test", "limits.webmail.messages_per_day=5",
            "limits.smtp.messages_per_day=5")
# Without the policy service's knowledge of the webmail there are no tickets: the plugin alone.
ALONE = ("mta.webmail_hosts=none", "mta.exempt_networks=127.0.0.2")


class LossyProxy:
    """Passes on what both sides say until `lose` (a pattern of what the webmail said) was said;
    then reads the mail server's answer, and hangs up or says something else in its place."""

    def __init__(self, stack):
        self.target = ("127.0.0.1", stack.port("smtp"))
        self.source = (stack.env["webmail_host"], 0)
        self.lose, self.instead = None, b""
        self.answers = []  # what was lost
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(self.target, 20, self.source) as server:
            said = b""
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is server:
                        client.sendall(data)
                        continue
                    said += data
                    server.sendall(data)
                    if self.lose is not None and re.search(self.lose, said):
                        self.answers.append(server.recv(65536))
                        client.sendall(self.instead)
                        return


DOT = rb"\r\n\.\r\n$"


@pytest.fixture(scope="module")
def stack():
    stack = Stack(*SETTINGS)
    yield stack
    stack.down()


@pytest.fixture(scope="module")
def the_proxy(stack):
    proxy = LossyProxy(stack)
    path = stack.folder / "rc/config/config.inc.php"
    text, count = re.subn(r"'smtp_host' => '[^']*'", f"'smtp_host' => '127.0.0.1:{proxy.port}'",
                          path.read_text())
    assert count == 1
    path.write_text(text)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(the_proxy):
    the_proxy.lose, the_proxy.instead, the_proxy.answers = None, b"", []
    return the_proxy


@pytest.fixture(scope="module")
def redis(stack):
    """A server that the endpoint, which runs as somebody else, can reach."""
    folder = stack.folder / "redis"
    folder.mkdir(mode=0o755)
    server = RedisServer(folder)
    server.start()
    server.socket_path.chmod(0o777)
    yield f"store.url=redis+unix://{server.socket_path}"
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def store(request, stack):
    if request.param == "redis":
        stack.settings(*SETTINGS, request.getfixturevalue("redis"))
    yield request.param
    if request.param == "redis":
        stack.settings()


@pytest.fixture
def webmail(stack, proxy):
    with stack.roundcube(stack.new_mailbox(), "127.0.0.61") as webmail:
        yield webmail


def send_six_and_lose_the_answers(stack, proxy, webmail):
    """Postfix has the message, the webmail does not know: five are sent, five are counted."""
    proxy.lose = DOT
    for number in range(5):
        said = webmail.send(to="bob@example.test", subject=f"{webmail.mailbox} {number}")
        assert said is not True and "plugin.sendguard_refused" not in said, said
        assert len(proxy.answers) == number + 1 and proxy.answers[-1].startswith(b"250 2.0.0 Ok")
        assert stack.used(webmail.mailbox) == number + 1
    assert "plugin.sendguard_refused" in webmail.send(to="bob@example.test")
    assert len(proxy.answers) == 5, "the sixth did not reach the mail server"
    assert stack.used(webmail.mailbox) == 5
    for number in range(5):
        stack.delivered("bob@example.test", f"{webmail.mailbox} {number}")


def test_the_answer_after_the_final_dot_is_lost(stack, proxy, store, webmail):
    send_six_and_lose_the_answers(stack, proxy, webmail)


def test_a_redeemed_charge_stays_whoever_asks(stack, proxy, store, webmail):
    """Seen as a whole by the policy service, and then refused: by code, but the charge stays."""
    proxy.lose, proxy.instead = DOT, b"554 5.7.1 a milter says no\r\n"
    assert webmail.send(to="bob@example.test") is not True
    assert stack.used(webmail.mailbox) == 1
    # Its place cannot be had by another message with a ticket that a refund left behind.
    admit_only(stack, webmail.mailbox, ["bob@example.test"])
    with MailProgram(stack, webmail.mailbox, address=stack.env["webmail_host"]) as again:
        again.send(["bob@example.test"])
        assert stack.used(webmail.mailbox) == 2
        again.send(["bob@example.test"])
    assert stack.used(webmail.mailbox) == 3


# ---- the plugin alone: no ticket says whether the mail server has had the message


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def alone(request, stack):
    url = [request.getfixturevalue("redis")] if request.param == "redis" else []
    stack.settings(*SETTINGS, *ALONE, *url)
    yield
    stack.settings()


def test_alone_the_answer_after_the_final_dot_is_lost(stack, proxy, alone, webmail):
    send_six_and_lose_the_answers(stack, proxy, webmail)


def test_alone_what_is_no_answer_is_no_refusal(stack, proxy, alone, webmail):
    proxy.lose = DOT
    for number, instead in enumerate((b"what?\r\n", b"354 go on\r\n", b"-554\r\n", b"999 what\r\n")):
        proxy.instead = instead
        assert webmail.send(to="bob@example.test") is not True
        assert proxy.answers[-1].startswith(b"250 2.0.0 Ok")
        assert stack.used(webmail.mailbox) == number + 1, instead


def test_alone_a_connection_that_breaks_within_the_message_says_nothing(stack, proxy, alone, webmail):
    for number, stage in enumerate((b"MAIL FROM", b"RCPT TO", b"DATA")):
        proxy.lose = rb"(?m)^" + stage + rb".*\r\n\Z"
        assert webmail.send(to="bob@example.test") is not True
        assert len(proxy.answers) == number + 1
        assert stack.used(webmail.mailbox) == number + 1, stage


def test_alone_what_the_mail_server_refuses_with_a_code_is_refunded(stack, proxy, alone, webmail):
    for stage, instead in ((b"MAIL FROM", b"451 4.3.0 not now\r\n"), (b"MAIL FROM", b"550 no\r\n"),
                           (b"RCPT TO", b"450 4.2.0 greylisted\r\n"), (b"DATA", b"554 5.5.1 no\r\n")):
        proxy.lose, proxy.instead = rb"(?m)^" + stage + rb".*\r\n\Z", instead
        assert webmail.send(to="bob@example.test") is not True
        assert stack.used(webmail.mailbox) == 0, stage
    proxy.lose, proxy.instead = DOT, b"421 4.3.0 a full disk\r\n"
    assert webmail.send(to="bob@example.test") is not True
    assert stack.used(webmail.mailbox) == 0


def test_alone_what_was_never_offered_to_the_mail_server_is_refunded(stack, proxy, alone, webmail):
    for stage, instead in ((b"EHLO", b""), (b"AUTH", b"535 5.7.8 no\r\n"), (b"AUTH", b"")):
        proxy.lose, proxy.instead = rb"(?m)^" + stage + rb".*\r\n\Z", instead
        assert webmail.send(to="bob@example.test") is not True
        assert stack.used(webmail.mailbox) == 0, stage


def test_alone_some_recipients_refused(stack, proxy, alone, webmail):
    """Roundcube gives up at the first: the message has left to none of them."""
    assert webmail.send(to="bob@example.test, nobody@example.test") is not True
    assert stack.used(webmail.mailbox) == 0
    assert webmail.send(to="bob@example.test") is True
    assert stack.used(webmail.mailbox) == 1
