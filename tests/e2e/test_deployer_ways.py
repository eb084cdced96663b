"""Ways of the deployer that people take without thinking: disabled deployments, two updates at once, options that say nothing, a look in
between."""
import signal

import pytest

from apinode import nodes, shop  # noqa: F401: fixtures
from hub import hubs  # noqa: F401: a fixture
from test_deployer import await_true, generations, hub, made  # noqa: F401: fixtures too
from test_deployer_failures import deployed, start_canary


def test_a_rollback_goes_to_another_version_not_to_disabled(hub, nodes):
    node = nodes()
    deployed(hub, node)
    hub("deployment", "update", "d", "--version", "v2")
    hub("deployment", "disable", "d")
    hub("deployment", "enable", "d")
    assert "every node serves v1" in hub("deployment", "rollback", "d").out
    assert generations(node) == {"v1": 100} and node.admin("GET", "services/five").json["enabled"]


def test_what_is_disabled_stays_so_until_it_is_enabled(hub, nodes):
    node = nodes()
    deployed(hub, node)
    hub("deployment", "disable", "d")
    told = hub("deployment", "update", "d", "--version", "v2").out
    assert "disabled on every node" in told and "slipway deployment enable d" in told and "v2" in told
    assert "nothing to do: it is disabled on every node" in hub("deployment", "update", "d", "--plan").out
    assert not node.admin("GET", "services/five").json["enabled"]
    assert "every node serves v2" in hub("deployment", "enable", "d").out
    assert generations(node) == {"v2": 100}


def test_an_aborted_canary_leaves_what_was_saved_and_nothing_is_saved_meanwhile(hub, nodes, hubs):
    server = hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    path = "/api/v1/deployments/d/settings"
    assert server.local("PUT", path, {"settings": {"max_records": 7}}).status == 200
    process = start_canary(hub, *two)
    shown = hub.json("deployment", "show", "d")
    assert shown["running"]["kind"] == "canary" and shown["running"]["job"].startswith("job-")
    human = hub("deployment", "show", "d").out
    assert "being updated" in human and "a running canary (job-" in human and "is watched for" in human
    assert "saved, but not on the nodes" not in human
    refused = server.local("PUT", path, {"settings": {"max_records": 9}})
    assert refused.status == 409 and "is running" in refused.json["message"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert [generations(n) for n in two] == [{"v1": 100}] * 2
    desired = hub.json("deployment", "show", "d")["desired"]
    assert desired["settings"] == {"max_records": 7} and desired["generations"][0]["generation"] == "v1"
    # The same when it is the hub that takes it back.
    process = start_canary(hub, *two)
    server.stop(signal.SIGKILL)
    process.communicate(timeout=120)
    server.start()
    await_true(lambda: hub.json("deployment", "show", "d")["state"] == "deployed")
    desired = hub.json("deployment", "show", "d")["desired"]
    assert desired["settings"] == {"max_records": 7} and desired["generations"][0]["generation"] == "v1"


def test_of_two_updates_the_second_is_told_so_and_no_other_log(hub, nodes, hubs):
    hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    both = [hub.start("deployment", "update", "d", "--version", v, "--json") for v in ("v1", "v2")]
    ended = [(*p.communicate(timeout=120), p.returncode) for p in both]
    assert {code for _, _, code in ended} <= {0, 5}, ended
    for version, (out, err, code) in zip(("v1", "v2"), ended):
        if code == 5:
            assert "is running" in err and "every node serves" not in out + err, ended
    hub("deployment", "update", "d", "--version", "v1")
    process = start_canary(hub, *two)
    refused = hub("deployment", "update", "d", "--version", "v1", code=5).err
    assert "is running" in refused and "is watched" not in refused
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)


def test_what_is_wanted_is_saved_when_an_update_is_answered(hub, nodes, hubs):
    server = hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    answer = server.local("POST", "/api/v1/deployments/d/update", {"version": "v2"})
    kept = server.local("DELETE", "/api/v1/published-services/five/versions/v2")
    assert answer.status == 202 and kept.status == 409, (answer.json, kept.json)
    await_true(lambda: hub.json("deployment", "show", "d")["state"] == "deployed")
    for version in ("v1", "v2", "v1"):  # the hub dies with the answer on its way
        answer = server.local("POST", "/api/v1/deployments/d/update", {"version": version})
        server.stop(signal.SIGKILL)
        assert answer.status == 202, answer.json
        server.start()
        await_true(lambda: [generations(n) for n in two] == [{version: 100}] * 2)
        await_true(lambda: hub.json("deployment", "show", "d")["state"] == "deployed")


def test_no_node_leaves_under_an_update(hub, nodes, hubs):
    hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    process = start_canary(hub, *two)
    refused = hub("infra", "nodes", "trial", "--remove", two[0].url, code=5).err
    assert "an update of deployment 'd' is running" in refused, refused
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    hub("infra", "nodes", "trial", "--remove", two[0].url)


def test_a_command_outlives_its_hub(hub, nodes, hubs):
    server = hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    process = start_canary(hub, *two)
    server.stop(signal.SIGKILL)
    server.start()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 7 and "ended in the middle" in err and "deployment show d" in err, err


@pytest.mark.parametrize("words, said", [
    (("--version", "v2", "--step-minutes", "3"), "--canary"),
    (("--version", "v2", "--canary", ""), "it is empty"),
    (("--version", ""), "it is empty"),
    (("--weights", ""), "it is empty"),
    (("--version", "v2", "--canary", "10,100", "--max-errors", "2"), "is not from 0 to 1"),
    (("--version", "v2", "--canary", "10,100", "--max-latency", "0"), "is not from 1 to"),
    (("--version", "v2", "--canary", "10,100", "--step-minutes", "nan"), "is not from 0 to"),
])
def test_options_that_say_nothing_change_nothing(hub, nodes, words, said):
    node = nodes()
    deployed(hub, node)
    assert said in hub("deployment", "update", "d", *words, code=2).err
    assert generations(node) == {"v1": 100}


def test_what_was_published_is_taken_back(hub, nodes):
    node = nodes()
    deployed(hub, node)
    assert "d" in hub("service", "unpublish", "five@v1", code=5).err
    assert "took five v2" in hub("service", "unpublish", "five@v2").out
    assert [v["version"] for s in hub.json("service", "published") if s["service"] == "five" for v in s["versions"]] == ["v1"]
    hub("service", "unpublish", "five", code=5)
    hub("service", "unpublish", "p/five", code=2)
    hub("deployment", "delete", "d")
    assert hub.json("service", "unpublish", "five") and not [s for s in hub.json("service", "published") if s["service"] == "five"]
    assert "no stage" in hub("deployment", "activity", "--stage", "Nope", code=3).err


def test_a_dead_node_hides_no_answers_of_the_stored_queries(hub, nodes):
    two = [nodes(), nodes()]
    deployed(hub, *two)
    two[1].kill()
    rows = hub("deployment", "test", "d", "--json", code=7).json
    assert len([r for r in rows if r["ok"]]) == 5 and [r["node"] for r in rows if not r["ok"]] == [two[1].url]
    assert "1 node could not be asked" in hub("deployment", "test", "d", code=7).out
    two[0].kill()
    assert hub("deployment", "test", "d", "--json", code=7).error
