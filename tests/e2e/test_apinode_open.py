"""What an API node shows and scores without a key, and with one that is for some services."""
import json
import re

from apinode import API, forge, nodes, shop  # noqa: F401  (fixtures)


def test_off_loopback_names_need_a_key(nodes, shop):
    node = nodes("--listen", "0.0.0.0:0", "--allow-keys-without-tls", package=shop.v1)
    for path in ("/metrics", "/openapi.json", "/"):
        refused = node.get(path)
        assert refused.status == 401 and refused.headers["WWW-Authenticate"].startswith("Basic")
        assert node.get(path, headers={"Authorization": f"Bearer {node.admin_key}"}).status == 200
        assert node.get(path, headers={"Authorization": "Bearer wrong"}).status == 401
    assert node.get("/isAlive/").status == node.get("/ready").status == 200


def test_a_package_that_says_public_opens_nothing_off_loopback(nodes, shop, tmp_path):
    node = nodes("--listen", "0.0.0.0:0", "--allow-keys-without-tls", package=forge(shop.v1, tmp_path / "v1.zip", auth="public"))
    assert node.predict(shop.records[0]).status == 401
    assert "allow_public" in node.log() and "'auth: public'" in node.log(), node.log()
    before = node.log().count("'auth: public'")
    node.serve(forge(shop.v2, tmp_path / "v2.zip", auth="public"))
    assert node.log().count("'auth: public'") == before + 2, "at the import and at the switch"
    assert node.predict(shop.records[0]).status == 401
    assert node.admin("PUT", "services/shop/settings", {"auth": "public"}).status == 200
    assert node.predict(shop.records[0]).status == 200
    assert "whoever reaches the node may score this service" in node.log()


def page_data(node, headers=None):
    return json.loads(re.search(r'id="data">(.*?)</script>', node.get("/", headers=headers or {}).body.decode(), re.S).group(1))


def test_a_service_that_asks_for_keys_keeps_its_examples_for_those_who_have_one(nodes, shop):
    node = nodes(package=shop.v1)
    assert page_data(node)["needs_key"] is False
    assert node.admin("PUT", "services/shop/settings", {"auth": "api_keys"}).status == 200
    key = {"Authorization": f"Bearer {node.admin('POST', 'keys', {'label': 'web'}).json['key']}"}
    for headers, shown in (({}, False), ({"Authorization": "Bearer wrong"}, False), (key, True)):
        data = page_data(node, headers)
        (service,) = data["services"]
        assert data["needs_key"] and service["needs_key"], "the form has a field for it"
        fare = next(each for each in service["endpoints"] if each["id"] == "fare")
        assert bool(fare["example"]["features"]) == shown
        assert (f"{API}/shop/fare/predict" in node.get("/openapi.json", headers=headers).json["paths"]) == shown


def test_a_key_sees_the_services_that_it_is_for(nodes, shop):
    node = nodes("--listen", "0.0.0.0:0", "--allow-keys-without-tls", package=shop.v1)
    node.serve(shop.solo, service="solo")
    key = {"Authorization": f"Bearer {node.admin('POST', 'keys', {'services': ['solo']}).json['key']}"}
    everything = {"Authorization": f"Bearer {node.admin_key}"}
    for headers, seen in ((key, ["solo"]), (everything, ["shop", "solo"]), (key, ["solo"])):
        assert [each["id"] for each in page_data(node, headers)["services"]] == seen
        document = node.get("/openapi.json", headers=headers).json
        assert [tag["name"] for tag in document["tags"]] == seen
        assert {path.split("/")[4] for path in document["paths"]} == set(seen)
