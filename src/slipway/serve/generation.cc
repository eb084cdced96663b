#include "slipway/serve/generation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/http/server.h"
#include "slipway/serve/lookup_endpoint.h"
#include "slipway/serve/prediction_endpoint.h"

namespace slipway {
namespace {

constexpr size_t kMostOpenApiBytes = size_t{64} << 20;

// The part of an answer that a query's expectation is about.
Json AnswerOf(const Json& answer) {
  if (const Json* result = FindMember(answer, "result"); result != nullptr) return *result;
  const Json* results = FindMember(answer, "results");
  if (results == nullptr || !results->is_array() || results->empty()) return answer;
  const Json* data = FindMember(results->front(), "data");
  return data == nullptr ? results->front() : *data;
}

TestOutcome RunTestQuery(const TestQuery& query, const ServedEndpoint* endpoint) {
  TestOutcome outcome;
  outcome.endpoint = query.endpoint;
  outcome.name = query.name;
  outcome.expected = query.expected;
  if (endpoint == nullptr) {
    outcome.difference = "the package has no endpoint '" + query.endpoint + "'";
    return outcome;
  }
  std::string body = DumpJson(query.request);
  const size_t size = body.size();
  body.append(kHttpPadding, ' ');
  EndpointCall call;
  const bool multi = query.request.is_object() && query.request.contains("items");
  const bool lookup = endpoint->Serves(Verb::kLookup);
  call.verb = lookup ? (multi ? Verb::kLookupMulti : Verb::kLookup)
                     : (multi ? Verb::kPredictMulti : Verb::kPredict);
  call.input = std::string_view(body).substr(0, size);
  const std::unique_ptr<EndpointScratch> scratch = endpoint->MakeScratch();
  std::string out = "{";
  CallOutcome answered;
  const auto begin = std::chrono::steady_clock::now();
  endpoint->Answer(call, scratch.get(), &out, false, &answered);
  outcome.milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  out.push_back('}');
  if (answered.error) {
    outcome.difference = answered.error->message;
    return outcome;
  }
  const Result<Json> answer = ParseJson(out);
  if (!answer.ok()) {
    outcome.difference = "the answer is no JSON: " + answer.error().message;
    return outcome;
  }
  outcome.answer = AnswerOf(*answer);
  outcome.difference = CompareAnswer(query, outcome.answer);
  outcome.ok = outcome.difference.empty();
  return outcome;
}

}  // namespace

Result<std::shared_ptr<const Generation>> Generation::Load(const std::string& folder) {
  std::shared_ptr<Generation> made(new Generation);
  made->folder_ = folder;
  ASSIGN_OR_RETURN(made->manifest_, VerifyPackageFolder(folder));
  ASSIGN_OR_RETURN(const std::string openapi,
                   ReadFile(folder + "/openapi.json", kMostOpenApiBytes));
  Result<Json> described = ParseJson(openapi);
  if (!described.ok()) return Corruption("openapi.json: " + described.error().message);
  made->openapi_ = *std::move(described);
  ASSIGN_OR_RETURN(made->test_queries_, ReadTestQueries(folder));
  for (const PackageEndpoint& definition : made->manifest_.endpoints) {
    Result<std::unique_ptr<ServedEndpoint>> endpoint =
        definition.type == EndpointType::kLookup ? LoadLookupEndpoint(definition, folder)
                                                 : LoadPredictionEndpoint(definition, folder);
    if (!endpoint.ok()) return endpoint.error().Within("endpoint '" + definition.id + "'");
    made->endpoints_.push_back(std::move(*endpoint));
  }
  return std::shared_ptr<const Generation>(std::move(made));
}

int Generation::IndexOf(std::string_view endpoint) const {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (manifest_.endpoints[i].id == endpoint) return static_cast<int>(i);
  }
  return -1;
}

const ServedEndpoint* Generation::Find(std::string_view endpoint) const {
  const int at = IndexOf(endpoint);
  return at < 0 ? nullptr : endpoints_[static_cast<size_t>(at)].get();
}

std::vector<TestOutcome> Generation::RunTestQueries(std::string_view endpoint) const {
  std::vector<TestOutcome> outcomes;
  for (const TestQuery& query : test_queries_) {
    if (!endpoint.empty() && query.endpoint != endpoint) continue;
    outcomes.push_back(RunTestQuery(query, Find(query.endpoint)));
  }
  return outcomes;
}

size_t Generation::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& endpoint : endpoints_) bytes += endpoint->memory_bytes();
  return bytes;
}

int64_t Generation::mapped_bytes() const {
  int64_t bytes = 0;
  std::vector<std::string_view> counted;
  const auto count = [&](const std::vector<TableUse>& uses) {
    for (const TableUse& use : uses) {
      const PackagePart* part = manifest_.FindPart(use.part);
      if (part == nullptr || std::find(counted.begin(), counted.end(), use.part) != counted.end())
        continue;
      counted.push_back(use.part);
      bytes += part->bytes;
    }
  };
  for (const PackageEndpoint& definition : manifest_.endpoints) {
    count(definition.enrichments);
    count(definition.tables);
  }
  return bytes;
}

}  // namespace slipway
