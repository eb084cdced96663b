"""The unmodified Dataiku client (dataiku-api-client) drives the hub: projects, saved models, jobs, futures, API services and packages.
Every call goes to the hub's own routes with the caller's rights; what is not there says so."""
import io
import json
import zipfile

import dataikuapi
import pytest
import requests
from dataikuapi.dss.future import DSSFuture
from dataikuapi.utils import DataikuException

import little
from hub import Hub, hub, hubs  # noqa: F401  (fixtures)

SERVICES = """services:
  shop:
    description: what it costs
    endpoints:
      fare: {prediction: m, test_queries: "from_dataset(new, 2)"}
      letters: {lookup: {table: letter_table, keys: [c], columns: [word]}}
"""


def client(hub, key=None, **kwargs):
    return dataikuapi.DSSClient(hub.url, key or hub.token, **kwargs)


def make(slipway, versions=1):
    slipway.write("letters.csv", "c,word\na,ant\nb,bee\nc,cat\n")
    yaml = little.project_yaml(more=SERVICES).replace("datasets:\n", "datasets:\n  letter_table: {type: files, path: letters.csv}\n")
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("p.yaml", yaml)
    slipway("apply", "-f", "p.yaml")
    for _ in range(versions):
        slipway("build", "p/m", "--mode", "this")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A hub with project p, three versions of its model; tests here leave it as it was, or make what is theirs."""
    from conftest import Slipway
    slipway = Slipway(tmp_path_factory.mktemp("dss"))
    slipway("init")
    make(slipway, versions=3)
    hub = Hub(slipway)
    yield hub
    hub.stop()


@pytest.fixture
def p(world):
    return client(world).get_project("p")


# ---------------------------------------------------------------- who calls


def test_every_way_to_show_a_key(world):
    token = world.token
    for kwargs in ({"api_key": token}, {"internal_ticket": token}, {"jwt_bearer_token": token}):
        api = dataikuapi.DSSClient(world.url, **kwargs)
        assert api.list_project_keys() == ["p"], kwargs
    assert dataikuapi.DSSClient(world.url + "/", token).list_project_keys() == ["p"]
    for kwargs in ({"api_key": "wrong"}, {"internal_ticket": "wrong"}, {"jwt_bearer_token": "wrong"}):
        with pytest.raises(DataikuException, match="UnauthorizedException.*key"):
            dataikuapi.DSSClient(world.url, **kwargs).list_project_keys()


def test_basic_and_tickets_are_for_these_clients_alone(world):
    """A browser would send Basic by itself; the hub's own API takes Bearer keys and sessions."""
    assert requests.get(f"{world.url}/api/v1/projects", auth=(world.token, ""), timeout=20).status_code == 401
    assert requests.get(f"{world.url}/api/v1/projects", headers={"X-DKU-APITicket": world.token}, timeout=20).status_code == 401
    assert requests.get(f"{world.url}/public/api/projects", auth=(world.token, ""), timeout=20).status_code == 200


def test_slashes_prefixes_and_headers(world):
    for path in ("/dip/publicapi/projects", "/dip/publicapi/projects/", "//dip//publicapi//projects//", "/public/api/projects/"):
        answer = requests.get(world.url + path, auth=(world.token, ""), timeout=20)
        assert answer.status_code == 200 and answer.json()[0]["projectKey"] == "p", path
        assert answer.headers["DSS-API-Version"] and answer.headers["DSS-Version"].startswith("slipway-")
    assert requests.get(f"{world.url}/publicity", timeout=20).headers["Content-Type"] == "application/problem+json"


def test_rights_are_those_of_the_hub(world):
    """Who may not see the project is told of nothing; who may only read changes nothing."""
    world.slipway("user", "add", "reader", "--role", "read@project:p")
    world.slipway("user", "add", "stranger")
    stranger = client(world, world.key("--account", "stranger"))
    assert stranger.list_project_keys() == [] and stranger.list_futures(all_users=True) == []
    for call in (lambda p: p.list_saved_models(), lambda p: p.get_saved_model("m").list_versions(), lambda p: p.list_api_services(),
                 lambda p: p.create_api_service("mine"), lambda p: p.get_job("1").get_status()):
        with pytest.raises(DataikuException, match="NotFoundException"):
            call(stranger.get_project("p"))
    reader = client(world, world.key("--account", "reader"))
    assert reader.list_project_keys() == ["p"]
    p = reader.get_project("p")
    active = p.get_saved_model("m").get_active_version()["id"]
    for call in (lambda: p.get_saved_model("m").set_active_version("1"), lambda: p.get_saved_model("m").delete_versions(["1"]),
                 lambda: p.get_saved_model("m").delete(), lambda: p.create_api_service("mine"), lambda: p.get_api_service("shop").create_package("v1"),
                 lambda: p.new_job("RECURSIVE_BUILD").with_output("copy").start()):
        with pytest.raises(DataikuException, match="UnauthorizedException.*may not"):
            call()
    assert p.get_saved_model("m").get_active_version()["id"] == active


