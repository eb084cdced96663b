"""The wheel in fresh environments, its tests and its documentation; what libslipway.so shows and needs."""
import os
import pathlib
import re
import subprocess
import sys
import sysconfig

import lightgbm
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

LIBRARY = ROOT / "build" / "lib" / "libslipway.so"


def run(*command, **arguments):
    process = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **arguments)
    assert process.returncode == 0, f"{' '.join(map(str, command))}\n{process.stdout}{process.stderr}"
    return process.stdout


def blocks(page, language, marker):
    return re.findall(rf"<!-- test: {marker} -->\n```{language}\n(.*?)```\n", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def wheel():
    assert LIBRARY.exists(), f"{LIBRARY} is not built: ./run build"
    run("bash", "-euo", "pipefail", "-c", "ROOT=$PWD; . tools/setup.sh; . tools/verbs.sh; build_wheel", cwd=ROOT,
        env={**os.environ, "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(ROOT / ".cache" / "uv")), "UV_LINK_MODE": "copy"})
    (found,) = (ROOT / "build" / "dist").glob("slipway-*.whl")
    return found


@pytest.fixture(scope="module")
def environments(wheel, tmp_path_factory):
    """Two new virtual environments: one with numpy alone, one that also sees the tests' libraries."""
    uv = pathlib.Path(sys.executable).with_name("uv")
    environment = {**os.environ, "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(ROOT / ".cache" / "uv")), "UV_LINK_MODE": "copy"}
    found = {}
    for name, packages in (("plain", [f"numpy=={np.__version__}"]), ("whole", [])):
        folder = tmp_path_factory.mktemp(name) / "venv"
        python = folder / "bin" / "python"
        run(uv, "venv", "-q", "--python", sys.executable, folder, env=environment)
        run(uv, "pip", "install", "-q", "--python", python, *([] if packages else ["--no-deps"]), wheel, *packages, env=environment)
        found[name] = python
    site = run(found["whole"], "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (pathlib.Path(site) / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SLIPWAY_", "LD_"))} | {"OMP_NUM_THREADS": "1"}


def test_the_wheel_is_for_any_python_3(wheel):
    assert re.fullmatch(r"slipway-\d+\.\d+\.\d+-py3-none-manylinux_2_\d+_x86_64\.whl", wheel.name)
    assert wheel.stat().st_size < 20 << 20


def test_it_works_with_numpy_alone(environments, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, x[:, 0] * x[:, 1], feature_name=["a", "b", "c"]), 10)
    booster.save_model(tmp_path / "model.txt")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "answer.npy", booster.predict(x))
    out = run(environments["plain"], "-I", "-c", """
import pathlib, sys
import numpy as np, slipway
x, answer = np.load("x.npy"), np.load("answer.npy")
model = slipway.Model.load("model.txt")
assert (model.predict(x) == answer).all()
assert (model.predict(dict(zip("abc", x.T))) == answer).all()
assert model.explain(x).shape == (500, 4)
assert not {"pandas", "pyarrow", "polars", "sklearn"} & set(sys.modules)
assert (pathlib.Path(slipway.__file__).parent / "py.typed").exists()
print("\\n".join(sorted({line.split()[-1] for line in open("/proc/self/maps") if ".so" in line})))
""", cwd=tmp_path, env=clean())
    loaded = out.split()
    for name in ("libslipway.so", "libsodium", "libfmt", "libxxhash"):
        assert any("/venv/" in path and name in path for path in loaded), (name, loaded)
    assert not any(str(ROOT / "build") in path for path in loaded)


