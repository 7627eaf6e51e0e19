"""Debian's Prometheus and Alertmanager with what the documents give them: the rules of alerts are
loaded, evaluated over our metrics without a fault, and alerts have where to go."""

import json
import pathlib
import re
import shutil
import subprocess
import urllib.request

import pytest
import yaml

from programs import PATIENCE, TREE, eventually, free_port
from web import Web

DOCUMENT = TREE / "docs/monitoring.md"


def programs_of_debian():
    return {name: shutil.which(name)
            for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool")}


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return json.load(answer)


class Server:
    """One of both, with files of its own."""

    def __init__(self, folder, name, *options):
        self.log = (folder / f"{name}.log").open("wb")
        self.process = subprocess.Popen([programs_of_debian()[name], *options],
                                        stdout=self.log, stderr=self.log, cwd=folder)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


def documented_settings(web, alertmanager):
    """As docs/monitoring.md has it, but for ports, and each second."""
    text = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.S).group(1)
    settings = yaml.safe_load(text)
    [job] = settings["scrape_configs"]
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{web.port}"]
    settings["rule_files"] = [str(TREE / "docs" / name) for name in settings["rule_files"]]
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["alerting"] = {"alertmanagers": [{"static_configs": [
        {"targets": [f"127.0.0.1:{alertmanager}"]}]}]}
    return settings


@pytest.fixture
def watched(folder, sqlite_store):
    """The ports of a Prometheus that watches a sendguard-web, and of its Alertmanager."""
    web = Web(folder, sqlite_store).start()
    folder = pathlib.Path(folder)
    ports = {name: free_port() for name in ("prometheus", "alertmanager")}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(
        documented_settings(web, ports["alertmanager"])))
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(
        {"route": {"receiver": "staff"}, "receivers": [{"name": "staff"}]}))
    servers = [
        Server(folder, "prometheus-alertmanager", "--config.file=alertmanager.yml",
               "--storage.path=alerts", "--cluster.listen-address=",
               f"--web.listen-address=127.0.0.1:{ports['alertmanager']}"),
        Server(folder, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
               f"--web.listen-address=127.0.0.1:{ports['prometheus']}")]
    yield ports
    for server in servers:
        server.stop()
    web.stop()


def answers(port, path, read):
    """What the server says once it listens; None until then."""
    try:
        return read(ask(port, path)["data"])
    except OSError:
        return None


def at_rest(data):
    """All rules, once each was evaluated and sees nothing wrong, as just before the first look."""
    rules = [rule for group in data["groups"] for rule in group["rules"]]
    done = [rule["lastEvaluation"] > "0002" and rule["state"] == "inactive" for rule in rules]
    return rules if done and all(done) else None


def test_rules_are_sound():
    done = subprocess.run([programs_of_debian()["promtool"], "check", "rules",
                           str(TREE / "docs/alerts.yml")], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_evaluated(watched):
    port = watched["prometheus"]
    eventually(lambda: answers(port, "/api/v1/targets", lambda data: [
        target["health"] for target in data["activeTargets"]]) == ["up"], "it reads our metrics")
    rules = eventually(lambda: answers(port, "/api/v1/rules", at_rest), "nothing is wrong")
    alerts = yaml.safe_load((TREE / "docs/alerts.yml").read_text())["groups"][0]["rules"]
    assert [rule["name"] for rule in rules] == [alert["alert"] for alert in alerts]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    eventually(lambda: answers(port, "/api/v1/alertmanagers",
                               lambda data: len(data["activeAlertmanagers"])) == 1, "it is known")
    asked = [programs_of_debian()["amtool"], "alert", "query",
             f"--alertmanager.url=http://127.0.0.1:{watched['alertmanager']}"]
    eventually(lambda: subprocess.run(asked, capture_output=True, timeout=PATIENCE).returncode == 0,
               "the Alertmanager answers")
