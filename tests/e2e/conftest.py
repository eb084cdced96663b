"""The real binary in temporary homes. Every test gets its own home and folder; nothing is left behind."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SLIPWAY_BINARY", ROOT / "build" / "bin" / "slipway"))
SHARED_DATA = ROOT.parent / "shared" / "data"


class Answer:
    """What a command gave: exit code, standard output and error."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        """The JSON error that --json puts on stderr, as its last line."""
        return json.loads(self.err.strip().splitlines()[-1])


class Slipway:
    """Runs commands against one home."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
        env.update(SLIPWAY_HOME=str(self.home), HOME=str(self.folder), TMPDIR=str(self.folder))
        return env

    def __call__(self, *args, code=0, stdin=None, timeout=120, cwd=None):
        process = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=not isinstance(stdin, bytes),
                                 input=stdin, timeout=timeout, cwd=cwd or self.folder, env=self.environment())
        answer = Answer(process)
        assert code is None or answer.code == code, (
            f"slipway {' '.join(map(str, args))}: exit {answer.code}, expected {code}\n{answer.out}\n{answer.err}")
        return answer

    def json(self, *args, **kwargs):
        return self(*args, "--json", **kwargs).json

    def start(self, *args):
        return subprocess.Popen([str(BINARY), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.folder, env=self.environment())

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return path


@pytest.fixture
def bare(tmp_path):
    """No home yet."""
    assert BINARY.exists(), f"{BINARY} is not built: ./run build"
    return Slipway(tmp_path)


@pytest.fixture
def slipway(bare):
    bare("init")
    return bare


@pytest.fixture(scope="session")
def shared_data():
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not here: the tests on real taxi trips are skipped")
    return SHARED_DATA
