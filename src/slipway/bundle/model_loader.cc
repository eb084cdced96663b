#include "slipway/bundle/model_loader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/explanations.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/forest/xgboost_json.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// Units in the last place that C libraries' exp and log1p, and what follows them, may differ by.
constexpr int64_t kScoreUlps = 4;
constexpr double kMatrixTolerance = 1e-12;

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

bool WithinUlps(double a, double b, int64_t ulps) {
  if (SameBits(a, b)) return true;
  if (!std::isfinite(a) || !std::isfinite(b) || std::signbit(a) != std::signbit(b)) return false;
  const int64_t distance = std::bit_cast<int64_t>(a) - std::bit_cast<int64_t>(b);
  return distance <= ulps && distance >= -ulps;
}

bool Near(double a, double b) {
  if (SameBits(a, b)) return true;
  return std::fabs(a - b) <= kMatrixTolerance * std::max({1.0, std::fabs(a), std::fabs(b)});
}

bool HasClasses(PredictionKind kind) {
  return kind == PredictionKind::kBinary || kind == PredictionKind::kMulticlass;
}

// The kinds must agree, but a regression may well be trained with an objective of the user's own.
bool Suits(PredictionKind declared, const Forest& forest) {
  if (declared == forest.kind) return true;
  return declared == PredictionKind::kRegression && forest.kind == PredictionKind::kRaw &&
         forest.outputs == 1;
}

std::string CategoryText(const Json& category) {
  return category.is_string() ? category.get<std::string>() : DumpJson(category);
}

Status FillSampleBatch(const BundleContent& content, OwnedBatch* batch) {
  const size_t width = static_cast<size_t>(batch->schema().size());
  if (content.sample_rows.size() > kBatchRows) {
    return Corruption(fmt::format("sample.json: {} rows are more than {}",
                                  content.sample_rows.size(), kBatchRows));
  }
  for (size_t row = 0; row < content.sample_rows.size(); ++row) {
    const std::vector<std::string>& cells = content.sample_rows[row];
    if (cells.size() != width) {
      return Corruption(
          fmt::format("sample.json: row {} has {} cells for {} inputs", row, cells.size(), width));
    }
    for (size_t i = 0; i < width; ++i) {
      if (ParseCellInto(cells[i], static_cast<int>(row), &batch->column(static_cast<int>(i))))
        continue;
      const Field& field = batch->schema().fields[i];
      return Corruption(fmt::format("sample.json: row {}, input '{}': '{}' is not of type {}", row,
                                    field.name, cells[i].substr(0, 60), TypeName(field.type)));
    }
  }
  batch->rows = static_cast<int>(content.sample_rows.size());
  return {};
}

template <typename Same>
Status Compare(const std::vector<double>& given, const std::vector<double>& found, size_t row,
               std::string_view what, Same same) {
  bool equal = given.size() == found.size();
  for (size_t i = 0; equal && i < given.size(); ++i) {
    if (same(given[i], found[i])) continue;
    return Corruption(
        fmt::format("sample.json: row {}: {} {} is {} here and {} in the bundle", row, what, i,
                    FormatDouble(found[i]), FormatDouble(given[i])),
        "the bundle was damaged, or this Slipway computes differently from the one that wrote it");
  }
  if (equal) return {};
  return Corruption(fmt::format("sample.json: row {}: {} {} numbers in the bundle and {} here", row,
                                what, given.size(), found.size()));
}

}  // namespace

Result<std::unique_ptr<Model>> ModelLoader::FromBytes(std::string_view bytes,
                                                      const ModelOptions& options) {
  if (LooksLikeBundle(bytes)) {
    ASSIGN_OR_RETURN(const BundleContent content, ParseBundle(bytes));
    Result<std::unique_ptr<Model>> model = FromContent(content, options);
    if (model.ok()) {
      if (Status status = CheckSample(**model, content); !status.ok())
        return status.error().Within("bundle");
      return model;
    }
    return model.error().Within("bundle");
  }
  if (LooksLikeLightGbmText(bytes)) {
    ASSIGN_OR_RETURN(Forest forest, ParseLightGbmText(bytes));
    return FromForest(std::move(forest), options);
  }
  if (LooksLikeXGBoost(bytes)) {
    ASSIGN_OR_RETURN(Forest forest, ParseXGBoost(bytes));
    return FromForest(std::move(forest), options);
  }
  return InvalidArgument(bytes.empty() ? "the file is empty" : "the file is not a model",
                         "expected a Slipway bundle, a model that LightGBM saved as text, or one "
                         "that XGBoost saved as JSON or UBJ");
}

Result<std::unique_ptr<Explanations>> ModelLoader::ExplanationsOf(std::string_view bytes,
                                                                  const Model& model, int most) {
  Forest forest;
  if (LooksLikeBundle(bytes)) {
    ASSIGN_OR_RETURN(const BundleContent content, ParseBundle(bytes));
    ASSIGN_OR_RETURN(forest, ParseLightGbmText(content.model_text));
  } else if (LooksLikeLightGbmText(bytes)) {
    ASSIGN_OR_RETURN(forest, ParseLightGbmText(bytes));
  } else {
    ASSIGN_OR_RETURN(forest, ParseXGBoost(bytes));
  }
  if (forest.feature_count != model.feature_count() || forest.outputs != model.engine().outputs())
    return Corruption("the file is not the one that the model was opened from");
  return Explanations::Make(forest, model.pipeline(), model.feature_names(), most);
}

