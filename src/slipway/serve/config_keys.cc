#include "slipway/serve/config_keys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/http/listen_address.h"
#include "slipway/serve/log.h"

namespace slipway {
namespace {

constexpr double kAnyMost = 9e15;  // whole numbers that a double holds

std::string ShowList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += "\"" + text + "\"";
  }
  return out + "]";
}

std::vector<std::string> AddressTexts(const std::vector<ListenAddress>& addresses) {
  std::vector<std::string> out;
  for (const ListenAddress& address : addresses) {
    const bool six = address.host.find(':') != std::string::npos;
    out.push_back((six ? "[" + address.host + "]" : address.host) + ":" +
                  std::to_string(address.port));
  }
  return out;
}

Status SetAddresses(const NodeConfigValue& value, std::vector<ListenAddress>* out) {
  std::vector<ListenAddress> addresses;
  std::optional<Error> wrong;  // of all of them
  for (const std::string& text : std::get<std::vector<std::string>>(value)) {
    Result<ListenAddress> address = ParseListenAddress(text);
    if (address.ok()) {
      addresses.push_back(*std::move(address));
    } else if (!wrong) {
      wrong = std::move(address).error();
    } else {
      wrong->message += "; " + address.error().message;
      if (wrong->hint != address.error().hint) wrong->hint += "; " + address.error().hint;
    }
  }
  if (wrong) return *std::move(wrong);
  *out = std::move(addresses);
  return {};
}

