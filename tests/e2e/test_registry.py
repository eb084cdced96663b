"""Homes whose metadata is in PostgreSQL: the whole thread, several writers, passwords, a server that goes away."""
import json
import os
import random
import subprocess

import little
import postgres
import pytest
from conftest import BINARY, ROOT, Slipway


@pytest.fixture(scope="module")
def server():
    if why := postgres.why_not():
        pytest.skip(why)
    made = postgres.Server()
    yield made
    made.close()


class Shared(Slipway):
    """Every command finds the password in a password file, as people have it."""

    def __init__(self, folder, url, server):
        super().__init__(folder)
        self.url = url
        self.passwords = self.folder / "pgpass"
        self.passwords.write_text(f"127.0.0.1:{server.port}:*:ann:{postgres.PASSWORD}\n")
        self.passwords.chmod(0o600)

    def environment(self):
        return {**super().environment(), "PGPASSFILE": str(self.passwords)}


@pytest.fixture
def shared(tmp_path, server):
    assert BINARY.exists(), f"{BINARY} is not built: ./run build"
    slipway = Shared(tmp_path, server.url(f"s{abs(hash(tmp_path))}"), server)
    slipway("init", "--registry", slipway.url)
    return slipway


def test_the_whole_thread_with_the_metadata_in_postgresql(shared, server):
    assert not (shared.home / "registry.db").exists()
    assert json.loads((shared.home / "home.json").read_text())["registry"] == shared.url
    little.make(shared)
    built = shared.json("build", "p/agg", "p/scored", "p/m")
    assert built["status"] == "done" and set(little.outcomes(built).values()) == {"done"}
    little.retrain(shared, iterations=9)
    assert [(v["version"], v["active"]) for v in shared.json("model", "versions", "p/m")] == [(1, False), (2, True)]
    shared("model", "activate", "p/m@1", "--reason", "smaller")
    shared("model", "rollback", "p/m", "--reason", "odd")
    assert [h["kind"] for h in shared.json("model", "history", "p/m")][-2:] == ["activate", "rollback"]
    shared("export", "p", "-o", "out")
    shared("diff", "-f", "out")
    shared("score", "--model", "p/m", "--input", "new.csv", "--output", "scored.csv")
    assert len((shared.folder / "scored.csv").read_text().splitlines()) == little.UNSEEN + 1
    assert [c for c in shared.json("doctor", "--deep") if c["state"] != "ok"] == []
    assert {j["status"] for j in shared.json("job", "ls")} == {"done"}
    schema = shared.url.split("schema=")[1]
    assert server.query(f"SELECT count(*) FROM {schema}.versions") == "2"
    shared("project", "delete", "p", "--force")
    assert server.query(f"SELECT count(*) FROM {schema}.versions") == "0"


def test_the_commands_of_the_page(tmp_path, server):
    """docs/registry.md, with our server's address."""
    page = (ROOT / "docs/registry.md").read_text()
    block = page.split("<!-- test: registry -->\n```sh\n")[1].split("```")[0]
    url = "postgresql://slipway@db.example.org/ml?schema=team_a"
    assert url in block
    slipway = Shared(tmp_path, server.url("page"), server)
    env = {**slipway.environment(), "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", block.replace(url, slipway.url)], cwd=tmp_path, env=env, check=True, timeout=120)
    assert server.query("SELECT count(*) FROM page.home") == "1"


def test_several_processes_write_at_the_same_time(shared):
    little.make(shared)
    builds = [shared.start("build", "p/m", "--mode", "all", "--json") for _ in range(3)]
    answers = [b.communicate(timeout=120) for b in builds]
    assert [b.returncode for b in builds] == [0, 0, 0], answers
    versions = [json.loads(out)["activities"][-1] for out, _ in answers]
    assert all(v["status"] == "done" for v in versions)
    assert [v["version"] for v in shared.json("model", "versions", "p/m")] == [1, 2, 3]
    assert sum(v["active"] for v in shared.json("model", "versions", "p/m")) == 1
    assert [c for c in shared.json("doctor", "--deep") if c["state"] != "ok"] == []


