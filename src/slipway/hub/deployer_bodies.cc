#include "slipway/hub/deployer_bodies.h"

#include "slipway/base/json.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/http/router.h"

namespace slipway {
namespace {

constexpr double kMostWhole = 1e15;  // of a whole number: it is one in every client
constexpr const char* kUrlPattern = "^https?://[^/?#@ ]+/*$";

// ---- parts

Json NameSchema() { return {{"type", "string"}, {"pattern", kNamePattern}}; }

void CheckName(const Json& value, const std::string& pointer, Problems* problems) {
  const auto& name = value.get_ref<const std::string&>();
  if (!IsValidName(name))
    problems->Add(pointer, "'" + name.substr(0, 200) + "' is not a valid name; " + NameRule(name));
}

Key Name(const char* name, const char* about, bool required) {
  return {.name = name,
          .kind = KeyKind::kText,
          .description = about,
          .required = required,
          .check = CheckName,
          .schema = NameSchema};
}

Key Text(const char* name, const char* about, bool required = false) {
  return {.name = name, .kind = KeyKind::kText, .description = about, .required = required};
}

Key Flag(const char* name, const char* about) {
  return {.name = name, .kind = KeyKind::kBoolean, .description = about};
}

Key Whole(const char* name, const char* about, double least, double most) {
  return {.name = name,
          .kind = KeyKind::kInteger,
          .description = about,
          .minimum = least,
          .maximum = most};
}

Key Number(const char* name, const char* about, double least = 0, double most = kMostWhole) {
  return {.name = name,
          .kind = KeyKind::kNumber,
          .description = about,
          .minimum = least,
          .maximum = most};
}

// A list of maps by a shape.
void CheckList(const Shape& shape, const Json& value, const std::string& pointer,
               Problems* problems) {
  if (!value.is_array()) {
    problems->Add(pointer, "must be a list, not " + DescribeValue(value));
    return;
  }
  for (size_t i = 0; i < value.size(); ++i)
    CheckShape(shape, value[i], PointerJoin(pointer, i), shape.noun + " " + std::to_string(i + 1),
               problems);
}

// ---- stages and nodes

const Shape& StageShape() {
  static const Shape shape = {
      .noun = "stage", .keys = {Name("name", "its name", true), Text("description", "for people")}};
  return shape;
}

void CheckStages(const Json& value, const std::string& pointer, Problems* problems) {
  CheckList(StageShape(), value, pointer, problems);
  if (value.is_array() && value.empty()) problems->Add(pointer, "there must be a stage at least");
}

Json StagesSchema() {
  return {{"type", "array"}, {"minItems", 1}, {"items", ShapeSchema(StageShape())}};
}

Json UrlSchema() { return {{"type", "string"}, {"pattern", kUrlPattern}}; }

const Shape& NodeShape() {
  static const Shape shape = {
      .noun = "node",
      .keys = {{.name = "url",
                .kind = KeyKind::kText,
                .description = "http://HOST:PORT or https://HOST:PORT of its admin API",
                .required = true,
                .schema = UrlSchema},
               Text("key", "its admin key; it is sealed, and never shown")}};
  return shape;
}

void CheckNodes(const Json& value, const std::string& pointer, Problems* problems) {
  CheckList(NodeShape(), value, pointer, problems);
}

Json NodesSchema() { return {{"type", "array"}, {"items", ShapeSchema(NodeShape())}}; }

Key Nodes(bool required) {
  return {.name = "nodes",
          .description = "in the order of rollouts",
          .required = required,
          .check = CheckNodes,
          .schema = NodesSchema};
}

// ---- a deployment's settings (docs/admin-api.md); null takes one back

const std::vector<std::string>& AuthWords() {
  static const std::vector<std::string> words = {"", "public", "api_keys", "jwt"};
  return words;
}

void CheckLogSample(const Json& value, const std::string& pointer, Problems* problems) {
  const double share = value.get<double>();
  if (share != -1 && !(share >= 0 && share <= 1))
    problems->Add(pointer, "'log_sample' is a share from 0 to 1, or -1 for the node's");
}

Json LogSampleSchema() {
  return {{"anyOf",
           Json::array({{{"const", -1}}, {{"type", "number"}, {"minimum", 0}, {"maximum", 1}}})}};
}

std::vector<Key> LimitKeys() {
  return {{.name = "auth",
           .kind = KeyKind::kWord,
           .description = "who may call; empty: the node's rule",
           .words = AuthWords()},
          Whole("max_concurrent", "requests at work at a time; 0: no limit of its own", 0, 1e6),
          Whole("max_records", "of one request; 0: the node's", 0, kMostWhole),
          Number("deadline_ms", "longest wait in the queue; 0: the node's"),
          Number("rate_per_key", "requests of one caller a second; 0: no limit"),
          {.name = "log_sample",
           .kind = KeyKind::kNumber,
           .description = "share of the requests in the query log; -1: the node's",
           .check = CheckLogSample,
           .schema = LogSampleSchema}};
}

const Shape& EndpointSettingsShape() {
  static const Shape shape = {.noun = "endpoint settings", .keys = LimitKeys()};
  return shape;
}

Json WithoutNulls(const Json& object) {
  Json out = Json::object();
  for (const auto& [key, value] : object.items()) {
    if (!value.is_null()) out[key] = value;
  }
  return out;
}

Json NullOr(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), {{"type", "null"}}})}};
}

