"""The dataset and recipe commands: what a person does by hand without YAML."""
import gzip
import json

import pytest

import little


def test_add_show_head_schema_of_a_csv(slipway):
    slipway.write("t.csv", little.training_csv())
    added = slipway.json("dataset", "add", "p/t", "t.csv", "--description", "little trips")
    assert added["project_created"] is True
    assert [f["type"] for f in added["schema"]] == ["int64", "double", "double", "string", "double"]
    shown = slipway.json("dataset", "show", "p/t")
    assert shown["rows"] == little.ROWS and shown["bytes"] == (slipway.folder / "t.csv").stat().st_size
    assert shown["format"] == "csv" and shown["description"] == "little trips" and shown["files"] == [str(slipway.folder / "t.csv")]
    head = slipway.json("dataset", "head", "p/t", "-n", "2")
    assert [r["id"] for r in head] == [0, 1] and list(head[0]) == ["id", "x", "z", "c", "y"]
    assert slipway.json("dataset", "head", "p/t", "-n", "0") == []
    assert slipway("dataset", "head", "p/t", "-n", "0").out.split() == ["id", "x", "z", "c", "y"]
    assert slipway.json("dataset", "schema", "p/t")[3] == {"name": "c", "type": "string"}
    assert "c       string" in slipway("dataset", "schema", "p/t").out


def test_the_fingerprint_follows_the_content(slipway):
    fingerprint = lambda: slipway.json("dataset", "show", "p/t")["fingerprint"]
    slipway.write("t.csv", little.training_csv())
    slipway("dataset", "add", "p/t", "t.csv")
    first = fingerprint()
    (slipway.folder / "t.csv").touch()
    assert fingerprint() == first
    slipway.write("t.csv", little.training_csv(shift=1.0))
    second = fingerprint()
    assert second != first
    slipway.write("t.csv", little.training_csv())
    assert fingerprint() == first


def test_lists_and_globs_and_compression_are_one_dataset_in_order(slipway):
    slipway.write("a1.csv", "v\n1\n2\n")
    slipway.write("a2.csv.gz", gzip.compress(b"v\n3\n"))
    slipway.write("b.csv", "v\n9\n")
    slipway("dataset", "add", "p/all", "a*.csv*", "b.csv")
    assert [r["v"] for r in slipway.json("dataset", "head", "p/all")] == [1, 2, 3, 9]
    assert slipway.json("dataset", "show", "p/all")["rows"] == 4


def test_add_refuses_what_exists_and_replaces_when_told(slipway):
    slipway.write("a.csv", "v\n1\n")
    slipway.write("b.csv", "w\n2\n3\n")
    slipway("dataset", "add", "p/d", "a.csv")
    error = slipway("dataset", "add", "p/d", "b.csv", "--json", code=5).error
    assert error["code"] == "conflict" and "--replace" in error["hint"]
    assert slipway.json("dataset", "head", "p/d") == [{"v": 1}]
    slipway("dataset", "add", "p/d", "b.csv", "--replace")
    assert slipway.json("dataset", "head", "p/d") == [{"w": 2}, {"w": 3}]
    assert slipway.json("dataset", "show", "p/d")["rows"] == 2


def test_what_cannot_be_read_is_not_added(slipway):
    assert "nothing.csv" in slipway("dataset", "add", "p/d", "nothing.csv", "--json", code=3).error["message"]
    slipway.write("bad.parquet", b"PAR1 not really")
    assert slipway("dataset", "add", "p/d", "bad.parquet", "--json", code=1).error["message"]
    slipway.write("e.csv", "")
    assert "e.csv" in slipway("dataset", "add", "p/d", "e.csv", "--json", code=1).error["message"]
    assert slipway.json("project", "ls") == []


@pytest.mark.parametrize("words, said", [(["--format", "xlsx"], "xlsx"), (["--delimiter", "ab"], "delimiter"), (["--on-bad-rows", "ignore"], "ignore")])
def test_bad_settings_are_told(slipway, words, said):
    slipway.write("a.csv", "v\n1\n")
    answer = slipway("dataset", "add", "p/d", "a.csv", *words, "--json", code=None)
    assert answer.code in (1, 2) and said in answer.error["message"]


def test_clear_takes_managed_data_only(slipway):
    little.make(slipway)
    assert slipway("dataset", "clear", "p/t", "--json", code=1).error["code"] == "invalid_argument"
    slipway("build", "p/copy")
    slipway("dataset", "clear", "p/copy")
    assert list((slipway.home / "data").rglob("*.parquet")) == []
    error = slipway("dataset", "head", "p/copy", "--json", code=1).error
    assert "no data yet" in error["message"] and "slipway build p/copy" in error["hint"]
    assert little.steps(slipway, "p/copy")["copy_t"] == ("run", "never built")
    slipway("build", "p/copy")
    assert slipway.json("dataset", "show", "p/copy")["rows"] == little.ROWS


