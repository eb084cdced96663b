#include "slipway/package/openapi.h"

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/bundle/explanations.h"
#include "slipway/package/openapi_inputs.h"
#include "slipway/package/openapi_types.h"

namespace slipway {
namespace {

constexpr int kMaxMonteCarloSteps = 1'000'000;
constexpr size_t kSamples = 3;

Json Ref(std::string_view kind, std::string_view name) {
  return Json{{"$ref", fmt::format("#/components/{}/{}", kind, name)}};
}
Json SchemaRef(std::string_view name) { return Ref("schemas", name); }

Json TypeOf(std::string_view name) { return Json{{"type", name}}; }

// ---- What all endpoints share ----

Json ErrorSchema() {
  return Json{{"type", "object"},
              {"description", "What went wrong, for clients of DSS and for people."},
              {"required", {"errorType", "message", "detailedMessage"}},
              {"properties",
               {{"errorType", TypeOf("string")},
                {"message", TypeOf("string")},
                {"detailedMessage", TypeOf("string")},
                {"code", TypeOf("string")},
                {"hint", {{"type", {"string", "null"}}}},
                {"request_id", {{"type", {"string", "null"}}}}}}};
}

Json TimingSchema() {
  Json properties = Json::object();
  for (const char* name :
       {"preProcessing", "wait", "enrich", "preparation", "prediction", "postProcessing"})
    properties[name] = TypeOf("integer");
  return Json{{"type", "object"}, {"description", "Microseconds."}, {"properties", properties}};
}

Json ContextSchema() {
  return Json{{"type", "object"},
              {"description", "Which service, endpoint and generation answered."},
              {"properties",
               {{"serviceId", TypeOf("string")},
                {"endpointId", TypeOf("string")},
                {"serviceGeneration", TypeOf("string")}}}};
}

Json DispatchSchema() {
  return Json{{"type", {"object", "null"}},
              {"description",
               "Which generation answers, when several share the traffic: the forced one, else the "
               "one that "
               "belongs to the key."},
              {"properties",
               {{"forcedGeneration", {{"type", {"string", "number", "null"}}}},
                {"dispatchKey", {{"type", {"string", "number", "null"}}}}}}};
}

Json ExplanationsSchema() {
  return Json{
      {"type", {"object", "null"}},
      {"description",
       "Which inputs moved the score; what is absent or null is the endpoint's own."},
      {"properties",
       {{"enabled", {{"type", {"boolean", "null"}}}},
        {"method", {{"enum", {"SHAPLEY", nullptr}}, {"description", "Exact Shapley values."}}},
        {"nExplanations",
         {{"type", {"integer", "null"}}, {"minimum", 1}, {"maximum", kMostExplanations}}},
        {"nMonteCarloSteps",
         {{"type", {"integer", "null"}},
          {"minimum", 1},
          {"maximum", kMaxMonteCarloSteps},
          {"description", "Nothing is sampled here: it changes nothing."}}}}}};
}

Json ErrorResponse(std::string_view description, bool retry = false) {
  Json response = {{"description", description},
                   {"content", {{"application/json", {{"schema", SchemaRef("Error")}}}}}};
  if (retry) {
    response["headers"] = Json{{"Retry-After",
                                {{"description", "Seconds after which trying again may work."},
                                 {"schema", {{"type", "integer"}, {"minimum", 0}}}}}};
  }
  return response;
}

Json ErrorResponses() {
  return Json{
      {"BadRequest", ErrorResponse("The request cannot be understood, or a value is wrong.")},
      {"Unauthorized", ErrorResponse("No API key, or one that is not known.")},
      {"Forbidden", ErrorResponse("The API key is not for this service.")},
      {"NotFound", ErrorResponse("No such service, endpoint or generation.")},
      {"TooLarge", ErrorResponse("The body or the number of records is above the limit.")},
      {"TooManyRequests", ErrorResponse("More requests than this key may send.", true)},
      {"Unavailable", ErrorResponse("The node is at its limit or is going down.", true)},
      {"Failure", ErrorResponse("Any other error.")}};
}

Json Responses(std::string_view description, Json schema) {
  return Json{{"200",
               {{"description", description},
                {"content", {{"application/json", {{"schema", std::move(schema)}}}}}}},
              {"400", Ref("responses", "BadRequest")},
              {"401", Ref("responses", "Unauthorized")},
              {"403", Ref("responses", "Forbidden")},
              {"404", Ref("responses", "NotFound")},
              {"413", Ref("responses", "TooLarge")},
              {"429", Ref("responses", "TooManyRequests")},
              {"503", Ref("responses", "Unavailable")},
              {"default", Ref("responses", "Failure")}};
}

// {`member`: schema, timing, apiContext}.
Json AnswerSchema(const char* member, Json schema) {
  return Json{{"type", "object"},
              {"required", {member, "timing", "apiContext"}},
              {"properties",
               {{member, std::move(schema)},
                {"timing", SchemaRef("Timing")},
                {"apiContext", SchemaRef("ApiContext")}}}};
}

Json ListOf(Json schema) { return Json{{"type", "array"}, {"items", std::move(schema)}}; }

// ---- One endpoint ----

class EndpointPaths {
 public:
  EndpointPaths(const PackageManifest& manifest, const EndpointDescription& description, Json* api)
      : description_(description),
        id_(description.endpoint->id),
        name_(manifest.service + "." + id_),
        path_("/public/api/v1/" + manifest.service + "/" + id_),
        api_(api) {}

