#!/usr/bin/env python3
"""From the model's text file to the first answer, and memory: `./run bench compile [--data D,..] [--shapes S,..] [--isa I,..]
[--rounds N] [--quick] [--markdown]`.

Slipway opens (reads, checks, compiles) and scores a row; LightGBM's C API opens the same file and scores the same row. In
one process, interleaved; the least of the rounds. Memory is what malloc gave and did not get back, the model being
ready; closing it must give it all back."""
import argparse
import pathlib
import statistics
import sys
import time

import measure
import models
import peers
from runner import Model, allocated

KEY = ("data", "shape")


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench compile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: [part for part in text.split(",") if part]  # noqa: E731
    parser.add_argument("--data", type=listed, default=["uniform", "skewed", "categorical"], help=",".join(models.DATA))
    parser.add_argument("--shapes", type=listed, default=["500x31", "1000x255"])
    parser.add_argument("--isa", type=listed, default=[], help="a contestant for each: portable,sse4,avx2,avx512; default: the best that is here")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    parser.add_argument("--results", type=pathlib.Path, help="the results file; default: bench/results, of a quick run .cache/bench-quick")
    parser.add_argument("--markdown", action="store_true", help="measure nothing: print the table of the results file")
    options = parser.parse_args()
    options.results = measure.results_path("compile", options)
    options.rounds = 3 if options.quick else options.rounds
    if unknown := set(options.data) - set(models.DATA):
        parser.error(f"--data: there is no {', '.join(sorted(unknown))}; known: {', '.join(models.DATA)}")
    return options


def first_answer(openers, x, rounds):
    """{name: {...}}: least times of opening (cpu_s: of the processor) and its parts, and of opening with the first answer."""
    seen = {name: [] for name in openers}
    for r in range(rounds):
        names = list(openers)
        for name in names[r % len(names):] + names[:r % len(names)]:
            start, cpu = time.perf_counter(), time.process_time()
            model = openers[name]()
            opened, opened_cpu = time.perf_counter() - start, time.process_time() - cpu
            model.predict(x)
            seen[name].append((opened, time.perf_counter() - start, opened_cpu, model.read_s, model.parse_s, model.compile_s))
            model.close()
    out = {}
    for name, rows in seen.items():
        least = dict(zip(("open_s", "answer_s", "cpu_s", "read_s", "parse_s", "compile_s"), map(min, zip(*rows))))
        out[name] = {**least, "median_s": statistics.median(row[1] for row in rows)}
    return out


def memory(opener):
    """(bytes of the ready model, bytes that closing it did not give back), the second time: the first one fills caches."""
    for _ in range(2):
        before = allocated()
        model = opener()
        ready = allocated() - before
        model.close()
        left = allocated() - before
    return ready, left


def measure_cell(cell, options):
    models.prepare(cell, "lightgbm", 3600)
    openers = {f"slipway {isa}" if isa else "slipway": (lambda isa=isa: Model(cell.model, isa=isa))
               for isa in options.isa or [None]}
    openers["reference"] = lambda: Model(cell.model, engine="reference")
    openers["lightgbm"] = lambda: Model(cell.model, lightgbm=True)
    size, results = cell.model.stat().st_size, first_answer(openers, models.test_rows(cell, 1), options.rounds)
    for name, opener in openers.items():
        ready, left = memory(opener)
        model = opener()
        results[name].update(label=name if name == "lightgbm" else f"slipway {model.name}", ready_bytes=ready, left_bytes=left,
                             reported_bytes=model.memory, reason=model.reason)
        model.close()
    return {"data": cell.data, "shape": cell.shape, "trees": cell.trees, "file_bytes": size, "rounds": options.rounds, "contestants": results}


def table(cells):
    head = ["data, shape, contestant", "first answer ms", "median", "open cpu ms",
            "read + parse + compile", "LightGBM's / this", "ready MiB", "x file", "it says MiB", "not given back KiB"]
    rows = []
    for cell in cells:
        peer = cell["contestants"]["lightgbm"]["answer_s"]
        for r in cell["contestants"].values():
            rows.append([f"{cell['data']} {cell['shape']} {r['label']}", *[measure.short(1000 * r[k]) for k in ("answer_s", "median_s", "cpu_s")],
                         " + ".join(measure.short(1000 * r[k], 2) for k in ("read_s", "parse_s", "compile_s")) if r["parse_s"] else "-",
                         f"{measure.short(peer / r['answer_s'])}x", f"{r['ready_bytes'] / 2**20:.2f}", f"{r['ready_bytes'] / cell['file_bytes']:.2f}",
                         f"{r['reported_bytes'] / 2**20:.2f}" if r["reported_bytes"] else "-", f"{r['left_bytes'] / 1024:.0f}"])
    return head, rows


def main():
    options = arguments()
    if options.markdown:
        return print(measure.markdown(*table(measure.read(options.results))))
    cells = []
    for data in options.data:
        for shape in options.shapes:
            cells.append(measure_cell(models.Cell(data, shape), options))
            print(f"\n{data}, {shape}: file {cells[-1]['file_bytes'] / 2**20:.2f} MiB")
            print(measure.table(*table(cells[-1:])))
            sys.stdout.flush()
    print("\n" + measure.markdown(*table(cells)))
    measure.write("compile", options.results, KEY, cells, measure.versions(["lightgbm", "numpy"]))


if __name__ == "__main__":
    peers.quiet_libraries()
    main()
