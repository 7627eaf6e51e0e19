"""Roundcube as a browser uses it, without a browser: sign in, open a compose window, send."""

import http.client
import http.cookies
import re
import urllib.parse


class Roundcube:
    """A user who is signed in, at a browser of its own address on the loopback."""

    def __init__(self, port, mailbox, address="127.0.0.1", password="secret"):
        self.port, self.mailbox, self.address, self.cookies = port, mailbox, address, {}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60,
                                                     source_address=(address, 0))
        page = self.get("/")
        token = re.search(r'name="_token" value="([^"]+)"', page.text).group(1)
        answer = self.post("/?_task=login", _token=token, _task="login", _action="login",
                           _timezone="Europe/Berlin", _url="", _user=mailbox, _pass=password)
        assert answer.status == 302, f"{mailbox} cannot sign in: {answer.status}"
        page = self.get("/?_task=mail&_action=compose")
        if page.status == 302:
            page = self.get(page.location)
        self.token = re.search(r'"request_token":"([^"]+)"', page.text).group(1)
        self.identity = re.search(r'<select[^>]*name="_from".*?<option value="(\d+)"', page.text,
                                  re.DOTALL).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, to="bob@example.org", cc="", bcc="", subject="hello", text="Hello.", **more):
        """Sends one message from a new compose window. True, or what Roundcube says went wrong."""
        window = self.get("/?_task=mail&_action=compose")
        query = urllib.parse.urlsplit(window.location or "").query
        number = urllib.parse.parse_qs(query).get("_id", [None])[0]
        if number is None:
            return f"no compose window: {window.status} {window.location} {window.text[-2000:]}"
        fields = {"_to": to, "_cc": cc, "_bcc": bcc}
        answer = self.post(
            "/?_task=mail&_unlock=loading1&_framed=1", _token=self.token, _task="mail",
            _action="send", _id=number, _from=self.identity, _subject=subject, _message=text,
            _is_html="0", _store_target="", **more,
            **{name: ", ".join(value) if isinstance(value, list) else value
               for name, value in fields.items()})
        if "sent_successfully(" in answer.text:
            return True
        said = "\n".join(re.findall(r"parent\.rcmail\..*", answer.text))
        return said or f"{answer.status}: {answer.text[-2000:]}"

    def get(self, path):
        return self._exchange("GET", path, None)

    def post(self, path, **fields):
        return self._exchange("POST", path, urllib.parse.urlencode(fields))

    def _exchange(self, method, path, body):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, urllib.parse.urljoin("/", path), body, headers)
        answer = self.connection.getresponse()
        answer.text = answer.read().decode()
        answer.location = answer.getheader("Location")
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer
