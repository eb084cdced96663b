#include "slipway/project/service.h"

#include "slipway/project/definition.h"
#include "slipway/project/export.h"
#include "slipway/project/load.h"
#include "slipway/project/schema.h"

namespace slipway {
namespace {

// Lines 1 to 7; the service's endpoints follow, indented by six.
std::string WithEndpoints(const std::string& endpoints) {
  return "project: p\n"
         "datasets:\n"
         "  zones: {type: files, path: z.csv}\n"
         "  rides: {type: files, path: r.csv}\n"
         "models: {fare: {}}\n"
         "services:\n"
         "  s: {endpoints: {\n" +
         endpoints + "}}\n";
}

constexpr const char* kEverything = R"yaml(project: p
datasets:
  zones: {type: files, path: z.csv}
  rides: {type: files, path: r.csv}
models: {fare: {}}
services:
  fares:
    description: all of it
    auth: api_keys
    endpoints:
      price:
        prediction: fare@active
        description: what a ride costs
        explanations: {enabled: true, count: 3}
        enrich:
          - table: zones
            keys: {zone_id: pickup_zone}
            columns: {borough: pickup_borough, toll: toll}
            missing_key: error
            no_match: ignore
            several_matches: continue
          - {table: rides, keys: [ride], columns: tip}
        test_queries:
          - {name: short one, features: {pickup_zone: 4, km: 1.5}}
          - {features: {km: 2, at: "2024-01-02 03:04:05", note: null}, expect: {prediction: 9.5}, tolerance: 0.001}
          - {request: {features: {km: 3}, explanations: {enabled: true}}}
          - {from_dataset: rides, rows: 7, seed: 1}
      zones: {lookup: zones}
      one: {lookup: {table: zones, keys: [zone_id], columns: [borough]}}
      many:
        lookup:
          tables:
            - {table: zones, keys: {zone_id: zone, day: day}}
            - rides
        test_queries: from_dataset(rides, 5)
)yaml";

TEST(ReadService, EveryFormMeansWhatItSays) {
  auto project = LoadProjectText(kEverything, "p.yaml");
  ASSERT_TRUE(project.ok()) << project.error().message;
  const ServiceDefinition service = ReadService("fares", project->services["fares"]);
  EXPECT_EQ(service.auth, "api_keys");
  ASSERT_EQ(service.endpoints.size(), 4u);
  const EndpointDefinition& many = service.endpoints[0];
  EXPECT_TRUE(many.lookup);
  ASSERT_EQ(many.tables.size(), 2u);
  ASSERT_EQ(many.tables[0].keys.size(), 2u);
  EXPECT_EQ(many.tables[0].keys[0].field, "zone");
  EXPECT_EQ(many.tables[0].keys[1].column, "day");
  EXPECT_EQ(many.tables[1].dataset, "rides");
  EXPECT_TRUE(many.tables[1].keys.empty());
  ASSERT_EQ(many.queries.size(), 1u);
  EXPECT_EQ(many.queries[0].dataset, "rides");
  EXPECT_EQ(many.queries[0].rows, 5);

  const EndpointDefinition& price = service.endpoints[2];
  EXPECT_EQ(price.model, "fare@active");
  EXPECT_TRUE(price.explain);
  EXPECT_EQ(price.explanations, 3);
  ASSERT_EQ(price.tables.size(), 2u);
  EXPECT_EQ(price.tables[0].missing_key, "error");
  EXPECT_EQ(price.tables[0].no_match, "ignore");
  EXPECT_EQ(price.tables[0].several_matches, "continue");
  EXPECT_EQ(price.tables[0].columns[0].field, "pickup_borough");
  EXPECT_EQ(price.tables[1].missing_key, "continue");
  EXPECT_EQ(price.tables[1].several_matches, "error");
  EXPECT_EQ(price.tables[1].columns[0].column, "tip");
  ASSERT_EQ(price.queries.size(), 4u);
  EXPECT_EQ(price.queries[0].name, "short one");
  EXPECT_EQ(DumpJson(price.queries[0].request), R"({"features":{"pickup_zone":4,"km":1.5}})");
  EXPECT_TRUE(price.queries[0].expect.is_null());
  EXPECT_EQ(DumpJson(price.queries[1].request["features"]["note"]), "null");
  EXPECT_EQ(price.queries[1].tolerance, 0.001);
  EXPECT_TRUE(price.queries[2].request.contains("explanations"));
  EXPECT_EQ(price.queries[3].rows, 7);
  EXPECT_EQ(price.queries[3].seed, 1);
}

TEST(ReadService, ExportThenLoadGivesTheSame) {
  auto project = LoadProjectText(kEverything, "/w/p.yaml");
  ASSERT_TRUE(project.ok()) << project.error().message;
  const std::string yaml = ToYaml(*project, {"/w"});
  auto again = LoadProjectText(yaml, "/w/p.yaml");
  ASSERT_TRUE(again.ok()) << again.error().message << "\n" << yaml;
  EXPECT_EQ(DumpJson(again->services), DumpJson(project->services));
  auto stored = ProjectFromJson(ProjectToJson(*project));
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(DumpJson(stored->services), DumpJson(project->services));
}

TEST(ServiceKeys, SayWhatIsWrongAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"e: {prediction: fare, enrich: [{tabel: zones}]}",
       "p.yaml:8:33: unknown key 'tabel' in enrichment 1; did you mean 'table'?"},
      {"e: {prediction: fare, enrich: [{table: zone}]}",
       "p.yaml:8:40: endpoint 'e' reads an unknown dataset 'zone'; did you mean 'zones'?"},
      {"e: {prediction: fare, enrich: {table: zones}}",
       "'enrich' must be a list of {table, keys, columns}, not a map"},
      {"e: {prediction: fare, enrich: [{table: zones, no_match: skip}]}",
       "'no_match' must be one of 'error', 'ignore' and 'continue', not 'skip'"},
      {"e: {prediction: fare, enrich: [{table: zones, keys: {a: 5}}]}",
       "column 'a' of 'keys' must be given the name of a field, not the number 5"},
      {"e: {prediction: fare, enrich: [{table: zones, columns: [a, a]}]}",
       "column 'a' stands twice in 'columns'"},
      {"e: {prediction: fare, enrich: [{table: zones, columns: []}]}",
       "'columns' names no column; leave it out"},
      {"e: {prediction: fare, enrich: [{table: zones, columns: {a: f}}, {table: rides, columns: "
       "{b: f}}]}",
       "endpoint 'e' gets 'f' twice, from 'zones' and from 'rides'"},
      {"e: {prediction: far}",
       "p.yaml:8:17: endpoint 'e' uses an unknown model 'far'; did you "
       "mean 'fare'?"},
      {"e: {prediction: fare@0}", "'fare@0' is not a model version"},
      {"e: {prediction: fare, explanations: {on: true}}", "unknown key 'on' in explanations"},
      {"e: {prediction: fare, explanations: {count: 0}}",
       "'count' must be a whole number from 1 to 10000, not the number 0"},
      {"e: {prediction: fare, lookup: zones}",
       "an endpoint has exactly one of 'prediction' and 'lookup'"},
      {"e: {lookup: zones, enrich: [{table: zones}]}", "'enrich' is for prediction endpoints"},
      {"e: {lookup: 5}", "'lookup' must be the name of a dataset"},
      {"e: {lookup: zone}", "p.yaml:8:13: endpoint 'e' reads an unknown dataset 'zone'"},
      {"e: {lookup: {tables: []}}",
       "'tables' must be a list of {table, keys, columns}, not an "
       "empty one"},
      {"e: {lookup: {tables: [zones], keys: [a]}}", "unknown key 'keys' beside 'tables'"},
      {"e: {prediction: fare, test_queries: many}",
       "'test_queries' must be \"from_dataset(DATASET, ROWS)\""},
      {"e: {prediction: fare, test_queries: \"from_dataset(ride, 5)\"}",
       "reads an unknown dataset 'ride'; did you mean 'rides'?"},
      {"e: {prediction: fare, test_queries: \"from_dataset(rides, 5000)\"}",
       "at most 1000 test queries are drawn from a dataset, not 5000"},
      {"e: {prediction: fare, test_queries: {from_dataset: rides, row: 3}}",
       "unknown key 'row' in test_queries; did you mean 'rows'?"},
      {"e: {prediction: fare, test_queries: [{name: x}]}", "a test query needs 'features'"},
      {"e: {prediction: fare, test_queries: [{features: {a: 1}, request: {}}]}",
       "give one of 'features', 'data' and 'request', not several"},
      {"e: {prediction: fare, test_queries: [{data: {a: 1}}]}",
       "a prediction endpoint takes 'features', not 'data'"},
      {"e: {lookup: zones, test_queries: [{features: {a: 1}}]}",
       "a lookup endpoint takes 'data', not 'features'"},
      {"e: {prediction: fare, test_queries: [{features: {a: 1}, expect: {predicton: 1}}]}",
       "an answer has no member 'predicton'; did you mean 'prediction'?"},
      {"e: {prediction: fare, test_queries: [{features: {a: 1}, tolerance: -1}]}",
       "'tolerance' must be a number from 0 to 0.999, not the number -1"},
      {"e: {predicton: fare}",
       "unknown key 'predicton' in endpoint 'e'; did you mean "
       "'prediction'?"},
  };
  for (const auto& [endpoint, message] : cases) {
    auto project = LoadProjectText(WithEndpoints(endpoint), "p.yaml");
    ASSERT_FALSE(project.ok()) << endpoint;
    EXPECT_THAT(project.error().message, testing::HasSubstr(message)) << endpoint;
  }
  auto auth = LoadProjectText("project: p\nservices: {s: {auth: apikeys, endpoints: {}}}\n", "p");
  ASSERT_FALSE(auth.ok());
  EXPECT_THAT(auth.error().message, testing::HasSubstr("did you mean 'api_keys'?"));
}

