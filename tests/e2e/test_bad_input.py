"""Bad input: what is wrong, where, why, and how to put it right. Never a stack trace, never something half-made."""
import csv
import json
import os
import random
import zipfile

import numpy as np
import pytest

PROJECT = """project: p
datasets:
  data: {type: files, path: data.csv}
models:
  m: {}
recipes:
  train:
    type: train
    input: data
    output: m
    target: TARGET
    prediction: KIND
EXTRA
    algorithm: {lightgbm: {num_iterations: 5, min_data_in_leaf: 2}}
"""


def rows(n=300):
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    zone = rng.choice(["Bronx", "Kings"], n)
    return ["x,zone,n,fare,tip"] + [f"{x[i]:.4f},{zone[i]},{i % 7},{3 * x[i] + i % 7:.2f},{'yes' if x[i] > 0 else 'no'}" for i in range(n)]


def apply(slipway, target="fare", kind="regression", extra="", data=None, code=None):
    if data is not None or not (slipway.folder / "data.csv").exists():
        slipway.write("data.csv", "\n".join(data or rows()) + "\n")
    slipway.write("project.yaml", PROJECT.replace("TARGET", target).replace("KIND", kind).replace("EXTRA\n", extra))
    return slipway("apply", "-f", "project.yaml", "--json", code=code)


def refused(slipway, **options):
    """What apply, else build, says; no version comes of it."""
    answer = apply(slipway, **options)
    if answer.code == 0:
        answer = slipway("build", "p/m", "--json", code=1)
        text = json.dumps(answer.json["activities"][0]["error"], ensure_ascii=False) + answer.err
        assert slipway.json("model", "versions", "p/m") == []
    else:
        assert answer.code == 1
        text = answer.error["message"] + " " + answer.error["hint"]
    for word in ("terminate", "Traceback", "[Fatal]", "std::", "internal"):
        assert word not in text
    return text


@pytest.fixture
def model(slipway):
    apply(slipway, extra="    features: {tip: ignore}\n", code=0)
    slipway("build", "p/m")
    return slipway


def test_an_unknown_target(slipway):
    text = refused(slipway, target="fair")
    assert "'fair'" in text and "'fare'" in text


def test_an_unknown_column_among_the_features(slipway):
    text = refused(slipway, extra="    features:\n      zones: category\n")
    assert "'zones'" in text and "'zone'" in text


def test_an_unknown_column_in_an_expression(slipway):
    text = refused(slipway, extra="    prepare:\n      - {column: y, expr: \"sqrt(xx) + 1\"}\n")
    assert "'xx'" in text and "'x'" in text


@pytest.mark.parametrize("expression,words", [
    ("sqr(x)", ["sqr", "sqrt"]), ("x +", ["end"]), ("x + 'a'", ["string"]), ("hour(x)", ["hour"]), ("(x", ["not closed"]), ("x ~ 2", ["~"]),
    ("if(x, 1, 2)", ["condition", "double", "column 4"]), ("'open", ["not closed"]),
])
def test_a_wrong_expression_is_told_with_its_place(slipway, expression, words):
    text = refused(slipway, extra=f"    prepare:\n      - {{column: y, expr: \"{expression}\"}}\n")
    assert all(word in text for word in words), text


def test_a_wrong_expression_is_told_with_the_place_in_the_yaml(slipway):
    answer = apply(slipway, extra="    prepare:\n      - {column: y, expr: \"x + * 2\"}\n")
    assert answer.code == 1 and "project.yaml:14:27: prepare step 1:" in answer.error["message"] and "column 5" in answer.error["message"]


def test_a_target_with_missing_values_leaves_those_rows_out_and_says_so(slipway):
    data = rows()
    for i in (5, 6, 7):
        data[i] = data[i].replace(data[i].split(",")[3], "", 1) if False else ",".join(["1", "Bronx", "2", "", "no"])
    apply(slipway, data=data, code=0)
    slipway("build", "p/m")
    info = slipway.json("model", "show", "p/m")["info"]
    assert info["dropped_rows"]["no_target"] == 3
    assert any("3 rows have no target 'fare'" in w for w in info["warnings"])


