"""Real New York taxi trips: trained here, scored here, and compared bit for bit with Python LightGBM."""
import csv
import json
import os


os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads take minutes on a busy machine
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

TLC = """
project: tlc
datasets:
  trips: {{type: files, path: {data}/tlc-fares-train.csv}}
  unseen: {{type: files, path: {data}/tlc-fares-test.csv}}
  predictions: {{type: managed}}
models:
  fare: {{}}
recipes:
  train:
    type: train
    input: trips
    output: fare
    target: fare_amount
    prediction: regression
    algorithm: {{lightgbm: {{num_iterations: 30, num_leaves: 31, learning_rate: 0.15, min_data_in_leaf: 40}}}}
    validation: {validation}
  score: {{type: score, inputs: {{model: fare, data: unseen}}, output: predictions}}
"""


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)


def scored(path, column="prediction"):
    with open(path, newline="") as file:
        return np.array([float(row[column]) if row[column] else np.nan for row in csv.DictReader(file)])


def codes(training, values):
    """docs/features.md: 0, 1, 2, ... by falling count in training, ties by text; missing is NaN."""
    count = training.dropna().value_counts()
    order = sorted(count.index, key=lambda text: (-count[text], text.encode()))
    return values.map({text: float(i) for i, text in enumerate(order)}).to_numpy(dtype=np.float64)


def matrix(info, training, frame):
    columns = []
    for feature in info["features"]:
        name = feature["source"]
        assert feature["name"] == name
        if feature["categorical"]:
            columns.append(codes(training[name], frame[name]))
        else:
            columns.append(frame[name].to_numpy(dtype=np.float64))
    return np.column_stack(columns)


def python_booster(info, training, target):
    parameters = dict(info["parameters"]["effective"])
    rounds = parameters.pop("num_iterations")
    categorical = parameters.pop("categorical_feature", None)
    places = [int(c) for c in str(categorical).split(",")] if categorical is not None else []
    assert places == [i for i, f in enumerate(info["features"]) if f["categorical"]]
    data = lgb.Dataset(matrix(info, training, training), training[target].to_numpy(), categorical_feature=places or "auto")
    return lgb.train(parameters, data, rounds)


@pytest.mark.parametrize("validation", ["none", "{holdout: 0.2, seed: 42}"])
def test_tlc_trips_are_predicted_as_python_lightgbm_does(slipway, shared_data, validation):
    slipway.write("project.yaml", TLC.format(data=shared_data, validation=validation))
    slipway("apply", "-f", "project.yaml")
    slipway("build", "tlc/fare", "tlc/predictions", timeout=300)
    info = slipway.json("model", "show", "tlc/fare")["info"]
    train, test = shared_data / "tlc-fares-train.csv", shared_data / "tlc-fares-test.csv"
    slipway("score", "--model", "tlc/fare", "--input", test, "--output", "out.csv")
    got = scored(slipway.folder / "out.csv")
    unseen = pd.read_csv(test)
    assert len(got) == len(unseen) and np.isfinite(got).all()
    assert np.abs(got - unseen.fare_amount).mean() < 0.7

    training = pd.read_csv(train)
    assert info["rows"] + info["holdout_rows"] == len(training)
    if info["holdout_rows"]:
        # The engine alone on the exported model: the training rows are not known here.
        slipway("model", "export", "tlc/fare", "--format", "lightgbm", "-o", "fare.txt")
        booster = lgb.Booster(model_file=slipway.folder / "fare.txt")
        assert slipway.json("model", "versions", "tlc/fare")[0]["metrics"]["mae"] < 0.7
        slipway("score", "--model", "tlc/fare", "--input", train, "--output", "train.csv")
        own = scored(slipway.folder / "train.csv")
        assert (bits(booster.predict(matrix(info, training, training))) == bits(own)).all()
    else:
        booster = python_booster(info, training, "fare_amount")
    want = booster.predict(matrix(info, training, unseen))
    differ = np.flatnonzero(bits(want) != bits(got))
    assert differ.size == 0, f"{differ.size} of {len(got)} differ, first row {differ[0]}: {want[differ[0]]} and {got[differ[0]]}"


