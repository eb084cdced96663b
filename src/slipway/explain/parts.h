// Trees cut into parts for the fast explainer.
//
// The contribution of feature j to leaf v, with `zero` z and `one` o of each feature on its path
// (reference_explainer.cc), is the integral over t in (0, 1) of
//     v * (o_j - z_j) * product over the path's other features i of (z_i * (1 - t) + o_i * t),
// since t^a (1-t)^b integrates to the Shapley weight a! b! / (a + b + 1)!. With k features it is a
// polynomial of degree k - 1, which Gauss-Legendre points integrate exactly from k/2 of them on.
// At one point the products of all leaves are made by one walk down the tree and one back, whatever
// the row: no branch, no division, and points are lanes of a vector.
//
// A part holds those leaves of a tree that need the same number of points, in fours, and the nodes
// above them. Internal to explain.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "slipway/explain/quadrature.h"
#include "slipway/forest/forest.h"

namespace slipway {

using Lanes = double __attribute__((vector_size(32)));
inline constexpr int kLanesPerPass = 4;

// Zeros at first. (A vector type loses its attributes as a template's argument.)
class LaneArray {
 public:
  explicit LaneArray(size_t size = 0);
  Lanes* data() { return &blocks_[0].lanes; }
  const Lanes* data() const { return &blocks_[0].lanes; }
  size_t size() const { return size_; }

 private:
  struct Block {
    Lanes lanes;
  };
  static_assert(sizeof(Block) == sizeof(Lanes));
  size_t size_ = 0;
  std::unique_ptr<Block[]> blocks_;
};

// What a row is to a node.
enum class Follows : uint8_t {
  kRight,  // earlier nodes with the same feature did not part it from the path; this one goes right
  kLeft,
  kOut,  // by an earlier node with the same feature, the row is elsewhere already
};

// In depth-first order, the left child first.
struct PartNode {
  int32_t node = 0;                  // in the tree
  int32_t child[2] = {-1, -1};       // left and right, in the part; -1: a leaf or not in the part
  int32_t same_feature = -1;         // nearest node above with the same feature
  uint16_t same_feature_offset = 0;  // its offset for rows that follow the path here
  uint16_t stride = 0;      // bytes from one Follows to the next in the table of the node's step
  int32_t accumulator = 0;  // of its feature, in the part's `features`
  int32_t test = 0;         // what decides, an index for the owner's use
  // Of the left and the right child: its part of this node's training rows, and its value when it
  // is a leaf of the part, else 0.
  double cover[2] = {0, 0};
  double leaf[2] = {0, 0};
  double zero_before = 1;  // product of covers of earlier nodes with the same feature on the path

  int states() const { return same_feature < 0 ? 2 : 3; }
  uint16_t offset(Follows follows) const {
    return static_cast<uint16_t>(static_cast<int>(follows) * stride);
  }
};

// What a walk does at a place of the tree. With G the product of the path's factors above a node,
// and H the summed products of the leaves below a place:
//  c: a child's G is G * c;
//  b: the node's feature gains H * b from a child's H;
//  s: what leaves right here are in H, of G; u: what they give a feature, of G.
struct PartStep {
  static constexpr int kMostNodes = 3;
  static constexpr int kMostEntries = 16;
  enum class Kind : uint8_t {
    kSmallTree,  // a subtree of few nodes, all states of all at once: {s, u of each feature}
    kOneChild,   // one inner child and a leaf: {s, u, c, b}
    kPassage,    // one inner child, no leaf of this part: {c, b}
    kFork,       // two inner children: {c, b, c, b}
  };
  Kind kind = Kind::kSmallTree;
  uint8_t features = 1;
  int32_t node = 0;    // the (first) node, in the part
  int32_t nodes = 1;   // they follow each other
  int32_t second = 0;  // step of a fork's right child; the left or only one is the next step
  int32_t table = 0;   // where its entries begin, in Lanes
  int32_t accumulators[kMostNodes] = {};  // of its features, in the part's `features`
  int32_t sums[kMostNodes] = {};          // where they are, for the owner's use
};

struct TreePart {
  int output = 0;
  int passes = 1;  // kLanesPerPass points each
  std::vector<int32_t> features;
  std::vector<PartNode> nodes;
  std::vector<PartStep> steps;  // depth first
  int32_t table_lanes = 0;      // of one pass
};

// REQUIRES: Validate()d, with leaf counts.
std::vector<TreePart> CutIntoParts(const Tree& tree, int output);

// The most different features that a path of the tree has.
int MostPathFeatures(const Tree& tree);

// Fills table[0 .. part.table_lanes) for points 4 * pass ... of the quadrature, whose size is 4 *
// part.passes.
void FillTable(const TreePart& part, const Quadrature& quadrature, int pass, Lanes* table);

}  // namespace slipway
