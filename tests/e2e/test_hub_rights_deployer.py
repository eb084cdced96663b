"""The API Deployer's lists and objects for callers with narrow roles: what they may not read is not told, neither in lists nor by name,
nor as a name inside of what they may read."""
import pytest

import little
from conftest import Slipway
from hub import Hub

YAML = """project: {0}
datasets: {{t: {{type: files, path: t.csv}}}}
models: {{m: {{}}}}
recipes:
  train_m: {{type: train, input: t, output: m, target: "y", prediction: regression, features: {{id: ignore}},
             algorithm: {{lightgbm: {{num_iterations: 3, min_data_in_leaf: 5}}}}}}
services: {{{0}-svc: {{endpoints: {{e: {{prediction: m}}}}}}}}
"""
ROLES = {"none": [], "reader": ["read@project:own"], "onservice": ["deploy@service:own/own-svc"], "oninfra": ["read@infra:own"],
         "both": ["read@project:own", "deploy@infra:other"], "all": ["read"]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Two projects with a service each, both services deployed on the infrastructures `own` and `other`; nothing runs there."""
    slipway = Slipway(tmp_path_factory.mktemp("deployer-rights"))
    slipway("init")
    slipway.write("t.csv", little.training_csv())
    for n, project in enumerate(("own", "other")):
        slipway.write("p.yaml", YAML.format(project))
        slipway("apply", "-f", "p.yaml")
        slipway("build", f"{project}/m")
        slipway("service", "package", f"{project}/{project}-svc")
        slipway("service", "publish", f"{project}/{project}-svc")
        slipway("infra", "add", project, "--node", f"http://127.0.0.1:{n + 1}")
    for service in ("own", "other"):
        for infra in ("own", "other"):
            slipway("deployment", "create", f"{service}-on-{infra}", "--service", f"{service}-svc", "--infra", infra)
    keys = {}
    for name, roles in ROLES.items():
        slipway("user", "add", name, *[w for r in roles for w in ("--role", r)])
        keys[name] = slipway.json("key", "create", "--label", name, "--account", name)["key"]
    hub = Hub(slipway)
    assert hub.local("POST", "/api/v1/published-services", {"service": "of-nobody"}).status == 201
    yield hub, keys
    hub.stop()


def lists(hub, key):
    def names(path, name):
        answer = hub.call("GET", path, key=key)
        assert answer.status == 200, (path, answer)
        return [item[name] for item in answer.json]
    plain, examined = names("/api/v1/deployments", "name"), names("/api/v1/deployments?status=true", "name")
    assert plain == examined
    return plain, names("/api/v1/infras", "name"), names("/api/v1/published-services", "service")


def test_lists_show_only_what_the_caller_may_read(asked):
    hub, keys = asked
    on_own, on_other = ["other-on-own", "own-on-own"], ["other-on-other", "own-on-other"]
    assert lists(hub, keys["none"]) == ([], [], [])
    assert lists(hub, keys["reader"]) == lists(hub, keys["onservice"]) == ([], [], ["own-svc"])
    assert lists(hub, keys["oninfra"]) == (on_own, ["own"], [])
    assert lists(hub, keys["both"]) == (on_other, ["other"], ["own-svc"])
    everything = (sorted(on_own + on_other), ["other", "own"], ["of-nobody", "other-svc", "own-svc"])
    assert lists(hub, keys["all"]) == lists(hub, hub.token) == everything


def test_what_is_read_names_nothing_that_is_hidden(asked):
    hub, keys = asked
    def deployments(caller):
        (service,) = [s for s in hub.call("GET", "/api/v1/published-services", key=keys[caller]).json if s["service"] == "own-svc"]
        assert service == hub.call("GET", "/api/v1/published-services/own-svc", key=keys[caller]).json
        return service["deployments"]
    assert deployments("reader") == []
    assert deployments("both") == ["own-on-other"]
    assert deployments("all") == ["own-on-other", "own-on-own"]
    (infra,) = hub.call("GET", "/api/v1/infras", key=keys["oninfra"]).json
    assert sorted(infra["deployments"]) == ["other-on-own", "own-on-own"]


def test_a_published_service_is_its_projects(asked):
    hub, keys = asked
    def status(caller, path, method="GET"):
        return hub.call(method, "/api/v1/published-services/" + path, key=keys[caller]).status
    for path in ("own-svc", "own-svc/versions/v1/archive", "own-svc/versions/v1/openapi.json"):
        assert [status(c, path) for c in ("none", "reader", "onservice", "oninfra", "all")] == [404, 200, 200, 404, 200], path
    assert [status(c, "other-svc") for c in ("reader", "all")] == [404, 200]
    assert [status(c, "of-nobody") for c in ("reader", "both", "all")] == [404, 404, 200]
    assert [status(c, "absent") for c in ("none", "reader", "all")] == [404, 404, 404]
    assert [status(c, "own-svc/versions/v1", "DELETE") for c in ("none", "reader", "all", "onservice")] == [404, 403, 403, 409]  # it is used
    # What is hidden and what is absent look the same.
    hidden, absent = (hub.call("GET", f"/api/v1/published-services/{name}", key=keys["reader"]).json for name in ("other-svc", "absent"))
    assert hidden["message"].replace("other-svc", "absent") == absent["message"]


def test_activity_is_that_of_what_the_caller_may_read(asked):
    hub, keys = asked
    for path in ("/api/v1/activity", "/api/v1/activity?since=1h"):
        for caller in ("none", "oninfra", "all"):
            answer = hub.call("GET", path, key=keys[caller])
            assert answer.status == 200 and answer.json == [], answer
