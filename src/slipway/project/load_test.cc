#include "slipway/project/load.h"

#include <functional>

#include "slipway/base/file.h"
#include "slipway/project/diff.h"
#include "slipway/project/export.h"
#include "slipway/project/validate.h"
#include "slipway/project/yaml.h"

namespace slipway {
namespace {

constexpr const char* kSketch = R"yaml(project: ny_taxi_fares
datasets:
  trips:        {type: files, path: data/trips-*.csv}
  new_trips:    {type: files, path: data/new.csv}
  predictions:  {type: managed}
models:
  fare:         {activation: {if_better: rmse}, keep_versions: 20}
recipes:
  train_fare:
    type: train
    input: trips
    output: fare
    target: fare_amount
    prediction: regression            # regression | binary | multiclass
    prepare:
      - {filter: "fare_amount between 2.5 and 250"}
      - {column: hour, expr: "hour(pickup_datetime)"}
    features: {key: ignore, passenger_count: {as: numeric, missing: median}}
    algorithm: {lightgbm: {num_iterations: 500, num_leaves: 31, learning_rate: 0.05}}
    validation: {holdout: 0.2, seed: 42}
  score_new:    {type: score, inputs: {model: fare, data: new_trips}, output: predictions}
services:
  fares:
    endpoints: {fare: {prediction: fare, test_queries: from_dataset(new_trips, 5)}}
)yaml";

TEST(LoadProject, TakesTheSketchOfTheDesignAsItStands) {
  auto project = LoadProjectText(kSketch, "/w/project.yaml");
  ASSERT_TRUE(project.ok()) << project.error().message;
  EXPECT_EQ(project->name, "ny_taxi_fares");
  EXPECT_EQ(project->datasets["trips"].paths, std::vector<std::string>{"/w/data/trips-*.csv"});
  EXPECT_EQ(project->models["fare"].activation_metric, "rmse");
  EXPECT_EQ(project->recipes["score_new"].model, "fare");
  EXPECT_EQ(project->services["fares"]["endpoints"]["fare"]["test_queries"],
            "from_dataset(new_trips, 5)");
}

TEST(LoadProject, ExportThenLoadGivesTheSameProject) {
  auto project = LoadProjectText(kSketch, "/w/project.yaml");
  ASSERT_TRUE(project.ok());
  const std::string yaml = ToYaml(*project, {"/w"});
  EXPECT_THAT(yaml, testing::HasSubstr("trips: {type: files, path: data/trips-*.csv}\n"));
  auto again = LoadProjectText(yaml, "/w/x.yaml");
  ASSERT_TRUE(again.ok()) << again.error().message << "\n" << yaml;
  EXPECT_TRUE(SameProject(*project, *again)) << yaml;
  EXPECT_TRUE(Diff(*project, *again).empty());
  auto json = ProjectFromJson(ProjectToJson(*project));
  ASSERT_TRUE(json.ok());
  EXPECT_TRUE(SameProject(*project, *json));
}

// A valid frame, so that a case shows only what is wrong: lines 1 to 6.
std::string WithRecipes(const std::string& recipes) {
  return "project: p\n"
         "datasets:\n"
         "  raw: {type: files, path: a.csv}\n"
         "  clean: {type: managed}\n"
         "  out: {type: managed}\n"
         "models: {fare: {}, other: {}}\n"
         "recipes:\n" +
         recipes;
}

TEST(LoadProject, SaysWhatIsWrongAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"project: p\nmodles: {}\n",
       "p.yaml:2:1: unknown key 'modles' in a project; did you mean 'models'?"},
      {"project: p\nproject: q\n",
       "p.yaml:2:1: duplicate key 'project'; it stands already at line 1, column 1"},
      {"project: &a p\n", "p.yaml:1:10: anchors (&a) are not supported: write the value out"},
      {"project: *a\n",
       "p.yaml:1:10: aliases (*name) are not supported: write the value out, or quote the text"},
      {"project: \"\\N\"\n",
       "p.yaml:1:10: the escapes \\N and \\_ are not supported: write \\u0085 or \\u00A0"},
      {"project: !!str p\n", "p.yaml:1:10: tags (!...) are not supported: write the plain value"},
      {"a:\n  <<: {b: 1}\n", "p.yaml:2:3: merge keys (<<) are not supported: write the values out"},
      {"project: p\n---\nproject: q\n",
       "p.yaml:2:1: a second document begins here; one file holds one document"},
      {"models:\n\tfare: {}\n", "p.yaml:2:1: a tab is used for indentation; YAML wants spaces"},
      {"a:\n    b: 1\n  c: 2\n",
       "p.yaml:3:3: wrong indentation: this line fits neither the block above it nor the one "
       "around it"},
      {"a: .inf\n", "p.yaml:1:4: the number .inf is out of range; quote it if it is text"},
      {"a: {b: 1\n", "p.yaml:2:1: a '{' is not closed, or a ',' is missing"},
      {"- a\n",
       "p.yaml:1:1: a project file must be a map with keys such as 'project' and 'datasets'"},
      {"project: 5\n", "p.yaml:1:10: 'project' must be text, not the number 5"},
      {"project: p\ndatasets: {d: {type: postgresql}}\n",
       "p.yaml:2:22: dataset type 'postgresql' comes with a later part of Slipway"},
      {"project: p\ndatasets: {d: {type: file, path: x}}\n",
       "p.yaml:2:22: unknown dataset type 'file'; it is one of 'files' and 'managed'; did you mean "
       "'files'?"},
      {"project: p\ndatasets: {d: {type: files}}\n",
       "p.yaml:2:15: missing key 'path' in dataset 'd'"},
      {"project: p\ndatasets: {d: {type: files, path: x, header: yes}}\n",
       "p.yaml:2:46: 'header' must be true or false, not the text 'yes'"},
      {"project: p\ndatasets: {d: {type: files, path: x, schema: {a: dubble}}}\n",
       "p.yaml:2:50: unknown type 'dubble' of column 'a'; types are 'boolean', 'int64', 'double', "
       "'string', 'date' and 'timestamp'; did you mean 'double'?"},
      {"project: p\ndatasets: {-x: {type: managed}}\n",
       "p.yaml:2:12: '-x' is not a valid dataset name"},
      {"project: p\nmodels: {m: {activation: {if_better: rsme}}}\n",
       "p.yaml:2:38: unknown metric 'rsme'; did you mean 'rmse'?"},
      {WithRecipes("  r: {type: evaluate}\n"),
       "p.yaml:8:13: recipe type 'evaluate' comes with a later part of Slipway"},
      {WithRecipes("  r: {type: sync, input: rwa, output: out}\n"),
       "p.yaml:8:26: recipe 'r' reads an unknown dataset 'rwa'; did you mean 'raw'?"},
      {WithRecipes("  r: {type: sync, input: clean, output: raw}\n"),
       "p.yaml:8:41: recipe 'r' cannot write dataset 'raw' of type files; recipes write managed "
       "datasets only"},
      {WithRecipes("  r: {type: sync, input: clean, output: clean}\n"),
       "p.yaml:8:41: recipe 'r' writes 'clean', which it reads"},
      {WithRecipes(
           "  r1: {type: sync, input: raw, output: out}\n  r2: {type: sync, input: raw, output: "
           "out}\n"),
       "p.yaml:9:40: dataset 'out' is the output of two recipes, 'r1' (p.yaml:8:40) and 'r2'"},
      {WithRecipes(
           "  r1: {type: sync, input: out, output: clean}\n  r2: {type: sync, input: clean, "
           "output: out}\n"),
       "p.yaml:9:3: the Flow has a cycle: clean -> r2 -> out -> r1 -> clean"},
      {WithRecipes("  r: {type: sql, input: raw, output: out}\n"),
       "p.yaml:8:6: missing key 'query' (or 'query_file')"},
      {WithRecipes(
           "  t: {type: train, input: raw, output: clean, target: y, prediction: binary}\n"),
       "p.yaml:8:40: the output of train recipe 't' must be a model; 'clean' is a dataset"},
      {WithRecipes(
           "  t: {type: train, input: raw, output: fare, target: y, prediction: regresion}\n"),
       "'prediction' must be one of 'regression', 'binary' and 'multiclass', not 'regresion'; did "
       "you mean 'regression'?"},
      {WithRecipes("  t:\n    type: train\n    input: raw\n    output: fare\n    target: y\n    "
                   "prediction: binary\n    validation: {holdot: 0.2}\n"),
       "p.yaml:14:18: unknown key 'holdot' in validation; did you mean 'holdout'?"},
      {WithRecipes("  t:\n    type: train\n    input: raw\n    output: fare\n    target: y\n    "
                   "prediction: binary\n    validation: {holdout: 1.5}\n"),
       "p.yaml:14:27: 'holdout' must be a number between (and not equal to) 0 and 1, not the "
       "number 1.5"},
      {WithRecipes("  t:\n    type: train\n    input: raw\n    output: fare\n    target: y\n    "
                   "prediction: binary\n    prepare:\n      - {filter: a}\n      - {filtr: b}\n"),
       "p.yaml:16:10: prepare step 2: unknown key 'filtr'; did you mean 'filter'?"},
      {WithRecipes("  t: {type: train, input: raw, output: fare, target: y, prediction: binary, "
                   "algorithm: xgboost}\n"),
       "algorithm 'xgboost' comes with a later part of Slipway"},
      {WithRecipes("  s: {type: score, inputs: {model: far, data: raw}, output: out}\n"),
       "p.yaml:8:36: recipe 's' uses an unknown model 'far'; did you mean 'fare'?"},
      {WithRecipes("  s: {type: score, inputs: {model: fare@x, data: raw}, output: out}\n"),
       "p.yaml:8:36: 'fare@x' is not a model version; write fare@3, fare@active or fare@latest"},
      {"project: p\nmodels: {m: {}}\nservices: {s: {endpoints: {e: {}}}}\n",
       "p.yaml:3:31: an endpoint has exactly one of 'prediction' and 'lookup'"},
  };
  for (const auto& [yaml, message] : cases) {
    auto project = LoadProjectText(yaml, "p.yaml");
    ASSERT_FALSE(project.ok()) << yaml;
    EXPECT_THAT(project.error().message, testing::HasSubstr(message)) << yaml;
  }
}

