"""The train recipe through YAML: metrics, hold-out, parameters, and the same bits on every path."""
import csv
import json

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as sk

PROJECT = """
project: p
datasets:
  data: {type: files, path: data.csv}
  scored: {type: managed}
models:
  m: {activation: always}
recipes:
  train:
    type: train
    input: data
    output: m
"""
SMALL = "algorithm: {lightgbm: {num_iterations: 20, num_leaves: 15, learning_rate: 0.2}}\n"


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)


def frame(rows=2000, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    n = rng.integers(0, 6, rows)
    zone = rng.choice(["Bronx", "Queens, NY", "Île", "Kings"], rows, p=[0.5, 0.3, 0.15, 0.05])
    missing = rng.random(rows) < 0.1
    y = 10 + 3 * x + n * (zone == "Bronx") + rng.normal(size=rows)
    day = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 365 * 24 * 60, rows), unit="min")
    return pd.DataFrame({"x": np.where(missing, np.nan, x), "n": n, "zone": zone, "when": day.strftime("%Y-%m-%d %H:%M:%S UTC"),
                         "flag": np.where(n > 2, "TRUE", "false"), "w": rng.integers(1, 5, rows), "fare": y.round(2),
                         "tip": np.where(y + rng.normal(size=rows) > 12, "yes", "no"),
                         "kind": np.select([y < 9, y < 14], ["low", "mid"], "high")})


def project(slipway, data, rest, more="", name="data.csv", drop=()):
    """Applies a project with one train recipe on the data and builds its model."""
    data.drop(columns=list(drop)).to_csv(slipway.folder / name, index=False)
    text = PROJECT + "".join("    " + line + "\n" for line in rest.strip().splitlines()) + more
    slipway.write("project.yaml", text)
    slipway("apply", "-f", "project.yaml")


def build(slipway, code=0):
    return slipway("build", "p/m", "--json", code=code)


def show(slipway, version="latest"):
    return slipway.json("model", "show", f"p/m@{version}")


def blob(slipway, sha):
    found = [p for p in (slipway.home / "blobs").rglob("*") if p.is_file() and p.name in (sha, sha[2:])]
    assert len(found) == 1
    return found[0]


def holdout(slipway, version="latest"):
    return pq.read_table(blob(slipway, show(slipway, version)["holdout_sha256"])).to_pandas()


def near(a, b):
    assert a == pytest.approx(b, rel=1e-9, abs=1e-9)


REGRESSION = "target: fare\nprediction: regression\nfeatures: {w: ignore, tip: ignore, kind: ignore}\n" + SMALL
BINARY = "target: tip\nprediction: binary\nfeatures: {w: ignore, fare: ignore, kind: ignore}\n" + SMALL
MULTICLASS = "target: kind\nprediction: multiclass\nfeatures: {w: ignore, fare: ignore, tip: ignore}\n" + SMALL


def test_regression_metrics_are_those_of_scikit_learn(slipway):
    project(slipway, frame(), REGRESSION)
    build(slipway)
    rows = holdout(slipway)
    y, p = rows["fare"], rows["prediction"]
    version = slipway.json("model", "versions", "p/m")[0]
    m = version["metrics"]
    assert version["rows"] + len(rows) == 2000 and 300 < len(rows) < 500
    near(m["rmse"], sk.root_mean_squared_error(y, p))
    near(m["mae"], sk.mean_absolute_error(y, p))
    near(m["mape"], sk.mean_absolute_percentage_error(y, p))
    near(m["r2"], sk.r2_score(y, p))
    near(m["explained_variance"], sk.explained_variance_score(y, p))
    near(m["median_absolute_error"], sk.median_absolute_error(y, p))
    near(m["max_error"], sk.max_error(y, p))
    assert m["r2"] > 0.7


