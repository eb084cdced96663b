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

const ExplainKernels& KernelsFor(Isa isa, int64_t rows) {
  const size_t set = rows <= 1 ? 0 : rows <= 4 ? 1 : rows <= 8 ? 2 : rows <= 16 ? 3 : 4;
#if defined(__x86_64__)
  if (isa >= Isa::kAvx2) return *avx2::kKernelsByRows[set];
#endif
  static_cast<void>(isa);
  return *portable::kKernelsByRows[set];
}

}  // namespace slipway
