// Wall-clock time as text. Durations use std::chrono::steady_clock directly.
#pragma once

#include <cstdint>
#include <string>

namespace slipway {

// Microseconds since 1970-01-01 UTC.
int64_t NowMicros();
// "2026-11-22T22:40:42Z"; with microseconds when they are not zero.
std::string FormatTimestamp(int64_t micros);
// Now, to the second.
std::string NowText();
// Seconds of a steady clock, for measuring.
double SteadySeconds();

}  // namespace slipway
