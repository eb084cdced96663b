// Output transforms, operation by operation as LightGBM's ConvertOutput has them, so that bits are
// equal.
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

}  // namespace

void ApplyOutputTransform(const Forest& forest, int64_t rows, double* scores) {
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