// Each of the properties may be null.
Json NullableSchema(Json schema) {
  for (auto& [key, property] : schema["properties"].items()) property = NullOr(std::move(property));
  return schema;
}

void CheckEndpointsSettings(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.is_object()) {
    problems->Add(pointer, "'endpoints' must be a map from endpoints to their settings, not " +
                               DescribeValue(value));
    return;
  }
  for (const auto& [endpoint, own] : value.items()) {
    const std::string at = PointerJoin(pointer, endpoint);
    if (!IsValidName(endpoint)) {
      problems->AddAtKey(at, "'" + endpoint.substr(0, 150) + "' is no endpoint's name");
    } else if (!own.is_null()) {
      CheckShape(EndpointSettingsShape(), own.is_object() ? WithoutNulls(own) : own, at,
                 "the settings of endpoint '" + endpoint + "'", problems);
    }
  }
}

Json EndpointsSettingsSchema() {
  return {{"type", "object"},
          {"propertyNames", {{"pattern", kNamePattern}}},
          {"additionalProperties", NullOr(NullableSchema(ShapeSchema(EndpointSettingsShape())))}};
}

void CheckTexts(const Json& value, const std::string& pointer, Problems* problems) {
  bool right = value.is_array() && value.size() <= 10'000;
  for (const Json& item : value.is_array() ? value : Json::array()) right &= item.is_string();
  if (!right) problems->Add(pointer, "must be a list of texts, not " + DescribeValue(value));
}

Json TextsSchema() {
  return {{"type", "array"}, {"items", {{"type", "string"}}}, {"maxItems", 10'000}};
}

const Shape& SettingsShape() {
  static const Shape shape = [] {
    Shape out{.noun = "setting", .keys = LimitKeys()};
    out.keys.push_back({.name = "redact",
                        .description = "features that the query log masks",
                        .check = CheckTexts,
                        .schema = TextsSchema});
    out.keys.push_back(Text("shadow", "a generation that is scored beside"));
    out.keys.push_back(Number("shadow_sample", "share of the requests for it", 0, 1));
    out.keys.push_back({.name = "endpoints",
                        .description = "settings of endpoints, in place of the service's",
                        .check = CheckEndpointsSettings,
                        .schema = EndpointsSettingsSchema});
    return out;
  }();
  return shape;
}

void CheckSettings(const Json& value, const std::string& pointer, Problems* problems) {
  CheckShape(SettingsShape(), value.is_object() ? WithoutNulls(value) : value, pointer,
             "the settings", problems);
}

Json SettingsSchema() { return NullableSchema(ShapeSchema(SettingsShape())); }

// ---- what is wanted

void CheckWeights(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.is_object() || value.empty()) {
    problems->Add(pointer, "'weights' is a map {\"v1\": 90, \"v2\": 10}, not " +
                               (value.is_object() ? "an empty one" : DescribeValue(value)));
    return;
  }
  for (const auto& [version, weight] : value.items()) {
    if (!weight.is_number() || !(weight.get<double>() >= 0) || weight.get<double>() > 1e9)
      problems->Add(PointerJoin(pointer, version),
                    "the weight of '" + version.substr(0, 150) + "' is not a number from 0 on");
  }
}

Json WeightsSchema() {
  return {{"type", "object"},
          {"minProperties", 1},
          {"additionalProperties", {{"type", "number"}, {"minimum", 0}, {"maximum", 1e9}}}};
}

std::vector<Key> WishKeys() {
  return {Text("version", "a published version, or latest; not with weights"),
          {.name = "weights",
           .description = "shares of the traffic by version",
           .check = CheckWeights,
           .schema = WeightsSchema},
          {.name = "settings",
           .description = "of the service on its nodes, on top of those that are saved; null takes "
                          "one back",
           .check = CheckSettings,
           .schema = SettingsSchema}};
}

Shape WishShape(const char* noun, std::vector<Key> before, std::vector<Key> after) {
  Shape out{.noun = noun, .keys = std::move(before)};
  for (Key& key : WishKeys()) out.keys.push_back(std::move(key));
  for (Key& key : after) out.keys.push_back(std::move(key));
  return out;
}

void CheckSteps(const Json& value, const std::string& pointer, Problems* problems) {
  double last = 0;
  bool right = value.is_array() && !value.empty();
  for (const Json& step : value.is_array() ? value : Json::array()) {
    const double percent = step.is_number() ? step.get<double>() : -1;
    right &= percent > last && percent <= 100;
    last = percent;
  }
  if (!right)
    problems->Add(pointer,
                  "canary steps are rising percentages up to 100, for example [10, 50, 100]");
}

Json StepsSchema() {
  return {{"type", "array"},
          {"minItems", 1},
          {"items", {{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 100}}},
          {"uniqueItems", true}};
}

const Shape& CanaryShape() {
  static const Shape shape = {
      .noun = "canary",
      .keys = {
          {.name = "steps",
           .description = "rising percentages of the traffic",
           .required = true,
           .check = CheckSteps,
           .schema = StepsSchema},
          Number("step_minutes", "a step lasts so long (5)", 0, 1e6),
          Whole("step_requests", "or until the new generation has answered so many", 0, kMostWhole),
          Number("max_wait_minutes", "for step_requests (60)", 0, 1e6),
          Number("max_error_rate", "more than the old generation's (0.01)"),
          Number("max_latency_ratio", "times as long as the old generation's (3)"),
          Number("max_different", "share of answers that differ (never)")}};
  return shape;
}

}  // namespace

