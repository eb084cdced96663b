#include "slipway/project/graph.h"

#include <algorithm>
#include <queue>

namespace slipway {
namespace {

void Connect(FlowGraph* graph, int from, int to) {
  if (from < 0 || to < 0) return;
  graph->nodes[static_cast<size_t>(from)].outputs.push_back(to);
  graph->nodes[static_cast<size_t>(to)].inputs.push_back(from);
}

void SortUnique(std::vector<int>* list) {
  std::sort(list->begin(), list->end());
  list->erase(std::unique(list->begin(), list->end()), list->end());
}

}  // namespace

std::string_view NodeKindName(NodeKind kind) {
  switch (kind) {
    case NodeKind::kDataset:
      return "dataset";
    case NodeKind::kModel:
      return "model";
    case NodeKind::kRecipe:
      return "recipe";
  }
  return "";
}

int FlowGraph::Find(NodeKind kind, std::string_view name) const {
  auto it =
      std::lower_bound(nodes.begin(), nodes.end(), std::pair(kind, name),
                       [](const FlowNode& node, const std::pair<NodeKind, std::string_view>& key) {
                         return std::pair(node.kind, std::string_view(node.name)) < key;
                       });
  if (it == nodes.end() || it->kind != kind || it->name != name) return -1;
  return static_cast<int>(it - nodes.begin());
}

FlowGraph BuildGraph(const ProjectDefinition& project) {
  FlowGraph graph;
  for (const auto& [name, dataset] : project.datasets) {
    graph.nodes.push_back(
        {NodeKind::kDataset, name, std::string(DatasetTypeName(dataset.type)), {}, {}});
  }
  for (const auto& [name, model] : project.models) {
    graph.nodes.push_back({NodeKind::kModel, name, "", {}, {}});
  }
  for (const auto& [name, recipe] : project.recipes) {
    graph.nodes.push_back(
        {NodeKind::kRecipe, name, std::string(RecipeTypeName(recipe.type)), {}, {}});
  }
  for (const auto& [name, recipe] : project.recipes) {
    const int self = graph.Find(NodeKind::kRecipe, name);
    for (const std::string& input : recipe.inputs)
      Connect(&graph, graph.Find(NodeKind::kDataset, input), self);
    if (recipe.type == RecipeType::kScore) {
      Connect(&graph, graph.Find(NodeKind::kModel, ParseModelReference(recipe.model).name), self);
    }
    NodeKind made = recipe.type == RecipeType::kTrain ? NodeKind::kModel : NodeKind::kDataset;
    Connect(&graph, self, graph.Find(made, recipe.output));
  }
  for (FlowNode& node : graph.nodes) {
    SortUnique(&node.inputs);
    SortUnique(&node.outputs);
  }
  return graph;
}

std::vector<int> TopologicalOrder(const FlowGraph& graph) {
  std::vector<size_t> waiting;
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    waiting.push_back(graph.nodes[i].inputs.size());
    if (waiting[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    int node = ready.top();
    ready.pop();
    order.push_back(node);
    for (int next : graph.nodes[static_cast<size_t>(node)].outputs) {
      if (--waiting[static_cast<size_t>(next)] == 0) ready.push(next);
    }
  }
  return order;
}

std::optional<std::vector<int>> FindCycle(const FlowGraph& graph) {
  std::vector<bool> sorted(graph.nodes.size(), false);
  for (int node : TopologicalOrder(graph)) sorted[static_cast<size_t>(node)] = true;
  auto start = std::find(sorted.begin(), sorted.end(), false);
  if (start == sorted.end()) return std::nullopt;
  // Every node left has an input that is left too: walking back must meet a node twice.
  std::vector<int> path = {static_cast<int>(start - sorted.begin())};
  for (;;) {
    const FlowNode& node = graph.nodes[static_cast<size_t>(path.back())];
    int previous = *std::find_if(node.inputs.begin(), node.inputs.end(),
                                 [&](int input) { return !sorted[static_cast<size_t>(input)]; });
    auto met = std::find(path.begin(), path.end(), previous);
    if (met == path.end()) {
      path.push_back(previous);
      continue;
    }
    path.erase(path.begin(), met);
    std::reverse(path.begin(), path.end());
    std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
    path.push_back(path.front());
    return path;
  }
}

std::string PathText(const FlowGraph& graph, const std::vector<int>& path) {
  std::string out;
  for (int node : path)
    out += (out.empty() ? "" : " -> ") + graph.nodes[static_cast<size_t>(node)].name;
  return out;
}

std::vector<int> Upstream(const FlowGraph& graph, const std::vector<int>& targets) {
  std::vector<bool> wanted(graph.nodes.size(), false);
  std::vector<int> stack = targets;
  while (!stack.empty()) {
    auto node = static_cast<size_t>(stack.back());
    stack.pop_back();
    if (wanted[node]) continue;
    wanted[node] = true;
    stack.insert(stack.end(), graph.nodes[node].inputs.begin(), graph.nodes[node].inputs.end());
  }
  std::vector<int> out;
  for (int node : TopologicalOrder(graph)) {
    if (wanted[static_cast<size_t>(node)]) out.push_back(node);
  }
  return out;
}

}  // namespace slipway
