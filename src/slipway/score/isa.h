// Instruction sets that kernels are built for.
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway {

enum class Isa : uint8_t { kPortable, kSse4, kAvx2, kAvx512 };

// The best that this processor has, bounded by the environment variable SLIPWAY_ISA (portable,
// sse4, avx2, avx512; anything else is ignored). Read anew on each call.
Isa BestIsa();
std::string_view IsaName(Isa isa);

}  // namespace slipway
