// Kernels that choose, compare and combine truth values.
#include <algorithm>
#include <cmath>
#include <string>

#include "slipway/features/expression_kernels.h"
#include "slipway/features/expression_map.h"

namespace slipway::expression_internal {

namespace {

template <typename T>
Kernel Compare(std::string_view op) {
  if (op == "=")
    return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a == b); });
  if (op == "!=")
    return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a != b); });
  if (op == "<")
    return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a < b); });
  if (op == "<=")
    return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a <= b); });
  if (op == ">")
    return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a > b); });
  return MapKernel<uint8_t, T, T>([](T a, T b) { return static_cast<uint8_t>(a >= b); });
}

// The kernel template K<T> for the element type of a column type.
template <template <typename> typename K>
Kernel ByType(Type type) {
  switch (type) {
    case Type::kBoolean:
      return &K<uint8_t>::Run;
    case Type::kInt64:
    case Type::kTimestamp:
      return &K<int64_t>::Run;
    case Type::kDouble:
      return &K<double>::Run;
    case Type::kString:
      return &K<std::string_view>::Run;
    case Type::kDate:
      return &K<int32_t>::Run;
  }
  return nullptr;
}

template <typename T>
T FromConstant(const Call& call) {
  const Constant& value = call.instruction.constant;
  if (value.null) return T{};
  if constexpr (std::is_same_v<T, double>) {
    return value.real;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return call.arena->Intern(value.text);
  } else {
    return static_cast<T>(value.integer);
  }
}

template <typename T>
struct Fill {
  static void Run(const Call& call) {
    T* out = static_cast<T*>(call.out.data);
    std::fill(out, out + call.rows, FromConstant<T>(call));
    std::fill(call.out.validity, call.out.validity + (call.rows + 63) / 64,
              call.instruction.constant.null ? uint64_t{0} : ~uint64_t{0});
  }
};

void FillAny(const Call& call) { ByType<Fill>(call.instruction.type)(call); }

// Takes the first operand's rows where `first` says so, else the second's.
template <typename T, typename F>
void Choose(const Call& call, const Operand& a, const Operand& b, F first) {
  T* out = static_cast<T*>(call.out.data);
  for (int row = 0; row < call.rows; ++row) {
    const Operand& from = first(row) ? a : b;
    const bool valid = IsValid(from, row);
    out[row] = valid ? from.as<T>()[row] : T{};
    SetValid(call.out, row, valid);
  }
}

template <typename T>
struct If {
  static void Run(const Call& call) {
    const Operand& condition = call.arg(0);
    Choose<T>(call, call.arg(1), call.arg(2), [&](int row) {
      return IsValid(condition, row) && condition.as<uint8_t>()[row] != 0;
    });
  }
};

template <typename T>
struct Coalesce {
  static void Run(const Call& call) {
    Choose<T>(call, call.arg(0), call.arg(1), [&](int row) { return IsValid(call.arg(0), row); });
  }
};

template <typename T, bool kGreatest>
void Least(const Call& call) {
  const Operand& a = call.arg(0);
  const Operand& b = call.arg(1);
  Choose<T>(call, a, b, [&](int row) {
    if (!IsValid(a, row) || !IsValid(b, row)) return IsValid(a, row);
    const T x = a.as<T>()[row], y = b.as<T>()[row];
    return kGreatest ? !(x < y) : !(y < x);
  });
}
template <typename T>
struct LeastOf {
  static void Run(const Call& call) { Least<T, false>(call); }
};
template <typename T>
struct GreatestOf {
  static void Run(const Call& call) { Least<T, true>(call); }
};

// Three-valued: `decisive` is the value that settles the answer whatever the other side is.
template <bool kDecisive>
void Logic(const Call& call) {
  const Operand& a = call.arg(0);
  const Operand& b = call.arg(1);
  uint8_t* out = static_cast<uint8_t*>(call.out.data);
  for (int row = 0; row < call.rows; ++row) {
    const bool a_valid = IsValid(a, row), b_valid = IsValid(b, row);
    const bool settled = (a_valid && (a.as<uint8_t>()[row] != 0) == kDecisive) ||
                         (b_valid && (b.as<uint8_t>()[row] != 0) == kDecisive);
    out[row] = static_cast<uint8_t>(settled == kDecisive);
    SetValid(call.out, row, settled || (a_valid && b_valid));
  }
}

template <bool kNegated>
void IsNull(const Call& call) {
  uint8_t* out = static_cast<uint8_t*>(call.out.data);
  for (int row = 0; row < call.rows; ++row) {
    out[row] = static_cast<uint8_t>(IsValid(call.arg(0), row) == kNegated);
  }
  std::fill(call.out.validity, call.out.validity + (call.rows + 63) / 64, ~uint64_t{0});
}

template <typename T>
struct InSet {
  static bool Contains(const ConstantSet& set, T value) {
    if constexpr (std::is_same_v<T, double>) {
      return std::binary_search(set.reals.begin(), set.reals.end(), value);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      return std::binary_search(set.texts.begin(), set.texts.end(), value, std::less<>());
    } else {
      return std::binary_search(set.integers.begin(), set.integers.end(),
                                static_cast<int64_t>(value));
    }
  }
  static void Run(const Call& call) {
    const Operand& in = call.arg(0);
    const ConstantSet& set = call.instruction.set;
    uint8_t* out = static_cast<uint8_t*>(call.out.data);
    for (int row = 0; row < call.rows; ++row) {
      const bool valid = IsValid(in, row);
      const bool found = valid && Contains(set, in.as<T>()[row]);
      out[row] = static_cast<uint8_t>(found);
      SetValid(call.out, row, found || (valid && !set.has_null));
    }
  }
};

}  // namespace

Kernel FillKernel() { return &FillAny; }

Kernel CompareKernel(std::string_view op, Type type) {
  switch (type) {
    case Type::kBoolean:
      return Compare<uint8_t>(op);
    case Type::kInt64:
    case Type::kTimestamp:
      return Compare<int64_t>(op);
    case Type::kDouble:
      return Compare<double>(op);
    case Type::kString:
      return Compare<std::string_view>(op);
    case Type::kDate:
      return Compare<int32_t>(op);
  }
  return nullptr;
}

Kernel LeastKernel(bool greatest, Type type) {
  return greatest ? ByType<GreatestOf>(type) : ByType<LeastOf>(type);
}
Kernel AndKernel() { return &Logic<false>; }
Kernel OrKernel() { return &Logic<true>; }
Kernel NotKernel() {
  return MapKernel<uint8_t, uint8_t>([](uint8_t a) { return static_cast<uint8_t>(a == 0); });
}
Kernel IsNullKernel(bool negated) { return negated ? &IsNull<true> : &IsNull<false>; }
Kernel InSetKernel(Type type) { return ByType<InSet>(type); }
Kernel IfKernel(Type type) { return ByType<If>(type); }
Kernel CoalesceKernel(Type type) { return ByType<Coalesce>(type); }

}  // namespace slipway::expression_internal
