"""Which files of its machine a hub reads for callers over HTTP: never those of its home, and no link out of what it may read."""
import pytest

import little
from hub import hubs  # noqa: F401  (a fixture)

SYNC = {"name": "sync", "definition": {"type": "sync", "input": "d", "output": "copy"}}


@pytest.fixture
def allowed(slipway, hubs):
    """A hub that may read the folder that its home is in."""
    hub = hubs(slipway, "--allow-path", slipway.folder)
    slipway.write("t.csv", "a,b\n1,2\n")
    hub.writer = hub.key("--role", "write")
    assert add(hub, slipway.folder / "t.csv").status == 201
    return hub


def add(hub, path, name="d"):
    return hub.call("POST", "/api/v1/projects/shop/datasets",
                    {"name": name, "replace": True, "definition": {"type": "files", "path": str(path)}}, key=hub.writer)


def test_nothing_of_the_home_is_read(allowed):
    slipway = allowed.slipway
    (slipway.folder / "token.csv").symlink_to(slipway.home / "hub.token")
    for path in ("home/hub.token", "h*/hub.token", "token.csv", "tok*.csv", "home/registry.db", "h?me/hub.tok*"):
        answer = add(allowed, slipway.folder / path)
        assert answer.status == 403 and "the hub's own home" in answer.json["message"], (path, answer)
    definition = {"project": "shop", "datasets": {"x": {"type": "files", "path": str(slipway.folder / "ho*/hub.token")}}}
    assert allowed.call("POST", "/api/v1/apply", {"definition": definition}, key=allowed.writer).status == 403
    model = {"path": str(slipway.home / "hub.token")}
    assert allowed.call("POST", "/api/v1/projects/shop/models/m/import", model, key=allowed.writer).status == 403


def test_the_home_is_no_folder_to_allow(slipway):
    for folder in (slipway.home, slipway.home / "logs"):
        told = slipway("hub", "--listen", "127.0.0.1:0", "--allow-path", folder, code=1)
        assert "own home" in told.err


def test_a_glob_does_not_go_through_a_link_that_leads_out(allowed):
    (allowed.slipway.folder / "lnk").symlink_to("/etc")
    up = ".?/" * (len(allowed.slipway.folder.parts) - 1)
    for path in ("ln*/passwd", "lnk/pass*d", "./ln*/passwd", up + "etc/passwd"):
        assert add(allowed, allowed.slipway.folder / path).status == 403, path


def test_a_file_that_became_a_link_is_not_read(allowed):
    slipway = allowed.slipway
    assert allowed.call("POST", "/api/v1/projects/shop/recipes", SYNC, key=allowed.writer).status == 201
    (slipway.folder / "t.csv").unlink()
    (slipway.folder / "t.csv").symlink_to("/etc/passwd")
    dataset = "/api/v1/projects/shop/datasets/d"
    for method, path in (("GET", dataset), ("GET", dataset + "/schema"), ("GET", dataset + "/head"), ("POST", dataset + "/refresh")):
        answer = allowed.call(method, path, key=allowed.writer, body=None if method == "GET" else {})
        assert answer.status == 403, (path, answer)
    answer = allowed.call("POST", "/api/v1/projects/shop/build", {"targets": ["copy"]}, key=allowed.writer)
    assert answer.status == 403, answer
    assert allowed.call("GET", "/api/v1/projects/shop/flow", key=allowed.writer).status == 200
    assert allowed.local("GET", dataset + "/head").status == 400  # whoever may write to the home: is told what is in it


def test_what_was_added_on_the_home_is_read_for_everybody_who_may_see_it(slipway, hubs):
    slipway.write("orders.csv", little.training_csv(rows=5))
    slipway("dataset", "add", "shop/orders", "orders.csv")
    hub = hubs(slipway)
    assert hub.call("GET", "/api/v1/projects/shop/datasets/orders/head", key=hub.key("--role", "read")).status == 200
