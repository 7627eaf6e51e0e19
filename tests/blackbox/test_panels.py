"""What panels run when a password was changed (contrib/panels), with the arguments that they give."""

import json
import os
import subprocess

import pytest

from programs import PATIENCE, TREE
from web import Web

TELLS = TREE / "contrib/panels/sendguard-password-changed"


@pytest.fixture
def web(folder, store):
    web = Web(folder, store)
    web.start()
    token = web.folder / "panel-token"
    token.write_text(web.token("panel", "panel") + "\n")
    yield web
    web.stop()


def tell(web, *words, text=""):
    """As the panel does, in an environment that has nothing else."""
    return subprocess.run([TELLS, *words], input=text, text=True, capture_output=True, check=False,
                          timeout=PATIENCE,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                               "SENDGUARD_API": f"http://127.0.0.1:{web.port}/api/v1",
                               "SENDGUARD_TOKEN": str(web.folder / "panel-token")})



@pytest.mark.parametrize("mailbox", ["alice@example.test", "o'neill+x%2f/y?&#@example.test"])
def test_by_staff(web, mailbox):
    web.shell("lock", mailbox, "--note", "spam")
    done = tell(web, mailbox)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(web.shell("suspended", "--json"))["suspended"] == []


def test_of_postfixadmin(web):
    """Its user knew the old password: mailbox_postpassword_script, with both passwords on standard input."""
    web.shell("lock", "bob@example.test", "--note", "spam")
    done = tell(web, "--owner", "bob@example.test", "example.test", text="old\0new\0")
    assert done.returncode == 0, done.stderr
    told = json.loads(web.shell("audit", "bob@example.test", "--json"))["actions"][0]
    assert (told["action"], told["by"], told["note"]) == ("password_changed", "token:panel", "changed in the panel")
    assert told["detail"]["phase"] == "locked"
    assert not any(secret in json.dumps(told) for secret in ("old", "new"))


def test_what_goes_wrong_is_said(web):
    assert tell(web).returncode == 64
    assert "400" in tell(web, "nobody").stderr
    (web.folder / "panel-token").write_text("sg.panel.x\n")
    refused = tell(web, "bob@example.test")
    assert refused.returncode != 0 and "401" in refused.stderr
    (web.folder / "panel-token").unlink()
    assert tell(web, "bob@example.test").returncode != 0
    web.stop()
    assert tell(web, "bob@example.test").returncode != 0
