"""The API Deployer on real API nodes: package, publish, deploy, promote, canary, roll back; and what is left when a node, a package or
the deployer itself fails in the middle."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import threading
import time

import pytest

from apinode import nodes, shop, shop_yaml  # noqa: F401: fixtures
from conftest import Slipway
from hub import hubs  # noqa: F401: a fixture

EXTRA = """  five: {endpoints: {fare: {prediction: fare, test_queries: "from_dataset(picked, 5)"}}}
  wrong:
    endpoints:
      fare:
        prediction: fare
        test_queries: [{name: impossible, request: {features: {x: 1}}, expect: {prediction: -12345.5}}]
"""


@pytest.fixture(scope="module")
def made(shop, tmp_path_factory):
    """A home with packages of p/five: v1 and v2 differ in their model; p/wrong v1 fails its own test query."""
    folder = tmp_path_factory.mktemp("deployer")
    shutil.copytree(shop.folder, folder, dirs_exist_ok=True)
    slipway = Slipway(folder)
    slipway.write("picked.csv", "x,z,c,at\n" + "".join(f"{x},0.5,b,2015-03-12 1{i}:10:06 UTC\n" for i, x in enumerate((0.5, 2.5, 4.5, 6.5, 8.5))))
    slipway.write("p.yaml", shop_yaml(18).replace("datasets:\n", "datasets:\n  picked: {type: files, path: picked.csv}\n") + EXTRA)
    slipway("apply", "-f", "p.yaml")
    for version in (1, 3):
        slipway("model", "activate", f"p/fare@{version}")
        slipway("service", "package", "p/five")
    slipway("service", "package", "p/wrong", "--force")
    for package in ("p/five@v1", "p/five@v2", "p/wrong"):
        slipway("service", "publish", package)
    return folder


@pytest.fixture
def hub(made, tmp_path):
    """That home, for this test alone."""
    shutil.copytree(made, tmp_path / "work")
    slipway = Slipway(tmp_path / "work")
    yield slipway
    for infra in slipway.json("infra", "ls"):
        if infra["type"] == "local":
            slipway("infra", "stop", infra["name"], code=None)


def add_infra(hub, name, *nodes, stage="Test", **urls):
    args = []
    for i, node in enumerate(nodes):
        key = hub.write(f"{name}-{i}.key", node.admin_key)
        args += ["--node", urls.get(f"url{i}", node.url), "--key-file", key]
    hub("infra", "add", name, "--stage", stage, *args)


def generations(node, service="five"):
    """What the node itself says that it serves."""
    answer = node.admin("GET", f"services/{service}/generations")
    if answer.status == 404:
        return {}
    assert answer.status == 200, answer
    return {g["generationId"]: g["mappedPercent"] for g in answer.json["generations"] if g["mapped"]}


class Proxy:
    """Stands before a node; when a request's head has `word` in it, calls `act` and drops the connection for good."""

    def __init__(self, node, word, act):
        self.node, self.word, self.act, self.tripped = node, word.encode(), act, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection((self.node.host, self.node.port)) as server:
            threading.Thread(target=self.copy, args=(server, client), daemon=True).start()
            while data := client.recv(65536):
                if self.word in data:
                    self.tripped = True
                    self.act()
                    return
                server.sendall(data)

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def close(self):
        self.listener.close()


