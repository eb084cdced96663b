"""slipway.Model."""
from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Mapping

import numpy as np

from ._arrow import ArrowBatches
from ._errors import InputError
from ._forest import Arrays
from ._inputs import Columns, Inputs, Rows2d
from ._library import LIBRARY, RAW_SCORES, SCORES, ArrowArray, ArrowSchema, Handle, check, open_bytes, open_path


def _class_values(texts: list[str], kind: str | None) -> np.ndarray | None:
    """The labels with the type that the target had."""
    if not texts:
        return None
    if kind == "int64":
        return np.array([int(t) for t in texts], np.int64)
    if kind == "double":
        return np.array([float(t) for t in texts], np.float64)
    if kind == "boolean":
        return np.array([t == "true" for t in texts], bool)
    if kind == "date":
        return np.array(texts, "datetime64[D]")
    if kind == "timestamp":
        return np.array([t.rstrip("Z") for t in texts], "datetime64[us]")
    return np.array(texts, object)


class Model:
    """A model that scores. Immutable and safe to share between threads, each call lets go of the interpreter's lock.

    X is a numpy matrix (float64, float32 or integers, any strides: not copied), a pandas frame or a dict of columns (by
    name), or anything Arrow: pyarrow, polars, whatever has `__arrow_c_stream__` or `__arrow_c_array__` (by name). NaN and
    null are missing. `threads` is how many a call may use, None: all of the machine.
    """

    _handle: Handle
    _source: tuple
    _changes: dict[str, Any]
    _about: dict[str, Any]
    _kind: str
    _classes: np.ndarray | None
    _labels: str
    _numpy: str | None
    _inputs: Inputs

    def __init__(self) -> None:
        raise TypeError("use Model.load(path), Model.from_bytes(data) or slipway.from_lightgbm, from_xgboost, from_sklearn")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """A Slipway bundle or a model file that LightGBM (text) or XGBoost (JSON, UBJ) wrote. Pickles as its path."""
        full = os.path.abspath(os.fspath(path))
        return cls._make(open_path(full), ("path", full))

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """The same from the file's content. Pickles as the bytes."""
        data = bytes(data)
        return cls._make(open_bytes(data), ("bytes", data))

    @classmethod
    def _make(cls, handle: Handle, source: tuple, **changes: Any) -> Model:
        model = object.__new__(cls)
        model._handle, model._source, model._changes = handle, source, changes
        about = model._about = json.loads(LIBRARY.slipway_describe(handle.pointer))
        model._kind = about["kind"]
        classes = changes.get("classes")
        model._classes = _class_values(about["classes"], about["class_type"]) if classes is None else np.asarray(classes)
        # How labels come of scores: "threshold" or "argmax" of probabilities, or of raw scores ("raw>0", "raw>=0", "raw").
        model._labels = changes.get("labels") or ("threshold" if model._kind == "binary" else "argmax")
        # Which of numpy's own functions the transform is, where its bits are not the C library's.
        model._numpy = changes.get("numpy")
        model._inputs = Inputs(about["inputs"], about["bundle"], changes.get("encoders"))
        return model

    def __reduce__(self) -> tuple:
        return _restore, (self._source, self._changes)

    def __repr__(self) -> str:
        return f"<slipway.Model {self._kind}, {len(self.features)} features, engine {self.engine}>"

    @property
    def kind(self) -> str:
        """regression, binary, multiclass or raw (scores without a meaning of their own)."""
        return self._kind

    @property
    def classes(self) -> np.ndarray | None:
        """The labels, in the order of predict_proba's columns; None without classes."""
        return self._classes

    @property
    def features(self) -> list[str]:
        """Names of what the trees see; of a model file also its input columns."""
        return list(self._about["features"])

    @property
    def inputs(self) -> dict[str, str]:
        """The columns that X must have, with their types."""
        return dict(zip(self._inputs.names, self._inputs.types))

    @property
    def outputs(self) -> dict[str, str]:
        """The columns that score() gives, with their types."""
        return {column["name"]: column["type"] for column in self._about["outputs"]}

    @property
    def info(self) -> dict[str, Any]:
        """What the model says of itself: of a bundle version, metrics, lineage; of a file library, objective, trees."""
        return dict(self._about["info"])

    @property
    def engine(self) -> str:
        """The engine that scores, such as "bitvector/avx2"; `engine_reason` says why."""
        return self._about["engine"]

    @property
    def engine_reason(self) -> str:
        return self._about["reason"]

    def predict(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Regression: the numbers. Classes: the labels. Raw: the scores, (rows,) or (rows, scores)."""
        if self._kind not in ("binary", "multiclass"):
            return self._flat(self._scores(X, SCORES, threads))
        raw = self._labels.startswith("raw")
        scores = self._scores(X, RAW_SCORES if raw else SCORES, threads)
        if self._labels == "threshold":
            picked = (scores[:, 0] > self._about["threshold"]).astype(np.intp)
        elif self._labels == "raw>0":
            picked = (scores[:, 0] > 0).astype(np.intp)
        elif self._labels == "raw>=0":
            picked = (scores[:, 0] >= 0).astype(np.intp)
        else:
            picked = np.argmax(scores, axis=1)
        assert self._classes is not None
        labels = self._classes[picked]
        if self._about["bundle"] and (dropped := np.isnan(scores[:, 0])).any():
            labels = labels.astype(object)
            labels[dropped] = None
        return labels

    def predict_proba(self, X: Any, threads: int | None = None) -> np.ndarray:
        """(rows, classes) probabilities."""
        if self._kind not in ("binary", "multiclass"):
            raise InputError(f"predict_proba is for models with classes; this one predicts {self._kind}: use predict")
        scores = self._scores(X, SCORES, threads)
        if scores.shape[1] > 1:
            return scores
        out = np.empty((len(scores), 2))
        # XGBoost's probabilities are float32 numbers, the first class's too.
        first = np.float32(1) - scores[:, 0].astype(np.float32) if self._about["library"].startswith("xgboost") else 1 - scores[:, 0]
        out[:, 0] = first
        out[:, 1] = scores[:, 0]
        return out

    def predict_raw(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Scores before the output transform (margins, log odds): (rows,), or (rows, scores) when there are several."""
        return self._flat(self._scores(X, RAW_SCORES, threads))

    def explain(self, X: Any, threads: int | None = None) -> np.ndarray:
        """What each feature adds to the raw score (exact TreeSHAP): (rows, features + 1), the last column the base value;
        with several scores a row (rows, scores, features + 1). The sums over the last axis are predict_raw(X)."""
        rows = self._inputs.read(X)
        scores, width = self._about["scores"], len(self._about["features"]) + 1
        out = np.empty((rows.rows, scores, width))
        self._call("explain", rows, out, (0 if threads is None else threads,))
        return out[:, 0, :] if scores == 1 else out

    def score(self, X: Any, threads: int | None = None) -> Any:
        """The output columns as a pyarrow.Table: regression `prediction`; classes `proba_<class>`..., `prediction`. Needs
        pyarrow."""
        import pyarrow

        rows = self._inputs.read(X)
        if isinstance(rows, (Rows2d, Columns)):
            rows = ArrowBatches(pyarrow.table([pyarrow.array(c) for c in _arrays(rows)], names=self._inputs.names))
        batches = []
        schema, array = ArrowSchema(), ArrowArray()
        for batch in rows:
            check(LIBRARY.slipway_score_arrow(self._handle.pointer, ctypes.byref(rows.schema), ctypes.byref(batch),
                                              0 if threads is None else threads, ctypes.byref(schema), ctypes.byref(array)))
            batches.append(pyarrow.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema)))
        check(LIBRARY.slipway_output_schema(self._handle.pointer, ctypes.byref(schema)))
        return pyarrow.Table.from_batches(batches, pyarrow.Schema._import_from_c(ctypes.addressof(schema)))

    def _scores(self, X: Any, what: int, threads: int | None) -> np.ndarray:
        rows = self._inputs.read(X)
        out = np.empty((rows.rows, self._about["scores"]))
        numpy = self._numpy if what == SCORES else None
        self._call("predict", rows, out, (RAW_SCORES if numpy else what, 0 if threads is None else threads))
        return _transformed(out, numpy) if numpy else out

    def _call(self, function: str, rows: Any, out: np.ndarray, arguments: tuple) -> None:
        """slipway_<function> or its sister for the rows' form, into `out`."""
        model = self._handle.pointer
        if isinstance(rows, Rows2d):
            call = LIBRARY.slipway_predict if function == "predict" else LIBRARY.slipway_explain
            check(call(model, ctypes.byref(rows.matrix), *arguments, out.ctypes.data, out.size))
        elif isinstance(rows, Columns):
            call = getattr(LIBRARY, f"slipway_{function}_columns")
            check(call(model, rows.columns, len(rows.arrays), rows.rows, *arguments, out.ctypes.data, out.size))
        else:
            call = getattr(LIBRARY, f"slipway_{function}_arrow")
            begin = 0
            for batch in rows:
                part = out[begin : begin + max(0, batch.length)]
                check(call(model, ctypes.byref(rows.schema), ctypes.byref(batch), *arguments, part.ctypes.data, part.size))
                begin += batch.length

    @staticmethod
    def _flat(scores: np.ndarray) -> np.ndarray:
        return scores[:, 0] if scores.shape[1] == 1 else scores


def _transformed(raw: np.ndarray, numpy: str) -> np.ndarray:
    """As scikit-learn does it, with its order of sums, which follows the order in memory."""
    if numpy == "exp":
        return np.exp(raw)
    if numpy == "softmax by columns":
        raw = np.asfortranarray(raw)
    raw -= np.max(raw, axis=1).reshape(-1, 1)
    np.exp(raw, out=raw)
    raw /= np.sum(raw, axis=1).reshape(-1, 1)
    return raw


def _arrays(rows: Rows2d | Columns) -> list[np.ndarray]:
    if isinstance(rows, Columns):
        return rows.arrays
    return [rows.array[:, i] for i in range(rows.array.shape[1])]


def _restore(source: tuple[str, Any], changes: Mapping[str, Any]) -> Model:
    kind, value = source
    if kind == "path":
        return Model._make(open_path(value), source, **changes)
    if kind == "bytes":
        return Model._make(open_bytes(value), source, **changes)
    return Model._make(Arrays(**value).build(), source, **changes)
