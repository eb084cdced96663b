// Admission control for work that is too long for a loop's thread: a bounded FIFO queue before a
// few workers, a limit that adapts to the waits it sees, deadlines in the queue. Whatever is
// refused is refused at once.
//
// The limit is on requests queued and running. It follows CoDel's signal (RFC 8289: the least wait
// of an interval is the standing queue, a burst is not) with AIMD's steps: while even the least
// wait of 100 ms is above the target, the limit falls by a fifth; otherwise it grows by a tenth.
// The target is a quarter of the deadline (at least 5 ms and two average services): sixteen clients
// that each wait for their answer are no overload, however long one takes. So a burst is queued, a
// lasting overload is not, and the workers always have a next request.
// Besides, what would wait longer than its deadline, by the estimates of what is before it
// (corrected by how long work really took), is refused when it comes instead of when it is late.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace slipway {

struct AdmissionOptions {
  int workers = 0;             // 0: one per core
  int queue = 256;             // requests waiting, at most
  double deadline_ms = 1000;   // longest wait in the queue; a service may set its own
  double inline_micros = 200;  // estimated at most so much: runs on the loop's thread
};

enum class Admitted { kYes, kQueueFull, kTooLate, kShuttingDown };

struct AdmissionStats {
  int64_t queued = 0, running = 0, limit = 0;
  int64_t admitted = 0, rejected_full = 0, rejected_late = 0;
  double queue_seconds = 0;  // waits summed
};

// Thread-safe.
class Admission {
 public:
  static std::unique_ptr<Admission> Make(const AdmissionOptions& options);
  virtual ~Admission() = default;

  // `work(slot, wait_us)` runs on a worker (slot: 0 .. workers() - 1); `late` instead when its
  // deadline passes in the queue. Exactly one of them is called when the result is kYes; neither
  // otherwise. They may throw std::bad_alloc, and so may this.
  virtual Admitted Submit(double estimated_micros, double deadline_ms,
                          std::function<void(int slot, int64_t wait_us)> work,
                          std::function<void()> late) = 0;
  // What Submit would say now, counted when it is a refusal: so that a request is refused before
  // anything is made for it.
  virtual Admitted Ask(double deadline_ms) = 0;
  virtual int workers() const = 0;
  // Seconds for Retry-After, at least 1, from the queue's state.
  virtual int RetryAfterSeconds() const = 0;
  virtual AdmissionStats stats() const = 0;
  // Finishes what was admitted; refuses the rest.
  virtual void Drain() = 0;
};

}  // namespace slipway
