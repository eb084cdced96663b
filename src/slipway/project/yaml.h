// YAML text -> JSON value with the position of every node. The YAML 1.2 core schema decides types
// (`yes`, `no` and `on` are text; quoted is text); keys are text as written. Refused, with
// position: more than 4 MiB, nesting deeper than 64, more than 200,000 values, anchors, aliases,
// merge keys, tags, duplicate keys, several documents, tabs in indentation, infinities and NaN.
// yaml-cpp is used in yaml.cc only; its exceptions end there. Pure functions; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/project/position.h"

namespace slipway {

struct YamlLimits {
  size_t max_bytes = 4 << 20;
  int max_depth = 64;
  size_t max_values = 200'000;
};

struct YamlDocument {
  Json root;  // null for an empty document
  PositionIndex positions;
};

// `file` is the name that positions and messages carry.
Result<YamlDocument> ParseYaml(std::string_view text, const std::string& file,
                               const YamlLimits& limits = {});

// What an unquoted scalar means in the core schema; nullopt: a number that JSON cannot hold (.inf,
// .nan, 1e999).
std::optional<Json> YamlPlainScalar(std::string_view text);

}  // namespace slipway
