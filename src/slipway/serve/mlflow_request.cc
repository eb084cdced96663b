#include "slipway/serve/mlflow_request.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/mlflow_columns.h"

namespace slipway {
namespace {

constexpr std::string_view kFields[] = {"dataframe_split", "dataframe_records", "instances",
                                        "inputs"};
constexpr std::string_view kFieldsText =
    "{'dataframe_split', 'dataframe_records', 'instances', 'inputs'}";
constexpr std::string_view kJsonHint =
    R"(for example {"dataframe_split": {"columns": ["x"], "data": [[1.5]]}})";

Error BadBody(std::string message) {
  return InvalidArgument(std::move(message), std::string(kJsonHint));
}

bool IsJsonBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The items of an array in text that is known to be valid JSON.
class JsonItems {
 public:
  JsonItems() = default;
  // REQUIRES: `array` is a JSON array.
  explicit JsonItems(std::string_view array)
      : at_(array.data() + 1), end_(array.data() + array.size() - 1) {}

  bool Next(std::string_view* item) {
    while (at_ < end_ && (*at_ == ',' || IsJsonBlank(*at_))) ++at_;
    if (at_ >= end_) return false;
    const char* const begin = at_;
    int depth = 0;
    do {
      const char c = *at_;
      if (c == '"') {
        for (++at_; *at_ != '"'; ++at_) at_ += *at_ == '\\';
        ++at_;
      } else if (c == '[' || c == '{') {
        ++depth;
        ++at_;
      } else if (c == ']' || c == '}') {
        --depth;
        ++at_;
      } else if (depth > 0) {
        ++at_;
      } else {
        while (at_ < end_ && *at_ != ',' && !IsJsonBlank(*at_)) ++at_;
      }
    } while (depth > 0);
    *item = {begin, static_cast<size_t>(at_ - begin)};
    return true;
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
};

int64_t CountItems(std::string_view array) {
  JsonItems items(array);
  std::string_view item;
  int64_t count = 0;
  while (items.Next(&item)) ++count;
  return count;
}

bool IsArray(std::string_view text) { return text.starts_with('['); }

// Records as they are.
class RecordItems : public TabularRows {
 public:
  explicit RecordItems(std::string_view array) : rows_(CountItems(array)), items_(array) {}
  int64_t rows() const override { return rows_; }
  int64_t AppendItems(int64_t most, size_t bytes, std::string* out) override {
    int64_t count = 0;
    std::string_view record;
    while (count < most && out->size() < bytes && items_.Next(&record)) {
      *out += count == 0 ? R"({"features":)" : R"(,{"features":)";
      *out += record;
      *out += '}';
      ++count;
    }
    return count;
  }

 private:
  int64_t rows_;
  JsonItems items_;
};

// Rows as lists; one key per place, empty: the model does not know it.
class ListItems : public TabularRows {
 public:
  ListItems(std::string_view array, std::vector<std::string> keys)
      : rows_(CountItems(array)), items_(array), keys_(std::move(keys)) {}
  int64_t rows() const override { return rows_; }
  int64_t AppendItems(int64_t most, size_t bytes, std::string* out) override;

 private:
  int64_t rows_;
  JsonItems items_;
  std::vector<std::string> keys_;
};

int64_t ListItems::AppendItems(int64_t most, size_t bytes, std::string* out) {
  int64_t count = 0;
  std::string_view row, value;
  while (count < most && out->size() < bytes && items_.Next(&row)) {
    *out += count == 0 ? R"({"features":{)" : R"(,{"features":{)";
    JsonItems values;
    if (IsArray(row)) values = JsonItems(row);
    bool first = true;
    for (const std::string& key : keys_) {
      if (IsArray(row)) {
        values.Next(&value);
      } else {
        value = row;  // a model of one column
      }
      if (key.empty()) continue;
      if (!first) *out += ',';
      first = false;
      *out += key;
      *out += value;
    }
    *out += "}}";
    ++count;
  }
  return count;
}

// Columns as lists of the same length; a value may stand in a list of its own (CheckSingles).
class ColumnItems : public TabularRows {
 public:
  struct Source {
    std::string key;
    JsonItems items;
  };
  ColumnItems(int64_t rows, std::vector<Source> sources)
      : rows_(rows), sources_(std::move(sources)) {}
  int64_t rows() const override { return rows_; }
  int64_t AppendItems(int64_t most, size_t bytes, std::string* out) override {
    int64_t count = 0;
    for (; count < most && next_ < rows_ && out->size() < bytes; ++count, ++next_) {
      *out += count == 0 ? R"({"features":{)" : R"(,{"features":{)";
      bool first = true;
      for (Source& source : sources_) {
        std::string_view value;
        source.items.Next(&value);
        if (IsArray(value)) {
          JsonItems inner(value);
          inner.Next(&value);
        }
        if (!first) *out += ',';
        first = false;
        *out += source.key;
        *out += value;
      }
      *out += "}}";
    }
    return count;
  }

