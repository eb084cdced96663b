"""The node does what its /openapi.json says: schemathesis makes requests from the document, right ones and wrong ones, and every answer
must be one that the document describes. Seeded, so that a failure comes again; longer in `./run test soak`."""
import json
import os
import pathlib
import subprocess
import sys

import dataikuapi
import pytest

from apinode import API, nodes, shop  # noqa: F401  (fixtures)

EXAMPLES = int(os.environ.get("SLIPWAY_SCHEMATHESIS_EXAMPLES", "15"))
SECONDS = int(os.environ.get("SLIPWAY_SCHEMATHESIS_SECONDS", "25"))


def schemathesis(node, folder, *more, seed=1):
    command = [str(pathlib.Path(sys.executable).with_name("schemathesis")), "run", node.url + "/openapi.json", "--checks", "all", "--phases",
               "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(seed), "--max-time", str(SECONDS), "--workers", "1",
               "--generation-database", "none", "--request-timeout", "20", "--no-color", "--continue-on-failure",
               # A query string's parameters cannot say "the key, or what it would give", which the body's schema says.
               "--exclude-path", f"{API}/shop/rich/predict-simple", *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=SECONDS * 10 + 120)


def test_the_document_describes_every_endpoint_with_types_and_examples(nodes, shop):
    node = nodes(package=shop.v1)
    document = node.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for endpoint in ("fare", "big", "kind", "told", "heavy", "rich"):
        for verb in ("predict", "predict-multi"):
            assert "post" in document["paths"][f"{API}/shop/{endpoint}/{verb}"]
        assert "get" in document["paths"][f"{API}/shop/{endpoint}/predict-simple"]
    for verb in ("lookup", "lookup-multi"):
        assert "post" in document["paths"][f"{API}/shop/zones/{verb}"]
    text = json.dumps(document)
    for feature in ("x", "z", "c", "at"):
        assert f'"{feature}"' in text
    assert '"example' in text


def test_each_operation_says_the_rule_in_force(nodes, shop):
    """A service whose settings ask for a key was described as open to all."""
    node = nodes(package=shop.v1)
    node.upload(shop.v1, service="free")
    node.switch("v1", service="free")

    def rules():
        """What each endpoint's predict asks for, in its service's document and in the node's."""
        key = {"Authorization": f"Bearer {node.admin_key}"}
        out = {}
        for document in ("/openapi.json", f"{API}/shop/openapi.json", f"{API}/free/openapi.json"):
            for path, item in node.get(document, headers=key).json["paths"].items():
                if path.endswith("/predict"):
                    name = path.removeprefix(f"{API}/").removesuffix("/predict")
                    wanted = out.setdefault(name, item["post"]["security"])
                    assert wanted == item["post"]["security"], (document, path)
        return out
    key, anyone = [{"bearer": []}, {"basic": []}], [{}, {"bearer": []}, {"basic": []}]
    assert set(map(str, rules().values())) == {str(anyone)}
    settings = {"auth": "api_keys", "endpoints": {"big": {"auth": "public"}}}
    assert node.admin("PUT", "services/shop/settings", settings).status == 200
    now = rules()
    assert now["shop/fare"] == key and now["shop/big"] == [{}] and now["free/fare"] == anyone


def test_schemathesis_finds_nothing_without_a_key(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    done = schemathesis(node, tmp_path)
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]
    assert node.alive()


def test_schemathesis_finds_nothing_with_a_key(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    key = dataikuapi.APINodeAdminClient(node.url, node.admin_key).auth().add_key("k")["key"]
    done = schemathesis(node, tmp_path, "--header", f"Authorization: Bearer {key}", seed=2)
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]
    assert node.alive()


def test_schemathesis_sees_a_server_that_does_not_keep_its_word(tmp_path):
    """The test above can fail: a document that says something else is caught."""
    import http.server
    import threading

    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"post": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"type": "object", "required": ["result"]}}}}}}}}}

    class Liar(http.server.BaseHTTPRequestHandler):
        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(json.dumps(document).encode())

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.answer(b"{}")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class At:
        url = f"http://127.0.0.1:{server.server_address[1]}"

    try:
        done = schemathesis(At, tmp_path, "--max-failures", "1")
        assert done.returncode != 0
        assert "result" in done.stdout
    finally:
        server.shutdown()
        server.server_close()
