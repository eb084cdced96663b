"""Shadow: another generation scores the same requests beside, and only its differences are seen."""
import time

from apinode import nodes, shop  # noqa: F401


def shadows(node):
    return {(row["endpoint"], row["generation"], row["shadow"]): row for row in node.admin("GET", "metrics").json["shadows"]}


def scored(node, key, at_least):
    """The row, once so many records were compared or requests dropped."""
    deadline = time.monotonic() + 20
    while True:
        row = shadows(node).get(key)
        if row and row["equal"] + row["different"] + row["dropped"] + row["failed"] >= at_least or time.monotonic() > deadline:
            return row
        time.sleep(0.01)


def test_differences_are_counted_and_answers_are_not_touched(nodes, shop):
    node = nodes(package=shop.v1)
    assert node.upload(shop.v2).status < 300
    before = [node.predict(record).json["result"] for record in shop.records[:20]]
    assert node.admin("PUT", "services/shop/settings", {"shadow": "v2"}).status == 200
    assert shadows(node) == {}

    for i, record in enumerate(shop.records[:20]):
        answer = node.predict(record)
        assert answer.json["result"] == before[i] and answer.json["apiContext"]["serviceGeneration"] == "v1"
        row = scored(node, ("fare", "v1", "v2"), i + 1)
    assert row["equal"] + row["different"] + row["dropped"] == 20 and row["failed"] == 0
    assert row["different"] > 0 and row["largestDifference"] > 0
    other = [node.predict(record, dispatch={"forcedGeneration": "v2"}).json["result"]["prediction"] for record in shop.records[:20]]
    largest = max(abs(a["prediction"] - b) for a, b in zip(before, other))
    assert row["largestDifference"] <= largest
    if row["dropped"] == 0:
        assert row["largestDifference"] == largest

    assert node.predict(shop.records[0], endpoint="big").status == 200  # the same model in both
    row = scored(node, ("big", "v1", "v2"), 1)
    assert (row["equal"], row["different"], row["failed"]) in ((1, 0, 0), (0, 0, 0))
    body = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [3], "data": [1, 2, 3]}]}
    assert node.request("POST", "/v2/models/shop.kind/infer", body).status == 200
    row = scored(node, ("kind", "v1", "v2"), 1)
    assert row["equal"] == 3 or row["dropped"] == 1
    assert node.metric("slipway_shadow_records_total", endpoint="fare", outcome="different") > 0
    assert ("fare", "v2", "v2") not in shadows(node), "it is no shadow of itself"


def test_a_share_of_requests(nodes, shop):
    node = nodes(package=shop.v1)
    node.upload(shop.v2)
    for settings in ({"shadow": "v2", "shadow_sample": 0}, {"shadow": ""}):
        assert node.admin("PUT", "services/shop/settings", settings).status == 200
        assert node.predict(shop.records[0]).status == 200
    assert shadows(node) == {}
    assert node.admin("PUT", "services/shop/settings", {"shadow": "v2", "shadow_sample": 2}).status == 400
    assert node.admin("PUT", "services/shop/settings", {"shadow": "v9"}).status == 404
