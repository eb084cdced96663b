"""The Flow: what is shown, what a build does and why, and what a failure leaves."""
import pytest

import little
from little import outcomes, steps


def states(slipway):
    return {n["id"]: n["state"] for n in slipway.json("flow", "show", "p")["nodes"]}


def test_flow_shows_state_and_edges(slipway):
    little.make(slipway)
    flow = slipway.json("flow", "show", "p")
    edges = {(e["from"], e["to"]) for e in flow["edges"]}
    assert {("dataset/t", "recipe/copy_t"), ("recipe/copy_t", "dataset/copy"), ("dataset/copy", "recipe/agg_t"), ("model/m", "recipe/score_new"),
            ("recipe/train_m", "model/m")} <= edges
    assert states(slipway)["dataset/copy"] == "not built" and states(slipway)["model/m"] == "no version"
    tree = slipway("flow", "show", "p").out
    assert "■ t  files dataset · ready" in tree and "◆ m  saved model · no version" in tree
    slipway("build", "p/copy", "p/m")
    assert states(slipway)["dataset/copy"] == "up to date" and states(slipway)["model/m"] == "version 1 active"
    slipway.write("t.csv", little.training_csv(seed=7))
    node = {n["id"]: n for n in slipway.json("flow", "show", "p")["nodes"]}["dataset/copy"]
    assert node["state"] == "out of date" and node["reason"] == "input 't' changed"
    assert "input 't' changed" in slipway("flow", "show", "p").out


def test_every_step_says_why(slipway):
    little.make(slipway)
    assert steps(slipway, "p/agg") == {"copy_t": ("run", "never built"), "agg_t": ("run", "never built")}
    slipway("build", "p/agg", "p/m", "p/scored")
    assert set(steps(slipway, "p/agg", "p/m", "p/scored").values()) == {("skip", "up to date")}

    slipway.write("t.csv", little.training_csv(seed=3))
    assert steps(slipway, "p/agg") == {"copy_t": ("run", "input 't' changed"), "agg_t": ("run", "upstream 'copy' is rebuilt")}
    assert steps(slipway, "p/m") == {"train_m": ("run", "input 't' changed")}
    slipway.write("t.csv", little.training_csv())
    assert set(steps(slipway, "p/agg", "p/m").values()) == {("skip", "up to date")}, "the same content again"

    slipway.write("p.yaml", little.project_yaml(query="SELECT count(*) AS k FROM copy"))
    slipway("apply", "-f", "p.yaml")
    assert steps(slipway, "p/agg") == {"copy_t": ("skip", "up to date"), "agg_t": ("run", "recipe changed")}
    slipway("dataset", "clear", "p/copy")
    assert steps(slipway, "p/agg")["copy_t"] == ("run", "never built")
    assert slipway.json("job", "ls")[0]["job"] == "job-000001", "planning makes no job"


def test_a_score_recipe_follows_the_active_version(slipway):
    little.make(slipway)
    slipway("build", "p/m", "p/scored")
    first = slipway.json("dataset", "head", "p/scored")
    little.retrain(slipway, 8)
    assert steps(slipway, "p/scored") == {"score_new": ("run", "model 'm' active version is now 2, was 1")} or \
        steps(slipway, "p/scored") == {"score_new": ("run", "model 'm' its active version is now 2, was 1")} or \
        "active version is now 2, was 1" in steps(slipway, "p/scored")["score_new"][1]
    slipway("build", "p/scored")
    assert slipway.json("dataset", "head", "p/scored") != first
    slipway("model", "rollback", "p/m")
    assert "active version is now 1, was 2" in steps(slipway, "p/scored")["score_new"][1]
    slipway("build", "p/scored")
    assert slipway.json("dataset", "head", "p/scored") == first, "the same version gives the same rows"
    assert steps(slipway, "p/scored") == {"score_new": ("skip", "up to date")}


def test_modes(slipway):
    little.make(slipway)
    slipway("build", "p/agg")
    assert steps(slipway, "p/agg", mode="this") == {"agg_t": ("run", "asked for")}
    assert steps(slipway, "p/agg", mode="all") == {"copy_t": ("run", "all upstream asked for"), "agg_t": ("run", "upstream 'copy' is rebuilt")}
    slipway.write("t.csv", little.training_csv(seed=5))
    assert steps(slipway, "p/agg", mode="missing") == {"agg_t": ("skip", "exists")}
    slipway("dataset", "clear", "p/agg")
    assert steps(slipway, "p/agg", mode="missing") == {"agg_t": ("run", "never built")}, "copy is out of date and there"
    slipway("dataset", "clear", "p/copy")
    error = slipway("build", "p/agg", "--mode", "this", "--json", code=1).error
    assert "copy" in error["message"] and "build" in error["hint"]
    assert outcomes(slipway.json("build", "p/agg", "--mode", "missing")) == {"copy_t": "done", "agg_t": "done"}


