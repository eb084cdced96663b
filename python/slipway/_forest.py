"""Trees as arrays, for slipway_build."""
from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ._library import KINDS, LIBRARY, VALUES_PLAIN, Forest, Handle, check

_DTYPES = {"base": np.float64, "node_begin": np.int64, "split_feature": np.int32, "threshold": np.float64, "left": np.int32,
           "right": np.int32, "default_left": np.uint8, "missing_type": np.uint8, "category_set": np.int32, "node_count": np.float64,
           "leaf_value": np.float64, "leaf_count": np.float64, "set_begin": np.int64, "set_bits": np.uint32}


class Arrays:
    """The arguments of slipway_forest by name; pickles as they are."""

    def __init__(self, *, feature_names: list[str], scores: int, trees: int, library: str, objective: str, kind: str, transform: int,
                 sigmoid: float, average: bool, arrays: dict[str, np.ndarray]):
        self.arguments: dict[str, Any] = dict(feature_names=feature_names, scores=scores, trees=trees, library=library, objective=objective, kind=kind,
                              transform=transform,
                              sigmoid=sigmoid, average=average, arrays=arrays)

    def build(self) -> Handle:
        a = self.arguments
        names = [n.encode() for n in a["feature_names"]]
        forest = Forest(struct_size=ctypes.sizeof(Forest), feature_count=len(names), score_count=a["scores"], tree_count=a["trees"],
                        feature_names=(ctypes.c_char_p * len(names))(*names), library=a["library"].encode(),
                        objective=a["objective"].encode(), kind=KINDS[a["kind"]], transform=a["transform"], value_rule=VALUES_PLAIN,
                        average=int(a["average"]), float32_sums=0, sigmoid=a["sigmoid"])
        kept = []
        for name, values in a["arrays"].items():
            array = np.ascontiguousarray(values, _DTYPES[name])
            kept.append(array)
            setattr(forest, name, array.ctypes.data)
            if name == "set_begin":
                forest.set_count = len(array) - 1
        model = ctypes.c_void_p()
        check(LIBRARY.slipway_build(ctypes.byref(forest), ctypes.byref(model)))
        return Handle(model)


class TreeList:
    """Collects trees whose nodes are numbered as scikit-learn does: leaves and inner nodes in one row."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in
                                                    ("split_feature", "threshold", "left", "right", "default_left", "missing_type",
                                                     "category_set", "node_count", "leaf_value", "leaf_count")}
        self._begin = [0]
        self._sets: list[np.ndarray] = []

    def add(self, *, left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray, feature: np.ndarray, threshold: np.ndarray,
            default_left: np.ndarray, missing: int, count: np.ndarray, values: list[np.ndarray], category_set: np.ndarray | None = None) -> None:
        """One tree per array of `values` (a value per node), all of the same shape."""
        inner = ~is_leaf
        # A node's number among its kind; leaf k is child -1 - k.
        number = np.where(inner, np.cumsum(inner) - 1, -np.cumsum(is_leaf))
        for value in values:
            parts = self._parts
            parts["split_feature"].append(feature[inner])
            parts["threshold"].append(threshold[inner])
            parts["left"].append(number[left[inner]])
            parts["right"].append(number[right[inner]])
            parts["default_left"].append(default_left[inner])
            parts["missing_type"].append(np.full(int(inner.sum()), missing))
            parts["category_set"].append(np.full(int(inner.sum()), -1) if category_set is None else category_set[inner])
            parts["node_count"].append(count[inner])
            parts["leaf_value"].append(value[is_leaf])
            parts["leaf_count"].append(count[is_leaf])
            self._begin.append(self._begin[-1] + int(inner.sum()))

    def add_set(self, bits: np.ndarray) -> int:
        self._sets.append(np.asarray(bits, np.uint32))
        return len(self._sets) - 1

    def __len__(self) -> int:
        return len(self._begin) - 1

    def arrays(self, base: Any = None) -> dict[str, np.ndarray]:
        out = {name: np.concatenate(parts).astype(_DTYPES[name]) if parts else np.empty(0, _DTYPES[name]) for name, parts in self._parts.items()}
        out["node_begin"] = np.array(self._begin, np.int64)
        if base is not None:
            out["base"] = np.asarray(base, np.float64)
        if self._sets:
            out["set_begin"] = np.concatenate([[0], np.cumsum([len(s) for s in self._sets])])
            out["set_bits"] = np.concatenate(self._sets)
        return out
