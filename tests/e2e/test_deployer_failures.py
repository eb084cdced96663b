"""What the way back is worth: nodes and deployers that die during a canary, a rollback, a deletion; nodes that a person stopped."""
import json
import os
import pathlib
import signal

import pytest

from apinode import nodes, shop  # noqa: F401: fixtures
from hub import hubs  # noqa: F401: a fixture
from test_apinode_jwt import Provider
from test_deployer import Proxy, Traffic, add_infra, await_true, generations, hub, made  # noqa: F401: fixtures too

MIX = {"v1": 80, "v2": 20}


def deployed(hub, *nodes, version="v1", **urls):
    add_infra(hub, "trial", *nodes, **urls)
    hub("deployment", "create", "d", "--service", "five", "--infra", "trial", "--version", version)
    hub("deployment", "update", "d")


def back(node):
    """A node that died, on its port again."""
    node.args = ["--listen", f"127.0.0.1:{node.port}"]
    node.restart()


def start_canary(hub, *nodes):
    process = hub.start("deployment", "update", "d", "--version", "v2", "--canary", "20,100", "--step-minutes", "60")
    # Not what the nodes say: the deployer has yet to look at them once more.
    await_true(lambda: "v1 80 %, v2 20 % is watched for" in str(hub.json("deployment", "show", "d")["messages"]))
    assert [generations(n) for n in nodes] == [MIX] * len(nodes)
    return process


def test_a_node_that_dies_does_not_keep_the_others_in_an_aborted_canary(hub, nodes):
    two = [nodes(), nodes()]
    deployed(hub, *two)
    process = start_canary(hub, *two)
    two[1].kill()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and "the other nodes serve v1" in err and two[1].url in err, err
    assert generations(two[0]) == {"v1": 100}
    shown = hub.json("deployment", "show", "d")
    assert shown["state"] == "partial" and shown["desired"]["generations"] == [{"generation": "v1", "weight": 1.0}], shown
    back(two[1])
    assert generations(two[1]) == MIX
    hub("deployment", "update", "d")
    assert [generations(n) for n in two] == [{"v1": 100}] * 2 and hub.json("deployment", "show", "d")["health"] == "healthy"


def test_a_canary_whose_next_step_fails_goes_back_on_every_node(hub, nodes, shop):
    two = [nodes(), nodes()]
    proxy = Proxy(two[1], "never", two[1].kill)
    deployed(hub, *two, url1=proxy.url)
    process = hub.start("deployment", "update", "d", "--version", "v2", "--canary", "20,50,100", "--step-requests", "30", "--max-latency", "1000")
    await_true(lambda: generations(two[1]) == MIX)
    proxy.word = b"setMapping"
    with Traffic(shop.records[:20], two[0]):
        _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and proxy.tripped, err
    assert generations(two[0]) == {"v1": 100}
    assert hub.json("deployment", "show", "d")["state"] == "partial"
    proxy.close()


def test_a_hub_brings_back_what_a_canary_left_once_the_node_is_there_again(hub, nodes, hubs):
    server = hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    process = start_canary(hub, *two)
    server.stop(signal.SIGKILL)
    two[1].kill()
    process.communicate(timeout=60)
    assert [generations(two[0])] == [MIX]
    server.start()
    await_true(lambda: generations(two[0]) == {"v1": 100})
    await_true(lambda: hub.json("deployment", "show", "d")["state"] == "partial")
    back(two[1])
    await_true(lambda: generations(two[1]) == {"v1": 100})
    await_true(lambda: hub.json("deployment", "show", "d")["state"] == "deployed")


def test_a_dead_node_does_not_hold_up_a_rollback(hub, nodes):
    two = [nodes(), nodes()]
    deployed(hub, *two)
    hub("deployment", "update", "d", "--version", "v2")
    planned = hub.json("deployment", "rollback", "d", "--plan")
    assert planned["to"] == "v1" and [s["step"] for s in planned["steps"]].count("switch") == 2, planned
    assert "it serves v2" in hub("deployment", "rollback", "d", "--plan").out and generations(two[0]) == {"v2": 100}
    two[1].kill()
    for _ in range(2):  # the second does not undo the first
        said = hub("deployment", "rollback", "d", "--json", code=7).error
        assert two[1].url in said["message"], said
        assert hub.json("deployment", "show", "d")["state"] == "partial"
        assert generations(two[0]) == {"v1": 100}
    hub("infra", "nodes", "trial", "--remove", two[1].url + "/elsewhere", code=3)
    told = hub("infra", "nodes", "trial", "--remove", two[1].url)
    assert "trial has 1 node" in told.out
    hub("deployment", "update", "d")
    assert hub.json("deployment", "show", "d")["health"] == "healthy"
    hub("infra", "nodes", "trial", "--remove", two[0].url, code=5)  # a deployment needs it
    back(two[1])
    hub("infra", "nodes", "trial", "--add", two[1].url, "--key-file", hub.write("again.key", two[1].admin_key))
    hub("deployment", "update", "d")
    assert [generations(n) for n in two] == [{"v1": 100}] * 2


