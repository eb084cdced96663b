"""The engines' benches run from end to end, on tiny models and without the peers that would have to be installed. Nothing here
is a measurement: only that each bench ends well, says the answers are LightGBM's, and writes what it measured."""
import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

LIBRARY = ROOT / "build" / "bench" / "libslipway_bench.so"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Runs a bench's file; the models, trained once, and the results stay in a temporary folder."""
    folder = tmp_path_factory.mktemp("bench")
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is not built (sanitizer builds have none)")

    def run(script, *arguments, code=0):
        results = folder / f"{script}.json"
        environment = {**os.environ, "SLIPWAY_BENCH_CACHE": str(folder / "models")}
        process = subprocess.run([sys.executable, str(ROOT / "bench" / script), *arguments, "--results", str(results)], capture_output=True,
                                 text=True, timeout=300, env=environment)
        assert process.returncode == code, process.stdout + process.stderr
        return process.stdout, json.loads(results.read_text())["results"]

    return run


@pytest.mark.parametrize("data", ["uniform", "categorical", "missing"])
def test_score_compares_with_lightgbm_bit_for_bit(bench, data):
    out, cells = bench("score.py", "--quick", "--data", data, "--shapes", "6x7", "--peers", "reference,lightgbm", "--rows", "600", "--threads", "1")
    (cell,) = [cell for cell in cells if cell["data"] == data]
    assert {"slipway", "reference", "lightgbm"} <= set(cell["contestants"])
    for name in ("slipway", "reference"):
        assert cell["contestants"][name]["max_difference"] == 0
        assert cell["contestants"][name]["ns"] > 0
    assert f"| {data} 6x7 |" in out


def test_score_takes_seven_classes_and_names_who_cannot_take_part(bench):
    _, cells = bench("score.py", "--quick", "--data", "skewed", "--shapes", "14x7x7", "--peers", "lightgbm,lleaves", "--missing", "lleaves",
                     "--rows", "600", "--threads", "2")
    (cell,) = [cell for cell in cells if cell["shape"] == "14x7x7"]
    assert cell["trees"] == 14
    assert cell["contestants"]["slipway"]["max_difference"] == 0
    assert cell["contestants"]["lleaves"]["failed"] == "could not be installed"


def test_a_part_of_a_bench_keeps_the_other_parts_results(bench):
    bench("score.py", "--quick", "--data", "uniform", "--shapes", "6x7", "--peers", "lightgbm", "--rows", "600", "--threads", "1")
    _, cells = bench("score.py", "--quick", "--data", "missing", "--shapes", "6x7", "--peers", "lightgbm", "--rows", "600", "--threads", "1")
    assert {("uniform", "6x7", 1), ("missing", "6x7", 1)} <= {(c["data"], c["shape"], c["threads"]) for c in cells}


def test_single_times_rows_and_small_batches(bench):
    _, cells = bench("single.py", "--quick", "--data", "uniform", "--shapes", "6x7", "--parts", "latency,batches", "--rows", "600")
    latency, batches = cells
    for name in ("slipway", "reference", "lightgbm"):
        assert 0 < latency["contestants"][name]["1"]["p50_us"] <= latency["contestants"][name]["2"]["p999_us"] * 1000
        assert batches["contestants"][name]["64"] > 0


def test_compile_gives_all_memory_back(bench):
    _, cells = bench("compile.py", "--quick", "--data", "uniform", "--shapes", "6x7")
    ours = cells[0]["contestants"]["slipway"]
    assert 0 < ours["open_s"] <= ours["answer_s"]
    assert ours["ready_bytes"] > 0
    assert ours["left_bytes"] < ours["ready_bytes"] / 2


def test_shap_is_lightgbms(bench):
    _, cells = bench("contributions.py", "--quick", "--data", "uniform", "--shapes", "6x7", "--peers", "lightgbm", "--rows", "300", "--threads", "1")
    assert cells[0]["contestants"]["slipway"]["max_difference"] <= 1e-9
