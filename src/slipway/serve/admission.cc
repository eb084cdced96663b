#include "slipway/serve/admission.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <list>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

#include "slipway/serve/background.h"

namespace slipway {
namespace {

using Clock = std::chrono::steady_clock;
using Micros = std::chrono::duration<double, std::micro>;

constexpr double kInterval = 100e3;        // microseconds; CoDel's
constexpr double kTarget = 5e3;            // microseconds: the least wait that is a standing queue
constexpr double kShareOfDeadline = 0.25;  // or so much of what callers are told to wait at most
constexpr double kServicesWaited = 2;      // or so many average services, for work that takes long
constexpr double kDecrease = 0.8, kIncrease = 1.1;
constexpr double kSmooth = 0.05;         // of the moving averages
constexpr double kMostCorrection = 100;  // of an estimate, either way
constexpr double kMostRetrySeconds = 30;

int CoresOfProcess() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(CPU_COUNT(&set), 1);
  return 1;
}

double MicrosBetween(Clock::time_point from, Clock::time_point to) {
  return Micros(to - from).count();
}

class WorkerAdmission final : public Admission {
 public:
  explicit WorkerAdmission(const AdmissionOptions& options)
      : options_(options),
        most_(static_cast<double>(options.workers + std::max(options.queue, 1))),
        limit_(most_),
        slots_(static_cast<size_t>(options.workers)) {
    threads_.reserve(slots_.size() + 1);
    for (int slot = 0; slot < options.workers; ++slot)
      threads_.emplace_back([this, slot] {
        EnterBackground("slipway-worker", 0);
        Work(slot);
      });
    threads_.emplace_back([this] { Sweep(); });
  }

