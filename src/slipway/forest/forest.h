// Tree ensembles as plain data, struct of arrays: what every importer writes and every engine is
// compiled from. A Forest that passed Validate() is safe to walk: children in range, acyclic,
// features in range. Immutable by habit. Source of the semantics: LightGBM 4.x src/io/tree.cpp,
// include/LightGBM/tree.h; where XGBoost and scikit-learn differ, importers translate into these
// terms (strict comparisons and float32 inputs become other thresholds, sets that go right swap the
// children) and ValueRule says the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

enum class MissingType : uint8_t { kNone, kZero, kNaN };

// What a feature's value is before a node looks at it.
enum class ValueRule : uint8_t {
  // A magnitude up to 1e-35 (as float) is 0. A category is cut off towards 0, so that -0.5 is
  // category 0; negative and too large ones are in no set.
  kLightGbm,
  // Numbers as they are (float32 rounding is part of the thresholds). A category is rounded to
  // float32, then cut off; any below 0, -0.5 too, is in no set.
  kXGBoost,
  // Numbers and categories as they are: a fraction is cut off, any category below 0 is in no set.
  kPlain,
};

// Inner nodes 0..n-1 (0 is the root), leaves 0..n. A child >= 0 is an inner node, < 0 is leaf
// ~child. A tree of one leaf has no inner nodes.
struct Tree {
  std::vector<int32_t> split_feature;
  std::vector<double> threshold;      // numerical: go left when value <= threshold (float64)
  std::vector<int32_t> category_set;  // index into category sets, -1: numerical
  std::vector<MissingType> missing_type;
  std::vector<uint8_t> default_left;  // where missing goes; of a categorical node: where NaN goes
  std::vector<int32_t> left, right;
  std::vector<double> leaf_value;  // shrinkage applied already
  std::vector<double> internal_value, internal_count, leaf_count,
      split_gain;  // may be empty (not needed to predict)
  // Category set s is the bits category_bits[category_begin[s] .. category_begin[s+1]): bit c set:
  // category c goes left.
  std::vector<int32_t> category_begin;
  std::vector<uint32_t> category_bits;
  // Linear leaves: empty, or one per leaf: value = constant + sum(coefficient * feature); any NaN
  // feature: leaf_value.
  struct LinearLeaf {
    double constant = 0;
    std::vector<int32_t> features;
    std::vector<double> coefficients;
  };
  std::vector<LinearLeaf> linear;

  int leaf_count_total() const { return static_cast<int>(leaf_value.size()); }
};

enum class OutputTransform : uint8_t {
  kIdentity,
  kSigmoid,        // 1 / (1 + exp(-sigmoid * x)); binary
  kSoftmax,        // multiclass
  kMulticlassOva,  // sigmoid per class, not normalised (as LightGBM's ConvertOutput)
  kExp,            // poisson, gamma, tweedie
  kSignedSquare,   // regression with reg_sqrt: sign(x) * x * x
  kLog1pExp,       // cross_entropy_lambda
  kStep,           // binary:hinge: x > 0 is 1, else 0
};

enum class PredictionKind : uint8_t { kRegression, kBinary, kMulticlass, kRaw };

// A linear model (XGBoost's gblinear) in place of trees: output o is base[o] + bias[o], then plus
// value * weights[feature * outputs + o] feature by feature; a missing value adds nothing.
struct LinearModel {
  std::vector<double> weights, bias;
};

struct Forest {
  int feature_count = 0;
  int outputs = 1;  // trees i, i+outputs, ... add to output i
  std::vector<Tree> trees;
  ValueRule values = ValueRule::kLightGbm;
  // What each output's sum starts from; empty: 0. Trees add in order, each sum rounded to float32
  // when float32_sums (leaf values and base are float32 values then, and so is the transform).
  std::vector<double> base;
  bool float32_sums = false;
  LinearModel linear_model;  // weights empty: trees
  OutputTransform transform = OutputTransform::kIdentity;
  double sigmoid = 1;
  bool average = false;  // rf: ApplyOutputTransform divides the sum by `iterations`
  int iterations = 0;    // trees.size() / outputs; kept when a copy of the settings has no trees
  PredictionKind kind = PredictionKind::kRegression;
  std::string objective;                   // as the file says it
  std::string library;                     // "lightgbm v4"
  std::vector<std::string> feature_names;  // empty: the file names none
  // Features that training treated as categories (codes 0, 1, ...), ascending, as far as the file
  // tells.
  std::vector<int32_t> categorical_features;
  // One list of categories for each of categorical_features, as raw JSON: a category's place is its
  // code. LightGBM's pandas_categorical line, or what XGBoost 3.1 kept of a data frame's category
  // columns; empty when absent or "null".
  std::string pandas_categorical;
  // The iteration that XGBoost's early stopping found best, -1: not told. For people: all trees
  // score, as in its own Booster.predict.
  int best_iteration = -1;
};

// kCorruption with the tree and the node when anything is out of range, cyclic, of unequal length
// or not finite where it must be.
Status Validate(const Forest& forest);

}  // namespace slipway