  void AddPrediction() {
    const std::vector<DescribedField> fields = DescribePredictionFields(description_);
    Json features = RecordSchema(fields);
    AddKeyConditions(fields, &features);
    Schemas()[name_ + ".features"] = std::move(features);
    Schemas()[name_ + ".result"] = ResultSchema();
    const std::vector<Json> samples = SampleRecords(description_, kSamples);

    Json record = {{"type", "object"},
                   {"required", {"features"}},
                   {"properties",
                    {{"features", SchemaRef(name_ + ".features")},
                     {"context", {{"description", "Goes to the query log as it is."}}}}}};
    Json single = record;
    single["properties"]["dispatch"] = SchemaRef("Dispatch");
    single["properties"]["explanations"] = SchemaRef("Explanations");
    Json examples = Json::object();
    for (size_t i = 0; i < samples.size(); ++i)
      examples[fmt::format("sample {}", i + 1)] = Json{{"value", {{"features", samples[i]}}}};
    AddPost("predict", "Predicts one record.", std::move(single), std::move(examples),
            AnswerSchema("result", SchemaRef(name_ + ".result")));

    Json many = ManySchema(std::move(record));
    many["properties"]["explanations"] = SchemaRef("Explanations");
    Json items = Json::array();
    for (const Json& sample : samples) items.push_back(Json{{"features", sample}});
    AddPost("predict-multi", "Predicts several records; one that is wrong does not fail the rest.",
            std::move(many), SampleOf(std::move(items)),
            AnswerSchema("results", ListOf(SchemaRef(name_ + ".result"))));
    AddGet(fields, samples);
  }

  void AddLookup() {
    const std::vector<DescribedField> fields = DescribeLookupFields(description_);
    Schemas()[name_ + ".data"] = RecordSchema(fields);
    Schemas()[name_ + ".result"] = FoundSchema();
    Json record = {
        {"type", "object"},
        {"required", {"data"}},
        {"properties", {{"data", SchemaRef(name_ + ".data")}, {"context", Json::object()}}}};
    Json single = record;
    single["properties"]["dispatch"] = SchemaRef("Dispatch");
    const Json answer = AnswerSchema("results", ListOf(SchemaRef(name_ + ".result")));
    AddPost("lookup", "Looks up one record; the list in the answer has one element.",
            std::move(single), Json::object(), answer);
    AddPost("lookup-multi", "Looks up several records; one that is wrong does not fail the rest.",
            ManySchema(std::move(record)), Json::object(), answer);
  }

 private:
  Json& Schemas() { return (*api_)["components"]["schemas"]; }

