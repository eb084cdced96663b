"""A shop with API services over real models: what the tests of services and packages share."""
import copy
import csv
import io
import json
import os
import random
import zipfile

import pytest
import yaml

from conftest import BINARY, Slipway

ROUNDS = int(os.environ.get("SLIPWAY_CRASH_ROUNDS", "100")) // 5
NODE = BINARY.with_name("slipway-apinode")
PLACES = {"Berlin": ("DE", 0.5, "2020-01-02 03:04:05"), "Paris": ("FR", 880.25, "2021-01-01 00:00:00"), "Oslo": ("NO", None, "2022-05-06 07:08:09"),
          "Rome": ("IT", 1181.0, None)}


def orders(rows, seed, with_targets):
    """What an order costs depends on how far its place is, which only the table of places knows."""
    r = random.Random(seed)
    out = []
    for i in range(rows):
        place = r.choice(list(PLACES))
        row = {"order_id": 1000 + i, "place": place if i % 23 else "", "items": r.randint(1, 9), "weight_kg": round(r.uniform(0, 20), 2),
               "express": str(r.random() < 0.3).lower(), "ordered_at": f"2024-{i % 12 + 1:02}-{i % 28 + 1:02} {i % 24:02}:15:00"}
        if with_targets:
            country, distance, _ = PLACES[place]
            amount = round(12.5 * row["items"] + 1.3 * row["weight_kg"] + (distance or 0) / 50, 2)
            row.update(country=country, distance="" if distance is None else distance, amount=amount, express_like=int(amount > 60),
                       size="small" if amount < 40 else "medium" if amount < 80 else "large")
        out.append(row)
    return out


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def train(target, prediction, drop, iterations=8):
    return {"type": "train", "input": "orders", "output": target, "target": target, "prediction": prediction,
            "features": {name: "ignore" for name in ["order_id", *drop]}, "algorithm": {"lightgbm": {"num_iterations": iterations, "min_data_in_leaf": 5}}}


def as_yaml(project):
    return yaml.safe_dump(json.loads(json.dumps(project)), sort_keys=False)  # without anchors


TARGETS = ["amount", "express_like", "size"]
PROJECT = {
    "project": "shop",
    "datasets": {"orders": {"type": "files", "path": "orders.csv"}, "new": {"type": "files", "path": "new.csv"},
                 "places": {"type": "files", "path": "places.csv"}, "twice": {"type": "files", "path": "twice.jsonl"}, "kept": {"type": "managed"}},
    "models": {**{t: {} for t in TARGETS}, "never": {}},
    "recipes": {**{f"train_{t}": train(t, p, [o for o in TARGETS if o != t]) for t, p in zip(TARGETS, ["regression", "binary", "multiclass"])},
                "keep": {"type": "sync", "input": "places", "output": "kept"}},
}
PLACE = {"table": "places", "keys": {"name": "place"}, "columns": {"country": "country", "km": "distance"}}
FULL = {
    "description": "what an order costs",
    "auth": "api_keys",
    "endpoints": {
        "amount": {"prediction": "amount", "enrich": [PLACE], "test_queries": "from_dataset(new, 5)"},
        "express": {"prediction": "express_like@1", "enrich": [PLACE], "explanations": {"enabled": True, "count": 3},
                    "test_queries": [{"name": "by hand", "features": {"place": "Rome", "items": 3, "weight_kg": 2.5, "express": True,
                                                                      "ordered_at": "2024-01-02 03:04:05"}},
                                     {"features": {"place": "Oslo", "items": None, "weight_kg": 1e-3}},
                                     {"from_dataset": "new", "rows": 3, "seed": 7}]},
        "size": {"prediction": "size@latest", "enrich": [PLACE], "test_queries": {"from_dataset": "new", "rows": 4}},
        "places": {"lookup": {"tables": [{"table": "places", "keys": ["name"]}, {"table": "kept", "keys": {"name": "name", "country": "country"},
                                                                                "columns": {"km": "how_far"}}]},
                   "test_queries": [{"data": {"name": "Paris", "country": "FR"}}]},
    },
}


class Shop:
    """One home with three trained models; every test applies services of its own."""

    def __init__(self, folder):
        self.slipway = Slipway(folder)
        self.slipway("init")
        self.slipway.write("orders.csv", as_csv(orders(400, 1, True)))
        self.slipway.write("new.csv", as_csv(orders(120, 2, False)))
        rows = [{"name": name, "country": c, "km": "" if k is None else k, "since": s or ""} for name, (c, k, s) in PLACES.items()]
        self.slipway.write("places.csv", as_csv(rows))
        self.slipway.write("twice.jsonl", "".join(json.dumps({"name": n, "distance": k}) + "\n" for n, k in [("Oslo", 1), ("Oslo", 2), ("Rome", 3)]))
        self.apply({})
        self.slipway("build", *(f"shop/{t}" for t in TARGETS), "shop/kept")

    def apply(self, services, code=0, **more):
        project = copy.deepcopy({**PROJECT, **more})
        project["services"] = services
        self.slipway.write("shop.yaml", as_yaml(project))
        return self.slipway("apply", "-f", "shop.yaml", code=code)

    def package(self, name, service, *more, code=0):
        self.apply({name: service})
        return self.slipway("service", "package", f"shop/{name}", "-o", f"{name}.zip", "--json", *more, code=code)

    def refused(self, name, service, *more, code=1):
        return self.package(name, service, *more, code=code).error

    def zip(self, name):
        return zipfile.ZipFile(self.slipway.folder / f"{name}.zip")

    def queries(self, name):
        return json.loads(self.zip(name).read("test_queries.json"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    assert BINARY.exists(), f"{BINARY} is not built: ./run build"
    return Shop(tmp_path_factory.mktemp("services"))


@pytest.fixture(scope="module")
def full(shop):
    shop.package("full", FULL)
    return shop


def endpoint(**keys):
    return {"endpoints": {"e": keys}}
