#include "slipway/score/rank.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slipway/score/rank.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace slipway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// How many of 16 sorted numbers are below x.
template <typename T>
HWY_INLINE int CountBelow(const T* HWY_RESTRICT sorted, T x) {
  const hn::ScalableTag<T> d;
  const auto value = hn::Set(d, x);
  constexpr size_t kLanes = hn::MaxLanes(d) < 16 ? hn::MaxLanes(d) : 16;
  size_t count = 0;
  for (size_t i = 0; i < 16; i += kLanes)
    count += hn::CountTrue(d, hn::Lt(hn::LoadU(d, sorted + i), value));
  return static_cast<int>(count);
}

HWY_INLINE int RankExactly(const RankTable& table, double x) {
  const int sixteen = CountBelow(table.pivots.data(), x);
  return 16 * sixteen + CountBelow(table.thresholds.data() + 16 * sixteen, x);
}

#if HWY_TARGET == HWY_AVX2

// Two bits of the byte mask a number: packing halves four bytes to two.
HWY_INLINE int CountTwo(__m256 low, __m256 high) {
  const __m256i both = _mm256_packs_epi32(_mm256_castps_si256(low), _mm256_castps_si256(high));
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_epi8(both))) / 2;
}

// The first pivot that is not below x in float32 ends x's sixteen, unless they are equal there;
// then (and for NaN, which compares as equal here) `exact` decides.
template <typename Exact>
HWY_INLINE int RankOne(const RankTable& table, double x, __m256 low_pivots, __m256 high_pivots,
                       Exact exact) {
  const __m256 value = _mm256_set1_ps(static_cast<float>(x));
  const int sixteen = CountTwo(_mm256_cmp_ps(low_pivots, value, _CMP_LT_OQ),
                               _mm256_cmp_ps(high_pivots, value, _CMP_LT_OQ));
  const float* sorted = table.thresholds32.data() + 16 * sixteen;
  const __m256 low = _mm256_loadu_ps(sorted), high = _mm256_loadu_ps(sorted + 8);
  const __m256 equal =
      _mm256_or_ps(_mm256_cmp_ps(low, value, _CMP_EQ_UQ), _mm256_cmp_ps(high, value, _CMP_EQ_UQ));
  const int rank = 16 * sixteen + CountTwo(_mm256_cmp_ps(low, value, _CMP_LT_OQ),
                                           _mm256_cmp_ps(high, value, _CMP_LT_OQ));
  if (_mm256_movemask_ps(equal) != 0) [[unlikely]]
    return exact(x);
  return rank;
}

int64_t Rank(const RankTable& table, const double* HWY_RESTRICT values, int64_t rows,
             uint8_t* HWY_RESTRICT ranks, uint16_t* HWY_RESTRICT nan_rows) {
  const __m256 low_pivots = _mm256_loadu_ps(table.pivots32.data());
  const __m256 high_pivots = _mm256_loadu_ps(table.pivots32.data() + 8);
  int64_t nans = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int rank = RankOne(table, values[row], low_pivots, high_pivots, [&](double x) HWY_ATTR {
      nan_rows[nans] = static_cast<uint16_t>(row);
      nans += std::isnan(x);
      return RankExactly(table, x);
    });
    ranks[row] = static_cast<uint8_t>(rank);
  }
  return nans;
}

HWY_INLINE int RankInRow(const RankTable& table, double x) {
  return RankOne(table, x, _mm256_loadu_ps(table.pivots32.data()),
                 _mm256_loadu_ps(table.pivots32.data() + 8),
                 [&](double value) HWY_ATTR { return RankExactly(table, value); });
}

#else

int64_t Rank(const RankTable& table, const double* HWY_RESTRICT values, int64_t rows,
             uint8_t* HWY_RESTRICT ranks, uint16_t* HWY_RESTRICT nan_rows) {
  int64_t nans = 0;
  for (int64_t row = 0; row < rows; ++row) {
    nan_rows[nans] = static_cast<uint16_t>(row);
    nans += std::isnan(values[row]);
    ranks[row] = static_cast<uint8_t>(RankExactly(table, values[row]));
  }
  return nans;
}

HWY_INLINE int RankInRow(const RankTable& table, double x) { return RankExactly(table, x); }

#endif

}  // namespace

int64_t RankOf(const RankTable& table, const double* values, int64_t rows, uint8_t* ranks,
               uint16_t* nan_rows) {
  return Rank(table, values, rows, ranks, nan_rows);
}

void RankRowOf(const RankTable* const* tables, const int32_t* features, int64_t count,
               const double* HWY_RESTRICT row, uint8_t* HWY_RESTRICT ranks) {
  for (int64_t i = 0; i < count; ++i)
    ranks[i] = static_cast<uint8_t>(RankInRow(*tables[i], row[features[i]]));
}

}  // namespace HWY_NAMESPACE
}  // namespace slipway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "slipway/score/dispatch.h"

namespace slipway {

RankTable::RankTable(std::span<const double> sorted) : count(static_cast<int>(sorted.size())) {
  thresholds.fill(std::numeric_limits<double>::infinity());
  std::copy(sorted.begin(), sorted.end(), thresholds.begin());
  for (size_t i = 0; i < thresholds.size(); ++i)
    thresholds32[i] = static_cast<float>(thresholds[i]);
  for (size_t i = 0; i < pivots.size(); ++i) {
    pivots[i] = thresholds[16 * i + 15];
    pivots32[i] = thresholds32[16 * i + 15];
  }
}

int64_t RankValues(Isa isa, const RankTable& table, const double* values, int64_t rows,
                   uint8_t* ranks, uint16_t* nan_rows) {
  return SLIPWAY_PICK(isa, RankOf, &HWY_STATIC_DISPATCH(RankOf))(table, values, rows, ranks,
                                                                 nan_rows);
}

void RankRow(Isa isa, const RankTable* const* tables, const int32_t* features, int64_t count,
             const double* row, uint8_t* ranks) {
  SLIPWAY_PICK(isa, RankRowOf, &HWY_STATIC_DISPATCH(RankRowOf))(tables, features, count, row,
                                                                ranks);
}

}  // namespace slipway
#endif
