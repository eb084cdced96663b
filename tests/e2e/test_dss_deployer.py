"""The unmodified Dataiku client drives the API Deployer: infrastructures, published services, deployments, updates, test queries, on real
API nodes."""
import json
import zipfile

import dataikuapi
import pytest
import requests
from dataikuapi.utils import DataikuException

import little
from apinode import nodes  # noqa: F401  (fixture)
from conftest import ROOT, Slipway
from hub import Hub

SERVICES = """services:
  shop:
    endpoints:
      fare: {prediction: m, test_queries: "from_dataset(new, 2)"}
  two:
    endpoints:
      fare: {prediction: m, test_queries: "from_dataset(new, 1)"}
      again: {prediction: m, test_queries: "from_dataset(new, 2)"}
"""
RECORD = {"x": 5.0, "z": 0.5, "c": "a"}


class World:
    """A hub with packages shop v1, v2, v3 (of another model each) in files, none published."""

    def __init__(self, folder):
        self.slipway = slipway = Slipway(folder)
        slipway("init")
        slipway.write("t.csv", little.training_csv())
        slipway.write("new.csv", little.unseen_csv())
        self.packages = {}
        for version, iterations in (("v1", 3), ("v2", 6), ("v3", 9)):
            slipway.write("p.yaml", little.project_yaml(iterations=iterations, more=SERVICES))
            slipway("apply", "-f", "p.yaml")
            slipway("build", "p/m")
            self.packages[version] = folder / f"shop-{version}.zip"
            slipway("service", "package", "p/shop", "-o", self.packages[version])
        self.two = folder / "two.zip"
        slipway("service", "package", "p/two", "-o", self.two)
        self.hub = Hub(slipway)
        self.api = dataikuapi.DSSClient(self.hub.url, self.hub.token)
        self.deployer = self.api.get_apideployer()

    def infra(self, name, *nodes, stage="Test"):
        infra = self.deployer.create_infra(name, stage, "STATIC")
        settings = infra.get_settings()
        for node in nodes:
            settings.add_apinode(node.url, node.admin_key)
        settings.save()
        return infra

    def clear(self):
        """Every test begins with no deployment, infrastructure or published service."""
        for deployment in self.deployer.list_deployments():
            deployment.delete(disable_first=True, ignore_pre_delete_errors=True)
        for infra in self.deployer.list_infras():
            infra.delete()
        for service in self.deployer.list_services():
            service.delete()


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("dss-deployer"))
    yield world
    world.hub.stop()


@pytest.fixture
def world(whole_world, nodes):  # noqa: F811: nodes end after it
    yield whole_world
    whole_world.clear()


