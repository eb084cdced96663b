"""Packaging as a job: kills and interruptions, completion, the published schema, `service test` on a real node."""
import json
import random
import signal
import subprocess
import time

import jsonschema_rs
import pytest

from conftest import Slipway
from services import FULL, NODE, PROJECT, ROUNDS, endpoint, full, shop  # noqa: F401  (fixtures)


def test_packaging_is_a_job_and_leaves_the_home_whole(shop):
    made = shop.package("job", endpoint(lookup="places")).json
    job = shop.slipway.json("job", "show", made["job"])
    assert job["kind"] == "package" and job["status"] == "done"
    error = shop.refused("job", endpoint(lookup={"table": "places", "keys": ["nmae"]}))
    assert "nmae" in error["message"]
    assert shop.slipway.json("job", "ls", "shop")[0]["status"] == "failed"
    assert shop.slipway("doctor", "--deep").code == 0


def test_kill_9_at_any_moment_leaves_the_packages_before_or_after(tmp_path):
    """A package exists whole or not at all; numbers go up; nothing piles up."""
    slipway = Slipway(tmp_path)
    slipway("init")
    slipway.write("t.csv", "k,v\n" + "".join(f"k{i},{i * 7 % 100}\n" for i in range(20000)))
    slipway.write("p.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\nservices: {s: {endpoints: {e: {lookup: t, test_queries: "
                            "\"from_dataset(t, 3)\"}}}}\n")
    slipway("apply", "-f", "p.yaml")
    start = time.monotonic()
    acknowledged = {slipway.json("service", "package", "p/s")["package"]}
    whole = time.monotonic() - start
    rng, killed, numbers = random.Random(5), 0, [1]
    for round_ in range(ROUNDS):
        process = slipway.start("service", "package", "p/s", "--json")
        try:
            process.wait(timeout=rng.uniform(0, 1.2 * whole))
        except subprocess.TimeoutExpired:
            pass
        process.kill()
        out, _ = process.communicate()
        killed += process.returncode == -9
        if out.strip():
            acknowledged.add(json.loads(out)["package"])
        packages = slipway.json("service", "packages", "p/s")
        assert [p["number"] for p in packages][: len(numbers)] == numbers and len(packages) - len(numbers) in (0, 1)
        numbers = [p["number"] for p in packages]
        assert numbers == sorted(set(numbers)) and acknowledged <= {p["package"] for p in packages}
        slipway("service", "export", f"p/s@v{numbers[-1]}", "-o", "last.zip")
        assert slipway.json("service", "show", "last.zip")["manifest"]["id"] == f"v{numbers[-1]}"
    assert killed >= ROUNDS // 4, f"only {killed} of {ROUNDS} were killed while they ran"
    slipway("service", "package", "p/s")  # whoever writes next tidies up
    findings = slipway.json("doctor", "--deep")
    assert not list(slipway.home.glob("jobs/*/work")), findings
    assert len(list(slipway.home.glob("blobs/sha256/*/*"))) <= len(numbers) + 1


def test_ctrl_c_makes_no_package(tmp_path):
    slipway = Slipway(tmp_path)
    slipway("init")
    slipway.write("t.csv", "k,v\n" + "".join(f"k{i},{i}\n" for i in range(1_000_000)))
    slipway.write("p.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\nservices: {s: {endpoints: {e: {lookup: t}}}}\n")
    slipway("apply", "-f", "p.yaml")
    process = slipway.start("service", "package", "p/s", "--json")
    deadline = time.monotonic() + 60
    while not list(slipway.home.glob("jobs/*/work/package/task-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == "" and json.loads(err)["code"] == "cancelled"
    assert slipway.json("service", "packages", "p/s") == []
    assert slipway.json("job", "ls")[0]["status"] == "aborted"


def test_the_published_json_schema_takes_what_apply_takes(shop):
    schema = shop.slipway.json("schema", "project")
    for service in (FULL, endpoint(lookup="places"), endpoint(lookup=["places", {"table": "twice", "keys": "name"}]),
                    endpoint(lookup={"table": "places", "columns": ["km"], "no_match": "error"}), endpoint(prediction="amount", test_queries=[])):
        shop.apply({"schema": service})
        jsonschema_rs.validate(schema, {**PROJECT, "services": {"schema": service}})
    for service in (endpoint(lookup=5), endpoint(prediction="amount", enrich=[{"tabel": "places"}]), endpoint(prediction="amount", test_queries="five"),
                    {"endpoints": {}, "auth": "open"}, endpoint(prediction="amount", explanations={"on": True})):
        shop.apply({"schema": service}, code=1)
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(schema, {**PROJECT, "services": {"schema": service}})


def test_names_of_services_are_completed(full):
    full.apply({"full": FULL})
    assert "shop/full" in full.slipway("__complete", "service", "show", "shop/f").out.split()


needs_node = pytest.mark.skipif(not NODE.exists(), reason=f"{NODE} is not built")


@needs_node
def test_the_stored_queries_hold_on_an_api_node(full):
    outcomes = full.slipway.json("service", "test", "shop/full@v1")
    assert len(outcomes) == 15
    assert all(o["ok"] for o in outcomes), [o["difference"] for o in outcomes if not o["ok"]]
    assert {o["generation"] for o in outcomes} == {"v1"} and {o["endpoint"] for o in outcomes} == set(FULL["endpoints"])
    assert "all as expected" in full.slipway("service", "test", "full.zip").out


@needs_node
def test_a_lookup_may_use_as_a_key_what_an_earlier_table_found(shop):
    """The second table's keys are name and country; the first one finds the country."""
    tables = FULL["endpoints"]["places"]["lookup"]
    shop.package("chained", endpoint(lookup=tables, test_queries=[{"data": {"name": "Paris"}}, {"data": {"name": "Paris", "country": "DE"}}]))
    found, other = shop.queries("chained")
    assert found["expected"]["country"] == "FR" and found["expected"]["how_far"] == 880.25
    assert "how_far" not in (other["expected"] or {}), "the record's own country stands"
    assert "2 test queries, all as expected" in shop.slipway("service", "test", "./chained.zip").out


@needs_node
def test_a_query_that_fails_is_exit_6_and_says_what_differs(shop):
    service = endpoint(prediction="amount", test_queries=[{"name": "wrong", "features": {"items": 3}, "expect": {"prediction": -1}},
                                                          {"name": "right", "features": {"items": 3}}])
    shop.package("fails", service, "--force")
    outcomes = shop.slipway("service", "test", "shop/fails", "--json", code=6).json
    assert {o["query"]: o["ok"] for o in outcomes} == {"wrong": False, "right": True}
    text = shop.slipway("service", "test", "shop/fails", code=6).out
    assert "expected -1" in text and "1 of 2 test queries failed" in text


@needs_node
def test_an_altered_package_is_not_tested(full):
    content = (full.slipway.folder / "full.zip").read_bytes()
    at = len(content) // 2
    full.slipway.write("bad.zip", content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
    assert full.slipway("service", "test", "bad.zip", code=None).code in (1, 7)
