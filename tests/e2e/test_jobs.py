"""Jobs: looking at them, aborting them, two processes on one home, and a disk that is full."""
import fcntl
import json
import os
import pathlib
import resource
import signal
import subprocess

import pytest

import little
from conftest import BINARY

SLOW = """project: p
datasets:
  t: {type: files, path: t.csv}
  slow: {type: managed}
recipes:
  s: {type: sql, input: t, output: slow, query: "SELECT count(*) AS n FROM t, range(3000000000) r WHERE r.range % 7 = t.id % 7"}
"""


def slow_project(slipway):
    """`slow` has an old output, and its recipe now takes minutes."""
    slipway.write("t.csv", little.training_csv(rows=50))
    slipway.write("p.yaml", SLOW.replace("3000000000", "3"))
    slipway("apply", "-f", "p.yaml")
    slipway("build", "p/slow")
    slipway.write("p.yaml", SLOW)
    slipway("apply", "-f", "p.yaml")
    return slipway.json("dataset", "show", "p/slow")


def start_and_wait_until_it_runs(slipway, *words):
    """The job's log says that the recipe started."""
    process = slipway.start("build", "p/slow", *words)
    log = slipway.home / "jobs/job-000002/log.txt"
    for _ in range(2000):
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        if log.exists() and "started (" in log.read_text() and workers_of(process.pid):
            return process
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError("the job did not start")


def workers_of(pid):
    """Child processes, from /proc."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.name))
        except (OSError, IndexError):
            pass
    return found


def test_a_second_process_aborts_a_running_job(slipway):
    before = slow_project(slipway)
    process = start_and_wait_until_it_runs(slipway, "--json")
    running = slipway.json("job", "show", "2")
    assert running["status"] == "running" and running["activities"][0]["status"] == "running"
    asked = slipway.json("job", "abort", "2")
    assert asked["job"] == "job-000002"
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    assert json.loads(out)["status"] == "aborted" and json.loads(out)["activities"][0]["status"] == "aborted"
    job = slipway.json("job", "show", "2")
    assert job["status"] == "aborted" and job["interrupted"] is False
    assert slipway.json("dataset", "show", "p/slow") == before
    assert not (slipway.home / "jobs/job-000002/work").exists()
    error = slipway("job", "abort", "2", "--json", code=5).error
    assert "not running" in error["message"]


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_aborts_cleanly(slipway, which):
    before = slow_project(slipway)
    process = start_and_wait_until_it_runs(slipway)
    children = workers_of(process.pid)
    assert children
    process.send_signal(which)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "job-000002: aborted" in out, (out, err)
    assert not any(pathlib.Path(f"/proc/{child}").exists() for child in children)
    assert slipway.json("job", "show", "2")["status"] == "aborted"
    assert slipway.json("dataset", "show", "p/slow") == before
    assert slipway("job", "ls").err == "", "an aborted job is not an interrupted one"
    slipway.write("p.yaml", SLOW.replace("3000000000", "4"))
    slipway("apply", "-f", "p.yaml")
    assert slipway.json("build", "p/slow")["status"] == "done"


def test_a_worker_that_is_killed_is_told_on_one_line(slipway):
    slow_project(slipway)
    process = start_and_wait_until_it_runs(slipway)
    for child in workers_of(process.pid):
        os.kill(int(child), signal.SIGKILL)
    process.communicate(timeout=20)
    error = slipway.json("job", "show", "2")["error"]
    assert "ended before it was done" in error and "\n" not in error


def test_ctrl_c_of_a_training_leaves_no_version(slipway):
    little.make(slipway)
    slipway("build", "p/m")
    slipway.write("p.yaml", little.project_yaml(iterations=200000))
    slipway("apply", "-f", "p.yaml")
    process = slipway.start("build", "p/m")
    log = slipway.home / "jobs/job-000002/log.txt"
    for _ in range(2000):
        if log.exists() and "started (" in log.read_text():
            break
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert [v["version"] for v in slipway.json("model", "versions", "p/m")] == [1]


def test_killing_the_parent_takes_the_worker_along_and_the_next_start_says_so(slipway):
    before = slow_project(slipway)
    process = start_and_wait_until_it_runs(slipway)
    children = workers_of(process.pid)
    process.kill()
    process.communicate()
    shown = slipway.json("job", "show", "2")
    assert slipway.json("dataset", "show", "p/slow") == before
    slipway.write("p.yaml", SLOW.replace("3000000000", "5"))
    answer = slipway("apply", "-f", "p.yaml")
    assert "job-000002 was interrupted" in answer.err and "slipway build p/slow" in answer.err
    job = slipway.json("job", "show", "2")
    assert job["status"] == "failed" and job["interrupted"] is True and job["activities"][0]["status"] != "running", (shown, job)
    assert "interrupted" in slipway("job", "ls").out
    assert "interrupted" not in slipway("build", "p/slow").err, "told once"
    alive = [c for c in children if pathlib.Path(f"/proc/{c}/stat").exists() and ") Z" not in pathlib.Path(f"/proc/{c}/stat").read_text()]
    assert alive == [], "the worker dies with its parent"


def test_a_second_writer_waits_for_the_first(slipway):
    slipway.write("t.csv", little.training_csv(rows=20))
    with open(slipway.home / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = slipway.start("dataset", "add", "p/t", "t.csv")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        assert slipway.json("project", "ls") == [], "reading needs no lock"
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert [d["name"] for d in slipway.json("dataset", "ls")] == ["p/t"]


def test_a_writer_that_waits_too_long_names_the_holder_and_exits_7(slipway):
    little.make(slipway)
    with open(slipway.home / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (slipway.home / "lock.info").write_text("process 4711: slipway build p/other\n")
        error = slipway("build", "p/copy", "--json", code=7, timeout=30).error
    assert error["code"] == "unavailable" and "process 4711: slipway build p/other" in error["message"] and error["hint"]
    assert slipway.json("build", "p/copy")["status"] == "done"


def test_two_builds_at_once_on_one_home_both_finish(slipway):
    little.make(slipway)
    processes = [slipway.start("build", "p/m", "--mode", "this", "--json") for _ in range(3)]
    answers = [p.communicate(timeout=60) for p in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], answers
    versions = slipway.json("model", "versions", "p/m")
    assert [v["version"] for v in versions] == [1, 2, 3] and sum(v["active"] for v in versions) == 1
    assert sorted(json.loads(out)["job"] for out, _ in answers) == ["job-000001", "job-000002", "job-000003"]


def limited(slipway, size, *words):
    """No file may grow beyond `size`: what a full disk does to a writer."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return subprocess.run([BINARY, *words], env=slipway.environment(), cwd=slipway.folder, capture_output=True, text=True, preexec_fn=limit)


