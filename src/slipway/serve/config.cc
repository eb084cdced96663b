#include "slipway/serve/config.h"

#include <algorithm>

#include <toml++/toml.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/http/listen_address.h"
#include "slipway/serve/config_keys.h"

namespace slipway {
namespace {

constexpr size_t kConfigBytes = 1 << 20;

std::string At(const std::string& file, const toml::source_region& source) {
  return file + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column);
}

// std::nullopt: of a kind that no key has (a date, a table, a list of other things).
std::optional<NodeConfigValue> ValueOf(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* list = node.as_array()) {
    std::vector<std::string> texts;
    for (const toml::node& item : *list) {
      if (!item.is_string()) return std::nullopt;
      texts.push_back(item.as_string()->get());
    }
    return texts;
  }
  return std::nullopt;
}

Error UnknownKey(const std::string& at, const std::string& name,
                 const std::vector<std::string>& known) {
  const std::string hint = DidYouMean(name, known);
  return InvalidArgument(at + ": there is no key '" + name + "'",
                         hint.empty() ? "docs/api-node.md lists every key" : hint);
}

Status ReadSection(const std::string& file, const std::string& section, const toml::table& table,
                   NodeConfig* config) {
  std::vector<std::string> known;
  for (const NodeConfigKey& key : NodeConfigKeys())
    if (key.name.starts_with(section + ".")) known.emplace_back(key.name);
  for (const auto& [name, node] : table) {
    const std::string full = section + "." + std::string(name.str());
    const NodeConfigKey* key = FindNodeConfigKey(full);
    const bool inner = std::any_of(known.begin(), known.end(), [&full](const std::string& each) {
      return each.starts_with(full + ".");
    });
    if (inner && node.is_table()) {  // [auth.jwt]
      RETURN_IF_ERROR(ReadSection(file, full, *node.as_table(), config));
      continue;
    }
    if (key == nullptr) return UnknownKey(At(file, name.source()), full, known);
    std::optional<NodeConfigValue> value = ValueOf(node);
    const std::string at = At(file, node.source()) + ": " + full;
    if (!value) return InvalidArgument(at + " must be " + std::string(key->wants));
    if (Status status = SetNodeConfig(*key, std::move(*value), DirName(AbsolutePath(file)), config);
        !status.ok()) {
      Error error = std::move(status).error();
      error.message = at + " " + error.message;
      return error;
    }
  }
  return {};
}

Status ReadFileInto(const std::string& file, NodeConfig* config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kConfigBytes));
  try {
    const toml::table root = toml::parse(text, file);
    for (const auto& [name, node] : root) {
      const std::string section(name.str());
      const std::vector<std::string> sections = NodeConfigSections();
      const bool known = std::find(sections.begin(), sections.end(), section) != sections.end();
      if (!known) {
        // A key without its section is the likeliest mistake.
        for (const NodeConfigKey& key : NodeConfigKeys()) {
          if (!node.is_table() && key.name.substr(key.name.find('.') + 1) == section)
            return InvalidArgument(At(file, name.source()) + ": there is no key '" + section +
                                       "' outside of a section",
                                   "did you mean " + section + " in [" +
                                       std::string(key.name.substr(0, key.name.find('.'))) + "]?");
        }
        return UnknownKey(At(file, name.source()), section, sections);
      }
      if (!node.is_table())
        return InvalidArgument(At(file, node.source()) + ": '" + section + "' is a section",
                               "write [" + section + "] and its keys below");
      RETURN_IF_ERROR(ReadSection(file, section, *node.as_table(), config));
    }
  } catch (const toml::parse_error& error) {
    return InvalidArgument(At(file, error.source()) + ": " + std::string(error.description()),
                           "the file is TOML: [section], then key = value; texts in quotes");
  } catch (const std::exception& error) {
    return InvalidArgument(file + ": " + error.what());
  }
  return {};
}

}  // namespace

bool IsOpen(const NodeConfig& config) {
  return config.allow_public || std::all_of(config.listen.begin(), config.listen.end(), IsLoopback);
}

Result<NodeConfig> LoadNodeConfig(NodeConfig base, const ConfigSources& sources) {
  NodeConfig config = std::move(base);
  std::string file = sources.file;
  if (file.empty()) {
    const std::string usual = JoinPath(config.home, "apinode.toml");
    if (PathExists(usual)) file = usual;
  }
  if (!file.empty()) RETURN_IF_ERROR(ReadFileInto(file, &config));
  if (!sources.get_environment) return config;
  for (const NodeConfigKey& key : NodeConfigKeys()) {
    const std::string variable = NodeConfigVariable(key.name);
    const char* text = sources.get_environment(variable.c_str());
    if (text == nullptr) continue;
    Result<NodeConfigValue> value = NodeConfigValueFromText(key, text);
    Status status = value.ok() ? SetNodeConfig(key, std::move(*value), AbsolutePath("."), &config)
                               : Status(std::move(value).error());
    if (!status.ok()) {
      Error error = std::move(status).error();
      error.message = "the environment variable " + variable + " " + error.message;
      return error;
    }
  }
  return config;
}

}  // namespace slipway
