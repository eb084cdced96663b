// Where generations end: the last request on one (or the table that held it) hands it over, and one
// thread frees its memory and gives it back to the system, so that no request pays for that.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <thread>

#include "slipway/base/mutex.h"
#include "slipway/serve/generation.h"

namespace slipway {

// Thread-safe. Lives until the last generation it watches has ended.
class GenerationReaper : public std::enable_shared_from_this<GenerationReaper> {
 public:
  static std::shared_ptr<GenerationReaper> Make();
  ~GenerationReaper();
  GenerationReaper(const GenerationReaper&) = delete;
  GenerationReaper& operator=(const GenerationReaper&) = delete;

  // The same generation; whoever lets go of it last does not free it, the thread does.
  std::shared_ptr<const Generation> Watch(std::shared_ptr<const Generation> generation);

  struct Counts {
    int64_t alive = 0;        // watched and not yet freed: in use, or kept by requests in flight
    int64_t alive_bytes = 0;  // their models, with what explanations made since they were loaded
    int64_t freed = 0;        // since the start
  };
  Counts counts() const EXCLUDES_LOCK(mutex_);
  // Waits until what was let go of before is freed; for tests and a graceful end.
  void Flush() EXCLUDES_LOCK(mutex_);

 private:
  GenerationReaper() = default;
  using Ended = std::list<std::shared_ptr<const Generation>>;
  void Take(Ended* ended) EXCLUDES_LOCK(mutex_);  // empties it
  void Run() EXCLUDES_LOCK(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  Ended ended_ GUARDED_BY(mutex_);
  std::multiset<const Generation*> alive_ GUARDED_BY(mutex_);  // none that is being freed
  Counts counts_ GUARDED_BY(mutex_);
  bool working_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace slipway
