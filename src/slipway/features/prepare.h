// Prepare steps compiled against a schema: the same object runs in training, in batch and (later)
// for one record. Each step sees the schema that the one before left. Several filters are and-ed, a
// null drops the row; a filter does not stop later steps from being evaluated on the rows it
// dropped. A cast value that does not convert becomes missing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/features/expression.h"
#include "slipway/features/spec.h"
#include "slipway/table/batch.h"

namespace slipway {

// Working memory of one thread for one Preparer.
class PrepareScratch {
 public:
  PrepareScratch();
  ~PrepareScratch();
  PrepareScratch(PrepareScratch&&) noexcept;
  PrepareScratch& operator=(PrepareScratch&&) noexcept;
  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct PreparedRows {
  Batch batch;  // output columns, ALL rows of the input in place (also dropped ones)
  const uint8_t* keep = nullptr;  // 1 per row: 0 = a filter dropped it; nullptr: all kept
};

// Immutable; thread-safe with one scratch per thread.
class Preparer {
 public:
  // Errors name the step ("prepare step 2 (column 'hour'): ...").
  static Result<Preparer> Compile(const std::vector<PrepareStep>& steps, const Schema& input);

  const Schema& input() const;
  const Schema& output() const;
  const std::vector<PrepareStep>& steps() const;
  // Which input columns are needed to make the given output columns and all filters.
  std::vector<int> InputsFor(const std::vector<std::string>& outputs) const;
  // The same for fewer outputs: only the steps that they and the filters need, compiled against
  // only the inputs of InputsFor(outputs), in input order. Unknown names are ignored.
  // `training_only`: output columns that new data does not have (target, weight). A filter that
  // reads one of them, or a column that only they are made from, chooses training rows and is left
  // out; an output computed from one is an error.
  Result<Preparer> PrunedFor(const std::vector<std::string>& outputs,
                             const std::vector<std::string>& training_only = {}) const;
  // Result valid until the scratch's next use, and as long as the batch. Untouched columns are
  // passed on without a copy. A column made from one with data == nullptr (not read) has data ==
  // nullptr too; the columns that filters read must be there. batch.rows <= kBatchRows.
  PreparedRows Run(const Batch& batch, PrepareScratch* scratch) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace slipway
