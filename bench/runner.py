"""build/bench/libslipway_bench.so by ctypes: Slipway's engines and LightGBM's C API in this process (bench/runner.cc)."""
import ctypes
import functools
import os
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIBRARY = pathlib.Path(os.environ.get("SLIPWAY_BENCH_LIBRARY", ROOT / "build" / "bench" / "libslipway_bench.so"))


@functools.cache
def library():
    if not LIBRARY.exists():
        sys.exit(f"{LIBRARY} is not built: cmake --build build --target slipway_bench (`./run bench` does it)")
    lib = ctypes.CDLL(str(LIBRARY))
    pointer, text, number, whole = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int
    signatures = {"open": (pointer, [text, text, text, text, number]), "close": (None, [pointer]),
                  "name": (None, [pointer, text, text, number]), "features": (whole, [pointer]), "outputs": (whole, [pointer]),
                  "memory": (number, [pointer]), "open_seconds": (None, [pointer, pointer]), "allocated": (number, []), "clock": (ctypes.c_double, []),
                  "predict": (None, [pointer, pointer, number, whole, pointer]),
                  "explain": (whole, [pointer, pointer, number, whole, pointer, text, number]),
                  "rows": (whole, [pointer, pointer, number, whole, pointer, pointer]),
                  "batches": (ctypes.c_double, [pointer, pointer, number, number, pointer])}
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, f"runner_{name}")
        function.restype, function.argtypes = result, arguments
    return lib


def lightgbm_library():
    import lightgbm

    return pathlib.Path(lightgbm.__file__).parent / "lib" / "lib_lightgbm.so"


def allocated():
    return library().runner_allocated()


def clock_ns():
    """What timing one call adds to it."""
    return library().runner_clock()


class Model:
    """A model file opened by Slipway (`engine`: "" for its own choice) or, with `lightgbm`, by LightGBM's C API."""

    def __init__(self, path, engine="", isa=None, lightgbm=False):
        lib, error = library(), ctypes.create_string_buffer(1000)
        kept = os.environ.get("SLIPWAY_ISA")
        if isa:
            os.environ["SLIPWAY_ISA"] = isa  # read when an engine is compiled
        try:
            peer = str(lightgbm_library()) if lightgbm else ""
            self.handle = lib.runner_open(peer.encode(), engine.encode(), str(path).encode(), error, len(error))
        finally:
            if isa:
                os.environ.pop("SLIPWAY_ISA") if kept is None else os.environ.update(SLIPWAY_ISA=kept)
        if not self.handle:
            raise RuntimeError(error.value.decode())
        name, reason = ctypes.create_string_buffer(200), ctypes.create_string_buffer(1000)
        lib.runner_name(self.handle, name, reason, 200)
        self.name, self.reason = name.value.decode(), reason.value.decode()
        self.features, self.outputs = lib.runner_features(self.handle), lib.runner_outputs(self.handle)
        self.memory, parts = lib.runner_memory(self.handle), np.empty(3)
        lib.runner_open_seconds(self.handle, parts.ctypes.data)
        self.read_s, self.parse_s, self.compile_s = parts.tolist()

    def close(self):
        if self.handle:
            library().runner_close(self.handle)
            self.handle = None

    def __del__(self):
        self.close()

    def rows_of(self, x):
        assert x.dtype == np.float64 and x.flags.c_contiguous and x.shape[1] == self.features, "float64, C order, every feature"
        return x.ctypes.data, len(x)

    def predict(self, x, threads=1):
        out = np.empty((len(x), self.outputs))
        library().runner_predict(self.handle, *self.rows_of(x), threads, out.ctypes.data)
        return out

    def explain(self, x, threads=1):
        out, error = np.empty((len(x), self.outputs * (self.features + 1))), ctypes.create_string_buffer(1000)
        if library().runner_explain(self.handle, *self.rows_of(x), threads, out.ctypes.data, error, len(error)) != 0:
            raise RuntimeError(error.value.decode())
        return out

    def single_rows(self, x, threads=1):
        """(answers, nanoseconds of each call)"""
        out, nanoseconds = np.empty((len(x), self.outputs)), np.empty(len(x), np.float32)
        if library().runner_rows(self.handle, *self.rows_of(x), threads, out.ctypes.data, nanoseconds.ctypes.data) != 0:
            raise RuntimeError(f"{self.name} refuses single rows")
        return out, nanoseconds

    def batches(self, x, batch):
        """Processor seconds of all rows in calls of `batch` rows."""
        out = np.empty((len(x), self.outputs))
        return library().runner_batches(self.handle, *self.rows_of(x), batch, out.ctypes.data)
