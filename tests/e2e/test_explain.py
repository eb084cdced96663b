"""`slipway score --explain K` beside LightGBM's pred_contrib: the same numbers, summed back to the raw columns."""
import io
import json
import zipfile

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xgboost as xgb
from test_score import COLUMNS, make_matrix, models, train, write  # noqa: F401  (models is a fixture)

ALL = 1000  # more than any model here has columns


def explanations(slipway, model, frame, k=ALL, name="out.parquet", **arguments):
    """Of each scored row, its explanation as a dict in the order of the text; None for null."""
    write(frame, slipway.folder / "in.parquet")
    slipway("score", "--model", model, "--input", "in.parquet", "--output", name, "--explain", k, **arguments)
    scored = pq.read_table(slipway.folder / name).to_pandas()
    return scored, [None if text is None else json.loads(text) for text in scored["explanations"]]


def as_matrix(explained, columns):
    assert all(set(e) == set(columns) for e in explained)
    return np.array([[e[c] for c in columns] for e in explained])


def near(ours, theirs):
    """To 1e-9 of each row's largest contribution."""
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= 1e-9 * np.abs(theirs).max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_contributions_are_lightgbms_and_add_up(bare, models, kind):
    booster, model = models[kind]
    frame = make_matrix(3000)
    _, explained = explanations(bare, model, frame)
    ours = as_matrix(explained, COLUMNS)
    theirs = booster.predict(frame, pred_contrib=True)
    near(ours, theirs[:, :-1])
    raw = booster.predict(frame, raw_score=True)
    assert np.allclose(ours.sum(axis=1) + theirs[:, -1], raw, rtol=0, atol=1e-9 * np.abs(theirs).max())


def test_of_several_classes_the_predicted_one_is_explained(bare, models):
    booster, model = models["multiclass"]
    frame = make_matrix(500)
    scored, explained = explanations(bare, model, frame)
    theirs = booster.predict(frame, pred_contrib=True).reshape(len(frame), 3, len(COLUMNS) + 1)
    chosen = scored["prediction"].to_numpy().astype(int)
    assert len(set(chosen)) == 3
    near(as_matrix(explained, COLUMNS), theirs[np.arange(len(frame)), chosen, :-1])


def test_a_mean_of_trees_is_explained_as_a_mean(bare, tmp_path):
    booster, model = train("regression", tmp_path, boosting="rf", bagging_freq=1, bagging_fraction=0.5)
    frame = make_matrix(200)
    _, explained = explanations(bare, model, frame)
    theirs = booster.predict(frame, pred_contrib=True) / booster.num_trees()
    near(as_matrix(explained, COLUMNS), theirs[:, :-1])
    assert np.allclose(theirs.sum(axis=1), booster.predict(frame))


