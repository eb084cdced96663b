"""The API node without memory: it refuses requests, loses connections, and goes on."""
import contextlib
import random
import resource
import struct
import subprocess
import sys
import threading
import time

import pytest

from apinode import API, nodes, shop  # noqa: F401  (fixtures)
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "soak"))
import scenarios  # noqa: E402

FARE, HEAVY = scenarios.FARE, scenarios.HEAVY


def answers(node, shop):
    """The node answers, and rightly."""
    answer = node.predict(shop.records[0])
    assert answer.status == 200, answer
    assert answer.json["result"]["prediction"] == float(shop.batch("fare@1")[0]["prediction"])


def test_little_memory_degrades_and_does_not_kill(nodes, shop):
    big = b'{"items": [' + b",".join([b'{"features": {"x": 1, "c": "' + b"y" * 900 + b'"}}'] * 9000) + b"]}"
    for megabytes in (96, 24):
        node = nodes(package=shop.v1)
        size = int(node.proc("statm").split()[0]) * 4096
        resource.prlimit(node.pid, resource.RLIMIT_AS, (size + (megabytes << 20),) * 2)

        def send(node=node):
            with contextlib.suppress(OSError, Exception):
                node.request("POST", HEAVY, big)

        threads = [threading.Thread(target=send) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert node.alive(), node.log()[-3000:]
        answers(node, shop)
        assert node.get("/ready").status == 200


@pytest.fixture(scope="module")
def failing_malloc(tmp_path_factory):
    library = tmp_path_factory.mktemp("failing") / "failing_malloc.so"
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-D_GNU_SOURCE", "-o", library, ROOT / "tests/tools/failing_malloc.c"], check=True)
    return library


class Memory:
    """How often the node's allocations fail."""

    def __init__(self, path):
        self.path = path
        self.fail_one_in(0)

    def fail_one_in(self, n):
        if not self.path.exists():
            self.path.write_bytes(struct.pack("=i", n))
        with open(self.path, "r+b") as file:  # in place: the node has it mapped
            file.write(struct.pack("=i", n))


def requests(shop, r):
    """One of everything that a node answers."""
    records = r.sample(shop.records, 5)
    many = [{"features": record} for record in records]
    return r.choice([
        ("POST", FARE, {"features": records[0]}),
        ("POST", f"{API}/shop/fare/predict-multi", {"items": many}),
        ("POST", HEAVY, {"items": many * 20}),
        ("POST", f"{API}/shop/told/predict", {"features": records[0]}),
        ("POST", f"{API}/shop/rich/predict", {"features": records[0]}),
        ("POST", f"{API}/shop/zones/lookup", {"data": {"zone": 3}}),
        ("POST", f"{API}/shop/nothing/predict", {"features": {}}),
        ("POST", FARE, b'{"features": '),
        ("POST", FARE, b"x" * 300_000),
        ("POST", "/v2/models/shop.fare/infer",
         {"inputs": [{"name": "x", "datatype": "FP64", "shape": [3], "data": [1, 2, 3]}]}),
        ("POST", "/invocations", {"dataframe_records": records}),
        ("GET", "/openapi.json", None), ("GET", "/metrics", None), ("GET", "/ready", None), ("GET", "/", None),
        ("GET", "admin", "services"), ("GET", "admin", "metrics"), ("POST", "admin", "services/shop/actions/switchToNewest"),
    ])


@pytest.mark.parametrize("one_in", [30, 300, 3000])
def test_any_allocation_may_fail(nodes, shop, failing_malloc, tmp_path, one_in):
    memory = Memory(tmp_path / "one-in")
    node = nodes(package=shop.v1, environment={"LD_PRELOAD": str(failing_malloc), "SLIPWAY_FAILING_MALLOC": str(memory.path)})
    answers(node, shop)
    memory.fail_one_in(one_in)
    until = time.monotonic() + 2.5
    seen, unanswered = {}, [0]

    def ask(seed):
        r = random.Random(seed)
        while time.monotonic() < until:
            method, path, body = requests(shop, r)
            try:
                answer = node.admin(method, body) if path == "admin" else node.request(method, path, body)
                seen[answer.status] = seen.get(answer.status, 0) + 1
            except OSError:
                unanswered[0] += 1
            except Exception:  # half an answer
                unanswered[0] += 1

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    memory.fail_one_in(0)
    assert node.alive(), node.log()[-3000:]
    assert seen.get(200) and (unanswered[0] or seen.get(503) or seen.get(500)), (seen, unanswered)
    answers(node, shop)
    assert node.get("/ready").status == 200
    assert node.terminate() == 0