def await_true(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


class Traffic:
    """Asks the nodes without a pause until it is told to stop."""

    def __init__(self, records, *nodes):
        self.records, self.nodes, self.stop, self.bad = records, nodes, threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(node,)) for node in nodes]

    def run(self, node):
        i = 0
        while not self.stop.is_set():
            answer = node.predict(self.records[i % len(self.records)], service="five")
            i += 1
            if answer.status != 200:
                self.bad.append(answer)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_from_a_package_to_production_and_back(hub, shop, nodes):
    four = [nodes() for _ in range(4)]
    add_infra(hub, "trial", *four[:2])
    add_infra(hub, "live", *four[2:], stage="Production")
    assert [(i["name"], i["stage"]) for i in hub.json("infra", "ls")] == [("trial", "Test"), ("live", "Production")]
    hub("deployment", "create", "five-trial", "--service", "five", "--infra", "trial", "--version", "v1")
    shown = hub.json("deployment", "show", "five-trial")
    assert (shown["health"], shown["out_of_sync"], shown["stage"]) == ("unknown", True, "Test")
    plan = hub.json("deployment", "update", "five-trial", "--plan")["steps"]
    assert [s["step"] for s in plan] == ["upload", "load and test"] * 2 + ["switch"] * 2
    assert generations(four[0]) == {}  # a plan changes nothing
    done = hub("deployment", "update", "five-trial")
    assert "5 test queries passed" in done.err and "every node serves v1" in done.out
    shown = hub.json("deployment", "show", "five-trial")
    assert shown["health"] == "healthy" and not shown["out_of_sync"] and shown["enabled"]
    assert shown["generations"] == [{"generation": "v1", "weight": 1.0}]
    assert [n["health"] for n in shown["nodes"]] == ["healthy"] * 2

    outcomes = hub.json("deployment", "test", "five-trial")
    assert len(outcomes) == 10 and all(o["ok"] for o in outcomes)
    assert len({o["answer"]["prediction"] for o in outcomes}) == 5  # five different fares, on each node
    assert {o["node"] for o in outcomes} == {n.url for n in four[:2]}
    answer = hub.json("deployment", "query", "five-trial", "--endpoint", "fare", "--record", '{"x": 3, "z": 0.5, "c": "a"}')
    assert answer["apiContext"]["serviceGeneration"] == "v1" and answer["node"] == four[0].url

    hub("deployment", "promote", "five-trial", "--to", "live")
    assert [generations(n) for n in four] == [{"v1": 100}] * 4
    live = hub.json("deployment", "show", "five-live")
    assert (live["stage"], live["health"], live["generations"]) == ("Production", "healthy", [{"generation": "v1", "weight": 1.0}])

    hub("deployment", "update", "five-trial", "--version", "v2")
    assert [generations(n) for n in four] == [{"v2": 100}] * 2 + [{"v1": 100}] * 2
    hub("deployment", "promote", "five-trial", "--to", "live")  # once more: that one is updated
    assert generations(four[3]) == {"v2": 100}
    hub("deployment", "rollback", "five-live")
    assert [generations(n) for n in four[2:]] == [{"v1": 100}] * 2
    hub("deployment", "update", "five-live", "--weights", "v1=3,v2=1")
    assert generations(four[2]) == {"v1": 75, "v2": 25}

    # Settings reach every node; what a node was told behind the deployer's back shows.
    hub("deployment", "update", "five-live", "--set", "max_records=50", "--version", "v2")
    assert four[3].admin("GET", "services/five/settings").json["max_records"] == 50
    four[3].switch("v1", service="five")
    shown = hub.json("deployment", "show", "five-live")
    assert shown["out_of_sync"] and shown["health"] == "warning"
    assert "it serves v1 instead of v2" in " ".join(shown["messages"])
    hub("deployment", "update", "five-live")
    assert hub.json("deployment", "show", "five-live")["health"] == "healthy"

    hub("deployment", "disable", "five-live")
    assert not hub.json("deployment", "show", "five-live")["enabled"]
    assert four[2].predict(shop.records[0], service="five").status >= 400
    hub("deployment", "enable", "five-live")
    assert generations(four[2]) == {"v2": 100}
    kinds = [u["kind"] for u in hub.json("deployment", "history", "five-live")]
    assert kinds[:3] == ["enable", "disable", "update"] and all(u["status"] == "done" for u in hub.json("deployment", "history", "five-live"))

    # What uses what is not lost.
    assert hub("infra", "rm", "live", code=5)
    hub("deployment", "delete", "five-live")
    assert four[2].admin("GET", "services/five").status == 404
    hub("infra", "rm", "live")
    assert [d["name"] for d in hub.json("deployment", "ls")] == ["five-trial"]


def test_activation_says_which_deployments_serve_another_version_and_how_to_move_them(hub, nodes):
    node = nodes()
    add_infra(hub, "trial", node)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    answer = hub("model", "activate", "p/fare@3", "--json").json
    assert answer["deployments_behind"] == [{"deployment": "d", "infra": "trial", "stage": "Test", "serves": "p/fare@1", "generation": "v1",
                                             "command": "slipway deployment update d --version v2"}]
    told = hub("model", "activate", "p/fare@2").out
    assert "deployment d (Test) still serves p/fare@1" in told and "slipway service package p/five" in told
    assert hub.json("model", "rollback", "p/fare")["deployments_behind"][0]["deployment"] == "d"
    serving = hub.json("model", "lineage", "p/fare@1")
    assert serving["deployments"] == [{"deployment": "d", "infra": "trial", "stage": "Test", "generation": "v1", "weight": 1.0}]


