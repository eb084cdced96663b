#include "slipway/package/openapi.h"

#include <regex>

#include "slipway/bundle/model_for_test.h"
#include "slipway/package/openapi_types.h"
#include "slipway/package/package_for_test.h"
#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr Type kTypes[] = {Type::kBoolean, Type::kInt64, Type::kDouble,
                           Type::kString,  Type::kDate,  Type::kTimestamp};

const Schema kZones{{{"zone_id", Type::kInt64},
                     {"day", Type::kDate},
                     {"name", Type::kString},
                     {"population", Type::kInt64}}};

Json Described(const PackageManifest& manifest, const BundleContent* bundle) {
  return ServiceOpenApi(manifest, {{&manifest.endpoints[0], bundle, {&kZones}},
                                   {&manifest.endpoints[1], nullptr, {&kZones}}});
}

const Json& At(const Json& json, const std::string& pointer) {
  static const Json kNothing = "nothing there";
  const Json::json_pointer path(pointer);
  EXPECT_TRUE(json.contains(path)) << pointer;
  return json.contains(path) ? json.at(path) : kNothing;
}

TEST(OpenApi, PatternsTakeTheTextsThatCellsTake) {
  const char* const texts[] = {"",
                               " ",
                               "\t\n",
                               "0",
                               "1",
                               " 1 ",
                               "2",
                               "-1",
                               "+1",
                               "007",
                               "1.",
                               ".5",
                               "1.0",
                               "1.5",
                               "-0.0",
                               "1e3",
                               "1E+3",
                               "1.e5",
                               "1e",
                               "e1",
                               ".",
                               "+",
                               "-",
                               "+-1",
                               "0x10",
                               "1_000",
                               "1,5",
                               "nan",
                               "NaN",
                               "inf",
                               "-INF",
                               "Infinity",
                               "infin",
                               "true",
                               "TRUE",
                               "t",
                               "f",
                               "False",
                               "yes",
                               "Y",
                               "no",
                               "n",
                               "on",
                               "tru",
                               "123456789012345678",
                               "9199999999999999999",
                               "99999999999999999999",
                               "2026-01-31",
                               "2026-02-29",
                               "2024-02-29",
                               "1900-02-29",
                               "2000-02-29",
                               "0000-02-29",
                               "2026-04-31",
                               "2026-13-01",
                               "2026-1-1",
                               " 2026-01-01 ",
                               "2026-01-01T00:00",
                               "2026-01-01T00:00:00Z",
                               "2026-01-01 00:00:00.000 UTC",
                               "2026-01-01T23:59:59.123456789Z",
                               "2026-01-01t10:00",
                               "2026-01-01T24:00",
                               "2026-01-01T10:60",
                               "2026-01-01T10:00+05:30",
                               "2026-01-01T10:00-0530",
                               "2026-01-01T10:00+18",
                               "2026-01-01T10:00+19",
                               "2026-01-01T10:00 z",
                               "2026-01-01T10",
                               "2026-01-01T10:00:00.",
                               "hello",
                               "\xC3\xA9",
                               "[1]",
                               "null"};
  for (const Type type : kTypes) {
    if (type == Type::kString) continue;
    const std::regex pattern(TextPattern(type), std::regex::ECMAScript);
    int taken = 0;
    for (const std::string text : texts) {
      Column column(type);
      const bool takes = ParseCellInto(text, 0, &column);
      taken += takes ? 1 : 0;
      EXPECT_EQ(std::regex_match(text, pattern), takes) << TypeName(type) << " '" << text << "'";
    }
    EXPECT_GE(taken, 5);
  }
}

TEST(OpenApi, DescribesEveryPathOfTheService) {
  const PackageManifest manifest = ManifestForTest();
  const BundleContent bundle = TestContent();
  const Json api = Described(manifest, &bundle);
  EXPECT_EQ(At(api, "/openapi"), "3.1.0");
  EXPECT_EQ(At(api, "/info/title"), "fares");
  EXPECT_EQ(At(api, "/info/version"), "v3");
  std::vector<std::string> paths;
  for (const auto& [path, item] : api["paths"].items()) paths.push_back(path);
  const std::string base = "/public/api/v1/fares/";
  EXPECT_EQ(paths, (std::vector<std::string>{base + "fare/predict", base + "fare/predict-multi",
                                             base + "fare/predict-simple", base + "zones/lookup",
                                             base + "zones/lookup-multi"}));
  // Every reference leads somewhere, and operation ids are unique.
  std::set<std::string> ids;
  const Json flat = api.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    if (pointer.ends_with("/$ref")) At(api, value.get<std::string>().substr(1));
    if (pointer.ends_with("/operationId")) {
      EXPECT_TRUE(ids.insert(value).second);
    }
  }
  EXPECT_EQ(ids.size(), 5U);
  for (const auto& [path, item] : api["paths"].items()) {
    const Json& operation = *item.begin();
    for (const char* status : {"200", "400", "401", "403", "404", "413", "429", "503", "default"})
      EXPECT_TRUE(operation["responses"].contains(status)) << path << " " << status;
  }
}

