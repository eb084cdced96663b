#include "slipway/flow/package_queries.h"

#include <algorithm>
#include <set>
#include <utility>

#include "slipway/base/hash.h"
#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// Members of an answer that are computed here and so can be checked here.
bool IsComputed(EndpointType type, const std::string& member) {
  return type == EndpointType::kLookup || member == "prediction" || member == "probas" ||
         member == "ignored" || member == "ignoreReason";
}

const char* RecordKey(EndpointType type) {
  return type == EndpointType::kLookup ? "data" : "features";
}

// The record's fields that the endpoint reads, with the types that a dataset is read with: of the
// model where it takes them, else the dataset's own.
Result<Schema> FieldsRead(const QueryContext& context, const Schema& dataset,
                          const std::string& name) {
  const PackageEndpoint& endpoint = *context.endpoint;
  const std::string where = "dataset '" + name + "', which test queries are drawn from";
  std::set<std::string> looked_up, wanted;
  for (const TableUse& use :
       endpoint.type == EndpointType::kLookup ? endpoint.tables : endpoint.enrichments) {
    for (const TableUse::Pair& key : use.keys) {
      if (endpoint.type == EndpointType::kLookup || !looked_up.contains(key.field))
        wanted.insert(key.field);
    }
    for (const TableUse::Pair& column : use.columns) looked_up.insert(column.field);
  }
  if (context.model != nullptr) {
    for (const Field& field : context.model->inputs().fields) {
      if (!looked_up.contains(field.name)) wanted.insert(field.name);
    }
  }
  for (const std::string& field : wanted) {
    if (dataset.Find(field) < 0) return NoSuchColumn(field, dataset, where);
  }
  Schema out;
  for (const Field& column : dataset.fields) {
    if (!wanted.contains(column.name)) continue;
    const int input = context.model != nullptr ? context.model->inputs().Find(column.name) : -1;
    const Type type =
        input >= 0 ? context.model->inputs().fields[static_cast<size_t>(input)].type : column.type;
    if (!CanConvert(column.type, type)) {
      return InvalidArgument("column '" + column.name + "' of " + where + ", is a " +
                             std::string(TypeName(column.type)) + " where the model takes a " +
                             std::string(TypeName(type)));
    }
    out.fields.push_back({column.name, type});
  }
  return out;
}

std::vector<RecordAnswer> AnswerAll(const EndpointAnswerer& answerer,
                                    const std::vector<Json>& records) {
  std::vector<RecordAnswer> out;
  for (size_t i = 0; i < records.size(); i += kBatchRows) {
    const size_t rows = std::min<size_t>(kBatchRows, records.size() - i);
    for (RecordAnswer& answer : answerer.Answer(std::span(records).subspan(i, rows)))
      out.push_back(std::move(answer));
  }
  return out;
}

Status AddDrawn(const QueryContext& context, const TestQueryDefinition& source, MadeQueries* out) {
  const PackageEndpoint& endpoint = *context.endpoint;
  const FilesSpec& spec = context.datasets->at(source.dataset);
  ASSIGN_OR_RETURN(const Schema types, FieldsRead(context, spec.schema, source.dataset));
  // More than needed: rows with an answer are preferred to those that are left out.
  ASSIGN_OR_RETURN(std::vector<DrawnRow> rows, DrawRows(spec, types, source.rows * 3 + 16,
                                                        source.seed, context, source.dataset));
  std::vector<Json> records;
  for (const DrawnRow& row : rows) records.push_back(row.record);
  const std::vector<RecordAnswer> answers = AnswerAll(*context.answerer, records);
  std::vector<size_t> chosen;
  std::string failure = "it has no rows";
  const auto choose = [&](bool complete) {
    for (size_t i = 0; i < rows.size() && chosen.size() < static_cast<size_t>(source.rows); ++i) {
      if (!answers[i].failure.empty()) {
        failure = "row " + std::to_string(rows[i].number) + ": " + answers[i].failure;
      } else if (answers[i].complete == complete) {
        chosen.push_back(i);
      }
    }
  };
  choose(true);
  choose(false);
  if (chosen.empty()) {
    return InvalidArgument("endpoint '" + endpoint.id + "': no row of dataset '" + source.dataset +
                               "' has an answer that a test query could expect: " + failure,
                           "draw from another dataset, or look at the policies of its tables");
  }
  if (chosen.size() < static_cast<size_t>(source.rows)) {
    out->warnings.push_back("endpoint '" + endpoint.id + "': " + std::to_string(chosen.size()) +
                            " test queries instead of " + std::to_string(source.rows) +
                            ": no more rows of dataset '" + source.dataset + "' have an answer");
  }
  std::sort(chosen.begin(), chosen.end(),
            [&](size_t a, size_t b) { return rows[a].number < rows[b].number; });
  for (const size_t i : chosen) {
    TestQuery query;
    query.endpoint = endpoint.id;
    query.name = source.dataset + " row " + std::to_string(rows[i].number);
    query.request = Json{{RecordKey(endpoint.type), std::move(rows[i].record)}};
    query.expected = answers[i].result;
    query.tolerance = source.tolerance;
    out->queries.push_back(std::move(query));
  }
  return {};
}