def test_a_package_that_fails_its_gate_never_takes_traffic(hub, nodes):
    two = [nodes(), nodes()]
    add_infra(hub, "trial", *two)
    hub("deployment", "create", "w", "--service", "wrong", "--infra", "trial")
    failed = hub("deployment", "update", "w", "--json", code=1).error
    assert "test query 'impossible'" in failed["message"] and "-12345.5" in failed["message"], failed
    assert [n.admin("GET", "services/wrong").status for n in two] == [404, 404]
    shown = hub.json("deployment", "show", "w")
    assert shown["state"] == "failed" and shown["health"] == "unknown" and shown["messages"]
    assert hub.json("deployment", "history", "w")[0]["status"] == "failed"


def test_a_node_that_cannot_be_reached_stops_an_update_before_anything_moves(hub, nodes):
    two = [nodes(), nodes()]
    add_infra(hub, "trial", *two)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    two[1].kill()
    failed = hub("deployment", "update", "d", "--version", "v2", "--json", code=7).error
    assert two[1].url in failed["message"]
    assert generations(two[0]) == {"v1": 100}
    shown = hub.json("deployment", "show", "d")
    assert shown["health"] == "warning" and [n["health"] for n in shown["nodes"]] == ["healthy", "error"]
    two[1].args = ["--listen", f"127.0.0.1:{two[1].port}"]
    two[1].restart()
    hub("deployment", "update", "d")  # what was wanted is still wanted
    assert [generations(n) for n in two] == [{"v2": 100}] * 2


def test_a_node_killed_in_the_middle_of_a_rollout_leaves_no_silent_mix(hub, nodes):
    three = [nodes() for _ in range(3)]
    proxy = Proxy(three[1], "setMapping", three[1].kill)
    proxy_word, proxy.word = proxy.word, b"never"
    add_infra(hub, "trial", *three, url1=proxy.url)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    proxy.word = proxy_word
    failed = hub("deployment", "update", "d", "--version", "v2", "--json", code=7).error
    assert proxy.tripped and proxy.url in failed["message"], failed
    assert [generations(n) for n in (three[0], three[2])] == [{"v1": 100}] * 2  # the first went back by itself
    shown = hub.json("deployment", "show", "d")
    assert shown["state"] == "partial" and shown["health"] == "warning"
    proxy.word = b"never"
    three[1].args = ["--listen", f"127.0.0.1:{three[1].port}"]
    three[1].restart()
    hub("deployment", "update", "d")
    assert [generations(n) for n in three] == [{"v2": 100}] * 3
    assert hub.json("deployment", "show", "d")["health"] == "healthy"
    proxy.close()


@pytest.mark.parametrize("then", ["update", "rollback"])
def test_a_deployer_killed_in_the_middle_of_a_rollout_comes_back(hub, nodes, then):
    two = [nodes(), nodes()]
    running = []
    proxy = Proxy(two[1], "setMapping", lambda: running[0].send_signal(signal.SIGKILL))
    proxy_word, proxy.word = proxy.word, b"never"
    add_infra(hub, "trial", *two, url1=proxy.url)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    proxy.word = proxy_word
    process = hub.start("deployment", "update", "d", "--version", "v2")
    running.append(process)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and proxy.tripped
    assert [generations(n) for n in two] == [{"v2": 100}, {"v1": 100}]  # the mix that was left
    proxy.word = b"never"
    done = hub("deployment", then, "d")
    assert "was interrupted" in done.err, done.err
    expected = {"v2": 100} if then == "update" else {"v1": 100}
    assert [generations(n) for n in two] == [expected] * 2
    shown = hub.json("deployment", "show", "d")
    assert (shown["state"], shown["health"]) == ("deployed", "healthy")
    assert [u["status"] for u in hub.json("deployment", "history", "d")] == ["done", "interrupted", "done"]
    proxy.close()


