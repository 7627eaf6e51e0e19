"""The support desk's forms: nothing is done before it was seen, nothing typed is lost."""

import html
import re
import urllib.parse

import pytest

from conftest import _running_store
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people
from programs import Guard
from stores import KINDS
from web import BASE, Web

pytestmark = pytest.mark.sanitized

LIMITS = {"limits.webmail": {"messages_per_day": 3}}


class House:
    def __init__(self, folder, store):
        self.guard = Guard(folder, store, LIMITS).start()
        self.web = Web(folder, store, LIMITS).start().hire()
        self.sam, self.vic, self.ada = (self.web.desk(name) for name in ("sam", "vic", "ada"))
        self.endpoint = Endpoint(self.guard)

    def suspended(self):
        sender = Sender(self.endpoint, new_mailbox(), new_ip())
        for _ in range(4):
            self.refusal = sender.send()
        assert self.refusal.status == 403
        return sender

    def stop(self):
        self.endpoint.close()
        self.web.stop()
        self.guard.stop()


@pytest.fixture(scope="module", params=list(KINDS))
def house(request, new_folder):
    folder = new_folder()
    for store in _running_store(request.param, folder):
        house = House(folder, store)
        yield house
        house.stop()


def carried_by(answer, action):
    """The fields that the page's form for an action carries along unseen."""
    for form in re.findall(r"<form.*?</form>", answer.text, re.S):
        found = {}
        for tag in re.findall(r"<input[^>]*>", form):
            marks = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
            if marks.get("type") == "hidden":
                found[html.unescape(marks["name"])] = html.unescape(marks.get("value", ""))
        if found.get("action") == action:
            return found
    raise AssertionError(f"no form for {action}: {answer}")


def location(answer):
    assert answer.status == 303, answer
    path = urllib.parse.urlsplit(answer.header("Location")).path
    query = urllib.parse.urlsplit(answer.header("Location")).query
    assert path.startswith(BASE + "/desk/"), answer
    return path.removeprefix(BASE), query


def form_of(browser, **fields):
    return {"csrf": browser.csrf, **fields}


def test_preview_and_confirm(house):
    sender, note = house.suspended(), 'called back: "it was me" & <b>sorry</b>'
    fields = form_of(house.sam, action="lift", subject=sender.mailbox, note=note)
    preview = house.sam.post_form("/desk/actions", fields)
    assert preview.status == 200, preview
    assert sender.send().status == 403
    assert "<b>sorry" not in preview.text
    carried = carried_by(preview, "lift")
    assert {name: carried[name] for name in ("action", "subject", "note")} == {
        "action": "lift", "subject": sender.mailbox, "note": note}
    path, query = location(house.sam.post_form("/desk/actions", {**carried, "confirm": "1"}))
    assert path == "/desk/mailboxes/" + urllib.parse.quote(sender.mailbox, safe="")
    assert query == "done=lift"
    assert house.sam.get(f"{path}?{query}").status == 200
    actions = house.web.shell("audit", sender.mailbox)
    assert "lift" in actions and "sam" in actions
    assert sender.send().json["suspension"]["brought"]  # the counts were kept


def test_only_one_confirms(house):
    """Whatever else stands in the field."""
    sender = house.suspended()
    for confirm in ("", "0", "yes", "11"):
        fields = form_of(house.sam, action="lift", subject=sender.mailbox, note="x", confirm=confirm)
        assert house.sam.post_form("/desk/actions", fields).status == 200
    assert sender.send().status == 403
    assert "lift" not in house.web.shell("audit", sender.mailbox)


@pytest.mark.parametrize("change, status", [
    ({"note": ""}, 400), ({"value": "many"}, 400), ({"rule": "no_such_rule"}, 400),
    ({"for": "for ever"}, 400), ({"value": "off"}, 403), ({"subject": "no mailbox"}, 400)])
@pytest.mark.parametrize("confirm", ["", "1"])
def test_nothing_typed_is_lost(house, change, status, confirm):
    request = {"action": "limit", "subject": "someone@example.test", "rule": "messages_per_day",
            "value": "4", "for": "48h", "note": "a <i>busy</i> week", **change}
    if status == 403 and not confirm:
        return  # a preview says so without refusing, as the next test has it
    answer = house.sam.post_form("/desk/actions", form_of(house.sam, confirm=confirm, **request))
    assert answer.status == status, answer
    assert 'role="alert"' in answer.text
    for name in ("subject", "for", "note"):
        assert html.escape(request[name]) in answer.text, f"{name}: {answer.text}"
    assert "<i>busy" not in answer.text


