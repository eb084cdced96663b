// One request of a protocol of columns at work: what its thread keeps, what is known of it, and how
// its rows are scored part by part. Internal to tabular_call.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slipway/serve/running_calls.h"
#include "slipway/serve/tabular_call.h"

namespace slipway {

inline int64_t TabularNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What one thread of the node keeps between requests.
struct alignas(64) TabularThread {
  TabularThread(const NodeParts& parts, bool open, uint64_t seed)
      : reader(&parts.state->tables()),
        gate(parts.keys.get(), open, parts.tokens.get(), parts.rates.get()),
        ids(seed) {}

  struct Kept {
    std::weak_ptr<const Generation> generation;  // does not keep old models in memory
    int endpoint = -1;
    std::shared_ptr<const EndpointColumns> columns;
  };
  Result<std::shared_ptr<const EndpointColumns>> ColumnsOf(
      const std::shared_ptr<const Generation>& generation, int endpoint);

  ServiceTableReader reader;
  UserGate gate;
  RequestIds ids;
  CallOutcome outcome;
  std::string inflated, items, results;
  std::vector<Kept> kept;
};

// A request whose model is known; the table keeps everything that it points to.
struct TabularCall {
  std::shared_ptr<const ServiceTable> table;
  TabularTarget target;
  TabularModel model;
  const TabularDialect* dialect = nullptr;
  int endpoint_index = -1;
  int slot = 0;  // of the loop that it came from
  std::string request_id, trace_id, key_label;
  int retry_seconds = 0;                 // the caller asks too often
  std::unique_ptr<HttpPending> pending;  // when a worker answers it
  RunningCalls::Place place;

  EndpointStats& stats() const {
    return *model.generation->stats[static_cast<size_t>(endpoint_index)];
  }
};

// Confined to one thread, and to one request.
class LiveTabularSession : public TabularSession {
 public:
  LiveTabularSession(NodeParts* parts, TabularThread* thread, const TabularCall* call, int slot,
                     int64_t arrived_ns, std::shared_ptr<const EndpointColumns> columns)
      : parts_(parts),
        thread_(thread),
        call_(call),
        slot_(slot),
        arrived_ns_(arrived_ns),
        columns_(std::move(columns)),
        log_(ShouldLog()) {}

  const EndpointColumns& columns() const override { return *columns_; }
  const TabularTarget& target() const override { return call_->target; }
  std::string_view generation() const override { return call_->model.generation->generation->id(); }
  Status Score(TabularRows* rows, TabularAnswers* answers) override;
  void SetStatus(int status) override { reported_ = status; }

  int status() const { return reported_; }
  int64_t records() const { return records_; }
  int64_t ignored() const { return ignored_; }
  int64_t failed() const { return failed_; }
  // What was refused as a whole has no records: its body may be anything.
  void LogRefusal(int status, const Error& error) {
    thread_->outcome.Clear();
    if (log_) Log(status, &error);
  }

 private:
  Status Part(int64_t count, EndpointScratch* scratch, TabularAnswers* answers);
  bool ShouldLog() const;
  void Log(int status, const Error* error = nullptr);

  NodeParts* parts_;
  TabularThread* thread_;
  const TabularCall* call_;
  int slot_;
  int64_t arrived_ns_;
  std::shared_ptr<const EndpointColumns> columns_;
  bool log_;
  int reported_ = 0;
  int64_t records_ = 0, ignored_ = 0, failed_ = 0;
};

}  // namespace slipway
