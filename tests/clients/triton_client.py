"""Runs in an environment of its own with tritonclient: `triton_client.py HOST:PORT JOB.json` prints what the client got, as JSON."""
import json
import sys

import numpy as np
import tritonclient.http as triton

url, job = sys.argv[1], json.load(open(sys.argv[2]))
client = triton.InferenceServerClient(url)
out = {"live": client.is_server_live(), "ready": client.is_server_ready(), "server": client.get_server_metadata()}
model, version = job["model"], job["version"]
out["model ready"] = client.is_model_ready(model)
out["version ready"] = client.is_model_ready(model, version)
out["unknown ready"] = client.is_model_ready("no.such")
out["model"] = client.get_model_metadata(model)
out["index"] = client.get_model_repository_index()

records = job["records"]


def inputs(binary):
    made = []
    for name, datatype, dtype in (("x", "FP64", np.float64), ("z", "FP64", np.float64), ("c", "BYTES", object), ("at", "BYTES", object)):
        values = [r[name] for r in records]
        if datatype == "BYTES":
            values = ["" if v is None else v for v in values]
        else:
            values = [np.nan if v is None else v for v in values]
        tensor = triton.InferInput(name, [len(values)], datatype)
        tensor.set_data_from_numpy(np.array(values, dtype=dtype), binary_data=binary)
        made.append(tensor)
    return made


def values(result, name):
    array = result.as_numpy(name)
    return [v.decode() if isinstance(v, bytes) else v for v in array.reshape(-1).tolist()]


wanted = job["outputs"]
out["infer"] = {}
for binary_in in (True, False):
    for binary_out in (True, False):
        asked = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in wanted]
        result = client.infer(model, inputs(binary_in), outputs=asked, request_id="r-1")
        assert result.get_response()["id"] == "r-1"
        out["infer"][f"binary in {binary_in}, out {binary_out}"] = {name: values(result, name) for name in wanted}
out["forced"] = values(client.infer(model, inputs(True), model_version=version), wanted[0])
out["gzip"] = values(client.infer(model, inputs(True), request_compression_algorithm="gzip", response_compression_algorithm="gzip"), wanted[0])
pending = [client.async_infer(model, inputs(True)) for _ in range(8)]
out["async"] = [values(p.get_result(), wanted[0]) for p in pending]
out["errors"] = {}
for name, call in {"no model": lambda: client.infer("no.such", inputs(True)),
                   "no input": lambda: client.infer(model, []),
                   "an unknown version": lambda: client.infer(model, inputs(True), model_version="v77")}.items():
    try:
        call()
        out["errors"][name] = None
    except triton.InferenceServerException as error:
        out["errors"][name] = [error.status(), error.message()]
client.close()
print(json.dumps(out))
