"""sendguard-auth beside a server that lets everybody in: the answer to one question with a hundred
thousand blocks in memory, and what sign-ins of a real Dovecot cost that asks one or the other."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import servers

KEY = "0123456789abcdef0123456789abcdef"
SUBJECTS = ("floor", "sqlite", "redis")
BLOCKS = 100_000
RATE = 5000
CONNECTIONS = 32
SETTLED_US = 20_000  # of processor time in a second: what it does when it has nothing to write
DOVECOT_CLIENTS = (1, 32)
MAILBOXES = 1000  # that sign in again and again, as mail programs do

DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = sendguard-bench-{port}
log_path = {folder}/dovecot.log
protocols =
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
service auth {{
  client_limit = 1100
  unix_listener bench {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = static
  args = password=secret
  override_fields = sendguard=1
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
auth_policy_server_url = http://127.0.0.1:{port}/
auth_policy_server_api_header = Authorization: Bearer {key}
auth_policy_hash_nonce = bench
auth_policy_request_attributes = login=%{{requested_username}} pwhash=%{{hashed_password}} \
remote=%{{rip}} protocol=%s session_id=%{{session}} stage=%{{passdb:sendguard}}
"""


class Floor(servers.Server):
    """bench_login_floor."""

    def __init__(self, folder):
        folder.mkdir()
        self.port = servers.free_port()
        super().__init__([servers.built("bench/bench_login_floor"), str(self.port)], folder,
                         ("127.0.0.1", self.port))


class Auth(servers.Server):
    """sendguard-auth, where the first wrong password of a mailbox from a network begins a block."""

    def __init__(self, folder, store_url):
        folder.mkdir()
        self.port = servers.free_port()
        key, config = folder / "key", folder / "sendguard.conf"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        config.write_text(f"[store]\nurl = {store_url}\ntimeout = 5s\n"
                          f"[auth]\nlisten = 127.0.0.1:{self.port}\nkey_file = {key}\n"
                          f"[web]\nsecret_file = {folder / 'secret'}\n"
                          "[logins]\nmode = enforce\nwrong_passwords_per_mailbox_and_ip = 1\n")
        super().__init__([servers.built("sendguard-auth"), "-c", str(config)], folder,
                         ("127.0.0.1", self.port))


class Dovecot(servers.Server):
    """Its authentication alone; every password is `secret`."""

    def __init__(self, folder, port):
        folder.mkdir()
        folder.chmod(0o755)
        config = folder / "dovecot.conf"
        config.write_text(DOVECOT.format(folder=folder, port=port, key=KEY))
        self.socket = str(folder / "run" / "bench")
        super().__init__([servers.program("dovecot"), "-F", "-c", str(config)], folder, self.socket)


def load(*options, first=()):
    done = subprocess.run([*first, servers.built("bench/bench_login"), *map(str, options)],
                          capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise servers.BenchError(f"bench_login: {done.stderr.strip()[-600:]}")
    result = json.loads(done.stdout)
    if result["other"] > 0:
        raise servers.BenchError(f"bench_login: {result['other']} answers without a meaning: "
                                 f"{done.stderr.strip()[-600:]}")
    return result


def policy(server, *options, first=()):
    return load("--policy", f"127.0.0.1:{server.port}", "--key", KEY, "--connections", CONNECTIONS, *options,
                first=first)


def block_many(auth, count):
    """Until all that is to be written is."""
    policy(auth, "--report", "--mailboxes", count, "--count", count)
    used = SETTLED_US * 1000
    while used >= SETTLED_US * 1000:
        before = servers.cpu_ns(auth.pids())
        time.sleep(1)
        used = servers.cpu_ns(auth.pids()) - before


@contextlib.contextmanager
def before_all_others(*measured):
    """These servers, and what is run with the words that it yields before it, wait for no other work of the
    machine; where that is not allowed there are none."""
    if os.geteuid() != 0 or shutil.which("chrt") is None:
        yield ()
        return
    pids = [str(pid) for server in measured for pid in server.pids()]
    for pid in pids:
        subprocess.run(["chrt", "-a", "-f", "-p", "30", pid], check=True)
    yield ("chrt", "-f", "30")
    for pid in pids:
        subprocess.run(["chrt", "-a", "-o", "-p", "0", pid], check=True)


def ask(server, blocks, seconds):
    """Half of the mailboxes are blocked. Latency, where it can, without what else the machine does."""
    questions = ("--mailboxes", 2 * blocks, "--duration", seconds)
    result = {}
    for name, more in (("rate", ("--rate", RATE)), ("full", ())):
        before = servers.cpu_ns(server.pids())
        measured = policy(server, *questions, *more)
        used = servers.cpu_ns(server.pids()) - before
        result[f"{name}_cpu_us"] = used / 1000 / measured["answers"]
        result[f"{name}_per_second"] = measured["per_second"]
    with before_all_others(server) as first:
        latency = policy(server, *questions, "--rate", RATE, first=first)
    return {**result, **{name: latency[name] for name in ("p50_us", "p99_us", "max_us")},
            "kept_out": latency["kept_out"] / latency["answers"]}


def check_blocks(name, result):
    if name != SUBJECTS[0] and abs(result["kept_out"] - 0.5) > 0.1:
        raise servers.BenchError(f"{name} kept {result['kept_out']:.0%} out, and not half")


def sign_in(dovecot, server, clients, seconds):
    with before_all_others(dovecot, server) as first:
        result = load("--dovecot", dovecot.socket, "--connections", clients, "--duration", seconds,
                      "--first-mailbox", BLOCKS, "--mailboxes", MAILBOXES, first=first)
    if result["kept_out"] > 0:
        raise servers.BenchError(f"Dovecot kept {result['kept_out']} out")
    return {"logins_per_second": result["per_second"], "logins_p50_us": result["p50_us"]}


def start(folder, stack, blocks, say):
    """The servers, with their blocks, and a Dovecot for each."""
    folder.mkdir()
    redis = stack.enter_context(servers.Redis(folder / "redis-server"))
    urls = {"sqlite": f"sqlite://{folder}/sendguard.db", "redis": redis.url}
    subjects, dovecots = {}, {}
    for name in SUBJECTS:
        subjects[name] = stack.enter_context(
            Auth(folder / name, urls[name]) if name in urls else Floor(folder / name))
        if name in urls:
            block_many(subjects[name], blocks)
        dovecots[name] = stack.enter_context(Dovecot(folder / f"dovecot-{name}", subjects[name].port))
        sign_in(dovecots[name], subjects[name], DOVECOT_CLIENTS[-1], 2)  # from now on they are known
        say(f"logins: {name} is there")
    return subjects, dovecots


def logins(folder, rounds, seconds, quick, say):
    results = []
    blocks = BLOCKS // 20 if quick else BLOCKS
    with contextlib.ExitStack() as stack:
        subjects, dovecots = start(folder, stack, blocks, say)
        for number in range(rounds):
            asked = {name: ask(subjects[name], blocks, seconds) for name in SUBJECTS}
            for name in SUBJECTS:
                check_blocks(name, asked[name])
                results.append({"round": number, "subject": name, "part": "questions", **asked[name]})
            for clients in DOVECOT_CLIENTS:
                floor = None
                for name in SUBJECTS:
                    signed = sign_in(dovecots[name], subjects[name], clients, seconds)
                    floor = floor or signed
                    results.append({
                        "round": number, "subject": name, "part": "sign-ins", "clients": clients, **signed,
                        "logins_ratio": signed["logins_per_second"] / floor["logins_per_second"]})
        say("logins done")
    return results
