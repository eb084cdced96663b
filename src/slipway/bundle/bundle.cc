#include "slipway/bundle/bundle.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/model_loader.h"
#include "slipway/bundle/zip.h"

namespace slipway {
namespace {

constexpr std::string_view kManifest = "manifest.json";
constexpr std::array<std::string_view, 5> kParts = {"schema.json", "pipeline.json", "model.txt",
                                                    "info.json", "sample.json"};
constexpr size_t kMaxManifestBytes = 1 << 20;
constexpr size_t kMaxPartBytes = size_t{1} << 30;
constexpr size_t kMaxTotalBytes = size_t{2} << 30;
constexpr size_t kMaxRatio = 200;

using Parts = std::map<std::string, std::string, std::less<>>;

struct KindName {
  PredictionKind kind;
  std::string_view name;
};
constexpr KindName kKindNames[] = {{PredictionKind::kRegression, "regression"},
                                   {PredictionKind::kBinary, "binary"},
                                   {PredictionKind::kMulticlass, "multiclass"},
                                   {PredictionKind::kRaw, "raw"}};

// ---- JSON of the parts ----

Status OnlyKeys(const Json& json, const std::set<std::string_view>& keys) {
  if (!json.is_object()) return Corruption("it is not an object");
  for (const auto& [key, value] : json.items()) {
    if (!keys.contains(key)) return Corruption(fmt::format("unknown key '{}'", key.substr(0, 60)));
  }
  return {};
}

Json RowsToJson(const std::vector<std::vector<double>>& rows) {
  Json json = Json::array();
  for (const std::vector<double>& row : rows) {
    Json list = Json::array();
    for (const double value : row) list.push_back(DoubleToJson(value));
    json.push_back(std::move(list));
  }
  return json;
}

Result<std::vector<std::vector<double>>> RowsFromJson(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* const lists, GetArray(json, key));
  std::vector<std::vector<double>> rows;
  for (const Json& list : *lists) {
    if (!list.is_array()) return Corruption(fmt::format("'{}' is not a list of lists", key));
    std::vector<double>& row = rows.emplace_back();
    for (const Json& number : list) {
      ASSIGN_OR_RETURN(const double value, DoubleFromJson(number));
      row.push_back(value);
    }
  }
  return rows;
}

Json SchemaPart(const BundleContent& content, const Json& inputs) {
  return Json{{"prediction", PredictionKindName(content.kind)},
              {"algorithm", content.algorithm},
              {"target", {{"name", content.target}, {"type", TypeName(content.target_type)}}},
              {"classes", content.classes},
              {"threshold", DoubleToJson(content.threshold)},
              {"inputs", inputs},
              {"outputs",
               SchemaToJson(OutputSchema(content.kind, content.classes, content.target_type, 1))}};
}

Json SamplePart(const BundleContent& content) {
  return Json{{"rows", content.sample_rows},
              {"matrix", RowsToJson(content.sample_matrix)},
              {"raw", RowsToJson(content.sample_raw)},
              {"scores", RowsToJson(content.sample_scores)}};
}

Status ReadSchemaPart(std::string_view text, BundleContent* content) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  RETURN_IF_ERROR(OnlyKeys(
      json, {"prediction", "algorithm", "target", "classes", "threshold", "inputs", "outputs"}));
  ASSIGN_OR_RETURN(const std::string kind, GetString(json, "prediction"));
  const std::optional<PredictionKind> known = PredictionKindFromName(kind);
  if (!known)
    return Corruption(fmt::format("'{}' is not a kind of prediction", kind.substr(0, 60)));
  content->kind = *known;
  ASSIGN_OR_RETURN(content->algorithm, GetString(json, "algorithm"));
  ASSIGN_OR_RETURN(const Json* const target, GetObject(json, "target"));
  RETURN_IF_ERROR(OnlyKeys(*target, {"name", "type"}));
  ASSIGN_OR_RETURN(content->target, GetString(*target, "name"));
  ASSIGN_OR_RETURN(const std::string type, GetString(*target, "type"));
  const std::optional<Type> target_type = TypeFromName(type);
  if (!target_type || TypeName(*target_type) != type) {
    return Corruption(fmt::format("'{}' is not a type", type.substr(0, 60)));
  }
  content->target_type = *target_type;
  ASSIGN_OR_RETURN(content->classes, GetStrings(json, "classes"));
  const Json* const threshold = FindMember(json, "threshold");
  if (threshold == nullptr) return Corruption("'threshold' is missing");
  ASSIGN_OR_RETURN(content->threshold, DoubleFromJson(*threshold));
  ASSIGN_OR_RETURN(const Json* const inputs, GetArray(json, "inputs"));
  RETURN_IF_ERROR(SchemaFromJson(*inputs));
  RETURN_IF_ERROR(GetArray(json, "outputs"));
  return {};
}

