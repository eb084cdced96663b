"""Saved models: versions, activation and its history, policies, lineage, export and import."""
import csv
import json
import os
import pwd

import pytest

import little

ME = pwd.getpwuid(os.getuid()).pw_name


def numbers(slipway, ref="p/m"):
    """(versions that exist, the active one); exactly one is active."""
    versions = slipway.json("model", "versions", ref)
    active = [v["version"] for v in versions if v["active"]]
    assert len(active) == 1
    return [v["version"] for v in versions], active[0]


def train(slipway, *iterations, **kwargs):
    for n in iterations:
        assert little.retrain(slipway, n, **kwargs)["status"] == "done"


def test_a_model_without_versions_is_an_empty_list_and_says_what_to_type(slipway):
    little.make(slipway)
    assert slipway.json("model", "versions", "p/m") == []
    assert "slipway build p/m" in slipway("model", "versions", "p/m").out
    assert slipway.json("model", "ls")[0]["active"] is None
    error = slipway("model", "show", "p/m", "--json", code=3).error
    assert "no version" in error["message"]
    assert slipway("model", "rollback", "p/m", "--json", code=3).error["code"] == "not_found"


def test_five_versions_one_active_and_the_history_says_who_when_why(slipway):
    little.make(slipway)
    train(slipway, 2, 3, 4, 5, 6)
    assert numbers(slipway) == ([1, 2, 3, 4, 5], 5)
    slipway("model", "activate", "p/m@2", "--reason", "the audit wants it")
    assert numbers(slipway)[1] == 2
    slipway("model", "rollback", "p/m", "--reason", "it was wrong")
    assert numbers(slipway)[1] == 5
    slipway("model", "rollback", "p/m")
    assert numbers(slipway)[1] == 4
    slipway("model", "activate", "p/m@latest")
    assert numbers(slipway)[1] == 5
    history = slipway.json("model", "history", "p/m")
    assert [(h["kind"], h["from"], h["to"]) for h in history] == [
        ("train", None, 1), ("train", 1, 2), ("train", 2, 3), ("train", 3, 4), ("train", 4, 5), ("activate", 5, 2), ("rollback", 2, 5),
        ("rollback", 5, 4), ("activate", 4, 5)]
    assert {h["who"] for h in history} == {ME} and all(h["at"].endswith("Z") for h in history)
    assert history[5]["why"] == "the audit wants it" and history[6]["why"] == "it was wrong"
    table = slipway("model", "history", "p/m").out
    assert "the audit wants it" in table and ME in table
    listed = slipway("model", "versions", "p/m").out
    assert "5 * active" in listed and listed.count("active") == 1


def test_versions_as_documented(slipway):
    little.make(slipway)
    train(slipway, 40)
    version = slipway.json("model", "versions", "p/m")[0]
    assert version["algorithm"] == "lightgbm" and version["created_by"] == ME and version["rows"] > 250
    assert {"rmse", "mae", "mape", "r2"} <= set(version["metrics"]) and version["metrics"]["r2"] > 0.9
    assert version["train_seconds"] > 0 and version["note"] == ""
    assert version["dataset_fingerprint"] == slipway.json("dataset", "show", "p/t")["fingerprint"]


def test_activation_of_what_is_not_there(slipway):
    little.make(slipway)
    train(slipway, 2)
    error = slipway("model", "activate", "p/m@7", "--json", code=3).error
    assert "7" in error["message"] and error["code"] == "not_found"
    error = slipway("model", "rollback", "p/m", "--json", code=5).error
    assert error["code"] == "conflict"
    assert numbers(slipway) == ([1], 1)
    slipway("model", "activate", "p/m@1")
    assert len(slipway.json("model", "history", "p/m")) == 1, "the active one again is no change"


def test_policy_never(slipway):
    little.make(slipway, model="m: {activation: never}")
    train(slipway, 2, 9, model="m: {activation: never}")
    assert numbers(slipway) == ([1, 2], 1), "the first is active, then none is by itself"
    slipway("model", "activate", "p/m@2")
    assert numbers(slipway) == ([1, 2], 2)