  ~WorkerAdmission() override {
    Drain();
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_or_stop_.notify_all();
    earlier_deadline_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Admitted Submit(double estimated_micros, double deadline_ms,
                  std::function<void(int, int64_t)> work, std::function<void()> late) override {
    const Clock::time_point now = Clock::now();
    const double cost = std::isfinite(estimated_micros) ? std::max(estimated_micros, 1.0) : 1.0;
    const double wait = (deadline_ms > 0 ? deadline_ms : options_.deadline_ms) * 1e3;
    bool earlier = false;
    {
      std::lock_guard lock(mutex_);
      if (const Admitted refused = Decide(now, wait); refused != Admitted::kYes) return refused;
      const auto deadline =
          now + std::chrono::duration_cast<Clock::duration>(Micros(std::min(wait, 1e12)));
      earlier = deadline < next_sweep_;
      if (earlier) next_sweep_ = deadline;
      queue_.push_back({cost, now, deadline, std::move(work), std::move(late)});
      queued_cost_ += cost;
      ++counts_.admitted;
    }
    work_or_stop_.notify_one();
    if (earlier) earlier_deadline_.notify_one();
    return Admitted::kYes;
  }

  Admitted Ask(double deadline_ms) override {
    std::lock_guard lock(mutex_);
    return Decide(Clock::now(), (deadline_ms > 0 ? deadline_ms : options_.deadline_ms) * 1e3);
  }

  int workers() const override { return options_.workers; }

  int RetryAfterSeconds() const override {
    std::lock_guard lock(mutex_);
    const double seconds = ExpectedWait(Clock::now()) / 1e6;
    return static_cast<int>(std::ceil(std::clamp(seconds, 1.0, kMostRetrySeconds)));
  }

  AdmissionStats stats() const override {
    std::lock_guard lock(mutex_);
    AdmissionStats out = counts_;
    out.queued = static_cast<int64_t>(queue_.size());
    out.running = static_cast<int64_t>(running_);
    out.limit = static_cast<int64_t>(limit_);
    return out;
  }

  void Drain() override {
    std::unique_lock lock(mutex_);
    draining_ = true;
    idle_.wait(lock, [this] { return queue_.empty() && running_ == 0 && sweeping_ == 0; });
  }

 private:
  struct Job {
    double cost = 0;  // estimated, microseconds
    Clock::time_point arrived, deadline;
    std::function<void(int, int64_t)> work;
    std::function<void()> late;
  };
  struct Slot {
    bool busy = false;
    double cost = 0;
    Clock::time_point since;
  };

  // `wait`: microseconds that it may. Holds the lock.
  Admitted Decide(Clock::time_point now, double wait) {
    if (draining_) return Admitted::kShuttingDown;
    EndInterval(now);
    if (static_cast<double>(queue_.size()) + running_ >= std::floor(limit_)) {
      ++counts_.rejected_full;
      return Admitted::kQueueFull;
    }
    if (ExpectedWait(now) <= wait) return Admitted::kYes;
    ++counts_.rejected_late;
    return Admitted::kTooLate;
  }

  // What stands before a new request, in microseconds. Holds the lock.
  double ExpectedWait(Clock::time_point now) const {
    if (queue_.empty() && running_ < options_.workers) return 0;
    double before = queued_cost_ * correction_;
    for (const Slot& slot : slots_) {
      if (slot.busy)
        before += std::max(slot.cost * correction_ - MicrosBetween(slot.since, now), 0.0);
    }
    return before / static_cast<double>(options_.workers);
  }

  // Holds the lock.
  void EndInterval(Clock::time_point now) {
    if (MicrosBetween(interval_, now) < kInterval) return;
    interval_ = now;
    const double least = std::exchange(least_wait_, std::numeric_limits<double>::infinity());
    const bool standing =
        std::isfinite(least) && least > std::max({kTarget, kServicesWaited * service_,
                                                  kShareOfDeadline * options_.deadline_ms * 1e3});
    // Never below two per worker: the one at work and its next.
    limit_ = standing ? std::max(limit_ * kDecrease, 2.0 * options_.workers)
                      : std::min(limit_ * kIncrease + 1, most_);
    limit_ = std::min(limit_, most_);
  }

  void Work(int number) {
    Slot& slot = slots_[static_cast<size_t>(number)];
    std::unique_lock lock(mutex_);
    for (;;) {
      work_or_stop_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Job job = std::move(queue_.front());
      queue_.pop_front();
      queued_cost_ = queue_.empty() ? 0 : queued_cost_ - job.cost;
      const Clock::time_point start = Clock::now();
      const double wait = MicrosBetween(job.arrived, start);
      least_wait_ = std::min(least_wait_, wait);
      EndInterval(start);
      const bool too_late = start > job.deadline;
      if (too_late) ++counts_.rejected_late;
      counts_.queue_seconds += wait / 1e6;
      slot = {true, too_late ? 0 : job.cost, start};
      ++running_;
      lock.unlock();
      Run(&job, too_late ? -1 : number, static_cast<int64_t>(wait));
      const double cost = job.cost;
      const double took = MicrosBetween(start, Clock::now());
      lock.lock();
      slot.busy = false;
      --running_;
      if (!too_late) Learn(cost, took);
      if (queue_.empty() && running_ == 0) idle_.notify_all();
    }
  }

  // On a worker, or, -1, tells it that it is late. What the closures hold goes before the request
  // counts as done: a request without an answer for want of memory is answered by that.
  static void Run(Job* job, int worker, int64_t wait_us) {
    try {
      if (worker < 0) {
        job->late();
      } else {
        job->work(worker, wait_us);
      }
    } catch (const std::bad_alloc&) {
    }
    job->work = nullptr;
    job->late = nullptr;
  }

  // Holds the lock.
  void Learn(double estimated, double took) {
    // Averages apart, so that the error of a short one does not count as much as a long one's.
    service_ += kSmooth * (took - service_);
    estimate_ += kSmooth * (estimated - estimate_);
    correction_ = std::clamp(service_ / estimate_, 1 / kMostCorrection, kMostCorrection);
  }

  // Tells requests that they are late also while every worker is at something long.
  void Sweep() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (next_sweep_ == Clock::time_point::max()) {
        earlier_deadline_.wait(lock);
      } else {
        const Clock::time_point until = next_sweep_;
        earlier_deadline_.wait_until(lock, until);
      }
      const Clock::time_point now = Clock::now();
      if (now < next_sweep_) continue;
      std::list<Job> late;
      next_sweep_ = Clock::time_point::max();
      for (auto job = queue_.begin(); job != queue_.end();) {
        const auto next = std::next(job);
        if (job->deadline < now) {
          queued_cost_ -= job->cost;
          counts_.queue_seconds += MicrosBetween(job->arrived, now) / 1e6;
          late.splice(late.end(), queue_, job);
        } else {
          next_sweep_ = std::min(next_sweep_, job->deadline + std::chrono::microseconds(1));
        }
        job = next;
      }
      if (late.empty()) continue;
      counts_.rejected_late += static_cast<int64_t>(late.size());
      ++sweeping_;
      lock.unlock();
      for (Job& job : late) Run(&job, -1, 0);
      late.clear();
      lock.lock();
      --sweeping_;
      if (queue_.empty() && running_ == 0) idle_.notify_all();
    }
  }

  const AdmissionOptions options_;
  const double most_;
  mutable std::mutex mutex_;  // everything below
  std::condition_variable work_or_stop_, earlier_deadline_, idle_;
  std::list<Job> queue_;
  double queued_cost_ = 0;
  int running_ = 0, sweeping_ = 0;
  bool draining_ = false, stopping_ = false;
  double limit_;
  Clock::time_point interval_ = Clock::now();
  double least_wait_ = std::numeric_limits<double>::infinity();
  double correction_ = 1;  // what work took, as a multiple of its estimate
  double estimate_ = 0;    // average, microseconds
  double service_ = 0;     // average, microseconds
  Clock::time_point next_sweep_ = Clock::time_point::max();
  AdmissionStats counts_;
  std::vector<Slot> slots_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Admission> Admission::Make(const AdmissionOptions& options) {
  AdmissionOptions chosen = options;
  if (chosen.workers <= 0) chosen.workers = CoresOfProcess();
  return std::make_unique<WorkerAdmission>(chosen);
}

}  // namespace slipway
