#include "slipway/lookup/lookup_table.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <unordered_map>

#include "slipway/base/file.h"
#include "slipway/lookup/table_format.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

const Schema kEveryType{{{"flag", Type::kBoolean},
                         {"count", Type::kInt64},
                         {"share", Type::kDouble},
                         {"name", Type::kString},
                         {"day", Type::kDate},
                         {"at", Type::kTimestamp}}};

// One row of texts into `batch`; an empty text is a null.
void AddRow(const std::vector<std::string>& cells, OwnedBatch* batch) {
  for (int i = 0; i < batch->schema().size(); ++i) {
    Column& column = batch->column(i);
    const std::string_view text = column.Intern(cells[static_cast<size_t>(i)]);
    ASSERT_TRUE(ParseCellInto(text, batch->rows, &column)) << text;
  }
  ++batch->rows;
}

using Rows = std::vector<std::vector<std::string>>;

const Rows kRows = {
    {"true", "1", "0.5", "one", "2026-01-01", "2026-01-01T10:00:00Z"},
    {"false", "-7", "-0", "", "1969-12-31", "1815-12-10T00:00:00Z"},
    {"", "", "", "", "", ""},
    {"true", "9223372036854775807", "1e+300", "zw\xC3\xB6lf", "2026-01-01", "2026-01-01T10:00:00Z"},
};

class LookupTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<TempDir> made = TempDir::Make();
    ASSERT_TRUE(made.ok());
    folder_ = std::move(*made);
    path_ = folder_.File("t.table");
  }

  Status Write(const Schema& schema, const Rows& rows, const std::vector<std::string>& keys) {
    ASSIGN_OR_RETURN(const std::unique_ptr<LookupTableWriter> writer,
                     LookupTableWriter::Make(schema, keys));
    OwnedBatch batch(schema);
    for (const std::vector<std::string>& row : rows) AddRow(row, &batch);
    RETURN_IF_ERROR(writer->Add(batch.View()));
    return writer->Finish(path_);
  }

  std::shared_ptr<const LookupTable> Opened() {
    Result<std::shared_ptr<const LookupTable>> table = LookupTable::Open(path_);
    EXPECT_TRUE(table.ok()) << table.error().message;
    return table.ok() ? *table : nullptr;
  }

  std::string OpenRefusal(std::string_view bytes) {
    std::ofstream(folder_.File("bad.table"), std::ios::binary) << bytes;
    const Result<std::shared_ptr<const LookupTable>> table =
        LookupTable::Open(folder_.File("bad.table"));
    EXPECT_FALSE(table.ok());
    return table.ok() ? "accepted" : table.error().message;
  }

  TempDir folder_;
  std::string path_;
};

// The row of `table` as texts.
std::vector<std::string> RowOf(const LookupTable& table, int64_t row) {
  std::vector<std::string> texts;
  for (int i = 0; i < table.schema().size(); ++i) {
    Column column(table.schema().fields[static_cast<size_t>(i)].type);
    table.Read(row, i, 5, &column);
    AppendCell(column.View(), 5, &texts.emplace_back());
  }
  return texts;
}

// Looks up the texts of the keys.
LookupTable::Match FindTexts(const LookupTable& table, const std::vector<std::string>& texts) {
  std::vector<Column> columns;
  std::vector<ColumnView> views;
  for (size_t i = 0; i < texts.size(); ++i) {
    Column& column =
        columns.emplace_back(table.schema().fields[static_cast<size_t>(table.keys()[i])].type);
    EXPECT_TRUE(ParseCellInto(texts[i], 3, &column));
  }
  for (const Column& column : columns) views.push_back(column.View());
  return table.Find(views, 3);
}

TEST_F(LookupTableTest, EveryTypeIsReadBack) {
  // The first three rows have no key that all have: a key of its own.
  Schema schema = kEveryType;
  schema.fields.push_back({"id", Type::kInt64});
  Rows rows = kRows;
  for (size_t i = 0; i < rows.size(); ++i) rows[i].push_back(std::to_string(i * 10));
  const Status status = Write(schema, rows, {"id"});
  ASSERT_TRUE(status.ok()) << status.error().message;
  const std::shared_ptr<const LookupTable> table = Opened();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->schema(), schema);
  EXPECT_EQ(table->rows(), 4);
  EXPECT_EQ(table->file_bytes(), *FileSize(path_));
  EXPECT_EQ(std::vector<int>(table->keys().begin(), table->keys().end()), std::vector<int>{6});
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(RowOf(*table, static_cast<int64_t>(i)), rows[i]);
    const LookupTable::Match match = FindTexts(*table, {rows[i][6]});
    EXPECT_EQ(match.row, static_cast<int64_t>(i));
    EXPECT_FALSE(match.several);
  }
  EXPECT_EQ(FindTexts(*table, {"5"}).row, -1);
}