Status ReadSamplePart(std::string_view text, BundleContent* content) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  RETURN_IF_ERROR(OnlyKeys(json, {"rows", "matrix", "raw", "scores"}));
  ASSIGN_OR_RETURN(const Json* const rows, GetArray(json, "rows"));
  for (const Json& row : *rows) {
    if (!row.is_array()) return Corruption("'rows' is not a list of lists");
    std::vector<std::string>& cells = content->sample_rows.emplace_back();
    for (const Json& cell : row) {
      if (!cell.is_string()) return Corruption("'rows' has a cell that is not a text");
      cells.push_back(cell.get<std::string>());
    }
  }
  ASSIGN_OR_RETURN(content->sample_matrix, RowsFromJson(json, "matrix"));
  ASSIGN_OR_RETURN(content->sample_raw, RowsFromJson(json, "raw"));
  ASSIGN_OR_RETURN(content->sample_scores, RowsFromJson(json, "scores"));
  const size_t count = content->sample_rows.size();
  if (content->sample_matrix.size() != count || content->sample_raw.size() != count ||
      content->sample_scores.size() != count || count > kBatchRows) {
    return Corruption("its lists differ in length or are too long");
  }
  return {};
}

Status ReadJsonObject(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  if (!json.is_object()) return Corruption("it is not an object");
  return {};
}

// ---- Manifest and container ----

struct ManifestPart {
  std::string name;
  size_t size = 0;
  std::string sha256;
};

Result<std::vector<ManifestPart>> ReadManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  ASSIGN_OR_RETURN(const std::string kind, GetString(json, "kind"));
  if (kind != "slipway-bundle")
    return Corruption(fmt::format("kind '{}' instead of 'slipway-bundle'", kind.substr(0, 60)));
  ASSIGN_OR_RETURN(const int64_t format, GetInt(json, "format"));
  if (format > kBundleFormat) {
    return InvalidArgument(
        fmt::format("made by a newer Slipway: format {}, this one reads up to {}", format,
                    kBundleFormat),
        "use a Slipway that is at least as new as the one that wrote the bundle");
  }
  if (format < 1) return Corruption(fmt::format("format {} does not exist", format));
  RETURN_IF_ERROR(OnlyKeys(json, {"kind", "format", "parts"}));
  ASSIGN_OR_RETURN(const Json* const list, GetArray(json, "parts"));
  if (list->size() != kParts.size())
    return Corruption(fmt::format("{} parts instead of {}", list->size(), kParts.size()));
  std::vector<ManifestPart> parts;
  size_t total = 0;
  for (const Json& item : *list) {
    RETURN_IF_ERROR(OnlyKeys(item, {"name", "size", "sha256"}));
    ManifestPart& part = parts.emplace_back();
    ASSIGN_OR_RETURN(part.name, GetString(item, "name"));
    if (part.name != kParts[parts.size() - 1]) {
      return Corruption(fmt::format("part '{}' where '{}' belongs", part.name.substr(0, 60),
                                    kParts[parts.size() - 1]));
    }
    ASSIGN_OR_RETURN(const int64_t size, GetInt(item, "size"));
    if (size < 0 || static_cast<size_t>(size) > kMaxPartBytes) {
      return Corruption(fmt::format("part '{}' of {} bytes", part.name, size));
    }
    part.size = static_cast<size_t>(size);
    total += part.size;
    ASSIGN_OR_RETURN(part.sha256, GetString(item, "sha256"));
  }
  if (total > kMaxTotalBytes) return Corruption(fmt::format("{} bytes in all are too many", total));
  return parts;
}

// The error of a part as kCorruption that names it; a newer format keeps its own code.
Error InPart(std::string_view name, Error error) {
  if (!error.message.starts_with("made by a newer")) error.code = ErrorCode::kCorruption;
  return error.Within(name);
}

Result<Parts> ReadParts(std::string_view bytes) {
  ASSIGN_OR_RETURN(ZipReader zip, ZipReader::Open(bytes));
  std::string name;
  ASSIGN_OR_RETURN(bool more, zip.Next(&name));
  if (!more || name != kManifest) return Corruption("it does not begin with 'manifest.json'");
  Result<std::string> manifest = zip.Read(kMaxManifestBytes);
  if (!manifest.ok()) return InPart(kManifest, manifest.error());
  Result<std::vector<ManifestPart>> listed = ReadManifest(*manifest);
  if (!listed.ok()) return InPart(kManifest, listed.error());
  size_t total = 0;
  for (const ManifestPart& part : *listed) total += part.size;
  if (total > bytes.size() * kMaxRatio + kMaxManifestBytes) {
    return Corruption(fmt::format("{} bytes in a file of {} are too many", total, bytes.size()));
  }
  Parts parts;
  for (const ManifestPart& part : *listed) {
    ASSIGN_OR_RETURN(more, zip.Next(&name));
    if (!more) return Corruption(fmt::format("part '{}' is missing", part.name));
    if (name != part.name)
      return Corruption(fmt::format("part '{}' where '{}' belongs", name.substr(0, 60), part.name));
    Result<std::string> content = zip.Read(part.size);
    if (!content.ok()) return InPart(part.name, content.error());
    if (content->size() != part.size) {
      return InPart(part.name,
                    Corruption(fmt::format("{} bytes instead of {}", content->size(), part.size)));
    }
    if (Sha256Hex(*content) != part.sha256) {
      return InPart(
          part.name,
          Corruption("its SHA-256 differs from the manifest's: it was altered or damaged"));
    }
    parts[part.name] = std::move(*content);
  }
  ASSIGN_OR_RETURN(more, zip.Next(&name));
  if (more) return Corruption(fmt::format("unexpected entry '{}'", name.substr(0, 60)));
  return parts;
}

