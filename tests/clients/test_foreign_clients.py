"""tritonclient and MLflow's scoring client, unmodified, against the real node: `./run test clients`. Each runs in an environment of its
own below .cache/ (they want versions of their own); what they got comes back as JSON and is compared with batch scoring."""
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from apinode import nodes, shop  # noqa: E402,F401  (fixtures)

HERE = pathlib.Path(__file__).resolve().parent


def run(client, folder, *arguments, **job):
    python = ROOT / ".cache" / f"clients-{client}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: ./run test clients makes it")
    file = folder / "job.json"
    file.write_text(json.dumps(job))
    done = subprocess.run([str(python), str(HERE / f"{client}_client.py"), *map(str, arguments), str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-1000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def numbers(batch, column="prediction"):
    return [float(row[column]) for row in batch]


def test_triton(nodes, shop, tmp_path):  # noqa: F811
    node = nodes(package=shop.v1)
    node.serve(shop.v2)
    assert node.admin("POST", "services/shop/generations/v1/preload").status == 200
    got = run("triton", tmp_path, f"{node.host}:{node.port}", model="shop.fare", version="v1", records=shop.records, outputs=["prediction"])
    assert got["live"] and got["ready"] and got["model ready"] and got["version ready"] and not got["unknown ready"]
    assert got["server"]["name"]
    assert got["model"]["name"] == "shop.fare" and {i["name"] for i in got["model"]["inputs"]} == {"x", "z", "c", "at"}
    expected = numbers(shop.batch("fare@2"))
    for how, outputs in got["infer"].items():
        assert outputs["prediction"] == expected, how
    assert got["forced"] == numbers(shop.batch("fare@1"))
    assert got["gzip"] == expected
    assert got["async"] == [expected] * 8
    for name, error in got["errors"].items():
        assert error and error[0] in ("400", "404") and error[1], (name, error)
    assert "no.such" in got["errors"]["no model"][1] and "v77" in got["errors"]["an unknown version"][1]


def test_triton_reads_classes(nodes, shop, tmp_path):  # noqa: F811
    node = nodes(package=shop.v1)
    for model in ("big", "kind"):
        probas = [c for c in shop.batch(model)[0] if c.startswith("proba_")]
        got = run("triton", tmp_path, f"{node.host}:{node.port}", model=f"shop.{model}", version="v1", records=shop.records, outputs=["prediction", *probas])
        for outputs in got["infer"].values():
            assert outputs["prediction"] == [row["prediction"] for row in shop.batch(model)]
            for column in probas:
                assert outputs[column] == numbers(shop.batch(model), column)


def test_mlflow(nodes, shop, tmp_path):  # noqa: F811
    node = nodes(package=shop.solo)
    got = run("mlflow", tmp_path, node.host, node.port, records=shop.records)
    expected = numbers(shop.batch("fare@1"))
    assert got["version"]
    for how in ("frame", "params", "array", "typed"):
        assert got[how] == expected, how
    assert got["error"] and "400" in got["error"] and "x" in got["error"]
