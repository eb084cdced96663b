"""What README and docs show is true: every command runs, every link leads somewhere, every YAML loads."""
import csv
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import BINARY, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKER = re.compile(r"<!-- (test|no-test): (.+?) -->")
# Have tests of their own: test_readme_api.py, test_registry.py.
ELSEWHERE = {"api", "registry"}
# Blocks that go on from what an earlier one of the page made: they run in the page's order in one folder.
SHARED = {"docs/cli.md", "docs/first-service.md", "docs/services.md"}


class Block:
    def __init__(self, page, line, language, text, marker):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.verdict, self.note = marker if marker else (None, None)

    @property
    def where(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page):
    """The fenced blocks of a page, each with the marker comment in front of it, if there is one."""
    lines = page.read_text().splitlines()
    found, at, marker = [], 0, None
    while at < len(lines):
        if match := MARKER.fullmatch(lines[at].strip()):
            marker = match.groups()
        elif lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            found.append(Block(page, at + 1, lines[at][3:].strip(), "\n".join(lines[at + 1 : end]) + "\n", marker))
            at, marker = end, None
        elif lines[at].strip():
            marker = None
        at += 1
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [b for b in BLOCKS if b.language == "sh"]
YAML = [b for b in BLOCKS if b.language == "yaml"]


def write_fixtures(folder):
    """The files that the pages speak of: orders with amounts, new ones without, taxi trips and a LightGBM model."""
    places = ["Berlin", "Paris", "Oslo", "Rome"]

    def orders(name, rows, with_amount):
        with open(folder / name, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["order_id", "place", "items", "weight_kg", "express", "ordered_at"] + ["amount"] * with_amount)
            for i in range(rows):
                items, weight, express = i * 7 % 9 + 1, (i * 37 % 400) / 20, i % 3 == 0
                row = [1000 + i, places[i * 5 % 4], items, weight, str(express).lower(), f"2024-{i % 12 + 1:02}-{i % 28 + 1:02} {i % 24:02}:15:00"]
                out.writerow(row + [round(12.5 * items + 1.3 * weight + 9 * express + i % 7 / 2, 2)] * with_amount)

    orders("orders.csv", 500, True)
    orders("new_orders.csv", 100, False)
    import lightgbm
    import numpy

    with open(folder / "orders.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    matrix = numpy.array([[float(r["items"]), float(r["weight_kg"])] for r in rows])
    data = lightgbm.Dataset(matrix, [float(r["amount"]) for r in rows], feature_name=["items", "weight_kg"])
    lightgbm.train({"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}, data, 10).save_model(folder / "model.txt")


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixtures")
    write_fixtures(folder)
    return folder


def run_block(block, folder, fixtures):
    for file in fixtures.iterdir():
        shutil.copy(file, folder / file.name)
    bin_folder = folder / "build" / "bin"
    if not bin_folder.exists():
        bin_folder.mkdir(parents=True)
        (bin_folder / "slipway").symlink_to(BINARY)  # blocks may put $PWD/build/bin on the PATH
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
    env.update(SLIPWAY_HOME=str(folder / "home"), HOME=str(folder), PATH=f"{BINARY.parent}:{env['PATH']}")
    process = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, f"{block.where}: exit {process.returncode}\n{block.text}\n{process.stdout}{process.stderr}"
    return process


@pytest.mark.parametrize("page", sorted({str(b.page.relative_to(ROOT)) for b in SHELL if b.verdict == "test"}))
def test_commands_that_a_page_shows_succeed(page, tmp_path, fixtures):
    for block in SHELL:
        if str(block.page.relative_to(ROOT)) == page and block.verdict == "test" and block.note not in ELSEWHERE:
            folder = tmp_path if page in SHARED else tmp_path / block.note
            folder.mkdir(exist_ok=True)
            run_block(block, folder, fixtures)


def test_five_commands_score_ones_own_file(tmp_path, fixtures):
    block = next(b for b in SHELL if b.note == "own-file")
    run_block(block, tmp_path, fixtures)
    commands = [line for line in block.text.splitlines() if line.startswith("slipway ")]
    assert len(commands) == 5
    with open(tmp_path / "scored.csv", newline="") as file:
        scored = list(csv.DictReader(file))
    with open(tmp_path / "new_orders.csv", newline="") as file:
        assert [r["order_id"] for r in csv.DictReader(file)] == [r["order_id"] for r in scored]
    for row in scored:
        expected = 12.5 * int(row["items"]) + 1.3 * float(row["weight_kg"]) + 9 * (row["express"] == "true")
        assert abs(float(row["prediction"]) - expected) < 15


def test_every_shell_block_has_a_verdict():
    assert len(SHELL) > 5
    without = [b.where for b in SHELL if b.verdict is None]
    assert not without, f"mark them <!-- test: NAME --> or <!-- no-test: REASON -->: {without}"
    names = [(b.page, b.note) for b in SHELL if b.verdict == "test"]
    assert len(names) == len(set(names))
    # Another way to write a block of commands would go untested.
    assert not [b.where for b in BLOCKS if b.language in ("bash", "shell", "console")]
    # Only what takes minutes or another build is left out.
    for block in SHELL:
        if block.verdict == "no-test":
            assert re.search(r"\./run|cmake", block.text), f"{block.where} can be run"


def test_relative_links_resolve():
    broken = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+://|mailto:|#", target):
                continue
            if not (page.parent / target.split("#")[0]).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_pages_named_in_text_exist():
    for page in PAGES:
        for name in re.findall(r"\bdocs/[\w./-]+\.md\b", page.read_text()):
            assert (ROOT / name).exists(), f"{page.relative_to(ROOT)} names {name}"


def test_readme_is_one_page_and_leads_to_every_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 90
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"(docs/{page.name})" in text, f"README does not link {page.name}"


def leaf_commands(bare, path=()):
    """Every command that `--help` leads to: paths such as ("dataset", "add")."""
    help_text = bare(*path, "--help").out
    match = re.search(r"^Commands:\n((?:  .*\n)+)", help_text, re.M)
    if not match:
        return [(path, help_text)]
    found = []
    for line in match.group(1).splitlines():
        if word := re.match(r"  ([a-z-]+) ", line):
            found += leaf_commands(bare, (*path, word.group(1)))
    return found


def test_the_reference_and_the_help_know_every_command(bare):
    page = (ROOT / "docs" / "cli.md").read_text()
    commands = leaf_commands(bare)
    assert len(commands) > 35
    for path, help_text in commands:
        name = " ".join(path)
        in_page = f"`{name}" in page or (path[:2] == ("recipe", "add") and path[2] in page)
        assert in_page, f"docs/cli.md does not mention `{name}`"
        examples = help_text.partition("\nExamples:\n")[2].strip().splitlines()
        assert examples, f"`slipway {name} --help` shows no example"
        for example in examples:
            assert f"slipway {name}" in example, example
            for option in re.findall(r"(?<= )--[a-z-]+", example):
                assert option in help_text, f"an example of `{name}` has {option}, which its help does not"
    top = bare("--help").out
    for word in re.search(r"later: ([\w, \n]+)\)", top).group(1).replace("\n", " ").split(", "):
        assert f"`{word.strip()}`" in page
        assert "later" in bare(word.strip(), code=2).err


def test_options_that_the_reference_names_exist(bare):
    everything = "".join(text for _, text in leaf_commands(bare)) + bare("--help").out
    page = (ROOT / "docs" / "cli.md").read_text()
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)):
        assert option in everything, f"docs/cli.md names {option}"


COLUMNS = {"key": "string", "fare_amount": "double", "pickup_datetime": "timestamp", "pickup_longitude": "double", "pickup_latitude": "double",
           "dropoff_longitude": "double", "dropoff_latitude": "double", "passenger_count": "int64", "zone": "int64", "vendor": "string",
           "distance": "double", "payment": "string"}


def write_trips(folder):
    (folder / "data").mkdir(exist_ok=True)
    for name in ("trips.csv", "data/trips.csv", "data/trips-1.csv", "data/new.csv"):
        with open(folder / name, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(COLUMNS)
            for i in range(400):
                out.writerow([f"k{i}", 5 + i % 50 / 2, f"2015-05-{i % 28 + 1:02} {i % 24:02}:10:00 UTC", -73.9 - i % 10 / 100, 40.7 + i % 7 / 100, -73.95 + i % 9 / 100,
                              40.75 - i % 5 / 100, i % 4 + 1, i % 30, "ab"[i % 2], 1 + i % 50 / 5, ["CRD", "CSH", "UNK"][i % 3]])


@pytest.mark.parametrize("block", [b for b in YAML if b.verdict != "no-test"], ids=lambda b: b.where)
def test_yaml_that_a_page_shows_loads_and_trains(block, slipway):
    """A whole project loads as it stands; `prepare` and `features` go into a train recipe and are trained."""
    write_trips(slipway.folder)
    content = yaml.safe_load(block.text)
    if "project" in content:
        slipway.write("project.yaml", block.text)
        slipway("apply", "--plan", "-f", "project.yaml")
        return
    assert set(content) <= {"prepare", "features"}, f"{block.where}: a fragment that is neither a project nor a part of a train recipe"
    recipe = {"type": "train", "input": "trips", "output": "fare", "target": "fare_amount", "prediction": "regression",
              "algorithm": {"lightgbm": {"num_iterations": 5}}, **content}
    project = {"project": "docs", "datasets": {"trips": {"type": "files", "path": "trips.csv"}}, "models": {"fare": {}}, "recipes": {"train": recipe}}
    slipway.write("project.yaml", yaml.safe_dump(project, sort_keys=False))
    slipway("apply", "-f", "project.yaml")
    slipway("build", "docs/fare")


def test_yaml_blocks_were_found():
    assert len(YAML) >= 3 and any("project:" in b.text for b in YAML)


def reference_examples():
    """`expression` is `value` in the table of docs/expressions.md."""
    text = (ROOT / "docs" / "expressions.md").read_text()
    return re.findall(r"`([^`]+)` is (?:about )?`?([^`|\n]+?)`? \|", text)


def test_values_in_the_expression_reference_are_what_they_are(slipway):
    examples = reference_examples()
    assert len(examples) > 15
    slipway.write("in.csv", "tip,y\n" + "".join(f"{i % 5},{i}\n" for i in range(100)))
    prepare = [{"column": f"e{i}", "expr": f"to_string({expression})"} for i, (expression, _) in enumerate(examples) if "tip" not in expression]
    features = {f"e{i}": {"as": "category", "encode": "one_hot"} for i, (expression, _) in enumerate(examples) if "tip" not in expression}
    recipe = {"type": "train", "input": "in", "output": "m", "target": "y", "prediction": "regression", "prepare": prepare, "features": features,
              "algorithm": {"lightgbm": {"num_iterations": 1}}}
    project = {"project": "docs", "datasets": {"in": {"type": "files", "path": "in.csv"}}, "models": {"m": {}}, "recipes": {"train": recipe}}
    slipway.write("project.yaml", yaml.safe_dump(project, sort_keys=False))
    slipway("apply", "-f", "project.yaml")
    slipway("build", "docs/m")
    # A one-hot feature is named after its only category: the value.
    names = {item["feature"] for item in slipway.json("model", "show", "docs/m")["info"]["importance"]}
    for i, (expression, value) in enumerate(examples):
        if "tip" in expression:
            continue
        got = [n.partition("=")[2] for n in names if n.startswith(f"e{i}=") and not n.endswith("(other)")]
        assert got, f"{expression}: no value among {sorted(names)}"
        if value.replace(".", "").lstrip("-").isdigit():
            assert abs(float(got[0]) - float(value)) <= 0.05 * (value == "20015.1"), f"{expression} is {got[0]}, not {value}"
        else:
            assert got[0] == value, f"{expression} is {got[0]}, not {value}"


def test_the_program_starts_without_data_engine_and_trainer():
    """They are loaded on first use; bench/ measures what that gives."""
    needed = subprocess.run(["ldd", str(BINARY)], capture_output=True, text=True, check=True).stdout
    assert "duckdb" not in needed and "lightgbm" not in needed