# ---------------------------------------------------------------- what is not there says so


@pytest.mark.parametrize("call", [
    lambda c: c.list_plugins(),
    lambda c: c.get_project("p").list_datasets(),
    lambda c: c.get_project("p").list_scenarios(),
    lambda c: c.get_project("p").create_mlflow_pyfunc_model("x", "REGRESSION"),
    lambda c: c.get_project("p").get_saved_model("m").import_mlflow_version_from_path("v9", __file__),
    lambda c: c.get_project("p").get_saved_model("m").get_external_model_version_handler("1").get_settings(),
    lambda c: c.get_project("p").get_saved_model("m").get_version_details("1").get_scoring_mlflow("/dev/null"),
])
def test_calls_that_are_not_there_say_so(world, call):
    with pytest.raises(DataikuException, match="NotSupportedException: Slipway does not support"):
        call(client(world))


def test_errors_are_objects_with_all_three_texts(world):
    auth = (world.token, "")
    for method, path, status in (("GET", "/projects/none/savedmodels/", 404), ("GET", "/wikis", 501), ("GET", "/projects/p/savedmodels/a%2Fb", 404),
                                 ("POST", "/projects/p/jobs/", 400), ("GET", "/futures/None", 404), ("GET", "/projects/p%3Fq/jobs/", 404)):
        answer = requests.request(method, world.url + "/dip/publicapi" + path, auth=auth, data="{", timeout=20)
        assert answer.status_code == status, (path, answer.text)
        body = answer.json()
        assert body["errorType"] and body["message"] and body["detailedMessage"], path
    too_much = requests.post(f"{world.url}/dip/publicapi/projects/p/jobs/", auth=auth, data=b"x" * (17 << 20), timeout=60)
    assert too_much.status_code == 413 and too_much.json()["errorType"] == "TooLargeException"
    nan = requests.post(f"{world.url}/dip/publicapi/projects/p/jobs/", auth=auth, data='{"outputs": NaN}', timeout=20)
    assert nan.status_code == 400


# ---------------------------------------------------------------- projects


def test_projects(world):
    api = client(world)
    assert api.list_project_keys() == ["p"]
    assert api.get_project("p").get_metadata()["label"] == "p"
    assert api.get_project("p").get_summary()["projectKey"] == "p"
    assert api.get_auth_info()["authIdentifier"]
    assert api.get_instance_info().node_type == "DESIGN"


# ---------------------------------------------------------------- saved models


def test_saved_models_and_their_versions(p):
    assert [m["id"] for m in p.list_saved_models()] == ["m"]
    model = p.get_saved_model("m")
    versions = model.list_versions()
    assert [v["id"] for v in versions] == ["1", "2", "3"]
    assert [v["active"] for v in versions] == [False, False, True]
    model.set_active_version("1")
    assert model.get_active_version()["id"] == "1"
    model.set_active_version("3")
    assert model.get_active_version()["id"] == "3"
    with pytest.raises(DataikuException, match="NotFoundException"):
        model.set_active_version("99")
    with pytest.raises(DataikuException, match="NotFoundException.*numbers"):
        model.set_active_version("initial")
    with pytest.raises(DataikuException, match="NotFoundException"):
        p.get_saved_model("nope").list_versions()


def test_details_of_a_version(world, p):
    told = world.slipway.json("model", "show", "p/m@2")
    details = p.get_saved_model("m").get_version_details("2")
    metrics = details.get_performance_metrics()
    assert metrics["rmse"] == told["metrics"]["rmse"] and metrics["r2"] == told["metrics"]["r2"]
    assert metrics["medianAbsoluteError"] == told["metrics"]["median_absolute_error"]
    raw = details.get_raw()
    assert raw["coreParams"] == {"prediction_type": "REGRESSION", "target_variable": "y"}
    assert details.get_train_info()["trainRows"] == told["rows"]
    assert details.get_preprocessing_settings()["per_feature"]["c"]["type"] == "CATEGORY"
    assert raw["fullModelId"] == "S-p-m-2"
    values = p.get_saved_model("m").get_metric_values("2")
    assert values.get_global_value("model_perf:rmse") == told["metrics"]["rmse"]


def test_settings_of_a_model_come_back_as_they_were_and_not_otherwise(p):
    settings = p.get_saved_model("m").get_settings()
    assert settings.get_raw()["miniTask"]["predictionType"] == "REGRESSION"
    settings.save()
    settings.get_raw()["miniTask"]["predictionType"] = "MULTICLASS"
    with pytest.raises(DataikuException, match="does not support changing 'miniTask'"):
        settings.save()