  // A record of fields: few must be there, others are passed over.
  static Json RecordSchema(const std::vector<DescribedField>& fields) {
    Json properties = Json::object();
    for (const DescribedField& described : fields) {
      Json schema = RequestValueSchema(described.field.type);
      schema["description"] = described.description;
      if (!described.examples.empty()) schema["examples"] = described.examples;
      properties[described.field.name] = std::move(schema);
    }
    return Json{{"type", "object"},
                {"description",
                 "What is absent, null or an empty text is missing; what has another name is "
                 "passed over."},
                {"properties", std::move(properties)}};
  }

  // Where a missing key is an error, a record has the keys, or what they would give.
  void AddKeyConditions(const std::vector<DescribedField>& fields, Json* schema) const {
    for (const TableUse& use : description_.endpoint->enrichments) {
      if (use.missing_key != LookupPolicy::kError) continue;
      const auto all_of = [&fields](const std::vector<TableUse::Pair>& pairs) {
        Json all = {{"required", Json::array()}, {"properties", Json::object()}};
        for (const DescribedField& described : fields) {
          for (const TableUse::Pair& pair : pairs) {
            if (pair.field != described.field.name) continue;
            all["required"].push_back(pair.field);
            all["properties"][pair.field] = RequiredValueSchema(described.field.type);
          }
        }
        return all;
      };
      Json keys = all_of(use.keys), given = all_of(use.columns);
      if (keys["required"].empty() || given["required"].empty()) continue;
      (*schema)["allOf"].push_back(Json{{"anyOf", {std::move(keys), std::move(given)}}});
    }
  }

  static Json ManySchema(Json record) {
    return Json{
        {"type", "object"},
        {"required", {"items"}},
        {"properties",
         {{"items",
           ListOf(Json{{"anyOf",
                        {std::move(record),
                         {{"description", "Anything else: its own result has an error."}}}}})},
          {"dispatch", SchemaRef("Dispatch")}}}};
  }

  static Json SampleOf(Json items) {
    if (items.empty()) return Json::object();
    return Json{{"samples", {{"value", {{"items", std::move(items)}}}}}};
  }

  static void AddIgnored(Json* schema) {
    Json& properties = (*schema)["properties"];
    properties["ignored"] =
        Json{{"type", "boolean"}, {"description", "True: there is no answer to the record."}};
    properties["ignoreReason"] = Json{{"type", "string"},
                                      {"description",
                                       "Such as NO_LOOKUP_MATCH, MULTIPLE_LOOKUP_MATCHES, "
                                       "MISSING_LOOKUP_KEY, DROPPED_BY_MODEL."}};
    properties["error"] = SchemaRef("Error");
  }

  Json ResultSchema() const {
    Json schema = {{"type", "object"}, {"required", {"ignored"}}};
    const BundleContent* const bundle = description_.bundle;
    Json& properties = schema["properties"];
    if (bundle == nullptr) {
      properties["prediction"] = Json::object();
    } else if (bundle->classes.empty()) {
      const bool raw = bundle->kind == PredictionKind::kRaw;
      properties["prediction"] = raw ? Json{{"type", {"number", "null", "array"}},
                                            {"items", AnswerValueSchema(Type::kDouble)}}
                                     : AnswerValueSchema(Type::kDouble);
    } else {
      properties["prediction"] = Json{{"type", "string"}, {"enum", bundle->classes}};
      Json probas = {{"type", "object"}, {"required", bundle->classes}};
      for (const std::string& name : bundle->classes)
        probas["properties"][name] = AnswerValueSchema(Type::kDouble);
      properties["probas"] = std::move(probas);
    }
    properties["explanations"] =
        Json{{"type", {"object", "null"}},
             {"description", "Contribution of an input to the score before its transform."},
             {"additionalProperties", AnswerValueSchema(Type::kDouble)}};
    AddIgnored(&schema);
    return schema;
  }

  Json FoundSchema() const {
    Json data = Json::object();
    const std::vector<TableUse>& uses = description_.endpoint->tables;
    for (size_t i = 0; i < uses.size() && i < description_.tables.size(); ++i) {
      for (const TableUse::Pair& pair : uses[i].columns) {
        const Schema* const table = description_.tables[i];
        const int column = table == nullptr ? -1 : table->Find(pair.column);
        if (column < 0) continue;
        data[pair.field] = AnswerValueSchema(table->fields[static_cast<size_t>(column)].type);
      }
    }
    Json schema = {
        {"type", "object"},
        {"required", {"data"}},
        {"properties", {{"data", {{"type", "object"}, {"properties", std::move(data)}}}}}};
    AddIgnored(&schema);
    return schema;
  }

  Json Operation(const char* verb, std::string_view summary, Json answer) const {
    Json operation = {{"operationId", name_ + "." + verb}, {"summary", summary}, {"tags", {id_}}};
    if (!description_.endpoint->description.empty())
      operation["description"] = description_.endpoint->description;
    operation["responses"] = Responses("The answer.", std::move(answer));
    return operation;
  }

  void AddPost(const char* verb, std::string_view summary, Json request, Json examples,
               Json answer) {
    Json content = {{"schema", std::move(request)}};
    if (!examples.empty()) content["examples"] = std::move(examples);
    Json operation = Operation(verb, summary, std::move(answer));
    operation["requestBody"] =
        Json{{"required", true}, {"content", {{"application/json", std::move(content)}}}};
    (*api_)["paths"][path_ + "/" + verb]["post"] = std::move(operation);
  }

  void AddGet(const std::vector<DescribedField>& fields, const std::vector<Json>& samples) {
    Json parameters = Json::array();
    for (const DescribedField& described : fields) {
      const std::string& name = described.field.name;
      Json parameter = {{"name", name},
                        {"in", "query"},
                        {"required", false},
                        {"description", described.description},
                        {"schema", QueryValueSchema(described.field.type)}};
      if (!samples.empty()) {
        const Json* const example = FindMember(samples[0], name);
        if (example != nullptr) parameter["example"] = *example;
      }
      parameters.push_back(std::move(parameter));
    }
    Json operation = Operation("predict-simple", "Predicts one record, given as a query string.",
                               AnswerSchema("result", SchemaRef(name_ + ".result")));
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    (*api_)["paths"][path_ + "/predict-simple"]["get"] = std::move(operation);
  }

  const EndpointDescription& description_;
  const std::string id_, name_, path_;
  Json* api_;
};

// [] of what is enough; {} among them: nothing is.
Json Security(const std::string& auth) {
  Json list = Json::array();
  if (auth != "api_keys") list.push_back(Json::object());
  if (auth == "public") return list;
  list.push_back(Json{{"bearer", Json::array()}});
  list.push_back(Json{{"basic", Json::array()}});
  return list;
}

}  // namespace

Json ServiceOpenApi(const PackageManifest& manifest,
                    const std::vector<EndpointDescription>& endpoints) {
  Json api = {{"openapi", "3.1.0"},
              {"info", {{"title", manifest.service}, {"version", manifest.id}}},
              {"security", Security(manifest.auth)},
              {"paths", Json::object()}};
  if (!manifest.notes.empty()) api["info"]["description"] = manifest.notes;
  api["components"] =
      Json{{"securitySchemes",
            {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"description", "The API key."}}},
             {"basic",
              {{"type", "http"},
               {"scheme", "basic"},
               {"description", "The API key as the user, without a password."}}}}},
           {"schemas",
            {{"Error", ErrorSchema()},
             {"Timing", TimingSchema()},
             {"ApiContext", ContextSchema()},
             {"Dispatch", DispatchSchema()},
             {"Explanations", ExplanationsSchema()}}},
           {"responses", ErrorResponses()}};
  for (const EndpointDescription& description : endpoints) {
    EndpointPaths paths(manifest, description, &api);
    switch (description.endpoint->type) {
      case EndpointType::kPrediction:
        paths.AddPrediction();
        break;
      case EndpointType::kLookup:
        paths.AddLookup();
        break;
    }
  }
  return api;
}

}  // namespace slipway
