#!/usr/bin/python3
"""What the milter costs a message: a real Postfix with the policy service, without the milter, and with
it by a socket file and by TCP. Wants root, and the programs built.

  milter.py [MESSAGES] [ROUNDS]     each way in turn, on one connection"""

import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/blackbox"))
from postfix import MailProgram, Stack  # noqa: E402
from programs import eventually  # noqa: E402

NO_DAY = ("limits.smtp.messages_per_day=off", "limits.smtp.off_domain_per_day=off")
BOTH = ("limits.smtp.recipients_per_field=100", "limits.smtp.header_chars_per_domain=2000")
WAYS = {  # how Postfix reaches it, and the limits
    "without": (None, BOTH), "socket file, no limit": ("unix", ()),
    "socket file, both limits": ("unix", BOTH), "TCP, both limits": ("inet", BOTH)}
RECIPIENTS = [f"p{number}@d{number}.outside.test" for number in range(3)]
MESSAGE = f"To: {', '.join(RECIPIENTS)}\r\nSubject: x\r\n\r\n" + "Hello.\r\n" * 100


class Way:
    """A milter of its own, as the stack would start it, and Postfix that shows it headers."""

    def __init__(self, stack, how, limits):
        path = pathlib.Path(f"{stack.folder}.sock")
        listen = path if how == "unix" else f"127.0.0.1:{stack.port('milter')}"
        settings = (*NO_DAY, *limits, f"milter.listen={listen}", "milter.socket_mode=0666")
        options = [word for setting in settings for word in ("-o", setting)]
        self.milter = subprocess.Popen(
            ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups",
             stack.folder / "guard/sendguard-milter", "-c", stack.folder / "guard/sendguard.conf",
             *options], stderr=subprocess.PIPE, text=True)
        eventually(lambda: "msg=listening" in self.milter.stderr.readline(), "it listens")
        milters = "" if how is None else f"{how}:{listen}"
        subprocess.run(["postconf", "-c", stack.folder / "postfix/conf",
                        f"submission_milters={milters}"], check=True)
        stack.stop("mailer")
        stack.start("mailer")

    def cpu_us(self):
        return sum(int((task / "schedstat").read_text().split()[0]) / 1000
                   for task in pathlib.Path(f"/proc/{self.milter.pid}/task").iterdir())

    def measure(self, stack, mailbox, messages):
        """Seconds, and the milter's microseconds of processor, a message."""
        with MailProgram(stack, mailbox) as program:
            def send(count):
                for _ in range(count):
                    program.smtp.mail(mailbox)
                    for one in RECIPIENTS:
                        program.smtp.rcpt(one)
                    assert program.smtp.data(MESSAGE)[0] == 250

            send(20)
            cpu, began = self.cpu_us(), time.monotonic()
            send(messages)
            return (time.monotonic() - began) / messages, (self.cpu_us() - cpu) / messages

    def end(self):
        self.milter.terminate()
        self.milter.communicate()


def main():
    messages, rounds = (int(word) for word in (*sys.argv[1:], "200", "5")[:2])
    stack = Stack(*NO_DAY)
    taken = {name: [] for name in WAYS}
    try:
        stack.stop("milter")
        mailbox = stack.new_mailbox()
        for _ in range(rounds):
            for name, (how, limits) in WAYS.items():
                way = Way(stack, how, limits)
                taken[name].append(way.measure(stack, mailbox, messages))
                way.end()
    finally:
        stack.down()
    print("| a message to three recipients | ms | of without | CPU µs of sendguard-milter |")
    print("|---|---|---|---|")
    for name, found in taken.items():
        ratios = [one[0] / base[0] for one, base in zip(found, taken["without"])]
        print(f"| {name} | {statistics.median(one[0] for one in found) * 1000:.2f} | "
              f"{statistics.median(ratios):.2f} | {statistics.median(one[1] for one in found):.0f} |")


main()
