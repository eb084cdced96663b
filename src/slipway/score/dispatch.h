// Picks among the copies of a function that Highway compiled, one for each instruction set. Include
// once, in the HWY_ONCE part of a file, inside no namespace. Internal to score and its like.
#pragma once

#include <type_traits>

#include "slipway/score/isa.h"

#if HWY_TARGETS & HWY_AVX3
#define SLIPWAY_AVX512(function) (&N_AVX3::function)
#else
#define SLIPWAY_AVX512(function) nullptr
#endif
#if HWY_TARGETS & HWY_AVX2
#define SLIPWAY_AVX2(function) (&N_AVX2::function)
#else
#define SLIPWAY_AVX2(function) nullptr
#endif
#if HWY_TARGETS & HWY_SSE4
#define SLIPWAY_SSE4(function) (&N_SSE4::function)
#else
#define SLIPWAY_SSE4(function) nullptr
#endif

// The static target's copy where that has vectors, else nullptr: for functions that are not
// compiled one lane at a time.
#if HWY_STATIC_TARGET == HWY_SCALAR || HWY_STATIC_TARGET == HWY_EMU128
#define SLIPWAY_VECTORS_ONLY(type, function) static_cast<type>(nullptr)
#else
#define SLIPWAY_VECTORS_ONLY(type, function) static_cast<type>(&HWY_STATIC_DISPATCH(function))
#endif

// The copy of `function` for `isa`; `otherwise` where there is none.
#define SLIPWAY_PICK(isa, function, otherwise)                                            \
  ::slipway::PickTarget(isa, otherwise, SLIPWAY_AVX512(function), SLIPWAY_AVX2(function), \
                        SLIPWAY_SSE4(function))

namespace slipway {

template <typename Function>
Function PickTarget(Isa isa, Function otherwise, std::type_identity_t<Function> avx512,
                    std::type_identity_t<Function> avx2, std::type_identity_t<Function> sse4) {
  if (isa >= Isa::kAvx512 && avx512 != nullptr) return avx512;
  if (isa >= Isa::kAvx2 && avx2 != nullptr) return avx2;
  if (isa >= Isa::kSse4 && sse4 != nullptr) return sse4;
  return otherwise;
}

}  // namespace slipway
