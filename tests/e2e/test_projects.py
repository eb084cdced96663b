"""Definitions as code: apply, diff, export, delete; what bad YAML and bad homes get."""
import json
import os
import shutil
import subprocess

import pytest

import little
from conftest import BINARY


def kinds(answer):
    return {(c["change"], c["kind"], c["name"]) for c in answer["changes"]}


def test_apply_plans_does_and_then_has_nothing_to_do(slipway):
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("p.yaml", little.project_yaml())
    planned = slipway("apply", "-f", "p.yaml", "--plan")
    assert "+ recipe train_m" in planned.out and "nothing was changed" in planned.out
    assert slipway.json("project", "ls") == []
    done = slipway("apply", "-f", "p.yaml").out
    assert [l for l in done.splitlines() if l[:1] in "+~-"] == [l for l in planned.out.splitlines() if l[:1] in "+~-"]
    again = slipway("apply", "-f", "p.yaml")
    assert "nothing to change" in again.out
    before = slipway.json("project", "show", "p")
    assert slipway.json("apply", "-f", "p.yaml")["changes"] == []
    assert slipway.json("project", "show", "p")["revision"] == before["revision"]


def test_a_change_is_shown_as_a_change(slipway):
    little.make(slipway)
    slipway.write("p.yaml", little.project_yaml(iterations=9))
    assert kinds(slipway.json("apply", "-f", "p.yaml", "--plan")) == {("~", "recipe", "train_m")} or \
        kinds(slipway.json("apply", "-f", "p.yaml", "--plan")) == {("change", "recipe", "train_m")}
    assert "~ recipe train_m" in slipway("apply", "-f", "p.yaml").out
    assert slipway.json("project", "show", "p")["revision"] == 2


def test_without_prune_what_is_not_named_stays(slipway):
    little.make(slipway)
    slipway.write("less.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\n")
    assert slipway.json("apply", "-f", "less.yaml")["changes"] == []
    assert len(slipway.json("recipe", "ls", "p")) == 4
    planned = slipway("apply", "-f", "less.yaml", "--prune", "--plan").out
    assert "- recipe agg_t" in planned and "- model m" in planned


def test_prune_removes_and_wants_force_for_models_with_versions(slipway):
    little.make(slipway)
    slipway("build", "p/m", "p/copy")
    slipway.write("less.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\n")
    error = slipway("apply", "-f", "less.yaml", "--prune", "--json", code=5).error
    assert "m" in error["message"] and "force" in error["hint"]
    assert len(slipway.json("recipe", "ls", "p")) == 4, "all or nothing"
    assert len(slipway.json("model", "versions", "p/m")) == 1
    assert slipway.json("dataset", "show", "p/copy")["rows"] == little.ROWS
    slipway("apply", "-f", "less.yaml", "--prune", "--force")
    assert slipway.json("recipe", "ls", "p") == [] and slipway.json("model", "ls") == []
    assert [d["name"] for d in slipway.json("dataset", "ls")] == ["p/t"]
    assert list((slipway.home / "data").rglob("*.parquet")) == []
    # Numbers are never used again, also not those of a removed model.
    slipway("apply", "-f", "p.yaml")
    slipway("build", "p/m")
    assert [v["version"] for v in slipway.json("model", "versions", "p/m")] == [2]


def test_one_bad_object_and_nothing_is_applied(slipway):
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway.write("bad.csv", b"a,b\n1,2\n3\n" + b"4,5\n" * 3)
    slipway.write("p.yaml", little.project_yaml().replace("path: new.csv", "path: bad.csv, schema: {a: int64, q: string}"))
    answer = slipway("apply", "-f", "p.yaml", "--json", code=None)
    assert answer.code == 1 and "new" in answer.error["message"], answer.error
    assert slipway.json("project", "ls") == []


def test_diff_exits_6_when_something_differs_and_0_when_nothing_does(slipway):
    little.make(slipway)
    assert slipway.json("diff", "-f", "p.yaml")["changes"] == []
    assert "no difference" in slipway("diff", "-f", "p.yaml").out
    slipway.write("p.yaml", little.project_yaml(iterations=6))
    answer = slipway("diff", "-f", "p.yaml", code=6)
    assert "~ recipe train_m" in answer.out and "num_iterations" in answer.out
    slipway.write("less.yaml", "project: p\ndatasets: {t: {type: files, path: t.csv}}\n")
    assert "- recipe train_m" in slipway("diff", "-f", "less.yaml", code=6).out
    assert slipway.json("project", "show", "p")["revision"] == 1, "diff changes nothing"
    slipway.write("other.yaml", "project: other\n")
    assert "+ project other" in slipway("diff", "-f", "other.yaml", code=6).out


SERVICES = """services:
  s: {endpoints: {e: {prediction: m, test_queries: "from_dataset(new, 5)"}}}
scenarios:
  nightly: {triggers: [], steps: []}
"""


