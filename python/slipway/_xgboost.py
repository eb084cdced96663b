"""Models that XGBoost holds in memory."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import InputError
from ._library import open_bytes
from ._model import Model


def from_xgboost(booster: Any) -> Model:
    """An `xgboost.Booster` (all of its trees, as in its own predict), or a fitted XGBRegressor, XGBClassifier, XGBRanker
    or random forest of these (with early stopping up to the best iteration, as in theirs)."""
    classes = None
    if hasattr(booster, "get_booster"):
        estimator, booster = booster, booster.get_booster()
        if hasattr(estimator, "missing") and not (estimator.missing is None or np.isnan(estimator.missing)):
            raise InputError(f"the estimator takes {estimator.missing} for missing; slipway takes NaN: put NaN in its place and fit again")
        if hasattr(estimator, "n_classes_"):
            classes = np.asarray(estimator.classes_)
        if (best := getattr(estimator, "best_iteration", None) if _stopped_early(estimator) else None) is not None:
            booster = booster[: best + 1]
    if not hasattr(booster, "save_raw"):
        raise InputError(f"from_xgboost takes an xgboost.Booster or a fitted XGB estimator, not {type(booster).__name__}")
    data = bytes(booster.save_raw("ubj"))
    handle = open_bytes(data)
    model = Model._make(handle, ("bytes", data))
    if classes is None or model.classes is None or len(classes) != len(model.classes):
        return model
    return Model._make(handle, ("bytes", data), classes=classes)


def _stopped_early(estimator: Any) -> bool:
    try:
        return estimator.best_iteration is not None
    except AttributeError:
        return False
