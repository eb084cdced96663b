// The loop that every row-wise kernel shares. Part of features/expression.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "slipway/features/expression_program.h"

namespace slipway::expression_internal {

// out[row] = f(args...) where all arguments are present. `f` may take `bool& ok` first and clear it
// for a null. A NaN result is a null. Rows with a null argument are computed too (on whatever
// stands there) unless an argument is a text or `f` wants the Call, which then comes before
// everything.
template <typename R, typename F, typename... A>
struct Map {
  static constexpr bool kWithCall = std::is_invocable_v<F, const Call&, bool&, A...>;
  static constexpr bool kMayFail = kWithCall || std::is_invocable_v<F, bool&, A...>;
  static constexpr bool kOnlyPresent = kWithCall || (std::is_same_v<A, std::string_view> || ...) ||
                                       std::is_same_v<R, std::string_view>;

  static void Run(const Call& call) { Rows(call, std::index_sequence_for<A...>{}); }

  template <size_t... I>
  static void Rows(const Call& call, std::index_sequence<I...>) {
    R* out = static_cast<R*>(call.out.data);
    const std::tuple<const A*...> in{call.arg(I).template as<A>()...};
    for (int base = 0; base < call.rows; base += 64) {
      const int n = std::min(64, call.rows - base);
      uint64_t valid = (call.arg(I).validity[base >> 6] & ...);
      uint64_t bad = 0;
      for (int j = 0; j < n; ++j) {
        const int row = base + j;
        if constexpr (kOnlyPresent) {
          if ((valid >> j & 1) == 0) {
            out[row] = R{};
            continue;
          }
        }
        if constexpr (kMayFail) {
          bool ok = true;
          if constexpr (kWithCall) {
            out[row] = F{}(call, ok, std::get<I>(in)[row]...);
          } else {
            out[row] = F{}(ok, std::get<I>(in)[row]...);
          }
          bad |= static_cast<uint64_t>(!ok) << j;
        } else {
          out[row] = F{}(std::get<I>(in)[row]...);
        }
      }
      if constexpr (std::is_same_v<R, double>) {
        for (int j = 0; j < n; ++j)
          bad |= static_cast<uint64_t>(out[base + j] != out[base + j]) << j;
      }
      call.out.validity[base >> 6] = valid & ~bad;
    }
  }
};

// The kernel of a captureless lambda: MapKernel<double, double, double>([](double a, double b)
// {...}).
template <typename R, typename... A, typename F>
Kernel MapKernel(F) {
  return &Map<R, F, A...>::Run;
}

inline bool IsValid(const Operand& operand, int row) {
  return (operand.validity[row >> 6] >> (row & 63) & 1) != 0;
}
inline void SetValid(const Target& target, int row, bool valid) {
  const uint64_t bit = uint64_t{1} << (row & 63);
  uint64_t& word = target.validity[row >> 6];
  word = valid ? word | bit : word & ~bit;
}

}  // namespace slipway::expression_internal