def test_policy_if_better(slipway):
    policy = "m: {activation: {if_better: rmse}}"
    little.make(slipway, model=policy)
    train(slipway, 20, model=policy)
    train(slipway, 2, model=policy)
    assert numbers(slipway) == ([1, 2], 1), "two trees are worse than twenty"
    told = slipway.json("job", "show", "2")
    assert "rmse" in json.dumps(told["activities"])
    train(slipway, 60, model=policy)
    assert numbers(slipway) == ([1, 2, 3], 3)
    history = slipway.json("model", "history", "p/m")
    assert [h["to"] for h in history] == [1, 3] and "rmse" in history[-1]["why"]


def test_keep_versions_keeps_what_is_active_or_pinned(slipway):
    policy = "m: {keep_versions: 2}"
    little.make(slipway, model=policy)
    train(slipway, 2, model=policy)
    train(slipway, 3, 4, 5, model=policy, scores="m@1")
    assert numbers(slipway) == ([1, 4], 4), "1 is pinned by the score recipe"
    error = slipway("model", "delete", "p/m@1", "--json", code=5).error
    assert error["code"] == "conflict" and ("use" in error["message"] or "pinned" in error["message"] or "recipe" in error["message"])
    train(slipway, 6, model="m: {keep_versions: 2, activation: never}", scores="m@1")
    assert numbers(slipway) == ([1, 4, 5], 4), "neither the pin, nor the active one, nor what was just trained"
    train(slipway, 7, model="m: {keep_versions: 2, activation: never}")
    assert numbers(slipway) == ([4, 6], 4), "the pin is released"
    assert [c for c in slipway.json("doctor", "--deep") if c["state"] == "error"] == []


def test_deleting_versions(slipway):
    little.make(slipway)
    train(slipway, 2, 3, 4)
    error = slipway("model", "delete", "p/m@3", "--json", code=5).error
    assert "active" in error["message"]
    slipway("model", "delete", "p/m@2")
    assert numbers(slipway) == ([1, 3], 3)
    assert slipway("model", "show", "p/m@2", "--json", code=3).error["code"] == "not_found"
    slipway("model", "rollback", "p/m")
    assert numbers(slipway)[1] == 1, "2 is gone: back to 1"
    slipway("model", "delete", "p/m@3")
    train(slipway, 5)
    assert numbers(slipway) == ([1, 4], 4), "a number is never used again"


def test_compare_says_what_differs_first(slipway):
    little.make(slipway)
    train(slipway, 2, 30)
    compared = slipway.json("model", "compare", "p/m", "1", "2")
    assert compared["a"] == 1 and compared["b"] == 2
    metrics = {m["name"]: m for m in compared["metrics"]}
    assert metrics["rmse"]["a"] > metrics["rmse"]["b"] and metrics["rmse"]["different"]
    settings = {s["name"]: s for s in compared["settings"]}
    changed = [name for name, s in settings.items() if s["different"]]
    assert any("num_iterations" in name for name in changed)
    assert [s["different"] for s in compared["settings"]] == sorted([s["different"] for s in compared["settings"]], reverse=True)
    assert not any(s["different"] for s in compared["schema"])
    text = slipway("model", "compare", "p/m", "1", "2").out
    assert "num_iterations" in text and "@1" in text and "rmse" in text
    same = slipway.json("model", "compare", "p/m", "2", "2")
    assert not any(row["different"] for part in ("metrics", "settings", "importance", "schema") for row in same[part])
    assert slipway("model", "compare", "p/m", "1", "9", "--json", code=3).error["code"] == "not_found"


def test_lineage_leads_from_files_to_scored_rows(slipway):
    little.make(slipway)
    train(slipway, 4)
    slipway("build", "p/scored")
    lineage = slipway.json("model", "lineage", "p/m@1")
    build = lineage["build"]
    assert build["recipe"] == "train_m" and build["job"] == "job-000001"
    assert build["inputs"] == [{"name": "t", "fingerprint": slipway.json("dataset", "show", "p/t")["fingerprint"]}]
    assert build["extra"]["files"] == [str(slipway.folder / "t.csv")]
    assert lineage["libraries"]["lightgbm"] and lineage["libraries"]["slipway"]
    assert [d["dataset"] for d in lineage["scored_datasets"]] == ["p/scored"]
    text = slipway("model", "lineage", "p/m").out
    for part in (str(slipway.folder / "t.csv"), build["inputs"][0]["fingerprint"], "train_m", "job-000001", "lightgbm 4", "p/scored"):
        assert part in text
    # The recipe's text is kept as it was.
    slipway.write("p.yaml", little.project_yaml(iterations=99))
    slipway("apply", "-f", "p.yaml")
    assert slipway.json("model", "lineage", "p/m@1")["build"] == build


