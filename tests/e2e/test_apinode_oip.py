"""The Open Inference Protocol v2 of the API node: what tritonclient and KServe's client send and want, and the same bits as predict."""
import gzip
import json
import struct
import zlib

import pytest

from apinode import forge, nodes, shared_node, shop  # noqa: F401
from test_query_log import QUICK, lines_of


@pytest.fixture(scope="module", autouse=True)
def _both_versions(shared_node):  # noqa: F811
    assert shared_node.admin("POST", "services/shop/generations/v1/preload").status == 200


NUMPY = {"FP32": "f", "FP64": "d", "INT32": "i", "INT64": "q", "BOOL": "?"}


def tensor(name, datatype, values, shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(values)], "data": values}


def columns_of(records):
    """One input per column, as KServe's and MLServer's pandas codecs send them."""
    return [tensor("x", "FP64", [r["x"] for r in records]), tensor("z", "FP64", [r["z"] for r in records], [len(records), 1]),
            tensor("c", "BYTES", [r["c"] for r in records]), tensor("at", "BYTES", [r["at"] for r in records])]


def to_bytes(datatype, values):
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(v)) + v for v in ((v or "").encode() for v in values))
    return struct.pack(f"<{len(values)}{NUMPY[datatype]}", *[float("nan") if v is None else v for v in values])


def binary_request(inputs, **more):
    """As tritonclient lays it out: JSON, then the tensors."""
    tensors, listed = b"", []
    for each in inputs:
        data = to_bytes(each["datatype"], each["data"])
        tensors += data
        listed.append({k: v for k, v in each.items() if k != "data"} | {"parameters": {"binary_data_size": len(data)}})
    head = json.dumps({"inputs": listed, **more}).encode()
    return head + tensors, {"Inference-Header-Content-Length": str(len(head))}


def parse(answer):
    """Outputs by name, from JSON or bytes, as tritonclient's InferResult reads them."""
    length = answer.headers.get("Inference-Header-Content-Length")
    head = json.loads(answer.body[:int(length)] if length else answer.body)
    rest, out = answer.body[int(length):] if length else b"", {}
    for each in head["outputs"]:
        size = each.get("parameters", {}).get("binary_data_size")
        if size is None:
            out[each["name"]] = each["data"]
            continue
        data, rest = rest[:size], rest[size:]
        if each["datatype"] == "BYTES":
            values = []
            while data:
                count, = struct.unpack("<I", data[:4])
                values.append(data[4:4 + count].decode())
                data = data[4 + count:]
        else:
            kind = NUMPY[each["datatype"]]
            values = list(struct.unpack(f"<{size // struct.calcsize(kind)}{kind}", data))
        out[each["name"]] = values
    assert rest == b""
    return head, out


def infer(node, model, body, headers=None):
    return node.request("POST", f"/v2/models/{model}/infer", body, headers)


def predictions(node, records, endpoint="fare"):
    return [r.get("prediction") for r in node.predict_multi(records, endpoint=endpoint).json["results"]]


# ---------------------------------------------------------------- health, metadata, listings


def test_health_says_it_both_ways(shared_node):
    for what in ("live", "ready"):
        answer = shared_node.get(f"/v2/health/{what}")
        assert answer.status == 200 and answer.json == {what: True}
    assert shared_node.get("/v2/models/shop.fare/ready").json == {"name": "shop.fare", "ready": True}
    assert shared_node.get("/v2/models/shop.fare/versions/v1/ready").status == 200
    assert shared_node.get("/v2/models/shop.fare/versions/v9/ready").status == 404
    assert shared_node.get("/v2/models/shop.none/ready").status == 404


def test_not_ready_is_503(shop, nodes):
    node = nodes(package=shop.v1)
    assert node.admin("POST", "services/shop/actions/disable").status == 200
    assert node.get("/v2/models/shop.fare/ready").status == 503
    answer = infer(node, "shop.fare", {"inputs": [tensor("x", "FP64", [1.0])]})
    assert answer.status == 503 and "disabled" in answer.json["error"]
    node.admin("POST", "services/shop/actions/enable")
    assert node.get("/v2/models/shop.fare/ready").status == 200