def test_what_the_role_may_not(house):
    subject = new_mailbox()
    request = {"action": "exempt", "subject": subject, "note": "a newsletter"}
    preview = house.sam.post_form("/desk/actions", form_of(house.sam, **request))
    assert preview.status == 200 and 'role="alert"' in preview.text
    assert house.sam.post_form("/desk/actions", form_of(house.sam, confirm="1", **request)).status == 403
    assert house.vic.post_form("/desk/actions", form_of(house.vic, confirm="1", **request)).status == 403
    assert house.vic.get("/desk/actions?action=exempt").status == 403
    assert location(house.ada.post_form("/desk/actions",
                                        form_of(house.ada, confirm="1", **request)))[1] == "done=exempt"


def test_a_domain(house):
    fields = form_of(house.sam, action="extra", subject="@fair.test", messages="2", note="a fair",
                     confirm="1")
    fields["off_domain"] = ""  # a form sends its empty fields too
    path, query = location(house.sam.post_form("/desk/actions", fields))
    assert (path, query) == ("/desk/domains/fair.test", "done=extra")
    assert house.sam.get(f"{path}?{query}").status == 200


def test_search(house):
    sender = house.suspended()
    decision = house.refusal.json["decision"]
    for query, path in ((sender.mailbox, "/mailboxes/" + sender.mailbox.replace("@", "%40")),
                        (sender.ip, "/ips/" + sender.ip), ("@example.test", "/domains/example.test"),
                        (decision.lower().replace("-", " "), "/decisions/" + decision),
                        ("  ", "/")):
        answer = house.vic.get("/desk/search?" + urllib.parse.urlencode({"q": query}))
        found, _ = location(answer)
        assert found == "/desk" + path
        assert house.vic.get(found).status == 200, found
    nothing = house.vic.get("/desk/search?" + urllib.parse.urlencode({"q": "<script>alert(1)"}))
    assert nothing.status == 200 and "<script>alert" not in nothing.text


def test_simulate(house):
    assert house.vic.get("/desk/simulate").status == 200
    mailbox = new_mailbox()
    fields = {"mailbox": mailbox, "channel": "webmail", "to": ", ".join(people(51, "x.test")),
              "cc": "", "bcc": "", "ip": ""}
    answer = house.vic.post_form("/desk/simulate", form_of(house.vic, **fields))
    assert answer.status == 200 and "p50@x.test" in answer.text
    assert "51" in answer.text
    fields["to"] = "Bob <bob@x.test>, what is this"
    answer = house.vic.post_form("/desk/simulate", form_of(house.vic, **fields))
    assert answer.status == 400 and "to[1]" in answer.text
    assert html.escape(fields["to"]) in answer.text and mailbox in answer.text


def test_every_page_opens(house):
    sender = house.suspended()
    for path in ("/", "/suspended", "/near", "/decisions", "/audit", "/simulate", "/actions",
                 "/audit?subject=" + sender.mailbox, "/mailboxes/" + sender.mailbox,
                 "/decisions?mailbox=" + sender.mailbox,
                 "/decisions/" + house.refusal.json["decision"], "/ips/" + sender.ip,
                 "/domains/example.test", "/audit/export.csv", "/audit/export.json"):
        answer = house.sam.get("/desk" + path)
        assert answer.status == 200, f"{path}: {answer}"
    assert location(house.sam.get("/desk"))[0] == "/desk/"
    assert house.sam.get("/desk/no-such").status == 404
    answer = house.sam.request("DELETE", "/desk/actions")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD, POST")


def test_signed_out(house):
    """Whoever has to sign in comes back to where he was going."""
    browser = type(house.sam)(house.web)
    answer = browser.get("/desk/mailboxes/a%2Fb%40example.test")
    path, query = location(answer)
    assert path == "/desk/sign-in"
    assert urllib.parse.parse_qs(query)["next"] == ["/desk/mailboxes/a/b%40example.test"]
    assert browser.get(f"{path}?{query}").status == 200
