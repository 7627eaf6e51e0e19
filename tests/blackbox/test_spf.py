"""SPF of the sender domains: whether their records let the hosts send that mail leaves from."""

import html
import json
import re
import shlex
import signal
import subprocess
import time

import pytest

from dns import dns_server
from endpoint import Endpoint, Sender, new_ip
from mta import DUNNO, start_mta  # noqa: F401 (a fixture)
from mta import User
from programs import BUILD, PATIENCE, TREE, eventually
from test_api import call
from test_cli import Shell
from test_delivery import Log
from web import Client, Program, Web, status_link

ZONE = """\
; records of a file in the place of the DNS
good.test       TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"
soft.test       TXT "v=spf1 mx ~all"
                MX  10 mail.soft.test
mail.soft.test  A   192.0.2.1
loop.test       TXT "v=spf1 include:loop.test -all"
two.test        TXT "v=spf1 -all"
two.test        TXT "v=spf1 +all"
"""
OUTGOING = ("-o", "spf.outgoing=192.0.2.1 2001:db8::1")


@pytest.fixture
def shell(sqlite_store, folder):
    return Shell(folder, sqlite_store)


@pytest.fixture
def zone(folder):
    file = folder / "zone"
    file.write_text(ZONE)
    return file


def test_a_domain_that_names_us(shell, zone):
    assert shell.ok("spf", "good.test", "--records", zone, *OUTGOING).splitlines() == [
        "good.test: all addresses pass.",
        "  192.0.2.1: pass, by ip4:192.0.2.0/24",
        "  2001:db8::1: pass, by ip6:2001:db8::/32"]
    assert shell.json("spf", "GOOD.test", "--records", zone, *OUTGOING) == {
        "domain": "good.test", "names_us": True, "advice": None, "results": [
            {"ip": "192.0.2.1", "result": "pass", "term": "ip4:192.0.2.0/24", "record": "good.test",
             "problem": None},
            {"ip": "2001:db8::1", "result": "pass", "term": "ip6:2001:db8::/32", "record": "good.test",
             "problem": None}]}


def test_the_term_to_add(shell, zone):
    done = shell.run("spf", "soft.test", "--records", zone, *OUTGOING)
    assert done.returncode == 1 and done.out.splitlines() == [
        "soft.test: not all addresses pass.",
        "  192.0.2.1: pass, by mx",
        "  2001:db8::1: softfail, by ~all",
        "Write ip6:2001:db8::1 into the SPF record of soft.test, before the term ~all."]
    added = zone.with_name("added")
    added.write_text(zone.read_text().replace("mx ~all", "mx ip6:2001:db8::1 ~all"))
    shell.ok("spf", "soft.test", "--records", added, *OUTGOING)
    assert shell.ok("spf", "soft.test", "--records", zone, *OUTGOING, "--ip", "192.0.2.1")


def test_records_that_are_wrong(shell, zone):
    done = shell.run("spf", "loop.test", "--records", zone, *OUTGOING)
    assert done.returncode == 1 and "more than 10 terms" in done.out and "first terms" in done.out
    done = shell.run("spf", "two.test", "--records", zone, *OUTGOING)
    assert done.returncode == 1 and "Make one record of them" in done.out
    done = shell.run("spf", "none.test", "--records", zone, *OUTGOING)
    record = re.search(r"v=spf1 .*", done.out).group()
    zone.write_text(ZONE + f'none.test TXT "{record}"\n')
    shell.ok("spf", "none.test", "--records", zone, *OUTGOING)


def test_what_cannot_be_read(shell, zone):
    assert "spf.outgoing" in shell.fails(64, "spf", "good.test", "--records", zone)
    assert "192.0.2" in shell.fails(64, "spf", "good.test", "--records", zone, "--ip", "192.0.2")
    assert "good..test" in shell.fails(64, "spf", "good..test", "--records", zone, *OUTGOING)
    zone.write_text(ZONE + "bad.test TXT v=spf1 -all\n")
    said = shell.fails(1, "spf", "good.test", "--records", zone, *OUTGOING)
    assert f"{str(zone)[:48]}" in said and ":9: expected the text behind TXT in quotation marks" in said
    assert "No such file" in shell.fails(1, "spf", "good.test", "--records", zone.with_name("not"), *OUTGOING)
    zone.write_text(";" * (1024 * 1024 + 1))
    assert "1 MiB" in shell.fails(1, "spf", "good.test", "--records", zone, *OUTGOING)


