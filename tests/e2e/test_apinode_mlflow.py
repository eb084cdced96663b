"""MLflow's scoring protocol of the API node: its bodies, its errors, the same bits as predict."""
import csv
import io
import json

import pytest

from apinode import nodes, shared_node, shop  # noqa: F401

COLUMNS = ["x", "z", "c", "at"]
JSON = {"Content-Type": "application/json"}


def invoke(node, body, path="/invocations/shop/fare", content_type="application/json"):
    headers = {"Content-Type": content_type} if content_type else {}
    return node.request("POST", path, body, headers)


def expected(node, records, endpoint="fare"):
    return [r.get("prediction") for r in node.predict_multi(records, endpoint=endpoint).json["results"]]


def rows_of(records, columns=COLUMNS):
    return [[r[c] for c in columns] for r in records]


def as_csv(records, columns):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([["" if v is None else v for v in row] for row in rows_of(records, columns)])
    return out.getvalue()


def test_every_body_gives_the_bits_of_predict(shop, shared_node):
    records = [dict(r, c="quo\"te, é" if i == 2 else r["c"]) for i, r in enumerate(shop.records)]
    want = {"predictions": expected(shared_node, records)}
    known = [{c: r[c] for c in COLUMNS} for r in records]
    shuffled = ["zone", "at", "c", "z", "x"]
    bodies = [
        {"dataframe_split": {"index": list(range(len(records))), "columns": shuffled, "data": rows_of(records, shuffled)}},
        {"dataframe_split": {"data": rows_of(records), "columns": COLUMNS}, "params": {"temperature": 0.1}},
        {"dataframe_split": {"data": rows_of(records)}},
        {"dataframe_records": records},
        {"dataframe_records": known},
        {"instances": known},
        {"instances": rows_of(records)},
        {"inputs": {c: [r[c] for r in records] for c in shuffled}},
        {"inputs": {c: [[r[c]] for r in records] for c in COLUMNS}},
        {"inputs": rows_of(records)},
    ]
    for body in bodies:
        answer = invoke(shared_node, body)
        assert answer.status == 200, (list(body), answer)
        assert answer.json == want, list(body)
    for kind in ("text/csv", "text/csv; charset=UTF-8"):
        assert invoke(shared_node, as_csv(records, shuffled).encode(), content_type=kind).json == want


def test_labels_of_classes(shop, shared_node):
    want = expected(shared_node, shop.records, "kind")
    assert set(want) == {"low", "mid", "high"}
    body = {"dataframe_records": shop.records}
    assert invoke(shared_node, body, "/invocations/shop/kind").json == {"predictions": want}
    assert invoke(shared_node, body, "/invocations?service=shop&endpoint=kind").json == {"predictions": want}


def test_nan_is_missing(shared_node):
    with_nan = invoke(shared_node, '{"instances": [{"x": NaN, "z": 0.5, "c": "a", "at": null}]}')
    assert with_nan.json["predictions"] == expected(shared_node, [{"z": 0.5, "c": "a"}])


def test_ignored_rows_are_null(shared_node):
    record = {"z": 0.5, "c": "a", "at": None}
    body = {"dataframe_records": [{**record, "zone": 3}, {**record, "zone": 10 ** 6}]}
    first, second = invoke(shared_node, body, "/invocations/shop/rich").json["predictions"]
    assert isinstance(first, float) and second is None


def test_ping_health_version(shared_node):
    for path in ("/ping", "/health"):
        answer = shared_node.get(path)
        assert answer.status == 200 and answer.body == b"\n" and answer.headers["Content-Type"] == "application/json"
    version = shared_node.get("/version")
    assert version.status == 200 and version.body.decode() == shared_node.get("/v2").json["version"]


