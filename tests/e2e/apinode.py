"""A real API node for tests: `slipway-apinode` on a free port with a temporary home, from packages that the real `slipway` made once
per session. Also what an on-call person and a monitoring system would look at: admin calls, metrics, memory, descriptors."""
import contextlib
import csv
import hashlib
import http.client
import io
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import zipfile

import pytest

from conftest import ROOT, Slipway

APINODE = pathlib.Path(os.environ.get("SLIPWAY_APINODE", ROOT / "build" / "bin" / "slipway-apinode"))
LOAD = pathlib.Path(os.environ.get("SLIPWAY_LOAD", ROOT / "build" / "bin" / "load"))
API = "/public/api/v1"

# ---------------------------------------------------------------- what is served

ZONES = 2000


def shop_rows(rows, seed):
    """Numbers, missing ones, categories, timestamps and what they lead to."""
    r = random.Random(seed)
    for i in range(rows):
        x, z, c = round(r.uniform(0, 10), 4), round(r.random(), 5), r.choice("abcd")
        at = f"2015-0{r.randint(1, 9)}-{r.randint(10, 28)} {r.randint(10, 23)}:{r.randint(10, 59)}:06 UTC"
        y = 3 * x + z + (2 if c == "a" else 0) + int(at[11:13]) / 10
        row = {"id": i, "x": x, "z": z, "c": c, "zone": r.randint(0, ZONES), "at": at}
        if r.random() < 0.15:
            row["z"] = None
        if r.random() < 0.1:
            row["c"] = None
        yield row, {"y": round(y, 4), "big": "yes" if y > 20 else "no", "kind": "low" if y < 12 else "mid" if y < 25 else "high"}


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    return out.getvalue()


def unseen_rows(rows, seed=99):
    """Records as clients send them, with what training never saw: an unknown category, nothing at all."""
    records = [row for row, _ in shop_rows(rows, seed)]
    for i, record in enumerate(records):
        del record["id"]
        if i % 17 == 3:
            record["c"] = "never seen"
        if i % 23 == 5:
            record.update(x=None, z=None, c=None)
    return records


def recipe(name, target, prediction, iterations, leaves, features="x, z, c, at"):
    wanted = {f.strip() for f in features.split(",")}
    ignored = ", ".join(f"{column}: ignore" for column in ("id", "x", "z", "c", "zone", "at", "y", "big", "kind", "district", "tax")
                        if column not in wanted and column != target and column not in ("district", "tax"))
    return f"""  train_{name}:
    type: train
    input: trips
    output: {name}
    target: "{target}"
    prediction: {prediction}
    features: {{{ignored}}}
    algorithm: {{lightgbm: {{num_iterations: {iterations}, num_leaves: {leaves}, min_data_in_leaf: 5}}}}
    validation: none
"""


def shop_yaml(fare_iterations):
    return f"""project: p
datasets:
  trips: {{type: files, path: trips.csv}}
  unseen: {{type: files, path: unseen.csv}}
  zone_table: {{type: files, path: zones.csv}}
models: {{fare: {{}}, big: {{}}, kind: {{}}, heavy: {{}}}}
recipes:
{recipe("fare", "y", "regression", fare_iterations, 7)}
{recipe("big", "big", "binary", 10, 7)}
{recipe("kind", "kind", "multiclass", 6, 5)}
{recipe("heavy", "y", "regression", 300, 31, "x, z, c, at, zone")}
services:
  shop:
    endpoints:
      fare: {{prediction: fare, test_queries: "from_dataset(unseen, 3)"}}
      big: {{prediction: big}}
      kind: {{prediction: kind}}
      told: {{prediction: fare, explanations: {{enabled: true, count: 2}}}}
      heavy: {{prediction: heavy}}
      rich:
        prediction: fare
        enrich:
          - {{table: zone_table, keys: {{zone: zone}}, columns: {{usual_x: x}}, missing_key: error, no_match: ignore}}
      zones: {{lookup: {{table: zone_table, keys: [zone], columns: [usual_x, district], no_match: continue}}}}
  solo: {{endpoints: {{fare: {{prediction: "fare@1"}}}}}}
"""


