"""What the reliability tests do to a node, with how long and how much as parameters: tests/e2e/test_apinode_reliability.py runs the short
forms, tests/soak/run.py the long ones. Each gives the figures that it saw; whoever calls judges them."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from apinode import API, Load, Node, nothing_lost, on_core, signature  # noqa: E402,F401

FARE = f"{API}/shop/fare/predict"
HEAVY = f"{API}/shop/heavy/predict-multi"
LARGE = f"{API}/shop/fare/predict-multi"
NODE_CORE, LOAD_CORE = 0, 1


def own_core():
    return on_core(NODE_CORE)


def expectations(node, records, generations):
    """The texts of every record's answer by every generation, asked of the generation itself; no two are the same."""
    lines = [signature(node.predict(r, dispatch={"forcedGeneration": g})) for g in generations for r in records]
    assert len({tuple(line) for line in lines}) == len(lines)
    return lines


def records_for(node, shop, generations, count):
    """Records that every generation answers differently, and no two alike."""
    chosen, seen = [], set()
    for record in shop.records:
        lines = {tuple(signature(node.predict(record, dispatch={"forcedGeneration": g}))) for g in generations}
        predictions = {line[1] for line in lines}
        if len(predictions) == len(generations) and not predictions & seen:
            chosen.append(record)
            seen |= predictions
        if len(chosen) == count:
            return chosen
    raise AssertionError("too few records tell the generations apart")


# ---------------------------------------------------------------- hot swap


def answered(node):
    return sum(row["requests"] for row in node.admin("GET", "metrics").json["endpoints"])


