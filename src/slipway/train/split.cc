#include "slipway/train/split.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "slipway/base/hash.h"

namespace slipway {
namespace {

// A finalizer after Murmur3 (Appleby, public domain) over the running hash and the next value.
uint64_t Mix(uint64_t hash, uint64_t value) {
  uint64_t x = hash ^ (value * 0x9E3779B97F4A7C15ULL);
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDULL;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ULL;
  return (x ^ (x >> 33)) + 0x9E3779B97F4A7C15ULL;
}

constexpr uint64_t kMissing = 0x6D697373696E6721ULL;

uint64_t OfDouble(double value) {
  if (std::isnan(value)) return kMissing;
  if (value == 0) value = 0;  // -0
  return std::bit_cast<uint64_t>(value);
}

uint64_t OfInt(int64_t value) {
  const double as_double = static_cast<double>(value);
  // Beyond 2^53 several integers share a double: there the integer's own bits tell them apart.
  if (std::abs(as_double) <= 9007199254740992.0) return OfDouble(as_double);
  return static_cast<uint64_t>(value) ^ 0x696E74656765722EULL;
}

template <typename F>
void Fold(const ColumnView& column, int rows, std::vector<uint64_t>* out, const F& of) {
  uint64_t* hash = out->data();
  if (column.validity == nullptr) {
    for (int r = 0; r < rows; ++r) hash[r] = Mix(hash[r], of(r));
    return;
  }
  for (int r = 0; r < rows; ++r) hash[r] = Mix(hash[r], column.valid(r) ? of(r) : kMissing);
}

}  // namespace

void HashRows(const Batch& batch, uint64_t seed, std::vector<uint64_t>* out) {
  const uint64_t start = Mix(0x736C6970776179ULL, seed);
  out->assign(static_cast<size_t>(batch.rows), start);
  for (const ColumnView& column : batch.columns) {
    if (column.data == nullptr) continue;
    switch (column.type) {
      case Type::kBoolean:
        Fold(column, batch.rows, out,
             [&](int r) { return OfInt(column.booleans()[r] != 0 ? 1 : 0); });
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        Fold(column, batch.rows, out, [&](int r) { return OfInt(column.ints()[r]); });
        break;
      case Type::kDouble:
        Fold(column, batch.rows, out, [&](int r) { return OfDouble(column.doubles()[r]); });
        break;
      case Type::kDate:
        Fold(column, batch.rows, out, [&](int r) { return OfInt(column.dates()[r]); });
        break;
      case Type::kString:
        Fold(column, batch.rows, out, [&](int r) {
          const std::string_view text = column.strings()[r];
          return text.empty() ? kMissing : Xxh3(text);
        });
        break;
    }
  }
}

uint64_t ReorderHash(uint64_t hash, uint64_t salt) { return Mix(hash, salt); }

SplitRule SplitRule::None() { return {}; }

SplitRule SplitRule::Share(double holdout, int64_t seed) {
  SplitRule rule;
  rule.kind_ = holdout > 0 ? Kind::kShare : Kind::kNone;
  rule.holdout_ = holdout;
  rule.seed_ = seed;
  return rule;
}

SplitRule SplitRule::Fold(int fold, int folds, int64_t seed) {
  SplitRule rule;
  rule.kind_ = Kind::kFold;
  rule.fold_ = fold;
  rule.folds_ = folds;
  rule.seed_ = seed;
  return rule;
}

SplitRule SplitRule::Time(double threshold) {
  SplitRule rule;
  rule.kind_ = Kind::kTime;
  rule.threshold_ = threshold;
  return rule;
}

Side SplitRule::OfHash(uint64_t hash) const {
  const double u = static_cast<double>(hash >> 11) * 0x1.0p-53;  // [0, 1)
  if (kind_ == Kind::kShare) return u < holdout_ ? Side::kHoldout : Side::kTrain;
  if (kind_ == Kind::kFold)
    return static_cast<int>(u * folds_) == fold_ ? Side::kHoldout : Side::kTrain;
  return Side::kTrain;
}

void ColumnAsDoubles(const ColumnView& column, int rows, double* out) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (int r = 0; r < rows; ++r) {
    if (!column.valid(r)) {
      out[r] = kNaN;
      continue;
    }
    switch (column.type) {
      case Type::kBoolean:
        out[r] = column.booleans()[r] != 0 ? 1 : 0;
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        out[r] = static_cast<double>(column.ints()[r]);
        break;
      case Type::kDouble:
        out[r] = column.doubles()[r];
        break;
      case Type::kDate:
        out[r] = column.dates()[r];
        break;
      case Type::kString:
        out[r] = kNaN;
        break;
    }
  }
}

TimeThreshold::TimeThreshold(size_t exact) : exact_(exact), sketch_(800) {}

void TimeThreshold::Add(double time) {
  if (std::isnan(time)) return;
  ++count_;
  if (values_.size() < exact_) values_.push_back(time);
  sketch_.Add(time);
}

double TimeThreshold::Get(double holdout) {
  if (count_ > static_cast<int64_t>(values_.size())) return sketch_.Quantile(1 - holdout);
  const double rank = std::ceil((1 - holdout) * static_cast<double>(values_.size()));
  const size_t at = std::clamp<size_t>(static_cast<size_t>(rank), 1, values_.size()) - 1;
  std::nth_element(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(at),
                   values_.end());
  return values_[at];
}

}  // namespace slipway
