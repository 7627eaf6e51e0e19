"""An entry of the block lists as Sendguard makes it of itself: a recipient that is known by its keyed
hash alone. Written into a Redis store, as `sendguard-feedback` would."""

import hashlib
import pathlib
import struct
import time

MASK = 2**64 - 1
HASHED, DAY_MS = 2, 86_400_000  # FORMAT_HASHED of lib/guard/block_list.c


def _turned(number, bits):
    return (number << bits | number >> (64 - bits)) & MASK


def siphash(key, text):
    """SipHash-2-4, as crypto_shorthash of libsodium."""
    low, high = struct.unpack("<QQ", key)
    v = [low ^ 0x736f6d6570736575, high ^ 0x646f72616e646f6d, low ^ 0x6c7967656e657261,
         high ^ 0x7465646279746573]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1], v[3] = _turned(v[1], 13) ^ v[0], _turned(v[3], 16) ^ v[2]
            v[0] = (_turned(v[0], 32) + v[3]) & MASK
            v[2] = (v[2] + v[1]) & MASK
            v[3], v[1] = _turned(v[3], 21) ^ v[0], _turned(v[1], 17) ^ v[2]
            v[2] = _turned(v[2], 32)

    end = len(text) - len(text) % 8
    last = text[end:].ljust(7, b"\0") + bytes([len(text) % 256])
    for at in range(0, end + 8, 8):
        word = struct.unpack("<Q", (text[:end] + last)[at:at + 8])[0]
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hash_of(secret_file, address):
    """Of this year."""
    key = bytes.fromhex(pathlib.Path(secret_file).read_text())
    name = b"sendguard recipients %d\0" % time.gmtime().tm_year
    derived = hashlib.blake2b(name, digest_size=32, key=key).digest()[:16]
    return f"#{siphash(derived, address.encode()):016x}"


def _number(value):
    packed = b""
    while value >= 0x80:
        packed += bytes([value & 0x7f | 0x80])
        value >>= 7
    return packed + bytes([value])


def _string(text):
    return _number(len(text)) + text.encode()


def _value(store, kind, key, text, end_ms=0):
    head = struct.pack(">I", 1) + struct.pack(">Q", end_ms)[2:]
    store.server.command("SET", f"sg:value:{kind}:{key}", head + text)
    store.server.command("ZADD", f"sg:value_keys:{kind}", "0", key)


def put(store, secret_file, address, scope, reason, for_ms=30 * DAY_MS):
    """Blocks it for that sender domain, as the first entry that the lists have."""
    now_ms = int(time.time() * 1000)
    end_ms, subject = now_ms + for_ms, hash_of(secret_file, address)
    entry = (bytes([HASHED]) + _number(now_ms) + _string(reason) + _string("guard") + _string("")
             + _number(end_ms) + _number(0) + bytes(8) + _string("mx.x.test"))
    _value(store, "blocked", f"recipient\n{subject}\n{scope}", entry, end_ms + 30 * DAY_MS)
    _value(store, "added", f"{1:016x}", _string(subject), now_ms + DAY_MS)
    _value(store, "added", "newest", struct.pack(">Q", 1))