def test_the_dns_is_asked(shell, folder):
    with dns_server(folder) as dns:
        words = ("spf", "good.test", *OUTGOING, "-o", f"spf.resolver={dns.resolver}")
        dns.says('good.test 300 TXT "v=spf1 a:www.good.test ip6:2001:db8::1 -all"',
                 "www.good.test 300 CNAME mail.good.test",
                 "mail.good.test 300 A 192.0.2.1")
        assert "192.0.2.1: pass, by a:www.good.test" in shell.ok(*words)
        dns.says("good.test 300 SERVFAIL")
        done = shell.run(*words)
        assert done.returncode == 1 and done.out.splitlines() == [
            "good.test: not known, since the DNS does not answer.",
            "  192.0.2.1: temperror", "  2001:db8::1: temperror"]
        view = shell.run(*words, "--json").out
        assert '"names_us": null' in view and '"advice": null' in view


def test_the_example_of_the_document(shell, folder):
    text = (TREE / "docs/spf.md").read_text()
    (folder / "example.zone").write_text(re.search(r"```\n(shop\.test .*?)```", text, re.S).group(1))
    command, shown = re.search(r"```console\n\$ sendguard (.*?)\n(.*?)```", text, re.S).groups()
    words = [word.replace("example.zone", str(folder / "example.zone")) for word in shlex.split(command)]
    done = shell.run(*words)
    assert done.returncode == 1 and done.out == shown


# ---- sendguard-feedback ----------------------------------------------------------------------


class Watched:
    """A mail server's log that sendguard-feedback follows, and a DNS for it."""

    def __init__(self, mta, store, dns, folder, settings=(), environment=None):
        self.mta, self.dns, self.log = mta, dns, Log(folder, mta)
        self.shell = Shell(folder, store)
        self.shell.options += ["-c", str(mta.config_path)]
        for setting in (f"feedback.source=file:{self.log.path}", f"spf.resolver={dns.resolver}",
                        "spf.outgoing=192.0.2.1", *settings):
            self.shell.options += ["-o", setting]
        self.shell.environment.update(environment or {})
        self.start()

    def start(self, *more):
        self.program = subprocess.Popen([BUILD / "sendguard-feedback", *self.shell.options, *more],
                                        env=self.shell.environment, stderr=subprocess.PIPE, text=True)

    def send(self, number, mailbox):
        user = User(self.mta, mailbox)
        queue_id = f"4F0A{number:02X}"
        self.log.begin(queue_id, mailbox)
        assert user.end(1, queue_id=queue_id) == DUNNO
        self.log.queued(queue_id, f"<{number}@example.test>", 1)

    def stop(self):
        self.program.send_signal(signal.SIGTERM)
        self.said = self.program.communicate(timeout=PATIENCE)[1]
        assert self.program.returncode == 0, self.said


@pytest.fixture
def watched(folder, store, start_mta):  # noqa: F811
    with dns_server(folder) as dns:
        dns.says('good.test 3600 TXT "v=spf1 ip4:192.0.2.1 -all"',
                 'bad.test 3600 TXT "v=spf1 mx -all"', "broken.test 3600 SERVFAIL")
        watched = Watched(start_mta(store), store, dns, folder)
        yield watched
        if watched.program.poll() is None:
            watched.stop()


@pytest.fixture
def client(folder, store):
    web = Web(folder, store).start()
    yield Client(web)
    web.stop()


def gauges(client):
    """{"spf_dns_up": 1, "named": 2, …}"""
    found = re.findall(r'^sendguard_(spf_dns_up|spf_domains)\{host="[^"]+"(?:,state="(\w+)")?\} (\d+)$',
                       client.get("/metrics").text, re.M)
    return {state or name: int(value) for name, state, value in found}


def test_domains_that_send_are_looked_at(watched, client):
    for number, domain in enumerate(("good.test", "bad.test", "broken.test", "nothing.test")):
        watched.send(number, f"alice@{domain}")
    expected = {"spf_dns_up": 1, "named": 1, "not_named": 2, "unknown": 1}
    eventually(lambda: gauges(client) == expected, "all are looked at")
    watched.stop()
    for domain, missing in (("bad.test", "ip4:192.0.2.1"), ("nothing.test", '"v=spf1 ip4:192.0.2.1 ~all"')):
        assert re.search(f"does not let our mail servers send.* domain={domain} missing={missing}", watched.said)
    assert "good.test" not in watched.said and "broken.test" not in watched.said


def test_a_dns_that_is_away(watched, client):
    """It is told within a minute, no message waits, and what is known of domains stays."""
    watched.send(1, "alice@good.test")
    eventually(lambda: gauges(client).get("named") == 1, "it is looked at")
    watched.dns.is_away()
    began = time.monotonic()
    eventually(lambda: gauges(client)["spf_dns_up"] == 0, "it is told", 120)
    found = json.loads(watched.shell.run("doctor", "spf", "--json").out)[0]
    assert found["state"] == "bad" and "has not answered" in found["found"] and "resolv.conf" in found["advice"]
    assert time.monotonic() - began < 120
    watched.send(2, "alice@other.test")
    assert gauges(client)["named"] == 1 and gauges(client)["not_named"] == 0
    watched.dns.says('good.test 3600 TXT "v=spf1 ip4:192.0.2.1 -all"',
                     'other.test 3600 TXT "v=spf1 ip4:192.0.2.0/24 -all"')
    eventually(lambda: gauges(client) == {"spf_dns_up": 1, "named": 2, "not_named": 0, "unknown": 0},
               "it answers again")
    found = json.loads(watched.shell.ok("doctor", "spf", "--json"))[0]
    assert found["state"] == "ok" and "all 2 domains" in found["found"]
    watched.stop()
    assert "the DNS does not answer" in watched.said and "the DNS answers again" in watched.said


def test_what_doctor_says_of_it(watched):
    watched.send(1, "alice@bad.test")
    eventually(lambda: "1 of 1 domains" in watched.shell.run("doctor", "spf").out, "it is looked at")
    assert json.loads(watched.shell.run("doctor", "spf", "--json").out)[0]["state"] == "warn"
    found = json.loads(watched.shell.ok("-o", "spf.mode=off", "doctor", "spf", "--json"))[0]
    assert found["state"] == "skip" and "mode = observe" in found["advice"]


# ---- what people and programs read of it ------------------------------------------------------


@pytest.fixture
def known(watched, client):
    """A domain that lets us send, one that does not, and one of which nobody knows."""
    for number, domain in enumerate(("good.test", "bad.test", "broken.test")):
        watched.send(number, f"alice@{domain}")
    eventually(lambda: gauges(client).get("unknown") == 1 and gauges(client).get("not_named") == 1, "looked at")
    return watched


@pytest.fixture
def web(known, folder, store):
    outgoing = {"spf": {"outgoing": "192.0.2.1", "mode": "warn"}}
    web = Web(folder, store, outgoing).hire().start()
    yield web
    web.stop()


ADVICE = "Write ip4:192.0.2.1 into the SPF record of bad.test, before the term -all."


