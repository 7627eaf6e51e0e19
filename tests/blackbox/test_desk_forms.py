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


class Provider:
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
def provider(request, new_folder):
    folder = new_folder()
    for store in _running_store(request.param, folder):
        provider = Provider(folder, store)
        yield provider
        provider.stop()


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


def held(sender):
    """The causes that hold with their ends, as a dry run is told."""
    return {one["cause"]: one["until"] for one in sender.send(dry_run=True).json["suspensions"]}


@pytest.mark.parametrize("first", ["terms", "volume"])
def test_two_suspensions_are_lifted_one_by_one(provider, first):
    sender, sam = provider.suspended(), provider.sam
    volume_ends = held(sender)["volume"]
    path = "/desk/mailboxes/" + urllib.parse.quote(sender.mailbox, safe="")
    location(sam.post_form("/desk/actions", form_of(
        sam, action="suspend", subject=sender.mailbox, cause="terms", note="n", confirm="1")))
    assert held(sender) == {"terms": None, "volume": volume_ends}
    told = sender.send(dry_run=True).json
    assert told["suspension"]["cause"] == "terms" and told["can_send_at"] is None
    assert "Besides this, sending is paused until" in told["message"]
    page = sam.get(path)
    assert "Suspended until staff lifts it" in page.text
    assert "Besides this, suspended until" in page.text
    assert page.text.count('name="action" value="lift"') == 2

    refused = sam.post_form("/desk/actions", form_of(
        sam, action="lift", subject=sender.mailbox, note="n", confirm="1"))
    assert refused.status == 409 and "expected terms or volume" in refused.text
    assert '<option value="terms"' in refused.text
    assert held(sender) == {"terms": None, "volume": volume_ends}

    fields = form_of(sam, action="lift", subject=sender.mailbox, cause=first, note="it was me")
    preview = sam.post_form("/desk/actions", fields)
    left = "too much mail" if first == "terms" else "against the terms of use"
    still = re.search(r"Still suspended until (.*?) because of: ([^<]*)\.</p>", preview.text, re.S)
    assert still and still.group(2) == left, preview
    assert ("staff lifts it" in still.group(1)) == (first == "volume")
    assert sam.post_form("/desk/actions", {**carried_by(preview, "lift"), "confirm": "1"}) \
        .status == 303
    assert held(sender) == ({"volume": volume_ends} if first == "terms" else {"terms": None})
    assert sender.send().status == 403
    assert "Besides this" not in sam.get(path).text
    assert f"before.cause={first}" in provider.web.shell("audit", sender.mailbox)

    second = carried_by(sam.get(path), "lift")
    assert second["cause"] == ("volume" if first == "terms" else "terms")
    location(sam.post_form("/desk/actions", {**second, "note": "n", "confirm": "1"}))
    assert held(sender) == {}


def test_preview_and_confirm(provider):
    sender, note = provider.suspended(), 'called back: "it was me" & <b>sorry</b>'
    fields = form_of(provider.sam, action="lift", subject=sender.mailbox, note=note)
    preview = provider.sam.post_form("/desk/actions", fields)
    assert preview.status == 200, preview
    assert sender.send().status == 403
    assert "<b>sorry" not in preview.text
    carried = carried_by(preview, "lift")
    assert {name: carried[name] for name in ("action", "subject", "note")} == {
        "action": "lift", "subject": sender.mailbox, "note": note}
    path, query = location(provider.sam.post_form("/desk/actions", {**carried, "confirm": "1"}))
    assert path == "/desk/mailboxes/" + urllib.parse.quote(sender.mailbox, safe="")
    assert query == "done=lift"
    assert provider.sam.get(f"{path}?{query}").status == 200
    actions = provider.web.shell("audit", sender.mailbox)
    assert "lift" in actions and "sam" in actions
    assert sender.send().json["suspension"]["brought"]  # the counts were kept


def test_only_one_confirms(provider):
    """Whatever else stands in the field."""
    sender = provider.suspended()
    for confirm in ("", "0", "yes", "11"):
        fields = form_of(provider.sam, action="lift", subject=sender.mailbox, note="x", confirm=confirm)
        assert provider.sam.post_form("/desk/actions", fields).status == 200
    assert sender.send().status == 403
    assert "lift" not in provider.web.shell("audit", sender.mailbox)


@pytest.mark.parametrize("change, status", [
    ({"note": ""}, 400), ({"value": "many"}, 400), ({"rule": "no_such_rule"}, 400),
    ({"for": "for ever"}, 400), ({"value": "off"}, 403), ({"subject": "no mailbox"}, 400)])
