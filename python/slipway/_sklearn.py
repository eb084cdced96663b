"""Fitted scikit-learn forests and gradient boosting, read from their own arrays. No pickle is read by anyone but Python.

scikit-learn rounds X to float32 for its trees, then compares with a float64 threshold. Here thresholds are moved instead, to
the largest float64 that rounds to a float32 at or below them, so that X stays as it is and every decision is the same.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import InputError
from ._forest import Arrays, TreeList
from ._library import EXP, IDENTITY, MISSING_NAN, SIGMOID, SOFTMAX
from ._model import Model

_MAX_PLUS = 2.0**128  # what would come after the largest float32


def fold_float32(thresholds: np.ndarray) -> np.ndarray:
    """For each t the largest float64 x with float32(x) <= t, where rounding is to nearest, ties to even."""
    with np.errstate(over="ignore", under="ignore"):
        below = thresholds.astype(np.float32)
        below = np.where(below > thresholds, np.nextafter(below, np.float32(-np.inf)), below).astype(np.float32)
        above = np.nextafter(below, np.float32(np.inf))

    def exact(values: np.ndarray) -> np.ndarray:
        wide = values.astype(np.float64)
        return np.where(np.isinf(wide), np.copysign(_MAX_PLUS, wide), wide)

    middle = (exact(below) + exact(above)) / 2
    even = below.view(np.uint32) & 1 == 0  # the middle itself rounds to `below`
    folded = np.where(even, middle, np.nextafter(middle, -np.inf))
    return np.where(np.isposinf(thresholds), np.inf, folded)


def from_sklearn(estimator: Any) -> Model:
    """A fitted DecisionTree, ExtraTree, RandomForest, ExtraTrees, GradientBoosting or HistGradientBoosting classifier or
    regressor with one target."""
    kind = type(estimator)
    # Not a class derived from one of these: it may predict differently.
    if kind.__module__.startswith("sklearn.") and kind.__name__ in _READERS:
        if not hasattr(estimator, "n_features_in_"):
            raise InputError(f"the {kind.__name__} is not fitted: call fit first")
        arguments, changes = _READERS[kind.__name__](estimator)
        return Model._make(Arrays(**arguments).build(), ("arrays", arguments), **changes)
    raise InputError(f"from_sklearn does not know {type(estimator).__name__}: it takes {', '.join(sorted(_READERS))}"
                     + (" (of a pipeline give the last step, and X as that step gets it)" if hasattr(estimator, "steps") else ""))


def _arguments(estimator: Any, trees: TreeList, *, scores: int, kind: str, transform: int = IDENTITY, sigmoid: float = 1.0,
               average: bool = False, base: Any = None) -> dict[str, Any]:
    import sklearn

    names = getattr(estimator, "feature_names_in_", None)
    return dict(feature_names=[f"x{i}" for i in range(estimator.n_features_in_)] if names is None else [str(n) for n in names],
                scores=scores, trees=len(trees), library=f"scikit-learn {sklearn.__version__}", objective=type(estimator).__name__,
                kind=kind, transform=transform, sigmoid=sigmoid, average=average, arrays=trees.arrays(base))


def _add_tree(trees: TreeList, tree: Any, values: list[np.ndarray], missing_right: bool = False) -> None:
    nodes = tree.__getstate__()["nodes"]
    if "missing_go_to_left" not in nodes.dtype.names:
        raise InputError("the estimator was fitted by a scikit-learn before 1.3: fit it again with a newer one")
    is_leaf = nodes["left_child"] < 0
    trees.add(left=nodes["left_child"], right=nodes["right_child"], is_leaf=is_leaf, feature=nodes["feature"],
              threshold=fold_float32(nodes["threshold"]), default_left=np.zeros(len(nodes)) if missing_right else nodes["missing_go_to_left"],
              missing=MISSING_NAN, count=nodes["weighted_n_node_samples"], values=values)


def _one_target(estimator: Any) -> None:
    if getattr(estimator, "n_outputs_", 1) != 1:
        raise InputError(f"the estimator predicts {estimator.n_outputs_} targets at once: fit one estimator per target")


def _trees(estimator: Any, members: list[Any], average: bool) -> tuple[dict, dict]:
    """A tree or a forest: means of leaf values, of which a classifier's are probabilities."""
    _one_target(estimator)
    trees = TreeList()
    classes = getattr(estimator, "classes_", None)
    for member in members:
        value = member.tree_.value[:, 0, :]
        _add_tree(trees, member.tree_, [value[:, k] for k in range(value.shape[1])])
    if classes is None:
        return _arguments(estimator, trees, scores=1, kind="regression", average=average), {}
    if len(classes) == 1:
        raise InputError(f"the classifier knows one class only, {classes[0]!r}: there is nothing to predict")
    # A score per class, with two classes too: 1 - p of the one need not be the other's bits.
    return _arguments(estimator, trees, scores=len(classes), kind="multiclass", average=average), {"classes": classes, "labels": "argmax"}


