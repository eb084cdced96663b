#include "slipway/table/cell.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;
constexpr int64_t kMicrosPerHour = 3'600'000'000;
constexpr int64_t kMicrosPerMinute = 60'000'000;

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c =
        text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// Reads exactly `count` digits at the front.
bool TakeDigits(std::string_view* text, int count, int* out) {
  if (static_cast<int>(text->size()) < count) return false;
  int value = 0;
  for (int i = 0; i < count; ++i) {
    const char c = (*text)[static_cast<size_t>(i)];
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  text->remove_prefix(static_cast<size_t>(count));
  *out = value;
  return true;
}

bool TakeChar(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

bool TakeDate(std::string_view* text, int64_t* days) {
  int year = 0, month = 0, day = 0;
  if (!TakeDigits(text, 4, &year) || !TakeChar(text, '-') || !TakeDigits(text, 2, &month) ||
      !TakeChar(text, '-') || !TakeDigits(text, 2, &day)) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return false;
  *days = std::chrono::sys_days(date).time_since_epoch().count();
  return true;
}

// HH:MM[:SS[.f{1,9}]], digits beyond microseconds are cut.
bool TakeTime(std::string_view* text, int64_t* micros) {
  int hour = 0, minute = 0, second = 0;
  if (!TakeDigits(text, 2, &hour) || !TakeChar(text, ':') || !TakeDigits(text, 2, &minute))
    return false;
  int64_t fraction = 0;
  if (TakeChar(text, ':')) {
    if (!TakeDigits(text, 2, &second)) return false;
    if (TakeChar(text, '.')) {
      int digits = 0;
      for (; !text->empty() && text->front() >= '0' && text->front() <= '9';
           text->remove_prefix(1), ++digits) {
        if (digits < 6) fraction = fraction * 10 + (text->front() - '0');
      }
      if (digits == 0 || digits > 9) return false;
      for (; digits < 6; ++digits) fraction *= 10;
    }
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  *micros = hour * kMicrosPerHour + minute * kMicrosPerMinute + second * 1'000'000LL + fraction;
  return true;
}

// What may follow the time: nothing, Z, UTC, +HH:MM, +HHMM, +HH.
bool TakeZone(std::string_view text, int64_t* offset_micros) {
  *offset_micros = 0;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.empty() || EqualsIgnoringCase(text, "z") || EqualsIgnoringCase(text, "utc")) return true;
  const bool negative = text.front() == '-';
  if (!negative && text.front() != '+') return false;
  text.remove_prefix(1);
  int hours = 0, minutes = 0;
  if (!TakeDigits(&text, 2, &hours)) return false;
  TakeChar(&text, ':');
  if (!text.empty() && !TakeDigits(&text, 2, &minutes)) return false;
  if (!text.empty() || hours > 18 || minutes > 59) return false;
  *offset_micros = (hours * kMicrosPerHour + minutes * kMicrosPerMinute) * (negative ? -1 : 1);
  return true;
}

// Below 2^53 a double is the whole number that was written; from there on several share one, and
// the text may have named another.
bool IsWhole(double value) {
  return std::abs(value) < 9007199254740992.0 && value == std::trunc(value);
}

// Days that a timestamp in microseconds can hold; a date from a foreign file may lie beyond.
constexpr int64_t kMaxDays = INT64_MAX / kMicrosPerDay - 1;

void AppendDate(int64_t days, std::string* out) {
  days = std::clamp(days, -kMaxDays, kMaxDays);
  const std::string text = FormatTimestamp(days * kMicrosPerDay);
  out->append(text, 0, text.find('T'));
}

}  // namespace

CellState ParseBooleanCell(std::string_view text, uint8_t* out) {
  text = Trim(text);
  if (text.empty()) return CellState::kMissing;
  for (std::string_view word : {"true", "1", "t", "yes", "y"}) {
    if (EqualsIgnoringCase(text, word)) {
      *out = 1;
      return CellState::kValue;
    }
  }
  for (std::string_view word : {"false", "0", "f", "no", "n"}) {
    if (EqualsIgnoringCase(text, word)) {
      *out = 0;
      return CellState::kValue;
    }
  }
  return CellState::kBad;
}

CellState ParseInt64Cell(std::string_view text, int64_t* out) {
  text = Trim(text);
  if (text.empty()) return CellState::kMissing;
  if (auto value = ParseInt64(text)) {
    *out = *value;
    return CellState::kValue;
  }
  auto value = ParseDouble(text);
  if (!value) return CellState::kBad;
  if (std::isnan(*value)) return CellState::kMissing;
  if (!IsWhole(*value)) return CellState::kBad;
  *out = static_cast<int64_t>(*value);
  return CellState::kValue;
}

CellState ParseDoubleCell(std::string_view text, double* out) {
  double value = 0;
  // The common case first: a plain number without blanks.
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) {
    text = Trim(text);
    if (text.empty()) return CellState::kMissing;
    auto parsed = ParseDouble(text);
    if (!parsed) return CellState::kBad;
    value = *parsed;
  }
  if (std::isnan(value)) return CellState::kMissing;
  *out = value;
  return CellState::kValue;
}

