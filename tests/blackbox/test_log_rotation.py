"""A log that Postfix' own postlogd writes, and that `postfix logrotate` renames and compresses."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from programs import BUILD, PATIENCE, TREE

READER = BUILD / "tests/systemd/log_reader"
ROTATIONS, LINES = 2, 3000  # so many lines before each rotation, while it goes on, and behind all

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
maillog_file_compressor = {compressor}
inet_interfaces = loopback-only
multi_instance_enable = yes
"""
MASTER_CF = """
postlog   unix-dgram n  -       n       -       1       postlogd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
"""


@pytest.fixture
def folder():
    """Of a Postfix that delivers nothing."""
    assert os.geteuid() == 0, "Postfix runs as several users: this test wants root"
    path = pathlib.Path(tempfile.mkdtemp(prefix="sendguard.", dir="/tmp"))
    path.chmod(0o755)
    for name in ("conf", "queue", "data", "log"):
        (path / name).mkdir()
    shutil.chown(path / "data", "postfix")
    (path / "conf/main.cf").write_text(MAIN_CF.format(folder=path, compressor=TREE / "tools/stack/compress"))
    (path / "conf/master.cf").write_text(MASTER_CF)
    postfix(path, "start")
    yield path
    postfix(path, "stop")
    shutil.rmtree(path)


def postfix(folder, command):
    subprocess.run(["postfix", "-c", folder / "conf", command], check=True, timeout=PATIENCE,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Writer:
    def __init__(self, folder):
        self.postlog = subprocess.Popen(["postlog", "-c", folder / "conf", "-t", "postfix/smtp"],
                                        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.written = 0

    def lines(self, count):
        for _ in range(count):
            self.written += 1
            self.postlog.stdin.write(f"number {self.written}.\n")
        self.postlog.stdin.flush()

    def end(self):
        self.postlog.stdin.write("end\n")
        self.postlog.stdin.close()
        assert self.postlog.wait(PATIENCE) == 0


def numbers(output):
    noticed = output.find("noticed")
    assert noticed < 0, output[max(noticed - 200, 0):noticed + 200]
    return [int(number) for number in re.findall(r"number (\d+)\.$", output, re.M)]


def write_and_rotate(folder):
    writer = Writer(folder)
    for _ in range(ROTATIONS):
        writer.lines(LINES)
        rotation = subprocess.Popen(["postfix", "-c", folder / "conf", "logrotate"],
                                    stderr=subprocess.DEVNULL)
        writer.lines(LINES)
        assert rotation.wait(PATIENCE) == 0
    writer.lines(LINES)
    writer.end()
    assert len(list((folder / "log").glob("mail.log.*.gz"))) == ROTATIONS


def test_a_log_that_postfix_rotates(folder):
    spec = f"file:{folder}/log/mail.log"
    expected = list(range(1, (2 * ROTATIONS + 1) * LINES + 1))
    with open(folder / "followed", "w+", encoding="ascii") as followed:
        follower = subprocess.Popen(
            [READER, spec, folder / "cursor", "--until", f"number {expected[-1]}."],
            stdout=followed)
        try:
            write_and_rotate(folder)
            assert follower.wait(PATIENCE) == 0
        finally:
            follower.kill()
            follower.wait()
        followed.seek(0)
        assert numbers(followed.read()) == expected
    later = subprocess.run([READER, spec, folder / "another"], check=True, timeout=PATIENCE,
                           capture_output=True, text=True)
    assert numbers(later.stdout) == expected
