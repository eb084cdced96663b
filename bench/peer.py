"""What people do today, as a process of its own: pandas reads, LightGBM trains or predicts (2 threads), pandas writes."""
import sys

import lightgbm
import pandas as pd

from data import CATEGORY


def categories(df, levels=None):
    for i, name in enumerate(CATEGORY):
        df[name] = df[name].astype("category" if levels is None else pd.CategoricalDtype(levels[i]))
    return df


def score(model, source, output):
    booster = lightgbm.Booster(model_file=model)
    parquet = source.endswith(".parquet")
    df = pd.read_parquet(source) if parquet else pd.read_csv(source)
    features = categories(df.copy(), booster.pandas_categorical)
    df["prediction"] = booster.predict(features, num_threads=2)
    if parquet:
        df.to_parquet(output, index=False)
    else:
        df.to_csv(output, index=False)


def train(source, output):
    df = categories(pd.read_csv(source))
    y = df.pop("y")
    held = df.sample(frac=0.2, random_state=1).index
    booster = lightgbm.train({"objective": "regression", "num_leaves": 31, "learning_rate": 0.1, "verbosity": -1, "num_threads": 2,
                              "deterministic": True, "force_row_wise": True},
                             lightgbm.Dataset(df.drop(index=held), y.drop(index=held)), num_boost_round=100)
    booster.save_model(output)
    for part in (held, df.index.difference(held)):  # metrics on both parts, as the recipe gives them
        error = booster.predict(df.loc[part], num_threads=2) - y.loc[part]
        print((error**2).mean() ** 0.5, error.abs().mean())


if __name__ == "__main__":
    {"score": score, "train": train}[sys.argv[1]](*sys.argv[2:])
