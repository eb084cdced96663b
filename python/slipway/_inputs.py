"""What people call X, as one of three forms that the library takes: a matrix, columns, record batches. No copies of
numbers that lie in memory already."""
from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from ._arrow import ArrowBatches, LentBatch, is_arrow, is_null
from ._errors import InputError
from ._library import TYPES, Column, Matrix


# By type and byte order; numpy's names of types are slow to ask for.
_NATIVE = {np.dtype(name): code for name, code in TYPES.items()}


class Columns:
    """One numpy array per input of a model file, in the model's order."""

    def __init__(self, arrays: list[np.ndarray], rows: int):
        self.arrays, self.rows = arrays, rows
        self.columns = (Column * len(arrays))()
        for column, array in zip(self.columns, arrays):
            column.data, column.stride, column.type = array.ctypes.data, array.strides[0], _NATIVE[array.dtype]


class Rows2d:
    """A numpy matrix where it lies."""

    def __init__(self, array: np.ndarray):
        self.array, self.rows = array, array.shape[0]
        rows, columns = array.shape
        self.matrix = Matrix(array.ctypes.data, rows, columns, *array.strides, _NATIVE[array.dtype])


def is_pandas(data: Any) -> bool:
    return type(data).__module__.split(".")[0] == "pandas" and hasattr(data, "columns")


def native(array: np.ndarray, what: str) -> np.ndarray:
    """The array itself where the library knows its type, else a copy that it does know."""
    if array.dtype in _NATIVE:
        return array
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype in _NATIVE:
        return array
    if array.dtype.name in ("float16", "longdouble", "float128", "float96"):
        return array.astype(np.float64)
    if array.dtype.kind == "O":
        try:
            return np.array([[np.nan if is_null(v) else v for v in row] if array.ndim == 2 else np.nan if is_null(row) else row
                             for row in array.tolist()], dtype=np.float64).reshape(array.shape)
        except (TypeError, ValueError):
            raise InputError(f"{what} holds things that are not numbers") from None
    raise InputError(f"{what} is of numpy type {array.dtype}: the model takes numbers")


class Inputs:
    """Reads X for one model. `inputs`: the describe() list; `encoders`: feature -> the categories that raw values have in
    the matrix too (scikit-learn's), where the library's own categories of a matrix are codes."""

    def __init__(self, inputs: list[dict], bundle: bool, encoders: Mapping[int, Mapping[Any, int]] | None = None):
        self.names = [i["name"] for i in inputs]
        self.types = [i["type"] for i in inputs]
        self.bundle = bundle
        self.encoders = dict(encoders or {})
        self.codes: dict[int, Mapping[Any, int]] = {
            k: {category: code for code, category in enumerate(i["categories"])} for k, i in enumerate(inputs) if i.get("categories")}
        self.codes.update(self.encoders)

    def read(self, data: Any) -> Rows2d | Columns | LentBatch | ArrowBatches:
        if type(data) is np.ndarray:
            return self._matrix(data)
        if is_pandas(data):
            return self._frame(list(data.columns), lambda name: data[name], len(data))
        if isinstance(data, Mapping):
            return self._mapping(data)
        if is_arrow(data):
            return self._from_arrow(data)
        if hasattr(data, "tocsr"):
            raise InputError("sparse matrices are not taken: give X.toarray()")
        return self._matrix(data)

    def _matrix(self, data: Any) -> Rows2d | Columns:
        array = np.asarray(data)
        if array.ndim != 2:
            hint = "; for one row give X.reshape(1, -1)" if array.ndim == 1 else ""
            raise InputError(f"X has {array.ndim} dimensions and the model takes rows x columns{hint}")
        if array.shape[1] != len(self.names):
            raise InputError(f"X has {array.shape[1]} columns and the model takes {len(self.names)}: {quoted(self.names)}")
        if not self.encoders:
            return Rows2d(native(array, "X"))
        columns = [encode(array[:, i], self.encoders[i]) if i in self.encoders else native(array[:, i], f"column {i} of X")
                   for i in range(array.shape[1])]
        return Columns(columns, array.shape[0])

    def _mapping(self, data: Mapping) -> Columns | LentBatch:
        columns = {name: values if is_series(values) else np.asarray(values, dtype=None if not mixed(values) else object)
                   for name, values in data.items()}
        lengths = {len(v) for v in columns.values()}
        if len(lengths) > 1:
            raise InputError(f"the columns differ in length: {', '.join(f'{k!r} has {len(v)}' for k, v in list(columns.items())[:10])}")
        return self._frame(list(columns), lambda name: columns[name], lengths.pop() if lengths else 0)

    def _from_arrow(self, data: Any) -> ArrowBatches | Columns | LentBatch:
        if not self.encoders:
            return ArrowBatches(data)
        try:
            import pyarrow
        except ImportError:
            raise InputError("this model's categories need pyarrow to take Arrow data: install pyarrow, or give a pandas frame") from None
        table = pyarrow.table(data)
        return self._frame(table.column_names, lambda name: _decoded(table[name]), table.num_rows)

    def _frame(self, given: list, column: Callable[[Any], Any], rows: int) -> Columns | LentBatch:
        """By name; a name that is not text (0, 1, ...) is its text."""
        places: dict[str, Any] = {}
        for name in given:
            if str(name) in places:
                raise InputError(f"two columns are named '{name}'")
            places[str(name)] = name
        # LightGBM writes blanks in names as underscores.
        for name in given:
            places.setdefault(str(name).replace(" ", "_"), name)
        missing = [name for name in self.names if name not in places]
        if missing:
            given_names = [str(name) for name in given]
            raise InputError(f"{len(missing)} of the model's {len(self.names)} columns are missing: {quoted(missing, len(missing))} "
                             f"(the data has {quoted(given_names)}; without names give X.to_numpy())")
        if self.bundle:
            return LentBatch({name: plain(column(places[name])) for name in self.names}, rows)
        return Columns([self._feature(i, column(places[name])) for i, name in enumerate(self.names)], rows)

    def _feature(self, feature: int, values: Any) -> np.ndarray:
        name = self.names[feature]
        if feature in self.codes:
            return encode(values, self.codes[feature])
        if hasattr(values, "cat"):
            raise InputError(f"column '{name}' is of categories and the model knows no categories for it: give numbers")
        array = as_numbers(values)
        if array.ndim != 1:
            raise InputError(f"column '{name}' has {array.ndim} dimensions instead of one")
        return native(array, f"column '{name}'")


