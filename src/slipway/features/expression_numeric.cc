// Kernels on numbers.
#include <cmath>
#include <limits>
#include <numbers>

#include "slipway/features/expression_kernels.h"
#include "slipway/features/expression_map.h"

namespace slipway::expression_internal {

namespace {

constexpr double kEarthRadiusKm = 6371.0088;  // mean radius, IUGG

double Radians(double degrees) { return degrees * (std::numbers::pi / 180.0); }

double HaversineKm(double lat1, double lon1, double lat2, double lon2) {
  const double a = std::sin(Radians(lat2 - lat1) / 2);
  const double b = std::sin(Radians(lon2 - lon1) / 2);
  const double h = a * a + std::cos(Radians(lat1)) * std::cos(Radians(lat2)) * b * b;
  return 2 * kEarthRadiusKm *
         std::asin(std::sqrt(h > 1 ? 1.0 : h));  // rounding may pass 1 at antipodes
}

double RoundDigits(double x, int64_t digits) {
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    if (unit - unit != 0) return x - x == 0 ? 0.0 : x;  // infinities stay
    return std::round(x / unit) * unit;
  }
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double rounded = std::round(x * unit) / unit;
  return rounded - rounded == 0 ? rounded : x;
}

int64_t RoundDigits(bool& ok, int64_t x, int64_t digits) {
  if (digits >= 0) return x;
  if (digits < -19) return 0;
  uint64_t unit = 1;
  for (int64_t i = digits; i < 0; ++i) unit *= 10;  // 10^19 fits uint64
  const uint64_t size = x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
  uint64_t down = size - size % unit;
  if (size % unit >= unit - size % unit) {  // half away from zero
    if (__builtin_add_overflow(down, unit, &down)) ok = false;
  }
  if (down > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) ok = false;
  if (!ok) return 0;
  return x < 0 ? -static_cast<int64_t>(down) : static_cast<int64_t>(down);
}

Kernel IntArithmetic(char op) {
  switch (op) {
    case '+':
      return MapKernel<int64_t, int64_t, int64_t>([](bool& ok, int64_t a, int64_t b) {
        int64_t r = 0;
        ok = !__builtin_add_overflow(a, b, &r);
        return r;
      });
    case '-':
      return MapKernel<int64_t, int64_t, int64_t>([](bool& ok, int64_t a, int64_t b) {
        int64_t r = 0;
        ok = !__builtin_sub_overflow(a, b, &r);
        return r;
      });
    case '*':
      return MapKernel<int64_t, int64_t, int64_t>([](bool& ok, int64_t a, int64_t b) {
        int64_t r = 0;
        ok = !__builtin_mul_overflow(a, b, &r);
        return r;
      });
    default:
      return MapKernel<int64_t, int64_t, int64_t>([](bool& ok, int64_t a, int64_t b) {
        ok = b != 0;
        return b == 0 || b == -1 ? int64_t{0} : a % b;  // INT64_MIN % -1 overflows in hardware
      });
  }
}

}  // namespace

Kernel ArithmeticKernel(char op, Type type) {
  if (type == Type::kInt64) return IntArithmetic(op);
  switch (op) {
    case '+':
      return MapKernel<double, double, double>([](double a, double b) { return a + b; });
    case '-':
      return MapKernel<double, double, double>([](double a, double b) { return a - b; });
    case '*':
      return MapKernel<double, double, double>([](double a, double b) { return a * b; });
    default:
      return MapKernel<double, double, double>([](double a, double b) { return std::fmod(a, b); });
  }
}

Kernel DivideKernel() {
  return MapKernel<double, double, double>([](bool& ok, double a, double b) {
    ok = b != 0;
    return ok ? a / b : 0.0;
  });
}

Kernel PowerKernel() {
  return MapKernel<double, double, double>([](bool& ok, double a, double b) {
    ok = !(a == 0 && b < 0);
    return ok ? std::pow(a, b) : 0.0;
  });
}

Kernel NegateKernel(Type type) {
  if (type == Type::kDouble) return MapKernel<double, double>([](double a) { return -a; });
  return MapKernel<int64_t, int64_t>([](bool& ok, int64_t a) {
    int64_t r = 0;
    ok = !__builtin_sub_overflow(int64_t{0}, a, &r);
    return r;
  });
}

Kernel AbsKernel(Type type) {
  if (type == Type::kDouble)
    return MapKernel<double, double>([](double a) { return std::fabs(a); });
  return MapKernel<int64_t, int64_t>([](bool& ok, int64_t a) {
    ok = a != std::numeric_limits<int64_t>::min();
    return ok && a < 0 ? -a : a;
  });
}

Kernel MathKernel(std::string_view name) {
  if (name == "sqrt") return MapKernel<double, double>([](double a) { return std::sqrt(a); });
  if (name == "exp") return MapKernel<double, double>([](double a) { return std::exp(a); });
  if (name == "floor") return MapKernel<double, double>([](double a) { return std::floor(a); });
  if (name == "ceil") return MapKernel<double, double>([](double a) { return std::ceil(a); });
  if (name == "round") return MapKernel<double, double>([](double a) { return std::round(a); });
  if (name == "ln") {
    return MapKernel<double, double>([](bool& ok, double a) {
      ok = a > 0;
      return ok ? std::log(a) : 0.0;
    });
  }
  if (name == "log10") {
    return MapKernel<double, double>([](bool& ok, double a) {
      ok = a > 0;
      return ok ? std::log10(a) : 0.0;
    });
  }
  return nullptr;
}

Kernel RoundDigitsKernel(Type type) {
  if (type == Type::kDouble) {
    return MapKernel<double, double, int64_t>([](double x, int64_t digits) {
      return RoundDigits(x, std::min<int64_t>(std::max<int64_t>(digits, -400), 400));
    });
  }
  return MapKernel<int64_t, int64_t, int64_t>(
      [](bool& ok, int64_t x, int64_t digits) { return RoundDigits(ok, x, digits); });
}

Kernel HaversineKernel() {
  return MapKernel<double, double, double, double, double>(
      [](double a, double b, double c, double d) { return HaversineKm(a, b, c, d); });
}

Kernel IntToDoubleKernel() {
  return MapKernel<double, int64_t>([](int64_t a) { return static_cast<double>(a); });
}

Kernel BooleanToIntKernel() {
  return MapKernel<int64_t, uint8_t>([](uint8_t a) { return static_cast<int64_t>(a != 0); });
}

Kernel DoubleToIntKernel() {
  return MapKernel<int64_t, double>([](bool& ok, double a) {
    ok = a >= -0x1p63 && a < 0x1p63;
    return ok ? static_cast<int64_t>(a) : int64_t{0};
  });
}

}  // namespace slipway::expression_internal
