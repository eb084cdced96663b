"""What production serves stays explained: a deployed model version is not deleted, and who takes away what a deployment serves is warned.
And the audit log tells that a node's admin key was replaced."""
import json
import shutil

import pytest

from apinode import nodes, shop  # noqa: F401  (fixtures)
from conftest import Slipway


@pytest.fixture
def live(shop, tmp_path, nodes):
    """The shop's home, whose p/shop@v2 (p/fare@2) is deployed as d on live."""
    shutil.copytree(shop.folder, tmp_path / "work")
    slipway = Slipway(tmp_path / "work")
    slipway.node = nodes()
    slipway("infra", "add", "live", "--stage", "Test", "--node", slipway.node.url, "--key-file", slipway.write("live.key", slipway.node.admin_key))
    slipway("service", "publish", "p/shop@v2")
    slipway("deployment", "create", "d", "--service", "shop", "--infra", "live", "--version", "v2")
    slipway("deployment", "update", "d")
    return slipway


def test_a_version_that_a_deployment_serves_is_not_deleted(live):
    for package in live.json("service", "show", "p/shop")["packages"]:
        live("service", "delete-package", f"p/shop@{package['package']}")
    refused = live("model", "delete", "p/fare@2", code=5)
    assert "deployed" in refused.err and "'d'" in refused.err, refused.err
    live("deployment", "disable", "d")
    live("model", "delete", "p/fare@2", code=5)  # still wanted
    live("deployment", "delete", "d")
    live("model", "delete", "p/fare@2")


def test_who_deletes_what_a_deployment_serves_is_warned(live):
    told = live("service", "delete", "p/shop")
    assert "deployment 'd' goes on serving" in told.err, told.err
    told = live("project", "delete", "p", "--force")
    assert "deployment 'd' goes on serving" in told.err, told.err
    assert live.json("deployment", "show", "d")["name"] == "d"


def test_the_audit_log_tells_that_a_key_was_replaced(live):
    live("infra", "nodes", "live", "--add", live.node.url, "--key-file", live.write("other.key", "swk_another-key-of-the-same-node"))
    record = live.json("audit", "ls")[0]
    assert record["action"] == "PUT /api/v1/infras/{infra}/nodes"
    before, after = record["before"]["admin_keys"], record["after"]["admin_keys"]
    assert list(before) == list(after) == [live.node.url] and before != after, record
    assert live.node.admin_key not in json.dumps(record) and "another-key" not in json.dumps(record)
