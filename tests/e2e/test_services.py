"""API services in a project: what may be defined, packages of them, what stands in a package."""
import copy
import csv
import hashlib
import json
import os
import shutil
import zipfile

import pytest
import yaml

from conftest import Slipway
from services import FULL, PLACE, PLACES, PROJECT, TARGETS, as_csv, as_yaml, endpoint, full, orders, shop, train  # noqa: F401  (fixtures)


def test_a_package_holds_what_the_service_says(full):
    manifest = json.loads(full.zip("full").read("manifest.json"))
    assert (manifest["service"], manifest["id"], manifest["auth"]) == ("full", "v1", "api_keys")
    by_id = {e["id"]: e for e in manifest["endpoints"]}
    assert by_id["amount"]["model"] == "shop/amount@1" and by_id["size"]["model"] == "shop/size@1"
    assert by_id["express"]["explain_by_default"] and by_id["express"]["explanations"] == 3 and not by_id["amount"]["explain_by_default"]
    use = by_id["amount"]["enrichments"][0]
    assert use["keys"] == [{"column": "name", "field": "place"}]
    assert use["columns"] == [{"column": "country", "field": "country"}, {"column": "km", "field": "distance"}]
    assert [use[k] for k in ("missing_key", "no_match", "several_matches")] == ["continue", "continue", "error"]
    # The short form takes every column that is no key; endpoints that look into the same table share it.
    assert by_id["places"]["tables"][0]["columns"] == [{"column": c, "field": c} for c in ("country", "km", "since")]
    assert by_id["places"]["tables"][0]["part"] == use["part"] != by_id["places"]["tables"][1]["part"]
    names = {part["name"] for part in manifest["parts"]}
    assert names | {"manifest.json"} == set(full.zip("full").namelist())


def test_the_bundle_in_a_package_is_the_version(full):
    full.slipway("model", "export", "shop/amount@1", "-o", "amount.bundle")
    assert full.zip("full").read("amount-1.bundle") == (full.slipway.folder / "amount.bundle").read_bytes()


def test_expected_answers_are_those_of_batch_scoring(full):
    """To the same bits: enriched by hand here, scored by `slipway score`."""
    queries = full.queries("full")
    for name, model in (("amount", "amount"), ("express", "express_like"), ("size", "size")):
        mine = [q for q in queries if q["endpoint"] == name]
        assert len(mine) == {"amount": 5, "express": 5, "size": 4}[name]
        rows = []
        for query in mine:
            features = query["request"]["features"]
            country, distance, _ = PLACES.get(features["place"], (None, None, None))
            row = {"items": None, "weight_kg": None, "express": None, "ordered_at": None, **features, "country": country, "distance": distance}
            rows.append({k: "" if v is None else json.dumps(v) if isinstance(v, (bool, int, float)) else v for k, v in row.items()})
        full.slipway.write("enriched.csv", as_csv(rows))
        full.slipway("score", "--model", f"shop/{model}", "--input", "enriched.csv", "--output", "scored.csv")
        with open(full.slipway.folder / "scored.csv", newline="") as file:
            scored = list(csv.DictReader(file))
        for query, row in zip(mine, scored):
            expected = query["expected"]
            assert query["tolerance"] == 0
            if name == "amount":
                assert set(expected) == {"prediction"} and expected["prediction"] == float(row["prediction"])
            else:
                classes = [c[len("proba_"):] for c in row if c.startswith("proba_")]
                assert expected["prediction"] == row["prediction"]
                assert expected["probas"] == {c: float(row[f"proba_{c}"]) for c in classes}
                assert len(classes) == {"express": 2, "size": 3}[name]


