"""What a request may look like, and the clear word for one that is wrong."""

import json
import urllib.parse

import pytest

from endpoint import PATH, people, rules, unique_id

pytestmark = pytest.mark.sanitized

BOUNDARY = "----boundary7MA4YWxk"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"


def urlencoded(pairs):
    return urllib.parse.urlencode(pairs).encode()


def part(name, value, more=""):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


def multipart(pairs):
    return b"".join(part(name, value) for name, value in pairs) + f"--{BOUNDARY}--\r\n".encode()


def pairs_of(sender, to, names="{}", **fields):
    """The fields of a form; `names` is how the webmail writes a field's name."""
    pairs = [("id", unique_id()), ("mailbox", sender.mailbox), ("ip", sender.ip),
             (names.format("from"), sender.mailbox), (names.format("to"), to)]
    return pairs + [(names.format(name), value) for name, value in fields.items()]


RECIPIENTS = {
    "to": 'Bob <bob@x.test>, "Last, First" <first@y.test>; =?utf-8?Q?J=C3=BCrgen?= <j@x.test>',
    "cc": "undisclosed-recipients:;",
    "bcc": "Friends: a@z.test, B <b@z.test>;",
}


@pytest.mark.parametrize("names", ["{}", "_{}"])
@pytest.mark.parametrize("kind", ["json", "urlencoded", "multipart"])
def test_three_kinds_of_body_are_equal(sender, kind, names):
    if kind == "json":
        answer = sender.admitted(RECIPIENTS["to"], cc=RECIPIENTS["cc"], bcc=RECIPIENTS["bcc"])
    else:
        pairs = pairs_of(sender, names=names, **RECIPIENTS)
        pairs.insert(2, ("_message", "Hello & goodbye = 100%\r\n--not the boundary\r\n"))
        if kind == "urlencoded":
            answer = sender.endpoint.post(urlencoded(pairs), URLENCODED)
        else:
            answer = sender.endpoint.post(multipart(pairs), MULTIPART)
    assert answer.status == 200, answer
    assert answer.json["mailbox"] == sender.mailbox
    assert sender.used("messages_per_day") == 1
    assert sender.used("off_domain_per_day") == 5
    assert sender.used("off_domain_per_hour_per_ip") == 5


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
def test_repeated_recipient_fields_add_up(sender, kind):
    pairs = pairs_of(sender, "a@x.test") + [("to", "b@x.test"), ("cc", "c@x.test"),
                                            ("_cc", "d@x.test"), ("to", "")]
    body, content_type = ((urlencoded(pairs), URLENCODED) if kind == "urlencoded"
                          else (multipart(pairs), MULTIPART))
    assert sender.endpoint.post(body, content_type).status == 200
    assert sender.used("off_domain_per_day") == 4


def test_a_file_is_no_field(sender):
    body = (part("mailbox", sender.mailbox) + part("ip", sender.ip) + part("_to", "a@x.test")
            + part("_to", people(90, "y.test")[0], '; filename="_to"')
            + part("_attachments[]", bytes(range(256)) * 4000,
                   '; filename="a.bin"\r\nContent-Type: application/octet-stream')
            + f"--{BOUNDARY}--\r\n".encode())
    assert sender.endpoint.post(body, MULTIPART).status == 200
    assert sender.used("off_domain_per_day") == 1


def test_content_type_is_read_as_http_reads_it(sender):
    body = json.dumps(sender.body()).encode()
    for content_type in ("Application/JSON", "application/json; charset=utf-8",
                         "application/json;charset=UTF-8"):
        assert sender.endpoint.post(body, content_type).status == 200
    pairs = pairs_of(sender, "a@x.test")
    answer = sender.endpoint.post(multipart(pairs),
                              f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"')
    assert answer.status == 200


def wrong(answer, status, *words):
    """A problem that names all the words: what and where."""
    assert answer.status == status, answer
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    members = answer.json
    assert members["status"] == status
    text = f'{members["title"]} {members["detail"]}'
    for word in words:
        assert word in text, text
    return members


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "BREW"])
def test_405_names_what_is_allowed(sender, method):
    answer = sender.endpoint.request(method)
    assert answer.status == 405
    assert "POST" in answer.headers["allow"]
    if method != "HEAD":
        wrong(answer, 405)


@pytest.mark.parametrize("method, path", [
    ("POST", "/sendguard/other"), ("POST", "/sendguard/submissionsX"),
    ("DELETE", "/sendguard/other/id"), ("DELETE", PATH + "/a/b"),
])
def test_404_for_other_paths(sender, method, path):
    wrong(sender.endpoint.request(method, path, "mailbox=a%40example.test", b"{}",
                              "application/json"), 404)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml",
                                          "application/jsonx", "multipart/mixed; boundary=x"])
def test_415(sender, content_type):
    body = json.dumps(sender.body()).encode()
    wrong(sender.endpoint.post(body, content_type), 415, "application/json")


def test_413_for_a_json_body_over_the_limit(sender):
    body = sender.body()
    body["filler"] = "x" * (5 * 1024 * 1024)
    wrong(sender.endpoint.post(body), 413)
    assert sender.used() == 0


def test_413_for_too_many_recipients(sender):
    wrong(sender.endpoint.post(sender.body([f"p{number}@x.test" for number in range(10001)])), 413)
    answer = sender.endpoint.post(sender.body([f"p{number}@x.test" for number in range(10000)]))
    assert answer.status == 422