def test_export_then_apply_elsewhere_gives_the_same_project(slipway):
    little.make(slipway, more=SERVICES)
    slipway("export", "p", "-o", "out")
    other = slipway.folder / "other"
    slipway("init", other)
    slipway("--home", other, "apply", "-f", "out")
    assert slipway("--home", other, "diff", "-f", "out").code == 0
    assert slipway("--home", other, "diff", "-f", "p.yaml").code == 0
    show = lambda *flags: slipway.json(*flags, "project", "show", "p")["definition"]
    assert show("--home", other) == show()
    assert show()["services"]["s"]["endpoints"]["e"]["prediction"] == "m" and "nightly" in show()["scenarios"]
    # To standard output it is the same text, and reads back.
    slipway.write("again.yaml", slipway("export", "p").out)
    assert slipway("diff", "-f", "again.yaml").code == 0


def test_a_folder_of_files_is_one_project_with_paths_against_each_file(slipway):
    slipway.write("repo/data/t.csv", little.training_csv())
    slipway.write("repo/project.yaml", "project: q\n")
    slipway.write("repo/parts/data.yaml", "datasets:\n  t: {type: files, path: ../data/t.csv}\n  copy: {type: managed}\n")
    slipway.write("repo/recipes.yml", "recipes:\n  c: {type: sync, input: t, output: copy}\n")
    slipway("apply", "-f", "repo")
    assert slipway.json("dataset", "show", "q/t")["files"] == [str(slipway.folder / "repo/data/t.csv")]
    slipway("build", "q/copy")
    # From another working folder the same paths are meant.
    assert slipway("diff", "-f", "../repo", cwd=slipway.write("else/x", "").parent).code == 0
    slipway.write("repo/more.yaml", "datasets:\n  t: {type: managed}\n")
    error = slipway("apply", "-f", "repo", "--json", code=1).error
    assert "'t'" in error["message"] and "more.yaml" in error["message"]


@pytest.mark.parametrize("old, new, where, said", [
    ("    target: \"y\"", "    targett: \"y\"", ":17:5:", "did you mean 'target'?"),
    ("type: sync", "type: snyc", ":", "did you mean 'sync'?"),
    ("input: t, output: copy", "input: tt, output: copy", ":", "'tt'"),
    ("prediction: regression", "prediction: regresion", ":", "did you mean 'regression'?"),
    ("  copy: {type: managed}", "  copy: {type: managed}\n  copy: {type: managed}", ":6:3:", "copy"),
    ("  agg: {type: managed}", "   agg: {type: managed}", ":", ""),
    ("  agg: {type: managed}", "\tagg: {type: managed}", ":6:", "tab"),
    ("type: score, inputs", "type: score, keeep: [id], inputs", ":", "did you mean 'keep'?"),
    ("models:", "modles:", ":", "did you mean 'models'?"),
    ("output: agg}", "output: copy}", ":", "copy"),
])
def test_bad_yaml_is_told_with_its_place(slipway, old, new, where, said):
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    text = little.project_yaml()
    assert old in text
    slipway.write("p.yaml", text.replace(old, new, 1))
    error = slipway("apply", "-f", "p.yaml", "--json", code=1).error
    assert "p.yaml" + where in error["message"] and said in error["message"] + error["hint"], error
    assert slipway.json("project", "ls") == []


def test_every_problem_is_told_at_once(slipway):
    slipway.write("p.yaml", little.project_yaml().replace("type: sync", "type: snyc").replace("target:", "targett:"))
    message = slipway("apply", "-f", "p.yaml", "--json", code=1).error["message"]
    assert "snyc" in message and "targett" in message


def test_anchors_that_explode_are_refused_at_once(slipway):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi"))
    slipway.write("p.yaml", "project: p\n" + bomb)
    error = slipway("apply", "-f", "p.yaml", "--json", code=1, timeout=10).error
    assert "anchor" in error["message"] and "p.yaml:2" in error["message"]


def test_the_same_output_in_two_recipes_and_cycles_are_refused(slipway):
    slipway.write("p.yaml", """project: p
datasets: {a: {type: managed}, b: {type: managed}}
recipes:
  one: {type: sync, input: a, output: b}
  two: {type: sync, input: b, output: a}
""")
    error = slipway("apply", "-f", "p.yaml", "--json", code=1).error
    assert "cycle" in error["message"] and all(n in error["message"] for n in ("one", "two", "a", "b"))
    little.make(slipway)
    error = slipway("recipe", "add", "sync", "p", "--name", "other", "--input", "t", "--output", "copy", "--json", code=1).error
    assert "copy" in error["message"] and "copy_t" in error["message"]
    assert len(slipway.json("recipe", "ls", "p")) == 4


