"""Runs in an environment of its own with MLflow's scoring client: `mlflow_client.py HOST PORT JOB.json` prints what it got, as JSON."""
import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

host, port, job = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3]))
client = ScoringServerClient(host, port)
client.ping()
client.wait_server_ready(timeout=5)
out = {"version": client.get_version()}
frame = pd.DataFrame(job["records"])
out["frame"] = client.invoke(frame).get_predictions().iloc[:, 0].tolist()
out["params"] = client.invoke(frame, params={"unused": 1}).get_predictions().iloc[:, 0].tolist()
out["array"] = client.invoke(frame[["x", "z", "c", "at"]].to_numpy(dtype=object)).get_predictions().iloc[:, 0].tolist()
out["typed"] = client.invoke(frame.assign(at=pd.to_datetime(frame["at"].str.replace(" UTC", "")))).get_predictions().iloc[:, 0].tolist()
try:
    client.invoke(frame.assign(x="no number at all"))
    out["error"] = None
except Exception as error:  # noqa: BLE001: the client raises no other
    out["error"] = str(error)
print(json.dumps(out))
