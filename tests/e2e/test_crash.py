"""kill -9 at random moments of a build: always the old or the new output, whole, and nothing piles up.

SLIPWAY_CRASH_ROUNDS (default 100) rounds; the seed is fixed, the moments are spread over the whole of a build."""
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import time

import little

ROUNDS = int(os.environ.get("SLIPWAY_CRASH_ROUNDS", "100"))
PER_HOME = 10  # rounds that one home goes through, so that what piles up is seen


def project(slipway, generation):
    """Every generation has other data, another query and other settings."""
    slipway.write("t.csv", little.training_csv(rows=100 + generation, seed=generation))
    slipway.write("p.yaml", little.project_yaml(iterations=2 + generation % 5, query=f"SELECT c, count(*) AS k, {generation} AS g FROM copy GROUP BY c"))
    return slipway("apply", "-f", "p.yaml")


def rows_in_registry(home):
    """Versions and active ones, as (model, number): what is acknowledged."""
    with sqlite3.connect(f"file:{home}/registry.db?mode=ro", uri=True) as db:
        versions = [tuple(r) for r in db.execute("SELECT model_id, number FROM versions ORDER BY number")]
        active = [tuple(r) for r in db.execute("SELECT id, active_version FROM models")]
    return versions, active


def check(slipway, acknowledged, before, allowed):
    """After a kill and before any writer came: every reader sees the old state or the new, whole. Gives what was seen."""
    seen = {}
    for name, old in before.items():
        shown = slipway.json("dataset", "show", f"p/{name}")
        head = slipway.json("dataset", "head", f"p/{name}", "-n", "1000")
        assert len(head) == shown["rows"], name
        assert pathlib.Path(shown["files"][0]).stat().st_size == shown["bytes"], name
        if shown["fingerprint"] == old[0]:
            assert head == old[1], f"{name}: the old fingerprint with other rows"
        else:
            assert shown["rows"] in allowed[name], f"{name}: neither old nor new"
        seen[name] = (shown["fingerprint"], head)
    versions, active = rows_in_registry(slipway.home)
    assert len(active) == 1 and active[0] in versions, "exactly one active version, and it exists"
    assert len(set(versions)) == len(versions)
    assert acknowledged <= {number for _, number in versions}, "an acknowledged version is gone"
    return seen, {number for _, number in versions}


def state(slipway):
    return {name: (slipway.json("dataset", "show", f"p/{name}")["fingerprint"], slipway.json("dataset", "head", f"p/{name}", "-n", "1000"))
            for name in ("copy", "agg")}


def leftovers(home):
    """Files that nothing refers to."""
    strays = [p for p in home.rglob("*") if ".tmp" in p.name or p.name.startswith("task-")]
    strays += [p for p in (home / "jobs").glob("*/work")]
    return sorted(str(p.relative_to(home)) for p in strays)


def killed_build(slipway, delay):
    """Starts a build, kills it after `delay`; how long it took when it ended before, else None."""
    process = slipway.start("build", "p/agg", "p/m", "--json")
    start = time.monotonic()
    took = None
    try:
        process.wait(timeout=delay)
        took = time.monotonic() - start
    except subprocess.TimeoutExpired:
        pass
    process.kill()
    out, _ = process.communicate()
    return None if process.returncode == -9 else took or delay, out


def test_kill_9_at_any_moment_leaves_the_old_or_the_new(slipway):
    rng = random.Random(20240607)
    project(slipway, 1)
    start = time.monotonic()
    slipway("build", "p/agg", "p/m")
    whole = time.monotonic() - start
    template = slipway.folder / "template"
    shutil.copytree(slipway.home, template)
    killed = interrupted = 0
    generation = 1
    acknowledged = {1}
    before = state(slipway)
    for round_ in range(ROUNDS):
        if round_ % PER_HOME == 0 and round_ > 0:
            shutil.rmtree(slipway.home)
            shutil.copytree(template, slipway.home)
            generation, acknowledged = generation + 1, {1}
            slipway.write("t.csv", little.training_csv(rows=101, seed=1))
            before = state(slipway)
        generation += 1
        # The next writer says what was interrupted, once, and cleans up.
        interrupted += "was interrupted" in project(slipway, generation).err
        assert leftovers(slipway.home) == []
        took, out = killed_build(slipway, rng.uniform(0.0, whole * 1.1))
        killed += took is None
        if took is not None:  # the machine may be faster now than it was at the first build
            whole = (whole + took) / 2
        new_rows = 100 + generation
        before, acknowledged = check(slipway, acknowledged, before, {"copy": {new_rows}, "agg": {3}})
        if '"version":' in out and '"status":"done"' in out:
            assert max(acknowledged) > 1, "told on standard output, and not there"
        if round_ % PER_HOME == PER_HOME - 1 or round_ == ROUNDS - 1:
            built = slipway.json("build", "p/agg", "p/m")
            assert built["status"] == "done" and leftovers(slipway.home) == []
            assert [c for c in slipway.json("doctor", "--deep") if c["state"] != "ok"] == []
            assert slipway.json("dataset", "show", "p/copy")["rows"] == new_rows
            head = slipway.json("dataset", "head", "p/agg")
            assert {r["g"] for r in head} == {generation} and sum(r["k"] for r in head) == new_rows
            jobs = slipway.json("job", "ls")
            assert not [j for j in jobs if j["status"] in ("running", "queued")]
            files = list((slipway.home / "data").rglob("*.parquet"))
            assert len(files) <= 2 * 2, "the current data and the one before, no more"
    assert killed > ROUNDS // 4 and interrupted > ROUNDS // 8, (killed, interrupted, "the moments missed the builds")


def test_an_import_that_is_killed_leaves_no_blob_behind_for_long(slipway):
    """Housekeeping: what nothing refers to goes once it is old."""
    little.make(slipway)
    slipway("build", "p/m")
    stray = slipway.home / "blobs/sha256" / "ab" / ("ab" + "0" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"half an import")
    young = slipway.home / "blobs/sha256" / "cd" / ("cd" + "0" * 62)
    young.parent.mkdir(exist_ok=True)
    young.write_bytes(b"a moment ago")
    old = time.time() - 7200
    os.utime(stray, (old, old))
    stamp = slipway.home / "logs/housekeeping"
    os.utime(stamp, (old, old))
    slipway("build", "p/m")
    assert not stray.exists() and young.exists()
    assert slipway("model", "show", "p/m").code == 0
