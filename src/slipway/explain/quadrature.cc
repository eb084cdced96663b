#include "slipway/explain/quadrature.h"

#include <cmath>
#include <numbers>

namespace slipway {

Quadrature GaussLegendre(int count) {
  Quadrature result;
  for (int i = 0; i < count; ++i) {
    // Newton's method for the i-th root of the Legendre polynomial of degree `count` on (-1, 1),
    // from its asymptotic place; long double, so that the last bits of doubles are right.
    long double x =
        std::cos(std::numbers::pi_v<long double> * (count - i - 0.25L) / (count + 0.5L));
    long double slope = 1;
    for (int step = 0; step < 100; ++step) {
      long double before = 1, value = x;
      for (int n = 2; n <= count; ++n) {
        const long double next = ((2 * n - 1) * x * value - (n - 1) * before) / n;
        before = value;
        value = next;
      }
      slope = count * (x * value - before) / (x * x - 1);
      const long double change = value / slope;
      x -= change;
      if (std::fabs(change) < 1e-18L) break;
    }
    result.points.push_back(static_cast<double>((1 + x) / 2));
    result.weights.push_back(static_cast<double>(1 / ((1 - x * x) * slope * slope)));
  }
  return result;
}

}  // namespace slipway
