#include "slipway/score/row_kernel.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slipway/score/row_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: compiled once per target.
#include "slipway/score/lowest_bit-inl.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace slipway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kLanes = hn::MaxLanes(ByteTag());
constexpr int64_t kStepBytes = kRowStepBytes * kLanes;

// The code of each lane's column, from kTables registers of sixteen codes. A lookup takes the low
// four bits of its index and gives 0 where the highest bit is set.
template <int kTables>
HWY_INLINE ByteVector LookUp(const ByteVector* HWY_RESTRICT tables, ByteVector column) {
  const ByteTag d;
  if constexpr (kTables == 1) return hn::TableLookupBytes(tables[0], column);
  auto found = hn::TableLookupBytesOr0(tables[0], hn::SaturatedAdd(column, hn::Set(d, 0x60)));
  if constexpr (kTables == 2) {
    return hn::Or(found, hn::TableLookupBytesOr0(tables[1], hn::Sub(column, hn::Set(d, 32))));
  }
#pragma GCC unroll 8
  for (int i = 1; i < kTables; ++i) {
    const auto mine = hn::Xor(column, hn::Set(d, static_cast<uint8_t>(32 * i)));
    const auto index = hn::SaturatedAdd(mine, hn::Set(d, 0x60));
    found = hn::Or(found, hn::TableLookupBytesOr0(tables[i], index));
  }
  return found;
}

template <int kTables>
HWY_INLINE void SumOf(const RowPlan& plan, const uint8_t* HWY_RESTRICT codes,
                      const uint8_t* HWY_RESTRICT planes, double* HWY_RESTRICT sums) {
  const ByteTag d;
  const hn::RebindToSigned<ByteTag> ds;
  const auto sixteen = hn::Set(d, 16);
  ByteVector tables[kTables];
#pragma GCC unroll 8
  for (int i = 0; i < kTables; ++i) tables[i] = hn::LoadDup128(d, codes + 16 * i);
  HWY_ALIGN uint8_t leaves[kLanes];
  const size_t outputs = static_cast<size_t>(plan.outputs);
  const size_t trees = plan.leaves_begin.size();
  const uint8_t* step = plan.steps.data();
  const RowPlane* plane = plan.planes.data();
  const uint8_t* start = planes;
  size_t tree = 0, output = 0;
  for (const RowGroup& group : plan.groups) {
    auto found = hn::Zero(d), where = hn::Zero(d);
    for (uint32_t p = group.plane_count; p-- > 0; ++plane) {
      auto left = start == nullptr ? hn::Set(d, 0xFF) : hn::LoadU(d, start + p * kLanes);
      const uint8_t* end = plan.steps.data() + size_t{plane->steps_end} * kStepBytes;
      for (; step != end; step += kStepBytes) {
        const auto column = hn::LoadU(d, step);
        const auto flip = hn::VecFromMask(d, hn::Eq(hn::And(column, sixteen), sixteen));
        const auto code = hn::Xor(LookUp<kTables>(tables, column), flip);
        const auto bound = hn::BitCast(ds, hn::LoadU(d, step + kLanes));
        const auto below = hn::VecFromMask(ds, hn::Lt(hn::BitCast(ds, code), bound));
        left = hn::And(left, hn::Or(hn::BitCast(d, below), hn::LoadU(d, step + 2 * kLanes)));
      }
      const auto none = hn::Eq(left, hn::Zero(d));
      found = hn::IfThenElse(none, found, left);
      where = hn::IfThenElse(none, where, hn::Set(d, static_cast<uint8_t>(8 * p)));
    }
    if (start != nullptr) start += group.plane_count * kLanes;
    hn::Store(hn::Or(where, LowestBitOf(found)), d, leaves);
    const size_t count = std::min<size_t>(kLanes, trees - tree);
    if (outputs == 1) {
      double sum = sums[0];
      if (plan.float32_sums) {
        float sum32 = static_cast<float>(sum);
        for (size_t i = 0; i < count; ++i)
          sum32 += static_cast<float>(plan.values[plan.leaves_begin[tree + i] + leaves[i]]);
        sum = static_cast<double>(sum32);
      } else {
        for (size_t i = 0; i < count; ++i)
          sum += plan.values[plan.leaves_begin[tree + i] + leaves[i]];
      }
      sums[0] = sum;
      tree += count;
      continue;
    }
    for (size_t i = 0; i < count; ++i, ++tree) {
      const double sum = sums[output] + plan.values[plan.leaves_begin[tree] + leaves[i]];
      sums[output] = plan.float32_sums ? static_cast<double>(static_cast<float>(sum)) : sum;
      output = output + 1 == outputs ? 0 : output + 1;
    }
  }
}

}  // namespace

void SumRow(const RowPlan& plan, const uint8_t* codes, const uint8_t* planes, double* sums) {
  if (plan.columns <= 16) return SumOf<1>(plan, codes, planes, sums);
  if (plan.columns <= 32) return SumOf<2>(plan, codes, planes, sums);
  if (plan.columns <= 64) return SumOf<4>(plan, codes, planes, sums);
  SumOf<8>(plan, codes, planes, sums);
}

const RowKernel* RowKernelOf() {
  static constexpr RowKernel kKernel = {static_cast<int>(kLanes), SumRow};
  return &kKernel;
}

}  // namespace HWY_NAMESPACE
}  // namespace slipway
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
#include "slipway/score/dispatch.h"

namespace slipway {

const RowKernel* FindRowKernel(Isa isa) {
  using Find = const RowKernel* (*)();
  const Find find = SLIPWAY_PICK(isa, RowKernelOf, SLIPWAY_VECTORS_ONLY(Find, RowKernelOf));
  return find == nullptr ? nullptr : find();
}

}  // namespace slipway
#endif
