#!/usr/bin/env python3
"""Batch scoring beside the peers, in one process: `./run bench score [--data D,..] [--shapes S,..] [--peers P,..] [--isa I,..]
[--threads 1,2] [--rows N] [--slices N] [--prepare] [--quick] [--markdown]`.

Every contestant scores the same rows in slices of --slice-ms, interleaved. Times are nanoseconds per tree and row: the
least of the slices decides, the median stands beside it. Slipway's include its binning; peers get their rows in the form
they like best beforehand. Peers with a model of their own ("own") have trees of the same number and leaves, trained on the
same data."""
import argparse
import itertools
import pathlib
import sys
import time

import numpy as np

import measure
import models
import peers

CHECKED_ROWS = 4096
KEY = ("data", "shape", "threads")


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: [part for part in text.split(",") if part]  # noqa: E731
    parser.add_argument("--data", type=listed, default=list(models.DATA), help=",".join(models.DATA))
    parser.add_argument("--shapes", type=listed, default=models.SHAPES, help=f"trees x leaves (x classes): {','.join(models.SHAPES)}")
    parser.add_argument("--peers", type=listed, default=list(peers.PEERS), help=",".join(peers.PEERS))
    parser.add_argument("--isa", type=listed, default=[], help="a contestant for each: portable,sse4,avx2,avx512; default: the best that is here")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in listed(text)], default=[1, 2])
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--slices", type=int, default=15)
    parser.add_argument("--slice-ms", type=float, default=70)
    parser.add_argument("--compile-limit", type=int, default=600, help="seconds that a peer may train or compile")
    parser.add_argument("--quick", action="store_true", help="few short slices, fewer rows, one shape: to see that it runs")
    parser.add_argument("--results", type=pathlib.Path, help="the results file; default: bench/results, of a quick run .cache/bench-quick")
    parser.add_argument("--markdown", action="store_true", help="measure nothing: print the tables of the results file")
    parser.add_argument("--prepare", action="store_true", help="train and compile what the measurement needs, and end")
    parser.add_argument("--missing", type=listed, default=[], help=argparse.SUPPRESS)  # peers that could not be installed
    options = parser.parse_args()
    options.results = measure.results_path("score", options)
    if options.quick:
        options.slices, options.slice_ms, options.rows = 3, 10, min(options.rows, 16_384)
        options.shapes = options.shapes if options.shapes != models.SHAPES else ["100x31"]
    for name, given, known in (("data", options.data, models.DATA), ("peers", options.peers, peers.PEERS)):
        if unknown := set(given) - set(known):
            parser.error(f"--{name}: there is no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return options


def contestants_of(cell, options):
    """{name: class}, and the results of those that cannot take part."""
    models.prepare(cell, "lightgbm", 3600)
    able, absent = {**peers.slipways(options.isa)}, {}
    for name in options.peers:
        if name in options.missing:
            absent[name] = {"label": name, "failed": "could not be installed"}
            continue
        made = {} if name in ("reference", "lightgbm") else models.prepare(cell, name, options.compile_limit)
        if "failed" in made:
            absent[name] = {"label": name, "failed": made["failed"]}
        else:
            able[name] = peers.PEERS[name]
    return able, absent


def difference(contestant, expected):
    """(largest absolute difference to LightGBM's raw scores, whether any bit differs); (None, False) where there is none."""
    raw = contestant.raw(len(expected))
    if raw is None or contestant.own:
        return None, False
    return float(np.abs(raw - expected).max()), not np.array_equal(raw.view(np.uint64), expected.view(np.uint64))


def measure_cell(cell, threads, options):
    able, results = contestants_of(cell, options)
    x = models.test_rows(cell, options.rows)
    checked = min(CHECKED_ROWS, options.rows)
    expected = peers.LightGbm(cell, x, 2).raw(checked)
    works, wrong = {}, []
    for name, kind in able.items():
        start = time.perf_counter()
        try:
            contestant = kind(cell, x, threads)
            loaded = time.perf_counter() - start
            largest, differs = difference(contestant, expected)
            works[name] = measure.Work(contestant, options.rows, options.slice_ms / 1000)
        except Exception as error:  # a peer's own failure must not end the bench; ours must
            if kind.exact:
                raise
            why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]
            print(f"!! {name} is left out for {cell.data} {cell.shape}: {why}", file=sys.stderr, flush=True)
            results[name] = {"label": name, "failed": why}
            continue
        if kind.exact and differs:
            wrong.append(f"{contestant.label}, {cell.data} {cell.shape}: differs from LightGBM, at most by {largest}")
        made = models.prepare(cell, name, 1) if name in models.MAKERS else {}
        results[name] = {"label": contestant.label, "own": kind.own, "load_s": round(loaded, 4), "max_difference": largest}
        if name in models.COMPILED_LEAVES:
            results[name].update(compile_s=made["seconds"], compile_peak_mib=made["peak_mib"])
        if hasattr(contestant, "memory"):
            results[name].update(memory_mib=round(contestant.memory / 2**20, 3), reason=contestant.reason)
    measure.interleave(list(works.values()), options.slices)
    for name, work in works.items():
        r = work.result(threads)
        results[name].update(ns=1e9 * r["s_per_row"] / cell.trees, median_ns=1e9 * r["median_s_per_row"] / cell.trees,
                             rows_per_s=1 / r["s_per_row"], **{k: r[k] for k in ("wall_s_per_row", "cpu_s_per_row", "rows_per_slice", "slices")})
    return {"data": cell.data, "shape": cell.shape, "threads": threads, "trees": cell.trees,
            "file_mib": round(cell.model.stat().st_size / 2**20, 3), "contestants": results}, wrong


