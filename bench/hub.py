#!/usr/bin/env python3
"""`./run bench hub`: a hub with 1,000 models of 10 versions and 200 deployments on 50 API nodes, beside MLflow's tracking server with as
many models and versions. The hub and MLflow are real processes; the nodes are SIMULATED (bench/hub_nodes.cc: one process that speaks the
admin API and scores nothing), and the versions are copies of one that was trained (bench/hub_seed.cc). Requests of one connection, one
after the other, ours and the peer's in turns; least and median."""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hub_mlflow  # noqa: E402
import measure  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench-hub"
BIN = pathlib.Path(os.environ.get("SLIPWAY_BIN", ROOT / "build/bin"))
GOALS = {"models": 10, "versions": 10, "open": 20, "status": 2000, "rest": 1.0, "start": 100, "memory": 100}


def processes(root):
    """The process and all that it started."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def memory_mib(root, field="VmRSS"):
    """Of the whole tree; pages that its processes share count once for each."""
    total = 0
    for pid in processes(root):
        with contextlib.suppress(OSError, IndexError):
            total += int(pathlib.Path(f"/proc/{pid}/status").read_text().split(field + ":")[1].split()[0])
    return total / 1024


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """One connection that stays."""

    def __init__(self, port, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = headers or {}

    def ask(self, method, path, body=None):
        """(milliseconds, status, body)"""
        began = time.perf_counter()
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        return (time.perf_counter() - began) * 1e3, answer.status, content

    def get(self, path):
        took, status, content = self.ask("GET", path)
        if status != 200:
            sys.exit(f"GET {path}: {status} {content[:500]!r}")
        return took, json.loads(content)

    def post(self, path, body, want=(200, 201, 202)):
        _, status, content = self.ask("POST", path, body)
        if status not in want:
            sys.exit(f"POST {path}: {status} {content[:500]!r}")
        return json.loads(content)


class OurHub:
    name = "slipway hub"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.process = None

    def slipway(self, *arguments):
        done = subprocess.run([str(a) for a in (BIN / "slipway", "--home", self.home, *arguments)], capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            sys.exit(f"slipway {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def fill(self, projects, per_project, per_model, services):
        """`seed` has the one trained model and the services; p00, p01, ... have the models."""
        r = random.Random(1)
        rows = [(r.uniform(0, 10), r.random(), r.choice("abc")) for _ in range(2000)]
        (self.folder / "t.csv").write_text("x,z,c,y\n" + "".join(f"{x:.4f},{z:.4f},{c},{3 * x + z + (c == 'a'):.4f}\n" for x, z, c in rows))
        train = ("type: train, input: t, prediction: regression, target: 'y', algorithm: {lightgbm: {num_iterations: 20, num_leaves: 15}}, "
                 "features: {x: {as: numeric}, z: {as: numeric}, c: {as: category, encode: native}}, validation: {holdout: 0.2, seed: 1}")

        def apply(project, models, more=""):
            recipes = "".join(f"  train_{m}: {{{train}, output: {m}}}\n" for m in models)
            (self.folder / f"{project}.yaml").write_text(
                f"project: {project}\ndatasets:\n  t: {{type: files, path: t.csv}}\nmodels:\n" + "".join(f"  {m}: {{}}\n" for m in models) +
                f"recipes:\n{recipes}{more}")
            self.slipway("apply", "-f", self.folder / f"{project}.yaml")

        self.slipway("init")
        apply("seed", ["m"], "services:\n" + "".join(f"  s{s:02}: {{endpoints: {{e: {{prediction: m}}}}}}\n" for s in range(services)))
        self.slipway("build", "seed/m")
        names = [f"p{p:02}" for p in range(projects)]
        for name in names:
            apply(name, [f"m{m:02}" for m in range(per_project)])
        done = subprocess.run([str(a) for a in (BIN / "hub_seed", self.home, "seed/m", per_model, *names)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        self.key = json.loads(self.slipway("key", "create", "--label", "bench", "--json"))["key"]

    def start(self):
        """Seconds to the first answer."""
        began = time.perf_counter()
        self.process = subprocess.Popen([str(BIN / "slipway"), "--home", str(self.home), "hub", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                        stderr=open(self.folder / "hub.err", "ab"), text=True)
        for line in self.process.stdout:
            if line.startswith("slipway hub is ready at "):
                self.port = int(line.rsplit(":", 1)[1])
                Client(self.port).ask("GET", "/ready")
                return time.perf_counter() - began
        sys.exit(f"the hub ended: {(self.folder / 'hub.err').read_text()}")

    def client(self):
        return Client(self.port, {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process.stdout.close()


class Nodes:
    def __init__(self, count):
        self.process = subprocess.Popen([str(BIN / "hub_nodes"), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.urls = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            self.urls.append(line.strip())

    def busy(self, per_second):
        Client(int(self.urls[0].rsplit(":", 1)[1])).post("/simulate", {"per_second": per_second})

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ask_all(contestants, rounds, slices):
    """{name: {what: path maker}} -> {name: {what: spread of ms}}; every contestant in turn, each slice beginning with another one."""
    seen = {name: {what: [] for what in paths} for name, (_, paths) in contestants.items()}
    names = list(contestants)
    for s in range(slices):
        for i in range(len(names)):
            name = names[(s + i) % len(names)]
            client, paths = contestants[name]
            for what, paths_of in paths.items():
                for n in range(rounds):
                    r = random.Random(s * rounds + n)
                    seen[name][what].append(sum(client.get(path)[0] for path in paths_of(r)))
    return {name: {what: spread(values) for what, values in each.items()} for name, each in seen.items()}


def in_parallel(count, threads, work):
    items = queue.SimpleQueue()
    for i in range(count):
        items.put(i)
    failed = []

    def run():
        with contextlib.suppress(queue.Empty):
            while True:
                try:
                    work(items.get_nowait())
                except queue.Empty:
                    raise
                except BaseException as e:  # noqa: BLE001
                    failed.append(e)
                    return

    all_ = [threading.Thread(target=run) for _ in range(threads)]
    for thread in all_:
        thread.start()
    for thread in all_:
        thread.join()
    if failed:
        raise failed[0]


def deploy(hub, nodes, services, infras):
    """Every service on every infrastructure, by the hub's own updates; seconds."""
    client = hub.client()
    per_infra = len(nodes.urls) // infras
    for i in range(infras):
        client.post("/api/v1/infras", {"name": f"i{i:02}", "type": "static", "parallel": per_infra, "stage": ["Development", "Test", "Production"][i % 3],
                                       "nodes": [{"url": u} for u in nodes.urls[i * per_infra:(i + 1) * per_infra]]})
    for s in range(services):
        job = client.post(f"/api/v1/projects/seed/services/s{s:02}/packages", {})["job"]
        wait_for(client, job)
        client.post(f"/api/v1/projects/seed/services/s{s:02}/packages/latest/publish", {})
    began = time.perf_counter()

    def one(n):
        mine = hub.client()
        name = f"s{n // infras:02}-i{n % infras:02}"
        mine.post("/api/v1/deployments", {"name": name, "service": f"s{n // infras:02}", "infra": f"i{n % infras:02}"})
        wait_for(mine, mine.post(f"/api/v1/deployments/{name}/update", {})["job"])

    in_parallel(services * infras, 4, one)
    return time.perf_counter() - began