def test_the_whole_way_of_a_service(world, nodes, tmp_path):  # noqa: F811
    """Publish, deploy to two nodes, ask them, bring the next version, look back, take it away."""
    deployer = world.deployer
    assert [(s["id"], s["desc"]) for s in deployer.list_stages()] == [("Development", ""), ("Test", ""), ("Production", "")]
    service = deployer.create_service("shop")
    assert service.get_status().get_versions() == []
    with open(world.packages["v1"], "rb") as package:
        service.import_version(package)
    assert [v["id"] for v in service.get_status().get_versions()] == ["v1"]

    first, second = nodes(), nodes()
    infra = world.infra("static", first, second)
    settings = infra.get_settings()
    assert settings.get_type() == "STATIC" and [n["url"] for n in settings.get_raw()["apiNodes"]] == [first.url, second.url]

    deployment = deployer.create_deployment("shop-test", "shop", "static", "v1")
    assert deployment.get_status().get_light()["deploymentBasicInfo"]["enabled"] is True
    assert first.predict(RECORD).status == 404  # not started
    result = deployment.start_update().wait_for_result()
    assert result["status"] == "done"

    status = deployment.get_status()
    assert status.get_health() == "HEALTHY" and status.get_health_messages() == {"messages": []}
    urls = status.get_service_urls()
    assert urls == [f"{node.url}/public/api/v1/shop" for node in (first, second)]
    answers = [dataikuapi.APINodeClient(node.url, "shop").predict_record("fare", RECORD) for node in (first, second)]
    assert [a["apiContext"]["serviceGeneration"] for a in answers] == ["v1", "v1"]
    fare = answers[0]["result"]["prediction"]
    assert [d.id for d in infra.get_status().get_deployments()] == ["shop-test"]

    with open(world.packages["v2"], "rb") as package:
        service.import_version(package)
    wish = deployment.get_settings()
    wish.set_single_version("v2")
    wish.save()
    assert first.predict(RECORD).json["apiContext"]["serviceGeneration"] == "v1"  # saved, not deployed
    assert "v2" in json.dumps(deployment.get_status().get_health_messages())
    deployment.start_update().wait_for_result()
    for node in (first, second):
        answer = node.predict(RECORD).json
        assert answer["apiContext"]["serviceGeneration"] == "v2" and answer["result"]["prediction"] != fare

    updates = deployment.list_updates()
    assert len(updates) == 2 and len({u.start_time for u in updates}) == 2
    last = deployment.get_update()
    assert last.status == "SUCCESS" and last.requester and last.logs and last.end_time >= 1_700_000_000_000
    assert deployment.get_update(updates[-1].start_time).get_raw()["slipway"]["after"]["generations"][0]["generation"] == "v1"
    with pytest.raises(DataikuException, match="NotFoundException"):
        deployment.get_update("12345")

    with pytest.raises(Exception, match="must be disabled first"):
        deployment.delete()
    with pytest.raises(DataikuException, match="ConflictException.*shop-test"):
        infra.delete()
    with pytest.raises(DataikuException, match="ConflictException.*shop-test"):
        service.delete()
    with pytest.raises(DataikuException, match="ConflictException.*shop-test"):
        service.delete_version("v2")
    deployment.delete(disable_first=True)
    assert deployer.list_deployments() == [] and first.predict(RECORD).status == 404 and second.predict(RECORD).status == 404
    service.delete_version("v1")
    file = tmp_path / "v2.zip"
    service.download_version_to_file("v2", str(file))
    assert file.read_bytes() == world.packages["v2"].read_bytes()
    with service.get_version_stream("v2") as stream:
        assert stream.content == world.packages["v2"].read_bytes()


def test_several_generations_by_raw_settings(world, nodes):  # noqa: F811
    service = world.deployer.create_service("shop")
    for version in ("v1", "v2"):
        service.import_version(open(world.packages[version], "rb"))
    node = nodes()
    world.infra("static", node)
    deployment = world.deployer.create_deployment("d", "shop", "static", "v1")
    settings = deployment.get_settings()
    before = json.loads(json.dumps(settings.get_raw()))
    settings.save()  # what was read comes back, and changes nothing
    assert deployment.get_settings().get_raw() == before
    settings.get_raw()["generationsMapping"] = {"mode": "MULTIPLE_GENERATIONS", "entries": [{"generation": "v1", "proba": 0.5}, {"generation": "v2", "proba": 0.5}]}
    settings.save()
    deployment.start_update().wait_for_result()
    seen = {node.predict(RECORD).json["apiContext"]["serviceGeneration"] for _ in range(60)}
    assert seen == {"v1", "v2"}
    again = deployment.get_settings()
    assert again.get_raw()["generationsMapping"]["entries"] == settings.get_raw()["generationsMapping"]["entries"]
    again.get_raw()["tags"] = ["a"]
    with pytest.raises(DataikuException, match="does not support changing 'tags'"):
        again.save()
    wrong = deployment.get_settings()
    wrong.set_single_version("v77")
    with pytest.raises(DataikuException, match="NotFoundException.*v77"):
        wrong.save()


