// Memory kept aside for small allocations when there is no other: what is needed to unwind, to say
// what is wrong and to let go of what took the memory. Many destructors and error paths of
// libraries allocate a little and end the process when they cannot (JSON trees are taken apart with
// a stack on the heap, for one); a large allocation that fails is an error that its caller handles.
//
// A process that wants it replaces operator new by one that asks here before it throws
// (apinode/operator_new.cc), and calls Enable at its start. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slipway {

inline constexpr size_t kMemoryReserveBytes = size_t{4} << 20;
inline constexpr size_t kMemoryReserveMost = size_t{64} << 10;  // of one allocation

void EnableMemoryReserve();
// After malloc failed: gives the reserve up and tries again. nullptr: too large, or nothing is
// left. Freed with free().
void* AllocateFromReserve(size_t bytes) noexcept;
// Sets memory aside again once there is some. Does nothing unless enabled. To be called now and
// then.
void RefillMemoryReserve();
// Allocations that needed it since the start.
int64_t MemoryReserveUses();

}  // namespace slipway
