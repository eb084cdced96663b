#include "slipway/features/column_fit.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "slipway/base/hash.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int64_t kIdRows = 100;  // fewer values are no evidence of an identifier
constexpr double kIdStrings = 0.95;
constexpr double kIdIntegers = 0.99;  // measured quantities in whole numbers come close to 0.95
constexpr size_t kMaxCategoryBytes = 64 << 20;

bool Used(const uint8_t* use, int row) { return use == nullptr || use[row] != 0; }

bool IsNumber(Type type) {
  return type == Type::kBoolean || type == Type::kInt64 || type == Type::kDouble;
}

bool IsTime(Type type) { return type == Type::kDate || type == Type::kTimestamp; }

// Bijective, so that counting hashes counts values (the finaliser of splitmix64).
uint64_t Mix(int64_t value) {
  uint64_t x = static_cast<uint64_t>(value);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

template <typename T>
int64_t Bits(T value) {
  if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<int64_t>(value == 0 ? 0.0 : value);
  } else {
    return static_cast<int64_t>(value);
  }
}

std::string OfType(const Field& field) {
  return "column '" + field.name + "' is of type " + std::string(TypeName(field.type));
}

}  // namespace

ColumnFit::ColumnFit(Field field, FeatureSpec spec, int64_t median_values)
    : field_(std::move(field)), spec_(std::move(spec)), median_values_(median_values) {
  if (kind() != FeatureKind::kNumeric) return;
  median_ = spec_.missing == MissingPolicy::kMedian;
  moments_ = spec_.missing == MissingPolicy::kMean || spec_.scale == "standard";
}

Status ColumnFit::CheckSpec(const Field& field, const FeatureSpec& spec) {
  if (spec.kind == FeatureKind::kNumeric && !IsNumber(field.type)) {
    return InvalidArgument(OfType(field) + ", which cannot be numeric",
                           IsTime(field.type)
                               ? "use {as: timestamp, parts: [epoch]}"
                               : "use category, or make it a number first: prepare: [{cast: {" +
                                     field.name + ": double}}]");
  }
  if (spec.kind != FeatureKind::kTimestamp) return {};
  if (!IsTime(field.type)) {
    return InvalidArgument(OfType(field) + ", which has no timestamp parts",
                           "make it one first: prepare: [{cast: {" + field.name + ": timestamp}}]");
  }
  for (const std::string& part : spec.parts) {
    const int found = FindTimePart(part);
    if (found < 0) return InvalidArgument("unknown part '" + part + "'");
    if (field.type == Type::kDate && NeedsTimeOfDay(static_cast<TimePart>(found))) {
      return InvalidArgument(OfType(field) + ", which has no part '" + part + "'");
    }
  }
  return {};
}

FeatureKind ColumnFit::kind() const {
  if (spec_.kind) return *spec_.kind;
  if (IsNumber(field_.type)) return FeatureKind::kNumeric;
  return IsTime(field_.type) ? FeatureKind::kTimestamp : FeatureKind::kCategory;
}

void ColumnFit::ObserveNumber(double value) {
  if (!std::isfinite(value)) return;
  ++finite_;
  min_ = finite_ == 1 ? value : std::min(min_, value);
  max_ = finite_ == 1 ? value : std::max(max_, value);
  if (moments_) {  // Welford's way: one value after the other, whatever the batches
    const long double delta = value - mean_;
    mean_ += delta / static_cast<long double>(finite_);
    squares_ += delta * (value - mean_);
  }
  if (!median_) return;
  if (!sketched_ && static_cast<int64_t>(exact_.size()) < median_values_) {
    exact_.push_back(value);
    return;
  }
  if (!sketched_) {
    for (double earlier : exact_) sketch_.Add(earlier);
    exact_ = {};
    sketched_ = true;
  }
  sketch_.Add(value);
}

template <typename T>
void ColumnFit::ObserveNumbers(const T* values, const ColumnView& view, int rows,
                               const uint8_t* use) {
  const bool numeric = kind() == FeatureKind::kNumeric;
  const bool look_for_id = silent() && field_.type == Type::kInt64;
  for (int r = 0; r < rows; ++r) {
    if (!Used(use, r) || !view.valid(r)) continue;
    const T value = values[r];
    if constexpr (std::is_same_v<T, double>) {
      if (std::isnan(value)) continue;
    }
    const int64_t bits = Bits(value);
    if (present_++ == 0) first_ = bits;
    differs_ = differs_ || bits != first_;
    if (look_for_id) CountDistinct(Mix(bits));
    if (numeric) ObserveNumber(static_cast<double>(value));
  }
}