def test_binary_metrics_are_those_of_scikit_learn(slipway):
    project(slipway, frame(), BINARY)
    build(slipway)
    rows = holdout(slipway)
    info = show(slipway)["info"]
    y, p, label = rows["tip"] == "yes", rows["proba_yes"], rows["prediction"] == "yes"
    m = slipway.json("model", "versions", "p/m")[0]["metrics"]
    assert info["classes"] == ["no", "yes"]
    assert (rows["proba_no"] == 1 - p).all()
    assert (label == (p > 0.5)).all()
    near(m["auc"], sk.roc_auc_score(y, p))
    near(m["log_loss"], sk.log_loss(y, p))
    near(m["accuracy"], sk.accuracy_score(y, label))
    near(m["precision"], sk.precision_score(y, label))
    near(m["recall"], sk.recall_score(y, label))
    near(m["f1"], sk.f1_score(y, label))
    near(m["average_precision"], sk.average_precision_score(y, p))
    confusion = info["confusion"]
    assert confusion["counts"] == sk.confusion_matrix(y, label).tolist()
    assert m["auc"] > 0.8


def test_multiclass_metrics_are_those_of_scikit_learn(slipway):
    project(slipway, frame(), MULTICLASS)
    build(slipway)
    rows = holdout(slipway)
    classes = show(slipway)["info"]["classes"]
    assert sorted(classes) == ["high", "low", "mid"]
    p = rows[[f"proba_{c}" for c in classes]].to_numpy()
    y, label = rows["kind"], rows["prediction"]
    assert (np.array(classes)[p.argmax(axis=1)] == label).all()
    m = slipway.json("model", "versions", "p/m")[0]["metrics"]
    order = np.argsort(classes)
    near(m["log_loss"], sk.log_loss(y, p[:, order] / p.sum(axis=1, keepdims=True), labels=sorted(classes)))
    near(m["accuracy"], sk.accuracy_score(y, label))
    near(m["auc"], sk.roc_auc_score(y, p[:, order] / p.sum(axis=1, keepdims=True), multi_class="ovr", average="macro", labels=sorted(classes)))
    for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        near(m[name], function(y, label, average="macro"))
        near(m[f"{name}_weighted"], function(y, label, average="weighted"))


@pytest.mark.parametrize("recipe", [REGRESSION, BINARY, MULTICLASS], ids=["regression", "binary", "multiclass"])
def test_training_twice_gives_the_same_model_bits(slipway, recipe):
    project(slipway, frame(), recipe)
    texts, metrics = [], []
    for n in (1, 2):
        slipway("build", "p/m", "--mode", "this")
        slipway("model", "export", f"p/m@{n}", "--format", "lightgbm", "-o", f"{n}.txt")
        texts.append((slipway.folder / f"{n}.txt").read_bytes())
        metrics.append(slipway.json("model", "versions", "p/m")[n - 1]["metrics"])
    assert texts[0] == texts[1]
    assert metrics[0] == metrics[1]
    assert show(slipway, 1)["holdout_sha256"] == show(slipway, 2)["holdout_sha256"]
    assert show(slipway, 1)["reference_sha256"] == show(slipway, 2)["reference_sha256"]


def test_the_hold_out_stays_when_rows_are_added_and_reordered(slipway):
    data = frame()
    project(slipway, data, REGRESSION)
    build(slipway)
    before = set(map(tuple, holdout(slipway)[["x", "n", "when", "fare"]].astype(str).to_numpy()))
    assert 300 < len(before) < 500
    more = pd.concat([data, frame(500, seed=2)]).sample(frac=1, random_state=3)
    more.to_csv(slipway.folder / "data.csv", index=False)
    build(slipway)
    after = set(map(tuple, holdout(slipway)[["x", "n", "when", "fare"]].astype(str).to_numpy()))
    assert before < after
    utc = data.assign(when=pd.to_datetime(data.when).dt.tz_localize(None))
    old = set(map(tuple, utc[["x", "n", "when", "fare"]].astype(str).to_numpy()))
    assert before < old, "the test compares rows as texts"
    assert not (after - before) & old, "no training row moved to the hold-out"


