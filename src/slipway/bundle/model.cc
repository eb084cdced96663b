#include "slipway/bundle/model.h"

#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/bundle/explanations.h"
#include "slipway/bundle/model_loader.h"

namespace slipway {
namespace {

constexpr size_t kMaxFileBytes = size_t{2} << 30;

void FillMatrix(std::span<const FeatureColumn> features, int64_t rows, double* matrix) {
  for (int64_t row = 0; row < rows; ++row) {
    for (const FeatureColumn& feature : features) *matrix++ = ReadValue(feature, row);
  }
}

}  // namespace

Model::Model() = default;
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::Open(const std::string& path, const ModelOptions& options) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  Result<std::unique_ptr<Model>> model = FromBytes(bytes, options);
  if (!model.ok()) return model.error().Within(path);
  return model;
}

Result<std::unique_ptr<Model>> Model::FromBytes(std::string_view bytes,
                                                const ModelOptions& options) {
  return ModelLoader::FromBytes(bytes, options);
}

Result<std::unique_ptr<Model>> Model::FromForest(Forest forest) {
  RETURN_IF_ERROR(Validate(forest));
  return ModelLoader::FromForest(std::move(forest));
}

Result<std::unique_ptr<Model>> Model::FromContent(const BundleContent& content) {
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, ModelLoader::FromContent(content));
  if (!content.sample_scores.empty()) RETURN_IF_ERROR(ModelLoader::CheckSample(*model, content));
  return model;
}

const Json& Model::info() const { return *info_; }
std::string Model::engine_name() const { return std::string(engine_->name()); }
int Model::feature_count() const { return engine_->feature_count(); }

std::vector<std::string> Model::feature_names() const {
  if (!pipeline_) return inputs_.Names();
  std::vector<std::string> names;
  for (const ModelFeature& feature : pipeline_->features()) names.push_back(feature.name);
  return names;
}

const CategoryCodes* Model::category_codes(int feature) const {
  if (static_cast<size_t>(feature) >= category_codes_.size()) return nullptr;
  const auto& codes = category_codes_[static_cast<size_t>(feature)];
  return codes.empty() ? nullptr : &codes;
}

std::span<const FeatureColumn> Model::FeaturesOf(const Batch& batch, ModelScratch* scratch) const {
  scratch->features.assign(batch.columns.size(), {});
  scratch->codes.resize(batch.columns.size());
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    const ColumnView& column = batch.columns[i];
    FeatureColumn& to = scratch->features[i];
    if (column.data == nullptr) continue;
    to = {column.data, sizeof(double), ValueType::kFloat64,
          reinterpret_cast<const uint8_t*>(column.validity)};
    if (column.type == Type::kDouble) continue;
    std::vector<double>& codes = scratch->codes[i];
    codes.resize(static_cast<size_t>(batch.rows));
    for (int row = 0; row < batch.rows; ++row) {
      if (column.valid(row))
        codes[static_cast<size_t>(row)] = category_codes_[i].Find(column.strings()[row]);
    }
    to.data = codes.data();
  }
  return scratch->features;
}

void Model::WriteLabel(int row, size_t label, Column* column) const {
  column->SetValid(row);
  switch (label_type_) {
    case Type::kBoolean:
      column->booleans()[row] = static_cast<uint8_t>(label_ints_[label]);
      return;
    case Type::kInt64:
    case Type::kTimestamp:
      column->ints()[row] = label_ints_[label];
      return;
    case Type::kDate:
      column->dates()[row] = static_cast<int32_t>(label_ints_[label]);
      return;
    case Type::kDouble:
      column->doubles()[row] = label_doubles_[label];
      return;
    case Type::kString:
      column->strings()[row] = classes_[label];
      return;
  }
}

bool Model::has_labels() const {
  return forest_kind_ == PredictionKind::kBinary || forest_kind_ == PredictionKind::kMulticlass;
}

size_t Model::LabelOf(const double* scores) const {
  if (forest_kind_ == PredictionKind::kBinary) return size_t{scores[0] > threshold_};
  // max_element gives the first of equals.
  return static_cast<size_t>(std::max_element(scores, scores + engine_->outputs()) - scores);
}

