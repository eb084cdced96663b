// slipway demo: the main job end to end on generated taxi trips (interfaces.md 7).
#include <cstdlib>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/demo_deploy.h"
#include "slipway/cli/demo_trips.h"
#include "slipway/cli/model_table.h"
#include "slipway/project/load.h"
#include "slipway/registry/home.h"

namespace slipway {
namespace {

constexpr const char* kProject = "ny_taxi_fares";
constexpr const char* kMarker = "slipway-demo.json";

// One version of the model: how much data, which settings, and what is being tried.
struct Attempt {
  int data_files;
  const char* algorithm;
  const char* what;
};
constexpr Attempt kAttempts[] = {
    {1, "{num_iterations: 60, num_leaves: 15, learning_rate: 0.1}",
     "a small model on the first quarter's trips"},
    {2, "{num_iterations: 60, num_leaves: 15, learning_rate: 0.1}", "the same with more data"},
    {2, "{num_iterations: 150, num_leaves: 31, learning_rate: 0.1}", "more and larger trees"},
    {3, "{num_iterations: 250, num_leaves: 63, learning_rate: 0.06}",
     "all the data and a slower learning rate"},
    {3, "{num_iterations: 250, num_leaves: 255, learning_rate: 0.5}",
     "trees that are too large: worse on held-out rows"},
};

std::string ProjectYaml(const Attempt& attempt) {
  std::string paths;
  for (int i = 1; i <= attempt.data_files; ++i)
    paths += (i > 1 ? ", " : "") + std::string("data/trips-") + std::to_string(i) + ".csv";
  return std::string("project: ") + kProject + "\n" +
         "description: What a New York taxi trip will cost\n"
         "datasets:\n"
         "  trips:        {type: files, path: [" +
         paths +
         "]}\n"
         "  new_trips:    {type: files, path: data/new.csv}\n"
         "  predictions:  {type: managed}\n"
         "models:\n"
         "  fare:         {activation: always, keep_versions: 20}\n"
         "recipes:\n"
         "  train_fare:\n"
         "    type: train\n"
         "    input: trips\n"
         "    output: fare\n"
         "    target: fare_amount\n"
         "    prediction: regression\n"
         "    prepare:\n"
         "      - {filter: \"fare_amount between 2.5 and 250\"}\n"
         "      - {column: distance_km, expr: \"haversine_km(pickup_latitude, pickup_longitude, "
         "dropoff_latitude, dropoff_longitude)\"}\n"
         "      - {column: hour, expr: \"hour(pickup_datetime)\"}\n"
         "      - {column: weekday, expr: \"weekday(pickup_datetime)\"}\n"
         "    features:\n"
         "      key: ignore\n"
         "      pickup_datetime: ignore\n"
         "      passenger_count: {as: numeric, missing: median}\n"
         "    algorithm: {lightgbm: " +
         attempt.algorithm +
         "}\n"
         "    validation: {holdout: 0.2, seed: 42}\n"
         "  score_new:    {type: score, inputs: {model: fare, data: new_trips}, output: "
         "predictions}\n"
         "services:\n"
         "  fares:\n"
         "    endpoints: {fare: {prediction: fare, test_queries: 'from_dataset(new_trips, 5)'}}\n";
}

// A demo home of before is remade; anything else is left alone.
Status PrepareHome(const std::string& home) {
  if (PathExists(home)) {
    auto names = ListDir(home);
    if (!names.ok()) return names.error();
    if (!names->empty() && !PathExists(JoinPath(home, kMarker))) {
      return Conflict("'" + home + "' exists and is not a home that the demo made",
                      "give the demo a folder of its own: slipway demo --home DIR");
    }
    if (FileLock::IsHeld(JoinPath(home, "lock"))) {
      return Unavailable("'" + home + "' is in use by another process",
                         "end its hub first, or give the demo another folder: --home DIR");
    }
    RETURN_IF_ERROR(RemoveAll(home));
  }
  ASSIGN_OR_RETURN(bool made, InitHome(home, RegistryFromEnvironment()));
  (void)made;
  return WriteFileAtomic(JoinPath(home, kMarker), "{\"demo\": true}\n");
}

Status Generate(const std::string& folder, int64_t rows, uint64_t seed) {
  RETURN_IF_ERROR(MakeDirs(folder));
  // Each file brings as much again as all before it.
  const int64_t parts[] = {rows / 4, rows / 4, rows - rows / 4 * 2};
  for (int i = 0; i < 3; ++i) {
    DemoTrips trips;
    trips.seed = seed + static_cast<uint64_t>(i);
    trips.rows = parts[i];
    RETURN_IF_ERROR(
        WriteDemoTrips(trips, JoinPath(folder, "trips-" + std::to_string(i + 1) + ".csv")));
  }
  DemoTrips fresh;
  fresh.seed = seed + 1000;
  fresh.rows = std::max<int64_t>(rows / 5, 5);
  fresh.first_year = 2015;
  fresh.with_fare = false;
  fresh.drift = 0.5;
  return WriteDemoTrips(fresh, JoinPath(folder, "new.csv"));
}

Status ApplyAttempt(Context& context, const std::string& home, const Attempt& attempt) {
  const std::string path = JoinPath(home, "demo/project.yaml");
  RETURN_IF_ERROR(WriteFileAtomic(path, ProjectYaml(attempt)));
  ASSIGN_OR_RETURN(ProjectDefinition project, LoadProject(path));
  RETURN_IF_ERROR(context.Call("POST", "/api/v1/apply",
                               {{"definition", ProjectToJson(project)}, {"prune", true}}));
  return {};
}

// The first error of a job that did not end well.
Status CheckJob(const Json& job) {
  if (job["status"] == "done") return {};
  if (job["status"] == "aborted") return Cancelled("the demo was interrupted");
  return Internal("job " + job["job"].get<std::string>() +
                  " failed: " + (job["error"].is_string() ? job["error"].get<std::string>() : ""));
}

Status TrainVersions(Context& context, const std::string& home) {
  int number = 0;
  for (const Attempt& attempt : kAttempts) {
    context.Say("version " + std::to_string(++number) + ": " + attempt.what);
    RETURN_IF_ERROR(ApplyAttempt(context, home, attempt));
    ASSIGN_OR_RETURN(Json job,
                     RunBuild(context, kProject, {{"targets", {"fare"}}, {"mode", "upstream"}}));
    RETURN_IF_ERROR(CheckJob(job));
  }
  return {};
}

// Activates the version with the smallest error on held-out rows; gives the versions as they are
// then.
Result<Json> ActivateBest(Context& context) {
  const std::string model = std::string("/api/v1/projects/") + kProject + "/models/fare";
  ASSIGN_OR_RETURN(Json versions, context.Call("GET", model + "/versions"));
  const Json* best = nullptr;
  for (const Json& v : versions) {
    if (best == nullptr ||
        v["metrics"]["rmse"].get<double>() < (*best)["metrics"]["rmse"].get<double>())
      best = &v;
  }
  if (best == nullptr) return Internal("no version was trained");
  const std::string number = DumpJson((*best)["version"]);
  RETURN_IF_ERROR(context.Call("POST", model + "/versions/" + number + "/activate",
                               {{"reason", "smallest rmse on held-out rows"}}));
  context.Say("activated version " + number + ": smallest rmse on held-out rows");
  return context.Call("GET", model + "/versions");
}

Result<Json> ScoreNew(Context& context) {
  context.Say("scoring unseen trips");
  ASSIGN_OR_RETURN(
      Json job, RunBuild(context, kProject, {{"targets", {"predictions"}}, {"mode", "upstream"}}));
  RETURN_IF_ERROR(CheckJob(job));
  return context.Call(
      "GET", std::string("/api/v1/projects/") + kProject + "/datasets/predictions/head?rows=5");
}

std::string HeadTable(const Json& head) {
  static constexpr const char* kShown[] = {"pickup_datetime",  "pickup_longitude",
                                           "pickup_latitude",  "dropoff_longitude",
                                           "dropoff_latitude", "prediction"};
  TextTable table({"PICKUP", "FROM LON", "FROM LAT", "TO LON", "TO LAT", "PREDICTION"});
  for (const Json& row : head["rows"]) {
    std::vector<std::string> cells;
    for (const char* name : kShown) {
      const Json& value = row.at(name);
      cells.push_back(value.is_string() ? value.get<std::string>() : FormatMetric(value));
    }
    table.Add(std::move(cells));
  }
  return table.ToString();
}

Result<int> Demo(Context& context, int64_t rows, uint64_t seed) {
  RETURN_IF_ERROR(context.NeedsHome("demo"));
  const double start = SteadySeconds();
  if (context.home_flag.empty() && std::getenv("SLIPWAY_HOME") == nullptr)
    context.home_flag = "slipway-demo";
  const std::string home = context.HomePath();
  RETURN_IF_ERROR(PrepareHome(home));
  context.Say("generating " + FormatCount(rows) + " taxi trips in " + JoinPath(home, "demo/data"));
  RETURN_IF_ERROR(Generate(JoinPath(home, "demo/data"), rows, seed));
  RETURN_IF_ERROR(TrainVersions(context, home));
  ASSIGN_OR_RETURN(Json versions, ActivateBest(context));
  ASSIGN_OR_RETURN(Json head, ScoreNew(context));
  Json fares = Json::array();
  if (auto deployed = DeployDemo(context, kProject); deployed.ok()) {
    fares = *std::move(deployed);
  } else if (deployed.error().code == ErrorCode::kUnavailable) {
    context.Warn("the real-time half was left out: " + deployed.error().message);
  } else {
    return deployed.error();
  }
  const double seconds = SteadySeconds() - start;
  std::string human =
      "\nthe versions of the model " + std::string(kProject) + "/fare\n" + VersionTable(versions);
  human += "\nunseen trips, scored (dataset " + std::string(kProject) + "/predictions)\n" +
           HeadTable(head);
  if (!fares.empty())
    human +=
        "\nthe service fares on an API node (deployment fares-dev, stage Development): five "
        "test queries\n" +
        DemoFaresTable(fares);
  const std::string s = "  slipway --home " + home + " ";
  human += "\nthat took " + FormatSeconds(seconds) + ". Next:\n";
  human += s + "flow show " + kProject +
           "                # the Flow: what is built and what is out of date\n";
  human += s + "model compare " + kProject + "/fare 1 4   # what made the difference\n";
  human += s + "model rollback " + kProject +
           "/fare      # back to the version that was active before\n";
  human +=
      s + "build " + kProject + "/predictions        # then score again: only what changed runs\n";
  human += s + "score --model " + kProject + "/fare --input " +
           JoinPath(home, "demo/data/new.csv") + " --output scored.csv\n";
  human += s + "infra start dev                        # the API node again: it prints its URL\n";
  human += s + "deployment test fares-dev              # the five test queries on it\n";
  human += s + "deployment show fares-dev\n";
  RETURN_IF_ERROR(context.Print(human, {{"home", home},
                                        {"project", kProject},
                                        {"versions", versions},
                                        {"head", head["rows"]},
                                        {"fares", fares},
                                        {"seconds", seconds}}));
  return kExitDone;
}

}  // namespace

void AddDemoCommand(CLI::App* app, Invocation* invocation) {
  static int64_t rows = 100'000;
  static uint64_t seed = 42;
  CLI::App* demo = app->add_subcommand("demo", "the main job end to end on generated taxi trips");
  demo->add_option("--rows", rows, "training trips (100,000)")
      ->check(CLI::Range(int64_t{1000}, int64_t{50'000'000}));
  demo->add_option("--seed", seed, "of the generator (42)");
  Handle(demo, invocation, [](Context& c) { return Demo(c, rows, seed); });
}

}  // namespace slipway