class Shop:
    """The packages of service `shop`: v1, v2, v3 differ in the model of endpoint `fare`; `bad` (generation bad) answers its own test
    query wrongly and must never take traffic. `solo` is a service of one endpoint, with the first `fare`."""

    def __init__(self, folder):
        self.slipway = Slipway(folder)
        self.folder = self.slipway.folder
        trips = [{**row, **targets} for row, targets in shop_rows(1500, 1)]
        self.slipway.write("trips.csv", as_csv(trips))
        self.records = unseen_rows(300)
        self.slipway.write("unseen.csv", as_csv([{"id": i, **record} for i, record in enumerate(self.records)]))
        r = random.Random(5)
        self.zones = {zone: {"usual_x": round(r.uniform(0, 10), 3), "district": r.choice(["north", "south", "ouest \u00e9"])} for zone in range(ZONES)}
        self.slipway.write("zones.csv", as_csv([{"zone": zone, **row} for zone, row in self.zones.items()]))
        self.slipway("init")
        self.packages = {}
        for version, iterations in (("v1", 10), ("v2", 14), ("v3", 18)):
            self.slipway.write("p.yaml", shop_yaml(iterations))
            self.slipway("apply", "-f", "p.yaml")
            self.slipway("build", "p/fare", "p/big", "p/kind", "p/heavy")
            path = self.folder / f"shop-{version}.zip"
            self.slipway("service", "package", "p/shop", "-o", path)
            self.packages[version] = path
        self.v1, self.v2, self.v3 = (self.packages[v] for v in ("v1", "v2", "v3"))
        self.bad = self.packages["bad"] = forge(self.v2, self.folder / "shop-bad.zip", generation="bad", edit=_wrong_expectation)
        self.solo = self.folder / "solo.zip"
        self.slipway("service", "package", "p/solo", "-o", self.solo)
        self._batch = {}

    def batch(self, model, *more):
        """What `slipway score` says for the records: a row of the output per record."""
        key = (model, more)
        if key not in self._batch:
            out = self.folder / f"batch-{len(self._batch)}.csv"
            self.slipway("score", "--model", f"p/{model}", "--input", "unseen.csv", "--output", out, *more)
            with open(out, newline="") as file:
                self._batch[key] = list(csv.DictReader(file))
        return self._batch[key]


def _wrong_expectation(name, data):
    if name != "test_queries.json":
        return data
    queries = json.loads(data)
    queries[0]["expected"] = {"prediction": -12345.5}
    return json.dumps(queries).encode()


def forge(package, path, generation=None, service=None, edit=lambda name, data: data, honest=True, **members):
    """A package with other content; `honest`: the manifest states the new sizes and hashes; `members`: of the manifest."""
    with zipfile.ZipFile(package) as source:
        infos = source.infolist()  # a node takes the exact headers that Slipway writes
        parts = [(info.filename, source.read(info)) for info in infos]
    manifest = json.loads(dict(parts)["manifest.json"])
    manifest["id"] = generation or manifest["id"]
    manifest["service"] = service or manifest["service"]
    manifest.update(members)
    parts = [(name, edit(name, data)) for name, data in parts]
    contents = dict(parts)
    if honest:
        for part in manifest["parts"]:
            data = contents[part["name"]]
            part.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with zipfile.ZipFile(path, "w") as target:
        for info in infos:
            target.writestr(info, json.dumps(manifest).encode() if info.filename == "manifest.json" else contents[info.filename])
    return path


# ---------------------------------------------------------------- the node


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