def test_what_others_use_is_not_deleted(slipway):
    little.make(slipway)
    error = slipway("dataset", "rm", "p/t", "--json", code=5).error
    assert "copy_t" in error["message"] and "train_m" in error["message"] and "recipe rm" in error["hint"]
    slipway("build", "p/m")
    error = slipway("project", "delete", "p", "--json", code=5).error
    assert "force" in error["hint"]
    assert slipway.json("model", "versions", "p/m")
    slipway("recipe", "rm", "p/agg_t")
    slipway("dataset", "rm", "p/agg")
    assert "p/agg" not in [d["name"] for d in slipway.json("dataset", "ls", "p")]


def test_a_deleted_project_is_gone_with_its_data_and_the_users_files_stay(slipway):
    little.make(slipway)
    slipway("build", "p/m", "p/copy")
    slipway("project", "delete", "p", "--force")
    assert slipway.json("project", "ls") == [] and slipway.json("model", "ls") == []
    assert list((slipway.home / "data").rglob("*.parquet")) == []
    assert (slipway.folder / "t.csv").exists()
    assert {c["state"] for c in slipway.json("doctor", "--deep")} <= {"ok", "warning"}


def test_a_home_of_a_newer_version_is_left_alone(slipway):
    home = json.loads((slipway.home / "home.json").read_text())
    (slipway.home / "home.json").write_text(json.dumps({**home, "format": 99}))
    for words in (["project", "ls"], ["init"], ["apply", "-f", "p.yaml"]):
        slipway.write("p.yaml", "project: p\n")
        error = slipway(*words, "--json", code=1).error
        assert "newer" in error["message"] and "99" in error["message"], error
    assert any("newer" in c["detail"] for c in slipway.json("doctor", code=1))


def as_nobody(slipway, *words):
    """Root writes anywhere: the command runs as another user."""
    prefix = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv: a home that is not writable is not tested")
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    probe = subprocess.run([*prefix, "test", "-x", BINARY, "-a", "-r", slipway.home / "home.json"])
    if probe.returncode != 0:
        pytest.skip("another user cannot reach the binary or the folder: a home that is not writable is not tested")
    return subprocess.run([*prefix, BINARY, *map(str, words)], env={**slipway.environment(), "TMPDIR": "/tmp"}, cwd="/", capture_output=True, text=True)


def test_a_home_that_is_not_writable_can_be_read_and_says_why_it_is_not_written(slipway):
    little.make(slipway)
    slipway("build", "p/copy")
    for folder in [slipway.folder, *slipway.folder.parents]:
        if folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    # A home is its owner's alone until they open it.
    slipway.home.chmod(0o755 if os.geteuid() == 0 else 0o555)
    for file in slipway.home.glob("registry.db*"):
        file.chmod(0o644)
    try:
        failed = as_nobody(slipway, "apply", "-f", slipway.folder / "p.yaml", "--json")
        assert failed.returncode == 4, failed.stderr
        error = json.loads(failed.stderr)
        assert error["code"] == "permission_denied" and str(slipway.home) in error["message"]
        read = as_nobody(slipway, "project", "ls", "--json")
        assert read.returncode == 0 and json.loads(read.stdout)[0]["name"] == "p", read.stderr
        assert as_nobody(slipway, "dataset", "head", "p/copy", "--json").returncode == 0
        if os.geteuid() == 0:
            slipway.home.chmod(0o700)
            closed = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "project", "ls", "--json"],
                                    env=slipway.environment(), cwd="/", capture_output=True, text=True)
            assert closed.returncode == 4 and json.loads(closed.stderr)["code"] == "permission_denied", closed.stderr
    finally:
        slipway.home.chmod(0o755)


def test_a_damaged_bundle_is_refused_with_its_name(slipway):
    little.make(slipway)
    slipway("build", "p/m", "p/scored")
    version = slipway.json("model", "show", "p/m")
    blob = slipway.home / "blobs/sha256" / version["bundle_sha256"][:2] / version["bundle_sha256"]
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 0x40
    blob.chmod(0o644)
    blob.write_bytes(content)
    for words in (["model", "show", "p/m"], ["score", "--model", "p/m", "--input", "new.csv", "--output", "s.csv"]):
        error = slipway(*words, "--json", code=1).error
        assert error["code"] == "corruption", error
    assert not (slipway.folder / "s.csv").exists()
    failed = slipway("build", "p/scored", "--mode", "this", "--json", code=1).json
    assert failed["activities"][0]["error"]
    assert slipway.json("dataset", "show", "p/scored")["rows"] == little.UNSEEN, "the old output stays"
    found = [c for c in slipway.json("doctor", "--deep", code=1) if c["state"] == "error"]
    assert version["bundle_sha256"] in found[0]["detail"]
    # A shorter one is seen without reading it.
    blob.write_bytes(content[:-9])
    assert any(version["bundle_sha256"] in c["detail"] for c in slipway.json("doctor", code=1))
