"""The support desk's forms: nothing is done before it was seen, nothing typed is lost."""

import html
import re
import urllib.parse

import pytest

from conftest import _running_store
from endpoint import Endpoint, Sender, new_ip, new_mailbox, people
from programs import Guard, eventually
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
    """Who has to sign in comes back to where he was going."""
    browser = type(provider.sam)(provider.web)
    answer = browser.get("/desk/mailboxes/a%2Fb%40example.test")
    path, query = location(answer)
    assert path == "/desk/sign-in"
    assert urllib.parse.parse_qs(query)["next"] == ["/desk/mailboxes/a/b%40example.test"]
    assert browser.get(f"{path}?{query}").status == 200


# ---- many entries of the block lists ---------------------------------------------------------------

IMPORT = "/desk/blocks/import"


def imported(browser, csv, **fields):
    return browser.post_form(IMPORT, {"csrf": browser.csrf, "csv": csv, "note": "ticket 20", **fields})


def seen_by(answer):
    return html.unescape(re.search(r'name="seen" value="([^"]*)"', answer.text).group(1))


def pasted(answer):
    """What the page's text area has."""
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.S).group(1)
    return html.unescape(text).replace("\r\n", "\n")


def listed(browser, query):
    return browser.get(f"/desk/blocks/export.csv?q={query}").text.splitlines()[1:]


def new_lines(count=2, reason="A trap."):
    names = [new_mailbox().split("@")[0] for _ in range(count)]
    return names, "subject,reason\n" + "".join(f"{name}@trap.test,{reason}\n" for name in names)


def test_lines_are_looked_at_and_then_imported(provider):
    names, csv = new_lines()
    preview = imported(provider.sam, csv)
    assert preview.status == 200 and pasted(preview) == csv and "ticket 20" in preview.text
    assert not listed(provider.sam, names[0])
    seen = seen_by(preview)
    for told in "new=2&replaced=0&same=0", "new=0&replaced=0&same=2":  # a double click
        path, query = location(imported(provider.sam, csv, seen=seen, confirm="1"))
        assert (path, query) == ("/desk/blocks", f"done=import&{told}")
    assert "2 new, 0 replaced" in provider.sam.get("/desk/blocks?done=import&new=2&replaced=0&same=0").text
    assert "Imported" not in provider.sam.get("/desk/blocks?done=import&new=2<&replaced=0&same=0").text
    [line] = listed(provider.sam, names[0])
    assert line.endswith(',"sam","ticket 20"')
    assert "There is nothing to import" in imported(provider.sam, csv).text
    assert pasted(imported(provider.sam, csv, change="1")) == csv


def test_lines_that_are_wrong_stay_as_they_were_typed(provider):
    names, csv = new_lines()
    csv = "\n" + csv + "nobody@,<b>\n" * 25
    answer = imported(provider.sam, csv, confirm="1")
    assert answer.status == 422 and pasted(answer) == csv
    assert "25 lines are wrong" in answer.text and "And 5 lines more" in answer.text
    assert re.search(r"Line 5, <strong>subject</strong>: <span lang=\"en\">", answer.text)
    assert 'name="confirm"' not in answer.text and not listed(provider.sam, names[0])
    answer = imported(provider.sam, csv, note="")
    assert answer.status == 400 and pasted(answer) == csv


def test_lists_that_others_change_meanwhile_are_looked_at_again(provider):
    names, csv = new_lines()
    seen = seen_by(imported(provider.sam, csv))
    assert provider.ada.post_form("/desk/blocks", {
        "csrf": provider.ada.csrf, "action": "block", "subject": f"{names[0]}@trap.test",
        "reason": "Mine.", "note": "x", "confirm": "1"}).status == 303
    again = imported(provider.sam, csv, seen=seen, confirm="1")
    assert again.status == 200 and "Others have changed" in again.text and pasted(again) == csv
    assert "Mine." in listed(provider.sam, names[0])[0] and not listed(provider.sam, names[1])
    location(imported(provider.sam, csv, seen=seen_by(again), confirm="1"))
    assert "A trap." in listed(provider.sam, names[0])[0] and listed(provider.sam, names[1])


def test_a_session_that_ends_loses_no_lines(provider):
    names, csv = new_lines()
    browser = provider.web.desk("sam")
    csrf, seen = browser.csrf, seen_by(imported(browser, csv))
    browser.post_form("/desk/sign-out", {"csrf": csrf})
    fields = {"csrf": csrf, "csv": csv, "note": "ticket 20", "seen": seen, "confirm": "1"}
    page = browser.post_form(IMPORT, fields)
    assert page.status == 403 and "what you typed is kept" in page.text
    kept = {html.unescape(name): html.unescape(value) for name, value in re.findall(
        r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)}
    assert kept == {"kept:csv": csv, "kept:note": "ticket 20", "kept_path": IMPORT}
    wrong = browser.sign_in("sam", "no such password", **kept)
    assert wrong.status == 403 and names[0] in wrong.text
    form = browser.sign_in("sam", **kept)
    assert form.status == 200 and pasted(form) == csv and 'value="ticket 20"' in form.text
    assert not listed(browser, names[0])
    late = browser.post_form(IMPORT, fields)  # from another tab, with the old session's token
    assert late.status == 403 and pasted(late) == csv and "Nothing was done" in late.text
    assert not listed(browser, names[0])
    location(browser.post_form(IMPORT, {**fields, "csrf": browser.csrf}))
    assert listed(browser, names[0])
    foreign = browser.post_form(IMPORT, fields, headers={"Origin": "https://evil.test"})
    assert foreign.status == 403 and names[0] not in foreign.text


def test_lines_of_who_may_only_look_are_not_imported(provider):
    names, csv = new_lines()
    assert provider.vic.get(IMPORT).status == 403
    answer = imported(provider.vic, csv, confirm="1")
    assert answer.status == 403 and not listed(provider.vic, names[0])
    page = provider.vic.get("/desk/blocks").text
    assert "blocks/export.csv" in page and "blocks/import" not in page
    again = provider.web.desk("vic")
    assert location(again.sign_in("vic", csv=csv, note="x"))[0] == "/desk/"


def test_the_same_lines_are_taken_when_the_store_is_back(store, folder):
    """A browser that loads the page with the error again sends them again."""
    web = Web(folder, store).start().hire()
    sam = web.desk("sam")
    names, csv = new_lines()
    fields = {"csrf": sam.csrf, "csv": csv, "note": "x", "confirm": "1",
              "seen": seen_by(imported(sam, csv))}
    store.take_away()
    try:
        assert sam.post_form(IMPORT, fields).status == 503
    finally:
        store.bring_back()
    eventually(lambda: sam.post_form(IMPORT, fields).status == 303, "the store is back")
    assert listed(sam, names[0])
    web.stop()
