"""Trains Python LightGBM on feature matrices that a test wrote, for comparison bit for bit.

usage: lightgbm_peer.py CASES.json
Each case: {"train": FILE, "holdout": FILE or "", "features": N, "names": [...], "weighted": bool,
"class_weights": [...], "parameters": {...}, "early_stopping": N, "model": OUT, "scores": OUT}.
Matrix files are rows of float64: the features, the label, the weight. `model` gets the model text, `scores` the
predictions of the training rows as float64.
"""

import json
import sys

import lightgbm as lgb
import numpy as np


def read(path, features):
    rows = np.fromfile(path, dtype=np.float64).reshape(-1, features + 2)
    return np.ascontiguousarray(rows[:, :features]), rows[:, features], rows[:, features + 1]


def run(case):
    parameters = dict(case["parameters"])
    rounds = parameters.pop("num_iterations")
    categorical = parameters.pop("categorical_feature", "")
    categorical = [int(c) for c in str(categorical).split(",") if c != ""]
    x, label, weight = read(case["train"], case["features"])
    if case["class_weights"]:
        weight = weight * np.array(case["class_weights"])[label.astype(int)]
    elif not case["weighted"]:
        weight = None
    train = lgb.Dataset(x, label, weight=weight, params=parameters, feature_name=case["names"],
                        categorical_feature=categorical, free_raw_data=False)
    callbacks, valid = [], []
    if case["holdout"]:
        hx, hlabel, hweight = read(case["holdout"], case["features"])
        valid = [train.create_valid(hx, hlabel, weight=hweight if case["weighted"] else None)]
        if case["early_stopping"]:
            callbacks = [lgb.early_stopping(case["early_stopping"], first_metric_only=True, verbose=False)]
    booster = lgb.train(parameters, train, num_boost_round=rounds, valid_sets=valid, callbacks=callbacks)
    best = booster.best_iteration if callbacks else rounds
    with open(case["model"], "w", encoding="utf-8") as out:
        out.write(booster.model_to_string(num_iteration=best))
    booster.predict(x, num_iteration=best).astype(np.float64).tofile(case["scores"])


def main():
    with open(sys.argv[1], encoding="utf-8") as cases:
        for case in json.load(cases):
            run(case)


if __name__ == "__main__":
    main()