def test_the_api(web):
    program = Program(web, web.token("m", "viewer"))
    document = program.get("/api/v1/openapi.json").json
    page = call(document, program, "get", "/spf").json
    assert [one["domain"] for one in page["domains"]] == ["bad.test"] and page["next"] is None
    assert page["mode"] == "warn" and page["outgoing"] == ["192.0.2.1"]
    assert [one["dns"] for one in page["checkers"]] == [True]
    bad = page["domains"][0]
    assert bad["advice"] == ADVICE and bad["since"] is not None and bad["results"][0]["term"] == "-all"
    assert call(document, program, "get", "/spf", {"after": "bad.test"}).json["domains"] == []
    for domain, names_us in (("good.test", True), ("bad.test", False), ("broken.test", None)):
        view = call(document, program, "get", "/domains/{domain}", domain=domain).json
        assert view["spf"]["names_us"] is names_us
    assert call(document, program, "get", "/domains/{domain}", domain="never.test").json["spf"] is None


def test_the_list_of_a_shell(known, store):
    lines = known.shell.ok("spf").splitlines()
    assert len(lines) == 2 and re.fullmatch(r"bad\.test, since \d{4}-\d\d-\d\d \d\d:\d\d \(.*\)", lines[0])
    assert lines[1] == "  " + ADVICE
    view = known.shell.json("spf")
    assert [(one["domain"], one["advice"]) for one in view["domains"]] == [("bad.test", ADVICE)]
    assert view["next"] is None and [one["dns"] for one in view["checkers"]] == [True]
    assert "spf.mode is off" in known.shell.ok("spf", "-o", "spf.mode=off")
    assert "name it" in known.shell.fails(64, "spf", "--ip", "192.0.2.1")
    known.dns.fails()
    known.send(4, "alice@other.test")
    eventually(lambda: "The DNS does not answer" in known.shell.ok("spf"), "a look that failed asks at once")
    assert "bad.test, since" in known.shell.ok("spf")


def test_many_domains_at_a_shell(known):
    """More than a page of the desk has."""
    domains = [f"d{number:03}.test" for number in range(150)]
    for number, domain in enumerate(domains):
        known.send(16 + number, f"alice@{domain}")
    eventually(lambda: len(known.shell.json("spf")["domains"]) == 151, "all are looked at", 60)
    assert [one["domain"] for one in known.shell.json("spf")["domains"]] == ["bad.test", *domains]
    known.stop()
    known.shell.options += ["-o", "spf.outgoing=192.0.2.9"]
    began = time.monotonic()
    known.start()
    eventually(lambda: [one for one in known.shell.json("spf")["domains"] if "192.0.2.9" in one["advice"]][150:],
               "another address: all are due at once", 60)
    assert time.monotonic() - began > 150 / 20, "20 a second at most"


def test_nobody_looks(shell):
    assert "spf.outgoing is not set" in shell.ok("spf")
    assert "No machine has looked" in shell.ok("spf", *OUTGOING)


def test_the_desk(web):
    desk = web.desk("sam")
    assert "Domains whose SPF record does not let our mail servers send: 1" in desk.get("/desk/").text
    page = desk.get("/desk/spf").text
    assert ADVICE in page and "good.test" not in page and "broken.test" not in page
    assert ADVICE in desk.get("/desk/domains/bad.test").text
    assert "It lets our mail servers send." in desk.get("/desk/domains/good.test").text
    assert "it is not known whether" in desk.get("/desk/domains/broken.test").text
    german = desk.get("/desk/spf", headers={"Accept-Language": "de"}).text
    assert "Schreiben Sie ip4:192.0.2.1 in den SPF-Eintrag von bad.test, vor den Teil -all." in german


def test_a_user_is_warned(web, known, start, store):
    endpoint = Endpoint(start(store))
    for mailbox, warned in (("alice@bad.test", True), ("alice@good.test", False)):
        path = status_link(Sender(endpoint, mailbox, new_ip()))
        for language, words in (("en", ADVICE), ("de", "Schreiben Sie ip4:192.0.2.1"), ("fr", "avant l'élément -all"),
                                ("es", "Escriba ip4:192.0.2.1")):
            page = Client(web, {"Accept-Language": language}).get(path).text
            assert (words in html.unescape(page)) == warned, language
        view = Client(web, {"Accept": "application/json"}).get(path).json
        assert view.get("spf", {}).get("advice") == (ADVICE if warned else None)
    endpoint.close()
