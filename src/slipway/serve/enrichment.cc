#include "slipway/serve/enrichment.h"

#include <algorithm>
#include <cstring>

#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// What a policy makes of a record whose lookup failed.
void Apply(LookupPolicy policy, std::string_view reason, std::string message,
           EnrichmentOutcome* outcome) {
  if (policy == LookupPolicy::kContinue) return;
  outcome->ignore_reason = reason;
  if (policy == LookupPolicy::kError) outcome->error = InvalidArgument(std::move(message));
}

}  // namespace

Result<TableJoin> TableJoin::Open(const TableUse& use, const std::string& folder) {
  TableJoin join;
  join.use_ = use;
  ASSIGN_OR_RETURN(join.table_, LookupTable::Open(folder + "/" + use.part));
  const Schema& schema = join.table_->schema();
  if (use.keys.size() != join.table_->keys().size())
    return Corruption(use.part + ": the table has another number of keys than its use");
  for (size_t i = 0; i < use.keys.size(); ++i) {
    const auto column = static_cast<size_t>(join.table_->keys()[i]);
    if (schema.fields[column].name != use.keys[i].column)
      return Corruption(use.part + ": key '" + use.keys[i].column + "' is '" +
                        schema.fields[column].name + "' in the table");
  }
  for (const TableUse::Pair& pair : use.columns) {
    const int at = schema.Find(pair.column);
    if (at < 0) return NoSuchColumn(pair.column, schema, use.part);
    join.sources_.push_back(at);
  }
  return join;
}

std::vector<Field> TableJoin::key_fields() const {
  std::vector<Field> fields;
  for (size_t i = 0; i < use_.keys.size(); ++i) {
    const auto column = static_cast<size_t>(table_->keys()[i]);
    fields.push_back({use_.keys[i].field, table_->schema().fields[column].type});
  }
  return fields;
}

std::vector<Field> TableJoin::looked_up_fields() const {
  std::vector<Field> fields;
  for (size_t i = 0; i < sources_.size(); ++i) {
    fields.push_back(
        {use_.columns[i].field, table_->schema().fields[static_cast<size_t>(sources_[i])].type});
  }
  return fields;
}

void TableJoin::Bind(std::vector<int> keys, std::vector<int> columns) {
  keys_ = std::move(keys);
  columns_ = std::move(columns);
}

std::unique_ptr<TableJoin::Scratch> TableJoin::MakeScratch() const {
  auto scratch = std::make_unique<Scratch>();
  for (const Field& field : looked_up_fields()) scratch->cells.emplace_back(field.type);
  scratch->keys.resize(keys_.size());
  return scratch;
}

int64_t TableJoin::Find(const RecordRows& rows, int row, Scratch* scratch,
                        EnrichmentOutcome* outcome) const {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (!rows.valid(keys_[i], row)) {
      Apply(use_.missing_key, kMissingLookupKey,
            "the record has no '" + use_.keys[i].field + "', which table '" + use_.table +
                "' is looked up by",
            outcome);
      return -1;
    }
    scratch->keys[i] = rows.views()[static_cast<size_t>(keys_[i])];
  }
  const LookupTable::Match match = table_->Find(scratch->keys, row);
  if (match.row < 0) {
    Apply(use_.no_match, kNoLookupMatch,
          "table '" + use_.table + "' has no row of the record's key", outcome);
  } else if (match.several) {
    Apply(use_.several_matches, kMultipleLookupMatches,
          "table '" + use_.table + "' has several rows of the record's key", outcome);
  }
  return outcome->ignore_reason.empty() ? match.row : -1;
}

void TableJoin::Read(int64_t table_row, Scratch* scratch) const {
  for (size_t i = 0; i < sources_.size(); ++i) {
    scratch->cells[i].Forget();
    table_->Read(table_row, sources_[i], 0, &scratch->cells[i]);
  }
}

void TableJoin::Fill(const RecordLayout& layout, RecordRows* rows, int row, TextArena* arena,
                     Scratch* scratch, EnrichmentOutcome* outcome) const {
  // What the caller gave stands; a record that lacks nothing needs no lookup.
  const bool lacks = std::any_of(columns_.begin(), columns_.end(), [&](int column) {
    return column >= 0 && !rows->valid(column, row);
  });
  if (!lacks) return;
  const int64_t found = Find(*rows, row, scratch, outcome);
  if (found < 0) return;
  Read(found, scratch);
  Give(layout, rows, row, arena, scratch, outcome);
}

void TableJoin::Give(const RecordLayout& layout, RecordRows* rows, int row, TextArena* arena,
                     Scratch* scratch, EnrichmentOutcome* outcome) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ColumnView cell = scratch->cells[i].View();
    if (!cell.valid(0)) continue;
    for (int to = columns_[i]; to >= 0; to = layout.Next(to)) {
      if (rows->valid(to, row)) continue;
      const Type type = layout.field(to).type;
      CellState state = CellState::kValue;
      if (type == cell.type) {
        std::memcpy(rows->Cell(to, row), cell.data, kTypeWidths[static_cast<size_t>(type)]);
      } else {
        scratch->text.clear();
        AppendCell(cell, 0, &scratch->text);
        std::memcpy(arena->Room(scratch->text.size()), scratch->text.data(), scratch->text.size());
        state = ParseRecordCell(type, arena->Keep(scratch->text.size()), rows->Cell(to, row));
      }
      if (state == CellState::kValue) rows->SetValid(to, row);
      if (state == CellState::kBad) {
        outcome->ignore_reason = kBadRecord;
        outcome->error = InvalidArgument(
            "table '" + use_.table + "', column '" + use_.columns[i].column + "': '" +
                scratch->text.substr(0, 100) + "' is not " + std::string(ValueOfType(type)),
            "package the table with the type that the model has");
        return;
      }
    }
  }
}

}  // namespace slipway
