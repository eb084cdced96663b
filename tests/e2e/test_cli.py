"""The command line itself: help, flags, exit codes, JSON, suggestions, completion, doctor."""
import json
import os
import shutil
import subprocess

import pytest

import little


def test_without_a_command_it_shows_help_and_exits_2(bare):
    answer = bare(code=2)
    assert answer.out == ""
    assert "slipway demo" in answer.err and "needs a command" in answer.err
    below = bare("model", code=2)
    assert "Usage: slipway model" in below.err and "rollback" in below.err and "'slipway model' needs a command" in below.err


def test_help_and_version_are_data(bare):
    assert "Exit codes" in bare("--help").out
    assert "--mode" in bare("build", "--help").out
    assert bare("--version").out.startswith("slipway ")


@pytest.mark.parametrize("words, said, meant", [
    (["modle", "ls"], "'slipway' has no command 'modle'", "did you mean 'model'?"),
    (["model", "vesions", "p/m"], "'slipway model' has no command 'vesions'", "did you mean 'versions'?"),
    (["recipe", "add", "scor", "p"], "'slipway recipe add' has no command 'scor'", "did you mean 'score'?"),
    (["build", "--mod", "all", "p/x"], "'slipway build' has no option '--mod'", "did you mean '--mode'?"),
    (["dataset", "head", "p/x", "--jsno"], "no option '--jsno'", "did you mean '--json'?"),
])
def test_a_misspelt_command_or_option_gets_a_suggestion(bare, words, said, meant):
    answer = bare(*words, code=2)
    assert said in answer.err and meant in answer.err and answer.out == ""
    error = json.loads(bare("--json", *words, code=2).err)
    assert said in error["message"] and error["hint"] == meant


@pytest.mark.parametrize("words", [
    ["apply"], ["build"], ["build", "p/x", "--mode", "some"], ["dataset", "head", "p/x", "-n", "abc"], ["dataset", "head", "justaname"],
    ["model", "activate", "p/m"], ["model", "delete", "p/m"], ["model", "versions", "p"], ["build", "p/a", "q/b"], ["dataset", "add", "p/x"],
    ["recipe", "add", "score", "p", "--output", "o"], ["job", "show", "1", "2", "3"], ["completion", "tcsh"], ["model"], []])
def test_a_command_line_that_makes_no_sense_is_exit_2_and_one_json_document(slipway, words):
    answer = slipway(*words, "--json", code=2)
    error = json.loads(answer.err)
    assert error["code"] == "invalid_argument" and error["message"] and answer.out == ""


def test_things_of_later_parts_say_so(bare):
    for words in (["scenario"], ["evaluate", "--model", "m"], ["experiment", "ls"]):
        answer = bare(*words, code=2)
        assert "later release" in answer.err, answer.err


def test_global_flags_stand_before_and_after_the_command(bare):
    other = bare.folder / "other"
    bare("init", "--home", other)
    bare("init")
    bare.write("d.csv", "a\n1\n")
    bare("--home", other, "dataset", "add", "q/d", "d.csv")
    before = bare("--home", other, "--json", "project", "ls").json
    after = bare("project", "ls", "--home", other, "--json").json
    between = bare("project", "--json", "ls", f"--home={other}").json
    assert [p["name"] for p in before] == ["q"] and before == after == between
    assert bare.json("project", "ls") == []


def test_home_comes_from_the_flag_then_the_environment_then_the_user(bare):
    env = bare.environment()
    del env["SLIPWAY_HOME"]
    from conftest import BINARY
    run = lambda *words, **more: subprocess.run([BINARY, *words], env={**env, **more}, capture_output=True, text=True, cwd=bare.folder)
    assert json.loads(run("init", "--json").stdout)["home"] == str(bare.folder / ".slipway")
    assert json.loads(run("init", "--json", SLIPWAY_HOME=str(bare.folder / "e")).stdout)["home"] == str(bare.folder / "e")
    assert json.loads(run("init", "--json", "--home", "f", SLIPWAY_HOME=str(bare.folder / "e")).stdout)["home"] == str(bare.folder / "f")


def test_init_twice_is_fine_and_a_folder_with_other_things_is_refused(bare):
    assert bare.json("init")["created"] is True
    assert bare.json("init")["created"] is False
    bare.write("full/precious.txt", "mine")
    error = bare("init", "full", "--json", code=5).error
    assert "precious.txt" in error["message"] and error["hint"]
    assert os.listdir(bare.folder / "full") == ["precious.txt"]