def _decoded(column: Any) -> np.ndarray:
    # Chunk by chunk: of a whole column of dictionaries pyarrow gives nulls as values.
    parts = [chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0)


def quoted(names: list[str], limit: int = 10) -> str:
    return ", ".join(f"'{n}'" for n in names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def is_series(values: Any) -> bool:
    return type(values).__module__.split(".")[0] == "pandas"


def mixed(values: Any) -> bool:
    """A list that numpy would make into texts, or that has None."""
    return isinstance(values, (list, tuple)) and any(v is None or isinstance(v, str) for v in values)


def plain(values: Any) -> Any:
    """A pandas column for Arrow: categories as their values, extension types as objects or numbers."""
    if hasattr(values, "cat"):
        return values.astype(object).to_numpy()
    dtype = getattr(values, "dtype", None)
    if dtype is not None and not isinstance(dtype, np.dtype):
        if getattr(dtype, "tz", None) is not None:
            return values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return values.to_numpy(dtype=object)
    return values.to_numpy() if is_series(values) else values


def as_numbers(values: Any) -> np.ndarray:
    dtype = getattr(values, "dtype", None)
    if is_series(values) and not isinstance(dtype, np.dtype):
        # Int64, Float64, boolean and the like: numbers and pandas.NA.
        if getattr(dtype, "kind", "O") in "iufb":
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return values.to_numpy(dtype=object)
    return values.to_numpy() if is_series(values) else np.asarray(values)


def encode(values: Any, codes: Mapping[Any, int]) -> np.ndarray:
    """Categories by value as their codes; NaN for what is missing or unknown."""
    if hasattr(values, "cat"):
        lookup = np.array([codes.get(c, np.nan) for c in values.cat.categories.tolist()] + [np.nan], np.float64)
        return lookup[values.cat.codes.to_numpy()]  # -1 is missing: the last
    array = values.to_numpy(dtype=object) if is_series(values) and not isinstance(values.dtype, np.dtype) else np.asarray(values)
    if array.dtype.kind in "iufb":
        unique, inverse = np.unique(array, return_inverse=True)
        lookup = np.array([codes.get(v, np.nan) for v in unique.tolist()], np.float64)
        return lookup[inverse.reshape(-1)] if len(lookup) else np.empty(0)
    return np.array([np.nan if is_null(v) else codes.get(v, np.nan) for v in array.tolist()], np.float64)
