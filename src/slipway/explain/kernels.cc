#include "slipway/explain/kernels.h"

#include <cstring>

namespace slipway {
namespace {

namespace portable {
#include "slipway/explain/kernels_body.h"
}  // namespace portable

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include "slipway/explain/kernels_body.h"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

}  // namespace

const ExplainKernels& KernelsFor(Isa isa) {
  static constexpr ExplainKernels kPortable = {portable::FindOffsets, portable::Walk,
                                               portable::Flush};
#if defined(__x86_64__)
  static constexpr ExplainKernels kAvx2 = {avx2::FindOffsets, avx2::Walk, avx2::Flush};
  if (isa >= Isa::kAvx2) return kAvx2;
#endif
  static_cast<void>(isa);
  return kPortable;
}

}  // namespace slipway
