// The types and schemas of tables. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

enum class Type : uint8_t { kBoolean, kInt64, kDouble, kString, kDate, kTimestamp };

// "boolean", "int64", "double", "string", "date", "timestamp".
std::string_view TypeName(Type type);
// Accepts those names and the common synonyms of other tools ("int", "bigint", "float", "text",
// "bool", "datetime").
std::optional<Type> TypeFromName(std::string_view name);

struct Field {
  std::string name;
  Type type = Type::kString;
  bool operator==(const Field&) const = default;
};

struct Schema {
  std::vector<Field> fields;

  int size() const { return static_cast<int>(fields.size()); }
  // Index of the column, or -1. Names are case-sensitive.
  int Find(std::string_view name) const;
  std::vector<std::string> Names() const;
  bool operator==(const Schema&) const = default;
};

// [{"name": "fare", "type": "double"}, ...]
Json SchemaToJson(const Schema& schema);
Result<Schema> SchemaFromJson(const Json& json);
// "there is no column 'x' in ...; did you mean 'y'?"
Error NoSuchColumn(std::string_view name, const Schema& schema, std::string_view where);

}  // namespace slipway
