// Which engine is the faster one for a forest and a call: estimates in nanoseconds, from
// measurements on Zen 3 (docs/performance.md). They need not be exact: near the border both engines
// take about as long. Internal to score.
#pragma once

#include <cstdint>

#include "slipway/forest/forest.h"

namespace slipway {

struct CostEstimate {
  double walk_row = 0;   // the reference, a row of many
  double walk_few = 0;   // the reference, one row of less than eight
  double bits_row = 0;   // bit vectors without ranking, a row of a full register
  double ranks_row = 0;  // ranking a row's values

  // Whether the reference is the better one for a call of so many rows; registers hold `lanes`.
  bool WalkIsFaster(int64_t rows, int lanes) const;
  // The same for calls of many rows.
  bool WalkIsFaster() const { return walk_row < bits_row + ranks_row; }
};

CostEstimate EstimateCost(const Forest& forest);

}  // namespace slipway