TEST(OpenApi, AKeyThatARecordMustHaveIsAskedForAndInEveryExample) {
  PackageManifest manifest = ManifestForTest();
  manifest.endpoints[0].enrichments[0].missing_key = LookupPolicy::kError;
  manifest.endpoints[0].enrichments[0].columns[0].field = "size";
  BundleContent bundle = TestContent();
  const Json api = Described(manifest, &bundle);
  const Json& features = At(api, "/components/schemas/fares.fare.features");
  EXPECT_EQ(At(features, "/allOf/0/anyOf/0/required"), Json({"pickup_zone", "pickup_day"}));
  const Json& zone = At(features, "/allOf/0/anyOf/0/properties/pickup_zone");
  EXPECT_EQ(At(zone, "/type"), Json({"integer", "string"}));
  EXPECT_TRUE(zone.contains("not")) << "a blank text is missing";
  EXPECT_EQ(At(features, "/allOf/0/anyOf/1/required"), Json::array({"size"}));
  const Json& predict = At(api, "/paths/~1public~1api~1v1~1fares~1fare~1predict/post");
  const Json& sample =
      At(predict, "/requestBody/content/application~1json/examples/sample 1/value/features");
  EXPECT_EQ(At(sample, "/pickup_zone"), Json(1));
  EXPECT_EQ(At(sample, "/pickup_day"), Json("2026-01-31"));
}

TEST(OpenApi, FeaturesHaveTypesRangesCategoriesAndExamples) {
  const PackageManifest manifest = ManifestForTest();
  BundleContent bundle = TestContent();
  const Json api = Described(manifest, &bundle);
  const Json& properties = At(api, "/components/schemas/fares.fare.features/properties");
  EXPECT_EQ(properties.size(), 4U);  // the model's two and the table's two keys
  EXPECT_EQ(At(properties, "/size/type"), Json({"number", "string", "null"}));
  EXPECT_EQ(At(properties, "/size/description"), "A number. In the sample rows: -200 to 3.");
  EXPECT_EQ(At(properties, "/size/examples"), Json({1.0, 2.5, 3.0, -0.0, -200.0}));
  EXPECT_EQ(At(properties, "/kind/description"),
            "A text. Seen in training: 'red', 'green' and 'blue'.");
  EXPECT_EQ(At(properties, "/pickup_zone/type"), Json({"integer", "string", "null"}));
  EXPECT_EQ(At(properties, "/pickup_day/description"),
            "A date: 2026-01-31. Key of the table 'zones'.");
  const Json& predict = At(api, "/paths/~1public~1api~1v1~1fares~1fare~1predict/post");
  EXPECT_EQ(At(predict, "/requestBody/content/application~1json/examples/sample 1/value"),
            Json({{"features", {{"size", 1.0}, {"kind", "green"}}}}));
  EXPECT_EQ(At(predict, "/requestBody/content/application~1json/schema/required"),
            Json::array({"features"}));
  EXPECT_EQ(At(predict, "/description"), "what a trip costs");
  EXPECT_EQ(At(predict, "/tags"), Json::array({"fare"}));
  const Json& result = At(api, "/components/schemas/fares.fare.result");
  EXPECT_EQ(At(result, "/properties/prediction/enum"), Json({"false", "true"}));
  EXPECT_TRUE(At(result, "/properties/probas/properties").contains("true"));
  const Json& found = At(api, "/components/schemas/fares.zones.result/properties/data/properties");
  EXPECT_EQ(At(found, "/zone_name/type"), Json({"string", "null"}));
  const Json& simple = At(api, "/paths/~1public~1api~1v1~1fares~1fare~1predict-simple/get");
  EXPECT_EQ(At(simple, "/parameters/0/name"), "size");
  EXPECT_EQ(At(simple, "/parameters/0/example"), 1.0);
  EXPECT_EQ(At(simple, "/parameters/1/schema"), Json({{"type", "string"}}));
  // A row that the model drops is no example.
  bundle.sample_scores = {{}, {0.5}, {0.5}, {0.5}, {0.5}, {}};
  EXPECT_EQ(At(Described(manifest, &bundle),
               "/paths/~1public~1api~1v1~1fares~1fare~1predict/post/requestBody/content/"
               "application~1json/examples/sample 1/value/features/size"),
            2.5);
}

TEST(OpenApi, ABareModelTakesAnything) {
  const PackageManifest manifest = ManifestForTest();
  const Json api = Described(manifest, nullptr);
  EXPECT_EQ(At(api, "/components/schemas/fares.fare.features/properties").size(), 2U);
  EXPECT_EQ(At(api, "/components/schemas/fares.fare.result/properties/prediction"), Json::object());
}

TEST(OpenApi, SecurityIsTheServices) {
  PackageManifest manifest = ManifestForTest();
  const auto security = [&] { return Described(manifest, nullptr)["security"]; };
  EXPECT_EQ(DumpJson(security()), R"([{"bearer":[]},{"basic":[]}])");
  manifest.auth = "public";
  EXPECT_EQ(DumpJson(security()), "[{}]");
  manifest.auth = "";
  EXPECT_EQ(DumpJson(security()), R"([{},{"bearer":[]},{"basic":[]}])");
}

}  // namespace
}  // namespace slipway
