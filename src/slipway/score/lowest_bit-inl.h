// Bytes of vectors, for kernels that are compiled once per instruction set: include after
// highway.h. The guard is flipped as Highway's per-target headers do.
#if defined(SLIPWAY_SCORE_LOWEST_BIT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SLIPWAY_SCORE_LOWEST_BIT_INL_H_
#undef SLIPWAY_SCORE_LOWEST_BIT_INL_H_
#else
#define SLIPWAY_SCORE_LOWEST_BIT_INL_H_
#endif

#include <hwy/highway.h>

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace slipway {
namespace HWY_NAMESPACE {
namespace {

using ByteTag = hwy::HWY_NAMESPACE::ScalableTag<uint8_t>;
using ByteVector = hwy::HWY_NAMESPACE::Vec<ByteTag>;

// The number of the lowest bit of each byte (of which none is 0).
HWY_INLINE ByteVector LowestBitOf(ByteVector bits) {
  namespace hn = hwy::HWY_NAMESPACE;
  const ByteTag d;
  const hn::Repartition<uint16_t, ByteTag> d16;
  alignas(16) static constexpr uint8_t kLow[16] = {15, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0};
  alignas(16) static constexpr uint8_t kHigh[16] = {15, 4, 5, 4, 6, 4, 5, 4,
                                                    7,  4, 5, 4, 6, 4, 5, 4};
  const auto nibble = hn::Set(d, 15);
  const auto low = hn::And(bits, nibble);
  const auto high = hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(d16, bits))), nibble);
  return hn::Min(hn::TableLookupBytes(hn::LoadDup128(d, kLow), low),
                 hn::TableLookupBytes(hn::LoadDup128(d, kHigh), high));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slipway
HWY_AFTER_NAMESPACE();
#endif

#endif
