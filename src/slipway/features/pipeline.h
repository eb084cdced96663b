// The fitted feature pipeline: raw input batch -> prepared columns -> a row-major matrix of
// doubles, one column per model feature. Fitted on training rows only; part of the version; one
// implementation for every path.
//
// Encodings: numeric: the value (boolean 0/1), missing as its policy says; scale applied after.
// category native/ordinal: the code of the category (0, 1, ... by falling count in training, ties
// by text), missing -> NaN, unseen -> as the policy says (other: the code after the last one when
// training had rare categories folded into it, else NaN). one_hot: one 0/1 column per category, and
// one "other" column when rare ones were folded; missing: all 0. timestamp and date: one numeric
// column per part, missing -> NaN. weekday: 0 = Sunday, as in expressions. Rare categories that
// training folded stay "other" at scoring under every policy. docs/features.md is the user's page.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/features/prepare.h"
#include "slipway/features/spec.h"

namespace slipway {

// One column of the matrix.
struct ModelFeature {
  std::string name;          // "distance_km", "payment_type=CRD", "pickup_datetime:hour"
  std::string source;        // the prepared column it comes from
  bool categorical = false;  // native category codes: the trainer treats it as a category
};

class PipelineScratch {
 public:
  PipelineScratch();
  ~PipelineScratch();
  PipelineScratch(PipelineScratch&&) noexcept;
  PipelineScratch& operator=(PipelineScratch&&) noexcept;
  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Immutable; thread-safe with one scratch per thread. Copies share state.
class Pipeline {
 public:
  // The raw columns that scoring needs, with their pinned types: the version's input schema. Not
  // the target, unless a kept step reads it.
  const Schema& inputs() const;
  const std::vector<ModelFeature>& features() const;
  int feature_count() const { return static_cast<int>(features().size()); }

  // batch.schema must equal inputs() (names, types, order). Writes rows*feature_count() doubles to
  // `matrix`, row-major. `keep` (rows bytes): 0 where a filter dropped the row or an `unseen:
  // error` category stands; such a row's values are defined but meaningless.
  void Transform(const Batch& batch, PipelineScratch* scratch, double* matrix, uint8_t* keep) const;

  Json ToJson() const;
  // Strict: unknown keys, wrong types or counts are kCorruption.
  static Result<Pipeline> FromJson(const Json& json);

  // The second half alone (prepared columns -> matrix), for the trainer, which prepares once.
  // `keep` may be nullptr; Encode only clears it (where an `unseen: error` category stands), it
  // never sets it: begin with what the preparer says, or 1.
  const Preparer& preparer() const;
  void Encode(const Batch& prepared, PipelineScratch* scratch, double* matrix, uint8_t* keep) const;
  // Prepared columns that Encode reads, as indices into preparer().output().
  const std::vector<int>& encoded_columns() const;

 private:
  friend class PipelineFitter;
  struct State;
  std::shared_ptr<const State> state_;
};

struct FitOptions {
  std::vector<PrepareStep> prepare;
  std::map<std::string, FeatureSpec> features;
  // Prepared columns that are not features: target, weight, time column when it is not a feature.
  std::vector<std::string> exclude;
  // Of these, what new data does not have (target, weight): filters that read them choose training
  // rows and do not become part of the pipeline.
  std::vector<std::string> training_only;
};

// Learns a Pipeline from prepared training rows in one streaming pass. Memory is bounded: medians
// come from an exact buffer up to 1,000,000 values and a deterministic quantile sketch beyond;
// category counts up to 100,000 distinct values a column. Confined to one thread.
class PipelineFitter {
 public:
  // Checks the specs against the prepared schema: an unknown column, or a kind that the type cannot
  // have, is an error with a suggestion.
  static Result<PipelineFitter> Make(const Schema& raw_input, FitOptions options);
  PipelineFitter(PipelineFitter&&) noexcept;
  PipelineFitter& operator=(PipelineFitter&&) noexcept;
  ~PipelineFitter();

  const Preparer& preparer() const;
  // Prepared columns that Observe reads: all but the excluded and the ignored.
  std::vector<std::string> observed_columns() const;
  // `use`: 1 for the rows to learn from (kept by filters, in the training part); nullptr: all.
  Status Observe(const Batch& prepared, const uint8_t* use);
  // Infers what is silent (interfaces.md 4: ids and >1,000 distinct strings are ignored with a
  // warning), drops nothing else silently. Errors: no usable feature; no rows.
  Result<Pipeline> Finish(std::vector<std::string>* warnings);

 private:
  PipelineFitter() = default;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway
