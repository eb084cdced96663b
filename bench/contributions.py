#!/usr/bin/env python3
"""TreeSHAP beside the peers, in one process: `./run bench shap [--data D,..] [--shapes S,..] [--peers P,..] [--threads 1,2]
[--rows N] [--slices N] [--quick] [--markdown]`.

Rows a second, by the least of interleaved slices: exact path-dependent contributions of every feature. LightGBM's
pred_contrib and woodelf explain the same model; XGBoost's pred_contribs its own model of the same shape. The difference to
LightGBM's is relative to the row's largest absolute contribution."""
import argparse
import contextlib
import functools
import io
import pathlib
import sys
import time

import numpy as np

import measure
import models
import peers
from runner import Model

KEY = ("data", "shape", "threads")
CHECKED_ROWS = 3000  # divided by the leaves
# The goal of exactness: of the row's largest absolute contribution.
ALLOWED = 1e-9


class Contestant:
    own, exact, start = False, False, 4

    def __init__(self, cell, x, threads):
        self.cell, self.x, self.threads = cell, x, threads
        self.step = 4 * threads  # rows of a slice, so that the threads have the same
        self.load()

    def chunk(self, first, last):
        return self.x[first:last]

    def contributions(self, rows):
        """(rows, classes x (features + 1)), or None."""
        return np.asarray(self.run(self.chunk(0, rows)), dtype=np.float64).reshape(rows, -1)


class Slipway(Contestant):
    exact, label = True, "slipway"

    def load(self):
        self.model = Model(self.cell.model)
        self.model.explain(self.x[:1])  # compiles the explainer
        self.step = 256 * self.threads  # a thread takes 256 rows at a time

    def run(self, chunk):
        return self.model.explain(chunk, self.threads)


class LightGbm(Contestant):
    label = "lightgbm pred_contrib"

    def load(self):
        self.model = Model(self.cell.model, lightgbm=True)

    def run(self, chunk):
        return self.model.explain(chunk, self.threads)


class XGBoost(Contestant):
    own, label = True, "xgboost pred_contribs (own model)"

    def load(self):
        import xgboost

        self.model = xgboost.Booster(model_file=str(self.cell.folder / "xgboost.ubj"))
        self.model.set_param({"nthread": self.threads})
        types = ["c" if i in self.cell.categories else "q" for i in range(models.FEATURES)]
        self.matrix = functools.partial(xgboost.DMatrix, feature_types=types, enable_categorical=True, nthread=self.threads)

    def chunk(self, first, last):
        return self.matrix(self.x[first:last])

    def run(self, chunk):
        return self.model.predict(chunk, pred_contribs=True, strict_shape=True)

    def contributions(self, rows):
        return None


class Woodelf(Contestant):
    """Explains all rows at once, pattern by pattern: a slice is all rows. One thread (numpy)."""
    label = "woodelf"

    def load(self):
        import lightgbm
        import pandas
        from woodelf import WoodelfExplainer

        self.frame = pandas.DataFrame(self.x, columns=[f"Column_{i}" for i in range(models.FEATURES)])
        booster = lightgbm.Booster(model_file=str(self.cell.model))
        self.model = WoodelfExplainer(booster)
        self.step = len(self.x)

    def chunk(self, first, last):
        return self.frame.iloc[first:last]

    def run(self, chunk):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # it shows its progress
            return self.model.shap_values(chunk)

    def contributions(self, rows):
        values = np.asarray(self.run(self.chunk(0, rows)), dtype=np.float64).reshape(rows, -1)
        return np.concatenate([values, np.full((rows, 1), np.nan)], axis=1)  # it gives no base value here


