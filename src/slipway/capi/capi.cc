// The C entries: every one checks its pointers and is a wall that no exception passes.
#include <limits>
#include <new>
#include <string>
#include <variant>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/bundle/model.h"
#include "slipway/capi/arrow_output.h"
#include "slipway/capi/build_forest.h"
#include "slipway/capi/describe.h"
#include "slipway/capi/input_rows.h"
#include "slipway/capi/lazy_explainer.h"
#include "slipway/capi/predict.h"
#include "slipway/capi/slipway.h"

struct slipway_model {
  std::unique_ptr<const slipway::Model> model;
  std::string description;
  std::unique_ptr<slipway::LazyExplainer> explainer;
};

namespace slipway {
namespace {

std::string& LastError() {
  thread_local std::string message;
  return message;
}

int StatusOf(ErrorCode code) { return static_cast<int>(code) + 1; }
static_assert(static_cast<int>(ErrorCode::kInvalidArgument) + 1 == SLIPWAY_INVALID_ARGUMENT);
static_assert(static_cast<int>(ErrorCode::kCorruption) + 1 == SLIPWAY_CORRUPTION);
static_assert(static_cast<int>(ErrorCode::kInternal) + 1 == SLIPWAY_INTERNAL);

int Fail(const Error& error) {
  LastError() =
      error.hint.empty() ? error.message : fmt::format("{} ({})", error.message, error.hint);
  return StatusOf(error.code);
}

// Runs a call that gives a Status.
template <typename Call>
int Guarded(Call call) noexcept {
  try {
    LastError().clear();
    const Status status = call();
    return status.ok() ? SLIPWAY_OK : Fail(status.error());
  } catch (const std::bad_alloc&) {
    try {
      return Fail(Unavailable("not enough memory"));
    } catch (...) {
      return SLIPWAY_UNAVAILABLE;
    }
  } catch (...) {
    try {
      return Fail(Internal("an exception came this far"));
    } catch (...) {
      return SLIPWAY_INTERNAL;
    }
  }
}

Error IsNull(std::string_view what) { return InvalidArgument(fmt::format("{} is NULL", what)); }

// `source`: what the explainer can be compiled from.
Status Give(Result<std::unique_ptr<Model>> model, ExplainerSource source, slipway_model** out) {
  if (!model.ok()) return std::move(model).error();
  auto given = std::make_unique<slipway_model>();
  given->model = std::move(*model);
  given->description = Describe(*given->model);
  given->explainer = std::make_unique<LazyExplainer>(std::move(source));
  *out = given.release();
  return {};
}

// `out` has room for rows x per_row numbers.
Status CheckRoom(int64_t rows, int64_t per_row, const double* out, size_t out_count) {
  if (out == nullptr && rows > 0) return IsNull("out");
  const size_t limit = std::numeric_limits<size_t>::max() / static_cast<size_t>(per_row);
  const size_t count = static_cast<size_t>(rows);
  if (count > limit || count * static_cast<size_t>(per_row) > out_count) {
    return InvalidArgument(fmt::format("out has room for {} numbers, and {} rows need {} each",
                                       out_count, rows, per_row));
  }
  return {};
}

Status Predict(const slipway_model* model, const Result<InputRows>& rows, int what, int threads,
               double* out, size_t out_count) {
  if (!rows.ok()) return rows.error();
  if (what != SLIPWAY_SCORES && what != SLIPWAY_RAW_SCORES)
    return InvalidArgument(fmt::format("'what' is {}", what));
  RETURN_IF_ERROR(CheckRoom(rows->rows(), model->model->engine().outputs(), out, out_count));
  return PredictScores(*model->model, *rows, what == SLIPWAY_RAW_SCORES, threads, out);
}

Status Explain(const slipway_model* model, const Result<InputRows>& rows, int threads, double* out,
               size_t out_count) {
  if (!rows.ok()) return rows.error();
  ASSIGN_OR_RETURN(const Explainer* explainer, model->explainer->Get());
  const int64_t per_row =
      int64_t{explainer->outputs()} * (int64_t{model->model->feature_count()} + 1);
  RETURN_IF_ERROR(CheckRoom(rows->rows(), per_row, out, out_count));
  return ExplainRows(*model->model, *explainer, *rows, threads, out);
}

Result<InputRows> MatrixRows(const slipway_model* model, const slipway_matrix* matrix) {
  if (model == nullptr) return IsNull("model");
  if (matrix == nullptr) return IsNull("matrix");
  return InputRows::FromMatrix(*model->model, *matrix);
}

Result<InputRows> ColumnRows(const slipway_model* model, const slipway_column* columns,
                             int64_t column_count, int64_t rows) {
  if (model == nullptr) return IsNull("model");
  if (column_count < 0) return InvalidArgument(fmt::format("column_count is {}", column_count));
  if (columns == nullptr && column_count > 0) return IsNull("columns");
  return InputRows::FromColumns(*model->model, {columns, static_cast<size_t>(column_count)}, rows);
}

Result<InputRows> ArrowRows(const slipway_model* model, const ArrowSchema* schema,
                            const ArrowArray* batch) {
  if (model == nullptr) return IsNull("model");
  return InputRows::FromArrow(*model->model, schema, batch);
}

}  // namespace
}  // namespace slipway

