#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/http/listen_address.h"
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

// Made again when the table has changed.
struct CachedText {
  uint64_t version = ~uint64_t{0};
  std::string text;
};

}  // namespace

struct SystemApi::State {
  explicit State(NodeParts* node_parts) : parts(node_parts) {
    open = parts->config.allow_public;
    bool loopback = true;
    for (const ListenAddress& address : parts->config.listen)
      loopback = loopback && IsLoopback(address);
    open = open || loopback;
    not_alive_file = JoinPath(parts->config.home, "apinode-not-alive.txt");
  }

  void IsAlive(HttpReply* reply) const;
  void Ready(HttpReply* reply) const;
  void Metrics(HttpReply* reply);
  void OpenApi(bool known, HttpReply* reply);
  void Page(bool known, HttpReply* reply);
  bool HasKey(const HttpRequest& request) const;

  NodeParts* parts;
  bool open = false;  // to whoever reaches the node
  std::string not_alive_file;
  Mutex mutex;
  const HttpServer* server GUARDED_BY(mutex) = nullptr;
  // For callers without a key, and for those with one.
  CachedText openapi[2] GUARDED_BY(mutex), page[2] GUARDED_BY(mutex);
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

// `known`: the caller has shown a key; who has not does not see what asks for one.
void SystemApi::State::OpenApi(bool known, HttpReply* reply) {
  MutexLock lock(mutex);
  CachedText& cached = openapi[known ? 1 : 0];
  const uint64_t version = parts->state->tables().version();
  if (cached.version != version) {
    const std::shared_ptr<const ServiceTable> table = parts->state->tables().Get();
    std::vector<ServiceDocument> documents;
    for (const auto& [id, service] : table->services) {
      // Those with probability are first.
      if (service.enabled && !service.generations.empty() &&
          service.generations.front().probability > 0 && (known || !ServiceNeedsKey(service, open)))
        documents.push_back({id, &service.generations.front().generation->openapi()});
    }
    cached = {version, DumpJson(MergeOpenApi(documents, SLIPWAY_VERSION))};
  }
  reply->body = cached.text;
}

void SystemApi::State::Page(bool known, HttpReply* reply) {
  reply->content_type = kHtml;
  reply->AddHeader("Content-Security-Policy", PagePolicy());
  reply->AddHeader("Referrer-Policy", "no-referrer");
  MutexLock lock(mutex);
  const uint64_t version = parts->state->tables().version();
  CachedText& cached = page[known ? 1 : 0];
  if (cached.version != version)
    cached = {version, BuiltInPage(*parts->state->tables().Get(), open, known)};
  reply->body = cached.text;
}

bool SystemApi::State::HasKey(const HttpRequest& request) const {
  const std::string secret = SecretOfAuthorization(request.Header("authorization"));
  if (secret.empty()) return false;
  return parts->keys->IsAdmin(secret) || parts->keys->Find(secret, NowMicros() / 1'000'000);
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
  const bool known = !route->anyone && state_->HasKey(request);
  if (!route->anyone && !known && !state_->open) {
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
      state_->OpenApi(known, reply);
      break;
    case What::kPage:
      state_->Page(known, reply);
      break;
    case What::kIcon:
      reply->status = 204;
      break;
  }
  return true;
}

}  // namespace slipway
