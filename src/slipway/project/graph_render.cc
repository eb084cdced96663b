#include <set>

#include "slipway/base/json.h"
#include "slipway/project/graph.h"

namespace slipway {
namespace {

class TreeWriter {
 public:
  TreeWriter(const FlowGraph& graph, const FlowStates& states, const TreeOptions& options)
      : graph_(graph), states_(states), options_(options) {}

  std::string Write() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].inputs.empty()) Item(static_cast<int>(i), "", "", -1);
    }
    // What stands only on a cycle has no source; it is drawn all the same.
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!drawn_.contains(static_cast<int>(i))) Item(static_cast<int>(i), "", "", -1);
    }
    return std::move(out_);
  }

 private:
  std::string Glyph(const FlowNode& node) const {
    if (!options_.unicode) {
      return node.kind == NodeKind::kDataset ? "[#]"
             : node.kind == NodeKind::kModel ? "<*>"
                                             : "(o)";
    }
    return node.kind == NodeKind::kDataset ? "■" : node.kind == NodeKind::kModel ? "◆" : "●";
  }
  const char* Color(const FlowNode& node) const {
    if (node.kind == NodeKind::kDataset) return "\x1b[34m";
    if (node.kind == NodeKind::kModel || node.type == "train" || node.type == "score")
      return "\x1b[32m";
    return node.type == "sql" ? "\x1b[38;5;208m" : "\x1b[33m";
  }
  std::string Words(const FlowNode& node) const {
    if (node.kind == NodeKind::kModel) return "saved model";
    return node.type + " " + std::string(NodeKindName(node.kind));
  }
  std::string State(const FlowNode& node) const {
    auto it = states_.find({node.kind, node.name});
    if (it == states_.end() || it->second.state.empty()) return "";
    const ItemState& item = it->second;
    return (options_.unicode ? " · " : " - ") + item.state +
           (item.reason.empty() ? "" : ": " + item.reason);
  }
  // The other inputs of an item that is drawn below `parent`.
  std::string AlsoReads(const FlowNode& node, int parent) const {
    std::string out;
    for (int input : node.inputs) {
      if (input == parent) continue;
      out += (out.empty() ? " (also reads " : ", ") + graph_.nodes[static_cast<size_t>(input)].name;
    }
    return out.empty() || parent < 0 ? "" : out + ")";
  }
  void Item(int index, const std::string& lead, const std::string& below, int parent) {
    const FlowNode& node = graph_.nodes[static_cast<size_t>(index)];
    std::string glyph = Glyph(node);
    if (options_.color) glyph = Color(node) + glyph + "\x1b[0m";
    out_ += lead + glyph + " " + node.name;
    if (!drawn_.insert(index).second) {
      out_ += options_.unicode ? "  ↑ shown above\n" : "  ^ shown above\n";
      return;
    }
    out_ += "  " + Words(node) + AlsoReads(node, parent) + State(node) + "\n";
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const bool last = i + 1 == node.outputs.size();
      const std::string branch = options_.unicode ? (last ? "└─ " : "├─ ") : (last ? "`- " : "|- ");
      const std::string rail = last ? "   " : options_.unicode ? "│  " : "|  ";
      Item(node.outputs[i], below + branch, below + rail, index);
    }
  }

  const FlowGraph& graph_;
  const FlowStates& states_;
  const TreeOptions& options_;
  std::set<int> drawn_;
  std::string out_;
};

std::string NodeId(const FlowNode& node) {
  return std::string(NodeKindName(node.kind)) + "/" + node.name;
}

}  // namespace

std::string RenderTree(const FlowGraph& graph, const FlowStates& states,
                       const TreeOptions& options) {
  return TreeWriter(graph, states, options).Write();
}

Json GraphToJson(const FlowGraph& graph, const FlowStates& states) {
  Json nodes = Json::array();
  Json edges = Json::array();
  for (const FlowNode& node : graph.nodes) {
    Json item = {{"id", NodeId(node)}, {"kind", NodeKindName(node.kind)}, {"name", node.name}};
    item["type"] = node.type.empty() ? Json(nullptr) : Json(node.type);
    auto state = states.find({node.kind, node.name});
    item["state"] = state == states.end() ? Json(nullptr) : Json(state->second.state);
    item["reason"] = state == states.end() ? Json(nullptr) : Json(state->second.reason);
    nodes.push_back(std::move(item));
    for (int next : node.outputs) {
      edges.push_back(
          {{"from", NodeId(node)}, {"to", NodeId(graph.nodes[static_cast<size_t>(next)])}});
    }
  }
  return {{"nodes", std::move(nodes)}, {"edges", std::move(edges)}};
}

}  // namespace slipway
