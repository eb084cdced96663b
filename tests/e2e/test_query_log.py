"""The query log: what is in it, that other tools read it, that features named for it are masked, that it is bounded."""
import json
import re
import subprocess
import time

import pytest

from apinode import API, nodes, shop  # noqa: F401  (fixtures)
from conftest import ROOT


def lines_of(node, at_least=1, service="shop"):
    """The lines of every file by time, once there are enough of them (they come within flush_seconds; threads write by turns)."""
    deadline = time.monotonic() + 20
    while True:
        files = sorted((node.home / "query-log").glob("queries-*.jsonl.zst"))
        out = [json.loads(line) for file in files
               for line in subprocess.run(["zstd", "-dc", str(file)], capture_output=True, check=True).stdout.splitlines()]
        if len(out) >= at_least or time.monotonic() > deadline:
            return sorted(out, key=lambda line: line["time"])
        time.sleep(0.02)


QUICK = "[query_log]\nflush_seconds = 0.02\n"


def test_a_line_per_record_with_features_answer_and_origin(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    one = node.predict(shop.records[0], headers={"X-Request-Id": "mine-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    many = node.predict_multi(shop.records[1:4])
    lines = lines_of(node, 4)
    assert len(lines) == 4
    first = lines[0]
    assert first["request_id"] == "mine-1" and first["trace_id"] == trace
    assert (first["service"], first["endpoint"], first["generation"], first["verb"]) == ("shop", "fare", "v1", "predict")
    assert first["status"] == 200 and first["latency_us"] >= 0 and first["key"] is None
    assert (first["record"], first["batch"]) == (0, 1)
    assert first["features"] == shop.records[0]
    assert first["result"] == one.json["result"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
    assert [line["record"] for line in lines[1:]] == [0, 1, 2] and {line["batch"] for line in lines[1:]} == {3}
    assert len({line["request_id"] for line in lines[1:]}) == 1, "one request"
    assert [line["features"] for line in lines[1:]] == shop.records[1:4]
    assert [line["result"] for line in lines[1:]] == many.json["results"]


def test_what_clients_send_that_is_no_json_becomes_json(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    body = b'{ "features" : { "x": NaN,\n "z" : 0.5, "c":"a\\u0062" } }'
    assert node.request("POST", f"{API}/shop/fare/predict", body).status == 200
    assert node.get(f"{API}/shop/fare/predict-simple?x=1.5&c=a%20b+c").status == 200
    multi, simple = lines_of(node, 2)
    assert multi["features"] == {"x": None, "z": 0.5, "c": "ab"}
    assert simple["verb"] == "predict-simple" and simple["features"] == {"x": "1.5", "c": "a b c"}


def test_a_records_context_goes_with_it(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    record = shop.records[0]
    assert node.request("POST", f"{API}/shop/fare/predict", json.dumps({"context": {"order": 7}, "features": record}).encode()).status == 200
    items = {"items": [{"features": record, "context": "a"}, {"features": record}]}
    assert node.request("POST", f"{API}/shop/fare/predict-multi", json.dumps(items).encode()).status == 200
    assert [line.get("context") for line in lines_of(node, 3)] == [{"order": 7}, "a", None]


def test_a_request_that_fails_is_a_line_without_records(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    assert node.request("POST", f"{API}/shop/fare/predict", b'{"features": {"x": "no number"}}').status == 400
    assert node.request("POST", f"{API}/shop/fare/predict", b'{"features": ').status == 400
    lines = lines_of(node, 2)
    assert [line["status"] for line in lines] == [400, 400]
    assert not any({"features", "result", "record"} & set(line) for line in lines)
    assert {line["error"]["errorType"] for line in lines} == {"InvalidArgumentException"}
    assert "'x'" in lines[0]["error"]["message"] and "no number" in lines[0]["error"]["message"]


def test_masks_what_the_node_and_the_service_name(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK + 'redact = ["zone"]\n')
    assert node.admin("PUT", "services/shop/settings", {"redact": ["c"]}).status == 200
    record = {"x": 1, "c": "secret-c", "zone": 777777}
    assert node.predict(record).status == 200
    assert node.get(f"{API}/shop/fare/predict-simple?x=1&%63=secret-c").status == 200
    lines = lines_of(node, 2)
    assert lines[0]["features"] == {"x": 1, "c": "***", "zone": "***"}
    assert lines[1]["features"] == {"x": "1", "c": "***"}
    assert "secret-c" not in json.dumps(lines) and "777777" not in json.dumps(lines)


def test_names_the_key_by_its_label_never_by_its_secret(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    created = node.admin("POST", "keys", {"label": "web shop"})
    assert created.status == 200, created
    secret = created.json.get("key") or created.json.get("secret")
    assert secret
    assert node.predict(shop.records[0], headers={"Authorization": f"Bearer {secret}"}).status == 200
    (line,) = lines_of(node, 1)
    assert line["key"] == "web shop"
    assert secret not in json.dumps(line)


def test_a_service_logs_a_sample(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK + "sample = 0\n")
    node.predict(shop.records[0])
    assert node.admin("PUT", "services/shop/settings", {"log_sample": 1}).status == 200
    node.predict(shop.records[1])
    assert [line["features"] for line in lines_of(node)] == [shop.records[1]]


def test_a_file_is_a_dataset(nodes, shop, slipway):
    node = nodes(package=shop.v1, config=QUICK)
    node.predict_multi(shop.records[:50])
    assert len(lines_of(node, 50)) == 50
    (file,) = (node.home / "query-log").glob("*.jsonl.zst")
    slipway.write("p.yaml", "project: p\n")
    slipway("apply", "-f", "p.yaml")
    slipway("dataset", "add", "p/queries", file)
    head = slipway.json("dataset", "head", "p/queries")
    assert "prediction" in json.dumps(head) and "latency_us" in json.dumps(head)


def test_duckdb_reads_it(nodes, shop):
    duckdb = pytest.importorskip("duckdb")
    node = nodes(package=shop.v1, config=QUICK)
    node.predict_multi(shop.records[:50])
    lines = lines_of(node, 50)
    rows = duckdb.sql(f"select features.x, result.prediction from read_json_auto('{node.home}/query-log/*.jsonl.zst')").fetchall()
    assert rows == [(line["features"]["x"], line["result"]["prediction"]) for line in lines]


def test_the_query_that_the_page_shows_for_duckdb(nodes, shop):
    """Also with features whose names differ by case only, with labels, and with requests that failed."""
    duckdb = pytest.importorskip("duckdb")
    node = nodes(package=shop.v1, config=QUICK)
    node.predict({"pickup_latitude": 1, "x": 1, "X": 2})
    node.predict({"pickup_latitude": 3, "x": 1})
    assert node.request("POST", f"{API}/shop/kind/predict", {"features": {}}).status == 200
    assert node.request("POST", f"{API}/shop/fare/predict", b"{}").status == 400
    assert len(lines_of(node, 4)) == 4
    sql = re.search(r"```sql\n(.*?)```", (ROOT / "docs" / "query-log.md").read_text(), re.S).group(1)
    rows = duckdb.sql(sql.replace("query-log/", f"{node.home}/query-log/")).fetchall()
    assert sum(count for _, _, count, _ in rows) == 3
    assert sum(mean * count for _, _, count, mean in rows if mean is not None) == 4


def test_kill_9_loses_at_most_the_last_moment_and_every_file_reads(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK)
    node.predict_multi(shop.records[:20])
    assert len(lines_of(node, 20)) == 20
    node.predict(shop.records[0])
    node.restart()
    node.predict(shop.records[1])
    lines = lines_of(node, 21)
    assert lines[-1]["features"] == shop.records[1]
    assert len(list((node.home / "query-log").glob("*"))) == 2, "a new start begins a new file"


def test_sigterm_writes_everything(nodes, shop):
    node = nodes(package=shop.v1, config="[query_log]\nflush_seconds = 3600\n[drain]\nseconds = 0\n")
    for record in shop.records[:30]:
        node.predict(record)
    assert node.terminate() == 0
    assert [line["features"] for line in lines_of(node, 30)] == shop.records[:30]


def test_bounded_on_disk_and_counted(nodes, shop):
    node = nodes(package=shop.v1, config=QUICK + 'file_bytes = "64 KiB"\ntotal_bytes = "64 KiB"\n')
    for _ in range(40):
        node.predict_multi(shop.records)
    written = 40 * len(shop.records)
    deadline = time.monotonic() + 20
    while node.metric("slipway_query_log_records_total") + node.metric("slipway_query_log_dropped_records_total") < written:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    sizes = [file.stat().st_size for file in (node.home / "query-log").iterdir()]
    assert sum(sizes) <= 64 << 10
    assert node.metric("slipway_query_log_disk_bytes") == sum(sizes)
    assert node.metric("slipway_query_log_dropped_records_total") == 0


def test_switched_off_it_leaves_nothing(nodes, shop):
    node = nodes(package=shop.v1, config="[query_log]\nenabled = false\n")
    assert node.predict(shop.records[0]).status == 200
    assert not (node.home / "query-log").exists()
