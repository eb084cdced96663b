// Small models for the tests of this module.
#pragma once

#include <gtest/gtest.h>

#include "slipway/base/json.h"
#include "slipway/bundle/bundle.h"
#include "slipway/features/pipeline.h"

namespace slipway {

// A numeric feature, a category feature (native codes) and a filter, fitted on a few rows.
inline Pipeline TestPipeline() {
  const Schema raw{{{"size", Type::kDouble}, {"kind", Type::kString}}};
  FitOptions options;
  PrepareStep filter;
  filter.kind = PrepareStep::Kind::kFilter;
  filter.expression = "size is null or size > -100";
  options.prepare = {filter};
  options.features["size"].kind = FeatureKind::kNumeric;
  options.features["size"].missing = MissingPolicy::kNative;
  options.features["kind"].kind = FeatureKind::kCategory;
  options.features["kind"].encode = CategoryEncode::kNative;
  Result<PipelineFitter> fitter = PipelineFitter::Make(raw, options);
  EXPECT_TRUE(fitter.ok()) << fitter.error().message;
  OwnedBatch batch(raw);
  batch.rows = 6;
  for (int row = 0; row < batch.rows; ++row) {
    batch.column(0).doubles()[row] = row;
    batch.column(1).strings()[row] = row < 3 ? "red" : row < 5 ? "green" : "blue";
  }
  batch.column(0).SetAllValid();
  batch.column(1).SetAllValid();
  PrepareScratch scratch;
  const PreparedRows prepared = fitter->preparer().Run(batch.View(), &scratch);
  EXPECT_TRUE(fitter->Observe(prepared.batch, nullptr).ok());
  std::vector<std::string> warnings;
  Result<Pipeline> pipeline = fitter->Finish(&warnings);
  EXPECT_TRUE(pipeline.ok()) << pipeline.error().message;
  return *pipeline;
}

// Two features; splits on size <= 2.5 and on kind being category 1; `outputs` equal-shaped trees.
inline std::string TestModelText(const std::string& objective, int outputs = 1) {
  std::string text = "tree\nversion=v4\nnum_class=" + std::to_string(outputs) +
                     "\nnum_tree_per_iteration=" + std::to_string(outputs) +
                     "\nlabel_index=0\nmax_feature_idx=1\n" +
                     (objective.empty() ? "" : "objective=" + objective + "\n") +
                     "feature_names=size kind\nfeature_infos=[0:5] 0:1:2\n\n";
  for (int i = 0; i < outputs; ++i) {
    text += "Tree=" + std::to_string(i) +
            "\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=2.5 0\ndecision_type=10 "
            "1\nleft_child=1 -1\n"
            "right_child=-3 -2\nleaf_value=" +
            std::to_string(i) + ".25 -1.5 0." + std::to_string(3 + i) +
            "\ncat_boundaries=0 1\ncat_threshold=2\nis_linear=0\nshrinkage=1\n\n\n";
  }
  return text + "end of trees\n\nfeature_importances:\n";
}

inline BundleContent TestContent() {
  BundleContent content;
  content.kind = PredictionKind::kBinary;
  content.target = "sold";
  content.target_type = Type::kBoolean;
  content.classes = {"false", "true"};
  content.threshold = 0.4;
  content.algorithm = "lightgbm";
  content.model_text = TestModelText("binary sigmoid:1");
  content.pipeline_json = DumpJson(TestPipeline().ToJson());
  content.info_json = R"({"version": 3, "metrics": {"auc": 0.75}})";
  content.sample_rows = {{"1", "green"}, {"2.5", "red"},       {"3", "blue"},
                         {"", ""},       {"-0", "unheard of"}, {"-200", "red"}};
  return content;
}

}  // namespace slipway
