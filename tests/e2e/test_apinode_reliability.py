"""The API node under what production does to it: changes under load, overload, slow clients, full disks, few descriptors,
kills. Short forms; the long ones are `./run test soak` (docs/reliability.md)."""
import concurrent.futures
import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from apinode import API, Load, forge, nodes, nothing_lost, shop, signature  # noqa: F401  (fixtures)
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "soak"))
import scenarios  # noqa: E402

FARE, HEAVY = scenarios.FARE, scenarios.HEAVY


def until(condition, seconds=20, what="it did not happen"):
    """Waits for something that another process does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def answers(node, shop, model="fare@1"):
    """The node answers, and rightly."""
    answer = node.predict(shop.records[0])
    assert answer.status == 200, answer
    assert answer.json["result"]["prediction"] == float(shop.batch(model)[0]["prediction"])


# ---------------------------------------------------------------- changes under load


def test_sixty_swaps_under_load_lose_nothing(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    seen = scenarios.swaps(node, shop, tmp_path, 60)
    nothing_lost(seen["load"])
    assert seen["bad refused"] == 10 and seen["rollback"] == 10 and seen["weights"] == 10
    by_generation = [sum(seen["load"]["by_expected"][i * 2:i * 2 + 2]) for i in range(3)]
    assert all(by_generation), by_generation  # each one had traffic, and `bad` none: its answers would be mismatches


def test_an_old_generation_gives_its_memory_back(nodes, shop):
    node = nodes(package=shop.v1)
    for generation in ("v2", "v3"):
        node.upload(shop.packages[generation])
        node.switch(generation)
    node.switch("v1")
    before = node.admin("GET", "metrics").json["memory"]["modelBytes"]
    low = node.rss_mb()
    for _ in range(20):
        for generation in ("v2", "v3", "v1"):
            assert node.switch(generation).status == 200
    answers(node, shop)
    memory = until(lambda: (m := node.admin("GET", "metrics").json["memory"])["modelBytes"] <= before and m, what="old models stay in memory")
    assert memory["generations"] <= 3
    assert memory["generationsFreed"] > 0
    assert node.rss_mb() < low + 30


def test_a_bad_generation_is_refused_and_says_why(nodes, shop):
    node = nodes(package=shop.v1)
    node.upload(shop.bad)
    switched = node.switch("bad")
    assert switched.status >= 400
    assert "fare" in switched.body.decode() and "-12345.5" in switched.body.decode()
    tested = node.admin("POST", "services/shop/generations/bad/actions/test")
    assert any(not outcome["ok"] for outcome in (tested.json if isinstance(tested.json, list) else tested.json["results"])), tested
    answers(node, shop)
    assert node.predict(shop.records[0], dispatch={"forcedGeneration": "bad"}).status >= 400
    node.restart()
    answers(node, shop)


def test_altered_packages_are_refused(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    data = bytearray(shop.v2.read_bytes())
    r = random.Random(3)
    for i in range(40):
        bad = bytearray(data)
        for _ in range(r.choice([1, 1, 5])):
            bad[r.randrange(len(bad))] ^= 1 << r.randrange(8)
        if i % 4 == 3:
            bad = bad[:r.randrange(len(bad))]
        (tmp_path / "bad.zip").write_bytes(bad)
        answer = node.upload(tmp_path / "bad.zip")
        if answer.status < 300:  # a bit that nothing reads: the content is what it was
            assert node.switch("v2").status == 200
            answers(node, shop, "fare@2")
            node.switch("v1")
            assert node.admin("DELETE", "services/shop/generations/v2").status == 200
        else:
            assert 400 <= answer.status < 500, answer
    swapped = forge(shop.v2, tmp_path / "swapped.zip", edit=lambda name, data: data + b" " if name == "openapi.json" else data, honest=False)
    refused = node.upload(swapped)
    assert refused.status >= 400 and "openapi.json" in refused.body.decode()
    other = forge(shop.v3, tmp_path / "same-name.zip", generation="v1")
    assert node.upload(other).status == 409
    answers(node, shop)
    until(lambda: not list((node.home / "spool").iterdir()), what="uploads stay")


def test_an_epoch_keeps_an_old_deployer_out(nodes, shop):
    node = nodes(package=shop.v1)
    switch = "services/shop/actions/switchTo/v1"
    assert node.admin("POST", switch, headers={"X-Slipway-Epoch": "7"}).status == 200
    refused = node.admin("POST", switch, headers={"X-Slipway-Epoch": "6"})
    assert refused.status == 409 and "7" in refused.body.decode()
    node.restart()
    assert node.admin("POST", switch, headers={"X-Slipway-Epoch": "6"}).status == 409
    assert node.admin("POST", switch, headers={"X-Slipway-Epoch": "7"}).status == 200


# ---------------------------------------------------------------- kills


def test_kill_9_in_the_middle_of_changes(nodes, shop):
    node = nodes(package=shop.v1)
    seen = scenarios.kills(node, shop, 25, seed=int.from_bytes(os.urandom(4), "little"))
    assert seen["back_ms_max"] < 5000, seen


def test_a_node_that_was_killed_comes_back_by_itself(nodes, shop):
    node = nodes(package=shop.v1)
    node.upload(shop.v2)
    assert node.map({"v1": 0.3, "v2": 0.7}).status == 200
    before = [node.predict(r, dispatch={"dispatchKey": f"k{i}"}).json for i, r in enumerate(shop.records[:30])]
    node.restart()
    assert node.get("/ready").status == 200
    after = [node.predict(r, dispatch={"dispatchKey": f"k{i}"}).json for i, r in enumerate(shop.records[:30])]
    assert [(a["result"], a["apiContext"]) for a in after] == [(b["result"], b["apiContext"]) for b in before]


def test_two_nodes_cannot_share_a_home(nodes, shop):
    node = nodes(package=shop.v1)
    from apinode import APINODE
    second = subprocess.run([str(APINODE), "--home", str(node.home), "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert second.returncode not in (0, -6, -11)
    assert str(node.home) in second.stderr
    answers(node, shop)


def test_a_damaged_generation_leaves_only_its_service_red(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    assert node.upload(forge(shop.v2, tmp_path / "other.zip", service="other"), "other").status < 300
    node.switch("v2", "other")
    node.kill()
    node.package = None
    bundle = next((node.home / "generations" / "shop" / "v1").glob("*.bundle"))
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    os.chmod(bundle, 0o600)
    bundle.write_bytes(data)
    node.start()
    ready = node.get("/ready")
    assert ready.status == 503 and "shop" in ready.body.decode()
    assert node.get("/isAlive/").status == 200
    assert node.predict(shop.records[0]).status == 503
    assert node.predict(shop.records[0], service="other").status == 200
    assert node.admin("DELETE", "services/shop").status == 200
    assert node.get("/ready").status == 200


# ---------------------------------------------------------------- overload


@pytest.mark.skipif(os.cpu_count() < 2, reason="the load needs a core of its own")
@pytest.mark.parametrize("factor", [3, 10])
def test_overload(nodes, shop, tmp_path, factor):
    node = nodes(package=shop.v1, preexec=scenarios.own_core())
    seen = scenarios.overload(node, shop, tmp_path, factor, 4, rest=2.0, then=0.2)
    load = seen["load"]
    assert set(load["statuses"]) <= {"200", "429", "503", "504"}, load["statuses"]
    assert load["lost"] == 0 and load["timeouts"] == 0, load
    assert seen["goodput"] > 0.25, seen  # no collapse; 0.9 on a quiet machine: the long form
    assert seen["refusal"] is not None, "nothing was refused"
    assert int(seen["refusal"].headers["Retry-After"]) >= 1
    assert load["reject_latency_us"]["p90"] < 500_000  # quick, but for those whose deadline passes in the queue
    assert not seen["probes_failed"] and seen["probe_slowest_s"] < 1, seen
    assert seen["rss_highest_mb"] < 1.5 * seen["rss_before_mb"] + 60, seen
    after = seen["after"]
    assert after["lost"] == 0
    assert after["statuses"].get("200", 0) > 0.8 * after["requests"], after


def test_a_full_queue_of_one_service_leaves_the_others_alone(nodes, shop, tmp_path):
    """Short requests are answered on the loops, whatever is queued."""
    node = nodes(package=shop.v1)
    record = shop.records[0]
    expected = [signature(node.predict(record))]
    heavy = Load(node, HEAVY, scenarios.heavy_bodies(shop, 30), tmp_path, connections=64, seconds=4)
    light = Load(node, FARE, [{"features": record}], tmp_path, expected, connections=4, seconds=3).result()
    nothing_lost(light)
    assert light["ok_per_second"] > 100
    assert heavy.result()["statuses"].get("200", 0) > 0


# ---------------------------------------------------------------- slow clients


@pytest.mark.parametrize("mode", ["headers", "body", "read", "idle"])
def test_slow_clients_do_not_touch_good_traffic(nodes, shop, tmp_path, mode):
    node = nodes(package=shop.v1)
    seen = scenarios.slow(node, shop, tmp_path, mode, 300 if mode != "read" else 60, 3)
    nothing_lost(seen["load"])
    assert seen["load"]["latency_us"]["p99"] < 250_000, seen
    assert seen["rss_mb"] < 400
    until(lambda: node.fds() < 100, what="descriptors of closed clients stay open")
    answers(node, shop)


def test_slow_heads_and_bodies_are_cut_off(nodes, shop):
    """408 where it is due, and the connection is closed."""
    node = nodes(package=shop.v1, config="[http]\nheader_seconds = 0.5\nbody_grace_seconds = 0.5\nidle_seconds = 0.5\n")
    head = f"POST {FARE} HTTP/1.1\r\nHost: {node.host}\r\nContent-Length: 100\r\n".encode()
    for begin, status in ((head, b"408"), (head + b"\r\n{", b"408"), (b"", b"")):
        with socket.create_connection((node.host, node.port), timeout=10) as s:
            s.sendall(begin)
            got = b"".join(iter(lambda: s.recv(65536), b""))
            assert status in got.split(b"\r\n")[0], (begin, got)
    answers(node, shop)


# ---------------------------------------------------------------- resources run out


@contextlib.contextmanager
def small_disk(at, size):
    at.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs mount, which is refused here: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def fill(disk):
    """Nothing more fits."""
    filler = disk / "filler"
    with open(filler, "ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(os.urandom(4096))
    return filler


def test_a_full_disk_costs_log_lines_and_no_answers(nodes, shop, tmp_path):
    home = tmp_path / "home"
    with small_disk(home / "query-log", "1m") as disk:
        node = nodes(package=shop.v1, home=home)
        log = lambda: node.admin("GET", "metrics").json["queryLog"]  # noqa: E731
        answers(node, shop)
        until(lambda: log()["written"] >= 1)
        filler = fill(disk)
        record = shop.records[0]
        nothing_lost(Load(node, FARE, [{"features": record}], tmp_path, [signature(node.predict(record))], connections=4, seconds=2).result())
        until(lambda: log()["dropped"] > 0, what="nothing was counted as dropped")
        assert "space" in log()["lastError"].lower(), log()
        assert node.metric("slipway_query_log_dropped_records_total") > 0 or any("drop" in name and value > 0 for name, value in node.metrics().items())
        filler.unlink()
        written = log()["written"]
        until(lambda: node.predict(record).status == 200 and log()["written"] > written + 3, what="the log does not go on when there is room again")
        node.kill()


def test_a_full_disk_refuses_changes_and_keeps_the_state(nodes, shop, tmp_path):
    home = tmp_path / "home"
    with small_disk(home, "8m") as disk:
        node = nodes(package=shop.v1, home=home)
        filler = fill(disk)
        refused = node.upload(shop.v2)
        assert refused.status >= 500 and "space" in refused.body.decode().lower(), refused
        settings = node.admin("PUT", "services/shop/settings", {"max_records": 5})
        assert settings.status >= 500 or settings.status == 200, settings
        answers(node, shop)
        filler.unlink()
        assert node.upload(shop.v2).status < 300
        assert node.switch("v2").status == 200
        answers(node, shop, "fare@2")
        node.kill()


def test_few_descriptors_degrade_and_do_not_kill(nodes, shop):
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
    node = nodes(package=shop.v1, preexec=limit)
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(socket.create_connection((node.host, node.port), timeout=10))
        body = json.dumps({"features": shop.records[0]}).encode()
        request = f"POST {FARE} HTTP/1.1\r\nHost: {node.host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

        def ask():
            good.sendall(request)
            return good.recv(65536)

        assert b" 200 " in ask()
        for _ in range(100):
            stack.enter_context(socket.create_connection((node.host, node.port), timeout=10))
        for _ in range(20):
            assert b" 200 " in ask()  # who is connected is served
        assert node.alive()
        before = os.times()
        time.sleep(0.3)  # with nothing to do, and connections that it cannot accept
        cpu = float(node.proc("stat").rsplit(")", 1)[1].split()[11])
        time.sleep(0.5)
        assert float(node.proc("stat").rsplit(")", 1)[1].split()[11]) - cpu < 0.4 * 100, "it spins while it cannot accept"
        del before
    until(lambda: answered(node, shop), what="it does not accept again when there are descriptors")
    answers(node, shop)


def answered(node, shop):
    with contextlib.suppress(OSError):
        return node.predict(shop.records[0]).status == 200
    return False


def test_requests_explained_together_get_their_own_answers(nodes, shop):
    """Also the first ones, which find no explainer made yet."""
    node = nodes("--loops", "1", package=shop.v1, config="[admission]\ndeadline_ms = 60000\n")
    records = shop.records[:64]

    def ask(record):
        answer = node.request("POST", f"{API}/shop/heavy/predict", {"features": record, "explanations": {"enabled": True, "nExplanations": 3}})
        assert answer.status == 200, answer
        return answer.json["result"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        together = [list(pool.map(ask, records)) for _ in range(3)]
    alone = [ask(record) for record in records]
    assert together == [alone] * 3
    assert sum(len(answer.get("explanations", ())) == 3 for answer in alone) > 50


# ---------------------------------------------------------------- the end of a node


def test_sigterm_drains(nodes, shop, tmp_path):
    """/ready goes red first, requests are served on, and who leaves when it is red loses nothing."""
    node = nodes(package=shop.v1, environment={"SLIPWAY_APINODE_DRAIN_SECONDS": "1.5"})
    record = shop.records[0]
    load = Load(node, FARE, [{"features": record}], tmp_path, [signature(node.predict(record))], connections=8, seconds=60)
    served = lambda: sum(row["requests"] for row in node.admin("GET", "metrics").json["endpoints"])  # noqa: E731
    until(lambda: served() > 20 and node.get("/ready").status == 200, what="no load")
    node.process.send_signal(signal.SIGTERM)
    until(lambda: node.get("/ready").status == 503, 5, "/ready stays green")
    assert node.get("/isAlive/").status == 200
    answers(node, shop)
    nothing_lost(load.stop())
    assert node.process.wait(30) == 0
    assert not (node.home / "node.json").exists()


def test_sigterm_lets_requests_in_flight_end(nodes, shop):
    node = nodes(package=shop.v1, environment={"SLIPWAY_APINODE_DRAIN_SECONDS": "0"})
    body = scenarios.heavy_bodies(shop, 700)[0]
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(node.request("POST", HEAVY, body, timeout=60))) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: node.admin("GET", "metrics").json["admission"]["running"] > 0, what="it was not long enough")
    node.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert [a.status for a in seen] == [200, 200], seen
    assert all(len(a.json["results"]) == 700 for a in seen)
    assert node.process.wait(30) == 0


def test_sigterm_ends_idle_and_silent_connections(nodes, shop):
    node = nodes(package=shop.v1, environment={"SLIPWAY_APINODE_DRAIN_SECONDS": "0"})
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection((node.host, node.port)))
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(20) == 0
