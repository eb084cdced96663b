#include "slipway/capi/lazy_explainer.h"

#include <algorithm>
#include <limits>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/capi/predict.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/forest/xgboost_json.h"

namespace slipway {
namespace {

Result<Forest> ParseFile(std::string_view bytes) {
  if (LooksLikeXGBoost(bytes)) return ParseXGBoost(bytes);
  return ParseLightGbmText(bytes);
}

// The trees of a file that has been opened as a model before.
Result<Forest> TreesOf(std::string_view bytes) {
  if (!LooksLikeBundle(bytes)) return ParseFile(bytes);
  ASSIGN_OR_RETURN(const BundleContent content, ParseBundle(bytes));
  return ParseFile(content.model_text);
}

Result<std::unique_ptr<Explainer>> Compile(const ExplainerSource& source) {
  if (const Forest* forest = std::get_if<Forest>(&source)) return CompileExplainer(*forest);
  ASSIGN_OR_RETURN(const Forest forest, TreesOf(std::get<std::string>(source)));
  return CompileExplainer(forest);
}

// Rows as a matrix: what explainers take.
struct Matrix {
  explicit Matrix(const Model& model) : batch(model.inputs()) {}
  OwnedBatch batch;
  PipelineScratch scratch;
  std::vector<double> values, column;
  std::vector<uint8_t> keep;
};

void ReadFeatures(const InputRows& rows, int64_t begin, size_t count, size_t width,
                  Matrix* matrix) {
  matrix->column.resize(count);
  for (size_t i = 0; i < width; ++i) {
    ReadValues(rows.features()[i], begin, static_cast<int64_t>(count), matrix->column.data());
    for (size_t row = 0; row < count; ++row) matrix->values[row * width + i] = matrix->column[row];
  }
}

}  // namespace

Result<std::pair<ModelFile, std::string>> ModelFile::Open(const std::string& path) {
  ModelFile file;
  file.path_ = path;
  file.descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  // ReadFile says best why a file cannot be opened.
  Result<std::string> bytes = file.descriptor_ < 0 ? ReadFile(path, kMaxModelBytes) : file.Read();
  if (!bytes.ok()) return bytes.error();
  file.hash_ = Xxh3(*bytes);
  return std::pair(std::move(file), std::move(*bytes));
}

ModelFile::~ModelFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

// By another descriptor of the same file, which reads from its beginning.
Result<std::string> ModelFile::Read() const {
  Result<std::string> bytes =
      ReadFile(fmt::format("/proc/self/fd/{}", descriptor_), kMaxModelBytes);
  if (bytes.ok()) return bytes;
  return ReadFile(path_, kMaxModelBytes);
}

Result<std::string> ModelFile::ReadAgain() const {
  ASSIGN_OR_RETURN(std::string bytes, Read());
  if (Xxh3(bytes) == hash_) return bytes;
  return Conflict(path_ + " was changed since it was opened",
                  "open the model again to explain with what is there now");
}

Result<const Explainer*> LazyExplainer::Get() {
  const MutexLock lock(mutex_);
  if (!tried_) {
    if (const ModelFile* file = std::get_if<ModelFile>(&source_)) {
      ASSIGN_OR_RETURN(std::string bytes, file->ReadAgain());
      source_ = std::move(bytes);
    }
    Result<std::unique_ptr<Explainer>> compiled = Compile(source_);
    if (compiled.ok()) {
      explainer_ = std::move(*compiled);
    } else {
      error_ = compiled.error();
    }
    source_ = std::string();
    tried_ = true;
  }
  if (explainer_ == nullptr) return error_;
  return static_cast<const Explainer*>(explainer_.get());
}

Status ExplainRows(const Model& model, const Explainer& explainer, const InputRows& rows,
                   int threads, double* out) {
  const size_t width = static_cast<size_t>(model.feature_count());
  const size_t per_row = static_cast<size_t>(explainer.outputs()) * (width + 1);
  std::vector<std::unique_ptr<Matrix>> workers(
      static_cast<size_t>(BatchWorkers(rows.rows(), threads)));
  return ForBatches(rows.rows(), threads, [&](int64_t begin, int count, int worker) -> Status {
    std::unique_ptr<Matrix>& matrix = workers[static_cast<size_t>(worker)];
    if (matrix == nullptr) matrix = std::make_unique<Matrix>(model);
    const size_t here = static_cast<size_t>(count);
    matrix->values.resize(here * width);
    matrix->keep.assign(here, 1);
    if (model.pipeline() == nullptr) {
      ReadFeatures(rows, begin, here, width, matrix.get());
    } else {
      RETURN_IF_ERROR(rows.Fill(begin, count, &matrix->batch));
      model.pipeline()->Transform(matrix->batch.View(), &matrix->scratch, matrix->values.data(),
                                  matrix->keep.data());
    }
    double* to = out + static_cast<size_t>(begin) * per_row;
    explainer.Explain(matrix->values.data(), count, static_cast<int64_t>(width), to);
    for (size_t row = 0; row < here; ++row) {
      if (matrix->keep[row] == 0)
        std::fill_n(to + row * per_row, per_row, std::numeric_limits<double>::quiet_NaN());
    }
    return {};
  });
}

}  // namespace slipway