@pytest.mark.parametrize("content_type, status", [
    ("application/json", 200), ("application/json; charset=utf-8", 200), ("application/json;charset=UTF-8", 200), (None, 200),
    ("application/json; charset=latin-1", 415), ("application/json; boundary=x", 415), ("application/x-www-form-urlencoded", 415),
    ("text/plain", 415), ("text/csv; header=present", 415),
])
def test_content_types(shared_node, content_type, status):
    answer = invoke(shared_node, json.dumps({"dataframe_records": [{c: None for c in COLUMNS}]}).encode(), content_type=content_type)
    assert answer.status == status, answer
    assert status == 200 or answer.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("body, text", [
    ("{", "Ensure that input is a valid JSON formatted string"),
    ("nonsense", "Ensure that input is a valid JSON formatted string"),
    ("[1]", "Received a list"),
    ("{}", "exactly one of the input fields"),
    ({"dataframe_split": {"columns": [], "data": []}, "instances": []}, "Model is missing inputs"),
    ({"instances": [], "inputs": {}}, "Received dictionary with input fields: 'instances' and 'inputs'"),
    ({"input": [[1]]}, "exactly one of the input fields"),
    ({"signature_name": "s", "instances": []}, "signature_name"),
    ({"dataframe_split": {"columns": ["x", "z"], "data": [[1, 2]]}}, "Model is missing inputs 'c' and 'at'"),
    ({"dataframe_split": {"columns": COLUMNS, "data": [[1, 2, "a"]]}}, "row 0 of dataframe_split has 3 values, but there are 4 columns"),
    ({"dataframe_split": {"columns": COLUMNS + ["x"], "data": []}}, "twice"),
    ({"dataframe_records": [{"x": 1}]}, "Model is missing inputs"),
    ({"dataframe_records": [[1]]}, "no list of objects"),
    ({"instances": [{"x": 1}, 2]}, "mixes"),
    ({"inputs": {"x": [1], "z": [1, 2], "c": [None], "at": [None]}}, "'z' of inputs has 2 values"),
    ({"inputs": {"x": 1}}, "is no list"),
    ({"dataframe_records": [{"x": "no number", "z": 1, "c": None, "at": None}]}, "row 0"),
    ({"dataframe_records": [{"x": [1], "z": 1, "c": None, "at": None}]}, "row 0"),
])
def test_bad_bodies(shared_node, body, text):
    answer = invoke(shared_node, body)
    assert answer.status == 400, answer
    assert answer.json["error_code"] == "BAD_REQUEST" and text in answer.json["message"], answer


def test_bad_csv(shared_node):
    def message(text):
        answer = invoke(shared_node, text, content_type="text/csv")
        assert answer.status == 400
        return answer.json["message"]
    assert "Model is missing inputs" in message("x,z\n1,2\n")
    assert "row 1 of the CSV has 3 fields" in message("x,z,c,at\n1,2,a,\n1,2,a\n")
    assert "never closed" in message('x,z,c,at\n1,2,a,\n1,2,"a,\n1,2,a,\n')
    assert "UTF-8" in message(b"x,z,c,at\n1,2,\xff,\n")
    assert invoke(shared_node, "x,z,c,at\r\n\r\n1,2,\"a\r\nb\",\r\n", content_type="text/csv").status == 200
    assert invoke(shared_node, "x,z,c,at\n", content_type="text/csv").json == {"predictions": []}


def test_which_service(shop, shared_node):
    body = {"dataframe_records": [{c: None for c in COLUMNS}]}
    answer = invoke(shared_node, body, "/invocations")
    assert answer.status == 404 and "endpoints that predict" in answer.json["message"]
    answer = invoke(shared_node, body, "/invocations/none")
    assert answer.status == 404 and answer.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert invoke(shared_node, body, "/invocations/shop/fare/").status == 200
    for more in ("/invocations/shop/fare/x", "/invocations/shop/fare/x/y"):
        assert invoke(shared_node, body, more).status == 404
    assert shared_node.get("/invocations").status == 405


def test_not_ready_and_keys(shop, nodes):
    node = nodes(package=shop.v1)
    body = {"dataframe_records": [{c: None for c in COLUMNS}]}
    node.admin("PUT", "services/shop/settings", {"auth": "api_keys"})
    answer = invoke(node, body)
    assert answer.status == 401 and answer.json["error_code"] == "UNAUTHENTICATED"
    node.admin("POST", "services/shop/actions/disable")
    key = node.admin("POST", "keys", {"label": "robot"}).json["key"]
    answer = node.request("POST", "/invocations/shop/fare", body, {**JSON, "Authorization": f"Bearer {key}"})
    assert answer.status == 503 and answer.json["error_code"] == "TEMPORARILY_UNAVAILABLE"