def ratio_to(contestants, name, ours):
    r = contestants.get(name, {})
    return r["ns"] / ours["ns"] if "ns" in r else None


def best_other(contestants):
    """The fastest peer but LightGBM and our own reference."""
    others = [r for n, r in contestants.items() if not n.startswith("slipway") and n not in ("reference", "lightgbm") and "ns" in r]
    return min(others, key=lambda r: r["ns"], default=None)


def show(cell):
    clock = "processor time" if cell["threads"] == 1 else "wall time"
    print(f"\n{cell['data']}, {cell['shape']}, {cell['threads']} thread{'s' * (cell['threads'] > 1)} ({clock}); model file {cell['file_mib']:.2f} MiB")
    head = ["", "ns/tree/row", "median", "rows/s", "x LightGBM", "max difference", "compile s", "load s", "MiB"]
    rows, lightgbm = [], cell["contestants"].get("lightgbm", {})
    for r in cell["contestants"].values():
        if "failed" in r:
            rows.append([r["label"], r["failed"]] + [""] * (len(head) - 2))
            continue
        faster = measure.short(lightgbm["ns"] / r["ns"]) if "ns" in lightgbm else ""
        rows.append([r["label"], measure.short(r["ns"]), measure.short(r["median_ns"]), f"{r['rows_per_s']:,.0f}", faster,
                     "own model" if r["own"] else "not raw" if r["max_difference"] is None else measure.short(r["max_difference"]),
                     r.get("compile_s", ""), measure.short(r["load_s"]), r.get("memory_mib", "")])
    wide = [row for row in rows if row[1] and not row[2]]  # reasons go below, or they would widen the column
    print(measure.table(head, [row for row in rows if row not in wide]))
    for row in wide:
        print(f"{row[0]}: {row[1]}")


def print_markdown(cells):
    """A table a number of threads: one row a data kind and shape, ns per tree and row and how many times Slipway's time that is."""
    for threads in sorted({cell["threads"] for cell in cells}):
        mine = [cell for cell in cells if cell["threads"] == threads]
        names = list(dict.fromkeys(name for cell in mine for name in cell["contestants"]))
        own = {name for cell in mine for name, r in cell["contestants"].items() if r.get("own")}
        head = ["data, shape", *[f"{name} (own model)" if name in own else name for name in names], "engine", "difference"]
        rows = []
        for cell in mine:
            c = cell["contestants"]
            ours = next(r for name, r in c.items() if name.startswith("slipway"))
            row = [f"{cell['data']} {cell['shape']}"]
            for name in names:
                r = c.get(name, {})
                if "ns" not in r:
                    row.append("-")
                else:
                    row.append(measure.short(r["ns"]) + ("" if r is ours else f" ({measure.short(r['ns'] / ours['ns'])}x)"))
            rows.append([*row, ours["label"].removeprefix("slipway "), measure.short(ours["max_difference"])])
        print(f"\nBatch scoring, {threads} thread{'s' * (threads > 1)}: ns per tree and row (times Slipway's)\n")
        print(measure.markdown(head, rows))
    print_costs(cells)
    failed = dict.fromkeys(f"{r['label']}, {cell['shape']}: {r['failed']}" for cell in cells for r in cell["contestants"].values() if "failed" in r)
    print("\n" + "\n".join(f"- {line}" for line in failed))


def print_costs(cells):
    rows = []
    for cell in cells:
        c = cell["contestants"]
        name, ours = next((name, r) for name, r in c.items() if name.startswith("slipway"))
        other = best_other(c)
        two = next((d for d in cells if d["threads"] == 2 and (d["data"], d["shape"]) == (cell["data"], cell["shape"])), None)
        if cell["threads"] != 1:
            continue
        faster = ratio_to(two["contestants"], name, {"ns": 1}) if two else None
        compiled = "; ".join(f"{r['label']} {r['compile_s']}" for r in c.values() if "compile_s" in r)
        rows.append([f"{cell['data']} {cell['shape']}", f"{measure.short(ratio_to(c, 'lightgbm', ours))}x",
                     f"{measure.short(other['ns'] / ours['ns'])}x {other['label']}" if other else "-",
                     f"{measure.short(1e9 * ours['wall_s_per_row'] / cell['trees'] / faster)}x" if faster else "-",
                     measure.short(1000 * ours["load_s"]), compiled or "-", f"{ours.get('memory_mib', 0):.2f} / {cell['file_mib']:.2f}"])
    if rows:
        print("\nRatios of one thread, and costs\n")
        print(measure.markdown(["data, shape", "to LightGBM", "to the best other", "second thread gives", "load ms", "peers' compile s",
                                "MiB ready / file"], rows))


def main():
    options = arguments()
    if options.markdown:
        return print_markdown(measure.read(options.results))
    if options.prepare:
        for data, shape in itertools.product(options.data, options.shapes):
            contestants_of(models.Cell(data, shape), options)
        return None
    cells, wrong = [], []
    print(__doc__.split("\n\n")[1])
    for data in options.data:
        for shape in options.shapes:
            for threads in options.threads:
                cell, bad = measure_cell(models.Cell(data, shape), threads, options)
                wrong += bad
                show(cell)
                cells.append(cell)
                sys.stdout.flush()
    print_markdown(cells)
    if wrong:
        sys.exit("the answers differ from LightGBM's: a benchmark of wrong answers is none\n" + "\n".join(wrong))
    found = measure.versions(["lightgbm", "lleaves", "llvmlite", "treelite", "tl2cgen", "onnxruntime", "xgboost-cpu", "ydf", "numpy"])
    measure.write("score", options.results, KEY, cells, found)


if __name__ == "__main__":
    peers.quiet_libraries()
    main()
