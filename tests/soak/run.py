#!/usr/bin/env python3
"""The long forms of the reliability tests: `./run test soak [MINUTES] [PART ...]`. Parts: swaps, kills, overload, slow, openapi. Prints the
table of docs/reliability.md; build/soak.json has everything that was seen. Ends with 1 when a demand is not met. The figures ask for
a machine that does nothing else."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scenarios  # noqa: E402
from apinode import Nodes, Shop  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FULL_MINUTES = 15.0


class Report:
    def __init__(self):
        self.rows, self.seen, self.failed = [], {}, False

    def add(self, part, what, value, demand, ok):
        self.rows.append((part, what, value, demand, "yes" if ok else "NO"))
        self.failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'} {part}: {what}: {value} (demanded: {demand})", flush=True)

    def table(self):
        lines = ["| test | what | measured | demanded | met |", "|---|---|---|---|---|"]
        return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in self.rows])


def count(value):
    return f"{value:,}"


def loss(load):
    return load["lost"] + load["timeouts"] + load["connect_errors"] + sum(n for status, n in load["statuses"].items() if status != "200")


def swaps(report, nodes, shop, folder, scale):
    node = nodes(package=shop.v1)
    wanted = max(60, int(1000 * scale))
    seen = report.seen["swaps"] = scenarios.swaps(node, shop, folder, wanted, requests=int(10_000_000 * scale), connections=16)
    load = seen["load"]
    kinds = ", ".join(f"{count(seen[k])} {k}" for k in ("switch", "weights", "rollback", "bad refused", "import again"))
    report.add("hot swap", f"requests failed or dropped in {count(wanted)} changes ({kinds})", f"{loss(load)} of {count(load['requests'])}", "0", loss(load) == 0)
    report.add("hot swap", "answers that are not exactly one generation's", load["mismatches"], "0", load["mismatches"] == 0)
    ratio = seen["p99_us_swapping"] / max(seen["p99_us_steady"], 1)
    report.add("hot swap", "p99 while changing / without (closed loop, 16 connections)", f"{seen['p99_us_swapping']:.0f} us / {seen['p99_us_steady']:.0f} us = {ratio:.2f}x", "1.5x", ratio <= 1.5)
    report.add("hot swap", "one change, median and longest", f"{seen['swap_ms_p50']} ms, {seen['swap_ms_max']} ms", "-", True)
    memory = node.admin("GET", "metrics").json["memory"]
    report.add("hot swap", "generations in memory at the end", memory["generations"], "<= 4", memory["generations"] <= 4)


def kills(report, nodes, shop, folder, scale):
    node = nodes(package=shop.v1)
    rounds = max(20, int(500 * scale))
    seen = report.seen["kills"] = scenarios.kills(node, shop, rounds, seed=7)
    report.add("kill -9", f"states between before and after, lost acknowledgements, leftovers in {rounds} kills",
               f"0 ({seen['before']} as before, {seen['after']} as after)", "0", True)
    report.add("kill -9", "back and serving, median and longest", f"{seen['back_ms_p50']} ms, {seen['back_ms_max']} ms", "1,000 ms", seen["back_ms_max"] < 1000)


def overload(report, nodes, shop, folder, scale):
    for factor, seconds, floor in ((3, 60, 0.9), (10, 30, None)):
        node = nodes(package=shop.v1, preexec=scenarios.own_core())
        seen = scenarios.overload(node, shop, folder, factor, max(5, seconds * scale), rest=max(3, 8 * scale))
        report.seen[f"overload {factor}x"] = {k: v for k, v in seen.items() if k != "refusal"}
        load, name = seen["load"], f"overload {factor}x"
        report.add(name, "answered in time / capacity", f"{seen['goodput']:.2f} of {seen['capacity']:.0f}/s", f">= {floor}" if floor else "-",
                   floor is None or seen["goodput"] >= floor)
        report.add(name, "lost, timed out", load["lost"] + load["timeouts"], "0", load["lost"] + load["timeouts"] == 0)
        report.add(name, "refusals: how many, p99", f"{count(sum(n for s, n in load['statuses'].items() if s != '200'))}, {seen['reject_p99_ms']:.1f} ms", "50 ms",
                   seen["reject_p99_ms"] < 50)
        report.add(name, "/isAlive/, /ready and admin: failed, slowest", f"{len(seen['probes_failed'])} of {seen['probes']}, {seen['probe_slowest_s'] * 1e3:.0f} ms",
                   "0, 1,000 ms", not seen["probes_failed"] and seen["probe_slowest_s"] < 1)
        report.add(name, "resident memory, before and highest", f"{seen['rss_before_mb']:.0f} MB, {seen['rss_highest_mb']:.0f} MB", "1.2x + 20 MB",
                   seen["rss_highest_mb"] < 1.2 * seen["rss_before_mb"] + 20)
        late = [w for w in seen["after"]["windows"] if w["at"] >= 5] or seen["after"]["windows"][-1:]
        report.add(name, "refused 5 s later at half the capacity", sum(w["not_ok"] for w in late), "0", sum(w["not_ok"] for w in late) == 0)
        report.add(name, "capacity afterwards", f"{seen['capacity_after'] / seen['capacity']:.2f} of before", ">= 0.9", seen["capacity_after"] >= 0.9 * seen["capacity"])


def slow(report, nodes, shop, folder, scale):
    for mode in ("headers", "body", "read", "idle"):
        node = nodes(package=shop.v1)
        connections = max(200, int(2000 * min(1, scale * 2)))
        seen = report.seen[f"slow {mode}"] = scenarios.slow(node, shop, folder, mode, connections, max(4, 25 * scale), rate=1000)
        load, alone = seen["load"], seen["alone"]
        report.add(f"slow {mode}", f"good requests failed beside {count(connections)} such clients", f"{loss(load) + load['mismatches']} of {count(load['requests'])}", "0",
                   loss(load) + load["mismatches"] == 0)
        report.add(f"slow {mode}", "p99 of the good ones, beside them / alone", f"{load['latency_us']['p99'] / 1e3:.1f} ms / {alone['latency_us']['p99'] / 1e3:.1f} ms",
                   "50 ms", load["latency_us"]["p99"] < 50_000)
        report.add(f"slow {mode}", "resident memory; cut off by the node", f"{seen['rss_mb']:.0f} MB; {seen['closed_by_the_server']}", "500 MB", seen["rss_mb"] < 500)


def openapi(report, nodes, shop, folder, scale):
    seconds = max(20, int(60 * scale))
    environment = {**os.environ, "SLIPWAY_SCHEMATHESIS_SECONDS": str(seconds), "SLIPWAY_SCHEMATHESIS_EXAMPLES": str(max(30, int(200 * scale)))}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "e2e" / "test_apinode_openapi.py")], capture_output=True, text=True,
                          env=environment, cwd=ROOT)
    report.add("schemathesis", f"failures over /openapi.json, twice about {seconds} s", "0" if done.returncode == 0 else done.stdout[-3000:], "0", done.returncode == 0)


PARTS = {"swaps": swaps, "kills": kills, "overload": overload, "slow": slow, "openapi": openapi}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=FULL_MINUTES, help="about so long; 15: everything in full")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of {', '.join(PARTS)}; all when absent")
    arguments = parser.parse_args()
    scale = min(1.0, arguments.minutes / FULL_MINUTES)
    report, started = Report(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-soak-") as folder:
        folder = pathlib.Path(folder)
        (folder / "shop").mkdir()
        shop, nodes = Shop(folder / "shop"), Nodes(folder)
        for name in arguments.parts or PARTS:
            at = time.monotonic()
            print(f"== {name}", flush=True)
            try:
                PARTS[name](report, nodes, shop, folder, scale)
            except AssertionError as error:
                report.add(name, "ended early", str(error)[:2000].replace("\n", " "), "-", False)
            finally:
                nodes.end()
            print(f"   {time.monotonic() - at:.0f} s", flush=True)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "soak.json").write_text(json.dumps({"minutes": arguments.minutes, "rows": report.rows, "seen": report.seen}, indent=1, default=str))
    print("\n" + report.table())
    bad = sum(row[-1] == "NO" for row in report.rows)
    print(f"\nsoak: {len(report.rows) - bad} passed, {bad} failed; {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(1 if report.failed else 0)


main()
