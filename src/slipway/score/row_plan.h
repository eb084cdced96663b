// The bit vectors of bitvector_plan.h turned by a quarter, for one row at a time: the lanes of a
// register are trees instead of rows. Step j of a plane holds the j-th cut of each tree of a group;
// a cut's code is looked up in the row's codes, which stay in registers. Internal to score.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "slipway/score/bitvector_plan.h"

namespace slipway {

// One cut of a tree's plane: keep it when the code of `column`, complemented when its bit 4 is set,
// is < bound as signed bytes, else and it with `keep`.
struct RowCut {
  uint8_t column = 0;  // column % 16, 16 when complemented, 32 * (column / 16)
  uint8_t bound = 0;
  uint8_t keep = 0xFF;
};

// Where a category clears bits: plane byte `position` (group, plane, lane) loses clear[code & 15].
struct RowCategoryCut {
  uint32_t position = 0;
  uint32_t category_cut = 0;  // index into BitvectorPlan::category_cuts
};

// Of one categorical feature: the bytes that each code keeps of all planes (code * plane_bytes),
// or, when that would take too much memory, the cuts by sixteen codes.
struct RowCategories {
  std::vector<uint8_t> keep;
  std::vector<std::vector<RowCategoryCut>> chunks;
};

struct RowPlane {
  uint32_t steps_end = 0;  // steps from the plane before on
};

struct RowGroup {
  uint32_t planes_begin = 0;
  uint32_t plane_count = 0;
  uint32_t steps_begin = 0;
};

struct RowPlan {
  int lanes = 0;    // trees of a group
  int columns = 0;  // codes of a row, at most kMaxRowColumns
  int outputs = 1;
  bool float32_sums = false;
  std::vector<RowGroup> groups;
  std::vector<RowPlane> planes;        // from the last plane of a group to the first
  std::vector<uint8_t> steps;          // per step: columns, bounds, keeps of all lanes
  std::vector<uint32_t> leaves_begin;  // by tree, into values
  std::vector<double> values;
  std::vector<RowCategories> category_cuts;  // by categorical feature, as Coder numbers them
  size_t plane_bytes = 0;                    // of all groups and planes
  size_t memory_bytes() const;
};

inline constexpr int kRowStepBytes = 3;  // of a lane
inline constexpr int kMaxRowPlanes = 8;
inline constexpr size_t kMaxRowPlaneBytes = 32 << 10;

// What the planner of trees hands over, tree by tree: cuts by plane (0 first), the leaves' values
// in bit order, the category cuts.
struct RowTrees {
  struct Category {
    int slot = 0;   // of the coder
    int chunk = 0;  // sixteen codes
    uint32_t plane = 0;
    uint32_t category_cut = 0;
  };
  struct Tree {
    uint32_t planes_end = 0, values_end = 0, categories_end = 0;
  };
  std::vector<Tree> trees;
  std::vector<uint32_t> plane_ends;  // into cuts
  std::vector<RowCut> cuts;
  std::vector<double> values;
  std::vector<Category> categories;
};

// False when the forest does not suit it (too many planes or bytes).
bool MakeRowPlan(RowTrees trees, const BitvectorPlan& bits, int lanes, RowPlan* plan);

}  // namespace slipway
