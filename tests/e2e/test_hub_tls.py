"""The hub over TLS, with certificates of a CA that the test makes; and what is refused without."""
import contextlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest

from conftest import BINARY
from hub import hubs  # noqa: F401: a fixture

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(folder, *args):
    subprocess.run(["openssl", *map(str, args)], cwd=folder, capture_output=True, check=True)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        openssl(folder, "req", "-x509", *EC, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
        self.file = folder / f"{name}.pem"

    def certificate(self, name, addresses="IP:127.0.0.1,DNS:localhost"):
        (self.folder / "ext").write_text(f"subjectAltName={addresses}\n")
        openssl(self.folder, "req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", self.file, "-CAkey", f"{self.name}.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def served(hubs, slipway, pair, *more):
    return hubs(slipway, "--tls-certificate", pair[0], "--tls-key", pair[1], *more)


def shown_certificate(hub):
    host, port = hub.address.split(":")
    return ssl.get_server_certificate((host, int(port)))


def test_commands_and_clients_over_tls(slipway, hubs, authority):
    hub = served(hubs, slipway, authority.certificate("hub"))
    assert hub.url.startswith("https://127.0.0.1:")
    key = slipway.write("key", slipway.json("key", "create", "--label", "a")["key"])  # by hub.json, over TLS
    there = ["--server", hub.url, "--key-file", key]
    # Whom to trust is said; nobody is trusted by accident.
    refused = slipway(*there, "project", "ls", "--json", code=7).error
    assert "certificate is not trusted" in refused["message"] and "--ca-file" in refused["hint"]
    assert slipway(*there, "--ca-file", authority.file, "project", "ls", "--json").json == []
    slipway.write("p.yaml", "project: p\n")
    slipway(*there, "--ca-file", authority.file, "apply", "-f", "p.yaml")
    environment = {**slipway.environment(), "SLIPWAY_CA_FILE": str(authority.file)}
    done = subprocess.run([BINARY, *map(str, there), "project", "ls"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "p" in done.stdout
    assert slipway(*there, "--ca-file", Authority(slipway.folder, "other").file, "project", "ls", code=7)
    assert slipway(*there, "--ca-file", "none.pem", "project", "ls", code=None).code in (1, 3, 7)
    # Of another name than the certificate's: an address that the machine has, too.
    elsewhere = hub.url.replace("127.0.0.1", "127.0.0.2")
    assert slipway("--server", elsewhere, "--key-file", key, "--ca-file", authority.file, "project", "ls", code=7)
    by_name = hub.url.replace("127.0.0.1", "localhost")
    assert slipway("--server", by_name, "--key-file", key, "--ca-file", authority.file, "project", "ls", "--json").json[0]["name"] == "p"

    context = ssl.create_default_context(cafile=authority.file)
    request = urllib.request.Request(hub.url + "/api/v1/projects", headers={"Authorization": "Bearer " + key.read_text()})
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        assert answer.status == 200
    with socket.create_connection(tuple(hub.address.split(":"))) as plain, context.wrap_socket(plain, server_hostname="localhost") as secure:
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
    # The session's cookie never goes over plain HTTP.
    slipway.write("pw", "correct horse battery")
    slipway("user", "add", "ada", "--password-file", "pw")
    body = b'{"account": "ada", "password": "correct horse battery"}'
    request = urllib.request.Request(hub.url + "/api/v1/sessions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert answer.status == 201 and "Secure" in cookie and "HttpOnly" in cookie
    # Plain HTTP to this port is no answer, and no end.
    with socket.create_connection(tuple(hub.address.split(":")), timeout=30) as plain:
        plain.sendall(b"GET /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"200" not in plain.recv(1000)
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        outdated = ssl._create_unverified_context()
        outdated.minimum_version = outdated.maximum_version = old
        with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(tuple(hub.address.split(":")), timeout=30) as plain:
            outdated.wrap_socket(plain)
    assert slipway("project", "ls", "--json").json[0]["name"] == "p"
    assert hub.stop() == 0


def test_a_new_certificate_is_taken_without_a_break(slipway, hubs, authority):
    pair = authority.certificate("hub")
    hub = served(hubs, slipway, pair)
    before = shown_certificate(hub)
    good = pair[0].read_bytes()
    authority.certificate("hub")
    hub.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while shown_certificate(hub) == before:
        assert time.monotonic() < until, "SIGHUP was not heard"
    after = shown_certificate(hub)
    assert after != before
    # One that cannot be read changes nothing.
    pair[0].write_bytes(b"nothing")
    hub.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while "could not be read again" not in (slipway.folder / "hub.err").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert shown_certificate(hub) == after
    pair[0].write_bytes(good)


def test_what_is_no_certificate_is_refused_before_anything_is_served(slipway, authority):
    certificate, key = authority.certificate("hub")
    other = authority.certificate("second")[1]
    slipway.write("junk.pem", "nothing")
    for flags in (["--tls-certificate", certificate], ["--tls-certificate", "junk.pem", "--tls-key", key], ["--tls-certificate", certificate, "--tls-key", "none.key"],
                  ["--tls-certificate", certificate, "--tls-key", other], ["--tls-key", key]):
        refused = slipway("hub", "--listen", "127.0.0.1:0", *flags, code=None, timeout=60)
        assert refused.code in (1, 2, 3) and refused.err, (flags, refused.code, refused.err)
        assert "ready" not in refused.out
    assert not (slipway.home / "hub.json").exists()


def test_off_loopback_keys_cross_the_network_only_over_tls_or_when_that_is_meant(slipway, hubs, authority):
    refused = slipway("hub", "--listen", "0.0.0.0:0", code=2, timeout=60)
    assert "without TLS" in refused.err and "--tls-certificate" in refused.err
    assert slipway("hub", "--listen", "127.0.0.1:0", "--listen", "[::]:0", code=2, timeout=60)
    meant = hubs(slipway, "--listen", "0.0.0.0:0", "--allow-keys-without-tls")
    assert "in the clear" in (slipway.folder / "hub.err").read_text()
    assert meant.stop() == 0
    hub = served(hubs, slipway, authority.certificate("hub"), "--listen", "0.0.0.0:0")
    assert hub.url.startswith("https://")
    slipway.write("p.yaml", "project: p\n")
    slipway("apply", "-f", "p.yaml")  # on the home: over TLS to an address of this machine
    assert slipway.json("project", "ls")[0]["name"] == "p"
