#include "slipway/package/openapi_inputs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/features/pipeline.h"
#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr size_t kMaxCategories = 20, kMaxExamples = 5;

// A sample row's cell as JSON of its type; null for a missing one.
Json CellToJson(const std::string& text, Type type) {
  Column column(type);
  if (!ParseCellInto(text, 0, &column) || !column.valid(0)) return nullptr;
  switch (type) {
    case Type::kBoolean:
      return column.booleans()[0] != 0;
    case Type::kInt64:
      return column.ints()[0];
    case Type::kDouble:
      // What JSON cannot hold is sent as a text.
      if (!std::isfinite(column.doubles()[0])) return text;
      return column.doubles()[0];
    case Type::kString:
    case Type::kDate:
    case Type::kTimestamp:
      break;
  }
  return text;
}

void AddExample(const Json& value, DescribedField* field) {
  if (value.is_null() || field->examples.size() >= kMaxExamples) return;
  if (std::find(field->examples.begin(), field->examples.end(), value) == field->examples.end())
    field->examples.push_back(value);
}

std::string Range(const BundleContent& bundle, size_t column) {
  double least = INFINITY, most = -INFINITY;
  for (const std::vector<std::string>& row : bundle.sample_rows) {
    double value = 0;
    if (column >= row.size() || ParseDoubleCell(row[column], &value) != CellState::kValue) continue;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  if (least > most) return "";
  return fmt::format(" In the sample rows: {} to {}.", FormatDouble(least), FormatDouble(most));
}

// The categories that training coded, when the prepared column is the raw one.
std::string Categories(const Json& pipeline, DescribedField* field) {
  const Json* const encoders = FindMember(pipeline, "features");
  if (encoders == nullptr || !encoders->is_array()) return "";
  for (const Json& encoder : *encoders) {
    const Json* const column = FindMember(encoder, "column");
    const Json* const categories = FindMember(encoder, "categories");
    if (column == nullptr || *column != field->field.name || categories == nullptr ||
        !categories->is_array())
      continue;
    std::vector<std::string> names;
    for (const Json& name : *categories) {
      if (!name.is_string()) continue;
      if (field->field.type == Type::kString) AddExample(name, field);
      names.push_back(name.get<std::string>());
    }
    return fmt::format(" Seen in training: {}.", QuotedList(names, kMaxCategories));
  }
  return "";
}

std::string_view HowToWrite(Type type) {
  switch (type) {
    case Type::kBoolean:
      return "true or false.";
    case Type::kInt64:
      return "A whole number.";
    case Type::kDouble:
      return "A number.";
    case Type::kString:
      return "A text.";
    case Type::kDate:
      return "A date: 2026-01-31.";
    case Type::kTimestamp:
      return "A time: 2026-01-31T13:45:00Z.";
  }
  return "";
}

// What stands in an example where there is no sample.
Json Placeholder(Type type) {
  switch (type) {
    case Type::kBoolean:
      return true;
    case Type::kInt64:
      return 1;
    case Type::kDouble:
      return 1.5;
    case Type::kString:
      return "A";
    case Type::kDate:
      return "2026-01-31";
    case Type::kTimestamp:
      return "2026-01-31T13:45:00Z";
  }
  return nullptr;
}

bool Fills(const TableUse& use, const std::string& field) {
  return std::any_of(use.columns.begin(), use.columns.end(),
                     [&](const TableUse::Pair& column) { return column.field == field; });
}

DescribedField Described(const Field& field) {
  DescribedField described;
  described.field = field;
  described.description = HowToWrite(field.type);
  return described;
}

// The keys of the tables that are not there yet, and which ones a record must have.
void AddKeys(const std::vector<TableUse>& uses, const std::vector<const Schema*>& schemas,
             std::vector<DescribedField>* fields) {
  for (size_t i = 0; i < uses.size() && i < schemas.size(); ++i) {
    for (const TableUse::Pair& key : uses[i].keys) {
      const int column = schemas[i] == nullptr ? -1 : schemas[i]->Find(key.column);
      auto there = std::find_if(fields->begin(), fields->end(), [&](const DescribedField& known) {
        return known.field.name == key.field;
      });
      if (there == fields->end()) {
        if (column < 0) continue;
        DescribedField field =
            Described({key.field, schemas[i]->fields[static_cast<size_t>(column)].type});
        field.description += fmt::format(" Key of the table '{}'.", uses[i].table);
        there = fields->insert(fields->end(), std::move(field));
      }
      const bool given =
          std::none_of(uses.begin(), uses.begin() + static_cast<ptrdiff_t>(i),
                       [&](const TableUse& earlier) { return Fills(earlier, key.field); });
      if (given && uses[i].missing_key == LookupPolicy::kError) there->key = true;
    }
  }
}

}  // namespace

std::vector<DescribedField> DescribePredictionFields(const EndpointDescription& description) {
  std::vector<DescribedField> fields;
  if (description.bundle != nullptr) {
    const BundleContent& bundle = *description.bundle;
    const Result<Json> json = ParseJson(bundle.pipeline_json);
    const Result<Pipeline> pipeline =
        json.ok() ? Pipeline::FromJson(*json) : Result<Pipeline>(json.error());
    std::set<std::string> filled;
    for (const TableUse& use : description.endpoint->enrichments) {
      for (const TableUse::Pair& column : use.columns) filled.insert(column.field);
    }
    for (size_t i = 0; pipeline.ok() && i < pipeline->inputs().fields.size(); ++i) {
      DescribedField field = Described(pipeline->inputs().fields[i]);
      for (const std::vector<std::string>& row : bundle.sample_rows) {
        if (i < row.size()) AddExample(CellToJson(row[i], field.field.type), &field);
      }
      if (field.field.type == Type::kInt64 || field.field.type == Type::kDouble)
        field.description += Range(bundle, i);
      field.description += Categories(*json, &field);
      if (filled.contains(field.field.name))
        field.description += " Looked up when it is not given.";
      fields.push_back(std::move(field));
    }
  }
  AddKeys(description.endpoint->enrichments, description.tables, &fields);
  return fields;
}

std::vector<DescribedField> DescribeLookupFields(const EndpointDescription& description) {
  std::vector<DescribedField> fields;
  AddKeys(description.endpoint->tables, description.tables, &fields);
  return fields;
}

std::vector<Json> SampleRecords(const EndpointDescription& description, size_t most) {
  std::vector<Json> records;
  if (description.bundle == nullptr) return records;
  const BundleContent& bundle = *description.bundle;
  const std::vector<DescribedField> fields = DescribePredictionFields(description);
  for (size_t i = 0; i < bundle.sample_rows.size() && records.size() < most; ++i) {
    const std::vector<std::string>& row = bundle.sample_rows[i];
    if (i < bundle.sample_scores.size() && bundle.sample_scores[i].empty()) continue;
    Json record = Json::object();
    for (size_t k = 0; k < fields.size(); ++k) {
      Json value = k < row.size() ? CellToJson(row[k], fields[k].field.type) : Json();
      if (value.is_null() && fields[k].key) value = Placeholder(fields[k].field.type);
      if (k < row.size() || fields[k].key) record[fields[k].field.name] = std::move(value);
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace slipway
