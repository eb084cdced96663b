#include "slipway/serve/service_table.h"

#include <cmath>

#include "slipway/base/hash.h"

namespace slipway {
namespace {

// Uniform in (0, 1], from the upper 53 bits.
double UnitInterval(uint64_t hash) { return (static_cast<double>(hash >> 11) + 1.0) * 0x1.0p-53; }

}  // namespace

const ServedGeneration* ServedService::Choose(const Dispatch& dispatch, double random) const {
  if (!dispatch.forced_generation.empty()) {
    for (const ServedGeneration& served : generations) {
      if (served.generation->id() == dispatch.forced_generation) return &served;
    }
    return nullptr;
  }
  // Those with probability come first.
  size_t mapped = 0;
  double total = 0;
  while (mapped < generations.size() && generations[mapped].probability > 0)
    total += generations[mapped++].probability;
  if (mapped == 0) return nullptr;
  if (mapped == 1) return &generations.front();

  if (!dispatch.key.empty()) {
    // Weighted rendezvous: every generation draws from the key's hash under its own seed, and the
    // best draw for its weight wins. Independent of the order; a generation that joins takes keys
    // from the others in its share and moves no other key.
    const ServedGeneration* best = nullptr;
    double best_score = 0;
    for (size_t i = 0; i < mapped; ++i) {
      const uint64_t hash = Xxh3(dispatch.key, Xxh3(generations[i].generation->id()));
      const double draw = -std::log(UnitInterval(hash)) / generations[i].probability;
      if (best == nullptr || draw < best_score) {
        best = &generations[i];
        best_score = draw;
      }
    }
    return best;
  }
  double left = random * total;
  for (size_t i = 0; i + 1 < mapped; ++i) {
    if (left < generations[i].probability) return &generations[i];
    left -= generations[i].probability;
  }
  return &generations[mapped - 1];
}

void ServedService::SetSettings(const ServiceSettings& wanted) {
  settings = wanted;
  own_rules_.clear();
  for (const auto& [endpoint, own] : wanted.endpoints) {
    OwnRules rules;
    rules.settings = wanted;
    rules.settings.endpoints.clear();
    rules.name = id + "/" + endpoint;
    rules.running_apart = own.max_concurrent.has_value();
    rules.rated_apart = own.rate_per_key.has_value();
    ServiceSettings& merged = rules.settings;
    merged.auth = own.auth.value_or(merged.auth);
    merged.max_concurrent = own.max_concurrent.value_or(merged.max_concurrent);
    merged.max_records = own.max_records.value_or(merged.max_records);
    merged.deadline_ms = own.deadline_ms.value_or(merged.deadline_ms);
    merged.rate_per_key = own.rate_per_key.value_or(merged.rate_per_key);
    merged.log_sample = own.log_sample.value_or(merged.log_sample);
    own_rules_.emplace(endpoint, std::move(rules));
  }
}

void ServiceTableHolder::Publish(std::shared_ptr<const ServiceTable> table) {
  {
    MutexLock lock(mutex_);
    table_.swap(table);
    version_.fetch_add(1, std::memory_order_release);
  }
  // The table before goes here, outside the lock.
}

std::shared_ptr<const ServiceTable> ServiceTableHolder::Get() const {
  MutexLock lock(mutex_);
  return table_;
}

}  // namespace slipway
