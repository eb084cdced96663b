"""Rights end with what they are on: what somebody else makes later under the same name gives nobody anything."""
from hub import hub, hubs  # noqa: F401  (fixtures)


def make(hub, project, service=None):
    definition = {"project": project, "datasets": {"d": {"type": "managed"}}, "models": {"m": {}}}
    if service:
        definition["services"] = {service: {"endpoints": {"e": {"prediction": "m"}}}}
    assert hub.local("POST", "/api/v1/apply", {"definition": definition}).status == 200


def test_rights_end_with_their_project_and_its_services(hub):
    make(hub, "p3", "svc")
    make(hub, "p33")
    hub.slipway("user", "add", "bob", "--role", "admin@project:p3", "--role", "write@service:p3/svc", "--role", "read@project:p33")
    bob = hub.key("--account", "bob")
    key, other = hub.key("--on", "project:p3"), hub.key("--on", "project:p33")
    assert hub.call("GET", "/api/v1/projects/p3", key=bob).status == hub.call("GET", "/api/v1/projects/p3", key=key).status == 200
    assert hub.local("DELETE", "/api/v1/projects/p3").status == 200
    make(hub, "p3", "svc")
    assert hub.call("GET", "/api/v1/projects/p3", key=bob).status == 404
    assert hub.call("GET", "/api/v1/projects/p3/services/svc", key=bob).status == 404
    assert hub.call("GET", "/api/v1/projects/p3", key=key).status == 401
    assert hub.call("GET", "/api/v1/projects/p33", key=bob).status == hub.call("GET", "/api/v1/projects/p33", key=other).status == 200
    assert [g["scope"] for g in hub.slipway.json("user", "show", "bob")["grants"]] == ["project:p33"]
    told = [a for a in hub.slipway.json("audit", "ls", "--project", "p3") if a["action"] == "rights ended"]
    assert len(told) == 1 and told[0]["path"] == "project:p3" and len(told[0]["before"]["grants"]) == 2, told
    assert "rights ended" in hub.slipway("audit", "ls", "--project", "p3").out


def test_rights_end_with_their_service_and_their_infrastructure(hub):
    make(hub, "p", "svc")
    assert hub.local("POST", "/api/v1/infras", {"name": "i", "nodes": [{"url": "http://127.0.0.1:1"}]}).status == 201
    hub.slipway("user", "add", "bob", "--role", "admin@service:p/svc", "--role", "admin@infra:i", "--role", "read@project:p")
    assert hub.local("DELETE", "/api/v1/projects/p/services/svc").status == 200
    assert hub.local("DELETE", "/api/v1/infras/i").status == 200
    assert [g["scope"] for g in hub.slipway.json("user", "show", "bob")["grants"]] == ["project:p"]
    # What is applied without the service, and with --prune, is without its rights.
    make(hub, "p", "svc")
    hub.slipway("user", "grant", "bob", "write", "--on", "service:p/svc")
    definition = {"project": "p", "datasets": {"d": {"type": "managed"}}, "models": {"m": {}}}
    assert hub.local("POST", "/api/v1/apply", {"definition": definition}).status == 200
    assert len(hub.slipway.json("user", "show", "bob")["grants"]) == 2
    assert hub.local("POST", "/api/v1/apply", {"definition": definition, "prune": True}).status == 200
    assert len(hub.slipway.json("user", "show", "bob")["grants"]) == 1


def test_a_right_to_make_a_project_stays_until_it_is_made(hub):
    hub.slipway("user", "add", "bob", "--role", "write@project:mine")
    make(hub, "mine")
    assert hub.call("GET", "/api/v1/projects/mine", key=hub.key("--account", "bob")).status == 200
