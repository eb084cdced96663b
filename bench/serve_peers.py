"""The peers of `./run bench serve`: how each is started, asked and stopped. All serve the same LightGBM model on core 0."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SERVER_CORE, LOAD_CORE = "0", "1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(port, path, body, headers=None, timeout=30):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(), {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read())


class Server:
    """A server process with its children: started, waited for, measured, stopped."""

    name, path = "", "/"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self):
        log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *map(str, self.command())], stdout=log, stderr=log, cwd=self.folder,
                                        env=self.environment(), start_new_session=True)
        deadline = time.monotonic() + 90
        while True:
            try:
                self.answer(self.record())
                return self
            except Exception as error:  # whatever a server that is not up yet does
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{self.name} did not start: {error}\n{(self.folder / 'log').read_text()[-3000:]}")
                time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def pids(self):
        """The process and its descendants."""
        found, known = [self.process.pid], {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    known[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    pass
        for pid in found:
            found += [child for child, parent in known.items() if parent == pid]
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss_mib(self):
        total = 0
        for pid in self.pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += int(text.split("VmRSS:")[1].split()[0])
        return total / 1024

    # What a request of one record looks like, and what its answer says.
    def body(self, record):
        return json.dumps({"features": record})

    def prediction(self, answer):
        return answer["result"]["prediction"]

    def record(self):
        return self.records[0]

    def answer(self, record):
        return self.prediction(post(self.port, self.path, self.body(record)))

    records = []


class Slipway(Server):
    name = "slipway-apinode"

    def __init__(self, folder, package, service="bench", endpoint="model", more=()):
        super().__init__(folder)
        self.package, self.more = package, list(more)
        self.path = f"/public/api/v1/{service}/{endpoint}/predict"

    def command(self):
        return [ROOT / "build/bin/slipway-apinode", "--home", self.folder / "home", "--listen", f"127.0.0.1:{self.port}", "--loops", "1",
                "--package", self.package, "--log-level", "warning", *self.more]


class Nginx(Server):
    """A fixed answer of the size of ours: the speed of light."""

    name = "nginx, fixed answer"

    def __init__(self, folder, answer):
        super().__init__(folder)
        self.fixed = answer

    def command(self):
        config = self.folder / "nginx.conf"
        config.write_text(f"""worker_processes 1; daemon off; error_log {self.folder}/error.log; pid {self.folder}/pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  server {{ listen 127.0.0.1:{self.port}; location / {{ default_type application/json; return 200 '{self.fixed}'; }} }} }}
""")
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", config]


class FastApi(Server):
    name, path = "FastAPI + LightGBM", "/predict"

    def __init__(self, folder, python, model):
        super().__init__(folder)
        self.python, self.model = python, model

    def environment(self):
        return {**os.environ, "MODEL": str(self.model), "OMP_NUM_THREADS": "1"}

    def command(self):
        return [self.python, "-m", "uvicorn", "serve_fastapi:app", "--app-dir", ROOT / "bench", "--port", self.port, "--loop", "uvloop", "--http",
                "httptools", "--no-access-log", "--log-level", "warning"]


class MlServer(Server):
    name, path = "MLServer + LightGBM", "/v2/models/bench/infer"

    def __init__(self, folder, python, model):
        super().__init__(folder)
        self.python, self.model = python, model

    def environment(self):
        return {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(self):
        shutil.copy(self.model, self.folder / "model.bst")
        (self.folder / "model-settings.json").write_text(json.dumps(
            {"name": "bench", "implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": "./model.bst"}}))
        (self.folder / "settings.json").write_text(json.dumps(
            {"http_port": self.port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1", "parallel_workers": 0, "debug": False}))
        return [pathlib.Path(self.python).parent / "mlserver", "start", self.folder]

    def body(self, record):
        return json.dumps({"inputs": [{"name": "x", "shape": [1, len(record)], "datatype": "FP64", "data": list(record.values())}]})

    def prediction(self, answer):
        return answer["outputs"][0]["data"][0]
