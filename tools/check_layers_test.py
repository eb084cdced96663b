"""The layer check itself: it must find what it exists to find."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layers  # noqa: E402


def make(tmp_path, cmake, files):
    source = tmp_path / "src" / "slipway"
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(cmake)
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return check_layers.check(tmp_path)


CMAKE = "slipway_module(base LIBS x)\nslipway_module(table DEPS base)\n"


def test_a_clean_tree_has_no_offence(tmp_path):
    assert make(tmp_path, CMAKE, {"base/a.h": "", "table/t.cc": '#include "slipway/base/a.h"\n'}) == []


def test_an_include_of_an_unlisted_module_is_found(tmp_path):
    found = make(tmp_path, CMAKE, {"base/a.h": '#include "slipway/table/t.h"\n', "table/t.cc": '#include "slipway/base/a.h"\n'})
    assert found == ["src/slipway/base/a.h:1: module 'base' includes 'table', which it does not list"]


def test_a_listed_module_that_is_not_used_is_found(tmp_path):
    assert make(tmp_path, CMAKE, {"base/a.h": "", "table/t.cc": ""}) == [
        "src/slipway/CMakeLists.txt: module 'table' lists 'base' and includes nothing of it"]


def test_a_dependency_declared_below_is_found(tmp_path):
    found = make(tmp_path, "slipway_module(table DEPS base)\nslipway_module(base)\n", {"base/a.h": "", "table/t.cc": ""})
    assert found == ["module 'table' lists 'base', which is not declared above it"]
