#include "slipway/features/encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kDayMicros = 86'400'000'000;
constexpr std::array<std::string_view, 7> kPartNames = {"year",   "month",   "day",  "hour",
                                                        "minute", "weekday", "epoch"};

struct CivilDay {
  int64_t year;
  int month, day;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that
// the leap day is the last one; 400 years have 146,097 days.
CivilDay ToCivil(int64_t days) {
  days += 719'468;  // since 0000-03-01
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t in_era = days - era * 146'097;
  const int64_t year = (in_era - in_era / 1'460 + in_era / 36'524 - in_era / 146'096) / 365;
  const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
  const int64_t month = (5 * in_year + 2) / 153;
  const int day = static_cast<int>(in_year - (153 * month + 2) / 5 + 1);
  const int civil_month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  return {year + era * 400 + (civil_month <= 2 ? 1 : 0), civil_month, day};
}

// `micros` within the day.
double PartValue(TimePart part, int64_t days, int64_t micros) {
  switch (part) {
    case TimePart::kYear:
      return static_cast<double>(ToCivil(days).year);
    case TimePart::kMonth:
      return ToCivil(days).month;
    case TimePart::kDay:
      return ToCivil(days).day;
    case TimePart::kHour:
      return static_cast<double>(micros / 3'600'000'000);
    case TimePart::kMinute:
      return static_cast<double>(micros / 60'000'000 % 60);
    case TimePart::kWeekday: {
      const int64_t since_sunday = (days + 4) % 7;  // 1970-01-01 was a Thursday
      return static_cast<double>(since_sunday < 0 ? since_sunday + 7 : since_sunday);
    }
    case TimePart::kEpoch:
      break;
  }
  return static_cast<double>(days) * 86'400.0 + static_cast<double>(micros) / 1e6;
}

template <typename T>
void EncodeNumbers(const Encoder& encoder, const ColumnView& view, int begin, int end, int stride,
                   double* out) {
  const T* values = view.as<T>();
  const bool scaled = encoder.scale != Scale::kNone;
  out += static_cast<ptrdiff_t>(begin) * stride;
  for (int r = begin; r < end; ++r, out += stride) {
    double value = static_cast<double>(values[r]);
    bool missing = !view.valid(r);
    if constexpr (std::is_same_v<T, double>) missing = missing || std::isnan(value);
    if (missing) value = encoder.fill;
    if (scaled) value = (value - encoder.offset) / encoder.divisor;
    *out = value;
  }
}

void EncodeParts(const Encoder& encoder, const ColumnView& view, int begin, int end, int stride,
                 double* out) {
  out += static_cast<ptrdiff_t>(begin) * stride;
  for (int r = begin; r < end; ++r, out += stride) {
    int64_t days = 0, micros = 0;
    const bool present = view.valid(r);
    if (present && view.type == Type::kDate) {
      days = view.dates()[r];
    } else if (present) {
      days = view.ints()[r] / kDayMicros;
      micros = view.ints()[r] % kDayMicros;
      if (micros < 0) {  // before 1970; days * kDayMicros could overflow
        --days;
        micros += kDayMicros;
      }
    }
    for (size_t p = 0; p < encoder.parts.size(); ++p) {
      out[p] = present ? PartValue(encoder.parts[p], days, micros) : kNaN;
    }
  }
}

constexpr int kMissingCode = -1;
constexpr int kUnseenCode = -2;

// Where codes go: a number, or the one column that is 1.
void PutCode(const Encoder& encoder, int code, int row, double* out, uint8_t* keep) {
  if (code == kUnseenCode) {
    if (encoder.unseen == UnseenPolicy::kError && keep != nullptr) keep[row] = 0;
    const bool to_other = encoder.unseen == UnseenPolicy::kOther && encoder.other;
    code = to_other ? encoder.coded : kMissingCode;
  }
  if (encoder.encode != CategoryEncode::kOneHot) {
    *out = code < 0 ? kNaN : code;
    return;
  }
  const int width = encoder.width();
  for (int c = 0; c < width; ++c) out[c] = 0;
  if (code >= 0) out[code] = 1;
}

int FindCode(const Encoder& encoder, std::string_view text) {
  const int found = encoder.categories.Find(text);
  return found < 0 ? kUnseenCode : std::min(found, encoder.coded);  // beyond: folded into "other"
}

void EncodeTexts(const Encoder& encoder, const ColumnView& view, int begin, int end, int stride,
                 double* out, uint8_t* keep) {
  const std::string_view* texts = view.strings();
  for (int r = begin; r < end; ++r) {
    const bool missing = !view.valid(r) || texts[r].empty();
    const int code = missing ? kMissingCode : FindCode(encoder, texts[r]);
    PutCode(encoder, code, r, out + static_cast<ptrdiff_t>(r) * stride, keep);
  }
}

// Values that are not strings go by their text; equal neighbours are looked up once.
void EncodeOthers(const Encoder& encoder, const ColumnView& view, int begin, int end, int stride,
                  double* out, uint8_t* keep, std::string* text) {
  int64_t last = 0;
  int last_code = kMissingCode;
  bool known = false;
  for (int r = begin; r < end; ++r) {
    int code = kMissingCode;
    const bool is_int = view.type == Type::kInt64;
    if (is_int && known && view.valid(r) && view.ints()[r] == last) {
      code = last_code;
    } else if (CategoryText(view, r, text)) {
      code = FindCode(encoder, *text);
      if (is_int) {
        last = view.ints()[r];
        last_code = code;
        known = true;
      }
    }
    PutCode(encoder, code, r, out + static_cast<ptrdiff_t>(r) * stride, keep);
  }
}

}  // namespace

bool CategoryText(const ColumnView& view, int row, std::string* text) {
  text->clear();
  if (!view.valid(row)) return false;
  if (view.type == Type::kDouble) {
    const double value = view.doubles()[row];
    if (std::isnan(value)) return false;
    if (value == 0) {  // 0 and -0 are one category
      *text = "0";
      return true;
    }
  }
  AppendCell(view, row, text);
  return !text->empty();
}

std::string_view TimePartName(TimePart part) { return kPartNames[static_cast<size_t>(part)]; }

int FindTimePart(std::string_view name) {
  for (size_t i = 0; i < kPartNames.size(); ++i) {
    if (kPartNames[i] == name) return static_cast<int>(i);
  }
  return -1;
}

bool NeedsTimeOfDay(TimePart part) { return part == TimePart::kHour || part == TimePart::kMinute; }

int Encoder::width() const {
  if (kind == FeatureKind::kTimestamp) return static_cast<int>(parts.size());
  if (kind == FeatureKind::kCategory && encode == CategoryEncode::kOneHot) {
    return coded + (other ? 1 : 0);
  }
  return 1;
}

void Encoder::AppendFeatures(std::vector<ModelFeature>* out) const {
  if (kind == FeatureKind::kTimestamp) {
    for (TimePart part : parts) {
      out->push_back({column + ":" + std::string(TimePartName(part)), column, false});
    }
  } else if (kind == FeatureKind::kCategory && encode == CategoryEncode::kOneHot) {
    for (int c = 0; c < coded; ++c) {
      out->push_back({column + "=" + categories.text(c), column, false});
    }
    if (other) out->push_back({column + "=(other)", column, false});
  } else {
    const bool native = kind == FeatureKind::kCategory && encode == CategoryEncode::kNative;
    out->push_back({column, column, native});
  }
}

void Encoder::Encode(const ColumnView& view, int begin, int end, int stride, double* matrix,
                     uint8_t* keep, std::string* text) const {
  if (kind == FeatureKind::kTimestamp) {
    EncodeParts(*this, view, begin, end, stride, matrix);
  } else if (kind == FeatureKind::kCategory) {
    if (type == Type::kString) {
      EncodeTexts(*this, view, begin, end, stride, matrix, keep);
    } else {
      EncodeOthers(*this, view, begin, end, stride, matrix, keep, text);
    }
  } else if (type == Type::kDouble) {
    EncodeNumbers<double>(*this, view, begin, end, stride, matrix);
  } else if (type == Type::kInt64) {
    EncodeNumbers<int64_t>(*this, view, begin, end, stride, matrix);
  } else {
    EncodeNumbers<uint8_t>(*this, view, begin, end, stride, matrix);
  }
}

}  // namespace slipway
