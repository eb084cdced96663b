"""`slipway score` of models that Python LightGBM trained: the same bits, whatever the files' format."""
import csv
import gzip
import io
import json
import math

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 5000  # three batches
FORMATS = ["csv", "csv.gz", "csv.zst", "parquet", "jsonl", "jsonl.gz", "jsonl.zst"]
PLAIN = ["csv", "parquet", "jsonl"]
COLUMNS = ["a", "b", "c", "d"]


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)


def make_matrix(rows=ROWS, seed=7):
    """Four numeric columns: many digits, many missing, zeros and tiny numbers, infinities."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows) * 10.0 ** rng.integers(-5, 6, rows)
    b = np.where(rng.random(rows) < 0.4, np.nan, rng.integers(-5, 50, rows).astype(float))
    c = np.where(rng.random(rows) < 0.3, 0.0, rng.random(rows) * 2e-35)
    d = rng.random(rows)
    d[::37], d[1::41] = np.inf, -np.inf
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": d})


def target_of(frame):
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.tanh(frame.a) * 3 + frame.b.fillna(60) / 9 + (frame.c > 1e-35) + np.clip(frame.d, -2, 2))


def train(kind, folder, **parameters):
    frame = make_matrix(seed=1)
    y = target_of(frame)
    settings = dict(num_leaves=31, verbosity=-1, num_threads=1, seed=3, min_data_in_leaf=5, objective="regression")
    if kind == "binary":
        y, settings["objective"] = (y > 3).astype(int), "binary"
    if kind == "multiclass":
        y = np.digitize(y, [1, 4])
        settings.update(objective="multiclass", num_class=3)
    settings.update(parameters)
    booster = lgb.train(settings, lgb.Dataset(frame, y), 40)
    path = folder / f"{kind}.txt"
    booster.save_model(path)
    return booster, path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {kind: train(kind, folder) for kind in ("regression", "binary", "multiclass")}


def write(frame, path):
    name = path.name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
        return path
    if ".csv" in name:
        text = frame.to_csv(index=False)  # repr: reads back to the same bits
    else:
        text = "".join(json.dumps({k: None if isinstance(v, float) and math.isnan(v) else "inf" if v == math.inf else "-inf" if v == -math.inf else v
                                   for k, v in row.items()}) + "\n" for row in frame.to_dict("records"))
    data = text.encode()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    if name.endswith(".zst"):
        data = pa.compress(data, codec="zstd", asbytes=True)
    path.write_bytes(data)
    return path


def read(path):
    """Columns as text or numbers, doubles exact."""
    name = path.name
    if name.endswith(".parquet"):
        return pq.read_table(path).to_pandas()
    data = path.read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    if name.endswith(".zst"):
        data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    if ".csv" in name:
        rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
        return pd.DataFrame(rows[1:], columns=rows[0])
    return pd.DataFrame([json.loads(line) for line in data.decode().splitlines()])


def numbers(frame, columns):
    return np.array([[float(v) if v not in ("", None) else math.nan for v in frame[c]] for c in columns]).T


def outputs(kind):
    return {"regression": ["prediction"], "binary": ["proba_0", "proba_1"],
            "multiclass": ["proba_0", "proba_1", "proba_2"]}[kind]


def expected(booster, kind, frame):
    answer = booster.predict(frame)
    if kind == "binary":
        return np.column_stack([1 - answer, answer])
    return answer.reshape(len(frame), -1)


def check(booster, kind, frame, scored):
    names = outputs(kind)
    assert list(scored.columns) == list(frame.columns) + names + ([] if kind == "regression" else ["prediction"])
    assert len(scored) == len(frame)
    want = expected(booster, kind, frame[COLUMNS])
    got = numbers(scored, names)
    differ = np.flatnonzero((bits(want) != bits(got)).any(axis=1))
    assert differ.size == 0, f"row {differ[0]}: {want[differ[0]]} in Python, {got[differ[0]]} here; {differ.size} rows differ"
    if kind == "binary":
        assert [int(v) for v in scored.prediction] == list((want[:, 1] > 0.5).astype(int))
    if kind == "multiclass":
        assert [int(v) for v in scored.prediction] == list(want.argmax(axis=1))


@pytest.mark.parametrize("kind,source", [("regression", f) for f in FORMATS] + [
    (kind, f) for kind in ("binary", "multiclass") for f in PLAIN])
def test_every_pair_of_formats_gives_the_bits_of_python(bare, models, kind, source):
    booster, model = models[kind]
    frame = make_matrix()
    frame.insert(0, "row", np.arange(ROWS))
    given = write(frame, bare.folder / f"in.{source}")
    for sink in FORMATS if kind == "regression" and source in PLAIN else PLAIN[:2]:
        out = bare.folder / f"out.{sink}"
        answer = bare.json("score", "--model", model, "--input", given, "--output", out)
        assert answer["rows"] == answer["predicted"] == ROWS
        scored = read(out)
        check(booster, kind, frame, scored)
        assert [int(v) for v in scored.row] == list(range(ROWS)), "the order of rows"
        kept = numbers(scored, COLUMNS)
        given_numbers = frame[COLUMNS].to_numpy()
        if "jsonl" in sink:
            given_numbers = np.where(np.isinf(given_numbers), np.nan, given_numbers)  # JSON has no infinity: null
        same = (bits(kept) == bits(given_numbers)) | (np.isnan(kept) & np.isnan(given_numbers))
        assert same.all(), f"{source} to {sink}: a kept value changed"


def test_json_of_the_command_says_what_was_done(bare, models):
    _, model = models["regression"]
    write(make_matrix(), bare.folder / "in.csv")
    answer = bare.json("score", "--model", model, "--input", "in.csv", "--output", "out.csv")
    assert answer["rows"] == ROWS and answer["predicted"] == ROWS and answer["bad_rows"] == 0
    assert answer["seconds"] > 0 and answer["rows_per_second"] == pytest.approx(ROWS / answer["seconds"])
    assert answer["output"] == "out.csv" and answer["model"] == str(model)
    assert answer["version"] is None and answer["engine"]


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_threads_do_not_change_a_byte(bare, models, kind):
    _, model = models[kind]
    frame = pd.concat([make_matrix(40_000, seed=s) for s in range(2)])
    write(frame, bare.folder / "in.csv")
    for threads in (1, 2, 3):
        bare("score", "--model", model, "--input", "in.csv", "--output", f"{threads}.csv", "--threads", threads)
        bare("score", "--model", model, "--input", "in.csv", "--output", f"{threads}.jsonl", "--threads", threads)
    for ending in ("csv", "jsonl"):
        one = (bare.folder / f"1.{ending}").read_bytes()
        assert one == (bare.folder / f"2.{ending}").read_bytes() == (bare.folder / f"3.{ending}").read_bytes()


@pytest.mark.parametrize("name,parameters", [
    ("dart", dict(boosting="dart")),
    ("rf", dict(boosting="rf", bagging_freq=1, bagging_fraction=0.7)),
    ("poisson", dict(objective="poisson")),
    ("gamma", dict(objective="gamma")),
    ("quantile", dict(objective="quantile", alpha=0.9)),
    ("sqrt", dict(reg_sqrt=True)),
    ("zero_as_missing", dict(zero_as_missing=True)),
    ("no_missing", dict(use_missing=False)),
    ("cross_entropy_lambda", dict(objective="cross_entropy_lambda")),
    ("linear_tree", dict(linear_tree=True)),
])
def test_objectives_and_kinds_of_missing(bare, name, parameters):
    frame = make_matrix(seed=1)
    frame["d"] = np.clip(frame["d"], -2, 2)
    y = np.abs(target_of(frame)) + 0.1
    if name.startswith("cross"):
        y = y / (1 + y)
    booster = lgb.train({**dict(objective="regression", verbosity=-1, num_threads=1, seed=3), **parameters}, lgb.Dataset(frame, y), 20)
    booster.save_model(bare.folder / "m.txt")
    test = make_matrix()
    write(test, bare.folder / "in.csv")
    if name == "linear_tree":
        error = bare("score", "--model", "m.txt", "--input", "in.csv", "--output", "out.csv", "--json", code=None)
        if error.code != 0:
            assert "linear" in error.error["message"]
            return
    bare("score", "--model", "m.txt", "--input", "in.csv", "--output", "out.csv")
    got = numbers(read(bare.folder / "out.csv"), ["prediction"]).ravel()
    want = booster.predict(test)
    assert ((bits(got) == bits(want)) | (np.isnan(got) & np.isnan(want))).all()
    assert np.isfinite(got).sum() > 4000


def test_pandas_categories_of_texts_and_of_integers(bare):
    rng = np.random.default_rng(5)
    rows = 3000
    zone = rng.choice(["Bronx", "Queens, NY", "Île", ""], rows)
    zone = pd.Series(zone).replace("", None)
    rate = rng.integers(1, 6, rows)
    x = rng.normal(size=rows)
    y = x + rate * (zone == "Bronx") + 2 * (zone == "Île")
    frame = pd.DataFrame({"zone": zone.astype("category"), "x": x, "rate": pd.Series(rate).astype("category")})
    booster = lgb.train(dict(objective="regression", verbosity=-1, num_threads=1, min_data_per_group=5, cat_smooth=1),
                        lgb.Dataset(frame, y), 30)
    booster.save_model(bare.folder / "m.txt")
    fresh = pd.DataFrame({"zone": list(zone[:1000]) + ["Nowhere", None], "x": list(x[:1000]) + [0.5, 0.5],
                          "rate": list(rate[:1000]) + [77, 3]})
    python = fresh.copy()
    python["zone"] = pd.Categorical(python.zone, categories=frame.zone.cat.categories)
    python["rate"] = pd.Categorical(python.rate, categories=frame.rate.cat.categories)
    want = bits(booster.predict(python))
    for name in ("in.csv", "in.parquet"):
        write(fresh, bare.folder / name)
        for sink in ("out.csv", "out.jsonl"):
            bare("score", "--model", "m.txt", "--input", name, "--output", sink)
            scored = read(bare.folder / sink)
            assert (bits(numbers(scored, ["prediction"]).ravel()) == want).all(), name
        assert list(scored["rate"]) == list(fresh["rate"]), "a kept column stays what it was"


def test_standard_input_and_output(bare, models):
    booster, model = models["regression"]
    frame = make_matrix()
    write(frame, bare.folder / "in.csv")
    write(frame, bare.folder / "in.jsonl")
    bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv")
    answer = bare("score", "--model", model, "--input", "-", "--output", "-", stdin=(bare.folder / "in.csv").read_bytes())
    assert answer.out == (bare.folder / "out.csv").read_bytes()
    answer = bare("score", "--model", model, "--input", "-", "--output", "-", "--json", stdin=(bare.folder / "in.jsonl").read_bytes())
    rows = [json.loads(line) for line in answer.out.splitlines()]
    check(booster, "regression", frame, pd.DataFrame(rows))
    assert json.loads(answer.err.splitlines()[-1])["rows"] == ROWS
    answer = bare("score", "--model", model, "--input", "in.csv", "--output", "-", "--format", "jsonl")
    assert len(json.loads(answer.out.splitlines()[0])) == 5


def test_kept_csv_cells_are_the_inputs_bytes(bare, models):
    _, model = models["regression"]
    text = ('a,note,b,c,d,when\r\n'
            '1.50,"say ""hi"", twice",007,1e0, 0.25 ,2015-05-07 19:52:06 UTC\r\n'
            '+2,"two\nlines",,0.0,.5,2015-05-07T19:52:06+02:00\r\n'
            '"3", blank ,1e1,-0,INF,2016-01-01 00:00\r\n')
    bare.write("in.csv", text.encode())
    bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv")
    out = (bare.folder / "out.csv").read_bytes().decode()
    scored = list(csv.reader(io.StringIO(out, newline="")))
    given = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[:-1] for row in scored] == given
    for line in ('1.50,"say ""hi"", twice",007,1e0, 0.25 ,2015-05-07 19:52:06 UTC,', '+2,"two\nlines",,0.0,.5,2015-05-07T19:52:06+02:00,'):
        assert line in out
    bare("score", "--model", model, "--input", "in.csv", "--output", "some.csv", "--keep", "note,a,when,d")
    some = list(csv.reader(io.StringIO((bare.folder / "some.csv").read_bytes().decode(), newline="")))
    place = [given[0].index(name) for name in ("note", "a", "when", "d")]
    assert [row[:-1] for row in some] == [[row[i] for i in place] for row in given]
    assert [row[-1] for row in some] == [row[-1] for row in scored]


def test_keep_chooses_and_orders_columns(bare, models):
    _, model = models["regression"]
    frame = make_matrix(10)
    frame["id"] = [f"r{i}" for i in range(10)]
    write(frame, bare.folder / "in.csv")
    for keep, columns in (("id,b", ["id", "b"]), ("", [])):
        bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--keep", keep)
        assert list(read(bare.folder / "out.csv").columns) == columns + ["prediction"]
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "no.csv", "--keep", "idd", "--json", code=1).error
    assert "'idd'" in error["message"] and "'id'" in error["hint"]
    assert not (bare.folder / "no.csv").exists()


def test_a_clash_of_names_says_both(bare, models):
    _, model = models["binary"]
    frame = make_matrix(10)
    frame["proba_1"] = 1
    write(frame, bare.folder / "in.csv")
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert "input" in error["message"] and "'proba_1'" in error["message"] and "output" in error["message"]
    assert "keep" in error["hint"]
    bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--keep", "a,b")
    assert list(read(bare.folder / "out.csv").columns) == ["a", "b", "proba_0", "proba_1", "prediction"]


def test_the_threshold_is_strict(bare, models):
    booster, model = models["binary"]
    frame = make_matrix()
    write(frame, bare.folder / "in.csv")
    scores = booster.predict(frame)
    limit = float(scores[17])
    bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--threshold", repr(limit))
    assert [int(v) for v in read(bare.folder / "out.csv").prediction] == list((scores > limit).astype(int))
    _, regression = models["regression"]
    error = bare("score", "--model", regression, "--input", "in.csv", "--output", "x.csv", "--threshold", "0.5", "--json", code=1).error
    assert "two classes" in error["message"]
    bare("score", "--model", model, "--input", "in.csv", "--output", "x.csv", "--threshold", "1.5", code=2)


def test_every_missing_column_is_named(bare, models):
    _, model = models["regression"]
    write(make_matrix(10)[["a"]].rename(columns={"a": "A"}), bare.folder / "in.csv")
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert all(f"'{c}'" in error["message"] for c in COLUMNS)
    assert "'A'" in error["hint"]
    assert not (bare.folder / "out.csv").exists()


def test_a_column_of_another_type(bare, models):
    _, model = models["regression"]
    frame = make_matrix(10)
    frame["b"] = "many"
    for name in ("in.csv", "in.jsonl"):
        write(frame, bare.folder / name)
        error = bare("score", "--model", model, "--input", name, "--output", "out.csv", "--json", code=1).error
        assert "'b'" in error["message"] and "double" in error["message"], error
    frame["b"] = pd.Timestamp("2015-05-07")
    write(frame, bare.folder / "in.parquet")
    error = bare("score", "--model", model, "--input", "in.parquet", "--output", "out.csv", "--json", code=1).error
    assert "'b'" in error["message"] and "double" in error["message"] and "timestamp" in error["message"]
    assert not (bare.folder / "out.csv").exists()


def test_a_late_bad_cell_gives_file_line_and_column_and_leaves_nothing(bare, models):
    _, model = models["regression"]
    frame = make_matrix(60_000)
    lines = frame.to_csv(index=False).splitlines(keepends=True)
    lines[50_000] = "1,2,3,x4\n"
    bare.write("in.csv", "".join(lines))
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert "in.csv:50001" in error["message"] and "'d'" in error["message"] and "x4" in error["message"]
    assert not list(bare.folder.glob("out.csv*"))
    answer = bare.json("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--on-bad-rows", "skip")
    assert answer["rows"] == 59_999 and answer["bad_rows"] == 1
    said = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--on-bad-rows", "quarantine").err
    assert "out.csv.quarantine.csv" in said
    with open(bare.folder / "out.csv.quarantine.csv", newline="") as file:
        bad = list(csv.DictReader(file))
    assert len(bad) == 1 and bad[0]["line"] == "50001" and bad[0]["column"] == "d" and bad[0]["row"] == "1,2,3,x4"


@pytest.mark.parametrize("sink", ["csv", "jsonl", "parquet", "csv.gz"])
def test_a_header_alone_is_zero_rows(bare, models, sink):
    _, model = models["multiclass"]
    bare.write("in.csv", "d,c,b,a,more\n")
    answer = bare.json("score", "--model", model, "--input", "in.csv", "--output", f"out.{sink}")
    assert answer["rows"] == 0 and answer["predicted"] == 0
    if sink != "jsonl":
        assert list(read(bare.folder / f"out.{sink}").columns) == ["d", "c", "b", "a", "more", "proba_0", "proba_1", "proba_2", "prediction"]
    else:
        assert (bare.folder / "out.jsonl").read_bytes() == b""


def test_an_empty_parquet_file_is_zero_rows(bare, models):
    _, model = models["regression"]
    write(make_matrix(0), bare.folder / "in.parquet")
    assert bare.json("score", "--model", model, "--input", "in.parquet", "--output", "out.parquet")["rows"] == 0
    assert pq.read_table(bare.folder / "out.parquet").column_names == COLUMNS + ["prediction"]


def test_a_file_of_nothing_is_an_error(bare, models):
    _, model = models["regression"]
    bare.write("in.csv", "")
    error = bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv", "--json", code=1).error
    assert "in.csv" in error["message"] and "empty" in error["message"]


def test_columns_that_are_wholly_missing_score_as_missing(bare, models):
    booster, model = models["regression"]
    bare.write("in.csv", "a,b,c,d\n" + ",,,\n" * 5)
    bare("score", "--model", model, "--input", "in.csv", "--output", "out.csv")
    got = numbers(read(bare.folder / "out.csv"), ["prediction"]).ravel()
    assert (bits(got) == bits(booster.predict(np.full((5, 4), np.nan)))).all()


def test_parquet_numbers_of_all_widths(bare, models):
    booster, model = models["regression"]
    frame = make_matrix(2000)
    table = pa.table({"a": pa.array(frame.a, pa.float32(), from_pandas=True), "b": pa.array(frame.b, pa.int8(), from_pandas=True),
                      "c": pa.array(np.arange(2000) % 7, pa.uint16()), "d": pa.array(np.arange(2000) % 2 == 0)})
    pq.write_table(table, bare.folder / "in.parquet")
    bare("score", "--model", model, "--input", "in.parquet", "--output", "out.parquet")
    python = pd.DataFrame({"a": frame.a.astype("float32").astype(float), "b": frame.b, "c": np.arange(2000) % 7 * 1.0,
                           "d": (np.arange(2000) % 2 == 0) * 1.0})
    assert (bits(pq.read_table(bare.folder / "out.parquet")["prediction"]) == bits(booster.predict(python))).all()


def test_several_files_are_one_table(bare, models):
    booster, model = models["regression"]
    frame = make_matrix(3000)
    write(frame[:1000], bare.folder / "p1.csv")
    write(frame[1000:1001], bare.folder / "p2.csv")
    write(frame[1001:][["d", "b", "c", "a"]], bare.folder / "p3.csv")
    bare("score", "--model", model, "--input", "p*.csv", "--output", "out.csv")
    check(booster, "regression", frame, read(bare.folder / "out.csv"))
