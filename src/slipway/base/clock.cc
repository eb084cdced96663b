#include "slipway/base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace slipway {

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string FormatTimestamp(int64_t micros) {
  using std::chrono::sys_days;
  using std::chrono::year;
  constexpr int64_t kDay = 86'400'000'000;
  int64_t days = micros / kDay;
  int64_t rest = micros % kDay;
  if (rest < 0) {  // before 1970
    --days;
    rest += kDay;
  }
  // A std::chrono::year ends at 32767; times further away show the last day that it has.
  static const int64_t first = sys_days(year::min() / 1 / 1).time_since_epoch().count();
  static const int64_t last = sys_days(year::max() / 12 / 31).time_since_epoch().count();
  days = std::clamp(days, first, last);
  const std::chrono::year_month_day date{sys_days(std::chrono::days(days))};
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(rest / 3'600'000'000),
                static_cast<int>(rest / 60'000'000 % 60), static_cast<int>(rest / 1'000'000 % 60));
  std::string out = buffer;
  if (rest % 1'000'000 != 0) {
    std::snprintf(buffer, sizeof buffer, ".%06d", static_cast<int>(rest % 1'000'000));
    out += buffer;
  }
  return out + "Z";
}

std::string NowText() { return FormatTimestamp(NowMicros() / 1'000'000 * 1'000'000); }

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace slipway
