// CSV as a body of MLflow's scoring protocol.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/mlflow_columns.h"
#include "slipway/serve/mlflow_request.h"

namespace slipway {
namespace {

// One field of CSV at a time.
class CsvFields {
 public:
  explicit CsvFields(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}
  bool done() const { return at_ >= end_; }
  // Of the field before: a quote opened and the text ended.
  bool unclosed() const { return unclosed_; }
  // *last: it is the line's last.
  void Next(std::string* field, bool* last) {
    field->clear();
    bool quoted = false;
    while (at_ < end_) {
      const char c = *at_++;
      if (quoted) {
        if (c != '"') {
          field->push_back(c);
        } else if (at_ < end_ && *at_ == '"') {
          field->push_back(*at_++);
        } else {
          quoted = false;
        }
      } else if (c == '"' && field->empty()) {
        quoted = true;
      } else if (c == ',') {
        *last = false;
        return;
      } else if (c == '\n') {
        if (!field->empty() && field->back() == '\r') field->pop_back();
        *last = true;
        return;
      } else {
        field->push_back(c);
      }
    }
    unclosed_ = quoted;
    if (!field->empty() && field->back() == '\r') field->pop_back();
    *last = true;
  }

 private:
  const char* at_;
  const char* end_;
  bool unclosed_ = false;
};

Error UnclosedQuote(const std::string& where) {
  return InvalidArgument("a quote that opens in " + where + " of the CSV is never closed",
                         "close it; a quote within a quoted text is written as two");
}

class CsvItems : public TabularRows {
 public:
  CsvItems(CsvFields fields, int64_t rows, std::vector<std::string> keys)
      : rows_(rows), fields_(fields), keys_(std::move(keys)) {}
  int64_t rows() const override { return rows_; }
  int64_t AppendItems(int64_t most, size_t bytes, std::string* out) override {
    int64_t count = 0;
    std::string text;
    for (; count < most && next_ < rows_ && out->size() < bytes; ++count, ++next_) {
      *out += count == 0 ? R"({"features":{)" : R"(,{"features":{)";
      bool first = true;
      bool last = false;
      do {  // lines without anything are no rows
        fields_.Next(&text, &last);
      } while (last && text.empty() && keys_.size() > 1);
      for (const std::string& key : keys_) {
        if (&key != &keys_.front()) fields_.Next(&text, &last);
        if (key.empty()) continue;
        if (!first) *out += ',';
        first = false;
        *out += key;
        AppendJsonText(text, out);
      }
      *out += "}}";
    }
    return count;
  }

 private:
  int64_t rows_, next_ = 0;
  CsvFields fields_;
  std::vector<std::string> keys_;
};

}  // namespace

Result<std::unique_ptr<TabularRows>> ParseMlflowCsv(std::string_view body,
                                                    const EndpointColumns& columns) {
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  if (!IsValidUtf8(body)) return InvalidArgument("the CSV is not valid UTF-8");
  CsvFields fields(body);
  std::vector<std::string> names;
  std::string text;
  bool last = false;
  while (!last) {
    fields.Next(&text, &last);
    names.push_back(text);
  }
  if (fields.unclosed()) return UnclosedQuote("the first line");
  RETURN_IF_ERROR(CheckMlflowColumns(names, columns));
  const CsvFields begin = fields;
  int64_t rows = 0;
  while (!fields.done()) {
    size_t count = 0;
    do {
      fields.Next(&text, &last);
      ++count;
    } while (!last);
    if (fields.unclosed()) return UnclosedQuote("row " + std::to_string(rows));
    if (count == 1 && text.empty() && names.size() > 1) continue;
    if (count != names.size())
      return InvalidArgument("row " + std::to_string(rows) + " of the CSV has " +
                             std::to_string(count) + " fields, but its first line " +
                             std::to_string(names.size()));
    ++rows;
  }
  return std::unique_ptr<TabularRows>(
      std::make_unique<CsvItems>(begin, rows, MlflowKeys(names, columns)));
}

}  // namespace slipway
