#include "slipway/features/spec.h"

#include "slipway/base/json.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

Json Parse(std::string_view text) {
  auto json = ParseJson(text);
  EXPECT_TRUE(json.ok()) << text;
  return *json;
}

TEST(FeatureSpecs, RoundTripThroughJson) {
  const Json json = Parse(R"({
    "a": {"as": "numeric", "missing": "constant", "value": 0.1, "scale": "minmax"},
    "b": {"as": "category", "encode": "one_hot", "max_categories": 7, "unseen": "error"},
    "c": {"as": "timestamp", "parts": ["hour", "epoch"]},
    "d": "ignore",
    "e": {},
    "f": {"as": "numeric", "missing": "median"}})");
  auto features = FeaturesFromJson(json);
  ASSERT_TRUE(features.ok()) << features.error().message;
  EXPECT_EQ(features->at("a").constant, 0.1);
  EXPECT_EQ(features->at("b").unseen, UnseenPolicy::kError);
  EXPECT_EQ(features->at("c").parts, (std::vector<std::string>{"hour", "epoch"}));
  EXPECT_EQ(features->at("d").kind, FeatureKind::kIgnore);
  EXPECT_FALSE(features->at("e").kind.has_value());
  EXPECT_EQ(FeaturesToJson(*features), json);
  auto again = FeaturesFromJson(FeaturesToJson(*features));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, *features);
}

TEST(FeatureSpecs, SettingsSayTheKindByThemselves) {
  auto features = FeaturesFromJson(
      Parse(R"({"a": {"missing": "mean"}, "b": {"encode": "ordinal"}, "c": {"parts": ["day"]}})"));
  ASSERT_TRUE(features.ok());
  EXPECT_EQ(features->at("a").kind, FeatureKind::kNumeric);
  EXPECT_EQ(features->at("b").kind, FeatureKind::kCategory);
  EXPECT_EQ(features->at("c").kind, FeatureKind::kTimestamp);
}

TEST(FeatureSpecs, ErrorsNameThePathAndSuggest) {
  struct Case {
    const char* json;
    const char* message;
    const char* hint;
  };
  for (const Case& c : {
           Case{R"({"x": {"as": "numerc"}})", "features.x.as: unknown word 'numerc'", "'numeric'"},
           {R"({"x": "ignored"})", "features.x: unknown word 'ignored'", "'ignore'"},
           {R"({"x": {"mising": "mean"}})", "features.x: unknown key 'mising'", "'missing'"},
           {R"({"x": {"missing": "medain"}})", "features.x.missing: unknown word", "'median'"},
           {R"({"x": {"encode": "onehot"}})", "features.x.encode: unknown word", "'one_hot'"},
           {R"({"x": {"encode": "target"}})", "features.x.encode: 'target' comes with", "one_hot"},
           {R"({"x": {"encode": "frequency"}})", "'frequency' comes with a later part", "ordinal"},
           {R"({"x": "text"})", "features.x: 'text' comes with a later part", "category"},
           {R"({"x": {"as": "category", "missing": "mean"}})",
            "features.x.missing: is a setting of numeric, not of category", ""},
           {R"({"x": {"missing": "mean", "unseen": "error"}})", "features.x.unseen: is a", ""},
           {R"({"x": {"as": "numeric", "value": 3}})", "features.x.value: is only used",
            "constant"},
           {R"({"x": {"missing": "constant", "value": "3"}})", "features.x.value: must be", ""},
           {R"({"x": {"scale": "standart"}})", "features.x.scale: unknown word", "'standard'"},
           {R"({"x": {"max_categories": 0}})", "features.x.max_categories: must be", ""},
           {R"({"x": {"max_categories": 1.5}})", "features.x.max_categories: must be", ""},
           {R"({"x": {"parts": ["houre"]}})", "features.x.parts: unknown part 'houre'", "'hour'"},
           {R"({"x": {"parts": ["day", "day"]}})", "features.x.parts: 'day' stands twice", ""},
           {R"({"x": 3})", "features.x: must be a word or a map", ""},
           {R"([])", "features: must be a map", ""},
       }) {
    auto features = FeaturesFromJson(Parse(c.json));
    ASSERT_FALSE(features.ok()) << c.json;
    EXPECT_EQ(features.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(features.error().message, HasSubstr(c.message)) << c.json;
    EXPECT_THAT(features.error().hint, HasSubstr(c.hint)) << c.json;
  }
}

TEST(PrepareSteps, RoundTripThroughJson) {
  const Json json = Parse(R"([{"filter": "a > 0"}, {"column": "b", "expr": "a * 2"},
    {"drop": ["a", "c"]}, {"rename": {"z": "y", "old": "new"}},
    {"cast": {"b": "int64", "a": "string"}}])");
  auto steps = PrepareFromJson(json);
  ASSERT_TRUE(steps.ok()) << steps.error().message;
  ASSERT_EQ(steps->size(), 5U);
  EXPECT_EQ((*steps)[3].renames[0], std::make_pair(std::string("z"), std::string("y")));
  EXPECT_EQ((*steps)[4].casts[0].second, Type::kInt64);
  EXPECT_EQ(PrepareToJson(*steps), json);
}

TEST(PrepareSteps, ErrorsNameTheStepAndSuggest) {
  struct Case {
    const char* json;
    const char* message;
    const char* hint;
  };
  for (const Case& c : {
           Case{R"([{"filter": "a"}, {"fliter": "a"}])", "prepare step 2: unknown key 'fliter'",
                "'filter'"},
           {R"([{"column": "a"}])", "prepare step 1: 'column' and 'expr' go together", "expr"},
           {R"([{"column": "a", "expr": "1", "filter": "b"}])", "prepare step 1: 'column' takes",
            ""},
           {R"([{"filter": "a", "drop": ["b"]}])", "prepare step 1: has more than one kind", ""},
           {R"([{"cast": {"a": "doubel"}}])", "prepare step 1.cast.a: unknown type 'doubel'",
            "'double'"},
           {R"([{"filter": 3}])", "prepare step 1.filter: must be a text", ""},
           {R"([{"drop": []}])", "prepare step 1.drop: must be a list", ""},
           {R"([{"rename": {"a": ""}}])", "prepare step 1.rename.a: a column's name", ""},
           {R"([{}])", "prepare step 1: must be one of", ""},
           {R"({"filter": "a"})", "prepare: must be a list", "- "},
       }) {
    auto steps = PrepareFromJson(Parse(c.json));
    ASSERT_FALSE(steps.ok()) << c.json;
    EXPECT_THAT(steps.error().message, HasSubstr(c.message)) << c.json;
    EXPECT_THAT(steps.error().hint, HasSubstr(c.hint)) << c.json;
  }
}

TEST(PrepareSteps, LimitsTheirNumberAndLength) {
  Json many = Json::array();
  for (int i = 0; i < 1'001; ++i) many.push_back({{"filter", "a"}});
  EXPECT_FALSE(PrepareFromJson(many).ok());
  Json lengthy = Json::array();
  for (int i = 0; i < 11; ++i) lengthy.push_back({{"filter", std::string(100'000, 'a')}});
  EXPECT_FALSE(PrepareFromJson(lengthy).ok());
}

}  // namespace
}  // namespace slipway
