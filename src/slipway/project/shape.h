// Key tables: what may stand in each map of a project, as data. One table drives validation
// (CheckShape) and the published JSON Schema (ShapeSchema), so that they cannot disagree. Tables
// are immutable; functions are pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/project/position.h"

namespace slipway {

struct Shape;

enum class KeyKind {
  kText,
  kBoolean,
  kInteger,
  kNumber,
  kWord,    // one of `words`
  kTexts,   // text or a list of texts
  kObject,  // a map with the keys of `shape`
  kNamed,   // a map from names to maps with the keys of `shape`
  kAny,     // `check` decides
};

struct Key {
  std::string name = {};
  KeyKind kind = KeyKind::kAny;
  std::string description = {};
  bool required = false;
  std::vector<std::string> words = {};
  // Inclusive bounds of kInteger and kNumber; `open`: the bounds themselves are not allowed.
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  bool open = false;
  const Shape* shape = nullptr;
  // Runs after the kind's own check has passed.
  void (*check)(const Json& value, const std::string& pointer, Problems* problems) = nullptr;
  // The JSON Schema of a kAny, or in place of the kind's own.
  Json (*schema)() = nullptr;
};

// The keys that the word under `type` adds.
struct Variant {
  std::string type = {};
  std::vector<Key> keys = {};
  void (*check)(const Json& object, const std::string& pointer, Problems* problems) = nullptr;
};

struct Shape {
  std::string noun = {};  // "dataset", "validation"
  std::string description = {};
  std::vector<Key> keys = {};
  std::vector<Variant> variants = {};   // not empty: `type` is required and picks one
  std::vector<std::string> later = {};  // types that a later part brings
  // Rules between keys; runs when every key is right by itself.
  void (*check)(const Json& object, const std::string& pointer, Problems* problems) = nullptr;
};

// `label` names the value in messages: "dataset 'trips'".
void CheckShape(const Shape& shape, const Json& value, const std::string& pointer,
                const std::string& label, Problems* problems);
Json ShapeSchema(const Shape& shape);

// "the text 'yes'", "a list": for "must be ..., not ...".
std::string DescribeValue(const Json& value);

}  // namespace slipway
