#!/usr/bin/env python3
"""Benchmarks with peers side by side in one run: `./run bench [batch|train|startup|memory] [--rows N] [--rounds R]`, and
`./run bench score|single|compile|shap [...]` for the engines alone, `./run bench serve` for the API node, `./run bench hub` for the hub
(bench/score.py and its like have their own options).

Rounds are interleaved (ours, peer, ours, peer, ...); minima and medians are reported, and ratios decide: the machines are
shared and noisy. Each round is a process of its own, with its wall time, processor time and peak memory from wait4.
This process stays small and lets others make the data: a child's peak begins with the memory of whoever started it."""
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

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bin" / "slipway"  # --binary names another
PEER = pathlib.Path(__file__).resolve().parent / "peer.py"
DATA = pathlib.Path(__file__).resolve().parent / "data.py"
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def environment():
    """Python may keep its compiled modules: without them each import of the peer's libraries would compile them again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(command):
    """(wall seconds, processor seconds, peak memory in MiB) of one process and what it started."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{error.decode()}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def interleave(contestants, rounds):
    """{name: command} -> {name: {min_s, median_s, cpu_s, peak_mib}}; cpu_s is the least processor time of a round."""
    seen = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, command in contestants.items():
            seen[name].append(measure(command))
    out = {}
    for name, rows in seen.items():
        wall, cpu, peak = zip(*rows)
        out[name] = {"min_s": round(min(wall), 4), "median_s": round(statistics.median(wall), 4), "cpu_s": round(min(cpu), 4),
                     "peak_mib": round(max(peak), 1)}
    return out


def make(what, *arguments):
    """Runs a function of data.py in a process of its own; what it prints."""
    command = [sys.executable, DATA, what, *arguments]
    done = subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, env=environment())
    return done.stdout.strip()


def versions():
    from importlib.metadata import version

    ours = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip()
    return {"slipway": ours, "python": platform.python_version(), **{name: version(name) for name in ("lightgbm", "pandas", "numpy", "pyarrow")}}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    return {"cpu": model, "cores": os.cpu_count(), "isa": "avx512f" if "avx512f" in flags else "avx2" if "avx2" in flags else "older"}


def report(name, rows, result, ours, peer, extra=None):
    ratio = result[peer]["min_s"] / result[ours]["min_s"]
    cpu_ratio = result[peer]["cpu_s"] / result[ours]["cpu_s"]
    print(f"\n{name}")
    print(f"{'':34}{'min s':>9}{'median s':>10}{'cpu s':>9}{'rows/s':>12}{'peak MiB':>10}")
    for who, r in result.items():
        rate = f"{rows / r['min_s']:,.0f}" if rows else "-"
        print(f"{who:34}{r['min_s']:9.3f}{r['median_s']:10.3f}{r['cpu_s']:9.3f}{rate:>12}{r['peak_mib']:10.0f}")
    print(f"{ours} is {ratio:.2f}x as fast as {peer} (least wall times; {cpu_ratio:.2f}x by processor time)")
    return {"name": name, "rows": rows, "results": result, "ratio": round(ratio, 2), "cpu_ratio": round(cpu_ratio, 2), **(extra or {})}


def score_command(model, source, output, *more):
    return [BINARY, "--quiet", "score", "--model", model, "--input", source, "--output", output, *more]


def bench_batch(arguments, folder):
    rows = arguments.rows or 1_000_000
    make("scoring_files", folder, rows, 300)
    model = folder / "model.txt"
    out = []
    for kind in ("csv", "parquet"):
        ours, single, peer = f"slipway score ({kind})", f"the same, one thread ({kind})", f"pandas + LightGBM ({kind})"
        source, scored, expected = folder / f"rows.{kind}", folder / f"ours.{kind}", folder / f"peer.{kind}"
        contestants = {ours: score_command(model, source, scored),
                       single: score_command(model, source, folder / f"single.{kind}", "--threads", "1"),
                       peer: [sys.executable, PEER, "score", model, source, expected]}
        result = interleave(contestants, arguments.rounds)
        difference = float(make("largest_difference", scored, expected))
        print(f"largest difference of predictions to LightGBM's ({kind}): {difference}")
        out.append(report(f"batch: {rows:,} rows x 12 columns, 300 trees x 31 leaves, {kind} to {kind}", rows, result, ours, peer,
                          {"max_difference": difference}))
        if difference != 0:
            sys.exit("the answers differ from LightGBM's: a benchmark of wrong answers is none")
    return out