CONTESTANTS = {"slipway": Slipway, "lightgbm": LightGbm, "xgboost": XGBoost, "woodelf": Woodelf}


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench shap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: [part for part in text.split(",") if part]  # noqa: E731
    known_peers = [name for name in CONTESTANTS if name != "slipway"]
    parser.add_argument("--data", type=listed, default=["uniform", "skewed"], help=",".join(models.DATA))
    parser.add_argument("--shapes", type=listed, default=["500x31", "1000x255"])
    parser.add_argument("--peers", type=listed, default=known_peers, help=",".join(known_peers))
    parser.add_argument("--threads", type=lambda text: [int(n) for n in listed(text)], default=[1, 2])
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--slices", type=int, default=7)
    parser.add_argument("--slice-ms", type=float, default=300)
    parser.add_argument("--compile-limit", type=int, default=600, help="seconds that a peer may train")
    parser.add_argument("--quick", action="store_true", help="few short slices, one small shape: to see that it runs")
    parser.add_argument("--results", type=pathlib.Path, help="the results file; default: bench/results, of a quick run .cache/bench-quick")
    parser.add_argument("--markdown", action="store_true", help="measure nothing: print the table of the results file")
    parser.add_argument("--missing", type=listed, default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.results = measure.results_path("shap", options)
    if options.quick:
        options.slices, options.slice_ms, options.rows = 2, 20, min(options.rows, 1024)
        options.shapes = options.shapes if options.shapes != ["500x31", "1000x255"] else ["100x31"]
    for name, given, known in (("data", options.data, models.DATA), ("peers", options.peers, known_peers)):
        if unknown := set(given) - set(known):
            parser.error(f"--{name}: there is no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return options


def difference(contestant, expected):
    """Largest difference relative to the largest absolute contribution of the row (of the class), without the base value;
    None where there is nothing to compare."""
    found = contestant.contributions(len(expected))
    if found is None or contestant.own:
        return None
    width = models.FEATURES + 1
    found, expected = (a.reshape(-1, width) for a in (found, expected))
    base = np.nan_to_num(np.abs(found[:, -1] - expected[:, -1]))
    apart = np.maximum(np.abs(found[:, :-1] - expected[:, :-1]).max(axis=1), base)
    return float((apart / np.abs(expected[:, :-1]).max(axis=1)).max())


def measure_cell(cell, threads, options):
    models.prepare(cell, "lightgbm", 3600)
    x = models.test_rows(cell, options.rows)
    expected = LightGbm(cell, x, 2).contributions(min(CHECKED_ROWS // cell.leaves, options.rows))
    works, results, wrong = {}, {}, []
    for name in ["slipway", *options.peers]:
        kind = CONTESTANTS[name]
        if name == "woodelf" and threads > 1:
            continue
        made = {"failed": "could not be installed"} if name in options.missing else \
            models.prepare(cell, name, options.compile_limit) if name == "xgboost" else \
            {"failed": "skipped by rule beyond 31 leaves: its work doubles with each level"} if name == "woodelf" and cell.leaves > 31 else {}
        try:
            if "failed" in made:
                raise RuntimeError(made["failed"])
            start = time.perf_counter()
            contestant = kind(cell, x, threads)
            loaded = time.perf_counter() - start
            largest = difference(contestant, expected)
            works[name] = measure.Work(contestant, options.rows, options.slice_ms / 1000)
        except Exception as error:  # a peer's own failure must not end the bench; ours must
            if kind.exact:
                raise
            why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            print(f"!! {name} is left out for {cell.data} {cell.shape}: {why}", file=sys.stderr, flush=True)
            results[name] = {"label": kind.label, "failed": why}
            continue
        if kind.exact and not largest <= ALLOWED:
            wrong.append(f"{cell.data} {cell.shape}: contributions differ from LightGBM's by {largest} of the row's largest")
        results[name] = {"label": contestant.label, "own": kind.own, "load_s": round(loaded, 3), "max_difference": largest}
    measure.interleave(list(works.values()), options.slices)
    for name, work in works.items():
        r = work.result(threads)
        results[name].update(rows_per_s=1 / r["s_per_row"], median_rows_per_s=1 / r["median_s_per_row"],
                             **{k: r[k] for k in ("wall_s_per_row", "cpu_s_per_row", "rows_per_slice", "slices")})
    return {"data": cell.data, "shape": cell.shape, "threads": threads, "trees": cell.trees, "contestants": results}, wrong


def table(cells):
    head = ["data, shape, threads, contestant", "rows/s", "median", "slipway's / this", "largest difference", "ready s"]
    rows = []
    for cell in cells:
        ours = cell["contestants"]["slipway"]
        for r in cell["contestants"].values():
            name = f"{cell['data']} {cell['shape']} {cell['threads']} {r['label']}"
            if "failed" in r:
                rows.append([name, "-", "-", "-", "-", "-"])
                continue
            rows.append([name, f"{r['rows_per_s']:,.0f}", f"{r['median_rows_per_s']:,.0f}", f"{measure.short(ours['rows_per_s'] / r['rows_per_s'])}x",
                         "own model" if r["own"] else measure.short(r["max_difference"]), measure.short(r["load_s"])])
    return head, rows


def main():
    options = arguments()
    if options.markdown:
        return print(measure.markdown(*table(measure.read(options.results))))
    cells, wrong = [], []
    for data in options.data:
        for shape in options.shapes:
            for threads in options.threads:
                cell, bad = measure_cell(models.Cell(data, shape), threads, options)
                wrong += bad
                cells.append(cell)
                print(f"\n{data}, {shape}, {threads} thread{'s' * (threads > 1)} ({'processor' if threads == 1 else 'wall'} time)")
                print(measure.table(*table([cell])))
                sys.stdout.flush()
    print("\n" + measure.markdown(*table(cells)))
    if wrong:
        sys.exit("the contributions are not LightGBM's: a benchmark of wrong answers is none\n" + "\n".join(wrong))
    measure.write("shap", options.results, KEY, cells, measure.versions(["lightgbm", "xgboost-cpu", "woodelf-explainer", "numpy"]))


if __name__ == "__main__":
    peers.quiet_libraries()
    main()
