"""sendguard-milter, and Postfix as it sees it: the milter protocol (version 6), and what is answered.
Policy service and milter are over one store, and a message goes through both in Postfix' order."""

import struct

import pytest

from endpoint import Endpoint, Sender, new_ip, new_mailbox
from mta import DUNNO, Mta, User
from programs import BUILD, PATIENCE, Guard, connect_to_file

PROGRAM = BUILD / "sendguard-milter"
ACCEPT, CONTINUE, TEMPFAIL = "accept", "continue", "tempfail"
ANSWERS = {b"a": ACCEPT, b"c": CONTINUE, b"t": TEMPFAIL}
SILENT = 0x80 | 0x8000  # no answers to fields and recipients
STEPS, ACTIONS = 0x1fffff, 0x1ff


class Milter(Guard):
    """sendguard-milter with a socket file. Shares folder, store and secret with a Guard there."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, **more):
        super().__init__(folder, store, **more)
        self.config_path = self.folder / "milter.conf"
        self.listen = self.folder / "milter.sock"
        self.configure({"milter": {"listen": self.listen}})
        self.configure(settings or {})

    def connect(self, timeout=PATIENCE):
        return connect_to_file(self.listen, timeout)


class Closed(Exception):
    """The milter closed the connection instead of an answer."""


class Session:
    """What one process of Postfix' smtpd has with a milter."""

    def __init__(self, milter, steps=STEPS, actions=ACTIONS, timeout=PATIENCE):
        self.link = milter.connect(timeout)
        self.put(b"O", struct.pack(">III", 6, actions, steps))
        kind, told = self.get()
        assert kind == b"O", (kind, told)
        _, self.actions, self.steps = struct.unpack_from(">III", told)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.link.close()

    def put(self, kind, data=b""):
        self.link.sendall(struct.pack(">I", 1 + len(data)) + kind + data)

    def _read(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.link.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(data)
            data += more
        return data

    def get(self):
        data = self._read(struct.unpack(">I", self._read(4))[0])
        return data[:1], data[1:]

    def answer(self):
        """ACCEPT, CONTINUE, TEMPFAIL, or the lines of a refusal."""
        kind, data = self.get()
        if kind != b"y":
            return ANSWERS[kind]
        lines = data.rstrip(b"\0").decode("ascii").split("\r\n")
        for number, line in enumerate(lines, 1):
            assert line.startswith("550 5.7.1 " if number == len(lines) else "550-5.7.1 "), lines
            assert len(line) <= 510 and line.isprintable(), line
        return [line[len("550 5.7.1 "):] for line in lines]

    def macros(self, stage, **values):
        named = b"".join(name.encode() + b"\0" + value.encode() + b"\0"
                         for name, value in values.items())
        self.put(b"D", stage + named)

    def mail(self, user, client, sender):
        self.macros(b"M", **{"{auth_authen}": user, "{client_addr}": client})
        self.put(b"M", f"<{sender}>".encode() + b"\0")
        return self.answer()

    def begin(self, recipients, fields):
        """All up to the end of the header."""
        for one in recipients:
            self.put(b"R", f"<{one}>".encode() + b"\0")
        for name, value in fields:
            self.put(b"L", name.encode() + b"\0" + value.encode("utf-8", "surrogateescape") + b"\0")

    def end(self, queue_id):
        self.macros(b"N", i=queue_id)
        self.put(b"N")
        return self.answer()


class Writer(User):
    """Sends by SMTP as one mailbox: the policy service is asked, then the milter."""

    def __init__(self, mta, milter, mailbox=None, ip=None):
        super().__init__(mta, mailbox or new_mailbox(), ip or new_ip())
        self.milter, self.session = milter, Session(milter)
        self.queue_id = None

    def close(self):
        super().close()
        self.session.close()

    def header(self, recipients, fields, queue_id=None, sender=None):
        """What the milter answers, at MAIL if that is an end of it."""
        sender = self.mailbox if sender is None else sender
        answer = self.session.mail(self.mailbox, self.ip, sender)
        if answer != CONTINUE:
            return answer
        self.session.begin(recipients, fields)
        return self.session.end(queue_id or self.queue_id)

    def write(self, recipients=(), bcc=(), **fields):
        """One message: `recipients` in To but for what **fields say; both have to be asked."""
        named = fields or {"To": ", ".join(recipients)}
        envelope = [*recipients, *bcc]
        transaction = self.transaction()
        self.queue_id = transaction["queue_id"]
        policy = self.connection.ask("END-OF-MESSAGE", **self.members(
            recipient_count=len(envelope), **transaction))
        assert policy == DUNNO, policy
        return self.header(envelope, list(named.items()))


@pytest.fixture
def through(store, start, folder):
    """through(settings)() is somebody who sends by SMTP, with the same user at the webmail endpoint."""
    services, links = [], []

    def start_all(settings=None, **more):
        listen = {"milter": {"listen": folder / "milter.sock"}}
        guard = start(store, settings, **more)
        mta, milter = (kind(folder, store, settings, **more) for kind in (Mta, Milter))
        mta.configure(listen)
        for service in (mta, milter):
            services.append(service)
            service.start()

        def new_writer(mailbox=None, ip=None):
            writer = Writer(mta, milter, mailbox, ip)
            endpoint = Endpoint(guard)
            links.extend((endpoint, writer))
            return writer, Sender(endpoint, writer.mailbox, writer.ip)

        return new_writer

    yield start_all
    for link in links:
        link.close()
    for service in services:
        service.stop()
