"""Activation policies as a build applies them."""
import pytest

PROJECT = """
project: p
datasets:
  t: {{type: files, path: t.csv}}
models:
  m: {{activation: {activation}}}
recipes:
  train: {{type: train, input: t, output: m, target: y, prediction: regression, algorithm: {{lightgbm: {{num_iterations: {rounds}}}}}}}
"""


@pytest.fixture
def build(slipway):
    slipway.write("t.csv", "x,y\n" + "".join(f"{i % 97},{i % 97 * 3 + i % 5}\n" for i in range(2000)))

    def run(activation, rounds):
        slipway.write("p.yaml", PROJECT.format(activation=activation, rounds=rounds))
        slipway("apply", "-f", "p.yaml")
        slipway("build", "p/m")
        return [v["version"] for v in slipway.json("model", "versions", "p/m") if v["active"]]

    return run


def why(slipway):
    return [h["why"] for h in slipway.json("model", "history", "p/m")]


def test_if_better_activates_only_what_is_better_on_the_same_rows(slipway, build):
    assert build("{if_better: rmse}", 3) == [1]
    assert build("{if_better: rmse}", 2) == [1]
    assert build("{if_better: rmse}", 60) == [3]
    assert len(why(slipway)) == 2 and "is better than" in why(slipway)[-1]


def test_never_leaves_the_first_version_active(slipway, build):
    assert build("never", 3) == [1]
    assert build("never", 60) == [1]
    assert why(slipway) == ["the first version"]


def test_always_activates_the_newest(slipway, build):
    assert build("always", 60) == [1]
    assert build("always", 3) == [2]