void ColumnFit::CountDistinct(uint64_t hash) {
  if (distinct_.full()) return;
  distinct_.Add(hash);
  judged_ = present_;
}

void ColumnFit::CountCategory(std::string_view text) {
  ++present_;
  if (too_many_) {
    CountDistinct(Xxh3(text));
    return;
  }
  if (silent() && categories_.size() > kDefaultCategories) {
    too_many_ = true;  // it will be ignored; only its distinct texts are still of interest
    for (int i = 0; i < categories_.size(); ++i) distinct_.Add(Xxh3(categories_.text(i)));
    CountDistinct(Xxh3(text));
    return;
  }
  const bool full = categories_.size() >= kMaxDistinct || categories_.bytes() > kMaxCategoryBytes;
  const int index = full ? categories_.Find(text) : categories_.Insert(text);
  if (index < 0) {
    ++uncounted_;
    return;
  }
  if (index == static_cast<int>(counts_.size())) counts_.push_back(0);
  ++counts_[static_cast<size_t>(index)];
}

void ColumnFit::ObserveCategories(const ColumnView& view, int rows, const uint8_t* use) {
  for (int r = 0; r < rows; ++r) {
    if (!Used(use, r)) continue;
    if (view.type == Type::kString) {
      if (view.valid(r) && !view.strings()[r].empty()) CountCategory(view.strings()[r]);
    } else if (CategoryText(view, r, &text_)) {
      CountCategory(text_);
    }
  }
}

void ColumnFit::Observe(const ColumnView& view, int rows, const uint8_t* use) {
  if (kind() == FeatureKind::kCategory) {
    ObserveCategories(view, rows, use);
    return;
  }
  switch (field_.type) {
    case Type::kBoolean:
      return ObserveNumbers(view.booleans(), view, rows, use);
    case Type::kDouble:
      return ObserveNumbers(view.doubles(), view, rows, use);
    case Type::kDate:
      return ObserveNumbers(view.dates(), view, rows, use);
    case Type::kInt64:
    case Type::kTimestamp:
      return ObserveNumbers(view.ints(), view, rows, use);
    case Type::kString:
      return;  // a string is a category or ignored
  }
}

bool ColumnFit::LooksLikeId(std::string* warning) const {
  if (!silent() || (field_.type != Type::kInt64 && field_.type != Type::kString)) return false;
  const bool integer = field_.type == Type::kInt64;
  int64_t distinct = distinct_.distinct();
  int64_t values = present_;
  if (!integer && !too_many_) distinct = categories_.size();
  // Once the counter was full it no longer looked: judge by the values until then.
  if (distinct_.full()) values = judged_;
  const double part =
      static_cast<double>(distinct) / static_cast<double>(std::max<int64_t>(values, 1));
  if (values < kIdRows || part <= (integer ? kIdIntegers : kIdStrings)) return false;
  *warning = "column '" + field_.name + "' was ignored: " + FormatCount(distinct) + " of its " +
             (distinct_.full() ? "first " : "") + FormatCount(values) +
             " values are distinct, so it looks like an identifier; to use it write features: {" +
             field_.name + ": " + (integer ? "numeric" : "category") +
             "}, to be rid of this warning {" + field_.name + ": ignore}";
  return true;
}

double ColumnFit::Median() const {
  if (sketched_) return sketch_.Quantile(0.5);
  if (exact_.empty()) return 0;
  std::vector<double> values = exact_;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  const double below = *std::max_element(values.begin(), middle);
  const double sum = below + *middle;
  return std::isfinite(sum) ? sum / 2 : below / 2 + *middle / 2;
}

Status ColumnFit::FinishNumeric(Encoder* encoder) const {
  encoder->missing = spec_.missing.value_or(MissingPolicy::kNative);
  switch (encoder->missing) {
    case MissingPolicy::kMedian:
      encoder->fill = Median();
      break;
    case MissingPolicy::kMean:
      encoder->fill = static_cast<double>(mean_);
      break;
    case MissingPolicy::kConstant:
      encoder->fill = spec_.constant;
      break;
    case MissingPolicy::kNative:
      encoder->fill = std::numeric_limits<double>::quiet_NaN();
      break;
  }
  if (encoder->missing != MissingPolicy::kNative && !std::isfinite(encoder->fill)) {
    return InvalidArgument("column '" + field_.name +
                           "': the value for missing is not a finite number");
  }
  double divisor = 1;
  if (spec_.scale == "standard") {
    encoder->scale = Scale::kStandard;
    encoder->offset = static_cast<double>(mean_);
    if (finite_ > 0)
      divisor = static_cast<double>(std::sqrt(squares_ / static_cast<long double>(finite_)));
  } else if (spec_.scale == "minmax") {
    encoder->scale = Scale::kMinmax;
    encoder->offset = min_;
    divisor = max_ - min_;
  }
  if (!(divisor > 0)) divisor = 1;  // a constant column: all 0
  encoder->divisor = std::min(divisor, std::numeric_limits<double>::max());
  return {};
}