def test_its_own_tests_pass(environments):
    out = run(environments["whole"], "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "python" / "tests", env=clean() | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert re.search(r"\d+ passed", out) and "skipped" not in out


def test_the_examples_of_the_page_run(environments, tmp_path):
    found = blocks("python.md", "python", "python")
    assert len(found) == len(re.findall(r"```python", (ROOT / "docs" / "python.md").read_text())) >= 6
    (tmp_path / "page.py").write_text("".join(found))
    run(environments["whole"], "page.py", cwd=tmp_path, env=clean())


def test_the_c_example_of_the_page_runs(tmp_path):
    (source,) = blocks("c-api.md", "c", "c")
    (tmp_path / "example.c").write_text(source)
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 20, size=(300, 2))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, x.sum(axis=1), feature_name=["items", "weight_kg"]), 5)
    booster.save_model(tmp_path / "model.txt")
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", ROOT / "src", "example.c", "-L", LIBRARY.parent, "-lslipway",
        f"-Wl,-rpath,{LIBRARY.parent}", "-o", "example", cwd=tmp_path)
    printed = [float(word) for word in run(tmp_path / "example", cwd=tmp_path).split()]
    assert printed == booster.predict(np.array([[3, 12.5], [1, 0.2]])).tolist()


def test_the_header_is_c89_and_cxx(tmp_path):
    (tmp_path / "a.c").write_text('#include "slipway/capi/slipway.h"\nint main(void) { return slipway_abi_version() != SLIPWAY_ABI_VERSION; }\n')
    for compiler in (["gcc", "-std=c89"], ["gcc", "-std=c11"], ["g++", "-x", "c++", "-std=c++11"]):
        run(*compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I", ROOT / "src", tmp_path / "a.c")


def test_only_the_abi_is_visible_and_little_is_needed():
    symbols = [line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", LIBRARY).splitlines()]
    header = (ROOT / "src" / "slipway" / "capi" / "slipway.h").read_text()
    assert sorted(s for s in symbols if s != "SLIPWAY_1") == sorted(set(re.findall(r"SLIPWAY_API [^;]*?\b(slipway_\w+)\(", header)))
    needed = re.findall(r"NEEDED.*\[(.*?)\.so", run("readelf", "-d", LIBRARY))
    assert set(needed) <= {"libsodium", "libxxhash", "libz", "libfmt", "libstdc++", "libm", "libgcc_s", "libc", "ld-linux-x86-64"}


SCORE = """
import sys
import pandas, pyarrow.parquet, slipway
model = slipway.Model.load("model.bundle")
table = pyarrow.parquet.read_table("new.parquet")
frame = table.to_pandas()
columns = {name: frame[name].to_list() for name in frame}
for rows, name in ((table, "arrow"), (frame, "pandas"), (columns, "dict")):
    result = pandas.DataFrame({"raw": model.predict_raw(rows), "prediction": model.predict(rows)})
    shares = model.explain(rows)
    assert abs(shares.sum(axis=1) - result["raw"]).max() < 1e-9, name
    result.to_parquet(name + ".parquet")
"""
NUMBERS = """
import numpy, pandas, slipway
model = slipway.Model.load("numbers.bundle")
frame = pandas.read_parquet("numbers.parquet")
answer = model.predict(frame)
for rows in (frame.to_numpy(), numpy.asfortranarray(frame.to_numpy()), dict(frame)):
    assert (model.predict(rows) == answer).all()
assert len(set(answer)) > 5
try:
    model.predict(numpy.array([[1.0, 2.5]]))
    raise SystemExit("2.5 is no whole number")
except slipway.InputError as error:
    assert "column 'count': row 0: 2.5 is not of type int64" in str(error), error
"""


def test_a_bundle_scores_as_the_command_line_does(slipway, environments):
    rng = np.random.default_rng(4)
    rows = 600
    frame = pd.DataFrame({"size": rng.normal(size=rows), "count": rng.integers(0, 9, rows), "place": rng.choice(["Oslo", "Rome", "Île"], rows),
                          "open": rng.random(rows) > 0.4, "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
                          "at": pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s")})
    frame["day"] = frame["day"].dt.date
    frame.loc[::9, "place"] = None
    frame.loc[::7, "size"] = np.nan
    frame["price"] = 3 * frame["size"].fillna(1) + frame["count"] * (frame["place"] == "Oslo") + frame["open"]
    frame.to_parquet(slipway.folder / "old.parquet")
    new = frame.drop(columns="price").iloc[::-1].reset_index(drop=True)
    new.to_parquet(slipway.folder / "new.parquet")
    slipway("dataset", "add", "p/old", "old.parquet")
    slipway("recipe", "add", "train", "p", "--input", "old", "--target", "price", "--output", "m")
    slipway("build", "p/m")
    slipway("model", "export", "p/m", "--output", "model.bundle")
    slipway("score", "--model", "model.bundle", "--input", "new.parquet", "--output", "scored.parquet")
    scored = pd.read_parquet(slipway.folder / "scored.parquet")["prediction"].to_numpy()
    run(environments["whole"], "-c", SCORE, cwd=slipway.folder, env=clean())
    for name in ("arrow", "pandas", "dict"):
        mine = pd.read_parquet(slipway.folder / f"{name}.parquet")
        assert (mine["prediction"].to_numpy() == scored).all(), name
    # Inputs that are all numbers come as a matrix too, in the order of `inputs`.
    frame[["size", "count", "price"]].to_parquet(slipway.folder / "old2.parquet")
    frame[["size", "count"]].to_parquet(slipway.folder / "numbers.parquet")
    slipway("dataset", "add", "p/old2", "old2.parquet")
    slipway("recipe", "add", "train", "p", "--input", "old2", "--target", "price", "--output", "m2")
    slipway("build", "p/m2")
    slipway("model", "export", "p/m2", "--output", "numbers.bundle")
    run(environments["whole"], "-c", NUMBERS, cwd=slipway.folder, env=clean())


TEXTS = """
import numpy, pandas, polars, pyarrow, slipway
texts = ["", "a", None, "b", " "] * 2
plain = pyarrow.array(texts)
forms = [{"s": texts}, {"s": numpy.array(texts, object)}, pandas.DataFrame({"s": texts}), pandas.DataFrame({"s": pandas.Series(texts, dtype="string")}),
         pandas.DataFrame({"s": pandas.Categorical(texts)}), polars.DataFrame({"s": texts}), polars.DataFrame({"s": polars.Series(texts, dtype=polars.Categorical)})]
forms += [pyarrow.table({"s": a}) for a in (plain, plain.cast(pyarrow.large_string()), pyarrow.array(texts, pyarrow.string_view()), plain.dictionary_encode())]
for name in ("named", "kept"):
    model = slipway.Model.load(name + ".bundle")
    scored = pandas.read_parquet(name + ".parquet")["prediction"].to_numpy()
    assert scored[4] != scored[0]  # an unknown text is no missing one
    for i, rows in enumerate(forms):
        answer = model.predict(rows)
        assert numpy.array_equal(answer, scored, equal_nan=True), (name, i, answer, scored)
"""


def test_an_empty_text_is_missing_in_every_form(slipway, environments):
    slipway.write("old.csv", "s,y\n" + "a,1\n,9\nb,5\n" * 40)
    slipway.write("new.csv", "s\n" + '""\na\n""\nb\n" "\n' * 2)
    slipway.write("p.yaml", """
project: p
datasets: {old: {type: files, path: old.csv}}
models: {named: {}, kept: {}}
recipes:
  r1: {type: train, input: old, output: named, target: y, prediction: regression, validation: none, prepare: [{column: c, expr: "coalesce(s, 'none') = 'none'"}],
       features: {s: ignore}, algorithm: {lightgbm: {num_iterations: 5, min_data_in_leaf: 2}}}
  r2: {type: train, input: old, output: kept, target: y, prediction: regression, validation: none, prepare: [{filter: s is not null}],
       algorithm: {lightgbm: {num_iterations: 5, min_data_in_leaf: 2}}}
""")
    slipway("apply", "-f", "p.yaml")
    for name in ("named", "kept"):
        slipway("build", f"p/{name}")
        slipway("model", "export", f"p/{name}", "--output", f"{name}.bundle")
        slipway("score", "--model", f"{name}.bundle", "--input", "new.csv", "--output", f"{name}.parquet")
    run(environments["whole"], "-c", TEXTS, cwd=slipway.folder, env=clean())
