// The manifest's JSON form: one reader and one writer, which agree.
#include <set>

#include <fmt/format.h>

#include "slipway/base/hash.h"
#include "slipway/base/text.h"
#include "slipway/package/package.h"
#include "slipway/package/package_parts.h"
#include "slipway/package/strict_json.h"

namespace slipway {
namespace {

constexpr size_t kMaxColumnName = 1000, kMaxText = 100'000, kMaxEndpoints = 1000;
constexpr int64_t kMaxExplanations = 10'000;
constexpr size_t kSha256Digits = 64;

// `values` are 0, 1, .. in the order of the names.
template <typename Enum, size_t N>
Result<Enum> WordOf(const Json& json, std::string_view key, const std::string_view (&names)[N]) {
  ASSIGN_OR_RETURN(const std::string word, GetString(json, key));
  for (size_t i = 0; i < N; ++i) {
    if (word == names[i]) return static_cast<Enum>(i);
  }
  std::string known;
  for (const std::string_view name : names) known += fmt::format(" '{}'", name);
  return Corruption(fmt::format("'{}' is '{}', not one of{}", key, word.substr(0, 60), known));
}

constexpr std::string_view kTypes[] = {"prediction", "lookup"};
constexpr std::string_view kPolicies[] = {"error", "ignore", "continue"};

Result<std::string> NameIn(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(std::string name, GetString(json, key));
  if (!IsValidName(name)) {
    return Corruption(
        fmt::format("'{}' is '{}', which is no name: letters, digits, '_', '.' and '-', "
                    "at most 128, beginning with a letter, a digit or '_'",
                    key, name.substr(0, 60)));
  }
  return name;
}

Result<std::string> TextIn(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(std::string text, GetString(json, key));
  if (text.size() > kMaxText)
    return Corruption(
        fmt::format("'{}' has {} bytes, at most {} may be", key, text.size(), kMaxText));
  return text;
}

// ---- Tables ----

Json PairsToJson(const std::vector<TableUse::Pair>& pairs) {
  Json list = Json::array();
  for (const TableUse::Pair& pair : pairs)
    list.push_back(Json{{"column", pair.column}, {"field", pair.field}});
  return list;
}

Result<std::vector<TableUse::Pair>> PairsFromJson(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* const list, GetArray(json, key));
  if (list->empty()) return Corruption(fmt::format("'{}' is empty", key));
  std::vector<TableUse::Pair> pairs;
  std::set<std::string> columns, fields;
  for (const Json& item : *list) {
    RETURN_IF_ERROR(OnlyTheseKeys(item, {"column", "field"}));
    TableUse::Pair& pair = pairs.emplace_back();
    ASSIGN_OR_RETURN(pair.column, GetString(item, "column"));
    ASSIGN_OR_RETURN(pair.field, GetString(item, "field"));
    for (const std::string& name : {pair.column, pair.field}) {
      if (name.empty() || name.size() > kMaxColumnName)
        return Corruption(fmt::format("'{}' has a name that is empty or too long", key));
    }
    if (!fields.insert(pair.field).second) {
      return Corruption(
          fmt::format("'{}' has the field '{}' twice", key, pair.field.substr(0, 60)));
    }
    if (key == "keys" && !columns.insert(pair.column).second) {
      return Corruption(
          fmt::format("'{}' has the column '{}' twice", key, pair.column.substr(0, 60)));
    }
  }
  return pairs;
}

Json TablesToJson(const std::vector<TableUse>& uses) {
  Json list = Json::array();
  for (const TableUse& use : uses) {
    list.push_back(Json{{"part", use.part},
                        {"table", use.table},
                        {"keys", PairsToJson(use.keys)},
                        {"columns", PairsToJson(use.columns)},
                        {"missing_key", LookupPolicyName(use.missing_key)},
                        {"no_match", LookupPolicyName(use.no_match)},
                        {"several_matches", LookupPolicyName(use.several_matches)}});
  }
  return list;
}

Result<std::vector<TableUse>> TablesFromJson(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* const list, GetArray(json, key));
  std::vector<TableUse> uses;
  for (const Json& item : *list) {
    RETURN_IF_ERROR(OnlyTheseKeys(
        item, {"part", "table", "keys", "columns", "missing_key", "no_match", "several_matches"}));
    TableUse& use = uses.emplace_back();
    ASSIGN_OR_RETURN(use.part, NameIn(item, "part"));
    ASSIGN_OR_RETURN(use.table, TextIn(item, "table"));
    ASSIGN_OR_RETURN(use.keys, PairsFromJson(item, "keys"));
    ASSIGN_OR_RETURN(use.columns, PairsFromJson(item, "columns"));
    ASSIGN_OR_RETURN(use.missing_key, WordOf<LookupPolicy>(item, "missing_key", kPolicies));
    ASSIGN_OR_RETURN(use.no_match, WordOf<LookupPolicy>(item, "no_match", kPolicies));
    ASSIGN_OR_RETURN(use.several_matches, WordOf<LookupPolicy>(item, "several_matches", kPolicies));
  }
  return uses;
}