def swaps(node, shop, folder, count, requests=0, connections=8, seed=1):
    """`count` changes (good ones, weights, rollbacks, bad packages, deletions) under load, spread over `requests` requests (0: as fast as
    they go). `node` serves shop v1."""
    r = random.Random(seed)
    for package in (shop.v2, shop.v3):
        assert node.upload(package).status < 300
    for generation in ("v2", "v3"):
        assert node.admin("POST", f"services/shop/generations/{generation}/preload").status == 200
    generations = ["v1", "v2", "v3"]
    records = records_for(node, shop, generations, 2)
    expected = expectations(node, records, generations)
    node.switch("v1")
    load = Load(node, FARE, [{"features": r} for r in records], folder, expected, connections=connections, seconds=86400, window=1)
    started = time.monotonic()
    calm = 5.0 if requests > 1_000_000 else 1.0
    time.sleep(calm)
    seconds = (requests - answered(node)) / (answered(node) / calm) if requests else 0.0
    kinds = {"switch": 0, "weights": 0, "bad refused": 0, "rollback": 0, "import again": 0}
    took, mapped, before = [], {"v1"}, "v1"
    begin = time.monotonic()
    for i in range(count):
        at = time.monotonic()
        kind = ["switch", "weights", "bad refused", "rollback", "switch", "import again"][i % 6]
        if kind == "switch":
            before, to = sorted(mapped)[0], r.choice(sorted(set(generations) - mapped) or generations)
            answer, mapped = node.switch(to), {to}
        elif kind == "rollback":
            answer, mapped = node.switch(before), {before}
        elif kind == "weights":
            before, share = sorted(mapped)[0], r.choice([0.1, 0.5, 0.8])
            a, b = r.sample(generations, 2)
            answer, mapped = node.map({a: share, b: round(1 - share, 3)}), {a, b}
        elif kind == "bad refused":
            if (refused := node.upload(shop.bad)).status < 300:
                refused = node.switch("bad")
            assert refused.status >= 400, refused
            answer = node.admin("DELETE", "services/shop/generations/bad")
            answer.status = 200 if answer.status == 404 else answer.status
        else:
            unused = sorted(set(generations) - mapped)[0]
            if before == unused:
                before = sorted(mapped)[0]
            assert node.admin("DELETE", f"services/shop/generations/{unused}").status == 200
            answer = node.upload(shop.packages[unused])
        assert answer.status < 300, (kind, answer)
        kinds[kind] += 1
        took.append(time.monotonic() - at)
        time.sleep(max(0.0, begin + (i + 1) * seconds / count - time.monotonic()))
    while answered(node) < requests and load.process.poll() is None:
        time.sleep(0.5)
    result = load.stop()
    took.sort()
    steady = [w["p99_us"] for w in result["windows"] if w["at"] + 1 <= calm] or [result["windows"][0]["p99_us"]] if result["windows"] else [0]
    during = sorted(w["p99_us"] for w in result["windows"] if w["at"] >= calm) or [0]
    return {"swaps": count, **kinds, "seconds": round(time.monotonic() - started, 1), "load": result,
            "swap_ms_p50": round(took[len(took) // 2] * 1e3, 1), "swap_ms_max": round(took[-1] * 1e3, 1),
            "p99_us_steady": sorted(steady)[len(steady) // 2], "p99_us_swapping": during[len(during) // 2]}


# ---------------------------------------------------------------- overload


def heavy_bodies(shop, records=10, explain=True):
    """Requests that take so long that they are queued."""
    body = {"items": [{"features": r} for r in (shop.records * 40)[:records]]}
    if explain:
        body["explanations"] = {"enabled": True, "nExplanations": 3}
    return [body]


class Probes(threading.Thread):
    """Health and admin, asked all the time: how long the slowest took, and what failed."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.stopping = node, threading.Event()
        self.asked, self.failed, self.slowest, self.rss = 0, [], 0.0, node.rss_mb()

    def run(self):
        while not self.stopping.wait(0.1):
            for path in ("/isAlive/", "/ready", "admin"):
                at = time.monotonic()
                try:
                    answer = self.node.admin("GET", "services", timeout=10) if path == "admin" else self.node.get(path, timeout=10)
                    if answer.status != 200:
                        self.failed.append((path, answer.status))
                except OSError as error:
                    self.failed.append((path, str(error)))
                self.asked += 1
                self.slowest = max(self.slowest, time.monotonic() - at)
            self.rss = max(self.rss, self.node.rss_mb())

    def stop(self):
        self.stopping.set()
        self.join()


def capacity(node, bodies, folder, seconds=1.0, slices=3, connections=4):
    """The best of some slices: what else runs on the machine can only take away."""
    best = 0.0
    for _ in range(slices):
        result = Load(node, HEAVY, bodies, folder, core=LOAD_CORE, connections=connections, seconds=seconds).result()
        nothing_lost(result)
        best = max(best, result["ok_per_second"])
    return best


def overload(node, shop, folder, factor, seconds, deadline_ms=1500, connections=400, measured=None, rest=5.0, then=0.5):
    """`factor` times what the node can do, then `then` times. The node has core 0 and the load core 1."""
    bodies = heavy_bodies(shop)
    full = measured or capacity(node, bodies, folder)
    rss = node.rss_mb()
    probes = Probes(node)
    probes.start()
    load = Load(node, HEAVY, bodies, folder, core=LOAD_CORE, rate=factor * full, seconds=seconds, connections=connections,
                deadline_ms=deadline_ms, timeout=20)
    time.sleep(seconds / 2)
    rejected = {}
    while load.process.poll() is None:  # what a client is told
        answer = node.request("POST", HEAVY, bodies[0])
        rejected.setdefault(answer.status, answer)
        if answer.status in (429, 503):
            break
    result = load.result()
    probes.stop()
    after = Load(node, HEAVY, bodies, folder, core=LOAD_CORE, rate=then * full, seconds=rest, connections=50, deadline_ms=deadline_ms, window=1).result()
    again = capacity(node, bodies, folder)
    refusal = next((a for s, a in rejected.items() if s in (429, 503)), None)
    return {"factor": factor, "capacity": full, "goodput": result["good_per_second"] / full, "load": result, "after": after,
            "capacity_after": again, "reject_p99_ms": result["reject_latency_us"]["p99"] / 1e3, "refusal": refusal,
            "probes": probes.asked, "probes_failed": probes.failed, "probe_slowest_s": probes.slowest, "rss_before_mb": rss,
            "rss_highest_mb": probes.rss}


# ---------------------------------------------------------------- slow clients


@contextlib.contextmanager
def slow_clients(node, shop, folder, mode, connections):
    body = pathlib.Path(folder) / "slow.body"
    body.write_text(json.dumps(heavy_bodies(shop, 3000, explain=False)[0]) if mode == "read" else json.dumps({"features": shop.records[0]}))
    script = pathlib.Path(__file__).with_name("slow_clients.py")
    process = subprocess.Popen([sys.executable, str(script), node.host, str(node.port), mode, str(connections), str(body),
                                LARGE if mode == "read" else FARE], stdout=subprocess.PIPE, text=True)
    try:
        assert "connected" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.slow = json.loads(process.communicate(timeout=60)[0] or "{}")


def slow(node, shop, folder, mode, connections, seconds, rate=500):
    record = shop.records[0]
    expected = [signature(node.predict(record))]
    options = dict(rate=rate, seconds=seconds, connections=8)
    alone = Load(node, FARE, [{"features": record}], folder, expected, **options).result()
    with slow_clients(node, shop, folder, mode, connections) as process:
        # What they asked for is work; here it counts that they do not read it.
        before = -1
        while before != (now := json.dumps(node.admin("GET", "metrics").json["admission"])):
            before = now
            time.sleep(1)
        result = Load(node, FARE, [{"features": record}], folder, expected, **options).result()
        rss, fds = node.rss_mb(), node.fds()
    return {"mode": mode, "connections": connections, "load": result, "alone": alone, "rss_mb": rss, "fds": fds, **process.slow}


# ---------------------------------------------------------------- kill -9


class Kills:
    """Changes of a node's state, and kill -9 in the middle of them. What the driver knows lives here, outside the node: the state before
    and the state after; nothing else may be found when the node is back."""

    def __init__(self, node, shop, seed):
        self.node, self.shop, self.random = node, shop, random.Random(seed)
        self.state = self.read()
        self.seen = {"before": 0, "after": 0, "no change": 0}
        self.back_ms = []
        self.change_seconds = 0.05

    def read(self):
        """What the node says that it holds."""
        listed = self.node.admin("GET", "services").json
        services = {}
        for service in listed:
            name = service["serviceId"]
            generations = self.node.admin("GET", f"services/{name}/generations").json["generations"]
            services[name] = (service["enabled"], tuple(sorted((g["generationId"], round(g["mappedPercent"], 6)) for g in generations)))
        return services

    def change(self):
        """(what to call, the state after it)."""
        node, state = self.node, self.state
        enabled, generations = state.get("shop", (False, ()))
        have = {g for g, _ in generations}
        mapped = {g for g, p in generations if p > 0} if enabled else set()
        choices = []

        def after(enabled, generations):
            return {**state, "shop": (enabled, tuple(sorted(generations)))}

        for generation in ("v1", "v2", "v3"):
            if generation not in have:
                choices.append((lambda g=generation: node.upload(self.shop.packages[g]), after(enabled, [*generations, (generation, 0)])))
            else:
                only = [(g, 100.0 if g == generation else 0) for g, _ in generations]
                choices.append((lambda g=generation: node.switch(g), after(True, only)))
                if generation not in mapped and all(p == 0 for g, p in generations if g == generation):
                    choices.append((lambda g=generation: node.admin("DELETE", f"services/shop/generations/{g}"),
                                    after(enabled, [x for x in generations if x[0] != generation])))
        if len(have) > 1:
            a, b = sorted(have)[:2]
            choices.append((lambda: node.map({a: 0.25, b: 0.75}),
                            after(True, [(g, 25.0 if g == a else 75.0 if g == b else 0) for g, _ in generations])))
        return self.random.choice(choices)

    def round(self, cut=True):
        call, after = self.change()
        done = []

        def run():
            with contextlib.suppress(OSError, ValueError, Exception):
                answer = call()
                done.append(answer.status)

        at = time.monotonic()
        worker = threading.Thread(target=run)
        worker.start()
        if cut:
            time.sleep(self.random.random() * self.change_seconds * 1.2)
            self.node.process.kill()
        worker.join()
        if not cut:
            self.change_seconds = 0.8 * self.change_seconds + 0.2 * (time.monotonic() - at)
            assert done and done[0] < 300, (done, self.node.log()[-2000:])
            self.state = after
            assert self.read() == after
            return
        self.node.process.wait()
        at = time.monotonic()
        self.node.restart()
        self.back_ms.append((time.monotonic() - at) * 1e3)
        found = self.read()
        if done and done[0] < 300:
            assert found == after, f"acknowledged, then lost: {after}, found {found}"
        assert found in (self.state, after), f"between: before {self.state}, after {after}, found {found}"
        self.seen["no change" if self.state == after else "after" if found == after else "before"] += 1
        self.state = found
        self.check_answers()

    def check_answers(self):
        """It serves what it says, and the packages that lie there are whole."""
        node = self.node
        enabled, generations = self.state.get("shop", (False, ()))
        mapped = {g for g, p in generations if p > 0}
        answer = node.predict(self.shop.records[0])
        if enabled and mapped:
            assert node.get("/ready").status == 200
            assert answer.status == 200, answer
            generation = answer.json["apiContext"]["serviceGeneration"]
            assert generation in mapped
            expected = float(self.shop.batch(f"fare@{generation[1:]}")[0]["prediction"])
            assert answer.json["result"]["prediction"] == expected
        else:
            assert answer.status >= 400
        listed = {g for g, _ in generations}
        on_disk = {p.name for p in (node.home / "generations" / "shop").glob("*")} if (node.home / "generations" / "shop").exists() else set()
        assert on_disk == listed, f"listed {listed}, on disk {on_disk}"
        assert not list((node.home / "spool").glob("*")), "a killed upload left its bytes"


def kills(node, shop, rounds, seed=1):
    driver = Kills(node, shop, seed)
    for _ in range(4):
        driver.round(cut=False)
    for i in range(rounds):
        driver.round()
        if i % 5 == 4:
            driver.round(cut=False)
    back = sorted(driver.back_ms)
    return {"kills": rounds, **driver.seen, "back_ms_p50": round(back[len(back) // 2], 1), "back_ms_max": round(back[-1], 1)}
