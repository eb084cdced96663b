#include "slipway/serve/shadow.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/http/server.h"

namespace slipway {
namespace {

constexpr size_t kMaxRows = 1000;  // then the first ones, which nobody counts any more, go
constexpr size_t kMaxBytes = size_t{4} << 20;  // of a request that is kept for it
constexpr double kDeadlineMs = 1000;

// The records of `"result":{..}` or `"results":[..]`.
bool RecordsOf(std::string_view text, Json* out) {
  Result<Json> json = ParseJson("{" + std::string(text) + "}");
  if (!json.ok()) return false;
  if (const Json* one = FindMember(*json, "result"); one != nullptr) {
    *out = Json::array({*one});
    return true;
  }
  const Json* many = FindMember(*json, "results");
  if (many == nullptr || !many->is_array()) return false;
  *out = *many;
  return true;
}

// Whether they are equal; the largest difference of numbers on the way. An answer is few levels
// deep: results, a record, its probabilities or data.
bool SameValues(const Json& a, const Json& b, double* largest, int depth = 0) {
  if (a.is_number() && b.is_number()) {
    const double x = a.get<double>(), y = b.get<double>();
    *largest = std::max(*largest, std::fabs(x - y));
    return x == y;
  }
  if (!a.is_object() || !b.is_object() || depth > 8) return a == b;
  bool same = true;
  for (const auto& [name, value] : a.items()) {
    if (depth == 0 && name == "explanations") continue;
    const Json* other = FindMember(b, name);
    same = other != nullptr && SameValues(value, *other, largest, depth + 1) && same;
  }
  for (const auto& [name, value] : b.items()) {
    if (depth == 0 && name == "explanations") continue;
    same = same && a.contains(name);
  }
  return same;
}

}  // namespace

bool CompareShadow(std::string_view answer, std::string_view shadow, int64_t* equal,
                   int64_t* different, double* largest) {
  Json first, second;
  if (!RecordsOf(answer, &first) || !RecordsOf(shadow, &second) || first.size() != second.size())
    return false;
  for (size_t i = 0; i < first.size(); ++i)
    ++*(SameValues(first[i], second[i], largest) ? equal : different);
  return true;
}

struct ShadowRunner::Task {
  std::shared_ptr<const Generation> generation;
  std::shared_ptr<Counters> counters;
  int endpoint = -1;
  Verb verb = Verb::kPredict;
  std::string input;  // with kHttpPadding bytes behind
  size_t input_size = 0;
  std::string answer;
  std::atomic<int>* pending = nullptr;  // counted there

  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (pending != nullptr) pending->fetch_sub(1);
  }
  EndpointCall call() const {
    EndpointCall call;
    call.verb = verb;
    call.input = std::string_view(input).substr(0, input_size);
    return call;
  }
};

std::shared_ptr<ShadowRunner::Counters> ShadowRunner::CountersOf(Key key) {
  MutexLock lock(mutex_);
  if (const auto found = rows_.find(key); found != rows_.end()) return found->second;
  if (rows_.size() >= kMaxRows) {
    const auto idle = std::find_if(rows_.begin(), rows_.end(),
                                   [](const auto& row) { return row.second.use_count() == 1; });
    if (idle != rows_.end()) rows_.erase(idle);
  }
  return rows_.emplace(std::move(key), std::make_shared<Counters>()).first->second;
}

void ShadowRunner::Offer(const ShadowQuery& query, double random) {
  const ServiceSettings& settings = query.service->settings;
  if (settings.shadow.empty() || random >= settings.shadow_sample) return;
  if (query.answered->generation->id() == settings.shadow) return;
  try {
    Enqueue(query);
  } catch (const std::bad_alloc&) {  // the answer goes its way
  }
}

void ShadowRunner::Enqueue(const ShadowQuery& query) {
  const ServiceSettings& settings = query.service->settings;
  auto task = std::make_shared<Task>();
  for (const ServedGeneration& each : query.service->generations) {
    if (each.generation->id() == settings.shadow) task->generation = each.generation;
  }
  task->counters = CountersOf({query.service->id, std::string(query.endpoint),
                               query.answered->generation->id(), settings.shadow});
  Counters& counters = *task->counters;
  if (task->generation != nullptr) task->endpoint = task->generation->IndexOf(query.endpoint);
  if (task->endpoint < 0 || !task->generation->endpoint(task->endpoint).Serves(query.verb)) {
    counters.failed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const bool busy = query.input.size() > kMaxBytes || admission_->stats().queued > 0 ||
                    pending_.load() >= std::max(1, admission_->workers());
  if (busy) {
    counters.dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  pending_.fetch_add(1);
  task->pending = &pending_;
  task->verb = query.verb;
  task->input = query.input;
  task->input_size = query.input.size();
  task->input.append(kHttpPadding, ' ');
  task->answer = query.answer;
  const double estimate = task->generation->endpoint(task->endpoint).EstimateMicros(task->call());
  const auto drop = [task] { task->counters->dropped.fetch_add(1, std::memory_order_relaxed); };
  if (admission_->Submit(
          estimate, kDeadlineMs, [this, task](int worker, int64_t) { Run(worker, task.get()); },
          drop) != Admitted::kYes)
    drop();
}

void ShadowRunner::Run(int worker, Task* task) {
  const ServedEndpoint& endpoint = task->generation->endpoint(task->endpoint);
  const int slot = first_slot_ + worker;
  std::unique_ptr<EndpointScratch> own;
  std::string out;
  CallOutcome outcome;
  endpoint.Answer(task->call(), endpoint.ScratchOf(slot, &own), &out, false, &outcome);
  int64_t equal = 0, different = 0;
  double largest = 0;
  Counters& counters = *task->counters;
  if (outcome.error || !CompareShadow(task->answer, out, &equal, &different, &largest)) {
    counters.failed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  counters.equal.fetch_add(equal, std::memory_order_relaxed);
  counters.different.fetch_add(different, std::memory_order_relaxed);
  double before = counters.largest.load(std::memory_order_relaxed);
  while (largest > before && !counters.largest.compare_exchange_weak(before, largest)) {
  }
}

std::vector<ShadowRow> ShadowRunner::Rows() const {
  std::vector<ShadowRow> out;
  MutexLock lock(mutex_);
  for (const auto& [key, counters] : rows_) {
    ShadowRow& row = out.emplace_back();
    std::tie(row.service, row.endpoint, row.generation, row.shadow) = key;
    row.equal = counters->equal.load();
    row.different = counters->different.load();
    row.failed = counters->failed.load();
    row.dropped = counters->dropped.load();
    row.largest = counters->largest.load();
  }
  return out;
}

}  // namespace slipway
