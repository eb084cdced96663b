// How a prediction endpoint answers: read, enrich, score, write.
#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/prediction_parts.h"

namespace slipway {

void PredictionEndpoint::Answer(const EndpointCall& call, EndpointScratch* scratch,
                                std::string* out, bool log, CallOutcome* outcome) const {
  auto* s = static_cast<PredictionScratch*>(scratch);
  const size_t before = out->size();
  PredictionAsk ask;
  ask.explain = {definition_.explain_by_default, definition_.explanations};
  ask.out = out;
  ask.log = log;
  ask.outcome = outcome;
  s->arena.Reset();
  s->logged.clear();
  s->nanos = {};
  const bool answered =
      call.verb == Verb::kPredictMulti ? AnswerMany(call, s, &ask) : AnswerOne(call, s, &ask);
  outcome->timing = PredictionMicros(s->nanos);
  if (answered) {
    FinishLog(s, ask);
    return;
  }
  out->resize(before);
  if (!outcome->error) outcome->error = s->scanner.error();
}

// Views are made once the text no longer moves.
void PredictionEndpoint::FinishLog(PredictionScratch* s, const PredictionAsk& ask) const {
  if (ask.out->capacity() - ask.out->size() < kAnswerTail)
    ask.out->reserve(ask.out->size() + std::max(kAnswerTail, ask.out->size() / 4));
  for (const PredictionLogPlace& place : s->logged) {
    ask.outcome->logged.push_back({place.features,
                                   std::string_view(*ask.out).substr(place.begin, place.size),
                                   place.context});
  }
}

bool PredictionEndpoint::ReadOne(std::string_view body, RecordRows* rows, int row,
                                 PredictionScratch* s, PredictionAsk* ask) const {
  const auto at = static_cast<size_t>(row);
  RequestScanner& scanner = s->scanner;
  if (!scanner.Begin(body, &s->arena) || !scanner.Enter()) return false;
  bool seen = false, items = false;
  std::string_view key, raw;
  while (scanner.NextKey(&key)) {
    items = items || key == "items";
    if (key == "features") {
      if (seen) return scanner.Fail("'features' stands twice");
      if (scanner.Peek() != JsonToken::kObject) {
        ask->outcome->error =
            InvalidArgument("features is no object", R"(send {"features": {"name": 1.5}})");
        return false;
      }
      seen = true;
      const size_t from = scanner.offset();
      if (!s->reader.Read(&scanner, rows, row, &s->outcomes[at].error)) return false;
      s->features[at] = scanner.Since(from);
    } else if (key == "explanations") {
      if (!ReadExplainRequest(&scanner, &ask->explain, &ask->outcome->error)) return false;
    } else if (!scanner.Skip(&raw)) {
      return false;
    } else if (key == "context") {
      s->contexts[at] = raw;
    }
  }
  if (!scanner.Finish()) return false;
  if (seen) return true;
  ask->outcome->error = InvalidArgument(
      "the body has no 'features'", items ? "it has 'items': send several records to predict-multi"
                                          : R"(send {"features": {"name": 1.5}})");
  return false;
}

bool PredictionEndpoint::AnswerOne(const EndpointCall& call, PredictionScratch* s,
                                   PredictionAsk* ask) const {
  PredictionStopwatch watch(PredictionNanos());
  s->outcomes.resize(1);
  s->features.resize(1);
  s->contexts.assign(1, {});
  s->outcomes[0] = {};
  ask->outcome->records = 1;
  s->one.Begin(0);
  if (call.verb == Verb::kPredictSimple) {
    s->features[0] = call.input;
    s->reader.ReadQuery(call.input, &s->arena, &s->one, 0, &s->outcomes[0].error);
  } else if (!ReadOne(call.input, &s->one, 0, s, ask)) {
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
  Explain(0, 1, *ask, s);
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
bool PredictionEndpoint::LookAhead(RequestScanner scanner, PredictionAsk* ask) const {
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

bool PredictionEndpoint::ReadItems(const EndpointCall& call, PredictionScratch* s,
                                   PredictionAsk* ask, bool* looked_ahead, int* rows) const {
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
                                    PredictionAsk* ask) const {
  RequestScanner& scanner = s->scanner;
  PredictionStopwatch watch(PredictionNanos());
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

void PredictionEndpoint::Score(const RecordRows& rows, int count, const PredictionAsk& ask,
                               PredictionStopwatch* watch, PredictionScratch* s) const {
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

// The contributions of the rows from `row` on that AppendResult writes next.
void PredictionEndpoint::Explain(int row, int count, const PredictionAsk& ask,
                                 PredictionScratch* s) const {
  if (ask.explanations == nullptr || row % Explanations::kRowsTogether != 0) return;
  const int64_t begin = PredictionNanos();
  ask.explanations->ExplainRows(
      s->model.matrix.data() +
          static_cast<size_t>(row) * static_cast<size_t>(model_->feature_count()),
      std::min(count - row, Explanations::kRowsTogether), &s->explain);
  LearnExplained(PredictionNanos() - begin);
}

void PredictionEndpoint::AppendResult(int row, const PredictionAsk& ask,
                                      PredictionScratch* s) const {
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
      ask.explanations->AppendRow(row % Explanations::kRowsTogether, scores, ask.explain.most,
                                  &s->explain, out);
    }
    out->append(",\"ignored\":false}");
  }
  if (ask.log) s->logged.push_back({s->features[at], s->contexts[at], begin, out->size() - begin});
}

void PredictionEndpoint::FinishBlock(RecordRows* rows, int count, PredictionAsk* ask,
                                     PredictionScratch* s) const {
  PredictionStopwatch watch(PredictionNanos());
  if (!joins_.empty()) {
    Enrich(rows, count, s);
    watch.Lap(&s->nanos.enrich);
  }
  Score(*rows, count, *ask, &watch, s);
  for (int row = 0; row < count; ++row) {
    Explain(row, count, *ask, s);
    AppendResult(row, *ask, s);
    ask->out->push_back(',');
  }
  watch.Lap(&s->nanos.post_processing);
}

}  // namespace slipway
