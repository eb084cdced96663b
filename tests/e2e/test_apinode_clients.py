"""The unmodified Dataiku client (dataiku-api-client) drives the real node: scoring, lookups, administration, keys. What it gets is what
batch scoring gives for the same rows, to the last bit."""
import json
import shutil

import dataikuapi
import pytest
import requests
from dataikuapi.utils import DataikuException

from apinode import API, nodes, shared_node, shop  # noqa: F401  (fixtures)


def client(node, service="shop", **kwargs):
    return dataikuapi.APINodeClient(node.url, service, **kwargs)


def admin_client(node):
    return dataikuapi.APINodeAdminClient(node.url, node.admin_key)


def numbers(batch, column="prediction"):
    return [float(row[column]) for row in batch]


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("endpoint", ["fare", "heavy"])
def test_regression_is_batch_scoring_to_the_bit(shared_node, shop, endpoint):
    api = client(shared_node)
    model = {"fare": "fare@2", "heavy": "heavy"}[endpoint]
    expected = numbers(shop.batch(model))
    results = api.predict_records(endpoint, [{"features": r} for r in shop.records])["results"]
    assert [r["prediction"] for r in results] == expected
    singles = [api.predict_record(endpoint, r)["result"]["prediction"] for r in shop.records[:60]]
    assert singles == expected[:60]


@pytest.mark.parametrize("endpoint", ["big", "kind"])
def test_classes_and_probabilities_are_batch_scoring_to_the_bit(shared_node, shop, endpoint):
    api = client(shared_node)
    batch = shop.batch(endpoint)
    expected = [({k[len("proba_"):]: float(v) for k, v in row.items() if k.startswith("proba_")}, row["prediction"]) for row in batch]
    results = api.predict_records(endpoint, [{"features": r} for r in shop.records])["results"]
    assert [(r["probas"], r["prediction"]) for r in results] == expected
    assert {r["prediction"] for r in results} > {expected[0][1]} or len({e[1] for e in expected}) > 1
    singles = [api.predict_record(endpoint, r)["result"] for r in shop.records[:60]]
    assert [(r["probas"], r["prediction"]) for r in singles] == expected[:60]


def test_nan_null_and_absence_are_all_missing(shared_node, shop):
    api = client(shared_node)
    record = next(r for r in shop.records if r["z"] is None and r["x"] is not None)
    as_null = api.predict_record("fare", record)["result"]["prediction"]
    assert api.predict_record("fare", {**record, "z": float("nan")})["result"]["prediction"] == as_null
    assert api.predict_record("fare", {k: v for k, v in record.items() if k != "z"})["result"]["prediction"] == as_null
    assert api.predict_record("fare", {**record, "z": float("inf")})["result"]["prediction"] is not None


def test_a_text_is_the_same_value_as_in_a_file(shared_node, shop):
    """Every cell of the CSV sent as the text it is there."""
    api = client(shared_node)
    texts = [{k: "" if v is None else str(v) for k, v in r.items()} for r in shop.records[:50]]
    results = api.predict_records("fare", [{"features": t} for t in texts])["results"]
    assert [r["prediction"] for r in results] == numbers(shop.batch("fare@2"))[:50]


def test_columns_that_the_model_does_not_know_do_not_matter(shared_node, shop):
    api = client(shared_node)
    plain = api.predict_record("fare", shop.records[0])["result"]["prediction"]
    assert api.predict_record("fare", {**shop.records[0], "more": [1, {"a": None}], "\u00e9": "\U0001f600"})["result"]["prediction"] == plain


# ---------------------------------------------------------------- answers


def test_an_answer_has_what_the_reference_describes(shared_node, shop):
    answer = client(shared_node).predict_record("fare", shop.records[0], context={"who": "me", "n": 1})
    assert answer["result"]["ignored"] is False
    assert answer["apiContext"] == {**answer["apiContext"], "serviceId": "shop", "endpointId": "fare", "serviceGeneration": "v2"}
    timing = answer["timing"]
    assert {"preProcessing", "wait", "enrich", "preparation", "prediction", "postProcessing"} <= set(timing)
    assert all(isinstance(v, int) and 0 <= v < 60_000_000 for v in timing.values())
    many = client(shared_node).predict_records("fare", [{"features": shop.records[0], "context": {"a": 1}}])
    assert many["apiContext"]["serviceGeneration"] == "v2" and "timing" in many and len(many["results"]) == 1