Status ColumnFit::FinishCategory(Encoder* encoder, std::vector<std::string>* warnings) const {
  encoder->encode = spec_.encode.value_or(CategoryEncode::kNative);
  encoder->unseen = spec_.unseen.value_or(UnseenPolicy::kOther);
  if (uncounted_ > 0 && encoder->unseen != UnseenPolicy::kOther) {
    return InvalidArgument("column '" + field_.name + "' has more than " +
                               FormatCount(kMaxDistinct) +
                               " categories, too many to tell an unseen one from a rare one",
                           "use unseen: other, or make it coarser in prepare");
  }
  std::vector<int> order(counts_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    const int64_t count_a = counts_[static_cast<size_t>(a)];
    const int64_t count_b = counts_[static_cast<size_t>(b)];
    return count_a != count_b ? count_a > count_b : categories_.text(a) < categories_.text(b);
  });
  const bool one_hot = encoder->encode == CategoryEncode::kOneHot;
  const int by_default = one_hot ? kDefaultOneHotCategories : kDefaultCategories;
  const int most = spec_.max_categories > 0 ? spec_.max_categories : by_default;
  encoder->coded = std::min(most, static_cast<int>(order.size()));
  encoder->other = uncounted_ > 0 || encoder->coded < static_cast<int>(order.size());
  const bool list_folded = encoder->unseen != UnseenPolicy::kOther;
  const size_t listed = list_folded ? order.size() : static_cast<size_t>(encoder->coded);
  for (size_t i = 0; i < listed; ++i) {
    const std::string& text = categories_.text(order[i]);
    if (!IsValidUtf8(text)) {
      return InvalidArgument("column '" + field_.name + "' has a category that is not UTF-8 text",
                             "store the file as UTF-8, or ignore the column");
    }
    encoder->categories.Insert(text);
  }
  if (encoder->other && spec_.max_categories == 0) {
    const std::string distinct = uncounted_ > 0 ? "more than " + FormatCount(kMaxDistinct)
                                                : FormatCount(static_cast<int64_t>(order.size()));
    warnings->push_back(
        "column '" + field_.name + "' has " + distinct + " categories: the " + FormatCount(most) +
        " most frequent are kept, the others are one; to change " + "that set max_categories");
  }
  return {};
}

Result<std::optional<Encoder>> ColumnFit::Finish(std::vector<std::string>* warnings) const {
  std::string warning;
  if (LooksLikeId(&warning)) {
    warnings->push_back(std::move(warning));
    return std::optional<Encoder>();
  }
  if (silent() && (too_many_ || categories_.size() > kDefaultCategories)) {
    const int64_t distinct = too_many_ ? distinct_.distinct() : categories_.size();
    warnings->push_back("column '" + field_.name + "' was ignored: it has " +
                        (distinct_.full() ? "at least " : "") + FormatCount(distinct) +
                        " distinct texts, more than " + FormatCount(kDefaultCategories) +
                        "; to use it write features: {" + field_.name +
                        ": {as: category, max_categories: " + std::to_string(kDefaultCategories) +
                        "}}");
    return std::optional<Encoder>();
  }
  Encoder encoder;
  encoder.column = field_.name;
  encoder.type = field_.type;
  encoder.kind = kind();
  if (encoder.kind == FeatureKind::kNumeric) {
    RETURN_IF_ERROR(FinishNumeric(&encoder));
  } else if (encoder.kind == FeatureKind::kCategory) {
    RETURN_IF_ERROR(FinishCategory(&encoder, warnings));
  } else if (!spec_.parts.empty()) {
    for (const std::string& part : spec_.parts) {
      encoder.parts.push_back(static_cast<TimePart>(FindTimePart(part)));
    }
  } else {
    encoder.parts = {TimePart::kYear, TimePart::kMonth, TimePart::kDay, TimePart::kWeekday};
    if (field_.type == Type::kTimestamp) encoder.parts.push_back(TimePart::kHour);
  }
  const bool category = encoder.kind == FeatureKind::kCategory;
  const bool constant = category ? categories_.size() == 1 && uncounted_ == 0 : !differs_;
  if (present_ == 0) {
    warnings->push_back("column '" + field_.name + "' has only missing values; it is kept");
  } else if (constant) {
    warnings->push_back("column '" + field_.name + "' has one value in all rows; it is kept");
  }
  return std::optional<Encoder>(std::move(encoder));
}

}  // namespace slipway
