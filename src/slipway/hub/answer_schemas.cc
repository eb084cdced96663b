#include "slipway/hub/answer_schemas.h"

#include <string>
#include <utility>
#include <vector>

#include "slipway/base/json.h"

namespace slipway {
namespace {

using Members = std::vector<std::pair<const char*, Json>>;

const Json kText = {{"type", "string"}};
const Json kFlag = {{"type", "boolean"}};
const Json kWhole = {{"type", "integer"}};
const Json kNumber = {{"type", "number"}};
const Json kMap = {{"type", "object"}};
const Json kTextOrNull = {{"type", Json::array({"string", "null"})}};
const Json kWholeOrNull = {{"type", Json::array({"integer", "null"})}};

Json Ref(const char* name) { return {{"$ref", std::string("#/components/schemas/") + name}}; }
Json ListOf(Json item) { return {{"type", "array"}, {"items", std::move(item)}}; }
Json OrNull(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), {{"type", "null"}}})}};
}
Json Words(std::vector<std::string> words) {
  return {{"type", "string"}, {"enum", std::move(words)}};
}

// All of `always` are there; of `sometimes` some.
Json Object(const Members& always, const Members& sometimes = {}) {
  Json properties = Json::object(), required = Json::array();
  for (const auto& [name, schema] : always) {
    properties[name] = schema;
    required.push_back(name);
  }
  for (const auto& [name, schema] : sometimes) properties[name] = schema;
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

void AddUpkeep(Json* out) {
  (*out)["HealthCheck"] = Object({{"check", kText},
                                  {"state", Words({"ok", "warning", "error"})},
                                  {"detail", kText},
                                  {"hint", kText}});
  (*out)["Backup"] = Object({{"backup", kText}, {"bytes", kWhole}, {"created_at", kText}});
}

void AddDesigner(Json* out) {
  (*out)["Service"] = Object({{"name", kText}, {"definition", kMap}});
  (*out)["Endpoint"] = Object({{"service", kText},
                               {"endpoint", kText},
                               {"type", Words({"prediction", "lookup"})},
                               {"description", kText},
                               {"model", kTextOrNull},
                               {"tables", ListOf(kText)},
                               {"test_queries", kWhole},
                               {"definition", kMap}},
                              {{"prediction", kText}, {"problem", kText}, {"explanations", kMap}});
  (*out)["TestQueries"] =
      Object({{"service", kText},
              {"endpoint", kText},
              {"test_queries", ListOf({{"type", Json::array({"string", "object"})}})}});
  const Json column = Object({{"name", kText}, {"type", kText}});
  (*out)["PackageChanges"] = Object(
      {{"since", kText},
       {"same", kFlag},
       {"endpoints", Object({{"added", ListOf(kText)}, {"removed", ListOf(kText)}})},
       {"models", ListOf(Object({{"endpoint", kText}, {"before", kText}, {"after", kText}}))},
       {"schema",
        ListOf(Object({{"endpoint", kText},
                       {"added", ListOf(column)},
                       {"removed", ListOf(column)},
                       {"changed",
                        ListOf(Object({{"name", kText}, {"before", kText}, {"after", kText}}))}}))},
       {"metrics",
        ListOf(Object(
            {{"endpoint", kText}, {"metric", kText}, {"before", kNumber}, {"after", kNumber}}))},
       {"settings", ListOf(kText)},
       {"tables", ListOf(kText)},
       {"test_queries", ListOf(kText)},
       {"text", ListOf(kText)}});
  (*out)["Package"] = Object({{"package", kText},
                              {"number", kWhole},
                              {"service", kText},
                              {"created_at", kText},
                              {"created_by", kText},
                              {"notes", kText},
                              {"bytes", kWhole},
                              {"sha256", kText},
                              {"models", ListOf(Object({{"endpoint", kText}, {"model", kText}}))},
                              {"changes", OrNull(Ref("PackageChanges"))}});
}

void AddInfras(Json* out) {
  (*out)["Stage"] = Object({{"name", kText}, {"description", kText}});
  const Members infra = {{"name", kText},
                         {"type", Words({"static", "local", "kubernetes"})},
                         {"stage", kText},
                         {"parallel", kWhole},
                         {"local_nodes", kWholeOrNull},
                         {"ca_file", kText},
                         {"certificate_file", kText},
                         {"key_file", kText},
                         {"insecure", kFlag},
                         {"nodes", ListOf(Ref("InfraNode"))},
                         {"created_at", kText},
                         {"created_by", kText}};
  (*out)["InfraNode"] =
      Object({{"url", kText}}, {{"has_key", kFlag}, {"reachable", kFlag}, {"reason", kText}});
  (*out)["Infra"] = Object(infra, {{"deployments", ListOf(kText)}});
  (*out)["InfraNodes"] = Object({{"name", kText}, {"nodes", ListOf(Ref("InfraNode"))}});
  (*out)["PublishedVersion"] = Object({{"service", kText},
                                       {"version", kText},
                                       {"bytes", kWhole},
                                       {"sha256", kText},
                                       {"published_at", kText},
                                       {"published_by", kText},
                                       {"models", ListOf(kText)}},
                                      {{"notes", kText},
                                       {"created_at", kText},
                                       {"created_by", kText},
                                       {"endpoints", ListOf(kText)},
                                       {"already", kFlag}});
  (*out)["PublishedService"] = Object({{"service", kText},
                                       {"project", kText},
                                       {"versions", ListOf(Ref("PublishedVersion"))},
                                       {"deployments", ListOf(kText)},
                                       {"created_at", kText},
                                       {"created_by", kText}});
}

void AddDeployments(Json* out) {
  (*out)["Share"] = Object({{"generation", kText}, {"weight", kNumber}});
  (*out)["DeploymentSpec"] =
      Object({{"generations", ListOf(Ref("Share"))}, {"settings", kMap}, {"enabled", kFlag}});
  const Members deployment = {
      {"name", kText},
      {"service", kText},
      {"infra", kText},
      {"stage", kText},
      {"enabled", kFlag},
      {"health", Words({"healthy", "warning", "error", "unknown"})},
      {"generations", ListOf(Ref("Share"))},
      {"desired", Ref("DeploymentSpec")},
      {"previous", OrNull(Ref("DeploymentSpec"))},
      {"state", Words({"new", "deployed", "updating", "failed", "partial", "interrupted"})},
      {"reason", kText},
      {"revision", kWhole},
      {"epoch", kWhole},
      {"updated_at", kText},
      {"created_by", kText},
      {"out_of_sync", kFlag}};
  (*out)["Deployment"] = Object(deployment);
  (*out)["Activity"] = Object({{"endpoint", kText},
                               {"generation", kText},
                               {"requests", kWhole},
                               {"errors", kWhole},
                               {"p50_ms", kNumber},
                               {"p95_ms", kNumber},
                               {"p99_ms", kNumber}},
                              {{"deployment", kText},
                               {"stage", kText},
                               {"server_errors", kWhole},
                               {"nodes", kWhole},
                               {"health", kText},
                               {"resolution", kWhole},
                               {"series", ListOf(kMap)}});
  Members status = deployment;
  status.emplace_back("nodes",
                      ListOf(Object({{"url", kText},
                                     {"health", Words({"healthy", "warning", "error", "unknown"})},
                                     {"reason", kText},
                                     {"serving", kFlag},
                                     {"generations", ListOf(Object({{"generation", kText},
                                                                    {"weight", kNumber},
                                                                    {"mapped", kFlag},
                                                                    {"status", kText},
                                                                    {"error", kText}}))}})));
  status.emplace_back("endpoints", ListOf(Ref("Activity")));
  status.emplace_back("messages", ListOf(kText));
  (*out)["DeploymentStatus"] = Object(status);
  (*out)["StartedJob"] = Object({{"job", kText}});
  (*out)["DeploymentJob"] = Object({{"job", kText}, {"deployment", kText}});
  (*out)["DeploymentPlan"] = Object({{"deployment", kText},
                                     {"to", kText},
                                     {"steps", ListOf(Object({{"node", kText},
                                                              {"step", kText},
                                                              {"generation", kTextOrNull},
                                                              {"wave", kWhole},
                                                              {"why", kText}}))},
                                     {"unreachable", ListOf(kText)}});
  (*out)["DeploymentUpdate"] =
      Object({{"update", kWhole},
              {"deployment", kText},
              {"kind", kText},
              {"status", Words({"running", "done", "failed", "partial", "interrupted"})},
              {"requester", kText},
              {"job", kTextOrNull},
              {"started_at", kText},
              {"ended_at", kTextOrNull},
              {"before", OrNull(Ref("DeploymentSpec"))},
              {"after", Ref("DeploymentSpec")},
              {"error", OrNull(Object({{"code", kText}, {"message", kText}, {"hint", kText}}))}},
             {{"log", ListOf(kText)}});
  (*out)["TestOutcome"] = Object({{"endpoint", kText},
                                  {"query", kText},
                                  {"ok", kFlag},
                                  {"answer", Json::object()},
                                  {"expected", Json::object()},
                                  {"difference", kText},
                                  {"generation", kText},
                                  {"node", kText},
                                  {"milliseconds", kNumber}});
  (*out)["NodeAnswer"] = Object({{"node", kText}}, {{"result", kMap}, {"apiContext", kMap}});
  (*out)["Deleted"] = Object({{"deleted", kText}});
}

}  // namespace

Json AnswerSchemas() {
  Json out = Json::object();
  AddUpkeep(&out);
  AddDesigner(&out);
  AddInfras(&out);
  AddDeployments(&out);
  return out;
}

std::function<Json()> Answers(const char* name) {
  return [name] { return Ref(name); };
}

std::function<Json()> AnswersList(const char* name) {
  return [name] { return ListOf(Ref(name)); };
}

}  // namespace slipway