def test_the_k_largest_come_largest_first(bare, models):
    booster, model = models["regression"]
    frame = make_matrix(300)
    theirs = booster.predict(frame, pred_contrib=True)[:, :-1]
    for k in (1, 2, 4):
        _, explained = explanations(bare, model, frame, k)
        for row, given in enumerate(explained):
            sizes = [abs(v) for v in given.values()]
            assert len(given) == k and sizes == sorted(sizes, reverse=True)
            assert sizes == pytest.approx(sorted(np.abs(theirs[row]), reverse=True)[:k], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_text_formats_carry_the_same_column(bare, models, name):
    _, model = models["regression"]
    frame = make_matrix(50)
    scored, _ = explanations(bare, model, frame, 2)
    write(frame, bare.folder / "in.csv")
    bare("score", "--model", model, "--input", "in.csv", "--output", name, "--explain", 2, "--keep", "")
    text = (bare.folder / name).read_text()
    if name.endswith("csv"):
        given = pd.read_csv(io.StringIO(text))["explanations"]
    else:
        given = pd.Series([json.loads(line)["explanations"] for line in text.splitlines()])
    assert given.tolist() == scored["explanations"].tolist()


@pytest.mark.parametrize("k", ["0", "-1", "10001", "many"])
def test_a_k_that_is_none_is_a_usage_error(bare, models, k):
    _, model = models["regression"]
    write(make_matrix(3), bare.folder / "in.csv")
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--explain", k, code=2).err
    assert "--explain" in error
    assert not (bare.folder / "out.csv").exists()


def test_an_input_column_of_that_name_is_in_the_way(bare, models):
    _, model = models["regression"]
    write(make_matrix(3).assign(explanations="mine"), bare.folder / "in.csv")
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--explain", 2, code=None)
    assert error.code != 0 and "'explanations'" in error.err


def test_linear_trees_are_refused_by_name(bare, tmp_path):
    x = np.random.default_rng(3).normal(size=(500, 4))
    frame = pd.DataFrame(x, columns=COLUMNS)
    model = tmp_path / "linear.txt"
    lgb.train({"objective": "regression", "linear_tree": True, "verbosity": -1}, lgb.Dataset(frame, x[:, 0] * x[:, 1]), 5).save_model(model)
    write(frame, bare.folder / "in.csv")
    answer = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--explain", 2, code=None)
    assert answer.code != 0 and "linear leaves" in answer.err and "linear_tree" in answer.err
    assert not (bare.folder / "out.csv").exists()


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
    target: fare
    prediction: regression
    prepare:
      - {filter: "x > -2"}
      - {column: double_x, expr: "x * 2 + 1"}
      - {column: both, expr: "x + z"}
    features:
      c: {as: category, encode: one_hot}
      d: {as: category}
      when: {as: timestamp, parts: [hour, weekday, month]}
      unused: ignore
    algorithm: {lightgbm: {num_iterations: 30, num_leaves: 15, min_data_in_leaf: 5, feature_fraction: 0.5}}
  score: {type: score, inputs: {model: m, data: data}, output: scored, explain: 2, keep: [x]}
"""


def raw_columns():
    rng = np.random.default_rng(4)
    rows = 3000
    x, z = rng.normal(size=rows), rng.random(rows)
    c, d = rng.choice(["red", "blue", "a,b"], rows), rng.choice(["u", "v", "w", "q"], rows)
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400 * 24 * 60, rows), unit="min")
    fare = 3 * x + 4 * x * z + (c == "red") * 2 - (d == "u") + when.hour.to_numpy() * 0.2 + rng.normal(size=rows)
    return pd.DataFrame({"x": x, "z": z, "c": c, "d": d, "when": when.strftime("%Y-%m-%d %H:%M:%S UTC"), "unused": 1.5, "fare": fare})


def test_prepared_and_one_hot_columns_are_summed_back(slipway):
    raw_columns().to_csv(slipway.folder / "data.csv", index=False)
    slipway.write("project.yaml", PROJECT)
    slipway("apply", "-f", "project.yaml")
    slipway("build", "p/m", "p/scored")
    slipway("model", "export", "p/m", "-o", "m.bundle")
    with zipfile.ZipFile(slipway.folder / "m.bundle") as bundle:
        booster = lgb.Booster(model_str=bundle.read("model.txt").decode())
        sample = json.loads(bundle.read("sample.json"))
        inputs = [column["name"] for column in json.loads(bundle.read("schema.json"))["inputs"]]
    names = booster.feature_name()
    # What each feature is made from: `both` has two inputs and stays what it is.
    source = ["x" if n == "double_x" else n.split("_")[0] for n in names]
    assert source.count("c") >= 3 and source.count("when") == 3 and {"x", "both", "z", "d"} <= set(source)
    kept = [i for i, row in enumerate(sample["matrix"]) if row]
    matrix = np.array([[np.nan if v is None else float(v) for v in sample["matrix"][i]] for i in kept])
    theirs = booster.predict(matrix, pred_contrib=True)
    pd.DataFrame(sample["rows"], columns=inputs).to_csv(slipway.folder / "rows.csv", index=False)
    slipway("score", "--model", "m.bundle", "--input", "rows.csv", "--output", "rows.parquet", "--explain", ALL)
    scored = pq.read_table(slipway.folder / "rows.parquet").to_pandas()
    given = [json.loads(scored["explanations"][i]) for i in kept]
    columns = list(dict.fromkeys(source))
    summed = np.column_stack([theirs[:, [i for i, s in enumerate(source) if s == c]].sum(axis=1) for c in columns])
    near(as_matrix(given, columns), summed)
    assert np.allclose(summed.sum(axis=1) + theirs[:, -1], scored["prediction"].to_numpy()[kept])
    # Rows that the filter dropped have no prediction and no explanation.
    assert (scored["prediction"].isna() == scored["explanations"].isna()).all()


def test_the_score_recipe_explains_too(slipway):
    raw_columns().to_csv(slipway.folder / "data.csv", index=False)
    slipway.write("project.yaml", PROJECT)
    slipway("apply", "-f", "project.yaml")
    slipway("build", "p/m", "p/scored")
    slipway("score", "--model", "p/m", "--input", "data.csv", "--output", "by_hand.parquet", "--explain", 2, "--keep", "x")
    (built,) = (slipway.home / "data").rglob("*.parquet")
    ours, theirs = pq.read_table(built).to_pandas(), pq.read_table(slipway.folder / "by_hand.parquet").to_pandas()
    assert list(ours) == ["x", "prediction", "explanations"]
    assert ours.equals(theirs)
    assert ours["explanations"].isna().any() and ours["explanations"].notna().any()
    assert {len(json.loads(e)) for e in ours["explanations"].dropna()} == {2}


XGBOOST = {
    "regression": {"objective": "reg:squarederror", "base_score": 0.3},
    "binary": {"objective": "binary:logistic"},
    "multiclass": {"objective": "multi:softprob", "num_class": 3},
    "dart": {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.3},
    "linear": {"objective": "reg:squarederror", "booster": "gblinear"},
    "deep": {"objective": "reg:squarederror", "max_depth": 14, "min_child_weight": 0},
}


@pytest.mark.parametrize("kind", XGBOOST)
def test_xgboost_models_are_explained_as_xgboost_does(bare, kind):
    """XGBoost computes contributions in float32: its last digits are not ours."""
    rng = np.random.default_rng(5)
    columns = [f"f{i}" for i in range(8)]
    x = rng.random((2000, 8)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    s = np.nan_to_num(x)
    y = s[:, 0] * 3 + s[:, 1] * s[:, 2] * 5 + rng.normal(size=len(x)) * 0.1
    y = (y > 2).astype(int) if kind == "binary" else np.digitize(y, [1.5, 3]) if kind == "multiclass" else y
    booster = xgb.train({"nthread": 1, "seed": 1, **XGBOOST[kind]}, xgb.DMatrix(x, y, feature_names=columns), 30)
    model = bare.folder / "model.ubj"
    booster.save_model(model)
    frame = pd.DataFrame(x[:300].astype(float), columns=columns)
    scored, explained = explanations(bare, model, frame)
    theirs = booster.predict(xgb.DMatrix(x[:300], feature_names=columns), pred_contribs=True)
    if kind == "multiclass":
        theirs = theirs[np.arange(len(frame)), scored["prediction"].to_numpy().astype(int)]
    ours = as_matrix(explained, columns)
    assert (np.abs(ours - theirs[:, :-1]) <= 3e-6 * np.abs(theirs).max(axis=1, keepdims=True)).all()