def wait_for(client, job):
    while True:
        state = client.get(f"/api/v1/jobs/{job}")[1]
        if state["status"] not in ("queued", "running"):
            if state["status"] != "done":
                sys.exit(f"job {job}: {state}")
            return
        time.sleep(0.02)


def full_status(hub, deployments, rounds):
    """One request for all deployments; and one for each, over four connections."""
    client = hub.client()
    one, each = [], []
    for _ in range(rounds):
        took, answer = client.get("/api/v1/deployments?status=true")
        bad = [d for d in answer if d["health"] != "healthy" or not d["nodes"]]
        if len(answer) != deployments or bad:
            sys.exit(f"{len(answer)} of {deployments} deployments, not healthy: {bad[:2]}")
        one.append(took)
        names = [d["name"] for d in answer]
        began = time.perf_counter()
        in_parallel(len(names), 4, lambda n: hub.client().get(f"/api/v1/deployments/{names[n]}/status"))
        each.append((time.perf_counter() - began) * 1e3)
    return {"one_request": spread(one), "a_request_each": spread(each)}


def at_rest(hub, nodes, seconds):
    """Percent of one core, nobody asking the hub; its look at the nodes every 5 s goes on."""
    out = {}
    for what, rate in (("quiet_nodes", 0), ("busy_nodes", 20)):
        nodes.busy(rate)
        time.sleep(6)
        before, began = cpu_seconds(hub.process.pid), time.perf_counter()
        time.sleep(seconds)
        out[what] = (cpu_seconds(hub.process.pid) - before) / (time.perf_counter() - began) * 100
    nodes.busy(0)
    return out


