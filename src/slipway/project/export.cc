#include "slipway/project/export.h"

#include <cmath>

#include "slipway/base/text.h"
#include "slipway/project/yaml.h"

namespace slipway {
namespace {

constexpr size_t kWidth = 100;

// Words that other YAML readers (1.1) take for booleans.
bool IsOldBoolean(std::string_view text) {
  const std::string lower = ToLower(text);
  return lower == "yes" || lower == "no" || lower == "on" || lower == "off" || lower == "y" ||
         lower == "n";
}

// Simpler than YAML's own rule, and safe in block and flow context alike.
bool NeedsQuotes(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=<~").find(text.front()) != std::string_view::npos)
    return true;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F ||
        std::string_view(":#,[]{}?").find(c) != std::string_view::npos)
      return true;
  }
  // Non-ASCII blanks and line separators, and what looks like a document mark, are not worth a rule
  // of their own.
  if (text.find("\xC2") != std::string::npos || text.find("\xE2\x80") != std::string::npos ||
      text.find("\xEF\xBB\xBF") != std::string::npos || text.starts_with("...")) {
    return true;
  }
  auto plain = YamlPlainScalar(text);
  return !plain || !plain->is_string() || IsOldBoolean(text);
}

std::string Quoted(const std::string& text) {
  std::string json = DumpJson(Json(text));
  std::string out;
  for (char c : json) {
    if (c == '\x7F') {
      out += "\\x7F";
    } else {
      out += c;
    }
  }
  return out;
}

std::string TextScalar(const std::string& text) { return NeedsQuotes(text) ? Quoted(text) : text; }

std::string Scalar(const Json& value) {
  if (value.is_string()) return TextScalar(value.get<std::string>());
  if (value.is_number_float()) {
    std::string text = FormatDouble(value.get<double>());
    // A float stays a float.
    return text.find_first_of(".einf") == std::string::npos ? text + ".0" : text;
  }
  return DumpJson(value);
}

std::string Flow(const Json& value) {
  if (!value.is_structured()) return Scalar(value);
  std::string out = value.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& item : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += TextScalar(item.key()) + ": ";
    out += Flow(item.value());
  }
  return out + (value.is_object() ? "}" : "]");
}

// "query: |" needs lines that a literal block can hold exactly.
bool FitsLiteralBlock(const std::string& text) {
  if (text.find('\n') == std::string::npos || text.front() == ' ' || text.front() == '\n' ||
      text.front() == '\t')
    return false;
  if (text.ends_with("\n\n")) return false;
  for (const std::string& line : Split(text, '\n')) {
    if (!line.empty() && Trim(line).empty()) return false;
    if (line.find('\t') < line.find_first_not_of(" \t")) return false;
    for (char c : line) {
      auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7F) return false;
    }
    if (line.find("\xC2\x85") != std::string::npos || line.find("\xE2\x80") != std::string::npos ||
        line.find("\xEF\xBB\xBF") != std::string::npos) {
      return false;
    }
  }
  return true;
}

class BlockWriter {
 public:
  // `sections`: the members of the top-level maps stand on lines of their own.
  explicit BlockWriter(bool sections) : sections_(sections) {}

  void Map(const Json& map, size_t indent) {
    for (const auto& item : map.items()) {
      out_ += std::string(indent, ' ') + TextScalar(item.key()) + ":";
      Value(item.value(), indent, out_.size() - out_.rfind('\n') - 1);
    }
  }
  void List(const Json& list, size_t indent) {
    for (const Json& item : list) {
      out_ += std::string(indent, ' ') + "-";
      if (item.is_object() && !item.empty() && Flow(item).size() + indent + 2 > kWidth) {
        // The first key stands beside the dash.
        const size_t at = out_.size();
        Map(item, indent + 2);
        out_.replace(at, indent + 2, " ");
      } else {
        Value(item, indent, indent + 1);
      }
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  // After "key:" or "-"; `used`: columns taken in this line.
  void Value(const Json& value, size_t indent, size_t used) {
    if (value.is_string() && FitsLiteralBlock(value.get_ref<const std::string&>())) {
      Literal(value.get<std::string>(), indent + 2);
      return;
    }
    const bool is_section = sections_ && indent == 0 && value.is_object();
    if (!value.is_structured() || value.empty() ||
        (!is_section && !HoldsBlockText(value) && used + 1 + Flow(value).size() <= kWidth)) {
      out_ += " " + Flow(value) + "\n";
      return;
    }
    out_ += "\n";
    if (value.is_object()) {
      Map(value, indent + 2);
    } else {
      List(value, indent + 2);
    }
  }
  static bool HoldsBlockText(const Json& value) {
    if (value.is_string()) return FitsLiteralBlock(value.get_ref<const std::string&>());
    if (!value.is_structured()) return false;
    for (const auto& item : value.items()) {
      if (HoldsBlockText(item.value())) return true;
    }
    return false;
  }
  void Literal(std::string text, size_t indent) {
    const bool ends_line = text.ends_with('\n');
    if (ends_line) text.pop_back();
    out_ += ends_line ? " |\n" : " |-\n";
    for (const std::string& line : Split(text, '\n')) {
      out_ += line.empty() ? "\n" : std::string(indent, ' ') + line + "\n";
    }
  }

  bool sections_;
  std::string out_;
};

std::string RelativePath(const std::string& path, const std::string& folder) {
  if (folder.empty()) return path;
  std::string prefix = folder.ends_with("/") ? folder : folder + "/";
  if (path.size() > prefix.size() && path.starts_with(prefix)) return path.substr(prefix.size());
  return path;
}

}  // namespace

std::string JsonToYaml(const Json& value) {
  BlockWriter writer(/*sections=*/false);
  if (value.is_object() && !value.empty()) {
    writer.Map(value, 0);
  } else if (value.is_array() && !value.empty()) {
    writer.List(value, 0);
  } else {
    return Flow(value) + "\n";
  }
  return writer.Take();
}

std::string ToYaml(const ProjectDefinition& project, const ExportOptions& options) {
  Json json = ProjectToJson(project);
  if (json.contains("datasets")) {
    for (Json& dataset : json["datasets"]) {
      if (!dataset.contains("path")) continue;
      Json& path = dataset["path"];
      if (path.is_string()) {
        path = RelativePath(path.get<std::string>(), options.folder);
      } else {
        for (Json& item : path) item = RelativePath(item.get<std::string>(), options.folder);
      }
      if (!dataset.contains("schema")) continue;
      Json schema = Json::object();  // as a person writes it: {column: type}
      for (const Json& field : dataset["schema"])
        schema[field["name"].get<std::string>()] = field["type"];
      dataset["schema"] = std::move(schema);
    }
  }
  BlockWriter writer(/*sections=*/true);
  writer.Map(json, 0);
  return writer.Take();
}

}  // namespace slipway
