"""Tokens of an identity provider, rates per caller and certificates of clients, on the real node."""
import base64
import http.client
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time

import pytest

from apinode import API, APINODE, nodes, shop  # noqa: F401
from test_query_log import QUICK, lines_of


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, check=True).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """An identity provider: a key pair made by openssl, and a server with its JWKS."""

    def __init__(self, folder, kid="k1"):
        self.folder, self.kid, self.asked = pathlib.Path(folder), kid, 0
        self.rotate(kid)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                body = json.dumps(outer.jwks()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def rotate(self, kid):
        self.kid, self.key = kid, self.folder / f"{kid}.pem"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        self.n = b64(bytes.fromhex(modulus))

    def jwks(self):
        return {"keys": [{"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": self.n, "e": "AQAB"}]}

    def token(self, header=None, **claims):
        claims = {"exp": time.time() + 600, "iss": "https://login.test", "aud": "scoring", "azp": "robot", **claims}
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT", **(header or {})}
        text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{text}.{b64(openssl('dgst', '-sha256', '-sign', self.key, stdin=text.encode()))}"

    def config(self, **more):
        keys = {"jwks_url": self.url, "issuer": "https://login.test", "audience": "scoring", **more}
        return QUICK + "[auth.jwt]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def provider(tmp_path):
    made = Provider(tmp_path)
    yield made
    made.end()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def patiently(call, status=200):
    """503 says: again in a moment, keys are being fetched."""
    deadline = time.monotonic() + 20
    while True:
        answer = call()
        if answer.status != 503 or time.monotonic() > deadline:
            assert answer.status == status, answer
            return answer
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(0.02)


def served(nodes, shop, config, **settings):
    node = nodes(package=shop.v1, config=config)
    answer = node.admin("PUT", "services/shop/settings", settings)
    assert answer.status == 200, answer
    return node


def test_tokens(nodes, shop, provider):
    node = served(nodes, shop, provider.config(scopes=["score"]), auth="jwt")
    record = shop.records[0]
    good = provider.token(scope="read score")
    answer = patiently(lambda: node.predict(record, headers=bearer(good)))
    assert lines_of(node)[0]["key"] == "robot"
    infer = node.request("POST", "/v2/models/shop.fare/infer", {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}, bearer(good))
    assert infer.status == 200
    for name, token, status in [
            ("expired", provider.token(scope="score", exp=time.time() - 61), 401),
            ("not yet", provider.token(scope="score", nbf=time.time() + 120), 401),
            ("issuer", provider.token(scope="score", iss="https://evil.test"), 401),
            ("audience", provider.token(scope="score", aud=["other"]), 401),
            ("no scope", provider.token(), 403),
            ("altered", good[:-8] + "AAAAAAAA", 401),
            ("none", ".".join([b64(json.dumps({"alg": "none"}).encode()), good.split(".")[1], ""]), 401),
            ("symmetric", provider.token(header={"alg": "HS256"}, scope="score"), 401),
            ("not a token", "abc", 401)]:
        answer = node.predict(record, headers=bearer(token))
        assert answer.status == status, (name, answer)
        assert name == "no scope" or "Bearer" in answer.headers.get_all("WWW-Authenticate")[-1], name
    assert node.predict(record).status == 401
    key = node.admin("POST", "keys", {"label": "k"}).json["key"]
    assert node.predict(record, headers=bearer(key)).status == 401, "a service that asks for tokens takes no keys"
    document = node.get("/openapi.json", headers=bearer(good)).json
    assert "/public/api/v1/shop/fare/predict" in document["paths"], "who may score sees what to send"
    for headers in ({}, bearer(key), bearer(provider.token())):
        assert not node.get("/openapi.json", headers=headers).json["paths"], headers
    assert provider.asked == 1


def test_the_provider_changes_its_key(nodes, shop, provider):
    node = served(nodes, shop, provider.config(), auth="jwt")
    record, old = shop.records[0], provider.token()
    patiently(lambda: node.predict(record, headers=bearer(old)))
    provider.rotate("k2")
    patiently(lambda: node.predict(record, headers=bearer(provider.token())))
    assert provider.asked == 2
    assert node.predict(record, headers=bearer(old)).status == 401, "the old key is gone"
    assert provider.asked == 2, "unknown keys do not make the node ask all the time"


def test_keys_from_a_file_and_without_a_provider(nodes, shop, provider, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(provider.jwks()))
    node = served(nodes, shop, f'[auth.jwt]\njwks_file = "{tmp_path}/keys.json"\n', auth="jwt")
    assert node.predict(shop.records[0], headers=bearer(provider.token(iss="anyone"))).status == 200
    bare = nodes(package=shop.v1)
    refused = bare.admin("PUT", "services/shop/settings", {"auth": "jwt"})
    assert refused.status == 409 and "[auth.jwt]" in refused.json["hint"]
    (node.home / "apinode.toml").unlink()
    answer = node.restart().predict(shop.records[0], headers=bearer(provider.token()))
    assert answer.status == 503 and "jwks_url" in answer.json["hint"]


@pytest.mark.parametrize("config, text", [
    ('jwks_url = "http://login.test/keys"', "loopback"),
    ('jwks_url = "file:///etc/passwd"', "https://"),
    ('jwks_file = "/nowhere/keys.json"', "keys.json"),
    ('jwks_url = "https://h/"\njwks_file = "x"', "both"),
    ('jwks = "x"', "auth.jwt.jwks"),
])
def test_wrong_settings_do_not_start(tmp_path, config, text):
    (tmp_path / "apinode.toml").write_text(f"[auth.jwt]\n{config}\n")
    ended = subprocess.run([str(APINODE), "--home", str(tmp_path), "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=20)
    assert ended.returncode != 0 and text in ended.stderr


def test_rate_per_caller(nodes, shop):
    node = served(nodes, shop, "", auth="api_keys", rate_per_key=2)
    first, second = (node.admin("POST", "keys", {"label": label}).json["key"] for label in ("a", "b"))
    statuses = [node.predict(shop.records[0], headers=bearer(first)).status for _ in range(8)]
    assert statuses[:2] == [200, 200] and 429 in statuses
    answer = node.predict(shop.records[0], headers=bearer(second))
    assert answer.status == 200, "callers do not share"
    assert all(node.request("POST", "/invocations/shop/fare", {"dataframe_records": []}, bearer(second)).status in (200, 429) for _ in range(4))
    limited = [a for a in (node.request("POST", "/invocations/shop/fare", {"dataframe_records": []}, bearer(second)) for _ in range(8)) if a.status == 429]
    assert limited and limited[0].headers["Retry-After"] == "1" and limited[0].json["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert node.get("/v2/models/shop.fare", headers=bearer(second)).status == 200, "what tells about models is not counted"
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    assert all(node.predict(shop.records[0], headers=bearer(first)).status == 200 for _ in range(20))


@pytest.fixture
def certificates(tmp_path):
    """An authority, a certificate of the node, one of a client, and a client's of nobody."""
    def make(name, subject, ca=None):
        key, request, out = (tmp_path / f"{name}.{end}" for end in ("key", "csr", "crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", subject)
        extra = tmp_path / f"{name}.ext"
        extra.write_text("subjectAltName=IP:127.0.0.1\n" if ca else "basicConstraints=critical,CA:TRUE\n")
        sign = ["-CA", tmp_path / f"{ca}.crt", "-CAkey", tmp_path / f"{ca}.key", "-CAcreateserial"] if ca else ["-signkey", key]
        openssl("x509", "-req", "-in", request, "-out", out, "-days", "2", "-extfile", extra, *sign)
    make("ca", "/CN=authority")
    make("node", "/CN=node", "ca")
    make("client", "/O=Shop/CN=till 7", "ca")
    make("other", "/CN=other")
    make("stranger", "/CN=stranger", "other")
    return tmp_path


def test_certificates_name_callers(nodes, shop, certificates):
    config = QUICK + f"[tls]\ncertificate_file = \"{certificates}/node.crt\"\nkey_file = \"{certificates}/node.key\"\nclient_ca_file = \"{certificates}/ca.crt\"\n"
    node = nodes(package=shop.v1, config=config)

    def predict(name):
        context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        if name:
            context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
        connection = http.client.HTTPSConnection(node.host, node.port, timeout=20, context=context)
        try:
            connection.request("POST", f"{API}/shop/fare/predict", json.dumps({"features": shop.records[0]}))
            return connection.getresponse().status
        finally:
            connection.close()
    assert predict("client") == 200
    assert "till 7" in lines_of(node)[0]["key"]
    for name in (None, "stranger"):
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            predict(name)

    def admin(*args):
        return subprocess.run([str(APINODE), "admin", "--home", str(node.home), "--ca-file", str(certificates / "ca.crt"), *args, "services-list"],
                              capture_output=True, text=True, timeout=60)
    mine = ("--certificate-file", str(certificates / "client.crt"), "--certificate-key-file", str(certificates / "client.key"))
    answer = admin(*mine)
    assert answer.returncode == 0 and "shop" in answer.stdout, answer.stderr
    without = admin()
    assert without.returncode == 7 and "--certificate-file" in without.stderr, without.stderr
    assert admin(*mine[:2]).returncode == 2
    wrong = admin(*mine[:2], "--certificate-key-file", str(certificates / "other.key"))
    assert wrong.returncode == 1 and "other.key" in wrong.stderr, wrong.stderr
