"""sendguard-postqueue as its clients see it."""

import socket

from programs import PATIENCE


def ask(path, request):
    """The lines of the answer; the last one says how it ended."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(str(path))
        link.sendall(request)
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    return answer.decode("ascii").splitlines()


def result(answer):
    """What it says of each queue id."""
    assert answer[-1] == "end", answer
    return dict(line.split(" ") for line in answer[:-1])