class Node:
    """A running node. `config` is written as HOME/apinode.toml."""

    def __init__(self, folder, *args, package=None, config="", home=None, environment=None, preexec=None, start=True):
        self.folder = pathlib.Path(folder)
        self.home = pathlib.Path(home or self.folder / "node")
        self.args, self.package, self.environment, self.preexec = [str(a) for a in args], package, environment or {}, preexec
        self.process, self.url, self.errors = None, None, self.folder / "node.err"
        self.home.mkdir(parents=True, exist_ok=True)
        if config:
            (self.home / "apinode.toml").write_text(config)
        if start:
            self.start()

    def start(self, wait=20):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
        env.update(HOME=str(self.folder), TMPDIR=str(self.folder), **self.environment)
        args = [str(APINODE), "--home", str(self.home)]
        if not any(a.startswith("--listen") for a in self.args):
            args += ["--listen", "127.0.0.1:0"]
        if self.package:
            args += ["--package", str(self.package)]
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(args + self.args, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=self.folder,
                                            preexec_fn=self.preexec)
        line = self.process.stdout.readline().decode()
        found = re.search(r"ready at (\S+)", line)
        if not found:
            self.process.wait(wait)
            raise AssertionError(f"the node did not start: exit {self.process.returncode}\n{line}{self.log()}")
        self.url = found.group(1)
        self.host, port = self.url.split("://")[1].rsplit(":", 1)
        self.port = int(port)
        return self

    def log(self):
        return self.errors.read_text(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    @property
    def admin_key(self):
        return (self.home / "admin.key").read_text().strip()

    def request(self, method, path, body=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def predict(self, features, service="shop", endpoint="fare", headers=None, **more):
        return self.request("POST", f"{API}/{service}/{endpoint}/predict", {"features": features, **more}, headers)

    def predict_multi(self, records, service="shop", endpoint="fare", headers=None, **more):
        return self.request("POST", f"{API}/{service}/{endpoint}/predict-multi", {"items": [{"features": r} for r in records], **more}, headers)

    def admin(self, method, path, body=None, headers=None, timeout=60):
        basic = {"Authorization": f"Bearer {self.admin_key}", **(headers or {})}
        return self.request(method, f"/admin/api/{path}", body, basic, timeout)

    def upload(self, package, service="shop"):
        return self.admin("POST", f"services/{service}/generations", pathlib.Path(package).read_bytes(), {"Content-Type": "application/zip"})

    def switch(self, generation, service="shop"):
        return self.admin("POST", f"services/{service}/actions/switchTo/{generation}")

    def map(self, weights, service="shop"):
        entries = [{"generation": g, "proba": p} for g, p in weights.items()]
        return self.admin("POST", f"services/{service}/actions/setMapping", {"entries": entries})

    def serve(self, *packages, service="shop", to=None):
        """Uploads and switches to the last, or `to`."""
        ids = []
        for package in packages:
            answer = self.upload(package, service)
            assert answer.status < 300, answer
            with zipfile.ZipFile(package) as z:
                ids.append(json.loads(z.read("manifest.json"))["id"])
        answer = self.switch(to or ids[-1], service)
        assert answer.status == 200, answer
        return self

    # ---- what one sees from outside

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def rss_mb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", self.proc("status")).group(1)) / 1024

    def peak_mb(self):
        return int(re.search(r"VmHWM:\s+(\d+)", self.proc("status")).group(1)) / 1024

    def reset_peak(self):
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def alive(self):
        return self.process.poll() is None

    def metrics(self):
        """name{labels} -> value, of /metrics."""
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        values = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels."""
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        return sum(value for key, value in self.metrics().items()
                   if re.split(r"[{ ]", key)[0] == name and all(w in key for w in wanted))

    # ---- ends

    def terminate(self, timeout=60):
        """SIGTERM, and again for whoever does not want to wait for the drain: the exit code."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(0.05)
            self.process.send_signal(signal.SIGTERM)
        self.kill()
        raise AssertionError(f"SIGTERM did not end the node in {timeout} s\n{self.log()}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.process.stdout.close()

    def restart(self):
        """After kill -9, with nothing but its home."""
        self.kill()
        self.package = None
        return self.start()


# ---------------------------------------------------------------- load


def on_core(core):
    """For preexec_fn: an open-loop generator spins, so that capacity means something only when the node has a core to itself."""
    return None if core is None or core not in os.sched_getaffinity(0) else lambda: os.sched_setaffinity(0, {core})


class Load:
    """tests/load in the background; `result()` is its JSON."""

    def __init__(self, node, path, bodies, folder, expect=None, core=None, **options):
        self.folder = pathlib.Path(folder)
        stem = self.folder / f"load-{os.urandom(4).hex()}"
        self.stop_file = stem.with_suffix(".stop")
        args = [str(LOAD), "--host", node.host, "--port", str(node.port), "--path", path, "--stop-file", str(self.stop_file)]
        if bodies:
            file = stem.with_suffix(".bodies")
            file.write_text("".join((b if isinstance(b, str) else json.dumps(b)) + "\n" for b in bodies))
            args += ["--bodies", str(file)]
        if expect:
            file = stem.with_suffix(".expect")
            file.write_text("".join("\t".join(texts) + "\n" for texts in expect))
            args += ["--expect", str(file)]
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                args += ["--" + name.replace("_", "-"), str(one)]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=on_core(core))

    def stop(self):
        self.stop_file.touch()
        return self.result()

    def result(self, timeout=None):
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        return json.loads(out)


def run_load(*args, **kwargs):
    return Load(*args, **kwargs).result(timeout=300)


def signature(answer, generation=None):
    """The texts by which a load generator knows the answer of one generation: its name and its prediction, to the last bit."""
    text = answer.body.decode()
    return [re.search(r'"serviceGeneration":\s*"[^"]*"', text).group(0), re.search(r'"prediction":\s*[^,}]*[,}]', text).group(0)]


def nothing_lost(result):
    assert result["requests"] > 0
    assert result["lost"] == 0 and result["timeouts"] == 0 and result["connect_errors"] == 0, result
    assert set(result["statuses"]) == {"200"}, result
    assert result["mismatches"] == 0, result


# ---------------------------------------------------------------- fixtures


_shops = []  # modules import the fixtures below, and a fixture counts per module: this one is made once


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    if not _shops:
        _shops.append(Shop(tmp_path_factory.mktemp("shop")))
    return _shops[0]


class Nodes:
    """Starts nodes and sees to their end."""

    def __init__(self, folder):
        self.folder, self.started = pathlib.Path(folder), []

    def __call__(self, *args, **kwargs):
        folder = self.folder / f"n{len(self.started)}"
        folder.mkdir()
        node = Node(folder, *args, start=False, **kwargs)
        self.started.append(node)
        node.start()
        return node

    def end(self):
        for node in self.started:
            node.kill()


@pytest.fixture
def nodes(tmp_path):
    """A function that starts a node of this test's own."""
    assert APINODE.exists(), f"{APINODE} is not built: ./run build"
    starter = Nodes(tmp_path)
    yield starter
    crashed = [n for n in starter.started if n.process and n.process.poll() not in (None, 0, -9)]
    starter.end()
    assert not crashed, f"a node ended with {crashed[0].process.returncode}:\n{crashed[0].log()[-3000:]}"


@pytest.fixture(scope="module")
def shared_node(shop, tmp_path_factory):
    """One node for tests that leave it as it was: shop v1 and v2, v2 active."""
    starter = Nodes(tmp_path_factory.mktemp("shared-node"))
    node = starter(package=shop.v1)
    node.serve(shop.v2)
    yield node
    alive = node.alive()
    starter.end()
    assert alive, f"the node did not live:\n{node.log()[-3000:]}"
