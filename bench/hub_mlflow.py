"""MLflow's tracking server as the peer of `./run bench hub`: the same number of registered models and versions, in its own SQLite
file, served with one worker. `seed` runs in MLflow's environment: it writes through MLflow's own tables (its store makes the schema
and the first version), because 10,000 calls of its API take minutes."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench-hub"
PINS = ["mlflow==3.17.2"]


def python():
    """The environment's interpreter, made when it is missing; None and why when that fails."""
    at = CACHE / "venv"
    stamp = at / "stamp"
    if not stamp.exists() or stamp.read_text() != "\n".join(PINS):
        print("installing the peer (850 MB)", file=sys.stderr, flush=True)
        uv = ROOT / ".venv/bin/uv"
        environment = {"UV_CACHE_DIR": str(ROOT / ".cache/uv"), **os.environ}
        for command in ([uv, "venv", "-q", "--clear", "--python", sys.executable, at],
                        [uv, "pip", "install", "-q", "--python", at / "bin/python", *PINS]):
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
            if done.returncode != 0:
                return None, done.stderr.strip()
        stamp.write_text("\n".join(PINS))
    return at / "bin/python", None


def seed(database, models, per_model):
    from mlflow.entities.model_registry import ModelVersionTag
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{database}")
    tags = {"algorithm": "lightgbm", "rows": "80000", "rmse": "3.6924", "mae": "2.5885"}
    store.create_registered_model("m0000")
    store.create_model_version("m0000", "mlflow-artifacts:/m0000/1", run_id="0" * 32, tags=[ModelVersionTag(k, v) for k, v in tags.items()])
    now = int(time.time() * 1000)
    with store.ManagedSessionMaker() as session:
        for m in range(models):
            name = f"m{m:04}"
            if m > 0:
                session.add(SqlRegisteredModel(name=name, creation_time=now + m, last_updated_time=now + m))
            for v in range(1, per_model + 1):
                if m == 0 and v == 1:
                    continue
                session.add(SqlModelVersion(name=name, version=v, creation_time=now + v, last_updated_time=now + v, current_stage="None",
                                            source=f"mlflow-artifacts:/{name}/{v}", run_id=f"{m * per_model + v:032x}", status="READY"))
                session.add_all(SqlModelVersionTag(name=name, version=v, key=k, value=t) for k, t in tags.items())
            session.flush()


class MlflowServer:
    name = "MLflow tracking server"

    def __init__(self, interpreter, folder, models, per_model):
        self.python, self.folder, self.models, self.per_model = interpreter, pathlib.Path(folder), models, per_model
        self.database = self.folder / "mlflow.db"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None

    def environment(self):
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}

    def fill(self):
        subprocess.run([self.python, __file__, self.database, str(self.models), str(self.per_model)], check=True, env=self.environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)

    def start(self):
        """Seconds to the first answer."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = open(self.folder / "mlflow.log", "ab")
        began = time.perf_counter()
        self.process = subprocess.Popen([str(self.python.parent / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{self.database}",
                                         "--artifacts-destination", str(self.folder / "artifacts"), "--host", "127.0.0.1", "--port", str(self.port),
                                         "--workers", "1"], stdout=self.log, stderr=subprocess.STDOUT, env=self.environment(), cwd=self.folder,
                                        start_new_session=True)
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).read()
                return time.perf_counter() - began
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - began > 120:
                    raise RuntimeError((self.folder / "mlflow.log").read_text()[-2000:])
                time.sleep(0.02)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


if __name__ == "__main__":
    seed(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
