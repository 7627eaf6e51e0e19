"""The Debian packages on an empty Debian: what installs, upgrades, removals and purges leave.

Runs as root inside the namespaces that tests/packages/run makes, with a systemd of its own and
no network. What the packages depend on lies in apt's archive.
"""

import os
import pathlib
import pwd
import re
import shutil
import stat
import subprocess
import urllib.error
import urllib.request

import pytest

TREE = pathlib.Path(os.environ["SENDGUARD_TREE"])
CONF = pathlib.Path("/etc/sendguard/sendguard.conf")
STATE = pathlib.Path("/var/lib/sendguard")
SERVICES = ("sendguard-fcgi", "sendguard-mta", "sendguard-web")
WITHOUT_LISTS = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}


def run(*command, check=True):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, env=WITHOUT_LISTS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def package(name):
    [path] = (TREE / "build/deb").glob(f"{name}_*.deb")
    return path


def install(*packages):
    return run("apt-get", "-qy", "--no-install-recommends", "install", *packages)


def is_active(service):
    return run("systemctl", "is-active", service, check=False).strip() == "active"


def pid(service):
    return run("systemctl", "show", "-P", "MainPID", service).strip()


def owner(path):
    found = path.stat()
    return f"{path.owner()}:{path.group()} {stat.S_IMODE(found.st_mode):o}"


def files():
    """All files of the system that an install may leave, but what apt and dpkg write of themselves."""
    own = ("/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/log/", "/proc/", "/sys/", "/run/", "/dev/",
           "/tmp/", "/root/", f"{TREE}/", "/var/lib/systemd/deb-systemd-helper-", "/etc/ld.so.cache")
    found = run("find", "/", "-xdev", "-not", "-type", "d", "-print").splitlines()
    return {path for path in found if not path.startswith(own) and "__pycache__" not in path}


@pytest.fixture
def installed():
    """The package as an operator has it who has enabled the services."""
    install(package("sendguard"))
    run("systemctl", "enable", "--now", *SERVICES)
    yield
    run("systemctl", "stop", *SERVICES, check=False)
    run("apt-get", "-qy", "purge", "sendguard")


@pytest.fixture
def before(tmp_path):
    """The package of a version before: this one under a lower number."""
    content = tmp_path / "content"
    run("dpkg-deb", "-R", package("sendguard"), content)
    control = content / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 0.1", control.read_text()))
    run("dpkg-deb", "-b", content, tmp_path / "before.deb")
    return tmp_path / "before.deb"


def test_an_install_starts_nothing_and_its_settings_are_right():
    install(package("sendguard"))
    assert owner(CONF) == "root:sendguard 640" and owner(STATE) == "sendguard:sendguard 700"
    assert pwd.getpwnam("sendguard").pw_shell in ("/usr/sbin/nologin", "/bin/false")
    units = re.findall(r"systemd/system/(sendguard-[a-z]+\.(?:service|socket))$", run("dpkg", "-L", "sendguard"), re.M)
    assert len(units) == 9, units
    for service in units:
        assert not is_active(service)
        assert run("systemctl", "is-enabled", service, check=False).strip() == "disabled"
    for service in SERVICES:
        run(f"/usr/sbin/{service}", "--check")
    assert run("sendguard-postqueue", "--version").startswith("sendguard-postqueue ")
    assert run("sendguard", "config", "-n") is not None
    assert not list(STATE.iterdir())
    run("apt-get", "-qy", "purge", "sendguard")


def test_a_purge_leaves_nothing():
    had = files()
    install(package("sendguard"))
    libraries = files()
    run("systemctl", "enable", "--now", *SERVICES)
    assert all(map(is_active, SERVICES)) and (STATE / "sendguard.db").exists()
    asking = pathlib.Path("/etc/postfix/main.cf")
    asking.parent.mkdir(exist_ok=True)
    asking.write_text("sendguard = check_policy_service { inet:127.0.0.1:9402, timeout=10s }\n")
    assert f"mail is refused until Sendguard is taken out of {asking} " in run("apt-get", "-qy", "remove", "sendguard")
    asking.write_text("# sendguard was here\n")
    assert not any(map(is_active, SERVICES))
    assert (STATE / "sendguard.db").exists() and CONF.exists()
    install(package("sendguard"))
    assert "mail is refused" not in run("apt-get", "-qy", "purge", "sendguard")
    shutil.rmtree(asking.parent)
    assert not STATE.exists() and not CONF.parent.exists()
    assert not [path for path in files() - had if "sendguard" in path]
    assert len(libraries) > len(had)
    assert "sendguard" not in pathlib.Path("/etc/passwd").read_text()
    assert "sendguard" not in pathlib.Path("/etc/group").read_text()


