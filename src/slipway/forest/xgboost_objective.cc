#include "slipway/forest/xgboost_objective.h"

#include <cmath>

#include <fmt/format.h>

namespace slipway::xgboost {
namespace {

// How a base score, which is on the scale of predictions, becomes a margin (ProbToMargin).
enum class Link : uint8_t { kNone, kLogit, kLog };

struct Objective {
  std::string_view name;
  OutputTransform transform;
  Link link;
  PredictionKind kind;
};

// XGBoost 1.7 to 3.2, src/objective: PredTransform and ProbToMargin of each class.
constexpr Objective kObjectives[] = {
    {"reg:squarederror", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:linear", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:squaredlogerror", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:pseudohubererror", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:absoluteerror", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:quantileerror", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRegression},
    {"reg:logistic", OutputTransform::kSigmoid, Link::kLogit, PredictionKind::kRegression},
    {"reg:gamma", OutputTransform::kExp, Link::kLog, PredictionKind::kRegression},
    {"reg:tweedie", OutputTransform::kExp, Link::kLog, PredictionKind::kRegression},
    {"count:poisson", OutputTransform::kExp, Link::kLog, PredictionKind::kRegression},
    {"survival:cox", OutputTransform::kExp, Link::kLog, PredictionKind::kRegression},
    {"survival:aft", OutputTransform::kExp, Link::kLog, PredictionKind::kRegression},
    {"binary:logistic", OutputTransform::kSigmoid, Link::kLogit, PredictionKind::kBinary},
    {"binary:logitraw", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRaw},
    {"binary:hinge", OutputTransform::kStep, Link::kNone, PredictionKind::kBinary},
    {"multi:softmax", OutputTransform::kSoftmax, Link::kNone, PredictionKind::kMulticlass},
    {"multi:softprob", OutputTransform::kSoftmax, Link::kNone, PredictionKind::kMulticlass},
    {"rank:pairwise", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRaw},
    {"rank:ndcg", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRaw},
    {"rank:map", OutputTransform::kIdentity, Link::kNone, PredictionKind::kRaw},
};

// In float32, with the C library's logf, as XGBoost does when it loads a model.
float Margin(Link link, float base_score) {
  switch (link) {
    case Link::kNone:
      return base_score;
    case Link::kLogit:
      return -std::log(1.0F / base_score - 1.0F);
    case Link::kLog:
      return std::log(base_score);
  }
  return base_score;
}

}  // namespace

Status ApplyObjective(std::string_view name, Forest* forest) {
  const Objective* objective = nullptr;
  for (const Objective& known : kObjectives) {
    if (known.name == name) objective = &known;
  }
  if (objective == nullptr) {
    return Corruption(fmt::format("objective '{}' is not known", name.substr(0, 60)),
                      "the built-in objectives of XGBoost 1.7 to 3.2 are");
  }
  forest->objective = std::string(name);
  forest->transform = objective->transform;
  forest->kind = objective->kind;
  const bool multiclass = objective->kind == PredictionKind::kMulticlass;
  if (!multiclass && forest->outputs > 1) forest->kind = PredictionKind::kRaw;
  for (double& base : forest->base) {
    const float margin = Margin(objective->link, static_cast<float>(base));
    if (!std::isfinite(margin))
      return Corruption(fmt::format("base_score {} does not suit objective '{}'", base, name));
    base = margin;
  }
  return {};
}

}  // namespace slipway::xgboost
