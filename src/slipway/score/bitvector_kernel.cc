#include "slipway/score/bitvector_kernel.h"

#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slipway/score/bitvector_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: compiled once per target.
#include "slipway/score/lowest_bit-inl.h"

// One lane at a time this kernel would be slower than the reference engine.
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace slipway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Bytes = ByteTag;
using SignedBytes = hn::ScalableTag<int8_t>;
using Words = hn::Repartition<uint32_t, Bytes>;
using Doubles = hn::Repartition<double, Bytes>;
using V = ByteVector;

constexpr int64_t kN = hn::MaxLanes(Bytes());
// Registers of rows that share a cut's bound and bits.
constexpr int kMostGroup = 8;

// Walks kGroup registers of rows of `codes` (columns `rows` apart) through a tree. `plane_of`: 8 *
// the plane with the exit leaf; `bits`: that plane, whose lowest bit it is.
template <int kGroup>
HWY_INLINE void Walk(const BitvectorPlan& plan, const BitvectorTree& tree, const uint8_t* codes,
                     int64_t rows, V* HWY_RESTRICT bits, V* HWY_RESTRICT plane_of) {
  const Bytes d;
  const SignedBytes ds;
  const Words dw;
  const Plane* plane = plan.planes.data() + tree.planes_begin;
  const Cut* cut = plan.cuts.data() + tree.cuts_begin;
  const CategoryCut* category_cut = plan.category_cuts.data() + tree.category_cuts_begin;
  V found[kGroup], where[kGroup];
#pragma GCC unroll 8
  for (int g = 0; g < kGroup; ++g) found[g] = where[g] = hn::Zero(d);
  for (uint32_t p = tree.plane_count; p-- > 0; ++plane) {
    V left[kGroup];
#pragma GCC unroll 8
    for (int g = 0; g < kGroup; ++g) left[g] = hn::Set(d, 0xFF);
    for (const Cut* end = plan.cuts.data() + plane->cuts_end; cut != end; ++cut) {
      const auto bound = hn::BitCast(ds, hn::Set(dw, cut->bound));
      const auto keep = hn::BitCast(d, hn::Set(dw, cut->keep));
      const int8_t* code =
          reinterpret_cast<const int8_t*>(codes) + static_cast<int64_t>(cut->column) * rows;
#pragma GCC unroll 8
      for (int g = 0; g < kGroup; ++g) {
        const auto below = hn::Lt(hn::LoadU(ds, code + g * kN), bound);
        left[g] = hn::And(left[g], hn::Or(hn::BitCast(d, hn::VecFromMask(ds, below)), keep));
      }
    }
    if (tree.categorical) {
      for (const CategoryCut* end = plan.category_cuts.data() + plane->category_cuts_end;
           category_cut != end; ++category_cut) {
        const auto table = hn::LoadDup128(d, category_cut->clear.data());
        const uint8_t* code = codes + static_cast<int64_t>(category_cut->column) * rows;
#pragma GCC unroll 8
        for (int g = 0; g < kGroup; ++g) {
          const auto clear = hn::TableLookupBytesOr0(table, hn::LoadU(d, code + g * kN));
          left[g] = hn::AndNot(clear, left[g]);
        }
      }
    }
    const auto here = hn::Set(d, static_cast<uint8_t>(p));
#pragma GCC unroll 8
    for (int g = 0; g < kGroup; ++g) {
      const auto none = hn::Eq(left[g], hn::Zero(d));
      found[g] = hn::IfThenElse(none, found[g], left[g]);
      where[g] = hn::IfThenElse(none, where[g], here);
    }
  }
#pragma GCC unroll 8
  for (int g = 0; g < kGroup; ++g) {
    bits[g] = found[g];
    plane_of[g] = where[g];
  }
}

// Leaves as one byte each: trees of up to 32 planes.
HWY_INLINE V LeafBytes(V bits, V plane) {
  const Bytes d;
  const hn::Repartition<uint16_t, Bytes> d16;
  // A plane's number has at most 5 bits: nothing crosses into the next byte.
  const auto eight = hn::BitCast(d, hn::ShiftLeft<3>(hn::BitCast(d16, plane)));
  return hn::Or(eight, LowestBitOf(bits));
}