def predictions(slipway, model, name="s.csv", **kwargs):
    slipway("score", "--model", model, "--input", "new.csv", "--output", name, "--keep", "id", **kwargs)
    with open(slipway.folder / name, newline="") as file:
        return [row["prediction"] for row in csv.DictReader(file)]


def test_a_bundle_travels_and_predicts_the_same(slipway):
    little.make(slipway)
    train(slipway, 8)
    want = predictions(slipway, "p/m")
    exported = slipway.json("model", "export", "p/m@1", "-o", "m.bundle")
    assert exported["version"] == 1 and (slipway.folder / "m.bundle").stat().st_size == exported["bytes"]
    assert predictions(slipway, "./m.bundle") == want
    other = slipway.folder / "other"
    slipway("init", other)
    slipway("--home", other, "dataset", "add", "q/new", "new.csv")
    imported = slipway.json("--home", other, "model", "import", "q/fares", "m.bundle", "--note", "from the laboratory")
    assert imported["version"] == 1 and imported["active"]
    version = slipway.json("--home", other, "model", "versions", "q/fares")[0]
    assert version["note"] == "from the laboratory"
    assert version["metrics"] == slipway.json("model", "versions", "p/m")[0]["metrics"]
    slipway("--home", other, "score", "--model", "q/fares", "--input", "new.csv", "--output", "o.csv", "--keep", "id")
    with open(slipway.folder / "o.csv", newline="") as file:
        assert [r["prediction"] for r in csv.DictReader(file)] == want
    # A second import is a second version; --no-activate leaves the first one active.
    again = slipway.json("--home", other, "model", "import", "q/fares", "m.bundle", "--no-activate")
    assert again["version"] == 2 and not again["active"]
    # An imported model is scored by a recipe like any other.
    slipway("--home", other, "recipe", "add", "score", "q", "--model", "fares@2", "--input", "new", "--output", "out")
    slipway("--home", other, "build", "q/out")
    rows = slipway.json("--home", other, "dataset", "head", "q/out", "-n", "100")
    assert [float(w) for w in want] == [r["prediction"] for r in rows]


def test_lightgbm_text_loads_in_python_and_comes_back(slipway):
    lightgbm = pytest.importorskip("lightgbm")
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("p.yaml", little.project_yaml(iterations=12).replace("{id: ignore}", "{id: ignore, c: ignore, x: {as: numeric, missing: native}, z: {as: numeric, missing: native}}"))
    slipway("apply", "-f", "p.yaml")
    slipway("build", "p/m")
    want = [float(v) for v in predictions(slipway, "p/m")]
    slipway("model", "export", "p/m", "--format", "lightgbm", "-o", "m.txt")
    booster = lightgbm.Booster(model_file=str(slipway.folder / "m.txt"))
    with open(slipway.folder / "new.csv", newline="") as file:
        rows = [[float(r[name]) for name in booster.feature_name()] for r in csv.DictReader(file)]
    assert booster.feature_name() == ["x", "z"]
    assert list(booster.predict(rows)) == want, "to the last bit"
    slipway.json("model", "import", "p/bare", "m.txt")
    assert [float(v) for v in predictions(slipway, "p/bare")] == want
    assert [float(v) for v in predictions(slipway, "./m.txt")] == want
    shown = slipway("model", "show", "p/bare").out
    assert "12 trees" in shown and "null" not in shown
    assert slipway.json("model", "show", "p/bare")["origin"] == "import"
    assert slipway.json("model", "lineage", "p/bare")["imported_from"] == "m.txt" and "m.txt" in slipway("model", "lineage", "p/bare").out
    assert slipway.json("model", "compare", "p/bare", "1", "1")["metrics"] is not None


