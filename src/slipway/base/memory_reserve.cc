#include "slipway/base/memory_reserve.h"

#include <atomic>
#include <cstdlib>

namespace slipway {
namespace {

std::atomic<bool> g_enabled{false};
std::atomic<void*> g_reserve{nullptr};
std::atomic<int64_t> g_uses{0};

}  // namespace

void EnableMemoryReserve() {
  g_enabled.store(true);
  RefillMemoryReserve();
}

void* AllocateFromReserve(size_t bytes) noexcept {
  constexpr int kTries = 5;  // another thread may just have let go of memory
  if (bytes > kMemoryReserveMost || !g_enabled.load(std::memory_order_relaxed)) return nullptr;
  g_uses.fetch_add(1, std::memory_order_relaxed);
  for (int i = 0; i < kTries; ++i) {
    std::free(g_reserve.exchange(nullptr));
    if (void* const memory = std::malloc(bytes)) return memory;
  }
  return nullptr;
}

void RefillMemoryReserve() {
  if (!g_enabled.load(std::memory_order_relaxed) || g_reserve.load() != nullptr) return;
  // Untouched: it takes addresses, no memory, as long as it is not needed.
  std::free(g_reserve.exchange(std::malloc(kMemoryReserveBytes)));
}

int64_t MemoryReserveUses() { return g_uses.load(std::memory_order_relaxed); }

}  // namespace slipway
