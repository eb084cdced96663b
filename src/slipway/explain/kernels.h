// The fast explainer's inner loops, built once per instruction set. Internal to explain.
#pragma once

#include <cstdint>
#include <span>

#include "slipway/explain/parts.h"
#include "slipway/score/isa.h"

namespace slipway {

// Rows whose places at nodes are found at a time, and of these, rows that walk a part at a time.
inline constexpr int kStripRows = 64;
inline constexpr int kWalkRows = 16;

struct ExplainKernels {
  // Of each strip and of each walk, so many rows are looked at (a strip's a multiple of 16); the
  // distances between rows' places are always kStripRows and kWalkRows.
  size_t strip_rows, walk_rows;
  // offsets[row] = the entry, in bytes, of each row at a numerical node: left when ranks[row] <=
  // bound. `above`: offsets at the same_feature node; nullptr: there is none.
  void (*find_offsets)(const PartNode& node, const int16_t* ranks, int16_t bound,
                       const uint16_t* above, uint16_t* offsets);
  // The first node's offsets += those of the next `count` - 1, which follow each other.
  void (*add_offsets)(int count, uint16_t* offsets);
  // One pass over a part for walk_rows rows. offsets[node * kStripRows + row]; `products`: room for
  // kWalkRows per step; adds to accumulators[accumulator * kWalkRows + row].
  void (*walk)(const TreePart& part, const Lanes* table, const uint16_t* offsets, Lanes* products,
               Lanes* accumulators);
  // sums[features[i] * kWalkRows + row] += the lanes of accumulators[i * kWalkRows + row], which
  // become 0, for walk_rows rows (at least 4).
  void (*flush)(std::span<const int32_t> features, Lanes* accumulators, double* sums);
};

// `rows`: how many the call explains.
const ExplainKernels& KernelsFor(Isa isa, int64_t rows);

}  // namespace slipway
