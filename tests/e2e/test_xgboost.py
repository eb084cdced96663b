"""`slipway score` of XGBoost's own model files: the bits of Booster.predict. Every kind of model, down to the margins, is compared in
C++ (src/slipway/score/xgboost_exact_test.cc); here are the command, names, classes, data frames' categories and files of older versions."""
import pathlib

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "fuzz" / "corpus" / "xgboost_fuzz"


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)


def make_frame(rows=3000, seed=5):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows) * 10.0 ** rng.integers(-5, 6, rows)
    b = np.where(rng.random(rows) < 0.4, np.nan, rng.integers(-5, 50, rows).astype(float))
    return pd.DataFrame({"a": a, "b b": b, "é": rng.random(rows)})


def label_of(kind, frame):
    y = np.tanh(frame["a"]) + frame["b b"].fillna(60) / 9 + frame["é"]
    if kind == "binary":
        return (y > 3).astype(int)
    return np.digitize(y, [1, 4]) if kind == "multiclass" else y


PARAMETERS = {"regression": dict(objective="reg:squarederror"), "binary": dict(objective="binary:logistic"),
              "multiclass": dict(objective="multi:softprob", num_class=3)}


def score(slipway, model, frame):
    """Scored through Parquet, as doubles."""
    frame.to_parquet(slipway.folder / "in.parquet")
    slipway("score", "--model", model, "--input", "in.parquet", "--output", "out.parquet")
    return pq.read_table(slipway.folder / "out.parquet").to_pandas()


@pytest.mark.parametrize("kind", PARAMETERS)
@pytest.mark.parametrize("format", ["json", "ubj"])
def test_a_model_file_scores_as_in_python(bare, kind, format):
    frame = make_frame()
    booster = xgb.train(PARAMETERS[kind] | dict(nthread=1, max_depth=5), xgb.DMatrix(frame, label_of(kind, frame)), 20)
    booster.save_model(bare.folder / f"m.{format}")
    fresh = make_frame(seed=6)
    want = booster.predict(xgb.DMatrix(fresh))
    scored = score(bare, f"m.{format}", fresh)
    if kind == "regression":
        assert (bits(scored["prediction"]) == bits(want)).all()
        return
    if kind == "binary":
        want = np.column_stack([1 - want, want])  # float32, as XGBClassifier.predict_proba has it
        labels = (want[:, 1] > 0.5).astype(int)
    else:
        labels = want.argmax(axis=1)
    assert (bits(scored[[f"proba_{i}" for i in range(want.shape[1])]]) == bits(want)).all()
    assert list(scored["prediction"]) == list(labels)


def test_csv_gives_the_same_bits(bare):
    frame = make_frame()
    booster = xgb.train(dict(nthread=1), xgb.DMatrix(frame, label_of("regression", frame)), 10)
    booster.save_model(bare.folder / "m.json")
    frame.to_csv(bare.folder / "in.csv", index=False)
    bare("score", "--model", "m.json", "--input", "in.csv", "--output", "out.csv")
    scored = pd.read_csv(bare.folder / "out.csv", float_precision="round_trip")
    assert (bits(scored["prediction"]) == bits(booster.predict(xgb.DMatrix(frame)))).all()


def test_a_data_frames_categories_are_found_by_their_names(bare):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"zone": pd.Categorical(rng.choice(["Bronx", "Queens, NY", "S. I."], 2000)), "x": rng.normal(size=2000),
                          "rate": pd.Categorical(rng.choice([10, 20, 35], 2000))})
    y = frame.x + (frame.zone == "Bronx") * 2 + (frame.rate == 20)
    booster = xgb.train(dict(nthread=1, max_cat_to_onehot=1), xgb.DMatrix(frame, y, enable_categorical=True), 10)
    booster.save_model(bare.folder / "m.json")
    want = booster.predict(xgb.DMatrix(frame, enable_categorical=True))
    plain = pd.DataFrame({"zone": frame.zone.astype(str), "x": frame.x, "rate": frame.rate.astype(int)})
    assert (bits(score(bare, "m.json", plain)["prediction"]) == bits(want)).all()
    # A category that training did not know is missing.
    missing = booster.predict(xgb.DMatrix(pd.DataFrame({
        "zone": pd.Categorical([None], categories=frame.zone.cat.categories), "x": [0.5],
        "rate": pd.Categorical([10], categories=frame.rate.cat.categories)}), enable_categorical=True))
    unseen = score(bare, "m.json", pd.DataFrame({"zone": ["Nowhere"], "x": [0.5], "rate": [10]}))
    assert (bits(unseen["prediction"]) == bits(missing)).all()


def test_early_stopping_scores_with_all_trees_as_booster_predict_does(bare):
    frame = make_frame()
    y = label_of("regression", frame) + np.random.default_rng(1).normal(size=len(frame)) * 20
    model = xgb.XGBRegressor(n_estimators=60, early_stopping_rounds=3, learning_rate=1.0, n_jobs=1)
    model.fit(frame[:1500], y[:1500], eval_set=[(frame[1500:], y[1500:])], verbose=False)
    booster = model.get_booster()
    assert model.best_iteration + 1 < booster.num_boosted_rounds()
    model.save_model(bare.folder / "m.ubj")
    scored = score(bare, "m.ubj", frame)
    assert (bits(scored["prediction"]) == bits(booster.predict(xgb.DMatrix(frame)))).all()
    # The documented way to the best iteration's answers: save the slice.
    booster[: model.best_iteration + 1].save_model(bare.folder / "best.ubj")
    assert (bits(score(bare, "best.ubj", frame)["prediction"]) == bits(model.predict(frame))).all()


# XGBoost 3.2 crashes on vector leaves that 2.1 wrote; here they are compared with 2.1's own answers when its library is given to
# xgboost_exact_test.
OLDER = sorted(p for p in CORPUS.glob("v*") if "frame" not in p.name and "v2_vector" not in p.name)


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.name)
def test_files_of_older_versions_score_as_this_xgboost_scores_them(bare, path):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"f0": rng.normal(size=500), "f1": rng.normal(size=500), "f2": rng.integers(-2, 45, 500).astype(float)})
    frame.iloc[::7, 0] = np.nan
    frame.iloc[::11, 2] = np.nan
    booster = xgb.Booster(model_file=path)
    types = booster.feature_types
    want = booster.predict(xgb.DMatrix(frame.to_numpy(), feature_types=types, enable_categorical=types is not None))
    scored = score(bare, path, frame).drop(columns=["f0", "f1", "f2"])
    if "categorical" in path.name:
        want = np.column_stack([1 - want, want])
    assert (bits(scored.to_numpy(dtype=float)[:, :want.reshape(500, -1).shape[1]]) == bits(want.reshape(500, -1))).all()


def test_a_broken_file_says_where_and_why(bare):
    text = (CORPUS / "v3_dart.json").read_text()
    bare.write("m.json", text.replace('"num_trees":"3"', '"num_trees":"4"'))
    bare.write("in.csv", "f0,f1,f2\n1,2,3\n")
    answer = bare("score", "--model", "m.json", "--input", "in.csv", "--output", "out.csv", code=None)
    assert answer.code != 0
    assert "m.json: XGBoost model: learner: gradient_booster: 3 trees and 'num_trees' says 4" in answer.err
