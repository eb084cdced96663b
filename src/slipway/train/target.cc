#include "slipway/train/target.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr size_t kMaxCounted = 100'000;  // distinct target values

// The bits that tell values of one type apart.
uint64_t Bits(const ColumnView& column, int row) {
  switch (column.type) {
    case Type::kBoolean:
      return column.booleans()[row] != 0 ? 1 : 0;
    case Type::kDate:
      return static_cast<uint64_t>(static_cast<int64_t>(column.dates()[row]));
    case Type::kDouble: {
      const double value = column.doubles()[row];
      return std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
    }
    default:
      return static_cast<uint64_t>(column.ints()[row]);
  }
}

bool BitsLess(Type type, uint64_t a, uint64_t b) {
  if (type == Type::kDouble) return std::bit_cast<double>(a) < std::bit_cast<double>(b);
  return static_cast<int64_t>(a) < static_cast<int64_t>(b);
}

std::string FirstFew(const std::vector<std::string>& texts) {
  return QuotedList(std::vector<std::string>(
      texts.begin(), texts.begin() + std::min<std::ptrdiff_t>(std::ssize(texts), 5)));
}

}  // namespace

bool TargetMissing(const ColumnView& column, int row) {
  if (!column.valid(row)) return true;
  if (column.type == Type::kDouble) return std::isnan(column.doubles()[row]);
  return column.type == Type::kString && column.strings()[row].empty();
}

Status CheckTargetType(PredictionKind kind, const Field& target) {
  const std::string what =
      "the target '" + target.name + "' is a " + std::string(TypeName(target.type));
  if (kind == PredictionKind::kRegression) {
    if (target.type == Type::kInt64 || target.type == Type::kDouble) return {};
    std::string hint =
        "add `{cast: {" + target.name + ": double}}` to `prepare`, or use `prediction: multiclass`";
    if (target.type == Type::kBoolean) hint = "use `prediction: binary`";
    if (target.type == Type::kDate || target.type == Type::kTimestamp) {
      hint = "make a number of it in `prepare`, such as a difference of dates";
    }
    return InvalidArgument(what + ", but a regression needs a number", hint);
  }
  if (target.type == Type::kTimestamp) {
    return InvalidArgument(what + ", which cannot be a class",
                           "make a class of it in `prepare`, such as `hour(" + target.name + ")`");
  }
  return {};
}

TargetCoder TargetCoder::OfClasses(PredictionKind kind, Type type,
                                   std::vector<std::string> classes) {
  TargetCoder coder;
  coder.kind_ = kind;
  coder.type_ = type;
  coder.by_text_ = true;
  for (size_t i = 0; i < classes.size(); ++i)
    coder.by_string_.emplace(classes[i], static_cast<int>(i));
  coder.classes_ = std::move(classes);
  return coder;
}

void TargetCoder::Labels(const ColumnView& column, int rows, double* out) const {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  if (kind_ == PredictionKind::kRegression) {
    ColumnAsDoubles(column, rows, out);
    return;
  }
  std::string text;
  for (int r = 0; r < rows; ++r) {
    out[r] = kNaN;
    if (TargetMissing(column, r)) continue;
    if (by_text_ || column.type == Type::kString) {
      std::string_view key;
      if (column.type == Type::kString) {
        key = column.strings()[r];
      } else {
        text.clear();
        AppendCell(column, r, &text);
        key = text;
      }
      const auto found = by_string_.find(key);
      if (found != by_string_.end()) out[r] = found->second;
    } else {
      const auto found = by_bits_.find(Bits(column, r));
      if (found != by_bits_.end()) out[r] = found->second;
    }
  }
}

Status TargetLearner::See(const ColumnView& column, int row, Side side) {
  ++(side == Side::kTrain ? training_ : holdout_);
  if (kind_ == PredictionKind::kRegression) {
    const double value = column.type == Type::kInt64 ? static_cast<double>(column.ints()[row])
                                                     : column.doubles()[row];
    if (!(std::abs(value) <= FLT_MAX)) {
      return InvalidArgument("the target '" + target_.name + "' has the value " +
                                 FormatDouble(value) + ", beyond what LightGBM can learn",
                             "filter such rows in `prepare`");
    }
    if (training_ + holdout_ == 1) min_ = max_ = value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    return {};
  }
  Class* found = nullptr;
  if (column.type == Type::kString) {
    const std::string_view key = column.strings()[row];
    auto at = by_string_.find(key);
    if (at == by_string_.end() && by_string_.size() < kMaxCounted) {
      at = by_string_.emplace(std::string(key), Class{std::string(key), 0, 0}).first;
    }
    if (at != by_string_.end()) found = &at->second;
  } else {
    const uint64_t bits = Bits(column, row);
    auto at = by_bits_.find(bits);
    if (at == by_bits_.end() && by_bits_.size() < kMaxCounted) {
      at = by_bits_.emplace(bits, Class{}).first;
      AppendCell(column, row, &at->second.text);
    }
    if (at != by_bits_.end()) found = &at->second;
  }
  if (found == nullptr) {
    overflow_ = true;
    return {};
  }
  ++(side == Side::kTrain ? found->training : found->holdout);
  return {};
}

