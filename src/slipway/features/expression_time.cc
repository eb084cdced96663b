// Kernels on dates (days) and timestamps (microseconds), both since 1970-01-01 UTC, proleptic
// Gregorian.
#include <limits>
#include <string>

#include "slipway/features/expression_kernels.h"
#include "slipway/features/expression_map.h"
#include "slipway/table/cell.h"

namespace slipway::expression_internal {

namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int64_t FloorMod(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

struct Civil {
  int64_t year = 0, month = 0, day = 0;
};

// Years begin in March so that the leap day is the last of a year; 146,097 days are 400 years.
Civil CivilOf(int64_t days) {
  const int64_t shifted = days + 719'468;  // days since 0000-03-01
  const int64_t era = FloorDiv(shifted, 146'097);
  const int64_t day_of_era = shifted - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153;  // 0 = March
  Civil civil;
  civil.day = day_of_year - (153 * month + 2) / 5 + 1;
  civil.month = month < 10 ? month + 3 : month - 9;
  civil.year = year_of_era + era * 400 + (civil.month <= 2 ? 1 : 0);
  return civil;
}

int64_t DaysOf(const Civil& civil) {
  const int64_t year = civil.year - (civil.month <= 2 ? 1 : 0);
  const int64_t era = FloorDiv(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t month = civil.month > 2 ? civil.month - 3 : civil.month + 9;
  const int64_t day_of_year = (153 * month + 2) / 5 + civil.day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719'468;
}

Civil CivilOfTime(int64_t time) { return CivilOf(FloorDiv(time, kDay)); }
int64_t MonthOf(int64_t time) {
  const Civil civil = CivilOfTime(time);
  return civil.year * 12 + civil.month;
}

template <int64_t kUnit>
Kernel Boundaries() {
  return MapKernel<int64_t, int64_t, int64_t>(
      [](int64_t a, int64_t b) { return FloorDiv(b, kUnit) - FloorDiv(a, kUnit); });
}

// Reads up to `most` digits, at least one.
bool TakeNumber(std::string_view* text, size_t most, int64_t* out) {
  size_t n = 0;
  *out = 0;
  while (n < most && n < text->size() && (*text)[n] >= '0' && (*text)[n] <= '9') {
    *out = *out * 10 + ((*text)[n++] - '0');
  }
  text->remove_prefix(n);
  return n > 0;
}

bool TakeFraction(std::string_view* text, int64_t* micros) {
  const size_t before = text->size();
  if (!TakeNumber(text, 6, micros)) return false;
  for (size_t digits = before - text->size(); digits < 6; ++digits) *micros *= 10;
  return true;
}

// %Y four digits, %m %d %H %M %S one or two, %f one to six; anything else stands for itself.
bool ParseWithFormat(std::string_view text, std::string_view format, int64_t* out) {
  Civil civil{1970, 1, 1};
  int64_t hour = 0, minute = 0, second = 0, micros = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    bool ok = true;
    if (format[i] != '%') {
      ok = !text.empty() && text.front() == format[i];
      if (ok) text.remove_prefix(1);
    } else {
      const size_t before = text.size();
      switch (format[++i]) {
        case 'Y':
          ok = TakeNumber(&text, 4, &civil.year) && before - text.size() == 4;
          break;
        case 'm':
          ok = TakeNumber(&text, 2, &civil.month);
          break;
        case 'd':
          ok = TakeNumber(&text, 2, &civil.day);
          break;
        case 'H':
          ok = TakeNumber(&text, 2, &hour);
          break;
        case 'M':
          ok = TakeNumber(&text, 2, &minute);
          break;
        case 'S':
          ok = TakeNumber(&text, 2, &second);
          break;
        case 'f':
          ok = TakeFraction(&text, &micros);
          break;
        default:
          ok = !text.empty() && text.front() == '%';
          if (ok) text.remove_prefix(1);
      }
    }
    if (!ok) return false;
  }
  if (!text.empty() || hour > 23 || minute > 59 || second > 59) return false;
  const int64_t days = DaysOf(civil);
  const Civil back = CivilOf(days);
  if (back.month != civil.month || back.day != civil.day) return false;  // month 13, 30 February
  *out = days * kDay + hour * kHour + minute * kMinute + second * kSecond + micros;
  return true;
}

}  // namespace

Kernel TimePartKernel(std::string_view name) {
  if (name == "year")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return CivilOfTime(t).year; });
  if (name == "month")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return CivilOfTime(t).month; });
  if (name == "day")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return CivilOfTime(t).day; });
  if (name == "hour")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return FloorMod(t, kDay) / kHour; });
  if (name == "minute")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return FloorMod(t, kHour) / kMinute; });
  if (name == "second")
    return MapKernel<int64_t, int64_t>([](int64_t t) { return FloorMod(t, kMinute) / kSecond; });
  // 1970-01-01 was a Thursday; Sunday is 0.
  return MapKernel<int64_t, int64_t>([](int64_t t) { return FloorMod(FloorDiv(t, kDay) + 4, 7); });
}

Kernel DaysBetweenKernel() {
  return MapKernel<int64_t, int32_t, int32_t>(
      [](int32_t a, int32_t b) { return int64_t{a} - int64_t{b}; });
}

Kernel DateToTimestampKernel() {
  return MapKernel<int64_t, int32_t>([](bool& ok, int32_t days) {
    int64_t time = 0;
    ok = !__builtin_mul_overflow(int64_t{days}, kDay, &time);
    return time;
  });
}

std::optional<Kernel> DateDiffKernel(std::string_view unit) {
  if (unit == "second") return Boundaries<kSecond>();
  if (unit == "minute") return Boundaries<kMinute>();
  if (unit == "hour") return Boundaries<kHour>();
  if (unit == "day") return Boundaries<kDay>();
  if (unit == "week") {
    return MapKernel<int64_t, int64_t, int64_t>(
        [](int64_t a, int64_t b) { return (FloorDiv(b, kDay) - FloorDiv(a, kDay)) / 7; });
  }
  if (unit == "month") {
    return MapKernel<int64_t, int64_t, int64_t>(
        [](int64_t a, int64_t b) { return MonthOf(b) - MonthOf(a); });
  }
  if (unit == "year") {
    return MapKernel<int64_t, int64_t, int64_t>(
        [](int64_t a, int64_t b) { return CivilOfTime(b).year - CivilOfTime(a).year; });
  }
  return std::nullopt;
}

Kernel ParseTimestampKernel() {
  return MapKernel<int64_t, std::string_view>([](bool& ok, std::string_view text) {
    int64_t value = 0;
    ok = ParseTimestampCell(text, &value) == CellState::kValue;
    return ok ? value : int64_t{0};
  });
}

Kernel ParseTimestampFormatKernel() {
  return MapKernel<int64_t, std::string_view>(
      [](const Call& call, bool& ok, std::string_view text) {
        int64_t value = 0;
        ok = ParseWithFormat(text, call.instruction.constant.text, &value);
        return ok ? value : int64_t{0};
      });
}

std::string TimestampFormatProblem(std::string_view format) {
  bool any = false;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (++i == format.size()) return "the format ends with '%'";
    if (std::string_view("YmdHMSf%").find(format[i]) == std::string_view::npos) {
      return "the format has '%" + std::string(1, format[i]) + "'";
    }
    any = any || format[i] != '%';
  }
  return any ? "" : "the format has none of %Y %m %d %H %M %S %f";
}

}  // namespace slipway::expression_internal
