"""Packages published to another hub: two real hubs, a key between them, and what can go wrong."""
import subprocess

import pytest

from conftest import BINARY, Slipway
from hub import hubs  # noqa: F401  (a fixture)


@pytest.fixture
def two(tmp_path, hubs):
    """A home with two packages of p/s, and another hub with a key of it."""
    here = Slipway(tmp_path / "here")
    here.folder.mkdir()
    here("init")
    here.write("t.csv", "k,v\n" + "".join(f"k{i},{i}\n" for i in range(500)))
    here.write("p.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\nservices: {s: {endpoints: {e: {lookup: t, test_queries: "
               "\"from_dataset(t, 3)\"}}}}\n")
    here("apply", "-f", "p.yaml")
    for _ in range(2):
        here("service", "package", "p/s")
    there = Slipway(tmp_path / "there")
    there.folder.mkdir()
    there("init")
    hub = hubs(there)
    there("user", "add", "ci", "--role", "deploy")
    here.write("there.key", hub.key("--account", "ci"))
    return here, hub


def publish(here, hub, package, *more, **kwargs):
    return here("service", "publish", package, "--to", hub.url, "--to-key-file", "there.key", *more, **kwargs)


def test_a_package_arrives_whole_and_again_is_no_error(two):
    here, hub = two
    answer = publish(here, hub, "p/s@v1", "--json").json
    package = here.json("service", "show", "p/s@v1")
    assert (answer["service"], answer["version"], answer["already"], answer["to"]) == ("s", "v1", False, hub.url)
    assert answer["sha256"] == package["sha256"] and answer["bytes"] == package["bytes"] and answer["published_by"] == "ci"
    assert publish(here, hub, "p/s@v1", "--json").json["already"]
    assert "has s v1 already, with the same content" in publish(here, hub, "p/s@v1").out
    publish(here, hub, "p/s")  # the latest
    there = hub.local("GET", "/api/v1/published-services/s").json
    assert [v["version"] for v in there["versions"]] == ["v1", "v2"] and there["project"] == ""
    archive = hub.local("GET", "/api/v1/published-services/s/versions/v1/archive").body
    here("service", "export", "p/s@v1", "-o", "v1.zip")
    assert archive == (here.folder / "v1.zip").read_bytes()
    # Nothing was published here.
    assert here.json("service", "published") == []
    # What changed there is in its log, by the account of the key.
    log = hub.local("GET", "/api/v1/audit").json
    assert [(r["who"], r["action"]) for r in log if "published" in r["action"]] == [
        ("ci", "POST /api/v1/published-services/{published}/versions")] * 2 + [("ci", "POST /api/v1/published-services")]


def test_other_bytes_under_the_same_version_are_a_conflict(two):
    here, hub = two
    publish(here, hub, "p/s@v1")
    other = Slipway(here.folder.parent / "other")
    other.folder.mkdir()
    other("init")
    other.write("t.csv", "k,v\na,1\n")
    other.write("p.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\nservices: {s: {endpoints: {e: {lookup: t}}}}\n")
    other("apply", "-f", "p.yaml")
    other("service", "package", "p/s")
    refused = other("service", "publish", "p/s@v1", "--to", hub.url, "--to-key-file", here.folder / "there.key", "--json", code=5).error
    assert "published there with another content" in refused["message"] and hub.url in refused["message"] and refused["hint"]
    versions = hub.local("GET", "/api/v1/published-services/s").json["versions"]
    assert [v["sha256"] for v in versions] == [here.json("service", "show", "p/s@v1")["sha256"]]


def test_what_the_other_hub_says_is_told_with_its_cause(two):
    here, hub = two
    hub.slipway("user", "add", "reader", "--role", "read")
    here.write("read.key", hub.key("--account", "reader"))
    weak = here("service", "publish", "p/s", "--to", hub.url, "--to-key-file", "read.key", "--json", code=4).error
    assert f"the hub at {hub.url}" in weak["message"] and "the right 'deploy'" in weak["message"]
    here.write("wrong.key", "swk_" + "x" * 43)
    assert "the hub at" in here("service", "publish", "p/s", "--to", hub.url, "--to-key-file", "wrong.key", "--json", code=4).error["message"]
    missing = here("service", "publish", "p/s", "--to", hub.url, "--json", code=2).error
    assert "--to-key-file" in missing["hint"] and "SLIPWAY_TO_API_KEY" in missing["hint"]
    assert here("service", "publish", "p/s", "--to", "somewhere", "--to-key-file", "there.key", code=2).err
    assert here("service", "publish", "p/s", "--to-key-file", "there.key", code=2).err
    assert "no package v9" in publish(here, hub, "p/s@v9", code=3).err
    hub.stop()
    gone = publish(here, hub, "p/s", "--json", code=7).error
    assert gone["message"].startswith(f"the hub at {hub.url}: GET /api/v1/") and gone["message"].count(hub.url) == 1


def test_the_key_comes_from_standard_input_or_the_environment_too(two):
    here, hub = two
    key = (here.folder / "there.key").read_text()
    here("service", "publish", "p/s@v1", "--to", hub.url, "--to-key-file", "-", stdin=key)
    done = subprocess.run([str(BINARY), "service", "publish", "p/s@v2", "--to", hub.url], capture_output=True, text=True, cwd=here.folder,
                          env={**here.environment(), "SLIPWAY_TO_API_KEY": key}, timeout=60)
    assert done.returncode == 0, done.stderr
    assert key.strip() not in done.stdout + done.stderr


def test_from_one_running_hub_to_another(two, hubs):
    here, hub = two
    source = hubs(here)
    here.write("source.key", source.key())
    elsewhere = Slipway(here.folder)
    elsewhere.home = here.folder / "nowhere"
    answer = elsewhere.json("--server", source.url, "--key-file", "source.key", "service", "publish", "p/s@v2", "--to", hub.url, "--to-key-file",
                            "there.key")
    assert answer["version"] == "v2" and hub.local("GET", "/api/v1/published-services/s").json["versions"][0]["version"] == "v2"
