#include "slipway/serve/lookup_endpoint.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/serve/answer_writer.h"
#include "slipway/serve/enrichment.h"
#include "slipway/serve/record_reader.h"

namespace slipway {
namespace {

struct LookupLogPlace {
  std::string_view features;
  size_t begin = 0, size = 0;
};

class LookupScratch : public EndpointScratch {
 public:
  explicit LookupScratch(const RecordLayout* layout) : reader(layout, "field"), rows(*layout, 1) {}
  TextArena arena;
  RequestScanner scanner;
  RecordReader reader;
  RecordRows rows;
  std::vector<std::unique_ptr<TableJoin::Scratch>> joins;
  std::vector<LookupLogPlace> logged;
};

class LookupEndpoint : public ServedEndpoint {
 public:
  explicit LookupEndpoint(const PackageEndpoint& definition) : ServedEndpoint(definition) {}
  Status OpenTables(const std::string& folder);
  // Where a later table's keys may come from what an earlier one finds, the earlier one is to give
  // it.
  void Chain(std::vector<std::vector<int>> keys);

  std::unique_ptr<EndpointScratch> MakeScratch() const override {
    auto scratch = std::make_unique<LookupScratch>(layout_.get());
    for (const TableJoin& join : joins_) scratch->joins.push_back(join.MakeScratch());
    return scratch;
  }
  bool Serves(Verb verb) const override {
    return verb == Verb::kLookup || verb == Verb::kLookupMulti;
  }
  void Answer(const EndpointCall& call, EndpointScratch* scratch, std::string* out, bool log,
              CallOutcome* outcome) const override;
  double EstimateMicros(const EndpointCall& call) const override {
    // A record of some 30 bytes touches a few cache lines of a mapped file.
    return 1 + static_cast<double>(call.input.size()) * 0.05;
  }
  size_t memory_bytes() const override { return 0; }
  Json Describe() const override;

 private:
  bool AnswerCall(const EndpointCall& call, LookupScratch* s, std::string* out, bool log,
                  CallOutcome* outcome) const;
  bool AnswerItems(const EndpointCall& call, LookupScratch* s, std::string* out, bool log,
                   CallOutcome* outcome) const;
  // Reads the value of `data` that the scanner stands before.
  bool ReadData(LookupScratch* s, std::string_view* data, EnrichmentOutcome* record) const;
  void AppendRecord(std::string_view data, LookupScratch* s, EnrichmentOutcome* record,
                    std::string* out, bool log, CallOutcome* outcome) const;

