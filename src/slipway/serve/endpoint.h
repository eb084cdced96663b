// An endpoint of a loaded generation: takes the body of a request, appends the answer. The seam for
// further kinds (functions, SQL): a kind is one subclass and one case in Generation::Load.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/package/package.h"

namespace slipway {

// The last part of a user API path, with its spelling there.
enum class Verb { kPredict, kPredictMulti, kPredictSimple, kLookup, kLookupMulti };

// What one thread needs to answer requests of one endpoint; reused, so that a warm one does not
// allocate. Made by the endpoint; confined to one thread at a time.
class EndpointScratch {
 public:
  virtual ~EndpointScratch() = default;
};

// What the request says about itself, read before the endpoint is chosen (dispatch.h).
struct EndpointCall {
  Verb verb = Verb::kPredict;
  // The JSON body; kHttpPadding readable bytes follow. kPredictSimple: the raw query string.
  std::string_view input;
  int64_t arrived_ns = 0;   // steady clock
  int64_t max_records = 0;  // of predict-multi; 0: no limit
};

// Integer microseconds, as the answers' `timing` names them.
struct CallTiming {
  int64_t pre_processing = 0, wait = 0, enrich = 0, preparation = 0, prediction = 0,
          post_processing = 0;
};

// Where the records and their answers lie, for the query log; views into the input and the output,
// valid as long as both.
struct LoggedRecord {
  std::string_view features;  // the JSON object as it came; kPredictSimple: the query string
  std::string_view result;    // the JSON object as it goes
  std::string_view context;   // the record's `context`, any JSON; empty: none
};

struct CallOutcome {
  // Absent: answered, status 200. Else the error of the request as a whole; nothing was appended.
  std::optional<Error> error;
  int status = 0;  // of the error when its code does not say it; 0: as the code does
  int64_t records = 0, ignored = 0, failed = 0;
  CallTiming timing;
  std::vector<LoggedRecord> logged;  // filled when asked for; keeps its capacity

  void Clear() {
    error.reset();
    status = 0;
    records = ignored = failed = 0;
    timing = {};
    logged.clear();
  }
};

// What is left of *out's capacity after Answer, at least: so much can be appended before the logged
// views into it go.
inline constexpr size_t kAnswerTail = 1024;

// An `ignoreReason` of predict-multi and lookup-multi: the record itself is wrong, `error` says
// how.
inline constexpr std::string_view kBadRecord = "BAD_RECORD";

// One of several requests that are answered in one go.
struct GatheredCall {
  EndpointCall call;
  std::string* out = nullptr;
  bool log = false;
  CallOutcome* outcome = nullptr;
};
inline constexpr size_t kMostGathered = 64;

inline constexpr int kEndpointSlots = 512;

// Immutable and thread-safe with one scratch per thread.
class ServedEndpoint {
 public:
  virtual ~ServedEndpoint() = default;
  const PackageEndpoint& definition() const { return definition_; }
  virtual std::unique_ptr<EndpointScratch> MakeScratch() const = 0;
  // The scratch of a thread of the node (a loop or a worker), made at its first call and kept as
  // long as the endpoint. From kEndpointSlots on it is made anew, into *own. REQUIRES: one thread
  // per slot.
  EndpointScratch* ScratchOf(int slot, std::unique_ptr<EndpointScratch>* own) const {
    std::unique_ptr<EndpointScratch>& scratch =
        slot < kEndpointSlots ? scratches_[static_cast<size_t>(slot)] : *own;
    if (scratch == nullptr) scratch = MakeScratch();
    return scratch.get();
  }
  virtual bool Serves(Verb verb) const = 0;
  // Appends the value of `result` (single) or of `results` (multi) with its key, e.g.
  // "\"result\":{...}", to *out. The caller adds braces, timing and apiContext, and has cleared
  // *outcome.
  virtual void Answer(const EndpointCall& call, EndpointScratch* scratch, std::string* out,
                      bool log, CallOutcome* outcome) const = 0;
  // Whether this call costs less together with others of its endpoint that wait (AnswerGathered).
  virtual bool Gathers(const EndpointCall& call) const {
    (void)call;
    return false;
  }
  // As Answer does for each. REQUIRES: at most kMostGathered, each of which Gathers().
  virtual void AnswerGathered(std::span<const GatheredCall> calls, EndpointScratch* scratch) const {
    for (const GatheredCall& each : calls)
      Answer(each.call, scratch, each.out, each.log, each.outcome);
  }
  // Microseconds that the call is likely to take, from its size and what was seen: decides between
  // the loop's thread and a worker.
  virtual double EstimateMicros(const EndpointCall& call) const = 0;
  // What the endpoint holds besides mapped tables.
  virtual size_t memory_bytes() const = 0;
  // For the built-in page and metadata: inputs, outputs.
  virtual Json Describe() const = 0;

 protected:
  explicit ServedEndpoint(PackageEndpoint definition) : definition_(std::move(definition)) {}
  PackageEndpoint definition_;

 private:
  mutable std::array<std::unique_ptr<EndpointScratch>, kEndpointSlots> scratches_;
};

}  // namespace slipway
