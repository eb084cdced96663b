#include <array>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/dataset/dataset.h"

namespace slipway {
namespace {

constexpr std::array<std::string_view, 3> kFormats = {"csv", "parquet", "jsonl"};
constexpr std::array<std::string_view, 3> kPolicies = {"fail", "skip", "quarantine"};

std::string OfChar(char c) { return c == '\0' ? std::string() : std::string(1, c); }

// Without what is to be sniffed.
Json DialectToJson(const FilesSpec& spec) {
  const CsvDialect& dialect = *spec.dialect;
  Json out = {{"quote", OfChar(dialect.quote)},
              {"escape", OfChar(dialect.escape)},
              {"skip_lines", dialect.skip_lines},
              {"encoding", dialect.encoding}};
  if (!spec.sniff_delimiter) out["delimiter"] = OfChar(dialect.delimiter);
  if (!spec.sniff_header) out["header"] = dialect.header;
  return out;
}

// One byte, "tab" or "\t"; "" and "none" are no character where that is allowed.
Status ReadChar(const Json& json, std::string_view key, bool may_be_none, char* out) {
  if (FindMember(json, key) == nullptr) return {};
  ASSIGN_OR_RETURN(const std::string text, GetString(json, key));
  if (text == "tab" || text == "\\t") {
    *out = '\t';
  } else if (may_be_none && (text.empty() || text == "none")) {
    *out = '\0';
  } else if (text.size() == 1) {
    *out = text[0];
  } else {
    return InvalidArgument("'" + std::string(key) + "' must be one character, not '" + text + "'");
  }
  return {};
}

Result<CsvDialect> DialectFromJson(const Json& json) {
  CsvDialect dialect;
  RETURN_IF_ERROR(ReadChar(json, "delimiter", false, &dialect.delimiter));
  RETURN_IF_ERROR(ReadChar(json, "quote", true, &dialect.quote));
  dialect.escape = dialect.quote;
  RETURN_IF_ERROR(ReadChar(json, "escape", true, &dialect.escape));
  if (FindMember(json, "header") != nullptr) {
    ASSIGN_OR_RETURN(dialect.header, GetBool(json, "header"));
  }
  if (FindMember(json, "skip_lines") != nullptr) {
    ASSIGN_OR_RETURN(const int64_t lines, GetInt(json, "skip_lines"));
    if (lines < 0 || lines > 1'000'000) return InvalidArgument("'skip_lines' must be 0 to 1000000");
    dialect.skip_lines = static_cast<int>(lines);
  }
  if (FindMember(json, "encoding") != nullptr) {
    ASSIGN_OR_RETURN(dialect.encoding, GetString(json, "encoding"));
    dialect.encoding = ToLower(dialect.encoding);
    if (dialect.encoding == "utf8") dialect.encoding = "utf-8";
    if (dialect.encoding == "latin1" || dialect.encoding == "iso-8859-1")
      dialect.encoding = "latin-1";
    if (dialect.encoding == "utf16") dialect.encoding = "utf-16";
    if (dialect.encoding != "utf-8" && dialect.encoding != "latin-1" &&
        dialect.encoding != "utf-16") {
      return InvalidArgument("the encoding '" + dialect.encoding + "' is not known",
                             "use utf-8, latin-1 or utf-16");
    }
  }
  return dialect;
}

}  // namespace

std::string_view FormatName(Format format) { return kFormats[static_cast<size_t>(format)]; }

std::optional<Format> FormatFromName(std::string_view name) {
  for (size_t i = 0; i < kFormats.size(); ++i) {
    if (kFormats[i] == name) return static_cast<Format>(i);
  }
  if (name == "tsv") return Format::kCsv;
  if (name == "ndjson" || name == "json") return Format::kJsonLines;
  return std::nullopt;
}

std::optional<Format> FormatFromPath(std::string_view path) {
  const std::string lower = ToLower(path);
  std::string_view name = lower;
  if (name.ends_with(".parquet")) return Format::kParquet;
  if (name.ends_with(".gz")) name.remove_suffix(3);
  if (name.ends_with(".zst")) name.remove_suffix(4);
  for (std::string_view extension : {".csv", ".tsv", ".txt"}) {
    if (name.ends_with(extension)) return Format::kCsv;
  }
  for (std::string_view extension : {".jsonl", ".ndjson", ".json"}) {
    if (name.ends_with(extension)) return Format::kJsonLines;
  }
  return std::nullopt;
}

Json FilesSpecToJson(const FilesSpec& spec) {
  Json out = {{"paths", spec.paths}};
  if (spec.format) out["format"] = FormatName(*spec.format);
  if (spec.dialect) out["dialect"] = DialectToJson(spec);
  if (!spec.schema.fields.empty()) out["schema"] = SchemaToJson(spec.schema);
  out["on_bad_rows"] = kPolicies[static_cast<size_t>(spec.on_bad_rows)];
  return out;
}

Result<FilesSpec> FilesSpecFromJson(const Json& json) {
  FilesSpec spec;
  ASSIGN_OR_RETURN(spec.paths, GetStrings(json, "paths"));
  if (FindMember(json, "format") != nullptr) {
    ASSIGN_OR_RETURN(const std::string name, GetString(json, "format"));
    spec.format = FormatFromName(name);
    if (!spec.format)
      return InvalidArgument("the format '" + name + "' is not known", "use csv, parquet or jsonl");
  }
  if (FindMember(json, "dialect") != nullptr) {
    ASSIGN_OR_RETURN(const Json* dialect, GetObject(json, "dialect"));
    ASSIGN_OR_RETURN(spec.dialect, DialectFromJson(*dialect));
    spec.sniff_delimiter = FindMember(*dialect, "delimiter") == nullptr;
    spec.sniff_header = FindMember(*dialect, "header") == nullptr;
  }
  if (const Json* schema = FindMember(json, "schema"); schema != nullptr) {
    ASSIGN_OR_RETURN(spec.schema, SchemaFromJson(*schema));
  }
  if (FindMember(json, "on_bad_rows") != nullptr) {
    ASSIGN_OR_RETURN(const std::string name, GetString(json, "on_bad_rows"));
    size_t at = 0;
    while (at < kPolicies.size() && kPolicies[at] != name) ++at;
    if (at == kPolicies.size()) {
      return InvalidArgument("on_bad_rows cannot be '" + name + "'",
                             "use fail, skip or quarantine");
    }
    spec.on_bad_rows = static_cast<OnBadRows>(at);
  }
  return spec;
}

}  // namespace slipway
