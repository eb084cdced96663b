"""The hub does what its OpenAPI document says: schemathesis makes requests from it, right ones and wrong ones, with a key and without."""
import json
import os
import pathlib
import subprocess
import sys

import little
from hub import hub, hubs  # noqa: F401  (fixtures)

EXAMPLES = int(os.environ.get("SLIPWAY_SCHEMATHESIS_EXAMPLES", "15"))
SECONDS = int(os.environ.get("SLIPWAY_SCHEMATHESIS_SECONDS", "25"))


# What a schema cannot say, a definition's reader or a stored file says with 400; a changed object is a 412.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "503"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "503"]
""" + "".join(f"""
[[operations]]
include-path = "{path}"
include-method = "POST"
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "412", "503"]
""" for path in ("/api/v1/apply", "/api/v1/diff", "/api/v1/projects/{project}/datasets", "/api/v1/projects/{project}/recipes",
                 "/api/v1/projects/{project}/models/{model}/import", "/api/v1/users", "/api/v1/infras", "/api/v1/deployments")) + """
# A definition's models and datasets must be there, and stages have different names.
[[operations]]
include-path-regex = "^/api/v1/(stages|projects/[^/]+/services/.*)$"
include-method = ["PUT"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "412", "503"]
"""

# A cursor that looks right and is none of the hub's.
CURSOR = """
[[operations]]
include-path = "{path}"
include-method = "GET"
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404", "503"]
"""


def schemathesis(hub, folder, *more, seed=1):
    paths = hub.call("GET", "/api/v1/openapi.json").json["paths"]
    lists = [path for path, operations in paths.items() if any(p["name"] == "cursor" for p in operations.get("get", {}).get("parameters", []))]
    assert len(lists) > 10
    (folder / "schemathesis.toml").write_text(CONFIG + "".join(CURSOR.format(path=path) for path in lists))
    # Event streams have no end, and a wrong password ten times over makes the account wait.
    command = [str(pathlib.Path(sys.executable).with_name("schemathesis")), "--config-file", str(folder / "schemathesis.toml"), "run", hub.url + "/api/v1/openapi.json", "--checks", "all", "--phases",
               "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(seed), "--max-time", str(SECONDS), "--workers", "1",
               "--generation-database", "none", "--request-timeout", "20", "--no-color", "--continue-on-failure", "--exclude-path", "/api/v1/events",
               *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=SECONDS * 10 + 120)


def with_a_project(hub):
    hub.slipway.write("t.csv", little.training_csv(rows=50))
    hub.slipway.write("p.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}, o: {type: managed}}\nrecipes: {r: {type: sync, input: t, output: o}}\n"
                      "services: {s: {endpoints: {e: {lookup: t, test_queries: [{name: q, data: {id: 1}}]}}}}\n")
    hub.slipway("apply", "-f", "p.yaml")


def test_the_document_describes_every_route(hub):
    document = hub.call("GET", "/api/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    build = document["paths"]["/api/v1/projects/{project}/build"]["post"]
    assert build["x-permission"] == "write" and "202" in build["responses"]
    schema = build["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["targets"] and schema["properties"]["targets"]["type"] == "array"
    assert "If-Match" in json.dumps(document["paths"]["/api/v1/projects/{project}"]["delete"])
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"] and operation["x-permission"]


def test_bodies_and_answers_of_the_designer_and_the_deployer_are_typed(hub):
    """What a generator of clients needs: no body that is just 'an object', every answer by name, every name defined."""
    document = hub.call("GET", "/api/v1/openapi.json").json
    seen = 0
    for path, operations in document["paths"].items():
        if not path.startswith(("/api/v1/stages", "/api/v1/infras", "/api/v1/deployments", "/api/v1/published-services")) and \
                not ("/services/{service}/endpoints" in path or path.endswith("/packages")):
            continue
        for method, operation in operations.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    assert content["schema"].get("properties"), (method, path)
            good = min(code for code in operation["responses"] if code.startswith("2"))
            schema = operation["responses"][good]["content"].get("application/json", {}).get("schema")
            if schema is None or path.endswith(("/stop", "/openapi.json", "/{query}")):
                continue
            name = (schema.get("items") or schema).get("$ref", "").removeprefix("#/components/schemas/")
            assert name in document["components"]["schemas"], (method, path, schema)
            seen += 1
    assert seen > 30, seen
    create = document["paths"]["/api/v1/deployments"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert create["required"] == ["name", "service", "infra"] and "max_records" in json.dumps(create["properties"]["settings"])
    put = document["paths"]["/api/v1/projects/{project}/services/{service}/endpoints/{endpoint}"]["put"]
    assert {"If-Match", "If-None-Match"} <= {p["name"] for p in put["parameters"]} and {"200", "201", "412"} <= set(put["responses"])


def test_schemathesis_finds_nothing_without_a_key(hub, tmp_path):
    with_a_project(hub)
    done = schemathesis(hub, tmp_path)
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]
    assert hub.process.poll() is None


def test_schemathesis_finds_nothing_with_a_key(hub, tmp_path):
    with_a_project(hub)
    done = schemathesis(hub, tmp_path, "--header", f"Authorization: Bearer {hub.key()}", seed=2)
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]
    assert hub.process.poll() is None
