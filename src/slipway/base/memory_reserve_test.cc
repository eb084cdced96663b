#include "slipway/base/memory_reserve.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(MemoryReserve, IsForSmallAllocationsAndCounted) {
  EXPECT_EQ(AllocateFromReserve(16), nullptr) << "not enabled";
  EnableMemoryReserve();
  const int64_t before = MemoryReserveUses();
  EXPECT_EQ(AllocateFromReserve(kMemoryReserveMost + 1), nullptr);
  EXPECT_EQ(MemoryReserveUses(), before);
  for (int i = 0; i < 3; ++i) {  // also when it is used up
    void* const memory = AllocateFromReserve(kMemoryReserveMost);
    ASSERT_NE(memory, nullptr);
    std::free(memory);
    if (i == 1) RefillMemoryReserve();
  }
  EXPECT_EQ(MemoryReserveUses(), before + 3);
}

}  // namespace
}  // namespace slipway
