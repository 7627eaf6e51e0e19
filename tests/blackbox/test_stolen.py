"""Passwords in lists of stolen ones: the files of ranges that sendguard-auth answers with, and the script in
Dovecot that asks it (contrib/dovecot)."""

import hashlib
import http.client
import os
import shutil
import subprocess

import pytest

from logins import KEY, RIGHT, Auth, Dovecot
from programs import BUILD, PATIENCE, TREE, eventually

SCRIPT = TREE / "contrib/dovecot/sendguard-stolen.lua"
CLI = BUILD / "sendguard"
ALICE, BOB = "alice@example.test", "bob@example.test"
STOLEN = hashlib.sha1(RIGHT.encode()).hexdigest().upper()
OTHERS = ["0018A45C4D1DEF81644B54AB7F969B88D65:1", "00D4F6E8FA6EECAD2A3AA415EEC418D38EC:2"]
BREACHED = "[ALERT] This mailbox is locked, since its password is in a list of stolen passwords; "


@pytest.fixture
def auth(folder, store):
    """A program that has one range: that of the password of all mailboxes."""
    ranges = folder / "ranges"
    ranges.mkdir()
    lines = [*OTHERS, f"{STOLEN[5:]}:12"]
    (ranges / f"{STOLEN[:5]}.txt").write_bytes("\r\n".join(lines).encode())
    auth = Auth(folder, store, {"auth": {"range_dir": ranges}}).start()
    yield auth
    auth.stop()


