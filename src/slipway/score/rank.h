// Ranks of values among sorted thresholds, many at a time. Internal to score.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "slipway/score/isa.h"

namespace slipway {

// Up to 254 thresholds, ascending and distinct: 16 sixteens, padded with infinity. The pivots are
// the last of each sixteen; the last pivot is infinity. Kept as float64 and rounded to float32: of
// two numbers whose float32 differ the order is known, and eight of those are compared at once.
struct RankTable {
  explicit RankTable(std::span<const double> thresholds);
  alignas(64) std::array<double, 16> pivots;
  std::array<double, 256> thresholds;
  std::array<float, 16> pivots32;
  std::array<float, 256> thresholds32;
  int count = 0;
};

inline constexpr int kMaxRanked = 254;
inline constexpr int kMaxRankCall = 65536;  // values of one call

// ranks[i] = the number of thresholds below values[i]; of NaN: anything. Returns how many values
// are NaN and puts their indices into nan_rows (room for `rows` of them; rows <= kMaxRankCall).
int64_t RankValues(Isa isa, const RankTable& table, const double* values, int64_t rows,
                   uint8_t* ranks, uint16_t* nan_rows);

// Values of one row, each with a table of its own: ranks[i] = the rank of row[features[i]] in
// *tables[i]; of NaN: anything.
void RankRow(Isa isa, const RankTable* const* tables, const int32_t* features, int64_t count,
             const double* row, uint8_t* ranks);

}  // namespace slipway
