// Output transforms, operation by operation as the libraries have them, so that bits are equal:
// LightGBM's ConvertOutput in float64, XGBoost's PredTransform in float32 (src/objective,
// src/common/math.h).
#include <algorithm>
#include <cmath>

#include "slipway/score/engine.h"

namespace slipway {
namespace {

double Sigmoid(double sigmoid, double x) { return 1.0 / (1.0 + std::exp(-sigmoid * x)); }

void Softmax(double* scores, int classes) {
  double most = scores[0];
  for (int i = 1; i < classes; ++i) most = std::max(scores[i], most);
  double sum = 0;
  for (int i = 0; i < classes; ++i) {
    scores[i] = std::exp(scores[i] - most);
    sum += scores[i];
  }
  for (int i = 0; i < classes; ++i) scores[i] /= sum;
}

double SignedSquare(double x) {
  const int sign = (x > 0) - (x < 0);
  return sign * x * x;
}

float Sigmoid32(float x) { return 1.0F / (std::exp(std::min(-x, 88.7F)) + 1.0F); }

// The classes' sum alone is float64.
void Softmax32(double* scores, int classes) {
  float most = static_cast<float>(scores[0]);
  for (int i = 1; i < classes; ++i) most = std::fmax(static_cast<float>(scores[i]), most);
  double sum = 0;
  for (int i = 0; i < classes; ++i) {
    scores[i] = std::exp(static_cast<float>(scores[i]) - most);
    sum += scores[i];
  }
  for (int i = 0; i < classes; ++i)
    scores[i] = static_cast<float>(scores[i]) / static_cast<float>(sum);
}

// Scores that are float32 values become float32 values.
void ApplyFloat32Transform(const Forest& forest, int64_t rows, double* scores) {
  const int64_t count = rows * forest.outputs;
  switch (forest.transform) {
    case OutputTransform::kSigmoid:
      for (int64_t i = 0; i < count; ++i) scores[i] = Sigmoid32(static_cast<float>(scores[i]));
      return;
    case OutputTransform::kSoftmax:
      for (int64_t row = 0; row < rows; ++row)
        Softmax32(scores + row * forest.outputs, forest.outputs);
      return;
    case OutputTransform::kExp:
      // survival:aft says exp where the others say expf: in the package xgboost, whose compiler is
      // CUDA's, that is expf too; in xgboost-cpu it is float64's, rounded, a last bit away at most.
      for (int64_t i = 0; i < count; ++i) scores[i] = std::exp(static_cast<float>(scores[i]));
      return;
    case OutputTransform::kStep:
      for (int64_t i = 0; i < count; ++i) scores[i] = scores[i] > 0 ? 1 : 0;
      return;
    case OutputTransform::kIdentity:
    case OutputTransform::kMulticlassOva:
    case OutputTransform::kSignedSquare:
    case OutputTransform::kLog1pExp:
      return;  // the first as it is; XGBoost has none of the others
  }
}

}  // namespace

void ApplyOutputTransform(const Forest& forest, int64_t rows, double* scores) {
  if (forest.float32_sums) return ApplyFloat32Transform(forest, rows, scores);
  const int64_t count = rows * forest.outputs;
  if (forest.average) {
    for (int64_t i = 0; i < count; ++i) scores[i] /= forest.iterations;
  }
  switch (forest.transform) {
    case OutputTransform::kIdentity:
      return;
    case OutputTransform::kSigmoid:
    case OutputTransform::kMulticlassOva:
      for (int64_t i = 0; i < count; ++i) scores[i] = Sigmoid(forest.sigmoid, scores[i]);
      return;
    case OutputTransform::kSoftmax:
      for (int64_t row = 0; row < rows; ++row)
        Softmax(scores + row * forest.outputs, forest.outputs);
      return;
    case OutputTransform::kExp:
      for (int64_t i = 0; i < count; ++i) scores[i] = std::exp(scores[i]);
      return;
    case OutputTransform::kSignedSquare:
      for (int64_t i = 0; i < count; ++i) scores[i] = SignedSquare(scores[i]);
      return;
    case OutputTransform::kLog1pExp:
      for (int64_t i = 0; i < count; ++i) scores[i] = std::log1p(std::exp(scores[i]));
      return;
    case OutputTransform::kStep:
      for (int64_t i = 0; i < count; ++i) scores[i] = scores[i] > 0 ? 1 : 0;
      return;
  }
}

}  // namespace slipway
