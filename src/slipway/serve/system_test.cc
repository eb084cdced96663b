// What the system API is made of: metrics text, the merged description, the page, the log.
#include <cmath>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/base/json.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/log.h"
#include "slipway/serve/metrics_text.h"
#include "slipway/serve/openapi_merge.h"
#include "slipway/serve/openapi_v2.h"
#include "slipway/serve/page.h"
#include "slipway/serve/process_figures.h"
#include "slipway/serve/serve_for_test.h"

namespace slipway {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsText, WritesFamiliesWithEscapedLabels) {
  MetricsText out;
  out.Family("a_total", "counter", "What it counts.");
  out.Add(int64_t{3});
  out.Add(0.25, {{"service", "a\"b\\c\nd"}, {"le", "+Inf"}}, "_bucket");
  out.Add(std::nan(""), {{"x", ""}});
  out.Add(HUGE_VAL);
  EXPECT_EQ(out.text(),
            "# HELP a_total What it counts.\n# TYPE a_total counter\na_total 3\n"
            "a_total_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 0.25\n"
            "a_total{x=\"\"} NaN\na_total +Inf\n");
}

TEST(ProcessFigures, AreThoseOfThisProcess) {
  const ProcessFigures before = ReadProcessFigures();
  EXPECT_GT(before.resident_bytes, 1 << 20);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  EXPECT_GT(before.max_fds, 0);
  EXPECT_GT(before.start_time_seconds, 1.6e9);
  const int fd = ::dup(STDERR_FILENO);
  EXPECT_EQ(ReadProcessFigures().open_fds, before.open_fds + 1);
  ::close(fd);
  EXPECT_GE(ReadProcessFigures().cpu_seconds, before.cpu_seconds);
}

Json ServiceDoc(const std::string& service, const std::string& type) {
  Result<Json> json = ParseJson(R"({"openapi":"3.1.0","info":{"title":"t","description":"about"},
    "security":[{"key":[]}],
    "paths":{"/public/api/v1/)" +
                                service + R"(/e/predict":{"post":{"operationId":"predict",
      "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/In"},
        "example":{"features":{"$ref":"#/components/schemas/In"}}}}},
      "responses":{"200":{"$ref":"#/components/responses/Ok"}}}}},
    "components":{"schemas":{"In":{"type":")" +
                                type + R"("}},
      "responses":{"Ok":{"description":"d"}},"securitySchemes":{"key":{"type":"http"}}}})");
  return json.value();
}

TEST(OpenApiMerge, KeepsServicesWithTheSameNamesApart) {
  const Json a = ServiceDoc("a", "object"), b = ServiceDoc("b", "string");
  const Json merged = MergeOpenApi({{"a", &a}, {"b", &b}}, "1.2.3");
  EXPECT_EQ(merged["openapi"], "3.1.0");
  EXPECT_EQ(merged["info"]["version"], "1.2.3");
  EXPECT_EQ(merged["components"]["schemas"]["a.In"]["type"], "object");
  EXPECT_EQ(merged["components"]["schemas"]["b.In"]["type"], "string");
  EXPECT_EQ(merged["components"]["securitySchemes"].size(), 1U);
  EXPECT_FALSE(merged.contains("security")) << "it differs";
  const Json& post = merged["paths"]["/public/api/v1/b/e/predict"]["post"];
  EXPECT_EQ(post["security"], ParseJson(R"([{"key":[]}])").value());
  EXPECT_EQ(post["operationId"], "b.predict");
  EXPECT_EQ(post["responses"]["200"]["$ref"], "#/components/responses/b.Ok");
  const Json& content = post["requestBody"]["content"]["application/json"];
  EXPECT_EQ(content["schema"]["$ref"], "#/components/schemas/b.In");
  EXPECT_EQ(content["example"]["features"]["$ref"], "#/components/schemas/In")
      << "examples are data";
}