Status ModelLoader::SetEngine(Forest forest, const ModelOptions& options, Model* model) {
  ASSIGN_OR_RETURN(model->engine_, CompileEngine(forest));
  if (options.explain > 0) {
    ASSIGN_OR_RETURN(
        model->explanations_,
        Explanations::Make(forest, model->pipeline(), model->feature_names(), options.explain));
    model->outputs_.fields.push_back({"explanations", Type::kString});
  }
  forest.trees.clear();
  forest.trees.shrink_to_fit();
  model->head_ = std::make_unique<Forest>(std::move(forest));
  return {};
}

Status ModelLoader::SetClasses(const std::vector<std::string>& classes, Type type, Model* model) {
  model->classes_ = classes;
  model->label_type_ = type;
  Column cell(type);
  std::set<std::string_view> seen;
  for (const std::string& name : classes) {
    cell.Reset(type);
    if (!ParseCellInto(name, 0, &cell) || !cell.valid(0)) {
      return Corruption(fmt::format("schema.json: class '{}' is not of type {}", name.substr(0, 60),
                                    TypeName(type)));
    }
    if (!seen.insert(name).second) {
      return Corruption(fmt::format("schema.json: class '{}' stands twice", name.substr(0, 60)));
    }
    switch (type) {
      case Type::kBoolean:
        model->label_ints_.push_back(cell.booleans()[0]);
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        model->label_ints_.push_back(cell.ints()[0]);
        break;
      case Type::kDate:
        model->label_ints_.push_back(cell.dates()[0]);
        break;
      case Type::kDouble:
        model->label_doubles_.push_back(cell.doubles()[0]);
        break;
      case Type::kString:
        break;
    }
  }
  return {};
}

Result<std::unique_ptr<Model>> ModelLoader::FromContent(const BundleContent& content,
                                                        const ModelOptions& options) {
  std::unique_ptr<Model> model(new Model);
  if (content.algorithm != "lightgbm") {
    return Corruption(
        fmt::format("schema.json: algorithm '{}' is not known", content.algorithm.substr(0, 60)));
  }
  const Result<Json> pipeline_json = ParseJson(content.pipeline_json);
  if (!pipeline_json.ok()) return pipeline_json.error().Within("pipeline.json");
  Result<Pipeline> pipeline = Pipeline::FromJson(*pipeline_json);
  if (!pipeline.ok()) return pipeline.error().Within("pipeline.json");
  Result<Json> info = ParseJson(content.info_json);
  if (!info.ok()) return info.error().Within("info.json");
  Result<Forest> forest = ParseLightGbmText(content.model_text);
  if (!forest.ok()) return forest.error().Within("model.txt");
  if (forest->feature_count != pipeline->feature_count()) {
    return Corruption(fmt::format("model.txt has {} features and pipeline.json makes {}",
                                  forest->feature_count, pipeline->feature_count()));
  }
  const size_t classes = !HasClasses(content.kind) ? 0
                         : content.kind == PredictionKind::kBinary
                             ? 2
                             : static_cast<size_t>(forest->outputs);
  if (!Suits(content.kind, *forest) || content.classes.size() != classes) {
    return Corruption(fmt::format(
        "a {} prediction with {} classes does not suit model.txt (objective '{}', {} outputs)",
        PredictionKindName(content.kind), content.classes.size(), forest->objective,
        forest->outputs));
  }
  if (std::isnan(content.threshold))
    return Corruption("schema.json: the threshold is not a number");
  RETURN_IF_ERROR(SetClasses(content.classes, content.target_type, model.get()));
  model->inputs_ = pipeline->inputs();
  model->outputs_ =
      OutputSchema(content.kind, content.classes, content.target_type, forest->outputs);
  model->forest_kind_ = content.kind;
  model->threshold_ = content.threshold;
  model->pipeline_ = std::move(*pipeline);
  model->info_ = std::make_unique<Json>(std::move(*info));
  RETURN_IF_ERROR(SetEngine(std::move(*forest), options, model.get()));
  return model;
}

// The libraries write the categories of a data frame's category columns in the order of those
// columns, LightGBM without their names.
Status ModelLoader::SetCategories(const Forest& forest, Model* model) {
  model->category_codes_.resize(static_cast<size_t>(forest.feature_count));
  if (forest.pandas_categorical.empty()) return {};
  ASSIGN_OR_RETURN(const Json lists, ParseJson(forest.pandas_categorical));
  if (lists.size() != forest.categorical_features.size()) {
    return InvalidArgument(
        fmt::format("the model has {} categorical features and pandas_categorical has {} lists: "
                    "which belongs to "
                    "which cannot be told",
                    forest.categorical_features.size(), lists.size()),
        "train with the same columns as pandas categories and as categorical_feature");
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    const size_t feature = static_cast<size_t>(forest.categorical_features[i]);
    model->inputs_.fields[feature].type = Type::kString;
    double code = 0;
    for (const Json& category : lists[i])
      model->category_codes_[feature].Add(CategoryText(category), code++);
  }
  return {};
}

