#include "slipway/forest/xgboost_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/forest/xgboost_categories.h"
#include "slipway/forest/xgboost_members.h"
#include "slipway/forest/xgboost_objective.h"
#include "slipway/forest/xgboost_tree.h"

namespace slipway {
namespace {

using xgboost::Numbers;
using xgboost::Object;
using xgboost::Objects;
using xgboost::OnlyMembers;
using xgboost::Parameter;
using xgboost::Text;
using xgboost::Texts;
using xgboost::WholeNumbers;

// A few bytes may claim these: what is made for each must be little.
constexpr int32_t kMostFeatures = 10'000'000;
constexpr size_t kMostUnnamedFeatures = 1'000'000;
constexpr int32_t kMostOutputs = 1'000'000;
// Of all category sets together, 128 MiB.
constexpr size_t kMostCategoryWords = size_t{1} << 25;

constexpr std::string_view kTopMembers[] = {"learner", "version"};
constexpr std::string_view kLearnerMembers[] = {"attributes",          "feature_names",
                                                "feature_types",       "gradient_booster",
                                                "learner_model_param", "objective"};
constexpr std::string_view kModelMembers[] = {"cats", "gbtree_model_param", "iteration_indptr",
                                              "tree_info", "trees"};
constexpr std::string_view kLinearMembers[] = {"boosted_rounds", "weights", "param"};

Status ReadVersion(const ModelValue& file, Forest* forest) {
  ASSIGN_OR_RETURN(const auto version, Numbers(file, "version", 3));
  ASSIGN_OR_RETURN(const auto parts, WholeNumbers("version", version, 0, 1 << 20));
  forest->library = fmt::format("xgboost {}.{}.{}", parts[0], parts[1], parts[2]);
  if (parts[0] < 1 || (parts[0] == 1 && parts[1] < 7) || parts[0] > 3) {
    return Corruption(
        fmt::format("it was saved by XGBoost {}.{}.{}", parts[0], parts[1], parts[2]),
        "versions 1.7 to 3.x are read; load the model with one of them and save it again");
  }
  return {};
}

// "5E-1", or of version 3 "[5E-1,2E-1]".
Result<std::vector<double>> ParseBaseScore(std::string_view text) {
  std::string_view list = text;
  if (text.starts_with('[') && text.ends_with(']')) list = text.substr(1, text.size() - 2);
  std::vector<double> scores;
  for (const std::string& word : Split(list, ',')) {
    const std::string_view digits = Trim(word);
    float value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) {
      return Corruption(fmt::format("'base_score' is '{}' and not a number or a list of them",
                                    text.substr(0, 60)));
    }
    scores.push_back(value);
  }
  return scores;
}

Status ReadShape(const ModelValue& learner, Forest* forest) {
  ASSIGN_OR_RETURN(const ModelValue* const parameters, Object(learner, "learner_model_param"));
  ASSIGN_OR_RETURN(forest->feature_count,
                   Parameter(*parameters, "num_feature", 0, kMostFeatures, 0));
  ASSIGN_OR_RETURN(const int32_t classes, Parameter(*parameters, "num_class", 0, kMostOutputs, 0));
  ASSIGN_OR_RETURN(const int32_t targets, Parameter(*parameters, "num_target", 0, kMostOutputs, 1));
  if (classes > 1 && targets > 1)
    return Corruption(fmt::format("it has {} classes and {} targets", classes, targets));
  forest->outputs = std::max({classes, targets, 1});
  ASSIGN_OR_RETURN(const std::string base_score, Text(*parameters, "base_score"));
  ASSIGN_OR_RETURN(forest->base, ParseBaseScore(base_score));
  const size_t outputs = static_cast<size_t>(forest->outputs);
  if (forest->base.size() == 1) forest->base.resize(outputs, forest->base[0]);
  if (forest->base.size() != outputs)
    return Corruption(
        fmt::format("{} base scores for {} outputs", forest->base.size(), forest->outputs));
  ASSIGN_OR_RETURN(const ModelValue* const objective, Object(learner, "objective"));
  ASSIGN_OR_RETURN(const std::string name, Text(*objective, "name"));
  return xgboost::ApplyObjective(name, forest);
}

Status ReadFeatures(const ModelValue& learner, Forest* forest) {
  const size_t count = static_cast<size_t>(forest->feature_count);
  ASSIGN_OR_RETURN(forest->feature_names, Texts(learner, "feature_names"));
  ASSIGN_OR_RETURN(const std::vector<std::string> types, Texts(learner, "feature_types"));
  if (!forest->feature_names.empty() && forest->feature_names.size() != count) {
    return Corruption(
        fmt::format("{} feature names for {} features", forest->feature_names.size(), count));
  }
  if (forest->feature_names.empty() && count > kMostUnnamedFeatures)
    return Corruption(fmt::format("{} features without names", count));
  if (!types.empty() && types.size() != count)
    return Corruption(fmt::format("{} feature types for {} features", types.size(), count));
  std::set<std::string_view> seen;
  for (const std::string& name : forest->feature_names) {
    if (!seen.insert(name).second)
      return Corruption(fmt::format("feature name '{}' stands twice", name.substr(0, 60)));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "c") forest->categorical_features.push_back(static_cast<int32_t>(i));
  }
  return {};
}

