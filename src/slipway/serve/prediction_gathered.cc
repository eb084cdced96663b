// Single records of several requests explained together: the tables of TreeSHAP are read once for
// sixteen rows, which costs little more than for one.
#include "slipway/serve/prediction_parts.h"

namespace slipway {

bool PredictionEndpoint::Gathers(const EndpointCall& call) const {
  return call.verb == Verb::kPredict && LikelyExplained(call.input, definition_.explain_by_default);
}

// False: the call's outcome has the error.
bool PredictionEndpoint::ReadGathered(const GatheredCall& call, int row, PredictionScratch* s,
                                      PredictionAsk* ask) const {
  const auto at = static_cast<size_t>(row);
  RecordRows* const rows = s->Many();
  *ask = {};
  ask->explain = {definition_.explain_by_default, definition_.explanations};
  ask->out = call.out;
  ask->log = call.log;
  ask->outcome = call.outcome;
  call.outcome->records = 1;
  s->outcomes[at] = {};
  s->features[at] = s->contexts[at] = {};
  rows->Begin(row);
  const bool read = ReadOne(call.call.input, rows, row, s, ask);
  if (read && !s->outcomes[at].error) return NeedExplanations(ask);
  std::optional<Error>& error = call.outcome->error;
  if (read) {
    error = std::move(s->outcomes[at].error);
  } else if (!error) {
    error = s->scanner.error();
  }
  return false;
}

void PredictionEndpoint::AnswerGathered(std::span<const GatheredCall> calls,
                                        EndpointScratch* scratch) const {
  auto* s = static_cast<PredictionScratch*>(scratch);
  PredictionStopwatch watch(PredictionNanos());
  s->arena.Reset();
  s->logged.clear();
  s->nanos = {};
  s->outcomes.resize(kBatchRows);
  s->features.resize(kBatchRows);
  s->contexts.resize(kBatchRows);
  s->gathered.resize(kMostGathered);
  PredictionAsk all;
  int count = 0;
  for (const GatheredCall& call : calls) {
    PredictionAsk* const ask = &s->gathered[static_cast<size_t>(count)];
    if (!ReadGathered(call, count, s, ask)) continue;
    if (ask->explanations != nullptr) all.explanations = ask->explanations;
    ++count;
  }
  watch.Lap(&s->nanos.pre_processing);
  if (count == 0) return;
  if (!joins_.empty()) {
    Enrich(s->Many(), count, s);
    watch.Lap(&s->nanos.enrich);
  }
  Score(*s->Many(), count, all, &watch, s);
  for (int row = 0; row < count; ++row) {
    Explain(row, count, all, s);
    const PredictionAsk& ask = s->gathered[static_cast<size_t>(row)];
    EnrichmentOutcome& enriched = s->outcomes[static_cast<size_t>(row)];
    if (enriched.error) {
      ask.outcome->error = std::move(enriched.error);
      continue;
    }
    ask.out->append("\"result\":");
    AppendResult(row, ask, s);
    FinishLog(s, ask);
    s->logged.clear();
  }
  watch.Lap(&s->nanos.post_processing);
  // What the requests went through together.
  for (int row = 0; row < count; ++row)
    s->gathered[static_cast<size_t>(row)].outcome->timing = PredictionMicros(s->nanos);
}

}  // namespace slipway
