"""Contestants of batch scoring. Each answers `chunk(first, last)`, preparing those rows in the form that the library likes
best (not timed, which favours the peers; Slipway takes float64 rows as they are), and `run(chunk)`, which is timed."""
import functools
import os
import sys

import numpy as np

import models
from runner import Model


class Contestant:
    exact = False  # answers must equal LightGBM's, bit for bit
    own = False  # scores a model of its own of the same shape
    step = 1  # rows of a slice are a multiple of this
    start = 64  # the first guess at how many a slice takes

    def __init__(self, cell, x, threads):
        self.cell, self.x, self.threads = cell, x, threads
        self.load()

    def chunk(self, first, last):
        return self.x[first:last]

    def raw(self, rows):
        """Raw scores of the first rows, (rows, classes); None: the library gives no raw scores, or has its own model."""
        return np.asarray(self.run(self.chunk(0, rows)), dtype=np.float64).reshape(rows, -1)


class Slipway(Contestant):
    exact = True
    engine, isa = "", None

    def load(self):
        self.model = Model(self.cell.model, self.engine, self.isa)
        self.label, self.memory = f"slipway {self.model.name}", self.model.memory
        self.reason = self.model.reason
        if self.threads > 1:
            self.step = 8192 * self.threads  # a thread takes 8192 rows at a time

    def run(self, chunk):
        return self.model.predict(chunk, self.threads)


class Reference(Slipway):
    engine = "reference"


class SlipwayPython(Contestant):
    """The Python package as a user has it."""
    exact = True

    def load(self):
        import slipway

        self.model = slipway.Model.load(str(self.cell.model))
        self.label = "slipway (Python package)"

    def run(self, chunk):
        return self.model.predict_raw(chunk, threads=self.threads)


class LightGbm(Contestant):
    exact = True
    label = "lightgbm"

    def load(self):
        import lightgbm

        self.model = lightgbm.Booster(model_file=str(self.cell.model))

    def run(self, chunk):
        return self.model.predict(chunk, raw_score=True, num_threads=self.threads)


class Lleaves(Contestant):
    label = "lleaves"

    def load(self):
        import lleaves

        self.model = lleaves.Model(model_file=str(self.cell.model))
        self.model.compile(cache=str(self.cell.folder / "lleaves.o"), raw_score=True)

    def run(self, chunk):
        return self.model.predict(chunk, n_jobs=self.threads)


class Tl2cgen(Contestant):
    label = "tl2cgen"

    def load(self):
        import tl2cgen

        self.matrix = tl2cgen.DMatrix
        self.model = tl2cgen.Predictor(str(self.cell.folder / f"tl2cgen-{self.cell.data}-{self.cell.shape}.so"), nthread=self.threads)

    def chunk(self, first, last):
        return self.matrix(self.x[first:last], dtype="float64")

    def run(self, chunk):
        return self.model.predict(chunk, pred_margin=True)


class OnnxRuntime(Contestant):
    label = "onnxruntime (float32)"

    def load(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or it would slow whoever comes after it
        self.model = onnxruntime.InferenceSession(str(self.cell.folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.output = self.model.get_outputs()[-1].name

    def chunk(self, first, last):
        return {"x": self.x[first:last].astype(np.float32)}

    def run(self, chunk):
        return self.model.run([self.output], chunk)[0]

    def raw(self, rows):
        return super().raw(rows) if self.cell.classes == 1 else None  # else probabilities


class XGBoost(Contestant):
    own = True
    label = "xgboost (own model)"

    def load(self):
        import xgboost

        self.model = xgboost.Booster(model_file=str(self.cell.folder / "xgboost.ubj"))
        self.model.set_param({"nthread": self.threads})

    def chunk(self, first, last):
        return self.x[first:last].astype(np.float32)

    def run(self, chunk):
        return self.model.inplace_predict(chunk, predict_type="margin")  # a DMatrix would be answered from its cache

    def raw(self, rows):
        return None


class Ydf(Contestant):
    own = True
    label = "ydf (own model)"

    def load(self):
        import ydf

        ydf.verbose(0)
        self.model = ydf.load_model(str(self.cell.folder / "ydf"))
        self.dataset = functools.partial(ydf.create_vertical_dataset, data_spec=self.model.data_spec(),
                                         required_columns=self.model.input_feature_names())

    def chunk(self, first, last):
        return self.dataset(models.ydf_columns(self.cell, self.x[first:last]))

    def run(self, chunk):
        return self.model.predict(chunk, num_threads=self.threads)

    def raw(self, rows):
        return None


PEERS = {"reference": Reference, "lightgbm": LightGbm, "lleaves": Lleaves, "tl2cgen": Tl2cgen, "onnxruntime": OnnxRuntime,
         "xgboost": XGBoost, "ydf": Ydf}


def slipways(isas):
    """{name: class}: Slipway's own choice of engine, or one contestant an instruction set; and the package, if it is there."""
    out = {}
    for isa in isas or [None]:
        out[f"slipway {isa}" if isa else "slipway"] = type("Slipway", (Slipway,), {"isa": isa})
    if package_is_there():
        out["slipway package"] = SlipwayPython
    return out


def package_is_there():
    """The checkout's own package with the library built beside it, unless one is installed."""
    built = models.ROOT / "build" / "lib" / "libslipway.so"
    if (models.ROOT / "python" / "slipway").is_dir() and built.exists():
        os.environ.setdefault("SLIPWAY_LIBRARY", str(built))
        sys.path.append(str(models.ROOT / "python"))
    try:
        import slipway

        return hasattr(slipway, "Model")
    except ImportError as error:
        print(f"!! the Python package is left out: {error}", file=sys.stderr, flush=True)
        return False


def quiet_libraries():
    """Before any of them is loaded: threads that wait must not spin, or they slow whoever comes next."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