// ---- Endpoints ----

Json EndpointToJson(const PackageEndpoint& endpoint) {
  Json json = {{"id", endpoint.id},
               {"type", EndpointTypeName(endpoint.type)},
               {"description", endpoint.description}};
  switch (endpoint.type) {
    case EndpointType::kPrediction:
      json["model_part"] = endpoint.model_part;
      json["model"] = endpoint.model;
      json["explain_by_default"] = endpoint.explain_by_default;
      json["explanations"] = endpoint.explanations;
      json["enrichments"] = TablesToJson(endpoint.enrichments);
      break;
    case EndpointType::kLookup:
      json["tables"] = TablesToJson(endpoint.tables);
      break;
  }
  return json;
}

Status ReadPrediction(const Json& json, PackageEndpoint* endpoint) {
  RETURN_IF_ERROR(OnlyTheseKeys(json, {"id", "type", "description", "model_part", "model",
                                       "explain_by_default", "explanations", "enrichments"}));
  ASSIGN_OR_RETURN(endpoint->model_part, NameIn(json, "model_part"));
  ASSIGN_OR_RETURN(endpoint->model, TextIn(json, "model"));
  ASSIGN_OR_RETURN(endpoint->explain_by_default, GetBool(json, "explain_by_default"));
  ASSIGN_OR_RETURN(const int64_t explanations, GetInt(json, "explanations"));
  if (explanations < 1 || explanations > kMaxExplanations)
    return Corruption(
        fmt::format("'explanations' is {}, not 1 to {}", explanations, kMaxExplanations));
  endpoint->explanations = static_cast<int>(explanations);
  ASSIGN_OR_RETURN(endpoint->enrichments, TablesFromJson(json, "enrichments"));
  return {};
}

Status ReadLookup(const Json& json, PackageEndpoint* endpoint) {
  RETURN_IF_ERROR(OnlyTheseKeys(json, {"id", "type", "description", "tables"}));
  ASSIGN_OR_RETURN(endpoint->tables, TablesFromJson(json, "tables"));
  if (endpoint->tables.empty()) return Corruption("'tables' is empty");
  return {};
}

Result<PackageEndpoint> EndpointFromJson(const Json& json) {
  PackageEndpoint endpoint;
  ASSIGN_OR_RETURN(endpoint.id, NameIn(json, "id"));
  ASSIGN_OR_RETURN(endpoint.type, WordOf<EndpointType>(json, "type", kTypes));
  ASSIGN_OR_RETURN(endpoint.description, TextIn(json, "description"));
  const Status status = endpoint.type == EndpointType::kPrediction ? ReadPrediction(json, &endpoint)
                                                                   : ReadLookup(json, &endpoint);
  if (!status.ok()) return status.error().Within(fmt::format("endpoint '{}'", endpoint.id));
  return endpoint;
}

// ---- Parts ----

Result<std::vector<PackagePart>> PartsFromJson(const Json& json) {
  ASSIGN_OR_RETURN(const Json* const list, GetArray(json, "parts"));
  std::vector<PackagePart> parts;
  std::set<std::string> names = {std::string(kPackageManifest)};
  for (const Json& item : *list) {
    RETURN_IF_ERROR(OnlyTheseKeys(item, {"name", "size", "sha256"}));
    PackagePart& part = parts.emplace_back();
    ASSIGN_OR_RETURN(part.name, NameIn(item, "name"));
    if (!names.insert(ToLower(part.name)).second) {
      return Corruption(
          fmt::format("part '{}' stands twice, apart from upper and lower case", part.name));
    }
    ASSIGN_OR_RETURN(part.bytes, GetInt(item, "size"));
    if (part.bytes < 0) return Corruption(fmt::format("part '{}' has a size below 0", part.name));
    ASSIGN_OR_RETURN(part.sha256, GetString(item, "sha256"));
    if (part.sha256.size() != kSha256Digits ||
        part.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return Corruption(fmt::format("part '{}' has no SHA-256", part.name));
    }
  }
  return parts;
}

// Every part has a use, and what is used is there.
Status CheckParts(const PackageManifest& manifest) {
  const std::set<std::string> used = UsedParts(manifest);
  for (const std::string& name : used) {
    if (manifest.FindPart(name) == nullptr)
      return Corruption(fmt::format("part '{}' is missing", name));
  }
  for (const PackagePart& part : manifest.parts) {
    if (!used.contains(part.name))
      return Corruption(fmt::format("part '{}' belongs to no endpoint", part.name));
  }
  return {};
}