def bench_memory(arguments, folder):
    """Twenty times the rows must not need more memory. With few trees the reader runs ahead of the writer most."""
    rows = arguments.rows or 1_000_000
    make("scoring_files", folder, rows, 10)
    out = []
    for kind in ("csv", "parquet"):
        for times in (1, 20):
            source, scored = folder / f"large.{kind}", folder / f"large-out.{kind}"
            make("repeat", folder / f"rows.{kind}", source, times)
            seconds, cpu, peak = measure(score_command(folder / "model.txt", source, scored))
            print(f"{times * rows:,} rows, {kind} to {kind}, in {seconds:.1f} s, peak {peak:.0f} MiB", flush=True)
            out.append({"name": f"memory: {times * rows:,} rows, {kind} to {kind}", "rows": times * rows, "seconds": round(seconds, 1),
                        "cpu_s": round(cpu, 1), "peak_mib": round(peak, 1)})
            source.unlink()
            scored.unlink()
    return out


def bench_train(arguments, folder):
    rows = arguments.rows or 1_000_000
    make("training_csv", folder, rows)
    csv = folder / "train.csv"
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
    features: {{{', '.join(f'x{n}: {{as: numeric, missing: native}}' for n in range(10))}, {', '.join(f'{n}: {{as: category, encode: native}}' for n in ('colour', 'shop'))}}}
    algorithm: {{lightgbm: {{num_iterations: 100, num_leaves: 31, learning_rate: 0.1}}}}
    validation: {{holdout: 0.2, seed: 1}}
""")
    for command in (["init", home], ["--home", home, "apply", "-f", project]):
        subprocess.run([BINARY, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    ours, peer = "slipway build (train recipe)", "pandas + LightGBM train"
    train = [sys.executable, PEER, "train", csv, folder / "peer-model.txt"]
    # The waiting policy that our worker sets: on a busy machine OpenMP's spinning threads cost more than the training.
    result = interleave({ours: [BINARY, "--home", home, "--quiet", "build", "bench/m", "--mode", "this"], peer: train,
                         f"{peer}, passive waiting": ["env", "OMP_WAIT_POLICY=passive", *train]}, arguments.rounds)
    return [report(f"train: {rows:,} rows x 12 columns from CSV, 100 rounds x 31 leaves, hold-out 20 %, metrics", rows, result, ours, peer)]


def bench_startup(arguments, folder):
    home = folder / "home"
    subprocess.run([BINARY, "demo", "--rows", "2000", "--home", str(home), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    help_, versions_, peer = "slipway --help", "slipway model versions", "python -c 'import lightgbm'"
    subprocess.run([sys.executable, "-c", "import lightgbm"], check=True, env=environment())  # its modules are compiled now
    result = interleave({help_: [BINARY, "--help"], versions_: [BINARY, "--home", home, "model", "versions", "ny_taxi_fares/fare"],
                         peer: [sys.executable, "-c", "import lightgbm"]}, max(arguments.rounds, 5))
    out = [report("startup", 0, result, versions_, peer)]
    for name in (help_, versions_):
        print(f"{name}: {1000 * result[name]['min_s']:.1f} ms, 1/{result[peer]['min_s'] / result[name]['min_s']:.0f} of the import")
    return out


def in_peers_venv(name, arguments):
    """The engines' benches: a file each, in the environment where the peers are installed."""
    import peers_venv

    wanted = peers_venv.WANTED[name]
    script = pathlib.Path(__file__).resolve().parent / peers_venv.SCRIPTS.get(name, f"{name}.py")
    if {"--markdown", "--help", "-h"} & set(arguments):  # measures nothing, needs no peers
        sys.exit(subprocess.run([sys.executable, str(script), *arguments], env=environment()).returncode)
    chosen = next((b for a, b in zip(arguments, arguments[1:]) if a == "--peers"), None)
    chosen = chosen or next((a.split("=", 1)[1] for a in arguments if a.startswith("--peers=")), None)
    python, missing = peers_venv.make([p for p in wanted if chosen is None or p in chosen.split(",")])
    more = ["--missing", ",".join(missing)] if missing else []
    sys.exit(subprocess.run([str(python), str(script), *arguments, *more], env=environment()).returncode)


def main():
    global BINARY
    if len(sys.argv) > 1 and sys.argv[1] in ("score", "single", "compile", "shap"):
        in_peers_venv(sys.argv[1], sys.argv[2:])
    if len(sys.argv) > 1 and sys.argv[1] in ("serve", "hub"):
        script = pathlib.Path(__file__).resolve().parent / f"{sys.argv[1]}.py"
        sys.exit(subprocess.run([sys.executable, script, *sys.argv[2:]], env=environment()).returncode)
    parser = argparse.ArgumentParser(description=__doc__)
    benches = {"batch": bench_batch, "train": bench_train, "startup": bench_startup, "memory": bench_memory}
    parser.add_argument("name", nargs="?", choices=[*benches, "all"], default="all", help="all: without memory, which takes long")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY)
    arguments = parser.parse_args()
    BINARY = arguments.binary.resolve()
    RESULTS.mkdir(exist_ok=True)
    for name in ("batch", "train", "startup") if arguments.name == "all" else [arguments.name]:
        with tempfile.TemporaryDirectory() as folder:
            out = benches[name](arguments, pathlib.Path(folder))
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps({"bench": name, "machine": machine(), "versions": versions(), "results": out}, indent=2) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