std::string ShowByteCount(int64_t bytes) {
  for (const auto& [unit, size] : {std::pair{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    if (bytes >= int64_t{1} << size && bytes % (int64_t{1} << size) == 0)
      return "\"" + std::to_string(bytes >> size) + " " + unit + "\"";
  }
  return std::to_string(bytes);
}

// One row of the table: the place in NodeConfig is given once.
#define SLIPWAY_NUMBER(key, type, wants, least, most, place)                                      \
  NodeConfigKey {                                                                                 \
    key, type, wants, least, most,                                                                \
        [](const NodeConfigValue& value, NodeConfig* config) -> Status {                          \
          using Place = std::remove_reference_t<decltype(config->place)>;                         \
          config->place = static_cast<Place>(std::get<int64_t>(value));                           \
          return {};                                                                              \
        },                                                                                        \
        [](const NodeConfig& config) {                                                            \
          const auto number = static_cast<int64_t>(config.place);                                 \
          return type == NodeConfigType::kBytes ? ShowByteCount(number) : std::to_string(number); \
        }                                                                                         \
  }
#define SLIPWAY_COUNT(key, least, most, place) \
  SLIPWAY_NUMBER(key, NodeConfigType::kInt, "a whole number", least, most, place)
#define SLIPWAY_BYTES(key, least, most, place)                                                  \
  SLIPWAY_NUMBER(key, NodeConfigType::kBytes, "bytes, such as 4096 or \"64 MiB\"", least, most, \
                 place)
#define SLIPWAY_VALUE(key, type, kind, wants, least, most, place, shown) \
  NodeConfigKey {                                                        \
    key, type, wants, least, most,                                       \
        [](const NodeConfigValue& value, NodeConfig* config) -> Status { \
          config->place = std::get<kind>(value);                         \
          return {};                                                     \
        },                                                               \
        [](const NodeConfig& config) -> std::string {                    \
          const auto& value = config.place;                              \
          return shown;                                                  \
        }                                                                \
  }
#define SLIPWAY_REAL(key, least, most, place)                                         \
  SLIPWAY_VALUE(key, NodeConfigType::kNumber, double, "a number", least, most, place, \
                FormatDouble(value))
#define SLIPWAY_FLAG(key, place)                                                \
  SLIPWAY_VALUE(key, NodeConfigType::kBool, bool, "true or false", 0, 0, place, \
                value ? "true" : "false")
#define SLIPWAY_TEXTS(key, wants, place)                                                   \
  SLIPWAY_VALUE(key, NodeConfigType::kTexts, std::vector<std::string>, wants, 0, 0, place, \
                ShowList(value))
#define SLIPWAY_TEXT(key, wants, place) \
  SLIPWAY_VALUE(key, NodeConfigType::kText, std::string, wants, 0, 0, place, "\"" + value + "\"")
#define SLIPWAY_PATH(key, place)                                                               \
  SLIPWAY_VALUE(key, NodeConfigType::kPath, std::string, "the path of a file or folder", 0, 0, \
                place, "\"" + value + "\"")

constexpr std::string_view kAddressText = "\"ADDRESS:PORT\", or a list of such";

const std::array kKeys = {
    NodeConfigKey{"http.listen", NodeConfigType::kTexts, kAddressText, 0, 0,
                  [](const NodeConfigValue& value, NodeConfig* config) {
                    return SetAddresses(value, &config->listen);
                  },
                  [](const NodeConfig& config) { return ShowList(AddressTexts(config.listen)); }},
    NodeConfigKey{
        "http.admin_listen", NodeConfigType::kTexts, kAddressText, 0, 0,
        [](const NodeConfigValue& value, NodeConfig* config) {
          return SetAddresses(value, &config->admin_listen);
        },
        [](const NodeConfig& config) { return ShowList(AddressTexts(config.admin_listen)); }},
    SLIPWAY_COUNT("http.loops", 0, 1024, loops),
    SLIPWAY_TEXTS("http.hosts", "a list of host names", hosts),
    SLIPWAY_COUNT("http.connections", 1, 1e6, limits.connections),
    SLIPWAY_COUNT("http.connections_per_address", 0, 1e6, limits.connections_per_address),
    SLIPWAY_COUNT("http.requests_per_connection", 0, kAnyMost, limits.requests_per_connection),
    SLIPWAY_REAL("http.idle_seconds", 0.1, 86400, limits.idle_seconds),
    SLIPWAY_REAL("http.header_seconds", 0.1, 3600, limits.header_seconds),
    SLIPWAY_REAL("http.body_grace_seconds", 0.1, 3600, limits.body_grace_seconds),
    SLIPWAY_REAL("http.min_bytes_per_second", 0, 1e9, limits.min_bytes_per_second),
    SLIPWAY_REAL("http.write_seconds", 0.1, 3600, limits.write_seconds),
    SLIPWAY_PATH("tls.certificate_file", tls.certificate_file),
    SLIPWAY_PATH("tls.key_file", tls.key_file),
    SLIPWAY_PATH("tls.client_ca_file", tls.client_ca_file),
    SLIPWAY_REAL("tls.handshake_seconds", 0.1, 600, limits.tls_handshake_seconds),
    SLIPWAY_FLAG("auth.allow_public", allow_public),
    SLIPWAY_FLAG("auth.allow_keys_without_tls", allow_keys_without_tls),
    SLIPWAY_TEXT("auth.jwt.jwks_url", "a URL", jwt.jwks_url),
    SLIPWAY_PATH("auth.jwt.jwks_file", jwt.jwks_file),
    SLIPWAY_TEXT("auth.jwt.issuer", "a text", jwt.issuer),
    SLIPWAY_TEXTS("auth.jwt.audience", "a text or a list of texts", jwt.audience),
    SLIPWAY_TEXTS("auth.jwt.scopes", "a list of scopes", jwt.scopes),
    SLIPWAY_TEXT("auth.jwt.scope_claim", "the name of a claim", jwt.scope_claim),
    SLIPWAY_TEXT("auth.jwt.client_claim", "the name of a claim", jwt.client_claim),
    SLIPWAY_PATH("auth.jwt.ca_file", jwt.ca_file),
    SLIPWAY_REAL("auth.jwt.cache_seconds", 1, 86400, jwt.cache_seconds),
    SLIPWAY_REAL("auth.jwt.leeway_seconds", 0, 3600, jwt.leeway_seconds),
    SLIPWAY_BYTES("limits.request_line_bytes", 256, 1 << 20, limits.request_line_bytes),
    SLIPWAY_BYTES("limits.header_bytes", 1024, 16 << 20, limits.header_bytes),
    SLIPWAY_COUNT("limits.headers", 8, 10'000, limits.headers),
    SLIPWAY_COUNT("limits.chunks", 1, 1 << 24, limits.chunks),
    SLIPWAY_BYTES("limits.chunk_extension_bytes", 0, 1 << 20, limits.chunk_extension_bytes),
    SLIPWAY_BYTES("limits.body_bytes", 1024, int64_t{4} << 30, body_bytes),
    SLIPWAY_BYTES("limits.upload_bytes", 1024, int64_t{1} << 40, upload_bytes),
    SLIPWAY_COUNT("limits.max_records", 1, 1e9, max_records),
    SLIPWAY_COUNT("limits.json_depth", 2, 1000, json_depth),
    SLIPWAY_COUNT("admission.workers", 0, 1024, admission.workers),
    SLIPWAY_COUNT("admission.queue", 1, 1e6, admission.queue),
    SLIPWAY_REAL("admission.deadline_ms", 1, 3.6e6, admission.deadline_ms),
    SLIPWAY_REAL("admission.inline_micros", 0, 1e6, admission.inline_micros),
    SLIPWAY_FLAG("query_log.enabled", query_log.enabled),
    SLIPWAY_PATH("query_log.folder", query_log.folder),
    SLIPWAY_REAL("query_log.sample", 0, 1, log_sample),
    SLIPWAY_TEXTS("query_log.redact", "a list of feature names", query_log.redact),
    SLIPWAY_BYTES("query_log.ring_bytes", 64 << 10, 1 << 30, query_log.ring_bytes),
    SLIPWAY_BYTES("query_log.file_bytes", 1 << 10, int64_t{1} << 40, query_log.file_bytes),
    SLIPWAY_REAL("query_log.file_seconds", 1, 1e9, query_log.file_seconds),
    SLIPWAY_BYTES("query_log.total_bytes", 16 << 10, int64_t{1} << 50, query_log.total_bytes),
    SLIPWAY_REAL("query_log.flush_seconds", 0.01, 3600, query_log.flush_seconds),
    NodeConfigKey{"log.level", NodeConfigType::kText, "debug, info, warning or error", 0, 0,
                  [](const NodeConfigValue& value, NodeConfig* config) -> Status {
                    const auto& level = std::get<std::string>(value);
                    if (!IsLogLevel(level))
                      return InvalidArgument("must be debug, info, warning or error, not '" +
                                             level + "'");
                    config->log_level = level;
                    return {};
                  },
                  [](const NodeConfig& config) { return "\"" + config.log_level + "\""; }},
    SLIPWAY_FLAG("log.access", access_log),
    SLIPWAY_REAL("drain.seconds", 0, 3600, drain_seconds),
    SLIPWAY_REAL("drain.timeout_seconds", 0, 3600, drain_timeout_seconds),
};

Error Wants(const NodeConfigKey& key) {
  return InvalidArgument("must be " + std::string(key.wants));
}

Status CheckBounds(const NodeConfigKey& key, double number) {
  if (number >= key.least && number <= key.most) return {};
  const auto shown = [&key](double bound) {
    return key.type == NodeConfigType::kNumber ? FormatDouble(bound)
                                               : std::to_string(static_cast<int64_t>(bound));
  };
  return InvalidArgument("must be from " + shown(key.least) + " to " + shown(key.most));
}

}  // namespace

std::span<const NodeConfigKey> NodeConfigKeys() { return kKeys; }

const NodeConfigKey* FindNodeConfigKey(std::string_view name) {
  const auto at = std::find_if(kKeys.begin(), kKeys.end(),
                               [name](const NodeConfigKey& key) { return key.name == name; });
  return at == kKeys.end() ? nullptr : &*at;
}

std::vector<std::string> NodeConfigSections() {
  std::vector<std::string> out;
  for (const NodeConfigKey& key : kKeys) {
    std::string section(key.name.substr(0, key.name.find('.')));
    if (out.empty() || out.back() != section) out.push_back(std::move(section));
  }
  return out;
}

std::string NodeConfigVariable(std::string_view key) {
  std::string out = "SLIPWAY_APINODE_";
  for (char c : key)
    out.push_back(c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return out;
}

Result<int64_t> ParseByteCount(std::string_view text) {
  text = Trim(text);
  int shift = 0;
  for (const auto& [unit, bits] : {std::pair{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}) {
    if (!text.ends_with(unit)) continue;
    shift = bits;
    text = Trim(text.substr(0, text.size() - 3));
    break;
  }
  const std::optional<int64_t> number = ParseInt64(text);
  if (!number || *number < 0 || *number > std::numeric_limits<int64_t>::max() >> shift)
    return InvalidArgument("must be bytes, such as 4096 or \"64 MiB\" (KiB, MiB, GiB, TiB)");
  return *number << shift;
}

Status SetNodeConfig(const NodeConfigKey& key, NodeConfigValue value, const std::string& folder,
                     NodeConfig* config) {
  switch (key.type) {
    case NodeConfigType::kBool:
      if (!std::holds_alternative<bool>(value)) return Wants(key);
      break;
    case NodeConfigType::kBytes:
      if (const auto* text = std::get_if<std::string>(&value)) {
        ASSIGN_OR_RETURN(value, ParseByteCount(*text));
      }
      [[fallthrough]];
    case NodeConfigType::kInt:
      if (!std::holds_alternative<int64_t>(value)) return Wants(key);
      RETURN_IF_ERROR(CheckBounds(key, static_cast<double>(std::get<int64_t>(value))));
      break;
    case NodeConfigType::kNumber:
      if (const auto* whole = std::get_if<int64_t>(&value)) value = static_cast<double>(*whole);
      if (!std::holds_alternative<double>(value)) return Wants(key);
      RETURN_IF_ERROR(CheckBounds(key, std::get<double>(value)));
      break;
    case NodeConfigType::kTexts:
      if (const auto* text = std::get_if<std::string>(&value))
        value = std::vector<std::string>{*text};
      if (!std::holds_alternative<std::vector<std::string>>(value)) return Wants(key);
      break;
    case NodeConfigType::kPath:
    case NodeConfigType::kText: {
      auto* text = std::get_if<std::string>(&value);
      if (text == nullptr) return Wants(key);
      if (key.type == NodeConfigType::kPath && !text->empty()) *text = JoinPath(folder, *text);
      break;
    }
  }
  return key.set(value, config);
}

Result<NodeConfigValue> NodeConfigValueFromText(const NodeConfigKey& key, std::string_view text) {
  switch (key.type) {
    case NodeConfigType::kBool:
      if (text == "true" || text == "1") return NodeConfigValue(true);
      if (text == "false" || text == "0") return NodeConfigValue(false);
      return Wants(key);
    case NodeConfigType::kInt:
      if (const auto number = ParseInt64(text)) return NodeConfigValue(*number);
      return Wants(key);
    case NodeConfigType::kNumber:
      if (const auto number = ParseDouble(text)) return NodeConfigValue(*number);
      return Wants(key);
    case NodeConfigType::kTexts: {
      std::vector<std::string> texts;
      for (const std::string& part : Split(text, ','))
        if (!Trim(part).empty()) texts.emplace_back(Trim(part));
      return NodeConfigValue(std::move(texts));
    }
    default:
      return NodeConfigValue(std::string(text));
  }
}

}  // namespace slipway
