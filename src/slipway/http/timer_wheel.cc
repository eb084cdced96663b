#include "slipway/http/timer_wheel.h"

#include <algorithm>

namespace slipway {

HttpTimerWheel::HttpTimerWheel(int64_t now_ns) : current_tick_(now_ns / kTickNs) {
  for (HttpTimer& head : slots_) head.next = head.previous = &head;
}

void HttpTimerWheel::Remove(HttpTimer* timer) {
  if (!timer->linked()) return;
  timer->next->previous = timer->previous;
  timer->previous->next = timer->next;
  timer->next = timer->previous = nullptr;
}

void HttpTimerWheel::Link(HttpTimer* timer) {
  Remove(timer);
  int64_t tick = timer->deadline_ns / kTickNs + 1;  // rounded up: never early
  tick = std::clamp(tick, current_tick_ + 1, current_tick_ + kSlots - 1);
  timer->tick = tick;
  HttpTimer& head = slots_[static_cast<size_t>(tick % kSlots)];
  timer->next = &head;
  timer->previous = head.previous;
  head.previous->next = timer;
  head.previous = timer;
  next_tick_ = std::min(next_tick_, tick);
}

HttpTimer* HttpTimerWheel::Pop(int64_t now_ns) {
  const int64_t now_tick = now_ns / kTickNs;
  while (next_tick_ <= now_tick) {
    HttpTimer& head = slots_[static_cast<size_t>(next_tick_ % kSlots)];
    current_tick_ = next_tick_ - 1;
    while (head.next != &head) {
      HttpTimer* timer = head.next;
      Remove(timer);
      if (timer->deadline_ns <= now_ns) return timer;
      const int64_t slot = next_tick_;
      current_tick_ = slot;  // so that it does not come back to this slot
      Link(timer);
      current_tick_ = slot - 1;
    }
    current_tick_ = next_tick_;
    next_tick_ = FindNext();
  }
  current_tick_ = std::max(current_tick_, now_tick);  // nothing lies before next_tick_
  return nullptr;
}

int64_t HttpTimerWheel::FindNext() const {
  for (int64_t tick = current_tick_ + 1; tick < current_tick_ + kSlots; ++tick) {
    const HttpTimer& head = slots_[static_cast<size_t>(tick % kSlots)];
    if (head.next != &head) return tick;
  }
  return kNever;
}

}  // namespace slipway
