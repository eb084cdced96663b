"""The usual way to serve LightGBM from Python: the peer of `./run bench serve`."""
import os

import lightgbm
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

booster = lightgbm.Booster(model_file=os.environ["MODEL"])
names = booster.feature_name()
app = FastAPI()


class Record(BaseModel):
    features: dict[str, float]


def row(record):
    return np.array([[record.features[name] for name in names]])


@app.post("/predict")
async def predict(record: Record):
    return {"result": {"prediction": float(booster.predict(row(record), num_threads=1)[0])}}


@app.post("/explain")
async def explain(record: Record):
    contributions = booster.predict(row(record), pred_contrib=True, num_threads=1)[0]
    largest = np.argsort(-np.abs(contributions[:-1]))[:5]
    return {"result": {"prediction": float(contributions.sum()), "explanations": {names[i]: float(contributions[i]) for i in largest}}}