CellState ParseDateCell(std::string_view text, int32_t* out) {
  text = Trim(text);
  if (text.empty()) return CellState::kMissing;
  std::string_view rest = text;
  int64_t days = 0;
  if (TakeDate(&rest, &days) && rest.empty()) {
    *out = static_cast<int32_t>(days);
    return CellState::kValue;
  }
  int64_t micros = 0;
  if (ParseTimestampCell(text, &micros) != CellState::kValue || micros % kMicrosPerDay != 0)
    return CellState::kBad;
  *out = static_cast<int32_t>(micros / kMicrosPerDay);
  return CellState::kValue;
}

CellState ParseTimestampCell(std::string_view text, int64_t* out) {
  text = Trim(text);
  if (text.empty()) return CellState::kMissing;
  int64_t days = 0, time = 0, offset = 0;
  if (!TakeDate(&text, &days)) return CellState::kBad;
  if (!text.empty()) {
    if (!TakeChar(&text, 'T') && !TakeChar(&text, ' ') && !TakeChar(&text, 't'))
      return CellState::kBad;
    if (!TakeTime(&text, &time) || !TakeZone(text, &offset)) return CellState::kBad;
  }
  *out = days * kMicrosPerDay + time - offset;
  return CellState::kValue;
}

bool ParseCellInto(std::string_view text, int row, Column* column) {
  CellState state = CellState::kBad;
  switch (column->type()) {
    case Type::kBoolean:
      state = ParseBooleanCell(text, column->booleans() + row);
      break;
    case Type::kInt64:
      state = ParseInt64Cell(text, column->ints() + row);
      break;
    case Type::kDouble:
      state = ParseDoubleCell(text, column->doubles() + row);
      break;
    case Type::kString:
      column->strings()[row] = text;
      state = text.empty() ? CellState::kMissing : CellState::kValue;
      break;
    case Type::kDate:
      state = ParseDateCell(text, column->dates() + row);
      break;
    case Type::kTimestamp:
      state = ParseTimestampCell(text, column->ints() + row);
      break;
  }
  if (state == CellState::kValue) {
    column->SetValid(row);
  } else {
    column->SetNull(row);
  }
  return state != CellState::kBad;
}

void AppendCell(const ColumnView& column, int row, std::string* out) {
  if (!column.valid(row)) return;
  switch (column.type) {
    case Type::kBoolean:
      out->append(column.booleans()[row] != 0 ? "true" : "false");
      return;
    case Type::kInt64: {
      char buffer[24];
      auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, column.ints()[row]);
      out->append(buffer, end);
      return;
    }
    case Type::kDouble:
      AppendDouble(column.doubles()[row], out);
      return;
    case Type::kString:
      out->append(column.strings()[row]);
      return;
    case Type::kDate:
      AppendDate(column.dates()[row], out);
      return;
    case Type::kTimestamp:
      out->append(FormatTimestamp(column.ints()[row]));
      return;
  }
}

void TypeGuesser::See(std::string_view text) {
  constexpr unsigned kBoolean = 1, kInt = 2, kDouble = 4, kDate = 8, kTimestamp = 16;
  text = Trim(text);
  if (text.empty()) return;
  seen_ = true;
  if (possible_ == 0) return;
  unsigned fits = 0;
  double d = 0;
  const CellState number = ParseDoubleCell(text, &d);
  if (number == CellState::kMissing) {
    fits = kDouble;  // "nan"
  } else if (number == CellState::kValue) {
    std::string_view digits = text.front() == '-' || text.front() == '+' ? text.substr(1) : text;
    const bool whole = digits.find_first_not_of("0123456789") == std::string_view::npos;
    const bool code = whole && ((digits.size() > 1 && digits.front() == '0') || digits.size() > 18);
    // A code such as "007" would lose its zeros as a number.
    if (!code) fits = whole ? kInt | kDouble : kDouble;
  } else {
    int64_t micros = 0;
    int32_t days = 0;
    if (EqualsIgnoringCase(text, "true") || EqualsIgnoringCase(text, "false")) fits |= kBoolean;
    if (ParseTimestampCell(text, &micros) == CellState::kValue) fits |= kTimestamp;
    if (text.size() == 10 && ParseDateCell(text, &days) == CellState::kValue) fits |= kDate;
  }
  possible_ &= fits;
}

