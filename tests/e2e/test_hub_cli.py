"""The same commands through a hub: at a URL with a key, and on a home that a hub serves."""
import json
import os
import signal

import pytest

import little
from conftest import Slipway
from hub import Hub, hub, hubs  # noqa: F401  (fixtures)

YAML = """project: shop
datasets:
  orders: {type: files, path: orders.csv}
  scored: {type: managed}
models: {price: {}}
recipes:
  train_price:
    type: train
    input: orders
    output: price
    target: y
    prediction: regression
    algorithm: {lightgbm: {num_iterations: 5, num_leaves: 4, min_data_in_leaf: 5}}
  score_orders: {type: score, inputs: {model: price, data: orders}, output: scored}
services:
  prices: {endpoints: {price: {prediction: price, test_queries: "from_dataset(orders, 2)"}}}
"""


@pytest.fixture(params=["server", "home"])
def far(request, slipway, hubs, tmp_path):
    """Commands that reach a hub: from a folder and a user without that home, or on the home itself."""
    hub = hubs(slipway, "--allow-path", slipway.folder)
    if request.param == "home":
        return slipway
    slipway.write("key", hub.key())

    class Far(Slipway):
        def __call__(self, *args, **kwargs):
            return super().__call__("--server", hub.url, "--key-file", str(slipway.folder / "key"), *args, **kwargs)

        def environment(self):
            return {**super().environment(), "SLIPWAY_HOME": str(tmp_path / "nowhere")}

    return Far(slipway.folder)


@pytest.mark.parametrize("words", [["init"], ["restore", "x.tar"], ["demo"], ["hub"]], ids=lambda w: w[0])
def test_what_works_on_a_home_refuses_a_server(slipway, words):
    refused = slipway("--server", "http://127.0.0.1:1", *words, code=2)
    assert "works on a home of this machine" in refused.err


def test_too_long_is_said_so(slipway):
    slipway("init")
    assert "at most 128" in slipway("user", "add", "x" * 129, code=1).err
    told = slipway("key", "create", "--label", "x", "--expires", "99999999999d", code=2).err
    assert "too long a span" in told and "expires_in_seconds" not in told


def test_the_whole_thread_through_a_hub(far):
    far.write("orders.csv", little.training_csv(rows=200))
    far.write("p.yaml", YAML)
    assert far.json("apply", "-f", "p.yaml", "--plan")["changes"]
    far("apply", "-f", "p.yaml")
    assert far("diff", "-f", "p.yaml").out == "no difference\n"
    built = far.json("build", "shop/price")
    assert built["status"] == "done" and built["activities"][0]["recipe"] == "train_price"
    human = far("build", "shop/scored")
    assert "done" in human.out and "✓ score_orders" in human.err
    assert far.json("job", "ls")[0]["job"] == built["job"][:-1] + "2"
    assert "job-000001 done" in far("job", "log", "1").out
    (version,) = far.json("model", "versions", "shop/price")
    assert version["active"]
    out = far.json("score", "--model", "shop/price", "--input", "orders.csv", "--output", "scored.csv")
    assert out["rows"] == 200 and out["version"] == 1
    far("model", "export", "shop/price", "-o", "price.bundle")
    imported = far.json("model", "import", "shop/price", "price.bundle", "--note", "again", "--no-activate")
    assert imported["version"] == 2 and imported["note"] == "again" and not imported["active"]
    far("model", "activate", "shop/price@2", "--reason", "a try")
    far("model", "rollback", "shop/price")
    made = far.json("service", "package", "shop/prices", "-o", "prices.zip")
    assert made["package"] == "v1"
    tested = far.json("service", "test", "shop/prices")
    assert len(tested) == 2 and all(t["ok"] for t in tested)
    assert len(far.json("dataset", "head", "shop/scored", "-n", "3")) == 3
    assert "shop/price" in far("flow", "show", "shop").out or "price" in far("flow", "show", "shop").out
    far("export", "shop", "-o", "exported")
    error = far("model", "show", "shop/prce", "--json", code=3).error
    assert error["code"] == "not_found" and "price" in error["hint"]


def test_a_build_through_a_hub_is_aborted_by_ctrl_c(far):
    far.write("orders.csv", little.training_csv(rows=50))
    far.write("p.yaml", 'project: p\ndatasets: {t: {type: files, path: orders.csv}, slow: {type: managed}}\n'
              'recipes: {s: {type: sql, input: t, output: slow, query: "SELECT count(*) AS n FROM t, range(3000000000) r WHERE r.range % 7 = t.id % 7"}}\n')
    far("apply", "-f", "p.yaml")
    words = ["build", "p/slow"]
    if type(far).__name__ == "Far":  # start() takes words as they are
        hub_json = json.loads((far.home / "hub.json").read_text())
        words = ["--server", hub_json["url"], "--key-file", str(far.folder / "key"), *words]
    process = far.start(*words)
    log = far.home / "jobs/job-000001/log.txt"
    for _ in range(200_000_000):
        assert process.poll() is None, process.communicate()
        if log.exists() and "started" in log.read_text():
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert far.json("job", "show", "1")["status"] == "aborted"


def test_errors_of_the_way_to_a_hub(slipway, hub):
    slipway("--server", hub.url, "project", "ls", code=4)
    answer = slipway("--server", hub.url, "project", "ls", "--json", code=4)
    assert "key" in answer.error["message"]
    slipway.write("wrong", "swk_wrong")
    slipway("--server", hub.url, "--key-file", "wrong", "project", "ls", code=4)
    slipway("--server", hub.url, "--key-file", "missing", "project", "ls", code=3)
    slipway("--server", "nonsense", "project", "ls", code=1)
    slipway("--server", hub.url, "--home", str(slipway.home), "project", "ls", code=2)
    url = hub.url
    hub.stop()
    slipway.write("key", "swk_wrong")
    assert "slipway hub" in slipway("--server", url, "--key-file", "key", "project", "ls", code=7).err


def test_a_key_without_a_server_is_for_the_hub_that_serves_the_home(slipway, hubs):
    slipway.write("empty", "")
    slipway.write("ro.key", slipway.json("key", "create", "--label", "ro", "--role", "read")["key"])
    for key in ("ro.key", "/dev/null"):
        for words in (["user", "add", "mallory"], ["project", "ls"], ["hub", "--listen", "127.0.0.1:0"], ["init"]):
            told = slipway("--key-file", key, *words, code=2)
            assert "--key-file" in told.err and "hub" in told.err, (key, words, told.err)
    assert slipway.json("user", "ls") == []
    hubs(slipway)
    slipway("--key-file", "ro.key", "user", "add", "mallory", code=4)
    assert slipway.json("--key-file", "ro.key", "project", "ls") == []
    assert "holds no API key" in slipway("--key-file", "empty", "project", "ls", code=1).err
    slipway("user", "add", "ada")
