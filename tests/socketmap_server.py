#!/usr/bin/python3
"""A socketmap server (Postfix' socketmap_table(5)) for tests: SOCKET TABLE QUESTIONS.

TABLE is read at each question: lines `NAME KEY DATA`. DATA `!temp`, `!hang`, `!close`, `!noise` and
`!long` answer with an error, not at all, by closing, with what is no netstring, and without an end. Each
question is a line of QUESTIONS. Prints a line once it listens, and ends with its standard input."""
import os
import socketserver
import sys
import threading


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while (digits := self.read_until(b":")) != b"":
            question = self.rfile.read(int(digits) + 1)[:-1].decode()
            with open(sys.argv[3], "a") as questions:
                questions.write(question + "\n")
            if not self.answer(self.find(question)):
                return

    def read_until(self, end):
        read = b""
        while (byte := self.rfile.read(1)) not in (b"", end):
            read += byte
        return read

    def find(self, question):
        with open(sys.argv[2]) as table:
            for line in table:
                name, key, data = line.rstrip("\n").split(" ", 2)
                if f"{name} {key}" == question:
                    return data
        return None

    def answer(self, data):
        if data == "!hang":
            threading.Event().wait()
        if data == "!close":
            return False
        reply = {None: "NOTFOUND ", "!temp": "TEMP the database is away",
                 "!long": "OK " + "x" * 20000}.get(data, f"OK {data}").encode()
        framed = reply if data == "!noise" else b"%d:%s," % (len(reply), reply)
        self.wfile.write(framed)
        return True


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client may leave in the middle of an answer."""


server = Server(sys.argv[1], Connection)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
