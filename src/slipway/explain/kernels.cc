#include "slipway/explain/kernels.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace slipway {
namespace {

namespace portable {
#define SLIPWAY_MUL_ADD(a, b, c) ((a) * (b) + (c))
#include "slipway/explain/kernels_body.h"
#undef SLIPWAY_MUL_ADD
}  // namespace portable

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define SLIPWAY_MUL_ADD(a, b, c) _mm256_fmadd_pd(a, b, c)
#include "slipway/explain/kernels_body.h"
#undef SLIPWAY_MUL_ADD
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

}  // namespace

const ExplainKernels& KernelsFor(Isa isa) {
  static constexpr ExplainKernels kPortable = {portable::FindOffsets, portable::AddOffsets,
                                               portable::Walk, portable::Flush};
#if defined(__x86_64__)
  static constexpr ExplainKernels kAvx2 = {avx2::FindOffsets, avx2::AddOffsets, avx2::Walk,
                                           avx2::Flush};
  if (isa >= Isa::kAvx2) return kAvx2;
#endif
  static_cast<void>(isa);
  return kPortable;
}

}  // namespace slipway
