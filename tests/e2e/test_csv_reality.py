"""CSV as it comes: every oddity gives its rows, or file, line, column and reason."""
import csv
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SYNC = """
project: p
datasets:
  raw: {type: files, path: %s, on_bad_rows: %s}
  copy: {type: managed}
recipes:
  copy: {type: sync, input: raw, output: copy}
"""


def head(slipway, content, *options, name="t.csv"):
    slipway.write(name, content)
    slipway("dataset", "add", "p/t", name, "--replace", *options)
    return slipway.json("dataset", "head", "p/t", "-n", "1000")


def refused(slipway, content, *options, name="t.csv"):
    slipway.write(name, content)
    return slipway("dataset", "add", "p/t", name, "--json", *options, code=1).error


def sync(slipway, mode, path="t.csv", code=0):
    slipway.write("p.yaml", SYNC % (path, mode))
    slipway("apply", "-f", "p.yaml")
    return slipway("build", "p/copy", "--mode", "this", "--json", code=code)


def test_quoted_newlines_embedded_quotes_and_delimiters(slipway):
    rows = head(slipway, 'a,b\n"two\nlines","say ""hi"""\n"x,y","\r\n"\nplain,q"u"o\n')
    assert rows == [{"a": "two\nlines", "b": 'say "hi"'}, {"a": "x,y", "b": "\r\n"}, {"a": "plain", "b": 'q"u"o'}]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa,b\n1,x\n", b"a,b\r\n1,x\r\n", b"\xef\xbb\xbfa,b\r\n1,x", b"a,b\n1,x", b"\n\na,b\n1,x\n\n\n",
                                     b'"a","b"\n"1","x"\n', b"a,b\r\n1,x\n\r\n"])
def test_marks_and_line_ends_do_not_matter(slipway, content):
    assert head(slipway, content) == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_sniffed(slipway, delimiter):
    text = "\n".join(delimiter.join(row) for row in (["when", "x", "note"], ["2015-05-07", "1", '"a,b;c"'], ["2015-05-08", "2", "d"]))
    assert head(slipway, text)[0] == {"when": "2015-05-07", "x": 1, "note": "a,b;c"}


def test_a_stated_delimiter(slipway):
    assert head(slipway, "a~b\n1~2\n", "--delimiter", "~") == [{"a": 1, "b": 2}]


def test_ragged_rows_fail_with_file_line_and_reason(slipway):
    slipway.write("t.csv", "a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n")
    error = sync(slipway, "fail", code=1)
    text = error.out + error.err
    assert "t.csv:3" in text and "2 cells" in text and "3 are expected" in text
    assert slipway("dataset", "head", "p/copy", code=None).code != 0, "nothing half-built is visible"


def test_ragged_rows_are_skipped_and_counted(slipway):
    slipway.write("t.csv", "a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n")
    answer = sync(slipway, "skip")
    activity = answer.json["activities"][0]
    assert activity["rows"] == 2 and activity["bad_rows"] == 2 if "bad_rows" in activity else activity["details"]["bad_rows"] == 2
    assert [row["a"] for row in slipway.json("dataset", "head", "p/copy")] == [1, 4]


def quarantined(slipway):
    (found,) = [p for p in slipway.home.rglob("*.quarantine.csv")]
    with open(found, newline="") as file:
        return list(csv.DictReader(file))


def test_quarantine_writes_the_rows_aside(slipway):
    slipway.write("t.csv", 'a,b\n1,"x"\n1,"y,""z""",3\ntwo,y\n5,ok\n')
    slipway.write("p.yaml", SYNC.replace("path: %s, ", "path: %s, schema: {a: int64}, ") % ("t.csv", "quarantine"))
    slipway("apply", "-f", "p.yaml")
    answer = slipway("build", "p/copy", "--json")
    assert str(2) in answer.out and "quarantine" in answer.out
    bad = quarantined(slipway)
    assert [(b["line"], b["column"], b["row"]) for b in bad] == [("3", "", '1,"y,""z""",3'), ("4", "a", "two,y")]
    assert all(b["file"].endswith("t.csv") for b in bad)
    assert "3 cells" in bad[0]["reason"] and bad[1]["reason"] == "'two' is not an int64"
    assert [row["a"] for row in slipway.json("dataset", "head", "p/copy")] == [1, 5]


