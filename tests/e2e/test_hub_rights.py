"""Every route of the hub, asked by every kind of caller: the table of routes is the hub's own (its OpenAPI document), the rule is written
here a second time. Requests carry a key that no route knows, so that whoever is let through is told 400 and changes nothing."""
import json

import pytest

import little
from hub import Hub
from conftest import Slipway

YAML = """project: {0}
datasets:
  orders: {{type: files, path: orders.csv}}
  copy: {{type: managed}}
models: {{m: {{}}}}
recipes:
  s: {{type: sync, input: orders, output: copy}}
services:
  svc: {{endpoints: {{e: {{prediction: m}}}}}}
"""
PASSWORD = "correct horse battery"
# account -> its roles; the tables below say what each may do.
ACCOUNTS = {
    "none": [], "reader": ["read@project:own"], "writer": ["write@project:own"], "deployer": ["deploy@project:own"],
    "owner": ["admin@project:own"], "everyreader": ["read"], "everywriter": ["write"], "everyadmin": ["admin"],
    "onservice": ["write@service:own/svc"], "oninfra": ["admin@infra:own"],
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A hub with two projects, a job in each, and a key of every kind of caller."""
    slipway = Slipway(tmp_path_factory.mktemp("rights"))
    slipway("init")
    slipway.write("orders.csv", little.training_csv(rows=50))
    for project in ("own", "other"):
        slipway.write("p.yaml", YAML.format(project))
        slipway("apply", "-f", "p.yaml")
        slipway("build", f"{project}/copy")
    slipway("infra", "add", "own", "--node", "http://127.0.0.1:1")
    hub = Hub(slipway)
    keys = {"anonymous": None, "stranger": "swk_" + "x" * 43, "local": hub.token}
    slipway.write("pw", PASSWORD)
    for name, roles in ACCOUNTS.items():
        slipway("user", "add", name, *[w for r in roles for w in ("--role", r)])
        keys[name] = slipway.json("key", "create", "--label", name, "--account", name)["key"]
    slipway("user", "add", "root", "--admin")
    keys["root"] = slipway.json("key", "create", "--label", "root", "--account", "root")["key"]
    keys["root-read"] = slipway.json("key", "create", "--label", "r", "--account", "root", "--role", "read")["key"]
    keys["root-own"] = slipway.json("key", "create", "--label", "o", "--account", "root", "--on", "project:own")["key"]
    slipway("user", "add", "gone", "--admin")
    keys["disabled"] = slipway.json("key", "create", "--label", "gone", "--account", "gone")["key"]
    slipway("user", "disable", "gone")
    revoked = slipway.json("key", "create", "--label", "revoked", "--account", "root")
    keys["revoked"] = revoked["key"]
    slipway("key", "revoke", revoked["id"])
    document = hub.local("GET", "/api/v1/openapi.json").json
    yield hub, keys, document
    hub.stop()


def may(caller, permission, project, service, infra=None):
    """The rule, once more. project None: the whole instance."""
    if caller in ("local", "root"):
        return True
    if caller == "root-read":
        return permission == "read"
    if caller == "root-own":
        return project == "own" and not infra
    for role in ACCOUNTS[caller]:
        role, _, scope = role.partition("@")
        covers = scope in ("", f"project:{project}") or (service and scope == f"service:{project}/{service}") or (infra and scope == f"infra:{infra}")
        if covers and (role in ("admin", permission) or permission == "read"):
            return True
    return False


def expected(caller, operation, project, service, infra):
    permission = operation["x-permission"]
    if permission == "public":
        return "in"
    if caller in ("anonymous", "stranger", "disabled", "revoked"):
        return 401
    if permission == "signed_in" or (operation["x-filtered"] and permission == "read" and project is None):
        return "in"
    # There is none: its infrastructure, its project is not known.
    if operation["path"].startswith(("/api/v1/deployments/", "/api/v1/published-services/")):
        return "in" if may(caller, "read", None, None) else 404
    if may(caller, permission, project, service, infra):
        return "in"
    if infra and not may(caller, "read", None, None, infra):
        return 404
    return 403 if project is None or may(caller, "read", project, service) else 404


def requests_of(path, method, operation, project):
    """Path, body, and what they are about: (project or None, service or None)."""
    about = (project, None)
    service = None
    names = {"project": project, "dataset": "orders", "recipe": "s", "model": "m", "version": "1", "service": "svc", "package": "v1",
             "job": {"own": "1", "other": "2"}[project], "user": "reader", "key": "key-none", "infra": project, "deployment": "unknown", "update": "1"}
    wanted = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
    unknown = [w for w in wanted if w not in names]
    for name in unknown:
        names[name] = "unknown"
    url = path
    for name in wanted:
        url = url.replace("{" + name + "}", names[name])
    if "service" in wanted:
        service = "svc"
    body = {"no_such_key": 1}
    query = "?no_such_key=1"
    if "project" in wanted or "job" in wanted:
        pass
    elif "service" in wanted:  # a published one: the deployer's
        about, service = (None, None), None
    elif path in ("/api/v1/apply", "/api/v1/diff"):
        body["definition"] = {"project": project}
    elif path == "/api/v1/audit":
        query += f"&project={project}"
    elif path == "/api/v1/events":
        query += f"&job={names['job']}"
    elif path.endswith("/grants"):
        body["scope"] = f"project:{project}"
        query += f"&scope=project:{project}"
    else:
        about = (None, None)
    infra = project if "infra" in wanted else None
    return url + query, body, (about[0], service, infra)


def test_every_route_for_every_caller(asked):
    hub, keys, document = asked
    wrong, count, routes = [], 0, set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            routes.add((method, path))
            for project in ("own", "other"):
                operation["path"] = path
                url, body, (about, service, infra) = requests_of(path, method, operation, project)
                for caller, key in keys.items():
                    want = expected(caller, operation, about, service, infra)
                    answer = hub.call(method.upper(), url, None if method in ("get", "delete") else body, key=key)
                    count += 1
                    hidden = answer.status == 404 and "no right to see it" in answer.json["message"]
                    got = 401 if answer.status == 401 else 403 if answer.status == 403 else 404 if hidden else "in"
                    if got != want:
                        wrong.append(f"{caller}: {method.upper()} {url} -> {answer.status} {answer.body[:120]!r}, expected {want}")
    assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong[:40])
    assert count == len(routes) * 2 * len(keys) and len(routes) > 45, (count, len(routes))


def test_lists_show_what_the_caller_may_see(asked):
    hub, keys, _ = asked
    for path, name in (("/api/v1/projects", lambda p: p["name"]), ("/api/v1/models", lambda m: m["name"].split("/")[0]),
                       ("/api/v1/services", lambda s: s["name"].split("/")[0]), ("/api/v1/jobs", lambda j: j["project"])):
        def seen(caller):
            return {name(item) for item in hub.call("GET", path, key=keys[caller]).json}
        assert seen("none") == seen("oninfra") == set(), path
        assert seen("reader") == seen("root-own") == {"own"}, path
        assert seen("everyreader") == seen("root") == seen("local") == {"own", "other"}, path
    assert [s["name"] for s in hub.call("GET", "/api/v1/services", key=keys["onservice"]).json] == ["own/svc"]


def test_a_project_administrator_grants_roles_on_it_alone(asked):
    hub, keys, _ = asked
    grant = {"role": "read", "scope": "project:own"}
    assert hub.call("POST", "/api/v1/users/none/grants", grant, key=keys["owner"]).status == 200
    assert hub.call("DELETE", "/api/v1/users/none/grants?role=read&scope=project:own", key=keys["owner"]).status == 200
    for scope in ("project:other", "*", "infra:own"):
        assert hub.call("POST", "/api/v1/users/none/grants", {"role": "read", "scope": scope}, key=keys["owner"]).status in (403, 404)
    assert hub.call("POST", "/api/v1/keys", {"label": "x", "account": "root"}, key=keys["owner"]).status == 403
    assert json.loads(hub.call("GET", "/api/v1/keys", key=keys["reader"]).body)[0]["account"] == "reader"
