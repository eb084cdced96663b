"""`slipway lineage --request ID`: from an answer of a real API node back to the dataset's fingerprint, whoever keeps the log."""
import http.client
import json
import pathlib
import shutil
import urllib.parse

import pytest

from apinode import API, forge, nodes, shop  # noqa: F401: fixtures
from conftest import Slipway
from hub import hubs  # noqa: F401: a fixture


@pytest.fixture
def home(shop, tmp_path):
    """The shop's home for this test alone, with p/shop@v1 and v2 published."""
    shutil.copytree(shop.folder, tmp_path / "work")
    slipway = Slipway(tmp_path / "work")
    for package in ("p/shop@v1", "p/shop@v2"):
        slipway("service", "publish", package)
    yield slipway
    for infra in slipway.json("infra", "ls"):
        if infra["type"] == "local":
            slipway("infra", "stop", infra["name"], code=None)


def deploy(home, infra, version="v1", name="d"):
    home("deployment", "create", name, "--service", "shop", "--infra", infra, "--version", version)
    home("deployment", "update", name)


def add_static(home, name, node):
    key = home.write(f"{name}.key", node.admin_key)
    home("infra", "add", name, "--stage", "Test", "--node", node.url, "--key-file", key)


def ask(url, path, body, request_id):
    """As any client would; the answer's own id."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    headers = {"X-Request-Id": request_id} if request_id else {}
    connection.request("POST", API + path, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    connection.close()
    return json.loads(text), answer.getheader("X-Request-Id")


def test_from_an_answer_of_a_local_node_to_the_fingerprint_of_its_data(home, shop):
    home("infra", "add", "dev", "--type", "local", "--stage", "Development")
    deploy(home, "dev")
    url = home.json("deployment", "show", "d")["nodes"][0]["url"]
    answer, request_id = ask(url, "/shop/fare/predict", {"features": shop.records[0]}, "")
    found = home.json("lineage", "--request", request_id)
    assert found["request_id"] == request_id
    assert (found["service"], found["endpoint"], found["generation"]) == ("shop", "fare", "v1")
    assert found["node"] == {"url": url, "infra": "dev", "stage": "Development", "deployment": "d"}
    assert found["answer"]["status"] == 200 and found["answer"]["records"] == 1
    assert found["answer"]["lines"][0]["result"]["prediction"] == answer["result"]["prediction"]
    assert found["package"]["name"] == "p/shop@v1" and found["package"]["published"] and found["package"]["same_on_node"]

    # Every step is what the other commands say.
    [published] = [v for s in home.json("service", "published") for v in s["versions"] if v["version"] == "v1"]
    assert found["package"]["sha256"] == published["sha256"]
    assert found["model"] == "p/fare@1" and found["same_bundle"]
    version = home.json("model", "lineage", "p/fare@1")
    assert found["version"] == version and found["bundle_sha256"] == version["bundle_sha256"]
    assert found["version"]["build"]["recipe"] == "train_fare" and found["version"]["build"]["job"].startswith("job-")
    [data] = found["trained_on"]
    assert data["dataset"] == "p/trips" and data["files"][0].endswith("/trips.csv")
    assert data["fingerprint"] == home.json("model", "versions", "p/fare")[0]["dataset_fingerprint"]
    text = home("lineage", "--request", request_id).out
    for part in (request_id, "p/shop@v1", "p/fare@1", data["fingerprint"], found["bundle_sha256"], "trips.csv", url, "train_fare"):
        assert part in text, text
    assert home.json("model", "lineage", "--request", request_id) == found
    assert home.json("lineage", "p/fare@1") == version

    # `deployment query` says the id itself.
    queried = home.json("deployment", "query", "d", "--endpoint", "big", "--record", json.dumps(shop.records[1]))
    assert home.json("lineage", "--request", queried["request_id"])["model"] == "p/big@1"

    # Several records, a lookup, enrichment.
    ask(url, "/shop/fare/predict-multi", {"items": [{"features": r} for r in shop.records[:5]]}, "five-of-them")
    five = home.json("lineage", "--request", "five-of-them")["answer"]
    assert five["records"] == 5 and [line["record"] for line in five["lines"]] == [0, 1, 2, 3, 4]
    ask(url, "/shop/zones/lookup", {"data": {"zone": 7}}, "a-lookup")
    looked = home.json("lineage", "--request", "a-lookup")
    assert looked["type"] == "lookup" and looked["model"] is None and [t["dataset"] for t in looked["tables"]] == ["zone_table"]
    ask(url, "/shop/rich/predict", {"features": shop.records[2]}, "enriched")
    rich = home.json("lineage", "--request", "enriched")
    assert rich["tables"] == looked["tables"] and rich["model"] == "p/fare@1"

    # The same id once more: the last request counts, and it is said.
    ask(url, "/shop/kind/predict", {"features": shop.records[3]}, "five-of-them")
    again = home.json("lineage", "--request", "five-of-them")
    assert again["model"] == "p/kind@1" and again["answer"]["records"] == 1 and again["answer"]["other_requests_lines"] == 5

    # A node that does not run keeps its log.
    home("infra", "stop", "dev")
    stopped = home.json("lineage", "--request", request_id)
    assert stopped["trained_on"] == found["trained_on"] and stopped["package"]["same_on_node"] is None
    missing = home("lineage", "--request", "nobody-asked-this", "--json", code=3).error
    assert "nobody-asked-this" in missing["message"] and "its log begins at" in missing["hint"]


def test_over_http_each_sees_what_they_may(home, shop, nodes, hubs):
    node = nodes(config='[query_log]\nredact = ["x"]\n')
    add_static(home, "trial", node)
    deploy(home, "trial", "v2")
    hub = hubs(home)
    home.write("pw", "a long password")
    keys = {}
    for name, roles in {"stranger": [], "reader": ["read@project:p", "read@infra:trial"], "deployer": ["read@project:p", "deploy@infra:trial"],
                        "ops": ["deploy@infra:trial"], "scientist": ["read@project:p"]}.items():
        home("user", "add", name, "--password-file", "pw", *[w for r in roles for w in ("--role", r)])
        keys[name] = home.write(f"{name}.key", home.json("key", "create", "--label", name, "--account", name)["key"])
    ask(node.url, "/shop/fare/predict", {"features": shop.records[0]}, "r-1")

    def lineage(who, *more, code=0):
        return home("--server", hub.url, "--key-file", keys[who], "lineage", "--request", "r-1", "--json", *more, code=code)

    whole = home.json("lineage", "--request", "r-1")  # by the home's token
    assert whole["model"] == "p/fare@2" and whole["answer"]["lines"][0]["features"]["x"] == "***"
    assert "z" in whole["answer"]["lines"][0]["features"]
    seen = lineage("deployer").json
    assert seen == whole
    told = lineage("reader").json
    assert "lines" not in told["answer"] and told["trained_on"] == whole["trained_on"] and told["node"] == whole["node"]
    part = lineage("ops").json
    assert part["answer"]["lines"] and part["package"] is None and "no right to see" in part["problem"]
    for who in ("stranger", "scientist"):
        assert lineage(who, code=3).error["code"] == "not_found"
    for guess in ("d", "e"):  # what is there sounds as what is not; a near miss is told no name
        refused = lineage("scientist", "--deployment", guess, code=3).error
        assert refused["message"] == f"there is no deployment '{guess}', or you have no right to see it" and not refused["hint"]
    assert lineage("reader", "--deployment", "d").json == told
    # Who has the log needs no right on the node.
    [log] = (node.home / "query-log").glob("*.zst")
    mine = lineage("scientist", "--query-log", log).json
    assert mine["trained_on"] == whole["trained_on"] and mine["answer"]["lines"][0]["features"]["x"] == "***"
    assert lineage("stranger", "--query-log", log, code=3)
    # A package that is there sounds as one that is not.
    hidden, absent = (hub.call("GET", f"/api/v1/lineage/shop/{v}/fare", key=pathlib.Path(keys["stranger"]).read_text().strip()) for v in ("v2", "v999"))
    assert hidden.status == absent.status == 404 and "no right to see it" in hidden.json["message"]
    assert hidden.json | {"request_id": ""} == json.loads(absent.body.replace(b"v999", b"v2")) | {"request_id": ""}
    for path in ("/api/v1/lineage", "/api/v1/lineage?request_id=%22", "/api/v1/lineage?deployment=d"):
        assert hub.local("GET", path).status == 400, path


def test_a_log_file_leads_to_the_data_without_a_deployer(shop, tmp_path, nodes):
    node = nodes(package=shop.v3)
    ask(node.url, "/shop/fare/predict", {"features": shop.records[0]}, "r-1")
    assert node.admin("GET", "query-log?request_id=r-1").json["count"] == 1  # it is in the file now
    folder = node.home / "query-log"
    for where in (folder, *folder.glob("*.zst")):
        found = shop.slipway.json("lineage", "--request", "r-1", "--query-log", where)
        assert found["model"] == "p/fare@3" and found["package"]["name"] == "p/shop@v3" and not found["package"]["published"]
        assert found["trained_on"][0]["dataset"] == "p/trips" and found["node"] is None
    assert "fingerprint" in shop.slipway("lineage", "--request", "r-1", "--query-log", folder).out
    # What is not there is said, with how far the log goes; what is no log too.
    gone = shop.slipway("lineage", "--request", "r-2", "--query-log", folder, "--json", code=3).error
    assert "r-2" in gone["message"] and "begin at 20" in gone["hint"]
    assert shop.slipway("lineage", "--request", "r-1", "--query-log", tmp_path / "none", "--json", code=3).error["code"] == "not_found"
    shop.slipway.write("text.txt", "nothing\n" * 10)
    assert shop.slipway("lineage", "--request", "r-1", "--query-log", "text.txt", code=3)
    # Another home knows no such package.
    other = Slipway(tmp_path / "other")
    other.folder.mkdir()
    other("init")
    assert "made in another home" in other("lineage", "--request", "r-1", "--query-log", folder, code=3).err
    for words in (["lineage"], ["lineage", "p/fare", "--request", "a"], ["lineage", "--request", "a b"], ["lineage", "p/fare", "--query-log", "x"]):
        assert shop.slipway(*words, code=2)


def test_another_package_of_the_same_id_is_not_taken_for_it(home, shop, nodes, tmp_path):
    """Somebody brought another v1 to the node: the bundle that answered is not the one that is published here."""
    other = forge(shop.v2, tmp_path / "other.zip", generation="v1")
    node = nodes(package=other)
    add_static(home, "trial", node)
    ask(node.url, "/shop/fare/predict", {"features": shop.records[0]}, "r-1")
    found = home.json("lineage", "--request", "r-1")
    assert found["generation"] == "v1" and found["package"] is None and "is what the node has under this id" in found["problem"]
    assert found["answer"]["lines"][0]["result"]["prediction"]
    assert "unknown: this home has no package" in home("lineage", "--request", "r-1").out


def test_a_deleted_version_is_told_by_its_copy_in_the_package(home, shop, nodes):
    node = nodes()
    add_static(home, "trial", node)
    deploy(home, "trial", "v1")
    ask(node.url, "/shop/fare/predict", {"features": shop.records[0]}, "r-1")
    before = home.json("lineage", "--request", "r-1")
    home("project", "delete", "p", "--force")
    after = home.json("lineage", "--request", "r-1")
    assert after["version"] is None and "package" in after["told_by"]
    assert after["model"] == before["model"] and after["bundle_sha256"] == before["bundle_sha256"]
    assert [(d["dataset"], d["fingerprint"]) for d in after["trained_on"]] == [(d["dataset"], d["fingerprint"]) for d in before["trained_on"]]


def test_why_a_log_has_nothing_is_said(home, shop, nodes):
    off = nodes(config="[query_log]\nenabled = false\n")
    sampled = nodes(config="[query_log]\nsample = 0.0\n")
    dead = nodes()
    for name, node in (("off", off), ("sampled", sampled), ("dead", dead)):
        add_static(home, name, node)
    for i, node in enumerate((off, sampled)):
        node.serve(shop.v1)
        ask(node.url, "/shop/fare/predict", {"features": shop.records[0]}, f"r-{i}")
    dead.kill()
    hint = home("lineage", "--request", "r-0", "--json", code=3).error["hint"]
    assert "keeps no query log" in hint and "query log is empty" in hint and dead.url in hint
    assert "10 %" not in hint
    assert home("lineage", "--request", "r-0", "--deployment", "none", code=3)


def test_a_node_finds_a_request_in_many_files(shop, nodes):
    """Rotated every few lines; the newest files are looked at first, and reads of the admin API go on meanwhile."""
    node = nodes(package=shop.v1, config="[query_log]\nfile_bytes = 65536\nflush_seconds = 0.05\n")
    for i in range(300):
        node.predict_multi(shop.records[:10], headers={"X-Request-Id": f"r-{i}"})
    found = node.admin("GET", "query-log?request_id=r-0").json
    assert found["count"] == 10 and found["complete"] and found["since"]
    assert {line["request_id"] for line in found["lines"]} == {"r-0"}
    assert found["generations"][0]["manifestSha256"]
    none = node.admin("GET", "query-log?request_id=r-300").json
    assert none["count"] == 0 and none["lines"] == [] and none["files"] == len(list((node.home / "query-log").iterdir()))
    assert none["files"] > 1
    for query in ("", "?request_id=", "?request_id=%22", "?request_id=" + "a" * 129):
        assert node.admin("GET", "query-log" + query).status == 400
    assert node.get("/admin/api/query-log?request_id=r-0").status == 401