def test_every_list_is_an_empty_document_when_there_is_nothing(slipway):
    for words in (["project", "ls"], ["dataset", "ls"], ["model", "ls"], ["job", "ls"]):
        assert slipway(*words, "--json").out == "[]\n"
        assert "no " in slipway(*words).out  # says what to do
    slipway.write("d.csv", "a\n1\n")
    slipway("dataset", "add", "p/d", "d.csv")
    assert slipway.json("recipe", "ls", "p") == []
    assert slipway.json("model", "ls", "p") == []


@pytest.mark.parametrize("words, said", [
    (["project", "show", "litle"], "did you mean 'little'?"),
    (["dataset", "show", "little/trips_"], "did you mean 'trips'?"),
    (["dataset", "show", "litle/trips"], "did you mean 'little'?"),
    (["recipe", "show", "little/cpy"], "did you mean"),
    (["build", "little/outt"], "did you mean 'out'?"),
    (["flow", "show", "litle"], "did you mean 'little'?"),
    (["export", "litle"], "did you mean 'little'?"),
    (["model", "versions", "little/mdel"], "did you mean"),
    (["job", "show", "77"], "slipway job ls"),
    (["dataset", "ls", "litle"], "did you mean 'little'?"),
    (["recipe", "ls", "litle"], "did you mean 'little'?"),
    (["model", "ls", "litle"], "did you mean 'little'?"),
    (["job", "ls", "litle"], "did you mean 'little'?"),
    (["dataset", "rm", "little/trisp"], "did you mean 'trips'?"),
    (["recipe", "rm", "little/cpy"], "did you mean"),
    (["project", "delete", "litle"], "did you mean 'little'?"),
    (["recipe", "add", "sync", "little", "--input", "trisp", "--output", "o2"], "did you mean 'trips'?"),
])
def test_a_misspelt_object_gets_a_suggestion_and_exit_3(slipway, words, said):
    slipway.write("d.csv", "a,y\n1,2\n")
    slipway.write("p.yaml", """project: little
datasets: {trips: {type: files, path: d.csv}, out: {type: managed}}
models: {model: {}}
recipes:
  copy: {type: sync, input: trips, output: out}
  train: {type: train, input: trips, output: model, target: "y", prediction: regression}
""")
    slipway("apply", "-f", "p.yaml")
    wanted = 1 if words[:2] == ["recipe", "add"] else 3
    error = json.loads(slipway(*words, "--json", code=wanted).err)
    assert said in error["hint"] or said in error["message"], error


def test_without_a_home_every_command_says_how_to_make_one(bare):
    for words in (["model", "ls"], ["apply", "-f", "p.yaml"], ["build", "p/x"], ["job", "ls"]):
        bare.write("p.yaml", "project: p\n")
        error = bare(*words, "--json", code=3).error
        assert error["code"] == "not_found" and "slipway init" in error["hint"]


def test_warnings_do_not_break_the_json_error(slipway):
    """With --json stderr is one document when the command fails, whatever there was to warn of."""
    little.make(slipway)
    slipway("build", "p/copy")
    # A job that died, as after kill -9: its row says running, and its lock is free.
    import sqlite3
    with sqlite3.connect(slipway.home / "registry.db") as db:
        db.execute("UPDATE jobs SET status = 'running', finished_at = 0")
    error = json.loads(slipway("build", "p/nothing", "--json", code=3).err)
    assert error["code"] == "not_found"
    assert "job-000001 was interrupted" in error["warnings"][0]
    # Told once: the next command has nothing to tell.
    assert "warnings" not in json.loads(slipway("build", "p/nothing", "--json", code=3).err)


def test_quiet_says_nothing_on_stderr(slipway):
    little.make(slipway)
    answer = slipway("build", "p/agg", "--quiet")
    assert answer.err == "" and "job-000001: done" in answer.out
    assert slipway("--quiet", "build", "p/agg").err == ""
    assert "copy_t" in slipway("build", "p/agg", "--mode", "all").err


def test_pipes_get_no_colour_and_no_bars(slipway):
    little.make(slipway)
    answer = slipway("build", "p/agg", "p/m")
    assert "\x1b" not in answer.out + answer.err and "\r" not in answer.out + answer.err
    assert "\x1b" not in slipway("flow", "show", "p").out


