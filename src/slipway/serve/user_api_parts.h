// Internal to the user API: its state, in two files: what a loop's thread does (user_api.cc) and
// what workers do (user_api_workers.cc).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/serve/dispatch.h"
#include "slipway/serve/node.h"
#include "slipway/serve/running_calls.h"
#include "slipway/serve/user_request.h"

namespace slipway {

inline int64_t SteadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What one thread of the node (a loop or a worker) keeps between requests.
struct alignas(64) UserThread {
  UserThread(const NodeParts& parts, bool open, uint64_t seed)
      : reader(&parts.state->tables()),
        gate(parts.keys.get(), open, parts.tokens.get(), parts.rates.get()),
        ids(seed) {}
  ServiceTableReader reader;
  UserGate gate;
  RequestIds ids;
  DispatchReader dispatch;
  CallOutcome outcome;
  std::vector<CallOutcome> gathered;  // of calls that are answered together
  std::string inflated;
};

// A request whose service is known; the table keeps everything that it points to.
struct UserCall {
  const ServedService* service = nullptr;
  CallRules rules;
  const ServedGeneration* generation = nullptr;  // nullptr: chosen once the body is inflated
  std::string_view endpoint, verb_name;
  Verb verb = Verb::kPredict;
  int endpoint_index = -1;
  std::string_view request_id, trace_id, key_label;
  UserAccess access;  // without its texts once the call is deferred
  int64_t wait_us = 0;
};

// The same for a worker: what the loop's thread owned is copied.
struct DeferredCall {
  std::unique_ptr<HttpPending> pending;
  std::shared_ptr<const ServiceTable> table;
  UserCall call;
  std::string endpoint, request_id, trace_id, key_label;
  RunningCalls::Place place;
  int slot = 0;  // of who refuses it: the loop, then a worker
  int64_t deferred_ns = 0;
  bool gathers = false;
};

// Calls that cost less together, as they wait for workers: the worker that has one's turn takes
// others of its endpoint along. Every call added is taken or removed once. Thread-safe.
class GatherQueue {
 public:
  struct Taken {
    std::array<std::shared_ptr<DeferredCall>, kMostGathered> calls;
    size_t count = 0;
    std::span<const std::shared_ptr<DeferredCall>> span() const { return {calls.data(), count}; }
  };
  void Add(const std::shared_ptr<DeferredCall>& call);
  // False: somebody has taken it.
  bool Remove(const DeferredCall* call);
  // The call and those of its endpoint that have waited longest, one's fair share when there are
  // several `workers`; nothing when it has been taken.
  Taken Take(const DeferredCall* call, int workers);

 private:
  using Key = std::pair<const Generation*, int>;
  static Key KeyOf(const DeferredCall& call);
  Mutex mutex_;
  std::map<Key, std::list<std::shared_ptr<DeferredCall>>> waiting_ GUARDED_BY(mutex_);
};

struct UserApi::State {
  explicit State(NodeParts* node_parts);

  HttpOutcome Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);
  bool FindService(const UserRoute& route, const HttpRequest& request, const ServiceTable& table,
                   UserThread* thread, const UserHeaders& headers, UserCall* call,
                   HttpReply* reply);
  bool Choose(std::string_view body, UserThread* thread, UserCall* call, HttpReply* reply);
  void AnswerCall(int slot, std::string_view input, int64_t arrived_ns, const UserCall& call,
                  HttpReply* reply);
  EndpointCall AskedOf(const UserCall& call, std::string_view input, int64_t arrived_ns) const;
  // What follows the endpoint's answer: the tail or the error, statistics, shadow, log.
  void FinishCall(int slot, const UserCall& call, const GatheredCall& answered, HttpReply* reply);
  void Log(int slot, int status, int64_t latency_ns, const UserCall& call,
           const CallOutcome& outcome);
  bool ShouldLog(const ServiceSettings& settings, UserThread* thread) const;
  HttpOutcome Defer(const UserCall& call, std::shared_ptr<const ServiceTable> table,
                    double estimate, int64_t arrived_ns, HttpReply* reply, HttpExchange* exchange);
  void Work(int worker, int64_t wait_us, const std::shared_ptr<DeferredCall>& deferred);
  void WorkTogether(int worker, std::span<const std::shared_ptr<DeferredCall>> calls);
  void AnswerTogether(int worker, std::span<const std::shared_ptr<DeferredCall>> calls);
  bool IsAbandoned(DeferredCall* deferred) const;
  void AnswerDeferred(int worker, int64_t wait_us, DeferredCall* deferred);
  void Refuse(int status, Error error, DeferredCall* deferred);
  // Also counts it, unless an endpoint has it and does.
  void Fail(int status, const Error& error, const UserCall& call, HttpReply* reply) const;

  NodeParts* parts;
  std::vector<std::unique_ptr<UserThread>> threads;  // loops, then workers
  RunningCalls running;
  GatherQueue gather;
};

}  // namespace slipway
