#include "slipway/score/rank.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slipway/score/rank.cc"
#define HWY_DISABLED_TARGETS HWY_SSSE3
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace slipway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// How many of 16 sorted numbers are below x.
HWY_INLINE int CountBelow(const double* sorted, double x) {
#if HWY_TARGET == HWY_AVX2
  const __m256d value = _mm256_set1_pd(x);
  const auto below = [&](int i) HWY_ATTR {
    return _mm256_castpd_si256(_mm256_cmp_pd(_mm256_loadu_pd(sorted + i), value, _CMP_LT_OQ));
  };
  const __m256i low = _mm256_packs_epi32(below(0), below(4));
  const __m256i high = _mm256_packs_epi32(below(8), below(12));
  // Two bits of the byte mask a number: packing halves them twice, from 8 bytes to 2.
  const __m256i all = _mm256_packs_epi32(low, high);
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_epi8(all))) / 2;
#else
  const hn::ScalableTag<double> d;
  const auto value = hn::Set(d, x);
  size_t count = 0;
  constexpr size_t kLanes = hn::MaxLanes(d) < 16 ? hn::MaxLanes(d) : 16;
  for (size_t i = 0; i < 16; i += kLanes)
    count += hn::CountTrue(d, hn::Lt(hn::LoadU(d, sorted + i), value));
  return static_cast<int>(count);
#endif
}

void Rank(const double* padded, int count, uint8_t nan_code, const double* values, int64_t rows,
          uint8_t* codes) {
  const double* thresholds = padded + kPivots;
  const uint8_t nan = static_cast<uint8_t>(nan_code ^ 0x80);
  if (count <= 16) {
    for (int64_t row = 0; row < rows; ++row) {
      const int rank = CountBelow(thresholds, values[row]);
      codes[row] = std::isnan(values[row]) ? nan : static_cast<uint8_t>(rank ^ 0x80);
    }
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    const double x = values[row];
    // The last pivot is infinity, so that `sixteen` is at most 15.
    const int sixteen = CountBelow(padded, x);
    const int rank = 16 * sixteen + CountBelow(thresholds + 16 * sixteen, x);
    codes[row] = std::isnan(x) ? nan : static_cast<uint8_t>(rank ^ 0x80);
  }
}

}  // namespace

void RankValuesOf(const double* padded, int count, uint8_t nan_code, const double* values,
                  int64_t rows, uint8_t* codes) {
  Rank(padded, count, nan_code, values, rows, codes);
}

}  // namespace HWY_NAMESPACE
}  // namespace slipway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slipway {

void RankValues(Isa isa, const double* padded, int count, uint8_t nan_code, const double* values,
                int64_t rows, uint8_t* codes) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::kAvx512)
    return N_AVX3::RankValuesOf(padded, count, nan_code, values, rows, codes);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa >= Isa::kAvx2) return N_AVX2::RankValuesOf(padded, count, nan_code, values, rows, codes);
#endif
#if HWY_TARGETS & HWY_SSE4
  if (isa >= Isa::kSse4) return N_SSE4::RankValuesOf(padded, count, nan_code, values, rows, codes);
#endif
  HWY_STATIC_DISPATCH(RankValuesOf)(padded, count, nan_code, values, rows, codes);
}

}  // namespace slipway
#endif