template <bool kFloat32>
HWY_INLINE void AddTo(double* sum, hn::Vec<Doubles> value) {
  const Doubles d;
  auto total = hn::Add(hn::LoadU(d, sum), value);
  if constexpr (kFloat32)
    total = hn::PromoteTo(d, hn::DemoteTo(hn::Rebind<float, Doubles>(), total));
  hn::StoreU(total, d, sum);
}

// Adds the values of one register of leaves, through a table of bytes: byte b of the value of leaf
// 16 * k + i is tables[(k * 8 + b) * 16 + i]. Interleaving bytes to doubles orders the rows as
// BitvectorSlot says.
template <int kSixteens, bool kFloat32>
HWY_INLINE void AddShuffled(const uint8_t* HWY_RESTRICT tables, V leaf, double* HWY_RESTRICT sums) {
  const Bytes d;
  const hn::Repartition<uint16_t, Bytes> d16;
  const Words d32;
  const Doubles d64;
  V byte[8];
  if constexpr (kSixteens == 1) {
#pragma GCC unroll 8
    for (int b = 0; b < 8; ++b)
      byte[b] = hn::TableLookupBytes(hn::LoadDup128(d, tables + 16 * b), leaf);
  } else {
    // Indices of the other sixteen get their highest bit set, which looks up 0.
    const auto first = hn::Add(leaf, hn::Set(d, 0x70));
    const auto second = hn::Sub(leaf, hn::Set(d, 16));
#pragma GCC unroll 8
    for (int b = 0; b < 8; ++b) {
      byte[b] = hn::Or(hn::TableLookupBytesOr0(hn::LoadDup128(d, tables + 16 * b), first),
                       hn::TableLookupBytesOr0(hn::LoadDup128(d, tables + 128 + 16 * b), second));
    }
  }
  const auto pair = [&](int b, bool upper) HWY_ATTR {
    return hn::BitCast(d16, upper ? hn::InterleaveUpper(d, byte[b], byte[b + 1])
                                  : hn::InterleaveLower(d, byte[b], byte[b + 1]));
  };
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const auto b01 = pair(0, half != 0), b23 = pair(2, half != 0);
    const auto b45 = pair(4, half != 0), b67 = pair(6, half != 0);
#pragma GCC unroll 2
    for (int quarter = 0; quarter < 2; ++quarter) {
      const auto low = hn::BitCast(d32, quarter != 0 ? hn::InterleaveUpper(d16, b01, b23)
                                                     : hn::InterleaveLower(d16, b01, b23));
      const auto high = hn::BitCast(d32, quarter != 0 ? hn::InterleaveUpper(d16, b45, b67)
                                                      : hn::InterleaveLower(d16, b45, b67));
      double* sum = sums + (half * 4 + quarter * 2) * (kN / 8);
      const auto value0 = hn::BitCast(d64, hn::InterleaveLower(d32, low, high));
      const auto value1 = hn::BitCast(d64, hn::InterleaveUpper(d32, low, high));
      AddTo<kFloat32>(sum, value0);
      AddTo<kFloat32>(sum + kN / 8, value1);
    }
  }
}

constexpr int64_t SlotOf(int64_t row) {
  // Vector k of doubles holds, of each block of 16 bytes, bytes 2k and 2k + 1.
  const int64_t group = row / kN * kN, in = row % kN;
  const int64_t block = in / 16, byte = in % 16;
  return group + byte / 2 * (kN / 8) + block * 2 + byte % 2;
}

template <bool kFloat32>
HWY_INLINE double Rounded(double sum) {
  return kFloat32 ? static_cast<double>(static_cast<float>(sum)) : sum;
}

template <bool kFloat32>
HWY_INLINE void AddLooked(const double* HWY_RESTRICT values, const uint8_t* HWY_RESTRICT leaves,
                          double* HWY_RESTRICT sums) {
#pragma GCC unroll 64
  for (int64_t row = 0; row < kN; ++row) {
    double& sum = sums[SlotOf(row)];
    sum = Rounded<kFloat32>(sum + values[leaves[row]]);
  }
}