Result<BundleContent> Parse(std::string_view bytes) {
  ASSIGN_OR_RETURN(Parts parts, ReadParts(bytes));
  BundleContent content;
  if (Status status = ReadSchemaPart(parts["schema.json"], &content); !status.ok()) {
    return InPart("schema.json", status.error());
  }
  for (const char* name : {"pipeline.json", "info.json"}) {
    if (Status status = ReadJsonObject(parts[name]); !status.ok())
      return InPart(name, status.error());
  }
  if (Status status = ReadSamplePart(parts["sample.json"], &content); !status.ok()) {
    return InPart("sample.json", status.error());
  }
  content.pipeline_json = std::move(parts["pipeline.json"]);
  content.model_text = std::move(parts["model.txt"]);
  content.info_json = std::move(parts["info.json"]);
  return content;
}

}  // namespace

std::string_view PredictionKindName(PredictionKind kind) {
  for (const KindName& known : kKindNames) {
    if (known.kind == kind) return known.name;
  }
  return "raw";
}

std::optional<PredictionKind> PredictionKindFromName(std::string_view name) {
  for (const KindName& known : kKindNames) {
    if (known.name == name) return known.kind;
  }
  return std::nullopt;
}

Schema OutputSchema(PredictionKind kind, const std::vector<std::string>& classes, Type label_type,
                    int outputs) {
  Schema schema;
  if (kind == PredictionKind::kBinary || kind == PredictionKind::kMulticlass) {
    for (const std::string& name : classes)
      schema.fields.push_back({"proba_" + name, Type::kDouble});
    schema.fields.push_back({"prediction", label_type});
  } else if (outputs == 1) {
    schema.fields.push_back({"prediction", Type::kDouble});
  } else {
    for (int i = 0; i < outputs; ++i)
      schema.fields.push_back({fmt::format("prediction_{}", i), Type::kDouble});
  }
  return schema;
}

bool LooksLikeBundle(std::string_view head) { return head.starts_with("PK\x03\x04"); }

Result<std::string> FormatBundle(const BundleContent& content) {
  ASSIGN_OR_RETURN(const Json pipeline_json, ParseJson(content.pipeline_json));
  ASSIGN_OR_RETURN(const Pipeline pipeline, Pipeline::FromJson(pipeline_json));
  const std::string schema = DumpJson(SchemaPart(content, SchemaToJson(pipeline.inputs())), 1);
  const std::string sample = DumpJson(SamplePart(content));
  const std::string_view bytes[] = {schema, content.pipeline_json, content.model_text,
                                    content.info_json, sample};
  Json list = Json::array();
  std::vector<std::pair<std::string, std::string_view>> entries = {{std::string(kManifest), ""}};
  for (size_t i = 0; i < kParts.size(); ++i) {
    list.push_back(
        Json{{"name", kParts[i]}, {"size", bytes[i].size()}, {"sha256", Sha256Hex(bytes[i])}});
    entries.emplace_back(kParts[i], bytes[i]);
  }
  const std::string manifest = DumpJson(
      Json{{"kind", "slipway-bundle"}, {"format", kBundleFormat}, {"parts", std::move(list)}}, 1);
  entries[0].second = manifest;
  return MakeZip(entries);
}

Status WriteBundle(const std::string& path, const BundleContent& content) {
  BundleContent complete = content;
  if (Status status = CompleteAndCheck(&complete); !status.ok())
    return status.error().Within("bundle");
  ASSIGN_OR_RETURN(const std::string bytes, FormatBundle(complete));
  return WriteFileAtomic(path, bytes);
}

Result<BundleContent> ParseBundle(std::string_view bytes) {
  Result<BundleContent> content = Parse(bytes);
  if (!content.ok()) return content.error().Within("bundle");
  return content;
}

Result<BundleContent> ReadBundle(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxTotalBytes));
  Result<BundleContent> content = ParseBundle(bytes);
  if (!content.ok()) return content.error().Within(path);
  return content;
}

}  // namespace slipway
