// Internal to bundle: makes Models and checks samples.
#pragma once

#include "slipway/bundle/model.h"

namespace slipway {

// Loads the content as a model; fills empty sample numbers by scoring the sample rows, checks given
// ones.
Status CompleteAndCheck(BundleContent* content);

class ModelLoader {
 public:
  static Result<std::unique_ptr<Model>> FromBytes(std::string_view bytes,
                                                  const ModelOptions& options = {});
  // Without looking at the sample.
  static Result<std::unique_ptr<Model>> FromContent(const BundleContent& content,
                                                    const ModelOptions& options = {});
  static Result<std::unique_ptr<Explanations>> ExplanationsOf(std::string_view bytes,
                                                              const Model& model, int most);
  static Result<std::unique_ptr<Model>> FromForest(Forest forest, const ModelOptions& options = {});
  // matrix, raw scores and scores of the content's sample rows.
  static Status ScoreSample(const Model& model, BundleContent* content);
  static Status CheckSample(const Model& model, const BundleContent& content);

 private:
  static Status SetClasses(const std::vector<std::string>& classes, Type type, Model* model);
  static Status SetEngine(Forest forest, const ModelOptions& options, Model* model);
  static Status SetCategories(const Forest& forest, Model* model);
};

}  // namespace slipway