def test_what_is_no_model_is_not_imported(slipway):
    little.make(slipway)
    train(slipway, 4)
    slipway("model", "export", "p/m", "-o", "m.bundle")
    slipway("model", "export", "p/m", "--format", "lightgbm", "-o", "m.txt")
    bundle, text = (slipway.folder / "m.bundle").read_bytes(), (slipway.folder / "m.txt").read_text()
    slipway.write("cut.bundle", bundle[:-40])
    flipped = bytearray(bundle)
    flipped[len(flipped) // 3] ^= 1
    slipway.write("flipped.bundle", bytes(flipped))
    slipway.write("cut.txt", text[:len(text) // 2])
    slipway.write("words.txt", "not a model\n")
    for name in ("cut.bundle", "flipped.bundle", "cut.txt", "words.txt"):
        error = slipway("model", "import", "p/x", name, "--json", code=1).error
        assert name in error["message"], error
        assert slipway("score", "--model", f"./{name}", "--input", "new.csv", "--output", "o.csv", "--json", code=1).error["message"]
    assert slipway("model", "import", "p/x", "nothing.bundle", "--json", code=3).error["code"] == "not_found"
    assert slipway("model", "import", "nowhere/x", "m.txt", "--json", code=3).error["code"] == "not_found"
    assert [m["name"] for m in slipway.json("model", "ls")] == ["p/m"]


BINARY_YAML = """project: b
datasets: {t: {type: files, path: b.csv}, new: {type: files, path: b.csv}, scored: {type: managed}}
models: {m: {}}
recipes:
  train_m: {type: train, input: t, output: m, target: bought, prediction: binary, algorithm: {lightgbm: {num_iterations: 5, num_leaves: 4, min_data_in_leaf: 5}}}
  score: {type: score, inputs: {model: MODEL, data: new}, output: scored, keep: [y], threshold: THRESHOLD}
"""


def test_a_score_recipe_takes_a_version_columns_and_a_threshold(slipway):
    lines = little.training_csv().splitlines()
    slipway.write("b.csv", "x,z,c,y,bought\n" + "\n".join(",".join(l.split(",")[1:]) + "," + ("yes" if float(l.split(",")[4]) > 15 else "no") for l in lines[1:]) + "\n")

    def apply(model, threshold):
        slipway.write("b.yaml", BINARY_YAML.replace("MODEL", model).replace("THRESHOLD", str(threshold)))
        slipway("apply", "-f", "b.yaml")

    apply("m", 0.5)
    slipway("build", "b/m", "b/scored")
    rows = slipway.json("dataset", "head", "b/scored", "-n", "1000")
    assert list(rows[0]) == ["y", "proba_no", "proba_yes", "prediction"]
    assert all((r["prediction"] == "yes") == (r["proba_yes"] > 0.5) for r in rows)
    half = sum(r["prediction"] == "yes" for r in rows)
    cut = 0.9999
    assert max(r["proba_yes"] for r in rows) < cut
    apply("m@1", cut)
    assert little_steps(slipway)["score"] == ("run", "recipe changed")
    slipway("build", "b/scored")
    rows = slipway.json("dataset", "head", "b/scored", "-n", "1000")
    assert all((r["prediction"] == "yes") == (r["proba_yes"] > cut) for r in rows)
    assert half > 0 and not any(r["prediction"] == "yes" for r in rows)
    # Pinned: another active version changes nothing.
    slipway("build", "b/m", "--mode", "this")
    assert little_steps(slipway)["score"] == ("skip", "up to date")
    apply("m@9", 0.5)
    error = slipway("build", "b/scored", "--json", code=None)
    assert error.code in (1, 3) and "9" in error.error["message"]


def little_steps(slipway):
    plan = slipway.json("build", "b/scored", "--plan")
    return {s["recipe"]: (s["action"], s["reason"]) for s in plan["steps"]}


def test_keep_nothing(slipway):
    little.make(slipway)
    train(slipway, 3)
    slipway("score", "--model", "p/m", "--input", "new.csv", "--output", "s.csv", "--keep", "")
    assert (slipway.folder / "s.csv").read_text().splitlines()[0] == "prediction"
    slipway("score", "--model", "p/m", "--input", "new.csv", "--output", "s.csv", "--keep", "id,c")
    assert (slipway.folder / "s.csv").read_text().splitlines()[0] == "id,c,prediction"
    error = slipway("score", "--model", "p/m", "--input", "new.csv", "--output", "t2.csv", "--keep", "idd", "--json", code=1).error
    assert "idd" in error["message"] and "did you mean 'id'?" in error["message"] + error["hint"]