double Model::OtherProbability(double score) const {
  const double other = 1 - score;
  return head_->float32_sums ? static_cast<double>(static_cast<float>(other)) : other;
}

void Model::WriteScores(int rows, const ModelScratch& scratch, std::vector<Column>* columns) const {
  const size_t outputs = static_cast<size_t>(engine_->outputs());
  for (int row = 0; row < rows; ++row) {
    if (scratch.keep[static_cast<size_t>(row)] == 0) continue;
    const double* scores = &scratch.scores[static_cast<size_t>(row) * outputs];
    const auto write = [&](size_t column, double value) {
      (*columns)[column].doubles()[row] = value;
      (*columns)[column].SetValid(row);
    };
    if (forest_kind_ == PredictionKind::kBinary) {
      write(0, OtherProbability(scores[0]));
      write(1, scores[0]);
    } else {
      for (size_t i = 0; i < outputs; ++i) write(i, scores[i]);
    }
    if (has_labels())
      WriteLabel(row, LabelOf(scores), &(*columns)[columns->size() - (explanations_ ? 2 : 1)]);
  }
}

void Model::Prepare(const Batch& batch, ModelScratch* scratch) const {
  const size_t rows = static_cast<size_t>(batch.rows);
  scratch->keep.resize(rows);
  if (pipeline_) {
    scratch->matrix.resize(rows * static_cast<size_t>(feature_count()));
    pipeline_->Transform(batch, &scratch->pipeline, scratch->matrix.data(), scratch->keep.data());
  } else {
    FeaturesOf(batch, scratch);
    std::fill(scratch->keep.begin(), scratch->keep.end(), uint8_t{1});
  }
}

void Model::Predict(int rows, ModelScratch* scratch) const {
  scratch->scores.resize(static_cast<size_t>(rows) * static_cast<size_t>(engine_->outputs()));
  if (pipeline_) {
    PredictMatrix(scratch->matrix.data(), rows, scratch->scores.data());
  } else {
    PredictColumns(scratch->features, rows, false, 1, scratch->scores.data());
  }
}

void Model::FeatureRows(int rows, ModelScratch* scratch) const {
  if (pipeline_) return;
  scratch->matrix.resize(static_cast<size_t>(rows) * static_cast<size_t>(feature_count()));
  FillMatrix(scratch->features, rows, scratch->matrix.data());
}

Result<std::unique_ptr<Explanations>> Model::OpenExplanations(const std::string& path,
                                                              int most) const {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  return ModelLoader::ExplanationsOf(bytes, *this, most);
}

std::span<const ColumnView> Model::Score(const Batch& batch, ModelScratch* scratch) const {
  Prepare(batch, scratch);
  Predict(batch.rows, scratch);
  if (explanations_) FeatureRows(batch.rows, scratch);
  WriteOutputs(batch.rows, scratch);
  if (explanations_) {
    Column& column = scratch->outputs.back();
    explanations_->Write(scratch->matrix.data(), batch.rows, scratch->keep.data(),
                         scratch->scores.data(), &column);
    scratch->views.back() = column.View();
  }
  return scratch->views;
}

std::span<const ColumnView> Model::WriteOutputs(int rows, ModelScratch* scratch) const {
  const size_t columns = static_cast<size_t>(outputs_.size());
  scratch->outputs.resize(columns);
  for (size_t i = 0; i < columns; ++i) scratch->outputs[i].Reset(outputs_.fields[i].type);
  WriteScores(rows, *scratch, &scratch->outputs);
  scratch->views.clear();
  for (const Column& column : scratch->outputs) scratch->views.push_back(column.View());
  return scratch->views;
}

void Model::PredictMatrix(const double* matrix, int64_t rows, double* out) const {
  engine_->PredictRaw(matrix, rows, feature_count(), out);
  ApplyOutputTransform(*head_, rows, out);
}

Status Model::SetThreshold(double threshold) {
  if (forest_kind_ != PredictionKind::kBinary) {
    return InvalidArgument("a threshold is for models of two classes; this one predicts " +
                           std::string(PredictionKindName(forest_kind_)));
  }
  if (!(threshold >= 0 && threshold <= 1))
    return InvalidArgument("a threshold lies between 0 and 1");
  threshold_ = threshold;
  return {};
}

}  // namespace slipway
