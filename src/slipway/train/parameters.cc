#include "slipway/train/parameters.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/train/lightgbm_api.h"

namespace slipway {
namespace {

constexpr int kDefaultIterations = 100;  // LightGBM's own

struct Names {
  std::vector<std::string> all;                            // canonical and aliases
  std::unordered_map<std::string, std::string> canonical;  // every name -> the canonical one
};

Result<Names> ReadNames() {
  ASSIGN_OR_RETURN(const LightGbm* lib, LightGbm::Load());
  int64_t size = 0;
  RETURN_IF_ERROR(lib->Check(lib->DumpParamAliases(0, &size, nullptr)));
  std::string text(static_cast<size_t>(size), '\0');
  RETURN_IF_ERROR(lib->Check(lib->DumpParamAliases(size, &size, text.data())));
  text.resize(text.find('\0'));
  ASSIGN_OR_RETURN(Json json, ParseJson(text));
  Names names;
  for (const auto& [name, aliases] : json.items()) {
    names.canonical.emplace(name, name);
    names.all.push_back(name);
    for (const Json& alias : aliases) {
      names.canonical.emplace(alias.get<std::string>(), name);
      names.all.push_back(alias.get<std::string>());
    }
  }
  return names;
}

Result<const Names*> TheNames() {
  static const Result<Names>* names = new Result<Names>(ReadNames());
  if (!names->ok()) return names->error();
  return &names->value();
}

struct Owned {
  std::string_view reason;
  std::string_view hint;
};

// Parameters that a recipe may not set, and why.
std::optional<Owned> WhyOwned(const std::string& name) {
  static const auto* kOwned = [] {
    auto* owned = new std::unordered_map<std::string, Owned>;
    const auto add = [owned](std::string_view reason, std::string_view hint,
                             std::initializer_list<const char*> names) {
      for (const char* each : names) owned->emplace(each, Owned{reason, hint});
    };
    add("the train recipe sets it", "leave it out", {"task", "num_class", "config"});
    add("the job sets the number of threads", "leave it out", {"num_threads"});
    add("rows come from the recipe's input, not from files of LightGBM", "leave it out",
        {"data", "valid", "header", "two_round", "save_binary", "precise_float_parser",
         "parser_config_file", "pre_partition"});
    add("the model is kept as a version", "leave it out",
        {"input_model", "output_model", "snapshot_freq", "saved_feature_importance_type",
         "convert_model", "convert_model_language", "output_result"});
    add("it reads a file, which a recipe may not name", "leave it out",
        {"forcedsplits_filename", "forcedbins_filename"});
    add("the recipe's own keys say it", "use `target`", {"label_column"});
    add("the recipe's own keys say it", "use `weight`", {"weight_column"});
    add("the recipe's own keys say it", "use `features: {NAME: ignore}`", {"ignore_column"});
    add("the recipe's own keys say it", "use `features: {NAME: {as: category, encode: native}}`",
        {"categorical_feature"});
    add("the recipe's own keys say it", "use `early_stopping` beside `validation`",
        {"early_stopping_round"});
    add("ranking is not a prediction kind of the train recipe", "leave it out",
        {"group_column", "eval_at", "label_gain", "lambdarank_truncation_level", "lambdarank_norm",
         "lambdarank_position_bias_regularization", "bagging_by_query", "objective_seed"});
    add("training runs in one process", "leave it out",
        {"num_machines", "machines", "machine_list_filename", "local_listen_port", "time_out"});
    add("training runs on the processor", "leave it out",
        {"gpu_platform_id", "gpu_device_id", "gpu_device_id_list", "gpu_use_dp", "num_gpu"});
    add("it has no effect on training", "leave it out",
        {"start_iteration_predict", "num_iteration_predict", "predict_raw_score",
         "predict_leaf_index", "predict_contrib", "predict_disable_shape_check", "pred_early_stop",
         "pred_early_stop_freq", "pred_early_stop_margin", "refit_decay_rate"});
    return owned;
  }();
  const auto found = kOwned->find(name);
  return found == kOwned->end() ? std::nullopt : std::optional<Owned>(found->second);
}

bool IsFalse(std::string_view text) {
  return text == "false" || text == "0" || text == "-" || text == "False";
}

struct Objectives {
  std::string_view standard;
  std::vector<std::string> names;  // with LightGBM's aliases
};

const Objectives& ObjectivesOf(PredictionKind kind) {
  static const Objectives* kRegression = new Objectives{"regression",
                                                        {"regression",
                                                         "regression_l2",
                                                         "l2",
                                                         "mean_squared_error",
                                                         "mse",
                                                         "l2_root",
                                                         "root_mean_squared_error",
                                                         "rmse",
                                                         "regression_l1",
                                                         "l1",
                                                         "mean_absolute_error",
                                                         "mae",
                                                         "huber",
                                                         "fair",
                                                         "poisson",
                                                         "quantile",
                                                         "mape",
                                                         "mean_absolute_percentage_error",
                                                         "gamma",
                                                         "tweedie"}};
  static const Objectives* kBinary = new Objectives{"binary", {"binary"}};
  static const Objectives* kMulticlass = new Objectives{
      "multiclass", {"multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"}};
  if (kind == PredictionKind::kBinary) return *kBinary;
  return kind == PredictionKind::kMulticlass ? *kMulticlass : *kRegression;
}

std::string_view KindName(PredictionKind kind) {
  if (kind == PredictionKind::kBinary) return "binary";
  return kind == PredictionKind::kMulticlass ? "multiclass" : "regression";
}

Status CheckValue(const TrainSpec& spec, const std::string& name, const std::string& value) {
  const std::string where = "algorithm.lightgbm." + name;
  if (value.find_first_of(" \t\r\n=") != std::string::npos) {
    return InvalidArgument(
        where + ": the value '" + value + "' has a blank or an equals sign in it",
        "write a list as [1, 2] or \"1,2\"");
  }
  if (name == "objective") {
    const Objectives& fit = ObjectivesOf(spec.prediction);
    if (std::find(fit.names.begin(), fit.names.end(), value) == fit.names.end()) {
      return InvalidArgument(where + ": '" + value + "' does not fit `prediction: " +
                                 std::string(KindName(spec.prediction)) + "`",
                             "leave it out, or use one of " + QuotedList(fit.names, 30));
    }
  }
  if (name == "device_type" && value != "cpu") {
    return InvalidArgument(
        where + ": '" + value + "' is not supported: training runs on the processor",
        "leave it out");
  }
  if (name == "tree_learner" && value != "serial") {
    return InvalidArgument(
        where + ": '" + value + "' is not supported: training runs in one process", "leave it out");
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> CheckLightGbmParameters(const TrainSpec& spec) {
  ASSIGN_OR_RETURN(const Names* names, TheNames());
  std::map<std::string, std::string> out;
  std::map<std::string, std::string> written;  // canonical -> as written
  for (const auto& [name, value] : spec.parameters) {
    const auto found = names->canonical.find(name);
    if (found == names->canonical.end()) {
      std::string hint = DidYouMean(name, names->all);
      if (hint.empty()) hint = "LightGBM's documentation lists its parameters";
      return InvalidArgument("algorithm.lightgbm: LightGBM has no parameter '" + name + "'", hint);
    }
    const std::string& canonical = found->second;
    if (auto owned = WhyOwned(canonical)) {
      const std::string also = canonical == name ? "" : " (" + canonical + ")";
      return InvalidArgument("algorithm.lightgbm: '" + name + "'" + also +
                                 " cannot be set: " + std::string(owned->reason),
                             std::string(owned->hint));
    }
    RETURN_IF_ERROR(CheckValue(spec, canonical, value));
    if (auto [at, fresh] = written.emplace(canonical, name); !fresh) {
      return InvalidArgument(
          "algorithm.lightgbm: '" + at->second + "' and '" + name + "' are the same parameter",
          "keep one of them");
    }
    out.emplace(canonical, value);
  }
  return out;
}

Result<LightGbmParameters> EffectiveParameters(const TrainSpec& spec,
                                               const ParameterContext& context) {
  ASSIGN_OR_RETURN(auto asked, CheckLightGbmParameters(spec));
  LightGbmParameters out;
  const auto take = [&](const std::string& name, const std::string& otherwise) {
    const auto found = asked.find(name);
    out.emplace_back(name, found == asked.end() ? otherwise : found->second);
    if (found != asked.end()) asked.erase(found);
  };
  take("objective", std::string(ObjectivesOf(spec.prediction).standard));
  if (spec.prediction == PredictionKind::kMulticlass) {
    out.emplace_back("num_class", std::to_string(context.classes));
  }
  take("num_iterations", std::to_string(kDefaultIterations));
  // LightGBM reads its seeds as 32-bit integers.
  take("seed", std::to_string(spec.seed & 0x7FFFFFFF));
  take("deterministic", "true");
  // Left to itself LightGBM times both layouts and takes the faster: another run could take the
  // other one, whose sums are in another order.
  const bool row_wise = asked.count("force_row_wise") != 0 && !IsFalse(asked["force_row_wise"]);
  if (!row_wise) take("force_col_wise", "true");
  take("verbosity", "-1");
  for (const auto& [name, value] : asked) out.emplace_back(name, value);
  out.emplace_back("num_threads", std::to_string(context.threads));
  if (!context.categorical.empty()) {
    std::string list;
    for (int index : context.categorical) {
      list += (list.empty() ? "" : ",") + std::to_string(index);
    }
    out.emplace_back("categorical_feature", list);
  }
  return out;
}

std::string ParameterText(const LightGbmParameters& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += ' ';
    out += name + "=" + value;
  }
  return out;
}

const std::string* FindParameter(const LightGbmParameters& parameters, std::string_view name) {
  for (const auto& [each, value] : parameters) {
    if (each == name) return &value;
  }
  return nullptr;
}

Json ParameterValueToJson(const std::string& value) {
  if (value == "true") return true;
  if (value == "false") return false;
  if (auto integer = ParseInt64(value); integer && std::to_string(*integer) == value)
    return *integer;
  if (auto number = ParseDouble(value); number && std::isfinite(*number)) {
    if (FormatDouble(*number) == value) return *number;
  }
  return value;
}

Json ParametersToJson(const LightGbmParameters& parameters) {
  Json out = Json::object();
  for (const auto& [name, value] : parameters) out[name] = ParameterValueToJson(value);
  return out;
}

}  // namespace slipway