TEST_F(LookupTableTest, EveryTypeIsAKey) {
  const Rows rows = {kRows[0], {"false", "-7", "-0.0", "x", "1969-12-31", "1815-12-10"}, kRows[3]};
  for (const Field& field : kEveryType.fields) {
    ASSERT_TRUE(Write(kEveryType, rows, {field.name}).ok());
    const std::shared_ptr<const LookupTable> table = Opened();
    ASSERT_NE(table, nullptr);
    const size_t column = static_cast<size_t>(kEveryType.Find(field.name));
    for (size_t i = 0; i < rows.size(); ++i) {
      const LookupTable::Match match = FindTexts(*table, {rows[i][column]});
      ASSERT_GE(match.row, 0) << field.name;
      EXPECT_EQ(rows[static_cast<size_t>(match.row)][column], rows[i][column]);
      EXPECT_EQ(match.several,
                std::count_if(rows.begin(), rows.end(), [&](const std::vector<std::string>& row) {
                  return row[column] == rows[i][column];
                }) > 1);
    }
  }
}

TEST_F(LookupTableTest, SeveralKeysInTheirOwnOrder) {
  const Schema schema{{{"a", Type::kString}, {"b", Type::kString}, {"v", Type::kInt64}}};
  ASSERT_TRUE(Write(schema,
                    {{"x", "yz", "1"}, {"xy", "z", "2"}, {"z", "xy", "3"}, {"x", "yz", "4"}},
                    {"b", "a"})
                  .ok());
  const std::shared_ptr<const LookupTable> table = Opened();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(FindTexts(*table, {"z", "xy"}).row, 1);
  EXPECT_EQ(FindTexts(*table, {"xy", "z"}).row, 2);
  EXPECT_EQ(FindTexts(*table, {"yz", "x"}).row, 0);
  EXPECT_TRUE(FindTexts(*table, {"yz", "x"}).several);
  EXPECT_FALSE(FindTexts(*table, {"z", "xy"}).several);
  EXPECT_EQ(FindTexts(*table, {"x", "yz"}).row, -1);
}

TEST_F(LookupTableTest, DoublesCompareByValue) {
  const Schema schema{{{"x", Type::kDouble}, {"v", Type::kInt64}}};
  ASSERT_TRUE(Write(schema, {{"0", "1"}, {"-0.0", "2"}, {"inf", "3"}}, {"x"}).ok());
  const std::shared_ptr<const LookupTable> table = Opened();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(FindTexts(*table, {"-0.0"}).row, 0);
  EXPECT_TRUE(FindTexts(*table, {"0"}).several);
  EXPECT_EQ(FindTexts(*table, {"inf"}).row, 2);
  Column column(Type::kDouble);
  column.doubles()[0] = std::numeric_limits<double>::quiet_NaN();
  const ColumnView view = column.View();
  EXPECT_EQ(table->Find({&view, 1}, 0).row, -1);
}

TEST_F(LookupTableTest, AnEmptyTableHasNoMatch) {
  ASSERT_TRUE(Write(kEveryType, {}, {"name"}).ok());
  const std::shared_ptr<const LookupTable> table = Opened();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->rows(), 0);
  EXPECT_EQ(FindTexts(*table, {"x"}).row, -1);
}

TEST_F(LookupTableTest, WrongRowsAndKeysSaySo) {
  EXPECT_THAT(Write(kEveryType, kRows, {"count"}).error().message,
              HasSubstr("row 3 has no value in the key column 'count'"));
  const Schema numbers{{{"x", Type::kDouble}}};
  EXPECT_THAT(Write(numbers, {{"1"}, {"nan"}}, {"x"}).error().message,
              HasSubstr("row 2 has no value in the key column 'x'"));
  EXPECT_THAT(Write(kEveryType, kRows, {}).error().message, HasSubstr("needs a key"));
  EXPECT_THAT(Write(kEveryType, kRows, {"nmae"}).error().hint, HasSubstr("'name'"));
  EXPECT_THAT(Write(kEveryType, kRows, {"day", "day"}).error().message, HasSubstr("twice"));
  Result<std::unique_ptr<LookupTableWriter>> writer = LookupTableWriter::Make(numbers, {"x"}, 1000);
  ASSERT_TRUE(writer.ok());
  OwnedBatch other(kEveryType);
  EXPECT_THAT((*writer)->Add(other.View()).error().message, HasSubstr("other columns"));
  OwnedBatch many(numbers);
  for (int i = 0; i < 200; ++i) AddRow({std::to_string(i)}, &many);
  const Status status = (*writer)->Add(many.View());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(status.error().message, HasSubstr("larger than"));
  EXPECT_TRUE(ListDir(folder_.path())->empty());
}