def test_deleting_versions_and_a_model(slipway, hubs):
    make(slipway, versions=3)
    p = client(hubs(slipway)).get_project("p")
    model = p.get_saved_model("m")
    with pytest.raises(DataikuException, match="ConflictException.*active"):
        model.delete_versions(["1", "3"])
    remaining = [v["id"] for v in model.list_versions()]
    assert "3" in remaining
    model.delete_versions("2")
    assert "2" not in [v["id"] for v in model.list_versions()]
    with pytest.raises(DataikuException):  # the score recipe and the service use it
        model.delete()
    assert [m["id"] for m in p.list_saved_models()] == ["m"]
    slipway("dataset", "ls", "p")
    yaml = (slipway.folder / "p.yaml").read_text()
    lean = yaml[:yaml.index("  score_new")]
    slipway.write("p.yaml", lean)
    slipway("apply", "-f", "p.yaml", "--prune")
    model.delete()
    assert p.list_saved_models() == []
    assert "train_m" not in json.dumps(slipway.json("project", "show", "p")["definition"])


# ---------------------------------------------------------------- jobs and futures


def test_a_job_is_started_waited_for_and_read(p):
    job = p.start_job({"type": "NON_RECURSIVE_FORCED_BUILD", "outputs": [{"id": "copy", "type": "DATASET", "projectKey": "p"}]})
    state = dataikuapi.dss.job.DSSJobWaiter(job).wait()
    assert state == "DONE"
    status = job.get_status()
    assert status["baseStatus"]["activities"]["copy_t"]["state"] == "DONE" and status["globalState"]["done"] == 1
    assert status["baseStatus"]["startTime"] > 1_700_000_000_000 and status["baseStatus"]["endTime"] >= status["baseStatus"]["startTime"]
    assert "copy" in job.get_log()
    assert job.id in [j["jobId"] for j in p.list_jobs()]
    assert job.id not in [j["jobId"] for j in p.list_running_jobs()]
    with pytest.raises(DataikuException, match="ConflictException"):
        job.abort()
    built = p.new_job("RECURSIVE_BUILD").with_output("agg").start_and_wait()
    assert built.get_status()["baseStatus"]["state"] == "DONE"


def test_jobs_say_what_they_cannot(p):
    with pytest.raises(DataikuException, match="NotSupportedException.*partitions"):
        p.start_job({"type": "RECURSIVE_BUILD", "outputs": [{"id": "copy", "partition": "2024-01"}]})
    with pytest.raises(DataikuException, match="NotFoundException.*copi"):
        p.start_job({"type": "RECURSIVE_BUILD", "outputs": [{"id": "copi"}]})
    with pytest.raises(DataikuException, match="no jobs of type"):
        p.start_job({"type": "SOMETHING", "outputs": [{"id": "copy"}]})
    with pytest.raises(DataikuException, match="NotSupportedException.*MANAGED_FOLDER"):
        p.start_job({"type": "RECURSIVE_BUILD", "outputs": [{"id": "copy", "type": "MANAGED_FOLDER"}]})
    with pytest.raises(DataikuException, match="NotFoundException"):
        p.get_job("job-999999").get_status()


def test_a_failed_job_is_a_failed_state_and_a_failed_future(slipway, hubs):
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("p.yaml", little.project_yaml(query="SELECT no_such_column FROM copy"))
    slipway("apply", "-f", "p.yaml")
    api = client(hubs(slipway))
    job = api.get_project("p").new_job("RECURSIVE_BUILD").with_output("agg").start()
    with pytest.raises(DataikuException, match="FAILED"):
        dataikuapi.dss.job.DSSJobWaiter(job).wait()
    assert "no_such_column" in job.get_status()["baseStatus"]["firstFailure"]["message"]
    future = DSSFuture(api, job.id)
    for call in (future.get_state, future.peek_state, future.wait_for_result, future.get_result):
        with pytest.raises(DataikuException, match="no_such_column"):
            call()


def test_futures(world, p):
    api = client(world)
    job = p.new_job("NON_RECURSIVE_FORCED_BUILD").with_output("copy").start()
    future = DSSFuture(api, job.id, {"jobId": job.id, "hasResult": False})
    future.wait_for_result()
    assert future.has_result() and future.get_state()["hasResult"] and future.peek_state()["jobId"] == job.id
    future.get_result()  # again: it is kept
    future.abort()       # ended: no error, nothing to do
    with pytest.raises(DataikuException, match="NotFoundException"):
        DSSFuture(api, "job-999999").get_state()
    assert api.list_futures(all_users=True) == [] and api.list_running_scenarios() == [] and api.list_running_jobs() == []