def test_a_schema_that_was_pinned_is_looked_at_again_when_told(slipway):
    slipway.write("d.csv", "a,b\n1,2\n")
    slipway("dataset", "add", "p/d", "d.csv")
    slipway.write("d.csv", "a,b,c\n1.5,2,x\n")
    refreshed = slipway.json("dataset", "schema", "p/d", "--refresh")
    assert [(f["name"], f["type"]) for f in refreshed] == [("a", "double"), ("b", "int64"), ("c", "string")]
    assert slipway.json("dataset", "head", "p/d") == [{"a": 1.5, "b": 2, "c": "x"}]


def test_the_whole_thread_by_hand_without_yaml(slipway):
    slipway.write("t.csv", little.training_csv())
    slipway.write("new.csv", little.unseen_csv())
    slipway("dataset", "add", "p/t", "t.csv")
    slipway("dataset", "add", "p/new", "new.csv")
    slipway("recipe", "add", "train", "p", "--input", "t", "--target", "y", "--output", "m")
    slipway("recipe", "add", "score", "p", "--model", "m", "--input", "new", "--output", "scored", "--name", "s")
    slipway("recipe", "add", "sql", "p", "--input", "scored", "--input", "new", "--output", "both", "--query",
            "SELECT s.id, s.prediction, n.x FROM scored s JOIN new n USING (id) ORDER BY id")
    slipway("recipe", "add", "sync", "p", "--input", "both", "--output", "kept")
    assert [(r["name"], r["type"]) for r in slipway.json("recipe", "ls", "p")] == [
        ("p/s", "score"), ("p/sql_both", "sql"), ("p/sync_kept", "sync"), ("p/train_m", "train")]
    assert slipway.json("recipe", "show", "p/s")["inputs"] == {"model": "m", "data": "new"}
    slipway("build", "p/m", "p/kept")
    rows = slipway.json("dataset", "head", "p/kept", "-n", "100")
    assert [r["id"] for r in rows] == list(range(little.UNSEEN)) and all(isinstance(r["prediction"], float) for r in rows)
    error = slipway("recipe", "add", "sync", "p", "--input", "t", "--output", "kept", "--name", "s", "--json", code=5).error
    assert "has a recipe 's' already" in error["message"]
    error = slipway("recipe", "add", "sql", "p", "--input", "t", "--output", "q", "--query", "SELEC 1", "--json", code=None)
    slipway("export", "p", "-o", "out")
    assert slipway("diff", "-f", "out", code=None).code == 0


def test_sync_puts_bad_rows_aside_and_says_how_many(slipway):
    slipway.write("d.csv", "a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n")
    slipway.write("p.yaml", """project: p
datasets:
  d: {type: files, path: d.csv, on_bad_rows: quarantine, schema: {a: int64, b: int64}}
  out: {type: managed}
recipes: {s: {type: sync, input: d, output: out}}
""")
    slipway("apply", "-f", "p.yaml")
    built = slipway("build", "p/out")
    assert "2 rows could not be read" in built.err and "s.quarantine.csv" in built.err
    assert [r["a"] for r in slipway.json("dataset", "head", "p/out")] == [1, 4, 9]
    job = slipway.json("job", "show", "1")
    details = job["activities"][0]
    details = details.get("details", details)
    aside = open(details["quarantine"]).read().splitlines()
    assert details["bad_rows"] == 2 and len(aside) == 3 and "3" in aside[1] and "d.csv" in aside[1]
    slipway("dataset", "add", "p/d", "d.csv", "--replace", "--on-bad-rows", "fail")
    failed = slipway("build", "p/out", "--json", code=1).json
    assert "d.csv" in failed["activities"][0]["error"] and "line 3" in failed["activities"][0]["error"] or ":3" in failed["activities"][0]["error"]
    assert [r["a"] for r in slipway.json("dataset", "head", "p/out")] == [1, 4, 9], "the old output stays"


def test_sql_reads_files_and_managed_data_and_nothing_else(slipway):
    little.make(slipway, query="SELECT c, count(*) AS k, round(avg(y), 6) AS y FROM copy GROUP BY c ORDER BY c")
    slipway("build", "p/agg")
    rows = slipway.json("dataset", "head", "p/agg")
    import csv, io
    want = {}
    for r in csv.DictReader(io.StringIO(little.training_csv())):
        want.setdefault(r["c"], []).append(float(r["y"]))
    assert [r["c"] for r in rows] == sorted(want)
    for r in rows:
        assert r["k"] == len(want[r["c"]]) and abs(r["y"] - sum(want[r["c"]]) / r["k"]) < 1e-6
    for query, said in [("SELECT * FROM read_csv('/etc/passwd')", ""), ("SELECT * FROM missing", "missing"), ("DROP TABLE copy", ""), ("SELECT 1; SELECT 2", "")]:
        slipway("recipe", "rm", "p/agg_t")
        added = slipway("recipe", "add", "sql", "p", "--name", "agg_t", "--input", "copy", "--output", "agg", "--query", query, code=None)
        if added.code == 0:
            failed = slipway("build", "p/agg", "--json", code=1).json
            assert failed["activities"][-1]["error"] and said in failed["activities"][-1]["error"]
        else:
            slipway("recipe", "add", "sql", "p", "--name", "agg_t", "--input", "copy", "--output", "agg", "--query", "SELECT 1 AS one")
        assert len(slipway.json("dataset", "head", "p/agg")) == 3, "the old output stays"
