// Admission control for work that is too long for a loop's thread: a bounded queue before a few
// workers, a concurrency limit that adapts to the latency it sees, deadlines in the queue. Whatever
// is refused is refused at once.
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
  // otherwise.
  virtual Admitted Submit(double estimated_micros, double deadline_ms,
                          std::function<void(int slot, int64_t wait_us)> work,
                          std::function<void()> late) = 0;
  virtual int workers() const = 0;
  // Seconds for Retry-After, at least 1, from the queue's state.
  virtual int RetryAfterSeconds() const = 0;
  virtual AdmissionStats stats() const = 0;
  // Finishes what was admitted; refuses the rest.
  virtual void Drain() = 0;
};

}  // namespace slipway