def test_a_running_job_is_listed_and_aborted(slipway, hubs):
    slipway.write("t.csv", little.training_csv(rows=2000))
    slipway.write("new.csv", little.unseen_csv())
    endless = "SELECT count(*) AS k FROM copy a, copy b, copy d, copy e WHERE a.x + b.x + d.x + e.x < 0"
    slipway.write("p.yaml", little.project_yaml(query=endless))
    slipway("apply", "-f", "p.yaml")
    slipway("build", "p/copy")
    api = client(hubs(slipway))
    p = api.get_project("p")
    for abort in ("job", "future"):
        job = p.new_job("NON_RECURSIVE_FORCED_BUILD").with_output("agg").start()
        assert [j["jobId"] for j in p.list_running_jobs()] == [job.id]
        assert [j["jobId"] for j in api.list_running_jobs()] == [job.id]
        state = DSSFuture(api, job.id).get_state()
        assert state["hasResult"] is False and state["alive"] is True
        assert [f.job_id for f in api.list_futures(as_objects=True)] == [job.id]
        job.abort() if abort == "job" else DSSFuture(api, job.id).abort()
        assert dataikuapi.dss.job.DSSJobWaiter(job).wait(no_fail=True) == "ABORTED"
        with pytest.raises(DataikuException, match="aborted"):
            DSSFuture(api, job.id).wait_for_result()


# ---------------------------------------------------------------- API services


def test_api_services_and_their_settings(world, p):
    listed = p.list_api_services()
    assert [s["id"] for s in listed] == ["shop"]
    assert [(e["id"], e["type"]) for e in listed[0]["endpoints"]] == [("fare", "STD_PREDICTION"), ("letters", "DATASETS_LOOKUP")]
    before = world.slipway.json("project", "show", "p")["definition"]["services"]
    p.get_api_service("shop").get_settings().save()
    assert world.slipway.json("project", "show", "p")["definition"]["services"] == before


def test_a_service_is_made_changed_packaged_fetched_and_deleted(world, p, tmp_path):
    service = p.create_api_service("made")
    with pytest.raises(DataikuException, match="ConflictException"):
        p.create_api_service("made")
    assert service.list_packages() == []
    settings = service.get_settings()
    settings.add_prediction_endpoint("price", "m")
    settings.get_raw()["authMethod"] = "API_KEYS"
    settings.save()
    definition = world.slipway.json("project", "show", "p")["definition"]["services"]["made"]
    assert definition == {"endpoints": {"price": {"prediction": "m"}}, "auth": "api_keys"}
    with pytest.raises(DataikuException, match="numbers packages.*'v1'"):
        service.create_package("first")
    service.create_package("v1", release_notes="the first one")
    packages = service.list_packages()
    assert [x["id"] for x in packages] == ["v1"] and packages[0]["createdOn"] > 1_700_000_000_000
    assert service.get_package_summary("v1")["releaseNotes"] == "the first one"
    with pytest.raises(DataikuException, match="ConflictException"):
        service.create_package("v1")
    with pytest.raises(DataikuException, match="next package of 'made' is v2, not v20"):
        service.create_package("v20")
    assert len(service.list_packages()) == 1
    file = tmp_path / "v1.zip"
    service.download_package_to_file("v1", str(file))
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("manifest.json"))["id"] == "v1"
    with service.download_package_stream("v1") as stream:
        assert zipfile.is_zipfile(io.BytesIO(stream.read()))
    service.create_package("v2")
    service.delete_package("v1")
    assert [x["id"] for x in service.list_packages()] == ["v2"]
    with pytest.raises(DataikuException, match="NotFoundException"):
        service.delete_package("v1")


def test_settings_that_are_not_there_say_so(p):
    service = p.create_api_service("picky")
    for change, why in ((lambda s: s.add_clustering_endpoint("e", "m"), "STD_CLUSTERING"),
                        (lambda s: s.add_prediction_endpoint("e", "no_such_model"), "no_such_model"),
                        (lambda s: s.get_raw().update(authMethod="OAUTH2"), "OAUTH2"),
                        (lambda s: s.get_raw().update(tags=["a"]), "tags"),
                        (lambda s: s.get_raw()["endpoints"].append({"id": "e", "type": "STD_PREDICTION", "modelRef": "m", "useJava": True}), "useJava")):
        settings = service.get_settings()
        change(settings)
        with pytest.raises(DataikuException, match=why):
            settings.save()
    assert service.get_settings().get_raw()["endpoints"] == []


def test_what_a_client_changed_is_in_the_audit_log_as_the_caller(world, p):
    p.create_api_service("noted")
    last = world.local("GET", "/api/v1/audit?project=p&limit=1").json[0]
    assert "/api/v1/apply" in json.dumps(last) and "noted" in json.dumps(last)
