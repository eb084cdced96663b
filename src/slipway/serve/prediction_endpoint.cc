#include "slipway/serve/prediction_endpoint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/bundle/explanations.h"
#include "slipway/bundle/model.h"
#include "slipway/http/server.h"
#include "slipway/serve/answer_writer.h"
#include "slipway/serve/enrichment.h"
#include "slipway/serve/explain_request.h"
#include "slipway/serve/record_reader.h"

namespace slipway {
namespace {

int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Adds the time since the last call to a member of the timing.
class Stopwatch {
 public:
  explicit Stopwatch(int64_t started) : last_(started) {}
  void Lap(int64_t* nanos) {
    const int64_t now = NowNanos();
    *nanos += now - last_;
    last_ = now;
  }

 private:
  int64_t last_;
};

struct LogPlace {
  std::string_view features, context;
  size_t begin = 0, size = 0;  // of the result in the output
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
  std::vector<LogPlace> logged;
  CallTiming nanos;
};

// What a whole request asks for beside its records.
struct Ask {
  ExplainRequest explain;
  const Explanations* explanations = nullptr;  // when enabled
  std::string* out = nullptr;
  bool log = false;
  CallOutcome* outcome = nullptr;
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

  bool AnswerOne(const EndpointCall& call, PredictionScratch* s, Ask* ask) const;
  bool AnswerMany(const EndpointCall& call, PredictionScratch* s, Ask* ask) const;
  bool ReadOne(std::string_view body, PredictionScratch* s, Ask* ask) const;
  bool ReadItem(RecordRows* rows, int row, PredictionScratch* s) const;
  bool ReadItems(const EndpointCall& call, PredictionScratch* s, Ask* ask, bool* looked_ahead,
                 int* rows) const;
  bool LookAhead(RequestScanner scanner, Ask* ask) const;
  bool NeedExplanations(Ask* ask) const;
  Result<const Explanations*> explanations() const;
  void Enrich(RecordRows* rows, int count, PredictionScratch* s) const;
  void Score(const RecordRows& rows, int count, const Ask& ask, Stopwatch* watch,
             PredictionScratch* s) const;
  void AppendResult(int row, const Ask& ask, PredictionScratch* s) const;
  void FinishBlock(RecordRows* rows, int count, Ask* ask, PredictionScratch* s) const;
  void FinishLog(PredictionScratch* s, const Ask& ask) const;

  const std::string path_;
  std::unique_ptr<Model> model_;
  AnswerWriter writer_;
  std::unique_ptr<RecordLayout> layout_;  // the model's inputs, then what tables need besides
  std::vector<TableJoin> joins_;
  double micros_per_byte_ = 0.01, micros_per_record_ = 3;