TEST(ParseYaml, BombsAreRefusedQuickly) {
  auto refused = [](const std::string& text, const std::string& message) {
    auto yaml = ParseYaml(text, "b.yaml");
    ASSERT_FALSE(yaml.ok());
    EXPECT_THAT(yaml.error().message, testing::HasSubstr(message));
  };
  refused("a: " + std::string(5 << 20, 'x'), "the limit is 4.2 MB");
  refused("a: " + std::string(100, '[') + std::string(100, ']'), "nested deeper than 64 levels");
  refused(std::string(100'000, '['), "b.yaml:");
  refused(std::string(100'000, '{'), "b.yaml:");
  std::string block;
  for (int i = 0; i < 70; ++i) block += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  refused(block + std::string(70, ' ') + "b", "nested deeper than 64 levels");
  refused("a: &a [x,x]\nb: &b [*a,*a]\n", "b.yaml:1:4: anchors (&a)");
  std::string list = "a:\n";
  for (int i = 0; i < 250'000; ++i) list += "- 1\n";
  refused(list, "more than 200,000 values");
}

TEST(ParseYaml, TypesAreThoseOfTheCoreSchema) {
  auto yaml =
      ParseYaml("a: [yes, 'true', true, 0x10, 0o17, 1e3, 1., ~, 012, -5, \"5\", 1_000]", "t.yaml");
  ASSERT_TRUE(yaml.ok()) << yaml.error().message;
  EXPECT_EQ(DumpJson(yaml->root["a"]),
            R"(["yes","true",true,16,15,1000.0,1.0,null,12,-5,"5","1_000"])");
}

TEST(JsonToYaml, ReadsBackForRandomValues) {
  std::mt19937 random(7);
  const std::vector<std::string> texts = {
      "",      "a b",    "yes",   "null", "1.5",          "a: b",  "#x",     "it's",
      "\"q\"", "x\ny\n", "x\n y", "é",    "- a",          " lead", "tab\tx", "a\n\nb",
      "{}",    "a,b",    "\x01",  "\n",   "l1\n#c\nl3\n", "~",     "=",      "<<"};
  auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::function<Json(int)> value = [&](int depth) -> Json {
    switch (pick(depth > 3 ? 4 : 6)) {
      case 0:
        return texts[pick(texts.size())];
      case 1:
        return static_cast<int64_t>(random()) - (1LL << 31);
      case 2:
        return std::ldexp(static_cast<double>(random()), static_cast<int>(pick(200)) - 100);
      case 3:
        return pick(2) == 0 ? Json(nullptr) : Json(pick(2) == 0);
      case 4: {
        Json list = Json::array();
        for (size_t i = pick(5); i > 0; --i) list.push_back(value(depth + 1));
        return list;
      }
      default: {
        Json map = Json::object();
        for (size_t i = pick(6); i > 0; --i) map[texts[pick(texts.size())]] = value(depth + 1);
        return map;
      }
    }
  };
  for (int i = 0; i < 2000; ++i) {
    const Json given = {{"root", value(0)}};
    const std::string text = JsonToYaml(given);
    auto back = ParseYaml(text, "r.yaml");
    ASSERT_TRUE(back.ok()) << back.error().message << "\n" << text;
    ASSERT_EQ(DumpJson(back->root), DumpJson(given)) << text;
  }
}

TEST(LoadProject, MergesAFolderAndNamesBothPlacesOfAClash) {
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  auto write = [&](const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(dir->File(name), text).ok());
  };
  ASSERT_TRUE(MakeDirs(dir->File("more")).ok());
  write("a.yaml",
        "project: p\ndatasets: {raw: {type: files, path: x.csv}, out: {type: managed}}\n");
  write("more/b.yml", "recipes: {q: {type: sql, input: raw, query_file: q.sql, output: out}}\n");
  write("more/q.sql", "select 1");
  auto project = LoadProject(dir->path());
  ASSERT_TRUE(project.ok()) << project.error().message;
  EXPECT_EQ(project->recipes["q"].query, "select 1");
  write("more/b.yml", "project: p\ndatasets: {raw: {type: managed}}\n");
  auto clash = LoadProject(dir->path());
  ASSERT_FALSE(clash.ok());
  EXPECT_EQ(clash.error().message, dir->File("more/b.yml") +
                                       ":2:12: 'raw' in datasets is defined already at " +
                                       dir->File("a.yaml") + ":2:12");
}

}  // namespace
}  // namespace slipway