def get(auth, path, method="GET", key=KEY):
    """As a client of Have I Been Pwned, which has no key (None), or as one that may ask often."""
    link = http.client.HTTPConnection("127.0.0.1", auth.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    link.request(method, path, headers={"Add-Padding": "true", **headers})
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, answer.headers["Content-Type"], body


def test_ranges(auth, folder):
    ranges = folder / "ranges"
    whole = (ranges / f"{STOLEN[:5]}.txt").read_bytes()
    for name, key in ((STOLEN[:5], None), (STOLEN[:5].lower(), KEY)):
        assert get(auth, f"/range/{name}", key=key) == (200, "text/plain", whole)
    assert get(auth, "/range/00000")[0] == 404
    (ranges / "00000").write_text(OTHERS[0] + "\n")
    assert get(auth, "/range/00000") == (200, "text/plain", OTHERS[0].encode() + b"\n")
    (ranges / "auth").symlink_to(folder / "auth-key")
    for path in ("", "0000", "000000", "0000G", "00000.txt", "../auth-key", "%2e%2e%2fauth-key", "auth",
                 "00000/", "00000/../auth", "00000%00"):
        status, _, body = get(auth, f"/range/{path}")
        assert status == 400 and KEY.encode() not in body, path
    assert get(auth, "/range/00000", "POST")[0] == 405
    assert get(auth, "/range/00000?mode=ntlm")[0] == 400
    for number, content in enumerate((b"", OTHERS[0][:20].encode(), b"ABCDE" + OTHERS[0].encode(),
                                      OTHERS[0].encode() + b"\0", b"<html>", f"{OTHERS[0]}\n".encode() * 40_000)):
        (ranges / f"0000{number}").write_bytes(content)
        (ranges / f"0000{number}.txt").unlink(missing_ok=True)
        assert get(auth, f"/range/0000{number}")[0] == 500, content[:50]
    (ranges / "00009").symlink_to(folder / "auth-key")
    status, _, body = get(auth, "/range/00009")
    assert status == 500 and KEY.encode() not in body
    (ranges / "0000A").mkdir()
    os.mkfifo(ranges / "0000B")
    assert get(auth, "/range/0000A")[0] == get(auth, "/range/0000B")[0] == 500
    assert auth.log.wait('level=error msg="a file of stolen passwords cannot be read"')


def test_no_ranges(auth, folder):
    """The setting is taken over without a restart; --check names a folder that is not there."""
    auth.configure({"auth": {"range_dir": ""}})
    auth.reload()
    eventually(lambda: get(auth, f"/range/{STOLEN[:5]}")[0] == 404, "it is taken over")
    auth.configure({"auth": {"range_dir": folder / "nowhere"}})
    done = subprocess.run(auth.command("--check"), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "auth.range_dir: cannot be read" in done.stderr


# ---- the script in Dovecot -------------------------------------------------------------------------

@pytest.fixture
def signing_in(auth, folder):
    """Two mailboxes of a Dovecot with the script, as its scope says."""
    servers = []

    def make(scope="sending", port=None):
        text = SCRIPT.read_text()
        for before, after in (("127.0.0.1:9404", f"127.0.0.1:{port or auth.port}"), ("THE-KEY", KEY),
                              ('scope = "sending"', f'scope = "{scope}"')):
            assert text.count(before) == 1
            text = text.replace(before, after)
        script = folder / "sendguard-stolen.lua"
        script.write_text(text)
        script.chmod(0o640)
        shutil.chown(script, "root", "dovecot")
        dovecot = Dovecot(folder, auth.port, script)
        servers.append(dovecot)
        dovecot.add(ALICE, BOB)
        return dovecot.start()

    yield make
    for server in servers:
        server.stop()


def shell(auth, *words):
    return subprocess.run([CLI, "-c", auth.config_path, *words], capture_output=True, text=True,
                          check=True).stdout


def suspended(auth):
    return shell(auth, "suspended")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot runs as several users")


@needs_root
def test_signing_in_may_go_on(auth, signing_in):
    """Softly: who signs in is let in, and sends nothing more until the password was changed."""
    dovecot = signing_in()
    assert dovecot.sign_in(ALICE, "guess") == dovecot.sign_in("nobody@example.test") != ""
    assert not auth.log.matching("is locked")
    assert dovecot.sign_in(ALICE) == ""
    assert f"mailbox={ALICE}" in auth.log.wait("is locked, since its password is in a list of stolen ones")[0]
    eventually(lambda: "breached" in suspended(auth), "sending is suspended")
    assert dovecot.sign_in(ALICE) == ""
    assert len(auth.log.matching("is locked, since")) == 1
    assert ALICE in suspended(auth) and BOB not in suspended(auth)


@needs_root
def test_nobody_signs_in(auth, signing_in):
    """Strictly: the very sign-in is refused, and says why."""
    dovecot = signing_in("login")
    assert dovecot.sign_in(ALICE).startswith(BREACHED)
    assert dovecot.sign_in(ALICE, "guess") == "[AUTHENTICATIONFAILED] Authentication failed."
    eventually(lambda: "breached" in suspended(auth), "sending is suspended")
    shell(auth, "password-changed", ALICE, "--note", "x")
    dovecot.passwords.write_text(f"{ALICE}:{{PLAIN}}another-one::::::\n")
    eventually(lambda: dovecot.sign_in(ALICE, "another-one") == "", "it is open")
    assert "breached" not in suspended(auth)


@needs_root
def test_an_offence_stays_one(auth, signing_in):
    """After the mailbox was opened again the password of the offence lets nobody in, though it is in a list and
    the script locks softly."""
    dovecot, known = signing_in(), auth.folder / "ranges" / f"{STOLEN[:5]}.txt"
    listed = known.read_bytes()
    known.unlink()
    assert dovecot.sign_in(ALICE) == ""
    eventually(lambda: "127.0.0.1" in shell(auth, "logins", ALICE), "it is in the store")
    shell(auth, "lock", ALICE, "--note", "spam from abroad")
    eventually(lambda: "is locked" in dovecot.sign_in(ALICE), "it is locked")
    shell(auth, "password-changed", ALICE, "--note", "x")
    shell(auth, "lock", BOB, "--note", "what comes later is known later")
    eventually(lambda: "is locked" in dovecot.sign_in(BOB), "it is open again")
    known.write_bytes(listed)
    for _ in range(2):
        assert dovecot.sign_in(ALICE).startswith(BREACHED)


@needs_root
def test_nobody_answers(auth, signing_in):
    """Whatever goes wrong with the script, who has the right password signs in, and nobody else."""
    dovecot = signing_in("login", port=1)
    assert dovecot.sign_in(ALICE) == ""
    assert dovecot.sign_in(ALICE, "guess") != ""
    (auth.folder / "sendguard-stolen.lua").write_text("function auth_password_verify() error('x') end")
    dovecot.stop()
    dovecot.start()
    assert dovecot.sign_in(BOB) == ""
    assert dovecot.sign_in(BOB, "guess") != ""