// The document said that no key is needed where the settings ask for one.
TEST(OpenApiMerge, SaysTheRuleInForceForEachOperation) {
  const Json a = ServiceDoc("a", "object"), b = ServiceDoc("b", "string");
  const auto rule = [](std::string_view endpoint) {
    return Json::array({Json{{endpoint == "e" ? "endpoint" : "service", Json::array()}}});
  };
  const ServiceDocument ruled{"a", &a, "", rule};
  const Json own = ServedOpenApi(ruled);
  EXPECT_EQ(DumpJson(own["security"]), R"([{"service":[]}])");
  const auto of = [](const Json& document, const std::string& service) {
    return DumpJson(
        document["paths"]["/public/api/v1/" + service + "/e/predict"]["post"]["security"]);
  };
  EXPECT_EQ(of(own, "a"), R"([{"endpoint":[]}])");
  const Json merged = MergeOpenApi({ruled, {"b", &b}}, "1");
  EXPECT_EQ(of(merged, "a"), R"([{"endpoint":[]}])");
  EXPECT_EQ(of(merged, "b"), R"([{"key":[]}])");
}

TEST(OpenApiMerge, LeavesNamesThatBeginWithTheService) {
  const Json doc = ParseJson(R"({"paths":{"/public/api/v1/a/p":{"post":{"operationId":"a.e.predict",
    "x":{"$ref":"#/components/schemas/a.e.In"},"y":{"$ref":"#/components/schemas/ab.In"}}}},
    "components":{"schemas":{"a.e.In":{},"ab.In":{}}}})")
                       .value();
  const Json merged = MergeOpenApi({{"a", &doc}}, "1");
  const Json& post = merged["paths"]["/public/api/v1/a/p"]["post"];
  EXPECT_EQ(post["operationId"], "a.e.predict");
  EXPECT_EQ(post["x"]["$ref"], "#/components/schemas/a.e.In");
  EXPECT_EQ(post["y"]["$ref"], "#/components/schemas/a.ab.In");
  EXPECT_TRUE(merged["components"]["schemas"].contains("a.e.In"));
  EXPECT_TRUE(merged["components"]["schemas"].contains("a.ab.In"));
}

TEST(OpenApiMerge, DescribesAServiceUnderTheNameItIsServedBy) {
  Json doc = ServiceDoc("fares", "object");
  doc["paths"]["/public/api/v1/other/e/predict"] = Json::object();
  doc["paths"]["/admin/api/services"] = Json::object();
  doc["paths"]["/public/api/v1/fares/e/predict"]["post"]["operationId"] = "fares.e.predict";
  const Json own = ServedOpenApi({"fares2", &doc, "fares"});
  EXPECT_EQ(own["info"]["title"], "fares2");
  EXPECT_EQ(own["paths"].size(), 1U);
  EXPECT_TRUE(own["paths"].contains("/public/api/v1/fares2/e/predict")) << own.dump(1);
  const Json merged = MergeOpenApi({{"fares", &doc, "fares"}, {"fares2", &doc, "fares"}}, "1");
  EXPECT_EQ(merged["paths"].size(), 2U) << "one package, two services";
  EXPECT_EQ(merged["paths"]["/public/api/v1/fares2/e/predict"]["post"]["operationId"],
            "fares2.e.predict");
}

TEST(OpenApiMerge, TakesNothingFromWhatIsNoDescription) {
  const Json odd = ParseJson(R"({"paths":[1],"components":3,"info":[]})").value();
  const Json list = Json::array();
  const Json merged = MergeOpenApi({{"a", &odd}, {"b", &list}, {"c", nullptr}}, "1");
  EXPECT_TRUE(merged["paths"].empty());
  EXPECT_TRUE(merged["components"].empty());
  EXPECT_TRUE(MergeOpenApi({}, "1")["paths"].is_object());
}

