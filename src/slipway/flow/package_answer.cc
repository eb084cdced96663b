#include "slipway/flow/package_answer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "slipway/table/cell.h"

namespace slipway {
namespace {

// A record's value as the text of a cell; "" is missing.
std::string CellText(const Json* value) {
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : DumpJson(*value);
}

// The field of every record as a column of the type; where the record has none, what was looked up
// (nullptr: nothing was). Rows whose value is none of the type become null and get a failure.
// `texts` holds what strings point into.
struct RecordColumn {
  Column column;
  std::vector<std::string> texts;

  RecordColumn(std::span<const Json> records, const std::string& field, Type type,
               const Column* looked_up, std::vector<RecordAnswer>* answers)
      : column(type), texts(records.size()) {
    for (size_t i = 0; i < records.size(); ++i) {
      const int row = static_cast<int>(i);
      texts[i] = CellText(FindMember(records[i], field));
      if (texts[i].empty() && looked_up != nullptr && looked_up->valid(row))
        AppendCell(looked_up->View(), row, &texts[i]);
      if (texts[i].empty()) continue;
      if (!ParseCellInto(texts[i], row, &column) && (*answers)[i].failure.empty()) {
        (*answers)[i].failure = "'" + field + "': '" + texts[i].substr(0, 60) +
                                "' is not of type " + std::string(TypeName(type));
      }
    }
  }
};

}  // namespace

Json CellAsJson(const ColumnView& column, int row) {
  if (!column.valid(row)) return nullptr;
  switch (column.type) {
    case Type::kBoolean:
      return column.booleans()[row] != 0;
    case Type::kInt64:
      return column.ints()[row];
    case Type::kDouble:
      return std::isnan(column.doubles()[row]) ? Json() : DoubleToJson(column.doubles()[row]);
    case Type::kString:
    case Type::kDate:
    case Type::kTimestamp:
      break;
  }
  std::string text;
  AppendCell(column, row, &text);
  return text;
}

// What was found so far.
struct EndpointAnswerer::Lookups {
  std::vector<RecordAnswer> answers;
  std::vector<bool> decided;  // ignored or failed: nothing more is done
  std::map<std::string, std::unique_ptr<Column>> columns;  // by field
  ModelScratch scratch;

