// The planner: what has to happen on which node, in which order and why, so that all nodes serve
// what is wanted. Pure: it looks at what was observed and does nothing.
//
// First everything that moves no traffic, on all nodes: uploading packages, then loading and
// testing generations (the gate). Only then the switches, in waves of `parallel` nodes, in the
// order of the nodes.
#pragma once

#include <string>
#include <vector>

#include "slipway/deploy/node_client.h"
#include "slipway/registry/deployments.h"

namespace slipway {

enum class StepKind { kUpload, kGate, kSettings, kMap, kDisable };
std::string_view StepKindName(StepKind kind);

struct RolloutStep {
  StepKind kind = StepKind::kUpload;
  size_t node = 0;         // index into the observed nodes
  std::string generation;  // of kUpload and kGate
  std::string reason;      // "it is not there", "it serves v1"
};

struct RolloutPlan {
  std::vector<RolloutStep> prepare;                // moves no traffic
  std::vector<std::vector<RolloutStep>> switches;  // waves; within one, steps of a node in order
  std::vector<std::string> unreachable;            // "URL: why": nothing can be rolled out
  bool empty() const { return prepare.empty() && switches.empty(); }
};

struct RolloutWish {
  DeploymentSpec desired;
  int parallel = 1;
  // What this deployer brought there itself needs no second upload and test: false at the first
  // deployment to nodes, and after an update that did not end.
  bool trust_mapped = true;
};

// "URL: text"; the text alone when it names the node itself.
std::string AtNode(const std::string& url, const std::string& text);

RolloutPlan MakeRolloutPlan(const RolloutWish& wish, const std::vector<ObservedNode>& nodes);

// Why the node is not as wanted; empty when it is.
std::string DescribeDifference(const DeploymentSpec& wanted, const ObservedNode& node);
// A service's settings on a node (docs/admin-api.md), with their defaults.
const Json& ServiceSettingDefaults();
// What `asked` says, on top of `settings`: null takes a setting back to its default; of "endpoints"
// {"fare": {...}} each setting of each endpoint, null back to the service's.
void MergeSettings(const Json& asked, Json* settings);
// What differs, "max_records is 5 and shall be 10", "endpoint fare: ..."; empty: nothing. What is
// left out has its default.
std::string SettingsDifference(const Json& wanted, const Json& observed);
// What the node serves: "v1 90 %, v2 10 %", "nothing", "disabled".
std::string DescribeNode(const ObservedNode& node);
// What a node has as a spec to go back to; enabled is false when it serves nothing.
DeploymentSpec SpecOfNode(const ObservedNode& node);

}  // namespace slipway
