#!/usr/bin/env python3
"""`./run bench serve`: the API node beside FastAPI + LightGBM, MLServer + LightGBM and nginx with a fixed answer. Every server has
core 0 to itself while it is asked, the load comes from core 1. Slices are interleaved (every server, then again); the best slice and
the median are reported, and ratios of one run decide. wrk makes the throughput, tests/load the constant rate and the checks."""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run as bench  # noqa: E402
import serve_peers as peers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench-serve"
PINS = ["fastapi==0.115.14", "uvicorn[standard]==0.54.0", "lightgbm==4.7.0", "mlserver==1.7.1", "mlserver-lightgbm==1.7.1", "uvloop==0.21.0",
        "numpy==2.4.6"]
SLIPWAY = ROOT / "build/bin/slipway"
LOAD = ROOT / "build/bin/load"
WRK = """
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[n])
end
"""


def peers_python():
    at = CACHE / "venv"
    stamp = at / "stamp"
    if not stamp.exists() or stamp.read_text() != "\n".join(PINS):
        print("installing the peers", file=sys.stderr, flush=True)
        uv = ROOT / ".venv/bin/uv"
        environment = {**os.environ, "UV_CACHE_DIR": str(ROOT / ".cache/uv"), "UV_LINK_MODE": "copy"}
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, at], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", at / "bin/python", *PINS], check=True, env=environment)
        stamp.write_text("\n".join(PINS))
    return at / "bin/python"


def slipway(*arguments):
    done = subprocess.run([str(a) for a in (SLIPWAY, "--home", CACHE / "home", *arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"slipway {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def make_model():
    """(package v1, package v2, the model as LightGBM's text, records): 28 numbers, 500 trees of 31 leaves, made once."""
    import zipfile

    import models

    records_file = CACHE / "records.json"
    if not records_file.exists():
        import numpy as np

        CACHE.mkdir(parents=True, exist_ok=True)
        cell = models.Cell("uniform", "500x31")
        x, y = models.training(cell)
        names = [f"f{i:02}" for i in range(models.FEATURES)]
        header = ",".join([*names, "y"])
        np.savetxt(CACHE / "train.csv", np.column_stack([x, y]), fmt="%.17g", delimiter=",", header=header, comments="")
        (CACHE / "project.yaml").write_text(f"""project: bench
datasets: {{train: {{type: files, path: {CACHE}/train.csv}}}}
models: {{model: {{activation: always}}}}
recipes:
  train_model:
    type: train
    input: train
    output: model
    target: y
    prediction: regression
    features: {{{", ".join(f"{n}: {{as: numeric, missing: native}}" for n in names)}}}
    algorithm: {{lightgbm: {{num_iterations: 500, num_leaves: 31, learning_rate: 0.1}}}}
    validation: {{holdout: 0.05, seed: 1}}
services:
  bench: {{endpoints: {{model: {{prediction: model, test_queries: "from_dataset(train, 3)"}}}}}}
""")
        subprocess.run(["rm", "-rf", CACHE / "home"], check=True)
        slipway("init")
        slipway("apply", "-f", CACHE / "project.yaml")
        slipway("build", "bench/model")
        slipway("service", "package", "bench/bench", "-o", CACHE / "v1.zip")
        slipway("service", "package", "bench/bench", "-o", CACHE / "v2.zip")
        with zipfile.ZipFile(CACHE / "v1.zip") as package:
            bundle = next(n for n in package.namelist() if n.endswith(".bundle"))
            package.extract(bundle, CACHE)
        with zipfile.ZipFile(CACHE / bundle) as part:
            (CACHE / "model.txt").write_bytes(part.read("model.txt"))
        rows = models.test_rows(cell, 500)
        records_file.write_text(json.dumps([dict(zip(names, map(float, row))) for row in rows]))
    return CACHE / "v1.zip", CACHE / "v2.zip", CACHE / "model.txt", json.loads(records_file.read_text())


def write_bodies(server, records, folder):
    path = pathlib.Path(folder) / f"{server.name.split()[0].strip(',')}.bodies"
    path.write_text("".join(server.body(record) + "\n" for record in records))
    return path


def wrk(server, bodies, connections, seconds, folder):
    script = pathlib.Path(folder) / "post.lua"
    script.write_text(WRK)
    before = server.cpu_seconds()
    done = subprocess.run(["taskset", "-c", peers.LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script),
                           f"http://127.0.0.1:{server.port}{server.path}"], capture_output=True, text=True, env={**os.environ, "BODIES": str(bodies)})
    cpu = server.cpu_seconds() - before
    if done.returncode != 0:
        sys.exit(done.stderr)
    requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    errors = re.search(r"Socket errors: (.*)", done.stdout)
    if bad or errors:
        sys.exit(f"{server.name}: {done.stdout}")
    percentile = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout)
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)), "cpu_us": cpu / requests * 1e6,
            "p50_us": float(percentile.group(1)) * {"us": 1, "ms": 1e3, "s": 1e6}[percentile.group(2)]}


