#include "slipway/forest/lightgbm_objective.h"

#include <optional>

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/forest/lightgbm_lines.h"

namespace slipway::lightgbm {
namespace {

struct Objective {
  std::string_view name;
  OutputTransform transform;
  PredictionKind kind;
  bool square_root = false;  // heeds the word "sqrt"
};

// LightGBM 4.x src/objective: CreateObjectiveFunction, and each class's ConvertOutput.
constexpr Objective kObjectives[] = {
    {"regression", OutputTransform::kIdentity, PredictionKind::kRegression, true},
    {"regression_l1", OutputTransform::kIdentity, PredictionKind::kRegression, true},
    {"quantile", OutputTransform::kIdentity, PredictionKind::kRegression, true},
    {"mape", OutputTransform::kIdentity, PredictionKind::kRegression, true},
    {"fair", OutputTransform::kIdentity, PredictionKind::kRegression, true},
    {"huber", OutputTransform::kIdentity, PredictionKind::kRegression},
    {"poisson", OutputTransform::kExp, PredictionKind::kRegression},
    {"gamma", OutputTransform::kExp, PredictionKind::kRegression},
    {"tweedie", OutputTransform::kExp, PredictionKind::kRegression},
    {"binary", OutputTransform::kSigmoid, PredictionKind::kBinary},
    {"multiclass", OutputTransform::kSoftmax, PredictionKind::kMulticlass},
    {"multiclassova", OutputTransform::kMulticlassOva, PredictionKind::kMulticlass},
    {"cross_entropy", OutputTransform::kSigmoid, PredictionKind::kRegression},
    {"cross_entropy_lambda", OutputTransform::kLog1pExp, PredictionKind::kRegression},
    {"lambdarank", OutputTransform::kIdentity, PredictionKind::kRaw},
    {"rank_xendcg", OutputTransform::kIdentity, PredictionKind::kRaw},
    {"custom", OutputTransform::kIdentity, PredictionKind::kRaw},
    {"none", OutputTransform::kIdentity, PredictionKind::kRaw},
};

// The library reads this one number with a decimal reader of its own: digits before and after the
// point are two whole numbers, joined by a division and an addition. With the at most 15 digits
// that it writes, that is these operations.
std::optional<double> ReadSigmoid(std::string_view text) {
  constexpr size_t kMostDigits = 15;
  const size_t point = text.find('.');
  const bool plain = text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (!plain || point == std::string_view::npos || text.size() > kMostDigits + 1)
    return ParseDouble(text);
  double whole = 0, fraction = 0, scale = 1;
  for (const char c : text.substr(0, point)) whole = whole * 10 + (c - '0');
  for (const char c : text.substr(point + 1)) {
    if (c == '.') return std::nullopt;
    fraction = fraction * 10 + (c - '0');
    scale *= 10;
  }
  return whole + fraction / scale;
}

}  // namespace

Status ReadObjective(std::string_view text, int num_class, Forest* forest) {
  forest->objective = std::string(text);
  const std::vector<std::string_view> words = Words(text);
  const Objective* objective = nullptr;
  for (const Objective& known : kObjectives) {
    if (!words.empty() && known.name == words[0]) objective = &known;
  }
  if (objective == nullptr) {
    return Corruption(
        fmt::format("unknown objective '{}'", text.substr(0, 60)),
        "the objectives of LightGBM 4 are known; a custom one has no 'objective' line");
  }
  forest->transform = objective->transform;
  forest->kind = objective->kind;
  bool has_sigmoid = false, has_classes = false;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "sqrt") {
      if (objective->square_root) forest->transform = OutputTransform::kSignedSquare;
    } else if (word.starts_with("sigmoid:") && !has_sigmoid) {
      const std::optional<double> value = ReadSigmoid(word.substr(8));
      if (!value || !(*value > 0))
        return Corruption(fmt::format("objective: '{}' is not above 0", word.substr(0, 40)));
      forest->sigmoid = *value;
      has_sigmoid = true;
    } else if (word.starts_with("num_class:") && !has_classes) {
      ASSIGN_OR_RETURN(const int32_t classes, ParseInt("objective", word.substr(10), 1, 1 << 24));
      if (classes != num_class) {
        return Corruption(
            fmt::format("objective says {} classes and num_class says {}", classes, num_class));
      }
      has_classes = true;
    } else {
      return Corruption(fmt::format("objective: unknown parameter '{}'", word.substr(0, 40)));
    }
  }
  const bool multiclass = objective->kind == PredictionKind::kMulticlass;
  if (multiclass != has_classes) return Corruption("objective and num_class do not agree");
  const bool needs_sigmoid = objective->name == "binary" || objective->name == "multiclassova";
  if (needs_sigmoid != has_sigmoid)
    return Corruption("objective: sigmoid is missing or out of place");
  return {};
}

}  // namespace slipway::lightgbm
