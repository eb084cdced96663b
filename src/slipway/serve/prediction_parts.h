// Internal to the prediction endpoint: its class, in three files: what it is made of
// (prediction_endpoint.cc) and how it answers (prediction_answer.cc, prediction_gathered.cc).
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/bundle/explanations.h"
#include "slipway/bundle/model.h"
#include "slipway/serve/answer_writer.h"
#include "slipway/serve/endpoint.h"
#include "slipway/serve/enrichment.h"
#include "slipway/serve/explain_request.h"
#include "slipway/serve/record_reader.h"

namespace slipway {

inline int64_t PredictionNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline CallTiming PredictionMicros(const CallTiming& nanos) {
  const auto micros = [](int64_t each) { return (each + 500) / 1000; };
  CallTiming out;
  out.pre_processing = micros(nanos.pre_processing);
  out.enrich = micros(nanos.enrich);
  out.preparation = micros(nanos.preparation);
  out.prediction = micros(nanos.prediction);
  out.post_processing = micros(nanos.post_processing);
  return out;
}

// Adds the time since the last call to a member of the timing.
class PredictionStopwatch {
 public:
  explicit PredictionStopwatch(int64_t started) : last_(started) {}
  void Lap(int64_t* nanos) {
    const int64_t now = PredictionNanos();
    *nanos += now - last_;
    last_ = now;
  }

 private:
  int64_t last_;
};

struct PredictionLogPlace {
  std::string_view features, context;
  size_t begin = 0, size = 0;  // of the result in the output
};

// What a whole request asks for beside its records.
struct PredictionAsk {
  ExplainRequest explain;
  const Explanations* explanations = nullptr;  // when enabled
  std::string* out = nullptr;
  bool log = false;
  CallOutcome* outcome = nullptr;
};

class PredictionScratch : public EndpointScratch {
 public:
  explicit PredictionScratch(const RecordLayout* layout)
      : layout_(layout), reader(layout), one(*layout, 1) {}
  RecordRows* Many() {
    if (many_ == nullptr) many_ = std::make_unique<RecordRows>(*layout_, kBatchRows);
    return many_.get();
  }

 private:
  const RecordLayout* layout_;
  std::unique_ptr<RecordRows> many_;

 public:
  TextArena arena;
  RequestScanner scanner;
  RecordReader reader;
  RecordRows one;
  ModelScratch model;
  Explanations::Scratch explain;
  std::vector<std::unique_ptr<TableJoin::Scratch>> joins;
  std::vector<EnrichmentOutcome> outcomes;  // per row of the block
  std::vector<std::string_view> features;   // per row of the block, for the log
  std::vector<std::string_view> contexts;   // the same
  std::vector<PredictionLogPlace> logged;
  CallTiming nanos;
  std::vector<PredictionAsk> gathered;  // one per row of the block
};

class PredictionEndpoint : public ServedEndpoint {
 public:
  static Result<std::unique_ptr<ServedEndpoint>> Load(const PackageEndpoint& definition,
                                                      const std::string& folder);

  std::unique_ptr<EndpointScratch> MakeScratch() const override;
  bool Serves(Verb verb) const override {
    return verb == Verb::kPredict || verb == Verb::kPredictMulti || verb == Verb::kPredictSimple;
  }
  void Answer(const EndpointCall& call, EndpointScratch* scratch, std::string* out, bool log,
              CallOutcome* outcome) const override;
  bool Gathers(const EndpointCall& call) const override;
  void AnswerGathered(std::span<const GatheredCall> calls, EndpointScratch* scratch) const override;
  double EstimateMicros(const EndpointCall& call) const override;
  size_t memory_bytes() const override;
  Json Describe() const override;

 private:
  PredictionEndpoint(const PackageEndpoint& definition, std::string path,
                     std::unique_ptr<Model> model)
      : ServedEndpoint(definition),
        path_(std::move(path)),
        model_(std::move(model)),
        writer_(*model_) {}
  Status OpenTables(const std::string& folder);
  void WarmUp();
  double BytesPerRecord() const;
  void LearnExplained(int64_t nanos) const;

  bool AnswerOne(const EndpointCall& call, PredictionScratch* s, PredictionAsk* ask) const;
  bool AnswerMany(const EndpointCall& call, PredictionScratch* s, PredictionAsk* ask) const;
  bool ReadOne(std::string_view body, RecordRows* rows, int row, PredictionScratch* s,
               PredictionAsk* ask) const;
  bool ReadGathered(const GatheredCall& call, int row, PredictionScratch* s,
                    PredictionAsk* ask) const;
  bool ReadItem(RecordRows* rows, int row, PredictionScratch* s) const;
  bool ReadItems(const EndpointCall& call, PredictionScratch* s, PredictionAsk* ask,
                 bool* looked_ahead, int* rows) const;
  bool LookAhead(RequestScanner scanner, PredictionAsk* ask) const;
  bool NeedExplanations(PredictionAsk* ask) const;
  Result<const Explanations*> explanations() const;
  void Enrich(RecordRows* rows, int count, PredictionScratch* s) const;
  void Score(const RecordRows& rows, int count, const PredictionAsk& ask,
             PredictionStopwatch* watch, PredictionScratch* s) const;
  void Explain(int row, int count, const PredictionAsk& ask, PredictionScratch* s) const;
  void AppendResult(int row, const PredictionAsk& ask, PredictionScratch* s) const;
  void FinishBlock(RecordRows* rows, int count, PredictionAsk* ask, PredictionScratch* s) const;
  void FinishLog(PredictionScratch* s, const PredictionAsk& ask) const;

  const std::string path_;
  std::unique_ptr<Model> model_;
  AnswerWriter writer_;
  std::unique_ptr<RecordLayout> layout_;  // the model's inputs, then what tables need besides
  std::vector<TableJoin> joins_;
  double micros_per_byte_ = 0.01, micros_per_record_ = 3;
  mutable std::atomic<double> micros_per_explained_block_{0};  // 0: none yet
  mutable std::atomic<bool> foreseen_{false};  // somebody's estimate has what compiling takes

  // Compiled at the first request that asks for them, unless the endpoint explains by default.
  mutable Mutex mutex_;
  mutable std::unique_ptr<Explanations> made_ GUARDED_BY(mutex_);
  mutable std::atomic<const Explanations*> explanations_{nullptr};
};

}  // namespace slipway
