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

// Reads on after an error, so that all of them are told at once.
void ReadSection(const std::string& file, const std::string& section, const toml::table& table,
                 LoadedNodeConfig* loaded) {
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
      ReadSection(file, full, *node.as_table(), loaded);
      continue;
    }
    if (key == nullptr) {
      loaded->errors.push_back(UnknownKey(At(file, name.source()), full, known));
      continue;
    }
    std::optional<NodeConfigValue> value = ValueOf(node);
    const std::string at = At(file, node.source()) + ": " + full;
    if (!value) {
      loaded->errors.push_back(InvalidArgument(at + " must be " + std::string(key->wants)));
      continue;
    }
    if (Status status =
            SetNodeConfig(*key, std::move(*value), DirName(AbsolutePath(file)), &loaded->config);
        !status.ok()) {
      Error error = std::move(status).error();
      error.message = at + " " + error.message;
      loaded->errors.push_back(std::move(error));
    }
  }
}

Error UnknownSection(const std::string& at, const std::string& section, bool is_table) {
  // A key without its section is the likeliest mistake.
  for (const NodeConfigKey& key : NodeConfigKeys()) {
    if (!is_table && key.name.substr(key.name.find('.') + 1) == section)
      return InvalidArgument(at + ": there is no key '" + section + "' outside of a section",
                             "did you mean " + section + " in [" +
                                 std::string(key.name.substr(0, key.name.find('.'))) + "]?");
  }
  return UnknownKey(at, section, NodeConfigSections());
}

Status ReadFileInto(const std::string& file, LoadedNodeConfig* loaded) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kConfigBytes));
  try {
    const toml::table root = toml::parse(text, file);
    const std::vector<std::string> sections = NodeConfigSections();
    for (const auto& [name, node] : root) {
      const std::string section(name.str());
      if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
        loaded->errors.push_back(UnknownSection(At(file, name.source()), section, node.is_table()));
      } else if (!node.is_table()) {
        loaded->errors.push_back(
            InvalidArgument(At(file, node.source()) + ": '" + section + "' is a section",
                            "write [" + section + "] and its keys below"));
      } else {
        ReadSection(file, section, *node.as_table(), loaded);
      }
    }
  } catch (const toml::parse_error& error) {
    return InvalidArgument(At(file, error.source()) + ": " + std::string(error.description()),
                           "the file is TOML: [section], then key = value; texts in quotes");
  } catch (const std::exception& error) {
    return InvalidArgument(file + ": " + error.what());
  }
  return {};
}

void ReadEnvironment(const ConfigSources& sources, LoadedNodeConfig* loaded) {
  std::vector<std::string> known = {"SLIPWAY_APINODE_HOME"};
  for (const NodeConfigKey& key : NodeConfigKeys()) {
    const std::string& variable = known.emplace_back(NodeConfigVariable(key.name));
    const auto at = sources.environment.find(variable);
    if (at == sources.environment.end()) continue;
    Result<NodeConfigValue> value = NodeConfigValueFromText(key, at->second);
    Status status = value.ok()
                        ? SetNodeConfig(key, std::move(*value), AbsolutePath("."), &loaded->config)
                        : Status(std::move(value).error());
    if (status.ok()) continue;
    Error error = std::move(status).error();
    error.message = "the environment variable " + variable + " " + error.message;
    loaded->errors.push_back(std::move(error));
  }
  for (const auto& [name, value] : sources.environment) {
    if (!name.starts_with("SLIPWAY_APINODE_") ||
        std::find(known.begin(), known.end(), name) != known.end())
      continue;
    const std::string hint = DidYouMean(name, known);
    loaded->warnings.push_back("the environment variable " + name + " sets nothing: no key has it" +
                               (hint.empty() ? "" : " (" + hint + ")"));
  }
}

}  // namespace

bool IsOpen(const NodeConfig& config) {
  return config.allow_public || std::all_of(config.listen.begin(), config.listen.end(), IsLoopback);
}

bool AsksNobody(const NodeConfig& config) {
  return IsOpen(config) || !config.tls.client_ca_file.empty();
}

LoadedNodeConfig LoadNodeConfig(NodeConfig base, const ConfigSources& sources) {
  LoadedNodeConfig loaded;
  loaded.config = std::move(base);
  std::string file = sources.file;
  if (file.empty()) {
    const std::string usual = JoinPath(loaded.config.home, "apinode.toml");
    if (PathExists(usual)) file = usual;
  }
  if (!file.empty()) {
    if (Status status = ReadFileInto(file, &loaded); !status.ok())
      loaded.errors.push_back(std::move(status).error());
  }
  ReadEnvironment(sources, &loaded);
  return loaded;
}

}  // namespace slipway
