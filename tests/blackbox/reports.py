"""Reports of complaints, straight to sendguard-feedback by LMTP."""

import random

from programs import BUILD, PATIENCE, Guard, connect_to_file

PROGRAM = BUILD / "sendguard-feedback"


class Reports(Guard):
    """sendguard-feedback that follows no log. Shares folder, store and secret with a Guard there."""

    program = PROGRAM

    def __init__(self, folder, store, settings=None, **more):
        super().__init__(folder, store, **more)
        self.config_path = self.folder / "reports.conf"
        self.listen = self.folder / "lmtp.sock"
        self.configure({"feedback": {"listen": self.listen, "source": f"file:{self.folder}/no.log"},
                        "complaints": {"authserv_id": "mx.example.test", "loops": "loop.test"}})
        self.configure(settings or {})

    def connect(self, timeout=PATIENCE):
        return connect_to_file(self.listen, timeout)

    def hand_over(self, content):
        """The reply to the message."""
        with self.connect() as client, client.makefile("rwb") as file:
            file.write(b"LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<fbl@example.test>\r\nDATA\r\n" + content +
                       b"\r\n.\r\nQUIT\r\n")
            file.flush()
            return file.read().splitlines()[-2]

    def about_nobody(self, domain="loop.test", kind="abuse"):
        """A report about no message that is known; it waits for staff."""
        content = (
            f"Authentication-Results: mx.example.test; dkim=pass header.d={domain}\r\n"
            f"From: fbl@{domain}\r\nSubject: {random.random()}\r\nContent-Type: multipart/report; "
            "report-type=feedback-report; boundary=b\r\n\r\n--b\r\n"
            f"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\n\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: someone@example.test\r\n"
            "Subject: x\r\n\r\nx\r\n--b--\r\n")
        assert self.hand_over(content.encode()) == b"250 2.0.0 Ok: kept"
