// Every key of the node's configuration: one table that the file, the environment and the check of
// docs/api-node.md read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/config.h"

namespace slipway {

using NodeConfigValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;

enum class NodeConfigType { kBool, kInt, kBytes, kNumber, kText, kTexts, kPath };

struct NodeConfigKey {
  std::string_view name;  // "admission.queue"
  NodeConfigType type;
  // What a value must be, for a message: "a whole number from 1 to 1024".
  std::string_view wants;
  double least, most;  // of numbers
  // Sets it. REQUIRES: the value is of the type and in the bounds. An error says what is wrong.
  Status (*set)(const NodeConfigValue& value, NodeConfig* config);
  // The value of a configuration as docs/api-node.md shows the default.
  std::string (*show)(const NodeConfig& config);
};

std::span<const NodeConfigKey> NodeConfigKeys();
const NodeConfigKey* FindNodeConfigKey(std::string_view name);
// Section names: "http", ...
std::vector<std::string> NodeConfigSections();

// "admission.queue" -> "SLIPWAY_APINODE_ADMISSION_QUEUE".
std::string NodeConfigVariable(std::string_view key);

// Checks type and bounds, then sets; a path is taken relative to `folder`. The error does not say
// where: the caller does.
Status SetNodeConfig(const NodeConfigKey& key, NodeConfigValue value, const std::string& folder,
                     NodeConfig* config);
// From an environment variable's text; lists are separated by commas.
Result<NodeConfigValue> NodeConfigValueFromText(const NodeConfigKey& key, std::string_view text);
// "64 MiB", "10MiB", "4096": bytes.
Result<int64_t> ParseByteCount(std::string_view text);

}  // namespace slipway
