#include "slipway/deploy/rollout_plan.h"

#include <algorithm>
#include <cmath>

#include "slipway/base/text.h"

namespace slipway {
namespace {

bool SameMapping(const DeploymentSpec& wanted, const ObservedNode& node) {
  size_t mapped = 0;
  for (const ObservedGeneration& each : node.generations) mapped += each.mapped ? 1 : 0;
  if (mapped != wanted.generations.size()) return false;
  return std::all_of(wanted.generations.begin(), wanted.generations.end(), [&](const auto& share) {
    const ObservedGeneration* found = node.Find(share.first);
    return found != nullptr && found->mapped && std::abs(found->probability - share.second) < 1e-6;
  });
}

}  // namespace

std::string_view StepKindName(StepKind kind) {
  switch (kind) {
    case StepKind::kUpload:
      return "upload";
    case StepKind::kGate:
      return "load and test";
    case StepKind::kSettings:
      return "settings";
    case StepKind::kMap:
      return "switch";
    case StepKind::kDisable:
      return "disable";
  }
  return "";
}

const Json& ServiceSettingDefaults() {
  static const Json defaults = {{"auth", ""},          {"max_concurrent", 0}, {"max_records", 0},
                                {"deadline_ms", 0},    {"rate_per_key", 0},   {"log_sample", -1},
                                {"redact", Json::array()}, {"shadow", ""},    {"shadow_sample", 1}};
  return defaults;
}

bool SameSettings(const Json& wanted, const Json& observed) {
  Json a = ServiceSettingDefaults(), b = a;
  a.update(wanted);
  b.update(observed);
  return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
    return b.contains(item.key()) && b[item.key()] == item.value();
  });
}

DeploymentSpec SpecOfNode(const ObservedNode& node) {
  DeploymentSpec spec;
  for (const ObservedGeneration& each : node.generations) {
    if (each.mapped) spec.generations.emplace_back(each.id, each.probability);
  }
  spec.settings = node.settings;
  spec.enabled = node.enabled && !spec.generations.empty();
  return spec;
}

std::string DescribeNode(const ObservedNode& node) {
  if (!node.has_service) return "nothing";
  const DeploymentSpec spec = SpecOfNode(node);
  if (spec.generations.empty()) return "nothing";
  return DescribeSpec(spec);
}

std::string DescribeDifference(const DeploymentSpec& wanted, const ObservedNode& node) {
  if (!node.reachable.ok()) return "it cannot be reached";
  if (!wanted.enabled)
    return node.has_service && node.enabled ? "it serves " + DescribeNode(node) : "";
  if (!node.has_service) return "it does not have the service";
  if (!node.enabled) return "its service is disabled";
  if (!SameMapping(wanted, node))
    return "it serves " + DescribeNode(node) + " instead of " + DescribeSpec(wanted);
  if (!SameSettings(wanted.settings, node.settings)) return "its settings are other ones";
  return "";
}

RolloutPlan MakeRolloutPlan(const RolloutWish& wish, const std::vector<ObservedNode>& nodes) {
  RolloutPlan plan;
  for (const ObservedNode& node : nodes) {
    if (!node.reachable.ok())
      plan.unreachable.push_back(node.url + ": " + node.reachable.error().message);
  }
  std::vector<RolloutStep> wave;
  int in_wave = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const ObservedNode& node = nodes[i];
    if (!node.reachable.ok()) continue;
    std::vector<RolloutStep> steps;
    if (!wish.desired.enabled) {
      if (node.has_service && node.enabled)
        steps.push_back({StepKind::kDisable, i, "", "it serves " + DescribeNode(node)});
    } else {
      for (const auto& [generation, weight] : wish.desired.generations) {
        const ObservedGeneration* found = node.Find(generation);
        std::string why;
        if (found == nullptr) {
          why = "it is not there";
        } else if (found->status == "failed") {
          why = "it failed there: " + found->error;
        } else if (!found->mapped) {
          why = "it takes no traffic there";
        } else if (!wish.trust_mapped) {
          why = "what is there was not brought by this deployment";
        } else {
          continue;
        }
        plan.prepare.push_back({StepKind::kUpload, i, generation, why});
        plan.prepare.push_back({StepKind::kGate, i, generation, why});
      }
      // Settings come first: a generation never takes traffic under those of another.
      if (!SameSettings(wish.desired.settings, node.settings) &&
          (node.has_service || !wish.desired.settings.empty()))
        steps.push_back({StepKind::kSettings, i, "", "they differ"});
      if (!node.enabled || !SameMapping(wish.desired, node))
        steps.push_back({StepKind::kMap, i, "", "it serves " + DescribeNode(node)});
    }
    if (steps.empty()) continue;
    wave.insert(wave.end(), steps.begin(), steps.end());
    if (++in_wave >= std::max(1, wish.parallel)) {
      plan.switches.push_back(std::move(wave));
      wave.clear();
      in_wave = 0;
    }
  }
  if (!wave.empty()) plan.switches.push_back(std::move(wave));
  return plan;
}

}  // namespace slipway