def test_headers_of_every_answer(shared_node):
    for path in (f"{API}/shop/nope/predict", "/isAlive/", "/admin/api/services"):
        answer = shared_node.get(path)
        assert answer.headers["DSS-API-Version"] and answer.headers["DSS-Version"], path


def test_answers_of_workers_have_the_same_headers(shared_node, shop):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for count in (1, 3000):  # answered by a loop's thread, by a worker
        answer = shared_node.predict_multi(shop.records[:1] * count, endpoint="heavy", headers={"X-Request-Id": "mine", "traceparent": trace})
        assert answer.status == 200
        assert answer.headers["X-Request-Id"] == "mine" and answer.headers["DSS-Version"] and trace[3:35] in answer.headers["traceparent"], count


def test_explanations(shared_node, shop):
    api = client(shared_node)
    rows = shop.batch("fare@2", "--explain", "2")
    expected = [json.loads(row["explanations"]) for row in rows]
    told = api.predict_records("told", [{"features": r} for r in shop.records[:40]])["results"]
    assert [r["explanations"] for r in told] == expected[:40]
    assert [r["prediction"] for r in told] == numbers(rows)[:40]
    one = api.predict_record("fare", shop.records[1], with_explanations=True, explanation_method="SHAPLEY", n_explanations=2)["result"]
    assert one["explanations"] == expected[1]
    assert len(api.predict_record("told", shop.records[1], n_explanations=1)["result"]["explanations"]) == 1
    off = api.predict_record("told", shop.records[1], with_explanations=False)["result"]
    assert not off.get("explanations")
    assert not api.predict_record("fare", shop.records[1])["result"].get("explanations")


def test_several_classes_have_explanations_too(shared_node, shop):
    for endpoint in ("big", "kind"):
        result = client(shared_node).predict_record(endpoint, shop.records[0], with_explanations=True, n_explanations=3)["result"]
        assert 0 < len(result["explanations"]) <= 3, result


def test_trailing_and_double_slashes(shared_node, shop):
    expected = client(shared_node).predict_record("fare", shop.records[0])["result"]
    api = dataikuapi.APINodeClient(shared_node.url + "/", "shop")
    assert api.predict_record("fare", shop.records[0])["result"] == expected
    body = {"features": shop.records[0]}
    for path in (f"/{API}/shop/fare/predict", f"{API}/shop/fare/predict/", f"//{API}//shop//fare//predict//"):
        answer = shared_node.request("POST", path, body)
        assert answer.status == 200 and answer.json["result"] == expected, path


