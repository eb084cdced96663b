"""Settings of one endpoint on a deployment: from the command to the node, what is out of sync, and back."""

import pytest

from apinode import nodes, shop, shop_yaml  # noqa: F401: fixtures
from test_deployer import add_infra, hub, made  # noqa: F401: fixtures


def test_an_endpoints_limits_and_auth_reach_the_nodes_and_show_when_they_differ(hub, shop, nodes):
    node = nodes()
    add_infra(hub, "trial", node)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")

    def many():
        return node.predict_multi([{"x": i} for i in range(3)], service="five").status
    hub("deployment", "update", "d", "--set", "max_records=1", "--set", "fare.max_records=5")
    settings = node.admin("GET", "services/five/settings").json
    assert settings["max_records"] == 1 and settings["endpoints"] == {"fare": {"max_records": 5}}
    assert many() == 200
    shown = hub.json("deployment", "show", "d")
    assert shown["health"] == "healthy" and shown["desired"]["settings"] == {"max_records": 1, "endpoints": {"fare": {"max_records": 5}}}

    assert "settings     max_records=1 fare.max_records=5" in hub("deployment", "show", "d").out

    # One more setting of the endpoint; the others stay. The plan says why.
    (step,) = hub.json("deployment", "update", "d", "--set", "fare.auth=api_keys", "--plan")["steps"]
    assert step["step"] == "settings" and "endpoint fare: auth is the service's and shall be \"api_keys\"" in step["why"]
    hub("deployment", "update", "d", "--set", "fare.auth=api_keys")
    assert node.admin("GET", "services/five/settings").json["endpoints"] == {"fare": {"auth": "api_keys", "max_records": 5}}
    assert many() == 401

    # Changed behind the deployer's back: seen, told, and put right by an update.
    node.admin("PUT", "services/five/settings", {"max_records": 1, "endpoints": {"fare": {"max_records": 7}}})
    shown = hub.json("deployment", "show", "d")
    assert shown["out_of_sync"] and "max_records is 7 and shall be 5" in " ".join(shown["messages"])
    hub("deployment", "update", "d")
    assert many() == 401 and hub.json("deployment", "show", "d")["health"] == "healthy"

    # Taken back one by one: the service's hold again.
    hub("deployment", "update", "d", "--set", "fare.auth=", "--set", "fare.max_records=null")
    assert "endpoints" not in node.admin("GET", "services/five/settings").json
    assert many() == 413
    hub("deployment", "rollback", "d")
    assert many() == 401
    node.restart()
    assert many() == 401  # it comes back with them


def test_what_makes_no_sense_is_refused_before_a_node_is_asked(hub, nodes):
    add_infra(hub, "trial", nodes())
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    for setting, says in (("frae.max_records=5", "did you mean 'fare'?"), ("fare.max_recrods=5", "did you mean 'max_records'?"),
                          ("fare.max_records=many", "a whole number"), ("fare.auth=maybe", "must be one of"), ("fare.redact=[]", "unknown key 'redact'"),
                          ("max_recrods=5", "did you mean 'max_records'?"), ("log_sample=2", "log_sample"), ("max_records=-1", "max_records")):
        error = hub("deployment", "update", "d", "--set", setting, "--json", code=1).error
        assert says in error["message"] + error["hint"], (setting, error)
    assert hub.json("deployment", "show", "d")["desired"]["settings"] == {}


def test_one_weight_that_is_not_all_is_refused(hub, nodes):
    add_infra(hub, "trial", nodes())
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", "v1")
    error = hub("deployment", "update", "d", "--weights", "v1=50", "--json", code=1).error
    assert "it would get all of the traffic" in error["message"] and "--version v1" in error["hint"]
    assert "twice" in hub("deployment", "update", "d", "--weights", "v1=50,v1=50", code=2).err
    for weights in ("v1=100", "v1=1", "v1=2,v2=1"):
        assert hub.json("deployment", "update", "d", "--weights", weights, "--plan")["steps"]