// XGBoost has the trees in the order of training; here tree i adds to output i % outputs. The order
// within an output, in which its sum runs, stays.
Status OrderTrees(std::vector<std::vector<Tree>> by_output, Forest* forest) {
  const size_t rounds = by_output[0].size();
  for (size_t output = 1; output < by_output.size(); ++output) {
    if (by_output[output].size() != rounds) {
      return Corruption(fmt::format("output {} has {} trees and output 0 has {}", output,
                                    by_output[output].size(), rounds));
    }
  }
  forest->iterations = static_cast<int>(rounds);
  for (size_t round = 0; round < rounds; ++round) {
    for (std::vector<Tree>& trees : by_output) forest->trees.push_back(std::move(trees[round]));
  }
  return {};
}

// `weights`: one per tree of a dart, else empty.
Status ReadTrees(const ModelValue& booster, std::span<const double> weights, Forest* forest) {
  ASSIGN_OR_RETURN(const ModelValue* const model, Object(booster, "model"));
  RETURN_IF_ERROR(OnlyMembers(*model, kModelMembers));
  ASSIGN_OR_RETURN(const auto trees, Objects(*model, "trees"));
  // What XGBoost makes of the base score of a model without rounds depends on more than the file.
  if (trees.empty())
    return Corruption("it has no trees: the model was not trained", "save it after training");
  ASSIGN_OR_RETURN(const auto info, Numbers(*model, "tree_info", trees.size()));
  ASSIGN_OR_RETURN(const auto groups, WholeNumbers("tree_info", info, 0, forest->outputs - 1));
  ASSIGN_OR_RETURN(const ModelValue* const parameters, Object(*model, "gbtree_model_param"));
  ASSIGN_OR_RETURN(const int32_t count, Parameter(*parameters, "num_trees", 0, INT32_MAX, 0));
  if (static_cast<size_t>(count) != trees.size())
    return Corruption(fmt::format("{} trees and 'num_trees' says {}", trees.size(), count));
  if (!weights.empty() && weights.size() != trees.size())
    return Corruption(fmt::format("{} weights for {} trees", weights.size(), trees.size()));
  xgboost::TreeShape shape{forest->feature_count, forest->outputs, {}};
  size_t words_left = kMostCategoryWords;
  std::vector<std::vector<Tree>> by_output(static_cast<size_t>(forest->outputs));
  for (size_t i = 0; i < trees.size(); ++i) {
    if (!weights.empty()) shape.weight = static_cast<float>(weights[i]);
    Result<std::vector<Tree>> read = xgboost::ReadTree(trees[i], shape, &words_left);
    if (!read.ok()) return read.error().Within(fmt::format("tree {}", i));
    const size_t group = static_cast<size_t>(groups[i]);
    if (read->size() == 1) {
      by_output[group].push_back(std::move((*read)[0]));
      continue;
    }
    for (size_t output = 0; output < read->size(); ++output)
      by_output[output].push_back(std::move((*read)[output]));
  }
  RETURN_IF_ERROR(OrderTrees(std::move(by_output), forest));
  return xgboost::ReadCategories(*model, forest);
}

Status ReadDart(const ModelValue& booster, Forest* forest) {
  ASSIGN_OR_RETURN(const ModelValue* const trees, Object(booster, "gbtree"));
  ASSIGN_OR_RETURN(const auto weights, Numbers(booster, "weight_drop"));
  for (const double weight : weights) {
    if (!std::isfinite(weight)) return Corruption("a weight of 'weight_drop' is not finite");
  }
  return ReadTrees(*trees, weights, forest);
}