 private:
  int64_t rows_, next_ = 0;
  std::vector<Source> sources_;
};

using Rows = std::unique_ptr<TabularRows>;

Status CheckWidths(std::string_view array, size_t width, std::string_view what) {
  JsonItems items(array);
  std::string_view row;
  for (int64_t i = 0; items.Next(&row); ++i) {
    const int64_t has = IsArray(row) ? CountItems(row) : row.starts_with('{') ? -1 : 1;
    if (has != static_cast<int64_t>(width))
      return BadBody("row " + std::to_string(i) + " of " + std::string(what) + " has " +
                     (has < 0 ? "an object" : std::to_string(has) + " values") +
                     ", but there are " + std::to_string(width) + " columns");
  }
  return {};
}

// That a value which stands in a list stands there alone.
Status CheckSingles(std::string_view array, const std::string& name) {
  JsonItems items(array);
  std::string_view value;
  for (int64_t i = 0; items.Next(&value); ++i) {
    const int64_t has = IsArray(value) ? CountItems(value) : 1;
    if (has != 1)
      return BadBody("value " + std::to_string(i) + " of '" + Excerpt(name) +
                     "' of inputs is a list of " + std::to_string(has) +
                     " values, but a column has one a row");
  }
  return {};
}

// A list of lists (or of single values), in the order of the model's columns.
Result<Rows> MatrixRows(std::string_view array, const EndpointColumns& columns,
                        std::string_view what) {
  RETURN_IF_ERROR(CheckWidths(array, columns.inputs.fields.size(), what));
  return Rows(std::make_unique<ListItems>(array, MlflowKeys(columns.inputs.Names(), columns)));
}

// Reads the members. The scanner has checked the text that JsonItems goes over again.
class MlflowParser {
 public:
  MlflowParser(const EndpointColumns& columns, TextArena* arena)
      : columns_(columns), arena_(arena) {}
  Result<Rows> Parse(std::string_view body);

 private:
  Error JsonError() const {
    const Error error = scan_.error();
    return BadBody("Invalid input. Ensure that input is a valid JSON formatted string. Error: " +
                   error.message);
  }
  Result<Rows> Field(std::string_view field);
  Result<Rows> Split();
  Result<Rows> Records(std::string_view what);
  Result<Rows> Columns();