  // Compiled at the first request that asks for them, unless the endpoint explains by default.
  mutable Mutex mutex_;
  mutable std::unique_ptr<Explanations> made_ GUARDED_BY(mutex_);
  mutable std::atomic<const Explanations*> explanations_{nullptr};
};

Result<std::unique_ptr<ServedEndpoint>> PredictionEndpoint::Load(const PackageEndpoint& definition,
                                                                 const std::string& folder) {
  std::string path = folder + "/" + definition.model_part;
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::Open(path));
  std::unique_ptr<PredictionEndpoint> endpoint(
      new PredictionEndpoint(definition, std::move(path), std::move(model)));
  RETURN_IF_ERROR(endpoint->OpenTables(folder));
  if (definition.explain_by_default) {
    const Result<const Explanations*> made = endpoint->explanations();
    if (!made.ok()) return made.error();
  }
  endpoint->WarmUp();
  return std::unique_ptr<ServedEndpoint>(std::move(endpoint));
}

// Columns of the records: the model's inputs, and what keys of tables need besides: fields that the
// model does not have, or has with another type than the table.
Status PredictionEndpoint::OpenTables(const std::string& folder) {
  std::vector<Field> fields = model_->inputs().fields;
  const auto place = [&](const Field& field) {
    const auto found = std::find(fields.begin(), fields.end(), field);
    if (found != fields.end()) return static_cast<int>(found - fields.begin());
    fields.push_back(field);
    return static_cast<int>(fields.size()) - 1;
  };
  std::vector<std::vector<int>> keys;
  for (const TableUse& use : definition_.enrichments) {
    ASSIGN_OR_RETURN(TableJoin join, TableJoin::Open(use, folder));
    std::vector<int>& of_join = keys.emplace_back();
    for (const Field& field : join.key_fields()) of_join.push_back(place(field));
    joins_.push_back(std::move(join));
  }
  layout_ = std::make_unique<RecordLayout>(fields);
  for (size_t i = 0; i < joins_.size(); ++i) {
    std::vector<int> columns;
    for (const Field& field : joins_[i].looked_up_fields())
      columns.push_back(layout_->Find(field.name));
    joins_[i].Bind(std::move(keys[i]), std::move(columns));
  }
  return {};
}

std::unique_ptr<EndpointScratch> PredictionEndpoint::MakeScratch() const {
  auto scratch = std::make_unique<PredictionScratch>(layout_.get());
  for (const TableJoin& join : joins_) scratch->joins.push_back(join.MakeScratch());
  return scratch;
}

// One record without features, several times: page faults and caches are paid for, and the time
// gives the estimates.
void PredictionEndpoint::WarmUp() {
  std::string body = "{\"features\":{}}" + std::string(kHttpPadding, ' ');
  EndpointCall call;
  call.input = std::string_view(body).substr(0, body.size() - kHttpPadding);
  const std::unique_ptr<EndpointScratch> scratch = MakeScratch();
  std::string out;
  int64_t best = INT64_MAX;
  for (int i = 0; i < 4; ++i) {
    CallOutcome outcome;
    out.clear();
    const int64_t begin = NowNanos();
    Answer(call, scratch.get(), &out, false, &outcome);
    best = std::min(best, NowNanos() - begin);
  }
  micros_per_record_ = static_cast<double>(best) / 1e3;
  // A feature takes some 20 bytes of a body.
  micros_per_byte_ = 2e-3 + micros_per_record_ / (20.0 * std::max(1, layout_->size()) + 30);
}

double PredictionEndpoint::EstimateMicros(const EndpointCall& call) const {
  const auto bytes = static_cast<double>(call.input.size());
  double micros = micros_per_record_ + 2e-3 * bytes;
  if (call.verb == Verb::kPredictMulti) micros = bytes * micros_per_byte_;
  const bool query = call.verb == Verb::kPredictSimple;
  if (query ? definition_.explain_by_default
            : LikelyExplained(call.input, definition_.explain_by_default)) {
    // Tree SHAP costs some hundred times a score; the first time, it is compiled.
    micros = 100 * micros + (explanations_.load(std::memory_order_acquire) == nullptr ? 1e5 : 0);
  }
  return micros;
}

size_t PredictionEndpoint::memory_bytes() const {
  const Explanations* explanations = explanations_.load(std::memory_order_acquire);
  return model_->engine().memory_bytes() +
         (explanations == nullptr ? 0 : explanations->memory_bytes());
}

Json PredictionEndpoint::Describe() const {
  Json tables = Json::array();
  for (const TableJoin& join : joins_) tables.push_back(join.use().table);
  return {{"id", definition_.id},
          {"type", EndpointTypeName(definition_.type)},
          {"description", definition_.description},
          {"model", definition_.model},
          {"engine", model_->engine_name()},
          {"inputs", SchemaToJson(model_->inputs())},
          {"outputs", SchemaToJson(model_->outputs())},
          {"classes", model_->classes()},
          {"enrichments", tables}};
}

Result<const Explanations*> PredictionEndpoint::explanations() const {
  if (const Explanations* made = explanations_.load(std::memory_order_acquire); made != nullptr)
    return made;
  MutexLock lock(mutex_);
  if (made_ == nullptr) {
    ASSIGN_OR_RETURN(made_, model_->OpenExplanations(path_, kMostExplanations));
    explanations_.store(made_.get(), std::memory_order_release);
  }
  return made_.get();
}

bool PredictionEndpoint::NeedExplanations(Ask* ask) const {
  if (!ask->explain.enabled || ask->explanations != nullptr) return true;
  const Result<const Explanations*> made = explanations();
  if (made.ok()) {
    ask->explanations = *made;
    return true;
  }
  ask->outcome->error = made.error().Within("explanations");
  return false;
}

void PredictionEndpoint::Answer(const EndpointCall& call, EndpointScratch* scratch,
                                std::string* out, bool log, CallOutcome* outcome) const {
  auto* s = static_cast<PredictionScratch*>(scratch);
  const size_t before = out->size();
  Ask ask;
  ask.explain = {definition_.explain_by_default, definition_.explanations};
  ask.out = out;
  ask.log = log;
  ask.outcome = outcome;
  s->arena.Reset();
  s->logged.clear();
  s->nanos = {};
  const bool answered =
      call.verb == Verb::kPredictMulti ? AnswerMany(call, s, &ask) : AnswerOne(call, s, &ask);
  const auto micros = [](int64_t nanos) { return (nanos + 500) / 1000; };
  outcome->timing.pre_processing = micros(s->nanos.pre_processing);
  outcome->timing.enrich = micros(s->nanos.enrich);
  outcome->timing.preparation = micros(s->nanos.preparation);
  outcome->timing.prediction = micros(s->nanos.prediction);
  outcome->timing.post_processing = micros(s->nanos.post_processing);
  if (answered) {
    FinishLog(s, ask);
    return;
  }
  out->resize(before);
  if (!outcome->error) outcome->error = s->scanner.error();
}

// Views are made once the text no longer moves.
void PredictionEndpoint::FinishLog(PredictionScratch* s, const Ask& ask) const {
  if (ask.out->capacity() - ask.out->size() < kAnswerTail)
    ask.out->reserve(ask.out->size() + std::max(kAnswerTail, ask.out->size() / 4));
  for (const LogPlace& place : s->logged) {
    ask.outcome->logged.push_back({place.features,
                                   std::string_view(*ask.out).substr(place.begin, place.size),
                                   place.context});
  }
}

bool PredictionEndpoint::ReadOne(std::string_view body, PredictionScratch* s, Ask* ask) const {
  RequestScanner& scanner = s->scanner;
  if (!scanner.Begin(body, &s->arena) || !scanner.Enter()) return false;
  bool seen = false;
  std::string_view key, raw;
  while (scanner.NextKey(&key)) {
    if (key == "features") {
      if (seen) return scanner.Fail("'features' stands twice");
      if (scanner.Peek() != JsonToken::kObject) {
        ask->outcome->error =
            InvalidArgument("features is no object", R"(send {"features": {"name": 1.5}})");
        return false;
      }
      seen = true;
      const size_t from = scanner.offset();
      if (!s->reader.Read(&scanner, &s->one, 0, &s->outcomes[0].error)) return false;
      s->features[0] = scanner.Since(from);
    } else if (key == "explanations") {
      if (!ReadExplainRequest(&scanner, &ask->explain, &ask->outcome->error)) return false;
    } else if (!scanner.Skip(&raw)) {
      return false;
    } else if (key == "context") {
      s->contexts[0] = raw;
    }
  }
  if (!scanner.Finish()) return false;
  if (seen) return true;
  ask->outcome->error =
      InvalidArgument("the body has no 'features'", R"(send {"features": {"name": 1.5}})");
  return false;
}

bool PredictionEndpoint::AnswerOne(const EndpointCall& call, PredictionScratch* s, Ask* ask) const {
  Stopwatch watch(NowNanos());
  s->outcomes.resize(1);
  s->features.resize(1);
  s->contexts.assign(1, {});
  s->outcomes[0] = {};
  ask->outcome->records = 1;
  s->one.Begin(0);
  if (call.verb == Verb::kPredictSimple) {
    s->features[0] = call.input;
    s->reader.ReadQuery(call.input, &s->arena, &s->one, 0, &s->outcomes[0].error);
  } else if (!ReadOne(call.input, s, ask)) {
    return false;
  }
  watch.Lap(&s->nanos.pre_processing);
  if (!s->outcomes[0].error && !joins_.empty()) {
    Enrich(&s->one, 1, s);
    watch.Lap(&s->nanos.enrich);
  }
  if (s->outcomes[0].error) {
    ask->outcome->error = std::move(s->outcomes[0].error);
    return false;
  }
  if (!NeedExplanations(ask)) return false;
  Score(s->one, 1, *ask, &watch, s);
  ask->out->append("\"result\":");
  AppendResult(0, *ask, s);
  watch.Lap(&s->nanos.post_processing);
  return true;
}

bool PredictionEndpoint::ReadItem(RecordRows* rows, int row, PredictionScratch* s) const {
  RequestScanner& scanner = s->scanner;
  EnrichmentOutcome& outcome = s->outcomes[static_cast<size_t>(row)];
  std::string_view key, raw;
  rows->Begin(row);
  outcome = {};
  s->features[static_cast<size_t>(row)] = {};
  s->contexts[static_cast<size_t>(row)] = {};
  if (scanner.Peek() != JsonToken::kObject) {
    outcome.error = InvalidArgument("the record is no object", R"(send {"features": {..}})");
    return scanner.Skip(&raw);
  }
  if (!scanner.Enter()) return false;
  bool seen = false;
  while (scanner.NextKey(&key)) {
    if (key != "features" || scanner.Peek() != JsonToken::kObject) {
      const bool context = key == "context";
      if (!scanner.Skip(&raw)) return false;
      if (context) s->contexts[static_cast<size_t>(row)] = raw;
      continue;
    }
    if (seen) return scanner.Fail("'features' stands twice");
    seen = true;
    const size_t from = scanner.offset();
    if (!s->reader.Read(&scanner, rows, row, &outcome.error)) return false;
    s->features[static_cast<size_t>(row)] = scanner.Since(from);
  }
  if (!seen && scanner.ok()) {
    outcome.error =
        InvalidArgument("the record has no object 'features'", R"(send {"features": {..}})");
  }
  return scanner.ok();
}

// Before a first block of records is answered: whether all that follows is JSON, and what it says
// about explanations. The scanner is a copy that stands before a record.
bool PredictionEndpoint::LookAhead(RequestScanner scanner, Ask* ask) const {
  std::string_view key, raw;
  do {
    if (!scanner.Skip(&raw)) break;
  } while (scanner.NextItem());
  while (scanner.NextKey(&key)) {
    if (key == "explanations") {
      if (!ReadExplainRequest(&scanner, &ask->explain, &ask->outcome->error)) break;
    } else if (!scanner.Skip(&raw)) {
      break;
    }
  }
  if (ask->outcome->error) return false;
  if (scanner.Finish()) return true;
  ask->outcome->error = scanner.error();
  return false;
}

bool PredictionEndpoint::ReadItems(const EndpointCall& call, PredictionScratch* s, Ask* ask,
                                   bool* looked_ahead, int* rows) const {
  RequestScanner& scanner = s->scanner;
  RecordRows* const many = s->Many();
  if (!scanner.Enter()) return false;
  while (scanner.NextItem()) {
    if (call.max_records > 0 && ask->outcome->records >= call.max_records) {
      ask->outcome->error = InvalidArgument(
          "the request has more than " + std::to_string(call.max_records) + " records",
          "send them in several requests, or raise max_records");
      ask->outcome->status = 413;
      return false;
    }
    if (*rows == kBatchRows) {
      if (!*looked_ahead && !LookAhead(scanner, ask)) return false;
      *looked_ahead = true;
      if (!NeedExplanations(ask)) return false;
      FinishBlock(many, *rows, ask, s);
      s->arena.Reset();
      *rows = 0;
    }
    if (!ReadItem(many, *rows, s)) return false;
    ++*rows;
    ++ask->outcome->records;
  }
  return scanner.ok();
}

bool PredictionEndpoint::AnswerMany(const EndpointCall& call, PredictionScratch* s,
                                    Ask* ask) const {
  RequestScanner& scanner = s->scanner;
  Stopwatch watch(NowNanos());
  s->outcomes.resize(kBatchRows);
  s->features.resize(kBatchRows);
  s->contexts.resize(kBatchRows);
  ask->out->append("\"results\":[");
  bool seen = false, looked_ahead = false;
  int rows = 0;
  std::string_view key, raw;
  if (!scanner.Begin(call.input, &s->arena) || !scanner.Enter()) return false;
  while (scanner.NextKey(&key)) {
    if (key == "items") {
      if (seen) return scanner.Fail("'items' stands twice");
      if (scanner.Peek() != JsonToken::kArray) {
        ask->outcome->error = InvalidArgument("items is no array",
                                              R"(send {"items": [{"features": {"name": 1.5}}]})");
        return false;
      }
      seen = true;
      if (!ReadItems(call, s, ask, &looked_ahead, &rows)) return false;
    } else if (key == "explanations" && !looked_ahead) {
      if (!ReadExplainRequest(&scanner, &ask->explain, &ask->outcome->error)) return false;
    } else if (!scanner.Skip(&raw)) {
      return false;
    }
  }
  if (!scanner.Finish()) return false;
  if (!seen) {
    ask->outcome->error = InvalidArgument("the body has no 'items'",
                                          R"(send {"items": [{"features": {"name": 1.5}}]})");
    return false;
  }
  if (!NeedExplanations(ask)) return false;
  if (rows > 0) FinishBlock(s->Many(), rows, ask, s);
  if (ask->out->back() == ',') ask->out->pop_back();
  ask->out->push_back(']');
  const CallTiming& nanos = s->nanos;
  watch.Lap(&s->nanos.pre_processing);
  s->nanos.pre_processing -=
      nanos.enrich + nanos.preparation + nanos.prediction + nanos.post_processing;
  return true;
}

void PredictionEndpoint::Enrich(RecordRows* rows, int count, PredictionScratch* s) const {
  for (size_t j = 0; j < joins_.size(); ++j) {
    for (int row = 0; row < count; ++row) {
      EnrichmentOutcome& outcome = s->outcomes[static_cast<size_t>(row)];
      if (outcome.error || !outcome.ignore_reason.empty()) continue;
      joins_[j].Fill(*layout_, rows, row, &s->arena, s->joins[j].get(), &outcome);
    }
  }
}

void PredictionEndpoint::Score(const RecordRows& rows, int count, const Ask& ask, Stopwatch* watch,
                               PredictionScratch* s) const {
  Batch batch;
  batch.schema = &model_->inputs();
  batch.rows = count;
  batch.columns = rows.views().first(static_cast<size_t>(model_->inputs().size()));
  model_->Prepare(batch, &s->model);
  watch->Lap(&s->nanos.preparation);
  model_->Predict(count, &s->model);
  if (ask.explanations != nullptr) model_->FeatureRows(count, &s->model);
  watch->Lap(&s->nanos.prediction);
}

void PredictionEndpoint::AppendResult(int row, const Ask& ask, PredictionScratch* s) const {
  const auto at = static_cast<size_t>(row);
  std::string* const out = ask.out;
  const size_t begin = out->size();
  EnrichmentOutcome& outcome = s->outcomes[at];
  if (outcome.error) {
    ++ask.outcome->failed;
    out->append("{\"ignored\":true,\"ignoreReason\":\"");
    out->append(outcome.ignore_reason.empty() ? kBadRecord : outcome.ignore_reason);
    out->append("\",");
    AppendRecordError(*outcome.error, out);
    out->push_back('}');
    outcome.error.reset();
  } else if (!outcome.ignore_reason.empty() || s->model.keep[at] == 0) {
    ++ask.outcome->ignored;
    out->append("{\"ignored\":true,\"ignoreReason\":\"");
    out->append(outcome.ignore_reason.empty() ? kDroppedByModel : outcome.ignore_reason);
    out->append("\"}");
  } else {
    const double* scores =
        s->model.scores.data() + at * static_cast<size_t>(model_->engine().outputs());
    out->push_back('{');
    writer_.AppendPrediction(scores, out);
    if (ask.explanations != nullptr) {
      out->append(",\"explanations\":");
      ask.explanations->AppendRow(
          s->model.matrix.data() + at * static_cast<size_t>(model_->feature_count()), scores,
          ask.explain.most, &s->explain, out);
    }
    out->append(",\"ignored\":false}");
  }
  if (ask.log) s->logged.push_back({s->features[at], s->contexts[at], begin, out->size() - begin});
}

void PredictionEndpoint::FinishBlock(RecordRows* rows, int count, Ask* ask,
                                     PredictionScratch* s) const {
  Stopwatch watch(NowNanos());
  if (!joins_.empty()) {
    Enrich(rows, count, s);
    watch.Lap(&s->nanos.enrich);
  }
  Score(*rows, count, *ask, &watch, s);
  for (int row = 0; row < count; ++row) {
    AppendResult(row, *ask, s);
    ask->out->push_back(',');
  }
  watch.Lap(&s->nanos.post_processing);
}

}  // namespace

Result<std::unique_ptr<ServedEndpoint>> LoadPredictionEndpoint(const PackageEndpoint& definition,
                                                               const std::string& folder) {
  return PredictionEndpoint::Load(definition, folder);
}

}  // namespace slipway
