// Scoring a table with a model: what the score recipe's worker and `slipway score` both do.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/bundle/model.h"
#include "slipway/dataset/dataset.h"

namespace slipway {

struct ScoreTask {
  FilesSpec input;  // pinned or not
  // Inspect(input), begun before the model was ready; else it happens here.
  std::shared_future<Result<Inspection>> inspection;
  std::string output;                   // path, or "-"
  std::optional<Format> output_format;  // absent: by the output's extension, else the input's
  std::vector<std::string> keep;        // input columns to keep; empty: all
  bool keep_none = false;
  int threads = 1;
  std::string quarantine_path;  // empty: beside the output, "<output>.quarantine.csv"
  std::function<void(double part, int64_t rows)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct ScoreOutcome {
  int64_t rows = 0;
  int64_t predicted = 0;  // rows with a prediction
  int64_t bad_rows = 0;
  double seconds = 0;
  std::string quarantine_path;  // set when rows were put aside
  Schema schema;                // of the output
  std::vector<std::string> warnings;
};

// Checks that the input has every feature (all missing ones are named) with a type that converts,
// and that no kept column clashes with an output column; then streams. Bad rows: as
// input.on_bad_rows says.
Result<ScoreOutcome> ScoreTable(const Model& model, const ScoreTask& task);

// Writes the rows that could not be read as CSV: file, line, column, reason, row.
class QuarantineFile {
 public:
  explicit QuarantineFile(std::string path) : path_(std::move(path)) {}
  Status Add(const BadRow& row);
  Status Finish();  // durable; no file when nothing was added
  int64_t rows() const { return rows_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string text_;
  int64_t rows_ = 0;
};

}  // namespace slipway