def test_a_time_column_holds_out_the_latest_rows(slipway):
    data = frame()
    project(slipway, data, REGRESSION + "validation: {holdout: 0.25, time_column: when}\n")
    build(slipway)
    info = show(slipway)["info"]
    times = pd.to_datetime(data.when)
    assert info["holdout_rows"] == pytest.approx(500, abs=25)
    assert any("'when'" in w for w in info["warnings"])
    assert not any(f["source"] == "when" for f in info["features"])
    rows = holdout(slipway)
    latest = data[times >= times.sort_values().iloc[-len(rows)]]
    assert sorted(rows["fare"]) == sorted(latest["fare"])


def test_k_fold_gives_the_mean_of_its_folds(slipway):
    project(slipway, frame(), REGRESSION + "validation: {k_fold: 4, seed: 1}\nearly_stopping: 5\n")
    build(slipway)
    info = show(slipway)["info"]
    assert len(info["folds"]) == 4 and info["rows"] == 2000
    assert sum(f["holdout_rows"] for f in info["folds"]) == 2000
    assert all(f["rows"] + f["holdout_rows"] == 2000 for f in info["folds"])
    near(info["metrics"]["rmse"], np.mean([f["metrics"]["rmse"] for f in info["folds"]]))
    near(info["metrics_std"]["rmse"], np.std([f["metrics"]["rmse"] for f in info["folds"]]))
    assert len(holdout(slipway)) == 2000


def test_early_stopping_keeps_the_best_round(slipway):
    recipe = REGRESSION.replace("num_iterations: 20", "num_iterations: 400") + "early_stopping: 10\n"
    project(slipway, frame(), recipe)
    build(slipway)
    info = show(slipway)["info"]
    assert 1 <= info["best_iteration"] < 390 and info["trees"] == info["best_iteration"]
    rows = holdout(slipway)
    # LightGBM keeps labels as float32.
    assert info["watched_metric"]["value"] == pytest.approx(((rows.fare - rows.prediction) ** 2).mean(), rel=1e-6)
    slipway("model", "export", "p/m", "--format", "lightgbm", "-o", "m.txt")
    assert lgb.Booster(model_file=slipway.folder / "m.txt").num_trees() == info["best_iteration"]


def test_weights_count(slipway):
    data = frame()
    data.loc[data.zone == "Bronx", "w"] = 0
    project(slipway, data, REGRESSION.replace("w: ignore, ", "") + "weight: w\n")
    build(slipway)
    info = show(slipway)["info"]
    assert not any(f["source"] == "w" for f in info["features"])
    slipway("model", "export", "p/m", "--format", "lightgbm", "-o", "weighted.txt")
    project(slipway, data[data.zone != "Bronx"], REGRESSION)
    build(slipway)
    assert show(slipway)["info"]["rows"] < info["rows"]
    # Rows of weight 0 say nothing: the first tree's root value is the weighted mean.
    weighted = lgb.Booster(model_file=slipway.folder / "weighted.txt").trees_to_dataframe()
    root = weighted[weighted.tree_index == 0].iloc[0]
    assert root["weight"] > 0 and root["weight"] < data.w.sum()


def test_balanced_classes_find_more_of_the_rare_one(slipway):
    data = frame()
    data["tip"] = np.where((data.tip == "yes") & (np.arange(len(data)) % 5 == 0), "yes", "no")
    project(slipway, data, BINARY)
    build(slipway)
    project(slipway, data, BINARY + "class_weights: balanced\n")
    build(slipway)
    plain, balanced = (v["metrics"]["recall"] for v in slipway.json("model", "versions", "p/m"))
    assert balanced > plain + 0.2
    project(slipway, data, BINARY + "class_weights: {yes: 50, no: 1}\n")
    build(slipway)
    assert slipway.json("model", "versions", "p/m")[2]["metrics"]["recall"] > plain + 0.2


