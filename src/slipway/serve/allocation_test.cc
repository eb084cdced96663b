#include <cstdlib>
#include <memory>
#include <new>

#include <gtest/gtest.h>

#include "slipway/serve/allocation_for_test.h"

namespace {

thread_local int64_t allocations = 0;

void* Allocate(size_t size) {
  ++allocations;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace slipway {

void AllocationCounter::Start() { allocations = 0; }
int64_t AllocationCounter::Stop() { return allocations; }

TEST(AllocationCounter, Counts) {
  AllocationCounter counter;
  counter.Start();
  auto value = std::make_unique<int>(1);
  EXPECT_EQ(counter.Stop(), 1);
}

}  // namespace slipway
