"""Scores LightGBM, XGBoost and scikit-learn models and Slipway bundles.

    model = slipway.Model.load("model.txt")
    model.predict(X)

docs/python.md of the project has the whole story.
"""
from ._errors import InputError, ModelError, NotFoundError, SlipwayError
from ._lightgbm import from_lightgbm
from ._library import __version__
from ._model import Model
from ._sklearn import from_sklearn
from ._xgboost import from_xgboost

__all__ = ["InputError", "Model", "ModelError", "NotFoundError", "SlipwayError", "__version__", "from_lightgbm", "from_sklearn", "from_xgboost"]