def test_an_older_deployer_is_refused_by_the_nodes(hub, nodes, tmp_path):
    node = nodes()
    add_infra(hub, "trial", node)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    shutil.copytree(hub.folder, tmp_path / "old")
    old = Slipway(tmp_path / "old")
    hub("deployment", "update", "d", "--version", "v2")
    hub("deployment", "update", "d", "--version", "v1")
    refused = old("deployment", "update", "d", "--version", "v2", "--json", code=5).error
    assert "epoch" in refused["message"] and "--take-over" in refused["hint"], refused
    assert generations(node) == {"v1": 100}
    old("deployment", "update", "d", "--version", "v2", "--take-over")
    assert generations(node) == {"v2": 100}
    assert hub("deployment", "update", "d", "--version", "v1", "--set", "max_records=3", code=5)


def test_a_canary_is_promoted_when_it_is_well_and_aborted_when_answers_differ_too_much(hub, shop, nodes):
    two = [nodes(), nodes()]
    add_infra(hub, "trial", *two)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    hub("deployment", "update", "d")
    with Traffic(shop.records[:50], *two) as traffic:
        aborted = hub("deployment", "update", "d", "--version", "v2", "--canary", "20,100", "--step-requests", "1000000",
                      "--max-different", "0.01", code=1)
        assert "answers differ from the old generation's" in aborted.err
        assert [generations(n) for n in two] == [{"v1": 100}] * 2
        shown = hub.json("deployment", "show", "d")
        assert not shown["out_of_sync"], shown  # nobody wants it any more
        assert two[0].admin("GET", "services/five/settings").json["shadow"] == ""
        done = hub("deployment", "update", "d", "--version", "v2", "--canary", "20,50,100", "--step-requests", "30", "--max-latency", "1000")
        assert "v1 80 %, v2 20 % is well" in done.err and "v1 50 %, v2 50 % is well" in done.err, done.err
    assert not traffic.bad, traffic.bad[:3]  # no request was lost
    assert [generations(n) for n in two] == [{"v2": 100}] * 2
    rows = hub.json("deployment", "activity", "d")
    assert {r["generation"] for r in rows} == {"v1", "v2"} and all(r["requests"] > 0 and r["errors"] == 0 for r in rows)
    assert hub("deployment", "rollback", "d") and generations(two[0]) == {"v1": 100}


def test_local_nodes_outlive_their_command_and_are_adopted(hub):
    hub("infra", "add", "here", "--type", "local", "--nodes", "2")
    hub("deployment", "create", "d", "--service", "five", "--infra", "here", "--version", "v1")
    hub("deployment", "update", "d")
    shown = hub.json("deployment", "show", "d")
    assert shown["health"] == "healthy" and len(shown["nodes"]) == 2
    pids = [int(json.loads((hub.home / f"nodes/here/{n}/node.json").read_text())["pid"]) for n in (1, 2)]
    urls = [n["url"] for n in shown["nodes"]]
    os.kill(pids[0], signal.SIGKILL)
    shown = hub.json("deployment", "show", "d")
    assert [n["health"] for n in shown["nodes"]] == ["error", "healthy"] and shown["health"] == "warning"
    # Started again at its old port, with what it served; the other is the same process as before.
    outcomes = hub.json("deployment", "test", "d")
    assert len(outcomes) == 10 and all(o["ok"] for o in outcomes)
    assert [n["url"] for n in hub.json("deployment", "show", "d")["nodes"]] == urls
    assert int(json.loads((hub.home / "nodes/here/2/node.json").read_text())["pid"]) == pids[1]
    hub("infra", "stop", "here")
    assert not pathlib.Path(f"/proc/{pids[1]}/cmdline").exists() or b"apinode" not in pathlib.Path(f"/proc/{pids[1]}/cmdline").read_bytes()
    assert hub.json("deployment", "show", "d")["health"] == "error"
    hub("infra", "start", "here")
    assert hub.json("deployment", "show", "d")["health"] == "healthy"
    hub("deployment", "delete", "d")
    hub("infra", "rm", "here")
    assert not (hub.home / "nodes/here").exists()


