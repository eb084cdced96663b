// The Flow as a graph: datasets, recipes and models, and what reads and makes what. A value; pure
// functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/project/definition.h"

namespace slipway {

enum class NodeKind { kDataset, kModel, kRecipe };
std::string_view NodeKindName(NodeKind kind);  // "dataset", "model", "recipe"

struct FlowNode {
  NodeKind kind = NodeKind::kDataset;
  std::string name;
  std::string type;  // dataset: files | managed; recipe: sql | sync | train | score; model: ""
  std::vector<int> inputs;   // nodes that it is made from, ascending
  std::vector<int> outputs;  // nodes made from it, ascending
};

struct FlowGraph {
  std::vector<FlowNode> nodes;  // datasets, models, recipes; by name within each

  // Index, or -1.
  int Find(NodeKind kind, std::string_view name) const;
};

// References to unknown names are left out (Validate reports them).
FlowGraph BuildGraph(const ProjectDefinition& project);

// The nodes of one cycle, first node repeated at its end; nullopt when there is none.
std::optional<std::vector<int>> FindCycle(const FlowGraph& graph);
// "a -> r1 -> b -> r2 -> a"
std::string PathText(const FlowGraph& graph, const std::vector<int>& path);

// Every node after all that it is made from; ties by index. Nodes on a cycle are left out.
std::vector<int> TopologicalOrder(const FlowGraph& graph);
// The targets and all that they are made from, in topological order.
std::vector<int> Upstream(const FlowGraph& graph, const std::vector<int>& targets);

// What to print beside an item: state ("up to date", "out of date", "not built", ...) and why.
struct ItemState {
  std::string state;
  std::string reason;
};
using FlowStates = std::map<std::pair<NodeKind, std::string>, ItemState>;

struct TreeOptions {
  bool unicode = true;
  bool color = false;  // ANSI: datasets blue; recipes yellow (visual), orange (code), green
                       // (machine learning); models green
};
// The Flow as a tree from its sources; an item with several inputs is drawn below the first and
// named below the others.
std::string RenderTree(const FlowGraph& graph, const FlowStates& states,
                       const TreeOptions& options = {});
// {"nodes": [{"id", "kind", "name", "type", "state", "reason"}], "edges": [{"from", "to"}]}
Json GraphToJson(const FlowGraph& graph, const FlowStates& states);

}  // namespace slipway
