// Counts what a thread allocates with operator new, which allocation_test.cc replaces in the test
// binary of this module.
#pragma once

#include <cstdint>

namespace slipway {

// Of the calling thread. One at a time.
class AllocationCounter {
 public:
  void Start();
  int64_t Stop();  // allocations since Start
};

}  // namespace slipway
