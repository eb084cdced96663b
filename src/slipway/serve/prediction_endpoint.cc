#include "slipway/serve/prediction_endpoint.h"

#include <algorithm>
#include <cmath>

#include "slipway/base/json.h"
#include "slipway/http/server.h"
#include "slipway/serve/prediction_parts.h"

namespace slipway {
namespace {

// What a block of rows to explain takes, before one has been: 500 trees of 31 leaves.
constexpr double kScoresPerExplainedBlock = 250;

}  // namespace

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
    const int64_t begin = PredictionNanos();
    Answer(call, scratch.get(), &out, false, &outcome);
    best = std::min(best, PredictionNanos() - begin);
  }
  micros_per_record_ = static_cast<double>(best) / 1e3;
  micros_per_byte_ = 2e-3 + micros_per_record_ / BytesPerRecord();
}

// A feature takes some 20 bytes of a body.
double PredictionEndpoint::BytesPerRecord() const {
  return 20.0 * std::max(1, layout_->size()) + 30;
}

double PredictionEndpoint::EstimateMicros(const EndpointCall& call) const {
  const auto bytes = static_cast<double>(call.input.size());
  double micros = micros_per_record_ + 2e-3 * bytes;
  if (call.verb == Verb::kPredictMulti) micros = bytes * micros_per_byte_;
  const bool query = call.verb == Verb::kPredictSimple;
  if (query ? definition_.explain_by_default
            : LikelyExplained(call.input, definition_.explain_by_default)) {
    // One row of a block costs nearly as much as all; the first time, it is compiled.
    const double records = call.verb == Verb::kPredictMulti ? bytes / BytesPerRecord() : 1;
    const double seen = micros_per_explained_block_.load(std::memory_order_relaxed);
    micros += std::ceil(records / Explanations::kRowsTogether) *
              (seen > 0 ? seen : kScoresPerExplainedBlock * micros_per_record_);
    // Once: those that come meanwhile find it made, or wait for it together.
    if (explanations_.load(std::memory_order_acquire) == nullptr && !foreseen_.exchange(true))
      micros += 1e5;
  }
  return micros;
}

// What is likely to come is what came; threads may overwrite each other's.
void PredictionEndpoint::LearnExplained(int64_t nanos) const {
  const double before = micros_per_explained_block_.load(std::memory_order_relaxed);
  const double micros = static_cast<double>(nanos) / 1e3;
  micros_per_explained_block_.store(before > 0 ? before + 0.1 * (micros - before) : micros,
                                    std::memory_order_relaxed);
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

bool PredictionEndpoint::NeedExplanations(PredictionAsk* ask) const {
  if (!ask->explain.enabled || ask->explanations != nullptr) return true;
  const Result<const Explanations*> made = explanations();
  if (made.ok()) {
    ask->explanations = *made;
    return true;
  }
  ask->outcome->error = made.error().Within("explanations");
  return false;
}

Result<std::unique_ptr<ServedEndpoint>> LoadPredictionEndpoint(const PackageEndpoint& definition,
                                                               const std::string& folder) {
  return PredictionEndpoint::Load(definition, folder);
}

}  // namespace slipway
