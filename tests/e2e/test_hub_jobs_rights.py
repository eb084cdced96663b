"""Narrow roles on a service or an infrastructure: the jobs that they start are theirs to follow, and what they deploy is theirs to see;
conditions and audit records of the API Deployer's objects."""
import json

import pytest

import little
from conftest import Slipway
from hub import Hub
from test_hub_rights_deployer import YAML

ROLES = {"carl": ["deploy@infra:dev"], "fay": ["write@service:shop/shop-svc", "deploy@service:shop/shop-svc", "deploy@infra:dev"],
         "bob": ["write@project:shop"], "reader": ["read@project:shop", "read@infra:dev"]}
LIVE = "/api/v1/deployments/live"


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Published services of two projects; one is deployed on `dev`, whose node does not answer."""
    slipway = Slipway(tmp_path_factory.mktemp("jobs-rights"))
    slipway("init")
    slipway.write("t.csv", little.training_csv())
    for project in ("shop", "pay"):
        slipway.write("p.yaml", YAML.format(project))
        slipway("apply", "-f", "p.yaml")
        slipway("build", f"{project}/m")
        slipway("service", "package", f"{project}/{project}-svc")
        slipway("service", "publish", f"{project}/{project}-svc")
    slipway("infra", "add", "dev", "--node", "http://127.0.0.1:1")
    slipway("infra", "add", "prod", "--node", "http://127.0.0.1:2", "--stage", "Production")
    slipway("deployment", "create", "live", "--service", "shop-svc", "--infra", "dev")
    keys = {}
    for name, roles in ROLES.items():
        slipway("user", "add", name, *[w for r in roles for w in ("--role", r)])
        keys[name] = slipway.json("key", "create", "--label", name, "--account", name)["key"]
        slipway.write(f"{name}.key", keys[name])
    hub = Hub(slipway)
    yield hub, keys
    hub.stop()


def by(hub, who, *words, **more):
    return hub.slipway("--server", hub.url, "--key-file", f"{who}.key", *words, **more)


def jobs_of(hub, key, kind):
    return [j["job"] for j in hub.call("GET", "/api/v1/jobs", key=key).json if j["kind"] == kind]


def test_whoever_deploys_follows_the_job_and_may_abort_it(asked):
    hub, keys = asked
    updated = by(hub, "carl", "deployment", "update", "live", "--json", code=7)
    assert "not every node can be reached" in updated.error["message"], updated.err
    (job,) = jobs_of(hub, keys["carl"], "deploy")
    assert jobs_of(hub, keys["fay"], "deploy") == jobs_of(hub, keys["reader"], "deploy") == [job] and jobs_of(hub, keys["bob"], "deploy") == []
    assert job in by(hub, "carl", "job", "ls").out
    seen = {who: [hub.call("GET", path, key=keys[who]).status for path in (f"/api/v1/jobs/{job}", f"/api/v1/jobs/{job}/log", f"/api/v1/events?job={job}")]
            for who in ROLES}
    assert seen == {"carl": [200] * 3, "fay": [200] * 3, "reader": [200] * 3, "bob": [404] * 3}
    # It has ended: 409 is for who might.
    aborted = {who: hub.call("POST", f"/api/v1/jobs/{job}/abort", key=keys[who]).status for who in ROLES}
    assert aborted == {"carl": 409, "fay": 409, "reader": 403, "bob": 404}
    assert hub.call("GET", f"/dip/publicapi/futures/{job}", key=keys["carl"]).status != 404


def test_whoever_packages_a_service_follows_the_job(asked):
    hub, keys = asked
    by(hub, "fay", "service", "package", "shop/shop-svc")
    (job, *_) = jobs_of(hub, keys["fay"], "package")
    assert jobs_of(hub, keys["bob"], "package")[0] == job and jobs_of(hub, keys["carl"], "package") == []
    assert [hub.call("GET", f"/api/v1/jobs/{job}", key=keys[who]).status for who in ROLES] == [404, 200, 200, 200]
    assert [hub.call("POST", f"/api/v1/jobs/{job}/abort", key=keys[who]).status for who in ROLES] == [404, 409, 409, 403]
    assert hub.call("GET", "/api/v1/jobs?project=shop", key=keys["fay"]).json[0]["job"] == job


def test_who_started_a_job_sees_it_without_the_role(asked):
    hub, keys = asked
    hub.slipway("user", "add", "dora", "--role", "deploy@infra:dev")
    key = hub.key("--account", "dora")
    job = hub.call("POST", LIVE + "/update", {}, key=key).json["job"]
    hub.slipway("user", "revoke", "dora", "deploy", "--on", "infra:dev")
    assert jobs_of(hub, key, "deploy") == [job]
    assert hub.call("GET", f"/api/v1/jobs/{job}", key=key).status == 200
    assert hub.call("POST", f"/api/v1/jobs/{job}/abort", key=key).status == 403


def test_to_deploy_a_service_takes_seeing_it(asked):
    hub, keys = asked
    def create(who, service, infra="dev"):
        return hub.call("POST", "/api/v1/deployments", {"name": "sneaky", "service": service, "infra": infra}, key=keys[who])
    hidden, absent = create("carl", "pay-svc"), create("carl", "salt-svc")
    assert hidden.status == absent.status == 404
    assert hidden.json["message"].replace("pay-svc", "salt-svc") == absent.json["message"]
    assert create("carl", "pay/pay-svc").status == 404 and create("fay", "pay-svc").status == 404
    made = hub.call("POST", "/dip/publicapi/api-deployer/deployments", {"deploymentId": "sneaky", "publishedServiceId": "pay-svc", "infraId": "dev",
                                                                       "version": "v1"}, key=keys["carl"])
    assert made.status == 404
    assert create("fay", "shop-svc").status == 409  # it is there already
    # To promote takes the same.
    for who in ("carl", "fay"):
        hub.slipway("user", "grant", who, "deploy", "--on", "infra:prod")
    promoted = [hub.call("POST", LIVE + "/promote", {"to": "prod"}, key=keys[who]) for who in ("carl", "fay")]
    assert [p.status for p in promoted] == [404, 409] and "serves nothing" in promoted[1].json["message"]


def test_the_name_of_a_promotion_is_a_name(asked):
    hub, _ = asked
    for name in ("./../../victim/y", "with blanks", "x" * 129):
        refused = hub.local("POST", LIVE + "/promote", {"to": "prod", "name": name})
        assert refused.status == 400 and "not a valid name" in refused.json["message"], refused
    assert "at most 128" in refused.json["message"]


def test_changes_of_the_deployer_heed_conditions(asked):
    hub, _ = asked
    for read, write, bodies in ((LIVE, LIVE + "/settings", ({"settings": {"max_concurrent": 3}}, {"settings": {"max_concurrent": 4}})),
                                ("/api/v1/infras/prod", "/api/v1/infras/prod/nodes", ({"nodes": [{"url": f"http://127.0.0.1:{p}"}]} for p in (3, 4))),
                                ("/api/v1/stages", "/api/v1/stages", ({"stages": [{"name": n, "description": d} for n in ("Development", "Test", "Production")]}
                                                                      for d in ("a", "b")))):
        etag = hub.local("GET", read).headers["ETag"]
        first, second = bodies
        changed = hub.local("PUT", write, first, headers={"If-Match": etag})
        assert changed.status == 200 and changed.headers["ETag"] == hub.local("GET", read).headers["ETag"] != etag, write
        assert hub.local("PUT", write, second, headers={"If-Match": etag}).status == 412, write
        assert hub.local("PUT", write, second, headers={"If-Match": changed.headers["ETag"]}).status == 200, write
        paths = hub.local("GET", "/api/v1/openapi.json").json["paths"]
        template = write.replace("live", "{deployment}").replace("prod", "{infra}")
        assert "If-Match" in [p["name"] for p in paths[template]["put"]["parameters"]]


def test_the_audit_log_says_what_was_asked_for_and_what_came_of_it(asked):
    hub, _ = asked
    def last(action):
        return next(r for r in hub.local("GET", "/api/v1/audit").json if r["action"].endswith(action))
    hub.slipway("deployment", "update", "live", "--version", "v1", code=7)
    record = last("/update")
    assert record["before"]["desired"]["generations"] == [{"generation": "v1", "weight": 1.0}] and record["after"] == {"version": "v1"}
    hub.slipway("service", "package", "pay/pay-svc", "--notes", "second")
    assert last("/packages")["after"]["notes"] == "second" and last("/packages")["before"] == {"packages": ["v1"]}
    ended = last("job ended")
    assert ended["after"]["status"] == "done" and ended["after"]["result"]["package"] == "v2"
    hub.slipway("service", "publish", "pay/pay-svc")
    assert last("/publish")["before"] == {"versions": ["v1"]} and last("/publish")["after"] == {"versions": ["v1", "v2"]}
    # What changes nothing is not in it.
    asked_ = {r["action"] for r in hub.local("GET", "/api/v1/audit?limit=1000").json}
    for path, body in (("plan", {}), ("test", {}), ("query", {"endpoint": "e", "record": {}})):
        hub.local("POST", f"{LIVE}/{path}", body)
    assert {r["action"] for r in hub.local("GET", "/api/v1/audit?limit=1000").json} == asked_


def test_a_projects_administrator_sees_no_records_of_jobs_elsewhere(asked):
    hub, keys = asked
    hub.slipway("user", "add", "amy", "--role", "admin@project:shop")
    key = hub.key("--account", "amy")
    assert by(hub, "carl", "deployment", "update", "live", code=7)
    def records(key, more=""):
        return hub.call("GET", f"/api/v1/audit?project=shop{more}", key=key).json
    all_, seen = records(hub.token, "&limit=1000"), records(key, "&limit=1000")
    deploys = [r for r in all_ if r["after"] and r["after"].get("scope") == "infra:dev"]
    of = {r["path"] for r in deploys}
    assert deploys and seen == [r for r in all_ if r["path"] not in of]
    assert any(r["action"] == "job started" for r in seen) and "infra:" not in json.dumps(seen)
    # Pages are of what is seen.
    paged, path = [], "/api/v1/audit?project=shop&limit=2"
    while path:
        answer = hub.call("GET", path, key=key)
        assert len(answer.json) == 2 or "Link" not in answer.headers
        paged += answer.json
        path = answer.headers["Link"].split(">")[0][1:] if "Link" in answer.headers else None
    assert paged == seen
    hub.slipway("user", "grant", "amy", "read", "--on", "infra:dev")
    assert records(key, "&limit=1000") == all_


def test_a_projects_administrator_sees_roles_on_it_alone(asked):
    hub, keys = asked
    hub.slipway("user", "add", "ann", "--role", "admin@project:shop")
    hub.slipway("user", "add", "zoe", "--role", "read@project:pay", "--role", "deploy@infra:prod", "--role", "write@service:shop/shop-svc", "--role", "read")
    key, there = hub.key("--account", "ann"), [{"role": "write", "scope": "service:shop/shop-svc"}]
    given = {"role": "read", "scope": "project:shop"}
    def sorted_(grants):
        return sorted(grants, key=lambda g: g["scope"])
    granted = hub.call("POST", "/api/v1/users/zoe/grants", given, key=key)
    assert granted.status == 200 and sorted_(granted.json["grants"]) == [given, *there]
    taken = hub.call("DELETE", "/api/v1/users/zoe/grants?role=read&scope=project:shop", key=key)
    assert taken.status == 200 and taken.json["grants"] == there
    gone, came = hub.call("GET", "/api/v1/audit?project=shop&limit=2", key=key).json
    assert gone["after"]["grants"] == came["before"]["grants"] == there
    assert sorted_(gone["before"]["grants"]) == sorted_(came["after"]["grants"]) == [given, *there]
    # Whoever may see all sees all.
    assert len(hub.local("GET", "/api/v1/audit?project=shop&limit=1").json[0]["before"]["grants"]) == 5
    assert len(hub.local("GET", "/api/v1/users/zoe").json["grants"]) == 4


def test_stages_are_for_anybody_known(asked):
    hub, _ = asked
    hub.slipway("user", "add", "new")
    assert [s["name"] for s in hub.call("GET", "/api/v1/stages", key=hub.key("--account", "new")).json] == ["Development", "Test", "Production"]
    assert hub.call("GET", "/api/v1/stages").status == 401