def test_a_terminal_gets_colour(slipway):
    if shutil.which("script") is None:
        pytest.skip("no script(1): what a terminal shows is not tested")
    little.make(slipway)
    from conftest import BINARY
    env = {**slipway.environment(), "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    shown = subprocess.run(["script", "-qec", f"{BINARY} flow show p", "/dev/null"], env=env, cwd=slipway.folder, capture_output=True, text=True)
    assert shown.returncode == 0 and "\x1b[" in shown.stdout
    plain = subprocess.run(["script", "-qec", f"{BINARY} flow show p", "/dev/null"], env={**env, "NO_COLOR": "1"}, cwd=slipway.folder,
                           capture_output=True, text=True)
    assert "\x1b[" not in plain.stdout


def test_schema_is_json_schema_that_knows_the_keys(bare):
    schema = bare("schema", "project").json
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"project", "datasets", "recipes", "models", "services", "scenarios"} <= set(schema["properties"])


def test_completion_gives_commands_flags_and_names(slipway):
    little.make(slipway)
    complete = lambda *words: slipway("__complete", *words).out.split()
    assert "model" in complete("mo") and complete("mo") == [w for w in complete("mo") if w.startswith("mo")]
    assert {"versions", "rollback"} <= set(complete("model", ""))
    assert complete("model", "versions", "") == ["p/m"]
    assert "p/copy" in complete("build", "p/c") and complete("build", "p/c") == ["p/copy"]
    assert "p/m" in complete("build", "")
    assert complete("flow", "show", "") == ["p"]
    assert complete("build", "--m") == ["--mode"]
    assert complete("build", "p/copy", "--pl") == ["--plan"]
    assert complete("project", "show", "--home", str(slipway.home), "") == ["p"]
    assert "__complete" not in complete("")


def test_completion_is_silent_without_a_home(bare):
    answer = bare("__complete", "model", "versions", "")
    assert answer.out == "" and answer.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid(bare, shell):
    script = bare("completion", shell).out
    assert bare.json("completion", shell)["script"] == script
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here: its completion script is not checked")
    path = bare.write(f"completion.{shell}", script)
    check = subprocess.run([shell, "-n", path], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def test_bash_completes_from_the_home(slipway):
    little.make(slipway)
    from conftest import BINARY
    code = 'eval "$(slipway completion bash)"; COMP_WORDS=(slipway build p/a); COMP_CWORD=2; _slipway; printf "%s\\n" "${COMPREPLY[@]}"'
    env = {**slipway.environment(), "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    shown = subprocess.run(["bash", "-c", code], env=env, cwd=slipway.folder, capture_output=True, text=True)
    assert shown.stdout == "p/agg\n", shown.stderr


def test_doctor_works_on_a_fresh_machine_and_sees_what_is_missing(bare):
    checks = {c["check"]: c for c in bare.json("doctor")}
    assert checks["home"]["state"] == "warning" and "slipway init" in checks["home"]["hint"]
    assert checks["data engine (DuckDB)"]["state"] == "ok"
    bare("init")
    checks = {c["check"]: c for c in bare.json("doctor")}
    assert {c["state"] for c in checks.values()} == {"ok"}
    assert {"disk space", "home writable", "integrity"} <= set(checks)
    assert not (bare.home / ".doctor").exists()


def test_doctor_finds_a_damaged_home(slipway):
    little.make(slipway)
    slipway("build", "p/copy", "p/m")
    assert {c["state"] for c in slipway.json("doctor", "--deep")} == {"ok"}
    data = next((slipway.home / "data").rglob("*.parquet"))
    content = data.read_bytes()
    data.unlink()
    found = [c for c in slipway.json("doctor", code=1) if c["state"] == "error"]
    assert "p/copy" in found[0]["detail"] and "build" in found[0]["hint"]
    data.write_bytes(content)
    assert {c["state"] for c in slipway.json("doctor", "--deep")} == {"ok"}


def test_output_into_a_closed_pipe_is_no_error(slipway):
    little.make(slipway)
    from conftest import BINARY
    code = f"{BINARY} dataset head p/t -n 400 | head -n 1; echo ${{PIPESTATUS[0]}}"
    shown = subprocess.run(["bash", "-c", code], env=slipway.environment(), cwd=slipway.folder, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == "0" and shown.stderr == ""


def test_start_up_is_quick(slipway):
    """Nothing heavy is loaded for what needs it not: neither the data engine nor the trainer."""
    little.make(slipway)
    from conftest import BINARY
    if shutil.which("strace") is None:
        pytest.skip("no strace: which libraries are loaded is not tested")
    shown = subprocess.run(["strace", "-f", "-e", "trace=openat", BINARY, "model", "versions", "p/m"], env=slipway.environment(),
                           cwd=slipway.folder, capture_output=True, text=True)
    assert "libduckdb" not in shown.stderr and "lib_lightgbm" not in shown.stderr
