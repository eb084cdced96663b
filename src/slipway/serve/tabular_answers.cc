#include "slipway/serve/tabular_answers.h"

#include <algorithm>
#include <limits>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

bool IsFilledByTable(const PackageEndpoint& endpoint, const std::string& name) {
  for (const TableUse& use : endpoint.enrichments) {
    for (const TableUse::Pair& pair : use.columns) {
      if (pair.field == name) return true;
    }
  }
  return false;
}

}  // namespace

Result<EndpointColumns> ColumnsOfEndpoint(const ServedEndpoint& endpoint) {
  const PackageEndpoint& definition = endpoint.definition();
  if (!endpoint.Serves(Verb::kPredictMulti))
    return InvalidArgument("endpoint '" + definition.id + "' makes no predictions");
  const Json description = endpoint.Describe();
  ASSIGN_OR_RETURN(const Json* inputs, GetArray(description, "inputs"));
  ASSIGN_OR_RETURN(const Json* outputs, GetArray(description, "outputs"));
  ASSIGN_OR_RETURN(Schema model, SchemaFromJson(*inputs));
  EndpointColumns columns;
  ASSIGN_OR_RETURN(columns.outputs, SchemaFromJson(*outputs));
  ASSIGN_OR_RETURN(columns.classes, GetStrings(description, "classes"));
  std::erase_if(columns.outputs.fields, [](const Field& f) { return f.name == "explanations"; });
  for (const Field& field : columns.outputs.fields) {
    if (field.name == "prediction") columns.label_type = field.type;
  }
  for (Field& field : model.fields) {
    const bool filled = IsFilledByTable(definition, field.name);
    (filled ? columns.looked_up : columns.inputs).fields.push_back(std::move(field));
  }
  for (const TableUse& use : definition.enrichments) {
    for (const TableUse::Pair& key : use.keys) {
      // Any text is read as the table's type.
      if (columns.inputs.Find(key.field) < 0 && columns.looked_up.Find(key.field) < 0)
        columns.inputs.fields.push_back({key.field, Type::kString});
    }
  }
  return columns;
}

TabularAnswers::TabularAnswers(const EndpointColumns* columns)
    : columns_(columns),
      width_(columns->labels() ? columns->classes.size() : columns->outputs.fields.size()) {}

bool TabularAnswers::Label() {
  std::string_view text;
  if (scan_.Peek() != JsonToken::kString) return scan_.Fail("a label is no text");
  if (!scan_.String(&text)) return false;
  const auto at = std::find(columns_->classes.begin(), columns_->classes.end(), text);
  if (at == columns_->classes.end()) return scan_.Fail("a label is no class");
  labels_.back() = static_cast<int32_t>(at - columns_->classes.begin());
  return true;
}

// One number, or a list of them.
bool TabularAnswers::Values() {
  double* const values = values_.data() + values_.size() - width_;
  const auto number = [&](double* out) {
    const JsonToken token = scan_.Peek();
    if (token == JsonToken::kNull) return scan_.Word();
    ScannedNumber read;
    if (token != JsonToken::kNumber) return scan_.Fail("a prediction is no number");
    if (!scan_.Number(&read)) return false;
    *out = read.exact ? read.value : ParseDouble(read.text).value_or(kNoNumber);
    return true;
  };
  if (scan_.Peek() != JsonToken::kArray) return number(values);
  if (!scan_.Enter()) return false;
  for (size_t i = 0; scan_.NextItem(); ++i) {
    if (i == width_) return scan_.Fail("there are too many predictions");
    if (!number(values + i)) return false;
  }
  return scan_.ok();
}

bool TabularAnswers::Probabilities() {
  if (scan_.Peek() != JsonToken::kObject) return scan_.Fail("probas is no object");
  if (!scan_.Enter()) return false;
  double* const values = values_.data() + values_.size() - width_;
  std::string_view key;
  size_t at = 0;
  while (scan_.NextKey(&key)) {
    // They come in the order of the classes.
    if (at >= columns_->classes.size() || columns_->classes[at] != key) {
      const auto found = std::find(columns_->classes.begin(), columns_->classes.end(), key);
      if (found == columns_->classes.end()) return scan_.Fail("a probability is of no class");
      at = static_cast<size_t>(found - columns_->classes.begin());
    }
    const JsonToken token = scan_.Peek();
    ScannedNumber read;
    if (token == JsonToken::kNumber) {
      if (!scan_.Number(&read)) return false;
      values[at] = read.exact ? read.value : ParseDouble(read.text).value_or(kNoNumber);
    } else if (!scan_.Word()) {
      return false;
    }
    ++at;
  }
  return scan_.ok();
}

bool TabularAnswers::Problem() {
  if (scan_.Peek() != JsonToken::kObject) return scan_.Fail("error is no object");
  if (!scan_.Enter()) return false;
  std::string_view key, text;
  problem_ = "it could not be scored";
  while (scan_.NextKey(&key)) {
    if (key == "detailedMessage" && scan_.Peek() == JsonToken::kString) {
      if (!scan_.String(&text)) return false;
      problem_ = text;
    } else if (!scan_.Skip(&text)) {
      return false;
    }
  }
  return scan_.ok();
}

Status TabularAnswers::Row() {
  labels_.push_back(-1);
  values_.insert(values_.end(), width_, kNoNumber);
  if (scan_.Peek() != JsonToken::kObject || !scan_.Enter())
    return Internal("a result is no object");
  std::string_view key, text, reason;
  bool ignored = false;
  problem_.clear();
  while (scan_.NextKey(&key)) {
    bool fine = true;
    if (key == "prediction") {
      fine = columns_->labels() ? Label() : Values();
    } else if (key == "probas") {
      fine = Probabilities();
    } else if (key == "ignored") {
      ignored = scan_.Peek() == JsonToken::kTrue;
      fine = scan_.Skip(&text);
    } else if (key == "ignoreReason" && scan_.Peek() == JsonToken::kString) {
      fine = scan_.String(&reason);
    } else if (key == "error") {
      fine = Problem();
    } else {
      fine = scan_.Skip(&text);
    }
    if (!fine) break;
  }
  if (!scan_.ok()) return scan_.error();
  if (!problem_.empty()) return InvalidArgument("row " + std::to_string(rows_) + ": " + problem_);
  if (ignored && first_ignored_ < 0) {
    first_ignored_ = rows_;
    ignore_reason_ = reason;
  }
  ++rows_;
  return {};
}

Status TabularAnswers::Append(std::string_view text) {
  arena_.Reset();
  std::string_view key;
  if (!scan_.Begin(text, &arena_) || !scan_.Enter() || !scan_.NextKey(&key) || key != "results" ||
      scan_.Peek() != JsonToken::kArray || !scan_.Enter())
    return Internal("an endpoint's answer has no results");
  while (scan_.NextItem()) RETURN_IF_ERROR(Row());
  if (!scan_.ok()) return Internal("an endpoint's answer is no JSON: " + scan_.error().message);
  return {};
}

}  // namespace slipway