def test_queries_through_the_deployer(world, nodes):  # noqa: F811
    for name, package in (("shop", world.packages["v1"]), ("two", world.two)):
        world.deployer.create_service(name).import_version(open(package, "rb"))
    node = nodes()
    world.infra("static", node)
    one = world.deployer.create_deployment("one", "shop", "static", "v1")
    two = world.deployer.create_deployment("both", "two", "static", "v1")
    for deployment in (one, two):
        deployment.start_update().wait_for_result()
    stored = one.run_test_queries()["responses"]
    assert len(stored) == 2 and all(r["ok"] and r["endpointId"] == "fare" for r in stored)
    assert len(two.run_test_queries("again")["responses"]) == 2 and len(two.run_test_queries()["responses"]) == 3
    queries = [{"q": {"features": {**RECORD, "x": x}}} for x in (1.0, 9.0)]
    expected = [node.predict(q["q"]["features"]).json["result"]["prediction"] for q in queries]
    for responses in (one.run_queries(queries), one.run_test_queries(test_queries=queries), one.run_queries(queries, endpoint_id="fare")):
        assert [r["response"]["result"]["prediction"] for r in responses["responses"]] == expected
    with pytest.raises(DataikuException, match="2 endpoints.*endpoint_id"):
        two.run_queries(queries)
    with pytest.raises(DataikuException, match="headers"):
        one.run_queries([{"q": {"features": RECORD}, "headers": [{"key": "a", "value": "b"}]}])
    wide = [{"q": {"features": RECORD}, "note": "x" * 700}] * 90  # a request line of more than 64 KiB
    assert len(one.run_queries(wide)["responses"]) == 90
    description = one.get_open_api().get()
    assert any("fare" in path for path in description["paths"])


def test_a_failed_update_is_a_failed_future(world, nodes):  # noqa: F811
    world.deployer.create_service("shop").import_version(open(world.packages["v1"], "rb"))
    node = nodes()
    world.infra("static", node)
    deployment = world.deployer.create_deployment("d", "shop", "static", "v1")
    url = node.url
    node.kill()
    future = deployment.start_update()
    with pytest.raises(DataikuException, match=url):
        future.wait_for_result()
    with pytest.raises(DataikuException, match=url):
        future.get_state()
    update = deployment.get_update()
    assert update.status == "ERROR" and any(url in line for line in update.logs)
    status = deployment.get_status()
    assert status.get_health() != "HEALTHY" and url in json.dumps(status.get_health_messages())


def test_infrastructures_keep_the_keys_to_themselves(world, nodes):  # noqa: F811
    node = nodes()
    infra = world.infra("static", node)
    settings = infra.get_settings()
    assert node.admin_key not in json.dumps(settings.get_raw())
    settings.save()
    settings.add_apinode("http://127.0.0.1:1", "some key")
    settings.save()
    assert [n["url"] for n in infra.get_settings().get_raw()["apiNodes"]] == [node.url, "http://127.0.0.1:1"]
    settings = infra.get_settings()
    settings.remove_apinode("http://127.0.0.1:1")
    settings.save()
    # The stored key is still there, for its node: an update reaches it.
    world.deployer.create_service("shop").import_version(open(world.packages["v1"], "rb"))
    deployment = world.deployer.create_deployment("d", "shop", "static", "v1")
    deployment.start_update().wait_for_result()
    assert node.predict(RECORD).status == 200
    # It goes to no other address.
    settings = infra.get_settings()
    other = nodes()
    settings.get_raw()["apiNodes"][0]["url"] = other.url
    settings.save()
    assert infra.get_settings().get_raw()["apiNodes"] == [{"url": other.url, "adminAPIKey": None, "graphitePrefix": None}]
    log = world.hub.local("GET", "/api/v1/audit?limit=200").body.decode()
    assert node.admin_key not in log and "some key" not in log


