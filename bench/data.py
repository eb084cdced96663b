"""Generated data and models for the benchmarks: fixed seeds, 10 numeric and 2 categorical columns.

`data.py FUNCTION ARGUMENT...` runs one of scoring_files, training_csv, repeat, largest_difference."""
import pathlib
import sys

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


def scoring_files(folder, rows, trees):
    """model.txt, rows.csv and rows.parquet."""
    import lightgbm

    train = frame(100_000, 1)
    y = target(train, 2)
    for name in CATEGORY:
        train[name] = train[name].astype("category")
    booster = lightgbm.train({"objective": "regression", "num_leaves": 31, "learning_rate": 0.1, "verbosity": -1, "num_threads": 2},
                             lightgbm.Dataset(train, y), num_boost_round=trees)
    booster.save_model(str(folder / "model.txt"))
    df = frame(rows, 3)
    df.to_csv(folder / "rows.csv", index=False)
    df.to_parquet(folder / "rows.parquet", index=False)


def training_csv(folder, rows):
    df = frame(rows, 4)
    df["y"] = target(df, 5)
    df.to_csv(folder / "train.csv", index=False)


def repeat(source, path, times):
    if source.suffix == ".parquet":
        import pyarrow.parquet as parquet

        table = parquet.read_table(source)
        with parquet.ParquetWriter(path, table.schema) as writer:
            for _ in range(times):
                writer.write_table(table)
        return
    with open(source, "rb") as file, open(path, "wb") as out:
        out.write(file.readline())
        start = file.tell()
        for _ in range(times):
            file.seek(start)
            while block := file.read(1 << 22):
                out.write(block)


def largest_difference(ours, peer):
    """Of the predictions; a missing or additional one counts as an infinite difference."""
    read = pd.read_parquet if ours.suffix == ".parquet" else pd.read_csv
    a, b = read(ours)["prediction"].to_numpy(), read(peer)["prediction"].to_numpy()
    print(float("inf") if len(a) != len(b) or np.isnan(a).any() or np.isnan(b).any() else float(np.abs(a - b).max()))


if __name__ == "__main__":
    {f.__name__: f for f in (scoring_files, training_csv, repeat, largest_difference)}[sys.argv[1]](
        *(int(a) if a.isdigit() else pathlib.Path(a) for a in sys.argv[2:]))
