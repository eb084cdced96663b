"""Several hubs and commands on one home whose registry is in PostgreSQL: one hub serves at a time, the next takes over, and whoever was followed changes
nothing any more."""
import json
import shutil
import signal
import socket
import subprocess
import threading
import time

import little
import postgres
from apinode import nodes  # noqa: F401: a fixture
from conftest import BINARY
from hub import Hub, hubs  # noqa: F401: a fixture
from test_deployer import await_true
from test_registry import Shared, server, shared  # noqa: F401: fixtures


def start_hub(slipway, *options):
    return subprocess.Popen([str(BINARY), "hub", "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            cwd=slipway.folder, env=slipway.environment())


def test_commands_side_by_side_do_not_fence_each_other_at_a_node(shared, nodes):
    """Several people deploy several services to the same node at the same time, each from a command of their own."""
    little.make(shared)
    shared("build", "p/m")
    definition = shared.folder / "p.yaml"
    services = "".join(f"  s{i}: {{endpoints: {{e: {{prediction: m}}}}}}\n" for i in range(3))
    definition.write_text(definition.read_text() + "services:\n" + services)
    shared("apply", "-f", "p.yaml")
    node = nodes()
    key = shared.write("node.key", node.admin_key)
    shared("infra", "add", "trial", "--stage", "Test", "--node", node.url, "--key-file", key)
    for i in range(3):
        shared("service", "package", f"p/s{i}")
        shared("service", "publish", f"p/s{i}")
        shared("deployment", "create", f"d{i}", "--service", f"s{i}", "--infra", "trial")
    for _ in range(3):
        updates = [shared.start("deployment", "update", f"d{i}", "--json") for i in range(3)]
        ends = [u.communicate(timeout=120) for u in updates]
        assert [u.returncode for u in updates] == [0, 0, 0], ends
    assert {d["state"] for d in shared.json("deployment", "ls")} == {"deployed"}


def test_one_hub_at_a_time_and_the_second_says_who(shared, hubs):
    first = hubs(shared)
    refused = shared("hub", "--listen", "127.0.0.1:0", code=7, timeout=60)
    assert f"process {first.process.pid}: slipway hub" in refused.err and "ready" not in refused.out
    # What the first one left for commands is untouched.
    shared.write("p.yaml", "project: p\n")
    shared("apply", "-f", "p.yaml")
    assert first.stop() == 0
    assert hubs(shared).local("GET", "/api/v1/projects").json[0]["name"] == "p"


def test_commands_go_through_the_hub_as_with_an_own_file(shared, hubs):
    little.make(shared)
    hub = hubs(shared)
    shared("build", "p/agg", "p/m")
    shared("model", "activate", "p/m@1", "--reason", "by HTTP")
    [record] = [r for r in shared.json("audit", "ls") if "activate" in r["action"]]
    assert record["how"] == "local"  # by the hub's token, not in a process of its own
    assert {r["how"] for r in shared.json("audit", "ls") if r["action"].endswith("/build")} == {"local"}
    # A hub waits for a command that is at work, and a command for none of its kind.
    assert hub.stop() == 0
    build = shared.start("build", "p/agg", "--mode", "all", "--json")
    again = hubs(shared, "--standby")
    out, err = build.communicate(timeout=120)
    assert build.returncode == 0 and json.loads(out)["status"] == "done", err
    assert [j["status"] for j in again.local("GET", "/api/v1/jobs").json].count("done") == 2


def test_the_standby_takes_over_when_the_first_is_dead_and_nothing_acknowledged_is_lost(shared, hubs):
    first = hubs(shared)
    token = first.token
    standby = start_hub(shared, "--standby")
    try:
        acknowledged, stop = [], threading.Event()

        def write():
            for i in range(10_000):
                if stop.is_set():
                    return
                try:
                    answer = first.call("POST", "/api/v1/users", {"name": f"u{i}"}, key=token)
                except (OSError, ValueError):
                    return
                if answer.status == 201:
                    acknowledged.append(f"u{i}")

        writer = threading.Thread(target=write)
        writer.start()
        until = time.monotonic() + 60
        while len(acknowledged) < 10:
            assert time.monotonic() < until and standby.poll() is None
            time.sleep(0.01)
        assert "takes over" in standby.stderr.readline()
        first.process.kill()
        first.process.wait()
        line = standby.stdout.readline()
        while line and "ready at" not in line:
            line = standby.stdout.readline()
        assert "ready at" in line
        stop.set()
        writer.join(60)
        users = {u["name"] for u in shared.json("user", "ls")}
        assert set(acknowledged) <= users
        assert json.loads((shared.home / "hub.json").read_text())["pid"] == standby.pid
        standby.send_signal(signal.SIGTERM)
        assert standby.wait(30) == 0
    finally:
        standby.kill()
        standby.communicate()


def test_a_standby_that_only_waits_ends_when_it_is_told(shared, hubs):
    hubs(shared)
    standby = start_hub(shared, "--standby")
    assert "takes over" in standby.stderr.readline()
    standby.send_signal(signal.SIGTERM)
    assert standby.wait(30) == 0
    standby.communicate()


def test_a_hub_that_another_one_followed_changes_nothing_and_ends(shared, server, hubs, tmp_path):
    """The folder's lock does not reach the other machine: here, its folder is a second one with the same home.json."""
    little.make(shared)
    first = hubs(shared)
    (tmp_path / "other").mkdir()
    other = Shared(tmp_path / "other", shared.url, server)
    shutil.copytree(shared.home, other.home, ignore=shutil.ignore_patterns("lock", "lock.info", "hub.*"))
    first.process.send_signal(signal.SIGSTOP)  # cut off: it notices nothing
    second = hubs(other)
    assert second.local("POST", "/api/v1/users", {"name": "by-the-second"}).status == 201
    answers = []
    token = first.token

    def ask():
        try:
            answers.append(first.call("POST", "/api/v1/users", {"name": "by-the-first"}, key=token, timeout=60))
        except (OSError, ValueError):  # it may notice, and end, before it reads this
            pass

    asked = threading.Thread(target=ask)
    asked.start()
    first.process.send_signal(signal.SIGCONT)
    asked.join(60)
    assert all(a.status == 503 and "another hub has taken over" in a.json["message"] for a in answers)
    assert first.process.wait(60) == 7
    assert "another hub has taken over" in (shared.folder / "hub.err").read_text()
    names = {u["name"] for u in second.local("GET", "/api/v1/users").json}
    assert names == {"by-the-second"}


def test_a_hub_that_was_cut_off_in_the_middle_of_a_change_holds_up_no_other(shared, server, hubs):
    """Whoever holds the registry's write lock and says nothing is ended by the hub that takes over; its change is undone."""
    little.make(shared)
    schema = shared.url.split("schema=")[1]
    writer = subprocess.Popen([postgres.binary("psql"), "-X", "-q", "-t", "-A", server.url("x").split("?")[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={**shared.environment(), "PGPASSWORD": postgres.PASSWORD})
    try:
        writer.stdin.write(f"SET search_path = \"{schema}\"; BEGIN;\n"
                           "SELECT 'held' FROM pg_advisory_xact_lock(hashtextextended('slipway ' || current_schema(), 0));\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "held\n"
        hub = hubs(shared)
        assert hub.local("POST", "/api/v1/users", {"name": "ben"}).status == 201
    finally:
        out, _ = writer.communicate("COMMIT;\n", timeout=60)
    assert "terminating connection" in out


def test_a_hub_on_another_machine_is_named_and_not_called(shared, hubs):
    hub = hubs(shared)
    path = shared.home / "hub.json"
    told = json.loads(path.read_text())
    assert told["host"] == socket.gethostname().lower()
    path.write_text(json.dumps({**told, "host": "elsewhere"}))
    refused = shared("project", "ls", code=7)
    assert "a hub on 'elsewhere' serves" in refused.err and "--server" in refused.err
    path.write_text(json.dumps(told))
    assert shared.json("project", "ls") == []
    assert hub.stop() == 0


def test_a_server_that_restarts_costs_the_hub_nothing(shared, server, hubs):
    hub = hubs(shared)
    assert hub.local("POST", "/api/v1/users", {"name": "before"}).status == 201
    shared.write("key", hub.key())
    far = ["--server", hub.url, "--key-file", "key", "project", "ls"]
    shared(*far)
    server.stop()
    try:
        assert hub.local("POST", "/api/v1/users", {"name": "meanwhile"}).status == 503
        # A key that cannot be looked up is not called wrong, and strangers are not told where the server is.
        assert "registry does not answer" in shared(*far, code=7).err
        for path in ("/api/v1/sessions", "/public/api/projects"):
            told = hub.call("POST", path, {"account": "before", "password": "x" * 12}, key="wrong")
            assert told.status == 503 and b"127.0.0.1" not in told.body and b"port" not in told.body, told
        await_true(lambda: hub.call("GET", "/ready").status == 503)
        assert hub.call("GET", "/isAlive").status == 200
    finally:
        server.start()
    await_true(lambda: hub.call("GET", "/ready").status == 200)
    shared(*far)
    assert hub.local("POST", "/api/v1/users", {"name": "after"}).status == 201
    assert {u["name"] for u in hub.local("GET", "/api/v1/users").json} == {"before", "after"}
    assert hub.stop() == 0
