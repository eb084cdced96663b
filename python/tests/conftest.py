"""Data that decides: values at the models' own thresholds and one step beside them, and all that is odd."""
import os

os.environ["OMP_NUM_THREADS"] = "1"  # the libraries' own threads wait by spinning

import numpy as np  # noqa: E402
import pytest  # noqa: E402

ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-36, -1e-36, 1e-35, 2.2e-308, 3.4028235677973366e38, -1e300, 1e300, 1.5, -1.0,
       16777217.0, 9007199254740993.0]


def around(values):
    """Each value, its float32, and the neighbours of both."""
    values = np.unique(np.asarray(values, np.float64))
    single = values.astype(np.float32)
    wide = single.astype(np.float64)
    near = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf), wide, np.nextafter(wide, np.inf), np.nextafter(wide, -np.inf),
            np.nextafter(single, np.float32(np.inf)).astype(np.float64), np.nextafter(single, np.float32(-np.inf)).astype(np.float64)]
    middles = [(wide + near[6]) / 2, (wide + near[7]) / 2]
    return np.unique(np.concatenate(near + middles))


def adversarial(thresholds, columns, rows=3000, odd=ODD, seed=0):
    """Rows of values around thresholds, mixed with odd ones."""
    rng = np.random.default_rng(seed)
    finite = around([t for t in thresholds if np.isfinite(t)] or [0.0])
    out = rng.choice(finite, (rows, columns))
    mask = rng.random((rows, columns)) < 0.15
    out[mask] = rng.choice(odd, int(mask.sum())) if len(odd) else out[mask]
    return out


@pytest.fixture(scope="session")
def data():
    """Numbers, with classes and counts to learn."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(1200, 6)).round(3)
    y = x[:, 0] * 2 + np.where(x[:, 1] > 0.3, x[:, 2], -x[:, 3]) + rng.normal(size=1200) / 4
    return x, y


def assert_same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    if a.dtype.kind != "f":
        assert (a == b).all()
        return
    b = b.astype(np.float64)
    same = (a.astype(np.float64) == b) | (np.isnan(a) & np.isnan(b))
    assert same.all(), f"{(~same).sum()} of {same.size} differ, by at most {np.nanmax(np.abs(a - b))}"
