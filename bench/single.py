#!/usr/bin/env python3
"""One row at a time, and few: `./run bench single [--data D,..] [--shapes S,..] [--parts latency,python,batches] [--isa I,..]
[--rows N] [--passes N] [--quick] [--markdown]`.

latency: a C++ loop over distinct rows with a clock around each call: Slipway, its reference engine, and LightGBM's C API made
for this (SingleRowFast, one configuration a thread), on one thread and on two at once over one model. Blocks of rows are
interleaved; each figure is the least of the passes. Calls in which the kernel gave the processor to another program are left
out, and counted. python: the same from Python, with all calls. batches: calls of 1 to 64 rows."""
import argparse
import pathlib
import sys
import time

import numpy as np

import measure
import models
import peers
from runner import Model, clock_ns

KEY = ("part", "data", "shape")
BLOCK = 10_000
BATCHES = [1, 2, 4, 8, 16, 32, 64]
PYTHON_PEERS = ["lightgbm", "lleaves", "onnxruntime"]
PARTS = ["latency", "python", "batches"]
QUANTILES = {"p50_us": 50, "p99_us": 99, "p999_us": 99.9}


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench single", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: [part for part in text.split(",") if part]  # noqa: E731
    parser.add_argument("--data", type=listed, default=["uniform", "skewed"], help=",".join(models.DATA))
    parser.add_argument("--shapes", type=listed, default=["500x31", "100x31"])
    parser.add_argument("--parts", type=listed, default=PARTS, help=",".join(PARTS))
    parser.add_argument("--peers", type=listed, default=PYTHON_PEERS, help=f"of part python: {','.join(PYTHON_PEERS)}")
    parser.add_argument("--isa", type=listed, default=[], help="a contestant for each: portable,sse4,avx2,avx512; default: the best that is here")
    parser.add_argument("--rows", type=int, default=100_000, help="distinct rows")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--compile-limit", type=int, default=600, help="seconds that a peer may compile")
    parser.add_argument("--quick", action="store_true", help="fewer rows and passes: to see that it runs")
    parser.add_argument("--results", type=pathlib.Path, help="the results file; default: bench/results, of a quick run .cache/bench-quick")
    parser.add_argument("--markdown", action="store_true", help="measure nothing: print the tables of the results file")
    parser.add_argument("--missing", type=listed, default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.results = measure.results_path("single", options)
    if options.quick:
        options.rows, options.passes = min(options.rows, 5000), 2
    for name, given, known in (("data", options.data, models.DATA), ("parts", options.parts, PARTS), ("peers", options.peers, PYTHON_PEERS)):
        if unknown := set(given) - set(known):
            parser.error(f"--{name}: there is no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return options


def open_models(cell, isas):
    """{name: Model}"""
    out = {f"slipway {isa}" if isa else "slipway": Model(cell.model, isa=isa) for isa in isas or [None]}
    return {**out, "reference": Model(cell.model, engine="reference"), "lightgbm": Model(cell.model, lightgbm=True)}


def quantiles(nanoseconds):
    return {name: float(np.percentile(nanoseconds, q)) / 1000 for name, q in QUANTILES.items()}


def least(passes):
    return {name: (max if name == "interrupted" else min)(p[name] for p in passes) for name in passes[0]}


def one_pass(opened, x, threads):
    """{name: {p50_us, ..., interrupted}}, blocks interleaved. The answers must be the same bits."""
    blocks = [x[first:first + BLOCK * threads] for first in range(0, len(x), BLOCK * threads)]
    times = {name: [] for name in opened}
    for at, block in enumerate(blocks):
        names = list(opened)
        answers = {}
        for name in names[at % len(names):] + names[:at % len(names)]:
            answers[name], nanoseconds = opened[name].single_rows(block, threads)
            times[name].append(nanoseconds)
        for name, answer in answers.items():
            if not np.array_equal(answer.view(np.uint64), answers["lightgbm"].view(np.uint64)):
                sys.exit(f"{name}: answers to single rows differ from LightGBM's: a benchmark of wrong answers is none")
    return {name: whole_pass(np.concatenate(t)) for name, t in times.items()}


def whole_pass(nanoseconds):
    kept = nanoseconds[nanoseconds >= 0]
    return {**quantiles(kept), "interrupted": (len(nanoseconds) - len(kept)) / len(nanoseconds)}


def bench_latency(cell, options):
    opened, x = open_models(cell, options.isa), models.test_rows(cell, options.rows)
    results = {name: {"label": model.name if name == "lightgbm" else f"slipway {model.name}"} for name, model in opened.items()}
    for threads in (1, 2):
        passes = [one_pass(opened, x, threads) for _ in range(options.passes)]
        for name in opened:
            results[name][str(threads)] = least([p[name] for p in passes])
    return {"rows": options.rows, "passes": options.passes, "clock_ns": round(clock_ns(), 1), "contestants": results}


def show_latency(cell):
    print(f"\none row a call from C++, {cell['data']}, {cell['shape']}, {cell['rows']:,} rows; reading the clock adds {cell['clock_ns']} ns")
    print(measure.table(*latency_table([cell])))


def latency_table(cells):
    head = ["data, shape, contestant", "p50 us", "p99 us", "p99.9 us", "p99.9 / p50", "LightGBM's p50 / this",
            "two threads: p50 us", "p99.9 us", "p50 of one x", "interrupted"]
    rows = []
    for cell in cells:
        peer = cell["contestants"]["lightgbm"]["1"]["p50_us"]
        for r in cell["contestants"].values():
            one, two, short = r["1"], r["2"], measure.short
            rows.append([f"{cell['data']} {cell['shape']} {r['label']}", *[short(one[q]) for q in QUANTILES], short(one["p999_us"] / one["p50_us"]),
                         f"{short(peer / one['p50_us'])}x", short(two["p50_us"]), short(two["p999_us"]),
                         f"{short(two['p50_us'] / one['p50_us'])}x", f"{100 * one['interrupted']:.2f} %"])
    return head, rows


def bench_python(cell, options):
    rows = min(options.rows, 5000)
    x = models.test_rows(cell, rows)
    callers, results = {}, {}
    for name, kind in peers.slipways([]).items():
        if name == "slipway package":
            callers[name] = kind(cell, x, 1)
    if not callers:
        results["slipway package"] = {"label": "slipway (Python package)", "failed": "the package is not installed in this environment"}
    for name in options.peers:
        made = {"failed": "could not be installed"} if name in options.missing else \
            {} if name == "lightgbm" else models.prepare(cell, name, options.compile_limit)
        if "failed" in made:
            results[name] = {"label": name, "failed": made["failed"]}
        else:
            callers[name] = peers.PEERS[name](cell, x, 1)
    passes = {name: [] for name in callers}
    for _ in range(options.passes):
        for name, caller in callers.items():
            chunks, nanoseconds = [caller.chunk(i, i + 1) for i in range(rows)], np.empty(rows)
            for i, chunk in enumerate(chunks):
                start = time.perf_counter_ns()
                caller.run(chunk)
                nanoseconds[i] = time.perf_counter_ns() - start
            passes[name].append(quantiles(nanoseconds))
    for name, caller in callers.items():
        results[name] = {"label": caller.label, **least(passes[name])}
    return {"rows": rows, "contestants": results}


def python_table(cells):
    rows = [[f"{cell['data']} {cell['shape']} {r['label']}", *([measure.short(r[q]) for q in QUANTILES] if "p50_us" in r else ["-", "-", "-"])]
            for cell in cells for r in cell["contestants"].values()]
    return ["data, shape, called from Python", "p50 us", "p99 us", "p99.9 us"], rows


def show_python(cell):
    print(f"\none row a call from Python, {cell['data']}, {cell['shape']}, {cell['rows']:,} rows")
    print(measure.table(*python_table([cell])))
    for r in cell["contestants"].values():
        if "failed" in r:
            print(f"{r['label']}: {r['failed']}")


def bench_batches(cell, options):
    opened, x = open_models(cell, options.isa), models.test_rows(cell, min(options.rows, 2048))
    results = {name: {"label": model.name if name == "lightgbm" else f"slipway {model.name}"} for name, model in opened.items()}
    for batch in BATCHES:
        seen = {name: [] for name in opened}
        for _ in range(3 * options.passes):
            for name, model in opened.items():
                seen[name].append(model.batches(x, batch))
        for name, seconds in seen.items():
            results[name][str(batch)] = 1e9 * min(seconds) / len(x) / cell.trees
    return {"rows": len(x), "contestants": results}


def batches_table(cells):
    rows = [[f"{cell['data']} {cell['shape']} {r['label']}", *[measure.short(r[str(batch)]) for batch in BATCHES]]
            for cell in cells for r in cell["contestants"].values()]
    return ["ns per tree and row, rows a call", *map(str, BATCHES)], rows


def show_batches(cell):
    print(f"\nfew rows a call, {cell['data']}, {cell['shape']} (one row: LightGBM's SingleRowFast)")
    print(measure.table(*batches_table([cell])))
    c = cell["contestants"]
    for name in (n for n in c if n.startswith("slipway")):
        for batch in map(str, BATCHES):
            if c[name][batch] > 1.05 * c["reference"][batch]:
                print(f"!! {c[name]['label']} is slower than the reference engine at {batch} rows a call")


BENCHES = {"latency": (bench_latency, show_latency, latency_table), "python": (bench_python, show_python, python_table),
           "batches": (bench_batches, show_batches, batches_table)}


def print_markdown(cells):
    for part, (_, _, make_table) in BENCHES.items():
        if mine := [cell for cell in cells if cell["part"] == part]:
            print(f"\n{part}\n\n{measure.markdown(*make_table(mine))}")


def main():
    options = arguments()
    if options.markdown:
        return print_markdown(measure.read(options.results))
    cells = []
    for data in options.data:
        for shape in options.shapes:
            cell = models.Cell(data, shape)
            models.prepare(cell, "lightgbm", 3600)
            for part in options.parts:
                bench, show, _ = BENCHES[part]
                cells.append({"part": part, "data": data, "shape": shape, **bench(cell, options)})
                show(cells[-1])
                sys.stdout.flush()
    print_markdown(cells)
    measure.write("single", options.results, KEY, cells, measure.versions(["lightgbm", "lleaves", "onnxruntime", "numpy"]))


if __name__ == "__main__":
    peers.quiet_libraries()
    main()
