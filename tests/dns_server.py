#!/usr/bin/python3
"""A DNS server for tests: dns_server.py FILE prints the port that it got on 127.0.0.1, by UDP and TCP, and ends with its
standard input. FILE has a record a line, "NAME TTL TYPE DATA", and is read for each question. TYPE is A, AAAA, MX (a name),
PTR, CNAME, TXT (strings in JSON); of a name with SERVFAIL or SILENT all questions are answered so. NAME * stands for all names.
Without FILE nobody answers.
"""
import ipaddress
import json
import socket
import socketserver
import struct
import sys
import threading

NUMBERS = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
UDP_MAX = 512


def wire_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


def rdata(kind, data):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(data).packed
    if kind == "TXT":
        return b"".join(bytes([len(one)]) + one.encode("latin-1") for one in json.loads(f"[{data}]"))
    if kind == "MX":
        return b"\0\x0a" + wire_name(data)
    return wire_name(data)


def records(path):
    with open(path) as file:
        for line in file:
            if line.strip():
                name, ttl, kind, *data = line.split(None, 3)
                yield name.lower(), int(ttl), kind, data[0].strip() if data else ""


def record(name, ttl, kind, data):
    return wire_name(name) + struct.pack("!HHIH", NUMBERS[kind], 1, ttl, len(data)) + data


def answer(packet, path, limit):
    """The packet that answers; None: silence."""
    try:
        known = list(records(path))
    except FileNotFoundError:
        return None
    name, end = read_name(packet, 12)
    number = struct.unpack("!H", packet[end:end + 2])[0]
    answers, code, alias = [], 0, name
    while alias is not None:
        name, alias = alias, None
        of_name = [one for one in known if one[0] in (name, "*")]
        kinds = {one[2] for one in of_name}
        if "SILENT" in kinds:
            return None
        if "SERVFAIL" in kinds:
            code = 2
        elif not of_name:
            code = 3
        for _, ttl, kind, data in of_name:
            if kind in NUMBERS and NUMBERS[kind] in (number, NUMBERS["CNAME"]):
                answers.append(record(name, ttl, kind, rdata(kind, data)))
            if kind == "CNAME" and number != NUMBERS["CNAME"]:
                alias = data.lower()
    authority = b"" if answers or code == 2 else record(
        "test", 60, "SOA", wire_name("test") + wire_name("test") + struct.pack("!5I", 1, 60, 60, 60, 60))
    question = packet[12:end + 4]
    head = packet[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(answers), int(bool(authority)), 0)
    whole = head + question + b"".join(answers) + authority
    if len(whole) > limit:
        return packet[:2] + struct.pack("!HHHHH", 0x8780 | code, 1, 0, 0, 0) + question
    return whole


class ByUdp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, sender = self.request
        said = answer(packet, sys.argv[1], UDP_MAX)
        if said:
            sender.sendto(said, self.client_address)


class ByTcp(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(2):
            said = answer(self.rfile.read(struct.unpack("!H", length)[0]), sys.argv[1], 65535)
            if not said:
                return
            self.wfile.write(struct.pack("!H", len(said)) + said)


socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer.allow_reuse_address = True
while True:
    udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), ByUdp)
    try:
        tcp = socketserver.ThreadingTCPServer(udp.server_address, ByTcp)
        break
    except OSError:  # the port is taken by TCP
        udp.server_close()
udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
for server in (udp, tcp):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(udp.server_address[1], flush=True)
sys.stdin.read()
