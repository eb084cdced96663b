// The API node: one HttpHandler over the user API, the admin API, health, metrics and pages.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <string>

#include "slipway/base/result.h"
#include "slipway/http/server.h"
#include "slipway/serve/admission.h"
#include "slipway/serve/config.h"
#include "slipway/serve/jwt.h"
#include "slipway/serve/key_store.h"
#include "slipway/serve/node_state.h"
#include "slipway/serve/query_log.h"
#include "slipway/serve/rate_limit.h"
#include "slipway/serve/shadow.h"
#include "slipway/serve/stats.h"

namespace slipway {

// What the parts of the API share. Owned by the node; all thread-safe.
struct NodeParts {
  NodeConfig config;
  std::unique_ptr<StatsRegistry> stats;
  RefusalCounts refusals;
  std::unique_ptr<KeyStore> keys;
  std::unique_ptr<JwtVerifier> tokens;  // nullptr: no identity provider
  std::unique_ptr<RateLimiter> rates = std::make_unique<RateLimiter>();
  std::unique_ptr<QueryLog> query_log;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<ShadowRunner> shadow;
  std::unique_ptr<NodeState> state;
  std::atomic<bool> draining{false};
  // Slots of per-thread things (stats, query log): loops first, then workers.
  int loops = 1;
  int slots() const { return loops + admission->workers(); }
};

// /public/api/v1/...: predict, predict-multi, predict-simple, lookup, lookup-multi.
class UserApi {
 public:
  explicit UserApi(NodeParts* parts);
  ~UserApi();
  // REQUIRES: the path (duplicate slashes collapsed, no trailing one) begins with /public/api/v1/.
  HttpOutcome Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);
  void Tick(int loop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// /admin/api/...: runs on a thread of its own, whatever the load.
class AdminApi {
 public:
  explicit AdminApi(NodeParts* parts);
  ~AdminApi();
  HttpBodyPlan PlanBody(std::string_view path, const HttpRequest& head, HttpReply* refusal);
  HttpOutcome Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// /isAlive/, /ready, /metrics, /openapi.json, the built-in page.
class SystemApi {
 public:
  explicit SystemApi(NodeParts* parts);
  ~SystemApi();
  // False: not one of its paths.
  bool Handle(std::string_view path, const HttpRequest& request, HttpReply* reply);
  // The server's own counters, for /metrics; set once it has started.
  void SetServer(const HttpServer* server);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// {"errorType", "message", "detailedMessage", "code", "hint", "request_id"}: one object that DSS
// clients and ours both read.
void WriteError(int status, const Error& error, std::string_view request_id, HttpReply* reply);
// Answers that there is no memory: `say` writes the reply; without memory for that either, the
// status alone is the answer.
template <typename Say>
void AnswerNoMemory(HttpReply* reply, const Say& say) {
  std::string().swap(reply->body);
  try {
    say();
  } catch (const std::bad_alloc&) {
    reply->Clear();
    reply->status = 503;
    reply->close = true;
  }
}
// DSS-API-Version and DSS-Version, which every answer to a DSS client carries.
void AddVersionHeaders(HttpReply* reply);
int ErrorStatus(ErrorCode code);

class HostCheck;
class AdminFace;
class TabularCalls;
class OipApi;
class MlflowApi;

class Node : public HttpHandler {
 public:
  // The public face (`listen`) has everything unless admin_listen is set; then the admin API is on
  // the admin face alone.
  enum class Face { kPublic, kAdmin };

  static Result<std::unique_ptr<Node>> Open(NodeConfig config, int loops);
  ~Node() override;
  NodeParts& parts() { return parts_; }
  SystemApi& system() { return *system_; }
  // What a server on admin_listen calls.
  HttpHandler* admin_face();

  HttpBodyPlan PlanBody(const HttpRequest& head, HttpReply* refusal) override;
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange) override;
  void Tick(int loop) override;
  void DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                       HttpReply* reply) override;

 private:
  friend class AdminFace;
  Node();
  HttpBodyPlan Plan(const HttpRequest& head, HttpReply* refusal, Face face);
  HttpOutcome Dispatch(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange,
                       Face face);
  // Route; where there is no memory, an answer that says so.
  HttpOutcome RouteInMemory(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange,
                            Face face);
  HttpOutcome Route(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange,
                    Face face);
  bool ServesAdmin(Face face) const;
  void Describe(int status, std::string_view reason, const HttpRequest* head, HttpReply* reply,
                Face face);
  static void Refuse(int status, const Error& error, const HttpRequest* head, HttpReply* reply);

  NodeParts parts_;
  int64_t reserve_uses_ = 0;  // told; loop 0's
  std::unique_ptr<UserApi> user_;
  std::unique_ptr<AdminApi> admin_;
  std::unique_ptr<SystemApi> system_;
  std::unique_ptr<TabularCalls> tabular_;  // what the next two share
  std::unique_ptr<OipApi> oip_;
  std::unique_ptr<MlflowApi> mlflow_;
  std::unique_ptr<HostCheck> host_check_;
  std::unique_ptr<AdminFace> admin_face_;
};

}  // namespace slipway
