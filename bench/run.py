#!/usr/bin/env python3
"""Benchmarks with peers side by side in one run: `./run bench [batch|train|startup] [--rows N] [--large]`.

Rounds are interleaved (ours, peer, ours, peer, ...); minima and medians are reported, and ratios decide: the machines are
shared and noisy. Each round is a process of its own, with its wall time and peak memory from wait4."""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import data

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bin" / "slipway"
PEER = pathlib.Path(__file__).resolve().parent / "peer.py"
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def measure(command, env=None):
    """Wall seconds and peak memory in MiB of one process and what it started."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{error.decode()}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def interleave(contestants, rounds):
    """{name: command} -> {name: {min, median, peak_mib}}."""
    seconds = {name: [] for name in contestants}
    peak = {name: 0.0 for name in contestants}
    for _ in range(rounds):
        for name, command in contestants.items():
            took, memory = measure(command)
            seconds[name].append(took)
            peak[name] = max(peak[name], memory)
    return {name: {"min_s": min(s), "median_s": statistics.median(s), "peak_mib": peak[name]} for name, s in seconds.items()}


def versions():
    import lightgbm
    import numpy
    import pandas
    import pyarrow

    return {"slipway": subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip(), "python": platform.python_version(),
            "lightgbm": lightgbm.__version__, "pandas": pandas.__version__, "numpy": numpy.__version__, "pyarrow": pyarrow.__version__}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    return {"cpu": model, "cores": os.cpu_count(), "isa": "avx512f" if "avx512f" in flags else "avx2" if "avx2" in flags else "older"}


def report(name, rows, result, ours, peer, extra=None):
    ratio = result[peer]["min_s"] / result[ours]["min_s"]
    print(f"\n{name}")
    print(f"{'':34}{'min s':>9}{'median s':>10}{'rows/s':>14}{'peak MiB':>10}")
    for who, r in result.items():
        rate = f"{rows / r['min_s']:,.0f}" if rows else "-"
        print(f"{who:34}{r['min_s']:9.3f}{r['median_s']:10.3f}{rate:>14}{r['peak_mib']:10.0f}")
    print(f"{ours} is {ratio:.2f}x as fast as {peer} (minima)")
    return {"name": name, "rows": rows, "results": result, "ratio": ratio, **(extra or {})}


def bench_batch(arguments, folder):
    rows = arguments.rows or 1_000_000
    files = data.scoring_files(folder, rows)
    out = []
    for kind in ("csv", "parquet"):
        ours, peer = f"slipway score ({kind})", f"pandas + LightGBM ({kind})"
        scored, expected = folder / f"ours.{kind}", folder / f"peer.{kind}"
        contestants = {ours: [BINARY, "--quiet", "score", "--model", files["model"], "--input", files[kind], "--output", scored],
                       peer: [sys.executable, PEER, "score", files["model"], files[kind], expected]}
        result = interleave(contestants, arguments.rounds)
        difference = data.largest_difference(scored, expected, kind)
        print(f"largest difference of predictions to LightGBM's ({kind}): {difference}")
        out.append(report(f"batch: {rows:,} rows x 12 columns, 300 trees x 31 leaves, {kind} to {kind}", rows, result, ours, peer,
                          {"max_difference": difference}))
        if difference != 0:
            sys.exit("the answers differ from LightGBM's: a benchmark of wrong answers is none")
    if arguments.large:
        large = data.repeat_csv(files["csv"], folder / "large.csv", 20)
        seconds, peak = measure([BINARY, "--quiet", "score", "--model", files["model"], "--input", large, "--output", folder / "large-out.csv"])
        print(f"\nmemory: {20 * rows:,} rows CSV to CSV in {seconds:.1f} s, peak {peak:.0f} MiB")
        out.append({"name": f"memory: {20 * rows:,} rows csv", "seconds": seconds, "peak_mib": peak})
        parquet = data.repeat_parquet(files["parquet"], folder / "large.parquet", 20)
        seconds, peak = measure([BINARY, "--quiet", "score", "--model", files["model"], "--input", parquet, "--output", folder / "large-out.parquet"])
        print(f"memory: {20 * rows:,} rows Parquet to Parquet in {seconds:.1f} s, peak {peak:.0f} MiB")
        out.append({"name": f"memory: {20 * rows:,} rows parquet", "seconds": seconds, "peak_mib": peak})
    return out


def bench_train(arguments, folder):
    rows = arguments.rows or 1_000_000
    csv = data.training_csv(folder, rows)
    home = folder / "home"
    project = folder / "project.yaml"
    project.write_text(f"""project: bench
datasets: {{rows: {{type: files, path: {csv}}}}}
models: {{m: {{}}}}
recipes:
  t:
    type: train
    input: rows
    output: m
    target: y
    prediction: regression
    features: {{{', '.join(f'{n}: {{as: numeric, missing: native}}' for n in data.NUMERIC)}, {', '.join(f'{n}: {{as: category, encode: native}}' for n in data.CATEGORY)}}}
    algorithm: {{lightgbm: {{num_iterations: 100, num_leaves: 31, learning_rate: 0.1}}}}
    validation: {{holdout: 0.2, seed: 1}}
""")
    for command in (["init", home], ["--home", home, "apply", "-f", project]):
        subprocess.run([BINARY, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    ours, peer = "slipway build (train recipe)", "pandas + LightGBM train"
    result = interleave({ours: [BINARY, "--home", home, "--quiet", "build", "bench/m", "--mode", "this"],
                         peer: [sys.executable, PEER, "train", csv, folder / "peer-model.txt"]}, arguments.rounds)
    return [report(f"train: {rows:,} rows x 12 columns from CSV, 100 rounds x 31 leaves, hold-out 20 %, metrics", rows, result, ours, peer)]


def bench_startup(arguments, folder):
    home = folder / "home"
    subprocess.run([BINARY, "demo", "--rows", "2000", "--home", str(home), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    help_, versions_, peer = "slipway --help", "slipway model versions", "python -c 'import lightgbm'"
    result = interleave({help_: [BINARY, "--help"], versions_: [BINARY, "--home", home, "model", "versions", "ny_taxi_fares/fare"],
                         peer: [sys.executable, "-c", "import lightgbm"]}, max(arguments.rounds, 10))
    out = [report("startup", 0, result, versions_, peer)]
    for name in (help_, versions_):
        print(f"{name}: {1000 * result[name]['min_s']:.1f} ms")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    benches = {"batch": bench_batch, "train": bench_train, "startup": bench_startup}
    parser.add_argument("name", nargs="?", choices=[*benches, "all"], default="all")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="batch: also 20 times the rows, for the peak of memory")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name in benches if arguments.name == "all" else [arguments.name]:
        with tempfile.TemporaryDirectory() as folder:
            out = benches[name](arguments, pathlib.Path(folder))
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps({"bench": name, "machine": machine(), "versions": versions(), "results": out}, indent=2) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
