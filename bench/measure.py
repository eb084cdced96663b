"""Slices of work, interleaved, and the tables and files that come of them. Minima and medians of many slices: the machines are
shared and noisy, so ratios of one run decide."""
import datetime
import gc
import json
import os
import pathlib
import statistics
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


class Work:
    """A contestant's slice: so many rows of different places in the data, so many times, in about `slice_s` seconds."""

    def __init__(self, contestant, total, slice_s):
        self.contestant = contestant
        step = min(contestant.step, total)
        count = max(min(contestant.start, total), step)
        while True:
            chunk = contestant.chunk(0, count)
            contestant.run(chunk)  # warm
            seconds = timed(lambda: contestant.run(chunk))[0]
            if seconds > slice_s / 4 or count == total:
                break
            count = min(total, count * 4)
        count = max(step, min(total, int(count * slice_s / seconds)) // step * step)
        firsts = sorted({0, (total - count) // 2, total - count})
        self.rows = count
        self.chunks = [contestant.chunk(first, first + count) for first in firsts]
        self.repeats = 1
        if count == total:
            self.repeats = max(1, round(slice_s / max(timed(lambda: contestant.run(self.chunks[0]))[0], 1e-9)))
        self.at = 0
        self.wall, self.cpu = [], []

    def slice(self):
        chunk = self.chunks[self.at % len(self.chunks)]
        self.at += 1
        wall, cpu = timed(lambda: [self.contestant.run(chunk) for _ in range(self.repeats)])
        self.wall.append(wall / (self.rows * self.repeats))
        self.cpu.append(cpu / (self.rows * self.repeats))

    def result(self, threads):
        """Seconds a row. One thread: processor time, in which what others do on the machine does not show; more: wall time."""
        mine = self.cpu if threads == 1 else self.wall
        return {"s_per_row": min(mine), "median_s_per_row": statistics.median(mine), "wall_s_per_row": min(self.wall),
                "cpu_s_per_row": min(self.cpu), "rows_per_slice": self.rows * self.repeats, "slices": len(mine)}


def timed(function):
    """(wall seconds, processor seconds of the process)"""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def interleave(works, slices):
    """Every contestant once a round, each round beginning with another one."""
    gc.collect()
    gc.disable()
    try:
        for r in range(slices):
            for i in range(len(works)):
                time.sleep(0.002)  # threads of the one before go to sleep
                works[(r + i) % len(works)].slice()
    finally:
        gc.enable()


def machine():
    lines = open("/proc/cpuinfo").read().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    flags = next((line for line in lines if line.startswith("flags")), "")
    return {"cpu": model, "cores": os.cpu_count(), "isa": "avx512" if "avx512bw" in flags else "avx2" if "avx2" in flags else "older"}


def results_path(bench, options):
    """Where the results go: a quick run's are not kept beside the real ones."""
    return options.results or (ROOT / ".cache" / "bench-quick" if options.quick else RESULTS) / f"{bench}.json"


def rounded(value):
    """Five digits are more than the machines give."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def write(bench, path, key, cells, versions):
    """Puts cells into the results file: one of the same key is replaced, others stay, so that parts can be run alone. Results of
    another machine are not mixed with these."""
    here = machine()
    old = json.loads(path.read_text()) if path.exists() else {}
    kept = old.get("results", []) if old.get("machine") == here else []
    fresh = {tuple(cell[k] for k in key) for cell in cells}
    results = [cell for cell in kept if tuple(cell[k] for k in key) not in fresh] + [rounded(cell) for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"bench": bench, "machine": here, "versions": versions, "day": datetime.date.today().isoformat(), "results": results}
    path.write_text(json.dumps(body, indent=1) + "\n")
    print(f"wrote {os.path.relpath(path, ROOT)}")


def read(path):
    if not path.exists():
        raise SystemExit(f"there are no results yet: {path}")
    return json.loads(path.read_text())["results"]


def versions(packages):
    from importlib.metadata import PackageNotFoundError, version

    out = {}
    for package in packages:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            pass
    return out


def table(head, rows):
    """Aligned text; the first column to the left."""
    lines = [list(map(str, head)), *[list(map(str, row)) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def markdown(head, rows):
    lines = [list(map(str, head)), ["---"] * len(head), *[list(map(str, row)) for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short(value, digits=3):
    """Three digits that matter: 0.123, 1.23, 12.3, 123."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if "e" in text and abs(value) >= 1 else text
