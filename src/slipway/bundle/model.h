// A Model is what scores: input schema + pipeline + engine + outputs, from a bundle or a bare model
// file. Immutable and thread-safe; one ModelScratch per thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/bundle/bundle.h"
#include "slipway/bundle/category_codes.h"
#include "slipway/features/pipeline.h"
#include "slipway/forest/forest.h"
#include "slipway/score/engine.h"
#include "slipway/table/batch.h"

namespace slipway {

struct ModelScratch {
  PipelineScratch pipeline;
  std::vector<double> matrix, scores;
  std::vector<FeatureColumn> features;  // of a bare model file, in place of the matrix
  std::vector<std::vector<double>> codes;
  std::vector<uint8_t> keep;
  std::vector<Column> outputs;
  std::vector<ColumnView> views;
};

struct ModelOptions {
  // K > 0: outputs() ends in a string column `explanations`, of each row the K largest
  // contributions (explanations.h). The model keeps what that needs.
  int explain = 0;
};

class Explanations;

class Model {
 public:
  // A bundle (see docs/bundle-format.md) or a LightGBM text file, by content. The bundle's hashes
  // are verified and its sample rows scored again; any difference (docs/bundle-format.md) is
  // kCorruption.
  static Result<std::unique_ptr<Model>> Open(const std::string& path,
                                             const ModelOptions& options = {});

  // The same from the file's bytes.
  static Result<std::unique_ptr<Model>> FromBytes(std::string_view bytes,
                                                  const ModelOptions& options = {});
  // From trees as data. kCorruption when they do not validate.
  static Result<std::unique_ptr<Model>> FromForest(Forest forest);
  // From a bundle's content. The sample is scored again when it has scores.
  static Result<std::unique_ptr<Model>> FromContent(const BundleContent& content);

  // Raw input columns with pinned types. A bare model file: one double per feature (categories of
  // pandas_categorical: string).
  const Schema& inputs() const { return inputs_; }
  // Output columns, in order: regression `prediction`; classification `proba_<class>`...,
  // `prediction`; then `explanations` when they were asked for.
  const Schema& outputs() const { return outputs_; }
  PredictionKind kind() const { return forest_kind_; }
  const std::vector<std::string>& classes() const { return classes_; }
  double threshold() const { return threshold_; }
  // Another threshold for class 1, in [0, 1]; binary only. Before the model is shared between
  // threads.
  Status SetThreshold(double threshold);
  const Json& info() const;  // algorithm, version, created_at, metrics, library versions, ...
  std::string engine_name() const;
  const Pipeline* pipeline() const { return pipeline_ ? &*pipeline_ : nullptr; }
  int feature_count() const;
  std::vector<std::string> feature_names() const;

  // batch.schema must equal inputs(). Gives outputs().size() columns that live in the scratch until
  // its next use. A row that a filter drops keeps its place with null outputs.
  std::span<const ColumnView> Score(const Batch& batch, ModelScratch* scratch) const;
  // Score's parts, for who writes answers of its own; they allocate nothing once warm. Prepare
  // gives scratch->keep and what Predict reads (batch must live until then); Predict gives
  // scratch->scores, rows x engine().outputs() transformed scores; FeatureRows, after Prepare,
  // rows x feature_count() doubles in scratch->matrix.
  void Prepare(const Batch& batch, ModelScratch* scratch) const;
  void Predict(int rows, ModelScratch* scratch) const;
  void FeatureRows(int rows, ModelScratch* scratch) const;
  // The predicted class of a row's transformed scores, as a place in classes(). REQUIRES: classes.
  size_t LabelOf(const double* scores) const;
  // The probability of class 0 of a binary model beside that of class 1.
  double OtherProbability(double score) const;
  // Explanations of this model alone, from the file that it was opened from: without another
  // engine.
  Result<std::unique_ptr<Explanations>> OpenExplanations(const std::string& path, int most) const;
  // The second half alone: outputs().size() columns of the rows x engine().outputs() transformed
  // scores in scratch->scores; rows that scratch->keep has as 0 are null. Explanations, which need
  // the features, stay null.
  std::span<const ColumnView> WriteOutputs(int rows, ModelScratch* scratch) const;
  // Transformed scores (regression value / probability of class 1 / probabilities per class) of
  // feature rows.
  void PredictMatrix(const double* matrix, int64_t rows, double* out) const;
  // The same, or scores before the transform, from feature columns (categories as codes; only
  // engine().used_features() are read) over up to `threads` threads; 0: as many as the machine has.
  void PredictColumns(std::span<const FeatureColumn> columns, int64_t rows, bool raw, int threads,
                      double* out) const;
  const Engine& engine() const { return *engine_; }
  // The forest's settings, without its trees.
  const Forest& settings() const { return *head_; }
  // Of a bare model file; nullptr: the feature is a number.
  const CategoryCodes* category_codes(int feature) const;

  ~Model();

 private:
  friend class ModelLoader;
  Model();
  // Of a bare model file, whose every input is a feature: the columns as the engine
  // takes them, with codes for categories.
  std::span<const FeatureColumn> FeaturesOf(const Batch& batch, ModelScratch* scratch) const;
  void WriteScores(int rows, const ModelScratch& scratch, std::vector<Column>* columns) const;
  void WriteLabel(int row, size_t label, Column* column) const;
  bool has_labels() const;

  Schema inputs_, outputs_;
  PredictionKind forest_kind_ = PredictionKind::kRegression;
  std::vector<std::string> classes_;
  Type label_type_ = Type::kDouble;
  double threshold_ = 0.5;
  std::optional<Pipeline> pipeline_;
  std::unique_ptr<Forest> head_;  // transform settings only, no trees
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Explanations> explanations_;  // or nullptr
  std::unique_ptr<Json> info_;
  // classes_ as values of label_type_: those of the one vector that suits the type.
  std::vector<int64_t> label_ints_;
  std::vector<double> label_doubles_;
  std::vector<CategoryCodes> category_codes_;  // of a bare model file, per feature; empty: a number
};

}  // namespace slipway
