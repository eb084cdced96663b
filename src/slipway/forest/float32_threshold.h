// Thresholds of libraries that round a value to float32 before they compare it, as float64
// thresholds on the value itself: for every double x but NaN, `x <= result` decides as they do.
// Rounding is to nearest, ties to even, as a cast is; it is monotonic, so that the doubles that go
// left are all those up to one boundary. Pure; thread-safe.
#pragma once

namespace slipway {

// XGBoost: float(x) < threshold. REQUIRES: threshold is above -infinity (below it lies nothing).
double ThresholdBelowFloat32(float threshold);

// scikit-learn: float(x) <= threshold, compared in float64. REQUIRES: threshold is a number.
double ThresholdUpToFloat32(double threshold);

}  // namespace slipway
