// Rows by threads.
#pragma once

#include <cstdint>
#include <functional>

namespace slipway {

// Calls part(first, last) for ranges that cover rows 0 ... rows - 1, in whole blocks of `block`
// rows, on up to `threads` threads (0 or less: as many as the machine has), of which the caller's
// is one. Where no more threads are to be had the caller's does the rest. Rethrows std::bad_alloc
// of a part.
void ForRowRanges(int64_t rows, int64_t block, int threads,
                  const std::function<void(int64_t first, int64_t last)>& part);

}  // namespace slipway
