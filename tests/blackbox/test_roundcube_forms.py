"""Our reader of forms beside Roundcube's own PHP: never another recipient there than counted here."""

import os
import subprocess

import pytest

from programs import BUILD, TREE

FORMS = int(os.environ.get("SENDGUARD_FORMS", "15000"))  # more: another evening's work
SEED = int(os.environ.get("SENDGUARD_SEED", "1"))
READER = BUILD / "tests/roundcube/form_reader"


def differences(forms, seed):
    return subprocess.run(["php", TREE / "tests/roundcube/differential.php", READER, str(seed), str(forms)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_roundcube_writes_to_nobody_who_was_not_counted():
    run = differences(FORMS, SEED)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    words = run.stdout.replace(",", "").split()
    accepted, sent = int(words[words.index("accepted") - 1]), int(words[words.index("of") - 1])
    assert accepted > FORMS / 20, "most are refused, and yet many are not"
    assert sent > FORMS / 30, "and Roundcube sends most of those"
