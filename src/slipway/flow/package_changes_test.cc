#include "slipway/flow/package_changes.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

PackageFacts Facts() {
  PackageFacts out;
  out.id = "v1";
  out.definition = {{"endpoints", {{"price", {{"prediction", "m"}}}, {"old", {{"lookup", "t"}}}}}};
  out.models = {{"price", "m@1"}};
  out.versions = {{"price",
                   {{"schema", Json::array({{{"name", "a"}, {"type", "int64"}},
                                            {{"name", "b"}, {"type", "string"}}})},
                    {"metrics", {{"rmse", 4.0}, {"r2", 0.5}, {"per_class", {{"x", 1.0}}}}}}}};
  out.tables = {{"t", "f1"}};
  return out;
}

bool Says(const Json& changes, const std::string& text) {
  for (const Json& line : changes["text"]) {
    if (line.get<std::string>().find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(ComparePackages, SaysNothingOfEqualOnes) {
  const Json changes = ComparePackages(Facts(), Facts());
  EXPECT_EQ(changes["text"], Json::array());
  EXPECT_EQ(changes["since"], "v1");
}

TEST(ComparePackages, NamesEndpointsThatCameAndWent) {
  PackageFacts after = Facts();
  after.definition["endpoints"].erase("old");
  after.definition["endpoints"]["new"] = {{"lookup", "t"}};
  const Json changes = ComparePackages(Facts(), after);
  EXPECT_EQ(changes["endpoints"]["added"], Json::array({"new"}));
  EXPECT_EQ(changes["endpoints"]["removed"], Json::array({"old"}));
  EXPECT_EQ(changes["settings"], Json::array()) << "the endpoint is said once";
  EXPECT_EQ(changes["text"].size(), 2u);
}

TEST(ComparePackages, ShowsColumnsAndMetricsOfAnotherVersion) {
  PackageFacts after = Facts();
  after.models["price"] = "m@2";
  after.versions["price"] = {
      {"schema",
       Json::array({{{"name", "a"}, {"type", "double"}}, {{"name", "c"}, {"type", "bool"}}})},
      {"metrics", {{"rmse", 3.0}, {"r2", 0.5}, {"per_class", {{"x", 2.0}}}}}};
  const Json changes = ComparePackages(Facts(), after);
  const Json& schema = changes["schema"].at(0);
  EXPECT_EQ(schema["added"], Json::array({{{"name", "c"}, {"type", "bool"}}}));
  EXPECT_EQ(schema["removed"], Json::array({{{"name", "b"}, {"type", "string"}}}));
  EXPECT_EQ(schema["changed"],
            Json::array({{{"name", "a"}, {"before", "int64"}, {"after", "double"}}}));
  ASSERT_EQ(changes["metrics"].size(), 2u) << "r2 is as it was";
  EXPECT_EQ(changes["metrics"][1]["metric"], "rmse");
  EXPECT_EQ(changes["metrics"][1]["before"], 4.0);
  EXPECT_TRUE(Says(changes, "rmse 4 -> 3 (-25.0 %)")) << changes.dump();
}

TEST(ComparePackages, LeavesOutWhatNobodyKnowsAnyMore) {
  PackageFacts before = Facts(), after = Facts();
  before.versions = Json::object();
  after.models["price"] = "m@2";
  const Json changes = ComparePackages(before, after);
  EXPECT_EQ(changes["models"].size(), 1u);
  EXPECT_TRUE(changes["schema"].empty());
  EXPECT_TRUE(changes["metrics"].empty());
}

TEST(ComparePackages, NamesSettingsAndTablesOfOtherContent) {
  PackageFacts after = Facts();
  after.definition["auth"] = "api_keys";
  after.definition["endpoints"]["price"]["explanations"] = {{"enabled", true}};
  after.tables["t"] = "f2";
  const Json changes = ComparePackages(Facts(), after);
  EXPECT_EQ(changes["settings"].size(), 2u) << changes.dump();
  EXPECT_EQ(changes["tables"], Json::array({"t"}));
}

}  // namespace
}  // namespace slipway
