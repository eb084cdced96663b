"""`./run bench hub` in its short form: a few models and simulated nodes, without the peer. Nothing is measured here: only that every part
runs, that what the hub tells of its deployments is whole, and that the figures are written."""
import json
import subprocess
import sys

import pytest

from conftest import BINARY, ROOT


def test_the_bench_of_the_hub_runs(tmp_path):
    if not BINARY.with_name("hub_seed").exists():
        pytest.skip("hub_seed is not built")
    results = tmp_path / "hub.json"
    process = subprocess.run([sys.executable, str(ROOT / "bench/hub.py"), "--quick", "--results", str(results)], capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr
    result = json.loads(results.read_text())["results"]
    assert (result["models"], result["versions"], result["deployments"], result["nodes"]) == (12, 36, 4, 4)
    assert result["nodes_are"] == "simulated"
    ours = result["requests"]["slipway hub"]
    assert set(ours) == {"models", "versions", "model", "version", "open"} and all(0 < row["min"] <= row["median"] for row in ours.values())
    assert result["status"]["one_request"]["min"] > 0 and set(result["at_rest"]) == {"quiet_nodes", "busy_nodes"}
    assert result["memory_mib"]["slipway hub"]["max"] > 1 and result["start_ms"]["slipway hub"]["min"] > 0
    assert "4 deployments on 4 simulated nodes" in process.stdout
