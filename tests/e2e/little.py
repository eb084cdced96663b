"""A little project that every test file here can use: quick to build, its answers known."""
import random

ROWS = 400
UNSEEN = 50


def training_csv(rows=ROWS, seed=1, shift=0.0):
    r = random.Random(seed)
    lines = ["id,x,z,c,y"]
    for i in range(rows):
        x, z, c = r.uniform(0, 10), r.random(), r.choice("abc")
        lines.append(f"{i},{x:.4f},{z:.4f},{c},{3 * x + z + (2 if c == 'a' else 0) + shift:.4f}")
    return "\n".join(lines) + "\n"


def unseen_csv(rows=UNSEEN, seed=2):
    r = random.Random(seed)
    lines = ["id,x,z,c"]
    for i in range(rows):
        lines.append(f"{i},{r.uniform(0, 10):.4f},{r.random():.4f},{r.choice('abc')}")
    return "\n".join(lines) + "\n"


def project_yaml(iterations=5, model="m: {}", scores="m", query="SELECT c, count(*) AS k, avg(y) AS y FROM copy GROUP BY c ORDER BY c",
                 more=""):
    """Indented as people write it; `more` goes below recipes."""
    return f"""project: p
datasets:
  t: {{type: files, path: t.csv}}
  new: {{type: files, path: new.csv}}
  copy: {{type: managed}}
  agg: {{type: managed}}
  scored: {{type: managed}}
models:
  {model}
recipes:
  copy_t: {{type: sync, input: t, output: copy}}
  agg_t: {{type: sql, inputs: [copy], query: "{query}", output: agg}}
  train_m:
    type: train
    input: t
    output: m
    target: "y"
    prediction: regression
    features: {{id: ignore}}
    algorithm: {{lightgbm: {{num_iterations: {iterations}, num_leaves: 7, min_data_in_leaf: 5}}}}
  score_new: {{type: score, inputs: {{model: "{scores}", data: new}}, output: scored}}
{more}"""


def make(slipway, **kwargs):
    """Writes the files and applies the project."""
    slipway.write("t.csv", training_csv())
    slipway.write("new.csv", unseen_csv())
    slipway.write("p.yaml", project_yaml(**kwargs))
    slipway("apply", "-f", "p.yaml")


def retrain(slipway, iterations, **kwargs):
    """Other settings, hence another version."""
    slipway.write("p.yaml", project_yaml(iterations=iterations, **kwargs))
    slipway("apply", "-f", "p.yaml")
    return slipway.json("build", "p/m")


def steps(slipway, *targets, mode="upstream"):
    """recipe -> (action, reason) of a planned build."""
    plan = slipway.json("build", *targets, "--plan", "--mode", mode)
    return {s["recipe"]: (s["action"], s["reason"]) for s in plan["steps"]}


def outcomes(build):
    """recipe -> status of a build's answer."""
    return {a["recipe"]: a["status"] for a in build["activities"]}
