"""What the API designer and the API Deployer answer is what the hub's OpenAPI document says, with a real deployment behind it."""
import pytest

from apinode import nodes, shop, shop_yaml  # noqa: F401: fixtures
from hub import hubs  # noqa: F401: a fixture
from test_deployer import await_true, hub, made  # noqa: F401: fixtures

jsonschema = pytest.importorskip("jsonschema_rs")  # comes with schemathesis


def test_answers_are_of_their_described_types(hub, nodes, hubs):
    server = hubs(hub)
    document = server.local("GET", "/api/v1/openapi.json").json
    checked = set()

    def ask(method, pattern, body=None, query="", **names):
        path = pattern.format(**names)
        answer = server.local(method, "/api/v1" + path + query, body)
        assert answer.status < 300, (path, answer)
        schema = document["paths"]["/api/v1" + pattern][method.lower()]["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        assert schema, (method, pattern)
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json)
        checked.add((method, pattern))
        return answer.json

    def follow(job):
        await_true(lambda: server.local("GET", f"/api/v1/jobs/{job['job']}").json["status"] not in ("queued", "running"))
        assert server.local("GET", f"/api/v1/jobs/{job['job']}").json["status"] == "done"

    node = nodes()
    ask("GET", "/stages")
    made = ask("POST", "/infras", {"name": "live", "nodes": [{"url": node.url, "key": node.admin_key}]})
    assert made["nodes"] == [{"url": node.url, "has_key": True}]
    ask("PUT", "/infras/{infra}/nodes", {"nodes": [{"url": node.url}]}, infra="live")
    ask("GET", "/infras")
    ask("GET", "/infras/{infra}", infra="live")
    ask("GET", "/published-services")
    assert ask("POST", "/projects/{project}/services/{service}/packages/{package}/publish", project="p", service="five", package="v1")["already"]
    ask("GET", "/published-services/{published}", published="five")
    ask("GET", "/projects/{project}/services/{service}/packages", project="p", service="five")
    ask("GET", "/projects/{project}/services/{service}/packages/{package}", project="p", service="five", package="v2")
    ask("GET", "/projects/{project}/services/{service}/endpoints", project="p", service="five")
    ask("GET", "/projects/{project}/services/{service}/endpoints/{endpoint}", project="p", service="five", endpoint="fare")
    ask("GET", "/projects/{project}/services/{service}/endpoints/{endpoint}/test-queries", project="p", service="five", endpoint="fare")
    ask("POST", "/deployments", {"name": "d", "service": "five", "infra": "live", "version": "v1", "settings": {"endpoints": {"fare": {"max_records": 5}}}})
    ask("POST", "/deployments/{deployment}/plan", {}, deployment="d")
    follow(ask("POST", "/deployments/{deployment}/update", {}, deployment="d"))
    ask("PUT", "/deployments/{deployment}/settings", {"version": "v2", "enabled": True}, deployment="d")
    follow(ask("POST", "/deployments/{deployment}/update", {"weights": {"v1": 1, "v2": 1}}, deployment="d"))
    answer = ask("POST", "/deployments/{deployment}/query", {"endpoint": "fare", "record": {"x": 3}}, deployment="d")
    assert answer["node"] == node.url
    assert len(ask("POST", "/deployments/{deployment}/test", {}, deployment="d")) == 10
    ask("GET", "/deployments")
    ask("GET", "/deployments/{deployment}", deployment="d")
    shown = ask("GET", "/deployments/{deployment}/status", deployment="d")
    assert shown["health"] == "healthy" and shown["endpoints"]
    ask("GET", "/activity")
    ask("GET", "/deployments/{deployment}/activity", deployment="d")
    ask("GET", "/deployments/{deployment}/activity", query="?since=1h", deployment="d")
    ask("GET", "/deployments/{deployment}/updates", deployment="d")
    ask("GET", "/deployments/{deployment}/updates/{update}", deployment="d", update="last")
    follow(ask("POST", "/deployments/{deployment}/rollback", {}, deployment="d"))
    ask("DELETE", "/deployments/{deployment}", deployment="d")
    ask("DELETE", "/infras/{infra}", infra="live")
    assert len(checked) > 28
