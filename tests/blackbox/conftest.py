"""Fixtures: a folder that goes away, a store of each kind, guards, and users who send."""

import itertools
import os
import pathlib
import shutil
import signal
import tempfile
import zlib

import pytest

from endpoint import Endpoint, Sender, new_ip, new_mailbox
from programs import PROGRAM, Guard
from stores import KINDS
from web import Browser, Web

_numbers = itertools.count(1)


def pytest_configure(config):
    # A shell's background has SIGINT ignored, and whatever we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "sanitized: also run against the sanitizer builds")
    config.addinivalue_line("markers", "threads: what may race, run with SAN=thread in each run")
    config.addinivalue_line("markers", "either_store: about what all stores do alike")
    config.addinivalue_line("markers", "each_store: an exception in a file that has either_store")
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not built", returncode=1)


def _is_left_out(item):
    """Whether this is the other store's turn, which shows the same: of a file's tests half run with
    each, always the same ones."""
    if (not hasattr(item, "callspec") or not item.get_closest_marker("either_store")
            or item.get_closest_marker("each_store")):
        return False
    words = item.callspec.id.split("-")
    kinds = [kind for kind in KINDS if kind in words]
    test = item.nodeid.partition("[")[0] + "-".join(word for word in words if word not in KINDS)
    return len(kinds) == 1 and kinds[0] != list(KINDS)[zlib.crc32(test.encode()) % len(KINDS)]


def pytest_collection_modifyitems(config, items):
    """`make test` sets SENDGUARD_EITHER_STORE; without it each test runs with both."""
    if "SENDGUARD_EITHER_STORE" in os.environ:
        left_out = [item for item in items if _is_left_out(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_left_out(item)]


@pytest.fixture(scope="session")
def top_folder():
    """Short, since a UNIX socket's path holds 107 bytes, and open to nginx's workers."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sendguard-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def new_folder(top_folder):
    def make():
        folder = top_folder / str(next(_numbers))
        folder.mkdir()
        return folder

    return make


@pytest.fixture
def folder(new_folder):
    return new_folder()


def _running_store(kind, folder):
    store = KINDS[kind](folder)
    store.start()
    try:
        yield store
    finally:
        store.stop()


@pytest.fixture(scope="module", params=list(KINDS))
def guard(request, new_folder):
    """One guard with the default limits for all tests of a file that need no other. Tests stay
    out of each other's way by mailboxes and IPs of their own."""
    folder = new_folder()
    for store in _running_store(request.param, folder):
        guard = Guard(folder, store).start()
        yield guard
        guard.stop()


@pytest.fixture(params=list(KINDS))
def store(request, folder):
    yield from _running_store(request.param, folder)


@pytest.fixture
def sqlite_store(folder):
    yield from _running_store("sqlite", folder)


@pytest.fixture
def redis_store(folder):
    yield from _running_store("redis", folder)


@pytest.fixture
def start(folder):
    """start(store, settings, …) runs a guard until the end of the test, which then has to end
    cleanly."""
    guards = []

    def start_guard(store, settings=None, where=folder, **more):
        guard = Guard(where, store, settings, **more)
        guards.append(guard)
        return guard.start()

    yield start_guard
    for guard in guards:
        guard.stop()


@pytest.fixture
def sender_at():
    """sender_at(guard): a user with a mailbox and an IP that nobody else has."""
    endpoints = []

    def new_sender(guard, mailbox=None, ip=None):
        endpoint = Endpoint(guard)
        endpoints.append(endpoint)
        return Sender(endpoint, mailbox or new_mailbox(), ip or new_ip())

    yield new_sender
    for endpoint in endpoints:
        endpoint.close()


@pytest.fixture
def sender(guard, sender_at):
    """A user of the guard with the default limits."""
    return sender_at(guard)


@pytest.fixture(scope="module", params=list(KINDS))
def web(request, new_folder):
    """The web interface and its staff for all tests of a file that need no other settings."""
    folder = new_folder()
    for store in _running_store(request.param, folder):
        web = Web(folder, store).hire().start()
        yield web
        web.stop()


@pytest.fixture(scope="module")
def web_guard(web):
    """The webmail endpoint over the same store."""
    guard = Guard(web.folder, web.store).start()
    yield guard
    guard.stop()


@pytest.fixture
def browser(web):
    """Nobody signed in yet."""
    return Browser(web)