const Shape& StagesBody() {
  static const Shape shape = {.noun = "stages",
                              .keys = {{.name = "stages",
                                        .description = "first to last",
                                        .required = true,
                                        .check = CheckStages,
                                        .schema = StagesSchema}}};
  return shape;
}

const Shape& NewInfraBody() {
  static const Shape shape = {
      .noun = "infrastructure",
      .keys = {Name("name", "its name", true),
               {.name = "type",
                .kind = KeyKind::kText,
                .description = "static when absent",
                .schema = [] { return Json{{"enum", Json::array({"static", "local"})}}; }},
               Text("stage", "Development when absent"),
               Whole("parallel", "nodes that switch at a time (1)", 1, 1000),
               Whole("local_nodes", "nodes of a local one (1)", 1, 64),
               Text("ca_file", "whom to trust, PEM, on the hub's machine"),
               Text("certificate_file", "the hub's own certificate for nodes that ask for one"),
               Text("key_file", "its key"),
               Flag("insecure", "take any certificate"),
               Nodes(false)}};
  return shape;
}

const Shape& NodesBody() {
  static const Shape shape = {.noun = "nodes", .keys = {Nodes(true)}};
  return shape;
}

const Shape& NewDeploymentBody() {
  static const Shape shape =
      WishShape("deployment",
                {Name("name", "its name", true),
                 Text("service", "a published service: NAME or PROJECT/NAME", true),
                 Text("infra", "an infrastructure", true)},
                {});
  return shape;
}

const Shape& DeploymentSettingsBody() {
  static const Shape shape =
      WishShape("deployment", {}, {Flag("enabled", "whether it is to be served")});
  return shape;
}

const Shape& DeploymentUpdateBody() {
  static const Shape shape =
      WishShape("update", {},
                {{.name = "canary",
                  .kind = KeyKind::kObject,
                  .description = "bring the version in steps",
                  .shape = &CanaryShape()},
                 Flag("take_over", "from another deployer that used the nodes")});
  return shape;
}

const Shape& PromoteBody() {
  static const Shape shape = {
      .noun = "promotion",
      .keys = {Text("to", "the infrastructure", true),
               {.name = "name",
                .kind = KeyKind::kText,
                .description = "of the new deployment (SERVICE-INFRA); empty: the same",
                .check =
                    [](const Json& value, const std::string& pointer, Problems* problems) {
                      if (!value.get_ref<const std::string&>().empty())
                        CheckName(value, pointer, problems);
                    },
                .schema =
                    [] {
                      return Json{{"type", "string"},
                                  {"anyOf", Json::array({{{"maxLength", 0}}, NameSchema()})}};
                    }}}};
  return shape;
}

const Shape& QueryBody() {
  static const Shape shape = {
      .noun = "query",
      .keys = {Text("endpoint", "which is asked", true),
               {.name = "record",
                .kind = KeyKind::kAny,
                .description = "the fields of one record",
                .check =
                    [](const Json& value, const std::string& pointer, Problems* problems) {
                      if (!value.is_object())
                        problems->Add(pointer,
                                      "'record' must be a map, not " + DescribeValue(value));
                    },
                .schema = [] { return Json{{"type", "object"}}; }},
               {.name = "body",
                .kind = KeyKind::kAny,
                .description = "the whole body instead of a record",
                .check =
                    [](const Json& value, const std::string& pointer, Problems* problems) {
                      if (!value.is_object())
                        problems->Add(pointer, "'body' must be a map, not " + DescribeValue(value));
                    },
                .schema = [] { return Json{{"type", "object"}}; }},
               Text("generation", "that is to answer; empty: as the traffic is shared"),
               Text("node", "its URL; empty: the first")},
      .check = [](const Json& body, const std::string& pointer, Problems* problems) {
        if (!body.contains("record") && !body.contains("body"))
          problems->Add(pointer, "missing key 'record' in the query");
      }};
  return shape;
}

}  // namespace slipway
