"""The webmail endpoint as a web server and a webmail use it: requests in, answers out."""

import itertools
import json
import urllib.parse

import fastcgi

PATH = "/sendguard/submissions"
NOT_SENT = "The message was not sent and will not be sent later by itself."
_numbers = itertools.count(1)


def unique_id():
    return f"<{next(_numbers)}.test@webmail.test>"


def new_mailbox():
    return f"user{next(_numbers)}@example.test"


def new_ip():
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def people(count, domain, prefix="p"):
    """That many different addresses at a domain."""
    return [f"{prefix}{number}@{domain}" for number in range(count)]


def crowd(count, per_domain=50, prefix="d"):
    """That many different addresses, spread so that no domain has too many."""
    return [f"p{number}@{prefix}{number // per_domain}.test" for number in range(count)]


def spread(recipients):
    """Recipients put into fields of at most 100, as a JSON body names them."""
    fields = {name: recipients[at:at + 100]
              for at, name in zip(range(0, 300, 100), ("to", "cc", "bcc"))}
    return {name: part for name, part in fields.items() if part}


def server_params(method="POST", path=PATH, query="", trusted=True, **more):
    """What nginx sends with its stock fastcgi_params, and what a location adds."""
    pairs = {
        "QUERY_STRING": query, "REQUEST_METHOD": method, "CONTENT_TYPE": "", "CONTENT_LENGTH": "",
        "SCRIPT_NAME": urllib.parse.unquote(path),
        "REQUEST_URI": path + ("?" + query if query else ""),
        "DOCUMENT_URI": urllib.parse.unquote(path), "DOCUMENT_ROOT": "/usr/share/nginx/html",
        "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "http", "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "nginx/1.22.1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000",
        "REMOTE_USER": "", "SERVER_ADDR": "127.0.0.1", "SERVER_PORT": "8081",
        "SERVER_NAME": "_", "REDIRECT_STATUS": "200",
        "SENDGUARD_TRUSTED": "1" if trusted else "", "SENDGUARD_FORWARD": "",
    }
    pairs.update(more)
    return pairs


def post_params(body, content_type="application/json", query="", **more):
    return server_params(query=query, CONTENT_TYPE=content_type, CONTENT_LENGTH=len(body), **more)


class Endpoint:
    """A client with one kept connection, made anew when the guard has closed it between two
    requests, as a web server does."""

    def __init__(self, guard, timeout=60):
        self.path, self.timeout = guard.socket_path, timeout
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def exchange(self, data):
        """Sends the bytes of one request, returns its answer."""
        if self.connection is not None:
            try:
                self.connection.send(data)
                return self.connection.receive()
            except (fastcgi.ConnectionClosed, BrokenPipeError, ConnectionResetError) as error:
                untouched = not self.connection.received
                self.close()
                if not untouched:
                    raise fastcgi.ConnectionClosed("in the middle of an answer") from error
        self.connection = fastcgi.Connection.to(self.path, self.timeout)
        try:
            self.connection.send(data)
            return self.connection.receive()
        except BaseException:
            self.close()
            raise

    def request(self, method="POST", path=PATH, query="", body=b"", content_type="", **more):
        pairs = server_params(method, path, query, CONTENT_TYPE=content_type,
                              CONTENT_LENGTH=len(body) if body else "", **more)
        return self.exchange(fastcgi.encode(pairs, body))

    def post(self, body, content_type="application/json", query="", **more):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.exchange(fastcgi.encode(post_params(body, content_type, query, **more), body))

    def refund(self, identifier, mailbox, **more):
        path = f"{PATH}/{urllib.parse.quote(identifier, safe='')}"
        query = "" if mailbox is None else "mailbox=" + urllib.parse.quote(mailbox, safe="")
        return self.request("DELETE", path, query, **more)


class Sender:
    """One user: a mailbox at an IP, sending through the trusted location."""

    def __init__(self, endpoint, mailbox, ip):
        self.endpoint, self.mailbox, self.ip = endpoint, mailbox, ip

    def body(self, to=None, **members):
        message = {"id": unique_id(), "mailbox": self.mailbox, "ip": self.ip}
        message["to"] = ["bob@outside.test"] if to is None else to
        message.update(members)
        return {name: value for name, value in message.items() if value is not None}

    def send(self, to=None, dry_run=False, **members):
        return self.endpoint.post(self.body(to, **members), query="dry_run=1" if dry_run else "")

    def admitted(self, to=None, **members):
        answer = self.send(to, **members)
        assert answer.status == 200, answer
        return answer

    def refund(self, identifier):
        return self.endpoint.refund(identifier, self.mailbox)

    def used(self, rule="messages_per_day"):
        """What the window holds: a dry run's number, which counts nothing itself."""
        answer = self.send(["self@example.test"], dry_run=True)
        assert answer.status in (200, 403, 429), answer
        return window(answer, rule)["used"]


def window(answer, rule):
    found = [one for one in answer.json["windows"] if one["rule"] == rule]
    assert len(found) == 1, f"{rule} in {answer.json['windows']}"
    return found[0]


def rules(answer):
    """The names of the rules that an answer gives as its reasons."""
    return [reason["rule"] for reason in answer.json["reasons"]]
