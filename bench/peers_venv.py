"""The peers' Python environment: .cache/bench-venv-<hash>, made with uv from these pins when it is missing. All peers share
one environment, because one process measures them interleaved. A peer that cannot be installed is named and left out; the
next run tries it again."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What all share: one numpy for everyone (lleaves needs one below 2.4).
BASE = ["numpy==2.3.5", "scipy==1.17.1", "lightgbm==4.7.0"]
PEERS = {
    "lleaves": ["lleaves==1.3.0", "llvmlite==0.43.0"],
    "tl2cgen": ["treelite==4.8.1", "tl2cgen==1.0.0"],
    "onnxruntime": ["onnxruntime==1.32.0", "onnxmltools==1.16.0", "onnx==1.23.2", "skl2onnx==1.20.0", "scikit-learn==1.9.1"],
    "xgboost": ["xgboost-cpu==3.2.0"],
    "ydf": ["ydf==0.16.1", "protobuf==7.36.2"],
    "woodelf": ["woodelf-explainer==0.4.8", "treelite==4.8.1", "pandas==3.1.1", "tqdm==4.70.1"],
}

# The benches, the peers that each of them asks for, and its file where it is not called like the bench.
WANTED = {"score": [peer for peer in PEERS if peer != "woodelf"], "single": ["lleaves", "onnxruntime"], "compile": [], "shap": ["xgboost", "woodelf"]}
SCRIPTS = {"shap": "contributions.py"}  # a module "shap" would hide the package


def folder():
    pins = json.dumps([BASE, PEERS, sys.version_info[:2]])
    return ROOT / ".cache" / f"bench-venv-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"


def uv():
    own = ROOT / ".venv" / "bin" / "uv"
    return str(own) if own.exists() else "uv"


def install(python, packages):
    """None, or why it did not work."""
    environment = {"UV_CACHE_DIR": str(ROOT / ".cache" / "uv"), "UV_LINK_MODE": "copy", **os.environ}
    fixed = folder() / "constraints.txt"
    fixed.write_text("\n".join(BASE + sum(PEERS.values(), [])) + "\n")
    done = subprocess.run([uv(), "pip", "install", "-q", "--python", str(python), "-c", str(fixed), *packages],
                          capture_output=True, text=True, env=environment)
    return None if done.returncode == 0 else done.stderr.strip()


def make(wanted):
    """(the environment's python, {peer: why it is missing}); installs what is not there yet."""
    at = folder()
    python = at / "bin" / "python"
    if not python.exists():
        print(f"making {at.relative_to(ROOT)} for the peers", file=sys.stderr, flush=True)
        subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(at)], check=True)
    missing = {}
    for name, packages in {"base": BASE, **{n: p for n, p in PEERS.items() if n in wanted}}.items():
        stamp = at / f"installed-{name}"
        if stamp.exists():
            continue
        print(f"installing {' '.join(packages)}", file=sys.stderr, flush=True)
        why = install(python, packages)
        if why is None:
            stamp.write_text("\n".join(packages) + "\n")
        elif name == "base":
            sys.exit(f"the bench's Python environment could not be made: {why}")
        else:
            missing[name] = why
            print(f"!! peer {name} is left out, it could not be installed:\n{why}", file=sys.stderr, flush=True)
    return python, missing
