#include "slipway/serve/query_log_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace slipway {
namespace {

// Before every record: its length. kSkip: the rest of the ring up to its end is empty.
constexpr size_t kHead = sizeof(uint64_t);
constexpr uint64_t kSkip = ~uint64_t{0};
// An empty ring goes back to its start once it is beyond so much.
constexpr uint64_t kStayWithin = 256 << 10;

size_t Aligned(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

}  // namespace

QueryLogRing::QueryLogRing(size_t capacity)
    : mask_(std::bit_ceil(std::max<size_t>(capacity, 64 << 10)) - 1),
      bytes_(std::make_unique_for_overwrite<char[]>(mask_ + 1)) {}

char* QueryLogRing::Reserve(size_t bytes) {
  const size_t size = mask_ + 1;
  const size_t needed = kHead + Aligned(bytes);
  if (bytes > size / 2) return nullptr;
  uint64_t tail = tail_.load(std::memory_order_relaxed);
  const size_t at = tail & mask_;
  const size_t to_end = size - at;
  size_t skip = needed > to_end ? to_end : 0;
  if (at > kStayWithin || tail - seen_head_ + skip + needed > size) {
    seen_head_ = head_.load(std::memory_order_acquire);
    if (at > kStayWithin && seen_head_ == tail && to_end + needed <= size) skip = to_end;
    if (tail - seen_head_ + skip + needed > size) return nullptr;
  }
  if (skip > 0) {
    std::memcpy(bytes_.get() + at, &kSkip, kHead);
    tail += skip;
  }
  const uint64_t length = bytes;
  char* place = bytes_.get() + (tail & mask_);
  std::memcpy(place, &length, kHead);
  reserved_ = tail + needed;
  return place + kHead;
}

void QueryLogRing::Commit() { tail_.store(reserved_, std::memory_order_release); }

size_t QueryLogRing::used() const {
  const uint64_t head = head_.load(std::memory_order_acquire);
  return tail_.load(std::memory_order_acquire) - head;
}

std::string_view QueryLogRing::Front() {
  uint64_t head = head_.load(std::memory_order_relaxed);
  const uint64_t tail = tail_.load(std::memory_order_acquire);
  if (head == tail) return {};
  uint64_t length = 0;
  std::memcpy(&length, bytes_.get() + (head & mask_), kHead);
  if (length == kSkip) {
    head += mask_ + 1 - (head & mask_);
    std::memcpy(&length, bytes_.get(), kHead);
  }
  front_ = head + kHead + Aligned(length);
  return {bytes_.get() + (head & mask_) + kHead, length};
}

void QueryLogRing::Pop() { head_.store(front_, std::memory_order_release); }

}  // namespace slipway
