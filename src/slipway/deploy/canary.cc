#include "slipway/deploy/canary.h"

#include <cmath>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int64_t kEnough = 20;           // requests before a rate means anything
constexpr double kNoiseMilliseconds = 1;  // means that differ by less are equal

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

double Rate(const CanaryCounts& counts) {
  return counts.requests == 0
             ? 0
             : static_cast<double>(counts.errors) / static_cast<double>(counts.requests);
}

double Mean(const CanaryCounts& counts) {
  return counts.requests == 0 ? 0 : counts.milliseconds / static_cast<double>(counts.requests);
}

}  // namespace

CanaryVerdict JudgeCanary(const CanaryOptions& options, const CanaryLook& look, std::string* why) {
  const auto percent = [](double rate) { return Short(rate * 100) + " %"; };
  if (look.fresh.requests >= kEnough &&
      Rate(look.fresh) > Rate(look.old) + options.max_error_rate) {
    *why = percent(Rate(look.fresh)) + " of " + FormatCount(look.fresh.requests) +
           " requests failed, " + percent(Rate(look.old)) + " of the old generation's";
    return CanaryVerdict::kGoBack;
  }
  if (look.fresh.requests >= kEnough && look.old.requests >= kEnough &&
      Mean(look.fresh) > Mean(look.old) * options.max_latency_ratio &&
      Mean(look.fresh) > Mean(look.old) + kNoiseMilliseconds) {
    *why = "an answer takes " + Short(Mean(look.fresh)) + " ms, one of the old generation " +
           Short(Mean(look.old)) + " ms";
    return CanaryVerdict::kGoBack;
  }
  const int64_t compared = look.equal + look.different;
  if (options.max_different >= 0 && compared >= kEnough &&
      static_cast<double>(look.different) > options.max_different * static_cast<double>(compared)) {
    *why = percent(static_cast<double>(look.different) / static_cast<double>(compared)) + " of " +
           FormatCount(compared) + " answers differ from the old generation's";
    return CanaryVerdict::kGoBack;
  }
  const bool enough = look.fresh.requests >= options.step_requests;
  if (look.seconds >= options.step_seconds && enough) {
    *why = FormatCount(look.fresh.requests) + " requests, " + percent(Rate(look.fresh)) + " failed";
    if (look.fresh.requests > 0) *why += ", " + Short(Mean(look.fresh)) + " ms each";
    if (compared > 0)
      *why += "; " + FormatCount(look.different) + " of " + FormatCount(compared) +
              " answers differ from the old generation's";
    return CanaryVerdict::kGoOn;
  }
  if (!enough && look.seconds >= std::max(options.step_seconds, options.max_wait_seconds)) {
    *why = "only " + FormatCount(look.fresh.requests) + " of " +
           FormatCount(options.step_requests) + " requests came";
    return CanaryVerdict::kGoBack;
  }
  return CanaryVerdict::kWait;
}

std::string DescribeStep(const CanaryOptions& options, const std::string& fresh) {
  if (options.step_requests <= 0) return "for " + FormatSeconds(options.step_seconds);
  std::string text =
      "until " + fresh + " has answered " + FormatCount(options.step_requests) + " requests";
  if (options.step_seconds > 0) text += ", for at least " + FormatSeconds(options.step_seconds);
  return text;
}

void ServiceCounters::Add(const Json& metrics, const std::string& service,
                          const std::string& shadow) {
  const Json* endpoints = FindMember(metrics, "endpoints");
  if (endpoints != nullptr && endpoints->is_array()) {
    for (const Json& row : *endpoints) {
      if (!row.is_object() || row.value("service", std::string()) != service) continue;
      const std::string generation = row.value("generation", std::string());
      CanaryCounts* counts = nullptr;
      for (auto& [id, each] : generations) {
        if (id == generation) counts = &each;
      }
      if (counts == nullptr) counts = &generations.emplace_back(generation, CanaryCounts{}).second;
      const auto requests = row.value("requests", int64_t{0});
      counts->requests += requests;
      counts->errors += row.value("serverErrors", int64_t{0});
      counts->milliseconds += row.value("meanMs", 0.0) * static_cast<double>(requests);
    }
  }
  const Json* shadows = FindMember(metrics, "shadows");
  if (shadows == nullptr || !shadows->is_array()) return;
  for (const Json& row : *shadows) {
    if (!row.is_object() || row.value("service", std::string()) != service ||
        row.value("shadow", std::string()) != shadow ||
        row.value("generation", std::string()) == shadow)
      continue;
    equal += row.value("equal", int64_t{0});
    different += row.value("different", int64_t{0});
  }
}

CanaryCounts ServiceCounters::Of(const std::string& generation) const {
  for (const auto& [id, counts] : generations) {
    if (id == generation) return counts;
  }
  return {};
}

CanaryCounts ServiceCounters::AllBut(const std::string& generation) const {
  CanaryCounts sum;
  for (const auto& [id, counts] : generations) {
    if (id == generation) continue;
    sum.requests += counts.requests;
    sum.errors += counts.errors;
    sum.milliseconds += counts.milliseconds;
  }
  return sum;
}

DeploymentSpec WithShare(const DeploymentSpec& base, const std::string& fresh, double share) {
  DeploymentSpec spec = base;
  spec.enabled = true;
  spec.generations.clear();
  double rest = 0;
  for (const auto& [generation, weight] : base.generations)
    rest += generation == fresh ? 0 : weight;
  if (share < 1 && rest > 0) {
    for (const auto& [generation, weight] : base.generations) {
      if (generation != fresh)
        spec.generations.emplace_back(generation, weight / rest * (1 - share));
    }
  }
  spec.generations.emplace_back(fresh, spec.generations.empty() ? 1 : share);
  return spec;
}

}  // namespace slipway
