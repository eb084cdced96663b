// The bundle file (docs/bundle-format.md): a zip with manifest.json (format, parts with SHA-256),
// schema.json, pipeline.json, model.txt, info.json and sample.json (rows with their predictions).
// Reproducible bytes: the same content gives the same file. Foreign bytes: bounded, refused with
// the part and the reason.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/features/pipeline.h"
#include "slipway/forest/forest.h"
#include "slipway/table/schema.h"

namespace slipway {

inline constexpr int kBundleFormat = 1;

struct BundleContent {
  PredictionKind kind = PredictionKind::kRegression;
  std::string target;
  Type target_type = Type::kDouble;
  std::vector<std::string> classes;  // in training order; empty for regression
  double threshold = 0.5;            // binary
  std::string algorithm;             // "lightgbm"
  std::string model_text;            // the library's own file
  std::string pipeline_json;         // Pipeline::ToJson
  std::string
      info_json;  // metrics, importance, parameters, lineage: whatever describes the version
  // Sample rows: raw inputs as cell texts (row-major, pipeline.inputs() columns, empty = missing)
  // and the transformed scores; at most kBatchRows. WriteBundle fills the three lists of numbers
  // when they are empty by scoring the rows. Rows that a filter drops have empty ones.
  std::vector<std::vector<std::string>> sample_rows;
  std::vector<std::vector<double>> sample_matrix;  // what the pipeline makes of the rows
  std::vector<std::vector<double>> sample_raw;     // scores before the output transform
  std::vector<std::vector<double>> sample_scores;
};

// Durable and atomic. Fails when the content does not make a working model.
Status WriteBundle(const std::string& path, const BundleContent& content);
// Reads and verifies hashes and limits; does not compile anything.
Result<BundleContent> ReadBundle(const std::string& path);
Result<BundleContent> ParseBundle(std::string_view bytes);
// The bytes that WriteBundle writes, without checking that they make a working model.
Result<std::string> FormatBundle(const BundleContent& content);
// Whether the bytes look like a bundle (begin as a zip does).
bool LooksLikeBundle(std::string_view head);

// "regression", "binary", "multiclass", "raw".
std::string_view PredictionKindName(PredictionKind kind);
std::optional<PredictionKind> PredictionKindFromName(std::string_view name);
// Output columns of a model of this kind; `outputs`: how many scores a raw model gives.
Schema OutputSchema(PredictionKind kind, const std::vector<std::string>& classes, Type label_type,
                    int outputs);

}  // namespace slipway
