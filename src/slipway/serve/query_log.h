// The query log: HOME/query-log/queries-*.jsonl.zst, one JSON line per record (docs/query-log.md):
// the input of drift monitoring and the feedback loop. The hot path copies bytes into its slot's
// ring and goes on; one thread formats, redacts, compresses and rotates. When the ring or the disk
// is full, records are dropped and counted, never silently, and answers go on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/endpoint.h"

namespace slipway {

struct QueryLogOptions {
  std::string folder;
  bool enabled = true;
  int slots = 1;                           // threads that submit
  size_t ring_bytes = 4 << 20;             // per slot
  int64_t file_bytes = 64 << 20;           // uncompressed, then the next file
  double file_seconds = 3600;              // or this old
  int64_t total_bytes = int64_t{1} << 30;  // on disk: the oldest files go
  std::vector<std::string> redact;         // features whose values are masked
  double flush_seconds = 1;                // at most so long until a line is in the file
};

// One request; the views need to live for the call of Submit only.
struct LoggedQuery {
  int64_t time_micros = 0;  // wall clock
  std::string_view request_id, service, endpoint, generation, key_label, trace_id;
  std::string_view verb;  // "predict", ...
  int status = 200;
  int64_t latency_us = 0;
  // Of a request that was refused or failed as a whole; empty: none. The message may quote what was
  // sent: it is left out where anything is redacted.
  std::string_view error_type, error_message;
  std::span<const LoggedRecord> records;
  std::span<const std::string> redact;  // of the service, beside the node's
};

struct QueryLogStats {
  int64_t written = 0, dropped = 0, bytes = 0, disk_bytes = 0;
  std::string last_error;
};

class QueryLog {
 public:
  static Result<std::unique_ptr<QueryLog>> Open(const QueryLogOptions& options);
  virtual ~QueryLog() = default;  // writes what is in the rings
  // Never blocks. `slot` is written by one thread at a time.
  virtual void Submit(int slot, const LoggedQuery& query) = 0;
  virtual QueryLogStats stats() const = 0;
  virtual void Flush() = 0;  // waits until everything submitted before is in the file
};

}  // namespace slipway
