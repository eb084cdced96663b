// The executor: brings a plan to the nodes. All nodes are prepared and pass their gate before the
// first one switches; when a switch fails, every node that was or may have been switched goes back
// by itself. It ends in one of four states, never in a silent mix. On the way back (`best_effort`)
// each node is for itself: one that is dead does not keep the others on what shall go.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "slipway/deploy/rollout_plan.h"

namespace slipway {

enum class RolloutEnd {
  kDone,       // every node serves what is wanted
  kUnchanged,  // a gate failed or a node could not be reached before any traffic moved
  kWentBack,   // a switch failed; every node serves what it served before
  kPartial,    // some node was not brought (back) to what it shall serve: `error` names it
};

struct RolloutInput {
  std::string service;
  RolloutWish wish;
  std::map<std::string, std::string> packages;  // version -> file
  std::vector<NodeClient*> nodes;
  // Where to go back to, on every node; absent: to what each node serves now.
  std::optional<DeploymentSpec> before;
  // Brings every node that can be reached there, whatever becomes of the others; nothing goes back.
  bool best_effort = false;
  const std::atomic<bool>* cancel = nullptr;  // looked at between steps
  // One line for people, and how far it is (0 to 1). Called from several threads, one at a time.
  std::function<void(const std::string& line, double part)> log;
};

struct RolloutResult {
  RolloutEnd end = RolloutEnd::kDone;
  std::optional<Error> error;  // what went wrong
  int changed = 0;             // steps that were carried out
};

RolloutResult RunRollout(const RolloutInput& input);

// Asks all nodes at the same time, at most 32 threads; the answers are in the nodes' order.
std::vector<ObservedNode> ObserveAll(const std::vector<NodeClient*>& nodes,
                                     const std::string& service, double seconds);
// Runs `work(i)` for i in [0, count) on at most `threads` threads; returns when all are done.
void ForEachInParallel(size_t count, size_t threads, const std::function<void(size_t)>& work);

}  // namespace slipway
