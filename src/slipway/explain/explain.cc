#include "slipway/explain/explain.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "slipway/explain/fast_explainer.h"
#include "slipway/explain/parts.h"
#include "slipway/explain/reference_explainer.h"
#include "slipway/score/parallel.h"

namespace slipway {
namespace {

// Rows a thread takes at a time: whole blocks of the fast explainer.
constexpr int64_t kExplainRows = 1024;
// Leaves of a tree times its sets of points (one for every 8 features on a path): what a tree's
// tables and parts are made for, 400 bytes each.
constexpr int64_t kMostWork = 4'000'000;

// A linear model's contributions are its products.
class LinearExplainer final : public Explainer {
 public:
  explicit LinearExplainer(const Forest& forest)
      : feature_count_(forest.feature_count),
        base_(forest.base),
        weights_(forest.linear_model.weights) {
    base_.resize(static_cast<size_t>(forest.outputs));
    for (size_t i = 0; i < base_.size(); ++i) base_[i] += forest.linear_model.bias[i];
  }
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return static_cast<int>(base_.size()); }
  size_t memory_bytes() const override { return (weights_.size() + base_.size()) * sizeof(double); }
  void Explain(const double* features, int64_t rows, int64_t stride, double* out) const override {
    const size_t width = static_cast<size_t>(feature_count_), outputs = base_.size();
    for (int64_t row = 0; row < rows; ++row) {
      const double* const values = features + row * stride;
      for (size_t output = 0; output < outputs; ++output) {
        for (size_t i = 0; i < width; ++i) {
          *out++ = std::isnan(values[i]) ? 0 : values[i] * weights_[i * outputs + output];
        }
        *out++ = base_[output];
      }
    }
  }

 private:
  int feature_count_ = 0;
  std::vector<double> base_, weights_;
};

int64_t WorkOf(const Tree& tree, int features) {
  const auto leaves = static_cast<int64_t>(tree.leaf_value.size());
  return leaves * ((features + 7) / 8);
}

Status CheckExplainable(const Forest& forest) {
  for (size_t i = 0; i < forest.trees.size(); ++i) {
    const Tree& tree = forest.trees[i];
    if (!tree.linear.empty()) {
      return InvalidArgument(
          fmt::format("the model cannot be explained: tree {} has linear leaves", i),
          "train without linear_tree: LightGBM itself explains no linear trees either");
    }
    if (tree.split_feature.empty()) continue;
    if (tree.leaf_count.empty()) {
      return InvalidArgument(
          fmt::format("the model cannot be explained: tree {} does not say how many training rows "
                      "its leaves had",
                      i),
          "save the model again with its counts (leaf_count in a LightGBM text file)");
    }
    const int bound = std::min(forest.feature_count, tree.leaf_count_total() - 1);
    if (WorkOf(tree, bound) > kMostWork && WorkOf(tree, MostPathFeatures(tree)) > kMostWork) {
      return InvalidArgument(
          fmt::format("the model cannot be explained: tree {} has {} leaves and {} features on one "
                      "path",
                      i, tree.leaf_value.size(), MostPathFeatures(tree)),
          "train with shallower trees");
    }
    for (size_t leaf = 0; leaf < tree.leaf_count.size(); ++leaf) {
      if (std::isfinite(tree.leaf_count[leaf]) && tree.leaf_count[leaf] >= 0) continue;
      return InvalidArgument(
          fmt::format("the model cannot be explained: leaf {} of tree {} had {} training rows",
                      leaf, i, tree.leaf_count[leaf]),
          "save the model again with its counts");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Explainer>> CompileExplainer(const Forest& forest,
                                                    const ExplainOptions& options) {
  std::unique_ptr<Explainer> explainer;
  if (!forest.linear_model.weights.empty()) {
    explainer = std::make_unique<LinearExplainer>(forest);
    return explainer;
  }
  RETURN_IF_ERROR(CheckExplainable(forest));
  explainer =
      options.reference ? MakeReferenceExplainer(forest) : MakeFastExplainer(forest, BestIsa());
  return explainer;
}

void ExplainParallel(const Explainer& explainer, const double* features, int64_t rows,
                     int64_t stride, int threads, double* out) {
  const int64_t width = static_cast<int64_t>(explainer.outputs()) * (explainer.feature_count() + 1);
  ForRowRanges(rows, kExplainRows, std::max(threads, 1), [&](int64_t first, int64_t last) {
    explainer.Explain(features + first * stride, last - first, stride, out + first * width);
  });
}

}  // namespace slipway
