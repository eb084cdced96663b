// The golden package of format 1: it reads as docs/package-format.md says, and the same content
// gives the same bytes.
#include <cstdlib>

#include "slipway/base/file.h"
#include "slipway/bundle/model.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/package/package_for_test.h"
#include "slipway/package/test_query.h"
#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

const Schema kGoldenZones{{{"zone_id", Type::kInt64},
                           {"day", Type::kDate},
                           {"name", Type::kString},
                           {"population", Type::kInt64}}};

std::string Golden(const char* name) {
  return std::string(SLIPWAY_SOURCE_DIR) + "/tests/golden/" + name;
}

Status WriteTable(const std::string& path) {
  const char* const rows[][4] = {{"1", "2026-01-01", "Harbour", "120"},
                                 {"2", "2026-01-01", "Old Town", ""},
                                 {"2", "2026-01-02", "", "77"},
                                 {"1", "2026-01-01", "Harbour, again", "121"}};
  ASSIGN_OR_RETURN(const std::unique_ptr<LookupTableWriter> writer,
                   LookupTableWriter::Make(kGoldenZones, {"zone_id", "day"}));
  OwnedBatch batch(kGoldenZones);
  for (const auto& row : rows) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(ParseCellInto(row[i], batch.rows, &batch.column(i)));
    ++batch.rows;
  }
  RETURN_IF_ERROR(writer->Add(batch.View()));
  return writer->Finish(path);
}

// The content of the golden package, written afresh.
PackageContent GoldenContent(const TempDir& folder) {
  PackageContent content = ContentForTest(folder);
  content.files["fare.bundle"] = Golden("bundle-format-1.bundle");
  EXPECT_TRUE(WriteTable(folder.File("some.table")).ok());
  return content;
}

TEST(GoldenPackage, ReadsAsTheDocumentedManifest) {
  Result<TempDir> folder = TempDir::Make();
  ASSERT_TRUE(folder.ok());
  if (std::getenv("SLIPWAY_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(WritePackage(Golden("package-format-1.zip"), GoldenContent(*folder)).ok());
    const Result<PackageManifest> manifest = ReadPackageManifest(Golden("package-format-1.zip"));
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    ASSERT_TRUE(WriteFileAtomic(Golden("package-format-1.manifest.json"),
                                DumpJson(ManifestToJson(*manifest), 1))
                    .ok());
  }
  const std::string out = folder->File("out");
  Result<PackageManifest> manifest = UnpackPackage(Golden("package-format-1.zip"), out);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  Result<std::string> documented = ReadFile(Golden("package-format-1.manifest.json"));
  ASSERT_TRUE(documented.ok());
  EXPECT_EQ(DumpJson(ManifestToJson(*manifest), 1), *documented);
  EXPECT_EQ(*ReadFile(JoinPath(out, "manifest.json")), *documented);
  EXPECT_TRUE(VerifyPackageFolder(out).ok());
  EXPECT_TRUE(Model::Open(JoinPath(out, "fare.bundle")).ok());
  Result<std::vector<TestQuery>> queries = ReadTestQueries(out);
  ASSERT_TRUE(queries.ok()) << queries.error().message;
  EXPECT_EQ(queries->size(), 1U);
}

TEST(GoldenPackage, ItsTableHasTheDocumentedRows) {
  Result<TempDir> folder = TempDir::Make();
  ASSERT_TRUE(UnpackPackage(Golden("package-format-1.zip"), folder->File("out")).ok());
  Result<std::shared_ptr<const LookupTable>> table =
      LookupTable::Open(folder->File("out/zones.table"));
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_EQ((*table)->schema(), kGoldenZones);
  EXPECT_EQ((*table)->rows(), 4);
  Column zone(Type::kInt64), day(Type::kDate), name(Type::kString);
  ASSERT_TRUE(ParseCellInto("1", 0, &zone));
  ASSERT_TRUE(ParseCellInto("2026-01-01", 0, &day));
  const ColumnView keys[] = {zone.View(), day.View()};
  const LookupTable::Match match = (*table)->Find(keys, 0);
  EXPECT_EQ(match.row, 0);
  EXPECT_TRUE(match.several);
  (*table)->Read(match.row, 2, 0, &name);
  EXPECT_EQ(name.strings()[0], "Harbour");
  (*table)->Read(2, 2, 0, &name);
  EXPECT_FALSE(name.valid(0));
}

// With zlib's own deflate, whose output has stayed the same for many years.
TEST(GoldenPackage, TheSameContentGivesTheSameBytes) {
  Result<TempDir> folder = TempDir::Make();
  ASSERT_TRUE(folder.ok());
  const Status status = WritePackage(folder->File("again.zip"), GoldenContent(*folder));
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*ReadFile(folder->File("again.zip")), *ReadFile(Golden("package-format-1.zip")));
}

}  // namespace
}  // namespace slipway
