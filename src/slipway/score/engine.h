// Scoring engines. CompileEngine is the only door; the reference engine is the specification that
// others must equal bit for bit. docs/scoring.md tells which engine a model gets and why.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"

namespace slipway {

enum class ValueType : uint8_t {
  kFloat64,
  kFloat32,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
};

// Where a feature's values lie: row r is at data + r * stride. Borrowed.
struct FeatureColumn {
  const void* data = nullptr;  // nullptr: every value is missing
  int64_t stride = 0;          // bytes from one row to the next
  ValueType type = ValueType::kFloat64;
  // A bit per row, least significant first (as Arrow and DuckDB have it); nullptr: all valid. A
  // value that is not valid is missing (NaN).
  const uint8_t* validity = nullptr;
  int64_t validity_offset = 0;  // the bit of row 0
};

struct EngineHints {
  // "": the fastest that suits the model; else an engine's name without its instruction set
  // ("reference", "bitvector"): an error when it does not suit. For tests and benches.
  std::string engine;
};

// Immutable and thread-safe once compiled. Predicting cannot fail: all checks ran in CompileEngine.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;  // "reference", "bitvector/avx2", ...
  virtual int feature_count() const = 0;
  virtual int outputs() const = 0;
  // The features that some node or leaf reads, ascending. Others' values are never looked at.
  const std::vector<int32_t>& used_features() const { return used_features_; }
  // Why this engine was chosen, one line.
  const std::string& reason() const { return reason_; }
  // What the compiled model holds.
  virtual size_t memory_bytes() const = 0;

  // `features`: rows x stride doubles, row-major, stride >= feature_count(); NaN is missing. Writes
  // rows x outputs() raw scores (before the output transform), row-major. Sums in tree order.
  virtual void PredictRaw(const double* features, int64_t rows, int64_t stride,
                          double* out) const = 0;
  // The same from columns, `columns[feature]` for each of used_features().
  virtual void PredictColumns(std::span<const FeatureColumn> columns, int64_t rows,
                              double* out) const;

 protected:
  friend Result<std::unique_ptr<Engine>> CompileEngine(const Forest&, const EngineHints&);
  std::vector<int32_t> used_features_;
  std::string reason_;
};

// REQUIRES: Validate(forest).ok(). The engine keeps what it needs; the forest may go. A fast engine
// has scored a sample of the model's own thresholds like the reference, bit for bit, or the
// reference is taken and reason() says so. The environment variable SLIPWAY_ISA (portable, sse4,
// avx2, avx512) bounds the instruction set.
Result<std::unique_ptr<Engine>> CompileEngine(const Forest& forest, const EngineHints& hints = {});

// Runs PredictColumns over up to `threads` threads, in whole blocks of rows.
void PredictParallel(const Engine& engine, std::span<const FeatureColumn> columns, int64_t rows,
                     int threads, double* out);

// Applies the forest's output transform in place to rows x outputs raw scores, with the library's
// own arithmetic (LightGBM src/objective/*.hpp ConvertOutput; XGBoost's in float32).
void ApplyOutputTransform(const Forest& forest, int64_t rows, double* scores);

// Columns over a row-major matrix of `feature_count` doubles with `stride`.
std::vector<FeatureColumn> RowMajorColumns(const double* features, int feature_count,
                                           int64_t stride);
// Value of `column` at `row` as float64; NaN when missing.
double ReadValue(const FeatureColumn& column, int64_t row);
// Fills values[0..rows) from rows begin.. of the column.
void ReadValues(const FeatureColumn& column, int64_t begin, int64_t rows, double* values);

}  // namespace slipway