Result<std::unique_ptr<Model>> ModelLoader::FromForest(Forest forest, const ModelOptions& options) {
  std::unique_ptr<Model> model(new Model);
  for (int i = 0; i < forest.feature_count; ++i) {
    // Without names, XGBoost's own for its features.
    model->inputs_.fields.push_back({forest.feature_names.empty()
                                         ? fmt::format("f{}", i)
                                         : forest.feature_names[static_cast<size_t>(i)],
                                     Type::kDouble});
  }
  RETURN_IF_ERROR(SetCategories(forest, model.get()));
  std::vector<std::string> classes;
  if (HasClasses(forest.kind)) {
    const int count = forest.kind == PredictionKind::kBinary ? 2 : forest.outputs;
    for (int i = 0; i < count; ++i) classes.push_back(std::to_string(i));
  }
  RETURN_IF_ERROR(SetClasses(classes, Type::kInt64, model.get()));
  model->outputs_ = OutputSchema(forest.kind, classes, Type::kInt64, forest.outputs);
  model->forest_kind_ = forest.kind;
  model->info_ =
      std::make_unique<Json>(Json{{"algorithm", forest.library.substr(0, forest.library.find(' '))},
                                  {"library", forest.library},
                                  {"objective", forest.objective},
                                  {"trees", forest.trees.size()}});
  if (forest.best_iteration >= 0) (*model->info_)["best_iteration"] = forest.best_iteration;
  RETURN_IF_ERROR(SetEngine(std::move(forest), options, model.get()));
  return model;
}

Status ModelLoader::ScoreSample(const Model& model, BundleContent* content) {
  OwnedBatch batch(model.inputs());
  RETURN_IF_ERROR(FillSampleBatch(*content, &batch));
  ModelScratch scratch;
  model.Score(batch.View(), &scratch);
  const size_t width = static_cast<size_t>(model.feature_count());
  const size_t outputs = static_cast<size_t>(model.engine_->outputs());
  std::vector<double> raw(scratch.scores.size());
  model.engine_->PredictRaw(scratch.matrix.data(), batch.rows, model.feature_count(), raw.data());
  content->sample_matrix.assign(content->sample_rows.size(), {});
  content->sample_raw = content->sample_scores = content->sample_matrix;
  for (size_t row = 0; row < content->sample_rows.size(); ++row) {
    if (scratch.keep[row] == 0) continue;
    const auto part = [row](const std::vector<double>& all, size_t count) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(row * count);
      return std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(count));
    };
    content->sample_matrix[row] = part(scratch.matrix, width);
    content->sample_raw[row] = part(raw, outputs);
    content->sample_scores[row] = part(scratch.scores, outputs);
  }
  return {};
}

Status ModelLoader::CheckSample(const Model& model, const BundleContent& content) {
  const size_t rows = content.sample_rows.size();
  if (content.sample_matrix.size() != rows || content.sample_raw.size() != rows ||
      content.sample_scores.size() != rows) {
    return Corruption("sample.json: its lists differ in length");
  }
  BundleContent found;
  found.sample_rows = content.sample_rows;
  RETURN_IF_ERROR(ScoreSample(model, &found));
  const OutputTransform transform = model.head_->transform;
  const int64_t ulps =
      transform == OutputTransform::kIdentity || transform == OutputTransform::kSignedSquare
          ? 0
          : kScoreUlps;
  const size_t outputs = static_cast<size_t>(model.engine_->outputs());
  for (size_t row = 0; row < rows; ++row) {
    RETURN_IF_ERROR(
        Compare(content.sample_matrix[row], found.sample_matrix[row], row, "feature", Near));
    // From here on the stored numbers: a last bit of the pipeline must not blame the forest.
    std::vector<double> scores(found.sample_matrix[row].empty() ? 0 : outputs);
    if (!scores.empty()) {
      model.engine_->PredictRaw(content.sample_matrix[row].data(), 1, model.feature_count(),
                                scores.data());
    }
    RETURN_IF_ERROR(Compare(content.sample_raw[row], scores, row, "raw score", SameBits));
    if (!scores.empty()) ApplyOutputTransform(*model.head_, 1, scores.data());
    RETURN_IF_ERROR(Compare(content.sample_scores[row], scores, row, "score",
                            [ulps](double a, double b) { return WithinUlps(a, b, ulps); }));
  }
  return {};
}

Status CompleteAndCheck(BundleContent* content) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, ModelLoader::FromContent(*content));
  if (content->sample_scores.empty()) return ModelLoader::ScoreSample(*model, content);
  return ModelLoader::CheckSample(*model, *content);
}

}  // namespace slipway