Result<TargetCoder> TargetLearner::Finish() const {
  const std::string name = "the target '" + target_.name + "'";
  if (training_ + holdout_ == 0) {
    if (missing_ == 0) {
      return InvalidArgument("there are no rows to train on",
                             "the input is empty, or the filters in `prepare` drop every row");
    }
    return InvalidArgument(name + " is missing in all " + FormatCount(missing_) + " rows",
                           "check the column and the filters in `prepare`");
  }
  if (training_ < kMinTrainingRows) {
    return InvalidArgument(
        "only " + FormatCount(training_) + " training rows are usable; at least " +
            std::to_string(kMinTrainingRows) + " are needed",
        "add rows, or check the filters, the missing targets (" + FormatCount(missing_) +
            ") and the hold-out (" + FormatCount(holdout_) + " rows)");
  }
  TargetCoder coder;
  coder.kind_ = kind_;
  coder.type_ = target_.type;
  if (kind_ == PredictionKind::kRegression) {
    if (min_ == max_) {
      return InvalidArgument(
          name + " is " + FormatDouble(min_) + " in every row: there is nothing to learn",
          "check the column and the filters in `prepare`");
    }
    return coder;
  }
  std::vector<const Class*> ordered;
  if (target_.type == Type::kString) {
    for (const auto& [text, each] : by_string_) ordered.push_back(&each);
    std::sort(ordered.begin(), ordered.end(),
              [](const Class* a, const Class* b) { return a->text < b->text; });
  } else {
    std::vector<std::pair<uint64_t, const Class*>> keyed;
    for (const auto& [bits, each] : by_bits_) keyed.emplace_back(bits, &each);
    std::sort(keyed.begin(), keyed.end(), [this](const auto& a, const auto& b) {
      return BitsLess(target_.type, a.first, b.first);
    });
    for (const auto& [bits, each] : keyed) ordered.push_back(each);
  }
  RETURN_IF_ERROR(CheckClasses(ordered));
  for (const Class* each : ordered) {
    coder.classes_.push_back(each->text);
    coder.training_counts_.push_back(each->training);
  }
  const int count = static_cast<int>(ordered.size());
  for (int i = 0; i < count; ++i) {
    const std::string& text = coder.classes_[static_cast<size_t>(i)];
    if (target_.type == Type::kString) coder.by_string_.emplace(text, i);
  }
  for (const auto& [bits, each] : by_bits_) {
    const auto at = std::find(ordered.begin(), ordered.end(), &each);
    coder.by_bits_.emplace(bits, static_cast<int>(at - ordered.begin()));
  }
  return coder;
}

Status TargetLearner::CheckClasses(const std::vector<const Class*>& ordered) const {
  const std::string name = "the target '" + target_.name + "'";
  std::vector<std::string> texts;
  for (const Class* each : ordered) texts.push_back(each->text);
  const std::string count = (overflow_ ? "more than " : "") + FormatCount(std::ssize(texts));
  if (texts.size() == 1) {
    return InvalidArgument(name + " is '" + texts[0] + "' in every row: there is nothing to learn",
                           "check the column and the filters in `prepare`");
  }
  if (kind_ == PredictionKind::kBinary && texts.size() != 2) {
    return InvalidArgument(name + " has " + count + " classes (" + FirstFew(texts) +
                               ", ...), but `prediction: binary` needs exactly 2",
                           texts.size() <= kMaxClasses
                               ? "use `prediction: multiclass`, or filter rows in `prepare`"
                               : "use `prediction: regression` if it is a number");
  }
  if (kind_ == PredictionKind::kMulticlass && texts.size() == 2) {
    return InvalidArgument(name + " has 2 classes (" + FirstFew(texts) +
                               "), but `prediction: multiclass` needs at least 3",
                           "use `prediction: binary`");
  }
  if (texts.size() > kMaxClasses) {
    const bool number = target_.type == Type::kInt64 || target_.type == Type::kDouble;
    return InvalidArgument(
        name + " has " + count + " classes; at most " + FormatCount(kMaxClasses) +
            " can be learned",
        number ? "a number with so many values is a `prediction: regression`"
               : "group rare classes in `prepare`, or check that this is the right column");
  }
  std::vector<std::string> absent;
  for (const Class* each : ordered) {
    if (each->training == 0) absent.push_back(each->text);
  }
  if (absent.empty()) return {};
  return InvalidArgument(
      name + ": no training row has the class " + QuotedList(absent, 5) +
          "; it stands only in held-out rows",
      "use another `validation.seed`, a smaller hold-out, or filter the class in `prepare`");
}

}  // namespace slipway