// Class names are texts in answers; in YAML a person writes 1 or true.
Json ExpectationAsAnswered(const QueryContext& context, Json expect) {
  if (context.model == nullptr || context.model->classes().empty() || !expect.is_object())
    return expect;
  if (auto it = expect.find("prediction");
      it != expect.end() && (it->is_number() || it->is_boolean()))
    *it = DumpJson(*it);
  return expect;
}

void AddWritten(const QueryContext& context, const TestQueryDefinition& source, MadeQueries* out) {
  const PackageEndpoint& endpoint = *context.endpoint;
  TestQuery query;
  query.endpoint = endpoint.id;
  query.name =
      source.name.empty() ? "query " + std::to_string(out->queries.size() + 1) : source.name;
  query.request = source.request;
  query.tolerance = source.tolerance;
  const std::string who = "endpoint '" + endpoint.id + "', test query '" + query.name + "': ";
  const Json* record = FindMember(source.request, RecordKey(endpoint.type));
  if (record == nullptr || !record->is_object()) {
    out->mismatches.push_back(who + "its request has no '" + RecordKey(endpoint.type) + "'");
    return;
  }
  const std::vector<Json> records = {*record};
  const RecordAnswer answer = context.answerer->Answer(records).at(0);
  query.expected = answer.result;
  if (source.expect.is_object()) {
    query.expected = ExpectationAsAnswered(context, source.expect);
    TestQuery computed = query;
    computed.expected = Json::object();
    for (const auto& [member, value] : query.expected.items()) {
      if (IsComputed(endpoint.type, member)) computed.expected[member] = value;
    }
    const Json result = answer.result.is_object() ? answer.result : Json(Json::object());
    if (const std::string difference =
            answer.failure.empty() ? CompareAnswer(computed, result) : answer.failure;
        !difference.empty())
      out->mismatches.push_back(who + difference);
  } else if (!answer.failure.empty()) {
    out->mismatches.push_back(who + answer.failure);
    query.expected = Json();
  }
  out->queries.push_back(std::move(query));
}

}  // namespace

Result<std::vector<DrawnRow>> DrawRows(const FilesSpec& spec, const Schema& types, int64_t count,
                                       int64_t seed, const QueryContext& context,
                                       const std::string& dataset) {
  ReadOptions read;
  for (const Field& field : types.fields) {
    read.columns.push_back(field.name);
    const int at = spec.schema.Find(field.name);
    if (at >= 0 && spec.schema.fields[static_cast<size_t>(at)].type != field.type)
      read.types.fields.push_back(field);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, OpenSource(spec, read));
  std::vector<size_t> from;
  for (const Field& field : types.fields) {
    const int at = source->schema().Find(field.name);
    if (at < 0) return NoSuchColumn(field.name, source->schema(), "dataset '" + dataset + "'");
    from.push_back(static_cast<size_t>(at));
  }
  // The rows with the smallest hashes of their numbers: the largest of those kept is on top.
  using Kept = std::pair<uint64_t, DrawnRow>;
  const auto smaller = [](const Kept& a, const Kept& b) { return a.first < b.first; };
  std::vector<Kept> kept;
  int64_t number = 0;
  const auto see = [&](const Batch& batch) -> Status {
    for (int row = 0; row < batch.rows; ++row) {
      ++number;
      const uint64_t hash = Xxh3({reinterpret_cast<const char*>(&number), sizeof number},
                                 static_cast<uint64_t>(seed));
      const bool full = static_cast<int64_t>(kept.size()) == count;
      if (full && hash >= kept.front().first) continue;
      Json record = Json::object();
      for (size_t i = 0; i < from.size(); ++i)
        record[types.fields[i].name] = CellAsJson(batch.columns[from[i]], row);
      if (full) {
        std::pop_heap(kept.begin(), kept.end(), smaller);
        kept.pop_back();
      }
      kept.push_back({hash, {number, std::move(record)}});
      std::push_heap(kept.begin(), kept.end(), smaller);
    }
    return {};
  };
  StreamOptions stream;
  stream.on_bad_rows = spec.on_bad_rows;
  stream.quarantine = [](const BadRow&) { return Status(); };
  stream.progress = [&](double part, int64_t rows) {
    if (context.progress) context.progress(dataset, part, rows);
  };
  stream.cancel = context.cancel;
  if (auto counts = ForEachBatch(*source, see, stream); !counts.ok())
    return counts.error().Within("dataset '" + dataset + "'");
  std::sort_heap(kept.begin(), kept.end(), smaller);
  std::vector<DrawnRow> rows;
  for (Kept& item : kept) rows.push_back(std::move(item.second));
  return rows;
}

Status MakeTestQueries(const QueryContext& context, MadeQueries* out) {
  for (const TestQueryDefinition& source : context.definition->queries) {
    if (source.dataset.empty()) {
      AddWritten(context, source, out);
    } else {
      RETURN_IF_ERROR(AddDrawn(context, source, out));
    }
  }
  return {};
}

}  // namespace slipway