TEST(ServiceKeys, ArePublishedAsJsonSchema) {
  const std::string schema = DumpJson(ProjectJsonSchema());
  for (const char* word : {"several_matches", "from_dataset", "api_keys", "explanations"})
    EXPECT_THAT(schema, testing::HasSubstr(word));
}

TEST(ReadService, ACommaInAFlowListDoesNotSplitADraw) {
  auto project = LoadProjectText(
      WithEndpoints(
          "e: {prediction: fare, test_queries: [from_dataset(rides, 5), {features: {a: 1}}, "
          "from_dataset(zones, 2)]}"),
      "p.yaml");
  ASSERT_TRUE(project.ok()) << project.error().message;
  const auto queries = ReadService("s", project->services["s"]).endpoints.at(0).queries;
  ASSERT_EQ(queries.size(), 3u);
  EXPECT_EQ(queries[0].rows, 5);
  EXPECT_EQ(queries[2].dataset, "zones");
}

TEST(ParseFromDataset, TakesOnlyItsForm) {
  std::string dataset;
  int64_t rows = 0;
  EXPECT_TRUE(ParseFromDataset(" from_dataset( a.b , 12 ) ", &dataset, &rows));
  EXPECT_EQ(dataset, "a.b");
  EXPECT_EQ(rows, 12);
  for (const char* bad : {"from_dataset(a)", "from_dataset(a, 0)", "from_dataset(, 3)",
                          "from_dataset(a, x)", "dataset(a, 3)", "from_dataset(a, 3"}) {
    EXPECT_FALSE(ParseFromDataset(bad, &dataset, &rows)) << bad;
  }
}

}  // namespace
}  // namespace slipway