def test_an_upgrade_restarts_what_runs(installed, before):
    run("systemctl", "stop", *SERVICES)
    run("dpkg", "--force-downgrade", "-i", before)
    run("systemctl", "start", *SERVICES[:2])
    CONF.write_text("[guard]\nmode = observe\n")
    old = {service: pid(service) for service in SERVICES}
    said = install(package("sendguard"))
    assert "NOT RESTARTED" not in said
    for service in SERVICES[:2]:
        assert is_active(service) and pid(service) != old[service]
    assert not is_active(SERVICES[2])
    assert CONF.read_text() == "[guard]\nmode = observe\n" and owner(CONF) == "root:sendguard 640"


def test_an_upgrade_that_finds_a_fault_leaves_what_runs(installed, before):
    run("dpkg", "--force-downgrade", "-i", before)
    old = {service: pid(service) for service in SERVICES}
    assert all(map(is_active, SERVICES))
    CONF.write_text("[guard]\nmood = observe\n")
    said = install(package("sendguard"))
    assert "mood" in said and "NOT RESTARTED" in said
    assert {service: pid(service) for service in SERVICES} == old
    CONF.write_text("[guard]\nmode = observe\n")
    run("systemctl", "restart", *SERVICES)
    assert all(map(is_active, SERVICES))


def test_the_sockets_are_for_the_web_server(installed):
    assert owner(pathlib.Path("/run/sendguard/fcgi")) == "sendguard:www-data 2750"
    assert owner(pathlib.Path("/run/sendguard/fcgi/fcgi.sock")).startswith("sendguard:www-data")


def test_the_documents_name_the_paths_of_the_package(installed):
    shown = pathlib.Path("/usr/share/doc/sendguard")
    assert (shown / "docs/install.md").exists() and (shown / "nginx.conf.example").exists()
    named = [f"{path}: {found}" for path in shown.rglob("*") if path.is_file()
             for found in re.findall(r"/usr/local/s?bin/sendguard\S*|/usr/local/share/\S+",
                                     path.read_bytes().decode(errors="replace"))]
    assert not named


def test_links_of_the_documents_lead_to_files_of_the_packages(installed):
    install("nginx-light", "php-fpm", "roundcube-sqlite3", package("roundcube-sendguard"))
    shown = pathlib.Path("/usr/share/doc/sendguard")
    of_the_source = {"LICENSE", "CONTRIBUTING.md", "../contrib/container/Containerfile",
                     "../contrib/container/compose.yml"}
    broken = {f"{path}: {link}" for path in shown.rglob("*.md")
              for link in re.findall(r"\]\(([^)#\s:]+)[)#]", path.read_text())
              if link not in of_the_source and not (path.parent / link).exists()}
    assert not broken
    run("apt-get", "-qy", "purge", "roundcube-sendguard")


def answered(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_an_nginx_that_serves_a_webmail_takes_the_parts_for_it(installed):
    install("nginx-light")
    parts = pathlib.Path("/usr/share/sendguard/nginx")
    site = pathlib.Path("/etc/nginx/sites-enabled/webmail")
    copies = [pathlib.Path("/etc/nginx/conf.d/sendguard.conf"), pathlib.Path("/etc/nginx/snippets/sendguard.conf")]
    for part, copy in zip((parts / "http.conf", parts / "locations.conf"), copies):
        shutil.copy(part, copy)
    site.write_text("server {\n    listen 127.0.0.1:8080;\n    include snippets/sendguard.conf;\n}\n")
    run("nginx", "-t")
    run("systemctl", "restart", "nginx")
    assert answered("http://127.0.0.1:8080/sending/desk/") == 200
    assert answered("http://127.0.0.1:8080/sending/metrics") == 404
    message = b'{"mailbox": "alice@example.test", "ip": "192.0.2.1", "to": ["bob@example.org"]}'
    assert answered(urllib.request.Request("http://127.0.0.1:8081/sendguard/submissions", message,
                                           {"Content-Type": "application/json"})) == 200
    run("systemctl", "stop", "sendguard-web")
    assert answered("http://127.0.0.1:8080/sending/desk/") == 503
    for path in (*copies, site):
        path.unlink()
    run("systemctl", "stop", "nginx")


def test_the_plugin_is_where_roundcube_looks():
    install("nginx-light", "php-fpm", "roundcube-sqlite3", package("roundcube-sendguard"))
    link = pathlib.Path("/var/lib/roundcube/plugins/sendguard")
    assert link.resolve() == pathlib.Path("/usr/share/roundcube/plugins/sendguard")
    assert (link / "sendguard.php").exists()
    settings = pathlib.Path("/etc/roundcube/sendguard.inc.php")
    assert "sendguard_url" in settings.read_text()
    run("php", "-l", link / "sendguard.php")
    run("apt-get", "-qy", "purge", "roundcube-sendguard")
    assert not link.is_symlink() and not settings.exists()
