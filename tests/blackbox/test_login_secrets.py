"""Who gets the store, the logs or a core of sendguard-auth finds no password there, and nothing to try
passwords with but the 12 bits that Dovecot sends."""

import base64
import hashlib
import os
import pathlib
import subprocess

import pytest

from logins import KEY, RIGHT, Auth, Dovecot
from programs import BUILD, PATIENCE, eventually, freeze, thaw

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot runs as several users")

ALICE = "alice@example.test"
STRANGERS = ["battery-staple", "wrong-again"]
PAGE = 4096
NOTE = "seen-in-a-phishing-mail"


@pytest.fixture
def place(folder, store):
    auth = Auth(folder, store).start()
    dovecot = Dovecot(folder, auth.port)
    dovecot.add(ALICE)
    dovecot.start()
    yield auth, dovecot
    dovecot.stop()
    auth.stop()


def shell(auth, *words):
    return subprocess.run([BUILD / "sendguard", "-c", auth.config_path, *words], capture_output=True,
                          text=True, check=True, timeout=PATIENCE).stdout


def encodings(secret):
    """As it is, as hexadecimal digits, and as base64 wherever in that it begins."""
    return {secret, secret.hex().encode(), secret.hex().upper().encode(),
            *(base64.b64encode(b"\0" * before + secret)[4:-4] for before in range(3))}


def made_by_dovecot(password):
    """The digest of which Dovecot sends 12 bits: of the nonce too."""
    return hashlib.sha256(b"tests" + ALICE.encode() + b"\0" + password.encode()).digest()


def needles(password):
    """The password, and digests by which it can be found."""
    word = password.encode()
    digests = [hashlib.new(how, text).digest() for how in ("md5", "sha1", "sha256", "sha512")
               for text in (word, ALICE.encode() + b"\0" + word)]
    return set().union(*map(encodings, [word, made_by_dovecot(password), *digests]))


def memory_of(process):
    """What a core would have, but for pages that nobody wrote to."""
    freeze(process.pid)
    pieces = []
    with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if " r" in line and "[v" not in line:  # those of the kernel cannot be read
                pieces += (os.pread(memory.fileno(), PAGE, at) for at in range(begin, end, PAGE))
    thaw(process.pid)
    return b"".join(piece for piece in pieces if piece.strip(b"\0"))


def files_of(auth, dovecot, secrets):
    """What lies in the folder, but for the files of secrets and what is Dovecot's."""
    return b"\n".join(path.read_bytes() for path in auth.folder.rglob("*")
                      if path.is_file() and path not in secrets and dovecot.folder not in path.parents)


def everything_happens(auth, dovecot):
    """Right and wrong passwords, a lock, and the old password once more; what the command line says of it."""
    assert dovecot.sign_in(ALICE) == ""
    for password in STRANGERS:
        assert "Authentication failed" in dovecot.sign_in(ALICE, password, "127.0.0.5")
    eventually(lambda: "127.0.0.5" in shell(auth, "logins", ALICE), "it is in the store")
    said = shell(auth, "lock", ALICE, "--note", NOTE)
    eventually(lambda: "This mailbox is locked" in dovecot.sign_in(ALICE), "it is locked")
    said += shell(auth, "password-changed", ALICE, "--note", NOTE)
    auth_says = 'msg="a mailbox is locked again'
    eventually(lambda: dovecot.sign_in(ALICE) and auth.log.matching(auth_says), "it is locked again")
    return said + "".join(shell(auth, *words) for words in (
        ("logins", ALICE, "--json"), ("audit", ALICE, "--json"), ("show", ALICE),
        ("reopen", ALICE, "--preview")))


def test_no_password_is_anywhere(place):
    auth, dovecot = place
    secrets = [auth.settings["auth"]["key_file"], auth.settings["web"]["secret_file"]]
    said = everything_happens(auth, dovecot)
    places = {"memory": memory_of(auth.process), "files": files_of(auth, dovecot, secrets),
              "log": (said + auth.log.text()).encode()}
    # What is there is found: the key and the 12 bits in memory, where the requests are.
    assert NOTE.encode() in places["files"] and ALICE.encode() in places["log"]
    sent = f'"pwhash":"0{made_by_dovecot(RIGHT).hex()[:3]}"'.encode()
    assert KEY.encode() in places["memory"] and sent in places["memory"]
    for password in (RIGHT, *STRANGERS):
        for needle in needles(password):
            found = [name for name, content in places.items() if needle in content]
            assert not found, (password, needle)
    for path in secrets:
        for needle in encodings(path.read_bytes().strip()):
            assert needle not in places["files"] and needle not in places["log"], path