NYC = """
project: nyc
datasets:
  trips: {{type: files, path: {data}/nyc-fares-25k.csv}}
models:
  fare: {{}}
recipes:
  train:
    type: train
    input: trips
    output: fare
    target: fare_amount
    prediction: regression
    prepare:
      - {{filter: "fare_amount between 2.5 and 250"}}
      - {{column: km, expr: "haversine_km(pickup_latitude, pickup_longitude, dropoff_latitude, dropoff_longitude)"}}
    features:
      key: ignore
      pickup_datetime: {{as: timestamp, parts: [year, month, day, hour, minute, weekday, epoch]}}
      passenger_count: {{as: numeric, missing: median}}
    algorithm: {{lightgbm: {{num_iterations: 50, learning_rate: 0.2}}}}
    validation: none
"""


def test_nyc_trips_with_distance_and_parts_of_time(slipway, shared_data):
    slipway.write("project.yaml", NYC.format(data=shared_data))
    slipway("apply", "-f", "project.yaml")
    slipway("build", "nyc/fare", timeout=300)
    info = slipway.json("model", "show", "nyc/fare")["info"]
    source = shared_data / "nyc-fares-25k.csv"
    frame = pd.read_csv(source)
    frame["pickup_datetime"] = pd.to_datetime(frame.pickup_datetime, format="mixed", utc=True)
    training = frame[frame.fare_amount.between(2.5, 250)]
    assert info["rows"] == len(training) and info["dropped_rows"]["filtered"] == len(frame) - len(training)

    def haversine(t):
        a1, o1, a2, o2 = (np.radians(t[c]) for c in ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude"))
        h = np.sin((a2 - a1) / 2) ** 2 + np.cos(a1) * np.cos(a2) * np.sin((o2 - o1) / 2) ** 2
        return 2 * 6371.0088 * np.arcsin(np.sqrt(h))

    slipway("score", "--model", "nyc/fare", "--input", source, "--output", "out.csv")
    got = scored(slipway.folder / "out.csv")
    time = frame.pickup_datetime.dt
    parts = {"year": time.year, "month": time.month, "day": time.day, "hour": time.hour, "minute": time.minute,
             "weekday": (time.weekday + 1) % 7, "epoch": frame.pickup_datetime.astype("datetime64[us, UTC]").astype("int64") / 1e6}
    columns = []
    for feature in info["features"]:
        name, _, part = feature["name"].partition(":")
        values = haversine(frame) if name == "km" else parts[part] if part else frame[name]
        if name == "passenger_count":
            values = values.fillna(training.passenger_count.median())
        columns.append(np.asarray(values, dtype=np.float64))
    assert [f["name"] for f in info["features"]].count("km") == 1 and len(info["features"]) == 13
    slipway("model", "export", "nyc/fare", "--format", "lightgbm", "-o", "fare.txt")
    booster = lgb.Booster(model_file=slipway.folder / "fare.txt")
    want = booster.predict(np.column_stack(columns))
    same = bits(want) == bits(got)
    # haversine's last bits depend on the order of its operations: only a trip on a split's edge may differ.
    assert same.mean() > 0.999, f"{(~same).sum()} of {len(same)} differ"
    chosen = training.index
    residual = got[chosen] - training.fare_amount
    assert 1 - (residual ** 2).sum() / ((training.fare_amount - training.fare_amount.mean()) ** 2).sum() > 0.75

    with open(slipway.folder / "in.jsonl", "w") as file, open(source, newline="") as rows:
        for row in csv.DictReader(rows):
            row.pop("fare_amount")
            file.write(json.dumps(row) + "\n")  # every value as a text
    slipway("score", "--model", "nyc/fare", "--input", "in.jsonl", "--output", "json.csv")
    assert (bits(scored(slipway.folder / "json.csv")) == bits(got)).all()
