// No include guard: kernels.cc includes it once per instruction set, in a namespace of its own,
// with SLIPWAY_MUL_ADD(a, b, c) = a * b + c.
// Loops over rows are unrolled whole: the rows' chains of products do not wait for each other.

using Ranks = int16_t __attribute__((vector_size(32)));
using Offsets = uint16_t __attribute__((vector_size(32)));

void FindOffsets(const PartNode& node, const int16_t* ranks, int16_t bound, const uint16_t* above,
                 uint16_t* offsets) {
  constexpr size_t kStep = sizeof(Ranks) / sizeof(int16_t);
  static_assert(kStripRows % kStep == 0);
  const uint16_t left = node.offset(Follows::kLeft), out = node.offset(Follows::kOut);
  for (size_t row = 0; row < size_t{kStripRows}; row += kStep) {
    Ranks rank;
    std::memcpy(&rank, ranks + row, sizeof rank);
    Offsets offset = reinterpret_cast<Offsets>(rank <= bound) & left;
    if (above != nullptr) {
      Offsets before;
      std::memcpy(&before, above + row, sizeof before);
      const Offsets inside = reinterpret_cast<Offsets>(before == node.same_feature_offset);
      offset = (inside & offset) | (~inside & out);
    }
    std::memcpy(offsets + row, &offset, sizeof offset);
  }
}

void AddOffsets(int count, uint16_t* offsets) {
  for (size_t row = 0; row < size_t{kStripRows}; row += sizeof(Offsets) / sizeof(uint16_t)) {
    Offsets sum;
    std::memcpy(&sum, offsets + row, sizeof sum);
    for (int i = 1; i < count; ++i) {
      Offsets more;
      std::memcpy(&more, offsets + i * kStripRows + row, sizeof more);
      sum += more;
    }
    std::memcpy(offsets + row, &sum, sizeof sum);
  }
}

inline const Lanes* Entry(const char* entries, uint16_t offset) {
  return reinterpret_cast<const Lanes*>(entries + offset);
}

template <size_t kFeatures>
inline void WalkSmallTree(const PartStep& step, const char* entries, const uint16_t* offset,
                          Lanes* here, Lanes* accumulators) {
  Lanes* sums[kFeatures];
  for (size_t k = 0; k < kFeatures; ++k)
    sums[k] = accumulators + static_cast<size_t>(step.accumulators[k]) * kWalkRows;
#pragma GCC unroll 8
  for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
    const Lanes* const e = Entry(entries, offset[row]);
    const Lanes product = here[row];
    here[row] = product * e[0];
#pragma GCC unroll 8
    for (size_t k = 0; k < kFeatures; ++k) {
      Lanes* const sum = sums[k] + row;
      *sum = SLIPWAY_MUL_ADD(product, e[1 + k], *sum);
    }
  }
}

void Walk(const TreePart& part, const Lanes* table, const uint16_t* offsets, Lanes* products,
          Lanes* accumulators) {
  const PartStep* const steps = part.steps.data();
  const size_t count = part.steps.size();
  for (size_t row = 0; row < size_t{kWalkRows}; ++row) products[row] = Lanes{} + 1.0;
  // Down: a step's place holds G, of a small tree H already.
  for (size_t i = 0; i < count; ++i) {
    const PartStep& step = steps[i];
    const char* const entries = reinterpret_cast<const char*>(table + step.table);
    const uint16_t* const offset = offsets + static_cast<size_t>(step.node) * kStripRows;
    Lanes* const here = products + i * kWalkRows;
    Lanes* const first = here + kWalkRows;
    switch (step.kind) {
      case PartStep::Kind::kSmallTree:
        switch (step.features) {
          case 1:
            WalkSmallTree<1>(step, entries, offset, here, accumulators);
            break;
          case 2:
            WalkSmallTree<2>(step, entries, offset, here, accumulators);
            break;
          case 3:
            WalkSmallTree<3>(step, entries, offset, here, accumulators);
            break;
          default:
            WalkSmallTree<4>(step, entries, offset, here, accumulators);
        }
        break;
      case PartStep::Kind::kFork: {
        Lanes* const second = products + static_cast<size_t>(step.second) * kWalkRows;
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
          const Lanes* const e = Entry(entries, offset[row]);
          const Lanes product = here[row];
          first[row] = product * e[0];
          second[row] = product * e[2];
        }
        break;
      }
      case PartStep::Kind::kOneChild:
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row)
          first[row] = here[row] * Entry(entries, offset[row])[2];
        break;
      case PartStep::Kind::kPassage:
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row)
          first[row] = here[row] * Entry(entries, offset[row])[0];
        break;
    }
  }
  // Back: G becomes H.
  for (size_t i = count; i-- > 0;) {
    const PartStep& step = steps[i];
    if (step.kind == PartStep::Kind::kSmallTree) continue;
    const char* const entries = reinterpret_cast<const char*>(table + step.table);
    const uint16_t* const offset = offsets + static_cast<size_t>(step.node) * kStripRows;
    Lanes* const here = products + i * kWalkRows;
    Lanes* const sum = accumulators + static_cast<size_t>(step.accumulators[0]) * kWalkRows;
    const Lanes* const first = here + kWalkRows;
    switch (step.kind) {
      case PartStep::Kind::kFork: {
        const Lanes* const second = products + static_cast<size_t>(step.second) * kWalkRows;
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
          const Lanes* const e = Entry(entries, offset[row]);
          const Lanes left = first[row], right = second[row];
          here[row] = left + right;
          const Lanes gain = SLIPWAY_MUL_ADD(left, e[1], sum[row]);
          sum[row] = SLIPWAY_MUL_ADD(right, e[3], gain);
        }
        break;
      }
      case PartStep::Kind::kOneChild:
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
          const Lanes* const e = Entry(entries, offset[row]);
          const Lanes product = here[row], below = first[row];
          here[row] = SLIPWAY_MUL_ADD(product, e[0], below);
          const Lanes gain = SLIPWAY_MUL_ADD(product, e[1], sum[row]);
          sum[row] = SLIPWAY_MUL_ADD(below, e[3], gain);
        }
        break;
      default:
#pragma GCC unroll 8
        for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
          const Lanes below = first[row];
          here[row] = below;
          sum[row] = SLIPWAY_MUL_ADD(below, Entry(entries, offset[row])[1], sum[row]);
        }
    }
  }
}

void Flush(std::span<const int32_t> features, Lanes* accumulators, int64_t stride, double* sums) {
  for (const int32_t feature : features) {
    double* const to = sums + feature * stride;
#pragma GCC unroll 2
    for (size_t row = 0; row < size_t{kWalkRows}; row += 4) {
      const Lanes a = accumulators[row], b = accumulators[row + 1], c = accumulators[row + 2],
                  d = accumulators[row + 3];
      const Lanes ab = __builtin_shufflevector(a, b, 0, 4, 2, 6) +
                       __builtin_shufflevector(a, b, 1, 5, 3, 7);  // a01 b01 a23 b23
      const Lanes cd =
          __builtin_shufflevector(c, d, 0, 4, 2, 6) + __builtin_shufflevector(c, d, 1, 5, 3, 7);
      Lanes sum;
      std::memcpy(&sum, to + row, sizeof sum);
      sum +=
          __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
      std::memcpy(to + row, &sum, sizeof sum);
      for (size_t i = 0; i < 4; ++i) accumulators[row + i] = Lanes{};
    }
    accumulators += kWalkRows;
  }
}
