// Shadow: requests that were answered are scored again on another generation of the service, off
// the answer's path, and the answers compared. Nobody waits for it and nobody sees it but the
// counters: on a worker, and only while no request waits for one; else it is dropped and counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/serve/admission.h"
#include "slipway/serve/endpoint.h"
#include "slipway/serve/service_table.h"

namespace slipway {

// An answered request; the views need to live for the call of Offer only.
struct ShadowQuery {
  const ServedService* service = nullptr;
  const ServedGeneration* answered = nullptr;
  std::string_view endpoint;
  Verb verb = Verb::kPredict;
  std::string_view input;   // as EndpointCall has it
  std::string_view answer;  // what ServedEndpoint::Answer appended
};

struct ShadowRow {
  std::string service, endpoint, generation, shadow;
  int64_t equal = 0, different = 0;  // records
  int64_t failed = 0, dropped = 0;   // requests
  double largest = 0;                // absolute difference of a number
};

// Thread-safe. The admission must be drained before it goes.
class ShadowRunner {
 public:
  // `first_slot`: of the workers' scratches.
  ShadowRunner(Admission* admission, int first_slot)
      : admission_(admission), first_slot_(first_slot) {}

  // Nothing, unless the service has a shadow other than the generation that answered. `random` in
  // [0, 1) decides on the sample. Copies the request; never blocks.
  void Offer(const ShadowQuery& query, double random);
  std::vector<ShadowRow> Rows() const EXCLUDES_LOCK(mutex_);

 private:
  struct Counters {
    std::atomic<int64_t> equal{0}, different{0}, failed{0}, dropped{0};
    std::atomic<double> largest{0};
  };
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  struct Task;
  void Enqueue(const ShadowQuery& query);
  std::shared_ptr<Counters> CountersOf(Key key) EXCLUDES_LOCK(mutex_);
  void Run(int worker, Task* task);

  Admission* const admission_;
  const int first_slot_;
  std::atomic<int> pending_{0};
  mutable Mutex mutex_;
  std::map<Key, std::shared_ptr<Counters>> rows_ GUARDED_BY(mutex_);
};

// Compares two answers record by record: predictions, probabilities, looked-up values; explanations
// are not compared. False: one of them is no such answer.
bool CompareShadow(std::string_view answer, std::string_view shadow, int64_t* equal,
                   int64_t* different, double* largest);

}  // namespace slipway