def test_what_has_no_recipe_is_told(slipway):
    little.make(slipway)
    assert "files" in slipway("build", "p/t", "--json", code=1).error["message"]
    error = slipway("build", "p/scored", "--json", code=1).error
    assert "no version yet" in error["message"] and "build 'm' first" in error["hint"]
    assert slipway.json("job", "ls") == []
    assert outcomes(slipway.json("build", "p/scored", "p/m")) == {"train_m": "done", "score_new": "done"}, "both named: in order"


def test_build_answers_as_documented(slipway):
    little.make(slipway)
    answer = slipway.json("build", "p/agg")
    assert answer["status"] == "done" and answer["job"] == "job-000001"
    for a in answer["activities"]:
        assert {"recipe", "output", "status", "reason", "rows", "seconds", "error"} <= set(a)
    assert answer["activities"][0]["rows"] == little.ROWS and answer["activities"][0]["error"] is None
    again = slipway.json("build", "p/agg")
    assert outcomes(again) == {"copy_t": "skipped", "agg_t": "skipped"} and again["status"] == "done"
    assert "everything is up to date" in slipway("build", "p/agg").out


BRANCHES = """project: p
datasets:
  t: {type: files, path: t.csv}
  left: {type: managed}
  after_left: {type: managed}
  further: {type: managed}
  right: {type: managed}
  after_right: {type: managed}
recipes:
  l: {type: sql, input: t, output: left, query: "SELECT id, error('left is ' || 'broken') AS e FROM t"}
  al: {type: sync, input: left, output: after_left}
  f: {type: sync, input: after_left, output: further}
  r: {type: sync, input: t, output: right}
  ar: {type: sync, input: right, output: after_right}
"""


def test_a_failure_stops_only_what_depends_on_it(slipway):
    slipway.write("t.csv", little.training_csv())
    slipway.write("p.yaml", BRANCHES)
    slipway("apply", "-f", "p.yaml")
    answer = slipway("build", "p/further", "p/after_right", "--json", code=1)
    assert answer.json["status"] == "failed"
    assert outcomes(answer.json) == {"l": "failed", "al": "skipped", "f": "skipped", "r": "done", "ar": "done"}
    by = {a["recipe"]: a for a in answer.json["activities"]}
    assert "left is broken" in by["l"]["error"] and by["al"]["reason"] == "'left' was not built" and by["f"]["reason"] == "'after_left' was not built"
    assert slipway.json("dataset", "show", "p/after_right")["rows"] == little.ROWS
    told = slipway("build", "p/further", "p/after_right", code=1)
    assert "left is broken" in told.err and "job-000002: failed" in told.out
    shown = slipway("job", "show", "2").out
    assert "left is broken" in shown and "failed" in shown
    assert "left is broken" in slipway("job", "log", "2").out
    assert slipway.json("job", "show", "job-000002")["status"] == "failed"


def test_input_that_went_away_is_told_before_anything_runs(slipway):
    little.make(slipway)
    slipway("build", "p/copy")
    (slipway.folder / "t.csv").unlink()
    error = slipway("build", "p/copy", "--mode", "all", "--json", code=None)
    assert error.code in (1, 3) and "t.csv" in error.error["message"]
    assert slipway.json("dataset", "show", "p/copy")["rows"] == little.ROWS
    assert {n["id"]: n["state"] for n in slipway.json("flow", "show", "p")["nodes"]}["dataset/t"] != "ready"


def test_a_broken_engine_process_is_told_and_harms_nothing(slipway):
    """The recipe's process dies: its signal is named, the old output stays."""
    little.make(slipway)
    slipway("build", "p/copy")
    before = slipway.json("dataset", "show", "p/copy")
    killer = slipway.write("killer.sh", "#!/bin/sh\nkill -SEGV $$\n")
    killer.chmod(0o755)
    import subprocess
    from conftest import BINARY
    done = subprocess.run([BINARY, "build", "p/copy", "--mode", "this", "--json"], env={**slipway.environment(), "SLIPWAY_EXECUTABLE": str(killer)},
                          cwd=slipway.folder, capture_output=True, text=True)
    import json
    assert done.returncode == 1
    assert "signal" in json.loads(done.stdout)["activities"][0]["error"].lower()
    assert slipway.json("dataset", "show", "p/copy") == before
