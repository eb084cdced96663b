#include "slipway/lookup/table_format.h"

#include <set>

#include <fmt/format.h>

#include "slipway/base/hash.h"
#include "slipway/base/json.h"

namespace slipway {
namespace {

constexpr size_t kMaxColumns = 10'000;

uint64_t Aligned(uint64_t at) { return (at + kTableAlignment - 1) & ~(kTableAlignment - 1); }

Status OnlyKeys(const Json& json, const std::set<std::string_view>& keys) {
  if (!json.is_object()) return Corruption("it is not an object");
  for (const auto& [key, value] : json.items()) {
    if (!keys.contains(key)) return Corruption(fmt::format("unknown key '{}'", key.substr(0, 60)));
  }
  return {};
}

Result<TableColumn> ColumnFromJson(const Json& json) {
  RETURN_IF_ERROR(OnlyKeys(json, {"name", "type", "nulls", "text_bytes"}));
  TableColumn column;
  ASSIGN_OR_RETURN(column.field.name, GetString(json, "name"));
  ASSIGN_OR_RETURN(const std::string type, GetString(json, "type"));
  const std::optional<Type> known = TypeFromName(type);
  if (!known || TypeName(*known) != type)
    return Corruption(fmt::format("'{}' is not a type", type.substr(0, 60)));
  column.field.type = *known;
  ASSIGN_OR_RETURN(column.nulls, GetBool(json, "nulls"));
  ASSIGN_OR_RETURN(const int64_t text_bytes, GetInt(json, "text_bytes"));
  if (text_bytes < 0 || static_cast<uint64_t>(text_bytes) > kMaxTableTextBytes ||
      (text_bytes > 0 && *known != Type::kString)) {
    return Corruption(fmt::format("column '{}' with {} bytes of text",
                                  column.field.name.substr(0, 60), text_bytes));
  }
  column.text_bytes = static_cast<uint64_t>(text_bytes);
  return column;
}

Status ReadKeys(const Json& json, TableHead* head) {
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, GetStrings(json, "keys"));
  if (keys.empty()) return Corruption("'keys' is empty");
  for (const std::string& key : keys) {
    int found = -1;
    for (size_t i = 0; i < head->columns.size(); ++i) {
      if (head->columns[i].field.name == key) found = static_cast<int>(i);
    }
    if (found < 0) return Corruption(fmt::format("the key '{}' is no column", key.substr(0, 60)));
    TableColumn& column = head->columns[static_cast<size_t>(found)];
    if (column.key || column.nulls)
      return Corruption(fmt::format("the key '{}' stands twice or has nulls", key.substr(0, 60)));
    column.key = true;
    head->keys.push_back(found);
  }
  return {};
}

}  // namespace

uint64_t TableValueBytes(Type type) {
  switch (type) {
    case Type::kBoolean:
      return 1;
    case Type::kDate:
    case Type::kString:
      return 4;
    case Type::kInt64:
    case Type::kDouble:
    case Type::kTimestamp:
      return 8;
  }
  return 8;
}

uint64_t TableSlots(uint64_t rows) { return std::bit_ceil(rows + rows / 2 + 8); }

// No overflow: rows below 2^31, at most 8 bytes a cell, 10,000 columns, texts below 4 GiB.
void LayOut(uint64_t head_bytes, TableHead* head) {
  uint64_t at = sizeof(TableHeader) + head_bytes;
  const auto place = [&](uint64_t bytes) {
    const uint64_t begin = Aligned(at);
    at = begin + bytes;
    return begin;
  };
  head->index_at = place(head->slots * sizeof(TableSlot));
  for (TableColumn& column : head->columns) {
    const bool text = column.field.type == Type::kString;
    column.validity_at = column.nulls ? place((head->rows + 63) / 64 * 8) : 0;
    column.values_at = place((head->rows + (text ? 1 : 0)) * TableValueBytes(column.field.type));
    column.text_at = text ? place(column.text_bytes) : 0;
  }
  head->file_bytes = Aligned(at);
}

std::string TableHeadToText(const TableHead& head) {
  Json columns = Json::array(), keys = Json::array();
  for (const TableColumn& column : head.columns) {
    columns.push_back(Json{{"name", column.field.name},
                           {"type", TypeName(column.field.type)},
                           {"nulls", column.nulls},
                           {"text_bytes", column.text_bytes}});
  }
  for (const int key : head.keys) keys.push_back(head.columns[static_cast<size_t>(key)].field.name);
  return DumpJson(Json{{"columns", std::move(columns)}, {"keys", std::move(keys)}});
}

Status TableHeadFromText(std::string_view text, TableHead* head) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, {kMaxTableHeadBytes, 8}));
  RETURN_IF_ERROR(OnlyKeys(json, {"columns", "keys"}));
  ASSIGN_OR_RETURN(const Json* const columns, GetArray(json, "columns"));
  if (columns->size() > kMaxColumns)
    return Corruption(fmt::format("{} columns are too many", columns->size()));
  std::set<std::string> names;
  for (const Json& item : *columns) {
    ASSIGN_OR_RETURN(TableColumn column, ColumnFromJson(item));
    if (!names.insert(column.field.name).second) {
      return Corruption(fmt::format("column '{}' stands twice", column.field.name.substr(0, 60)));
    }
    head->columns.push_back(std::move(column));
  }
  return ReadKeys(json, head);
}

uint64_t HashTableText(std::string_view text, uint64_t seed) { return Xxh3(text, seed); }

uint64_t HashTableBits(uint64_t bits, uint64_t seed) {
  return Xxh3(std::string_view(reinterpret_cast<const char*>(&bits), sizeof bits), seed);
}

}  // namespace slipway