  const EndpointColumns& columns_;
  TextArena* arena_;
  RequestScanner scan_;
};

Result<Rows> MlflowParser::Split() {
  std::string_view key, data, name, raw;
  std::vector<std::string> names;
  bool has_names = false, seen_columns = false, seen_data = false;
  if (scan_.Peek() != JsonToken::kObject)
    return BadBody("dataframe_split is no object with 'columns' and 'data'");
  scan_.Enter();
  while (scan_.NextKey(&key)) {
    bool* const seen = key == "columns" ? &seen_columns : key == "data" ? &seen_data : nullptr;
    if (seen != nullptr && std::exchange(*seen, true))
      return BadBody("'" + std::string(key) + "' stands twice in dataframe_split");
    if (key == "columns" && scan_.Peek() == JsonToken::kArray) {
      has_names = true;
      scan_.Enter();
      while (scan_.NextItem()) {
        if (scan_.Peek() != JsonToken::kString)
          return BadBody("dataframe_split has a column whose name is no text");
        if (!scan_.String(&name)) return JsonError();
        names.emplace_back(name);
      }
    } else if (key == "data" && scan_.Peek() == JsonToken::kArray) {
      if (!scan_.Skip(&data)) return JsonError();
    } else if (!scan_.Skip(&raw)) {
      return JsonError();
    }
  }
  if (!scan_.ok()) return JsonError();
  if (data.empty()) return BadBody("dataframe_split has no list 'data'");
  if (!has_names) return MatrixRows(data, columns_, "dataframe_split");
  RETURN_IF_ERROR(CheckMlflowColumns(names, columns_));
  RETURN_IF_ERROR(CheckWidths(data, names.size(), "dataframe_split"));
  return Rows(std::make_unique<ListItems>(data, MlflowKeys(names, columns_)));
}

// A list of objects, or (instances) of lists.
Result<Rows> MlflowParser::Records(std::string_view what) {
  if (scan_.Peek() != JsonToken::kArray) return BadBody(std::string(what) + " is no list");
  const size_t begin = scan_.offset();
  SeenColumns seen(columns_.inputs);
  std::string_view key, raw;
  int64_t objects = 0, others = 0;
  scan_.Enter();
  while (scan_.NextItem()) {
    if (scan_.Peek() != JsonToken::kObject) {
      ++others;
      if (!scan_.Skip(&raw)) return JsonError();
      continue;
    }
    ++objects;
    scan_.Enter();
    while (scan_.NextKey(&key)) {
      seen.See(key);
      if (!scan_.Skip(&raw)) return JsonError();
    }
  }
  if (!scan_.ok()) return JsonError();
  const std::string_view array = Trim(scan_.Since(begin));
  if (objects > 0 && others > 0)
    return BadBody(std::string(what) + " mixes objects and other values");
  if (objects == 0 && others > 0) {
    if (what == "dataframe_records") return BadBody("dataframe_records is no list of objects");
    return MatrixRows(array, columns_, what);
  }
  if (objects > 0) RETURN_IF_ERROR(seen.Check());
  return Rows(std::make_unique<RecordItems>(array));
}

Result<Rows> MlflowParser::Columns() {
  if (scan_.Peek() == JsonToken::kArray) return Records("inputs");
  if (scan_.Peek() != JsonToken::kObject)
    return BadBody("inputs is neither an object of lists nor a list");
  std::vector<std::string> names;
  std::vector<std::string_view> arrays;
  std::string_view key, raw;
  scan_.Enter();
  while (scan_.NextKey(&key)) {
    names.emplace_back(key);
    const bool array = scan_.Peek() == JsonToken::kArray;
    if (!scan_.Skip(&raw)) return JsonError();
    if (!array) return BadBody("'" + Excerpt(names.back()) + "' of inputs is no list");
    arrays.push_back(raw);
  }
  if (!scan_.ok()) return JsonError();
  RETURN_IF_ERROR(CheckMlflowColumns(names, columns_));
  const std::vector<std::string> keys = MlflowKeys(names, columns_);
  std::vector<ColumnItems::Source> sources;
  int64_t rows = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const int64_t count = CountItems(arrays[i]);
    if (i == 0) rows = count;
    if (count != rows)
      return BadBody("'" + Excerpt(names[i]) + "' of inputs has " + std::to_string(count) +
                     " values, but '" + Excerpt(names[0]) + "' has " + std::to_string(rows));
    if (keys[i].empty()) continue;  // the model does not know it
    RETURN_IF_ERROR(CheckSingles(arrays[i], names[i]));
    sources.push_back({keys[i], JsonItems(arrays[i])});
  }
  return Rows(std::make_unique<ColumnItems>(rows, std::move(sources)));
}

Result<Rows> MlflowParser::Field(std::string_view field) {
  if (field == "dataframe_split") return Split();
  if (field == "inputs") return Columns();
  return Records(field);
}

Result<Rows> MlflowParser::Parse(std::string_view body) {
  const std::string must =
      "The input must be a JSON dictionary with exactly one of the input fields " +
      std::string(kFieldsText);
  if (Trim(body).starts_with('[')) return BadBody(must + ". Received a list.");
  if (!scan_.Begin(body, arena_) || !scan_.Enter()) return JsonError();
  Rows rows;
  std::vector<std::string> names;
  std::string_view key, raw;
  while (scan_.NextKey(&key)) {
    if (key == "signature_name")
      return BadBody("\"signature_name\" parameter is currently not supported");
    const bool field = std::find(std::begin(kFields), std::end(kFields), key) != std::end(kFields);
    if (field && names.empty()) {
      names.emplace_back(key);
      ASSIGN_OR_RETURN(rows, Field(names.back()));
      continue;
    }
    if (key != "params") names.push_back(Excerpt(key));
    if (!scan_.Skip(&raw)) return JsonError();
  }
  if (!scan_.Finish()) return JsonError();
  if (names.size() != 1 || rows == nullptr)
    return BadBody(must + ". Received dictionary with input fields: " +
                   (names.empty() ? std::string("none") : QuotedList(names)));
  return rows;
}

}  // namespace

Result<std::unique_ptr<TabularRows>> ParseMlflowJson(std::string_view body,
                                                     const EndpointColumns& columns,
                                                     TextArena* arena) {
  return MlflowParser(columns, arena).Parse(body);
}

}  // namespace slipway
