#include "slipway/score/isa.h"

#include <algorithm>
#include <cstdlib>

namespace slipway {
namespace {

constexpr Isa kAll[] = {Isa::kPortable, Isa::kSse4, Isa::kAvx2, Isa::kAvx512};

Isa ProcessorIsa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const auto all = [](auto... has) { return (... && (has != 0)); };
  const bool sse4 = all(__builtin_cpu_supports("sse4.2"), __builtin_cpu_supports("ssse3"),
                        __builtin_cpu_supports("pclmul"), __builtin_cpu_supports("aes"));
  // What Highway's AVX2 and AVX3 targets are compiled with.
  const bool avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"),
                        __builtin_cpu_supports("bmi"), __builtin_cpu_supports("bmi2"),
                        __builtin_cpu_supports("f16c"), sse4);
  if (avx2 && all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512vl"),
                  __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512bw"),
                  __builtin_cpu_supports("avx512cd"))) {
    return Isa::kAvx512;
  }
  if (avx2) return Isa::kAvx2;
  if (sse4) return Isa::kSse4;
#endif
  return Isa::kPortable;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kSse4:
      return "sse4";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "";
}

Isa BestIsa() {
  static const Isa processor = ProcessorIsa();
  const char* bound = std::getenv("SLIPWAY_ISA");
  if (bound == nullptr) return processor;
  for (const Isa isa : kAll) {
    if (IsaName(isa) == bound) return std::min(isa, processor);
  }
  return processor;
}

}  // namespace slipway