  std::unique_ptr<RecordLayout> layout_;
  std::vector<TableJoin> joins_;
  std::vector<char> gives_;                      // per table: a later one's key
  std::vector<std::vector<std::string>> names_;  // per table and column: its name as JSON
};

Status LookupEndpoint::OpenTables(const std::string& folder) {
  std::vector<Field> fields;
  std::vector<std::vector<int>> all_keys;
  for (const TableUse& use : definition_.tables) {
    ASSIGN_OR_RETURN(TableJoin join, TableJoin::Open(use, folder));
    std::vector<int>& keys = all_keys.emplace_back();
    for (const Field& field : join.key_fields()) {
      const auto found = std::find(fields.begin(), fields.end(), field);
      keys.push_back(static_cast<int>(found - fields.begin()));
      if (found == fields.end()) fields.push_back(field);
    }
    std::vector<std::string>& names = names_.emplace_back();
    for (const Field& field : join.looked_up_fields())
      AppendAnswerText(field.name, &names.emplace_back());
    joins_.push_back(std::move(join));
  }
  layout_ = std::make_unique<RecordLayout>(std::move(fields));
  Chain(std::move(all_keys));
  return {};
}

void LookupEndpoint::Chain(std::vector<std::vector<int>> keys) {
  for (size_t j = 0; j < joins_.size(); ++j) {
    std::vector<int> columns;
    for (const Field& field : joins_[j].looked_up_fields()) {
      const auto is_key_of = [&](const TableJoin& later) {
        const std::vector<Field> fields = later.key_fields();
        return std::any_of(fields.begin(), fields.end(),
                           [&](const Field& key) { return key.name == field.name; });
      };
      const bool needed =
          std::any_of(joins_.begin() + static_cast<std::ptrdiff_t>(j) + 1, joins_.end(), is_key_of);
      columns.push_back(needed ? layout_->Find(field.name) : -1);
    }
    gives_.push_back(std::any_of(columns.begin(), columns.end(), [](int c) { return c >= 0; }));
    joins_[j].Bind(std::move(keys[j]), std::move(columns));
  }
}

Json LookupEndpoint::Describe() const {
  Json tables = Json::array();
  for (const TableJoin& join : joins_) {
    tables.push_back({{"table", join.use().table},
                      {"rows", join.table().rows()},
                      {"keys", SchemaToJson({join.key_fields()})},
                      {"columns", SchemaToJson({join.looked_up_fields()})}});
  }
  return {{"id", definition_.id},
          {"type", EndpointTypeName(definition_.type)},
          {"description", definition_.description},
          {"tables", tables}};
}

bool LookupEndpoint::ReadData(LookupScratch* s, std::string_view* data,
                              EnrichmentOutcome* record) const {
  if (s->scanner.Peek() != JsonToken::kObject) {
    record->error = InvalidArgument("data is no object", R"(send {"data": {"key": 1}})");
    return s->scanner.Skip(data);
  }
  const size_t from = s->scanner.offset();
  if (!s->reader.Read(&s->scanner, &s->rows, 0, &record->error)) return false;
  *data = s->scanner.Since(from);
  return true;
}

void LookupEndpoint::AppendRecord(std::string_view data, LookupScratch* s,
                                  EnrichmentOutcome* record, std::string* out, bool log,
                                  CallOutcome* outcome) const {
  const size_t begin = out->size();
  out->append("{\"data\":{");
  const size_t empty = out->size();
  if (record->error && record->ignore_reason.empty()) record->ignore_reason = kBadRecord;
  for (size_t j = 0; j < joins_.size() && record->ignore_reason.empty(); ++j) {
    TableJoin::Scratch* const join = s->joins[j].get();
    const int64_t row = joins_[j].Find(s->rows, 0, join, record);
    if (row < 0) continue;
    joins_[j].Read(row, join);
    if (gives_[j] != 0) joins_[j].Give(*layout_, &s->rows, 0, &s->arena, join, record);
    for (size_t i = 0; i < names_[j].size(); ++i) {
      if (out->size() > empty) out->push_back(',');
      out->append(names_[j][i]);
      out->push_back(':');
      AppendAnswerCell(join->cells[i].View(), 0, out);
    }
  }
  if (!record->ignore_reason.empty()) {
    out->resize(empty);
    out->append("},\"ignored\":true,\"ignoreReason\":\"");
    out->append(record->ignore_reason);
    out->push_back('"');
    if (record->error) {
      out->push_back(',');
      AppendRecordError(*record->error, out);
    }
    ++(record->error ? outcome->failed : outcome->ignored);
  } else {
    out->push_back('}');
  }
  out->push_back('}');
  if (log) s->logged.push_back({data, begin, out->size() - begin});
}

bool LookupEndpoint::AnswerItems(const EndpointCall& call, LookupScratch* s, std::string* out,
                                 bool log, CallOutcome* outcome) const {
  RequestScanner& scanner = s->scanner;
  std::string_view key, raw;
  if (!scanner.Enter()) return false;
  while (scanner.NextItem()) {
    if (call.max_records > 0 && outcome->records >= call.max_records) {
      outcome->error = InvalidArgument(
          "the request has more than " + std::to_string(call.max_records) + " records",
          "send them in several requests, or raise max_records");
      outcome->status = 413;
      return false;
    }
    if (outcome->records++ > 0) out->push_back(',');
    EnrichmentOutcome record;
    std::string_view data;
    bool seen = false;
    s->arena.Reset();
    s->rows.Begin(0);
    if (scanner.Peek() != JsonToken::kObject) {
      record.error = InvalidArgument("the record is no object", R"(send {"data": {"key": 1}})");
      if (!scanner.Skip(&raw)) return false;
    } else {
      if (!scanner.Enter()) return false;
      while (scanner.NextKey(&key)) {
        if (key != "data") {
          if (!scanner.Skip(&raw)) return false;
          continue;
        }
        if (seen) return scanner.Fail("'data' stands twice");
        seen = true;
        if (!ReadData(s, &data, &record)) return false;
      }
      if (!scanner.ok()) return false;
    }
    if (!seen && !record.error)
      record.error = InvalidArgument("the record has no 'data'", R"(send {"data": {"key": 1}})");
    AppendRecord(data, s, &record, out, log, outcome);
  }
  return scanner.ok();
}

bool LookupEndpoint::AnswerCall(const EndpointCall& call, LookupScratch* s, std::string* out,
                                bool log, CallOutcome* outcome) const {
  RequestScanner& scanner = s->scanner;
  const bool multi = call.verb == Verb::kLookupMulti;
  const std::string_view wanted = multi ? "items" : "data";
  EnrichmentOutcome record;
  std::string_view data, key, raw;
  bool seen = false;
  s->rows.Begin(0);
  out->append("\"results\":[");
  if (!scanner.Begin(call.input, &s->arena) || !scanner.Enter()) return false;
  while (scanner.NextKey(&key)) {
    if (key != wanted) {
      if (!scanner.Skip(&raw)) return false;
      continue;
    }
    if (seen) return scanner.Fail("a member stands twice");
    seen = true;
    if (!multi) {
      if (!ReadData(s, &data, &record)) return false;
    } else if (scanner.Peek() != JsonToken::kArray) {
      outcome->error =
          InvalidArgument("items is no array", R"(send {"items": [{"data": {"key": 1}}]})");
      return false;
    } else if (!AnswerItems(call, s, out, log, outcome)) {
      return false;
    }
  }
  if (!scanner.Finish()) return false;
  if (!seen) {
    outcome->error = InvalidArgument(
        "the body has no '" + std::string(wanted) + "'",
        multi ? R"(send {"items": [{"data": {"key": 1}}]})" : R"(send {"data": {"key": 1}})");
    return false;
  }
  if (!multi) {
    outcome->records = 1;
    AppendRecord(data, s, &record, out, log, outcome);
    if (record.error) {
      outcome->error = std::move(record.error);
      return false;
    }
  }
  out->push_back(']');
  return true;
}

void LookupEndpoint::Answer(const EndpointCall& call, EndpointScratch* scratch, std::string* out,
                            bool log, CallOutcome* outcome) const {
  auto* s = static_cast<LookupScratch*>(scratch);
  const size_t before = out->size();
  const auto begin = std::chrono::steady_clock::now();
  s->arena.Reset();
  s->logged.clear();
  if (!AnswerCall(call, s, out, log, outcome)) {
    out->resize(before);
    if (!outcome->error) outcome->error = s->scanner.error();
    return;
  }
  outcome->timing.enrich = std::chrono::duration_cast<std::chrono::microseconds>(
                               std::chrono::steady_clock::now() - begin)
                               .count();
  if (out->capacity() - out->size() < kAnswerTail)
    out->reserve(out->size() + std::max(kAnswerTail, out->size() / 4));
  for (const LookupLogPlace& place : s->logged) {
    outcome->logged.push_back(
        {place.features, std::string_view(*out).substr(place.begin, place.size), {}});
  }
}

}  // namespace

Result<std::unique_ptr<ServedEndpoint>> LoadLookupEndpoint(const PackageEndpoint& definition,
                                                           const std::string& folder) {
  auto endpoint = std::make_unique<LookupEndpoint>(definition);
  RETURN_IF_ERROR(endpoint->OpenTables(folder));
  return std::unique_ptr<ServedEndpoint>(std::move(endpoint));
}

}  // namespace slipway