def test_a_bad_cell_after_the_rows_that_were_sniffed(slipway):
    lines = ["n,x"] + [f"{i},{i}.5" for i in range(30_000)]
    lines[29_001] = "29000,abc"
    slipway.write("t.csv", "\n".join(lines) + "\n")
    answer = sync(slipway, "fail", code=1)
    text = answer.out + answer.err
    assert "t.csv:29002" in text and "'x'" in text and "'abc' is not a double" in text
    answer = sync(slipway, "quarantine")
    assert answer.json["activities"][0]["rows"] == 29_999
    assert [(b["line"], b["column"]) for b in quarantined(slipway)] == [("29002", "x")]


def test_nul_bytes_say_that_it_is_no_text(slipway):
    error = refused(slipway, b"a,b\n1,x\n2,n\x00l\n")
    assert "t.csv" in error["message"] and "NUL" in error["message"]


def test_bad_bytes_after_the_rows_that_were_sniffed(slipway):
    lines = [b"%d,%s" % (i, b"x" * 400) for i in range(30_000)]
    lines[29_000] = b"29000,caf\xe9"
    slipway.write("t.csv", b"a,b\n" + b"\n".join(lines) + b"\n")
    answer = sync(slipway, "fail", code=1)
    assert "t.csv:29002" in answer.out + answer.err and "UTF-8" in answer.out + answer.err
    assert sync(slipway, "skip").json["activities"][0]["rows"] == 29_999


@pytest.mark.parametrize("encoding,python", [("latin-1", "latin-1"), ("utf-16", "utf-16")])
def test_a_stated_encoding(slipway, encoding, python):
    slipway.write("t.csv", 'a,b\n1,café\n2,"Zü\nrich"\n'.encode(python))
    slipway.write("p.yaml", f"project: p\ndatasets:\n  t: {{type: files, path: t.csv, encoding: {encoding}}}\n")
    slipway("apply", "-f", "p.yaml")
    assert slipway.json("dataset", "head", "p/t") == [{"a": 1, "b": "café"}, {"a": 2, "b": "Zü\nrich"}]


@pytest.mark.parametrize("stated", ["encoding: latin-1", "header: true", "skip_lines: 0", "encoding: utf-8", "quote: \"'\"", 'quote: ""', 'escape: "\\\\"'])
def test_what_is_not_stated_is_sniffed(slipway, stated):
    slipway.write("t.csv", "name;n\nKöln;1\nUlm;2\n".encode("latin-1" if "latin" in stated else "utf-8"))
    slipway.write("p.yaml", f"project: p\ndatasets:\n  t: {{type: files, path: t.csv, {stated}}}\n")
    slipway("apply", "-f", "p.yaml")
    assert slipway.json("dataset", "head", "p/t") == [{"name": "Köln", "n": 1}, {"name": "Ulm", "n": 2}]


def test_a_wrong_encoding_says_which_to_state(slipway):
    error = refused(slipway, "a,é\n1,2\n".encode("latin-1"))
    assert "UTF-8" in error["message"] and "encoding" in error["message"] + error["hint"]
    error = refused(slipway, "a,b\n1,2\n".encode("utf-16"))
    assert "UTF-16" in error["message"].upper() + error["hint"].upper()


def test_an_empty_file(slipway):
    error = refused(slipway, b"")
    assert "t.csv" in error["message"] and "empty" in error["message"]
    assert "t.csv" in refused(slipway, b"\n\n\n")["message"]


def test_a_header_alone_is_a_table_without_rows(slipway):
    assert head(slipway, "a,b\n") == []
    shown = slipway.json("dataset", "show", "p/t")
    assert shown["rows"] == 0 and [f["name"] for f in shown["schema"]] == ["a", "b"]
    assert sync(slipway, "fail").json["activities"][0]["rows"] == 0


def test_duplicate_names_in_the_header_are_all_told(slipway):
    error = refused(slipway, "a,b,a,c,b\n1,2,3,4,5\n")
    assert "'a'" in error["message"] and "'b'" in error["message"] and "t.csv" in error["message"]