def test_predict_simple(shared_node, shop):
    record = {k: v for k, v in shop.records[0].items() if v is not None}
    expected = client(shared_node).predict_record("fare", record)["result"]["prediction"]
    answer = requests.get(f"{shared_node.url}{API}/shop/fare/predict-simple", params=record, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["prediction"] == expected
    with_plus = requests.get(f"{shared_node.url}{API}/shop/fare/predict-simple", params={"c": "a b+c&d=\u00e9", **record}, timeout=20)
    assert with_plus.status_code == 200, with_plus.text


def test_lookup(shared_node, shop):
    api = client(shared_node)
    for zone in (0, 7, 1999):
        data = api.lookup_record("zones", {"zone": zone})["data"]
        assert (data["usual_x"], data["district"]) == tuple(shop.zones[zone].values())
    assert api.lookup_record("zones", {"zone": "7"})["data"]["usual_x"] == shop.zones[7]["usual_x"]
    many = api.lookup_records("zones", [{"data": {"zone": z}} for z in (3, 4, 5)])["results"]
    assert [r["data"]["usual_x"] for r in many] == [shop.zones[z]["usual_x"] for z in (3, 4, 5)]
    nobody = api.lookup_record("zones", {"zone": 123456})
    assert (nobody.get("data") or {}).get("usual_x") is None


def test_enrichment_gives_what_the_client_left_out(shared_node, shop):
    api = client(shared_node)
    record = next(r for r in shop.records if r["zone"] < 2000 and r["x"] is not None)
    zone = record["zone"]
    without = {k: v for k, v in record.items() if k != "x"}
    enriched = api.predict_record("rich", without)["result"]["prediction"]
    assert enriched == api.predict_record("fare", {**record, "x": shop.zones[zone]["usual_x"]})["result"]["prediction"]
    ignored = api.predict_record("rich", {**without, "zone": 5_000_000})["result"]
    assert ignored["ignored"] is True and ignored["ignoreReason"] == "NO_LOOKUP_MATCH"
    with pytest.raises(DataikuException, match="zone"):
        api.predict_record("rich", {k: v for k, v in without.items() if k != "zone"})
    # In predict-multi only that record fails.
    results = api.predict_records("rich", [{"features": without}, {"features": {"c": "a"}}, {"features": {**without, "zone": 5_000_000}}])["results"]
    assert results[0]["prediction"] == enriched
    assert "prediction" not in results[1] or results[1]["prediction"] is None
    assert "zone" in json.dumps(results[1])
    assert results[2]["ignored"] is True


# ---------------------------------------------------------------- dispatch


@pytest.fixture(scope="module")
def split_node(shop, tmp_path_factory):
    """v1 and v2 get half each; v3 is loaded, but mapped to nothing."""
    from apinode import Nodes
    starter = Nodes(tmp_path_factory.mktemp("split"))
    node = starter(package=shop.v1)
    for package in (shop.v2, shop.v3):
        assert node.upload(package).status < 300
    assert node.map({"v1": 0.5, "v2": 0.5}).status == 200
    assert node.admin("POST", "services/shop/generations/v3/preload").status == 200
    yield node
    starter.end()


def generation_of(answer):
    return answer["apiContext"]["serviceGeneration"]


def test_forced_generation(split_node, shop):
    api = client(split_node)
    for generation, model in (("v1", "fare@1"), ("v2", "fare@2"), ("v3", "fare@3")):
        answer = api.predict_record("fare", shop.records[0], forced_generation=generation, dispatch_key="ignored")
        assert (generation_of(answer), answer["result"]["prediction"]) == (generation, numbers(shop.batch(model))[0])
        many = api.predict_records("fare", [{"features": r} for r in shop.records], forced_generation=generation)
        assert [r["prediction"] for r in many["results"]] == numbers(shop.batch(model))
    with pytest.raises(DataikuException, match="v9"):
        api.predict_record("fare", shop.records[0], forced_generation="v9")


def test_a_dispatch_key_sticks(split_node, shop):
    api = client(split_node)
    keys = [f"customer {i}" for i in range(40)]
    first = [generation_of(api.predict_record("fare", shop.records[0], dispatch_key=k)) for k in keys]
    again = [generation_of(api.predict_record("fare", shop.records[1], dispatch_key=k)) for k in reversed(keys)][::-1]
    assert first == again
    assert set(first) == {"v1", "v2"}


def test_weights_are_kept_at_random(split_node, shop):
    session = requests.Session()
    seen = [session.post(f"{split_node.url}{API}/shop/fare/predict", data=json.dumps({"features": shop.records[0]})).json() for _ in range(400)]
    v1 = sum(generation_of(a) == "v1" for a in seen)
    assert 120 < v1 < 280  # 8 standard deviations
    predictions = {generation_of(a): a["result"]["prediction"] for a in seen}
    assert predictions == {"v1": numbers(shop.batch("fare@1"))[0], "v2": numbers(shop.batch("fare@2"))[0]}


# ---------------------------------------------------------------- errors as the client shows them


@pytest.mark.parametrize("call, text", [
    (lambda api: api.predict_record("nope", {}), "nope"),
    (lambda api: api.predict_record("fare", "a text"), "features"),
    (lambda api: api.predict_record("fare", [1, 2]), "features"),
    (lambda api: api.predict_record("zones", {"zone": 1}), "zones"),
    (lambda api: api.lookup_record("fare", {"zone": 1}), "fare"),
    (lambda api: api.run_function("fare"), "run|fare"),
    (lambda api: api.sql_query("fare", {}), "query|fare"),
    (lambda api: api.forecast("fare", [{"x": 1}]), "forecast|fare"),
    (lambda api: api.predict_effect("fare", {"x": 1}), "predict-effect|fare"),
])
def test_errors_say_what_was_wrong(shared_node, call, text):
    with pytest.raises(DataikuException, match=text) as error:
        call(client(shared_node))
    assert not str(error.value).startswith("Unknown error"), error.value
    assert "No message" not in str(error.value)


def test_an_unknown_service(shared_node):
    with pytest.raises(DataikuException, match="nobody"):
        client(shared_node, "nobody").predict_record("fare", {})


def test_the_shape_of_an_error(shared_node):
    answer = shared_node.predict({}, service="shpo")
    assert answer.status == 404
    assert {"errorType", "message", "detailedMessage", "request_id"} <= set(answer.json)
    assert answer.json["request_id"] and answer.json["hint"]
    own = shared_node.predict({}, service="shpo", headers={"X-Request-Id": "my-own-17"})
    assert own.json["request_id"] == "my-own-17"


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"features"', '{"features": {"x": 1}', '{"features": {"x": 1}} x', "\ufeff{}", "{'a': 1}",
                                  '{"features": {"x": tru}}', '{"features": null}', '{"items": []}', '{"features": {"x": "\\ud800"}}'])
