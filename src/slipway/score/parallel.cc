#include "slipway/score/parallel.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace slipway {

void ForRowRanges(int64_t rows, int64_t block, int threads,
                  const std::function<void(int64_t first, int64_t last)>& part) {
  const int64_t blocks = (rows + block - 1) / block;
  if (threads <= 0 && blocks > 1)
    threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  threads = static_cast<int>(std::min<int64_t>(threads, blocks));
  if (threads <= 1) return part(0, rows);
  std::atomic<bool> no_memory = false;
  const auto guarded = [&](int64_t first, int64_t last) {
    try {
      part(first, last);
    } catch (const std::bad_alloc&) {
      no_memory = true;
    }
  };
  std::vector<std::thread> workers;
  int64_t begin = 0;
  for (int i = 1; i < threads; ++i) {
    const int64_t end = blocks * i / threads * block;
    try {
      workers.emplace_back(guarded, begin, end);
    } catch (const std::system_error&) {
      break;
    }
    begin = end;
  }
  guarded(begin, rows);
  for (std::thread& worker : workers) worker.join();
  if (no_memory) throw std::bad_alloc();
}

}  // namespace slipway
