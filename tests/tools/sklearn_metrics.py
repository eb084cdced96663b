"""Answers cases with scikit-learn: reads a JSON list of cases from argv[1], writes the metrics to argv[2].

A case: {"kind": "regression" | "binary" | "multiclass", "label": [...], "prediction": [...], "weight": [...] or null}.
Used by src/slipway/stats/metrics_test.cc.
"""
import json
import sys
import warnings

import numpy as np
from sklearn import metrics as m

warnings.simplefilter("ignore")


def regression(y, p, w):
    return {
        "rmse": m.root_mean_squared_error(y, p, sample_weight=w),
        "mae": m.mean_absolute_error(y, p, sample_weight=w),
        "mape": m.mean_absolute_percentage_error(y, p, sample_weight=w),
        "r2": m.r2_score(y, p, sample_weight=w),
        "explained_variance": m.explained_variance_score(y, p, sample_weight=w),
        "median_absolute_error": m.median_absolute_error(y, p, sample_weight=w),
        "max_error": m.max_error(y, p),
        "mean_error": np.average(p - y, weights=w),
    }


def binary(y, p, w):
    hard = (p > 0.5).astype(int)
    both = len(set(y)) == 2
    return {
        "auc": m.roc_auc_score(y, p, sample_weight=w) if both else None,
        "log_loss": m.log_loss(y, p, sample_weight=w, labels=[0, 1]),
        "accuracy": m.accuracy_score(y, hard, sample_weight=w),
        "precision": m.precision_score(y, hard, sample_weight=w, zero_division=0),
        "recall": m.recall_score(y, hard, sample_weight=w, zero_division=0),
        "f1": m.f1_score(y, hard, sample_weight=w, zero_division=0),
        "average_precision": m.average_precision_score(y, p, sample_weight=w) if any(y) else None,
        "brier": m.brier_score_loss(y, p, sample_weight=w, pos_label=1) if both else np.average((p - y) ** 2, weights=w),
        "mcc": m.matthews_corrcoef(y, hard, sample_weight=w),
    }


def multiclass(y, p, w):
    p = p.reshape(len(y), -1)
    labels = list(range(p.shape[1]))
    hard = p.argmax(axis=1)
    out = {
        "log_loss": m.log_loss(y, p, sample_weight=w, labels=labels),
        "accuracy": m.accuracy_score(y, hard, sample_weight=w),
    }
    for name, score in (("precision", m.precision_score), ("recall", m.recall_score), ("f1", m.f1_score)):
        out[name] = score(y, hard, average="macro", sample_weight=w, zero_division=0)
        out[name + "_weighted"] = score(y, hard, average="weighted", sample_weight=w, zero_division=0)
    # One-vs-rest by hand: roc_auc_score wants rows that sum to 1 and every class.
    parts = [(m.roc_auc_score(y == c, p[:, c], sample_weight=w), np.sum((np.ones(len(y)) if w is None else w)[y == c]))
             for c in labels if 0 < np.sum(y == c) < len(y)]
    out["auc"] = np.mean([a for a, _ in parts])
    out["auc_weighted"] = np.average([a for a, _ in parts], weights=[s for _, s in parts])
    if len(parts) == len(labels) and np.allclose(p.sum(axis=1), 1):
        assert np.isclose(out["auc"], m.roc_auc_score(y, p, multi_class="ovr", average="macro", sample_weight=w))
    return out


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    kinds = {"regression": regression, "binary": binary, "multiclass": multiclass}
    answers = []
    for case in cases:
        y = np.array(case["label"], dtype=float if case["kind"] == "regression" else int)
        p = np.array(case["prediction"], dtype=float)
        w = None if case["weight"] is None else np.array(case["weight"], dtype=float)
        got = kinds[case["kind"]](y, p, w)
        answers.append({k: None if v is None or np.isnan(v) else float(v) for k, v in got.items()})
    with open(sys.argv[2], "w") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main()