def test_bodies_that_are_no_request(shared_node, body):
    answer = shared_node.request("POST", f"{API}/shop/fare/predict", body.encode())
    assert answer.status == 400, answer
    assert answer.json["message"]


def test_one_bad_record_does_not_fail_the_others(shared_node, shop):
    body = {"items": [{"features": shop.records[0]}, {"features": {"x": "not a number at all"}}, {"features": shop.records[1]}]}
    answer = shared_node.request("POST", f"{API}/shop/fare/predict-multi", body)
    assert answer.status == 200, answer
    results = answer.json["results"]
    expected = numbers(shop.batch("fare@2"))
    assert [results[0]["prediction"], results[2]["prediction"]] == expected[:2]
    assert len(results) == 3


# ---------------------------------------------------------------- administration


def test_a_service_from_nothing_to_nothing(nodes, shop, capsys):
    node = nodes()
    admin = admin_client(node)
    assert admin.list_services() == []
    admin.create_service("shop")
    assert [(s["serviceId"], s["enabled"]) for s in admin.list_services()] == [("shop", False)]
    service = admin.service("shop")
    assert service.list_generations() == []
    api = client(node)
    with pytest.raises(DataikuException, match="shop"):
        api.predict_record("fare", shop.records[0])

    (node.home / "import").mkdir(exist_ok=True)
    for package in (shop.v1, shop.v2):
        service.import_generation_from_archive(shutil.copy(package, node.home / "import"))
    assert [g["generationId"] for g in service.list_generations()] == ["v1", "v2"]
    with pytest.raises(DataikuException):
        api.predict_record("fare", shop.records[0])

    service.preload_generation("v1")
    assert service.switch_to_newest() is not None
    assert generation_of(api.predict_record("fare", shop.records[0])) == "v2"
    service.switch_to_single_generation("v1")
    answer = api.predict_record("fare", shop.records[0])
    assert (generation_of(answer), answer["result"]["prediction"]) == ("v1", numbers(shop.batch("fare@1"))[0])
    service.set_generations_mapping({"entries": [{"generation": "v1", "proba": 0.0}, {"generation": "v2", "proba": 1.0}]})
    assert generation_of(api.predict_record("fare", shop.records[0])) == "v2"

    service.disable()
    assert admin.list_services()[0]["enabled"] is False
    with pytest.raises(DataikuException, match="disabled"):
        api.predict_record("fare", shop.records[0])
    service.enable()
    assert generation_of(api.predict_record("fare", shop.records[0])) == "v2"

    service.switch_to_single_generation("v2")
    admin.clean_unused_services_and_generations()  # prints what it removed
    assert "v1" in capsys.readouterr().out
    assert [g["generationId"] for g in service.list_generations()] == ["v2"]
    service.delete()
    assert admin.list_services() == []
    with pytest.raises(DataikuException, match="shop"):
        api.predict_record("fare", shop.records[0])