TEST(Swagger2, SaysTheSameInTheOlderWords) {
  const Json doc = ParseJson(R"({"openapi":"3.1.0","info":{"title":"fares","version":"v1"},
    "security":[{"basic":[]}],
    "paths":{"/public/api/v1/fares/fare/predict":{"post":{"operationId":"fare",
      "parameters":[{"name":"x","in":"query","schema":{"type":["number","null"],"examples":[1]}}],
      "requestBody":{"required":true,"content":{"application/json":{"schema":
        {"type":"object","required":["features"],"properties":{
          "features":{"$ref":"#/components/schemas/In"},
          "n":{"type":["integer","null"],"examples":[3],"minimum":1},
          "any":{"type":["string","number"]},"one":{"const":"a"},"l":{"type":"array"},
          "o":{"anyOf":[{"type":"string"}]}}}}}},
      "responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object"}}}},
        "400":{"$ref":"#/components/responses/Bad"}}}}},
    "components":{"schemas":{"In":{"type":"object","additionalProperties":{"type":"number"}}},
      "responses":{"Bad":{"description":"b"}},
      "securitySchemes":{"basic":{"type":"http","scheme":"basic"},
        "bearer":{"type":"http","scheme":"bearer"}}}})")
                       .value();
  const Json two = ToSwagger2(doc);
  EXPECT_EQ(two["swagger"], "2.0");
  EXPECT_FALSE(two.contains("openapi"));
  EXPECT_EQ(two["info"]["version"], "v1");
  EXPECT_EQ(DumpJson(two["consumes"]), R"(["application/json"])");
  const Json& post = two["paths"]["/public/api/v1/fares/fare/predict"]["post"];
  EXPECT_EQ(DumpJson(post["parameters"][0]),
            R"({"name":"x","in":"query","x-nullable":true,"type":"number"})");
  const Json& body = post["parameters"][1];
  EXPECT_EQ(body["in"], "body");
  EXPECT_EQ(body["required"], true);
  const Json& properties = body["schema"]["properties"];
  EXPECT_EQ(properties["features"]["$ref"], "#/definitions/In");
  EXPECT_EQ(DumpJson(properties["n"]),
            R"({"minimum":1,"x-nullable":true,"type":"integer","example":3})");
  EXPECT_EQ(DumpJson(properties["any"]), "{}");
  EXPECT_EQ(DumpJson(properties["one"]), R"({"enum":["a"]})");
  EXPECT_EQ(DumpJson(properties["l"]), R"({"type":"array","items":{}})");
  EXPECT_EQ(DumpJson(properties["o"]), "{}");
  EXPECT_EQ(post["responses"]["200"]["schema"]["type"], "object");
  EXPECT_EQ(post["responses"]["400"]["$ref"], "#/responses/Bad");
  EXPECT_EQ(two["definitions"]["In"]["additionalProperties"]["type"], "number");
  EXPECT_EQ(DumpJson(two["securityDefinitions"]["basic"]), R"({"type":"basic"})");
  EXPECT_EQ(two["securityDefinitions"]["bearer"]["in"], "header");
}

TEST(Swagger2, OddDescriptionsAreNoTrouble) {
  for (const char* odd : {"{}", "[]", "3", R"({"paths":[],"components":[]})",
                          R"({"paths":{"/":{"get":3,"post":{"parameters":{},"responses":[]}}}})",
                          R"({"info":3,"components":{"schemas":{"a":[]},"responses":{"b":1}}})"})
    EXPECT_EQ(ToSwagger2(ParseJson(odd).value())["swagger"], "2.0") << odd;
}