def ours_paths(projects, per_project):
    def model(r):
        return f"/api/v1/projects/p{r.randrange(projects):02}/models/m{r.randrange(per_project):02}"

    def page_of_models(r):
        return ["/api/v1/models?limit=100"]

    def opened(r):
        path = model(r)
        return [path, path + "/versions?limit=100", path + "/versions/active"]

    return {"models": page_of_models, "versions": lambda r: [model(r) + "/versions?limit=100"], "model": lambda r: [model(r)],
            "version": lambda r: [model(r) + f"/versions/{r.randrange(1, 3)}"], "open": opened}


def mlflow_paths(models):
    api = "/api/2.0/mlflow"

    def name(r):
        return f"m{r.randrange(models):04}"

    def versions(n):
        return f"{api}/model-versions/search?max_results=100&filter=name%3D%27{n}%27"

    def opened(r):
        n = name(r)
        return [f"{api}/registered-models/get?name={n}", versions(n), f"{api}/model-versions/get?name={n}&version=1"]

    return {"models": lambda r: [f"{api}/registered-models/search?max_results=100"], "versions": lambda r: [versions(name(r))],
            "model": lambda r: [f"{api}/registered-models/get?name={name(r)}"],
            "version": lambda r: [f"{api}/model-versions/get?name={name(r)}&version={r.randrange(1, 3)}"], "open": opened}


TITLES = {"models": "a page of 100 models", "versions": "a page of a model's versions", "model": "one model", "version": "one version, everything about it",
          "open": "opening a model: the three together"}


def show(result):
    ours, peer = result["requests"][OurHub.name], result["requests"].get(hub_mlflow.MlflowServer.name)
    rows = []
    for what, title in TITLES.items():
        row = [title, f"{ours[what]['min']:.2f}, {ours[what]['median']:.2f}"]
        if peer:
            row += [f"{peer[what]['min']:.1f}, {peer[what]['median']:.1f}", f"{peer[what]['min'] / ours[what]['min']:.0f}x"]
        rows.append(row)
    for key, title in (("start_ms", "start to the first answer"), ("memory_mib", "memory after all of it, MiB")):
        value = result[key]
        row = [title, f"{value[OurHub.name]['min']:.1f}, {value[OurHub.name]['median']:.1f}"]
        if peer:
            other = value[hub_mlflow.MlflowServer.name]
            row += [f"{other['min']:,.0f}, {other['median']:,.0f}", f"{other['min'] / value[OurHub.name]['min']:.0f}x"]
        rows.append(row)
    print(f"\n{result['models']:,} models, {result['versions']:,} versions; milliseconds, least and median")
    print(measure.markdown(["", OurHub.name, hub_mlflow.MlflowServer.name, "ratio"][:4 if peer else 2], rows))
    if "status" in result:
        status, rest = result["status"], result["at_rest"]
        print(f"\n{result['deployments']} deployments on {result['nodes']} simulated nodes")
        print(f"rolled out in {result['rollout_s']:.1f} s; full status in one request {status['one_request']['min']:.0f} ms (median "
              f"{status['one_request']['median']:.0f}); a request for each deployment {status['a_request_each']['min']:.0f} ms")
        print(f"at rest: {rest['quiet_nodes']:.2f} % of a core, with nodes that are asked all the time {rest['busy_nodes']:.2f} %")
    if result["missed"]:
        print("MISSED: " + ", ".join(result["missed"]))


