"""Model: what it takes, what it says, what it refuses."""
import pathlib
import pickle
import threading
import time

import lightgbm
import numpy as np
import pandas
import polars
import pyarrow
import pytest
from conftest import assert_same_bits

import slipway

QUIET = {"verbosity": -1, "num_threads": 1}
GOLDEN = pathlib.Path(__file__).parents[2] / "tests" / "golden" / "bundle-format-1.bundle"


@pytest.fixture(scope="module")
def booster(data):
    x, y = data
    return lightgbm.train(QUIET, lightgbm.Dataset(x, y, feature_name=list("abcdef")), 20)


@pytest.fixture(scope="module")
def model(booster):
    return slipway.from_lightgbm(booster)


class ArrayOnly:
    """An Arrow object of another library, one batch."""

    def __init__(self, batch):
        self.batch = batch

    def __arrow_c_array__(self, requested_schema=None):
        return self.batch.__arrow_c_array__(requested_schema)


def test_every_form_of_the_same_rows_gives_the_same_bits(model, booster, data):
    x, _ = data
    answer = booster.predict(x)
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    table = pyarrow.Table.from_pandas(frame)
    wide = np.zeros((len(x), 12))
    wide[:, ::2] = x
    big = x.astype(">f8")
    for rows in (x, np.asfortranarray(x), wide[:, ::2], x[::-1][::-1], big, x.tolist(), x.astype(object), frame, frame[list("fedcba")].assign(z="?"),
                 dict(zip("abcdef", x.T)), table, table.to_batches()[0], ArrayOnly(table.to_batches()[0]), pyarrow.Table.from_batches(table.to_batches(max_chunksize=77)),
                 polars.from_pandas(frame), frame.convert_dtypes()):
        assert_same_bits(model.predict(rows), answer)
        assert_same_bits(model.predict(rows, threads=1), answer)
    back = x[::-1]
    assert_same_bits(model.predict(back), answer[::-1])
    assert_same_bits(model.predict(table.slice(100, 50)), answer[100:150])
    assert_same_bits(model.predict(table.slice(3).to_batches()[0]), answer[3:])
    assert_same_bits(model.explain(table), model.explain(x))
    assert_same_bits(model.score(frame)["prediction"].to_numpy(), answer)
    assert_same_bits(model.score(table)["prediction"].to_numpy(), answer)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16"])
def test_types_of_numbers(dtype, data):
    x, y = data
    whole = np.abs(np.round(x * 3)).clip(0, 1 if dtype == "bool" else 100)
    booster = lightgbm.train(QUIET, lightgbm.Dataset(whole, y, feature_name=list("abcdef")), 10)
    model = slipway.from_lightgbm(booster)
    typed, answer = whole.astype(dtype), booster.predict(whole)
    assert_same_bits(model.predict(typed), answer)
    assert_same_bits(model.predict(np.asfortranarray(typed)), answer)
    frame = pandas.DataFrame(typed, columns=list("abcdef"))
    assert_same_bits(model.predict(frame), answer)
    assert_same_bits(model.predict(pyarrow.Table.from_pandas(frame)), answer)
    assert_same_bits(model.predict(pyarrow.Table.from_pandas(frame).slice(5)), answer[5:])
    coded = pyarrow.table({name: pyarrow.array(frame[name].to_numpy()).dictionary_encode() for name in frame}) if dtype != "float16" else None
    if coded is not None:
        assert_same_bits(model.predict(coded), answer)


def test_missing_values_in_every_form(model, booster, data):
    x = data[0].copy()
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    answer = booster.predict(x)
    table = pyarrow.Table.from_pandas(frame)  # nulls
    assert table["a"].null_count > 0
    for rows in (frame, table, table.slice(0), frame.convert_dtypes(), frame.astype(object).where(frame.notna(), None), polars.from_arrow(table)):
        assert_same_bits(model.predict(rows), answer)
    assert_same_bits(model.predict(table.slice(13)), answer[13:])
    null = table.set_column(0, "a", pyarrow.nulls(len(x)))
    x[:, 0] = np.nan
    assert_same_bits(model.predict(null), booster.predict(x))


def test_no_rows(model):
    empty = np.empty((0, 6))
    frame = pandas.DataFrame(empty, columns=list("abcdef"))
    for rows in (empty, frame, pyarrow.Table.from_pandas(frame), pyarrow.Table.from_pandas(frame).schema.empty_table(), polars.from_pandas(frame)):
        assert model.predict(rows).shape == (0,)
        assert model.explain(rows).shape == (0, 7)
        assert model.score(rows).num_rows == 0


