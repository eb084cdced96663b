"""from_xgboost gives XGBoost's own answers, bit for bit."""
import numpy as np
import pytest
import xgboost
from conftest import adversarial, assert_same_bits

import slipway

ODD = [np.nan, 0.0, -0.0, 1e-36, -1e30, 1e30, 1.5, 16777217.0]


def thresholds_of(booster):
    return booster.trees_to_dataframe()["Split"].dropna()


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson", "binary:logistic", "multi:softprob"])
def test_answers_are_xgboosts(objective, data):
    x, y = data
    label = {"count:poisson": np.exp(y / 4), "binary:logistic": y > 0, "multi:softprob": np.digitize(y, [0, 1])}.get(objective, y)
    more = {"num_class": 3} if objective.startswith("multi") else {}
    booster = xgboost.train({"objective": objective, "nthread": 1, **more}, xgboost.DMatrix(x, label), 15)
    model = slipway.from_xgboost(booster)
    for rows in (x, adversarial(thresholds_of(booster), x.shape[1], odd=ODD)):
        answer = booster.predict(xgboost.DMatrix(rows))
        scores = model.predict(rows) if model.classes is None else model.predict_proba(rows)
        assert_same_bits(scores[:, 1] if objective.startswith("binary") else scores, answer)
        assert_same_bits(model.predict_raw(rows), booster.predict(xgboost.DMatrix(rows), output_margin=True))
    shares = model.explain(x[:100])
    theirs = booster.predict(xgboost.DMatrix(x[:100]), pred_contribs=True)
    np.testing.assert_allclose(shares, theirs, atol=2e-5 * np.abs(theirs).max())


def test_estimators(data):
    x, y = data
    for estimator, label in ((xgboost.XGBRegressor(n_estimators=9, n_jobs=1), y), (xgboost.XGBClassifier(n_estimators=9, n_jobs=1), (y > 0).astype(int)),
                             (xgboost.XGBClassifier(n_estimators=9, n_jobs=1), np.digitize(y, [0, 1])),
                             (xgboost.XGBRFRegressor(n_estimators=9, n_jobs=1), y)):
        estimator.fit(x, label)
        model = slipway.from_xgboost(estimator)
        assert_same_bits(model.predict(x), estimator.predict(x))
        if model.classes is not None:
            assert_same_bits(model.predict_proba(x), estimator.predict_proba(x))


def test_early_stopping_counts_as_in_the_estimator(data):
    x, y = data
    estimator = xgboost.XGBRegressor(n_estimators=200, learning_rate=0.8, early_stopping_rounds=3, n_jobs=1)
    estimator.fit(x[:800], y[:800], eval_set=[(x[800:], y[800:])], verbose=False)
    assert estimator.best_iteration < 150
    assert_same_bits(slipway.from_xgboost(estimator).predict(x), estimator.predict(x))


def test_another_missing_value_is_refused(data):
    x, y = data
    with pytest.raises(slipway.InputError, match="-1"):
        slipway.from_xgboost(xgboost.XGBRegressor(n_estimators=2, missing=-1.0, n_jobs=1).fit(x, y))


def test_categories_of_pandas_by_value(data):
    import pandas
    import pyarrow

    x, y = data
    rng = np.random.default_rng(2)
    frame = pandas.DataFrame(x[:, :3], columns=["a", "b", "c"])
    frame["place"] = pandas.Categorical(rng.choice(["Oslo", "Rome", "Bonn", "Kiel"], len(x)))
    frame.loc[::11, "place"] = None
    estimator = xgboost.XGBRegressor(n_estimators=12, n_jobs=1, enable_categorical=True).fit(frame, y + 2 * (frame["place"] == "Rome"))
    model, answer = slipway.from_xgboost(estimator), estimator.predict(frame)
    assert_same_bits(model.predict(frame), answer)
    other = frame[["place", "c", "b", "a"]].copy()
    other["place"] = other["place"].cat.reorder_categories(["Rome", "Kiel", "Oslo", "Bonn"])
    assert_same_bits(model.predict(other), answer)
    assert_same_bits(model.predict(other.assign(place=other["place"].astype(object))), answer)
    assert_same_bits(model.predict(pyarrow.Table.from_pandas(other)), answer)
