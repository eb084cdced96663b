"""from_sklearn gives scikit-learn's own answers, bit for bit."""
import pickle

import numpy as np
import pytest
from conftest import ODD, adversarial, assert_same_bits
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor,
                              HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

import slipway
from slipway._sklearn import fold_float32

# scikit-learn refuses what is not finite as float32, where it does not take NaN as missing.
FINITE = [v for v in ODD if np.isfinite(v) and abs(v) < 3.4e38]
NAN = FINITE + [np.nan]

CASES = {
    "tree": (DecisionTreeRegressor(random_state=0), "number", NAN),
    "stump": (DecisionTreeRegressor(max_depth=1), "number", NAN),
    "leaf": (DecisionTreeRegressor(min_samples_leaf=900), "number", NAN),
    "tree-2": (DecisionTreeClassifier(random_state=0), "two", NAN),
    "tree-4": (DecisionTreeClassifier(max_depth=6, class_weight="balanced"), "four", NAN),
    "extra-tree": (ExtraTreeRegressor(random_state=0), "number", FINITE),
    "extra-tree-4": (ExtraTreeClassifier(random_state=0), "four", FINITE),
    "forest": (RandomForestRegressor(13, random_state=0), "number", NAN),
    "forest-2": (RandomForestClassifier(13, random_state=0, min_samples_leaf=3), "two", NAN),
    "forest-4": (RandomForestClassifier(13, random_state=0, min_samples_leaf=3), "four", NAN),
    "forest-missing": (RandomForestClassifier(7, random_state=0, min_samples_leaf=3), "missing", NAN),
    "extra": (ExtraTreesRegressor(9, random_state=0), "number", FINITE),
    "extra-4": (ExtraTreesClassifier(9, random_state=0, max_depth=7), "four", FINITE),
    "boosting": (GradientBoostingRegressor(n_estimators=40), "number", FINITE),
    "boosting-huber": (GradientBoostingRegressor(loss="huber", n_estimators=20, init="zero", subsample=0.7, random_state=0), "number", FINITE),
    "boosting-dummy": (GradientBoostingRegressor(n_estimators=10, init=DummyRegressor(strategy="median")), "number", FINITE),
    "boosting-2": (GradientBoostingClassifier(n_estimators=30), "two", FINITE),
    "boosting-exponential": (GradientBoostingClassifier(loss="exponential", n_estimators=20), "two", FINITE),
    "boosting-zero": (GradientBoostingClassifier(n_estimators=10, init="zero"), "two", FINITE),
    "boosting-4": (GradientBoostingClassifier(n_estimators=12, init=DummyClassifier()), "four", FINITE),
    "hist": (HistGradientBoostingRegressor(max_iter=30), "number", ODD),
    "hist-absolute": (HistGradientBoostingRegressor(loss="absolute_error", max_iter=10), "number", ODD),
    "hist-poisson": (HistGradientBoostingRegressor(loss="poisson", max_iter=20), "count", ODD),
    "hist-gamma": (HistGradientBoostingRegressor(loss="gamma", max_iter=10), "count", ODD),
    "hist-2": (HistGradientBoostingClassifier(max_iter=30, early_stopping=True), "two", ODD),
    "hist-4": (HistGradientBoostingClassifier(max_iter=12), "four", ODD),
    "hist-missing": (HistGradientBoostingClassifier(max_iter=12), "missing", ODD),
}


def targets(y, kind):
    if kind == "number":
        return y
    if kind == "count":
        return np.exp(y / 4)
    if kind == "two":
        return np.where(y > 0.2, "yes", "no")
    return np.digitize(y, [-1, 0, 1]) * 10 - 7


def thresholds_of(estimator):
    if hasattr(estimator, "_predictors"):
        return np.concatenate([p.nodes["num_threshold"] for i in estimator._predictors for p in i])
    members = [estimator] if hasattr(estimator, "tree_") else np.ravel(estimator.estimators_)
    return np.concatenate([m.tree_.threshold for m in members])


@pytest.mark.parametrize("name", CASES)
def test_answers_are_scikit_learns(name, data):
    estimator, kind, odd = CASES[name]
    x, y = data
    if kind == "missing":
        x = np.where(np.random.default_rng(1).random(x.shape) < 0.1, np.nan, x)
    estimator.fit(x, targets(y, kind))
    model = slipway.from_sklearn(estimator)
    rows = adversarial(thresholds_of(estimator), x.shape[1], rows=1500, odd=odd)
    with np.errstate(over="ignore"):
        single = rows.astype(np.float32)
    for batch in (x, rows, single, np.asfortranarray(rows), rows[:0], rows[:1]):
        if len(batch) == 0:
            assert len(model.predict(batch)) == 0
            continue
        assert_same_bits(model.predict(batch), estimator.predict(batch))
        if hasattr(estimator, "classes_"):
            assert_same_bits(model.predict_proba(batch), estimator.predict_proba(batch))
            assert (model.classes == estimator.classes_).all()
        if hasattr(estimator, "decision_function"):
            assert_same_bits(model.predict_raw(batch), estimator.decision_function(batch))
    again = pickle.loads(pickle.dumps(model))
    assert_same_bits(again.predict(rows), model.predict(rows))