Result<PackageManifest> ReadManifest(const Json& json) {
  ASSIGN_OR_RETURN(const std::string kind, GetString(json, "kind"));
  if (kind != kPackageKind)
    return Corruption(fmt::format("kind '{}' instead of '{}'", kind.substr(0, 60), kPackageKind));
  ASSIGN_OR_RETURN(const int64_t format, GetInt(json, "format"));
  if (format > kPackageFormat) {
    return InvalidArgument(
        fmt::format("made by a newer Slipway: format {}, this one reads up to {}", format,
                    kPackageFormat),
        "upgrade this node to a Slipway that is at least as new as the one that made the package");
  }
  if (format < 1) return Corruption(fmt::format("format {} does not exist", format));
  RETURN_IF_ERROR(OnlyTheseKeys(json, {"kind", "format", "service", "id", "created_at",
                                       "created_by", "notes", "auth", "endpoints", "parts"}));
  PackageManifest manifest;
  ASSIGN_OR_RETURN(manifest.service, NameIn(json, "service"));
  ASSIGN_OR_RETURN(manifest.id, NameIn(json, "id"));
  ASSIGN_OR_RETURN(manifest.created_at, TextIn(json, "created_at"));
  ASSIGN_OR_RETURN(manifest.created_by, TextIn(json, "created_by"));
  ASSIGN_OR_RETURN(manifest.notes, TextIn(json, "notes"));
  ASSIGN_OR_RETURN(manifest.auth, GetString(json, "auth"));
  if (!manifest.auth.empty() && manifest.auth != "public" && manifest.auth != "api_keys") {
    return Corruption(fmt::format("'auth' is '{}', not one of '' 'public' 'api_keys'",
                                  manifest.auth.substr(0, 60)));
  }
  ASSIGN_OR_RETURN(const Json* const endpoints, GetArray(json, "endpoints"));
  if (endpoints->empty() || endpoints->size() > kMaxEndpoints)
    return Corruption(fmt::format("{} endpoints, not 1 to {}", endpoints->size(), kMaxEndpoints));
  for (const Json& item : *endpoints) {
    ASSIGN_OR_RETURN(PackageEndpoint endpoint, EndpointFromJson(item));
    if (manifest.Find(endpoint.id) != nullptr)
      return Corruption(fmt::format("endpoint '{}' stands twice", endpoint.id));
    manifest.endpoints.push_back(std::move(endpoint));
  }
  ASSIGN_OR_RETURN(manifest.parts, PartsFromJson(json));
  RETURN_IF_ERROR(CheckParts(manifest));
  return manifest;
}

}  // namespace

Status OnlyTheseKeys(const Json& json, std::initializer_list<std::string_view> keys) {
  if (!json.is_object()) return Corruption("it is not an object");
  for (const auto& [key, value] : json.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return Corruption(fmt::format("unknown key '{}'", key.substr(0, 60)));
  }
  return {};
}

std::string_view EndpointTypeName(EndpointType type) { return kTypes[static_cast<size_t>(type)]; }

std::string_view LookupPolicyName(LookupPolicy policy) {
  return kPolicies[static_cast<size_t>(policy)];
}

const PackageEndpoint* PackageManifest::Find(std::string_view endpoint) const {
  for (const PackageEndpoint& known : endpoints) {
    if (known.id == endpoint) return &known;
  }
  return nullptr;
}

const PackagePart* PackageManifest::FindPart(std::string_view name) const {
  for (const PackagePart& part : parts) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

std::set<std::string> UsedParts(const PackageManifest& manifest) {
  std::set<std::string> used = {std::string(kPackageOpenApi), std::string(kPackageTestQueries)};
  for (const PackageEndpoint& endpoint : manifest.endpoints) {
    if (endpoint.type == EndpointType::kPrediction) used.insert(endpoint.model_part);
    for (const TableUse& use : endpoint.enrichments) used.insert(use.part);
    for (const TableUse& use : endpoint.tables) used.insert(use.part);
  }
  return used;
}

Json ManifestToJson(const PackageManifest& manifest) {
  Json endpoints = Json::array(), parts = Json::array();
  for (const PackageEndpoint& endpoint : manifest.endpoints)
    endpoints.push_back(EndpointToJson(endpoint));
  for (const PackagePart& part : manifest.parts)
    parts.push_back(Json{{"name", part.name}, {"size", part.bytes}, {"sha256", part.sha256}});
  return Json{{"kind", kPackageKind},
              {"format", kPackageFormat},
              {"service", manifest.service},
              {"id", manifest.id},
              {"created_at", manifest.created_at},
              {"created_by", manifest.created_by},
              {"notes", manifest.notes},
              {"auth", manifest.auth},
              {"endpoints", std::move(endpoints)},
              {"parts", std::move(parts)}};
}

Result<PackageManifest> ManifestFromJson(const Json& json) {
  Result<PackageManifest> manifest = ReadManifest(json);
  if (manifest.ok()) return manifest;
  Error error = manifest.error();
  if (!error.message.starts_with("made by a newer")) error.code = ErrorCode::kCorruption;
  return error.Within(kPackageManifest);
}

std::string ManifestSha256(const PackageManifest& manifest) {
  return Sha256Hex(DumpJson(ManifestToJson(manifest)));
}

}  // namespace slipway
