// Exact path-dependent TreeSHAP (Lundberg et al. 2018, "Consistent Individualized Feature
// Attribution for Tree Ensembles", algorithm 2; the values of LightGBM's pred_contrib and XGBoost's
// pred_contribs).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"

namespace slipway {

struct ExplainOptions {
  // The textbook recursion, row by row: the specification that the fast path is tested against.
  bool reference = false;
};

// Immutable and thread-safe once compiled; explaining cannot fail.
class Explainer {
 public:
  virtual ~Explainer() = default;
  virtual int feature_count() const = 0;
  virtual int outputs() const = 0;
  virtual size_t memory_bytes() const = 0;
  // Per row and output feature_count() + 1 numbers: what each feature adds to the raw score, and
  // last the base value; their sum is the raw score (to rounding). `features` as
  // Engine::PredictRaw takes them; `out`: rows x outputs() x (feature_count() + 1).
  virtual void Explain(const double* features, int64_t rows, int64_t stride, double* out) const = 0;
};

// REQUIRES: Validate(forest).ok(). kInvalidArgument when the model cannot be explained so: linear
// leaves, or nodes without counts.
Result<std::unique_ptr<Explainer>> CompileExplainer(const Forest& forest,
                                                    const ExplainOptions& options = {});

// The same over up to `threads` threads.
void ExplainParallel(const Explainer& explainer, const double* features, int64_t rows,
                     int64_t stride, int threads, double* out);

}  // namespace slipway