def test_a_thousand_columns(slipway):
    names = [f"column_{i}" for i in range(1000)]
    text = ",".join(names) + "\n" + "".join(",".join(str(i * r) for i in range(1000)) + "\n" for r in range(50))
    rows = head(slipway, text)
    assert len(rows) == 50 and len(rows[0]) == 1000 and rows[7]["column_999"] == 6993
    sync(slipway, "fail")
    (path,) = slipway.home.rglob("data/**/*.parquet")
    assert pq.read_table(path).num_columns == 1000


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst"])
def test_compressed(slipway, name):
    data = b"a,b\n" + b"1,x\n" * 50_000
    packed = gzip.compress(data) if name.endswith("gz") else pa.compress(data, codec="zstd", asbytes=True)
    assert len(head(slipway, packed, name=name)) == 1000
    assert slipway.json("dataset", "show", "p/t")["rows"] == 50_000
    slipway.write(name, packed[: len(packed) // 2])
    answer = slipway("dataset", "show", "p/t", "--json", code=None)
    assert answer.code == 1 and name in answer.err


def test_globs_are_one_table_in_sorted_order(slipway):
    slipway.write("d/p2.csv", "b,a\ny,2\n")
    slipway.write("d/p1.csv", "a,b\n1,x\n")
    slipway.write("d/p10.csv", "a,b\n3,z\n")
    slipway("dataset", "add", "p/t", "d/*.csv")
    assert slipway.json("dataset", "head", "p/t") == [{"a": 1, "b": "x"}, {"a": 3, "b": "z"}, {"a": 2, "b": "y"}]
    slipway.write("d/p3.csv", "a,c\n4,w\n")
    error = slipway("dataset", "head", "p/t", "--json", code=1).error
    assert "p3.csv" in error["message"] and "'b'" in error["message"]
    error = slipway("dataset", "add", "p/none", "nothing-*.csv", "--json", code=None)
    assert error.code != 0 and "nothing-*.csv" in error.error["message"]


def test_a_quote_that_nothing_closes(slipway):
    slipway.write("t.csv", 'a,b\n1,x\n2,"open\n3,y\n4,z\n')
    answer = sync(slipway, "fail", code=1)
    assert "t.csv:3" in answer.out + answer.err and "quote" in answer.out + answer.err


def test_a_stated_schema_is_checked(slipway):
    slipway.write("t.csv", "id,zone,x\n007,Bronx,1\n008,Kings,2\n")
    text = "project: p\ndatasets:\n  t: {type: files, path: t.csv, schema: {%s}}\n"
    slipway.write("p.yaml", text % "id: int64, x: double")
    slipway("apply", "-f", "p.yaml")
    assert slipway.json("dataset", "head", "p/t")[0] == {"id": 7, "zone": "Bronx", "x": 1}
    assert {f["name"]: f["type"] for f in slipway.json("dataset", "schema", "p/t")} == {"id": "int64", "zone": "string", "x": "double"}
    slipway.write("p.yaml", text % "idd: int64")
    error = slipway("apply", "-f", "p.yaml", "--json", code=1).error
    assert "'idd'" in error["message"] and "'id'" in error["hint"]
    slipway.write("p.yaml", text % "zone: int64")
    slipway("apply", "-f", "p.yaml")
    answer = slipway("dataset", "head", "p/t")
    assert "t.csv:2: column 'zone': 'Bronx' is not an int64" in answer.err


def test_the_fingerprint_follows_the_content(slipway):
    head(slipway, "a\n1\n2\n")
    first = slipway.json("dataset", "show", "p/t")
    assert first["rows"] == 2 and first["bytes"] == 6 and len(first["fingerprint"]) == 32
    slipway.write("t.csv", "a\n1\n3\n")
    second = slipway.json("dataset", "show", "p/t")
    assert second["fingerprint"] != first["fingerprint"]
    slipway.write("t.csv", "a\n1\n2\n")
    assert slipway.json("dataset", "show", "p/t")["fingerprint"] == first["fingerprint"]
