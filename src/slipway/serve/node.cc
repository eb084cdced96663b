#include "slipway/serve/node.h"

#include <sys/random.h>

#include "slipway/base/hash.h"
#include "slipway/base/memory_reserve.h"
#include "slipway/base/text.h"
#include "slipway/http/router.h"
#include "slipway/serve/access_log.h"
#include "slipway/serve/admin_log.h"
#include "slipway/serve/answer_writer.h"
#include "slipway/serve/host_check.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/log.h"
#include "slipway/serve/mlflow_api.h"
#include "slipway/serve/oip_api.h"
#include "slipway/serve/tabular_call.h"
#include "slipway/serve/user_request.h"

namespace slipway {
namespace {

constexpr std::string_view kUserApi = "/public/api/v1/";
constexpr std::string_view kAdminApi = "/admin/api";

// The path with duplicate slashes collapsed and without a trailing one: clients add both. Points
// into `path` when there is nothing to do, which is nearly always.
std::string_view CleanPath(std::string_view path, std::string* storage) {
  bool clean = path.size() < 2 || path.back() != '/';
  for (size_t i = 1; clean && i < path.size(); ++i) clean = path[i] != '/' || path[i - 1] != '/';
  if (clean) return path;
  storage->clear();
  for (char c : path) {
    if (c != '/' || storage->empty() || storage->back() != '/') storage->push_back(c);
  }
  if (storage->size() > 1 && storage->back() == '/') storage->pop_back();
  return *storage;
}

bool IsAdmin(std::string_view path) {
  return path.starts_with(kAdminApi) &&
         (path.size() == kAdminApi.size() || path[kAdminApi.size()] == '/');
}

// What would let in what the server itself refused.
std::string HintOfRefusal(int status, std::string_view reason, bool admin) {
  switch (status) {
    case 413:
      if (reason.find("chunks") != std::string_view::npos)
        return "send it in larger chunks, or raise limits.chunks";
      if (admin) return "packages may have limits.upload_bytes; of other bodies here 1 MiB is read";
      return "send less at a time, or raise limits.body_bytes";
    case 414:
      return "send the values in a POST, or raise limits.request_line_bytes";
    case 431:
      return reason.find(" bytes") != std::string_view::npos
                 ? "send less in the headers, or raise limits.header_bytes"
                 : "send fewer headers, or raise limits.headers";
    case 507:
      return "is there no space left on the disk of the node's home?";
    default:
      return "";
  }
}

}  // namespace

int ErrorStatus(ErrorCode code) { return HttpStatus(code); }

void AddVersionHeaders(HttpReply* reply) {
  reply->headers.append("DSS-API-Version: 1\r\nDSS-Version: slipway-" SLIPWAY_VERSION "\r\n");
}

void WriteError(int status, const Error& error, std::string_view request_id, HttpReply* reply) {
  reply->status = status;
  reply->content_type = "application/json";
  std::string& body = reply->body;
  body.assign("{\"errorType\":");
  AppendJsonText(AnswerErrorType(error.code), &body);
  body.append(",\"message\":");
  AppendJsonText(error.message, &body);
  body.append(",\"detailedMessage\":");
  AppendJsonText(error.hint.empty() ? error.message : error.message + " (" + error.hint + ")",
                 &body);
  body.append(",\"code\":");
  AppendJsonText(ErrorCodeName(error.code), &body);
  body.append(",\"hint\":");
  AppendJsonText(error.hint, &body);
  if (!request_id.empty()) {
    body.append(",\"request_id\":");
    AppendJsonText(request_id, &body);
  }
  body.push_back('}');
}

// The node's second face, for admin_listen: everything but scoring.
class AdminFace : public HttpHandler {
 public:
  explicit AdminFace(Node* node) : node_(node) {}
  HttpBodyPlan PlanBody(const HttpRequest& head, HttpReply* refusal) override {
    return node_->Plan(head, refusal, Node::Face::kAdmin);
  }
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange) override {
    return node_->Dispatch(request, reply, exchange, Node::Face::kAdmin);
  }
  void DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                       HttpReply* reply) override {
    node_->Describe(status, reason, head, reply, Node::Face::kAdmin);
  }

 private:
  Node* node_;
};

Node::Node() = default;
Node::~Node() {
  // Workers use everything else.
  if (parts_.admission) parts_.admission->Drain();
  admin_.reset();
}

Result<std::unique_ptr<Node>> Node::Open(NodeConfig config, int loops) {
  std::unique_ptr<Node> node(new Node());
  NodeParts& parts = node->parts_;
  parts.config = std::move(config);
  parts.loops = loops;
  parts.admission = Admission::Make(parts.config.admission);
  parts.shadow = std::make_unique<ShadowRunner>(parts.admission.get(), loops);
  parts.stats = std::make_unique<StatsRegistry>(parts.slots());
  ASSIGN_OR_RETURN(parts.state, NodeState::Open(parts.config.home, parts.stats.get()));
  ASSIGN_OR_RETURN(parts.keys, KeyStore::Open(parts.config.home));
  if (parts.config.jwt.enabled()) {
    Result<std::unique_ptr<JwtVerifier>> tokens = JwtVerifier::Make(parts.config.jwt);
    if (!tokens.ok()) return tokens.error().Within("[auth.jwt]");
    parts.tokens = std::move(*tokens);
  }
  parts.config.query_log.slots = parts.slots();
  ASSIGN_OR_RETURN(parts.query_log, QueryLog::Open(parts.config.query_log));
  node->user_ = std::make_unique<UserApi>(&parts);
  node->admin_ = std::make_unique<AdminApi>(&parts);
  node->system_ = std::make_unique<SystemApi>(&parts);
  node->tabular_ = std::make_unique<TabularCalls>(&parts);
  node->oip_ = std::make_unique<OipApi>(&parts, node->tabular_.get());
  node->mlflow_ = std::make_unique<MlflowApi>(&parts, node->tabular_.get());
  node->host_check_ = std::make_unique<HostCheck>(parts.config, loops);
  node->admin_face_ = std::make_unique<AdminFace>(node.get());
  return node;
}

