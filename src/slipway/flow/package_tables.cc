#include "slipway/flow/package_tables.h"

#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

LookupPolicy PolicyOf(const std::string& word) {
  return word == "error"    ? LookupPolicy::kError
         : word == "ignore" ? LookupPolicy::kIgnore
                            : LookupPolicy::kContinue;
}

bool Has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// The columns that a use without `columns` takes: those that are no keys, and that somebody wants.
std::vector<TableUse::Pair> OtherColumns(const Schema& schema, const std::vector<std::string>& keys,
                                         const Schema* wanted,
                                         const std::vector<std::string>& later_keys) {
  std::vector<TableUse::Pair> out;
  for (const Field& field : schema.fields) {
    if (Has(keys, field.name)) continue;
    if (wanted != nullptr && wanted->Find(field.name) < 0 && !Has(later_keys, field.name)) continue;
    out.push_back({field.name, field.name});
  }
  return out;
}

}  // namespace

std::string PartName(const std::string& name, const std::string& ending,
                     const std::vector<std::string>& taken) {
  for (int i = 1;; ++i) {
    std::string part = name.substr(0, 100) + (i > 1 ? "-" + std::to_string(i) : "") + ending;
    const auto same = [&](const std::string& other) { return ToLower(other) == ToLower(part); };
    if (std::none_of(taken.begin(), taken.end(), same)) return part;
  }
}

Result<TableUse> PackageTables::Add(const TableUseDefinition& use, const Schema* wanted,
                                    const std::vector<std::string>& later_keys,
                                    const std::string& who) {
  const auto dataset = datasets_.find(use.dataset);
  if (dataset == datasets_.end()) return Internal("dataset '" + use.dataset + "' was not resolved");
  const Schema& schema = dataset->second.schema;
  const std::string where = "dataset '" + use.dataset + "'";
  TableUse out;
  out.table = use.dataset;
  out.missing_key = PolicyOf(use.missing_key);
  out.no_match = PolicyOf(use.no_match);
  out.several_matches = PolicyOf(use.several_matches);
  for (const TableUseDefinition::Pair& pair : use.keys)
    out.keys.push_back({pair.column, pair.field});
  if (out.keys.empty()) out.keys.push_back({schema.fields[0].name, schema.fields[0].name});
  std::vector<std::string> keys, used;
  for (const TableUse::Pair& pair : out.keys) {
    if (schema.Find(pair.column) < 0) return NoSuchColumn(pair.column, schema, where).Within(who);
    keys.push_back(pair.column);
  }
  for (const TableUseDefinition::Pair& pair : use.columns) {
    const int at = schema.Find(pair.column);
    if (at < 0) return NoSuchColumn(pair.column, schema, where).Within(who);
    out.columns.push_back({pair.column, pair.field});
    if (wanted == nullptr || Has(later_keys, pair.field)) continue;
    const int input = wanted->Find(pair.field);
    if (input < 0) {
      return InvalidArgument(who + ": column '" + pair.column + "' of " + where + " is to be '" +
                                 pair.field + "', which the model does not take",
                             DidYouMean(pair.field, wanted->Names()));
    }
    const Type from = schema.fields[static_cast<size_t>(at)].type;
    const Type to = wanted->fields[static_cast<size_t>(input)].type;
    if (!CanConvert(from, to)) {
      return InvalidArgument(who + ": column '" + pair.column + "' of " + where + " is a " +
                                 std::string(TypeName(from)) + ", but '" + pair.field +
                                 "' of the model is a " + std::string(TypeName(to)),
                             "convert it in a sql recipe");
    }
  }
  if (out.columns.empty()) out.columns = OtherColumns(schema, keys, wanted, later_keys);
  if (out.columns.empty()) {
    return InvalidArgument(who + ": " + where + " has no column to look up" +
                               (wanted != nullptr ? " that the model takes" : " besides its keys"),
                           "name them under 'columns', as {dataset_column: feature}");
  }
  for (const TableUse::Pair& pair : out.columns) used.push_back(pair.column);

  const auto same = [&](const PackageTable& table) {
    return table.dataset == use.dataset && table.keys == keys;
  };
  auto table = std::find_if(tables_.begin(), tables_.end(), same);
  if (table == tables_.end()) {
    std::vector<std::string> taken;
    for (const PackageTable& other : tables_) taken.push_back(other.part);
    tables_.push_back({PartName(use.dataset, ".table", taken), use.dataset, keys, {}, "", nullptr});
    table = tables_.end() - 1;
  }
  used.insert(used.end(), keys.begin(), keys.end());
  used.insert(used.end(), table->columns.begin(), table->columns.end());
  table->columns.clear();
  for (const Field& field : schema.fields) {
    if (Has(used, field.name)) table->columns.push_back(field.name);
  }
  out.part = table->part;
  return out;
}

Status PackageTables::BuildOne(
    PackageTable* table, const std::string& folder,
    const std::function<void(const std::string&, double, int64_t)>& progress,
    const std::atomic<bool>* cancel, std::vector<std::string>* warnings) {
  const FilesSpec& spec = datasets_.at(table->dataset);
  ReadOptions read;
  read.columns = table->columns;
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, OpenSource(spec, read));
  Schema schema;
  std::vector<size_t> from;  // the source's column of each field
  for (const std::string& column : table->columns) {
    const int at = source->schema().Find(column);
    if (at < 0) return NoSuchColumn(column, source->schema(), "its files");
    from.push_back(static_cast<size_t>(at));
    schema.fields.push_back(source->schema().fields[static_cast<size_t>(at)]);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<LookupTableWriter> writer,
                   LookupTableWriter::Make(schema, table->keys));
  StreamOptions stream;
  stream.on_bad_rows = spec.on_bad_rows;
  stream.quarantine = [](const BadRow&) { return Status(); };
  stream.progress = [&](double part, int64_t rows) { progress(table->dataset, part, rows); };
  stream.cancel = cancel;
  std::vector<ColumnView> columns(from.size());
  const auto add = [&](const Batch& batch) -> Status {
    for (size_t i = 0; i < from.size(); ++i) columns[i] = batch.columns[from[i]];
    Batch part = batch;
    part.schema = &schema;
    part.columns = columns;
    part.row_text = {};
    part.row_text_columns = 0;
    return writer->Add(part);
  };
  ASSIGN_OR_RETURN(const StreamCounts counts, ForEachBatch(*source, add, stream));
  if (counts.bad_rows > 0) {
    warnings->push_back("table '" + table->dataset + "': " + FormatCount(counts.bad_rows) +
                        " rows could not be read and are left out");
  }
  table->path = JoinPath(folder, table->part);
  RETURN_IF_ERROR(writer->Finish(table->path));
  ASSIGN_OR_RETURN(table->table, LookupTable::Open(table->path));
  return {};
}

Status PackageTables::Build(
    const std::string& folder,
    const std::function<void(const std::string&, double, int64_t)>& progress,
    const std::atomic<bool>* cancel, std::vector<std::string>* warnings) {
  for (PackageTable& table : tables_) {
    if (Status built = BuildOne(&table, folder, progress, cancel, warnings); !built.ok())
      return built.error().Within("table '" + table.dataset + "'");
  }
  return {};
}

const LookupTable* PackageTables::Find(const std::string& part) const {
  for (const PackageTable& table : tables_) {
    if (table.part == part) return table.table.get();
  }
  return nullptr;
}

}  // namespace slipway
