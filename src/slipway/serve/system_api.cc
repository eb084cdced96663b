#include <map>
#include <string>

#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/serve/metrics_text.h"
#include "slipway/serve/node.h"
#include "slipway/serve/openapi_merge.h"
#include "slipway/serve/page.h"
#include "slipway/serve/user_request.h"

namespace slipway {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

// Made again when the table has changed; one for each set of services that somebody may score.
class CachedTexts {
 public:
  template <typename Make>
  const std::string& Get(uint64_t version, const std::string& whose, const Make& make) {
    constexpr size_t kMost = 32;
    if (version != version_ || texts_.size() >= kMost) texts_.clear();
    version_ = version;
    auto at = texts_.find(whose);
    if (at == texts_.end()) at = texts_.emplace(whose, make()).first;
    return at->second;
  }

 private:
  uint64_t version_ = 0;
  std::map<std::string, std::string> texts_;
};

std::string AsText(const MayScore& scores) {
  std::string out;
  for (const std::string& each : scores) out.append(each).push_back('\n');
  return out;
}

// Who asks, for what shows services.
struct Visitor {
  bool known = false;  // has shown a key, or a token that is good
  bool admin = false;
};

}  // namespace

struct SystemApi::State {
  explicit State(NodeParts* node_parts) : parts(node_parts) {
    open = IsOpen(parts->config);
    not_alive_file = JoinPath(parts->config.home, "apinode-not-alive.txt");
  }

  void IsAlive(HttpReply* reply) const;
  void Ready(HttpReply* reply) const;
  void Metrics(HttpReply* reply);
  void OpenApi(const Visitor& visitor, const HttpRequest& request, HttpReply* reply);
  void Page(const Visitor& visitor, const HttpRequest& request, HttpReply* reply);
  Visitor VisitorOf(const HttpRequest& request) const;
  MayScore ScoredBy(const Visitor& visitor, const HttpRequest& request,
                    const ServiceTable& table) const;

  NodeParts* parts;
  bool open = false;  // to whoever reaches the node
  std::string not_alive_file;
  Mutex mutex;
  const HttpServer* server GUARDED_BY(mutex) = nullptr;
  CachedTexts openapi GUARDED_BY(mutex), page GUARDED_BY(mutex);
};

// The process answers. The file is how DSS people take a node out of their balancer.
void SystemApi::State::IsAlive(HttpReply* reply) const {
  const bool alive = ::access(not_alive_file.c_str(), F_OK) != 0;
  reply->status = alive ? 200 : 503;
  reply->body = alive ? "{\"alive\":true}"
                      : "{\"alive\":false,\"reason\":\"apinode-not-alive.txt is in the home\"}";
}

void SystemApi::State::Ready(HttpReply* reply) const {
  std::string reason;
  if (parts->draining) {
    reason = "the node is draining";
  } else if (parts->state->Ready(&reason)) {
    reply->body = "{\"ready\":true}";
    return;
  }
  reply->status = 503;
  reply->body = DumpJson({{"ready", false}, {"reason", reason}});
}

void SystemApi::State::Metrics(HttpReply* reply) {
  reply->content_type = kPrometheus;
  MutexLock lock(mutex);
  if (server != nullptr) {
    const HttpStats stats = server->stats();
    reply->body = NodeMetrics(*parts, &stats);
  } else {
    reply->body = NodeMetrics(*parts, nullptr);
  }
}

// Who may not score a service does not see its description: it has rows of data as examples.
void SystemApi::State::OpenApi(const Visitor& visitor, const HttpRequest& request,
                               HttpReply* reply) {
  const uint64_t version = parts->state->tables().version();
  const std::shared_ptr<const ServiceTable> table = parts->state->tables().Get();
  const MayScore scores = ScoredBy(visitor, request, *table);
  MutexLock lock(mutex);
  reply->body = openapi.Get(version, AsText(scores), [&] {
    std::vector<ServiceDocument> documents;
    for (const auto& [id, service] : table->services) {
      // Those with probability are first.
      if (!service.enabled || service.generations.empty() ||
          service.generations.front().probability <= 0 || !scores.contains(id))
        continue;
      const Generation& served = *service.generations.front().generation;
      documents.push_back(
          {id, &served.openapi(), served.service(), [this, &service](std::string_view endpoint) {
             return EndpointSecurity(service, endpoint, AsksNobody(parts->config));
           }});
    }
    return DumpJson(MergeOpenApi(documents, SLIPWAY_VERSION));
  });
}

