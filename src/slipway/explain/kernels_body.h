// No include guard: kernels.cc includes it once per instruction set, in a namespace of its own.
// Loops over rows are unrolled whole: the rows' chains of products do not wait for each other.

using Ranks = int16_t __attribute__((vector_size(32)));
using Offsets = uint16_t __attribute__((vector_size(32)));

void FindOffsets(const PartNode& node, const int16_t* ranks, int16_t bound, const uint16_t* above,
                 uint16_t above_follows, uint16_t* offsets) {
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
      const Offsets inside = reinterpret_cast<Offsets>(before == above_follows);
      offset = (inside & offset) | (~inside & out);
    }
    std::memcpy(offsets + row, &offset, sizeof offset);
  }
}

void Walk(const TreePart& part, const Lanes* table, const uint16_t* offsets, Lanes* products,
          Lanes* accumulators) {
  const PartNode* const nodes = part.nodes.data();
  const size_t count = part.nodes.size();
  const auto entry = [](const char* entries, uint16_t offset) {
    return reinterpret_cast<const Lanes*>(entries + offset);
  };
  for (size_t row = 0; row < size_t{kWalkRows}; ++row) products[row] = Lanes{} + 1.0;
  // Down: products of factors. A node's own place then holds what its leaves give.
  for (size_t i = 0; i < count; ++i) {
    const PartNode& node = nodes[i];
    const char* const entries = reinterpret_cast<const char*>(table + node.table);
    const uint16_t* const offset = offsets + i * kStripRows;
    Lanes* const here = products + i * kWalkRows;
    Lanes* const sum = accumulators + static_cast<size_t>(node.accumulator) * kWalkRows;
    if (node.has_two()) {
      Lanes* const left = here + kWalkRows;
      Lanes* const right = products + static_cast<size_t>(node.second) * kWalkRows;
#pragma GCC unroll 8
      for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
        const Lanes* const e = entry(entries, offset[row]);
        const Lanes product = here[row];
        left[row] = product * e[0];
        right[row] = product * e[2];
      }
    } else if (node.has_none()) {
#pragma GCC unroll 8
      for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
        const Lanes* const e = entry(entries, offset[row]);
        const Lanes product = here[row];
        here[row] = product * e[0];
        sum[row] += product * e[1];
      }
    } else {
      Lanes* const child = here + kWalkRows;
#pragma GCC unroll 8
      for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
        const Lanes* const e = entry(entries, offset[row]);
        const Lanes product = here[row];
        here[row] = product * e[0];
        sum[row] += product * e[1];
        child[row] = product * e[2];
      }
    }
  }
  // Back: sums of what is below.
  for (size_t i = count; i-- > 0;) {
    const PartNode& node = nodes[i];
    if (node.has_none()) continue;
    const char* const entries = reinterpret_cast<const char*>(table + node.table);
    const uint16_t* const offset = offsets + i * kStripRows;
    Lanes* const here = products + i * kWalkRows;
    Lanes* const sum = accumulators + static_cast<size_t>(node.accumulator) * kWalkRows;
    const Lanes* const first = here + kWalkRows;
    if (node.has_two()) {
      const Lanes* const second = products + static_cast<size_t>(node.second) * kWalkRows;
#pragma GCC unroll 8
      for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
        const Lanes* const e = entry(entries, offset[row]);
        const Lanes left = first[row], right = second[row];
        here[row] = left + right;
        sum[row] += left * e[1] + right * e[3];
      }
    } else {
#pragma GCC unroll 8
      for (size_t row = 0; row < size_t{kWalkRows}; ++row) {
        const Lanes* const e = entry(entries, offset[row]);
        const Lanes below = first[row];
        here[row] += below;
        sum[row] += below * e[3];
      }
    }
  }
}

void Flush(const Lanes* accumulators, double* sums) {
  for (size_t row = 0; row < size_t{kWalkRows}; row += 4) {
    const Lanes a = accumulators[row], b = accumulators[row + 1], c = accumulators[row + 2],
                d = accumulators[row + 3];
    const Lanes ab = __builtin_shufflevector(a, b, 0, 4, 2, 6) +
                     __builtin_shufflevector(a, b, 1, 5, 3, 7);  // a01 b01 a23 b23
    const Lanes cd =
        __builtin_shufflevector(c, d, 0, 4, 2, 6) + __builtin_shufflevector(c, d, 1, 5, 3, 7);
    const Lanes all =
        __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    Lanes sum;
    std::memcpy(&sum, sums + row, sizeof sum);
    sum += all;
    std::memcpy(sums + row, &sum, sizeof sum);
  }
}
