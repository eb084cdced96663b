// Before a fast engine is taken it scores a sample and must give the reference's bits. Internal to
// score.
#pragma once

#include <vector>

#include "slipway/score/engine.h"

namespace slipway {

// Rows that stand where engines could differ: each value is, by a fixed seed, one of the feature's
// thresholds, the number just beside one, a category in or outside a set, missing, zero, infinite
// or denormal. rows x forest.feature_count, row-major.
std::vector<double> HardRows(const Forest& forest, int rows);

// kInternal with the row and the two scores when the engines differ on HardRows.
Status CheckAgainst(const Engine& reference, const Engine& engine, const Forest& forest);

}  // namespace slipway
