"""The API designer: services, endpoints and test queries read, put and deleted one by one, over HTTP and by command."""
import pytest

from hub import hub, hubs  # noqa: F401  (fixtures)
from services import shop  # noqa: F401  (a fixture)
from services import PLACE, PROJECT, TARGETS, endpoint, train

SERVICE = "/api/v1/projects/p/services/s"
YAML = """project: p
datasets: {t: {type: files, path: t.csv}, new: {type: files, path: t.csv}}
models: {m: {}, other: {}}
"""


@pytest.fixture
def designer(hub):
    hub.slipway.write("t.csv", "k,v\na,1\nb,2\nc,3\n")
    hub.slipway.write("p.yaml", YAML)
    hub.slipway("apply", "-f", "p.yaml")
    return hub


def put(hub, path, body, code=200, **headers):
    answer = hub.local("PUT", path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status == code, (answer.status, answer.body)
    return answer


def test_a_service_is_made_changed_and_deleted_by_its_etag(designer):
    made = put(designer, SERVICE, {"endpoints": {}}, 201, If_None_Match="*")
    assert made.json == {"name": "p/s", "definition": {"endpoints": {}}}
    assert put(designer, SERVICE, {"endpoints": {}}, 412, If_None_Match="*").json["code"] == "conflict"
    shown = designer.local("GET", SERVICE)
    assert shown.headers["ETag"] == made.headers["ETag"] and shown.json["definition"] == {"endpoints": {}}
    # The answer says more than the definition: no 304 hides a package that was made meanwhile.
    assert designer.local("GET", SERVICE, headers={"If-None-Match": shown.headers["ETag"]}).status == 200
    changed = put(designer, SERVICE, {"endpoints": {}, "description": "d"}, 200, If_Match=made.headers["ETag"])
    assert changed.headers["ETag"] != made.headers["ETag"]
    stale = put(designer, SERVICE, {"endpoints": {}, "description": "e"}, 412, If_Match=made.headers["ETag"])
    assert "changed since" in stale.json["message"]
    assert designer.local("GET", SERVICE).json["description"] == "d"
    assert designer.local("DELETE", SERVICE, headers={"If-Match": made.headers["ETag"]}).status == 412
    assert designer.local("DELETE", SERVICE, headers={"If-Match": changed.headers["ETag"]}).json == {"deleted": "p/s", "packages_kept": 0}
    assert designer.local("GET", SERVICE).status == 404
    assert designer.local("DELETE", SERVICE).status == 404
    assert put(designer, SERVICE, {"endpoints": {}}, 412, If_Match=changed.headers["ETag"])


@pytest.mark.parametrize("path, body, says", [
    (SERVICE, {}, "missing key 'endpoints' in the service"),
    (SERVICE, {"endpoints": {}, "auht": "public"}, "did you mean 'auth'?"),
    (SERVICE, {"endpoints": {}, "auth": "maybe"}, "auth: 'auth' must be one of 'public' and 'api_keys', not 'maybe'"),
    (SERVICE, {"endpoints": {"e": {"prediction": 3}}}, "endpoints.e.prediction: 'prediction' must be text, not the number 3"),
    (SERVICE + "/endpoints/e", {}, "exactly one of 'prediction' and 'lookup'"),
    (SERVICE + "/endpoints/e", {"prediction": "nn"}, "services.s.endpoints.e.prediction: endpoint 'e' uses an unknown model 'nn'"),
    (SERVICE + "/endpoints/e", {"prediction": "m", "explanations": {"count": 0}}, "explanations.count: 'count' must be a whole number"),
    (SERVICE + "/endpoints/e", {"lookup": {"table": "tt"}}, "services.s.endpoints.e.lookup"),
    (SERVICE + "/endpoints/-e", {"prediction": "m"}, "'-e' is not a valid endpoint name"),
    (SERVICE + "/endpoints/l/test-queries", {"test_queries": [{"features": {"k": "a"}}]}, "services.s.endpoints.l.test_queries[0].features"),
    (SERVICE + "/endpoints/l/test-queries", {}, "missing key 'test_queries'"),
    (SERVICE + "/endpoints/l/test-queries/q", {"data": 1}, "data: "),
    (SERVICE + "/endpoints/l/test-queries/q", {}, "a test query needs 'features'"),
    (SERVICE + "/endpoints/l/test-queries/q", {"data": {}, "name": "r"}, "name: the body names the test query 'r'"),
    (SERVICE + "/endpoints/l/test-queries/q%20r", {"data": {}}, "is no name for a new test query"),
])
def test_what_is_wrong_is_named(designer, path, body, says):
    put(designer, SERVICE, {"endpoints": {"l": {"lookup": "t"}}}, 201)
    before = designer.local("GET", SERVICE).json
    refused = put(designer, path, body, 400).json
    assert refused["code"] == "invalid_argument" and says in refused["message"] + refused["hint"], refused
    assert designer.local("GET", SERVICE).json == before


def test_endpoints_and_test_queries_one_by_one(designer):
    assert put(designer, SERVICE + "/endpoints/e", {"prediction": "m"}, 404).json["message"].startswith("project 'p' has no service 's'")
    put(designer, SERVICE, {"endpoints": {}}, 201)
    made = put(designer, SERVICE + "/endpoints/e", {"prediction": "m", "description": "d"}, 201, If_None_Match="*").json
    assert (made["type"], made["model"], made["prediction"]) == ("prediction", None, "m") and "no version" in made["problem"]
    put(designer, SERVICE + "/endpoints/l", {"lookup": "t"}, 201)
    listed = designer.local("GET", SERVICE + "/endpoints").json
    assert [(e["endpoint"], e["type"], e["tables"]) for e in listed] == [("e", "prediction", []), ("l", "lookup", ["t"])]
    # Two people change different endpoints: neither is in the other's way.
    e, l = (designer.local("GET", f"{SERVICE}/endpoints/{name}").headers["ETag"] for name in "el")
    put(designer, SERVICE + "/endpoints/e", {"prediction": "other"}, 200, If_Match=e)
    put(designer, SERVICE + "/endpoints/l", {"lookup": {"table": "t", "keys": ["v"]}}, 200, If_Match=l)
    put(designer, SERVICE + "/endpoints/e", {"prediction": "m"}, 412, If_Match=e)
    assert "did you mean 'e'" in designer.local("GET", SERVICE + "/endpoints/ee").json["hint"]

    queries = SERVICE + "/endpoints/l/test-queries"
    assert designer.local("GET", queries).json["test_queries"] == []
    whole = put(designer, queries, {"test_queries": "from_dataset(new, 2)"})
    assert whole.json["test_queries"] == ["from_dataset(new, 2)"]
    known = designer.local("GET", queries)
    assert known.headers["ETag"] == whole.headers["ETag"]
    assert designer.local("GET", queries, headers={"If-None-Match": known.headers["ETag"]}).status == 304
    one = put(designer, queries + "/first", {"data": {"v": 1}}, 201)
    assert one.json == {"data": {"v": 1}, "name": "first"}
    put(designer, queries + "/first", {"data": {"v": 2}, "expect": {"k": "b"}}, 200, If_Match=one.headers["ETag"])
    put(designer, queries + "/first", {"data": {"v": 3}}, 412, If_Match=one.headers["ETag"])
    assert designer.local("GET", queries).json["test_queries"] == ["from_dataset(new, 2)", {"data": {"v": 2}, "expect": {"k": "b"}, "name": "first"}]
    assert designer.local("GET", queries + "/first").json["expect"] == {"k": "b"}
    assert "did you mean 'first'" in designer.local("DELETE", queries + "/frist").json["hint"]
    assert designer.local("DELETE", queries + "/first").status == 200
    assert designer.local("DELETE", queries).status == 200
    assert "test_queries" not in designer.local("GET", SERVICE + "/endpoints/l").json["definition"]
    assert designer.local("DELETE", SERVICE + "/endpoints/e").json == {"deleted": "e", "service": "p/s"}
    assert list(designer.local("GET", SERVICE).json["definition"]["endpoints"]) == ["l"]


def test_each_change_is_in_the_audit_log_with_before_and_after(designer):
    put(designer, SERVICE, {"endpoints": {}}, 201)
    put(designer, SERVICE + "/endpoints/e", {"prediction": "m"}, 201)
    put(designer, SERVICE + "/endpoints/e", {"prediction": "other"})
    put(designer, SERVICE + "/endpoints/e", {"prediction": "none"}, 400)
    designer.local("DELETE", SERVICE + "/endpoints/e")
    designer.slipway("endpoint", "create", "p/s/c", "--lookup", "t")
    log = designer.local("GET", "/api/v1/audit?project=p").json
    changes = [(r["action"].split("/")[-1], r["status"], r["before"], r["after"]) for r in log if "/services/" in r["action"]]
    assert changes == [
        ("{endpoint}", 201, None, {"lookup": {"table": "t"}}),
        ("{endpoint}", 200, {"prediction": "other"}, None),
        ("{endpoint}", 200, {"prediction": "m"}, {"prediction": "other"}),
        ("{endpoint}", 201, None, {"prediction": "m"}),
        ("{service}", 201, None, {"endpoints": {}}),
    ]


def test_who_may_change_a_service_alone_does_not_reach_into_its_project(designer):
    put(designer, SERVICE, {"endpoints": {"e": {"prediction": "m"}}}, 201)
    designer.slipway("user", "add", "bob", "--role", "write@service:p/s")
    key = designer.key("--account", "bob")

    def sent(path, body):
        return designer.call("PUT", SERVICE + path, body, key=key)
    assert sent("/endpoints/e", {"prediction": "m", "description": "mine"}).status == 200
    refused = sent("/endpoints/x", {"lookup": "t"})
    assert refused.status == 403 and "dataset 't'" in refused.json["message"], refused
    assert sent("/endpoints/e/test-queries", {"test_queries": "from_dataset(new, 1)"}).status == 403
    assert sent("/endpoints/e", {"prediction": "other"}).status == 403
    designer.slipway("user", "grant", "bob", "read", "--on", "project:p")
    assert sent("/endpoints/x", {"lookup": "t"}).status == 201


def test_the_commands_design_a_service_from_nothing(shop):
    run = shop.slipway
    shop.apply({})
    run("apply", "--prune", "-f", "shop.yaml")
    run("service", "create", "shop/made", "--description", "by hand")
    assert "exists already" in run("service", "create", "shop/made", code=5).err
    run("service", "set", "shop/made", "--auth", "api_keys")
    assert "must be one of" in run("service", "set", "shop/made", "--auth", "nobody", code=1).err
    run("endpoint", "create", "shop/made/amount", "--model", "amount", "--from-dataset", "new", "--rows", "3")
    assert "exists already" in run("endpoint", "create", "shop/made/amount", "--model", "amount", code=5).err
    run("endpoint", "create", "shop/made/places", "--lookup", "places", "--key", "name", "--column", "country")
    run("endpoint", "set", "shop/made/amount", "--explanations", "2")
    run.write("enrich.yaml", "enrich: [{table: places, keys: {name: place}, columns: {country: country, km: distance}}]\nprediction: amount\n"
              "explanations: {enabled: true, count: 2}\ntest_queries: from_dataset(new, 3)\n")
    run("endpoint", "set", "shop/made/amount", "-f", "enrich.yaml")
    run("endpoint", "add-query", "shop/made/places", "rome", "--record", '{"name": "Rome"}', "--expect", '{"country": "IT"}')
    run("endpoint", "add-query", "shop/made/places", "rome", "--record", '{"name": "Rome"}')
    table = run("endpoint", "queries", "shop/made/places").out
    assert "rome" in table and "from scoring" in table
    assert [e["test_queries"] for e in run.json("endpoint", "ls", "shop/made")] == [3, 1]
    shown = run.json("endpoint", "show", "shop/made/amount")
    assert shown["model"] == "shop/amount@1" and shown["explanations"] == {"enabled": True, "count": 2}
    made = run.json("service", "package", "shop/made")
    assert made["test_queries"] == 4 and made["package"] == "v1"
    run("endpoint", "delete-query", "shop/made/places", "rome")
    run("endpoint", "queries", "shop/made/amount", "--none")
    run("endpoint", "delete", "shop/made/places")
    assert "no endpoint 'places'" in run("endpoint", "delete", "shop/made/places", code=3).err
    for words, code in ((("endpoint", "show", "shop/made"), 2), (("endpoint", "set", "shop/made/amount"), 2), (("endpoint", "create", "shop/made/x"), 2),
                        (("endpoint", "add-query", "shop/made/amount", "q", "--record", "no"), 2), (("service", "set", "shop/made"), 2),
                        (("endpoint", "set", "shop/made/amount", "--model", "amonut"), 1), (("endpoint", "set", "shop/nothing/e", "--model", "amount"), 3)):
        assert run(*words, code=code).err, words
    assert "1 package is kept" in run("service", "delete", "shop/made").out


def test_packages_say_what_changed_since_the_one_before(shop):
    run = shop.slipway
    service = endpoint(prediction="size", enrich=[PLACE], test_queries="from_dataset(new, 2)")
    first = shop.package("changing", service).json
    assert first["changes"] is None
    drop = [t for t in TARGETS if t != "size"] + ["weight_kg"]
    recipes = {**PROJECT["recipes"], "train_size": train("size", "multiclass", drop, iterations=3)}
    try:
        service["endpoints"]["e"]["explanations"] = {"enabled": True}
        service["endpoints"]["extra"] = {"lookup": "places"}
        shop.apply({"changing": service}, recipes=recipes)
        run("build", "shop/size")
        pending = run.json("service", "show", "shop/changing")["changes"]
        made = run.json("service", "package", "shop/changing")
        changes = made["changes"]
        assert pending == changes["text"] and changes["since"] == "v1" and not changes["same"]
        assert changes["endpoints"] == {"added": ["extra"], "removed": []}
        number = run.json("model", "show", "shop/size")["version"]
        assert changes["models"] == [{"endpoint": "e", "before": "size@1", "after": f"size@{number}"}]
        (schema,) = changes["schema"]
        assert schema["endpoint"] == "e" and [c["name"] for c in schema["removed"]] == ["weight_kg"] and schema["added"] == []
        metrics = {m["metric"]: m for m in changes["metrics"]}
        before, after = (run.json("model", "show", f"shop/size@{v}")["metrics"] for v in (1, number))
        assert (metrics["log_loss"]["before"], metrics["log_loss"]["after"]) == (before["log_loss"], after["log_loss"])
        assert any("explanations" in line for line in changes["settings"])
        told = run("service", "package", "shop/changing").out
        assert "nothing changed since v2" in told
        listed = run.json("service", "packages", "shop/changing")
        assert [p["changes"] and p["changes"]["since"] for p in listed] == [None, "v1", "v2"]
        assert listed[1]["changes"] == changes and listed[2]["changes"]["same"] and listed[2]["changes"]["text"] == []
        table = run("service", "packages", "shop/changing").out
        assert "endpoints, models, schema, metrics, settings" in table
        everything = run("service", "packages", "shop/changing", "--changes").out
        assert "v2: changed since v1:" in everything and "log_loss " in everything and "reads column weight_kg no longer" in everything
        assert "changed since v1:" in run("service", "show", "shop/changing@v2").out
        # The versions may go: packages keep what was true of them.
        run("model", "activate", "shop/size@1")
        run("model", "delete", f"shop/size@{number}")
        assert run.json("service", "packages", "shop/changing")[1]["changes"] == changes
        # A package that is deleted is compared with no more.
        run("service", "delete-package", "shop/changing@v2")
        assert run.json("service", "packages", "shop/changing")[1]["changes"]["since"] == "v1"
    finally:
        run("model", "activate", "shop/size@1")
        shop.apply({})
