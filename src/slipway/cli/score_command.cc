#include <algorithm>
#include <future>
#include <thread>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/counted.h"
#include "slipway/flow/score_run.h"
#include "slipway/registry/model_ref.h"

namespace slipway {
namespace {

struct ScoreOptions {
  std::string model, output, format, on_bad_rows = "fail";
  std::vector<std::string> inputs, keep;
  int threads = 0;
  int explain = 0;
  double threshold = -1;
};

struct FoundModel {
  std::string path;
  Json name;     // as the user named it
  Json version;  // null for a file
};

// --model: an existing file, or anything that begins with / or ./, is a file; else a reference.
Result<FoundModel> FindModel(Context& context, const std::string& text) {
  const bool is_path =
      text.rfind("/", 0) == 0 || text.rfind("./", 0) == 0 || text.rfind("../", 0) == 0;
  if (is_path || (PathExists(text) && !IsDirectory(text))) return FoundModel{text, text, Json()};
  auto ref = ParseModelRef(text);
  if (!ref.ok()) {
    return NotFound("there is no file '" + text + "', and it does not name a saved model either",
                    "a file, PROJECT/MODEL or PROJECT/MODEL@3");
  }
  const std::string selector = ref->select == ModelRef::Select::kNumber
                                   ? std::to_string(ref->number)
                               : ref->select == ModelRef::Select::kLatest ? "latest"
                                                                          : "active";
  const std::string path = ApiPath("/api/v1/projects/{}/models/{}", {ref->project, ref->model});
  ASSIGN_OR_RETURN(Response bundle,
                   context.CallRaw("GET", path + "/versions/" + selector + "/bundle"));
  FoundModel found{bundle.file, ref->project + "/" + ref->model, Json()};
  if (ref->select == ModelRef::Select::kNumber) {
    found.version = ref->number;
  } else {
    ASSIGN_OR_RETURN(Json versions, context.Call("GET", path + "/versions"));
    for (const Json& v : versions) {
      if (selector == "latest" || v["active"].get<bool>()) found.version = v["version"];
    }
  }
  return found;
}

Result<int> Score(Context& context, const ScoreOptions& options) {
  ScoreTask task;
  for (const std::string& input : options.inputs)
    task.input.paths.push_back(input == "-" ? input : AbsolutePath(input));
  task.input.on_bad_rows = options.on_bad_rows == "skip"         ? OnBadRows::kSkip
                           : options.on_bad_rows == "quarantine" ? OnBadRows::kQuarantine
                                                                 : OnBadRows::kFail;
  // Looking at the files takes about as long as reading the model. Standard input waits for the
  // model: it may never begin.
  if (std::find(options.inputs.begin(), options.inputs.end(), "-") == options.inputs.end())
    task.inspection = std::async([input = task.input] { return Inspect(input); });
  ASSIGN_OR_RETURN(FoundModel found, FindModel(context, options.model));
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model,
                   Model::Open(found.path, {.explain = options.explain}));
  if (options.threshold >= 0) RETURN_IF_ERROR(model->SetThreshold(options.threshold));
  task.output = options.output;
  if (!options.format.empty()) {
    task.output_format = FormatFromName(options.format);
    if (!task.output_format)
      return InvalidArgument("unknown format '" + options.format + "'", "csv, parquet or jsonl");
  }
  for (const std::string& keep : options.keep) {
    for (const std::string& name : Split(keep, ',')) {
      if (!name.empty()) task.keep.push_back(name);
    }
  }
  task.keep_none = !options.keep.empty() && task.keep.empty();
  task.threads = options.threads > 0
                     ? options.threads
                     : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  task.cancel = &g_interrupted;
  ProgressBar bar("scoring", context.quiet || context.json);
  task.progress = [&](double part, int64_t rows) { bar.Update(part, rows, ""); };
  auto outcome = ScoreTable(*model, task);
  bar.Clear();
  if (!outcome.ok()) return outcome.error();
  for (const std::string& warning : outcome->warnings) context.Warn(warning);
  if (outcome->bad_rows > 0) {
    context.Warn(
        Counted(outcome->bad_rows, "row") + " could not be read" +
        (outcome->quarantine_path.empty() ? ": left out" : ": see " + outcome->quarantine_path));
  }
  const double rate =
      outcome->seconds > 0 ? static_cast<double>(outcome->rows) / outcome->seconds : 0;
  const Json json = {{"rows", outcome->rows},         {"predicted", outcome->predicted},
                     {"bad_rows", outcome->bad_rows}, {"seconds", outcome->seconds},
                     {"rows_per_second", rate},       {"output", options.output},
                     {"model", found.name},           {"version", found.version},
                     {"engine", model->engine_name()}};
  const int64_t empty = outcome->rows - outcome->predicted;
  const std::string human =
      "scored " + Counted(outcome->rows, "row") +
      (empty > 0 ? ", " + FormatCount(empty) + " without a prediction," : "") + " in " +
      FormatSeconds(outcome->seconds) + " (" + FormatCount(static_cast<int64_t>(rate)) +
      " rows/s) to " + (options.output == "-" ? "standard output" : options.output);
  if (options.output == "-") {
    // Standard output is the data.
    context.Say(human);
    if (context.json) std::fprintf(stderr, "%s\n", DumpJson(json).c_str());
    return kExitDone;
  }
  RETURN_IF_ERROR(context.Print(human + "\n", json));
  return kExitDone;
}

}  // namespace

void AddScoreCommand(CLI::App* app, Invocation* invocation) {
  static ScoreOptions options;
  CLI::App* score = app->add_subcommand(
      "score", "scores any file with any version, bundle or LightGBM model file");
  score->add_option("--model", options.model, "PROJECT/MODEL[@N], a bundle or a LightGBM text file")
      ->required();
  score
      ->add_option("--input", options.inputs,
                   "files or globs (CSV, Parquet, JSON lines), or - for standard input")
      ->required();
  score->add_option("--output", options.output, "file, by extension, or - for standard output")
      ->required();
  score->add_option("--format", options.format, "of the output: csv, parquet or jsonl");
  score->add_option("--keep", options.keep,
                    "input columns to keep, comma-separated (default: all; \"\": none)");
  score->add_option("--threads", options.threads, "how many (default: all cores)")
      ->check(CLI::Range(1, 256));
  score
      ->add_option("--threshold", options.threshold,
                   "binary: class 1 above it (default: the model's)")
      ->check(CLI::Range(0.0, 1.0));
  score->add_option("--on-bad-rows", options.on_bad_rows, "fail (default), skip or quarantine")
      ->check(CLI::IsMember({"fail", "skip", "quarantine"}));
  score
      ->add_option("--explain", options.explain,
                   "adds `explanations`: the K columns that moved each row's score most")
      ->check(CLI::Range(1, 10000));
  Handle(score, invocation, [](Context& c) { return Score(c, options); });
}

}  // namespace slipway