def test_server_and_model_metadata(shared_node):
    server = shared_node.get("/v2").json
    assert server["name"] == "slipway" and server["version"] and "binary_tensor_data" in server["extensions"]
    model = shared_node.get("/v2/models/shop.kind").json
    assert model["name"] == "shop.kind" and sorted(model["versions"]) == ["v1", "v2"]
    assert {i["name"]: (i["datatype"], i["shape"]) for i in model["inputs"]} == {
        "x": ("FP64", [-1]), "z": ("FP64", [-1]), "c": ("BYTES", [-1]), "at": ("BYTES", [-1])}
    assert [o["name"] for o in model["outputs"]] == ["prediction", "proba_high", "proba_low", "proba_mid"]
    assert [o["datatype"] for o in model["outputs"]] == ["BYTES", "FP64", "FP64", "FP64"]
    assert shared_node.get("/v2/models/shop.fare/versions/v1").json["parameters"]["version"] == "v1"


def test_lists_and_index(shared_node):
    names = shared_node.get("/v2/models").json["models"]
    assert {"shop.fare", "shop.big", "shop.kind", "shop.rich"} <= set(names) and "shop.zones" not in names
    index = shared_node.request("POST", "/v2/repository/index", {}).json
    assert {"name": "shop.fare", "version": "v2", "state": "READY", "reason": ""} in index
    answer = shared_node.request("POST", "/v2/repository/models/shop/load", {})
    assert answer.status == 501 and "error" in answer.json


