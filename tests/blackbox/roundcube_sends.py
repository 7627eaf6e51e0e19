"""roundcube_sends.py PORT: sends by Roundcube what contrib/webmail/conformance writes to its input."""

import json
import sys

from roundcube import Roundcube


def main(port):
    message = json.load(sys.stdin)
    if message["from"] is not None:
        return 3
    more = {"_draft": "1"} if message["action"] == "draft" else {}
    with Roundcube(int(port), message["mailbox"]) as user:
        said = user.send(message["to"], message["cc"], message["bcc"], message["subject"], text=message["text"], **more)
    if said is True or (more and "set_draft_id" in said):
        return 0
    print(said)
    return 1


sys.exit(main(*sys.argv[1:]))
