"""What sendguard-feedback keeps of deliveries, read without its code: traces, the cursor, and hashes of
recipients. Source of the forms: lib/mail/trace.h, lib/guard/keyed_hash.h, lib/base/packed.h."""

import ctypes
import ctypes.util
import datetime
import hashlib
import json
import sqlite3

from programs import PATIENCE

OUTCOMES = ["pending", "delivered", "deferred", "failed", "expired", "discarded"]
REFUNDED, ENDED, SILENT, HAS_MESSAGE_ID = 1, 2, 4, 8
_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


def siphash(key, text):
    out = ctypes.create_string_buffer(8)
    assert _sodium.crypto_shorthash(out, text, ctypes.c_ulonglong(len(text)), key) == 0
    return out.raw


class Packed:
    def __init__(self, data):
        self.data, self.at = data, 0

    def fixed(self, count):
        return int.from_bytes(self.bytes(count), "big")

    def bytes(self, count):
        assert self.at + count <= len(self.data), "damaged"
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self):
        number = shift = 0
        while True:
            byte = self.fixed(1)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def more(self):
        return self.at < len(self.data)


def _message(packed):
    message = {"decision": packed.fixed(6), "flags": packed.fixed(1)}
    packed.bytes(packed.number())
    if message["flags"] & HAS_MESSAGE_ID:
        packed.bytes(4)
    message["expected"] = packed.number()
    message["recipients"] = {}
    for _ in range(packed.number()):
        number, both = packed.fixed(8), packed.fixed(1)
        attempts, _, _, reply = packed.number(), packed.number(), packed.number(), packed.fixed(6)
        assert number not in message["recipients"]
        message["recipients"][number] = (OUTCOMES[both & 7], attempts, reply)
    assert not packed.more()
    return message


class Deliveries:
    """Of a stack over one of the stores."""

    def __init__(self, stack, store):
        self.stack, self.store = stack, store
        secret = bytes.fromhex((stack.folder / "guard/secret").read_text().strip())
        name = f"sendguard recipients {datetime.datetime.now(datetime.timezone.utc).year}\0"
        self.key = hashlib.blake2b(name.encode(), digest_size=32, key=secret).digest()[:16]

    def hash_of(self, recipient):
        return int.from_bytes(siphash(self.key, recipient.lower().encode()), "little")

    def values(self, kind):
        """Bytes by key. `kind`: its name and its number."""
        name, number = kind
        if self.store.kind == "redis":
            head = f"sg:value:{name}:"
            keys = [key.decode() for key in self.store.server.command("KEYS", head + "*")]
            read = {key: self.store.server.command("GET", key) for key in keys}
            return {key[len(head):]: text[10:] for key, text in read.items() if text is not None}
        with sqlite3.connect(self.store.path, timeout=PATIENCE) as database:
            return {key: bytes(data, "utf-8") if isinstance(data, str) else data for key, data in
                    database.execute("SELECT key, bytes FROM value WHERE kind = ?", (number,))}

    def cursor(self):
        """Where the follower is, and its counts."""
        cursors = list(self.values(("cursor", 0)).values())
        assert len(cursors) <= 1
        return json.loads(cursors[0]) if cursors else {"lines": 0, "refunds": 0}

    def code_of(self, reply):
        """The enhanced code of a reply, in a kept reply: format, class, code, …"""
        data = self.values(("reply", 5)).get(f"{reply:012x}")
        if data is None:
            return None
        packed = Packed(data)
        packed.bytes(2)
        return packed.bytes(packed.number()).decode()

    def messages(self):
        """All that are kept, with mailbox."""
        found = []
        for key, data in self.values(("trace", 2)).items():
            day, mailbox, _, _ = key.split("/")
            packed = Packed(data)
            assert packed.fixed(1) == 1
            while packed.more():
                one = _message(Packed(packed.bytes(packed.number())))
                found.append(dict(one, mailbox=mailbox, day=day))
        return found

    def of(self, *recipients):
        """The one message that went to the first of the recipients, with what became of each by its
        address; None: there is none."""
        first = self.hash_of(recipients[0])
        found = [one for one in self.messages() if first in one["recipients"]]
        assert len(found) <= 1, "one message is there twice"
        if not found:
            return None
        known = {one: found[0]["recipients"].get(self.hash_of(one)) for one in recipients}
        return dict(found[0], recipients=known)
