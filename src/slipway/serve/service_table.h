// What is served now: an immutable table, replaced as a whole by every change. Readers are loops
// and workers; a request that has picked its generation keeps it until its answer is written.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/base/result.h"
#include "slipway/serve/generation.h"
#include "slipway/serve/stats.h"

namespace slipway {

// A loaded generation of a service, with the node's state beside it.
struct ServedGeneration {
  std::shared_ptr<const Generation> generation;
  double probability = 0;                             // 0: loaded, answers only when forced
  std::vector<std::shared_ptr<EndpointStats>> stats;  // per endpoint of the generation
};

// What one endpoint has in place of its service's; absent: the service's.
struct EndpointSettings {
  std::optional<std::string> auth;
  std::optional<int> max_concurrent;  // counted by itself, as rate_per_key is
  std::optional<int64_t> max_records;
  std::optional<double> deadline_ms, rate_per_key, log_sample;
  bool operator==(const EndpointSettings&) const = default;
};

// What PUT /admin/api/services/{s}/settings sets; zeros and empty: the node's own.
struct ServiceSettings {
  std::string auth;                 // "", "public", "api_keys", "jwt"
  int max_concurrent = 0;           // requests of this service at work on workers
  int64_t max_records = 0;          // of one predict-multi
  double deadline_ms = 0;           // in the queue
  double rate_per_key = 0;          // requests per second
  double log_sample = -1;           // 0..1; -1: the node's
  std::vector<std::string> redact;  // features that the query log masks, beside the node's list
  std::string shadow;               // a loaded generation that is scored beside, answers unused
  double shadow_sample = 1;         // share of the requests for it
  std::map<std::string, EndpointSettings, std::less<>> endpoints;
};

// The settings that hold for a call, and under which names it is counted; they live as long as the
// service that gave them.
struct CallRules {
  const ServiceSettings* settings = nullptr;
  const std::string* running_as = nullptr;  // max_concurrent
  const std::string* rated_as = nullptr;    // rate_per_key
};

// The request's `dispatch`.
struct Dispatch {
  std::string_view forced_generation;
  std::string_view key;
};

struct ServedService {
  std::string id;
  bool enabled = false;
  ServiceSettings settings;
  std::vector<ServedGeneration> generations;  // loaded ones; those with probability first

  // Of the service's settings and its endpoints', merged once, so that a request only looks up.
  void SetSettings(const ServiceSettings& wanted);
  CallRules RulesOf(std::string_view endpoint) const {
    if (!own_rules_.empty()) {
      if (const auto own = own_rules_.find(endpoint); own != own_rules_.end())
        return {&own->second.settings, own->second.running_apart ? &own->second.name : &id,
                own->second.rated_apart ? &own->second.name : &id};
    }
    return {&settings, &id, &id};
  }

  // Forced wins over the key; the key's XXH3 picks the same generation every time for the same
  // mapping; else `random` in [0, 1). nullptr: the forced generation is not loaded, or nothing is
  // mapped.
  const ServedGeneration* Choose(const Dispatch& dispatch, double random) const;

 private:
  struct OwnRules {
    ServiceSettings settings;  // without `endpoints`
    std::string name;          // "SERVICE/ENDPOINT": no service has that name
    bool running_apart = false, rated_apart = false;
  };
  std::map<std::string, OwnRules, std::less<>>
      own_rules_;  // of endpoints with settings of their own
};

class ServiceTable {
 public:
  std::map<std::string, ServedService, std::less<>> services;
  // nullptr: not known here.
  const ServedService* Find(std::string_view id) const {
    const auto at = services.find(id);
    return at == services.end() ? nullptr : &at->second;
  }
};

// Where the table is published. Thread-safe.
class ServiceTableHolder {
 public:
  void Publish(std::shared_ptr<const ServiceTable> table) EXCLUDES_LOCK(mutex_);
  std::shared_ptr<const ServiceTable> Get() const EXCLUDES_LOCK(mutex_);
  // Changes with every Publish.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const ServiceTable> table_ GUARDED_BY(mutex_) = std::make_shared<ServiceTable>();
  std::atomic<uint64_t> version_{0};
};

// A reader's own copy of the pointer: no lock and no shared counter on the hot path. Confined to
// one thread; Refresh() also from Tick, so that an idle loop does not keep old models.
class ServiceTableReader {
 public:
  explicit ServiceTableReader(const ServiceTableHolder* holder) : holder_(holder) {}
  const std::shared_ptr<const ServiceTable>& Refresh() {
    const uint64_t version = holder_->version();
    if (version != seen_ || table_ == nullptr) {
      table_ = holder_->Get();
      seen_ = version;
    }
    return table_;
  }

 private:
  const ServiceTableHolder* holder_;
  std::shared_ptr<const ServiceTable> table_;
  uint64_t seen_ = ~uint64_t{0};
};

}  // namespace slipway
