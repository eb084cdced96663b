"""The demo: the whole thread through the real parts, and what a person expects of its figures."""
import csv
import statistics


def test_demo_trains_five_versions_and_scores_unseen_trips(bare):
    answer = bare.json("demo", "--rows", "20000")
    versions = answer["versions"]
    assert [v["version"] for v in versions] == [1, 2, 3, 4, 5]
    assert sum(v["active"] for v in versions) == 1
    active = next(v for v in versions if v["active"])
    assert active["metrics"]["rmse"] == min(v["metrics"]["rmse"] for v in versions)
    assert all(0.75 < v["metrics"]["r2"] < 0.97 for v in versions), [v["metrics"]["r2"] for v in versions]
    assert len(answer["head"]) == 5
    assert len({row["prediction"] for row in answer["head"]}) == 5
    assert answer["seconds"] < 60


def test_demo_is_remade_and_gives_the_same_bits(bare):
    first = bare.json("demo", "--rows", "5000")
    second = bare.json("demo", "--rows", "5000")
    assert [v["metrics"] for v in first["versions"]] == [v["metrics"] for v in second["versions"]]
    assert first["head"] == second["head"]


def test_demo_leaves_a_folder_that_is_not_its_own_alone(bare):
    bare.home.mkdir()
    (bare.home / "precious.txt").write_text("mine")
    error = bare("demo", "--json", code=5).error
    assert error["code"] == "conflict" and "--home" in error["hint"]
    assert (bare.home / "precious.txt").read_text() == "mine"


def test_generated_trips_show_what_real_ones_show(bare):
    bare("demo", "--rows", "40000")
    rows = []
    for name in ("trips-1.csv", "trips-2.csv", "trips-3.csv"):
        with open(bare.home / "demo" / "data" / name, newline="") as file:
            rows += [r for r in csv.DictReader(file)]
    assert len(rows) == 40000
    near = lambda r, side, lon, lat: abs(float(r[f"{side}_longitude"]) - lon) < 0.02 and abs(float(r[f"{side}_latitude"]) - lat) < 0.02
    jfk = (-73.782, 40.644)
    flat = [float(r["fare_amount"]) for r in rows if near(r, "pickup", *jfk) and near(r, "dropoff", -73.985, 40.758)]
    assert len(flat) > 20 and 50 < statistics.median(flat) < 58

    def mean_per_km(keep):
        chosen = [r for r in rows if keep(int(r["pickup_datetime"][11:13])) and 2.5 <= float(r["fare_amount"]) <= 40]
        return statistics.mean(float(r["fare_amount"]) for r in chosen)

    assert mean_per_km(lambda h: 16 <= h < 20) > mean_per_km(lambda h: 10 <= h < 15)
    bad = [r for r in rows if float(r["fare_amount"]) < 2.5 or float(r["fare_amount"]) > 250 or float(r["pickup_longitude"]) == 0
           or int(r["passenger_count"]) == 0 or (r["pickup_longitude"], r["pickup_latitude"]) == (r["dropoff_longitude"], r["dropoff_latitude"])]
    assert 0.01 < len(bad) / len(rows) < 0.02
