"""libslipway.so by ctypes: structs and functions of src/slipway/capi/slipway.h. ctypes lets go of the interpreter's lock
for the time of a call."""
from __future__ import annotations

import ctypes
import os
import pathlib
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p

from ._errors import InputError, ModelError, NotFoundError, SlipwayError

ABI_VERSION = 1

SCORES, RAW_SCORES = 0, 1
KINDS = {"regression": 0, "binary": 1, "multiclass": 2, "raw": 3}
IDENTITY, SIGMOID, SOFTMAX, EXP = 0, 1, 2, 4
MISSING_NONE, MISSING_NAN = 0, 2
VALUES_PLAIN = 2
# numpy's name of a type -> slipway_type
TYPES = {"float64": 0, "float32": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "uint8": 6, "uint16": 7, "uint32": 8, "uint64": 9}


class Matrix(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("rows", c_int64), ("columns", c_int64), ("row_stride", c_int64), ("column_stride", c_int64),
                ("type", c_int32)]


class Column(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("stride", c_int64), ("validity", c_void_p), ("validity_offset", c_int64), ("type", c_int32)]


class Forest(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("feature_count", c_int64), ("score_count", c_int64), ("tree_count", c_int64),
                ("feature_names", POINTER(c_char_p)), ("library", c_char_p), ("objective", c_char_p), ("kind", c_int32),
                ("transform", c_int32), ("value_rule", c_int32), ("average", c_int32), ("float32_sums", c_int32), ("sigmoid", c_double),
                ("base", c_void_p), ("node_begin", c_void_p), ("split_feature", c_void_p), ("threshold", c_void_p), ("left", c_void_p),
                ("right", c_void_p), ("default_left", c_void_p), ("missing_type", c_void_p), ("category_set", c_void_p),
                ("node_count", c_void_p), ("leaf_value", c_void_p), ("leaf_count", c_void_p), ("set_count", c_int64),
                ("set_begin", c_void_p), ("set_bits", c_void_p)]


class ArrowSchema(ctypes.Structure):
    pass


class ArrowArray(ctypes.Structure):
    pass


class ArrowStream(ctypes.Structure):
    pass


ReleaseSchema = ctypes.CFUNCTYPE(None, POINTER(ArrowSchema))
ReleaseArray = ctypes.CFUNCTYPE(None, POINTER(ArrowArray))
ArrowSchema._fields_ = [("format", c_char_p), ("name", c_char_p), ("metadata", c_void_p), ("flags", c_int64), ("n_children", c_int64),
                        ("children", POINTER(POINTER(ArrowSchema))), ("dictionary", POINTER(ArrowSchema)), ("release", ReleaseSchema),
                        ("private_data", c_void_p)]
ArrowArray._fields_ = [("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
                       ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(ArrowArray))), ("dictionary", POINTER(ArrowArray)),
                       ("release", ReleaseArray), ("private_data", c_void_p)]
ArrowStream._fields_ = [("get_schema", ctypes.CFUNCTYPE(c_int, POINTER(ArrowStream), POINTER(ArrowSchema))),
                        ("get_next", ctypes.CFUNCTYPE(c_int, POINTER(ArrowStream), POINTER(ArrowArray))),
                        ("get_last_error", ctypes.CFUNCTYPE(c_char_p, POINTER(ArrowStream))),
                        ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowStream))), ("private_data", c_void_p)]


def _load() -> ctypes.CDLL:
    path = os.environ.get("SLIPWAY_LIBRARY") or str(pathlib.Path(__file__).with_name("libslipway.so"))
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"slipway's library could not be loaded: {error}; the wheel is for x86-64 Linux with glibc") from error
    library.slipway_abi_version.restype = c_int
    if (found := library.slipway_abi_version()) != ABI_VERSION:
        raise ImportError(f"{path} has ABI version {found} and this package needs {ABI_VERSION}")
    model = c_void_p
    schema, array = POINTER(ArrowSchema), POINTER(ArrowArray)
    for name, result, arguments in [
        ("version", c_char_p, []),
        ("last_error", c_char_p, []),
        ("status_name", c_char_p, [c_int]),
        ("open", c_int, [c_char_p, POINTER(model)]),
        ("open_bytes", c_int, [c_char_p, c_size_t, POINTER(model)]),
        ("build", c_int, [POINTER(Forest), POINTER(model)]),
        ("close", None, [model]),
        ("describe", c_char_p, [model]),
        ("predict", c_int, [model, POINTER(Matrix), c_int, c_int, c_void_p, c_size_t]),
        ("predict_columns", c_int, [model, POINTER(Column), c_int64, c_int64, c_int, c_int, c_void_p, c_size_t]),
        ("predict_arrow", c_int, [model, schema, array, c_int, c_int, c_void_p, c_size_t]),
        ("explain", c_int, [model, POINTER(Matrix), c_int, c_void_p, c_size_t]),
        ("explain_columns", c_int, [model, POINTER(Column), c_int64, c_int64, c_int, c_void_p, c_size_t]),
        ("explain_arrow", c_int, [model, schema, array, c_int, c_void_p, c_size_t]),
        ("score_arrow", c_int, [model, schema, array, c_int, schema, array]),
        ("output_schema", c_int, [model, schema]),
    ]:
        function = getattr(library, f"slipway_{name}")
        function.restype, function.argtypes = result, arguments
    return library


LIBRARY = _load()
__version__: str = LIBRARY.slipway_version().decode()


def check(status: int) -> None:
    """Raises what a call's status says."""
    if status == 0:
        return
    message = LIBRARY.slipway_last_error().decode(errors="replace")
    code = LIBRARY.slipway_status_name(status).decode()
    kind = {"invalid_argument": InputError, "corruption": ModelError, "not_found": NotFoundError}.get(code, SlipwayError)
    raise kind(message, code)


class Handle:
    """Owns a slipway_model."""

    def __init__(self, pointer: c_void_p):
        self.pointer = pointer

    def __del__(self):
        if self.pointer:
            LIBRARY.slipway_close(self.pointer)
            self.pointer = None


def open_path(path: str) -> Handle:
    model = c_void_p()
    check(LIBRARY.slipway_open(os.fsencode(path), ctypes.byref(model)))
    return Handle(model)


def open_bytes(data: bytes) -> Handle:
    model = c_void_p()
    check(LIBRARY.slipway_open_bytes(data, len(data), ctypes.byref(model)))
    return Handle(model)
