// Gauss-Legendre points on (0, 1). Internal to explain.
#pragma once

#include <vector>

namespace slipway {

struct Quadrature {
  std::vector<double> points, weights;  // weights sum to 1
};

// Integrates polynomials up to degree 2 * count - 1 exactly. REQUIRES: count > 0.
Quadrature GaussLegendre(int count);

}  // namespace slipway
