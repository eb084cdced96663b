#include "slipway/base/hash.h"
#include "slipway/package/package.h"
#include "slipway/package/package_for_test.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

Json GoodManifest() {
  PackageManifest manifest = ManifestForTest();
  for (const char* name : {"openapi.json", "test_queries.json", "fare.bundle", "zones.table"})
    manifest.parts.push_back({name, 5, Sha256Hex("hello")});
  return ManifestToJson(manifest);
}

TEST(Manifest, ReadsBackAsItWasWritten) {
  const Json json = GoodManifest();
  Result<PackageManifest> read = ManifestFromJson(json);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(ManifestToJson(*read), json);
  EXPECT_EQ(read->service, "fares");
  EXPECT_EQ(read->id, "v3");
  EXPECT_EQ(read->auth, "api_keys");
  ASSERT_NE(read->Find("fare"), nullptr);
  EXPECT_EQ(read->Find("nothing"), nullptr);
  const PackageEndpoint& fare = *read->Find("fare");
  EXPECT_EQ(fare.type, EndpointType::kPrediction);
  EXPECT_EQ(fare.model, "TAXI/fare@3");
  EXPECT_TRUE(fare.explain_by_default);
  EXPECT_EQ(fare.explanations, 3);
  ASSERT_EQ(fare.enrichments.size(), 1U);
  EXPECT_EQ(fare.enrichments[0].keys[1].field, "pickup_day");
  EXPECT_EQ(fare.enrichments[0].columns[0].column, "name");
  EXPECT_EQ(fare.enrichments[0].missing_key, LookupPolicy::kContinue);
  EXPECT_EQ(fare.enrichments[0].several_matches, LookupPolicy::kIgnore);
  EXPECT_EQ(read->Find("zones")->type, EndpointType::kLookup);
  EXPECT_EQ(read->FindPart("zones.table")->bytes, 5);
  EXPECT_EQ(read->FindPart("Zones.table"), nullptr);
}

TEST(Manifest, EveryMemberMustBeThereAndOfItsType) {
  // Takes away, then spoils, each member of each object.
  const Json good = GoodManifest();
  const Json flat = good.flatten();
  std::set<std::string> pointers;
  for (const auto& [pointer, value] : flat.items()) {
    for (size_t at = pointer.find('/', 1); at != std::string::npos; at = pointer.find('/', at + 1))
      pointers.insert(pointer.substr(0, at));
    pointers.insert(pointer);
  }
  EXPECT_GT(pointers.size(), 60U);
  for (const std::string& text : pointers) {
    const Json::json_pointer pointer(text);
    Json spoilt = good;
    spoilt[pointer] = Json{{"no", "thing"}};
    Result<PackageManifest> read = ManifestFromJson(spoilt);
    EXPECT_FALSE(read.ok()) << text;
    EXPECT_TRUE(read.ok() || read.error().code == ErrorCode::kCorruption) << text;
    if (!good[pointer.parent_pointer()].is_object()) continue;
    spoilt = good;
    spoilt[pointer.parent_pointer()].erase(pointer.back());
    EXPECT_FALSE(ManifestFromJson(spoilt).ok()) << text;
    spoilt = good;
    spoilt[pointer.parent_pointer()]["more"] = 1;
    EXPECT_THAT(ManifestFromJson(spoilt).error().message, HasSubstr("unknown key 'more'")) << text;
  }
}

struct Spoiling {
  std::string pointer;
  Json value;
  std::string message;
};

TEST(Manifest, MessagesNameWhatIsWrong) {
  const Spoiling cases[] = {
      {"/kind", "slipway-bundle", "kind 'slipway-bundle' instead of 'slipway-package'"},
      {"/format", 0, "format 0 does not exist"},
      {"/service", "a/b", "'service' is 'a/b', which is no name"},
      {"/id", "", "'id' is '', which is no name"},
      {"/auth", "none", "'auth' is 'none', not one of"},
      {"/endpoints", Json::array(), "0 endpoints"},
      {"/endpoints/0/id", "..", "'id' is '..', which is no name"},
      {"/endpoints/0/id", "zones", "endpoint 'zones' stands twice"},
      {"/endpoints/0/type", "magic", "'type' is 'magic', not one of 'prediction' 'lookup'"},
      {"/endpoints/0/explanations", 0, "endpoint 'fare': 'explanations' is 0"},
      {"/endpoints/0/model_part", "other", "part 'other' is missing"},
      {"/endpoints/0/enrichments/0/no_match", "cry", "'no_match' is 'cry', not one of"},
      {"/endpoints/0/enrichments/0/keys", Json::array(), "'keys' is empty"},
      {"/endpoints/0/enrichments/0/keys/1/column", "zone_id", "the column 'zone_id' twice"},
      {"/endpoints/0/enrichments/0/columns/1/field", "zone_name", "the field 'zone_name' twice"},
      {"/endpoints/1/tables", Json::array(), "'tables' is empty"},
      {"/parts/0/name", "x/y", "which is no name"},
      {"/parts/0/name", "FARE.bundle", "stands twice"},
      {"/parts/0/size", -1, "a size below 0"},
      {"/parts/0/sha256", "abc", "has no SHA-256"},
  };
  for (const Spoiling& spoiling : cases) {
    Json json = GoodManifest();
    json[Json::json_pointer(spoiling.pointer)] = spoiling.value;
    Result<PackageManifest> read = ManifestFromJson(json);
    ASSERT_FALSE(read.ok()) << spoiling.pointer;
    EXPECT_THAT(read.error().message, HasSubstr(spoiling.message));
    EXPECT_THAT(read.error().message, ::testing::StartsWith("manifest.json: "));
  }
}

}  // namespace
}  // namespace slipway