def test_a_target_of_nothing_but_missing_values(slipway):
    text = refused(slipway, data=["x,zone,n,fare,tip"] + ["1,Bronx,2,,no"] * 50)
    assert "'fare'" in text


@pytest.mark.parametrize("kind,target", [("regression", "fare"), ("binary", "tip"), ("multiclass", "tip")])
def test_a_constant_target(slipway, kind, target):
    text = refused(slipway, kind=kind, target=target, data=["x,zone,n,fare,tip"] + [f"{i},Bronx,2,7.5,no" for i in range(100)])
    assert f"the target '{target}' is" in text and "in every row" in text


def test_a_target_of_the_wrong_type(slipway):
    text = refused(slipway, target="zone")
    assert "'zone'" in text and "string" in text and "regression" in text


def test_a_binary_target_of_three_values(slipway):
    text = refused(slipway, target="n", kind="binary")
    assert "'n'" in text and "multiclass" in text


def test_a_target_of_ten_thousand_classes(slipway):
    data = ["x,zone,n,fare,tip"] + [f"{i % 17},Bronx,2,7.5,class{i % 10_000}" for i in range(20_000)]
    text = refused(slipway, target="tip", kind="multiclass", data=data)
    assert "'tip'" in text and "10,000" in text and "class" in text


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_rows_than_needed(slipway, count):
    text = refused(slipway, data=rows()[: count + 1], extra="    prepare:\n      - {cast: {fare: double}}\n")
    assert "row" in text


def test_a_target_that_is_also_a_feature(slipway):
    text = refused(slipway, extra="    features:\n      fare: numeric\n")
    assert "fare" in text and "target" in text


def test_a_feature_made_from_the_target(slipway):
    text = refused(slipway, extra="    prepare:\n      - {column: y, expr: \"fare * 2\"}\n")
    assert "'y'" in text and "fare" in text


def test_an_unknown_parameter_and_a_value_out_of_range(slipway):
    slipway.write("data.csv", "\n".join(rows()) + "\n")
    for parameters, words in (("{num_leafs: 5}", ["num_leafs", "did you mean 'num_leaf"]), ("{learning_rate: -1}", ["learning_rate"]),
                              ("{num_leaves: many}", ["num_leaves", "many"])):
        slipway.write("project.yaml", PROJECT.replace("TARGET", "fare").replace("KIND", "regression").replace("EXTRA\n", "")
                      .replace("{num_iterations: 5, min_data_in_leaf: 2}", parameters))
        answer = slipway("apply", "-f", "project.yaml", "--json", code=None)
        if answer.code == 0:
            answer = slipway("build", "p/m", "--json", code=1)
        text = answer.out + answer.err
        assert all(word in text for word in words), text
        assert "[Fatal]" not in text