def test_thresholds_in_float64_decide_as_float32_does():
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**64, 20000, dtype=np.uint64).view(np.float64)
    singles = rng.integers(0, 2**32, 20000, dtype=np.uint32).view(np.float32)
    singles = singles[~np.isnan(singles)].astype(np.float64)
    edges = np.array([0.0, -0.0, 1e-46, -1e-46, 7e-46, 1.4e-45, -1.4e-45, 3.4028234663852886e38, 3.4028235677973366e38, -3.4028235677973366e38, 1e39, -1e39,
                      np.inf, -np.inf, 1.0, 1 + 2**-24, 1 + 2**-23])
    thresholds = np.concatenate([bits, singles, edges])
    thresholds = thresholds[~np.isnan(thresholds)]
    folded = fold_float32(thresholds)
    with np.errstate(over="ignore"):
        for x in (thresholds, folded, np.nextafter(folded, np.inf), np.nextafter(folded, -np.inf), np.nextafter(thresholds, np.inf),
                  thresholds.astype(np.float32).astype(np.float64), np.zeros_like(thresholds), np.full_like(thresholds, -np.inf)):
            wanted = x.astype(np.float32).astype(np.float64) <= thresholds
            assert ((x <= folded) == wanted).all()


@pytest.fixture(scope="module")
def frame(data):
    import pandas

    x, y = data
    rng = np.random.default_rng(5)
    frame = pandas.DataFrame(x[:, :4], columns=["size", "weight", "age", "price in $"])
    frame["age"] = rng.integers(-4, 30, len(frame)).astype(float)
    frame["colour"] = pandas.Categorical(rng.choice(["red", "green", "blue", "grün"], len(frame)))
    frame.loc[::13, "colour"] = None
    frame.loc[::17, "age"] = np.nan
    return frame, y + (frame["colour"] == "red") * 3 + (frame["age"] % 3).fillna(0)


def test_categories_of_histogram_boosting(frame):
    import pandas
    import pyarrow

    x, y = frame
    strange = x.copy()
    strange["colour"] = pandas.Categorical(np.where(np.arange(len(x)) % 3 == 0, "unseen", x["colour"].astype(object)))
    for estimator, target in ((HistGradientBoostingRegressor(max_iter=15, categorical_features="from_dtype"), y),
                              (HistGradientBoostingClassifier(max_iter=8, categorical_features="from_dtype"), np.digitize(y, [0, 2]))):
        estimator.fit(x, target)
        model = slipway.from_sklearn(estimator)
        for rows in (x, strange):
            assert_same_bits(model.predict(rows), estimator.predict(rows))
            assert_same_bits(model.predict(rows[list(reversed(rows.columns))]), estimator.predict(rows))
            assert_same_bits(model.predict(pyarrow.Table.from_pandas(rows)), estimator.predict(rows))


def test_categories_that_are_numbers(frame):
    x, y = frame
    numbers = x[["size", "age", "weight"]].to_numpy()
    estimator = HistGradientBoostingRegressor(max_iter=15, categorical_features=[1]).fit(numbers, y)
    model = slipway.from_sklearn(estimator)
    strange = numbers.copy()
    strange[::2, 1] = np.random.default_rng(2).choice([-99, 1e9, 2.5, np.nan, -0.0], len(strange[::2]))
    for rows in (numbers, strange):
        assert_same_bits(model.predict(rows), estimator.predict(rows))
    named = HistGradientBoostingRegressor(max_iter=15, categorical_features=["age"]).fit(x[["size", "age", "weight"]], y)
    assert_same_bits(slipway.from_sklearn(named).predict(x), named.predict(x[["size", "age", "weight"]]))


def test_explanations_sum_to_the_raw_scores(data):
    x, y = data
    for estimator, target in ((RandomForestRegressor(5, max_depth=5), y), (HistGradientBoostingClassifier(max_iter=5), np.digitize(y, [0, 1]))):
        model = slipway.from_sklearn(estimator.fit(x, target))
        shares, raw = model.explain(x[:50]), model.predict_raw(x[:50])
        assert shares.shape == (*raw.shape, x.shape[1] + 1)
        np.testing.assert_allclose(shares.sum(-1), raw, rtol=1e-12, atol=1e-12)


def test_what_cannot_be_read_says_why(data):
    x, y = data

    class Doubled(RandomForestRegressor):
        def predict(self, rows):
            return 2 * super().predict(rows)

    for estimator, message in ((RandomForestRegressor(), "not fitted"), (Doubled(2).fit(x, y), "does not know Doubled"),
                               (RandomForestRegressor(2).fit(x, np.c_[y, y]), "2 targets"),
                               (LinearRegression().fit(x, y), "does not know LinearRegression"),
                               (GradientBoostingRegressor(init=LinearRegression(), n_estimators=2).fit(x, y), "starts from LinearRegression"),
                               (DecisionTreeClassifier().fit(x, np.zeros(len(x))), "one class only"),
                               ("a text", "does not know str")):
        with pytest.raises(slipway.InputError, match=message):
            slipway.from_sklearn(estimator)