def test_what_is_wrong_is_said(model):
    x = np.zeros((2, 6))
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    for rows, message in ((x[:, :5], "5 columns and the model takes 6"), (x[0], r"reshape\(1, -1\)"), (5, "0 dimensions"),
                          (frame.drop(columns=["b", "e"]), "2 of the model's 6 columns are missing: 'b', 'e'"), (frame.assign(c="x"), "column 'c'"),
                          (frame.assign(c=pandas.Categorical(["x", "y"])), "column 'c' is of categories"), (np.array([["a"] * 6]), "numpy type"),
                          (x.astype(complex), "complex128"), (frame.assign(c=pandas.Timestamp("2020-01-01")), "column 'c'"),
                          (pyarrow.Table.from_pandas(frame.drop(columns=["a", "f"])), "'a' and 'f'|'a', 'f'"),
                          (pyarrow.Table.from_pandas(frame.assign(d="x")), "column 'd': it is of type text"),
                          (pyarrow.table({n: pyarrow.array([[1]]) for n in "abcdef"}), r"column 'a': Arrow type '\+l'"),
                          ({n: [1.0] * (2 + (n == "c")) for n in "abcdef"}, "'c' has 3"),
                          (pandas.concat([frame, frame], axis=1), "named 'a'")):
        with pytest.raises(slipway.InputError, match=message):
            model.predict(rows)
    with pytest.raises(slipway.InputError, match="predicts regression"):
        model.predict_proba(x)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        slipway.Model.load("/nowhere/model.txt")
    with pytest.raises(slipway.SlipwayError, match="not a model"):
        slipway.Model.from_bytes(b"nonsense")
    with pytest.raises(slipway.ModelError):
        slipway.Model.from_bytes(b"tree\nversion=v4\n")
    with pytest.raises(TypeError, match="Model.load"):
        slipway.Model()


def test_it_says_what_it_is(model):
    assert model.kind == "regression" and model.classes is None
    assert model.features == list("abcdef") and list(model.inputs) == list("abcdef")
    assert model.info["trees"] == 20 and model.info["algorithm"] == "lightgbm"
    assert model.engine and model.engine_reason
    assert "regression, 6 features" in repr(model)
    assert slipway.__version__.count(".") == 2


def test_pickles_by_path_or_by_bytes(model, booster, data, tmp_path):
    x, _ = data
    path = tmp_path / "model.txt"
    booster.save_model(path)
    loaded = slipway.Model.load(path)
    pickled = pickle.dumps(loaded)
    assert len(pickled) < 1000
    assert_same_bits(pickle.loads(pickled).predict(x), booster.predict(x))
    assert_same_bits(pickle.loads(pickle.dumps(model)).predict(x), booster.predict(x))
    path.unlink()
    assert_same_bits(loaded.predict(x), booster.predict(x))
    np.testing.assert_allclose(loaded.explain(x[:5]).sum(1), booster.predict(x[:5]))
    with pytest.raises(slipway.NotFoundError):
        pickle.loads(pickled)


def test_many_threads_share_one_model(booster, data):
    x, _ = data
    model, answer = slipway.from_lightgbm(booster), booster.predict(x)
    shares, wrong = slipway.from_lightgbm(booster).explain(x[:100]), []

    def work(number):
        for turn in range(8):
            if not (model.predict(x, threads=1 + turn % 3) == answer).all() or not (model.explain(x[:100]) == shares).all():
                wrong.append(number)
            try:
                model.predict(x[:, :number])
                wrong.append(number)
            except slipway.InputError as error:
                if f"{number} columns" not in str(error):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_lets_others_run(booster, data):
    """While one thread is in the library, another counts in Python."""
    model = slipway.from_lightgbm(booster)
    x = np.tile(data[0], (300, 1))
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    while counted[0] == 0:
        time.sleep(0)
    at_most = 0
    for _ in range(5):
        before = counted[0]
        model.predict(x, threads=1)
        at_most = max(at_most, counted[0] - before)
    done.set()
    thread.join()
    assert at_most > 1000  # with the lock held it could count to about 0


def test_a_bundle_takes_named_columns_of_its_types():
    model = slipway.Model.load(GOLDEN)
    assert model.kind == "binary" and model.inputs == {"size": "double", "kind": "string"} and model.classes.tolist() == [False, True]
    size, kind = [1.0, 2.5, 3.0, None, -0.0, -200.0], ["green", "red", "blue", None, "unheard of", "red"]
    scores = [0.5621765008857981, 0.18242552380635635, 0.574442516811659, 0.18242552380635635, 0.18242552380635635, np.nan]
    labels = [True, False, True, False, False, None]  # the last row is dropped by a filter
    frame = pandas.DataFrame({"kind": kind, "size": size})
    table = pyarrow.table({"size": size, "kind": kind})
    for rows in ({"size": size, "kind": kind}, frame, frame.assign(kind=pandas.Categorical(kind)), frame.convert_dtypes(), table,
                 table.set_column(1, "kind", table["kind"].dictionary_encode()), table.set_column(1, "kind", table["kind"].cast(pyarrow.large_string())),
                 table.set_column(1, "kind", pyarrow.array(kind, pyarrow.string_view())), polars.from_arrow(table)):
        np.testing.assert_allclose(model.predict_proba(rows)[:, 1], scores, rtol=1e-15)
        assert model.predict(rows).tolist() == labels
        assert model.score(rows)["prediction"].to_pylist() == labels
        assert np.isnan(model.predict_raw(rows)).tolist() == [False] * 5 + [True]
        with pytest.raises(slipway.InputError, match="cannot be explained"):  # its trees have no counts
            model.explain(rows)
    with pytest.raises(slipway.InputError, match="'kind'"):
        model.predict(np.zeros((1, 2)))
    with pytest.raises(slipway.InputError, match="column 'size': it is of type text"):
        model.predict({"size": ["big"], "kind": ["red"]})
    with pytest.raises(slipway.InputError, match="'size'"):
        model.predict({"kind": ["red"]})
    assert pickle.loads(pickle.dumps(model)).predict(frame).tolist() == labels