HttpHandler* Node::admin_face() { return admin_face_.get(); }

HttpBodyPlan Node::PlanBody(const HttpRequest& head, HttpReply* refusal) {
  return Plan(head, refusal, Face::kPublic);
}

HttpBodyPlan Node::Plan(const HttpRequest& head, HttpReply* refusal, Face face) {
  std::string storage;
  const std::string_view path = CleanPath(head.path, &storage);
  if (IsAdmin(path) && ServesAdmin(face)) {
    HttpBodyPlan plan = admin_->PlanBody(path, head, refusal);
    if (plan.refuse && parts_.config.access_log) LogAccess(parts_, &head, *refusal);
    return plan;
  }
  HttpBodyPlan plan;
  plan.max_bytes = parts_.config.body_bytes;
  return plan;
}

bool Node::ServesAdmin(Face face) const {
  return face == Face::kAdmin || parts_.config.admin_listen.empty();
}

HttpOutcome Node::Handle(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange) {
  return Dispatch(request, reply, exchange, Face::kPublic);
}

HttpOutcome Node::Dispatch(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange,
                           Face face) {
  if (!parts_.config.access_log) return RouteInMemory(request, reply, exchange, face);
  AccessExchange logged(&parts_, exchange);
  const HttpOutcome outcome = RouteInMemory(request, reply, &logged, face);
  if (outcome == HttpOutcome::kReplied) LogAccess(parts_, &request, *reply);
  return outcome;
}

HttpOutcome Node::RouteInMemory(const HttpRequest& request, HttpReply* reply,
                                HttpExchange* exchange, Face face) {
  try {
    return Route(request, reply, exchange, face);
  } catch (const std::bad_alloc&) {
    AnswerNoMemory(reply, [&] {
      reply->Clear();
      WriteError(503, Unavailable("there is not enough memory for this request"), {}, reply);
    });
    return HttpOutcome::kReplied;
  }
}

HttpOutcome Node::Route(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange,
                        Face face) {
  std::string storage;
  const std::string_view path = CleanPath(request.path, &storage);
  if (!host_check_->Allows(face == Face::kPublic ? exchange->loop() : -1, request)) {
    Error error = PermissionDenied(
        "the Host header '" + std::string(request.Header("host")) + "' names no host of this node",
        "add the name to http.hosts of the configuration");
    Refuse(421, error, &request, reply);
    return HttpOutcome::kReplied;
  }
  if (path.starts_with(kUserApi) && face == Face::kPublic)
    return user_->Handle(path, request, reply, exchange);
  if (IsAdmin(path) && ServesAdmin(face)) return admin_->Handle(path, request, reply, exchange);
  if (OipApi::Owns(path) && face == Face::kPublic)
    return oip_->Handle(path, request, reply, exchange);
  if (MlflowApi::Owns(path) && face == Face::kPublic)
    return mlflow_->Handle(path, request, reply, exchange);
  if (system_->Handle(path, request, reply)) {
    AddVersionHeaders(reply);
    return HttpOutcome::kReplied;
  }
  Refuse(404,
         NotFound("there is nothing at '" + std::string(path.substr(0, 200)) + "'",
                  "see /openapi.json, or / for the list of services"),
         &request, reply);
  return HttpOutcome::kReplied;
}

// With the headers that every answer of the user API has; what asked for it may be no request.
void Node::Refuse(int status, const Error& error, const HttpRequest* head, HttpReply* reply) {
  std::string id;
  if (head != nullptr) id = ReadUserHeaders(*head).request_id;
  if (id.empty()) id = RandomId();
  AddVersionHeaders(reply);
  reply->AddHeader("X-Request-Id", id);
  WriteError(status, error, id, reply);
}

void Node::Tick(int loop) {
  if (loop == 0) {
    RefillMemoryReserve();
    if (const int64_t uses = MemoryReserveUses(); uses != reserve_uses_) {
      LogWarning("there was not enough memory; requests were refused or connections lost",
                 {{"allocations", uses - reserve_uses_}});
      reserve_uses_ = uses;
    }
  }
  user_->Tick(loop);
  tabular_->Tick(loop);
}

void Node::DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                           HttpReply* reply) {
  Describe(status, reason, head, reply, Face::kPublic);
}

void Node::Describe(int status, std::string_view reason, const HttpRequest* head, HttpReply* reply,
                    Face face) {
  std::string storage;
  const bool admin =
      head != nullptr && IsAdmin(CleanPath(head->path, &storage)) && ServesAdmin(face);
  ErrorCode code = ErrorCode::kInvalidArgument;
  if (status == 503 || status == 507) code = ErrorCode::kUnavailable;
  if (status == 408) code = ErrorCode::kDeadlineExceeded;
  if (status == 500) code = ErrorCode::kInternal;
  Refuse(status, Error{code, std::string(reason), HintOfRefusal(status, reason, admin)}, head,
         reply);
  // Bodies that PlanBody let in: an administrator's.
  if (admin && (status == 413 || status == 507))
    LogAdminRefusal(*head, status, reason, ReadUserHeaders(*head).request_id);
  if (parts_.config.access_log) LogAccess(parts_, head, *reply);
}

}  // namespace slipway
