"""slipway backup and restore: while others write, into SQLite and PostgreSQL, and what damage does."""
import json
import os
import shutil
import subprocess
import tarfile

import little
import postgres
import pytest

from hub import hubs  # noqa: F401: a fixture
from test_deployer import await_true


def answers(slipway, home=None):
    """What a restored home must give alike."""
    options = ("--home", home) if home else ()
    slipway("score", "--model", "p/m", "--input", "new.csv", "--output", "scored.csv", *options)
    return ((slipway.folder / "scored.csv").read_text(), slipway.json("model", "versions", "p/m", *options),
            slipway.json("model", "history", "p/m", *options), slipway.json("dataset", "head", "p/agg", *options),
            slipway("export", "p", *options).out)


@pytest.fixture
def worked(slipway):
    little.make(slipway)
    slipway("build", "p/agg", "p/m")
    little.retrain(slipway, iterations=8)
    return slipway


def test_a_backup_makes_the_same_home_again(worked):
    before = answers(worked)
    made = worked.json("backup", "home.tar")
    assert made["verified"] and made["datasets"] == 2 and made["blobs"] > 0 and made["job_logs"] == 0
    assert os.stat(worked.folder / "home.tar").st_mode & 0o777 == 0o600
    assert worked.json("restore", "--check", "home.tar")["blobs"] == made["blobs"]
    worked("restore", "home.tar", "new")
    assert answers(worked, "new") == before
    assert [c for c in worked.json("doctor", "--deep", "--home", "new") if c["state"] != "ok"] == []
    # It lives: the next job, version and build.
    assert worked.json("build", "p/m", "--mode", "all", "--home", "new")["status"] == "done"
    assert worked.json("model", "versions", "p/m", "--home", "new")[-1]["version"] == 3
    assert worked.json("model", "versions", "p/m")[-1]["version"] == 2


def test_a_folder_gets_a_file_with_the_moment_and_any_tar_reads_it(worked):
    (worked.folder / "backups").mkdir()
    made = worked.json("backup", "backups", "--logs", "--no-data")
    assert made["datasets"] == 0 and made["job_logs"] == 2
    (file,) = (worked.folder / "backups").iterdir()
    assert made["backup"] == str(file) and file.name.startswith("home-20") and file.name.endswith("Z.tar")
    with tarfile.open(file) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
    assert names[0] == "registry.db" and names[-1] == "manifest.json" and len(manifest["files"]) == len(names) - 1
    worked("restore", file, "new")
    assert "p/m" in worked("model", "ls", "--home", "new").out
    assert worked.json("build", "p/agg", "--home", "new")["status"] == "done", "what was left out is built again"


def test_backups_beside_builds_are_whole(worked):
    builds = worked.start("build", "p/agg", "p/m", "p/scored", "--mode", "all", "--json")
    count = 0
    while builds.poll() is None or count < 3:
        worked("backup", f"b{count}.tar")
        count += 1
    out, err = builds.communicate()
    assert builds.returncode == 0, err
    for i in range(count):
        worked("restore", f"b{i}.tar", f"r{i}")
        assert worked("score", "--model", "p/m", "--input", "new.csv", "--output", "s.csv", "--home", f"r{i}").code == 0
        assert not [j for j in worked.json("job", "ls", "--home", f"r{i}") if j["status"] in ("running", "queued")]


