// Quick ways through the commonest numbers. Each answers exactly as the function of table/cell.h,
// or declines (false) and leaves the text to that function. Internal to module csv. Pure;
// thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway {

struct DigitRun {
  uint64_t value = 0;
  int digits = 0;  // leading zeros count
};

// Appends the digits at *p, up to `end`; the value is meaningless once `digits` is above 19.
inline void TakeDigitRun(const char** p, const char* end, DigitRun* run) {
  const char* at = *p;
  uint64_t value = run->value;
  while (at != end) {
    const unsigned digit = static_cast<unsigned char>(*at) - unsigned{'0'};
    if (digit > 9) break;
    value = value * 10 + digit;
    ++at;
  }
  run->digits += static_cast<int>(at - *p);
  run->value = value;
  *p = at;
}

// [-]digits of at most 18 digits.
inline bool FastInt64(std::string_view text, int64_t* out) {
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p != end && *p == '-';
  p += negative;
  if (end - p > 18) return false;
  DigitRun run;
  TakeDigitRun(&p, end, &run);
  if (p != end || run.digits == 0) return false;
  const auto value = static_cast<int64_t>(run.value);
  *out = negative ? -value : value;
  return true;
}

// [-]digits[.digits] whose digits make a whole number of at most 2^53, with at most 22 behind the
// point: that number and the power of ten are both exact doubles, so one division rounds correctly
// (Clinger 1990).
inline bool FastDouble(std::string_view text, double* out) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (text.size() > 20) return false;  // so at most 19 digits with a point: no overflow
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p != end && *p == '-';
  p += negative;
  DigitRun run;
  TakeDigitRun(&p, end, &run);
  int behind = 0;
  if (p != end && *p == '.') {
    ++p;
    const int before = run.digits;
    TakeDigitRun(&p, end, &run);
    behind = run.digits - before;
  }
  if (p != end || run.digits == 0 || run.digits > 19 || run.value > (uint64_t{1} << 53))
    return false;
  const double value = static_cast<double>(run.value) / kPowers[behind];
  *out = negative ? -value : value;
  return true;
}

}  // namespace slipway
