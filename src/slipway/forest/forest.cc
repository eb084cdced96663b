#include "slipway/forest/forest.h"

#include <cmath>

#include <fmt/format.h>

namespace slipway {
namespace {

constexpr int kMaxFeatures = 10'000'000;

Error Bad(std::string message) { return Corruption(std::move(message)); }

Status CheckLengths(const Tree& tree) {
  const size_t inner = tree.split_feature.size();
  if (tree.leaf_value.size() != inner + 1) {
    return Bad(fmt::format("{} leaves for {} inner nodes", tree.leaf_value.size(), inner));
  }
  if (tree.threshold.size() != inner || tree.category_set.size() != inner ||
      tree.missing_type.size() != inner || tree.default_left.size() != inner ||
      tree.left.size() != inner || tree.right.size() != inner) {
    return Bad("its arrays differ in length");
  }
  const auto empty_or = [](const std::vector<double>& values, size_t size) {
    return values.empty() || values.size() == size;
  };
  if (!empty_or(tree.internal_value, inner) || !empty_or(tree.internal_count, inner) ||
      !empty_or(tree.split_gain, inner) || !empty_or(tree.leaf_count, inner + 1)) {
    return Bad("its statistics differ in length from its nodes");
  }
  if (!tree.linear.empty() && tree.linear.size() != inner + 1) {
    return Bad("its linear leaves differ in number from its leaves");
  }
  return {};
}

Status CheckCategorySets(const Tree& tree) {
  if (tree.category_begin.empty()) {
    if (!tree.category_bits.empty()) return Bad("category bits without category sets");
    return {};
  }
  if (tree.category_begin.front() != 0) return Bad("its category sets do not begin at 0");
  for (size_t i = 1; i < tree.category_begin.size(); ++i) {
    if (tree.category_begin[i] < tree.category_begin[i - 1]) {
      return Bad(fmt::format("category set {} ends before it begins", i - 1));
    }
  }
  if (static_cast<size_t>(tree.category_begin.back()) != tree.category_bits.size()) {
    return Bad("its category sets do not cover its category bits");
  }
  return {};
}

Status CheckNode(const Tree& tree, size_t node, int feature_count) {
  const int feature = tree.split_feature[node];
  if (feature < 0 || feature >= feature_count) {
    return Bad(fmt::format("node {} splits on feature {} of {}", node, feature, feature_count));
  }
  const int sets =
      tree.category_begin.empty() ? 0 : static_cast<int>(tree.category_begin.size()) - 1;
  if (tree.category_set[node] < -1 || tree.category_set[node] >= sets) {
    return Bad(
        fmt::format("node {} uses category set {} of {}", node, tree.category_set[node], sets));
  }
  if (tree.category_set[node] < 0 && std::isnan(tree.threshold[node])) {
    return Bad(fmt::format("node {} has no number as its threshold", node));
  }
  return {};
}

// Every node and leaf is reached from the root exactly once: no cycle, no second parent, nothing
// left over.
Status CheckShape(const Tree& tree) {
  const int inner = static_cast<int>(tree.split_feature.size());
  if (inner == 0) return {};
  std::vector<uint8_t> node_seen(static_cast<size_t>(inner)),
      leaf_seen(static_cast<size_t>(inner) + 1);
  std::vector<int32_t> open = {0};
  node_seen[0] = 1;
  int nodes = 1;
  while (!open.empty()) {
    const int32_t node = open.back();
    open.pop_back();
    for (const int32_t child :
         {tree.left[static_cast<size_t>(node)], tree.right[static_cast<size_t>(node)]}) {
      const bool is_leaf = child < 0;
      const int32_t index = is_leaf ? ~child : child;
      if (is_leaf ? index > inner : index >= inner) {
        return Bad(fmt::format("node {} has child {}, which is out of range", node, child));
      }
      uint8_t& seen =
          is_leaf ? leaf_seen[static_cast<size_t>(index)] : node_seen[static_cast<size_t>(index)];
      if (seen != 0) {
        return Bad(fmt::format("{} {} is reached twice, the second time from node {}",
                               is_leaf ? "leaf" : "node", index, node));
      }
      seen = 1;
      if (is_leaf) continue;
      open.push_back(child);
      ++nodes;
    }
  }
  if (nodes != inner)
    return Bad(fmt::format("{} of its {} nodes cannot be reached", inner - nodes, inner));
  return {};
}

Status CheckLeaves(const Tree& tree, int feature_count) {
  for (size_t leaf = 0; leaf < tree.leaf_value.size(); ++leaf) {
    if (!std::isfinite(tree.leaf_value[leaf]))
      return Bad(fmt::format("leaf {} is not a finite number", leaf));
  }
  for (size_t leaf = 0; leaf < tree.linear.size(); ++leaf) {
    const Tree::LinearLeaf& linear = tree.linear[leaf];
    bool finite = std::isfinite(linear.constant);
    for (const double coefficient : linear.coefficients)
      finite = finite && std::isfinite(coefficient);
    if (!finite) return Bad(fmt::format("leaf {} has a coefficient that is not finite", leaf));
    if (linear.features.size() != linear.coefficients.size()) {
      return Bad(fmt::format("leaf {} has {} features and {} coefficients", leaf,
                             linear.features.size(), linear.coefficients.size()));
    }
    for (const int32_t feature : linear.features) {
      if (feature < 0 || feature >= feature_count) {
        return Bad(fmt::format("leaf {} uses feature {} of {}", leaf, feature, feature_count));
      }
    }
  }
  return {};
}

Status CheckTree(const Tree& tree, int feature_count) {
  RETURN_IF_ERROR(CheckLengths(tree));
  RETURN_IF_ERROR(CheckCategorySets(tree));
  for (size_t node = 0; node < tree.split_feature.size(); ++node) {
    RETURN_IF_ERROR(CheckNode(tree, node, feature_count));
  }
  RETURN_IF_ERROR(CheckShape(tree));
  return CheckLeaves(tree, feature_count);
}

Status CheckLinearModel(const Forest& forest) {
  const LinearModel& linear = forest.linear_model;
  const size_t outputs = static_cast<size_t>(forest.outputs);
  if (!forest.trees.empty()) return Bad("it has both trees and linear weights");
  if (linear.weights.size() != static_cast<size_t>(forest.feature_count) * outputs ||
      linear.bias.size() != outputs) {
    return Bad(fmt::format("{} weights and {} biases for {} features and {} outputs",
                           linear.weights.size(), linear.bias.size(), forest.feature_count,
                           forest.outputs));
  }
  for (const std::vector<double>* values : {&linear.weights, &linear.bias}) {
    for (const double value : *values) {
      if (!std::isfinite(value)) return Bad("a linear weight is not a finite number");
    }
  }
  return {};
}

Status CheckOutputs(const Forest& forest) {
  if (forest.outputs < 1) return Bad(fmt::format("it has {} outputs", forest.outputs));
  const size_t outputs = static_cast<size_t>(forest.outputs);
  if (!forest.base.empty() && forest.base.size() != outputs) {
    return Bad(fmt::format("{} base scores for {} outputs", forest.base.size(), forest.outputs));
  }
  for (const double base : forest.base) {
    if (!std::isfinite(base)) return Bad("a base score is not a finite number");
  }
  if (!forest.linear_model.weights.empty()) {
    RETURN_IF_ERROR(CheckLinearModel(forest));
  } else if (forest.trees.empty() && forest.base.empty()) {
    return Bad("it has no trees");
  }
  if (forest.trees.size() % outputs != 0 ||
      forest.trees.size() / outputs != static_cast<size_t>(forest.iterations)) {
    return Bad(fmt::format("{} trees are not {} iterations of {} outputs", forest.trees.size(),
                           forest.iterations, forest.outputs));
  }
  const bool per_class = forest.transform == OutputTransform::kSoftmax ||
                         forest.transform == OutputTransform::kMulticlassOva;
  // Leaves of scikit-learn's forests are probabilities already: no transform.
  const bool multiclass = forest.kind == PredictionKind::kMulticlass;
  if ((per_class && !multiclass) || (multiclass && forest.outputs < 2) ||
      (multiclass && !per_class && forest.transform != OutputTransform::kIdentity)) {
    return Bad("its outputs do not suit its objective");
  }
  if (!multiclass && forest.outputs != 1 && forest.kind != PredictionKind::kRaw) {
    return Bad(
        fmt::format("{} outputs do not suit objective '{}'", forest.outputs, forest.objective));
  }
  if (!std::isfinite(forest.sigmoid) || forest.sigmoid <= 0)
    return Bad("its sigmoid is not above 0");
  return {};
}

}  // namespace

Status Validate(const Forest& forest) {
  if (forest.feature_count < 0 || forest.feature_count > kMaxFeatures) {
    return Bad(fmt::format("the model has {} features", forest.feature_count));
  }
  if (!forest.feature_names.empty() &&
      forest.feature_names.size() != static_cast<size_t>(forest.feature_count)) {
    return Bad(fmt::format("the model has {} feature names for {} features",
                           forest.feature_names.size(), forest.feature_count));
  }
  for (const int32_t feature : forest.categorical_features) {
    if (feature < 0 || feature >= forest.feature_count) {
      return Bad(fmt::format("categorical feature {} of {}", feature, forest.feature_count));
    }
  }
  if (Status status = CheckOutputs(forest); !status.ok()) return status.error().Within("the model");
  for (size_t i = 0; i < forest.trees.size(); ++i) {
    if (Status status = CheckTree(forest.trees[i], forest.feature_count); !status.ok()) {
      return status.error().Within(fmt::format("tree {}", i));
    }
  }
  return {};
}

}  // namespace slipway
