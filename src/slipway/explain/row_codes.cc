#include "slipway/explain/row_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace slipway {

RowCodes::RowCodes(const Forest& forest) : rule_(forest.values) {
  for (const Tree& tree : forest.trees) {
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      const std::pair<int32_t, View> key(tree.split_feature[node], NodeView(tree, node));
      if (tree.category_set[node] < 0) {
        thresholds_[key].push_back(tree.threshold[node]);
      } else if (columns_.try_emplace(key, static_cast<int32_t>(category_columns_.size())).second) {
        category_columns_.push_back({key.first, key.second});
      }
    }
  }
  for (auto& [key, all] : thresholds_) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    columns_[key] = static_cast<int32_t>(rank_columns_.size());
    for (size_t begin = 0; begin < all.size(); begin += kMostRanks) {
      const size_t count = std::min(kMostRanks, all.size() - begin);
      RankColumn column{key.first, key.second, {}, 0, static_cast<int16_t>(count)};
      while ((size_t{1} << column.steps) - 1 < count) ++column.steps;
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(begin);
      column.thresholds.assign(first, first + static_cast<std::ptrdiff_t>(count));
      column.thresholds.resize((size_t{1} << column.steps) - 1,
                               std::numeric_limits<double>::infinity());
      rank_columns_.push_back(std::move(column));
    }
  }
}

NodeTest RowCodes::TestOf(const Tree& tree, size_t node) {
  const std::pair<int32_t, View> key(tree.split_feature[node], NodeView(tree, node));
  NodeTest test;
  test.column = columns_.at(key);
  const int32_t set = tree.category_set[node];
  if (set < 0) {
    const std::vector<double>& all = thresholds_.at(key);
    const size_t at = static_cast<size_t>(
        std::lower_bound(all.begin(), all.end(), tree.threshold[node]) - all.begin());
    test.column += static_cast<int32_t>(at / kMostRanks);
    test.bound = static_cast<int16_t>(at % kMostRanks);
    return test;
  }
  const auto begin = tree.category_bits.begin() + tree.category_begin[static_cast<size_t>(set)];
  const auto end = tree.category_bits.begin() + tree.category_begin[static_cast<size_t>(set) + 1];
  test.set = static_cast<int32_t>(sets_.size());
  sets_.push_back({bits_.size(), static_cast<size_t>(end - begin)});
  bits_.insert(bits_.end(), begin, end);
  return test;
}

void RowCodes::EndTests() {
  columns_.clear();
  thresholds_.clear();
}

void RowCodes::Encode(const double* features, int64_t rows, int64_t stride, int64_t stride_out,
                      Block* block) const {
  block->ranks.resize(rank_columns_.size() * static_cast<size_t>(stride_out));
  block->categories.resize(category_columns_.size() * static_cast<size_t>(stride_out));
  int16_t* ranks = block->ranks.data();
  for (const RankColumn& column : rank_columns_) {
    const double* from = features + column.feature;
    const double* const thresholds = column.thresholds.data();
    for (int64_t row = 0; row < rows; ++row) {
      const double value = SlotValue(column.view, rule_, from[row * stride]);
      size_t rank = 0;
      for (int step = column.steps; step-- > 0;) {
        const size_t half = size_t{1} << step;
        rank += half & -static_cast<size_t>(thresholds[rank + half - 1] < value);
      }
      // NaN is above all thresholds: it goes right everywhere.
      ranks[row] = std::isnan(value) ? column.count : static_cast<int16_t>(rank);
    }
    ranks += stride_out;
  }
  uint32_t* categories = block->categories.data();
  for (const CategoryColumn& column : category_columns_) {
    const double* from = features + column.feature;
    for (int64_t row = 0; row < rows; ++row) {
      const double slot = SlotValue(column.view, rule_, from[row * stride]);
      categories[row] = slot == kGoLeft ? kNanLeft : CategoryOf(slot);
    }
    categories += stride_out;
  }
}

size_t RowCodes::memory_bytes() const {
  size_t bytes = bits_.size() * sizeof(uint32_t) + sets_.size() * sizeof(Set);
  for (const RankColumn& column : rank_columns_) bytes += column.thresholds.size() * sizeof(double);
  return bytes;
}

}  // namespace slipway