Type TypeGuesser::type() const {
  if (!seen_) return Type::kString;
  if ((possible_ & 1) != 0) return Type::kBoolean;
  if ((possible_ & 2) != 0) return Type::kInt64;
  if ((possible_ & 4) != 0) return Type::kDouble;
  if ((possible_ & 8) != 0) return Type::kDate;
  if ((possible_ & 16) != 0) return Type::kTimestamp;
  return Type::kString;
}

bool CanConvert(Type from, Type to) {
  if (from == to || from == Type::kString || to == Type::kString) return true;
  switch (from) {
    case Type::kBoolean:
      return to == Type::kInt64 || to == Type::kDouble;
    case Type::kInt64:
      return to == Type::kDouble || to == Type::kBoolean;
    case Type::kDouble:
      return to == Type::kInt64 || to == Type::kBoolean;
    case Type::kDate:
      return to == Type::kTimestamp;
    case Type::kTimestamp:
      return to == Type::kDate;
    case Type::kString:
      return true;
  }
  return false;
}

namespace {

// One present value that is neither from nor to string. False: it does not convert.
bool ConvertValue(const ColumnView& in, int row, Type to, Column* out) {
  switch (in.type) {
    case Type::kBoolean:
      if (to == Type::kInt64) out->ints()[row] = in.booleans()[row];
      if (to == Type::kDouble) out->doubles()[row] = in.booleans()[row];
      return true;
    case Type::kInt64: {
      const int64_t v = in.ints()[row];
      if (to == Type::kDouble) out->doubles()[row] = static_cast<double>(v);
      if (to == Type::kBoolean) out->booleans()[row] = v == 1;
      return to == Type::kDouble || v == 0 || v == 1;
    }
    case Type::kDouble: {
      const double v = in.doubles()[row];
      if (to == Type::kInt64 && IsWhole(v)) out->ints()[row] = static_cast<int64_t>(v);
      if (to == Type::kBoolean) out->booleans()[row] = v == 1;
      return to == Type::kInt64 ? IsWhole(v) : v == 0 || v == 1;
    }
    case Type::kDate:
      if (std::abs(int64_t{in.dates()[row]}) > kMaxDays) return false;
      out->ints()[row] = in.dates()[row] * kMicrosPerDay;
      return true;
    case Type::kTimestamp: {
      const int64_t v = in.ints()[row];
      if (v % kMicrosPerDay != 0) return false;
      out->dates()[row] = static_cast<int32_t>(v / kMicrosPerDay);
      return true;
    }
    case Type::kString:
      return false;
  }
  return false;
}

}  // namespace

bool ConvertColumn(const ColumnView& in, int rows, Type to, Column* out, int* bad_row) {
  out->Reset(to);
  bool ok = true;
  std::string text;
  for (int row = 0; row < rows; ++row) {
    if (!in.valid(row) || (in.type == Type::kDouble && std::isnan(in.doubles()[row]))) continue;
    bool converted = false;
    if (in.type == Type::kString) {
      converted = ParseCellInto(in.strings()[row], row, out);
    } else if (to == Type::kString) {
      text.clear();
      AppendCell(in, row, &text);
      out->strings()[row] = out->Intern(text);
      out->SetValid(row);
      converted = true;
    } else if (in.type == to) {
      static constexpr size_t kWidth[] = {1, 8, 8, 16, 4, 8};
      const size_t width = kWidth[static_cast<size_t>(to)];
      std::memcpy(out->booleans() + width * static_cast<size_t>(row),
                  in.booleans() + width * static_cast<size_t>(row), width);
      out->SetValid(row);
      converted = true;
    } else if (CanConvert(in.type, to)) {
      converted = ConvertValue(in, row, to, out);
      if (converted) out->SetValid(row);
    }
    if (!converted && ok) {
      ok = false;
      if (bad_row != nullptr) *bad_row = row;
    }
  }
  return ok;
}

}  // namespace slipway