def _single(estimator: Any) -> tuple[dict, dict]:
    return _trees(estimator, [estimator], average=False)


def _forest(estimator: Any) -> tuple[dict, dict]:
    return _trees(estimator, estimator.estimators_, average=True)


def _boosting_base(estimator: Any) -> np.ndarray:
    init = estimator.init_
    if isinstance(init, str) and init == "zero":
        return np.zeros(estimator.estimators_.shape[1])
    constant = {"DummyClassifier": ("prior", "most_frequent", "constant"), "DummyRegressor": ("mean", "median", "quantile", "constant")}
    if getattr(init, "strategy", None) not in constant.get(type(init).__name__, ()):
        raise InputError(f"the estimator starts from {init!r}, which is another model: slipway reads constant ones (init=None, 'zero' or a Dummy)")
    return np.asarray(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32)), np.float64)[0]


def _boosting(estimator: Any) -> tuple[dict, dict]:
    trees = TreeList()
    for stage in estimator.estimators_:
        for member in stage:
            # scale * value, then the sum, as its loop has them.
            _add_tree(trees, member.tree_, [estimator.learning_rate * member.tree_.value[:, 0, 0]], missing_right=True)
    scores = estimator.estimators_.shape[1]
    base = _boosting_base(estimator)
    if not hasattr(estimator, "classes_"):
        return _arguments(estimator, trees, scores=1, kind="regression", base=base), {}
    changes: dict[str, Any] = {"classes": estimator.classes_}
    if scores == 1:
        sigmoid = 2.0 if estimator.loss == "exponential" else 1.0
        return _arguments(estimator, trees, scores=1, kind="binary", transform=SIGMOID, sigmoid=sigmoid, base=base), {**changes, "labels": "raw>=0"}
    return (_arguments(estimator, trees, scores=scores, kind="multiclass", transform=SOFTMAX, base=base),
            {**changes, "labels": "raw", "numpy": "softmax"})


def _histogram(estimator: Any) -> tuple[dict, dict]:
    order, encoders = _histogram_features(estimator)
    trees = TreeList()
    for iteration in estimator._predictors:
        for predictor in iteration:
            nodes = predictor.nodes
            category_set = np.full(len(nodes), -1)
            for node in np.flatnonzero((nodes["is_categorical"] != 0) & (nodes["is_leaf"] == 0)):
                category_set[node] = trees.add_set(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
            trees.add(left=nodes["left"].astype(np.int64), right=nodes["right"].astype(np.int64), is_leaf=nodes["is_leaf"] != 0,
                      feature=order[nodes["feature_idx"]], threshold=nodes["num_threshold"], default_left=nodes["missing_go_to_left"],
                      missing=MISSING_NAN, count=nodes["count"].astype(np.float64), values=[nodes["value"]], category_set=category_set)
    base = np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)
    scores = estimator.n_trees_per_iteration_
    changes: dict[str, Any] = {"encoders": encoders} if encoders else {}
    if hasattr(estimator, "classes_"):
        changes["classes"] = estimator.classes_
        if scores == 1:
            return _arguments(estimator, trees, scores=1, kind="binary", transform=SIGMOID, base=base), {**changes, "labels": "raw>0"}
        return (_arguments(estimator, trees, scores=scores, kind="multiclass", transform=SOFTMAX, base=base),
                {**changes, "labels": "raw", "numpy": "softmax by columns"})
    link = type(estimator._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise InputError(f"the estimator's loss has the link {link}, which is not known")
    if link == "IdentityLink":
        return _arguments(estimator, trees, scores=1, kind="regression", base=base), changes
    return _arguments(estimator, trees, scores=1, kind="regression", transform=EXP, base=base), {**changes, "numpy": "exp"}


def _histogram_features(estimator: Any) -> tuple[np.ndarray, dict[int, dict[Any, int]]]:
    """The trees' features as columns of X (categories come first in them), and the codes of categories."""
    mask = estimator.is_categorical_
    if mask is None or not np.any(mask):
        return np.arange(estimator.n_features_in_), {}
    if getattr(estimator, "_preprocessor", None) is None:
        raise InputError("the estimator was fitted by a scikit-learn before 1.4: fit it again with a newer one")
    categorical = np.flatnonzero(mask)
    lists = estimator._preprocessor.named_transformers_["encoder"].categories_
    encoders = {int(feature): {category: code for code, category in enumerate(categories.tolist()) if category == category and category is not None}
                for feature, categories in zip(categorical, lists)}
    return np.concatenate([categorical, np.flatnonzero(~np.asarray(mask))]), encoders


_READERS = {
    "DecisionTreeClassifier": _single,
    "DecisionTreeRegressor": _single,
    "ExtraTreeClassifier": _single,
    "ExtraTreeRegressor": _single,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _boosting,
    "GradientBoostingRegressor": _boosting,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
}