TEST_F(LookupTableTest, TheSameRowsGiveTheSameBytes) {
  const Schema schema{{{"k", Type::kInt64}, {"x", Type::kDouble}, {"s", Type::kString}}};
  std::string first;
  for (const int64_t rubbish : {0, 77}) {
    // In one batch or two, with anything below the nulls.
    Result<std::unique_ptr<LookupTableWriter>> writer = LookupTableWriter::Make(schema, {"k"});
    ASSERT_TRUE(writer.ok());
    OwnedBatch batch(schema);
    for (int row = 0; row < 100; ++row) {
      batch.column(0).ints()[batch.rows] = row * 3;
      batch.column(0).SetValid(batch.rows);
      batch.column(1).doubles()[batch.rows] =
          rubbish != 0 ? std::numeric_limits<double>::quiet_NaN() : 5.0;
      if (rubbish != 0) batch.column(1).SetValid(batch.rows);  // NaN: missing as well
      batch.column(2).strings()[batch.rows] = "text";
      if (row % 2 == 0) batch.column(2).SetValid(batch.rows);
      ++batch.rows;
      if (rubbish == 0 || row != 63) continue;
      ASSERT_TRUE((*writer)->Add(batch.View()).ok());
      batch.Reset();
    }
    ASSERT_TRUE((*writer)->Add(batch.View()).ok());
    ASSERT_TRUE((*writer)->Finish(path_).ok());
    const std::string bytes = *ReadFile(path_);
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first);
  }
}

TEST_F(LookupTableTest, WhatIsNoTableIsRefused) {
  ASSERT_TRUE(Write(kEveryType, {kRows[0], kRows[3]}, {"name", "count"}).ok());
  const std::string good = *ReadFile(path_);
  EXPECT_EQ(good.size() % kTableAlignment, 0U);
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_NE(OpenRefusal(std::string_view(good).substr(0, size)), "accepted") << size;
  }
  EXPECT_THAT(OpenRefusal(good + std::string(64, '\0')), HasSubstr("bytes instead of"));
  std::string altered = good;
  altered[0] = 's';
  EXPECT_THAT(OpenRefusal(altered), HasSubstr("no lookup table"));
  altered = good;
  altered[8] = 2;
  EXPECT_THAT(OpenRefusal(altered), HasSubstr("made by a newer Slipway: format 2"));
  EXPECT_THAT(OpenRefusal(altered), HasSubstr("'bad.table'"));
  EXPECT_EQ(LookupTable::Open(folder_.path()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LookupTable::Open(folder_.File("none")).error().code, ErrorCode::kNotFound);
}

TEST_F(LookupTableTest, AnAlteredByteNeverLeadsAstray) {
  ASSERT_TRUE(Write(kEveryType, {kRows[0], kRows[3]}, {"name", "count"}).ok());
  const std::string good = *ReadFile(path_);
  int opened = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string altered = good;
      altered[i] = static_cast<char>(altered[i] ^ flip);
      std::ofstream(path_, std::ios::binary) << altered;
      const Result<std::shared_ptr<const LookupTable>> table = LookupTable::Open(path_);
      if (!table.ok()) continue;
      ++opened;
      // A column may have another type now: the texts are made to suit.
      for (int64_t row = 0; row < (*table)->rows(); ++row) {
        EXPECT_EQ(RowOf(**table, row).size(), kEveryType.fields.size());
      }
      if ((*table)->schema() == kEveryType && (*table)->keys().size() == 2) {
        EXPECT_LT(FindTexts(**table, {"one", "1"}).row, 2);
      }
    }
  }
  EXPECT_GT(opened, 100);
}

// ---- A million rows ----

int64_t PrivateDirtyKilobytes(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool ours = false;
  int64_t sum = 0;
  while (std::getline(maps, line)) {
    if (line.find('-') < 20 && line.find(':') > 20) ours = line.find(path) != std::string::npos;
    if (!ours || !line.starts_with("Private_Dirty:")) continue;
    std::istringstream fields(line.substr(14));
    int64_t kilobytes = 0;
    fields >> kilobytes;
    sum += kilobytes;
  }
  return sum;
}

