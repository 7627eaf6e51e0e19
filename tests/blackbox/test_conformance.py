"""contrib/webmail/conformance: what finds nothing wrong in the example and in Roundcube's plugin, and what finds wrong
in plugins that are."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from endpoint import PATH, new_mailbox
from postfix import Stack
from programs import PATIENCE, TREE, Nginx, free_port, nginx_example

pytestmark = pytest.mark.either_store

FOLDER = TREE / "contrib/webmail"
STEPS = 18


class Conformance:
    """The script in front of an endpoint, with ports of its own."""

    def __init__(self, endpoint):
        self.endpoint, self.http, self.smtp = endpoint, free_port(), free_port()

    def run(self, command, *options, mailbox=None, **more):
        """Its exit status, and what it prints."""
        mailbox = mailbox or new_mailbox()
        environment = dict(os.environ, GUARD=f"http://127.0.0.1:{self.http}{PATH}", SMTP=f"127.0.0.1:{self.smtp}",
                           **more)
        done = subprocess.run(
            [sys.executable, FOLDER / "conformance", "--guard", f"http://127.0.0.1:{self.endpoint}{PATH}",
             "--http", f"127.0.0.1:{self.http}", "--smtp", f"127.0.0.1:{self.smtp}", "--mailbox", mailbox,
             "--send", command, "--patience", str(PATIENCE), *options],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10 * PATIENCE)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def conformance(guard, new_folder):
    port = free_port()
    nginx = Nginx(folder := new_folder(), nginx_example(folder, guard, {8080: free_port(), 8081: port, 8082: free_port()}))
    nginx.start([port])
    yield Conformance(port)
    nginx.stop()


def test_the_example_conforms(conformance):
    status, printed = conformance.run(f"{sys.executable} {FOLDER}/send-example", "--identity", "sales@example.test",
                                      GUARD_SECONDS="6")
    assert (status, printed.splitlines()[-1]) == (0, f"{STEPS} passed, 0 failed, 0 not tried"), printed


def test_the_guides_commands(conformance):
    text = (TREE / "docs/webmail-endpoint.md").read_text()
    commands = re.search(r"^```sh\n(curl .*?)^```", text, re.M | re.S).group(1).replace(":8081", f":{conformance.endpoint}")
    done = subprocess.run(["sh", "-euc", commands], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=True)
    assert '"verdict":"admit"' in done.stdout and '"refunded":true' in done.stdout, done.stdout


MUTANTS = [
    ("fields", '"bcc": typed(message["bcc"])', '"bcc": []', "the question does not name hidden@example.com in bcc"),
    ("lost", '        return call("POST", "", body)\n\n\ndef refund',
     '        return call("POST", "", body.replace(b"@webmail", b"@again"))\n\n\ndef refund',
     "it asked again with another id: the message counts twice"),
    ("deferred", "if certainly:", "if False:", "the charge was not refunded, though the message was certainly not sent"),
    ("unknown", "return False, str(error)", "return True, str(error)",
     "Conformance: unknown: its charge was refunded, though the mail server may have it"),
    ("suspended", "if status not in (200, 202):", "if status in (422, 429):",
     "the message was handed in 1 times, expected not at all"),
    ("unavailable", "status not in (200, 202)", "status not in (200, 202, 503)",
     "the message was handed in 1 times, expected not at all"),
    ("from", '"mailbox": message["mailbox"],', '"mailbox": message["from"],',
     "mailbox is sales@example.test, expected the account's MAILBOX"),
    ("limit", 'print(answer.get("message") or', "print(",
     "the user does not read the reference of the refusal (C0NF-0RM4-NCE5), so perhaps nothing of it"),
    ("silent", "float(os.environ", "600 + float(os.environ", "the webmail still waits after 5 seconds"),
]


@pytest.mark.parametrize("step, before, after, said", MUTANTS, ids=[mutant[0] for mutant in MUTANTS])
def test_a_plugin_that_is_wrong_is_found(conformance, folder, step, before, after, said):
    text = (FOLDER / "send-example").read_text()
    assert text.count(before) == 1
    (folder / "send").write_text(text.replace(before, after))
    mailbox = new_mailbox()
    more = {"silent": ["--patience", "5"], "deferred": ["--settle", "2"]}.get(step, [])
    status, printed = conformance.run(f"{sys.executable} {folder}/send", "--only", step, "--identity", "sales@example.test",
                                      *more, mailbox=mailbox, GUARD_SECONDS="60")
    assert status == 1 and said.replace("MAILBOX", mailbox) in [re.sub("^ *(FAIL  )?", "", line)
                                                               for line in printed.splitlines()], printed


@pytest.mark.each_store  # the stack has one of its own
@pytest.mark.skipif(os.geteuid() != 0, reason="each program runs as a user of its own")
def test_roundcubes_plugin_conforms():
    stack = Stack()
    try:
        conformance = Conformance(stack.port("submissions"))
        mailbox = stack.new_mailbox()
        for name, before, after in (
                ("plugins/sendguard/config.inc.php", str(stack.port("submissions")), str(conformance.http)),
                ("config/config.inc.php", f"'127.0.0.1:{stack.port('smtp')}'", f"'127.0.0.1:{conformance.smtp}'")):
            path = stack.folder / "rc" / name
            assert before in path.read_text()
            path.write_text(path.read_text().replace(before, after))
        hook = pathlib.Path(__file__).with_name("roundcube_sends.py")
        status, printed = conformance.run(f"{sys.executable} {hook} {stack.port('webmail')}", mailbox=mailbox)
        assert (status, printed.splitlines()[-1]) == (0, f"{STEPS - 1} passed, 0 failed, 1 not tried"), printed
    finally:
        stack.down()
