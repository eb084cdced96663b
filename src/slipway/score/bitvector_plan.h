// Trees as bit vectors, after QuickScorer (Lucchese et al., SIGIR 2015) and RapidScorer (Ye et al.,
// KDD 2018): a tree's leaves are bits in an order in which the left child comes first; every node
// whose test fails clears the leaves of its left child; the lowest bit that is left is the exit
// leaf. Here the child with fewer leaves comes first (the test is turned round where it is the
// right one), so that most nodes touch one byte; and the work is sorted by byte ("plane") instead
// of by node, so that a plane lives in registers while all that touches it is done. Internal to
// score.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"
#include "slipway/score/coder.h"

namespace slipway {

// plane &= code < bound ? 0xFF : keep. All as they go into registers: bytes four times.
struct Cut {
  uint32_t column = 0;
  uint32_t bound = 0;  // minus 128, as signed bytes
  uint32_t keep = 0;
};

// plane &= ~clear[code]; 0x80 and above clear nothing.
struct CategoryCut {
  uint32_t column = 0;
  std::array<uint8_t, 16> clear = {};
};

struct Plane {
  uint32_t cuts_end = 0;  // cuts from the plane before on
  uint32_t category_cuts_end = 0;
};

struct BitvectorTree {
  uint32_t planes_begin = 0;
  uint32_t plane_count = 1;
  uint32_t cuts_begin = 0;
  uint32_t category_cuts_begin = 0;
  uint32_t leaves_begin = 0;  // into values, in bit order
  uint32_t bytes_begin = 0;   // into value_bytes; trees of up to 32 leaves
  bool categorical = false;
  bool linear = false;
};

struct BitvectorPlan {
  std::vector<BitvectorTree> trees;
  std::vector<Plane> planes;
  std::vector<Cut> cuts;
  std::vector<CategoryCut> category_cuts;
  std::vector<double> values;  // of leaves
  // The same of trees of up to 32 leaves, byte by byte for table lookups: byte b of leaf 16 k + i
  // is at bytes_begin + (k * 8 + b) * 16 + i. These trees have no `values`, unless linear.
  std::vector<uint8_t> value_bytes;
  std::vector<int32_t> leaf_ids;  // the forest's leaf of each value; of linear trees
  bool float32_sums = false;
  size_t memory_bytes() const;
};

inline constexpr int kMaxBitvectorLeaves = 2048;

struct RowTrees;

// kInvalidArgument when a tree has too many leaves. `rows`, when not nullptr, gets what row_plan.h
// needs of each tree.
Result<BitvectorPlan> MakeBitvectorPlan(const Forest& forest, Coder* coder, RowTrees* rows);

}  // namespace slipway