TEST_F(LookupTableTest, AMillionRowsAreLookedUpAsInAMap) {
  constexpr int64_t kCount = 1'000'000;
  const Schema schema{{{"zone", Type::kInt64},
                       {"name", Type::kString},
                       {"value", Type::kDouble},
                       {"label", Type::kString}}};
  std::mt19937_64 random(7);
  struct Row {
    int64_t zone;
    std::string name;
  };
  std::vector<Row> rows;
  for (int64_t i = 0; i < kCount; ++i)
    rows.push_back(
        {static_cast<int64_t>(random() % 200'000), "name " + std::to_string(random() % 1'000)});
  const auto key_text = [](int64_t id, const std::string& text) {
    return std::to_string(id) + '/' + text;
  };
  std::unordered_map<std::string, LookupTable::Match> map(kCount);
  Result<std::unique_ptr<LookupTableWriter>> writer =
      LookupTableWriter::Make(schema, {"zone", "name"});
  ASSERT_TRUE(writer.ok());
  OwnedBatch batch(schema);
  for (int i = 0; i < schema.size(); ++i) batch.column(i).SetAllValid();
  for (int64_t i = 0; i < kCount; ++i) {
    const Row& row = rows[static_cast<size_t>(i)];
    const auto [found, fresh] =
        map.try_emplace(key_text(row.zone, row.name), LookupTable::Match{i, false});
    if (!fresh) found->second.several = true;
    batch.column(0).ints()[batch.rows] = row.zone;
    batch.column(1).strings()[batch.rows] = row.name;
    batch.column(2).doubles()[batch.rows] = static_cast<double>(i);
    batch.column(3).strings()[batch.rows] = row.name;
    if (++batch.rows < kBatchRows && i + 1 < kCount) continue;
    ASSERT_TRUE((*writer)->Add(batch.View()).ok());
    batch.rows = 0;
  }
  ASSERT_TRUE((*writer)->Finish(path_).ok());
  writer->reset();

  const auto begin = std::chrono::steady_clock::now();
  const std::shared_ptr<const LookupTable> table = Opened();
  const auto opened = std::chrono::steady_clock::now();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->rows(), kCount);

  Column zone(Type::kInt64), name(Type::kString), value(Type::kDouble), label(Type::kString);
  zone.SetAllValid();
  name.SetAllValid();
  const ColumnView keys[] = {zone.View(), name.View()};
  int several = 0, missed = 0;
  for (int i = 0; i < 200'000; ++i) {
    // Half of them keys that are there; the others nearly always not.
    const Row& row = rows[static_cast<size_t>(random() % kCount)];
    zone.ints()[0] = i % 2 == 0 ? row.zone : row.zone + 200'000;
    name.strings()[0] = row.name;
    const LookupTable::Match match = table->Find(keys, 0);
    const auto expected = map.find(key_text(zone.ints()[0], row.name));
    if (expected == map.end()) {
      ASSERT_EQ(match.row, -1);
      ++missed;
      continue;
    }
    ASSERT_EQ(match.row, expected->second.row);
    ASSERT_EQ(match.several, expected->second.several);
    several += match.several ? 1 : 0;
    table->Read(match.row, 2, 0, &value);
    table->Read(match.row, 3, 0, &label);
    ASSERT_EQ(value.doubles()[0], static_cast<double>(match.row));
    ASSERT_EQ(label.strings()[0], row.name);
  }
  EXPECT_GT(several, 100);
  EXPECT_EQ(missed, 100'000);
  EXPECT_LT(PrivateDirtyKilobytes(path_), 64);

  // For the figure, not for a verdict: machines differ.
  std::vector<uint32_t> order(1'000'000);
  for (uint32_t& at : order) at = static_cast<uint32_t>(random() % kCount);
  double sum = 0;
  const auto from = std::chrono::steady_clock::now();
  for (const uint32_t at : order) {
    zone.ints()[0] = rows[at].zone;
    name.strings()[0] = rows[at].name;
    table->Read(table->Find(keys, 0).row, 2, 0, &value);
    sum += value.doubles()[0];
  }
  const auto to = std::chrono::steady_clock::now();
  EXPECT_GT(sum, 0);
  using Micros = std::chrono::duration<double, std::micro>;
  RecordProperty("open_us", std::to_string(Micros(opened - begin).count()));
  RecordProperty("lookup_ns", std::to_string(Micros(to - from).count() * 1000 / 1'000'000));
}

}  // namespace
}  // namespace slipway
