// The sum is float32, feature by feature in ascending order, as XGBoost's gblinear has it
// (src/gbm/gblinear.cc, Pred).
#include "slipway/score/linear_engine.h"

#include <cmath>

namespace slipway {
namespace {

class LinearEngine final : public Engine {
 public:
  explicit LinearEngine(const Forest& forest)
      : feature_count_(forest.feature_count), outputs_(forest.outputs) {
    for (const double weight : forest.linear_model.weights)
      weights_.push_back(static_cast<float>(weight));
    for (int output = 0; output < outputs_; ++output) {
      const size_t o = static_cast<size_t>(output);
      const float base = forest.base.empty() ? 0.0F : static_cast<float>(forest.base[o]);
      start_.push_back(static_cast<float>(forest.linear_model.bias[o]) + base);
    }
    for (int32_t feature = 0; feature < feature_count_; ++feature)
      used_features_.push_back(feature);
  }

  std::string_view name() const override { return "linear"; }
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return outputs_; }
  size_t memory_bytes() const override { return (weights_.size() + start_.size()) * sizeof(float); }

  void PredictRaw(const double* features, int64_t rows, int64_t stride,
                  double* out) const override {
    for (int64_t row = 0; row < rows; ++row) {
      const double* values = features + row * stride;
      for (int output = 0; output < outputs_; ++output) {
        float sum = start_[static_cast<size_t>(output)];
        for (int feature = 0; feature < feature_count_; ++feature) {
          const float value = static_cast<float>(values[feature]);
          if (std::isnan(value)) continue;
          sum += value * weights_[static_cast<size_t>(feature) * static_cast<size_t>(outputs_) +
                                  static_cast<size_t>(output)];
        }
        *out++ = sum;
      }
    }
  }

 private:
  int feature_count_, outputs_;
  std::vector<float> weights_, start_;
};

}  // namespace

std::unique_ptr<Engine> CompileLinearEngine(const Forest& forest) {
  return std::make_unique<LinearEngine>(forest);
}

}  // namespace slipway