void SystemApi::State::Page(const Visitor& visitor, const HttpRequest& request, HttpReply* reply) {
  reply->content_type = kHtml;
  reply->AddHeader("Content-Security-Policy", PagePolicy());
  reply->AddHeader("Referrer-Policy", "no-referrer");
  const uint64_t version = parts->state->tables().version();
  const std::shared_ptr<const ServiceTable> table = parts->state->tables().Get();
  const MayScore scores = ScoredBy(visitor, request, *table);
  const std::string whose = (visitor.known ? "known\n" : "\n") + AsText(scores);
  MutexLock lock(mutex);
  reply->body =
      page.Get(version, whose, [&] { return BuiltInPage(*table, open, scores, !visitor.known); });
}

Visitor SystemApi::State::VisitorOf(const HttpRequest& request) const {
  const std::string_view authorization = request.Header("authorization");
  const int64_t now = NowMicros() / 1'000'000;
  const std::string secret = SecretOfAuthorization(authorization);
  if (parts->keys->IsAdmin(secret)) return {true, true};
  if (parts->keys->Find(secret, now)) return {true, false};
  const std::string_view token = TokenOfAuthorization(authorization);
  const bool good =
      parts->tokens != nullptr && !token.empty() && parts->tokens->Check(token, now).status == 200;
  return {good, false};
}

// As the user API decides it. The administrator may make a key for anything.
MayScore SystemApi::State::ScoredBy(const Visitor& visitor, const HttpRequest& request,
                                    const ServiceTable& table) const {
  UserGate gate(parts->keys.get(), open, parts->tokens.get());
  const auto allowed = [&](const ServedService& service, std::string_view endpoint) {
    return visitor.admin || gate.Check(service, service.RulesOf(endpoint),
                                       request.Header("authorization"), request.client_subject)
                                    .status == 200;
  };
  MayScore scores;
  for (const auto& [id, service] : table.services) {
    if (allowed(service, {})) scores.insert(id);
    for (const ServedGeneration& served : service.generations) {
      for (const PackageEndpoint& endpoint : served.generation->manifest().endpoints) {
        std::string name = id + "/" + endpoint.id;
        if (!scores.contains(name) && allowed(service, endpoint.id)) scores.insert(std::move(name));
      }
    }
  }
  return scores;
}

SystemApi::SystemApi(NodeParts* parts) : state_(std::make_unique<State>(parts)) {}
SystemApi::~SystemApi() = default;

void SystemApi::SetServer(const HttpServer* server) {
  MutexLock lock(state_->mutex);
  state_->server = server;
}

bool SystemApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply) {
  enum class What { kAlive, kReady, kMetrics, kOpenApi, kPage, kIcon };
  struct SystemRoute {
    std::string_view path;
    What what;
    bool anyone;  // also without a key off loopback
  };
  static constexpr SystemRoute kRoutes[] = {
      {"/isAlive", What::kAlive, true},    {"/ready", What::kReady, true},
      {"/metrics", What::kMetrics, false}, {"/openapi.json", What::kOpenApi, false},
      {"/", What::kPage, false},           {"/favicon.ico", What::kIcon, true},
  };
  const SystemRoute* route = nullptr;
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  for (const SystemRoute& each : kRoutes)
    if (each.path == path) route = &each;
  if (route == nullptr) return false;

  const std::string_view id = request.Header("x-request-id");
  if (request.method != "GET" && request.method != "HEAD") {
    WriteError(405,
               InvalidArgument("the method is " + std::string(request.method.substr(0, 20)) +
                                   ", which this path does not take",
                               "use GET"),
               id, reply);
    reply->AddHeader("Allow", "GET, HEAD");
    return true;
  }
  reply->AddHeader("Cache-Control", "no-store");
  // Names of services, models and examples are for those who may score.
  const Visitor visitor = route->anyone ? Visitor() : state_->VisitorOf(request);
  if (!route->anyone && !visitor.known && !state_->open) {
    WriteError(401,
               PermissionDenied("this needs an API key",
                                "send it as the user of Basic authentication, or as Bearer"),
               id, reply);
    reply->AddHeader("WWW-Authenticate", "Basic realm=\"slipway\", charset=\"UTF-8\"");
    return true;
  }
  reply->status = 200;
  reply->content_type = kJson;
  switch (route->what) {
    case What::kAlive:
      state_->IsAlive(reply);
      break;
    case What::kReady:
      state_->Ready(reply);
      break;
    case What::kMetrics:
      state_->Metrics(reply);
      break;
    case What::kOpenApi:
      state_->OpenApi(visitor, request, reply);
      break;
    case What::kPage:
      state_->Page(visitor, request, reply);
      break;
    case What::kIcon:
      reply->status = 204;
      break;
  }
  return true;
}

}  // namespace slipway
