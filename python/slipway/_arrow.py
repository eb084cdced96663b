"""The Arrow C Data Interface without an Arrow library: taking record batches from PyCapsules, and lending numpy
columns as one."""
from __future__ import annotations

import ctypes
import datetime
import math
from ctypes import POINTER, byref, c_char_p, c_void_p, py_object
from typing import Any, Iterator

import numpy as np

from ._errors import InputError
from ._library import ArrowArray, ArrowSchema, ArrowStream, ReleaseArray, ReleaseSchema

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = c_void_p, [py_object, c_char_p]


def is_arrow(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


class ArrowBatches:
    """All batches of an Arrow object; keeps what it has taken until it goes."""

    def __init__(self, data: Any):
        self._capsules: tuple = ()
        self._own_schema: ArrowSchema | None = None
        self._owned: list[ArrowArray] = []
        if hasattr(data, "__arrow_c_stream__"):
            self._take_stream(data.__arrow_c_stream__())
        else:
            self._capsules = data.__arrow_c_array__()
            self.schema = ArrowSchema.from_address(_get_pointer(self._capsules[0], b"arrow_schema"))
            self.arrays = [ArrowArray.from_address(_get_pointer(self._capsules[1], b"arrow_array"))]
        self.rows = sum(max(0, array.length) for array in self.arrays)

    def _take_stream(self, capsule: Any) -> None:
        self._capsules = (capsule,)
        stream = ArrowStream.from_address(_get_pointer(capsule, b"arrow_array_stream"))

        def must(code: int) -> None:
            if code != 0:
                text = stream.get_last_error(byref(stream))
                raise InputError(f"the Arrow stream fails: {text.decode(errors='replace') if text else f'error {code}'}")

        self.schema = self._own_schema = ArrowSchema()
        must(stream.get_schema(byref(stream), byref(self.schema)))
        self.arrays = self._owned
        while True:
            array = ArrowArray()
            must(stream.get_next(byref(stream), byref(array)))
            if not array.release:
                break
            self._owned.append(array)

    def __del__(self):
        for array in self._owned:
            if array.release:
                array.release(byref(array))
        if self._own_schema is not None and self._own_schema.release:
            self._own_schema.release(byref(self._own_schema))

    def __iter__(self) -> Iterator[ArrowArray]:
        return iter(self.arrays)


class LentBatch:
    """Numpy columns as one record batch. Borrows the columns' memory where it can; lends, so that release does nothing."""

    def __init__(self, columns: dict[str, Any], rows: int):
        self.rows = rows
        self._kept: list[Any] = []
        fields, arrays = [], []
        for name, values in columns.items():
            schema, array = self._column(name, values)
            fields.append(schema)
            arrays.append(array)
        self.schema = self._schema(b"+s", b"")
        self.schema.n_children, self.schema.children = len(fields), self._pointers(ArrowSchema, fields)
        self.array = self._array(rows, [None])
        self.array.n_children, self.array.children = len(arrays), self._pointers(ArrowArray, arrays)
        self.arrays = [self.array]

    def __iter__(self) -> Iterator[ArrowArray]:
        return iter(self.arrays)

    def _schema(self, format: bytes, name: bytes) -> ArrowSchema:
        schema = ArrowSchema(format=format, name=name, flags=2, release=_KEEP_SCHEMA)
        self._kept.append(schema)
        return schema

    def _array(self, length: int, buffers: list[Any], null_count: int = 0) -> ArrowArray:
        pointers = (c_void_p * len(buffers))(*[None if b is None else b.ctypes.data for b in buffers])
        array = ArrowArray(length=length, null_count=null_count, n_buffers=len(buffers), release=_KEEP_ARRAY)
        array.buffers = ctypes.cast(pointers, POINTER(c_void_p))
        self._kept += [pointers, buffers, array]
        return array

    def _pointers(self, kind: type, structs: list[Any]) -> Any:
        pointers: Any = (POINTER(kind) * len(structs))(*[ctypes.pointer(s) for s in structs])
        self._kept.append(pointers)
        return ctypes.cast(pointers, POINTER(POINTER(kind)))

    def _column(self, name: str, values: Any) -> tuple[ArrowSchema, ArrowArray]:
        format, buffers, nulls = encode_column(name, values)
        validity = None if nulls is None else _bits(~nulls)
        array = self._array(self.rows, [] if format == b"n" else [validity, *buffers], 0 if nulls is None else int(nulls.sum()))
        return self._schema(format, name.encode()), array


_KEEP_SCHEMA = ReleaseSchema(lambda schema: None)
_KEEP_ARRAY = ReleaseArray(lambda array: None)

_FORMATS = {"float64": b"g", "float32": b"f", "float16": b"e", "int8": b"c", "uint8": b"C", "int16": b"s", "uint16": b"S", "int32": b"i",
            "uint32": b"I", "int64": b"l", "uint64": b"L"}


def _bits(valid: np.ndarray) -> np.ndarray:
    return np.packbits(valid, bitorder="little")


def encode_column(name: str, values: Any) -> tuple[bytes, list[np.ndarray], np.ndarray | None]:
    """Arrow format, buffers after the validity, and where the column is null (None: nowhere)."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise InputError(f"column '{name}' has {values.ndim} dimensions instead of one")
    if values.dtype.kind == "O":
        values, nulls = _objects(name, values)
        if nulls is not None and nulls.all():
            return b"n", [], nulls
    else:
        nulls = None
    kind = values.dtype.kind
    if kind == "U":
        return _text(values.tolist(), nulls)
    if kind == "b":
        return b"b", [_bits(values)], nulls
    if kind == "M":
        return _times(name, values)
    if values.dtype.name in _FORMATS:
        return _FORMATS[values.dtype.name], [np.ascontiguousarray(values, values.dtype.newbyteorder("="))], nulls
    raise InputError(f"column '{name}' is of numpy type {values.dtype}", "invalid_argument")


def _text(texts: list[str], nulls: np.ndarray | None) -> tuple[bytes, list[np.ndarray], np.ndarray | None]:
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return b"U", [offsets, np.frombuffer(b"".join(encoded) or b"\0", np.uint8)], nulls


def _times(name: str, values: np.ndarray) -> tuple[bytes, list[np.ndarray], np.ndarray | None]:
    unit = np.datetime_data(values.dtype)
    units = {("s", 1): b"tss:", ("ms", 1): b"tsm:", ("us", 1): b"tsu:", ("ns", 1): b"tsn:"}
    if unit not in units:
        if unit[0] in ("Y", "M", "W", "D", "h", "m"):
            values, unit = values.astype("datetime64[s]"), ("s", 1)
        else:
            raise InputError(f"column '{name}' is of numpy type {values.dtype}")
    nulls = np.isnat(values)
    return units[unit], [np.ascontiguousarray(values).view(np.int64)], nulls if nulls.any() else None


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in ("NAType", "NaTType")


def _objects(name: str, values: np.ndarray) -> tuple[Any, np.ndarray | None]:
    """An object column as one of a type, by what it holds."""
    items = values.tolist()
    nulls = np.fromiter((is_null(v) for v in items), bool, len(items))
    present = [v for v in items if not is_null(v)]
    missing = nulls if nulls.any() else None
    if not present:
        return values, np.ones(len(items), bool)

    def filled(value: Any) -> list[Any]:
        return [value if null else v for v, null in zip(items, nulls)]

    if all(isinstance(v, str) for v in present):
        # As objects: numpy's own texts lose zeros at the end.
        return _Texts(filled("")), missing
    if all(isinstance(v, (bool, np.bool_)) for v in present):
        return np.array(filled(False), bool), missing
    if all(isinstance(v, (int, np.integer)) for v in present):
        try:
            return np.array(filled(0), np.int64), missing
        except OverflowError:
            return np.array(filled(0), np.float64), missing
    if all(isinstance(v, (int, float, np.number)) for v in present):
        return np.array(filled(np.nan), np.float64), None
    if all(isinstance(v, datetime.datetime) for v in present):
        def utc(v: datetime.datetime) -> datetime.datetime:
            return v.astimezone(datetime.timezone.utc).replace(tzinfo=None) if v.tzinfo else v

        return np.array([np.datetime64("NaT") if null else utc(v) for v, null in zip(items, nulls)], "datetime64[us]"), None
    if all(isinstance(v, datetime.date) for v in present):
        return np.array([np.datetime64("NaT") if null else v for v, null in zip(items, nulls)], "datetime64[D]"), None
    types = sorted({type(v).__name__ for v in present})
    raise InputError(f"column '{name}' holds objects of type {', '.join(types)}: expected numbers, texts, booleans, dates or times of one kind")


class _Texts(list):
    """A list of texts that looks like a numpy array of them."""

    class dtype:
        kind = "U"
        name = "str"

    def tolist(self) -> list[str]:
        return list(self)