def test_a_hub_supervises_local_nodes_and_ends_what_a_killed_one_left(hub, nodes, hubs):
    """Through `slipway hub`: the nodes live with it, outlive its kill -9, and an interrupted update ends by itself."""
    server = hubs(hub)
    two = [nodes(), nodes()]
    proxy = Proxy(two[1], "never", lambda: server.process.send_signal(signal.SIGKILL))
    add_infra(hub, "trial", *two, url1=proxy.url)
    hub("infra", "add", "here", "--type", "local")
    for name, infra in (("d", "trial"), ("l", "here")):
        hub("deployment", "create", name, "--service", "five", "--infra", infra, "--version", "v1")
        assert "every node serves v1" in hub("deployment", "update", name).out
    job = hub("deployment", "update", "l", "--version", "v2", "--no-wait").out.strip()
    assert job.startswith("job-")
    await_true(lambda: hub.json("job", "show", job)["status"] == "done")
    node = json.loads((hub.home / "nodes/here/1/node.json").read_text())

    def recorded():
        hub("deployment", "query", "l", "--endpoint", "fare", "--record", '{"x": 3}')
        rows = hub.json("deployment", "activity", "l", "--since", "1h")
        assert all(r["p99_ms"] > 0 for r in rows if r["requests"]), rows
        return sum(r["requests"] for r in rows if r["generation"] == "v2") > 0 and rows[0]["series"][0]["at"] and rows[0]["resolution"] == 5
    await_true(recorded)
    os.kill(node["pid"], signal.SIGKILL)
    await_true(lambda: hub.json("deployment", "show", "l")["health"] == "healthy" and json.loads((hub.home / "nodes/here/1/node.json").read_text())["pid"] != node["pid"])
    node = json.loads((hub.home / "nodes/here/1/node.json").read_text())

    proxy.word = b"setMapping"
    hub("deployment", "update", "d", "--version", "v2", code=None)
    server.process.wait(30)
    assert proxy.tripped and [generations(n) for n in two] == [{"v2": 100}, {"v1": 100}]
    assert pathlib.Path(f"/proc/{node['pid']}").exists()  # the local node lives on
    proxy.word = b"never"
    server.start()
    await_true(lambda: [generations(n) for n in two] == [{"v2": 100}] * 2)
    await_true(lambda: hub.json("deployment", "show", "d")["state"] == "deployed")
    assert json.loads((hub.home / "nodes/here/1/node.json").read_text())["pid"] == node["pid"]  # adopted
    assert hub.json("deployment", "history", "d")[0]["kind"] == "resume"
    assert server.stop() == 0
    assert not pathlib.Path(f"/proc/{node['pid']}/fd/0").exists()
    proxy.close()


def test_admin_keys_are_in_no_file_and_no_answer(hub, nodes):
    node = nodes()
    add_infra(hub, "trial", node)
    for key in hub.folder.glob("*.key"):
        key.unlink()
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial")
    told = [hub(*c, "--json", code=None) for c in (("infra", "ls"), ("infra", "show", "trial"), ("deployment", "update", "d"),
                                                   ("deployment", "show", "d"), ("deployment", "history", "d"))]
    node.kill()
    told.append(hub("deployment", "update", "d", "--version", "v1", code=7))
    for answer in told:
        assert node.admin_key not in answer.out + answer.err
    for path in hub.home.rglob("*"):
        if path.is_file():
            assert node.admin_key.encode() not in path.read_bytes(), path
    assert (hub.home / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("args, code, words", [
    (("infra", "add", "x", "--node", "ftp://a"), 1, "http://HOST:PORT"),
    (("infra", "add", "x", "--type", "kubernetes"), 1, "later release"),
    (("infra", "add", "x", "--type", "static"), 1, "--node"),
    (("infra", "add", "x", "--stage", "Prodction"), 3, "Production"),
    (("infra", "show", "nowhere"), 3, "infra ls"),
    (("deployment", "show", "nothing"), 3, "deployment ls"),
    (("deployment", "create", "d", "--service", "fiv", "--infra", "x"), 3, "infra"),
    (("service", "publish", "p/five@v9"), 3, "v2"),
    (("deployment", "update", "d", "--version", "v1", "--weights", "v1=1"), 2, "one of them"),
    (("deployment", "update", "d", "--weights", "v1"), 2, "v1=90,v2=10"),
    (("deployment", "query", "d", "--endpoint", "e", "--record", "{"), 2, "JSON object"),
    (("deployment", "activity", "--since", "yesterday"), 1, "24h"),
])
def test_errors_say_how_to_put_it_right(made, args, code, words):
    answer = Slipway(made)(*args, "--json", code=code)
    assert words in answer.error["message"] + answer.error["hint"]
