"""Generated data and trained models of the benches score, single, compile and shap: fixed seeds, 28 features, kept in
.cache/bench-models. `models.py make LIBRARY DATA SHAPE` trains or compiles one of them, in a process of its own."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path(os.environ.get("SLIPWAY_BENCH_CACHE", ROOT / ".cache" / "bench-models"))
GENERATION = 1  # raise it when data or training change: models of other generations are not taken
FEATURES = 28
LEVELS = [10, 12, 16, 20, 25, 32, 40, 64, 80, 100, 150, 200]  # of data "categorical", its first columns
TRAINING_ROWS = 60_000  # and at most 2000 for each leaf of a tree
YDF_ROWS = 20_000  # it searches exact splits, which takes long
DATA = {"uniform": "uniform numbers, many features matter alike: branches cannot be guessed",
        "skewed": "fares-like, one log-normal feature carries most of the gain",
        "categorical": f"{len(LEVELS)} categoricals of {LEVELS[0]} to {LEVELS[-1]} levels, {FEATURES - len(LEVELS)} numbers",
        "missing": "as uniform, 10 % missing"}
SHAPES = ["100x31", "500x31", "500x63", "300x255", "1000x255", "2000x63x7"]


@dataclass(frozen=True)
class Cell:
    """One data kind with one shape: "500x31" is trees x leaves, "2000x63x7" has 7 classes and about 2000 trees in all."""
    data: str
    shape: str

    @property
    def numbers(self):
        trees, leaves, *classes = map(int, self.shape.split("x"))
        return trees, leaves, classes[0] if classes else 1

    @property
    def iterations(self):
        trees, _, classes = self.numbers
        return round(trees / classes)

    @property
    def trees(self):
        return self.iterations * self.numbers[2]

    @property
    def leaves(self):
        return self.numbers[1]

    @property
    def classes(self):
        return self.numbers[2]

    @property
    def categories(self):
        return list(range(len(LEVELS))) if self.data == "categorical" else []

    @property
    def folder(self):
        return CACHE / f"{GENERATION}-{self.data}-{self.shape}"

    @property
    def model(self):
        return self.folder / "model.txt"


def features(data, rows, seed):
    random = np.random.default_rng([GENERATION, seed])
    x = random.random((rows, FEATURES))
    if data == "skewed":
        x[:, 0] = random.lognormal(0.7, 0.9, rows)  # a distance
        x[:, 1] = random.integers(0, 24, rows)
        x[:, 2] = random.integers(0, 7, rows)
    elif data == "categorical":
        for column, levels in enumerate(LEVELS):
            x[:, column] = random.integers(0, levels, rows)
    elif data == "missing":
        x[random.random(x.shape) < 0.1] = np.nan
    return x


def one_target(data, x, random):
    weight, wave = random.normal(size=FEATURES), 2 * np.pi * random.uniform(1, 4, FEATURES)
    if data == "skewed":
        rush = np.isin(x[:, 1], (7, 8, 16, 17, 18)) * 0.1 + (x[:, 2] > 4) * 0.05
        return (3 + 2.5 * x[:, 0]) * np.exp(rush)
    first = len(LEVELS) if data == "categorical" else 0
    y = np.nansum(weight[first:] * np.sin(wave[first:] * x[:, first:]), axis=1)
    for column in range(first):
        y += random.normal(size=LEVELS[column])[x[:, column].astype(int)]
    return y


def training(cell, rows=TRAINING_ROWS):
    """(x, y)"""
    rows = min(rows, 2000 * cell.leaves)
    x = features(cell.data, rows, 1)
    random = np.random.default_rng([GENERATION, 2])
    noise = np.random.default_rng([GENERATION, 3])
    if cell.classes == 1:
        y, error = one_target(cell.data, x, random), noise.normal(size=rows)
        return x, y * np.exp(0.3 * error) if cell.data == "skewed" else y + error / 2
    y = [one_target(cell.data, x, random) for _ in range(cell.classes)]
    y = np.stack([(t - t.mean()) / t.std() for t in y], axis=1) if cell.data != "skewed" else skewed_classes(cell, y[0])
    return x, np.argmax(y + noise.normal(size=y.shape) / 2, axis=1)


def skewed_classes(cell, y):
    """A column a class, largest in its part of the fares' quantiles."""
    edges = np.quantile(y, (np.arange(cell.classes) + 0.5) / cell.classes)
    return -np.abs(np.log(np.maximum(y, 0.1))[:, None] - np.log(np.maximum(edges, 0.1)))


def test_rows(cell, rows):
    return np.ascontiguousarray(features(cell.data, rows, 4))


# What each library makes from a cell, called in a process of its own.


def make_lightgbm(cell):
    import lightgbm

    x, y = training(cell)
    parameters = {"objective": "regression" if cell.classes == 1 else "multiclass", "num_leaves": cell.leaves, "learning_rate": 0.1,
                  "min_data_in_leaf": 20, "verbosity": -1, "num_threads": 2, "deterministic": True, "force_col_wise": True, "seed": 1}
    if cell.classes > 1:
        parameters.update(num_class=cell.classes, learning_rate=0.05)
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y, categorical_feature=cell.categories), cell.iterations)
    booster.save_model(str(cell.model) + ".part")
    os.replace(str(cell.model) + ".part", cell.model)
    leaves = [line for line in cell.model.read_text().splitlines() if line.startswith("num_leaves=")]
    return {"trees": len(leaves), "mean_leaves": round(float(np.mean([int(line[11:]) for line in leaves])), 2)}


