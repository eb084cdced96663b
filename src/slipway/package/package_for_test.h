// A small package for the tests of this module: a prediction endpoint with an enrichment and a
// lookup endpoint, whose parts are mere bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/bundle/zip.h"
#include "slipway/package/package.h"

namespace slipway {

inline TableUse TableUseForTest() {
  TableUse use;
  use.part = "zones.table";
  use.table = "zones";
  use.keys = {{"zone_id", "pickup_zone"}, {"day", "pickup_day"}};
  use.columns = {{"name", "zone_name"}, {"population", "population"}};
  use.several_matches = LookupPolicy::kIgnore;
  return use;
}

inline PackageManifest ManifestForTest() {
  PackageManifest manifest;
  manifest.service = "fares";
  manifest.id = "v3";
  manifest.created_at = "2026-01-02T03:04:05Z";
  manifest.created_by = "ann";
  manifest.notes = "better in the rain";
  manifest.auth = "api_keys";
  PackageEndpoint fare;
  fare.id = "fare";
  fare.description = "what a trip costs";
  fare.model_part = "fare.bundle";
  fare.model = "TAXI/fare@3";
  fare.explain_by_default = true;
  fare.explanations = 3;
  fare.enrichments = {TableUseForTest()};
  PackageEndpoint zones;
  zones.id = "zones";
  zones.type = EndpointType::kLookup;
  zones.tables = {TableUseForTest()};
  zones.tables[0].keys = {{"zone_id", "zone_id"}, {"day", "day"}};
  manifest.endpoints = {fare, zones};
  return manifest;
}

// With the files of its parts in `folder`.
inline PackageContent ContentForTest(const TempDir& folder) {
  PackageContent content;
  content.manifest = ManifestForTest();
  content.files = {{"fare.bundle", folder.File("some.bundle")},
                   {"zones.table", folder.File("some.table")}};
  EXPECT_TRUE(WriteFileAtomic(folder.File("some.bundle"), "bundle bundle bundle").ok());
  EXPECT_TRUE(WriteFileAtomic(folder.File("some.table"), std::string(300, '\0')).ok());
  content.openapi = Json{{"openapi", "3.1.0"}};
  content.test_queries = Json::array({Json{{"endpoint", "fare"},
                                           {"name", "short trip"},
                                           {"request", {{"features", {{"distance_km", 2.5}}}}},
                                           {"expected", {{"prediction", 12.5}}},
                                           {"tolerance", 0}}});
  return content;
}

using EntriesForTest = std::vector<std::pair<std::string, std::string>>;

inline EntriesForTest EntriesOf(std::string_view bytes) {
  EntriesForTest entries;
  Result<ZipReader> zip = ZipReader::Open(bytes);
  std::string name;
  for (;;) {
    Result<bool> more = zip->Next(&name);
    if (!more.ok() || !*more) return entries;
    Result<std::string> content = zip->Read(1 << 24);
    EXPECT_TRUE(content.ok());
    entries.emplace_back(name, content.ok() ? *content : "");
  }
}

inline std::string ZipOf(const EntriesForTest& entries) {
  const Result<std::string> bytes = MakeZip(
      std::vector<std::pair<std::string, std::string_view>>(entries.begin(), entries.end()));
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? *bytes : "";
}

// The same with the manifest's sizes and hashes made to fit.
inline std::string SealedZipOf(EntriesForTest entries) {
  Result<Json> manifest = ParseJson(entries[0].second);
  EXPECT_TRUE(manifest.ok());
  Json parts = Json::array();
  for (size_t i = 1; i < entries.size(); ++i) {
    const auto& [name, bytes] = entries[i];
    parts.push_back(Json{{"name", name}, {"size", bytes.size()}, {"sha256", Sha256Hex(bytes)}});
  }
  (*manifest)["parts"] = std::move(parts);
  entries[0].second = DumpJson(*manifest, 1);
  return ZipOf(entries);
}

}  // namespace slipway