TEST(Page, StandsAloneAndAllowsItsOwnScriptOnly) {
  const std::string page = BuiltInPage(ServiceTable(), false, {}, true);
  EXPECT_THAT(page, HasSubstr("\"needs_key\":true"));
  EXPECT_THAT(page, Not(HasSubstr("http://")));
  EXPECT_THAT(page, Not(HasSubstr("https://")));
  EXPECT_THAT(page, Not(HasSubstr("innerHTML")));
  EXPECT_THAT(page, Not(HasSubstr(" style=\"")));
  EXPECT_THAT(page, Not(HasSubstr("onclick")));
  EXPECT_THAT(PagePolicy(), HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(PagePolicy(), Not(HasSubstr("unsafe")));
}

TEST(Page, AsksForAKeyWhereAServiceDoesAndKeepsItsExampleBack) {
  ServiceTable table;
  const ServedPackageForTest package;
  ServedService& shop = table.services["shop"];
  shop.id = "shop";
  shop.enabled = true;
  shop.generations = {{package.Load(), 1, {}}};
  constexpr std::string_view kExample = R"("features":{"size":1)";
  std::string page = BuiltInPage(table, true, {"shop", "shop/bare"}, true);
  EXPECT_THAT(page, HasSubstr(R"({"needs_key":false,"services")"));
  EXPECT_THAT(page, HasSubstr(kExample));
  shop.settings.auth = "api_keys";
  page = BuiltInPage(table, true, {}, true);
  EXPECT_THAT(page, HasSubstr(R"({"needs_key":true,"services")"));
  EXPECT_THAT(page, Not(HasSubstr(kExample)));
  EXPECT_THAT(page, HasSubstr(R"("id":"shop")"));
  EXPECT_THAT(BuiltInPage(table, true, {"shop/bare"}, false), HasSubstr(kExample));
}

TEST(Page, ListsForAKeyWhatItIsFor) {
  ServiceTable table;
  for (const char* id : {"shop", "shop.a", "zoo"}) table.services[id].id = id;
  const std::string page = BuiltInPage(table, false, {"shop", "shop.a/x"}, false);
  EXPECT_THAT(page, HasSubstr(R"("id":"shop")"));
  EXPECT_THAT(page, HasSubstr(R"("id":"shop.a")"));
  EXPECT_THAT(page, Not(HasSubstr("zoo")));
}

TEST(NodeLog, WritesOneJsonLinePerEventAboveItsLevel) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  SetLogDescriptor(ends[1]);
  SetLogLevel("warning");
  LogInfo("not this");
  LogWarning("a \"b\"\n", {{"text", "x\xff"}, {"n", 7}, {"r", 0.5}, {"no", false}, {"nan", NAN}});
  SetLogLevel("no such level");
  LogError("e");
  SetLogLevel("info");
  SetLogDescriptor(STDERR_FILENO);
  ::close(ends[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(::read(ends[0], text.data(), text.size())));
  ::close(ends[0]);
  const size_t end = text.find('\n');
  const Json line = ParseJson(text.substr(0, end)).value();
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "a \"b\"\n");
  EXPECT_EQ(line["text"], "x\xef\xbf\xbd");
  EXPECT_EQ(line["n"], 7);
  EXPECT_EQ(line["r"], 0.5);
  EXPECT_EQ(line["no"], false);
  EXPECT_TRUE(line["nan"].is_null());
  EXPECT_THAT(line["time"].get<std::string>(), testing::EndsWith("Z"));
  EXPECT_EQ(ParseJson(text.substr(end + 1, text.size() - end - 2)).value()["message"], "e");
}

TEST(NodeLog, ShowsNoKeys) {
  EXPECT_EQ(MaskSecrets("no key 'swk_aB-9_z' nor sws_x, swi_y/swl_"),
            "no key 'swk_*' nor sws_*, swi_*/swl_*");
  EXPECT_EQ(MaskSecrets("swallow sw_ swx_a swk"), "swallow sw_ swx_a swk");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  SetLogDescriptor(ends[1]);
  LogWarning("of swk_abc", {{"error", "there is nothing at '/admin/api/keys/swk_abc/x'"}});
  SetLogDescriptor(STDERR_FILENO);
  ::close(ends[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(::read(ends[0], text.data(), text.size())));
  ::close(ends[0]);
  EXPECT_THAT(text, Not(HasSubstr("abc")));
  EXPECT_THAT(text, HasSubstr("/admin/api/keys/swk_*/x"));
}

TEST(JsonText, EscapesAndRepairs) {
  std::string out;
  AppendJsonText("a\"\\\n\r\t\x01\xc3\xa9\xf0\x9f\x98\x80\xc0\x80\xe2\x82", &out);
  EXPECT_EQ(out,
            "\"a\\\"\\\\\\n\\r\\t\\u0001\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd"
            "\xef\xbf\xbd\xef\xbf\xbd\"");
  out.clear();
  AppendMicrosText(-1, &out);
  EXPECT_EQ(out, "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace slipway