def test_a_killed_build_is_marked_by_the_next_writer_and_holds_nobody_up(shared):
    little.make(shared)
    process = shared.start("build", "p/agg", "p/m", "--json")
    try:
        process.wait(timeout=0.3)
    except subprocess.TimeoutExpired:
        pass
    process.kill()
    process.communicate()
    assert shared.json("build", "p/agg", "p/m")["status"] == "done"
    assert not [j for j in shared.json("job", "ls") if j["status"] in ("running", "queued")]


def test_the_password_is_stored_and_told_nowhere(tmp_path, server):
    slipway = Slipway(tmp_path)
    url = server.url("pw", postgres.PASSWORD)
    made = slipway("init", "--registry", url)
    everything = made.out + made.err + "".join(p.read_text(errors="replace") for p in slipway.home.rglob("*") if p.is_file())
    for word in (postgres.PASSWORD, postgres.PASSWORD.replace(" ", "%20")):
        assert word not in everything
    # Without it: not allowed, and how to give it.
    refused = slipway("project", "ls", code=4)
    assert "PGPASSFILE" in refused.err and "postgresql://ann@127.0.0.1" in refused.err
    wrong = slipway("project", "ls", "--registry", server.url("pw", "wr0ng"), code=4)
    assert "wr0ng" not in wrong.err
    assert slipway("project", "ls", "--registry", url).out is not None


def test_another_homes_metadata_is_refused_and_an_own_file_stays_an_own_file(shared, tmp_path, server):
    other = Shared(tmp_path / "other", shared.url, server) if (tmp_path / "other").mkdir() is None else None
    refused = other("init", "--registry", shared.url, code=5)
    assert "another home" in refused.err and "schema=NAME" in refused.err
    assert not (other.home / "home.json").exists()
    plain = Slipway(tmp_path / "other")
    plain.home = tmp_path / "plain"
    plain("init")
    refused = plain("project", "ls", "--registry", shared.url, code=5)
    assert "registry.db" in refused.err and "slipway restore" in refused.err
    assert shared("init", "--registry", shared.url).out.startswith("already a home")


def test_a_server_that_goes_away_is_said_and_found_again(shared, server):
    little.make(shared)
    server.stop()
    try:
        gone = shared("project", "ls", code=7)
        assert "cannot be opened" in gone.err and "check that the server runs" in gone.err
    finally:
        server.start()
    assert [p["name"] for p in shared.json("project", "ls")] == ["p"]


def test_urls_that_are_none_are_refused(bare, server):
    assert "postgresql://" in bare("init", "--registry", "mysql://h/d", code=1).err
    assert "schema" in bare("init", "--registry", "postgresql://h/d?schema=A-B", code=1).err
    assert not bare.home.exists() or not (bare.home / "home.json").exists()


def test_whatever_is_cut_while_builds_run_nothing_that_was_seen_is_gone(shared, server):
    """The server ends at once, a client is killed, connections are cut: at spread moments of two builds at a time."""
    little.make(shared)
    rng = random.Random(3)
    seen = set()
    for round_ in range(6):
        builds = [shared.start("build", "p/agg", "p/m", "--mode", "all", "--json") for _ in range(2)]
        try:
            builds[0].wait(timeout=rng.uniform(0.05, 0.8))  # the moment; it may have ended before
        except subprocess.TimeoutExpired:
            pass
        if round_ % 3 == 0:
            server.stop()
            server.start()
        elif round_ % 3 == 1:
            builds[0].kill()
        else:
            server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'slipway'")
        for build in builds:
            build.communicate(timeout=120)
        shared("apply", "-f", "p.yaml")
        now = {v["version"] for v in shared.json("model", "versions", "p/m", code=None)} if "p/m" in shared("model", "ls").out else set()
        assert seen <= now
        seen = now
    assert shared.json("build", "p/agg", "p/m")["status"] == "done"
    assert sum(v["active"] for v in shared.json("model", "versions", "p/m")) == 1
    assert [c for c in shared.json("doctor", "--deep", code=None) if c["state"] == "error"] == []