def test_413_for_a_long_id(sender):
    sender.admitted(id="i" * 998)
    wrong(sender.send(id="i" * 999), 413, "id", "998")


BAD_JSON = {
    "empty": (b"", ()),
    "cut off": (b'{"to": ["a@x.test"', ()),
    "no object": (b'["a@x.test"]', ()),
    "trailing": (b'{"to": []} {}', ()),
    "bad UTF-8": (b'{"to": ["\xff@x.test"]}', ()),
    "comment": (b'{/* */"to": []}', ()),
    "to a number": (b'{"to": 7}', ("to",)),
    "entry a number": (b'{"to": ["a@x.test", 7]}', ("to[1]",)),
    "cc an object": (b'{"to": [], "cc": {}}', ("cc",)),
    "id a number": (b'{"to": [], "id": 7}', ("id",)),
    "mailbox a list": (b'{"to": [], "mailbox": ["a@x.test"]}', ("mailbox",)),
    "repeated member": (b'{"mailbox": "a@x.test", "mailbox": "b@x.test", "to": []}', ("twice",)),
    "deep": (b'{"x": ' + b"[" * 1000 + b"]" * 1000 + b"}", ()),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_400_for_bad_json(sender, name):
    body, words = BAD_JSON[name]
    wrong(sender.endpoint.post(body), 400, *words)


@pytest.mark.parametrize("language, place", [
    ("en", "To, 2nd recipient: "), ("de", "An, 2. Empfänger: "), ("fr", "À, 2e destinataire: "),
    ("es", "Para, 2.º destinatario: "), ("xx", "To, 2nd recipient: "),
])
def test_400_says_the_place_in_words(sender, language, place):
    answer = sender.send(["good@x.test", "nobody"], lang=language)
    assert answer.json["message"].startswith(place + '"nobody" is no address'), answer.json
    assert answer.json["detail"].startswith("To, 2nd recipient (to[1]): "), answer.json
    assert answer.json["where"] == "to[1]"


@pytest.mark.parametrize("entry", [
    "nobody", "@x.test", "a@", "a@@x.test", "a b@x.test", "<a@x.test> b", "a@x..test",
    "a@x.test b@x.test", "Bob <a@x.test", "a@x.test\r\nBcc: b@x.test", "a\0@x.test", "a@-x.test",
    "l" * 248 + "@x.test",
])
def test_400_names_the_address_and_its_place(sender, entry):
    answer = sender.send(["good@x.test", entry])
    wrong(answer, 400, "to[1]")
    assert sender.used() == 0
    wrong(sender.send(["good@x.test"], bcc=["ok@x.test", "Ok <ok@y.test>", entry]), 400, "bcc[2]")


@pytest.mark.parametrize("member, value", [
    ("mailbox", "no-domain"), ("ip", "300.1.2.3"), ("ip", "example.test"), ("ip", "fe80::1%eth0"),
    ("lang", "de_DE; x"), ("id", "a\r\nb"), ("from", "nobody@"),
])
def test_400_names_the_member(sender, member, value):
    wrong(sender.send(**{member: value}), 400, member)
    assert sender.used() == 0


def test_400_for_a_broken_form(sender):
    pairs = pairs_of(sender, "a@x.test")
    wrong(sender.endpoint.post(multipart(pairs)[:-8], MULTIPART), 400)
    wrong(sender.endpoint.post(multipart(pairs), "multipart/form-data"), 400, "boundary")
    wrong(sender.endpoint.post(b"to=a%40x.test&cc=%zz", URLENCODED), 400, "cc")
    wrong(sender.endpoint.post(urlencoded(pairs + [("mailbox", "other@example.test")]), URLENCODED),
          400, "mailbox")
    assert sender.used() == 0


def test_a_message_without_recipients_counts_as_a_message(sender):
    """Mail to nobody is the mail server's business; it is still an attempt to send."""
    answer = sender.send([])
    assert answer.status in (200, 400), answer
    assert sender.used() == (1 if answer.status == 200 else 0)


def test_dry_run_says_what_the_real_one_would(sender):
    answer = sender.send(people(51, "x.test"), dry_run=True)
    assert answer.status == 422
    assert rules(answer) == ["recipients_per_domain"]


@pytest.mark.parametrize("query", ["dry_run=1", "&dry_run=1&", "dry%5frun=1"])
def test_dry_run_is_found_in_the_query(sender, query):
    assert sender.endpoint.post(sender.body(), query=query).status == 200
    assert sender.used() == 0


@pytest.mark.parametrize("query", ["", "dry_run=0", "&"])
def test_other_queries_are_no_dry_run(sender, query):
    assert sender.endpoint.post(sender.body(), query=query).status == 200
    assert sender.used() == 1


@pytest.mark.parametrize("query", ["dry_run=yes", "dry_run", "dry_run=1&dry_run=0"])
def test_an_unclear_dry_run_is_refused(sender, query):
    """Charging a message that was only asked about would be the worst of readings."""
    answer = sender.endpoint.post(sender.body(), query=query)
    assert answer.status == 400 or sender.used() == 0, answer


@pytest.mark.parametrize("query", ["xdry_run=1", "dry=1", "x=y&dry_run=1", "dry_run=1&x", "dry_run=1&dry_run=1"])
def test_an_unknown_or_repeated_parameter_counts_nothing(sender, query):
    wrong(sender.endpoint.post(sender.body(), query=query), 400)
    assert sender.used() == 0