def load(server, bodies, *more):
    done = subprocess.run(["taskset", "-c", peers.LOAD_CORE, str(LOAD), "--port", str(server.port), "--path", server.path, "--bodies", str(bodies),
                           *map(str, more)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    result = json.loads(done.stdout)
    if set(result["statuses"]) - {"200"} or result["lost"] or result["timeouts"]:
        print(f"!! {server.name}: {result['statuses']} lost {result['lost']} timeouts {result['timeouts']}", file=sys.stderr)
    return result


def throughput(servers, bodies, arguments, folder, result):
    for connections in (1, 16, 64):
        slices = {server.name: [] for server in servers}
        for _ in range(arguments.rounds):
            for server in servers:
                slices[server.name].append(wrk(server, bodies[server.name], connections, arguments.seconds, folder))
        for name, rows in slices.items():
            result["throughput"].setdefault(name, {})[connections] = {
                "rps_best": round(max(r["rps"] for r in rows)), "rps_median": round(statistics.median(r["rps"] for r in rows)),
                "cpu_us_min": round(min(r["cpu_us"] for r in rows), 2), "cpu_us_median": round(statistics.median(r["cpu_us"] for r in rows), 2),
                "p50_us_min": min(r["p50_us"] for r in rows)}


def at_rate(servers, bodies, arguments, result, rate=20000):
    slices = {server.name: [] for server in servers}
    for _ in range(arguments.rounds + 2):
        for server in servers:
            answer = load(server, bodies[server.name], "--rate", rate, "--connections", 16, "--seconds", arguments.seconds)
            slices[server.name].append(answer["latency_us"])
    for name, rows in slices.items():
        result["at_rate"][name] = {q: {"min": round(min(r[q] for r in rows), 1), "median": round(statistics.median(r[q] for r in rows), 1)}
                                   for q in ("p50", "p99", "p99_9")}


def multi(ours, fastapi, bodies, records, arguments, folder, result):
    thousand = [records[i % len(records)] for i in range(1000)]
    path = pathlib.Path(folder) / "multi.bodies"
    path.write_text(json.dumps({"items": [{"features": record} for record in thousand]}) + "\n")
    single, best = ours.path, {"ours": 0, "fastapi": 0}
    for _ in range(arguments.rounds):
        ours.path = single + "-multi"
        best["ours"] = max(best["ours"], load(ours, path, "--connections", 2, "--seconds", arguments.seconds)["ok_per_second"] * 1000)
        ours.path = single
        best["fastapi"] = max(best["fastapi"], load(fastapi, bodies[fastapi.name], "--connections", 16, "--seconds", arguments.seconds)["ok_per_second"])
    result["multi"] = {"records_per_second": round(best["ours"]), "fastapi_single": round(best["fastapi"]), "ratio": round(best["ours"] / best["fastapi"], 1)}


def explanations(ours, fastapi, records, arguments, folder, result):
    theirs, mine = pathlib.Path(folder) / "fe.bodies", pathlib.Path(folder) / "e.bodies"
    theirs.write_text("".join(fastapi.body(record) + "\n" for record in records))
    mine.write_text("".join(json.dumps({"features": record, "explanations": {"enabled": True, "nExplanations": 5}}) + "\n" for record in records))
    path, fastapi.path = fastapi.path, "/explain"
    result["explanations"] = {}
    for connections in (16, 64):
        best = {"ours": 0, "fastapi": 0}
        for _ in range(arguments.rounds):
            best["ours"] = max(best["ours"], load(ours, mine, "--connections", connections, "--seconds", arguments.seconds)["ok_per_second"])
            best["fastapi"] = max(best["fastapi"], load(fastapi, theirs, "--connections", connections, "--seconds", arguments.seconds)["ok_per_second"])
        result["explanations"][f"{connections} connections"] = {
            "rps": round(best["ours"]), "fastapi": round(best["fastapi"]), "ratio": round(best["ours"] / best["fastapi"], 1)}
    fastapi.path = path


def start_up(package, folder, result, times=15):
    """From the process's start to its line that it is ready, with the package already imported; and from nothing."""
    seen, first, memory = [], None, []
    model = (CACHE / "model.txt").stat().st_size / 1e6
    home = pathlib.Path(folder) / "cold"
    for i in range(times):
        command = ["taskset", "-c", peers.SERVER_CORE, ROOT / "build/bin/slipway-apinode", "--home", home, "--listen", "127.0.0.1:0", "--loops", "1",
                   "--log-level", "error"] + (["--package", package] if i == 0 else [])
        began = time.perf_counter()
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        url = process.stdout.readline().split()[-1]
        urllib.request.urlopen(url + "/ready").read()
        took = time.perf_counter() - began
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        memory.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        process.kill()
        process.wait()
        if i == 0:
            first = took
        else:
            seen.append(took)
    result["start"] = {"ready_ms_min": round(min(seen) * 1e3, 1), "ready_ms_median": round(statistics.median(seen) * 1e3, 1),
                       "first_import_ms": round(first * 1e3, 1), "rss_mib": round(statistics.median(memory), 1), "model_file_mb": round(model, 1)}


def swaps(ours, bodies, second, arguments, result, rate=20000):
    """p99 of windows of 0.2 s at a constant rate, quiet and while generations are switched every 0.4 s."""
    key = (ours.folder / "home" / "admin.key").read_text().strip()
    import base64

    headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}

    def admin(path, body=b"", method="POST"):
        request = urllib.request.Request(f"http://127.0.0.1:{ours.port}/admin/api/services/bench{path}", body, headers, method=method)
        return urllib.request.urlopen(request, timeout=30).read()

    admin("/generations", pathlib.Path(second).read_bytes())
    admin("/generations/v2/preload")
    rows = {"quiet": [], "swapping": []}
    count = 0
    for _ in range(arguments.rounds):
        for kind in rows:
            process = subprocess.Popen(["taskset", "-c", peers.LOAD_CORE, str(LOAD), "--port", str(ours.port), "--path", ours.path, "--bodies",
                                        str(bodies[ours.name]), "--rate", str(rate), "--connections", "16", "--seconds", str(arguments.seconds * 2)],
                                       stdout=subprocess.PIPE, text=True)
            # This process takes what the server's core leaves over, and nothing of the load's: it is not what is measured.
            os.sched_setaffinity(0, {int(peers.SERVER_CORE)})
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            while kind == "swapping" and process.poll() is None:
                count += 1
                admin(f"/actions/switchTo/v{1 + count % 2}")
                time.sleep(0.4)
            answer = json.loads(process.communicate()[0])
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(0, range(os.cpu_count()))
            if set(answer["statuses"]) - {"200"} or answer["lost"]:
                sys.exit(f"requests failed while swapping: {answer['statuses']} lost {answer['lost']}")
            rows[kind].append(answer["latency_us"])
    result["swap"] = {kind: {q: round(min(r[q] for r in each), 1) for q in ("p50", "p99", "p99_9")} for kind, each in rows.items()}
    result["swap"]["swaps"] = count
    result["swap"]["p99_ratio"] = round(result["swap"]["swapping"]["p99"] / result["swap"]["quiet"]["p99"], 2)


def check_equal(servers, records):
    """Every server gives the same bits."""
    for record in records[:20]:
        answers = {server.name: server.answer(record) for server in servers if server.name != peers.Nginx.name}
        if len(set(answers.values())) != 1:
            sys.exit(f"the answers differ: {answers}")


def show(result):
    print("\none record, requests per second (best slice), CPU microseconds a request of the server")
    nginx, ours = result["throughput"][peers.Nginx.name], result["throughput"][peers.Slipway.name]
    print(f"{'':24}" + "".join(f"{c:>5} conn.{'CPU us':>8}  " for c in nginx))
    for name, rows in result["throughput"].items():
        print(f"{name:24}" + "".join(f"{r['rps_best']:>10,}{r['cpu_us_median']:>8.1f}  " for r in rows.values()))
    for name, rows in result["throughput"].items():
        if name != peers.Slipway.name:
            print(f"  against {name:22}" + "".join(f"{ours[c]['rps_best'] / rows[c]['rps_best']:>8.2f}x{ours[c]['cpu_us_median'] / max(rows[c]['cpu_us_median'], 1e-9):>7.2f}x CPU" for c in rows))
    print(f"one connection, p50: ours {ours[1]['p50_us_min']:.0f} us, nginx {nginx[1]['p50_us_min']:.0f} us = {ours[1]['p50_us_min'] / nginx[1]['p50_us_min']:.2f}x")
    for key, title in (("at_rate", "at 20,000 requests/s, microseconds (least of the slices; median)"), ("multi", "predict-multi, 1,000 records"),
                       ("explanations", "with the 5 largest explanations"), ("start", "start"), ("swap", "swap under 20,000 requests/s")):
        if key in result and result[key]:
            print(f"\n{title}")
            for name, row in result[key].items():
                print(f"  {name:24} {json.dumps(row)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=3, help="of a slice")
    parser.add_argument("--only", nargs="*", default=None, help="throughput rate multi explanations start swap")
    parser.add_argument("--quick", action="store_true", help="ours and nginx alone")
    parser.add_argument("--no-query-log", action="store_true", help="without the query log, which is on by default")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "bench/results/serve.json")
    arguments = parser.parse_args()
    if os.cpu_count() < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    wanted = lambda part: arguments.only is None or part in arguments.only  # noqa: E731
    package, second, model, records = make_model()
    peers.Server.records = records
    result = {"machine": bench.machine(), "versions": {"peers": PINS, "slipway": subprocess.run([SLIPWAY, "--version"], capture_output=True, text=True).stdout.strip()},
              "query_log": not arguments.no_query_log, "throughput": {}, "at_rate": {}}
    with tempfile.TemporaryDirectory() as folder:
        more = []
        if arguments.no_query_log:
            config = pathlib.Path(folder) / "apinode.toml"
            config.write_text("[query_log]\nenabled = false\n")
            more = ["--config", config]
        ours = peers.Slipway(f"{folder}/ours", package, more=more)
        started = []
        try:
            started.append(ours.start())
            answer = json.dumps(peers.post(ours.port, ours.path, ours.body(records[0])), separators=(",", ":"))
            nginx = peers.Nginx(f"{folder}/nginx", answer)
            nginx.answer = lambda record: peers.post(nginx.port, "/", "{}")
            started.append(nginx.start())
            slow = []
            if not arguments.quick:
                python = peers_python()
                slow = [peers.FastApi(f"{folder}/fastapi", python, model), peers.MlServer(f"{folder}/mlserver", python, model)]
                for server in slow:
                    started.append(server.start())
                check_equal([ours, *slow], records)
            servers = [ours, nginx, *slow]
            bodies = {server.name: write_bodies(server, records, folder) for server in servers}
            if wanted("throughput"):
                throughput(servers, bodies, arguments, folder, result)
            if wanted("rate"):
                at_rate([ours, nginx], bodies, arguments, result)
            if slow and wanted("multi"):
                multi(ours, slow[0], bodies, records, arguments, folder, result)
            if slow and wanted("explanations"):
                explanations(ours, slow[0], records, arguments, folder, result)
            if wanted("swap"):
                swaps(ours, bodies, second, arguments, result)
            result["rss_mib_after_load"] = round(ours.rss_mib(), 1)
        finally:
            for server in started:
                server.stop()
        if wanted("start"):
            start_up(package, folder, result)
    if result["throughput"]:
        show(result)
    else:
        print(json.dumps(result, indent=1))
    if arguments.only is None and not arguments.quick:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nwritten: {arguments.output.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