  const Column* Found(const std::string& field) const {
    const auto it = columns.find(field);
    return it == columns.end() ? nullptr : it->second.get();
  }
  void Decide(size_t row, LookupPolicy policy, std::string_view reason, const TableUse& use) {
    decided[row] = true;
    if (policy == LookupPolicy::kError) {
      answers[row].failure = std::string(reason) + " in table '" + use.table + "'";
    } else {
      answers[row].result = Json{{"ignored", true}, {"ignoreReason", reason}};
    }
  }
};

EndpointAnswerer::EndpointAnswerer(const PackageEndpoint& endpoint, const Model* model,
                                   std::map<std::string, const LookupTable*> tables)
    : endpoint_(endpoint), model_(model), tables_(std::move(tables)) {}

void EndpointAnswerer::Look(const TableUse& use, std::span<const Json> records,
                            Lookups* state) const {
  const LookupTable& table = *tables_.at(use.part);
  const int rows = static_cast<int>(records.size());
  std::vector<std::unique_ptr<RecordColumn>> keys;
  std::vector<ColumnView> values;
  for (size_t k = 0; k < use.keys.size(); ++k) {
    const Type type = table.schema().fields[static_cast<size_t>(table.keys()[k])].type;
    keys.push_back(std::make_unique<RecordColumn>(
        records, use.keys[k].field, type, state->Found(use.keys[k].field), &state->answers));
    values.push_back(keys.back()->column.View());
  }
  std::vector<int> looked;
  for (const TableUse::Pair& pair : use.columns) {
    looked.push_back(table.schema().Find(pair.column));
    state->columns[pair.field] =
        std::make_unique<Column>(table.schema().fields[static_cast<size_t>(looked.back())].type);
  }
  for (int row = 0; row < rows; ++row) {
    const auto at = static_cast<size_t>(row);
    RecordAnswer& answer = state->answers[at];
    if (!answer.failure.empty()) state->decided[at] = true;
    if (state->decided[at]) continue;
    // What the record says stands; one that lacks nothing is not looked up.
    if (endpoint_.type == EndpointType::kPrediction &&
        std::all_of(use.columns.begin(), use.columns.end(), [&](const TableUse::Pair& pair) {
          return !CellText(FindMember(records[at], pair.field)).empty();
        }))
      continue;
    bool missing = false;
    for (const ColumnView& value : values) missing |= !value.valid(row);
    const LookupTable::Match match = missing ? LookupTable::Match{} : table.Find(values, row);
    if (missing || match.row < 0) {
      answer.complete = false;
      const LookupPolicy policy = missing ? use.missing_key : use.no_match;
      if (policy != LookupPolicy::kContinue)
        state->Decide(at, policy, missing ? kMissingLookupKey : kNoLookupMatch, use);
      continue;
    }
    if (match.several && use.several_matches != LookupPolicy::kContinue) {
      answer.complete = false;
      state->Decide(at, use.several_matches, kMultipleLookupMatches, use);
      continue;
    }
    for (size_t i = 0; i < looked.size(); ++i)
      table.Read(match.row, looked[i], row, state->columns[use.columns[i].field].get());
  }
}

void EndpointAnswerer::Predict(std::span<const Json> records, Lookups* state) const {
  const int rows = static_cast<int>(records.size());
  const Schema& inputs = model_->inputs();
  std::vector<std::unique_ptr<RecordColumn>> given;
  std::vector<ColumnView> columns;
  for (const Field& field : inputs.fields) {
    given.push_back(std::make_unique<RecordColumn>(records, field.name, field.type,
                                                   state->Found(field.name), &state->answers));
    columns.push_back(given.back()->column.View());
  }
  Batch batch;
  batch.schema = &inputs;
  batch.rows = rows;
  batch.columns = columns;
  const std::span<const ColumnView> outputs = model_->Score(batch, &state->scratch);
  const Schema& schema = model_->outputs();
  const int prediction = schema.Find("prediction");
  for (int row = 0; row < rows; ++row) {
    const auto at = static_cast<size_t>(row);
    RecordAnswer& answer = state->answers[at];
    if (state->decided[at] || !answer.failure.empty()) continue;
    answer.complete = false;
    if (prediction < 0) continue;  // a bare model file of several outputs
    const ColumnView& column = outputs[static_cast<size_t>(prediction)];
    if (!column.valid(row)) {
      answer.result = Json{{"ignored", true}, {"ignoreReason", kDroppedByModel}};
      continue;
    }
    answer.complete = true;
    if (model_->classes().empty()) {
      answer.result = Json{{"prediction", CellAsJson(column, row)}};
      continue;
    }
    std::string label;
    AppendCell(column, row, &label);
    Json probas = Json::object();
    for (size_t i = 0; i < model_->classes().size(); ++i)
      probas[model_->classes()[i]] = CellAsJson(outputs[i], row);
    answer.result = Json{{"prediction", std::move(label)}, {"probas", std::move(probas)}};
  }
}

void EndpointAnswerer::CollectData(std::span<const Json> records, Lookups* state) const {
  for (size_t row = 0; row < records.size(); ++row) {
    if (state->decided[row]) {
      state->answers[row].result = Json();
      continue;
    }
    if (!state->answers[row].complete) continue;
    Json data = Json::object();
    for (const TableUse& use : endpoint_.tables) {
      for (const TableUse::Pair& pair : use.columns) {
        Json value = CellAsJson(state->columns[pair.field]->View(), static_cast<int>(row));
        if (!value.is_null()) data[pair.field] = std::move(value);
      }
    }
    state->answers[row].result = std::move(data);
  }
}

std::vector<RecordAnswer> EndpointAnswerer::Answer(std::span<const Json> records) const {
  Lookups state;
  state.answers.resize(records.size());
  state.decided.resize(records.size());
  for (RecordAnswer& answer : state.answers) answer.complete = true;
  const bool lookup = endpoint_.type == EndpointType::kLookup;
  for (const TableUse& use : lookup ? endpoint_.tables : endpoint_.enrichments)
    Look(use, records, &state);
  if (lookup) {
    CollectData(records, &state);
  } else {
    Predict(records, &state);
  }
  for (RecordAnswer& answer : state.answers) {
    if (!answer.failure.empty()) answer.complete = false;
  }
  return std::move(state.answers);
}

}  // namespace slipway
