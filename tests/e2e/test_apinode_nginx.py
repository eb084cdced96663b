"""nginx in front of several nodes, with the configuration that is shipped."""
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from apinode import API, nodes, shop  # noqa: F401  (fixtures)
from conftest import ROOT


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    """The shipped configuration with this test's addresses, over plain HTTP."""

    def __init__(self, folder, servers):
        self.folder, self.port = folder, free_port()
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        named = sorted(set(re.findall(r"10\.0\.0\.\d+:12000", text)))
        assert len(named) == len(servers), "one address per node"
        for address, server in zip(named, servers):
            text = text.replace(address, server)
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        text = re.sub(r"\s*ssl_certificate\S* \S+;", "", text)
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
            f"events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n{paths}{text}\n}}\n")
        self.command = ["nginx", "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]

    def __enter__(self):
        tested = subprocess.run([*self.command, "-t"], capture_output=True, text=True)
        assert tested.returncode == 0, tested.stderr
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "error.log").read_text()
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def send(self, path, body=None, **headers):
        """Status, headers and body of a GET, or of a POST of the body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data,
                                         {"Host": "localhost", "Content-Type": "application/json", **headers})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def post(self, path, body):
        status, _, answer = self.send(path, body)
        assert status == 200, answer
        return json.loads(answer)


def count_of(node):
    return node.metric("slipway_records_total", endpoint="fare", service="shop")


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here: nginx in front of nodes is not tested")
def test_nginx_keeps_a_clients_request_id_and_passes_what_clients_call(nodes, shop, tmp_path):
    two = [nodes(package=shop.v1, home=tmp_path / f"node-{i}") for i in range(2)]
    with Nginx(tmp_path, [f"127.0.0.1:{node.port}" for node in two]) as nginx:
        body = {"features": shop.records[0]}
        status, headers, answer = nginx.send(f"{API}/shop/fare/predict", body, **{"X-Request-Id": "till-7-42"})
        assert status == 200 and headers["X-Request-Id"] == "till-7-42"
        _, headers, _ = nginx.send(f"{API}/shop/fare/predict", body)
        assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"]), "nginx's own"
        for path in ("/v2", "/v2/health/ready", "/ping", "/version", "/ready", f"{API}/shop/openapi.json"):
            assert nginx.send(path)[0] == 200, path
        # Answered by a node, not by nginx: an error of the API.
        for path in ("/invocations", "/v2/models/none/infer"):
            status, headers, answer = nginx.send(path, {})
            assert status >= 400 and json.loads(answer), path
        for path in ("/", "/metrics", "/admin/api/services", "/openapi.json"):
            assert nginx.send(path)[0] == 404, path


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here: nginx in front of nodes is not tested")
def test_nginx_in_front_of_two_nodes_loses_nothing_when_one_goes(nodes, shop, tmp_path):
    two = [nodes(package=shop.v1, config="[drain]\nseconds = 0.3\n", home=tmp_path / f"node-{i}") for i in range(2)]
    path, expected = f"{API}/shop/fare/predict", {}
    for i, record in enumerate(shop.records[:20]):
        expected[i] = two[0].predict(record).json["result"]
    with Nginx(tmp_path, [f"127.0.0.1:{node.port}" for node in two]) as nginx:
        def ask(i):
            i %= 20
            assert nginx.post(path, {"features": shop.records[i]})["result"] == expected[i]
        for i in range(100):
            ask(i)
        counts = [count_of(node) for node in two]
        assert min(counts) > 20, f"both take part: {counts}"
        two[1].kill()  # without a word
        for i in range(200):
            ask(i)
        # It comes back on its port; the other one leaves in order, under way.
        two[1].args += ["--listen", f"127.0.0.1:{two[1].port}"]
        two[1].start()
        # nginx asks it again after fail_timeout: till then the other one is all there is, and must stay.
        deadline, asked = time.monotonic() + 30, 0
        while count_of(two[1]) == 0:
            ask(asked := asked + 1)
            assert time.monotonic() < deadline, "it stays out"
        two[0].process.terminate()
        for i in range(400):
            ask(i)
        assert two[0].process.wait(20) == 0
        assert nginx.send("/admin/api/services", {})[0] == 404


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here: nginx in front of nodes is not tested")
def test_nginx_takes_no_node_out_for_refusals(nodes, shop, tmp_path):
    """A few 503s (of a disabled service, a model that is not ready, a full queue) took all nodes out, for all services."""
    two = [nodes(package=shop.v1, home=tmp_path / f"node-{i}") for i in range(2)]
    for node in two:
        node.upload(shop.v1, service="closed")
        node.switch("v1", service="closed")
        assert node.admin("POST", "services/closed/actions/disable").status == 200
    body = {"features": shop.records[0]}
    with Nginx(tmp_path, [f"127.0.0.1:{node.port}" for node in two]) as nginx:
        for _ in range(6):
            status, headers, answer = nginx.send(f"{API}/closed/fare/predict", body)
            assert status == 503 and headers["Retry-After"] and b"disabled" in answer, "the node's own answer"
            assert nginx.send("/v2/models/closed.fare/ready")[0] == 503
            nginx.post(f"{API}/shop/fare/predict", body)
        assert nginx.send("/ready")[0] == 200
        # One node that is not ready: /ready is red there alone, and what it has is served.
        two[1].terminate()
        shutil.rmtree(tmp_path / "node-1" / "generations" / "closed" / "v1")
        desired = tmp_path / "node-1" / "desired.json"
        text = json.loads(desired.read_text())
        text["services"]["closed"]["enabled"] = True
        desired.write_text(json.dumps(text))
        two[1].args += ["--listen", f"127.0.0.1:{two[1].port}"]
        two[1].start()
        assert two[1].get("/ready").status == 503
        for _ in range(6):
            assert nginx.send("/ready")[0] == 200
            nginx.post(f"{API}/shop/fare/predict", body)
        deadline = time.monotonic() + 30
        while count_of(two[1]) == 0:
            nginx.post(f"{API}/shop/fare/predict", body)
            assert time.monotonic() < deadline, "the node that is not ready for one service is out for all"