def test_a_name_with_a_dot_means_what_is_served(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    body = {"inputs": columns_of(shop.records[:2])}
    before = infer(node, "shop.fare", body).json
    assert node.admin("POST", "services", {"serviceId": "shop.fare"}).status == 200
    assert infer(node, "shop.fare", body).json == before, "an empty service takes nothing over"
    assert node.get("/v2/models/shop.fare").json["versions"] == ["v1"]
    node.serve(forge(shop.solo, tmp_path / "alone.zip", generation="alone"), service="shop.fare")
    version = infer(node, "shop.fare", body).json["model_version"]
    assert version == "alone", "the service of that name"
    names = node.get("/v2/models").json["models"]
    assert names.count("shop.fare") == 1 and "shop.big" in names
    index = [each["version"] for each in node.request("POST", "/v2/repository/index", {}).json if each["name"] == "shop.fare"]
    assert index == [version] == [s["version"] for s in node.get("/v2/models/stats").json["model_stats"] if s["name"] == "shop.fare"]


def test_messages_quote_a_piece_of_what_was_sent(shared_node):
    long = "x" * 100_000
    for inputs in ([{"name": long, "shape": [1], "datatype": "FP64", "data": [1]}], [{"name": long, "shape": [2], "datatype": "FP64", "data": [1]}],
                   [{"name": long, "shape": [1, 9], "datatype": "FP64", "data": [1] * 9}], [{"name": long, "datatype": "FP64", "data": [1]}]):
        answer = infer(shared_node, "shop.fare", {"inputs": inputs})
        assert answer.status == 400 and len(answer.body) < 1500, answer
    for body in ({"inputs": {long: 1}}, {"dataframe_split": {"columns": [long, long], "data": [[1, 2]]}}, {"inputs": {"x": [1], long: [1, 2]}}, {long: 1}):
        answer = shared_node.request("POST", "/invocations/shop/fare", body, {"Content-Type": "application/json"})
        assert answer.status == 400 and len(answer.body) < 1500, answer


def test_statistics_count(shared_node):
    def count():
        stats = shared_node.get("/v2/models/shop.big/stats").json["model_stats"][0]
        assert stats["name"] == "shop.big" and stats["version"] == "v2"
        return stats["inference_count"], stats["inference_stats"]["success"]["count"]
    before = count()
    assert infer(shared_node, "shop.big", {"inputs": columns_of([{"x": 1.0, "z": 1.0, "c": "a", "at": None}] * 3)}).status == 200
    after = count()
    assert (after[0] - before[0], after[1] - before[1]) == (3, 1)
    assert any(s["name"] == "shop.fare" for s in shared_node.get("/v2/models/stats").json["model_stats"])


# ---------------------------------------------------------------- the same bits


def test_regression_has_the_bits_of_predict(shop, shared_node):
    records = shop.records
    expected = predictions(shared_node, records)
    head, outputs = parse(infer(shared_node, "shop.fare", {"id": "my id", "inputs": columns_of(records)}))
    assert head["model_name"] == "shop.fare" and head["model_version"] == "v2" and head["id"] == "my id"
    assert outputs == {"prediction": expected}


def test_binary_tensors_both_ways_have_the_same_bits(shop, shared_node):
    records = shop.records
    expected = predictions(shared_node, records)
    body, headers = binary_request(columns_of(records), parameters={"binary_data_output": True})
    answer = infer(shared_node, "shop.fare", body, headers)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream"
    head, outputs = parse(answer)
    assert head["outputs"][0]["shape"] == [len(records)] and outputs == {"prediction": expected}


def test_classes_and_probabilities(shop, shared_node):
    records = shop.records
    for endpoint in ("big", "kind"):
        results = shared_node.predict_multi(records, endpoint=endpoint).json["results"]
        for binary in (False, True):
            body, headers = binary_request(columns_of(records), parameters={"binary_data_output": binary})
            _, outputs = parse(infer(shared_node, f"shop.{endpoint}", body, headers))
            assert list(outputs)[0] == "prediction"
            assert outputs["prediction"] == [r["prediction"] for r in results]
            for name in results[0]["probas"]:
                assert outputs[f"proba_{name}"] == [r["probas"][name] for r in results]


def test_outputs_filter_and_the_names_of_other_servers(shop, shared_node):
    inputs = columns_of(shop.records[:4])
    want = [{"name": "proba_low", "parameters": {"binary_data": True}}, {"name": "prediction"}, {"name": "predict"}, {"name": "predict_proba"}]
    head, outputs = parse(infer(shared_node, "shop.kind", {"inputs": inputs, "outputs": want}))
    assert list(outputs) == ["proba_low", "prediction", "predict", "predict_proba"]
    assert outputs["predict"] == outputs["prediction"]
    assert head["outputs"][3]["shape"] == [4, 3] and outputs["predict_proba"][1::3] == outputs["proba_low"]
    answer = infer(shared_node, "shop.kind", {"inputs": inputs, "outputs": [{"name": "predction"}]})
    assert answer.status == 400 and "did you mean 'prediction'" in answer.json["error"]


def test_a_version_is_a_generation(shop, shared_node):
    body = {"inputs": columns_of(shop.records[:5])}
    first = shared_node.request("POST", "/v2/models/shop.fare/versions/v1/infer", body)
    second = shared_node.request("POST", "/v2/models/shop.fare/versions/v2/infer", body)
    assert first.json["model_version"] == "v1" and second.json["model_version"] == "v2"
    assert first.json["outputs"] != second.json["outputs"]
    answer = shared_node.request("POST", "/v2/models/shop.fare/versions/v7/infer", body)
    assert answer.status == 404 and "v7" in answer.json["error"]


def test_enriched_endpoint(shop, shared_node):
    inputs = {i["name"]: i for i in shared_node.get("/v2/models/shop.rich").json["inputs"]}
    assert inputs["x"].get("optional") is True and "zone" in inputs
    zones = [3, 7, 10 ** 6]
    records = [{"z": 0.5, "c": "a", "at": "2015-05-07 19:52:06 UTC", "zone": zone} for zone in zones]
    expected = shared_node.predict_multi(records, endpoint="rich").json["results"]
    assert expected[2]["ignored"] is True
    body = {"inputs": [tensor("z", "FP64", [0.5] * 3), tensor("c", "BYTES", ["a"] * 3), tensor("at", "BYTES", [records[0]["at"]] * 3),
                       tensor("zone", "INT64", zones)]}
    _, outputs = parse(infer(shared_node, "shop.rich", body))
    assert outputs["prediction"] == [r.get("prediction") for r in expected] and outputs["prediction"][2] is None
    del body["inputs"][3]  # missing_key: error
    answer = infer(shared_node, "shop.rich", body)
    assert answer.status == 400 and "row 0" in answer.json["error"]


def test_a_large_request_goes_in_parts_over_a_worker(shop, shared_node):
    records = (shop.records * 20)[:5000]
    expected = predictions(shared_node, shop.records) * 20
    body, headers = binary_request(columns_of(records))
    _, outputs = parse(infer(shared_node, "shop.fare", body, headers))
    assert outputs["prediction"] == expected[:5000]
    answer = infer(shared_node, "shop.fare", {"inputs": [tensor("x", "FP64", [1] * 10001)]})
    assert answer.status == 413 and "max_records" in answer.json["error"]


def test_compressed_bodies(shop, shared_node):
    plain = json.dumps({"inputs": columns_of(shop.records[:3])}).encode()
    for coding, body in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain)), ("identity", plain)):
        answer = infer(shared_node, "shop.fare", body, {"Content-Encoding": coding, "X-Request-Id": "kept"})
        assert answer.json["outputs"][0]["data"] == predictions(shared_node, shop.records[:3])
        assert answer.headers["X-Request-Id"] == "kept"
    assert infer(shared_node, "shop.fare", plain, {"Content-Encoding": "gzip"}).status == 400
    assert infer(shared_node, "shop.fare", body, {"Content-Encoding": "br"}).status == 415


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize("model, body, status, text", [
    ("shop.none", {"inputs": []}, 404, "no endpoint 'none'"),
    ("nothing", {"inputs": []}, 404, "no model 'nothing'"),
    ("shop", {"inputs": []}, 404, "name one of them"),
    ("shop.zones", {"inputs": []}, 404, "predicts"),
    ("shop.fare", {"inputs": []}, 400, "no inputs"),
    ("shop.fare", "{", 400, "JSON"),
    ("shop.fare", "", 400, "no inputs"),
    ("shop.fare", {"inputs": [tensor("y", "FP64", [1])]}, 400, "no input 'y'"),
    ("shop.fare", {"inputs": [tensor("x", "FP99", [1])]}, 400, "FP99"),
    ("shop.fare", {"inputs": [tensor("x", "FP64", [1, 2], [2 ** 62, 2 ** 62])]}, 400, "too large"),
    ("shop.fare", {"inputs": [tensor("x", "FP64", [1, 2]), tensor("z", "FP64", [1])]}, 400, "rows"),
    ("shop.fare", {"inputs": [tensor("m", "FP64", [1, 2, 3, 4], [1, 4])]}, 400, "column 'c' is string"),
    ("shop.fare", {"inputs": [tensor("x", "BYTES", ["no number"])]}, 400, "row 0"),
])
def test_errors(shared_node, model, body, status, text):
    answer = infer(shared_node, model, body)
    assert answer.status == status, answer
    assert list(answer.json) == ["error"] and text in answer.json["error"]
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("length, status", [("5", 400), ("999999", 400), ("-1", 400), ("x", 400), ("0", 400)])
def test_header_length_out_of_range(shop, shared_node, length, status):
    body = json.dumps({"inputs": columns_of(shop.records[:1])})
    answer = infer(shared_node, "shop.fare", body, {"Inference-Header-Content-Length": length})
    assert answer.status == status and "error" in answer.json


