"""docs/values.md: what a text means, the same through CSV and through JSON lines."""
import json

import pytest

TYPES = ["boolean", "int64", "double", "string", "date", "timestamp"]
# type, text, value shown by `dataset head --json`; None: missing
TABLE = [
    *[("boolean", text, True) for text in ("true", "TRUE", "True", "t", "T", "yes", "YES", "y", "1", " true ")],
    *[("boolean", text, False) for text in ("false", "False", "f", "no", "N", "0", " 0")],
    ("int64", "5", 5), ("int64", "-12", -12), ("int64", "+7", 7), ("int64", " 5", 5), ("int64", "1e3", 1000), ("int64", "5.0", 5),
    ("int64", "9223372036854775807", 9223372036854775807), ("int64", "-9223372036854775808", -9223372036854775808), ("int64", "007", 7),
    ("double", "0.1", 0.1), ("double", "1e-7", 1e-7), ("double", "1e3", 1000), ("double", " 5", 5), ("double", ".5", 0.5),
    ("double", "5.", 5), ("double", "+2", 2), ("double", "-0", -0.0), ("double", "1E400", None),
    ("double", "0.1000000000000000055511151231257827", 0.1), ("double", "4.9e-324", 5e-324),
    ("double", "nan", None), ("double", "NaN", None), ("double", "NAN", None),
    ("string", "New York", "New York"), ("string", "007", "007"), ("string", " 5", " 5"), ("string", " ", " "), ("string", "NA", "NA"),
    ("string", "null", "null"), ("string", "Île", "Île"),
    ("date", "2015-05-07", "2015-05-07"), ("date", " 2015-05-07 ", "2015-05-07"), ("date", "2015-05-07 00:00:00 UTC", "2015-05-07"),
    ("date", "0001-01-01", "0001-01-01"), ("date", "2016-02-29", "2016-02-29"),
    ("timestamp", "2015-05-07 19:52:06 UTC", "2015-05-07T19:52:06Z"), ("timestamp", "2015-05-07T21:52:06+02:00", "2015-05-07T19:52:06Z"),
    ("timestamp", "2015-05-07T19:52:06Z", "2015-05-07T19:52:06Z"), ("timestamp", "2015-05-07 19:52:06", "2015-05-07T19:52:06Z"),
    ("timestamp", "2015-05-07 19:52", "2015-05-07T19:52:00Z"), ("timestamp", "2015-05-07T21:52:06+0200", "2015-05-07T19:52:06Z"),
    ("timestamp", "2015-05-07T21:52:06+02", "2015-05-07T19:52:06Z"), ("timestamp", "2015-05-07T14:22:06.25-05:30", "2015-05-07T19:52:06.250000Z"),
    ("timestamp", "2015-05-07", "2015-05-07T00:00:00Z"), ("timestamp", "2015-05-07 19:52:06.000001", "2015-05-07T19:52:06.000001Z"),
    *[(t, "", None) for t in TYPES], *[(t, "  ", None) for t in TYPES if t != "string"],
]
BAD = [("boolean", "2"), ("boolean", "maybe"), ("int64", "5.5"), ("int64", "NA"), ("int64", "9223372036854775808"), ("int64", "1e300"), ("int64", "5 6"),
       ("int64", "0x10"), ("double", "1,5"), ("double", "-"), ("double", "null"), ("double", "0x1p3"), ("date", "2015-02-29"), ("date", "07/05/2015"),
       ("date", "2015-05-07 10:00"), ("timestamp", "2015-05-07 25:00"), ("timestamp", "yesterday"), ("timestamp", "2015-05-07T10:00 CET")]


def write(slipway, rows):
    """One row per text: its column holds the text, the others nothing."""
    lines, objects = ["n," + ",".join(TYPES)], []
    for n, (type_, text) in enumerate(rows):
        lines.append(f"{n}," + ",".join('"' + text + '"' if t == type_ else "" for t in TYPES))
        objects.append(json.dumps({"n": n, type_: text}))
    slipway.write("t.csv", "\n".join(lines) + "\n")
    slipway.write("t.jsonl", "\n".join(objects) + "\n")
    schema = "{n: int64, " + ", ".join(f"{t}: {t}" for t in TYPES) + "}"
    slipway.write("p.yaml", "project: p\ndatasets:\n" + "".join(
        f"  {name}: {{type: files, path: t.{name}, schema: {schema}, on_bad_rows: skip}}\n" for name in ("csv", "jsonl")))
    slipway("apply", "-f", "p.yaml")


def test_the_table_of_texts_through_csv_and_json(slipway):
    write(slipway, [(t, text) for t, text, _ in TABLE if text != "1E400"])
    expected = [row for row in TABLE if row[1] != "1E400"]
    heads = {name: slipway.json("dataset", "head", f"p/{name}", "-n", "1000") for name in ("csv", "jsonl")}
    for name, head in heads.items():
        assert [row["n"] for row in head] == list(range(len(expected))), f"{name}: a text was refused"
        for row, (type_, text, value) in zip(head, expected):
            assert repr(row[type_]) == repr(value) or (row[type_] == value and not isinstance(value, bool) and str(row[type_])[0] == str(value)[0]), (
                f"{name}: {type_} {text!r} is {row[type_]!r}, not {value!r}")
    assert heads["csv"] == heads["jsonl"]


def test_texts_that_a_type_does_not_allow(slipway):
    write(slipway, BAD)
    for name in ("csv", "jsonl"):
        answer = slipway("dataset", "head", f"p/{name}", "-n", "1000", "--json")
        assert answer.json == [], f"{name}: {answer.json[0]}"
        for n, (type_, text) in enumerate(BAD):
            line = n + 2 if name == "csv" else n + 1
            assert f"t.{name}:{line}: column '{type_}': '{text}' is not" in answer.err, (name, type_, text)


def test_infinities(slipway):
    write(slipway, [("double", t) for t in ("inf", "-inf", "INF", "Infinity", "-Infinity", "+inf")])
    heads = [slipway.json("dataset", "head", f"p/{name}", "-n", "10") for name in ("csv", "jsonl")]
    assert heads[0] == heads[1]
    shown = [row["double"] for row in heads[0]]
    assert len(shown) == 6 and shown[0] == shown[2] == shown[3] == shown[5] and shown[1] == shown[4] != shown[0]
    assert None not in shown


def test_json_numbers_booleans_and_nulls_are_the_texts_values(slipway):
    slipway.write("t.csv", "b,i,d,s\ntrue,5,1e3,x\n,,,\nTRUE,5.0,0.25,y\n")
    slipway.write("t.jsonl", '{"b": true, "i": 5, "d": 1e3, "s": "x"}\n{"b": null, "d": "", "s": null}\n{"b": "TRUE", "i": 5.0, "d": "0.25", "s": "y"}\n')
    for name in ("csv", "jsonl"):
        slipway("dataset", "add", f"p/{name}", f"t.{name}")
    assert slipway.json("dataset", "schema", "p/csv") == slipway.json("dataset", "schema", "p/jsonl")
    csv, jsonl = (slipway.json("dataset", "head", f"p/{name}") for name in ("csv", "jsonl"))
    assert csv == jsonl
    assert csv[1] == {"b": None, "i": None, "d": None, "s": None}


@pytest.mark.parametrize("texts,type_", [
    (["0", "1", "1"], "int64"), (["true", "FALSE"], "boolean"), (["yes", "no"], "string"), (["007", "008"], "string"), (["1234567890123456789"], "string"),
    (["5", "5.5"], "double"), (["2015-05-07", "2015-05-08"], "date"), (["2015-05-07", "2015-05-07 10:00"], "timestamp"),
    (["", ""], "string"), (["5", "x"], "string"), (["1e3"], "double"), (["0.5", "nan"], "double"), (["0"], "int64"), (["0.5"], "double"),
])
def test_types_that_are_found(slipway, texts, type_):
    slipway.write("t.csv", "n,c\n" + "".join(f"{i},{t}\n" for i, t in enumerate(texts)))
    slipway("dataset", "add", "p/t", "t.csv")
    found = {f["name"]: f["type"] for f in slipway.json("dataset", "schema", "p/t")}["c"]
    assert found == type_


def test_a_model_sees_one_value_for_one_text(slipway):
    rows = [{"when": f"2015-05-{d:02d} 19:52:06 UTC", "x": str(d * 1.5), "n": f" {d}", "flag": "TRUE" if d % 2 else "false", "y": d * 2 + d % 2} for d in range(1, 31)] * 10
    slipway.write("t.csv", "when,x,n,flag,y\n" + "".join(",".join(str(v) for v in r.values()) + "\n" for r in rows))
    slipway.write("p.yaml", """
project: p
datasets: {t: {type: files, path: t.csv}}
models: {m: {}}
recipes:
  r: {type: train, input: t, output: m, target: y, prediction: regression, validation: none,
      algorithm: {lightgbm: {num_iterations: 10, min_data_in_leaf: 2}}}
""")
    slipway("apply", "-f", "p.yaml")
    slipway("build", "p/m")
    info = slipway.json("model", "show", "p/m")["info"]
    assert {f["name"]: f["type"] for f in info["schema"]} == {"when": "timestamp", "x": "double", "n": "int64", "flag": "boolean"}
    same = [  # one value, written in many ways
        {"when": "2015-05-07 19:52:06 UTC", "x": "10.5", "n": "7", "flag": "TRUE"},
        {"when": "2015-05-07T19:52:06Z", "x": "1.05e1", "n": " 7", "flag": "true"},
        {"when": "2015-05-07T21:52:06+02:00", "x": " 10.50", "n": "7.0", "flag": "Yes"},
        {"when": "2015-05-07 19:52:06", "x": "+10.5", "n": "7e0", "flag": "1"},
    ]
    slipway.write("a.csv", "when,x,n,flag\n" + "".join(",".join(r.values()) + "\n" for r in same))
    slipway.write("a.jsonl", "".join(json.dumps(r) + "\n" for r in same)
                  + '{"when": "2015-05-07 19:52:06 UTC", "x": 10.5, "n": 7, "flag": true}\n{"flag": 1, "n": 7.0, "x": 105e-1, "when": "2015-05-07 19:52:06 UTC"}\n')
    answers = []
    for name in ("a.csv", "a.jsonl"):
        slipway("score", "--model", "p/m", "--input", name, "--output", "out.jsonl", "--keep", "")
        answers += [line for line in (slipway.folder / "out.jsonl").read_text().splitlines()]
    assert len(answers) == 10 and len(set(answers)) == 1, answers