def test_every_parameter_passes_and_an_unknown_one_is_an_error(slipway):
    data = frame()
    parameters = {"num_iterations": 12, "lambda_l2": 3.5, "feature_fraction": 0.8, "bagging_fraction": 0.7, "bagging_freq": 1,
                  "min_child_samples": 7, "max_bin": 63, "extra_trees": True, "eta": 0.17, "monotone_constraints": [1, 0, 0, 0, 0, 0, 0, 0]}
    text = json.dumps(parameters)
    project(slipway, data, REGRESSION.replace(SMALL, f"algorithm: {{lightgbm: {text}}}\n"), drop=["flag"])
    answer = build(slipway, code=None)
    assert answer.code == 0, answer.err
    slipway("model", "export", "p/m", "--format", "lightgbm", "-o", "m.txt")
    saved = (slipway.folder / "m.txt").read_text()
    for line in ("[num_iterations: 12]", "[lambda_l2: 3.5]", "[min_data_in_leaf: 7]", "[max_bin: 63]", "[extra_trees: 1]",
                 "[learning_rate: 0.17]", "[bagging_fraction: 0.7]", "[monotone_constraints: 1,0,0,0,0,0,0,0]"):
        assert line in saved, line
    slipway.write("bad.yaml", (slipway.folder / "project.yaml").read_text().replace("lambda_l2", "lamda_l2"))
    answer = slipway("apply", "-f", "bad.yaml", "--json", code=None)
    if answer.code == 0:
        answer = build(slipway, code=1)
    assert answer.code == 1
    assert "lamda_l2" in answer.out + answer.err and "lambda_l2" in answer.out + answer.err


def test_a_filter_on_the_target_leaves_unlabelled_files_scorable(slipway):
    data = frame()
    data.loc[:99, "fare"] = 500
    project(slipway, data, REGRESSION + 'prepare:\n  - {filter: "fare between 0 and 100"}\n  - {filter: "n < 5"}\n')
    build(slipway)
    info = show(slipway)["info"]
    assert info["dropped_rows"]["filtered"] == ((data.fare > 100) | (data.fare < 0) | (data.n >= 5)).sum()
    fresh = frame(300, seed=9).drop(columns=["fare", "tip", "kind", "w"])
    fresh.to_csv(slipway.folder / "new.csv", index=False)
    answer = slipway.json("score", "--model", "p/m", "--input", "new.csv", "--output", "out.csv")
    assert answer["rows"] == 300 and answer["predicted"] == (fresh.n < 5).sum()
    scored = pd.read_csv(slipway.folder / "out.csv")
    assert (scored.prediction.notna() == (fresh.n < 5)).all()


def json_lines(data, path):
    with open(path, "w") as file:
        for row in data.to_dict("records"):
            file.write(json.dumps({k: v for k, v in row.items() if v == v}, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("recipe,columns", [(REGRESSION, ["prediction"]), (BINARY, ["proba_no", "proba_yes"]),
                                            (MULTICLASS, ["proba_high", "proba_low", "proba_mid"])],
                         ids=["regression", "binary", "multiclass"])
def test_training_csv_json_parquet_and_the_score_recipe_give_the_same_bits(slipway, recipe, columns):
    data = frame()
    data["id"] = np.arange(len(data))
    more = "  score: {type: score, inputs: {model: m, data: data}, output: scored}\n"
    project(slipway, data, recipe.replace("features: {", "features: {id: numeric, "), more)
    slipway("build", "p/m", "p/scored")
    held = holdout(slipway).set_index("id")
    labels = {}
    json_lines(data, slipway.folder / "data.jsonl")
    for source in ("data.csv", "data.jsonl"):
        for sink in ("out.parquet", "out.csv"):
            slipway("score", "--model", "p/m", "--input", source, "--output", sink)
        scored = pq.read_table(slipway.folder / "out.parquet").to_pandas().set_index("id")
        labels[source] = list(scored.prediction)
        for column in columns:
            name = column if column in held.columns else column + "_"
            assert (bits(scored.loc[held.index, column]) == bits(held[name])).all(), (source, column)
            with open(slipway.folder / "out.csv", newline="") as file:
                text = [float(row[column]) for row in csv.DictReader(file)]
            assert (bits(text) == bits(scored[column])).all()
    (dataset,) = [p for p in (slipway.home / "data").rglob("*.parquet")]
    recipe_rows = pq.read_table(dataset).to_pandas().set_index("id")
    for column in columns:
        assert (bits(recipe_rows[column]) == bits(scored[column])).all()
    assert list(recipe_rows.prediction) == labels["data.csv"] == labels["data.jsonl"]
