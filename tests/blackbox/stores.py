"""The two stores behind one face: start, look inside, break."""

import pathlib
import sqlite3
import subprocess
import sys

from programs import PATIENCE, RedisServer

_HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


class SqliteStore:
    kind = "sqlite"

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "sendguard.db"
        self.url = f"sqlite://{self.path}"

    def start(self):
        pass

    def stop(self):
        pass

    def traces(self):
        """All that is remembered, as comparable values."""
        with sqlite3.connect(self.path, timeout=PATIENCE) as connection:
            tables = [name for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            return {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"')))
                    for name in tables}

    def counters(self):
        with sqlite3.connect(self.path, timeout=PATIENCE) as connection:
            return dict(connection.execute("SELECT name, value FROM counter"))

    def silence(self):
        """Locked by another process, until speak()."""
        self.holder = subprocess.Popen([sys.executable, "-c", _HOLD_LOCK, str(self.path)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"locked\n"

    def speak(self):
        self.holder.stdin.close()
        self.holder.wait(PATIENCE)
        self.holder.stdout.close()

    def _files(self, folder):
        return [folder / (self.path.name + end) for end in ("", "-wal", "-shm")]

    def take_away(self):
        away = self.path.parent / "away"
        away.mkdir()
        for here, there in zip(self._files(self.path.parent), self._files(away)):
            if here.exists():
                here.rename(there)

    def bring_back(self):
        away = self.path.parent / "away"
        for here, there in zip(self._files(self.path.parent), self._files(away)):
            here.unlink(missing_ok=True)
            if there.exists():
                there.rename(here)
        away.rmdir()


class RedisStore:
    kind = "redis"

    def __init__(self, folder):
        self.server = RedisServer(folder)
        self.url = f"redis+unix://{self.server.socket_path}"

    def start(self):
        self.server.start()

    def stop(self):
        self.server.stop()

    def traces(self):
        keys = sorted(self.server.command("KEYS", "*"))
        return {key: self.server.command("DUMP", key) for key in keys}

    def counters(self):
        words = [word.decode() for word in self.server.command("HGETALL", "sg:counters")]
        return {name: int(value) for name, value in zip(words[::2], words[1::2])}

    def silence(self):
        """Stopped, as on a machine that hangs: connections stay open, nothing is answered."""
        self.server.freeze()

    def speak(self):
        self.server.thaw()

    def take_away(self):
        self.server.stop()

    def bring_back(self):
        self.server.start()


KINDS = {"sqlite": SqliteStore, "redis": RedisStore}