@pytest.mark.parametrize("confirm", ["", "1"])
def test_nothing_typed_is_lost(provider, change, status, confirm):
    request = {"action": "limit", "subject": "someone@example.test", "rule": "messages_per_day",
            "value": "4", "for": "48h", "note": "a <i>busy</i> week", **change}
    if status == 403 and not confirm:
        return  # a preview says so without refusing, as the next test has it
    answer = provider.sam.post_form("/desk/actions", form_of(provider.sam, confirm=confirm, **request))
    assert answer.status == status, answer
    assert 'role="alert"' in answer.text
    for name in ("subject", "for", "note"):
        assert html.escape(request[name]) in answer.text, f"{name}: {answer.text}"
    assert "<i>busy" not in answer.text


def test_what_the_role_may_not(provider):
    subject = new_mailbox()
    request = {"action": "exempt", "subject": subject, "note": "a newsletter"}
    preview = provider.sam.post_form("/desk/actions", form_of(provider.sam, **request))
    assert preview.status == 200 and 'role="alert"' in preview.text
    assert provider.sam.post_form("/desk/actions", form_of(provider.sam, confirm="1", **request)).status == 403
    assert provider.vic.post_form("/desk/actions", form_of(provider.vic, confirm="1", **request)).status == 403
    assert provider.vic.get("/desk/actions?action=exempt").status == 403
    assert location(provider.ada.post_form("/desk/actions",
                                        form_of(provider.ada, confirm="1", **request)))[1] == "done=exempt"


def test_a_domain(provider):
    fields = form_of(provider.sam, action="extra", subject="@fair.test", messages="2", note="a fair",
                     confirm="1")
    fields["off_domain"] = ""  # a form sends its empty fields too
    path, query = location(provider.sam.post_form("/desk/actions", fields))
    assert (path, query) == ("/desk/domains/fair.test", "done=extra")
    assert provider.sam.get(f"{path}?{query}").status == 200


def test_search(provider):
    sender = provider.suspended()
    decision = provider.refusal.json["decision"]
    for query, path in ((sender.mailbox, "/mailboxes/" + sender.mailbox.replace("@", "%40")),
                        (sender.ip, "/ips/" + sender.ip), ("@example.test", "/domains/example.test"),
                        (decision.lower().replace("-", " "), "/decisions/" + decision),
                        ("  ", "/")):
        answer = provider.vic.get("/desk/search?" + urllib.parse.urlencode({"q": query}))
        found, _ = location(answer)
        assert found == "/desk" + path
        assert provider.vic.get(found).status == 200, found
    nothing = provider.vic.get("/desk/search?" + urllib.parse.urlencode({"q": "<script>alert(1)"}))
    assert nothing.status == 200 and "<script>alert" not in nothing.text


def test_simulate(provider):
    assert provider.vic.get("/desk/simulate").status == 200
    mailbox = new_mailbox()
    fields = {"mailbox": mailbox, "channel": "webmail", "to": ", ".join(people(51, "x.test")),
              "cc": "", "bcc": "", "ip": ""}
    answer = provider.vic.post_form("/desk/simulate", form_of(provider.vic, **fields))
    assert answer.status == 200 and "p50@x.test" in answer.text
    assert "51" in answer.text
    fields["to"] = "Bob <bob@x.test>, what is this"
    answer = provider.vic.post_form("/desk/simulate", form_of(provider.vic, **fields))
    assert answer.status == 400 and "to[1]" in answer.text
    assert html.escape(fields["to"]) in answer.text and mailbox in answer.text


def test_every_page_opens(provider):
    sender = provider.suspended()
    for path in ("/", "/suspended", "/near", "/decisions", "/audit", "/simulate", "/actions",
                 "/audit?subject=" + sender.mailbox, "/mailboxes/" + sender.mailbox,
                 "/decisions?mailbox=" + sender.mailbox,
                 "/decisions/" + provider.refusal.json["decision"], "/ips/" + sender.ip,
                 "/domains/example.test", "/audit/export.csv", "/audit/export.json"):
        answer = provider.sam.get("/desk" + path)
        assert answer.status == 200, f"{path}: {answer}"
    assert location(provider.sam.get("/desk"))[0] == "/desk/"
    assert provider.sam.get("/desk/no-such").status == 404
    answer = provider.sam.request("DELETE", "/desk/actions")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD, POST")


def test_signed_out(provider):
    """Whoever has to sign in comes back to where he was going."""
    browser = type(provider.sam)(provider.web)
    answer = browser.get("/desk/mailboxes/a%2Fb%40example.test")
    path, query = location(answer)
    assert path == "/desk/sign-in"
    assert urllib.parse.parse_qs(query)["next"] == ["/desk/mailboxes/a/b%40example.test"]
    assert browser.get(f"{path}?{query}").status == 200
