"""The containers of contrib/container/compose.yml, started as docs/containers.md says.

Runs as root inside the namespaces that tests/container/run makes, with its image.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

TREE = pathlib.Path(os.environ["TREE"])
COMPOSE = ("podman-compose", "-p", "sendguard", "-f", "contrib/container/compose.yml")
PATIENCE = 300
FCGI, MTA = "/srv/sendguard/fcgi/fcgi.sock", "/var/spool/postfix/sendguard/mta.sock"


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], cwd=TREE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **{"stdin": subprocess.DEVNULL, **more})
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def documented(first):
    """The commands of the block that holds a line which begins so: that line and those behind it."""
    [block] = [block for block in re.findall(r"^```sh\n(.*?)^```", (TREE / "docs/containers.md").read_text(), re.M | re.S)
               if re.search(f"^{re.escape(first)}", block, re.M)]
    return block[block.index(first):]


def eventually(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)


def mta_says():
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(MTA)
        link.sendall(b"request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nsasl_username=alice@example.org\n"
                     b"sender=alice@example.org\ninstance=%d\nclient_address=192.0.2.1\nrecipient_count=1\n\n" % time.time_ns())
        return link.recv(4096).decode()


def used_today():
    """By what a container other than the policy service's finds in the volume."""
    shown = json.loads(run("podman", "exec", "sendguard_web_1", "sendguard", "show", "alice@example.org", "--json"))
    [used] = [window["used"] for window in shown["windows"]
              if (window["rule"], window["channel"]) == ("messages_per_day", "webmail")]  # of SMTP too
    return used


@pytest.fixture(scope="module")
def running():
    begin = documented("sudo install -d -m 2750")
    run("bash", "-ec", 'sudo() { "$@"; }\n' + begin[:begin.index("podman exec")])
    yield
    run(*COMPOSE, "down", check=False)


def logs(service):
    return run("podman", "logs", f"sendguard_{service}_1")


def test_the_services_of_the_document_work(running):
    for service in ("fcgi", "web", "mta"):
        eventually(lambda name=service: "msg=listening" in logs(name), f"{service} listens")
        assert "level=error" not in logs(service)
        run("podman", "healthcheck", "run", f"sendguard_{service}_1")
    assert mta_says().startswith("action=DUNNO")
    assert pathlib.Path(FCGI).is_socket() and pathlib.Path(FCGI).group() == "www-data"
    assert used_today() == 1
    run("podman", "exec", "-i", "sendguard_web_1", "sendguard", "staff", "add", "ada", "--role", "admin", "--note", "x",
        input="correct horse battery\n", stdin=None)
    address = run("podman", "inspect", "-f", '{{(index .NetworkSettings.Networks "sendguard_sendguard").IPAddress}}',
                  "sendguard_web_1").strip()
    assert "<html" in run("curl", "-s", "-m", PATIENCE, f"http://{address}:9401/sending/status?t=x")


def test_a_container_has_no_rights(running):
    for service in ("fcgi", "web", "mta"):
        status = run("podman", "exec", f"sendguard_{service}_1", "cat", "/proc/1/status")
        assert re.search(r"^Uid:\s+940\s", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert "Read-only file system" in run("podman", "exec", "-u", "0", f"sendguard_{service}_1", "touch", "/etc/x",
                                              check=False)


def test_a_key_in_the_volume_serves_what_needs_it(running):
    run("bash", "-ec", "set -o pipefail\n" + documented("openssl rand"))
    run(*COMPOSE, "up", "-d", "auth", "milter")
    for service in ("auth", "milter"):
        eventually(lambda name=service: "msg=listening" in logs(name), f"{service} listens")
        run("podman", "healthcheck", "run", f"sendguard_{service}_1")


def test_it_ends_in_time_and_goes_on_where_it_was(running):
    run("podman", "stop", "-t", "15", "sendguard_mta_1")
    assert "msg=ending" in logs("mta") and not pathlib.Path(MTA).exists()
    assert run("podman", "inspect", "-f", "{{.State.ExitCode}}", "sendguard_mta_1").strip() == "0"
    run("podman", "start", "sendguard_mta_1")
    eventually(pathlib.Path(MTA).exists, "it listens again")
    assert mta_says().startswith("action=DUNNO")
    assert used_today() == 2
