"""What `sendguard doctor` finds out from a real systemd and a real journald about the mail server's log.

Runs as root inside the namespaces that tests/systemd/run makes.
"""

import json
import pathlib

import pytest

from test_feedback import (LOG_FILE, MTA, UNIT, deliver, deliver_to_file, drop_in, followed,
                           no_drop_in, outcomes)  # noqa: F401
from test_journal import fresh as journal  # noqa: F401 (a fixture)
from test_units import DATABASE, as_user, configure, fresh, installed, run, start, stop  # noqa: F401

POSTFIX = pathlib.Path("/run/doctor-postfix")


@pytest.fixture(autouse=True)
def postfix():
    """Settings alone, of one that logs to the journal."""
    POSTFIX.mkdir(exist_ok=True)
    (POSTFIX / "main.cf").write_text("compatibility_level = 3.6\n")
    (POSTFIX / "master.cf").write_text("smtp inet n - n - - smtpd\n")


def doctor(*checks):
    done = run("sendguard", "doctor", *checks, "--postfix", POSTFIX, "--json", check=False)
    return {one["name"]: one for one in json.loads(done.stdout)}


def states(found):
    return {name: one["state"] for name, one in found.items()}


def follower_was_behind(seconds):
    """Its last line was so long before the journal's."""
    log_ms = followed()["log_ms"] - 1000 * seconds
    as_user("sendguard", "sqlite3", DATABASE,
            f"UPDATE value SET bytes = json_set(CAST(bytes AS TEXT), '$.log_ms', {log_ms}) WHERE kind = 0")


def test_a_journal():
    start("sendguard-mta", UNIT)
    deliver("4jbqC64kngz1bf1c")
    outcomes(1)
    checks = ("log_source", "feedback", "gaps")
    assert states(doctor(*checks)) == dict.fromkeys(checks, "ok"), doctor(*checks)
    stop(UNIT)
    follower_was_behind(400)
    found = doctor(*checks)
    assert states(found) == {"log_source": "ok", "feedback": "bad", "gaps": "ok"}, found
    assert " s behind the last line that was read" in found["feedback"]["found"]


def test_a_journal_that_the_service_cannot_read():
    start("sendguard-mta", UNIT)
    deliver("4jbqC64kngz1bf1c")
    outcomes(1)
    stop(UNIT)
    follower_was_behind(400)
    for folder in pathlib.Path("/var/log/journal").iterdir():
        folder.chmod(0o700)
    found = doctor("log_source")["log_source"]
    assert found["state"] == "bad" and found["found"].startswith("the journal: "), found


def test_a_file_that_the_unit_lets_the_service_read():
    (POSTFIX / "main.cf").write_text(f"compatibility_level = 3.6\nmaillog_file = {LOG_FILE}\n")
    configure(feedback={"source": f"file:{LOG_FILE}"}, mta={"listen": MTA})
    start("sendguard-mta")
    deliver_to_file("4jbqC64kngz1bf1c")
    found = doctor("log_source")["log_source"]
    assert found["state"] == "bad" and "cannot be read by sendguard" in found["found"], found
    drop_in("AmbientCapabilities=CAP_DAC_READ_SEARCH")
    assert doctor("log_source")["log_source"]["state"] == "ok"
    LOG_FILE.chmod(0o646)
    found = doctor("log_source")["log_source"]
    assert found["state"] == "warn" and "users of this machine can change" in found["found"], found
