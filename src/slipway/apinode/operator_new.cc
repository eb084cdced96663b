// The API node's operator new: malloc, and for small allocations the reserve before it throws
// (base/memory_reserve.h). The array and nothrow forms of the standard library call this one.
#include <cstdlib>
#include <new>

#include "slipway/base/memory_reserve.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void* operator new(size_t bytes) {
  if (bytes == 0) bytes = 1;
  if (void* const memory = std::malloc(bytes)) return memory;
  if (void* const memory = slipway::AllocateFromReserve(bytes)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*bytes*/) noexcept { std::free(memory); }

#endif
