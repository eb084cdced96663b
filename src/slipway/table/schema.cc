#include "slipway/table/schema.h"

#include <array>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {
constexpr std::array<std::string_view, 6> kNames = {"boolean", "int64", "double",
                                                    "string",  "date",  "timestamp"};
}

std::string_view TypeName(Type type) { return kNames[static_cast<size_t>(type)]; }

std::optional<Type> TypeFromName(std::string_view name) {
  const std::string lower = ToLower(name);
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == lower) return static_cast<Type>(i);
  }
  if (lower == "bool") return Type::kBoolean;
  if (lower == "int" || lower == "integer" || lower == "bigint" || lower == "long")
    return Type::kInt64;
  if (lower == "float" || lower == "number" || lower == "float64" || lower == "real")
    return Type::kDouble;
  if (lower == "text" || lower == "varchar" || lower == "str") return Type::kString;
  if (lower == "datetime" || lower == "timestamptz") return Type::kTimestamp;
  return std::nullopt;
}

int Schema::Find(std::string_view name) const {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

std::vector<std::string> Schema::Names() const {
  std::vector<std::string> out;
  for (const Field& field : fields) out.push_back(field.name);
  return out;
}

Json SchemaToJson(const Schema& schema) {
  Json out = Json::array();
  for (const Field& field : schema.fields)
    out.push_back({{"name", field.name}, {"type", TypeName(field.type)}});
  return out;
}

Result<Schema> SchemaFromJson(const Json& json) {
  if (!json.is_array()) return InvalidArgument("a schema must be a list of {name, type}");
  Schema schema;
  for (const Json& item : json) {
    ASSIGN_OR_RETURN(std::string name, GetString(item, "name"));
    ASSIGN_OR_RETURN(std::string type_name, GetString(item, "type"));
    auto type = TypeFromName(type_name);
    if (!type)
      return InvalidArgument("column '" + name + "' has the unknown type '" + type_name + "'");
    if (schema.Find(name) >= 0)
      return InvalidArgument("column '" + name + "' stands twice in the schema");
    schema.fields.push_back({std::move(name), *type});
  }
  return schema;
}

Error NoSuchColumn(std::string_view name, const Schema& schema, std::string_view where) {
  const std::vector<std::string> names = schema.Names();
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = "its columns are " + QuotedList(names);
  return InvalidArgument("there is no column '" + std::string(name) + "' in " + std::string(where),
                         hint);
}

}  // namespace slipway
