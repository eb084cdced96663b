// Lundberg et al. 2018, algorithm 2. A path holds each feature met on the way down once: the part
// of the training rows that follow it when the feature is unknown (`zero`), and whether this row
// follows it (`one`). `weight` of the element at i is the summed weight of the feature subsets of
// size i that the path allows.
#include "slipway/explain/reference_explainer.h"

#include <algorithm>

#include "slipway/explain/cover.h"
#include "slipway/score/slot.h"

namespace slipway {
namespace {

struct PathElement {
  int32_t feature = -1;
  double zero = 1;
  double one = 1;
  double weight = 1;
};

using FeaturePath = std::vector<PathElement>;

void Extend(FeaturePath* path, int32_t feature, double zero, double one) {
  const double depth = static_cast<double>(path->size());
  path->push_back({feature, zero, one, path->empty() ? 1.0 : 0.0});
  FeaturePath& p = *path;
  for (size_t i = p.size() - 1; i-- > 0;) {
    const double at = static_cast<double>(i);
    p[i + 1].weight += one * p[i].weight * (at + 1) / (depth + 1);
    p[i].weight = zero * p[i].weight * (depth - at) / (depth + 1);
  }
}

// The path's weights as if element `index` had never been added. Without its `one` the `zero`
// divides; where both are 0, the weights are too.
void UnwindWeights(const FeaturePath& path, size_t index, std::vector<double>* weights) {
  const double depth = static_cast<double>(path.size() - 1);
  const double one = path[index].one, zero = path[index].zero;
  weights->resize(path.size() - 1);
  double next = path.back().weight;
  for (size_t i = path.size() - 1; i-- > 0;) {
    const double at = static_cast<double>(i);
    double& weight = (*weights)[i];
    if (one != 0) {
      weight = next * (depth + 1) / ((at + 1) * one);
      next = path[i].weight - weight * zero * (depth - at) / (depth + 1);
    } else {
      weight = zero != 0 ? path[i].weight * (depth + 1) / (zero * (depth - at)) : 0;
    }
  }
}

void Unwind(FeaturePath* path, size_t index) {
  std::vector<double> weights;
  UnwindWeights(*path, index, &weights);
  path->erase(path->begin() + static_cast<std::ptrdiff_t>(index));
  for (size_t i = 0; i < weights.size(); ++i) (*path)[i].weight = weights[i];
}

class ReferenceExplainer final : public Explainer {
 public:
  explicit ReferenceExplainer(const Forest& forest) : forest_(forest), base_(forest.base) {
    base_.resize(static_cast<size_t>(forest_.outputs));
    for (size_t i = 0; i < forest_.trees.size(); ++i) {
      covers_.push_back(CoversOf(forest_.trees[i]));
      base_[i % base_.size()] += ExpectedValue(forest_.trees[i], covers_.back());
    }
  }
  int feature_count() const override { return forest_.feature_count; }
  int outputs() const override { return forest_.outputs; }
  size_t memory_bytes() const override {
    size_t bytes = 0;
    for (const Tree& tree : forest_.trees)
      bytes += tree.leaf_value.size() * 80 + tree.category_bits.size() * 4;
    return bytes;
  }

  void Explain(const double* features, int64_t rows, int64_t stride, double* out) const override {
    const size_t width = static_cast<size_t>(forest_.feature_count) + 1;
    for (int64_t row = 0; row < rows; ++row) {
      double* const to = out + row * static_cast<int64_t>(base_.size() * width);
      std::fill(to, to + base_.size() * width, 0.0);
      for (size_t i = 0; i < base_.size(); ++i) to[i * width + width - 1] = base_[i];
      for (size_t i = 0; i < forest_.trees.size(); ++i) {
        if (forest_.trees[i].split_feature.empty()) continue;
        Walk walk{forest_.trees[i], covers_[i], features + row * stride,
                  to + i % base_.size() * width};
        Descend(walk, 0, {}, 1, 1, -1);
      }
    }
  }

 private:
  struct Walk {
    const Tree& tree;
    const std::vector<Cover>& covers;
    const double* row;
    double* contributions;
  };

  bool GoesLeft(const Tree& tree, size_t node, const double* row) const {
    const double slot =
        SlotValue(NodeView(tree, node), forest_.values, row[tree.split_feature[node]]);
    const int32_t set = tree.category_set[node];
    if (set < 0) return slot <= tree.threshold[node];
    if (slot == kGoLeft) return true;
    const uint32_t category = CategoryOf(slot);
    const auto begin = static_cast<size_t>(tree.category_begin[static_cast<size_t>(set)]);
    const auto end = static_cast<size_t>(tree.category_begin[static_cast<size_t>(set) + 1]);
    if (category / 32 >= end - begin) return false;
    return (tree.category_bits[begin + category / 32] >> (category % 32) & 1) != 0;
  }

  // NOLINTNEXTLINE(misc-no-recursion): the algorithm as it is written
  void Descend(const Walk& walk, int32_t node, FeaturePath path, double zero, double one,
               int32_t feature) const {
    Extend(&path, feature, zero, one);
    if (node < 0) {
      std::vector<double> weights;
      for (size_t i = 1; i < path.size(); ++i) {
        UnwindWeights(path, i, &weights);
        double sum = 0;
        for (const double weight : weights) sum += weight;
        walk.contributions[path[i].feature] +=
            sum * (path[i].one - path[i].zero) * walk.tree.leaf_value[static_cast<size_t>(~node)];
      }
      return;
    }
    const size_t at = static_cast<size_t>(node);
    const int32_t split = walk.tree.split_feature[at];
    double zero_so_far = 1, one_so_far = 1;
    for (size_t i = 1; i < path.size(); ++i) {
      if (path[i].feature != split) continue;
      zero_so_far = path[i].zero;
      one_so_far = path[i].one;
      Unwind(&path, i);
      break;
    }
    const bool left = GoesLeft(walk.tree, at, walk.row);
    Descend(walk, walk.tree.left[at], path, zero_so_far * walk.covers[at].left,
            left ? one_so_far : 0, split);
    Descend(walk, walk.tree.right[at], std::move(path), zero_so_far * walk.covers[at].right,
            left ? 0 : one_so_far, split);
  }

  Forest forest_;
  std::vector<double> base_;
  std::vector<std::vector<Cover>> covers_;
};

}  // namespace

std::unique_ptr<Explainer> MakeReferenceExplainer(const Forest& forest) {
  return std::make_unique<ReferenceExplainer>(forest);
}

}  // namespace slipway
