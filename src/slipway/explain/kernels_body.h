// No include guard: kernels.cc includes it once per instruction set, in a namespace of its own,
// with SLIPWAY_MUL_ADD(a, b, c) = a * b + c.
// kStrip and kRows: how many rows of a strip and of a walk are there; the places of the others stay
// as they are, so that few rows cost little.
// Loops over rows are unrolled whole: the rows' chains of products do not wait for each other.

using Ranks = int16_t __attribute__((vector_size(32)));
using Offsets = uint16_t __attribute__((vector_size(32)));

template <size_t kStrip>
void FindOffsets(const PartNode& node, const int16_t* ranks, int16_t bound, const uint16_t* above,
                 uint16_t* offsets) {
  constexpr size_t kStep = sizeof(Ranks) / sizeof(int16_t);
  static_assert(kStrip % kStep == 0);
  const uint16_t left = node.offset(Follows::kLeft), out = node.offset(Follows::kOut);
  for (size_t row = 0; row < kStrip; row += kStep) {
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

template <size_t kStrip>
void AddOffsets(int count, uint16_t* offsets) {
  for (size_t row = 0; row < kStrip; row += sizeof(Offsets) / sizeof(uint16_t)) {
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

// Where a step's entries, offsets and sums are.
struct Place {
  Place(const PartStep& step, const Lanes* table, const uint16_t* offsets, Lanes* accumulators)
      : entries(reinterpret_cast<const char*>(table + step.table)),
        offset(offsets + static_cast<size_t>(step.node) * kStripRows) {
    for (size_t k = 0; k < size_t{PartStep::kMostNodes}; ++k) sums[k] = accumulators + step.sums[k];
  }
  const char* entries;
  const uint16_t* offset;
  Lanes* sums[PartStep::kMostNodes];
};

template <size_t kRows, size_t kFeatures>
void WalkSmallTree(const Place& place, Lanes* here) {
#pragma GCC unroll 8
  for (size_t row = 0; row < kRows; ++row) {
    const Lanes* const e = Entry(place.entries, place.offset[row]);
    const Lanes product = here[row];
    here[row] = product * e[0];
#pragma GCC unroll 3
    for (size_t k = 0; k < kFeatures; ++k) {
      Lanes* const sum = place.sums[k] + row;
      *sum = SLIPWAY_MUL_ADD(product, e[1 + k], *sum);
    }
  }
}

// By its number of features, less one.
static_assert(PartStep::kMostNodes == 3);
template <size_t kRows>
constexpr void (*kWalkSmallTree[])(const Place&, Lanes*) = {
    WalkSmallTree<kRows, 1>, WalkSmallTree<kRows, 2>, WalkSmallTree<kRows, 3>};

template <size_t kRows>
void Walk(const TreePart& part, const Lanes* table, const uint16_t* offsets, Lanes* products,
          Lanes* accumulators) {
  using Kind = PartStep::Kind;
  const PartStep* const steps = part.steps.data();
  const size_t count = part.steps.size();
  const auto place_of = [&](size_t step) {
    return Place(steps[step], table, offsets, accumulators);
  };
  for (size_t row = 0; row < kRows; ++row) products[row] = Lanes{} + 1.0;
  // Down: a step's place holds G, of a small tree H already.
  for (size_t i = 0; i < count; ++i) {
    const PartStep& step = steps[i];
    const Place place = place_of(i);
    Lanes* const here = products + i * kWalkRows;
    Lanes* const first = here + kWalkRows;
    switch (step.kind) {
      case Kind::kSmallTree:
        kWalkSmallTree<kRows>[step.features - 1](place, here);
        break;
      case Kind::kFork: {
        Lanes* const second = products + static_cast<size_t>(step.second) * kWalkRows;
#pragma GCC unroll 8
        for (size_t row = 0; row < kRows; ++row) {
          const Lanes* const e = Entry(place.entries, place.offset[row]);
          const Lanes product = here[row];
          first[row] = product * e[0];
          second[row] = product * e[2];
        }
        break;
      }
      case Kind::kOneChild:
#pragma GCC unroll 8
        for (size_t row = 0; row < kRows; ++row)
          first[row] = here[row] * Entry(place.entries, place.offset[row])[2];
        break;
      case Kind::kPassage:
#pragma GCC unroll 8
        for (size_t row = 0; row < kRows; ++row)
          first[row] = here[row] * Entry(place.entries, place.offset[row])[0];
        break;
    }
  }
  // Back: G becomes H.
  for (size_t i = count; i-- > 0;) {
    const PartStep& step = steps[i];
    if (step.kind == Kind::kSmallTree) continue;
    const Place place = place_of(i);
    Lanes* const here = products + i * kWalkRows;
    Lanes* const sum = place.sums[0];
    const Lanes* const first = here + kWalkRows;
    if (step.kind == Kind::kFork) {
      const Lanes* const second = products + static_cast<size_t>(step.second) * kWalkRows;
#pragma GCC unroll 8
      for (size_t row = 0; row < kRows; ++row) {
        const Lanes* const e = Entry(place.entries, place.offset[row]);
        const Lanes left = first[row], right = second[row];
        here[row] = left + right;
        const Lanes gain = SLIPWAY_MUL_ADD(left, e[1], sum[row]);
        sum[row] = SLIPWAY_MUL_ADD(right, e[3], gain);
      }
    } else if (step.kind == Kind::kOneChild) {
#pragma GCC unroll 8
      for (size_t row = 0; row < kRows; ++row) {
        const Lanes* const e = Entry(place.entries, place.offset[row]);
        const Lanes product = here[row], below = first[row];
        here[row] = SLIPWAY_MUL_ADD(product, e[0], below);
        const Lanes gain = SLIPWAY_MUL_ADD(product, e[1], sum[row]);
        sum[row] = SLIPWAY_MUL_ADD(below, e[3], gain);
      }
    } else {
#pragma GCC unroll 8
      for (size_t row = 0; row < kRows; ++row) {
        const Lanes below = first[row];
        here[row] = below;
        sum[row] = SLIPWAY_MUL_ADD(below, Entry(place.entries, place.offset[row])[1], sum[row]);
      }
    }
  }
}

template <size_t kRows>
void Flush(std::span<const int32_t> features, Lanes* accumulators, double* sums) {
  for (const int32_t feature : features) {
    double* const to = sums + static_cast<size_t>(feature) * kWalkRows;
#pragma GCC unroll 2
    for (size_t row = 0; row < kRows; row += 4) {
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
      // One by one: as a loop it becomes a `rep stos`, which takes longer than all the rest.
      accumulators[row] = Lanes{};
      accumulators[row + 1] = Lanes{};
      accumulators[row + 2] = Lanes{};
      accumulators[row + 3] = Lanes{};
    }
    accumulators += kWalkRows;
  }
}

template <size_t kStrip, size_t kRows>
constexpr ExplainKernels kKernels = {kStrip,
                                     kRows,
                                     FindOffsets<kStrip>,
                                     AddOffsets<kStrip>,
                                     Walk<kRows>,
                                     Flush<(kRows < 4 ? 4 : kRows)>};

// By how many rows there are: at most 1, 4, 8, 16, and more.
constexpr const ExplainKernels* kKernelsByRows[] = {&kKernels<16, 1>, &kKernels<16, 4>,
                                                    &kKernels<16, 8>, &kKernels<16, 16>,
                                                    &kKernels<kStripRows, kWalkRows>};
