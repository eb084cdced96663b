#include "slipway/base/clock.h"

#include <chrono>
#include <cstdio>

namespace slipway {

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string FormatTimestamp(int64_t micros) {
  using std::chrono::days;
  using std::chrono::floor;
  using std::chrono::microseconds;
  const std::chrono::sys_time<microseconds> time{microseconds(micros)};
  const auto day = floor<days>(time);
  const std::chrono::year_month_day date(day);
  const int64_t rest = (time - day).count();
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
