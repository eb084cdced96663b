// Ranks of values among sorted thresholds, many at a time. Internal to score.
#pragma once

#include <cstdint>

#include "slipway/score/isa.h"

namespace slipway {

// A chunk of up to 254 thresholds: 16 pivots (the last threshold of each sixteen), then 16 x 16
// thresholds, both padded with infinity.
inline constexpr int kPivots = 16;
inline constexpr int kPaddedChunk = kPivots + 16 * 16;

// codes[i] = rank - 128 as a signed byte, rank = the number of the chunk's `count` thresholds below
// values[i]; NaN gives nan_code - 128.
void RankValues(Isa isa, const double* padded, int count, uint8_t nan_code, const double* values,
                int64_t rows, uint8_t* codes);

}  // namespace slipway