def test_deep_json_and_wrong_methods(shared_node):
    assert infer(shared_node, "shop.fare", '{"inputs":' + "[" * 100000 + "}").status == 400
    assert shared_node.get("/v2/models/shop.fare/infer").status == 405
    assert shared_node.request("POST", "/v2/models/shop.fare", {}).status == 405
    assert shared_node.request("POST", "/v2/models/shop.fare/generate", {}).status == 404
    assert shared_node.get("/v2/nothing").json["error"]


# ---------------------------------------------------------------- who may ask, what is written down


def test_keys_and_the_query_log(shop, nodes):
    node = nodes(package=shop.v1, config=QUICK)
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    records = shop.records[:2]
    body = {"inputs": columns_of(records)}
    for answer in (infer(node, "shop.fare", body), node.get("/v2/models/shop.fare"), node.get("/v2/models/shop.fare/stats")):
        assert answer.status == 401 and "key" in answer.json["error"] and answer.headers["WWW-Authenticate"]
    assert node.get("/v2/models").json == {"models": []}
    assert node.get("/v2/health/ready").status == 200 and node.get("/v2/models/shop.fare/ready").status == 200
    key = node.admin("POST", "keys", {"label": "robot"}).json["key"]
    headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "oip-1"}
    answer = infer(node, "shop.fare", body, headers)
    assert answer.status == 200 and answer.headers["X-Request-Id"] == "oip-1"
    assert "shop.fare" in node.get("/v2/models", headers=headers).json["models"]
    assert node.metric("slipway_requests_total", service="shop", endpoint="fare", outcome="ok") == 1
    lines = lines_of(node, 2)
    assert [line["features"] for line in lines] == [{k: r[k] for k in ("x", "z", "c", "at")} for r in records]
    assert {(line["request_id"], line["key"], line["verb"], line["generation"]) for line in lines} == {("oip-1", "robot", "infer", "v1")}
    assert [line["result"]["prediction"] for line in lines] == answer.json["outputs"][0]["data"]
    assert infer(node, "shop.fare", "{", {"Authorization": f"Bearer {key}"}).status == 400
    refused = lines_of(node, 3)[2]
    assert refused["status"] == 400 and refused["verb"] == "infer" and "features" not in refused