Status ReadLinear(const ModelValue& booster, Forest* forest) {
  ASSIGN_OR_RETURN(const ModelValue* const model, Object(booster, "model"));
  RETURN_IF_ERROR(OnlyMembers(*model, kLinearMembers));
  ASSIGN_OR_RETURN(const auto weights, Numbers(*model, "weights"));
  const size_t outputs = static_cast<size_t>(forest->outputs);
  const size_t products = static_cast<size_t>(forest->feature_count) * outputs;
  if (weights.size() != products + outputs) {
    return Corruption(fmt::format("{} weights for {} features and {} outputs", weights.size(),
                                  forest->feature_count, forest->outputs));
  }
  // Of several base scores gblinear takes the first for every output (src/gbm/gblinear.cc).
  std::fill(forest->base.begin(), forest->base.end(), forest->base[0]);
  const auto biases = weights.begin() + static_cast<std::ptrdiff_t>(products);
  forest->linear_model.weights.assign(weights.begin(), biases);
  forest->linear_model.bias.assign(biases, weights.end());
  return {};
}

Status ReadBooster(const ModelValue& learner, Forest* forest) {
  ASSIGN_OR_RETURN(const ModelValue* const booster, Object(learner, "gradient_booster"));
  ASSIGN_OR_RETURN(const std::string name, Text(*booster, "name"));
  if (name == "gbtree") return ReadTrees(*booster, {}, forest);
  if (name == "dart") return ReadDart(*booster, forest);
  if (name == "gblinear") return ReadLinear(*booster, forest);
  return Corruption(fmt::format("booster '{}' is not known", name.substr(0, 60)),
                    "gbtree, dart and gblinear are");
}

Status ReadAttributes(const ModelValue& learner, Forest* forest) {
  if (learner.Find("attributes") == nullptr) return {};
  ASSIGN_OR_RETURN(const ModelValue* const attributes, Object(learner, "attributes"));
  ASSIGN_OR_RETURN(forest->best_iteration,
                   Parameter(*attributes, "best_iteration", 0, INT32_MAX, -1));
  return {};
}

Status ReadLearner(const ModelValue& learner, Forest* forest) {
  RETURN_IF_ERROR(OnlyMembers(learner, kLearnerMembers));
  RETURN_IF_ERROR(ReadShape(learner, forest));
  RETURN_IF_ERROR(ReadFeatures(learner, forest));
  if (Status status = ReadBooster(learner, forest); !status.ok())
    return status.error().Within("gradient_booster");
  return ReadAttributes(learner, forest);
}

// The first key of an object in JSON or UBJSON; empty when there is none.
std::string_view FirstKey(std::string_view head) {
  if (!head.starts_with('{')) return {};
  if (head.size() > 10 && head[1] == 'L') return head.substr(10, static_cast<uint8_t>(head[9]));
  const size_t begin = head.find_first_not_of(" \t\r\n", 1);
  if (begin == std::string_view::npos || head[begin] != '"') return {};
  const size_t end = head.find('"', begin + 1);
  return end == std::string_view::npos ? std::string_view()
                                       : head.substr(begin + 1, end - begin - 1);
}

Result<Forest> ParseModel(std::string_view bytes) {
  const bool ubjson = bytes.size() > 1 && bytes[1] == 'L';
  ASSIGN_OR_RETURN(const ModelValue file, ubjson ? ParseUbjson(bytes) : ParseModelJson(bytes));
  if (file.Find("Config") != nullptr) {
    return Corruption("these are the insides of a pickled XGBoost model",
                      "save it with save_model(\"model.json\") or save_model(\"model.ubj\")");
  }
  RETURN_IF_ERROR(OnlyMembers(file, kTopMembers));
  Forest forest;
  forest.values = ValueRule::kXGBoost;
  forest.float32_sums = true;
  RETURN_IF_ERROR(ReadVersion(file, &forest));
  ASSIGN_OR_RETURN(const ModelValue* const learner, Object(file, "learner"));
  if (Status status = ReadLearner(*learner, &forest); !status.ok())
    return status.error().Within("learner");
  RETURN_IF_ERROR(Validate(forest));
  return forest;
}

}  // namespace

Result<Forest> ParseXGBoost(std::string_view bytes) {
  Result<Forest> forest = ParseModel(bytes);
  if (!forest.ok()) return forest.error().Within("XGBoost model");
  return forest;
}

bool LooksLikeXGBoost(std::string_view head) {
  const std::string_view key = FirstKey(head.substr(0, 256));
  return key == "learner" || key == "Config" ||
         (key == "version" && head.substr(0, 256).find("learner") != std::string_view::npos);
}

}  // namespace slipway
