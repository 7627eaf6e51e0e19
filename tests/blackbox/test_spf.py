"""SPF of the sender domains: whether their records let the hosts send that mail leaves from."""

import contextlib
import re
import shlex
import subprocess
import sys

import pytest

from programs import TREE
from test_cli import Shell

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


class Dns:
    """A DNS server of the test's own, and what is written for it."""

    def __init__(self, folder, port):
        self.file, self.resolver = folder / "dns.zone", f"127.0.0.1@{port}"

    def says(self, *records):
        new = self.file.with_suffix(".new")
        new.write_text("".join(record + "\n" for record in records))
        new.rename(self.file)

    def is_away(self):
        self.file.unlink(missing_ok=True)


@contextlib.contextmanager
def dns_server(folder):
    with subprocess.Popen([sys.executable, TREE / "tests/dns_server.py", folder / "dns.zone"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Dns(folder, int(server.stdout.readline()))
        server.stdin.close()


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
