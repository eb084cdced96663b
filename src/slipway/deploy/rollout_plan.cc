#include "slipway/deploy/rollout_plan.h"

#include <algorithm>
#include <cmath>
#include <set>

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
  static const Json defaults = {
      {"auth", ""},        {"max_concurrent", 0}, {"max_records", 0},        {"deadline_ms", 0},
      {"rate_per_key", 0}, {"log_sample", -1},    {"redact", Json::array()}, {"shadow", ""},
      {"shadow_sample", 1}};
  return defaults;
}

void MergeSettings(const Json& asked, Json* settings) {
  const auto merge = [](const Json& from, Json* to) {
    for (const auto& [key, value] : from.items()) {
      if (key == "endpoints") continue;
      if (value.is_null()) {
        to->erase(key);
      } else {
        (*to)[key] = value;
      }
    }
  };
  merge(asked, settings);
  const auto endpoints = asked.find("endpoints");
  if (endpoints == asked.end()) return;
  Json& known = (*settings)["endpoints"];
  if (!known.is_object() || endpoints->is_null()) known = Json::object();
  for (const auto& [endpoint, own] : endpoints->items()) {
    Json& to = known[endpoint];
    if (!to.is_object() || own.is_null()) to = Json::object();
    if (own.is_object()) merge(own, &to);
    if (to.empty()) known.erase(endpoint);
  }
  if (known.empty()) settings->erase("endpoints");
}

std::string SettingsDifference(const Json& wanted, const Json& observed) {
  std::vector<std::string> out;
  const auto compare = [&](const std::string& who, const Json& defaults, const Json& a,
                           const Json& b) {
    // What a newer node has besides is not ours to change.
    std::set<std::string> keys;
    for (const Json* each : {&a, defaults.empty() ? &b : &defaults}) {
      for (const auto& [key, value] : each->items()) keys.insert(key);
    }
    for (const std::string& key : keys) {
      const auto in = [&](const Json& json) {
        if (json.contains(key)) return json[key];
        return defaults.contains(key) ? defaults[key] : Json();
      };
      const Json is = in(b), shall = in(a);
      if (key == "endpoints" || is == shall) continue;
      const auto text = [](const Json& value) {
        return value.is_null() ? std::string("the service's") : DumpJson(value);
      };
      out.push_back(who + key + " is " + text(is) + " and shall be " + text(shall));
    }
  };
  compare("", ServiceSettingDefaults(), wanted, observed);
  const Json none = Json::object();
  const auto endpoints = [&](const Json& settings) {
    const auto found = settings.find("endpoints");
    return found != settings.end() && found->is_object() ? *found : none;
  };
  const Json want = endpoints(wanted), have = endpoints(observed);
  std::set<std::string> names;
  for (const Json* each : {&want, &have}) {
    for (const auto& [name, value] : each->items()) names.insert(name);
  }
  for (const std::string& name : names)
    compare("endpoint " + name + ": ", none, want.contains(name) ? want[name] : none,
            have.contains(name) ? have[name] : none);
  return Join(out, "; ");
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
  const std::string settings = SettingsDifference(wanted.settings, node.settings);
  return settings.empty() ? "" : "its settings are other ones: " + settings;
}

std::string AtNode(const std::string& url, const std::string& text) {
  return text.find(url) == std::string::npos ? url + ": " + text : text;
}

RolloutPlan MakeRolloutPlan(const RolloutWish& wish, const std::vector<ObservedNode>& nodes) {
  RolloutPlan plan;
  for (const ObservedNode& node : nodes) {
    if (!node.reachable.ok())
      plan.unreachable.push_back(AtNode(node.url, node.reachable.error().message));
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
      const std::string differ = SettingsDifference(wish.desired.settings, node.settings);
      if (!differ.empty() && (node.has_service || !wish.desired.settings.empty()))
        steps.push_back({StepKind::kSettings, i, "", differ});
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