def test_a_file_that_lacks_features_names_all_of_them(model):
    model.write("in.csv", "N,other\n1,2\n")
    error = model("score", "--model", "p/m", "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert all(f"'{name}'" in error["message"] for name in ("x", "zone", "n"))
    assert "'fare'" not in error["message"] and "'N'" in error["hint"]
    assert not (model.folder / "out.csv").exists()


def test_a_file_with_a_column_of_another_type(model):
    model.write("in.csv", "x,zone,n\nmany,Bronx,1\n")
    error = model("score", "--model", "p/m", "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert "in.csv:2" in error["message"] and "'x'" in error["message"] and "double" in error["message"]
    assert not (model.folder / "out.csv").exists()


def test_a_file_with_more_columns(model):
    model.write("in.csv", "extra,n,zone,x,more\na,1,Bronx,0.5,b\n")
    answer = model.json("score", "--model", "p/m", "--input", "in.csv", "--output", "out.csv")
    assert answer["predicted"] == 1
    assert (model.folder / "out.csv").read_text().startswith("extra,n,zone,x,more,prediction\na,1,Bronx,0.5,b,")


def score_refused(slipway, path):
    answer = slipway("score", "--model", path, "--input", "data.csv", "--output", "out.csv", "--json", code=1)
    assert not (slipway.folder / "out.csv").exists()
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    return answer.error


def test_corrupted_bundles(model):
    model("model", "export", "p/m", "-o", "m.bundle")
    good = (model.folder / "m.bundle").read_bytes()
    model("score", "--model", "./m.bundle", "--input", "data.csv", "--output", "good.csv")
    chance = random.Random(5)
    refusals = 0
    for place in [0, 10, len(good) // 2, len(good) - 15] + [chance.randrange(len(good)) for _ in range(20)]:
        bad = bytearray(good)
        bad[place] ^= 0xFF
        answer = model("score", "--model", model.write("bad.bundle", bytes(bad)), "--input", "data.csv", "--output", "bad.csv", "--json", code=None)
        if answer.code == 0:  # a date or permission of the zip file, which says nothing about the model
            assert (model.folder / "bad.csv").read_bytes() == (model.folder / "good.csv").read_bytes(), place
            continue
        assert answer.code == 1 and "bad.bundle" in answer.error["message"], place
        refusals += 1
    assert refusals >= 18
    for size in (1, 100, len(good) // 2, len(good) - 1):
        error = score_refused(model, model.write("bad.bundle", good[:size]))
        assert "bad.bundle" in error["message"], size
    assert "bad.bundle" in score_refused(model, model.write("bad.bundle", b""))["message"]
    answer = model("model", "import", "p/other", "bad.bundle", "--json", code=None)
    assert answer.code not in (0, None)


def test_a_bundle_whose_part_was_changed_names_the_part(model):
    model("model", "export", "p/m", "-o", "m.bundle")
    with zipfile.ZipFile(model.folder / "m.bundle") as given, zipfile.ZipFile(model.folder / "bad.bundle", "w") as out:
        for name in given.namelist():
            data = given.read(name)
            out.writestr(name, data.replace(b"leaf_value=", b"leaf_value=1") if name == "model.txt" else data)
    assert "model.txt" in score_refused(model, model.folder / "bad.bundle")["message"]


def test_truncated_and_changed_model_files(model):
    model("model", "export", "p/m", "--format", "lightgbm", "-o", "m.txt")
    good = (model.folder / "m.txt").read_bytes()
    end = good.index(b"end of trees")
    for size in list(range(5, end, end // 12)):
        error = score_refused(model, model.write("bad.txt", good[:size]))
        assert "bad.txt" in error["message"], size
    for old, new in ((b"num_leaves=", b"num_leaves=9"), (b"left_child=", b"left_child=700 "), (b"threshold=", b"threshold=x "),
                     (b"split_feature=", b"split_feature=99 "), (b"tree_sizes=", b"tree_sizes=1"), (b"num_tree_per_iteration=1", b"num_tree_per_iteration=0")):
        if old not in good:
            continue
        answer = model("score", "--model", model.write("bad.txt", good.replace(old, new, 1)), "--input", "data.csv", "--output", "out.csv", "--json", code=None)
        if old != b"tree_sizes=":
            assert answer.code == 1 and "bad.txt" in answer.error["message"], old


def test_random_bytes_are_no_model(model):
    chance = random.Random(9)
    for size in (1, 50, 5000):
        for start in (b"", b"tree\n", b"PK\x03\x04"):
            error = score_refused(model, model.write("bad.bin", start + chance.randbytes(size)))
            assert "bad.bin" in error["message"]


def test_a_model_that_is_not_there(model):
    error = model("score", "--model", "./none.bundle", "--input", "data.csv", "--output", "out.csv", "--json", code=None)
    assert error.code in (1, 3) and "none.bundle" in error.error["message"]
    error = model("score", "--model", "p/mm", "--input", "data.csv", "--output", "out.csv", "--json", code=3).error
    assert "mm" in error["message"] and "m" in error["hint"]
    error = model("score", "--model", "p/m@7", "--input", "data.csv", "--output", "out.csv", "--json", code=3).error
    assert "7" in error["message"]


def test_a_blob_damaged_on_disk_is_noticed(model):
    sha = model.json("model", "show", "p/m")["bundle_sha256"]
    (blob,) = [p for p in (model.home / "blobs").rglob("*") if p.is_file() and p.name in (sha, sha[2:])]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    os.chmod(blob, 0o644)
    blob.write_bytes(bytes(data))
    answer = model("score", "--model", "p/m", "--input", "data.csv", "--output", "out.csv", "--json", code=1)
    assert answer.error["message"]
    doctor = model("doctor", "--deep", "--json", code=None)
    assert doctor.code == 1 and sha[:12] in doctor.out + doctor.err


def test_training_rows_that_cannot_be_read(slipway):
    data = rows()
    data[200] = "1,Bronx,2"
    text = refused(slipway, data=data)
    assert "data.csv:201" in text and "3 cells" in text


@pytest.mark.parametrize("validation", ["{holdout: 0.2}", "{k_fold: 3}"])
def test_training_puts_unreadable_rows_aside(slipway, validation):
    data = rows()
    data[100], data[200] = "1,Bronx,2", "abc,Bronx,1,2.5,no"
    slipway.write("data.csv", "\n".join(data) + "\n")
    slipway.write("project.yaml", PROJECT.replace("TARGET", "fare").replace("KIND", "regression").replace("EXTRA\n", f"    validation: {validation}\n")
                  .replace("path: data.csv", "path: data.csv, schema: {x: double}, on_bad_rows: quarantine"))
    slipway("apply", "-f", "project.yaml")
    slipway("build", "p/m")
    info = slipway.json("model", "show", "p/m")["info"]
    assert info["dropped_rows"]["unreadable"] == 2
    assert any("2 rows could not be read" in w for w in info["warnings"])
    (aside,) = slipway.home.rglob("*.quarantine.csv")
    with open(aside, newline="") as file:
        bad = list(csv.DictReader(file))
    assert [(b["line"], b["column"], b["row"]) for b in bad] == [("101", "", data[100]), ("201", "x", data[200])]


def test_input_files_that_are_gone(slipway):
    apply(slipway, code=0)
    (slipway.folder / "data.csv").unlink()
    answer = slipway("build", "p/m", "--json", code=None)
    assert answer.code != 0 and "data.csv" in answer.out + answer.err
    error = slipway("score", "--model", "p/m", "--input", "none.csv", "--output", "out.csv", "--json", code=None)
    assert error.code in (1, 3)


def test_near_unique_columns_and_constants_are_warned_of(slipway):
    data = ["id,cents,c,x,fare"] + [f"u{i},{i * 37 % 10007},1,{i % 13},{i % 13 * 2 + i % 3}" for i in range(500)]
    slipway.write("data.csv", "\n".join(data) + "\n")
    apply(slipway, code=0)
    answer = slipway("build", "p/m")
    info = slipway.json("model", "show", "p/m")["info"]
    text = "\n".join(info["warnings"])
    assert "'id'" in text and "'cents'" in text and "'c'" in text
    assert [f["source"] for f in info["features"]] == ["c", "x"]
    assert "'cents'" in answer.out + answer.err, "the warning is shown when the model is built"
    apply(slipway, extra="    features:\n      cents: numeric\n", code=0)
    slipway("build", "p/m")
    assert "cents" in [f["source"] for f in slipway.json("model", "show", "p/m")["info"]["features"]]
