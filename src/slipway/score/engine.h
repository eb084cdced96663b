// Scoring engines. CompileEngine is the only door; the reference engine is the specification that
// others must equal bit for bit.
#pragma once

#include <memory>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"

namespace slipway {

// Immutable and thread-safe once compiled. Predict cannot fail: all checks ran in CompileEngine.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  virtual int feature_count() const = 0;
  virtual int outputs() const = 0;
  // `features`: rows x stride doubles, row-major, stride >= feature_count(); NaN is missing. Writes
  // rows x outputs() raw scores (before the output transform), row-major. Sums are float64 in tree
  // order.
  virtual void PredictRaw(const double* features, int64_t rows, int64_t stride,
                          double* out) const = 0;
};

struct EngineHints {
  bool reference = false;  // force the reference engine (tests, benches)
};

// REQUIRES: Validate(forest).ok(). The engine keeps what it needs; the forest may go.
Result<std::unique_ptr<Engine>> CompileEngine(const Forest& forest, const EngineHints& hints = {});

// Applies the forest's output transform in place to rows x outputs raw scores, with LightGBM's own
// arithmetic (src/objective/*.hpp ConvertOutput).
void ApplyOutputTransform(const Forest& forest, int64_t rows, double* scores);

}  // namespace slipway
