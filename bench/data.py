"""Generated data and models for the benchmarks: fixed seeds, 10 numeric and 2 categorical columns."""
import numpy as np
import pandas as pd

NUMERIC = [f"x{i}" for i in range(10)]
CATEGORY = ["colour", "shop"]
COLOURS = ["red", "green", "blue", "black", "white", "grey", "pink", "brown"]


def frame(rows, seed):
    random = np.random.default_rng(seed)
    columns = {name: np.round(random.normal(size=rows) * 10, 4) for name in NUMERIC}
    columns["colour"] = np.array(COLOURS)[random.integers(0, len(COLOURS), rows)]
    columns["shop"] = np.char.add("shop-", random.integers(0, 50, rows).astype(str))
    return pd.DataFrame(columns)


def target(df, seed):
    random = np.random.default_rng(seed)
    effect = df["colour"].map({c: i * 1.5 for i, c in enumerate(COLOURS)}).to_numpy()
    shop = df["shop"].str[5:].astype(int).to_numpy() % 7
    return np.round(df["x0"] * 2 + df["x1"] * df["x2"] / 10 + np.sin(df["x3"] / 5) * 8 + effect + shop + random.normal(size=len(df)), 4)


def scoring_files(folder, rows):
    import lightgbm

    train = frame(100_000, 1)
    y = target(train, 2)
    for name in CATEGORY:
        train[name] = train[name].astype("category")
    booster = lightgbm.train({"objective": "regression", "num_leaves": 31, "learning_rate": 0.1, "verbosity": -1, "num_threads": 2},
                             lightgbm.Dataset(train, y), num_boost_round=300)
    files = {"model": folder / "model.txt", "csv": folder / "rows.csv", "parquet": folder / "rows.parquet"}
    booster.save_model(str(files["model"]))
    df = frame(rows, 3)
    df.to_csv(files["csv"], index=False)
    df.to_parquet(files["parquet"], index=False)
    return files


def training_csv(folder, rows):
    df = frame(rows, 4)
    df["y"] = target(df, 5)
    df.to_csv(folder / "train.csv", index=False)
    return folder / "train.csv"


def repeat_csv(source, path, times):
    with open(source, "rb") as file:
        header = file.readline()
        start = file.tell()
        with open(path, "wb") as out:
            out.write(header)
            for _ in range(times):
                file.seek(start)
                while block := file.read(1 << 22):
                    out.write(block)
    return path


def repeat_parquet(source, path, times):
    import pyarrow.parquet as parquet

    table = parquet.read_table(source)
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(times):
            writer.write_table(table)
    return path


def largest_difference(ours, peer, kind):
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    a, b = read(ours)["prediction"].to_numpy(), read(peer)["prediction"].to_numpy()
    if len(a) != len(b):
        return float("inf")
    return float(np.abs(a - b).max())