def test_a_write_that_does_not_fit_leaves_the_old_output(slipway):
    little.make(slipway)
    slipway("build", "p/copy", "p/m", "p/scored")
    before = {d: slipway.json("dataset", "show", f"p/{d}") for d in ("copy", "scored")}
    versions = slipway.json("model", "versions", "p/m")
    slipway.write("t.csv", little.training_csv(rows=100000, seed=4))
    done = limited(slipway, 400_000, "build", "p/copy", "--json")
    assert done.returncode == 1, done
    assert "too large" in json.loads(done.stdout)["activities"][0]["error"].lower(), done.stdout
    assert slipway.json("dataset", "show", "p/copy") == before["copy"]
    assert slipway.json("model", "versions", "p/m") == versions
    assert [p for p in slipway.home.rglob("*") if p.suffix == ".parquet" and "jobs" in p.parts] == []
    assert {c["state"] for c in slipway.json("doctor", "--deep")} <= {"ok", "warning"}
    assert slipway.json("build", "p/copy")["status"] == "done"
    assert slipway.json("dataset", "show", "p/copy")["rows"] == 100000


@pytest.fixture
def small_disk(slipway, tmp_path):
    """A file system of 3 MB for the home."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root: a full disk is not tested")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: a full disk is not tested")
    slipway.home = disk / "home"
    slipway("init")
    yield slipway
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_named_and_the_old_output_stays(small_disk):
    slipway = small_disk
    little.make(slipway)
    slipway("build", "p/copy", "p/m", "p/scored")
    before = slipway.json("dataset", "show", "p/copy")
    slipway.write("t.csv", little.training_csv(rows=300000, seed=4))
    done = slipway("build", "p/copy", "--json", code=1).json
    assert "no space left on device" in done["activities"][0]["error"].lower(), done
    assert slipway.json("dataset", "show", "p/copy") == before
    assert slipway.json("model", "versions", "p/m")[0]["active"]
    filler = slipway.home / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    answer = slipway("build", "p/m", "--mode", "this", "--json", code=None)
    assert answer.code != 0
    told = answer.out + answer.err
    assert "space" in told.lower() or "full" in told.lower(), told
    assert len(slipway.json("model", "versions", "p/m")) == 1
    filler.unlink()
    slipway.write("t.csv", little.training_csv(seed=4))
    assert slipway.json("build", "p/copy", "p/m")["status"] == "done"
    assert {c["state"] for c in slipway.json("doctor", "--deep")} <= {"ok", "warning"}