def test_a_deletion_waits_for_no_update_and_changes_nothing_when_a_node_hangs(hub, nodes, hubs):
    hubs(hub)
    two = [nodes(), nodes()]
    deployed(hub, *two)
    process = start_canary(hub, *two)
    refused = hub("deployment", "delete", "d", "--json", code=5).error
    assert "is running" in refused["message"] and "job abort" in refused["hint"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert [generations(n) for n in two] == [{"v1": 100}] * 2
    two[1].process.send_signal(signal.SIGSTOP)
    try:
        refused = hub("deployment", "delete", "d", "--json", code=7).error
        assert "nothing was changed" in refused["hint"]
        assert generations(two[0]) == {"v1": 100}
        hub("deployment", "delete", "d", "--force")
    finally:
        two[1].process.send_signal(signal.SIGCONT)
    assert generations(two[0]) == {} and hub.json("deployment", "ls") == []


@pytest.mark.parametrize("words, code, said", [
    (("update", "d", "--version", "v1", "--canary", "10,100"), 5, "serves v1 already"),
    (("update", "d", "--version", "v2", "--canary", "10,100", "--step-minutes", "-1"), 2, "--step-minutes"),
])
def test_canaries_that_make_no_sense_are_refused(hub, nodes, words, code, said):
    node = nodes()
    deployed(hub, node)
    assert said in hub("deployment", *words, code=code).err
    assert generations(node) == {"v1": 100}


def test_nodes_that_a_person_stopped_stay_stopped_under_a_hub(hub, hubs):
    hubs(hub)
    for infra in ("here", "other"):
        hub("infra", "add", infra, "--type", "local")
        hub("infra", "start", infra)
    hub("infra", "stop", "here")
    pid_file = hub.home / "nodes/other/1/node.json"
    pid = json.loads(pid_file.read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    await_true(lambda: pid_file.exists() and json.loads(pid_file.read_text())["pid"] != pid)  # the hub has looked after its nodes
    assert "is not running" in hub("infra", "show", "here").out
    hub("infra", "start", "here")
    assert "answers" in hub("infra", "show", "here").out


def test_a_lost_secret_key_is_a_nodes_problem_and_has_a_way_out(hub, nodes):
    node = nodes()
    deployed(hub, node)
    (hub.home / "secret.key").unlink()
    shown = hub.json("deployment", "show", "d")
    assert shown["health"] == "error" and "its admin key cannot be had" in json.dumps(shown["nodes"])
    assert "secret.key', is missing" in hub("doctor").out
    hub("backup", "b.tar")
    told = hub("restore", "b.tar", hub.folder / "restored").err
    assert f"'{hub.folder}/restored/secret.key', is missing" in told and "infra nodes" not in told, told
    hub("infra", "nodes", "trial", "--add", node.url, "--key-file", hub.write("again.key", node.admin_key))
    assert hub.json("deployment", "show", "d")["health"] == "healthy"
    assert "missing" not in hub("doctor").out
    told = hub("deployment", "history", "d", "--update", "last").out
    assert "test queries passed" in told and "switch to v1" in told, told
    hub("deployment", "history", "d", "--update", "x", code=2)
    hub("deployment", "history", "d", "--update", "99", code=3)
    for port in ("99999", "x", "0"):
        hub("infra", "nodes", "trial", "--add", f"http://127.0.0.1:{port}", code=1)
    assert pathlib.Path(hub.home / "secret.key").stat().st_mode & 0o777 == 0o600
    hub("deployment", "delete", "d")
    hub("infra", "rm", "trial")


@pytest.mark.parametrize("auth", ["api_keys", "jwt"])
def test_queries_of_the_deployer_reach_services_that_ask_for_keys(hub, nodes, auth, tmp_path):
    provider = Provider(tmp_path)
    (tmp_path / "keys.json").write_text(json.dumps(provider.jwks()))
    provider.end()
    node = nodes(config=f'[auth.jwt]\njwks_file = "{tmp_path}/keys.json"\n')
    deployed(hub, node)
    hub("deployment", "update", "d", "--set", f"auth={auth}")
    assert node.predict({"x": 3}, service="five").status == 401
    answer = hub.json("deployment", "query", "d", "--endpoint", "fare", "--record", '{"x": 3}')
    assert answer["apiContext"]["serviceGeneration"] == "v1"
