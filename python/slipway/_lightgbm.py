"""Models that LightGBM holds in memory."""
from __future__ import annotations

from typing import Any

from ._errors import InputError
from ._library import open_bytes
from ._model import Model


def from_lightgbm(booster: Any) -> Model:
    """A `lightgbm.Booster`, or a fitted LGBMRegressor, LGBMClassifier or LGBMRanker. With early stopping its best
    iteration counts, as in LightGBM's own predict; labels are those that the classifier was fitted with."""
    classes = None
    if hasattr(booster, "booster_"):
        classes = getattr(booster, "classes_", None)
        booster = booster.booster_
    if not hasattr(booster, "model_to_string"):
        raise InputError(f"from_lightgbm takes a lightgbm.Booster or a fitted LGBM estimator, not {type(booster).__name__}")
    data = booster.model_to_string().encode()
    handle = open_bytes(data)
    model = Model._make(handle, ("bytes", data))
    if classes is None or model.classes is None or len(classes) != len(model.classes):
        return model
    return Model._make(handle, ("bytes", data), classes=classes)
