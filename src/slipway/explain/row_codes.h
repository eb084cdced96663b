// What rows are to the nodes of a forest: each value's rank among the thresholds that it is
// compared with, and each category. slot.h says what a value is. Internal to explain.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "slipway/forest/forest.h"
#include "slipway/score/slot.h"

namespace slipway {

// How a node decides on codes. Numerical: left when the rank in `column` is <= bound. Categorical
// (set >= 0): by the category in `column`.
struct NodeTest {
  int32_t column = 0;
  int16_t bound = 0;
  int32_t set = -1;
};

class RowCodes {
 public:
  // Of one block of rows, column by column.
  struct Block {
    std::vector<int16_t> ranks;
    std::vector<uint32_t> categories;
  };

  // REQUIRES: Validate(forest).ok().
  explicit RowCodes(const Forest& forest);

  // REQUIRES: the tree is one of the forest; not after EndTests.
  NodeTest TestOf(const Tree& tree, size_t node);
  // Lets go of what only TestOf needs.
  void EndTests();

  // Codes of `rows` rows; columns are `stride_out` apart.
  void Encode(const double* features, int64_t rows, int64_t stride, int64_t stride_out,
              Block* block) const;
  bool GoesLeft(const NodeTest& test, uint32_t category) const {
    if (category == kNanLeft) return true;
    const Set& set = sets_[static_cast<size_t>(test.set)];
    if (category / 32 >= set.words) return false;
    return (bits_[set.begin + category / 32] >> (category % 32) & 1) != 0;
  }
  size_t memory_bytes() const;

 private:
  // No category: those end before 2^31, and kNoCategory is another.
  static constexpr uint32_t kNanLeft = UINT32_MAX - 1;
  static constexpr size_t kMostRanks = 32'000;  // they fit int16_t

  struct RankColumn {
    int32_t feature = 0;
    View view = View::kConstant;
    std::vector<double> thresholds;  // 2^steps - 1, the last ones infinite
    int steps = 0;
    int16_t count = 0;
  };
  struct CategoryColumn {
    int32_t feature = 0;
    View view = View::kConstant;
  };
  struct Set {
    size_t begin = 0;
    size_t words = 0;
  };

  ValueRule rule_;
  std::vector<RankColumn> rank_columns_;
  std::vector<CategoryColumn> category_columns_;
  std::vector<Set> sets_;
  std::vector<uint32_t> bits_;
  // Of each feature and view: its first column.
  std::map<std::pair<int32_t, View>, int32_t> columns_;
  // Ascending, without repetition; only while compiling, like columns_.
  std::map<std::pair<int32_t, View>, std::vector<double>> thresholds_;
};

}  // namespace slipway