extern "C" {

const char* slipway_version(void) { return SLIPWAY_VERSION; }
int slipway_abi_version(void) { return SLIPWAY_ABI_VERSION; }
const char* slipway_last_error(void) { return slipway::LastError().c_str(); }

const char* slipway_status_name(int status) {
  if (status == SLIPWAY_OK) return "ok";
  if (status < SLIPWAY_OK || status > SLIPWAY_INTERNAL) return "unknown";
  return slipway::ErrorCodeName(static_cast<slipway::ErrorCode>(status - 1)).data();
}

int slipway_open(const char* path, slipway_model** model) {
  return slipway::Guarded([&]() -> slipway::Status {
    if (path == nullptr) return slipway::IsNull("path");
    if (model == nullptr) return slipway::IsNull("model");
    ASSIGN_OR_RETURN(auto read, slipway::ModelFile::Open(path));
    auto opened = slipway::Model::FromBytes(read.second);
    if (!opened.ok()) return opened.error().Within(path);
    return slipway::Give(std::move(opened), std::move(read.first), model);
  });
}

int slipway_open_bytes(const void* bytes, size_t size, slipway_model** model) {
  return slipway::Guarded([&]() -> slipway::Status {
    if (bytes == nullptr && size > 0) return slipway::IsNull("bytes");
    if (model == nullptr) return slipway::IsNull("model");
    if (size > slipway::kMaxModelBytes) {
      return slipway::InvalidArgument(fmt::format(
          "a model of {} bytes is too large; the most is {}", size, slipway::kMaxModelBytes));
    }
    std::string copy(static_cast<const char*>(bytes), size);
    auto opened = slipway::Model::FromBytes(copy);
    return slipway::Give(std::move(opened), std::move(copy), model);
  });
}

int slipway_build(const slipway_forest* forest, slipway_model** model) {
  return slipway::Guarded([&]() -> slipway::Status {
    if (forest == nullptr) return slipway::IsNull("forest");
    if (model == nullptr) return slipway::IsNull("model");
    ASSIGN_OR_RETURN(slipway::Forest built, slipway::ForestFromArrays(*forest));
    auto made = slipway::Model::FromForest(built);
    return slipway::Give(std::move(made), std::move(built), model);
  });
}

void slipway_close(slipway_model* model) { delete model; }

const char* slipway_describe(const slipway_model* model) {
  return model == nullptr ? "" : model->description.c_str();
}

int64_t slipway_input_count(const slipway_model* model) {
  return model == nullptr ? 0 : model->model->inputs().size();
}

int64_t slipway_score_count(const slipway_model* model) {
  return model == nullptr ? 0 : model->model->engine().outputs();
}

int64_t slipway_feature_count(const slipway_model* model) {
  return model == nullptr ? 0 : model->model->feature_count();
}

int slipway_predict(const slipway_model* model, const slipway_matrix* matrix, int what, int threads,
                    double* out, size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Predict(model, slipway::MatrixRows(model, matrix), what, threads, out,
                            out_count);
  });
}

int slipway_predict_columns(const slipway_model* model, const slipway_column* columns,
                            int64_t column_count, int64_t rows, int what, int threads, double* out,
                            size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Predict(model, slipway::ColumnRows(model, columns, column_count, rows), what,
                            threads, out, out_count);
  });
}

int slipway_predict_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                          const struct ArrowArray* batch, int what, int threads, double* out,
                          size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Predict(model, slipway::ArrowRows(model, schema, batch), what, threads, out,
                            out_count);
  });
}

int slipway_explain(const slipway_model* model, const slipway_matrix* matrix, int threads,
                    double* out, size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Explain(model, slipway::MatrixRows(model, matrix), threads, out, out_count);
  });
}

int slipway_explain_columns(const slipway_model* model, const slipway_column* columns,
                            int64_t column_count, int64_t rows, int threads, double* out,
                            size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Explain(model, slipway::ColumnRows(model, columns, column_count, rows), threads,
                            out, out_count);
  });
}

int slipway_explain_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                          const struct ArrowArray* batch, int threads, double* out,
                          size_t out_count) {
  return slipway::Guarded([&] {
    return slipway::Explain(model, slipway::ArrowRows(model, schema, batch), threads, out,
                            out_count);
  });
}

int slipway_score_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                        const struct ArrowArray* batch, int threads, struct ArrowSchema* out_schema,
                        struct ArrowArray* out_batch) {
  return slipway::Guarded([&]() -> slipway::Status {
    if (out_schema == nullptr || out_batch == nullptr)
      return slipway::IsNull("out_schema or out_batch");
    const slipway::Result<slipway::InputRows> rows = slipway::ArrowRows(model, schema, batch);
    if (!rows.ok()) return rows.error();
    return slipway::ScoreArrow(*model->model, *rows, threads, out_schema, out_batch);
  });
}

int slipway_output_schema(const slipway_model* model, struct ArrowSchema* out_schema) {
  return slipway::Guarded([&]() -> slipway::Status {
    if (model == nullptr) return slipway::IsNull("model");
    if (out_schema == nullptr) return slipway::IsNull("out_schema");
    slipway::ExportSchema(model->model->outputs(), out_schema);
    return {};
  });
}

}  // extern "C"