def missed(result):
    ours = result["requests"][OurHub.name]
    got = {"models": ours["models"]["min"], "versions": ours["versions"]["min"], "open": ours["open"]["min"], "start": result["start_ms"][OurHub.name]["min"],
           "memory": result["memory_mib"][OurHub.name]["max"]}
    if "status" in result:
        got |= {"status": result["status"]["one_request"]["min"], "rest": max(result["at_rest"].values())}
    return [f"{what} {value:.4g} (goal {GOALS[what]})" for what, value in got.items() if value > GOALS[what]]


def run(arguments, folder):
    quick = arguments.quick
    projects, per_project, per_model = (3, 4, 3) if quick else (20, 50, 10)
    services, infras, node_count = (2, 2, 4) if quick else (20, 10, 50)
    if arguments.models:
        per_project = max(1, arguments.models // projects)
    slices, rounds, starts, seconds = (2, 2, 2, 1) if quick else (arguments.rounds, 20, 5, 20)
    ours = OurHub(folder / "ours")
    ours.folder.mkdir()
    began = time.perf_counter()
    ours.fill(projects, per_project, per_model, services)
    print(f"{projects * per_project * per_model:,} versions in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    result = {"models": projects * per_project, "versions": projects * per_project * per_model, "deployments": services * infras, "nodes": node_count,
              "nodes_are": "simulated"}
    peer, why = None, "quick"
    if not quick and not arguments.alone:
        interpreter, why = hub_mlflow.python()
        if interpreter:
            peer = hub_mlflow.MlflowServer(interpreter, folder / "mlflow", projects * per_project, per_model)
            began = time.perf_counter()
            peer.fill()
            print(f"MLflow's in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    if why and not quick:
        result["peer_missing"] = why
    contestants = [ours, *([peer] if peer else [])]
    start = {c.name: [] for c in contestants}
    memory = {c.name: [] for c in contestants}
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.callback(contestant.stop)
        for n in range(starts):
            for contestant in contestants:
                if contestant is peer and n >= 2:  # seconds each
                    continue
                contestant.stop() if contestant.process else None
                start[contestant.name].append(contestant.start() * 1e3)
                memory[contestant.name].append(memory_mib(contestant.process.pid))
        result["start_ms"] = {name: spread(values) for name, values in start.items()}
        result["memory_at_start_mib"] = {name: spread(values) for name, values in memory.items()}
        nodes = Nodes(node_count)
        stack.callback(nodes.stop)
        result["rollout_s"] = deploy(ours, nodes, services, infras)
        asked = {ours.name: (ours.client(), ours_paths(projects, per_project))}
        if peer:
            asked[peer.name] = (Client(peer.port), mlflow_paths(projects * per_project))
        result["requests"] = ask_all(asked, rounds, slices)
        result["status"] = full_status(ours, services * infras, 2 if quick else 5)
        result["at_rest"] = at_rest(ours, nodes, seconds)
        result["memory_mib"] = {c.name: spread([memory_mib(c.process.pid)]) for c in contestants}
        result["memory_peak_mib"] = {ours.name: memory_mib(ours.process.pid, "VmHWM")}
    result["missed"] = [] if quick else missed(result)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="slices of 20 requests of each kind")
    parser.add_argument("--models", type=int, default=0, help="in all (1,000)")
    parser.add_argument("--alone", action="store_true", help="without MLflow")
    parser.add_argument("--quick", action="store_true", help="to see that it runs: few of everything, without MLflow")
    parser.add_argument("--results", type=pathlib.Path, default=None, help="a file other than bench/results/hub.json")
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=CACHE, prefix="run-"))
    try:
        result = run(arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(result)
    path = measure.results_path("hub", arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([BIN / "slipway", "--version"], capture_output=True, text=True).stdout.strip()
    path.write_text(json.dumps({"bench": "hub", "machine": measure.machine(), "versions": {"slipway": version, "peers": hub_mlflow.PINS},
                                "results": measure.rounded(result)}, indent=1) + "\n")
    print(f"wrote {os.path.relpath(path, ROOT)}")


if __name__ == "__main__":
    main()
