"""from_lightgbm gives LightGBM's own answers, bit for bit."""
import lightgbm
import numpy as np
import pandas
import pytest
from conftest import ODD, adversarial, assert_same_bits

import slipway

QUIET = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "deterministic": True}


def thresholds_of(booster):
    return booster.trees_to_dataframe()["threshold"].dropna().map(lambda t: float(t) if "||" not in str(t) else 0.0)


@pytest.mark.parametrize("objective", ["regression", "poisson", "tweedie", "binary", "multiclass", "multiclassova", "cross_entropy", "lambdarank"])
def test_answers_are_lightgbms(objective, data):
    x, y = data
    classes = objective.startswith("multi")
    label = {"poisson": np.exp(y / 4), "tweedie": np.exp(y / 4), "binary": y > 0, "cross_entropy": 1 / (1 + np.exp(-y)),
             "lambdarank": np.digitize(y, [0, 1])}.get(objective, np.digitize(y, [0, 1]) if classes else y)
    train = lightgbm.Dataset(x, label, group=[100] * 12 if objective == "lambdarank" else None)
    booster = lightgbm.train({**QUIET, "objective": objective, "num_class": 3 if classes else 1}, train, 15)
    model = slipway.from_lightgbm(booster)
    rows = adversarial(thresholds_of(booster), x.shape[1], odd=ODD)
    answer = booster.predict(rows)
    if objective == "binary":
        assert_same_bits(model.predict_proba(rows)[:, 1], answer)
        assert_same_bits(model.predict(rows), (answer > 0.5).astype(int))
    elif classes:
        assert_same_bits(model.predict_proba(rows), answer)
        assert_same_bits(model.predict(rows), answer.argmax(axis=1))
    else:
        assert_same_bits(model.predict(rows), answer)
    assert_same_bits(model.predict_raw(rows), booster.predict(rows, raw_score=True))
    shares, theirs = model.explain(x[:200]), booster.predict(x[:200], pred_contrib=True)
    np.testing.assert_allclose(shares.reshape(200, -1), theirs, atol=1e-9 * np.abs(theirs).max(), rtol=0)


def test_early_stopping_counts_as_in_lightgbm(data):
    x, y = data
    booster = lightgbm.train({**QUIET, "learning_rate": 0.8}, lightgbm.Dataset(x[:800], y[:800]), 200,
                             valid_sets=[lightgbm.Dataset(x[800:], y[800:])], callbacks=[lightgbm.early_stopping(3, verbose=False)])
    assert 0 < booster.best_iteration < 200
    assert_same_bits(slipway.from_lightgbm(booster).predict(x), booster.predict(x))


def test_estimators_keep_their_labels(data):
    x, y = data
    for estimator, label in ((lightgbm.LGBMClassifier(n_estimators=8, verbosity=-1, n_jobs=1), np.where(y > 0, "up", "down")),
                             (lightgbm.LGBMClassifier(n_estimators=8, verbosity=-1, n_jobs=1), np.digitize(y, [0, 1]) * 5),
                             (lightgbm.LGBMRegressor(n_estimators=8, verbosity=-1, n_jobs=1), y)):
        estimator.fit(x, label)
        model = slipway.from_lightgbm(estimator)
        assert_same_bits(model.predict(x), estimator.predict(x))
        if hasattr(model, "classes") and model.classes is not None:
            assert_same_bits(model.predict_proba(x), estimator.predict_proba(x))


def test_categories_of_pandas_by_value(data):
    x, y = data
    rng = np.random.default_rng(2)
    frame = pandas.DataFrame(x[:, :3], columns=["a", "b c", "d"])
    frame["place"] = pandas.Categorical(rng.choice(["Oslo", "Rome", "Bonn"], len(x)))
    frame["code"] = pandas.Categorical(rng.choice([3, 5, 8, 13], len(x)))
    frame["flag"] = rng.random(len(x)) > 0.5
    booster = lightgbm.train(QUIET, lightgbm.Dataset(frame, y + (frame["place"] == "Rome") + (frame["code"] == 5)), 15)
    model = slipway.from_lightgbm(booster)
    answer = booster.predict(frame)
    assert_same_bits(model.predict(frame), answer)
    # Another order of columns and of categories, and texts in their place, are the same values.
    other = frame[["flag", "code", "place", "d", "b c", "a"]].copy()
    other["place"] = other["place"].cat.reorder_categories(["Rome", "Oslo", "Bonn"])
    assert_same_bits(model.predict(other), answer)
    other["place"] = other["place"].astype(object)
    other["code"] = other["code"].astype(int)
    assert_same_bits(model.predict(other), answer)
    unseen = frame.copy()
    unseen["place"] = pandas.Categorical(np.where(np.arange(len(x)) % 2 == 0, "Kiel", frame["place"].astype(object)))
    assert_same_bits(model.predict(unseen), booster.predict(unseen))
    import polars
    import pyarrow

    table = pyarrow.Table.from_pandas(frame.rename(columns={"b c": "b_c"}))
    assert_same_bits(model.predict(table), answer)
    assert_same_bits(model.predict(polars.from_arrow(table)), answer)


def test_what_is_no_model_says_so():
    with pytest.raises(slipway.InputError, match="not dict"):
        slipway.from_lightgbm({})
