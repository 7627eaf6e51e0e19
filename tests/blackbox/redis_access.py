"""Redis by TCP and TLS, with certificates of the test's own."""

import subprocess

from programs import RedisServer, free_port

HOST = "localhost"


def openssl(folder, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)


class Authority:
    """Signs certificates. NAME.crt and NAME.key lie in the folder."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.crt"
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name, alternatives="DNS:localhost,IP:127.0.0.1"):
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        openssl(self.folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.crt",
                "-CAkey", f"{self.name}.key", "-days", "2", "-extfile", f"{name}.ext",
                "-out", f"{name}.crt")
        (self.folder / f"{name}.key").chmod(0o600)
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


class TlsStore:
    """A store behind `tls-port`; a UNIX socket is there for the test alone."""

    kind = "redis"

    def __init__(self, folder, authority, certificate, key, *options):
        self.port = free_port()
        self.server = RedisServer(
            folder, "--tls-port", self.port, "--tls-cert-file", certificate, "--tls-key-file", key,
            "--tls-ca-cert-file", authority.file, *options)
        self.url = f"rediss://{HOST}:{self.port}"

    def start(self):
        self.server.start()

    def stop(self):
        self.server.stop()
