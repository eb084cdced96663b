"""The README's API section: a package of the demo's model, a node, five requests and five different fares."""
import os
import re
import signal
import socket
import subprocess

from conftest import BINARY
from test_docs import SHELL


def test_five_requests_give_five_fares(tmp_path, bare):
    block = next(b for b in SHELL if b.note == "api")
    bare("demo", "--rows", "6000", "--home", tmp_path / "build" / "demo-home", "--quiet")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        text = block.text.replace("12000", str(s.getsockname()[1]))
    environment = {**bare.environment(), "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    # The node goes on in the background, as it does for a reader; its output must not keep our pipe open.
    text = text.replace("fares.zip &", "fares.zip >node.log 2>&1 &")
    process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=120)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, out + err
    assert block.text.count("$url -d") == 5
    fares = [float(fare) for fare in re.findall(r'"result":{"prediction":([0-9.]+)', out)]
    assert len(fares) == 5 and len(set(fares)) == 5, out
    assert all(2 < fare < 150 for fare in fares)
    assert out.count('"serviceGeneration":"v1"') == 5