def test_nothing_is_overwritten_and_damage_is_told(worked):
    worked("backup", "home.tar")
    assert "exists already" in worked("backup", "home.tar", code=5).err
    assert "there is no folder" in worked("backup", "nowhere/home.tar", code=3).err
    assert "is not empty" in worked("restore", "home.tar", code=5).err  # the home itself
    content = bytearray((worked.folder / "home.tar").read_bytes())
    content[len(content) // 2] ^= 1
    (worked.folder / "bad.tar").write_bytes(content)
    bad = worked("restore", "bad.tar", "new", "--json", code=1)
    assert bad.error["code"] == "corruption" and "bad.tar" in bad.error["message"] and bad.error["hint"]
    (worked.folder / "cut.tar").write_bytes(content[: len(content) // 3])
    assert "ends early" in worked("restore", "--check", "cut.tar", code=1).err
    assert worked("restore", "none.tar", "new", code=3).err
    assert not (worked.folder / "new").exists()
    assert sorted(p.name for p in worked.folder.iterdir() if p.name.startswith("slipway-")) == []
    blob = next(p for p in (worked.home / "blobs/sha256").rglob("*") if p.is_file())
    blob.write_bytes(b"x" * blob.stat().st_size)
    damaged = worked("backup", "again.tar", code=1)
    assert str(blob) in damaged.err and "doctor --deep" in damaged.err and not (worked.folder / "again.tar").exists()


def test_a_hub_makes_one_for_who_asks_from_elsewhere(worked, hubs):
    before = answers(worked)
    hub = hubs(worked)
    worked.write("key", hub.key())
    far = ["--server", hub.url, "--key-file", "key"]
    left = worked.home / "backups"
    left.mkdir()
    (left / ".home.tar.half").write_text("what a killed hub left")
    made = worked.json(*far, "backup", "far.tar", "--logs")
    assert made["verified"] and made["datasets"] == 2 and made["job_logs"] >= 2 and made["server"] == hub.url
    assert os.stat(worked.folder / "far.tar").st_mode & 0o777 == 0o600 and list(left.iterdir()) == []
    assert "exists already" in worked(*far, "backup", "far.tar", code=5).err
    assert "there is no folder" in worked(*far, "backup", "nowhere/far.tar", code=3).err
    worked("restore", "far.tar", "new")
    assert answers(worked, "new")[1:] == before[1:]
    (worked.folder / "into").mkdir()
    human = worked(*far, "backup", "into", "--no-data").out
    (file,) = (worked.folder / "into").iterdir()
    assert f"backup {file}: " in human and "0 datasets" in human and file.name.startswith("home-20")
    # Without the command: the listing, and the inverse.
    started = hub.local("POST", "/api/v1/backups", {"data": False})
    assert started.status == 202, started
    await_true(lambda: hub.local("GET", f"/api/v1/jobs/{started.json['job']}").json["status"] == "done")
    (listed,) = hub.local("GET", "/api/v1/backups").json
    assert listed["backup"] == started.json["backup"] and listed["bytes"] > 0
    assert hub.local("DELETE", f"/api/v1/backups/{listed['backup']}").json == {"deleted": listed["backup"]}
    assert hub.local("GET", "/api/v1/backups").json == [] and hub.local("GET", f"/api/v1/backups/{listed['backup']}").status == 404
    assert hub.local("GET", "/api/v1/backups/..%2Fhome.json").status == 404
    assert {c["check"]: c["state"] for c in worked.json(*far, "doctor")}["integrity"] == "ok"
    blob = next(p for p in (worked.home / "blobs/sha256").rglob("*") if p.is_file())
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert blob.name[:12] in worked(*far, "doctor", "--deep", code=1).out
    damaged = worked(*far, "backup", "again.tar", code=1)
    assert str(blob) in damaged.err and not (worked.folder / "again.tar").exists() and list(left.iterdir()) == []


def test_a_killed_backup_leaves_no_backup(worked):
    process = worked.start("backup", "home.tar")
    try:
        process.wait(timeout=0.01)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    if (worked.folder / "home.tar").exists():
        worked("restore", "--check", "home.tar")
    worked("backup", "next.tar")


def test_a_home_moves_to_postgresql_and_back(worked):
    if why := postgres.why_not():
        pytest.skip(why)
    before = answers(worked)
    worked("backup", "home.tar")
    server = postgres.Server()
    try:
        url = server.url("moved", postgres.PASSWORD)
        worked("restore", "home.tar", "shared", "--registry", url)
        assert not (worked.folder / "shared/registry.db").exists()
        moved = ("--home", "shared", "--registry", url)
        assert worked.json("model", "versions", "p/m", *moved) == before[1]
        assert worked.json("build", "p/m", "--mode", "all", *moved)["status"] == "done"
        assert "holds tables already" in worked("restore", "home.tar", "second", "--registry", url, code=5).err
        worked("backup", "shared.tar", *moved)
    finally:
        server.close()
    worked("restore", "shared.tar", "back")
    versions = worked.json("model", "versions", "p/m", "--home", "back")
    assert versions[:-1] == [{**v, "active": False} for v in before[1]] and versions[-1]["version"] == 3
    shutil.rmtree(worked.folder / "back")
