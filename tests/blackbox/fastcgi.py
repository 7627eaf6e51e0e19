"""A FastCGI client: as much of a web server as the guard can see.

FastCGI 1.0, responder role, one request at a time on a connection. `encode`
gives the bytes of a whole request; the parts can be sent one by one, or be
malformed, to play a web server that is slow, broken or hostile.
"""

import fcntl
import json
import socket
import struct
import termios

VERSION = 1
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)
GET_VALUES, GET_VALUES_RESULT = 9, 10
RESPONDER = 1
KEEP_CONN = 1
CHUNK = 65528  # the longest content that needs no padding


class ConnectionClosed(Exception):
    """The guard closed the connection before the answer was complete."""


def record(kind, content=b"", request_id=1):
    padding = -len(content) % 8
    head = struct.pack(">BBHHBx", VERSION, kind, request_id, len(content), padding)
    return head + content + bytes(padding)


def stream(kind, content):
    """The content as records, without the empty record that ends the stream."""
    return b"".join(record(kind, content[at:at + CHUNK]) for at in range(0, len(content), CHUNK))


def begin(keep=True, role=RESPONDER):
    return record(BEGIN_REQUEST, struct.pack(">HB5x", role, KEEP_CONN if keep else 0))


def params(pairs):
    def length(number):
        return bytes([number]) if number < 128 else struct.pack(">I", number | 0x80000000)

    content = bytearray()
    for name, value in pairs.items():
        name, value = name.encode(), str(value).encode()
        content += length(len(name)) + length(len(value)) + name + value
    return stream(PARAMS, bytes(content)) + record(PARAMS)


def encode(pairs, body=b"", keep=True):
    return begin(keep) + params(pairs) + stream(STDIN, body) + record(STDIN)


class NoAnswer(Exception):
    """The request was ended without an answer."""


class Answer:
    """What came back: status, headers (names in lower case), body."""

    def __init__(self, output, errors=b""):
        head, _, self.body = output.partition(b"\r\n\r\n")
        self.errors = errors
        self.headers = {}
        for line in head.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"no header line: {line!r}")
            if name.lower() in self.headers:
                raise ValueError(f"header {name} twice")
            self.headers[name.lower()] = value.strip()
        self.status = int(self.headers.get("status", "200").split()[0])

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Connection:
    def __init__(self, link):
        """`link` is a connected socket."""
        self.socket, self.received = link, b""

    @classmethod
    def to(cls, path, timeout=60):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(timeout)
        try:
            link.connect(str(path))
        except OSError:
            link.close()
            raise
        return cls(link)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _take(self, count):
        while len(self.received) < count:
            try:
                more = self.socket.recv(262144)
            except ConnectionResetError:
                more = b""
            if not more:
                raise ConnectionClosed(f"after {len(self.received)} of {count} bytes")
            self.received += more
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def read_record(self):
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", self._take(8))
        content = self._take(length + padding)[:length]
        if version != VERSION:
            raise ValueError(f"FastCGI version {version}")
        return kind, request_id, content

    def receive(self):
        """The answer to the request that was sent."""
        output, errors = bytearray(), bytearray()
        while True:
            kind, request_id, content = self.read_record()
            if request_id != 1:
                raise ValueError(f"record for request {request_id}")
            if kind == STDOUT:
                output += content
            elif kind == STDERR:
                errors += content
            elif kind == END_REQUEST:
                _, protocol_status = struct.unpack(">IB3x", content)
                if protocol_status != 0:
                    raise ValueError(f"protocol status {protocol_status}")
                if not output:
                    raise NoAnswer(bytes(errors))
                return Answer(bytes(output), bytes(errors))
            else:
                raise ValueError(f"unexpected record type {kind}")

    def request(self, pairs, body=b"", keep=True):
        self.send(encode(pairs, body, keep))
        return self.receive()

    def unread(self):
        """How much of what was sent the guard has not read yet."""
        waiting = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
        return struct.unpack("i", waiting)[0]

    def closed_by_peer(self):
        """Waits until the other side closes; False when it sends something or nothing comes."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
