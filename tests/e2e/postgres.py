"""A real PostgreSQL server on a temporary folder and a free port, for the tests that need one. It asks for passwords."""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSWORD = "s3cret word"


def binary(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda p: int(p.split("/")[4])) or [shutil.which(name)]
    return found[-1]


def why_not():
    """Why there can be none, or ""."""
    if binary("initdb") is None:
        return "NO PostgreSQL: it is not installed (apt-get install postgresql)"
    if os.getuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "NO PostgreSQL: root cannot run it, and there is no user 'postgres'"
    return ""


class Server:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        word = self.folder / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        self.run(binary("initdb"), "-D", f"{self.folder}/data", "-U", "ann", "--auth=scram-sha-256", f"--pwfile={word}",
                 "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8").check_returncode()
        self.process = None
        self.start()

    def as_user(self):
        return dict(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[]) if self.user else {}

    def run(self, *command):
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, **self.as_user())

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [binary("postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port), "-F",
             "-c", "shared_buffers=16MB", "-c", "max_connections=40"], cwd="/", stdout=log, stderr=log, **self.as_user())
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if subprocess.run([binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not start: " + (self.folder / "log").read_text()[-2000:])

    def stop(self, how=signal.SIGQUIT):
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, schema, password=None):
        word = ":" + password.replace(" ", "%20") if password is not None else ""
        return f"postgresql://ann{word}@127.0.0.1:{self.port}/postgres?schema={schema}"

    def query(self, sql):
        answer = subprocess.run([binary("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "ann", "-d", "postgres", "-Atc", sql],
                                capture_output=True, text=True, env={**os.environ, "PGPASSWORD": PASSWORD}, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()