def test_drawn_rows_keep_the_types_of_their_columns(full):
    with open(full.slipway.folder / "new.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    queries = [q for q in full.queries("full") if q["endpoint"] == "amount"]
    assert len({json.dumps(q["request"]) for q in queries}) == 5
    for query in queries:
        source, _, number = query["name"].rpartition(" row ")
        assert source == "new"
        row, features = rows[int(number) - 1], query["request"]["features"]
        # What the endpoint reads and nothing else: the rest is looked up, or is no input.
        assert list(features) == ["place", "items", "weight_kg", "express", "ordered_at"]
        assert features["place"] == (row["place"] or None)
        assert features["items"] == int(row["items"]) and isinstance(features["items"], int)
        assert features["weight_kg"] == float(row["weight_kg"])
        assert features["express"] is (row["express"] == "true")
        assert features["ordered_at"] == row["ordered_at"].replace(" ", "T") + "Z"
    assert [int(q["name"].rpartition(" ")[2]) for q in queries] == sorted(int(q["name"].rpartition(" ")[2]) for q in queries)


def test_the_seed_decides_which_rows(shop):
    def names(seed):
        shop.package("seeded", endpoint(prediction="amount", enrich=[PLACE], test_queries={"from_dataset": "new", "rows": 8, "seed": seed}))
        return [q["name"] for q in shop.queries("seeded")]

    first = names(1)
    assert names(1) == first != names(2)


def test_missing_cells_are_null_and_targets_are_not_asked(shop):
    shop.slipway.write("gaps.csv", as_csv([{**row, "place": "", "weight_kg": ""} for row in orders(6, 3, True)]))
    datasets = {**PROJECT["datasets"], "gaps": {"type": "files", "path": "gaps.csv", "schema": {
        "order_id": "int64", "place": "string", "items": "int64", "weight_kg": "double", "express": "boolean", "ordered_at": "timestamp",
        "country": "string", "distance": "double", "amount": "double", "express_like": "int64", "size": "string"}}}
    shop.apply({"gaps": endpoint(prediction="amount", test_queries="from_dataset(gaps, 2)")}, datasets=datasets)
    shop.slipway("service", "package", "shop/gaps", "-o", "gaps.zip")
    for query in shop.queries("gaps"):
        features = query["request"]["features"]
        assert features["place"] is None and features["weight_kg"] is None
        assert not set(features) & {"amount", "express_like", "size", "order_id"}
        assert isinstance(query["expected"]["prediction"], float)


def test_a_lookup_expects_what_the_tables_hold(full):
    (query,) = [q for q in full.queries("full") if q["endpoint"] == "places"]
    assert query["request"] == {"data": {"name": "Paris", "country": "FR"}}
    assert query["expected"] == {"country": "FR", "km": 880.25, "since": "2021-01-01T00:00:00Z", "how_far": 880.25}


def test_lookups_drawn_from_a_dataset_are_those_that_match(shop):
    shop.slipway.write("asked.csv", "name\n" + "nowhere\n" * 40 + "Oslo\nRome\n")
    datasets = {**PROJECT["datasets"], "asked": {"type": "files", "path": "asked.csv"}}
    shop.apply({"asked": endpoint(lookup="places", test_queries="from_dataset(asked, 2)")}, datasets=datasets)
    shop.slipway("service", "package", "shop/asked", "-o", "asked.zip")
    answers = {q["request"]["data"]["name"]: q["expected"] for q in shop.queries("asked")}
    # 2 of 42 rows match: they are found among those drawn, or null is expected of what does not match.
    assert len(shop.queries("asked")) == 2
    for name, expected in answers.items():
        country, km, since = PLACES.get(name, (None, None, None))
        wanted = {k: v for k, v in (("country", country), ("km", km), ("since", since and since.replace(" ", "T") + "Z")) if v is not None}
        assert expected == (wanted if name in PLACES else None)


def test_packages_are_numbered_and_say_when_nothing_changed(shop):
    one = shop.package("plain", endpoint(prediction="amount", test_queries="from_dataset(orders, 2)"), "--notes", "the first").json
    assert one["package"] == "v1" and one["unchanged_since"] is None and one["service"] == "shop/plain" and one["test_queries"] == 2
    assert one["endpoints"] == [{"endpoint": "e", "type": "prediction", "model": "shop/amount@1", "tables": [], "test_queries": 2}]
    two = shop.slipway("service", "package", "shop/plain", "-o", "second.zip", "--json").json
    assert two["package"] == "v2" and two["unchanged_since"] == "v1"
    assert "nothing changed since v2" in shop.slipway("service", "show", "shop/plain").out
    # The same parts in both, but for the manifest and the description, which name the version.
    a, b = shop.zip("plain"), zipfile.ZipFile(shop.slipway.folder / "second.zip")
    assert a.namelist() == b.namelist()
    assert {n for n in a.namelist() if a.read(n) != b.read(n)} <= {"manifest.json", "openapi.json"}
    listed = shop.slipway.json("service", "packages", "shop/plain")
    assert [(p["package"], p["notes"]) for p in listed] == [("v1", "the first"), ("v2", "")]
    assert listed[0]["models"] == [{"endpoint": "e", "model": "shop/amount@1"}]


def test_a_package_is_exported_again_to_the_byte(shop):
    shop.package("bytes", endpoint(prediction="amount"))
    shop.slipway("service", "package", "shop/bytes", "--notes", "another")
    before = (shop.slipway.folder / "bytes.zip").read_bytes()
    for _ in range(2):
        answer = shop.slipway.json("service", "export", "shop/bytes@v1", "-o", "again.zip")
        assert answer["package"] == "v1"
        assert (shop.slipway.folder / "again.zip").read_bytes() == before
    assert shop.slipway.json("service", "export", "shop/bytes")["path"].endswith("bytes-v2.zip")
    assert (shop.slipway.folder / "bytes-v2.zip").exists()
    assert "has no package v9" in shop.slipway("service", "export", "shop/bytes@v9", code=3).err


def test_the_same_home_and_source_date_give_the_same_bytes(shop, tmp_path, monkeypatch):
    shop.apply({"dated": endpoint(lookup="places")})
    digests = {}
    for name, epoch in (("one", "1767225600"), ("two", "1767225600"), ("three", "1767225601")):
        copy = Slipway(tmp_path / name)
        shutil.copytree(shop.slipway.folder, copy.folder)
        monkeypatch.setattr(copy, "environment", lambda copy=copy, epoch=epoch: {**Slipway.environment(copy), "SOURCE_DATE_EPOCH": epoch})
        made = copy.json("service", "package", "shop/dated", "-o", "dated.zip")
        digests[name] = hashlib.sha256((copy.folder / "dated.zip").read_bytes()).hexdigest()
        assert made["sha256"] == digests[name]
    assert digests["one"] == digests["two"] != digests["three"]
    assert copy.json("service", "show", "./dated.zip")["manifest"]["created_at"] == "2026-01-01T00:00:01Z"
    for epoch in ("yesterday", "-1", "1.5"):
        monkeypatch.setattr(copy, "environment", lambda copy=copy, epoch=epoch: {**Slipway.environment(copy), "SOURCE_DATE_EPOCH": epoch})
        refused = copy("service", "package", "shop/dated", code=2)
        assert "SOURCE_DATE_EPOCH" in refused.err and epoch in refused.err
    monkeypatch.setattr(copy, "environment", lambda: {**Slipway.environment(copy), "SOURCE_DATE_EPOCH": "999999999999999"})
    assert "from 0 to" in copy("service", "package", "shop/dated", code=1).err
    assert len(copy.json("service", "packages", "shop/dated")) == 1


def test_what_a_foreign_package_says_does_not_command_the_terminal(shop):
    made = shop.package("terminal", endpoint(lookup="places"), "--notes", "fine\x1b]0;owned\x07\x1b[2J")
    for shown in (made.out, shop.slipway("service", "show", "shop/terminal").out, shop.slipway("service", "packages", "shop/terminal").out):
        assert "\x1b" not in shown and "\x07" not in shown
    shop.slipway("service", "export", "shop/terminal", "-o", "terminal.zip")
    shown = shop.slipway("service", "show", "./terminal.zip").out
    assert "\x1b" not in shown and "notes: fine\\x1b]0;owned\\x07\\x1b[2J\n" in shown


def test_show_says_what_packaging_again_would_change(shop):
    service = endpoint(prediction="amount", enrich=[PLACE], test_queries="from_dataset(new, 2)")
    shop.package("moving", service)
    assert shop.slipway.json("service", "show", "shop/moving")["changes"] == []
    service["endpoints"]["e"]["explanations"] = {"enabled": True}
    shop.apply({"moving": service})
    (change,) = shop.slipway.json("service", "show", "shop/moving")["changes"]
    assert "explanations" in change
    places = shop.slipway.folder / "places.csv"
    before = places.read_text()
    try:
        places.write_text(before + "Lima,PE,11000,\n")
        shown = shop.slipway("service", "show", "shop/moving").out
        assert "changed since v1:" in shown and "table places: the dataset's content has changed" in shown
    finally:
        places.write_text(before)


def test_another_active_version_is_a_change(shop):
    shop.package("versions", endpoint(prediction="amount", enrich=[PLACE], test_queries="from_dataset(new, 1)"))
    shop.slipway("service", "package", "shop/versions")
    recipes = {**PROJECT["recipes"], "train_amount": train("amount", "regression", TARGETS[1:], iterations=12)}
    try:
        shop.apply({"versions": endpoint(prediction="amount", enrich=[PLACE], test_queries="from_dataset(new, 1)")}, recipes=recipes)
        shop.slipway("build", "shop/amount")
        changes = shop.slipway.json("service", "show", "shop/versions")["changes"]
        assert changes[0] == "endpoint e: amount@1 -> amount@2" and any(line.startswith("endpoint e: rmse ") for line in changes)
        made = shop.slipway.json("service", "package", "shop/versions")
        assert made["endpoints"][0]["model"] == "shop/amount@2" and made["unchanged_since"] is None
        # The version knows who took it, and may go all the same: a package has its own copy.
        assert "shop/versions@v3" in shop.slipway.json("model", "lineage", "shop/amount@2")["packages"]
        assert "shop/versions@v1" in shop.slipway("model", "show", "shop/amount@1").out
    finally:
        shop.slipway("model", "activate", "shop/amount@1")
        shop.slipway("model", "delete", "shop/amount@2")
    assert shop.slipway.json("service", "packages", "shop/versions")[2]["models"][0]["model"] == "shop/amount@2"
    shop.slipway("service", "export", "shop/versions@v3", "-o", "kept.zip")
    assert shop.slipway.json("service", "show", "kept.zip")["verified"]


def test_a_pinned_version_is_not_deleted(shop):
    shop.apply({"pin": endpoint(prediction="size@1")})
    shop.slipway("build", "shop/size", "--mode", "this")
    versions = [v["version"] for v in shop.slipway.json("model", "versions", "shop/size")]
    shop.slipway("model", "activate", f"shop/size@{versions[-1]}")
    refused = shop.slipway("model", "delete", "shop/size@1", code=5 if len(versions) > 1 else None)
    assert "service" in refused.err or len(versions) == 1


def test_deleted_packages_leave_their_number_behind(shop):
    shop.package("gone", endpoint(lookup="places"))
    assert "which package" in shop.slipway("service", "delete-package", "shop/gone", code=2).err
    shop.slipway("service", "delete-package", "shop/gone@v1")
    assert shop.slipway.json("service", "packages", "shop/gone") == []
    assert "has no package yet" in shop.slipway("service", "export", "shop/gone", code=3).err
    assert shop.slipway.json("service", "package", "shop/gone")["package"] == "v2"


def test_services_are_listed(full):
    full.apply({"full": FULL})
    (row,) = [s for s in full.slipway.json("service", "ls", "shop") if s["name"] == "shop/full"]
    assert row["endpoints"] == ["amount", "express", "places", "size"] and row["latest"] == "v1"
    assert "shop/full" in full.slipway("service", "ls").out
    shown = full.slipway.json("service", "show", "shop/full")
    assert shown["auth"] == "api_keys" and shown["packages"][0]["package"] == "v1"


def test_definitions_survive_export_and_apply(shop):
    shop.apply({"round": FULL})
    shop.slipway("export", "shop", "-o", "exported")
    assert shop.slipway("diff", "-f", "exported").out.strip() == "no difference"
    loaded = yaml.safe_load((shop.slipway.folder / "exported" / os.listdir(shop.slipway.folder / "exported")[0]).read_text())
    assert loaded["services"]["round"] == FULL
    changed = copy.deepcopy(FULL)
    changed["endpoints"]["amount"]["enrich"][0]["no_match"] = "error"
    project = copy.deepcopy(PROJECT)
    project["services"] = {"round": changed}
    shop.slipway.write("changed.yaml", as_yaml(project))
    assert "no_match" in shop.slipway("diff", "-f", "changed.yaml", code=6).out


MISTAKES = [
    ("prediction: amuont", "did you mean 'amount'?"),
    ("prediction: amount, enrich: [{table: place}]", "did you mean 'places'?"),
    ("prediction: amount, enrich: [{table: places, colums: [km]}]", "unknown key 'colums' in enrichment 1; did you mean 'columns'?"),
    ("prediction: amount, enrich: [{table: places, no_match: skip}]", "'no_match' must be one of 'error', 'ignore' and 'continue'"),
    ("lookup: plaecs", "did you mean 'places'?"),
    ("prediction: amount, test_queries: from_dataset(news, 5)", "did you mean 'new'?"),
    ("prediction: amount, test_queries: [{features: {a: 1}, expct: {}}]", "did you mean 'expect'?"),
]


@pytest.mark.parametrize("keys,message", MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistakes_are_told_with_their_place(shop, keys, message):
    text = as_yaml(PROJECT)
    shop.slipway.write("wrong.yaml", text + f"services:\n  s:\n    endpoints:\n      e: {{{keys}}}\n")
    error = shop.slipway("apply", "-f", "wrong.yaml", code=1).err
    assert message in error and "wrong.yaml:" in error


REFUSED = [
    ({"endpoints": {}}, 1, "has no endpoints"),
    (endpoint(prediction="never"), 3, "model 'shop/never' has no version yet"),
    (endpoint(prediction="amount@77"), 3, "has no version 77"),
    (endpoint(prediction="amount", enrich=[{"table": "places", "keys": {"nmae": "place"}}]), 1, "there is no column 'nmae' in dataset 'places' (did you mean 'name'?)"),
    (endpoint(prediction="amount", enrich=[{"table": "places", "columns": {"kmm": "distance"}}]), 1, "there is no column 'kmm'"),
    (endpoint(prediction="amount", enrich=[{"table": "places", "columns": {"km": "distence"}}]), 1, "which the model does not take (did you mean 'distance'?)"),
    (endpoint(prediction="amount", enrich=[{"table": "places", "columns": {"since": "distance"}}]), 1, "is a timestamp, but 'distance' of the model is a double"),
    (endpoint(prediction="amount", enrich=[PLACE, {"table": "twice", "keys": {"name": "place"}}]), 1, "gets 'distance' twice, from 'places' and from 'twice'"),
    (endpoint(prediction="amount", test_queries="from_dataset(places, 2)"), 1, "there is no column 'distance' in dataset 'places', which test queries are drawn from"),
    (endpoint(lookup="places", test_queries="from_dataset(new, 2)"), 1, "there is no column 'name'"),
    (endpoint(prediction="amount", test_queries=[{"features": {"items": 3}, "expect": {"prediction": -1}}]), 1, "expected -1"),
    (endpoint(prediction="amount", test_queries=[{"features": {"items": "three"}}]), 1, "'items': 'three' is not of type"),
    (endpoint(prediction="size", test_queries=[{"features": {"items": 9}, "expect": {"prediction": "tiny"}}]), 1, 'expected "tiny"'),
    (endpoint(lookup="places", test_queries=[{"data": {"name": "Rome"}, "expect": {"country": "ES"}}]), 1, 'country: got "IT", expected "ES"'),
    (endpoint(prediction="amount", enrich=[{"table": "twice", "keys": {"name": "place"}}], test_queries=[{"features": {"place": "Oslo"}}]), 1,
     "MULTIPLE_LOOKUP_MATCHES in table 'twice'"),
]


@pytest.mark.parametrize("service,code,message", REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_packaged_is_refused(shop, service, code, message):
    error = shop.refused("refused", service, code=code)
    assert message in error["message"] + (f" ({error['hint']})" if error["hint"] else ""), error
    assert shop.slipway.json("service", "packages", "shop/refused") == []


def test_force_packages_an_expectation_that_does_not_hold(shop):
    service = endpoint(prediction="amount", test_queries=[{"name": "wrong", "features": {"items": 3}, "expect": {"prediction": -1}}])
    made = shop.package("forced", service, "--force")
    assert any("'wrong'" in warning for warning in made.json["warnings"])
    assert shop.queries("forced")[0]["expected"] == {"prediction": -1}


def test_written_expectations_that_hold_are_kept_as_written(shop):
    shop.package("asked", endpoint(prediction="amount", test_queries=[{"features": {"items": 3, "weight_kg": 2}}]))
    right = shop.queries("asked")[0]["expected"]["prediction"]
    shop.package("asked", endpoint(prediction="amount", test_queries=[
        {"features": {"items": 3, "weight_kg": 2}, "expect": {"prediction": round(right, 2)}, "tolerance": 0.01}]))
    (query,) = shop.queries("asked")
    assert query["expected"] == {"prediction": round(right, 2)} and query["tolerance"] == 0.01


def test_policies_decide_what_a_query_expects(shop):
    nowhere = {"features": {"place": "Nowhere", "items": 2}}
    nothing = {"features": {"items": 2}}
    twice = {"features": {"place": "Oslo", "items": 2}}

    def expected(query, **policy):
        use = {"table": "twice", "keys": {"name": "place"}, **policy}
        shop.package("policies", endpoint(prediction="amount", enrich=[use], test_queries=[query]))
        return shop.queries("policies")[0]["expected"]

    assert expected(nowhere, no_match="ignore") == {"ignored": True, "ignoreReason": "NO_LOOKUP_MATCH"}
    assert expected(nothing, missing_key="ignore") == {"ignored": True, "ignoreReason": "MISSING_LOOKUP_KEY"}
    assert expected(twice, several_matches="ignore") == {"ignored": True, "ignoreReason": "MULTIPLE_LOOKUP_MATCHES"}
    for query, policy in ((nowhere, {"no_match": "continue"}), (nothing, {"missing_key": "continue"}), (twice, {"several_matches": "continue"})):
        assert isinstance(expected(query, **policy)["prediction"], float)
    # What the record says itself stands: nothing is looked up, so nothing can fail.
    given = {"features": {"place": "Oslo", "items": 2, "distance": 880.25}}
    shop.package("policies", endpoint(prediction="amount", test_queries=[given]))
    assert expected(given) == shop.queries("policies")[0]["expected"]
    for query, policy, reason in ((nowhere, "no_match", "NO_LOOKUP_MATCH"), (nothing, "missing_key", "MISSING_LOOKUP_KEY")):
        use = {"table": "twice", "keys": {"name": "place"}, policy: "error"}
        assert reason in shop.refused("policies", endpoint(prediction="amount", enrich=[use], test_queries=[query]))["message"]


def test_unknown_names_are_told_with_what_was_meant(full):
    full.apply({"full": FULL})
    assert "did you mean 'full'?" in full.slipway("service", "package", "shop/fulll", code=3).err
    assert "did you mean 'shop'?" in full.slipway("service", "show", "shpo/full", code=3).err
    assert "did you mean 'package'?" in full.slipway("service", "pakcage", "shop/full", code=2).err
    assert full.slipway("service", "show", "full", code=2).err
    assert full.slipway("service", "export", "shop/full@x", code=2).err


def test_an_altered_package_is_refused(full):
    path = full.slipway.folder / "full.zip"
    shown = full.slipway.json("service", "show", path)
    assert shown["verified"] and len(shown["test_queries"]) == 15
    content = path.read_bytes()
    altered = full.slipway.folder / "altered.zip"
    for at in (content.index(b"PK\x03\x04") + 200, len(content) // 3, len(content) // 2, 2 * len(content) // 3):
        altered.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        error = full.slipway("service", "show", altered, "--json", code=1).error
        assert error["code"] == "corruption", error
    # A part exchanged by someone who did not know of the hashes.
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(altered, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"NO", b"SE") if name.endswith(".table") else source.read(name))
    assert full.slipway("service", "show", altered, "--json", code=1).error["code"] == "corruption"
    altered.write_bytes(content[: len(content) - 40])
    assert full.slipway("service", "show", altered, "--json", code=1).error["code"] == "corruption"


def test_a_service_that_is_no_longer_defined_keeps_its_packages(shop):
    shop.package("old", endpoint(lookup="places"))
    shop.apply({"other": endpoint(lookup="places")})
    shop.slipway("apply", "-f", "shop.yaml", "--prune")
    assert "no longer defined" in shop.slipway("service", "show", "shop/old").out
    assert len(shop.slipway.json("service", "packages", "shop/old")) == 1
    shop.slipway("service", "export", "shop/old@v1", "-o", "old-again.zip")
    assert "shop/old" not in [s["name"] for s in shop.slipway.json("service", "ls")]
    assert "no service 'older'" in shop.slipway("service", "packages", "shop/older", code=3).err


def test_a_dataset_that_a_service_needs_stays(shop):
    shop.apply({"needs": endpoint(lookup="twice")})
    assert "is used by the service 'needs'" in shop.slipway("dataset", "rm", "shop/twice", code=5).err