// Leaves that do not fit a byte.
HWY_INLINE void StoreLeaves(V bits, V plane, uint16_t* leaves) {
  const Bytes d;
  HWY_ALIGN uint8_t bit[kN], where[kN];
  hn::Store(LowestBitOf(bits), d, bit);
  hn::Store(plane, d, where);
  for (int64_t row = 0; row < kN; ++row)
    leaves[row] = static_cast<uint16_t>(where[row] * 8 + bit[row]);
}

// One tree over kGroup registers of rows.
template <int kGroup, bool kFloat32>
HWY_INLINE void AddTree(const BitvectorPlan& plan, const BitvectorTree& tree, const uint8_t* codes,
                        int64_t rows, double* sums) {
  const Bytes d;
  const double* values = plan.values.data() + tree.leaves_begin;
  const uint8_t* tables = plan.value_bytes.data() + tree.bytes_begin;
  V bits[kGroup], planes[kGroup];
  Walk<kGroup>(plan, tree, codes, rows, bits, planes);
#pragma GCC unroll 8
  for (int g = 0; g < kGroup; ++g) {
    double* at = sums + g * kN;
    if (tree.plane_count <= 2) {
      AddShuffled<1, kFloat32>(tables, LeafBytes(bits[g], planes[g]), at);
    } else if (tree.plane_count <= 4) {
      AddShuffled<2, kFloat32>(tables, LeafBytes(bits[g], planes[g]), at);
    } else if (tree.plane_count <= 32) {
      HWY_ALIGN uint8_t leaves[kN];
      hn::Store(LeafBytes(bits[g], planes[g]), d, leaves);
      AddLooked<kFloat32>(values, leaves, at);
    } else {
      uint16_t leaves[kN];
      StoreLeaves(bits[g], planes[g], leaves);
      for (int64_t row = 0; row < kN; ++row) {
        double& sum = at[SlotOf(row)];
        sum = Rounded<kFloat32>(sum + values[leaves[row]]);
      }
    }
  }
}

template <bool kFloat32>
void Sum(const BitvectorPlan& plan, size_t first, size_t last, const uint8_t* codes, int64_t rows,
         int outputs, double* sums) {
  int output = static_cast<int>(first % static_cast<size_t>(outputs));
  for (size_t i = first; i < last; ++i) {
    const BitvectorTree& tree = plan.trees[i];
    double* to = sums + output * rows;
    int64_t row = 0;
    for (; row + kN * kMostGroup <= rows; row += kN * kMostGroup)
      AddTree<kMostGroup, kFloat32>(plan, tree, codes + row, rows, to + row);
    for (; row < rows; row += kN) AddTree<1, kFloat32>(plan, tree, codes + row, rows, to + row);
    output = output + 1 == outputs ? 0 : output + 1;
  }
}

}  // namespace

void SumTrees(const BitvectorPlan& plan, size_t first, size_t last, const uint8_t* codes,
              int64_t rows, int outputs, double* sums) {
  if (plan.float32_sums) {
    Sum<true>(plan, first, last, codes, rows, outputs, sums);
  } else {
    Sum<false>(plan, first, last, codes, rows, outputs, sums);
  }
}
void ExitLeaves(const BitvectorPlan& plan, size_t tree, const uint8_t* codes, int64_t rows,
                uint16_t* leaves) {
  for (int64_t row = 0; row < rows; row += kN) {
    V bits[1], planes[1];
    Walk<1>(plan, plan.trees[tree], codes + row, rows, bits, planes);
    StoreLeaves(bits[0], planes[0], leaves + row);
  }
}

int64_t SlotOfRow(int64_t row) { return SlotOf(row); }

const BitvectorKernel* Kernel() {
  static constexpr BitvectorKernel kKernel = {static_cast<int>(kN), SlotOfRow, SumTrees,
                                              ExitLeaves};
  return &kKernel;
}

}  // namespace HWY_NAMESPACE
}  // namespace slipway
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
#include "slipway/score/dispatch.h"

namespace slipway {

const BitvectorKernel* FindBitvectorKernel(Isa isa) {
  using Find = const BitvectorKernel* (*)();
  const Find find = SLIPWAY_PICK(isa, Kernel, SLIPWAY_VECTORS_ONLY(Find, Kernel));
  return find == nullptr ? nullptr : find();
}

}  // namespace slipway
#endif