def test_what_the_admin_client_is_told(nodes, shop):
    node = nodes(package=shop.v1)
    admin = admin_client(node)
    service = admin.service("shop")
    for call, text in [(lambda: service.switch_to_single_generation("v7"), "v7"),
                       (lambda: admin.service("nobody").list_generations(), "nobody"),
                       (lambda: admin.service("nobody").delete(), "nobody"),
                       (lambda: admin.create_service("shop"), "shop"),
                       (lambda: admin.create_service("../x"), "x"),
                       (lambda: service.import_generation_from_archive("/etc/passwd"), "import"),
                       (lambda: service.import_generation_from_archive(node.home / "import" / "none.zip"), "none.zip"),
                       (lambda: service.set_generations_mapping({"entries": [{"generation": "v1", "proba": 0.7}]}), "0.7|sum"),
                       (lambda: service.set_generations_mapping({"entries": [{"generation": "v5", "proba": 1}]}), "v5"),
                       (lambda: service.set_generations_mapping({}), "entries|empty"),
                       (lambda: dataikuapi.APINodeAdminClient(node.url, "wrong").list_services(), "key")]:
        with pytest.raises(DataikuException, match=text) as error:
            call()
        assert "Unknown error" not in str(error.value)
    assert generation_of(client(node).predict_record("fare", shop.records[0])) == "v1"


def test_metrics_of_the_admin_client(nodes, shop):
    node = nodes(package=shop.v1)
    for record in shop.records[:7]:
        client(node).predict_record("fare", record)
    metrics = admin_client(node).get_metrics()
    assert isinstance(metrics, dict) and "shop" in json.dumps(metrics)
    assert "7" in json.dumps(metrics)


def test_keys(nodes, shop):
    node = nodes(package=shop.v1)
    auth = admin_client(node).auth()
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    with pytest.raises(DataikuException, match="key"):
        client(node).predict_record("fare", shop.records[0])

    first, second = auth.add_key("first", "for tests", "me"), auth.add_key("second")
    assert first["label"] == "first" and first["key"] != second["key"]
    listed = auth.list_keys()
    assert [k["label"] for k in listed] == ["first", "second"]
    assert first["key"] not in json.dumps(listed)  # hashed at rest, so never shown again
    for secret in (first["key"], second["key"]):
        assert secret not in (node.home / "keys.json").read_text()
        for kwargs in ({"api_key": secret}, {"bearer_token": secret}):
            assert client(node, **kwargs).predict_record("fare", shop.records[0])["result"]
    with pytest.raises(DataikuException, match="key"):
        client(node, api_key="slipway-wrong").predict_record("fare", shop.records[0])
    with pytest.raises(DataikuException):  # a scoring key is no admin key
        dataikuapi.APINodeAdminClient(node.url, first["key"]).list_services()

    auth.delete_key(first["key"])
    auth.delete_key_by_id(second["id"])
    assert auth.list_keys() == []
    for secret in (first["key"], second["key"]):
        with pytest.raises(DataikuException, match="key"):
            client(node, api_key=secret).predict_record("fare", shop.records[0])
    with pytest.raises(DataikuException):
        auth.delete_key_by_id(second["id"])


def test_keys_survive_a_kill(nodes, shop):
    node = nodes(package=shop.v1)
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    key = admin_client(node).auth().add_key("k")["key"]
    node.restart()
    assert client(node, api_key=key).predict_record("fare", shop.records[0])["result"]
    with pytest.raises(DataikuException, match="key"):
        client(node).predict_record("fare", shop.records[0])


def test_the_node_serves_packages_of_a_hundred_services(nodes, shop, tmp_path):
    from apinode import forge
    node = nodes(package=shop.v1)
    admin = admin_client(node)
    for i in range(100):
        package = forge(shop.v1, tmp_path / "one.zip", service=f"s{i}")
        assert node.upload(package, f"s{i}").status < 300
        admin.service(f"s{i}").switch_to_newest()
    assert len(admin.list_services()) == 101
    expected = numbers(shop.batch("fare@1"))[0]
    for i in (0, 57, 99):
        assert client(node, f"s{i}").predict_record("fare", shop.records[0])["result"]["prediction"] == expected
    node.restart()
    assert node.get("/ready").status == 200
    assert client(node, "s99").predict_record("fare", shop.records[0])["result"]["prediction"] == expected
    assert node.get("/openapi.json").status == 200
