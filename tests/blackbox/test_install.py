"""`make install` and `make uninstall` in a DESTDIR: what is there before, between and after."""

import os
import pathlib
import subprocess

import pytest

TREE = pathlib.Path(os.environ["SENDGUARD_TREE"])


def make(target, destdir, *variables):
    done = subprocess.run(["make", "-s", target, f"DESTDIR={destdir}", *variables], cwd=TREE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(root):
    return {str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("prefix", ["/usr/local", "/usr", "/opt/sendguard"])
def test_an_uninstall_leaves_what_was_there_and_the_settings(tmp_path, prefix):
    others = ["etc/systemd/system/other.service", "usr/local/bin/other", "etc/tmpfiles.d/other.conf",
              f"{prefix[1:]}/share/doc/other/README"]
    for other in others:
        path = tmp_path / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(other)
    before = files(tmp_path)
    make("install", tmp_path, f"PREFIX={prefix}")
    between = files(tmp_path)
    assert f"{prefix[1:]}/sbin/sendguard-mta" in between and len(between) > len(before) + 100
    said = make("uninstall", tmp_path, f"PREFIX={prefix}")
    after = files(tmp_path)
    assert after.pop("etc/sendguard/sendguard.conf") == between["etc/sendguard/sendguard.conf"]
    assert after == before
    assert not [path for path in tmp_path.rglob("*sendguard*")
                if path not in (tmp_path / "etc/sendguard", tmp_path / "etc/sendguard/sendguard.conf",
                                tmp_path / prefix[1:])]
    assert f"left: {tmp_path}/etc/sendguard" in said and "var/lib" not in said


def test_an_install_takes_the_place_of_an_older_one(tmp_path):
    make("install", tmp_path)
    settings = tmp_path / "etc/sendguard/sendguard.conf"
    settings.write_text("[guard]\nmode = observe\n")
    stale = tmp_path / "usr/local/share/doc/sendguard/docs/stale.md"
    stale.write_text("from an older version")
    make("install", tmp_path)
    assert settings.read_text() == "[guard]\nmode = observe\n"
    assert not stale.exists()