def test_what_is_not_there_says_so(world, nodes):  # noqa: F811
    deployer = world.deployer
    for kind in ("K8S", "SAGEMAKER"):
        with pytest.raises(DataikuException, match=f"NotSupportedException.*{kind}"):
            deployer.create_infra("i", "Test", kind)
    with pytest.raises(DataikuException, match="NotSupportedException.*governance"):
        deployer.create_infra("i", "Test", "STATIC", govern_check_policy="PREVENT")
    with pytest.raises(DataikuException, match="NotFoundException.*Produktion"):
        deployer.create_infra("i", "Produktion", "STATIC")
    with pytest.raises(DataikuException, match="NotFoundException"):
        deployer.get_infra("none").get_status()
    with pytest.raises(DataikuException, match="NotFoundException"):
        deployer.get_deployment("none").start_update()
    service = deployer.create_service("shop")
    with pytest.raises(DataikuException, match="ConflictException"):
        deployer.create_service("shop")
    service.import_version(open(world.packages["v1"], "rb"))
    world.infra("empty")
    with pytest.raises(DataikuException, match="NotSupportedException.*endpoint"):
        deployer.create_deployment("d", "shop", "empty", "v1", endpoint_id="fare")
    with pytest.raises(DataikuException, match="NotFoundException.*v9"):
        deployer.create_deployment("d", "shop", "empty", "v9")
    deployment = deployer.create_deployment("d", "shop", "empty", "v1")
    with pytest.raises(DataikuException, match="no nodes"):
        deployment.start_update().wait_for_result()
    with pytest.raises(DataikuException, match="NotSupportedException.*governance"):
        deployment.get_governance_status()


def test_packages_that_are_none_are_refused(world, tmp_path):
    service = world.deployer.create_service("shop")
    damaged = bytearray(world.packages["v1"].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    for name, content in (("damaged.zip", bytes(damaged)), ("cut.zip", bytes(damaged[:500])), ("text.zip", b"no zip"), ("empty.zip", b"")):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(DataikuException, match="IllegalArgumentException"):
            service.import_version(open(file, "rb"))
    with pytest.raises(DataikuException, match="ConflictException.*'two'"):
        service.import_version(open(world.two, "rb"))
    auth = (world.hub.token, "")
    url = f"{world.hub.url}/dip/publicapi/api-deployer/services/shop/versions"
    nothing = requests.post(url, auth=auth, data=b"--B--\r\n", headers={"Content-Type": "multipart/form-data; boundary=B"}, timeout=20)
    assert nothing.status_code == 400 and "file" in nothing.json()["message"]
    plain = requests.post(url, auth=auth, data=b"PK", timeout=20)
    assert plain.status_code == 400
    elsewhere = requests.post(url, auth=auth, files={"file": ("../../../etc/passwd", open(world.packages["v1"], "rb"))}, timeout=60)
    assert elsewhere.status_code == 200, elsewhere.text
    assert [v["id"] for v in service.get_status().get_versions()] == ["v1"]
    # The same again is no error; another content of the same name is.
    service.import_version(open(world.packages["v1"], "rb"))
    forged = tmp_path / "forged.zip"
    from apinode import forge
    forge(world.packages["v2"], forged, generation="v1")
    with pytest.raises(DataikuException, match="ConflictException.*v1"):
        service.import_version(open(forged, "rb"))
    assert list((world.slipway.home / "uploads").iterdir()) == []


def test_a_project_publishes_to_the_deployer(world):
    project_service = world.api.get_project("p").get_api_service("shop")
    project_service.publish_package("v1")
    published = world.deployer.get_service("shop")
    assert [v["id"] for v in published.get_status().get_versions()] == ["v1"]
    settings = published.get_settings()
    settings.save()
    with pytest.raises(DataikuException, match="NotSupportedException.*another name"):
        project_service.publish_package("v1", published_service_id="elsewhere")
    with zipfile.ZipFile(world.packages["v1"]) as archive:
        assert json.loads(archive.read("manifest.json"))["id"] == "v1"


def test_the_snippet_of_the_docs_runs(slipway, nodes):  # noqa: F811
    page = (ROOT / "docs" / "dss-clients.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("p.yaml", little.project_yaml(more=SERVICES).replace("project: p", "project: shop").replace("  shop:\n", "  prices:\n", 1))
    slipway("apply", "-f", "p.yaml")
    slipway("build", "shop/m")
    node, hub = nodes(), Hub(slipway)
    try:
        names = {"hub_url": hub.url, "key": hub.key(), "node_url": node.url, "node_key": node.admin_key}
        exec(compile(code, "docs/dss-clients.md", "exec"), names)
        assert names["status"].get_health() == "HEALTHY"
        assert node.predict(RECORD, service="prices").status == 200
    finally:
        hub.stop()
