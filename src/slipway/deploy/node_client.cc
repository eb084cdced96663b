#include "slipway/deploy/node_client.h"

#include <algorithm>

#include "slipway/base/text.h"

namespace slipway {
namespace {

// Loading, warming up and testing a large model takes a while.
constexpr double kChangeSeconds = 300, kDeleteSeconds = 60, kUploadSeconds = 1800;
constexpr const char* kFenced = "another deployer has taken over this node";

// A node may be of any release, or no node at all: another type reads as absent.
bool FlagOf(const Json& object, const char* key) {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

Error NodeError(const std::string& url, const HttpAnswer& answer) {
  std::string message = "it answered " + std::to_string(answer.status), hint, code;
  if (auto json = ParseJson(answer.body); json.ok() && json->is_object()) {
    const auto text = [&](const char* key) { return TextMember(*json, key); };
    if (!text("message").empty()) message = text("message");
    hint = text("hint");
    code = text("code");
  }
  if (answer.status == 401 || answer.status == 403) {
    return PermissionDenied("node " + url + " refuses the admin key",
                            "add the infrastructure again with the key in the node's "
                            "HOME/admin.key");
  }
  if (answer.status == 409 && message.find("epoch") != std::string::npos)
    return Conflict("node " + url + ": " + kFenced + ": " + message,
                    "if this deployer shall have it back: slipway deployment update NAME "
                    "--take-over");
  Error error{ErrorCodeFromName(code), "node " + url + ": " + message, hint};
  if (code.empty())
    error.code = answer.status == 404   ? ErrorCode::kNotFound
                 : answer.status == 409 ? ErrorCode::kConflict
                 : answer.status < 500  ? ErrorCode::kInvalidArgument
                                        : ErrorCode::kUnavailable;
  return error;
}

// Fills what is known of a service on a node.
Status ReadService(const Json& service, const Json* generations, ObservedNode* node) {
  node->has_service = true;
  node->enabled = FlagOf(service, "enabled");
  node->serving = FlagOf(service, "serving");
  node->reason = TextMember(service, "reason");
  if (const Json* settings = FindMember(service, "settings"); settings && settings->is_object())
    node->settings = *settings;
  if (generations == nullptr || !generations->is_array())
    return Unavailable("node " + node->url + " does not list its generations");
  for (const Json& each : *generations) {
    if (!each.is_object()) continue;
    ObservedGeneration generation;
    generation.id = TextMember(each, "generationId");
    generation.status = TextMember(each, "status");
    generation.error = TextMember(each, "error");
    generation.mapped = FlagOf(each, "mapped");
    generation.loaded = FlagOf(each, "mounted");
    if (const Json* share = FindMember(each, "mappedPercent"); share && share->is_number())
      generation.probability = share->get<double>() / 100;
    node->generations.push_back(std::move(generation));
  }
  return {};
}

std::string ServicePath(const std::string& service) {
  return "/admin/api/services/" + UrlEncode(service);
}

}  // namespace

bool IsFenced(const Error& error) {
  return error.code == ErrorCode::kConflict && error.message.find(kFenced) != std::string::npos;
}

const ObservedGeneration* ObservedNode::Find(const std::string& generation) const {
  for (const ObservedGeneration& each : generations) {
    if (each.id == generation) return &each;
  }
  return nullptr;
}

Result<Json> NodeClient::Call(HttpCall call, const std::string& path) {
  if (!problem_.empty()) return Unavailable("node " + url_ + ": " + problem_);
  call.url = url_ + path;
  if (call.cancel == nullptr) call.cancel = cancel_;
  call.headers.emplace_back("Authorization", BasicAuthorization(key_));
  if (call.method != "GET" && epoch_ > 0)
    call.headers.emplace_back("X-Slipway-Epoch", std::to_string(epoch_));
  auto answer = http_->Send(call);
  if (!answer.ok()) {
    Error error = answer.error().Within("node " + url_);
    return error;
  }
  if (!answer->ok()) return NodeError(url_, *answer);
  auto json = ParseJson(answer->body, {.max_bytes = size_t{256} << 20, .max_depth = 256});
  if (!json.ok())
    return Unavailable(
        "node " + url_ + " does not answer as an API node does: " + json.error().message,
        "check the URL: it is the one that the node says when it starts");
  return json;
}

Status NodeClient::Change(const std::string& method, const std::string& path, const Json& body,
                          double seconds) {
  const std::string text = body.is_null() ? "" : DumpJson(body);
  auto answer = Call({.method = method,
                      .headers = {{"Content-Type", "application/json"}},
                      .body = text,
                      .total_seconds = seconds},
                     path);
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

ObservedNode NodeClient::Observe(const std::string& service, double seconds) {
  ObservedNode node;
  node.url = url_;
  auto found = Call({.total_seconds = seconds}, ServicePath(service));
  if (!found.ok()) {
    if (found.error().code != ErrorCode::kNotFound) node.reachable = found.error();
    return node;
  }
  auto listed = Call({.total_seconds = seconds}, ServicePath(service) + "/generations");
  if (!listed.ok()) {
    node.reachable = listed.error();
    return node;
  }
  if (Status read = ReadService(*found, FindMember(*listed, "generations"), &node); !read.ok())
    node.reachable = read.error();
  return node;
}

Result<std::map<std::string, ObservedNode>> NodeClient::ObserveServices(double seconds) {
  ASSIGN_OR_RETURN(const Json list,
                   Call({.total_seconds = seconds}, "/admin/api/services?full=true"));
  if (!list.is_array()) return Unavailable("node " + url_ + " does not list its services");
  std::map<std::string, ObservedNode> out;
  for (const Json& each : list) {
    if (!each.is_object()) continue;
    const std::string name = TextMember(each, "serviceId");
    ObservedNode& node = out[name];
    const Json* generations = FindMember(each, "generationList");
    if (generations == nullptr) {  // a release that tells it one by one
      node = Observe(name, seconds);
      continue;
    }
    node.url = url_;
    RETURN_IF_ERROR(ReadService(each, generations, &node));
  }
  return out;
}

Status NodeClient::Upload(const std::string& service, const std::string& package_file,
                          const std::atomic<bool>* cancel) {
  auto answer = Call({.method = "POST",
                      .headers = {{"Content-Type", "application/zip"}},
                      .body_file = package_file,
                      .total_seconds = kUploadSeconds,
                      .cancel = cancel},
                     ServicePath(service) + "/generations");
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

Status NodeClient::Preload(const std::string& service, const std::string& generation) {
  return Change("POST", ServicePath(service) + "/generations/" + UrlEncode(generation) + "/preload",
                Json(), kNodePrepareSeconds);
}

Result<Json> NodeClient::Test(const std::string& service, const std::string& generation,
                              double seconds) {
  ASSIGN_OR_RETURN(Json outcomes, Call({.method = "POST", .total_seconds = seconds},
                                       ServicePath(service) + "/generations/" +
                                           UrlEncode(generation) + "/actions/test"));
  if (!outcomes.is_array())
    return Unavailable("node " + url_ + " does not list the outcomes of the test queries");
  return outcomes;
}

Status NodeClient::PutSettings(const std::string& service, const Json& settings) {
  return Change("PUT", ServicePath(service) + "/settings", settings, kChangeSeconds);
}

Status NodeClient::SetMapping(const std::string& service,
                              const std::vector<std::pair<std::string, double>>& generations) {
  Json entries = Json::array();
  for (const auto& [generation, weight] : generations)
    entries.push_back({{"generation", generation}, {"proba", weight}});
  return Change("POST", ServicePath(service) + "/actions/setMapping",
                {{"entries", std::move(entries)}}, kChangeSeconds);
}

Status NodeClient::Disable(const std::string& service) {
  return Change("POST", ServicePath(service) + "/actions/disable", Json(), kChangeSeconds);
}

Status NodeClient::DeleteService(const std::string& service) {
  return Change("DELETE", ServicePath(service), Json(), kDeleteSeconds);
}

Status NodeClient::DeleteGeneration(const std::string& service, const std::string& generation) {
  return Change("DELETE", ServicePath(service) + "/generations/" + UrlEncode(generation), Json(),
                kDeleteSeconds);
}

Result<Json> NodeClient::Metrics(double seconds) {
  return Call({.total_seconds = seconds}, "/admin/api/metrics");
}

Result<Json> NodeClient::FindQuery(const std::string& request_id, double seconds) {
  ASSIGN_OR_RETURN(Json found, Call({.total_seconds = seconds},
                                    "/admin/api/query-log?request_id=" + UrlEncode(request_id)));
  const Json* lines = FindMember(found, "lines");
  const auto is_object = [](const Json& line) { return line.is_object(); };
  if (lines == nullptr || !lines->is_array() ||
      !std::all_of(lines->begin(), lines->end(), is_object))
    return Unavailable("node " + url_ + " does not list lines of its query log");
  return found;
}

Result<HttpAnswer> NodeClient::Query(const std::string& service, const std::string& endpoint,
                                     const std::string& verb, const std::string& body) {
  if (!problem_.empty()) return Unavailable("node " + url_ + ": " + problem_);
  return http_->Send({.method = "POST",
                      .url = url_ + "/public/api/v1/" + UrlEncode(service) + "/" +
                             UrlEncode(endpoint) + "/" + verb,
                      .headers = {{"Content-Type", "application/json"},
                                  {"Authorization", BasicAuthorization(key_)}},
                      .body = body,
                      .total_seconds = 60});
}

}  // namespace slipway