def make_xgboost(cell):
    import xgboost

    x, y = training(cell)
    types = ["c" if i in cell.categories else "q" for i in range(FEATURES)]
    data = xgboost.DMatrix(x, y, feature_types=types, enable_categorical=True, nthread=2)
    parameters = {"objective": "reg:squarederror", "tree_method": "hist", "grow_policy": "lossguide", "max_leaves": cell.leaves,
                  "max_depth": 0, "eta": 0.1, "min_child_weight": 20 if cell.classes == 1 else 1, "nthread": 2, "seed": 1}
    if cell.classes > 1:
        parameters.update(objective="multi:softprob", num_class=cell.classes, eta=0.05)
    booster = xgboost.train(parameters, data, cell.iterations)
    booster.save_model(cell.folder / "xgboost.ubj")
    trees = booster.get_dump()
    return {"trees": len(trees), "mean_leaves": round(float(np.mean([t.count("leaf=") for t in trees])), 2)}


def ydf_columns(cell, x):
    return {f"f{i:02}": x[:, i].astype(np.int64).astype(str) if i in cell.categories else x[:, i].astype(np.float32)
            for i in range(FEATURES)}


def make_ydf(cell):
    import ydf

    x, y = training(cell, YDF_ROWS)
    columns = ydf_columns(cell, x)
    columns["y"] = y.astype(np.float32) if cell.classes == 1 else y.astype(np.int64)
    kinds = [ydf.Column(f"f{i:02}", ydf.Semantic.CATEGORICAL if i in cell.categories else ydf.Semantic.NUMERICAL) for i in range(FEATURES)]
    learner = ydf.GradientBoostedTreesLearner(
        label="y", task=ydf.Task.REGRESSION if cell.classes == 1 else ydf.Task.CLASSIFICATION, features=kinds, num_trees=cell.iterations,
        growing_strategy="BEST_FIRST_GLOBAL", max_num_nodes=cell.leaves,  # counts leaves
        max_depth=-1, shrinkage=0.1, min_examples=5,
        validation_ratio=0.0, early_stopping="NONE", num_threads=2, random_seed=1)
    model = learner.train(columns)
    model.save(str(cell.folder / "ydf"))
    return {"trees": model.num_trees(), "mean_leaves": round(float(np.mean([count_leaves(t.root) for t in list(model.iter_trees())[:20]])), 2)}


def count_leaves(node):
    return 1 if node.is_leaf else count_leaves(node.pos_child) + count_leaves(node.neg_child)


def make_lleaves(cell):
    import lleaves

    lleaves.Model(model_file=str(cell.model)).compile(cache=str(cell.folder / "lleaves.o"), raw_score=True)
    return {}


def make_tl2cgen(cell):
    import tl2cgen
    import treelite

    model = treelite.frontend.load_lightgbm_model(str(cell.model))
    # The name differs by cell: a second load of one path would give the first library.
    tl2cgen.export_lib(model, toolchain="gcc", libpath=str(cell.folder / f"tl2cgen-{cell.data}-{cell.shape}.so"), params={"parallel_comp": 8},
                       nthread=2)
    return {}


def make_onnxruntime(cell):
    import lightgbm
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_file=str(cell.model))
    more = {} if cell.classes == 1 else {"zipmap": False}
    model = onnxmltools.convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, FEATURES]))], **more)
    (cell.folder / "model.onnx").write_bytes(model.SerializeToString())
    return {}


MAKERS = {name[5:]: maker for name, maker in list(globals().items()) if name.startswith("make_")}
# Compiling every tree to code: beyond this many leaves in all it is not tried.
COMPILED_LEAVES = {"lleaves": 500 * 63, "tl2cgen": 500 * 63}
WHY_NOT = {"lleaves": "skipped by rule: it did not finish 300x255 in 7 minutes and took 7.4 GB", "tl2cgen": "skipped by rule beyond 500x63"}


def why_not(cell, library):
    if library in COMPILED_LEAVES and cell.trees * cell.leaves > COMPILED_LEAVES[library]:
        return WHY_NOT[library]
    return None


def prepare(cell, library, limit_s):
    """{seconds, peak_mib, ...} or {failed}: makes what `library` needs unless it is there. What failed is tried again only with
    a longer limit."""
    if reason := why_not(cell, library):
        return {"failed": reason}
    note = cell.folder / f"{library}.json"
    if note.exists():
        known = json.loads(note.read_text())
        if "failed" not in known or limit_s <= known["limit_s"]:
            return known
    if library != "lightgbm":
        prepare(cell, "lightgbm", 3600)
    cell.folder.mkdir(parents=True, exist_ok=True)
    print(f"making {library} for {cell.data} {cell.shape}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([sys.executable, __file__, "make", library, cell.data, cell.shape], stdout=subprocess.PIPE, stderr=errors)
        try:
            out, _ = process.communicate(timeout=limit_s)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            out, code = b"", None
        errors.seek(0)
        tail = errors.read().decode(errors="replace").strip().splitlines()[-3:]
    if code == 0:
        answer = {"seconds": round(time.perf_counter() - start, 1), **json.loads(out.splitlines()[-1])}
    else:
        answer = {"failed": f"stopped after {limit_s} s" if code is None else " ".join(tail)[-300:], "limit_s": limit_s}
        if library == "lightgbm":
            sys.exit(f"LightGBM could not train {cell.data} {cell.shape}: {answer['failed']}")
        print(f"!! {library} is left out for {cell.data} {cell.shape}: {answer['failed']}", file=sys.stderr, flush=True)
    note.write_text(json.dumps(answer) + "\n")
    return answer


def main():
    import resource

    _, library, data, shape = sys.argv[1:]
    answer = MAKERS[library](Cell(data, shape))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({**answer, "peak_mib": round(peak / 1024)}))


if __name__ == "__main__":
    main()
