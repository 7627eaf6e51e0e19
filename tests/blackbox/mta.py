"""The policy service, and Postfix as it sees it: questions in the policy protocol, answers."""

import itertools
import socket

import pytest

from endpoint import Endpoint, Sender, new_ip, new_mailbox
from programs import BUILD, PATIENCE, Guard, connect_to_file

PROGRAM = BUILD / "sendguard-mta"
DUNNO = "DUNNO"
_transactions = itertools.count(1)


class Mta(Guard):
    """sendguard-mta with a socket file. Shares folder, store and secret with a Guard there."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, **more):
        super().__init__(folder, store, **more)
        self.config_path = self.folder / "mta.conf"
        self.listen = self.folder / "mta.sock"
        self.configure({"mta": {"listen": self.listen}})
        self.configure(settings or {})

    def connect(self, timeout=PATIENCE):
        where = str(self.settings["mta"]["listen"])
        if where.startswith("/"):
            return connect_to_file(where, timeout)
        host, _, port = where.rpartition(":")
        return socket.create_connection((host, int(port)), timeout)


def encode(**attributes):
    """One question, without those attributes that are None."""
    return "".join(f"{name}={value}\n" for name, value in attributes.items()
                   if value is not None).encode() + b"\n"


def question(state, **more):
    """All that Postfix sends, in its order."""
    attributes = {
        "request": "smtpd_access_policy", "protocol_state": state, "protocol_name": "ESMTP",
        "client_address": "192.0.2.7", "client_name": "unknown", "client_port": 55994,
        "reverse_client_name": "unknown", "server_address": "127.0.0.1", "server_port": 587,
        "helo_name": "[192.0.2.7]", "sender": "", "recipient": "", "recipient_count": 0,
        "queue_id": "", "instance": "", "size": 1234, "etrn_domain": "", "stress": "",
        "sasl_method": "PLAIN", "sasl_username": "", "sasl_sender": "", "ccert_subject": "",
        "ccert_issuer": "", "ccert_fingerprint": "", "ccert_pubkey_fingerprint": "",
        "encryption_protocol": "", "encryption_cipher": "", "encryption_keysize": 0,
        "policy_context": "",
    }
    attributes.update(more)
    return encode(**attributes)


class Closed(Exception):
    """The service closed the connection instead of an answer."""


class Connection:
    """A kept connection, as each process of Postfix has one."""

    def __init__(self, mta, timeout=PATIENCE):
        self.link, self.received = mta.connect(timeout), b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.link.close()

    def send(self, data):
        self.link.sendall(data)

    def answer(self):
        """The next answer's action, without its frame."""
        while b"\n\n" not in self.received:
            try:
                more = self.link.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(self.received)
            self.received += more
        answer, _, self.received = self.received.partition(b"\n\n")
        assert len(answer) + 2 <= 512 and answer.isascii() and b"\n" not in answer, answer
        assert answer.startswith(b"action="), answer
        return answer.decode()[len("action="):]

    def ask(self, state, **more):
        self.send(question(state, **more))
        return self.answer()

    def closed(self):
        """Whether the service closes, and says nothing before it does."""
        try:
            return self.link.recv(1) == b""
        except ConnectionResetError:
            return True


class User:
    """Sends by SMTP as one mailbox from one address."""

    def __init__(self, mta, mailbox=None, ip=None):
        self.mta = mta
        self.mailbox, self.ip = mailbox or new_mailbox(), ip or new_ip()
        self.connection = Connection(mta)

    def close(self):
        self.connection.close()

    def members(self, **more):
        return {"sender": self.mailbox, "sasl_username": self.mailbox,
                "client_address": self.ip, **more}

    def transaction(self):
        number = next(_transactions)
        return {"instance": f"186d.6b02636e.{number:x}.0", "queue_id": f"4jX{number:x}"}

    def end(self, count, **more):
        """One message of which only the number of recipients is told."""
        return self.connection.ask("END-OF-MESSAGE", **self.members(
            recipient_count=count, **{**self.transaction(), **more}))

    def send(self, recipients, states=("END-OF-MESSAGE",), **more):
        """One message, its recipients named; the last answer."""
        transaction = self.transaction()
        for number, recipient in enumerate(recipients):
            queue_id = transaction["queue_id"] if number > 0 else ""
            assert DUNNO == self.connection.ask("RCPT", **self.members(
                recipient=recipient, instance=transaction["instance"], queue_id=queue_id))
        for state in states:
            answer = self.connection.ask(state, **self.members(
                recipient=recipients[0] if len(recipients) == 1 else "",
                recipient_count=len(recipients), **transaction, **more))
        return answer


@pytest.fixture
def start_mta(folder):
    """start_mta(store, settings, …) runs a policy service until the end of the test, which then has to end
    cleanly."""
    services = []

    def start(store, settings=None, **more):
        mta = Mta(folder, store, settings, **more)
        services.append(mta)
        return mta.start()

    yield start
    for mta in services:
        mta.stop()


@pytest.fixture
def both(store, start, start_mta):
    """The policy service and the webmail endpoint over one store, with given settings."""
    links = []

    def start_both(settings=None, **more):
        guard, mta = start(store, settings, **more), start_mta(store, settings, **more)

        def new_user(mailbox=None):
            endpoint, user = Endpoint(guard), User(mta, mailbox)
            links.extend((endpoint, user))
            return user, Sender(endpoint, user.mailbox, user.ip)

        return new_user

    yield start_both
    for link in links:
        link.close()
