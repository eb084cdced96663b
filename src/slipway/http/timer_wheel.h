// One deadline per connection, without a timer syscall per request: a ring of slots of 50 ms.
// Setting a later deadline is one store; an entry whose slot comes before its deadline is put into
// a later slot then. Confined to one thread; entries are the owner's and unlinked before they die.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace slipway {

struct HttpTimer {
  HttpTimer* next = nullptr;
  HttpTimer* previous = nullptr;
  int64_t deadline_ns = 0;
  int64_t tick = 0;  // the slot it lies in, counted from the clock's start

  bool linked() const { return next != nullptr; }
};

class HttpTimerWheel {
 public:
  static constexpr int64_t kTickNs = 50'000'000;
  static constexpr int64_t kSlots = 1024;

  explicit HttpTimerWheel(int64_t now_ns);
  HttpTimerWheel(const HttpTimerWheel&) = delete;
  HttpTimerWheel& operator=(const HttpTimerWheel&) = delete;

  void Set(HttpTimer* timer, int64_t deadline_ns) {
    timer->deadline_ns = deadline_ns;
    if (timer->linked() && timer->tick * kTickNs <= deadline_ns) return;
    Link(timer);
  }
  static void Remove(HttpTimer* timer);
  // An expired timer, unlinked; nullptr when none is left at `now_ns`.
  HttpTimer* Pop(int64_t now_ns);
  // When to look again at the latest; the maximum when nothing is set.
  int64_t next_ns() const { return next_tick_ == kNever ? kNever : next_tick_ * kTickNs; }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  void Link(HttpTimer* timer);
  int64_t FindNext() const;

  std::array<HttpTimer, kSlots> slots_;  // heads of circular lists
  int64_t current_tick_;                 // all slots up to here are empty
  int64_t next_tick_ = kNever;           // not later than the first slot that is not empty
};

}  // namespace slipway
